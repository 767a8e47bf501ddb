/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "ctl/client.h"
#include "ctl/description.h"
#include "ctl/terminal.h"

static void print_config(const json_t *values)
{
        const char *section = "";
        json_t *value;
        size_t i;

        json_array_foreach(values, i, value) {
                if (!has_text(value, "section", section)) {
                        section = text_of(value, "section");
                        print_coloured(BOLD, "%s[%s]\n", i > 0 ? "\n" : "", section);
                }
                printf("%s = %s  ", text_of(value, "key"), text_of(value, "value"));
                print_coloured(DIM, "# %s:%.0f\n", text_of(value, "file"), number_of(value, "line"));
        }
}

int command_config(const struct options *o)
{
        return show_part(o, "config", print_config);
}

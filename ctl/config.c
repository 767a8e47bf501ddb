/* SPDX-License-Identifier: MIT */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "ctl/client.h"
#include "ctl/description.h"
#include "ctl/terminal.h"

#define ORIGIN_MAX (PATH_MAX + 32)

/* On a terminal, wraps a long value and prints its file and line number on a separate line. */
static void print_value(const json_t *value)
{
        size_t width = screen_width(), n = strlen(text_of(value, "key")) + strlen(text_of(value, "value")) + 3;
        char origin[ORIGIN_MAX];

        snprintf(origin, sizeof(origin), "# %s:%.0f", text_of(value, "file"), number_of(value, "line"));
        if (width == 0 || n + 2 + strlen(origin) <= width) {
                printf("%s = %s  ", text_of(value, "key"), text_of(value, "value"));
        } else {
                printf("%s = ", text_of(value, "key"));
                print_wrapped_from(text_of(value, "value"), (unsigned)strlen(text_of(value, "key")) + 3, 4);
                fputs("    ", stdout);
        }
        print_coloured(DIM, "%s", origin);
        putchar('\n');
}

static void print_config(const json_t *values)
{
        const char *section = "";
        json_t *value;
        size_t i;

        json_array_foreach(values, i, value) {
                if (!has_text(value, "section", section)) {
                        section = text_of(value, "section");
                        fputs(i > 0 ? "\n" : "", stdout);
                        print_coloured(BOLD, "[%s]", section);
                        putchar('\n');
                }
                print_value(value);
        }
}

int command_config(const struct options *o)
{
        return show_part(o, "config", print_config);
}

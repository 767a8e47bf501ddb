/* SPDX-License-Identifier: MIT */
#include "ctl/client.h"
#include "ctl/description.h"
#include "ctl/terminal.h"

static void print_rules(const json_t *rules)
{
        struct table table = {0};
        json_t *rule;
        size_t i;

        json_array_foreach(rules, i, rule) {
                enum colour colour = colour_of(text_of(rule, "state"));

                table_begin_row(&table);
                table_cell(&table, colour, "%s", text_of(rule, "name"));
                table_cell(&table, colour, "%s", text_of(rule, "state"));
                table_cell(&table, PLAIN, "%s", text_of(rule, "why"));
        }
        table_print(&table);
}

int command_rules(const struct options *o)
{
        return show_part(o, "rules", print_rules);
}

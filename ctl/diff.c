/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "ctl/client.h"
#include "ctl/description.h"
#include "ctl/terminal.h"

/* True if a boot without twtuned would give another value: the one in sysctl.d, else the kernel's default. If both are
 * unknown, true if twtuned has changed the value. */
static bool differs(const json_t *sysctl)
{
        const char *boot = text_of(sysctl, "configured");

        if (*boot == 0)
                boot = text_of(sysctl, "default");
        if (*boot == 0)
                boot = text_of(sysctl, "original");
        return *boot && *text_of(sysctl, "value") && !has_text(sysctl, "value", boot);
}

static json_t *row_of(const json_t *sysctl)
{
        return json_pack("{s:O, s:O*, s:O*, s:O*, s:O*, s:O*, s:b}", "name", json_object_get(sysctl, "name"), "now",
                         json_object_get(sysctl, "value"), "default", json_object_get(sysctl, "default"), "sysctl_d",
                         json_object_get(sysctl, "configured"), "original", json_object_get(sysctl, "original"),
                         "owner", json_object_get(sysctl, "owner"), "differs", differs(sysctl));
}

static const char *cell_of(const json_t *sysctl, const char *key)
{
        const char *text = text_of(sysctl, key);

        return *text ? text : "-";
}

/* Returns the short name (sysctl_short_name()) on a terminal, to save columns. Commands accept it, too. */
static const char *name_of(const json_t *sysctl)
{
        const char *name = text_of(sysctl, "name");

        return screen_width() > 0 ? sysctl_short_name(name) : name;
}

static void add_row(struct table *table, const json_t *sysctl)
{
        enum colour colour = differs(sysctl) ? YELLOW : PLAIN;
        char owner[OWNER_TEXT_MAX];

        table_begin_row(table);
        table_cell(table, colour, "%s", differs(sysctl) ? "*" : "");
        table_cell(table, colour, "%s", name_of(sysctl));
        table_cell(table, colour, "%s", text_of(sysctl, "value"));
        table_cell(table, PLAIN, "%s", cell_of(sysctl, "default"));
        table_cell(table, PLAIN, "%s", cell_of(sysctl, "configured"));
        table_cell(table, PLAIN, "%s", cell_of(sysctl, "original"));
        table_cell(table, PLAIN, "%s",
                   screen_width() > 0 && !differs(sysctl) ? text_of(sysctl, "owner") : owner_text(sysctl, owner));
}

static void add_titles(struct table *table)
{
        static const char *const titles[] = {"", "SYSCTL", "NOW", "KERNEL", "SYSCTL.D", "ORIGINAL", "SET BY"};
        static const char *const brief[] = {"", "SYSCTL", "NOW", "KERNEL", "FILE", "WAS", "SET BY"};

        table_begin_row(table);
        for (unsigned i = 0; i < ELEMENTSOF(titles); i++)
                table_cell(table, DIM, "%s", (screen_width() > 0 ? brief : titles)[i]);
}

int command_diff(const struct options *o)
{
        json_auto_t *d = NULL, *rows = json_array();
        struct table table = {.kept = 1};
        bool any = false;
        json_t *sysctl;
        size_t i;
        int status = describe_once(o->instance, &d);

        if (status != 0)
                return status;
        if (!o->json)
                add_titles(&table);
        json_array_foreach(json_object_get(d, "sysctls"), i, sysctl) {
                if (*text_of(sysctl, "value") == 0)
                        continue; /* this kernel lacks the sysctl, no rule uses it, or its value is a list */
                any |= differs(sysctl);
                if (o->json)
                        json_array_append_new(rows, row_of(sysctl));
                else
                        add_row(&table, sysctl);
        }
        if (o->json) {
                print_json(rows);
        } else {
                pager_open(o);
                table_print(&table);
        }
        return any ? EXIT_FAILURE : 0;
}

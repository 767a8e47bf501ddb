/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "ctl/client.h"
#include "ctl/description.h"
#include "ctl/terminal.h"

static unsigned count_state(const json_t *rules, const char *state)
{
        unsigned n = 0;
        json_t *rule;
        size_t i;

        json_array_foreach(rules, i, rule)
                n += has_text(rule, "state", state);
        return n;
}

static void print_head(const json_t *d)
{
        enum colour colour = colour_of(text_of(d, "state"));
        const char *instance = text_of(d, "instance");
        const json_t *rules = json_object_get(d, "rules");
        double dump_every = number_of(d, "look_every"), interval = number_of(d, "interval");
        char time[TIME_TEXT_MAX];

        print_coloured(colour, "%s", has_unicode() ? "●" : "*");
        printf(" twtuned%s%s %s: ", *instance ? "@" : "", instance, text_of(d, "version"));
        print_coloured(colour, "%s\n", text_of(d, "status"));
        printf("   Mode: %s, every %g s%s\n", text_of(d, "mode"), interval,
               is_true(d, "recording") ? ", recording" : "");
        printf("  Rules: %zu, %u active, %u unavailable here, %u disabled\n", json_array_size(rules),
               count_state(rules, "active"), count_state(rules, "unavailable"), count_state(rules, "disabled"));
        if (dump_every > interval)
                printf("  Dumps: of the sockets every %.1f s at most (cpu_budget)\n", dump_every);
        if (is_true(d, "paused") && json_is_number(json_object_get(d, "paused_for")))
                printf(" Paused: for %s more; to end it: twtunectl resume\n",
                       time_text(number_of(d, "paused_for"), time));
        else if (is_true(d, "paused"))
                puts(" Paused: until twtunectl resume");
}

/* True if a program or the administrator changed the sysctl, or if a rule can. */
static bool is_shown(const json_t *sysctl, const json_t *rules)
{
        json_t *rule;
        size_t i;

        if (!*text_of(sysctl, "value"))
                return false;
        if (!has_text(sysctl, "owner", "kernel default") && !has_text(sysctl, "owner", "unknown"))
                return true;
        json_array_foreach(rules, i, rule)
                if (rule_changes(rule, text_of(sysctl, "name")))
                        return true;
        return false;
}

static void print_sysctls(const json_t *d)
{
        struct table table = {0};
        char owner[OWNER_TEXT_MAX];
        json_t *sysctl;
        size_t i;

        json_array_foreach(json_object_get(d, "sysctls"), i, sysctl) {
                if (!is_shown(sysctl, json_object_get(d, "rules")))
                        continue;
                table_begin_row(&table);
                table_cell(&table, PLAIN, "%s", text_of(sysctl, "name"));
                table_cell(&table, BOLD, "%s", text_of(sysctl, "value"));
                table_cell(&table, colour_of(text_of(sysctl, "owner")), "%s", owner_text(sysctl, owner));
        }
        puts("\nSysctls, and who set them");
        table_print(&table, 2);
}

static void print_active(const json_t *rules)
{
        const char *title = "\nActive rules\n";
        json_t *rule;
        size_t i;

        json_array_foreach(rules, i, rule) {
                if (!has_text(rule, "state", "active"))
                        continue;
                fputs(title, stdout);
                title = "";
                print_item(2, GREEN, text_of(rule, "name"), text_of(rule, "description"));
                printf("    %s\n", text_of(rule, "why"));
        }
}

static void print_destinations(const json_t *list)
{
        static const struct {
                const char *metric;
                int digits;
                const char *unit;
        } column[] = {
                {"ports.forecast", 1, "%"}, {"ports.demand", 1, "%"},  {"ports.cliff", 1, "%"},
                {"ports.used", 0, ""},      {"ports.reusable", 0, ""},
        };
        struct table table = {0};
        json_t *item;
        size_t i;

        if (json_array_size(list) == 0)
                return;
        table_begin_row(&table);
        table_cell(&table, DIM, "DESTINATION");
        for (unsigned k = 0; k < ELEMENTSOF(column); k++)
                table_cell(&table, DIM, "%s", column[k].metric + strlen("ports."));
        table_cell(&table, DIM, "unit");
        json_array_foreach(list, i, item) {
                const char *unit = text_of(item, "systemd_unit");

                table_begin_row(&table);
                table_cell(&table, PLAIN, "%s", text_of(item, "name"));
                for (unsigned k = 0; k < ELEMENTSOF(column); k++)
                        table_cell(&table, PLAIN, "%.*f%s", column[k].digits, number_of(item, column[k].metric),
                                   column[k].unit);
                table_cell(&table, PLAIN, "%s", *unit ? unit : "-");
        }
        puts("\nBusiest destinations");
        table_print(&table, 2);
}

/* Removes what "twtunectl config" and "twtunectl rules" show. */
static void remove_other_parts(json_t *d)
{
        json_object_del(d, "config");
        json_object_del(d, "rules");
}

static void print_all(const json_t *all)
{
        struct table table = {0};
        json_t *d;
        size_t i;

        json_array_foreach(all, i, d) {
                const char *instance = text_of(d, "instance");

                table_begin_row(&table);
                table_cell(&table, BOLD, "twtuned%s%s", *instance ? "@" : "", instance);
                table_cell(&table, PLAIN, "%s", text_of(d, "version"));
                table_cell(&table, PLAIN, "%s", text_of(d, "mode"));
                table_cell(&table, colour_of(text_of(d, "state")), "%s", text_of(d, "status"));
        }
        table_print(&table, 0);
}

static int show_all(const struct options *o)
{
        json_auto_t *all = NULL;
        int status = describe_all(&all);
        json_t *d;
        size_t i;

        if (status != 0)
                return status;
        if (json_array_size(all) == 0)
                return complain(EXIT_NOT_RUNNING, "no twtuned is running");
        json_array_foreach(all, i, d)
                remove_other_parts(d);
        if (o->json)
                return print_json(all);
        pager_open(o);
        print_all(all);
        return 0;
}

int command_status(const struct options *o)
{
        json_auto_t *d = NULL;
        int status;

        if (o->all)
                return show_all(o);
        status = describe_once(o->instance, &d);
        if (status != 0)
                return status;
        if (o->json) {
                remove_other_parts(d);
                return print_json(d);
        }
        pager_open(o);
        print_head(d);
        print_active(json_object_get(d, "rules"));
        print_sysctls(d);
        print_destinations(json_object_get(d, "destinations"));
        return 0;
}

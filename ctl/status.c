/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "ctl/client.h"
#include "ctl/owner.h"
#include "ctl/show.h"

static unsigned count_state(const json_t *rules, const char *state)
{
        unsigned n = 0;
        json_t *rule;
        size_t i;

        json_array_foreach(rules, i, rule)
                n += strcmp(text_of(rule, "state"), state) == 0;
        return n;
}

static void print_head(const json_t *d)
{
        enum colour colour = colour_of(text_of(d, "state"));
        const char *instance = text_of(d, "instance"), *dot = has_unicode() ? "●" : "*";
        const json_t *rules = json_object_get(d, "rules");
        double every = number_of(d, "look_every"), interval = number_of(d, "interval");
        char time[TIME_TEXT_MAX];

        printf("%s%s%s twtuned%s%s %s: %s%s%s\n", colour_on(colour), dot, colour_off(colour), *instance ? "@" : "",
               instance, text_of(d, "version"), colour_on(colour), text_of(d, "status"), colour_off(colour));
        printf("   Mode: %s, every %g s%s\n", text_of(d, "mode"), interval,
               is_true(d, "recording") ? ", recording" : "");
        printf("  Rules: %zu, %u active, %u unavailable here, %u off\n", json_array_size(rules),
               count_state(rules, "active"), count_state(rules, "unavailable"), count_state(rules, "disabled"));
        if (every > interval)
                printf("   Look: at the sockets every %.1f s at most (cpu_budget)\n", every);
        if (is_true(d, "paused") && json_is_number(json_object_get(d, "paused_for")))
                printf(" Paused: for %s more; to end it: twtunectl resume\n",
                       time_text(number_of(d, "paused_for"), time));
        else if (is_true(d, "paused"))
                puts(" Paused: until twtunectl resume");
}

/* Those that a rule is about, and whatever is not as the kernel has it. */
static bool is_worth_a_line(const json_t *sysctl, const json_t *rules)
{
        const char *name = text_of(sysctl, "name"), *owner = text_of(sysctl, "owner");
        json_t *rule, *action;
        size_t i, k;

        if (!*text_of(sysctl, "value"))
                return false;
        if (strcmp(owner, "kernel default") != 0 && strcmp(owner, "unknown") != 0)
                return true;
        json_array_foreach(rules, i, rule)
                json_array_foreach(json_object_get(rule, "levers"), k, action)
                        if (strcmp(text_of(action, "sysctl"), name) == 0)
                                return true;
        return false;
}

static void print_sysctls(const json_t *d)
{
        struct table *table = table_new();
        char owner[OWNER_TEXT_MAX];
        json_t *sysctl;
        size_t i;

        json_array_foreach(json_object_get(d, "sysctls"), i, sysctl) {
                enum colour colour = colour_of(text_of(sysctl, "owner"));

                if (!is_worth_a_line(sysctl, json_object_get(d, "rules")))
                        continue;
                table_cell(table, PLAIN, "%s", text_of(sysctl, "name"));
                table_cell(table, BOLD, "%s", text_of(sysctl, "value"));
                table_cell(table, colour, "%s", owner_text(sysctl, owner));
                table_end_row(table);
        }
        puts("\nSysctls, and whose value is there");
        table_print(table, 2);
}

static void print_active(const json_t *d)
{
        json_t *rule;
        size_t i;
        bool first = true;

        json_array_foreach(json_object_get(d, "rules"), i, rule) {
                if (strcmp(text_of(rule, "state"), "active") != 0)
                        continue;
                if (first)
                        puts("\nActive rules");
                first = false;
                printf("  %s%s%s: %s\n", colour_on(GREEN), text_of(rule, "name"), colour_off(GREEN),
                       text_of(rule, "description"));
                printf("    %s\n", text_of(rule, "why"));
        }
}

static void print_destinations(const json_t *d)
{
        static const char *const columns[] = {"ports.forecast", "ports.demand", "ports.cliff", "ports.used",
                                              "ports.reusable"};
        const json_t *list = json_object_get(d, "destinations");
        struct table *table;
        json_t *item;
        size_t i;

        if (json_array_size(list) == 0)
                return;
        table = table_new();
        table_cell(table, DIM, "DESTINATION");
        for (unsigned k = 0; k < ELEMENTSOF(columns); k++)
                table_cell(table, DIM, "%s", columns[k] + strlen("ports."));
        table_cell(table, DIM, "unit");
        table_end_row(table);
        json_array_foreach(list, i, item) {
                table_cell(table, PLAIN, "%s", text_of(item, "name"));
                for (unsigned k = 0; k < ELEMENTSOF(columns); k++)
                        table_cell(table, PLAIN, k < 3 ? "%.1f%%" : "%.0f", number_of(item, columns[k]));
                table_cell(table, PLAIN, "%s", *text_of(item, "systemd_unit") ? text_of(item, "systemd_unit") : "-");
                table_end_row(table);
        }
        puts("\nBusiest destinations");
        table_print(table, 2);
}

/* All but what the other commands are for. */
static int print_status_json(json_t *d)
{
        json_object_del(d, "config");
        json_object_del(d, "rules");
        return print_json(d);
}

int show_status(const struct options *o, char **args)
{
        json_t *d = NULL;
        int status;

        (void)args;
        if (o->all)
                return show_status_of_all(o);
        status = describe_once(o, &d);
        if (status == 0 && o->json) {
                status = print_status_json(d);
        } else if (status == 0) {
                pager_open(o);
                print_head(d);
                print_active(d);
                print_sysctls(d);
                print_destinations(d);
        }
        json_decref(d);
        return status;
}

int show_rules(const struct options *o, char **args)
{
        const json_t *rules;
        struct table *table;
        json_t *d = NULL, *rule;
        int status = describe_once(o, &d);
        size_t i;

        (void)args;
        rules = json_object_get(d, "rules");
        if (status == 0 && o->json) {
                status = print_json(rules);
        } else if (status == 0) {
                pager_open(o);
                table = table_new();
                json_array_foreach(rules, i, rule) {
                        enum colour colour = colour_of(text_of(rule, "state"));

                        table_cell(table, colour, "%s", text_of(rule, "name"));
                        table_cell(table, colour, "%s", text_of(rule, "state"));
                        table_cell(table, PLAIN, "%s", text_of(rule, "why"));
                        table_end_row(table);
                }
                table_print(table, 0);
        }
        json_decref(d);
        return status;
}

int show_config(const struct options *o, char **args)
{
        const char *section = "";
        json_t *d = NULL, *value;
        int status = describe_once(o, &d);
        size_t i;

        (void)args;
        if (status == 0 && o->json) {
                status = print_json(json_object_get(d, "config"));
        } else if (status == 0) {
                pager_open(o);
                json_array_foreach(json_object_get(d, "config"), i, value) {
                        if (strcmp(text_of(value, "section"), section) != 0) {
                                printf("%s%s[%s]%s\n", i > 0 ? "\n" : "", colour_on(BOLD), text_of(value, "section"),
                                       colour_off(BOLD));
                                section = text_of(value, "section");
                        }
                        printf("%s = %s  %s# %s:%.0f%s\n", text_of(value, "key"), text_of(value, "value"),
                               colour_on(DIM), text_of(value, "file"), number_of(value, "line"), colour_off(DIM));
                }
        }
        json_decref(d);
        return status;
}

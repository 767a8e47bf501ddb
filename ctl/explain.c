/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "ctl/client.h"
#include "ctl/description.h"
#include "ctl/explain_metric.h"
#include "ctl/terminal.h"
#include "lib/util/suggest.h"

static void print_mark(const json_t *holds)
{
        bool unicode = has_unicode();

        if (json_is_true(holds))
                print_coloured(GREEN, "  %s ", unicode ? "✓" : "+");
        else if (json_is_false(holds))
                print_coloured(RED, "  %s ", unicode ? "✗" : "-");
        else
                printf("  ? ");
}

static void print_condition(const json_t *c)
{
        const char *whose = text_of(c, "whose"), *unit = text_of(c, "systemd_unit");
        char time[TIME_TEXT_MAX];

        print_mark(json_object_get(c, "holds"));
        printf("%s: ", text_of(c, "text"));
        print_coloured(BOLD, "%s", text_of(c, "now"));
        if (is_true(c, "holds") && number_of(c, "for") > 0 && number_of(c, "held") > 0)
                printf(", for %s so far", time_text(number_of(c, "held"), time));
        printf("%s%s%s%s\n", *whose ? ", " : "", whose, *unit ? ", " : "", unit);
}

/* Prints the conditions that held when the rule became active. If the rule works, they may no longer hold. */
static void print_beginning(const json_t *rule)
{
        const json_t *then = json_object_get(rule, "became_active");
        const char *whose = text_of(then, "whose"), *unit = text_of(then, "systemd_unit");
        char time[TIME_TEXT_MAX], text[1024];
        json_t *condition;
        size_t i;

        if (json_is_object(then)) {
                snprintf(text, sizeof(text), "It became active %s ago: %s was %s (%s %.15g%s)%s%s%s%s",
                         time_text(number_of(then, "ago"), time), text_of(then, "metric"), text_of(then, "was"),
                         text_of(then, "op"), number_of(then, "threshold"), text_of(then, "unit"), *whose ? ", " : "",
                         whose, *unit ? ", " : "", unit);
                putchar('\n');
                print_wrapped(text, 0);
        }
        puts("\nAll of these held then; values now:");
        json_array_foreach(json_object_get(rule, "when"), i, condition)
                printf("    %s: %s\n", text_of(condition, "text"), text_of(condition, "now"));
}

static void print_conditions(const char *title, const json_t *list)
{
        json_t *condition;
        size_t i;

        printf("\n%s\n", title);
        json_array_foreach(list, i, condition)
                print_condition(condition);
}

static void print_sysctl(const json_t *sysctl)
{
        const char *value = text_of(sysctl, "value"), *initial = text_of(sysctl, "default");
        const char *configured = text_of(sysctl, "configured"), *never = text_of(sysctl, "never");
        char owner[OWNER_TEXT_MAX];

        if (!is_true(sysctl, "available")) {
                puts("    this kernel or network namespace has no such sysctl");
                return;
        }
        if (*value) {
                printf("    is ");
                print_item(0, BOLD, value, owner_text(sysctl, owner));
        } else if (!*never) {
                puts("    not read: no rule uses it");
        }
        if (*initial)
                printf("    the kernel's default is %s\n", initial);
        if (*configured)
                printf("    sysctl.d sets %s: %s\n", configured, text_of(sysctl, "configured_at"));
        if (*never)
                print_item(4, PLAIN, "twtuned never writes it", never);
}

static void print_actions(const json_t *rule, const json_t *sysctls)
{
        json_t *action;
        size_t i;

        json_array_foreach(json_object_get(rule, "levers"), i, action) {
                const json_t *sysctl = find_named(sysctls, text_of(action, "sysctl"));

                if (i == 0)
                        puts("\nIt changes");
                print_item(2, PLAIN, text_of(action, "text"), text_of(sysctl, "help"));
                print_sysctl(sysctl);
        }
        if (*text_of(rule, "advise")) {
                puts(i == 0 ? "\nIt advises" : "\nIt advises, if that does not help");
                print_wrapped(text_of(rule, "advise"), 2);
        }
}

static void print_effect(const json_t *rule)
{
        const json_t *expect = json_object_get(rule, "expect"), *aborts = json_object_get(rule, "abort");
        json_t *abort;
        size_t i;

        if (!expect && json_array_size(aborts) == 0)
                return;
        puts("\nIts sysctls are put back early if");
        if (expect)
                printf("  the expected effect does not come: %s (now %s)%s\n", text_of(expect, "text"),
                       text_of(expect, "now"), is_true(rule, "expecting") ? "; not yet seen" : "");
        json_array_foreach(aborts, i, abort) {
                const char *unit = text_of(abort, "unit");

                printf("  %s", text_of(abort, "text"));
                if (is_true(abort, "watching"))
                        printf(": %.1f%s so far, the limit is %.1f%s", number_of(abort, "mean"), unit,
                               number_of(abort, "limit"), unit);
                putchar('\n');
        }
}

/* "  only for destinations at A, B" */
static void print_only_for(const char *title, const json_t *list)
{
        json_t *text;
        size_t i;

        json_array_foreach(list, i, text)
                printf("%s%s%s", i == 0 ? "  only for destinations " : ", ", i == 0 ? title : "",
                       json_string_value(text));
        if (i > 0)
                putchar('\n');
}

static void print_rule(const json_t *rule, const json_t *sysctls)
{
        const json_t *until = json_object_get(rule, "until");
        const char *state = text_of(rule, "state");

        print_item(0, BOLD, text_of(rule, "name"), text_of(rule, "description"));
        print_item(2, colour_of(state), state, text_of(rule, "why"));
        print_coloured(DIM, "  %s:%.0f", text_of(rule, "file"), number_of(rule, "line"));
        putchar('\n');
        print_only_for("at ", json_object_get(rule, "for_destinations"));
        print_only_for("of ", json_object_get(rule, "for_units"));
        if (strcmp(state, "active") == 0)
                print_beginning(rule);
        else
                print_conditions("It becomes active when all of these hold", json_object_get(rule, "when"));
        if (*text_of(rule, "after"))
                printf("  and rule %s is active, or its sysctls have the effect of that rule already\n",
                       text_of(rule, "after"));
        if (json_array_size(until) > 0)
                print_conditions("It ends when all of these hold", until);
        else
                puts("\nIt ends after a minute in which none of these held");
        print_actions(rule, sysctls);
        print_effect(rule);
}

static int explain_rule(const struct options *o, const json_t *d, const json_t *rule)
{
        if (o->json)
                return print_json(rule);
        pager_open(o);
        print_rule(rule, json_object_get(d, "sysctls"));
        return 0;
}

/* The rules that may change a sysctl; the caller owns the array. */
static json_t *rules_about(const json_t *rules, const char *sysctl)
{
        json_t *found = json_array(), *rule;
        size_t i;

        json_array_foreach(rules, i, rule)
                if (rule_changes(rule, sysctl))
                        json_array_append(found, rule);
        return found;
}

static int explain_sysctl(const struct options *o, const json_t *d, json_t *sysctl)
{
        json_auto_t *rules = rules_about(json_object_get(d, "rules"), text_of(sysctl, "name"));
        json_t *rule;
        size_t i;

        if (o->json) {
                json_object_set(sysctl, "rules_about_it", rules);
                return print_json(sysctl);
        }
        pager_open(o);
        print_item(0, BOLD, text_of(sysctl, "name"), text_of(sysctl, "help"));
        print_sysctl(sysctl);
        if (json_array_size(rules) == 0)
                puts("    no rule changes it");
        json_array_foreach(rules, i, rule) {
                putchar('\n');
                print_rule(rule, json_object_get(d, "sysctls"));
        }
        return 0;
}

static int not_found(const json_t *d, const char *name)
{
        static const char *const lists[] = {"rules", "sysctls", "metrics"};
        struct suggestion suggestion = SUGGESTION(name);
        char hint[128];
        json_t *item;
        size_t i;

        for (unsigned k = 0; k < ELEMENTSOF(lists); k++)
                json_array_foreach(json_object_get(d, lists[k]), i, item)
                        suggestion_offer(&suggestion, text_of(item, "name"));
        return complain(EX_USAGE, "no rule, sysctl or metric is named %s%s", name, suggestion_hint(&suggestion, hint));
}

int command_explain(const struct options *o)
{
        const char *name = o->argument;
        json_auto_t *d = NULL;
        json_t *rule, *sysctl, *metric;
        int status = describe_once(o->instance, &d);

        if (status != 0)
                return status;
        rule = find_named(json_object_get(d, "rules"), name);
        if (rule)
                return explain_rule(o, d, rule);
        sysctl = find_named(json_object_get(d, "sysctls"), sysctl_full_name(name));
        if (sysctl)
                return explain_sysctl(o, d, sysctl);
        metric = find_named(json_object_get(d, "metrics"), name);
        return metric ? explain_metric(o, d, metric) : not_found(d, name);
}

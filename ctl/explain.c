/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "ctl/client.h"
#include "ctl/owner.h"
#include "ctl/show.h"
#include "lib/util/suggest.h"

static void print_mark(const json_t *condition)
{
        const json_t *holds = json_object_get(condition, "holds");
        bool unicode = has_unicode();

        if (json_is_true(holds))
                printf("  %s%s%s ", colour_on(GREEN), unicode ? "✓" : "+", colour_off(GREEN));
        else if (json_is_false(holds))
                printf("  %s%s%s ", colour_on(RED), unicode ? "✗" : "-", colour_off(RED));
        else
                printf("  ? ");
}

static void print_condition(const json_t *c, const char *time_word)
{
        const char *whose = text_of(c, "whose"), *unit = text_of(c, "systemd_unit");
        double wanted = number_of(c, time_word), held = number_of(c, "held");
        char time[TIME_TEXT_MAX];

        print_mark(c);
        printf("%s: %s%s%s", text_of(c, "text"), colour_on(BOLD), text_of(c, "now"), colour_off(BOLD));
        if (wanted > 0 && held > 0 && is_true(c, "holds") && strcmp(time_word, "for") == 0)
                printf(", for %s so far", time_text(held, time));
        printf("%s%s%s%s\n", *whose ? ", " : "", whose, *unit ? ", " : "", unit);
}

static void print_conditions(const char *title, const json_t *list)
{
        json_t *condition;
        size_t i;

        if (json_array_size(list) == 0)
                return;
        printf("\n%s\n", title);
        json_array_foreach(list, i, condition)
                print_condition(condition, "for");
}

static void print_sysctl(const json_t *sysctl)
{
        const char *value = text_of(sysctl, "value"), *initial = text_of(sysctl, "default");
        char owner[OWNER_TEXT_MAX];

        if (!is_true(sysctl, "available")) {
                puts("    this kernel or network namespace has no such sysctl");
                return;
        }
        if (*value)
                printf("    is %s%s%s: %s\n", colour_on(BOLD), value, colour_off(BOLD), owner_text(sysctl, owner));
        else if (!*text_of(sysctl, "never"))
                puts("    no rule asks for its value, so it is not read");
        if (*initial)
                printf("    the kernel's default is %s\n", initial);
        if (*text_of(sysctl, "configured"))
                printf("    sysctl.d wants %s: %s\n", text_of(sysctl, "configured"), text_of(sysctl, "configured_at"));
        if (*text_of(sysctl, "never"))
                printf("    twtuned never writes it: %s\n", text_of(sysctl, "never"));
}

static void print_levers(const json_t *rule, const json_t *sysctls)
{
        json_t *action;
        size_t i;

        json_array_foreach(json_object_get(rule, "levers"), i, action) {
                const json_t *sysctl = find_named(sysctls, text_of(action, "sysctl"));

                if (i == 0)
                        puts("\nWhat it does");
                printf("  %s: %s\n", text_of(action, "text"), text_of(sysctl, "help"));
                print_sysctl(sysctl);
        }
        if (*text_of(rule, "advise")) {
                puts(i == 0 ? "\nWhat it advises" : "\nWhat it advises where that does not help");
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
        puts("\nIt is put back when");
        if (expect) {
                printf("  this is not seen: %s (now %s)%s\n", text_of(expect, "text"), text_of(expect, "now"),
                       is_true(rule, "expecting") ? "; still awaited" : "");
        }
        json_array_foreach(aborts, i, abort) {
                printf("  %s", text_of(abort, "text"));
                if (is_true(abort, "watching"))
                        printf(": %.1f%s so far, at most %.1f%s", number_of(abort, "mean"), text_of(abort, "unit"),
                               number_of(abort, "limit"), text_of(abort, "unit"));
                putchar('\n');
        }
}

static void print_rule(const json_t *rule, const json_t *sysctls)
{
        const char *state = text_of(rule, "state");
        bool active = strcmp(state, "active") == 0;
        enum colour colour = colour_of(state);

        printf("%s%s%s: %s\n", colour_on(BOLD), text_of(rule, "name"), colour_off(BOLD), text_of(rule, "description"));
        printf("  %s%s%s: %s\n", colour_on(colour), state, colour_off(colour), text_of(rule, "why"));
        printf("  %s%s:%.0f%s\n", colour_on(DIM), text_of(rule, "file"), number_of(rule, "line"), colour_off(DIM));
        print_conditions(active ? "It became active when all of this held; now"
                                : "It becomes active when all of this holds",
                         json_object_get(rule, "when"));
        if (*text_of(rule, "after"))
                printf("  and rule %s is active, or its sysctl has that effect already\n", text_of(rule, "after"));
        if (json_array_size(json_object_get(rule, "until")) > 0)
                print_conditions("It ends when all of this holds", json_object_get(rule, "until"));
        else
                puts("\nIt ends when none of that has held for a minute");
        print_levers(rule, sysctls);
        print_effect(rule);
}

static bool is_about(const json_t *rule, const char *sysctl)
{
        json_t *action;
        size_t i;

        json_array_foreach(json_object_get(rule, "levers"), i, action)
                if (strcmp(text_of(action, "sysctl"), sysctl) == 0)
                        return true;
        return false;
}

/* The rules that are about a sysctl; the caller's to json_decref(). */
static json_t *rules_about(const json_t *rules, const char *sysctl)
{
        json_t *found = json_array(), *rule;
        size_t i;

        json_array_foreach(rules, i, rule)
                if (is_about(rule, sysctl))
                        json_array_append(found, rule);
        return found;
}

static int explain_sysctl(const struct options *o, const json_t *d, json_t *sysctl)
{
        json_t *rules = rules_about(json_object_get(d, "rules"), text_of(sysctl, "name")), *rule;
        size_t i;

        if (o->json) {
                json_object_set(sysctl, "rules_about_it", rules);
                print_json(sysctl);
        } else {
                pager_open(o);
                printf("%s%s%s: %s\n", colour_on(BOLD), text_of(sysctl, "name"), colour_off(BOLD),
                       text_of(sysctl, "help"));
                print_sysctl(sysctl);
                if (json_array_size(rules) == 0)
                        puts("    no rule is about it");
                json_array_foreach(rules, i, rule) {
                        putchar('\n');
                        print_rule(rule, json_object_get(d, "sysctls"));
                }
        }
        json_decref(rules);
        return 0;
}

static int not_found(const json_t *d, const char *name)
{
        static const char *const lists[] = {"rules", "sysctls"};
        struct suggestion suggestion = SUGGESTION(name);
        char hint[128];
        json_t *item;
        size_t i;

        for (unsigned k = 0; k < ELEMENTSOF(lists); k++)
                json_array_foreach(json_object_get(d, lists[k]), i, item)
                        suggestion_offer(&suggestion, text_of(item, "name"));
        return complain(EX_USAGE, "there is no rule and no sysctl %s%s", name, suggestion_hint(&suggestion, hint));
}

int show_explanation(const struct options *o, char **args)
{
        json_t *d = NULL, *rule, *sysctl;
        int status = describe_once(o, &d);

        if (status == 0) {
                rule = find_named(json_object_get(d, "rules"), args[0]);
                sysctl = find_named(json_object_get(d, "sysctls"), sysctl_full_name(args[0]));
                if (rule && o->json) {
                        status = print_json(rule);
                } else if (rule) {
                        pager_open(o);
                        print_rule(rule, json_object_get(d, "sysctls"));
                } else if (sysctl) {
                        status = explain_sysctl(o, d, sysctl);
                } else {
                        status = not_found(d, args[0]);
                }
        }
        json_decref(d);
        return status;
}

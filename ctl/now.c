/* SPDX-License-Identifier: MIT */
#include "ctl/now.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "ctl/description.h"
#include "ctl/terminal.h"

#define LABEL "  %-9s "
#define INDENT 12u
#define AGE_TEXT_MAX (TIME_TEXT_MAX + 16)
#define LINES_MAX 3u /* of failing destinations and of advice, each, so that the status fits on a screen */

/* "0.0.0.0:8080, web.service" */
static void print_whose(const json_t *item, const char *key)
{
        const char *whose = text_of(item, key), *unit = text_of(item, "systemd_unit");

        printf("%s%s%s", whose, *whose && *unit ? ", " : "", unit);
}

static void print_more(size_t n, const char *command)
{
        if (n > LINES_MAX)
                printf(LABEL "%zu more: twtunectl %s\n", "", n - LINES_MAX, command);
}

/* ", seen 14s ago"; "" for destinations that the last tick has seen */
static const char *age_text(const json_t *d, char buf[static AGE_TEXT_MAX])
{
        double age = number_of(d, "destinations_seen");
        char time[TIME_TEXT_MAX];

        buf[0] = 0;
        if (age >= 1 && age >= number_of(d, "interval"))
                snprintf(buf, AGE_TEXT_MAX, ", seen %s ago", time_text(age, time));
        return buf;
}

/* ---- advice ---- */

/* "0.0.0.0:8080, web.service: listen.drops 12.0/s, for 2min 5s" */
static void format_advice(const json_t *advice, char *buf, size_t size)
{
        const char *whose = text_of(advice, "whose"), *of = text_of(advice, "systemd_unit");
        const char *unit = text_of(advice, "unit");
        size_t n = (size_t)snprintf(buf, size, "%s%s%s", whose, *whose && *of ? ", " : "", of);
        char time[TIME_TEXT_MAX];

        if (n < size && json_is_number(json_object_get(advice, "value")))
                n += (size_t)snprintf(buf + n, size - n, "%s%s %.*f%s", n > 0 ? ": " : "", text_of(advice, "metric"),
                                      *unit ? 1 : 0, number_of(advice, "value"), unit);
        if (n < size && json_is_number(json_object_get(advice, "since")))
                snprintf(buf + n, size - n, ", for %s", time_text(number_of(advice, "since"), time));
}

static void print_advice_head(const json_t *advice, unsigned column, unsigned indent)
{
        const char *rule = text_of(advice, "rule");
        char text[1024];

        format_advice(advice, text, sizeof(text));
        print_coloured(YELLOW, "%s", rule);
        column += (unsigned)strlen(rule) + (unsigned)printf(": ");
        print_wrapped_from(text, column, indent);
}

/* Destinations toward which every port is taken: connect(2) fails with EADDRNOTAVAIL. */
void print_failing(const json_t *d)
{
        char limit[GROUPED_MAX], age[AGE_TEXT_MAX];
        json_t *destination;
        size_t i, n = 0;

        json_array_foreach(json_object_get(d, "destinations"), i, destination) {
                if (!is_true(destination, "connect_fails") || n++ >= LINES_MAX)
                        continue;
                printf(LABEL, "wrong");
                print_coloured(RED, "connect() fails now");
                fputs(" toward ", stdout);
                print_whose(destination, "name");
                printf("\n" LABEL "all %s ports are taken (EADDRNOTAVAIL)%s\n", "",
                       grouped(number_of(destination, "ports.used"), limit), age_text(d, age));
        }
        print_more(n, "top");
}

void print_wrong(const json_t *list)
{
        json_t *advice;
        size_t i;

        json_array_foreach(list, i, advice) {
                if (i == LINES_MAX)
                        break;
                print_advice_head(advice, (unsigned)printf(LABEL, "wrong"), INDENT);
        }
        print_more(json_array_size(list), "advice");
}

void print_all_advice(const json_t *list)
{
        json_t *advice;
        size_t i;

        if (json_array_size(list) == 0)
                puts("no advice");
        json_array_foreach(list, i, advice) {
                print_advice_head(advice, 0, 2);
                print_wrapped(text_of(advice, "description"), 2);
                print_wrapped(text_of(advice, "text"), 2);
        }
}

static void print_how_to_enforce(const json_t *d)
{
        const char *instance = text_of(d, "instance");
        char text[512], where[384] = "start it without --observe";
        json_t *value;
        size_t i;

        json_array_foreach(json_object_get(d, "config"), i, value)
                if (has_text(value, "section", "daemon") && has_text(value, "key", "mode") &&
                    has_text(value, "value", "observe"))
                        snprintf(where, sizeof(where),
                                 "set mode = enforce in %s:%.0f, then systemctl reload twtuned%s%s",
                                 text_of(value, "file"), number_of(value, "line"), *instance ? "@" : "", instance);
        snprintf(text, sizeof(text), "to let twtuned act: %s", where);
        print_wrapped_from(text, (unsigned)printf(LABEL, "do"), INDENT);
}

/* Prints the worst advice only. */
void print_to_do(const json_t *d)
{
        const json_t *advice = json_array_get(json_object_get(d, "advice"), 0);
        bool changed = json_array_size(json_object_get(d, "changes")) > 0;

        if (is_true(d, "paused"))
                printf(LABEL "to end the pause: twtunectl resume\n", "do");
        if (advice)
                print_wrapped_from(text_of(advice, "text"), (unsigned)printf(LABEL, is_true(d, "paused") ? "" : "do"),
                                   INDENT);
        else if (changed && has_text(d, "mode", "observe"))
                print_how_to_enforce(d);
        else if (changed && !is_true(d, "paused"))
                printf(LABEL "nothing: twtuned gives it back by itself\n", "do");
}

/* ---- changes ---- */

static void print_for(const json_t *d, const json_t *change)
{
        if (*text_of(change, "destination") || *text_of(change, "systemd_unit")) {
                printf(LABEL, "for");
                print_whose(change, "destination");
                putchar('\n');
        } else if (number_of(change, "since") > number_of(d, "up")) {
                printf(LABEL "twtuned was restarted since then; twtunectl history shows for whom\n", "for");
        }
}

static void print_change(const json_t *change)
{
        char time[TIME_TEXT_MAX];

        printf(LABEL "%s %s -> %s",
               is_true(change, "would")  ? "would set"
               : is_true(change, "left") ? "left"
                                         : "changed",
               text_of(change, "sysctl"), text_of(change, "was"), text_of(change, "now"));
        if (json_is_number(json_object_get(change, "since")))
                printf(", for %s", time_text(number_of(change, "since"), time));
        printf(", rule %s\n", text_of(change, "rule"));
}

static void print_effect(const json_t *change, const json_t *rule)
{
        const json_t *expect = json_object_get(rule, "expect");

        if (is_true(change, "would") || is_true(change, "left"))
                return;
        if (is_true(rule, "expecting"))
                printf(LABEL "unknown yet: waiting for %s (now %s)\n", "helped", text_of(expect, "text"),
                       text_of(expect, "now"));
        else if (json_is_number(json_object_get(change, "reused")))
                printf(LABEL "%.0f %% of new connections took a port in TIME_WAIT (%.0f a second)\n", "helped",
                       number_of(change, "reused"), number_of(change, "reused_per_second"));
        if (number_of(change, "unanswered") > 0)
                printf(LABEL "%.0f connects have waited 2 s and more for an answer\n", "",
                       number_of(change, "unanswered"));
}

/* A rule that became active again soon after its release takes longer to end, up to an hour (release_time()). */
static void print_longer(const json_t *rule, double seconds)
{
        double longer = fmin(seconds * number_of(rule, "release_times"), fmax(seconds, 3600));
        char time[TIME_TEXT_MAX];

        if (longer > seconds)
                printf(LABEL "this time for %s: it acted again soon after its release\n", "", time_text(longer, time));
}

static void print_end(const json_t *d, const json_t *change, const json_t *rule)
{
        const char *label = "until";
        char time[TIME_TEXT_MAX];
        json_t *condition;
        size_t i;

        if (is_true(change, "left")) {
                puts(has_text(d, "mode", "observe")
                             ? "  until     you stop twtuned and run: twtuned --restore"
                             : "  until     the old value can be written: twtuned keeps trying");
                return;
        }
        if (is_true(d, "paused")) {
                printf(LABEL "the pause ends\n", label);
                label = "and";
        }
        json_array_foreach(json_object_get(rule, "until"), i, condition) {
                printf(LABEL "%s (now %s", label, text_of(condition, "text"), text_of(condition, "now"));
                if (is_true(condition, "holds") && number_of(condition, "for") > 0)
                        printf(", for %s so far", time_text(number_of(condition, "held"), time));
                puts(")");
                print_longer(rule, number_of(condition, "for"));
                label = "and";
        }
        if (i > 0)
                return;
        printf(LABEL "a minute has passed in which none of its conditions held\n", label);
        print_longer(rule, 60);
}

/* True for the last change of its rule: one set of lines ("for", "until") follows all changes of a rule. */
static bool is_last_of_rule(const json_t *changes, size_t i)
{
        const json_t *change = json_array_get(changes, i);

        for (size_t k = i + 1; k < json_array_size(changes); k++)
                if (has_text(json_array_get(changes, k), "rule", text_of(change, "rule")))
                        return false;
        return true;
}

void print_changes(const json_t *d)
{
        const json_t *changes = json_object_get(d, "changes");
        json_t *change;
        size_t i;

        json_array_foreach(changes, i, change) {
                const json_t *rule = find_named(json_object_get(d, "rules"), text_of(change, "rule"));

                print_change(change);
                if (!is_last_of_rule(changes, i))
                        continue;
                print_for(d, change);
                print_effect(change, rule);
                print_end(d, change, rule);
        }
}

void print_left_alone(const json_t *d)
{
        json_t *sysctl;
        size_t i;

        json_array_foreach(json_object_get(d, "sysctls"), i, sysctl) {
                if (!is_true(sysctl, "rearm"))
                        continue;
                printf(LABEL "%s %s (%s): no rule changes it until: twtunectl rearm %s\n", "alone",
                       text_of(sysctl, "name"), text_of(sysctl, "value"), text_of(sysctl, "owner"),
                       sysctl_short_name(text_of(sysctl, "name")));
        }
}

/* ---- a healthy host ---- */

static double fullness(const json_t *destination)
{
        double limit = number_of(destination, "parity_limit");

        return limit > 0 ? number_of(destination, "parity_used") / limit : 0;
}

/* "854 of 1,000 even ports (85 %; 824 reusable) and 12 odd ones, 30 connects/s, seen 2s ago" */
static void format_ports(const json_t *d, const json_t *destination, char *buf, size_t size)
{
        double used = number_of(destination, "parity_used"), reusable = number_of(destination, "parity_reusable");
        double others = number_of(destination, "ports.used") - used;
        char number[GROUPED_MAX], limit[GROUPED_MAX], more[64] = "", odd[64] = "", age[AGE_TEXT_MAX];

        if (reusable > 0)
                snprintf(more, sizeof(more), "; %s reusable", grouped(reusable, number));
        if (others > 0)
                snprintf(odd, sizeof(odd), " and %s %s ones", grouped(others, number),
                         has_text(destination, "parity", "odd") ? "even" : "odd");
        snprintf(buf, size, "%s of %s %s ports (%.0f %%%s)%s, %.0f connects/s%s", grouped(used, number),
                 grouped(number_of(destination, "parity_limit"), limit), text_of(destination, "parity"),
                 100 * fullness(destination), more, odd, number_of(destination, "connects_per_second"),
                 age_text(d, age));
}

void print_fullest(const json_t *d)
{
        const json_t *fullest = NULL, *bound = find_named(json_object_get(d, "metrics"), "ports.cliff");
        char text[256], age[AGE_TEXT_MAX];
        json_t *item;
        size_t i;

        json_array_foreach(json_object_get(d, "destinations"), i, item)
                if (!fullest || fullness(item) > fullness(fullest))
                        fullest = item;
        if (fullest) {
                printf(LABEL "%s%s%s\n", "fullest", text_of(fullest, "name"),
                       *text_of(fullest, "systemd_unit") ? ", " : "", text_of(fullest, "systemd_unit"));
                format_ports(d, fullest, text, sizeof(text));
                print_wrapped_from(text, (unsigned)printf(LABEL, ""), INDENT);
        } else if (json_is_number(json_object_get(d, "destinations_seen"))) {
                printf(LABEL "none: nothing is connected from here%s\n", "fullest", age_text(d, age));
        } else if (has_text(bound, "state", "bounded") && json_is_number(json_object_get(bound, "upper"))) {
                printf(LABEL "no destination over %.0f %% of its ports\n", "fullest", ceil(number_of(bound, "upper")));
        }
}

/* Of the destinations in the last dump, returns the value that is nearest to meeting the condition; NAN: none. */
static double nearest_seen(const json_t *d, const char *metric, const char *op)
{
        double nearest = (double)NAN;
        json_t *destination;
        size_t i;

        json_array_foreach(json_object_get(d, "destinations"), i, destination)
                if (json_is_number(json_object_get(destination, metric)))
                        nearest = op[0] == '<' ? fmin(nearest, number_of(destination, metric))
                                               : fmax(nearest, number_of(destination, metric));
        return nearest;
}

/* Returns how near a condition is to holding, from 0 to 1: 1 if it holds, NAN if unknown. If its value is unknown or
 * only bounded, uses the value of the last dump. */
static double nearness(const json_t *d, const json_t *condition)
{
        double threshold = number_of(condition, "threshold"), value = number_of(condition, "value");
        const char *op = text_of(condition, "op");

        if (is_true(condition, "holds"))
                return 1;
        if (!json_is_number(json_object_get(condition, "value")) || has_text(condition, "state", "bounded"))
                value = nearest_seen(d, text_of(condition, "metric"), op);
        if (isnan(value))
                return (double)NAN;
        /* With <, a value equal to the threshold counts as 0: a switch such as tcp.timestamps (< 1) may stay there. */
        if (op[0] == '<')
                return value > threshold ? threshold / value : value < threshold ? 1 : 0;
        return threshold > 0 ? fmin(value / threshold, 1) : 0;
}

/* A rule is as near as the condition of `when` that is furthest from holding. */
static double rule_nearness(const json_t *d, const json_t *rule)
{
        double least = 1;
        json_t *condition;
        size_t i;

        if (!has_text(rule, "state", "idle") || json_array_size(json_object_get(rule, "when")) == 0)
                return (double)NAN;
        json_array_foreach(json_object_get(rule, "when"), i, condition) {
                double near = nearness(d, condition);

                least = isnan(near) || isnan(least) ? (double)NAN : fmin(least, near);
        }
        return least;
}

void print_closest(const json_t *d)
{
        const json_t *closest = NULL;
        double nearest = 0;
        json_t *rule;
        size_t i;

        json_array_foreach(json_object_get(d, "rules"), i, rule) {
                double near = rule_nearness(d, rule);

                if (!(near > nearest))
                        continue;
                closest = rule;
                nearest = near;
        }
        if (!closest)
                return;
        printf(LABEL "%s", "closest", text_of(closest, "name"));
        if (nearest < 1)
                printf(", at %.0f %% of its threshold\n", 100 * nearest);
        else /* all thresholds are reached: print what it waits for */
                printf(": %s\n", text_of(closest, "why"));
}

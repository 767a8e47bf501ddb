/* SPDX-License-Identifier: MIT */
#include "lib/config/rule.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/util/macro.h"
#include "lib/util/suggest.h"
#include "lib/util/units.h"

#define WORD_MAX 64
#define BLANKS " \t"

static const char *const comparison_texts[] = {
        [LESS] = "<", [LESS_EQUAL] = "<=", [GREATER] = ">", [GREATER_EQUAL] = ">=", [EQUAL] = "==", [NOT_EQUAL] = "!=",
};

const char *comparison_text(enum comparison op)
{
        return comparison_texts[op];
}

bool comparison_holds(enum comparison op, double a, double b)
{
        switch (op) {
        case LESS:
                return a < b;
        case LESS_EQUAL:
                return a <= b;
        case GREATER:
                return a > b;
        case GREATER_EQUAL:
                return a >= b;
        case EQUAL:
                return a == b;
        case NOT_EQUAL:
                break;
        }
        return a != b;
}

const char *metric_name(unsigned metric, const struct counters *counters)
{
        return metric < METRIC_COUNT ? metric_table[metric].name : counters->item[metric - METRIC_COUNT].name;
}

enum unit metric_unit(unsigned metric, const struct counters *counters)
{
        if (metric < METRIC_COUNT)
                return metric_table[metric].unit;
        return counters->item[metric - METRIC_COUNT].gauge ? UNIT_COUNT : UNIT_PER_SECOND;
}

/* Takes the next word off *p: up to a blank, or up to where an operator begins or ends. */
static bool word_next(const char **p, char word[static WORD_MAX])
{
        const char *s = *p + strspn(*p, BLANKS);
        size_t n = strspn(s, "<>=!");

        if (n == 0)
                n = strcspn(s, BLANKS "<>=!");
        if (n == 0 || n >= WORD_MAX)
                return false;
        memcpy(word, s, n);
        word[n] = 0;
        *p = s + n;
        return true;
}

static bool counter_is_builtin(const char *name)
{
        for (const char *const *known = counter_builtin; *known; known++)
                if (strcmp(*known, name) == 0)
                        return true;
        return false;
}

static bool counter_is_known(const struct vocabulary *v, const char *name)
{
        return (v->kernel && counters_find(v->kernel, name) < COUNTERS_MAX) || counter_is_builtin(name);
}

static void metric_unknown(const char *name, const struct vocabulary *v, struct origin at,
                           struct diagnostics *diagnostics)
{
        struct suggestion suggestion = SUGGESTION(name);
        char hint[128];

        for (unsigned i = 0; i < METRIC_COUNT; i++)
                suggestion_offer(&suggestion, metric_table[i].name);
        for (const char *const *known = counter_builtin; *known; known++)
                suggestion_offer(&suggestion, *known);
        for (unsigned i = 0; v->kernel && i < v->kernel->n; i++)
                suggestion_offer(&suggestion, v->kernel->item[i].name);
        diagnostic_add(diagnostics, at, "unknown metric '%s'%s", name, suggestion_hint(&suggestion, hint));
}

static int metric_parse(const char *name, struct vocabulary *v, struct origin at, unsigned *ret,
                        struct diagnostics *diagnostics)
{
        unsigned metric = metric_find(name), counter;

        if (metric < METRIC_COUNT) {
                *ret = metric;
                return 0;
        }
        if (!counter_is_known(v, name)) {
                metric_unknown(name, v, at, diagnostics);
                return -EINVAL;
        }
        counter = counters_add(v->wanted, name);
        if (counter == COUNTERS_MAX) {
                diagnostic_add(diagnostics, at, "more than %u counters are named", COUNTERS_MAX);
                return -EINVAL;
        }
        *ret = METRIC_COUNT + counter;
        return 0;
}

static int duration_word(const char *word, struct origin at, uint64_t *ret, struct diagnostics *diagnostics)
{
        int r = duration_parse(word, ret);

        if (r == -ERANGE)
                diagnostic_add(diagnostics, at, "'%s' is over a year", word);
        else if (r < 0)
                diagnostic_add(diagnostics, at, "'%s' is no duration: write a number and ms, s, min or h", word);
        return r < 0 ? -EINVAL : 0;
}

/* "WORD DURATION" at the end of a line; nothing is 0. */
static int time_parse(const char *p, const char *time_word, struct origin at, uint64_t *ret,
                      struct diagnostics *diagnostics)
{
        const char *rest = p + strspn(p, BLANKS);
        char word[WORD_MAX], duration[WORD_MAX];

        *ret = 0;
        if (*rest == 0)
                return 0;
        if (!word_next(&p, word) || strcmp(word, time_word) != 0 || !word_next(&p, duration) ||
            p[strspn(p, BLANKS)] != 0) {
                diagnostic_add(diagnostics, at, "'%s' is not understood: only '%s DURATION' may follow here", rest,
                               time_word);
                return -EINVAL;
        }
        return duration_word(duration, at, ret, diagnostics);
}

static int number_parse(const char *text, unsigned metric, struct vocabulary *v, struct origin at, double *ret,
                        struct diagnostics *diagnostics)
{
        static const char *const example[] = {
                [UNIT_COUNT] = "a number, k and M allowed", [UNIT_PERCENT] = "a number and %",
                [UNIT_PER_SECOND] = "a number and /s",      [UNIT_SECONDS] = "a number and ms, s, min or h",
                [UNIT_PER_MINUTE] = "a number and /min",    [UNIT_BYTES] = "a number and B, kB, MB or GB",
        };
        enum unit unit = metric_unit(metric, v->wanted);
        int r = number_with_unit_parse(text, unit, ret);

        if (r == -EINVAL)
                diagnostic_add(diagnostics, at, "'%s' is no number: %s takes %s", text, metric_name(metric, v->wanted),
                               example[unit]);
        if (r == -EDOM)
                diagnostic_add(diagnostics, at, "the unit of '%s' does not fit: %s takes %s", text,
                               metric_name(metric, v->wanted), example[unit]);
        return r < 0 ? -EINVAL : 0;
}

/* "METRIC OP NUMBER[UNIT]", with " for DURATION" or " within DURATION" if there is a time. It parses to the same. */
static void condition_format(struct condition *c, const char *time_word, const struct counters *counters)
{
        char time[DURATION_TEXT_MAX];
        int n = snprintf(c->text, sizeof(c->text), "%s %s %.10g%s", metric_name(c->metric, counters),
                         comparison_text(c->op), c->number, unit_suffix(metric_unit(c->metric, counters)));

        if (c->time_ns > 0)
                snprintf(c->text + n, sizeof(c->text) - (size_t)n, " %s %s", time_word,
                         duration_format(c->time_ns, time));
}

int condition_parse(const char *text, const char *time_word, struct origin at, struct vocabulary *v,
                    struct condition *ret, struct diagnostics *diagnostics)
{
        char name[WORD_MAX], op[WORD_MAX], number[WORD_MAX];
        struct condition c = {.at = at};
        const char *p = text;
        unsigned i = 0;

        if (!word_next(&p, name) || !word_next(&p, op) || !word_next(&p, number)) {
                diagnostic_add(diagnostics, at, "'%s' is no condition: write METRIC OP NUMBER[UNIT] [%s DURATION]",
                               text, time_word);
                return -EINVAL;
        }
        while (i < ELEMENTSOF(comparison_texts) && strcmp(comparison_texts[i], op) != 0)
                i++;
        if (i == ELEMENTSOF(comparison_texts)) {
                diagnostic_add(diagnostics, at, "'%s' is no operator: use < <= > >= == or !=", op);
                return -EINVAL;
        }
        c.op = (enum comparison)i;
        if (metric_parse(name, v, at, &c.metric, diagnostics) < 0 ||
            number_parse(number, c.metric, v, at, &c.number, diagnostics) < 0 ||
            time_parse(p, time_word, at, &c.time_ns, diagnostics) < 0)
                return -EINVAL;
        condition_format(&c, time_word, v->wanted);
        *ret = c;
        return 0;
}

int abort_parse(const char *text, struct origin at, struct vocabulary *v, struct abort_condition *ret,
                struct diagnostics *diagnostics)
{
        char word[5][WORD_MAX], duration[WORD_MAX], within[DURATION_TEXT_MAX];
        struct abort_condition a = {.at = at};
        const char *p = text;
        unsigned n = 0;

        while (n < ELEMENTSOF(word) && word_next(&p, word[n]))
                n++;
        if (n < ELEMENTSOF(word) || strcmp(word[1], ">") != 0 || strcmp(word[3], "before") != 0 ||
            strcmp(word[4], "within") != 0 || !word_next(&p, duration) || p[strspn(p, BLANKS)] != 0 ||
            multiple_parse(word[2], &a.multiple) < 0) {
                diagnostic_add(diagnostics, at, "'%s' is not understood: write METRIC > Nx before within DURATION",
                               text);
                return -EINVAL;
        }
        if (metric_parse(word[0], v, at, &a.metric, diagnostics) < 0 ||
            duration_word(duration, at, &a.within_ns, diagnostics) < 0)
                return -EINVAL;
        if (a.within_ns == 0) {
                diagnostic_add(diagnostics, at, "within what time? 'within 0s' watches nothing");
                return -EINVAL;
        }
        if (metric_is_ports(a.metric)) {
                diagnostic_add(diagnostics, at, "%s belongs to a destination, abort needs a metric of the host",
                               word[0]);
                return -EINVAL;
        }
        snprintf(a.text, sizeof(a.text), "%s > %gx before within %s", metric_name(a.metric, v->wanted), a.multiple,
                 duration_format(a.within_ns, within));
        *ret = a;
        return 0;
}

void sysctl_unknown(const char *name, struct origin at, struct diagnostics *diagnostics)
{
        struct suggestion suggestion = SUGGESTION(name);
        char hint[128];

        for (unsigned i = 0; i < SYSCTL_COUNT; i++)
                suggestion_offer(&suggestion, sysctl_table[i].name);
        diagnostic_add(diagnostics, at, "unknown sysctl '%s'%s", name, suggestion_hint(&suggestion, hint));
}

static void action_not_understood(enum action_kind kind, const char *text, struct origin at,
                                  struct diagnostics *diagnostics)
{
        static const char *const form[] = {
                [ACTION_SET] = "SYSCTL = VALUE",
                [ACTION_RAISE] = "SYSCTL xN max LIMIT",
                [ACTION_LOWER] = "SYSCTL /N min LIMIT",
        };

        diagnostic_add(diagnostics, at, "'%s' is not understood: write %s", text, form[kind]);
}

/* What stands between the name and the value: "=", "xN max" or "/N min". */
static bool action_middle(const char **p, struct action *action)
{
        char word[WORD_MAX], limit[WORD_MAX];

        if (!word_next(p, word))
                return false;
        if (action->kind == ACTION_SET)
                return strcmp(word, "=") == 0;
        if (word[0] != (action->kind == ACTION_RAISE ? 'x' : '/') || factor_parse(word + 1, &action->factor) < 0)
                return false;
        return action->factor > 1 && action->factor <= 100 && word_next(p, limit) &&
               strcmp(limit, action->kind == ACTION_RAISE ? "max" : "min") == 0;
}

static int action_value(const char *text, struct action *action, struct diagnostics *diagnostics)
{
        const struct sysctl *s = &sysctl_table[action->sysctl];
        char reason[256];

        text += strspn(text, BLANKS);
        if (!s->never && action->kind != ACTION_SET && s->n != 1) {
                diagnostic_add(diagnostics, action->at, "%s has %u numbers: it can only be set", s->name, s->n);
                return -EINVAL;
        }
        if (!s->never && sysctl_parse(action->sysctl, text, &action->value) < 0) {
                diagnostic_add(diagnostics, action->at, "'%s' is no value for %s: it takes %u number%s", text, s->name,
                               s->n, s->n == 1 ? "" : "s");
                return -EINVAL;
        }
        if (sysctl_check(action->sysctl, &action->value, reason, sizeof(reason)) < 0) {
                diagnostic_add(diagnostics, action->at, "%s", reason);
                return -EINVAL;
        }
        if (action->kind == ACTION_LOWER && s->direction == SYSCTL_RAISE) {
                diagnostic_add(diagnostics, action->at, "%s is only ever raised", s->name);
                return -EINVAL;
        }
        return 0;
}

/* It parses to the same. */
static void action_format(struct action *action)
{
        const char *name = sysctl_table[action->sysctl].name;
        bool raise = action->kind == ACTION_RAISE;
        char value[SYSCTL_TEXT_MAX];

        sysctl_format(&action->value, value);
        if (action->kind == ACTION_SET)
                snprintf(action->text, sizeof(action->text), "%s = %s", name, value);
        else
                snprintf(action->text, sizeof(action->text), "%s %c%g %s %s", name, raise ? 'x' : '/', action->factor,
                         raise ? "max" : "min", value);
}

int action_parse(enum action_kind kind, const char *text, struct origin at, struct action *ret,
                 struct diagnostics *diagnostics)
{
        struct action action = {.kind = kind, .at = at};
        char name[WORD_MAX];
        const char *p = text;

        if (!word_next(&p, name) || !action_middle(&p, &action)) {
                action_not_understood(kind, text, at, diagnostics);
                return -EINVAL;
        }
        action.sysctl = sysctl_find(name);
        if (action.sysctl == SYSCTL_COUNT) {
                sysctl_unknown(name, at, diagnostics);
                return -EINVAL;
        }
        if (action_value(p, &action, diagnostics) < 0)
                return -EINVAL;
        action_format(&action);
        *ret = action;
        return 0;
}

/* "min N" or "max N" off *p, each once. */
static bool bound_next(const char **p, struct sysctl_bounds *bounds, bool given[static 2])
{
        char word[WORD_MAX], number[WORD_MAX], *end;
        bool max;

        if (!word_next(p, word) || !word_next(p, number))
                return false;
        max = strcmp(word, "max") == 0;
        if ((!max && strcmp(word, "min") != 0) || given[max])
                return false;
        given[max] = true;
        *(max ? &bounds->max : &bounds->min) = strtoll(number, &end, 10);
        return *end == 0;
}

int bounds_parse(enum sysctl_id id, const char *text, struct origin at, struct sysctl_bounds *ret,
                 struct diagnostics *diagnostics)
{
        const struct sysctl *s = &sysctl_table[id];
        struct sysctl_bounds bounds = s->bounds;
        bool good = true, given[2] = {false, false};
        const char *p = text;

        if (s->never) {
                diagnostic_add(diagnostics, at, "%s is never written: %s", s->name, s->never);
                return -EINVAL;
        }
        do
                good = bound_next(&p, &bounds, given);
        while (good && *(p += strspn(p, BLANKS)));
        if (!good)
                diagnostic_add(diagnostics, at, "'%s' is not understood: write max N, min N, or both", text);
        else if (bounds.min < s->bounds.min || bounds.max > s->bounds.max)
                diagnostic_add(diagnostics, at,
                               "'%s' would widen the bounds of %s, %" PRId64 "-%" PRId64 ": they can only be narrowed",
                               text, s->name, s->bounds.min, s->bounds.max);
        else if (bounds.min > bounds.max)
                diagnostic_add(diagnostics, at, "'%s' leaves no value for %s", text, s->name);
        else
                *ret = bounds;
        return good && ret->min == bounds.min && ret->max == bounds.max ? 0 : -EINVAL;
}

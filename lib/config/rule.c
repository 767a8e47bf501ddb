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

/* A line while it is read. */
struct line {
        const char *text, *rest; /* the whole line, and its unread rest */
        struct origin at;
        struct diagnostics *diagnostics;
};

/* Reports an error in the current line. The value of the expression is -EINVAL. */
#define reject(...) (diagnostic_add(line->diagnostics, line->at, __VA_ARGS__), -EINVAL)

static const char *const comparison_texts[] = {
        [LESS] = "<", [LESS_EQUAL] = "<=", [GREATER] = ">", [GREATER_EQUAL] = ">=", [EQUAL] = "==", [NOT_EQUAL] = "!=",
};

const char *comparison_text(enum comparison op)
{
        return comparison_texts[op];
}

const struct condition *rule_ports_condition(const struct rule *rule)
{
        for (unsigned k = 0; k < rule->n_when; k++)
                if (metric_is_ports(rule->when[k].metric))
                        return &rule->when[k];
        return NULL;
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

/* Takes the next word: up to a blank, or up to the start or end of an operator. Returns false at the end of the line,
 * and for a word that does not fit. */
static bool word_next(struct line *line, char word[static WORD_MAX])
{
        const char *s = line->rest + strspn(line->rest, BLANKS);
        size_t n = strspn(s, "<>=!");

        if (n == 0)
                n = strcspn(s, BLANKS "<>=!");
        if (n == 0 || n >= WORD_MAX)
                return false;
        memcpy(word, s, n);
        word[n] = 0;
        line->rest = s + n;
        return true;
}

static bool line_ends(const struct line *line)
{
        return line->rest[strspn(line->rest, BLANKS)] == 0;
}

static bool counter_is_known(const struct vocabulary *v, const char *name)
{
        bool known = v->kernel && counters_find(v->kernel, name) < COUNTERS_MAX;

        for (const char *const *builtin = counter_builtin; *builtin && !known; builtin++)
                known = strcmp(*builtin, name) == 0;
        return known;
}

static int metric_unknown(struct line *line, const struct vocabulary *v, const char *name)
{
        struct suggestion suggestion = SUGGESTION(name);
        char hint[128];

        for (unsigned i = 0; i < METRIC_COUNT; i++)
                suggestion_offer(&suggestion, metric_table[i].name);
        for (const char *const *builtin = counter_builtin; *builtin; builtin++)
                suggestion_offer(&suggestion, *builtin);
        for (unsigned i = 0; v->kernel && i < v->kernel->n; i++)
                suggestion_offer(&suggestion, v->kernel->item[i].name);
        return reject("unknown metric '%s'%s", name, suggestion_hint(&suggestion, hint));
}

static int metric_parse(struct line *line, struct vocabulary *v, const char *name, unsigned *ret)
{
        unsigned metric = metric_find(name), counter;

        if (metric < METRIC_COUNT) {
                *ret = metric;
                return 0;
        }
        if (!counter_is_known(v, name))
                return metric_unknown(line, v, name);
        counter = counters_add(v->wanted, name);
        if (counter == COUNTERS_MAX)
                return reject("the rules name more than %u kernel counters", COUNTERS_MAX);
        *ret = METRIC_COUNT + counter;
        return 0;
}

int duration_read(const char *text, struct origin at, uint64_t *ret_ns, struct diagnostics *diagnostics)
{
        int r = duration_parse(text, ret_ns);

        if (r == -ERANGE)
                diagnostic_add(diagnostics, at, "duration '%s' is longer than a year", text);
        else if (r < 0)
                diagnostic_add(diagnostics, at, "invalid duration '%s': write a number and ms, s, min or h", text);
        return r < 0 ? -EINVAL : 0;
}

/* Parses "WORD DURATION" at the end of a line; without it the time is 0. */
static int time_parse(struct line *line, const char *time_word, uint64_t *ret)
{
        const char *begin = line->rest + strspn(line->rest, BLANKS);
        char word[WORD_MAX], duration[WORD_MAX];

        *ret = 0;
        if (*begin == 0)
                return 0;
        if (!word_next(line, word) || strcmp(word, time_word) != 0 || !word_next(line, duration) || !line_ends(line))
                return reject("unexpected '%s': only '%s DURATION' may follow here", begin, time_word);
        return duration_read(duration, line->at, ret, line->diagnostics);
}

static int threshold_parse(struct line *line, const struct vocabulary *v, const char *text, unsigned metric,
                           double *ret)
{
        static const char *const form[] = {
                [UNIT_COUNT] = "a number, k and M allowed", [UNIT_PERCENT] = "a number and %",
                [UNIT_PER_SECOND] = "a number and /s",      [UNIT_SECONDS] = "a number and ms, s, min or h",
                [UNIT_PER_MINUTE] = "a number and /min",    [UNIT_BYTES] = "a number and B, kB, MB or GB",
        };
        enum unit unit = metric_unit(metric, v->wanted);
        int r = number_with_unit_parse(text, unit, ret);

        return r == 0 ? 0
                      : reject("invalid %s '%s': %s takes %s", r == -EDOM ? "unit in" : "number", text,
                               metric_name(metric, v->wanted), form[unit]);
}

static int comparison_parse(struct line *line, const char *text, enum comparison *ret)
{
        for (enum comparison op = LESS; op <= NOT_EQUAL; op++)
                if (strcmp(comparison_texts[op], text) == 0) {
                        *ret = op;
                        return 0;
                }
        return reject("invalid operator '%s': use < <= > >= == or !=", text);
}

/* Copies the text of a condition into texts, which has room for as many as a configuration can have. The text of a
 * condition that a later file replaces stays in texts, so the room may run out: returns "" then. */
static const char *keep_text(struct condition_texts *texts, const char *text)
{
        size_t n = strlen(text) + 1;
        char *kept = texts->text + texts->used;

        if (n > sizeof(texts->text) - texts->used)
                return "";
        texts->used += n;
        return memcpy(kept, text, n);
}

static void condition_format(struct condition *c, const char *time_word, const struct vocabulary *v)
{
        char text[RULE_TEXT_MAX], number[NUMBER_TEXT_MAX], time[DURATION_TEXT_MAX];
        int n = snprintf(text, sizeof(text), "%s %s %s%s", metric_name(c->metric, v->wanted), comparison_text(c->op),
                         number_format(c->number, number), unit_suffix(metric_unit(c->metric, v->wanted)));

        if (c->time_ns > 0)
                snprintf(text + n, sizeof(text) - (size_t)n, " %s %s", time_word, duration_format(c->time_ns, time));
        c->text = keep_text(v->texts, text);
}

int condition_parse(const char *text, const char *time_word, struct origin at, struct vocabulary *v,
                    struct condition *ret, struct diagnostics *diagnostics)
{
        struct line *line = &(struct line){text, text, at, diagnostics};
        char name[WORD_MAX], op[WORD_MAX], number[WORD_MAX];
        struct condition c = {.at = at};

        if (!word_next(line, name) || !word_next(line, op) || !word_next(line, number))
                return reject("invalid condition '%s': write METRIC OP NUMBER[UNIT] [%s DURATION]", text, time_word);
        if (comparison_parse(line, op, &c.op) < 0 || metric_parse(line, v, name, &c.metric) < 0 ||
            threshold_parse(line, v, number, c.metric, &c.number) < 0 || time_parse(line, time_word, &c.time_ns) < 0)
                return -EINVAL;
        condition_format(&c, time_word, v);
        *ret = c;
        return 0;
}

int abort_parse(const char *text, struct origin at, struct vocabulary *v, struct abort_condition *ret,
                struct diagnostics *diagnostics)
{
        struct line *line = &(struct line){text, text, at, diagnostics};
        char word[6][WORD_MAX], multiple[NUMBER_TEXT_MAX], within[DURATION_TEXT_MAX], form[RULE_TEXT_MAX];
        struct abort_condition a = {.at = at};
        unsigned n = 0;

        while (n < ELEMENTSOF(word) && word_next(line, word[n]))
                n++;
        if (n < ELEMENTSOF(word) || strcmp(word[1], ">") != 0 ||
            number_with_unit_parse(word[2], UNIT_MULTIPLE, &a.multiple) < 0 || a.multiple <= 0 ||
            strcmp(word[3], "before") != 0 || strcmp(word[4], "within") != 0 || !line_ends(line))
                return reject("invalid condition '%s': write METRIC > Nx before within DURATION", text);
        if (metric_parse(line, v, word[0], &a.metric) < 0 || duration_read(word[5], at, &a.within_ns, diagnostics) < 0)
                return -EINVAL;
        if (a.within_ns == 0)
                return reject("abort needs a time: 'within %s' watches nothing", word[5]);
        if (metric_is_ports(a.metric) && a.metric != METRIC_PORTS_SYN_WAITING)
                return reject("abort cannot compare %s with its value before the change: of the metrics of a "
                              "destination it accepts only ports.syn_waiting",
                              word[0]);
        snprintf(form, sizeof(form), "%s > %sx before within %s", metric_name(a.metric, v->wanted),
                 number_format(a.multiple, multiple), duration_format(a.within_ns, within));
        a.text = keep_text(v->texts, form);
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

static const struct {
        char sign; /* begins the word after the sysctl's name; the factor follows */
        const char *limit, *form;
} action_forms[] = {
        [ACTION_SET] = {'=', NULL, "SYSCTL = VALUE"},
        [ACTION_RAISE] = {'x', "max", "SYSCTL xN max LIMIT"},
        [ACTION_LOWER] = {'/', "min", "SYSCTL /N min LIMIT"},
};

/* Parses the words between the name and the value: "=", "xN max" or "/N min". */
static bool action_middle(struct line *line, struct action *action)
{
        char word[WORD_MAX], limit[WORD_MAX];

        if (!word_next(line, word) || word[0] != action_forms[action->kind].sign)
                return false;
        if (action->kind == ACTION_SET)
                return word[1] == 0;
        return number_with_unit_parse(word + 1, UNIT_FACTOR, &action->factor) == 0 && action->factor > 1 &&
               action->factor <= 100 && word_next(line, limit) && strcmp(limit, action_forms[action->kind].limit) == 0;
}

static int action_value(struct line *line, struct action *action)
{
        const struct sysctl *s = &sysctl_table[action->sysctl];
        const char *value = line->rest + strspn(line->rest, BLANKS);
        char reason[256];

        if (!s->never && action->kind != ACTION_SET && s->n != 1)
                return reject("%s has %u numbers: it can be set, not raised or lowered", s->name, s->n);
        if (!s->never && sysctl_parse(action->sysctl, value, &action->value) < 0)
                return reject("invalid value '%s' for %s: it takes %u number%s", value, s->name, s->n,
                              s->n == 1 ? "" : "s");
        if (sysctl_check(action->sysctl, &action->value, reason, sizeof(reason)) < 0)
                return reject("%s", reason);
        if (action->kind == ACTION_LOWER && s->direction == SYSCTL_RAISE)
                return reject("%s can only be raised", s->name);
        return 0;
}

const char *action_format(const struct action *action, char buf[static RULE_TEXT_MAX])
{
        const char *name = sysctl_table[action->sysctl].name;
        char value[SYSCTL_TEXT_MAX], factor[NUMBER_TEXT_MAX];

        sysctl_format(&action->value, value);
        if (action->kind == ACTION_SET)
                snprintf(buf, RULE_TEXT_MAX, "%s = %s", name, value);
        else
                snprintf(buf, RULE_TEXT_MAX, "%s %c%s %s %s", name, action_forms[action->kind].sign,
                         number_format(action->factor, factor), action_forms[action->kind].limit, value);
        return buf;
}

int action_parse(enum action_kind kind, const char *text, struct origin at, struct action *ret,
                 struct diagnostics *diagnostics)
{
        struct line *line = &(struct line){text, text, at, diagnostics};
        struct action action = {.kind = kind, .at = at};
        char name[WORD_MAX];

        if (!word_next(line, name) || !action_middle(line, &action))
                return reject("invalid value '%s': write %s", text, action_forms[kind].form);
        action.sysctl = sysctl_find(name);
        if (action.sysctl == SYSCTL_COUNT) {
                sysctl_unknown(name, at, diagnostics);
                return -EINVAL;
        }
        if (action_value(line, &action) < 0)
                return -EINVAL;
        *ret = action;
        return 0;
}

/* Parses "min N" or "max N", each at most once. */
static bool bound_next(struct line *line, struct sysctl_bounds *bounds, bool given[static 2])
{
        char word[WORD_MAX], number[WORD_MAX], *end;
        bool max;

        if (!word_next(line, word) || !word_next(line, number))
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
        struct line *line = &(struct line){text, text, at, diagnostics};
        const struct sysctl *s = &sysctl_table[id];
        struct sysctl_bounds bounds = s->bounds;
        bool given[2] = {false, false};

        if (s->never)
                return reject("%s is never written: %s", s->name, s->never);
        do {
                if (!bound_next(line, &bounds, given))
                        return reject("invalid bounds '%s': write max N, min N or both", text);
        } while (!line_ends(line));
        if (bounds.min < s->bounds.min || bounds.max > s->bounds.max)
                return reject("'%s' widens the bounds of %s, %" PRId64 "-%" PRId64 ": they can only be narrowed", text,
                              s->name, s->bounds.min, s->bounds.max);
        if (bounds.min > bounds.max)
                return reject("'%s' leaves no value for %s", text, s->name);
        *ret = bounds;
        return 0;
}

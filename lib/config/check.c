/* SPDX-License-Identifier: MIT */
/* The errors that only show in the whole configuration. */

#include <math.h>
#include <string.h>

#include "lib/config/config.h"
#include "lib/util/macro.h"
#include "lib/util/suggest.h"

struct check {
        struct config *config;
        struct diagnostics *diagnostics;
};

/* Reports an error that the check c has found. */
#define fail(at, ...) diagnostic_add(c->diagnostics, at, __VA_ARGS__)

/* Sets the index of the rule that 'after' names. */
static void check_after(const struct check *c, struct rule *rule)
{
        struct suggestion suggestion = SUGGESTION(rule->after_name);
        char hint[128];

        rule->after = RULE_NONE;
        for (unsigned i = 0; i < c->config->n_rules; i++)
                if (strcmp(c->config->rule[i].name, rule->after_name) == 0)
                        rule->after = i;
        if (rule->after != RULE_NONE || rule->after_name[0] == 0)
                return;
        for (unsigned i = 0; i < c->config->n_rules; i++)
                suggestion_offer(&suggestion, c->config->rule[i].name);
        fail(rule->after_at, "unknown rule '%s'%s", rule->after_name, suggestion_hint(&suggestion, hint));
}

/* Returns the first rule that supersedes the rule's first action, if all of its actions are superseded; else
 * RULE_NONE. */
static unsigned successor(const struct rule *rule)
{
        for (unsigned k = 0; k < rule->n_actions; k++)
                if (rule->superseded_by[k] == 0)
                        return RULE_NONE;
        return rule->n_actions > 0 ? (unsigned)__builtin_ctzll(rule->superseded_by[0]) : RULE_NONE;
}

/* The rule that has to be in effect before this one: the rule that 'after' names; if it is superseded, the rule that
 * supersedes it; if it is disabled, its own prerequisite. prerequisite_of() of the policy finds the same rule while
 * all rules are available and no superseded rule is active. */
static unsigned comes_before(const struct config *config, unsigned index)
{
        const struct rule *rule = config->rule;
        unsigned below = rule[index].after;

        for (unsigned steps = 0; below != RULE_NONE && steps < config->n_rules; steps++) {
                unsigned other = successor(&rule[below]);

                if (other != RULE_NONE && other != index)
                        return other;
                if (other == RULE_NONE && !rule[below].disabled)
                        break;
                below = rule[below].after;
        }
        return below;
}

static unsigned named_after(const struct config *config, unsigned index)
{
        return config->rule[index].after;
}

/* True if the rule comes after itself. */
static bool is_in_circle(const struct config *config, unsigned index,
                         unsigned (*before)(const struct config *config, unsigned index))
{
        unsigned next = before(config, index);

        for (unsigned steps = 1; next != RULE_NONE && next != index && steps < config->n_rules; steps++)
                next = before(config, next);
        return next == index;
}

static void check_circle(const struct check *c, unsigned index)
{
        const struct rule *rule = &c->config->rule[index];

        if (is_in_circle(c->config, index, named_after))
                fail(rule->after_at, "'after' forms a circle: no rule can be the first");
        else if (!rule->disabled && is_in_circle(c->config, index, comes_before))
                fail(rule->after_at,
                     "'after' forms a circle, as a rule that supersedes another takes its place: no rule can be "
                     "the first");
}

static bool actions_agree(const struct action *a, const struct action *b)
{
        return a->kind == ACTION_SET && b->kind == ACTION_SET && sysctl_equal(&a->value, &b->value);
}

static bool is_vendors(const struct config *config, const struct origin *at)
{
        for (unsigned i = 0; i < config->n_files; i++)
                if (config->file[i] == at->file && (config->vendor_files >> i & 1))
                        return true;
        return false;
}

/* If two actions contradict each other, the administrator's supersedes the vendor's, so that an upgrade of the
 * vendor's rules causes no error. Returns false if both are the vendor's, or both the administrator's. */
static bool supersede(struct config *config, unsigned rule_a, unsigned a, unsigned rule_b, unsigned b)
{
        struct rule *one = &config->rule[rule_a], *other = &config->rule[rule_b];
        bool vendors = is_vendors(config, &one->action[a].at);

        if (vendors == is_vendors(config, &other->action[b].at))
                return false;
        if (vendors)
                one->superseded_by[a] |= UINT64_C(1) << rule_b;
        else
                other->superseded_by[b] |= UINT64_C(1) << rule_a;
        return true;
}

/* A rule that is disabled or only observes contradicts no other rule. */
static bool may_write(const struct rule *rule)
{
        return !rule->disabled && !rule->observe;
}

/* Returns the first other action on the same sysctl: one of an earlier rule that contradicts this action, or an
 * earlier one of this rule. NULL: none. If one of two contradicting actions supersedes the other, records that
 * instead. */
static const struct action *find_other(struct config *config, unsigned index, unsigned n)
{
        const struct action *action = &config->rule[index].action[n];

        for (unsigned i = 0; i <= index; i++) {
                const struct rule *other = &config->rule[i];

                for (unsigned k = 0; k < other->n_actions && &other->action[k] != action; k++)
                        if (other->action[k].sysctl == action->sysctl &&
                            (i == index ||
                             (may_write(other) && may_write(&config->rule[index]) &&
                              !actions_agree(&other->action[k], action) && !supersede(config, i, k, index, n))))
                                return &other->action[k];
        }
        return NULL;
}

static void check_opposites(const struct check *c, unsigned index)
{
        const struct rule *rule = &c->config->rule[index];
        char a[SYSCTL_TEXT_MAX], b[SYSCTL_TEXT_MAX];

        for (unsigned i = 0; i < rule->n_actions && !rule->disabled; i++) {
                const struct action *action = &rule->action[i], *other = find_other(c->config, index, i);
                const char *name = sysctl_table[action->sysctl].name;

                if (other && actions_agree(other, action))
                        fail(action->at, "%s is set twice in one rule", name);
                else if (other && action->kind == ACTION_SET && other->kind == ACTION_SET)
                        fail(action->at, "%s = %s, but %s:%u sets %s: all rules must set the same value", name,
                             sysctl_format(&action->value, a), other->at.file, other->at.line,
                             sysctl_format(&other->value, b));
                else if (other)
                        fail(action->at,
                             "%s is also changed at %s:%u: a sysctl that is raised or lowered may not be "
                             "changed anywhere else",
                             name, other->at.file, other->at.line);
        }
}

/* Checks the value of each action against [limits]. The value of a set must be inside. A raise stops at a narrowed
 * max, and a lower at a narrowed min, so its limit may be beyond this bound, but not beyond the other one. A port
 * range stops at both bounds, so any range is accepted. */
static void check_bounds(const struct check *c, const struct rule *rule)
{
        char reason[256];

        for (unsigned i = 0; i < rule->n_actions && !rule->disabled; i++) {
                const struct action *action = &rule->action[i];
                const struct origin *at = &c->config->bounds_at[action->sysctl];
                struct sysctl_bounds bounds = c->config->bounds[action->sysctl];

                if (action->kind == ACTION_RAISE)
                        bounds.max = sysctl_table[action->sysctl].bounds.max;
                if (action->kind == ACTION_LOWER)
                        bounds.min = sysctl_table[action->sysctl].bounds.min;
                if (action->sysctl != SYSCTL_IP_LOCAL_PORT_RANGE &&
                    sysctl_check_bounds(action->sysctl, &action->value, &bounds, reason, sizeof(reason)) < 0)
                        fail(action->at, "%s (narrowed in %s:%u)", reason, at->file, at->line);
        }
}

/* The values of a metric for which some conditions hold. */
struct span {
        double low, high;
        bool low_open, high_open;
        bool whole; /* only whole numbers, for which both ends are closed */
};

static struct span span_of_metric(unsigned metric, const struct counters *counters)
{
        enum unit unit = metric_unit(metric, counters);
        struct span span = {.low = 0, .high = INFINITY, .whole = unit == UNIT_COUNT || unit == UNIT_BYTES};

        if (metric < METRIC_COUNT && metric_table[metric].most > 0)
                span.high = metric_table[metric].most;
        if (metric >= METRIC_COUNT && counters->item[metric - METRIC_COUNT].gauge)
                span.low = -INFINITY;
        return span;
}

/* Moves both ends to the whole numbers inside. */
static void span_round(struct span *s)
{
        s->low = s->low_open ? floor(s->low) + 1 : ceil(s->low);
        s->high = s->high_open ? ceil(s->high) - 1 : floor(s->high);
        s->low_open = s->high_open = false;
}

static void span_narrow(struct span *s, const struct condition *condition)
{
        enum comparison op = condition->op;
        double number = condition->number;
        bool open = op == LESS || op == GREATER;

        if (op == NOT_EQUAL) {
                s->low_open |= number == s->low;
                s->high_open |= number == s->high;
        }
        if ((op == GREATER || op == GREATER_EQUAL || op == EQUAL) && (number > s->low || (number == s->low && open))) {
                s->low = number;
                s->low_open = open;
        }
        if ((op == LESS || op == LESS_EQUAL || op == EQUAL) && (number < s->high || (number == s->high && open))) {
                s->high = number;
                s->high_open = open;
        }
        if (s->whole)
                span_round(s);
}

static bool span_is_empty(const struct span *s)
{
        return s->low > s->high || (s->low == s->high && (s->low_open || s->high_open));
}

/* Narrows the span by the conditions on the metric. Returns true if there are any. Applies the list n times: a !=
 * narrows the span only if its number is an end of the span, and a later condition may make it an end. */
static bool span_narrow_by_all(struct span *s, const struct condition *list, unsigned n, unsigned metric)
{
        bool named = false;

        for (unsigned i = 0; i < n * n; i++)
                if (list[i % n].metric == metric) {
                        span_narrow(s, &list[i % n]);
                        named = true;
                }
        return named;
}

/* Disables a rule for the reason in error; NULL: there was no memory for it. */
static void disable(struct rule *rule, struct diagnostic *error)
{
        rule->disabled = true;
        if (error)
                error->rule_off = true;
}

/* Reports the first condition that no value can meet, alone or together with those before it, and disables the rule.
 * Returns false then. */
static bool check_reach(const struct check *c, struct rule *rule, const struct condition *list, unsigned n)
{
        for (unsigned k = 0; k < n; k++) {
                const struct condition *one = &list[k];
                struct span all = span_of_metric(one->metric, &c->config->counters), alone = all, together = all;

                span_narrow(&alone, one);
                span_narrow_by_all(&together, list, k + 1, one->metric);
                if (span_is_empty(&alone) && all.whole && floor(one->number) < one->number)
                        disable(rule, fail(one->at, "\"%s\" never holds: the metric is a whole number", one->text));
                else if (span_is_empty(&alone))
                        disable(rule, fail(one->at, "\"%s\" never holds: the metric goes from 0 to %g", one->text,
                                           all.high));
                else if (span_is_empty(&together))
                        disable(rule,
                                fail(one->at, "\"%s\" never holds together with the conditions before it", one->text));
                else
                        continue;
                return false;
        }
        return true;
}

/* Reports an `until` that can hold at the same values as `when`. If `until` uses a metric that `when` does not use,
 * such values are likely but not certain: adds only a warning, and none if a line of `until` has a time. */
static void check_until(const struct check *c, const struct rule *rule)
{
        const struct condition *elsewhere = NULL;
        uint64_t wait_ns = 0;

        for (unsigned k = 0; k < rule->n_until; k++) {
                unsigned metric = rule->until[k].metric;
                struct span span = span_of_metric(metric, &c->config->counters);
                bool in_when = false;

                for (unsigned pass = 0; pass < rule->n_when + rule->n_until; pass++) {
                        in_when = span_narrow_by_all(&span, rule->when, rule->n_when, metric);
                        span_narrow_by_all(&span, rule->until, rule->n_until, metric);
                }
                if (in_when && span_is_empty(&span))
                        return;
                if (!in_when && !elsewhere)
                        elsewhere = &rule->until[k];
                wait_ns = MAX(wait_ns, rule->until[k].time_ns);
        }
        if (rule->n_until > 0 && !elsewhere)
                fail(rule->until[0].at,
                     "'until' contradicts 'when': the rule would be released at the values at which it acts");
        else if (elsewhere && wait_ns == 0)
                diagnostic_add(&c->config->warnings, elsewhere->at,
                               "'until' uses %s, which no 'when' uses, and has no 'for': while 'when' and 'until' "
                               "both hold, the rule acts and is released again and again",
                               metric_name(elsewhere->metric, &c->config->counters));
}

/* Reports `for-destination`, `for-unit`, and `expect` with a ports.*, in a rule whose `when` has no ports.*. */
static void check_evidence(const struct check *c, const struct rule *rule)
{
        if (rule->has_expect && metric_is_ports(rule->expect.metric) && !rule_ports_condition(rule))
                fail(rule->expect.at,
                     "'expect' uses %s, so 'when' needs a metric of a destination as well (such as ports.cliff), "
                     "which selects the destination",
                     metric_table[rule->expect.metric].name);
        if (rule->n_destinations > 0 && !rule_ports_condition(rule))
                fail(rule->destination_at,
                     "'for-destination' needs a metric of a destination (such as ports.cliff) in 'when'");
        if (rule->units != 0 && !rule_ports_condition(rule))
                fail(rule->units_at,
                     "'for-unit' needs a metric of a destination (such as ports.cliff) in 'when', as it selects "
                     "destinations");
}

static void check_whole(const struct check *c, struct rule *rule)
{
        double changes = c->config->changes_per_minute;

        if (rule->n_when == 0 && rule->n_actions == 0 && !rule->advise)
                fail(rule->at, "rule %s is empty: it needs 'when' and 'set' or 'advise'", rule->name);
        else if (rule->n_when == 0)
                fail(rule->at, "rule %s has no 'when'", rule->name);
        else if (rule->n_actions == 0 && !rule->advise)
                fail(rule->at, "rule %s has no 'set', 'raise', 'lower' or 'advise'", rule->name);
        else if (rule->n_actions == 0 && (rule->has_expect || rule->n_abort > 0))
                fail(rule->has_expect ? rule->expect.at : rule->abort[0].at,
                     "rule %s changes nothing, so there is no effect to watch", rule->name);
        else if (rule->n_actions > changes && !rule->disabled)
                fail(rule->at, "rule %s sets %u sysctls at once, changes_per_minute allows %g", rule->name,
                     rule->n_actions, changes);
        if (check_reach(c, rule, rule->when, rule->n_when) && check_reach(c, rule, rule->until, rule->n_until))
                check_until(c, rule);
        check_reach(c, rule, &rule->expect, rule->has_expect);
        check_evidence(c, rule);
}

#define INTERVAL_NS_MOST (5 * NSEC_PER_SEC)

/* Only ports that could run out before the next tick bring it forward; no other metric of a rule does. */
static void check_interval(const struct check *c)
{
        for (size_t i = 0; c->config->interval_ns > INTERVAL_NS_MOST && i < c->config->values.n; i++) {
                const struct config_value *v = &c->config->values.item[i];

                if (strcmp(v->section, "daemon") == 0 && strcmp(v->key, "interval") == 0)
                        diagnostic_add(&c->config->warnings, v->at,
                                       "interval = %s: with more than 5s, twtuned notices late whether a change helps "
                                       "or harms",
                                       v->text);
        }
}

void config_check(struct config *config, struct diagnostics *diagnostics)
{
        const struct check c = {config, diagnostics};

        for (unsigned i = 0; i < config->n_rules; i++) {
                if (!config->rule[i].faulty) /* else a key may seem missing because its line has the error */
                        check_whole(&c, &config->rule[i]);
                check_bounds(&c, &config->rule[i]);
                check_after(&c, &config->rule[i]);
                check_opposites(&c, i);
        }
        for (unsigned i = 0; i < config->n_rules; i++)
                check_circle(&c, i);
        check_interval(&c);
}

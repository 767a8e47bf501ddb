/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdio.h>

#include "daemon/bus/describe.h"
#include "lib/audit/advice.h"
#include "lib/policy/action.h"
#include "lib/util/macro.h"
#include "lib/util/units.h"

#define WHY_MAX 512

static const char *const standing_names[] = {
        [STANDING_ACTIVE] = "active",
        [STANDING_DISABLED] = "disabled",
        [STANDING_UNAVAILABLE] = "unavailable",
        [STANDING_SUPERSEDED] = "superseded",
        [STANDING_FOREIGN] = "left-alone",
        [STANDING_WAITING] = "waiting",
        [STANDING_PREREQUISITE] = "below",
        [STANDING_NEEDLESS] = "needless",
        [STANDING_HARMFUL] = "harmful",
        [STANDING_IDLE] = "idle",
        [STANDING_READY] = "ready",
};

/* "3.2%", "at most 4.0%", "at least 1.0%", "unknown" */
static const char *reading_text(const struct reading *r, unsigned metric, const struct counters *counters,
                                char buf[static WHY_MAX])
{
        const char *unit = unit_suffix(metric_unit(metric, counters));
        int digits = *unit ? 1 : 0;

        if (r->state == READING_VALID)
                snprintf(buf, WHY_MAX, "%.*f%s", digits, r->value, unit);
        else if (r->state == READING_BOUNDED && isfinite(r->upper))
                snprintf(buf, WHY_MAX, "at most %.*f%s", digits, r->upper, unit);
        else if (r->state == READING_BOUNDED)
                snprintf(buf, WHY_MAX, "at least %.*f%s", digits, r->value, unit);
        else
                snprintf(buf, WHY_MAX, "unknown");
        return buf;
}

/* True if the reading is that of the host's busiest destination, because the rule can help none. */
static bool is_nobodys(const struct tuner *t, unsigned metric, const struct condition_evaluation *now)
{
        return metric_is_ports(metric) && !now->destination && ports_valid(&t->snapshot);
}

#define NOBODY "no destination that the rule could help"

/* The condition that keeps an idle rule from acting: one that does not hold, else one that is unknown, else one that
 * has not held long enough; the first of its kind. */
static unsigned missing_condition(const struct rule *rule, const struct rule_evaluation *e)
{
        static const enum truth order[] = {NO, UNKNOWN, YES};

        for (unsigned n = 0; n < ELEMENTSOF(order); n++)
                for (unsigned k = 0; k < rule->n_when; k++)
                        if (e->when[k].holds == order[n] &&
                            (order[n] != YES || condition_held_ns(&e->when[k]) < rule->when[k].time_ns))
                                return k;
        return 0;
}

static void why_idle(const struct tuner *t, const struct rule *rule, const struct rule_evaluation *e,
                     char buf[static WHY_MAX])
{
        unsigned k = missing_condition(rule, e);
        const struct condition *c = &rule->when[k];
        const struct condition_evaluation *now = &e->when[k];
        char value[WHY_MAX], time[DURATION_TEXT_MAX], name[DESTINATION_NAME_MAX];
        const char *whose = condition_whose(now, c->metric, &t->snapshot, name);

        if (now->holds == YES)
                snprintf(buf, WHY_MAX, "\"%s\" has held for %s", c->text,
                         duration_format(condition_held_ns(now) / NSEC_PER_SEC * NSEC_PER_SEC, time));
        else if (is_nobodys(t, c->metric, now))
                snprintf(buf, WHY_MAX, "\"%s\" does not hold: there is " NOBODY, c->text);
        else
                snprintf(buf, WHY_MAX, "\"%s\" %s: it is %.100s%s%s", c->text,
                         now->holds == NO ? "does not hold" : "cannot be decided",
                         reading_text(&now->reading, c->metric, &t->config->counters, value), whose[0] ? ", " : "",
                         whose);
}

static void why_active(const struct tuner *t, unsigned i, char buf[static WHY_MAX])
{
        const struct rule *rule = &t->config->rule[i];
        const char *comma = t->config->observe || rule->observe ? "would hold " : "holds ";
        const struct sysctl_value *holds;
        char value[SYSCTL_TEXT_MAX];
        size_t n = 0;

        buf[0] = 0;
        for (unsigned id = 0; id < SYSCTL_COUNT; id++) {
                holds = policy_rule_value(t->policy, i, id);
                if (!holds || n >= WHY_MAX)
                        continue;
                n += (size_t)snprintf(buf + n, WHY_MAX - n, "%s%s = %s", comma, sysctl_table[id].name,
                                      sysctl_format(holds, value));
                comma = ", ";
        }
        if (rule->n_actions == 0)
                snprintf(buf, WHY_MAX, "its advice applies");
}

static void why_foreign(const struct rule *rule, const struct rule_evaluation *e, char buf[static WHY_MAX])
{
        const char *name;
        unsigned k = 0;

        while (!(e->foreign >> rule->action[k].sysctl & 1))
                k++;
        name = sysctl_table[rule->action[k].sysctl].name;
        snprintf(buf, WHY_MAX,
                 "%s was released, or another program set it; to let twtuned set it again: twtunectl rearm %s", name,
                 name);
}

static void why_needless(const struct action *action, char buf[static WHY_MAX])
{
        static const char *const ends[] = {[ACTION_SET] = "already has the effect of this rule",
                                           [ACTION_RAISE] = "cannot be raised any further",
                                           [ACTION_LOWER] = "cannot be lowered any further"};

        snprintf(buf, WHY_MAX, "%s %s", sysctl_table[action->sysctl].name, ends[action->kind]);
}

static const char *why(const struct tuner *t, unsigned i, const struct rule_evaluation *e, char buf[static WHY_MAX])
{
        const struct rule *rule = &t->config->rule[i];
        char time[DURATION_TEXT_MAX];

        buf[0] = 0;
        switch (e->standing) {
        case STANDING_ACTIVE:
                why_active(t, i, buf);
                break;
        case STANDING_DISABLED:
                snprintf(buf, WHY_MAX, "off: enabled = no, or an error that twtuned --check shows");
                break;
        case STANDING_UNAVAILABLE:
                snprintf(buf, WHY_MAX, "this kernel or network namespace has no %s", e->lacks);
                break;
        case STANDING_SUPERSEDED:
                snprintf(buf, WHY_MAX, "superseded by rule %s of the administrator",
                         t->config->rule[e->successor].name);
                break;
        case STANDING_FOREIGN:
                why_foreign(rule, e, buf);
                break;
        case STANDING_WAITING:
                snprintf(buf, WHY_MAX, "it failed, was refused, did not help or did harm: not tried again for %s",
                         duration_format((e->wait_ns + NSEC_PER_SEC - 1) / NSEC_PER_SEC * NSEC_PER_SEC, time));
                break;
        case STANDING_PREREQUISITE:
                snprintf(buf, WHY_MAX, "rule %s comes first and %s", t->config->rule[e->prerequisite].name,
                         policy_is_active(t->policy, e->prerequisite) ? "only observes" : "is not active");
                break;
        case STANDING_NEEDLESS:
                why_needless(&rule->action[0], buf);
                break;
        case STANDING_HARMFUL:
                snprintf(buf, WHY_MAX,
                         "a larger table may fill the ports toward a destination that cannot reuse them");
                break;
        case STANDING_IDLE:
                why_idle(t, rule, e, buf);
                break;
        case STANDING_READY:
                snprintf(buf, WHY_MAX, "%s",
                         t->paused_until > 0 ? "all conditions hold, but twtuned is paused"
                                             : "all conditions hold: it acts as soon as limits and sysctl.d allow, "
                                               "see the log");
                break;
        }
        return buf;
}

static void describe_condition(struct json *j, const struct tuner *t, const char *key, const char *time_word,
                               const struct condition *c, const struct condition_evaluation *now)
{
        const struct counters *counters = &t->config->counters;
        char value[WHY_MAX], name[DESTINATION_NAME_MAX];
        const char *whose = condition_whose(now, c->metric, &t->snapshot, name);
        bool nobody = is_nobodys(t, c->metric, now);
        static const struct reading none;
        const struct reading *reading = nobody ? &none : &now->reading;

        json_open_object(j, key);
        json_add_text(j, "text", c->text);
        json_add_text(j, "metric", metric_name(c->metric, counters));
        json_add_text(j, "op", comparison_text(c->op));
        json_add_number(j, "threshold", c->number);
        json_add_text(j, "unit", unit_suffix(metric_unit(c->metric, counters)));
        describe_reading(j, reading);
        json_add_text(j, "now", nobody ? NOBODY : reading_text(reading, c->metric, counters, value));
        if (now->holds == UNKNOWN)
                json_add_text(j, "holds", NULL);
        else
                json_add_bool(j, "holds", now->holds == YES);
        describe_seconds(j, "held", condition_held_ns(now));
        describe_seconds(j, time_word, c->time_ns);
        describe_text(j, "whose", whose);
        describe_text(j, "systemd_unit", condition_unit(now, c->metric, &t->snapshot));
        json_close_object(j);
}

static void describe_conditions(struct json *j, const struct tuner *t, const char *key, const struct condition *list,
                                unsigned n, const struct condition_evaluation *now)
{
        json_open_array(j, key);
        for (unsigned k = 0; k < n; k++)
                describe_condition(j, t, NULL, "for", &list[k], &now[k]);
        json_close_array(j);
}

static void describe_effect(struct json *j, const struct tuner *t, const struct rule *rule,
                            const struct rule_evaluation *e)
{
        const struct counters *counters = &t->config->counters;

        if (rule->has_expect)
                describe_condition(j, t, "expect", "within", &rule->expect, &e->expect);
        json_add_bool(j, "expecting", e->expecting);
        describe_seconds(j, "expecting_for", e->expecting_ns);
        json_open_array(j, "abort");
        for (unsigned k = 0; k < rule->n_abort; k++) {
                json_open_object(j, NULL);
                json_add_text(j, "text", rule->abort[k].text);
                json_add_text(j, "metric", metric_name(rule->abort[k].metric, counters));
                json_add_bool(j, "watching", e->abort[k].watching);
                json_add_number(j, "mean", e->abort[k].mean);
                json_add_number(j, "limit", e->abort[k].limit);
                json_add_text(j, "unit", unit_suffix(metric_unit(rule->abort[k].metric, counters)));
                json_close_object(j);
        }
        json_close_array(j);
}

static void describe_actions(struct json *j, const struct tuner *t, const struct rule *rule)
{
        char line[RULE_TEXT_MAX], text[SYSCTL_TEXT_MAX];

        json_open_array(j, "levers");
        for (unsigned k = 0; k < rule->n_actions; k++) {
                const struct action *action = &rule->action[k];
                const struct live_sysctl *live = &t->snapshot.sysctl[action->sysctl];
                struct sysctl_value next;

                json_open_object(j, NULL);
                json_add_text(j, "text", action_format(action, line));
                json_add_text(j, "sysctl", sysctl_table[action->sysctl].name);
                if (live->state == READING_VALID) {
                        next = action_next(action, &t->config->bounds[action->sysctl], &t->snapshot, &live->value);
                        json_add_text(j, "next", sysctl_format(&next, text));
                }
                json_close_object(j);
        }
        json_close_array(j);
}

/* "sets net.ipv4.tcp_tw_reuse = 1, lowers ...", as it is configured. */
static const char *rule_does(const struct rule *rule, char buf[static WHY_MAX])
{
        static const char *const verbs[] = {
                [ACTION_SET] = "sets", [ACTION_RAISE] = "raises", [ACTION_LOWER] = "lowers"};
        char action[RULE_TEXT_MAX];
        size_t n = 0;

        snprintf(buf, WHY_MAX, "advises");
        for (unsigned k = 0; k < rule->n_actions && n < WHY_MAX; k++)
                n += (size_t)snprintf(buf + n, WHY_MAX - n, "%s%s %s", k > 0 ? ", " : "", verbs[rule->action[k].kind],
                                      action_format(&rule->action[k], action));
        return buf;
}

/* Adds the condition on which the rule became active, with its value then; null: none, or the rule is inactive. */
static void describe_episode(struct json *j, const struct tuner *t, const struct episode *e)
{
        const struct counters *counters = &t->config->counters;
        struct reading then;
        char value[WHY_MAX];

        if (!e || e->evidence.metric == RULE_NONE) {
                json_add_text(j, "became_active", NULL);
                return;
        }
        then = reading_valid(e->evidence.value);
        json_open_object(j, "became_active");
        describe_seconds(j, "ago", t->snapshot.now - e->begun);
        json_add_text(j, "metric", metric_name(e->evidence.metric, counters));
        json_add_text(j, "op", comparison_text(e->evidence.op));
        json_add_number(j, "threshold", e->evidence.threshold);
        json_add_number(j, "value", e->evidence.value);
        json_add_text(j, "was", reading_text(&then, e->evidence.metric, counters, value));
        json_add_text(j, "unit", unit_suffix(metric_unit(e->evidence.metric, counters)));
        describe_text(j, "whose", e->evidence.destination);
        describe_text(j, "systemd_unit", e->culprit);
        json_add_number(j, "steps", e->steps);
        json_close_object(j);
}

static void describe_rule(struct json *j, const struct tuner *t, unsigned i, const struct rule_evaluation *e)
{
        const struct rule *rule = &t->config->rule[i];
        const struct destination *d = e->when[0].destination;
        const struct episode *episode = episodes_current(&t->audit.episodes, rule->name);
        char text[WHY_MAX], does[WHY_MAX], advice[ADVICE_TEXT_MAX];
        const char *unit;

        for (unsigned k = 1; k < rule->n_when && !d; k++)
                d = e->when[k].destination;
        unit = d ? t->backend->find_unit(t->backend, d->cgroup) : "";
        json_open_object(j, NULL);
        json_add_text(j, "name", rule->name);
        json_add_text(j, "description", rule->description);
        json_add_text(j, "file", rule->at.file);
        json_add_number(j, "line", rule->at.line);
        json_add_text(j, "state", standing_names[e->standing]);
        json_add_text(j, "why", why(t, i, e, text));
        json_add_text(j, "mode", t->config->observe || rule->observe ? "observe" : "enforce");
        describe_text(j, "systemd_unit", unit);
        if (rule->after != RULE_NONE)
                json_add_text(j, "after", t->config->rule[rule->after].name);
        json_open_array(j, "for_destinations");
        for (unsigned k = 0; k < rule->n_destinations; k++)
                json_add_text(j, NULL, rule->destination[k].text);
        json_close_array(j);
        json_open_array(j, "for_units");
        for (unsigned k = 0; k < t->config->unit_names.n; k++)
                if (rule->units & BIT(k))
                        json_add_text(j, NULL, t->config->unit_names.name[k]);
        json_close_array(j);
        describe_conditions(j, t, "when", rule->when, rule->n_when, e->when);
        describe_conditions(j, t, "until", rule->until, rule->n_until, e->until);
        describe_actions(j, t, rule);
        describe_effect(j, t, rule, e);
        describe_seconds(j, "active_for", e->active_ns);
        json_add_number(j, "release_times", e->release_times);
        describe_seconds(j, "waits_for", e->wait_ns);
        describe_seconds(j, "released_ago", e->released_ns > 0 ? e->released_ns : UINT64_MAX);
        json_add_bool(j, "keep", rule->keep);
        json_add_text(j, "advise",
                      advice_text(rule, episode ? episode->evidence.destination : "", episode ? episode->culprit : "",
                                  advice));
        json_add_text(j, "does", rule_does(rule, does));
        describe_episode(j, t, episode);
        json_close_object(j);
}

void describe_rules(struct json *j, const struct tuner *t)
{
        const struct evaluation *evaluation = policy_evaluate(t->policy, &t->snapshot);

        json_open_array(j, "rules");
        for (unsigned i = 0; i < t->config->n_rules; i++)
                describe_rule(j, t, i, &evaluation->rule[i]);
        json_close_array(j);
}

/* The episodes of rules, the last one first. */
void describe_episodes(struct json *j, const struct tuner *t)
{
        const struct episodes *all = &t->audit.episodes;
        uint64_t now = t->snapshot.now;

        json_open_array(j, "episodes");
        for (unsigned k = 1; k <= EPISODES_MAX; k++) {
                const struct episode *e = &all->item[(all->next + EPISODES_MAX - k) % EPISODES_MAX];

                if (e->begun == 0)
                        break;
                json_open_object(j, NULL);
                json_add_text(j, "rule", e->rule);
                describe_seconds(j, "begun_ago", now - e->begun);
                describe_seconds(j, "lasted", (e->ended > 0 ? e->ended : now) - e->begun);
                json_add_number(j, "steps", e->steps);
                json_add_number(j, "peak", e->peak);
                describe_text(j, "destination", e->evidence.destination);
                describe_text(j, "systemd_unit", e->culprit);
                json_add_bool(j, "helped", e->helped);
                json_add_text(j, "end", episode_end_names[e->end]);
                json_close_object(j);
        }
        json_close_array(j);
}

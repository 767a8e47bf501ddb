/* SPDX-License-Identifier: MIT */
/* The first phase of a tick: what holds now, and for how long it has held. */

#include "lib/policy/evaluate.h"

static const char *lacking_metric(const struct policy *p, const struct condition *list, unsigned n,
                                  const struct snapshot *s)
{
        for (unsigned k = 0; k < n; k++)
                if (s->reading[list[k].metric].state == READING_UNAVAILABLE)
                        return metric_name(list[k].metric, &p->config->counters);
        return NULL;
}

/* The name of a sysctl or metric of the rule that this kernel or netns lacks; NULL: it has all. */
static const char *rule_lacks(const struct policy *p, unsigned i, const struct snapshot *s)
{
        const struct rule *rule = &p->config->rule[i];
        const char *name = NULL;

        for (unsigned k = 0; k < rule->n_actions; k++)
                if (s->sysctl[rule->action[k].sysctl].state == READING_UNAVAILABLE)
                        return sysctl_table[rule->action[k].sysctl].name;
        name = lacking_metric(p, rule->when, rule->n_when, s);
        if (!name)
                name = lacking_metric(p, rule->until, rule->n_until, s);
        return name ? name : lacking_metric(p, &rule->expect, rule->has_expect, s);
}

static void evaluate_when(const struct policy *p, unsigned i, const struct snapshot *s, const struct elapsed *t,
                          struct rule_evaluation *e)
{
        const struct rule *rule = &p->config->rule[i];

        for (unsigned k = 0; k < rule->n_when; k++) {
                const struct condition *c = &rule->when[k];
                const struct reading *r = &s->reading[c->metric];

                e->when[k] = (struct condition_evaluation){.reading = *r};
                if (metric_is_ports(c->metric)) {
                        e->when[k].holds = some_may_hold(c, r);
                        continue;
                }
                e->when[k].holds = reading_holds(c, r);
                e->when[k].clock = clock_after(&p->state[i].when[k], e->when[k].holds, c->time_ns, t);
        }
}

static void evaluate_until(const struct policy *p, unsigned i, const struct snapshot *s, struct rule_evaluation *e)
{
        const struct rule *rule = &p->config->rule[i];

        for (unsigned k = 0; k < rule->n_until; k++) {
                const struct condition *c = &rule->until[k];
                bool ports = metric_is_ports(c->metric);

                e->until[k] = (struct condition_evaluation){
                        .reading = ports ? s->reading[c->metric] : reading_without_remedy(p, s, c->metric)};
                if (!ports)
                        e->until[k].holds = reading_holds(c, &e->until[k].reading);
                else if (ports_valid(s))
                        e->until[k].holds = YES; /* until a destination says otherwise */
                else
                        e->until[k].holds = all_hold(c, &e->until[k].reading);
        }
}

/* YES if nothing keeps a rule without `until` active. */
static enum truth evaluate_quiet(const struct policy *p, const struct walk *w, const struct snapshot *s)
{
        enum truth quiet = YES;

        for (unsigned k = 0; k < w->rule->n_when; k++) {
                const struct condition *c = &w->rule->when[k];
                struct reading r = reading_without_remedy(p, s, c->metric);
                enum truth holds;

                if (metric_is_ports(c->metric) && c != w->first)
                        continue;
                if (c != w->first)
                        holds = reading_holds(c, &r);
                else if (ports_valid(s))
                        holds = w->kept ? YES : NO;
                else
                        holds = some_may_hold(c, &r);
                if (holds == YES)
                        return NO;
                if (holds == UNKNOWN)
                        quiet = UNKNOWN;
        }
        return quiet;
}

static void evaluate_release(const struct policy *p, unsigned i, enum truth quiet, const struct elapsed *t,
                             struct rule_evaluation *e)
{
        const struct rule *rule = &p->config->rule[i];
        const struct rule_state *state = &p->state[i];

        if (!state->active)
                return;
        for (unsigned k = 0; k < rule->n_until; k++)
                e->until[k].clock = clock_after(&state->until[k], e->until[k].holds, rule->until[k].time_ns, t);
        e->quiet = clock_after(&state->quiet, quiet, QUIET_NS, t);
}

static bool is_unknown(const struct condition_evaluation *e, const struct reading *r)
{
        return r->state == READING_BOUNDED && e->holds == UNKNOWN;
}

static bool all_have_held(const struct rule *rule, const struct rule_evaluation *e)
{
        for (unsigned k = 0; k < rule->n_when; k++)
                if (e->when[k].holds != YES || e->when[k].clock.ns < rule->when[k].time_ns)
                        return false;
        return true;
}

/* True if bounds leave open whether the rule becomes active or is released, if a clock needs the value of this tick,
 * or if an effect or harm must be measured. */
static bool needs_dump(const struct policy *p, unsigned i, const struct snapshot *s, enum truth quiet,
                       const struct rule_evaluation *e)
{
        const struct rule *rule = &p->config->rule[i];
        const struct rule_state *state = &p->state[i];
        bool bounded = false, may_enter = rule_may_enter(p, i) || rule_steps(rule);

        for (unsigned k = 0; k < rule->n_when; k++) {
                const struct reading *r = &s->reading[rule->when[k].metric];

                if (rule->when[k].time_ns > 0 && is_unknown(&e->when[k], r))
                        return true;
                bounded |= r->state == READING_BOUNDED;
                may_enter &= e->when[k].holds != NO;
        }
        for (unsigned k = 0; k < rule->n_abort; k++)
                if (s->reading[rule->abort[k].metric].state == READING_BOUNDED &&
                    (!metric_is_ports(rule->abort[k].metric) || e->abort[k].watching))
                        return true;
        for (unsigned k = 0; k < rule->n_until && state->active; k++)
                if (is_unknown(&e->until[k], &s->reading[rule->until[k].metric]))
                        return true;
        if (state->active && (state->expecting || (rule->n_until == 0 && bounded && quiet == UNKNOWN)))
                return true;
        if (rule_raises_time_wait(rule) && s->reading[METRIC_PORTS_FIRST].state == READING_BOUNDED)
                bounded |= all_have_held(rule, e);
        return bounded && may_enter;
}

/* True if each sysctl that the administrator's rules leave to the rule is foreign. */
static bool all_are_foreign(const struct policy *p, unsigned i)
{
        const struct rule *rule = &p->config->rule[i];

        for (unsigned k = 0; k < rule->n_actions; k++)
                if (superseding_rule(p, i, k) == RULE_NONE && !p->held[rule->action[k].sysctl].foreign)
                        return false;
        return rule->n_actions > 0;
}

static enum standing find_standing(const struct policy *p, unsigned i, const struct snapshot *s,
                                   const struct rule_evaluation *e)
{
        const struct rule *rule = &p->config->rule[i];

        if (p->state[i].active)
                return STANDING_ACTIVE;
        if (rule->disabled)
                return STANDING_DISABLED;
        if (e->lacks)
                return STANDING_UNAVAILABLE;
        if (e->successor != RULE_NONE)
                return STANDING_SUPERSEDED;
        if (all_are_foreign(p, i))
                return STANDING_FOREIGN;
        if (e->wait_ns > 0)
                return STANDING_WAITING;
        if (!e->can_help[false] && !e->can_help[true])
                return STANDING_NEEDLESS;
        if (!all_have_held(rule, e))
                return STANDING_IDLE;
        if (rule_does_harm(p, i, s))
                return STANDING_HARMFUL;
        if (prerequisite_in_effect(p, i, s, false) || (e->entering[true] && prerequisite_in_effect(p, i, s, true)))
                return STANDING_READY;
        return STANDING_PREREQUISITE;
}

static void evaluate_state(const struct policy *p, unsigned i, const struct snapshot *s, struct rule_evaluation *e)
{
        const struct rule *rule = &p->config->rule[i];
        const struct rule_state *state = &p->state[i];

        e->active_ns = state->active ? state->active_ns : 0;
        e->release_times = state->active ? state->release_factor : 0;
        e->wait_ns = state->not_before > s->now ? state->not_before - s->now : 0;
        for (unsigned k = 0; k < FAILED_MAX && state->any_failed; k++)
                if (state->failed[k].until > s->now)
                        e->wait_ns = MAX(e->wait_ns, state->failed[k].until - s->now);
        e->released_ns = state->released_at > 0 ? s->now - state->released_at : 0;
        e->expecting = state->active && state->expecting;
        e->expecting_ns = e->expecting ? state->expecting_ns : 0;
        for (unsigned k = 0; k < rule->n_abort; k++) {
                e->abort[k].watching = state->active && !state->abort[k].over;
                if (!metric_is_ports(rule->abort[k].metric))
                        e->abort[k].mean = mean_value(&state->abort[k].after);
                e->abort[k].limit = state->abort[k].limit;
        }
        for (unsigned k = 0; k < rule->n_actions; k++)
                if (p->held[rule->action[k].sysctl].foreign)
                        e->foreign |= UINT32_C(1) << rule->action[k].sysctl;
        e->standing = find_standing(p, i, s, e);
}

static void evaluate_rule(struct policy *p, unsigned i, const struct snapshot *s, const struct elapsed *t)
{
        const struct rule *rule = &p->config->rule[i];
        struct rule_evaluation *e = &p->evaluation.rule[i];
        struct walk w = {.rule = rule,
                         .state = &p->state[i],
                         .e = e,
                         .elapsed = t,
                         .now = s->now,
                         .first = rule_ports_condition(rule),
                         .release = rule_release_condition(rule)};
        enum truth quiet = UNKNOWN;

        *e = (struct rule_evaluation){.lacks = e->lacks,
                                      .prerequisite = prerequisite_of(p, i),
                                      .successor = successor_of(p, i),
                                      .expect = {.holds = UNKNOWN}};
        for (unsigned loopback = 0; loopback < 2; loopback++)
                e->can_help[loopback] = rule->disabled || rule_can_help(p, i, s, loopback);
        evaluate_when(p, i, s, t, e);
        evaluate_until(p, i, s, e);
        if (ports_valid(s))
                walk_destinations(&w, s->ports);
        if (rule->n_until == 0)
                quiet = evaluate_quiet(p, &w, s);
        evaluate_release(p, i, quiet, t, e);
        if (rule->has_expect && !metric_is_ports(rule->expect.metric)) {
                e->expect.reading = s->reading[rule->expect.metric];
                e->expect.holds = reading_holds(&rule->expect, &e->expect.reading);
        }
        evaluate_state(p, i, s, e);
        e->needs_dump = !rule->disabled && needs_dump(p, i, s, quiet, e);
}

const struct rule_evaluation *policy_evaluate_rule(struct policy *p, unsigned i, const struct snapshot *s)
{
        struct elapsed t = elapsed_since(p, s);

        rest_end(p);
        evaluate_rule(p, i, s, &t);
        return &p->evaluation.rule[i];
}

const struct evaluation *policy_evaluate(struct policy *p, const struct snapshot *s)
{
        struct elapsed t = elapsed_since(p, s);

        rest_end(p);
        p->evaluation.needs_dump = false;
        for (unsigned i = 0; i < p->config->n_rules; i++) /* first: evaluate_rule() reads `lacks` of all rules */
                p->evaluation.rule[i].lacks = rule_lacks(p, i, s);
        for (unsigned i = 0; i < p->config->n_rules; i++) {
                evaluate_rule(p, i, s, &t);
                p->evaluation.needs_dump |= p->evaluation.rule[i].needs_dump;
        }
        p->evaluated_at = s->now;
        p->state_changed = false;
        return &p->evaluation;
}

/* SPDX-License-Identifier: MIT */
#include "lib/policy/explain.h"

#include <string.h>

#include "lib/policy/state.h"
#include "lib/util/macro.h"

/* Among the groups that the rule can help, the one for which most of its ports.* conditions hold, and of these the one
 * with the most of the first. */
static const struct destination *find_nearest(const struct policy *p, const struct rule *rule,
                                              const struct snapshot *s, unsigned *ret_slot)
{
        const struct destination *suggestion = NULL;
        unsigned most = 0;

        for (unsigned slot = 0; ports_valid(s) && slot < ports_slots(s->ports); slot++) {
                const struct destination *g = destination(s->ports, slot);
                const struct condition *first = NULL;
                unsigned n = 0;

                if (g->id == 0 || !rule_can_help(p, rule, s, g->loopback))
                        continue;
                for (unsigned k = 0; k < rule->n_when; k++) {
                        if (!metric_is_ports(rule->when[k].metric))
                                continue;
                        first = first ? first : &rule->when[k];
                        n += destination_holds(&rule->when[k], g);
                }
                if (!first || n < most ||
                    (suggestion && n == most && destination_value(first, g) <= destination_value(first, suggestion)))
                        continue;
                suggestion = g;
                most = n;
                *ret_slot = slot;
        }
        return suggestion;
}

static void fill_destination(struct condition_now *now, const struct condition *c, const struct destination *g)
{
        now->reading = reading_valid(destination_value(c, g));
        destination_name(g, now->whose);
}

static void fill_host(struct condition_now *now, const struct condition *c, const struct snapshot *s)
{
        now->reading = s->reading[c->metric];
        if (c->metric >= METRIC_COUNT || now->reading.state != READING_VALID)
                return;
        memcpy(now->whose, s->who[c->metric], sizeof(now->whose));
        memcpy(now->unit, s->unit[c->metric], sizeof(now->unit));
}

static void explain_when(const struct policy *p, unsigned i, const struct snapshot *s, struct explanation *e)
{
        const struct rule *rule = &p->config->rule[i];
        const struct rule_state *state = &p->state[i];
        unsigned slot = 0;
        const struct destination *g = find_nearest(p, rule, s, &slot);

        e->cgroup = g ? g->cgroup : 0;
        for (unsigned k = 0; k < rule->n_when; k++) {
                const struct condition *c = &rule->when[k];
                const struct clock *clock = &state->when[k];

                fill_host(&e->when[k], c, s);
                e->when[k].holds = anywhere_holds(c, s);
                if (metric_is_ports(c->metric) && ports_valid(s)) {
                        e->when[k].holds = g && destination_holds(c, g) ? YES : NO;
                        if (g)
                                fill_destination(&e->when[k], c, g);
                }
                if (state->destination_when[k] && g)
                        clock = &state->destination_when[k][slot].clock;
                e->when[k].held_ns = clock->holds && e->when[k].holds == YES ? clock->ns : 0;
        }
}

/* The group that keeps the rule the longest. */
static const struct destination *find_worst(const struct policy *p, const struct rule *rule, const struct condition *c,
                                            const struct snapshot *s)
{
        bool less = c->op == LESS || c->op == LESS_EQUAL;
        const struct destination *worst = NULL;

        for (unsigned slot = 0; ports_valid(s) && slot < ports_slots(s->ports); slot++) {
                const struct destination *g = destination(s->ports, slot);

                if (g->id == 0 || !rule_can_help(p, rule, s, g->loopback))
                        continue;
                if (!worst || (less ? destination_value(c, g) > destination_value(c, worst)
                                    : destination_value(c, g) < destination_value(c, worst)))
                        worst = g;
        }
        return worst;
}

static void explain_until(const struct policy *p, unsigned i, const struct snapshot *s, struct explanation *e)
{
        const struct rule *rule = &p->config->rule[i];
        const struct rule_state *state = &p->state[i];

        for (unsigned k = 0; k < rule->n_until; k++) {
                const struct condition *c = &rule->until[k];
                const struct destination *worst = metric_is_ports(c->metric) ? find_worst(p, rule, c, s) : NULL;

                fill_host(&e->until[k], c, s);
                if (worst)
                        fill_destination(&e->until[k], c, worst);
                else if (!metric_is_ports(c->metric))
                        e->until[k].reading = reading_unrelieved(p, s, c->metric);
                e->until[k].holds = everywhere_holds(p, rule, c, s);
                e->until[k].held_ns = state->active && state->until[k].holds ? state->until[k].ns : 0;
        }
}

static void explain_effect(const struct policy *p, unsigned i, const struct snapshot *s, struct explanation *e)
{
        const struct rule *rule = &p->config->rule[i];
        const struct rule_state *state = &p->state[i];

        if (rule->has_expect) {
                fill_host(&e->expect, &rule->expect, s);
                e->expect.holds = anywhere_holds(&rule->expect, s);
        }
        e->expecting = state->active && state->expecting;
        e->expecting_ns = e->expecting ? state->expecting_ns : 0;
        for (unsigned k = 0; k < rule->n_abort; k++)
                e->abort[k] = (struct abort_now){
                        .watching = state->active && !state->abort[k].over,
                        .mean = mean_value(&state->abort[k].after),
                        .limit = state->abort[k].limit,
                };
}

static bool all_hold(const struct rule *rule, const struct explanation *e)
{
        for (unsigned k = 0; k < rule->n_when; k++)
                if (e->when[k].holds != YES || e->when[k].held_ns < rule->when[k].time_ns)
                        return false;
        return true;
}

/* A look at all destinations: one that the rule can help is enough. */
static bool rule_can_help_somewhere(const struct policy *p, const struct rule *rule, const struct snapshot *s)
{
        return rule_can_help(p, rule, s, false) || rule_can_help(p, rule, s, true);
}

static enum standing find_standing(const struct policy *p, unsigned i, const struct snapshot *s,
                                   const struct explanation *e)
{
        const struct rule *rule = &p->config->rule[i];
        const struct rule_state *state = &p->state[i];

        if (state->active)
                return STANDING_ACTIVE;
        if (rule->disabled)
                return STANDING_DISABLED;
        if (e->lacks)
                return STANDING_UNAVAILABLE;
        if (rule->n_actions > 0 && (unsigned)__builtin_popcount(e->foreign) == rule->n_actions)
                return STANDING_FOREIGN;
        if (e->wait_ns > 0)
                return STANDING_WAITING;
        if (!rule_can_help_somewhere(p, rule, s))
                return STANDING_NEEDLESS;
        if (!all_hold(rule, e))
                return STANDING_IDLE;
        return prerequisite_in_effect(p, i, s, false) ? STANDING_READY : STANDING_PREREQUISITE;
}

void policy_explain(const struct policy *p, unsigned i, const struct snapshot *s, struct explanation *ret)
{
        const struct rule *rule = &p->config->rule[i];
        const struct rule_state *state = &p->state[i];

        *ret = (struct explanation){.prerequisite = prerequisite_of(p, i, s)};
        explain_when(p, i, s, ret);
        explain_until(p, i, s, ret);
        explain_effect(p, i, s, ret);
        ret->lacks = rule_lacks(p, rule, s);
        ret->active_ns = state->active ? state->active_ns : 0;
        ret->wait_ns = state->not_before > s->now ? state->not_before - s->now : 0;
        ret->released_ns = state->released_at > 0 ? s->now - state->released_at : 0;
        for (unsigned k = 0; k < rule->n_actions; k++)
                if (p->held[rule->action[k].sysctl].foreign)
                        ret->foreign |= UINT32_C(1) << rule->action[k].sysctl;
        ret->standing = find_standing(p, i, s, ret);
}

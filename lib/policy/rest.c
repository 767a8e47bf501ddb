/* SPDX-License-Identifier: MIT */
/* On an idle host the readings of a tick are those of the one before. While no rule is active, and each has a
 * condition that does not hold, time alone decides nothing and asks for no dump: the rules rest, and only their clocks
 * go on. */

#include <string.h>

#include "lib/policy/evaluate.h"

static void name(struct policy *p, unsigned metric)
{
        for (unsigned n = 0; n < p->n_rested; n++)
                if (p->rested[n].metric == metric)
                        return;
        p->rested[p->n_rested++].metric = metric;
}

static void name_conditions(struct policy *p, const struct condition *list, unsigned n)
{
        for (unsigned k = 0; k < n; k++)
                name(p, list[k].metric);
}

void rest_init(struct policy *p)
{
        name(p, METRIC_PORTS_FIRST); /* its state shows whether there was a dump */
        for (unsigned i = 0; i < p->config->n_rules; i++) {
                const struct rule *rule = &p->config->rule[i];

                name_conditions(p, rule->when, rule->n_when);
                name_conditions(p, rule->until, rule->n_until);
                name_conditions(p, &rule->expect, rule->has_expect);
                for (unsigned k = 0; k < rule->n_abort; k++)
                        name(p, rule->abort[k].metric);
        }
}

/* Moves the clocks of conditions on the host by the time of all ticks of the rest at once, as each condition kept its
 * truth. The clocks of destinations stand still, as there is no dump. */
void rest_end(struct policy *p)
{
        const struct elapsed t = {.ns = p->rested_ns};

        p->rests = false;
        for (unsigned i = 0; i < p->config->n_rules && t.ns > 0; i++)
                for (unsigned k = 0; k < p->config->rule[i].n_when; k++) {
                        const struct condition *c = &p->config->rule[i].when[k];
                        struct clock *clock = &p->state[i].when[k];

                        if (!metric_is_ports(c->metric))
                                *clock = clock_after(clock, p->evaluation.rule[i].when[k].holds, c->time_ns, &t);
                }
        p->rested_ns = 0;
}

/* True if time alone cannot change what the rule does. */
static bool may_rest(const struct policy *p, unsigned i, const struct snapshot *s)
{
        const struct rule_evaluation *e = &p->evaluation.rule[i];
        const struct rule *rule = &p->config->rule[i];
        bool held = true;

        if (p->state[i].active || e->wait_ns > 0 || p->state[i].tried_at == s->now)
                return false;
        for (unsigned k = 0; k < rule->n_abort; k++) /* each tick adds the reading to the metric's last minute */
                if (s->reading[rule->abort[k].metric].state == READING_VALID)
                        return false;
        for (unsigned k = 0; k < rule->n_when; k++)
                held &= e->when[k].holds == YES;
        return rule->disabled || !held;
}

bool policy_settle(struct policy *p, const struct snapshot *s)
{
        p->rests = p->evaluated_at == s->now && !p->evaluation.needs_dump && !ports_valid(s);
        for (unsigned i = 0; i < p->config->n_rules && p->rests; i++)
                p->rests = may_rest(p, i, s);
        if (!p->rests)
                return false;
        for (unsigned n = 0; n < p->n_rested; n++)
                p->rested[n].reading = s->reading[p->rested[n].metric];
        memcpy(p->rested_sysctl, s->sysctl, sizeof(p->rested_sysctl));
        p->rested_version = s->version;
        return true;
}

static bool readings_equal(const struct reading *a, const struct reading *b)
{
        return a->state == b->state && a->value == b->value && a->upper == b->upper && a->weight == b->weight;
}

/* True if the rules see what they saw when they came to rest. */
static bool is_same(const struct policy *p, const struct snapshot *s)
{
        if (s->version != 0 && s->version == p->rested_version)
                return true;
        if (memcmp(p->rested_sysctl, s->sysctl, sizeof(p->rested_sysctl)) != 0)
                return false;
        for (unsigned n = 0; n < p->n_rested; n++)
                if (!readings_equal(&p->rested[n].reading, &s->reading[p->rested[n].metric]))
                        return false;
        return true;
}

bool policy_rest(struct policy *p, const struct snapshot *s)
{
        struct elapsed t = elapsed_since(p, s);

        if (!p->rests || t.gap > 0 || !is_same(p, s))
                return false;
        p->rested_version = s->version;
        p->rested_ns += t.ns;
        p->last_now = s->now;
        return true;
}

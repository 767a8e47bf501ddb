/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "lib/policy/state.h"
#include "lib/util/macro.h"

#define GAP_INTERVALS 3
#define GAP_MIN_NS (3 * NSEC_PER_SEC) /* a dump of a million sockets takes longer than three short intervals */

double destination_value(const struct condition *c, const struct destination *g)
{
        struct ports_range range = ports_value(g, c->metric);

        return c->op == LESS || c->op == LESS_EQUAL ? range.upper : range.lower;
}

bool destination_holds(const struct condition *c, const struct destination *g)
{
        return comparison_holds(c->op, destination_value(c, g), c->number);
}

/* What is known of a condition whose value lies between two ends. */
static enum truth bounded_holds(const struct condition *c, const struct reading *r)
{
        bool low = comparison_holds(c->op, r->value, c->number), high = comparison_holds(c->op, r->upper, c->number);

        if (low != high || (r->value < r->upper && (c->op == EQUAL || c->op == NOT_EQUAL)))
                return UNKNOWN;
        return low ? YES : NO;
}

static enum truth reading_holds(const struct condition *c, const struct reading *r)
{
        if (r->state == READING_BOUNDED)
                return bounded_holds(c, r);
        if (r->state != READING_VALID)
                return UNKNOWN;
        return comparison_holds(c->op, r->value, c->number) ? YES : NO;
}

static enum truth host_holds(const struct condition *c, const struct snapshot *s)
{
        return reading_holds(c, &s->reading[c->metric]);
}

struct reading reading_unrelieved(const struct policy *p, const struct snapshot *s, unsigned metric)
{
        static const struct {
                unsigned metric;
                enum sysctl_id sysctl;
                bool inverse; /* the sysctl is a time that each of what is counted stays */
        } rows[] = {
                {METRIC_TIME_WAIT_TABLE, SYSCTL_TCP_MAX_TW_BUCKETS, false},
                {METRIC_ORPHANS_TABLE, SYSCTL_TCP_MAX_ORPHANS, false},
                {METRIC_TCP_FIN_WAIT2_ORPHANED, SYSCTL_TCP_FIN_TIMEOUT, true},
                {METRIC_TCP_KEEPALIVE_UNANSWERED, SYSCTL_TCP_KEEPALIVE_INTVL, true},
                {METRIC_TCP_KEEPALIVE_UNANSWERED, SYSCTL_TCP_KEEPALIVE_PROBES, true},
        };
        struct reading r = s->reading[metric];

        for (unsigned i = 0; i < ELEMENTSOF(rows); i++) {
                const struct held *held = &p->held[rows[i].sysctl];
                const struct live_sysctl *live = &s->sysctl[rows[i].sysctl];
                double factor;

                if (rows[i].metric != metric || held->rules == 0 || live->state != READING_VALID)
                        continue;
                factor = (double)live->value.v[0] / (double)MAX(held->original.v[0], 1);
                if (rows[i].inverse)
                        factor = 1 / factor;
                r.value *= factor;
                r.upper *= factor;
        }
        return r;
}

enum truth anywhere_holds(const struct condition *c, const struct snapshot *s)
{
        const struct reading *r = &s->reading[c->metric];

        if (!metric_is_ports(c->metric))
                return host_holds(c, s);
        if (r->state == READING_BOUNDED)
                return bounded_holds(c, r) == NO ? NO : UNKNOWN; /* there may be no group at all */
        if (!ports_valid(s))
                return UNKNOWN;
        for (unsigned slot = 0; slot < ports_slots(s->ports); slot++) {
                const struct destination *g = destination(s->ports, slot);

                if (g->id != 0 && destination_holds(c, g))
                        return YES;
        }
        return NO;
}

enum truth still_holds(const struct policy *p, const struct condition *c, const struct snapshot *s)
{
        struct reading unrelieved;

        if (metric_is_ports(c->metric))
                return anywhere_holds(c, s);
        unrelieved = reading_unrelieved(p, s, c->metric);
        return reading_holds(c, &unrelieved);
}

bool rule_can_help(const struct policy *p, const struct rule *rule, const struct snapshot *s, bool loopback)
{
        for (unsigned i = 0; i < rule->n_actions; i++) {
                enum sysctl_id id = rule->action[i].sysctl;
                const struct held *held = &p->held[id];
                const struct sysctl_value *without = held->rules ? &held->original : &s->sysctl[id].value;

                if (!action_has_effect(&rule->action[i], &p->config->bounds[id], s, without, loopback))
                        return true;
        }
        return rule->n_actions == 0;
}

enum truth everywhere_holds(const struct policy *p, const struct rule *rule, const struct condition *c,
                            const struct snapshot *s)
{
        const struct reading *r = &s->reading[c->metric];

        if (!metric_is_ports(c->metric))
                return still_holds(p, c, s);
        if (r->state == READING_BOUNDED)
                return bounded_holds(c, r) == YES ? YES : UNKNOWN; /* NO would need a group */
        if (!ports_valid(s))
                return UNKNOWN;
        for (unsigned slot = 0; slot < ports_slots(s->ports); slot++) {
                const struct destination *g = destination(s->ports, slot);

                if (g->id != 0 && rule_can_help(p, rule, s, g->loopback) && !destination_holds(c, g))
                        return NO;
        }
        return YES;
}

static void step_clock(struct clock *clock, enum truth truth, uint64_t dt)
{
        if (truth == UNKNOWN)
                clock_pause(clock);
        else
                clock_run(clock, truth == YES, dt);
}

static void step_destination_clocks(struct destination_clock *clocks, const struct condition *c,
                                    const struct snapshot *s, uint64_t dt)
{
        enum truth bound = ports_valid(s) ? UNKNOWN : anywhere_holds(c, s);

        for (unsigned slot = 0; slot < ports_slots(s->ports); slot++) {
                const struct destination *g = destination(s->ports, slot);

                if (!ports_valid(s)) {
                        step_clock(&clocks[slot].clock, bound, dt);
                        continue;
                }
                if (clocks[slot].id != g->id)
                        clocks[slot] = (struct destination_clock){.id = g->id};
                clock_run(&clocks[slot].clock, g->id != 0 && destination_holds(c, g), dt);
        }
}

static void step_when(struct policy *p, unsigned i, const struct snapshot *s)
{
        const struct rule *rule = &p->config->rule[i];
        struct rule_state *state = &p->state[i];

        for (unsigned k = 0; k < rule->n_when; k++)
                if (state->destination_when[k])
                        step_destination_clocks(state->destination_when[k], &rule->when[k], s, p->dt);
                else if (!metric_is_ports(rule->when[k].metric))
                        step_clock(&state->when[k], host_holds(&rule->when[k], s), p->dt);
}

/* True if the destination meets every ports.* condition of `when`; for the one that the rule was taken for the first is
 * enough. The rest says that the rule can help (relief), and a value near its threshold must not end the rule. */
static bool destination_keeps(const struct rule *rule, const struct rule_state *state, const struct condition *first,
                              const struct destination *g)
{
        if (g->id == 0 || !destination_holds(first, g))
                return false;
        for (unsigned k = 0; k < rule->n_when && g->id != state->taken_for; k++)
                if (metric_is_ports(rule->when[k].metric) && !destination_holds(&rule->when[k], g))
                        return false;
        return true;
}

static enum truth some_destination_keeps(const struct rule *rule, const struct rule_state *state,
                                         const struct condition *first, const struct snapshot *s)
{
        if (!ports_valid(s))
                return anywhere_holds(first, s); /* no, or unknown */
        for (unsigned slot = 0; slot < ports_slots(s->ports); slot++)
                if (destination_keeps(rule, state, first, destination(s->ports, slot)))
                        return YES;
        return NO;
}

enum truth is_quiet(const struct policy *p, unsigned i, const struct snapshot *s)
{
        const struct rule *rule = &p->config->rule[i];
        const struct condition *first = NULL; /* of the ports.* conditions */
        enum truth quiet = YES;

        for (unsigned k = 0; k < rule->n_when; k++) {
                const struct condition *c = &rule->when[k];
                enum truth holds;

                if (metric_is_ports(c->metric) && first)
                        continue;
                first = metric_is_ports(c->metric) ? c : first;
                holds = c == first ? some_destination_keeps(rule, &p->state[i], first, s) : still_holds(p, c, s);
                if (holds == YES)
                        return NO;
                if (holds == UNKNOWN)
                        quiet = UNKNOWN;
        }
        return quiet;
}

static void step_until(struct policy *p, unsigned i, const struct snapshot *s)
{
        const struct rule *rule = &p->config->rule[i];
        struct rule_state *state = &p->state[i];

        for (unsigned k = 0; k < rule->n_until; k++)
                step_clock(&state->until[k], everywhere_holds(p, rule, &rule->until[k], s), p->dt);
        if (rule->n_until == 0)
                step_clock(&state->quiet, is_quiet(p, i, s), p->dt);
}

/* Whether the group is past every ports.* threshold of the rule, as if the rule relieved nothing, and still opens
 * connections: without any, no effect can show. */
static bool destination_still_presses(const struct rule *rule, const struct destination *g)
{
        if (g->id == 0 || g->fresh == 0)
                return false;
        for (unsigned k = 0; k < rule->n_when; k++) {
                const struct condition *c = &rule->when[k];

                if (metric_is_ports(c->metric) &&
                    !comparison_holds(c->op, ports_value_unrelieved(g, c->metric), c->number))
                        return false;
        }
        return true;
}

const struct destination *find_pressing(const struct rule *rule, const struct snapshot *s)
{
        for (unsigned slot = 0; ports_valid(s) && slot < ports_slots(s->ports); slot++)
                if (destination_still_presses(rule, destination(s->ports, slot)))
                        return destination(s->ports, slot);
        return NULL;
}

/* Whether the pressure that the rule was taken against goes on. */
static bool still_presses(const struct rule *rule, const struct snapshot *s)
{
        bool per_group = false;

        for (unsigned k = 0; k < rule->n_when; k++)
                if (metric_is_ports(rule->when[k].metric))
                        per_group = true;
                else if (host_holds(&rule->when[k], s) != YES)
                        return false;
        return !per_group || find_pressing(rule, s);
}

static void step_expect(struct policy *p, unsigned i, const struct snapshot *s)
{
        const struct rule *rule = &p->config->rule[i];
        struct rule_state *state = &p->state[i];
        enum truth holds = host_holds(&rule->expect, s);

        if (!state->expecting || holds == UNKNOWN)
                return;
        if (holds == YES) {
                state->expecting = false;
        } else if (still_presses(rule, s)) {
                state->expecting_ns += p->dt;
                state->unexpected = state->expecting_ns >= rule->expect.time_ns;
        }
}

static void step_abort(struct policy *p, unsigned i, unsigned k, const struct snapshot *s)
{
        const struct abort_condition *abort = &p->config->rule[i].abort[k];
        const struct reading *r = &s->reading[abort->metric];
        struct rule_state *state = &p->state[i];
        struct abort_state *a = &state->abort[k];
        double weight = r->weight > 0 ? r->weight : 1;

        if (r->state != READING_VALID)
                return;
        trail_add(&a->trail, s->now, r->value, weight); /* also while it is active: another step may follow */
        if (!state->active || a->over)
                return;
        mean_add(&a->after, r->value, weight);
        a->over = state->active_ns >= abort->within_ns;
        a->harm = mean_is_trend(&a->after, r->weight > 0) && mean_value(&a->after) > a->limit;
}

static void restart_clocks(struct rule_state *state)
{
        state->expecting_ns = 0;
        state->active_ns = 0;
        state->quiet = (struct clock){0};
        memset(state->when, 0, sizeof(state->when));
        memset(state->until, 0, sizeof(state->until));
        for (unsigned k = 0; k < RULE_CONDITIONS_MAX; k++)
                if (state->destination_when[k])
                        memset(state->destination_when[k], 0,
                               PORTS_DESTINATIONS * sizeof(*state->destination_when[k]));
}

void policy_step(struct policy *p, const struct snapshot *s)
{
        bool gap;

        p->dt = p->last_now != 0 ? s->now - p->last_now : 0;
        p->last_now = s->now;
        gap = p->dt > MAX(GAP_INTERVALS * p->config->interval_ns, GAP_MIN_NS);
        if (gap)
                p->dt = 0;

        for (unsigned i = 0; i < p->config->n_rules; i++) {
                if (gap)
                        restart_clocks(&p->state[i]);
                step_when(p, i, s);
                if (p->state[i].active) {
                        p->state[i].active_ns += p->dt;
                        if (p->state[i].stepped_at == 0) /* by the process before, who knows when */
                                p->state[i].stepped_at = s->now;
                        step_until(p, i, s);
                        step_expect(p, i, s);
                }
                for (unsigned k = 0; k < p->config->rule[i].n_abort; k++)
                        step_abort(p, i, k, s);
        }
}

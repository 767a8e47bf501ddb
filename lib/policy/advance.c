/* SPDX-License-Identifier: MIT */
/* The end of the first phase: the clocks move on to the time of the snapshot, by its evaluation. */

#include <math.h>

#include "lib/policy/evaluate.h"

/* A clock that has not run is not written: its memory stays untouched. Without a valid dump a clock keeps its id:
 * since a dump between two ticks, its slot may hold another destination. */
static void advance_destination_clocks(struct destination_clock *clocks, const struct condition *c,
                                       const struct snapshot *s, const struct elapsed *t)
{
        enum truth bound = some_may_hold(c, &s->reading[c->metric]);

        for (unsigned slot = 0; slot < ports_slots(s->ports); slot++) {
                const struct destination *d = ports_destination(s->ports, slot);
                struct destination_clock next = clocks[slot];

                if (ports_valid(s)) {
                        next.id = d->id;
                        next.clock = destination_clock(clocks, slot, d, d->id != 0 ? destination_holds(c, d) : NO,
                                                       c->time_ns, t);
                } else {
                        next.clock = clock_after(&next.clock, bound, c->time_ns, t);
                }
                if (next.clock.holds || clocks[slot].clock.holds)
                        clocks[slot] = next;
        }
}

/* True while the pressure that made the rule act continues. */
static bool still_presses(const struct rule *rule, const struct rule_evaluation *e)
{
        for (unsigned k = 0; k < rule->n_when; k++)
                if (!metric_is_ports(rule->when[k].metric) && e->when[k].holds != YES)
                        return false;
        return !rule_ports_condition(rule) || e->pressing;
}

/* Notes that the rule is not tried for this destination until retry_ns have passed; others may need it. Each
 * destination has one entry, even if the restore fails and the destination is noted again. */
static void note_failed(const struct rule *rule, struct rule_state *state, const struct destination *d, uint64_t now)
{
        unsigned first = 0;

        for (unsigned k = 0; k < FAILED_MAX; k++) {
                if (destination_key_equal(&state->failed[k].key, &d->key)) {
                        first = k;
                        break;
                }
                if (state->failed[k].until < state->failed[first].until)
                        first = k;
        }
        state->any_failed = true;
        state->last_failed = first;
        state->failed[first].key = d->key;
        state->failed[first].until = now + rule->retry_ns;
}

/* The rule does not help the destination that it acts for. If another one is under pressure, the rule is judged
 * by that destination from now on. */
static void expect_next(const struct rule *rule, const struct rule_evaluation *e, struct rule_state *state,
                        uint64_t now)
{
        note_failed(rule, state, e->expect.destination, now);
        state->expecting_ns = 0;
        state->unexpected = !e->pressing_too;
        if (e->pressing_too)
                state->taken_for = e->pressing_too->id;
}

static void advance_expect(const struct rule *rule, const struct rule_evaluation *e, struct rule_state *state,
                           uint64_t now, const struct elapsed *t)
{
        if (!state->expecting || e->expect.holds == UNKNOWN)
                return;
        if (e->expect.holds == YES) {
                state->expecting = state->unexpected = false;
                return;
        }
        if (!still_presses(rule, e))
                return;
        state->expecting_ns = t->gap > rule->expect.time_ns ? 0 : state->expecting_ns + t->ns;
        if (state->expecting_ns < rule->expect.time_ns)
                return;
        if (metric_is_ports(rule->expect.metric))
                expect_next(rule, e, state, now);
        else
                state->unexpected = true;
}

static void advance_abort(const struct rule *rule, const struct abort_condition *abort,
                          const struct abort_evaluation *e, const struct snapshot *s, struct rule_state *state,
                          struct abort_state *a, const struct elapsed *t)
{
        const struct reading *r = &s->reading[abort->metric];
        double weight = r->weight > 0 ? r->weight : 1;

        if (metric_is_ports(abort->metric)) {
                if (e->watching && e->harmed) {
                        /* It stays set until the change is put back: that may fail for longer than the change is
                         * watched. */
                        a->harm = true;
                        a->after = (struct mean){e->mean, 1, t->ns};
                        note_failed(rule, state, e->harmed, s->now);
                }
                a->over |= state->active && state->active_ns >= abort->within_ns;
                return;
        }
        if (r->state != READING_VALID)
                return;
        trail_add(&a->trail, s->now, r->value, weight, t->ns); /* even of an active rule: it may step again */
        if (!state->active || a->over)
                return;
        mean_add(&a->after, r->value, weight, t->ns);
        a->over = state->active_ns >= abort->within_ns;
        a->harm = a->after.ns >= MIN(TREND_NS_MIN, abort->within_ns) &&
                  (r->weight <= 0 || a->after.weight >= TREND_WEIGHT_MIN) && mean_value(&a->after) > a->limit;
}

static void advance_active(const struct policy *p, unsigned i, struct rule_state *state, const struct snapshot *s,
                           const struct elapsed *t)
{
        const struct rule_evaluation *e = &p->evaluation.rule[i];
        const struct rule *rule = &p->config->rule[i];

        state->active_ns += t->ns;
        if (state->stepped_at == 0) /* the previous process made the step, at an unknown time */
                state->stepped_at = s->now;
        for (unsigned k = 0; k < rule->n_until; k++)
                state->until[k] = e->until[k].clock;
        state->quiet = e->quiet;
        advance_expect(rule, e, state, s->now, t);
}

static void advance_rule(struct policy *p, unsigned i, const struct snapshot *s, const struct elapsed *t)
{
        const struct rule *rule = &p->config->rule[i];
        struct rule_state *state = &p->state[i];

        for (unsigned k = 0; k < rule->n_when; k++) {
                state->when[k] = p->evaluation.rule[i].when[k].clock;
                if (state->destination_when[k])
                        advance_destination_clocks(state->destination_when[k], &rule->when[k], s, t);
        }
        if (state->active)
                advance_active(p, i, state, s, t);
        for (unsigned k = 0; k < rule->n_abort; k++)
                advance_abort(rule, &rule->abort[k], &p->evaluation.rule[i].abort[k], s, state, &state->abort[k], t);
}

uint64_t policy_advance(struct policy *p, const struct snapshot *s)
{
        struct elapsed t = elapsed_since(p, s);

        assert(p->evaluated_at == s->now);
        if (p->state_changed)
                policy_evaluate(p, s);
        p->last_now = s->now;
        state_changes(p);
        for (unsigned i = 0; i < p->config->n_rules; i++)
                advance_rule(p, i, s, &t);
        return t.gap;
}

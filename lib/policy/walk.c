/* SPDX-License-Identifier: MIT */
/* One walk over the destinations of a dump, which answers all questions of one rule. */

#include <math.h>

#include "lib/policy/evaluate.h"

struct clock destination_clock(const struct destination_clock *clocks, unsigned slot, const struct destination *d,
                               enum truth holds, uint64_t time_ns, const struct elapsed *t)
{
        static const struct clock none;

        return clock_after(clocks[slot].id == d->id ? &clocks[slot].clock : &none, holds, time_ns, t);
}

static bool has_failed(const struct rule_state *state, const struct destination *d, uint64_t now)
{
        for (unsigned k = 0; k < FAILED_MAX && state->any_failed; k++)
                if (state->failed[k].until > now && destination_key_equal(&state->failed[k].key, &d->key))
                        return true;
        return false;
}

static void take_greater(const struct destination **best, const struct condition *c, const struct destination *d)
{
        if (!*best || destination_value(c, d) > destination_value(c, *best))
                *best = d;
}

/* True if the destination would meet every ports.* condition of `when` without reuse. */
static bool destination_presses(const struct rule *rule, const struct destination *d)
{
        for (unsigned k = 0; k < rule->n_when; k++) {
                const struct condition *c = &rule->when[k];

                if (metric_is_ports(c->metric) &&
                    !comparison_holds(c->op, ports_value_without_reuse(d, c->metric), c->number))
                        return false;
        }
        return true;
}

/* If `expect` names a ports.*, only the destination that the rule acts for is judged. Any other metric can show an
 * effect only while a destination meets `when` without reuse and still makes TIME_WAIT: pressing is one of those. */
static void walk_expect(struct walk *w, const struct destination *d)
{
        const struct condition *c = &w->rule->expect;
        struct rule_evaluation *e = w->e;

        if (!metric_is_ports(c->metric)) {
                if (!e->pressing && d->fresh > 0 && destination_presses(w->rule, d))
                        e->pressing = d;
                return;
        }
        if (d->id == w->state->taken_for) {
                e->expect.destination = d;
                e->expect.reading = reading_of(destination_value(c, d));
                e->expect.holds = destination_holds(c, d);
        }
        if (!destination_presses(w->rule, d))
                return;
        if (d->id == w->state->taken_for)
                e->pressing = d;
        else if (e->can_help[d->loopback] && !has_failed(w->state, d, w->now))
                e->pressing_too = d;
}

/* Harm counts only at the destination that the rule acts for, and only while its ports are reused. Elsewhere any user
 * can fake harm by connections that nobody answers. */
static void walk_abort(struct walk *w, const struct destination *d)
{
        if (d->id != w->state->taken_for || !w->e->can_help[d->loopback] || !destination_is_reused(d))
                return;
        for (unsigned k = 0; k < w->rule->n_abort; k++) {
                if (!metric_is_ports(w->rule->abort[k].metric))
                        continue;
                w->e->abort[k].mean = fmax(ports_value(d, w->rule->abort[k].metric).lower, 0); /* unknown is 0 */
                if (w->e->abort[k].mean > w->state->abort[k].limit)
                        w->e->abort[k].harmed = d;
        }
}

/* A destination that meets every ports.* condition of `when` keeps a rule without `until` active. For the destination
 * that the rule acts for, the first is enough: the others say that the rule can help, and a value near such a
 * threshold must not end the rule. */
static void walk_when(struct walk *w, const struct destination *d, unsigned slot)
{
        bool all = true, timed = true;
        unsigned n = 0;

        for (unsigned k = 0; k < w->rule->n_when; k++) {
                const struct destination_clock *clocks = w->state->destination_when[k];
                const struct condition *c = &w->rule->when[k];
                struct clock clock;
                enum truth holds;

                if (!metric_is_ports(c->metric))
                        continue;
                holds = destination_holds(c, d);
                n += holds == YES;
                all &= holds == YES;
                if (clocks) {
                        clock = destination_clock(clocks, slot, d, holds, c->time_ns, w->elapsed);
                        timed &= clock_reached(&clock, c->time_ns);
                }
        }
        if (all && timed && !has_failed(w->state, d, w->now))
                take_greater(&w->e->entering[d->loopback], w->first, d);
        w->kept |= destination_holds(w->first, d) == YES && (all || d->id == w->state->taken_for);
        if (!w->e->can_help[d->loopback] || n < w->nearest_hold ||
            (w->nearest && n == w->nearest_hold &&
             destination_value(w->first, d) <= destination_value(w->first, w->nearest)))
                return;
        w->nearest = d;
        w->nearest_slot = slot;
        w->nearest_hold = n;
}

static void walk_until(struct walk *w, const struct destination *d)
{
        for (unsigned k = 0; k < w->rule->n_until; k++) {
                const struct condition *c = &w->rule->until[k];
                struct condition_evaluation *e = &w->e->until[k];
                bool less = c->op == LESS || c->op == LESS_EQUAL;
                enum truth holds;

                if (!metric_is_ports(c->metric))
                        continue;
                holds = destination_holds(c, d);
                if (holds != YES && e->holds != NO)
                        e->holds = holds;
                if (!e->destination || (less ? destination_value(c, d) > destination_value(c, e->destination)
                                             : destination_value(c, d) < destination_value(c, e->destination))) {
                        e->destination = d;
                        e->reading = reading_of(destination_value(c, d));
                }
        }
}

/* Fills in the ports.* conditions of `when` from the nearest destination. */
static void show_nearest(const struct walk *w)
{
        const struct destination *d = w->nearest;

        for (unsigned k = 0; k < w->rule->n_when; k++) {
                const struct condition *c = &w->rule->when[k];
                struct condition_evaluation *e = &w->e->when[k];

                if (!metric_is_ports(c->metric))
                        continue;
                e->holds = d ? destination_holds(c, d) : NO;
                e->destination = d;
                if (d)
                        e->reading = reading_of(destination_value(c, d));
                if (d && w->state->destination_when[k])
                        e->clock = destination_clock(w->state->destination_when[k], w->nearest_slot, d, e->holds,
                                                     c->time_ns, w->elapsed);
        }
}

/* True if the rule has conditions on destinations. */
static bool is_about_destinations(const struct walk *w)
{
        bool ports = w->first || (w->rule->has_expect && metric_is_ports(w->rule->expect.metric));

        for (unsigned k = 0; k < w->rule->n_abort; k++)
                ports |= metric_is_ports(w->rule->abort[k].metric);
        for (unsigned k = 0; k < w->rule->n_until; k++)
                ports |= metric_is_ports(w->rule->until[k].metric);
        return ports;
}

/* True if the rule looks at this destination. The destination that an active rule acts for matches `for-unit` even if
 * a reload has forgotten the socket that showed the unit. */
static bool is_for(const struct walk *w, const struct destination *d)
{
        const struct rule *rule = w->rule;

        if (rule->units != 0 && !(rule->units & d->units) && !(w->state->active && d->id == w->state->taken_for))
                return false;
        for (unsigned k = 0; k < rule->n_destinations; k++)
                if (destination_matches(&rule->destination[k], &d->key))
                        return true;
        return rule->n_destinations == 0;
}

void walk_destinations(struct walk *w, const struct ports *ports)
{
        if (!is_about_destinations(w))
                return;
        for (unsigned slot = 0; slot < ports_slots(ports); slot++) {
                const struct destination *d = ports_destination(ports, slot);

                if (d->id == 0 || !is_for(w, d))
                        continue;
                if (w->first)
                        walk_when(w, d, slot);
                if (w->e->can_help[d->loopback])
                        walk_until(w, d);
                if (metric_is_ports(w->release->metric))
                        take_greater(&w->e->most[d->loopback], w->release, d);
                if (w->rule->has_expect)
                        walk_expect(w, d);
                walk_abort(w, d);
        }
        show_nearest(w);
}

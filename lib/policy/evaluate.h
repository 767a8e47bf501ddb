/* SPDX-License-Identifier: MIT */
#pragma once

/* The inside of the first phase: evaluate.c (a rule), walk.c (its destinations), condition.c (one condition),
 * advance.c (the clocks) and rest.c (ticks in which no rule needs to be evaluated). */

#include "lib/policy/state.h"
#include "lib/util/macro.h"

/* The time since the last tick. */
struct elapsed {
        uint64_t ns;  /* the time that counts: at most as long as a tick may take without being late */
        uint64_t gap; /* if the tick is late, all its time except that of dumps; 0: it is on time */
};

#define LATE_INTERVALS 3
#define LATE_MIN_NS (3 * NSEC_PER_SEC)

static inline struct elapsed elapsed_since(const struct policy *p, const struct snapshot *s)
{
        uint64_t ns = p->last_now != 0 ? s->now - p->last_now : 0;
        uint64_t most = MAX(LATE_INTERVALS * p->config->interval_ns, LATE_MIN_NS) + s->dump_ns;

        return (struct elapsed){MIN(ns, most), ns > most ? ns - s->dump_ns : 0};
}

/* The clock of a condition at the time of the snapshot. It counts elapsed->ns, and stands still while truth is
 * UNKNOWN; a gap that is longer than time_ns, the time of the condition, starts it anew. */
struct clock clock_after(const struct clock *clock, enum truth truth, uint64_t time_ns, const struct elapsed *elapsed);

/* UNKNOWN if the destination's value is unknown. */
enum truth destination_holds(const struct condition *c, const struct destination *d);
enum truth reading_holds(const struct condition *c, const struct reading *r);

/* Without a dump, the bounds hold for every destination: they can prove that no destination meets the condition (NO),
 * or that all do (YES). They cannot prove that one does: there may be no destination at all. */
enum truth some_may_hold(const struct condition *c, const struct reading *r);
enum truth all_hold(const struct condition *c, const struct reading *r);

/* The clock of a condition for the destination in a slot: it starts anew for another destination. */
struct clock destination_clock(const struct destination_clock *clocks, unsigned slot, const struct destination *d,
                               enum truth holds, uint64_t time_ns, const struct elapsed *elapsed);

/* One walk over the destinations of a dump, for one rule. */
struct walk {
        const struct rule *rule;
        const struct rule_state *state;
        struct rule_evaluation *e;
        const struct elapsed *elapsed;
        uint64_t now;
        const struct condition *first;       /* the first ports.* condition of `when`; NULL: none */
        const struct condition *release;     /* the first condition of the release */
        const struct destination *nearest;   /* meets most of `when`; of equals, has the greatest value of `first` */
        unsigned nearest_slot, nearest_hold; /* its slot, and how many conditions hold */
        bool kept;                           /* a destination keeps a rule without `until` active */
};

/* Fills in the part of the rule's evaluation about destinations; the dump is valid. */
void walk_destinations(struct walk *walk, const struct ports *ports);

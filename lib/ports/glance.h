/* SPDX-License-Identifier: MIT */
#pragma once

/* Decides, from cheap counts of sockets or connections (glances), whether the next tick has to come sooner, and
 * whether a dump must not wait for its CPU budget: at 20,000 connections a second, half of the ports are gone in
 * 0.7 s. */

#include <stdbool.h>
#include <stdint.h>

#define GLANCE_SHORT 80 /* percent; below 100, as dumps take time and the rate may rise; a rule may act at less */

struct glance {
        uint64_t at;      /* ns of CLOCK_MONOTONIC */
        uint64_t sockets; /* of the host at that time; while reuse works, the connections that it had opened by then */
};

struct glances {
        /* At the last tick, percent: ports.cliff of the fullest destination; while reuse works, the part of
         * ports.reuse_demand that still counts at the next regular tick. */
        double cliff;
        unsigned parity;          /* the usable ports of the smaller parity: ports_parity() */
        struct glance tick, last; /* at the last tick, and the last glance */
        bool growing;             /* over glance_step() / 4 new sockets at the last glance: the next comes sooner */
};

/* Returns how many new sockets are worth an earlier tick or dump. Glances that have stopped (daemon/early.c) begin
 * again after a quarter as many closed connections. */
static inline unsigned glance_step(unsigned parity)
{
        return parity / 16;
}

/* Returns how many of the connections opened since the last dump, seconds ago, exceed the rate (a second) before that
 * dump: only these are taken to be all toward one destination. */
uint64_t glance_unexpected(uint64_t opened, double rate, double seconds);

/* Returns true if ports.forecast was below GLANCE_SHORT in the last dump, seconds ago, but has reached it by now if
 * the growth in that dump went on. cliff, forecast: of that dump. Assumes that the ports in use are freed evenly over
 * a minute (PORTS_WINDOW). */
bool glance_growth_may_fire(double cliff, double forecast, double seconds);

/* Returns true if ports.forecast may have reached GLANCE_SHORT because of unexpected connections. cliff: ports.cliff
 * of the fullest destination in the last dump. sockets: the unexpected connections since then, maybe all toward that
 * destination. If cliff was at GLANCE_SHORT already, returns true only for more than parity / 2 of them: while reuse
 * works, there are always some. parity: as in struct glances. */
bool glance_may_fire(double cliff, uint64_t sockets, unsigned parity);

/* Returns true if ports.reuse_demand may have reached its rule's threshold since the last dump, seconds ago, while
 * reuse works. demand: its lower bound in that dump, which the rule compares. opened: the unexpected connections since
 * then. */
bool glance_reuse_may_fire(double demand, uint64_t opened, double seconds, unsigned parity);

/* Stores now as the last glance. Returns true if the ports toward one destination could be short by the next regular
 * tick, or in 1 s if that is sooner, if all new sockets since the last tick were toward it. due: the time of that
 * tick, ns of CLOCK_MONOTONIC. */
bool glance_is_urgent(struct glances *glances, struct glance now, uint64_t due);

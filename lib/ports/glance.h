/* SPDX-License-Identifier: MIT */
#pragma once

/* A cheap count of the sockets between two ticks, and whether the next tick has to come sooner: at 20,000 connections a
 * second half of the ports last 0.7 s. */

#include <stdbool.h>
#include <stdint.h>

#define GLANCE_SHORT 80 /* percent: rules fire on less, but a dump takes time, and more may come than before */

struct glance {
        uint64_t at;      /* ns */
        uint64_t sockets; /* of the host then; while reuse works, the connections that it opened until then */
};

struct glances {
        /* At the last tick, percent: ports.cliff of the fullest destination; while reuse works, the part of
         * ports.reuse_demand that still counts at the next regular tick. */
        double cliff;
        unsigned parity;          /* the usable ports of one parity, of the smaller one */
        struct glance tick, last; /* at the last tick, and the last glance */
        bool growing;             /* the last glance saw new sockets: the next one has to come soon */
};

/* So many new sockets are worth a look, and so many connections that ended are worth a glance. */
static inline unsigned glance_step(unsigned parity)
{
        return parity / 16;
}

/* Of the connections since the last dump those that come on top of the rate before it, a second: only these may all be
 * toward one destination. */
uint64_t glance_unexpected(uint64_t opened, double rate, double seconds);

/* Returns true if ports.forecast was too low in the last dump for a rule to fire, and no longer is if what it saw has gone
 * on. As many TIME_WAIT end as began a minute before. */
bool glance_growth_may_fire(double cliff, double forecast, double seconds);

/* The same for what comes on top. cliff: ports.cliff of the fullest destination in that dump. sockets: how many are new
 * since then; all of them may be toward that destination. Where it was full already, only those of half a parity make
 * a difference: while reuse works, a few are new all the time. parity: as in struct glances. */
bool glance_may_fire(double cliff, uint64_t sockets, unsigned parity);

/* The same of ports.reuse_demand, while reuse works. demand: its value in the last dump, so many seconds ago. opened:
 * connections since then. */
bool glance_reuse_may_fire(double demand, uint64_t opened, double seconds, unsigned parity);

/* Takes over the next glance. Returns true if the ports toward one destination could be short before the next regular
 * tick, which is due at that time (ns), if all new sockets since the last tick were toward it. */
bool glance_is_urgent(struct glances *glances, struct glance now, uint64_t due);

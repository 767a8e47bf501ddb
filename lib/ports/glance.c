/* SPDX-License-Identifier: MIT */
#include "lib/ports/glance.h"

#include "lib/ports/table.h"
#include "lib/util/macro.h"

#define REUSE_PERCENT 50 /* the threshold of the rule time-wait-reuse-sooner (conf/policy.conf) */
#define AHEAD_NS NSEC_PER_SEC

/* All new sockets may be of the last 2 s: then ports.forecast counts them once now, and 3/2 times for the next 3 s. */
#define FORECAST_TIMES 2.5

bool glance_may_fire(double cliff, uint64_t sockets, unsigned parity)
{
        unsigned step = cliff < GLANCE_SHORT ? glance_step(parity) : parity / 2;

        return sockets > step && cliff + FORECAST_TIMES * 100 * (double)sockets / MAX(parity, 1u) >= GLANCE_SHORT;
}

bool glance_growth_may_fire(double cliff, double forecast, double seconds)
{
        double growth = (forecast - cliff) / PORTS_FORECAST - cliff / PORTS_WINDOW;

        return forecast < GLANCE_SHORT && forecast + growth * seconds >= GLANCE_SHORT;
}

uint64_t glance_unexpected(uint64_t opened, double rate, double seconds)
{
        double expected = rate * seconds;

        return (double)opened > expected ? opened - (uint64_t)expected : 0;
}

bool glance_reuse_may_fire(double demand, uint64_t opened, double seconds, unsigned parity)
{
        double before = demand * (1 - MIN(seconds, 1.0)), since = (double)opened / MAX(seconds, 1.0);

        return demand < REUSE_PERCENT && before + 100 * since / MAX(parity, 1u) >= REUSE_PERCENT;
}

static double grown(struct glance before, struct glance now)
{
        return now.sockets > before.sockets ? (double)(now.sockets - before.sockets) : 0;
}

bool glance_is_urgent(struct glances *g, struct glance now, uint64_t due)
{
        double growth = grown(g->tick, now), elapsed = (double)(now.at - g->last.at), ahead, next;

        ahead = due > now.at ? (double)MIN(due - now.at, AHEAD_NS) : 0;
        next = elapsed > 0 ? grown(g->last, now) / elapsed * ahead : 0;
        g->growing = 4 * grown(g->last, now) > glance_step(g->parity);
        g->last = now;
        return growth > glance_step(g->parity) &&
               g->cliff + 100 * (growth + next) / MAX(g->parity, 1u) >= GLANCE_SHORT;
}

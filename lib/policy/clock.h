/* SPDX-License-Identifier: MIT */
#pragma once

/* The small clocks of the policy: how long a condition has held, the mean of a metric in the last minute, and when the
 * next tick is due. */

#include <stdbool.h>
#include <stdint.h>

#include "lib/util/macro.h"

/* How long something has held without a break. */
struct clock {
        bool holds;
        bool paused; /* the time up to the next run does not count */
        uint64_t ns;
};

/* The clock of the destination with this id. */
struct destination_clock {
        uint64_t id;
        struct clock clock;
};

static inline void clock_run(struct clock *clock, bool holds, uint64_t dt)
{
        if (!holds)
                clock->ns = 0;
        else if (clock->holds && !clock->paused)
                clock->ns += dt;
        clock->holds = holds;
        clock->paused = false;
}

/* Called in place of clock_run() if it is unknown whether it holds: that is no break, but the time does not count. */
static inline void clock_pause(struct clock *clock)
{
        clock->paused = true;
}

static inline bool clock_reached(const struct clock *clock, uint64_t ns)
{
        return clock->holds && !clock->paused && clock->ns >= ns;
}

/* When the next tick is due: at a multiple of the interval, so that all daemons of a host wake it at once and find its
 * caches warm (50 idle ones took 20 % less CPU); but more than half an interval after now, even after a late tick. now
 * and interval are in the same unit, whichever it is. */
static inline uint64_t clock_next_tick(uint64_t now, uint64_t interval)
{
        return (now + interval / 2 + interval) / interval * interval;
}

/* A weighted mean: a share of 20,000 connections counts for more than a share of one. */
struct mean {
        double sum, weight;
        uint64_t ns; /* the time that it covers: between each sample and the one before */
};

static inline void mean_add(struct mean *mean, double value, double weight, uint64_t ns)
{
        mean->sum += value * weight;
        mean->weight += weight;
        mean->ns += ns;
}

static inline double mean_value(const struct mean *mean)
{
        return mean->weight > 0 ? mean->sum / mean->weight : 0;
}

#define TRAIL_SECONDS 60u

/* The last minute of a metric, in one bucket for each second. */
struct trail {
        struct {
                uint64_t second;
                struct mean mean;
        } bucket[TRAIL_SECONDS];
};

static inline void trail_add(struct trail *trail, uint64_t now, double value, double weight, uint64_t ns)
{
        uint64_t second = now / NSEC_PER_SEC;
        unsigned i = (unsigned)(second % TRAIL_SECONDS);

        if (trail->bucket[i].second != second)
                trail->bucket[i].mean = (struct mean){0};
        trail->bucket[i].second = second;
        mean_add(&trail->bucket[i].mean, value, weight, ns);
}

/* Returns the mean over the minute before now; its ns is 0 if nothing was seen. */
static inline struct mean trail_mean(const struct trail *trail, uint64_t now)
{
        uint64_t second = now / NSEC_PER_SEC;
        struct mean mean = {0};

        for (unsigned i = 0; i < TRAIL_SECONDS; i++)
                if (trail->bucket[i].second + TRAIL_SECONDS > second) {
                        mean.sum += trail->bucket[i].mean.sum;
                        mean.weight += trail->bucket[i].mean.weight;
                        mean.ns += trail->bucket[i].mean.ns;
                }
        return mean;
}

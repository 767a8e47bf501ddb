/* SPDX-License-Identifier: MIT */
#pragma once

/* The daemon reads clocks only here and with sd_event_now(3): lib/ gets the time as a parameter. */

#include <stdint.h>
#include <time.h>

#include "lib/util/macro.h"

/* The time of a clock in ns (clock_gettime(2)). */
static inline uint64_t clock_ns(clockid_t clock)
{
        struct timespec ts;

        clock_gettime(clock, &ts);
        return (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

/* ns. CLOCK_BOOTTIME counts suspend, which the policy must see as a gap. */
static inline uint64_t now_ns(void)
{
        return clock_ns(CLOCK_BOOTTIME);
}

/* us of CLOCK_MONOTONIC, as in sd_notify(3) and in the timers of our event loops. */
static inline uint64_t now_monotonic_us(void)
{
        return clock_ns(CLOCK_MONOTONIC) / 1000;
}

/* The date, for people. */
static inline struct timespec now_date(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_REALTIME, &ts);
        return ts;
}

/* ns of CPU time of the calling thread. */
static inline uint64_t thread_cpu_ns(void)
{
        return clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

/* SPDX-License-Identifier: MIT */
#pragma once

/* What one tick saw. A value: nothing in it changes after the observer has filled it in. */

#include <stdint.h>

#include "lib/kernel/counter.h"
#include "lib/kernel/metric.h"
#include "lib/kernel/sysctl.h"

enum reading_state {
        READING_INVALID,     /* not read this time; never to be taken for zero */
        READING_UNAVAILABLE, /* this kernel or netns has no such thing */
        READING_VALID,
        READING_BOUNDED, /* not read, because it is enough to know that it lies between value and upper */
};

struct reading {
        enum reading_state state;
        double value, upper;
        double weight; /* of a share: how many it is a share of. 0: not a share */
};

struct live_sysctl {
        enum reading_state state;
        struct sysctl_value value;
};

#define SNAPSHOT_WHO_MAX 112 /* the name of a destination or of a listener fits */
#define SNAPSHOT_UNIT_MAX 64

struct snapshot {
        uint64_t now; /* ns of CLOCK_BOOTTIME */

        /* Whose it is, where a metric has a culprit: a destination, a listener, a unit. "": nobody's. */
        char who[METRIC_COUNT][SNAPSHOT_WHO_MAX];
        char unit[METRIC_COUNT][SNAPSHOT_UNIT_MAX];
        struct live_sysctl sysctl[SYSCTL_COUNT];
        uint64_t memory_bytes; /* of the machine */
        uint64_t dump_every;   /* ns between two looks at all sockets, while cpu_budget puts off the next; else 0 */

        /* Every group. Good only while the ports.* readings are valid; borrowed from the observer until its
         * next snapshot. */
        const struct ports *ports;

        /* By metric id; from METRIC_COUNT on the kernel counters, of which there are as many as
         * the configuration names. The ports.* here are the busiest group's; where
         * they are bounded, the bounds hold for every group. */
        struct reading reading[METRIC_COUNT + COUNTERS_MAX];
};

static inline struct reading reading_bounded(double lower, double upper)
{
        return (struct reading){.state = READING_BOUNDED, .value = lower, .upper = upper};
}

static inline struct reading reading_valid(double value)
{
        return (struct reading){.state = READING_VALID, .value = value};
}

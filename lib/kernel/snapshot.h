/* SPDX-License-Identifier: MIT */
#pragma once

/* The readings of one tick. The observer fills a snapshot; everyone else only reads it. */

#include <math.h>
#include <stdint.h>

#include "lib/kernel/counter.h"
#include "lib/kernel/metric.h"
#include "lib/kernel/sysctl.h"

enum reading_state {
        READING_INVALID,     /* not read this time; never to be taken for zero */
        READING_UNAVAILABLE, /* this kernel or network namespace has no such thing */
        READING_VALID,
        READING_BOUNDED, /* not read: its bounds, value and upper, are enough to decide */
};

extern const char *const reading_state_names[];

/* A value in the unit of its metric; a counter is per second, a gauge as it is. */
struct reading {
        enum reading_state state;
        double value, upper; /* upper: only of a bounded one */
        double weight;       /* of a share: the count that it is a share of; 0: not a share */
};

struct live_sysctl {
        enum reading_state state;
        struct sysctl_value value;
};

#define SNAPSHOT_ENDPOINT_MAX 112 /* the name of a destination or of a listener fits */
#define SNAPSHOT_CULPRIT_MAX 256

struct snapshot {
        uint64_t now;     /* ns of CLOCK_BOOTTIME */
        uint64_t version; /* snapshots with the same version have the same readings and sysctls; 0: unknown */

        /* The endpoint of a metric is its destination or listener; the culprit is the systemd unit with the sockets
         * that the metric is about. "": none, or unknown. */
        char endpoint[METRIC_COUNT][SNAPSHOT_ENDPOINT_MAX];
        char culprit[METRIC_COUNT][SNAPSHOT_CULPRIT_MAX];
        struct live_sysctl sysctl[SYSCTL_COUNT];
        uint64_t memory_bytes; /* of the machine */
        uint64_t dump_every;   /* ns between two dumps while cpu_budget delays the next one; else 0 */
        uint64_t dump_ns;      /* how long the dumps since the last tick took, which may make this one late; 0: none */

        /* Of a rate per second, how many events its source has counted since it was last read; 0: none, or not read in
         * this tick. It cannot be computed from the rate, which may be of an earlier tick, and over another time. */
        uint64_t events[METRIC_COUNT];

        /* All destinations of the last dump, to be used for decisions only while the ports.* readings are valid;
         * borrowed from the observer until its next snapshot. */
        const struct ports *ports;

        /* By metric id; from METRIC_COUNT on, the kernel counters of the configuration, with those of the observer
         * itself. The ports.* are those of the busiest destination; where they are bounded, the bounds hold for every
         * destination. */
        struct reading reading[METRIC_COUNT + COUNTERS_MAX];
};

/* True if the ports.* were read from a dump in this tick. */
static inline bool ports_valid(const struct snapshot *s)
{
        return s->reading[METRIC_PORTS_FIRST].state == READING_VALID;
}

static inline struct reading reading_bounded(double lower, double upper)
{
        return (struct reading){.state = READING_BOUNDED, .value = lower, .upper = upper};
}

static inline struct reading reading_valid(double value)
{
        return (struct reading){.state = READING_VALID, .value = value};
}

/* Returns an invalid reading if value is NAN, which means unknown; else a valid one. */
static inline struct reading reading_of(double value)
{
        return isnan(value) ? (struct reading){.state = READING_INVALID} : reading_valid(value);
}

/* The first source that could not be read in a tick. The others are read all the same. */
struct unread {
        int error;        /* a negative errno; 0: everything was read */
        const char *what; /* the name of the source, as in "cannot read %s"; a static string; NULL while error is 0 */
};

/* Keeps the first error: a later one is often its consequence. error is 0 or a negative errno. */
static inline void unread_add(struct unread *unread, int error, const char *what)
{
        if (error < 0 && unread->error == 0)
                *unread = (struct unread){error, what};
}

/* SPDX-License-Identifier: MIT */
#pragma once

/* The metrics as text in Prometheus' exposition format 0.0.4, the one that the textfile collector of
 * prometheus-node-exporter reads. Base units: a share is a ratio (1: 100 %), a rate is per second.
 *
 * Only a metric that was observed has a sample: it has none if nothing needs it, this kernel lacks it, it could not be
 * read, or only its bounds are known. The upper limit of the number of series depends on the configuration, not on the
 * load: only the EXPOSITION_GROUPS worst destinations have series. */

#include <stddef.h>
#include <sys/types.h>

#include "lib/apply/ledger.h"
#include "lib/audit/episode.h"
#include "lib/policy/policy.h"

#define EXPOSITION_GROUPS 5u

/* One of the busiest destinations: see ports_busyness(). */
struct exposition_destination {
        char name[DESTINATION_NAME_MAX];
        uint64_t cgroup; /* 0: unknown */
        struct parity_ports ports;
};

/* Copies the busiest destinations of the last dump, each with its fuller parity; the busiest is first. Returns their
 * number. */
unsigned exposition_fullest(const struct ports *ports, struct exposition_destination ret[static EXPOSITION_GROUPS]);

/* What has happened since the daemon started. */
struct exposition_counters {
        uint64_t metric[METRIC_COUNT]; /* for a rate: the sum of its events */
        bool counted[METRIC_COUNT];    /* the rate has been read */
        uint64_t episodes[RULES_MAX];  /* how often the rule became active */
};
#define EXPOSITION_TEXT_MAX (400u << 10)

struct exposition {
        const char *version;
        const char *netns; /* a label of every sample; "" (the host's own): no label */
        const struct snapshot *snapshot;
        const struct config *config;
        struct policy *policy;
        const struct episodes *episodes;
        const struct exposition_counters *counters;
        const struct exposition_destination *fullest; /* of the last dump */
        unsigned n_fullest;
        double fullest_at;                                     /* Unix time of that dump */
        const char *(*find_unit)(void *user, uint64_t cgroup); /* returns "" if unknown, as for cgroup 0 */
        void *user;
        const struct ledger *ledger;
        const uint64_t (*logged)[OUTCOME_COUNT]; /* how many logged changes of each sysctl had each outcome */
        double observed_at; /* Unix time of the last tick that could read everything; 0: none yet */
        bool degraded;      /* the state of the daemon is STATE_DEGRADED */
};

/* Returns the size of the text; -ENOBUFS: it does not fit into size bytes. */
ssize_t exposition_format(const struct exposition *exposition, char *buf, size_t size);

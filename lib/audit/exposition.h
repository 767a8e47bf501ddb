/* SPDX-License-Identifier: MIT */
#pragma once

/* The metrics as text in Prometheus' exposition format 0.0.4, the one that the textfile collector of
 * prometheus-node-exporter reads. Base units: a share is a ratio (1: 100 %), a rate is per second.
 *
 * Only what was observed has a sample: a metric that no rule asks for, that this kernel lacks or that could not be
 * read is absent, never zero. The sample of a bounded metric is its upper bound, with the label bound="upper". The
 * number of series depends on the configuration, never on the load: only the EXPOSITION_GROUPS worst destinations have
 * samples. */

#include <stddef.h>
#include <sys/types.h>

#include "lib/apply/ledger.h"
#include "lib/policy/policy.h"

#define EXPOSITION_GROUPS 5u
#define EXPOSITION_TEXT_MAX (384u << 10)

struct exposition {
        const char *version;
        const char *netns; /* a label of every sample; "": none, the host's own */
        const struct snapshot *snapshot;
        const struct config *config;
        const struct policy *policy;
        const struct ledger *ledger;
        const uint64_t (*logged)[OUTCOME_COUNT]; /* for each sysctl, how many changes had which outcome */
        double observed_at; /* Unix time of the last tick that could read everything; 0: none yet */
        bool degraded;      /* the state of the daemon */
};

/* Returns the size of the text; -ENOBUFS: it does not fit into size bytes. */
ssize_t exposition_format(const struct exposition *exposition, char *buf, size_t size);

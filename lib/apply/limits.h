/* SPDX-License-Identifier: MIT */
#pragma once

/* What may be written, and how often: the last look before a write. Restores are exempt, and count for nothing. */

#include "lib/apply/ledger.h"
#include "lib/config/config.h"
#include "lib/kernel/snapshot.h"

struct limits {
        double tokens; /* changes left; changes_per_minute is the bucket's size and what it gains in a minute */
        uint64_t filled_at;
        uint64_t changed_at[SYSCTL_COUNT]; /* 0: never */
};

/* A full bucket. */
void limits_init(struct limits *limits, const struct config *config, uint64_t now);

/* Whether value may be written over live now. 0; -EPERM or -ERANGE: never, with a reason; -EAGAIN: not yet,
 * with a reason. writes: for how many there must be room. Takes nothing from the bucket. */
int limits_check(struct limits *limits, const struct config *config, const struct snapshot *snapshot,
                 enum sysctl_id sysctl, const struct sysctl_value *live, const struct sysctl_value *value,
                 unsigned writes, char *reason, size_t size);

/* A change was made. */
void limits_note_change(struct limits *limits, enum sysctl_id sysctl, uint64_t now);

/* The limits hold across restarts: what the process before did, as its ledger tells, and what this one will have done
 * after one more change. */
void limits_resume(struct limits *limits, const struct ledger *ledger, uint64_t now);
void limits_save(const struct limits *limits, struct ledger *ledger);

/* SPDX-License-Identifier: MIT */
#pragma once

/* Which values may be written, and how often: the last check before a write. Restores are exempt and do not count. */

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

/* Checks if value may be written over live now. Returns 0; -EPERM or -ERANGE: never; -EAGAIN: not yet; both with a
 * reason. writes: how many the bucket must have room for. Takes nothing from it. */
int limits_check(struct limits *limits, const struct config *config, const struct snapshot *snapshot,
                 enum sysctl_id sysctl, const struct sysctl_value *live, const struct sysctl_value *value,
                 unsigned writes, char *reason, size_t size);

/* Counts a change. */
void limits_note_change(struct limits *limits, enum sysctl_id sysctl, uint64_t now);

/* The limits hold across restarts: load the changes of the previous process from its ledger, and store those of this
 * one. */
void limits_resume(struct limits *limits, const struct ledger *ledger, uint64_t now);
void limits_save(const struct limits *limits, struct ledger *ledger);

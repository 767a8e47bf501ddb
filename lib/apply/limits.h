/* SPDX-License-Identifier: MIT */
#pragma once

/* The last check before a write: which values may be written, and how often. Restores are exempt and do not count. */

#include "lib/apply/ledger.h"
#include "lib/config/config.h"
#include "lib/kernel/snapshot.h"

struct limits {
        double tokens; /* changes left; changes_per_minute is the bucket's size and what it gains in a minute */
        uint64_t filled_at;
        uint64_t changed_at[SYSCTL_COUNT]; /* 0: never */
};

/* Starts with a full bucket. */
void limits_init(struct limits *limits, const struct config *config, uint64_t now);

/* Checks if value may be written over live now. Returns 0; or, with a reason, -EPERM or -ERANGE: refused; -EAGAIN: not
 * yet. writes: how many changes must be left in the bucket. Takes nothing from it. */
int limits_check(struct limits *limits, const struct config *config, const struct snapshot *snapshot,
                 enum sysctl_id sysctl, const struct sysctl_value *live, const struct sysctl_value *value,
                 unsigned writes, char *reason, size_t size);

/* Counts a change. */
void limits_note_change(struct limits *limits, enum sysctl_id sysctl, uint64_t now);

/* The limits hold across restarts: limits_resume() loads the changes of the previous process from its ledger, and
 * limits_save() stores those of this one, including the change that is about to be made. */
void limits_resume(struct limits *limits, const struct ledger *ledger, uint64_t now);
void limits_save(const struct limits *limits, struct ledger *ledger);

/* SPDX-License-Identifier: MIT */
#pragma once

/* Changes sysctls: the limits are asked, the ledger knows the original before the first write, one write, read back. The
 * outcome is filled into the change. */

#include "daemon/backend.h"
#include "lib/apply/ledger.h"
#include "lib/apply/limits.h"
#include "lib/policy/policy.h"

/* What another program has set is not changed for so long. */
#define APPLY_HAND_WAIT_NS (600 * NSEC_PER_SEC)

struct apply {
        struct backend *backend;         /* borrowed */
        const struct config *config;     /* borrowed */
        const struct snapshot *snapshot; /* borrowed; of the tick at hand */
        struct limits limits;
        struct ledger ledger;
        struct sysctl_value seen[SYSCTL_COUNT]; /* what was read or written last; n == 0: unknown */
        int ledger_error;                       /* why the file is not what the ledger is: negative errno; 0: it is */
};

/* Carries out every change of a decision and fills in the outcomes. */
void apply_decision(struct apply *apply, struct decision *decision);

/* Puts the original of one held sysctl back, if its value is still ours. RESTORED, FOREIGN or FAILED: with -EBUSY, a
 * table may hold more sockets than the original size, which is no reason at the end. Saves the ledger. */
void apply_restore(struct apply *apply, struct change *change, bool at_end);

/* A sysctl that a rule or a person gave up: its entry of the ledger gets this state. Saves the ledger. */
void apply_set_state(struct apply *apply, enum sysctl_id sysctl, enum ledger_state state);

/* Saves the ledger; ledger_error says whether it could be. */
void apply_save_ledger(struct apply *apply);

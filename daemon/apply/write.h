/* SPDX-License-Identifier: MIT */
#pragma once

/* Changes sysctls: checks the limits, saves the original in the ledger before the first write, writes once and reads
 * back. Fills the outcome into the change. */

#include "daemon/backend.h"
#include "lib/apply/ledger.h"
#include "lib/apply/limits.h"
#include "lib/policy/policy.h"

/* How long rules leave a sysctl alone after another program set it. */
#define APPLY_HAND_WAIT_NS (600 * NSEC_PER_SEC)

struct apply {
        struct backend *backend;         /* borrowed */
        const struct config *config;     /* borrowed */
        const struct snapshot *snapshot; /* borrowed; of the current tick */
        struct limits limits;
        struct ledger ledger;
        struct sysctl_value seen[SYSCTL_COUNT]; /* the value read or written last; n == 0: unknown */
        int ledger_error;                       /* negative errno of the last save; 0: it succeeded */
};

/* Carries out every change of a decision and fills in the outcomes. */
void apply_decision(struct apply *apply, struct decision *decision);

/* Restores one held sysctl if its live value is still ours, or already the value to restore. That is the original; or
 * the value that sysctl.d sets, if that value has changed since the rule took the sysctl. Outcome: RESTORED or
 * FOREIGN, with the ledger saved; or FAILED. Error -EBUSY: another value was read back; or, unless at_end, the
 * TIME_WAIT table may hold more sockets than the value to restore: then too_full is set. */
void apply_restore(struct apply *apply, struct change *change, bool at_end);

/* Sets the state of a ledger entry, to any but LEDGER_HELD. Saves the ledger. */
void apply_set_state(struct apply *apply, enum sysctl_id sysctl, enum ledger_state state);

/* Saves the ledger; sets ledger_error. */
void apply_save_ledger(struct apply *apply);

/* SPDX-License-Identifier: MIT */
#pragma once

/* Changes sysctls: the guard is asked, the ledger knows the original before the first write, one write, read
 * back. What is reported is the outcome. */

#include "daemon/tick.h"

/* Carries out every change of a decision and fills in what came of it. */
void writer_carry_out(struct tuner *tuner, struct decision *decision);

/* Puts the original of one held sysctl back, if its value is still ours. RESTORED, THEIRS or FAILED: with -EBUSY, a
 * table may hold more than that, which is no reason at the end. The ledger is saved. */
void writer_restore(struct tuner *tuner, struct change *change, bool at_end);

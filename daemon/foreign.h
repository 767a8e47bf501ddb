/* SPDX-License-Identifier: MIT */
#pragma once

#include "daemon/tuner.h"

/* Compares each sysctl that a rule sets, and that is not held, with what was seen of it last. If another program has
 * changed it, that is logged, and the new value is the original for any rule; after a second change the sysctl is foreign.
 * To be called once a tick, on a new snapshot and before anything is written. */
void foreign_note_changes(struct tuner *tuner);

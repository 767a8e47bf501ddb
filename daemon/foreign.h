/* SPDX-License-Identifier: MIT */
#pragma once

#include "daemon/tuner.h"

/* Compares each sysctl that a rule can set, but no rule holds, with its last seen value. If another program has
 * changed it, logs that and makes the new value the original for any rule; after a second change the sysctl is
 * foreign. Call once per tick, with a new snapshot and before any write. */
void foreign_note_changes(struct tuner *tuner);

/* SPDX-License-Identifier: MIT */
#pragma once

/* The tick: one pass that observes, decides, changes sysctls and records the changes. */

#include "daemon/tuner.h"

/* Takes ownership of config. apply.ledger is that of the previous process: a value that a rule of config sets stays
 * held, and the first tick puts back any other; in observe mode both are only logged. The rest of tuner is zero, and
 * most of it stays untouched, so that it takes no memory. Returns 0 or -ENOMEM; on an error config stays the
 * caller's. */
int tuner_start(struct tuner *tuner, struct backend *backend, struct config *config, uint64_t now);

/* Replaces the configuration, frees the old one, and puts back what no rule sets any more. Returns 0 or -ENOMEM; on an
 * error config stays the caller's and nothing changes. */
int tuner_reload(struct tuner *tuner, struct config *config);

void tick(struct tuner *tuner);

/* Puts back everything that the ledger holds, the last write first; why is part of a sentence: "twtuned stops".
 * Returns how many sysctls could not be put back. */
unsigned tuner_restore_all(struct tuner *tuner, const char *why);

void tuner_stop(struct tuner *tuner);

/* SPDX-License-Identifier: MIT */
#pragma once

/* From outcomes to events and the status line. */

#include "daemon/tick.h"
#include "lib/config/config.h"

/* One event for each change of the decision that did or could not do something. */
void report_decision(struct tuner *tuner, const struct decision *decision);

/* A sysctl that was put back, or could not be, without a rule's decision: at the start, a reload or the end.
 * why is part of a sentence: "the daemon stops". */
void report_restored(struct tuner *tuner, const struct change *change, const char *rule, const char *why);

/* A sysctl that is not touched, although the ledger knows it. */
void report_left_alone(struct tuner *tuner, enum sysctl_id sysctl, const char *why);

/* What a person asked for; why is part of a sentence. */
void report_paused(struct tuner *tuner, uint64_t ns, const char *why);
void report_resumed(struct tuner *tuner, const char *why);
void report_rearmed(struct tuner *tuner, enum sysctl_id sysctl, const char *why);

/* Once when saving the ledger begins to fail (error is a negative errno), and once when it works again. */
void report_ledger(struct tuner *tuner, int error);

/* Once when writing the metrics file begins to fail (failed: it was so before), and once when it works again. */
void report_metrics_file(struct tuner *tuner, const char *path, bool failed, int error);

/* Once when observing begins to fail, and once when it works again. what is what could not be read. */
void report_observation(struct tuner *tuner, int error, const char *what);

/* Which configuration runs now, and which of its rules this kernel lacks something for, once; or why a new one does
 * not. */
void report_config_loaded(struct tuner *tuner);
void report_config_rejected(struct backend *backend, const struct diagnostic *diagnostic, size_t count);

/* To the service manager: the state in a sentence when it has changed, and that a tick was completed. */
void report_status(struct tuner *tuner);

/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>

/* Runs the daemon until SIGTERM or SIGINT. config_file NULL: the usual files. observe_only: whatever the
 * configuration says, nothing is written. hold: when systemd does not say that it stops the unit for good, what is
 * changed is left to whoever comes next. record_file NULL: nothing is recorded. Returns the exit status. */
int service_run(const char *config_file, bool observe_only, bool hold, const char *record_file);

/* Puts back what the ledger of this netns holds. Returns the exit status. */
int service_restore(void);

/* Prints what is wrong with the configuration; verbose: if nothing is, every value and where it stands. Returns 0 or
 * EX_CONFIG. */
int service_check(const char *config_file, bool verbose);

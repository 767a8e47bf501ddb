/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>

/* Runs the daemon until SIGTERM or SIGINT. Returns the exit status.
 * config_file: read alone; NULL: /usr/lib/twtuned/policy.conf, /etc/twtuned.conf and the files in /etc/twtuned.conf.d.
 * observe_only: never write a sysctl, whatever the configuration says.
 * hold: put the originals back at the end only if systemd stops the unit for good; else the next process takes over.
 * record_file: append a row of CSV for each tick to this new or empty file; NULL: do not record.
 * netns: the path of the network namespace, which the process has entered: it then gives up the right to write anything but
 * the listed sysctls, the ledger and the metrics file. NULL: it has entered none. */
int service_run(const char *config_file, bool observe_only, bool hold, const char *record_file, const char *netns);

/* Puts back all that the ledger of this network namespace holds. Returns the exit status. */
int service_restore(void);

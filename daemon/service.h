/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>

#include "lib/config/config.h"

struct service_options {
        /* Read alone; NULL: /usr/lib/twtuned/policy.conf, /etc/twtuned.conf and the drop-ins. */
        const char *config_file;

        /* The initial configuration, already read from there; the daemon frees it. NULL: the daemon reads it. */
        struct config *config;

        bool observe_only; /* never write a sysctl, whatever the configuration says */

        /* Put the originals back at the end only if systemd stops the unit for good; else the next process takes
         * over. */
        bool hold;

        const char *record_file; /* append a row of CSV for each tick to this new or empty file; NULL: do not record */

        /* The path of the network namespace that the process has entered. The daemon then gives up the right to open
         * anything for writing but its sysctls, its runtime files, the ledger and the metrics file (confine.h). NULL:
         * the process has entered none. */
        const char *netns;

        int notify_fd; /* the pipe to the supervisor (note.h); 0: sd_notify(3) */
};

/* Makes SIGTERM, SIGINT, SIGHUP and SIGCHLD wait for the event loop. Call it before the first change. */
void service_block_signals(void);

/* Runs the daemon until SIGTERM or SIGINT. Returns the exit status. */
int service_run(const struct service_options *options);

/* Puts back all that the ledger of this network namespace holds. Returns the exit status. */
int service_restore(void);

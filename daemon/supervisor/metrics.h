/* SPDX-License-Identifier: MIT */
#pragma once

/* metrics-http, which the supervisor starts if metrics_listen is set, serves the metrics files of all children. */

#include "daemon/supervisor/process.h"

struct metrics_server {
        struct process process;
        const char *program; /* NULL: nothing is served */
        char *address;       /* owned */
        char directory[192]; /* of the files */
        int beat[2];         /* a pipe: its read end is the standard input of the program */
};

/* Makes an empty directory for the files to serve at address. Nothing is served if address is NULL, or after an error,
 * which is printed. */
void metrics_server_init(struct metrics_server *server, const char *address);

/* Starts the program if it is due, and tells it that the supervisor is alive. */
void metrics_server_tick(struct metrics_server *server, uint64_t now);

/* Ends it, and removes the directory. */
void metrics_server_stop(struct metrics_server *server);

/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "lib/kernel/snapshot.h"

/* --once: reads the counters twice, one second apart, dumps the sockets at the end, and prints the snapshot on stdout.
 * Without json, it first prints the rules of the configuration that are ready (STANDING_READY): their conditions hold
 * now, whatever their times, and they can help. Ignores the errors in the configuration, but says which of its files
 * cannot be read. config_file: NULL for the usual files. Returns the exit status: 0; EXIT_FAILURE: a source or
 * config_file could not be read, or there was no memory; EX_UNAVAILABLE: no sock_diag. */
int once_print(const char *config_file, bool json);

/* Writes a line for each metric, NAME VALUE UNIT with the endpoint and the culprit if they are known, or one JSON
 * object with a member for each metric. If the value is not valid, VALUE is the state; in JSON the value is then null,
 * as is infinity. Returns 0 or -ENOMEM. */
int once_write(FILE *f, const struct snapshot *snapshot, const struct counters *counters, bool json);

/* SPDX-License-Identifier: MIT */
#pragma once

/* --replay: runs tick() over the snapshots of a recording, with their times as the clock, and prints the events on
 * stdout. Changes nothing. config_file is as in struct service_options. Returns the exit status: 0; EX_NOINPUT,
 * EX_IOERR: the file cannot be opened or read; EX_DATAERR: it is not a valid recording; EX_CONFIG: the configuration
 * is invalid; EX_OSERR: no memory. */
int replay_print(const char *file, const char *config_file);

/* SPDX-License-Identifier: MIT */
#pragma once

/* --replay: the same tick() over the snapshots of a recording, at their own times. Prints the events on stdout and
 * touches nothing. config_file as in service_run(). Returns the exit status. */
int replay_print(const char *file, const char *config_file);

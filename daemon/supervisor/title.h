/* SPDX-License-Identifier: MIT */
#pragma once

/* What ps(1) shows of a process that was forked. */

/* Makes room: moves the environment away from behind the arguments. argv: main()'s, in the original order. Call it
 * before the environment is changed. */
void title_prepare(char **argv);

/* Replaces the command line of the process (proc_pid_cmdline(5)), cut to the room there is. Nothing may point to
 * the arguments any more. */
void title_set(const char *title);

/* SPDX-License-Identifier: MIT */
#pragma once

/* The command line of a forked process, as ps(1) shows it. */

/* Makes room: moves the environment away from behind the arguments. argv: main()'s, in the original order. Call it
 * before the environment is changed. */
void title_prepare(char **argv);

/* Replaces the command line of the process (proc_pid_cmdline(5)), cut to the room that title_prepare() made.
 * Nothing may point to the arguments any more. */
void title_set(const char *title);

/* SPDX-License-Identifier: MIT */
#pragma once

/* --once: reads the counters twice, a second apart, and the sockets at the end, and prints a line a metric:
 * NAME VALUE UNIT. Returns the exit status. */
int once_print(void);

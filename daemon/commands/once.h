/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>

/* --once: reads the counters twice, a second apart, and the sockets at the end, and prints a line a metric, NAME
 * VALUE UNIT and whose it is where that is known, or all of them as one JSON object. Returns the exit status. */
int once_print(bool json);

/* SPDX-License-Identifier: MIT */
#pragma once

/* The state of the daemon, and the sentence about it that the service manager and twtunectl show. */

#include "daemon/tuner.h"

/* The names by enum daemon_state, as in the State property: "healthy". */
extern const char *const daemon_state_names[];

/* Updates the status at the end of a tick, and sends it to the service manager if it has changed. */
void status_update(struct tuner *tuner);

/* SPDX-License-Identifier: MIT */
#pragma once

/* The state of the daemon, and the sentence that says it to the service manager and to twtunectl. */

#include "daemon/tuner.h"

/* "healthy", as in the State property. */
const char *daemon_state_name(enum daemon_state state);

/* Makes the status of the tick that ends, and gives it to the service manager if it has changed. */
void status_update(struct tuner *tuner);

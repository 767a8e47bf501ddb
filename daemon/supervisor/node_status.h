/* SPDX-License-Identifier: MIT */
#pragma once

/* The supervisor's own status, for a service manager or podman (sd_notify(3)). */

#include "daemon/supervisor/child.h"

struct node_status {
        char text[256]; /* the last one sent */
};

/* Sends the number of children and how many are in each state, if that has changed. Feeds the supervisor's own
 * watchdog, if it has one. */
void node_status_update(struct node_status *status, const struct children *children);

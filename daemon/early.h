/* SPDX-License-Identifier: MIT */
#pragma once

/* Brings the next tick forward when the ports could be used up before it. While connections end, the sockets are
 * counted several times an interval (lib/ports/glance.h); while almost none end, only the ticks wake the daemon. */

#include <stdbool.h>
#include <stdint.h>

#include <systemd/sd-event.h>

#include "daemon/observe/observer.h"
#include "lib/ports/glance.h"

struct early {
        struct observer *observer;
        sd_event_source *tick, *timer, *closings; /* closings: only while asleep */
        struct glances glances;
        uint64_t due, period; /* us of CLOCK_MONOTONIC: the next regular tick; the time between two glances */
        uint64_t sockets;     /* at the last tick */
        bool reusing;         /* connections are counted, not sockets */
        unsigned awake, stay; /* regular ticks with few new sockets since it woke; how many it takes to sleep again */
        bool brought_forward; /* the next tick comes before it is due */
};

/* tick: the source of the ticks, which has to outlive *early. Returns 0 or a negative errno. */
int early_start(struct early *early, sd_event *event, sd_event_source *tick, struct observer *observer);
void early_stop(struct early *early);

/* Before a tick: returns true if it comes between two regular ones. */
bool early_begin_tick(struct early *early);

/* After a tick. Returns when the next regular tick is due; all times are us. */
uint64_t early_end_tick(struct early *early, const struct snapshot *snapshot, uint64_t now, uint64_t interval);

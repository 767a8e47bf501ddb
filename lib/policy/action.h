/* SPDX-License-Identifier: MIT */
#pragma once

/* What a rule's lever writes next. Pure. */

#include "lib/config/rule.h"
#include "lib/kernel/snapshot.h"

/* The value to go to from base, by one at least, and for the table of TIME_WAIT to what the load needs; base itself when
 * nothing is left to do. Kept inside bounds and, for a
 * table, inside a share of the machine's memory. A range of ports goes as far as it may toward what is set: it stops
 * before the nearest port that listens, before NodePorts and before privileged ports. */
struct sysctl_value action_next(const struct action *action, const struct sysctl_bounds *bounds,
                                const struct snapshot *snapshot, const struct sysctl_value *base);

/* Whether live already does what the lever is for, toward a destination that is on the loopback or not. */
bool action_has_effect(const struct action *action, const struct sysctl_bounds *bounds,
                       const struct snapshot *snapshot, const struct sysctl_value *live, bool loopback);

/* Whether the lever can have written that value over the original. */
bool action_may_have_written(const struct action *action, const struct sysctl_value *original,
                             const struct sysctl_value *written);

/* A table of TIME_WAIT that is too small leaves ports free: what it throws away holds none. Returns a destination that a
 * larger table would bring to the cliff, as connect() cannot take its ports in TIME_WAIT; seen: but for one whose ports
 * are seen to be reused. NULL: there is none. */
const struct destination *table_spoils(const struct snapshot *snapshot, bool seen);

static inline bool action_steps(const struct action *action)
{
        return action->kind != ACTION_SET;
}

/* The largest size of a table that memory allows; INT64_MAX where memory does not matter. */
int64_t table_most(enum sysctl_id sysctl, uint64_t memory_bytes);

/* Whether it is known which ports have a listener: from a look at the sockets, or from bounds, which hold only while
 * the listeners are those of the last look. */
bool listeners_known(const struct snapshot *snapshot);

/* Why connect() must not get this port: it has a listener, is a NodePort, or is privileged; NULL: no reason. */
const char *port_obstacle(const struct snapshot *snapshot, int64_t port);

/* A port of the wider range, outside the narrower one, that a service listens on; 0: none. */
unsigned port_range_taken(const struct snapshot *snapshot, const struct sysctl_value *wide,
                          const struct sysctl_value *narrow);

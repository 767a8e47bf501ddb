/* SPDX-License-Identifier: MIT */
#pragma once

/* The value that an action of a rule writes next. Pure. */

#include "lib/config/rule.h"
#include "lib/kernel/snapshot.h"

/* The next value after base; base if nothing is left to do. `set` gives the configured value; `raise` and `lower` make
 * a step of at least 1 inside bounds. `raise` gives the TIME_WAIT table at least what the load needs, and a table at
 * most its share of the machine's memory: if that is less than bounds->min, nothing is left to do. A port range grows
 * toward the configured one, up to the nearest listener, NodePort or privileged port, and not at all while these are
 * unknown. */
struct sysctl_value action_next(const struct action *action, const struct sysctl_bounds *bounds,
                                const struct snapshot *snapshot, const struct sysctl_value *base);

/* True if live already has the effect of the action, or if the action cannot go further; only the former counts while
 * it is unknown how far a port range can grow. loopback: the effect toward a destination on the loopback. */
bool action_has_effect(const struct action *action, const struct sysctl_bounds *bounds,
                       const struct snapshot *snapshot, const struct sysctl_value *live, bool loopback);

/* True if the action can have written that value over the original. */
bool action_may_have_written(const struct action *action, const struct sysctl_value *original,
                             const struct sysctl_value *written);

/* A full TIME_WAIT table leaves ports free: a socket that finds no room in it holds no port. True if a table with room
 * for all of time_wait.needed would bring a destination near the cliff (ports.cliff) unless its ports in TIME_WAIT are
 * reused, or if that is unknown. seen: leave out destinations whose ports are seen to be reused. */
bool table_may_spoil(const struct snapshot *snapshot, bool seen);

static inline bool action_steps(const struct action *action)
{
        return action->kind != ACTION_SET;
}

/* The largest size of a table that memory allows; INT64_MAX where memory does not matter. */
int64_t table_most(enum sysctl_id sysctl, uint64_t memory_bytes);

/* True if it is known now which ports have a listener or are privileged. */
bool port_obstacles_known(const struct snapshot *snapshot);

/* Returns why connect() must not get this port: it has a listener, is a NodePort, or is privileged; NULL: no reason.
 * Call it only if port_obstacles_known(). */
const char *port_obstacle(const struct snapshot *snapshot, int64_t port);

/* A port of the wider range, outside the narrower one, that a service listens on; 0: none, or the
 * listeners are unknown now. */
unsigned port_range_taken(const struct snapshot *snapshot, const struct sysctl_value *wide,
                          const struct sysctl_value *narrow);

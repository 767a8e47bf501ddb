/* SPDX-License-Identifier: MIT */
#pragma once

/* Reads the sockets, the counters and the sysctls of this netns into a snapshot: what costs next to nothing at every
 * tick, and sockets only when that is not enough to decide. */

#include "lib/config/config.h"
#include "lib/kernel/snapshot.h"
#include "lib/ports/table.h"

struct observer;

/* proc_root is "/proc". Opens all files; what this kernel lacks shows as unavailable later. 0 or a negative
 * errno: -ENOMEM, or what NETLINK_SOCK_DIAG said. */
int observer_new(const char *proc_root, struct observer **ret);
void observer_free(struct observer *observer);

/* What to read from now on: what the rules ask for, and the ports. config NULL: everything, as often as asked.
 * counters are those to read; both are copied. Rates need two reads, so counters are invalid once after it. */
void observer_set_config(struct observer *observer, const struct config *config, const struct counters *counters);

/* For a recording: from here to the next observer_set_config() every metric and sysctl is read, and the bounds never
 * hold, so that all sockets are looked at as often as cpu_budget allows. */
void observer_want_everything(struct observer *observer);

/* Every counter that this kernel has, added to a set. */
void observer_list_counters(const char *proc_root, struct counters *ret);

/* The first step: counters, sysctls, the listeners when they are due, and for what the sockets would tell the last
 * sample by state or the bounds that follow from counters and the last look. *ret_look: these bounds do not hold, a
 * look is needed. On an error the part that failed is invalid in ret and *ret_what names it. */
int observer_read(struct observer *observer, struct snapshot *ret, bool *ret_dump, const char **ret_what);

/* A sample of the sockets by state, when it is due (SLOWLY in metric.h). */
int observer_read_states(struct observer *observer, struct snapshot *snapshot, const char **ret_what);

/* A look at all sockets with ephemeral ports, or, when the last one was so dear that another would break cpu_budget,
 * what that one gave. On an error what the sockets would tell is invalid. */
int observer_read_sockets(struct observer *observer, struct snapshot *snapshot, const char **ret_what);

/* One sysctl, and a write to it. 0 or a negative errno; -ENOENT: this kernel or netns does not have it. */
int observer_sysctl_read(struct observer *observer, enum sysctl_id sysctl, struct sysctl_value *ret);
int observer_sysctl_write(struct observer *observer, enum sysctl_id sysctl, const struct sysctl_value *value);

/* The systemd unit of a cgroup, "" when it is not known; good until the next call. */
const char *observer_find_unit(struct observer *observer, uint64_t cgroup);

/* Whether sysctls under net.ipv4 can be written at all: 0, -EACCES, -EPERM or -EROFS. */
int observer_can_write(const struct observer *observer);

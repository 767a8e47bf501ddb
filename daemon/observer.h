/* SPDX-License-Identifier: MIT */
#pragma once

/* Reads the sockets, the counters and the sysctls of this netns into a snapshot. */

#include "config.h"
#include "snapshot.h"

struct observer;

/* proc_root is "/proc". Opens all files; what this kernel lacks shows as unavailable later. 0 or a negative
 * errno: -ENOMEM, or what NETLINK_SOCK_DIAG said. */
int observer_new(const char *proc_root, struct observer **ret);
void observer_free(struct observer *observer);

/* Which counters and sysctls to read from now on. config is borrowed until the next call; rates need two
 * reads, so counters are invalid once after it. */
void observer_set_config(struct observer *observer, const struct config *config);

/* Every counter that this kernel has, added to a set. */
void observer_list_counters(const char *proc_root, struct counters *ret);

/* The counters alone, as the beginning of a rate. 0 or a negative errno. */
int observer_read_counters(struct observer *observer);

/* All of it. On an error the part that failed is invalid in ret and *ret_what names it. */
int observer_read(struct observer *observer, struct snapshot *ret, const char **ret_what);

/* One sysctl, and a write to it. 0 or a negative errno; -ENOENT: this kernel or netns does not have it. */
int observer_sysctl_read(struct observer *observer, enum sysctl_id sysctl, struct sysctl_value *ret);
int observer_sysctl_write(struct observer *observer, enum sysctl_id sysctl, const struct sysctl_value *value);

/* Whether sysctls under net.ipv4 can be written at all: 0, -EACCES, -EPERM or -EROFS. */
int observer_can_write(const struct observer *observer);

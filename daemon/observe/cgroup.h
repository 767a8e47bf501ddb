/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdint.h>

/* Finds systemd units by the inode of their cgroup, which sock_diag gives for a socket. Works where there is a
 * cgroup2 hierarchy: at /sys/fs/cgroup (unified) or /sys/fs/cgroup/unified (hybrid). No /proc/PID/fd is read. */

#define CGROUP_CACHE 32u
#define CGROUP_UNIT_MAX 64

struct cgroup_cache {
        struct {
                uint64_t id;
                char unit[CGROUP_UNIT_MAX];
        } item[CGROUP_CACHE];
        unsigned next; /* the oldest one, which a new one replaces */
};

/* The unit's name ("nginx.service"), or the cgroup's path if no part of it names a unit. "": id is 0 or the root's,
 * there is no cgroup2, or the cgroup is gone. Walks the tree once per id. The name belongs to the cache and is valid
 * until it is replaced. */
const char *cgroup_unit(struct cgroup_cache *cache, uint64_t id);

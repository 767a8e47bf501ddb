/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/kernel/cgroup_path.h"
#include "lib/kernel/unit_names.h"

/* Finds systemd units by the inode of their cgroup, which sock_diag gives for a socket. Works where there is a
 * cgroup2 hierarchy: at /sys/fs/cgroup (unified) or /sys/fs/cgroup/unified (hybrid). No /proc/PID/fd is read. */

#define CGROUP_CACHE 32u

struct cgroup_cache {
        struct {
                uint64_t id;
                char unit[CGROUP_UNIT_MAX];
        } item[CGROUP_CACHE];
        unsigned next;      /* the oldest one, which a new one replaces */
        double budget;      /* the share of one core that walks may take; 0: no limit */
        uint64_t again_at;  /* ns: when the walks so far are paid for; see may_walk() for the next one */
        uint64_t system_at; /* when the cgroups of the system were last looked for; 0: never */
        bool system_known;  /* they were found then */
};

/* Returns the name that cgroup_unit_of_path() gives to a cgroup. "": id is 0 or the root's, there is no cgroup2, the
 * cgroup is gone, the budget is spent, or the walk took too long. Walks the tree once per id, for at most 20 ms of CPU
 * time: first services, then the system's deeper cgroups, then those of users. The name belongs to the cache and is
 * valid until it is replaced. */
const char *cgroup_unit(struct cgroup_cache *cache, uint64_t id);

/* Finds all cgroups of the units with these names, in a walk of at most 20 ms of CPU time. Returns false if there was
 * no walk, and ret is as before; or if it took too long, and ret is incomplete. */
bool cgroup_find_units(struct cgroup_cache *cache, const struct unit_names *names, struct unit_cgroups *ret);

/* Returns whether a cgroup is of the system: neither in user.slice nor gone. Walks the tree once for each value of
 * now, for at most 20 ms of CPU time. Returns true for all if there is no user.slice or no cgroup2, the budget is
 * spent, or the walk took too long. Users can make any number of cgroups, so it notes none of theirs. */
bool cgroup_is_system(struct cgroup_cache *cache, uint64_t now, uint64_t id);

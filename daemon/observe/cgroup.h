/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/kernel/cgroup_path.h"
#include "lib/kernel/cgroup_tally.h"
#include "lib/kernel/unit_names.h"

/* Finds systemd units by the inode of their cgroup, which sock_diag gives for a socket. Works where there is a
 * cgroup2 hierarchy: at /sys/fs/cgroup (unified) or /sys/fs/cgroup/unified (hybrid). No /proc/PID/fd is read. */

#define CGROUP_CACHE 32u

struct cgroup_cache {
        struct {
                uint64_t id;
                char unit[CGROUP_UNIT_MAX];
        } item[CGROUP_CACHE];
        unsigned next;     /* the oldest one, which a new one replaces */
        double budget;     /* the share of one core that walks may take; 0: no limit */
        uint64_t again_at; /* ns: when the walks so far are paid for; a debt of one long walk is allowed */
};

/* The name of whose it is, of cgroup_unit_of_path(). "": id is 0 or the root's, there is no cgroup2, the cgroup is gone, or
 * the budget is spent. Walks the tree once per id, services before what is deeper in the system's part, that before the part of
 * users, and not for more than 20 ms of CPU time. The name belongs to the cache and is valid until it is replaced. */
const char *cgroup_unit(struct cgroup_cache *cache, uint64_t id);

/* Finds all cgroups of the units with these names, in a walk like that. Returns false if there was none or it took too long: ret
 * is as before, or incomplete. */
bool cgroup_find_units(struct cgroup_cache *cache, const struct unit_names *names, struct unit_cgroups *ret);

/* Returns how many sockets of the tally are of the system: not of a cgroup below user.slice, nor of one that is gone. All
 * of them, where no cgroup of users can be seen, or the budget is spent. */
unsigned cgroup_count_system(struct cgroup_cache *cache, const struct cgroup_tally *tally);

/* SPDX-License-Identifier: MIT */
#pragma once

/* Counts sockets by cgroup, for any number of cgroups. A cgroup with more than N / (CGROUP_TALLY_MAX + 1) of all N
 * sockets is among the items, and its count is too low by at most that number (Misra and Gries, "Finding repeated
 * elements"). Zero-initialized: empty. */

#include <stdint.h>

#define CGROUP_TALLY_MAX 64u

struct cgroup_tally {
        struct cgroup_count {
                uint64_t cgroup; /* see diag_cgroup() */
                uint32_t sockets;
        } item[CGROUP_TALLY_MAX];
        unsigned n;
};

static inline void cgroup_tally_add(struct cgroup_tally *tally, uint64_t cgroup)
{
        unsigned i = 0;

        while (i < tally->n && tally->item[i].cgroup != cgroup)
                i++;
        if (i < CGROUP_TALLY_MAX) {
                if (i == tally->n)
                        tally->item[tally->n++] = (struct cgroup_count){.cgroup = cgroup};
                tally->item[i].sockets++;
                return;
        }
        while (i-- > 0)
                if (--tally->item[i].sockets == 0)
                        tally->item[i] = tally->item[--tally->n];
}

/* Returns the cgroup with the most sockets; 0: there is none, or it is unknown. */
static inline uint64_t cgroup_tally_most(const struct cgroup_tally *tally)
{
        unsigned most = 0;

        for (unsigned i = 1; i < tally->n; i++)
                if (tally->item[i].sockets > tally->item[most].sockets)
                        most = i;
        return tally->n > 0 ? tally->item[most].cgroup : 0;
}

/* SPDX-License-Identifier: MIT */
#pragma once

/* How fast CLOSE_WAIT grows in each unit: a program that does not close what its peers have closed. Units are
 * cgroups; CLOSE_WAIT_UNITS of them have a slot of their own, which is free again when a window has passed without
 * any. What finds no slot, and sockets whose cgroup is unknown, count together as cgroup 0. */

#include <stdbool.h>
#include <stdint.h>

#include "lib/util/macro.h"

#define CLOSE_WAIT_UNITS 64u
#define CLOSE_WAIT_SAMPLES 7u                     /* every 10 s: a window of a minute */
#define CLOSE_WAIT_WINDOW_MIN (30 * NSEC_PER_SEC) /* less than that is no trend */

struct close_wait {
        struct {
                uint64_t cgroup;
                uint32_t count[CLOSE_WAIT_SAMPLES]; /* a ring; count[newest] is the last sample */
                bool is_new;                        /* has this slot since the sample that is being built */
        } unit[CLOSE_WAIT_UNITS];
        uint64_t at[CLOSE_WAIT_SAMPLES]; /* when each was taken; 0: not yet */
        unsigned newest;
        uint32_t building[CLOSE_WAIT_UNITS];
};

/* One sample: begin, each CLOSE_WAIT socket, commit. A sample that is not committed leaves no trace. */
void close_wait_begin(struct close_wait *cw);
void close_wait_add(struct close_wait *cw, uint64_t cgroup);
void close_wait_commit(struct close_wait *cw, uint64_t now);

/* The growth per minute in the unit where it is highest, and that unit's cgroup. false: not sampled for long
 * enough. */
bool close_wait_growth(const struct close_wait *cw, double *ret_growth, uint64_t *ret_cgroup);

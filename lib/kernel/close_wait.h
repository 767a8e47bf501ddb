/* SPDX-License-Identifier: MIT */
#pragma once

/* Finds the cgroup in which CLOSE_WAIT grows fastest, and the cgroup with the most sockets that stay in CLOSE_WAIT:
 * one of its programs does not close sockets that their peers have closed. CLOSE_WAIT_SLOTS - 1 cgroups have a slot
 * each; a slot becomes free after a whole window without CLOSE_WAIT. Slot 0 counts the sockets of all other cgroups
 * and of unknown ones together, as cgroup 0. */

#include <stdbool.h>
#include <stdint.h>

#include "lib/util/macro.h"
#include "lib/util/port_set.h"

#define CLOSE_WAIT_SLOTS 64u
#define CLOSE_WAIT_SAMPLES 7u                     /* one every 10 s: a window of one minute */
#define CLOSE_WAIT_WINDOW_MIN (30 * NSEC_PER_SEC) /* a shorter one shows no trend */

struct close_wait {
        struct {
                uint64_t cgroup;
                uint32_t count[CLOSE_WAIT_SAMPLES]; /* a ring; count[newest] is the last sample */
                bool is_new;                        /* the cgroup got this slot in the current sample */
        } slot[CLOSE_WAIT_SLOTS];
        uint64_t at[CLOSE_WAIT_SAMPLES]; /* the time of each sample; 0: not taken yet */
        unsigned newest;
        uint32_t current[CLOSE_WAIT_SLOTS]; /* the current sample */
        uint32_t stuck_current[CLOSE_WAIT_SLOTS], stuck[CLOSE_WAIT_SLOTS];

        /* The sockets of three samples, by a 16-bit hash of their cookies: `then` is at least CLOSE_WAIT_WINDOW_MIN
         * old, `next` replaces it once it is that old itself, and `seen` is the current sample. If `then` has 10,000
         * sockets, one in seven new sockets has the hash of one of them, and is taken for it. */
        struct port_set then, next, seen;
        uint64_t next_at; /* the time of `next`; 0: there is none yet */
        bool then_known;
};

/* Take one sample: begin, add each CLOSE_WAIT socket, commit. begin drops a sample that was not committed. now must
 * rise from commit to commit. */
void close_wait_begin(struct close_wait *cw);
void close_wait_add(struct close_wait *cw, uint64_t cgroup, uint64_t cookie);
void close_wait_commit(struct close_wait *cw, uint64_t now);

/* Finds the highest growth per minute of a cgroup. *ret_cgroup is 0 if that cgroup has no CLOSE_WAIT now. Returns
 * false if the samples span less than CLOSE_WAIT_WINDOW_MIN. */
bool close_wait_growth(const struct close_wait *cw, double *ret_growth, uint64_t *ret_cgroup);

/* Finds the cgroup with the most sockets that were in CLOSE_WAIT at least CLOSE_WAIT_WINDOW_MIN ago already, and their
 * number. *ret_cgroup is 0 if there are none. Returns false if there is no sample that old. */
bool close_wait_stuck(const struct close_wait *cw, double *ret_stuck, uint64_t *ret_cgroup);

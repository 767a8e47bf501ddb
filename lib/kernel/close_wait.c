/* SPDX-License-Identifier: MIT */
#include "lib/kernel/close_wait.h"

#include <string.h>

void close_wait_begin(struct close_wait *cw)
{
        memset(cw->current, 0, sizeof(cw->current));
        memset(cw->stuck_current, 0, sizeof(cw->stuck_current));
        port_set_clear(&cw->seen);
}

/* True if a window has passed without CLOSE_WAIT in the slot. */
static bool is_free(const struct close_wait *cw, unsigned slot)
{
        if (cw->current[slot] > 0)
                return false;
        for (unsigned i = 0; i < CLOSE_WAIT_SAMPLES; i++)
                if (cw->slot[slot].count[i] > 0)
                        return false;
        return true;
}

void close_wait_add(struct close_wait *cw, uint64_t cgroup, uint64_t cookie)
{
        unsigned hash = (unsigned)(cookie * UINT64_C(0x9e3779b97f4a7c15) >> 48);
        unsigned slot = 0; /* of cgroup 0, and of cgroups without a slot */

        while (slot < CLOSE_WAIT_SLOTS && cw->slot[slot].cgroup != cgroup)
                slot++;
        if (slot == CLOSE_WAIT_SLOTS) {
                for (slot = CLOSE_WAIT_SLOTS - 1; slot > 0 && !is_free(cw, slot);)
                        slot--;
                if (slot > 0) {
                        cw->slot[slot].cgroup = cgroup;
                        cw->slot[slot].is_new = true;
                }
        }
        cw->current[slot]++;
        cw->stuck_current[slot] += port_set_has(&cw->then, hash);
        port_set_add(&cw->seen, hash);
}

static void commit_stuck(struct close_wait *cw, uint64_t now)
{
        memcpy(cw->stuck, cw->stuck_current, sizeof(cw->stuck));
        if (cw->next_at != 0 && now - cw->next_at < CLOSE_WAIT_WINDOW_MIN)
                return;
        cw->then_known = cw->next_at != 0;
        port_set_assign(&cw->then, &cw->next);
        port_set_assign(&cw->next, &cw->seen);
        cw->next_at = now;
}

void close_wait_commit(struct close_wait *cw, uint64_t now)
{
        /* A cgroup with a new slot may have been counted in slot 0 before: its past is unknown, so it has no
         * growth. */
        bool slot_0_used = cw->slot[0].count[cw->newest] > 0;

        cw->newest = (cw->newest + 1) % CLOSE_WAIT_SAMPLES;
        cw->at[cw->newest] = now;
        for (unsigned slot = 0; slot < CLOSE_WAIT_SLOTS; slot++) {
                for (unsigned i = 0; i < CLOSE_WAIT_SAMPLES && slot_0_used && cw->slot[slot].is_new; i++)
                        cw->slot[slot].count[i] = cw->current[slot];
                cw->slot[slot].count[cw->newest] = cw->current[slot];
                cw->slot[slot].is_new = false;
        }
        commit_stuck(cw, now);
}

/* Returns the oldest sample: the next one in the ring, or the first one taken. */
static unsigned oldest(const struct close_wait *cw)
{
        unsigned i = (cw->newest + 1) % CLOSE_WAIT_SAMPLES;

        while (cw->at[i] == 0 && i != cw->newest)
                i = (i + 1) % CLOSE_WAIT_SAMPLES;
        return i;
}

bool close_wait_growth(const struct close_wait *cw, double *ret_growth, uint64_t *ret_cgroup)
{
        unsigned from = oldest(cw), worst = 0;
        uint64_t span = cw->at[cw->newest] - cw->at[from];
        double most = 0;

        if (span < CLOSE_WAIT_WINDOW_MIN)
                return false;
        for (unsigned slot = 0; slot < CLOSE_WAIT_SLOTS; slot++) {
                double grown = (double)cw->slot[slot].count[cw->newest] - cw->slot[slot].count[from];

                if (slot == 0 || grown > most) {
                        most = grown;
                        worst = slot;
                }
        }
        *ret_growth = most * 60e9 / (double)span;
        *ret_cgroup = cw->slot[worst].count[cw->newest] > 0 ? cw->slot[worst].cgroup : 0;
        return true;
}

bool close_wait_stuck(const struct close_wait *cw, double *ret_stuck, uint64_t *ret_cgroup)
{
        unsigned worst = 0;

        if (!cw->then_known)
                return false;
        for (unsigned slot = 1; slot < CLOSE_WAIT_SLOTS; slot++)
                if (cw->stuck[slot] > cw->stuck[worst])
                        worst = slot;
        *ret_stuck = cw->stuck[worst];
        *ret_cgroup = cw->stuck[worst] > 0 ? cw->slot[worst].cgroup : 0;
        return true;
}

/* SPDX-License-Identifier: MIT */
#pragma once

/* A cheap count of the sockets between two ticks, and whether the next tick has to come sooner: at 20,000 connections a
 * second half of the ports last 0.7 s. */

#include <stdbool.h>
#include <stdint.h>

/* Sockets of the host at one time. */
struct glance {
        uint64_t at; /* ns */
        uint64_t sockets;
};

struct glances {
        double cliff;             /* ports.cliff of the fullest destination at the last tick, percent */
        unsigned parity;          /* the usable ports of one parity, of the smaller one */
        struct glance tick, last; /* at the last tick, and the last glance */
        bool growing;             /* the last glance saw new sockets: the next one has to come soon */
};

/* So many new sockets are worth a look, and so many connections that ended are worth a glance. */
static inline unsigned glance_step(unsigned parity)
{
        return parity / 16;
}

/* True if so many new sockets toward the fullest destination, since a dump in which its ports.cliff was that, may have
 * brought ports.forecast to where rules fire. */
bool glance_may_fire(double cliff, uint64_t sockets, unsigned parity);

/* Takes over the next glance. Returns true if the ports toward one destination could be short before the next regular
 * tick, which is due at that time (ns), if all new sockets since the last tick were toward it. */
bool glance_is_urgent(struct glances *glances, struct glance now, uint64_t due);

/* SPDX-License-Identifier: MIT */
#pragma once

/* The inside of the table of destination groups, shared by ports.c (what a dump puts in) and ports_value.c (what
 * that means). */

#include "lib/ports/table.h"
#include "lib/util/macro.h"

#define INDEX_SLOTS (2 * PORTS_DESTINATIONS)

/* The rate of a forecast is the mean of so long: a pool of connections that is dropped at once is no storm. */
#define RATE_SECONDS 2u

struct source {
        uint32_t address[4];
        unsigned n;        /* distinct local ports */
        unsigned sockets;  /* with them, toward all destinations */
        unsigned of_bind;  /* those of them on the parity that bind() takes first */
        double bind_first; /* ports.bind_first, percent */
        struct port_set seen;
};

/* All that one dump gives. The next one is built in a copy, so a dump that fails leaves no trace. */
struct table {
        uint64_t begun;     /* when the dump began */
        unsigned slots;     /* slots from here on were never used */
        unsigned used;      /* groups in the table */
        unsigned next_free; /* where to look for a free slot */
        /* What no group or source of the dump had more of, in sockets and distinct ports. */
        unsigned most_used;
        double most_demand, most_source_used;
        unsigned passes; /* of Misra-Gries: each took 1 from every group */
        unsigned error;  /* the most passes of a dump in the last minute, whose history is short by them */
        uint64_t error_at;
        unsigned usable[2];          /* ports that connect() may pick, by parity */
        uint32_t hidden[PORTS_RING]; /* TIME_WAIT that may have been made and reused unseen, by second */
        uint16_t index[INDEX_SLOTS]; /* open addressing: slots of group[] */
        struct destination group[PORTS_DESTINATIONS];
};

struct ports {
        uint64_t seed;
        uint64_t next_id;
        struct table *shown, *building; /* shown->begun == 0: nothing was committed yet */
        struct table table[2];

        /* Of the dump that is being built. */
        struct ports_limits limits;
        struct port_set usable, listening;
        uint64_t elapsed;   /* since the dump before began; 0: there was none */
        unsigned window_ms; /* TIME_WAIT that young give the rate: the last tick, but at least RATE_SECONDS */
        struct source source[PORTS_SOURCES];
        unsigned sources;
};

/* The sum of a ring over the seconds before now; the oldest second counts by the part that is still inside. */
#define RING_SUM(ring, now, seconds) \
        ({ \
                uint64_t second_ = (now) / NSEC_PER_SEC; \
                double part_ = (double)((now) % NSEC_PER_SEC) / 1e9; \
                double sum_ = (1 - part_) * (ring)[(second_ - (seconds)) % PORTS_RING]; \
                for (unsigned k_ = 0; k_ < (seconds); k_++) \
                        sum_ += (ring)[(second_ - k_) % PORTS_RING]; \
                sum_; \
        })

static inline unsigned destination_sockets(const struct destination *g)
{
        return g->holders[0] + g->holders[1] + g->blocked[0] + g->blocked[1] + g->reusable[0] + g->reusable[1];
}

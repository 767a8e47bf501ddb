/* SPDX-License-Identifier: MIT */
#pragma once

/* The internals of the table of destinations, private to this directory: table.c fills the table from a dump, and
 * metrics.c, with bind.c and watch.c, computes the metrics from it. */

#include <arpa/inet.h>

#include "lib/ports/key_hash.h"
#include "lib/ports/table.h"
#include "lib/util/macro.h"

#define INDEX_SLOTS (2 * PORTS_DESTINATIONS)

/* A forecast uses the mean rate of at least this time, so that connections closed at the same time do not look like a
 * storm. */
#define RATE_SECONDS 2u

#define PORTS_TIME_WAIT_MS 60000u
#define WATCH_MARGIN_MS 1000u /* for the time that a dump takes */

struct source {
        uint32_t address[4];
        unsigned n;              /* distinct local ports */
        unsigned sockets;        /* on them, toward all destinations */
        unsigned on_bind_parity; /* those of them on the parity with which bind() begins */
        unsigned bind_n[2];      /* distinct ports of that parity, [0]: in the lower half of the range */
        double bind_first;       /* of all its destinations together, percent */
        struct port_set seen;
};

/* The ports of one destination, to compare with the next dump. Only words of the port range are written, so that the
 * rest takes no memory. */
struct watched_ports {
        struct port_set time_wait;   /* in TIME_WAIT, and still in TIME_WAIT at the next dump unless it is reused */
        struct port_set held;        /* by a socket that is not in TIME_WAIT */
        struct port_set held_reused; /* those of them that were in TIME_WAIT before */
};

/* The counts of a watched destination since it was first watched, or since tcp_tw_reuse, its delay or tcp_timestamps
 * changed. */
struct watched {
        uint64_t id; /* of the destination; 0: none */
        struct watched_ports *ports;
        /* The words of its sets that hold the port range: first index, number. If the kernel took back their page
         * (ports_spare()), both are 0, and so are the sets, which follow in struct table. */
        unsigned first, n;
        unsigned made[2];    /* connections since the dump before, [1]: on a reused port */
        unsigned waiting[2]; /* SYN_SENT without an answer for 250 ms */
        unsigned of_batch, reused_of_batch;
        uint64_t made_at; /* when a new connection was seen last */
        float reused;     /* percent, of the last batch; NAN: unknown */
        float others;     /* new connections a second on ports not in TIME_WAIT, between the last two dumps */
        /* Sums of made and waiting in dumps with enough of made[0] and of made[1]; older dumps count less. */
        float compared[2], compared_waiting[2];
};

/* The result of one dump. The next one is built in a copy, so a dump that fails changes nothing that counts. */
struct table {
        uint64_t begun;     /* when the dump began */
        uint64_t then[2];   /* when two earlier dumps began, the later first, at least 0.45 windows apart; 0: none */
        unsigned slots;     /* slots from here on were never used */
        unsigned used;      /* destinations in the table */
        unsigned next_free; /* where the search for a free slot goes on */
        /* Upper bounds: sockets and demand (in ports) of a destination, distinct ports of a source. */
        unsigned most_used;
        double most_demand, most_source_used;
        unsigned passes;                      /* of Misra-Gries; each took 1 from the weight of every destination */
        uint64_t minute;                      /* the number of the minute in which the dump began */
        unsigned most_passes[2];              /* of a dump in that minute, and in the one before */
        unsigned usable[2];                   /* ports that connect() may pick, by parity */
        unsigned usable_lower;                /* those of bind()'s parity in the lower half of the range */
        unsigned tw_reuse, tw_reuse_delay_ms; /* at the dump; tw_reuse is 0 without timestamps */
        unsigned stays_ms;                    /* TIME_WAIT with more than this left is in watched_ports.time_wait */
        struct watched watched[PORTS_WATCHED];
        struct watched_ports watched_ports[PORTS_WATCHED];
        uint16_t index[INDEX_SLOTS]; /* of destination[], by the hash of the key; open addressing */
        struct destination destination[PORTS_DESTINATIONS];
};

struct ports {
        struct key_factors factors;
        uint64_t next_id;
        struct table *shown, *building; /* shown->begun == 0: no dump was committed yet */
        struct table table[2];

        unsigned dumps; /* that were committed */

        /* By slot, and by the second in which a dump began: an estimate of the TIME_WAIT that were made since the dump
         * before, and reused before this one could show them. Only changes are written (hidden_set()): most
         * destinations have none, and a written page takes memory. A dump that fails clears only seconds that no
         * longer count. */
        int16_t hidden[PORTS_DESTINATIONS][PORTS_RING];

        const struct unit_cgroups *units; /* borrowed; NULL: none */
        uint64_t newest_cgroup;

        /* Of the dump that is being built. */
        struct ports_limits limits;
        struct port_set usable, listening;
        uint64_t elapsed;   /* ns since the dump before began; 0: there was none */
        unsigned window_ms; /* of the rate: the last tick, but at least RATE_SECONDS and at most 60 s */
        unsigned fresh_ms;  /* the part of that window since the dump at table.then[compared] */
        unsigned compared;  /* the index in table.then of the dump with which this one is compared */
        struct watch_list watch;
        const struct watched
                *watched_then[PORTS_WATCHED]; /* the same destinations in the dump before; NULL: not watched in it */
        struct source source[PORTS_SOURCES];
        unsigned sources;
};

static inline void hidden_set(int16_t *hidden, int16_t value)
{
        if (*hidden != value)
                *hidden = value;
}

/* The sum of a ring over the seconds before now. The oldest second counts by the part of it inside that time. */
#define RING_SUM(ring, now, seconds) \
        ({ \
                const __auto_type ring_ = &(ring)[0]; \
                const uint64_t now_ = (now), second_ = now_ / NSEC_PER_SEC; \
                const unsigned seconds_ = (seconds); \
                double part_ = (double)(now_ % NSEC_PER_SEC) / 1e9; \
                double sum_ = (1 - part_) * ring_[(second_ - seconds_) % PORTS_RING]; \
                for (unsigned k_ = 0; k_ < seconds_; k_++) \
                        sum_ += ring_[(second_ - k_) % PORTS_RING]; \
                sum_; \
        })

/* bind() to port 0 begins with this parity, connect() with that of the range's low end
 * (net/ipv4/inet_connection_sock.c:inet_csk_find_open_port, net/ipv4/inet_hashtables.c:__inet_hash_connect). */
static inline unsigned bind_parity(const struct ports_limits *limits)
{
        return (limits->low ^ 1) & 1;
}

/* With SO_REUSEADDR bind() searches the ports below this one first (inet_csk_find_open_port, attempt_half). */
static inline unsigned range_middle(const struct ports_limits *limits)
{
        return limits->low + ((limits->high + 1 - limits->low) / 4) * 2;
}

/* Returns the most sockets that the history of a destination may lack: the highest number of passes that a dump had in
 * this minute or the one before. */
static inline unsigned history_lacks(const struct table *t)
{
        return MAX(t->most_passes[0], t->most_passes[1]);
}

static inline unsigned destination_used(const struct destination *d, unsigned parity)
{
        return d->holders[parity] + d->blocked[parity] + d->reusable[parity];
}

static inline unsigned destination_sockets(const struct destination *d)
{
        return destination_used(d, 0) + destination_used(d, 1);
}

/* NULL: it is not in the table. */
static inline struct destination *destination_find(struct table *t, uint64_t id)
{
        for (unsigned slot = 0; slot < t->slots && id != 0; slot++)
                if (t->destination[slot].id == id)
                        return &t->destination[slot];
        return NULL;
}

/* watch.c: chooses the destinations to watch in the dump that begins; takes one socket of a watched destination; and
 * sets the metrics. */
void watch_begin(struct ports *ports);
void watch_add(struct ports *ports, const struct destination *d, const struct inet_diag_msg *socket);
void watch_commit(struct ports *ports, uint64_t recycled);

/* bind.c: takes one socket; sets ports.bind_first of a source; returns its ports.bind_used, in percent; and sets
 * whether the ports toward a destination were taken in the order of bind(). */
void bind_add(struct ports *ports, struct destination *destination, unsigned port, const struct inet_diag_msg *socket);
void source_set_bind_first(struct ports *ports, unsigned index);
double source_bind_used(const struct ports *ports, const struct source *source);
void destination_set_bind_first(const struct ports *ports, struct destination *destination);

/* unit.c: takes the cgroup of a live socket; 0: unknown. unit_commit(), at the end of a dump, replaces a cgroup that
 * had no live socket in the dump by another cgroup that had one, unless a unit that a rule names has had a live socket
 * toward the destination. */
void unit_add(struct ports *ports, struct destination *d, uint64_t cgroup);
void unit_commit(struct destination *d);

/* metrics.c: window_begin() chooses the dump with which the new one is compared for the rate: table.then[1] if it is
 * at most 1.5 windows old, else table.then[0]; returns true if the dump before has become table.then[0].
 * usable_count() counts the usable ports. metrics_set() sets all metrics but those of watch.c, which must be set
 * before. */
bool window_begin(struct ports *ports, uint64_t now);
void usable_count(struct ports *ports);
void metrics_set(struct ports *ports, uint64_t recycled);

/* Percent. No usable port counts as 100 %. */
static inline double share(double part, unsigned whole)
{
        return whole > 0 ? 100 * part / whole : 100;
}

/* True for an IPv4-mapped IPv6 address, ::ffff:a.b.c.d. */
static inline bool address_is_v4(const uint32_t a[static 4])
{
        return a[0] == 0 && a[1] == 0 && a[2] == htonl(0xffff);
}

/* SPDX-License-Identifier: MIT */
#pragma once

/* The listening sockets of a dump, and the connections that they dropped since the last dump of a tick. The first
 * LISTENERS_MAX of a dump are kept; the kernel lists them in the same order each time. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/inet_diag.h>

#include "lib/util/macro.h"

#define LISTENERS_MAX 512u

#define LISTENER_BURSTS 4u
#define LISTENER_BURST_PAUSE (2 * NSEC_PER_SEC) /* after so long without a drop, the next one begins a burst */
#define LISTENER_BURST_WINDOW (600 * NSEC_PER_SEC)

struct listener {
        uint64_t cookie; /* the kernel's id of the socket, never used again in a boot */
        uint64_t cgroup; /* see diag_cgroup() */
        uint8_t family;
        uint16_t port; /* host byte order */
        uint32_t address[4];
        uint32_t queued, backlog;           /* accept queue: connections that wait, and its limit from listen() */
        bool drops_known;                   /* the kernel reported them */
        uint32_t drops;                     /* since the socket was made */
        uint32_t new_drops;                 /* since the last dump of a tick; 0: unknown, or none */
        uint32_t noted_drops;               /* those new_drops that listeners_note_bursts() has seen */
        uint32_t handshakes;                /* SYN_RECV sockets of its address and port */
        uint64_t dropped_at;                /* when it last dropped for a full accept queue; 0: never */
        bool fills;                         /* its accept queue has stayed over half full since then */
        uint64_t burst_at[LISTENER_BURSTS]; /* when its last bursts of such drops began, the latest first */
};

struct listeners {
        unsigned n, n_before;
        bool complete;        /* before[] holds all listeners of the last committed dump: one not in it is new */
        uint32_t syn_limit;   /* a limit of every SYN queue, besides the backlog of its listener; 0: none */
        bool between;         /* this dump is between two ticks: the next one counts its new drops again */
        bool between_before;  /* the previous dump was between two ticks */
        bool new_drops_known; /* false: the drops of a listener are unknown, now or in the previous dump */
        uint64_t new_drops;   /* of all listeners together */
        uint64_t now;         /* of the last listeners_note_bursts() */
        uint64_t tick_at;     /* the `now` of the last tick */
        /* Listeners that dropped for a full accept queue since the tick before this dump, or with fills set. */
        unsigned overflowing;
        bool fills; /* true if fills is set for a listener */
        struct listener item[LISTENERS_MAX], before[LISTENERS_MAX];
};

/* Begins a dump, and drops one that was not committed. Then add each listening socket; length includes all attributes
 * of socket. Listeners over LISTENERS_MAX are left out. */
void listeners_begin(struct listeners *listeners);
void listeners_add(struct listeners *listeners, const struct inet_diag_msg *socket, size_t length);

/* Ends the dump and computes new_drops. The caller has set between. */
void listeners_commit(struct listeners *listeners);

/* Counts the SYN_RECV sockets of a dump of connections: clear first, then add each. */
void listeners_clear_handshakes(struct listeners *listeners);
void listeners_add_handshake(struct listeners *listeners, const struct inet_diag_msg *socket);

/* Return how full a queue is, in percent. The accept queue holds one connection more than its limit
 * (include/net/sock.h:sk_acceptq_is_full), so limit + 1 is 100 %. The SYN queue is full at the backlog
 * (include/net/inet_connection_sock.h:inet_csk_reqsk_queue_is_full), or at syn_limit if that is lower. Listeners that
 * share an address and port (SO_REUSEPORT) share the handshakes, so their limits are added. */
typedef double listener_measure(const struct listeners *listeners, const struct listener *listener);
listener_measure listener_accept_queue, listener_syn_queue;

/* Records the drops since its last call as bursts, if accept_queue is true: an accept queue was full since that call.
 * Updates fills. After a drop, further drops begin no new burst until the queue has drained to half. now: the time of
 * this tick, ns. */
void listeners_note_bursts(struct listeners *listeners, uint64_t now, bool accept_queue);

/* Returns how many of these bursts began in the last LISTENER_BURST_WINDOW; LISTENER_BURSTS: that many or more. */
listener_measure listener_bursts;

/* Returns the connections that the listener dropped since the last dump of a tick. */
listener_measure listener_new_drops;

/* Returns the listener with the highest value; NULL: all are 0. */
const struct listener *listeners_worst(const struct listeners *listeners, listener_measure *measure);

/* Writes "10.0.0.7:80" or "[::]:80" and returns buf. */
#define LISTENER_NAME_MAX 56
const char *listener_name(const struct listener *listener, char buf[static LISTENER_NAME_MAX]);

/* SPDX-License-Identifier: MIT */
#pragma once

/* The listening sockets of a dump, and the connections that they dropped since the dump before. The first
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
        bool new_drops_known;               /* known now, and in the previous dump if the listener was in it */
        uint32_t new_drops;                 /* since the dump before; 0: unknown, or none */
        uint32_t handshakes;                /* SYN_RECV sockets of its address and port */
        uint64_t dropped_at;                /* when it last dropped for a full accept queue; 0: never */
        bool fills;                         /* its queue was never at most half full since */
        uint64_t burst_at[LISTENER_BURSTS]; /* when its last bursts of such drops began, the latest first */
};

struct listeners {
        unsigned n, n_before;
        bool complete;        /* before has all listeners of its dump: one that is not in it is new */
        uint32_t syn_limit;   /* a limit of every SYN queue, beside the backlog of its listener; 0: none */
        bool new_drops_known; /* the drops of every listener are */
        uint64_t new_drops;   /* of all listeners together */
        uint64_t now;         /* of listeners_note_bursts() */
        unsigned overflowing; /* listeners that dropped connections in this dump for a full accept queue, or fill */
        bool fills;           /* one of them does */
        struct listener item[LISTENERS_MAX], before[LISTENERS_MAX];
};

/* Begins a dump, and drops one that was not committed. Then add each listening socket; length includes all attributes
 * of socket. Listeners over LISTENERS_MAX are left out. */
void listeners_begin(struct listeners *listeners);
void listeners_add(struct listeners *listeners, const struct inet_diag_msg *socket, size_t length);

/* Ends the dump and computes new_drops. */
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

/* Notes the listeners that dropped connections since the previous dump, if an accept queue was full, and those whose queue
 * has drained. A queue that does not drain overflows again with the next client, which begins no burst. now: of this
 * tick. */
void listeners_note_bursts(struct listeners *listeners, uint64_t now, bool accept_queue);

/* Returns the bursts of such drops in the last LISTENER_BURST_WINDOW; LISTENER_BURSTS: at least as many. */
listener_measure listener_bursts;

/* Returns the connections that the listener dropped since the dump before. */
listener_measure listener_new_drops;

/* Returns the listener with the highest value; NULL: all are 0. */
const struct listener *listeners_worst(const struct listeners *listeners, listener_measure *measure);

/* Writes "10.0.0.7:80" or "[::]:80" and returns buf. */
#define LISTENER_NAME_MAX 56
const char *listener_name(const struct listener *listener, char buf[static LISTENER_NAME_MAX]);

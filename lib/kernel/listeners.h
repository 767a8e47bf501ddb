/* SPDX-License-Identifier: MIT */
#pragma once

/* The listening sockets of one dump, and what they dropped since the one before. The first LISTENERS_MAX of a dump
 * are kept; the kernel gives them in the same order each time. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/inet_diag.h>

#define LISTENERS_MAX 512u

struct listener {
        uint64_t cookie; /* the kernel's name of the socket, never used again in a boot */
        uint64_t cgroup; /* see diag_cgroup() */
        uint8_t family;
        uint16_t port; /* host byte order */
        uint32_t address[4];
        uint32_t queued, backlog; /* accept queue: connections that wait, and the limit listen() gave it */
        bool drops_told;          /* the kernel told them */
        uint32_t drops;           /* since the socket was made */
        bool new_drops_known;     /* told now and, where it was there already, in the dump before */
        uint32_t new_drops;       /* since that dump; 0 where that is not known */
        uint32_t handshakes;      /* SYN_RECV sockets of its address and port */
};

struct listeners {
        unsigned n, n_before;
        bool complete;      /* before has all that there were: whoever is not in it is new */
        uint32_t syn_limit; /* of each SYN queue, beside its listener's backlog; 0: none */
        struct listener item[LISTENERS_MAX], before[LISTENERS_MAX];
};

/* Begins a dump; abandoned dumps leave the listeners before as they were. */
void listeners_begin(struct listeners *listeners);
void listeners_add(struct listeners *listeners, const struct inet_diag_msg *socket, size_t length);

/* Ends it: what was dropped is known from now on. */
void listeners_commit(struct listeners *listeners);

/* A SYN_RECV socket of the dump of connections, and before the first of them. */
void listeners_clear_handshakes(struct listeners *listeners);
void listeners_add_handshake(struct listeners *listeners, const struct inet_diag_msg *socket);

/* Percent. The accept queue is full past 100 % of its limit (include/net/sock.h:sk_acceptq_is_full), which is why
 * one more fits: limit + 1 is 100 %. The SYN queue is full at the limit
 * (include/net/inet_connection_sock.h:inet_csk_reqsk_queue_is_full), or at syn_limit if that is lower; listeners that
 * share an address and port (SO_REUSEPORT) share the handshakes, and so their limits add up. */
double listener_accept_queue(const struct listener *listener);
double listener_syn_queue(const struct listeners *listeners, const struct listener *listener);

/* The listener with the most of it; NULL when all have none. */
const struct listener *listeners_fullest_accept_queue(const struct listeners *listeners);
const struct listener *listeners_fullest_syn_queue(const struct listeners *listeners);
const struct listener *listeners_most_drops(const struct listeners *listeners);

/* What all listeners dropped since the dump before, and whether that is known of all. */
bool listeners_new_drops_known(const struct listeners *listeners);
uint64_t listeners_new_drops(const struct listeners *listeners);

/* "10.0.0.7:80", "[::]:80" */
#define LISTENER_NAME_MAX 56
const char *listener_name(const struct listener *listener, char buf[static LISTENER_NAME_MAX]);

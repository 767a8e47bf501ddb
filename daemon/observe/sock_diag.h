/* SPDX-License-Identifier: MIT */
#pragma once

/* Dumps of this netns's TCP and UDP sockets over NETLINK_SOCK_DIAG (sock_diag(7)). */

#include <stdbool.h>
#include <stdint.h>

#include <libmnl/libmnl.h>
#include <linux/inet_diag.h>

/* States of a request. Bit 12 is NEW_SYN_RECV, which is reported as SYN_RECV. Not bit 13, BOUND_INACTIVE: for
 * that the kernel walks a second hash table (net/ipv4/inet_diag.c:inet_diag_dump_icsk; see bound.c). */
#define SOCK_DIAG_LISTEN (UINT32_C(1) << 10)
#define SOCK_DIAG_CONNECTIONS (UINT32_C(0x1ffe) & ~SOCK_DIAG_LISTEN & ~(UINT32_C(1) << 7))

struct sock_diag {
        struct mnl_socket *socket; /* kept open: a batch can be as large as the largest buffer it was read with */
        unsigned seq;
        bool two_walks;    /* the kernel lacks TCPDIAG_GETSOCK, which gives both families in one walk */
        uint64_t batch_at; /* ns of CLOCK_BOOTTIME when the current batch was received */
        uint64_t until;    /* us of CLOCK_MONOTONIC: a dump ends then; 0: no limit */
};

/* What to request. */
struct sock_diag_query {
        uint32_t states;    /* a bit for each */
        uint8_t extensions; /* INET_DIAG_*, see diag.h */
        bool udp;           /* UDP sockets instead, in two walks */
        uint16_t low, high; /* only local ports from low to high; 0 and 0: all. The kernel leaves out the others at a
                               third of the cost of showing them */
};

/* length: of the socket with its attributes, in bytes. */
typedef void (*sock_diag_handler)(void *user, const struct inet_diag_msg *socket, size_t length);

void sock_diag_close(struct sock_diag *diag);

/* Why a dump failed, for a person; error is a negative errno. */
const char *sock_diag_error(int error);

/* Calls handler for every socket that matches the query, IPv4 and IPv6. Returns 0 if the dump was complete, else a
 * negative errno: the caller then has to forget the sockets that handler was called for, and the next dump opens a new
 * netlink socket. -ETIMEDOUT: it took until diag->until. -EAGAIN: the kernel did not answer for 2 s. -ECANCELED:
 * SIGTERM or SIGINT is blocked and pending: nobody needs the dump any more. */
int sock_diag_dump(struct sock_diag *diag, const struct sock_diag_query *query, sock_diag_handler handler, void *user);

/* Handles one batch, as it was received. seq and portid are those of the request; buf is aligned for a struct
 * nlmsghdr. Returns 1 if the dump is complete, 0 if more batches follow, else a negative errno. */
int sock_diag_take(const char *buf, size_t size, unsigned seq, unsigned portid, sock_diag_handler handler, void *user);

/* SPDX-License-Identifier: MIT */
#pragma once

/* Dumps of listeners, as the kernel gives them. */

#include <netinet/tcp.h>

#include "diag_message.h"
#include "lib/kernel/listeners.h"
#include "lib/util/macro.h"
#include "run.h"

#define ANY 0
#define A 0x0a000001u
#define B 0x0a000002u

static struct listeners l;

static inline void set_up(void)
{
        memset(&l, 0, sizeof(l));
}

static inline void address_set(uint32_t to[static 4], int family, uint32_t address)
{
        memset(to, 0, 16);
        if (family == AF_INET)
                to[0] = htonl(address);
        else if (address != ANY) { /* IPv4-mapped */
                to[2] = htonl(0xffff);
                to[3] = htonl(address);
        }
}

struct row {
        uint64_t cookie;
        uint32_t drops;
        uint32_t queued, backlog;
        int family; /* 0: AF_INET */
        uint32_t address;
        uint16_t port; /* 0: 80 */
        uint64_t cgroup;
};

static inline void put(const struct row *row)
{
        int family = row->family ? row->family : AF_INET;
        struct inet_diag_msg socket = {
                .idiag_family = (uint8_t)family,
                .idiag_state = TCP_LISTEN,
                .idiag_rqueue = row->queued,
                .idiag_wqueue = row->backlog,
                .id = {.idiag_sport = htons(row->port ? row->port : 80),
                       .idiag_cookie = {(uint32_t)row->cookie, (uint32_t)(row->cookie >> 32)}},
        };
        struct diag_message m;

        address_set(socket.id.idiag_src, family, row->address);
        m = diag_message_new(&socket);
        diag_message_put_drops(&m, row->drops);
        if (row->cgroup)
                diag_message_put_cgroup(&m, row->cgroup);
        listeners_add(&l, m.socket, m.length);
        diag_message_free(&m);
}

/* A dump; the rows end at a cookie of 0. */
#define DUMP(...) dump((const struct row[]){__VA_ARGS__, {0}})

static inline void begin(const struct row *rows)
{
        listeners_begin(&l);
        for (; rows->cookie; rows++)
                put(rows);
}

static inline void dump(const struct row *rows)
{
        begin(rows);
        listeners_commit(&l);
}

static inline void handshakes(unsigned n, int family, uint32_t address, uint16_t port)
{
        struct inet_diag_msg socket = {
                .idiag_family = (uint8_t)family, .idiag_state = TCP_SYN_RECV, .id.idiag_sport = htons(port)};

        address_set(socket.id.idiag_src, family, address);
        for (unsigned i = 0; i < n; i++)
                listeners_add_handshake(&l, &socket);
}

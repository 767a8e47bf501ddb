/* SPDX-License-Identifier: MIT */
#pragma once

/* A host's sockets for the tests of ports and policy: as sock_diag would show them. */

#include <arpa/inet.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <netinet/tcp.h>
#include <string.h>

#include "lib/ports/table.h"
#include "lib/util/macro.h"

#define MODEL_MAX 400000u
#define TIME_WAIT_NS (60 * NSEC_PER_SEC)

struct model_socket {
        int family;
        uint8_t state;
        uint16_t sport, dport;
        uint32_t src, dst; /* IPv4, host order; AF_INET6: IPv4-mapped */
        uint64_t since;    /* when it came into TIME_WAIT */
        uint64_t cgroup;   /* of a live socket; 0: the message has none */
};

struct model {
        struct model_socket socket[MODEL_MAX];
        unsigned n;
        unsigned next_port; /* the order in which connect() takes them: all of one parity, then the other */
        unsigned ports;     /* of the range, from 32768 on; 0: 28,232 as on stock sysctls */
        struct port_set listening, reserved;
};

static inline struct ports_limits stock_limits(void)
{
        return (struct ports_limits){
                .low = 32768, .high = 60999, .tw_reuse = 2, .tw_reuse_delay_ms = 1000, .timestamps = true};
}

static inline uint16_t model_port(struct model *m)
{
        unsigned n = m->ports > 0 ? m->ports : 28232, port;

        do {
                unsigned i = m->next_port++ % n;

                port = i < n / 2 ? 32768 + 2 * i : 32769 + 2 * (i - n / 2);
        } while (port_set_has(&m->listening, port));
        return (uint16_t)port;
}

/* Begins to listen on a port, where no socket has it (bind(2): EADDRINUSE), or ends. */
static inline void model_listen(struct model *m, unsigned port)
{
        for (unsigned i = 0; i < m->n; i++)
                if (m->socket[i].sport == port)
                        return;
        m->listening.bit[port / 64] ^= UINT64_C(1) << port % 64;
}

static inline struct model_socket *model_add(struct model *m, uint8_t state, uint32_t dst, uint16_t dport,
                                             uint64_t since)
{
        m->socket[m->n] = (struct model_socket){.family = AF_INET,
                                                .state = state,
                                                .sport = model_port(m),
                                                .dport = dport,
                                                .src = 0x0a000001,
                                                .dst = dst,
                                                .since = since};
        return &m->socket[m->n++];
}

/* TIME_WAIT sockets end after 60 s. */
static inline void model_expire(struct model *m, uint64_t now)
{
        unsigned kept = 0;

        for (unsigned i = 0; i < m->n; i++)
                if (m->socket[i].state != TCP_TIME_WAIT || now - m->socket[i].since < TIME_WAIT_NS)
                        m->socket[kept++] = m->socket[i];
        m->n = kept;
}

static inline void model_address(uint32_t to[static 4], int family, uint32_t address)
{
        memset(to, 0, 16);
        if (family == AF_INET6) {
                to[2] = htonl(0xffff);
                to[3] = htonl(address);
        } else {
                to[0] = htonl(address);
        }
}

static inline struct inet_diag_msg model_message(const struct model_socket *s, uint64_t now)
{
        struct inet_diag_msg m = {.idiag_family = (uint8_t)s->family, .idiag_state = s->state};

        m.id.idiag_sport = htons(s->sport);
        m.id.idiag_dport = htons(s->dport);
        model_address(m.id.idiag_src, s->family, s->src);
        model_address(m.id.idiag_dst, s->family, s->dst);
        if (s->state == TCP_TIME_WAIT)
                m.idiag_expires = (uint32_t)((TIME_WAIT_NS - (now - s->since)) / NSEC_PER_MSEC);
        return m;
}

static inline void model_feed(const struct model *m, struct ports *ports, uint64_t now)
{
        for (unsigned i = 0; i < m->n; i++) {
                const struct model_socket *s = &m->socket[i];
                struct {
                        struct inet_diag_msg message;
                        struct nlattr attribute;
                        uint64_t cgroup;
                } __attribute__((packed, aligned(8)))
                whole = {model_message(s, now), {sizeof(struct nlattr) + 8, INET_DIAG_CGROUP_ID}, s->cgroup};

                ports_add_socket(ports, &whole.message, s->cgroup ? sizeof(whole) : sizeof(whole.message), now);
        }
}

static const struct port_set no_ports;

/* A dump at every second. */
static inline void model_dump(const struct model *m, struct ports *ports, const struct ports_limits *limits,
                              uint64_t now, uint64_t recycled)
{
        ports_begin(ports, limits, &m->reserved, &m->listening, now, NSEC_PER_SEC);
        model_feed(m, ports, now);
        ports_commit(ports, recycled);
}

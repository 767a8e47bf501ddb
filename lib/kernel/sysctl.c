/* SPDX-License-Identifier: MIT */
#include "lib/kernel/sysctl.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/util/macro.h"

/* A TIME_WAIT socket takes 256 bytes (slab tw_sock_TCP). An orphan takes a socket and some of its data; tcp_mem limits
 * the data of all orphans (net/ipv4/tcp.c:tcp_check_oom). */
/* clang-format off */
#define IPV4(x) "net.ipv4." x

const struct sysctl sysctl_table[SYSCTL_COUNT] = {
        [SYSCTL_TCP_TW_REUSE] = {IPV4("tcp_tw_reuse"), 1, {0, 2},
                 .help = "lets connect() take the port of a TIME_WAIT socket whose peer uses timestamps"},
        [SYSCTL_TCP_TW_REUSE_DELAY] = {IPV4("tcp_tw_reuse_delay"), 1, {250, 60000}, SYSCTL_LESS,
                 .below = "a reuse before the peer's minimum RTO of 200 ms costs resets on lossy paths",
                 .help = "ms in TIME_WAIT before tcp_tw_reuse applies (Linux 6.14)"},
        [SYSCTL_IP_LOCAL_PORT_RANGE] = {IPV4("ip_local_port_range"), 2, {1024, 65535}, SYSCTL_WIDEN,
                 .below = "ports below 1024 are those of services",
                 .help = "the ephemeral ports; connect() has that many per destination"},
        [SYSCTL_IP_LOCAL_RESERVED_PORTS] = {IPV4("ip_local_reserved_ports"), 0,
                 .never = "the ports that the administrator reserved stay reserved",
                 .help = "ports that connect() leaves out"},
        [SYSCTL_IP_UNPRIVILEGED_PORT_START] = {IPV4("ip_unprivileged_port_start"), 1,
                 .never = "it decides who may bind to a port, which has nothing to do with load",
                 .help = "the first port that needs no privilege to bind to"},
        [SYSCTL_TCP_MAX_TW_BUCKETS] = {IPV4("tcp_max_tw_buckets"), 1, {65536, 16777216}, SYSCTL_RAISE, 256,
                 .below = "a small table throws TIME_WAIT away, which protects new connections from old segments",
                 .help = "how many TIME_WAIT sockets may be kept"},
        [SYSCTL_TCP_FIN_TIMEOUT] = {IPV4("tcp_fin_timeout"), 1, {10, 120}, SYSCTL_LESS,
                 .below = "peers that close a little late would be reset",
                 .help = "seconds in FIN_WAIT_2 without an owner; it does nothing to TIME_WAIT (60 s, fixed)"},
        [SYSCTL_TCP_KEEPALIVE_TIME] = {IPV4("tcp_keepalive_time"), 1, {60, 86400}, SYSCTL_LESS,
                 .below = "probes would keep idle peers and radios awake",
                 .help = "idle seconds before the first probe, for sockets with SO_KEEPALIVE"},
        [SYSCTL_TCP_KEEPALIVE_INTVL] = {IPV4("tcp_keepalive_intvl"), 1, {5, 3600}, SYSCTL_LESS,
                 .below = "a short outage would end idle connections",
                 .help = "seconds between two unanswered probes"},
        [SYSCTL_TCP_KEEPALIVE_PROBES] = {IPV4("tcp_keepalive_probes"), 1, {3, 20}, SYSCTL_LESS,
                 .below = "one or two lost packets would end a healthy connection",
                 .help = "unanswered probes before the connection is given up"},
        [SYSCTL_TCP_SYNCOOKIES] = {IPV4("tcp_syncookies"), 1, {1, 1},
                 .below = "a host without SYN cookies can be shut off by a SYN flood",
                 .help = "SYN cookies when a SYN queue overflows"},
        [SYSCTL_TCP_MAX_SYN_BACKLOG] = {IPV4("tcp_max_syn_backlog"), 1, {128, 1048576}, SYSCTL_RAISE,
                 .help = "SYN queue of a listener; ignored while tcp_syncookies is 1"},
        [SYSCTL_SOMAXCONN] = {"net.core.somaxconn", 1, {128, 1048576}, SYSCTL_RAISE,
                 .help = "upper bound of listen()'s backlog"},
        [SYSCTL_TCP_SYNACK_RETRIES] = {IPV4("tcp_synack_retries"), 1, {2, 5}, SYSCTL_LESS,
                 .below = "clients on lossy paths could not connect",
                 .help = "how often a SYN+ACK is sent again"},
        [SYSCTL_TCP_ORPHAN_RETRIES] = {IPV4("tcp_orphan_retries"), 1, {5, 8}, SYSCTL_LESS,
                 .below = "data that was written before close() could be lost",
                 .help = "retransmissions of a socket that was closed"},
        [SYSCTL_TCP_MAX_ORPHANS] = {IPV4("tcp_max_orphans"), 1, {4096, 4194304}, SYSCTL_RAISE, 4096,
                 .help = "how many closed sockets may still send"},
        [SYSCTL_TCP_MEM] = {IPV4("tcp_mem"), 3,
                 .never = "the kernel sizes it by the machine's memory",
                 .help = "pages of memory for all sockets together"},
        [SYSCTL_NF_CONNTRACK_MAX] = {"net.netfilter.nf_conntrack_max", 1,
                 .never = "kube-proxy and others own it, and its hash table has to grow with it",
                 .help = "entries of the conntrack table"},
        [SYSCTL_NF_CONNTRACK_TCP_TIMEOUT_TIME_WAIT] = {"net.netfilter.nf_conntrack_tcp_timeout_time_wait", 1,
                 .never = "kube-proxy and others own it",
                 .help = "seconds that conntrack keeps a closed connection"},
        [SYSCTL_TCP_TIMESTAMPS] = {IPV4("tcp_timestamps"), 1,
                 .never = "without timestamps TIME_WAIT cannot be reused safely and PAWS is gone",
                 .help = "TCP timestamps; tcp_tw_reuse depends on them"},
        [SYSCTL_TCP_RFC1337] = {IPV4("tcp_rfc1337"), 1,
                 .never = "it changes how a RST ends TIME_WAIT and relieves nothing",
                 .help = "whether a RST may end TIME_WAIT"},
        [SYSCTL_TCP_ABORT_ON_OVERFLOW] = {IPV4("tcp_abort_on_overflow"), 1,
                 .never = "it turns a short burst that clients would have survived into refused connections",
                 .help = "a full accept queue answers with RST"},
        [SYSCTL_TCP_TW_RECYCLE] = {IPV4("tcp_tw_recycle"), 1,
                 .never = "it broke clients behind NAT, and Linux 4.12 removed it; for outgoing connections use "
                          "tcp_tw_reuse = 1",
                 .help = "removed in Linux 4.12"},
};
/* clang-format on */

enum sysctl_id sysctl_find(const char *name)
{
        for (unsigned id = 0; id < SYSCTL_COUNT; id++) {
                const char *a = sysctl_table[id].name, *b = name;

                while (*a && (*a == *b || (*a == '.' && *b == '/')))
                        a++, b++;
                if (!*a && !*b)
                        return id;
        }
        return SYSCTL_COUNT;
}

int sysctl_parse(enum sysctl_id id, const char *text, struct sysctl_value *ret)
{
        struct sysctl_value value = {.n = sysctl_table[id].n};
        const char *p = text;

        assert(id < SYSCTL_COUNT);
        for (unsigned i = 0; i < value.n; i++) {
                char *end;

                errno = 0;
                value.v[i] = strtoll(p, &end, 10);
                if (end == p || errno != 0 || !strchr(" \t\n", *end))
                        return -EINVAL;
                p = end;
        }
        p += strspn(p, " \t\n");
        if (*p || value.n == 0)
                return -EINVAL;

        *ret = value;
        return 0;
}

const char *sysctl_format(const struct sysctl_value *value, char buf[static SYSCTL_TEXT_MAX])
{
        assert(value->n <= ELEMENTSOF(value->v));
        buf[0] = 0;
        for (unsigned i = 0, at = 0; i < value->n; i++)
                at += (unsigned)snprintf(buf + at, SYSCTL_TEXT_MAX - at, "%s%" PRId64, i ? " " : "", value->v[i]);
        return buf;
}

bool sysctl_equal(const struct sysctl_value *a, const struct sysctl_value *b)
{
        return a->n == b->n && memcmp(a->v, b->v, a->n * sizeof(a->v[0])) == 0;
}

/* connect() takes every second port of the range, so two ends of the same parity leave one port of the other parity
 * unused (net/ipv4/sysctl_net_ipv4.c:ipv4_local_port_range warns about it). */
static bool is_port_range(const struct sysctl_value *value)
{
        return value->v[0] < value->v[1] && (value->v[0] & 1) != (value->v[1] & 1);
}

int sysctl_check_bounds(enum sysctl_id id, const struct sysctl_value *value, const struct sysctl_bounds *bounds,
                        char *reason, size_t size)
{
        const struct sysctl *s = &sysctl_table[id];

        for (unsigned i = 0; i < value->n; i++)
                if (value->v[i] < bounds->min || value->v[i] > bounds->max) {
                        const char *below = value->v[i] < s->bounds.min && s->below ? s->below : NULL;

                        snprintf(reason, size, "%" PRId64 " is outside %" PRId64 "-%" PRId64 " for %s%s%s",
                                 value->v[i], bounds->min, bounds->max, s->name, below ? ": " : "",
                                 below ? below : "");
                        return -ERANGE;
                }
        return 0;
}

int sysctl_check(enum sysctl_id id, const struct sysctl_value *value, char *reason, size_t size)
{
        const struct sysctl *s = &sysctl_table[id];

        assert(id < SYSCTL_COUNT);
        if (s->never) {
                snprintf(reason, size, "%s is never written: %s", s->name, s->never);
                return -EPERM;
        }
        if (value->n != s->n) {
                snprintf(reason, size, "%s takes %u number%s", s->name, s->n, s->n == 1 ? "" : "s");
                return -ERANGE;
        }
        if (sysctl_check_bounds(id, value, &s->bounds, reason, size) < 0)
                return -ERANGE;
        if (id == SYSCTL_IP_LOCAL_PORT_RANGE && !is_port_range(value)) {
                snprintf(reason, size, "the two ends of %s must rise and be of different parity", s->name);
                return -ERANGE;
        }
        return 0;
}

int sysctl_check_step(enum sysctl_id id, const struct sysctl_value *live, const struct sysctl_value *value,
                      char *reason, size_t size)
{
        const struct sysctl *s = &sysctl_table[id];

        assert(id < SYSCTL_COUNT);
        if (s->direction == SYSCTL_RAISE && value->v[0] < live->v[0]) {
                snprintf(reason, size, "%s is only ever raised: %" PRId64 " is under the live %" PRId64, s->name,
                         value->v[0], live->v[0]);
                return -ERANGE;
        }
        if (s->direction == SYSCTL_WIDEN && (value->v[0] > live->v[0] || value->v[1] < live->v[1])) {
                snprintf(reason, size,
                         "%s is only ever widened: %" PRId64 "-%" PRId64 " does not hold the live "
                         "%" PRId64 "-%" PRId64,
                         s->name, value->v[0], value->v[1], live->v[0], live->v[1]);
                return -ERANGE;
        }
        return 0;
}

bool sysctl_has_effect(enum sysctl_id id, const struct sysctl_value *live, const struct sysctl_value *value,
                       bool loopback)
{
        if (sysctl_equal(live, value))
                return true;
        if (id == SYSCTL_TCP_TW_REUSE)
                return loopback && live->v[0] != 0 && value->v[0] != 0;
        switch (sysctl_table[id].direction) {
        case SYSCTL_LESS:
                /* 0 is the kernel's 8 (net/ipv4/tcp_timer.c:tcp_orphan_retries) */
                return live->v[0] <= value->v[0] && (id != SYSCTL_TCP_ORPHAN_RETRIES || live->v[0] > 0);
        case SYSCTL_RAISE:
                return live->v[0] >= value->v[0];
        case SYSCTL_WIDEN:
                return live->v[0] <= value->v[0] && live->v[1] >= value->v[1];
        case SYSCTL_BOTH:
                break;
        }
        return false;
}

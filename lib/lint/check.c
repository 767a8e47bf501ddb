/* SPDX-License-Identifier: MIT */

/* The checks of lint's rows that need more than a threshold. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/kernel/sysctl.h"
#include "lib/lint/row.h"

#define MIB (INT64_C(1) << 20)

/* net/ipv4/tcp_ipv4.c:tcp_twsk_unique() requires the peer's timestamps. */
static bool check_tw_reuse(struct lint_case *c)
{
        struct lint_effect timestamps;

        if (c->v[0] != 0 && lint_effective(c, "net/ipv4/tcp_timestamps", &timestamps) && timestamps.v[0] == 0)
                return lint_say(c, LINT_NO_EFFECT, "it needs timestamps, and tcp_timestamps is 0%s", timestamps.where);
        if (c->v[0] == 0)
                return lint_say(c, LINT_FINE,
                                "no reuse, not on loopback either: the default range carries 28232 connections a "
                                "minute toward one destination");
        return false;
}

/* net/ipv4/sysctl_net_ipv4.c: tcp_max_reordering is the upper bound of tcp_reordering. */
static bool refuses_reordering(struct lint_case *c)
{
        int64_t most;

        if (c->n == 0 || !lint_number_by_then(c, "net/ipv4/tcp_max_reordering", &most) || c->v[0] <= most)
                return false;
        return lint_say_refused(c, "it accepts 1 to %" PRId64 ", which is tcp_max_reordering", most);
}

/* ---- tables and memory ---- */

/* Returns half the size of the hash table of connections, which has a slot for each 128 KiB of memory (32 pages of
 * 4 KiB), at most 524,288; 0: unknown (net/ipv4/tcp.c:tcp_init(): alloc_large_system_hash("TCP established", ...,
 * 17)). */
static int64_t table_by_memory(int64_t pages)
{
        int64_t slots = 1;

        while (slots < pages / 32 && slots < 524288)
                slots *= 2;
        return pages > 0 ? slots / 2 : 0;
}

/* Returns the default size of a table; 0: unknown. For TIME_WAIT and orphans it is half the size of the hash table
 * of connections (net/ipv4/tcp.c:tcp_init(), tcp_ipv4.c:tcp_sk_init()); tcp_ehash_entries is negative in a network
 * namespace that shares the table of the first one, and does not exist before Linux 6.1. For conntrack it is an
 * estimate: the number of buckets, which is the default only since Linux 5.15, and only without hashsize=. *ret_exact
 * is false for an estimate. */
static int64_t default_size(const struct lint_case *c, bool *ret_exact)
{
        bool conntrack = strstr(c->path, "nf_conntrack") != NULL;
        struct lint_effect e;

        *ret_exact =
                lint_effective(c, conntrack ? "net/netfilter/nf_conntrack_buckets" : "net/ipv4/tcp_ehash_entries", &e);
        if (!*ret_exact)
                return conntrack ? 0 : table_by_memory(c->kernel->memory_pages);
        *ret_exact = !conntrack; /* the default of conntrack is one, four or eight entries for each bucket */
        return conntrack ? e.v[0] : llabs(e.v[0] / 2);
}

/* Warns of more than eight entries for each bucket. The kernel's default is at most eight for each, and one since
 * Linux 5.15 unless hashsize= is given (net/netfilter/nf_conntrack_core.c:nf_conntrack_init_start()). */
static void add_chains(struct lint_case *c, int64_t buckets)
{
        if (strstr(c->path, "nf_conntrack") && buckets > 0 && c->v[0] / 8 > buckets)
                lint_add_why(c,
                             "; a full table has %" PRId64 " entries for each of the %" PRId64
                             " buckets, and each packet searches a bucket: set net.netfilter.nf_conntrack_buckets = "
                             "%" PRId64,
                             c->v[0] / buckets, buckets, c->v[0] / 4);
}

static bool check_table(struct lint_case *c)
{
        const char *below = c->row->below ? c->row->below : sysctl_table[sysctl_find(c->path)].below;
        bool exact;
        int64_t size = default_size(c, &exact);

        if (exact && c->v[0] == size)
                return lint_say(c, LINT_NO_EFFECT, "it is the kernel's default on this machine");
        if (c->v[0] < MIN(65536, size > 0 ? size : 65536))
                return lint_say(c, LINT_HARMFUL, "%s", below);
        lint_say(c, LINT_FINE, "%s", lint_help(c));
        add_chains(c, size);
        return true;
}

/* Some kernels refuse a value under two ticks (net/core/sysctl_net_core.c:netdev_budget_usecs_min), at most 20,000 us
 * (at 100 Hz). For a smaller value the outcome is unknown. */
static bool check_budget_usecs(struct lint_case *c)
{
        if (c->v[0] < 20000)
                c->finding->applied = -1;
        return false;
}

/* Measured; net/ipv4/tcp_input.c:tcp_conn_request() reads it only while tcp_syncookies is 0. */
static bool check_syn_backlog(struct lint_case *c)
{
        struct lint_effect cookies;

        if (lint_effective(c, "net/ipv4/tcp_syncookies", &cookies) && cookies.v[0] != 0)
                return lint_say(c, LINT_NO_EFFECT,
                                "it is ignored while tcp_syncookies is %" PRId64
                                ": listen() and somaxconn limit the SYN queue",
                                cookies.v[0]);
        return false;
}

/* The defaults are 4.7 %, 6.2 % and 9.4 % of the memory (net/ipv4/tcp.c:tcp_init_mem()), those of UDP twice that
 * (net/ipv4/udp.c:udp_init()). */
static bool check_mem(struct lint_case *c)
{
        int64_t memory = c->kernel->memory_pages;
        bool tcp = strcmp(c->path, "net/ipv4/tcp_mem") == 0;

        if (memory > 0 && c->v[2] > memory)
                return lint_say(c, LINT_HARMFUL,
                                "it is in pages, not bytes: more than the memory of this machine, so that nothing "
                                "limits what sockets take");
        if (c->v[2] < memory / 32)
                return lint_say(c, LINT_HARMFUL,
                                "%" PRId64 " pages for all sockets; the kernel's default is about %" PRId64
                                " here: %s with memory to spare",
                                c->v[2], memory / 32 * (tcp ? 3 : 6),
                                tcp ? "connections are squeezed and reset" : "datagrams are dropped");
        return lint_say(c, LINT_FINE, "%s; %s", lint_help(c), sysctl_table[SYSCTL_TCP_MEM].never);
}

/* Measured on loopback with an MSS of 1,448: the first window is about half of the middle value, 1,448 bytes at 4,096,
 * 7,240 at 16,384, 15,928 at 32,768, 65,160 at the default of 131,072. A peer sends ten segments at first (RFC 6928),
 * 14,480 bytes. The middle value of tcp_wmem may be small: the buffer grows when the connection is made
 * (net/ipv4/tcp_input.c:tcp_init_buffer_space()). */
static bool check_buffer(struct lint_case *c)
{
        bool receive = strcmp(c->path, "net/ipv4/tcp_rmem") == 0;

        if (c->v[0] > c->v[1] || c->v[1] > c->v[2])
                return lint_say(c, LINT_HARMFUL, "the three must not decrease: minimum, initial, maximum");
        if (c->v[1] > MIB)
                return lint_say(c, LINT_HARMFUL,
                                "every connection starts with %" PRId64 " MiB, needed or not; the kernel lets buffers "
                                "grow as needed",
                                c->v[1] / MIB);
        if (c->v[2] < MIB)
                return lint_say(c, LINT_HARMFUL,
                                "at most %" PRId64 " KiB: a connection is limited to %.1f Mbit/s at a round trip of "
                                "100 ms",
                                c->v[2] / 1024, (double)c->v[2] * 8 / 100000);
        if (receive && c->v[1] / 2 < 14480)
                return lint_say(c, LINT_HARMFUL,
                                "every connection starts with a window of about %" PRId64
                                " bytes, less than the ten segments that a peer may send at first; the default is "
                                "131072, a window of 65160",
                                c->v[1] / 2);
        /* Measured: Linux 6.1.192 and 6.12.117 refuse a minimum under 4096, 5.10.223 and 6.18 do not. */
        if (c->v[0] >= 4096 || c->tried)
                return false;
        c->finding->applied = -1;
        return lint_say(c, LINT_FINE, "%s; some kernels refuse a minimum under 4096", lint_help(c));
}

/* rmem_default may exceed rmem_max (measured), which only limits setsockopt() (net/core/sock.c:sk_setsockopt()). */
static bool check_max(struct lint_case *c)
{
        bool receive = strcmp(c->path, "net/core/rmem_max") == 0;
        struct lint_effect initial;

        if (c->v[0] < c->row->low ||
            !lint_effective(c, receive ? "net/core/rmem_default" : "net/core/wmem_default", &initial) ||
            initial.v[0] <= c->v[0])
                return false;
        return lint_say(c, LINT_FINE,
                        "%s; %s is %" PRId64 "%s, more than a program may set, but the kernel doubles what it "
                        "sets",
                        lint_help(c), receive ? "rmem_default" : "wmem_default", initial.v[0], initial.where);
}

/* ip-sysctl: 0x200 with 0x2 accepts data in a SYN without the cookie that protects from forged SYNs (RFC 7413,
 * section 5.1). */
static bool check_fastopen(struct lint_case *c)
{
        return (c->v[0] & 0x202) == 0x202 &&
               lint_say(c, LINT_HARMFUL,
                        "0x200 takes data of a SYN without a cookie: forged SYNs make the server work");
}

/* ---- what the kernel's version decides ---- */

/* Linux 6.6 stopped reading it (net/ipv4/tcp_input.c:tcp_measure_rcv_mss() measures instead). Kernels of some
 * distributions have that change under an older number; they also have tcp_backlog_ack_defer, of Linux 6.7. */
static bool check_adv_win_scale(struct lint_case *c)
{
        unsigned major = 0, minor = 0;
        char release[256];

        if (lint_read_live(c, "kernel/osrelease", release, sizeof(release)) == 0)
                (void)sscanf(release, "%u.%u", &major, &minor);
        if (major < 6 || (major == 6 && minor < 6))
                if (!lint_exists(c, "net/ipv4/tcp_backlog_ack_defer"))
                        return false;
        return lint_say(c, LINT_NO_EFFECT, "unused since Linux 6.6: the kernel measures it");
}

/* ---- keepalive and conntrack ---- */

/* The first probe keeps the entry of conntrack alive, if it comes before the entry expires. */
static bool check_keepalive_time(struct lint_case *c)
{
        const struct sysctl *s = lint_sysctl(c);
        struct lint_effect idle;

        if (c->v[0] < s->bounds.min ||
            !lint_effective(c, "net/netfilter/nf_conntrack_tcp_timeout_established", &idle) || c->v[0] < idle.v[0])
                return false;
        return lint_say(c, LINT_FINE,
                        "%s; conntrack forgets an idle connection after %" PRId64 " s%s, before the first probe",
                        s->help, idle.v[0], idle.where);
}

static bool check_established(struct lint_case *c)
{
        struct lint_effect time;

        if (c->v[0] >= c->row->low || !lint_effective(c, "net/ipv4/tcp_keepalive_time", &time))
                return false;
        if (c->v[0] <= 0 || time.v[0] <= 0)
                return false;
        if (c->v[0] <= time.v[0])
                return lint_say(c, LINT_HARMFUL,
                                "idle connections are forgotten before the first keepalive probe, which comes after "
                                "%" PRId64 " s%s, and then hang",
                                time.v[0], time.where);
        return lint_say(c, LINT_FINE,
                        "%s; those with SO_KEEPALIVE are kept by the first probe, after %" PRId64
                        " s%s; those without it, and those of other hosts that this one forwards, hang once forgotten",
                        lint_help(c), time.v[0], time.where);
}

static const struct lint_checks checks[] = {
        {"net/core/netdev_budget_usecs", NULL, check_budget_usecs},
        {"net/ipv4/tcp_reordering", refuses_reordering, NULL},
        {"net/ipv4/tcp_tw_reuse", NULL, check_tw_reuse},
        {"net/ipv4/tcp_max_tw_buckets", NULL, check_table},
        {"net/ipv4/ip_local_port_range", lint_refuses_port_range, lint_check_port_range},
        {"net/ipv4/ip_local_reserved_ports", lint_refuses_port_list, lint_check_reserved_ports},
        {"net/ipv4/ip_unprivileged_port_start", lint_refuses_port_start, NULL},
        {"net/ipv4/tcp_keepalive_time", NULL, check_keepalive_time},
        {"net/ipv4/tcp_fastopen", NULL, check_fastopen},
        {"net/core/rmem_max", NULL, check_max},
        {"net/core/wmem_max", NULL, check_max},
        {"net/ipv4/tcp_max_syn_backlog", NULL, check_syn_backlog},
        {"net/ipv4/tcp_max_orphans", NULL, check_table},
        {"net/ipv4/tcp_adv_win_scale", NULL, check_adv_win_scale},
        {"net/ipv4/tcp_congestion_control", lint_refuses_module, lint_check_module},
        {"net/ipv4/tcp_allowed_congestion_control", lint_refuses_congestion_list, lint_check_congestion_list},
        {"net/core/default_qdisc", lint_refuses_module, lint_check_module},
        {"net/ipv4/udp_mem", NULL, check_mem},
        {"net/ipv4/tcp_mem", NULL, check_mem},
        {"net/ipv4/tcp_rmem", NULL, check_buffer},
        {"net/ipv4/tcp_wmem", NULL, check_buffer},
        {"net/netfilter/nf_conntrack_max", NULL, check_table},
        {"net/nf_conntrack_max", NULL, check_table},
        {"net/netfilter/nf_conntrack_tcp_timeout_established", NULL, check_established},
};

const struct lint_checks *lint_checks_find(const char *path)
{
        for (unsigned i = 0; i < ELEMENTSOF(checks); i++)
                if (strcmp(checks[i].path, path) == 0)
                        return &checks[i];
        return NULL;
}

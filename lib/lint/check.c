/* SPDX-License-Identifier: MIT */

/* The checks of lint's rows that need more than a threshold. */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/kernel/sysctl.h"
#include "lib/lint/row.h"
#include "lib/util/port_set.h"

#define MIB (INT64_C(1) << 20)

/* net/ipv4/tcp_ipv4.c:tcp_twsk_unique() asks for the peer's timestamps. */
bool lint_check_tw_reuse(struct lint_case *c)
{
        int64_t timestamps;

        if (c->v[0] != 0 && lint_effective(c, "net/ipv4/tcp_timestamps", &timestamps) && timestamps == 0)
                return lint_say(c, LINT_NO_EFFECT, "it needs timestamps, and tcp_timestamps is 0");
        if (c->v[0] == 0)
                return lint_say(c, LINT_FINE,
                                "no reuse, not on loopback either: the default range carries 28232 connections a "
                                "minute toward one destination");
        return false;
}

bool lint_check_tw_reuse_delay(struct lint_case *c)
{
        int64_t reuse;

        if (lint_effective(c, "net/ipv4/tcp_tw_reuse", &reuse) && reuse == 0)
                return lint_say(c, LINT_NO_EFFECT, "tcp_tw_reuse is 0");
        return false;
}

/* Measured: past half of the range each connect() scans it, which takes 2.7 ms of CPU on the default range and 6.0 ms
 * on 1024-65000. The rule wider-port-range checks first which ports have a listener; a line in a file cannot. */
bool lint_check_port_range(struct lint_case *c)
{
        int64_t ports = c->v[1] - c->v[0] + 1;

        if (ports < 1)
                return lint_say(c, LINT_NO_EFFECT, "the kernel refuses it: the first port is over the last");
        if (c->v[0] < 32768)
                return lint_say(c, LINT_HARMFUL,
                                "connect() may take the port of a service while that restarts, or a NodePort "
                                "(30000-32767); and a wider range that is full is slower, not faster");
        if (ports < 28232 / 2)
                return lint_say(c, LINT_HARMFUL,
                                "only %" PRId64 " ports toward one destination; the default has 28232", ports);
        return false;
}

bool lint_check_reserved_ports(struct lint_case *c)
{
        struct port_set set;

        if (port_set_parse(c->value, &set) < 0)
                return lint_say(c, LINT_NO_EFFECT, "the kernel refuses it: it is not a list of ports");
        return false;
}

/* Returns the default size of a table; 0: unknown. TIME_WAIT and orphans: half the size of the hash table of
 * connections (net/ipv4/tcp.c:tcp_init(), tcp_ipv4.c:tcp_sk_init()), which is negative in a network namespace that
 * shares that of the first one. conntrack: the number of its buckets. */
static int64_t default_size(const struct lint_case *c)
{
        bool conntrack = strstr(c->path, "nf_conntrack") != NULL;
        int64_t n;

        if (!lint_effective(c, conntrack ? "net/netfilter/nf_conntrack_buckets" : "net/ipv4/tcp_ehash_entries", &n))
                return 0;
        return conntrack ? n : llabs(n / 2);
}

bool lint_check_table(struct lint_case *c)
{
        const char *below = c->row->below ? c->row->below : sysctl_table[sysctl_find(c->path)].below;
        int64_t size = default_size(c);

        if (size > 0 && c->v[0] == size)
                return lint_say(c, LINT_NO_EFFECT, "it is the kernel's default on this machine");
        if (c->v[0] < MIN(65536, size > 0 ? size : 65536))
                return lint_say(c, LINT_HARMFUL, "%s", below);
        return lint_say(c, LINT_FINE, "%s", lint_help(c));
}

/* Measured; net/ipv4/tcp_input.c:tcp_conn_request() reads it only while tcp_syncookies is 0. */
bool lint_check_syn_backlog(struct lint_case *c)
{
        int64_t cookies;

        if (lint_effective(c, "net/ipv4/tcp_syncookies", &cookies) && cookies != 0)
                return lint_say(c, LINT_NO_EFFECT,
                                "it is ignored while tcp_syncookies is %" PRId64
                                ": the SYN queue is what listen() and "
                                "somaxconn make it",
                                cookies);
        return false;
}

/* The defaults are 4.7 %, 6.2 % and 9.4 % of the memory (net/ipv4/tcp.c:tcp_init_mem()). */
bool lint_check_tcp_mem(struct lint_case *c)
{
        int64_t memory = c->kernel->memory_pages;

        if (memory > 0 && c->v[2] > memory)
                return lint_say(c, LINT_HARMFUL,
                                "it is in pages, not bytes: more than the memory of this machine, so that nothing "
                                "limits what sockets take");
        if (c->v[2] < memory / 32)
                return lint_say(c, LINT_HARMFUL,
                                "%" PRId64 " pages for all sockets; the kernel's default is about %" PRId64
                                " here: connections are squeezed and reset with memory to spare",
                                c->v[2], memory / 32 * 3);
        return lint_say(c, LINT_FINE, "%s; %s", sysctl_table[SYSCTL_TCP_MEM].help, sysctl_table[SYSCTL_TCP_MEM].never);
}

bool lint_check_buffer(struct lint_case *c)
{
        if (c->v[0] > c->v[1] || c->v[1] > c->v[2])
                return lint_say(c, LINT_HARMFUL, "the three must rise: the least, at first, the most");
        if (c->v[1] > MIB)
                return lint_say(c, LINT_HARMFUL,
                                "every connection starts with %" PRId64 " MiB, needed or not; the kernel would let it "
                                "grow when it is",
                                c->v[1] / MIB);
        if (c->v[2] < MIB)
                return lint_say(c, LINT_HARMFUL,
                                "at most %" PRId64 " KiB: a connection is limited to %" PRId64 " Mbit/s at 100 ms",
                                c->v[2] / 1024, c->v[2] * 8 / 100000);
        return false;
}

/* The kernel loads the module of the name on demand (net/ipv4/tcp_cong.c:tcp_ca_find_autoload()). */
bool lint_check_congestion_control(struct lint_case *c)
{
        char available[256], *word, *rest = available;

        if (c->kernel->read(c->kernel->user, "net/ipv4/tcp_available_congestion_control", available,
                            sizeof(available)) < 0)
                return false;
        while ((word = strsep(&rest, " ")))
                if (strcmp(word, c->value) == 0)
                        return false;
        return lint_say(c, LINT_FINE, "congestion control of new sockets, if there is a module tcp_%s: none is loaded",
                        c->value);
}

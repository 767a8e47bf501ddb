/* SPDX-License-Identifier: MIT */
#pragma once

/* Kernel counters by name: those of /proc/net/netstat and /proc/net/snmp (net/ipv4/proc.c), as netstat.TcpExt.NAME and
 * snmp.Tcp.NAME. Both files are pairs of lines, names and numbers. Kernels differ in their columns, so a counter is
 * found by its name, never by its place. */

#include <stdbool.h>
#include <stdint.h>

#define COUNTERS_MAX 640u
#define COUNTER_NAME_MAX 56

/* The counters that the observer needs; they come first in every set. */
enum {
        COUNTER_TW_RECYCLED,
        COUNTER_TW,
        COUNTER_TIME_WAIT_OVERFLOW,
        COUNTER_LISTEN_DROPS,
        COUNTER_PAWS_TIME_WAIT,
        COUNTER_SYN_RETRANS,
        COUNTER_ACTIVE_OPENS,
        COUNTER_PASSIVE_OPENS,
        COUNTER_OUT_RSTS,
        COUNTER_UDP_DROPS,
        COUNTER_OWN,
};

struct counter {
        char name[COUNTER_NAME_MAX];
        unsigned char length; /* of the name */
        bool gauge;           /* a level such as CurrEstab: it has no rate */
        bool seen;            /* counters_read() found it since the caller cleared this */
        uint64_t value;
};

struct counters {
        unsigned n;
        struct counter item[COUNTERS_MAX];
};

/* Makes a set of the observer's counters. */
void counters_init(struct counters *counters);

/* Returns the index of a name; COUNTERS_MAX: it is not in the set. */
unsigned counters_find(const struct counters *counters, const char *name);

/* Adds a name if it is new. Returns its index; COUNTERS_MAX: the set is full, or the name too long. */
unsigned counters_add(struct counters *counters, const char *name);

/* True for a netstat counter that changes only together with an snmp counter or a number of sockets in sockstat. */
bool counter_has_sign(const char *name);

/* Adds every counter of a file. text is its content, prefix is "netstat" or "snmp". Leaves out what does not fit. */
void counters_add_all(struct counters *counters, const char *prefix, const char *text);

/* Sets value and seen of the counters of the set that are in the text. The caller clears seen before. */
void counters_read(struct counters *counters, const char *prefix, const char *text);

/* The TcpExt and Tcp counters of Linux 6.18, and snmp.Udp.RcvbufErrors: a rule may name them even if this kernel lacks
 * them. NULL ends the list. */
extern const char *const counter_builtin[];

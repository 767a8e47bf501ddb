/* SPDX-License-Identifier: MIT */
#pragma once

/* Kernel counters by name: /proc/net/netstat and /proc/net/snmp (net/ipv4/proc.c), as netstat.TcpExt.NAME and
 * snmp.Tcp.NAME. Both files are pairs of lines, names and numbers; columns come and go with the kernel, so
 * only names count. */

#include <stdbool.h>
#include <stdint.h>

#define COUNTERS_MAX 640u
#define COUNTER_NAME_MAX 56

/* The counters that the observer itself needs stand first in every set. */
enum {
        COUNTER_TW_RECYCLED,
        COUNTER_LISTEN_DROPS,
        COUNTER_SYN_RETRANS,
        COUNTER_ACTIVE_OPENS,
        COUNTER_OUT_RSTS,
        COUNTER_OWN,
};

struct counter {
        char name[COUNTER_NAME_MAX];
        bool gauge; /* a level such as CurrEstab: shown as it is, not per second */
        bool seen;  /* in the text of the last counters_read() */
        uint64_t value;
};

struct counters {
        unsigned n;
        struct counter item[COUNTERS_MAX];
};

/* A set with the observer's own counters. */
void counters_init(struct counters *counters);

/* The index of name, COUNTERS_MAX if it is not in the set. */
unsigned counters_find(const struct counters *counters, const char *name);

/* The index of name, which is added if it is new. COUNTERS_MAX: the set is full or the name too long. */
unsigned counters_add(struct counters *counters, const char *name);

/* Adds every counter that text has. prefix is "netstat" or "snmp". */
void counters_add_all(struct counters *counters, const char *prefix, const char *text);

/* Sets value and seen of those in the set that text has. The caller clears seen. */
void counters_read(struct counters *counters, const char *prefix, const char *text);

/* Counters of Linux 6.18 that a rule may name although this kernel lacks them. NULL ends the list. */
extern const char *const counter_builtin[];

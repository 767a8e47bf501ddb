/* SPDX-License-Identifier: MIT */
#pragma once

/* The sysctls that twtuned knows: one row each in sysctl.c. The kernel checks next to nothing (it takes
 * tcp_fin_timeout = -5), so the bounds are ours, and no configuration can widen them. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sysctl_id {
        SYSCTL_TCP_TW_REUSE,
        SYSCTL_TCP_TW_REUSE_DELAY,
        SYSCTL_IP_LOCAL_PORT_RANGE,
        SYSCTL_IP_LOCAL_RESERVED_PORTS,
        SYSCTL_IP_UNPRIVILEGED_PORT_START,
        SYSCTL_TCP_MAX_TW_BUCKETS,
        SYSCTL_TCP_FIN_TIMEOUT,
        SYSCTL_TCP_KEEPALIVE_TIME,
        SYSCTL_TCP_KEEPALIVE_INTVL,
        SYSCTL_TCP_KEEPALIVE_PROBES,
        SYSCTL_TCP_SYNCOOKIES,
        SYSCTL_TCP_MAX_SYN_BACKLOG,
        SYSCTL_SOMAXCONN,
        SYSCTL_TCP_SYNACK_RETRIES,
        SYSCTL_TCP_ORPHAN_RETRIES,
        SYSCTL_TCP_MAX_ORPHANS,
        SYSCTL_TCP_MEM,
        SYSCTL_NF_CONNTRACK_MAX,
        SYSCTL_NF_CONNTRACK_TCP_TIMEOUT_TIME_WAIT,
        SYSCTL_TCP_TIMESTAMPS,
        SYSCTL_TCP_RFC1337,
        SYSCTL_TCP_ABORT_ON_OVERFLOW,
        SYSCTL_TCP_TW_RECYCLE,
        SYSCTL_COUNT,
};

/* One number, two for ip_local_port_range, three for tcp_mem. n == 0: no value. */
struct sysctl_value {
        unsigned n;
        int64_t v[3];
};

#define SYSCTL_VALUE(x) ((struct sysctl_value){.n = 1, .v = {(x)}})
#define SYSCTL_TEXT_MAX 72

/* Ours, both inclusive. */
struct sysctl_bounds {
        int64_t min, max;
};

/* Which way it may go, and what is more of its effect. */
enum sysctl_direction {
        SYSCTL_BOTH,  /* any way; another value is another effect */
        SYSCTL_LESS,  /* any way; a smaller value has the same effect and more */
        SYSCTL_RAISE, /* never under the live value; a larger one has the same effect and more */
        SYSCTL_WIDEN, /* a pair that may only grow at both ends */
};

struct sysctl {
        const char *name; /* as in sysctl.conf; '/' for '.' gives the file under /proc/sys */
        unsigned n;       /* numbers in the value; 0: a list, which is read as text */
        struct sysctl_bounds bounds;
        enum sysctl_direction direction;
        unsigned bytes;    /* of kernel memory for each entry of a table; 0: it is none, or a small one */
        const char *never; /* why it is never written, whatever the configuration says; NULL: it may be */
        const char *below; /* what a value below min would do, for the person who asks for it */
        const char *help;  /* what it really acts on */
};

extern const struct sysctl sysctl_table[SYSCTL_COUNT];

/* SYSCTL_COUNT when there is no such row. Both "a.b" and "a/b" are understood, as sysctl(8) does. */
enum sysctl_id sysctl_find(const char *name);

/* Parses as many numbers as the row has, blanks between them. 0, or -EINVAL. */
int sysctl_parse(enum sysctl_id id, const char *text, struct sysctl_value *ret);

/* The text that the kernel takes: numbers with one blank between them. */
const char *sysctl_format(const struct sysctl_value *value, char buf[static SYSCTL_TEXT_MAX]);

bool sysctl_equal(const struct sysctl_value *a, const struct sysctl_value *b);

/* Whether value may ever be written, whatever the live one is. 0; -EPERM: this sysctl is never written;
 * -ERANGE: out of our bounds. reason then says why in one sentence. */
int sysctl_check(enum sysctl_id id, const struct sysctl_value *value, char *reason, size_t size);

/* Whether value keeps to bounds that [limits] has narrowed. 0, or -ERANGE and a reason. */
int sysctl_check_bounds(enum sysctl_id id, const struct sysctl_value *value, const struct sysctl_bounds *bounds,
                        char *reason, size_t size);

/* Whether going from live to value keeps to the row's direction. 0, or -ERANGE and a reason. */
int sysctl_check_step(enum sysctl_id id, const struct sysctl_value *live, const struct sysctl_value *value,
                      char *reason, size_t size);

/* Whether live already does what value is wanted for, toward a destination that is on the loopback or not:
 * tcp_tw_reuse = 2 is 1 for loopback destinations (net/ipv4/tcp_ipv4.c:tcp_twsk_unique), and a table that is
 * larger than wanted is large enough. */
bool sysctl_has_effect(enum sysctl_id id, const struct sysctl_value *live, const struct sysctl_value *value,
                       bool loopback);

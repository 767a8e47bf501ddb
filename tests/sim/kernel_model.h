/* SPDX-License-Identifier: MIT */
#pragma once

/* A kernel, as far as twtuned can tell. The ephemeral ports toward each destination are modelled one by one, as
 * connect() picks them; all else is counted in cohorts of a second. Time is a parameter. Each part names what it
 * is a model of. */

#include <netinet/tcp.h>

#include "lib/kernel/sysctl.h"
#include "lib/ports/table.h"
#include "load.h"

#define KERNEL_PORT_BASE 32768u /* no model of a range goes below it */
#define KERNEL_PORTS (65536u - KERNEL_PORT_BASE)
#define KERNEL_COHORTS 1024u

struct port {
        uint64_t since; /* ms */
        uint8_t state;  /* TCP_*; 0: free */
        bool late;      /* SYN_SENT that is answered when it was sent again */
};

struct model_destination {
        uint32_t address; /* IPv4, host order */
        bool no_timestamps, binds, silent, stranger;
        unsigned perturb; /* where connect() goes on looking */
        unsigned held;    /* ESTABLISHED */
        unsigned opening; /* SYN_SENT that nobody answers */
        unsigned waiting; /* SYN_SENT that is answered late */
        uint64_t last_ms; /* of the last connect() */
        double carry;     /* the part of a connection that is due later */
        struct port port[KERNEL_PORTS];
};

/* Sockets that all live equally long, by the second in which they began. */
struct cohorts {
        uint32_t began[KERNEL_COHORTS];
        uint64_t oldest; /* the first second that may have some */
        uint64_t n;
        double carry;
};

enum kernel_counter {
        KERNEL_TW_RECYCLED,
        KERNEL_SYN_RETRANS,
        KERNEL_ACTIVE_OPENS,
        KERNEL_OUT_RSTS,
        KERNEL_TIME_WAIT_OVERFLOW,
        KERNEL_REQ_Q_FULL_DROP,
        KERNEL_REQ_Q_FULL_DO_COOKIES,
        KERNEL_LISTEN_OVERFLOWS,
        KERNEL_LISTEN_DROPS,
        KERNEL_ABORT_ON_MEMORY,
        KERNEL_COUNTERS,
};

extern const char *const kernel_counter_names[KERNEL_COUNTERS];

struct listener_model {
        double queued, backlog, syn_backlog;
};

struct kernel {
        uint64_t now_ms;                      /* jiffies: stands still in suspend */
        struct random random, strange_random; /* of strangers, and of what waits */
        struct sysctl_value sysctl[SYSCTL_COUNT];
        bool lacks[SYSCTL_COUNT];
        const struct sysctl_value *ignores; /* not NULL: these are in effect, whatever is written */
        struct port_set listening;          /* ports that connect() leaves out */
        double counter[KERNEL_COUNTERS];
        double time_waits; /* that were made, thrown away or not */
        uint64_t refused;  /* connect() with EADDRNOTAVAIL, which no counter of a kernel tells */
        struct model_destination model_destination[DESTINATIONS];

        struct cohorts time_wait; /* those of the ports, and others that hold no ephemeral port */
        struct cohorts fin_wait2_orphans, orphans, keepalive_unanswered, syn_recv;
        double leaked, insert_failed;
        struct listener_model listener;
        unsigned fin_wait2;
        double memory, conntrack;
};

/* Stock sysctls, with that range of ports. */
void kernel_init(struct kernel *kernel, uint64_t seed, unsigned low, unsigned ports);

/* Lives through the time up to now_ms under a load. */
void kernel_run(struct kernel *kernel, const struct load *load, uint64_t now_ms);

/* One connect() and close(). false: EADDRNOTAVAIL. */
bool kernel_connect(struct kernel *kernel, struct model_destination *to, uint64_t at_ms);

/* In use, of /proc/net/sockstat: TIME_WAIT (with FIN_WAIT_2 orphans, which are of the same kind), and others. */
uint64_t kernel_tw(const struct kernel *kernel);
uint64_t kernel_inuse(const struct kernel *kernel);

/* What connect() goes by. reserved stays as it is. */
void kernel_limits(const struct kernel *kernel, struct ports_limits *limits);

/* All sockets on ephemeral ports, as sock_diag shows them. now: the daemon's clock. */
void kernel_dump(const struct kernel *kernel, struct ports *ports, uint64_t now);

/* SPDX-License-Identifier: MIT */
#pragma once

/* The metrics that a rule may name and --once prints: one row each in metric.c. A kernel counter is a metric too, with
 * an id from METRIC_COUNT on (counter.h). */

#include <stdbool.h>
#include <stddef.h>

#include "lib/util/units.h"

enum metric_id {
        METRIC_TCP_ESTABLISHED,
        METRIC_TCP_SYN_SENT,
        METRIC_TCP_SYN_RECV,
        METRIC_TCP_FIN_WAIT1,
        METRIC_TCP_FIN_WAIT2,
        METRIC_TCP_TIME_WAIT,
        METRIC_TCP_CLOSE_WAIT,
        METRIC_TCP_LAST_ACK,
        METRIC_TCP_LISTEN,
        METRIC_TCP_CLOSING,
        METRIC_TCP_FIN_WAIT2_ORPHANED,
        METRIC_TCP_FIN_WAIT2_HELD,
        METRIC_TCP_KEEPALIVE_UNANSWERED,
        METRIC_TCP_RETRANSMITTING,

        METRIC_PORTS_CLIFF,
        METRIC_PORTS_EXHAUSTION,
        METRIC_PORTS_FORECAST,
        METRIC_PORTS_DEMAND,
        METRIC_PORTS_REUSE_DEMAND,
        METRIC_PORTS_RELIEF,
        METRIC_PORTS_SOURCE_USED,
        METRIC_PORTS_BIND_FIRST,
        METRIC_PORTS_REUSED,
        METRIC_PORTS_SYN_WAITING,
        METRIC_PORTS_UNANSWERED,
        METRIC_PORTS_USED,
        METRIC_PORTS_REUSABLE,
        METRIC_PORTS_CLIFF_ETA,

        METRIC_TIME_WAIT_TABLE,
        METRIC_ORPHANS_TABLE,
        METRIC_MEMORY_TCP,
        METRIC_ACCEPT_QUEUE_WORST,
        METRIC_SYN_QUEUE_WORST,
        METRIC_LISTEN_DROPS,
        METRIC_CLOSE_WAIT_GROWTH,
        METRIC_OPENS_SYN_RETRANSMITS,
        METRIC_OPENS_RESETS,
        METRIC_CONNTRACK_TABLE,
        METRIC_CONNTRACK_INSERT_FAILED,
        METRIC_SELF_OBSERVE_CPU,
        METRIC_SELF_RSS,
        METRIC_COUNT,

        METRIC_PORTS_FIRST = METRIC_PORTS_CLIFF,
        METRIC_PORTS_LAST = METRIC_PORTS_CLIFF_ETA,
        METRIC_PORTS_COUNT = METRIC_PORTS_LAST - METRIC_PORTS_FIRST + 1,
};

/* When a metric is read. */
enum cadence {
        EVERY_TICK, /* from a counter or a list that costs next to nothing to read */

        /* From a dump of all sockets with ephemeral ports. There is none while bounds are enough to decide, nor past
         * cpu_budget. */
        WITH_DUMP,

        /* Sampled every METRIC_SLOWLY_TICKS, or every METRIC_SLOWLY_SECONDS if that is sooner; the last sample stands
         * until the next. Sockets are counted by state only when bounds are not enough to decide, and within
         * cpu_budget. */
        SLOWLY,
};

#define METRIC_SLOWLY_TICKS 10u
#define METRIC_SLOWLY_SECONDS 10u

struct metric {
        const char *name;
        enum unit unit;
        double floor;       /* a lower level is noise: "3x before" compares with this at least */
        const char *source; /* where the kernel shows it */
        enum cadence cadence;
        const char *help;
        double most; /* its highest possible value; 0: it has none */
};

extern const struct metric metric_table[METRIC_COUNT];

/* Returns the id of a name; METRIC_COUNT: unknown. */
unsigned metric_find(const char *name);

/* True for the metrics that exist once for each destination. */
static inline bool metric_is_ports(unsigned metric)
{
        return metric >= METRIC_PORTS_FIRST && metric <= METRIC_PORTS_LAST;
}

/* SPDX-License-Identifier: MIT */
#pragma once

/* What can be asked for in a rule and is printed by --once: one row each in metric.c. A kernel counter is a
 * metric as well, with an id from METRIC_COUNT on (counter.h). */

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
        EVERY_TICK, /* a counter or a list that costs next to nothing */
        WITH_DUMP,  /* all sockets with ephemeral ports are dumped: not while bounds tell enough, and no dearer than
                       cpu_budget */
        SLOWLY, /* sampled every METRIC_SLOWLY_TICKS, or METRIC_SLOWLY_SECONDS where that is less; between two samples
                       the last one stands. Sockets are counted by state only when bounds do not tell enough, and no
                       dearer than cpu_budget */
};

#define METRIC_SLOWLY_TICKS 10u
#define METRIC_SLOWLY_SECONDS 10u

struct metric {
        const char *name;
        enum unit unit;
        double floor; /* a level under this is noise: "3x before" compares with at least this */
        const char *source;
        enum cadence cadence;
        const char *help;
        double most; /* what it can reach; 0: there is no such limit */
};

extern const struct metric metric_table[METRIC_COUNT];

/* METRIC_COUNT when there is no such row. */
unsigned metric_find(const char *name);

/* The metrics that exist once for each destination group. */
static inline bool metric_is_ports(unsigned metric)
{
        return metric >= METRIC_PORTS_FIRST && metric <= METRIC_PORTS_LAST;
}

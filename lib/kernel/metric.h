/* SPDX-License-Identifier: MIT */
#pragma once

/* The metrics that a rule may name and --once prints: one row each in metric_rows.h. A kernel counter is a metric
 * too, with an id from METRIC_COUNT on (counter.h). */

#include <stdbool.h>

#include "lib/util/units.h"

enum metric_id {
#define METRIC(id, ...) METRIC_##id,
#include "lib/kernel/metric_rows.h"
        METRIC_COUNT,

        METRIC_PORTS_FIRST = METRIC_PORTS_CLIFF,
        METRIC_PORTS_LAST = METRIC_PORTS_CLIFF_ETA,
        METRIC_PORTS_COUNT = METRIC_PORTS_LAST - METRIC_PORTS_FIRST + 1,
};

/* When a metric is read. */
enum cadence {
        EVERY_TICK, /* from a counter or a list that costs next to nothing to read */

        /* From a dump of all sockets with ephemeral ports. There is no dump while bounds are enough to decide, nor
         * while cpu_budget is used up, except when the ports may soon run short. */
        WITH_DUMP,

        /* Sampled every METRIC_SLOWLY_TICKS, or every METRIC_SLOWLY_SECONDS if that is sooner; the last sample is used
         * until the next. Sockets are counted by state only when bounds are not enough to decide, and within
         * cpu_budget. */
        SLOWLY,
};

#define METRIC_SLOWLY_TICKS 10u
#define METRIC_SLOWLY_SECONDS 10u

struct metric {
        const char *name;
        enum unit unit;
        double floor;       /* lower values are noise: "3x before" is never less than three times this */
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

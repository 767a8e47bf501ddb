/* SPDX-License-Identifier: MIT */
/* The ports.* metrics: their values from a dump, or their bounds from counters and the last dump. */

#include <math.h>
#include <sys/mman.h>
#include <unistd.h>

#include "daemon/observe/internal.h"
#include "lib/ports/glance.h"

static const struct counter *counter_of(const struct observer *o, unsigned counter)
{
        return &o->counters.item[counter];
}

/* Returns the change of TWRecycled since the last dump; UINT64_MAX: unknown, which is the highest possible change. */
static uint64_t new_recycled(const struct observer *o)
{
        uint64_t recycled = counter_of(o, COUNTER_TW_RECYCLED)->value;

        if (o->error[SOURCE_NETSTAT] < 0)
                return UINT64_MAX;
        return recycled >= o->basis.recycled ? recycled - o->basis.recycled : 0;
}

/* The next dump is built in memory that is the kernel's until then: a third of a MB with many destinations. */
static void give_spare_back(struct ports *ports)
{
        uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), begin, end;
        size_t size;
        char *spare = ports_spare(ports, &size);

        begin = ((uintptr_t)spare + page - 1) / page * page;
        end = ((uintptr_t)spare + size) / page * page;
        madvise((void *)begin, end - begin, MADV_DONTNEED);
}

void destinations_commit(struct observer *o)
{
        ports_commit(o->ports, new_recycled(o));
        give_spare_back(o->ports);
        o->basis = (struct basis){
                .limits = o->limits,
                .listening = o->listening,
                .bound = o->bound,
                .counted = o->error[SOURCE_NETSTAT] == 0 && o->error[SOURCE_SNMP] == 0,
                .opened = counter_of(o, COUNTER_ACTIVE_OPENS)->value,
                .recycled = counter_of(o, COUNTER_TW_RECYCLED)->value,
        };
        o->listening_changed = false;
        o->reserved_changed = false;
        o->newly_bound = 0;
        o->dumped = true;
}

/* Fills in the values of the busiest destination. Without a destination they are 0, and the time until the cliff is
 * infinite. */
void fill_destinations(struct observer *o, struct snapshot *s)
{
        const struct destination *busiest = ports_busiest(o->ports);
        char name[DESTINATION_NAME_MAX];

        units_read(o);
        for (unsigned metric = METRIC_PORTS_FIRST; metric <= METRIC_PORTS_LAST; metric++) {
                s->reading[metric] = reading_of(busiest ? ports_value(busiest, metric).lower : 0);
                if (busiest)
                        fill_culprit(o, s, metric, destination_name(&busiest->key, name), busiest->cgroup);
        }
        if (!busiest)
                s->reading[METRIC_PORTS_CLIFF_ETA] = reading_valid(INFINITY);
}

static bool limits_equal(const struct ports_limits *a, const struct ports_limits *b)
{
        return a->low == b->low && a->high == b->high && a->tw_reuse == b->tw_reuse &&
               a->tw_reuse_delay_ms == b->tw_reuse_delay_ms && a->timestamps == b->timestamps;
}

/* True if bounds can be derived from the last dump. Not after a reuse (TWRecycled), which makes TIME_WAIT sockets that no
 * dump shows. */
static bool bounds_hold(const struct observer *o)
{
        return o->dumped && o->basis.counted && o->inuse_known && o->limits_known && o->listeners_error == 0 &&
               !o->reserved_changed && !o->listening_changed && o->error[SOURCE_NETSTAT] == 0 &&
               o->error[SOURCE_SNMP] == 0 && limits_equal(&o->limits, &o->basis.limits) &&
               counter_of(o, COUNTER_TW_RECYCLED)->value == o->basis.recycled &&
               counter_of(o, COUNTER_ACTIVE_OPENS)->value >= o->basis.opened;
}

/* Those on a port that was reused are not new: while reuse works, their number stands still, and what may be short are
 * ports that were not used for the reuse delay. */
bool destinations_may_be_short(const struct observer *o)
{
        const struct destination *busiest = ports_busiest(o->ports);
        uint64_t opened = counter_of(o, COUNTER_ACTIVE_OPENS)->value - o->basis.opened, recycled = new_recycled(o);
        double cliff = busiest ? ports_value(busiest, METRIC_PORTS_CLIFF).upper : 0,
               demand = busiest ? ports_value(busiest, METRIC_PORTS_REUSE_DEMAND).upper : 0,
               seconds = (double)(o->now - ports_seen_at(o->ports)) / NSEC_PER_SEC;
        unsigned parity = ports_parity(o->ports);

        if (!o->basis.counted || o->error[SOURCE_SNMP] < 0)
                return false;
        return (opened > recycled && glance_may_fire(cliff, opened - recycled, parity)) ||
               (o->limits.tw_reuse == 1 && glance_reuse_may_fire(demand, opened, seconds, parity));
}

bool bound_destinations(const struct observer *o, struct snapshot *s)
{
        struct ports_range ports[METRIC_PORTS_COUNT];

        if (!bounds_hold(o))
                return false;
        ports_bounds(o->ports, counter_of(o, COUNTER_ACTIVE_OPENS)->value - o->basis.opened, o->tw + o->inuse,
                     (o->listeners_at != o->now ? LISTENERS_UNSEEN : 0) + o->newly_bound, ports);
        for (unsigned i = 0; i < METRIC_PORTS_COUNT; i++)
                s->reading[METRIC_PORTS_FIRST + i] = reading_bounded(ports[i].lower, ports[i].upper);
        return true;
}

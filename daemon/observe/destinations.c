/* SPDX-License-Identifier: MIT */
/* The ports.* metrics: their values from a dump, or their bounds from counters and the last dump. */

#include <math.h>

#include "daemon/observe/internal.h"
#include "daemon/observe/pages.h"
#include "lib/ports/glance.h"

#define USUAL_SECONDS 10.0 /* the old mean weighs as much as so many: the pause after a dump of a million sockets */

static const struct counter *counter_of(const struct observer *o, unsigned counter)
{
        return &o->counters.item[counter];
}

/* Returns the change of TWRecycled since the last dump; UINT64_MAX: unknown, no limit for ports_commit(). */
static uint64_t new_recycled(const struct observer *o)
{
        uint64_t recycled = counter_of(o, COUNTER_TW_RECYCLED)->value;

        if (o->error[SOURCE_NETSTAT] < 0)
                return UINT64_MAX;
        return recycled >= o->basis.recycled ? recycled - o->basis.recycled : 0;
}

static uint64_t new_opened(const struct observer *o)
{
        return counter_of(o, COUNTER_ACTIVE_OPENS)->value - o->basis.opened;
}

/* True if ActiveOpens and TWRecycled are known now. */
static bool counts_now(const struct observer *o)
{
        return o->error[SOURCE_NETSTAT] == 0 && o->error[SOURCE_SNMP] == 0;
}

/* True if ActiveOpens and TWRecycled are known now, and were known at the last dump. */
static bool is_counted(const struct observer *o)
{
        return o->basis.counted && counts_now(o);
}

/* Returns the seconds since the last dump. */
static double seconds_passed(const struct observer *o)
{
        return (double)(o->now - ports_seen_at(o->ports)) / NSEC_PER_SEC;
}

/* Returns the new mean rate of a counter that has risen by count in these seconds. Older counts weigh less. */
static double mean_rate(double before, uint64_t count, double seconds)
{
        return (before * USUAL_SECONDS + (double)count) / (USUAL_SECONDS + seconds);
}

void destinations_commit(struct observer *o)
{
        double seconds = seconds_passed(o), opened_rate = 0, recycled_rate = 0;
        size_t size;
        void *spare;

        if (is_counted(o)) {
                opened_rate = mean_rate(o->basis.opened_rate, new_opened(o), seconds);
                recycled_rate = mean_rate(o->basis.recycled_rate, new_recycled(o), seconds);
        }
        ports_commit(o->ports, new_recycled(o));
        spare = ports_spare(o->ports, &size);
        pages_give_back(spare, size);
        o->basis.limits = o->limits;
        port_set_assign(&o->basis.listening, &o->listening);
        port_set_assign(&o->basis.bound, &o->bound);
        o->basis.counted = counts_now(o);
        o->basis.opened = counter_of(o, COUNTER_ACTIVE_OPENS)->value;
        o->basis.recycled = counter_of(o, COUNTER_TW_RECYCLED)->value;
        o->basis.opened_rate = opened_rate;
        o->basis.recycled_rate = recycled_rate;
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

/* True if bounds can be derived from the last dump. They cannot after a reuse (TWRecycled): a socket that entered
 * TIME_WAIT and was reused since then is in no dump. */
static bool bounds_hold(const struct observer *o)
{
        return o->dumped && is_counted(o) && o->inuse_known && o->limits_known && o->listeners_error == 0 &&
               !o->reserved_changed && !o->listening_changed && limits_equal(&o->limits, &o->basis.limits) &&
               counter_of(o, COUNTER_TW_RECYCLED)->value == o->basis.recycled &&
               counter_of(o, COUNTER_ACTIVE_OPENS)->value >= o->basis.opened;
}

static bool growth_may_fire(const struct observer *o, double seconds)
{
        for (unsigned slot = 0; slot < ports_slots(o->ports); slot++) {
                const struct destination *d = ports_destination(o->ports, slot);

                if (d->id != 0 && glance_growth_may_fire(ports_value(d, METRIC_PORTS_CLIFF).lower,
                                                         ports_value(d, METRIC_PORTS_FORECAST).lower, seconds))
                        return true;
        }
        return false;
}

/* A connection on a reused port takes no further port. So while reuse works the number of ports in use stays the same,
 * and the ports that may run short are those in TIME_WAIT for longer than the reuse delay. ports.reuse_demand counts
 * the others (for a delay of 1 s). The rules compare its lower bound: the upper one counts every reuse that TWRecycled
 * allows. */
bool destinations_may_be_short(const struct observer *o)
{
        double cliff = ports_highest(o->ports, METRIC_PORTS_CLIFF).upper;
        double demand = ports_highest(o->ports, METRIC_PORTS_REUSE_DEMAND).lower;
        double seconds = seconds_passed(o), new_rate = fmax(o->basis.opened_rate - o->basis.recycled_rate, 0);
        uint64_t opened = new_opened(o), recycled = new_recycled(o);
        uint64_t reused = recycled == UINT64_MAX ? 0 : MIN(recycled, opened); /* unknown: perhaps none was reused */
        unsigned parity = ports_parity(o->ports);

        if (!o->basis.counted || o->error[SOURCE_SNMP] < 0)
                return false;
        return growth_may_fire(o, seconds) ||
               glance_may_fire(cliff, glance_unexpected(opened - reused, new_rate, seconds), parity) ||
               (o->limits.tw_reuse == 1 &&
                glance_reuse_may_fire(demand, glance_unexpected(opened, o->basis.opened_rate, seconds), seconds,
                                      parity));
}

bool bound_destinations(const struct observer *o, struct snapshot *s)
{
        struct ports_range ports[METRIC_PORTS_COUNT];

        if (!bounds_hold(o))
                return false;
        ports_bounds(o->ports, new_opened(o), o->tw + o->inuse,
                     (o->listeners_at != o->now ? LISTENERS_UNSEEN : 0) + o->newly_bound, ports);
        for (unsigned i = 0; i < METRIC_PORTS_COUNT; i++)
                s->reading[METRIC_PORTS_FIRST + i] = reading_bounded(ports[i].lower, ports[i].upper);
        return true;
}

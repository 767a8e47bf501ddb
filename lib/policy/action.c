/* SPDX-License-Identifier: MIT */
#include "lib/policy/action.h"

#include <math.h>

#include "lib/ports/table.h"
#include "lib/util/macro.h"

#define TABLE_MEMORY_SHARE 16
#define SPOILED 0.8 /* of the ports of one parity */

/* Kubernetes' default service-node-port-range: the kernel shows no listener for these, DNAT takes them. */
#define NODE_PORT_FIRST 30000
#define NODE_PORT_LAST 32767

int64_t table_most(enum sysctl_id id, uint64_t memory_bytes)
{
        unsigned bytes = sysctl_table[id].bytes;

        return bytes > 0 ? (int64_t)(memory_bytes / TABLE_MEMORY_SHARE / bytes) : INT64_MAX;
}

const char *port_obstacle(const struct snapshot *s, int64_t port)
{
        if (port < s->sysctl[SYSCTL_IP_UNPRIVILEGED_PORT_START].value.v[0])
                return "is privileged";
        if (port >= NODE_PORT_FIRST && port <= NODE_PORT_LAST)
                return "is a NodePort (30000-32767)";
        return ports_is_listening(s->ports, (unsigned)port) ? "has a listener" : NULL;
}

/* The ports.* have neither a value nor bounds once a listener is known to have come or gone since the last dump. */
static bool listeners_known(const struct snapshot *s)
{
        enum reading_state ports = s->reading[METRIC_PORTS_FIRST].state;

        return ports == READING_VALID || ports == READING_BOUNDED;
}

bool port_obstacles_known(const struct snapshot *s)
{
        return s->sysctl[SYSCTL_IP_UNPRIVILEGED_PORT_START].state == READING_VALID && listeners_known(s);
}

unsigned port_range_taken(const struct snapshot *s, const struct sysctl_value *wide, const struct sysctl_value *narrow)
{
        for (int64_t port = wide->v[0]; listeners_known(s) && port <= wide->v[1]; port++)
                if ((port < narrow->v[0] || port > narrow->v[1]) && ports_is_listening(s->ports, (unsigned)port))
                        return (unsigned)port;
        return 0;
}

/* connect() searches an even number of ports, so a range whose two ends have the same parity wastes its last port
 * (net/ipv4/inet_hashtables.c:__inet_hash_connect()). */
static struct sysctl_value range_next(const struct snapshot *s, const struct sysctl_value *wanted,
                                      const struct sysctl_bounds *bounds, const struct sysctl_value *base)
{
        struct sysctl_value next = *base;

        if (!port_obstacles_known(s))
                return next;
        while (next.v[0] > MAX(wanted->v[0], bounds->min) && !port_obstacle(s, next.v[0] - 1))
                next.v[0]--;
        while (next.v[1] < MIN(wanted->v[1], bounds->max) && !port_obstacle(s, next.v[1] + 1))
                next.v[1]++;
        if ((next.v[0] & 1) == (next.v[1] & 1)) {
                if (next.v[1] > base->v[1])
                        next.v[1]--;
                else if (next.v[0] < base->v[0])
                        next.v[0]++;
        }
        return next;
}

struct sysctl_value action_next(const struct action *action, const struct sysctl_bounds *bounds,
                                const struct snapshot *s, const struct sysctl_value *base)
{
        const struct reading *needed = &s->reading[METRIC_TIME_WAIT_NEEDED];
        int64_t limit = action->value.v[0], next;
        double raised;

        if (action->sysctl == SYSCTL_IP_LOCAL_PORT_RANGE)
                return range_next(s, &action->value, bounds, base);
        switch (action->kind) {
        case ACTION_RAISE:
                limit = MIN(MIN(limit, bounds->max), table_most(action->sysctl, s->memory_bytes));
                if (limit < bounds->min) /* memory allows less than min */
                        return *base;
                /* A double does not overflow before it is cut to the limit. A step is at least 1. */
                raised = MAX((double)base->v[0] * action->factor, (double)base->v[0] + 1);
                if (action->sysctl == SYSCTL_TCP_MAX_TW_BUCKETS && needed->state == READING_VALID)
                        raised = MAX(raised, needed->value);
                next = (int64_t)MIN(MAX(raised, (double)bounds->min), (double)limit);
                return SYSCTL_VALUE(MAX(next, base->v[0]));
        case ACTION_LOWER:
                limit = MAX(limit, bounds->min);
                next = MIN((int64_t)ceil((double)base->v[0] / action->factor), base->v[0] - 1);
                next = MIN(next, bounds->max);
                return SYSCTL_VALUE(MIN(MAX(next, limit), base->v[0]));
        case ACTION_SET:
                break;
        }
        return action->value;
}

bool table_may_spoil(const struct snapshot *s, bool seen)
{
        const struct reading *needed = &s->reading[METRIC_TIME_WAIT_NEEDED];
        const struct reading *table = &s->reading[METRIC_TIME_WAIT_TABLE];
        const struct live_sysctl *size = &s->sysctl[SYSCTL_TCP_MAX_TW_BUCKETS];
        double there, parity;

        if (needed->state == READING_VALID && needed->value <= 0)
                return false;
        if (needed->state != READING_VALID || table->state != READING_VALID || size->state != READING_VALID ||
            !ports_valid(s))
                return true;
        there = fmax(table->value / 100 * (double)size->value.v[0], 1);
        parity = ports_usable(s->ports) / 2.0;
        for (unsigned slot = 0; slot < ports_slots(s->ports); slot++) {
                const struct destination *d = ports_destination(s->ports, slot);
                double time_wait = d->blocked[0] + d->blocked[1] + d->reusable[0] + d->reusable[1];
                double holders = d->holders[0] + d->holders[1];

                if (d->id != 0 && !(seen && destination_is_reused(d)) &&
                    holders + time_wait / there * needed->value > SPOILED * parity)
                        return true;
        }
        return false;
}

bool action_has_effect(const struct action *action, const struct sysctl_bounds *bounds, const struct snapshot *s,
                       const struct sysctl_value *live, bool loopback)
{
        struct sysctl_value next = action_next(action, bounds, s, live);
        bool known = action->sysctl != SYSCTL_IP_LOCAL_PORT_RANGE || port_obstacles_known(s);

        return (known && sysctl_equal(&next, live)) ||
               (action->kind == ACTION_SET && sysctl_has_effect(action->sysctl, live, &action->value, loopback));
}

bool action_may_have_written(const struct action *action, const struct sysctl_value *original,
                             const struct sysctl_value *written)
{
        if (action->sysctl == SYSCTL_IP_LOCAL_PORT_RANGE) /* an end that was beyond the configured one stays */
                return written->v[0] >= MIN(action->value.v[0], original->v[0]) &&
                       written->v[1] <= MAX(action->value.v[1], original->v[1]) && written->v[0] <= original->v[0] &&
                       written->v[1] >= original->v[1];
        switch (action->kind) {
        case ACTION_RAISE:
                return written->v[0] > original->v[0] && written->v[0] <= action->value.v[0];
        case ACTION_LOWER:
                return written->v[0] < original->v[0] && written->v[0] >= action->value.v[0];
        case ACTION_SET:
                break;
        }
        return sysctl_equal(written, &action->value);
}

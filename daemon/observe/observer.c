/* SPDX-License-Identifier: MIT */
#include "daemon/observe/observer.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "daemon/now.h"
#include "daemon/observe/internal.h"

/* A NETLINK_SOCK_DIAG socket opens even where the kernel has no tcp_diag, so this dumps the listeners. */
int observer_probe(struct observer *o)
{
        static struct snapshot s;
        struct unread unread = {0};

        o->now = now_ns();
        o->diag.until = now_monotonic_us() + DUMPS_US;
        read_listeners(o, &s, &unread);
        o->now = 0;
        return o->listeners_error;
}

int observer_new(const char *proc_root, struct observer **ret)
{
        struct observer *o = calloc(1, sizeof(*o));
        uint64_t seed = 0;
        int r;

        if (!o)
                return -ENOMEM;
        if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) < 0)
                seed = now_ns();
        o->root = proc_root;
        o->memory_bytes = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
        counters_init(&o->counters);
        o->ports = ports_new(seed);
        r = sources_open(o);
        if (r == 0 && !o->ports)
                r = -ENOMEM;
        if (r < 0) {
                observer_free(o);
                return r;
        }
        *ret = o;
        return 0;
}

void observer_free(struct observer *o)
{
        if (!o)
                return;
        sources_close(o);
        observer_unlisten(o);
        sock_diag_close(&o->diag);
        ports_free(o->ports);
        free(o);
}

void observer_set_config(struct observer *o, const struct config *config, const struct counters *counters)
{
        assert(counters->n >= COUNTER_OWN && counters->n <= COUNTERS_MAX);
        sources_retry(o);
        if (o->configured) /* else it is new, and what is not touched takes no memory */
                memset((char *)o + OBSERVER_KEPT, 0, sizeof(*o) - OBSERVER_KEPT);
        o->configured = true;
        sources_make_room(o);
        o->counters.n = counters->n;
        memcpy(o->counters.item, counters->item, counters->n * sizeof(counters->item[0]));
        want_config(o, config);
}

/* Makes readings READING_INVALID. Most metrics have no name, and the names take 20 kB: clears only those that were set. */
static void clear_readings(struct observer *o, struct snapshot *s, unsigned first, unsigned n)
{
        memset(&s->reading[first], 0, n * sizeof(s->reading[0]));
        for (unsigned i = first; i < first + n && i < METRIC_COUNT; i++)
                if (o->named[i])
                        s->endpoint[i][0] = s->culprit[i][0] = o->named[i] = 0;
}

/* Clears only the counters in use: of 640, rules name few. */
static void clear_all(struct observer *o, struct snapshot *s)
{
        if (o->filled != s)
                memset(s, 0, sizeof(*s));
        o->filled = s;
        clear_readings(o, s, 0, METRIC_COUNT + o->counters.n);
        memset(s->sysctl, 0, sizeof(s->sysctl));
}

static void begin(struct observer *o, struct snapshot *s)
{
        s->now = now_ns();
        o->retried = false;
        s->ports = o->ports;
        s->memory_bytes = o->memory_bytes;
        s->dump_ns = o->dump_ns;
        o->dump_ns = 0;
        s->dump_every = s->now < o->settled_at ? o->dump_every : 0;
        o->since = o->now != 0 ? s->now - o->now : 0;
        o->now = s->now;
        budget_begin(o);
        if (!o->early) {
                o->tick = o->regular_at != 0 ? o->now - o->regular_at : 0;
                o->regular_at = o->now;
        }
        o->diag.until = o->slowly_ns > 0 ? now_monotonic_us() + DUMPS_US : 0; /* --once may take its time */
}

/* The CPU time is that of the whole thread since the previous read: the daemon does little but observe. */
void fill_self(struct observer *o, struct snapshot *s)
{
        uint64_t cpu = o->wanted[METRIC_SELF_OBSERVE_CPU] ? thread_cpu_ns() : 0;
        unsigned long resident;

        if (o->tick > 0 && o->cpu_before > 0)
                s->reading[METRIC_SELF_OBSERVE_CPU] =
                        reading_valid(100 * (double)(cpu - o->cpu_before) / (double)o->tick);
        o->cpu_before = cpu;
        if (o->wanted[METRIC_SELF_RSS] && source_read(o, SOURCE_STATM) == 0 &&
            sscanf(o->text, "%*u %lu", &resident) == 1)
                s->reading[METRIC_SELF_RSS] = reading_valid((double)resident * (double)sysconf(_SC_PAGESIZE));
}

/* Counts ticks in which all sockets are listeners, their number is the same as when they were read, and no packet came
 * since. */
static void count_quiet_ticks(struct observer *o)
{
        bool quiet = o->inuse_known && o->tw == 0 && o->inuse == o->n_listening && o->inuse == o->listeners_inuse &&
                     o->listeners_at > o->snmp_changed_at;

        o->quiet_ticks = quiet ? o->quiet_ticks + 1 : 0;
}

/* Before the metrics that are a share of a sysctl, the sysctls. */
static void fill_regular(struct observer *o, struct snapshot *s, struct unread *unread)
{
        if (o->now >= o->retry_at)
                sources_retry(o);
        fill_self(o, s);
        fill_counters(o, s);
        fill_sysctls(o, s);
        fill_sockstat(o, s);
        fill_conntrack(o, s);
        fill_listeners(o, s, unread);
        count_quiet_ticks(o);
        read_limits(o, s);
        read_bound(o, unread);
        fill_bound(o, s);
        fill_udp(o, s, unread);
}

/* Only what the ports depend on. A rate keeps the value of the last regular tick: in a fraction of the interval an event
 * that comes once a second would be missed, or count for several. */
static void fill_early(struct observer *o, struct snapshot *s)
{
        refresh_counters(o);
        fill_sysctls(o, s);
        fill_sockstat(o, s);
        read_limits(o, s);
}

void observer_set_early(struct observer *o)
{
        o->early = o->regular_at != 0;
}

void observer_read(struct observer *o, struct snapshot *s, bool *ret_dump, struct unread *unread)
{
        if (o->early)
                clear_readings(o, s, METRIC_PORTS_FIRST, METRIC_PORTS_COUNT);
        else
                clear_all(o, s);
        begin(o, s);
        if (o->early)
                fill_early(o, s);
        else
                fill_regular(o, s, unread);
        o->early = false;
        states_fill(o, s);
        o->dumping = *ret_dump = o->always_dump || !bound_destinations(o, s);
        sources_unread(o, unread);
}

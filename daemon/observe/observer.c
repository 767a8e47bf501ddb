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
#include "lib/util/macro.h"

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
        if (o->configured) /* a new observer is zero, and its pages take no memory until written */
                memset((char *)o + OBSERVER_KEPT, 0, sizeof(*o) - OBSERVER_KEPT);
        o->configured = true;
        sources_make_room(o);
        o->counters.n = counters->n;
        memcpy(o->counters.item, counters->item, counters->n * sizeof(counters->item[0]));
        o->overflows =
                counters_add(&o->counters, "netstat.TcpExt.ListenOverflows"); /* whether a rule names it or not */
        want_config(o, config);
}

/* Makes readings READING_INVALID. Clears only the endpoints and culprits that were set: most metrics have none, and to
 * clear all would write 20 kB. */
static void clear_readings(struct observer *o, struct snapshot *s, unsigned first, unsigned n)
{
        memset(&s->reading[first], 0, n * sizeof(s->reading[0]));
        for (unsigned i = first; i < first + n && i < METRIC_COUNT; i++)
                if (o->named[i])
                        s->endpoint[i][0] = s->culprit[i][0] = o->named[i] = 0;
}

/* Clears a snapshot that the read before did not fill. Writes only where it is not zero: most of it is never used, and
 * takes no memory until it is written. */
static void begin_snapshot(struct observer *o, struct snapshot *s)
{
        if (o->filled == s)
                return;
        for (char *p = (char *)s; p < (char *)(s + 1); p++)
                if (*p != 0)
                        *p = 0;
        o->filled = s;
        o->same_until = 0;
}

/* Clears only the counters in use: of 640, rules name few. */
static void clear_all(struct observer *o, struct snapshot *s)
{
        clear_readings(o, s, 0, METRIC_COUNT + o->counters.n);
        memset(s->sysctl, 0, sizeof(s->sysctl));
}

static void begin(struct observer *o, struct snapshot *s)
{
        s->now = now_ns();
        memset(s->events, 0, sizeof(s->events));
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
        o->diag.until = o->slowly_ns > 0 ? now_monotonic_us() + DUMPS_US : 0; /* 0: no limit for --once */
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

/* Reads the sysctls before the metrics that are a share of one. */
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
        read_limits(o, s);
        read_bound(o, unread);
        fill_bound(o, s);
        fill_udp(o, s, unread);
}

/* Reads only what the ports depend on. A rate keeps the value of the last regular tick: in a fraction of the interval
 * an event that comes once a second would be missed, or count for several. */
static void fill_early(struct observer *o, struct snapshot *s)
{
        read_netstat(o);
        fill_sysctls(o, s);
        fill_sockstat(o, s);
        read_limits(o, s);
}

void observer_set_early(struct observer *o)
{
        o->early = o->regular_at != 0;
}

/* Returns the time from which a reading may change although no sign moves, as the next source is due. 0: in the next
 * read already, for example if a dump of this read has left the account of cpu_budget unsettled. */
static uint64_t next_due(const struct observer *o, const struct snapshot *s)
{
        const uint64_t at[] = {o->sysctls_at + o->slowly_ns,
                               o->conntrack_at + o->slowly_ns,
                               listeners_may_differ(o) ? o->listeners_at + o->slowly_ns : UINT64_MAX,
                               o->reserved_at + o->slowly_ns,
                               udp6_due(o),
                               o->retry_at};
        uint64_t due = UINT64_MAX;

        if (o->calm < 2 || !o->netstat_waits || o->always_dump || o->listeners_always || o->sysctls_now != 0 ||
            o->settled != (o->now >= o->settled_at) || o->wanted[METRIC_SELF_OBSERVE_CPU] ||
            o->wanted[METRIC_SELF_RSS] || s->reading[METRIC_LISTEN_BURSTS].value > 0 || o->listeners.fills ||
            o->paws > 0 || udp_ports_needed(o))
                return 0;
        for (unsigned i = 0; i < ELEMENTSOF(at); i++)
                due = MIN(due, at[i]);
        if (o->states_again_at > o->now)
                due = MIN(due, o->states_again_at);
        return o->settled ? due : MIN(due, o->settled_at);
}

static bool nothing_due(const struct observer *o)
{
        return !o->early && o->now < o->same_until && !bound_is_due(o);
}

/* snmp is a third of a tick's cost on an idle host, as the kernel adds up its counters over all CPUs. An event that
 * must be seen at once moves a number of sockets, too, so every second tick skips snmp. If ticks are far apart, snmp
 * costs little, and every tick reads it. */
static bool snmp_waits(const struct observer *o)
{
        return o->calm >= 2 && !o->waited && o->tick < 2 * NSEC_PER_SEC && nothing_due(o);
}

static void read_signs(struct observer *o)
{
        bool waits = snmp_waits(o), moved = sockets_moved(o, !waits && snmp_moved(o));

        if (waits && moved)
                snmp_moved(o);
        o->waited = waits && !moved;
        if (o->waited) /* the next rates are those of both ticks */
                o->regular_at -= o->tick;
        o->calm = moved ? 0 : o->calm + 1;
        if (moved)
                o->moved_at = o->now;
}

/* True of most reads on an idle host: they leave the snapshot as it is, except for what fill_quiet() updates. */
static bool is_same(const struct observer *o)
{
        return o->calm > 0 && nothing_due(o);
}

void observer_read(struct observer *o, struct snapshot *s, bool *ret_dump, struct unread *unread)
{
        bool early = o->hurried = o->early;

        begin_snapshot(o, s);
        begin(o, s);
        read_signs(o);
        if (is_same(o)) {
                s->version += fill_quiet(o, s);
                *ret_dump = false;
                return;
        }
        s->version++;
        if (early) {
                clear_readings(o, s, METRIC_PORTS_FIRST, METRIC_PORTS_COUNT);
                fill_early(o, s);
        } else {
                clear_all(o, s);
                fill_regular(o, s, unread);
        }
        o->early = false;
        states_fill(o, s);
        o->dumping = *ret_dump = o->always_dump || !bound_destinations(o, s);
        sources_unread(o, unread);
        o->same_until = !early && unread->error == 0 ? next_due(o, s) : 0;
}

/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "daemon/now.h"
#include "daemon/observe/internal.h"
#include "lib/util/macro.h"

static const char *const source_paths[SOURCE_COUNT] = {
        [SOURCE_SOCKSTAT] = "net/sockstat",
        [SOURCE_SOCKSTAT6] = "net/sockstat6",
        [SOURCE_NETSTAT] = "net/netstat",
        [SOURCE_SNMP] = "net/snmp",
        [SOURCE_CONNTRACK_COUNT] = "sys/net/netfilter/nf_conntrack_count",
        [SOURCE_CONNTRACK_STAT] = "net/stat/nf_conntrack",
        [SOURCE_STATM] = "self/statm",
};

static struct proc_file open_under(const char *root, const char *path, int writable)
{
        char full[256];

        snprintf(full, sizeof(full), "%s/%s", root, path);
        return proc_file_open(full, writable);
}

static struct proc_file sysctl_open(const char *root, enum sysctl_id id)
{
        char path[128];

        snprintf(path, sizeof(path), "sys/%s", sysctl_table[id].name);
        for (char *p = path; *p; p++)
                if (*p == '.')
                        *p = '/';
        return open_under(root, path, !sysctl_table[id].never);
}

/* The socket opens even where the kernel has no tcp_diag. */
static int probe(struct observer *o)
{
        static struct snapshot s;

        return read_listeners(o, &s);
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
        for (unsigned i = 0; i < SOURCE_COUNT; i++)
                o->source[i] = open_under(proc_root, source_paths[i], 0);
        for (unsigned id = 0; id < SYSCTL_COUNT; id++)
                o->sysctl[id] = sysctl_open(proc_root, id);
        o->memory_bytes = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
        counters_init(&o->counters);
        o->ports = ports_new(seed);
        r = o->ports ? sock_diag_open(&o->diag) : -ENOMEM;
        if (r == 0)
                r = probe(o);
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
        for (unsigned i = 0; i < SOURCE_COUNT; i++)
                proc_file_close(&o->source[i]);
        for (unsigned id = 0; id < SYSCTL_COUNT; id++)
                proc_file_close(&o->sysctl[id]);
        sock_diag_close(&o->diag);
        ports_free(o->ports);
        free(o);
}

void observer_list_counters(const char *proc_root, struct counters *ret)
{
        static const struct {
                enum source source;
                const char *prefix;
        } files[] = {{SOURCE_NETSTAT, "netstat"}, {SOURCE_SNMP, "snmp"}};
        static char text[TEXT_SIZE];

        for (unsigned i = 0; i < ELEMENTSOF(files); i++) {
                struct proc_file file = open_under(proc_root, source_paths[files[i].source], 0);

                if (proc_file_read(&file, text, sizeof(text)) >= 0)
                        counters_add_all(ret, files[i].prefix, text);
                proc_file_close(&file);
        }
}

static void want(struct observer *o, unsigned metric)
{
        if (metric < METRIC_COUNT)
                o->wanted[metric] = true;
}

/* No port that listens or is privileged may come into a wider range (lib/guard.c). */
static void want_sysctl(struct observer *o, enum sysctl_id id, bool enabled)
{
        o->sysctls |= UINT32_C(1) << id;
        if (id == SYSCTL_IP_LOCAL_PORT_RANGE && enabled) {
                o->sysctls |= UINT32_C(1) << SYSCTL_IP_UNPRIVILEGED_PORT_START;
                o->listeners_always = true;
        }
}

/* Metrics that the rules name, and the sysctls that they set. */
static void want_rules(struct observer *o, const struct config *config)
{
        for (unsigned i = 0; i < config->n_rules; i++) {
                const struct rule *rule = &config->rule[i];

                for (unsigned k = 0; k < rule->n_when; k++)
                        want(o, rule->when[k].metric);
                for (unsigned k = 0; k < rule->n_until; k++)
                        want(o, rule->until[k].metric);
                for (unsigned k = 0; k < rule->n_abort; k++)
                        want(o, rule->abort[k].metric);
                if (rule->has_expect)
                        want(o, rule->expect.metric);
                for (unsigned k = 0; k < rule->n_actions; k++)
                        want_sysctl(o, rule->action[k].sysctl, !rule->disabled);
        }
}

/* What the ports are counted by, and the sizes of the tables that are asked for. */
static uint32_t sysctls_of_metrics(const struct observer *o)
{
        static const struct {
                unsigned metric; /* METRIC_COUNT: always */
                enum sysctl_id id;
        } rows[] = {
                {METRIC_COUNT, SYSCTL_TCP_TW_REUSE},
                {METRIC_COUNT, SYSCTL_TCP_TW_REUSE_DELAY},
                {METRIC_COUNT, SYSCTL_TCP_TIMESTAMPS},
                {METRIC_COUNT, SYSCTL_IP_LOCAL_PORT_RANGE},
                {METRIC_TIME_WAIT_TABLE, SYSCTL_TCP_MAX_TW_BUCKETS},
                {METRIC_ORPHANS_TABLE, SYSCTL_TCP_MAX_ORPHANS},
                {METRIC_MEMORY_TCP, SYSCTL_TCP_MEM},
                {METRIC_CONNTRACK_TABLE, SYSCTL_NF_CONNTRACK_MAX},
                {METRIC_SYN_QUEUE_WORST, SYSCTL_TCP_SYNCOOKIES},
                {METRIC_SYN_QUEUE_WORST, SYSCTL_TCP_MAX_SYN_BACKLOG},
        };
        uint32_t bits = 0;

        for (unsigned i = 0; i < ELEMENTSOF(rows); i++)
                if (rows[i].metric == METRIC_COUNT || o->wanted[rows[i].metric])
                        bits |= UINT32_C(1) << rows[i].id;
        return bits;
}

void observer_set_config(struct observer *o, const struct config *config, const struct counters *counters)
{
        o->sysctls = 0;
        o->sysctls_at = 0;
        o->listeners_always = false;
        memset(o->wanted, config ? 0 : 1, sizeof(o->wanted));
        if (config)
                want_rules(o, config);
        o->sysctls |= sysctls_of_metrics(o) | o->sysctls_now; /* and what was asked for, which may still be held */
        o->listeners_always |= o->wanted[METRIC_TCP_LISTEN] || o->wanted[METRIC_ACCEPT_QUEUE_WORST];
        o->budget = config ? config->cpu_budget / 100 : 0;
        o->slowly_ns =
                config ? MIN(METRIC_SLOWLY_TICKS * config->interval_ns, METRIC_SLOWLY_SECONDS * NSEC_PER_SEC) : 0;
        o->conntrack_at = 0;
        o->insert_failed_known = false;
        o->always_dump = false;
        states_want(o);
        o->listeners = (struct listeners){0}; /* who asks for drops only now must not get those of long ago */
        o->listeners_at = 0;
        o->counters = *counters;
        o->counters_at = 0;
        o->counters_elapsed = 0;
        o->dump_every = 0;
        memset(o->dump_cpu, 0, sizeof(o->dump_cpu));
        o->dumped = false;
}

void observer_want_everything(struct observer *o)
{
        memset(o->wanted, 1, sizeof(o->wanted));
        states_want(o);
        for (unsigned id = 0; id < SYSCTL_COUNT; id++)
                if (sysctl_table[id].n > 0)
                        o->sysctls |= UINT32_C(1) << id;
        o->listeners_always = true;
        o->always_dump = true;
}

static int sysctl_read(const struct observer *o, enum sysctl_id id, struct sysctl_value *ret)
{
        char text[SYSCTL_TEXT_MAX];
        int r = proc_file_read(&o->sysctl[id], text, sizeof(text));

        return r < 0 ? r : sysctl_parse(id, text, ret);
}

/* Who asks for it now may write it, and then wants to see what becomes of it at every tick. */
int observer_sysctl_read(struct observer *o, enum sysctl_id id, struct sysctl_value *ret)
{
        o->sysctls |= UINT32_C(1) << id;
        o->sysctls_now |= UINT32_C(1) << id;
        return sysctl_read(o, id, ret);
}

int observer_sysctl_write(struct observer *o, enum sysctl_id id, const struct sysctl_value *value)
{
        char text[SYSCTL_TEXT_MAX];

        return proc_file_write(&o->sysctl[id], sysctl_format(value, text));
}

const char *observer_find_unit(struct observer *o, uint64_t cgroup)
{
        return cgroup_unit(&o->cgroups, cgroup);
}

int observer_can_write(const struct observer *o)
{
        return o->sysctl[SYSCTL_TCP_TW_REUSE].error;
}

/* At every tick only those that we hold, and while the sockets are looked at, which they are counted by. The others
 * only say whether a rule could change anything, and before it does they are read afresh. */
static int fill_sysctls(struct observer *o, struct snapshot *s)
{
        bool all = o->sysctls_at == 0 || o->dumping || o->now - o->sysctls_at >= o->slowly_ns;
        uint32_t due = o->sysctls & (all ? UINT32_MAX : o->sysctls_now);
        int first_error = 0;

        for (unsigned id = 0; id < SYSCTL_COUNT; id++) {
                struct live_sysctl *live = &o->live_sysctl[id];
                int r;

                if (due >> id & 1) {
                        r = sysctl_read(o, id, &live->value);
                        live->state = r == 0 ? READING_VALID : r == -ENOENT ? READING_UNAVAILABLE : READING_INVALID;
                        if (r < 0 && r != -ENOENT && first_error == 0)
                                first_error = r;
                }
                if (o->sysctls >> id & 1)
                        s->sysctl[id] = *live;
        }
        if (all && first_error == 0)
                o->sysctls_at = o->now;
        return first_error;
}

/* Without SYN cookies, the last quarter of tcp_max_syn_backlog is for peers that are known, and the others are dropped
 * with no counter but ListenDrops (net/ipv4/tcp_input.c:tcp_conn_request; measured at 1,537 of 2,048). */
static uint32_t syn_limit(const struct snapshot *s)
{
        const struct live_sysctl *cookies = &s->sysctl[SYSCTL_TCP_SYNCOOKIES];
        const struct live_sysctl *backlog = &s->sysctl[SYSCTL_TCP_MAX_SYN_BACKLOG];

        if (cookies->state != READING_VALID || cookies->value.v[0] != 0 || backlog->state != READING_VALID)
                return 0;
        return (uint32_t)MIN(MAX(backlog->value.v[0] - backlog->value.v[0] / 4, 1), INT32_MAX);
}

/* Keeps the first error: what comes later is often its consequence. */
static void keep_first(int *error, const char **what, int r, const char *name)
{
        if (r < 0 && *error == 0) {
                *error = r;
                *what = name;
        }
}

static bool limits_equal(const struct ports_limits *a, const struct ports_limits *b)
{
        return a->low == b->low && a->high == b->high && a->tw_reuse == b->tw_reuse &&
               a->tw_reuse_delay_ms == b->tw_reuse_delay_ms && a->timestamps == b->timestamps;
}

/* Whether what the last look gave still bounds what is there. Reuse makes TIME_WAIT that no later look shows. */
static bool bounds_hold(const struct observer *o)
{
        return o->dumped && o->counters_at != 0 && !o->reserved_moved && !o->listening_moved &&
               limits_equal(&o->live, &o->limits) && o->counters.item[COUNTER_TW_RECYCLED].value == o->recycled_then &&
               o->counters.item[COUNTER_ACTIVE_OPENS].value >= o->opened_then;
}

/* Every reading that there is becomes READING_INVALID. There is room for 640 counters, and rules name few. */
static void clear(struct snapshot *s, unsigned readings)
{
        memset(s, 0, offsetof(struct snapshot, reading) + readings * sizeof(s->reading[0]));
}

/* No sockets but listeners, as many as when they were read, and no packet since. */
static void count_quiet_ticks(struct observer *o, bool counted)
{
        bool quiet = counted && o->tw == 0 && o->inuse == o->n_listening && o->inuse == o->inuse_then &&
                     o->listeners_at > o->snmp_moved_at;

        o->quiet_ticks = quiet ? o->quiet_ticks + 1 : 0;
}

int observer_read(struct observer *o, struct snapshot *s, bool *ret_dump, const char **ret_what)
{
        int error = 0, counted, r;

        clear(s, METRIC_COUNT + o->counters.n);
        s->now = now_ns();
        s->ports = o->ports;
        s->memory_bytes = o->memory_bytes;
        s->dump_every = s->now < o->dump_again_at ? o->dump_every : 0;
        o->tick = o->now != 0 ? s->now - o->now : 0;
        o->now = s->now;
        fill_self(o, s);

        r = observer_read_counters(o);
        keep_first(&error, ret_what, r, "/proc/net/netstat and snmp");
        if (r == 0) {
                fill_counters(o, s);
                fill_opens(o, s);
        }
        keep_first(&error, ret_what, fill_sysctls(o, s), "/proc/sys/net");
        o->listeners.syn_limit = syn_limit(s);
        counted = fill_sockstat(o, s);
        keep_first(&error, ret_what, counted, "/proc/net/sockstat");
        fill_conntrack(o, s);
        keep_first(&error, ret_what, update_listeners(o, s), "the listeners (NETLINK_SOCK_DIAG)");
        count_quiet_ticks(o, counted == 0);
        keep_first(&error, ret_what, read_limits(o, s), "net.ipv4.ip_local_port_range and ip_local_reserved_ports");

        o->dumping = *ret_dump = error < 0 || o->always_dump || !bounds_hold(o);
        if (!*ret_dump)
                fill_ports_bounds(o, s);
        if (counted == 0)
                states_fill(o, s); /* which bounds them by what sockstat counted */
        return error;
}

int observer_read_states(struct observer *o, struct snapshot *s, const char **ret_what)
{
        *ret_what = "the sockets by state (NETLINK_SOCK_DIAG)";
        return states_due(o) ? read_states(o, s) : 0;
}

int observer_read_sockets(struct observer *o, struct snapshot *s, const char **ret_what)
{
        enum dump_kind kind = states_due(o) ? DUMP_BOTH : DUMP_PORTS;
        uint64_t begun = thread_cpu_ns();
        int r;

        if (!o->dumped || o->now >= o->dump_again_at) {
                *ret_what = "the sockets (NETLINK_SOCK_DIAG)";
                r = o->listeners_at == o->now ? 0 : read_listeners(o, s);
                if (r == 0)
                        r = dump_ports(o, s);
                if (r < 0)
                        return r;
                o->dump_every = budget_pause(o, kind, begun);
                o->dump_again_at = o->now + o->dump_every;
                s->dump_every = o->dump_every;
        }
        fill_ports(o, s);
        return 0;
}

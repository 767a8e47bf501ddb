/* SPDX-License-Identifier: MIT */
#include "observer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "macro.h"
#include "now.h"
#include "proc_file.h"
#include "sock_diag.h"

#define DUMP_TRIES 3
#define TEXT_SIZE 65536u
#define TCP_STATES 16u
#define REUSE_DELAY_BEFORE_6_14_MS 1000 /* net/ipv4/tcp_ipv4.c:tcp_twsk_unique compared whole seconds */

enum source {
        SOURCE_SOCKSTAT,
        SOURCE_NETSTAT,
        SOURCE_SNMP,
        SOURCE_COUNT,
};

static const char *const source_paths[SOURCE_COUNT] = {
        [SOURCE_SOCKSTAT] = "net/sockstat",
        [SOURCE_NETSTAT] = "net/netstat",
        [SOURCE_SNMP] = "net/snmp",
};

struct observer {
        struct sock_diag diag;
        struct ports *ports;
        struct proc_file source[SOURCE_COUNT], sysctl[SYSCTL_COUNT];

        uint32_t sysctls; /* a bit for each that is read at every tick */
        struct counters counters;
        uint64_t before[COUNTERS_MAX]; /* the counters at the read before */
        uint64_t counters_at;          /* when counters was read; 0: not yet */
        double counters_elapsed;       /* seconds between the last two reads; 0: there is only one */
        uint64_t recycled_at_dump;     /* TWRecycled at the last good dump */
        bool dumped;

        unsigned states[TCP_STATES];
        char text[TEXT_SIZE]; /* of the file at hand */
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
        counters_init(&o->counters);
        o->ports = ports_new(seed);
        r = o->ports ? sock_diag_open(&o->diag) : -ENOMEM;
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

static uint32_t bit(enum sysctl_id id)
{
        return UINT32_C(1) << id;
}

void observer_set_config(struct observer *o, const struct config *config)
{
        o->sysctls = bit(SYSCTL_TCP_TW_REUSE) | bit(SYSCTL_TCP_TW_REUSE_DELAY) | bit(SYSCTL_TCP_TIMESTAMPS) |
                     bit(SYSCTL_IP_LOCAL_PORT_RANGE) | bit(SYSCTL_IP_UNPRIVILEGED_PORT_START) |
                     bit(SYSCTL_TCP_MAX_TW_BUCKETS);
        for (unsigned i = 0; i < config->n_rules; i++)
                for (unsigned k = 0; k < config->rule[i].n_set; k++)
                        o->sysctls |= bit(config->rule[i].set[k].sysctl);
        o->counters = config->counters;
        o->counters_at = 0;
        o->counters_elapsed = 0;
}

static int read_source(struct observer *o, enum source source)
{
        return proc_file_read(&o->source[source], o->text, sizeof(o->text));
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

int observer_read_counters(struct observer *o)
{
        struct counters *c = &o->counters;
        uint64_t now = now_ns();
        int r;

        for (unsigned i = 0; i < c->n; i++) {
                o->before[i] = c->item[i].value;
                c->item[i].seen = false;
        }
        r = read_source(o, SOURCE_NETSTAT);
        if (r >= 0)
                counters_read(c, "netstat", o->text);
        if (r >= 0)
                r = read_source(o, SOURCE_SNMP);
        if (r >= 0)
                counters_read(c, "snmp", o->text);
        if (r < 0) {
                o->counters_at = 0; /* the next good read is a beginning */
                return r;
        }
        o->counters_elapsed = o->counters_at != 0 ? (double)(now - o->counters_at) / 1e9 : 0;
        o->counters_at = now;
        return 0;
}

/* The change of a counter since the read before; a counter that fell was reset, which tells nothing. */
static struct reading counter_change(const struct observer *o, unsigned i)
{
        const struct counter *c = &o->counters.item[i];

        if (!c->seen)
                return (struct reading){.state = READING_UNAVAILABLE};
        if (o->counters_elapsed <= 0 || c->value < o->before[i])
                return (struct reading){.state = READING_INVALID};
        return reading_valid((double)(c->value - o->before[i]));
}

static void fill_counters(const struct observer *o, struct snapshot *s)
{
        for (unsigned i = 0; i < o->counters.n; i++) {
                const struct counter *c = &o->counters.item[i];
                struct reading *r = &s->reading[METRIC_COUNT + i];

                *r = counter_change(o, i);
                if (c->gauge && c->seen)
                        *r = reading_valid((double)(int64_t)c->value);
                else
                        r->value /= o->counters_elapsed > 0 ? o->counters_elapsed : 1;
        }
}

/* Shares of the connections that were opened: rates would rise because a remedy works. */
static void fill_opens(const struct observer *o, struct snapshot *s)
{
        static const struct {
                unsigned metric, counter;
        } shares[] = {
                {METRIC_OPENS_SYN_RETRANSMITS, COUNTER_SYN_RETRANS},
                {METRIC_OPENS_RESETS, COUNTER_OUT_RSTS},
        };
        struct reading opens = counter_change(o, COUNTER_ACTIVE_OPENS);

        for (unsigned i = 0; i < ELEMENTSOF(shares); i++) {
                struct reading part = counter_change(o, shares[i].counter);

                if (opens.state == READING_VALID && part.state == READING_VALID && opens.value > 0)
                        s->reading[shares[i].metric] = reading_valid(100 * part.value / opens.value);
        }
}

/* "TCP: inuse 5 orphan 0 tw 17 alloc 6 mem 1". tw counts what tcp_max_tw_buckets limits. */
static int fill_sockstat(struct observer *o, struct snapshot *s)
{
        const struct live_sysctl *max = &s->sysctl[SYSCTL_TCP_MAX_TW_BUCKETS];
        int r = read_source(o, SOURCE_SOCKSTAT);
        unsigned long long tw;
        const char *line;

        if (r < 0)
                return r;
        line = strstr(o->text, "TCP: inuse");
        if (!line || sscanf(line, "TCP: inuse %*u orphan %*u tw %llu", &tw) != 1)
                return -EBADMSG;
        if (max->state == READING_UNAVAILABLE)
                s->reading[METRIC_TIME_WAIT_TABLE].state = READING_UNAVAILABLE;
        else if (max->state == READING_VALID && max->value.v[0] > 0)
                s->reading[METRIC_TIME_WAIT_TABLE] = reading_valid(100 * (double)tw / (double)max->value.v[0]);
        return 0;
}

int observer_sysctl_read(struct observer *o, enum sysctl_id id, struct sysctl_value *ret)
{
        char text[SYSCTL_TEXT_MAX];
        int r = proc_file_read(&o->sysctl[id], text, sizeof(text));

        return r < 0 ? r : sysctl_parse(id, text, ret);
}

int observer_sysctl_write(struct observer *o, enum sysctl_id id, const struct sysctl_value *value)
{
        char text[SYSCTL_TEXT_MAX];

        return proc_file_write(&o->sysctl[id], sysctl_format(value, text));
}

int observer_can_write(const struct observer *o)
{
        return o->sysctl[SYSCTL_TCP_TW_REUSE].error;
}

static int fill_sysctls(struct observer *o, struct snapshot *s)
{
        int first_error = 0;

        for (unsigned id = 0; id < SYSCTL_COUNT; id++) {
                int r;

                if (!(o->sysctls & bit(id)))
                        continue;
                r = observer_sysctl_read(o, id, &s->sysctl[id].value);
                s->sysctl[id].state = r == 0 ? READING_VALID : r == -ENOENT ? READING_UNAVAILABLE : READING_INVALID;
                if (r < 0 && r != -ENOENT && first_error == 0)
                        first_error = r;
        }
        return first_error;
}

/* What connect() goes by. Without the range there is nothing to count. */
static int read_limits(struct observer *o, const struct snapshot *s, struct ports_limits *ret)
{
        const struct live_sysctl *range = &s->sysctl[SYSCTL_IP_LOCAL_PORT_RANGE];
        const struct live_sysctl *reuse = &s->sysctl[SYSCTL_TCP_TW_REUSE];
        const struct live_sysctl *delay = &s->sysctl[SYSCTL_TCP_TW_REUSE_DELAY];
        const struct live_sysctl *timestamps = &s->sysctl[SYSCTL_TCP_TIMESTAMPS];
        int r = proc_file_read(&o->sysctl[SYSCTL_IP_LOCAL_RESERVED_PORTS], o->text, sizeof(o->text));

        if (r >= 0)
                r = port_set_parse(o->text, &ret->reserved);
        if (r < 0)
                return r;
        if (range->state != READING_VALID || range->value.v[0] < 1 || range->value.v[1] > UINT16_MAX ||
            range->value.v[0] > range->value.v[1])
                return -EBADMSG;
        ret->low = (unsigned)range->value.v[0];
        ret->high = (unsigned)range->value.v[1];
        ret->tw_reuse = reuse->state == READING_VALID ? (unsigned)reuse->value.v[0] : 0;
        ret->tw_reuse_delay_ms = delay->state == READING_VALID ? (unsigned)delay->value.v[0]
                                                               : REUSE_DELAY_BEFORE_6_14_MS;
        ret->timestamps = timestamps->state == READING_VALID && timestamps->value.v[0] != 0;
        return 0;
}

static void on_listener(void *user, const struct inet_diag_msg *socket)
{
        struct observer *o = user;

        o->states[TCP_LISTEN]++;
        ports_add_listener(o->ports, ntohs(socket->id.idiag_sport));
}

static void on_socket(void *user, const struct inet_diag_msg *socket)
{
        struct observer *o = user;

        o->states[socket->idiag_state % TCP_STATES]++;
        ports_add_socket(o->ports, socket, o->diag.batch_at);
}

/* Listeners first: a flow of a server is told from one of a client by its port. */
static int dump_once(struct observer *o, const struct ports_limits *limits)
{
        int r;

        memset(o->states, 0, sizeof(o->states));
        ports_begin(o->ports, limits, now_ns());
        r = sock_diag_dump(&o->diag, SOCK_DIAG_LISTEN, on_listener, o);
        if (r < 0)
                return r;
        return sock_diag_dump(&o->diag, SOCK_DIAG_CONNECTIONS, on_socket, o);
}

static int dump(struct observer *o, const struct ports_limits *limits)
{
        uint64_t recycled = o->counters.item[COUNTER_TW_RECYCLED].value;
        int r = -EINTR;

        for (unsigned tries = 0; r < 0 && tries < DUMP_TRIES; tries++)
                r = dump_once(o, limits);
        if (r < 0 || o->counters_at == 0)
                return r;
        ports_commit(o->ports, o->dumped && recycled >= o->recycled_at_dump ? recycled - o->recycled_at_dump : 0);
        o->recycled_at_dump = recycled;
        o->dumped = true;
        return 0;
}

static void fill_states(const struct observer *o, struct snapshot *s)
{
        static const unsigned state_of[] = {
                [METRIC_TCP_ESTABLISHED] = TCP_ESTABLISHED, [METRIC_TCP_SYN_SENT] = TCP_SYN_SENT,
                [METRIC_TCP_SYN_RECV] = TCP_SYN_RECV,       [METRIC_TCP_FIN_WAIT1] = TCP_FIN_WAIT1,
                [METRIC_TCP_FIN_WAIT2] = TCP_FIN_WAIT2,     [METRIC_TCP_TIME_WAIT] = TCP_TIME_WAIT,
                [METRIC_TCP_CLOSE_WAIT] = TCP_CLOSE_WAIT,   [METRIC_TCP_LAST_ACK] = TCP_LAST_ACK,
                [METRIC_TCP_LISTEN] = TCP_LISTEN,           [METRIC_TCP_CLOSING] = TCP_CLOSING,
        };

        for (unsigned i = 0; i < ELEMENTSOF(state_of); i++)
                s->reading[i] = reading_valid(o->states[state_of[i]]);
}

/* The busiest group's values stand for the host. Without any group nothing is used, and the cliff never comes. */
static void fill_ports(const struct observer *o, struct snapshot *s)
{
        const struct ports_group *busiest = ports_busiest(o->ports);

        for (unsigned metric = METRIC_PORTS_FIRST; metric <= METRIC_PORTS_LAST; metric++)
                s->reading[metric] = reading_valid(busiest ? ports_value(busiest, metric).lower : 0);
        if (!busiest)
                s->reading[METRIC_PORTS_CLIFF_ETA] = reading_valid(INFINITY);
}

static int fill_dump(struct observer *o, struct snapshot *s, const char **ret_what)
{
        struct ports_limits limits;
        int r = read_limits(o, s, &limits);

        *ret_what = "net.ipv4.ip_local_port_range and ip_local_reserved_ports";
        if (r < 0)
                return r;
        *ret_what = "the sockets (NETLINK_SOCK_DIAG)";
        r = dump(o, &limits);
        if (r < 0)
                return r;
        fill_states(o, s);
        if (o->counters_at != 0)
                fill_ports(o, s);
        return 0;
}

/* Keeps the first error: what comes later is often its consequence. */
static void keep_first(int *error, const char **what, int r, const char *name)
{
        if (r < 0 && *error == 0) {
                *error = r;
                *what = name;
        }
}

int observer_read(struct observer *o, struct snapshot *s, const char **ret_what)
{
        const char *what = NULL;
        int error = 0, r;

        memset(s, 0, sizeof(*s)); /* READING_INVALID */
        s->now = now_ns();
        s->ports = o->ports;

        r = observer_read_counters(o);
        keep_first(&error, ret_what, r, "/proc/net/netstat and snmp");
        if (r == 0) {
                fill_counters(o, s);
                fill_opens(o, s);
        }
        keep_first(&error, ret_what, fill_sysctls(o, s), "/proc/sys/net");
        keep_first(&error, ret_what, fill_sockstat(o, s), "/proc/net/sockstat");
        r = fill_dump(o, s, &what);
        keep_first(&error, ret_what, r, what);
        return error;
}

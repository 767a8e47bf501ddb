/* SPDX-License-Identifier: MIT */
#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>

#include "daemon/now.h"
#include "daemon/observe/internal.h"
#include "lib/kernel/diag.h"
#include "lib/util/macro.h"

#define DUMP_TRIES 3
#define REUSE_DELAY_BEFORE_6_14_MS 1000 /* net/ipv4/tcp_ipv4.c:tcp_twsk_unique compared whole seconds */

/* ip_local_reserved_ports is a set of 8 kB that the kernel walks for every read (kernel/sysctl.c:
 * proc_do_large_bitmap), and hardly ever another one: it is read slowly, and parsed when its text has changed. The
 * kernel clears as much memory as it is asked for (fs/proc/proc_sysctl.c:proc_sys_call_handler). */
static int read_reserved(struct observer *o)
{
        int r;

        if (o->reserved_at != 0 && o->now - o->reserved_at < o->slowly_ns)
                return 0;
        r = proc_file_read(&o->sysctl[SYSCTL_IP_LOCAL_RESERVED_PORTS], o->text, sizeof(o->reserved_text));
        if (r == -EFBIG)
                r = proc_file_read(&o->sysctl[SYSCTL_IP_LOCAL_RESERVED_PORTS], o->text, sizeof(o->text));
        if (r < 0)
                return r;
        if (strcmp(o->text, o->reserved_text) == 0) {
                o->reserved_at = o->now;
                return 0;
        }
        r = port_set_parse(o->text, &o->live.reserved);
        if (r < 0)
                return r;
        o->reserved_moved = true;
        o->reserved_at = o->now;
        remember_text(o, o->reserved_text, sizeof(o->reserved_text));
        return 0;
}

/* What connect() goes by. Without the range there is nothing to count. */
int read_limits(struct observer *o, const struct snapshot *s)
{
        const struct live_sysctl *range = &s->sysctl[SYSCTL_IP_LOCAL_PORT_RANGE];
        const struct live_sysctl *reuse = &s->sysctl[SYSCTL_TCP_TW_REUSE];
        const struct live_sysctl *delay = &s->sysctl[SYSCTL_TCP_TW_REUSE_DELAY];
        const struct live_sysctl *timestamps = &s->sysctl[SYSCTL_TCP_TIMESTAMPS];
        int r = read_reserved(o);

        if (r < 0)
                return r;
        if (reuse->state == READING_INVALID || delay->state == READING_INVALID ||
            timestamps->state == READING_INVALID || range->state != READING_VALID || range->value.v[0] < 1 ||
            range->value.v[1] > UINT16_MAX || range->value.v[0] > range->value.v[1])
                return -EBADMSG;
        o->live.low = (unsigned)range->value.v[0];
        o->live.high = (unsigned)range->value.v[1];
        o->live.tw_reuse = reuse->state == READING_VALID ? (unsigned)reuse->value.v[0] : 0;
        o->live.tw_reuse_delay_ms =
                delay->state == READING_VALID ? (unsigned)delay->value.v[0] : REUSE_DELAY_BEFORE_6_14_MS;
        o->live.timestamps = timestamps->state == READING_VALID && timestamps->value.v[0] != 0;
        return 0;
}

static void name_listener(struct observer *o, struct snapshot *s, unsigned metric, const struct listener *l)
{
        snprintf(s->unit[metric], sizeof(s->unit[metric]), "%s", cgroup_unit(&o->cgroups, l->cgroup));
        listener_name(l, s->who[metric]);
}

static void on_listener(void *user, const struct inet_diag_msg *socket, size_t length)
{
        struct observer *o = user;

        o->n_listening++;
        port_set_add(&o->listening, ntohs(socket->id.idiag_sport));
        listeners_add(&o->listeners, socket, length);
}

static void fill_listeners(struct observer *o, struct snapshot *s)
{
        const struct listener *fullest = listeners_fullest_accept_queue(&o->listeners);
        const struct listener *dropping = listeners_most_drops(&o->listeners);

        s->reading[METRIC_TCP_LISTEN] = reading_valid(o->n_listening);
        s->reading[METRIC_ACCEPT_QUEUE_WORST] = reading_valid(fullest ? listener_accept_queue(fullest) : 0);
        if (fullest)
                name_listener(o, s, METRIC_ACCEPT_QUEUE_WORST, fullest);
        if (o->tick > 0 && listeners_new_drops_known(&o->listeners))
                s->reading[METRIC_LISTEN_DROPS] =
                        reading_valid((double)listeners_new_drops(&o->listeners) * 1e9 / (double)o->tick);
        if (dropping)
                name_listener(o, s, METRIC_LISTEN_DROPS, dropping);
}

int read_listeners(struct observer *o, struct snapshot *s)
{
        const struct sock_diag_query query = {.states = SOCK_DIAG_LISTEN, .extensions = DIAG_EXT_DROPS};
        int r = -EINTR;

        for (unsigned tries = 0; r < 0 && tries < DUMP_TRIES; tries++) {
                o->n_listening = 0;
                memset(&o->listening, 0, sizeof(o->listening));
                listeners_begin(&o->listeners);
                r = sock_diag_dump(&o->diag, &query, on_listener, o);
        }
        if (r < 0)
                return r;
        listeners_commit(&o->listeners);
        fill_listeners(o, s);
        o->listening_moved = memcmp(&o->listening, &o->listening_then, sizeof(o->listening)) != 0;
        o->drops_then = o->counters.item[COUNTER_LISTEN_DROPS].value;
        o->listeners_at = o->now;
        o->inuse_then = o->inuse;
        return 0;
}

static bool listeners_dropped(const struct observer *o)
{
        const struct counter *drops = &o->counters.item[COUNTER_LISTEN_DROPS];

        return o->counters_at == 0 || !drops->seen || drops->value != o->drops_then;
}

/* Listeners are few, but the kernel walks its whole table for them (net/ipv4/inet_diag.c:inet_diag_dump_icsk), which
 * takes as long as the rest of a tick. So they are read for a look, for what has to be as it is now, and when
 * something was dropped; else slowly, and the bounds leave room for those that come and go between. */
int update_listeners(struct observer *o, struct snapshot *s)
{
        if (o->listeners_always || o->listeners_at == 0 || o->now - o->listeners_at >= o->slowly_ns ||
            (o->wanted[METRIC_LISTEN_DROPS] && listeners_dropped(o)))
                return read_listeners(o, s);
        s->reading[METRIC_LISTEN_DROPS] = reading_valid(0);
        return 0;
}

static void on_state(void *user, const struct inet_diag_msg *socket, size_t length)
{
        states_count(user, socket, length);
}

static void on_port(void *user, const struct inet_diag_msg *socket, size_t length)
{
        struct observer *o = user;

        ports_add_socket(o->ports, socket, length, o->diag.batch_at);
}

static void on_both(void *user, const struct inet_diag_msg *socket, size_t length)
{
        on_state(user, socket, length);
        on_port(user, socket, length);
}

/* How long cpu_budget forbids another dump. It goes by the cheaper of the last two of the kind: where a virtual
 * machine stands still, that may count as its CPU time, and one such dump must not make the daemon blind for twenty
 * times as long. */
uint64_t budget_pause(struct observer *o, enum dump_kind kind, uint64_t begun)
{
        uint64_t cpu = thread_cpu_ns() - begun, least = o->dump_cpu[kind] ? MIN(cpu, o->dump_cpu[kind]) : cpu;

        o->dump_cpu[kind] = cpu;
        return o->budget > 0 ? (uint64_t)((double)least / o->budget) : 0;
}

/* A sample by state does not come more often than cpu_budget allows, either. */
int read_states(struct observer *o, struct snapshot *s)
{
        const struct sock_diag_query query = {.states = o->states};
        uint64_t begun = thread_cpu_ns();
        int r = o->listeners_at == o->now ? 0 : read_listeners(o, s); /* whose the handshakes are */

        if (r < 0)
                return r;
        r = -EINTR;
        for (unsigned tries = 0; r < 0 && tries < DUMP_TRIES; tries++) {
                states_begin(o);
                r = sock_diag_dump(&o->diag, &query, on_state, o);
        }
        if (r < 0)
                return r;
        states_commit(o);
        o->states_again_at = MAX(o->states_again_at, o->now + budget_pause(o, DUMP_STATES, begun));
        states_fill(o, s);
        return 0;
}

/* The sockets whose ports connect() may pick or, when a sample by state is due as well, all. */
static int dump_ports_once(struct observer *o, bool states)
{
        struct sock_diag_query query = {.states = SOCK_DIAG_CONNECTIONS};

        if (states) {
                states_begin(o);
        } else {
                query.low = (uint16_t)o->live.low;
                query.high = (uint16_t)o->live.high;
        }
        ports_begin(o->ports, &o->live, &o->listening, o->now, o->tick);
        return sock_diag_dump(&o->diag, &query, states ? on_both : on_port, o);
}

/* 0 only when the counters are known as well: the ports are nothing without TWRecycled. */
int dump_ports(struct observer *o, struct snapshot *s)
{
        uint64_t recycled = o->counters.item[COUNTER_TW_RECYCLED].value;
        bool states = states_due(o);
        int r = -EINTR;

        if (o->counters_at == 0)
                return -ENODATA;
        for (unsigned tries = 0; r < 0 && tries < DUMP_TRIES; tries++)
                r = dump_ports_once(o, states);
        if (r < 0)
                return r;
        if (states) {
                states_commit(o);
                states_fill(o, s);
        }
        ports_commit(o->ports, recycled >= o->recycled_then ? recycled - o->recycled_then : 0);
        o->recycled_then = recycled;
        o->opened_then = o->counters.item[COUNTER_ACTIVE_OPENS].value;
        o->listening_then = o->listening;
        o->listening_moved = false;
        o->limits = o->live;
        o->reserved_moved = false;
        o->dumped = true;
        return 0;
}

/* The busiest group's values stand for the host. Without any group nothing is used, and the cliff never comes. */
void fill_ports(struct observer *o, struct snapshot *s)
{
        const struct destination *busiest = ports_busiest(o->ports);

        for (unsigned metric = METRIC_PORTS_FIRST; metric <= METRIC_PORTS_LAST; metric++) {
                s->reading[metric] = reading_valid(busiest ? ports_value(busiest, metric).lower : 0);
                if (!busiest)
                        continue;
                destination_name(busiest, s->who[metric]);
                snprintf(s->unit[metric], sizeof(s->unit[metric]), "%s", cgroup_unit(&o->cgroups, busiest->cgroup));
        }
        if (!busiest)
                s->reading[METRIC_PORTS_CLIFF_ETA] = reading_valid(INFINITY);
}

void fill_ports_bounds(const struct observer *o, struct snapshot *s)
{
        struct ports_range ports[METRIC_PORTS_COUNT];
        uint64_t opened = o->counters.item[COUNTER_ACTIVE_OPENS].value - o->opened_then;

        ports_bounds(o->ports, opened, o->tw + o->inuse, o->listeners_at != o->now ? LISTENERS_UNSEEN : 0, ports);
        for (unsigned i = 0; i < METRIC_PORTS_COUNT; i++)
                s->reading[METRIC_PORTS_FIRST + i] = reading_bounded(ports[i].lower, ports[i].upper);
}

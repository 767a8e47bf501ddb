/* SPDX-License-Identifier: MIT */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "daemon/now.h"
#include "daemon/observe/internal.h"
#include "lib/kernel/diag.h"
#include "lib/util/macro.h"

static void on_listener(void *user, const struct inet_diag_msg *socket, size_t length)
{
        struct observer *o = user;

        o->n_listening++;
        port_set_add(&o->listening, ntohs(socket->id.idiag_sport));
        listeners_add(&o->listeners, socket, length);
}

static void begin(struct observer *o)
{
        o->n_listening = 0;
        port_set_clear(&o->listening);
        listeners_begin(&o->listeners);
}

static int dump(struct observer *o)
{
        const struct sock_diag_query query = {.states = SOCK_DIAG_LISTEN, .extensions = DIAG_EXT_MEMORY};

        return observer_dump(o, &query, begin, on_listener);
}

static void fill_listener(struct observer *o, struct snapshot *s, unsigned metric, const struct listener *l)
{
        char name[LISTENER_NAME_MAX];

        if (l)
                fill_culprit(o, s, metric, listener_name(l, name), l->cgroup);
}

/* True if this dump comes between two ticks that compute rates: the later tick counts its new drops again. */
static bool is_between(const struct observer *o)
{
        return o->hurried || o->waited || o->looking;
}

static void fill_drops(struct observer *o, struct snapshot *s)
{
        if (o->listeners.new_drops_known)
                s->events[METRIC_LISTEN_DROPS] = o->listeners.new_drops;
        if (o->tick > 0 && o->listeners.new_drops_known)
                s->reading[METRIC_LISTEN_DROPS] =
                        reading_valid((double)o->listeners.new_drops * 1e9 / (double)o->tick);
        fill_listener(o, s, METRIC_LISTEN_DROPS, listeners_worst(&o->listeners, listener_new_drops));
        o->listeners_drops = o->counters.item[COUNTER_LISTEN_DROPS].value;
}

static void fill(struct observer *o, struct snapshot *s)
{
        const struct listener *fullest = listeners_worst(&o->listeners, listener_accept_queue);

        s->reading[METRIC_TCP_LISTEN] = reading_valid(o->n_listening);
        s->reading[METRIC_ACCEPT_QUEUE_WORST] =
                reading_valid(fullest ? listener_accept_queue(&o->listeners, fullest) : 0);
        fill_listener(o, s, METRIC_ACCEPT_QUEUE_WORST, fullest);
        if (!o->listeners.between)
                fill_drops(o, s);
}

/* Without ListenOverflows any drop may be due to a full accept queue. A look notes nothing: the counters are those of
 * the read before the look, and may lack the drops that it finds. */
static void note_bursts(struct observer *o)
{
        const struct counter *c = o->overflows < COUNTERS_MAX ? &o->counters.item[o->overflows] : NULL;
        bool unknown = !c || (!c->seen && o->error[SOURCE_NETSTAT] == 0);

        if (o->looking)
                return;
        listeners_note_bursts(&o->listeners, o->now, o->tick > 0 && (unknown || c->value != o->listeners_overflows));
        if (c)
                o->listeners_overflows = c->value;
}

bool read_listeners(struct observer *o, struct snapshot *s, struct unread *unread)
{
        if (o->listeners_tried_at == o->now)
                return o->listeners_error == 0;
        o->listeners_tried_at = o->now;
        o->listeners_error = dump(o);
        unread_dump(unread, o->listeners_error, "the listeners (NETLINK_SOCK_DIAG)");
        if (o->listeners_error < 0)
                return false;
        o->listeners.between = is_between(o);
        listeners_commit(&o->listeners);
        note_bursts(o);
        fill(o, s);
        o->listening_changed = memcmp(&o->listening, &o->basis.listening, sizeof(o->listening)) != 0;
        o->listeners_at = o->now;
        return true;
}

static bool something_dropped(const struct observer *o)
{
        const struct counter *drops = &o->counters.item[COUNTER_LISTEN_DROPS];

        return !drops->seen || drops->value != o->listeners_drops;
}

/* Without SYN cookies, the last quarter of tcp_max_syn_backlog is for peers that are known, and the others are
 * dropped with no counter but ListenDrops (net/ipv4/tcp_input.c:tcp_conn_request; measured at 1,537 of 2,048).
 * Returns 0 for no limit. */
static uint32_t syn_limit(const struct snapshot *s)
{
        const struct live_sysctl *cookies = &s->sysctl[SYSCTL_TCP_SYNCOOKIES];
        const struct live_sysctl *backlog = &s->sysctl[SYSCTL_TCP_MAX_SYN_BACKLOG];

        if (cookies->state != READING_VALID || cookies->value.v[0] != 0 || backlog->state != READING_VALID)
                return 0;
        return (uint32_t)MIN(MAX(backlog->value.v[0] - backlog->value.v[0] / 4, 1), INT32_MAX);
}

/* In a tick without a dump no listener overflows, as a drop makes a dump due: see is_due(). */
static void fill_bursts(struct observer *o, struct snapshot *s)
{
        const struct listener *l;

        o->listeners.now = o->now;
        if (o->listeners_error < 0)
                return;
        s->reading[METRIC_LISTEN_OVERFLOWING] =
                reading_valid(o->listeners_at == o->now ? o->listeners.overflowing : 0);
        l = listeners_worst(&o->listeners, listener_bursts);
        s->reading[METRIC_LISTEN_BURSTS] = reading_valid(l ? listener_bursts(&o->listeners, l) : 0);
        fill_listener(o, s, METRIC_LISTEN_BURSTS, l);
}

/* While no number of sockets moves, the listeners are the same, or each that has gone was replaced by a new one. */
bool listeners_may_differ(const struct observer *o)
{
        return o->listeners_at <= o->moved_at;
}

static bool is_due(const struct observer *o)
{
        bool drops = o->wanted[METRIC_LISTEN_DROPS] || o->wanted[METRIC_LISTEN_BURSTS] ||
                     o->wanted[METRIC_LISTEN_OVERFLOWING];

        if (o->listeners_always || o->listeners_at == 0)
                return true;
        if (drops && (something_dropped(o) || o->listeners.fills))
                return true;
        return listeners_may_differ(o) && o->now - o->listeners_at >= o->slowly_ns;
}

/* Listeners are few, but the kernel walks its whole table for them (net/ipv4/inet_diag.c:inet_diag_dump_icsk),
 * which takes as long as the rest of a tick. So they are read with the ports, for metrics that must be current,
 * after a drop, and until the queue that dropped has drained; otherwise rarely, and only while sockets come and go.
 * The bounds allow for listeners that come and go in between. */
void fill_listeners(struct observer *o, struct snapshot *s, struct unread *unread)
{
        uint64_t begun;

        o->listeners.syn_limit = syn_limit(s);
        if (is_due(o)) {
                begun = thread_cpu_ns();
                read_listeners(o, s, unread);
                budget_debit(o, DUMP_LISTENERS, begun);
        } else {
                s->reading[METRIC_LISTEN_DROPS] = reading_valid(0);
        }
        fill_bursts(o, s);
}

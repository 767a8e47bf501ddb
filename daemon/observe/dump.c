/* SPDX-License-Identifier: MIT */
/* Dumps the sockets that do not listen: for the ports, for a sample by state, or for both, as often as
 * cpu_budget allows. */

#include <errno.h>

#include "daemon/now.h"
#include "daemon/observe/internal.h"
#include "lib/util/macro.h"

#define DEBTS_MAX 2
#define LOOK_US 500000 /* us: the longest time for which the dump of a look may delay a tick */

static void on_port(void *user, const struct inet_diag_msg *socket, size_t length)
{
        struct observer *o = user;

        ports_add_socket(o->ports, socket, length, o->diag.batch_at);
}

static void on_both(void *user, const struct inet_diag_msg *socket, size_t length)
{
        states_count(user, socket, length);
        on_port(user, socket, length);
}

static void begin_ports(struct observer *o)
{
        struct port_set reserved = o->reserved;

        port_set_add_all(&reserved, &o->bound); /* connect() does not pick them either */
        ports_begin(o->ports, &o->limits, &reserved, &o->listening, o->now, o->since);
}

static void begin_both(struct observer *o)
{
        states_begin(o);
        begin_ports(o);
}

static int dump(struct observer *o, enum dump_kind kind, struct snapshot *s)
{
        static const sock_diag_handler handlers[] = {on_port, states_count, on_both};
        static void (*const begins[])(struct observer *) = {begin_ports, states_begin, begin_both};
        struct sock_diag_query query = {.states = kind == DUMP_STATES ? o->states : SOCK_DIAG_CONNECTIONS};
        uint64_t begun = now_monotonic_us();
        int r;

        if (kind == DUMP_PORTS) { /* only those that connect() may pick */
                query.low = (uint16_t)o->limits.low;
                query.high = (uint16_t)o->limits.high;
        }
        r = observer_dump(o, &query, begins[kind], handlers[kind]);
        o->dump_ns += (now_monotonic_us() - begun) * 1000;
        if (r < 0)
                return r;
        if (kind != DUMP_PORTS) {
                states_commit(o);
                states_fill(o, s);
        }
        if (kind != DUMP_STATES)
                destinations_commit(o);
        return 0;
}

/* Reads the listeners first, to count the handshakes of each. If that fails, only the SYN queues are unknown. */
bool observer_read_states(struct observer *o, struct snapshot *s, struct unread *unread)
{
        uint64_t begun;
        int r;

        if (!states_due(o))
                return false;
        begun = thread_cpu_ns();
        read_listeners(o, s, unread);
        r = dump(o, DUMP_STATES, s);
        unread_dump(unread, r, "the sockets by state (NETLINK_SOCK_DIAG)");
        budget_debit(o, DUMP_STATES, begun);
        return true;
}

static void dump_ports(struct observer *o, struct snapshot *s, struct unread *unread)
{
        enum dump_kind kind = states_due(o) ? DUMP_BOTH : DUMP_PORTS;
        uint64_t begun = thread_cpu_ns();
        int r;

        /* Without the listeners, the connections of servers would be counted; without the limits, wrong ports. */
        if (!read_listeners(o, s, unread) || !o->limits_known) {
                observer_read_states(o, s, unread);
                return;
        }
        r = dump(o, kind, s);
        unread_dump(unread, r, "the connections (NETLINK_SOCK_DIAG)");
        budget_debit(o, kind, begun);
        if (r < 0)
                return;
        s->dump_every = o->dump_every = MAX(o->settled_at, o->now) - o->now;
        fill_destinations(o, s);
}

/* If the ports may soon run short, dumps are made until the account is overdrawn by more than two of them. */
static bool may_dump_ports(const struct observer *o)
{
        return o->settled || (o->settled_at - o->now <= DEBTS_MAX * budget_pause(o) && destinations_may_be_short(o));
}

void observer_read_sockets(struct observer *o, const struct watch_list *watch, struct snapshot *s,
                           struct unread *unread)
{
        ports_watch(o->ports, watch);
        o->same_until = 0;
        if (o->dumped && !may_dump_ports(o))
                fill_destinations(o, s);
        else
                dump_ports(o, s, unread);
}

uint64_t observer_look_at(const struct observer *o, uint64_t every)
{
        return o->dumped ? MAX(ports_seen_at(o->ports) + every, o->look_settled_at) : o->look_settled_at;
}

void observer_look(struct observer *o, uint64_t every, struct snapshot *s)
{
        struct unread unread = {0};
        uint64_t begun;

        if (o->now < observer_look_at(o, every) || o->now < o->slow_until)
                return;
        begun = thread_cpu_ns();
        o->looking = true;
        o->diag.until = MIN(o->diag.until, now_monotonic_us() + LOOK_US);
        if (read_listeners(o, s, &unread) && o->limits_known) {
                if (dump(o, DUMP_PORTS, s) == 0) {
                        const struct destination *busiest = ports_busiest(o->ports);

                        if (busiest && busiest->cgroup == 0)
                                seek_cgroup(o, busiest);
                        fill_destinations(o, s);
                }
        }
        o->looking = false;
        budget_debit_look(o, begun);
}

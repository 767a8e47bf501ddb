/* SPDX-License-Identifier: MIT */
/* The ports of sockets that are bound and neither listen nor are connected: connect() takes none of them, whatever
 * the destination (net/ipv4/inet_hashtables.c:__inet_hash_connect; measured). The kernel shows them since Linux
 * 6.8, in a walk of another table (net/ipv4/inet_diag.c:inet_diag_dump_icsk, TCP_BOUND_INACTIVE), so they have a
 * dump of their own, which is rare: that table is the whole host's, and holds each TIME_WAIT socket as well (2.5 to
 * 3.4 ms of CPU on an idle host, 50 ms beside 100,000 TIME_WAIT, measured). */

#include <arpa/inet.h>
#include <string.h>

#include "daemon/now.h"
#include "daemon/observe/internal.h"
#include "lib/kernel/diag.h"
#include "lib/util/macro.h"

#define BOUND_INACTIVE 13u /* in a request; the answer says TCP_CLOSE */
#define SELDOM (60 * NSEC_PER_SEC)

static unsigned range_size(const struct observer *o)
{
        return o->limits.high - o->limits.low + 1;
}

/* Returns how many TCP sockets of the whole host are not in use in this network namespace: those only bound, those not
 * bound yet, and all of other namespaces. Orphans of this namespace are in use (measured). Only used to decide whether
 * a dump is due. */
static uint64_t unaccounted(const struct observer *o)
{
        return o->allocated > o->inuse ? o->allocated - o->inuse : 0;
}

/* True if the bound sockets are too few to matter. Two counts are upper bounds of their number: the TCP sockets of the
 * host that are not in use in this network namespace, and the sockets of all kinds in this network namespace. */
static bool are_few(const struct observer *o)
{
        unsigned few = range_size(o) / 100;

        return o->inuse_known && (o->allocated < o->inuse + few || o->ipv4.used < few);
}

bool bound_is_due(const struct observer *o)
{
        uint64_t many = range_size(o) / 10, now = unaccounted(o), then = o->unaccounted_then;

        if (!o->wanted[METRIC_PORTS_BOUND] || !o->limits_known || !o->settled || are_few(o))
                return false;
        if (o->bound_at == 0 || o->now - o->bound_at >= SELDOM)
                return true;
        return now > then + many || then > now + many || (now > many && o->now - o->bound_at >= o->slowly_ns);
}

static void on_bound(void *user, const struct inet_diag_msg *socket, size_t length)
{
        struct observer *o = user;

        port_set_add(&o->bound_building, ntohs(socket->id.idiag_sport));
        cgroup_tally_add(&o->bound_by, diag_cgroup(socket, length));
}

static void begin(struct observer *o)
{
        port_set_clear(&o->bound_building);
        memset(&o->bound_by, 0, sizeof(o->bound_by));
}

static double bound_share(const struct observer *o)
{
        unsigned usable = 0, bound = 0;

        for (unsigned port = o->limits.low; port <= o->limits.high; port++) {
                bool is_usable = !port_set_has(&o->reserved, port) && !port_set_has(&o->listening, port);

                usable += is_usable;
                bound += is_usable && port_set_has(&o->bound, port);
        }
        return usable > 0 ? 100.0 * bound / usable : 0;
}

/* Returns how many ports were bound after the last dump of the ports: each is one usable port less, like the port of a
 * new listener. */
static unsigned count_newly_bound(const struct observer *o)
{
        unsigned n = 0;

        for (unsigned i = 0; i < ELEMENTSOF(o->bound.bit); i++)
                n += (unsigned)__builtin_popcountll(o->bound.bit[i] & ~o->basis.bound.bit[i]);
        return n;
}

void read_bound(struct observer *o, struct unread *unread)
{
        const struct sock_diag_query query = {.states = UINT32_C(1) << BOUND_INACTIVE,
                                              .low = (uint16_t)o->limits.low,
                                              .high = (uint16_t)o->limits.high};
        uint64_t begun;
        int r;

        if (o->wanted[METRIC_PORTS_BOUND] && o->limits_known && are_few(o)) {
                port_set_clear(&o->bound);
                o->bound_share = reading_valid(0);
        }
        if (!bound_is_due(o))
                return;
        begun = thread_cpu_ns();
        r = observer_dump(o, &query, begin, on_bound);
        unread_dump(unread, r, "the bound sockets (NETLINK_SOCK_DIAG)");
        o->bound_share = (struct reading){.state = READING_INVALID};
        o->bound_at = o->now;
        o->unaccounted_then = unaccounted(o);
        budget_debit(o, DUMP_BOUND, begun);
        if (r < 0)
                return;
        port_set_assign(&o->bound, &o->bound_building);
        o->newly_bound = count_newly_bound(o);
        o->bound_share = reading_valid(bound_share(o));
}

void fill_bound(struct observer *o, struct snapshot *s)
{
        s->reading[METRIC_PORTS_BOUND] = o->bound_share;
        if (o->bound_share.state == READING_VALID && o->bound_share.value > 0)
                fill_culprit(o, s, METRIC_PORTS_BOUND, "", cgroup_tally_most(&o->bound_by));
}

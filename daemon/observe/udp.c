/* SPDX-License-Identifier: MIT */
/* udp.receive_buffer: how full the buffer of the socket with the most new drops is. It needs dumps only while
 * datagrams are dropped. A full buffer alone does not show that a socket drops: perhaps nobody sends to it any more.
 *
 * udp.ports: the ephemeral ports that UDP sockets hold. A socket holds its port whatever the destination
 * (net/ipv4/udp.c:udp_lib_get_port, which skips reserved ports). It needs a dump only if there are at least half as
 * many UDP sockets as usable ports. sockstat is not enough then: it counts the sockets of servers as well, and several
 * on one port. */

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "daemon/now.h"
#include "daemon/observe/internal.h"
#include "lib/kernel/diag.h"
#include "lib/util/macro.h"

static void begin(struct observer *o)
{
        port_set_clear(&o->udp_seen);
        memset(&o->udp_by, 0, sizeof(o->udp_by));
        o->udp_ports = 0;
        o->udp_fullest = (struct listener){0};
        o->udp_fullest_share = 0;
        o->udp_most_drops = 0;
        o->n_udp_dropped = 0;
}

/* Returns the drops of a socket since the dump before. If the socket is not in the list of that dump, all its drops
 * are new; but if that list is full, its new drops are unknown, and count as none. */
static uint32_t new_drops(const struct observer *o, const struct udp_drops *socket)
{
        for (unsigned i = 0; i < o->n_udp_dropped_before; i++)
                if (o->udp_dropped_before[i].cookie == socket->cookie)
                        return socket->drops - o->udp_dropped_before[i].drops;
        return o->n_udp_dropped_before < UDP_DROPPED_MAX ? socket->drops : 0;
}

/* Notes a socket's drops. Keeps the socket with the most new drops as a struct listener, for listener_name(). */
static void note_buffer(struct observer *o, const struct inet_diag_msg *socket, size_t length)
{
        struct udp_drops drops = {.cookie = diag_cookie(socket)};
        double share;
        uint32_t fresh;

        if (!diag_drops(socket, length, &drops.drops) || drops.drops == 0 ||
            !diag_receive_buffer(socket, length, &share))
                return;
        if (o->n_udp_dropped < UDP_DROPPED_MAX)
                o->udp_dropped[o->n_udp_dropped++] = drops;
        fresh = new_drops(o, &drops);
        if (fresh <= o->udp_most_drops)
                return;
        o->udp_most_drops = fresh;
        o->udp_fullest_share = share;
        o->udp_fullest = (struct listener){.family = socket->idiag_family,
                                           .port = ntohs(socket->id.idiag_sport),
                                           .cgroup = diag_cgroup(socket, length)};
        memcpy(o->udp_fullest.address, socket->id.idiag_src, sizeof(o->udp_fullest.address));
}

static void on_socket(void *user, const struct inet_diag_msg *socket, size_t length)
{
        struct observer *o = user;
        unsigned port = ntohs(socket->id.idiag_sport);

        note_buffer(o, socket, length);
        if (port < o->limits.low || port > o->limits.high || port_set_has(&o->reserved, port))
                return;
        o->udp_ports += !port_set_has(&o->udp_seen, port);
        port_set_add(&o->udp_seen, port);
        cgroup_tally_add(&o->udp_by, diag_cgroup(socket, length));
}

static void dump(struct observer *o, struct unread *unread)
{
        const struct sock_diag_query query = {.states = UINT32_MAX, .extensions = DIAG_EXT_MEMORY, .udp = true};
        uint64_t begun = thread_cpu_ns();

        o->udp_error = observer_dump(o, &query, begin, on_socket);
        budget_debit(o, DUMP_UDP, begun);
        unread_dump(unread, o->udp_error, "the UDP sockets (NETLINK_SOCK_DIAG)");
        o->udp_at = o->now;
        if (o->udp_error < 0)
                return;
        o->udp_known_at = o->now;
        memcpy(o->udp_dropped_before, o->udp_dropped, o->n_udp_dropped * sizeof(o->udp_dropped[0]));
        o->n_udp_dropped_before = o->n_udp_dropped;
}

static struct reading share(const struct observer *o, bool needed, double value)
{
        if (!needed)
                return reading_valid(0);
        return o->udp_error == 0 ? reading_valid(value) : (struct reading){0};
}

bool udp_ports_needed(const struct observer *o)
{
        return o->wanted[METRIC_UDP_PORTS] && o->inuse_known && o->udp_inuse > 0 && o->limits.high != 0 &&
               2 * o->udp_inuse >= o->usable;
}

uint64_t udp6_due(const struct observer *o)
{
        if (!o->wanted[METRIC_UDP_RECEIVE_BUFFER])
                return UINT64_MAX;
        return o->udp6_dropped || o->udp6_at == 0 ? 0 : o->udp6_at + o->slowly_ns;
}

/* snmp counts the drops of IPv4 sockets alone; those of IPv6 are in a file of lines with a name and a number
 * (net/ipv6/proc.c:snmp6_seq_show). No sign moves with them, so the file is read slowly, but at each tick while they
 * go on. Returns false if they are unknown. */
static bool read_drops6(struct observer *o)
{
        uint64_t drops = 0;

        if (o->now < udp6_due(o))
                return true;
        if (source_read(o, SOURCE_SNMP6) == 0 && !number_after(o->text, "Udp6RcvbufErrors", &drops))
                o->error[SOURCE_SNMP6] = -EBADMSG;
        if (source_state(o, SOURCE_SNMP6) == READING_INVALID)
                return false;
        o->udp6_dropped = o->udp6_at != 0 && drops > o->udp6_drops;
        o->udp6_drops = drops;
        o->udp6_at = o->now;
        return true;
}

void fill_udp(struct observer *o, struct snapshot *s, struct unread *unread)
{
        struct reading drops = read_drops6(o) ? counter_change(o, COUNTER_UDP_DROPS) : (struct reading){0};
        bool known = o->inuse_known && o->limits.high != 0;
        bool ports = udp_ports_needed(o);
        bool buffer = o->wanted[METRIC_UDP_RECEIVE_BUFFER] && drops.state == READING_VALID &&
                      (drops.value > 0 || o->udp6_dropped);
        char name[LISTENER_NAME_MAX];

        if ((ports || buffer) && (o->udp_at == 0 || (o->udp_first && o->udp_error == 0) ||
                                  o->now - o->udp_at >= o->slowly_ns / (buffer ? 5 : 1))) {
                o->udp_first = buffer && (o->udp_known_at == 0 || o->now - o->udp_known_at > o->slowly_ns);
                dump(o, unread);
        }
        buffer = buffer && !(o->udp_first && o->udp_error == 0); /* new drops are known from the second dump on */
        if (known)
                s->reading[METRIC_UDP_PORTS] = share(o, ports, 100.0 * o->udp_ports / MAX(o->usable, 1u));
        if (ports && o->udp_error == 0)
                fill_culprit(o, s, METRIC_UDP_PORTS, "", cgroup_tally_most(&o->udp_by));
        s->reading[METRIC_UDP_RECEIVE_BUFFER] = drops;
        if (drops.state == READING_VALID)
                s->reading[METRIC_UDP_RECEIVE_BUFFER] = share(o, buffer, o->udp_fullest_share);
        if (buffer && o->udp_error == 0 && o->udp_most_drops > 0)
                fill_culprit(o, s, METRIC_UDP_RECEIVE_BUFFER, listener_name(&o->udp_fullest, name),
                             o->udp_fullest.cgroup);
}

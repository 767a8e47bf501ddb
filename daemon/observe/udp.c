/* SPDX-License-Identifier: MIT */
/* udp.ports: the ephemeral ports that UDP sockets hold, each of them one, whatever the destination
 * (net/ipv4/udp.c:udp_lib_get_port). The sockets are shown only where there are half as many as ports: sockstat counts
 * those of servers as well, and several on one port. */

#include <arpa/inet.h>
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
}

static void on_socket(void *user, const struct inet_diag_msg *socket, size_t length)
{
        struct observer *o = user;
        unsigned port = ntohs(socket->id.idiag_sport);

        if (port < o->limits.low || port > o->limits.high)
                return;
        o->udp_ports += !port_set_has(&o->udp_seen, port);
        port_set_add(&o->udp_seen, port);
        cgroup_tally_add(&o->udp_by, diag_cgroup(socket, length));
}

void fill_udp(struct observer *o, struct snapshot *s, struct unread *unread)
{
        const struct sock_diag_query query = {.states = UINT32_MAX, .udp = true};
        unsigned range = o->limits.high - o->limits.low + 1;
        uint64_t begun;
        int r;

        if (!o->wanted[METRIC_UDP_PORTS] || !o->inuse_known || o->limits.high == 0)
                return;
        if (2 * o->udp_inuse < range) {
                o->udp_share = reading_valid(0);
                o->udp_at = 0;
        } else if (o->udp_at == 0 || o->now - o->udp_at >= o->slowly_ns) {
                begun = thread_cpu_ns();
                r = observer_dump(o, &query, begin, on_socket);
                budget_debit(o, DUMP_UDP, begun);
                unread_dump(unread, r, "the UDP sockets (NETLINK_SOCK_DIAG)");
                o->udp_share = r == 0 ? reading_valid(100.0 * o->udp_ports / range) : (struct reading){0};
                o->udp_at = o->now;
        }
        s->reading[METRIC_UDP_PORTS] = o->udp_share;
        if (o->udp_share.state == READING_VALID && o->udp_share.value > 0)
                fill_culprit(o, s, METRIC_UDP_PORTS, "", cgroup_tally_most(&o->udp_by));
}

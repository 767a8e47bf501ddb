/* SPDX-License-Identifier: MIT */
/* Signs of a program that binds before it connects, in the ports that it has. */

#include <math.h>
#include <netinet/tcp.h>

#include "lib/ports/table_internal.h"

#define SHARED_BY_CHANCE_MIN 50 /* ports: fewer prove nothing */
#define LATE_MS 10000u
#define LATE_MIN 50
#define OTHER_PARITY_MAX 0.05  /* of the sockets toward a destination */
#define ON_BIND_PARITY_MIN 0.8 /* of a source's sockets, or of the ports of bind()'s parity if these are fewer */

static void source_add(struct source *s, unsigned port, const struct ports_limits *limits)
{
        bool on_bind_parity = (port & 1) == bind_parity(limits), is_new = !port_set_has(&s->seen, port);

        s->on_bind_parity += on_bind_parity;
        s->sockets++;
        s->n += is_new;
        s->bind_n[port >= range_middle(limits)] += is_new && on_bind_parity;
        port_set_add(&s->seen, port);
}

/* Counts a socket that is open, or that entered TIME_WAIT less than LATE_MS ago. */
static void late_add(struct destination *d, unsigned port, const struct ports_limits *limits)
{
        bool on_bind_parity = (port & 1) == bind_parity(limits);

        if (on_bind_parity) {
                d->lowest = (uint16_t)(d->late[1] == 0 ? port : MIN(d->lowest, port));
                d->highest = (uint16_t)MAX(d->highest, port);
        }
        d->late[on_bind_parity]++;
}

void bind_add(struct ports *ports, struct destination *d, unsigned port, const struct inet_diag_msg *socket)
{
        if (d->source < PORTS_SOURCES)
                source_add(&ports->source[d->source], port, &ports->limits);
        if (socket->idiag_state != TCP_TIME_WAIT || socket->idiag_expires > PORTS_TIME_WAIT_MS - LATE_MS)
                late_add(d, port, &ports->limits);
}

/* Sets ports.bind_first of a source. connect() picks a port for each destination separately, so some ports serve
 * several destinations; bind() picks a port that no socket has. So this compares the number of shared ports with the
 * number that as many sockets would share by chance. connect() does not pick by chance alone, as it goes on from its
 * last port, so most sockets have to be on bind()'s parity as well. */
void source_set_bind_first(struct ports *ports, unsigned index)
{
        const struct table *t = ports->building;
        struct source *s = &ports->source[index];
        double usable = fmax(t->usable[0] + t->usable[1], 1), unused = 1, chance, shared, begin;

        for (unsigned slot = 0; slot < t->slots; slot++)
                if (t->destination[slot].id != 0 && t->destination[slot].source == index)
                        unused *= fmax(1 - destination_sockets(&t->destination[slot]) / usable, 0);
        chance = s->sockets - usable * (1 - unused);
        shared = s->sockets - s->n;
        begin = t->usable[bind_parity(&ports->limits)];
        if (chance < SHARED_BY_CHANCE_MIN || s->on_bind_parity < ON_BIND_PARITY_MIN * fmin(s->sockets, begin))
                s->bind_first = 0;
        else
                s->bind_first = 100 * fmax(1 - shared / chance, 0);
}

/* Returns how full the ports are that bind() tries first: those of its parity, or the lower half of them if that is
 * fuller, as it is with SO_REUSEADDR. Without it, bind() picks by chance, and both halves are equally full. */
double source_bind_used(const struct ports *ports, const struct source *s)
{
        const struct table *t = ports->building;

        return fmax(share(s->bind_n[0], t->usable_lower),
                    share(s->bind_n[0] + s->bind_n[1], t->usable[bind_parity(&ports->limits)]));
}

/* connect() takes a port of bind()'s parity only when all ports of its own parity are taken toward the destination. So
 * bind() took the ports if hardly any are on connect()'s parity. A program that connects from a part of the range
 * whose low end has the other parity (IP_LOCAL_PORT_RANGE) looks the same, but bind() spreads over the whole range, or
 * over half of it. The result stays until most sockets are on connect()'s parity, as bind() also takes ports of that
 * parity when its own is full. */
void destination_set_bind_first(const struct ports *ports, struct destination *d)
{
        unsigned begin = bind_parity(&ports->limits), all = destination_sockets(d);
        unsigned others = destination_used(d, !begin);
        unsigned range = ports->limits.high - ports->limits.low + 1;
        bool spreads = (d->highest - d->lowest) * 3u >= range;

        if (d->late[1] >= LATE_MIN && d->late[0] <= OTHER_PARITY_MAX * d->late[1] &&
            others <= OTHER_PARITY_MAX * all && spreads)
                d->bind_first = true;
        else if (others > all - others)
                d->bind_first = false;
}

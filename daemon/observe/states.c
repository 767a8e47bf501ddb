/* SPDX-License-Identifier: MIT */
/* The metrics that count sockets by state, whatever their ports: sampled slowly, and not while bounds tell enough. */

#include <math.h>
#include <netinet/tcp.h>
#include <stdio.h>

#include "daemon/now.h"
#include "daemon/observe/internal.h"
#include "lib/kernel/diag.h"
#include "lib/util/macro.h"

/* idiag_timer (net/ipv4/inet_diag.c:inet_sk_diag_fill) */
enum timer {
        TIMER_RETRANSMIT = 1,
        TIMER_KEEPALIVE = 2,
        TIMER_TIME_WAIT = 3,
};

#define BIT(state) (UINT32_C(1) << (state))
#define OPEN (BIT(TCP_ESTABLISHED) | BIT(TCP_CLOSE_WAIT))
#define SENDING (OPEN | BIT(TCP_SYN_SENT) | BIT(TCP_FIN_WAIT1) | BIT(TCP_LAST_ACK) | BIT(TCP_CLOSING))

/* What /proc/net/sockstat says of how many there can be. */
enum most {
        MOST_INUSE, /* full sockets */
        MOST_TW,    /* minisockets of TIME_WAIT and FIN_WAIT_2 */
        MOST_BOTH,
        MOST_ANY, /* request sockets are not counted there */
};

static const struct row {
        unsigned metric;
        uint32_t states;
        enum most most;
} rows[] = {
        {METRIC_TCP_ESTABLISHED, BIT(TCP_ESTABLISHED), MOST_INUSE},
        {METRIC_TCP_SYN_SENT, BIT(TCP_SYN_SENT), MOST_INUSE},
        {METRIC_TCP_SYN_RECV, BIT(TCP_SYN_RECV), MOST_ANY},
        {METRIC_TCP_FIN_WAIT1, BIT(TCP_FIN_WAIT1), MOST_INUSE},
        {METRIC_TCP_FIN_WAIT2, BIT(TCP_FIN_WAIT2), MOST_BOTH},
        {METRIC_TCP_TIME_WAIT, BIT(TCP_TIME_WAIT), MOST_TW},
        {METRIC_TCP_CLOSE_WAIT, BIT(TCP_CLOSE_WAIT), MOST_INUSE},
        {METRIC_TCP_LAST_ACK, BIT(TCP_LAST_ACK), MOST_INUSE},
        {METRIC_TCP_CLOSING, BIT(TCP_CLOSING), MOST_INUSE},
        {METRIC_TCP_FIN_WAIT2_ORPHANED, BIT(TCP_FIN_WAIT2), MOST_BOTH},
        {METRIC_TCP_FIN_WAIT2_HELD, BIT(TCP_FIN_WAIT2), MOST_INUSE},
        {METRIC_TCP_KEEPALIVE_UNANSWERED, OPEN | BIT(TCP_FIN_WAIT2), MOST_INUSE},
        {METRIC_TCP_RETRANSMITTING, SENDING, MOST_INUSE},
        {METRIC_SYN_QUEUE_WORST, BIT(TCP_SYN_RECV), MOST_ANY},
        {METRIC_CLOSE_WAIT_GROWTH, BIT(TCP_CLOSE_WAIT), MOST_ANY},
};

void states_want(struct observer *o)
{
        o->states = 0;
        o->states_again_at = 0;
        for (unsigned i = 0; i < ELEMENTSOF(rows); i++)
                if (o->wanted[rows[i].metric])
                        o->states |= rows[i].states;
}

bool states_due(const struct observer *o)
{
        return o->states != 0 && o->now >= o->states_again_at;
}

void states_begin(struct observer *o)
{
        o->tally = (struct tally){0};
        listeners_clear_handshakes(&o->listeners);
        close_wait_begin(&o->close_wait);
}

void states_count(struct observer *o, const struct inet_diag_msg *socket, size_t length)
{
        struct tally *tally = &o->tally;
        bool orphaned = socket->idiag_timer == TIMER_TIME_WAIT || socket->idiag_inode == 0;

        tally->states[socket->idiag_state % TCP_STATES]++;
        if (socket->idiag_state == TCP_SYN_RECV)
                listeners_add_handshake(&o->listeners, socket);
        else if (socket->idiag_state == TCP_CLOSE_WAIT)
                close_wait_add(&o->close_wait, diag_cgroup(socket, length));
        else if (socket->idiag_state == TCP_FIN_WAIT2)
                tally->fin_wait2_orphaned += orphaned;
        if (socket->idiag_retrans > 0) {
                tally->keepalive_unanswered += socket->idiag_timer == TIMER_KEEPALIVE;
                tally->retransmitting += socket->idiag_timer == TIMER_RETRANSMIT;
        }
}

void states_commit(struct observer *o)
{
        const struct listener *fullest = listeners_fullest_syn_queue(&o->listeners);

        close_wait_commit(&o->close_wait, o->now);
        if (fullest) {
                o->tally.syn_queue = listener_syn_queue(&o->listeners, fullest);
                o->tally.syn_queue_cgroup = fullest->cgroup;
                listener_name(fullest, o->tally.syn_queue_name);
        }
        o->states_again_at = o->now + MAX(o->slowly_ns, 1); /* not again in this tick */
}

static struct reading close_wait_reading(struct observer *o, struct snapshot *s)
{
        uint64_t cgroup;
        double growth;

        if (!close_wait_growth(&o->close_wait, &growth, &cgroup))
                return (struct reading){.state = READING_INVALID};
        snprintf(s->unit[METRIC_CLOSE_WAIT_GROWTH], sizeof(s->unit[0]), "%s", cgroup_unit(&o->cgroups, cgroup));
        return reading_valid(growth);
}

static struct reading syn_queue_reading(struct observer *o, struct snapshot *s)
{
        snprintf(s->who[METRIC_SYN_QUEUE_WORST], sizeof(s->who[0]), "%s", o->tally.syn_queue_name);
        snprintf(s->unit[METRIC_SYN_QUEUE_WORST], sizeof(s->unit[0]), "%s",
                 cgroup_unit(&o->cgroups, o->tally.syn_queue_cgroup));
        return reading_valid(o->tally.syn_queue);
}

static struct reading sampled(struct observer *o, const struct row *row, struct snapshot *s)
{
        const struct tally *tally = &o->tally;

        switch (row->metric) {
        case METRIC_TCP_FIN_WAIT2_ORPHANED:
                return reading_valid(tally->fin_wait2_orphaned);
        case METRIC_TCP_FIN_WAIT2_HELD:
                return reading_valid(tally->states[TCP_FIN_WAIT2] - tally->fin_wait2_orphaned);
        case METRIC_TCP_KEEPALIVE_UNANSWERED:
                return reading_valid(tally->keepalive_unanswered);
        case METRIC_TCP_RETRANSMITTING:
                return reading_valid(tally->retransmitting);
        case METRIC_SYN_QUEUE_WORST:
                return syn_queue_reading(o, s);
        case METRIC_CLOSE_WAIT_GROWTH:
                return close_wait_reading(o, s);
        default:
                return reading_valid(tally->states[__builtin_ctz(row->states)]);
        }
}

static struct reading bounded(const struct observer *o, const struct row *row)
{
        const double most[] = {
                [MOST_INUSE] = (double)o->inuse,
                [MOST_TW] = (double)o->tw,
                [MOST_BOTH] = (double)(o->inuse + o->tw),
                [MOST_ANY] = INFINITY,
        };

        return reading_bounded(0, most[row->most]);
}

/* Between two samples the last one stands, unless the counters say that it cannot be true any more. */
void states_fill(struct observer *o, struct snapshot *s)
{
        bool due = states_due(o);

        for (unsigned i = 0; i < ELEMENTSOF(rows); i++) {
                struct reading *r = &s->reading[rows[i].metric], most = bounded(o, &rows[i]);

                if (!o->wanted[rows[i].metric])
                        continue;
                *r = due ? most : sampled(o, &rows[i], s);
                if (r->state == READING_VALID && r->value > most.upper)
                        *r = most;
        }
}

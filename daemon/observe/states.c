/* SPDX-License-Identifier: MIT */
/* The metrics that count sockets by state, whatever their ports: sampled slowly, and only if their bounds are not
 * enough to decide. */

#include <math.h>
#include <netinet/tcp.h>

#include "daemon/observe/internal.h"
#include "lib/kernel/diag.h"
#include "lib/util/macro.h"

/* idiag_timer (net/ipv4/inet_diag.c:inet_sk_diag_fill) */
enum timer {
        TIMER_RETRANSMIT = 1,
        TIMER_KEEPALIVE = 2,
        TIMER_TIME_WAIT = 3,
};

#define OPEN (BIT(TCP_ESTABLISHED) | BIT(TCP_CLOSE_WAIT))
/* Not SYN_RECV: it shows a retransmitted SYN+ACK with the same timer (net/ipv4/inet_diag.c:inet_req_diag_fill). */
#define SENDING (OPEN | BIT(TCP_SYN_SENT) | BIT(TCP_FIN_WAIT1) | BIT(TCP_LAST_ACK) | BIT(TCP_CLOSING))

/* Each retransmission waits twice as long as the one before, the first at least 200 ms
 * (include/net/tcp.h:TCP_RTO_MIN): the fifth is sent after 6 s. On a path that loses 5 % of the packets, one packet in
 * three million needs it. */
#define DATA_UNANSWERED_RETRANS 5

/* The counts of /proc/net/sockstat whose sum bounds a metric. */
enum bound {
        BY_NONE = 0,  /* request sockets are not counted there; a growth has no bound */
        BY_INUSE = 1, /* full sockets */
        BY_TW = 2,    /* minisockets of TIME_WAIT and FIN_WAIT_2 */
        BY_BOTH = BY_INUSE | BY_TW,
};

static const struct row {
        unsigned metric;
        uint32_t states;
        enum bound bound;
        unsigned count; /* index in struct tally */
} rows[] = {
        {METRIC_TCP_ESTABLISHED, BIT(TCP_ESTABLISHED), BY_INUSE, TCP_ESTABLISHED},
        {METRIC_TCP_SYN_SENT, BIT(TCP_SYN_SENT), BY_INUSE, TCP_SYN_SENT},
        {METRIC_TCP_SYN_RECV, BIT(TCP_SYN_RECV), BY_NONE, TCP_SYN_RECV},
        {METRIC_TCP_FIN_WAIT1, BIT(TCP_FIN_WAIT1), BY_INUSE, TCP_FIN_WAIT1},
        {METRIC_TCP_FIN_WAIT2, BIT(TCP_FIN_WAIT2), BY_BOTH, TCP_FIN_WAIT2},
        {METRIC_TCP_TIME_WAIT, BIT(TCP_TIME_WAIT), BY_TW, TCP_TIME_WAIT},
        {METRIC_TCP_CLOSE_WAIT, BIT(TCP_CLOSE_WAIT), BY_INUSE, TCP_CLOSE_WAIT},
        {METRIC_TCP_LAST_ACK, BIT(TCP_LAST_ACK), BY_INUSE, TCP_LAST_ACK},
        {METRIC_TCP_CLOSING, BIT(TCP_CLOSING), BY_INUSE, TCP_CLOSING},
        {METRIC_TCP_FIN_WAIT2_ORPHANED, BIT(TCP_FIN_WAIT2), BY_BOTH, COUNT_FIN_WAIT2_ORPHANED},
        {METRIC_TCP_FIN_WAIT2_HELD, BIT(TCP_FIN_WAIT2), BY_INUSE, COUNT_FIN_WAIT2_HELD},
        {METRIC_TCP_KEEPALIVE_UNANSWERED, OPEN | BIT(TCP_FIN_WAIT2), BY_INUSE, COUNT_KEEPALIVE_UNANSWERED},
        {METRIC_TCP_RETRANSMITTING, SENDING, BY_INUSE, COUNT_RETRANSMITTING},
        {METRIC_TCP_DATA_UNANSWERED, OPEN, BY_INUSE, COUNT_DATA_UNANSWERED},
        {METRIC_SYN_QUEUE_WORST, BIT(TCP_SYN_RECV), BY_NONE, TCP_SYN_RECV},
        {METRIC_CLOSE_WAIT_GROWTH, BIT(TCP_CLOSE_WAIT), BY_NONE, TCP_CLOSE_WAIT},
        {METRIC_CLOSE_WAIT_STUCK, BIT(TCP_CLOSE_WAIT), BY_INUSE, TCP_CLOSE_WAIT},
};

void states_want(struct observer *o)
{
        o->states = 0;
        o->states_again_at = 0;
        for (unsigned i = 0; i < ELEMENTSOF(rows); i++)
                if (o->wanted[rows[i].metric])
                        o->states |= rows[i].states;
}

/* Returns false in a hurried read: ports that may run short must not wait for a sample, which takes time for each
 * socket. */
bool states_due(const struct observer *o)
{
        return o->states != 0 && !o->hurried && o->now >= o->states_again_at &&
               (o->settled || o->states_again_at == 0);
}

void states_begin(struct observer *o)
{
        o->tally_building = (struct tally){0};
        listeners_clear_handshakes(&o->listeners);
        close_wait_begin(&o->close_wait);
}

/* This count decides on sysctls of the whole netns, so sockets below user.slice do not count. cgroup is 0 if the
 * kernel does not report it (no CONFIG_SOCK_CGROUP_DATA). */
static void count_keepalive(struct observer *o, uint64_t cgroup)
{
        o->tally_building.count[COUNT_KEEPALIVE_UNANSWERED] +=
                cgroup == 0 || cgroup_is_system(&o->cgroups, o->now, cgroup);
}

void states_count(void *observer, const struct inet_diag_msg *socket, size_t length)
{
        struct observer *o = observer;
        unsigned *count = o->tally_building.count;
        bool orphaned = socket->idiag_timer == TIMER_TIME_WAIT || socket->idiag_inode == 0;

        count[socket->idiag_state % TCP_STATES]++;
        if (socket->idiag_state == TCP_SYN_RECV)
                listeners_add_handshake(&o->listeners, socket);
        else if (socket->idiag_state == TCP_CLOSE_WAIT)
                close_wait_add(&o->close_wait, diag_cgroup(socket, length), diag_cookie(socket));
        else if (socket->idiag_state == TCP_FIN_WAIT2)
                count[orphaned ? COUNT_FIN_WAIT2_ORPHANED : COUNT_FIN_WAIT2_HELD]++;
        if (socket->idiag_retrans > 0) {
                if (socket->idiag_timer == TIMER_KEEPALIVE)
                        count_keepalive(o, diag_cgroup(socket, length));
                count[COUNT_RETRANSMITTING] +=
                        socket->idiag_timer == TIMER_RETRANSMIT && (BIT(socket->idiag_state) & SENDING);
                if (socket->idiag_timer == TIMER_RETRANSMIT && (BIT(socket->idiag_state) & OPEN) &&
                    socket->idiag_retrans >= DATA_UNANSWERED_RETRANS) {
                        count[COUNT_DATA_UNANSWERED]++;
                        cgroup_tally_add(&o->tally_building.data_unanswered, diag_cgroup(socket, length));
                }
        }
}

static void commit_syn_queue(struct observer *o)
{
        const struct listener *fullest = listeners_worst(&o->listeners, listener_syn_queue);
        struct tally *tally = &o->tally_building;

        if (o->listeners_at != o->now)
                return; /* they could not be read */
        tally->syn_queue = reading_valid(fullest ? listener_syn_queue(&o->listeners, fullest) : 0);
        if (!fullest)
                return;
        tally->syn_queue_cgroup = fullest->cgroup;
        listener_name(fullest, tally->syn_queue_name);
}

void states_commit(struct observer *o)
{
        struct tally *tally = &o->tally_building;

        close_wait_commit(&o->close_wait, o->now);
        commit_syn_queue(o);
        tally->valid = true;
        o->tally = *tally;
        o->states_again_at = o->now + MAX(o->slowly_ns, 1); /* not again in this tick */
}

static struct reading close_wait_reading(struct observer *o, unsigned metric, struct snapshot *s)
{
        bool growth = metric == METRIC_CLOSE_WAIT_GROWTH;
        uint64_t cgroup;
        double value;

        if (!(growth ? close_wait_growth : close_wait_stuck)(&o->close_wait, &value, &cgroup))
                return (struct reading){.state = READING_INVALID};
        fill_culprit(o, s, metric, "", cgroup);
        return reading_valid(value);
}

static struct reading syn_queue_reading(struct observer *o, struct snapshot *s)
{
        fill_culprit(o, s, METRIC_SYN_QUEUE_WORST, o->tally.syn_queue_name, o->tally.syn_queue_cgroup);
        return o->tally.syn_queue;
}

static struct reading sampled(struct observer *o, const struct row *row, struct snapshot *s)
{
        switch (row->metric) {
        case METRIC_SYN_QUEUE_WORST:
                return syn_queue_reading(o, s);
        case METRIC_TCP_DATA_UNANSWERED:
                fill_culprit(o, s, row->metric, "", cgroup_tally_most(&o->tally.data_unanswered));
                break;
        case METRIC_CLOSE_WAIT_GROWTH:
        case METRIC_CLOSE_WAIT_STUCK:
                return close_wait_reading(o, row->metric, s);
        }
        return reading_valid(o->tally.count[row->count]);
}

static struct reading bounded(const struct observer *o, enum bound bound)
{
        if (!o->inuse_known || bound == BY_NONE)
                return reading_bounded(0, INFINITY);
        return reading_bounded(0, (double)((bound & BY_INUSE ? o->inuse : 0) + (bound & BY_TW ? o->tw : 0)));
}

/* Uses the last sample until the next one is due, unless the counters show that it is too high by now. Once the
 * next one is due, the old one is never used again: if bounds decide, no new one may be taken for days. */
void states_fill(struct observer *o, struct snapshot *s)
{
        if (states_due(o))
                o->tally.valid = false;
        /* Shown even if no rule asks for them. */
        s->reading[METRIC_TCP_TIME_WAIT] = bounded(o, BY_TW);
        s->reading[METRIC_TCP_ESTABLISHED] = bounded(o, BY_INUSE);
        for (unsigned i = 0; i < ELEMENTSOF(rows); i++) {
                struct reading *r = &s->reading[rows[i].metric], most = bounded(o, rows[i].bound);

                if (!o->wanted[rows[i].metric])
                        continue;
                *r = o->tally.valid ? sampled(o, &rows[i], s) : most;
                if (r->state == READING_VALID && r->value > most.upper)
                        *r = most;
        }
}

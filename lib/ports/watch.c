/* SPDX-License-Identifier: MIT */
/* Compares the ports toward a few destinations with the dump before: whether new connections took ports in TIME_WAIT,
 * and whether these connections wait longer for an answer than others. Counters of the whole host cannot show that:
 * they also count other destinations, the loopback, and what strangers send. */

#include <math.h>
#include <netinet/tcp.h>
#include <string.h>

#include "lib/ports/table_internal.h"

#define BATCH_MIN 20        /* connections: a share of fewer is chance */
#define COMPARED_MIN 5      /* connections of each kind in one dump */
#define COMPARED_DECAY 0.9f /* per dump */
#define HARM_FACTOR 3
#define SILENT_NS (3 * NSEC_PER_SEC)
#define BUSY 50      /* ports.forecast or ports.demand, percent */
#define ALL_PORTS 99 /* percent: with so many taken, a new connection can only take one in TIME_WAIT */

/* The first retransmission of a SYN comes after 1 s (include/net/tcp.h:TCP_TIMEOUT_INIT), the second after 3 s, or
 * after 2 s since Linux 6.5 (tcp_syn_linear_timeouts). */
#define SYN_TIMEOUT_MS 1000u
#define SYN_WAITING_MS 250u
#define TIMER_RETRANSMIT 1

static struct watched *find(struct table *t, uint64_t id)
{
        for (unsigned i = 0; i < PORTS_WATCHED && id != 0; i++)
                if (t->watched[i].id == id)
                        return &t->watched[i];
        return NULL;
}

static bool same_reuse(const struct table *a, const struct table *b)
{
        return a->tw_reuse == b->tw_reuse && a->tw_reuse_delay_ms == b->tw_reuse_delay_ms;
}

/* Only words of the last range may be set. The others are not touched, as they would take memory. */
static void clear(struct watched *w, const struct ports_limits *range)
{
        struct port_set *const sets[] = {&w->ports->time_wait, &w->ports->held, &w->ports->held_reused};

        for (unsigned i = 0; i < ELEMENTSOF(sets); i++)
                memset(&sets[i]->bit[w->first], 0, w->n * sizeof(sets[i]->bit[0]));
        w->first = range->low / 64;
        w->n = range->high / 64 - w->first + 1;
        memset((char *)w + offsetof(struct watched, made), 0, sizeof(*w) - offsetof(struct watched, made));
}

static void begin_one(struct ports *ports, struct watched *w, struct destination *d)
{
        struct table *t = ports->building;
        const struct watched *then = find(ports->shown, d->id);

        w->ports = &t->watched_ports[w - t->watched];
        clear(w, &ports->limits);
        ports->watched_then[w - t->watched] = then;
        w->id = d->id;
        w->reused = NAN;
        d->watched = (uint8_t)(w - t->watched + 1);
        if (!then || !same_reuse(t, ports->shown))
                return;
        w->of_batch = then->of_batch;
        w->reused_of_batch = then->reused_of_batch;
        w->made_at = then->made_at;
        w->reused = then->reused;
        w->others = then->others;
        memcpy(w->compared, then->compared, sizeof(w->compared));
        memcpy(w->compared_waiting, then->compared_waiting, sizeof(w->compared_waiting));
}

/* Watches the requested destinations; then, if they are at least BUSY, those already watched, and the busiest. */
void watch_begin(struct ports *ports)
{
        const struct destination *busiest[PORTS_WATCHED];
        struct table *t = ports->building, *before = ports->shown;
        unsigned n = 0, n_busiest = ports_most_busy(ports, busiest, PORTS_WATCHED);
        uint64_t id[3 * PORTS_WATCHED] = {0};

        for (unsigned i = 0; i < PORTS_WATCHED; i++) {
                const struct destination *d = destination_find(before, before->watched[i].id);

                t->watched[i].id = 0;
                id[i] = i < ports->watch.n ? ports->watch.id[i] : 0;
                id[PORTS_WATCHED + i] = d && ports_busyness(d) >= BUSY ? d->id : 0;
                id[2 * PORTS_WATCHED + i] = i < n_busiest && ports_busyness(busiest[i]) >= BUSY ? busiest[i]->id : 0;
        }
        for (unsigned i = 0; i < ELEMENTSOF(id) && n < PORTS_WATCHED; i++) {
                struct destination *d = destination_find(t, id[i]);

                if (d && d->watched == 0)
                        begin_one(ports, &t->watched[n++], d);
        }
}

static bool syn_waits(const struct inet_diag_msg *s)
{
        return s->idiag_state == TCP_SYN_SENT &&
               (s->idiag_retrans > 0 ||
                (s->idiag_timer == TIMER_RETRANSMIT && s->idiag_expires < SYN_TIMEOUT_MS - SYN_WAITING_MS));
}

void watch_add(struct ports *ports, const struct destination *d, const struct inet_diag_msg *s)
{
        struct table *t = ports->building;
        struct watched *w = &t->watched[d->watched - 1];
        const struct watched *then = ports->watched_then[d->watched - 1];
        unsigned port = ntohs(s->id.idiag_sport), left_ms = s->idiag_expires;
        bool time_wait = s->idiag_state == TCP_TIME_WAIT, was_time_wait, was_held, reused;

        if (time_wait && left_ms > t->stays_ms)
                port_set_add(&w->ports->time_wait, port);
        if (!time_wait)
                port_set_add(&w->ports->held, port);
        if (!then)
                return;
        was_time_wait = port_set_has(&then->ports->time_wait, port);
        was_held = port_set_has(&then->ports->held, port);
        reused = was_time_wait || (was_held && port_set_has(&then->ports->held_reused, port));
        if (!was_held &&
            (!time_wait || (PORTS_TIME_WAIT_MS - MIN(left_ms, PORTS_TIME_WAIT_MS)) * NSEC_PER_MSEC < ports->elapsed))
                w->made[was_time_wait]++;
        if (!time_wait && reused)
                port_set_add(&w->ports->held_reused, port);
        w->waiting[reused] += syn_waits(s);
}

/* While all ports are taken and none is reused, connect() fails, and no new connections complete the batch: then
 * ports.reused is computed as if the rest of BATCH_MIN connections came on ports not in TIME_WAIT. */
static void commit_reused(struct table *t, struct watched *w, const struct destination *d)
{
        double taken = 100.0 * destination_sockets(d) / MAX(t->usable[0] + t->usable[1], 1);
        unsigned made = w->made[0] + w->made[1];
        bool silent;

        if (made > 0)
                w->made_at = t->begun;
        silent = t->begun - w->made_at > SILENT_NS;
        w->of_batch += made;
        w->reused_of_batch += w->made[1];
        if (w->of_batch >= BATCH_MIN) {
                w->reused = 100 * (float)w->reused_of_batch / (float)w->of_batch;
                w->of_batch = w->reused_of_batch = 0;
        } else if (taken >= ALL_PORTS && (silent || w->reused_of_batch == 0)) {
                w->reused = 100 * (float)w->reused_of_batch / BATCH_MIN;
        } else if (silent) {
                w->reused = NAN;
        }
}

/* Only a dump with COMPARED_MIN of both kinds counts: if a backend dies while one kind is missing, only the other kind
 * is seen to wait. */
static void commit_compared(struct watched *w)
{
        bool both = w->made[0] >= COMPARED_MIN && w->made[1] >= COMPARED_MIN;

        for (unsigned reused = 0; reused < 2; reused++) {
                w->compared[reused] = COMPARED_DECAY * w->compared[reused] + (both ? (float)w->made[reused] : 0);
                w->compared_waiting[reused] =
                        COMPARED_DECAY * w->compared_waiting[reused] + (both ? (float)w->waiting[reused] : 0);
        }
}

/* With few connections on other ports the next one might have waited as well, so one is added. */
static double syn_waiting(const struct watched *w)
{
        double others = ((double)w->compared_waiting[0] + 1) / ((double)w->compared[0] + 1);
        double reused = fmin((double)w->compared_waiting[1] / (double)w->compared[1], 1);

        if (w->compared[0] < COMPARED_MIN || w->compared[1] < BATCH_MIN)
                return NAN;
        return reused > HARM_FACTOR * others ? 100 * reused : 0;
}

static void set(struct destination *d, unsigned metric, double value)
{
        d->lower[metric - METRIC_PORTS_FIRST] = d->upper[metric - METRIC_PORTS_FIRST] = (float)value;
}

/* A FIN that is sent again begins the 60 s of a TIME_WAIT anew (net/ipv4/tcp_minisocks.c:tcp_timewait_state_process),
 * and so looks like a reuse: a few in a hundred on a lossy path, many if the CPUs are busy. TWRecycled does not count
 * such a FIN, so there were at most as many reuses as it grew by (recycled). */
void watch_commit(struct ports *ports, uint64_t recycled)
{
        struct table *t = ports->building;

        for (unsigned slot = 0; slot < t->slots; slot++) {
                struct destination *d = &t->destination[slot];
                struct watched *w = d->watched ? &t->watched[d->watched - 1] : NULL;
                bool comparable =
                        w && ports->watched_then[d->watched - 1] &&
                        ports->elapsed + WATCH_MARGIN_MS * NSEC_PER_MSEC <= ports->shown->stays_ms * NSEC_PER_MSEC;

                if (d->id == 0)
                        continue;
                if (comparable && same_reuse(t, ports->shown)) {
                        w->made[1] = (unsigned)MIN(w->made[1], recycled);
                        w->others = (float)(w->made[0] * (double)NSEC_PER_SEC / (double)MAX(ports->elapsed, 1u));
                        commit_reused(t, w, d);
                        commit_compared(w);
                }
                set(d, METRIC_PORTS_REUSED, w ? (double)w->reused : NAN);
                set(d, METRIC_PORTS_SYN_WAITING, w ? syn_waiting(w) : NAN);
        }
}

void ports_watch(struct ports *ports, const struct watch_list *list)
{
        ports->watch = *list;
}

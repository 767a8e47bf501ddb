/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>

#include "lib/ports/table_internal.h"

#define OWN_PORTS_MIN 50  /* percent of the new connections */
#define HIDDEN_SECONDS 2u /* one estimate may be off by a few sockets: a mean over this time evens that out */

#define INDEX(metric) (METRIC_PORTS_##metric - METRIC_PORTS_FIRST)

void usable_count(struct ports *ports)
{
        struct table *t = ports->building;

        t->usable[0] = t->usable[1] = t->usable_lower = 0;
        for (unsigned port = ports->limits.low; port < range_middle(&ports->limits); port++)
                t->usable_lower += (port & 1) == bind_parity(&ports->limits) && port_set_has(&ports->usable, port);
        for (unsigned i = ports->limits.low / 64; i <= ports->limits.high / 64; i++)
                for (unsigned parity = 0; parity < 2; parity++)
                        t->usable[parity] += (unsigned)__builtin_popcountll(ports->usable.bit[i] &
                                                                            UINT64_C(0x5555555555555555) << parity);
}

/* Estimates how many sockets came into TIME_WAIT and were reused since the dump before. A socket younger than the
 * reuse delay cannot have been reused, so the dump shows all of these, and they give the rate. TWRecycled counts all
 * reuses of the host, so it is only an upper limit. */
static void hidden_add(struct ports *ports, unsigned slot, uint64_t recycled)
{
        double delay = MAX(ports->limits.tw_reuse_delay_ms, 1) * (double)NSEC_PER_MSEC;
        double elapsed = (double)ports->elapsed, most, hidden;
        const struct destination *d = &ports->building->destination[slot];
        int16_t *second = &ports->hidden[slot][ports->building->begun / NSEC_PER_SEC % PORTS_RING];

        for (unsigned i = 0; i < PORTS_RING && !d->known; i++)
                hidden_set(&ports->hidden[slot][i], 0); /* of the destination that had this slot before */
        if (!d->reuse || elapsed <= delay)
                return;
        most = (double)recycled * (elapsed - delay) / elapsed;
        /* A negative estimate counts as well, down to -most, so that errors by chance even out in the mean. */
        hidden = fmax(fmin(d->young * elapsed / delay - d->recent, most), -most);
        hidden_set(second, (int16_t)fmax(fmin(round(*second + hidden), INT16_MAX), INT16_MIN));
}

static unsigned less(unsigned a, unsigned b)
{
        return a - MIN(a, b);
}

/* False for a parity with under an eighth of the usable ports of the other parity (its other ports are reserved or
 * have listeners): when its few are taken, connect() finds a port of the other parity without a long scan. */
static bool parity_counts(const unsigned usable[static 2], unsigned p)
{
        return usable[p] * 8 >= usable[!p];
}

/* Returns how full the fuller parity is after some seconds at a rate, with `more` ports added, in percent: connect()
 * begins with one parity, bind() with the other, and a program that chooses its ports itself takes both. */
static double fuller_after(const unsigned part[static 2], double seconds, const double rate[static 2], double more,
                           const unsigned usable[static 2])
{
        double most = 0;

        for (unsigned p = 0; p < 2; p++)
                if (parity_counts(usable, p))
                        most = fmax(most, share(part[p] + seconds * rate[p] + more, usable[p]));
        return most;
}

static double fuller(const unsigned part[static 2], double more, const unsigned usable[static 2])
{
        return fuller_after(part, 0, (const double[2]){0, 0}, more, usable);
}

static void metric_set(struct destination *d, unsigned index, double lower, double upper)
{
        d->lower[index] = (float)lower;
        d->upper[index] = (float)upper;
}

static double seconds_to_cliff(const struct destination *d, const unsigned usable[static 2],
                               const double rate[static 2])
{
        double seconds = INFINITY;

        for (unsigned p = 0; p < 2; p++) {
                double left = (double)usable[p] - d->holders[p] - d->blocked[p];

                if (!parity_counts(usable, p))
                        continue;
                if (left <= 0)
                        return 0;
                if (rate[p] > 0)
                        seconds = fmin(seconds, left / rate[p]);
        }
        return seconds;
}

bool window_begin(struct ports *ports, uint64_t now)
{
        struct table *t = ports->building;
        uint64_t window = ports->window_ms * NSEC_PER_MSEC, age;
        bool passed = ports->shown->begun - ports->shown->then[0] >= window * 9 / 20;

        memcpy(t->then, ports->shown->then, sizeof(t->then));
        if (passed) {
                t->then[1] = t->then[0];
                t->then[0] = ports->shown->begun;
        }
        ports->compared = t->then[1] > 0 && now - t->then[1] <= window * 3 / 2;
        age = now - t->then[ports->compared];
        ports->fresh_ms = (unsigned)MIN(age / NSEC_PER_MSEC, ports->window_ms);
        return passed;
}

/* Returns how many TIME_WAIT were added a second in the window of the rate, by parity. Former holders do not count:
 * they take no additional port, for example when a pool of connections is closed. Nor do new holders: a pool that is
 * opened makes no lasting rate. The first dump has no rate. */
static void growth_rate(const struct ports *ports, const struct destination *d, double ret[static 2])
{
        for (unsigned p = 0; p < 2; p++) {
                double fresh = p ? d->fresh_odd : d->fresh - d->fresh_odd;
                double change = (double)d->holders[p] - d->holders_then[ports->compared][p];

                ret[p] = ports->elapsed > 0 ? 1000 * fmax(fresh + fmin(change, 0), 0) / ports->window_ms : 0;
        }
}

/* A program that binds to ports of its own may take them again at once, without tcp_tw_reuse
 * (net/ipv4/tcp_ipv4.c:tcp_twsk_unique, for a socket that has a port): its TIME_WAIT does not block it. The TIME_WAIT
 * of connections on other ports, as many as are made in 60 s, stay blocked. */
static void free_own_ports(const struct ports *ports, struct destination *d)
{
        double others, all = fmax(d->blocked[0] + d->blocked[1], 1), kept, fresh;

        if (d->reuse || !(d->lower[INDEX(REUSED)] >= OWN_PORTS_MIN))
                return;
        others = (double)ports->building->watched[d->watched - 1].others / 1000; /* per millisecond */
        kept = fmin(others * PORTS_TIME_WAIT_MS / all, 1);
        fresh = fmin(others * ports->window_ms / MAX(d->fresh, 1u), 1);
        for (unsigned p = 0; p < 2; p++) {
                unsigned own = d->blocked[p] - (unsigned)(kept * d->blocked[p]);

                d->reusable[p] += own;
                d->blocked[p] -= own;
        }
        d->fresh = (unsigned)(fresh * d->fresh);
        d->fresh_odd = (unsigned)(fresh * d->fresh_odd);
}

/* True if the forecast has to wait: at the first dump, a program that takes its own ports again looks like one whose
 * ports run out; the third dump shows the difference. Such a program uses both parities: connect() would fill one
 * parity before it takes the other. */
static bool is_held_back(const struct destination *d, const unsigned usable[static 2])
{
        unsigned used[2] = {destination_used(d, 0), destination_used(d, 1)};

        return d->from_start && 2 * MIN(used[0], used[1]) >= MAX(used[0], used[1]) &&
               2 * MAX(used[0], used[1]) >= MAX(usable[0], usable[1]);
}

/* The metrics of the sockets in the dump. */
static void destination_set_present(struct ports *ports, struct destination *d)
{
        const unsigned *usable = ports->building->usable;
        unsigned all = usable[0] + usable[1], error = ports->building->passes;
        unsigned usable_bind = ports->building->usable_lower;
        unsigned blocked[2] = {d->holders[0] + d->blocked[0], d->holders[1] + d->blocked[1]};
        unsigned taken[2] = {blocked[0] + d->reusable[0], blocked[1] + d->reusable[1]};
        unsigned reusable = d->reusable[0] + d->reusable[1];
        unsigned used = destination_sockets(d);
        double rate[2], eta, unseen = error * (1.0 + PORTS_FORECAST);
        bool has_source = d->source < PORTS_SOURCES && used > 0; /* without sockets only its history is kept */
        unsigned source = has_source ? ports->source[d->source].n : used;
        double syn_sent = used > 0 ? 100.0 * d->syn_sent / used : 0;
        double bind_order = d->bind_first ? 100 : 0;
        double bind_first = has_source ? fmax(ports->source[d->source].bind_first, bind_order) : bind_order;
        double bind_used = has_source ? source_bind_used(ports, &ports->source[d->source]) : 0;

        growth_rate(ports, d, rate);
        eta = seconds_to_cliff(d, usable, rate);
        metric_set(d, INDEX(CLIFF), fuller(blocked, 0, usable), fuller(blocked, error, usable));
        metric_set(d, INDEX(FORECAST),
                   is_held_back(d, usable) ? 0 : fuller_after(blocked, PORTS_FORECAST, rate, 0, usable),
                   fuller_after(blocked, PORTS_FORECAST, rate, unseen, usable));
        metric_set(d, INDEX(EXHAUSTION), share(blocked[0] + blocked[1], all),
                   share(blocked[0] + blocked[1] + error, all));
        d->without_reuse[INDEX(CLIFF)] = (float)fuller(taken, 0, usable);
        d->without_reuse[INDEX(FORECAST)] = (float)fuller_after(taken, PORTS_FORECAST, rate, 0, usable);
        d->without_reuse[INDEX(EXHAUSTION)] = (float)share(used, all);
        metric_set(d, INDEX(SOURCE_USED), share(source, all), share(source + error, all));
        metric_set(d, INDEX(BIND_FIRST), bind_first, bind_first);
        metric_set(d, INDEX(BIND_ORDER), bind_order, bind_order);
        metric_set(d, INDEX(BIND_USED), bind_used, bind_used + share(error, usable_bind));
        metric_set(d, INDEX(UNANSWERED), d->unanswered, d->unanswered + error);
        metric_set(d, INDEX(SYN_SENT), syn_sent, syn_sent);
        metric_set(d, INDEX(USED), used, used + error);
        metric_set(d, INDEX(REUSABLE), reusable, reusable + error);
        metric_set(d, INDEX(CLIFF_ETA), eta, eta);
}

/* The metrics of sockets that entered TIME_WAIT in the last minute or second, even if reused since. */
static void destination_set_demand(struct ports *ports, unsigned slot)
{
        struct table *t = ports->building;
        struct destination *d = &t->destination[slot];
        double half = fmax((t->usable[0] + t->usable[1]) / 2.0, 1);
        double holders = d->holders[0] + d->holders[1];
        double present = d->blocked[0] + d->blocked[1] + d->reusable[0] + d->reusable[1];
        double minute = fmax(RING_SUM(d->made, t->begun, PORTS_WINDOW), present);
        double second = fmax(RING_SUM(d->made, t->begun, 1u), d->last_second);
        double unseen_minute = history_lacks(t), unseen_second = unseen_minute;
        double relief = minute > 0 ? 100 * minute / (holders + minute) : 0;

        if (d->reuse) {
                unseen_minute += fmax(RING_SUM(ports->hidden[slot], t->begun, PORTS_WINDOW), 0);
                unseen_second += fmax(RING_SUM(ports->hidden[slot], t->begun, HIDDEN_SECONDS), 0) / HIDDEN_SECONDS;
        }
        metric_set(d, INDEX(DEMAND), 100 * (holders + minute) / half, 100 * (holders + minute + unseen_minute) / half);
        metric_set(d, INDEX(REUSE_DEMAND), 100 * (holders + d->last_second) / half,
                   100 * (holders + second + unseen_second) / half);
        metric_set(d, INDEX(RELIEF), relief, relief);
}

/* Sets the maxima from which ports_bounds() starts. */
static void table_set_most(struct table *t)
{
        double half = fmax((t->usable[0] + t->usable[1]) / 2.0, 1);

        t->most_used = 0;
        t->most_source_used = t->most_demand = 0;
        for (unsigned slot = 0; slot < t->slots; slot++) {
                const struct destination *d = &t->destination[slot];

                if (d->id == 0)
                        continue;
                t->most_used = MAX(t->most_used, destination_sockets(d));
                t->most_demand = fmax(t->most_demand, (double)d->upper[INDEX(DEMAND)] / 100 * half);
                t->most_source_used = fmax(t->most_source_used, (double)d->upper[INDEX(SOURCE_USED)] / 100 * 2 * half);
        }
        t->most_used += t->passes;
}

void metrics_set(struct ports *ports, uint64_t recycled)
{
        struct table *t = ports->building;

        for (unsigned i = 0; i < ports->sources; i++)
                source_set_bind_first(ports, i);
        for (unsigned slot = 0; slot < t->slots; slot++) {
                struct destination *d = &t->destination[slot];

                if (d->id == 0)
                        continue;
                free_own_ports(ports, d);
                hidden_add(ports, slot, recycled);
                destination_set_bind_first(ports, d);
                destination_set_present(ports, d);
                destination_set_demand(ports, slot);
        }
        table_set_most(t);
}

unsigned ports_usable(const struct ports *ports)
{
        return ports->shown->usable[0] + ports->shown->usable[1];
}

unsigned ports_parity(const struct ports *ports)
{
        const unsigned *usable = ports->shown->usable;
        unsigned fewer = usable[0] > usable[1];

        return usable[parity_counts(usable, fewer) ? fewer : !fewer];
}

uint64_t ports_seen_at(const struct ports *ports)
{
        return ports->shown->begun;
}

unsigned ports_slots(const struct ports *ports)
{
        return ports->shown->slots;
}

const struct destination *ports_destination(const struct ports *ports, unsigned slot)
{
        return &ports->shown->destination[slot];
}

const struct destination *ports_find(const struct ports *ports, uint64_t id)
{
        return destination_find(ports->shown, id);
}

struct ports_range ports_value(const struct destination *d, unsigned metric)
{
        return (struct ports_range){d->lower[metric - METRIC_PORTS_FIRST], d->upper[metric - METRIC_PORTS_FIRST]};
}

double ports_value_without_reuse(const struct destination *d, unsigned metric)
{
        return (metric <= METRIC_PORTS_FORECAST ? d->without_reuse : d->lower)[metric - METRIC_PORTS_FIRST];
}

/* Toward a destination there is at most one connection on each local port. So each listener changes a destination by
 * at most one: when it comes, by one usable port less; when it goes, by one more socket that counts. */
void ports_bounds(const struct ports *ports, uint64_t opened, uint64_t sockets, unsigned listeners,
                  struct ports_range ret[static METRIC_PORTS_COUNT])
{
        const struct table *t = ports->shown;
        unsigned all = less(t->usable[0] + t->usable[1], listeners);
        unsigned parity = less(ports_parity(ports), listeners);
        double half = fmax(all / 2.0, 1), more = (double)opened + listeners;
        double most = fmin((double)sockets, t->most_used + more);
        const double upper[METRIC_PORTS_COUNT] = {
                [INDEX(CLIFF)] = share(most, parity),
                [INDEX(EXHAUSTION)] = share(most, all),
                /* All sockets of a destination may have come just now. */
                [INDEX(FORECAST)] = share(most * (1 + (double)PORTS_FORECAST / RATE_SECONDS), parity),
                [INDEX(DEMAND)] = 100 * (t->most_demand + more) / half,
                [INDEX(REUSE_DEMAND)] = 100 * (most + more + history_lacks(t)) / half,
                [INDEX(RELIEF)] = most > 0 || t->most_demand > 0 ? 100 : 0,
                [INDEX(SOURCE_USED)] = share(fmin((double)sockets, t->most_source_used + more), all),
                [INDEX(BIND_FIRST)] = 100,
                [INDEX(BIND_ORDER)] = 100,
                [INDEX(BIND_USED)] =
                        share(fmin((double)sockets, t->most_source_used + more), less(t->usable_lower, listeners)),
                [INDEX(REUSED)] = 100,
                [INDEX(SYN_WAITING)] = 100,
                [INDEX(UNANSWERED)] = most,
                [INDEX(SYN_SENT)] = 100,
                [INDEX(USED)] = most,
                [INDEX(REUSABLE)] = most,
                [INDEX(CLIFF_ETA)] = INFINITY,
        };

        for (unsigned i = 0; i < METRIC_PORTS_COUNT; i++)
                ret[i] = (struct ports_range){0, upper[i]};
        if (most < parity || most <= 0)
                ret[INDEX(CLIFF_ETA)].lower = most > 0 ? (parity - most) / most * RATE_SECONDS : INFINITY;
}

struct parity_ports ports_fuller_parity(const struct ports *ports, const struct destination *d)
{
        const unsigned *limit = ports->shown->usable;
        unsigned used[2] = {destination_used(d, 0), destination_used(d, 1)};
        bool odd = !parity_counts(limit, 0) ||
                   (parity_counts(limit, 1) && (uint64_t)used[1] * limit[0] > (uint64_t)used[0] * limit[1]);

        return (struct parity_ports){odd, used[odd], limit[odd]};
}

bool ports_is_listening(const struct ports *ports, unsigned port)
{
        return port_set_has(&ports->listening, port);
}

const struct port_set *ports_listening(const struct ports *ports)
{
        return &ports->listening;
}

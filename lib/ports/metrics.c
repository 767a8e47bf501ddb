/* SPDX-License-Identifier: MIT */
#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "lib/ports/table_internal.h"

#define FORECAST_SECONDS 3
#define SHARED_BY_CHANCE_MIN 50 /* ports: less tells nothing about a program */
#define ON_BIND_PARITY_MIN 0.8  /* of a source's sockets, as long as that parity has ports */

static void usable_count(struct ports *ports)
{
        struct table *t = ports->building;

        t->usable[0] = t->usable[1] = 0;
        for (unsigned i = ports->limits.low / 64; i <= ports->limits.high / 64; i++)
                for (unsigned parity = 0; parity < 2; parity++)
                        t->usable[parity] += (unsigned)__builtin_popcountll(ports->usable.bit[i] &
                                                                            UINT64_C(0x5555555555555555) << parity);
}

/* What was made in the part of the tick that is older than the reuse delay may have been reused already.
 * TWRecycled counts reuses of any age; the share that can be of this tick is bounded by that part. */
static void hidden_add(struct ports *ports, uint64_t recycled)
{
        struct table *t = ports->building;
        uint64_t delay = ports->limits.tw_reuse_delay_ms * NSEC_PER_MSEC;
        uint32_t *second = &t->hidden[t->begun / NSEC_PER_SEC % PORTS_RING];

        if (ports->elapsed > delay) {
                double part = (double)(ports->elapsed - delay) / (double)ports->elapsed;

                *second += (uint32_t)MIN((double)recycled * part, 1e9);
        }
}

static unsigned less(unsigned a, unsigned b)
{
        return a - MIN(a, b);
}

/* Percent. No port at all is no room at all. */
static double share(double part, unsigned whole)
{
        return whole > 0 ? 100 * part / whole : 100;
}

static void destination_set(struct destination *g, unsigned metric, double lower, double upper)
{
        g->lower[metric - METRIC_PORTS_FIRST] = (float)lower;
        g->upper[metric - METRIC_PORTS_FIRST] = (float)upper;
}

static double seconds_to_cliff(const struct destination *g, const unsigned usable[static 2], double rate)
{
        double left = INFINITY;

        for (unsigned p = 0; p < 2; p++)
                left = fmin(left, (double)usable[p] - g->holders[p] - g->blocked[p]);
        return left <= 0 ? 0 : rate > 0 ? left / rate : INFINITY;
}

/* The share of the fuller parity: connect() begins with one parity, bind() with the other. */
static double fuller(const unsigned part[static 2], double more, const unsigned usable[static 2])
{
        return fmax(share(part[0] + more, usable[0]), share(part[1] + more, usable[1]));
}

/* connect() picks a port for each destination anew, so that some ports serve several; bind() picks one that
 * nobody has. Compares the ports that are shared with what chance would share among so many sockets. connect() does
 * not pick by chance alone (it goes on from where it was), so most sockets have to be on bind()'s parity as well. */
static void source_judge(struct ports *ports, unsigned index)
{
        const struct table *t = ports->building;
        struct source *s = &ports->source[index];
        double usable = fmax(t->usable[0] + t->usable[1], 1), unused = 1, chance, shared, bind_parity;

        for (unsigned slot = 0; slot < t->slots; slot++)
                if (t->group[slot].id != 0 && t->group[slot].source == index)
                        unused *= fmax(1 - destination_sockets(&t->group[slot]) / usable, 0);
        chance = s->sockets - usable * (1 - unused);
        shared = s->sockets - s->n;
        bind_parity = t->usable[(ports->limits.low ^ 1) & 1];
        if (chance < SHARED_BY_CHANCE_MIN || s->of_bind < ON_BIND_PARITY_MIN * fmin(s->sockets, bind_parity))
                s->bind_first = 0;
        else
                s->bind_first = 100 * fmax(1 - shared / chance, 0);
}

static void destination_set_present(struct ports *ports, struct destination *g)
{
        const unsigned *usable = ports->building->usable;
        unsigned error = ports->building->passes;
        unsigned blocked[2] = {g->holders[0] + g->blocked[0], g->holders[1] + g->blocked[1]};
        unsigned all[2] = {blocked[0] + g->reusable[0], blocked[1] + g->reusable[1]};
        unsigned reusable = g->reusable[0] + g->reusable[1];
        unsigned used = destination_sockets(g);
        double rate = g->fresh * 1000.0 / ports->window_ms, soon = rate * FORECAST_SECONDS;
        bool has_source = g->source < PORTS_SOURCES && used > 0; /* without sockets it is only remembered */
        unsigned source = has_source ? ports->source[g->source].n : used;
        double bind_first = has_source ? ports->source[g->source].bind_first : 0;

        destination_set(g, METRIC_PORTS_CLIFF, fuller(blocked, 0, usable), fuller(blocked, error, usable));
        destination_set(g, METRIC_PORTS_FORECAST, fuller(blocked, soon, usable),
                        fuller(blocked, soon + error * (1.0 + FORECAST_SECONDS), usable));
        destination_set(g, METRIC_PORTS_EXHAUSTION, share(blocked[0] + blocked[1], usable[0] + usable[1]),
                        share(blocked[0] + blocked[1] + error, usable[0] + usable[1]));
        g->unrelieved[METRIC_PORTS_CLIFF - METRIC_PORTS_FIRST] = (float)fuller(all, 0, usable);
        g->unrelieved[METRIC_PORTS_FORECAST - METRIC_PORTS_FIRST] = (float)fuller(all, soon, usable);
        g->unrelieved[METRIC_PORTS_EXHAUSTION - METRIC_PORTS_FIRST] = (float)share(used, usable[0] + usable[1]);
        destination_set(g, METRIC_PORTS_SOURCE_USED, share(source, usable[0] + usable[1]),
                        share(source + error, usable[0] + usable[1]));
        destination_set(g, METRIC_PORTS_BIND_FIRST, bind_first, bind_first);
        destination_set(g, METRIC_PORTS_USED, used, used + error);
        destination_set(g, METRIC_PORTS_REUSABLE, reusable, reusable + error);
        destination_set(g, METRIC_PORTS_CLIFF_ETA, seconds_to_cliff(g, usable, rate),
                        seconds_to_cliff(g, usable, rate));
}

static void destination_set_demand(struct ports *ports, struct destination *g)
{
        const struct table *t = ports->building;
        double half = (t->usable[0] + t->usable[1]) / 2.0;
        double holders = g->holders[0] + g->holders[1];
        double there = g->blocked[0] + g->blocked[1] + g->reusable[0] + g->reusable[1];
        double minute = fmax(RING_SUM(g->made, t->begun, PORTS_WINDOW), there);
        double second = fmax(RING_SUM(g->made, t->begun, 1u), g->last_second);
        double unseen_minute = t->error, unseen_second = t->error;

        if (g->reuse) {
                unseen_minute += RING_SUM(t->hidden, t->begun, PORTS_WINDOW);
                unseen_second += RING_SUM(t->hidden, t->begun, 1u);
        }
        half = fmax(half, 1);
        destination_set(g, METRIC_PORTS_DEMAND, 100 * (holders + minute) / half,
                        100 * (holders + minute + unseen_minute) / half);
        destination_set(g, METRIC_PORTS_REUSE_DEMAND, 100 * (holders + g->last_second) / half,
                        100 * (holders + second + unseen_second) / half);
        destination_set(g, METRIC_PORTS_RELIEF, minute > 0 ? 100 * minute / (holders + minute) : 0,
                        minute > 0 ? 100 * minute / (holders + minute) : 0);
}

/* What ports_bounds() begins with. */
static void table_set_most(struct table *t)
{
        double half = fmax((t->usable[0] + t->usable[1]) / 2.0, 1);

        t->most_used = 0;
        t->most_source_used = t->most_demand = 0;
        for (unsigned slot = 0; slot < t->slots; slot++) {
                const struct destination *g = &t->group[slot];

                if (g->id == 0)
                        continue;
                t->most_used = MAX(t->most_used, destination_sockets(g));
                t->most_demand = fmax(t->most_demand, ports_value(g, METRIC_PORTS_DEMAND).upper / 100 * half);
                t->most_source_used =
                        fmax(t->most_source_used, ports_value(g, METRIC_PORTS_SOURCE_USED).upper / 100 * 2 * half);
        }
        t->most_used += t->passes;
}

/* Has no socket any more, and made none in the last minute. Nothing is to be decided about it: how long it would be
 * shown goes by when the dumps are made. */
static bool destination_has_ended(const struct table *t, const struct destination *g)
{
        return destination_sockets(g) == 0 && RING_SUM(g->made, t->begun, PORTS_WINDOW) <= 0;
}

void ports_commit(struct ports *ports, uint64_t recycled)
{
        struct table *t = ports->building;

        if (t->passes >= t->error || t->begun - t->error_at > PORTS_WINDOW * NSEC_PER_SEC) {
                t->error = t->passes;
                t->error_at = t->begun;
        }
        usable_count(ports);
        hidden_add(ports, recycled);
        for (unsigned i = 0; i < ports->sources; i++)
                source_judge(ports, i);
        for (unsigned slot = 0; slot < t->slots; slot++) {
                struct destination *g = &t->group[slot];

                if (g->id != 0 && destination_has_ended(t, g))
                        g->id = 0;
                if (g->id == 0)
                        continue;
                destination_set_present(ports, g);
                destination_set_demand(ports, g);
        }
        table_set_most(t);
        ports->building = ports->shown;
        ports->shown = t;
}

unsigned ports_slots(const struct ports *ports)
{
        return ports->shown->slots;
}

const struct destination *ports_destination(const struct ports *ports, unsigned slot)
{
        return &ports->shown->group[slot];
}

struct ports_range ports_value(const struct destination *group, unsigned metric)
{
        return (struct ports_range){group->lower[metric - METRIC_PORTS_FIRST],
                                    group->upper[metric - METRIC_PORTS_FIRST]};
}

double ports_value_unrelieved(const struct destination *group, unsigned metric)
{
        return metric <= METRIC_PORTS_FORECAST ? group->unrelieved[metric - METRIC_PORTS_FIRST]
                                               : group->lower[metric - METRIC_PORTS_FIRST];
}

/* Whoever connects has at most one socket toward a destination on a port, so to a group each listener makes a
 * difference of one: a usable port less when it comes, and when it goes a socket more that counts. */
void ports_bounds(const struct ports *ports, uint64_t opened, uint64_t sockets, unsigned listeners,
                  struct ports_range ret[static METRIC_PORTS_COUNT])
{
        const struct table *t = ports->shown;
        unsigned all = less(t->usable[0] + t->usable[1], listeners);
        unsigned parity = less(MIN(t->usable[0], t->usable[1]), listeners);
        double half = fmax(all / 2.0, 1), more = (double)opened + listeners;
        double most = fmin((double)sockets, t->most_used + more);
        const double upper[METRIC_PORTS_COUNT] = {
#define UPPER(x) [METRIC_PORTS_##x - METRIC_PORTS_FIRST]
                UPPER(CLIFF) = share(most, parity),
                UPPER(EXHAUSTION) = share(most, all),
                /* All of a group's sockets may have come into TIME_WAIT just now. */
                UPPER(FORECAST) = share(most * (1 + (double)FORECAST_SECONDS / RATE_SECONDS), parity),
                UPPER(DEMAND) = 100 * (t->most_demand + more) / half,
                UPPER(REUSE_DEMAND) = 100 * (most + more + t->error) / half,
                UPPER(RELIEF) = most > 0 || t->most_demand > 0 ? 100 : 0,
                UPPER(SOURCE_USED) = share(fmin((double)sockets, t->most_source_used + more), all),
                UPPER(BIND_FIRST) = 100,
                UPPER(USED) = most,
                UPPER(REUSABLE) = most,
                UPPER(CLIFF_ETA) = INFINITY,
#undef UPPER
        };

        for (unsigned i = 0; i < METRIC_PORTS_COUNT; i++)
                ret[i] = (struct ports_range){0, upper[i]};
        if (most > 0 && most < parity)
                ret[METRIC_PORTS_CLIFF_ETA - METRIC_PORTS_FIRST].lower = (parity - most) / most * RATE_SECONDS;
        else if (most <= 0)
                ret[METRIC_PORTS_CLIFF_ETA - METRIC_PORTS_FIRST].lower = INFINITY;
}

double ports_busyness(const struct destination *g)
{
        return fmax(ports_value(g, METRIC_PORTS_FORECAST).lower, ports_value(g, METRIC_PORTS_DEMAND).lower);
}

unsigned ports_most_busy(const struct ports *ports, const struct destination *ret[], unsigned most)
{
        unsigned n = 0;

        for (unsigned slot = 0; slot < ports_slots(ports); slot++) {
                const struct destination *g = ports_destination(ports, slot);
                unsigned at = n;

                if (g->id == 0)
                        continue;
                while (at > 0 && ports_busyness(g) > ports_busyness(ret[at - 1]))
                        at--;
                if (at == most)
                        continue;
                n = MIN(n + 1, most);
                memmove(&ret[at + 1], &ret[at], (n - at - 1) * sizeof(*ret));
                ret[at] = g;
        }
        return n;
}

const struct destination *ports_busiest(const struct ports *ports)
{
        const struct destination *busiest[1];

        return ports_most_busy(ports, busiest, 1) > 0 ? busiest[0] : NULL;
}

unsigned ports_error(const struct ports *ports)
{
        return ports->shown->error;
}

bool ports_is_listening(const struct ports *ports, unsigned port)
{
        return port_set_has(&ports->listening, port);
}

const struct port_set *ports_listening(const struct ports *ports)
{
        return &ports->listening;
}

static const char *address_name(const uint32_t a[static 4], char buf[static INET6_ADDRSTRLEN])
{
        bool v4 = a[0] == 0 && a[1] == 0 && a[2] == htonl(0xffff);

        return inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? &a[3] : a, buf, INET6_ADDRSTRLEN);
}

const char *destination_name(const struct destination *group, char buf[static DESTINATION_NAME_MAX])
{
        char src[INET6_ADDRSTRLEN], dst[INET6_ADDRSTRLEN];
        bool v6;

        address_name(group->key.src, src);
        address_name(group->key.dst, dst);
        v6 = strchr(dst, ':');
        snprintf(buf, DESTINATION_NAME_MAX, "%s->%s%s%s:%u", src, v6 ? "[" : "", dst, v6 ? "]" : "",
                 ntohs(group->key.dport));
        return buf;
}

static bool address_parse(const char *text, size_t n, uint32_t ret[static 4])
{
        char buf[INET6_ADDRSTRLEN];

        if (n >= sizeof(buf))
                return false;
        memcpy(buf, text, n);
        buf[n] = 0;
        if (inet_pton(AF_INET6, buf, ret) == 1)
                return true;
        ret[0] = ret[1] = 0;
        ret[2] = htonl(0xffff);
        return inet_pton(AF_INET, buf, &ret[3]) == 1;
}

int destination_key_parse(const char *name, struct destination_key *ret)
{
        const char *arrow = strstr(name, "->"), *colon = strrchr(name, ':'), *dst, *end;
        struct destination_key key;
        unsigned dport;
        int n = 0;

        if (!arrow || !colon || colon < arrow + 2 || sscanf(colon, ":%5u%n", &dport, &n) != 1 || colon[n] ||
            dport > UINT16_MAX)
                return -EINVAL;
        dst = arrow + 2;
        end = colon;
        if (*dst == '[' && end[-1] == ']')
                dst++, end--;
        if (!address_parse(name, (size_t)(arrow - name), key.src) || !address_parse(dst, (size_t)(end - dst), key.dst))
                return -EINVAL;
        key.dport = htons((uint16_t)dport);
        *ret = key;
        return 0;
}

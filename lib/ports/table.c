/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <math.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>

#include "lib/kernel/diag.h"
#include "lib/ports/table_internal.h"

#define INDEX_FREE UINT16_MAX

/* A SYN is sent again after 1 s (include/net/tcp.h:TCP_TIMEOUT_INIT), and again after 3 s; since Linux 6.5 after 2 s,
 * as the first timeouts are 1 s each (tcp_syn_linear_timeouts; net/ipv4/tcp_timer.c:tcp_retransmit_timer). */
#define UNANSWERED_RETRANS 2

struct ports *ports_new(uint64_t seed)
{
        struct ports *ports = calloc(1, sizeof(*ports));

        if (!ports)
                return NULL;
        key_factors_init(&ports->factors, seed);
        ports->next_id = 1;
        ports->shown = &ports->table[0];
        ports->building = &ports->table[1];
        return ports;
}

void ports_free(struct ports *ports)
{
        free(ports);
}

void *ports_spare(struct ports *ports, size_t *ret_size)
{
        *ret_size = sizeof(*ports->building);
        return ports->building;
}

/* Returns the place of key in the index, or the one where it would be inserted. */
static unsigned index_find(const struct ports *ports, const struct destination_key *key)
{
        const struct table *t = ports->building;
        unsigned i = key_hash(key, &ports->factors) % INDEX_SLOTS;

        while (t->index[i] != INDEX_FREE && !destination_key_equal(&t->destination[t->index[i]].key, key))
                i = (i + 1) % INDEX_SLOTS;
        return i;
}

static void index_rebuild(struct ports *ports)
{
        struct table *t = ports->building;

        memset(t->index, 0xff, sizeof(t->index));
        for (unsigned slot = 0; slot < t->slots; slot++)
                if (t->destination[slot].id != 0)
                        t->index[index_find(ports, &t->destination[slot].key)] = (uint16_t)slot;
}

/* Clears the seconds of the rings that began since the dump before, and some seconds ahead: a dump takes time, and its
 * last sockets may have entered TIME_WAIT after it began. */
static void rings_advance(struct ports *ports, uint64_t from, uint64_t to)
{
        struct table *t = ports->building;
        const uint64_t ahead = PORTS_RING - PORTS_WINDOW - 1;
        uint64_t first = from / NSEC_PER_SEC + ahead + 1, last = to / NSEC_PER_SEC + ahead;

        if (last >= first + PORTS_RING)
                first = last + 1 - PORTS_RING;
        for (uint64_t s = first; s <= last; s++)
                for (unsigned slot = 0; slot < t->slots; slot++) {
                        t->destination[slot].made[s % PORTS_RING] = 0;
                        hidden_set(&ports->hidden[slot][s % PORTS_RING], 0);
                }
}

/* Clears the counts of a destination and keeps its history. Frees its slot if it had no socket in the last dump
 * and none entered TIME_WAIT in the last minute. passed: see window_begin(). */
static void destination_begin(struct destination *d, uint64_t now, bool passed, bool from_start)
{
        struct destination old = *d;

        if (old.id == 0)
                return;
        memset(d, 0, sizeof(*d));
        memcpy(d->holders_then, old.holders_then, sizeof(d->holders_then));
        if (passed) {
                memcpy(d->holders_then[1], d->holders_then[0], sizeof(d->holders_then[0]));
                memcpy(d->holders_then[0], old.holders, sizeof(old.holders));
        }
        d->weight = (uint32_t)ceil(RING_SUM(old.made, now, PORTS_WINDOW)) + (destination_sockets(&old) > 0);
        if (d->weight == 0)
                return;
        d->key = old.key;
        d->id = old.id;
        d->loopback = old.loopback;
        d->from_start = old.from_start && from_start;
        d->cgroup = old.cgroup;
        d->units = old.units;
        d->known = true;
        d->bind_first = old.bind_first;
        memcpy(d->made, old.made, sizeof(d->made));
}

/* connect() rounds the range down to an even number of ports, but not to none (net/ipv4/inet_hashtables.c:
 * __inet_hash_connect, remaining &= ~1U). */
static void usable_begin(struct ports *ports, const struct port_set *reserved)
{
        unsigned size = ports->limits.high - ports->limits.low + 1, n = size > 1 ? size & ~1u : size;

        port_set_clear(&ports->usable);
        for (unsigned port = ports->limits.low; port < ports->limits.low + n; port++)
                port_set_add(&ports->usable, port);
        if (reserved)
                port_set_remove_all(&ports->usable, reserved);
        port_set_remove_all(&ports->usable, &ports->listening);
}

static bool reuse_applies(const struct ports_limits *limits, bool loopback)
{
        return limits->timestamps && (limits->tw_reuse == 1 || (limits->tw_reuse == 2 && loopback));
}

/* Returns the slot of a source address, a new one if there is none yet; PORTS_SOURCES if all are used. */
static uint8_t source_find(struct ports *ports, const uint32_t address[static 4])
{
        struct source *s = ports->source;
        unsigned i;

        for (i = 0; i < ports->sources; i++, s++)
                if (memcmp(s->address, address, sizeof(s->address)) == 0)
                        return (uint8_t)i;
        if (i < PORTS_SOURCES) {
                memset(s, 0, offsetof(struct source, seen));
                port_set_clear(&s->seen);
                memcpy(s->address, address, sizeof(s->address));
                ports->sources++;
        }
        return (uint8_t)i;
}

/* Returns how many ms a TIME_WAIT must still last to be in the next dump: the window of the rates (a tick, or 2 s if
 * that is longer) or 1.5 times the time between the last two dumps (30 s at most: after a pause, few ports would be
 * left to compare), whichever is longer; plus a margin. */
static unsigned stays_ms(const struct ports *ports)
{
        uint64_t apart_ms = ports->elapsed / NSEC_PER_MSEC * 3 / 2;

        return (unsigned)MAX(ports->window_ms, MIN(apart_ms, PORTS_TIME_WAIT_MS / 2)) + WATCH_MARGIN_MS;
}

void ports_begin(struct ports *ports, const struct ports_limits *limits, const struct port_set *reserved,
                 const struct port_set *listening, uint64_t now, uint64_t tick)
{
        struct table *t = ports->building;
        bool passed;

        t->slots = ports->shown->slots;
        memcpy(t->destination, ports->shown->destination, t->slots * sizeof(t->destination[0]));
        t->begun = now;
        t->passes = t->used = t->next_free = 0;
        t->minute = ports->shown->minute;
        memcpy(t->most_passes, ports->shown->most_passes, sizeof(t->most_passes));
        ports->limits = *limits;
        port_set_assign(&ports->listening, listening);
        ports->sources = 0;
        ports->elapsed = ports->shown->begun != 0 ? now - ports->shown->begun : 0;
        ports->window_ms = (unsigned)MIN(MAX(tick / NSEC_PER_MSEC, RATE_SECONDS * UINT64_C(1000)), PORTS_TIME_WAIT_MS);
        passed = window_begin(ports, now);
        t->tw_reuse = limits->timestamps ? limits->tw_reuse : 0;
        t->tw_reuse_delay_ms = limits->tw_reuse_delay_ms;
        t->stays_ms = stays_ms(ports);

        usable_begin(ports, reserved);
        rings_advance(ports, ports->shown->begun, now);
        for (unsigned slot = 0; slot < t->slots; slot++) {
                struct destination *d = &t->destination[slot];

                destination_begin(d, now, passed, ports->dumps < 2);
                if (d->id == 0)
                        continue;
                d->reuse = reuse_applies(limits, d->loopback);
                d->source = source_find(ports, d->key.src);
                t->used++;
        }
        index_rebuild(ports);
        watch_begin(ports);
}

/* Misra-Gries: a destination for which there is no room takes 1 from the weight of every other, and frees the slots of
 * those with no weight left. */
static void destinations_decay(struct ports *ports)
{
        struct table *t = ports->building;
        bool freed = false;

        t->passes++;
        for (unsigned slot = 0; slot < t->slots; slot++)
                if (--t->destination[slot].weight == 0) {
                        t->destination[slot].id = 0;
                        t->used--;
                        freed = true;
                }
        if (freed)
                index_rebuild(ports);
}

/* Returns a free slot; there must be one. */
static unsigned slot_find_free(struct table *t)
{
        assert(t->used < PORTS_DESTINATIONS);
        while (t->next_free < t->slots && t->destination[t->next_free].id != 0)
                t->next_free = (t->next_free + 1) % PORTS_DESTINATIONS;
        return t->next_free;
}

static bool address_is_loopback(const uint32_t a[static 4])
{
        if (address_is_v4(a))
                return (ntohl(a[3]) >> 24) == 127;
        return a[0] == 0 && a[1] == 0 && a[2] == 0 && a[3] == htonl(1);
}

/* One end is enough (net/ipv4/tcp_ipv4.c:tcp_twsk_unique). */
static bool key_is_loopback(const struct destination_key *key)
{
        return address_is_loopback(key->src) || address_is_loopback(key->dst);
}

/* place: where the key belongs in the index. Returns NULL if there is no room; the weights of all others are then
 * reduced. */
static struct destination *destination_insert(struct ports *ports, const struct destination_key *key, unsigned place)
{
        struct table *t = ports->building;
        struct destination *d;
        unsigned slot;

        if (t->used == PORTS_DESTINATIONS) {
                destinations_decay(ports);
                return NULL;
        }
        slot = slot_find_free(t);
        d = &t->destination[slot];
        t->slots = MAX(t->slots, slot + 1);
        t->used++;
        memset(d, 0, offsetof(struct destination, lower));
        d->key = *key;
        d->id = ports->next_id++;
        d->loopback = key_is_loopback(key);
        d->from_start = ports->dumps == 0;
        d->reuse = reuse_applies(&ports->limits, d->loopback);
        d->source = source_find(ports, key->src);
        t->index[place] = (uint16_t)slot;
        return d;
}

void destination_key_of(const struct inet_diag_msg *socket, struct destination_key *key)
{
        const struct inet_diag_sockid *id = &socket->id;

        key->dport = id->idiag_dport;
        if (socket->idiag_family == AF_INET6) {
                memcpy(key->src, id->idiag_src, sizeof(key->src));
                memcpy(key->dst, id->idiag_dst, sizeof(key->dst));
        } else {
                *key = (struct destination_key){{0, 0, htonl(0xffff), id->idiag_src[0]},
                                                {0, 0, htonl(0xffff), id->idiag_dst[0]},
                                                id->idiag_dport};
        }
}

/* Counts one TIME_WAIT. expires_ms counts down from 60 s, and so shows when the socket entered TIME_WAIT
 * (net/ipv4/inet_diag.c:inet_twsk_diag_fill, idiag_expires). The history of a new destination takes each of its
 * sockets, that of a known one only those that came since the previous dump. */
static void time_wait_add(struct ports *ports, struct destination *d, unsigned expires_ms, unsigned parity,
                          uint64_t now)
{
        unsigned age_ms = PORTS_TIME_WAIT_MS - MIN(expires_ms, PORTS_TIME_WAIT_MS);
        uint64_t made_at = now - MIN(age_ms * NSEC_PER_MSEC, now);
        uint16_t *made = &d->made[made_at / NSEC_PER_SEC % PORTS_RING];

        if (d->reuse && age_ms > ports->limits.tw_reuse_delay_ms)
                d->reusable[parity]++;
        else
                d->blocked[parity]++;
        d->fresh += age_ms < ports->fresh_ms;
        d->fresh_odd += parity && age_ms < ports->fresh_ms;
        d->recent += age_ms * NSEC_PER_MSEC < ports->elapsed;
        d->young += age_ms < ports->limits.tw_reuse_delay_ms;
        d->last_second += age_ms < 1000;
        if ((!d->known || age_ms * NSEC_PER_MSEC < ports->elapsed) && *made < UINT16_MAX)
                ++*made;
}

void ports_add_socket(struct ports *ports, const struct inet_diag_msg *socket, size_t length, uint64_t now)
{
        unsigned port = ntohs(socket->id.idiag_sport);
        struct destination *d;
        struct destination_key key;
        unsigned place;
        uint16_t slot;

        if (!port_set_has(&ports->usable, port))
                return;
        destination_key_of(socket, &key);
        place = index_find(ports, &key);
        slot = ports->building->index[place];
        d = slot != INDEX_FREE ? &ports->building->destination[slot] : destination_insert(ports, &key, place);
        if (!d)
                return;

        d->weight++;
        if (d->watched > 0)
                watch_add(ports, d, socket);
        bind_add(ports, d, port, socket);
        if (socket->idiag_state == TCP_TIME_WAIT) {
                time_wait_add(ports, d, socket->idiag_expires, port & 1, now);
                return;
        }
        d->holders[port & 1]++;
        if (socket->idiag_state == TCP_SYN_SENT) {
                d->syn_sent++;
                d->unanswered += socket->idiag_retrans >= UNANSWERED_RETRANS;
        }
        if (!d->cgroup_seen || ports->units)
                unit_add(ports, d, diag_cgroup(socket, length));
}

void ports_give_destination(struct ports *ports, const struct destination *given)
{
        struct destination *d = &ports->shown->destination[0];
        uint64_t id = d->id;

        ports->shown->slots = 1;
        if (!given) {
                d->id = 0;
                return;
        }
        if (id == 0 || !destination_key_equal(&d->key, &given->key))
                id = ports->next_id++;
        *d = *given;
        d->id = id;
        d->loopback = key_is_loopback(&d->key);
}

void ports_give_listening(struct ports *ports, const struct port_set *listening)
{
        port_set_assign(&ports->listening, listening);
}

/* True if it has no socket, and none came into TIME_WAIT in the last minute. Such a destination leaves the table at
 * once: how long it would stay there depends on when dumps are made, and no decision may depend on that. */
static bool destination_has_ended(const struct table *t, const struct destination *d)
{
        return destination_sockets(d) == 0 && RING_SUM(d->made, t->begun, PORTS_WINDOW) <= 0;
}

static void passes_commit(struct table *t)
{
        uint64_t minute = t->begun / (PORTS_WINDOW * NSEC_PER_SEC);

        if (minute != t->minute) {
                t->most_passes[1] = minute == t->minute + 1 ? t->most_passes[0] : 0;
                t->most_passes[0] = 0;
                t->minute = minute;
        }
        t->most_passes[0] = MAX(t->most_passes[0], t->passes);
}

void ports_commit(struct ports *ports, uint64_t recycled)
{
        struct table *t = ports->building;

        passes_commit(t);
        for (unsigned slot = 0; slot < t->slots; slot++) {
                unit_commit(&t->destination[slot]);
                if (t->destination[slot].id != 0 && destination_has_ended(t, &t->destination[slot]))
                        t->destination[slot].id = 0;
        }
        usable_count(ports);
        watch_commit(ports, recycled);
        metrics_set(ports, recycled);
        ports->dumps++;
        ports->building = ports->shown;
        ports->shown = t;
}

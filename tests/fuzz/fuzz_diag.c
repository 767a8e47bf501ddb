/* SPDX-License-Identifier: MIT */
/* A batch of a sock_diag dump, and all that is made of its sockets; the same again a second later. */

#include <math.h>

#include "daemon/observe/internal.h"
#include "lib/kernel/diag.h"
#include "lib/kernel/listeners.h"
#include "text.h"

#define ROUNDED (1 + 1e-6) /* values are floats */
#define NOW (UINT64_C(1000000) * NSEC_PER_SEC)

struct dump {
        struct observer *observer;
        const char *buf, *end;
        unsigned sockets;
};

static void check_attributes(const struct dump *d, const struct inet_diag_msg *socket, size_t length)
{
        uint32_t drops;

        assert((const char *)socket >= d->buf && length >= sizeof(*socket));
        assert(length <= (size_t)(d->end - (const char *)socket));
        for (unsigned type = 0; type <= INET_DIAG_MAX; type++) {
                const char *payload = diag_attribute(socket, length, type, 8, true);

                if (payload)
                        assert(payload >= (const char *)(socket + 1) && payload + 8 <= (const char *)socket + length);
        }
        diag_drops(socket, length, &drops);
}

static void on_socket(void *user, const struct inet_diag_msg *socket, size_t length)
{
        struct dump *d = user;

        d->sockets++;
        check_attributes(d, socket, length);
        listeners_add(&d->observer->listeners, socket, length);
        states_count(d->observer, socket, length);
        ports_add_socket(d->observer->ports, socket, length, d->observer->now);
}

static void check_group(const struct destination *g, const struct ports_range bounds[static METRIC_PORTS_COUNT])
{
        char name[DESTINATION_NAME_MAX];
        struct destination_key key;

        for (unsigned metric = METRIC_PORTS_FIRST; metric <= METRIC_PORTS_LAST; metric++) {
                struct ports_range r = ports_value(g, metric), bound = bounds[metric - METRIC_PORTS_FIRST];

                if (ports_may_be_unknown(metric) && isnan(r.lower) && isnan(r.upper))
                        continue;
                assert(r.lower >= 0 && r.lower <= r.upper);
                assert(bound.lower <= r.lower * ROUNDED && bound.upper * ROUNDED >= r.lower);
        }
        assert(destination_key_parse(destination_name(&g->key, name), &key) == 0);
        assert(key.dport == g->key.dport && memcmp(key.src, g->key.src, sizeof(key.src)) == 0 &&
               memcmp(key.dst, g->key.dst, sizeof(key.dst)) == 0);
}

static void check_ports(const struct ports *ports, unsigned sockets)
{
        const struct destination *busiest = ports_busiest(ports);
        struct ports_range bounds[METRIC_PORTS_COUNT];
        unsigned counted = 0;

        ports_bounds(ports, 0, sockets, 0, bounds);
        for (unsigned slot = 0; slot < ports_slots(ports); slot++) {
                const struct destination *g = ports_destination(ports, slot);

                if (g->id == 0)
                        continue;
                check_group(g, bounds);
                counted += g->holders[0] + g->holders[1] + g->blocked[0] + g->blocked[1] + g->reusable[0] +
                           g->reusable[1];
        }
        assert(counted <= sockets && (busiest != NULL) == (counted > 0));
}

static void check_states(const struct observer *o, unsigned sockets)
{
        unsigned counted = 0;

        for (unsigned i = 0; i < TCP_STATES; i++)
                counted += o->tally.count[i];
        assert(counted == sockets && o->tally.syn_queue.value >= 0 && isfinite(o->tally.syn_queue.value));
        for (unsigned i = 0; i < o->listeners.n; i++) {
                char name[LISTENER_NAME_MAX];

                assert(listener_accept_queue(&o->listeners, &o->listeners.item[i]) >= 0);
                assert(strrchr(listener_name(&o->listeners.item[i], name), ':') != NULL);
        }
}

/* Request and answer go by what the first message says of itself. */
static int take(struct dump *d)
{
        struct nlmsghdr first = {0};
        size_t size = (size_t)(d->end - d->buf);

        memcpy(&first, d->buf, size < sizeof(first) ? size : sizeof(first));
        return sock_diag_take(d->buf, size, first.nlmsg_seq, first.nlmsg_pid, on_socket, d);
}

static void begin(struct observer *o)
{
        static const struct ports_limits limits = {
                .low = 32768, .high = 60999, .tw_reuse = 2, .tw_reuse_delay_ms = 1000, .timestamps = true};
        static const struct port_set listening;

        listeners_begin(&o->listeners);
        states_begin(o);
        ports_begin(o->ports, &limits, NULL, &listening, o->now, NSEC_PER_SEC);
}

static void commit(struct observer *o)
{
        listeners_commit(&o->listeners);
        o->listeners_at = o->now;
        states_commit(o);
        ports_commit(o->ports, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static struct observer o;
        struct dump d = {.observer = &o, .buf = (const char *)data, .end = (const char *)data + size};

        memset(&o.listeners, 0, sizeof(o.listeners));
        memset(&o.close_wait, 0, sizeof(o.close_wait));
        o.ports = ports_new(1);
        for (o.now = NOW; o.now <= NOW + NSEC_PER_SEC; o.now += NSEC_PER_SEC) {
                int r;

                begin(&o);
                d.sockets = 0;
                r = take(&d);
                assert(r <= 1);
                if (r < 0)
                        break; /* what was seen is worth nothing */
                commit(&o);
                check_states(&o, d.sockets);
                check_ports(o.ports, d.sockets);
        }
        ports_free(o.ports);
        return 0;
}

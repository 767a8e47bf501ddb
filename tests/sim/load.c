/* SPDX-License-Identifier: MIT */
#include "load.h"

#include <math.h>
#include <string.h>

#include "lib/util/macro.h"

static unsigned pick(struct story *s, unsigned n)
{
        return random_below(s->random, n);
}

static double between(struct story *s, double low, double high)
{
        return low + (high - low) * (double)random_next(s->random) / (double)UINT64_MAX;
}

/* The rate at which TIME_WAIT fills one parity of the ports. */
static double cliff_rate(const struct story *s)
{
        return s->ports / 2.0 / 60;
}

static void add_light(struct story *s, struct load *l)
{
        for (unsigned i = 0; i < 2; i++)
                l->connects[pick(s, TO_DEAD_PEER)] = cliff_rate(s) * between(s, 0, 0.3);
}

static void add_busy(struct story *s, struct load *l)
{
        l->connects[pick(s, TO_DEAD_PEER)] = cliff_rate(s) * between(s, 0.3, 1.2);
}

static void add_storm(struct story *s, struct load *l)
{
        l->connects[pick(s, TO_DEAD_PEER)] = cliff_rate(s) * between(s, 1, 10);
}

/* Where reuse after a second is at its limit. */
static void add_fierce(struct story *s, struct load *l)
{
        l->connects[pick(s, TO_BOUND_PEER)] = s->ports * between(s, 0.2, 0.7);
        if (pick(s, 4) == 0)
                l->early_resets = between(s, 0, 0.3);
}

static void add_pool(struct story *s, struct load *l)
{
        l->held[pick(s, TO_BOUND_PEER)] = (unsigned)(s->ports * between(s, 0, 0.9));
}

static void add_lossy(struct story *s, struct load *l)
{
        add_storm(s, l);
        l->syn_loss = between(s, 0, 0.5);
        l->resets = between(s, 0, 0.1);
}

static void add_dead_backend(struct story *s, struct load *l)
{
        l->connects[TO_DEAD_PEER] = s->ports / 127.0 * between(s, 0, 1.5);
}

static void add_server(struct story *s, struct load *l)
{
        l->server_closes = between(s, 0, 3000);
}

static void add_vanished(struct story *s, struct load *l)
{
        l->vanished = between(s, 0, 400);
}

static void add_half_closed(struct story *s, struct load *l)
{
        l->half_closed = between(s, 0, 400);
        l->fin_wait2 = pick(s, 5000);
}

static void add_syns(struct story *s, struct load *l)
{
        l->syns = between(s, 0, 100);
}

static void add_slow_program(struct story *s, struct load *l)
{
        l->arrivals = 1000;
        l->accepts = pick(s, 2) ? between(s, 900, 985) : 1100;
}

static void add_leak(struct story *s, struct load *l)
{
        l->leaks = between(s, 0, 3);
}

static void add_dead_peers(struct story *s, struct load *l)
{
        l->dead_peers = between(s, 0, 10);
}

static void add_levels(struct story *s, struct load *l)
{
        l->memory = between(s, 0, 120);
        l->conntrack = between(s, 0, 110);
        l->insert_failed = pick(s, 2) ? between(s, 0, 20) : 0;
}

static void (*const parts[])(struct story *s, struct load *l) = {
        add_light,       add_light, add_busy,         add_busy,         add_storm,      add_storm,
        add_fierce,      add_pool,  add_lossy,        add_dead_backend, add_server,     add_vanished,
        add_half_closed, add_syns,  add_slow_program, add_leak,         add_dead_peers, add_levels,
};

/* Seconds: from a burst to hours. */
static unsigned random_time(struct story *s)
{
        static const unsigned most[] = {20, 60, 200, 600, 2000, 5000};

        return 5 + pick(s, most[pick(s, ELEMENTSOF(most))]);
}

static void begin_load(struct story *s)
{
        memset(&s->base, 0, sizeof(s->base));
        for (unsigned n = s->quiet ? pick(s, 4) : 0; n > 0; n--)
                parts[pick(s, ELEMENTSOF(parts))](s, &s->base);
        s->left = random_time(s);
        s->quiet = !s->quiet;
        s->constant = pick(s, 4) > 0;
        s->on = s->off = 0;
        if (!s->constant && pick(s, 2)) { /* what would make a careless policy flap */
                s->on = 5 + pick(s, 100);
                s->off = 5 + pick(s, 400);
                s->left = MAX(s->left, 4 * (s->on + s->off));
        }
        if (s->base.leaks > 0)
                s->left = MIN(s->left, 1000);
        s->load = s->base;
}

static void wobble(struct story *s)
{
        for (unsigned i = 0; i < TO_STRANGERS; i++)
                s->load.connects[i] = s->base.connects[i] * between(s, 0.3, 1.7);
        s->load.vanished = s->base.vanished * between(s, 0.5, 1.5);
        s->load.syns = s->base.syns * between(s, 0.5, 1.5);
}

static void come_and_go(struct story *s)
{
        unsigned phase = s->left % (s->on + s->off);

        if (phase < s->on)
                s->load = s->base;
        else
                s->load = (struct load){0};
}

void story_begin(struct story *s, struct random *random, unsigned ports)
{
        *s = (struct story){.random = random, .ports = ports};
}

bool story_next(struct story *s)
{
        if (s->left == 0) {
                begin_load(s);
                return true;
        }
        s->left--;
        if (s->constant)
                return false;
        if (s->on > 0)
                come_and_go(s);
        else
                wobble(s);
        return true;
}

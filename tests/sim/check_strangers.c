/* SPDX-License-Identifier: MIT */
/* The same load on the same host twice: alone, and beside strangers, whose connections never need a rule. Each
 * decision has to be the same. Then with twtuned and without: in small and in large tables of TIME_WAIT it opens no
 * fewer connections. TEST_SEED=N takes other hosts. */

#include <math.h>

#include "../unit/host.h"
#include "invariants.h"

#define HOSTS 12
#define TICKS_APART 2u
#define BEFORE 75u /* seconds of a light load: the minute before is known */
#define REST 420u  /* what is held is given back */
#define DECISIONS_MAX 64u

enum work {
        WORK_REUSED,    /* TIME_WAIT can be reused, and has to be */
        WORK_OLD_PEER,  /* it cannot, and stock is past the cliff */
        WORK_NO_PORTS,  /* it cannot, and no port is left */
        WORK_BINDS,     /* the program binds first: reuse is not tried */
        WORK_FIERCE,    /* reuse after a second is at its limit */
        WORK_HARMED,    /* a peer that answers late where a port is reused; others are taken as well */
        WORK_TWO_PEERS, /* one that uses timestamps and one that does not */
        WORKS,
};

/* What has to be decided about each, at least, when nobody else is there. */
static const struct {
        const char *name;
        unsigned to;
        double cliffs; /* times the rate that fills one parity of the ports with TIME_WAIT */
        enum audit_kind kind;
        const char *rule;
} works[WORKS] = {
        [WORK_REUSED] = {"reused", TO_PEER, 5, AUDIT_RELEASED, "time-wait-reuse"},
        [WORK_OLD_PEER] = {"old peer", TO_OLD_PEER, 1.5, AUDIT_UNEXPECTED_EFFECT, "time-wait-reuse"},
        [WORK_NO_PORTS] = {"no ports", TO_OLD_PEER, 40, AUDIT_UNEXPECTED_EFFECT, "time-wait-reuse"},
        [WORK_BINDS] = {"binds", TO_BOUND_PEER, 1.5, AUDIT_ADVICE, "bind-before-connect"},
        [WORK_FIERCE] = {"fierce", TO_PEER, 45, AUDIT_RELEASED, "time-wait-reuse-sooner"},
        [WORK_HARMED] = {"harmed", TO_PEER, 5, AUDIT_ABORTED, "time-wait-reuse"},
        [WORK_TWO_PEERS] = {"two peers", TO_OTHER_PEER, 5, AUDIT_APPLIED, "time-wait-reuse"},
};

struct decided {
        unsigned tick;
        char what[240]; /* KIND RULE SYSCTL GROUP */
};

/* The result of one life of a host. */
struct life {
        struct decided decision[DECISIONS_MAX];
        unsigned n;
        uint64_t opened;
        int64_t table; /* tcp_max_tw_buckets when the work ends */
};

static struct life *noting;

static void note(struct sim *sim, const struct audit_text *event)
{
        struct decided *d = &noting->decision[noting->n];
        /* What is given back is so because no destination needs it: it may name any. */
        const char *group = event->kind == AUDIT_RELEASED ? "" : sim_event_field(event, "GROUP");

        if (sim_event_field(event, "RULE")[0] == 0)
                return;
        if (strcmp(sim_event_field(event, "RULE"), "backend-silent") == 0)
                return; /* said of the strangers that connect to nobody */
        ck_assert_uint_lt(noting->n++, DECISIONS_MAX);
        d->tick = sim->ticks;
        snprintf(d->what, sizeof(d->what), "%s %s %s %s", audit_kinds[event->kind].name,
                 sim_event_field(event, "RULE"), sim_event_field(event, "SYSCTL"), group);
}

static double cliff_rate(unsigned ports)
{
        return ports / 2.0 / 60;
}

static void add_work(struct load *load, enum work work, unsigned ports, double share)
{
        load->connects[works[work].to] = cliff_rate(ports) * works[work].cliffs * share;
        if (work == WORK_HARMED)
                load->reuse_waits = 0.9;
        if (work == WORK_TWO_PEERS)
                load->connects[TO_OLD_PEER] = cliff_rate(ports) * 0.4;
}

struct place {
        char name[96];
        uint64_t seed;
        unsigned ports, worked, strangers_at;
        bool reuse, silence; /* what strangers do: connect on loopback; to nobody, while others scan this host */
};

/* Each destination is well under every threshold, also if it has five times as much, as far as a tick can tell while
 * ports are reused after 250 ms. */
static void add_strangers(struct load *load, const struct place *h)
{
        load->connects[TO_STRANGE_PEER] = cliff_rate(h->ports) * 0.05;
        if (h->reuse)
                load->connects[TO_STRANGE_LOOPBACK] = load->connects[TO_STRANGE_SERVICE] = h->ports / 2.0 * 0.05;
        if (h->silence) {
                load->connects[TO_NOWHERE] = h->ports / 2.0 / 127 * 0.2;
                load->scans = 1000;
        }
}

static struct place place_of(unsigned run, const char *what)
{
        struct random random = {random_start().seed, random_start().seed + ((uint64_t)run << 32)};
        struct place h = {.seed = random_next(&random)};

        h.ports = 2000 + 2 * random_below(&random, 1000); /* the rates that hurt are tens a second and more */
        h.worked = 100 + random_below(&random, 100);
        h.strangers_at = random_below(&random, 2) ? 0 : BEFORE + random_below(&random, 30);
        h.reuse = run % 3 != 0;
        h.silence = run % 3 != 1;
        snprintf(h.name, sizeof(h.name), "TEST_SEED=%" PRIu64 ", host %u, %s", random.seed, run, what);
        return h;
}

/* tuned: twtuned runs. table: tcp_max_tw_buckets; 0: plenty. */
static void live(const struct place *h, struct load work, bool strangers, bool tuned, unsigned table, struct life *ret)
{
        struct sim *s = sim_new(h->seed, KERNEL_PORT_BASE, h->ports);
        static struct invariants invariants;

        *ret = (struct life){0};
        noting = ret;
        ck_assert_ptr_nonnull(s);
        if (table > 0)
                s->kernel.sysctl[SYSCTL_TCP_MAX_TW_BUCKETS] = SYSCTL_VALUE(table);
        invariants_begin(&invariants, s, h->name);
        s->on_event = note;
        ck_assert(!tuned || sim_start(s, shipped_policy(), NULL));
        for (unsigned t = 0; t < BEFORE + h->worked + REST; t++) {
                struct load load = {0};

                if (t < BEFORE + h->worked)
                        load = work;
                for (unsigned to = 0; to < TO_STRANGERS && t < BEFORE; to++)
                        load.connects[to] = fmin(load.connects[to], cliff_rate(h->ports) * 0.3);
                if (strangers && t >= h->strangers_at)
                        add_strangers(&load, h);
                sim_run(s, &load, 1000);
                ck_assert(!tuned || sim_tick(s));
                if (t == BEFORE + h->worked - 1)
                        ret->table = s->kernel.sysctl[SYSCTL_TCP_MAX_TW_BUCKETS].v[0];
        }
        ret->opened = (uint64_t)s->kernel.counter[KERNEL_ACTIVE_OPENS];
        s->on_event = NULL;
        ck_assert(!tuned || sim_stop(s));
        sim_free(s);
}

static void print(const char *what, const struct life *life)
{
        for (unsigned i = 0; i < life->n; i++)
                fprintf(stderr, "#   %s: tick %u: %s\n", what, life->decision[i].tick, life->decision[i].what);
}

static bool has(const struct life *life, enum work work)
{
        char expected[120];

        snprintf(expected, sizeof(expected), "%s %s ", audit_kinds[works[work].kind].name, works[work].rule);
        for (unsigned i = 0; i < life->n; i++)
                if (strncmp(life->decision[i].what, expected, strlen(expected)) == 0)
                        return true;
        return false;
}

static bool same(const struct life *a, const struct life *b)
{
        for (unsigned i = 0; i < a->n && a->n == b->n; i++)
                if (strcmp(a->decision[i].what, b->decision[i].what) != 0 ||
                    a->decision[i].tick > b->decision[i].tick + TICKS_APART ||
                    b->decision[i].tick > a->decision[i].tick + TICKS_APART)
                        return false;
        return a->n == b->n;
}

/* _i: the work, and by which of the hosts */
START_TEST(strangers_change_nothing)
{
        static struct life alone, beside;
        enum work work = (enum work)_i % WORKS;
        struct place h = place_of((unsigned)_i / WORKS, works[work].name);
        struct load load = {0};

        add_work(&load, work, h.ports, 1);
        live(&h, load, false, true, 0, &alone);
        live(&h, load, true, true, 0, &beside);
        if (!has(&alone, work) || !same(&alone, &beside)) {
                print("alone", &alone);
                print("beside strangers", &beside);
        }
        ck_assert_msg(has(&alone, work), "%s: %s is not decided", h.name, audit_kinds[works[work].kind].name);
        ck_assert_msg(same(&alone, &beside), "%s: strangers change what is decided", h.name);
}
END_TEST

/* A table that is smaller than half of the ports hides that none can be reused, and a larger one would not. */
START_TEST(no_host_opens_fewer_connections)
{
        static const struct {
                enum work work;
                double share;
        } loads[] = {{WORK_OLD_PEER, 0.5}, {WORK_OLD_PEER, 1}, {WORK_OLD_PEER, 3}, {WORK_NO_PORTS, 1},
                     {WORK_BINDS, 1},      {WORK_BINDS, 20},   {WORK_REUSED, 1},   {WORK_FIERCE, 1}};
        static struct life stock, tuned;
        unsigned which = (unsigned)_i % ELEMENTSOF(loads);
        struct place h = place_of((unsigned)_i / ELEMENTSOF(loads), works[loads[which].work].name);
        struct load load = {0};

        add_work(&load, loads[which].work, h.ports, loads[which].share);
        for (unsigned small = 0; small < 2; small++) {
                unsigned table = small ? h.ports * 3 / 10 : h.ports * 6 / 5;

                live(&h, load, false, false, table, &stock);
                live(&h, load, false, true, table, &tuned);
                if (tuned.opened < stock.opened * 99 / 100)
                        print("decided", &tuned);
                ck_assert_msg(tuned.opened >= stock.opened * 99 / 100,
                              "%s, %.1f cliffs, a table of %u for %u ports: %" PRIu64
                              " connections, on stock %" PRIu64,
                              h.name, works[loads[which].work].cliffs * loads[which].share, table, h.ports,
                              tuned.opened, stock.opened);
        }
}
END_TEST

/* Where reuse does harm, it is put back, and a table that is full of what cannot be reused then is as it was. */
START_TEST(a_table_goes_back_with_reuse)
{
        static struct life life;
        struct place h = place_of((unsigned)_i, "a small table");
        unsigned table = h.ports * 3 / 10;
        struct load load = {0};

        add_work(&load, WORK_HARMED, h.ports, 1);
        live(&h, load, false, true, table, &life);
        if (!has(&life, WORK_HARMED) || life.table != table)
                print("decided", &life);
        ck_assert_msg(has(&life, WORK_HARMED), "%s: reuse is not put back", h.name);
        ck_assert_msg(life.table == table, "%s: the table is %" PRId64 ", and was %u", h.name, life.table, table);
}
END_TEST

static void add(TCase *tcase)
{
        tcase_set_timeout(tcase, 3600);
        tcase_add_loop_test(tcase, strangers_change_nothing, 0, HOSTS * WORKS);
        tcase_add_loop_test(tcase, no_host_opens_fewer_connections, 0, HOSTS * 8);
        tcase_add_loop_test(tcase, a_table_goes_back_with_reuse, 0, HOSTS);
}

int main(void)
{
        return run_suite("strangers", add);
}

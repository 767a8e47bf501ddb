/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <math.h>
#include <stdio.h>

#include "lib/ports/table_internal.h"
#include "ports_host.h"
#include "random.h"
#include "run.h"

static double upper(unsigned metric)
{
        return ports_value(ports_busiest(ports), metric).upper;
}

START_TEST(nothing_is_no_group)
{
        model_dump(&model, ports, &limits, START, 0);
        ck_assert_ptr_null(ports_busiest(ports));
}
END_TEST

START_TEST(an_ended_group_is_not_shown)
{
        add_many(3, TCP_ESTABLISHED, 0);
        model_dump(&model, ports, &limits, START, 0);
        ck_assert_ptr_nonnull(ports_busiest(ports));
        model.n = 0;
        model_dump(&model, ports, &limits, START + SEC, 0);
        ck_assert_ptr_null(ports_busiest(ports));
}
END_TEST

START_TEST(holders_fill_one_parity)
{
        add_many(7058, TCP_ESTABLISHED, 0);
        model_dump(&model, ports, &limits, START, 0);
        ck_assert_double_eq_tol(lower(METRIC_PORTS_CLIFF), 50, 0.01);
        ck_assert_double_eq_tol(lower(METRIC_PORTS_EXHAUSTION), 25, 0.01);
        ck_assert_double_eq_tol(lower(METRIC_PORTS_DEMAND), 50, 0.01);
        ck_assert_double_eq(lower(METRIC_PORTS_RELIEF), 0);
        ck_assert_double_eq(lower(METRIC_PORTS_USED), 7058);
        ck_assert_double_eq_tol(lower(METRIC_PORTS_SOURCE_USED), 25, 0.01);
        ck_assert(isinf(lower(METRIC_PORTS_CLIFF_ETA)));
}
END_TEST

/* 1000 a second for 5 s, as the dumps of each second show them. */
START_TEST(forecast_sees_the_rate)
{
        for (uint64_t s = 1; s <= 5; s++) {
                for (unsigned i = 0; i < 1000; i++)
                        model_add(&model, TCP_TIME_WAIT, SERVER, 80, START + (s - 1) * SEC + i * NSEC_PER_MSEC);
                model_dump(&model, ports, &limits, START + s * SEC, 0);
        }
        ck_assert_double_eq_tol(lower(METRIC_PORTS_CLIFF), 100 * 5000 / HALF, 0.1);
        ck_assert_double_eq_tol(lower(METRIC_PORTS_FORECAST), 100 * 8000 / HALF, 0.1);
        ck_assert_double_eq_tol(lower(METRIC_PORTS_DEMAND), 100 * 5000 / HALF, 0.1);
        ck_assert_double_eq_tol(lower(METRIC_PORTS_REUSE_DEMAND), 100 * 1000 / HALF, 0.1);
        ck_assert_double_eq_tol(lower(METRIC_PORTS_CLIFF_ETA), 9.116, 0.01);
        ck_assert_double_eq(lower(METRIC_PORTS_RELIEF), 100);
}
END_TEST

START_TEST(reuse_frees_what_is_old_enough)
{
        add_many(2000, TCP_TIME_WAIT, START - 5 * SEC);
        add_many(500, TCP_TIME_WAIT, START - SEC / 2);
        limits.tw_reuse = 1;
        model_dump(&model, ports, &limits, START, 0);
        ck_assert_double_eq(lower(METRIC_PORTS_REUSABLE), 2000);
        ck_assert_double_eq_tol(lower(METRIC_PORTS_CLIFF), 100 * 500 / HALF, 0.01);
        ck_assert_double_eq_tol(lower(METRIC_PORTS_DEMAND), 100 * 2500 / HALF, 0.01);

        limits.timestamps = false;
        model_dump(&model, ports, &limits, START + 1, 0);
        ck_assert_double_eq(lower(METRIC_PORTS_REUSABLE), 0);
}
END_TEST

/* tcp_tw_reuse = 2 is for the loopback alone: by either end, IPv4, IPv6 and mapped. */
START_TEST(reuse_2_is_for_the_loopback)
{
        static const struct {
                int family;
                uint32_t src, dst;
                bool reused;
        } rows[] = {
                {AF_INET, 0x7f000001, 0x7f000001, true},  {AF_INET6, 0x7f000001, 0x7f010203, true},
                {AF_INET, 0x7f000001, 0x0a000002, true},  {AF_INET, 0x0a000001, 0x7f000001, true},
                {AF_INET, 0x0a000001, 0x0a000001, false}, {AF_INET6, 0x0a000001, 0x0a000002, false},
        };

        for (unsigned i = 0; i < ELEMENTSOF(rows); i++) {
                struct model_socket *s;

                model.n = 0;
                s = model_add(&model, TCP_TIME_WAIT, rows[i].dst, 80, START - 2 * SEC);
                s->family = rows[i].family;
                s->src = rows[i].src;
                ports_free(ports);
                ports = ports_new(1);
                model_dump(&model, ports, &limits, START, 0);
                ck_assert_msg(lower(METRIC_PORTS_REUSABLE) == rows[i].reused, "row %u", i);
        }
}
END_TEST

static void add_ipv6(uint32_t first_word)
{
        struct inet_diag_msg m = {.idiag_family = AF_INET6, .idiag_state = TCP_TIME_WAIT, .idiag_expires = 1000};

        m.id.idiag_sport = htons(40000);
        m.id.idiag_dport = htons(80);
        m.id.idiag_src[0] = m.id.idiag_dst[0] = htonl(first_word);
        m.id.idiag_src[3] = m.id.idiag_dst[3] = htonl(1);
        ports_begin(ports, &limits, NULL, &no_ports, START, SEC);
        ports_add_socket(ports, &m, sizeof(m), START);
        ports_commit(ports, 0);
}

START_TEST(ipv6_loopback)
{
        char name[DESTINATION_NAME_MAX];

        add_ipv6(0);
        ck_assert_double_eq(lower(METRIC_PORTS_REUSABLE), 1);
        ck_assert_str_eq(destination_name(&ports_busiest(ports)->key, name), "::1->[::1]:80");
        ck_assert(ports_busiest(ports)->loopback);
}
END_TEST

START_TEST(ipv6_elsewhere)
{
        char name[DESTINATION_NAME_MAX];

        add_ipv6(0xfd000000);
        ck_assert_double_eq(lower(METRIC_PORTS_REUSABLE), 0);
        ck_assert_str_eq(destination_name(&ports_busiest(ports)->key, name), "fd00::1->[fd00::1]:80");
        ck_assert(!ports_busiest(ports)->loopback);
}
END_TEST

START_TEST(names_that_are_none_are_refused)
{
        static const char *const names[] = {
                "",
                "10.0.0.1",
                "10.0.0.1:80",
                "10.0.0.1->10.0.0.2",
                "10.0.0.1->10.0.0.2:",
                "10.0.0.1->10.0.0.2:80x",
                "10.0.0.1->10.0.0.2:65536",
                "10.0.0.1->:80",
                "->10.0.0.2:80",
                "10.0.0.256->10.0.0.2:80",
                "fd00:1111:2222:3333:4444:5555:6666:7777:8888:9999->10.0.0.2:80", /* longer than any address */
        };
        struct destination_key key;

        for (unsigned i = 0; i < ELEMENTSOF(names); i++)
                ck_assert_msg(destination_key_parse(names[i], &key) == -EINVAL, "%s", names[i]);
        ck_assert_int_eq(destination_key_parse("fd00::1->[fd00::2]:80", &key), 0);
        ck_assert_uint_eq(ntohl(key.dst[3]), 2);
        ck_assert_uint_eq(ntohs(key.dport), 80);
}
END_TEST

START_TEST(mapped_counts_as_ipv4)
{
        char name[DESTINATION_NAME_MAX];

        add_many(10, TCP_ESTABLISHED, 0);
        for (unsigned i = 0; i < 5; i++)
                model.socket[i].family = AF_INET6;
        model_dump(&model, ports, &limits, START, 0);
        ck_assert_double_eq(lower(METRIC_PORTS_USED), 10);
        ck_assert_str_eq(destination_name(&ports_busiest(ports)->key, name), "10.0.0.1->10.0.0.2:80");
}
END_TEST

/* FIN_WAIT_2 minisockets are never reused (tcp_twsk_unique looks at substate TIME_WAIT alone). */
START_TEST(fin_wait2_is_a_holder)
{
        limits.tw_reuse = 1;
        add_many(100, TCP_FIN_WAIT2, 0);
        model_dump(&model, ports, &limits, START, 0);
        ck_assert_double_eq(lower(METRIC_PORTS_REUSABLE), 0);
        ck_assert_double_eq(lower(METRIC_PORTS_RELIEF), 0);
        ck_assert_double_eq_tol(lower(METRIC_PORTS_CLIFF), 100 * 100 / HALF, 0.01);
}
END_TEST

START_TEST(server_flows_stay_out)
{
        struct port_set listening = {0};
        struct model_socket *s;

        for (unsigned i = 0; i < 1000; i++) {
                s = model_add(&model, TCP_TIME_WAIT, SERVER + i, 5000, START - SEC);
                s->sport = i < 500 ? 80 : 40000; /* under the range, and a listener inside it */
        }
        port_set_add(&listening, 40000);
        ports_begin(ports, &limits, NULL, &listening, START, SEC);
        model_feed(&model, ports, START);
        ports_commit(ports, 0);
        ck_assert_ptr_null(ports_busiest(ports));
        ck_assert(ports_is_listening(ports, 40000));
        ck_assert(!ports_is_listening(ports, 40001));
}
END_TEST

START_TEST(reserved_ports_are_not_usable)
{
        ck_assert_int_eq(port_set_parse("32768-46883\n", &model.reserved), 0); /* half of both parities */
        for (unsigned i = 0; i < 7058; i++)
                model_add(&model, TCP_ESTABLISHED, SERVER, 80, 0)->sport = (uint16_t)(46884 + 2 * i);
        model_dump(&model, ports, &limits, START, 0);
        ck_assert_double_eq_tol(lower(METRIC_PORTS_CLIFF), 100, 0.01);
}
END_TEST

START_TEST(no_usable_port_is_full)
{
        limits.low = 40000;
        limits.high = 40001;
        model_add(&model, TCP_ESTABLISHED, SERVER, 80, 0)->sport = 40000;
        model_dump(&model, ports, &limits, START, 0);
        ck_assert_double_eq(lower(METRIC_PORTS_CLIFF), 100);
        ck_assert_double_eq(lower(METRIC_PORTS_EXHAUSTION), 50);
        ck_assert_double_eq(lower(METRIC_PORTS_CLIFF_ETA), 0);
}
END_TEST

/* __inet_hash_connect rounds an odd range down: the last port is never picked. */
START_TEST(an_odd_range_loses_its_last_port)
{
        limits.low = 40000;
        limits.high = 40002;
        model_add(&model, TCP_ESTABLISHED, SERVER, 80, 0)->sport = 40002;
        model_dump(&model, ports, &limits, START, 0);
        ck_assert_ptr_null(ports_busiest(ports));
}
END_TEST

/* But a range of one port keeps it (measured). */
START_TEST(a_range_of_one_port_is_full_with_one_socket)
{
        limits.low = limits.high = 40000 + (unsigned)_i;
        model_add(&model, TCP_ESTABLISHED, SERVER, 80, 0)->sport = (uint16_t)limits.low;
        model_dump(&model, ports, &limits, START, 0);
        ck_assert_uint_eq(ports_usable(ports), 1);
        ck_assert_double_eq(lower(METRIC_PORTS_CLIFF), 100);
        ck_assert_double_eq(lower(METRIC_PORTS_EXHAUSTION), 100);
}
END_TEST

/* A kernel that reuses every port after a second shows no more than a second's worth, but the demand is known:
 * 300 a second for 90 s is 18,000 in 60 s. */
START_TEST(demand_remembers_what_was_reused)
{
        limits.tw_reuse = 1;
        for (uint64_t s = 1; s <= 90; s++) {
                model.n = 0;
                for (unsigned i = 0; i < 300; i++)
                        model_add(&model, TCP_TIME_WAIT, SERVER, 80, START + s * SEC - i * 3 * NSEC_PER_MSEC - 1);
                model_dump(&model, ports, &limits, START + s * SEC, 300);
        }
        ck_assert_double_eq_tol(lower(METRIC_PORTS_DEMAND), 100 * 18000 / HALF, 1);
        ck_assert_double_eq_tol(upper(METRIC_PORTS_DEMAND), 100 * 18000 / HALF, 1);

        for (uint64_t s = 91; s <= 120; s++) { /* the load ends */
                model.n = 0;
                model_dump(&model, ports, &limits, START + s * SEC, 0);
        }
        ck_assert_double_eq_tol(lower(METRIC_PORTS_DEMAND), 100 * 9000 / HALF, 2.5);
        for (uint64_t s = 121; s <= 152; s++)
                model_dump(&model, ports, &limits, START + s * SEC, 0);
        ck_assert_ptr_null(ports_busiest(ports));
}
END_TEST

/* With a delay of 250 ms three quarters of a second's TIME_WAIT may be gone at the dump: TWRecycled bounds it. */
START_TEST(upper_end_holds_what_no_dump_shows)
{
        limits.tw_reuse = 1;
        limits.tw_reuse_delay_ms = 250;
        for (uint64_t s = 1; s <= 70; s++) {
                model.n = 0;
                for (unsigned i = 0; i < 250; i++)
                        model_add(&model, TCP_TIME_WAIT, SERVER, 80, START + s * SEC - i * NSEC_PER_MSEC - 1);
                model_dump(&model, ports, &limits, START + s * SEC, 1000);
        }
        ck_assert_double_eq_tol(lower(METRIC_PORTS_DEMAND), 100 * 250 * 60 / HALF, 2);
        ck_assert_double_ge(upper(METRIC_PORTS_DEMAND), 100 * 1000 * 59 / HALF);
        ck_assert_double_ge(upper(METRIC_PORTS_REUSE_DEMAND), 100 * 990 / HALF);
}
END_TEST

/* How many sockets the upper end of ports.demand counts for what no dump showed, toward a destination without
 * reuse. */
static double unseen(void)
{
        return round((upper(METRIC_PORTS_DEMAND) - lower(METRIC_PORTS_DEMAND)) * HALF / 100);
}

static void dump_crowd(unsigned destinations, uint64_t now)
{
        model.n = 0;
        for (unsigned i = 0; i < destinations; i++)
                model_add(&model, TCP_ESTABLISHED, SERVER + 1 + i, 80, 0);
        model_dump(&model, ports, &limits, now, 0);
}

/* For a minute a history may lack the sockets that gave way in a dump, also if an earlier dump had more of these. */
START_TEST(what_gave_way_counts_for_a_minute)
{
        double more, fewer;

        dump_crowd(5 * PORTS_DESTINATIONS, START);
        more = unseen();
        dump_crowd(3 * PORTS_DESTINATIONS, START + 59 * SEC);
        ck_assert_double_eq(unseen(), more);
        dump_crowd(10, START + 61 * SEC);
        fewer = unseen();
        ck_assert(fewer >= 2);
        dump_crowd(10, START + 118 * SEC);
        ck_assert(unseen() >= 2);
        dump_crowd(10, START + 200 * SEC);
        ck_assert_double_eq(unseen(), 0);
}
END_TEST

/* A destination that gives way to many others leaves nothing to the one that comes into its slot. */
START_TEST(a_new_destination_begins_without_history)
{
        const unsigned n = 50 * PORTS_DESTINATIONS + 28; /* after which no slot is free */

        limits.tw_reuse = 1;
        add_many(10, TCP_TIME_WAIT, START - SEC / 2);
        model_dump(&model, ports, &limits, START, 0);
        model.n = 0;
        add_many(10, TCP_TIME_WAIT, START + 3 * SEC / 2);
        model_dump(&model, ports, &limits, START + 2 * SEC, 100);
        ck_assert_double_eq_tol(upper(METRIC_PORTS_DEMAND), 100 * 30 / HALF,
                                0.01); /* 20, and 10 that no dump showed */
        model.n = 0;
        for (unsigned i = 1; i <= n; i++)
                model_add(&model, TCP_ESTABLISHED, SERVER + i, 80, 0);
        model_dump(&model, ports, &limits, START + 4 * SEC, 0);
        ck_assert_uint_eq(ports_slots(ports), PORTS_DESTINATIONS);
        for (unsigned slot = 0; slot < PORTS_DESTINATIONS; slot++) {
                const struct destination *d = ports_destination(ports, slot);

                ck_assert(d->id != 0 && ntohl(d->key.dst[3]) != SERVER);
                ck_assert_double_eq(ports_value(d, METRIC_PORTS_DEMAND).upper, upper(METRIC_PORTS_DEMAND));
        }
}
END_TEST

START_TEST(a_failed_dump_leaves_no_trace)
{
        double before;

        add_many(1000, TCP_TIME_WAIT, START - SEC);
        model_dump(&model, ports, &limits, START, 0);
        before = lower(METRIC_PORTS_DEMAND);
        add_many(5000, TCP_TIME_WAIT, START);
        for (unsigned i = 0; i < 3; i++) {
                ports_begin(ports, &limits, NULL, &no_ports, START + SEC, SEC);
                model_feed(&model, ports, START + SEC);
                ck_assert_double_eq(lower(METRIC_PORTS_DEMAND), before);
        }
        model_dump(&model, ports, &limits, START + SEC, 0);
        ck_assert_double_eq_tol(lower(METRIC_PORTS_DEMAND), 100 * 6000 / HALF, 0.1);
}
END_TEST

/* With reuse, so that the ports of the busiest are compared from dump to dump. */
START_TEST(nothing_is_needed_of_the_spare)
{
        struct ports *other = ports_new(42);
        struct random random = random_start();

        limits.tw_reuse = 1;
        limits.high = limits.low + 1023;
        model.ports = 1024;
        for (unsigned second = 0; second < 100; second++) {
                uint64_t now = START + second * SEC;
                size_t size;
                void *spare;

                model_expire(&model, now);
                for (unsigned i = random_below(&random, 400); i > 0; i--)
                        model_add(&model, TCP_TIME_WAIT, SERVER + random_below(&random, second % 50 < 25 ? 3 : 900),
                                  80, now - random_below(&random, SEC));
                model_dump(&model, ports, &limits, now, 100);
                model_dump(&model, other, &limits, now, 100);
                spare = ports_spare(other, &size);
                memset(spare, 0, size);
                ck_assert_uint_eq(ports_slots(ports), ports_slots(other));
                for (unsigned slot = 0; slot < ports_slots(ports); slot++) {
                        const struct destination *a = ports_destination(ports, slot),
                                                 *b = ports_destination(other, slot);

                        ck_assert(a->id == b->id && a->watched == b->watched);
                        ck_assert_mem_eq(a->made, b->made, sizeof(a->made));
                        ck_assert_mem_eq(a->lower, b->lower, sizeof(a->lower));
                        ck_assert_mem_eq(a->upper, b->upper, sizeof(a->upper));
                }
        }
        ck_assert_double_gt(lower(METRIC_PORTS_REUSED), 0);
        model.ports = 0;
        ports_free(other);
}
END_TEST

/* Every group over N / PORTS_GROUPS is there, and no count is short by more than the error. */
START_TEST(misra_gries_keeps_the_heavy_groups)
{
        struct random random = random_start();
        unsigned count[2000] = {0}, n = 100000;
        double error;

        random.state += (unsigned)_i;
        ports_begin(ports, &limits, NULL, &no_ports, START, SEC);
        for (unsigned i = 0; i < n; i++) {
                unsigned g = random_below(&random, random_below(&random, 3) == 0 ? 20 : 2000);
                struct inet_diag_msg m;

                model.n = 0;
                m = model_message(model_add(&model, TCP_ESTABLISHED, SERVER + g, 80, 0), START);
                ports_add_socket(ports, &m, sizeof(m), START);
                count[g]++;
        }
        ports_commit(ports, 0);
        error = upper(METRIC_PORTS_USED) - lower(METRIC_PORTS_USED);
        ck_assert_msg(error > 0 && error <= n / PORTS_DESTINATIONS, "error %g", error);
        for (unsigned g = 0; g < ELEMENTSOF(count); g++) {
                double found = -1, end = 0;

                for (unsigned slot = 0; slot < ports_slots(ports); slot++) {
                        const struct destination *group = ports_destination(ports, slot);

                        if (group->id != 0 && ntohl(group->key.dst[3]) == SERVER + g) {
                                found = ports_value(group, METRIC_PORTS_USED).lower;
                                end = ports_value(group, METRIC_PORTS_USED).upper;
                        }
                }
                if (count[g] > n / PORTS_DESTINATIONS)
                        ck_assert_msg(found >= 0, "group %u of %u is missing", g, count[g]);
                if (found >= 0)
                        ck_assert_msg(found <= count[g] && end >= count[g], "%u is not in %g-%g", count[g], found,
                                      end);
        }
}
END_TEST

/* Its sockets were reused, and it is remembered for a minute: the other ports of its source do not count for it. */
START_TEST(a_group_without_sockets_is_no_culprit)
{
        unsigned gone = 0;

        add_many(500, TCP_ESTABLISHED, 0);
        model_add(&model, TCP_TIME_WAIT, SERVER + 1, 80, START);
        model_dump(&model, ports, &limits, START, 0);
        model.n--;
        model_dump(&model, ports, &limits, START + SEC, 0);
        for (unsigned slot = 0; slot < ports_slots(ports); slot++) {
                const struct destination *g = ports_destination(ports, slot);

                if (g->id == 0 || ports_value(g, METRIC_PORTS_USED).lower > 0)
                        continue;
                gone++;
                ck_assert_double_eq(ports_value(g, METRIC_PORTS_SOURCE_USED).lower, 0);
                ck_assert_double_eq(ports_value(g, METRIC_PORTS_BIND_FIRST).lower, 0);
        }
        ck_assert_uint_eq(gone, 1);
        ck_assert_double_gt(lower(METRIC_PORTS_SOURCE_USED), 1.7);
}
END_TEST

/* A group that made much TIME_WAIT is not pushed out by a crowd that comes before it in the dump. */
START_TEST(history_weighs_against_a_crowd)
{
        add_many(9000, TCP_TIME_WAIT, START - SEC);
        model_dump(&model, ports, &limits, START, 0);
        model.n = 0;
        for (unsigned i = 0; i < 20000; i++)
                model_add(&model, TCP_ESTABLISHED, SERVER + 1 + i % 5000, 80, 0);
        model_dump(&model, ports, &limits, START + SEC, 0);
        ck_assert_double_ge(lower(METRIC_PORTS_DEMAND), 100 * 9000 / HALF);
}
END_TEST

/* The ports that are left of each parity, and which one is shown. */
static const struct {
        unsigned left[2], used[2];
        bool odd;
        unsigned limit;
} fuller_parities[] = {
        {{0, 100}, {0, 100}, true, 100},  {{0, 100}, {0, 0}, true, 100},     {{100, 0}, {100, 0}, false, 100},
        {{100, 0}, {0, 0}, false, 100},   {{100, 100}, {50, 51}, true, 100}, {{100, 100}, {51, 50}, false, 100},
        {{12, 100}, {12, 50}, true, 100}, {{13, 100}, {13, 50}, false, 13},  {{100, 12}, {50, 12}, false, 100},
        {{100, 13}, {50, 13}, true, 13},  {{0, 0}, {0, 0}, false, 0},
};

/* Adds the sockets of one parity; the other ports of that parity are reserved. */
static void add_parity(unsigned parity, unsigned left, unsigned used)
{
        for (unsigned i = 0; i < used; i++)
                model_add(&model, TCP_ESTABLISHED, SERVER, 80, 0)->sport = (uint16_t)(limits.low + 2 * i + parity);
        for (unsigned port = limits.low + 2 * left + parity; port <= limits.high; port += 2)
                port_set_add(&model.reserved, port);
}

START_TEST(the_fuller_parity_is_one_whose_ports_matter)
{
        struct parity_ports fuller;

        add_parity(0, fuller_parities[_i].left[0], fuller_parities[_i].used[0]);
        add_parity(1, fuller_parities[_i].left[1], fuller_parities[_i].used[1]);
        model_dump(&model, ports, &limits, START, 0);
        fuller = ports_fuller_parity(ports, ports_busiest(ports) ? ports_busiest(ports) : &(struct destination){0});
        ck_assert_int_eq(fuller.odd, fuller_parities[_i].odd);
        ck_assert_uint_eq(fuller.used, fuller_parities[_i].used[fuller.odd]);
        ck_assert_uint_eq(fuller.limit, fuller_parities[_i].limit);
}
END_TEST

/* How far apart the addresses or ports of many destinations are; the numbers of a host's network differ in one octet. */
static const struct {
        uint32_t src, dst;
        uint16_t dport;
} strides[] = {{.src = 1},        {.src = 1u << 8}, {.src = 1u << 16},    {.dst = 1},    {.dst = 1u << 8},
               {.dst = 1u << 16}, {.dport = 1},     {.src = 1, .dst = 1}, {.dport = 77}, {.src = 3, .dport = 5}};

static unsigned longest_run(const struct table *t)
{
        unsigned run = 0, most = 0;

        for (unsigned i = 0; i < 2 * INDEX_SLOTS; i++) {
                run = t->index[i % INDEX_SLOTS] != UINT16_MAX ? run + 1 : 0;
                most = MAX(most, run);
        }
        return most;
}

/* Else to find the destination of a socket would take a search through all of them. */
START_TEST(destinations_spread_over_the_index)
{
        const unsigned n = 500;

        for (unsigned i = 0; i < n; i++) {
                struct model_socket *s = model_add(&model, TCP_ESTABLISHED, 0x7f800001 + i * strides[_i].dst,
                                                   (uint16_t)(80 + i * strides[_i].dport), 0);

                s->src = 0x7f000001 + i * strides[_i].src;
        }
        for (uint64_t seed = 0; seed < 1000; seed++) {
                ports_free(ports);
                ports = ports_new(seed << 32 | seed);
                model_dump(&model, ports, &limits, START, 0);
                ck_assert_uint_eq(ports->shown->used, n);
                ck_assert_msg(longest_run(ports->shown) <= 100, "%u in a row with seed %" PRIu64,
                              longest_run(ports->shown), seed);
        }
}
END_TEST

static void add(TCase *tcase)
{
        tcase_add_checked_fixture(tcase, set_up, tear_down);
        tcase_add_test(tcase, nothing_is_no_group);
        tcase_add_test(tcase, an_ended_group_is_not_shown);
        tcase_add_test(tcase, holders_fill_one_parity);
        tcase_add_test(tcase, forecast_sees_the_rate);
        tcase_add_test(tcase, reuse_frees_what_is_old_enough);
        tcase_add_test(tcase, reuse_2_is_for_the_loopback);
        tcase_add_test(tcase, ipv6_loopback);
        tcase_add_test(tcase, ipv6_elsewhere);
        tcase_add_test(tcase, names_that_are_none_are_refused);
        tcase_add_test(tcase, mapped_counts_as_ipv4);
        tcase_add_test(tcase, fin_wait2_is_a_holder);
        tcase_add_test(tcase, server_flows_stay_out);
        tcase_add_test(tcase, reserved_ports_are_not_usable);
        tcase_add_test(tcase, no_usable_port_is_full);
        tcase_add_test(tcase, an_odd_range_loses_its_last_port);
        tcase_add_loop_test(tcase, a_range_of_one_port_is_full_with_one_socket, 0, 2);
        tcase_add_test(tcase, demand_remembers_what_was_reused);
        tcase_add_test(tcase, upper_end_holds_what_no_dump_shows);
        tcase_add_test(tcase, what_gave_way_counts_for_a_minute);
        tcase_add_test(tcase, a_new_destination_begins_without_history);
        tcase_add_test(tcase, a_failed_dump_leaves_no_trace);
        tcase_add_test(tcase, nothing_is_needed_of_the_spare);
        tcase_add_loop_test(tcase, misra_gries_keeps_the_heavy_groups, 0, 10);
        tcase_add_test(tcase, a_group_without_sockets_is_no_culprit);
        tcase_add_test(tcase, history_weighs_against_a_crowd);
        tcase_add_loop_test(tcase, the_fuller_parity_is_one_whose_ports_matter, 0, ELEMENTSOF(fuller_parities));
        tcase_add_loop_test(tcase, destinations_spread_over_the_index, 0, ELEMENTSOF(strides));
}

int main(void)
{
        return run_suite("ports", add);
}

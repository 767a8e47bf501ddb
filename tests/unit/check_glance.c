/* SPDX-License-Identifier: MIT */
#include "lib/ports/glance.h"

#include "lib/util/macro.h"
#include "run.h"

#define PARITY 1600 /* so that a step is 100 */
#define MS NSEC_PER_MSEC
#define TICK_MS 1000

/* One glance after another, a tenth of a second apart, from the tick on; the next one is due after a second. */
static const struct {
        const char *what;
        double cliff;
        unsigned sockets[10];
        unsigned urgent; /* the number of the first urgent glance; 0: none */
} rows[] = {
        {"silence", 0, {0}, 0},
        {"silence, all ports used", 100, {0}, 0},
        {"reuse works: the number stands still", 100, {50, 99, 60, 80, 99, 70, 90, 40, 99, 100}, 0},
        {"a server's sockets end", 0, {0}, 0},
        {"a burst that would not fill them", 0, {120, 120, 120, 120, 120, 120, 120, 120, 120, 120}, 0},
        {"slow growth: the regular tick is soon enough", 0, {110, 220, 330, 440, 550, 660, 770, 880, 990, 1100}, 0},
        {"fast growth: at the first glance", 0, {160, 320, 480}, 1},
        {"it begins later, and what is left counts", 0, {0, 0, 0, 0, 0, 160, 320, 480, 640, 800}, 0},
        {"it begins later, and is faster", 0, {0, 0, 0, 0, 0, 300, 600}, 6},
        {"slow growth on top of many", 50, {60, 120}, 2},
        {"hardly any growth on top of all", 95, {10, 20, 30, 40, 50, 60, 70, 80, 90, 100}, 0},
        {"a step on top of all", 95, {10, 20, 110}, 3},
};

START_TEST(only_growth_that_could_fill_the_ports_is_urgent)
{
        const uint64_t begin = 5000 * MS, sockets = 700;
        struct glances g = {
                .cliff = rows[_i].cliff, .parity = PARITY, .tick = {begin, sockets}, .last = {begin, sockets}};
        unsigned urgent = 0;

        for (unsigned k = 0; k < ELEMENTSOF(rows[_i].sockets) && urgent == 0; k++)
                if (glance_is_urgent(&g, (struct glance){begin + (k + 1) * 100 * MS, sockets + rows[_i].sockets[k]},
                                     begin + TICK_MS * MS))
                        urgent = k + 1;
        ck_assert_msg(urgent == rows[_i].urgent, "%s: glance %u", rows[_i].what, urgent);
}
END_TEST

START_TEST(fewer_sockets_are_no_growth)
{
        struct glances g = {.cliff = 100, .parity = PARITY, .tick = {MS, 10000}, .last = {MS, 10000}};

        ck_assert(!glance_is_urgent(&g, (struct glance){100 * MS, 0}, 1000 * MS));
        ck_assert(!glance_is_urgent(&g, (struct glance){200 * MS, 5000}, 1000 * MS));
}
END_TEST

START_TEST(growth_asks_for_the_next_glance_soon)
{
        struct glances g = {.parity = PARITY, .tick = {MS, 10000}, .last = {MS, 10000}};

        glance_is_urgent(&g, (struct glance){100 * MS, 10026}, 1000 * MS);
        ck_assert(g.growing);
        glance_is_urgent(&g, (struct glance){200 * MS, 10051}, 1000 * MS); /* fewer than wake a sleeper */
        ck_assert(!g.growing);
        glance_is_urgent(&g, (struct glance){300 * MS, 9000}, 1000 * MS);
        ck_assert(!g.growing);
}
END_TEST

/* The counters were read, and no dump was made yet. */
START_TEST(without_a_port_any_growth_is_urgent)
{
        struct glances g = {.tick = {MS, 0}, .last = {MS, 0}};

        ck_assert(!glance_is_urgent(&g, (struct glance){100 * MS, 0}, 1000 * MS));
        ck_assert(glance_is_urgent(&g, (struct glance){200 * MS, 1}, 0));
}
END_TEST

/* A tick that is due in a minute leaves the same time to the next glances as one that is due in a second. */
START_TEST(a_tick_far_away_is_as_far_as_a_second)
{
        struct glances g = {.parity = PARITY, .tick = {MS, 0}, .last = {MS, 0}};

        ck_assert(!glance_is_urgent(&g, (struct glance){1001 * MS, 110}, 60000 * MS));
}
END_TEST

static const struct {
        double cliff; /* in the last dump */
        unsigned sockets;
        bool may_fire;
} since_dump[] = {
        {0, 511, false},  {0, 512, true},   {70, 100, false}, {70, 101, true},
        {95, 101, false}, {95, 800, false}, {95, 801, true},
};

START_TEST(ports_that_were_short_already_take_more_sockets_to_make_a_rule_fire)
{
        ck_assert_int_eq(glance_may_fire(since_dump[_i].cliff, since_dump[_i].sockets, PARITY),
                         since_dump[_i].may_fire);
}
END_TEST

static const struct {
        double demand, seconds; /* in the last dump, and how long ago that was */
        unsigned opened;
        bool may_fire;
} since_reuse[] = {
        {0, 0.5, 799, false},  {0, 0.5, 800, true},    {20, 0.5, 639, false}, {20, 0.5, 640, true},
        {20, 1, 799, false},   {0, 4, 3196, false},    {0, 4, 3200, true},    {49, 0.1, 100, true},
        {50, 0.1, 100, false}, {90, 0.5, 5000, false},
};

START_TEST(while_reuse_works_connections_of_a_second_may_make_a_rule_fire)
{
        ck_assert_int_eq(
                glance_reuse_may_fire(since_reuse[_i].demand, since_reuse[_i].opened, since_reuse[_i].seconds, PARITY),
                since_reuse[_i].may_fire);
}
END_TEST

START_TEST(what_comes_as_before_is_expected)
{
        ck_assert_uint_eq(glance_unexpected(1000, 0, 5), 1000);
        ck_assert_uint_eq(glance_unexpected(1000, 150, 5), 250);
        ck_assert_uint_eq(glance_unexpected(1000, 200, 5), 0);
        ck_assert_uint_eq(glance_unexpected(1000, 300, 5), 0);
}
END_TEST

static const struct {
        double cliff, forecast, seconds; /* of the last dump, and since */
        bool may_fire;
} since_growth[] = {
        {0, 6, 36, false},   {0, 6, 37, true},  /* 2 % a second */
        {60, 69, 5, false},  {60, 69, 6, true}, /* 3 % a second, and 1 % ends */
        {60, 63, 60, false}, {70, 70, 60, false}, {75, 80, 60, false},
};

START_TEST(growth_that_goes_on_may_make_a_rule_fire)
{
        ck_assert_int_eq(
                glance_growth_may_fire(since_growth[_i].cliff, since_growth[_i].forecast, since_growth[_i].seconds),
                since_growth[_i].may_fire);
}
END_TEST

static void add_tests(TCase *tcase)
{
        tcase_add_test(tcase, what_comes_as_before_is_expected);
        tcase_add_loop_test(tcase, growth_that_goes_on_may_make_a_rule_fire, 0, ELEMENTSOF(since_growth));
        tcase_add_loop_test(tcase, while_reuse_works_connections_of_a_second_may_make_a_rule_fire, 0,
                            ELEMENTSOF(since_reuse));
        tcase_add_loop_test(tcase, ports_that_were_short_already_take_more_sockets_to_make_a_rule_fire, 0,
                            ELEMENTSOF(since_dump));
        tcase_add_loop_test(tcase, only_growth_that_could_fill_the_ports_is_urgent, 0, ELEMENTSOF(rows));
        tcase_add_test(tcase, fewer_sockets_are_no_growth);
        tcase_add_test(tcase, growth_asks_for_the_next_glance_soon);
        tcase_add_test(tcase, without_a_port_any_growth_is_urgent);
        tcase_add_test(tcase, a_tick_far_away_is_as_far_as_a_second);
}

int main(void)
{
        return run_suite("glance", add_tests);
}

/* SPDX-License-Identifier: MIT */
#include "lib/policy/clock.h"

#include <string.h>

#include "lib/util/macro.h"
#include "run.h"

#define S NSEC_PER_SEC

/* A line of ticks, a second apart: 'h' holds, '-' does not, '?' is unknown. */
static void feed(struct clock *clock, const char *ticks)
{
        for (; *ticks; ticks++)
                if (*ticks == '?')
                        clock_pause(clock);
                else
                        clock_run(clock, *ticks == 'h', S);
}

START_TEST(time_that_holds_counts)
{
        static const struct {
                const char *ticks;
                uint64_t seconds;
                bool reached; /* these seconds, at the last tick */
        } rows[] =
                {
                        {"", 0, false},       {"-", 0, false},
                        {"h", 0, true}, /* the first tick knows nothing of the time before */
                        {"hh", 1, true},      {"hhhh", 3, true},
                        {"hhh-", 0, false},   {"hhh-h", 0, true},
                        {"hhh-hh", 1, true},  {"?", 0, false},
                        {"?h", 0, true},      {"hh?", 1, false}, /* an unknown value decides nothing */
                        {"hh?h", 1, true},                       /* the gap does not count, and is no break */
                        {"hh???h", 1, true},  {"hh?hh", 2, true},
                        {"h?h?h?h", 0, true}, {"hh?-", 0, false},
                        {"hh?-h", 0, true},   {"hh?-hh", 1, true},
                };

        for (unsigned i = 0; i < ELEMENTSOF(rows); i++) {
                struct clock clock = {0};

                feed(&clock, rows[i].ticks);
                ck_assert_msg(clock.ns == rows[i].seconds * S, "'%s': %llu ns", rows[i].ticks,
                              (unsigned long long)clock.ns);
                ck_assert_msg(clock_reached(&clock, rows[i].seconds * S) == rows[i].reached, "'%s'", rows[i].ticks);
                ck_assert_msg(!clock_reached(&clock, rows[i].seconds * S + 1), "'%s'", rows[i].ticks);
        }
}
END_TEST

START_TEST(long_times_do_not_overflow)
{
        struct clock clock = {0};

        clock_run(&clock, true, UINT64_MAX); /* the first dt does not count */
        for (unsigned day = 0; day < 10 * 365; day++)
                clock_run(&clock, true, 86400 * S);
        ck_assert(clock_reached(&clock, UINT64_C(3650) * 86400 * S));
        ck_assert(!clock_reached(&clock, UINT64_MAX));
}
END_TEST

static void expect_mean(const struct trail *trail, uint64_t now, double want)
{
        struct mean mean = trail_mean(trail, now);

        ck_assert_double_eq_tol(mean_value(&mean), want, 1e-9);
}

START_TEST(trail_of_nothing_is_zero)
{
        struct trail trail = {0};

        expect_mean(&trail, 0, 0);
        expect_mean(&trail, 59 * S, 0);
        expect_mean(&trail, 1000000 * S, 0);
}
END_TEST

START_TEST(trail_is_the_mean_of_what_was_seen)
{
        struct trail trail = {0};

        trail_add(&trail, 0, 1, 1, S);
        expect_mean(&trail, 0, 1);
        trail_add(&trail, 1, 2, 1, S);
        trail_add(&trail, S - 1, 3, 1, S);
        expect_mean(&trail, S - 1, 2);
        trail_add(&trail, 30 * S, 10, 1, S); /* each sample weighs the same, not each second */
        expect_mean(&trail, 30 * S, 4);
        trail_add(&trail, 31 * S, -4, 1, S);
        expect_mean(&trail, 31 * S, 2.4);
}
END_TEST

START_TEST(trail_forgets_after_a_minute)
{
        struct trail trail = {0};

        trail_add(&trail, 100 * S, 7, 1, S);
        expect_mean(&trail, 159 * S + S - 1, 7);
        expect_mean(&trail, 160 * S, 0);
        trail_add(&trail, 160 * S, 1, 1, S); /* the same bucket, anew */
        expect_mean(&trail, 160 * S, 1);
        expect_mean(&trail, 300 * S, 0);
}
END_TEST

/* Against a plain sum, at odd steps and over gaps. */
START_TEST(trail_is_right_over_a_long_time)
{
        struct mean mean;
        static struct {
                uint64_t at;
                double value;
        } seen[2000];
        struct trail trail = {0};
        uint64_t now = 12345 * S;

        for (unsigned i = 0; i < ELEMENTSOF(seen); i++) {
                double sum = 0;
                unsigned n = 0;

                now += (i * 7919 % 2500) * NSEC_PER_MSEC + (i % 500 == 499 ? 90 * S : 0);
                seen[i].at = now;
                seen[i].value = i * 31 % 101;
                trail_add(&trail, now, seen[i].value, 1, S);
                for (unsigned k = 0; k <= i; k++)
                        if (seen[k].at / S + TRAIL_SECONDS > now / S) {
                                sum += seen[k].value;
                                n++;
                        }
                mean = trail_mean(&trail, now);
                ck_assert_msg(mean_value(&mean) - sum / n < 1e-9 && sum / n - mean_value(&mean) < 1e-9, "sample %u",
                              i);
        }
}
END_TEST

START_TEST(a_share_of_many_weighs_more)
{
        struct trail trail = {0};
        struct mean mean;

        trail_add(&trail, 100 * S, 0, 20000, S);
        trail_add(&trail, 101 * S, 100, 1, S);
        mean = trail_mean(&trail, 101 * S);
        ck_assert_double_eq_tol(mean_value(&mean), 100 / 20001.0, 1e-9);
        ck_assert_uint_eq(mean.ns, 2 * S);
}
END_TEST

START_TEST(ticks_are_at_multiples_of_the_interval)
{
        static const struct {
                uint64_t now, next;
        } rows[] = {{0, 1000}, {3000, 4000}, {3001, 4000}, {3499, 4000}, {3500, 5000}, {3999, 5000}, {12000, 13000}};

        for (unsigned i = 0; i < ELEMENTSOF(rows); i++) {
                ck_assert_uint_eq(clock_next_tick(rows[i].now, 1000), rows[i].next);
                ck_assert_uint_eq(clock_next_tick(rows[i].now * 500, 500000), rows[i].next * 500);
        }
}
END_TEST

static void add(TCase *tcase)
{
        tcase_add_test(tcase, a_share_of_many_weighs_more);
        tcase_add_test(tcase, ticks_are_at_multiples_of_the_interval);
        tcase_add_test(tcase, time_that_holds_counts);
        tcase_add_test(tcase, long_times_do_not_overflow);
        tcase_add_test(tcase, trail_of_nothing_is_zero);
        tcase_add_test(tcase, trail_is_the_mean_of_what_was_seen);
        tcase_add_test(tcase, trail_forgets_after_a_minute);
        tcase_add_test(tcase, trail_is_right_over_a_long_time);
}

int main(void)
{
        return run_suite("clock", add);
}

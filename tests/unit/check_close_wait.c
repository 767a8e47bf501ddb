/* SPDX-License-Identifier: MIT */
#include "lib/kernel/close_wait.h"

#include <string.h>

#include "lib/util/macro.h"
#include "run.h"

#define SEC NSEC_PER_SEC
#define STEP (10 * SEC)
#define WINDOW (CLOSE_WAIT_SAMPLES - 1) /* steps from the oldest sample to the newest */

static struct close_wait cw;
static uint64_t now, cookie;

static void set_up(void)
{
        memset(&cw, 0, sizeof(cw));
        now = 1000 * SEC;
}

struct row {
        uint64_t cgroup;
        unsigned sockets;
};

/* A sample; the rows end at one without sockets. */
#define SAMPLE(...) sample((const struct row[]){__VA_ARGS__, {0}})
#define NOTHING \
        { \
                0 \
        }

static void feed(const struct row *rows)
{
        close_wait_begin(&cw);
        for (; rows->sockets; rows++)
                for (unsigned i = 0; i < rows->sockets; i++)
                        close_wait_add(&cw, rows->cgroup, cookie++);
}

static void sample(const struct row *rows)
{
        now += STEP;
        feed(rows);
        close_wait_commit(&cw, now);
}

static void expect_unknown(void)
{
        uint64_t cgroup = 4711;
        double growth = 4711;

        ck_assert(!close_wait_growth(&cw, &growth, &cgroup));
        ck_assert(growth == 4711 && cgroup == 4711); /* untouched */
}

static void expect(double want, uint64_t want_cgroup)
{
        uint64_t cgroup = 4711;
        double growth = 4711;

        ck_assert(close_wait_growth(&cw, &growth, &cgroup));
        ck_assert_double_eq_tol(growth, want, 1e-6);
        ck_assert_msg(cgroup == want_cgroup, "cgroup %llu, should be %llu", (unsigned long long)cgroup,
                      (unsigned long long)want_cgroup);
}

/* Units 1 to CLOSE_WAIT_SLOTS - 1 have a socket each, and with it all slots but the first. */
static void sample_full(struct row extra)
{
        struct row rows[CLOSE_WAIT_SLOTS + 1] = {{0}};

        for (unsigned i = 0; i < CLOSE_WAIT_SLOTS - 1; i++)
                rows[i] = (struct row){i + 1, 1};
        rows[CLOSE_WAIT_SLOTS - 1] = extra;
        sample(rows);
}

START_TEST(never_sampled)
{
        expect_unknown();
}
END_TEST

START_TEST(less_than_half_a_minute_is_no_trend)
{
        SAMPLE({1, 1});
        expect_unknown();
        SAMPLE({1, 10});
        expect_unknown();
        SAMPLE({1, 100});
        expect_unknown();
        SAMPLE({1, 31}); /* 30 s */
        expect(60, 1);
}
END_TEST

START_TEST(exactly_half_a_minute)
{
        now = SEC;
        feed((const struct row[]){{0}});
        close_wait_commit(&cw, now);
        feed((const struct row[]){{3, 5}, {0}});
        close_wait_commit(&cw, now + CLOSE_WAIT_WINDOW_MIN - 1);
        expect_unknown();
        feed((const struct row[]){{3, 5}, {0}});
        close_wait_commit(&cw, now + CLOSE_WAIT_WINDOW_MIN);
        expect(10, 3);
}
END_TEST

START_TEST(growth_is_per_minute_over_the_window)
{
        for (unsigned i = 0; i <= WINDOW; i++)
                SAMPLE({7, 1 + 5 * i});
        expect(30, 7); /* 5 in 10 s */
        for (unsigned i = 0; i < 3; i++)
                SAMPLE({7, 1 + 5 * WINDOW}); /* it stops: half the window is past it */
        expect(15, 7);
        for (unsigned i = 0; i < 2; i++)
                SAMPLE({7, 1 + 5 * WINDOW});
        expect(5, 7);
        SAMPLE({7, 1 + 5 * WINDOW});
        expect(0, 0); /* nobody's */
}
END_TEST

/* Ticks come late. */
START_TEST(the_rate_goes_by_the_time_between_the_samples)
{
        for (unsigned i = 0; i <= WINDOW; i++) {
                now += 20 * SEC;
                SAMPLE({7, 1 + i}); /* 1 in 30 s */
        }
        expect(2, 7);
}
END_TEST

START_TEST(all_is_well)
{
        for (unsigned i = 0; i < 20; i++)
                SAMPLE(NOTHING);
        expect(0, 0);
}
END_TEST

/* A thousand that stay are no growth. */
START_TEST(what_was_there_is_no_growth)
{
        for (unsigned i = 0; i < 10; i++)
                SAMPLE({1, 1000}, {2, 1}, {0, 5});
        expect(0, 0);
}
END_TEST

START_TEST(shrinking_is_no_growth)
{
        for (unsigned i = 0; i <= WINDOW; i++)
                SAMPLE({5, 100 - 10 * i});
        expect(0, 0);
}
END_TEST

START_TEST(the_unknown_may_shrink)
{
        for (unsigned i = 0; i <= WINDOW; i++)
                SAMPLE({0, 100 - 10 * i}, {5, 7});
        expect(0, 0);
}
END_TEST

/* A unit whose slot was freed is not named. */
START_TEST(nobody_is_named_who_is_gone)
{
        sample_full((struct row){0, 0});
        for (unsigned i = 0; i <= WINDOW; i++)
                SAMPLE({0, 100 - 10 * i});
        expect(0, 0);
}
END_TEST

START_TEST(the_unit_that_grows_most)
{
        for (unsigned i = 0; i <= WINDOW; i++)
                SAMPLE({1, 1000}, {2, 1 + 2 * i}, {3, 1 + 3 * i}, {4, 1000 - i}, {0, 1 + i});
        expect(3 * WINDOW, 3);
}
END_TEST

/* Whatever the order of the sockets is. */
START_TEST(the_order_does_not_matter)
{
        for (unsigned i = 0; i <= WINDOW; i++)
                if (i % 2)
                        SAMPLE({1, 9}, {2, 1 + 2 * i}, {1, 1});
                else
                        SAMPLE({2, 1 + i}, {1, 10}, {2, i + (i == 0)});
        expect(2 * WINDOW - 1, 2);
}
END_TEST

START_TEST(sockets_of_no_known_cgroup_count_together)
{
        for (unsigned i = 0; i <= WINDOW; i++)
                SAMPLE({0, 1 + 3 * i}, {1, 1 + i});
        expect(3 * WINDOW, 0);
}
END_TEST

START_TEST(large_cgroups)
{
        for (unsigned i = 0; i <= WINDOW; i++)
                SAMPLE({UINT64_MAX, 1 + i}, {UINT64_C(1) << 32, 1});
        expect(WINDOW, UINT64_MAX);
}
END_TEST

START_TEST(every_slot_is_used)
{
        for (unsigned i = 0; i <= WINDOW; i++)
                sample_full((struct row){CLOSE_WAIT_SLOTS - 1, 1 + i});
        expect(WINDOW, CLOSE_WAIT_SLOTS - 1);
}
END_TEST

START_TEST(more_units_than_slots_count_together)
{
        for (unsigned i = 0; i <= WINDOW; i++)
                sample_full((struct row){1000 + i, 1 + 4 * i}); /* another one each time */
        expect(4 * WINDOW, 0);
}
END_TEST

START_TEST(a_slot_is_free_after_a_window)
{
        for (unsigned i = 0; i <= WINDOW; i++)
                sample_full((struct row){2000, 5});
        SAMPLE(NOTHING);
        for (unsigned i = 0; i < CLOSE_WAIT_SAMPLES; i++)
                SAMPLE(NOTHING); /* all slots are free now */
        for (unsigned i = 0; i <= WINDOW; i++)
                SAMPLE({2000, 1 + i}, {2001, 1});
        expect(WINDOW, 2000);
}
END_TEST

/* Until a slot is free, a new unit counts as cgroup 0: samples may still have the old counts of the slot. */
START_TEST(a_slot_is_kept_for_a_window)
{
        for (unsigned i = 0; i <= WINDOW; i++)
                sample_full((struct row){0, 0});
        for (unsigned i = 0; i < WINDOW; i++)
                SAMPLE(NOTHING);
        SAMPLE({2000, 6}); /* the samples still show all slots' counts, but for the one to be overwritten */
        expect(6, 0);
}
END_TEST

/* A unit that only moves from the common slot to its own has not grown. */
START_TEST(getting_a_slot_is_no_growth)
{
        for (unsigned i = 0; i <= WINDOW; i++)
                sample_full((struct row){2000, 50});
        for (unsigned i = 0; i < 2 * CLOSE_WAIT_SAMPLES; i++) {
                uint64_t cgroup;
                double growth;

                SAMPLE({2000, 50}); /* the others are gone */
                ck_assert(close_wait_growth(&cw, &growth, &cgroup));
                ck_assert_msg(growth <= 0, "%g at sample %u", growth, i);
        }
}
END_TEST

START_TEST(a_reused_slot_knows_nothing_of_the_unit_before)
{
        SAMPLE({1, 50});
        for (unsigned i = 0; i < CLOSE_WAIT_SAMPLES; i++)
                SAMPLE(NOTHING);
        for (unsigned i = 0; i < WINDOW; i++)
                sample_full((struct row){0, 0}); /* the slot that was 1's is used by another unit */
        sample_full((struct row){9, 3});
        expect(3, 9);
}
END_TEST

START_TEST(an_abandoned_sample_leaves_no_trace)
{
        static const struct row half[] = {{1, 500}, {2, 500}, {0, 500}, {0}};

        for (unsigned i = 0; i <= WINDOW; i++) {
                feed(half);
                SAMPLE({3, 1 + i});
        }
        expect(WINDOW, 3);
        feed(half);
        expect(WINDOW, 3);
}
END_TEST

/* One sample with the sockets of a cgroup, whose cookies are first, first + 1 ... */
static void sample_cookies(uint64_t cgroup, uint64_t first, unsigned n)
{
        now += STEP;
        close_wait_begin(&cw);
        for (unsigned i = 0; i < n; i++)
                close_wait_add(&cw, cgroup, first + i);
        close_wait_commit(&cw, now);
}

static double stuck_of(uint64_t expected_cgroup)
{
        uint64_t cgroup = 99;
        double stuck = -1;

        if (close_wait_stuck(&cw, &stuck, &cgroup))
                ck_assert_uint_eq(cgroup, expected_cgroup);
        return stuck;
}

START_TEST(what_stays_is_stuck_at_any_pace)
{
        for (unsigned i = 0; i < 4; i++) {
                ck_assert_double_eq(stuck_of(0), -1); /* nothing is half a minute old */
                sample_cookies(7, 1, 100 + i);
        }
        ck_assert_double_eq(stuck_of(0), 0); /* the sample that is compared with is old enough from now on */
        sample_cookies(7, 1, 104);
        ck_assert_double_eq(stuck_of(7), 100);
        for (unsigned i = 0; i < 20; i++)
                sample_cookies(7, 1, 104);
        ck_assert_double_eq(stuck_of(7), 104);
}
END_TEST

START_TEST(what_comes_and_goes_is_not_stuck)
{
        double stuck;
        uint64_t cgroup;

        for (unsigned i = 0; i < 40; i++)
                sample_cookies(7, 1 + 100 * i, 100);
        ck_assert(close_wait_stuck(&cw, &stuck, &cgroup));
        ck_assert_double_le(stuck, 2); /* the cookies are kept as a hash of 16 bits */
}
END_TEST

static void add(TCase *tcase)
{
        tcase_add_checked_fixture(tcase, set_up, NULL);
        tcase_add_test(tcase, never_sampled);
        tcase_add_test(tcase, less_than_half_a_minute_is_no_trend);
        tcase_add_test(tcase, exactly_half_a_minute);
        tcase_add_test(tcase, growth_is_per_minute_over_the_window);
        tcase_add_test(tcase, the_rate_goes_by_the_time_between_the_samples);
        tcase_add_test(tcase, all_is_well);
        tcase_add_test(tcase, what_was_there_is_no_growth);
        tcase_add_test(tcase, shrinking_is_no_growth);
        tcase_add_test(tcase, the_unknown_may_shrink);
        tcase_add_test(tcase, nobody_is_named_who_is_gone);
        tcase_add_test(tcase, the_unit_that_grows_most);
        tcase_add_test(tcase, the_order_does_not_matter);
        tcase_add_test(tcase, sockets_of_no_known_cgroup_count_together);
        tcase_add_test(tcase, large_cgroups);
        tcase_add_test(tcase, every_slot_is_used);
        tcase_add_test(tcase, more_units_than_slots_count_together);
        tcase_add_test(tcase, a_slot_is_free_after_a_window);
        tcase_add_test(tcase, a_slot_is_kept_for_a_window);
        tcase_add_test(tcase, getting_a_slot_is_no_growth);
        tcase_add_test(tcase, a_reused_slot_knows_nothing_of_the_unit_before);
        tcase_add_test(tcase, an_abandoned_sample_leaves_no_trace);
        tcase_add_test(tcase, what_stays_is_stuck_at_any_pace);
        tcase_add_test(tcase, what_comes_and_goes_is_not_stuck);
}

int main(void)
{
        return run_suite("close_wait", add);
}

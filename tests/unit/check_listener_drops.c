/* SPDX-License-Identifier: MIT */
/* The connections that each listener dropped since the dump before, by its cookie. */

#include "listener_dump.h"

static uint32_t drops_of(uint64_t cookie)
{
        for (unsigned i = 0; i < l.n; i++)
                if (l.item[i].cookie == cookie)
                        return l.item[i].new_drops;
        ck_abort_msg("no listener %llu", (unsigned long long)cookie);
}

/* Drops from before the first dump are not new. */
START_TEST(the_first_dump_knows_no_new_drops)
{
        DUMP({1, .drops = 1000}, {2, .drops = UINT32_MAX});
        ck_assert_uint_eq(l.new_drops, 0);
        ck_assert_ptr_null(listeners_worst(&l, listener_new_drops));
}
END_TEST

START_TEST(drops_are_counted_by_cookie)
{
        DUMP({1, .drops = 10}, {2, .drops = 20}, {3, .drops = 30});
        DUMP({3, .drops = 33}, {1, .drops = 11}, {2, .drops = 20}); /* in another order */
        ck_assert_uint_eq(drops_of(1), 1);
        ck_assert_uint_eq(drops_of(2), 0);
        ck_assert_uint_eq(drops_of(3), 3);
        ck_assert_uint_eq(l.new_drops, 4);
        ck_assert(listeners_worst(&l, listener_new_drops)->cookie == 3);

        DUMP({3, .drops = 33}, {1, .drops = 11}, {2, .drops = 20});
        ck_assert_uint_eq(l.new_drops, 0);
        ck_assert_ptr_null(listeners_worst(&l, listener_new_drops));
}
END_TEST

static void dump_at(unsigned second, uint32_t drops, uint32_t queued, uint32_t backlog)
{
        DUMP({1, .drops = drops, .queued = queued, .backlog = backlog});
        listeners_note_bursts(&l, (1000 + second) * NSEC_PER_SEC, true);
}

/* A burst ends when the queue is at most half full. Until then the listener overflows, and is to be looked at
 * again. */
START_TEST(a_queue_that_does_not_drain_has_one_burst)
{
        dump_at(0, 0, 5, 4);
        ck_assert_uint_eq(l.overflowing, 0);
        for (unsigned i = 1; i <= 5; i++) {
                dump_at(10 * i, i, 5, 4);
                ck_assert(l.overflowing == 1 && l.fills);
                dump_at(10 * i + 5, i, 3, 4);
                ck_assert(l.overflowing == 1 && l.fills);
        }
        ck_assert(listener_bursts(&l, &l.item[0]) == 1);
        dump_at(60, 5, 2, 4);
        ck_assert(l.overflowing == 0 && !l.fills);
        dump_at(61, 6, 2, 4); /* drained again in the same tick */
        ck_assert(l.overflowing == 1 && !l.fills);
        ck_assert(listener_bursts(&l, &l.item[0]) == 2);
}
END_TEST

/* Both halves of the cookie count. */
START_TEST(cookies_are_64_bits)
{
        DUMP({1, .drops = 10}, {UINT64_C(1) << 32 | 1, .drops = 20}, {UINT64_C(2) << 32, .drops = 30});
        DUMP({UINT64_C(2) << 32, .drops = 30}, {UINT64_C(1) << 32 | 1, .drops = 25}, {1, .drops = 10});
        ck_assert_uint_eq(l.new_drops, 5);
        ck_assert(listeners_worst(&l, listener_new_drops)->cookie == (UINT64_C(1) << 32 | 1));
}
END_TEST

START_TEST(listeners_come_and_go)
{
        DUMP({1, .drops = 10}, {2, .drops = 20}, {3, .drops = 30});
        DUMP({4, .drops = 1000}, {2, .drops = 22}, {5, .drops = 0}); /* 1 and 3 are gone, 4 and 5 new */
        ck_assert_uint_eq(l.new_drops, 1002);
        ck_assert(listeners_worst(&l, listener_new_drops)->cookie == 4);
        DUMP({5, .drops = 1}, {2, .drops = 22}, {4, .drops = 1004},
             {1, .drops = 10}); /* the kernel never reuses a cookie; what was not in the dump before is new */
        ck_assert_uint_eq(l.new_drops, 15);
        ck_assert_uint_eq(drops_of(1), 10);
        ck_assert(listeners_worst(&l, listener_new_drops)->cookie == 1);
}
END_TEST

START_TEST(after_no_listener_at_all)
{
        DUMP({1, .drops = 10});
        listeners_begin(&l);
        listeners_commit(&l);
        ck_assert_uint_eq(l.new_drops, 0);
        DUMP({2, .drops = 20}); /* made since: all of its drops are new */
        ck_assert_uint_eq(l.new_drops, 20);
        DUMP({2, .drops = 21});
        ck_assert_uint_eq(l.new_drops, 1);
}
END_TEST

/* Past LISTENERS_MAX, a listener that was not in the dump before may be old. */
START_TEST(after_a_full_table_no_listener_is_new)
{
        static struct row rows[LISTENERS_MAX + 1];

        for (unsigned i = 0; i < LISTENERS_MAX; i++)
                rows[i] = (struct row){.cookie = i + 1};
        begin(rows);
        listeners_commit(&l);
        DUMP({1, .drops = 0}, {LISTENERS_MAX + 1, .drops = 7});
        ck_assert_uint_eq(l.new_drops, 0);
        DUMP({1, .drops = 0}, {LISTENERS_MAX + 2, .drops = 7});
        ck_assert_uint_eq(l.new_drops, 7);
}
END_TEST

START_TEST(the_counter_wraps)
{
        DUMP({1, .drops = UINT32_MAX - 1}, {2, .drops = UINT32_MAX});
        DUMP({1, .drops = 3}, {2, .drops = 0});
        ck_assert_uint_eq(drops_of(1), 5);
        ck_assert_uint_eq(drops_of(2), 1);
        ck_assert_uint_eq(l.new_drops, 6);
}
END_TEST

/* The sum is more than 32 bits. */
START_TEST(many_drops)
{
        DUMP({1, .drops = 0}, {2, .drops = 0});
        DUMP({1, .drops = UINT32_MAX}, {2, .drops = UINT32_MAX});
        ck_assert(l.new_drops == 2 * (uint64_t)UINT32_MAX);
}
END_TEST

START_TEST(an_abandoned_dump_leaves_no_trace)
{
        static const struct row half[] = {{1, .drops = 100}, {9, .drops = 1}, {0}};

        DUMP({1, .drops = 10}, {2, .drops = 20});
        begin(half);
        DUMP({1, .drops = 13}, {2, .drops = 21});
        ck_assert_uint_eq(drops_of(1), 3);
        ck_assert_uint_eq(drops_of(2), 1);
        begin(half);
        begin(half);
        DUMP({1, .drops = 13}, {2, .drops = 21}, {9, .drops = 5}); /* in no complete dump until now */
        ck_assert_uint_eq(l.new_drops, 5);
}
END_TEST

static void add(TCase *tcase)
{
        tcase_add_checked_fixture(tcase, set_up, NULL);
        tcase_add_test(tcase, the_first_dump_knows_no_new_drops);
        tcase_add_test(tcase, drops_are_counted_by_cookie);
        tcase_add_test(tcase, a_queue_that_does_not_drain_has_one_burst);
        tcase_add_test(tcase, cookies_are_64_bits);
        tcase_add_test(tcase, listeners_come_and_go);
        tcase_add_test(tcase, after_no_listener_at_all);
        tcase_add_test(tcase, after_a_full_table_no_listener_is_new);
        tcase_add_test(tcase, the_counter_wraps);
        tcase_add_test(tcase, many_drops);
        tcase_add_test(tcase, an_abandoned_dump_leaves_no_trace);
}

int main(void)
{
        return run_suite("listener_drops", add);
}

/* SPDX-License-Identifier: MIT */
/* A failure that may pass is tried again soon, less often each time, and at once when its cause is gone. */

#include "fake_backend.h"

#define HELD 5 /* min_interval */
#define RULE "[rule r]\nwhen = tcp.fin_wait2 >= 100\nset = net.ipv4.tcp_fin_timeout = 30\nuntil = tcp.fin_wait2 < 1\n"
#define TWO RULE "set = net.ipv4.tcp_tw_reuse = 1\n"

/* The first tick with the load on. */
static void press(const char *text)
{
        start(text);
        fake.fin_wait2 = 100;
        ticks(1);
}

/* After so many seconds of failures the ledger can be saved again. */
START_TEST(a_saved_ledger_ends_the_wait)
{
        static const unsigned seconds[] = {1, 7, 1000};

        fake.save_error = -ENOSPC;
        press(RULE);
        ticks(seconds[_i] - 1);
        ck_assert_uint_eq(fake.writes, 0);
        ck_assert_uint_eq(fake.events[AUDIT_FAILED], 1);
        ck_assert_uint_eq(fake.events[AUDIT_DEGRADED], 1);
        fake.save_error = 0;
        ticks(1);
        ck_assert_int_eq(fake.live[FIN], 30);
        ck_assert_uint_eq(fake.events[AUDIT_RECOVERED], 1);
}
END_TEST

/* The seconds at which a write fails. */
static void expect_tries(const unsigned at[], unsigned n, unsigned from)
{
        for (unsigned i = from, second = at[from - 1]; i < n; second = at[i++]) {
                ticks(at[i] - second - 1);
                ck_assert_uint_eq(fake.writes, i);
                ticks(1);
                ck_assert_uint_eq(fake.writes, i + 1);
        }
}

START_TEST(tries_get_rarer)
{
        static const unsigned at[] = {0, 5, 15, 35, 75, 155, 315, 635, 1235, 1835}; /* retry = 10min is the longest */

        fake.write_error = -EAGAIN;
        press(RULE);
        expect_tries(at, ELEMENTSOF(at), 1);
        ck_assert_uint_eq(fake.events[AUDIT_FAILED], 1); /* said once */
        fake.write_error = 0;
        ticks(610);
        ck_assert_int_eq(fake.live[FIN], 30);
        fake.fin_wait2 = 0;
        ticks(1);
        ck_assert_int_eq(fake.live[FIN], 60);
        fake.writes = 0; /* after a success the first wait is short again */
        fake.write_error = -EAGAIN;
        fake.fin_wait2 = 100;
        ticks(1);
        expect_tries(at, 3, 1);
}
END_TEST

START_TEST(what_does_not_pass_waits_for_retry)
{
        fake.write_error = _i == 0 ? -EACCES : -EINVAL;
        press(RULE);
        ticks(599);
        ck_assert_uint_eq(fake.writes, 1);
        ticks(1);
        ck_assert_uint_eq(fake.writes, 2);
}
END_TEST

START_TEST(a_give_back_is_tried_again_soon)
{
        static const unsigned at[] = {0, 5, 15, 35, 75, 135, 195}; /* 60 s is the longest */

        press(RULE);
        ticks(HELD);
        fake.write_error = -EAGAIN;
        fake.fin_wait2 = 0;
        fake.writes = 0;
        ticks(1);
        expect_tries(at, ELEMENTSOF(at), 1);
        fake.write_error = 0;
        ticks(60);
        ck_assert_int_eq(fake.live[FIN], 60);
}
END_TEST

/* Of two sysctls one failed: the rule is active, takes the other one later, and can be released meanwhile. */
START_TEST(the_rest_of_a_rule_is_tried_again)
{
        fake.write_error = -EAGAIN;
        fake.write_spared = UINT32_C(1) << REUSE;
        press(TWO);
        ck_assert_int_eq(fake.live[FIN], 60);
        ck_assert_int_eq(fake.live[REUSE], 1);
        if (_i == 0) {
                ticks(4);
                fake.write_error = 0;
                ck_assert_int_eq(fake.live[FIN], 60);
                ticks(1);
                ck_assert_int_eq(fake.live[FIN], 30);
                ticks(HELD);
        } else {
                ticks(100);
        }
        fake.fin_wait2 = 0;
        ticks(1);
        ck_assert_int_eq(fake.live[FIN], 60);
        ck_assert_int_eq(fake.live[REUSE], 2);
}
END_TEST

static unsigned release_times(void)
{
        return policy_evaluate(tuner.policy, &tuner.snapshot)->rule[0].release_times;
}

/* A rule that comes back soon after its release is held for longer. To take a sysctl later is no such return. */
START_TEST(the_rest_of_a_rule_is_no_return)
{
        press(TWO);
        ck_assert_uint_eq(release_times(), 1);
        ticks(HELD);
        fake.fin_wait2 = 0;
        ticks(1);
        ck_assert_int_eq(fake.live[FIN], 60);
        ticks(10);
        fake.write_error = -EAGAIN;
        fake.write_spared = UINT32_C(1) << REUSE;
        fake.fin_wait2 = 100;
        ticks(1);
        ck_assert_uint_eq(release_times(), 2);
        fake.write_error = 0;
        ticks(5);
        ck_assert_int_eq(fake.live[FIN], 30);
        ck_assert_uint_eq(release_times(), 2);
}
END_TEST

/* Of two sysctls one can never be written: that is tried once. */
START_TEST(what_does_not_pass_of_a_rule_is_left_out)
{
        fake.write_error = -EACCES;
        fake.write_spared = UINT32_C(1) << REUSE;
        press(TWO);
        ticks(1000);
        ck_assert_uint_eq(fake.writes, 2);
}
END_TEST

START_TEST(a_reload_goes_on_waiting)
{
        fake.write_error = -EAGAIN;
        press(RULE);
        ticks(2);
        reload(RULE);
        ticks(2);
        ck_assert_uint_eq(fake.writes, 1);
        ticks(1);
        ck_assert_uint_eq(fake.writes, 2);
}
END_TEST

static void tear_down(void)
{
        tuner_stop(&tuner);
}

static void add(TCase *tcase)
{
        tcase_add_checked_fixture(tcase, set_up, tear_down);
        tcase_add_loop_test(tcase, a_saved_ledger_ends_the_wait, 0, 3);
        tcase_add_test(tcase, tries_get_rarer);
        tcase_add_loop_test(tcase, what_does_not_pass_waits_for_retry, 0, 2);
        tcase_add_test(tcase, a_give_back_is_tried_again_soon);
        tcase_add_loop_test(tcase, the_rest_of_a_rule_is_tried_again, 0, 2);
        tcase_add_test(tcase, the_rest_of_a_rule_is_no_return);
        tcase_add_test(tcase, what_does_not_pass_of_a_rule_is_left_out);
        tcase_add_test(tcase, a_reload_goes_on_waiting);
}

int main(void)
{
        return run_suite("retry", add);
}

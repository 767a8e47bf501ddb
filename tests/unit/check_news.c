/* SPDX-License-Identifier: MIT */
/* What a rule could not do is logged once; another failure, or the same one much later, is logged again. */

#include "fake_backend.h"

#define WHEN "when = tcp.fin_wait2 >= 100\n"
#define SET "set = net.ipv4.tcp_fin_timeout = 30\n"
/* The second rule has to wait for the limit. */
#define TWO \
        "[limits]\nchanges_per_minute = 1\n[rule first]\n" WHEN SET "[rule reuse]\n" WHEN \
        "set = net.ipv4.tcp_tw_reuse = 1\nadvise = Switch timestamps on.\n"

static void press(unsigned n)
{
        fake.fin_wait2 = 100;
        ticks(n);
}

static void relax(unsigned n)
{
        fake.fin_wait2 = 0;
        ticks(n);
}

START_TEST(a_write_that_fails_after_a_limit_is_told)
{
        start(TWO);
        press(5);
        ck_assert_str_eq(logged(AUDIT_REFUSED, "RESULT"), "limited");
        fake.write_error = -EPERM;
        press(100);
        ck_assert_str_eq(logged(AUDIT_FAILED, "RULE"), "reuse");
        ck_assert_uint_eq(fake.events[AUDIT_FAILED], 1);
        ck_assert_uint_eq(fake.events[AUDIT_REFUSED], 1);
}
END_TEST

START_TEST(a_restore_that_fails_after_a_limited_step_is_told)
{
        start("[limits]\nchanges_per_minute = 1\n[rule r]\n" WHEN "lower = net.ipv4.tcp_fin_timeout /2 min 10\n");
        press(20);
        ck_assert_uint_eq(fake.events[AUDIT_REFUSED], 1);
        fake.read_error = -EIO;
        relax(200);
        ck_assert_uint_eq(fake.events[AUDIT_FAILED], 1);
        fake.read_error = 0;
        relax(60);
        ck_assert_int_eq(fake.live[FIN], 60);
}
END_TEST

START_TEST(a_refusal_after_a_limit_has_its_advice)
{
        start(TWO);
        press(5);
        ck_assert_str_eq(logged(AUDIT_REFUSED, "RESULT"), "limited");
        fake.live[SYSCTL_TCP_TIMESTAMPS] = 0;
        press(100);
        ck_assert_str_eq(logged(AUDIT_REFUSED, "RESULT"), "refused");
        ck_assert_uint_eq(fake.events[AUDIT_REFUSED], 2);
        ck_assert_uint_eq(fake.events[AUDIT_ADVICE], 1);
}
END_TEST

/* Not each time when the pressure comes and goes. */
START_TEST(a_failure_is_told_again_under_another_pressure)
{
        start("[rule r]\n" WHEN SET "retry = 5s\n");
        fake.write_error = -EPERM;
        for (unsigned i = 0; i < 100; i++) {
                press(20);
                relax(100);
        }
        ck_assert_uint_eq(fake.events[AUDIT_FAILED], 1);
        fake.now += UINT64_C(7 * 86400) * S;
        relax(1);
        press(20);
        ck_assert_uint_eq(fake.events[AUDIT_FAILED], 2);
}
END_TEST

static void add(TCase *tcase)
{
        tcase_add_checked_fixture(tcase, set_up, NULL);
        tcase_add_test(tcase, a_write_that_fails_after_a_limit_is_told);
        tcase_add_test(tcase, a_restore_that_fails_after_a_limited_step_is_told);
        tcase_add_test(tcase, a_refusal_after_a_limit_has_its_advice);
        tcase_add_test(tcase, a_failure_is_told_again_under_another_pressure);
}

int main(void)
{
        return run_suite("news", add);
}

/* SPDX-License-Identifier: MIT */
/* What other programs change while no rule holds it is seen and said, and left to them: for a while, or for good. */

#include "fake_backend.h"

#define RULE "[rule r]\nwhen = tcp.fin_wait2 >= 100\nset = net.ipv4.tcp_fin_timeout = 30\nuntil = tcp.fin_wait2 < 1\n"
#define WAIT 600
#define HELD 5 /* min_interval */

static void expect_noted(unsigned n, const char *old, const char *new)
{
        ck_assert_uint_eq(fake.events[AUDIT_OVERRIDDEN], n);
        ck_assert_str_eq(logged(AUDIT_OVERRIDDEN, "RESULT"), "noted");
        ck_assert_str_eq(logged(AUDIT_OVERRIDDEN, "SYSCTL"), "net.ipv4.tcp_fin_timeout");
        ck_assert_str_eq(logged(AUDIT_OVERRIDDEN, "OLDVALUE"), old);
        ck_assert_str_eq(logged(AUDIT_OVERRIDDEN, "NEWVALUE"), new);
        ck_assert_str_eq(logged(AUDIT_OVERRIDDEN, "RULE"), "r");
}

static void expect_foreign(int64_t live)
{
        fake.fin_wait2 = 100;
        ticks(2 * WAIT);
        ck_assert_int_eq(fake.live[FIN], live);
        ck_assert_uint_eq(fake.writes, 0);
        ck_assert_str_eq(logged(AUDIT_OVERRIDDEN, "RESULT"), "left-alone");
        ck_assert_int_eq(fake.file.entry[FIN].state, LEDGER_FOREIGN);
}

/* A "sysctl --system" after the daemon's start, and a person at any time. */
START_TEST(a_change_is_said_and_becomes_the_original)
{
        start(RULE);
        ticks(3);
        fake.live[FIN] = 45;
        ticks(10);
        expect_noted(1, "60", "45");
        fake.fin_wait2 = 100;
        ticks(WAIT - 10);
        ck_assert_int_eq(fake.live[FIN], 45);
        ck_assert_uint_eq(fake.events[AUDIT_REFUSED], 1); /* once: not now */
        ck_assert_msg(strstr(logged(AUDIT_REFUSED, "MESSAGE"), "someone else changed net.ipv4.tcp_fin_timeout less"),
                      "%s", logged(AUDIT_REFUSED, "MESSAGE"));
        ticks(1);
        ck_assert_int_eq(fake.live[FIN], 30);
        ticks(HELD);
        fake.fin_wait2 = 0;
        ticks(1);
        ck_assert_int_eq(fake.live[FIN], 45);
        ck_assert_uint_eq(fake.events[AUDIT_OVERRIDDEN], 1);
}
END_TEST

/* Between the look at the sockets and the first write: "sysctl -p" in a storm. */
START_TEST(a_change_just_before_the_first_write_is_seen)
{
        start(RULE);
        ticks(3);
        fake.fin_wait2 = 100;
        fake.meanwhile = 45;
        ticks(1);
        ck_assert_int_eq(fake.live[FIN], 45);
        ticks(1);
        expect_noted(1, "60", "45");
        ticks(WAIT - 1);
        ck_assert_uint_eq(fake.writes, 0);
        ticks(1);
        ck_assert_int_eq(fake.live[FIN], 30);
}
END_TEST

START_TEST(a_second_change_is_foreign)
{
        start(RULE);
        ticks(1);
        fake.live[FIN] = 45;
        ticks(1);
        fake.live[FIN] = 50;
        ticks(1);
        ck_assert_uint_eq(fake.events[AUDIT_OVERRIDDEN], 2);
        ck_assert_str_eq(logged(AUDIT_OVERRIDDEN, "OLDVALUE"), "45");
        ck_assert_str_eq(logged(AUDIT_OVERRIDDEN, "NEWVALUE"), "50");
        expect_foreign(50);
        fake.live[FIN] = 55; /* theirs: no more is said */
        ticks(2);
        ck_assert_uint_eq(fake.events[AUDIT_OVERRIDDEN], 2);

        tuner.requests.rearm = UINT32_C(1) << FIN;
        ticks(2);
        ck_assert_int_eq(fake.live[FIN], 30);
        ticks(HELD);
        fake.fin_wait2 = 0;
        ticks(1);
        ck_assert_int_eq(fake.live[FIN], 55);
        fake.live[FIN] = 60; /* after rearm a change is the first one again */
        ticks(1);
        expect_noted(3, "55", "60");
}
END_TEST

/* The process after a crash goes on waiting, and counts the next change as the second one. */
START_TEST(a_crash_forgets_no_change)
{
        start(RULE);
        ticks(1);
        fake.live[FIN] = 45;
        ticks(1);
        start_again(RULE);
        fake.fin_wait2 = 100;
        ticks(WAIT - 1);
        ck_assert_uint_eq(fake.writes, 0);
        if (_i == 0) {
                ticks(1);
                ck_assert_int_eq(fake.live[FIN], 30);
                return;
        }
        fake.live[FIN] = 50;
        ticks(1);
        expect_foreign(50);
}
END_TEST

START_TEST(a_change_between_two_processes_is_none)
{
        start(RULE);
        ticks(2);
        if (_i == 1)
                ck_assert_uint_eq(tuner_restore_all(&tuner, "test"), 0);
        fake.live[FIN] = 45;
        start_again(RULE);
        fake.fin_wait2 = 100;
        ticks(2);
        ck_assert_int_eq(fake.live[FIN], 30);
        ck_assert_uint_eq(fake.events[AUDIT_OVERRIDDEN], 0);
}
END_TEST

/* An orderly end: the next start is a manual one. */
START_TEST(a_stop_forgets_the_change)
{
        start(RULE);
        ticks(1);
        fake.live[FIN] = 45;
        ticks(1);
        ck_assert_uint_eq(tuner_restore_all(&tuner, "test"), 0);
        start_again(RULE);
        fake.fin_wait2 = 100;
        ticks(1);
        ck_assert_int_eq(fake.live[FIN], 30);
}
END_TEST

/* Taken and given back, kept, put back at a reload or by request, failed: nobody else did that. */
START_TEST(what_twtuned_writes_is_no_change_of_others)
{
        start(RULE);
        for (unsigned i = 0; i < 4; i++) {
                fake.fin_wait2 = 100;
                ticks(10);
                fake.fin_wait2 = 0;
                ticks(700);
        }
        ck_assert_uint_eq(fake.writes, 8);
        fake.fin_wait2 = 100;
        ticks(10);
        reload(RULE "release = keep\n");
        fake.fin_wait2 = 0;
        ticks(10);
        ck_assert_int_eq(fake.live[FIN], 30);
        fake.live[FIN] = 60;
        start_again(RULE);
        fake.swallow = true;
        fake.fin_wait2 = 100;
        ticks(10);
        fake.swallow = false;
        ticks(1000);
        ck_assert_int_eq(fake.live[FIN], 30);
        reload("[rule other]\nwhen = tcp.fin_wait2 >= 1000\nset = net.ipv4.tcp_fin_timeout = 40\n");
        ck_assert_int_eq(fake.live[FIN], 60);
        ticks(10);
        ck_assert_uint_eq(fake.events[AUDIT_OVERRIDDEN], 0);
}
END_TEST

START_TEST(what_no_rule_sets_is_nobodys_business)
{
        start(RULE "[rule off]\nenabled = no\nwhen = tcp.fin_wait2 >= 1\nset = net.core.somaxconn = 8192\n");
        ticks(1);
        fake.live[SYSCTL_SOMAXCONN] = 128;
        fake.live[REUSE] = 1;
        ticks(3);
        ck_assert_uint_eq(fake.events[AUDIT_OVERRIDDEN], 0);
}
END_TEST

START_TEST(observing_says_it_and_saves_nothing)
{
        start("[daemon]\nmode = observe\n" RULE);
        ticks(1);
        fake.live[FIN] = 45;
        ticks(2);
        expect_noted(1, "60", "45");
        ck_assert_int_eq(fake.file.entry[FIN].state, LEDGER_NONE);
}
END_TEST

/* A sysctl that cannot be read is not taken for a changed one. */
START_TEST(an_invalid_reading_is_no_change)
{
        start(RULE);
        ticks(1);
        fake.observe_error = -EIO;
        ticks(3);
        fake.observe_error = 0;
        ticks(3);
        ck_assert_uint_eq(fake.events[AUDIT_OVERRIDDEN], 0);
        fake.observe_error = -EIO;
        fake.live[FIN] = 45;
        ticks(3);
        fake.observe_error = 0;
        ticks(1);
        expect_noted(1, "60", "45");
}
END_TEST

/* A person puts the original back by hand just before a reload does, as the rule is gone; then the rule is there
 * again. */
START_TEST(a_hand_that_was_faster_than_a_reload_is_seen)
{
        start(RULE);
        fake.fin_wait2 = 100;
        ticks(HELD);
        ck_assert_int_eq(fake.live[FIN], 30);
        fake.live[FIN] = 60;
        reload("[rule other]\nwhen = tcp.fin_wait2 >= 1000\nset = net.ipv4.tcp_keepalive_probes = 5\n");
        reload(RULE);
        ticks(WAIT - 1);
        expect_noted(1, "30", "60");
        ck_assert_int_eq(fake.live[FIN], 60);
        ticks(2);
        ck_assert_int_eq(fake.live[FIN], 30);
}
END_TEST

static void tear_down(void)
{
        tuner_stop(&tuner);
}

static void add(TCase *tcase)
{
        tcase_add_checked_fixture(tcase, set_up, tear_down);
        tcase_add_test(tcase, a_change_is_said_and_becomes_the_original);
        tcase_add_test(tcase, a_change_just_before_the_first_write_is_seen);
        tcase_add_test(tcase, a_second_change_is_foreign);
        tcase_add_loop_test(tcase, a_crash_forgets_no_change, 0, 2);
        tcase_add_loop_test(tcase, a_change_between_two_processes_is_none, 0, 2);
        tcase_add_test(tcase, a_stop_forgets_the_change);
        tcase_add_test(tcase, what_twtuned_writes_is_no_change_of_others);
        tcase_add_test(tcase, what_no_rule_sets_is_nobodys_business);
        tcase_add_test(tcase, observing_says_it_and_saves_nothing);
        tcase_add_test(tcase, an_invalid_reading_is_no_change);
        tcase_add_test(tcase, a_hand_that_was_faster_than_a_reload_is_seen);
}

int main(void)
{
        return run_suite("foreign", add);
}

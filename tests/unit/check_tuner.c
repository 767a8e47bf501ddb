/* SPDX-License-Identifier: MIT */
/* The whole tick over a world that fails on demand: no original is ever lost, nobody's value is written over. */

#include "fake_world.h"

#define RULE(name, number) \
        "[rule " name "]\nwhen = tcp.fin_wait2 >= 100\nset = net.ipv4.tcp_fin_timeout = " number "\n"
#define TWO RULE("r", "30") "set = net.ipv4.tcp_tw_reuse = 1\n"

static void start_and_hold(const char *text)
{
        start(text);
        fake.fin_wait2 = 100;
        ticks(1);
        ck_assert_int_eq(fake.live[FIN], 30);
}

START_TEST(holds_and_gives_back)
{
        start_and_hold(RULE("r", "30"));
        fake.fin_wait2 = 0;
        ticks(61);
        ck_assert_int_eq(fake.live[FIN], 60);
        ck_assert_uint_eq(fake.writes, 2);
        ck_assert_uint_eq(fake.events[EVENT_APPLIED] + fake.events[EVENT_RELEASED], 2);
}
END_TEST

/* The write took, and what is there cannot be read: the ledger must not forget the original. */
START_TEST(a_read_back_that_fails_loses_no_original)
{
        start(RULE("r", "30"));
        fake.fin_wait2 = 100;
        fake.read_error = -EIO;
        fake.read_error_after = 2; /* both looks before the write are good */
        ticks(1);
        ck_assert_int_eq(fake.file.entry[FIN].state, LEDGER_HELD); /* nobody knows what is there */
        ck_assert_int_eq(fake.file.entry[FIN].original.v[0], 60);
        ck_assert_uint_ge(fake.events[EVENT_FAILED], 1);

        fake.read_error = 0;
        fake.fin_wait2 = 0;
        ticks(100);
        ck_assert_int_eq(fake.live[FIN], 60);
        ck_assert_int_eq(fake.file.entry[FIN].state, LEDGER_RELEASED);
}
END_TEST

START_TEST(a_write_that_does_nothing_is_no_success)
{
        start(RULE("r", "30"));
        fake.swallow = true;
        fake.fin_wait2 = 100;
        ticks(3);
        ck_assert_uint_eq(fake.events[EVENT_APPLIED], 0);
        ck_assert_uint_eq(fake.events[EVENT_FAILED], 1);
        ck_assert_int_ne(fake.file.entry[FIN].state, LEDGER_HELD);
}
END_TEST

START_TEST(without_a_ledger_nothing_is_written)
{
        start(RULE("r", "30"));
        fake.save_error = -ENOSPC;
        fake.fin_wait2 = 100;
        ticks(5);
        ck_assert_uint_eq(fake.writes, 0);
        ck_assert_uint_eq(fake.events[EVENT_FAILED], 1);
}
END_TEST

/* A release whose ledger cannot be saved leaves "held" on disk; it must not stay there. */
START_TEST(a_ledger_that_could_not_be_saved_is_saved_later)
{
        start_and_hold(RULE("r", "30"));
        fake.fin_wait2 = 0;
        fake.save_error = -ENOSPC;
        ticks(70);
        ck_assert_int_eq(fake.live[FIN], 60);
        ck_assert_int_eq(fake.file.entry[FIN].state, LEDGER_HELD);
        ck_assert_uint_eq(fake.events[EVENT_DEGRADED], 1);
        fake.save_error = 0;
        ticks(1);
        ck_assert_int_eq(fake.file.entry[FIN].state, LEDGER_RELEASED);
        ck_assert_uint_eq(fake.events[EVENT_RECOVERED], 1);
}
END_TEST

START_TEST(a_process_that_died_before_its_write_leaves_nothing)
{
        fake.file.entry[FIN] =
                (struct ledger_entry){LEDGER_HELD, SYSCTL_VALUE(60), SYSCTL_VALUE(30), "r", 900 * S, {0}};
        start(RULE("r", "30"));
        ck_assert_int_eq(fake.file.entry[FIN].state, LEDGER_RELEASED); /* its time counts for the limits */
        fake.live[FIN] = 30;                                           /* the administrator's, later */
        ck_assert_uint_eq(tuner_restore_all(&tuner, "test"), 0);
        ck_assert_int_eq(fake.live[FIN], 30);
}
END_TEST

START_TEST(a_restore_at_a_reload_that_fails_is_tried_again)
{
        start_and_hold(RULE("r", "30"));
        fake.write_error = -EACCES;
        reload(RULE("other", "40"));
        fake.fin_wait2 = 0;
        ticks(30);
        ck_assert_int_eq(fake.live[FIN], 30);
        fake.write_error = 0;
        ticks(61);
        ck_assert_int_eq(fake.live[FIN], 60);
        ck_assert_int_eq(fake.file.entry[FIN].state, LEDGER_RELEASED);
}
END_TEST

/* Whatever is reloaded in between, also another mode. */
START_TEST(an_override_outlives_reloads)
{
        static const char *const between[] = {RULE("r", "30"), "[daemon]\nmode = observe\n" RULE("r", "30"),
                                              RULE("r", "40"), RULE("other", "50")};

        start_and_hold(RULE("r", "30"));
        fake.live[FIN] = 45;
        ticks(1);
        reload(between[_i]);
        ticks(3);
        reload(RULE("r", "30"));
        ticks(100);
        ck_assert_int_eq(fake.live[FIN], 45);
        ck_assert_uint_eq(fake.events[EVENT_OVERRIDDEN], 1);
}
END_TEST

START_TEST(an_override_just_before_a_reload_is_seen)
{
        start_and_hold(RULE("r", "30"));
        fake.live[FIN] = 45;
        reload(RULE("r", "40"));
        ticks(100);
        ck_assert_int_eq(fake.live[FIN], 45);
}
END_TEST

START_TEST(an_override_ends_with_an_orderly_stop)
{
        start_and_hold(RULE("r", "30"));
        fake.live[FIN] = 45;
        ticks(1);
        ck_assert_uint_eq(tuner_restore_all(&tuner, "test"), 0);
        ck_assert_int_eq(fake.live[FIN], 45);
        start(RULE("r", "30"));
        ticks(10);
        ck_assert_int_eq(fake.live[FIN], 30);
}
END_TEST

START_TEST(an_override_outlives_a_crash)
{
        start_and_hold(RULE("r", "30"));
        fake.live[FIN] = 45;
        ticks(1);
        start(RULE("r", "30")); /* nothing was put in order before */
        ticks(100);
        ck_assert_int_eq(fake.live[FIN], 45);
}
END_TEST

/* What changes in the rule is not what it sets. */
START_TEST(a_reload_of_the_until_alone_does_not_dip)
{
        start_and_hold(RULE("r", "30"));
        reload(RULE("r", "30") "until = tcp.fin_wait2 < 1\nabort = opens.resets > 3x before within 1min\n");
        ticks(5);
        ck_assert_uint_eq(fake.writes, 1);
        fake.fin_wait2 = 0;
        ticks(1);
        ck_assert_int_eq(fake.live[FIN], 60);
}
END_TEST

START_TEST(a_reload_that_drops_expect_forgets_it)
{
        start_and_hold(RULE("r", "30") "expect = tcp.closing > 1 within 5s\n");
        reload(RULE("r", "30"));
        ticks(30);
        ck_assert_uint_eq(fake.events[EVENT_UNEXPECTED_EFFECT], 0);
        ck_assert_int_eq(fake.live[FIN], 30);
}
END_TEST

/* Two rules hold one value, the ledger names one of them, which ended: the other goes on. */
START_TEST(a_crash_does_not_dip_what_two_rules_hold)
{
        static const char both[] =
                RULE("a", "30") "[rule b]\nwhen = tcp.fin_wait2 >= 50\nset = net.ipv4.tcp_fin_timeout = 30\n";

        start_and_hold(both);
        fake.fin_wait2 = 60;
        ticks(61); /* a ends */
        start(both);
        ticks(200);
        ck_assert_int_eq(fake.live[FIN], 30);
        ck_assert_uint_eq(fake.writes, 1);
}
END_TEST

START_TEST(a_rule_is_applied_whole_or_not_yet)
{
        start("[limits]\nchanges_per_minute = 2\nmin_interval = 0s\n" TWO
              "[rule s]\nwhen = tcp.fin_wait2 >= 50\nset = net.core.somaxconn = 8192\n");
        fake.fin_wait2 = 60;
        ticks(1); /* takes one of the two */
        fake.fin_wait2 = 100;
        ticks(5);
        ck_assert(fake.live[FIN] == 60 && fake.live[REUSE] == 2);
        ticks(60);
        ck_assert(fake.live[FIN] == 30 && fake.live[REUSE] == 1);
}
END_TEST

START_TEST(nothing_is_decided_while_nothing_can_be_read)
{
        start_and_hold(RULE("r", "30"));
        fake.fin_wait2 = 0;
        fake.observe_error = -ENOBUFS;
        ticks(300);
        ck_assert_int_eq(fake.live[FIN], 30);
        ck_assert_uint_eq(fake.events[EVENT_DEGRADED], 1);
        fake.observe_error = 0;
        ticks(62);
        ck_assert_int_eq(fake.live[FIN], 60);
        ck_assert_uint_eq(fake.events[EVENT_RECOVERED], 1);
}
END_TEST

START_TEST(what_cannot_be_put_back_is_counted_and_stays_in_the_ledger)
{
        start_and_hold(TWO);
        fake.write_error = -EROFS;
        ck_assert_uint_eq(tuner_restore_all(&tuner, "test"), 2);
        ck_assert_int_eq(fake.file.entry[FIN].state, LEDGER_HELD);
        ck_assert_int_eq(fake.file.entry[REUSE].state, LEDGER_HELD);
}
END_TEST

START_TEST(observing_writes_nothing_not_even_back)
{
        start_and_hold(RULE("r", "30"));
        start("[daemon]\nmode = observe\n" RULE("r", "30")); /* after a crash */
        fake.fin_wait2 = 0;
        ticks(100);
        ck_assert_int_eq(fake.live[FIN], 30);
        ck_assert_uint_eq(fake.writes, 1);
        ck_assert_int_eq(fake.file.entry[FIN].state, LEDGER_HELD);
}
END_TEST

START_TEST(a_table_is_not_shrunk_under_what_it_holds)
{
        fake.live[SYSCTL_TCP_MAX_TW_BUCKETS] = 65536;
        start("[rule r]\nwhen = tcp.fin_wait2 >= 100\nset = net.ipv4.tcp_max_tw_buckets = 131072\n");
        fake.fin_wait2 = 100;
        ticks(1);
        ck_assert_int_eq(fake.live[SYSCTL_TCP_MAX_TW_BUCKETS], 131072);
        fake.fin_wait2 = 0;
        ticks(200); /* the fake world does not tell how full it is: not known is not empty */
        ck_assert_int_eq(fake.live[SYSCTL_TCP_MAX_TW_BUCKETS], 131072);
}
END_TEST

START_TEST(what_this_kernel_lacks_is_said_and_left)
{
        fake.lacks_reuse = true;
        start(RULE("r", "30") "[rule s]\nwhen = tcp.fin_wait2 >= 100\nset = net.ipv4.tcp_tw_reuse = 1\n");
        fake.fin_wait2 = 100;
        ticks(5);
        ck_assert_ptr_nonnull(strstr(fake.loaded, "enforcing 2 rules"));
        ck_assert_ptr_nonnull(strstr(fake.loaded, "1 of them cannot act here"));
        ck_assert(fake.live[FIN] == 30 && fake.live[REUSE] == 2);
        ck_assert_uint_eq(fake.events[EVENT_CONFIG_LOADED], 1);
        reload(RULE("r", "30"));
        ticks(1);
        ck_assert_ptr_null(strstr(fake.loaded, "cannot act"));
}
END_TEST

static void add(TCase *tcase)
{
        tcase_add_checked_fixture(tcase, set_up, NULL);
        tcase_add_test(tcase, holds_and_gives_back);
        tcase_add_test(tcase, a_read_back_that_fails_loses_no_original);
        tcase_add_test(tcase, a_write_that_does_nothing_is_no_success);
        tcase_add_test(tcase, without_a_ledger_nothing_is_written);
        tcase_add_test(tcase, a_ledger_that_could_not_be_saved_is_saved_later);
        tcase_add_test(tcase, a_process_that_died_before_its_write_leaves_nothing);
        tcase_add_test(tcase, a_restore_at_a_reload_that_fails_is_tried_again);
        tcase_add_loop_test(tcase, an_override_outlives_reloads, 0, 4);
        tcase_add_test(tcase, an_override_just_before_a_reload_is_seen);
        tcase_add_test(tcase, an_override_ends_with_an_orderly_stop);
        tcase_add_test(tcase, an_override_outlives_a_crash);
        tcase_add_test(tcase, a_reload_of_the_until_alone_does_not_dip);
        tcase_add_test(tcase, a_reload_that_drops_expect_forgets_it);
        tcase_add_test(tcase, a_crash_does_not_dip_what_two_rules_hold);
        tcase_add_test(tcase, a_rule_is_applied_whole_or_not_yet);
        tcase_add_test(tcase, nothing_is_decided_while_nothing_can_be_read);
        tcase_add_test(tcase, what_cannot_be_put_back_is_counted_and_stays_in_the_ledger);
        tcase_add_test(tcase, observing_writes_nothing_not_even_back);
        tcase_add_test(tcase, what_this_kernel_lacks_is_said_and_left);
        tcase_add_test(tcase, a_table_is_not_shrunk_under_what_it_holds);
}

int main(void)
{
        return run_suite("tuner", add);
}

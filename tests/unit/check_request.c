/* SPDX-License-Identifier: MIT */
/* What a person asks of a running daemon, in the tick that follows. */

#include "fake_backend.h"

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

static void ask(struct requests asked)
{
        tuner.requests = asked;
        ticks(1);
}

START_TEST(a_pause_holds_what_is_held_and_writes_nothing)
{
        start_and_hold(RULE("r", "30"));
        ask((struct requests){.pause = true});
        fake.fin_wait2 = 0;
        ticks(200);
        ck_assert_int_eq(fake.live[FIN], 30);
        ck_assert_uint_eq(fake.writes, 1);
        ck_assert_str_eq(fake.status, "paused: nothing is written, 1 sysctl held");
        ask((struct requests){.resume = true});
        ticks(2);
        ck_assert_int_eq(fake.live[FIN], 60);
        ck_assert_str_eq(logged(AUDIT_RESUMED, "MESSAGE"), "the pause ends: by request (uid 0)");
        ck_assert_str_eq(logged(AUDIT_RESUMED, "REQUESTER"), "uid 0");
}
END_TEST

START_TEST(a_pause_lets_no_rule_enter_until_its_time_is_over)
{
        start(RULE("r", "30"));
        ask((struct requests){.pause = true, .pause_ns = 20 * S});
        fake.fin_wait2 = 100;
        ticks(19);
        ck_assert_uint_eq(fake.writes, 0);
        ticks(1);
        ck_assert_int_eq(fake.live[FIN], 30);
        ck_assert_str_eq(
                logged(AUDIT_PAUSED, "MESSAGE"),
                "paused for 20s, by request (uid 0): no sysctl is written, and changed ones stay as they are");
        ck_assert_uint_eq(fake.events[AUDIT_RESUMED], 1);
        ck_assert_str_eq(logged(AUDIT_PAUSED, "REQUESTER"), "uid 0");
        ck_assert_str_eq(logged(AUDIT_RESUMED, "REQUESTER"), ""); /* its time was over */
        ck_assert_uint_eq(fake.events[AUDIT_DEGRADED] + fake.events[AUDIT_RECOVERED], 0);
}
END_TEST

START_TEST(a_pause_still_sees_what_someone_else_does)
{
        start_and_hold(RULE("r", "30"));
        ask((struct requests){.pause = true});
        fake.live[FIN] = 45;
        ticks(2);
        ck_assert_uint_eq(fake.events[AUDIT_OVERRIDDEN], 1);
        ask((struct requests){.resume = true});
        ticks(100);
        ck_assert_int_eq(fake.live[FIN], 45);
}
END_TEST

START_TEST(a_pause_keeps_what_a_reload_drops_and_an_end_puts_back)
{
        start_and_hold(RULE("r", "30"));
        ask((struct requests){.pause = true});
        reload(RULE("other", "40"));
        ticks(5);
        ck_assert_int_eq(fake.live[FIN], 30);
        ck_assert_uint_eq(tuner_restore_all(&tuner, "the end"), 0);
        ck_assert_int_eq(fake.live[FIN], 60);
}
END_TEST

/* Nobody would put it back later. */
START_TEST(a_pause_keeps_nothing_over_a_reload_to_observe_mode)
{
        start_and_hold(RULE("r", "30"));
        ask((struct requests){.pause = true});
        reload("[daemon]\nmode = observe\n" RULE("r", "30"));
        ck_assert_int_eq(fake.live[FIN], 60);
        ck_assert_int_eq(fake.file.entry[FIN].state, LEDGER_RELEASED);
        ask((struct requests){.resume = true});
        ticks(1);
        ck_assert_str_eq(fake.status, "healthy, observing only");
}
END_TEST

START_TEST(a_release_puts_back_and_leaves_alone_until_rearm)
{
        start_and_hold(TWO);
        ask((struct requests){.release = BIT(FIN)});
        ck_assert_int_eq(fake.live[FIN], 60);
        ck_assert_int_eq(fake.live[REUSE], 1); /* one sysctl, not the whole rule */
        ck_assert_int_eq(fake.file.entry[FIN].state, LEDGER_FOREIGN);
        ck_assert_ptr_nonnull(strstr(logged(AUDIT_RELEASED_BY_REQUEST, "MESSAGE"), "30 -> 60: by request (uid 0)"));
        ck_assert_str_eq(logged(AUDIT_RELEASED_BY_REQUEST, "REQUESTER"), "uid 0");
        ck_assert_uint_eq(fake.events[AUDIT_RELEASED], 0);
        ticks(100);
        ck_assert_int_eq(fake.live[FIN], 60);
        ck_assert_uint_eq(fake.events[AUDIT_OVERRIDDEN], 0);

        ask((struct requests){.release = BIT(REUSE)});
        ck_assert_int_eq(fake.live[REUSE], 2);
        ask((struct requests){.rearm = BIT(FIN)});
        ck_assert_str_eq(logged(AUDIT_REARMED, "REQUESTER"), "uid 0");
        ticks(10);
        ck_assert_int_eq(fake.live[FIN], 30);
        ck_assert_int_eq(fake.live[REUSE], 2);
        ck_assert_int_eq(fake.file.entry[FIN].state, LEDGER_HELD);
        ck_assert_int_eq(fake.file.entry[FIN].original.v[0], 60);
}
END_TEST

/* While the rule holds another sysctl its episode lasts; after a rearm a new one begins. */
START_TEST(a_release_ends_the_episode)
{
        const struct episodes *episodes = &tuner.audit.episodes;
        uint64_t begun;

        start_and_hold(TWO);
        begun = episodes_last(episodes, "r")->begun;
        ask((struct requests){.release = BIT(FIN)});
        ck_assert_ptr_nonnull(episodes_current(episodes, "r"));
        ask((struct requests){.release = BIT(REUSE)});
        ck_assert_int_eq(episodes_last(episodes, "r")->end, EPISODE_RELEASED);
        ck_assert_uint_eq(episodes_last(episodes, "r")->ended, fake.now);
        ask((struct requests){.rearm = BIT(FIN) | BIT(REUSE)});
        ticks(10);
        ck_assert_int_eq(fake.live[FIN], 30);
        ck_assert_ptr_nonnull(episodes_current(episodes, "r"));
        ck_assert_uint_gt(episodes_last(episodes, "r")->begun, begun);
}
END_TEST

START_TEST(a_release_outlives_a_crash)
{
        start_and_hold(TWO);
        ask((struct requests){.release = BIT(FIN)});
        tuner_stop(&tuner); /* as after kill -9: nothing was put back */
        start(TWO);
        ticks(50);
        ck_assert_int_eq(fake.live[FIN], 60);
        ck_assert_int_eq(fake.live[REUSE], 1);
}
END_TEST

/* Once only: what it finds there already, or what is refused, must not be asked for at every tick. */
START_TEST(an_active_rule_takes_what_is_rearmed_while_it_is_needed)
{
        start_and_hold(TWO);
        ask((struct requests){.release = BIT(FIN)});
        fake.fin_wait2 = 99;
        ask((struct requests){.rearm = BIT(FIN)});
        ticks(5);
        ck_assert_int_eq(fake.live[FIN], 60);
        fake.fin_wait2 = 100;
        ticks(2);
        ck_assert_int_eq(fake.live[FIN], 30);
        ck_assert_int_eq(fake.live[REUSE], 1);
        ck_assert_uint_eq(fake.events[AUDIT_APPLIED], 3);

        ask((struct requests){.release = BIT(FIN)});
        fake.live[FIN] = 30;
        ask((struct requests){.rearm = BIT(FIN)});
        ticks(20);
        ck_assert_uint_eq(fake.writes, 5); /* the release was one of them */
        fake.fin_wait2 = 0;
        ticks(61);
        ck_assert_int_eq(fake.live[REUSE], 2); /* its release was not put off for ever */
        ck_assert_int_eq(fake.live[FIN], 30);
}
END_TEST

START_TEST(release_all_is_all_that_is_held)
{
        start_and_hold(TWO);
        ask((struct requests){.release_all = true});
        ck_assert_int_eq(fake.live[FIN], 60);
        ck_assert_int_eq(fake.live[REUSE], 2);
        ck_assert_int_eq(fake.file.entry[FIN].state, LEDGER_FOREIGN);
        ck_assert_int_eq(fake.file.entry[SYSCTL_TCP_KEEPALIVE_PROBES].state, LEDGER_NONE);
        ck_assert_uint_eq(fake.events[AUDIT_RELEASED_BY_REQUEST], 2);
}
END_TEST

START_TEST(what_is_not_held_can_be_taken_out_beforehand)
{
        start(RULE("r", "30"));
        ask((struct requests){.release = BIT(FIN)});
        ck_assert_uint_eq(fake.events[AUDIT_RELEASED_BY_REQUEST], 1);
        fake.fin_wait2 = 100;
        ticks(50);
        ck_assert_uint_eq(fake.writes, 0);
        ask((struct requests){.release = BIT(FIN)});
        ck_assert_uint_eq(fake.events[AUDIT_RELEASED_BY_REQUEST], 1);
        ask((struct requests){.rearm = BIT(FIN)});
        ticks(1);
        ck_assert_int_eq(fake.live[FIN], 30);
}
END_TEST

START_TEST(what_cannot_be_put_back_stays_held)
{
        start_and_hold(RULE("r", "30"));
        fake.write_error = -EROFS;
        ask((struct requests){.release = BIT(FIN)});
        ck_assert_int_eq(fake.live[FIN], 30);
        ck_assert_int_eq(tuner.apply.ledger.entry[FIN].state, LEDGER_HELD);
        ck_assert_uint_eq(fake.events[AUDIT_FAILED], 1);
        fake.write_error = 0;
        fake.fin_wait2 = 0;
        ticks(100);
        ck_assert_int_eq(fake.live[FIN], 60);
}
END_TEST

START_TEST(someone_elses_value_is_not_restored_over)
{
        start_and_hold(RULE("r", "30"));
        fake.live[FIN] = 45;
        ask((struct requests){.release = BIT(FIN)});
        ck_assert_int_eq(fake.live[FIN], 45);
        ck_assert_uint_eq(fake.writes, 1);
}
END_TEST

#define BOTH(least) \
        "[rule r]\nwhen = tcp.fin_wait2 >= " least "\nset = net.ipv4.tcp_fin_timeout = 30\n" \
        "set = net.ipv4.tcp_tw_reuse = 1\n"

/* One of the two sysctls of a rule was rearmed, and min_interval keeps the rule from taking it at once. It is taken
 * later by the same rule after a reload, by another one that takes over, or by the process after a crash. */
START_TEST(what_was_rearmed_is_taken_after_a_reload)
{
        start_and_hold(BOTH("100"));
        fake.live[REUSE] = 0;
        ticks(1);
        ask((struct requests){.rearm = BIT(REUSE)});
        ck_assert_int_eq(fake.live[REUSE], 0);
        if (_i < 2)
                reload(_i == 0 ? BOTH("100") : BOTH("90"));
        else
                start_again(BOTH("100"));
        ticks(10);
        ck_assert_int_eq(fake.live[REUSE], 1);
        ck_assert_int_eq(fake.live[FIN], 30);
        fake.fin_wait2 = 0;
        ticks(1000);
        ck_assert_int_eq(fake.live[REUSE], 0);
        ck_assert_int_eq(fake.live[FIN], 60);
}
END_TEST

/* A process that is killed between the two writes of a rule. */
START_TEST(a_rule_that_was_half_taken_is_taken_whole)
{
        start_and_hold(BOTH("100"));
        fake.live[REUSE] = 2;
        fake.file.entry[REUSE].state = LEDGER_NONE;
        start_again(BOTH("100"));
        ticks(10);
        ck_assert_int_eq(fake.live[REUSE], 1);
}
END_TEST

static void add(TCase *tcase)
{
        tcase_add_checked_fixture(tcase, set_up, NULL);
        tcase_add_test(tcase, a_pause_holds_what_is_held_and_writes_nothing);
        tcase_add_test(tcase, a_pause_lets_no_rule_enter_until_its_time_is_over);
        tcase_add_test(tcase, a_pause_still_sees_what_someone_else_does);
        tcase_add_test(tcase, a_pause_keeps_what_a_reload_drops_and_an_end_puts_back);
        tcase_add_test(tcase, a_pause_keeps_nothing_over_a_reload_to_observe_mode);
        tcase_add_test(tcase, a_release_puts_back_and_leaves_alone_until_rearm);
        tcase_add_test(tcase, a_release_ends_the_episode);
        tcase_add_test(tcase, a_release_outlives_a_crash);
        tcase_add_test(tcase, an_active_rule_takes_what_is_rearmed_while_it_is_needed);
        tcase_add_loop_test(tcase, what_was_rearmed_is_taken_after_a_reload, 0, 3);
        tcase_add_test(tcase, a_rule_that_was_half_taken_is_taken_whole);
        tcase_add_test(tcase, release_all_is_all_that_is_held);
        tcase_add_test(tcase, what_is_not_held_can_be_taken_out_beforehand);
        tcase_add_test(tcase, what_cannot_be_put_back_stays_held);
        tcase_add_test(tcase, someone_elses_value_is_not_restored_over);
}

int main(void)
{
        return run_suite("request", add);
}

/* SPDX-License-Identifier: MIT */
/* Ticks in which the rules rest (tuner.settled), and what must be seen in the first one in which it comes. */

#include "fake_backend.h"

#define RULE "[rule r]\nwhen = tcp.fin_wait2 >= 100\nset = net.ipv4.tcp_fin_timeout = 30\n"
#define AGAIN_AFTER 61 /* s; a degraded state that is over, and a restore that failed */

static uint64_t dump_every;

static void see_dump_every(struct snapshot *s)
{
        s->dump_every = dump_every;
}

static void begin(void)
{
        set_up();
        dump_every = 0;
        fake.also = see_dump_every;
}

static void end(void)
{
        tuner_stop(&tuner);
}

static void rest(void)
{
        ticks(3);
        ck_assert(tuner.settled);
}

static void start_and_rest(void)
{
        start(RULE);
        rest();
}

START_TEST(a_cause_is_seen)
{
        start_and_rest();
        fake.fin_wait2 = 100;
        ticks(1);
        ck_assert_int_eq(fake.live[FIN], 30);
}
END_TEST

START_TEST(a_hand_on_a_sysctl_is_seen)
{
        start_and_rest();
        fake.live[FIN] = 45;
        ticks(1);
        ck_assert_uint_eq(fake.events[AUDIT_OVERRIDDEN], 1);
        ck_assert_str_eq(logged(AUDIT_OVERRIDDEN, "NEWVALUE"), "45");
}
END_TEST

START_TEST(a_request_is_carried_out)
{
        static const struct requests requests[] = {
                {.pause = true}, {.pause = true, .pause_ns = 5 * S}, {.release = BIT(FIN)}};
        static const enum audit_kind kinds[] = {AUDIT_PAUSED, AUDIT_PAUSED, AUDIT_RELEASED_BY_REQUEST};

        start_and_rest();
        tuner.requests = requests[_i];
        ticks(1);
        ck_assert_uint_eq(fake.events[kinds[_i]], 1);
        if (_i < 2)
                ck_assert_ptr_nonnull(strstr(fake.status, "paused"));
        ticks(4);
        ck_assert_uint_eq(fake.events[AUDIT_RESUMED], 0);
        ticks(1);
        ck_assert_uint_eq(fake.events[AUDIT_RESUMED], _i == 1);
}
END_TEST

START_TEST(a_resume_and_a_rearm_are_carried_out)
{
        start_and_rest();
        tuner.requests = (struct requests){.release = BIT(FIN)};
        rest();
        tuner.requests = (struct requests){.rearm = BIT(FIN)};
        ticks(1);
        ck_assert_uint_eq(fake.events[AUDIT_REARMED], 1);
        tuner.requests = (struct requests){.pause = true};
        ticks(3);
        tuner.requests = (struct requests){.resume = true};
        ticks(1);
        ck_assert_uint_eq(fake.events[AUDIT_RESUMED], 1);
}
END_TEST

START_TEST(a_source_that_fails_and_one_that_is_back_are_said)
{
        start_and_rest();
        fake.lone_error = -EIO; /* the readings that rules name stay the same */
        ticks(1);
        ck_assert_uint_eq(fake.events[AUDIT_DEGRADED], 1);
        ck_assert_ptr_nonnull(strstr(fake.status, "degraded"));
        ticks(2);
        fake.lone_error = 0;
        ticks(1);
        ck_assert_uint_eq(fake.events[AUDIT_RECOVERED], 1);
        ck_assert_str_eq(fake.status, "healthy");
}
END_TEST

START_TEST(late_ticks_are_over_in_their_time)
{
        start_and_rest();
        fake.now += 30 * S;
        ticks(1);
        ck_assert_ptr_nonnull(strstr(fake.status, "degraded: ticks are late"));
        ticks(AGAIN_AFTER);
        ck_assert_str_eq(fake.status, "healthy");
}
END_TEST

START_TEST(the_cadence_of_dumps_is_in_the_status)
{
        start_and_rest();
        dump_every = 4 * S;
        ticks(1);
        ck_assert_str_eq(fake.status, "healthy, looking at the sockets every 4.0 s or so (cpu_budget)");
        ticks(2);
        dump_every = 0;
        ticks(1);
        ck_assert_str_eq(fake.status, "healthy");
}
END_TEST

/* Its rule is gone, and the restore fails: it is tried again. */
START_TEST(what_no_rule_holds_is_put_back)
{
        start(RULE);
        fake.fin_wait2 = 100;
        ticks(1);
        fake.fin_wait2 = 0;
        fake.write_error = -EIO;
        start_again("[rule other]\nwhen = tcp.fin_wait2 >= 1000\nset = net.ipv4.tcp_tw_reuse = 1\n");
        ticks(3);
        ck_assert_int_eq(fake.live[FIN], 30);
        fake.write_error = 0;
        ticks(AGAIN_AFTER);
        ck_assert_int_eq(fake.live[FIN], 60);
        rest();
}
END_TEST

START_TEST(a_ledger_that_cannot_be_saved_is_saved_later)
{
        start_and_rest();
        fake.save_error = -ENOSPC;
        fake.live[FIN] = 45; /* to be noted there */
        ticks(3);
        ck_assert_uint_eq(fake.events[AUDIT_DEGRADED], 1);
        fake.save_error = 0;
        ticks(1);
        ck_assert_uint_eq(fake.file.entry[FIN].hand_at, fake.now - 3 * S);
}
END_TEST

START_TEST(a_reload_is_followed)
{
        start_and_rest();
        reload(RULE "[rule more]\nwhen = tcp.fin_wait2 < 100\nset = net.ipv4.tcp_tw_reuse = 1\n");
        ticks(1);
        ck_assert_uint_eq(fake.events[AUDIT_CONFIG_LOADED], 2);
        ck_assert_int_eq(fake.live[REUSE], 1);
}
END_TEST

static void add(TCase *tcase)
{
        tcase_add_checked_fixture(tcase, begin, end);
        tcase_add_test(tcase, a_cause_is_seen);
        tcase_add_test(tcase, a_hand_on_a_sysctl_is_seen);
        tcase_add_loop_test(tcase, a_request_is_carried_out, 0, 3);
        tcase_add_test(tcase, a_resume_and_a_rearm_are_carried_out);
        tcase_add_test(tcase, a_source_that_fails_and_one_that_is_back_are_said);
        tcase_add_test(tcase, late_ticks_are_over_in_their_time);
        tcase_add_test(tcase, the_cadence_of_dumps_is_in_the_status);
        tcase_add_test(tcase, what_no_rule_holds_is_put_back);
        tcase_add_test(tcase, a_ledger_that_cannot_be_saved_is_saved_later);
        tcase_add_test(tcase, a_reload_is_followed);
}

int main(void)
{
        return run_suite("tick_rest", add);
}

/* SPDX-License-Identifier: MIT */
/* When bounds do not decide a rule, the sockets have to be looked at: for what can enter or leave, and for what
 * harm would show in. (That no decision is lost without it: check_policy_need.c.) */

#include "one_host.h"

#define SET "set = net.ipv4.tcp_fin_timeout = 30\n"
#define CALM READING_VALID, 0, 0

struct known {
        enum reading_state state;
        double lower, upper;
};

/* Of a rule that is active or not, with what is known of tcp.time_wait and of tcp.established. */
static const struct {
        const char *name, *rule;
        bool active;
        struct known time_wait, established;
        bool dump_ports;
} rows[] = {
        {"the end is open",
         "when = tcp.time_wait >= 100\nuntil = tcp.time_wait < 50 for 10s\n",
         true,
         {READING_BOUNDED, 0, 200},
         {CALM},
         true},
        {"it is over",
         "when = tcp.time_wait >= 100\nuntil = tcp.time_wait < 50 for 10s\n",
         true,
         {READING_BOUNDED, 0, 40},
         {CALM},
         false},
        {"it is not over",
         "when = tcp.time_wait >= 100\nuntil = tcp.time_wait < 50 for 10s\n",
         true,
         {READING_BOUNDED, 60, 90},
         {CALM},
         false},
        {"nothing is known",
         "when = tcp.time_wait >= 100\nuntil = tcp.time_wait < 50 for 10s\n",
         true,
         {READING_INVALID, 0, 0},
         {CALM},
         false},
        {"everything is known",
         "when = tcp.time_wait >= 100\nuntil = tcp.time_wait < 50 for 10s\n",
         true,
         {READING_VALID, 70, 0},
         {CALM},
         false},
        {"the second end is open",
         "when = tcp.closing >= 100\nuntil = tcp.established < 5\nuntil = tcp.time_wait < 50\n",
         true,
         {READING_BOUNDED, 0, 200},
         {CALM},
         true},
        {"the first end is open",
         "when = tcp.closing >= 100\nuntil = tcp.established < 5\nuntil = tcp.time_wait < 50\n",
         true,
         {CALM},
         {READING_BOUNDED, 0, 9},
         true},
        {"no end of its own, the cause is open",
         "when = tcp.time_wait >= 100\n",
         true,
         {READING_BOUNDED, 0, 200},
         {CALM},
         true},
        {"no end of its own, the cause is gone",
         "when = tcp.time_wait >= 100\n",
         true,
         {READING_BOUNDED, 0, 50},
         {CALM},
         false},
        {"no end of its own, the cause is there",
         "when = tcp.time_wait >= 100\n",
         true,
         {READING_BOUNDED, 150, 200},
         {CALM},
         false},
        {"the second cause is open",
         "when = tcp.established >= 10\nwhen = tcp.time_wait >= 100\n",
         true,
         {READING_BOUNDED, 0, 200},
         {CALM},
         true},
        {"with an end the cause is no matter",
         "when = tcp.established >= 10\nuntil = tcp.time_wait < 50\n",
         true,
         {READING_BOUNDED, 0, 40},
         {READING_BOUNDED, 0, 20},
         false},
        {"it may enter", "when = tcp.time_wait >= 100\n", false, {READING_BOUNDED, 0, 200}, {CALM}, true},
        {"it cannot enter", "when = tcp.time_wait >= 100\n", false, {READING_BOUNDED, 0, 99}, {CALM}, false},
        {"it enters, known or not", "when = tcp.time_wait >= 100\n", false, {READING_VALID, 200, 0}, {CALM}, false},
        {"one cause is missing",
         "when = tcp.time_wait >= 100\nwhen = tcp.established >= 10\n",
         false,
         {READING_BOUNDED, 0, 200},
         {CALM},
         false},
        {"both are open",
         "when = tcp.time_wait >= 100\nwhen = tcp.established >= 10\n",
         false,
         {READING_BOUNDED, 0, 200},
         {READING_BOUNDED, 0, 20},
         true},
        {"a clock runs although the other cause is missing",
         "when = tcp.time_wait >= 100 for 9s\nwhen = tcp.established >= 10\n",
         false,
         {READING_BOUNDED, 0, 200},
         {CALM},
         true},
        {"the first of two clocks",
         "when = tcp.established >= 10 for 9s\nwhen = tcp.time_wait >= 100 for 9s\n",
         false,
         {CALM},
         {READING_BOUNDED, 0, 20},
         true},
        {"it may be that number", "when = tcp.time_wait == 100\n", false, {READING_BOUNDED, 0, 200}, {CALM}, true},
        {"it may be another",
         "when = tcp.closing >= 100\nuntil = tcp.time_wait != 100\n",
         true,
         {READING_BOUNDED, 0, 200},
         {CALM},
         true},
        {"both ends are that number",
         "when = tcp.closing >= 100\nuntil = tcp.time_wait != 100\n",
         true,
         {READING_BOUNDED, 50, 50},
         {CALM},
         false},
        {"both ends are less, with an order",
         "when = tcp.closing >= 100\nuntil = tcp.time_wait < 100\n",
         true,
         {READING_BOUNDED, 50, 60},
         {CALM},
         false},
        {"harm would show in it",
         "when = tcp.closing >= 100\nabort = tcp.time_wait > 3x before within 60s\n",
         false,
         {READING_BOUNDED, 0, 9},
         {CALM},
         true},
        {"harm would show in the second",
         "when = tcp.closing >= 100\nabort = tcp.established > 3x before within 60s\n"
         "abort = tcp.time_wait > 3x before within 60s\n",
         false,
         {READING_BOUNDED, 0, 9},
         {CALM},
         true},
        {"harm shows without a look",
         "when = tcp.closing >= 100\nabort = tcp.time_wait > 3x before within 60s\n",
         false,
         {READING_VALID, 9, 0},
         {READING_BOUNDED, 0, 9},
         false},
        {"a rule that is switched off",
         "enabled = no\nwhen = tcp.time_wait >= 100\n",
         false,
         {READING_BOUNDED, 0, 200},
         {CALM},
         false},
};

static void know(unsigned metric, const struct known *known)
{
        h->snapshot.reading[metric] =
                (struct reading){.state = known->state, .value = known->lower, .upper = known->upper};
}

static bool needs_dump(struct policy *policy, const struct snapshot *snapshot)
{
        return policy_evaluate(policy, snapshot)->needs_dump;
}

START_TEST(the_sockets_are_looked_at)
{
        char text[512];

        snprintf(text, sizeof(text), "[rule one]\n" SET "%s", rows[_i].rule);
        h = host_new(text);
        if (rows[_i].active) {
                ck_assert(
                        policy_adopt(h->policy, "one", SYSCTL_TCP_FIN_TIMEOUT, &SYSCTL_VALUE(30), &SYSCTL_VALUE(60)));
                host_sysctl(h, SYSCTL_TCP_FIN_TIMEOUT, 30);
        }
        host_reading(h, METRIC_TCP_CLOSING, 0);
        know(METRIC_TCP_TIME_WAIT, &rows[_i].time_wait);
        know(METRIC_TCP_ESTABLISHED, &rows[_i].established);
        ck_assert_msg(needs_dump(h->policy, &h->snapshot) == rows[_i].dump_ports, "%s: %s", rows[_i].name,
                      rows[_i].dump_ports ? "no look is asked for" : "a look is asked for");
}
END_TEST

START_TEST(an_effect_that_is_waited_for_is_looked_for)
{
        h = host_new("[rule one]\nwhen = tcp.time_wait >= 100\n" SET
                     "expect = netstat.TcpExt.TWRecycled > 0/s within 15s\n");
        host_reading(h, METRIC_TCP_TIME_WAIT, 100);
        host_reading(h, METRIC_COUNT + COUNTER_TW_RECYCLED, 0);
        ck_assert(!needs_dump(h->policy, &h->snapshot));
        host_pass(h, 1);
        ck_assert_uint_eq(h->logged, 1);
        ck_assert(needs_dump(h->policy, &h->snapshot));
        host_reading(h, METRIC_COUNT + COUNTER_TW_RECYCLED, 1);
        host_pass(h, 1);
        ck_assert(!needs_dump(h->policy, &h->snapshot));
}
END_TEST

/* Seconds in which nothing changes: the rules rest in each of them. */
static void rest(unsigned seconds)
{
        for (unsigned s = 0; s < seconds; s++) {
                h->snapshot.now += SEC;
                ck_assert(policy_rest(h->policy, &h->snapshot));
        }
}

static void expect_no_rest(void)
{
        h->snapshot.now += SEC;
        ck_assert(!policy_rest(h->policy, &h->snapshot));
        h->snapshot.now -= SEC;
}

static void begin_rest(const char *rule)
{
        h = host_new(rule);
        host_reading(h, METRIC_TCP_TIME_WAIT, 0);
        host_reading(h, METRIC_TCP_ESTABLISHED, 100);
        host_reading(h, METRIC_TCP_CLOSING, 0);
        host_pass(h, 1);
        policy_settle(h->policy, &h->snapshot);
}

static uint64_t clock_of(unsigned condition)
{
        return policy_evaluate(h->policy, &h->snapshot)->rule[0].when[condition].clock.ns;
}

START_TEST(a_clock_counts_the_time_in_which_the_rules_rested)
{
        begin_rest("[rule one]\nwhen = tcp.time_wait >= 100\nwhen = tcp.established >= 100 for 10s\n" SET);
        rest(9);
        host_reading(h, METRIC_TCP_TIME_WAIT, 100);
        expect_no_rest();
        ck_assert_uint_eq(clock_of(1), 9 * SEC);
        host_pass(h, 1);
        ck_assert_uint_eq(h->logged, 1);
        policy_settle(h->policy, &h->snapshot);
        expect_no_rest(); /* it is active */
}
END_TEST

/* As without a rest: what was seen before counts, the tick in which the value was unknown does not. */
START_TEST(a_value_that_is_lost_ends_the_rest_and_keeps_its_clock)
{
        begin_rest("[rule one]\nwhen = tcp.time_wait >= 100\nwhen = tcp.established >= 100 for 1min\n" SET);
        rest(9);
        h->snapshot.reading[METRIC_TCP_ESTABLISHED].state = READING_INVALID;
        expect_no_rest();
        host_pass(h, 1);
        host_reading(h, METRIC_TCP_ESTABLISHED, 100);
        host_pass(h, 1);
        ck_assert_uint_eq(clock_of(1), 9 * SEC);
        host_pass(h, 1);
        ck_assert_uint_eq(clock_of(1), 10 * SEC);
}
END_TEST

START_TEST(a_reload_counts_the_rest)
{
        const char *rule = "[rule one]\nwhen = tcp.time_wait >= 100\nwhen = tcp.established >= 100 for 1min\n" SET;

        begin_rest(rule);
        rest(9);
        reload(rule);
        ck_assert_uint_eq(clock_of(1), 9 * SEC);
        expect_no_rest();
}
END_TEST

START_TEST(a_late_tick_is_no_rest)
{
        begin_rest("[rule one]\nwhen = tcp.time_wait >= 100\n" SET);
        rest(1);
        h->snapshot.now += 10 * SEC;
        ck_assert(!policy_rest(h->policy, &h->snapshot));
}
END_TEST

START_TEST(what_a_person_does_ends_the_rest)
{
        begin_rest("[rule one]\nwhen = tcp.time_wait >= 100\n" SET);
        rest(1);
        policy_set_foreign(h->policy, SYSCTL_TCP_FIN_TIMEOUT);
        expect_no_rest();
        host_pass(h, 1);
        policy_settle(h->policy, &h->snapshot);
        rest(1);
        host_sysctl(h, SYSCTL_TCP_FIN_TIMEOUT, 30); /* another program does */
        expect_no_rest();
}
END_TEST

/* Each metric that a rule names: any change of its value ends the rest, and of any other one none does. */
START_TEST(only_what_rules_name_ends_the_rest)
{
        static const unsigned named[] = {METRIC_TCP_TIME_WAIT, METRIC_TCP_ESTABLISHED, METRIC_TCP_CLOSING,
                                         METRIC_PORTS_FIRST};

        begin_rest("[rule one]\nwhen = tcp.time_wait >= 100\nuntil = tcp.established < 5\n" SET
                   "expect = tcp.closing > 0 within 5s\n");
        host_reading(h, METRIC_TCP_LISTEN, 3);
        rest(1);
        h->snapshot.version = 7;
        rest(2);
        h->snapshot.version = 8;
        for (unsigned i = 0; i < ELEMENTSOF(named); i++) {
                struct reading *r = &h->snapshot.reading[named[i]], before = *r;

                *r = (struct reading){READING_BOUNDED, .value = 0, .upper = 1 + i};
                expect_no_rest();
                *r = before;
        }
        rest(1);
}
END_TEST

/* Of rules that time alone may move, none rests: one whose conditions all hold, one that waits after a failure, and
 * one whose last minute is remembered. */
START_TEST(a_rule_that_time_can_move_does_not_rest)
{
        static const char *const rules[] = {
                "[rule one]\nwhen = tcp.established >= 100 for 10s\n" SET,
                "[rule one]\nwhen = tcp.established >= 100\n" SET,
                "[rule one]\nwhen = tcp.time_wait >= 100\n" SET "abort = tcp.established > 2x before within 60s\n",
        };

        h = host_new(rules[_i]);
        h->write_outcome = OUTCOME_FAILED;
        host_reading(h, METRIC_TCP_TIME_WAIT, 0);
        host_reading(h, METRIC_TCP_ESTABLISHED, 100);
        host_pass(h, 1);
        if (_i == 1) { /* it has failed, and its cause is gone */
                host_reading(h, METRIC_TCP_ESTABLISHED, 0);
                host_pass(h, 1);
        }
        ck_assert(!policy_settle(h->policy, &h->snapshot));
        expect_no_rest();
}
END_TEST

/* Also where bounds of the ports decide, as after a dump. */
START_TEST(the_rules_rest_beside_bounds_of_the_ports)
{
        h = host_new("[rule one]\nwhen = tcp.time_wait >= 100\n" SET);
        host_reading(h, METRIC_TCP_TIME_WAIT, 0);
        h->snapshot.reading[METRIC_PORTS_FIRST] = reading_bounded(0, 10);
        host_pass(h, 1);
        ck_assert(policy_settle(h->policy, &h->snapshot));
        rest(1);
        h->snapshot.reading[METRIC_PORTS_FIRST] = reading_bounded(0, 11);
        expect_no_rest();
}
END_TEST

/* A dump could show more, or has shown more. */
START_TEST(what_is_unknown_is_no_rest)
{
        h = host_new("[rule one]\nwhen = tcp.time_wait >= 100\n" SET);
        h->snapshot.reading[METRIC_TCP_TIME_WAIT] = reading_bounded(0, 200);
        host_decide(h);
        ck_assert(!policy_settle(h->policy, &h->snapshot));
        host_reading(h, METRIC_TCP_TIME_WAIT, 0);
        host_decide(h);
        ck_assert(policy_settle(h->policy, &h->snapshot));
        host_reading(h, METRIC_PORTS_FIRST, 0);
        host_decide(h);
        ck_assert(!policy_settle(h->policy, &h->snapshot));
}
END_TEST

/* Its rule waits since, and no evaluation has seen that. */
START_TEST(a_tick_that_decides_is_followed_by_another)
{
        h = host_new("[rule one]\nwhen = tcp.time_wait >= 100\nuntil = tcp.established < 5\n" SET);
        host_reading(h, METRIC_TCP_TIME_WAIT, 100);
        host_reading(h, METRIC_TCP_ESTABLISHED, 100);
        host_pass(h, 1);
        host_reading(h, METRIC_TCP_TIME_WAIT, 0);
        host_sysctl(h, SYSCTL_TCP_FIN_TIMEOUT, 20);
        host_pass(h, 1);
        ck_assert_uint_eq(h->log[h->logged - 1].kind, DECISION_OVERRIDDEN);
        ck_assert(!policy_settle(h->policy, &h->snapshot));
}
END_TEST

/* A person who asks between two ticks evaluates. */
START_TEST(a_question_ends_the_rest)
{
        begin_rest("[rule one]\nwhen = tcp.time_wait >= 100\n" SET);
        rest(1);
        policy_evaluate(h->policy, &h->snapshot);
        expect_no_rest();
}
END_TEST

static void add(TCase *tcase)
{
        tcase_add_checked_fixture(tcase, NULL, tear_down);
        tcase_add_test(tcase, a_clock_counts_the_time_in_which_the_rules_rested);
        tcase_add_test(tcase, a_value_that_is_lost_ends_the_rest_and_keeps_its_clock);
        tcase_add_test(tcase, a_reload_counts_the_rest);
        tcase_add_test(tcase, a_late_tick_is_no_rest);
        tcase_add_test(tcase, what_a_person_does_ends_the_rest);
        tcase_add_test(tcase, only_what_rules_name_ends_the_rest);
        tcase_add_loop_test(tcase, a_rule_that_time_can_move_does_not_rest, 0, 3);
        tcase_add_test(tcase, the_rules_rest_beside_bounds_of_the_ports);
        tcase_add_test(tcase, what_is_unknown_is_no_rest);
        tcase_add_test(tcase, a_tick_that_decides_is_followed_by_another);
        tcase_add_test(tcase, a_question_ends_the_rest);
        tcase_add_loop_test(tcase, the_sockets_are_looked_at, 0, ELEMENTSOF(rows));
        tcase_add_test(tcase, an_effect_that_is_waited_for_is_looked_for);
}

int main(void)
{
        return run_suite("policy_look", add);
}

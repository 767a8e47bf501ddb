/* SPDX-License-Identifier: MIT */
/* Rungs: rules of which each is the prerequisite of the next, advice among them. */

#include "one_host.h"

#define FIN SYSCTL_TCP_FIN_TIMEOUT
#define REUSE SYSCTL_TCP_TW_REUSE
#define DELAY SYSCTL_TCP_TW_REUSE_DELAY

/* Three rules, each with a metric of its own. */
#define BOTTOM(more) "[rule bottom]\nwhen = tcp.fin_wait1 >= 1\nset = net.ipv4.tcp_fin_timeout = 30\n" more
#define MIDDLE(more) "[rule middle]\nafter = bottom\nwhen = tcp.fin_wait2 >= 1\nset = net.ipv4.tcp_tw_reuse = 1\n" more
#define TOP(more) "[rule top]\nafter = middle\nwhen = tcp.closing >= 1\nset = net.ipv4.tcp_tw_reuse_delay = 250\n" more
#define ADVICE(more) "[rule advice]\nwhen = tcp.last_ack >= 1\nadvise = do it by hand\n" more
#define EXPECT "expect = netstat.TcpExt.TWRecycled > 0/s within 5s\n"

enum {
        A,
        B,
        C
};

static void press(double bottom, double middle, double top, double advice)
{
        host_reading(h, METRIC_TCP_FIN_WAIT1, bottom);
        host_reading(h, METRIC_TCP_FIN_WAIT2, middle);
        host_reading(h, METRIC_TCP_CLOSING, top);
        host_reading(h, METRIC_TCP_LAST_ACK, advice);
}

static void begin(const char *policy)
{
        h = host_new(policy);
        host_reading(h, METRIC_COUNT + COUNTER_TW_RECYCLED, 0);
        press(1, 1, 1, 1);
}

/* ---- prerequisites ---- */

START_TEST(three_rules_in_one_tick_and_down_from_the_top)
{
        begin(BOTTOM("") MIDDLE("") TOP(""));
        host_pass(h, 1);
        EXPECT_DECISIONS(1, DECISION_ENTER, 3, A, B, C);
        press(0, 0, 1, 0);
        host_pass(h, 100);
        ck_assert_uint_eq(h->logged, 3); /* the top is still needed, and stands on them */
        press(0, 0, 0, 0);
        host_pass(h, 60);
        ck_assert_uint_eq(h->logged, 3);
        host_pass(h, 1);
        ck_assert_uint_eq(h->logged, 6);
        EXPECT_DECISIONS(162, DECISION_RELEASE, 3, C, B, A);
}
END_TEST

START_TEST(a_failing_rule_takes_all_above_along)
{
        begin(BOTTOM(EXPECT) MIDDLE("") TOP(""));
        host_pass(h, 6);
        ck_assert_uint_eq(h->logged, 6);
        EXPECT_DECISIONS(6, DECISION_UNEXPECTED, 3, C, B, A);
        ck_assert(host_sysctl_value(h, FIN) == 60 && host_sysctl_value(h, REUSE) == 2 &&
                  host_sysctl_value(h, DELAY) == 1000);
        host_pass(h, 500); /* nothing stands on a rule that waits for its retry */
        ck_assert_uint_eq(h->logged, 6);
}
END_TEST

START_TEST(a_failing_rule_leaves_those_below)
{
        begin(BOTTOM("") MIDDLE(EXPECT) TOP(""));
        host_pass(h, 100);
        ck_assert_uint_eq(h->logged, 5);
        EXPECT_DECISIONS(6, DECISION_UNEXPECTED, 2, C, B);
        ck_assert_int_eq(host_sysctl_value(h, FIN), 30);
}
END_TEST

/* What failed once says nothing about a rule that stands on the same value, set by another program. */
START_TEST(a_rule_that_failed_is_no_reason_for_ever)
{
        begin(BOTTOM(EXPECT) MIDDLE("retry = 1s\n"));
        host_pass(h, 6);
        ck_assert_uint_eq(h->logged, 4);
        host_sysctl(h, FIN, 20);
        host_pass(h, 100);
        ck_assert_uint_eq(h->logged, 5);
        EXPECT_DECISIONS(7, DECISION_ENTER, 1, B);
}
END_TEST

static void lack(enum sysctl_id id)
{
        h->snapshot.sysctl[id].state = READING_UNAVAILABLE;
}

START_TEST(what_this_kernel_lacks_is_stepped_over)
{
        begin(BOTTOM("") MIDDLE("") TOP(""));
        lack(REUSE);
        press(0, 1, 1, 0);
        host_pass(h, 10);
        ck_assert_uint_eq(h->logged, 0); /* down to the bottom, which is not taken */
        press(1, 1, 1, 0);
        host_pass(h, 1);
        ck_assert_uint_eq(h->logged, 2);
        EXPECT_DECISIONS(11, DECISION_ENTER, 2, A, C);
}
END_TEST

START_TEST(what_is_switched_off_is_stepped_over)
{
        begin(BOTTOM("") MIDDLE("enabled = no\n") TOP(""));
        host_pass(h, 1);
        EXPECT_DECISIONS(1, DECISION_ENTER, 2, A, C);
        ck_assert_uint_eq(h->logged, 2);
}
END_TEST

START_TEST(where_nothing_is_below_any_more_it_stands_alone)
{
        begin(BOTTOM("") MIDDLE("") TOP(""));
        lack(REUSE);
        lack(FIN);
        host_pass(h, 1);
        CHECK_LOG(h, 1, DECISION_ENTER, C);
}
END_TEST

START_TEST(what_is_stepped_over_holds_nothing_apart)
{
        begin(BOTTOM("") MIDDLE("") TOP(""));
        lack(REUSE);
        host_pass(h, 1);
        press(0, 0, 1, 0);
        host_pass(h, 200);
        ck_assert_uint_eq(h->logged, 2); /* the bottom stays as long as the top stands on it */
        press(0, 0, 0, 0);
        host_pass(h, 61);
        ck_assert_uint_eq(h->logged, 4);
        EXPECT_DECISIONS(262, DECISION_RELEASE, 2, C, A);
}
END_TEST

START_TEST(what_is_stepped_over_goes_along_all_the_same)
{
        begin(BOTTOM(EXPECT) MIDDLE("") TOP(""));
        lack(REUSE);
        host_pass(h, 6);
        ck_assert_uint_eq(h->logged, 4);
        EXPECT_DECISIONS(6, DECISION_UNEXPECTED, 2, C, A);
}
END_TEST

/* Also if it is a metric that this kernel lacks. A metric that was not read this time is not lacking. */
START_TEST(a_metric_that_is_lacking)
{
        begin(BOTTOM("") MIDDLE("until = conntrack.table < 5%\n") TOP(""));
        h->snapshot.reading[METRIC_CONNTRACK_TABLE].state = READING_UNAVAILABLE;
        host_pass(h, 1);
        ck_assert_uint_eq(h->logged, 2);
        EXPECT_DECISIONS(1, DECISION_ENTER, 2, A, C);
        tear_down();
        begin(BOTTOM("") MIDDLE("when = conntrack.table > 5%\n") TOP(""));
        h->snapshot.reading[METRIC_CONNTRACK_TABLE].state = READING_INVALID;
        host_pass(h, 10);
        ck_assert_uint_eq(h->logged, 1);
}
END_TEST

/* ---- advice ---- */

START_TEST(advice_is_given_once_and_over_once)
{
        begin(ADVICE("until = tcp.last_ack < 1 for 30s\n"));
        host_pass(h, 300);
        CHECK_LOG(h, 1, DECISION_ENTER, A);
        ck_assert(h->log[0].logged && h->log[0].n == 0 && policy_is_active(h->policy, A));
        press(0, 0, 0, 0);
        host_pass(h, 30);
        ck_assert_uint_eq(h->logged, 1);
        host_pass(h, 300);
        check_log(h, 2, (const enum decision_kind[]){DECISION_ENTER, DECISION_RELEASE}, (const unsigned[]){A, A});
        ck_assert(h->log[1].logged && h->log[1].n == 0 && !policy_is_active(h->policy, A));
        ck_assert_uint_eq(h->log[1].decision.evidence.metric, METRIC_TCP_LAST_ACK);
}
END_TEST

START_TEST(advice_that_comes_back_is_not_repeated_all_the_time)
{
        begin(ADVICE(""));
        for (unsigned i = 0; i < 600; i++) {
                press(0, 0, 0, i % 70 == 0);
                host_pass(h, 1);
        }
        ck_assert_msg(h->logged <= 4, "%u events in ten minutes", h->logged);
}
END_TEST

/* It holds no sysctl, so nothing stands on it. */
START_TEST(advice_does_not_hold_the_rule_below)
{
        begin(BOTTOM("") ADVICE("after = bottom\n"));
        host_pass(h, 1);
        EXPECT_DECISIONS(1, DECISION_ENTER, 2, A, B);
        press(0, 0, 0, 1);
        host_pass(h, 61);
        ck_assert_uint_eq(h->logged, 3);
        ck_assert(h->log[2].kind == DECISION_RELEASE && h->log[2].rule == A);
        ck_assert(policy_is_active(h->policy, B));
}
END_TEST

START_TEST(advice_waits_for_the_rule_below)
{
        begin(BOTTOM("") ADVICE("after = bottom\n"));
        press(0, 0, 0, 1);
        host_pass(h, 10);
        ck_assert_uint_eq(h->logged, 0);
        host_sysctl(h, FIN, 20); /* foreign, with the same effect */
        host_pass(h, 1);
        CHECK_LOG(h, 1, DECISION_ENTER, B);
}
END_TEST

/* In the tick of that release the snapshot still shows the rule below as taken. */
START_TEST(advice_does_not_come_with_the_release_of_the_rule_below)
{
        begin("[limits]\nmin_interval = 1s\n" BOTTOM("until = tcp.fin_wait1 < 1\n") ADVICE("after = bottom\n"));
        press(1, 0, 0, 0);
        host_pass(h, 1);
        press(0, 0, 0, 1);
        host_pass(h, 1);
        check_log(h, 2, (const enum decision_kind[]){DECISION_ENTER, DECISION_RELEASE}, (const unsigned[]){A, A});
}
END_TEST

/* tcp_tw_reuse = 2 is reuse on the loopback alone: not enough for a condition on the host. */
START_TEST(a_rule_above_reuse_waits_for_it_everywhere)
{
        begin(BOTTOM("") MIDDLE("") TOP(""));
        press(0, 0, 1, 0);
        host_pass(h, 10);
        ck_assert_uint_eq(h->logged, 0);
        ck_assert_int_eq(policy_evaluate(h->policy, &h->snapshot)->rule[C].standing, STANDING_PREREQUISITE);
        host_sysctl(h, REUSE, 1);
        host_pass(h, 1);
        CHECK_LOG(h, 1, DECISION_ENTER, C);
}
END_TEST

START_TEST(a_rule_above_advice_waits_for_it)
{
        begin(ADVICE(
                "") "[rule above]\nafter = advice\nwhen = tcp.closing >= 1\nset = net.ipv4.tcp_fin_timeout = 30\n");
        press(0, 0, 1, 0);
        host_pass(h, 10);
        ck_assert_uint_eq(h->logged, 0);
        press(0, 0, 1, 1);
        host_pass(h, 1);
        EXPECT_DECISIONS(11, DECISION_ENTER, 2, A, B);
}
END_TEST

START_TEST(advice_is_not_over_because_a_rule_fails)
{
        begin(BOTTOM(EXPECT) ADVICE("after = bottom\n"));
        host_pass(h, 60);
        ck_assert_uint_eq(h->logged, 3);
        EXPECT_DECISIONS(6, DECISION_UNEXPECTED, 1, A);
        ck_assert(policy_is_active(h->policy, B));
        press(0, 0, 0, 0);
        host_pass(h, 61);
        ck_assert_uint_eq(h->logged, 4);
        EXPECT_DECISIONS(121, DECISION_RELEASE, 1, B);
}
END_TEST

/* ---- who it was ---- */

static void blame(unsigned metric, const char *who, const char *unit)
{
        strcpy(h->snapshot.endpoint[metric], who);
        strcpy(h->snapshot.culprit[metric], unit);
}

START_TEST(the_culprit_of_the_first_condition_that_has_one)
{
        static const struct {
                const char *who[2], *unit[2], *expect_who, *expect_unit;
        } rows[] = {
                {{"", ""}, {"", ""}, "", ""},
                {{"", "10.0.0.1:80"}, {"", "b.service"}, "10.0.0.1:80", "b.service"},
                {{"", "10.0.0.1:80"}, {"a.service", "b.service"}, "", "a.service"},
                {{"10.0.0.2:443", "10.0.0.1:80"}, {"", "b.service"}, "10.0.0.2:443", ""},
                {{"10.0.0.2:443", ""}, {"a.service", ""}, "10.0.0.2:443", "a.service"},
        };

        for (unsigned i = 0; i < ELEMENTSOF(rows); i++) {
                begin("[rule advice]\nadvise = x\nwhen = netstat.TcpExt.TWRecycled >= 0/s\nwhen = listen.drops > 0/s\n"
                      "when = accept_queue.worst > 50%\n");
                host_reading(h, METRIC_LISTEN_DROPS, 1);
                host_reading(h, METRIC_ACCEPT_QUEUE_WORST, 100);
                blame(METRIC_LISTEN_DROPS, rows[i].who[0], rows[i].unit[0]);
                blame(METRIC_ACCEPT_QUEUE_WORST, rows[i].who[1], rows[i].unit[1]);
                blame(METRIC_TCP_CLOSING, "nobody asked", "other.service");
                host_pass(h, 1);
                CHECK_LOG(h, 1, DECISION_ENTER, A);
                ck_assert_str_eq(h->log[0].decision.evidence.destination, rows[i].expect_who);
                ck_assert_str_eq(h->log[0].decision.evidence.unit, rows[i].expect_unit);
                tear_down();
        }
}
END_TEST

/* Of a rule about destinations it is the destination that decided, not the busiest, nor a listener. */
START_TEST(the_culprit_of_ports_is_the_destination)
{
        h = host_new("[rule advice]\nadvise = x\nwhen = listen.drops > 0/s\nwhen = ports.used >= 100\n");
        host_reading(h, METRIC_LISTEN_DROPS, 1);
        blame(METRIC_LISTEN_DROPS, "0.0.0.0:80", "listener.service");
        blame(METRIC_PORTS_USED, "another", "another.service");
        hold_open(200, PEER);
        host_run(h, 1, 0, PEER);
        CHECK_LOG(h, 1, DECISION_ENTER, A);
        ck_assert_ptr_nonnull(strstr(h->log[0].decision.evidence.destination, "10.0.0.2:80"));
        ck_assert_str_eq(h->log[0].decision.evidence.unit, "");
}
END_TEST

static void add(TCase *tcase)
{
        tcase_add_checked_fixture(tcase, NULL, tear_down);
        tcase_add_test(tcase, three_rules_in_one_tick_and_down_from_the_top);
        tcase_add_test(tcase, a_failing_rule_takes_all_above_along);
        tcase_add_test(tcase, a_failing_rule_leaves_those_below);
        tcase_add_test(tcase, a_rule_that_failed_is_no_reason_for_ever);
        tcase_add_test(tcase, what_this_kernel_lacks_is_stepped_over);
        tcase_add_test(tcase, what_is_switched_off_is_stepped_over);
        tcase_add_test(tcase, where_nothing_is_below_any_more_it_stands_alone);
        tcase_add_test(tcase, what_is_stepped_over_holds_nothing_apart);
        tcase_add_test(tcase, what_is_stepped_over_goes_along_all_the_same);
        tcase_add_test(tcase, a_metric_that_is_lacking);
        tcase_add_test(tcase, advice_is_given_once_and_over_once);
        tcase_add_test(tcase, advice_that_comes_back_is_not_repeated_all_the_time);
        tcase_add_test(tcase, advice_does_not_hold_the_rule_below);
        tcase_add_test(tcase, advice_waits_for_the_rule_below);
        tcase_add_test(tcase, advice_does_not_come_with_the_release_of_the_rule_below);
        tcase_add_test(tcase, a_rule_above_reuse_waits_for_it_everywhere);
        tcase_add_test(tcase, a_rule_above_advice_waits_for_it);
        tcase_add_test(tcase, advice_is_not_over_because_a_rule_fails);
        tcase_add_test(tcase, the_culprit_of_the_first_condition_that_has_one);
        tcase_add_test(tcase, the_culprit_of_ports_is_the_destination);
}

int main(void)
{
        return run_suite("policy_ladder", add);
}

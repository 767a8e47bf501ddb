/* SPDX-License-Identifier: MIT */
/* The reason that a decision names: the value, the destination with the most of it, and the culprit of the condition. */

#include "lib/policy/state.h"
#include "one_host.h"

#define REUSE(text) "[rule reuse]\nset = net.ipv4.tcp_tw_reuse = 1\n" text

static const struct decision *last(void)
{
        return &h->log[h->logged - 1].decision;
}

static void expect(enum decision_kind kind, double value, const char *destination)
{
        ck_assert_uint_gt(h->logged, 0);
        ck_assert_int_eq(last()->kind, kind);
        ck_assert_msg(last()->evidence.value == value, "%g, should be %g", last()->evidence.value, value);
        ck_assert_msg(strstr(last()->evidence.destination, destination) &&
                              !last()->evidence.destination[0] == !destination[0],
                      "%s, should be %s", last()->evidence.destination, destination);
}

/* Whichever comes first in the table. */
START_TEST(the_destination_with_the_most_is_named)
{
        static const unsigned held[][3] = {{150, 200, 120}, {200, 150, 120}, {120, 150, 200}};
        static const char *const destination[] = {"10.0.0.3:80", "10.0.0.2:80", "10.0.0.4:80"};

        h = host_new(REUSE("when = ports.used >= 100\nuntil = ports.used < 100 for 3s\n"));
        for (unsigned i = 0; i < 3; i++)
                hold_open(held[_i][i], PEER + i);
        host_run(h, 1, 0, PEER);
        expect(DECISION_ENTER, 200, destination[_i]);
        h->model.n = 0;
        for (unsigned i = 0; i < 3; i++)
                hold_open(held[_i][i] / 10, PEER + i);
        host_run(h, 5, 0, PEER);
        expect(DECISION_RELEASE, 20, destination[_i]);
}
END_TEST

/* Also while the rule does not act, because another condition does not hold: the destination that is nearest to the
 * threshold is shown. */
START_TEST(the_destination_that_is_nearest_is_shown)
{
        h = host_new(REUSE("when = ports.used >= 100\nwhen = tcp.closing >= 1\n"));
        for (unsigned i = 0; i < 3; i++)
                hold_open(i == (unsigned)_i ? 150 : 10, PEER + i);
        host_run(h, 1, 0, PEER);
        ck_assert_uint_eq(h->logged, 0);
        ck_assert_double_eq(policy_evaluate(h->policy, &h->snapshot)->rule[0].when[0].reading.value, 150);
}
END_TEST

/* Of equal ones the first in the table. */
START_TEST(of_equal_destinations_one_is_shown)
{
        const struct destination *first = NULL;

        h = host_new(REUSE("when = ports.used >= 100\nwhen = tcp.closing >= 1\n"));
        for (unsigned i = 0; i < 3; i++)
                hold_open(10, PEER + i);
        host_run(h, 1, 0, PEER);
        for (unsigned i = 0; i < ports_slots(h->ports) && (!first || first->id == 0); i++)
                first = ports_destination(h->ports, i);
        ck_assert_ptr_eq(policy_evaluate(h->policy, &h->snapshot)->rule[0].when[0].destination, first);
}
END_TEST

/* A destination whose value is unknown leaves the result unknown; one that is over the threshold does not. */
START_TEST(of_all_destinations_each_has_to_be_under_the_threshold)
{
        static const struct {
                float value[3];
                enum truth holds;
        } of[] = {
                {{0, NAN, 0}, UNKNOWN}, {{NAN, 0, 0}, UNKNOWN}, {{0, 0, 0}, YES},
                {{NAN, 100, 0}, NO},    {{100, NAN, NAN}, NO},
        };

        h = host_new(REUSE("when = ports.used >= 1000\nuntil = ports.syn_waiting < 10%\n"));
        for (unsigned i = 0; i < 3; i++)
                hold_open(10, PEER + i);
        host_observe(h);
        for (unsigned i = 0, n = 0; i < ports_slots(h->ports); i++) {
                struct destination *d = (struct destination *)ports_destination(h->ports, i);

                if (d->id == 0)
                        continue;
                ck_assert_uint_lt(n, 3);
                d->lower[METRIC_PORTS_SYN_WAITING - METRIC_PORTS_FIRST] = of[_i].value[n];
                d->upper[METRIC_PORTS_SYN_WAITING - METRIC_PORTS_FIRST] = of[_i].value[n++];
        }
        ck_assert_int_eq(policy_evaluate(h->policy, &h->snapshot)->rule[0].until[0].holds, of[_i].holds);
}
END_TEST

/* On the loopback the sysctl works already: its connections are none of the rule's business. */
START_TEST(a_destination_that_the_rule_is_not_for_is_not_named)
{
        h = host_new(REUSE("when = ports.used >= 100\nuntil = ports.used < 100 for 3s\n"));
        hold_open(150, PEER);
        hold_open(300, LOOPBACK);
        host_run(h, 1, 0, PEER);
        expect(DECISION_ENTER, 150, "10.0.0.2:80");
        h->model.n = 0;
        hold_open(15, PEER);
        hold_open(300, LOOPBACK);
        host_run(h, 5, 0, PEER);
        expect(DECISION_RELEASE, 15, "10.0.0.2:80");
}
END_TEST

/* Of equal ones that which is not on the loopback, whichever comes first in the table. */
START_TEST(of_a_destination_on_the_loopback_and_another_the_greater_is_named)
{
        static const struct {
                unsigned peer, loopback;
                const char *destination;
        } of[] = {{150, 150, "10.0.0.2:80"}, {150, 151, "127.0.0.1:80"}, {151, 150, "10.0.0.2:80"}};

        h = host_new("[rule fin]\nwhen = ports.used >= 100\nset = net.ipv4.tcp_fin_timeout = 30\n");
        if (_i > 0)
                hold_open(of[_i].peer, PEER);
        hold_open(of[_i].loopback, LOOPBACK);
        if (_i == 0)
                hold_open(of[_i].peer, PEER);
        host_run(h, 1, 0, PEER);
        expect(DECISION_ENTER, MAX(of[_i].peer, of[_i].loopback), of[_i].destination);
}
END_TEST

START_TEST(a_release_without_any_destination_is_of_nothing)
{
        h = host_new(REUSE("when = ports.used >= 100\nuntil = ports.used < 50 for 3s\n"));
        hold_open(150, PEER);
        host_run(h, 1, 0, PEER);
        h->model.n = 0;
        host_run(h, 5, 0, PEER);
        expect(DECISION_RELEASE, 0, "");
}
END_TEST

/* Although no other condition of the rule is about a destination. */
START_TEST(a_release_waits_for_a_destination)
{
        h = host_new("[rule fin]\nwhen = tcp.closing >= 1\nuntil = ports.used < 100 for 3s\n"
                     "set = net.ipv4.tcp_fin_timeout = 30\n");
        host_reading(h, METRIC_TCP_CLOSING, 1);
        hold_open(150, PEER);
        host_run(h, 1, 0, PEER);
        host_reading(h, METRIC_TCP_CLOSING, 0);
        host_run(h, 20, 0, PEER);
        ck_assert_uint_eq(h->logged, 1);
        h->model.n = 0;
        hold_open(50, PEER);
        host_run(h, 5, 0, PEER);
        ck_assert_uint_eq(h->logged, 2);
        expect(DECISION_RELEASE, 50, "10.0.0.2:80");
}
END_TEST

#define ADVICE(text) "[rule advice]\nadvise = look\n" text

static void point_at(unsigned metric, const char *destination, const char *unit)
{
        host_reading(h, metric, 90);
        strcpy(h->snapshot.endpoint[metric], destination);
        strcpy(h->snapshot.culprit[metric], unit);
}

START_TEST(the_culprit_of_the_condition_is_named)
{
        h = host_new(ADVICE("when = accept_queue.worst >= 80%\n"));
        point_at(METRIC_ACCEPT_QUEUE_WORST, "10.0.0.1:80", "slow.service");
        host_pass(h, 1);
        expect(DECISION_ENTER, 90, "10.0.0.1:80");
        ck_assert_str_eq(last()->evidence.unit, "slow.service");
}
END_TEST

START_TEST(the_first_condition_that_has_a_culprit_names_it)
{
        h = host_new(ADVICE(
                "when = tcp.fin_wait2 >= 10\nwhen = close_wait.growth >= 1/min\nwhen = accept_queue.worst >= 80%\n"));
        host_reading(h, METRIC_TCP_FIN_WAIT2, 10);
        point_at(METRIC_CLOSE_WAIT_GROWTH, "", "leaks.service");
        point_at(METRIC_ACCEPT_QUEUE_WORST, "10.0.0.1:80", "slow.service");
        host_pass(h, 1);
        expect(DECISION_ENTER, 10, "");
        ck_assert_str_eq(last()->evidence.unit, "leaks.service");
}
END_TEST

START_TEST(a_condition_on_destinations_has_no_culprit_of_its_own)
{
        h = host_new(REUSE("when = ports.used >= 100\n"));
        point_at(METRIC_PORTS_USED, "nobody", "nobody.service");
        hold_open(150, PEER);
        host_run(h, 1, 0, PEER);
        expect(DECISION_ENTER, 150, "10.0.0.2:80");
        ck_assert_str_eq(last()->evidence.unit, "");
}
END_TEST

START_TEST(of_a_range_the_end_nearer_to_the_threshold_is_named)
{
        struct reading *established;

        h = host_new(ADVICE("when = tcp.established >= 100\nuntil = tcp.established < 10 for 3s\n"));
        established = &h->snapshot.reading[METRIC_TCP_ESTABLISHED];
        *established = reading_bounded(120, 500);
        host_pass(h, 1);
        expect(DECISION_ENTER, 120, "");
        *established = reading_bounded(0, 7);
        host_pass(h, 5);
        expect(DECISION_RELEASE, 7, "");
}
END_TEST

/* Nothing is ever reused here. That counts against the rule only as long as there is something to relieve. */
START_TEST(an_effect_is_missed_only_under_pressure)
{
        bool presses = _i == 1;

        h = host_new(REUSE("when = ports.used >= 100\nuntil = ports.used < 10 for 1min\n"
                           "expect = netstat.TcpExt.TWRecycled > 0/s within 5s\n"));
        h->no_timestamps = true;
        hold_open(150, PEER);
        host_run(h, 1, 5, PEER);
        expect(DECISION_ENTER, 155, "10.0.0.2:80");
        if (!presses)
                h->model.n = 0;
        host_run(h, 10, 5, PEER);
        ck_assert_uint_eq(h->logged, presses ? 2 : 1);
        ck_assert(!presses || last()->kind == DECISION_UNEXPECTED);
}
END_TEST

/* A rule that is in the file before its prerequisite. */
START_TEST(rules_come_down_from_the_top_in_any_order)
{
        h = host_new("[rule upper]\nafter = lower\nwhen = tcp.fin_wait2 >= 100\nuntil = tcp.fin_wait2 < 50 for 5s\n"
                     "set = net.ipv4.tcp_keepalive_probes = 5\n"
                     "[rule lower]\nwhen = tcp.fin_wait2 >= 100\nuntil = tcp.fin_wait2 < 50 for 2s\n"
                     "set = net.ipv4.tcp_fin_timeout = 30\n");
        host_sysctl(h, SYSCTL_TCP_KEEPALIVE_PROBES, 9);
        host_reading(h, METRIC_TCP_FIN_WAIT2, 100);
        host_pass(h, 1);
        check_log(h, 2, (const enum decision_kind[]){DECISION_ENTER, DECISION_ENTER}, (const unsigned[]){1, 0});
        host_reading(h, METRIC_TCP_FIN_WAIT2, 0);
        host_pass(h, 5);
        ck_assert_uint_eq(h->logged, 2);
        host_pass(h, 1);
        ck_assert_uint_eq(h->logged, 4);
        ck_assert_uint_eq(h->log[2].rule, 0);
        ck_assert_uint_eq(h->log[3].rule, 1);
}
END_TEST

START_TEST(whatever_is_held_may_be_overridden)
{
        struct sysctl_value original;

        h = host_new(REUSE("when = tcp.fin_wait2 >= 100\n"));
        host_reading(h, METRIC_TCP_FIN_WAIT2, 100);
        host_pass(h, 2);
        original = h->log[0].decision.change[0].original;
        host_sysctl(h, SYSCTL_TCP_TW_REUSE, 0);
        host_pass(h, 1);
        ck_assert_uint_eq(h->logged, 2);
        ck_assert_int_eq(last()->kind, DECISION_OVERRIDDEN);
        ck_assert_uint_eq(last()->n, 1);
        ck_assert_int_eq(last()->change[0].sysctl, SYSCTL_TCP_TW_REUSE);
        ck_assert_int_eq(last()->change[0].before.v[0], 1);
        ck_assert_int_eq(last()->change[0].value.v[0], 0);
        ck_assert(sysctl_equal(&last()->change[0].original, &original));
        host_pass(h, 5);
        ck_assert_uint_eq(h->logged, 2);
}
END_TEST

/* What is made and reused between two dumps makes a range of a value. A condition goes by the end that is farther from
 * holding. */
START_TEST(of_a_range_a_condition_takes_the_safe_end)
{
        static const enum comparison less[] = {LESS, LESS_EQUAL}, greater[] = {GREATER, GREATER_EQUAL};
        struct destination d = {.id = 1};
        struct condition c = {.metric = METRIC_PORTS_RELIEF};

        d.lower[METRIC_PORTS_RELIEF - METRIC_PORTS_FIRST] = 10;
        d.upper[METRIC_PORTS_RELIEF - METRIC_PORTS_FIRST] = 50;
        c.op = less[_i];
        ck_assert_double_eq(destination_value(&c, &d), 50);
        c.op = greater[_i];
        ck_assert_double_eq(destination_value(&c, &d), 10);
}
END_TEST

static void add(TCase *tcase)
{
        tcase_add_checked_fixture(tcase, NULL, tear_down);
        tcase_add_loop_test(tcase, the_destination_with_the_most_is_named, 0, 3);
        tcase_add_loop_test(tcase, the_destination_that_is_nearest_is_shown, 0, 3);
        tcase_add_test(tcase, of_equal_destinations_one_is_shown);
        tcase_add_loop_test(tcase, of_all_destinations_each_has_to_be_under_the_threshold, 0, 5);
        tcase_add_test(tcase, a_destination_that_the_rule_is_not_for_is_not_named);
        tcase_add_loop_test(tcase, of_a_destination_on_the_loopback_and_another_the_greater_is_named, 0, 3);
        tcase_add_test(tcase, a_release_without_any_destination_is_of_nothing);
        tcase_add_test(tcase, a_release_waits_for_a_destination);
        tcase_add_test(tcase, the_culprit_of_the_condition_is_named);
        tcase_add_test(tcase, the_first_condition_that_has_a_culprit_names_it);
        tcase_add_test(tcase, a_condition_on_destinations_has_no_culprit_of_its_own);
        tcase_add_test(tcase, of_a_range_the_end_nearer_to_the_threshold_is_named);
        tcase_add_loop_test(tcase, an_effect_is_missed_only_under_pressure, 0, 2);
        tcase_add_test(tcase, rules_come_down_from_the_top_in_any_order);
        tcase_add_test(tcase, whatever_is_held_may_be_overridden);
        tcase_add_loop_test(tcase, of_a_range_a_condition_takes_the_safe_end, 0, 2);
}

int main(void)
{
        return run_suite("policy_evidence", add);
}

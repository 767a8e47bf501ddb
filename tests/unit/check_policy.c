/* SPDX-License-Identifier: MIT */
#include "one_host.h"

enum {
        FIRST,
        SECOND
};

#define FIN_RULE "[rule fin]\nwhen = tcp.fin_wait2 >= 100\nset = net.ipv4.tcp_fin_timeout = 30\n"

static void use_shipped(void)
{
        h = host_new(shipped_policy());
}

/* ---- the shipped policy on a healthy host ---- */

START_TEST(hundred_a_second_for_ten_minutes_is_healthy)
{
        use_shipped();
        host_run(h, 600, 100, PEER);
        ck_assert_uint_eq(h->logged, 0);
}
END_TEST

START_TEST(a_burst_is_no_storm)
{
        use_shipped();
        for (unsigned i = 0; i < 20; i++) {
                for (unsigned k = 0; k < 200; k++)
                        host_connect(h, PEER, h->snapshot.now + SEC / 2 + k * 50000);
                host_run(h, 1, 0, PEER);
                host_run(h, 9, 0, PEER);
        }
        ck_assert_uint_eq(h->logged, 0);
}
END_TEST

START_TEST(idle_connections_are_not_relieved_by_reuse)
{
        use_shipped();
        hold_open(12000, PEER);
        host_run(h, 300, 0, PEER);
        ck_assert_uint_eq(h->logged, 0);
}
END_TEST

/* ---- for-destination ---- */

static const struct {
        const char *lines;
        bool fires; /* for 10.0.0.2:80 */
} for_rows[] = {
        {"", true},
        {"for-destination = 10.0.0.2\n", true},
        {"for-destination = 10.0.0.2:80\n", true},
        {"for-destination = 10.0.0.2:443\n", false},
        {"for-destination = 10.0.0.3\n", false},
        {"for-destination = 10.0.0.3\nfor-destination = 10.0.0.2\n", true},
        {"for-destination = 10.0.0.0/30\n", true},
        {"for-destination = 10.0.0.4/30\n", false},
        {"for-destination = 0.0.0.0/0:80\n", true},
        {"for-destination = ::ffff:10.0.0.2\n", true},
        {"for-destination = 2001:db8::/32\n", false},
        {"for-destination = ::/0\n", true},
};

/* The load is the same, and so is all that the bounds say of it. */
START_TEST(a_rule_is_for_its_destinations)
{
        char policy[512];

        snprintf(policy, sizeof(policy),
                 "[rule r]\nwhen = ports.used >= 500\nuntil = ports.used < 100\n%sadvise = x\n", for_rows[_i].lines);
        h = host_new(policy);
        h->skips = true;
        host_run(h, 10, 100, PEER);
        ck_assert_uint_eq(h->logged, for_rows[_i].fires);
        if (for_rows[_i].fires)
                ck_assert_str_eq(h->log[0].decision.evidence.destination, "10.0.0.1->10.0.0.2:80");
}
END_TEST

/* A larger destination that the rule is not for neither hides the one that it is for nor holds it up. */
START_TEST(a_rule_ends_with_its_destinations)
{
        h = host_new("[rule r]\nwhen = ports.used >= 500\nuntil = ports.used < 100\nfor-destination = 10.0.0.2\n"
                     "advise = x\n");
        host_run(h, 10, 1000, PEER + 1);
        ck_assert_uint_eq(h->logged, 0);
        host_run(h, 10, 100, PEER);
        ck_assert_uint_eq(h->logged, 1);
        ck_assert_str_eq(h->log[0].decision.evidence.destination, "10.0.0.1->10.0.0.2:80");
        for (unsigned i = 0; i < 7; i++)
                host_run(h, 10, 1000, PEER + 1);
        ck_assert_uint_eq(h->logged, 2);
        ck_assert_int_eq(h->log[1].kind, DECISION_RELEASE);
}
END_TEST

/* ---- the ladder ---- */

START_TEST(acts_before_the_cliff_and_gives_back_once)
{
        use_shipped();
        host_run(h, 60, 300, PEER);
        CHECK_LOG(h, 1, DECISION_ENTER, FIRST);
        ck_assert_uint_lt(h->log[0].at * 300, 14116);

        host_run(h, 1200, 300, PEER); /* a constant load never flaps */
        ck_assert_uint_eq(h->logged, 1);

        host_run(h, 400, 0, PEER);
        ck_assert_uint_eq(h->logged, 2);
        ck_assert_int_eq(h->log[1].kind, DECISION_RELEASE);
        /* 300/s is under half of the cliff when 36 s of the 60 are without load. */
        ck_assert_uint_ge(h->log[1].at, 1260 + 120);
        ck_assert_uint_le(h->log[1].at, 1260 + 60 + 120);
        ck_assert_int_eq(host_sysctl_value(h, SYSCTL_TCP_TW_REUSE), 2);
}
END_TEST

START_TEST(takes_both_rules_and_releases_them_from_the_top)
{
        use_shipped();
        host_run(h, 10, 12000, PEER);
        host_run(h, 600, 0, PEER);
        check_log(h, 4,
                  (const enum decision_kind[]){DECISION_ENTER, DECISION_ENTER, DECISION_RELEASE, DECISION_RELEASE},
                  (const unsigned[]){FIRST, SECOND, SECOND, FIRST});
        ck_assert_int_eq(host_sysctl_value(h, SYSCTL_TCP_TW_REUSE_DELAY), 1000);
        ck_assert_uint_ge(h->log[2].at, 10 + 120);
}
END_TEST

START_TEST(two_rules_enter_in_one_tick)
{
        use_shipped();
        host_run(h, 1, 14000, PEER);
        check_log(h, 2, (const enum decision_kind[]){DECISION_ENTER, DECISION_ENTER},
                  (const unsigned[]){FIRST, SECOND});
}
END_TEST

START_TEST(the_second_rule_waits_for_its_prerequisite)
{
        use_shipped();
        h->write_outcome = OUTCOME_FAILED;
        host_run(h, 3, 14000, PEER);
        CHECK_LOG(h, 1, DECISION_ENTER, FIRST);
}
END_TEST

/* tcp_tw_reuse = 2 has the effect of the first rule for the loopback, a pasted 1 for every destination. */
START_TEST(the_second_rule_alone_where_reuse_works_already)
{
        static const struct {
                int reuse;
                uint32_t dst;
        } rows[] = {{2, LOOPBACK}, {1, PEER}, {1, LOOPBACK}};

        use_shipped();
        host_sysctl(h, SYSCTL_TCP_TW_REUSE, rows[_i].reuse);
        host_run(h, 3, 14000, rows[_i].dst);
        CHECK_LOG(h, 1, DECISION_ENTER, SECOND);
        ck_assert_uint_eq(h->log[0].decision.evidence.destination_id, ports_busiest(h->ports)->id);
        ck_assert_int_eq(host_sysctl_value(h, SYSCTL_TCP_TW_REUSE), rows[_i].reuse);
}
END_TEST

START_TEST(a_kernel_without_the_sysctl_has_no_second_rule)
{
        use_shipped();
        host_run(h, 1, 100, PEER);
        h->snapshot.sysctl[SYSCTL_TCP_TW_REUSE_DELAY].state = READING_UNAVAILABLE;
        host_run(h, 5, 14000, PEER);
        CHECK_LOG(h, 1, DECISION_ENTER, FIRST);
}
END_TEST

/* ---- conditions ---- */

START_TEST(conditions_hold_for_the_same_destination)
{
        use_shipped();
        hold_open(13000, PEER);        /* forecast, no relief */
        host_run(h, 30, 20, PEER + 1); /* relief, no forecast */
        ck_assert_uint_eq(h->logged, 0);
}
END_TEST

START_TEST(for_is_measured_for_each_destination)
{
        h = host_new("[rule r]\nwhen = ports.used >= 100 for 5s\nset = net.ipv4.tcp_tw_reuse = 1\n");
        for (unsigned s = 0; s < 20; s++) { /* never the same destination for 5 s */
                h->model.n = 0;
                hold_open(200, PEER + s / 4);
                host_run(h, 1, 0, PEER);
        }
        ck_assert_uint_eq(h->logged, 0);
        host_run(h, 6, 0, PEER);
        CHECK_LOG(h, 1, DECISION_ENTER, FIRST);
}
END_TEST

START_TEST(comparisons)
{
        static const struct {
                const char *op;
                double value;
                bool holds;
        } rows[] = {
                {"<", 9, true},   {"<", 10, false}, {"<=", 10, true}, {"<=", 11, false},
                {">", 11, true},  {">", 10, false}, {">=", 10, true}, {">=", 9, false},
                {"==", 10, true}, {"==", 9, false}, {"!=", 9, true},  {"!=", 10, false},
        };

        for (unsigned i = 0; i < ELEMENTSOF(rows); i++) {
                char text[256];

                snprintf(text, sizeof(text),
                         "[rule r]\nwhen = tcp.listen %s 10\nset = net.ipv4.tcp_fin_timeout = 30\n", rows[i].op);
                h = host_new(text);
                host_reading(h, METRIC_TCP_LISTEN, rows[i].value);
                host_pass(h, 1);
                ck_assert_msg(h->logged == rows[i].holds, "%g %s 10", rows[i].value, rows[i].op);
                tear_down();
        }
}
END_TEST

START_TEST(when_for_needs_the_whole_time)
{
        h = host_new("[rule r]\nwhen = tcp.fin_wait2 >= 100 for 10s\nset = net.ipv4.tcp_fin_timeout = 30\n");
        host_reading(h, METRIC_TCP_FIN_WAIT2, 100);
        host_pass(h, 9);
        host_reading(h, METRIC_TCP_FIN_WAIT2, 99);
        host_pass(h, 1);
        host_reading(h, METRIC_TCP_FIN_WAIT2, 100);
        host_pass(h, 10);
        ck_assert_uint_eq(h->logged, 0);
        host_pass(h, 1);
        CHECK_LOG(h, 1, DECISION_ENTER, FIRST);
}
END_TEST

START_TEST(an_invalid_metric_stops_the_clock_and_decides_nothing)
{
        h = host_new("[rule r]\nwhen = tcp.fin_wait2 >= 100 for 10s\nset = net.ipv4.tcp_fin_timeout = 30\n");
        host_reading(h, METRIC_TCP_FIN_WAIT2, 100);
        host_pass(h, 8);
        for (unsigned i = 0; i < 50; i++) {
                h->snapshot.reading[METRIC_TCP_FIN_WAIT2].state = i % 2 ? READING_INVALID : READING_UNAVAILABLE;
                host_pass(h, 1);
        }
        ck_assert_uint_eq(h->logged, 0);
        host_reading(h, METRIC_TCP_FIN_WAIT2, 100);
        host_pass(h, 3);
        ck_assert_uint_eq(h->logged, 0); /* 7 s before, 2 s since: the time of unknown counts for nothing */
        host_pass(h, 2);
        CHECK_LOG(h, 1, DECISION_ENTER, FIRST);
}
END_TEST

START_TEST(invalid_ports_freeze_the_ladder)
{
        use_shipped();
        host_run(h, 2, 14000, PEER);
        ck_assert_uint_eq(h->logged, 2);
        for (unsigned i = 0; i < 600; i++) {
                host_observe(h);
                for (unsigned m = METRIC_PORTS_FIRST; m <= METRIC_PORTS_LAST; m++)
                        h->snapshot.reading[m].state = READING_INVALID;
                host_pass(h, 1);
        }
        ck_assert_uint_eq(h->logged, 2);
}
END_TEST

static void hold_only(unsigned n, uint32_t dst)
{
        h->model.n = h->model.next_port = 0;
        hold_open(n, dst);
}

/* Between two ticks, dumps for clients show that a slot has another destination. The dump of the next tick fails. */
START_TEST(a_clock_stays_with_its_destination)
{
        h = host_new("[rule r]\nwhen = ports.used >= 100 for 10s\nset = net.ipv4.tcp_tw_reuse = 1\n");
        hold_only(200, PEER);
        host_run(h, 10, 0, PEER);
        hold_only(0, PEER);
        host_look(h);
        host_look(h);
        hold_only(200, PEER + 1);
        host_look(h);
        ck_assert(destination_key_equal(&ports_destination(h->ports, 0)->key, &ports_busiest(h->ports)->key));
        for (unsigned m = METRIC_PORTS_FIRST; m <= METRIC_PORTS_LAST; m++)
                h->snapshot.reading[m].state = READING_INVALID;
        host_pass(h, 1);
        host_run(h, 10, 0, PEER);
        ck_assert_uint_eq(h->logged, 0);
        host_run(h, 1, 0, PEER);
        CHECK_LOG(h, 1, DECISION_ENTER, FIRST);
}
END_TEST

/* A tick that comes after ns, with a condition of 20 s: how much of it counts, or whether the clock starts anew. */
static const struct pause {
        const char *interval;
        uint64_t ns, dump_ns; /* the dump of the tick before took so long */
        unsigned counted;     /* s */
        bool anew;
} pauses[] = {
        {"100ms", 3 * SEC, 0, 3, false},     {"100ms", 3 * SEC + 1, 0, 3, false},
        {"1s", 3 * SEC, 0, 3, false},        {"1s", 3 * SEC + 1, 0, 3, false},
        {"2s", 6 * SEC, 0, 6, false},        {"2s", 6 * SEC + 1, 0, 6, false},
        {"1s", 20 * SEC, 0, 3, false},       {"1s", 20 * SEC + 1, 0, 0, true}, /* suspend, or a stopped process */
        {"1s", 9 * SEC, 6 * SEC, 9, false},  {"1s", 10 * SEC, 6 * SEC, 9, false},
        {"1s", 26 * SEC, 6 * SEC, 9, false}, {"1s", 26 * SEC + 1, 6 * SEC, 0, true},
};

static void pass_late(uint64_t ns, uint64_t dump_ns)
{
        h->snapshot.now += ns;
        h->snapshot.dump_ns = dump_ns;
        host_decide(h);
        h->snapshot.dump_ns = 0;
}

START_TEST(a_gap_stops_the_clocks)
{
        const struct pause *pause = &pauses[_i];
        char text[256];

        snprintf(text, sizeof(text),
                 "[daemon]\ninterval = %s\n[rule r]\nwhen = tcp.fin_wait2 >= 100 for 20s\n"
                 "set = net.ipv4.tcp_fin_timeout = 30\n",
                 pause->interval);
        h = host_new(text);
        host_reading(h, METRIC_TCP_FIN_WAIT2, 100);
        host_pass(h, 10);
        pass_late(pause->ns, pause->dump_ns);
        host_pass(h, pause->anew ? 19 : 10 - pause->counted);
        ck_assert_uint_eq(h->logged, 0);
        host_pass(h, 1);
        CHECK_LOG(h, 1, DECISION_ENTER, FIRST);
}
END_TEST

START_TEST(what_does_not_hold_after_a_gap_starts_anew)
{
        h = host_new("[rule r]\nwhen = tcp.fin_wait2 >= 100 for 20s\nset = net.ipv4.tcp_fin_timeout = 30\n");
        host_reading(h, METRIC_TCP_FIN_WAIT2, 100);
        host_pass(h, 20);
        host_reading(h, METRIC_TCP_FIN_WAIT2, 99);
        pass_late(5 * SEC, 0);
        host_reading(h, METRIC_TCP_FIN_WAIT2, 100);
        host_pass(h, 20);
        ck_assert_uint_eq(h->logged, 0);
        host_pass(h, 1);
        CHECK_LOG(h, 1, DECISION_ENTER, FIRST);
}
END_TEST

/* Every tick is late (a machine at a CPU quota), or one in nine is: each clock gets to its end all the same. */
START_TEST(late_ticks_silence_no_clock)
{
        const unsigned late = _i == 0 ? 1 : 9;

        h = host_new("[rule r]\nwhen = tcp.fin_wait2 >= 100 for 10s\nuntil = tcp.fin_wait2 < 100 for 5s\n"
                     "set = net.ipv4.tcp_fin_timeout = 30\nexpect = tcp.closing >= 1 within 15s\n");
        host_reading(h, METRIC_TCP_CLOSING, 0);
        host_reading(h, METRIC_TCP_FIN_WAIT2, 100);
        for (unsigned i = 0; i < 40; i++)
                pass_late(i % late == 0 ? 3100 * NSEC_PER_MSEC : SEC, 0);
        check_log(h, 2, (const enum decision_kind[]){DECISION_ENTER, DECISION_UNEXPECTED}, (const unsigned[]){0, 0});
        host_reading(h, METRIC_TCP_CLOSING, 1);
        h->snapshot.now += 600 * SEC;
        for (unsigned i = 0; i < 12; i++)
                pass_late(i % late == 0 ? 3100 * NSEC_PER_MSEC : SEC, 0);
        ck_assert_uint_eq(h->logged, 3);
        host_reading(h, METRIC_TCP_FIN_WAIT2, 0);
        for (unsigned i = 0; i < 12; i++)
                pass_late(i % late == 0 ? 3100 * NSEC_PER_MSEC : SEC, 0);
        ck_assert_uint_eq(h->logged, 4);
        ck_assert_int_eq(h->log[3].kind, DECISION_RELEASE);
}
END_TEST

/* The clocks of a release without `until`, and of an effect. */
START_TEST(a_gap_longer_than_its_time_starts_a_clock_anew)
{
        h = host_new("[rule r]\nwhen = tcp.fin_wait2 >= 100\nset = net.ipv4.tcp_fin_timeout = 30\n"
                     "expect = tcp.closing >= 1 within 30s\n");
        host_reading(h, METRIC_TCP_CLOSING, 0);
        host_reading(h, METRIC_TCP_FIN_WAIT2, 100);
        host_pass(h, 26);
        pass_late(30 * SEC + 1, 0); /* 25 s without the effect are forgotten */
        host_pass(h, 29);
        ck_assert_uint_eq(h->logged, 1);
        host_reading(h, METRIC_TCP_CLOSING, 1);
        host_reading(h, METRIC_TCP_FIN_WAIT2, 0);
        host_pass(h, 31);
        pass_late(59 * SEC, 0); /* 30 s and 3 s of quiet */
        host_pass(h, 26);
        ck_assert_uint_eq(h->logged, 1);
        pass_late(60 * SEC + 1, 0);
        host_pass(h, 59);
        ck_assert_uint_eq(h->logged, 1);
        host_pass(h, 1);
        ck_assert_uint_eq(h->logged, 2);
        ck_assert_int_eq(h->log[1].kind, DECISION_RELEASE);
}
END_TEST

START_TEST(without_until_a_quiet_minute_releases)
{
        h = host_new(FIN_RULE);
        host_reading(h, METRIC_TCP_FIN_WAIT2, 100);
        host_pass(h, 1);
        host_reading(h, METRIC_TCP_FIN_WAIT2, 0);
        host_pass(h, 30);
        host_reading(h, METRIC_TCP_FIN_WAIT2, 100);
        host_pass(h, 1);
        host_reading(h, METRIC_TCP_FIN_WAIT2, 0);
        host_pass(h, 60);
        ck_assert_uint_eq(h->logged, 1);
        host_pass(h, 1);
        check_log(h, 2, (const enum decision_kind[]){DECISION_ENTER, DECISION_RELEASE}, (const unsigned[]){0, 0});
}
END_TEST

/* Another destination, which is past one of the thresholds alone, does not keep the rule. */
START_TEST(without_until_the_destination_has_to_be_past_all_thresholds)
{
        h = host_new("[rule r]\nwhen = ports.cliff >= 95%\nwhen = ports.relief < 30%\nadvise = look\n");
        h->model.ports = 100;
        hold_only(100, PEER);
        host_run(h, 1, 0, PEER);
        hold_only(10, PEER + 1);
        host_run(h, 60, 0, PEER);
        ck_assert_uint_eq(h->logged, 1);
        host_run(h, 1, 0, PEER);
        check_log(h, 2, (const enum decision_kind[]){DECISION_ENTER, DECISION_RELEASE}, (const unsigned[]){0, 0});
}
END_TEST

/* Its own destination keeps it while it is past the first threshold, whatever the others do. */
START_TEST(without_until_the_first_threshold_keeps_it)
{
        h = host_new("[rule r]\nwhen = ports.cliff >= 50%\nwhen = ports.relief < 30%\nadvise = look\n");
        h->model.ports = 100;
        hold_only(60, PEER);
        host_run(h, 1, 0, PEER);
        hold_only(30, PEER);
        host_run(h, 100, 1, PEER); /* up to 60 of TIME_WAIT, so that relief is over 30% soon */
        ck_assert_uint_eq(h->logged, 1);
        hold_only(20, PEER);
        host_run(h, 61, 0, PEER);
        check_log(h, 2, (const enum decision_kind[]){DECISION_ENTER, DECISION_RELEASE}, (const unsigned[]){0, 0});
}
END_TEST

START_TEST(release_time_doubles_when_it_comes_back)
{
        static const uint64_t expected[] = {60, 120, 240, 480};

        h = host_new(FIN_RULE);
        for (unsigned i = 0; i < ELEMENTSOF(expected); i++) {
                host_reading(h, METRIC_TCP_FIN_WAIT2, 100);
                host_pass(h, 1);
                host_reading(h, METRIC_TCP_FIN_WAIT2, 0);
                while (h->logged < 2 * i + 2)
                        host_pass(h, 1);
                ck_assert_uint_eq(h->log[2 * i + 1].at - h->log[2 * i].at, expected[i] + 1);
        }
        host_pass(h, 601); /* ten quiet minutes */
        host_reading(h, METRIC_TCP_FIN_WAIT2, 100);
        host_pass(h, 1);
        host_reading(h, METRIC_TCP_FIN_WAIT2, 0);
        host_pass(h, 61);
        ck_assert_uint_eq(h->logged, 10);
}
END_TEST

static void add(TCase *tcase)
{
        tcase_add_checked_fixture(tcase, NULL, tear_down);
        tcase_add_test(tcase, hundred_a_second_for_ten_minutes_is_healthy);
        tcase_add_test(tcase, a_burst_is_no_storm);
        tcase_add_test(tcase, idle_connections_are_not_relieved_by_reuse);
        tcase_add_test(tcase, acts_before_the_cliff_and_gives_back_once);
        tcase_add_loop_test(tcase, a_rule_is_for_its_destinations, 0, ELEMENTSOF(for_rows));
        tcase_add_test(tcase, a_rule_ends_with_its_destinations);
        tcase_add_test(tcase, takes_both_rules_and_releases_them_from_the_top);
        tcase_add_test(tcase, two_rules_enter_in_one_tick);
        tcase_add_test(tcase, the_second_rule_waits_for_its_prerequisite);
        tcase_add_loop_test(tcase, the_second_rule_alone_where_reuse_works_already, 0, 3);
        tcase_add_test(tcase, a_kernel_without_the_sysctl_has_no_second_rule);
        tcase_add_test(tcase, conditions_hold_for_the_same_destination);
        tcase_add_test(tcase, for_is_measured_for_each_destination);
        tcase_add_test(tcase, comparisons);
        tcase_add_test(tcase, when_for_needs_the_whole_time);
        tcase_add_test(tcase, an_invalid_metric_stops_the_clock_and_decides_nothing);
        tcase_add_test(tcase, invalid_ports_freeze_the_ladder);
        tcase_add_test(tcase, a_clock_stays_with_its_destination);
        tcase_add_loop_test(tcase, a_gap_stops_the_clocks, 0, ELEMENTSOF(pauses));
        tcase_add_test(tcase, what_does_not_hold_after_a_gap_starts_anew);
        tcase_add_loop_test(tcase, late_ticks_silence_no_clock, 0, 2);
        tcase_add_test(tcase, a_gap_longer_than_its_time_starts_a_clock_anew);
        tcase_add_test(tcase, without_until_a_quiet_minute_releases);
        tcase_add_test(tcase, without_until_the_destination_has_to_be_past_all_thresholds);
        tcase_add_test(tcase, without_until_the_first_threshold_keeps_it);
        tcase_add_test(tcase, release_time_doubles_when_it_comes_back);
}

int main(void)
{
        return run_suite("policy", add);
}

/* SPDX-License-Identifier: MIT */
/* What a rule takes along from an earlier process or configuration, and what it does not. */

#include "one_host.h"

#define LINES 8u

static const char *const base[LINES] = {
        "[rule base]\nenabled = no\nwhen = tcp.closing > 1k\nset = net.ipv4.tcp_tw_reuse = 1\n[rule one]",
        "when = tcp.fin_wait2 >= 100 for 2s",
        "until = tcp.fin_wait2 < 50 for 20s",
        "set = net.ipv4.tcp_fin_timeout = 30",
        "set = net.ipv4.tcp_keepalive_probes = 5",
        "expect = netstat.TcpExt.TWRecycled > 0/s within 15s",
        "abort = opens.resets > 3x before within 60s",
        "every = 30s",
};

/* The rule with one line in place of another. */
static const char *with(unsigned line, const char *other)
{
        static char text[2048];

        text[0] = 0;
        for (unsigned i = 0; i < LINES; i++) {
                strcat(text, i == line ? other : base[i]);
                strcat(text, "\n");
        }
        return text;
}

static const struct {
        unsigned line;
        const char *other;
} others[] = {
        {0, "[rule base]\nenabled = no\nwhen = tcp.closing > 1k\nset = net.ipv4.tcp_tw_reuse = 1\n[rule two]"},
        {0, "[rule base]\nenabled = no\nwhen = tcp.closing > 1k\nset = net.ipv4.tcp_tw_reuse = 1\n[rule one]\n"
            "after = base"},
        {1, "when = tcp.fin_wait1 >= 100 for 2s"},
        {1, "when = tcp.fin_wait2 > 100 for 2s"},
        {1, "when = tcp.fin_wait2 >= 101 for 2s"},
        {1, "when = tcp.fin_wait2 >= 100 for 3s"},
        {1, "when = tcp.fin_wait2 >= 100 for 2s\nwhen = tcp.closing < 9"},
        {2, "until = tcp.fin_wait2 < 51 for 20s"},
        {2, ""},
        {3, "set = net.ipv4.tcp_fin_timeout = 31"},
        {3, "set = net.ipv4.tcp_keepalive_intvl = 30"},
        {3, ""},
        {4, "set = net.ipv4.tcp_keepalive_probes = 4"},
        {5, "expect = netstat.TcpExt.TWRecycled > 1/s within 15s"},
        {5, "expect = netstat.TcpExt.TWRecycled > 0/s within 16s"},
        {5, ""},
        {6, "abort = opens.syn_retransmits > 3x before within 60s"},
        {6, "abort = opens.resets > 4x before within 60s"},
        {6, "abort = opens.resets > 3x before within 61s"},
        {6, "abort = opens.resets > 3x before within 60s\nabort = opens.syn_retransmits > 3x before within 60s"},
        {6, ""},
        {0, "[rule base]\nenabled = no\nwhen = tcp.closing > 1k\nset = net.ipv4.tcp_tw_reuse = 1\n[rule one]\n"
            "enabled = no"},
};

static void enter_base(void)
{
        h = host_new(with(LINES, ""));
        host_sysctl(h, SYSCTL_TCP_KEEPALIVE_PROBES, 9);
        host_reading(h, METRIC_TCP_FIN_WAIT2, 100);
        host_reading(h, METRIC_COUNT + COUNTER_TW_RECYCLED, 1);
        host_pass(h, 3);
        ck_assert_uint_eq(h->logged, 1);
        ck_assert(policy_holds(h->policy, SYSCTL_TCP_FIN_TIMEOUT));
}

START_TEST(a_rule_of_which_anything_differs_is_another_one)
{
        enter_base();
        reload(with(others[_i].line, others[_i].other));
        ck_assert_msg(!policy_holds(h->policy, SYSCTL_TCP_FIN_TIMEOUT), "%s", others[_i].other);
}
END_TEST

START_TEST(the_same_rule_goes_on_in_another_place)
{
        char text[2048];

        enter_base();
        snprintf(text, sizeof(text), "[rule new]\nwhen = tcp.closing > 1k\nset = net.ipv4.tcp_tw_reuse = 1\n%s",
                 with(LINES, ""));
        reload(text);
        ck_assert(policy_is_active(h->policy, 2) && !policy_is_active(h->policy, 0));
        ck_assert(policy_holds(h->policy, SYSCTL_TCP_FIN_TIMEOUT));
        host_reading(h, METRIC_TCP_FIN_WAIT2, 0);
        host_pass(h, 20);
        ck_assert_uint_eq(h->logged, 1);
        host_pass(h, 1);
        ck_assert_uint_eq(h->logged, 2);
        ck_assert_int_eq(h->log[1].kind, DECISION_RELEASE);
        ck_assert_int_eq(host_sysctl_value(h, SYSCTL_TCP_FIN_TIMEOUT), 60);
        ck_assert_int_eq(host_sysctl_value(h, SYSCTL_TCP_KEEPALIVE_PROBES), 9);
}
END_TEST

START_TEST(what_is_foreign_stays_foreign)
{
        enter_base();
        host_pass(h, 1);
        host_sysctl(h, SYSCTL_TCP_FIN_TIMEOUT, 45);
        host_pass(h, 1);
        ck_assert_int_eq(h->log[1].kind, DECISION_OVERRIDDEN);
        reload(with(1, "when = tcp.fin_wait2 >= 99 for 2s"));
        host_pass(h, 10);
        ck_assert_int_eq(host_sysctl_value(h, SYSCTL_TCP_FIN_TIMEOUT), 45);
}
END_TEST

/* ---- the clocks of destinations ---- */

#define DESTINATION_RULE "[rule one]\nwhen = ports.used >= 100 for 10s\nset = net.ipv4.tcp_tw_reuse = 1\n"

static void hold_destination(void)
{
        h = host_new(DESTINATION_RULE);
        hold_open(200, PEER);
        host_run(h, 6, 0, PEER);
        ck_assert_uint_eq(h->logged, 0);
}

START_TEST(a_reload_keeps_the_time_of_a_destination)
{
        hold_destination();
        reload("[daemon]\ninterval = 2s\n" DESTINATION_RULE);
        host_run(h, 4, 0, PEER);
        ck_assert_uint_eq(h->logged, 0);
        host_run(h, 1, 0, PEER);
        ck_assert_uint_eq(h->logged, 1);
}
END_TEST

/* What a rule is for is a part of it. */
START_TEST(a_reload_for_another_destination_starts_anew)
{
        bool same = _i == 1;

        h = host_new(DESTINATION_RULE "for-destination = 10.0.0.2\n");
        hold_open(200, PEER);
        host_run(h, 6, 0, PEER);
        reload(same ? DESTINATION_RULE "for-destination = 10.0.0.2\n"
                    : DESTINATION_RULE "for-destination = 10.0.0.0/24\n");
        host_run(h, 5, 0, PEER);
        ck_assert_uint_eq(h->logged, same);
        host_run(h, 6, 0, PEER);
        ck_assert_uint_eq(h->logged, 1);
}
END_TEST

START_TEST(a_gap_stops_the_time_of_a_destination)
{
        hold_destination();
        h->snapshot.now += 8 * SEC; /* with the next second a tick after 9 s, of which 3 s count */
        host_run(h, 2, 0, PEER);
        ck_assert_uint_eq(h->logged, 0);
        host_run(h, 1, 0, PEER);
        ck_assert_uint_eq(h->logged, 1);
}
END_TEST

START_TEST(a_gap_starts_the_time_of_a_destination_anew)
{
        hold_destination();
        h->snapshot.now += 30 * SEC;
        host_run(h, 10, 0, PEER);
        ck_assert_uint_eq(h->logged, 0);
        host_run(h, 1, 0, PEER);
        ck_assert_uint_eq(h->logged, 1);
}
END_TEST

/* ---- take-over ---- */

static void adopt(enum sysctl_id id, int64_t written, int64_t original)
{
        ck_assert(policy_adopt(h->policy, "one", id, &SYSCTL_VALUE(written), &SYSCTL_VALUE(original)));
        host_sysctl(h, id, written);
}

/* What its step did was watched by the process that made it: no effect is expected, no harm is looked for. */
START_TEST(a_rule_of_two_sysctls_is_taken_over_whole)
{
        h = host_new(with(LINES, ""));
        adopt(SYSCTL_TCP_FIN_TIMEOUT, 30, 60);
        adopt(SYSCTL_TCP_KEEPALIVE_PROBES, 5, 9);
        host_reading(h, METRIC_TCP_FIN_WAIT2, 100);
        host_reading(h, METRIC_COUNT + COUNTER_TW_RECYCLED, 0);
        host_reading(h, METRIC_OPENS_RESETS, 100);
        host_pass(h, 30);
        ck_assert_uint_eq(h->logged, 0);
        host_reading(h, METRIC_TCP_FIN_WAIT2, 0);
        host_pass(h, 21);
        ck_assert_uint_eq(h->logged, 1);
        ck_assert_int_eq(h->log[0].kind, DECISION_RELEASE);
        ck_assert_uint_eq(h->log[0].n, 2);
        ck_assert_int_eq(host_sysctl_value(h, SYSCTL_TCP_FIN_TIMEOUT), 60);
        ck_assert_int_eq(host_sysctl_value(h, SYSCTL_TCP_KEEPALIVE_PROBES), 9);
}
END_TEST

/* The ledger names one rule: whoever may have held the same value goes in its own time. */
START_TEST(another_rule_that_holds_the_same_is_taken_over_as_well)
{
        h = host_new("[rule one]\nwhen = tcp.fin_wait2 >= 100\nset = net.ipv4.tcp_fin_timeout = 30\n"
                     "[rule two]\nwhen = tcp.fin_wait1 >= 100\nset = net.ipv4.tcp_fin_timeout = 30\n"
                     "[rule three]\nwhen = tcp.closing >= 100\nset = net.ipv4.tcp_keepalive_probes = 5\n");
        adopt(SYSCTL_TCP_FIN_TIMEOUT, 30, 60);
        ck_assert(policy_is_active(h->policy, 0) && policy_is_active(h->policy, 1));
        ck_assert(!policy_is_active(h->policy, 2));
        host_reading(h, METRIC_TCP_FIN_WAIT2, 0);
        host_reading(h, METRIC_TCP_FIN_WAIT1, 100);
        host_pass(h, 61);
        ck_assert_uint_eq(h->logged, 1);
        ck_assert_int_eq(host_sysctl_value(h, SYSCTL_TCP_FIN_TIMEOUT), 30);
        host_reading(h, METRIC_TCP_FIN_WAIT1, 0);
        host_pass(h, 61);
        ck_assert_uint_eq(h->logged, 2);
        ck_assert_int_eq(host_sysctl_value(h, SYSCTL_TCP_FIN_TIMEOUT), 60);
}
END_TEST

/* ---- how long a rule is held ---- */

START_TEST(no_rule_is_held_longer_than_an_hour)
{
        static const unsigned minutes[] = {25, 50, 60, 60};

        h = host_new("[rule one]\nwhen = tcp.fin_wait2 >= 100\nuntil = tcp.fin_wait2 < 100 for 25min\n"
                     "set = net.ipv4.tcp_fin_timeout = 30\n");
        for (unsigned i = 0; i < ELEMENTSOF(minutes); i++) {
                host_reading(h, METRIC_TCP_FIN_WAIT2, 100);
                host_pass(h, 1);
                host_reading(h, METRIC_TCP_FIN_WAIT2, 0);
                host_pass(h, minutes[i] * 60);
                ck_assert_uint_eq(h->logged, 2 * i + 1);
                host_pass(h, 1);
                ck_assert_uint_eq(h->logged, 2 * i + 2);
        }
}
END_TEST

/* Ten minutes after its release it is a new story. */
START_TEST(what_comes_back_within_ten_minutes_is_held_for_longer)
{
        bool within = _i == 0;

        h = host_new("[rule one]\nwhen = tcp.fin_wait2 >= 100\nset = net.ipv4.tcp_fin_timeout = 30\n");
        for (unsigned i = 0; i < 2; i++) {
                host_reading(h, METRIC_TCP_FIN_WAIT2, 100);
                host_pass(h, 1);
                host_reading(h, METRIC_TCP_FIN_WAIT2, 0);
                host_pass(h, 61);
                if (i == 0)
                        host_pass(h, within ? 598 : 599);
        }
        ck_assert_uint_eq(h->logged, within ? 3 : 4);
}
END_TEST

/* ---- harm ---- */

/* A counter of the kernel has a floor of 1/s: three times of nothing is 3/s. */
START_TEST(harm_in_a_counter_is_more_than_its_noise)
{
        bool harm = _i == 1;

        h = host_new("[rule one]\nwhen = tcp.fin_wait2 >= 100\nset = net.ipv4.tcp_fin_timeout = 30\n"
                     "abort = netstat.TcpExt.TWRecycled > 3x before within 60s\n");
        host_reading(h, METRIC_TCP_FIN_WAIT2, 0);
        host_reading(h, METRIC_COUNT + COUNTER_TW_RECYCLED, 0);
        host_pass(h, 5); /* as few as are a trend */
        host_reading(h, METRIC_TCP_FIN_WAIT2, 100);
        host_pass(h, 1);
        host_reading(h, METRIC_COUNT + COUNTER_TW_RECYCLED, harm ? 3.1 : 3);
        host_pass(h, 10);
        ck_assert_uint_eq(h->logged, harm ? 2 : 1);
        ck_assert(!harm || h->log[1].kind == DECISION_ABORT);
}
END_TEST

static void add(TCase *tcase)
{
        tcase_add_checked_fixture(tcase, NULL, tear_down);
        tcase_add_loop_test(tcase, a_rule_of_which_anything_differs_is_another_one, 0, ELEMENTSOF(others));
        tcase_add_test(tcase, the_same_rule_goes_on_in_another_place);
        tcase_add_test(tcase, what_is_foreign_stays_foreign);
        tcase_add_test(tcase, a_reload_keeps_the_time_of_a_destination);
        tcase_add_loop_test(tcase, a_reload_for_another_destination_starts_anew, 0, 2);
        tcase_add_test(tcase, a_gap_stops_the_time_of_a_destination);
        tcase_add_test(tcase, a_gap_starts_the_time_of_a_destination_anew);
        tcase_add_test(tcase, a_rule_of_two_sysctls_is_taken_over_whole);
        tcase_add_test(tcase, another_rule_that_holds_the_same_is_taken_over_as_well);
        tcase_add_test(tcase, no_rule_is_held_longer_than_an_hour);
        tcase_add_loop_test(tcase, what_comes_back_within_ten_minutes_is_held_for_longer, 0, 2);
        tcase_add_loop_test(tcase, harm_in_a_counter_is_more_than_its_noise, 0, 2);
}

int main(void)
{
        return run_suite("policy_reload", add);
}

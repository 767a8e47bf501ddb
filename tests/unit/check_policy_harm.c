/* SPDX-License-Identifier: MIT */
/* What would do harm and is not done, or does harm and is put back: a larger table of TIME_WAIT without the reuse of
 * ports, and connections that wait on reused ports. */

#include "lib/policy/state.h"
#include "one_host.h"

#define TW SYSCTL_TCP_MAX_TW_BUCKETS
#define OTHER (PEER + 1)
#define REUSE_RULE \
        "[rule reuse]\nwhen = ports.used >= 100\nuntil = tcp.closing < 1\nset = net.ipv4.tcp_tw_reuse = 1\nretry = " \
        "1h\n"
#define TABLE_RULE \
        "[rule table]\nwhen = netstat.TcpExt.TCPTimeWaitOverflow > 0/s\nuntil = time_wait.table < 1%\n" \
        "raise = net.ipv4.tcp_max_tw_buckets x2 max 2097152\n"
#define FIN_RULE \
        "[rule fin]\nwhen = tcp.fin_wait2 >= 100\nuntil = tcp.fin_wait2 < 1\nset = net.ipv4.tcp_fin_timeout = 30\n"
#define ORPHANS_RULE \
        "[rule orphans]\nwhen = tcp.fin_wait2 >= 100\nuntil = tcp.fin_wait2 < 1\n" \
        "raise = net.ipv4.tcp_max_orphans x2 max 16384\n"
#define ABORT_OF_RESETS "abort = opens.resets > 3x before within 1h\n"
#define ABORT_OF_WAITING "abort = ports.syn_waiting > 3x before within 1h\n"

enum {
        REUSE,
        TABLE,
        FIN,
        ORPHANS
};

static void fill_table(void)
{
        host_reading(h, METRIC_TIME_WAIT_TABLE, 100.0 * h->model.n / (double)host_sysctl_value(h, TW));
}

/* The table overflows, and the load would need `needed` TIME_WAIT sockets at once. */
static void overflow(double needed)
{
        host_reading(h, METRIC_COUNT + COUNTER_TIME_WAIT_OVERFLOW, 1);
        h->snapshot.reading[METRIC_TIME_WAIT_NEEDED] = reading_of(needed); /* NAN: unknown */
        fill_table();
}

static struct destination *busiest(void)
{
        return (struct destination *)ports_busiest(h->ports);
}

/* A second without a connection, in which the busiest destination has these metrics, in percent. */
static void second(double reused, double syn_waiting)
{
        h->snapshot.now += SEC;
        host_observe(h);
        fill_table();
        busiest()->lower[METRIC_PORTS_REUSED - METRIC_PORTS_FIRST] = (float)reused;
        busiest()->lower[METRIC_PORTS_SYN_WAITING - METRIC_PORTS_FIRST] = (float)syn_waiting;
        busiest()->upper[METRIC_PORTS_SYN_WAITING - METRIC_PORTS_FIRST] = (float)syn_waiting;
        host_decide(h);
}

static void second_without_dump(void)
{
        for (unsigned m = METRIC_PORTS_FIRST; m <= METRIC_PORTS_LAST; m++)
                h->snapshot.reading[m].state = READING_INVALID;
        host_pass(h, 1);
}

static void begin(const char *policy)
{
        h = host_new(policy);
        host_sysctl(h, TW, 65536);
        host_sysctl(h, SYSCTL_TCP_MAX_ORPHANS, 8192);
        host_reading(h, METRIC_OPENS_RESETS, 0);
        host_reading(h, METRIC_TCP_CLOSING, 1);
        host_reading(h, METRIC_TCP_FIN_WAIT2, 0);
}

/* ---- a table that would take the ports ---- */

START_TEST(a_table_that_would_take_the_ports_is_not_raised)
{
        static const struct {
                double needed;
                enum standing table;
        } of[] = {{20000, STANDING_HARMFUL}, {5000, STANDING_ACTIVE}, {0, STANDING_ACTIVE}, {NAN, STANDING_HARMFUL}};

        begin("[rule none]\nwhen = tcp.listen >= 1\nadvise = look\n" TABLE_RULE FIN_RULE ORPHANS_RULE);
        host_run(h, 10, 100, PEER);
        overflow(of[_i].needed);
        host_reading(h, METRIC_TCP_FIN_WAIT2, 100);
        host_run(h, 1, 0, PEER);
        ck_assert_int_eq(policy_evaluate(h->policy, &h->snapshot)->rule[TABLE].standing, of[_i].table);
        ck_assert(policy_is_active(h->policy, FIN)); /* that table is not their business */
        ck_assert(policy_is_active(h->policy, ORPHANS));
}
END_TEST

/* Where ports are reused, a larger table takes none. */
static void raise_table_beside_reuse(const char *policy)
{
        begin(policy);
        host_run(h, 60, 0, PEER);
        host_run(h, 10, 100, PEER);
        ck_assert(policy_is_active(h->policy, REUSE));
        overflow(20000);
        second(0, 0);
        ck_assert(!policy_is_active(h->policy, TABLE));
        second(100, 0);
        ck_assert(policy_is_active(h->policy, TABLE));
}

/* Also if it is unknown what the table takes. */
START_TEST(a_table_goes_with_the_reuse_that_fails)
{
        raise_table_beside_reuse(REUSE_RULE ABORT_OF_RESETS TABLE_RULE);
        host_reading(h, METRIC_COUNT + COUNTER_TIME_WAIT_OVERFLOW, 0);
        for (unsigned i = 0; i < 5; i++)
                second(100, 0);
        host_reading(h, METRIC_OPENS_RESETS, 90);
        if (_i == 1)
                h->snapshot.reading[METRIC_TIME_WAIT_NEEDED].state = READING_INVALID;
        for (unsigned i = 0; i < 20; i++)
                if (_i == 2)
                        second_without_dump();
                else
                        second(100, 0);
        ck_assert_uint_eq(h->logged, 4);
        ck_assert_uint_eq(h->log[2].at, h->log[3].at);
        EXPECT_DECISIONS(h->log[3].at, DECISION_ABORT, 2, TABLE, REUSE);
        ck_assert_int_eq(host_sysctl_value(h, TW), 65536);
}
END_TEST

/* One that takes no port away stays. */
START_TEST(a_table_for_little_outlasts_the_reuse)
{
        raise_table_beside_reuse(REUSE_RULE ABORT_OF_RESETS TABLE_RULE);
        host_reading(h, METRIC_TIME_WAIT_NEEDED, 5000);
        host_reading(h, METRIC_OPENS_RESETS, 90);
        for (unsigned i = 0; i < 20; i++)
                second(100, 0);
        ck_assert(!policy_is_active(h->policy, REUSE) && policy_is_active(h->policy, TABLE));
}
END_TEST

/* In the tick in which reuse ends, the sockets still look reused. The end of another rule does not affect it. */
START_TEST(a_table_is_not_raised_as_reuse_ends)
{
        begin(REUSE_RULE TABLE_RULE FIN_RULE);
        host_reading(h, METRIC_TCP_FIN_WAIT2, 100);
        host_run(h, 10, 100, PEER);
        ck_assert(policy_is_active(h->policy, REUSE) && policy_is_active(h->policy, FIN));
        host_reading(h, _i ? METRIC_TCP_FIN_WAIT2 : METRIC_TCP_CLOSING, 0);
        overflow(20000);
        second(100, 0);
        ck_assert_int_eq(policy_is_active(h->policy, REUSE), _i);
        ck_assert_int_eq(policy_is_active(h->policy, FIN), !_i);
        ck_assert_int_eq(policy_is_active(h->policy, TABLE), _i);
}
END_TEST

/* ---- connections that wait ---- */

START_TEST(harm_is_seen_where_the_step_was_taken_and_ports_are_reused)
{
        static const char *const rules[] = {
                REUSE_RULE ABORT_OF_WAITING,
                REUSE_RULE ABORT_OF_WAITING ABORT_OF_RESETS,
                REUSE_RULE ABORT_OF_RESETS ABORT_OF_WAITING,
        };

        begin(rules[_i]);
        host_run(h, 10, 100, PEER);
        CHECK_LOG(h, 1, DECISION_ENTER, REUSE);
        second(0, 90);
        second(100, 0);
        ck_assert_uint_eq(h->logged, 1);
        second(100, 90);
        ck_assert_uint_eq(h->logged, 2);
        ck_assert_int_eq(h->log[1].kind, DECISION_ABORT);
        ck_assert_uint_eq(h->log[1].decision.evidence.metric, METRIC_PORTS_SYN_WAITING);
        ck_assert_uint_eq(h->log[1].decision.evidence.destination_id, busiest()->id);
}
END_TEST

/* While the restore fails, the time in which harm is watched for passes, and the harm ends. */
START_TEST(harm_is_not_forgotten_before_the_restore)
{
        begin(REUSE_RULE "abort = ports.syn_waiting > 3x before within 20s\n");
        host_run(h, 10, 100, PEER);
        CHECK_LOG(h, 1, DECISION_ENTER, REUSE);
        h->restore_outcome = OUTCOME_FAILED;
        second(100, 90);
        ck_assert_uint_eq(h->logged, 2);
        h->restore_outcome = OUTCOME_RESTORED;
        for (unsigned i = 0; i < 30; i++)
                second(100, 0);
        host_run(h, 30, 0, PEER);
        ck_assert_uint_eq(h->logged, 3);
        ck_assert_int_eq(h->log[2].kind, DECISION_ABORT);
        ck_assert_int_eq(h->log[2].outcome, OUTCOME_RESTORED);
        ck_assert_double_eq(h->log[2].decision.evidence.value, 90);
        ck_assert_str_eq(h->log[2].decision.evidence.destination, h->log[1].decision.evidence.destination);
}
END_TEST

/* There tcp_tw_reuse = 2 is reuse already. */
START_TEST(harm_is_seen_on_the_loopback)
{
        begin("[rule delay]\nwhen = ports.used >= 100\nuntil = tcp.closing < 1\n"
              "set = net.ipv4.tcp_tw_reuse_delay = 250\n" ABORT_OF_WAITING);
        host_run(h, 10, 100, LOOPBACK);
        CHECK_LOG(h, 1, DECISION_ENTER, 0);
        second(100, 90);
        ck_assert_uint_eq(h->logged, 2);
        ck_assert_int_eq(h->log[1].kind, DECISION_ABORT);
}
END_TEST

START_TEST(harm_elsewhere_says_nothing)
{
        begin(REUSE_RULE ABORT_OF_WAITING ABORT_OF_RESETS);
        host_run(h, 10, 100, PEER);
        CHECK_LOG(h, 1, DECISION_ENTER, REUSE);
        host_run(h, 10, 500, OTHER);
        ck_assert_uint_ne(busiest()->id, h->log[0].decision.evidence.destination_id);
        for (unsigned i = 0; i < 20; i++)
                second(100, 90);
        ck_assert_uint_eq(h->logged, 1);
}
END_TEST

static void add(TCase *tcase)
{
        tcase_add_checked_fixture(tcase, NULL, tear_down);
        tcase_add_loop_test(tcase, a_table_that_would_take_the_ports_is_not_raised, 0, 4);
        tcase_add_loop_test(tcase, a_table_goes_with_the_reuse_that_fails, 0, 3);
        tcase_add_test(tcase, a_table_for_little_outlasts_the_reuse);
        tcase_add_loop_test(tcase, a_table_is_not_raised_as_reuse_ends, 0, 2);
        tcase_add_loop_test(tcase, harm_is_seen_where_the_step_was_taken_and_ports_are_reused, 0, 3);
        tcase_add_test(tcase, harm_is_not_forgotten_before_the_restore);
        tcase_add_test(tcase, harm_is_seen_on_the_loopback);
        tcase_add_test(tcase, harm_elsewhere_says_nothing);
}

int main(void)
{
        return run_suite("policy_harm", add);
}

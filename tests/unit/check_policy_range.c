/* SPDX-License-Identifier: MIT */
/* A range of ports that was widened gives way to a service that begins to listen in it. */

#include "one_host.h"

#define RANGE SYSCTL_IP_LOCAL_PORT_RANGE
#define WIDE(more) "[rule wide]\nwhen = tcp.fin_wait1 >= 1\nset = net.ipv4.ip_local_port_range = 1024 65535\n" more
#define ABOVE "[rule above]\nafter = wide\nwhen = tcp.fin_wait2 >= 1\nset = net.ipv4.tcp_tw_reuse = 1\n"
#define OTHER "[rule other]\nwhen = tcp.fin_wait1 >= 1\nset = net.ipv4.tcp_fin_timeout = 30\n"

enum {
        A,
        B,
        C
};

/* Who listens from now on; 0: nobody. */
static void listen_on(unsigned port)
{
        struct ports_limits limits = stock_limits();
        struct port_set listening = {0};

        if (port > 0)
                port_set_add(&listening, port);
        ports_begin(h->ports, &limits, NULL, &listening, h->snapshot.now, SEC);
        ports_commit(h->ports, 0);
}

static void begin_wide(const char *policy)
{
        h = host_new(policy);
        host_reading(h, METRIC_TCP_FIN_WAIT1, 1);
        host_reading(h, METRIC_TCP_FIN_WAIT2, 1);
        host_reading(h, METRIC_TCP_CLOSING, 1);
        for (unsigned m = METRIC_PORTS_FIRST; m <= METRIC_PORTS_LAST; m++)
                h->snapshot.reading[m] = reading_valid(0);
        host_sysctl(h, SYSCTL_IP_UNPRIVILEGED_PORT_START, 1024);
        h->snapshot.sysctl[RANGE] = (struct live_sysctl){READING_VALID, {.n = 2, .v = {32768, 60999}}};
        listen_on(0);
}

static void expect_range(int64_t low, int64_t high)
{
        const struct sysctl_value *v = &h->snapshot.sysctl[RANGE].value;

        ck_assert_msg(v->v[0] == low && v->v[1] == high, "%lld %lld", (long long)v->v[0], (long long)v->v[1]);
}

START_TEST(gives_way_to_a_service_and_takes_less)
{
        begin_wide(WIDE(""));
        host_pass(h, 1);
        expect_range(32768, 65535);
        listen_on(62000);
        host_pass(h, 1);
        ck_assert_uint_eq(h->logged, 2);
        EXPECT_DECISIONS(2, DECISION_GIVE_WAY, 1, A);
        ck_assert_uint_eq(h->log[1].decision.port, 62000);
        expect_range(32768, 60999);
        host_pass(h, 1);
        ck_assert_uint_eq(h->logged, 3);
        EXPECT_DECISIONS(3, DECISION_ENTER, 1, A);
        expect_range(32768, 61999);
        host_pass(h, 100); /* and nothing more is done */
        ck_assert_uint_eq(h->logged, 3);
}
END_TEST

START_TEST(only_what_was_taken_is_given_back)
{
        static const unsigned elsewhere[] = {60999, 32768, 45000, 32767, 1024, 80};

        begin_wide(WIDE(""));
        host_pass(h, 1);
        for (unsigned i = 0; i < ELEMENTSOF(elsewhere); i++) {
                listen_on(elsewhere[i]);
                host_pass(h, 1);
                ck_assert_msg(h->logged == 1, "port %u", elsewhere[i]);
        }
        listen_on(61000);
        host_pass(h, 10);
        ck_assert_uint_eq(h->logged, 2); /* nothing is left to take */
        expect_range(32768, 60999);
}
END_TEST

START_TEST(an_unknown_listener_is_no_service)
{
        begin_wide(WIDE(""));
        host_pass(h, 1);
        listen_on(62000);
        h->snapshot.reading[METRIC_PORTS_FIRST].state = READING_INVALID;
        host_pass(h, 10);
        ck_assert_uint_eq(h->logged, 1);
        h->snapshot.reading[METRIC_PORTS_FIRST].state = READING_BOUNDED;
        host_pass(h, 1);
        ck_assert_int_eq(h->log[1].kind, DECISION_GIVE_WAY);
}
END_TEST

/* While it is unknown which ports are free, a rule that would widen the range is neither needless nor in effect. */
START_TEST(an_unknown_obstacle_is_no_effect)
{
        enum reading_state *unknown;

        begin_wide(WIDE("") ABOVE);
        unknown = _i == 0 ? &h->snapshot.reading[METRIC_PORTS_FIRST].state
                          : &h->snapshot.sysctl[SYSCTL_IP_UNPRIVILEGED_PORT_START].state;
        *unknown = READING_INVALID;
        host_pass(h, 2);
        ck_assert_uint_eq(h->logged, 0);
        ck_assert_int_eq(policy_evaluate(h->policy, &h->snapshot)->rule[A].standing, STANDING_READY);
        *unknown = READING_VALID;
        host_pass(h, 1);
        check_log(h, 2, (const enum decision_kind[]){DECISION_ENTER, DECISION_ENTER}, (const unsigned[]){A, B});
}
END_TEST

START_TEST(a_range_that_is_wide_is_in_effect_whoever_listens)
{
        begin_wide(WIDE("") ABOVE);
        h->snapshot.sysctl[RANGE].value = (struct sysctl_value){.n = 2, .v = {1024, 65535}};
        h->snapshot.reading[METRIC_PORTS_FIRST].state = READING_INVALID;
        host_pass(h, 1);
        CHECK_LOG(h, 1, DECISION_ENTER, B);
        ck_assert_int_eq(policy_evaluate(h->policy, &h->snapshot)->rule[A].standing, STANDING_NEEDLESS);
}
END_TEST

START_TEST(gives_way_with_all_that_stands_on_it)
{
        begin_wide(WIDE("") ABOVE "[rule higher]\nafter = above\nwhen = tcp.closing >= 1\n"
                                  "set = net.ipv4.tcp_tw_reuse_delay = 250\n");
        host_pass(h, 1);
        ck_assert_uint_eq(h->logged, 3);
        listen_on(62000);
        host_pass(h, 1);
        ck_assert_uint_eq(h->logged, 6);
        EXPECT_DECISIONS(2, DECISION_GIVE_WAY, 3, C, B, A);
        expect_range(32768, 60999);
        host_pass(h, 1);
        EXPECT_DECISIONS(3, DECISION_ENTER, 3, A, B, C);
}
END_TEST

START_TEST(only_who_took_it_gives_way)
{
        begin_wide(WIDE("") OTHER);
        host_pass(h, 1);
        ck_assert_uint_eq(h->logged, 2);
        listen_on(62000);
        host_pass(h, 1);
        ck_assert_uint_eq(h->logged, 3);
        EXPECT_DECISIONS(2, DECISION_GIVE_WAY, 1, A);
}
END_TEST

START_TEST(a_give_way_that_fails_is_tried_again)
{
        begin_wide(WIDE(""));
        host_pass(h, 1);
        listen_on(62000);
        h->restore_outcome = OUTCOME_FAILED;
        host_pass(h, 60);
        ck_assert_uint_eq(h->logged, 2);
        ck_assert(policy_holds(h->policy, RANGE));
        h->restore_outcome = OUTCOME_RESTORED;
        host_pass(h, 1);
        expect_range(32768, 60999);
}
END_TEST

/* On paper the range was widened. */
START_TEST(observe_mode_gives_way_on_paper)
{
        begin_wide("[daemon]\nmode = observe\n" WIDE(""));
        h->write_outcome = h->restore_outcome = OUTCOME_WOULD;
        host_pass(h, 1);
        listen_on(62000);
        host_pass(h, 2);
        check_log(h, 3, (const enum decision_kind[]){DECISION_ENTER, DECISION_GIVE_WAY, DECISION_ENTER},
                  (const unsigned[]){A, A, A});
        ck_assert_int_eq(h->log[2].decision.change[0].value.v[1], 61999);
        expect_range(32768, 60999);
}
END_TEST

START_TEST(adopts_a_widened_range)
{
        struct sysctl_value original = {.n = 2, .v = {32768, 60999}}, written = {.n = 2, .v = {32768, 61999}};
        struct sysctl_value moved = {.n = 2, .v = {33000, 61999}};

        begin_wide(WIDE(""));
        ck_assert(!policy_adopt(h->policy, "wide", RANGE, &moved, &original));
        ck_assert(policy_adopt(h->policy, "wide", RANGE, &written, &original));
        h->snapshot.sysctl[RANGE].value = written;
        host_pass(h, 10);
        ck_assert_uint_eq(h->logged, 0);
        listen_on(61500);
        host_pass(h, 1);
        CHECK_LOG(h, 1, DECISION_GIVE_WAY, A);
        expect_range(32768, 60999);
}
END_TEST

static void add(TCase *tcase)
{
        tcase_add_checked_fixture(tcase, NULL, tear_down);
        tcase_add_test(tcase, gives_way_to_a_service_and_takes_less);
        tcase_add_test(tcase, only_what_was_taken_is_given_back);
        tcase_add_test(tcase, an_unknown_listener_is_no_service);
        tcase_add_loop_test(tcase, an_unknown_obstacle_is_no_effect, 0, 2);
        tcase_add_test(tcase, a_range_that_is_wide_is_in_effect_whoever_listens);
        tcase_add_test(tcase, gives_way_with_all_that_stands_on_it);
        tcase_add_test(tcase, only_who_took_it_gives_way);
        tcase_add_test(tcase, a_give_way_that_fails_is_tried_again);
        tcase_add_test(tcase, observe_mode_gives_way_on_paper);
        tcase_add_test(tcase, adopts_a_widened_range);
}

int main(void)
{
        return run_suite("policy_range", add);
}

/* SPDX-License-Identifier: MIT */
/* Rules that go step by step: when, how far, and when they are over. */

#include "one_host.h"

#define TW SYSCTL_TCP_MAX_TW_BUCKETS
#define FIN SYSCTL_TCP_FIN_TIMEOUT
#define OVERFLOW (METRIC_COUNT + COUNTER_TIME_WAIT_OVERFLOW)
#define TABLE_RULE(more) \
        "[rule table]\nwhen = netstat.TcpExt.TCPTimeWaitOverflow > 0/s\n" \
        "raise = net.ipv4.tcp_max_tw_buckets x2 max 1048576\n" more
#define UNTIL "until = time_wait.table < 50% for 60s\n"
#define FIN_RULE(more) \
        "[rule fin]\nwhen = tcp.fin_wait2_orphaned >= 100\nlower = net.ipv4.tcp_fin_timeout /2 min 10\n" more

static void begin(const char *policy)
{
        h = host_new(policy);
        host_sysctl(h, TW, 131072);
        host_sysctl(h, SYSCTL_TCP_MAX_ORPHANS, 8192);
        host_sysctl(h, SYSCTL_TCP_KEEPALIVE_INTVL, 75);
        host_sysctl(h, SYSCTL_TCP_KEEPALIVE_PROBES, 9);
        host_reading(h, METRIC_TIME_WAIT_NEEDED, 0); /* so that a larger table takes no port */
}

/* So many TIME_WAIT sockets in a table of whatever size it has now. */
static void fill_table(double sockets)
{
        host_reading(h, METRIC_TIME_WAIT_TABLE, 100 * sockets / (double)host_sysctl_value(h, TW));
}

static void begin_overflow(const char *policy)
{
        begin(policy);
        host_reading(h, OVERFLOW, 5);
        fill_table(131072);
        host_pass(h, 1);
        ck_assert_uint_eq(h->logged, 1);
        ck_assert_int_eq(host_sysctl_value(h, TW), 262144);
}

static void begin_orphaned(const char *policy)
{
        begin(policy);
        host_reading(h, METRIC_TCP_FIN_WAIT2_ORPHANED, 100);
        host_pass(h, 1);
        ck_assert_uint_eq(h->logged, 1);
        ck_assert_int_eq(host_sysctl_value(h, FIN), 30);
}

static void expect_step(unsigned i, uint64_t at, int64_t before, int64_t value)
{
        const struct entry *e = &h->log[i];
        const struct change *c = &e->decision.change[0];

        ck_assert_uint_lt(i, h->logged);
        ck_assert_msg(e->kind == (i == 0 ? DECISION_ENTER : DECISION_STEP) && e->at == at, "entry %u: kind %d at %llu",
                      i, e->kind, (unsigned long long)e->at);
        ck_assert_msg(c->before.v[0] == before && c->value.v[0] == value, "entry %u: %lld -> %lld", i,
                      (long long)c->before.v[0], (long long)c->value.v[0]);
        ck_assert_int_eq(c->original.v[0], h->log[0].decision.change[0].before.v[0]);
}

/* ---- when and how far ---- */

START_TEST(a_step_at_every_and_no_further_than_the_limit)
{
        begin_overflow(TABLE_RULE(UNTIL "every = 20s\n"));
        host_pass(h, 200);
        ck_assert_uint_eq(h->logged, 3);
        expect_step(0, 1, 131072, 262144);
        expect_step(1, 21, 262144, 524288);
        expect_step(2, 41, 524288, 1048576);
}
END_TEST

START_TEST(ten_seconds_are_the_default)
{
        begin_orphaned(FIN_RULE(""));
        host_pass(h, 9);
        ck_assert_uint_eq(h->logged, 1);
        host_pass(h, 100);
        ck_assert_uint_eq(h->logged, 3);
        expect_step(1, 11, 30, 15);
        expect_step(2, 21, 15, 10);
}
END_TEST

START_TEST(no_faster_than_the_limits_allow)
{
        begin_overflow("[limits]\nmin_interval = 15s\n" TABLE_RULE("every = 1s\n"));
        host_pass(h, 20);
        ck_assert_uint_eq(h->logged, 2);
        expect_step(1, 16, 262144, 524288);
}
END_TEST

START_TEST(narrowed_bounds_end_it_sooner)
{
        begin_overflow("[limits]\nnet.ipv4.tcp_max_tw_buckets = max 300000\n" TABLE_RULE(""));
        host_pass(h, 100);
        ck_assert_uint_eq(h->logged, 2);
        expect_step(1, 11, 262144, 300000);
}
END_TEST

START_TEST(no_step_from_a_value_that_cannot_be_read)
{
        begin(TABLE_RULE("raise = net.ipv4.tcp_max_orphans x2 max 8192\n" UNTIL));
        host_reading(h, OVERFLOW, 5);
        fill_table(131072);
        host_pass(h, 1);
        ck_assert_uint_eq(h->log[0].decision.n, 1); /* the other table is as large as it may be */
        h->snapshot.sysctl[SYSCTL_TCP_MAX_ORPHANS] = (struct live_sysctl){.state = READING_INVALID};
        host_pass(h, 20);
        ck_assert_uint_ge(h->logged, 2);
        for (unsigned i = 0; i < h->logged; i++)
                for (unsigned k = 0; k < h->log[i].decision.n; k++)
                        ck_assert_uint_eq(h->log[i].decision.change[k].before.n, 1);
}
END_TEST

START_TEST(no_step_without_the_cause)
{
        begin_overflow(TABLE_RULE(UNTIL));
        host_reading(h, OVERFLOW, 0); /* large enough for now, not yet given back */
        host_pass(h, 60);
        ck_assert_uint_eq(h->logged, 1);
        host_reading(h, OVERFLOW, 1);
        host_pass(h, 1);
        ck_assert_uint_eq(h->logged, 2);
        expect_step(1, 62, 262144, 524288);
        h->snapshot.reading[OVERFLOW].state = READING_INVALID; /* not known is no cause */
        host_pass(h, 60);
        ck_assert_uint_eq(h->logged, 2);
}
END_TEST

START_TEST(a_cause_for_some_time_has_to_hold_that_long)
{
        begin(FIN_RULE("every = 5s\nwhen = tcp.closing >= 1 for 8s\n"));
        host_reading(h, METRIC_TCP_FIN_WAIT2_ORPHANED, 100);
        host_reading(h, METRIC_TCP_CLOSING, 1);
        host_pass(h, 9);
        ck_assert_uint_eq(h->logged, 1);
        host_reading(h, METRIC_TCP_CLOSING, 0);
        host_pass(h, 1);
        host_reading(h, METRIC_TCP_CLOSING, 1);
        host_pass(h, 8);
        ck_assert_uint_eq(h->logged, 1);
        host_pass(h, 1);
        ck_assert_uint_eq(h->logged, 2);
}
END_TEST

START_TEST(what_is_at_its_limit_does_not_enter)
{
        begin(TABLE_RULE(""));
        host_sysctl(h, TW, 1048576);
        host_reading(h, OVERFLOW, 5);
        host_pass(h, 20);
        ck_assert_uint_eq(h->logged, 0);
}
END_TEST

/* An action at its limit stays; the other goes on alone, and what the rule has set beside them is untouched. */
START_TEST(two_actions_go_their_own_way)
{
        begin_orphaned(FIN_RULE("lower = net.ipv4.tcp_keepalive_intvl /2 min 30\nset = net.ipv4.tcp_tw_reuse = 1\n"));
        ck_assert_uint_eq(h->log[0].n, 3);
        host_pass(h, 10);
        ck_assert_uint_eq(h->log[1].n, 2);
        host_pass(h, 10);
        ck_assert_uint_eq(h->log[2].n, 1);
        ck_assert_int_eq(h->log[2].decision.change[0].sysctl, FIN);
        host_pass(h, 100);
        ck_assert_uint_eq(h->logged, 3);
        ck_assert(host_sysctl_value(h, FIN) == 10 && host_sysctl_value(h, SYSCTL_TCP_KEEPALIVE_INTVL) == 30);
        host_reading(h, METRIC_TCP_FIN_WAIT2_ORPHANED, 0);
        host_pass(h, 61);
        ck_assert_uint_eq(h->log[3].n, 3);
        ck_assert(host_sysctl_value(h, FIN) == 60 && host_sysctl_value(h, SYSCTL_TCP_KEEPALIVE_INTVL) == 75 &&
                  host_sysctl_value(h, SYSCTL_TCP_TW_REUSE) == 2);
}
END_TEST

/* ---- outcomes of a step ---- */

START_TEST(a_limit_is_tried_again_at_once_and_logged_once)
{
        begin_overflow(TABLE_RULE(""));
        host_pass(h, 9);
        h->write_outcome = OUTCOME_LIMITED;
        host_pass(h, 3);
        ck_assert_uint_eq(h->logged, 4);
        ck_assert(h->log[1].logged && !h->log[2].logged && !h->log[3].logged);
        h->write_outcome = OUTCOME_APPLIED;
        host_pass(h, 1);
        ck_assert_int_eq(host_sysctl_value(h, TW), 524288);
        ck_assert(h->log[4].logged);
}
END_TEST

START_TEST(a_step_that_fails_waits_its_time)
{
        static const enum outcome outcomes[] = {OUTCOME_FAILED, OUTCOME_REFUSED};

        begin_overflow(TABLE_RULE(UNTIL));
        h->write_outcome = outcomes[_i];
        host_pass(h, 29);
        ck_assert_uint_eq(h->logged, 3);
        ck_assert(h->log[1].logged && !h->log[2].logged);
        ck_assert_uint_eq(h->log[2].at - h->log[1].at, 10);
        h->write_outcome = OUTCOME_APPLIED;
        host_pass(h, 1);
        expect_step(3, 31, 262144, 524288); /* on from what was held */
        fill_table(0);
        host_pass(h, 61);
        ck_assert_int_eq(host_sysctl_value(h, TW), 131072);
}
END_TEST

START_TEST(another_program_between_two_steps_is_left_alone)
{
        begin_overflow(TABLE_RULE(UNTIL));
        host_pass(h, 3);
        host_sysctl(h, TW, 200000);
        host_pass(h, 100);
        check_log(h, 2, (const enum decision_kind[]){DECISION_ENTER, DECISION_OVERRIDDEN}, (const unsigned[]){0, 0});
        ck_assert(!policy_is_active(h->policy, 0) && !policy_holds(h->policy, TW));
        ck_assert_int_eq(host_sysctl_value(h, TW), 200000);
}
END_TEST

/* Seen by the writer only: after the snapshot, before the write. */
START_TEST(another_program_at_a_step_is_left_alone)
{
        begin_orphaned(FIN_RULE("lower = net.ipv4.tcp_keepalive_intvl /2 min 10\n"));
        host_pass(h, 9);
        h->write_outcome = OUTCOME_FOREIGN;
        host_pass(h, 1);
        ck_assert_uint_eq(h->logged, 2);
        ck_assert(!policy_holds(h->policy, FIN) && !policy_holds(h->policy, SYSCTL_TCP_KEEPALIVE_INTVL));
        ck_assert(!policy_is_active(h->policy, 0));
        h->write_outcome = OUTCOME_APPLIED;
        host_pass(h, 100);
        ck_assert_uint_eq(h->logged, 2);
}
END_TEST

/* ---- until is measured on the scale of what was there before ---- */

static const struct scale {
        const char *rule;
        unsigned metric;
        enum sysctl_id sysctl;
        double enters, still, over; /* the readings under what was written */
} scales[] = {
        {"when = netstat.TcpExt.TCPTimeWaitOverflow > 0/s\nuntil = time_wait.table < 50%\n"
         "raise = net.ipv4.tcp_max_tw_buckets x4 max 1048576\n",
         METRIC_TIME_WAIT_TABLE, TW, 100, 12.6, 12.4},
        {"when = orphans.table >= 80%\nuntil = orphans.table < 50%\nraise = net.ipv4.tcp_max_orphans x4 max 1048576\n",
         METRIC_ORPHANS_TABLE, SYSCTL_TCP_MAX_ORPHANS, 80, 12.6, 12.4},
        {"when = orphans.table >= 80%\nraise = net.ipv4.tcp_max_orphans x4 max 1048576\n", METRIC_ORPHANS_TABLE,
         SYSCTL_TCP_MAX_ORPHANS, 80, 20.1, 19.9}, /* without until: as long as any of when would hold */
        {"when = tcp.fin_wait2_orphaned >= 1000\nuntil = tcp.fin_wait2_orphaned < 600\n"
         "set = net.ipv4.tcp_fin_timeout = 20\n",
         METRIC_TCP_FIN_WAIT2_ORPHANED, FIN, 1000, 201, 199},
        {"when = tcp.fin_wait2_orphaned >= 1000\nuntil = tcp.fin_wait2_orphaned < 600\n"
         "lower = net.ipv4.tcp_fin_timeout /3 min 10\n",
         METRIC_TCP_FIN_WAIT2_ORPHANED, FIN, 1000, 201, 199},
        {"when = tcp.keepalive_unanswered >= 1000\nuntil = tcp.keepalive_unanswered < 500\n"
         "set = net.ipv4.tcp_keepalive_intvl = 15\n",
         METRIC_TCP_KEEPALIVE_UNANSWERED, SYSCTL_TCP_KEEPALIVE_INTVL, 1000, 101, 99},
        {"when = tcp.keepalive_unanswered >= 1000\nuntil = tcp.keepalive_unanswered < 450\n"
         "set = net.ipv4.tcp_keepalive_intvl = 15\nset = net.ipv4.tcp_keepalive_probes = 5\n",
         METRIC_TCP_KEEPALIVE_UNANSWERED, SYSCTL_TCP_KEEPALIVE_INTVL, 1000, 51, 49},
        {"when = tcp.fin_wait2 >= 1000\nuntil = tcp.fin_wait2 < 600\nset = net.ipv4.tcp_fin_timeout = 20\n",
         METRIC_TCP_FIN_WAIT2, FIN, 1000, 601, 599}, /* not relieved by it */
};

START_TEST(until_is_on_the_original_scale)
{
        const struct scale *row = &scales[_i];
        char text[512];
        int64_t original;

        snprintf(text, sizeof(text), "[rule r]\nevery = 1h\n%s", row->rule);
        begin(text);
        original = host_sysctl_value(h, row->sysctl);
        host_reading(h, OVERFLOW, 5);
        host_reading(h, row->metric, row->enters);
        host_pass(h, 1);
        ck_assert_uint_eq(h->logged, 1);
        host_reading(h, OVERFLOW, 0);
        host_reading(h, row->metric, row->still);
        host_pass(h, 600);
        ck_assert_uint_eq(h->logged, 1);
        host_reading(h, row->metric, row->over);
        host_pass(h, 61);
        ck_assert_uint_eq(h->logged, 2);
        ck_assert_int_eq(h->log[1].kind, DECISION_RELEASE);
        ck_assert_int_eq(host_sysctl_value(h, row->sysctl), original);
}
END_TEST

/* The evidence of the release is the same number as the rule was released on. */
START_TEST(the_evidence_of_a_release_is_on_the_original_scale)
{
        begin_overflow(TABLE_RULE(UNTIL));
        host_reading(h, OVERFLOW, 0);
        fill_table(13107.2); /* 5 % of what is there, 10 % of what was */
        host_pass(h, 61);
        ck_assert_uint_eq(h->logged, 2);
        ck_assert_msg(fabs(h->log[1].decision.evidence.value - 10) < 0.001, "%g", h->log[1].decision.evidence.value);
}
END_TEST

START_TEST(a_table_of_nothing_has_a_scale_too)
{
        begin("[rule r]\nwhen = netstat.TcpExt.TCPTimeWaitOverflow > 0/s\nuntil = time_wait.table < 50%\n"
              "raise = net.ipv4.tcp_max_tw_buckets x2 max 65536\n");
        host_sysctl(h, TW, 0);
        host_reading(h, OVERFLOW, 5);
        host_reading(h, METRIC_TIME_WAIT_TABLE, 100);
        host_pass(h, 10);
        ck_assert_uint_eq(h->logged, 1);
        host_reading(h, METRIC_TIME_WAIT_TABLE, 1); /* far more than nothing */
        host_pass(h, 10);
        ck_assert_uint_eq(h->logged, 1);
        host_reading(h, OVERFLOW, 0);
        host_reading(h, METRIC_TIME_WAIT_TABLE, 0);
        host_pass(h, 1);
        ck_assert_uint_eq(h->logged, 2);
}
END_TEST

/* In observe mode nothing was written, so the scale is the one that is there. */
START_TEST(observe_mode_steps_on_paper)
{
        begin("[daemon]\nmode = observe\n" TABLE_RULE(UNTIL));
        h->write_outcome = h->restore_outcome = OUTCOME_WOULD;
        host_reading(h, OVERFLOW, 5);
        fill_table(131072);
        host_pass(h, 60);
        ck_assert_uint_eq(h->logged, 3);
        expect_step(0, 1, 131072, 262144);
        expect_step(1, 11, 262144, 524288);
        expect_step(2, 21, 524288, 1048576);
        host_reading(h, OVERFLOW, 0);
        fill_table(65600);
        host_pass(h, 100);
        ck_assert_uint_eq(h->logged, 3);
        fill_table(65500);
        host_pass(h, 61);
        ck_assert_uint_eq(h->logged, 4);
        ck_assert_int_eq(h->log[3].kind, DECISION_RELEASE);
        ck_assert_int_eq(host_sysctl_value(h, TW), 131072);
}
END_TEST

/* ---- what a step should do, and must not do ---- */

START_TEST(expect_begins_anew_at_each_step)
{
        begin_overflow(TABLE_RULE("every = 20s\nexpect = tcp.closing > 0 within 15s\n"));
        host_reading(h, METRIC_TCP_CLOSING, 1);
        host_pass(h, 5);
        host_reading(h, METRIC_TCP_CLOSING, 0); /* the first step had its effect */
        host_pass(h, 15 + 14);
        ck_assert_uint_eq(h->logged, 2);
        expect_step(1, 21, 262144, 524288);
        host_pass(h, 1);
        ck_assert_uint_eq(h->logged, 3);
        ck_assert_int_eq(h->log[2].kind, DECISION_UNEXPECTED);
        ck_assert_int_eq(host_sysctl_value(h, TW), 131072); /* all of it, not one step */
}
END_TEST

START_TEST(harm_of_a_later_step_is_seen)
{
        begin(TABLE_RULE("every = 90s\nabort = opens.syn_retransmits > 3x before within 30s\n"));
        host_reading(h, METRIC_OPENS_SYN_RETRANSMITS, 2);
        host_reading(h, OVERFLOW, 5);
        fill_table(131072);
        host_pass(h, 60);
        ck_assert_uint_eq(h->logged, 1);
        host_pass(h, 31); /* the second step, long after the minute before the first */
        ck_assert_uint_eq(h->logged, 2);
        host_reading(h, METRIC_OPENS_SYN_RETRANSMITS, 6.1);
        host_pass(h, 5);
        ck_assert_uint_eq(h->logged, 3);
        ck_assert_int_eq(h->log[2].kind, DECISION_ABORT);
        ck_assert_int_eq(host_sysctl_value(h, TW), 131072);
}
END_TEST

/* ---- take-over and reload ---- */

START_TEST(adopts_a_raised_table)
{
        struct sysctl_value original = SYSCTL_VALUE(131072), written = SYSCTL_VALUE(524288);
        struct sysctl_value too_much = SYSCTL_VALUE(2097152);

        begin(TABLE_RULE(UNTIL));
        ck_assert(!policy_adopt(h->policy, "table", TW, &too_much, &original));
        ck_assert(!policy_adopt(h->policy, "table", TW, &original, &written));
        ck_assert(policy_adopt(h->policy, "table", TW, &written, &original));
        host_sysctl(h, TW, 524288);
        host_reading(h, OVERFLOW, 5);
        fill_table(524288);
        host_pass(h, 10);
        ck_assert_uint_eq(h->logged, 0); /* when the last step was is not known: not at once */
        host_pass(h, 1);
        ck_assert_uint_eq(h->logged, 1);
        ck_assert_int_eq(h->log[0].kind, DECISION_STEP);
        ck_assert_int_eq(host_sysctl_value(h, TW), 1048576);
        ck_assert_int_eq(h->log[0].decision.change[0].original.v[0], 131072);
        fill_table(0);
        host_pass(h, 61);
        ck_assert_int_eq(host_sysctl_value(h, TW), 131072);
}
END_TEST

START_TEST(a_reload_goes_on_from_the_step)
{
        begin_overflow(TABLE_RULE(UNTIL));
        host_pass(h, 5);
        reload(FIN_RULE("") TABLE_RULE(UNTIL));
        host_pass(h, 4);
        ck_assert_uint_eq(h->logged, 1);
        host_pass(h, 1);
        expect_step(1, 11, 262144, 524288);
        fill_table(0);
        host_pass(h, 61);
        ck_assert_int_eq(host_sysctl_value(h, TW), 131072);
}
END_TEST

/* Another factor, limit or kind is another rule. */
START_TEST(a_reload_of_the_action_is_another_rule)
{
        static const char *const actions[] = {
                "raise = net.ipv4.tcp_max_tw_buckets x3 max 1048576\n",
                "raise = net.ipv4.tcp_max_tw_buckets x2 max 1048575\n",
                "set = net.ipv4.tcp_max_tw_buckets = 1048576\n",
        };
        char text[256];

        snprintf(text, sizeof(text), "[rule table]\nwhen = netstat.TcpExt.TCPTimeWaitOverflow > 0/s\n%s%s",
                 actions[_i], UNTIL);
        begin_overflow(TABLE_RULE(UNTIL));
        reload(text);
        ck_assert(!policy_holds(h->policy, TW));
}
END_TEST

static void add(TCase *tcase)
{
        tcase_add_checked_fixture(tcase, NULL, tear_down);
        tcase_add_test(tcase, a_step_at_every_and_no_further_than_the_limit);
        tcase_add_test(tcase, ten_seconds_are_the_default);
        tcase_add_test(tcase, no_faster_than_the_limits_allow);
        tcase_add_test(tcase, narrowed_bounds_end_it_sooner);
        tcase_add_test(tcase, no_step_from_a_value_that_cannot_be_read);
        tcase_add_test(tcase, no_step_without_the_cause);
        tcase_add_test(tcase, a_cause_for_some_time_has_to_hold_that_long);
        tcase_add_test(tcase, what_is_at_its_limit_does_not_enter);
        tcase_add_test(tcase, two_actions_go_their_own_way);
        tcase_add_test(tcase, a_limit_is_tried_again_at_once_and_logged_once);
        tcase_add_loop_test(tcase, a_step_that_fails_waits_its_time, 0, 2);
        tcase_add_test(tcase, another_program_between_two_steps_is_left_alone);
        tcase_add_test(tcase, another_program_at_a_step_is_left_alone);
        tcase_add_loop_test(tcase, until_is_on_the_original_scale, 0, ELEMENTSOF(scales));
        tcase_add_test(tcase, the_evidence_of_a_release_is_on_the_original_scale);
        tcase_add_test(tcase, a_table_of_nothing_has_a_scale_too);
        tcase_add_test(tcase, observe_mode_steps_on_paper);
        tcase_add_test(tcase, expect_begins_anew_at_each_step);
        tcase_add_test(tcase, harm_of_a_later_step_is_seen);
        tcase_add_test(tcase, adopts_a_raised_table);
        tcase_add_test(tcase, a_reload_goes_on_from_the_step);
        tcase_add_loop_test(tcase, a_reload_of_the_action_is_another_rule, 0, 3);
}

int main(void)
{
        return run_suite("policy_step", add);
}

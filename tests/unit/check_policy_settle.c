/* SPDX-License-Identifier: MIT */
/* What becomes of a decision: effect and harm, several rules at one sysctl, outcomes, take-over and reload. */

#include "lib/policy/state.h"
#include "one_host.h"

#define FIN_RULE "[rule fin]\nwhen = tcp.fin_wait2 >= 100\nset = net.ipv4.tcp_fin_timeout = 30\n"

/* ---- expect and abort ---- */

static void use_expecting(void)
{
        h = host_new(FIN_RULE "expect = netstat.TcpExt.TWRecycled > 0/s within 15s\nretry = 100s\n");
        host_reading(h, METRIC_TCP_FIN_WAIT2, 100);
        host_reading(h, METRIC_COUNT + COUNTER_TW_RECYCLED, 0);
}

START_TEST(an_effect_that_does_not_come_is_put_back)
{
        use_expecting();
        host_pass(h, 15);
        ck_assert_uint_eq(h->logged, 1);
        host_pass(h, 1);
        check_log(h, 2, (const enum decision_kind[]){DECISION_ENTER, DECISION_UNEXPECTED}, (const unsigned[]){0, 0});
        ck_assert_int_eq(host_sysctl_value(h, SYSCTL_TCP_FIN_TIMEOUT), 60);
        host_pass(h, 99);
        ck_assert_uint_eq(h->logged, 2);
        host_pass(h, 1);
        ck_assert_uint_eq(h->logged, 3); /* tried again */
}
END_TEST

START_TEST(an_effect_that_comes_is_enough)
{
        use_expecting();
        host_pass(h, 10);
        host_reading(h, METRIC_COUNT + COUNTER_TW_RECYCLED, 1);
        host_pass(h, 1);
        host_reading(h, METRIC_COUNT + COUNTER_TW_RECYCLED, 0);
        host_pass(h, 100);
        CHECK_LOG(h, 1, DECISION_ENTER, 0);
}
END_TEST

START_TEST(expect_waits_while_the_pressure_is_off_or_unknown)
{
        use_expecting();
        host_pass(h, 10);
        host_reading(h, METRIC_TCP_FIN_WAIT2, 50);
        host_pass(h, 30);
        host_reading(h, METRIC_TCP_FIN_WAIT2, 100);
        h->snapshot.reading[METRIC_COUNT + COUNTER_TW_RECYCLED].state = READING_INVALID;
        host_pass(h, 30);
        ck_assert_uint_eq(h->logged, 1);
        host_reading(h, METRIC_COUNT + COUNTER_TW_RECYCLED, 0);
        host_pass(h, 5);
        ck_assert_uint_eq(h->logged, 1);
        host_pass(h, 1);
        ck_assert_uint_eq(h->logged, 2);
}
END_TEST

/* A gap as long as its time stops the clock, a longer one starts it anew. */
START_TEST(expect_starts_anew_after_a_gap_longer_than_its_time)
{
        static const struct {
                unsigned gap, left;
        } of[] = {{15, 3}, {16, 15}};

        use_expecting();
        host_pass(h, 10);
        h->snapshot.now += of[_i].gap * SEC;
        host_decide(h);
        host_pass(h, of[_i].left - 1);
        ck_assert_uint_eq(h->logged, 1);
        host_pass(h, 1);
        check_log(h, 2, (const enum decision_kind[]){DECISION_ENTER, DECISION_UNEXPECTED}, (const unsigned[]){0, 0});
}
END_TEST

/* A destination that failed is tried again as soon as retry has passed. */
START_TEST(a_destination_that_failed_waits_for_retry_and_no_longer)
{
        h = host_new("[rule reuse]\nwhen = ports.used >= 100\nset = net.ipv4.tcp_tw_reuse = 1\n"
                     "expect = ports.reused >= 10% within 5s\nretry = 100s\n");
        h->no_timestamps = true;
        host_run(h, 150, 200, PEER);
        ck_assert_uint_ge(h->logged, 3);
        ck_assert(h->log[1].kind == DECISION_UNEXPECTED && h->log[2].kind == DECISION_ENTER);
        ck_assert_uint_eq(h->log[2].at - h->log[1].at, 100);
}
END_TEST

/* The dump shows such a group as relieved: what is old enough counts as reusable. ports.reused shows that none is. */
START_TEST(a_peer_without_timestamps_is_found_out)
{
        h = host_new(shipped_policy());
        h->no_timestamps = true;
        host_run(h, 50, 400, PEER);
        check_log(h, 2, (const enum decision_kind[]){DECISION_ENTER, DECISION_UNEXPECTED}, (const unsigned[]){0, 0});
}
END_TEST

static unsigned failed_destinations(void)
{
        unsigned n = 0;

        for (unsigned k = 0; k < FAILED_MAX; k++)
                n += h->policy->state[0].failed[k].until > h->snapshot.now;
        return n;
}

/* Giving back fails, so the effect is missed again and again: the destination must take only one place. */
START_TEST(a_destination_that_failed_is_noted_once)
{
        h = host_new(shipped_policy());
        h->no_timestamps = true;
        h->restore_outcome = OUTCOME_FAILED;
        host_run(h, 100, 400, PEER);
        ck_assert_uint_eq(failed_destinations(), 1);
}
END_TEST

/* It is given back when the load is long over: the decision names the destination that waits for retry. */
START_TEST(a_late_give_back_names_the_destination_that_failed)
{
        const struct evidence *e;

        h = host_new(shipped_policy());
        h->no_timestamps = true;
        h->restore_outcome = OUTCOME_FAILED;
        host_run(h, 100, 400, PEER);
        host_run(h, 130, 0, PEER);
        h->restore_outcome = OUTCOME_RESTORED;
        host_run(h, 60, 0, PEER);
        e = &h->log[h->logged - 1].decision.evidence;
        ck_assert_int_eq(h->log[h->logged - 1].kind, DECISION_UNEXPECTED);
        ck_assert_str_eq(e->destination, h->log[0].decision.evidence.destination);
        ck_assert_uint_eq(e->destination_id, 0);
        ck_assert(e->metric == METRIC_PORTS_REUSED && e->value <= 0);
}
END_TEST

START_TEST(each_destination_that_failed_is_noted_and_a_reload_forgets_none)
{
        uint64_t last = 0;

        h = host_new(shipped_policy());
        h->no_timestamps = true;
        for (unsigned i = 0; i < 2; i++) {
                host_run(h, 70, 400, PEER + i);
                host_run(h, 60, 0, PEER);
        }
        ck_assert_uint_eq(failed_destinations(), 2);
        ck_assert_uint_eq(h->logged, 4);
        for (unsigned k = 0; k < FAILED_MAX; k++)
                last = MAX(last, h->policy->state[0].failed[k].until);
        ck_assert_uint_eq(policy_evaluate(h->policy, &h->snapshot)->rule[0].wait_ns, last - h->snapshot.now);
        reload(shipped_policy());
        for (unsigned i = 0; i < 2; i++)
                host_run(h, 70, 400, PEER + i);
        for (unsigned i = 4; i < h->logged; i++) /* what else is of use is advised */
                ck_assert_uint_ne(h->log[i].rule, 0);
}
END_TEST

START_TEST(a_load_that_ends_at_once_is_no_failed_effect)
{
        h = host_new(shipped_policy());
        host_run(h, 1, 13000, PEER);
        host_run(h, 50, 0, PEER);
        for (unsigned i = 0; i < h->logged; i++)
                ck_assert_int_eq(h->log[i].kind, DECISION_ENTER);
}
END_TEST

/* For how many seconds the sockets toward the destination of a step are looked at one by one. */
START_TEST(a_step_is_watched_at_its_destination)
{
        static const struct {
                const char *line;
                unsigned seconds; /* of ten */
        } of[] = {
                {"", 0},
                {"expect = netstat.TcpExt.TWRecycled > 0/s within 20s\n", 10},
                {"abort = ports.syn_waiting > 3x before within 6s\n", 6},
                {"abort = opens.resets > 3x before within 4s\nabort = ports.syn_waiting > 3x before within 6s\n", 6},
        };
        struct watch_list watched;
        unsigned seconds = 0;
        char text[512];

        snprintf(text, sizeof(text), "%s[rule one]\nwhen = ports.used >= 100\nset = net.ipv4.tcp_tw_reuse = 1\n%s",
                 _i == 1 ? "[rule off]\nenabled = no\nwhen = ports.used >= 100\nset = net.ipv4.tcp_fin_timeout = 30\n"
                         : "",
                 of[_i].line);
        h = host_new(text);
        h->snapshot.reading[METRIC_OPENS_RESETS] = reading_valid(0);
        host_run(h, 3, 0, PEER);
        policy_watched(h->policy, &watched);
        ck_assert_uint_eq(watched.n, 0);
        hold_open(200, PEER);
        for (unsigned i = 0; i < 10; i++) {
                host_run(h, 1, 0, PEER);
                policy_watched(h->policy, &watched);
                ck_assert_uint_le(watched.n, 1);
                ck_assert(watched.n == 0 || watched.id[0] == ports_busiest(h->ports)->id);
                seconds += watched.n;
        }
        ck_assert_uint_eq(seconds, of[_i].seconds);
}
END_TEST

START_TEST(a_step_for_no_destination_is_not_watched)
{
        struct watch_list watched;

        use_expecting();
        host_pass(h, 2);
        ck_assert(policy_is_active(h->policy, 0));
        policy_watched(h->policy, &watched);
        ck_assert_uint_eq(watched.n, 0);
}
END_TEST

static void use_aborting(double before)
{
        h = host_new(FIN_RULE "abort = opens.syn_retransmits > 3x before within 60s\n");
        host_reading(h, METRIC_OPENS_SYN_RETRANSMITS, before);
        host_pass(h, 60);
        host_reading(h, METRIC_TCP_FIN_WAIT2, 100);
        host_pass(h, 1);
        ck_assert_uint_eq(h->logged, 1);
}

START_TEST(harm_is_put_back)
{
        use_aborting(2);
        host_reading(h, METRIC_OPENS_SYN_RETRANSMITS, 6.1);
        host_pass(h, 5);
        check_log(h, 2, (const enum decision_kind[]){DECISION_ENTER, DECISION_ABORT}, (const unsigned[]){0, 0});
        ck_assert_int_eq(host_sysctl_value(h, SYSCTL_TCP_FIN_TIMEOUT), 60);
}
END_TEST

START_TEST(less_than_the_multiple_is_no_harm)
{
        use_aborting(2);
        host_reading(h, METRIC_OPENS_SYN_RETRANSMITS, 5.9);
        host_pass(h, 60);
        ck_assert_uint_eq(h->logged, 1);
}
END_TEST

START_TEST(noise_is_no_harm)
{
        use_aborting(0);
        host_reading(h, METRIC_OPENS_SYN_RETRANSMITS, 2.9); /* under three times the floor of 1 % */
        host_pass(h, 60);
        ck_assert_uint_eq(h->logged, 1);
        host_reading(h, METRIC_OPENS_SYN_RETRANSMITS, 90);
        host_pass(h, 60); /* the window has passed: not of our making */
        ck_assert_uint_eq(h->logged, 1);
}
END_TEST

/* A share of a hundred cases at least: of fewer it says nothing. */
START_TEST(a_share_of_few_is_no_harm)
{
        static const struct {
                double weight;
                unsigned seconds; /* until it is put back; 0: it is not */
        } of[] = {{1, 0}, {19, 6}, {20, 5}, {1000, 5}};

        use_aborting(2);
        host_reading(h, METRIC_OPENS_SYN_RETRANSMITS, 90);
        h->snapshot.reading[METRIC_OPENS_SYN_RETRANSMITS].weight = of[_i].weight;
        host_pass(h, of[_i].seconds > 0 ? of[_i].seconds - 1 : 60);
        ck_assert_uint_eq(h->logged, 1);
        host_pass(h, 1);
        ck_assert_uint_eq(h->logged, 1 + (of[_i].seconds > 0));
}
END_TEST

/* What failed toward one destination may help another. But if it goes because of the rule that it depends on, that
 * says nothing about its own effect on that destination, and it waits. */
START_TEST(what_fails_toward_a_destination_waits_there_alone)
{
        static const struct {
                const char *line;
                unsigned because_of;
                bool waits;
        } of[] = {
                {"abort = ports.syn_waiting > 3x before within 60s\n", METRIC_PORTS_SYN_WAITING, false},
                {"abort = opens.resets > 3x before within 60s\n", METRIC_PORTS_SYN_WAITING, true},
                {"abort = opens.resets > 3x before within 60s\n", METRIC_OPENS_RESETS, true},
        };
        struct decision d;
        char text[256];

        snprintf(text, sizeof(text), FIN_RULE "%s", of[_i].line);
        h = host_new(text);
        host_reading(h, METRIC_TCP_FIN_WAIT2, 100);
        host_pass(h, 1);
        ck_assert(policy_is_active(h->policy, 0));
        d = h->log[0].decision;
        d.kind = DECISION_ABORT;
        d.evidence.metric = of[_i].because_of;
        d.change[0].outcome = OUTCOME_RESTORED;
        ck_assert_int_eq(policy_commit(h->policy, &d), PROGRESS_DONE);
        ck_assert(!policy_is_active(h->policy, 0));
        ck_assert_int_eq(h->policy->state[0].not_before > h->snapshot.now, of[_i].waits);
}
END_TEST

static void pass_intervals(unsigned n, uint64_t interval_ns)
{
        for (unsigned i = 0; i < n; i++) {
                h->snapshot.now += interval_ns;
                host_decide(h);
        }
}

/* However far apart the ticks are, and however short the time is in which harm is looked for. */
START_TEST(harm_is_seen_at_every_interval)
{
        static const struct {
                uint64_t interval_ms;
                const char *within;
                unsigned before, after; /* how many ticks it takes to know the minute before, and the harm */
        } rows[] = {
                {100, "60s", 51, 50}, {1000, "60s", 6, 5},  {3000, "60s", 3, 2},  {13000, "60s", 2, 1},
                {20000, "60s", 2, 1}, {60000, "60s", 2, 1}, {60000, "10s", 2, 1}, {1000, "2s", 6, 2},
        };
        uint64_t interval = rows[_i].interval_ms * NSEC_PER_MSEC;
        char text[256];

        snprintf(text, sizeof(text),
                 "[daemon]\ninterval = %llums\n" FIN_RULE "abort = opens.syn_retransmits > 3x before within %s\n",
                 (unsigned long long)rows[_i].interval_ms, rows[_i].within);
        h = host_new(text);
        host_reading(h, METRIC_OPENS_SYN_RETRANSMITS, 2);
        pass_intervals(rows[_i].before - 1, interval);
        host_reading(h, METRIC_TCP_FIN_WAIT2, 100);
        pass_intervals(1, interval);
        ck_assert_uint_eq(h->logged, 1);
        host_reading(h, METRIC_OPENS_SYN_RETRANSMITS, 6.1);
        pass_intervals(rows[_i].after - 1, interval);
        ck_assert_uint_eq(h->logged, 1);
        pass_intervals(1, interval);
        check_log(h, 2, (const enum decision_kind[]){DECISION_ENTER, DECISION_ABORT}, (const unsigned[]){0, 0});
}
END_TEST

/* The second of two metrics is unknown for most of the minute, or the rule acts right after the start. */
START_TEST(a_step_that_is_not_watched_says_so)
{
        static const struct {
                const char *more;
                unsigned known, unknown; /* s */
                const char *unwatched;
        } rows[] = {
                {"", 6, 0, NULL},
                {"", 5, 0, "opens.syn_retransmits"},
                {"", 1, 0, "opens.syn_retransmits"},
                {"[daemon]\nmode = observe\n", 1, 0, NULL}, /* nothing is changed, so nothing is to be watched */
                {"", 6, 54, NULL},
                {"", 6, 58, "opens.resets"},
        };
        char text[512];

        snprintf(text, sizeof(text),
                 "%s" FIN_RULE "abort = opens.syn_retransmits > 3x before within 60s\n"
                 "abort = opens.resets > 3x before within 60s\n",
                 rows[_i].more);
        h = host_new(text);
        host_reading(h, METRIC_OPENS_SYN_RETRANSMITS, 2);
        host_reading(h, METRIC_OPENS_RESETS, 2);
        host_pass(h, rows[_i].known - (rows[_i].unknown == 0));
        h->snapshot.reading[METRIC_OPENS_RESETS].state = rows[_i].unknown > 0 ? READING_INVALID : READING_VALID;
        host_pass(h, rows[_i].unknown > 0 ? rows[_i].unknown - 1 : 0);
        host_reading(h, METRIC_TCP_FIN_WAIT2, 100);
        host_pass(h, 1);
        ck_assert_uint_eq(h->logged, 1);
        if (rows[_i].unwatched)
                ck_assert_pstr_eq(h->log[0].decision.unwatched, rows[_i].unwatched);
        else
                ck_assert_ptr_null(h->log[0].decision.unwatched);
}
END_TEST

/* ---- the least time that a rule holds ---- */

/* Both `when` and `until` hold all the time: each return within ten minutes doubles the time. */
START_TEST(a_rule_holds_for_min_interval)
{
        static const struct {
                const char *text;
                uint64_t least; /* s */
        } rows[] = {
                {"[rule r]\nwhen = tcp.listen >= 1\nuntil = tcp.closing < 5\nset = net.ipv4.tcp_fin_timeout = 30\n",
                 5},
                {"[rule r]\nwhen = tcp.listen >= 1\nuntil = tcp.closing < 5 for 2s\nadvise = look\n", 5},
                {"[limits]\nmin_interval = 20s\n[rule r]\nwhen = tcp.listen >= 1\nuntil = tcp.closing < 5 for 7s\n"
                 "set = net.ipv4.tcp_fin_timeout = 30\n",
                 20},
                {"[limits]\nmin_interval = 1s\n[rule r]\nwhen = tcp.listen >= 1\nuntil = tcp.closing < 5 for 7s\n"
                 "set = net.ipv4.tcp_fin_timeout = 30\n",
                 7},
        };
        uint64_t least = rows[_i].least, since = 0;

        h = host_new(rows[_i].text);
        host_reading(h, METRIC_TCP_LISTEN, 1);
        host_reading(h, METRIC_TCP_CLOSING, 0);
        host_pass(h, 200);
        ck_assert_uint_ge(h->logged, 6);
        for (unsigned i = 0; i < h->logged; i++) {
                const struct entry *e = &h->log[i];

                ck_assert_int_eq(e->kind, i % 2 == 0 ? DECISION_ENTER : DECISION_RELEASE);
                if (i % 2 == 1) {
                        ck_assert_msg(e->at - since >= least && e->at - since <= least + 1,
                                      "held for %llu s, not %llu", (unsigned long long)(e->at - since),
                                      (unsigned long long)least);
                        least *= 2;
                }
                since = e->at;
        }
}
END_TEST

/* A change that did not help is held as long; one that does harm, or that someone else overwrote, ends at once. */
START_TEST(harm_and_an_override_end_it_before)
{
        static const struct {
                const char *more;
                bool overridden;
                enum decision_kind kind;
                uint64_t at; /* s; it acts at 61 s */
        } rows[] = {
                {"expect = tcp.closing >= 1 within 2s\n", false, DECISION_UNEXPECTED, 91},
                {"abort = opens.resets > 3x before within 3s\n", false, DECISION_ABORT, 64},
                {"", true, DECISION_OVERRIDDEN, 62},
        };
        char text[512];

        snprintf(text, sizeof(text), "[limits]\nmin_interval = 30s\n" FIN_RULE "%s", rows[_i].more);
        h = host_new(text);
        host_reading(h, METRIC_TCP_CLOSING, 0);
        host_reading(h, METRIC_OPENS_RESETS, 1);
        host_pass(h, 60);
        host_reading(h, METRIC_TCP_FIN_WAIT2, 100);
        host_pass(h, 1);
        host_reading(h, METRIC_OPENS_RESETS, 50);
        if (rows[_i].overridden)
                host_sysctl(h, SYSCTL_TCP_FIN_TIMEOUT, 45);
        host_pass(h, 60);
        ck_assert_uint_eq(h->logged, 2);
        EXPECT_DECISIONS(rows[_i].at, rows[_i].kind, 1, 0);
}
END_TEST

/* ---- several rules, one sysctl ---- */

START_TEST(held_while_any_rule_wants_it)
{
        h = host_new(FIN_RULE "[rule other]\nwhen = tcp.closing >= 10\nset = net.ipv4.tcp_fin_timeout = 30\n");
        host_reading(h, METRIC_TCP_FIN_WAIT2, 100);
        host_pass(h, 1);
        host_reading(h, METRIC_TCP_CLOSING, 10);
        host_pass(h, 1);
        ck_assert_uint_eq(h->logged, 2);
        ck_assert_int_eq(h->log[1].outcome, OUTCOME_JOINED);

        host_reading(h, METRIC_TCP_FIN_WAIT2, 0);
        host_pass(h, 70);
        ck_assert_uint_eq(h->logged, 3);
        ck_assert_int_eq(h->log[2].outcome, OUTCOME_JOINED);
        ck_assert_int_eq(host_sysctl_value(h, SYSCTL_TCP_FIN_TIMEOUT), 30);

        host_reading(h, METRIC_TCP_CLOSING, 0);
        host_pass(h, 70);
        ck_assert_uint_eq(h->logged, 4);
        ck_assert_int_eq(host_sysctl_value(h, SYSCTL_TCP_FIN_TIMEOUT), 60);
}
END_TEST

START_TEST(a_value_that_is_there_is_not_written)
{
        h = host_new(FIN_RULE);
        host_sysctl(h, SYSCTL_TCP_FIN_TIMEOUT, 30);
        host_reading(h, METRIC_TCP_FIN_WAIT2, 100);
        host_pass(h, 10);
        ck_assert_uint_eq(h->logged, 0);
}
END_TEST

START_TEST(a_disabled_rule_does_nothing)
{
        h = host_new(FIN_RULE "enabled = no\n");
        host_reading(h, METRIC_TCP_FIN_WAIT2, 100);
        host_pass(h, 10);
        ck_assert_uint_eq(h->logged, 0);
}
END_TEST

/* ---- outcomes ---- */

START_TEST(a_limit_is_tried_at_every_tick_and_logged_once)
{
        h = host_new(FIN_RULE);
        h->write_outcome = OUTCOME_LIMITED;
        host_reading(h, METRIC_TCP_FIN_WAIT2, 100);
        host_pass(h, 5);
        ck_assert_uint_eq(h->logged, 5);
        for (unsigned i = 0; i < 5; i++)
                ck_assert_int_eq(h->log[i].logged, i == 0);
        h->write_outcome = OUTCOME_APPLIED;
        host_pass(h, 1);
        ck_assert(h->log[5].logged && policy_is_active(h->policy, 0));
}
END_TEST

START_TEST(a_write_that_fails_waits_for_retry)
{
        static const enum outcome outcomes[] = {OUTCOME_FAILED, OUTCOME_REFUSED};

        h = host_new(FIN_RULE "retry = 30s\n");
        h->write_outcome = outcomes[_i];
        host_reading(h, METRIC_TCP_FIN_WAIT2, 100);
        host_pass(h, 30);
        ck_assert_uint_eq(h->logged, 1);
        ck_assert(!policy_holds(h->policy, SYSCTL_TCP_FIN_TIMEOUT));
        host_pass(h, 1);
        ck_assert_uint_eq(h->logged, 2);
}
END_TEST

START_TEST(a_failure_that_may_pass_is_tried_again_soon)
{
        static const unsigned at[] = {1, 6, 16, 36, 66, 96}; /* after 5 s, then twice as long, up to `retry` */

        h = host_new(FIN_RULE "retry = 30s\n");
        h->write_outcome = OUTCOME_FAILED;
        h->may_pass = true;
        host_reading(h, METRIC_TCP_FIN_WAIT2, 100);
        host_pass(h, 100);
        ck_assert_uint_eq(h->logged, ELEMENTSOF(at));
        for (unsigned i = 0; i < ELEMENTSOF(at); i++)
                ck_assert_uint_eq(h->log[i].at, at[i]);
        policy_retry(h->policy);
        host_pass(h, 1);
        ck_assert_uint_eq(h->logged, ELEMENTSOF(at) + 1);
        h->may_pass = false; /* and the next may pass again: the wait begins anew */
        host_pass(h, 30);
        h->may_pass = true;
        host_pass(h, 30);
        ck_assert_uint_eq(h->logged, ELEMENTSOF(at) + 3);
        policy_retry(h->policy);
        host_pass(h, 1);
        ck_assert_uint_eq(h->logged, ELEMENTSOF(at) + 4);
}
END_TEST

START_TEST(a_restore_that_fails_is_tried_again)
{
        h = host_new(FIN_RULE);
        host_reading(h, METRIC_TCP_FIN_WAIT2, 100);
        host_pass(h, 1);
        host_reading(h, METRIC_TCP_FIN_WAIT2, 0);
        h->restore_outcome = OUTCOME_FAILED;
        host_pass(h, 61 + 60);
        ck_assert_uint_eq(h->logged, 3);
        ck_assert(h->log[1].logged && !h->log[2].logged);
        ck_assert(policy_holds(h->policy, SYSCTL_TCP_FIN_TIMEOUT));
        h->restore_outcome = OUTCOME_RESTORED;
        host_pass(h, 60);
        ck_assert(!policy_holds(h->policy, SYSCTL_TCP_FIN_TIMEOUT));
        ck_assert_int_eq(host_sysctl_value(h, SYSCTL_TCP_FIN_TIMEOUT), 60);
}
END_TEST

START_TEST(a_sysctl_that_is_restored_later_than_another_is_logged)
{
        h = host_new(FIN_RULE "set = net.ipv4.tcp_tw_reuse = 1\n");
        host_reading(h, METRIC_TCP_FIN_WAIT2, 100);
        host_pass(h, 1);
        host_reading(h, METRIC_TCP_FIN_WAIT2, 0);
        h->restore_outcome = OUTCOME_FAILED;
        host_pass(h, 61 + 60);
        ck_assert(h->log[1].logged && !h->log[2].logged);
        h->restore_outcome = OUTCOME_RESTORED;
        h->stuck = UINT32_C(1) << SYSCTL_TCP_TW_REUSE;
        host_pass(h, 60);
        ck_assert(h->log[3].logged);
        ck_assert(!policy_holds(h->policy, SYSCTL_TCP_FIN_TIMEOUT) && policy_holds(h->policy, SYSCTL_TCP_TW_REUSE));
        host_pass(h, 60);
        ck_assert(!h->log[4].logged);
}
END_TEST

START_TEST(what_another_program_changes_is_foreign)
{
        h = host_new(FIN_RULE "set = net.ipv4.tcp_tw_reuse = 1\n");
        host_reading(h, METRIC_TCP_FIN_WAIT2, 100);
        host_pass(h, 2);
        host_sysctl(h, SYSCTL_TCP_FIN_TIMEOUT, 45);
        host_pass(h, 5);
        check_log(h, 2, (const enum decision_kind[]){DECISION_ENTER, DECISION_OVERRIDDEN}, (const unsigned[]){0, 0});
        ck_assert(policy_is_active(h->policy, 0));
        ck_assert(policy_holds(h->policy, SYSCTL_TCP_TW_REUSE));

        host_reading(h, METRIC_TCP_FIN_WAIT2, 0);
        host_pass(h, 70);
        ck_assert_uint_eq(h->logged, 3);
        ck_assert_uint_eq(h->log[2].n, 1);
        ck_assert_int_eq(host_sysctl_value(h, SYSCTL_TCP_FIN_TIMEOUT), 45);
        ck_assert_int_eq(host_sysctl_value(h, SYSCTL_TCP_TW_REUSE), 2);

        host_reading(h, METRIC_TCP_FIN_WAIT2, 100); /* and it stays foreign */
        host_pass(h, 5);
        ck_assert_uint_eq(h->log[3].n, 1);
        ck_assert_int_eq(host_sysctl_value(h, SYSCTL_TCP_FIN_TIMEOUT), 45);
}
END_TEST

/* The rule's first sysctl, or its second. Each step begins to be watched anew. */
START_TEST(what_is_rearmed_is_tried_until_it_is_taken)
{
        enum sysctl_id id = _i ? SYSCTL_TCP_TW_REUSE : SYSCTL_TCP_FIN_TIMEOUT;
        const struct rule_state *state;

        h = host_new(FIN_RULE "set = net.ipv4.tcp_tw_reuse = 1\nretry = 1h\n");
        state = &h->policy->state[0];
        policy_set_foreign(h->policy, id);
        host_reading(h, METRIC_TCP_FIN_WAIT2, 100);
        host_pass(h, 2);
        ck_assert_uint_eq(h->logged, 1);
        ck_assert(policy_is_active(h->policy, 0) && !policy_holds(h->policy, id));

        policy_rearm(h->policy, id);
        h->write_outcome = OUTCOME_LIMITED;
        host_pass(h, 3);
        ck_assert_uint_eq(h->logged, 4);
        for (unsigned i = 1; i < 4; i++)
                ck_assert(h->log[i].kind == DECISION_ENTER && h->log[i].logged == (i == 1));
        h->write_outcome = OUTCOME_FAILED;
        h->may_pass = true;
        host_pass(h, 1);
        ck_assert_uint_eq(h->logged, 5);
        ck_assert_uint_lt(state->stepped_at, h->snapshot.now - 4 * SEC);
        host_pass(h, 5);
        ck_assert_uint_eq(h->logged, 6);
        host_pass(h, 3);
        policy_retry(h->policy);
        h->write_outcome = OUTCOME_APPLIED;
        host_pass(h, 1);
        ck_assert_uint_eq(h->logged, 7);
        ck_assert(policy_holds(h->policy, id) && h->log[6].n == 1);
        ck_assert_uint_eq(state->stepped_at, h->snapshot.now);
        host_pass(h, 60);
        ck_assert_uint_eq(h->logged, 7);
        ck_assert_int_eq(host_sysctl_value(h, SYSCTL_TCP_FIN_TIMEOUT), 30);
        ck_assert_int_eq(host_sysctl_value(h, SYSCTL_TCP_TW_REUSE), 1);
}
END_TEST

/* It was foreign, or could not be written, and another rule has taken it since. It stays while any rule needs it. */
START_TEST(each_rule_takes_what_it_lacks)
{
        static const char set[] = "set = net.ipv4.tcp_fin_timeout = 30\nset = net.ipv4.tcp_tw_reuse = 1\n";
        const enum sysctl_id id = SYSCTL_TCP_FIN_TIMEOUT;
        char rules[1024];

        snprintf(rules, sizeof(rules),
                 "[rule a]\nwhen = tcp.fin_wait2 >= 100\n%s[rule b]\nwhen = tcp.closing >= 100\n%s"
                 "[rule c]\nmode = observe\nwhen = tcp.closing >= 100\n%s",
                 set, set, set);
        h = host_new(rules);
        h->may_pass = true;
        if (_i == 0)
                policy_set_foreign(h->policy, id);
        else
                h->failing = UINT32_C(1) << id;
        host_reading(h, METRIC_TCP_FIN_WAIT2, 100);
        host_reading(h, METRIC_TCP_CLOSING, 100);
        host_pass(h, 2);
        ck_assert_uint_eq(policy_holders(h->policy, SYSCTL_TCP_TW_REUSE), rule_bit(0) | rule_bit(1));
        ck_assert(!policy_holds(h->policy, id));
        reload(rules);

        h->failing = 0;
        policy_rearm(h->policy, id);
        host_pass(h, 6);
        ck_assert_uint_eq(policy_holders(h->policy, id), rule_bit(0) | rule_bit(1));
        ck_assert_ptr_nonnull(policy_rule_value(h->policy, 2, id));
        host_reading(h, METRIC_TCP_FIN_WAIT2, 0);
        host_pass(h, 61);
        ck_assert_int_eq(host_sysctl_value(h, id), 30);
        host_reading(h, METRIC_TCP_CLOSING, 0);
        host_pass(h, 61);
        ck_assert_int_eq(host_sysctl_value(h, id), 60);
}
END_TEST

/* ---- take-over and reload ---- */

START_TEST(adopts_what_a_rule_still_sets)
{
        struct sysctl_value written = SYSCTL_VALUE(30), original = SYSCTL_VALUE(60), other = SYSCTL_VALUE(31);

        h = host_new(FIN_RULE);
        ck_assert(!policy_adopt(h->policy, "nobody", SYSCTL_TCP_FIN_TIMEOUT, &written, &original));
        ck_assert(!policy_adopt(h->policy, "fin", SYSCTL_TCP_FIN_TIMEOUT, &other, &original));
        ck_assert(policy_adopt(h->policy, "fin", SYSCTL_TCP_FIN_TIMEOUT, &written, &original));
        host_sysctl(h, SYSCTL_TCP_FIN_TIMEOUT, 30);
        host_reading(h, METRIC_TCP_FIN_WAIT2, 0);
        host_pass(h, 61);
        CHECK_LOG(h, 1, DECISION_RELEASE, 0);
        ck_assert_int_eq(host_sysctl_value(h, SYSCTL_TCP_FIN_TIMEOUT), 60);
}
END_TEST

/* Whoever made the step has watched its effect. What was not written before it died is written now. */
START_TEST(adopts_a_step_as_watched_and_takes_the_rest)
{
        static const struct {
                enum sysctl_id sysctl;
                int64_t written, original;
        } of[] = {{SYSCTL_TCP_FIN_TIMEOUT, 30, 60}, {SYSCTL_TCP_TW_REUSE, 1, 2}};
        struct sysctl_value written = SYSCTL_VALUE(of[_i].written), original = SYSCTL_VALUE(of[_i].original);

        h = host_new(FIN_RULE "set = net.ipv4.tcp_tw_reuse = 1\nabort = opens.resets > 3x before within 60s\n"
                              "abort = opens.syn_retransmits > 3x before within 60s\n");
        host_reading(h, METRIC_OPENS_RESETS, 1);
        host_reading(h, METRIC_OPENS_SYN_RETRANSMITS, 1);
        host_reading(h, METRIC_TCP_FIN_WAIT2, 0);
        host_pass(h, 60);
        ck_assert(policy_adopt(h->policy, "fin", of[_i].sysctl, &written, &original));
        host_sysctl(h, of[_i].sysctl, of[_i].written);
        for (unsigned k = 0; k < 2; k++)
                ck_assert(h->policy->state[0].abort[k].over);
        host_reading(h, METRIC_TCP_FIN_WAIT2, 100);
        host_pass(h, 1);
        CHECK_LOG(h, 1, DECISION_ENTER, 0);
        ck_assert_uint_eq(h->log[0].n, 1);
        ck_assert_int_eq(h->log[0].decision.change[0].sysctl, of[!_i].sysctl);
        ck_assert_int_eq(host_sysctl_value(h, of[!_i].sysctl), of[!_i].written);
}
END_TEST

START_TEST(leaves_alone_what_is_foreign_in_the_ledger)
{
        h = host_new(FIN_RULE);
        policy_set_foreign(h->policy, SYSCTL_TCP_FIN_TIMEOUT);
        host_reading(h, METRIC_TCP_FIN_WAIT2, 100);
        host_pass(h, 10);
        ck_assert_uint_eq(h->logged, 0);
}
END_TEST

START_TEST(a_reload_keeps_what_is_the_same)
{
        h = host_new(FIN_RULE);
        host_reading(h, METRIC_TCP_FIN_WAIT2, 100);
        host_pass(h, 1);
        host_reading(h, METRIC_TCP_FIN_WAIT2, 0);
        for (unsigned i = 0; i < 6; i++) { /* the release time runs on */
                host_pass(h, 10);
                reload("[rule new]\nwhen = tcp.closing > 1k\nset = net.ipv4.tcp_tw_reuse = 1\n" FIN_RULE);
        }
        host_pass(h, 1);
        ck_assert_uint_eq(h->logged, 2);
        ck_assert_int_eq(h->log[1].kind, DECISION_RELEASE);
}
END_TEST

/* Of the table of sysctls the first one, too. */
START_TEST(a_reload_keeps_what_is_held)
{
        static const char rule[] = "[rule reuse]\nwhen = tcp.fin_wait2 >= 100\nset = net.ipv4.tcp_tw_reuse = 1\n";

        h = host_new(rule);
        host_reading(h, METRIC_TCP_FIN_WAIT2, 100);
        host_pass(h, 1);
        reload(rule);
        ck_assert(policy_holds(h->policy, SYSCTL_TCP_TW_REUSE));
        host_reading(h, METRIC_TCP_FIN_WAIT2, 0);
        host_pass(h, 61);
        check_log(h, 2, (const enum decision_kind[]){DECISION_ENTER, DECISION_RELEASE}, (const unsigned[]){0, 0});
        ck_assert_int_eq(host_sysctl_value(h, SYSCTL_TCP_TW_REUSE), 2);
}
END_TEST

START_TEST(a_reload_drops_what_is_gone)
{
        h = host_new(FIN_RULE);
        host_reading(h, METRIC_TCP_FIN_WAIT2, 100);
        host_pass(h, 1);
        reload("[rule fin]\nwhen = tcp.fin_wait2 >= 200\nset = net.ipv4.tcp_fin_timeout = 30\n");
        ck_assert(!policy_holds(h->policy, SYSCTL_TCP_FIN_TIMEOUT));
}
END_TEST

START_TEST(observe_mode_takes_the_effect_as_met)
{
        h = host_new("[daemon]\nmode = observe\n" FIN_RULE "expect = netstat.TcpExt.TWRecycled > 0/s within 15s\n");
        h->write_outcome = h->restore_outcome = OUTCOME_WOULD;
        host_reading(h, METRIC_TCP_FIN_WAIT2, 100);
        host_reading(h, METRIC_COUNT + COUNTER_TW_RECYCLED, 0);
        host_pass(h, 60);
        CHECK_LOG(h, 1, DECISION_ENTER, 0);
        host_reading(h, METRIC_TCP_FIN_WAIT2, 0);
        host_pass(h, 61);
        ck_assert_uint_eq(h->logged, 2);
        ck_assert_int_eq(host_sysctl_value(h, SYSCTL_TCP_FIN_TIMEOUT), 60);
}
END_TEST

static void add(TCase *tcase)
{
        tcase_add_checked_fixture(tcase, NULL, tear_down);
        tcase_add_test(tcase, an_effect_that_does_not_come_is_put_back);
        tcase_add_test(tcase, an_effect_that_comes_is_enough);
        tcase_add_test(tcase, expect_waits_while_the_pressure_is_off_or_unknown);
        tcase_add_loop_test(tcase, expect_starts_anew_after_a_gap_longer_than_its_time, 0, 2);
        tcase_add_test(tcase, a_destination_that_failed_waits_for_retry_and_no_longer);
        tcase_add_test(tcase, a_peer_without_timestamps_is_found_out);
        tcase_add_test(tcase, a_destination_that_failed_is_noted_once);
        tcase_add_test(tcase, a_late_give_back_names_the_destination_that_failed);
        tcase_add_test(tcase, each_destination_that_failed_is_noted_and_a_reload_forgets_none);
        tcase_add_test(tcase, a_load_that_ends_at_once_is_no_failed_effect);
        tcase_add_loop_test(tcase, a_step_is_watched_at_its_destination, 0, 4);
        tcase_add_test(tcase, a_step_for_no_destination_is_not_watched);
        tcase_add_test(tcase, harm_is_put_back);
        tcase_add_test(tcase, less_than_the_multiple_is_no_harm);
        tcase_add_test(tcase, noise_is_no_harm);
        tcase_add_loop_test(tcase, a_share_of_few_is_no_harm, 0, 4);
        tcase_add_loop_test(tcase, what_fails_toward_a_destination_waits_there_alone, 0, 3);
        tcase_add_loop_test(tcase, harm_is_seen_at_every_interval, 0, 8);
        tcase_add_loop_test(tcase, a_rule_holds_for_min_interval, 0, 4);
        tcase_add_loop_test(tcase, harm_and_an_override_end_it_before, 0, 3);
        tcase_add_loop_test(tcase, a_step_that_is_not_watched_says_so, 0, 6);
        tcase_add_test(tcase, held_while_any_rule_wants_it);
        tcase_add_test(tcase, a_value_that_is_there_is_not_written);
        tcase_add_test(tcase, a_disabled_rule_does_nothing);
        tcase_add_test(tcase, a_limit_is_tried_at_every_tick_and_logged_once);
        tcase_add_loop_test(tcase, a_write_that_fails_waits_for_retry, 0, 2);
        tcase_add_test(tcase, a_failure_that_may_pass_is_tried_again_soon);
        tcase_add_test(tcase, a_restore_that_fails_is_tried_again);
        tcase_add_test(tcase, a_sysctl_that_is_restored_later_than_another_is_logged);
        tcase_add_test(tcase, what_another_program_changes_is_foreign);
        tcase_add_loop_test(tcase, what_is_rearmed_is_tried_until_it_is_taken, 0, 2);
        tcase_add_loop_test(tcase, each_rule_takes_what_it_lacks, 0, 2);
        tcase_add_test(tcase, adopts_what_a_rule_still_sets);
        tcase_add_loop_test(tcase, adopts_a_step_as_watched_and_takes_the_rest, 0, 2);
        tcase_add_test(tcase, leaves_alone_what_is_foreign_in_the_ledger);
        tcase_add_test(tcase, a_reload_keeps_what_is_the_same);
        tcase_add_test(tcase, a_reload_keeps_what_is_held);
        tcase_add_test(tcase, a_reload_drops_what_is_gone);
        tcase_add_test(tcase, observe_mode_takes_the_effect_as_met);
}

int main(void)
{
        return run_suite("policy_settle", add);
}

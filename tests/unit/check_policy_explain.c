/* SPDX-License-Identifier: MIT */
/* Why a rule is or is not active, against what the policy then decides; and that its lines read back as they were. */

#include "lib/util/units.h"
#include "one_host.h"

#define RULE \
        "[rule a]\nwhen = ports.forecast >= 80%\nwhen = ports.relief >= 30%\nuntil = ports.demand < 50% for 2min\n" \
        "set = net.ipv4.tcp_tw_reuse = 1\nexpect = netstat.TcpExt.TWRecycled > 0/s within 15s\n" \
        "abort = opens.syn_retransmits > 3x before within 60s\n"
#define SECOND \
        "[rule b]\nafter = a\nwhen = ports.reuse_demand >= 50% for 5s\nset = net.ipv4.tcp_tw_reuse_delay = 250\n"
#define HOST_RULE "[rule h]\nwhen = tcp.fin_wait2_orphaned >= 100 for 10s\nset = net.ipv4.tcp_fin_timeout = 20\n"

static struct rule_evaluation e;

static void explain(unsigned rule)
{
        e = policy_evaluate(h->policy, &h->snapshot)->rule[rule];
}

static const struct rule *rule_of(unsigned rule)
{
        return &h->config->rule[rule];
}

static const char *whose(const struct condition_evaluation *condition, unsigned metric)
{
        static char name[DESTINATION_NAME_MAX];

        return condition_whose(condition, metric, &h->snapshot, name);
}

START_TEST(an_idle_rule_shows_the_nearest_destination)
{
        h = host_new(RULE);
        for (unsigned i = 0; i < 60; i++) {
                host_connect_all(h, 10, PEER + 1);
                host_connect_all(h, 100, PEER);
                h->snapshot.now += SEC;
                host_observe(h);
                host_decide(h);
        }
        explain(0);
        ck_assert_int_eq(e.standing, STANDING_IDLE);
        ck_assert_int_eq(e.when[0].holds, NO);
        ck_assert_int_eq(e.when[1].holds, YES);
        ck_assert_double_eq(e.when[1].reading.value, 100);
        ck_assert_ptr_nonnull(strstr(whose(&e.when[0], rule_of(0)->when[0].metric), "10.0.0.2:80"));
        ck_assert(e.when[0].reading.value > 30 && e.when[0].reading.value < 60);
        ck_assert_int_eq(e.until[0].holds, YES);
}
END_TEST

/* tcp_tw_reuse = 2 is what the loopback needs: the rule does nothing for it, however busy it is. */
START_TEST(a_destination_that_the_rule_cannot_help_is_not_shown)
{
        h = host_new(RULE);
        for (unsigned i = 0; i < 60; i++) {
                host_connect_all(h, 200, LOOPBACK);
                host_connect_all(h, 100, PEER);
                host_connect_all(h, 10, PEER + 1);
                h->snapshot.now += SEC;
                host_observe(h);
                host_decide(h);
        }
        explain(0);
        ck_assert_int_eq(e.standing, STANDING_IDLE);
        ck_assert_ptr_nonnull(strstr(whose(&e.when[0], rule_of(0)->when[0].metric), "10.0.0.2:80"));
        ck_assert_ptr_nonnull(strstr(whose(&e.until[0], rule_of(0)->until[0].metric), "10.0.0.2:80"));
}
END_TEST

/* More of its conditions hold for the one; the other has more of the first of them. */
START_TEST(the_nearest_destination_is_the_one_for_which_most_holds)
{
        h = host_new("[rule a]\nwhen = ports.used >= 5000\nwhen = ports.relief >= 30%\n"
                     "set = net.ipv4.tcp_tw_reuse = 1\n");
        hold_open(4000, PEER); /* nothing of which could be reused */
        for (unsigned i = 0; i < 60; i++) {
                host_connect_all(h, 10, PEER + 1);
                h->snapshot.now += SEC;
                host_observe(h);
                host_decide(h);
        }
        explain(0);
        ck_assert_int_eq(e.when[0].holds, NO);
        ck_assert_int_eq(e.when[1].holds, YES);
        ck_assert_ptr_nonnull(strstr(whose(&e.when[0], rule_of(0)->when[0].metric), "10.0.0.3:80"));
}
END_TEST

START_TEST(an_active_rule_shows_what_keeps_it)
{
        h = host_new(RULE SECOND);
        host_run(h, 60, 400, PEER);
        explain(0);
        ck_assert_uint_ge(h->logged, 1);
        ck_assert_int_eq(e.standing, STANDING_ACTIVE);
        ck_assert_int_eq(e.until[0].holds, NO);
        ck_assert_ptr_nonnull(strstr(whose(&e.until[0], rule_of(0)->until[0].metric), "10.0.0.2:80"));
        ck_assert_double_gt(e.until[0].reading.value, 50);
        ck_assert_uint_gt(e.active_ns, SEC);
        ck_assert(!e.abort[0].watching); /* nothing was known of the minute before */
        explain(1);
        ck_assert_int_eq(e.standing, STANDING_IDLE);
        ck_assert_uint_eq(e.prerequisite, 0);
}
END_TEST

/* If until has <=, the destination with the most keeps the rule; if it has >=, the one with the least. */
START_TEST(the_worst_destination_is_the_one_that_is_furthest_from_until)
{
        static const char *const rules[] = {
                "[rule a]\nwhen = ports.used >= 50\nuntil = ports.used <= 10\nset = net.ipv4.tcp_tw_reuse = 1\n",
                "[rule a]\nwhen = ports.used <= 500\nuntil = ports.used >= 10k\nset = net.ipv4.tcp_tw_reuse = 1\n",
        };
        static const char *const worst[] = {"10.0.0.3:80", "10.0.0.2:80"};

        h = host_new(rules[_i]);
        for (unsigned i = 0; i < 900; i++)
                model_add(&h->model, TCP_ESTABLISHED, PEER + i % 3 % 2, 80, 0);
        hold_open(400, PEER + 1);
        host_observe(h);
        host_pass(h, 10);
        explain(0);
        ck_assert_int_eq(e.standing, _i == 0 ? STANDING_ACTIVE : STANDING_IDLE);
        ck_assert_int_eq(e.until[0].holds, NO);
        ck_assert_ptr_nonnull(strstr(whose(&e.until[0], rule_of(0)->until[0].metric), worst[_i]));
        ck_assert_double_eq(e.until[0].reading.value, _i == 0 ? 700 : 600);
}
END_TEST

#define EFFECT_RULE \
        "[rule f]\nwhen = tcp.fin_wait2 >= 100\nuntil = tcp.fin_wait2 < 50 for 30s\n" \
        "set = net.ipv4.tcp_fin_timeout = 30\nexpect = netstat.TcpExt.TWRecycled > 0/s within 15s\n" \
        "abort = opens.syn_retransmits > 3x before within 60s\n"

static void use_effect(void)
{
        h = host_new(EFFECT_RULE);
        host_reading(h, METRIC_OPENS_SYN_RETRANSMITS, 2);
        host_reading(h, METRIC_COUNT + COUNTER_TW_RECYCLED, 0);
        host_pass(h, 60);
        explain(0);
        ck_assert(!e.expecting && !e.abort[0].watching);
        host_reading(h, METRIC_TCP_FIN_WAIT2, 100);
        host_pass(h, 1);
}

START_TEST(an_effect_is_awaited_until_it_is_seen)
{
        use_effect();
        host_pass(h, 10);
        explain(0);
        ck_assert(e.expecting && e.expect.holds == NO);
        ck_assert_uint_eq(e.expecting_ns, 10 * SEC);
        ck_assert_uint_eq(e.active_ns, 10 * SEC);
        ck_assert_double_eq(e.expect.reading.value, 0);
        ck_assert_str_eq(whose(&e.expect, rule_of(0)->expect.metric), "");
        host_reading(h, METRIC_COUNT + COUNTER_TW_RECYCLED, 3);
        host_pass(h, 1);
        explain(0);
        ck_assert(!e.expecting && e.expect.holds == YES);
        ck_assert_uint_eq(e.expecting_ns, 0);
        ck_assert_uint_eq(e.active_ns, 11 * SEC);
}
END_TEST

START_TEST(harm_is_watched_for_within_its_window)
{
        use_effect();
        host_reading(h, METRIC_COUNT + COUNTER_TW_RECYCLED, 3);
        host_reading(h, METRIC_OPENS_SYN_RETRANSMITS, 5);
        host_pass(h, 20);
        explain(0);
        ck_assert(e.abort[0].watching);
        ck_assert_double_eq(e.abort[0].limit, 6);
        ck_assert_double_eq(e.abort[0].mean, 5);
        host_pass(h, 45);
        explain(0);
        ck_assert(!e.abort[0].watching);
}
END_TEST

START_TEST(a_release_comes_nearer_and_is_remembered)
{
        use_effect();
        host_reading(h, METRIC_COUNT + COUNTER_TW_RECYCLED, 3);
        host_pass(h, 1);
        host_reading(h, METRIC_TCP_FIN_WAIT2, 49);
        host_pass(h, 21);
        explain(0);
        ck_assert_int_eq(e.until[0].holds, YES);
        ck_assert_uint_eq(condition_held_ns(&e.until[0]), 20 * SEC);
        ck_assert_uint_eq(e.released_ns, 0);
        host_pass(h, 10);
        explain(0);
        ck_assert_int_eq(e.standing, STANDING_IDLE);
        ck_assert_uint_eq(condition_held_ns(&e.until[0]), 0); /* its clock has stopped */
        ck_assert_uint_eq(e.active_ns, 0);
        host_pass(h, 7);
        explain(0);
        ck_assert_uint_eq(e.released_ns, 7 * SEC);
}
END_TEST

START_TEST(the_culprit_is_shown_while_the_reading_is_valid)
{
        h = host_new("[rule q]\nwhen = accept_queue.worst >= 80%\nwhen = netstat.TcpExt.ListenDrops > 0/s\n"
                     "advise = x\n");
        host_reading(h, METRIC_ACCEPT_QUEUE_WORST, 50);
        strcpy(h->snapshot.endpoint[METRIC_ACCEPT_QUEUE_WORST], "0.0.0.0:80");
        strcpy(h->snapshot.culprit[METRIC_ACCEPT_QUEUE_WORST], "nginx.service");
        host_pass(h, 1);
        explain(0);
        ck_assert_str_eq(whose(&e.when[0], rule_of(0)->when[0].metric), "0.0.0.0:80");
        ck_assert_str_eq(condition_unit(&e.when[0], rule_of(0)->when[0].metric, &h->snapshot), "nginx.service");
        ck_assert_str_eq(whose(&e.when[1], rule_of(0)->when[1].metric), "");
        h->snapshot.reading[METRIC_ACCEPT_QUEUE_WORST].state = READING_INVALID;
        explain(0);
        ck_assert_str_eq(whose(&e.when[0], rule_of(0)->when[0].metric), "");
        ck_assert_str_eq(condition_unit(&e.when[0], rule_of(0)->when[0].metric, &h->snapshot), "");
}
END_TEST

/* The host's busiest destination is not one of the rule. */
START_TEST(a_rule_for_other_destinations_names_no_culprit)
{
        h = host_new(
                "[rule p]\nwhen = ports.used >= 10\nfor-destination = 10.9.9.9\nset = net.ipv4.tcp_tw_reuse = 1\n");
        strcpy(h->snapshot.endpoint[METRIC_PORTS_USED], "10.0.0.2:80");
        strcpy(h->snapshot.culprit[METRIC_PORTS_USED], "nginx.service");
        host_run(h, 2, 100, PEER);
        explain(0);
        ck_assert_int_eq(e.standing, STANDING_IDLE);
        ck_assert_str_eq(whose(&e.when[0], METRIC_PORTS_USED), "");
        ck_assert_str_eq(condition_unit(&e.when[0], METRIC_PORTS_USED, &h->snapshot), "");
}
END_TEST

START_TEST(a_rule_waits_for_the_one_below)
{
        h = host_new(HOST_RULE "[rule i]\nafter = h\nwhen = tcp.closing >= 10 for 5s\n"
                               "set = net.ipv4.tcp_orphan_retries = 5\n");
        host_reading(h, METRIC_TCP_FIN_WAIT2_ORPHANED, 0);
        host_reading(h, METRIC_TCP_CLOSING, 10);
        host_sysctl(h, SYSCTL_TCP_ORPHAN_RETRIES, 0);
        host_pass(h, 6);
        explain(1);
        ck_assert_uint_eq(h->logged, 0);
        ck_assert_int_eq(e.standing, STANDING_PREREQUISITE);
        ck_assert_uint_eq(e.prerequisite, 0);
        explain(0);
        ck_assert_uint_eq(e.prerequisite, RULE_NONE);
}
END_TEST

/* tcp_tw_reuse = 2 is the rung below for a destination on the loopback, and for no other. */
START_TEST(a_rule_on_the_loopback_does_not_wait)
{
        h = host_new("[rule r]\nwhen = ports.cliff >= 99%\nset = net.ipv4.tcp_tw_reuse = 1\n"
                     "[rule d]\nafter = r\nwhen = ports.used >= 10\nset = net.ipv4.tcp_tw_reuse_delay = 250\n");
        h->write_outcome = OUTCOME_LIMITED;
        host_run(h, 2, 100, _i == 0 ? PEER : LOOPBACK);
        explain(1);
        ck_assert_uint_eq(h->logged > 0, _i == 1);
        ck_assert_int_eq(e.standing, _i == 0 ? STANDING_PREREQUISITE : STANDING_READY);
}
END_TEST

START_TEST(a_condition_shows_for_how_long_it_has_held)
{
        h = host_new(HOST_RULE);
        host_reading(h, METRIC_TCP_FIN_WAIT2_ORPHANED, 100);
        host_pass(h, 5);
        explain(0);
        ck_assert_int_eq(e.standing, STANDING_IDLE);
        ck_assert_int_eq(e.when[0].holds, YES);
        ck_assert_uint_eq(condition_held_ns(&e.when[0]), 4 * SEC);
        h->write_outcome = OUTCOME_LIMITED;
        host_pass(h, 10);
        explain(0);
        ck_assert_int_eq(e.standing, STANDING_READY);
        host_reading(h, METRIC_TCP_FIN_WAIT2_ORPHANED, 99);
        host_pass(h, 1);
        explain(0);
        ck_assert_int_eq(e.when[0].holds, NO);
        ck_assert_uint_eq(condition_held_ns(&e.when[0]), 0);
        h->snapshot.reading[METRIC_TCP_FIN_WAIT2_ORPHANED].state = READING_INVALID;
        host_pass(h, 1);
        explain(0);
        ck_assert_int_eq(e.when[0].holds, UNKNOWN);
        ck_assert_int_eq(e.standing, STANDING_IDLE);
}
END_TEST

START_TEST(what_failed_waits)
{
        h = host_new(HOST_RULE);
        h->write_outcome = OUTCOME_FAILED;
        host_reading(h, METRIC_TCP_FIN_WAIT2_ORPHANED, 100);
        host_pass(h, 12);
        explain(0);
        ck_assert_int_eq(e.standing, STANDING_WAITING);
        ck_assert_uint_eq(e.wait_ns, 599 * SEC);
}
END_TEST

START_TEST(a_foreign_sysctl_is_shown_until_it_is_rearmed)
{
        h = host_new(HOST_RULE);
        policy_set_foreign(h->policy, SYSCTL_TCP_FIN_TIMEOUT);
        host_reading(h, METRIC_TCP_FIN_WAIT2_ORPHANED, 100);
        host_pass(h, 30);
        explain(0);
        ck_assert_uint_eq(h->logged, 0);
        ck_assert_int_eq(e.standing, STANDING_FOREIGN);
        ck_assert_uint_eq(e.foreign, UINT32_C(1) << SYSCTL_TCP_FIN_TIMEOUT);
        policy_rearm(h->policy, SYSCTL_TCP_FIN_TIMEOUT);
        host_pass(h, 1);
        explain(0);
        ck_assert_uint_eq(h->logged, 1);
        ck_assert_int_eq(e.standing, STANDING_ACTIVE);
}
END_TEST

START_TEST(leaving_alone_ends_the_rule_that_holds_it)
{
        h = host_new(HOST_RULE);
        host_reading(h, METRIC_TCP_FIN_WAIT2_ORPHANED, 100);
        host_pass(h, 12);
        ck_assert(policy_is_active(h->policy, 0));
        ck_assert_uint_eq(policy_holders(h->policy, SYSCTL_TCP_FIN_TIMEOUT), 1);
        ck_assert_int_eq(policy_value(h->policy, SYSCTL_TCP_FIN_TIMEOUT)->v[0], 20);
        policy_set_foreign(h->policy, SYSCTL_TCP_FIN_TIMEOUT);
        ck_assert(policy_is_foreign(h->policy, SYSCTL_TCP_FIN_TIMEOUT));
        ck_assert(!policy_is_active(h->policy, 0));
        host_pass(h, 30);
        ck_assert_uint_eq(h->logged, 1);
}
END_TEST

START_TEST(off_lacking_and_needless_are_three_things)
{
        h = host_new(HOST_RULE
                     "[rule off]\nenabled = no\nwhen = tcp.close_wait > 1\nset = net.ipv4.tcp_fin_timeout = 20\n"
                     "[rule needless]\nwhen = tcp.close_wait > 1\nset = net.ipv4.tcp_tw_reuse = 1\n");
        host_sysctl(h, SYSCTL_TCP_TW_REUSE, 1);
        h->snapshot.reading[METRIC_TCP_FIN_WAIT2_ORPHANED].state = READING_UNAVAILABLE;
        host_pass(h, 1);
        explain(0);
        ck_assert_int_eq(e.standing, STANDING_UNAVAILABLE);
        ck_assert_str_eq(e.lacks, "tcp.fin_wait2_orphaned");
        explain(1);
        ck_assert_int_eq(e.standing, STANDING_DISABLED);
        explain(2);
        ck_assert_int_eq(e.standing, STANDING_NEEDLESS);
        h->snapshot.sysctl[SYSCTL_TCP_TW_REUSE].state = READING_UNAVAILABLE;
        explain(2);
        ck_assert_str_eq(e.lacks, "net.ipv4.tcp_tw_reuse");
}
END_TEST

/* One of its sysctls is foreign, and the other one has the value already: there is nothing to set. */
START_TEST(a_foreign_sysctl_leaves_nothing_to_do)
{
        h = host_new("[rule r]\nwhen = tcp.closing >= 1\nset = net.ipv4.tcp_fin_timeout = 30\n"
                     "set = net.ipv4.tcp_keepalive_probes = 5\n");
        host_sysctl(h, SYSCTL_TCP_FIN_TIMEOUT, 60);
        host_sysctl(h, SYSCTL_TCP_KEEPALIVE_PROBES, 5);
        policy_set_foreign(h->policy, SYSCTL_TCP_FIN_TIMEOUT);
        host_reading(h, METRIC_TCP_CLOSING, 1);
        host_pass(h, 3);
        explain(0);
        ck_assert_uint_eq(h->logged, 0);
        ck_assert_int_eq(e.standing, STANDING_NEEDLESS);
        policy_rearm(h->policy, SYSCTL_TCP_FIN_TIMEOUT);
        host_pass(h, 1);
        CHECK_LOG(h, 1, DECISION_ENTER, 0);
}
END_TEST

/* Every line of the shipped policy. */
START_TEST(lines_read_back_as_they_were)
{
        struct config *config = config_of(shipped_policy());
        static struct counters kernel;
        struct diagnostics diagnostics = {0};
        static struct condition_texts texts;
        struct vocabulary vocabulary = {&config->counters, &texts, &kernel};
        unsigned n = 0;

        for (unsigned i = 0; i < config->n_rules; i++) {
                const struct rule *rule = &config->rule[i];

                for (unsigned k = 0; k < rule->n_when; k++, n++) {
                        const char *text = rule->when[k].text;
                        struct condition c;

                        ck_assert_int_eq(condition_parse(text, "for", rule->at, &vocabulary, &c, &diagnostics), 0);
                        ck_assert_str_eq(c.text, text);
                        ck_assert(c.metric == rule->when[k].metric && c.op == rule->when[k].op &&
                                  c.time_ns == rule->when[k].time_ns);
                        ck_assert_double_eq(c.number, rule->when[k].number);
                }
                for (unsigned k = 0; k < rule->n_abort; k++, n++) {
                        const char *text = rule->abort[k].text;
                        struct abort_condition a;

                        ck_assert_int_eq(abort_parse(text, rule->at, &vocabulary, &a, &diagnostics), 0);
                        ck_assert(a.metric == rule->abort[k].metric && a.within_ns == rule->abort[k].within_ns);
                        ck_assert_double_eq(a.multiple, rule->abort[k].multiple);
                }
                for (unsigned k = 0; k < rule->n_actions; k++, n++) {
                        char buf[RULE_TEXT_MAX];
                        const char *text = action_format(&rule->action[k], buf);
                        struct action l;

                        ck_assert_int_eq(action_parse(rule->action[k].kind, text, rule->at, &l, &diagnostics), 0);
                        ck_assert(l.sysctl == rule->action[k].sysctl &&
                                  sysctl_equal(&l.value, &rule->action[k].value));
                        ck_assert_double_eq(l.factor, rule->action[k].factor);
                }
        }
        ck_assert_uint_gt(n, 30);
        config_free(config);
}
END_TEST

static const struct {
        uint64_t ns;
        const char *text;
} durations[] = {
        {250 * NSEC_PER_MSEC, "250ms"}, {SEC, "1s"}, {90 * SEC, "90s"}, {120 * SEC, "2min"}, {3600 * SEC, "1h"},
        {5400 * SEC, "90min"},          {0, "0s"},
};

START_TEST(durations_take_the_largest_unit_that_fits)
{
        char text[DURATION_TEXT_MAX];

        ck_assert_str_eq(duration_format(durations[_i].ns, text), durations[_i].text);
}
END_TEST

static void add(TCase *tcase)
{
        tcase_add_checked_fixture(tcase, NULL, tear_down);
        tcase_add_test(tcase, an_idle_rule_shows_the_nearest_destination);
        tcase_add_test(tcase, a_destination_that_the_rule_cannot_help_is_not_shown);
        tcase_add_test(tcase, the_nearest_destination_is_the_one_for_which_most_holds);
        tcase_add_test(tcase, an_active_rule_shows_what_keeps_it);
        tcase_add_loop_test(tcase, the_worst_destination_is_the_one_that_is_furthest_from_until, 0, 2);
        tcase_add_test(tcase, an_effect_is_awaited_until_it_is_seen);
        tcase_add_test(tcase, harm_is_watched_for_within_its_window);
        tcase_add_test(tcase, a_release_comes_nearer_and_is_remembered);
        tcase_add_test(tcase, the_culprit_is_shown_while_the_reading_is_valid);
        tcase_add_test(tcase, a_rule_for_other_destinations_names_no_culprit);
        tcase_add_test(tcase, a_rule_waits_for_the_one_below);
        tcase_add_loop_test(tcase, a_rule_on_the_loopback_does_not_wait, 0, 2);
        tcase_add_test(tcase, a_condition_shows_for_how_long_it_has_held);
        tcase_add_test(tcase, what_failed_waits);
        tcase_add_test(tcase, a_foreign_sysctl_is_shown_until_it_is_rearmed);
        tcase_add_test(tcase, leaving_alone_ends_the_rule_that_holds_it);
        tcase_add_test(tcase, off_lacking_and_needless_are_three_things);
        tcase_add_test(tcase, a_foreign_sysctl_leaves_nothing_to_do);
        tcase_add_test(tcase, lines_read_back_as_they_were);
        tcase_add_loop_test(tcase, durations_take_the_largest_unit_that_fits, 0, ELEMENTSOF(durations));
}

int main(void)
{
        return run_suite("policy_explain", add);
}

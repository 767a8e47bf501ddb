/* SPDX-License-Identifier: MIT */
/* A rule of the administrator against one of the vendor that changes the same sysctl, and a rule that only
 * observes. */

#include "one_host.h"

#define VENDOR \
        "[rule vendor]\nwhen = tcp.fin_wait2 >= 100\nuntil = tcp.fin_wait2 < 50\n" \
        "set = net.ipv4.tcp_fin_timeout = 30\n" \
        "[rule sooner]\nafter = vendor\nwhen = tcp.fin_wait1 >= 100\nuntil = tcp.fin_wait1 < 50\n" \
        "set = net.ipv4.tcp_keepalive_intvl = 30\n"
#define MINE \
        "[rule mine]\nwhen = tcp.fin_wait2 >= 200\nuntil = tcp.fin_wait2 < 50\nset = net.ipv4.tcp_fin_timeout = 20\n"

enum {
        FIRST,
        SOONER,
        LAST
}; /* vendor or its like, sooner, mine */

static bool mine_first; /* drop-ins are read in the order of their names, whoever's they are */

static struct config *read_two(const char *vendors, const char *mine, struct diagnostics *diagnostics)
{
        struct config *config = config_new();
        const char *text[] = {vendors, mine}, *name[] = {"policy.conf", "mine.conf"};

        config->vendor_files = mine_first ? 2 : 1;
        for (unsigned i = 0; i < 2; i++)
                config_read(config, name[i ^ mine_first], text[i ^ mine_first], strlen(text[i ^ mine_first]), NULL,
                            diagnostics);
        config_check(config, diagnostics);
        return config;
}

static struct config *config_of_two(const char *vendors, const char *mine)
{
        struct diagnostics diagnostics = {0};
        struct config *config = read_two(vendors, mine, &diagnostics);

        ck_assert_msg(diagnostics.n == 0, "%s", diagnostics.n ? diagnostics.item[0].text : "");
        return config;
}

/* inherit: a reload; else a new host. */
static void begin(const char *vendors, const char *mine, bool inherit)
{
        struct config *config = config_of_two(vendors, mine);
        struct policy *policy = policy_new(config);

        if (inherit) {
                policy_inherit(policy, h->policy);
        } else {
                h = host_new("");
                host_sysctl(h, SYSCTL_TCP_KEEPALIVE_INTVL, 75);
                host_reading(h, METRIC_TCP_FIN_WAIT1, 0);
                host_reading(h, METRIC_TCP_FIN_WAIT2, 0);
        }
        policy_free(h->policy);
        config_free(h->config);
        h->policy = policy;
        h->config = config;
        host_pass(h, 1);
}

static void press(double fin_wait1, double fin_wait2)
{
        host_reading(h, METRIC_TCP_FIN_WAIT1, fin_wait1);
        host_reading(h, METRIC_TCP_FIN_WAIT2, fin_wait2);
        host_pass(h, 1);
}

static int64_t fin_timeout(void)
{
        return host_sysctl_value(h, SYSCTL_TCP_FIN_TIMEOUT);
}

static enum standing standing_of(unsigned rule)
{
        return policy_evaluate(h->policy, &h->snapshot)->rule[rule].standing;
}

START_TEST(the_administrators_rule_counts)
{
        begin(VENDOR, MINE, false);
        ck_assert_int_eq(standing_of(FIRST), STANDING_SUPERSEDED);
        ck_assert_uint_eq(policy_evaluate(h->policy, &h->snapshot)->rule[FIRST].successor, LAST);
        press(0, 150);
        ck_assert_uint_eq(h->logged, 0);
        press(0, 200);
        CHECK_LOG(h, 1, DECISION_ENTER, LAST);
        ck_assert_int_eq(fin_timeout(), 20);
}
END_TEST

START_TEST(the_administrators_rule_counts_when_it_is_read_first)
{
        mine_first = true;
        begin(VENDOR, MINE, false);
        ck_assert_int_eq(standing_of(1), STANDING_SUPERSEDED);
        press(0, 150);
        ck_assert_uint_eq(h->logged, 0);
        press(0, 200);
        CHECK_LOG(h, 1, DECISION_ENTER, 0);
        ck_assert_int_eq(fin_timeout(), 20);
        mine_first = false;
}
END_TEST

/* One that is off, observes or is unavailable supersedes nothing. */
static const char *const powerless[] = {
        MINE "enabled = no\n", MINE "mode = observe\n", MINE "when = conntrack.table > 1%\n",
        "[rule sooner]\nwhen = tcp.closing > 1k\n", /* the administrator's line, but not on that sysctl */
};

START_TEST(a_rule_that_changes_nothing_supersedes_nothing)
{
        begin(VENDOR, powerless[_i], false);
        h->snapshot.reading[METRIC_CONNTRACK_TABLE].state = READING_UNAVAILABLE;
        press(0, 150);
        ck_assert_int_eq(fin_timeout(), 30);
        ck_assert_int_eq(standing_of(FIRST), STANDING_ACTIVE);
}
END_TEST

START_TEST(the_same_value_supersedes_nothing)
{
        begin(VENDOR, "[rule mine]\nwhen = tcp.fin_wait2 >= 200\nset = net.ipv4.tcp_fin_timeout = 30\n", false);
        press(0, 150);
        ck_assert_int_eq(fin_timeout(), 30);
}
END_TEST

START_TEST(after_follows_the_rule_that_counts)
{
        begin(VENDOR, MINE, false);
        press(100, 150);
        ck_assert_int_eq(standing_of(SOONER), STANDING_PREREQUISITE);
        ck_assert_uint_eq(policy_evaluate(h->policy, &h->snapshot)->rule[SOONER].prerequisite, LAST);
        press(100, 200);
        host_pass(h, 1);
        ck_assert_int_eq(standing_of(SOONER), STANDING_ACTIVE);
        press(100, 0);
        host_pass(h, 30);
        ck_assert_int_eq(standing_of(LAST), STANDING_ACTIVE); /* it is released after what depends on it */
        press(0, 0);
        host_pass(h, 30);
        ck_assert(!policy_is_active(h->policy, LAST) && !policy_is_active(h->policy, SOONER));
        ck_assert_int_eq(fin_timeout(), 60);
}
END_TEST

START_TEST(what_fails_takes_along_what_depends_on_it)
{
        begin(VENDOR, MINE "expect = tcp.closing > 0 within 10s\n", false);
        host_reading(h, METRIC_TCP_CLOSING, 0);
        press(100, 200);
        host_pass(h, 20);
        ck_assert_int_eq(h->log[2].kind, DECISION_UNEXPECTED);
        ck_assert_int_eq(h->log[3].kind, DECISION_UNEXPECTED);
        ck_assert_uint_eq(h->log[2].rule, SOONER);
        ck_assert_uint_eq(h->log[3].rule, LAST);
}
END_TEST

/* The rule may name as its prerequisite the very rule that it supersedes. */
START_TEST(a_rule_does_not_wait_for_what_it_supersedes)
{
        begin(VENDOR, MINE "after = vendor\n", false);
        press(0, 200);
        ck_assert_int_eq(fin_timeout(), 20);
}
END_TEST

START_TEST(only_the_sysctl_is_superseded)
{
        begin(VENDOR "[rule vendor]\nset = net.ipv4.tcp_keepalive_intvl = 30\n", MINE, false);
        press(0, 150);
        ck_assert_int_eq(fin_timeout(), 60);
        ck_assert_int_eq(host_sysctl_value(h, SYSCTL_TCP_KEEPALIVE_INTVL), 30);
        ck_assert_int_eq(standing_of(FIRST), STANDING_ACTIVE);
}
END_TEST

/* One of the two sysctls of a prerequisite is superseded: the rule waits only until the other one is in effect. */
START_TEST(after_waits_for_the_sysctl_that_is_left)
{
        begin("[rule vendor]\nwhen = tcp.closing >= 100\nset = net.ipv4.tcp_fin_timeout = 30\n"
              "set = net.ipv4.tcp_keepalive_probes = 5\n"
              "[rule sooner]\nafter = vendor\nwhen = tcp.fin_wait1 >= 100\nset = net.ipv4.tcp_keepalive_intvl = 30\n",
              MINE, false);
        host_reading(h, METRIC_TCP_CLOSING, 0);
        host_sysctl(h, SYSCTL_TCP_KEEPALIVE_PROBES, 9);
        press(100, 0);
        ck_assert_int_eq(standing_of(SOONER), STANDING_PREREQUISITE);
        host_sysctl(h, SYSCTL_TCP_KEEPALIVE_PROBES, 5); /* by hand; tcp_fin_timeout is 60 still */
        press(100, 0);
        ck_assert_int_eq(standing_of(SOONER), STANDING_ACTIVE);
}
END_TEST

/* "sooner" comes after the rule that supersedes "vendor", and this one after "sooner". */
START_TEST(a_circle_through_supersession_is_an_error)
{
        static const struct {
                const char *more;
                unsigned errors;
        } rows[] = {
                {"after = sooner\n", 2},
                {"after = vendor\n", 0},
                {"after = sooner\n[rule sooner]\nenabled = no\n", 0},
                {"after = sooner\n[rule vendor]\nset = net.ipv4.tcp_keepalive_probes = 5\n", 0},
                {"after = sooner\n[rule mine]\nmode = observe\n", 0},
                {"after = third\n[rule third]\nafter = sooner\nwhen = tcp.closing >= 100\nadvise = x\n", 3},
        };
        struct diagnostics diagnostics = {0};
        char mine[512];

        snprintf(mine, sizeof(mine), MINE "%s", rows[_i].more);
        config_free(read_two(VENDOR, mine, &diagnostics));
        ck_assert_msg(diagnostics.n == rows[_i].errors, "%s: %zu: %s", rows[_i].more, diagnostics.n,
                      diagnostics.n ? diagnostics.item[0].text : "");
        for (size_t k = 0; k < diagnostics.n; k++)
                ck_assert_ptr_nonnull(strstr(diagnostics.item[k].text, "'after' forms a circle"));
        diagnostics_free(&diagnostics);
}
END_TEST

START_TEST(a_reload_gives_the_vendors_value_back_first)
{
        begin(VENDOR, "", false);
        press(0, 200);
        ck_assert_int_eq(fin_timeout(), 30);
        begin(VENDOR, MINE, true);
        host_pass(h, 1); /* not in the same tick: the snapshot still shows the vendor's value */
        ck_assert_uint_eq(h->logged, 3);
        ck_assert(h->log[1].kind == DECISION_SUPERSEDED && h->log[1].rule == FIRST);
        ck_assert(h->log[2].kind == DECISION_ENTER && h->log[2].rule == LAST);
        ck_assert_int_eq(h->log[2].decision.change[0].original.v[0], 60);
        ck_assert_int_eq(fin_timeout(), 20);
}
END_TEST

START_TEST(what_cannot_be_given_back_is_waited_for)
{
        begin(VENDOR, "", false);
        press(0, 200);
        h->stuck = UINT32_C(1) << SYSCTL_TCP_FIN_TIMEOUT;
        begin(VENDOR, MINE, true);
        host_pass(h, 10);
        ck_assert_int_eq(fin_timeout(), 30);
        ck_assert(!policy_is_active(h->policy, LAST));
        h->stuck = 0;
        host_pass(h, 120);
        ck_assert_int_eq(fin_timeout(), 20);
}
END_TEST

/* ---- mode = observe of a rule ---- */

#define TRIAL "[rule trial]\nmode = observe\nwhen = tcp.fin_wait2 >= 100\nuntil = tcp.fin_wait2 < 50\n"

START_TEST(a_rule_that_observes_holds_nothing)
{
        begin(TRIAL "set = net.ipv4.tcp_fin_timeout = 30\nexpect = tcp.closing > 0 within 10s\n", "", false);
        host_reading(h, METRIC_TCP_CLOSING, 0);
        press(0, 200);
        host_pass(h, 20);
        CHECK_LOG(h, 1, DECISION_ENTER, 0);
        ck_assert_int_eq(h->log[0].outcome, OUTCOME_WOULD);
        ck_assert_int_eq(standing_of(0), STANDING_ACTIVE);
        ck_assert(!policy_holds(h->policy, SYSCTL_TCP_FIN_TIMEOUT));
        ck_assert_int_eq(policy_rule_value(h->policy, 0, SYSCTL_TCP_FIN_TIMEOUT)->v[0], 30);
        press(0, 0);
        ck_assert(!policy_is_active(h->policy, 0));
        ck_assert_ptr_null(policy_rule_value(h->policy, 0, SYSCTL_TCP_FIN_TIMEOUT));
        ck_assert_uint_eq(h->log[1].n, 1);
        ck_assert_int_eq(h->log[1].outcome, OUTCOME_WOULD);
}
END_TEST

/* The same sysctl, by steps, while another rule holds it. */
START_TEST(a_rule_that_observes_steps_beside_one_that_writes)
{
        begin("[rule real]\nwhen = tcp.fin_wait2 >= 100\nuntil = tcp.fin_wait2 < 50\n"
              "set = net.ipv4.tcp_fin_timeout = 30\n" TRIAL
              "lower = net.ipv4.tcp_fin_timeout /2 min 10\nevery = 10s\n",
              "", false);
        press(0, 200);
        host_pass(h, 30);
        ck_assert_int_eq(fin_timeout(), 30);
        ck_assert_int_eq(policy_value(h->policy, SYSCTL_TCP_FIN_TIMEOUT)->v[0], 30);
        ck_assert_int_eq(policy_rule_value(h->policy, 1, SYSCTL_TCP_FIN_TIMEOUT)->v[0], 10);
        ck_assert_uint_eq(policy_holders(h->policy, SYSCTL_TCP_FIN_TIMEOUT), 1);
        press(0, 0);
        host_pass(h, 5);
        ck_assert_int_eq(fin_timeout(), 60);
}
END_TEST

START_TEST(a_rule_that_observes_is_no_prerequisite)
{
        begin(TRIAL "set = net.ipv4.tcp_fin_timeout = 30\n[rule next]\nafter = trial\n"
                    "when = tcp.fin_wait1 >= 100\nset = net.ipv4.tcp_keepalive_intvl = 30\n",
              "", false);
        press(100, 200);
        host_pass(h, 5);
        ck_assert_int_eq(standing_of(1), STANDING_PREREQUISITE);
        ck_assert_int_eq(host_sysctl_value(h, SYSCTL_TCP_KEEPALIVE_INTVL), 75);
        host_sysctl(h, SYSCTL_TCP_FIN_TIMEOUT, 30); /* by hand */
        host_pass(h, 1);
        ck_assert_int_eq(standing_of(1), STANDING_ACTIVE);
}
END_TEST

START_TEST(a_rule_that_begins_to_write_starts_anew)
{
        begin(TRIAL "set = net.ipv4.tcp_fin_timeout = 30\n", "", false);
        press(0, 200);
        begin(TRIAL "set = net.ipv4.tcp_fin_timeout = 30\n", "[rule trial]\nmode = enforce\n", true);
        host_pass(h, 1);
        ck_assert_int_eq(fin_timeout(), 30);
        ck_assert(policy_holds(h->policy, SYSCTL_TCP_FIN_TIMEOUT));
}
END_TEST

/* What an earlier process wrote is not its business. */
START_TEST(a_rule_that_observes_adopts_nothing)
{
        begin(TRIAL "set = net.ipv4.tcp_fin_timeout = 30\n", "", false);
        ck_assert(!policy_adopt(h->policy, "trial", SYSCTL_TCP_FIN_TIMEOUT, &SYSCTL_VALUE(30), &SYSCTL_VALUE(60)));
}
END_TEST

static void add(TCase *tcase)
{
        tcase_add_checked_fixture(tcase, NULL, tear_down);
        tcase_add_test(tcase, the_administrators_rule_counts);
        tcase_add_test(tcase, the_administrators_rule_counts_when_it_is_read_first);
        tcase_add_loop_test(tcase, a_rule_that_changes_nothing_supersedes_nothing, 0, ELEMENTSOF(powerless));
        tcase_add_test(tcase, the_same_value_supersedes_nothing);
        tcase_add_test(tcase, after_follows_the_rule_that_counts);
        tcase_add_test(tcase, what_fails_takes_along_what_depends_on_it);
        tcase_add_test(tcase, a_rule_does_not_wait_for_what_it_supersedes);
        tcase_add_test(tcase, only_the_sysctl_is_superseded);
        tcase_add_test(tcase, after_waits_for_the_sysctl_that_is_left);
        tcase_add_loop_test(tcase, a_circle_through_supersession_is_an_error, 0, 6);
        tcase_add_test(tcase, a_reload_gives_the_vendors_value_back_first);
        tcase_add_test(tcase, what_cannot_be_given_back_is_waited_for);
        tcase_add_test(tcase, a_rule_that_observes_holds_nothing);
        tcase_add_test(tcase, a_rule_that_observes_steps_beside_one_that_writes);
        tcase_add_test(tcase, a_rule_that_observes_is_no_prerequisite);
        tcase_add_test(tcase, a_rule_that_begins_to_write_starts_anew);
        tcase_add_test(tcase, a_rule_that_observes_adopts_nothing);
}

int main(void)
{
        return run_suite("policy_supersede", add);
}

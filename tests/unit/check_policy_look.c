/* SPDX-License-Identifier: MIT */
/* When bounds do not decide a rule, the sockets have to be looked at: for what can enter or leave, and for what
 * harm would show in. (That no decision is lost without it: check_policy_need.c.) */

#include "one_host.h"

#define SET "set = net.ipv4.tcp_fin_timeout = 30\n"
#define CALM READING_VALID, 0, 0

struct known {
        enum reading_state state;
        double lower, upper;
};

/* Of a rule that is active or not, with what is known of tcp.time_wait and of tcp.established. */
static const struct {
        const char *name, *rule;
        bool active;
        struct known time_wait, established;
        bool dump_ports;
} rows[] = {
        {"the end is open",
         "when = tcp.time_wait >= 100\nuntil = tcp.time_wait < 50 for 10s\n",
         true,
         {READING_BOUNDED, 0, 200},
         {CALM},
         true},
        {"it is over",
         "when = tcp.time_wait >= 100\nuntil = tcp.time_wait < 50 for 10s\n",
         true,
         {READING_BOUNDED, 0, 40},
         {CALM},
         false},
        {"it is not over",
         "when = tcp.time_wait >= 100\nuntil = tcp.time_wait < 50 for 10s\n",
         true,
         {READING_BOUNDED, 60, 90},
         {CALM},
         false},
        {"nothing is known",
         "when = tcp.time_wait >= 100\nuntil = tcp.time_wait < 50 for 10s\n",
         true,
         {READING_INVALID, 0, 0},
         {CALM},
         false},
        {"everything is known",
         "when = tcp.time_wait >= 100\nuntil = tcp.time_wait < 50 for 10s\n",
         true,
         {READING_VALID, 70, 0},
         {CALM},
         false},
        {"the second end is open",
         "when = tcp.closing >= 100\nuntil = tcp.established < 5\nuntil = tcp.time_wait < 50\n",
         true,
         {READING_BOUNDED, 0, 200},
         {CALM},
         true},
        {"the first end is open",
         "when = tcp.closing >= 100\nuntil = tcp.established < 5\nuntil = tcp.time_wait < 50\n",
         true,
         {CALM},
         {READING_BOUNDED, 0, 9},
         true},
        {"no end of its own, the cause is open",
         "when = tcp.time_wait >= 100\n",
         true,
         {READING_BOUNDED, 0, 200},
         {CALM},
         true},
        {"no end of its own, the cause is gone",
         "when = tcp.time_wait >= 100\n",
         true,
         {READING_BOUNDED, 0, 50},
         {CALM},
         false},
        {"no end of its own, the cause is there",
         "when = tcp.time_wait >= 100\n",
         true,
         {READING_BOUNDED, 150, 200},
         {CALM},
         false},
        {"the second cause is open",
         "when = tcp.established >= 10\nwhen = tcp.time_wait >= 100\n",
         true,
         {READING_BOUNDED, 0, 200},
         {CALM},
         true},
        {"with an end the cause is no matter",
         "when = tcp.established >= 10\nuntil = tcp.time_wait < 50\n",
         true,
         {READING_BOUNDED, 0, 40},
         {READING_BOUNDED, 0, 20},
         false},
        {"it may enter", "when = tcp.time_wait >= 100\n", false, {READING_BOUNDED, 0, 200}, {CALM}, true},
        {"it cannot enter", "when = tcp.time_wait >= 100\n", false, {READING_BOUNDED, 0, 99}, {CALM}, false},
        {"it enters, known or not", "when = tcp.time_wait >= 100\n", false, {READING_VALID, 200, 0}, {CALM}, false},
        {"one cause is missing",
         "when = tcp.time_wait >= 100\nwhen = tcp.established >= 10\n",
         false,
         {READING_BOUNDED, 0, 200},
         {CALM},
         false},
        {"both are open",
         "when = tcp.time_wait >= 100\nwhen = tcp.established >= 10\n",
         false,
         {READING_BOUNDED, 0, 200},
         {READING_BOUNDED, 0, 20},
         true},
        {"a clock runs although the other cause is missing",
         "when = tcp.time_wait >= 100 for 9s\nwhen = tcp.established >= 10\n",
         false,
         {READING_BOUNDED, 0, 200},
         {CALM},
         true},
        {"the first of two clocks",
         "when = tcp.established >= 10 for 9s\nwhen = tcp.time_wait >= 100 for 9s\n",
         false,
         {CALM},
         {READING_BOUNDED, 0, 20},
         true},
        {"it may be that number", "when = tcp.time_wait == 100\n", false, {READING_BOUNDED, 0, 200}, {CALM}, true},
        {"it may be another",
         "when = tcp.closing >= 100\nuntil = tcp.time_wait != 100\n",
         true,
         {READING_BOUNDED, 0, 200},
         {CALM},
         true},
        {"both ends are that number",
         "when = tcp.closing >= 100\nuntil = tcp.time_wait != 100\n",
         true,
         {READING_BOUNDED, 50, 50},
         {CALM},
         false},
        {"both ends are less, with an order",
         "when = tcp.closing >= 100\nuntil = tcp.time_wait < 100\n",
         true,
         {READING_BOUNDED, 50, 60},
         {CALM},
         false},
        {"harm would show in it",
         "when = tcp.closing >= 100\nabort = tcp.time_wait > 3x before within 60s\n",
         false,
         {READING_BOUNDED, 0, 9},
         {CALM},
         true},
        {"harm would show in the second",
         "when = tcp.closing >= 100\nabort = tcp.established > 3x before within 60s\n"
         "abort = tcp.time_wait > 3x before within 60s\n",
         false,
         {READING_BOUNDED, 0, 9},
         {CALM},
         true},
        {"harm shows without a look",
         "when = tcp.closing >= 100\nabort = tcp.time_wait > 3x before within 60s\n",
         false,
         {READING_VALID, 9, 0},
         {READING_BOUNDED, 0, 9},
         false},
        {"a rule that is switched off",
         "enabled = no\nwhen = tcp.time_wait >= 100\n",
         false,
         {READING_BOUNDED, 0, 200},
         {CALM},
         false},
};

static void know(unsigned metric, const struct known *known)
{
        h->snapshot.reading[metric] =
                (struct reading){.state = known->state, .value = known->lower, .upper = known->upper};
}

static bool needs_dump(struct policy *policy, const struct snapshot *snapshot)
{
        return policy_evaluate(policy, snapshot)->needs_dump;
}

START_TEST(the_sockets_are_looked_at)
{
        char text[512];

        snprintf(text, sizeof(text), "[rule one]\n" SET "%s", rows[_i].rule);
        h = host_new(text);
        if (rows[_i].active) {
                ck_assert(
                        policy_adopt(h->policy, "one", SYSCTL_TCP_FIN_TIMEOUT, &SYSCTL_VALUE(30), &SYSCTL_VALUE(60)));
                host_sysctl(h, SYSCTL_TCP_FIN_TIMEOUT, 30);
        }
        host_reading(h, METRIC_TCP_CLOSING, 0);
        know(METRIC_TCP_TIME_WAIT, &rows[_i].time_wait);
        know(METRIC_TCP_ESTABLISHED, &rows[_i].established);
        ck_assert_msg(needs_dump(h->policy, &h->snapshot) == rows[_i].dump_ports, "%s: %s", rows[_i].name,
                      rows[_i].dump_ports ? "no look is asked for" : "a look is asked for");
}
END_TEST

START_TEST(an_effect_that_is_waited_for_is_looked_for)
{
        h = host_new("[rule one]\nwhen = tcp.time_wait >= 100\n" SET
                     "expect = netstat.TcpExt.TWRecycled > 0/s within 15s\n");
        host_reading(h, METRIC_TCP_TIME_WAIT, 100);
        host_reading(h, METRIC_COUNT + COUNTER_TW_RECYCLED, 0);
        ck_assert(!needs_dump(h->policy, &h->snapshot));
        host_pass(h, 1);
        ck_assert_uint_eq(h->logged, 1);
        ck_assert(needs_dump(h->policy, &h->snapshot));
        host_reading(h, METRIC_COUNT + COUNTER_TW_RECYCLED, 1);
        host_pass(h, 1);
        ck_assert(!needs_dump(h->policy, &h->snapshot));
}
END_TEST

static void add(TCase *tcase)
{
        tcase_add_checked_fixture(tcase, NULL, tear_down);
        tcase_add_loop_test(tcase, the_sockets_are_looked_at, 0, ELEMENTSOF(rows));
        tcase_add_test(tcase, an_effect_that_is_waited_for_is_looked_for);
}

int main(void)
{
        return run_suite("policy_look", add);
}

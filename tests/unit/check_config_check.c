/* SPDX-License-Identifier: MIT */
/* What can only be seen in the whole: rules that can never fire, that contradict themselves, or each other. */

#include "read_config.h"
#include "run.h"

#define R(lines) "[rule r]\n" SET lines /* what follows is on line 3 */
#define ADVICE "[rule r]\nadvise = do it\n"
#define TW "net.ipv4.tcp_max_tw_buckets"
#define FIN "net.ipv4.tcp_fin_timeout"
#define RAISE "raise = " TW " x2 max 262144\n"
#define LOWER "lower = " FIN " /2 min 15\n"
#define LISTEN "when = tcp.listen "

static const struct row {
        const char *name, *text;
        struct expected diagnostics[4];
} rows[] = {
        /* a condition that no value meets */
        {"over all of a share",
         R("when = ports.relief > 100%\n"),
         {{3, "ports.relief > 100%\" never holds: the metric goes from 0 to 100"}, {0}}},
        {"all of a share", R("when = ports.relief >= 100%\n"), {{0}}},
        {"twice a share",
         R("when = ports.bind_first >= 200%\n"),
         {{3, "ports.bind_first >= 200%\" never holds"}, {0}}},
        {"exactly twice a share", R("when = ports.relief == 200%\n"), {{3, "ports.relief == 200"}, {0}}},
        {"twice a queue", R("when = accept_queue.worst >= 200%\n"), {{0}}},
        {"twice a table", R("when = time_wait.table >= 200%\n"), {{0}}},
        {"under nothing",
         R("when = tcp.listen < 0\n"),
         {{3, "tcp.listen < 0\" never holds: the metric goes from 0 to inf"}, {0}}},
        {"nothing", R("when = tcp.listen <= 0\n"), {{0}}},
        {"a counter under nothing", R("when = netstat.TcpExt.TWRecycled < 0/s\n"), {{3, "never holds"}, {0}}},
        {"a gauge may be negative", R("when = snmp.Tcp.MaxConn < 0\n"), {{0}}},
        {"an until", R("when = tcp.listen > 5\nuntil = ports.relief > 100%\n"), {{4, "ports.relief > 100"}, {0}}},
        {"an expect", R("when = tcp.listen > 5\nexpect = tcp.closing < 0 within 5s\n"), {{4, "tcp.closing < 0"}, {0}}},
        {"in an advice", ADVICE "when = ports.relief > 100%\n", {{3, "ports.relief > 100"}, {0}}},
        {"in a raise", "[rule r]\n" RAISE "when = ports.relief > 100%\n", {{3, "ports.relief > 100"}, {0}}},
        {"all that are wrong, once a list",
         R("when = tcp.listen < 0\nwhen = ports.relief > 100%\n"),
         {{3, "tcp.listen < 0"}, {0}}},
        {"half a socket",
         R("when = tcp.listen == 0.5\n"),
         {{3, "tcp.listen == 0.5\" never holds: the metric is a whole number"}, {0}}},
        {"an until of half a socket",
         R("when = tcp.listen > 5\nuntil = tcp.established == 0.5 for 1min\n"),
         {{4, "tcp.established == 0.5 for 1min\" never holds"}, {0}}},
        {"half a byte", R("when = self.rss == 0.5kB\n"), {{0}}},
        {"half a port", R("when = ports.used == 100.5\n"), {{3, "ports.used == 100.5"}, {0}}},
        {"half of a gauge", R("when = snmp.Tcp.CurrEstab == 0.5\n"), {{3, "snmp.Tcp.CurrEstab == 0.5"}, {0}}},
        {"half a share", R("when = ports.relief == 0.5%\n"), {{0}}},
        {"half of a rate", R("when = netstat.TcpExt.TWRecycled == 0.5/s\n"), {{0}}},
        {"not half a socket", R("when = tcp.listen != 0.5\n"), {{0}}},
        {"over half a socket", R("when = tcp.listen > 0.5\n"), {{0}}},

        /* two conditions that no value meets */
        {"apart",
         R(LISTEN ">= 10\n" LISTEN "< 5\n"),
         {{4, "tcp.listen < 5\" never holds together with the conditions before it"}, {0}}},
        {"apart by nothing", R(LISTEN "> 5\n" LISTEN "< 5\n"), {{4, "tcp.listen < 5"}, {0}}},
        {"one of them open", R(LISTEN ">= 5\n" LISTEN "< 5\n"), {{4, "tcp.listen < 5"}, {0}}},
        {"the other one open", R(LISTEN "<= 5\n" LISTEN "> 5\n"), {{4, "tcp.listen > 5"}, {0}}},
        {"closed, then open", R(LISTEN ">= 5\n" LISTEN "<= 5\n" LISTEN "< 5\n"), {{5, "tcp.listen < 5"}, {0}}},
        {"both closed", R(LISTEN ">= 5\n" LISTEN "<= 5\n"), {{0}}},
        {"equal to two", R(LISTEN "== 5\n" LISTEN "== 6\n"), {{4, "tcp.listen == 6"}, {0}}},
        {"equal and over", R(LISTEN "== 5\n" LISTEN "> 5\n"), {{4, "tcp.listen > 5"}, {0}}},
        {"over and equal", R(LISTEN "> 5\n" LISTEN "== 5\n"), {{4, "tcp.listen == 5"}, {0}}},
        {"equal and not", R(LISTEN "== 5\n" LISTEN "!= 5\n"), {{4, "tcp.listen != 5"}, {0}}},
        {"a hole inside", R(LISTEN "> 5\n" LISTEN "!= 7\n"), {{0}}},
        {"not, then equal", R(LISTEN "!= 5\n" LISTEN "== 5\n"), {{4, "tcp.listen == 5"}, {0}}},
        {"not the first of two", R(LISTEN ">= 5\n" LISTEN "<= 6\n" LISTEN "!= 5\n"), {{0}}},
        {"none of two",
         R(LISTEN "!= 5\n" LISTEN "!= 6\n" LISTEN ">= 5\n" LISTEN "<= 6\n"),
         {{6, "tcp.listen <= 6\" never holds together"}, {0}}},
        {"no whole number between", R(LISTEN "> 5\n" LISTEN "< 6\n"), {{4, "tcp.listen < 6"}, {0}}},
        {"one between", R(LISTEN "> 5\n" LISTEN "< 7\n"), {{0}}},
        {"some share between", R("when = ports.relief > 5%\nwhen = ports.relief < 6%\n"), {{0}}},
        {"all of a share but that",
         R("when = ports.relief >= 100%\nwhen = ports.relief != 100%\n"),
         {{4, "ports.relief != 100%"}, {0}}},
        {"the third one",
         R(LISTEN "> 5\nwhen = ports.relief > 50%\n" LISTEN "<= 5\n"),
         {{5, "tcp.listen <= 5\" never holds together"}, {0}}},
        {"of two metrics", R("when = ports.cliff > 90%\nwhen = ports.relief < 10%\n"), {{0}}},
        {"after a file's clearing", R("when = tcp.listen > 9\nwhen =\nwhen = tcp.listen < 5\n"), {{0}}},
        {"two of until",
         R("when = tcp.closing > 5\nuntil = tcp.listen > 5\nuntil = tcp.listen < 5\n"),
         {{5, "tcp.listen < 5"}, {0}}},

        /* until at the values of when */
        {"the same", R(LISTEN "> 5\nuntil = tcp.listen > 5\n"), {{4, "'until' contradicts 'when'"}, {0}}},
        {"upside down",
         R("when = ports.forecast >= 80%\nuntil = ports.forecast < 90%\n"),
         {{4, "'until' contradicts"}, {0}}},
        {"touching", R(LISTEN ">= 5\nuntil = tcp.listen <= 5\n"), {{4, "'until' contradicts 'when'"}, {0}}},
        {"apart by a socket", R(LISTEN "> 5\nuntil = tcp.listen < 6\n"), {{0}}},
        {"just apart", R(LISTEN ">= 5\nuntil = tcp.listen < 5\n"), {{0}}},
        {"apart", R(LISTEN ">= 5\nuntil = tcp.listen < 3 for 1min\n"), {{0}}},
        {"with for", R(LISTEN ">= 5 for 1min\nuntil = tcp.listen < 9 for 1min\n"), {{4, "'until' contradicts"}, {0}}},
        {"a metric of its own", R(LISTEN ">= 5\nuntil = tcp.closing > 5\n"), {{0}}},
        {"and one of its own", R(LISTEN ">= 5\nuntil = tcp.listen < 9\nuntil = tcp.closing < 5\n"), {{0}}},
        {"two, one apart",
         R(LISTEN ">= 5\nwhen = tcp.closing >= 5\nuntil = tcp.listen < 9\nuntil = tcp.closing < 5\n"),
         {{0}}},
        {"two, none apart",
         R(LISTEN ">= 5\nwhen = tcp.closing >= 5\nuntil = tcp.listen < 9\nuntil = tcp.closing < 9\n"),
         {{5, "'until' contradicts 'when'"}, {0}}},
        {"no longer that", R(LISTEN "== 5\nuntil = tcp.listen != 5\n"), {{0}}},
        {"that again", R(LISTEN "!= 5\nuntil = tcp.listen == 5\n"), {{0}}},
        {"not nothing", R(LISTEN "!= 0\nuntil = tcp.listen == 0\n"), {{0}}},
        {"not nothing, then at most nothing", R(LISTEN "!= 0\nuntil = tcp.listen <= 0\n"), {{0}}},
        {"not all, then all", R("when = ports.relief != 100%\nuntil = ports.relief >= 100%\n"), {{0}}},
        {"not that", R(LISTEN "!= 5\nuntil = tcp.listen == 6\n"), {{4, "'until' contradicts 'when'"}, {0}}},
        {"of an advice", ADVICE LISTEN "> 5\nuntil = tcp.listen > 6\n", {{4, "'until' contradicts 'when'"}, {0}}},
        {"a table, upside down",
         "[rule r]\n" RAISE "when = time_wait.table >= 80%\nuntil = time_wait.table < 100%\n",
         {{4, "'until' contradicts 'when'"}, {0}}},

        /* nothing to watch, nothing to do */
        {"no action", "[rule r]\nwhen = tcp.listen > 5\n", {{1, "no 'set', 'raise', 'lower' or 'advise'"}, {0}}},
        {"cleared actions",
         "[rule r]\nwhen = tcp.listen > 5\n" SET RAISE LOWER "set =\nraise =\nlower =\n",
         {{1, "no 'set', 'raise', 'lower' or 'advise'"}, {0}}},
        {"cleared advice", ADVICE LISTEN "> 5\nadvise =\n", {{1, "no 'set', 'raise', 'lower' or 'advise'"}, {0}}},
        {"advice without when", ADVICE, {{1, "rule r has no 'when'"}, {0}}},
        {"raise alone", "[rule r]\n" RAISE LISTEN "> 5\n", {{0}}},
        {"lower alone", "[rule r]\n" LOWER LISTEN "> 5\n", {{0}}},
        {"advice alone", ADVICE LISTEN "> 5\n", {{0}}},
        {"advice that expects",
         ADVICE LISTEN "> 5\nexpect = tcp.closing > 5 within 5s\n",
         {{4, "rule r changes nothing, so there is no effect to watch"}, {0}}},
        {"advice that aborts",
         ADVICE LISTEN "> 5\nabort = opens.resets > 3x before within 5s\n",
         {{4, "changes nothing"}, {0}}},
        {"an action that expects", R(LISTEN "> 5\nadvise = x\nexpect = tcp.closing > 5 within 5s\n"), {{0}}},
        {"more at once than the limits allow",
         "[limits]\nchanges_per_minute = 1\n[rule r]\n" LISTEN "> 5\n" SET RAISE,
         {{3, "rule r sets 2 sysctls at once, changes_per_minute allows 1"}, {0}}},

        /* two actions, one sysctl */
        {"twice in one rule", R(LISTEN "> 5\n" SET), {{4, "net.ipv4.tcp_tw_reuse is set twice in one rule"}, {0}}},
        {"set and raised",
         "[rule r]\n" LISTEN "> 5\n" RAISE "set = " TW " = 262144\n",
         {{4, TW " is also changed at a.conf:3: a sysctl that is raised or lowered may not be"}, {0}}},
        {"raised twice", "[rule r]\n" LISTEN "> 5\n" RAISE RAISE, {{4, "is also changed at a.conf:3"}, {0}}},
        {"raised by two rules",
         "[rule r]\n" LISTEN "> 5\n" RAISE "[rule s]\n" LISTEN "> 5\n" RAISE,
         {{6, "is also changed at a.conf:3"}, {0}}},
        {"raised and set by two rules",
         "[rule r]\n" LISTEN "> 5\n" RAISE "[rule s]\n" LISTEN "> 5\nset = " TW " = 262144\n",
         {{6, "is also changed at a.conf:3"}, {0}}},
        {"raised and lowered",
         "[rule r]\n" LISTEN "> 5\nraise = " FIN " x2 max 60\n" LOWER,
         {{4, "is also changed at a.conf:3"}, {0}}},
        {"the first of two rules is disabled",
         "[rule r]\nenabled = no\n" LISTEN "> 5\n" RAISE "[rule s]\n" LISTEN "> 5\n" RAISE,
         {{0}}},
        {"one of two rules is disabled",
         "[rule r]\n" LISTEN "> 5\n" RAISE "[rule s]\nenabled = no\n" LISTEN "> 5\n" RAISE,
         {{0}}},

        /* what [limits] narrowed */
        {"set over a narrowed bound",
         "[limits]\n" FIN " = max 20\n[rule r]\n" LISTEN "> 5\nset = " FIN " = 30\n",
         {{5, "30 is outside 10-20 for " FIN " (narrowed in a.conf:2)"}, {0}}},
        {"set under a narrowed bound",
         "[limits]\n" FIN " = min 40\n[rule r]\n" LISTEN "> 5\nset = " FIN " = 30\n",
         {{5, "30 is outside 40-120 for " FIN " (narrowed in a.conf:2)"}, {0}}},
        {"set on a narrowed bound",
         "[limits]\n" FIN " = max 30\n[rule r]\n" LISTEN "> 5\nset = " FIN " = 30\n",
         {{0}}},
        {"limits that come after the rule",
         "[rule r]\n" LISTEN "> 5\nset = " FIN " = 30\n[limits]\n" FIN " = max 20\n",
         {{3, "(narrowed in a.conf:5)"}, {0}}},
        {"the last of them counts",
         "[limits]\n" FIN " = max 20\n" FIN " = max 30\n[rule r]\n" LISTEN "> 5\nset = " FIN " = 30\n",
         {{0}}},
        {"bounds given back",
         "[limits]\n" FIN " = max 20\n" FIN " =\n[rule r]\n" LISTEN "> 5\nset = " FIN " = 30\n",
         {{0}}},
        {"of a disabled rule",
         "[limits]\n" FIN " = max 20\n[rule r]\nenabled = no\n" LISTEN "> 5\nset = " FIN " = 30\n",
         {{0}}},
        {"a raise beyond is clipped", "[limits]\n" TW " = max 131072\n[rule r]\n" LISTEN "> 5\n" RAISE, {{0}}},
        {"a lower beyond is clipped", "[limits]\n" FIN " = min 30\n[rule r]\n" LISTEN "> 5\n" LOWER, {{0}}},
        {"a range beyond is clipped",
         "[limits]\nnet.ipv4.ip_local_port_range = min 10000\n[rule r]\n" LISTEN
         "> 5\nset = net.ipv4.ip_local_port_range = 1024 65535\n",
         {{0}}},
        {"a raise that ends short of the bounds",
         "[limits]\n" TW " = min 524288\n[rule r]\n" LISTEN "> 5\n" RAISE,
         {{5, "262144 is outside 524288-16777216 for " TW " (narrowed in a.conf:2)"}, {0}}},
        {"a lower that ends short of the bounds",
         "[limits]\n" FIN " = max 12\n[rule r]\n" LISTEN "> 5\n" LOWER,
         {{5, "15 is outside 10-12 for " FIN " (narrowed in a.conf:2)"}, {0}}},
};

START_TEST(the_whole)
{
        read_all(rows[_i].text);
        expect_diagnostics(rows[_i].name, "a.conf", rows[_i].diagnostics, &diagnostics);
}
END_TEST

/* What is accepted, but hardly meant. */
static const struct row warned[] = {
        {"elsewhere",
         R(LISTEN ">= 1\nuntil = ports.demand < 50%\n"),
         {{4, "'until' uses ports.demand, which no 'when' uses, and has no 'for': while 'when' and 'until' both hold, "
              "the rule acts "
              "and is "
              "released again and again"},
          {0}}},
        {"elsewhere, for some time", R(LISTEN ">= 1\nuntil = ports.demand < 50% for 1s\n"), {{0}}},
        {"one of them elsewhere",
         R(LISTEN ">= 5\nuntil = tcp.listen < 9\nuntil = tcp.closing < 5\n"),
         {{5, "'until' uses tcp.closing"}, {0}}},
        {"one of them for some time",
         R(LISTEN ">= 5\nuntil = tcp.listen < 9 for 1s\nuntil = tcp.closing < 5\n"),
         {{0}}},
        {"one of them apart", R(LISTEN ">= 5\nuntil = tcp.closing < 5\nuntil = tcp.listen < 5\n"), {{0}}},
        {"the same", R(LISTEN ">= 5\nuntil = tcp.listen < 5\n"), {{0}}},
        {"no until", R(LISTEN ">= 5\n"), {{0}}},
        {"a long interval", "[daemon]\ninterval = 6s\n", {{2, "interval = 6s: with more than 5s, "}, {0}}},
        {"the longest that is fine", "[daemon]\ninterval = 5s\n", {{0}}},
        {"of advice", ADVICE LISTEN ">= 5\nuntil = tcp.closing < 5\n", {{4, "'until' uses tcp.closing"}, {0}}},
};

START_TEST(what_is_hardly_meant)
{
        read_all(warned[_i].text);
        expect_none(warned[_i].name, &diagnostics);
        expect_diagnostics(warned[_i].name, "a.conf", warned[_i].diagnostics, &config->warnings);
}
END_TEST

/* Only for a condition that never holds: the daemon starts without the rule. */
START_TEST(a_rule_that_never_holds_is_off)
{
        read_all(R("when = tcp.listen == 0.5\nuntil = tcp.listen < 0\n") "[rule s]\n" SET "when = tcp.listen < 0\n");
        ck_assert_uint_eq(diagnostics.n, 2);
        ck_assert(diagnostics_are_rules_off(&diagnostics));
        ck_assert(find_rule("r")->disabled && find_rule("s")->disabled);
        end();
        read_all(R("when = tcp.listen == 0.5\n") "[rule s]\n" SET "when = tcp.listen > 5\nset = " FIN " = 5000\n");
        ck_assert_uint_eq(diagnostics.n, 2);
        ck_assert(!diagnostics_are_rules_off(&diagnostics));
        ck_assert(find_rule("r")->disabled && !find_rule("s")->disabled);
        end();
        read_all(RULE);
        ck_assert(!diagnostics_are_rules_off(&diagnostics)); /* nothing is wrong */
}
END_TEST

/* A rule that is off says nothing against another. */
START_TEST(a_rule_that_is_off_opposes_nothing)
{
        read_all("[rule r]\nset = " FIN " = 30\nwhen = tcp.listen == 0.5\n"
                 "[rule s]\nset = " FIN " = 20\nwhen = tcp.listen > 5\n");
        expect_one("off", "a.conf", 3, "never holds", &diagnostics);
}
END_TEST

START_TEST(the_file_that_narrowed_is_named)
{
        read_file("policy.conf", "[rule r]\n" LISTEN "> 5\nset = " FIN " = 30\n");
        read_file("twtuned.conf", "[limits]\n\n" FIN " = max 20\n");
        config_check(config, &diagnostics);
        expect_one("two files", "policy.conf", 3, "(narrowed in twtuned.conf:3)", &diagnostics);
}
END_TEST

static void add(TCase *tcase)
{
        tcase_add_checked_fixture(tcase, NULL, end);
        tcase_add_loop_test(tcase, the_whole, 0, ELEMENTSOF(rows));
        tcase_add_loop_test(tcase, what_is_hardly_meant, 0, ELEMENTSOF(warned));
        tcase_add_test(tcase, a_rule_that_never_holds_is_off);
        tcase_add_test(tcase, a_rule_that_is_off_opposes_nothing);
        tcase_add_test(tcase, the_file_that_narrowed_is_named);
}

int main(void)
{
        return run_suite("config_check", add);
}

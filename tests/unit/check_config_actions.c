/* SPDX-License-Identifier: MIT */
/* raise, lower, every, advise and the bounds in [limits]: taken, cleared, and overridden by a later file. */

#include "read_config.h"
#include "run.h"

#define S NSEC_PER_SEC
#define TW "net.ipv4.tcp_max_tw_buckets"
#define FIN "net.ipv4.tcp_fin_timeout"
#define RAISE "raise = " TW " x2 max 262144\n"
#define LOWER "lower = " FIN " /1.5 min 15\n"
#define ALL "[rule r]\n" WHEN SET RAISE LOWER "every = 30s\nadvise = one\n"

static const struct rule *rule(void)
{
        return find_rule("r");
}

/* The rule's actions are on these sysctls, in this order. */
static void expect_actions(unsigned n, const enum sysctl_id sysctls[])
{
        ck_assert_uint_eq(rule()->n_actions, n);
        for (unsigned i = 0; i < n; i++)
                ck_assert_msg(rule()->action[i].sysctl == sysctls[i], "action %u is of %s", i,
                              sysctl_table[rule()->action[i].sysctl].name);
}

#define EXPECT_ACTIONS(n, ...) expect_actions(n, (const enum sysctl_id[]){__VA_ARGS__})

static void expect_bounds(enum sysctl_id id, int64_t min, int64_t max)
{
        ck_assert_int_eq(config->bounds[id].min, min);
        ck_assert_int_eq(config->bounds[id].max, max);
}

START_TEST(defaults)
{
        read_all(RULE);
        ck_assert_uint_eq(rule()->every_ns, 10 * S);
        ck_assert_ptr_null(rule()->advise);
        for (unsigned id = 0; id < SYSCTL_COUNT; id++) {
                expect_bounds(id, sysctl_table[id].bounds.min, sysctl_table[id].bounds.max);
                ck_assert_uint_eq(config->bounds_at[id].line, 0);
        }
}
END_TEST

START_TEST(keys_are_taken)
{
        read_all(ALL "advise = two; with = and #\n[limits]\n" TW " = max 1048576\n" FIN " = min 12 max 60\n");
        expect_none("all", &diagnostics);
        EXPECT_ACTIONS(3, SYSCTL_TCP_TW_REUSE, SYSCTL_TCP_MAX_TW_BUCKETS, SYSCTL_TCP_FIN_TIMEOUT);
        ck_assert_int_eq(rule()->action[1].kind, ACTION_RAISE);
        ck_assert(is(rule()->action[1].factor, 2) && rule()->action[1].value.v[0] == 262144);
        ck_assert_int_eq(rule()->action[2].kind, ACTION_LOWER);
        ck_assert(is(rule()->action[2].factor, 1.5) && rule()->action[2].value.v[0] == 15);
        ck_assert_uint_eq(rule()->action[2].at.line, 5);
        ck_assert_uint_eq(rule()->every_ns, 30 * S);
        ck_assert_str_eq(rule()->advise, "one two; with = and #");
        expect_bounds(SYSCTL_TCP_MAX_TW_BUCKETS, 65536, 1048576);
        expect_bounds(SYSCTL_TCP_FIN_TIMEOUT, 12, 60);
        ck_assert_uint_eq(config->bounds_at[SYSCTL_TCP_FIN_TIMEOUT].line, 11);
}
END_TEST

static const struct cleared {
        const char *line;
        unsigned n;
        enum sysctl_id left[3];
} cleared[] = {
        {"set =\n", 2, {SYSCTL_TCP_MAX_TW_BUCKETS, SYSCTL_TCP_FIN_TIMEOUT}},
        {"raise =\n", 2, {SYSCTL_TCP_TW_REUSE, SYSCTL_TCP_FIN_TIMEOUT}},
        {"lower =\n", 2, {SYSCTL_TCP_TW_REUSE, SYSCTL_TCP_MAX_TW_BUCKETS}},
        {"lower =\nset =\n", 1, {SYSCTL_TCP_MAX_TW_BUCKETS}},
        {"set =\nraise =\nlower =\n", 0, {0}},
        {"raise =\n" RAISE, 3, {SYSCTL_TCP_TW_REUSE, SYSCTL_TCP_FIN_TIMEOUT, SYSCTL_TCP_MAX_TW_BUCKETS}},
};

START_TEST(an_empty_value_clears_its_kind_alone)
{
        char text[256];

        snprintf(text, sizeof(text), "[rule r]\n%s", cleared[_i].line);
        read_file("a.conf", ALL);
        read_file("b.conf", text);
        expect_none(cleared[_i].line, &diagnostics);
        expect_actions(cleared[_i].n, cleared[_i].left);
        ck_assert_str_eq(rule()->advise, "one");
}
END_TEST

/* Four sysctls in all, of whatever kind. */
START_TEST(actions_have_a_capacity)
{
        read_file("a.conf", ALL "set = net.core.somaxconn = 8192\n" RAISE);
        expect_one("a fifth", "a.conf", 9, "more than 4 lines 'set', 'raise' and 'lower' in one rule", &diagnostics);
        diagnostics_free(&diagnostics);
        read_file("b.conf", "[rule r]\nlower =\nraise = net.ipv4.tcp_max_orphans x2 max 65536\n");
        expect_none("room again", &diagnostics);
        EXPECT_ACTIONS(4, SYSCTL_TCP_TW_REUSE, SYSCTL_TCP_MAX_TW_BUCKETS, SYSCTL_SOMAXCONN, SYSCTL_TCP_MAX_ORPHANS);
}
END_TEST

START_TEST(advice_is_cleared_and_replaced)
{
        read_file("a.conf", ALL "advise = two\n");
        ck_assert_str_eq(rule()->advise, "one two");
        read_file("b.conf", "[rule r]\nadvise =\n");
        ck_assert_ptr_null(rule()->advise);
        read_file("c.conf", "[rule r]\nadvise = three\nadvise =\nadvise = four\n");
        ck_assert_str_eq(rule()->advise, "four");
        expect_none("advice", &diagnostics);
}
END_TEST

START_TEST(one_word_wins_over_the_one_before)
{
        read_file("policy.conf", ALL);
        read_file("twtuned.conf", "[rule r]\nevery = 1min\nevery = 2min\n");
        ck_assert_uint_eq(rule()->every_ns, 120 * S);
        read_file("50-own.conf", "[rule r]\nevery = 500ms\n");
        ck_assert_uint_eq(rule()->every_ns, S / 2);
        EXPECT_ACTIONS(3, SYSCTL_TCP_TW_REUSE, SYSCTL_TCP_MAX_TW_BUCKETS, SYSCTL_TCP_FIN_TIMEOUT);
        expect_none("every", &diagnostics);
}
END_TEST

/* Files of the vendor and the administrator, and a drop-in: each may replace the bounds, also by wider ones. */
START_TEST(bounds_of_three_files)
{
        read_file("policy.conf", "[limits]\n" TW " = max 262144\n" FIN " = max 30\n");
        read_file("twtuned.conf", "[limits]\n\n" TW " = max 1048576\n");
        expect_bounds(SYSCTL_TCP_MAX_TW_BUCKETS, 65536, 1048576);
        ck_assert_str_eq(config->bounds_at[SYSCTL_TCP_MAX_TW_BUCKETS].file, "twtuned.conf");
        ck_assert_uint_eq(config->bounds_at[SYSCTL_TCP_MAX_TW_BUCKETS].line, 3);

        read_file("50-own.conf", "[limits]\n" TW " = min 131072\n"); /* replaces the whole value */
        expect_bounds(SYSCTL_TCP_MAX_TW_BUCKETS, 131072, 16777216);
        expect_bounds(SYSCTL_TCP_FIN_TIMEOUT, 10, 30);

        read_file("60-own.conf", "[limits]\n" TW " =\nnet/ipv4/tcp_fin_timeout =\n");
        expect_bounds(SYSCTL_TCP_MAX_TW_BUCKETS, 65536, 16777216);
        expect_bounds(SYSCTL_TCP_FIN_TIMEOUT, 10, 120);
        ck_assert_uint_eq(config->bounds_at[SYSCTL_TCP_MAX_TW_BUCKETS].line, 0);
        for (size_t i = 0; i < config->values.n; i++)
                ck_abort_msg("%s is still in effect", config->values.item[i].key);
        expect_none("bounds", &diagnostics);
}
END_TEST

static const struct row {
        const char *name, *text;
        struct expected diagnostics[3];
} rows[] = {
        {"every", RULE "every = 10\n", {{4, "invalid duration '10': write a number and ms, s, min or h"}, {0}}},
        {"negative every", RULE "every = -1s\n", {{4, "invalid duration '-1s'"}, {0}}},
        {"huge every", RULE "every = 9999999999h\n", {{4, "duration '9999999999h' is longer than a year"}, {0}}},
        {"empty every", RULE "every =\n", {{4, "invalid duration ''"}, {0}}},
        {"raise", RULE "raise = " TW " x1 max 262144\n", {{4, "': write SYSCTL xN max LIMIT"}, {0}}},
        {"lower", RULE "lower = " FIN " /0 min 15\n", {{4, "': write SYSCTL /N min LIMIT"}, {0}}},
        {"a comment after it", RULE "raise = " TW " x2 max 262144 ; or so\n", {{4, "put '; or so' on a line"}, {0}}},
        {"another one after it", RULE "raise = " TW " x2 max 262144 # or so\n", {{4, "' for " TW}, {0}}},
        {"the raise is what is wrong", "[rule r]\n" WHEN "raise = x\n", {{3, "invalid value 'x'"}, {0}}},
        {"the advice is what is wrong",
         "[rule r]\n" WHEN "advice = x\n",
         {{3, "'advice', did you mean advise?"}, {0}}},
        {"misspelt raise", RULE "rais = x\n", {{4, "unknown key 'rais', did you mean raise?"}, {0}}},
        {"misspelt lower", RULE "lowr = x\n", {{4, "unknown key 'lowr', did you mean lower?"}, {0}}},
        {"misspelt every", RULE "evry = x\n", {{4, "unknown key 'evry', did you mean every?"}, {0}}},
        {"key of two words", RULE "raise it = x\n", {{4, "a key is one word"}, {0}}},
        {"limits in a rule", RULE FIN " = max 60\n", {{4, "unknown key '" FIN "'"}, {0}}},

        {"unknown sysctl of limits",
         "[limits]\nnet.ipv4.tcp_max_tw_bucket = max 9\n",
         {{2, "unknown sysctl 'net.ipv4.tcp_max_tw_bucket', did you mean " TW "?"}, {0}}},
        {"with slashes", "[limits]\nnet/ipv4/tcp_fin_timeout = max 9\n", {{2, "'max 9' leaves no value"}, {0}}},
        {"with slashes and misspelt",
         "[limits]\nnet/ipv4/tcp_fin_timout = max 60\n",
         {{2, "unknown sysctl 'net/ipv4/tcp_fin_timout', did you mean " FIN "?"}, {0}}},
        {"its last word alone",
         "[limits]\ntcp_fin_timeout = max 60\n",
         {{2, "unknown key 'tcp_fin_timeout', did you mean " FIN "?"}, {0}}},
        {"widened", "[limits]\n" FIN " = max 121\n", {{2, "'max 121' widens the bounds"}, {0}}},
        {"one of two lines is wrong",
         "[limits]\n" FIN " = max 60\n" FIN " = max many\n",
         {{3, "invalid bounds 'max many'"}, {0}}},
        {"never written", "[limits]\nnet.ipv4.tcp_timestamps = max 1\n", {{2, "is never written"}, {0}}},
        {"never written, with a blank key", "[limits]\nnet.ipv4. tcp_mem = max 1\n", {{2, "a key is one word"}, {0}}},
};

START_TEST(bad_input)
{
        read_all(rows[_i].text);
        expect_diagnostics(rows[_i].name, "a.conf", rows[_i].diagnostics, &diagnostics);
}
END_TEST

START_TEST(a_wrong_line_of_limits_changes_nothing)
{
        read_all("[limits]\n" FIN " = max 60\n" FIN " = max 30 min 40\n" FIN " = max 200\n" FIN " = x\n");
        ck_assert_uint_eq(diagnostics.n, 3);
        expect_bounds(SYSCTL_TCP_FIN_TIMEOUT, 10, 60);
        ck_assert_uint_eq(config->bounds_at[SYSCTL_TCP_FIN_TIMEOUT].line, 2);
}
END_TEST

/* Each of many errors has its own line. */
START_TEST(thousands_of_rules)
{
        size_t size = 5000 * 64, used = 0;
        char *text = malloc(size);

        for (unsigned i = 0; i < 5000; i++)
                used += (size_t)snprintf(text + used, size - used, "[rule r%u]\nadvise = x\nwhen = tcp.listen > 5\n",
                                         i);
        read_all(text);
        free(text);
        ck_assert_uint_eq(config->n_rules, RULES_MAX);
        ck_assert_uint_eq(diagnostics.n, 5000 - RULES_MAX);
        for (size_t i = 0; i < diagnostics.n; i++)
                ck_assert_uint_eq(diagnostics.item[i].at.line, 3 * (RULES_MAX + i) + 1);
}
END_TEST

static void add(TCase *tcase)
{
        tcase_add_checked_fixture(tcase, NULL, end);
        tcase_add_test(tcase, defaults);
        tcase_add_test(tcase, keys_are_taken);
        tcase_add_loop_test(tcase, an_empty_value_clears_its_kind_alone, 0, ELEMENTSOF(cleared));
        tcase_add_test(tcase, actions_have_a_capacity);
        tcase_add_test(tcase, advice_is_cleared_and_replaced);
        tcase_add_test(tcase, one_word_wins_over_the_one_before);
        tcase_add_test(tcase, bounds_of_three_files);
        tcase_add_loop_test(tcase, bad_input, 0, ELEMENTSOF(rows));
        tcase_add_test(tcase, a_wrong_line_of_limits_changes_nothing);
        tcase_add_test(tcase, thousands_of_rules);
}

int main(void)
{
        return run_suite("config_actions", add);
}

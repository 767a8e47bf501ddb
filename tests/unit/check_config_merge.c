/* SPDX-License-Identifier: MIT */
/* Several files, read over each other key by key. */

#include "read_config.h"
#include "run.h"

#define S NSEC_PER_SEC

START_TEST(files_have_a_capacity)
{
        char name[32];

        for (unsigned i = 0; i < CONFIG_FILES_MAX; i++) {
                snprintf(name, sizeof(name), "%u.conf", i);
                read_file(name, i % 2 ? "[daemon]\nmode = observe\n" : "[daemon]\nmode = enforce\n");
        }
        expect_none("as many as there may be", &diagnostics);
        ck_assert(config->observe);
        read_file("more.conf", "[daemon]\nmode = enforce\n");
        expect_one("one more", "twtuned", 0, "more than 64 files: more.conf is not read", &diagnostics);
        ck_assert(config->observe);
        end();
}
END_TEST

START_TEST(later_files_win_key_by_key)
{
        const struct rule *r;

        read_file("a.conf", "[daemon]\ninterval = 2s\nmode = observe\nrestore_on_exit = no\n[limits]\n"
                            "changes_per_minute = 3\nmin_interval = 1s\n" RULE
                            "description = first\nretry = 1min\nrelease = keep\nenabled = no\n"
                            "expect = tcp.listen > 0 within 1s\nafter = nobody\n");
        read_file("b.conf", "[daemon]\nmode = enforce\n[limits]\nmin_interval = 2s\n"
                            "[rule r]\ndescription = second\nenabled = yes\nafter =\n");
        config_check(config, &diagnostics);
        expect_none("two files", &diagnostics);
        ck_assert(config->interval_ns == 2 * S && !config->observe && !config->restore_on_exit);
        ck_assert(is(config->changes_per_minute, 3) && config->min_interval_ns == 2 * S);
        r = find_rule("r");
        ck_assert_uint_eq(config->n_rules, 1);
        ck_assert_str_eq(r->description, "second");
        ck_assert(!r->disabled && r->retry_ns == 60 * S && r->keep && r->has_expect && r->after == RULE_NONE);
        ck_assert(r->n_when == 1 && r->n_actions == 1);
        ck_assert_str_eq(r->at.file, "a.conf");
        end();
}
END_TEST

START_TEST(lists_grow_until_they_are_cleared)
{
        const struct rule *r;

        read_file("a.conf", RULE "until = ports.demand < 1%\nabort = opens.resets > 2x before within 1s\n");
        read_file("b.conf", "[rule r]\nwhen = ports.relief > 1%\nuntil =\nuntil = ports.demand < 2%\n"
                            "set =\nset = net.ipv4.tcp_fin_timeout = 30\nabort =\n");
        config_check(config, &diagnostics);
        expect_none("lists", &diagnostics);
        r = find_rule("r");
        ck_assert_uint_eq(r->n_when, 2);
        ck_assert(r->when[1].metric == METRIC_PORTS_RELIEF && r->when[1].at.line == 2);
        ck_assert_str_eq(r->when[0].at.file, "a.conf");
        ck_assert_str_eq(r->when[1].at.file, "b.conf");
        ck_assert(r->n_until == 1 && is(r->until[0].number, 2));
        ck_assert(r->n_actions == 1 && r->action[0].sysctl == SYSCTL_TCP_FIN_TIMEOUT);
        ck_assert_uint_eq(r->n_abort, 0);
        end();
}
END_TEST

START_TEST(expect_is_cleared_and_replaced)
{
        read_file("a.conf", RULE "expect = tcp.listen > 0 within 1s\n");
        read_file("b.conf", "[rule r]\nexpect =\n");
        ck_assert(!find_rule("r")->has_expect);
        read_file("c.conf", "[rule r]\nexpect = tcp.listen > 5 within 2s\n");
        ck_assert(find_rule("r")->has_expect && is(find_rule("r")->expect.number, 5));
        expect_none("expect", &diagnostics);
        end();
}
END_TEST

/* The section of a file does not reach into the next one. */
START_TEST(each_file_begins_outside_of_sections)
{
        read_file("a.conf", "[daemon]\n");
        read_file("b.conf", "mode = observe\n");
        expect_one("second file", "b.conf", 1, "comes before the first section", &diagnostics);
        ck_assert(!config->observe);
        end();
}
END_TEST

START_TEST(diagnostic_names_the_file_that_said_it)
{
        read_file("a.conf", RULE "after = nobody\n");
        read_file("b.conf", "[rule s]\n" WHEN "set = net.ipv4.tcp_tw_reuse = 2\n");
        config_check(config, &diagnostics);
        ck_assert_uint_eq(diagnostics.n, 2);
        ck_assert_str_eq(diagnostics.item[0].at.file, "a.conf");
        ck_assert_uint_eq(diagnostics.item[0].at.line, 4);
        ck_assert_str_eq(diagnostics.item[1].at.file, "b.conf");
        ck_assert_uint_eq(diagnostics.item[1].at.line, 3);
        ck_assert_msg(strstr(diagnostics.item[1].text, "a.conf:3"), "%s", diagnostics.item[1].text);
        end();
}
END_TEST

START_TEST(diagnostics_of_all_files_are_in_order)
{
        read_file("a.conf", "[rule r]\n[daemon]\nmode = x\n");
        read_file("b.conf", "[rule s]\n[daemon]\nmode = y\n");
        config_check(config, &diagnostics);
        diagnostics_sort(&diagnostics);
        ck_assert_uint_eq(diagnostics.n, 4);
        for (unsigned i = 0; i < 4; i++) {
                ck_assert_msg(strcmp(diagnostics.item[i].at.file, i < 2 ? "a.conf" : "b.conf") == 0,
                              "diagnostic %u: %s", i, diagnostics.item[i].at.file);
                ck_assert_msg(diagnostics.item[i].at.line == (i % 2 ? 3 : 1), "diagnostic %u: line %u", i,
                              diagnostics.item[i].at.line);
        }
        end();
}
END_TEST

static void add(TCase *tcase)
{
        tcase_add_checked_fixture(tcase, NULL, end);
        tcase_add_test(tcase, files_have_a_capacity);
        tcase_add_test(tcase, later_files_win_key_by_key);
        tcase_add_test(tcase, lists_grow_until_they_are_cleared);
        tcase_add_test(tcase, expect_is_cleared_and_replaced);
        tcase_add_test(tcase, each_file_begins_outside_of_sections);
        tcase_add_test(tcase, diagnostic_names_the_file_that_said_it);
        tcase_add_test(tcase, diagnostics_of_all_files_are_in_order);
}

int main(void)
{
        return run_suite("config_merge", add);
}

/* SPDX-License-Identifier: MIT */
#include "lib/util/diagnostics.h"

#include <malloc.h>
#include <stdio.h>
#include <string.h>

#include "lib/util/macro.h"
#include "run.h"

START_TEST(text_is_formatted_and_owned)
{
        struct diagnostics diagnostics = {0};
        char word[] = "word";

        diagnostic_add(&diagnostics, (struct origin){"a.conf", 3}, "%s %d 100%%", word, -5);
        word[0] = 'W';
        ck_assert_uint_eq(diagnostics.n, 1);
        ck_assert_str_eq(diagnostics.item[0].text, "word -5 100%");
        ck_assert_str_eq(diagnostics.item[0].at.file, "a.conf");
        ck_assert_uint_eq(diagnostics.item[0].at.line, 3);
        diagnostics_free(&diagnostics);
        ck_assert_uint_eq(diagnostics.n, 0);
        ck_assert_ptr_null(diagnostics.item);
        diagnostics_free(&diagnostics);
}
END_TEST

START_TEST(many_and_long_ones_are_kept)
{
        struct diagnostics diagnostics = {0};
        static char text[100000];

        memset(text, 'x', sizeof(text) - 1);
        for (unsigned i = 1; i <= 1000; i++)
                diagnostic_add(&diagnostics, (struct origin){"a.conf", i}, "%u", i);
        diagnostic_add(&diagnostics, (struct origin){"a.conf", 1001}, "%s", text);
        diagnostic_add(&diagnostics, (struct origin){"a.conf", 1002}, "%s", "");
        ck_assert_uint_eq(diagnostics.n, 1002);
        ck_assert_str_eq(diagnostics.item[999].text, "1000");
        ck_assert_str_eq(diagnostics.item[1000].text, text);
        ck_assert_str_eq(diagnostics.item[1001].text, "");
        diagnostics_free(&diagnostics);
}
END_TEST

/* As diagnostic_add() leaves it when there was no memory for the first one: counted, with no list. */
START_TEST(one_without_memory_stays_counted)
{
        struct diagnostics diagnostics = {.n = 1};

        diagnostics_sort(&diagnostics);
        diagnostics_free(&diagnostics);
        ck_assert_uint_eq(diagnostics.n, 0);
}
END_TEST

START_TEST(memory_that_comes_back_is_used_well)
{
        struct diagnostics diagnostics = {.n = 1};

        mallopt(M_PERTURB, 0x5a); /* unwritten memory shows */
        diagnostic_add(&diagnostics, (struct origin){"a.conf", 3}, "after a lack of memory");
        ck_assert_uint_ge(diagnostics.n, 1);
        ck_assert_msg(diagnostics.n == 1 || !diagnostics.item[0].text, "the lost one has text %p",
                      (void *)diagnostics.item[0].text);
        ck_assert_str_eq(diagnostics.item[diagnostics.n - 1].text, "after a lack of memory");
        diagnostics_free(&diagnostics);
}
END_TEST

/* In: origins and, as text, their number. Out: the numbers in order. */
static const struct sorting {
        const char *row;
        struct origin at[8];
        const char *order;
} sortings[] = {
        {"none", {{0}}, ""},
        {"one", {{"a", 1}}, "0"},
        {"sorted", {{"a", 1}, {"a", 2}, {"a", 3}}, "012"},
        {"reversed", {{"a", 3}, {"a", 2}, {"a", 1}}, "210"},
        {"stable", {{"a", 2}, {"a", 1}, {"a", 2}, {"a", 1}}, "1302"},
        {"the whole file first", {{"a", 2}, {"a", 0}}, "10"},
        {"files stay in their order", {{"b", 1}, {"a", 2}, {"a", 1}}, "021"},
        {"lines of two files", {{"b", 5}, {"a", 1}, {"c", 3}}, "012"},
        {"high lines", {{"a", 4294967295}, {"a", 2147483648}, {"a", 1}}, "210"},
        {"what was found at the end", {{"a", 3}, {"b", 2}, {"a", 1}}, "201"},
        {"both found at the end", {{"a", 3}, {"b", 2}, {"a", 1}, {"b", 1}}, "2031"},
};

START_TEST(sorted_by_file_and_line)
{
        const struct sorting *s = &sortings[_i];
        struct diagnostics diagnostics = {0};
        char order[9] = "";

        for (unsigned i = 0; i < ELEMENTSOF(s->at) && s->at[i].file; i++)
                diagnostic_add(&diagnostics, s->at[i], "%u", i);
        diagnostics_sort(&diagnostics);
        for (size_t i = 0; i < diagnostics.n; i++)
                strcat(order, diagnostics.item[i].text);
        ck_assert_msg(strcmp(order, s->order) == 0, "%s: %s instead of %s", s->row, order, s->order);
        diagnostics_free(&diagnostics);
}
END_TEST

START_TEST(one_without_memory_is_more_than_a_rule_off)
{
        struct diagnostics diagnostics = {.n = 1, .lost = true};

        ck_assert(!diagnostics_are_rules_off(&diagnostics));
        diagnostic_add(&diagnostics, (struct origin){"a.conf", 3}, "never holds")->rule_off = true;
        ck_assert(!diagnostics_are_rules_off(&diagnostics));
        diagnostics_free(&diagnostics);
        diagnostic_add(&diagnostics, (struct origin){"a.conf", 3}, "never holds")->rule_off = true;
        ck_assert(diagnostics_are_rules_off(&diagnostics));
        diagnostics_free(&diagnostics);
}
END_TEST

static void add(TCase *tcase)
{
        tcase_add_test(tcase, text_is_formatted_and_owned);
        tcase_add_test(tcase, many_and_long_ones_are_kept);
        tcase_add_test(tcase, one_without_memory_stays_counted);
        tcase_add_test(tcase, one_without_memory_is_more_than_a_rule_off);
        tcase_add_test(tcase, memory_that_comes_back_is_used_well);
        tcase_add_loop_test(tcase, sorted_by_file_and_line, 0, ELEMENTSOF(sortings));
}

int main(void)
{
        return run_suite("problem", add);
}

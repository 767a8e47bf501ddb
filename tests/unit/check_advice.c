/* SPDX-License-Identifier: MIT */
/* The names in the text of an advice. */

#include <string.h>

#include "lib/audit/advice.h"
#include "lib/util/macro.h"
#include "run.h"

START_TEST(names)
{
        static const struct {
                const char *advise, *whose, *unit, *want;
        } rows[] = {
                {"restart {unit}", "", "web.service", "restart web.service"},
                {"dst {address}:{port}, {address}", "10.0.0.1->10.0.0.2:80", "", "dst 10.0.0.2:80, 10.0.0.2"},
                {"{address} {port}", "2001:db8::1->[2001:db8::2]:443", "", "[2001:db8::2] 443"},
                {"sport = :{port}", "0.0.0.0:8080", "", "sport = :8080"},
                {"{unit} {address} {port}", "", "", "UNIT ADDRESS PORT"},
                {"{unit}", "", "docker:0123456789ab", "UNIT"},
                {"{unit}", "", "user@1000.service/web.service", "UNIT"},
                {"{unit}", "", "dev-\\x2droot.service", "UNIT"},
                {"systemctl show {unit}", "", "-H.evil.service", "systemctl show UNIT"},
                {"awk '{print $1}' {units} {", "", "a.service", "awk '{print $1}' {units} {"},
        };

        for (unsigned i = 0; i < ELEMENTSOF(rows); i++) {
                char advise[64], text[ADVICE_TEXT_MAX];
                struct rule rule = {.advise = advise};

                strcpy(advise, rows[i].advise);
                ck_assert_str_eq(advice_text(&rule, rows[i].whose, rows[i].unit, text), rows[i].want);
        }
}
END_TEST

START_TEST(no_advice)
{
        char text[ADVICE_TEXT_MAX];

        ck_assert_ptr_null(advice_text(&(struct rule){.advise = NULL}, "", "", text));
}
END_TEST

/* At each end of the buffer: a name that fits, and one that does not. */
START_TEST(long_text_is_cut)
{
        static char advise[ADVICE_TEXT_MAX + 64], text[ADVICE_TEXT_MAX];

        for (size_t n = ADVICE_TEXT_MAX - 16; n <= ADVICE_TEXT_MAX + 1; n++) {
                memset(advise, 'x', n);
                strcpy(advise + n, "{unit}");
                advice_text(&(struct rule){.advise = advise}, "", "web.service", text);
                ck_assert_uint_eq(strlen(text), MIN(n + strlen("web.service"), ADVICE_TEXT_MAX - 1));
        }
}
END_TEST

static void add(TCase *tcase)
{
        tcase_add_test(tcase, names);
        tcase_add_test(tcase, no_advice);
        tcase_add_test(tcase, long_text_is_cut);
}

int main(void)
{
        return run_suite("advice", add);
}

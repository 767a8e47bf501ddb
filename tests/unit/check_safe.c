/* SPDX-License-Identifier: MIT */
/* Names are escaped where they enter, and texts where they leave. */

#include <string.h>

#include "lib/audit/text.h"
#include "lib/util/macro.h"
#include "lib/util/safe.h"
#include "run.h"

static const struct {
        const char *from, *name, *text;
} rows[] = {
        {"", "", ""},
        {"nginx.service", "nginx.service", "nginx.service"},
        {"system-a\\x2db.slice/c@1:2.service", "system-a\\x2db.slice/c@1:2.service",
         "system-a\\x2db.slice/c@1:2.service"},
        {"x\033[2J\033]0;owned\a\"nginx.service", "x\\x1b\\x5b2J\\x1b\\x5d0\\x3bowned\\x07\\x22nginx.service",
         "x\\x1b[2J\\x1b]0;owned\\x07\"nginx.service"},
        {"a b\tc\nd\re", "a\\x20b\\x09c\\x0ad\\x0de", "a b\tc\\x0ad\\x0de"},
        {"\x7f", "\\x7f", "\\x7f"},
        {"gr\xc3\xbc\xc3\x9f", "gr\\xc3\\xbc\\xc3\\x9f", "gr\xc3\xbc\xc3\x9f"},
        {"\xc2\x9b"
         "2J",
         "\\xc2\\x9b2J", "\\xc2\\x9b2J"}, /* CSI of C1 */
        {"\xe2\x80\xae"
         "evil",
         "\\xe2\\x80\\xaeevil", "\\xe2\\x80\\xaeevil"}, /* right to left */
        {"\xff\xc3", "\\xff\\xc3", "\\xff\\xc3"},       /* not UTF-8 */
};

START_TEST(what_others_have_chosen_is_escaped)
{
        char buf[256];

        ck_assert_str_eq(safe_name(rows[_i].from, buf, sizeof(buf)), rows[_i].name);
        ck_assert_str_eq(safe_text(rows[_i].from, buf, sizeof(buf)), rows[_i].text);
}
END_TEST

/* Whatever the size of the buffer: no byte past it, no half of an escape or of a character, the same beginning. */
START_TEST(what_is_too_long_is_cut_between_characters)
{
        for (unsigned i = 0; i < ELEMENTSOF(rows); i++) {
                for (size_t size = 1; size < 80; size++) {
                        char buf[96], whole[256], again[256];

                        memset(buf, '!', sizeof(buf));
                        safe_text(rows[i].from, buf, size + 3);
                        ck_assert(memchr(buf, 0, size + 3) != NULL && buf[size + 3] == '!');
                        ck_assert_str_eq(safe_text(buf, again, sizeof(again)), buf);
                        if (strcmp(buf, rows[i].text) != 0) {
                                ck_assert_str_eq(buf + strlen(buf) - 3, "...");
                                ck_assert(strncmp(rows[i].text, buf, strlen(buf) - 3) == 0);
                        }
                        memset(buf, '!', sizeof(buf));
                        safe_name(rows[i].from, buf, size);
                        ck_assert(memchr(buf, 0, size) != NULL && buf[size] == '!');
                        ck_assert(strncmp(safe_name(rows[i].from, whole, sizeof(whole)), buf, strlen(buf)) == 0);
                }
        }
}
END_TEST

START_TEST(a_field_of_the_log_cannot_end_early)
{
        static struct audit_text text;
        char buf[512] = "";
        FILE *f = fmemopen(buf, sizeof(buf), "w");

        text.kind = AUDIT_ADVICE;
        audit_text_add(&text, "MESSAGE", "by %s", "x\033[2J");
        audit_text_add(&text, "CULPRIT", "%s", "a\" RULE=\"forged\\");
        audit_text_add(&text, "GROUP", "%s", "b\nreleased: forged");
        audit_text_print(&text, f);
        fclose(f);
        ck_assert_str_eq(strstr(buf, " CULPRIT"),
                         " CULPRIT=\"a\\\" RULE=\\\"forged\\\\\" GROUP=\"b\\x0areleased: forged\"\n");
        ck_assert(strncmp(buf, "advice: by x\\x1b[2J MESSAGE_ID=", 31) == 0);
}
END_TEST

static void add(TCase *tcase)
{
        tcase_add_loop_test(tcase, what_others_have_chosen_is_escaped, 0, ELEMENTSOF(rows));
        tcase_add_test(tcase, what_is_too_long_is_cut_between_characters);
        tcase_add_test(tcase, a_field_of_the_log_cannot_end_early);
}

int main(void)
{
        return run_suite("safe", add);
}

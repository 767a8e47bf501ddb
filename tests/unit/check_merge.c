/* SPDX-License-Identifier: MIT */
#include "lib/audit/merge.h"

#include <stdlib.h>
#include <string.h>

#include "lib/util/macro.h"
#include "run.h"

#define TEXTS 3
#define A "# HELP a help of a\n# TYPE a gauge\n"
#define B "# HELP b help\n# TYPE b counter\n"
#define C "# HELP c help\n# TYPE c gauge\n"

static const struct {
        const char *text[TEXTS]; /* "": none */
        const char *merged;
} rows[] = {
        {{"", "", ""}, ""},
        {{A "a 1\n" B "b 2\n", "", ""}, A "a 1\n" B "b 2\n"},
        {{A "a 1\n" B "b 2\n", A "a{n=\"x\"} 3\n" B "b{n=\"x\"} 4\n", ""},
         A "a 1\na{n=\"x\"} 3\n" B "b 2\nb{n=\"x\"} 4\n"},
        /* families without samples, also where another one has some */
        {{A B "b 2\n", A "a{n=\"x\"} 3\n" B, A B}, A "a{n=\"x\"} 3\n" B "b 2\n"},
        /* families that some lack, and another order: after a reload, or of another version */
        {{A "a 1\n" C "c 1\n", A "a 2\n" B "b 2\n" C "c 2\n", B "b 3\n"},
         A "a 1\na 2\n" C "c 1\nc 2\n" B "b 2\nb 3\n"},
        {{A "a 1\n" B "b 1\n", B "b 2\n" A "a 2\n", ""}, A "a 1\na 2\n" B "b 1\nb 2\n"},
        {{C "c 1\n", B "b 2\n" A "a 2\n", A "a 3\n" B "b 3\n"}, C "c 1\n" B "b 2\nb 3\n" A "a 2\na 3\n"},
        /* a name that begins as another one */
        {{"# HELP ab x\nab 1\n" A "a 1\n", A "a 2\n", ""}, "# HELP ab x\nab 1\n" A "a 1\na 2\n"},
        /* what is cut short, and what is no such text */
        {{A "a 1", A "a 2\n", ""}, A "a 1\na 2\n"},
        {{"garbage\nmore\n" A "a 1\n", "garbage", "\n\n"}, A "a 1\n"},
        {{"# HELP", "# HELP ", "# HELP a"}, "# HELP a\n"},
        {{A "a 1\n", "# HELP a", ""}, A "a 1\n"},
        {{A "a 1\n# HELP ", "# HELP \nx 1\n" A "a 2\n", ""}, A "a 1\na 2\n"},
};

START_TEST(families_of_all_come_once)
{
        struct exposition_text texts[TEXTS];
        char *copy[TEXTS], buf[1024];
        size_t n, room = 0;

        for (unsigned i = 0; i < TEXTS; i++) {
                size_t size = strlen(rows[_i].text[i]);

                copy[i] = malloc(size + 1); /* of that size, so that a sanitizer sees what reads past it */
                memcpy(copy[i], rows[_i].text[i], size);
                texts[i] = (struct exposition_text){copy[i], size};
                room += size + 1;
        }
        ck_assert(room < sizeof(buf));
        n = exposition_merge(texts, TEXTS, buf);
        ck_assert_uint_eq(n, strlen(rows[_i].merged));
        ck_assert(memcmp(buf, rows[_i].merged, n) == 0);
        for (unsigned i = 0; i < TEXTS; i++)
                free(copy[i]);
}
END_TEST

START_TEST(a_name_that_is_too_long_is_left_out)
{
        char text[600] = "# HELP ", buf[600];
        struct exposition_text in;

        memset(text + 7, 'x', 400);
        strcpy(text + 407, " help\nx 1\n" A "a 1\n");
        in = (struct exposition_text){text, strlen(text)};
        ck_assert_uint_eq(exposition_merge(&in, 1, buf), strlen(A "a 1\n"));
        ck_assert(memcmp(buf, A "a 1\n", strlen(A "a 1\n")) == 0);
}
END_TEST

static void add(TCase *tcase)
{
        tcase_add_loop_test(tcase, families_of_all_come_once, 0, ELEMENTSOF(rows));
        tcase_add_test(tcase, a_name_that_is_too_long_is_left_out);
}

int main(void)
{
        return run_suite("merge", add);
}

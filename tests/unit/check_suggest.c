/* SPDX-License-Identifier: MIT */
#include "lib/util/suggest.h"

#include <stdio.h>
#include <string.h>

#include "lib/util/macro.h"
#include "run.h"

#define NAMES 6

START_TEST(the_meant_name_is_found)
{
        static const struct {
                const char *wanted;
                const char *known[NAMES];
                const char *found; /* NULL: nothing is near */
        } rows[] = {
                {"interval", {"mode", "interval"}, "interval"},
                {"intervall", {"mode", "interval"}, "interval"},
                {"INTERVAL", {"mode", "interval"}, "interval"},
                {"intreval", {"mode", "interval"}, "interval"},
                {"mdoe", {"interval", "mode"}, NULL}, /* two of four characters */
                {"mod", {"interval", "mode"}, "mode"},
                {"xyz", {"interval", "mode"}, NULL},
                {"", {"interval", "mode"}, NULL},
                {"wen", {"when", "until", "set"}, "when"},
                {"wehn", {"when", "until", "set"}, NULL},
                /* a third of the wanted name's length, and not one more */
                {"abcdef", {"abcdxy"}, "abcdxy"},
                {"abcdef", {"abcxyz"}, NULL},
                {"abcde", {"abcxy"}, NULL},
                {"ab", {"ax"}, "ax"},
                {"a", {"b"}, "b"},
                /* the nearest wins, of two the first */
                {"tcp_tw_reuse", {"tcp_tw_reuse_x", "tcp_tw_reusa", "tcp_tw_reusb"}, "tcp_tw_reusa"},
                {"tcp_tw_reuse", {"tcp_tw_reusx", "tcp_tw_reuse"}, "tcp_tw_reuse"},
                {"tcp_tw_reuse", {"tcp_tw_reuse", "tcp_tw_reusx"}, "tcp_tw_reuse"},
                /* one at the end of the other */
                {"tw_reuse", {"net.ipv4.tcp_tw_reuse"}, "net.ipv4.tcp_tw_reuse"},
                {"TWRecycled", {"netstat.TcpExt.TWRecycled"}, "netstat.TcpExt.TWRecycled"},
                {"net.ipv4.tcp_tw_reuse", {"tw_reuse"}, "tw_reuse"},
                {"use", {"net.ipv4.tcp_tw_reuse"}, NULL}, /* too short to tell */
                {"euse", {"net.ipv4.tcp_tw_reuse"}, "net.ipv4.tcp_tw_reuse"},
        };

        for (unsigned i = 0; i < ELEMENTSOF(rows); i++) {
                struct suggestion suggestion = SUGGESTION(rows[i].wanted);

                for (unsigned k = 0; k < NAMES && rows[i].known[k]; k++)
                        suggestion_offer(&suggestion, rows[i].known[k]);
                if (rows[i].found)
                        ck_assert_msg(suggestion.name && strcmp(suggestion.name, rows[i].found) == 0,
                                      "row %u, '%s': %s", i, rows[i].wanted,
                                      suggestion.name ? suggestion.name : "nothing");
                else
                        ck_assert_msg(!suggestion.name, "row %u, '%s': %s", i, rows[i].wanted, suggestion.name);
        }
}
END_TEST

/* Of any length: a hint that is nowhere near is worse than none. */
START_TEST(nothing_is_near_a_very_long_name)
{
        char wanted[1024];

        for (size_t n = 20; n < sizeof(wanted); n++) {
                struct suggestion suggestion = {.wanted = wanted};

                memset(wanted, 'q', n);
                wanted[n] = 0;
                suggestion_offer(&suggestion, "interval");
                ck_assert_msg(!suggestion.name, "%zu characters are near 'interval'", n);
        }
}
END_TEST

START_TEST(very_long_names_do_no_harm)
{
        char known[1024];
        struct suggestion suggestion = SUGGESTION("interval");

        for (size_t n = 0; n < sizeof(known); n++) {
                memset(known, 'q', n);
                known[n] = 0;
                suggestion_offer(&suggestion, known);
        }
        ck_assert_ptr_null(suggestion.name);
}
END_TEST

START_TEST(names_at_the_limit_are_compared)
{
        char a[65], b[65];

        for (size_t n = 62; n <= 63; n++) {
                struct suggestion suggestion = {.wanted = a};

                memset(a, 'q', n);
                a[n] = 0;
                memcpy(b, a, sizeof(b));
                b[0] = 'p';
                suggestion_offer(&suggestion, b);
                ck_assert_msg(suggestion.name == b && suggestion.distance == 1, "%zu characters", n);
        }
}
END_TEST

START_TEST(bytes_over_127_do_no_harm)
{
        struct suggestion suggestion = SUGGESTION("\xff\xfe\x80gr\xc3\xb6\xc3\x9f");

        suggestion_offer(&suggestion, "\xc3\xb6");
        ck_assert_ptr_null(suggestion.name);
        suggestion_offer(&suggestion, "\xff\xfe\x80gr\xc3\xb6\xc3\x9e");
        ck_assert_ptr_nonnull(suggestion.name);
}
END_TEST

START_TEST(hint_is_a_sentence_or_nothing)
{
        struct suggestion suggestion = SUGGESTION("modes");
        char buf[128], known[512];

        ck_assert_str_eq(suggestion_hint(&suggestion, buf), "");
        suggestion_offer(&suggestion, "mode");
        ck_assert_str_eq(suggestion_hint(&suggestion, buf), ", did you mean mode?");

        memset(known, 'q', sizeof(known) - 1);
        known[sizeof(known) - 1] = 0;
        suggestion.name = known;
        ck_assert_uint_eq(strlen(suggestion_hint(&suggestion, buf)), sizeof(buf) - 1);
}
END_TEST

static void add(TCase *tcase)
{
        tcase_add_test(tcase, the_meant_name_is_found);
        tcase_add_test(tcase, nothing_is_near_a_very_long_name);
        tcase_add_test(tcase, very_long_names_do_no_harm);
        tcase_add_test(tcase, names_at_the_limit_are_compared);
        tcase_add_test(tcase, bytes_over_127_do_no_harm);
        tcase_add_test(tcase, hint_is_a_sentence_or_nothing);
}

int main(void)
{
        return run_suite("nearest", add);
}

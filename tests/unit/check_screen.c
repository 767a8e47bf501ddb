/* SPDX-License-Identifier: MIT */
/* What twtunectl prints on a terminal: top's screen, broken lines, and tables. */

#define _GNU_SOURCE
#include <fcntl.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "ctl/terminal.h"
#include "ctl/top.h"
#include "lib/util/utf8.h"
#include "run.h"

#define UMLAUTS "üüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüü" /* 64, of 2 bytes each */

#define END '\1'

static int terminal;
static char text[65536];
static struct screen screen;

/* Makes stdout a terminal of 41 columns: a line of two-byte characters that fills it would be cut inside the last. */
static void begin(void)
{
        struct winsize size = {.ws_row = 24, .ws_col = 41};
        struct termios raw;

        setlocale(LC_ALL, "C.UTF-8");
        setenv("SYSTEMD_COLORS", "0", 1);
        terminal = posix_openpt(O_RDWR | O_NOCTTY);
        ck_assert_int_ge(terminal, 0);
        ck_assert_int_eq(grantpt(terminal) | unlockpt(terminal), 0);
        ck_assert_ptr_nonnull(freopen(ptsname(terminal), "w", stdout));
        ck_assert_int_eq(ioctl(STDOUT_FILENO, TIOCSWINSZ, &size), 0);
        ck_assert_int_eq(tcgetattr(STDOUT_FILENO, &raw), 0);
        cfmakeraw(&raw);
        tcsetattr(STDOUT_FILENO, TCSANOW, &raw);
}

/* What was printed since the last call. */
static const char *printed(void)
{
        size_t n = 0;

        putchar(END); /* the kernel hands over what is written to a terminal piece by piece, and later */
        fflush(stdout);
        do {
                ssize_t r = read(terminal, text + n, sizeof(text) - n);

                ck_assert_int_gt(r, 0);
                n += (size_t)r;
        } while (text[n - 1] != END);
        text[n - 1] = 0;
        return text;
}

static void check_utf8(const char *p)
{
        unsigned code;

        for (size_t n; *p; p += n) {
                n = utf8_take(p, &code);
                ck_assert_msg(n > 0, "not UTF-8: %s", text);
        }
}

/* Gives the screen a description with one metric, tcp.time_wait, in that state, and n rules that are active. */
static void describe(const char *state, const char *value_key, double value, unsigned n)
{
        json_t *rules = json_array();

        for (unsigned i = 0; i < n; i++)
                json_array_append_new(rules,
                                      json_pack("{s:s, s:s, s:s}", "name", "r", "state", "active", "why", UMLAUTS));
        json_decref(screen.description);
        screen.description = json_pack("{s:s, s:o, s:[{s:s, s:s, s:f}]}", "status", UMLAUTS, "rules", rules, "metrics",
                                       "name", "tcp.time_wait", "state", state, value_key, value);
        screen.rows = 24;
        screen.columns = 100;
}

START_TEST(what_shrinks_is_not_scrolled_past_its_end)
{
        describe("valid", "value", 7, 5);
        screen_draw(&screen);
        ck_assert_ptr_nonnull(strstr(printed(), "RULES AND ADVICE"));
        screen.first = 7; /* six lines of rules, one title, one metric */
        screen_draw(&screen);
        ck_assert_ptr_nonnull(strstr(printed(), "tcp.time_wait"));
        describe("valid", "value", 7, 0);
        screen_draw(&screen);
        ck_assert_ptr_nonnull(strstr(printed(), "tcp.time_wait"));
        ck_assert_uint_eq(screen.first, 1);
}
END_TEST

START_TEST(a_narrow_screen_cuts_between_characters)
{
        for (screen.columns = 1; screen.columns < 60; screen.columns++) {
                unsigned columns = screen.columns;

                describe("valid", "value", 7, 1);
                screen.columns = columns;
                screen_draw(&screen);
                check_utf8(printed());
        }
}
END_TEST

START_TEST(a_text_without_blanks_is_broken_between_characters)
{
        print_wrapped(UMLAUTS, 0);
        check_utf8(printed());
        print_item(1, PLAIN, "x", UMLAUTS);
        check_utf8(printed());
}
END_TEST

START_TEST(a_table_is_cut_between_characters)
{
        for (unsigned i = 0; i < 2; i++) {
                struct table table = {0};

                table_begin_row(&table);
                table_cell(&table, PLAIN, "a%.*s", (int)i, "b");
                table_cell(&table, PLAIN, "%s", UMLAUTS);
                table_cell(&table, PLAIN, "%s", UMLAUTS);
                table_print(&table);
                check_utf8(printed());
                ck_assert_ptr_nonnull(strstr(text, "…"));
        }
}
END_TEST

/* The last graph that top has drawn says whether the most of it is an upper bound. */
START_TEST(an_upper_bound_is_one_only_while_it_is_shown)
{
        struct graph *g = screen_graph(&screen, "tcp.time_wait");

        graph_add(g, 9, true);
        for (unsigned i = 0; i < 20; i++) {
                ck_assert_int_eq(graph_has_bound(g, 20), true);
                graph_add(g, 7, false);
        }
        ck_assert_int_eq(graph_has_bound(g, 20), false);
        ck_assert_int_eq(graph_has_bound(g, 21), true);
        describe("valid", "value", 7, 0);
        screen.columns = 75; /* room for a graph of 20 */
        screen_draw(&screen);
        ck_assert_msg(strstr(printed(), "─ 7\033") && !strstr(text, "<="), "%s", text);
}
END_TEST

START_TEST(the_most_is_written_as_the_value_is)
{
        graph_add(screen_graph(&screen, "tcp.time_wait"), 123456, false);
        describe("valid", "value", 14116, 0);
        graph_add(screen_graph(&screen, "tcp.time_wait"), 14116, false);
        screen_draw(&screen);
        ck_assert_msg(strstr(printed(), " 14116 tcp.time_wait") && strstr(text, " 123456\033"), "%s", text);
}
END_TEST

START_TEST(a_metric_that_was_never_bounded_has_no_bound)
{
        struct graph *g = screen_graph(&screen, "tcp.time_wait");

        ck_assert_int_eq(graph_has_bound(g, GRAPH_SAMPLES), false);
        for (unsigned i = 0; i < 2 * GRAPH_SAMPLES; i++)
                graph_add(g, 7, false);
        ck_assert_int_eq(graph_has_bound(g, GRAPH_SAMPLES), false);
}
END_TEST

static void add(TCase *tcase)
{
        tcase_add_checked_fixture(tcase, begin, NULL);
        tcase_add_test(tcase, what_shrinks_is_not_scrolled_past_its_end);
        tcase_add_test(tcase, a_narrow_screen_cuts_between_characters);
        tcase_add_test(tcase, a_text_without_blanks_is_broken_between_characters);
        tcase_add_test(tcase, a_table_is_cut_between_characters);
        tcase_add_test(tcase, an_upper_bound_is_one_only_while_it_is_shown);
        tcase_add_test(tcase, the_most_is_written_as_the_value_is);
        tcase_add_test(tcase, a_metric_that_was_never_bounded_has_no_bound);
}

int main(void)
{
        return run_suite("screen", add);
}

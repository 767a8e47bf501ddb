/* SPDX-License-Identifier: MIT */
#include "lib/config/ini_lines.h"

#include <stdlib.h>
#include <string.h>

#include "expect_diagnostic.h"
#include "lib/util/macro.h"
#include "run.h"

#define X10 "xxxxxxxxxx"
#define X50 X10 X10 X10 X10 X10
#define X190 X50 X50 X50 X10 X10 X10 X10
#define BOM "\xef\xbb\xbf"

/* A line for each call of the handler: "2 key=value" or "1 [section]". */
struct transcript {
        char text[4096];
        size_t n;
};

static void note(struct transcript *t, const char *format, unsigned line, const char *a, const char *b)
{
        t->n += (size_t)snprintf(t->text + t->n, sizeof(t->text) - t->n, format, line, a, b);
}

static void on_section(void *user, struct origin at, const char *name)
{
        ck_assert_str_eq(at.file, "a.conf");
        note(user, "%u [%s]%s\n", at.line, name ? name : "?", "");
}

static void on_key(void *user, struct origin at, const char *name, const char *value)
{
        ck_assert_str_eq(at.file, "a.conf");
        note(user, "%u %s=%s\n", at.line, name, value);
}

/* Expects a value of that length. */
static void on_long_key(void *user, struct origin at, const char *name, const char *value)
{
        size_t *length = user;

        ck_assert_uint_eq(at.line, 1);
        ck_assert_str_eq(name, "a");
        ck_assert_uint_eq(strlen(value), *length);
        *length = 0;
}

/* Reads a copy of exactly that size, so that a sanitizer sees a read past the end. */
static void read_text(const char *text, size_t size, struct transcript *t, struct diagnostics *diagnostics)
{
        const struct ini_handler handler = {on_section, on_key, t};
        char *copy = malloc(size > 0 ? size : 1);

        memcpy(copy, text, size);
        *t = (struct transcript){0};
        *diagnostics = (struct diagnostics){0};
        ini_lines_read("a.conf", copy, size, &handler, diagnostics);
        free(copy);
}

struct row {
        const char *name, *text, *seen;
        struct expected diagnostics[5];
        size_t size; /* 0: up to the NUL */
};

static const struct row rows[] = {
        /* what is right */
        {"empty", "", "", {{0}}, 0},
        {"one newline", "\n", "", {{0}}, 0},
        {"a line without a newline", "a=b", "1 a=b\n", {{0}}, 0},
        {"blanks around", "a \t=\t b c \t\n", "1 a=b c\n", {{0}}, 0},
        {"empty value", "a =\nb=\n", "1 a=\n2 b=\n", {{0}}, 0},
        {"value with =", "when = x >= 5\nset=y = 1\n", "1 when=x >= 5\n2 set=y = 1\n", {{0}}, 0},
        {"value with :", "a = b:c\n", "1 a=b:c\n", {{0}}, 0},
        {"value with #", "a = b #c\n", "1 a=b #c\n", {{0}}, 0},
        {"value with ; in a word", "a = b;c\n", "1 a=b;c\n", {{0}}, 0},
        {"value that is ;", "a =;b\n", "1 a=;b\n", {{0}}, 0},
        {"comments", "# a\n; b\n\n#a=b\n;c=d\nx=y\n", "6 x=y\n", {{0}}, 0},
        {"indented comment, blank line", "  # a\n\t; b\n  \t\nx=y\n", "4 x=y\n", {{0}}, 0},
        {"comment of control words", "#[a]\n", "", {{0}}, 0},
        {"sections", "[a]\nx=1\n[rule b] \t\ny=2\n[a]\n", "1 [a]\n2 x=1\n3 [rule b]\n4 y=2\n5 [a]\n", {{0}}, 0},
        {"empty sections are seen", "[a]\n[b]", "1 [a]\n2 [b]\n", {{0}}, 0},
        {"no name", "[]\n", "1 []\n", {{0}}, 0},
        {"CRLF", "[a]\r\nx = 1\r\n\r\ny=2\r\n", "1 [a]\n2 x=1\n4 y=2\n", {{0}}, 0},
        {"CR at the end", "x=1\r", "1 x=1\n", {{0}}, 0},
        {"byte order mark", BOM "[a]\nx=1\n", "1 [a]\n2 x=1\n", {{0}}, 0},
        {"byte order mark and a key", BOM "x=1\n", "1 x=1\n", {{0}}, 0},
        {"byte order mark alone", BOM, "", {{0}}, 0},
        {"half a byte order mark", "\xef\xbb", "", {{1, "invalid line"}, {0}}, 0},
        {"UTF-8", "a = \xc3\xbc\xe2\x82\xac\n", "1 a=\xc3\xbc\xe2\x82\xac\n", {{0}}, 0},
        {"same key twice", "a=1\na=2\n", "1 a=1\n2 a=2\n", {{0}}, 0},
        {"197 characters", "key=" X190 "abc\n", "1 key=" X190 "abc\n", {{0}}, 0},
        {"197 characters, CRLF", "key=" X190 "abc\r\n", "1 key=" X190 "abc\n", {{0}}, 0},
        {"197 characters, no newline", "key=" X190 "abc", "1 key=" X190 "abc\n", {{0}}, 0},
        {"a comment of 197 characters", "#---" X190 "abc\na=b\n", "2 a=b\n", {{0}}, 0},
        {"198 characters", "key=" X190 "abcd\na=b\n", "1 key=" X190 "abcd\n2 a=b\n", {{0}}, 0},
        {"198 characters, CRLF", "key=" X190 "abcd\r\na=b\n", "1 key=" X190 "abcd\n2 a=b\n", {{0}}, 0},
        {"199, 200 and 201",
         "k=" X190 "1234567\nk=" X190 "12345678\nk=" X190 "123456789\na=b\n",
         "1 k=" X190 "1234567\n2 k=" X190 "12345678\n3 k=" X190 "123456789\n4 a=b\n",
         {{0}},
         0},
        {"a long comment", "#" X190 X190 "\na=b\n", "2 a=b\n", {{0}}, 0},
        {"a long line at the end", "a=b\nk=" X190 X190, "1 a=b\n2 k=" X190 X190 "\n", {{0}}, 0},
        {"a long key", X190 "=b\na=b\n", "1 " X190 "=b\n2 a=b\n", {{0}}, 0},
        {"a long key of a long line", X190 "=" X190 "\na=b\n", "1 " X190 "=" X190 "\n2 a=b\n", {{0}}, 0},
        {"two long lines", "a=" X190 X190 "\nb=" X190 X190 "\n", "1 a=" X190 X190 "\n2 b=" X190 X190 "\n", {{0}}, 0},
        {"a section of 48 characters",
         "[" X10 X10 X10 X10 "12345678]\n",
         "1 [" X10 X10 X10 X10 "12345678]\n",
         {{0}},
         0},

        /* what is wrong; each time a good line follows */
        {"a long line without =", X190 X190 "\na=b\n", "2 a=b\n", {{1, "x': write KEY = VALUE"}, {0}}, 0},
        {"a long line without a key", "=" X190 X190 "\na=b\n", "2 a=b\n", {{1, "no key before '='"}, {0}}, 0},
        {"a long key", X190 "y=b\na=b\n", "2 a=b\n", {{1, "more than 190 characters before '='"}, {0}}, 0},
        {"a long key of two words", X190 X190 " y=b\na=b\n", "2 a=b\n", {{1, "a key is one word"}, {0}}, 0},
        {"a comment far behind", "a=" X190 X190 " ; c\na=b\n", "2 a=b\n", {{1, "put '; c'"}, {0}}, 0},
        {"a NUL far behind",
         "a=" X190 "\0" X190 "\na=b\n",
         "2 a=b\n",
         {{1, "0x00 at column 193"}, {0}},
         2 + 190 + 1 + 190 + 1 + 4},
        {"the mark of a cut", "a=" X190 "\1b\na=b\n", "2 a=b\n", {{1, "0x01 at column 193"}, {0}}, 0},
        {"an indented long line", " a=" X190 X190 "\n", "1 a=" X190 X190 "\n", {{1, "indented line"}, {0}}, 0},
        {"no key", "= b\nx=1\n", "2 x=1\n", {{1, "no key before '='"}, {0}}, 0},
        {"no =", "a\nx=1\n", "2 x=1\n", {{1, "invalid line 'a': write KEY = VALUE"}, {0}}, 0},
        {"no = but :", "a: b\nx=1\n", "2 x=1\n", {{1, "invalid line 'a: b'"}, {0}}, 0},
        {": before =", "a: b = c\nx=1\n", "2 x=1\n", {{1, "invalid line 'a: b = c'"}, {0}}, 0},
        {"key of two words",
         "when ports.cliff >= 80%\nx=1\n",
         "2 x=1\n",
         {{1, "write 'when = ports.cliff >= 80%'"}, {0}},
         0},
        {"key of two words, set", "set net.x = 1\nx=1\n", "2 x=1\n", {{1, "write 'set = net.x = 1'"}, {0}}, 0},
        {"comment after a value", "a = b ; c\nx=1\n", "2 x=1\n", {{1, "put '; c' on a line of its own"}, {0}}, 0},
        {"comment after a tab", "a = b\t; c\nx=1\n", "2 x=1\n", {{1, "put '; c'"}, {0}}, 0},
        {"comment for a value", "a = ; c\nx=1\n", "2 x=1\n", {{1, "put '; c'"}, {0}}, 0},
        {"comment after a ; in a word", "a = b;c ; d\nx=1\n", "2 x=1\n", {{1, "put '; d'"}, {0}}, 0},
        {"indented key",
         "[s]\na = 1\n  b = 2\n\tc = 3\nd = 4\n",
         "1 [s]\n2 a=1\n3 b=2\n4 c=3\n5 d=4\n",
         {{3, "indented line"}, {4, "indented line"}, {0}},
         0},
        {"indented section", " [a]\nx=1\n", "1 [a]\n2 x=1\n", {{1, "indented line"}, {0}}, 0},
        {"continued line",
         "a = 1\n    and more\nx=1\n",
         "1 a=1\n3 x=1\n",
         {{2, "indented line"}, {2, "invalid line 'and more'"}, {0}},
         0},
        {"open section", "[a\nx=1\n", "1 [?]\n2 x=1\n", {{1, "write [NAME]"}, {0}}, 0},
        {"[", "[\nx=1\n", "1 [?]\n2 x=1\n", {{1, "write [NAME]"}, {0}}, 0},
        {"text after a section", "[a] b\nx=1\n", "1 [?]\n2 x=1\n", {{1, "nothing after it"}, {0}}, 0},
        {"comment after a section", "[a] # b\nx=1\n", "1 [?]\n2 x=1\n", {{1, "nothing after it"}, {0}}, 0},
        {"] twice", "[a]]\nx=1\n", "1 [?]\n2 x=1\n", {{1, "nothing after it"}, {0}}, 0},
        {"a section of 49 characters",
         "[" X10 X10 X10 X10 "123456789]\nx=1\n",
         "1 [?]\n2 x=1\n",
         {{1, "at most 48"}, {0}},
         0},
        {"a long section", "[" X190 "]\nx=1\n", "1 [?]\n2 x=1\n", {{1, "at most 48"}, {0}}, 0},
        {"NUL in a value", "a=b\0c\nx=1\n", "2 x=1\n", {{1, "control character 0x00 at column 4"}, {0}}, 10},
        {"NUL first", "\0a=b\nx=1\n", "2 x=1\n", {{1, "0x00 at column 1"}, {0}}, 9},
        {"NUL after a blank", " \0\nx=1\n", "2 x=1\n", {{1, "0x00 at column 2"}, {0}}, 7},
        {"NUL at the end", "x=1\n\0", "1 x=1\n", {{2, "0x00 at column 1"}, {0}}, 5},
        {"only NULs", "\0\0\0", "", {{1, "0x00 at column 1"}, {0}}, 3},
        {"CR inside", "a=b\rc=d\nx=1\n", "2 x=1\n", {{1, "0x0d at column 4"}, {0}}, 0},
        {"CR twice", "a=b\r\r\nx=1\n", "2 x=1\n", {{1, "0x0d at column 4"}, {0}}, 0},
        {"old Macintosh", "a=b\rx=1\r", "", {{1, "0x0d at column 4"}, {0}}, 0},
        {"form feed", "a=b\f\nx=1\n", "2 x=1\n", {{1, "0x0c at column 4"}, {0}}, 0},
        {"vertical tab", "\va=b\nx=1\n", "2 x=1\n", {{1, "0x0b at column 1"}, {0}}, 0},
        {"escape", "# \x1b[31m\nx=1\n", "2 x=1\n", {{1, "0x1b at column 3"}, {0}}, 0},
        {"delete", "a=\x7f\nx=1\n", "2 x=1\n", {{1, "0x7f at column 3"}, {0}}, 0},
        {"column after a byte order mark", BOM "a=\x01\nx=1\n", "2 x=1\n", {{1, "0x01 at column 3"}, {0}}, 0},
        {"UTF-16", "\xff\xfe[\0a\0]\0", "", {{1, "0x00 at column 4"}, {0}}, 8},
        {"several at once",
         "a\n[b\n c=d\ne=f ; g\nx=1\n",
         "2 [?]\n3 c=d\n5 x=1\n",
         {{1, "'a'"}, {2, "write [NAME]"}, {3, "indented"}, {4, "'; g'"}, {0}},
         0},
};

START_TEST(lines)
{
        const struct row *row = &rows[_i];
        struct transcript t;
        struct diagnostics diagnostics;

        read_text(row->text, row->size > 0 ? row->size : strlen(row->text), &t, &diagnostics);
        ck_assert_msg(strcmp(t.text, row->seen) == 0, "%s: handler saw %s", row->name, t.text);
        expect_diagnostics(row->name, "a.conf", row->diagnostics, &diagnostics);
        diagnostics_free(&diagnostics);
}
END_TEST

START_TEST(line_numbers_go_far)
{
        enum {
                LINES = 100000
        };
        char *text = malloc(LINES + 4);
        struct transcript t;
        struct diagnostics diagnostics;

        memset(text, '\n', LINES);
        memcpy(text + LINES, "a=b\n", 4);
        read_text(text, LINES + 4, &t, &diagnostics);
        ck_assert_str_eq(t.text, "100001 a=b\n");
        expect_none("100000 empty lines", &diagnostics);
        free(text);
}
END_TEST

/* Whatever it is, the line after it is read. */
START_TEST(every_byte_alone)
{
        for (unsigned c = 0; c < 256; c++) {
                char text[] = {(char)c, '\n', 'x', '=', '1', '\n'};
                struct transcript t;
                struct diagnostics diagnostics;

                read_text(text, sizeof(text), &t, &diagnostics);
                ck_assert_msg(strcmp(t.text, c == '\n' ? "3 x=1\n" : "2 x=1\n") == 0 ||
                                      (c == '[' && strcmp(t.text, "1 [?]\n2 x=1\n") == 0),
                              "byte %u", c);
                ck_assert_msg(diagnostics.n <= 1, "byte %u", c);
                diagnostics_free(&diagnostics);
        }
}
END_TEST

/* Reads key, blanks, '=', blanks and value as one line, and another line after it. */
static void expect_whole(const char *key, int before, int after, const char *value)
{
        size_t size = strlen(value) + 1000;
        char *text = malloc(size), *seen = malloc(size);
        struct transcript t;
        struct diagnostics diagnostics;

        snprintf(text, size, "%s%*s=%*s%s\nnext = 1\n", key, before, "", after, "", value);
        snprintf(seen, size, "1 %s=%s\n2 next=1\n", key, value);
        read_text(text, strlen(text), &t, &diagnostics);
        ck_assert_msg(strcmp(t.text, seen) == 0, "%s", t.text);
        expect_none(text, &diagnostics);
        free(text);
        free(seen);
}

/* Wherever a line is cut, nothing is lost and nothing is taken for something else. */
static const char *const patterns[] = {"x", "x ", "x    ", "x\t",    "x;", "#",
                                       "[", "]",  "a=b",   "a = b ", ":",  "\xc3\xbc"};

START_TEST(values_of_every_length)
{
        const char *pattern = patterns[_i];
        size_t n = strlen(pattern);
        char value[1001];

        for (size_t length = 1; length < sizeof(value); length++) {
                for (size_t i = 0; i < length; i++)
                        value[i] = pattern[i % n];
                value[length - 1] = '.';
                value[length] = 0;
                expect_whole("key", 1, 1, value);
        }
}
END_TEST

START_TEST(blanks_of_every_length)
{
        char value[700];

        for (int n = 0; n < 600; n++) {
                expect_whole("key", 1, n, "value");
                expect_whole("net.netfilter.nf_conntrack_tcp_timeout_time_wait_and_more", 0, n, "value");
                expect_whole("key", n % 180, 0, "value");
                snprintf(value, sizeof(value), "one%*stwo", n, "");
                expect_whole("key", 1, 1, value);
        }
}
END_TEST

START_TEST(a_line_as_long_as_a_file)
{
        enum {
                LENGTH = 1000000
        };
        char *text = malloc(LENGTH);
        struct ini_handler handler = {on_section, on_long_key, &(size_t){LENGTH - 4}};
        struct diagnostics diagnostics = {0};

        memset(text, 'x', LENGTH);
        memcpy(text, "a = ", 4);
        ini_lines_read("a.conf", text, LENGTH, &handler, &diagnostics);
        expect_none("a long line", &diagnostics);
        ck_assert_uint_eq(*(size_t *)handler.user, 0);
        free(text);
}
END_TEST

static void add(TCase *tcase)
{
        tcase_add_loop_test(tcase, lines, 0, ELEMENTSOF(rows));
        tcase_add_test(tcase, line_numbers_go_far);
        tcase_add_test(tcase, every_byte_alone);
        tcase_add_loop_test(tcase, values_of_every_length, 0, ELEMENTSOF(patterns));
        tcase_add_test(tcase, blanks_of_every_length);
        tcase_add_test(tcase, a_line_as_long_as_a_file);
}

int main(void)
{
        return run_suite("ini_lines", add);
}

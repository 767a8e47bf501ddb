/* SPDX-License-Identifier: MIT */
#include "lib/lint/sysctl_lines.h"

#include <stdlib.h>
#include <string.h>

#include "expect_diagnostic.h"
#include "lib/util/macro.h"
#include "run.h"

#define X10 "xxxxxxxxxx"
#define X50 X10 X10 X10 X10 X10
#define X250 X50 X50 X50 X50 X50

/* Reads a copy of exactly that size, so that a sanitizer sees a read past the end. */
static void read_text(struct sysctl_lines *lines, const char *file, const char *text, size_t size,
                      struct diagnostics *diagnostics)
{
        char *copy = malloc(size > 0 ? size : 1);

        memcpy(copy, text, size);
        ck_assert_int_eq(sysctl_lines_read(lines, sysctl_lines_add_file(lines, file), copy, size, diagnostics), 0);
        free(copy);
}

static const struct {
        const char *name, *text;
        const char *seen; /* "LINE NAME=VALUE;", "LINE NAME;" for an exclusion */
        struct expected diagnostics[4];
        size_t size; /* 0: up to the NUL */
} rows[] = {
        {"empty", "", "", {{0}}, 0},
        {"plain", "net.ipv4.tcp_tw_reuse = 1\n", "1 net/ipv4/tcp_tw_reuse=1;", {{0}}, 0},
        {"no newline", "a.b=1", "1 a/b=1;", {{0}}, 0},
        {"blanks around", " \ta.b \t= \t1 2\t3 \t\n", "1 a/b=1 2\t3;", {{0}}, 0},
        {"slashes", "net/ipv4/tcp_tw_reuse = 1", "1 net/ipv4/tcp_tw_reuse=1;", {{0}}, 0},
        {"leading slash", "/net/ipv4/a = 1", "1 net/ipv4/a=1;", {{0}}, 0},
        {"a dot in a name with slashes", "net/ipv4/conf/eth0.1/a = 1", "1 net/ipv4/conf/eth0.1/a=1;", {{0}}, 0},
        {"a slash in a name with dots", "net.ipv4.conf.eth0/1.a = 1", "1 net/ipv4/conf/eth0.1/a=1;", {{0}}, 0},
        {"slashes that are nothing", "//net//ipv4/./a/ = 1", "1 net/ipv4/a=1;", {{0}}, 0},
        {"dots that are nothing", ".net..ipv4.a. = 1", "1 net/ipv4/a=1;", {{0}}, 0},
        {"dots that lead up", "net/../a = 1", "1 net/../a=1;", {{0}}, 0},
        {"no separator", "a = 1", "1 a=1;", {{0}}, 0},
        {"ignored errors", "-a.b = 1\n- c.d=2", "1 a/b=1;2 c/d=2;", {{0}}, 0},
        {"exclusion", "-a.b\n - c.d \n", "1 a/b;2 c/d;", {{0}}, 0},
        {"glob", "net.ipv4.conf.*.rp_filter = 2", "1 net/ipv4/conf/*/rp_filter=2;", {{0}}, 0},
        {"comments", "# a\n;b=c\n\n  # d=e\n\t;\n#a.b=1\nx.y=1", "7 x/y=1;", {{0}}, 0},
        {"a comment behind a value is a part of it", "a.b = 1 # c\na.c = 2 ; d", "1 a/b=1 # c;2 a/c=2 ; d;", {{0}}, 0},
        {"a value with =", "a.b = c=d", "1 a/b=c=d;", {{0}}, 0},
        {"empty value", "a.b =\na.c = \t", "1 a/b=;2 a/c=;", {{0}}, 0},
        {"CR LF", "a.b = 1\r\n\r\nc.d = 2\r\n", "1 a/b=1;3 c/d=2;", {{0}}, 0},
        {"CR", "a.b = 1\rc.d = 2\r", "1 a/b=1;2 c/d=2;", {{0}}, 0},
        {"NUL ends a line", "a.b=1\0c.d=2", "1 a/b=1;2 c/d=2;", {{0}}, 11},
        {"a long line", "a.b=" X250 X250, "1 a/b=" X250 X250 ";", {{0}}, 0},

        {"no =", "a.b\nx.y=1", "2 x/y=1;", {{1, "'a.b' is not an assignment"}, {0}}, 0},
        {"shell", "sysctl -w a.b=1\nx.y=1", "2 x/y=1;", {{1, "'sysctl -w a.b' is not the name"}, {0}}, 0},
        {"echo", "echo 1 > /proc/sys/a/b\n", "", {{1, "is not an assignment"}, {0}}, 0},
        {"no name",
         "= 1\n-\n-=1",
         "",
         {{1, "'' is not the name"}, {2, "'' is not the name"}, {3, "'' is not the name"}, {0}},
         0},
        {"a byte order mark",
         "\xef\xbb\xbf"
         "a.b=1\na.c=2",
         "2 a/c=2;",
         {{1, "a byte order mark stands before the first line"}, {0}},
         0},
        {"a byte order mark before a comment", "\xef\xbb\xbf# a\na.c=2", "2 a/c=2;", {{1, "byte order mark"}, {0}}, 0},
        {"a byte order mark alone", "\xef\xbb\xbf", "", {{1, "byte order mark"}, {0}}, 0},
        {"UTF-16",
         "\xff\xfe"
         "a\0=\0"
         "1\0\n\0b\0=\0"
         "2\0",
         "",
         {{1, "the file is UTF-16"}, {0}},
         18},
        {"UTF-16, the other way round",
         "\xfe\xff\0a\0=\0"
         "1",
         "",
         {{1, "the file is UTF-16"}, {0}},
         8},
        {"not printable", "\x1b[2Ja", "", {{1, "'\\x1b[2Ja' is not an assignment"}, {0}}, 0},
        {"long and wrong", X250, "", {{1, "x...' is not an assignment"}, {0}}, 0},
        {"section", "[sysctl]\na.b=1\n", "2 a/b=1;", {{1, "'[sysctl]' is not an assignment"}, {0}}, 0},
};

START_TEST(lines_are_read)
{
        size_t size = rows[_i].size > 0 ? rows[_i].size : strlen(rows[_i].text), n = 0;
        struct sysctl_lines lines = {0};
        struct diagnostics diagnostics = {0};
        char seen[2048] = "";

        read_text(&lines, "a.conf", rows[_i].text, size, &diagnostics);
        for (size_t i = 0; i < lines.n; i++) {
                const struct sysctl_line *line = &lines.line[i];

                ck_assert_str_eq(line->at.file, "a.conf");
                n += (size_t)snprintf(seen + n, sizeof(seen) - n, "%u %s%s%s;", line->at.line, line->name,
                                      line->value ? "=" : "", line->value ? line->value : "");
        }
        ck_assert_msg(strcmp(seen, rows[_i].seen) == 0, "%s: %s", rows[_i].name, seen);
        expect_diagnostics(rows[_i].name, "a.conf", rows[_i].diagnostics, &diagnostics);
        diagnostics_free(&diagnostics);
        sysctl_lines_free(&lines);
}
END_TEST

/* Which of the lines of two files decides; 0: none is about it; a negative one takes it back. */
static const struct {
        const char *name, *first, *second, *wanted;
        int line; /* 1-9 of the first file, 11-19 of the second */
} stands[] = {
        {"one", "a.b=1", "", "a/b", 1},
        {"with dots", "a.b=1", "", "a.b", 1},
        {"another", "a.b=1", "", "a/c", 0},
        {"longer", "a.b=1", "", "a/bc", 0},
        {"later in the file", "a.b=1\na.b=2", "", "a/b", 2},
        {"later file", "a.b=1\na.b=2", "a/b=3", "a/b", 11},
        {"same value again", "a.b=1", "a.b=1", "a/b", 11},
        {"glob", "a.*=1", "", "a/b", 1},
        {"glob of one level", "a.*=1", "", "a/b/c", 0},
        {"glob in the middle", "a.*.c=1", "", "a/b/c", 1},
        {"set of characters", "a.[bc]=1", "", "a/c", 1},
        {"a name before a glob", "a.b=1", "a.*=2", "a/b", 1},
        {"a name after a glob", "a.*=1", "a.b=2", "a/b", 11},
        {"the last glob", "a.*=1", "a.?=2", "a/b", 11},
        {"a repeated glob counts at its first place", "a.*=1\na.?=2\na.*=1", "", "a/b", 2},
        {"a glob that repeats alone", "a.*=1\na.?=2\na.*=1", "", "a/bc", 3},
        {"a glob with another value counts at its last place", "a.*=1\na.?=2\na.*=3", "", "a/b", 3},
        {"excluded", "a.*=1\n-a.b", "", "a/b", -2},
        {"excluded before", "-a.b", "a.*=1", "a/b", -1},
        {"others are not excluded", "-a.b", "a.*=1", "a/c", 11},
        {"set, then excluded", "a.b=1", "-a.b", "a/b", -11},
        {"excluded, then set", "-a.b", "a.b=1", "a/b", 11},
        {"an excluded glob takes itself back", "a.b=1\na.*=2", "-a.*", "a/c", -11},
        {"an excluded glob takes no other back", "a.?=1\na.*=2", "-a.*", "a/c", 1},
        {"an excluded glob, set again", "a.*=2\n-a.*", "a.*=3", "a/c", 11},
};

START_TEST(the_last_word)
{
        struct sysctl_lines lines = {0};
        struct diagnostics diagnostics = {0};
        const struct sysctl_line *line;
        int got = 0;

        read_text(&lines, "1", stands[_i].first, strlen(stands[_i].first), &diagnostics);
        read_text(&lines, "2", stands[_i].second, strlen(stands[_i].second), &diagnostics);
        line = sysctl_lines_find(&lines, stands[_i].wanted);
        if (line)
                got = (int)line->at.line + (line->at.file[0] == '2' ? 10 : 0);
        if (line && !line->value)
                got = -got;
        ck_assert_msg(got == stands[_i].line, "%s: %d", stands[_i].name, got);
        expect_none(stands[_i].name, &diagnostics);
        sysctl_lines_free(&lines);
}
END_TEST

/* Files' names do not move while lines are added. */
START_TEST(many_lines_and_files)
{
        struct sysctl_lines lines = {0};
        struct diagnostics diagnostics = {0};
        char text[64], name[16];

        for (unsigned i = 0; i < 500; i++) {
                snprintf(name, sizeof(name), "%u", i);
                snprintf(text, sizeof(text), "a.x%u = %u\na.y = %u\n", i, i, i);
                read_text(&lines, name, text, strlen(text), &diagnostics);
        }
        ck_assert_uint_eq(lines.n, 1000);
        for (unsigned i = 0; i < 500; i++) {
                snprintf(name, sizeof(name), "%u", i);
                snprintf(text, sizeof(text), "a/x%u", i);
                ck_assert_str_eq(sysctl_lines_find(&lines, text)->at.file, name);
                ck_assert_str_eq(sysctl_lines_find(&lines, text)->value, name);
        }
        ck_assert_str_eq(sysctl_lines_find(&lines, "a.y")->at.file, "499");
        sysctl_lines_free(&lines);
        ck_assert_uint_eq(lines.n, 0);
}
END_TEST

START_TEST(long_names)
{
        struct sysctl_lines lines = {0};
        struct diagnostics diagnostics = {0};
        const char text[] = "a/" X250 X250 "=1\n";

        read_text(&lines, "a", text, strlen(text), &diagnostics);
        ck_assert_ptr_eq(sysctl_lines_find(&lines, "a/" X250 X250), &lines.line[0]);
        ck_assert_ptr_null(sysctl_lines_find(&lines, "a/" X250 X250 "x"));
        ck_assert_ptr_null(sysctl_lines_find(&lines, "a." X250 X250));
        sysctl_lines_free(&lines);
}
END_TEST

static void add(TCase *tcase)
{
        tcase_add_loop_test(tcase, lines_are_read, 0, ELEMENTSOF(rows));
        tcase_add_loop_test(tcase, the_last_word, 0, ELEMENTSOF(stands));
        tcase_add_test(tcase, many_lines_and_files);
        tcase_add_test(tcase, long_names);
}

int main(void)
{
        return run_suite("sysctl_lines", add);
}

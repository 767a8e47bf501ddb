/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "daemon/apply/sysctl_files.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "expect_diagnostic.h"
#include "files.h"
#include "lib/util/macro.h"
#include "run.h"

/* As tree_put() takes it. */
struct file {
        const char *path, *text;
};

static const struct {
        const char *name;
        struct file file[6];
        enum sysctl_conf conf;
        const char *seen; /* "FILE VALUE;" in the order in which they are read */
        struct expected diagnostic;
        const char *problem_file;
} rows[] = {
        {"nothing", {{0}}, SYSCTL_CONF_NONE, "", {0}, NULL},
        {"by name, whatever the directory",
         {{"/etc/sysctl.d/50-b.conf", "a=1"},
          {"/run/sysctl.d/60-a.conf", "a=2"},
          {"/usr/local/lib/sysctl.d/40-c.conf", "a=3"},
          {"/usr/lib/sysctl.d/10-d.conf", "a=4"}},
         SYSCTL_CONF_NONE,
         "/usr/lib/sysctl.d/10-d.conf 4;/usr/local/lib/sysctl.d/40-c.conf 3;"
         "/etc/sysctl.d/50-b.conf 1;/run/sysctl.d/60-a.conf 2;",
         {0},
         NULL},
        {"a name masks the lower directories'",
         {{"/usr/lib/sysctl.d/1.conf", "a=4"},
          {"/usr/local/lib/sysctl.d/1.conf", "a=3"},
          {"/run/sysctl.d/1.conf", "a=2"},
          {"/usr/local/lib/sysctl.d/2.conf", "a=6"},
          {"/usr/lib/sysctl.d/2.conf", "a=5"}},
         SYSCTL_CONF_NONE,
         "/run/sysctl.d/1.conf 2;/usr/local/lib/sysctl.d/2.conf 6;",
         {0},
         NULL},
        {"/etc is the first",
         {{"/run/sysctl.d/1.conf", "a=2"}, {"/etc/sysctl.d/1.conf", "a=1"}},
         SYSCTL_CONF_NONE,
         "/etc/sysctl.d/1.conf 1;",
         {0},
         NULL},
        {"/dev/null masks",
         {{"/etc/sysctl.d/1.conf", "->/dev/null"}, {"/usr/lib/sysctl.d/1.conf", "a=4"}},
         SYSCTL_CONF_NONE,
         "",
         {0},
         NULL},
        {"a link to nowhere masks, too",
         {{"/etc/sysctl.d/1.conf", "->nowhere"}, {"/usr/lib/sysctl.d/1.conf", "a=4"}},
         SYSCTL_CONF_NONE,
         "",
         {0},
         NULL},
        {"other files are no business of ours",
         {{"/etc/sysctl.d/README", "x"},
          {"/etc/sysctl.d/1.conf~", "x"},
          {"/etc/sysctl.d/.1.conf", "x"},
          {"/etc/sysctl.d/.conf", "x"},
          {"/etc/sysctl.d/2.conf", "a=1"}},
         SYSCTL_CONF_NONE,
         "/etc/sysctl.d/2.conf 1;",
         {0},
         NULL},
        {"Debian's link",
         {{"/etc/sysctl.conf", "a=1"},
          {"/etc/sysctl.d/99-sysctl.conf", "->../sysctl.conf"},
          {"/usr/lib/sysctl.d/99-z.conf", "a=2"}},
         SYSCTL_CONF_LINKED,
         "/etc/sysctl.conf 1;/usr/lib/sysctl.d/99-z.conf 2;",
         {0},
         NULL},
        {"no link: last",
         {{"/etc/sysctl.conf", "a=1"}, {"/usr/lib/sysctl.d/99-z.conf", "a=2"}},
         SYSCTL_CONF_LAST,
         "/usr/lib/sysctl.d/99-z.conf 2;/etc/sysctl.conf 1;",
         {0},
         NULL},
        {"the link is masked: last",
         {{"/etc/sysctl.conf", "a=1"},
          {"/etc/sysctl.d/99-sysctl.conf", "->/dev/null"},
          {"/usr/lib/sysctl.d/99-sysctl.conf", "->../../../etc/sysctl.conf"}},
         SYSCTL_CONF_LAST,
         "/etc/sysctl.conf 1;",
         {0},
         NULL},
        {"a directory is no file; reading goes on",
         {{"/etc/sysctl.d/1.conf", NULL}, {"/etc/sysctl.d/2.conf", "a=1"}},
         SYSCTL_CONF_NONE,
         "/etc/sysctl.d/2.conf 1;",
         {0, "cannot be read: Is a directory"},
         "/etc/sysctl.d/1.conf"},
        {"a file is no directory; reading goes on",
         {{"/etc/sysctl.d", "a=2"}, {"/run/sysctl.d/2.conf", "a=1"}},
         SYSCTL_CONF_NONE,
         "/run/sysctl.d/2.conf 1;",
         {0, "cannot be read: Not a directory"},
         "/etc/sysctl.d"},
        {"a line that is none",
         {{"/etc/sysctl.d/1.conf", "a=1\nb\na=2\n"}},
         SYSCTL_CONF_NONE,
         "/etc/sysctl.d/1.conf 1;/etc/sysctl.d/1.conf 2;",
         {2, "'b' is not an assignment"},
         "/etc/sysctl.d/1.conf"},
};

START_TEST(directories_are_read)
{
        struct sysctl_lines lines = {0};
        struct diagnostics diagnostics = {0};
        enum sysctl_conf conf;
        char seen[1024] = "";
        size_t n = 0;

        for (unsigned i = 0; i < ELEMENTSOF(rows[_i].file) && rows[_i].file[i].path; i++)
                tree_put(rows[_i].file[i].path, rows[_i].file[i].text);
        ck_assert_int_eq(sysctl_files_load(root, &lines, &conf, &diagnostics), 0);
        for (size_t i = 0; i < lines.n; i++)
                n += (size_t)snprintf(seen + n, sizeof(seen) - n, "%s %s;", lines.line[i].at.file,
                                      lines.line[i].value);
        ck_assert_msg(strcmp(seen, rows[_i].seen) == 0, "%s: %s", rows[_i].name, seen);
        ck_assert_msg(conf == rows[_i].conf, "%s: sysctl.conf %d", rows[_i].name, conf);
        if (rows[_i].diagnostic.says)
                expect_one(rows[_i].name, rows[_i].problem_file, rows[_i].diagnostic.line, rows[_i].diagnostic.says,
                           &diagnostics);
        else
                expect_none(rows[_i].name, &diagnostics);
        diagnostics_free(&diagnostics);
        sysctl_lines_free(&lines);
}
END_TEST

START_TEST(one_file)
{
        struct sysctl_lines lines = {0};
        struct diagnostics diagnostics = {0};
        char path[PATH_MAX];

        tree_put("some", "a=1");
        snprintf(path, sizeof(path), "%s/some", root);
        ck_assert_int_eq(sysctl_files_read(path, &lines, &diagnostics), 0);
        ck_assert_uint_eq(lines.n, 1);
        ck_assert_str_eq(lines.line[0].at.file, path);
        snprintf(path, sizeof(path), "%s/none", root);
        ck_assert_int_eq(sysctl_files_read(path, &lines, &diagnostics), 0);
        expect_one("missing", path, 0, "cannot be read: No such file", &diagnostics);
        diagnostics_free(&diagnostics);
        sysctl_lines_free(&lines);
}
END_TEST

static void add(TCase *tcase)
{
        tcase_add_checked_fixture(tcase, tree_new, tree_remove);
        tcase_add_loop_test(tcase, directories_are_read, 0, ELEMENTSOF(rows));
        tcase_add_test(tcase, one_file);
}

int main(void)
{
        return run_suite("sysctl_files", add);
}

/* SPDX-License-Identifier: MIT */
/* Which files of twtuned.conf.d are read, in which order, and whose rules they have. */
#define _GNU_SOURCE
#include "daemon/config_files.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "expect_diagnostic.h"
#include "files.h"
#include "lib/util/macro.h"
#include "run.h"

#define POLICY "/usr/lib/twtuned/policy.conf"
#define INTERVAL(s) "[daemon]\ninterval = " s "\n"

static const struct {
        const char *name;
        struct {
                const char *path, *text; /* as tree_put() takes it */
        } file[5];
        unsigned interval; /* s */
        const char *read;  /* the files after the policy, in order */
} rows[] = {
        {"the policy alone", {{0}}, 1, ""},
        {"after /etc/twtuned.conf",
         {{"/etc/twtuned.conf", INTERVAL("2s")}, {"/usr/lib/twtuned.conf.d/1.conf", INTERVAL("3s")}},
         3,
         "/etc/twtuned.conf /usr/lib/twtuned.conf.d/1.conf "},
        {"by name, whatever the directory",
         {{"/etc/twtuned.conf.d/20.conf", INTERVAL("2s")},
          {"/run/twtuned.conf.d/30.conf", INTERVAL("3s")},
          {"/usr/local/lib/twtuned.conf.d/10.conf", INTERVAL("4s")},
          {"/usr/lib/twtuned.conf.d/25.conf", INTERVAL("5s")}},
         3,
         "/usr/local/lib/twtuned.conf.d/10.conf /etc/twtuned.conf.d/20.conf /usr/lib/twtuned.conf.d/25.conf "
         "/run/twtuned.conf.d/30.conf "},
        {"a name masks that of the later directories",
         {{"/usr/lib/twtuned.conf.d/1.conf", INTERVAL("5s")},
          {"/run/twtuned.conf.d/1.conf", INTERVAL("3s")},
          {"/etc/twtuned.conf.d/1.conf", INTERVAL("2s")}},
         2,
         "/etc/twtuned.conf.d/1.conf "},
        {"/dev/null masks",
         {{"/usr/lib/twtuned.conf.d/1.conf", INTERVAL("5s")}, {"/etc/twtuned.conf.d/1.conf", "->/dev/null"}},
         1,
         "/etc/twtuned.conf.d/1.conf "},
        {"a link to nowhere masks",
         {{"/usr/lib/twtuned.conf.d/1.conf", INTERVAL("5s")}, {"/run/twtuned.conf.d/1.conf", "->/nowhere"}},
         1,
         ""},
        {"other names are not read",
         {{"/run/twtuned.conf.d/1.conf~", INTERVAL("5s")}, {"/run/twtuned.conf.d/.2.conf", INTERVAL("5s")}},
         1,
         ""},
};

/* Makes a test fail that needs what a call left on the stack when it returned. */
static void __attribute__((noinline)) overwrite_stack(void)
{
        volatile char bytes[32768];

        for (size_t i = 0; i < sizeof(bytes); i++)
                bytes[i] = 'x';
}

static struct config *load(struct diagnostics *diagnostics)
{
        struct config *config;

        tree_put(POLICY, "[rule vendor]\nwhen = tcp.listen > 0\nset = net.ipv4.tcp_fin_timeout = 30\n");
        config = config_files_load_below(root, NULL, NULL, diagnostics);
        overwrite_stack();
        return config;
}

START_TEST(directories_are_read)
{
        struct diagnostics diagnostics = {0};
        struct config *config;
        char read[512] = "";

        for (unsigned i = 0; i < ELEMENTSOF(rows[_i].file) && rows[_i].file[i].path; i++)
                tree_put(rows[_i].file[i].path, rows[_i].file[i].text);
        config = load(&diagnostics);
        expect_none(rows[_i].name, &diagnostics);
        ck_assert_uint_eq(config->interval_ns, rows[_i].interval * NSEC_PER_SEC);
        ck_assert_str_eq(config->file[0], POLICY);
        for (unsigned i = 1; i < config->n_files; i++)
                strcat(strcat(read, config->file[i]), " ");
        ck_assert_msg(strcmp(read, rows[_i].read) == 0, "%s: %s", rows[_i].name, read);
        config_free(config);
}
END_TEST

/* systemd's way: what is for one instance comes after what is for all, whatever its name. */
START_TEST(an_instance_has_files_of_its_own)
{
        static const struct {
                const char *instance;
                unsigned interval;
        } all[] = {{NULL, 2}, {"", 2}, {"other", 2}, {"web", 3}, {"../twtuned@web", 2}};

        tree_put("/etc/twtuned.conf.d/90.conf", INTERVAL("2s"));
        tree_put("/etc/twtuned@web.conf.d/10.conf", INTERVAL("3s"));
        tree_put("/usr/lib/twtuned@web.conf.d/10.conf", INTERVAL("4s"));
        tree_put("/run/twtuned@web.conf.d/05.conf", INTERVAL("5s"));
        for (unsigned i = 0; i < ELEMENTSOF(all); i++) {
                struct diagnostics diagnostics = {0};
                struct config *config;

                unsetenv("TWTUNED_INSTANCE");
                if (all[i].instance)
                        setenv("TWTUNED_INSTANCE", all[i].instance, true);
                config = load(&diagnostics);
                expect_none("an instance", &diagnostics);
                ck_assert_uint_eq(config->interval_ns, all[i].interval * NSEC_PER_SEC);
                ck_assert_str_eq(config->file[config->n_files - 1], all[i].interval == 3
                                                                            ? "/etc/twtuned@web.conf.d/10.conf"
                                                                            : "/etc/twtuned.conf.d/90.conf");
                config_free(config);
        }
        unsetenv("TWTUNED_INSTANCE");
}
END_TEST

#define OTHER_VALUE "[rule mine]\nwhen = tcp.listen > 0\nset = net.ipv4.tcp_fin_timeout = 20\n"

/* What is below /usr is the vendor's, and two rules of the vendor must agree. */
static const struct {
        const char *path;
        bool good;
} parties[] = {
        {"/etc/twtuned.conf", true},
        {"/etc/twtuned.conf.d/1.conf", true},
        {"/run/twtuned.conf.d/1.conf", true},
        {"/usr/local/lib/twtuned.conf.d/1.conf", false},
        {"/usr/lib/twtuned.conf.d/1.conf", false},
};

START_TEST(the_administrators_files_supersede_the_vendors)
{
        struct diagnostics diagnostics = {0};
        struct config *config;

        tree_put(parties[_i].path, OTHER_VALUE);
        config = load(&diagnostics);
        if (parties[_i].good)
                expect_none(parties[_i].path, &diagnostics);
        else
                expect_one(parties[_i].path, parties[_i].path, 3, "all rules must set the same value", &diagnostics);
        diagnostics_free(&diagnostics);
        config_free(config);
}
END_TEST

/* --config=FILE: one file, which contradicts itself. */
START_TEST(a_file_alone_supersedes_nothing)
{
        struct diagnostics diagnostics = {0};
        struct config *config;

        tree_put("/some.conf", "[rule a]\nwhen = tcp.listen > 0\nset = net.ipv4.tcp_fin_timeout = 30\n" OTHER_VALUE);
        config = config_files_load_below(root, "/some.conf", NULL, &diagnostics);
        expect_one("alone", "/some.conf", 6, "all rules must set the same value", &diagnostics);
        diagnostics_free(&diagnostics);
        config_free(config);
}
END_TEST

/* The policy is the first; nothing is said of a file that was read. */
START_TEST(files_over_the_limit_are_named)
{
        struct diagnostics diagnostics = {0};
        struct config *config;
        char path[64], says[128];

        for (unsigned i = 10; i < 9 + CONFIG_FILES_MAX; i++) {
                snprintf(path, sizeof(path), "/etc/twtuned.conf.d/%u.conf", i);
                tree_put(path, INTERVAL("2s"));
        }
        tree_put("/etc/twtuned.conf.d/more.conf/x", ""); /* it cannot be read either: it is a directory */
        config = load(&diagnostics);
        snprintf(says, sizeof(says), "more than %u files: /etc/twtuned.conf.d/more.conf is not read",
                 CONFIG_FILES_MAX);
        expect_one("over the limit", "twtuned", 0, says, &diagnostics);
        diagnostics_free(&diagnostics);
        config_free(config);
}
END_TEST

START_TEST(a_directory_that_is_none_is_an_error)
{
        struct diagnostics diagnostics = {0};
        struct config *config;

        tree_put("/run/twtuned.conf.d", "");
        config = load(&diagnostics);
        expect_one("a file", "/run/twtuned.conf.d", 0, "cannot be read: Not a directory", &diagnostics);
        diagnostics_free(&diagnostics);
        config_free(config);
}
END_TEST

START_TEST(so_is_that_of_an_instance)
{
        struct diagnostics diagnostics = {0};
        struct config *config;

        tree_put("/etc/twtuned@web.conf.d", "");
        setenv("TWTUNED_INSTANCE", "web", true);
        config = load(&diagnostics);
        unsetenv("TWTUNED_INSTANCE");
        expect_one("a file", "/etc/twtuned@web.conf.d", 0, "cannot be read: Not a directory", &diagnostics);
        diagnostics_free(&diagnostics);
        config_free(config);
}
END_TEST

/* The directory of a longer name cannot exist. */
START_TEST(a_long_instance_is_no_error)
{
        struct diagnostics diagnostics = {0};
        char instance[NAME_MAX + 2] = "";
        struct config *config;

        memset(instance, 'x', (size_t)_i);
        setenv("TWTUNED_INSTANCE", instance, true);
        config = load(&diagnostics);
        unsetenv("TWTUNED_INSTANCE");
        expect_none("a long instance", &diagnostics);
        config_free(config);
}
END_TEST

static void add(TCase *tcase)
{
        tcase_add_checked_fixture(tcase, tree_new, tree_remove);
        tcase_add_loop_test(tcase, directories_are_read, 0, ELEMENTSOF(rows));
        tcase_add_test(tcase, an_instance_has_files_of_its_own);
        tcase_add_loop_test(tcase, the_administrators_files_supersede_the_vendors, 0, ELEMENTSOF(parties));
        tcase_add_test(tcase, a_file_alone_supersedes_nothing);
        tcase_add_test(tcase, files_over_the_limit_are_named);
        tcase_add_test(tcase, a_directory_that_is_none_is_an_error);
        tcase_add_test(tcase, so_is_that_of_an_instance);
        tcase_add_loop_test(tcase, a_long_instance_is_no_error, NAME_MAX - 20, NAME_MAX + 2);
}

int main(void)
{
        return run_suite("config_files", add);
}

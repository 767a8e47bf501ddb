/* SPDX-License-Identifier: MIT */
/* Each allocation in turn fails, alone or with all later ones: all that is made of a configuration reports that, does
 * not crash and leaks nothing. The functions below take the place of the C library's, also for inih. */

#include <dlfcn.h>
#include <ini.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/config/config.h"
#include "lib/lint/lint.h"
#include "lib/lint/sysctl_lines.h"
#include "lib/policy/policy.h"
#include "lib/ports/table.h"
#include "lib/util/json.h"
#include "lib/util/macro.h"
#include "run.h"

static unsigned long left; /* allocations until one fails; 0: none will */
static bool for_good, failed;
static long held;

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);
void __libc_free(void *p);

static bool is_short(void)
{
        if (left == 0 || (left > 1 && --left > 0) || (failed && !for_good))
                return false;
        failed = true;
        return true;
}

static void *take(void *p)
{
        held += p != NULL;
        return p;
}

void *malloc(size_t size)
{
        return is_short() ? NULL : take(__libc_malloc(size));
}

void *calloc(size_t n, size_t size)
{
        return is_short() ? NULL : take(__libc_calloc(n, size));
}

void *realloc(void *p, size_t size)
{
        if (is_short())
                return NULL;
        return p ? __libc_realloc(p, size) : take(__libc_realloc(p, size));
}

void free(void *p)
{
        held -= p != NULL;
        __libc_free(p);
}

static int (*inih)(ini_reader, void *, ini_handler, void *);

/* Where inih is built to do without the stack (INI_USE_STACK=0), it begins with an allocation. */
int ini_parse_stream(ini_reader reader, void *stream, ini_handler handler, void *user)
{
        return is_short() ? -2 : inih(reader, stream, handler, user);
}

#define GOOD \
        "[daemon]\ninterval = 2s\n[limits]\nnet.ipv4.tcp_fin_timeout = min 20\n" \
        "[rule one]\ndescription = one\nwhen = ports.forecast >= 80% for 2s\nwhen = netstat.TcpExt.TWRecycled > " \
        "0/s\n" \
        "until = ports.demand < 50% for 2min\nset = net.ipv4.tcp_tw_reuse = 1\n" \
        "[rule two]\nwhen = ports.used >= 10 for 3s\nadvise = do\nadvise = this\n"

static struct config *good;
static struct diagnostics diagnostics;

static struct config *read_config(const char *text)
{
        struct config *config = config_new();

        if (!config)
                return NULL;
        config_read(config, "some.conf", text, strlen(text), NULL, &diagnostics);
        config_check(config, &diagnostics);
        diagnostics_sort(&diagnostics);
        return config;
}

static bool is_whole(const struct config *config)
{
        return config->n_rules == good->n_rules && config->values.n == good->values.n &&
               strcmp(config->rule[1].advise, good->rule[1].advise) == 0;
}

/* Each returns whether it says that something is missing. */

static bool reads_configuration(void)
{
        struct config *config = read_config(GOOD);
        /* asprintf() goes on if it cannot shrink its buffer (glibc 2.36): then nothing is missing. */
        bool logged = !config || diagnostics.n > 0 || (failed && is_whole(config));

        config_free(config);
        diagnostics_free(&diagnostics);
        return logged;
}

/* A wrong configuration is not accepted because its errors could not be stored. */
static bool refuses_configuration(void)
{
        struct config *config = read_config("[rule one]\nwhen = nothing\nset = net.ipv4.tcp_tw_reuse = 9\n");
        bool accepted = config && diagnostics.n == 0;

        config_free(config);
        diagnostics_free(&diagnostics);
        return failed && !accepted;
}

/* An error that only disables its rule does not hide the others. */
static bool refuses_more_than_a_rule(void)
{
        struct config *config = read_config("[rule one]\nwhen = tcp.listen < 0\nset = net.ipv4.tcp_tw_reuse = 1\n"
                                            "[rule two]\nwhen = tcp.listen > 0\n");
        bool accepted = config && (diagnostics.n == 0 || diagnostics_are_rules_off(&diagnostics));

        config_free(config);
        diagnostics_free(&diagnostics);
        return failed && !accepted;
}

static bool makes_policy(void)
{
        struct policy *policy = policy_new(good);

        policy_free(policy);
        return !policy;
}

static bool makes_ports(void)
{
        struct ports *ports = ports_new(1);

        ports_free(ports);
        return !ports;
}

static bool reads_sysctl_lines(void)
{
        static const char text[] = "net.ipv4.tcp_tw_reuse = 1\n-net.ipv4.tcp_*\nnet/ipv4/tcp_fin_timeout=30\n";
        struct sysctl_lines lines = {0};
        const char *file = sysctl_lines_add_file(&lines, "some.conf");
        bool logged = !file || sysctl_lines_read(&lines, file, text, sizeof(text) - 1, &diagnostics) < 0;

        sysctl_lines_free(&lines);
        return logged;
}

static int one(void *user, const char *path, char *buf, size_t size)
{
        (void)user, (void)path;
        snprintf(buf, size, "1");
        return 0;
}

static bool fixes_sysctl_lines(void)
{
        static const char text[] = "net.ipv4.tcp_sack = 1\nnet.ipv4.tcp_sack = 0\nnet.ipv4.tcp_fack = 1\n";
        struct sysctl_lines lines = {0};
        const char *file = sysctl_lines_add_file(&lines, "some.conf");
        bool logged = !file || sysctl_lines_read(&lines, file, text, sizeof(text) - 1, &diagnostics) < 0;
        char **why = NULL;

        logged = logged || lint_fix(&lines, &(struct lint_kernel){.read = one}, &why) < 0;
        if (!logged)
                lint_fix_free(why, lines.n);
        sysctl_lines_free(&lines);
        return logged;
}

static bool writes_json(void)
{
        struct json json = {0};
        char text[8192];
        bool logged;

        memset(text, 'x', sizeof(text) - 1);
        text[sizeof(text) - 1] = 0;
        json_open_array(&json, NULL);
        json_add_text(&json, NULL, "short");
        json_add_text(&json, NULL, text);
        json_close_array(&json);
        logged = json.failed;
        json_free(&json);
        return logged;
}

static bool (*const jobs[])(void) = {
        reads_configuration, refuses_configuration, refuses_more_than_a_rule, makes_policy,
        makes_ports,         reads_sysctl_lines,    fixes_sysctl_lines,       writes_json,
};

START_TEST(what_is_short_is_told_and_nothing_leaks)
{
        unsigned long n = 0;

        good = read_config(GOOD);
        ck_assert_msg(diagnostics.n == 0, "%s", diagnostics.n ? diagnostics.item[0].text : "");
        for_good = _i % 2;
        do {
                bool logged;

                failed = false;
                held = 0;
                left = ++n;
                logged = jobs[_i / 2]();
                left = 0;
                ck_assert_msg(logged == failed, "allocation %lu: %s", n, failed ? "nothing is said" : "it fails");
                ck_assert_msg(held == 0, "allocation %lu: %ld are left", n, held);
        } while (failed);
        ck_assert_msg(n > 1, "nothing is allocated");
        config_free(good);
}
END_TEST

static void add(TCase *tcase)
{
        tcase_add_loop_test(tcase, what_is_short_is_told_and_nothing_leaks, 0, 2 * ELEMENTSOF(jobs));
}

int main(void)
{
        void *library = dlopen("libinih.so.1", RTLD_NOW);

        *(void **)&inih = library ? dlsym(library, "ini_parse_stream") : NULL;
        if (!inih) {
                fprintf(stderr, "%s\n", dlerror());
                return 1;
        }
        return run_suite("out_of_memory", add);
}

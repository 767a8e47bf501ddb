/* SPDX-License-Identifier: MIT */
#include "lib/lint/lint.h"

#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "expect_diagnostic.h"
#include "files.h"
#include "lib/kernel/sysctl.h"
#include "lib/lint/row.h"
#include "lib/util/macro.h"
#include "run.h"

/* A kernel with what is in the file: a line each, PATH VALUE. */
struct model {
        char *text;
        const char *without, *path,
                *value; /* prefixes of the names that it lacks, "a|b"; a path that has this value instead */
        const char *read_only, *refused; /* a path that nobody may write; a value that no copy takes */
        const char *kept;                /* what each copy has before and after a write; NULL: it changes */
        int has_module;                  /* see struct lint_kernel; 2: it knows nothing about modules */
};

static int model_read(void *user, const char *path, char *buf, size_t size)
{
        const struct model *m = user;
        size_t n = strlen(path);

        for (const char *p = m->without; p; p = strchr(p, '|') ? strchr(p, '|') + 1 : NULL)
                if (strncmp(path, p, strcspn(p, "|")) == 0)
                        return -ENOENT;
        if (m->path && strcmp(path, m->path) == 0) {
                snprintf(buf, size, "%s", m->value);
                return 0;
        }
        for (const char *line = m->text; *line; line = strchr(line, '\n') + 1)
                if (strncmp(line, path, n) == 0 && line[n] == ' ') {
                        snprintf(buf, size, "%.*s", (int)strcspn(line + n + 1, "\n"), line + n + 1);
                        return 0;
                }
        return -ENOENT;
}

static bool model_is_read_only(void *user, const char *path)
{
        const struct model *m = user;

        return m->read_only && strcmp(path, m->read_only) == 0;
}

static int model_try(void *user, const char *path, const char *value, char *ret_kept, size_t size)
{
        const struct model *m = user;

        (void)path;
        snprintf(ret_kept, size, "%s", m->kept ? m->kept : "");
        return !m->refused ? -ENOSYS : strcmp(value, m->refused) == 0 ? -EINVAL : 0;
}

static int model_has_module(void *user, const char *name)
{
        const struct model *m = user;

        ck_assert_msg(strncmp(name, "tcp_", 4) == 0 || strncmp(name, "sch_", 4) == 0, "module %s", name);
        return m->has_module;
}

struct findings {
        struct lint_finding item[64];
        unsigned n;
};

static void on_finding(void *user, const struct lint_finding *finding)
{
        struct findings *f = user;

        ck_assert_uint_lt(f->n, ELEMENTSOF(f->item));
        ck_assert_msg(finding->why[0] && strlen(finding->why) < LINT_WHY_MAX - 1, "%s: '%s'", finding->name,
                      finding->why);
        ck_assert_msg(!finding->rule || finding->does, "%s: nobody says what rule %s does", finding->name,
                      finding->rule);
        f->item[f->n++] = *finding;
}

static struct sysctl_lines lines;
static struct diagnostics diagnostics;
static struct model model;
static struct findings findings;

static struct lint_kernel kernel_of_model(void)
{
        if (!model.text)
                model.text = file_read(LINT_DIR "/stock.txt");
        return (struct lint_kernel){.read = model_read,
                                    .is_read_only = model_is_read_only,
                                    .try = model_try,
                                    .has_module = model.has_module == 2 ? NULL : model_has_module,
                                    .user = &model,
                                    .memory_pages = 6170000};
}

static void lint(const char *text)
{
        const struct lint_kernel kernel = kernel_of_model();

        ck_assert_int_eq(
                sysctl_lines_read(&lines, sysctl_lines_add_file(&lines, "f"), text, strlen(text), &diagnostics), 0);
        lint_run(&lines, &kernel, on_finding, &findings);
}

/* The verdicts about one line, as a comment before it has them: "fine", or "no effect, fine" for a glob. */
static void verdicts_of(unsigned line, char *buf, size_t size)
{
        size_t n = 0;

        snprintf(buf, size, "passed over");
        for (unsigned i = 0; i < findings.n; i++)
                if (findings.item[i].line->at.line == line)
                        n += (size_t)snprintf(buf + n, size - n, "%s%s", n > 0 ? ", " : "",
                                              lint_verdict_name(findings.item[i].verdict));
}

/* The text of the next line; the one before it, when it is "#: VERDICTS". NULL: the end. */
static char *next_line(char **text, const char **ret_verdicts)
{
        char *line = *text, *end = strchr(line, '\n');

        if (!*line)
                return NULL;
        ck_assert_msg(end != NULL, "the last line has no end: %s", line);
        *end = 0;
        *text = end + 1;
        if (ret_verdicts)
                *ret_verdicts = strncmp(line, "#: ", 3) == 0 ? line + 3 : NULL;
        return line;
}

static void check_block(const char *name)
{
        char path[512], got[128], *text, *rest, *line;
        const char *verdicts = NULL, *next;
        unsigned n = 0, judged = 0;

        snprintf(path, sizeof(path), LINT_DIR "/%s", name);
        model.has_module = 2;
        rest = text = file_read(path);
        lint(text);
        expect_none(name, &diagnostics);
        while ((line = next_line(&rest, &next))) {
                n++;
                if (*line && *line != '#') {
                        verdicts_of(n, got, sizeof(got));
                        ck_assert_msg(verdicts != NULL, "%s:%u: no verdict stands before '%s'", name, n, line);
                        ck_assert_msg(strcmp(got, verdicts) == 0, "%s:%u: %s: %s, not %s", name, n, line, got,
                                      verdicts);
                        judged++;
                }
                verdicts = next;
        }
        ck_assert_msg(judged > 4, "%s: %u lines", name, judged);
        free(text);
}

static struct dirent **blocks;
static int block_count;

static int is_conf(const struct dirent *entry)
{
        const char *dot = strrchr(entry->d_name, '.');

        return dot && strcmp(dot, ".conf") == 0;
}

START_TEST(blocks_of_the_web)
{
        check_block(blocks[_i]->d_name);
}
END_TEST

/* The sysctls that a section of the policy writes, all of which the pattern of the rule matches; their number. */
static unsigned count_written(char *section, const struct lint_rule *rule)
{
        unsigned n = 0;

        for (char *line = strtok(section, "\n"); line && line[0] != '['; line = strtok(NULL, "\n")) {
                char name[64];

                if (sscanf(line, "set = %63s", name) != 1 && sscanf(line, "raise = %63s", name) != 1 &&
                    sscanf(line, "lower = %63s", name) != 1)
                        continue;
                n++;
                for (char *p = name; *p; p++)
                        *p = *p == '.' ? '/' : *p;
                ck_assert_msg(rule->writes && fnmatch(rule->writes, name, 0) == 0, "rule %s writes %s", rule->name,
                              name);
        }
        return n;
}

/* Each rule that a row names is in the shipped policy. */
START_TEST(rule_is_shipped)
{
        const struct lint_rule *rule = lint_rows[_i].rule ? lint_rule_find(lint_rows[_i].rule) : NULL;
        char *policy, *at, section[64];

        if (!rule)
                return;
        policy = file_read(CONF_DIR "/policy.conf");
        snprintf(section, sizeof(section), "\n[rule %s]\n", rule->name);
        at = strstr(policy, section);
        ck_assert_msg(at != NULL, "%s: no rule %s", lint_rows[_i].path, rule->name);
        ck_assert_msg((count_written(at + strlen(section), rule) > 0) == !!rule->writes, "rule %s", rule->name);
        free(policy);
}
END_TEST

START_TEST(row_is_whole)
{
        const struct lint_row *row = &lint_rows[_i];
        enum sysctl_id id = sysctl_find(row->path);
        const struct sysctl *s = id == SYSCTL_COUNT ? NULL : &sysctl_table[id];

        ck_assert_msg(lint_row_find(row->path) == row || strchr(row->path, '*'), "%s is there twice", row->path);
        ck_assert_msg(row->help || row->gone || row->idle || s, "nothing is said of %s", row->path);
        ck_assert_msg(!s || !row->help || strcmp(row->help, s->help) != 0, "%s repeats sysctl_table", row->path);
        ck_assert_msg(!s || s->n == row->n || s->n == 0, "%s: %u numbers", row->path, row->n);
        ck_assert_msg(row->low == 0 || row->below || (s && (s->below || s->never)), "%s: why not lower?", row->path);
        ck_assert_msg(!row->rule || lint_rule_find(row->rule), "%s: no rule %s", row->path, row->rule);
        ck_assert_msg(row->min <= row->max, "%s takes %lld to %lld", row->path, (long long)row->min,
                      (long long)row->max);
}
END_TEST

/* Each sysctl of sysctl_table has a row. */
START_TEST(every_sysctl_has_a_row)
{
        const struct sysctl *s = &sysctl_table[_i];
        const struct lint_row *row;
        char path[128];

        sysctl_name_swap(s->name, path, sizeof(path));
        row = lint_row_find(path);
        ck_assert_msg(row && !strchr(row->path, '*'), "%s has no row", s->name);
}
END_TEST

/* The default of a row is never harmful, on the kernel that has it. */
START_TEST(default_has_no_effect)
{
        const struct lint_row *row = &lint_rows[_i];
        char text[256], live[256];

        if (!row->initial)
                return;
        snprintf(text, sizeof(text), "%s = %s\n", row->path, row->initial);
        lint(text);
        ck_assert_uint_eq(findings.n, 1);
        ck_assert_msg(findings.item[0].verdict == LINT_NO_EFFECT, "%s: %s", row->path, findings.item[0].why);
        ck_assert_msg(model_read(&model, row->path, live, sizeof(live)) == 0, "%s is not in the model", row->path);
        ck_assert_msg(!strstr(findings.item[0].why, "the live value is"), "%s: %s", row->path, findings.item[0].why);
}
END_TEST

#define X16 "xxxxxxxxxxxxxxxx"
#define X256 X16 X16 X16 X16 X16 X16 X16 X16 X16 X16 X16 X16 X16 X16 X16 X16

/* One line, and a part of what is said about it. */
static const struct {
        const char *text;
        enum lint_verdict verdict; /* of the last */
        const char *says, *not ;
        struct model model;
} rows[] = {
        {"net.ipv4.tcp_fin_timeout=30", LINT_FINE, "it does nothing to TIME_WAIT", "", {0}},
        {"net.ipv4.tcp_fin_timeout=120", LINT_FINE, "it does nothing to TIME_WAIT", "", {0}},
        {"net.ipv4.tcp_fin_timeout=121", LINT_HARMFUL, "a whole socket", "", {0}},
        {"net.ipv4.tcp_early_retrans=2", LINT_HARMFUL, "tail loss probe", "", {0}},
        {"net.core.netdev_budget_usecs=9000", LINT_FINE, "", "harmful", {0}},
        {"net.ipv4.tcp_early_retrans=4", LINT_FINE, "tail loss probe", "", {0}},
        {"net.ipv4.tcp_wmem=4096 8192 8192", LINT_HARMFUL, "limited to 0.7 Mbit/s", "", {0}},
        {"net.ipv4.tcp_fin_timeout=30", LINT_FINE, "the live value is 60", "", {0}},
        {"net.ipv4.tcp_fin_timeout=30", LINT_FINE, "", "live", {.path = "net/ipv4/tcp_fin_timeout", .value = "30"}},
        {"net.ipv4.tcp_fin_timeout=30",
         LINT_FINE,
         "the live value is empty",
         "",
         {.path = "net/ipv4/tcp_fin_timeout", .value = ""}},
        {"net.ipv4.tcp_fin_timeout=9", LINT_HARMFUL, "reset", "", {0}},
        {"net.ipv4.tcp_fin_timeout=10", LINT_FINE, "", "", {0}},
        {"net.ipv4.tcp_fin_timeout=-5", LINT_HARMFUL, "", "", {0}},
        {"net.ipv4.tcp_fin_timeout=99999999999", LINT_NO_EFFECT, "refuses", "", {0}},
        {"net.ipv4.tcp_fin_timeout=99999999999999999999", LINT_NO_EFFECT, "refuses", "", {0}},
        {"net.ipv4.tcp_fin_timeout=30 x", LINT_FINE, "the kernel ignores 'x'", "", {0}},
        {"net.ipv4.tcp_fin_timeout=0x1e", LINT_FINE, "", "live", {.path = "net/ipv4/tcp_fin_timeout", .value = "30"}},
        {"net.ipv4.tcp_fin_timeout=60\nnet.ipv4.tcp_fin_timeout=30", LINT_FINE, "", "", {0}},
        {"net.ipv4.tcp_fin_timeout=30\nnet.ipv4.tcp_fin_timeout=60", LINT_FINE, "default, which f:1 changes", "", {0}},
        {"net.ipv4.tcp_fin_timeout=60\nnet.ipv4.tcp_fin_timeout=60", LINT_NO_EFFECT, "it repeats f:1", "back", {0}},
        {"net.ipv4.ip_local_port_range=32768\t60999", LINT_NO_EFFECT, "default", "live", {0}},
        {"net.ipv4.ip_local_port_range=32767 60999", LINT_HARMFUL, "NodePort", "", {0}},
        {"net.ipv4.ip_local_port_range=32768 65535", LINT_FINE, "", "", {0}},
        {"net.ipv4.ip_local_port_range=60000 65535", LINT_HARMFUL, "only 5536 ports", "", {0}},
        {"net.ipv4.ip_local_port_range=60000 70000", LINT_NO_EFFECT, "it accepts 1024 to 65535", "", {0}},
        {"net.ipv4.ip_local_port_range=1000 60999", LINT_NO_EFFECT, "it accepts 1024 to 65535", "", {0}},
        {"net.ipv4.ip_unprivileged_port_start=80\nnet.ipv4.ip_local_port_range=1000 60999", LINT_HARMFUL, "", "", {0}},
        {"net.ipv4.ip_local_port_range=60000 50000", LINT_NO_EFFECT, "first port is over the last", "", {0}},
        {"net.ipv4.ip_local_port_range=40000", LINT_HARMFUL, "1 of 2 numbers", "", {0}},
        {"net.ipv4.tcp_tw_reuse=1", LINT_FINE, "", "", {0}},
        {"net.ipv4.tcp_tw_reuse=0", LINT_FINE, "no reuse", "", {0}},
        {"net.ipv4.tcp_tw_reuse=1",
         LINT_NO_EFFECT,
         "tcp_timestamps is 0",
         "",
         {.path = "net/ipv4/tcp_timestamps", .value = "0"}},
        {"net.ipv4.tcp_timestamps=0\nnet.ipv4.tcp_tw_reuse=1", LINT_NO_EFFECT, "tcp_timestamps is 0", "", {0}},
        {"net.ipv4.tcp_timestamps=1\nnet.ipv4.tcp_tw_reuse=1",
         LINT_FINE,
         "",
         "",
         {.path = "net/ipv4/tcp_timestamps", .value = "0"}},
        {"net.ipv4.tcp_tw_reuse=0\nnet.ipv4.tcp_tw_reuse_delay=500",
         LINT_NO_EFFECT,
         "only while tcp_tw_reuse is not 0 (f:1)",
         "",
         {0}},
        {"net.ipv4.tcp_tw_reuse_delay=500",
         LINT_NO_EFFECT,
         "Linux 6.14 brought it",
         "",
         {.without = "net/ipv4/tcp_tw_reuse_delay"}},
        {"net.ipv4.tcp_tw_recycle=1", LINT_NO_EFFECT, "it broke clients behind NAT", "", {0}},
        {"net.ipv4.tcp_syncookies=0\nnet.ipv4.tcp_max_syn_backlog=4096",
         LINT_FINE,
         "",
         "ignored while tcp_syncookies is 0",
         {0}},
        {"net.ipv4.tcp_syncookies=0\nnet.ipv4.tcp_max_syn_backlog=64", LINT_HARMFUL, "half-open", "", {0}},
        {"net.ipv4.tcp_syncookies=2\nnet.ipv4.tcp_max_syn_backlog=64", LINT_NO_EFFECT, "tcp_syncookies is 2", "", {0}},
        {"net.ipv4.tcp_max_tw_buckets=131072", LINT_NO_EFFECT, "default on this machine", "", {0}},
        {"net.ipv4.tcp_max_tw_buckets=65536", LINT_FINE, "", "", {0}},
        {"net.ipv4.tcp_max_tw_buckets=65535", LINT_HARMFUL, "throws TIME_WAIT away", "", {0}},
        {"net.ipv4.tcp_max_tw_buckets=8192",
         LINT_FINE,
         "how many",
         "",
         {.path = "net/ipv4/tcp_ehash_entries", .value = "8192"}},
        {"net.ipv4.tcp_max_tw_buckets=4095",
         LINT_HARMFUL,
         "",
         "",
         {.path = "net/ipv4/tcp_ehash_entries", .value = "-8192"}},
        {"net.ipv4.tcp_max_tw_buckets=65535", LINT_HARMFUL, "", "", {.without = "net/ipv4/tcp_ehash_entries"}},
        {"net.netfilter.nf_conntrack_max=4096",
         LINT_FINE,
         "",
         "",
         {.path = "net/netfilter/nf_conntrack_buckets", .value = "2048"}},
        {"net.netfilter.nf_conntrack_max=4096",
         LINT_FINE,
         "",
         "default",
         {.path = "net/netfilter/nf_conntrack_buckets", .value = "4096"}},
        {"net.netfilter.nf_conntrack_max=4096",
         LINT_NO_EFFECT,
         "once nf_conntrack is loaded",
         "",
         {.without = "net/netfilter/"}},
        {"net.ipv4.tcp_mem=1 2 3", LINT_HARMFUL, "squeezed", "", {0}},
        {"net.ipv4.tcp_mem=200000 300000 6170001", LINT_HARMFUL, "pages, not bytes", "", {0}},
        {"net.ipv4.tcp_mem=18446744073709551615 18446744073709551615 18446744073709551615",
         LINT_HARMFUL,
         "pages, not bytes",
         "",
         {0}},
        {"net.ipv4.tcp_mem=1 2 18446744073709551616", LINT_HARMFUL, "only 2 of 3 numbers", "", {0}},
        {"net.ipv4.tcp_fin_timeout=9223372036854775808", LINT_NO_EFFECT, "it accepts -21474836", "", {0}},
        {"net.ipv4.tcp_fin_timeout=-9223372036854775809", LINT_NO_EFFECT, "it accepts -21474836", "", {0}},
        {"net.ipv4.tcp_mem=200000 300000 400000", LINT_FINE, "the kernel sizes it", "", {0}},
        {"net.ipv4.tcp_mem=200000 300000 400000",
         LINT_NO_EFFECT,
         "first network namespace",
         "",
         {.without = "net/ipv4/tcp_mem"}},
        {"net.ipv4.tcp_rmem=4096 131072 1048575", LINT_HARMFUL, "at most 1023 KiB", "", {0}},
        {"net.ipv4.tcp_rmem=4096 1048577 4194304", LINT_HARMFUL, "starts with 1 MiB", "", {0}},
        {"net.ipv4.tcp_rmem=4096 1048576 1048576", LINT_FINE, "", "", {0}},
        {"net.ipv4.tcp_rmem=0 1 2", LINT_NO_EFFECT, "refuses", "", {0}},
        {"net.ipv4.tcp_rmem=4096,131072,4194304", LINT_NO_EFFECT, "refuses it: it needs 3 numbers", "", {0}},
        {"net.ipv4.tcp_adv_win_scale=2", LINT_NO_EFFECT, "since Linux 6.6", "", {0}},
        {"net.ipv4.tcp_adv_win_scale=2", LINT_FINE, "", "6.6", {.without = "net/ipv4/tcp_backlog_ack_defer"}},
        {"net.ipv4.tcp_adv_win_scale=2",
         LINT_NO_EFFECT,
         "since Linux 6.6",
         "",
         {.without = "net/ipv4/tcp_backlog_ack_defer", .path = "kernel/osrelease", .value = "6.6.30-1-lts"}},
        {"net.ipv4.tcp_adv_win_scale=2",
         LINT_FINE,
         "",
         "6.6",
         {.without = "net/ipv4/tcp_backlog_ack_defer", .path = "kernel/osrelease", .value = "6.1.0-30-amd64"}},
        {"net.ipv4.tcp_congestion_control=bbr", LINT_FINE, "if the module tcp_bbr exists", "", {.has_module = 2}},
        {"net.ipv4.tcp_congestion_control=reno", LINT_FINE, "", "module", {0}},
        {"net.ipv4.tcp_congestion_control=bbr",
         LINT_FINE,
         "if the module tcp_bbr exists",
         "",
         {.without = "net/ipv4/tcp_available_congestion_control", .has_module = 2}},
        {"net.ipv4.tcp_abort_on_overflow=1", LINT_HARMFUL, "refused connections", "", {0}},
        {"net.ipv4.tcp_syncookies=2", LINT_HARMFUL, "every SYN", "", {0}},
        {"net.ipv4.ip_local_reserved_ports=8080,9000-9010", LINT_FINE, "leaves out", "", {0}},
        {"net.ipv4.ip_local_reserved_ports=99999", LINT_NO_EFFECT, "not a list of ports", "", {0}},
        {"net.ipv4.tcp_reflect_tos=1", LINT_FINE, "answers a SYN", "", {0}},
        {"net.ipv4.tcp_tomorrow=1",
         LINT_UNKNOWN,
         "does not judge it",
         "",
         {.path = "net/ipv4/tcp_tomorrow", .value = "0"}},
        {"net.core.tomorrow=1", LINT_UNKNOWN, "does not judge it", "", {.path = "net/core/tomorrow", .value = "0"}},
        {"net.ipv4.tcp_fin_timeuot=1", LINT_NO_EFFECT, "did you mean net.ipv4.tcp_fin_timeout?", "", {0}},
        {"net.ipv4.tcp_quux=1", LINT_NO_EFFECT, "this kernel has no such sysctl", "mean", {0}},
        {"net.core.quux=1",
         LINT_NO_EFFECT,
         "in this network namespace",
         "this kernel",
         {.without = "net/ipv4/tcp_mem"}},
        {"net.netfilter.nf_conntrack_max=2097152", LINT_FINE, "", "buckets", {0}},
        {"net.netfilter.nf_conntrack_max=4194304", LINT_FINE, "net.netfilter.nf_conntrack_buckets = 1048576", "", {0}},
        {"net.core.rmem_max=212991", LINT_FINE, "rmem_default is 212992, more than a program may set", "", {0}},
        {"net.core.rmem_max=212992", LINT_FINE, "", "rmem_default", {0}},
        {"net.ipv4.tcp_fastopen=512", LINT_FINE, "", "", {0}},
        {"net.ipv4.tcp_fastopen=514", LINT_HARMFUL, "0x200", "", {0}},
        {"net.ipv4.tcp_fin_timeout=30\n-net.ipv4.tcp_fin_timeout", LINT_NO_EFFECT, "revoked by f:2", "live", {0}},
        {"net.ipv4.tcp_fin_timeou?=30", LINT_FINE, "", "", {0}},

        /* names that are nearly those of sysctls */
        {"net.ipv6.tcp_fin_timeout=30", LINT_NO_EFFECT, "it is net.ipv4.tcp_fin_timeout, which acts on IPv6", "", {0}},
        {"net.ipv6.tcp_congestion_control=reno", LINT_NO_EFFECT, "it is net.ipv4.tcp_congestion_control", "", {0}},
        {"net.core.tcp_fin_timeout=30", LINT_NO_EFFECT, "it is net.ipv4.tcp_fin_timeout", "IPv6", {0}},
        {"net.tcp_fin_timeout=30", LINT_NO_EFFECT, "it is net.ipv4.tcp_fin_timeout", "", {0}},
        {"ipv4.tcp_fin_timeout=30", LINT_NO_EFFECT, "it is net.ipv4.tcp_fin_timeout", "", {0}},
        {"tcp_fin_timeout=30", LINT_NO_EFFECT, "it is net.ipv4.tcp_fin_timeout", "", {0}},
        {"net.ipv4.tcp.fin_timeout=30", LINT_NO_EFFECT, "it is net.ipv4.tcp_fin_timeout", "", {0}},
        {"net.ipv4.udp.mem=1", LINT_NO_EFFECT, "it is net.ipv4.udp_mem", "", {0}},
        {"net.ipv4.tcp-fin-timeout=30", LINT_NO_EFFECT, "it is net.ipv4.tcp_fin_timeout", "", {0}},
        {"net.ipv4.max_orphans=30", LINT_NO_EFFECT, "it is net.ipv4.tcp_max_orphans", "", {0}},
        {"net.ipv4.somaxconn=30", LINT_NO_EFFECT, "it is net.core.somaxconn", "", {0}},
        {"net.ipv4.local_port_range=1", LINT_NO_EFFECT, "it is net.ipv4.ip_local_port_range", "", {0}},
        {"net.core.ip_local_port_range=1", LINT_NO_EFFECT, "it is net.ipv4.ip_local_port_range", "", {0}},
        {"net.ipv4.conf.all.tcp_syncookies=1", LINT_NO_EFFECT, "it is net.ipv4.tcp_syncookies", "", {0}},
        {"net.ipv4/tcp_fin_timeout=30", LINT_NO_EFFECT, "it is net.ipv4.tcp_fin_timeout", "", {0}},
        {"/proc/sys/net/ipv4/tcp_fin_timeout=30", LINT_NO_EFFECT, "it is net.ipv4.tcp_fin_timeout", "", {0}},
        {"NET.IPV4.TCP_FIN_TIMEOUT=30", LINT_NO_EFFECT, "it is net.ipv4.tcp_fin_timeout", "", {0}},
        {"net.ipv4.tcp_fin_timeout\xc2\xa0= 30", LINT_NO_EFFECT, "it is net.ipv4.tcp_fin_timeout", "", {0}},
        {"net.netfilter.ip_conntrack_max=1", LINT_NO_EFFECT, "it is net.netfilter.nf_conntrack_max", "", {0}},
        {"net.ipv4.nf_conntrack_max=1", LINT_NO_EFFECT, "it is net.netfilter.nf_conntrack_max", "", {0}},
        {"net.ipv4.ip_conntrack_max=1",
         LINT_NO_EFFECT,
         "nf_conntrack_max; it exists once nf_conntrack is loaded",
         "",
         {.without = "net/netfilter/"}},
        {"net.ipv4.netfilter.ip_conntrack_udp_timeout=1",
         LINT_NO_EFFECT,
         "net.netfilter.nf_conntrack_udp_timeout",
         "",
         {0}},
        {"net.netfilter.nf_conntrack_hashsize=1", LINT_NO_EFFECT, "net.netfilter.nf_conntrack_buckets", "loaded", {0}},
        {"net.netfilter.nf_conntrack_tcp_timeout_timewait=10",
         LINT_NO_EFFECT,
         "did you mean net.netfilter.nf_conntrack_tcp_timeout_time_wait?",
         "loaded",
         {0}},
        {"\"net.ipv4.tcp_fin_timeout\" = 30", LINT_NO_EFFECT, "it is net.ipv4.tcp_fin_timeout", "", {0}},
        {"tcp_time_wait_interval = 30", LINT_NO_EFFECT, "no such sysctl", "", {0}},
        {"net.ipv4.tcp_kepalive_* = 30", LINT_UNKNOWN, "matches no sysctl", "", {0}},
        {"net.ipv6.tcp_* = 30", LINT_UNKNOWN, "matches no sysctl", "", {0}},
        {"net.netfilter.nf_conntrack_hash_size=1", LINT_NO_EFFECT, "is net.netfilter.nf_conntrack_buckets", "", {0}},
        {"net.ipv4.tcp_frto_respons=1", LINT_NO_EFFECT, "no net.ipv4.tcp_frto_response either: Linux 3.10", "", {0}},
        {"net.core.tcp_pingpong_thresh=3",
         LINT_NO_EFFECT,
         "there is no such sysctl, and no net.ipv4.tcp_pingpong_thresh either",
         "it is",
         {.without = "net/ipv4/tcp_pingpong"}},
        {"net.ipv4.tcp_pingpong_tresh=3",
         LINT_NO_EFFECT,
         "this kernel has no such sysctl; there is no net.ipv4.tcp_pingpong_thresh either",
         "mean",
         {.without = "net/ipv4/tcp_pingpong"}},
        {"net.ipv4.nf_conntrack_gre_timeout=3",
         LINT_NO_EFFECT,
         "and no net.netfilter.nf_conntrack_gre_timeout either",
         "loaded",
         {.without = "net/netfilter/nf_conntrack_gre"}},
        {"net.inet.tcp.msl=1000", LINT_NO_EFFECT, "a name of BSD and macOS", "", {0}},
        {"kern.ipc.somaxconn=1000", LINT_NO_EFFECT, "it is net.core.somaxconn", "", {0}},
        {"net.ipv6.tcp_tw_recycle=1", LINT_NO_EFFECT, "no net.ipv4.tcp_tw_recycle either: it broke", "", {0}},
        {"net/core/../../kernel/osrelease=1", LINT_NO_EFFECT, "no such sysctl", "live", {0}},
        {"net//ipv4/./tcp_fin_timeout/=30", LINT_FINE, "it does nothing to TIME_WAIT", "", {0}},
        {"net.nf_conntrack_max=524288",
         LINT_NO_EFFECT,
         "in the first network namespace only",
         "loaded",
         {.without = "net/nf_conntrack_max|net/ipv4/tcp_mem"}},

        /* ports that are reserved, and the range */
        {"net.ipv4.ip_local_reserved_ports=32768-60999", LINT_HARMFUL, "every port of ip_local_port_range:", "", {0}},
        {"net.ipv4.ip_local_reserved_ports=1-65535", LINT_HARMFUL, "every port", "", {0}},
        {"net.ipv4.ip_local_reserved_ports=33000-60999", LINT_HARMFUL, "it leaves 232 of the 28232 ports", "", {0}},
        {"net.ipv4.ip_local_reserved_ports=40000-41000", LINT_FINE, "leaves out", "none of them", {0}},
        {"net.ipv4.ip_local_reserved_ports=8080", LINT_FINE, "none of them is in", "", {0}},
        {"net.ipv4.ip_local_reserved_ports=0x8000-0xee47,", LINT_HARMFUL, "every port", "", {0}},
        {"net.ipv4.ip_local_reserved_ports=8080,,9090", LINT_NO_EFFECT, "not a list of ports", "", {0}},
        {"net.ipv4.ip_local_reserved_ports=8080 # web", LINT_NO_EFFECT, "the kernel refuses it", "", {0}},
        {"net.ipv4.ip_local_reserved_ports=40000-60000\nnet.ipv4.ip_local_port_range=40000 60001",
         LINT_HARMFUL,
         "only 1 ports",
         "",
         {0}},
        {"net.ipv4.ip_local_port_range=40000 60001\nnet.ipv4.ip_local_reserved_ports=40000-60001",
         LINT_HARMFUL,
         "every port of ip_local_port_range (f:1)",
         "",
         {0}},
        {"net.ipv4.ip_local_port_range=1000 60999\nnet.ipv4.ip_unprivileged_port_start=80", LINT_FINE, "", "", {0}},
        {"net.ipv4.ip_local_port_range=65535", LINT_NO_EFFECT, "must not be over the last one, 60999", "", {0}},
        {"net.ipv4.ip_local_port_range=16\nnet.ipv4.ip_unprivileged_port_start=255", LINT_FINE, "", "", {0}},
        {"net.ipv4.ip_local_port_range=50000 x\nnet.ipv4.ip_unprivileged_port_start=40000",
         LINT_NO_EFFECT,
         "32768, where ip_local_port_range begins",
         "",
         {0}},
        {"net.ipv4.ip_unprivileged_port_start=40000",
         LINT_NO_EFFECT,
         "32768, where ip_local_port_range begins",
         "",
         {0}},
        {"net.ipv4.ip_local_port_range=40000 60001\nnet.ipv4.ip_unprivileged_port_start=40000",
         LINT_FINE,
         "",
         "",
         {0}},

        /* keepalive and conntrack */
        {"net.ipv4.tcp_keepalive_time=300\nnet.netfilter.nf_conntrack_tcp_timeout_established=1200",
         LINT_FINE,
         "by the first probe, after 300 s (f:1)",
         "",
         {0}},
        {"net.netfilter.nf_conntrack_tcp_timeout_established=1200",
         LINT_FINE,
         "by the first probe, after 300 s;",
         "",
         {.path = "net/ipv4/tcp_keepalive_time", .value = "300"}},
        {"net.netfilter.nf_conntrack_tcp_timeout_established=1200", LINT_HARMFUL, "comes after 7200 s, and", "", {0}},
        {"net.ipv4.tcp_keepalive_time=300 s\nnet.netfilter.nf_conntrack_tcp_timeout_established=300",
         LINT_HARMFUL,
         "comes after 300 s (f:1)",
         "",
         {0}},
        {"net.ipv4.tcp_keepalive_time=300s\nnet.netfilter.nf_conntrack_tcp_timeout_established=1200",
         LINT_HARMFUL,
         "comes after 7200 s, and",
         "",
         {0}},
        {"net.netfilter.nf_conntrack_tcp_timeout_established=600\nnet.ipv4.tcp_keepalive_time=900",
         LINT_FINE,
         "conntrack forgets an idle connection after 600 s (f:1), before the first probe",
         "",
         {0}},
        {"net.netfilter.nf_conntrack_tcp_timeout_established=8000\nnet.ipv4.tcp_keepalive_time=9000",
         LINT_FINE,
         "",
         "conntrack forgets",
         {.without = "net/netfilter/"}},
        {"net.netfilter.nf_conntrack_udp_timeout=0", LINT_HARMFUL, "gone at once", "", {0}},

        /* reuse without timestamps */
        {"net.ipv4.tcp_timestamps=0\nnet.ipv4.tcp_tw_reuse=1", LINT_NO_EFFECT, "take f:1 out", "", {0}},
        {"net.ipv4.tcp_timestamps=0\nnet.ipv4.tcp_tw_recycle=1", LINT_NO_EFFECT, "take f:1 out", "", {0}},
        {"net.ipv4.tcp_timestamps=300\nnet.ipv4.tcp_tw_reuse=1", LINT_FINE, "", "timestamps is 0", {0}},

        /* one variable under two names: systemd-sysctl applies an equal line where it first stood */
        {"net.netfilter.nf_conntrack_max=300000\nnet.nf_conntrack_max=400000", LINT_FINE, "", "overridden", {0}},
        {"net.ipv4.tcp_fin_timeout=30\nnet.ipv4.tcp_fin_timeout=31\nnet.ipv4.tcp_fin_timeout=30",
         LINT_FINE,
         "",
         "repeat",
         {0}},
        {"net.ipv4.ip_unprivileged_port_start=40000\nnet.ipv4.ip_local_port_range=40000 60001\n"
         "net.ipv4.ip_unprivileged_port_start=40000",
         LINT_NO_EFFECT,
         "it repeats f:1",
         "",
         {0}},
        /* where the live range begins is unknown, and its line comes later */
        {"net.ipv4.ip_unprivileged_port_start=40000\nnet.ipv4.ip_local_port_range=50000 60999\n"
         "net.ipv4.ip_unprivileged_port_start=40000",
         LINT_NO_EFFECT,
         "it repeats f:1",
         "refuse",
         {.path = "net/ipv4/ip_local_port_range", .value = ""}},
        {"net.nf_conntrack_max=300000\nnet.netfilter.nf_conntrack_max=400000\nnet.nf_conntrack_max=300000",
         LINT_NO_EFFECT,
         "overridden by f:2",
         "",
         {0}},

        {"net.ipv4.tcp_keepalive_p* = 10\nnet.ipv4.tcp_keepalive_pr* = 20\nnet.ipv4.tcp_keepalive_p* = 10",
         LINT_NO_EFFECT,
         "overridden by f:2",
         "",
         {0}},

        /* texts */
        {"net.ipv4.tcp_congestion_control=reno # fast",
         LINT_NO_EFFECT,
         "refuses it: everything after the name",
         "",
         {0}},
        {"net.ipv4.tcp_congestion_control=\"reno\"", LINT_NO_EFFECT, "refuses it: the quotes", "", {0}},
        {"net.ipv4.tcp_congestion_control=RENO", LINT_NO_EFFECT, "names are in lower case: reno", "", {0}},
        {"net.ipv4.tcp_congestion_control=", LINT_NO_EFFECT, "refuses it: it needs a name", "", {0}},
        {"net.ipv4.tcp_congestion_control=tsunami", LINT_NO_EFFECT, "no module tcp_tsunami", "", {.has_module = 2}},
        {"net.ipv4.tcp_congestion_control=tsunami", LINT_FINE, "loads the module tcp_tsunami", "", {.has_module = 1}},
        {"net.ipv4.tcp_congestion_control=bbr", LINT_NO_EFFECT, "this kernel has no module tcp_bbr", "", {0}},
        {"net.ipv4.tcp_congestion_control=vegas",
         LINT_NO_EFFECT,
         "accepts what is in tcp_allowed_congestion_control, not vegas",
         "",
         {.without = "net/ipv4/tcp_mem", .has_module = 1}},
        {"net.ipv4.tcp_congestion_control=reno", LINT_FINE, "", "accepts", {.without = "net/ipv4/tcp_mem"}},
        {"net.core.default_qdisc=fq # x", LINT_NO_EFFECT, "refuses it", "", {0}},
        {"net.core.default_qdisc=pfifo_fast", LINT_FINE, "queue of network devices", "module", {0}},
        {"net.core.default_qdisc=fq", LINT_FINE, "if the module sch_fq exists", "", {0}},
        {"net.core.default_qdisc=fqq", LINT_NO_EFFECT, "no module sch_fqq", "", {.has_module = 2}},
        {"net.ipv4.tcp_allowed_congestion_control=cubic vegas", LINT_NO_EFFECT, "vegas is not in", "", {0}},
        {"net.ipv4.tcp_allowed_congestion_control=reno cubic", LINT_FINE, "", "ignores", {0}},
        {"net.ipv4.tcp_allowed_congestion_control=reno\tcubic cubic", LINT_NO_EFFECT, "a tab is a part of", "", {0}},
        {"net.ipv4.tcp_allowed_congestion_control=reno  cubic",
         LINT_FINE,
         "may choose; the kernel ignores 'cubic': the names end at two blanks",
         "",
         {0}},
        {"net.ipv4.tcp_allowed_congestion_control=reno  vegas", LINT_FINE, "ignores 'vegas'", "not in", {0}},
        {"net.ipv4.tcp_allowed_congestion_control=" X256 X256 X256 X256, LINT_NO_EFFECT, "it is too long", "", {0}},
        {"net.core.optmem_max=1000 \"x\"", LINT_NO_EFFECT, "a comment and quotes", "", {.refused = "1000 \"x\""}},
        {"net.ipv4.ip_local_port_range=32768 60999", LINT_NO_EFFECT, "", "", {.without = "net/ipv4/ip_unprivileged"}},
        {"net.ipv4.ip_local_port_range=20000 60999\nnet.ipv4.ip_unprivileged_port_start=80",
         LINT_NO_EFFECT,
         "",
         "",
         {.without = "net/ipv4/ip_unprivileged"}},
        {"net.ipv4.ip_local_port_range=33000 60999", LINT_FINE, "", "", {.without = "net/ipv4/ip_local_reserved"}},
        {"net.ipv4.ip_local_reserved_ports=8080", LINT_FINE, "", "", {.without = "net/ipv4/ip_local_port_range"}},
        {"net.ipv4.tcp_fin_timeout=\"30\"", LINT_NO_EFFECT, "the quotes are a part of the value", "", {0}},

        /* numbers as the kernel reads them */
        {"net.ipv4.tcp_fin_timeout=30\nnet.ipv4.tcp_sack=\f0", LINT_HARMFUL, "without SACK", "", {.refused = ""}},
        {"net.ipv4.tcp_fin_timeout=30\nnet.ipv4.tcp_sack=\v\xa0\f0",
         LINT_HARMFUL,
         "without SACK",
         "",
         {.refused = ""}},
        {"net.ipv4.tcp_keepalive_time=30\nnet.ipv4.tcp_keepalive_time=\f9000", LINT_FINE, "", "", {.refused = ""}},
        {"net.ipv4.tcp_keepalive_time=9000\f", LINT_NO_EFFECT, "refuses", "", {0}},
        {"net.ipv4.tcp_keepalive_time=7200 \f", LINT_NO_EFFECT, "it is the kernel's default", "ignores", {0}},

        /* what the kernel refuses, by its own word where it can be asked */
        {"net.ipv4.tcp_comp_sack_nr=300", LINT_NO_EFFECT, "it accepts 0 to 255", "", {0}},
        {"net.ipv4.tcp_comp_sack_rtt_percent=2000", LINT_NO_EFFECT, "it accepts 1 to 1000", "", {0}},
        {"net.ipv4.ip_local_port_step_width=100", LINT_FINE, "steps from a port that is taken", "", {0}},
        {"net.ipv4.ip_local_port_step_width=100",
         LINT_NO_EFFECT,
         "Linux 7.3 has it",
         "",
         {.without = "net/ipv4/ip_local_port_step_width"}},
        {"net.ipv4.tcp_rmem=1024 131072 4194304", LINT_FINE, "", "some kernels", {.refused = ""}},
        {"net.ipv4.tcp_rmem=1024 131072 4194304", LINT_FINE, "some kernels refuse a minimum under 4096", "", {0}},
        {"net.ipv4.tcp_rmem=1024 131072 4194304",
         LINT_NO_EFFECT,
         "the kernel refuses it: Invalid argument",
         "",
         {.refused = "1024 131072 4194304"}},
        {"net.ipv4.tcp_tw_reuse=3", LINT_FINE, "", "", {.refused = ""}},
        {"net.ipv4.tcp_early_demux=256", LINT_FINE, "; newer kernels accept only 0 to 255", "", {0}},
        {"net.ipv4.tcp_early_demux=256", LINT_FINE, "", "newer kernels", {.refused = ""}},
        {"net.ipv4.tcp_early_demux=256", LINT_NO_EFFECT, "refuses it: it accepts 0 to 255", "", {.refused = "256"}},
        {"net.ipv4.tcp_early_demux=255", LINT_FINE, "", "newer kernels", {0}},
        {"net.ipv4.tcp_rmem=32", LINT_HARMFUL, "only 1 of 3 numbers", "refuses", {.refused = "33"}},
        {"net.ipv4.tcp_rmem=32",
         LINT_NO_EFFECT,
         "refuses it",
         "only",
         {.refused = "32", .kept = "4096 131072 4194304"}},
        {"net.ipv4.tcp_comp_sack_delay_ns=-5",
         LINT_NO_EFFECT,
         "takes the line and leaves the value at 7",
         "refuses",
         {.refused = "", .kept = "7"}},
        {"net.ipv4.tcp_comp_sack_delay_ns=7 # ns", LINT_FINE, "", "leaves", {.refused = "", .kept = "7"}},
        {"net.ipv4.tcp_comp_sack_delay_ns=8", LINT_FINE, "", "leaves", {.refused = ""}},
        {"net.ipv4.tcp_tw_reuse=3", LINT_NO_EFFECT, "it accepts 0 to 2", "", {.refused = "3"}},
        {"net.ipv4.tcp_wmem=5000 x", LINT_HARMFUL, "only 1 of 3 numbers", "", {.refused = "5000 x"}},
        {"net.ipv4.tcp_wmem=5000 0 1", LINT_HARMFUL, "only 1 of 3 numbers", "", {0}},
        {"net.ipv4.tcp_ehash_entries=65536", LINT_NO_EFFECT, "read-only", "", {0}},
        {"net.netfilter.nf_conntrack_count=5", LINT_NO_EFFECT, "read-only", "", {0}},
        {"net.core.rmem_max=8388608",
         LINT_NO_EFFECT,
         "read-only here: it is set in the first network namespace",
         "",
         {.read_only = "net/core/rmem_max"}},
        {"net.core.tomorrow=1",
         LINT_NO_EFFECT,
         "read-only: the kernel only shows it",
         "",
         {.path = "net/core/tomorrow", .value = "0", .read_only = "net/core/tomorrow"}},

        /* what is harmful, and what acts only with something else */
        {"net.ipv4.tcp_rfc1337=1", LINT_HARMFUL, "clients behind NAT", "", {0}},
        {"net.ipv4.tcp_rmem=4096 16384 16777216", LINT_HARMFUL, "a window of about 8192 bytes", "", {0}},
        {"net.ipv4.tcp_rmem=4096 32768 16777216", LINT_FINE, "", "", {0}},
        {"net.ipv4.tcp_wmem=4096 4096 16777216", LINT_FINE, "", "", {0}},
        {"net.ipv4.udp_mem=1 2 3", LINT_HARMFUL, "datagrams are dropped", "", {0}},
        {"net.core.rmem_default=4096", LINT_HARMFUL, "UDP sockets drop", "", {0}},
        {"net.core.rmem_default=1000", LINT_NO_EFFECT, "it accepts 2304", "", {0}},
        {"net.core.busy_read=-1", LINT_NO_EFFECT, "it accepts 0", "", {0}},
        {"net.core.netdev_budget=99999999999", LINT_NO_EFFECT, "it accepts", "", {0}},
        {"net.ipv4.tcp_base_mss=512", LINT_NO_EFFECT, "only while tcp_mtu_probing is not 0;", "", {0}},
        {"net.ipv4.tcp_mtu_probing=1\nnet.ipv4.tcp_base_mss=512", LINT_FINE, "", "", {0}},
        {"net.ipv4.tcp_max_tw_buckets=8192", LINT_HARMFUL, "", "", {.without = "net/ipv4/tcp_ehash_entries"}},
        {"net.netfilter.nf_conntrack_buckets=131072\nnet.netfilter.nf_conntrack_max=131072",
         LINT_FINE,
         "entries",
         "default",
         {0}},
};

START_TEST(line_is_judged)
{
        const struct lint_finding *f = &findings.item[0];

        model = rows[_i].model;
        lint(rows[_i].text);
        ck_assert_uint_gt(findings.n, 0);
        f += findings.n - 1;
        ck_assert_msg(f->verdict == rows[_i].verdict, "%s: %s: %s", rows[_i].text, lint_verdict_name(f->verdict),
                      f->why);
        ck_assert_msg(strstr(f->why, rows[_i].says) != NULL, "%s: '%s'", rows[_i].text, f->why);
        ck_assert_msg(!rows[_i].not [0] || !strstr(f->why, rows[_i].not ), "%s: '%s'", rows[_i].text, f->why);
}
END_TEST

START_TEST(what_is_not_about_tcp_is_passed_over)
{
        lint("vm.swappiness = 1\nfs.file-max = 1\nnet.ipv4.ip_forward = 1\nnet.ipv6.tcp = 1\n"
             "net.ipv4.conf.*.rp_filter = 2\nkernel.sysrq = 0\nx = 1\nproc.sys = 1\n-net.ipv4.tcp_fin_timeout\n");
        ck_assert_uint_eq(findings.n, 0);
}
END_TEST

START_TEST(rule_and_name_are_told)
{
        lint("net/ipv4/tcp_fin_timeout = 30\nnet.ipv4.tcp_sack = 0\n");
        ck_assert_str_eq(findings.item[0].name, "net.ipv4.tcp_fin_timeout");
        ck_assert_str_eq(findings.item[0].rule, "fin-wait2-orphans");
        ck_assert_ptr_nonnull(strstr(findings.item[0].does, "tcp_fin_timeout = 20"));
        ck_assert_ptr_null(findings.item[1].rule);
        ck_assert_ptr_null(lint_rule_find("nobody"));
}
END_TEST

/* The daemon leaves alone what a file under /etc sets. */
START_TEST(rule_that_the_line_keeps_away)
{
        lint("net.ipv4.tcp_fin_timeout = 30\nnet.ipv4.tcp_keepalive_probes = 4\nnet.ipv4.tcp_keepalive_time = 600\n"
             "net.ipv4.tcp_tw_recycle = 1\nnet.core.somaxconn = 8192\nnet.ipv4.tcp_fin_timeout = x\n");
        ck_assert(!findings.item[0].yields); /* another line sets it later */
        ck_assert(findings.item[1].yields);
        ck_assert(!findings.item[2].yields); /* the rule sets others */
        ck_assert(!findings.item[3].yields);
        ck_assert(!findings.item[4].yields);
        ck_assert(!findings.item[5].yields); /* the kernel refuses it */
        lint("net.ipv4.tcp_fin_timeout = 30\n");
        ck_assert(findings.item[findings.n - 1].yields);
}
END_TEST

START_TEST(long_lines_keep_to_their_buffers)
{
        char text[4096] = "net.ipv4.tcp_";

        memset(text + strlen(text), 'x', 3000);
        strcat(text, " = ");
        memset(text + strlen(text), '1', 1000);
        strcat(text, "\n");
        lint(text);
        ck_assert_uint_eq(findings.n, 1);
        ck_assert_int_eq(findings.item[0].verdict, LINT_NO_EFFECT);
        ck_assert_uint_eq(strlen(findings.item[0].name), LINT_NAME_MAX - 1);
}
END_TEST

START_TEST(texts_are_printable)
{
        char text[4096] = "net.ipv4.tcp_fin_timeout = 31 # \x1b]0;x\x07\x1b[2J";

        lint(text);
        ck_assert_str_eq(findings.item[0].value, "31 # \\x1b]0;x\\x07\\x1b[2J");
        ck_assert_ptr_nonnull(strstr(findings.item[0].why, "ignores '# \\x1b]0;x\\x07\\x1b[2J'"));
        memset(text + strlen(text), 'x', 3000);
        strcat(text, "\nnet.ipv4.tcp_\x1b = 1\nnet.core.default_qdisc = \x1b\n");
        lint(text);
        ck_assert_uint_eq(findings.n, 5);
        ck_assert_uint_ge(strlen(findings.item[2].value), LINT_VALUE_MAX - 4);
        ck_assert_uint_lt(strlen(findings.item[2].why), 500);
        ck_assert_str_eq(findings.item[3].name, "net.ipv4.tcp_\\x1b");
        for (unsigned i = 0; i < findings.n; i++)
                ck_assert_ptr_null(strchr(findings.item[i].why, '\x1b'));
}
END_TEST

/* "1 0 -1": what is said of the kernel for each finding. */
static const struct {
        const char *text, *applied;
} applied[] = {
        {"net.ipv4.tcp_fin_timeout=30", "1"},
        {"net.ipv4.tcp_fin_timeout=60", "1"},
        {"net.ipv4.tcp_fin_timeout=5", "1"},
        {"net.ipv4.tcp_fin_timeout=x", "0"},
        {"net.ipv4.tcp_fin_timeout=30\nnet.ipv4.tcp_fin_timeout=31", "0 1"},
        {"net.ipv4.tcp_tw_recycle=1", "0"},
        {"net.ipv6.tcp_fin_timeout=30", "0"},
        {"net.netfilter.nf_conntrack_count=1", "0"},
        {"net.ipv4.tcp_rmem=5000", "1"},
        {"net.ipv4.tcp_congestion_control=vegas", "-1"},
        {"net.ipv4.tcp_rmem=1024 131072 4194304", "-1"},
        {"net.core.tomorrow=1", "-1"},
};

START_TEST(applied_is_told)
{
        char got[64] = "";

        model = (struct model){.path = "net/core/tomorrow", .value = "0", .has_module = 2};
        model.read_only = "net/netfilter/nf_conntrack_count";
        lint(applied[_i].text);
        for (unsigned i = 0; i < findings.n; i++)
                snprintf(got + strlen(got), sizeof(got) - strlen(got), "%s%d", i > 0 ? " " : "",
                         findings.item[i].applied);
        ck_assert_msg(strcmp(got, applied[_i].applied) == 0, "%s: %s", applied[_i].text, got);
}
END_TEST

/* The numbers of the lines that go, and a part of why the first does. */
static const struct {
        const char *text, *gone, *why;
} fixes[] = {
        {"", "", ""},
        {"net.ipv4.tcp_fin_timeout=30\nvm.swappiness=1\n", "", ""},
        {"net.ipv4.tcp_tw_recycle=1\nnet.ipv4.tcp_fin_timeout=30", "1", "no effect: there is no such"},
        /* without the harmful line the other one has its effect */
        {"net.ipv4.tcp_timestamps=0\nnet.ipv4.tcp_tw_reuse=1", "1", "harmful: "},
        {"net.ipv4.tcp_fin_timeout=30\nnet.ipv4.tcp_fin_timeout=5", "2", "harmful: "},
        {"net.ipv4.tcp_fin_timeout=5\nnet.ipv4.tcp_fin_timeout=30", "1", "no effect: it is overridden by f:2"},
        {"net.ipv4.tcp_fin_timeout=30\nnet.ipv4.tcp_fin_timeout=60", "1 2", "no effect: it is overridden by f:2"},
        /* a glob goes with the harm in it, and stays if a part of it acts */
        {"net.ipv4.tcp_keepalive_*=1", "1", "harmful: "},
        {"net.ipv4.tcp_keepalive_time=100\nnet.ipv4.tcp_keepalive_*=1", "2", "harmful: "},
        {"net.ipv4.tcp_retries1=4\nnet.ipv4.tcp_retries?=9", "", ""},
        {"net.ipv4.tcp_retries?=9\nnet.ipv4.tcp_retries1=4\nnet.ipv4.tcp_retries2=10", "1",
         "no effect: it is overridden by f:2"},
        {"net.ipv4.tcp_retries1=4\n-net.ipv4.tcp_retries1", "1", "no effect: it is revoked by f:2"},
};

START_TEST(fix_takes_out)
{
        struct lint_kernel kernel = kernel_of_model();
        char got[64] = "", **why;
        const char *first = NULL;

        lint(fixes[_i].text);
        ck_assert_int_eq(lint_fix(&lines, &kernel, &why), 0);
        for (size_t i = 0; i < lines.n; i++)
                if (why[i]) {
                        snprintf(got + strlen(got), sizeof(got) - strlen(got), "%s%zu", first ? " " : "", i + 1);
                        first = first ? first : why[i];
                }
        ck_assert_msg(strcmp(got, fixes[_i].gone) == 0, "%s: '%s'", fixes[_i].text, got);
        ck_assert_msg(!first || strstr(first, fixes[_i].why), "%s: %s", fixes[_i].text, first);
        lint_fix_free(why, lines.n);
}
END_TEST

static void add(TCase *tcase)
{
        block_count = scandir(LINT_DIR, &blocks, is_conf, alphasort);
        if (block_count < 20)
                abort();
        tcase_add_loop_test(tcase, blocks_of_the_web, 0, block_count);
        tcase_add_loop_test(tcase, rule_is_shipped, 0, (int)lint_row_count);
        tcase_add_loop_test(tcase, row_is_whole, 0, (int)lint_row_count);
        tcase_add_loop_test(tcase, every_sysctl_has_a_row, 0, SYSCTL_COUNT);
        tcase_add_loop_test(tcase, default_has_no_effect, 0, (int)lint_row_count);
        tcase_add_loop_test(tcase, line_is_judged, 0, ELEMENTSOF(rows));
        tcase_add_test(tcase, what_is_not_about_tcp_is_passed_over);
        tcase_add_test(tcase, rule_and_name_are_told);
        tcase_add_test(tcase, rule_that_the_line_keeps_away);
        tcase_add_test(tcase, long_lines_keep_to_their_buffers);
        tcase_add_test(tcase, texts_are_printable);
        tcase_add_loop_test(tcase, applied_is_told, 0, ELEMENTSOF(applied));
        tcase_add_loop_test(tcase, fix_takes_out, 0, ELEMENTSOF(fixes));
}

int main(void)
{
        return run_suite("lint", add);
}

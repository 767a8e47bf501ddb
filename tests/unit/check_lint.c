/* SPDX-License-Identifier: MIT */
#include "lib/lint/lint.h"

#include <dirent.h>
#include <errno.h>
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
        const char *without, *path, *value; /* a sysctl that it lacks; one that has another value */
};

static int model_read(void *user, const char *path, char *buf, size_t size)
{
        const struct model *m = user;
        size_t n = strlen(path);

        if (m->without && strcmp(path, m->without) == 0)
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

static void lint(const char *text)
{
        const struct lint_kernel kernel = {.read = model_read, .user = &model, .memory_pages = 6170000};

        if (!model.text)
                model.text = file_read(LINT_DIR "/stock.txt");
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

/* What is said of a rule is said of one that is shipped. */
START_TEST(rule_is_shipped)
{
        char *policy, section[64];

        if (!lint_rows[_i].rule)
                return;
        policy = file_read(CONF_DIR "/policy.conf");
        snprintf(section, sizeof(section), "\n[rule %s]\n", lint_rows[_i].rule);
        ck_assert_msg(strstr(policy, section) != NULL, "%s: no rule %s", lint_rows[_i].path, lint_rows[_i].rule);
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
        ck_assert_msg(!row->rule || lint_rule_does(row->rule), "%s: no rule %s", row->path, row->rule);
        ck_assert_msg(row->min <= row->max, "%s takes %lld to %lld", row->path, (long long)row->min,
                      (long long)row->max);
}
END_TEST

/* What sysctl_table knows has a row. */
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
        ck_assert_msg(!strstr(findings.item[0].why, "live it is"), "%s: %s", row->path, findings.item[0].why);
}
END_TEST

/* One line, and a part of what is said about it. */
static const struct {
        const char *text;
        enum lint_verdict verdict; /* of the last */
        const char *says, *not ;
        struct model model;
} rows[] = {
        {"net.ipv4.tcp_fin_timeout=30", LINT_FINE, "it does nothing to TIME_WAIT", "", {0}},
        {"net.ipv4.tcp_fin_timeout=30", LINT_FINE, "live it is 60", "", {0}},
        {"net.ipv4.tcp_fin_timeout=30", LINT_FINE, "", "live", {0, 0, "net/ipv4/tcp_fin_timeout", "30"}},
        {"net.ipv4.tcp_fin_timeout=30", LINT_FINE, "live it is empty", "", {0, 0, "net/ipv4/tcp_fin_timeout", ""}},
        {"net.ipv4.tcp_fin_timeout=9", LINT_HARMFUL, "reset", "", {0}},
        {"net.ipv4.tcp_fin_timeout=10", LINT_FINE, "", "", {0}},
        {"net.ipv4.tcp_fin_timeout=-5", LINT_HARMFUL, "", "", {0}},
        {"net.ipv4.tcp_fin_timeout=99999999999", LINT_NO_EFFECT, "refuses", "", {0}},
        {"net.ipv4.tcp_fin_timeout=99999999999999999999", LINT_NO_EFFECT, "refuses", "", {0}},
        {"net.ipv4.tcp_fin_timeout=30 x", LINT_FINE, "the kernel ignores 'x'", "", {0}},
        {"net.ipv4.tcp_fin_timeout=0x1e", LINT_FINE, "", "live", {0, 0, "net/ipv4/tcp_fin_timeout", "30"}},
        {"net.ipv4.tcp_fin_timeout=60\nnet.ipv4.tcp_fin_timeout=30", LINT_FINE, "", "", {0}},
        {"net.ipv4.tcp_fin_timeout=30\nnet.ipv4.tcp_fin_timeout=60", LINT_FINE, "default, which f:1 changes", "", {0}},
        {"net.ipv4.tcp_fin_timeout=60\nnet.ipv4.tcp_fin_timeout=60", LINT_NO_EFFECT, "default", "back", {0}},
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
        {"net.ipv4.tcp_tw_reuse=1", LINT_NO_EFFECT, "tcp_timestamps is 0", "", {0, 0, "net/ipv4/tcp_timestamps", "0"}},
        {"net.ipv4.tcp_timestamps=0\nnet.ipv4.tcp_tw_reuse=1", LINT_NO_EFFECT, "tcp_timestamps is 0", "", {0}},
        {"net.ipv4.tcp_timestamps=1\nnet.ipv4.tcp_tw_reuse=1",
         LINT_FINE,
         "",
         "",
         {0, 0, "net/ipv4/tcp_timestamps", "0"}},
        {"net.ipv4.tcp_tw_reuse=0\nnet.ipv4.tcp_tw_reuse_delay=500", LINT_NO_EFFECT, "tcp_tw_reuse is 0", "", {0}},
        {"net.ipv4.tcp_tw_reuse_delay=500",
         LINT_NO_EFFECT,
         "Linux 6.14 brought it",
         "",
         {0, "net/ipv4/tcp_tw_reuse_delay", 0, 0}},
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
        {"net.ipv4.tcp_max_tw_buckets=8192", LINT_FINE, "how many", "", {0, 0, "net/ipv4/tcp_ehash_entries", "8192"}},
        {"net.ipv4.tcp_max_tw_buckets=4095", LINT_HARMFUL, "", "", {0, 0, "net/ipv4/tcp_ehash_entries", "-8192"}},
        {"net.ipv4.tcp_max_tw_buckets=65535", LINT_HARMFUL, "", "", {0, "net/ipv4/tcp_ehash_entries", 0, 0}},
        {"net.netfilter.nf_conntrack_max=4096",
         LINT_FINE,
         "",
         "",
         {0, 0, "net/netfilter/nf_conntrack_buckets", "2048"}},
        {"net.netfilter.nf_conntrack_max=4096",
         LINT_NO_EFFECT,
         "once nf_conntrack is loaded",
         "",
         {0, "net/netfilter/nf_conntrack_max", 0, 0}},
        {"net.ipv4.tcp_mem=1 2 3", LINT_HARMFUL, "squeezed", "", {0}},
        {"net.ipv4.tcp_mem=200000 300000 6170001", LINT_HARMFUL, "pages, not bytes", "", {0}},
        {"net.ipv4.tcp_mem=200000 300000 400000", LINT_FINE, "the kernel sizes it", "", {0}},
        {"net.ipv4.tcp_mem=200000 300000 400000",
         LINT_NO_EFFECT,
         "first network namespace",
         "",
         {0, "net/ipv4/tcp_mem", 0, 0}},
        {"net.ipv4.tcp_rmem=4096 131072 1048575", LINT_HARMFUL, "at most 1023 KiB", "", {0}},
        {"net.ipv4.tcp_rmem=4096 1048577 4194304", LINT_HARMFUL, "starts with 1 MiB", "", {0}},
        {"net.ipv4.tcp_rmem=4096 1048576 1048576", LINT_FINE, "", "", {0}},
        {"net.ipv4.tcp_rmem=0 1 2", LINT_NO_EFFECT, "refuses", "", {0}},
        {"net.ipv4.tcp_rmem=4096,131072,4194304", LINT_NO_EFFECT, "refuses it: it needs 3 numbers", "", {0}},
        {"net.ipv4.tcp_adv_win_scale=2", LINT_NO_EFFECT, "since Linux 6.6", "", {0}},
        {"net.ipv4.tcp_adv_win_scale=2", LINT_FINE, "", "6.6", {0, "net/ipv4/tcp_shrink_window", 0, 0}},
        {"net.ipv4.tcp_congestion_control=bbr", LINT_FINE, "if there is a module tcp_bbr", "", {0}},
        {"net.ipv4.tcp_congestion_control=reno", LINT_FINE, "", "module", {0}},
        {"net.ipv4.tcp_congestion_control=bbr",
         LINT_FINE,
         "",
         "module",
         {0, "net/ipv4/tcp_available_congestion_control", 0, 0}},
        {"net.ipv4.tcp_abort_on_overflow=1", LINT_HARMFUL, "refused connections", "", {0}},
        {"net.ipv4.tcp_syncookies=2", LINT_HARMFUL, "every SYN", "", {0}},
        {"net.ipv4.ip_local_reserved_ports=8080,9000-9010", LINT_FINE, "leaves out", "", {0}},
        {"net.ipv4.ip_local_reserved_ports=99999", LINT_NO_EFFECT, "not a list of ports", "", {0}},
        {"net.ipv4.tcp_reflect_tos=1", LINT_FINE, "twtuned knows no objection to it", "", {0}},
        {"net.ipv4.tcp_fin_timeuot=1", LINT_NO_EFFECT, "did you mean tcp_fin_timeout?", "", {0}},
        {"net.ipv4.tcp_quux=1", LINT_NO_EFFECT, "this kernel has no such sysctl", "mean", {0}},
        {"net.ipv4.tcp_fin_timeout=30\n-net.ipv4.tcp_fin_timeout", LINT_NO_EFFECT, "revoked by f:2", "live", {0}},
        {"net.ipv4.tcp_fin_timeou?=30", LINT_FINE, "", "", {0}},
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
        lint("vm.swappiness = 1\nfs.file-max = 1\nnet.ipv4.ip_forward = 1\nnet.core.busy_read = 50\nnet.ipv6.tcp = 1\n"
             "net.ipv4.conf.*.rp_filter = 2\nkernel.sysrq = 0\nx = 1\n-net.ipv4.tcp_fin_timeout\n");
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
        tcase_add_test(tcase, long_lines_keep_to_their_buffers);
}

int main(void)
{
        return run_suite("lint", add);
}

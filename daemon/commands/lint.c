/* SPDX-License-Identifier: MIT */
#include "daemon/commands/lint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "daemon/apply/sysctl_files.h"
#include "daemon/diagnostics_print.h"
#include "daemon/observe/proc_file.h"
#include "lib/lint/lint.h"
#include "lib/util/safe.h"

static int read_sysctl(void *user, const char *path, char *buf, size_t size)
{
        char file[LINT_NAME_MAX + 16];
        struct proc_file f;
        int n;

        (void)user;
        snprintf(file, sizeof(file), "/proc/sys/%s", path);
        f = proc_file_open(file, 0);
        n = proc_file_read(&f, buf, size);
        proc_file_close(&f);
        if (n < 0)
                return n;
        buf[strcspn(buf, "\n")] = 0;
        return 0;
}

struct lint {
        struct sysctl_lines lines;
        struct diagnostics diagnostics;
        enum sysctl_conf conf;
        struct backend *backend; /* gets the harmful lines; NULL: all lines are printed */
        bool harmful;            /* a line is */
};

/* Reads the files; NULL: sysctl.d. Returns 0 or -ENOMEM. */
static int load(struct lint *l, char *const *files)
{
        int r = 0;

        if (!files)
                return sysctl_files_load("", &l->lines, &l->conf, &l->diagnostics);
        for (; r == 0 && *files; files++)
                r = sysctl_files_read(*files, &l->lines, &l->diagnostics);
        return r;
}

static void print_finding(const struct lint_finding *f)
{
        safe_print(f->line->at.file, stdout);
        printf(":%u: ", f->line->at.line);
        safe_print(f->name, stdout);
        fputs(" = ", stdout);
        safe_print(f->line->value, stdout);
        printf(": %s: ", lint_verdict_name(f->verdict));
        safe_print(f->why, stdout);
        if (f->does)
                printf("; twtuned %s (rule %s)", f->does, f->rule);
        putchar('\n');
}

static void report_harmful(struct backend *backend, const struct lint_finding *f)
{
        const struct origin *at = &f->line->at;

        backend->report(backend, &(struct audit_record){.kind = AUDIT_HARMFUL,
                                                        .subject = SUBJECT_LINE,
                                                        .name = at->file,
                                                        .line = at->line,
                                                        .sysctl_name = f->name,
                                                        .value = f->line->value,
                                                        .why = f->why,
                                                        .rule_name = f->rule ? f->rule : ""});
}

static void report(void *user, const struct lint_finding *f)
{
        struct lint *l = user;

        l->harmful |= f->verdict == LINT_HARMFUL;
        if (!l->backend)
                print_finding(f);
        else if (f->verdict == LINT_HARMFUL)
                report_harmful(l->backend, f);
}

static void run(struct lint *l)
{
        const struct lint_kernel kernel = {.read = read_sysctl, .memory_pages = sysconf(_SC_PHYS_PAGES)};

        lint_run(&l->lines, &kernel, report, l);
}

static void lint_free(struct lint *l)
{
        diagnostics_free(&l->diagnostics);
        sysctl_lines_free(&l->lines);
}

/* Prints what is special about sysctl.d here. */
static void print_note(enum sysctl_conf conf)
{
        if (!sysctl_files_apply_here())
                fputs("twtuned: sysctl.d applies to the first network namespace only; this is another one\n", stderr);
        if (conf == SYSCTL_CONF_LINKED)
                fputs("twtuned: /etc/sysctl.conf is read at the place of the link to it in sysctl.d\n", stderr);
        if (conf == SYSCTL_CONF_LAST)
                fputs("twtuned: /etc/sysctl.conf is read last, as 'sysctl --system' does; systemd-sysctl does not "
                      "read "
                      "it, because sysctl.d has no link to it\n",
                      stderr);
}

int lint_print(char *const *files)
{
        struct lint l = {0};
        int r = load(&l, *files ? files : NULL);

        if (r < 0) {
                fprintf(stderr, "twtuned: out of memory\n");
                lint_free(&l);
                return EX_OSERR;
        }
        if (!*files)
                print_note(l.conf);
        diagnostics_print(&l.diagnostics, "");
        run(&l);
        r = l.diagnostics.n > 0 ? EX_DATAERR : l.harmful ? EXIT_FAILURE : 0;
        lint_free(&l);
        return r;
}

void lint_report(struct backend *backend)
{
        struct lint l = {.backend = backend};

        if (sysctl_files_apply_here() && load(&l, NULL) == 0)
                run(&l);
        lint_free(&l);
}

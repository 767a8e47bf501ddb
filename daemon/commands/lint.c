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

struct host {
        struct sysctl_lines lines;
        struct diagnostics diagnostics;
        enum sysctl_conf conf;
        struct backend *backend; /* to report to; NULL: it is printed */
        bool harm;
};

/* files NULL: sysctl.d. 0 or -ENOMEM. */
static int load(struct host *h, char *const *files)
{
        int r = 0;

        if (!files)
                return sysctl_files_load("", &h->lines, &h->conf, &h->diagnostics);
        for (; r == 0 && *files; files++)
                r = sysctl_files_read(*files, &h->lines, &h->diagnostics);
        return r;
}

static void tell(void *user, const struct lint_finding *f)
{
        struct host *h = user;
        const struct origin *at = &f->line->at;

        h->harm |= f->verdict == LINT_HARMFUL;
        if (!h->backend) {
                printf("%s:%u: %s = %s: %s: %s", at->file, at->line, f->name, f->line->value,
                       lint_verdict_name(f->verdict), f->why);
                if (f->does)
                        printf("; twtuned %s (rule %s)", f->does, f->rule);
                putchar('\n');
                return;
        }
        if (f->verdict != LINT_HARMFUL)
                return;
        h->backend->report(h->backend, &(struct audit_record){.kind = AUDIT_HARMFUL,
                                                              .subject = SUBJECT_LINE,
                                                              .name = at->file,
                                                              .line = at->line,
                                                              .sysctl_name = f->name,
                                                              .value = f->line->value,
                                                              .why = f->why,
                                                              .rule_name = f->rule ? f->rule : ""});
}

static void run(struct host *h)
{
        const struct lint_kernel kernel = {.read = read_sysctl, .memory_pages = sysconf(_SC_PHYS_PAGES)};

        lint_run(&h->lines, &kernel, tell, h);
}

static void host_free(struct host *h)
{
        diagnostics_free(&h->diagnostics);
        sysctl_lines_free(&h->lines);
}

static void print_note(enum sysctl_conf conf)
{
        if (!sysctl_files_apply_here())
                fputs("twtuned: sysctl.d is applied to the first network namespace; this is another\n", stderr);
        if (conf == SYSCTL_CONF_LINKED)
                fputs("twtuned: /etc/sysctl.conf is read where a link in sysctl.d leads to it\n", stderr);
        if (conf == SYSCTL_CONF_LAST)
                fputs("twtuned: /etc/sysctl.conf is read last, as by 'sysctl --system'; no link in sysctl.d leads "
                      "to it, so that systemd-sysctl does not read it\n",
                      stderr);
}

int lint_print(char *const *files)
{
        struct host h = {0};
        int r = load(&h, *files ? files : NULL);

        if (r < 0) {
                fprintf(stderr, "twtuned: out of memory\n");
                host_free(&h);
                return EX_OSERR;
        }
        if (!*files)
                print_note(h.conf);
        diagnostics_print(&h.diagnostics);
        run(&h);
        r = h.diagnostics.n > 0 ? EX_DATAERR : h.harm ? EXIT_FAILURE : 0;
        host_free(&h);
        return r;
}

void lint_report(struct backend *backend)
{
        struct host h = {.backend = backend};

        if (sysctl_files_apply_here() && load(&h, NULL) == 0)
                run(&h);
        host_free(&h);
}

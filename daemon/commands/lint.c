/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "daemon/commands/lint.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "daemon/apply/sysctl_files.h"
#include "daemon/commands/lint_kernel.h"
#include "daemon/diagnostics_print.h"
#include "lib/util/json.h"
#include "lib/util/macro.h"
#include "lib/util/safe.h"

struct lint {
        struct sysctl_lines lines;
        struct diagnostics diagnostics;
        enum sysctl_conf conf;
        struct backend *backend; /* the harmful lines are reported to it; NULL: see json */
        struct json *json;       /* gets all lines; if both are NULL, all lines are printed as text */
        struct lint_trial trial;
        bool harmful; /* at least one line is harmful */
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
        char file[1024];

        printf("%s:%u: %s = %s: %s: %s", safe_text(f->line->at.file, file, sizeof(file)), f->line->at.line, f->name,
               f->value, lint_verdict_name(f->verdict), f->why);
        if (f->does)
                printf("; %stwtuned %s (rule %s)", f->yields ? "without this line " : "", f->does, f->rule);
        putchar('\n');
}

static void add_finding(struct json *j, const struct lint_finding *f)
{
        json_open_object(j, NULL);
        json_add_text(j, "file", f->line->at.file);
        json_add_number(j, "line", f->line->at.line);
        json_add_text(j, "sysctl", f->name);
        json_add_text(j, "value", f->value);
        json_add_text(j, "verdict", lint_verdict_name(f->verdict));
        json_add_text(j, "why", f->why);
        if (f->applied < 0)
                json_add_text(j, "applied", NULL);
        else
                json_add_bool(j, "applied", f->applied);
        json_add_text(j, "rule", f->rule);
        json_add_text(j, "does", f->does);
        json_add_bool(j, "yields", f->yields);
        json_close_object(j);
}

static void report_harmful(struct backend *backend, const struct lint_finding *f)
{
        const struct origin *at = &f->line->at;

        backend->report(backend, &(struct audit_record){.kind = AUDIT_HARMFUL,
                                                        .subject = SUBJECT_LINE,
                                                        .name = at->file,
                                                        .line = at->line,
                                                        .sysctl_name = f->name,
                                                        .value = f->value,
                                                        .why = f->why,
                                                        .rule_name = f->rule ? f->rule : ""});
}

static void report(void *user, const struct lint_finding *f)
{
        struct lint *l = user;

        l->harmful |= f->verdict == LINT_HARMFUL;
        if (l->json)
                add_finding(l->json, f);
        else if (!l->backend)
                print_finding(f);
        else if (f->verdict == LINT_HARMFUL)
                report_harmful(l->backend, f);
}

static void run(struct lint *l)
{
        const struct lint_kernel kernel = lint_kernel(&l->trial);

        lint_run(&l->lines, &kernel, report, l);
}

static int run_json(struct lint *l)
{
        const struct diagnostics *d = &l->diagnostics;
        struct json j = {0};
        bool failed;

        l->json = &j;
        json_open_object(&j, NULL);
        json_open_array(&j, "findings");
        run(l);
        json_close_array(&j);
        json_open_array(&j, "errors");
        for (size_t i = 0; d->item && i < d->n; i++) {
                json_open_object(&j, NULL);
                json_add_text(&j, "file", d->item[i].at.file);
                json_add_number(&j, "line", d->item[i].at.line);
                json_add_text(&j, "text", d->item[i].text);
                json_close_object(&j);
        }
        json_close_array(&j);
        json_close_object(&j);
        if (!j.failed)
                puts(j.text);
        failed = j.failed;
        json_free(&j);
        return failed ? -ENOMEM : 0;
}

/* ---- the files that would remain ---- */

/* Escapes, but never cuts: a line that stays is whole. */
static void print_line(const char *before, const char *text, size_t n, const char *behind)
{
        char *copy = strndup(text, n), *shown = malloc(4 * n + 16);

        if (copy && shown)
                printf("%s%s%s\n", before, safe_text(copy, shown, 4 * n + 16), behind);
        else
                puts("# out of memory");
        free(copy);
        free(shown);
}

static void print_gone(const char *text, size_t n, const char *why)
{
        char shown[1200];

        printf("# taken out: %s\n", safe_text(why, shown, sizeof(shown)));
        if (n > 0)
                print_line("#   ", text, MIN(n, 200u), n > 200 ? "..." : "");
}

static const char *diagnostic_at(const struct diagnostics *d, const char *file, unsigned line)
{
        for (size_t i = 0; d->item && i < d->n; i++)
                if (d->item[i].at.line == line && strcmp(d->item[i].at.file, file) == 0)
                        return d->item[i].text ? d->item[i].text : "wrong";
        return NULL;
}

/* Prints what remains of one file. *index is the index in l->lines of the file's first line; moves it to that of the
 * next file. */
static void print_remains(const struct lint *l, const struct sysctl_file *file, char *const *why, size_t *index)
{
        const struct sysctl_lines *lines = &l->lines;
        const char *text = file->text, *rest = text, *whole = diagnostic_at(&l->diagnostics, file->name, 1);
        size_t end, n;

        if (!text && whole)
                print_gone("", 0, whole);

        for (unsigned line = 1; rest && rest < text + file->size; line++, rest += end) {
                const char *gone = diagnostic_at(&l->diagnostics, file->name, line);
                size_t i = *index;

                n = sysctl_lines_split(rest, (size_t)(text + file->size - rest), &end);
                if (i < lines->n && lines->line[i].at.file == file->name && lines->line[i].at.line == line) {
                        gone = why[i];
                        ++*index;
                }
                if (gone)
                        print_gone(rest, n, gone);
                else
                        print_line("", rest, n, "");
        }
}

static int print_all_remains(struct lint *l)
{
        const struct lint_kernel kernel = lint_kernel(&l->trial);
        size_t index = 0;
        char **why, name[1024];

        if (lint_fix(&l->lines, &kernel, &why) < 0)
                return EX_OSERR;
        for (size_t i = 0; i < l->lines.n_files; i++) {
                if (l->lines.n_files > 1)
                        printf("# %s\n", safe_text(l->lines.file[i].name, name, sizeof(name)));
                print_remains(l, &l->lines.file[i], why, &index);
        }
        lint_fix_free(why, l->lines.n);
        for (size_t i = 0; l->diagnostics.item && i < l->diagnostics.n; i++)
                if (l->diagnostics.item[i].at.line == 0)
                        return EX_DATAERR;
        return 0;
}

static void lint_free(struct lint *l)
{
        lint_trial_close(&l->trial);
        diagnostics_free(&l->diagnostics);
        sysctl_lines_free(&l->lines);
}

/* Prints a note if sysctl.d does not apply here, and one that says when sysctl.conf is read, if it exists. */
static void print_note(enum sysctl_conf conf)
{
        if (!sysctl_files_apply_here())
                fputs("twtuned: sysctl.d applies to the first network namespace only; this is another one\n", stderr);
        if (conf == SYSCTL_CONF_LINKED)
                fputs("twtuned: /etc/sysctl.conf is read at the place of the link to it in sysctl.d\n", stderr);
        if (conf == SYSCTL_CONF_LAST)
                fputs("twtuned: /etc/sysctl.conf is read last, as 'sysctl --system' does; systemd-sysctl does not "
                      "read it, because sysctl.d has no link to it\n",
                      stderr);
}

static int print(struct lint *l, enum lint_format format)
{
        if (format == LINT_REMAINS)
                return print_all_remains(l);
        if (format == LINT_JSON && run_json(l) < 0)
                return EX_OSERR;
        if (format == LINT_TEXT)
                run(l);
        return l->diagnostics.n > 0 ? EX_DATAERR : l->harmful ? EXIT_FAILURE : 0;
}

int lint_print(char *const *files, enum lint_format format)
{
        struct lint l = {.trial = {-1, -1}};
        int r = load(&l, *files ? files : NULL);

        if (r < 0) {
                fprintf(stderr, "twtuned: out of memory\n");
                lint_free(&l);
                return EX_OSERR;
        }
        if (!*files)
                print_note(l.conf);
        diagnostics_print(&l.diagnostics, "");
        l.trial = lint_trial_open();
        r = print(&l, format);
        lint_free(&l);
        return r;
}

void lint_report(struct backend *backend)
{
        struct lint l = {.backend = backend, .trial = {-1, -1}};

        if (sysctl_files_apply_here() && load(&l, NULL) == 0)
                run(&l);
        lint_free(&l);
}

/* SPDX-License-Identifier: MIT */
#include "lib/lint/lint.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/kernel/sysctl.h"
#include "lib/lint/row.h"
#include "lib/util/suggest.h"

const char *lint_verdict_name(enum lint_verdict verdict)
{
        static const char *const names[] = {
                [LINT_FINE] = "fine",
                [LINT_NO_EFFECT] = "no effect",
                [LINT_HARMFUL] = "harmful",
        };

        return names[verdict];
}

/* Appends to the reason. */
static void _printf_(2, 3) add_why(struct lint_case *c, const char *format, ...)
{
        size_t n = strlen(c->finding->why);
        va_list args;

        va_start(args, format);
        vsnprintf(c->finding->why + n, sizeof(c->finding->why) - n, format, args);
        va_end(args);
}

static const char *base_name(const char *path)
{
        const char *slash = strrchr(path, '/');

        return slash ? slash + 1 : path;
}

/* Says why this kernel has no such sysctl. */
static bool say_missing(struct lint_case *c)
{
        const struct sysctl *s = lint_sysctl(c);
        struct suggestion suggestion = SUGGESTION(base_name(c->path));
        char hint[128];

        if (c->row && c->row->gone)
                return lint_say(c, LINT_NO_EFFECT, "there is no such sysctl here: %s", c->row->gone);
        if (s && s->never)
                return lint_say(c, LINT_NO_EFFECT, "there is no such sysctl: %s", s->never);
        for (unsigned i = 0; i < lint_row_count && !c->row; i++)
                suggestion_offer(&suggestion, base_name(lint_rows[i].path));
        return lint_say(c, LINT_NO_EFFECT, "this kernel has no such sysctl%s", suggestion_hint(&suggestion, hint));
}

static bool is_missing(struct lint_case *c)
{
        char live[256];

        return lint_read_live(c, c->path, live, sizeof(live)) == -ENOENT && say_missing(c);
}

static bool is_overridden(struct lint_case *c)
{
        const struct sysctl_line *last = sysctl_lines_find(c->lines, c->path);
        const char *how = "it is overridden by";

        if (last == c->line)
                return false;
        if (!last->value)
                how = "it is revoked by";
        else if (strcmp(last->value, c->value) == 0)
                how = "it is repeated by";
        c->finding->rule = NULL;
        return lint_say(c, LINT_NO_EFFECT, "%s %s:%u", how, last->at.file, last->at.line);
}

/* The kernel accepts a value with too few numbers, and sets the first ones (measured). */
static bool is_refused(struct lint_case *c)
{
        const struct lint_row *row = c->row;
        int64_t min;

        if (!row || row->n == 0 || (row->min == 0 && row->max == 0))
                return false;
        if (!row->floor || !lint_effective(c, row->floor, &min))
                min = row->min;
        for (unsigned i = 0; i < c->n; i++)
                if (c->v[i] < min || c->v[i] > row->max)
                        return lint_say(c, LINT_NO_EFFECT, "the kernel refuses it: it accepts %" PRId64 " to %" PRId64,
                                        min, row->max);
        if (c->n == row->n)
                return false;
        if (c->n == 0 || *c->rest)
                return lint_say(c, LINT_NO_EFFECT, "the kernel refuses it: it needs %u number%s", row->n,
                                row->n == 1 ? "" : "s");
        return lint_say(c, LINT_HARMFUL, "only %u of %u numbers: the kernel leaves the others as they were", c->n,
                        row->n);
}

/* Returns the last line before this one that sets another value; NULL: there is none. */
static const struct sysctl_line *overridden_line(const struct lint_case *c)
{
        for (const struct sysctl_line *line = c->line; line-- > c->lines->line;)
                if (line->value && sysctl_line_matches(line, c->path) && strcmp(line->value, c->value) != 0)
                        return line;
        return NULL;
}

static bool same_numbers(const struct lint_case *c, const char *text)
{
        const char *rest;
        int64_t v[3];

        if (c->row->n == 0)
                return strcmp(text, c->value) == 0;
        return c->n == c->row->n && lint_numbers(text, c->n, v, &rest) == c->n && !*rest &&
               memcmp(v, c->v, c->n * sizeof(v[0])) == 0;
}

static bool is_default(struct lint_case *c)
{
        const struct sysctl_line *before = overridden_line(c);

        if (!c->row || !c->row->initial || !same_numbers(c, c->row->initial))
                return false;
        c->finding->rule = NULL;
        if (before)
                return lint_say(c, LINT_FINE, "it restores the kernel's default, which %s:%u changes", before->at.file,
                                before->at.line);
        return lint_say(c, LINT_NO_EFFECT, "it is the kernel's default");
}

static bool is_idle(struct lint_case *c)
{
        char live[256];

        if (!c->row || !c->row->idle)
                return false;
        if (c->row->since && lint_read_live(c, c->row->since, live, sizeof(live)) == -ENOENT)
                return false;
        return lint_say(c, LINT_NO_EFFECT, "%s", c->row->idle);
}

static bool has_check(struct lint_case *c)
{
        return c->row && c->row->check && c->row->check(c);
}

static bool is_harmful(struct lint_case *c)
{
        const struct lint_row *row = c->row;
        const struct sysctl *s = lint_sysctl(c);
        const char *text = NULL;
        int64_t low;

        if (!row || row->n != 1 || (row->min == 0 && row->max == 0))
                return false;
        low = row->low == 0 && s && s->below ? s->bounds.min : row->low;
        if (low != 0 && c->v[0] < low)
                text = row->below ? row->below : s && s->below ? s->below : s ? s->never : NULL;
        else if (row->above && c->v[0] > row->high)
                text = *row->above ? row->above : s ? s->never : NULL;
        return text && lint_say(c, LINT_HARMFUL, "%s", text);
}

static bool is_fine(struct lint_case *c)
{
        return lint_say(c, LINT_FINE, "%s", lint_help(c));
}

/* In this order; the first that returns true has given the verdict. */
static bool (*const steps[])(struct lint_case *) = {
        is_missing, is_overridden, is_refused, is_default, is_idle, has_check, is_harmful, is_fine,
};

/* "30 # half a minute" is read as 30 (measured, with systemd-sysctl and with sysctl -p). */
static void add_rest(struct lint_case *c)
{
        if (c->row && c->row->n > 0 && c->n == c->row->n && *c->rest)
                add_why(c, "; the kernel ignores '%s'", c->rest);
}

static void add_live(struct lint_case *c)
{
        char live[256];

        if (sysctl_lines_find(c->lines, c->path) != c->line || lint_read_live(c, c->path, live, sizeof(live)) < 0)
                return;
        for (char *p = live; *p; p++)
                *p = *p == '\t' ? ' ' : *p;
        if (c->row && c->row->n > 0 ? !same_numbers(c, live) : strcmp(live, c->value) != 0)
                add_why(c, "; live it is %s", *live ? live : "empty");
}

/* Makes the finding for one line and one sysctl. */
static void judge(struct lint_case *c)
{
        struct lint_finding *f = c->finding;

        c->row = lint_row_find(c->path);
        c->rest = "";
        c->n = c->row && c->row->n > 0 ? lint_numbers(c->value, c->row->n, c->v, &c->rest) : 0;
        f->line = c->line;
        f->rule = c->row ? c->row->rule : NULL;
        sysctl_name_swap(c->path, f->name, sizeof(f->name));
        for (unsigned i = 0; i < ELEMENTSOF(steps) && !steps[i](c); i++)
                ;
        f->does = f->rule ? lint_rule_does(f->rule) : NULL;
        add_rest(c);
        add_live(c);
}

static bool is_about_tcp(const char *path)
{
        static const char *const prefixes[] = {
                "net/ipv4/tcp_",
                "net/ipv4/ip_local_",
                "net/ipv4/netfilter/",
                "net/netfilter/nf_conntrack_",
        };

        for (unsigned i = 0; i < ELEMENTSOF(prefixes); i++)
                if (strncmp(path, prefixes[i], strlen(prefixes[i])) == 0)
                        return true;
        return lint_row_find(path) != NULL;
}

/* True if the glob of the line matches the sysctl c->path, and this kernel has it. */
static bool glob_matches(const struct lint_case *c)
{
        char live[256];

        return !strchr(c->path, '*') && sysctl_line_matches(c->line, c->path) &&
               lint_read_live(c, c->path, live, sizeof(live)) != -ENOENT;
}

void lint_run(const struct sysctl_lines *lines, const struct lint_kernel *kernel,
              void (*report)(void *user, const struct lint_finding *finding), void *user)
{
        struct lint_finding finding;
        struct lint_case c = {.kernel = kernel, .lines = lines, .finding = &finding};

        assert(kernel->read && report);
        for (size_t k = 0; k < lines->n; k++) {
                bool glob = sysctl_line_is_glob(&lines->line[k]);

                c.line = &lines->line[k];
                c.value = c.line->value;
                for (unsigned i = 0; c.value && i < (glob ? lint_row_count : 1); i++) {
                        c.path = glob ? lint_rows[i].path : c.line->name;
                        if (glob ? !glob_matches(&c) : !is_about_tcp(c.path))
                                continue;
                        judge(&c);
                        report(user, &finding);
                }
        }
}

/* SPDX-License-Identifier: MIT */
#include "lib/lint/lint.h"

#include <assert.h>
#include <errno.h>
#include <fnmatch.h>
#include <inttypes.h>
#include <string.h>

#include "lib/kernel/sysctl.h"
#include "lib/lint/row.h"
#include "lib/util/safe.h"

const char *lint_verdict_name(enum lint_verdict verdict)
{
        static const char *const names[] = {
                [LINT_FINE] = "fine",
                [LINT_UNKNOWN] = "not known here",
                [LINT_NO_EFFECT] = "no effect",
                [LINT_HARMFUL] = "harmful",
        };

        return names[verdict];
}

static bool is_missing(struct lint_case *c)
{
        return !lint_exists(c, c->path) && lint_say_missing(c);
}

static bool is_overridden(struct lint_case *c)
{
        const struct sysctl_line *last = lint_standing(c->lines, c->path);
        const char *how = "it is overridden by";

        if (last == c->line)
                return false;
        if (!last->value)
                how = "it is revoked by";
        else if (strcmp(last->value, c->value) == 0)
                how = last < c->line ? "it repeats" : "it is repeated by";
        c->finding->rule = NULL;
        c->finding->applied = 0;
        return lint_say(c, LINT_NO_EFFECT, "%s %s:%u", how, last->at.file, last->at.line);
}

static bool is_read_only(struct lint_case *c)
{
        if (!c->kernel->is_read_only || !c->kernel->is_read_only(c->kernel->user, c->path))
                return false;
        c->finding->applied = 0;
        return lint_say(c, LINT_NO_EFFECT,
                        c->row && c->row->place & LINT_FIRST
                                ? "read-only here: it is set in the first network namespace only"
                                : "read-only: the kernel only shows it");
}

static bool says_range(struct lint_case *c)
{
        const struct lint_row *row = c->row;

        for (unsigned i = 0; row && i < c->n; i++)
                if (!lint_row_accepts(row, c->v[i]))
                        return lint_say_refused(c, "it accepts %" PRId64 " to %" PRId64, row->min, row->max);
        if (row && c->tried && c->n == 1 && !lint_row_is_certain(row, c->v[0]))
                return lint_say_refused(c, "it accepts 0 to %" PRId64, row->newer);
        return false;
}

static bool says_count(struct lint_case *c)
{
        const struct lint_row *row = c->row;

        if (!row || row->n == 0 || c->n == row->n || (c->n > 0 && !*c->rest))
                return false;
        return lint_say_refused(c, "it needs %u number%s%s", row->n, row->n == 1 ? "" : "s",
                                strpbrk(c->value, "\"'") ? ", and the quotes are a part of the value" : "");
}

static bool refuses_more(struct lint_case *c)
{
        return c->checks && c->checks->refuses && c->checks->refuses(c);
}

/* Gives the reason why the kernel refused the value in a copy: that of the checks or the table, else the error. */
static bool say_refused(struct lint_case *c, int error)
{
        if (refuses_more(c) || says_range(c) || says_count(c))
                return true;
        if (strpbrk(c->value, "\"'#;"))
                return lint_say_refused(c, "a comment and quotes are a part of the value");
        return lint_say_refused(c, "%s", strerror(error));
}

/* The kernel stores three numbers one by one, so that those before an invalid one take effect (measured;
 * kernel/sysctl.c:__do_proc_dointvec()). */
static bool is_taken_in_part(struct lint_case *c)
{
        const struct lint_row *row = c->row;
        unsigned good = 0;

        if (!row || row->n < 2)
                return false;
        while (good < c->n && lint_row_accepts(row, c->v[good]))
                good++;
        if (good == 0 || good == row->n || (row->n == 2 && (good < c->n || *c->rest)))
                return false;
        return lint_say(c, LINT_HARMFUL, "it sets only %u of %u numbers: the kernel leaves the others as they were%s",
                        good, row->n, good < c->n || *c->rest ? ", and refuses the rest of the line" : "");
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

/* Before Linux 5.19 a negative number for an unsigned long is skipped without an error
 * (kernel/sysctl.c:__do_proc_doulongvec_minmax()). */
static bool is_ignored(struct lint_case *c, const char *kept)
{
        char shown[80];

        if (!*kept || c->row->n != 1 || c->n != 1 || same_numbers(c, kept))
                return false;
        c->finding->applied = 0;
        return lint_say(c, LINT_NO_EFFECT, "the kernel takes the line and leaves the value at %s",
                        safe_text(kept, shown, sizeof(shown)));
}

/* Tries the value in a copy if there is one, unless the kernel could load a module for the value. */
static bool is_refused(struct lint_case *c)
{
        const struct lint_kernel *k = c->kernel;
        char kept[256] = "";
        int r = -ENOSYS;

        if (k->try && c->row && !c->row->module)
                r = k->try(k->user, c->path, c->value, kept, sizeof(kept));
        c->tried = r != -ENOSYS;
        /* The kernel takes the numbers before an invalid one; if a refused trial has changed nothing, it took none. */
        if (c->row && c->row->n == 3 && !(r < 0 && *kept) && is_taken_in_part(c))
                return true;
        if (r == -ENOSYS ? refuses_more(c) || says_range(c) || says_count(c) : r < 0 && say_refused(c, -r))
                return true;
        return is_ignored(c, kept) || is_taken_in_part(c);
}

/* Returns the last line before this one that sets another value; NULL: there is none. */
static const struct sysctl_line *overridden_line(const struct lint_case *c)
{
        for (const struct sysctl_line *line = c->line; line-- > c->lines->line;)
                if (line->value && sysctl_line_matches(line, c->path) && strcmp(line->value, c->value) != 0)
                        return line;
        return NULL;
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
        struct lint_effect needs;
        char name[LINT_NAME_MAX];

        if (c->row && c->row->idle)
                return lint_say(c, LINT_NO_EFFECT, "%s", c->row->idle);
        if (!c->row || !c->row->needs || !lint_effective(c, c->row->needs, &needs) || needs.v[0] != 0)
                return false;
        sysctl_name_swap(c->row->needs, name, sizeof(name));
        return lint_say(c, LINT_NO_EFFECT, "it acts only while %s is not 0%s", strrchr(name, '.') + 1, needs.where);
}

static bool has_check(struct lint_case *c)
{
        return c->checks && c->checks->check && c->checks->check(c);
}

static bool is_harmful(struct lint_case *c)
{
        const struct lint_row *row = c->row;
        const struct sysctl *s = lint_sysctl(c);
        const char *text = NULL;
        int64_t low;

        if (!row || row->n != 1 || !lint_row_is_checked(row))
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
        const char *help = lint_help(c);

        if (help)
                return lint_say(c, LINT_FINE, "%s", help);
        c->finding->applied = -1;
        return lint_say(c, LINT_UNKNOWN, "twtuned does not judge it");
}

/* Run in this order, up to the first that returns true: it has given the verdict. */
static bool (*const steps[])(struct lint_case *) = {
        is_missing, is_overridden, is_read_only, is_refused, is_default, is_idle, has_check, is_harmful, is_fine,
};

/* "30 # half a minute" is read as 30 (measured, with systemd-sysctl and with sysctl -p). */
static void add_rest(struct lint_case *c)
{
        char shown[80];

        if (c->row && c->row->n > 0 && c->n == c->row->n && *c->rest && c->finding->applied)
                lint_add_why(c, "; the kernel ignores '%s'", safe_text(c->rest, shown, sizeof(shown)));
}

/* Without a trial it is unknown whether this kernel is one of the newer ones. */
static void add_newer(struct lint_case *c)
{
        if (!c->row || c->tried || c->n != 1 || lint_row_is_certain(c->row, c->v[0]) || c->finding->applied == 0)
                return;
        c->finding->applied = -1;
        lint_add_why(c, "; newer kernels accept only 0 to %" PRId64, c->row->newer);
}

static void add_live(struct lint_case *c)
{
        char live[256], shown[80];

        if (lint_standing(c->lines, c->path) != c->line || lint_read_live(c, c->path, live, sizeof(live)) < 0)
                return;
        for (char *p = live; *p; p++)
                *p = *p == '\t' ? ' ' : *p;
        if (c->row && c->row->n > 0 ? !same_numbers(c, live) : strcmp(live, c->value) != 0)
                lint_add_why(c, "; the live value is %s", *live ? safe_text(live, shown, sizeof(shown)) : "empty");
}

/* twtuned never sets tcp_tw_reuse without timestamps (lib/apply/limits.c:check_timestamps()). */
static void check_rule(struct lint_case *c)
{
        struct lint_effect timestamps;
        const struct origin *at;

        if (!c->finding->rule || strncmp(c->finding->rule, "time-wait-reuse", 15) != 0 ||
            !lint_effective(c, "net/ipv4/tcp_timestamps", &timestamps) || timestamps.v[0] != 0)
                return;
        c->finding->rule = NULL;
        lint_add_why(c, "; twtuned does not set tcp_tw_reuse while tcp_timestamps is 0");
        if (!timestamps.line)
                return;
        at = &timestamps.line->at;
        lint_add_why(c, ": take %s:%u out", at->file, at->line);
}

/* Begins the finding for one line and one sysctl. */
static void begin(struct lint_case *c)
{
        struct lint_finding *f = c->finding;
        char name[LINT_NAME_MAX];

        *f = (struct lint_finding){.line = c->line};
        safe_text(sysctl_name_swap(c->path, name, sizeof(name)), f->name, sizeof(f->name));
        safe_text(c->value, f->value, sizeof(f->value));
}

/* Makes the reason of the finding safe to print, and reports the finding. */
static void end(struct lint_case *c)
{
        struct lint_finding *f = c->finding;
        char why[LINT_WHY_MAX];

        memcpy(why, f->why, sizeof(why));
        safe_text(why, f->why, sizeof(f->why));
        c->report(c->user, f);
}

/* Makes and reports the finding for one line and one sysctl. */
static void judge(struct lint_case *c)
{
        struct lint_finding *f = c->finding;
        const struct lint_rule *rule;

        begin(c);
        c->row = lint_row_find(c->path);
        c->checks = lint_checks_find(c->path);
        c->rest = "";
        c->n = c->row && c->row->n > 0 ? lint_numbers(c->value, c->row->n, c->v, &c->rest) : 0;
        f->rule = c->row ? c->row->rule : NULL;
        f->applied = 1;
        for (unsigned i = 0; i < ELEMENTSOF(steps) && !steps[i](c); i++)
                ;
        check_rule(c);
        add_newer(c);
        rule = f->rule ? lint_rule_find(f->rule) : NULL;
        f->does = rule ? rule->does : NULL;
        f->yields = rule && rule->writes && f->applied == 1 && fnmatch(rule->writes, c->path, FNM_PATHNAME) == 0;
        add_rest(c);
        add_live(c);
        end(c);
}

/* True if the glob of the line matches the sysctl c->path, and this kernel has it. */
static bool glob_matches(const struct lint_case *c)
{
        return !strchr(c->path, '*') && sysctl_line_matches(c->line, c->path) && lint_exists(c, c->path);
}

/* Makes and reports a finding for each sysctl of the table that the glob matches. */
static void judge_glob(struct lint_case *c)
{
        bool matches = false;

        for (unsigned i = 0; i < lint_row_count; i++) {
                c->path = lint_rows[i].path;
                if (!glob_matches(c))
                        continue;
                matches = true;
                judge(c);
        }
        c->path = c->line->name;
        if (matches || !lint_is_about(c))
                return;
        begin(c);
        c->finding->applied = -1;
        lint_say(c, LINT_UNKNOWN, "it matches no sysctl here that twtuned judges");
        end(c);
}

void lint_run(const struct sysctl_lines *lines, const struct lint_kernel *kernel,
              void (*report)(void *user, const struct lint_finding *finding), void *user)
{
        struct lint_finding finding;
        struct lint_case c = {.kernel = kernel, .lines = lines, .finding = &finding, .report = report, .user = user};

        assert(kernel->read && report);
        if (kernel->reset)
                kernel->reset(kernel->user);
        for (size_t k = 0; k < lines->n; k++) {
                c.line = &lines->line[k];
                c.value = c.line->value;
                c.path = c.line->name;
                if (!c.value)
                        continue;
                if (c.line->glob)
                        judge_glob(&c);
                else if (lint_is_about(&c))
                        judge(&c);
        }
}

/* SPDX-License-Identifier: MIT */
/* Functions that the checks and the steps of a verdict share. */

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/kernel/sysctl.h"
#include "lib/lint/row.h"
#include "lib/util/safe.h"

static void _printf_(3, 0) write_why(struct lint_case *c, size_t at, const char *format, va_list args)
{
        vsnprintf(c->finding->why + at, sizeof(c->finding->why) - at, format, args);
}

bool lint_say(struct lint_case *c, enum lint_verdict verdict, const char *format, ...)
{
        va_list args;

        c->finding->verdict = verdict;
        va_start(args, format);
        write_why(c, 0, format, args);
        va_end(args);
        return true;
}

void lint_add_why(struct lint_case *c, const char *format, ...)
{
        va_list args;

        va_start(args, format);
        write_why(c, strlen(c->finding->why), format, args);
        va_end(args);
}

bool lint_say_refused(struct lint_case *c, const char *format, ...)
{
        va_list args;

        lint_say(c, LINT_NO_EFFECT, "the kernel refuses it: ");
        va_start(args, format);
        write_why(c, strlen(c->finding->why), format, args);
        va_end(args);
        c->finding->applied = 0;
        return true;
}

/* What the kernel skips before a number (lib/ctype.c); after one, only a blank or a tab may come (kernel/sysctl.c:
 * proc_wspace_sep). Measured. */
#define SPACES " \t\f\v\xa0"

unsigned lint_numbers(const char *text, unsigned n, int64_t v[static 3], const char **ret_rest)
{
        unsigned i = 0;

        assert(n <= 3);
        *ret_rest = text;
        for (; i < n; i++) {
                const char *p = *ret_rest + strspn(*ret_rest, SPACES);
                bool negative = *p == '-';
                unsigned long long number;
                char *end;

                if (!isdigit((unsigned char)p[negative]))
                        break;
                errno = 0;
                number = strtoull(p + negative, &end, 0);
                if (errno != 0 || !strchr(" \t", *end))
                        break;
                v[i] = (int64_t)MIN(number, (unsigned long long)INT64_MAX) * (negative ? -1 : 1);
                *ret_rest = end;
        }
        *ret_rest += strspn(*ret_rest, SPACES);
        return i;
}

/* ".." leads out of /proc/sys, and systemd-sysctl refuses it (basic/sysctl-util.c:sysctl_write()). */
int lint_read_live(const struct lint_case *c, const char *path, char *buf, size_t size)
{
        if (strstr(path, ".."))
                return -ENOENT;
        return c->kernel->read(c->kernel->user, path, buf, size);
}

bool lint_exists(const struct lint_case *c, const char *path)
{
        char live[256];

        return lint_read_live(c, path, live, sizeof(live)) != -ENOENT;
}

/* The kernel registers tcp_mem in the first network namespace only (net/ipv4/sysctl_net_ipv4.c:ipv4_table). */
bool lint_is_first_netns(const struct lint_case *c)
{
        return lint_exists(c, "net/ipv4/tcp_mem");
}

/* net/netfilter/nf_conntrack_standalone.c registers the variable twice. */
static const char *other_name(const char *path)
{
        static const char *const names[] = {"net/netfilter/nf_conntrack_max", "net/nf_conntrack_max"};

        for (unsigned i = 0; i < ELEMENTSOF(names); i++)
                if (strcmp(path, names[i]) == 0)
                        return names[1 - i];
        return NULL;
}

const struct sysctl_line *lint_standing(const struct sysctl_lines *lines, const char *path)
{
        const char *other = other_name(path);
        const struct sysctl_line *a = sysctl_lines_find(lines, path);
        const struct sysctl_line *b = other ? sysctl_lines_find(lines, other) : NULL;

        a = a ? &lines->line[a->place] : NULL;
        b = b && b->value ? &lines->line[b->place] : NULL;
        return b && (!a || !a->value || b > a) ? b : a;
}

static bool is_in_bounds(const struct lint_row *row, unsigned n, const int64_t *v)
{
        for (unsigned i = 0; row && i < n; i++)
                if (!lint_row_accepts(row, v[i]))
                        return false;
        return n > 0;
}

/* The kernel accepts a pair as a whole or not at all: the second number must not be below the first, nor the first
 * below the value that the floor has by then (net/ipv4/sysctl_net_ipv4.c:ipv4_local_port_range()). */
static bool is_pair(const struct lint_case *c, const struct lint_row *row, const struct sysctl_line *line,
                    const int64_t *v)
{
        struct lint_case then = *c;
        int64_t floor;

        then.line = line;
        return v[0] <= v[1] && (!row->floor || !lint_number_by_then(&then, row->floor, &floor) || v[0] >= floor);
}

/* Applies the line to the live numbers in *e. Returns false if the kernel refuses the line. */
static bool apply(const struct lint_case *c, const struct lint_row *row, const struct sysctl_line *line,
                  struct lint_effect *e, unsigned n)
{
        const char *rest;
        int64_t v[3];
        unsigned set = lint_numbers(line->value, n, v, &rest);

        if (!is_in_bounds(row, set, v) || (n == 2 && set == 1 && *rest))
                return false;
        memcpy(e->v, v, set * sizeof(v[0]));
        e->n = MAX(e->n, set);
        e->line = line;
        return n != 2 || is_pair(c, row, line, e->v);
}

bool lint_effective(const struct lint_case *c, const char *path, struct lint_effect *ret)
{
        const struct lint_row *row = lint_row_find(path);
        const struct sysctl_line *line = lint_standing(c->lines, path);
        unsigned n = row && row->n > 0 ? row->n : 1;
        struct lint_effect live = {0}, e;
        const char *rest;
        char text[256], file[96];
        int r = lint_read_live(c, path, text, sizeof(text));

        if (r == -ENOENT)
                return false;
        if (r == 0)
                live.n = lint_numbers(text, n, live.v, &rest);
        e = live;
        *ret = line && line->value && apply(c, row, line, &e, n) ? e : live;
        if (ret->line)
                snprintf(ret->where, sizeof(ret->where), " (%s:%u)", safe_text(line->at.file, file, sizeof(file)),
                         line->at.line);
        return ret->n == n;
}

bool lint_number_by_then(const struct lint_case *c, const char *path, int64_t *ret)
{
        struct lint_effect e;
        const char *rest;
        char live[256];

        if (!lint_effective(c, path, &e))
                return false;
        if (e.line && e.line > c->line &&
            (lint_read_live(c, path, live, sizeof(live)) < 0 || lint_numbers(live, 1, e.v, &rest) == 0))
                return false;
        *ret = e.v[0];
        return true;
}

const struct sysctl *lint_sysctl(const struct lint_case *c)
{
        enum sysctl_id id = sysctl_find(c->path);

        return id == SYSCTL_COUNT ? NULL : &sysctl_table[id];
}

const char *lint_help(const struct lint_case *c)
{
        const struct sysctl *s = lint_sysctl(c);

        if (c->row && c->row->help)
                return c->row->help;
        return s ? s->help : NULL;
}

/* SPDX-License-Identifier: MIT */
/* What the checks and the steps of a verdict share. */

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/kernel/sysctl.h"
#include "lib/lint/row.h"

bool lint_say(struct lint_case *c, enum lint_verdict verdict, const char *format, ...)
{
        va_list args;

        c->finding->verdict = verdict;
        va_start(args, format);
        vsnprintf(c->finding->why, sizeof(c->finding->why), format, args);
        va_end(args);
        return true;
}

unsigned lint_numbers(const char *text, unsigned n, int64_t v[static 3], const char **ret_rest)
{
        unsigned i = 0;

        assert(n <= 3);
        *ret_rest = text;
        for (; i < n; i++) {
                const char *p = *ret_rest + strspn(*ret_rest, " \t");
                char *end;

                if (!isdigit((unsigned char)p[p[0] == '-']))
                        break;
                errno = 0;
                v[i] = strtoll(p, &end, 0);
                if (errno != 0 || !strchr(" \t", *end))
                        break;
                *ret_rest = end;
        }
        *ret_rest += strspn(*ret_rest, " \t");
        return i;
}

int lint_read_live(const struct lint_case *c, const char *path, char *buf, size_t size)
{
        return c->kernel->read(c->kernel->user, path, buf, size);
}

bool lint_effective(const struct lint_case *c, const char *path, int64_t *ret)
{
        const struct sysctl_line *line = sysctl_lines_find(c->lines, path);
        const char *rest;
        char live[256];
        int64_t v[3];

        if (!line || !line->value || lint_numbers(line->value, 1, v, &rest) == 0) {
                if (lint_read_live(c, path, live, sizeof(live)) < 0 || lint_numbers(live, 1, v, &rest) == 0)
                        return false;
        }
        *ret = v[0];
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
        return s ? s->help : "twtuned knows no objection to it";
}

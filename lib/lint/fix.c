/* SPDX-License-Identifier: MIT */
/* The lines that would remain. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lint/lint.h"

/* The lines that are left, and their findings. */
struct rest {
        struct sysctl_lines lines; /* borrows the texts */
        size_t *index;             /* of each line among all lines */
        bool *harmful, *useful;    /* one of the line's findings is */
        char **why;                /* by the index among all */
        bool failed;
};

static void on_finding(void *user, const struct lint_finding *f)
{
        struct rest *r = user;
        size_t i = (size_t)(f->line - r->lines.line), k = r->index[i];

        r->harmful[i] |= f->verdict == LINT_HARMFUL;
        r->useful[i] |= f->verdict == LINT_FINE || f->verdict == LINT_UNKNOWN;
        if (f->verdict != LINT_HARMFUL && f->verdict != LINT_NO_EFFECT)
                return;
        if (r->why[k] && f->verdict != LINT_HARMFUL)
                return;
        free(r->why[k]);
        r->why[k] = NULL;
        if (asprintf(&r->why[k], "%s: %s", lint_verdict_name(f->verdict), f->why) < 0)
                r->failed = true;
}

/* Removes the harmful lines or, if there are none, those without effect. Returns their count. */
static size_t take_out(struct rest *r, size_t was)
{
        bool harmful = false;
        size_t n = 0;

        for (size_t i = 0; i < was; i++)
                harmful |= r->harmful[i];
        for (size_t i = 0; i < was; i++) {
                size_t k = r->index[i];
                bool goes = harmful ? r->harmful[i] : r->why[k] && !r->useful[i];

                if (goes)
                        continue;
                free(r->why[k]); /* its finding may not hold without the other lines */
                r->why[k] = NULL;
                r->lines.line[n] = r->lines.line[i];
                r->index[n++] = k;
        }
        r->lines.n = n;
        sysctl_lines_place(&r->lines);
        return was - n;
}

int lint_fix(const struct sysctl_lines *lines, const struct lint_kernel *kernel, char ***ret)
{
        size_t n = lines->n, room = n > 0 ? n : 1, was;
        struct rest r = {.lines.line = calloc(room, sizeof(*lines->line)),
                         .lines.n = n,
                         .index = calloc(room, sizeof(*r.index)),
                         .harmful = calloc(room, sizeof(*r.harmful)),
                         .useful = calloc(room, sizeof(*r.useful)),
                         .why = calloc(room, sizeof(*r.why))};

        r.failed = !r.lines.line || !r.index || !r.harmful || !r.useful || !r.why;
        for (size_t i = 0; i < n && !r.failed; i++) {
                r.lines.line[i] = lines->line[i];
                r.index[i] = i;
        }
        do {
                was = r.lines.n;
                if (r.failed)
                        break;
                memset(r.harmful, 0, room * sizeof(*r.harmful));
                memset(r.useful, 0, room * sizeof(*r.useful));
                lint_run(&r.lines, kernel, on_finding, &r);
        } while (!r.failed && take_out(&r, was) > 0);

        free(r.lines.line);
        free(r.index);
        free(r.harmful);
        free(r.useful);
        if (r.failed) {
                lint_fix_free(r.why, n);
                return -ENOMEM;
        }
        *ret = r.why;
        return 0;
}

void lint_fix_free(char **why, size_t n)
{
        for (size_t i = 0; why && i < n; i++)
                free(why[i]);
        free(why);
}

/* SPDX-License-Identifier: MIT */
/* Finds the lines to remove. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lint/lint.h"

/* The lines that are left, and their findings. */
struct rest {
        struct sysctl_lines lines; /* borrows the texts */
        struct {
                size_t index;         /* of the line among all lines */
                bool harmful, useful; /* one of the line's findings is */
        } * about;
        char **why; /* by the index among all lines */
        bool failed;
};

static void on_finding(void *user, const struct lint_finding *f)
{
        struct rest *r = user;
        size_t i = (size_t)(f->line - r->lines.line), k = r->about[i].index;
        char why[LINT_WHY_MAX + 32];

        r->about[i].harmful |= f->verdict == LINT_HARMFUL;
        r->about[i].useful |= f->verdict == LINT_FINE || f->verdict == LINT_UNKNOWN;
        if (f->verdict != LINT_HARMFUL && f->verdict != LINT_NO_EFFECT)
                return;
        if (r->why[k] && f->verdict != LINT_HARMFUL)
                return;
        free(r->why[k]);
        snprintf(why, sizeof(why), "%s: %s", lint_verdict_name(f->verdict), f->why);
        r->why[k] = strdup(why);
        r->failed |= !r->why[k];
}

/* Removes the harmful lines or, if there are none, those without effect. Returns their count. */
static size_t take_out(struct rest *r, size_t was)
{
        bool harmful = false;
        size_t n = 0;

        for (size_t i = 0; i < was; i++)
                harmful |= r->about[i].harmful;
        for (size_t i = 0; i < was; i++) {
                size_t k = r->about[i].index;
                bool goes = harmful ? r->about[i].harmful : r->why[k] && !r->about[i].useful;

                if (goes)
                        continue;
                free(r->why[k]); /* its finding may not hold without the other lines */
                r->why[k] = NULL;
                r->lines.line[n] = r->lines.line[i];
                r->about[n++].index = k;
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
                         .about = calloc(room, sizeof(*r.about)),
                         .why = calloc(room, sizeof(*r.why))};

        r.failed = !r.lines.line || !r.about || !r.why;
        for (size_t i = 0; i < n && !r.failed; i++) {
                r.lines.line[i] = lines->line[i];
                r.about[i].index = i;
        }
        do {
                was = r.lines.n;
                if (r.failed)
                        break;
                for (size_t i = 0; i < was; i++)
                        r.about[i].harmful = r.about[i].useful = false;
                lint_run(&r.lines, kernel, on_finding, &r);
        } while (!r.failed && take_out(&r, was) > 0);

        free(r.lines.line);
        free(r.about);
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

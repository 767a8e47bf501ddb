/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/terminal.h"

struct row {
        unsigned n;
        struct {
                enum colour colour;
                char *text;
        } cell[COLUMNS_MAX];
};

void table_begin_row(struct table *t)
{
        t->row = reallocarray(t->row, t->n + 1, sizeof(*t->row));
        if (!t->row)
                exit(complain(EXIT_FAILURE, "out of memory"));
        t->row[t->n++].n = 0;
}

void table_cell(struct table *t, enum colour colour, const char *format, ...)
{
        struct row *row = &t->row[t->n - 1];
        unsigned column = row->n++;
        va_list args;
        int length;

        assert(column < COLUMNS_MAX);
        va_start(args, format);
        length = vasprintf(&row->cell[column].text, format, args);
        va_end(args);
        if (length < 0)
                exit(complain(EXIT_FAILURE, "out of memory"));
        row->cell[column].colour = colour;
        t->width[column] = MAX(t->width[column], (size_t)length);
}

#define SHRUNK_MIN 6u   /* least width of a column that is cut */
#define WRAPPED_MIN 14u /* least width of the last column, which wraps */

/* Narrows the widest columns until all fit into width, but not t->kept and not the last column, which wraps. Returns
 * where the last column begins. */
static unsigned fit(struct table *t, unsigned width, unsigned last)
{
        size_t used = 0;

        for (unsigned k = 0; k < last; k++)
                used += t->width[k] + 2;
        while (used + WRAPPED_MIN > width) {
                unsigned widest = last;

                for (unsigned k = 0; k < last; k++)
                        if (k != t->kept && t->width[k] > SHRUNK_MIN &&
                            (widest == last || t->width[k] > t->width[widest]))
                                widest = k;
                if (widest == last)
                        break;
                t->width[widest]--;
                used--;
        }
        return (unsigned)used;
}

/* Prints a cell that is not the last one of its row, cut to the width of its column. */
static void print_cell(const struct table *t, const struct row *row, unsigned k)
{
        const char *text = row->cell[k].text, *dots = has_unicode() ? "…" : "~";
        size_t n = strlen(text), width = t->width[k], shown = n > width ? text_cut(text, width - 1) : n;

        print_coloured(row->cell[k].colour, "%.*s%s", (int)shown, text, shown < n ? dots : "");
        printf("%*s", (int)(width + 2 - shown - (shown < n)), "");
}

void table_print(struct table *t)
{
        unsigned width = screen_width(), column = 0;

        if (width > 0 && t->n > 0)
                column = fit(t, width, t->row[0].n - 1);
        for (size_t i = 0; i < t->n; i++) {
                const struct row *row = &t->row[i];

                for (unsigned k = 0; k + 1 < row->n; k++)
                        print_cell(t, row, k);
                print_broken(row->cell[row->n - 1].colour, row->cell[row->n - 1].text, column, column, WRAPPED_MIN);
                for (unsigned k = 0; k < row->n; k++)
                        free(row->cell[k].text);
        }
        free(t->row);
        *t = (struct table){0};
}

/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/show.h"

#define COLUMNS_MAX 10u
#define CELL_MAX 256

struct row {
        unsigned n;
        struct {
                enum colour colour;
                char text[CELL_MAX];
        } cell[COLUMNS_MAX];
};

struct table {
        struct row *row;
        size_t n; /* the row that is being filled is row[n] */
        bool failed;
};

static bool grow(struct table *t)
{
        struct row *grown = realloc(t->row, (t->n + 1) * sizeof(*grown));

        t->failed |= !grown;
        if (!grown)
                return false;
        t->row = grown;
        t->row[t->n].n = 0;
        return true;
}

struct table *table_new(void)
{
        struct table *t = calloc(1, sizeof(*t));

        if (!t || !grow(t)) {
                fputs("twtunectl: out of memory\n", stderr);
                exit(EXIT_FAILURE);
        }
        return t;
}

void table_cell(struct table *t, enum colour colour, const char *format, ...)
{
        struct row *row = &t->row[t->n];
        va_list args;

        if (t->failed || row->n == COLUMNS_MAX)
                return;
        va_start(args, format);
        vsnprintf(row->cell[row->n].text, CELL_MAX, format, args);
        va_end(args);
        row->cell[row->n++].colour = colour;
}

void table_end_row(struct table *t)
{
        t->n += !t->failed;
        grow(t);
}

static size_t column_width(const struct table *t, unsigned column)
{
        size_t width = 0;

        for (size_t i = 0; i < t->n; i++)
                if (column < t->row[i].n)
                        width = MAX(width, strlen(t->row[i].cell[column].text));
        return width;
}

void table_print(struct table *t, unsigned indent)
{
        size_t width[COLUMNS_MAX];

        for (unsigned k = 0; k < COLUMNS_MAX; k++)
                width[k] = column_width(t, k);
        for (size_t i = 0; i < t->n; i++) {
                const struct row *row = &t->row[i];

                printf("%*s", (int)indent, "");
                for (unsigned k = 0; k < row->n; k++) {
                        const char *text = row->cell[k].text;
                        size_t pad = k + 1 < row->n ? width[k] - strlen(text) + 2 : 0;

                        printf("%s%s%s%*s", colour_on(row->cell[k].colour), text, colour_off(row->cell[k].colour),
                               (int)pad, "");
                }
                putchar('\n');
        }
        free(t->row);
        free(t);
}

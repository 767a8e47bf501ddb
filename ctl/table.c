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

void table_print(struct table *t, unsigned indent)
{
        for (size_t i = 0; i < t->n; i++) {
                const struct row *row = &t->row[i];

                printf("%*s", (int)indent, "");
                for (unsigned k = 0; k < row->n; k++) {
                        char *text = row->cell[k].text;
                        size_t padding = k + 1 < row->n ? t->width[k] - strlen(text) + 2 : 0;

                        print_coloured(row->cell[k].colour, "%s", text);
                        printf("%*s", (int)padding, "");
                        free(text);
                }
                putchar('\n');
        }
        free(t->row);
        *t = (struct table){0};
}

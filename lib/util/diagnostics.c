/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "lib/util/diagnostics.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void problem_add(struct problems *problems, struct origin at, const char *format, ...)
{
        size_t n = problems->item ? problems->n : 0; /* counted without an item: see below */
        struct problem *item = realloc(problems->item, (n + 1) * sizeof(*item));
        char *text = NULL;
        va_list args;

        va_start(args, format);
        if (vasprintf(&text, format, args) < 0)
                text = NULL;
        va_end(args);

        if (item) {
                item[n] = (struct problem){.at = at, .text = text};
                *problems = (struct problems){item, n + 1};
        } else {
                free(text);
                problems->n += problems->n == 0;
        }
}

static bool comes_before(const struct problem *a, const struct problem *b)
{
        return a->rank != b->rank ? a->rank < b->rank : a->at.line < b->at.line;
}

/* Insertion sort: it is stable, and a configuration has few errors. */
void problems_sort(struct problems *problems)
{
        struct problem *item = problems->item;

        for (size_t i = 0; item && i < problems->n; i++)
                while (strcmp(item[item[i].rank].at.file, item[i].at.file) != 0)
                        item[i].rank++;
        for (size_t i = 1; item && i < problems->n; i++) {
                struct problem p = item[i];
                size_t k = i;

                for (; k > 0 && comes_before(&p, &item[k - 1]); k--)
                        item[k] = item[k - 1];
                item[k] = p;
        }
}

void problems_free(struct problems *problems)
{
        for (size_t i = 0; problems->item && i < problems->n; i++)
                free(problems->item[i].text);
        free(problems->item);
        *problems = (struct problems){0};
}

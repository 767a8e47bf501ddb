/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "lib/util/diagnostics.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct diagnostic *diagnostic_add(struct diagnostics *diagnostics, struct origin at, const char *format, ...)
{
        size_t n = diagnostics->item ? diagnostics->n : 0; /* without memory for the first item, n is 1 */
        struct diagnostic *item = realloc(diagnostics->item, (n + 1) * sizeof(*item));
        char *text = NULL;
        va_list args;

        va_start(args, format);
        if (vasprintf(&text, format, args) < 0)
                text = NULL;
        va_end(args);

        if (item) {
                item[n] = (struct diagnostic){.at = at, .text = text};
                diagnostics->item = item;
                diagnostics->n = n + 1;
                return &item[n];
        }
        free(text);
        diagnostics->lost = true;
        diagnostics->n += diagnostics->n == 0;
        return NULL;
}

bool diagnostics_are_rules_off(const struct diagnostics *diagnostics)
{
        for (size_t i = 0; diagnostics->item && i < diagnostics->n; i++)
                if (!diagnostics->item[i].rule_off)
                        return false;
        return diagnostics->item && diagnostics->n > 0 && !diagnostics->lost;
}

static bool comes_before(const struct diagnostic *a, const struct diagnostic *b)
{
        return a->rank != b->rank ? a->rank < b->rank : a->at.line < b->at.line;
}

/* Insertion sort: stable, and a configuration has few errors. */
void diagnostics_sort(struct diagnostics *diagnostics)
{
        struct diagnostic *item = diagnostics->item;

        for (size_t i = 0; item && i < diagnostics->n; i++)
                while (strcmp(item[item[i].rank].at.file, item[i].at.file) != 0)
                        item[i].rank++;
        for (size_t i = 1; item && i < diagnostics->n; i++) {
                struct diagnostic p = item[i];
                size_t k = i;

                for (; k > 0 && comes_before(&p, &item[k - 1]); k--)
                        item[k] = item[k - 1];
                item[k] = p;
        }
}

void diagnostics_free(struct diagnostics *diagnostics)
{
        for (size_t i = 0; diagnostics->item && i < diagnostics->n; i++)
                free(diagnostics->item[i].text);
        free(diagnostics->item);
        *diagnostics = (struct diagnostics){0};
}

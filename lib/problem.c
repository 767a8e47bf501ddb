/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "problem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void problem_add(struct problems *problems, struct origin at, const char *format, ...)
{
        struct problem *item = realloc(problems->item, (problems->n + 1) * sizeof(*item));
        char *text = NULL;
        va_list args;

        va_start(args, format);
        if (vasprintf(&text, format, args) < 0)
                text = NULL;
        va_end(args);

        if (item) {
                problems->item = item;
                item[problems->n] = (struct problem){.at = at, .text = text};
                problems->n++;
        } else {
                free(text);
                problems->n += problems->n == 0;
        }
}

/* Insertion sort: it is stable, and a configuration has few errors. */
void problems_sort(struct problems *problems)
{
        for (size_t i = 1; problems->item && i < problems->n; i++) {
                struct problem p = problems->item[i];
                size_t k = i;

                for (; k > 0 && strcmp(problems->item[k - 1].at.file, p.at.file) == 0 &&
                       problems->item[k - 1].at.line > p.at.line;
                     k--)
                        problems->item[k] = problems->item[k - 1];
                problems->item[k] = p;
        }
}

void problems_free(struct problems *problems)
{
        for (size_t i = 0; problems->item && i < problems->n; i++)
                free(problems->item[i].text);
        free(problems->item);
        *problems = (struct problems){0};
}

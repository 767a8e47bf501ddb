/* SPDX-License-Identifier: MIT */
#include "lib/util/suggest.h"

#include <ctype.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "lib/util/macro.h"

#define LONGEST 63

/* Levenshtein distance without regard to case, one row at a time. Names over LONGEST are far from every name. */
static unsigned distance(const char *a, const char *b)
{
        size_t an = strlen(a), bn = strlen(b);
        unsigned row[LONGEST + 1];

        if (an > LONGEST || bn > LONGEST)
                return UINT_MAX;
        for (unsigned j = 0; j <= bn; j++)
                row[j] = j;
        for (unsigned i = 1; i <= an; i++) {
                unsigned diagonal = row[0];

                row[0] = i;
                for (unsigned j = 1; j <= bn; j++) {
                        bool same = tolower((unsigned char)a[i - 1]) == tolower((unsigned char)b[j - 1]);
                        unsigned replaced = diagonal + !same;

                        diagonal = row[j];
                        row[j] = MIN(replaced, MIN(row[j], row[j - 1]) + 1);
                }
        }
        return row[bn];
}

static bool ends_with(const char *text, const char *end)
{
        size_t n = strlen(text), m = strlen(end);

        return m >= 4 && n > m && strcmp(text + n - m, end) == 0;
}

void suggestion_offer(struct suggestion *suggestion, const char *name)
{
        unsigned d = ends_with(name, suggestion->wanted) || ends_with(suggestion->wanted, name)
                             ? 1
                             : distance(suggestion->wanted, name);

        if (d > MAX(strlen(suggestion->wanted) / 3, 1u) || (suggestion->name && d >= suggestion->distance))
                return;
        suggestion->name = name;
        suggestion->distance = d;
}

const char *suggestion_hint(const struct suggestion *suggestion, char buf[static 128])
{
        buf[0] = 0;
        if (suggestion->name)
                snprintf(buf, 128, ", did you mean %s?", suggestion->name);
        return buf;
}

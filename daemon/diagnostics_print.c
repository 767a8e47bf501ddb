/* SPDX-License-Identifier: MIT */
#include "daemon/diagnostics_print.h"

#include <stdio.h>

void diagnostics_print(const struct diagnostics *diagnostics, const char *prefix)
{
        for (size_t i = 0; diagnostics->item && i < diagnostics->n; i++) {
                const struct diagnostic *p = &diagnostics->item[i];

                if (p->at.line > 0)
                        fprintf(stderr, "%s:%u: %s%s\n", p->at.file, p->at.line, prefix, p->text);
                else
                        fprintf(stderr, "%s: %s%s\n", p->at.file, prefix, p->text);
        }
}

/* SPDX-License-Identifier: MIT */
#include "daemon/diagnostics_print.h"

#include <stdio.h>

void diagnostics_print(const struct diagnostics *diagnostics)
{
        for (size_t i = 0; diagnostics->item && i < diagnostics->n; i++) {
                const struct diagnostic *p = &diagnostics->item[i];

                if (p->at.line > 0)
                        fprintf(stderr, "%s:%u: %s\n", p->at.file, p->at.line, p->text);
                else
                        fprintf(stderr, "%s: %s\n", p->at.file, p->text);
        }
}

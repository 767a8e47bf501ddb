/* SPDX-License-Identifier: MIT */
#include "daemon/diagnostics_print.h"

#include <stdio.h>

#include "lib/util/safe.h"

void diagnostics_print(const struct diagnostics *diagnostics, const char *prefix)
{
        for (size_t i = 0; diagnostics->item && i < diagnostics->n; i++) {
                const struct diagnostic *p = &diagnostics->item[i];

                safe_print(p->at.file, stderr);
                if (p->at.line > 0)
                        fprintf(stderr, ":%u", p->at.line);
                fprintf(stderr, ": %s", prefix);
                safe_print(p->text ? p->text : "out of memory", stderr);
                fputc('\n', stderr);
        }
        if (diagnostics->lost)
                fprintf(stderr, "twtuned: out of memory: not every line is shown\n");
}

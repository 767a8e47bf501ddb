/* SPDX-License-Identifier: MIT */
#include "daemon/problem_print.h"

#include <stdio.h>

void problems_print(const struct problems *problems)
{
        for (size_t i = 0; problems->item && i < problems->n; i++) {
                const struct problem *p = &problems->item[i];

                if (p->at.line > 0)
                        fprintf(stderr, "%s:%u: %s\n", p->at.file, p->at.line, p->text);
                else
                        fprintf(stderr, "%s: %s\n", p->at.file, p->text);
        }
}

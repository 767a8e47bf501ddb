/* SPDX-License-Identifier: MIT */
#pragma once

/* The diagnostics that a test expects of bad input. */

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "lib/util/diagnostics.h"

struct expected {
        unsigned line;
        const char *says; /* a part of the text; NULL ends a list */
};

/* Exactly the expected diagnostics, in this order, all of one file. row names the case. */
static inline void expect_diagnostics(const char *row, const char *file, const struct expected *expected,
                                      const struct diagnostics *diagnostics)
{
        size_t i = 0;

        for (; expected[i].says; i++) {
                const struct diagnostic *p = &diagnostics->item[i];

                ck_assert_msg(i < diagnostics->n, "%s: only %zu diagnostics, missing: %u: %s", row, diagnostics->n,
                              expected[i].line, expected[i].says);
                ck_assert_msg(p->at.line == expected[i].line, "%s: line %u instead of %u: %s", row, p->at.line,
                              expected[i].line, p->text);
                ck_assert_msg(strcmp(p->at.file, file) == 0, "%s: file '%s' instead of '%s'", row, p->at.file, file);
                ck_assert_msg(strstr(p->text, expected[i].says), "%s: '%s' does not say '%s'", row, p->text,
                              expected[i].says);
        }
        ck_assert_msg(i == diagnostics->n, "%s: one diagnostic too many: %u: %s", row, diagnostics->item[i].at.line,
                      diagnostics->item[i].text);
}

/* Exactly one diagnostic that says it. */
static inline void expect_one(const char *row, const char *file, unsigned line, const char *says,
                              const struct diagnostics *diagnostics)
{
        const struct expected expected[] = {{line, says}, {0}};

        expect_diagnostics(row, file, expected, diagnostics);
}

static inline void expect_none(const char *row, const struct diagnostics *diagnostics)
{
        ck_assert_msg(diagnostics->n == 0, "%s: %s:%u: %s", row, diagnostics->item[0].at.file,
                      diagnostics->item[0].at.line, diagnostics->item[0].text);
}

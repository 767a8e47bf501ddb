/* SPDX-License-Identifier: MIT */
#pragma once

/* The errors or warnings of a configuration. Library code never logs: it collects all errors, and the caller prints
 * them. */

#include <stdbool.h>
#include <stddef.h>

#include "lib/util/macro.h"

/* Where a value came from. file is borrowed; in a configuration, from its list of files. */
struct origin {
        const char *file;
        unsigned line; /* from 1; 0: the file as a whole */
};

struct diagnostic {
        struct origin at;
        char *text;    /* owned; NULL: there was no memory for it */
        size_t rank;   /* for sorting: the index of the first diagnostic of the same file */
        bool rule_off; /* the error only disables a rule; the daemon starts, as earlier releases accepted the rule */
};

/* Zero-initialized: empty. */
struct diagnostics {
        struct diagnostic *item; /* owned; NULL although n > 0: there was no memory for it */
        size_t n;
        bool lost; /* there was no memory for one or more of them */
};

/* Adds a diagnostic. Without memory for it, n is still not 0 afterwards, so that wrong input is never accepted.
 * Returns the diagnostic, valid until the next call; NULL: there was no memory for it. */
struct diagnostic *diagnostic_add(struct diagnostics *diagnostics, struct origin at, const char *format, ...)
        _printf_(3, 4);

/* True if there are errors, and all of them only disable a rule. */
bool diagnostics_are_rules_off(const struct diagnostics *diagnostics);

/* Sorts by file, in the order in which the files were first named, then by line. */
void diagnostics_sort(struct diagnostics *diagnostics);

/* Frees the items and leaves an empty list. */
void diagnostics_free(struct diagnostics *diagnostics);

/* SPDX-License-Identifier: MIT */
#pragma once

/* What is wrong with a configuration. Library code never logs: it collects, and the caller prints all of it
 * at once. */

#include <stddef.h>

#include "lib/util/macro.h"

/* Where a value came from. file is borrowed and must outlive the configuration. */
struct origin {
        const char *file;
        unsigned line; /* from 1; 0: the file as a whole */
};

struct diagnostic {
        struct origin at;
        char *text;  /* NULL: there was no memory for it */
        size_t rank; /* for sorting: where its file was first met */
};

struct diagnostics {
        struct diagnostic *item;
        size_t n;
};

/* Adds one. When there is no memory for it, the count still rises, so that bad input is never taken. */
void diagnostic_add(struct diagnostics *diagnostics, struct origin at, const char *format, ...) _printf_(3, 4);

/* By file, in the order in which the files were first met, and by line. */
void diagnostics_sort(struct diagnostics *diagnostics);

void diagnostics_free(struct diagnostics *diagnostics);

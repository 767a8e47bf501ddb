/* SPDX-License-Identifier: MIT */
#pragma once

/* Reads an INI file with inih, and reports each faulty line that inih would accept, cut or skip without an error:
 * inih does not number lines, takes an indented line for a continued value, cuts lines at 199 characters, and does not
 * report an empty section. */

#include <stddef.h>

#include "lib/util/diagnostics.h"

struct ini_handler {
        /* name is NULL for a section line with an error: the keys after it belong to no section. */
        void (*section)(void *user, struct origin at, const char *name);
        /* value is whole, however long its line is. Both texts are borrowed for the call. */
        void (*key)(void *user, struct origin at, const char *name, const char *value);
        void *user;
};

/* Reads the whole text of a file, which need not end with a NUL. Adds a diagnostic for each line with an error and
 * continues. Skips that line, unless its only error is that it is indented, or it is a section line. file is borrowed
 * by all origins. */
void ini_lines_read(const char *file, const char *text, size_t size, const struct ini_handler *handler,
                    struct diagnostics *diagnostics);

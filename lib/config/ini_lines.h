/* SPDX-License-Identifier: MIT */
#pragma once

/* inih, fed line by line. inih alone gives no line numbers, joins an indented line to the value before it, cuts
 * long lines, sees no empty sections, and stops to count after the first error: none of that may happen to a
 * configuration in silence. */

#include <stddef.h>

#include "lib/util/diagnostics.h"

/* Characters. inih cuts lines at INI_MAX_LINE (200) without a word. */
#define INI_LINE_LONGEST 197u

struct ini_handler {
        /* name is NULL for a section line that is wrong: what follows belongs to nothing. */
        void (*section)(void *user, struct origin at, const char *name);
        void (*key)(void *user, struct origin at, const char *name, const char *value);
        void *user;
};

/* Reads a whole file's text. Lines that are wrong are added to problems and left out; reading goes on. */
void ini_lines_read(const char *file, const char *text, size_t size, const struct ini_handler *handler,
                    struct diagnostics *diagnostics);

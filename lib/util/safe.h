/* SPDX-License-Identifier: MIT */
#pragma once

/* Text that others have chosen, made safe for terminals, logs and whoever splits lines. A byte that does not belong there
 * becomes "\xNN". */

#include <stddef.h>
#include <stdio.h>

/* For names, where they enter: of units, cgroups and network namespaces. Keeps what a unit's name is made of
 * (systemd.unit(5): letters, digits and :_.\@-) and '/'. Writes at most size bytes, the 0 included. Returns ret. */
char *safe_name(const char *name, char *ret, size_t size);

/* For text, where it leaves: escapes control characters, characters without a width or that change the direction of
 * writing, and what is not UTF-8; tabs stay. A text that does not fit into size bytes, the 0 included and at least 4,
 * ends with "...". Returns ret. */
char *safe_text(const char *text, char *ret, size_t size);

/* The same, printed. */
void safe_print(const char *text, FILE *file);

/* In quotes; a quote or a backslash in it follows a backslash. */
void safe_print_quoted(const char *text, FILE *file);

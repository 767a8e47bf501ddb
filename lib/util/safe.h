/* SPDX-License-Identifier: MIT */
#pragma once

/* Makes text from outside safe for terminals, logs and programs that split lines. A byte that is not safe becomes
 * "\xNN". */

#include <stddef.h>
#include <stdio.h>

/* For names of units, cgroups and network namespaces, on input. Keeps the characters of a unit's name
 * (systemd.unit(5): letters, digits and :_.\@-) and '/'. Writes at most size bytes, the 0 included. Returns ret. */
char *safe_name(const char *name, char *ret, size_t size);

/* For text, on output: escapes control characters (but not tabs), characters that have no width or change the
 * direction of writing, no-break spaces, and bytes that utf8_take() does not accept. A text that does not fit into
 * size bytes (the 0 included; at least 4) is cut and ends with "...". Returns ret. */
char *safe_text(const char *text, char *ret, size_t size);

/* Prints text, escaped as by safe_text(). */
void safe_print(const char *text, FILE *file);

/* Likewise, in quotes, with a backslash before each quote and backslash in the text. */
void safe_print_quoted(const char *text, FILE *file);

/* SPDX-License-Identifier: MIT */
#pragma once

#include <stddef.h>

/* Reads a whole file, which is then the caller's to free. 0, or a negative errno: -EISDIR, -EFBIG (over 1 MiB), ... */
int text_file_read(const char *path, char **ret, size_t *ret_size);

/* Puts a file with this text in place of the one at path, or leaves that as it was. It is written at aside, in the
 * same directory, and renamed. 0 or a negative errno. */
int text_file_replace(const char *path, const char *aside, const char *text, size_t size);

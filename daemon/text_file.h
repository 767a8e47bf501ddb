/* SPDX-License-Identifier: MIT */
#pragma once

#include <stddef.h>

/* Reads a whole file into memory that the caller frees; there is no 0 at its end. Returns 0 or a negative errno:
 * -EISDIR, -EINVAL (not a regular file), -EFBIG (1 MiB or more), ... */
int text_file_read(const char *path, char **ret, size_t *ret_size);

/* Returns a negative errno in words; -EINVAL: "not a regular file". */
const char *text_file_error(int error);

/* Replaces the file at path by one with this text, mode 0644: writes it to aside, in the same directory, and renames
 * it. Returns 0; or a negative errno, and the file at path is unchanged. */
int text_file_replace(const char *path, const char *aside, const char *text, size_t size);

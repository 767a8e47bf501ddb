/* SPDX-License-Identifier: MIT */
#pragma once

#include <stddef.h>

/* Reads a whole file, which is then the caller's to free. 0, or a negative errno: -EISDIR, -EFBIG (over 1 MiB), ... */
int text_file_read(const char *path, char **ret, size_t *ret_size);

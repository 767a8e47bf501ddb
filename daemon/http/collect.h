/* SPDX-License-Identifier: MIT */
#pragma once

#include <stddef.h>

/* Joins the metrics files of a directory, *.prom. Returns a text that the caller frees, and its length; NULL without
 * memory, or if the directory cannot be read. A file that is no regular file, is empty, is larger than 1 MiB or cannot
 * be read is left out. */
char *collect_metrics(const char *directory, size_t *ret_size);

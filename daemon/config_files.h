/* SPDX-License-Identifier: MIT */
#pragma once

#include "lib/config/config.h"

/* Reads FILE alone, or, when file is NULL, the vendor's policy, /etc/twtuned.conf and /etc/twtuned.conf.d in this
 * order. What is wrong is added to problems. kernel as in config_read(). NULL: no memory. */
struct config *config_files_load(const char *file, const struct counters *kernel, struct diagnostics *diagnostics);

/* The same. NULL: it is wrong, and what is wrong was printed to stderr. */
struct config *config_files_load_good(const char *file, const struct counters *kernel);

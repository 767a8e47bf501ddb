/* SPDX-License-Identifier: MIT */
#pragma once

#include "lib/config/config.h"

/* Reads file alone. If file is NULL, reads in this order: the vendor's policy; /etc/twtuned.conf; the drop-ins of
 * twtuned.conf.d under /etc, /run, /usr/local/lib and /usr/lib, sorted by name; and those of twtuned@NAME.conf.d,
 * with NAME from $TWTUNED_INSTANCE. Adds the errors to diagnostics, sorted. kernel: the counters that a rule may
 * name; NULL: those of this kernel. Returns NULL without memory. */
struct config *config_files_load(const char *file, const struct counters *kernel, struct diagnostics *diagnostics);

/* The same for files below a directory root. Their names are recorded without root. kernel: as in config_read(). */
struct config *config_files_load_below(const char *root, const char *file, const struct counters *kernel,
                                       struct diagnostics *diagnostics);

/* As config_files_load(), but prints errors and warnings to stderr. Returns the exit status: 0; EX_CONFIG: there are
 * errors; EX_OSERR: no memory; *ret is NULL on both. running: a daemon starts. Then, if the only errors are conditions
 * that can never hold, they are printed as warnings and disable their rules, so that an upgrade does not stop the
 * daemon. */
int config_files_load_good(const char *file, const struct counters *kernel, bool running, struct config **ret);

/* True if the instance has drop-ins of its own, and so does not share the configuration of the others. Always false if
 * file is not NULL. */
bool config_files_of_instance(const char *file, const char *instance);

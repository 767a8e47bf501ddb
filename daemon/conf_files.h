/* SPDX-License-Identifier: MIT */
#pragma once

/* The drop-ins of several directories, as in UAPI.6 and sysctl.d(5). */

#include <limits.h>
#include <stddef.h>

#include "lib/util/diagnostics.h"

struct conf_file {
        char name[NAME_MAX + 1];
        const char *directory; /* borrowed */
};

struct conf_files {
        struct conf_file *item; /* owned: free() */
        size_t n;
};

/* Lists the files *.conf of n directories below root, sorted by name. A name masks the same name in every later
 * directory, whatever the file is: even a link to /dev/null or a dangling one (systemd's basic/conf-files.c). Adds a
 * diagnostic for each directory that cannot be read. Returns 0 or -ENOMEM. */
int conf_files_list(const char *root, const char *const directories[], unsigned n, struct conf_files *ret,
                    struct diagnostics *diagnostics);

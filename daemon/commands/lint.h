/* SPDX-License-Identifier: MIT */
#pragma once

#include "daemon/backend.h"

enum lint_format {
        LINT_TEXT, /* one line for each finding */
        LINT_JSON,
        LINT_REMAINS, /* the files as they should be, with the reason for each line taken out (lint_fix()) */
};

/* --lint: prints what each line about TCP, UDP, conntrack, ports or core sockets really does on this kernel. files
 * ends with NULL; if it is empty, the files are those of sysctl.d. Returns the exit status: 0; EXIT_FAILURE: a line is
 * harmful; EX_DATAERR, even if a line is harmful: a file could not be read or begins with a byte order mark, or a line
 * is not an assignment to a valid name; EX_OSERR: no memory. With LINT_REMAINS, it is 0 if all files could be read. */
int lint_print(char *const *files, enum lint_format format);

/* Reports the harmful lines of sysctl.d, but only in the first network namespace: sysctl.d applies to no other. */
void lint_report(struct backend *backend);

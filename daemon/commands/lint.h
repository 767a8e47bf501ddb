/* SPDX-License-Identifier: MIT */
#pragma once

#include "daemon/backend.h"

/* --lint: prints what each line about TCP really does on this kernel. files ends with NULL; if it is empty, the files
 * are those of sysctl.d. Returns the exit status: 0; EXIT_FAILURE: a line is harmful; EX_DATAERR: a file could not be
 * read, or a line is not an assignment; EX_OSERR: no memory. */
int lint_print(char *const *files);

/* Reports the harmful lines of sysctl.d, but only in the first network namespace: sysctl.d applies to no other. */
void lint_report(struct backend *backend);

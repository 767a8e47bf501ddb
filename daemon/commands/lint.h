/* SPDX-License-Identifier: MIT */
#pragma once

#include "daemon/backend.h"

/* --lint: prints what each line about TCP of the files, or of sysctl.d where the list is empty, really does on this
 * kernel. files ends with a NULL. Returns the exit status: 0; 1: a line is harmful; EX_DATAERR: a file could not be
 * read, or a line is none. */
int lint_print(char *const *files);

/* Reports the harmful lines of sysctl.d. Only the first network namespace gets them applied; nothing in another. */
void lint_report(struct backend *backend);

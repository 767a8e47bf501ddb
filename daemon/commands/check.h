/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>

/* --check: prints the errors of the configuration on stderr. Without errors and if verbose, prints every value in
 * effect as FILE:LINE: [SECTION] KEY = VALUE. config_file as in service_run(). Returns 0, EX_CONFIG
 * or EX_OSERR. */
int check_print(const char *config_file, bool verbose);

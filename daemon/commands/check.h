/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>

/* --check: prints the errors of the configuration on stderr. Without errors, prints the number of rules on
 * stdout and, if verbose, before it every value in effect as FILE:LINE: [SECTION] KEY = VALUE. config_file is as in
 * struct service_options. Returns 0, EX_CONFIG or EX_OSERR. */
int check_print(const char *config_file, bool verbose);

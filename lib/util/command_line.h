/* SPDX-License-Identifier: MIT */
#pragma once

#include <getopt.h>

#define OPTION_ERROR_MAX 256

/* Writes the error for which getopt_long(3) returned letter ('?' or ':') to buf, with the option that was most likely
 * meant. The caller of getopt_long() must set opterr to 0 and begin its short options with ':'. Returns buf. */
const char *option_error(const struct option *options, int letter, char *const argv[],
                         char buf[static OPTION_ERROR_MAX]);

/* SPDX-License-Identifier: MIT */
#pragma once

#include <getopt.h>

#define OPTION_ERROR_MAX 256

/* The text of the error for which getopt_long(3) has returned letter, '?' or ':', with the option that was most likely
 * meant. Its caller sets opterr to 0 and begins its short options with ':'. */
const char *option_error(const struct option *options, int letter, char *const argv[],
                         char buf[static OPTION_ERROR_MAX]);

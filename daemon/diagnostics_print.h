/* SPDX-License-Identifier: MIT */
#pragma once

#include "lib/util/diagnostics.h"

/* Prints a line for each diagnostic to stderr: FILE:LINE: PREFIX TEXT, or FILE: PREFIX TEXT if it concerns the whole
 * file. */
void diagnostics_print(const struct diagnostics *diagnostics, const char *prefix);

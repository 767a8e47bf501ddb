/* SPDX-License-Identifier: MIT */
#pragma once

#include "lib/util/diagnostics.h"

/* Prints a line for each on stderr, FILE:LINE: PREFIX TEXT, or FILE: PREFIX TEXT if it is about the whole file. */
void diagnostics_print(const struct diagnostics *diagnostics, const char *prefix);

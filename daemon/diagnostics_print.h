/* SPDX-License-Identifier: MIT */
#pragma once

#include "lib/util/diagnostics.h"

/* To stderr, a line each: FILE:LINE: what and why. */
void diagnostics_print(const struct diagnostics *diagnostics);

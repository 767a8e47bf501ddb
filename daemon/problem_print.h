/* SPDX-License-Identifier: MIT */
#pragma once

#include "lib/util/diagnostics.h"

/* To stderr, a line each: FILE:LINE: what and why. */
void problems_print(const struct problems *problems);

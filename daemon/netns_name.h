/* SPDX-License-Identifier: MIT */
#pragma once

#include <stddef.h>

/* Gives the name of this network namespace, $TWTUNED_INSTANCE, or its name in ip-netns(8), through safe_name(). Returns 0;
 * -ENOENT: it has none; or another negative errno. */
int netns_name(char *ret, size_t size);

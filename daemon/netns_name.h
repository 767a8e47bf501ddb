/* SPDX-License-Identifier: MIT */
#pragma once

#include <stddef.h>

/* Writes the name of this network namespace, escaped by safe_name(): $TWTUNED_INSTANCE, else its name in ip-netns(8).
 * Returns 0; -ENOENT: it has none; or another negative errno. */
int netns_name(char *ret, size_t size);

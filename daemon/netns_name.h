/* SPDX-License-Identifier: MIT */
#pragma once

#include <stddef.h>

/* The name that ip-netns(8) gave to our network namespace: 0; -ENOENT: none, or another negative errno. */
int netns_name(char *ret, size_t size);

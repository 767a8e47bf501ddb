/* SPDX-License-Identifier: MIT */
#pragma once

/* Every value in effect as it was written, and where: for --check --verbose, `twtunectl config` and the hash of a
 * configuration. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/util/diagnostics.h"

struct config_value {
        char *section, *key, *text; /* owned, in one block that begins with section */
        struct origin at;
};

struct config_values {
        struct config_value *item;
        size_t n;
};

/* Replaces the value of a key, or adds one to a list; an empty text removes the key, or clears the list. Copies the
 * texts. Returns 0 or -ENOMEM. */
int config_values_note(struct config_values *values, const char *section, const char *key, const char *text, bool list,
                       struct origin at);

/* Returns a hash of all values that depends neither on their order nor on their files. */
uint64_t config_values_hash(const struct config_values *values);

void config_values_free(struct config_values *values);

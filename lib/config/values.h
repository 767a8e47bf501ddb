/* SPDX-License-Identifier: MIT */
#pragma once

/* Every value that is in effect as it was written, and where it stands: for people who ask why. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/util/diagnostics.h"

struct config_value {
        char *section, *key, *text; /* owned */
        struct origin at;
};

struct config_values {
        struct config_value *item;
        size_t n;
};

/* Puts text in the place of what the key had; for a list adds it, and an empty text clears the list. 0 or -ENOMEM. */
int config_values_note(struct config_values *values, const char *section, const char *key, const char *text, bool list,
                       struct origin at);

/* Equal where the same is in effect, whichever files it stands in. */
uint64_t config_values_hash(const struct config_values *values);

void config_values_free(struct config_values *values);

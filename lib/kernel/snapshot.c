/* SPDX-License-Identifier: MIT */
#include "lib/kernel/snapshot.h"

const char *const reading_state_names[] = {
        [READING_INVALID] = "invalid",
        [READING_UNAVAILABLE] = "unavailable",
        [READING_VALID] = "valid",
        [READING_BOUNDED] = "bounded",
};

/* SPDX-License-Identifier: MIT */
#include "lib/kernel/snapshot.h"

#include <assert.h>

#include "lib/util/macro.h"

const char *reading_state_name(enum reading_state state)
{
        static const char *const names[] = {
                [READING_INVALID] = "invalid",
                [READING_UNAVAILABLE] = "unavailable",
                [READING_VALID] = "valid",
                [READING_BOUNDED] = "bounded",
        };

        assert(state < ELEMENTSOF(names));
        return names[state];
}

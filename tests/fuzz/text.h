/* SPDX-License-Identifier: MIT */
#pragma once

#undef NDEBUG /* what has to hold is asserted, with all that it calls */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The input as a string, in memory of exactly its length: a read past the end is one that the sanitizer sees. */
static inline char *text_new(const uint8_t *data, size_t size)
{
        char *text = strndup((const char *)data, size);

        if (!text)
                abort();
        return text;
}

/* SPDX-License-Identifier: MIT */
#pragma once

/* Random numbers that are the same in every run: TEST_SEED=N takes others; ./dev test --long prints its N. */

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

struct random {
        uint64_t seed; /* for the messages of assertions */
        uint64_t state;
};

static inline struct random random_start(void)
{
        const char *text = getenv("TEST_SEED");
        uint64_t seed = text ? strtoull(text, NULL, 10) : 1;

        return (struct random){.seed = seed, .state = seed};
}

/* splitmix64 */
static inline uint64_t random_next(struct random *random)
{
        uint64_t z = random->state += UINT64_C(0x9e3779b97f4a7c15);

        z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
        return z ^ z >> 31;
}

/* From 0 to limit - 1. */
static inline unsigned random_below(struct random *random, unsigned limit)
{
        return (unsigned)(random_next(random) % limit);
}

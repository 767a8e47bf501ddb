/* SPDX-License-Identifier: MIT */
#pragma once

/* Random numbers that can be had again: the seed is printed, and TEST_SEED=N takes it back. */

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct random {
        uint64_t seed; /* for the messages of assertions */
        uint64_t state;
};

static inline struct random random_start(void)
{
        const char *text = getenv("TEST_SEED");
        struct timespec now;
        uint64_t seed;

        clock_gettime(CLOCK_REALTIME, &now);
        seed = text ? strtoull(text, NULL, 10) : (uint64_t)now.tv_sec * 1000003 ^ (uint64_t)now.tv_nsec;
        fprintf(stderr, "seed %" PRIu64 " (TEST_SEED=%" PRIu64 " runs it again)\n", seed, seed);
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

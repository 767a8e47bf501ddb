/* SPDX-License-Identifier: MIT */
#pragma once

/* The hash of a destination: without the seed, nobody can find keys that collide. */

#include "lib/ports/table.h"

#define KEY_FACTORS 9u

struct key_factors {
        uint64_t of[KEY_FACTORS];
};

/* Steele, Lea and Flood, "Fast splittable pseudorandom number generators". */
static inline void key_factors_init(struct key_factors *factors, uint64_t seed)
{
        for (unsigned i = 0; i < KEY_FACTORS; i++) {
                uint64_t z = seed += UINT64_C(0x9e3779b97f4a7c15);

                z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
                z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
                factors->of[i] = z ^ z >> 31;
        }
}

/* The addresses of a network follow one another, so their sums of products are evenly spaced: with one seed in a
 * hundred they would all be close together. Shifts and an addition are enough to break that (measured), and cheaper
 * than one more product. */
static inline uint32_t scatter(uint32_t sum)
{
        sum ^= sum >> 16;
        sum += sum << 5;
        return sum ^ sum >> 10;
}

/* All bits of a key reach the upper half of the sum, as each factor is 64 secret bits plus 32 bits of the key (Lemire
 * and Kaser, "Strongly universal string hashing is fast"). No product depends on another: in a chain, they would take
 * as long as everything else that is done with a socket. There is no loop, as gcc 12 would make it a vector of 64-bit
 * products, which SSE2 lacks: that costs 15 ns a socket more (measured). */
static inline uint32_t key_hash(const struct destination_key *key, const struct key_factors *factors)
{
        const uint64_t *f = factors->of;
        const uint32_t *src = key->src, *dst = key->dst;
        uint64_t sum = (f[0] + src[0]) * (f[1] + dst[0]) + (f[2] + src[1]) * (f[3] + dst[1]) +
                       (f[4] + src[2]) * (f[5] + dst[2]) + (f[6] + src[3]) * (f[7] + dst[3]) + f[8] * key->dport;

        return scatter((uint32_t)(sum >> 32));
}

/* SPDX-License-Identifier: Apache-2.0 */
/* xoshiro256** (Blackman and Vigna 2021) seeded by splitmix64; integers only, so that all machines agree. */
#include "core/random.h"

#include <math.h>

static uint64_t splitmix64(uint64_t *state) {
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static uint64_t rotate_left(uint64_t x, int bits) {
    return x << bits | x >> (64 - bits);
}

void spt_random_init(spt_random *random, uint64_t seed) {
    for (int i = 0; i < 4; i++)
        random->state[i] = splitmix64(&seed);
}

uint64_t spt_random_next(spt_random *random) {
    uint64_t *s = random->state;
    const uint64_t result = rotate_left(s[1] * 5, 7) * 9;
    const uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate_left(s[3], 45);
    return result;
}

uint64_t spt_random_below(spt_random *random, uint64_t bound) {
    const uint64_t reject_below = -bound % bound; /* 2^64 mod bound: values under it would be over-represented */
    uint64_t value;
    do {
        value = spt_random_next(random);
    } while (value < reject_below);
    return value % bound;
}

double spt_random_unit(spt_random *random) {
    return (double)(spt_random_next(random) >> 11) * 0x1p-53;
}

double spt_random_normal(spt_random *random) {
    const double radius = sqrt(-2.0 * log(1.0 - spt_random_unit(random)));
    return radius * cos(6.283185307179586 * spt_random_unit(random));
}

void spt_random_shuffle(spt_random *random, int *out, int n) {
    for (int i = 0; i < n; i++) {
        const int j = (int)spt_random_below(random, (uint64_t)i + 1);
        out[i] = out[j];
        out[j] = i;
    }
}

void spt_random_fill_f32(spt_random *random, float *out, int64_t count) {
    for (int64_t i = 0; i < count; i++) {
        const int32_t mantissa = (int32_t)(spt_random_next(random) >> 40) - (1 << 23); /* 24 bits, signed */
        out[i] = (float)(mantissa == 0 ? 1 : mantissa) * 0x1p-24f;
    }
}

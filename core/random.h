/* SPDX-License-Identifier: Apache-2.0 */
/* Seeded random numbers: the same seed gives the same numbers on every machine.
 * xoshiro256** (Blackman and Vigna, "Scrambled linear pseudorandom number generators", ACM TOMS 47, 2021),
 * seeded by splitmix64. */
#ifndef SPT_CORE_RANDOM_H
#define SPT_CORE_RANDOM_H

#include <stdint.h>

typedef struct spt_random {
    uint64_t state[4];
} spt_random;

void spt_random_init(spt_random *random, uint64_t seed);
uint64_t spt_random_next(spt_random *random);
uint64_t spt_random_below(spt_random *random, uint64_t bound); /* uniform in [0, bound), bound >= 1, no modulo bias */
double spt_random_unit(spt_random *random);                    /* uniform in [0, 1) */
double spt_random_normal(spt_random *random);                  /* mean 0, deviation 1 */
/* Write 0 ... n - 1 in random order. */
void spt_random_shuffle(spt_random *random, int *out, int n);
void spt_random_fill_f32(spt_random *random, float *out, int64_t count); /* uniform in [-0.5, 0.5), never zero */

#endif

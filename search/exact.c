/* SPDX-License-Identifier: Apache-2.0 */
/* Elementary functions with the same bits everywhere; see exact.h. */
#include "search/exact.h"

#include <stdint.h>
#include <string.h>

#define LN2_HIGH 0x1.62e42fee00000p-1 /* the leading 32 bits, so that a small integer times it is exact */
#define LN2_LOW 0x1.a39ef35793c76p-33

static double of_bits(uint64_t bits) {
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static uint64_t bits_of(double x) {
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

/* 1 / i! */
static const double taylor[14] = {
    1.0,        1.0,         1.0 / 2,      1.0 / 6,       1.0 / 24,       1.0 / 120,       1.0 / 720,
    1.0 / 5040, 1.0 / 40320, 1.0 / 362880, 1.0 / 3628800, 1.0 / 39916800, 1.0 / 479001600, 1.0 / 6227020800};

/* exp(x) = 2^k exp(r), |r| <= ln 2 / 2, by the Taylor series of 13 terms. Adding 3 * 2^51 rounds to a whole number,
 * which then stands in the lowest bits; without a branch, so that a compiler computes several at once. */
static inline double exponential(double x) {
    const double bounded = x < -700.0 ? -700.0 : x > 700.0 ? 700.0 : x;
    const double shifted = bounded * 0x1.71547652b82fep0 + 0x1.8p52, k = shifted - 0x1.8p52;
    const double r = (bounded - k * LN2_HIGH) - k * LN2_LOW;
    double sum = taylor[13];
    for (int i = 12; i >= 0; i--)
        sum = taylor[i] + sum * r;
    const double power = of_bits((bits_of(shifted) + 1023) << 52);
    return x < -700.0 ? 0.0 : sum * power;
}

double spt_exact_exp(double x) {
    return exponential(x);
}

void spt_exact_exps(double *x, int n) {
    for (int i = 0; i < n; i++)
        x[i] = exponential(x[i]);
}

/* x = 2^k m with m near 1; log m = 2 artanh((m - 1) / (m + 1)) by its series. */
double spt_exact_log(double x) {
    uint64_t bits;
    int64_t k = 0;
    if (x < 0x1p-1022) {
        x *= 0x1p54;
        k = -54;
    }
    memcpy(&bits, &x, sizeof bits);
    k += (int64_t)(bits >> 52) - 1023;
    double m = of_bits((bits & 0xfffffffffffffu) | (uint64_t)1023 << 52);
    if (m > 1.4142135623730951) {
        m *= 0.5;
        k++;
    }
    const double s = (m - 1.0) / (m + 1.0), s2 = s * s;
    double sum = 0.0;
    for (int i = 21; i > 0; i -= 2)
        sum = sum * s2 + 2.0 / i;
    return (double)k * LN2_HIGH + (sum * s + (double)k * LN2_LOW);
}

double spt_exact_dot(const double *a, const double *b, int n) {
    double sum0 = 0.0, sum1 = 0.0, sum2 = 0.0, sum3 = 0.0;
    int i = 0;
    for (; i + 4 <= n; i += 4) {
        sum0 += a[i] * b[i];
        sum1 += a[i + 1] * b[i + 1];
        sum2 += a[i + 2] * b[i + 2];
        sum3 += a[i + 3] * b[i + 3];
    }
    for (; i < n; i++)
        sum0 += a[i] * b[i];
    return (sum0 + sum1) + (sum2 + sum3);
}

static double normal_density(double z) {
    return 0.3989422804014327 * exponential(-0.5 * z * z);
}

/* The upper tail P(Z > z) for z >= 0, given the density there: Abramowitz and Stegun 26.2.17 near 0, and the continued
 * fraction of Mills' ratio (26.2.14) where the tail is thin and its relative error counts. */
static double upper_tail(double z, double density) {
    if (z > 2.5) {
        double above = z, below = 1.0; /* above / below is the fraction: z + i / (above / below) */
        for (int i = 24; i > 0; i--) {
            const double last = above;
            above = z * above + i * below;
            below = last;
        }
        return density * (below / above);
    }
    const double t = 1.0 / (1.0 + 0.2316419 * z);
    return density * t * (0.319381530 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))));
}

/* deviation (z P(Z < z) + density(z)), z = (best - mean) / deviation (Jones, Schonlau and Welch 1998). */
double spt_expected_improvement(double best, double mean, double deviation) {
    const double z = (best - mean) / deviation, density = normal_density(z);
    if (density == 0.0)
        return z > 0.0 ? deviation * z : 0.0;
    const double gain = z >= 0.0 ? z * (1.0 - upper_tail(z, density)) + density : z * upper_tail(-z, density) + density;
    return gain > 0.0 ? deviation * gain : 0.0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A row's sums in t vectors: how they begin and how they end. The last vector of a strip may be partial. */
#ifndef SPT_VARIANTS_SUMS_H
#define SPT_VARIANTS_SUMS_H

#include "variants/cpu/strip.h"

/* sum[0..t) = the bias or zero where the row begins, what C holds where it goes on. */
SPT_INLINE void sums_load(spt_vec *sum, const strip_view *strip, int64_t row, const float *c, bool is_first,
                          const int t) {
#pragma GCC unroll 16
    for (int v = 0; v < t; v++) {
        if (is_first)
            sum[v] = strip->bias != NULL ? vec_set1(strip->bias[row]) : vec_zero();
        else if (v == t - 1 && strip->is_masked)
            sum[v] = vec_load_masked(strip->mask, c + v * SPT_LANES);
        else
            sum[v] = vec_load(c + v * SPT_LANES);
    }
}

/* c[0..t) = sum[0..t), through the activation where the row ends. */
SPT_INLINE void sums_store(const spt_vec *sum, const strip_view *strip, float *c, bool is_last, const int t) {
#pragma GCC unroll 16
    for (int v = 0; v < t; v++) {
        const spt_vec result = is_last && strip->has_relu ? vec_relu(sum[v]) : sum[v];
        if (v == t - 1 && strip->is_masked)
            vec_store_masked(strip->mask, c + v * SPT_LANES, result);
        else
            vec_store(c + v * SPT_LANES, result);
    }
}

/* sum[0..t) += value * b[0..t) */
SPT_INLINE void sums_add(spt_vec *sum, float value, const spt_vec *b, const int t) {
    const spt_vec scale = vec_set1(value);
#pragma GCC unroll 16
    for (int v = 0; v < t; v++)
        sum[v] = vec_fma(scale, b[v], sum[v]);
}

/* The row of B that is `bytes` behind b. */
SPT_INLINE const float *sums_row(const float *b, uint32_t bytes) {
    return (const float *)(const void *)((const char *)b + bytes);
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Code that was made for rows of B n columns apart, called with others: B is copied to where it is foreseen, up to n
 * columns at a time. Included in files that are compiled per ISA. */
#ifndef SPT_VARIANTS_CPU_FORESEEN_H
#define SPT_VARIANTS_CPU_FORESEEN_H

#include <string.h>

#include "variants/cpu/simd.h"
#include "variants/family.h"

/* Columns of a call that the code can do at once, from `column` on, which is 0 at first: all where B lies as it is
 * foreseen and the call has n_min columns, which the code reads in any case; otherwise up to n. n_min <= n. */
static inline int64_t foreseen_width(const spt_call *call, int64_t column, int64_t n, int64_t n_min) {
    const int64_t left = call->n - column;
    return (call->ldb == n && call->n >= n_min) || left < n ? left : n;
}

/* The call with those columns alone: where B lies, or with its k rows copied (k * n floats), zeros up to n_min behind.
 */
SPT_INLINE spt_call foreseen_piece(const spt_call *call, int64_t column, int64_t n, int64_t n_min, float *copy,
                                   int64_t k) {
    spt_call piece = *call;
    if (call->ldb == n && call->n >= n_min)
        return piece;
    piece.n = foreseen_width(call, column, n, n_min);
    for (int64_t row = 0; row < k; row++) {
        float *to = copy + row * n;
        memcpy(to, (const float *)call->b + row * call->ldb + column, (size_t)piece.n * sizeof *to);
        for (int64_t i = piece.n; i < n_min; i++)
            to[i] = 0.0f;
    }
    piece.b = copy;
    piece.ldb = n;
    piece.c = (float *)call->c + column;
    return piece;
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Code that was made for rows of B n columns apart, called with others: B is copied to where it is foreseen, up to n
 * columns at a time. Included in files that are compiled per ISA. */
#ifndef SPT_VARIANTS_CPU_FORESEEN_H
#define SPT_VARIANTS_CPU_FORESEEN_H

#include <string.h>

#include "variants/cpu/simd.h"
#include "variants/family.h"

/* The part of a call from `column` on that the code can do at once, its k rows of B n apart: the whole call where B
 * lies so and has n_min columns, otherwise up to n columns, copied (k * n floats) with zeros behind them. */
SPT_INLINE spt_call foreseen_piece(const spt_call *call, int64_t column, float *copy, int64_t k, int64_t n,
                                   int64_t n_min) {
    spt_call piece = *call;
    if (call->ldb == n && call->n >= n_min)
        return piece;
    piece.n = call->n - column < n ? call->n - column : n;
    for (int64_t row = 0; row < k; row++) {
        memcpy(copy + row * n, (const float *)call->b + row * call->ldb + column, (size_t)piece.n * sizeof *copy);
        memset(copy + row * n + piece.n, 0, (size_t)(n - piece.n) * sizeof *copy);
    }
    piece.b = copy;
    piece.ldb = n;
    piece.c = (float *)call->c + column;
    return piece;
}

#endif

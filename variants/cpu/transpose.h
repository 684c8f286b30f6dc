/* SPDX-License-Identifier: Apache-2.0 */
/* Transposition of f32 between rows of tokens and rows of features, one copy per ISA: the bodies are long. */
#ifndef SPT_VARIANTS_TRANSPOSE_H
#define SPT_VARIANTS_TRANSPOSE_H

#include <stdbool.h>
#include <stdint.h>

#include "variants/isa.h"

/* Rows of C as a family computed them, on their way to columns of memory: row r is at rows + (r - begin) * ld, and goes
 * to c[j * ldc + r], j < width. Lines of C are written once and whole: rows that do not fill one wait for the next. */
typedef struct transpose_out {
    float *c;
    int64_t ldc;
    const float *rows;
    int64_t ld;
    int64_t begin, end; /* rows at hand */
    int64_t width;      /* columns of them */
    bool is_first;      /* no row precedes `begin`: what it shares a line with is somebody else's */
    bool is_last;       /* no row follows: nothing waits */
    bool is_far;        /* C is not wanted in caches */
} transpose_out;

typedef void transpose_any(float *dst, int64_t ld_dst, const float *src, int64_t ld_src, int64_t rows, int64_t cols);
typedef int64_t transpose_leave(const transpose_out *out);

/* dst[c][r] = src[r][c] for any rows x cols. */
extern transpose_any SPT_ISA_NAME(transpose_any_f32);

/* Write the lines of C that are complete. Returns the rows at the end that must be at hand the next time: fewer than a
 * line's, and the same for equal rows of any strip. */
extern transpose_leave SPT_ISA_NAME(transpose_leave_f32);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Vectors of f32 behind names, one body per ISA. Every body defines
 *
 *   SPT_LANES              elements per vector
 *   SPT_REGISTERS          vectors that the machine holds at once
 *   spt_vec, spt_mask      a vector; which of its lanes, all in one run, take part in a masked access
 *   vec_zero() vec_set1(x) vec_load(p) vec_store(p, v)          unaligned
 *   vec_stream(p, v)       to an aligned p, past the caches where the ISA can
 *   vec_stream_end()       what was streamed is visible to whoever synchronises with this thread afterwards
 *   vec_first(count)       the mask of the first `count` lanes, 0 <= count <= SPT_LANES
 *   vec_lanes(begin, end)  the mask of lanes [begin, end), 0 <= begin <= end <= SPT_LANES
 *   vec_load_masked(mask, p)                                    lanes outside are 0 and are not read
 *   vec_store_masked(mask, p, v)                                lanes outside are not written
 *   vec_fma(a, b, c)       a * b + c
 *   vec_add(a, b) vec_sum(v)
 *   vec_max(a, b)          b where b is NaN
 *   vec_slide(low, high, count)                                 lane i is lane i + count of low and then high
 *   vec_store_sums4(p, count, rows)                             p[i] = the sum of rows[i], i < count <= 4, for 4 rows
 *   vec_store_sums(p, rows, count)                              the same for a constant count of 4, 8 .. SPT_LANES
 *   vec_gather(x, columns)                                      x[columns[lane]], 16-bit columns
 *   SPT_HAS_LOOKUP         vec_lookup(x, words, byte): x[b], b the given byte of each lane's word, 0 <= b < 32;
 *                          vec_lookup_long(table, words, byte): the same of four vectors in registers, 0 <= b < 64
 *   vec_transpose(dst, ld_dst, src, ld_src, rows, cols)         dst[c][r] = src[r][c], rows and cols <= SPT_LANES
 *   SPT_HAS_TRANSPOSE_LINES  vec_transpose_lines(dst, ld_dst, src, ld_src, cols, streams): the same for SPT_LANES whole
 *                          rows where rows of dst are lines, past the caches or not
 *
 * All are static inline: nothing is shared between the objects of two ISAs. */
#ifndef SPT_VARIANTS_SIMD_H
#define SPT_VARIANTS_SIMD_H

#include <stdbool.h>
#include <stdint.h>

#define SPT_INLINE static inline __attribute__((always_inline, unused))

#if SPT_ISA == 3
#include "variants/cpu/simd/avx512.h"
#elif SPT_ISA == 2
#include "variants/cpu/simd/avx2.h"
#elif SPT_ISA == 1
#include "variants/cpu/simd/neon.h"
#else
#include "variants/cpu/simd/portable.h"
#endif

/* ReLU as PyTorch has it: NaN stays, because vec_max gives its second operand where the two do not compare. */
SPT_INLINE spt_vec vec_relu(spt_vec v) {
    return vec_max(vec_zero(), v);
}

/* A vector, or of the last one of a row that does not fill it only the lanes of the mask. */
SPT_INLINE spt_vec vec_load_part(const float *p, bool is_masked, spt_mask mask) {
    return is_masked ? vec_load_masked(mask, p) : vec_load(p);
}

/* dst[c][r] = src[r][c] for any rows x cols, in blocks of registers. Columns outermost where a vector is part of a
 * line: a line of dst is finished before the next one is begun, up to twice the rate. Whole lines gain nothing from it.
 */
SPT_INLINE void vec_transpose_any(float *dst, int64_t ld_dst, const float *src, int64_t ld_src, int64_t rows,
                                  int64_t cols) {
    const bool has_whole_lines = SPT_LANES * sizeof(float) >= 64;
    const int64_t n_outer = has_whole_lines ? rows : cols, n_inner = has_whole_lines ? cols : rows;
    for (int64_t outer = 0; outer < n_outer; outer += SPT_LANES) {
        for (int64_t inner = 0; inner < n_inner; inner += SPT_LANES) {
            const int64_t r = has_whole_lines ? outer : inner, c = has_whole_lines ? inner : outer;
            const int n_rows = (int)(rows - r < SPT_LANES ? rows - r : SPT_LANES);
            const int n_cols = (int)(cols - c < SPT_LANES ? cols - c : SPT_LANES);
            vec_transpose(dst + c * ld_dst + r, ld_dst, src + r * ld_src + c, ld_src, n_rows, n_cols);
        }
    }
}

#endif

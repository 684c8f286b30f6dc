/* SPDX-License-Identifier: Apache-2.0 */
/* AVX-512: 16 lanes, masks in registers of their own. See simd.h. */
#include <immintrin.h>

#define SPT_LANES 16
#define SPT_REGISTERS 32
typedef __m512 spt_vec;
typedef __mmask16 spt_mask;

SPT_INLINE spt_vec vec_zero(void) {
    return _mm512_setzero_ps();
}
SPT_INLINE spt_vec vec_set1(float x) {
    return _mm512_set1_ps(x);
}
SPT_INLINE spt_vec vec_load(const float *p) {
    return _mm512_loadu_ps(p);
}
SPT_INLINE void vec_store(float *p, spt_vec v) {
    _mm512_storeu_ps(p, v);
}

SPT_INLINE void vec_stream(float *p, spt_vec v) {
    _mm512_stream_ps(p, v);
}

SPT_INLINE void vec_stream_end(void) {
    _mm_sfence();
}
SPT_INLINE spt_mask vec_first(int count) {
    return (spt_mask)((1u << count) - 1);
}
SPT_INLINE spt_mask vec_lanes(int begin, int end) {
    return (spt_mask)(vec_first(end) & ~vec_first(begin));
}
SPT_INLINE spt_vec vec_load_masked(spt_mask mask, const float *p) {
    return _mm512_maskz_loadu_ps(mask, p);
}
SPT_INLINE void vec_store_masked(spt_mask mask, float *p, spt_vec v) {
    _mm512_mask_storeu_ps(p, mask, v);
}
SPT_INLINE spt_vec vec_fma(spt_vec a, spt_vec b, spt_vec c) {
    return _mm512_fmadd_ps(a, b, c);
}
SPT_INLINE spt_vec vec_add(spt_vec a, spt_vec b) {
    return _mm512_add_ps(a, b);
}
SPT_INLINE spt_vec vec_max(spt_vec a, spt_vec b) {
    return _mm512_max_ps(a, b);
}
SPT_INLINE spt_vec vec_slide(spt_vec low, spt_vec high, int count) {
    const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    return _mm512_permutex2var_ps(low, _mm512_add_epi32(lanes, _mm512_set1_epi32(count)), high);
}
SPT_INLINE float vec_sum(spt_vec v) {
    return _mm512_reduce_add_ps(v);
}

/* A tree of pairs: each round halves the vectors and the terms that a lane still lacks. */
SPT_INLINE void vec_store_sums4(float *p, int count, const spt_vec *rows) {
    const __m512 low = _mm512_add_ps(_mm512_unpacklo_ps(rows[0], rows[1]), _mm512_unpackhi_ps(rows[0], rows[1]));
    const __m512 high = _mm512_add_ps(_mm512_unpacklo_ps(rows[2], rows[3]), _mm512_unpackhi_ps(rows[2], rows[3]));
    const __m512 quad = _mm512_add_ps(_mm512_shuffle_ps(low, high, 0x44), _mm512_shuffle_ps(low, high, 0xee));
    const __m256 half = _mm256_add_ps(_mm512_castps512_ps256(quad), _mm512_extractf32x8_ps(quad, 1));
    const __m128 sums = _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
    _mm_mask_storeu_ps(p, (__mmask8)((1u << count) - 1), sums);
}

SPT_INLINE void vec_store_sums(float *p, const spt_vec *rows, const int count) {
    __m512 pair[8], quad[4];
    if (count == 4) {
        vec_store_sums4(p, count, rows);
        return;
    }
#pragma GCC unroll 8
    for (int i = 0; i < count / 2; i++)
        pair[i] = _mm512_add_ps(_mm512_unpacklo_ps(rows[2 * i], rows[2 * i + 1]),
                                _mm512_unpackhi_ps(rows[2 * i], rows[2 * i + 1]));
#pragma GCC unroll 4
    for (int i = 0; i < count / 4; i++)
        quad[i] = _mm512_add_ps(_mm512_shuffle_ps(pair[2 * i], pair[2 * i + 1], 0x44),
                                _mm512_shuffle_ps(pair[2 * i], pair[2 * i + 1], 0xee));
    const __m512 low =
        _mm512_add_ps(_mm512_shuffle_f32x4(quad[0], quad[1], 0x88), _mm512_shuffle_f32x4(quad[0], quad[1], 0xdd));
    if (count == 8) { /* halves of rows 0..3, 0..3, 4..7, 4..7 */
        const __m512 sums = _mm512_shuffle_f32x4(low, low, 0xd8);
        _mm256_storeu_ps(p, _mm256_add_ps(_mm512_castps512_ps256(sums), _mm512_extractf32x8_ps(sums, 1)));
        return;
    }
    const __m512 high =
        _mm512_add_ps(_mm512_shuffle_f32x4(quad[2], quad[3], 0x88), _mm512_shuffle_f32x4(quad[2], quad[3], 0xdd));
    _mm512_storeu_ps(p, _mm512_add_ps(_mm512_shuffle_f32x4(low, high, 0x88), _mm512_shuffle_f32x4(low, high, 0xdd)));
}

SPT_INLINE spt_vec vec_gather(const float *x, const uint16_t *columns) {
    const __m256i narrow = _mm256_loadu_si256((const __m256i *)(const void *)columns);
    return _mm512_i32gather_ps(_mm512_cvtepu16_epi32(narrow), x, 4);
}

/* A permutation of two registers as a table of 32: ten times the rate of a gather. It ignores an index's high bits. */
#define SPT_HAS_LOOKUP 1
SPT_INLINE spt_vec vec_lookup(const float *x, const uint32_t *words, int byte) {
    const __m512i index = _mm512_srli_epi32(_mm512_loadu_si512(words), (unsigned)byte * 8);
    return _mm512_permutex2var_ps(_mm512_loadu_ps(x), index, _mm512_loadu_ps(x + 16));
}

SPT_INLINE spt_vec vec_lookup_long(const spt_vec *table, const uint32_t *words, int byte) {
    const __m512i index = _mm512_srli_epi32(_mm512_loadu_si512(words), (unsigned)byte * 8);
    const __m512 low = _mm512_permutex2var_ps(table[0], index, table[1]);
    const __m512 high = _mm512_permutex2var_ps(table[2], index, table[3]);
    return _mm512_mask_mov_ps(low, _mm512_test_epi32_mask(index, _mm512_set1_epi32(32)), high);
}

/* Turn 16 rows into 16 columns: four rounds of pairwise exchanges: 32-bit, 64-bit, 128-bit within halves, 128-bit
 * across. */
SPT_INLINE void vec_turn(__m512 *a) {
    __m512 b[16];
#pragma GCC unroll 16
    for (int i = 0; i < 16; i += 2) {
        b[i] = _mm512_unpacklo_ps(a[i], a[i + 1]);
        b[i + 1] = _mm512_unpackhi_ps(a[i], a[i + 1]);
    }
#pragma GCC unroll 16
    for (int i = 0; i < 16; i += 4) {
        a[i] = _mm512_shuffle_ps(b[i], b[i + 2], 0x44);
        a[i + 1] = _mm512_shuffle_ps(b[i], b[i + 2], 0xee);
        a[i + 2] = _mm512_shuffle_ps(b[i + 1], b[i + 3], 0x44);
        a[i + 3] = _mm512_shuffle_ps(b[i + 1], b[i + 3], 0xee);
    }
#pragma GCC unroll 16
    for (int i = 0; i < 4; i++) { /* a[4g + i] holds columns i, 4+i, 8+i, 12+i of rows 4g..4g+3, one per 128-bit lane */
        b[i] = _mm512_shuffle_f32x4(a[i], a[4 + i], 0x88);
        b[4 + i] = _mm512_shuffle_f32x4(a[i], a[4 + i], 0xdd);
        b[8 + i] = _mm512_shuffle_f32x4(a[8 + i], a[12 + i], 0x88);
        b[12 + i] = _mm512_shuffle_f32x4(a[8 + i], a[12 + i], 0xdd);
    }
#pragma GCC unroll 16
    for (int i = 0; i < 4; i++) {
        a[i] = _mm512_shuffle_f32x4(b[i], b[8 + i], 0x88);
        a[8 + i] = _mm512_shuffle_f32x4(b[i], b[8 + i], 0xdd);
        a[4 + i] = _mm512_shuffle_f32x4(b[4 + i], b[12 + i], 0x88);
        a[12 + i] = _mm512_shuffle_f32x4(b[4 + i], b[12 + i], 0xdd);
    }
}

SPT_INLINE void vec_transpose(float *dst, int64_t ld_dst, const float *src, int64_t ld_src, int rows, int cols) {
    const spt_mask source_mask = vec_first(cols), target_mask = vec_first(rows);
    __m512 a[16];
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++)
        a[i] = i < rows ? vec_load_masked(source_mask, src + i * ld_src) : vec_zero();
    vec_turn(a);
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++) {
        if (i < cols)
            vec_store_masked(target_mask, dst + i * ld_dst, a[i]);
    }
}

/* The same for 16 whole rows that are near, to rows of dst that are lines: such loads may be repeated by the exchanges
 * that use them, and a store without a mask need not read the line that it replaces. */
#define SPT_HAS_TRANSPOSE_LINES 1
SPT_INLINE void vec_transpose_lines(float *dst, int64_t ld_dst, const float *src, int64_t ld_src, int cols,
                                    bool streams) {
    __m512 a[16];
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++)
        a[i] = vec_load(src + i * ld_src);
    vec_turn(a);
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++) {
        if (i < cols && streams)
            vec_stream(dst + i * ld_dst, a[i]);
        else if (i < cols)
            vec_store(dst + i * ld_dst, a[i]);
    }
}

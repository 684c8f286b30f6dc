/* SPDX-License-Identifier: Apache-2.0 */
/* AVX2 with FMA: 8 lanes, masks as vectors of sign bits. See simd.h. */
#include <immintrin.h>

#define SPT_LANES 8
#define SPT_REGISTERS 16
typedef __m256 spt_vec;
typedef __m256i spt_mask;

SPT_INLINE spt_vec vec_zero(void) {
    return _mm256_setzero_ps();
}
SPT_INLINE spt_vec vec_set1(float x) {
    return _mm256_set1_ps(x);
}
SPT_INLINE spt_vec vec_load(const float *p) {
    return _mm256_loadu_ps(p);
}
SPT_INLINE void vec_store(float *p, spt_vec v) {
    _mm256_storeu_ps(p, v);
}

SPT_INLINE void vec_stream(float *p, spt_vec v) {
    _mm256_stream_ps(p, v);
}

SPT_INLINE void vec_stream_end(void) {
    _mm_sfence();
}
SPT_INLINE spt_mask vec_first(int count) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(count), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
SPT_INLINE spt_mask vec_lanes(int begin, int end) {
    return _mm256_andnot_si256(vec_first(begin), vec_first(end));
}
SPT_INLINE spt_vec vec_load_masked(spt_mask mask, const float *p) {
    return _mm256_maskload_ps(p, mask);
}
SPT_INLINE void vec_store_masked(spt_mask mask, float *p, spt_vec v) {
    _mm256_maskstore_ps(p, mask, v);
}
SPT_INLINE spt_vec vec_fma(spt_vec a, spt_vec b, spt_vec c) {
    return _mm256_fmadd_ps(a, b, c);
}
SPT_INLINE spt_vec vec_add(spt_vec a, spt_vec b) {
    return _mm256_add_ps(a, b);
}
SPT_INLINE spt_vec vec_max(spt_vec a, spt_vec b) {
    return _mm256_max_ps(a, b);
}
SPT_INLINE spt_vec vec_slide(spt_vec low, spt_vec high, int count) {
    const __m256i lanes = _mm256_add_epi32(_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7), _mm256_set1_epi32(count));
    const __m256 is_high = _mm256_castsi256_ps(_mm256_cmpgt_epi32(lanes, _mm256_set1_epi32(SPT_LANES - 1)));
    return _mm256_blendv_ps(_mm256_permutevar8x32_ps(low, lanes), _mm256_permutevar8x32_ps(high, lanes), is_high);
}
SPT_INLINE float vec_sum(spt_vec v) {
    __m128 half = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    half = _mm_add_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_add_ss(half, _mm_movehdup_ps(half)));
}

SPT_INLINE void vec_store_sums4(float *p, int count, const spt_vec *rows) {
    const __m256 low = _mm256_add_ps(_mm256_unpacklo_ps(rows[0], rows[1]), _mm256_unpackhi_ps(rows[0], rows[1]));
    const __m256 high = _mm256_add_ps(_mm256_unpacklo_ps(rows[2], rows[3]), _mm256_unpackhi_ps(rows[2], rows[3]));
    const __m256 quad = _mm256_add_ps(_mm256_shuffle_ps(low, high, 0x44), _mm256_shuffle_ps(low, high, 0xee));
    const __m128 sums = _mm_add_ps(_mm256_castps256_ps128(quad), _mm256_extractf128_ps(quad, 1));
    _mm_maskstore_ps(p, _mm256_castsi256_si128(vec_first(count)), sums);
}

SPT_INLINE void vec_store_sums(float *p, const spt_vec *rows, const int count) {
    __m256 pair[4], quad[2];
    if (count == 4) {
        vec_store_sums4(p, count, rows);
        return;
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++)
        pair[i] = _mm256_add_ps(_mm256_unpacklo_ps(rows[2 * i], rows[2 * i + 1]),
                                _mm256_unpackhi_ps(rows[2 * i], rows[2 * i + 1]));
#pragma GCC unroll 2
    for (int i = 0; i < 2; i++)
        quad[i] = _mm256_add_ps(_mm256_shuffle_ps(pair[2 * i], pair[2 * i + 1], 0x44),
                                _mm256_shuffle_ps(pair[2 * i], pair[2 * i + 1], 0xee));
    _mm256_storeu_ps(p, _mm256_add_ps(_mm256_permute2f128_ps(quad[0], quad[1], 0x20),
                                      _mm256_permute2f128_ps(quad[0], quad[1], 0x31)));
}

SPT_INLINE spt_vec vec_gather(const float *x, const uint16_t *columns) {
    const __m128i narrow = _mm_loadu_si128((const __m128i *)(const void *)columns);
    return _mm256_i32gather_ps(x, _mm256_cvtepu16_epi32(narrow), 4);
}
#define SPT_HAS_LOOKUP 0

#define SPT_HAS_TRANSPOSE_LINES 0
SPT_INLINE void vec_transpose(float *dst, int64_t ld_dst, const float *src, int64_t ld_src, int rows, int cols) {
    const spt_mask source_mask = vec_first(cols), target_mask = vec_first(rows);
    __m256 a[8], b[8];
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++)
        a[i] = i < rows ? vec_load_masked(source_mask, src + i * ld_src) : vec_zero();
#pragma GCC unroll 8
    for (int i = 0; i < 8; i += 2) {
        b[i] = _mm256_unpacklo_ps(a[i], a[i + 1]);
        b[i + 1] = _mm256_unpackhi_ps(a[i], a[i + 1]);
    }
#pragma GCC unroll 8
    for (int i = 0; i < 8; i += 4) {
        a[i] = _mm256_shuffle_ps(b[i], b[i + 2], 0x44);
        a[i + 1] = _mm256_shuffle_ps(b[i], b[i + 2], 0xee);
        a[i + 2] = _mm256_shuffle_ps(b[i + 1], b[i + 3], 0x44);
        a[i + 3] = _mm256_shuffle_ps(b[i + 1], b[i + 3], 0xee);
    }
#pragma GCC unroll 8
    for (int i = 0; i < 4; i++) {
        b[i] = _mm256_permute2f128_ps(a[i], a[4 + i], 0x20);
        b[4 + i] = _mm256_permute2f128_ps(a[i], a[4 + i], 0x31);
    }
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++) {
        if (i < cols)
            vec_store_masked(target_mask, dst + i * ld_dst, b[i]);
    }
}

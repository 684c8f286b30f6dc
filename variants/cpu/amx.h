/* SPDX-License-Identifier: Apache-2.0 */
/* AMX: products of 32 x 32 blocks on eight matrix tiles of 16 rows x 64 bytes, f32 as sums of three bf16 terms. Of the
 * nine products of terms the six largest are added up, in f32. The terms hold 24 bits, so a product is off by 2^-24 of
 * itself, as one of f32 is; see Henry, Tang and Heinecke, "Leveraging the bfloat16 Artificial Intelligence Datatype for
 * Higher-Precision Computations" (ARITH 2019). Needs AVX-512; a thread brackets its products by amx_begin and amx_end.
 *
 * A block holds AMX_TERMS terms of two tiles: of a left operand 16 rows x 32 of depth each, of a right operand 16 pairs
 * of depth x 16 columns each. */
#ifndef SPT_VARIANTS_CPU_AMX_H
#define SPT_VARIANTS_CPU_AMX_H

#include <stdint.h>

#include "variants/cpu/simd.h"

/* Sizes in elements: the side of a block, and in bf16 a tile, a term and a block. */
enum { AMX_SIDE = 32, AMX_TERMS = 3, AMX_TILE = 512, AMX_TERM = 2 * AMX_TILE, AMX_BLOCK = AMX_TERMS * AMX_TERM };

#if SPT_ISA == 3

#define AMX_CODE __attribute__((target("amx-tile,amx-bf16")))

/* What LDTILECFG reads (Intel SDM volume 1, chapter 18). */
typedef struct amx_configuration {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} amx_configuration;

static const amx_configuration amx_whole_tiles = {
    .palette = 1, .row_bytes = {64, 64, 64, 64, 64, 64, 64, 64}, .rows = {16, 16, 16, 16, 16, 16, 16, 16}};

AMX_CODE static inline void amx_begin(void) {
    _tile_loadconfig(&amx_whole_tiles);
}

AMX_CODE static inline void amx_end(void) {
    _tile_release();
}

/* Split into terms, the upper halves of the results: each the nearest bf16 to what the ones before leave. */
SPT_INLINE void amx_split(__m512i term[AMX_TERMS], __m512 x) {
    const __m512i half = _mm512_set1_epi32(0x8000), upper = _mm512_set1_epi32((int)0xffff0000u);
#pragma GCC unroll 3
    for (int i = 0; i < AMX_TERMS; i++) {
        term[i] = _mm512_and_si512(_mm512_add_epi32(_mm512_castps_si512(x), half), upper);
        x = _mm512_sub_ps(x, _mm512_castsi512_ps(term[i]));
    }
}

/* One pair of depth for 16 columns: a row of a right tile, in each of its terms. */
SPT_INLINE void amx_pack_pair(uint16_t *to, __m512 even, __m512 odd) {
    __m512i low[AMX_TERMS], high[AMX_TERMS];
    amx_split(low, even);
    amx_split(high, odd);
#pragma GCC unroll 3
    for (int i = 0; i < AMX_TERMS; i++)
        _mm512_store_si512(to + i * AMX_TERM, _mm512_or_si512(_mm512_srli_epi32(low[i], 16), high[i]));
}

/* 32 of depth: a row of a left tile, in each of its terms. */
SPT_INLINE void amx_pack_row(uint16_t *to, __m512 first, __m512 second) {
    __m512i low[AMX_TERMS], high[AMX_TERMS];
    amx_split(low, first);
    amx_split(high, second);
#pragma GCC unroll 3
    for (int i = 0; i < AMX_TERMS; i++) {
        const __m256i a = _mm512_cvtepi32_epi16(_mm512_srli_epi32(low[i], 16));
        const __m256i b = _mm512_cvtepi32_epi16(_mm512_srli_epi32(high[i], 16));
        _mm512_store_si512(to + i * AMX_TERM, _mm512_inserti64x4(_mm512_castsi256_si512(a), b, 1));
    }
}

/* A sixth of the next blocks of both operands, while the tiles are busy. */
SPT_INLINE void amx_prefetch(const uint16_t *left, const uint16_t *right, int sixth) {
    for (int at = sixth * AMX_TILE; at < (sixth + 1) * AMX_TILE; at += AMX_SIDE) {
        __builtin_prefetch(left + AMX_BLOCK + at);
        __builtin_prefetch(right + AMX_BLOCK + at);
    }
}

/* One of the six products: tiles 0..3 are the sums (2 x 2), 4 and 5 the left operand's two, 6 and 7 the right's. The
 * operand that changes is loaded between the multiplications that still need its other half. */
#define AMX_CHANGE_LEFT(term)                                                                                          \
    do {                                                                                                               \
        _tile_loadd(4, left + (term)*AMX_TERM, 64);                                                                    \
        _tile_dpbf16ps(0, 4, 6);                                                                                       \
        _tile_dpbf16ps(1, 4, 7);                                                                                       \
        _tile_loadd(5, left + (term)*AMX_TERM + AMX_TILE, 64);                                                         \
        _tile_dpbf16ps(2, 5, 6);                                                                                       \
        _tile_dpbf16ps(3, 5, 7);                                                                                       \
    } while (0)
#define AMX_CHANGE_RIGHT(term)                                                                                         \
    do {                                                                                                               \
        _tile_loadd(6, right + (term)*AMX_TERM, 64);                                                                   \
        _tile_dpbf16ps(0, 4, 6);                                                                                       \
        _tile_dpbf16ps(2, 5, 6);                                                                                       \
        _tile_loadd(7, right + (term)*AMX_TERM + AMX_TILE, 64);                                                        \
        _tile_dpbf16ps(1, 4, 7);                                                                                       \
        _tile_dpbf16ps(3, 5, 7);                                                                                       \
    } while (0)

AMX_CODE SPT_INLINE void amx_clear(void) {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
}

/* The tiles' sums += left x right. An order of the six products, small ones first, in which each shares an operand with
 * the one before. */
AMX_CODE SPT_INLINE void amx_multiply(const uint16_t *left, const uint16_t *right) {
    _tile_loadd(6, right, 64);
    _tile_loadd(7, right + AMX_TILE, 64);
    AMX_CHANGE_LEFT(2);
    amx_prefetch(left, right, 0);
    AMX_CHANGE_LEFT(1);
    amx_prefetch(left, right, 1);
    AMX_CHANGE_RIGHT(1);
    amx_prefetch(left, right, 2);
    AMX_CHANGE_LEFT(0);
    amx_prefetch(left, right, 3);
    AMX_CHANGE_RIGHT(2);
    amx_prefetch(left, right, 4);
    AMX_CHANGE_RIGHT(0);
    amx_prefetch(left, right, 5);
}

AMX_CODE SPT_INLINE void amx_store(float sums[AMX_SIDE][AMX_SIDE]) {
    const int64_t row_bytes = AMX_SIDE * (int64_t)sizeof(float);
    _tile_stored(0, &sums[0][0], row_bytes);
    _tile_stored(1, &sums[0][16], row_bytes);
    _tile_stored(2, &sums[16][0], row_bytes);
    _tile_stored(3, &sums[16][16], row_bytes);
}

#endif

#endif

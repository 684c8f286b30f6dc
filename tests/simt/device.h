/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's side of the emulator: what variants/cuda/primitives.h means when the host compiler compiles kernel text
 * as C. Memory, barriers and the warp go through the table of calls; `simt` is set by whoever loads the object. */
#ifndef SPT_TESTS_SIMT_DEVICE_H
#define SPT_TESTS_SIMT_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/simt/calls.h"

extern simt_calls *simt;
__attribute__((visibility("default"))) simt_calls *simt;

#define threadIdx (simt->thread)
#define blockIdx (simt->block)
#define blockDim (simt->block_dim)
#define gridDim (simt->grid_dim)

#define SPT_KERNEL __attribute__((visibility("default"))) void
#define SPT_BOUNDS(threads, blocks)
#define SPT_DEVICE static inline __attribute__((unused))
#define SPT_ALIGNED(bytes) __attribute__((aligned(bytes)))
#define SPT_UNROLL
#define SPT_NO_UNROLL
#define SPT_RESTRICT restrict

#define SPT_SHARED(type, name, count) type *const name = simt->shared(#name, sizeof(type) * (size_t)(count), __LINE__)
#define SPT_SHARED_DYNAMIC(type, name) type *const name = simt->shared_dynamic(__LINE__)

/* ---- memory ---- */
#define simt_load(space, p) (*(const __typeof__(*(p)) *)simt->read(space, (p), sizeof *(p), __LINE__))
#define simt_store(space, p, value)                                                                                    \
    do {                                                                                                               \
        const __typeof__(*(p)) simt_value_ = (value);                                                                  \
        *(__typeof__(*(p)) *)simt->write(space, (p), sizeof *(p), __LINE__) = simt_value_;                             \
    } while (0)
#define spt_ldg(p) simt_load(SIMT_GLOBAL, p)
#define spt_ldg_if(p, is_there)                                                                                        \
    ({                                                                                                                 \
        __typeof__(*(p)) simt_value_;                                                                                  \
        __builtin_memset(&simt_value_, 0, sizeof simt_value_);                                                         \
        if (is_there)                                                                                                  \
            __builtin_memcpy(&simt_value_, simt->read(SIMT_GLOBAL, (p), sizeof simt_value_, __LINE__),                 \
                             sizeof simt_value_);                                                                      \
        simt_value_;                                                                                                   \
    })
#define spt_ldg_once(p) simt_load(SIMT_GLOBAL, p)
#define spt_ldg_coherent(p) simt_load(SIMT_GLOBAL, p)
#define spt_stg(p, value) simt_store(SIMT_GLOBAL, p, value)
#define spt_stg_once(p, value) simt_store(SIMT_GLOBAL, p, value)
#define spt_lds(p) simt_load(SIMT_SHARED, p)
#define spt_sts(p, value) simt_store(SIMT_SHARED, p, value)

#define spt_cp_async(to, from, bytes, bytes_read) simt->async_copy((to), (from), (bytes), (bytes_read), __LINE__)
#define spt_cp_async_commit() simt->async_commit()
#define spt_cp_async_wait(n_pending) simt->async_wait(n_pending)
#define spt_cp_async_wait_all() simt->async_wait(-1)

static inline float simt_atomic_add_f32(float *p, float value, int line) {
    uint32_t bits;
    __builtin_memcpy(&bits, &value, 4);
    bits = simt->atomic_add(p, bits, 1, line);
    __builtin_memcpy(&value, &bits, 4);
    return value;
}
#define spt_atomic_add_f32(p, value) simt_atomic_add_f32((p), (value), __LINE__)
#define spt_atomic_add_u32(p, value) simt->atomic_add((p), (value), 0, __LINE__)

/* ---- barriers, shuffles, votes ---- */
#define __syncthreads() simt->sync_block(__LINE__)
#define __syncwarp(mask) simt->warp(SIMT_SYNCWARP, (mask), (void *)0, 0, __LINE__)

#define simt_shuffle(op, mask, v, which, segment)                                                                      \
    ({                                                                                                                 \
        __typeof__(v) simt_result_ = (v);                                                                              \
        _Static_assert(sizeof simt_result_ == 4, "shuffles take 32 bits");                                             \
        simt_scalar simt_io_ = {.lane = (int)(which), .width = (segment)};                                             \
        __builtin_memcpy(&simt_io_.value, &simt_result_, 4);                                                           \
        simt->warp(op, (mask), &simt_io_, sizeof simt_io_, __LINE__);                                                  \
        __builtin_memcpy(&simt_result_, &simt_io_.value, 4);                                                           \
        simt_result_;                                                                                                  \
    })
#define spt_shfl(mask, v, lane, width) simt_shuffle(SIMT_SHFL, mask, v, lane, width)
#define spt_shfl_up(mask, v, delta, width) simt_shuffle(SIMT_SHFL_UP, mask, v, delta, width)
#define spt_shfl_down(mask, v, delta, width) simt_shuffle(SIMT_SHFL_DOWN, mask, v, delta, width)
#define spt_shfl_xor(mask, v, lanes, width) simt_shuffle(SIMT_SHFL_XOR, mask, v, lanes, width)

static inline uint32_t simt_vote(simt_op op, unsigned mask, uint32_t value, int line) {
    simt_scalar io = {.value = value};
    simt->warp(op, mask, &io, sizeof io, line);
    return io.value;
}
#define spt_ballot(mask, is_true) simt_vote(SIMT_BALLOT, (mask), (is_true) != 0, __LINE__)
#define spt_any(mask, is_true) ((int)simt_vote(SIMT_ANY, (mask), (is_true) != 0, __LINE__))
#define spt_all(mask, is_true) ((int)simt_vote(SIMT_ALL, (mask), (is_true) != 0, __LINE__))
#define spt_reduce_add(mask, v) ((int)simt_vote(SIMT_REDUCE_ADD, (mask), (uint32_t)(v), __LINE__))
#define spt_reduce_min(mask, v) ((int)simt_vote(SIMT_REDUCE_MIN, (mask), (uint32_t)(v), __LINE__))
#define spt_reduce_max(mask, v) ((int)simt_vote(SIMT_REDUCE_MAX, (mask), (uint32_t)(v), __LINE__))

/* ---- arithmetic ---- */
static inline float spt_fma(float a, float b, float c) {
    return a * b + c;
}
static inline int spt_popc(unsigned v) {
    return __builtin_popcount(v);
}
static inline int spt_popcll(unsigned long long v) {
    return __builtin_popcountll(v);
}
static inline unsigned spt_low_halves(unsigned a, unsigned b) {
    return (a & 0xffff) | b << 16;
}
static inline unsigned spt_high_halves(unsigned a, unsigned b) {
    return a >> 16 | (b & 0xffff0000u);
}
static inline float spt_as_f32(unsigned bits) {
    float v;
    __builtin_memcpy(&v, &bits, 4);
    return v;
}
static inline unsigned spt_as_u32(float v) {
    unsigned bits;
    __builtin_memcpy(&bits, &v, 4);
    return bits;
}

/* Round a float to a narrower one with the same sign bit, n_exponent and n_mantissa bits: nearest, ties to even. */
static inline float spt_f16_to_f32(unsigned short h) {
    const unsigned sign = (unsigned)(h & 0x8000) << 16, exponent = h >> 10 & 31, mantissa = h & 1023;
    if (exponent == 31)
        return spt_as_f32(sign | 0x7f800000u | mantissa << 13);
    if (exponent != 0)
        return spt_as_f32(sign | (exponent + 112) << 23 | mantissa << 13);
    const float small = (float)mantissa * 0x1p-24f;
    return sign != 0 ? -small : small;
}
static inline unsigned short spt_f32_to_f16(float v) {
    const unsigned bits = spt_as_u32(v), sign = bits >> 16 & 0x8000, magnitude = bits & 0x7fffffff;
    if (magnitude > 0x7f800000u)
        return (unsigned short)(sign | 0x7fff);
    if (magnitude >= 0x477ff000u) /* rounds to 65536 or more */
        return (unsigned short)(sign | 0x7c00);
    if (magnitude < 0x38800000u) { /* below 2^-14: steps of 2^-24, which adding 0.5 rounds to */
        const unsigned rounded = spt_as_u32(spt_as_f32(magnitude) + 0.5f) - spt_as_u32(0.5f);
        return (unsigned short)(sign | rounded);
    }
    return (unsigned short)(sign | ((magnitude - 0x38000000u + 0xfff + (magnitude >> 13 & 1)) >> 13));
}
static inline float spt_bf16_to_f32(unsigned short h) {
    return spt_as_f32((unsigned)h << 16);
}
static inline unsigned short spt_f32_to_bf16(float v) {
    const unsigned bits = spt_as_u32(v);
    if ((bits & 0x7fffffff) > 0x7f800000u)
        return 0x7fff;
    return (unsigned short)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

/* 8-bit floats as their formats define them: exponents from 1 - bias on, steps of 2^-fraction; all codes are tried. */
static inline float simt_float8(unsigned code, int n_fraction, int bias) {
    const unsigned fraction = code & ((1u << n_fraction) - 1), exponent = (code & 0x7f) >> n_fraction;
    float v = (float)(exponent != 0 ? fraction | 1u << n_fraction : fraction);
    for (int e = (int)(exponent != 0 ? exponent : 1) - bias - n_fraction; e != 0; e += e < 0 ? 1 : -1)
        v *= e < 0 ? 0.5f : 2.0f;
    return code & 0x80 ? -v : v;
}
static inline unsigned char simt_to_float8(float v, int n_fraction, int bias, unsigned largest) {
    const unsigned sign = spt_as_u32(v) >> 24 & 0x80;
    const float magnitude = spt_as_f32(spt_as_u32(v) & 0x7fffffff);
    unsigned code = 0;
    if (v != v)
        return 0x7f;
    while (code < largest && simt_float8(code + 1, n_fraction, bias) <= magnitude)
        code++;
    if (code < largest) { /* nearest of the two around it, ties to even */
        const float below = magnitude - simt_float8(code, n_fraction, bias);
        const float above = simt_float8(code + 1, n_fraction, bias) - magnitude;
        code += above < below || (above == below && (code & 1) != 0);
    }
    return (unsigned char)(sign | code);
}
static inline float spt_e4m3_to_f32(unsigned char v) {
    return (v & 0x7f) == 0x7f ? __builtin_nanf("") : simt_float8(v, 3, 7);
}
static inline unsigned char spt_f32_to_e4m3(float v) {
    return simt_to_float8(v, 3, 7, 0x7e);
}
static inline float spt_e5m2_to_f32(unsigned char v) {
    return (v & 0x7f) > 0x7c ? __builtin_nanf("") : simt_float8(v, 2, 15);
}
static inline unsigned char spt_f32_to_e5m2(float v) {
    return simt_to_float8(v, 2, 15, 0x7b);
}

/* ---- matrices ---- */
static inline void simt_matrix_load(unsigned *d, const void *row, int n, simt_op op, int line) {
    simt_ldmatrix io = {.row = row, .n_matrices = n};
    simt->warp(op, 0xffffffffu, &io, sizeof io, line);
    __builtin_memcpy(d, io.d, 4 * (size_t)n);
}
#define spt_ldmatrix_x1(d, row) simt_matrix_load((d), (row), 1, SIMT_LDMATRIX, __LINE__)
#define spt_ldmatrix_x2(d, row) simt_matrix_load((d), (row), 2, SIMT_LDMATRIX, __LINE__)
#define spt_ldmatrix_x4(d, row) simt_matrix_load((d), (row), 4, SIMT_LDMATRIX, __LINE__)
#define spt_ldmatrix_x1_trans(d, row) simt_matrix_load((d), (row), 1, SIMT_LDMATRIX_TRANS, __LINE__)
#define spt_ldmatrix_x2_trans(d, row) simt_matrix_load((d), (row), 2, SIMT_LDMATRIX_TRANS, __LINE__)
#define spt_ldmatrix_x4_trans(d, row) simt_matrix_load((d), (row), 4, SIMT_LDMATRIX_TRANS, __LINE__)

static inline void simt_multiply(simt_type type, float *c, int *c_s32, const unsigned *a, int n_a, const unsigned *b,
                                 bool is_sparse, unsigned metadata, int line) {
    simt_mma io = {.type = type, .is_sparse = is_sparse, .n_a = n_a, .metadata = metadata};
    __builtin_memcpy(io.a, a, 4 * (size_t)n_a);
    __builtin_memcpy(io.b, b, 4 * (size_t)(is_sparse ? n_a : n_a / 2));
    __builtin_memcpy(type == SIMT_S8 ? (void *)io.c_s32 : io.c, type == SIMT_S8 ? (void *)c_s32 : c, 16);
    simt->warp(SIMT_MMA, 0xffffffffu, &io, sizeof io, line);
    __builtin_memcpy(type == SIMT_S8 ? (void *)c_s32 : c, type == SIMT_S8 ? (void *)io.c_s32 : io.c, 16);
}
#define spt_mma_f16(c, a, b) simt_multiply(SIMT_F16, (c), (void *)0, (a), 4, (b), false, 0, __LINE__)
#define spt_mma_bf16(c, a, b) simt_multiply(SIMT_BF16, (c), (void *)0, (a), 4, (b), false, 0, __LINE__)
#define spt_mma_tf32(c, a, b) simt_multiply(SIMT_TF32, (c), (void *)0, (a), 4, (b), false, 0, __LINE__)
#define spt_mma_s8(c, a, b) simt_multiply(SIMT_S8, (void *)0, (c), (a), 4, (b), false, 0, __LINE__)
#define spt_mma_sp_f16(c, a, b, e) simt_multiply(SIMT_F16, (c), (void *)0, (a), 4, (b), true, (e), __LINE__)
#define spt_mma_sp_bf16(c, a, b, e) simt_multiply(SIMT_BF16, (c), (void *)0, (a), 4, (b), true, (e), __LINE__)
#define spt_mma_sp_tf32(c, a, b, e) simt_multiply(SIMT_TF32, (c), (void *)0, (a), 4, (b), true, (e), __LINE__)
#define spt_mma_sp_s8(c, a, b, e) simt_multiply(SIMT_S8, (void *)0, (c), (a), 4, (b), true, (e), __LINE__)
#define spt_mma_sp_e4m3(c, a, b, e) simt_multiply(SIMT_E4M3, (c), (void *)0, (a), 4, (b), true, (e), __LINE__)
#define spt_mma_sp_e5m2(c, a, b, e) simt_multiply(SIMT_E5M2, (c), (void *)0, (a), 4, (b), true, (e), __LINE__)

#endif

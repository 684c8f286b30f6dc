/* SPDX-License-Identifier: Apache-2.0 */
/* Put in front of every kernel text: what kernels may use beside plain arithmetic. Kernels are written in what C17 and
 * CUDA C++ have in common; every access to memory and every step that threads take together has a name here, so that
 * the emulator of the tests, which compiles the same text as C, can watch it.
 *
 * - SPT_KERNEL SPT_BOUNDS(threads, blocks per SM) name(...): an entry point; parameters are pointers and integers
 * - SPT_DEVICE: before a function of the device
 * - SPT_SHARED(type, name, count), SPT_SHARED_DYNAMIC(type, name)
 * - spt_ldg, spt_ldg_once (streamed), spt_ldg_coherent (written by this launch), spt_stg, spt_stg_once, spt_lds,
 * spt_sts: any type of 1 to 16 bytes that is aligned to its size; SPT_PACK makes such types
 * - spt_ldg_if(p, is_there): zeros where it is not, and nothing is read
 * - spt_cp_async(to, from, bytes, bytes_read) and _commit, _wait(pending groups), _wait_all; the rest reads as zeros
 * - spt_shfl, _up, _down, _xor (mask, value, which, width), spt_ballot, spt_any, spt_all, spt_reduce_add, _min, _max
 * - spt_ldmatrix_x1|2|4[_trans], spt_mma_TYPE, spt_mma_sp_TYPE (metadata in order, selector 0)
 * - spt_element (of SPT_DTYPE), spt_widen to float, spt_narrow from it; spt_sum: what products add up to
 * - spt_transpose, spt_bias_of, spt_finish_element: steps that families share */

/* Each kernel may be compiled on its own, with -DSPT_ENTRY=its number; all of them without it. */
#ifndef SPT_ENTRY
#define SPT_ENTRY (-1)
#endif
#define SPT_HAS_ENTRY(number) (SPT_ENTRY < 0 || SPT_ENTRY == (number))

#if defined(SPT_SIMT)
#include "tests/simt/device.h"
#elif defined(__CUDACC_RTC__)
#pragma nv_diag_suppress 177 /* not every kernel uses everything */

#define SPT_KERNEL extern "C" __global__ void
#define SPT_BOUNDS(threads, blocks) __launch_bounds__(threads, blocks)
#define SPT_DEVICE static __device__ __forceinline__
#define SPT_ALIGNED(bytes) __align__(bytes)
#define SPT_UNROLL _Pragma("unroll")
#define SPT_NO_UNROLL _Pragma("unroll 1")
#define SPT_RESTRICT __restrict__
#define SPT_SHARED(type, name, count) __shared__ SPT_ALIGNED(128) type name[count]
extern __shared__ SPT_ALIGNED(128) unsigned char spt_shared_dynamic_[];
#define SPT_SHARED_DYNAMIC(type, name) type *const name = (type *)spt_shared_dynamic_

/* ---- memory: values of 1 to 16 bytes travel as words ---- */
template <int bytes> struct spt_word;
template <> struct spt_word<1> { typedef unsigned char type; };
template <> struct spt_word<2> { typedef unsigned short type; };
template <> struct spt_word<4> { typedef unsigned type; };
template <> struct spt_word<8> { typedef uint2 type; };
template <> struct spt_word<16> { typedef uint4 type; };

template <typename T> union spt_pun {
    T value;
    typename spt_word<sizeof(T)>::type word;
    __device__ __forceinline__ spt_pun() {}
};

template <typename T> SPT_DEVICE T spt_ldg(const T *p) {
    spt_pun<T> out;
    out.word = __ldg((const typename spt_word<sizeof(T)>::type *)p);
    return out.value;
}
SPT_DEVICE void spt_load_once(unsigned char &out, const unsigned char *p) {
    out = __ldg(p);
}
SPT_DEVICE void spt_load_once(unsigned short &out, const unsigned short *p) {
    asm("ld.global.nc.L1::no_allocate.u16 %0, [%1];" : "=h"(out) : "l"(p));
}
SPT_DEVICE void spt_load_once(unsigned &out, const unsigned *p) {
    asm("ld.global.nc.L1::no_allocate.u32 %0, [%1];" : "=r"(out) : "l"(p));
}
SPT_DEVICE void spt_load_once(uint2 &out, const uint2 *p) {
    asm("ld.global.nc.L1::no_allocate.v2.u32 {%0, %1}, [%2];" : "=r"(out.x), "=r"(out.y) : "l"(p));
}
SPT_DEVICE void spt_load_once(uint4 &out, const uint4 *p) {
    asm("ld.global.nc.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4];"
        : "=r"(out.x), "=r"(out.y), "=r"(out.z), "=r"(out.w)
        : "l"(p));
}
template <typename T> SPT_DEVICE T spt_ldg_once(const T *p) {
    spt_pun<T> out;
    spt_load_once(out.word, (const typename spt_word<sizeof(T)>::type *)p);
    return out.value;
}
/* Loads under a predicate: no branch, so that those of a group are issued together, and the unrolled text stays one
 * basic block, which takes the compiler half the time. */
SPT_DEVICE void spt_load_if(unsigned char &out, const unsigned char *p, bool is_there) {
    unsigned short wide = 0;
    asm("{.reg .pred p; setp.ne.s32 p, %2, 0; @p ld.global.nc.u8 %0, [%1];}" : "+h"(wide) : "l"(p), "r"((int)is_there));
    out = (unsigned char)wide;
}
SPT_DEVICE void spt_load_if(unsigned short &out, const unsigned short *p, bool is_there) {
    asm("{.reg .pred p; setp.ne.s32 p, %2, 0; @p ld.global.nc.u16 %0, [%1];}" : "+h"(out) : "l"(p), "r"((int)is_there));
}
SPT_DEVICE void spt_load_if(unsigned &out, const unsigned *p, bool is_there) {
    asm("{.reg .pred p; setp.ne.s32 p, %2, 0; @p ld.global.nc.u32 %0, [%1];}" : "+r"(out) : "l"(p), "r"((int)is_there));
}
SPT_DEVICE void spt_load_if(uint2 &out, const uint2 *p, bool is_there) {
    asm("{.reg .pred p; setp.ne.s32 p, %3, 0; @p ld.global.nc.v2.u32 {%0, %1}, [%2];}"
        : "+r"(out.x), "+r"(out.y)
        : "l"(p), "r"((int)is_there));
}
SPT_DEVICE void spt_load_if(uint4 &out, const uint4 *p, bool is_there) {
    asm("{.reg .pred p; setp.ne.s32 p, %5, 0; @p ld.global.nc.v4.u32 {%0, %1, %2, %3}, [%4];}"
        : "+r"(out.x), "+r"(out.y), "+r"(out.z), "+r"(out.w)
        : "l"(p), "r"((int)is_there));
}
template <typename T> SPT_DEVICE T spt_ldg_if(const T *p, bool is_there) {
    spt_pun<T> out;
    out.word = {};
    spt_load_if(out.word, (const typename spt_word<sizeof(T)>::type *)p, is_there);
    return out.value;
}
template <typename T> SPT_DEVICE T spt_ldg_coherent(const T *p) {
    spt_pun<T> out;
    out.word = __ldcg((const typename spt_word<sizeof(T)>::type *)p);
    return out.value;
}
template <typename T> SPT_DEVICE T spt_lds(const T *p) {
    spt_pun<T> out;
    out.word = *(const typename spt_word<sizeof(T)>::type *)p;
    return out.value;
}
template <typename T, typename V> SPT_DEVICE void spt_stg(T *p, V value) {
    spt_pun<T> in;
    in.value = value;
    *(typename spt_word<sizeof(T)>::type *)p = in.word;
}
template <typename T, typename V> SPT_DEVICE void spt_stg_once(T *p, V value) {
    spt_pun<T> in;
    in.value = value;
    __stcs((typename spt_word<sizeof(T)>::type *)p, in.word);
}
template <typename T, typename V> SPT_DEVICE void spt_sts(T *p, V value) {
    spt_pun<T> in;
    in.value = value;
    *(typename spt_word<sizeof(T)>::type *)p = in.word;
}
#define spt_atomic_add_f32(p, value) atomicAdd((p), (value))
#define spt_atomic_add_u32(p, value) atomicAdd((p), (value))

/* 4, 8 or 16 bytes (a constant); what is not read becomes zero. 16 bytes go by L1. */
#define spt_cp_async(to, from, bytes, bytes_read)                                                                      \
    do {                                                                                                               \
        const unsigned spt_to_ = (unsigned)__cvta_generic_to_shared(to);                                               \
        if ((bytes) == 16)                                                                                             \
            asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(spt_to_), "l"(from),                    \
                         "r"((int)(bytes_read))                                                                        \
                         : "memory");                                                                                  \
        else if ((bytes) == 8)                                                                                         \
            asm volatile("cp.async.ca.shared.global [%0], [%1], 8, %2;" ::"r"(spt_to_), "l"(from),                     \
                         "r"((int)(bytes_read))                                                                        \
                         : "memory");                                                                                  \
        else                                                                                                           \
            asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(spt_to_), "l"(from),                     \
                         "r"((int)(bytes_read))                                                                        \
                         : "memory");                                                                                  \
    } while (0)
#define spt_cp_async_commit() asm volatile("cp.async.commit_group;" ::: "memory")
#define spt_cp_async_wait(n_pending) asm volatile("cp.async.wait_group %0;" ::"n"(n_pending) : "memory")
#define spt_cp_async_wait_all() asm volatile("cp.async.wait_all;" ::: "memory")

/* ---- the warp ---- */
#define spt_shfl(mask, v, lane, width) __shfl_sync((mask), (v), (lane), (width))
#define spt_shfl_up(mask, v, delta, width) __shfl_up_sync((mask), (v), (delta), (width))
#define spt_shfl_down(mask, v, delta, width) __shfl_down_sync((mask), (v), (delta), (width))
#define spt_shfl_xor(mask, v, lanes, width) __shfl_xor_sync((mask), (v), (lanes), (width))
#define spt_ballot(mask, is_true) __ballot_sync((mask), (is_true))
#define spt_any(mask, is_true) __any_sync((mask), (is_true))
#define spt_all(mask, is_true) __all_sync((mask), (is_true))
#define spt_reduce_add(mask, v) __reduce_add_sync((mask), (int)(v))
#define spt_reduce_min(mask, v) __reduce_min_sync((mask), (int)(v))
#define spt_reduce_max(mask, v) __reduce_max_sync((mask), (int)(v))

/* ---- arithmetic ---- */
#define spt_fma(a, b, c) __fmaf_rn((a), (b), (c))
#define spt_popc(v) __popc(v)
#define spt_popcll(v) __popcll(v)
#define spt_low_halves(a, b) __byte_perm((a), (b), 0x5410) /* of two words; a's below */
#define spt_high_halves(a, b) __byte_perm((a), (b), 0x7632)
#define spt_as_f32(bits) __uint_as_float(bits)
#define spt_as_u32(v) __float_as_uint(v)

SPT_DEVICE float spt_f16_to_f32(unsigned short h) {
    float v;
    asm("cvt.f32.f16 %0, %1;" : "=f"(v) : "h"(h));
    return v;
}
SPT_DEVICE unsigned short spt_f32_to_f16(float v) {
    unsigned short h;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(h) : "f"(v));
    return h;
}
SPT_DEVICE float spt_bf16_to_f32(unsigned short h) {
    return __uint_as_float((unsigned)h << 16);
}
SPT_DEVICE unsigned short spt_f32_to_bf16(float v) {
    unsigned short h;
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(h) : "f"(v));
    return h;
}

/* 8-bit floats travel in pairs; what is too large becomes the largest. */
#if __CUDA_ARCH__ >= 890
#define SPT_FLOAT8(type)                                                                                               \
    SPT_DEVICE float spt_##type##_to_f32(unsigned char v) {                                                            \
        unsigned pair;                                                                                                 \
        asm("cvt.rn.f16x2." #type "x2 %0, %1;" : "=r"(pair) : "h"((unsigned short)v));                                 \
        return spt_f16_to_f32((unsigned short)pair);                                                                   \
    }                                                                                                                  \
    SPT_DEVICE unsigned char spt_f32_to_##type(float v) {                                                              \
        unsigned short pair;                                                                                           \
        asm("cvt.rn.satfinite." #type "x2.f32 %0, %1, %2;" : "=h"(pair) : "f"(0.0f), "f"(v));                          \
        return (unsigned char)pair;                                                                                    \
    }
SPT_FLOAT8(e4m3)
SPT_FLOAT8(e5m2)
#endif

/* ---- matrices: fragments as the PTX manual lays them out ---- */
#define SPT_LDMATRIX_N(suffix, trans)                                                                                  \
    SPT_DEVICE void spt_ldmatrix_x1##suffix(unsigned *d, const void *row) {                                            \
        asm volatile("ldmatrix.sync.aligned.m8n8.x1" trans ".shared.b16 {%0}, [%1];"                                   \
                     : "=r"(d[0])                                                                                      \
                     : "r"((unsigned)__cvta_generic_to_shared(row))                                                    \
                     : "memory");                                                                                      \
    }                                                                                                                  \
    SPT_DEVICE void spt_ldmatrix_x2##suffix(unsigned *d, const void *row) {                                            \
        asm volatile("ldmatrix.sync.aligned.m8n8.x2" trans ".shared.b16 {%0, %1}, [%2];"                               \
                     : "=r"(d[0]), "=r"(d[1])                                                                          \
                     : "r"((unsigned)__cvta_generic_to_shared(row))                                                    \
                     : "memory");                                                                                      \
    }                                                                                                                  \
    SPT_DEVICE void spt_ldmatrix_x4##suffix(unsigned *d, const void *row) {                                            \
        asm volatile("ldmatrix.sync.aligned.m8n8.x4" trans ".shared.b16 {%0, %1, %2, %3}, [%4];"                       \
                     : "=r"(d[0]), "=r"(d[1]), "=r"(d[2]), "=r"(d[3])                                                  \
                     : "r"((unsigned)__cvta_generic_to_shared(row))                                                    \
                     : "memory");                                                                                      \
    }
SPT_LDMATRIX_N(, "")
SPT_LDMATRIX_N(_trans, ".trans")

/* c += a b; c and b are arrays of 4 and 2 (sparse: 4), a of 4. */
#define SPT_MMA(name, shape, types, type_c, constraint)                                                                \
    SPT_DEVICE void name(type_c *c, const unsigned *a, const unsigned *b) {                                            \
        asm volatile("mma.sync.aligned." shape ".row.col." types                                                       \
                     " {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"                                \
                     : "+" constraint(c[0]), "+" constraint(c[1]), "+" constraint(c[2]), "+" constraint(c[3])          \
                     : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));                              \
    }
#define SPT_MMA_SP(name, shape, types, type_c, constraint)                                                             \
    SPT_DEVICE void name(type_c *c, const unsigned *a, const unsigned *b, unsigned metadata) {                         \
        asm volatile("mma.sp::ordered_metadata.sync.aligned." shape ".row.col." types                                  \
                     " {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9, %10, %11}, {%0, %1, %2, %3}, %12, 0x0;"            \
                     : "+" constraint(c[0]), "+" constraint(c[1]), "+" constraint(c[2]), "+" constraint(c[3])          \
                     : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]), "r"(b[2]), "r"(b[3]),         \
                       "r"(metadata));                                                                                 \
    }
SPT_MMA(spt_mma_f16, "m16n8k16", "f32.f16.f16.f32", float, "f")
SPT_MMA(spt_mma_bf16, "m16n8k16", "f32.bf16.bf16.f32", float, "f")
SPT_MMA(spt_mma_tf32, "m16n8k8", "f32.tf32.tf32.f32", float, "f")
SPT_MMA(spt_mma_s8, "m16n8k32", "s32.s8.s8.s32", int, "r")
SPT_MMA_SP(spt_mma_sp_f16, "m16n8k32", "f32.f16.f16.f32", float, "f")
SPT_MMA_SP(spt_mma_sp_bf16, "m16n8k32", "f32.bf16.bf16.f32", float, "f")
SPT_MMA_SP(spt_mma_sp_tf32, "m16n8k16", "f32.tf32.tf32.f32", float, "f")
SPT_MMA_SP(spt_mma_sp_s8, "m16n8k64", "s32.s8.s8.s32", int, "r")
#if __CUDA_ARCH__ >= 890
SPT_MMA_SP(spt_mma_sp_e4m3, "m16n8k64", "f32.e4m3.e4m3.f32", float, "f")
SPT_MMA_SP(spt_mma_sp_e5m2, "m16n8k64", "f32.e5m2.e5m2.f32", float, "f")
#endif

#endif

/* ---- what both mean alike ---- */
#if defined(SPT_SIMT) || defined(__CUDACC_RTC__)

#define SPT_FULL_MASK 0xffffffffu
/* A value of `count` items that is loaded and stored at once; count * sizeof item is 1 to 16 bytes, a power of two. */
#define SPT_PACK(name, type, count)                                                                                    \
    typedef struct SPT_ALIGNED(sizeof(type) * (count)) name {                                                          \
        type v[count];                                                                                                 \
    } name

#if SPT_DTYPE == 0
typedef float spt_element;
#define spt_widen(v) (v)
#define spt_narrow(v) (v)
#elif SPT_DTYPE == 1
typedef unsigned short spt_element;
#define spt_widen(v) spt_bf16_to_f32(v)
#define spt_narrow(v) spt_f32_to_bf16(v)
#elif SPT_DTYPE == 2
typedef unsigned short spt_element;
#define spt_widen(v) spt_f16_to_f32(v)
#define spt_narrow(v) spt_f32_to_f16(v)
#elif SPT_DTYPE == 3
typedef signed char spt_element;
#define spt_widen(v) ((float)(v))
#elif SPT_DTYPE == 4
typedef unsigned char spt_element;
#define spt_widen(v) spt_e4m3_to_f32(v)
#define spt_narrow(v) spt_f32_to_e4m3(v)
#elif SPT_DTYPE == 5
typedef unsigned char spt_element;
#define spt_widen(v) spt_e5m2_to_f32(v)
#define spt_narrow(v) spt_f32_to_e5m2(v)
#elif SPT_DTYPE == 6
typedef float spt_element;
#define spt_widen(v) (v)
#define spt_narrow(v) (v)
#endif

SPT_DEVICE int spt_min(int a, int b) {
    return a < b ? a : b;
}
SPT_DEVICE int spt_max(int a, int b) {
    return a > b ? a : b;
}

/* out[column][row] = in[row][column] by blocks of 256 threads, in tiles of 32 x 32: block (x, y) has columns 32 x ...
 * and every gridDim.y-th 32 rows. Columns of `out` beyond n_rows become zero up to ld_out. Two tiles in turn, so that
 * one barrier a tile is enough: who writes a tile again has met those who read it at the barrier between. */
SPT_DEVICE void spt_transpose(spt_element *out, long long ld_out, const spt_element *in, long long ld_in, int n_rows,
                              int n_cols) {
    SPT_SHARED(spt_element, tiles, 2 * 32 * 33);
    const int x = threadIdx.x % 32, y = threadIdx.x / 32, first_col = blockIdx.x * 32;
    spt_element *tile = tiles, *other = tiles + 32 * 33;
    SPT_NO_UNROLL
    for (int first_row = blockIdx.y * 32; first_row < n_rows; first_row += gridDim.y * 32) {
        SPT_UNROLL
        for (int i = 0; i < 32; i += 8) {
            const int row = first_row + y + i, column = first_col + x;
            const spt_element v = spt_ldg_if(&in[row * ld_in + column], row < n_rows && column < n_cols);
            spt_sts(&tile[(y + i) * 33 + x], v);
        }
        __syncthreads();
        SPT_UNROLL
        for (int i = 0; i < 32; i += 8) {
            const int row = first_row + x, column = first_col + y + i;
            if (row < ld_out && column < n_cols)
                spt_stg(&out[column * ld_out + row], spt_lds(&tile[x * 33 + y + i]));
        }
        spt_element *const next = other;
        other = tile;
        tile = next;
    }
}

/* What products of elements add up to, and how elements enter and leave sums. */
#if SPT_DTYPE == 3
typedef int spt_sum;
#define spt_term(v) ((int)(v))
#define spt_result(v) ((spt_element)spt_max(-128, spt_min(127, (v))))
#else
typedef float spt_sum;
#define spt_term(v) spt_widen(v)
#define spt_result(v) spt_narrow(v)
#endif

/* A place in C or in the residual, whose rows are its columns in layout nk. */
#define spt_at(data, ld, row, col)                                                                                     \
    ((data) + (SPT_LAYOUT_NK ? (col) * (long long)(ld) + (row) : (row) * (long long)(ld) + (col)))

/* What the sums of a row of C begin with. */
SPT_DEVICE spt_sum spt_bias_of(const spt_element *bias, int row, bool is_there) {
#if SPT_HAS_BIAS
    return spt_term(spt_ldg_if(bias + row, is_there));
#else
    return 0;
#endif
}

/* One element of C from its whole sum, the bias in it: residual, activation; where it is not there, nothing is touched.
 */
SPT_DEVICE void spt_finish_element(spt_element *c, const spt_element *residual, spt_sum sum, bool is_there) {
#if SPT_HAS_RESIDUAL
    sum += spt_term(spt_ldg_if(residual, is_there));
#endif
#if SPT_RELU
    sum = sum > 0 ? sum : 0;
#endif
    if (is_there)
        spt_stg(c, spt_result(sum));
}

#endif

enum { SPT_LANES_OF_WARP = 32 };

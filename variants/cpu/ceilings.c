/* SPDX-License-Identifier: Apache-2.0 */
/* The microbenchmark behind the table of ceilings: short loops that do one thing each. A ceiling is a maximum, so the
 * best of many samples counts and a busy neighbour costs samples, not truth. About a second in all. */
#include <string.h>
#include <time.h>

#include "core/memory.h"
#include "variants/bound.h"
#include "variants/cpu/amx.h"
#include "variants/cpu/simd.h"
#include "variants/isa.h"

enum { SAMPLES = 40, CHAINS = SPT_LANES == 16 ? 24 : 12 };

static double now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* The compiler must neither see through a vector register nor drop it. */
#if SPT_ISA == 3
#define OPAQUE(v) __asm__ volatile("" : "+v"(v))
#elif defined(__x86_64__)
#define OPAQUE(v) __asm__ volatile("" : "+x"(v))
#elif defined(__aarch64__)
#define OPAQUE(v) __asm__ volatile("" : "+w"(v))
#else
#define OPAQUE(v) __asm__ volatile("" : "+m"(v))
#endif

/* One loop: `count` times its unit of work over `data` of `bytes`. */
typedef void ceiling_loop(const float *data, int64_t bytes, int64_t count);

/* CHAINS independent multiply-adds per count. */
static void loop_fma(const float *data, int64_t bytes, int64_t count) {
    spt_vec sum[CHAINS], scale = vec_load(data), other = vec_load(data + SPT_LANES);
    (void)bytes;
#pragma GCC unroll 24
    for (int i = 0; i < CHAINS; i++)
        sum[i] = vec_load(data);
    for (int64_t n = 0; n < count; n++) {
#pragma GCC unroll 24
        for (int i = 0; i < CHAINS; i++)
            sum[i] = vec_fma(scale, other, sum[i]);
#pragma GCC unroll 24
        for (int i = 0; i < CHAINS; i++)
            OPAQUE(sum[i]);
    }
#pragma GCC unroll 24
    for (int i = 1; i < CHAINS; i++)
        sum[0] = vec_add(sum[0], sum[i]);
    OPAQUE(sum[0]);
}

/* Reads all of `bytes`, `count` times. */
static void loop_read(const float *data, int64_t bytes, int64_t count) {
    spt_vec sum[12];
#pragma GCC unroll 24
    for (int i = 0; i < 12; i++)
        sum[i] = vec_zero();
    const int64_t n_floats = bytes / (int64_t)sizeof *data;
    for (int64_t n = 0; n < count; n++) {
        for (int64_t at = 0; at + 12 * SPT_LANES <= n_floats; at += 12 * SPT_LANES) {
#pragma GCC unroll 24
            for (int i = 0; i < 12; i++)
                sum[i] = vec_max(sum[i], vec_load(data + at + i * SPT_LANES));
        }
    }
#pragma GCC unroll 24
    for (int i = 1; i < 12; i++)
        sum[0] = vec_add(sum[0], sum[i]);
    OPAQUE(sum[0]);
}

/* Streams over `bytes`, four multiply-adds with a broadcast each for every vector read, as baked kernels do: what
 * arrives from beyond L1 takes time from the loads. */
static void loop_stream_fma(const float *data, int64_t bytes, int64_t count) {
    spt_vec sum[12];
    float scale[12];
    memcpy(scale, data, sizeof scale);
#pragma GCC unroll 24
    for (int i = 0; i < 12; i++)
        sum[i] = vec_zero();
    const int64_t n_floats = bytes / (int64_t)sizeof *data;
    for (int64_t n = 0; n < count; n++) {
        for (int64_t at = 0; at + 3 * SPT_LANES <= n_floats; at += 3 * SPT_LANES) {
#pragma GCC unroll 3
            for (int i = 0; i < 3; i++) {
                const spt_vec b = vec_load(data + at + i * SPT_LANES);
#pragma GCC unroll 4
                for (int j = 0; j < 4; j++)
                    sum[4 * i + j] = vec_fma(vec_set1(scale[4 * i + j]), b, sum[4 * i + j]);
            }
#pragma GCC unroll 12
            for (int i = 0; i < 12; i++)
                OPAQUE(sum[i]);
            __asm__ volatile("" : : "r"(scale) : "memory"); /* the values are read again */
        }
    }
#pragma GCC unroll 24
    for (int i = 1; i < 12; i++)
        sum[0] = vec_add(sum[0], sum[i]);
    OPAQUE(sum[0]);
}

/* Eight gathers per count from a table of `bytes`. */
static void loop_gather(const float *data, int64_t bytes, int64_t count) {
    uint16_t columns[8 * SPT_LANES];
    const int64_t n_floats = bytes / (int64_t)sizeof *data;
    for (int i = 0; i < 8 * SPT_LANES; i++)
        columns[i] = (uint16_t)((int64_t)i * 797 % n_floats);
    spt_vec sum[8];
#pragma GCC unroll 24
    for (int i = 0; i < 8; i++)
        sum[i] = vec_zero();
    for (int64_t n = 0; n < count; n++) {
        __asm__ volatile("" : : : "memory");
#pragma GCC unroll 8
        for (int i = 0; i < 8; i++)
            sum[i] = vec_add(sum[i], vec_gather(data, columns + i * SPT_LANES));
    }
#pragma GCC unroll 24
    for (int i = 1; i < 8; i++)
        sum[0] = vec_add(sum[0], sum[i]);
    OPAQUE(sum[0]);
}

#if SPT_ISA == 3
/* Six products of 32 x 32 blocks per count, from L1. */
AMX_CODE static void loop_tiles(const float *data, int64_t bytes, int64_t count) {
    const uint16_t *block = (const uint16_t *)data;
    (void)bytes;
    amx_begin();
    amx_clear();
    for (int64_t n = 0; n < count; n++)
        amx_multiply(block, block + AMX_BLOCK);
    amx_end();
}
#endif

/* The shortest time per count, of many samples. */
static double best_ns(ceiling_loop *loop, const float *data, int64_t bytes, int64_t count) {
    double best = 0.0;
    loop(data, bytes, count);
    for (int sample = 0; sample < SAMPLES; sample++) {
        const double start = now_ns();
        loop(data, bytes, count);
        const double ns = (now_ns() - start) / (double)count;
        if (sample == 0 || ns < best)
            best = ns;
    }
    return best;
}

typedef void measure_function(spt_ceilings *out, const float *data, const spt_ceiling_sizes *sizes);
extern measure_function SPT_ISA_NAME(ceilings_measure);
void SPT_ISA_NAME(ceilings_measure)(spt_ceilings *out, const float *data, const spt_ceiling_sizes *sizes) {
    const double vector_bytes = SPT_LANES * sizeof(float), flops = 2.0 * SPT_LANES;
    out->fma_gflops = CHAINS * flops / best_ns(loop_fma, data, 0, 2000);
    out->l1_gbs = (double)sizes->l1 / best_ns(loop_read, data, sizes->l1, 64);
    out->vector_loads_per_ns = out->l1_gbs / vector_bytes;
    out->tile_gflops = 0.0;
#if SPT_ISA == 3
    if (sizes->has_tiles)
        out->tile_gflops = SPT_TILE_PRODUCTS * 2.0 * AMX_SIDE * AMX_SIDE * AMX_SIDE / best_ns(loop_tiles, data, 0, 200);
#endif
    if (sizes->l2 == 0)
        return;
    out->l2_gbs = (double)sizes->l2 / best_ns(loop_read, data, sizes->l2, 4);
    out->l3_gbs = (double)sizes->l3 / best_ns(loop_read, data, sizes->l3, 1);
    out->dram_gbs = (double)sizes->dram / best_ns(loop_read, data, sizes->dram, 1);
    const double near_ns = best_ns(loop_stream_fma, data, sizes->l1, 64) / ((double)sizes->l1 / 64.0);
    const double far_ns = best_ns(loop_stream_fma, data, sizes->l2, 4) / ((double)sizes->l2 / 64.0);
    out->l1_fill_ns = far_ns > near_ns ? far_ns - near_ns : 0.0;
    out->gathers_per_ns = 8.0 * SPT_LANES / best_ns(loop_gather, data, sizes->l1 / 2, 2000);
}

#if SPT_EMIT_DESCRIPTOR

#if defined(__x86_64__)
extern measure_function ceilings_measure_plain, ceilings_measure_avx2, ceilings_measure_avx512;
static measure_function *const measures[SPT_ISA_COUNT] = {ceilings_measure_plain, ceilings_measure_plain,
                                                          ceilings_measure_avx2, ceilings_measure_avx512};
#elif defined(__aarch64__)
extern measure_function ceilings_measure_plain, ceilings_measure_neon;
static measure_function *const measures[SPT_ISA_COUNT] = {ceilings_measure_plain, ceilings_measure_neon,
                                                          ceilings_measure_plain, ceilings_measure_plain};
#else
extern measure_function ceilings_measure_plain;
static measure_function *const measures[SPT_ISA_COUNT] = {ceilings_measure_plain, ceilings_measure_plain,
                                                          ceilings_measure_plain, ceilings_measure_plain};
#endif

static spt_status measure(spt_ceilings *out, const spt_device *device, const spt_ceiling_sizes *sizes) {
    const int64_t bytes = sizes->dram > 0 ? sizes->dram : sizes->l1;
    float *data;
    *out = *spt_ceilings_get(device);
    SPT_TRY(SPT_NEW(data, bytes / (int64_t)sizeof *data));
    for (int64_t i = 0; i < bytes / (int64_t)sizeof *data; i++)
        data[i] = 1.0f; /* touched, so that pages are its own */
    measures[device->isa](out, data, sizes);
    spt_free(data);
    return SPT_OK;
}

static int64_t l1_bytes(const spt_device *device) {
    return device->l1d_bytes > 0 ? device->l1d_bytes : 32 * 1024;
}

spt_status spt_ceilings_measure_peak(spt_ceilings *out, const spt_device *device) {
    return measure(out, device,
                   &(spt_ceiling_sizes){.l1 = l1_bytes(device) / 2, .has_tiles = spt_device_may_use_tiles(device)});
}

spt_status spt_ceilings_measure(spt_ceilings *out, const spt_device *device) {
    const int64_t l2 = device->l2_bytes > 0 ? device->l2_bytes : 512 * 1024;
    const int64_t l3 = device->l3_bytes > 4 * l2 ? device->l3_bytes : 4 * l2;
    return measure(out, device,
                   &(spt_ceiling_sizes){.l1 = l1_bytes(device) / 2,
                                        .l2 = l2 / 2,
                                        .l3 = 3 * l2 < l3 / 2 ? 3 * l2 : l3 / 2,
                                        .dram = 2 * l3 < 256 << 20 ? 2 * l3 : 256 << 20,
                                        .has_tiles = spt_device_may_use_tiles(device)});
}

#endif

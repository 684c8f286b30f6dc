/* SPDX-License-Identifier: Apache-2.0 */
/* conv2d_csr_pixels: a 3x3 convolution with sparse weights; a thread has some places of one channel of the output and
 * walks the channel's weights, which the whole block reads together. Padding is a comparison, so nothing outside of the
 * image is read or multiplied. The plain answer, for any image and leading dimension; conv3x3_ptx_baked is the fast
 * one. Bound: one load of the image from L1 or L2 per multiply-add. */
#ifndef __CUDACC_RTC__
#include <string.h>

#include "core/conv.h"
#include "core/memory.h"
#include "variants/cuda/kernel.h"
#include "variants/cuda/rows.h"

SPT_CUDA_TEXT(conv2d_csr_pixels);

enum { AXIS_THREADS, AXIS_PIXELS, N_AXES };
enum { BUFFER_OFFSETS, BUFFER_TAPS, BUFFER_VALUES };
enum { GRID_Y_MAX = 65535 };

static const spt_axis_value threads_values[] = {{32, NULL}, {64, NULL}, {128, NULL}, {256, NULL}};
static const spt_axis_value pixels_values[] = {{1, NULL}, {2, NULL}, {4, NULL}};
static const spt_axis axes[N_AXES] = {
    [AXIS_THREADS] = {"threads", "threads of a block, side by side along the output's places", threads_values, 4},
    [AXIS_PIXELS] = {"pixels", "places of a thread", pixels_values, 3},
};

static int value_of(const spt_point *point, int axis) {
    return spt_point_value(axes, point, axis);
}

static int64_t tile_of(const spt_point *point) {
    return (int64_t)value_of(point, AXIS_THREADS) * value_of(point, AXIS_PIXELS);
}

static bool is_valid(const spt_workload *workload, const spt_device *device, const spt_point *point) {
    const int64_t tile = tile_of(point), places = workload->problem.height * workload->problem.width;
    return spt_cuda_has_dtype(device, workload->problem.dtype) && places + 8 * tile < INT32_MAX &&
           workload->pattern.n_cols < INT32_MAX / 16 && workload->pattern.nnz < INT32_MAX &&
           (tile / 2 < workload->problem.n || tile == 32);
}

static void default_point(const spt_workload *workload, const spt_device *device, spt_point *out) {
    *out = (spt_point){{[AXIS_THREADS] = 2}};
    while (out->index[AXIS_THREADS] > 0 && !is_valid(workload, device, out))
        out->index[AXIS_THREADS]--;
}

static double bound_ns(const spt_workload *workload, const spt_device *device, const spt_point *point) {
    const spt_conv conv = spt_conv_of(&workload->problem, workload->pattern.n_cols);
    const double n = (double)workload->problem.n, nnz = (double)workload->pattern.nnz;
    const double bytes = (double)spt_dtype_bytes(workload->problem.dtype);
    const double input = bytes * (double)(conv.channels * conv.height * conv.width);
    const double output = bytes * n * (double)workload->pattern.n_rows;
    const double weights = (bytes + 4.0) * nnz, tiles = (double)spt_ceil_div(workload->problem.n, tile_of(point));
    return spt_cuda_bound_ns(device, 2.0 * nnz * n, false, bytes * nnz * n + weights * tiles + output,
                             input + output + weights);
}

static spt_status describe(spt_cuda_source *out, const spt_workload *workload, const spt_device *device,
                           const spt_point *point, const spt_csr *a) {
    static const char *const kernels[] = {"conv2d_csr_pixels"};
    (void)device, (void)a;
    SPT_CUDA_SOURCE(out, conv2d_csr_pixels, kernels, workload);
    spt_cuda_define(out, "SPT_THREADS", value_of(point, AXIS_THREADS));
    spt_cuda_define(out, "SPT_PIXELS", value_of(point, AXIS_PIXELS));
    return SPT_OK;
}

/* A tap is a word: channel * 16 + row of the window * 4 + column of the window. */
static spt_status pack(spt_cuda_packed *out, const spt_workload *workload, const spt_device *device,
                       const spt_point *point, const spt_csr *a) {
    const spt_conv conv = spt_conv_of(&workload->problem, a->n_cols);
    const int64_t nnz = spt_csr_nnz(a);
    void *offsets, *taps, *values;
    (void)device, (void)point;
    SPT_TRY(spt_cuda_packed_add(out, "offsets", (size_t)(a->n_rows + 1) * 4, &offsets));
    SPT_TRY(spt_cuda_packed_add(out, "taps", (size_t)nnz * 4, &taps));
    SPT_TRY(spt_cuda_packed_add(out, "values", (size_t)nnz * spt_dtype_bytes(workload->problem.dtype), &values));
    for (int64_t row = 0; row <= a->n_rows; row++)
        ((int32_t *)offsets)[row] = (int32_t)a->row_offsets[row];
    for (int64_t nz = 0; nz < nnz; nz++) {
        const int64_t tap = a->columns[nz] / conv.channels, channel = a->columns[nz] % conv.channels;
        ((int32_t *)taps)[nz] = (int32_t)(channel * 16 + tap / SPT_CONV_WINDOW * 4 + tap % SPT_CONV_WINDOW);
    }
    if (nnz > 0)
        memcpy(values, a->values, (size_t)nnz * spt_dtype_bytes(workload->problem.dtype));
    return SPT_OK;
}

static spt_status launch(spt_cuda_launch *out, const spt_prepared *prepared, const spt_call *call, int index) {
    const spt_conv conv = spt_conv_of(&prepared->workload.problem, prepared->workload.pattern.n_cols);
    const int64_t m = prepared->workload.pattern.n_rows;
    (void)index;
    out->grid[0] = (uint32_t)spt_ceil_div(call->n, tile_of(&prepared->point));
    out->grid[1] = (uint32_t)(m < GRID_Y_MAX ? m : GRID_Y_MAX);
    out->grid[2] = out->block[1] = out->block[2] = 1;
    out->block[0] = (uint32_t)value_of(&prepared->point, AXIS_THREADS);
    spt_cuda_pass_operand(out, 'b');
    spt_cuda_pass_operand(out, 'c');
    spt_cuda_pass_operand(out, 'i');
    spt_cuda_pass_buffer(out, BUFFER_OFFSETS);
    spt_cuda_pass_buffer(out, BUFFER_TAPS);
    spt_cuda_pass_buffer(out, BUFFER_VALUES);
    spt_cuda_pass_i64(out, call->ldb);
    spt_cuda_pass_i64(out, call->ldc);
    spt_cuda_pass_i32(out, m);
    spt_cuda_pass_i32(out, conv.height);
    spt_cuda_pass_i32(out, conv.width);
    spt_cuda_pass_i32(out, conv.out_width);
    spt_cuda_pass_i32(out, call->n);
    spt_cuda_pass_i32(out, conv.stride);
    spt_cuda_pass_operand(out, 'r');
    spt_cuda_pass_i64(out, call->ldr);
    return SPT_OK;
}

static const spt_cuda_kernel kernel = {.describe = describe, .pack = pack, .launch = launch};

const spt_family spt_family_conv2d_csr_pixels = {
    .name = "conv2d_csr_pixels",
    .summary = "CUDA: 3x3 convolution, threads along the output's places, weights from CSR",
    .op = SPT_CONV2D,
    .dtypes = SPT_DTYPE_BIT(SPT_F32) | SPT_DTYPE_BIT(SPT_BF16) | SPT_DTYPE_BIT(SPT_F16),
    .axes = axes,
    .n_axes = N_AXES,
    .revision = 1,
    .takes_residual = true,
    .cuda = &kernel,
    .is_valid = is_valid,
    .default_point = default_point,
    .bound_ns = bound_ns,
    SPT_CUDA_VERBS,
};

#else // kernel half

SPT_KERNEL SPT_BOUNDS(SPT_THREADS, 1)
    conv2d_csr_pixels(const spt_element *b, spt_element *c, const spt_element *bias, const int *offsets,
                      const int *taps, const spt_element *values, long long ldb, long long ldc, int m, int height,
                      int width, int out_width, int n, int stride, const spt_element *residual, long long ldr) {
    int place[SPT_PIXELS], y[SPT_PIXELS], x[SPT_PIXELS];
    SPT_UNROLL
    for (int i = 0; i < SPT_PIXELS; i++) {
        place[i] = (blockIdx.x * SPT_PIXELS + i) * SPT_THREADS + threadIdx.x;
        y[i] = place[i] / out_width * stride - 1;
        x[i] = place[i] % out_width * stride - 1;
    }
    for (int row = blockIdx.y; row < m; row += gridDim.y) {
        const int end = spt_ldg(offsets + row + 1);
        float sum[SPT_PIXELS], start = 0.0f;
#if SPT_HAS_BIAS
        start = spt_widen(spt_ldg(bias + row));
#endif
        SPT_UNROLL
        for (int i = 0; i < SPT_PIXELS; i++)
            sum[i] = start;
        for (int at = spt_ldg(offsets + row); at < end; at++) {
            const int tap = spt_ldg(taps + at);
            const float value = spt_widen(spt_ldg(values + at));
            const spt_element *image = b + (tap >> 4) * ldb;
            SPT_UNROLL
            for (int i = 0; i < SPT_PIXELS; i++) {
                const int iy = y[i] + (tap >> 2 & 3), ix = x[i] + (tap & 3);
                if (place[i] < n && iy >= 0 && iy < height && ix >= 0 && ix < width)
                    sum[i] = spt_fma(value, spt_widen(spt_ldg(image + (long long)iy * width + ix)), sum[i]);
            }
        }
        SPT_UNROLL
        for (int i = 0; i < SPT_PIXELS; i++) {
#if SPT_HAS_RESIDUAL
            if (place[i] < n)
                sum[i] += spt_widen(spt_ldg(residual + row * ldr + place[i]));
#endif
#if SPT_RELU
            sum[i] = sum[i] > 0.0f ? sum[i] : 0.0f;
#endif
            if (place[i] < n)
                spt_stg(c + row * ldc + place[i], spt_narrow(sum[i]));
        }
    }
}
#endif // __CUDACC_RTC__

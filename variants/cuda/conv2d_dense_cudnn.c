/* SPDX-License-Identifier: Apache-2.0 */
/* conv2d_dense_cudnn: ignore the zeros of a 3x3 convolution and call cuDNN, in f32 without TF32. Its algorithms are
 * points, so that the fastest one is measured and not taken from cuDNN's own guess. Winograd and FFT round more than
 * sums of products do, and count only where they keep f32's tolerance. */
#include <string.h>

#include "core/conv.h"
#include "variants/cuda/vendor.h"

/* The numbers are cuDNN's. */
static const spt_axis_value algorithm_values[] = {
    {0, "implicit_gemm"}, {1, "precomp_gemm"},      {2, "gemm"}, {4, "fft"}, {5, "fft_tiling"},
    {6, "winograd"},      {7, "winograd_nonfused"},
};
static const spt_axis axes[] = {{"alg", "algorithm of cuDNN", algorithm_values, 7}};

static bool is_valid(const spt_workload *workload, const spt_device *device, const spt_point *point) {
    (void)device;
    (void)point;
    const spt_conv conv = spt_conv_of(&workload->problem, workload->pattern.n_cols);
    return spt_cuda_dense_fits(workload) && conv.channels * conv.height * conv.width < INT32_MAX &&
           workload->pattern.n_rows * workload->problem.n < INT32_MAX;
}

/* Filters as cuDNN has them: [channel of the output][of the input][3][3], where A's columns are taps of channels. */
static spt_status pack(spt_cuda_packed *out, const spt_workload *workload, const spt_device *device,
                       const spt_point *point, const spt_csr *a) {
    const spt_conv conv = spt_conv_of(&workload->problem, a->n_cols);
    void *filters;
    (void)device;
    (void)point;
    SPT_TRY(spt_cuda_packed_add(out, "filters", (size_t)(a->n_rows * conv.channels * SPT_CONV_TAPS) * 4, &filters));
    for (int64_t row = 0; row < a->n_rows; row++) {
        for (int64_t nz = a->row_offsets[row]; nz < a->row_offsets[row + 1]; nz++) {
            const int64_t tap = a->columns[nz] / conv.channels, channel = a->columns[nz] % conv.channels;
            ((float *)filters)[(row * conv.channels + channel) * SPT_CONV_TAPS + tap] = ((const float *)a->values)[nz];
        }
    }
    return SPT_OK;
}

static const char *library_version(const spt_point *point) {
    (void)point;
    return spt_cudnn_version();
}

static spt_status open_library(spt_prepared *prepared) {
    return spt_cudnn_open(prepared, spt_point_value(axes, &prepared->point, 0));
}

static size_t workspace(const spt_prepared *prepared, int64_t n) {
    (void)n;
    return spt_cudnn_workspace(prepared);
}

static const spt_cuda_kernel cuda = {
    .describe = spt_cuda_epilogue_describe,
    .pack = pack,
    .n_launches = spt_cuda_epilogue_launches,
    .launch = spt_cuda_epilogue_launch,
    .library_open = open_library,
    .library_run = spt_cudnn_run,
    .library_close = spt_cudnn_close,
};

const spt_family spt_family_conv2d_dense_cudnn = {
    .name = "conv2d_dense_cudnn",
    .summary = "3x3 convolution: dense, by cuDNN where it is present",
    .op = SPT_CONV2D,
    SPT_CUDA_LIBRARY_VERBS,
    .dtypes = SPT_DTYPE_BIT(SPT_F32),
    .axes = axes,
    .n_axes = 1,
    .takes_residual = true,
    .revision = 1,
    .is_dense = true,
    .pads_zeros = true,
    .names_algorithm = true,
    .cuda = &cuda,
    .available = spt_cudnn_available,
    .library_version = library_version,
    .is_valid = is_valid,
    .default_point = spt_family_first_point,
    .bound_ns = spt_cuda_dense_bound_ns,
    .workspace = workspace,
};

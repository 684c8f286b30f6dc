/* SPDX-License-Identifier: Apache-2.0 */
/* conv2d_dense_blas: the image unfolded to a matrix of windows in the workspace, then sgemm of a CBLAS library, which
 * is an axis. The dense answer to a convolution: what sparse weights save is measured against this. */
#include <inttypes.h>
#include <limits.h>
#include <string.h>

#include "core/conv.h"
#include "variants/epilogue.h"
#include "variants/vendor/blas.h"
#include "variants/vendor/dense.h"

static bool is_valid(const spt_workload *workload, const spt_device *device, const spt_point *point) {
    (void)device;
    return spt_dense_fits(workload) && workload->problem.n * workload->pattern.n_cols < INT_MAX &&
           spt_blas_sgemm(point) != NULL;
}

/* Columns of A times n: one row per tap and channel. */
static size_t workspace(const spt_prepared *prepared, int64_t n) {
    return (size_t)(prepared->workload.pattern.n_cols * n) * sizeof(float);
}

/* What one tap sees of one channel; zeros outside of the image. */
static void unfold(float *out, const float *image, const spt_conv *conv, int64_t tap) {
    for (int64_t oy = 0; oy < conv->out_height; oy++, out += conv->out_width) {
        const int64_t y = oy * conv->stride + tap / SPT_CONV_WINDOW - 1;
        const float *row = image + y * conv->width;
        if (y < 0 || y >= conv->height) {
            memset(out, 0, (size_t)conv->out_width * sizeof *out);
            continue;
        }
        for (int64_t ox = 0; ox < conv->out_width; ox++) {
            const int64_t x = ox * conv->stride + tap % SPT_CONV_WINDOW - 1;
            out[ox] = x >= 0 && x < conv->width ? row[x] : 0.0f;
        }
    }
}

static spt_status run_part(const spt_prepared *prepared, const spt_call *call, int part, int n_parts) {
    (void)part;
    (void)n_parts;
    if (call->ldc > INT_MAX)
        return spt_fail(SPT_EINVAL, "conv2d_dense_blas: expected a leading dimension of at most %d, found %" PRId64,
                        INT_MAX, call->ldc);
    const int m = (int)prepared->workload.pattern.n_rows, k = (int)prepared->workload.pattern.n_cols;
    const int n = (int)call->n;
    const spt_conv conv = spt_conv_of(&prepared->workload.problem, k);
    float *windows = call->workspace;
    for (int64_t column = 0; column < k; column++)
        unfold(windows + column * n, (const float *)call->b + column % conv.channels * call->ldb, &conv,
               column / conv.channels);
    spt_blas_sgemm (&prepared->point)(SPT_BLAS_ROW_MAJOR, SPT_BLAS_NO_TRANS, SPT_BLAS_NO_TRANS, m, n, k, 1.0f,
                                      spt_dense_matrix(prepared), k, windows, n, 0.0f, call->c, (int)call->ldc);
    spt_epilogue_apply_f32(prepared, call);
    return SPT_OK;
}

const spt_family spt_family_conv2d_dense_blas = {
    .name = "conv2d_dense_blas",
    .summary = "3x3 convolution: windows unfolded, then dense sgemm of a CBLAS library that is present",
    .op = SPT_CONV2D,
    .device = SPT_CPU,
    .dtypes = SPT_DTYPE_BIT(SPT_F32),
    .axes = spt_blas_axes,
    .n_axes = 1,
    .revision = 1,
    .is_dense = true,
    .pads_zeros = true,
    .takes_residual = true,
    .owns_threads = true,
    .available = spt_blas_available,
    .library_version = spt_blas_version,
    .is_valid = is_valid,
    .default_point = spt_blas_default_point,
    .bound_ns = spt_dense_bound_ns,
    .prepare = spt_dense_prepare,
    .set_values = spt_dense_set_values,
    .workspace = workspace,
    .run_part = run_part,
    .release = spt_dense_release,
};

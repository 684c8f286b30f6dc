/* SPDX-License-Identifier: Apache-2.0 */
/* spmm_dense_blas: ignore the zeros and call sgemm of a CBLAS library, which is an axis. The honest rival of every
 * sparse kernel, and the right answer for dense patterns. */
#include <inttypes.h>
#include <limits.h>

#include "variants/epilogue.h"
#include "variants/vendor/blas.h"
#include "variants/vendor/dense.h"

static bool is_valid(const spt_workload *workload, const spt_device *device, const spt_point *point) {
    (void)device;
    return spt_dense_fits(workload) && spt_blas_sgemm(point) != NULL;
}

static spt_status run_part(const spt_prepared *prepared, const spt_call *call, int part, int n_parts) {
    (void)part;
    (void)n_parts;
    if (call->ldb > INT_MAX || call->ldc > INT_MAX)
        return spt_fail(SPT_EINVAL,
                        "spmm_dense_blas: expected leading dimensions of at most %d, found %" PRId64 " and %" PRId64,
                        INT_MAX, call->ldb, call->ldc);
    spt_sgemm *sgemm = spt_blas_sgemm(&prepared->point);
    const float *a = spt_dense_matrix(prepared);
    const int m = (int)prepared->workload.pattern.n_rows, k = (int)prepared->workload.pattern.n_cols;
    const int n = (int)call->n, ldb = (int)call->ldb, ldc = (int)call->ldc;
    if (prepared->workload.problem.layout == SPT_KN) /* C[m,n] = A[m,k] B[k,n] */
        sgemm(SPT_BLAS_ROW_MAJOR, SPT_BLAS_NO_TRANS, SPT_BLAS_NO_TRANS, m, n, k, 1.0f, a, k, call->b, ldb, 0.0f,
              call->c, ldc);
    else /* C[n,m] = B[n,k] A[m,k]^T */
        sgemm(SPT_BLAS_ROW_MAJOR, SPT_BLAS_NO_TRANS, SPT_BLAS_TRANS, n, m, k, 1.0f, call->b, ldb, a, k, 0.0f, call->c,
              ldc);
    spt_epilogue_apply_f32(prepared, call);
    return SPT_OK;
}

const spt_family spt_family_spmm_dense_blas = {
    .name = "spmm_dense_blas",
    .summary = "dense sgemm of a CBLAS library that is present",
    .op = SPT_SPMM,
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
    .run_part = run_part,
    .release = spt_dense_release,
};

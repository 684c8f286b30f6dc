/* SPDX-License-Identifier: Apache-2.0 */
/* sddmm_dense_blas: the whole product X Y^T by sgemm of a CBLAS library, which is an axis, then the places of the mask.
 * What sampling saves is measured against this. The product waits in the workspace. */
#include <inttypes.h>
#include <limits.h>

#include "core/memory.h"
#include "variants/bound.h"
#include "variants/vendor/blas.h"
#include "variants/vendor/dense.h"

static bool is_valid(const spt_workload *workload, const spt_device *device, const spt_point *point) {
    (void)device;
    return spt_dense_fits(workload) && spt_blas_sgemm(point) != NULL;
}

static void release(spt_prepared *prepared) {
    spt_matrix *places = prepared->state;
    if (places == NULL)
        return;
    spt_matrix_fini(places);
    spt_free(places);
    prepared->state = NULL;
}

static spt_status prepare(spt_prepared *prepared, const spt_csr *a) {
    spt_matrix *places;
    spt_csr pattern = *a;
    pattern.values = NULL;
    SPT_TRY(SPT_NEW_ZEROED(places, 1));
    prepared->state = places;
    const spt_status status = spt_matrix_copy(places, &pattern);
    if (status != SPT_OK)
        release(prepared);
    prepared->packed_bytes = (size_t)(a->n_rows + 1) * sizeof(int64_t) + (size_t)spt_csr_nnz(a) * sizeof(int32_t);
    return status;
}

static size_t workspace(const spt_prepared *prepared, int64_t n) {
    const spt_pattern *pattern = &prepared->workload.pattern;
    (void)n;
    return (size_t)(pattern->n_rows * pattern->n_cols) * sizeof(float);
}

static spt_status run_part(const spt_prepared *prepared, const spt_call *call, int part, int n_parts) {
    (void)part;
    (void)n_parts;
    if (call->ldx > INT_MAX || call->ldy > INT_MAX)
        return spt_fail(SPT_EINVAL,
                        "sddmm_dense_blas: expected leading dimensions of at most %d, found %" PRId64 " and %" PRId64,
                        INT_MAX, call->ldx, call->ldy);
    spt_sgemm *sgemm = spt_blas_sgemm(&prepared->point);
    const spt_csr *mask = &((const spt_matrix *)prepared->state)->view;
    const int m = (int)mask->n_rows, k = (int)mask->n_cols, n = (int)call->n;
    const bool is_nk = prepared->workload.problem.layout == SPT_NK; /* X is [n, m] and Y is [n, k] */
    float *product = call->workspace;
    sgemm(SPT_BLAS_ROW_MAJOR, is_nk ? SPT_BLAS_TRANS : SPT_BLAS_NO_TRANS, is_nk ? SPT_BLAS_NO_TRANS : SPT_BLAS_TRANS, m,
          k, n, 1.0f, call->x, (int)call->ldx, call->y, (int)call->ldy, 0.0f, product, k);
    for (int64_t row = 0; row < m; row++) {
        for (int64_t nz = mask->row_offsets[row]; nz < mask->row_offsets[row + 1]; nz++)
            ((float *)call->s)[nz] = product[row * k + mask->columns[nz]];
    }
    return SPT_OK;
}

const spt_family spt_family_sddmm_dense_blas = {
    .name = "sddmm_dense_blas",
    .summary = "the whole dense product by sgemm of a CBLAS library, then the places of the mask",
    .op = SPT_SDDMM,
    .device = SPT_CPU,
    .dtypes = SPT_DTYPE_BIT(SPT_F32),
    .axes = spt_blas_axes,
    .n_axes = 1,
    .revision = 1,
    .is_dense = true,
    .owns_threads = true,
    .available = spt_blas_available,
    .library_version = spt_blas_version,
    .is_valid = is_valid,
    .default_point = spt_blas_default_point,
    .bound_ns = spt_dense_bound_ns,
    .prepare = prepare,
    .workspace = workspace,
    .run_part = run_part,
    .release = release,
};

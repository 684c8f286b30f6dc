/* SPDX-License-Identifier: Apache-2.0 */
/* spmm_cusparse: cuSPARSE's SpMM, every algorithm for CSR and COO, with or without its preprocessing; and its SDDMM.
 * Its formats for blocks are not offered: they would store zeros of unstructured patterns. */
#include <string.h>

#include "variants/cuda/rows.h"
#include "variants/cuda/vendor.h"

enum { AXIS_ALGORITHM, AXIS_PREPROCESS, N_AXES };

static const spt_axis_value algorithm_values[] = {
    {SPT_CUSPARSE_CSR_DEFAULT, "default"}, {SPT_CUSPARSE_CSR1, "csr1"}, {SPT_CUSPARSE_CSR2, "csr2"},
    {SPT_CUSPARSE_CSR3, "csr3"},           {SPT_CUSPARSE_COO1, "coo1"}, {SPT_CUSPARSE_COO2, "coo2"},
    {SPT_CUSPARSE_COO3, "coo3"},           {SPT_CUSPARSE_COO4, "coo4"},
};
static const spt_axis_value preprocess_values[] = {{0, "no"}, {1, "yes"}};
static const spt_axis axes[N_AXES] = {
    [AXIS_ALGORITHM] = {"alg", "cuSPARSE's algorithm", algorithm_values, SPT_CUSPARSE_N_ALGORITHMS},
    [AXIS_PREPROCESS] = {"preprocess", "let it look at the pattern beforehand", preprocess_values, 2},
};

static bool is_coo(const spt_point *point) {
    return spt_point_value(axes, point, AXIS_ALGORITHM) >= SPT_CUSPARSE_COO1;
}

static bool is_valid(const spt_workload *workload, const spt_device *device, const spt_point *point) {
    (void)point;
    return spt_cuda_has_dtype(device, workload->problem.dtype) && workload->pattern.nnz > 0 &&
           workload->pattern.nnz <= INT32_MAX;
}

static double bound_ns(const spt_workload *workload, const spt_device *device, const spt_point *point) {
    (void)point;
    const double item = (double)spt_dtype_bytes(workload->problem.dtype), n = (double)workload->problem.n;
    const double nnz = (double)workload->pattern.nnz, m = (double)workload->pattern.n_rows;
    const double bytes = nnz * (4.0 + item) + (nnz + m) * n * item;
    return spt_cuda_bound_ns(device, 2.0 * nnz * n, false, bytes, 0.0);
}

static spt_status pack_pattern(spt_cuda_packed *out, const spt_csr *a, bool with_row_indices) {
    const int64_t nnz = spt_csr_nnz(a);
    void *rows, *columns;
    SPT_TRY(
        spt_cuda_packed_add(out, "rows", (size_t)(with_row_indices ? nnz : a->n_rows + 1) * sizeof(int32_t), &rows));
    SPT_TRY(spt_cuda_packed_add(out, "columns", (size_t)nnz * sizeof(int32_t), &columns));
    for (int64_t row = 0; row <= a->n_rows && !with_row_indices; row++)
        ((int32_t *)rows)[row] = (int32_t)a->row_offsets[row];
    for (int64_t row = 0; row < a->n_rows && with_row_indices; row++)
        for (int64_t nz = a->row_offsets[row]; nz < a->row_offsets[row + 1]; nz++)
            ((int32_t *)rows)[nz] = (int32_t)row;
    memcpy(columns, a->columns, (size_t)nnz * sizeof(int32_t));
    return SPT_OK;
}

static spt_status pack(spt_cuda_packed *out, const spt_workload *workload, const spt_device *device,
                       const spt_point *point, const spt_csr *a) {
    (void)device;
    const size_t bytes = (size_t)spt_csr_nnz(a) * spt_dtype_bytes(workload->problem.dtype);
    void *values;
    SPT_TRY(pack_pattern(out, a, is_coo(point)));
    SPT_TRY(spt_cuda_packed_add(out, "values", bytes, &values));
    memcpy(values, a->values, bytes);
    return SPT_OK;
}

static spt_status pack_mask(spt_cuda_packed *out, const spt_workload *workload, const spt_device *device,
                            const spt_point *point, const spt_csr *a) {
    (void)workload;
    (void)device;
    (void)point;
    return pack_pattern(out, a, false);
}

static const char *library_version(const spt_point *point) {
    (void)point;
    return spt_cusparse_version();
}

static spt_status open_library(spt_prepared *prepared) {
    return spt_cusparse_open(prepared, (spt_cusparse_algorithm)spt_point_value(axes, &prepared->point, AXIS_ALGORITHM),
                             spt_point_value(axes, &prepared->point, AXIS_PREPROCESS) != 0);
}

static spt_status open_sddmm(spt_prepared *prepared) {
    return spt_cusparse_open(prepared, SPT_CUSPARSE_CSR_DEFAULT, true);
}

static const spt_cuda_kernel cuda = {
    .describe = spt_cuda_epilogue_describe,
    .pack = pack,
    .n_launches = spt_cuda_epilogue_launches,
    .launch = spt_cuda_epilogue_launch,
    .library_open = open_library,
    .library_run = spt_cusparse_run,
    .library_close = spt_cusparse_close,
};
static const spt_cuda_kernel cuda_sddmm = {
    .pack = pack_mask,
    .library_open = open_sddmm,
    .library_run = spt_cusparse_run,
    .library_close = spt_cusparse_close,
};

const spt_family spt_family_spmm_cusparse = {
    .name = "spmm_cusparse",
    .summary = "SpMM of cuSPARSE where it is present",
    .op = SPT_SPMM,
    SPT_CUDA_LIBRARY_VERBS,
    .dtypes = SPT_DTYPE_BIT(SPT_F32) | SPT_DTYPE_BIT(SPT_F16) | SPT_DTYPE_BIT(SPT_BF16),
    .axes = axes,
    .n_axes = N_AXES,
    .takes_residual = true,
    .revision = 1,
    .cuda = &cuda,
    .available = spt_cusparse_available,
    .library_version = library_version,
    .is_valid = is_valid,
    .default_point = spt_family_first_point,
    .bound_ns = bound_ns,
};

const spt_family spt_family_sddmm_cusparse = {
    .name = "sddmm_cusparse",
    .summary = "SDDMM of cuSPARSE where it is present",
    .op = SPT_SDDMM,
    SPT_CUDA_LIBRARY_VERBS,
    .dtypes = SPT_DTYPE_BIT(SPT_F32),
    .revision = 1,
    .cuda = &cuda_sddmm,
    .available = spt_cusparse_available,
    .library_version = library_version,
    .is_valid = is_valid,
    .default_point = spt_family_first_point,
    .bound_ns = bound_ns,
};

/* SPDX-License-Identifier: Apache-2.0 */
/* spmm_dense_cublas: ignore the zeros and call cuBLASLt, in f32, tf32, f16 or bf16 with f32 sums. For f32 problems TF32
 * is no point, because it does not keep f32's accuracy; the bench shows it as a rival there. */
#include "variants/cuda/rows.h"
#include "variants/cuda/vendor.h"

static const spt_axis_value rank_values[] = {{0, NULL}, {1, NULL}, {2, NULL}, {3, NULL}};
static const spt_axis axes[] = {{"rank", "place in cuBLASLt's own list of algorithms", rank_values, 4}};

static bool is_valid(const spt_workload *workload, const spt_device *device, const spt_point *point) {
    (void)point;
    return spt_cuda_has_dtype(device, workload->problem.dtype) && spt_cuda_dense_fits(workload);
}

static const char *library_version(const spt_point *point) {
    (void)point;
    return spt_cublaslt_version();
}

static spt_status open_library(spt_prepared *prepared) {
    return spt_cublaslt_open(prepared, spt_point_value(axes, &prepared->point, 0),
                             prepared->workload.problem.dtype == SPT_TF32);
}

static const spt_cuda_kernel cuda = {
    .describe = spt_cuda_epilogue_describe,
    .pack = spt_cuda_pack_dense,
    .n_launches = spt_cuda_epilogue_launches,
    .launch = spt_cuda_epilogue_launch,
    .library_open = open_library,
    .library_run = spt_cublaslt_run,
    .library_close = spt_cublaslt_close,
};

const spt_family spt_family_spmm_dense_cublas = {
    .name = "spmm_dense_cublas",
    .summary = "dense product of cuBLASLt where it is present",
    .op = SPT_SPMM,
    SPT_CUDA_LIBRARY_VERBS,
    .dtypes = SPT_DTYPE_BIT(SPT_F32) | SPT_DTYPE_BIT(SPT_TF32) | SPT_DTYPE_BIT(SPT_F16) | SPT_DTYPE_BIT(SPT_BF16),
    .axes = axes,
    .n_axes = 1,
    .takes_residual = true,
    .revision = 1,
    .is_dense = true,
    .pads_zeros = true,
    .names_algorithm = true,
    .cuda = &cuda,
    .available = spt_cublaslt_available,
    .library_version = library_version,
    .is_valid = is_valid,
    .default_point = spt_family_first_point,
    .bound_ns = spt_cuda_dense_bound_ns,
    .workspace = spt_cuda_vendor_workspace,
};

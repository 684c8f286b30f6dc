/* SPDX-License-Identifier: Apache-2.0 */
/* cuBLASLt with TF32: f32 operands that are rounded to 10 bits of fraction. Faster than f32 and not as accurate, so it
 * is shown beside f32's dense product and never chosen for it. Its tolerance is that of rounded operands: 2^-11 for
 * each factor, where f32's sums allow 2^-23 for each of at least two terms. */
#include "tuner/rivals/rivals.h"
#include "variants/cuda/vendor.h"

static bool is_valid(const spt_workload *workload, const spt_device *device, const spt_point *point) {
    (void)point;
    return device->compute_capability >= 80 && spt_cuda_dense_fits(workload);
}

static const char *library_version(const spt_point *point) {
    (void)point;
    return spt_cublaslt_version();
}

static spt_status open_library(spt_prepared *prepared) {
    return spt_cublaslt_open(prepared, 0, true);
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

const spt_family spt_family_rival_cublas_tf32 = {
    .name = "rival_cublas_tf32",
    .summary = "dense product of cuBLASLt in TF32",
    .op = SPT_SPMM,
    SPT_CUDA_LIBRARY_VERBS,
    .dtypes = SPT_DTYPE_BIT(SPT_F32),
    .revision = 1,
    .pads_zeros = true,
    .tolerance_scale = 0x1p11,
    .cuda = &cuda,
    .workspace = spt_cuda_vendor_workspace,
    .available = spt_cublaslt_available,
    .library_version = library_version,
    .is_valid = is_valid,
    .default_point = spt_family_first_point,
    .bound_ns = spt_rival_bound_ns,
};

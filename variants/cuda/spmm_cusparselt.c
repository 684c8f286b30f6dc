/* SPDX-License-Identifier: Apache-2.0 */
/* spmm_cusparselt: 2:4 patterns through NVIDIA's cuSPARSELt (Mishra et al., arXiv 2104.08378): sparse tensor cores, f16
 * and bf16. Its algorithm and split of k are axes; points are numbers of one version, so another version is a miss. */
#include "variants/cuda/vendor.h"

enum { AXIS_ALGORITHM, AXIS_SPLIT, AXIS_MODE, N_AXES };

static const spt_axis_value algorithm_values[] = {
    {0, NULL},  {1, NULL},  {2, NULL},  {3, NULL},  {4, NULL},  {5, NULL},  {6, NULL},  {7, NULL},
    {8, NULL},  {9, NULL},  {10, NULL}, {11, NULL}, {12, NULL}, {13, NULL}, {14, NULL}, {15, NULL},
    {16, NULL}, {17, NULL}, {18, NULL}, {19, NULL}, {20, NULL}, {21, NULL}, {22, NULL}, {23, NULL},
};
static const spt_axis_value split_values[] = {{1, NULL}, {2, NULL}, {3, NULL}, {4, NULL}, {8, NULL}};
static const spt_axis_value mode_values[] = {{0, "one_kernel"}, {1, "two_kernels"}};
static const spt_axis axes[N_AXES] = {
    [AXIS_ALGORITHM] = {"alg", "cuSPARSELt's number of its algorithm", algorithm_values,
                        sizeof algorithm_values / sizeof algorithm_values[0]},
    [AXIS_SPLIT] = {"split", "parts of k", split_values, sizeof split_values / sizeof split_values[0]},
    [AXIS_MODE] = {"mode", "how the parts of k are added up", mode_values, 2},
};

/* Its 16-bit types want multiples of 16 everywhere; 2:4 as such is a matter of the pattern. */
static bool is_valid(const spt_workload *workload, const spt_device *device, const spt_point *point) {
    const spt_pattern *pattern = &workload->pattern;
    const bool has_split = spt_point_value(axes, point, AXIS_SPLIT) > 1;
    return device->compute_capability >= 80 && pattern->nnz > 0 && pattern->features.keep_2of4 >= 1.0 &&
           pattern->n_rows % 16 == 0 && pattern->n_cols % 32 == 0 && workload->problem.n % 16 == 0 &&
           (has_split || spt_point_value(axes, point, AXIS_MODE) == 0) && spt_cuda_dense_fits(workload);
}

static double bound_ns(const spt_workload *workload, const spt_device *device, const spt_point *point) {
    return 0.6 * spt_cuda_dense_bound_ns(workload, device, point); /* half the multiply-adds, none for free */
}

static const char *library_version(const spt_point *point) {
    (void)point;
    return spt_cusparselt_version();
}

static spt_status open_library(spt_prepared *prepared) {
    const spt_point *point = &prepared->point;
    return spt_cusparselt_open(prepared, spt_point_value(axes, point, AXIS_ALGORITHM),
                               spt_point_value(axes, point, AXIS_SPLIT), spt_point_value(axes, point, AXIS_MODE) != 0);
}

static const spt_cuda_kernel cuda = {
    .describe = spt_cuda_epilogue_describe,
    .pack = spt_cuda_pack_dense,
    .n_launches = spt_cuda_epilogue_launches,
    .launch = spt_cuda_epilogue_launch,
    .library_open = open_library,
    .library_refresh = spt_cusparselt_refresh,
    .library_run = spt_cusparselt_run,
    .library_close = spt_cusparselt_close,
};

const spt_family spt_family_spmm_cusparselt = {
    .name = "spmm_cusparselt",
    .summary = "2:4 patterns by cuSPARSELt where it is present, arXiv 2104.08378",
    .op = SPT_SPMM,
    SPT_CUDA_LIBRARY_VERBS,
    .dtypes = SPT_DTYPE_BIT(SPT_F16) | SPT_DTYPE_BIT(SPT_BF16),
    .axes = axes,
    .n_axes = N_AXES,
    .takes_residual = true,
    .revision = 1,
    .names_algorithm = true,
    .cuda = &cuda,
    .workspace = spt_cuda_vendor_workspace,
    .available = spt_cusparselt_available,
    .library_version = library_version,
    .is_valid = is_valid,
    .default_point = spt_family_first_point,
    .bound_ns = bound_ns,
};

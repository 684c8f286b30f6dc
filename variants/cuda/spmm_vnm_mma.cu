/* SPDX-License-Identifier: Apache-2.0 */
/* spmm_vnm_mma: V:N:M patterns on sparse tensor cores: blocks of V rows keep four of M columns, and of those four a row
 * keeps two. After Castro, Ivanov, Andrade, Ben-Nun, Fraguela and Hoefler, "VENOM: A Vectorized N:M Format for
 * Unleashing the Power of Sparse Tensor Cores", SC 2023 (arXiv 2310.02065). The rows of B that a group of V rows uses
 * are gathered into shared memory in stages of cp.async, and mma.sp multiplies them as if they were neighbours. A group
 * is packed from whatever columns its rows use (spmm_vnm_mma_pack.h), so M is no parameter, the V of the kernel may be
 * smaller than the pattern's, and other patterns are right, too, but slow. Layout nk: B is transposed into the
 * workspace first. Not confirmed on hardware, so never an untuned answer. Bound: multiply-adds of four columns a block,
 * of which the instruction does half, or gathered rows of B through L2. */
#ifndef __CUDACC_RTC__
#include <math.h>
#include <string.h>

#include "core/memory.h"
#include "variants/cuda/kernel.h"
#include "variants/cuda/rows.h"
#include "variants/cuda/spmm_vnm_mma_pack.h"
#include "variants/cuda/transpose.h"

SPT_CUDA_TEXT(spmm_vnm_mma);

enum { AXIS_V, AXIS_TILES_M, AXIS_WARPS_N, AXIS_TILES_N, AXIS_SLOTS, AXIS_STAGES, N_AXES };
enum { BUFFER_STARTS, BUFFER_COLUMNS, BUFFER_VALUES, BUFFER_METADATA };
enum { KERNEL_PRODUCT, KERNEL_TRANSPOSE };
enum { TILE_ROWS = 16, LANES = 32, GRID_Y_MAX = 65535 };

static const spt_axis_value v_values[] = {{32, NULL}, {64, NULL}, {128, NULL}};
static const spt_axis_value tiles_m_values[] = {{1, NULL}, {2, NULL}};
static const spt_axis_value warps_n_values[] = {{1, NULL}, {2, NULL}, {4, NULL}};
static const spt_axis_value tiles_n_values[] = {{2, NULL}, {4, NULL}, {8, NULL}};
static const spt_axis_value slots_values[] = {{32, NULL}, {64, NULL}};
static const spt_axis_value stages_values[] = {{2, NULL}, {3, NULL}};
static const spt_axis axes[N_AXES] = {
    [AXIS_V] = {"v", "rows of a block, which share columns", v_values, 3},
    [AXIS_TILES_M] = {"tm", "tiles of 16 rows of a warp", tiles_m_values, 2},
    [AXIS_WARPS_N] = {"wn", "warps of a block along columns", warps_n_values, 3},
    [AXIS_TILES_N] = {"tn", "tiles of 8 columns of a warp", tiles_n_values, 3},
    [AXIS_SLOTS] = {"slots", "gathered rows of B in a stage", slots_values, 2},
    [AXIS_STAGES] = {"stages", "stages of B in shared memory", stages_values, 2},
};

static int value_of(const spt_point *point, int axis) {
    return spt_point_value(axes, point, axis);
}

static int columns_of_block(const spt_point *point) {
    return value_of(point, AXIS_WARPS_N) * value_of(point, AXIS_TILES_N) * 8;
}

static int threads_of(const spt_point *point) {
    return LANES * value_of(point, AXIS_WARPS_N) * value_of(point, AXIS_V) / TILE_ROWS / value_of(point, AXIS_TILES_M);
}

static int64_t shared_bytes(const spt_point *point) {
    return (int64_t)value_of(point, AXIS_STAGES) * value_of(point, AXIS_SLOTS) * (2 * columns_of_block(point) + 16);
}

/* Two of four fill half of the kept columns at least, whichever rows one looks at: more than unstructured patterns of
 * so many nonzeros do. Patterns denser than 2 of 5 are for spmm_24_mma. */
static bool is_pattern(const spt_pattern *pattern) {
    const double density = pattern->features.density, fill = pattern->features.fill_4x1;
    const double unstructured = density / (1.0 - pow(1.0 - density, 4.0));
    return pattern->nnz > 0 && density <= 0.45 && fill >= 0.45 && fill >= 1.05 * unstructured;
}

static bool is_valid(const spt_workload *workload, const spt_device *device, const spt_point *point) {
    const spt_pattern *pattern = &workload->pattern;
    return is_pattern(pattern) && device->compute_capability >= 80 && threads_of(point) <= 512 &&
           pattern->n_rows / value_of(point, AXIS_V) < GRID_Y_MAX && shared_bytes(point) <= device->shared_bytes_max &&
           (columns_of_block(point) / 2 < workload->problem.n || columns_of_block(point) == 16) &&
           (value_of(point, AXIS_V) / 2 < pattern->n_rows || value_of(point, AXIS_V) == 32);
}

/* 64 x 64 of C in four warps. */
static void default_point(const spt_workload *workload, const spt_device *device, spt_point *out) {
    (void)device;
    *out = (spt_point){{[AXIS_V] = 1,
                        [AXIS_TILES_M] = 1,
                        [AXIS_WARPS_N] = 1,
                        [AXIS_TILES_N] = 1,
                        [AXIS_SLOTS] = 1,
                        [AXIS_STAGES] = 1}};
    if (workload->problem.n <= 32)
        out->index[AXIS_WARPS_N] = 0;
    if (workload->problem.n <= 16)
        out->index[AXIS_TILES_N] = 0;
    if (workload->pattern.n_rows <= 32)
        out->index[AXIS_V] = 0;
}

/* A group's slots are twice its rows' mean length, and no more than K. */
static double bound_ns(const spt_workload *workload, const spt_device *device, const spt_point *point) {
    const spt_pattern *pattern = &workload->pattern;
    const double n = (double)workload->problem.n, m = (double)pattern->n_rows, k = (double)pattern->n_cols;
    const double wanted = 2.0 * pattern->features.row_mean, slots = wanted < k ? wanted : k;
    const double groups = (double)spt_ceil_div(pattern->n_rows, value_of(point, AXIS_V));
    const double a_bytes = m * slots * (1.0 + 0.125) + 4.0 * groups * slots, dense = 2.0 * n * (k + m);
    const bool is_nk = workload->problem.layout == SPT_NK;
    const double again = is_nk ? 4.0 * n * k : 0.0;
    return spt_cuda_bound_ns(device, m * slots * n, true,
                             2.0 * groups * slots * n + a_bytes * ceil(n / columns_of_block(point)) + 2.0 * n * m +
                                 again,
                             a_bytes + dense) +
           (is_nk ? 1500.0 : 0.0);
}

static spt_status describe(spt_cuda_source *out, const spt_workload *workload, const spt_device *device,
                           const spt_point *point, const spt_csr *a) {
    static const char *const kernels_kn[] = {"spmm_vnm_mma"};
    static const char *const kernels_nk[] = {"spmm_vnm_mma", "transpose_b"};
    const bool is_nk = workload->problem.layout == SPT_NK;
    (void)device, (void)a;
    if (is_nk)
        SPT_CUDA_SOURCE(out, spmm_vnm_mma, kernels_nk, workload);
    else
        SPT_CUDA_SOURCE(out, spmm_vnm_mma, kernels_kn, workload);
    spt_cuda_source_split(out, is_nk ? 1u << KERNEL_TRANSPOSE : 0);
    spt_cuda_define(out, "SPT_V", value_of(point, AXIS_V));
    spt_cuda_define(out, "SPT_TILES_M", value_of(point, AXIS_TILES_M));
    spt_cuda_define(out, "SPT_WARPS_N", value_of(point, AXIS_WARPS_N));
    spt_cuda_define(out, "SPT_TILES_N", value_of(point, AXIS_TILES_N));
    spt_cuda_define(out, "SPT_SLOTS", value_of(point, AXIS_SLOTS));
    spt_cuda_define(out, "SPT_STAGES", value_of(point, AXIS_STAGES));
    return SPT_OK;
}

static spt_status pack(spt_cuda_packed *out, const spt_workload *workload, const spt_device *device,
                       const spt_point *point, const spt_csr *a) {
    (void)device;
    return spt_vnm_pack(out, workload->problem.dtype, a, value_of(point, AXIS_V));
}

static spt_status launch(spt_cuda_launch *out, const spt_prepared *prepared, const spt_call *call, int index) {
    const spt_point *point = &prepared->point;
    const int64_t m = prepared->workload.pattern.n_rows;
    const bool is_nk = prepared->workload.problem.layout == SPT_NK;
    SPT_TRY(spt_check_i32(call->ldb, "the leading dimension of B"));
    SPT_TRY(spt_check_i32(call->n + 65536, "n"));
    if (is_nk && index == 0)
        return spt_launch_transpose(out, KERNEL_TRANSPOSE, prepared, call);
    out->kernel = KERNEL_PRODUCT;
    out->grid[0] = (uint32_t)spt_ceil_div(call->n, columns_of_block(point));
    out->grid[1] = (uint32_t)spt_ceil_div(m, value_of(point, AXIS_V));
    out->grid[2] = out->block[1] = out->block[2] = 1;
    out->block[0] = (uint32_t)threads_of(point);
    out->shared_bytes = (uint32_t)shared_bytes(point);
    if (is_nk)
        spt_cuda_pass_workspace(out, 0);
    else
        spt_cuda_pass_operand(out, 'b');
    spt_cuda_pass_operand(out, 'c');
    spt_cuda_pass_operand(out, 'i');
    spt_cuda_pass_buffer(out, BUFFER_STARTS);
    spt_cuda_pass_buffer(out, BUFFER_COLUMNS);
    spt_cuda_pass_buffer(out, BUFFER_VALUES);
    spt_cuda_pass_buffer(out, BUFFER_METADATA);
    spt_cuda_pass_i32(out, m);
    spt_cuda_pass_i32(out, call->n);
    spt_cuda_pass_i64(out, is_nk ? spt_transposed_ld(call->n) : call->ldb);
    spt_cuda_pass_i64(out, call->ldc);
    spt_cuda_pass_i32(out, is_nk || spt_is_aligned(call->b, call->ldb, prepared->workload.problem.dtype, 16));
    spt_cuda_pass_operand(out, 'r');
    spt_cuda_pass_i64(out, call->ldr);
    return SPT_OK;
}

static const spt_cuda_kernel kernel = {.describe = describe,
                                       .pack = pack,
                                       .n_launches = spt_transposed_n_launches,
                                       .launch = launch,
                                       .is_unconfirmed = true};

const spt_family spt_family_spmm_vnm_mma = {
    .name = "spmm_vnm_mma",
    .summary = "CUDA: V:N:M on sparse tensor cores, mma.sp (after Castro et al., SC 2023); not confirmed on hardware",
    .op = SPT_SPMM,
    .dtypes = SPT_DTYPE_BIT(SPT_F16) | SPT_DTYPE_BIT(SPT_BF16),
    .axes = axes,
    .n_axes = N_AXES,
    .revision = 2,
    .pads_zeros = true,
    .takes_residual = true,
    .cuda = &kernel,
    .is_valid = is_valid,
    .default_point = default_point,
    .bound_ns = bound_ns,
    .workspace = spt_transposed_workspace,
    SPT_CUDA_VERBS,
};

#else // kernel half
#if SPT_HAS_ENTRY(0)
#define SPT_WARPS_M (SPT_V / 16 / SPT_TILES_M)
#define SPT_THREADS (32 * SPT_WARPS_M * SPT_WARPS_N)
#define SPT_COLUMNS (8 * SPT_TILES_N * SPT_WARPS_N) /* of C in a block */
#define SPT_STRIDE (SPT_COLUMNS + 8)                /* eight rows in shared memory lie in different banks */
#define SPT_STAGE (SPT_SLOTS * SPT_STRIDE)
#define SPT_STEPS (SPT_SLOTS / 32) /* in a stage */

SPT_PACK(spt_fragment, unsigned, 4);

/* The rows of B in slots [slot, slot + SPT_SLOTS) of the group, which ends before slot `end`; what has none is zero. */
SPT_DEVICE void gather_stage(spt_element *stage, const spt_element *b, const int *columns, long long ldb, int n,
                             int slot, int end, int first_col, int is_aligned) {
    SPT_NO_UNROLL
    for (int i = threadIdx.x; i < SPT_SLOTS * SPT_COLUMNS / 8; i += SPT_THREADS) {
        const int row = i / (SPT_COLUMNS / 8), item = i % (SPT_COLUMNS / 8) * 8;
        int k = -1;
        if (slot + row < end)
            k = spt_ldg(columns + slot + row);
        const int left = k >= 0 ? spt_max(0, spt_min(8, n - first_col - item)) : 0;
        const spt_element *from = b + k * ldb + first_col + item;
        spt_element *to = stage + row * SPT_STRIDE + item;
        if (is_aligned) {
            spt_cp_async(to, left > 0 ? from : b, 16, 2 * left);
        } else {
            for (int j = 0; j < 8; j++) {
                spt_element v = 0;
                if (j < left)
                    v = spt_ldg(from + j);
                spt_sts(to + j, v);
            }
        }
    }
}

SPT_DEVICE void multiply(float *sum, const unsigned *a, const unsigned *b, unsigned metadata) {
#if SPT_DTYPE == 2
    spt_mma_sp_f16(sum, a, b, metadata);
#else
    spt_mma_sp_bf16(sum, a, b, metadata);
#endif
}

SPT_KERNEL SPT_BOUNDS(SPT_THREADS, 1)
    spmm_vnm_mma(const spt_element *b, spt_element *c, const spt_element *bias, const int *starts, const int *columns,
                 const spt_fragment *values, const unsigned *metadata, int m, int n, long long ldb, long long ldc,
                 int is_aligned, const spt_element *residual, long long ldr) {
    SPT_SHARED_DYNAMIC(spt_element, shared);
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    const int block_col = blockIdx.x * SPT_COLUMNS, warp_col = warp / SPT_WARPS_M * SPT_TILES_N * 8;
    const int begin = spt_ldg(starts + blockIdx.y), end = spt_ldg(starts + blockIdx.y + 1), n_steps = end - begin;
    const int n_stages = (n_steps + SPT_STEPS - 1) / SPT_STEPS;
    const int warp_tile = warp % SPT_WARPS_M * SPT_TILES_M; /* in the group */
    const int first_tile = begin * (SPT_V / 16) + warp_tile * n_steps;
    float sum[SPT_TILES_M][SPT_TILES_N][4];
    SPT_UNROLL
    for (int i = 0; i < SPT_TILES_M; i++)
        SPT_UNROLL
    for (int j = 0; j < SPT_TILES_N; j++)
        SPT_UNROLL
    for (int e = 0; e < 4; e++)
        sum[i][j][e] = 0.0f;

    /* The first turns only fill stages: a loop of their own would be a second copy of gather_stage to compile. */
    SPT_NO_UNROLL
    for (int s = -(SPT_STAGES - 1); s < n_stages; s++) {
        if (s >= 0) {
            spt_cp_async_wait(SPT_STAGES - 2);
            __syncthreads();
        }
        const int ahead = s + SPT_STAGES - 1;
        if (ahead < n_stages)
            gather_stage(shared + ahead % SPT_STAGES * SPT_STAGE, b, columns, ldb, n, begin * 32 + ahead * SPT_SLOTS,
                         end * 32, block_col, is_aligned);
        spt_cp_async_commit();
        if (s < 0)
            continue;
        const spt_element *stage = shared + s % SPT_STAGES * SPT_STAGE;
        SPT_UNROLL
        for (int inner = 0; inner < SPT_STEPS; inner++) {
            const int step = s * SPT_STEPS + inner;
            spt_fragment a[SPT_TILES_M];
            unsigned places[SPT_TILES_M];
            if (step >= n_steps)
                break;
            SPT_UNROLL
            for (int i = 0; i < SPT_TILES_M; i++) {
                const int tile = first_tile + i * n_steps + step;
                a[i] = spt_ldg(values + tile * 32 + lane);
                places[i] = spt_ldg(metadata + tile * 16 + lane / 4 * 2 + lane % 2);
            }
            SPT_UNROLL
            for (int j = 0; j < SPT_TILES_N; j++) {
                /* register r has rows 8 r .. 8 r + 7 of the step's 32 gathered ones */
                unsigned fragment[4];
                spt_ldmatrix_x4_trans(fragment, stage + (inner * 32 + lane) * SPT_STRIDE + warp_col + 8 * j);
                SPT_UNROLL
                for (int i = 0; i < SPT_TILES_M; i++)
                    multiply(sum[i][j], a[i].v, fragment, places[i]);
            }
        }
    }
    spt_cp_async_wait_all();
    const int first_row = blockIdx.y * SPT_V + warp_tile * 16 + lane / 4,
              first_col = block_col + warp_col + lane % 4 * 2;
    SPT_UNROLL
    for (int i = 0; i < 2 * SPT_TILES_M; i++) {
        const int row = first_row + 8 * i;
        const float start = spt_bias_of(bias, row, row < m);
        SPT_UNROLL
        for (int j = 0; j < 2 * SPT_TILES_N; j++) {
            const int col = first_col + j / 2 * 8 + j % 2;
            spt_finish_element(spt_at(c, ldc, row, col), spt_at(residual, ldr, row, col),
                               sum[i / 2][j / 2][i % 2 * 2 + j % 2] + start, row < m && col < n);
        }
    }
}
#endif

#if SPT_LAYOUT_NK && SPT_HAS_ENTRY(1)
SPT_KERNEL SPT_BOUNDS(256, 1)
    transpose_b(spt_element *out, long long ld_out, const spt_element *b, long long ldb, int n, int k) {
    spt_transpose(out, ld_out, b, ldb, n, k);
}
#endif
#endif // __CUDACC_RTC__

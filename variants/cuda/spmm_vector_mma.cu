/* SPDX-License-Identifier: Apache-2.0 */
/* spmm_vector_mma: rows in groups of V whose nonzeros stand below each other, on dense tensor cores. After Chen, Qu, Ding,
 * Xie and Xie, "Efficient Tensor Core-Based GPU Kernels for Structured Sparsity under Reduced Precision", SC 2021. The
 * product is turned around, C^T = B^T A^T, so that eight rows of A are the narrow side of mma.m16n8k16 and no part of it
 * is wasted. The rows of B that a group uses are gathered into shared memory in stages of cp.async. A group takes the
 * union of its rows' columns, so that other patterns are right, too, but slow. Layout nk: B is transposed into the workspace
 * first.
 * Bound: multiply-adds of the unions, or gathered rows of B through L2. Not confirmed on hardware. */
#ifndef __CUDACC_RTC__
#include <math.h>
#include <string.h>

#include "core/memory.h"
#include "variants/cuda/kernel.h"
#include "variants/cuda/rows.h"
#include "variants/cuda/transpose.h"

SPT_CUDA_TEXT(spmm_vector_mma);

enum { AXIS_V, AXIS_WARPS, AXIS_TILES, AXIS_STEPS, AXIS_STAGES, N_AXES };
enum { BUFFER_STARTS, BUFFER_COLUMNS, BUFFER_VALUES };
enum { KERNEL_PRODUCT, KERNEL_TRANSPOSE };
enum { STEP = 16, LANES = 32, LANE_VALUES = 4, GRID_Y_MAX = 65535 };

static const spt_axis_value v_values[] = {{8, NULL}, {16, NULL}, {32, NULL}};
static const spt_axis_value warps_values[] = {{1, NULL}, {2, NULL}, {4, NULL}};
static const spt_axis_value tiles_values[] = {{1, NULL}, {2, NULL}, {4, NULL}};
static const spt_axis_value steps_values[] = {{1, NULL}, {2, NULL}, {4, NULL}};
static const spt_axis_value stages_values[] = {{2, NULL}, {3, NULL}, {4, NULL}};
static const spt_axis axes[N_AXES] = {
    [AXIS_V] = {"v", "rows of a group, which share columns", v_values, 3},
    [AXIS_WARPS] = {"warps", "warps of a block, side by side along columns", warps_values, 3},
    [AXIS_TILES] = {"tiles", "tiles of 16 columns of a warp", tiles_values, 3},
    [AXIS_STEPS] = {"steps", "steps of 16 gathered rows of B in a stage", steps_values, 3},
    [AXIS_STAGES] = {"stages", "stages of B in shared memory", stages_values, 3},
};

static int value_of(const spt_point *point, int axis) {
    return spt_point_value(axes, point, axis);
}

static int columns_of_block(const spt_point *point) {
    return value_of(point, AXIS_WARPS) * value_of(point, AXIS_TILES) * 16;
}

static int64_t shared_bytes(const spt_point *point) {
    return (int64_t)value_of(point, AXIS_STAGES) * value_of(point, AXIS_STEPS) * STEP *
           (2 * columns_of_block(point) + 16);
}

static bool is_valid(const spt_workload *workload, const spt_device *device, const spt_point *point) {
    const spt_pattern *pattern = &workload->pattern;
    return pattern->nnz > 0 && pattern->features.fill_4x1 >= 0.75 &&
           device->compute_capability >= 80 && pattern->n_rows / value_of(point, AXIS_V) < GRID_Y_MAX &&
           shared_bytes(point) <= device->shared_bytes_max &&
           (columns_of_block(point) / 2 < workload->problem.n || columns_of_block(point) == 16) &&
           value_of(point, AXIS_V) / 8 * value_of(point, AXIS_TILES) <= 16 &&
           (value_of(point, AXIS_V) / 2 < pattern->n_rows || value_of(point, AXIS_V) == 8);
}

static void default_point(const spt_workload *workload, const spt_device *device, spt_point *out) {
    (void)device;
    *out = (spt_point){{[AXIS_STEPS] = 1, [AXIS_STAGES] = 1}};
    while (out->index[AXIS_WARPS] < 2 && columns_of_block(out) < workload->problem.n)
        out->index[AXIS_WARPS]++;
    if (columns_of_block(out) < workload->problem.n)
        out->index[AXIS_TILES]++;
}

/* A group's union is about its rows' mean over the fill of columns of four, and no more than K. */
static double bound_ns(const spt_workload *workload, const spt_device *device, const spt_point *point) {
    const spt_pattern *pattern = &workload->pattern;
    const double n = (double)workload->problem.n, m = (double)pattern->n_rows, k = (double)pattern->n_cols;
    const double wanted = pattern->features.row_mean / pattern->features.fill_4x1, used = wanted < k ? wanted : k;
    const double groups = (double)spt_ceil_div(pattern->n_rows, value_of(point, AXIS_V));
    const double a_bytes = 2.0 * m * used, dense = 2.0 * n * (k + m);
    const bool is_nk = workload->problem.layout == SPT_NK;
    const double again = is_nk ? 4.0 * n * k : 0.0;
    return spt_cuda_bound_ns(device, 2.0 * m * used * n, true,
                             2.0 * groups * used * n + a_bytes * ceil(n / columns_of_block(point)) + 2.0 * n * m +
                                 again,
                             a_bytes + dense) +
           (is_nk ? 1500.0 : 0.0);
}

static spt_status describe(spt_cuda_source *out, const spt_workload *workload, const spt_device *device,
                           const spt_point *point, const spt_csr *a) {
    static const char *const kernels_kn[] = {"spmm_vector_mma"};
    static const char *const kernels_nk[] = {"spmm_vector_mma", "transpose_b"};
    (void)device, (void)a;
    if (workload->problem.layout == SPT_KN)
        SPT_CUDA_SOURCE(out, spmm_vector_mma, kernels_kn, workload);
    else
        SPT_CUDA_SOURCE(out, spmm_vector_mma, kernels_nk, workload);
    spt_cuda_define(out, "SPT_V", value_of(point, AXIS_V));
    spt_cuda_define(out, "SPT_WARPS", value_of(point, AXIS_WARPS));
    spt_cuda_define(out, "SPT_TILES", value_of(point, AXIS_TILES));
    spt_cuda_define(out, "SPT_STEPS", value_of(point, AXIS_STEPS));
    spt_cuda_define(out, "SPT_STAGES", value_of(point, AXIS_STAGES));
    return SPT_OK;
}

/* Mark the columns that rows [first, end) use: place[column] becomes its number in the union, -1 elsewhere. */
static int64_t make_union(int32_t *place, const spt_csr *a, int64_t first, int64_t end) {
    int64_t count = 0;
    for (int64_t column = 0; column < a->n_cols; column++)
        place[column] = -1;
    for (int64_t row = first; row < end; row++) {
        for (int64_t nz = a->row_offsets[row]; nz < a->row_offsets[row + 1]; nz++)
            place[a->columns[nz]] = 0;
    }
    for (int64_t column = 0; column < a->n_cols; column++)
        if (place[column] == 0)
            place[column] = (int32_t)count++;
    return count;
}

static int64_t end_of_group(const spt_csr *a, int64_t group, int v) {
    return (group + 1) * v < a->n_rows ? (group + 1) * v : a->n_rows;
}

/* The group's columns, -1 behind the last one, and its values in the order of fragments: of every step and eight rows, a
 * lane has the values at columns 2 t, 2 t + 1, 2 t + 8, 2 t + 9 of row g, where g = lane / 4 and t = lane % 4. */
static void pack_group(int32_t *columns, void *values, const spt_workload *workload, const spt_csr *a,
                       const int32_t *place, int64_t first_step, int64_t n_steps, int64_t group, int v) {
    const int64_t first = group * v, end = end_of_group(a, group, v);
    for (int64_t i = 0; i < n_steps * STEP; i++)
        columns[first_step * STEP + i] = -1;
    for (int64_t row = first; row < end; row++) {
        for (int64_t nz = a->row_offsets[row]; nz < a->row_offsets[row + 1]; nz++) {
            const int64_t at = place[a->columns[nz]], step = first_step + at / STEP, here = at % STEP;
            const int64_t tile = step * (v / 8) + (row - first) / 8;
            const int64_t lane = (row - first) % 8 * 4 + here % 8 / 2;
            columns[first_step * STEP + at] = a->columns[nz];
            spt_copy_element(workload->problem.dtype, values,
                             (tile * LANES + lane) * LANE_VALUES + here / 8 * 2 + here % 2, a->values, nz);
        }
    }
}

static spt_status pack(spt_cuda_packed *out, const spt_workload *workload, const spt_device *device,
                       const spt_point *point, const spt_csr *a) {
    const int v = value_of(point, AXIS_V);
    const int64_t n_groups = spt_ceil_div(a->n_rows, v);
    void *starts_data, *columns, *values;
    int32_t *place, *starts;
    spt_status status = SPT_OK;
    (void)device;
    SPT_TRY(SPT_NEW(place, a->n_cols));
    SPT_TRY_TO(done, spt_cuda_packed_add(out, "starts", (size_t)(n_groups + 1) * 4, &starts_data));
    starts = starts_data;
    int64_t n_steps = 0;
    for (int64_t group = 0; group < n_groups; group++) {
        starts[group] = (int32_t)n_steps;
        n_steps += spt_ceil_div(make_union(place, a, group * v, end_of_group(a, group, v)), STEP);
        SPT_TRY_TO(done, spt_check_i32(n_steps * STEP * v, "values of column vectors"));
    }
    starts[n_groups] = (int32_t)n_steps;
    SPT_TRY_TO(done, spt_cuda_packed_add(out, "columns", (size_t)(n_steps * STEP) * 4, &columns));
    SPT_TRY_TO(done, spt_cuda_packed_add(out, "values", (size_t)(n_steps * STEP * v) * 2, &values));
    for (int64_t group = 0; group < n_groups; group++) {
        make_union(place, a, group * v, end_of_group(a, group, v));
        pack_group(columns, values, workload, a, place, starts[group], starts[group + 1] - starts[group], group, v);
    }
done:
    spt_free(place);
    return status;
}

static spt_status launch(spt_cuda_launch *out, const spt_prepared *prepared, const spt_call *call, int index) {
    const spt_point *point = &prepared->point;
    const int64_t m = prepared->workload.pattern.n_rows;
    const bool is_nk = prepared->workload.problem.layout == SPT_NK;
    SPT_TRY(spt_check_i32(call->ldb, "the leading dimension of B"));
    SPT_TRY(spt_check_i32(call->ldc, "the leading dimension of C"));
    SPT_TRY(spt_check_i32(call->n + 65536, "n"));
    if (is_nk && index == 0)
        return spt_launch_transpose(out, KERNEL_TRANSPOSE, prepared, call);
    out->kernel = KERNEL_PRODUCT;
    out->grid[0] = (uint32_t)spt_ceil_div(call->n, columns_of_block(point));
    out->grid[1] = (uint32_t)spt_ceil_div(m, value_of(point, AXIS_V));
    out->grid[2] = out->block[1] = out->block[2] = 1;
    out->block[0] = (uint32_t)(LANES * value_of(point, AXIS_WARPS));
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
    spt_cuda_pass_i32(out, m);
    spt_cuda_pass_i32(out, call->n);
    spt_cuda_pass_i32(out, is_nk ? spt_transposed_ld(call->n) : call->ldb);
    spt_cuda_pass_i32(out, call->ldc);
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

const spt_family spt_family_spmm_vector_mma = {
    .name = "spmm_vector_mma",
    .summary = "CUDA: column vectors of V rows on tensor cores (after Chen et al., SC 2021); not confirmed on hardware",
    .op = SPT_SPMM,
    .dtypes = SPT_DTYPE_BIT(SPT_F16) | SPT_DTYPE_BIT(SPT_BF16),
    .axes = axes,
    .n_axes = N_AXES,
    .revision = 3,
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
#define SPT_THREADS (32 * SPT_WARPS)
#define SPT_COLUMNS (16 * SPT_TILES * SPT_WARPS) /* of C in a block */
#define SPT_STRIDE (SPT_COLUMNS + 8)             /* eight rows in shared memory lie in different banks */
#define SPT_STAGE (16 * SPT_STEPS * SPT_STRIDE)

SPT_PACK(spt_fragment, unsigned, 2);

/* Steps [step, step + SPT_STEPS) of the group, which ends before step `end`: the rows of B that they name. */
SPT_DEVICE void gather_stage(spt_element *stage, const spt_element *b, const int *columns, long long ldb, int n,
                             int step, int end, int first_col, int is_aligned) {
    SPT_NO_UNROLL
    for (int i = threadIdx.x; i < 16 * SPT_STEPS * SPT_COLUMNS / 8; i += SPT_THREADS) {
        const int row = i / (SPT_COLUMNS / 8), item = i % (SPT_COLUMNS / 8) * 8;
        int k = -1;
        if (step + row / 16 < end)
            k = spt_ldg(columns + step * 16 + row);
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

SPT_DEVICE void multiply(float *sum, const unsigned *columns_of_b, const unsigned *rows_of_a) {
#if SPT_DTYPE == 2
    spt_mma_f16(sum, columns_of_b, rows_of_a);
#else
    spt_mma_bf16(sum, columns_of_b, rows_of_a);
#endif
}

SPT_KERNEL SPT_BOUNDS(SPT_THREADS, 1)
spmm_vector_mma(const spt_element *b, spt_element *c, const spt_element *bias, const int *starts, const int *columns,
                const spt_fragment *values, int m, int n, int ldb, int ldc, int is_aligned, const spt_element *residual,
                long long ldr) {
    SPT_SHARED_DYNAMIC(spt_element, shared);
    const int lane = threadIdx.x % 32, warp_col = threadIdx.x / 32 * SPT_TILES * 16;
    const int block_col = blockIdx.x * SPT_COLUMNS;
    const int begin = spt_ldg(starts + blockIdx.y), end = spt_ldg(starts + blockIdx.y + 1);
    const int n_stages = (end - begin + SPT_STEPS - 1) / SPT_STEPS;
    float sum[SPT_TILES][SPT_V / 8][4];
    SPT_UNROLL
    for (int i = 0; i < SPT_TILES; i++)
        SPT_UNROLL
        for (int j = 0; j < SPT_V / 8; j++)
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
            gather_stage(shared + ahead % SPT_STAGES * SPT_STAGE, b, columns, ldb, n, begin + ahead * SPT_STEPS, end,
                         block_col, is_aligned);
        spt_cp_async_commit();
        if (s < 0)
            continue;
        const spt_element *stage = shared + s % SPT_STAGES * SPT_STAGE;
        SPT_UNROLL
        for (int inner = 0; inner < SPT_STEPS; inner++) {
            const int step = begin + s * SPT_STEPS + inner;
            spt_fragment a[SPT_V / 8];
            if (step >= end)
                break;
            SPT_UNROLL
            for (int j = 0; j < SPT_V / 8; j++)
                a[j] = spt_ldg(values + (step * (SPT_V / 8) + j) * 32 + lane);
            SPT_UNROLL
            for (int i = 0; i < SPT_TILES; i++) {
                /* four 8 x 8 matrices: k 0-7 and n 0-7, k 0-7 and n 8-15, k 8-15 and n 0-7, k 8-15 and n 8-15 */
                unsigned fragment[4];
                spt_ldmatrix_x4_trans(fragment, stage + (inner * 16 + lane / 16 * 8 + lane % 8) * SPT_STRIDE +
                                                    warp_col + i * 16 + lane / 8 % 2 * 8);
                SPT_UNROLL
                for (int j = 0; j < SPT_V / 8; j++)
                    multiply(sum[i][j], fragment, a[j].v);
            }
        }
    }
    spt_cp_async_wait_all();
    const int first_row = blockIdx.y * SPT_V + lane % 4 * 2, first_col = block_col + warp_col + lane / 4;
    SPT_UNROLL
    for (int j = 0; j < SPT_V / 4; j++) {
        const int row = first_row + j / 2 * 8 + j % 2;
        const float start = spt_bias_of(bias, row, row < m);
        SPT_UNROLL
        for (int i = 0; i < 2 * SPT_TILES; i++) {
            const int col = first_col + 8 * i;
            spt_finish_element(spt_at(c, ldc, row, col), spt_at(residual, ldr, row, col),
                               sum[i / 2][j / 2][i % 2 * 2 + j % 2] + start, row < m && col < n);
        }
    }
}

#if SPT_LAYOUT_NK
SPT_KERNEL SPT_BOUNDS(256, 1)
    transpose_b(spt_element *out, long long ld_out, const spt_element *b, long long ldb, int n, int k) {
    spt_transpose(out, ld_out, b, ldb, n, k);
}
#endif
#endif // __CUDACC_RTC__

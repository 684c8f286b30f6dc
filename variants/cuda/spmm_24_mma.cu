/* SPDX-License-Identifier: Apache-2.0 */
/* spmm_24_mma: 2:4 patterns (of tf32: 1:2) on sparse tensor cores, mma.sp::ordered_metadata, f32 sums, of i8 i32 sums.
 * After Mishra et al., "Accelerating Sparse Deep Neural Networks" (arXiv 2104.08378, 2021). A is packed in the order of
 * fragments (spmm_24_mma_pack.h): a lane loads its 16 bytes of each tile by itself. B comes through shared memory in
 * stages of cp.async, and K may be split among blocks, whose sums a second kernel adds. A step takes 64 bytes of K: 32
 * columns of 16-bit types, 64 of 8-bit ones, 16 of tf32. Layout kn of other than 16-bit types gathers B from shared
 * memory element by element, because ldmatrix transposes 16 bits and nothing else; layout nk does without. Not
 * confirmed on hardware: the lanes that hold metadata are inferred, so this is never an untuned answer. Bound: half of
 * the dense multiply-adds, or B through L2 once per block of rows. */
#ifndef __CUDACC_RTC__
#include <string.h>

#include "core/memory.h"
#include "variants/cuda/kernel.h"
#include "variants/cuda/rows.h"
#include "variants/cuda/spmm_24_mma_pack.h"

SPT_CUDA_TEXT(spmm_24_mma);

enum { AXIS_WARPS_M, AXIS_WARPS_N, AXIS_TILES_M, AXIS_TILES_N, AXIS_KT, AXIS_STAGES, AXIS_SPLIT, N_AXES };
enum { BUFFER_VALUES, BUFFER_METADATA };
enum { KERNEL_ALIGNED, KERNEL_SCALAR, KERNEL_ADD };
enum { TILE_ROWS = 16, LANES = 32 };
enum { GRID_Y_MAX = 65535, ADD_THREADS = 128 };

static const spt_axis_value warps_values[] = {{1, NULL}, {2, NULL}, {4, NULL}};
static const spt_axis_value tiles_m_values[] = {{1, NULL}, {2, NULL}, {4, NULL}};
static const spt_axis_value tiles_n_values[] = {{2, NULL}, {4, NULL}, {8, NULL}};
static const spt_axis_value kt_values[] = {{32, NULL}, {64, NULL}, {128, NULL}};
static const spt_axis_value stages_values[] = {{2, NULL}, {3, NULL}, {4, NULL}};
static const spt_axis_value split_values[] = {{1, NULL}, {2, NULL}, {4, NULL}, {8, NULL}};
static const spt_axis axes[N_AXES] = {
    [AXIS_WARPS_M] = {"wm", "warps of a block along rows", warps_values, 3},
    [AXIS_WARPS_N] = {"wn", "warps of a block along columns", warps_values, 3},
    [AXIS_TILES_M] = {"tm", "tiles of 16 rows of a warp", tiles_m_values, 3},
    [AXIS_TILES_N] = {"tn", "tiles of 8 columns of a warp", tiles_n_values, 3},
    [AXIS_KT] = {"kt", "rows of B in a stage", kt_values, 3},
    [AXIS_STAGES] = {"stages", "stages of B in shared memory", stages_values, 3},
    [AXIS_SPLIT] = {"split", "slices of K that blocks share out", split_values, 4},
};

static int value_of(const spt_point *point, int axis) {
    return spt_point_value(axes, point, axis);
}

static int rows_of_block(const spt_point *point) {
    return value_of(point, AXIS_WARPS_M) * value_of(point, AXIS_TILES_M) * TILE_ROWS;
}

static int columns_of_block(const spt_point *point) {
    return value_of(point, AXIS_WARPS_N) * value_of(point, AXIS_TILES_N) * 8;
}

/* Rows in shared memory are longer than what they hold, so that those that are read at once lie in different banks. */
static int64_t shared_bytes(const spt_workload *workload, const spt_point *point) {
    const int64_t kt = value_of(point, AXIS_KT), columns = columns_of_block(point);
    const int64_t item = (int64_t)spt_dtype_bytes(workload->problem.dtype);
    const bool is_kn = workload->problem.layout == SPT_KN;
    const int64_t gap = is_kn && item == 4 ? 32 : 16;
    const int64_t stage = is_kn ? kt * (columns * item + gap) : columns * (kt * item + gap);
    return stage * value_of(point, AXIS_STAGES);
}

/* Has the pattern what the type's instruction takes? */
static bool is_pattern(const spt_workload *workload) {
    const spt_pattern *pattern = &workload->pattern;
    const bool fits = workload->problem.dtype == SPT_TF32 ? pattern->is_1of2 : pattern->features.keep_2of4 >= 1.0;
    return pattern->nnz > 0 && fits;
}

static int capability_of(spt_dtype dtype) {
    return dtype == SPT_E4M3 || dtype == SPT_E5M2 ? 89 : 80;
}

static bool is_valid(const spt_workload *workload, const spt_device *device, const spt_point *point) {
    const spt_pattern *pattern = &workload->pattern;
    const int64_t n = workload->problem.n, split = value_of(point, AXIS_SPLIT), kt = value_of(point, AXIS_KT);
    const int threads = LANES * value_of(point, AXIS_WARPS_M) * value_of(point, AXIS_WARPS_N);
    const spt_24_shape shape = spt_24_shape_of(workload->problem.dtype);
    const bool fits =
        pattern->n_rows / rows_of_block(point) < GRID_Y_MAX && n / columns_of_block(point) < INT32_MAX / 2;
    return is_pattern(workload) && fits && threads <= 512 && kt % shape.tile_cols == 0 &&
           device->compute_capability >= capability_of(workload->problem.dtype) &&
           value_of(point, AXIS_TILES_M) * value_of(point, AXIS_TILES_N) <= 16 &&
           shared_bytes(workload, point) <= device->shared_bytes_max &&
           (columns_of_block(point) / 2 < n || columns_of_block(point) == 16) &&
           (rows_of_block(point) / 2 < pattern->n_rows || rows_of_block(point) == TILE_ROWS) &&
           (split == 1 || split * kt <= pattern->n_cols);
}

/* 64 x 64 of C in four warps, K split where there are too few blocks. */
static void default_point(const spt_workload *workload, const spt_device *device, spt_point *out) {
    *out = (spt_point){
        {[AXIS_WARPS_M] = 1, [AXIS_WARPS_N] = 1, [AXIS_TILES_M] = 1, [AXIS_TILES_N] = 1, [AXIS_STAGES] = 1}};
    if (spt_dtype_bytes(workload->problem.dtype) == 1)
        out->index[AXIS_KT] = 1;
    if (workload->problem.n <= 32)
        out->index[AXIS_WARPS_N] = 0;
    if (workload->problem.n <= 16)
        out->index[AXIS_TILES_N] = 0;
    if (workload->pattern.n_rows <= 32)
        out->index[AXIS_WARPS_M] = 0;
    if (workload->pattern.n_rows <= 16)
        out->index[AXIS_TILES_M] = 0;
    const int64_t n_blocks = spt_ceil_div(workload->pattern.n_rows, rows_of_block(out)) *
                             spt_ceil_div(workload->problem.n, columns_of_block(out));
    while (out->index[AXIS_SPLIT] < 2 && (n_blocks << out->index[AXIS_SPLIT]) < device->n_sms) {
        out->index[AXIS_SPLIT]++;
        if (!is_valid(workload, device, out)) {
            out->index[AXIS_SPLIT]--;
            break;
        }
    }
}

static double bound_ns(const spt_workload *workload, const spt_device *device, const spt_point *point) {
    const double m = (double)workload->pattern.n_rows, k = (double)workload->pattern.n_cols;
    const double n = (double)workload->problem.n, split = value_of(point, AXIS_SPLIT);
    const double m_blocks = (double)spt_ceil_div(workload->pattern.n_rows, rows_of_block(point));
    const double n_blocks = (double)spt_ceil_div(workload->problem.n, columns_of_block(point));
    const double item = (double)spt_dtype_bytes(workload->problem.dtype);
    const double a_bytes = m * k * (0.5 * item + 0.125), b_bytes = item * k * n, c_bytes = item * m * n;
    const double partial = split > 1.0 ? 8.0 * split * m * n : 0.0;
    return spt_cuda_bound_ns(device, 0.5 * item * m * k * n, true,
                             a_bytes * n_blocks + b_bytes * m_blocks + c_bytes + partial, a_bytes + b_bytes + c_bytes) +
           (split > 1.0 ? 1500.0 : 0.0);
}

static spt_status describe(spt_cuda_source *out, const spt_workload *workload, const spt_device *device,
                           const spt_point *point, const spt_csr *a) {
    static const char *const kernels[] = {"spmm_24", "spmm_24_scalar", "spmm_24_add"};
    (void)device, (void)a;
    SPT_CUDA_SOURCE(out, spmm_24_mma, kernels, workload);
    if (value_of(point, AXIS_SPLIT) == 1)
        out->n_kernels = KERNEL_ADD;
    spt_cuda_source_split(out, value_of(point, AXIS_SPLIT) == 1 ? 0 : 1u << KERNEL_ADD);
    spt_cuda_define(out, "SPT_WARPS_M", value_of(point, AXIS_WARPS_M));
    spt_cuda_define(out, "SPT_WARPS_N", value_of(point, AXIS_WARPS_N));
    spt_cuda_define(out, "SPT_TILES_M", value_of(point, AXIS_TILES_M));
    spt_cuda_define(out, "SPT_TILES_N", value_of(point, AXIS_TILES_N));
    spt_cuda_define(out, "SPT_KT", value_of(point, AXIS_KT));
    spt_cuda_define(out, "SPT_STAGES", value_of(point, AXIS_STAGES));
    spt_cuda_define(out, "SPT_SPLIT", value_of(point, AXIS_SPLIT));
    return SPT_OK;
}

static spt_status pack(spt_cuda_packed *out, const spt_workload *workload, const spt_device *device,
                       const spt_point *point, const spt_csr *a) {
    (void)device, (void)point;
    return spt_24_pack(out, workload->problem.dtype, a);
}

static size_t workspace(const spt_prepared *prepared, int64_t n) {
    const int split = value_of(&prepared->point, AXIS_SPLIT);
    return split > 1 ? (size_t)split * (size_t)(prepared->workload.pattern.n_rows * n) * 4 : 0;
}

static int n_launches(const spt_prepared *prepared, const spt_call *call) {
    (void)call;
    return value_of(&prepared->point, AXIS_SPLIT) > 1 ? 2 : 1;
}

static spt_status launch(spt_cuda_launch *out, const spt_prepared *prepared, const spt_call *call, int index) {
    const spt_point *point = &prepared->point;
    const int64_t m = prepared->workload.pattern.n_rows, k = prepared->workload.pattern.n_cols;
    SPT_TRY(spt_check_i32(call->ldb, "the leading dimension of B"));
    SPT_TRY(spt_check_i32(call->ldc, "the leading dimension of C"));
    SPT_TRY(spt_check_i32(call->ldr, "the leading dimension of the residual"));
    SPT_TRY(spt_check_i32(k + 64, "columns of A"));
    out->kernel = index == 1                                                                 ? KERNEL_ADD
                  : spt_is_aligned(call->b, call->ldb, prepared->workload.problem.dtype, 16) ? KERNEL_ALIGNED
                                                                                             : KERNEL_SCALAR;
    out->block[1] = out->block[2] = out->grid[2] = 1;
    if (index == 1) {
        out->grid[0] = (uint32_t)spt_ceil_div(call->n, ADD_THREADS);
        out->grid[1] = (uint32_t)(m < GRID_Y_MAX ? m : GRID_Y_MAX);
        out->block[0] = ADD_THREADS;
    } else {
        out->grid[0] = (uint32_t)spt_ceil_div(call->n, columns_of_block(point));
        out->grid[1] = (uint32_t)spt_ceil_div(m, rows_of_block(point));
        out->grid[2] = (uint32_t)value_of(point, AXIS_SPLIT);
        out->block[0] = (uint32_t)(LANES * value_of(point, AXIS_WARPS_M) * value_of(point, AXIS_WARPS_N));
        out->shared_bytes = (uint32_t)shared_bytes(&prepared->workload, point);
        spt_cuda_pass_operand(out, 'b');
        spt_cuda_pass_buffer(out, BUFFER_VALUES);
        spt_cuda_pass_buffer(out, BUFFER_METADATA);
    }
    spt_cuda_pass_operand(out, 'c');
    spt_cuda_pass_operand(out, 'i');
    spt_cuda_pass_workspace(out, 0);
    spt_cuda_pass_i32(out, m);
    spt_cuda_pass_i32(out, call->n);
    spt_cuda_pass_i32(out, call->ldc);
    spt_cuda_pass_operand(out, 'r');
    spt_cuda_pass_i32(out, call->ldr);
    if (index == 1) {
        spt_cuda_pass_i32(out, value_of(point, AXIS_SPLIT));
    } else {
        spt_cuda_pass_i32(out, k);
        spt_cuda_pass_i32(out, call->ldb);
    }
    return SPT_OK;
}

static const spt_cuda_kernel kernel = {
    .describe = describe, .pack = pack, .n_launches = n_launches, .launch = launch, .is_unconfirmed = true};

const spt_family spt_family_spmm_24_mma = {
    .name = "spmm_24_mma",
    .summary = "CUDA: 2:4 on sparse tensor cores, mma.sp (Mishra et al., arXiv 2104.08378); not confirmed on hardware",
    .op = SPT_SPMM,
    .dtypes = SPT_DTYPE_BIT(SPT_F16) | SPT_DTYPE_BIT(SPT_BF16) | SPT_DTYPE_BIT(SPT_I8) | SPT_DTYPE_BIT(SPT_E4M3) |
              SPT_DTYPE_BIT(SPT_E5M2) | SPT_DTYPE_BIT(SPT_TF32),
    .axes = axes,
    .n_axes = N_AXES,
    .revision = 4,
    .takes_residual = true,
    .pads_zeros = true,
    .cuda = &kernel,
    .is_valid = is_valid,
    .default_point = default_point,
    .bound_ns = bound_ns,
    .workspace = workspace,
    SPT_CUDA_VERBS,
};

#else // kernel half
#if SPT_HAS_ENTRY(0) || SPT_HAS_ENTRY(1)
#define SPT_THREADS (32 * SPT_WARPS_M * SPT_WARPS_N)
#define SPT_COLUMNS (8 * SPT_TILES_N * SPT_WARPS_N) /* of C in a block */
#define SPT_ITEM (int)sizeof(spt_element)
#define SPT_CHUNK (16 / SPT_ITEM)      /* elements of 16 bytes */
#define SPT_DEPTH (64 / SPT_ITEM)      /* columns of A in a tile */
#define SPT_STEPS (SPT_KT / SPT_DEPTH) /* tiles of A along K in a stage */
#define SPT_IS_BYTE (SPT_DTYPE >= 3 && SPT_DTYPE <= 5)
#if SPT_LAYOUT_NK
#define SPT_ROW_ITEMS SPT_KT /* of B in shared memory: columns of C below each other */
#define SPT_N_ROWS SPT_COLUMNS
#else
#define SPT_ROW_ITEMS SPT_COLUMNS
#define SPT_N_ROWS SPT_KT
#endif
#define SPT_STRIDE (SPT_ROW_ITEMS + (SPT_LAYOUT_NK || SPT_DTYPE != 6 ? SPT_CHUNK : 8))
#define SPT_STAGE (SPT_N_ROWS * SPT_STRIDE)

SPT_PACK(spt_fragment, unsigned, 4);

/* The stage that begins at row k0 of B; what is outside of B is zero. */
SPT_DEVICE void copy_stage(spt_element *stage, const spt_element *b, long long ldb, int k, int n, int k0, int first_col,
                           bool is_aligned) {
    SPT_NO_UNROLL
    for (int i = threadIdx.x; i < SPT_N_ROWS * SPT_ROW_ITEMS / SPT_CHUNK; i += SPT_THREADS) {
        const int row = i / (SPT_ROW_ITEMS / SPT_CHUNK), item = i % (SPT_ROW_ITEMS / SPT_CHUNK) * SPT_CHUNK;
#if SPT_LAYOUT_NK
        const int left = first_col + row < n ? spt_max(0, spt_min(SPT_CHUNK, k - k0 - item)) : 0;
        const spt_element *from = b + (first_col + row) * ldb + k0 + item;
#else
        const int left = k0 + row < k ? spt_max(0, spt_min(SPT_CHUNK, n - first_col - item)) : 0;
        const spt_element *from = b + (k0 + row) * ldb + first_col + item;
#endif
        spt_element *to = stage + row * SPT_STRIDE + item;
        if (is_aligned) {
            spt_cp_async(to, left > 0 ? from : b, 16, SPT_ITEM * left);
        } else {
            for (int j = 0; j < SPT_CHUNK; j++) {
                spt_element v = 0;
                if (j < left)
                    v = spt_ldg(from + j);
                spt_sts(to + j, v);
            }
        }
    }
}

/* B rows [SPT_DEPTH step, SPT_DEPTH step + SPT_DEPTH) of the stage, columns [col, col + 8), as mma.sp wants them:
 * register r has rows 4 e r + e t, e t + 1, ... of column g, where g = lane / 4, t = lane % 4 and e elements make a
 * word. */
SPT_DEVICE void load_b(unsigned *fragment, const spt_element *stage, int step, int col, int lane) {
#if SPT_LAYOUT_NK
    spt_ldmatrix_x4(fragment, stage + (col + lane % 8) * SPT_STRIDE + step * SPT_DEPTH + lane / 8 * SPT_CHUNK);
#elif SPT_DTYPE == 1 || SPT_DTYPE == 2
    spt_ldmatrix_x4_trans(fragment, stage + (step * 32 + lane) * SPT_STRIDE + col);
#else
    const spt_element *from = stage + (step * SPT_DEPTH + lane % 4 * (4 / SPT_ITEM)) * SPT_STRIDE + col + lane / 4;
    SPT_UNROLL
    for (int r = 0; r < 4; r++) {
#if SPT_DTYPE == 6
        fragment[r] = spt_as_u32(spt_lds(from + 4 * r * SPT_STRIDE));
#else
        fragment[r] = 0;
        SPT_UNROLL
        for (int i = 0; i < 4; i++)
            fragment[r] |= (unsigned)(unsigned char)spt_lds(from + (16 * r + i) * SPT_STRIDE) << 8 * i;
#endif
    }
#endif
}

SPT_DEVICE void multiply(spt_sum *sum, const unsigned *a, const unsigned *b, unsigned metadata) {
#if SPT_DTYPE == 1
    spt_mma_sp_bf16(sum, a, b, metadata);
#elif SPT_DTYPE == 2
    spt_mma_sp_f16(sum, a, b, metadata);
#elif SPT_DTYPE == 3
    spt_mma_sp_s8(sum, a, b, metadata);
#elif SPT_DTYPE == 4
    spt_mma_sp_e4m3(sum, a, b, metadata);
#elif SPT_DTYPE == 5
    spt_mma_sp_e5m2(sum, a, b, metadata);
#else
    spt_mma_sp_tf32(sum, a, b, metadata);
#endif
}

/* A lane's part of C, or of this slice's sums: two rows of each tile, two neighbouring columns of each. Places differ
 * by constants from the first one of their row. */
SPT_DEVICE void store(spt_element *c, int ldc, const spt_element *bias, spt_sum *partial, const spt_element *residual,
                      int ldr, int m, int n, int first_row, int first_col, spt_sum (*sum)[SPT_TILES_N][4]) {
    SPT_UNROLL
    for (int i = 0; i < 2 * SPT_TILES_M; i++) {
        const int row = first_row + 8 * i;
#if SPT_SPLIT > 1
        spt_sum *const to = partial + ((long long)blockIdx.z * m + row) * n + first_col;
#else
        const spt_sum start = spt_bias_of(bias, row, row < m);
#endif
        SPT_UNROLL
        for (int j = 0; j < 2 * SPT_TILES_N; j++) {
            const int col = j / 2 * 8 + j % 2;
            const spt_sum v = sum[i / 2][j / 2][i % 2 * 2 + j % 2];
            const bool is_there = row < m && first_col + col < n;
#if SPT_SPLIT > 1
            if (is_there)
                spt_stg(to + col, v);
#else
            spt_finish_element(spt_at(c, ldc, row, first_col + col), spt_at(residual, ldr, row, first_col + col),
                               v + start, is_there);
#endif
        }
    }
}

SPT_DEVICE void product(const spt_element *b, const spt_fragment *values, const unsigned *metadata, spt_element *c,
                        const spt_element *bias, spt_sum *partial, int m, int n, int ldc, const spt_element *residual,
                        int ldr, int k, int ldb, bool is_aligned) {
    SPT_SHARED_DYNAMIC(spt_element, shared);
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    const int first_tile = (blockIdx.y * SPT_WARPS_M + warp % SPT_WARPS_M) * SPT_TILES_M;
    const int block_col = blockIdx.x * SPT_COLUMNS, warp_col = warp / SPT_WARPS_M * SPT_TILES_N * 8;
    const int n_steps = (k + SPT_DEPTH - 1) / SPT_DEPTH, n_tiles = (m + 15) / 16, n_stages = (k + SPT_KT - 1) / SPT_KT;
    const int per_slice = (n_stages + SPT_SPLIT - 1) / SPT_SPLIT;
    const int begin = blockIdx.z * per_slice, end = spt_min(n_stages, begin + per_slice);
    spt_sum sum[SPT_TILES_M][SPT_TILES_N][4];
    SPT_UNROLL
    for (int i = 0; i < SPT_TILES_M; i++)
        SPT_UNROLL
    for (int j = 0; j < SPT_TILES_N; j++)
        SPT_UNROLL
    for (int e = 0; e < 4; e++)
        sum[i][j][e] = 0;

    /* The first turns only fill stages: a loop of their own would be a second copy of copy_stage to compile. */
    SPT_NO_UNROLL
    for (int s = begin - (SPT_STAGES - 1); s < end; s++) {
        if (s >= begin) {
            spt_cp_async_wait(SPT_STAGES - 2);
            __syncthreads();
        }
        const int ahead = s + SPT_STAGES - 1;
        if (ahead < end)
            copy_stage(shared + (ahead - begin) % SPT_STAGES * SPT_STAGE, b, ldb, k, n, ahead * SPT_KT, block_col,
                       is_aligned);
        spt_cp_async_commit();
        if (s < begin)
            continue;
        const spt_element *stage = shared + (s - begin) % SPT_STAGES * SPT_STAGE;
        SPT_UNROLL
        for (int inner = 0; inner < SPT_STEPS; inner++) {
            const int step = s * SPT_STEPS + inner;
            spt_fragment a[SPT_TILES_M];
            unsigned places[SPT_TILES_M];
            if (step >= n_steps)
                break;
            SPT_UNROLL
            for (int i = 0; i < SPT_TILES_M; i++) {
                /* rows behind the last tile read it again and are not stored */
                const int tile = spt_min(first_tile + i, n_tiles - 1) * n_steps + step;
                a[i] = spt_ldg(values + tile * 32 + lane);
#if SPT_IS_BYTE
                places[i] = spt_ldg(metadata + tile * 32 + lane);
#else
                places[i] = spt_ldg(metadata + tile * 16 + lane / 4 * 2 + lane % 2);
#endif
            }
            SPT_UNROLL
            for (int j = 0; j < SPT_TILES_N; j++) {
                unsigned fragment[4];
                load_b(fragment, stage, inner, warp_col + 8 * j, lane);
                SPT_UNROLL
                for (int i = 0; i < SPT_TILES_M; i++)
                    multiply(sum[i][j], a[i].v, fragment, places[i]);
            }
        }
    }
    spt_cp_async_wait_all();
    store(c, ldc, bias, partial, residual, ldr, m, n, first_tile * 16 + lane / 4, block_col + warp_col + lane % 4 * 2,
          sum);
}

#if SPT_HAS_ENTRY(0)
SPT_KERNEL SPT_BOUNDS(SPT_THREADS, 1)
    spmm_24(const spt_element *b, const spt_fragment *values, const unsigned *metadata, spt_element *c,
            const spt_element *bias, spt_sum *partial, int m, int n, int ldc, const spt_element *residual, int ldr,
            int k, int ldb) {
    product(b, values, metadata, c, bias, partial, m, n, ldc, residual, ldr, k, ldb, true);
}
#endif

#if SPT_HAS_ENTRY(1)
SPT_KERNEL SPT_BOUNDS(SPT_THREADS, 1)
    spmm_24_scalar(const spt_element *b, const spt_fragment *values, const unsigned *metadata, spt_element *c,
                   const spt_element *bias, spt_sum *partial, int m, int n, int ldc, const spt_element *residual,
                   int ldr, int k, int ldb) {
    product(b, values, metadata, c, bias, partial, m, n, ldc, residual, ldr, k, ldb, false);
}
#endif
#endif

#if SPT_HAS_ENTRY(2)
/* Add the slices' sums in their order, and finish. */
SPT_KERNEL SPT_BOUNDS(128, 1) spmm_24_add(spt_element *c, const spt_element *bias, const spt_sum *partial, int m, int n,
                                          int ldc, const spt_element *residual, int ldr, int n_slices) {
    const int col = blockIdx.x * 128 + threadIdx.x;
    if (col >= n)
        return;
    SPT_NO_UNROLL
    for (int row = blockIdx.y; row < m; row += gridDim.y) {
        spt_sum sum = 0;
        for (int slice = 0; slice < n_slices; slice++)
            sum += spt_ldg(partial + ((long long)slice * m + row) * n + col);
        spt_finish_element(spt_at(c, ldc, row, col), spt_at(residual, ldr, row, col),
                           sum + spt_bias_of(bias, row, true), true);
    }
}
#endif
#endif // __CUDACC_RTC__

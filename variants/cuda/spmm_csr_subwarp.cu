/* SPDX-License-Identifier: Apache-2.0 */
/* spmm_csr_subwarp: a team of lanes, a part of a warp or all of it, has one row of A and a tile of columns of C. Each
 * nonzero is read once by the whole team (vector loads of several), each row of B with vector loads side by side, and
 * several of them are under way before the first is used. After Gale, Zaharia, Young and Elsen, "Sparse GPU Kernels for
 * Deep Learning", SC 2020 (arXiv 2006.10901), sections 5.1 to 5.3; rows are sorted by length as there, or cut into
 * pieces of about equal length that lie in one block and are added through shared memory. Layout nk: B is transposed
 * into the workspace first, and C leaves through shared memory, neighbouring rows together.
 * Bound: one load of B from L1 or L2 per vector of multiply-adds. */
#ifndef __CUDACC_RTC__
#include <string.h>

#include "core/memory.h"
#include "variants/cuda/kernel.h"
#include "variants/cuda/rows.h"
#include "variants/cuda/spmm_csr_subwarp_pack.h"
#include "variants/cuda/transpose.h"

SPT_CUDA_TEXT(spmm_csr_subwarp);

enum { AXIS_LANES, AXIS_VEC, AXIS_REPEAT, AXIS_ROWS, AXIS_UNROLL, AXIS_AVEC, AXIS_ORDER, AXIS_INDEX, N_AXES };
enum { BUFFER_ITEMS, BUFFER_COLUMNS, BUFFER_VALUES };
enum { NUMBER_ITEMS };
enum { KERNEL_VECTOR, KERNEL_OTHER }; /* the other one: scalar in layout kn, transposing in nk */
enum { SHARED_BYTES = 48 * 1024 };

static const spt_axis_value lanes_values[] = {{8, NULL}, {16, NULL}, {32, NULL}};
static const spt_axis_value vec_values[] = {{1, NULL}, {2, NULL}, {4, NULL}, {8, NULL}};
static const spt_axis_value repeat_values[] = {{1, NULL}, {2, NULL}, {4, NULL}};
static const spt_axis_value rows_values[] = {{2, NULL}, {4, NULL}, {8, NULL}, {16, NULL}, {32, NULL}};
static const spt_axis_value unroll_values[] = {{4, NULL}, {8, NULL}};
static const spt_axis_value avec_values[] = {{1, NULL}, {4, NULL}};
static const spt_axis_value order_values[] = {
    {SPT_ROWS_NATURAL, "natural"}, {SPT_ROWS_SORTED, "sorted"}, {SPT_ROWS_SPLIT, "split"}};
static const spt_axis_value index_values[] = {{16, NULL}, {32, NULL}};
static const spt_axis axes[N_AXES] = {
    [AXIS_LANES] = {"lanes", "lanes that share a row", lanes_values, 3},
    [AXIS_VEC] = {"vec", "columns that a lane loads at once", vec_values, 4},
    [AXIS_REPEAT] = {"repeat", "vectors of a lane in a tile", repeat_values, 3},
    [AXIS_ROWS] = {"rows", "rows of a block", rows_values, 5},
    [AXIS_UNROLL] = {"unroll", "nonzeros whose rows of B are under way at once", unroll_values, 2},
    [AXIS_AVEC] = {"avec", "nonzeros that are loaded at once", avec_values, 2},
    [AXIS_ORDER] = {"order", "rows as they are, by length, or cut into pieces of equal length", order_values, 3},
    [AXIS_INDEX] = {"index", "bits of a column index", index_values, 2},
};

static int value_of(const spt_point *point, int axis) {
    return spt_point_value(axes, point, axis);
}

static int tile_of(const spt_point *point) {
    return value_of(point, AXIS_LANES) * value_of(point, AXIS_VEC) * value_of(point, AXIS_REPEAT);
}

/* Static shared memory: partial sums of pieces, and C on its way to layout nk. */
static int64_t shared_bytes(const spt_workload *workload, const spt_point *point) {
    const int64_t tile = tile_of(point), rows = value_of(point, AXIS_ROWS);
    return (value_of(point, AXIS_ORDER) == SPT_ROWS_SPLIT ? 4 * tile * rows : 0) +
           (workload->problem.layout == SPT_NK ? 4 * tile * (rows + 1) + 4 * rows + 128 : 0);
}

static bool is_valid(const spt_workload *workload, const spt_device *device, const spt_point *point) {
    const int vec = value_of(point, AXIS_VEC), repeat = value_of(point, AXIS_REPEAT), tile = tile_of(point);
    const int threads = value_of(point, AXIS_LANES) * value_of(point, AXIS_ROWS);
    return spt_cuda_has_dtype(device, workload->problem.dtype) && threads >= 64 && threads <= 512 &&
           (size_t)vec * spt_dtype_bytes(workload->problem.dtype) <= 16 && vec * repeat <= 16 &&
           vec * repeat * value_of(point, AXIS_UNROLL) <= 64 && (tile / 2 < workload->problem.n || tile == 8) &&
           shared_bytes(workload, point) <= SHARED_BYTES &&
           (value_of(point, AXIS_INDEX) == 32 || workload->pattern.n_cols <= 65536);
}

/* The widest vectors that n fills, a warp per row where there are enough columns, rows cut where they differ much. */
static void default_point(const spt_workload *workload, const spt_device *device, spt_point *out) {
    const spt_features *features = &workload->pattern.features;
    const int64_t n = workload->problem.n;
    const int widest = workload->problem.dtype == SPT_F32 ? 2 : 3; /* index of 4 or 8 */
    *out = (spt_point){{[AXIS_AVEC] = 1, [AXIS_ROWS] = 2, [AXIS_INDEX] = workload->pattern.n_cols > 65536}};
    int vec = 0, lanes = 0;
    while (vec < widest && (8 << (vec + 1)) <= n)
        vec++;
    while (lanes < 2 && ((16 << lanes) << vec) <= n)
        lanes++;
    out->index[AXIS_VEC] = (uint16_t)vec;
    out->index[AXIS_LANES] = (uint16_t)lanes;
    out->index[AXIS_ROWS] = (uint16_t)(lanes == 2 ? 1 : 2); /* 128 or 64 threads */
    out->index[AXIS_ORDER] = (uint16_t)(features->row_max > 4.0 * features->row_mean + 32.0 ? SPT_ROWS_SPLIT
                                        : features->row_cv > 0.3                            ? SPT_ROWS_SORTED
                                                                                            : SPT_ROWS_NATURAL);
    if (!is_valid(workload, device, out))
        *out = (spt_point){{[AXIS_ROWS] = 2, [AXIS_INDEX] = 1}};
}

/* Every nonzero reads a row of B through L1; what L1 does not keep comes from L2. */
static double bound_ns(const spt_workload *workload, const spt_device *device, const spt_point *point) {
    const double n = (double)workload->problem.n, nnz = (double)workload->pattern.nnz;
    const double bytes = (double)spt_dtype_bytes(workload->problem.dtype), tile = tile_of(point);
    const double dense = bytes * n * (double)(workload->pattern.n_cols + workload->pattern.n_rows);
    const double a_bytes = nnz * (bytes + value_of(point, AXIS_INDEX) / 8.0), n_tiles = n > tile ? n / tile : 1.0;
    const double in_l1 = 128e3 / (bytes * tile * (double)workload->pattern.n_cols);
    const double l2_bytes = nnz * n * bytes * (in_l1 >= 0.75 ? 0.25 : 1.0 - in_l1) + a_bytes * n_tiles + dense;
    const double again = workload->problem.layout == SPT_NK ? 2.0 * dense : 0.0;
    return spt_cuda_bound_ns(device, 2.0 * nnz * n, false, l2_bytes + again, a_bytes + dense) +
           (workload->problem.layout == SPT_NK ? 1500.0 : 0.0);
}

static spt_status describe(spt_cuda_source *out, const spt_workload *workload, const spt_device *device,
                           const spt_point *point, const spt_csr *a) {
    static const char *const kernels_kn[] = {"spmm_vector", "spmm_scalar"};
    static const char *const kernels_nk[] = {"spmm_vector", "transpose_b"};
    (void)device, (void)a;
    if (workload->problem.layout == SPT_KN)
        SPT_CUDA_SOURCE(out, spmm_csr_subwarp, kernels_kn, workload);
    else
        SPT_CUDA_SOURCE(out, spmm_csr_subwarp, kernels_nk, workload);
    if (workload->problem.layout == SPT_KN && value_of(point, AXIS_VEC) == 1)
        out->n_kernels = 1; /* single elements are always aligned */
    spt_cuda_source_split(out, workload->problem.layout == SPT_NK ? 1u << KERNEL_OTHER : 0);
    spt_cuda_define(out, "SPT_LANES", value_of(point, AXIS_LANES));
    spt_cuda_define(out, "SPT_VEC", value_of(point, AXIS_VEC));
    spt_cuda_define(out, "SPT_REPEAT", value_of(point, AXIS_REPEAT));
    spt_cuda_define(out, "SPT_ROWS", value_of(point, AXIS_ROWS));
    spt_cuda_define(out, "SPT_NONZEROS", value_of(point, AXIS_UNROLL));
    spt_cuda_define(out, "SPT_A_VEC", value_of(point, AXIS_AVEC));
    spt_cuda_define(out, "SPT_SPLIT", value_of(point, AXIS_ORDER) == SPT_ROWS_SPLIT);
    spt_cuda_define(out, "SPT_INDEX", value_of(point, AXIS_INDEX));
    return SPT_OK;
}

static spt_status pack(spt_cuda_packed *out, const spt_workload *workload, const spt_device *device,
                       const spt_point *point, const spt_csr *a) {
    (void)device;
    const spt_subwarp_shape shape = {.dtype = workload->problem.dtype,
                                     .rows = value_of(point, AXIS_ROWS),
                                     .unroll = value_of(point, AXIS_UNROLL),
                                     .index_bytes = value_of(point, AXIS_INDEX) / 8,
                                     .order = (spt_row_order)value_of(point, AXIS_ORDER)};
    return spt_subwarp_pack(out, &shape, a, &out->numbers[NUMBER_ITEMS]);
}

static spt_status launch(spt_cuda_launch *out, const spt_prepared *prepared, const spt_call *call, int index) {
    const spt_point *point = &prepared->point;
    const bool is_nk = prepared->workload.problem.layout == SPT_NK;
    const spt_dtype dtype = prepared->workload.problem.dtype;
    const int tile = tile_of(point), rows = value_of(point, AXIS_ROWS), vec = value_of(point, AXIS_VEC);
    const size_t bytes = (size_t)vec * spt_dtype_bytes(dtype);
    SPT_TRY(spt_check_i32(call->n + 65536 * (int64_t)tile, "n"));
    SPT_TRY(spt_check_i32(call->ldb, "a leading dimension"));
    const bool has_residual = spt_epilogue_get(prepared->workload.problem.epilogue)->has_residual;
    if (is_nk && index == 0)
        return spt_launch_transpose(out, KERNEL_OTHER, prepared, call);
    const bool is_aligned = call->n % vec == 0 && spt_is_aligned(call->b, call->ldb, dtype, bytes) &&
                            spt_is_aligned(call->c, call->ldc, dtype, bytes) &&
                            (!has_residual || spt_is_aligned(call->residual, call->ldr, dtype, bytes));
    const int64_t n_tiles = spt_ceil_div(call->n, tile);
    out->kernel = is_nk || is_aligned ? KERNEL_VECTOR : KERNEL_OTHER;
    out->grid[0] = (uint32_t)(spt_cuda_packed_of(prepared)->numbers[NUMBER_ITEMS] / rows);
    out->grid[1] = (uint32_t)(n_tiles > 65535 ? 65535 : n_tiles);
    out->grid[2] = 1;
    memcpy(out->block, (uint32_t[3]){(uint32_t)(value_of(point, AXIS_LANES) * rows), 1, 1}, sizeof out->block);
    spt_cuda_pass_buffer(out, BUFFER_ITEMS);
    spt_cuda_pass_buffer(out, BUFFER_COLUMNS);
    spt_cuda_pass_buffer(out, BUFFER_VALUES);
    if (is_nk)
        spt_cuda_pass_workspace(out, 0);
    else
        spt_cuda_pass_operand(out, 'b');
    spt_cuda_pass_i32(out, is_nk ? spt_transposed_ld(call->n) : call->ldb);
    spt_cuda_pass_operand(out, 'c');
    spt_cuda_pass_i64(out, call->ldc);
    spt_cuda_pass_operand(out, 'i');
    spt_cuda_pass_i32(out, call->n);
    spt_cuda_pass_operand(out, 'r');
    spt_cuda_pass_i64(out, call->ldr);
    return SPT_OK;
}

static const spt_cuda_kernel kernel = {
    .describe = describe, .pack = pack, .n_launches = spt_transposed_n_launches, .launch = launch};

const spt_family spt_family_spmm_csr_subwarp = {
    .name = "spmm_csr_subwarp",
    .summary = "CUDA: a row for a part of a warp, vector loads (Gale et al., SC 2020)",
    .op = SPT_SPMM,
    .dtypes = SPT_DTYPE_BIT(SPT_F32) | SPT_DTYPE_BIT(SPT_BF16) | SPT_DTYPE_BIT(SPT_F16),
    .axes = axes,
    .n_axes = N_AXES,
    .revision = 3,
    .takes_residual = true,
    .cuda = &kernel,
    .is_valid = is_valid,
    .default_point = default_point,
    .bound_ns = bound_ns,
    .workspace = spt_transposed_workspace,
    SPT_CUDA_VERBS,
};

#else // kernel half
#if SPT_LAYOUT_NK && SPT_HAS_ENTRY(1)
SPT_KERNEL SPT_BOUNDS(256, 1)
    transpose_b(spt_element *out, long long ld_out, const spt_element *b, long long ldb, int n, int k) {
    spt_transpose(out, ld_out, b, ldb, n, k);
}
#endif

#if !SPT_LAYOUT_NK || SPT_HAS_ENTRY(0)
#define SPT_THREADS (SPT_LANES * SPT_ROWS)
#define SPT_TILE (SPT_LANES * SPT_VEC * SPT_REPEAT)
#define SPT_SUMS (SPT_VEC * SPT_REPEAT)

#if SPT_INDEX == 16
typedef unsigned short column_index;
#else
typedef int column_index;
#endif
SPT_PACK(column_pack, column_index, SPT_A_VEC);
SPT_PACK(value_pack, spt_element, SPT_A_VEC);
SPT_PACK(b_pack, spt_element, SPT_VEC);
SPT_PACK(item_pack, int, 4); /* row, begin, count, pieces */

typedef struct nonzeros {
    int column[SPT_NONZEROS];
    float value[SPT_NONZEROS];
} nonzeros;

/* The next SPT_NONZEROS of the packed arrays, whose items end with zeros up to a multiple of that. */
SPT_DEVICE nonzeros load_nonzeros(const column_index *columns, const spt_element *values, int nz, bool is_there) {
    nonzeros out;
    SPT_UNROLL
    for (int u = 0; u < SPT_NONZEROS; u += SPT_A_VEC) {
        const column_pack c = spt_ldg_if((const column_pack *)(columns + nz + u), is_there);
        const value_pack v = spt_ldg_if((const value_pack *)(values + nz + u), is_there);
        SPT_UNROLL
        for (int i = 0; i < SPT_A_VEC; i++) {
            out.column[u + i] = (int)c.v[i];
            out.value[u + i] = spt_widen(v.v[i]);
        }
    }
    return out;
}

/* Place of sum i of a lane in the tile: vectors of a team lie side by side, or single columns do. */
SPT_DEVICE int place_of(int lane, int i, bool is_vector) {
    return is_vector ? (i / SPT_VEC * SPT_LANES + lane) * SPT_VEC + i % SPT_VEC : i * SPT_LANES + lane;
}

/* A lane's part of a row of B or of the residual; zeros, and no access, beyond n and where there is no row. */
SPT_DEVICE void load_row(spt_element *out, const spt_element *row, int lane, int n_left, bool is_there,
                         bool is_vector) {
    SPT_UNROLL
    for (int i = 0; i < SPT_SUMS; i += is_vector ? SPT_VEC : 1) {
        const int place = place_of(lane, i, is_vector);
        if (is_vector) {
            const b_pack b = spt_ldg_if((const b_pack *)(row + place), is_there && place < n_left);
            SPT_UNROLL
            for (int v = 0; v < SPT_VEC; v++)
                out[i + v] = b.v[v];
        } else {
            out[i] = spt_ldg_if(row + place, is_there && place < n_left);
        }
    }
}

/* sum += value * b[column, tile] for SPT_NONZEROS, all loads before all multiply-adds. Those behind the row's last one
 * have the value zero and, since nothing is loaded for them, meet zeros: one predicate more per load, which the
 * comparison with n_left takes along, instead of a second body for the ends of rows. */
SPT_DEVICE void add_nonzeros(float *sum, const nonzeros *a, int n_nonzeros, const spt_element *b_tile, int ldb,
                             int lane, int n_left, bool is_vector) {
    spt_element b[SPT_NONZEROS * SPT_SUMS];
    SPT_UNROLL
    for (int u = 0; u < SPT_NONZEROS; u++)
        load_row(b + u * SPT_SUMS, b_tile + (long long)a->column[u] * ldb, lane, n_left, u < n_nonzeros, is_vector);
    SPT_UNROLL
    for (int u = 0; u < SPT_NONZEROS; u++) {
        SPT_UNROLL
        for (int i = 0; i < SPT_SUMS; i++)
            sum[i] = spt_fma(a->value[u], spt_widen(b[u * SPT_SUMS + i]), sum[i]);
    }
}

/* Bias and activation; where there is a residual the activation comes behind it. */
SPT_DEVICE void finish(float *sum, const spt_element *bias, int row) {
    float start = 0.0f;
    if (SPT_HAS_BIAS)
        start = spt_widen(spt_ldg(bias + row));
    SPT_UNROLL
    for (int i = 0; i < SPT_SUMS; i++) {
        sum[i] += start;
        if (SPT_RELU && !SPT_HAS_RESIDUAL)
            sum[i] = sum[i] < 0.0f ? 0.0f : sum[i];
    }
}

SPT_DEVICE float add_residual(float sum, spt_element residual) {
    const float out = sum + spt_widen(residual);
    return SPT_RELU && out < 0.0f ? 0.0f : out;
}

#if SPT_LAYOUT_NK
/* C[j][row]: through shared memory, so that neighbouring rows are written together. */
SPT_DEVICE void store_tile(spt_element *c, long long ldc, const spt_element *residual, long long ldr, const float *sum,
                           int row, int lane, int team, int j0, int n_left) {
    SPT_SHARED(float, c_tile, SPT_TILE *(SPT_ROWS + 1));
    SPT_SHARED(int, c_rows, SPT_ROWS);
    SPT_UNROLL
    for (int i = 0; i < SPT_SUMS; i++)
        spt_sts(&c_tile[place_of(lane, i, true) * (SPT_ROWS + 1) + team], sum[i]);
    if (lane == 0)
        spt_sts(&c_rows[team], row);
    __syncthreads();
    const int to = spt_lds(&c_rows[threadIdx.x % SPT_ROWS]);
    SPT_NO_UNROLL
    for (int j = threadIdx.x / SPT_ROWS; j < spt_min(SPT_TILE, n_left); j += SPT_LANES) {
        float v = spt_lds(&c_tile[j * (SPT_ROWS + 1) + threadIdx.x % SPT_ROWS]);
        if (SPT_HAS_RESIDUAL && to >= 0)
            v = add_residual(v, spt_ldg(&residual[(j0 + j) * ldr + to]));
        if (to >= 0)
            spt_stg(&c[(j0 + j) * ldc + to], spt_narrow(v));
    }
    __syncthreads();
}
#else
/* sum += residual of this row, activated. */
SPT_DEVICE void add_residual_row(float *sum, const spt_element *residual_row, int lane, int n_left, bool is_vector) {
    spt_element residual[SPT_SUMS];
    load_row(residual, residual_row, lane, n_left, true, is_vector);
    SPT_UNROLL
    for (int i = 0; i < SPT_SUMS; i++)
        sum[i] = add_residual(sum[i], residual[i]);
}

SPT_DEVICE void store_row(spt_element *c_row, const float *sum, int lane, int n_left, bool is_vector) {
    SPT_UNROLL
    for (int i = 0; i < SPT_SUMS; i += is_vector ? SPT_VEC : 1) {
        const int place = place_of(lane, i, is_vector);
        if (place >= n_left)
            continue;
        if (is_vector) {
            b_pack out;
            SPT_UNROLL
            for (int v = 0; v < SPT_VEC; v++)
                out.v[v] = spt_narrow(sum[i + v]);
            spt_stg((b_pack *)(c_row + place), out);
        } else {
            spt_stg(c_row + place, spt_narrow(sum[i]));
        }
    }
}
#endif

#if SPT_SPLIT
/* Add the pieces of a row to its first piece. */
SPT_DEVICE void add_pieces(float *sum, int n_pieces, int lane, int team) {
    SPT_SHARED(float, partial, SPT_ROWS *SPT_TILE);
    if (n_pieces == 0) {
        SPT_UNROLL
        for (int i = 0; i < SPT_SUMS; i++)
            spt_sts(&partial[team * SPT_TILE + i * SPT_LANES + lane], sum[i]);
    }
    __syncthreads();
    SPT_NO_UNROLL
    for (int p = 1; p < n_pieces; p++) {
        SPT_UNROLL
        for (int i = 0; i < SPT_SUMS; i++)
            sum[i] += spt_lds(&partial[(team + p) * SPT_TILE + i * SPT_LANES + lane]);
    }
    __syncthreads();
}
#endif

SPT_DEVICE void multiply(const item_pack *items, const column_index *columns, const spt_element *values,
                         const spt_element *b, int ldb, spt_element *c, long long ldc, const spt_element *bias, int n,
                         const spt_element *residual, long long ldr, bool is_vector) {
    const int lane = threadIdx.x % SPT_LANES, team = threadIdx.x / SPT_LANES;
    const item_pack item = spt_ldg(items + blockIdx.x * SPT_ROWS + team);
    const int begin = item.v[1], end = item.v[1] + item.v[2];
    const bool is_mine = item.v[0] >= 0 && item.v[3] > 0; /* does this team store? */
    SPT_NO_UNROLL
    for (int j0 = blockIdx.y * SPT_TILE; j0 < n; j0 += gridDim.y * SPT_TILE) {
        float sum[SPT_SUMS];
        SPT_UNROLL
        for (int i = 0; i < SPT_SUMS; i++)
            sum[i] = 0.0f;
        nonzeros next = load_nonzeros(columns, values, begin, begin < end);
        SPT_NO_UNROLL
        for (int nz = begin; nz < end; nz += SPT_NONZEROS) {
            const nonzeros now = next;
            next = load_nonzeros(columns, values, nz + SPT_NONZEROS, nz + SPT_NONZEROS < end);
            add_nonzeros(sum, &now, end - nz, b + j0, ldb, lane, n - j0, is_vector);
        }
#if SPT_SPLIT
        add_pieces(sum, item.v[3], lane, team);
#endif
        if (is_mine)
            finish(sum, bias, item.v[0]);
#if SPT_LAYOUT_NK
        store_tile(c, ldc, residual, ldr, sum, is_mine ? item.v[0] : -1, lane, team, j0, n - j0);
#else
        if (SPT_HAS_RESIDUAL && is_mine)
            add_residual_row(sum, residual + item.v[0] * ldr + j0, lane, n - j0, is_vector);
        if (is_mine)
            store_row(c + item.v[0] * ldc + j0, sum, lane, n - j0, is_vector);
#endif
    }
}

#if SPT_HAS_ENTRY(0)
SPT_KERNEL SPT_BOUNDS(SPT_THREADS, 1)
    spmm_vector(const item_pack *items, const column_index *columns, const spt_element *values, const spt_element *b,
                int ldb, spt_element *c, long long ldc, const spt_element *bias, int n, const spt_element *residual,
                long long ldr) {
    multiply(items, columns, values, b, ldb, c, ldc, bias, n, residual, ldr, true);
}
#endif

#if !SPT_LAYOUT_NK && SPT_HAS_ENTRY(1)
SPT_KERNEL SPT_BOUNDS(SPT_THREADS, 1)
    spmm_scalar(const item_pack *items, const column_index *columns, const spt_element *values, const spt_element *b,
                int ldb, spt_element *c, long long ldc, const spt_element *bias, int n, const spt_element *residual,
                long long ldr) {
    multiply(items, columns, values, b, ldb, c, ldc, bias, n, residual, ldr, false);
}
#endif
#endif
#endif // __CUDACC_RTC__

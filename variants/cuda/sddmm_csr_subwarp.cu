/* SPDX-License-Identifier: Apache-2.0 */
/* sddmm_csr_subwarp: a team of lanes has up to `segment` neighbouring nonzeros of one row of the mask, several at a
 * time: one vector load of X serves all of them, their rows of Y are under way together, and a folding tree of shuffles
 * adds up all their lanes with about as many steps as there are nonzeros. Rows are cut into segments, so that long rows
 * cost no balance (after Gale et al., SC 2020, section 5.4, who have one nonzero of a team at a time). Layout nk: both
 * operands are transposed into the workspace first. Bound: one load of Y per vector of multiply-adds. */
#ifndef __CUDACC_RTC__
#include <string.h>

#include "core/memory.h"
#include "variants/cuda/kernel.h"
#include "variants/cuda/rows.h"

SPT_CUDA_TEXT(sddmm_csr_subwarp);

enum { AXIS_LANES, AXIS_VEC, AXIS_UNROLL, AXIS_TEAMS, AXIS_SEGMENT, N_AXES };
enum { BUFFER_ITEMS, BUFFER_COLUMNS };
enum { NUMBER_ITEMS };
enum { KERNEL_VECTOR, KERNEL_OTHER }; /* the other one: scalar in layout kn, transposing in nk */
enum { PAD = 8 };

static const spt_axis_value lanes_values[] = {{4, NULL}, {8, NULL}, {16, NULL}, {32, NULL}};
static const spt_axis_value vec_values[] = {{1, NULL}, {2, NULL}, {4, NULL}, {8, NULL}};
static const spt_axis_value unroll_values[] = {{2, NULL}, {4, NULL}, {8, NULL}};
static const spt_axis_value teams_values[] = {{2, NULL}, {4, NULL}, {8, NULL}, {16, NULL}, {32, NULL}};
static const spt_axis_value segment_values[] = {{8, NULL}, {32, NULL}, {128, NULL}};
static const spt_axis axes[N_AXES] = {
    [AXIS_LANES] = {"lanes", "lanes that share a dot product", lanes_values, 4},
    [AXIS_VEC] = {"vec", "elements that a lane loads at once", vec_values, 4},
    [AXIS_UNROLL] = {"unroll", "nonzeros of a team at a time", unroll_values, 3},
    [AXIS_TEAMS] = {"teams", "teams of a block", teams_values, 5},
    [AXIS_SEGMENT] = {"segment", "nonzeros of a team at most", segment_values, 3},
};

static int value_of(const spt_point *point, int axis) {
    return spt_point_value(axes, point, axis);
}

static bool is_valid(const spt_workload *workload, const spt_device *device, const spt_point *point) {
    const int lanes = value_of(point, AXIS_LANES), vec = value_of(point, AXIS_VEC);
    const int unroll = value_of(point, AXIS_UNROLL), threads = lanes * value_of(point, AXIS_TEAMS);
    return spt_cuda_has_dtype(device, workload->problem.dtype) && threads >= 64 && threads <= 512 && unroll <= lanes &&
           unroll * vec <= 32 && (size_t)vec * spt_dtype_bytes(workload->problem.dtype) <= 16 &&
           (lanes * vec / 2 < workload->problem.n || (lanes == 4 && vec <= 2));
}

/* One vector of each row of Y per lane, the widest that n fills, four nonzeros under way. */
static void default_point(const spt_workload *workload, const spt_device *device, spt_point *out) {
    const int64_t n = workload->problem.n;
    const int widest = workload->problem.dtype == SPT_F32 ? 2 : 3;
    int vec = 0, lanes = 0;
    while (vec < widest && (4 << (vec + 1)) <= n)
        vec++;
    while (lanes < 3 && ((4 << (lanes + 1)) << vec) <= n)
        lanes++;
    *out = (spt_point){{[AXIS_LANES] = (uint16_t)lanes,
                        [AXIS_VEC] = (uint16_t)vec,
                        [AXIS_UNROLL] = 1,
                        [AXIS_TEAMS] = (uint16_t)(4 - lanes),
                        [AXIS_SEGMENT] = 1}};
    if (!is_valid(workload, device, out))
        *out = (spt_point){{[AXIS_UNROLL] = 1, [AXIS_TEAMS] = 4}};
}

/* Every nonzero reads a row of Y; what L1 does not keep comes from L2. */
static double bound_ns(const spt_workload *workload, const spt_device *device, const spt_point *point) {
    const double n = (double)workload->problem.n, nnz = (double)workload->pattern.nnz;
    const double bytes = (double)spt_dtype_bytes(workload->problem.dtype);
    const double k = (double)workload->pattern.n_cols, dense = bytes * n * (k + (double)workload->pattern.n_rows);
    const double in_l1 = 128e3 / (bytes * n * k), is_nk = workload->problem.layout == SPT_NK ? 1.0 : 0.0;
    const double x_bytes = nnz * n * bytes / value_of(point, AXIS_UNROLL) * 0.25;
    const double l2_bytes = nnz * n * bytes * (in_l1 >= 0.75 ? 0.25 : 1.0 - in_l1) + x_bytes + nnz * (4.0 + bytes);
    return spt_cuda_bound_ns(device, 2.0 * nnz * n, false, l2_bytes + is_nk * 2.0 * dense,
                             dense + nnz * (4.0 + bytes)) +
           is_nk * 1500.0;
}

static spt_status describe(spt_cuda_source *out, const spt_workload *workload, const spt_device *device,
                           const spt_point *point, const spt_csr *a) {
    static const char *const kernels_kn[] = {"sddmm_vector", "sddmm_scalar"};
    static const char *const kernels_nk[] = {"sddmm_vector", "transpose_operands"};
    (void)device, (void)a;
    if (workload->problem.layout == SPT_KN)
        SPT_CUDA_SOURCE(out, sddmm_csr_subwarp, kernels_kn, workload);
    else
        SPT_CUDA_SOURCE(out, sddmm_csr_subwarp, kernels_nk, workload);
    if (workload->problem.layout == SPT_KN && value_of(point, AXIS_VEC) == 1)
        out->n_kernels = 1; /* single elements are always aligned */
    spt_cuda_source_split(out, workload->problem.layout == SPT_NK ? 1u << KERNEL_OTHER : 0);
    spt_cuda_define(out, "SPT_LANES", value_of(point, AXIS_LANES));
    spt_cuda_define(out, "SPT_VEC", value_of(point, AXIS_VEC));
    spt_cuda_define(out, "SPT_NONZEROS", value_of(point, AXIS_UNROLL));
    spt_cuda_define(out, "SPT_TEAMS", value_of(point, AXIS_TEAMS));
    return SPT_OK;
}

/* Neighbouring nonzeros of a row; begin: in the packed columns; output: number of the first one in A. */
typedef struct item {
    int32_t row, begin, count, output;
} item;

static spt_status pack(spt_cuda_packed *out, const spt_workload *workload, const spt_device *device,
                       const spt_point *point, const spt_csr *a) {
    (void)workload, (void)device;
    const int64_t segment = value_of(point, AXIS_SEGMENT), unroll = value_of(point, AXIS_UNROLL);
    int64_t n_items = 0, n_places = 0;
    void *items, *columns;
    SPT_TRY(spt_check_i32(spt_csr_nnz(a) + 8 * a->n_rows + spt_csr_nnz(a), "rows and nonzeros"));
    for (int64_t row = 0; row < a->n_rows; row++) {
        const int64_t length = a->row_offsets[row + 1] - a->row_offsets[row];
        n_items += spt_ceil_div(length, segment);
        n_places += spt_round_up(length, unroll); /* segments are multiples of unroll */
    }
    const int64_t n_slots = spt_round_up(n_items, value_of(point, AXIS_TEAMS)); /* the last ones are empty */
    SPT_TRY(spt_cuda_packed_add(out, "items", (size_t)n_slots * sizeof(item), &items));
    SPT_TRY(spt_cuda_packed_add(out, "columns", (size_t)n_places * sizeof(int32_t), &columns));
    item *next = items;
    int32_t *to = columns;
    for (int64_t row = 0; row < a->n_rows; row++) {
        for (int64_t nz = a->row_offsets[row]; nz < a->row_offsets[row + 1]; nz += segment) {
            const int64_t left = a->row_offsets[row + 1] - nz, count = left < segment ? left : segment;
            *next++ = (item){(int32_t)row, (int32_t)(to - (int32_t *)columns), (int32_t)count, (int32_t)nz};
            memcpy(to, a->columns + nz, (size_t)count * sizeof *to);
            to += spt_round_up(count, unroll);
        }
    }
    out->numbers[NUMBER_ITEMS] = n_slots;
    return SPT_OK;
}

static int64_t padded(int64_t n) {
    return spt_round_up(n, PAD);
}

static size_t workspace(const spt_prepared *prepared, int64_t n) {
    const spt_workload *workload = &prepared->workload;
    if (workload->problem.layout == SPT_KN)
        return 0;
    return (size_t)((workload->pattern.n_rows + workload->pattern.n_cols) * padded(n)) *
           spt_dtype_bytes(workload->problem.dtype);
}

static int n_launches(const spt_prepared *prepared, const spt_call *call) {
    (void)call;
    return prepared->workload.problem.layout == SPT_NK ? 2 : 1;
}

static int64_t y_offset(const spt_prepared *prepared, int64_t n) { /* of the transposed Y, in bytes */
    return prepared->workload.pattern.n_rows * padded(n) * (int64_t)spt_dtype_bytes(prepared->workload.problem.dtype);
}

static void launch_transpose(spt_cuda_launch *out, const spt_prepared *prepared, const spt_call *call) {
    const int64_t m = prepared->workload.pattern.n_rows, k = prepared->workload.pattern.n_cols;
    out->kernel = KERNEL_OTHER;
    out->grid[0] = (uint32_t)spt_ceil_div(m > k ? m : k, 32);
    out->grid[1] = (uint32_t)(call->n > 65535 * 32 ? 65535 : spt_ceil_div(call->n, 32));
    out->grid[2] = 2;
    memcpy(out->block, (uint32_t[3]){256, 1, 1}, sizeof out->block);
    spt_cuda_pass_workspace(out, 0);
    spt_cuda_pass_workspace(out, y_offset(prepared, call->n));
    spt_cuda_pass_i64(out, padded(call->n));
    spt_cuda_pass_operand(out, 'x');
    spt_cuda_pass_i64(out, call->ldx);
    spt_cuda_pass_operand(out, 'y');
    spt_cuda_pass_i64(out, call->ldy);
    spt_cuda_pass_i32(out, call->n);
    spt_cuda_pass_i32(out, m);
    spt_cuda_pass_i32(out, k);
}

static spt_status launch(spt_cuda_launch *out, const spt_prepared *prepared, const spt_call *call, int index) {
    const spt_point *point = &prepared->point;
    const bool is_nk = prepared->workload.problem.layout == SPT_NK;
    const spt_dtype dtype = prepared->workload.problem.dtype;
    const int teams = value_of(point, AXIS_TEAMS), vec = value_of(point, AXIS_VEC);
    const size_t bytes = (size_t)vec * spt_dtype_bytes(dtype);
    SPT_TRY(spt_check_i32(call->n + 512, "n"));
    if (is_nk && index == 0) {
        launch_transpose(out, prepared, call);
        return SPT_OK;
    }
    const bool is_aligned = call->n % vec == 0 && spt_is_aligned(call->x, call->ldx, dtype, bytes) &&
                            spt_is_aligned(call->y, call->ldy, dtype, bytes);
    out->kernel = is_nk || is_aligned ? KERNEL_VECTOR : KERNEL_OTHER;
    out->grid[0] = (uint32_t)(spt_cuda_packed_of(prepared)->numbers[NUMBER_ITEMS] / teams);
    out->grid[1] = out->grid[2] = 1;
    memcpy(out->block, (uint32_t[3]){(uint32_t)(value_of(point, AXIS_LANES) * teams), 1, 1}, sizeof out->block);
    spt_cuda_pass_buffer(out, BUFFER_ITEMS);
    spt_cuda_pass_buffer(out, BUFFER_COLUMNS);
    if (is_nk) {
        spt_cuda_pass_workspace(out, 0);
        spt_cuda_pass_i64(out, padded(call->n));
        spt_cuda_pass_workspace(out, y_offset(prepared, call->n));
        spt_cuda_pass_i64(out, padded(call->n));
    } else {
        spt_cuda_pass_operand(out, 'x');
        spt_cuda_pass_i64(out, call->ldx);
        spt_cuda_pass_operand(out, 'y');
        spt_cuda_pass_i64(out, call->ldy);
    }
    spt_cuda_pass_operand(out, 's');
    spt_cuda_pass_i32(out, is_nk ? padded(call->n) : call->n);
    return SPT_OK;
}

static const spt_cuda_kernel kernel = {.describe = describe, .pack = pack, .n_launches = n_launches, .launch = launch};

const spt_family spt_family_sddmm_csr_subwarp = {
    .name = "sddmm_csr_subwarp",
    .summary = "CUDA: several dot products of a part of a warp at a time (after Gale et al., SC 2020)",
    .op = SPT_SDDMM,
    .dtypes = SPT_DTYPE_BIT(SPT_F32) | SPT_DTYPE_BIT(SPT_BF16) | SPT_DTYPE_BIT(SPT_F16),
    .axes = axes,
    .n_axes = N_AXES,
    .revision = 2,
    .cuda = &kernel,
    .is_valid = is_valid,
    .default_point = default_point,
    .bound_ns = bound_ns,
    .workspace = workspace,
    SPT_CUDA_VERBS,
};

#else // kernel half
#if SPT_LAYOUT_NK && SPT_HAS_ENTRY(1)
/* Blocks with z = 0 transpose X, those with z = 1 transpose Y. */
SPT_KERNEL SPT_BOUNDS(256, 1)
    transpose_operands(spt_element *x_out, spt_element *y_out, long long ld_out, const spt_element *x, long long ldx,
                       const spt_element *y, long long ldy, int n, int m, int k) {
    const bool is_y = blockIdx.z == 1;
    spt_transpose(is_y ? y_out : x_out, ld_out, is_y ? y : x, is_y ? ldy : ldx, n, is_y ? k : m);
}
#endif

#if !SPT_LAYOUT_NK || SPT_HAS_ENTRY(0)
#define SPT_THREADS (SPT_LANES * SPT_TEAMS)
#define SPT_STEP (SPT_LANES * SPT_VEC)

SPT_PACK(element_pack, spt_element, SPT_VEC);
SPT_PACK(item_pack, int, 4); /* row, begin, count, output */

/* The elements of a lane from j on: neighbours, or (scalar) one of each SPT_LANES. */
SPT_DEVICE void load_part(spt_element *out, const spt_element *row, int j, int lane, int n, bool is_there,
                          bool is_vector) {
    if (is_vector) {
        const int place = j + lane * SPT_VEC;
        const element_pack p = spt_ldg_if((const element_pack *)(row + place), is_there && place < n);
        SPT_UNROLL
        for (int i = 0; i < SPT_VEC; i++)
            out[i] = p.v[i];
    } else {
        SPT_UNROLL
        for (int i = 0; i < SPT_VEC; i++) {
            const int place = j + i * SPT_LANES + lane;
            out[i] = spt_ldg_if(row + place, is_there && place < n);
        }
    }
}

/* sum[u] += x . y[column[u]] over this lane's elements, for the first n_nonzeros; the others, for which nothing of Y is
 * loaded, add zeros that nobody stores. */
SPT_DEVICE void add_products(float *sum, const int *column, int n_nonzeros, const spt_element *x_row,
                             const spt_element *y, long long ldy, int lane, int n, bool is_vector) {
    SPT_NO_UNROLL
    for (int j = 0; j < n; j += SPT_STEP) {
        spt_element x[SPT_VEC], y_parts[SPT_NONZEROS * SPT_VEC];
        load_part(x, x_row, j, lane, n, true, is_vector);
        SPT_UNROLL
        for (int u = 0; u < SPT_NONZEROS; u++)
            load_part(y_parts + u * SPT_VEC, y + column[u] * ldy, j, lane, n, u < n_nonzeros, is_vector);
        SPT_UNROLL
        for (int u = 0; u < SPT_NONZEROS; u++) {
            SPT_UNROLL
            for (int i = 0; i < SPT_VEC; i++)
                sum[u] = spt_fma(spt_widen(x[i]), spt_widen(y_parts[u * SPT_VEC + i]), sum[u]);
        }
    }
}

/* Add all lanes of a team for all sums at once: each step halves the sums that a lane still has. Gives the total of
 * nonzero *which, for lanes below SPT_NONZEROS each another one. */
SPT_DEVICE float fold(float *sum, int lane, unsigned mask, int *which) {
    int d = 1, place = 0;
    SPT_UNROLL
    for (int w = SPT_NONZEROS / 2; w >= 1; w /= 2) {
        const bool is_upper = (lane & d) != 0;
        SPT_UNROLL
        for (int i = 0; i < w; i++) {
            const float keep = is_upper ? sum[i + w] : sum[i], send = is_upper ? sum[i] : sum[i + w];
            sum[i] = keep + spt_shfl_xor(mask, send, d, 32);
        }
        place += is_upper ? w : 0;
        d *= 2;
    }
    SPT_UNROLL
    for (; d < SPT_LANES; d *= 2)
        sum[0] += spt_shfl_xor(mask, sum[0], d, 32);
    *which = place;
    return sum[0];
}

SPT_DEVICE void multiply(const item_pack *items, const int *columns, const spt_element *x, long long ldx,
                         const spt_element *y, long long ldy, spt_element *s, int n, bool is_vector) {
    const int lane = threadIdx.x % SPT_LANES, team = threadIdx.x / SPT_LANES;
    const unsigned mask = SPT_FULL_MASK >> (32 - SPT_LANES) << (threadIdx.x % 32 / SPT_LANES * SPT_LANES);
    const item_pack item = spt_ldg(items + blockIdx.x * SPT_TEAMS + team);
    const spt_element *x_row = x + item.v[0] * ldx;
    SPT_NO_UNROLL
    for (int nz = 0; nz < item.v[2]; nz += SPT_NONZEROS) {
        int column[SPT_NONZEROS], which;
        float sum[SPT_NONZEROS];
        SPT_UNROLL
        for (int u = 0; u < SPT_NONZEROS; u++) {
            column[u] = spt_ldg(columns + item.v[1] + nz + u);
            sum[u] = 0.0f;
        }
        const int left = item.v[2] - nz;
        add_products(sum, column, left, x_row, y, ldy, lane, n, is_vector);
        const float total = fold(sum, lane, mask, &which);
        if (lane < SPT_NONZEROS && which < left)
            spt_stg(s + item.v[3] + nz + which, spt_narrow(total));
    }
}

#if SPT_HAS_ENTRY(0)
SPT_KERNEL SPT_BOUNDS(SPT_THREADS, 1)
    sddmm_vector(const item_pack *items, const int *columns, const spt_element *x, long long ldx, const spt_element *y,
                 long long ldy, spt_element *s, int n) {
    multiply(items, columns, x, ldx, y, ldy, s, n, true);
}
#endif

#if !SPT_LAYOUT_NK && SPT_HAS_ENTRY(1)
SPT_KERNEL SPT_BOUNDS(SPT_THREADS, 1)
    sddmm_scalar(const item_pack *items, const int *columns, const spt_element *x, long long ldx, const spt_element *y,
                 long long ldy, spt_element *s, int n) {
    multiply(items, columns, x, ldx, y, ldy, s, n, false);
}
#endif
#endif
#endif // __CUDACC_RTC__

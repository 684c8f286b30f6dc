/* SPDX-License-Identifier: Apache-2.0 */
/* spmm_bcsr: A as dense blocks of r rows x c columns, r rows of C in registers, each loaded row of B used r times;
 * after Im, Yelick and Vuduc, "Sparsity: Optimization Framework for Sparse Matrix Kernels" (IJHPCA 18, 2004). Workload:
 * structured patterns, whose blocks are at least FILL_MIN full: zeros inside a block are multiplied.
 *
 * Packed A: for each block row its blocks' byte offsets in B, and c x r values per block, column by column. */
#include <string.h>

#include "core/memory.h"
#include "variants/bound.h"
#include "variants/cpu/simd.h"
#include "variants/cpu/strip.h"
#include "variants/cpu/sums.h"
#include "variants/family.h"
#include "variants/isa.h"

enum { AXIS_BLOCK, AXIS_T, AXIS_PACK, N_AXES };
enum { R_MAX = 16, T_MAX = 6 };
#define FILL_MIN 0.6

typedef struct bcsr_state {
    strip_plan strips;
    int r, c;
    int64_t m, k, nnz, n_rows, n_blocks; /* n_rows: block rows */
    int64_t *row_start;                  /* m + 1: nonzeros before each row of A */
    int64_t *block_start;                /* n_rows + 1 */
    int32_t *column;                     /* n_blocks: first column of A */
    int64_t *place;                      /* nnz: where each value of CSR order goes */
    float *values;                       /* n_blocks x c x r */
} bcsr_state;

/* One block row of one strip: c is the row's first row of C, of which n_rows are there. */
SPT_INLINE void bcsr_row(const bcsr_state *state, const strip_view *strip, int64_t index, float *c, int64_t n_rows,
                         const int r, const int t) {
    const int64_t row = index * r;
    const float *values = state->values + state->block_start[index] * state->c * r;
    spt_vec sum[R_MAX][T_MAX];
#pragma GCC unroll 16
    for (int i = 0; i < r; i++)
        sums_load(sum[i], strip, i < n_rows ? row + i : row, NULL, true, t);
    for (int64_t block = state->block_start[index]; block < state->block_start[index + 1]; block++) {
        const int64_t column = state->column[block];
        const float *from = strip->b + column * strip->ldb;
        const int64_t n_columns = strip_min(state->c, state->k - column);
        for (int64_t j = 0; j < n_columns; j++, from += strip->ldb, values += r) {
            spt_vec b[T_MAX];
#pragma GCC unroll 6
            for (int v = 0; v < t; v++)
                b[v] = vec_load(from + v * SPT_LANES);
#pragma GCC unroll 16
            for (int i = 0; i < r; i++)
                sums_add(sum[i], values[i], b, t);
        }
        values += (state->c - n_columns) * r;
    }
#pragma GCC unroll 16
    for (int i = 0; i < r; i++) {
        if (i < n_rows)
            sums_store(sum[i], strip, c + i * strip->ldc, true, t);
    }
}

typedef void bcsr_instance(const bcsr_state *state, const strip_view *strip, int64_t index, float *c, int64_t n_rows);
#define BCSR_SHAPES(X) X(4, 1) X(4, 2) X(4, 3) X(4, 4) X(4, 5) X(4, 6) X(8, 1) X(8, 2) X(8, 3) X(16, 1)
#define BCSR_DEFINE(r, t)                                                                                              \
    static void bcsr_row_##r##_##t(const bcsr_state *state, const strip_view *strip, int64_t index, float *c,          \
                                   int64_t n_rows) {                                                                   \
        bcsr_row(state, strip, index, c, n_rows, r, t);                                                                \
    }
#define BCSR_ROW(r, t) [r][t] = bcsr_row_##r##_##t,
BCSR_SHAPES(BCSR_DEFINE)
static bcsr_instance *const bcsr_instances[R_MAX + 1][T_MAX + 1] = {BCSR_SHAPES(BCSR_ROW)};

static void bcsr_strip(const void *context, const strip_view *strip, spt_range rows) {
    const bcsr_state *state = context;
    bcsr_instance *instance = bcsr_instances[state->r][strip->n_vectors];
    for (int64_t row = rows.begin; row < rows.end; row += state->r)
        instance(state, strip, row / state->r, strip->c + (row - strip->first_row) * strip->ldc,
                 strip_min(state->r, rows.end - row));
}

typedef void bcsr_run(const bcsr_state *state, const spt_call *call, const spt_problem *problem, strip_part part);
extern bcsr_run SPT_ISA_NAME(bcsr_run_f32);
void SPT_ISA_NAME(bcsr_run_f32)(const bcsr_state *state, const spt_call *call, const spt_problem *problem,
                                strip_part part) {
    strip_run(&state->strips, state, bcsr_strip, call, problem, part);
}

#if SPT_EMIT_DESCRIPTOR

SPT_ISA_TABLE(bcsr_run, bcsr_run_f32)

/* Shapes of blocks; the pattern's features tell how full aligned blocks of 4x1, 4x4 and 16x16 are. */
typedef struct bcsr_shape {
    int r, c;
    size_t fill; /* the feature that must reach FILL_MIN */
} bcsr_shape;
static const bcsr_shape shapes[] = {
    {4, 1, offsetof(spt_features, fill_4x1)},     {8, 1, offsetof(spt_features, fill_16x16)},
    {4, 4, offsetof(spt_features, fill_4x4)},     {8, 16, offsetof(spt_features, fill_16x16)},
    {16, 16, offsetof(spt_features, fill_16x16)},
};
static const spt_axis_value block_values[] = {{0, "4x1"}, {1, "8x1"}, {2, "4x4"}, {3, "8x16"}, {4, "16x16"}};
static const spt_axis_value t_values[] = {{1, NULL}, {2, NULL}, {3, NULL}, {4, NULL}, {6, NULL}};
static const spt_axis_value pack_values[] = {
    {STRIP_PACK_NONE, "none"}, {STRIP_PACK_COPY, "copy"}, {STRIP_PACK_TRANSPOSE, "transpose"}};
static const spt_axis axes[N_AXES] = {
    [AXIS_BLOCK] = {"block", "rows x columns of a block", block_values, 5},
    [AXIS_T] = {"t", "vectors of C per row", t_values, 5},
    [AXIS_PACK] = {"pack", "how a strip of B is brought into contiguous memory", pack_values, 3},
};

static double fill_of(const spt_workload *workload, const bcsr_shape *shape) {
    double fill;
    memcpy(&fill, (const char *)&workload->pattern.features + shape->fill, sizeof fill);
    return fill;
}

static bool is_valid(const spt_workload *workload, const spt_device *device, const spt_point *point) {
    const bcsr_shape *shape = &shapes[spt_point_value(axes, point, AXIS_BLOCK)];
    const int32_t t = spt_point_value(axes, point, AXIS_T), pack = spt_point_value(axes, point, AXIS_PACK);
    const int registers = device->isa == SPT_ISA_PLAIN || device->isa == SPT_ISA_AVX2 ? 16 : 32;
    const bool is_pack_legal = (workload->problem.layout == SPT_NK) == (pack == STRIP_PACK_TRANSPOSE);
    const bool fits_registers = (shape->r + 1) * t <= registers + 1 && (shape->r == 4 || t <= (shape->r == 8 ? 3 : 1));
    const bool is_t_used =
        t == 1 || (int64_t)t * spt_isa_lanes(device->isa) < workload->problem.n + spt_isa_lanes(device->isa);
    return is_pack_legal && fits_registers && is_t_used && fill_of(workload, shape) >= FILL_MIN &&
           workload->pattern.nnz < INT32_MAX;
}

static double bound_ns(const spt_workload *workload, const spt_device *device, const spt_point *point) {
    const spt_ceilings *ceilings = spt_ceilings_get(device);
    const bcsr_shape *shape = &shapes[spt_point_value(axes, point, AXIS_BLOCK)];
    const double lanes = spt_isa_lanes(device->isa), t = spt_point_value(axes, point, AXIS_T), r = shape->r;
    const double m = (double)workload->pattern.n_rows, k = (double)workload->pattern.n_cols;
    const double n = (double)workload->problem.n, fill = fill_of(workload, shape);
    const double cells = (double)workload->pattern.nnz / (fill > FILL_MIN ? fill : FILL_MIN);
    const double vectors = (n + lanes - 1.0) / lanes, strips = (vectors + t - 1.0) / t;
    const bool is_packed = spt_point_value(axes, point, AXIS_PACK) != STRIP_PACK_NONE;
    const spt_rows_apart apart = spt_rows_apart_of(is_packed, workload->problem.n, lanes, t * lanes);
    const double b_vectors = cells / r * vectors * (1.0 + apart.splits);
    const double fma_ns = 2.0 * cells * vectors * lanes / ceilings->fma_gflops;
    const double load_ns = (b_vectors + cells * strips) / ceilings->vector_loads_per_ns;
    const double fill_ns = spt_fill_ns(ceilings, device, b_vectors * lanes * 4.0, k * t * lanes * 4.0 / apart.l1_share);
    const double a_ns = spt_fill_ns(ceilings, device, 4.0 * cells * strips, 4.0 * cells);
    double ns = (load_ns > fma_ns ? load_ns : fma_ns) + fill_ns + a_ns +
                spt_fill_ns(ceilings, device, 4.0 * m * n, 4.0 * m * n);
    if (is_packed)
        ns += spt_pack_ns(ceilings, device, 4.0 * k * n, 4.0 * k * n);
    return ns / workload->problem.threads;
}

static void default_point(const spt_workload *workload, const spt_device *device, spt_point *out) {
    const uint32_t tried[N_AXES] = {[AXIS_BLOCK] = SPT_TRY_ALL, [AXIS_T] = SPT_TRY_ALL, [AXIS_PACK] = SPT_TRY_ALL};
    spt_family_least_bound(out, &spt_family_spmm_bcsr, tried, workload, device);
}

static void release(spt_prepared *prepared) {
    bcsr_state *state = prepared->state;
    if (state == NULL)
        return;
    spt_free(state->row_start);
    spt_free(state->block_start);
    spt_free(state->column);
    spt_free(state->place);
    spt_free(state->values);
    spt_free(state);
    prepared->state = NULL;
}

static spt_status set_values(spt_prepared *prepared, const void *values) {
    const bcsr_state *state = prepared->state;
    for (int64_t nz = 0; nz < state->nnz; nz++)
        state->values[state->place[nz]] = ((const float *)values)[nz];
    return SPT_OK;
}

/* Number the blocks of one block row in `slot` (block column -> block + 1, 0: none yet); returns the next number. */
static int64_t number_blocks(const bcsr_state *state, const spt_csr *a, int64_t index, int64_t *slot, int64_t next) {
    const int64_t end_row = strip_min((index + 1) * state->r, state->m),
                  n_columns = (state->k + state->c - 1) / state->c;
    for (int64_t nz = a->row_offsets[index * state->r]; nz < a->row_offsets[end_row]; nz++)
        slot[a->columns[nz] / state->c] = 1;
    for (int64_t column = 0; column < n_columns; column++) {
        if (slot[column] != 0)
            slot[column] = ++next;
    }
    return next;
}

/* Two passes over the block rows: the first counts, the second places. */
static spt_status fill_blocks(bcsr_state *state, const spt_csr *a, int64_t *slot) {
    const int64_t n_columns = (state->k + state->c - 1) / state->c;
    for (int pass = 0; pass < 2; pass++) {
        int64_t next = 0;
        for (int64_t index = 0; index < state->n_rows; index++) {
            state->block_start[index] = next;
            memset(slot, 0, (size_t)n_columns * sizeof *slot);
            next = number_blocks(state, a, index, slot, next);
            for (int64_t column = 0; pass == 1 && column < n_columns; column++) {
                if (slot[column] != 0)
                    state->column[slot[column] - 1] = (int32_t)(column * state->c);
            }
            const int64_t end_row = strip_min((index + 1) * state->r, state->m);
            for (int64_t row = index * state->r; pass == 1 && row < end_row; row++) {
                for (int64_t nz = a->row_offsets[row]; nz < a->row_offsets[row + 1]; nz++)
                    state->place[nz] =
                        ((slot[a->columns[nz] / state->c] - 1) * state->c + a->columns[nz] % state->c) * state->r +
                        row % state->r;
            }
        }
        state->block_start[state->n_rows] = state->n_blocks = next;
        if (pass == 0) {
            SPT_TRY(SPT_NEW(state->column, next));
            SPT_TRY(SPT_NEW_ZEROED(state->values, next * state->c * state->r));
        }
    }
    return SPT_OK;
}

static spt_status prepare(spt_prepared *prepared, const spt_csr *a) {
    const spt_point *point = &prepared->point;
    const bcsr_shape *shape = &shapes[spt_point_value(axes, point, AXIS_BLOCK)];
    const int64_t m = a->n_rows, nnz = spt_csr_nnz(a);
    int64_t *slot = NULL;
    bcsr_state *state;
    spt_status status = SPT_OK;
    SPT_TRY(SPT_NEW_ZEROED(state, 1));
    prepared->state = state;
    *state = (bcsr_state){.r = shape->r, .c = shape->c, .m = m, .k = a->n_cols, .nnz = nnz};
    state->n_rows = (m + state->r - 1) / state->r;
    SPT_TRY_TO(done, SPT_NEW(state->row_start, m + 1));
    SPT_TRY_TO(done, SPT_NEW(state->block_start, state->n_rows + 1));
    SPT_TRY_TO(done, SPT_NEW(state->place, nnz));
    SPT_TRY_TO(done, SPT_NEW(slot, (a->n_cols + state->c - 1) / state->c));
    memcpy(state->row_start, a->row_offsets, (size_t)(m + 1) * sizeof *state->row_start);
    SPT_TRY_TO(done, fill_blocks(state, a, slot));
    SPT_TRY_TO(done, set_values(prepared, a->values));
    state->strips = (strip_plan){.t = spt_point_value(axes, point, AXIS_T),
                                 .pack = spt_point_value(axes, point, AXIS_PACK),
                                 .lanes = spt_isa_lanes(prepared->device.isa),
                                 .pads_tail = true,
                                 .m = m,
                                 .k = a->n_cols,
                                 .group = 1,
                                 .row_chunk = 64,
                                 .row_align = state->r,
                                 .n_before = state->row_start};
    prepared->packed_bytes = (size_t)(state->n_blocks * state->c * state->r) * sizeof *state->values +
                             (size_t)state->n_blocks * sizeof *state->column +
                             (size_t)(nnz + m + state->n_rows + 2) * 8;
done:
    spt_free(slot);
    if (status != SPT_OK)
        release(prepared);
    return status;
}

STRIP_VERBS(bcsr_state, bcsr_run_f32_for)

const spt_family spt_family_spmm_bcsr = {
    .name = "spmm_bcsr",
    .summary = "dense blocks of rows x columns, for patterns whose blocks are full (after Im et al., 2004)",
    .op = SPT_SPMM,
    .device = SPT_CPU,
    .dtypes = SPT_DTYPE_BIT(SPT_F32),
    .axes = axes,
    .n_axes = N_AXES,
    .revision = 3,
    .pads_zeros = true,
    .is_valid = is_valid,
    .default_point = default_point,
    .bound_ns = bound_ns,
    .prepare = prepare,
    .set_values = set_values,
    .workspace = workspace,
    .run_part = run_part,
    .release = release,
};

#endif

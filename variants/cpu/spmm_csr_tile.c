/* SPDX-License-Identifier: Apache-2.0 */
/* spmm_csr_tile: r rows of A share each loaded row of B. Inside a block of K the columns of a row group are sorted by
 * which of its rows use them, an r-bit mask, and every mask has its own loop; after Wilkinson, Cheshmi and Dehnavi,
 * "Register Tiling for Unstructured Sparsity in Neural Network Inference" (PLDI 2023), with blocks that keep the panel
 * of B in L1. Workload: 50 to 85 % sparse layers, and columns that neighbouring rows share.
 *
 * Packed A: for each (block, group) how many columns have each mask, their byte offsets in B, and the values in the
 * order of use: columns of mask 1, of mask 2, ... */
#include <string.h>

#include "core/memory.h"
#include "variants/bound.h"
#include "variants/cpu/simd.h"
#include "variants/cpu/strip.h"
#include "variants/cpu/sums.h"
#include "variants/family.h"
#include "variants/isa.h"

enum { AXIS_R, AXIS_T, AXIS_KB, AXIS_PACK, N_AXES };
enum { R_MAX = 4, T_MAX = 8, N_MASKS = 1 << R_MAX };

/* One row group of one block. */
typedef struct tile_cell {
    int64_t first_column, first_value;
    int32_t count[N_MASKS]; /* columns per mask; mask 0 is unused */
} tile_cell;

typedef struct tile_state {
    strip_plan strips;
    int r;
    int64_t m, nnz, n_groups, n_blocks, block_columns;
    int64_t *row_start; /* m + 1 */
    tile_cell *cells;   /* n_blocks x n_groups */
    uint32_t *offsets;  /* bytes from the block's first row of B, at most nnz */
    int32_t *source;    /* nnz: place of each packed value in CSR order */
    float *values;      /* nnz */
} tile_state;

/* What one cell needs; offsets and values go on from mask to mask. */
typedef struct tile_cursor {
    const uint32_t *offsets;
    const float *values;
    const float *b; /* the block's first row of B */
} tile_cursor;

/* The columns of one mask: t vectors of B once, then a broadcast and t multiply-adds for every row of the mask. */
SPT_INLINE void tile_mask(spt_vec sum[R_MAX][T_MAX], tile_cursor *cursor, int32_t count, const int r, const int t,
                          const int mask) {
    const float *values = cursor->values;
    for (int32_t i = 0; i < count; i++) {
        const float *from = sums_row(cursor->b, cursor->offsets[i]);
        spt_vec b[T_MAX];
#pragma GCC unroll 8
        for (int v = 0; v < t; v++)
            b[v] = vec_load(from + v * SPT_LANES);
#pragma GCC unroll 4
        for (int row = 0; row < r; row++) {
            if (mask >> row & 1)
                sums_add(sum[row], *values++, b, t);
        }
    }
    cursor->offsets += count;
    cursor->values = values;
}

#define TILE_MASKS_1_5(X, r, t) X(1, r, t) X(2, r, t) X(3, r, t) X(4, r, t) X(5, r, t)
#define TILE_MASKS_6_10(X, r, t) X(6, r, t) X(7, r, t) X(8, r, t) X(9, r, t) X(10, r, t)
#define TILE_MASKS_11_15(X, r, t) X(11, r, t) X(12, r, t) X(13, r, t) X(14, r, t) X(15, r, t)
#define TILE_MASK(mask, r, t)                                                                                          \
    if ((mask) < (1 << (r)))                                                                                           \
        tile_mask(sum, &cursor, cell->count[mask], r, t, mask);

/* One cell: `n_rows` (r but for the last group) rows of C from c on. */
SPT_INLINE void tile_cell_rows(const tile_cell *cell, tile_cursor cursor, const strip_view *strip, int64_t row,
                               int64_t n_rows, bool is_first, bool is_last, const int r, const int t) {
    float *c = strip->c + (row - strip->first_row) * strip->ldc;
    spt_vec sum[R_MAX][T_MAX];
#pragma GCC unroll 4
    for (int i = 0; i < r; i++) {
        if (i < n_rows) {
            sums_load(sum[i], strip, row + i, c + i * strip->ldc, is_first, t);
        } else {
#pragma GCC unroll 8
            for (int v = 0; v < t; v++)
                sum[i][v] = vec_zero();
        }
    }
    TILE_MASKS_1_5(TILE_MASK, r, t)
    TILE_MASKS_6_10(TILE_MASK, r, t)
    TILE_MASKS_11_15(TILE_MASK, r, t)
#pragma GCC unroll 4
    for (int i = 0; i < r; i++) {
        if (i < n_rows)
            sums_store(sum[i], strip, c + i * strip->ldc, is_last, t);
    }
}

typedef void tile_instance(const tile_cell *cell, tile_cursor cursor, const strip_view *strip, int64_t row,
                           int64_t n_rows, bool is_first, bool is_last);
#define TILE_SHAPES_2(X) X(2, 1) X(2, 2) X(2, 3) X(2, 4) X(2, 5) X(2, 6) X(2, 7) X(2, 8)
#define TILE_SHAPES_3(X) X(3, 1) X(3, 2) X(3, 3) X(3, 4) X(3, 5) X(3, 6)
#define TILE_SHAPES_4(X) X(4, 1) X(4, 2) X(4, 3) X(4, 4)
#define TILE_SHAPES(X) TILE_SHAPES_2(X) TILE_SHAPES_3(X) TILE_SHAPES_4(X)
#define TILE_DEFINE(r, t)                                                                                              \
    static void tile_rows_##r##_##t(const tile_cell *cell, tile_cursor cursor, const strip_view *strip, int64_t row,   \
                                    int64_t n_rows, bool is_first, bool is_last) {                                     \
        tile_cell_rows(cell, cursor, strip, row, n_rows, is_first, is_last, r, t);                                     \
    }
#define TILE_ROW(r, t) [r][t] = tile_rows_##r##_##t,
TILE_SHAPES(TILE_DEFINE)
static tile_instance *const tile_instances[R_MAX + 1][T_MAX + 1] = {TILE_SHAPES(TILE_ROW)};

static void tile_strip(const void *context, const strip_view *strip, spt_range rows) {
    const tile_state *state = context;
    tile_instance *instance = tile_instances[state->r][strip->n_vectors];
    for (int64_t block = 0; block < state->n_blocks; block++) {
        const float *b = strip->b + block * state->block_columns * strip->ldb;
        for (int64_t row = rows.begin; row < rows.end; row += state->r) {
            const tile_cell *cell = &state->cells[block * state->n_groups + row / state->r];
            const tile_cursor cursor = {state->offsets + cell->first_column, state->values + cell->first_value, b};
            instance(cell, cursor, strip, row, strip_min(state->r, rows.end - row), block == 0,
                     block == state->n_blocks - 1);
        }
    }
}

typedef void tile_run(const tile_state *state, const spt_call *call, const spt_problem *problem, strip_part part);
extern tile_run SPT_ISA_NAME(spmm_tile_run_f32);
void SPT_ISA_NAME(spmm_tile_run_f32)(const tile_state *state, const spt_call *call, const spt_problem *problem,
                                     strip_part part) {
    strip_run(&state->strips, state, tile_strip, call, problem, part);
}

#if SPT_EMIT_DESCRIPTOR

SPT_ISA_TABLE(tile_run, spmm_tile_run_f32)

static const spt_axis_value r_values[] = {{2, NULL}, {3, NULL}, {4, NULL}};
static const spt_axis_value t_values[] = {{1, NULL}, {2, NULL}, {3, NULL}, {4, NULL}, {6, NULL}, {8, NULL}};
static const spt_axis_value kb_values[] = {{64, NULL}, {128, NULL}, {256, NULL}, {512, NULL}, {0, "all"}};
static const spt_axis_value pack_values[] = {
    {STRIP_PACK_NONE, "none"}, {STRIP_PACK_COPY, "copy"}, {STRIP_PACK_TRANSPOSE, "transpose"}};
static const spt_axis axes[N_AXES] = {
    [AXIS_R] = {"r", "rows that share each loaded row of B", r_values, 3},
    [AXIS_T] = {"t", "vectors of C per row", t_values, 6},
    [AXIS_KB] = {"kb", "columns of A, rows of B, in one block", kb_values, 5},
    [AXIS_PACK] = {"pack", "how a strip of B is brought into contiguous memory", pack_values, 3},
};

static int64_t offset_ld(const spt_workload *workload, const spt_device *device, const spt_point *point) {
    return strip_offset_ld(workload->problem.n,
                           (int64_t)spt_point_value(axes, point, AXIS_T) * spt_isa_lanes(device->isa),
                           spt_point_value(axes, point, AXIS_PACK));
}

static int64_t block_columns(const spt_workload *workload, const spt_point *point) {
    return strip_block_columns(workload->pattern.n_cols, spt_point_value(axes, point, AXIS_KB));
}

static bool is_valid(const spt_workload *workload, const spt_device *device, const spt_point *point) {
    const int32_t kb = spt_point_value(axes, point, AXIS_KB), t = spt_point_value(axes, point, AXIS_T);
    const int32_t pack = spt_point_value(axes, point, AXIS_PACK), r = spt_point_value(axes, point, AXIS_R);
    const int registers = device->isa == SPT_ISA_PLAIN || device->isa == SPT_ISA_AVX2 ? 16 : 32;
    const bool is_pack_legal = (workload->problem.layout == SPT_NK) == (pack == STRIP_PACK_TRANSPOSE);
    const bool is_kb_distinct = kb == 0 || (kb < workload->pattern.n_cols && kb * t >= 256 && kb * t <= 2048);
    const bool fits_registers = (r + 1) * t + 1 <= registers && (r == 2 || t <= (r == 3 ? 6 : 4));
    const bool is_t_used =
        t == 1 || (int64_t)t * spt_isa_lanes(device->isa) < workload->problem.n + spt_isa_lanes(device->isa);
    return is_pack_legal && is_kb_distinct && fits_registers && is_t_used && workload->pattern.nnz < INT32_MAX &&
           block_columns(workload, point) * offset_ld(workload, device, point) < INT32_MAX / 4;
}

/* A row group of a block costs this beside its columns: one loop per mask, whose end is guessed wrong now and then. */
#define MASK_NS 2.5

static double bound_ns(const spt_workload *workload, const spt_device *device, const spt_point *point) {
    const spt_ceilings *ceilings = spt_ceilings_get(device);
    const double lanes = spt_isa_lanes(device->isa), t = spt_point_value(axes, point, AXIS_T);
    const double r = spt_point_value(axes, point, AXIS_R), block = (double)block_columns(workload, point);
    const double m = (double)workload->pattern.n_rows, k = (double)workload->pattern.n_cols;
    const double n = (double)workload->problem.n, nnz = (double)workload->pattern.nnz;
    const bool is_packed = spt_point_value(axes, point, AXIS_PACK) != STRIP_PACK_NONE;
    const spt_rows_apart apart = spt_rows_apart_of(is_packed, workload->problem.n, lanes, t * lanes);
    double empty = 1.0; /* chance that none of r rows uses a column */
    for (int i = 0; i < (int)r; i++)
        empty *= m * k > 0.0 ? 1.0 - nnz / (m * k) : 1.0;
    const double columns = m / r * k * (1.0 - empty), n_blocks = (k + block - 1.0) / block;
    const double vectors = (n + lanes - 1.0) / lanes, strips = (vectors + t - 1.0) / t;
    const double cells = nnz > 0.0 ? n_blocks * m / r : 0.0; /* without work no loop ends unforeseen */
    const double b_vectors = columns * vectors * (1.0 + apart.splits);
    const double load_ns =
        (b_vectors + columns * strips + nnz * strips + 2.0 * m * n_blocks * vectors) / ceilings->vector_loads_per_ns;
    const double fma_ns = 2.0 * nnz * vectors * lanes / ceilings->fma_gflops;
    const double panel_bytes = block * t * lanes * 4.0 / apart.l1_share;
    const double fill_ns = spt_fill_ns(ceilings, device, b_vectors * lanes * 4.0, panel_bytes);
    const double n_masks = r == 2.0 ? 3.0 : r == 3.0 ? 7.0 : 15.0;
    double ns = (load_ns > fma_ns ? load_ns : fma_ns) + fill_ns + cells * strips * n_masks * MASK_NS;
    if (is_packed)
        ns += spt_pack_ns(ceilings, device, 4.0 * k * n, 4.0 * k * n);
    return ns / workload->problem.threads;
}

static void default_point(const spt_workload *workload, const spt_device *device, spt_point *out) {
    const uint32_t tried[N_AXES] = {
        [AXIS_R] = SPT_TRY_ALL, [AXIS_T] = SPT_TRY_ALL, [AXIS_KB] = SPT_TRY_ALL, [AXIS_PACK] = SPT_TRY_ALL};
    spt_family_least_bound(out, &spt_family_spmm_csr_tile, tried, workload, device);
}

static void release(spt_prepared *prepared) {
    tile_state *state = prepared->state;
    if (state == NULL)
        return;
    spt_free(state->row_start);
    spt_free(state->cells);
    spt_free(state->offsets);
    spt_free(state->source);
    spt_free(state->values);
    spt_free(state);
    prepared->state = NULL;
}

static spt_status set_values(spt_prepared *prepared, const void *values) {
    const tile_state *state = prepared->state;
    for (int64_t i = 0; i < state->nnz; i++)
        state->values[i] = ((const float *)values)[state->source[i]];
    return SPT_OK;
}

/* Scratch of one block: which rows of the group use each column, and where each row stands. */
typedef struct tile_scratch {
    uint8_t *mask;   /* block_columns, all 0 between cells */
    int64_t *cursor; /* m: next nonzero of each row */
} tile_scratch;

/* Sort one cell's columns by mask. Rows are sorted by column, so a merge over the block's columns finds each value. */
static void fill_cell(tile_state *state, tile_cell *cell, const spt_csr *a, spt_range rows, spt_range columns,
                      tile_scratch *scratch, int64_t *n_columns, int64_t *n_values) {
    const int64_t ld = state->strips.fixed_ld;
    int64_t end[R_MAX], column_place[N_MASKS], value_place[N_MASKS];
    for (int64_t row = rows.begin; row < rows.end; row++) {
        int64_t nz = scratch->cursor[row];
        for (; nz < a->row_offsets[row + 1] && a->columns[nz] < columns.end; nz++)
            scratch->mask[a->columns[nz] - columns.begin] |= (uint8_t)(1u << (row - rows.begin));
        end[row - rows.begin] = nz;
    }
    for (int64_t i = 0; i < columns.end - columns.begin; i++)
        cell->count[scratch->mask[i]]++;
    cell->count[0] = 0;
    cell->first_column = *n_columns;
    cell->first_value = *n_values;
    for (int mask = 1; mask < N_MASKS; mask++) {
        column_place[mask] = *n_columns;
        value_place[mask] = *n_values;
        *n_columns += cell->count[mask];
        *n_values += cell->count[mask] * __builtin_popcount((unsigned)mask);
    }
    for (int64_t i = 0; i < columns.end - columns.begin; i++) {
        const int mask = scratch->mask[i];
        scratch->mask[i] = 0;
        if (mask == 0)
            continue;
        state->offsets[column_place[mask]++] = (uint32_t)(i * ld * (int64_t)sizeof(float));
        for (int row = 0; row < R_MAX; row++) {
            if (mask >> row & 1)
                state->source[value_place[mask]++] = (int32_t)scratch->cursor[rows.begin + row]++;
        }
    }
    for (int64_t row = rows.begin; row < rows.end; row++)
        scratch->cursor[row] = end[row - rows.begin];
}

static void fill_cells(tile_state *state, const spt_csr *a, tile_scratch *scratch) {
    int64_t n_columns = 0, n_values = 0;
    for (int64_t block = 0; block < state->n_blocks; block++) {
        const int64_t begin = block * state->block_columns;
        const spt_range columns = {begin, strip_min(begin + state->block_columns, a->n_cols)};
        for (int64_t group = 0; group < state->n_groups; group++) {
            const spt_range rows = {group * state->r, strip_min((group + 1) * state->r, state->m)};
            fill_cell(state, &state->cells[block * state->n_groups + group], a, rows, columns, scratch, &n_columns,
                      &n_values);
        }
    }
}

static spt_status prepare(spt_prepared *prepared, const spt_csr *a) {
    const spt_point *point = &prepared->point;
    const int64_t m = a->n_rows, nnz = spt_csr_nnz(a);
    tile_scratch scratch = {0};
    tile_state *state;
    spt_status status = SPT_OK;
    SPT_TRY(SPT_NEW_ZEROED(state, 1));
    prepared->state = state;
    *state = (tile_state){.r = spt_point_value(axes, point, AXIS_R), .m = m, .nnz = nnz};
    state->block_columns = block_columns(&prepared->workload, point);
    state->n_blocks = a->n_cols == 0 ? 1 : (a->n_cols + state->block_columns - 1) / state->block_columns;
    state->n_groups = (m + state->r - 1) / state->r;
    SPT_TRY_TO(done, SPT_NEW(state->row_start, m + 1));
    SPT_TRY_TO(done, SPT_NEW_ZEROED(state->cells, state->n_blocks * state->n_groups));
    SPT_TRY_TO(done, SPT_NEW(state->offsets, nnz));
    SPT_TRY_TO(done, SPT_NEW(state->source, nnz));
    SPT_TRY_TO(done, SPT_NEW(state->values, nnz));
    SPT_TRY_TO(done, SPT_NEW_ZEROED(scratch.mask, state->block_columns));
    SPT_TRY_TO(done, SPT_NEW(scratch.cursor, m + 1));
    memcpy(state->row_start, a->row_offsets, (size_t)(m + 1) * sizeof *state->row_start);
    memcpy(scratch.cursor, a->row_offsets, (size_t)(m + 1) * sizeof *scratch.cursor);
    state->strips = (strip_plan){.t = spt_point_value(axes, point, AXIS_T),
                                 .pack = spt_point_value(axes, point, AXIS_PACK),
                                 .lanes = spt_isa_lanes(prepared->device.isa),
                                 .pads_tail = true,
                                 .fixed_ld = offset_ld(&prepared->workload, &prepared->device, point),
                                 .m = m,
                                 .k = a->n_cols,
                                 .group = 1,
                                 .row_chunk = state->n_blocks == 1 ? 32 * state->r : 0,
                                 .row_align = state->r,
                                 .n_before = state->row_start};
    fill_cells(state, a, &scratch);
    SPT_TRY_TO(done, set_values(prepared, a->values));
    prepared->packed_bytes = (size_t)nnz * 12 + (size_t)(m + 1) * sizeof *state->row_start +
                             (size_t)(state->n_blocks * state->n_groups) * sizeof *state->cells;
done:
    spt_free(scratch.mask);
    spt_free(scratch.cursor);
    if (status != SPT_OK)
        release(prepared);
    return status;
}

STRIP_VERBS(tile_state, spmm_tile_run_f32_for)

const spt_family spt_family_spmm_csr_tile = {
    .name = "spmm_csr_tile",
    .summary = "row groups share rows of B, columns sorted by mask (after Sparse Register Tiling, PLDI 2023)",
    .op = SPT_SPMM,
    .device = SPT_CPU,
    .dtypes = SPT_DTYPE_BIT(SPT_F32),
    .axes = axes,
    .n_axes = N_AXES,
    .revision = 3,
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

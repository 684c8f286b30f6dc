/* SPDX-License-Identifier: Apache-2.0 */
/* spmm_csr_bins: inside a block of K and a chunk of rows, rows sorted by their number of nonzeros; fully unrolled code
 * per short length, groups of four nonzeros for longer ones, so that no loop exit is mispredicted. Each nonzero is one
 * broadcast and t multiply-adds that read B from L1. Workload: 85 to 99 % sparse layers, where a row has few nonzeros
 * per block.
 *
 * Packed A: for each (block, chunk) the rows by length, their nonzeros in that order as {byte offset in B, value}. */
#include <string.h>

#include "core/memory.h"
#include "variants/bound.h"
#include "variants/cpu/simd.h"
#include "variants/cpu/strip.h"
#include "variants/cpu/sums.h"
#include "variants/family.h"
#include "variants/isa.h"

enum { AXIS_T, AXIS_KB, AXIS_CHUNK, AXIS_ORDER, AXIS_PACK, N_AXES };
/* Rows of up to UNROLLED nonzeros have a bin per length; longer ones share a bin with those that are whole groups
 * longer or shorter, in order of length as far as ORDERED groups. */
enum { T_MAX = 8, UNROLLED = 8, GROUP = 4, N_BINS = UNROLLED + 1 + GROUP, ORDERED = 8 };
enum { ORDER_PANEL, ORDER_CHUNK };
enum { ANY = -1 }; /* number of groups: each row says its own */

/* The rows of one (block, chunk). */
typedef struct bins_cell {
    int64_t first_slot;  /* of its rows */
    int64_t first_entry; /* of its nonzeros */
    int32_t count[N_BINS];
} bins_cell;

typedef struct bins_state {
    strip_plan strips;
    int64_t m, nnz, n_slots;
    int64_t n_blocks, n_chunks, chunk;
    int64_t block_columns;
    int64_t *row_start; /* m + 1 */
    bins_cell *cells;   /* n_blocks x n_chunks */
    int32_t *rows;      /* n_slots: row of A */
    int32_t *lengths;   /* n_slots: nonzeros of that row in the block */
    uint32_t *offsets;  /* nnz: bytes from the block's first row of B */
    float *values;      /* nnz */
} bins_state;

/* What the rows of one cell need. Advances through the entries as bins are computed. */
typedef struct bins_cursor {
    const int32_t *rows, *lengths;
    const uint32_t *offsets;
    const float *values;
    const float *b; /* the block's first row of B */
    const strip_view *strip;
    bool is_first, is_last;
} bins_cursor;

/* sum[0..t) += value * B[offset, 0..t) */
SPT_INLINE void bins_add(spt_vec *sum, float value, const float *b, const int t) {
    const spt_vec scale = vec_set1(value);
#pragma GCC unroll 8
    for (int v = 0; v < t; v++)
        sum[v] = vec_fma(scale, vec_load(b + v * SPT_LANES), sum[v]);
}

/* The next `n` nonzeros of a row, unrolled. Advances the cursor. */
SPT_INLINE void bins_take(spt_vec *sum, bins_cursor *cursor, const int n, const int t) {
#pragma GCC unroll 16
    for (int nz = 0; nz < n; nz++)
        bins_add(sum, cursor->values[nz], sums_row(cursor->b, cursor->offsets[nz]), t);
    cursor->values += n;
    cursor->offsets += n;
}

/* `count` rows of 4 groups + rest nonzeros each; groups is ANY: each row says its own length. With the number of groups
 * as a constant nothing of the loop is left; as a variable it is the same for the whole bin, so its exit is predicted.
 */
SPT_INLINE void bins_rows(bins_cursor *cursor, int32_t count, const int groups, const int rest, const int t) {
    const strip_view *strip = cursor->strip;
    for (int32_t i = 0; i < count; i++) {
        const int32_t row = cursor->rows[i];
        float *c = strip->c + (row - strip->first_row) * strip->ldc;
        spt_vec sum[T_MAX];
        sums_load(sum, strip, row, c, cursor->is_first, t);
        bins_take(sum, cursor, rest, t);
        const int n_groups = groups == ANY ? cursor->lengths[i] / GROUP : groups;
        for (int group = 0; group < n_groups; group++)
            bins_take(sum, cursor, GROUP, t);
        sums_store(sum, strip, c, cursor->is_last, t);
    }
    cursor->rows += count;
    cursor->lengths += count;
}

/* X(bin, groups, rest): a row of a bin has groups * GROUP + rest nonzeros. */
#define BINS_TABLE(X, t)                                                                                               \
    X(0, 0, 0, t)                                                                                                      \
    X(1, 0, 1, t)                                                                                                      \
    X(2, 0, 2, t)                                                                                                      \
    X(3, 0, 3, t)                                                                                                      \
    X(4, 1, 0, t)                                                                                                      \
    X(5, 1, 1, t)                                                                                                      \
    X(6, 1, 2, t)                                                                                                      \
    X(7, 1, 3, t) X(8, 2, 0, t) X(9, ANY, 0, t) X(10, ANY, 1, t) X(11, ANY, 2, t) X(12, ANY, 3, t)
#define BINS_RUN(bin, groups, rest, t) bins_rows(&cursor, cell->count[bin], groups, rest, t);
#define BINS_WIDTHS(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8)
#define BINS_DEFINE(t)                                                                                                 \
    static void bins_cell_##t(const bins_cell *cell, bins_cursor cursor) {                                             \
        BINS_TABLE(BINS_RUN, t)                                                                                        \
    }
#define BINS_ROW(t) bins_cell_##t,
typedef void bins_instance(const bins_cell *cell, bins_cursor cursor);
BINS_WIDTHS(BINS_DEFINE)
static bins_instance *const bins_instances[T_MAX] = {BINS_WIDTHS(BINS_ROW)};

static void bins_strip(const void *context, const strip_view *strip, spt_range rows) {
    const bins_state *state = context;
    bins_instance *instance = bins_instances[strip->n_vectors - 1];
    for (int64_t block = 0; block < state->n_blocks; block++) {
        const float *b = strip->b + block * state->block_columns * strip->ldb;
        for (int64_t row = rows.begin; row < rows.end; row += state->chunk) {
            const bins_cell *cell = &state->cells[block * state->n_chunks + row / state->chunk];
            const bins_cursor cursor = {.rows = state->rows + cell->first_slot,
                                        .lengths = state->lengths + cell->first_slot,
                                        .offsets = state->offsets + cell->first_entry,
                                        .values = state->values + cell->first_entry,
                                        .b = b,
                                        .strip = strip,
                                        .is_first = block == 0,
                                        .is_last = block == state->n_blocks - 1};
            instance(cell, cursor);
        }
    }
}

typedef void bins_run(const bins_state *state, const spt_call *call, const spt_problem *problem, strip_part part);
extern bins_run SPT_ISA_NAME(bins_run_f32);
void SPT_ISA_NAME(bins_run_f32)(const bins_state *state, const spt_call *call, const spt_problem *problem,
                                strip_part part) {
    strip_run(&state->strips, state, bins_strip, call, problem, part);
}

#if SPT_EMIT_DESCRIPTOR

SPT_ISA_TABLE(bins_run, bins_run_f32)

static const spt_axis_value t_values[] = {{1, NULL}, {2, NULL}, {3, NULL}, {4, NULL},
                                          {5, NULL}, {6, NULL}, {7, NULL}, {8, NULL}};
static const spt_axis_value kb_values[] = {{64, NULL},  {96, NULL},  {128, NULL}, {192, NULL},
                                           {256, NULL}, {512, NULL}, {0, "all"}};
static const spt_axis_value chunk_values[] = {{64, NULL}, {256, NULL}, {1024, NULL}};
static const spt_axis_value order_values[] = {{ORDER_PANEL, "panel"}, {ORDER_CHUNK, "chunk"}};
static const spt_axis_value pack_values[] = {
    {STRIP_PACK_NONE, "none"}, {STRIP_PACK_COPY, "copy"}, {STRIP_PACK_TRANSPOSE, "transpose"}};
static const spt_axis axes[N_AXES] = {
    [AXIS_T] = {"t", "vectors of C that a row keeps in registers", t_values, 8},
    [AXIS_KB] = {"kb", "columns of A, rows of B, in one block", kb_values, 7},
    [AXIS_CHUNK] = {"chunk", "rows that are sorted by length together", chunk_values, 3},
    [AXIS_ORDER] = {"order", "what stays near: a panel of B, or a chunk of C", order_values, 2},
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
    const int32_t pack = spt_point_value(axes, point, AXIS_PACK), chunk = spt_point_value(axes, point, AXIS_CHUNK);
    const int32_t order = spt_point_value(axes, point, AXIS_ORDER);
    const int64_t m = workload->pattern.n_rows, n = workload->problem.n;
    const bool is_pack_legal = (workload->problem.layout == SPT_NK) == (pack == STRIP_PACK_TRANSPOSE);
    const bool is_kb_distinct = kb == 0 || (kb < workload->pattern.n_cols && kb * t >= 256 && kb * t <= 1024);
    const bool is_chunk_distinct = chunk == 64 || chunk < 4 * m;
    const bool is_order_distinct = order == ORDER_PANEL || (kb != 0 && chunk < m);
    const bool is_t_used = t == 1 || (int64_t)t * spt_isa_lanes(device->isa) < n + spt_isa_lanes(device->isa);
    return is_pack_legal && is_kb_distinct && is_chunk_distinct && is_order_distinct && is_t_used &&
           workload->pattern.nnz < INT32_MAX &&
           block_columns(workload, point) * offset_ld(workload, device, point) < INT32_MAX / 4;
}

/* A row of a block costs this beside its nonzeros: its number, its addresses, its epilogue. */
#define ROW_NS 3.0

static double bound_ns(const spt_workload *workload, const spt_device *device, const spt_point *point) {
    const spt_ceilings *ceilings = spt_ceilings_get(device);
    const double lanes = spt_isa_lanes(device->isa), t = spt_point_value(axes, point, AXIS_T);
    const double m = (double)workload->pattern.n_rows, k = (double)workload->pattern.n_cols;
    const double n = (double)workload->problem.n, nnz = (double)workload->pattern.nnz;
    const double block = (double)block_columns(workload, point), n_blocks = (k + block - 1.0) / block;
    const bool is_packed = spt_point_value(axes, point, AXIS_PACK) != STRIP_PACK_NONE;
    const spt_rows_apart apart = spt_rows_apart_of(is_packed, workload->problem.n, lanes, t * lanes);
    const double vectors = (n + lanes - 1.0) / lanes, strips = (vectors + t - 1.0) / t;
    const double visits = m * n_blocks < nnz ? m * n_blocks : nnz;
    const double b_vectors = nnz * vectors * (1.0 + apart.splits);
    const double load_ns = (b_vectors + 2.0 * nnz * strips + 2.0 * visits * vectors) / ceilings->vector_loads_per_ns;
    const double fma_ns = 2.0 * nnz * vectors * lanes / ceilings->fma_gflops;
    const double panel_bytes = block * t * lanes * 4.0 / apart.l1_share;
    const double b_ns = spt_read_ns(ceilings, device, b_vectors * lanes * 4.0, panel_bytes);
    const double a_ns = spt_read_ns(ceilings, device, 8.0 * nnz * strips, 8.0 * nnz);
    const double c_ns = spt_read_ns(ceilings, device, 8.0 * visits * n, 4.0 * m * t * lanes);
    const double work_ns = load_ns > fma_ns ? load_ns : fma_ns;
    double ns = (work_ns > b_ns ? work_ns : b_ns) + 0.5 * (a_ns + c_ns) + visits * strips * ROW_NS;
    if (is_packed)
        ns += spt_pack_ns(ceilings, device, 4.0 * k * n, 4.0 * k * n);
    return ns / workload->problem.threads;
}

static void default_point(const spt_workload *workload, const spt_device *device, spt_point *out) {
    const uint32_t tried[N_AXES] = {[AXIS_T] = SPT_TRY_ALL,
                                    [AXIS_KB] = SPT_TRY_ALL,
                                    [AXIS_CHUNK] = 0x1,
                                    [AXIS_ORDER] = 0x1,
                                    [AXIS_PACK] = SPT_TRY_ALL};
    spt_family_least_bound(out, &spt_family_spmm_csr_bins, tried, workload, device);
}

static void release(spt_prepared *prepared) {
    bins_state *state = prepared->state;
    if (state == NULL)
        return;
    spt_free(state->row_start);
    spt_free(state->cells);
    spt_free(state->rows);
    spt_free(state->lengths);
    spt_free(state->offsets);
    spt_free(state->values);
    spt_free(state);
    prepared->state = NULL;
}

static int bin_of(int64_t length) {
    return length <= UNROLLED ? (int)length : UNROLLED + 1 + (int)(length % GROUP);
}

/* Where a length comes in the order of rows: by bin, and inside a bin of longer rows by number of groups. */
static int rank_of(int64_t length) {
    const int64_t groups = length / GROUP < ORDERED ? length / GROUP : ORDERED - 1;
    return bin_of(length) * ORDERED + (length > UNROLLED ? (int)groups : 0);
}

/* Sort the rows of one cell by length: count, then deal out. begin[row] and end[row] bound a row's nonzeros in the
 * block. Rows without nonzeros take part only where C must be written anyway. */
static void sort_rows(bins_state *state, bins_cell *cell, const int64_t *begin, const int64_t *end, spt_range rows,
                      bool has_empty) {
    enum { N_RANKS = N_BINS * ORDERED };
    int64_t place[N_RANKS] = {0};
    for (int64_t row = rows.begin; row < rows.end; row++)
        place[rank_of(end[row] - begin[row])]++;
    if (!has_empty)
        place[0] = 0;
    cell->first_slot = state->n_slots;
    for (int rank = 0; rank < N_RANKS; rank++) {
        const int64_t count = place[rank];
        cell->count[rank / ORDERED] += (int32_t)count;
        place[rank] = state->n_slots;
        state->n_slots += count;
    }
    for (int64_t row = rows.begin; row < rows.end; row++) {
        const int64_t length = end[row] - begin[row];
        if (length == 0 && !has_empty)
            continue;
        const int64_t slot = place[rank_of(length)]++;
        state->lengths[slot] = (int32_t)length;
        state->rows[slot] = (int32_t)row;
    }
}

/* Lay out the nonzeros of one cell; `entry` goes on. */
static void fill_cell(const bins_state *state, bins_cell *cell, const spt_csr *a, const int64_t *begin,
                      int64_t first_column, int64_t ld, int64_t *entry) {
    int64_t n_rows = 0;
    cell->first_entry = *entry;
    for (int bin = 0; bin < N_BINS; bin++)
        n_rows += cell->count[bin];
    for (int64_t slot = cell->first_slot; slot < cell->first_slot + n_rows; slot++) {
        const int64_t nz = begin[state->rows[slot]];
        for (int32_t i = 0; i < state->lengths[slot]; i++)
            state->offsets[(*entry)++] = (uint32_t)((a->columns[nz + i] - first_column) * ld * (int64_t)sizeof(float));
    }
}

static void fill_blocks(bins_state *state, const spt_csr *a, int64_t *begin, int64_t *end, bool has_relu) {
    int64_t entry = 0;
    memcpy(end, a->row_offsets, (size_t)state->m * sizeof *end);
    for (int64_t block = 0; block < state->n_blocks; block++) {
        const int64_t first_column = block * state->block_columns, end_column = first_column + state->block_columns;
        const bool has_empty = block == 0 || (block == state->n_blocks - 1 && has_relu);
        for (int64_t row = 0; row < state->m; row++) {
            begin[row] = end[row];
            while (end[row] < a->row_offsets[row + 1] && a->columns[end[row]] < end_column)
                end[row]++;
        }
        for (int64_t chunk = 0; chunk < state->n_chunks; chunk++) {
            bins_cell *cell = &state->cells[block * state->n_chunks + chunk];
            const spt_range rows = {chunk * state->chunk, strip_min((chunk + 1) * state->chunk, state->m)};
            sort_rows(state, cell, begin, end, rows, has_empty);
            fill_cell(state, cell, a, begin, first_column, state->strips.fixed_ld, &entry);
        }
    }
}

/* Slots hold each row's nonzeros of a block, blocks ascending: a cursor per row finds them again in CSR order. */
static spt_status set_values(spt_prepared *prepared, const void *values) {
    const bins_state *state = prepared->state;
    const float *source = values;
    float *out = state->values;
    int64_t *cursor;
    SPT_TRY(SPT_NEW(cursor, state->m));
    memcpy(cursor, state->row_start, (size_t)state->m * sizeof *cursor);
    for (int64_t slot = 0; slot < state->n_slots; slot++) {
        const float *from = source + cursor[state->rows[slot]];
        for (int32_t i = 0; i < state->lengths[slot]; i++)
            *out++ = from[i];
        cursor[state->rows[slot]] += state->lengths[slot];
    }
    spt_free(cursor);
    return SPT_OK;
}

static void init_sizes(bins_state *state, const spt_prepared *prepared, const spt_csr *a) {
    const spt_point *point = &prepared->point;
    state->m = a->n_rows;
    state->nnz = spt_csr_nnz(a);
    state->block_columns = block_columns(&prepared->workload, point);
    state->n_blocks = a->n_cols == 0 ? 1 : (a->n_cols + state->block_columns - 1) / state->block_columns;
    state->chunk = spt_point_value(axes, point, AXIS_CHUNK);
    state->n_chunks = (a->n_rows + state->chunk - 1) / state->chunk;
    state->strips = (strip_plan){
        .t = spt_point_value(axes, point, AXIS_T),
        .pack = spt_point_value(axes, point, AXIS_PACK),
        .lanes = spt_isa_lanes(prepared->device.isa),
        .pads_tail = true,
        .fixed_ld = offset_ld(&prepared->workload, &prepared->device, point),
        .m = a->n_rows,
        .k = a->n_cols,
        .group = 1,
        .row_chunk = spt_point_value(axes, point, AXIS_ORDER) == ORDER_CHUNK ? state->chunk : 0,
        .row_align = state->chunk,
    };
}

static spt_status prepare(spt_prepared *prepared, const spt_csr *a) {
    const bool has_relu = spt_epilogue_get(prepared->workload.problem.epilogue)->activation == SPT_RELU;
    int64_t *begin = NULL, *end = NULL;
    bins_state *state;
    spt_status status = SPT_OK;
    SPT_TRY(SPT_NEW_ZEROED(state, 1));
    prepared->state = state;
    init_sizes(state, prepared, a);
    const int64_t n_cells = state->n_blocks * state->n_chunks;
    SPT_TRY_TO(done, SPT_NEW(state->row_start, state->m + 1));
    SPT_TRY_TO(done, SPT_NEW_ZEROED(state->cells, n_cells));
    SPT_TRY_TO(done, SPT_NEW(state->rows, state->n_blocks * state->m));
    SPT_TRY_TO(done, SPT_NEW(state->lengths, state->n_blocks * state->m));
    SPT_TRY_TO(done, SPT_NEW(state->offsets, state->nnz));
    SPT_TRY_TO(done, SPT_NEW(state->values, state->nnz));
    SPT_TRY_TO(done, SPT_NEW(begin, state->m));
    SPT_TRY_TO(done, SPT_NEW(end, state->m));
    memcpy(state->row_start, a->row_offsets, (size_t)(state->m + 1) * sizeof *state->row_start);
    state->strips.n_before = state->row_start;
    fill_blocks(state, a, begin, end, has_relu);
    SPT_TRY_TO(done, set_values(prepared, a->values));
    prepared->packed_bytes = (size_t)state->nnz * 8 + (size_t)(state->n_blocks * state->m) * 8 +
                             (size_t)n_cells * sizeof *state->cells + (size_t)(state->m + 1) * 8;
done:
    spt_free(begin);
    spt_free(end);
    if (status != SPT_OK)
        release(prepared);
    return status;
}

STRIP_VERBS(bins_state, bins_run_f32_for)

const spt_family spt_family_spmm_csr_bins = {
    .name = "spmm_csr_bins",
    .summary = "rows of a block sorted by length, unrolled code per length",
    .op = SPT_SPMM,
    .device = SPT_CPU,
    .dtypes = SPT_DTYPE_BIT(SPT_F32),
    .axes = axes,
    .n_axes = N_AXES,
    .revision = 4,
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

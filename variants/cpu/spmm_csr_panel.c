/* SPDX-License-Identifier: Apache-2.0 */
/* spmm_csr_panel: a row of C in t vectors, K cut into blocks of kb columns so that the panel of B that a block reads
 * (kb rows x t vectors) stays in L1; after the column panels of Gale et al., "Sparse GPU Kernels for Deep Learning"
 * (SC 2020), turned to a CPU's caches. Workload: 70 to 99 % sparse layers, n of 16 and more.
 *
 * Packed A: the nonzeros ordered by (block, row, column) as {column, value}, and for each block the start of every row.
 * Layout nk: B is transposed strip by strip into the part's workspace, C leaves it transposed. */
#include <string.h>

#include "core/memory.h"
#include "variants/bound.h"
#include "variants/cpu/simd.h"
#include "variants/family.h"
#include "variants/isa.h"
#include "variants/parts.h"

enum { AXIS_T, AXIS_KB, AXIS_PACK, N_AXES };
enum { PACK_NONE, PACK_COPY, PACK_TRANSPOSE };
enum { T_MAX = 8, ROW_CHUNK = 16 }; /* rows of C that an nk strip computes before they leave transposed */

typedef struct panel_entry {
    int32_t column;
    float value;
} panel_entry;

typedef struct panel_state {
    int t, pack;
    int64_t m, k, n_blocks;
    int64_t block_columns; /* kb, or k when the axis says all */
    int64_t *row_start;    /* m + 1: nonzeros before each row of A, for balancing and for new values */
    int32_t *block_start;  /* n_blocks x (m + 1): first entry of each row within each block */
    panel_entry *entries;  /* nnz */
} panel_state;

/* What the rows of one strip and one block need. */
typedef struct panel_block {
    const panel_entry *entries;
    const int32_t *start; /* m + 1 */
    const float *b;       /* column 0 of this strip of B */
    int64_t ldb;
    const float *bias; /* NULL: none */
    bool is_first, is_last;
    bool has_relu;
} panel_block;

typedef void panel_run(const panel_state *state, const spt_call *call, spt_layout layout, bool has_relu, spt_range rows,
                       spt_range vectors);

SPT_INLINE spt_vec load_part(const float *p, bool is_masked, spt_mask mask) {
    return is_masked ? vec_load_masked(mask, p) : vec_load(p);
}

/* c[row, 0..t) (+)= sum over the row's entries of value * b[column, 0..t), for rows of one block. With few vectors the
 * sums are kept twice, for even and odd entries: one chain of multiply-adds would wait for its own latency. */
SPT_INLINE void panel_rows(const panel_block *block, spt_range rows, float *c, int64_t ldc, spt_mask mask, const int t,
                           const bool is_masked) {
    const int n_chains = t <= 4 ? 2 : 1;
    for (int64_t row = rows.begin; row < rows.end; row++, c += ldc) {
        const panel_entry *entry = block->entries + block->start[row], *end = block->entries + block->start[row + 1];
        if (entry == end && !block->is_first && !(block->is_last && block->has_relu))
            continue;
        spt_vec sum[2][T_MAX];
#pragma GCC unroll 8
        for (int v = 0; v < t; v++) {
            if (block->is_first)
                sum[0][v] = block->bias != NULL ? vec_set1(block->bias[row]) : vec_zero();
            else
                sum[0][v] = load_part(c + v * SPT_LANES, is_masked && v == t - 1, mask);
            sum[1][v] = vec_zero();
        }
        for (; n_chains == 2 && end - entry >= 2; entry += 2) {
#pragma GCC unroll 2
            for (int chain = 0; chain < 2; chain++) {
                const spt_vec value = vec_set1(entry[chain].value);
                const float *b = block->b + (int64_t)entry[chain].column * block->ldb;
#pragma GCC unroll 8
                for (int v = 0; v < t; v++)
                    sum[chain][v] =
                        vec_fma(value, load_part(b + v * SPT_LANES, is_masked && v == t - 1, mask), sum[chain][v]);
            }
        }
        for (; entry < end; entry++) {
            const spt_vec value = vec_set1(entry->value);
            const float *b = block->b + (int64_t)entry->column * block->ldb;
#pragma GCC unroll 8
            for (int v = 0; v < t; v++)
                sum[0][v] = vec_fma(value, load_part(b + v * SPT_LANES, is_masked && v == t - 1, mask), sum[0][v]);
        }
#pragma GCC unroll 8
        for (int v = 0; v < t; v++) {
            spt_vec result = n_chains == 2 ? vec_add(sum[0][v], sum[1][v]) : sum[0][v];
            if (block->is_last && block->has_relu)
                result = vec_max(result, vec_zero());
            if (is_masked && v == t - 1)
                vec_store_masked(mask, c + v * SPT_LANES, result);
            else
                vec_store(c + v * SPT_LANES, result);
        }
    }
}

/* The instances: every strip width with and without a tail. */
typedef void panel_rows_instance(const panel_block *block, spt_range rows, float *c, int64_t ldc, spt_mask mask);
#define PANEL_INSTANCES(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8)
#define PANEL_DEFINE(t)                                                                                                \
    static void panel_rows_##t(const panel_block *block, spt_range rows, float *c, int64_t ldc, spt_mask mask) {       \
        panel_rows(block, rows, c, ldc, mask, t, false);                                                               \
    }                                                                                                                  \
    static void panel_rows_##t##_masked(const panel_block *block, spt_range rows, float *c, int64_t ldc,               \
                                        spt_mask mask) {                                                               \
        panel_rows(block, rows, c, ldc, mask, t, true);                                                                \
    }
#define PANEL_ROW(t) {panel_rows_##t, panel_rows_##t##_masked},
PANEL_INSTANCES(PANEL_DEFINE)
static panel_rows_instance *const panel_instances[T_MAX][2] = {PANEL_INSTANCES(PANEL_ROW)};

/* One strip of C: `width` columns from column j on. */
typedef struct panel_strip {
    int64_t j, width;
    panel_rows_instance *rows;
    spt_mask mask;
} panel_strip;

static panel_strip make_strip(int64_t j, int64_t width) {
    const int64_t t = (width + SPT_LANES - 1) / SPT_LANES, tail = width % SPT_LANES;
    return (panel_strip){.j = j,
                         .width = width,
                         .rows = panel_instances[t - 1][tail != 0],
                         .mask = vec_first((int)(tail != 0 ? tail : SPT_LANES))};
}

static void copy_strip(float *packed, int64_t ld, const float *b, int64_t ldb, int64_t k, int64_t width) {
    for (int64_t row = 0; row < k; row++)
        memcpy(packed + row * ld, b + row * ldb, (size_t)width * sizeof *b);
}

/* All blocks of `rows` of one strip; c is where rows.begin goes. */
static void run_blocks(const panel_state *state, const panel_strip *strip, panel_block *block, spt_range rows, float *c,
                       int64_t ldc) {
    for (int64_t i = 0; i < state->n_blocks; i++) {
        block->start = state->block_start + i * (state->m + 1);
        block->is_first = i == 0;
        block->is_last = i == state->n_blocks - 1;
        strip->rows(block, rows, c, ldc, strip->mask);
    }
}

/* Layout nk: compute into the workspace, a few rows at a time when there is one block, and store transposed. */
static void run_strip_nk(const panel_state *state, const spt_call *call, const panel_strip *strip, panel_block *block,
                         spt_range rows, float *c_strip, int64_t ld) {
    const int64_t chunk = state->n_blocks == 1 ? ROW_CHUNK : rows.end - rows.begin;
    for (int64_t row = rows.begin; row < rows.end; row += chunk) {
        const int64_t end = row + chunk < rows.end ? row + chunk : rows.end;
        run_blocks(state, strip, block, (spt_range){row, end}, c_strip, ld);
        vec_transpose_any((float *)call->c + strip->j * call->ldc + row, call->ldc, c_strip, ld, end - row,
                          strip->width);
    }
}

extern panel_run SPT_ISA_NAME(panel_run_f32);
void SPT_ISA_NAME(panel_run_f32)(const panel_state *state, const spt_call *call, spt_layout layout, bool has_relu,
                                 spt_range rows, spt_range vectors) {
    const int64_t ld = (int64_t)state->t * SPT_LANES;
    const int64_t end = vectors.end * SPT_LANES < call->n ? vectors.end * SPT_LANES : call->n;
    float *packed = call->workspace, *c_strip = packed + state->k * ld;
    const float *b = call->b;
    panel_block block = {.entries = state->entries, .bias = call->bias, .has_relu = has_relu};
    for (int64_t j = vectors.begin * SPT_LANES; j < end; j += ld) {
        const panel_strip strip = make_strip(j, end - j < ld ? end - j : ld);
        block.b = state->pack == PACK_NONE ? b + j : packed;
        block.ldb = state->pack == PACK_NONE ? call->ldb : ld;
        if (state->pack == PACK_COPY)
            copy_strip(packed, ld, b + j, call->ldb, state->k, strip.width);
        if (state->pack == PACK_TRANSPOSE)
            vec_transpose_any(packed, ld, b + j * call->ldb, call->ldb, strip.width, state->k);
        if (layout == SPT_NK)
            run_strip_nk(state, call, &strip, &block, rows, c_strip, ld);
        else
            run_blocks(state, &strip, &block, rows, (float *)call->c + rows.begin * call->ldc + j, call->ldc);
    }
}

#if SPT_EMIT_DESCRIPTOR

SPT_ISA_TABLE(panel_run, panel_run_f32)

static const spt_axis_value t_values[] = {{1, NULL}, {2, NULL}, {3, NULL}, {4, NULL}, {6, NULL}, {8, NULL}};
static const spt_axis_value kb_values[] = {{32, NULL}, {64, NULL}, {128, NULL}, {256, NULL}, {512, NULL}, {0, "all"}};
static const spt_axis_value pack_values[] = {{PACK_NONE, "none"}, {PACK_COPY, "copy"}, {PACK_TRANSPOSE, "transpose"}};
static const spt_axis axes[N_AXES] = {
    [AXIS_T] = {"t", "vectors of C that a row keeps in registers", t_values, 6},
    [AXIS_KB] = {"kb", "columns of A, rows of B, in one block", kb_values, 6},
    [AXIS_PACK] = {"pack", "how a strip of B is brought into contiguous memory", pack_values, 3},
};

static int lanes_of(spt_isa isa) {
    return isa == SPT_ISA_AVX512 ? 16 : isa == SPT_ISA_AVX2 ? 8 : 4;
}

static bool is_valid(const spt_workload *workload, const spt_device *device, const spt_point *point) {
    (void)device;
    const int32_t kb = spt_point_value(axes, point, AXIS_KB), pack = spt_point_value(axes, point, AXIS_PACK);
    const bool is_pack_legal = (workload->problem.layout == SPT_NK) == (pack == PACK_TRANSPOSE);
    const bool is_block_distinct = kb == 0 || kb < workload->pattern.n_cols; /* larger ones equal `all` */
    return is_pack_legal && is_block_distinct && workload->pattern.nnz < INT32_MAX;
}

static double bound_ns(const spt_workload *workload, const spt_device *device, const spt_point *point) {
    const spt_ceilings *ceilings = spt_ceilings_get(device->isa);
    const double lanes = lanes_of(device->isa), t = spt_point_value(axes, point, AXIS_T);
    const double m = (double)workload->pattern.n_rows, k = (double)workload->pattern.n_cols;
    const double n = (double)workload->problem.n, nnz = (double)workload->pattern.nnz;
    const int32_t kb = spt_point_value(axes, point, AXIS_KB);
    const double block = kb == 0 || kb > k ? k : kb, n_blocks = (k + block - 1.0) / block;
    const double vectors = (n + lanes - 1.0) / lanes, strips = (vectors + t - 1.0) / t;
    const double visits = m * n_blocks < nnz ? m * n_blocks : nnz; /* (row, block) pairs with work, at most */
    /* Loads: t of B, one value and one column per nonzero and strip; C once in and once out per visit. */
    const double load_ns = (nnz * (vectors + 2.0 * strips) + 2.0 * visits * vectors) / ceilings->vector_loads_per_ns;
    const double fma_ns = 2.0 * nnz * vectors * lanes / ceilings->fma_gflops;
    const double panel_bytes = block * t * lanes * 4.0;
    const double b_ns = spt_read_ns(ceilings, device, nnz * vectors * lanes * 4.0, panel_bytes);
    const double a_ns = spt_read_ns(ceilings, device, 8.0 * nnz * strips, 8.0 * nnz);
    const double c_ns = spt_read_ns(ceilings, device, 8.0 * visits * n, 4.0 * m * t * lanes);
    const double work_ns = load_ns > fma_ns ? load_ns : fma_ns;
    double ns = (work_ns > b_ns ? work_ns : b_ns) + 0.5 * (a_ns + c_ns);
    if (spt_point_value(axes, point, AXIS_PACK) != PACK_NONE)
        ns += spt_read_ns(ceilings, device, 8.0 * k * n, 4.0 * k * n);
    return ns / workload->problem.threads;
}

static void default_point(const spt_workload *workload, const spt_device *device, spt_point *out) {
    const int pack = workload->problem.layout == SPT_NK ? PACK_TRANSPOSE : PACK_NONE;
    double best_ns = 0.0;
    bool has_point = false;
    for (uint16_t t = 0; t < axes[AXIS_T].n_values; t++) {
        for (uint16_t kb = 0; kb < axes[AXIS_KB].n_values; kb++) {
            const spt_point point = {{[AXIS_T] = t, [AXIS_KB] = kb, [AXIS_PACK] = (uint16_t)pack}};
            const double ns = bound_ns(workload, device, &point);
            if (!is_valid(workload, device, &point) || (has_point && ns >= best_ns))
                continue;
            *out = point;
            best_ns = ns;
            has_point = true;
        }
    }
}

static void release(spt_prepared *prepared) {
    panel_state *state = prepared->state;
    if (state == NULL)
        return;
    spt_free(state->row_start);
    spt_free(state->block_start);
    spt_free(state->entries);
    spt_free(state);
    prepared->state = NULL;
}

/* Walk the packed entries in their order together with each row's place in CSR order: a row's nonzeros of one block are
 * a run in both. `cursor` holds m offsets and starts as row_start. */
static void fill_values(const panel_state *state, const float *values, int64_t *cursor) {
    memcpy(cursor, state->row_start, (size_t)state->m * sizeof *cursor);
    for (int64_t block = 0; block < state->n_blocks; block++) {
        const int32_t *start = state->block_start + block * (state->m + 1);
        for (int64_t row = 0; row < state->m; row++) {
            for (int32_t i = start[row]; i < start[row + 1]; i++)
                state->entries[i].value = values[cursor[row]++];
        }
    }
}

static spt_status set_values(spt_prepared *prepared, const void *values) {
    const panel_state *state = prepared->state;
    int64_t *cursor;
    SPT_TRY(SPT_NEW(cursor, state->m));
    fill_values(state, values, cursor);
    spt_free(cursor);
    return SPT_OK;
}

/* Order the columns by block; cursor is scratch for m offsets. */
static void fill_columns(panel_state *state, const spt_csr *a, int64_t *cursor) {
    int32_t filled = 0;
    memcpy(cursor, a->row_offsets, (size_t)state->m * sizeof *cursor);
    for (int64_t block = 0; block < state->n_blocks; block++) {
        int32_t *start = state->block_start + block * (state->m + 1);
        const int64_t end_column = (block + 1) * state->block_columns;
        for (int64_t row = 0; row < state->m; row++) {
            start[row] = filled;
            while (cursor[row] < a->row_offsets[row + 1] && a->columns[cursor[row]] < end_column)
                state->entries[filled++].column = a->columns[cursor[row]++];
        }
        start[state->m] = filled;
    }
}

static spt_status prepare(spt_prepared *prepared, const spt_csr *a) {
    const int64_t nnz = spt_csr_nnz(a), m = a->n_rows;
    const int32_t kb = spt_point_value(axes, &prepared->point, AXIS_KB);
    panel_state *state;
    int64_t *cursor = NULL;
    spt_status status = SPT_OK;
    SPT_TRY(SPT_NEW_ZEROED(state, 1));
    prepared->state = state;
    *state = (panel_state){.t = spt_point_value(axes, &prepared->point, AXIS_T),
                           .pack = spt_point_value(axes, &prepared->point, AXIS_PACK),
                           .m = m,
                           .k = a->n_cols,
                           .block_columns = kb == 0 ? a->n_cols : kb};
    state->n_blocks = (a->n_cols + state->block_columns - 1) / state->block_columns;
    SPT_TRY_TO(done, SPT_NEW(state->row_start, m + 1));
    SPT_TRY_TO(done, SPT_NEW(state->block_start, state->n_blocks * (m + 1)));
    SPT_TRY_TO(done, SPT_NEW(state->entries, nnz));
    SPT_TRY_TO(done, SPT_NEW(cursor, m));
    memcpy(state->row_start, a->row_offsets, (size_t)(m + 1) * sizeof *state->row_start);
    fill_columns(state, a, cursor);
    fill_values(state, a->values, cursor);
    prepared->packed_bytes = (size_t)nnz * sizeof *state->entries +
                             (size_t)(state->n_blocks * (m + 1)) * sizeof *state->block_start +
                             (size_t)(m + 1) * sizeof *state->row_start;
done:
    spt_free(cursor);
    if (status != SPT_OK)
        release(prepared);
    return status;
}

static size_t workspace(const spt_prepared *prepared, int64_t n) {
    (void)n;
    const panel_state *state = prepared->state;
    if (state->pack == PACK_NONE)
        return 0;
    const int64_t c_rows = prepared->workload.problem.layout == SPT_KN ? 0
                           : state->n_blocks == 1                      ? ROW_CHUNK
                                                                       : state->m;
    return (size_t)((state->k + c_rows) * state->t * lanes_of(prepared->device.isa)) * sizeof(float);
}

/* Rows balanced by nonzeros; where B is packed, columns first, so that no strip is packed twice. */
static spt_status run_part(const spt_prepared *prepared, const spt_call *call, int part, int n_parts) {
    const panel_state *state = prepared->state;
    const spt_problem *problem = &prepared->workload.problem;
    const int lanes = lanes_of(prepared->device.isa);
    const int64_t n_vectors = (call->n + lanes - 1) / lanes;
    int column_parts = state->pack == PACK_NONE ? 1 : n_parts;
    while (column_parts > n_vectors || n_parts % column_parts != 0)
        column_parts--;
    const spt_range rows = spt_rows_of_part(state->row_start, state->m, part / column_parts, n_parts / column_parts);
    const spt_range vectors = spt_part_of(n_vectors, part % column_parts, column_parts);
    panel_run_f32_for(prepared->device.isa)(state, call, problem->layout,
                                            spt_epilogue_get(problem->epilogue)->activation == SPT_RELU, rows, vectors);
    return SPT_OK;
}

const spt_family spt_family_spmm_csr_panel = {
    .name = "spmm_csr_panel",
    .summary = "CSR rows in registers over panels of B that stay in L1 (after Gale et al., SC 2020)",
    .op = SPT_SPMM,
    .device = SPT_CPU,
    .dtypes = SPT_DTYPE_BIT(SPT_F32),
    .axes = axes,
    .n_axes = N_AXES,
    .revision = 1,
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

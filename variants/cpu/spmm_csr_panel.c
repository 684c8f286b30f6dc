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
#include "variants/cpu/strip.h"
#include "variants/family.h"
#include "variants/isa.h"

enum { AXIS_T, AXIS_KB, AXIS_PACK, AXIS_AHEAD, AXIS_STORE, N_AXES };
enum { STORE_CACHED, STORE_OWNED, STORE_STREAMED };
enum { T_MAX = 16, AHEAD = 2, ROW_CHUNK = 128 }; /* rows of C that an nk strip computes before they leave transposed */

typedef struct panel_entry {
    int32_t column;
    float value;
} panel_entry;

typedef struct panel_state {
    strip_plan strips;
    bool is_ahead;
    int store; /* STORE_... */
    int64_t m, n_blocks;
    int64_t block_columns; /* kb, or k when the axis says all */
    int64_t *row_start;    /* m + 1: nonzeros before each row of A, for balancing and for new values */
    int32_t *block_start;  /* n_blocks x (m + 1): first entry of each row within each block */
    panel_entry *entries;  /* nnz, and AHEAD zeros that prefetches may look at */
} panel_state;

/* What the rows of one strip and one block need. */
typedef struct panel_block {
    const panel_entry *entries;
    const int32_t *start; /* m + 1 */
    const strip_view *strip;
    bool is_first, is_last;
    int store; /* STREAMED only where rows of C are whole lines */
} panel_block;

/* Ask for the lines of a row of C that will be written soon. */
SPT_INLINE void panel_own(const float *c, const int t) {
    for (int i = 0; i < t * SPT_LANES; i += SPT_LINE_FLOATS)
        __builtin_prefetch(c + i, 1);
}

/* c[row, 0..t) (+)= sum over the row's entries of value * b[column, 0..t), for rows of one block. With few vectors the
 * sums are kept twice, for even and odd entries: one chain of multiply-adds would wait for its own latency. */
SPT_INLINE void panel_rows(const panel_block *block, spt_range rows, const int t, const bool is_masked,
                           const bool is_ahead) {
    const strip_view *strip = block->strip;
    const spt_mask mask = strip->mask;
    const int n_chains = t <= 4 ? 2 : 1;
    float *c = strip->c + (rows.begin - strip->first_row) * strip->ldc;
    for (int64_t row = rows.begin; row < rows.end; row++, c += strip->ldc) {
        const panel_entry *entry = block->entries + block->start[row], *end = block->entries + block->start[row + 1];
        if (entry == end && !block->is_first && !(block->is_last && strip->has_relu))
            continue;
        if (block->store == STORE_OWNED)
            panel_own(c + strip->ldc, t);
        spt_vec sum[2][T_MAX];
#pragma GCC unroll 16
        for (int v = 0; v < t; v++) {
            if (block->is_first)
                sum[0][v] = strip->bias != NULL ? vec_set1(strip->bias[row]) : vec_zero();
            else
                sum[0][v] = vec_load_part(c + v * SPT_LANES, is_masked && v == t - 1, mask);
            sum[1][v] = vec_zero();
        }
        for (; n_chains == 2 && end - entry >= 2; entry += 2) {
#pragma GCC unroll 2
            for (int chain = 0; chain < 2; chain++) {
                const spt_vec value = vec_set1(entry[chain].value);
                const float *b = strip->b + (int64_t)entry[chain].column * strip->ldb;
#pragma GCC unroll 16
                for (int v = 0; v < t; v++)
                    sum[chain][v] =
                        vec_fma(value, vec_load_part(b + v * SPT_LANES, is_masked && v == t - 1, mask), sum[chain][v]);
            }
        }
        for (; entry < end; entry++) {
            if (is_ahead) {
                const float *next = strip->b + (int64_t)entry[AHEAD].column * strip->ldb;
#pragma GCC unroll 16
                for (int v = 0; v < t; v++)
                    __builtin_prefetch(next + v * SPT_LANES);
            }
            const spt_vec value = vec_set1(entry->value);
            const float *b = strip->b + (int64_t)entry->column * strip->ldb;
#pragma GCC unroll 16
            for (int v = 0; v < t; v++)
                sum[0][v] = vec_fma(value, vec_load_part(b + v * SPT_LANES, is_masked && v == t - 1, mask), sum[0][v]);
        }
#pragma GCC unroll 16
        for (int v = 0; v < t; v++) {
            spt_vec result = n_chains == 2 ? vec_add(sum[0][v], sum[1][v]) : sum[0][v];
            if (block->is_last && strip->has_relu)
                result = vec_relu(result);
            if (is_masked && v == t - 1)
                vec_store_masked(mask, c + v * SPT_LANES, result);
            else if (!is_masked && block->store == STORE_STREAMED)
                vec_stream(c + v * SPT_LANES, result);
            else
                vec_store(c + v * SPT_LANES, result);
        }
    }
}

/* The instances: every strip width that fits the registers, with and without a tail, with and without prefetches. */
typedef void panel_rows_instance(const panel_block *block, spt_range rows);
#define PANEL_INSTANCES_8(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8)
#if SPT_ISA == 3
#define PANEL_INSTANCES(X) PANEL_INSTANCES_8(X) X(9) X(10) X(11) X(12) X(13) X(14) X(15) X(16)
#else
#define PANEL_INSTANCES(X) PANEL_INSTANCES_8(X)
#endif
#define PANEL_DEFINE_ONE(name, t, is_masked, is_ahead)                                                                 \
    static void name(const panel_block *block, spt_range rows) {                                                       \
        panel_rows(block, rows, t, is_masked, is_ahead);                                                               \
    }
#define PANEL_DEFINE(t)                                                                                                \
    PANEL_DEFINE_ONE(panel_rows_##t, t, false, false)                                                                  \
    PANEL_DEFINE_ONE(panel_rows_##t##_masked, t, true, false)                                                          \
    PANEL_DEFINE_ONE(panel_rows_##t##_ahead, t, false, true)                                                           \
    PANEL_DEFINE_ONE(panel_rows_##t##_masked_ahead, t, true, true)
#define PANEL_ROW(t)                                                                                                   \
    {{panel_rows_##t, panel_rows_##t##_masked}, {panel_rows_##t##_ahead, panel_rows_##t##_masked_ahead}},
PANEL_INSTANCES(PANEL_DEFINE)
static panel_rows_instance *const panel_instances[T_MAX][2][2] = {PANEL_INSTANCES(PANEL_ROW)};

/* Where rows of C do not begin lines, streaming would write parts of them. */
SPT_INLINE int panel_store(const panel_state *state, const strip_view *strip) {
    const bool has_whole_lines =
        (uintptr_t)strip->c % 64 == 0 && strip->ldc % SPT_LINE_FLOATS == 0 && !strip->is_masked;
    return state->store == STORE_STREAMED && !has_whole_lines ? STORE_CACHED : state->store;
}

/* All blocks of the rows of one chunk of one strip. */
static void panel_strip(const void *context, const strip_view *strip, spt_range rows) {
    const panel_state *state = context;
    panel_rows_instance *instance = panel_instances[strip->n_vectors - 1][state->is_ahead][strip->is_masked];
    for (int64_t i = 0; i < state->n_blocks; i++) {
        const panel_block block = {.entries = state->entries,
                                   .start = state->block_start + i * (state->m + 1),
                                   .strip = strip,
                                   .is_first = i == 0,
                                   .is_last = i == state->n_blocks - 1,
                                   .store = panel_store(state, strip)};
        instance(&block, rows);
    }
}

typedef void panel_run(const panel_state *state, const spt_call *call, const spt_problem *problem, strip_part part);
extern panel_run SPT_ISA_NAME(panel_run_f32);
void SPT_ISA_NAME(panel_run_f32)(const panel_state *state, const spt_call *call, const spt_problem *problem,
                                 strip_part part) {
    strip_run(&state->strips, state, panel_strip, call, problem, part);
    if (state->store == STORE_STREAMED)
        vec_stream_end();
}

#if SPT_EMIT_DESCRIPTOR

SPT_ISA_TABLE(panel_run, panel_run_f32)

static const spt_axis_value t_values[] = {{1, NULL}, {2, NULL}, {3, NULL},  {4, NULL},  {6, NULL},
                                          {7, NULL}, {8, NULL}, {12, NULL}, {13, NULL}, {16, NULL}};
static const spt_axis_value kb_values[] = {{32, NULL},  {64, NULL},  {96, NULL},  {128, NULL},
                                           {192, NULL}, {256, NULL}, {512, NULL}, {0, "all"}};
static const spt_axis_value pack_values[] = {
    {STRIP_PACK_NONE, "none"}, {STRIP_PACK_COPY, "copy"}, {STRIP_PACK_TRANSPOSE, "transpose"}};
static const spt_axis_value ahead_values[] = {{0, "none"}, {1, "rows"}};
static const spt_axis_value store_values[] = {
    {STORE_CACHED, "cached"}, {STORE_OWNED, "owned"}, {STORE_STREAMED, "streamed"}};
static const spt_axis axes[N_AXES] = {
    [AXIS_T] = {"t", "vectors of C that a row keeps in registers", t_values, 10},
    [AXIS_KB] = {"kb", "columns of A, rows of B, in one block", kb_values, 8},
    [AXIS_PACK] = {"pack", "how a strip of B is brought into contiguous memory", pack_values, 3},
    [AXIS_AHEAD] = {"ahead", "whether the next nonzeros' rows of B are prefetched", ahead_values, 2},
    [AXIS_STORE] = {"store", "how C is written: through the caches, asked for a row ahead, or past them", store_values,
                    3},
};

/* C that stays in L2 is best written there; past the caches goes what is written once and in whole lines. */
static bool is_store_useful(const spt_workload *workload, const spt_device *device, const spt_point *point) {
    const int32_t store = spt_point_value(axes, point, AXIS_STORE), kb = spt_point_value(axes, point, AXIS_KB);
    const int64_t n = workload->problem.n, rows = workload->pattern.n_rows + workload->pattern.n_cols;
    const bool is_beyond_l2 = (double)rows * (double)n * 4.0 > (double)device->l2_bytes;
    if (store == STORE_CACHED)
        return true;
    return workload->problem.layout == SPT_KN && is_beyond_l2 &&
           (store == STORE_OWNED || (device->isa >= SPT_ISA_AVX2 && kb == 0 && n % SPT_LINE_FLOATS == 0));
}

static bool is_valid(const spt_workload *workload, const spt_device *device, const spt_point *point) {
    const int32_t kb = spt_point_value(axes, point, AXIS_KB), pack = spt_point_value(axes, point, AXIS_PACK);
    const bool is_pack_legal = (workload->problem.layout == SPT_NK) == (pack == STRIP_PACK_TRANSPOSE);
    const bool is_block_distinct = kb == 0 || kb < workload->pattern.n_cols; /* larger ones equal `all` */
    const int32_t t = spt_point_value(axes, point, AXIS_T);
    const bool fits_registers = t <= (device->isa == SPT_ISA_AVX512 ? 16 : 8);
    const bool is_used = t <= 8 || t * spt_isa_lanes(device->isa) < workload->problem.n + spt_isa_lanes(device->isa);
    const bool is_ahead_useful = spt_point_value(axes, point, AXIS_AHEAD) == 0 || (t >= 6 && pack == STRIP_PACK_NONE);
    return is_store_useful(workload, device, point) && is_ahead_useful && is_pack_legal && is_block_distinct &&
           fits_registers && is_used && workload->pattern.nnz < INT32_MAX;
}

/* A row of a block costs this beside its nonzeros: its addresses, and a loop whose end is guessed wrong. */
#define ROW_NS 5.0

static double bound_ns(const spt_workload *workload, const spt_device *device, const spt_point *point) {
    const spt_ceilings *ceilings = spt_ceilings_get(device);
    const double lanes = spt_isa_lanes(device->isa), t = spt_point_value(axes, point, AXIS_T);
    const double m = (double)workload->pattern.n_rows, k = (double)workload->pattern.n_cols;
    const double n = (double)workload->problem.n, nnz = (double)workload->pattern.nnz;
    const int32_t kb = spt_point_value(axes, point, AXIS_KB);
    const double block = kb == 0 || kb > k ? k : kb, n_blocks = (k + block - 1.0) / block;
    const bool is_packed = spt_point_value(axes, point, AXIS_PACK) != STRIP_PACK_NONE;
    const spt_rows_apart apart = spt_rows_apart_of(is_packed, workload->problem.n, lanes, t * lanes);
    const double vectors = (n + lanes - 1.0) / lanes, strips = (vectors + t - 1.0) / t;
    const double visits = m * n_blocks < nnz ? m * n_blocks : nnz; /* (row, block) pairs with work, at most */
    /* Loads: t of B, one value and one column per nonzero and strip; C once in and once out per visit. */
    const double b_vectors = nnz * vectors * (1.0 + apart.splits);
    const double load_ns = (b_vectors + 2.0 * nnz * strips + 2.0 * visits * vectors) / ceilings->vector_loads_per_ns;
    const double fma_ns = 2.0 * nnz * vectors * lanes / ceilings->fma_gflops;
    const double panel_bytes = block * t * lanes * 4.0 / apart.l1_share;
    const double b_ns = spt_read_ns(ceilings, device, b_vectors * lanes * 4.0, panel_bytes);
    const double a_ns = spt_read_ns(ceilings, device, 8.0 * nnz * strips, 8.0 * nnz);
    const double c_ways = spt_point_value(axes, point, AXIS_STORE) == STORE_STREAMED ? 1.0 : 2.0; /* in and out */
    const double c_ns = spt_read_ns(ceilings, device, c_ways * 4.0 * visits * n, 4.0 * m * t * lanes);
    const double work_ns = load_ns > fma_ns ? load_ns : fma_ns;
    double ns = (work_ns > b_ns ? work_ns : b_ns) + 0.5 * (a_ns + c_ns) + visits * strips * ROW_NS;
    if (is_packed)
        ns += spt_pack_ns(ceilings, device, 4.0 * k * n, 4.0 * k * n);
    return ns / workload->problem.threads;
}

static void default_point(const spt_workload *workload, const spt_device *device, spt_point *out) {
    const uint32_t tried[N_AXES] = {[AXIS_T] = SPT_TRY_ALL,
                                    [AXIS_KB] = SPT_TRY_ALL,
                                    [AXIS_PACK] = SPT_TRY_ALL,
                                    [AXIS_AHEAD] = 0x1,
                                    [AXIS_STORE] = 0x1};
    spt_family_least_bound(out, &spt_family_spmm_csr_panel, tried, workload, device);
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
    state->m = m;
    state->is_ahead = spt_point_value(axes, &prepared->point, AXIS_AHEAD) != 0;
    state->store = spt_point_value(axes, &prepared->point, AXIS_STORE);
    state->block_columns = kb == 0 ? a->n_cols : kb;
    state->n_blocks = (a->n_cols + state->block_columns - 1) / state->block_columns;
    SPT_TRY_TO(done, SPT_NEW(state->row_start, m + 1));
    SPT_TRY_TO(done, SPT_NEW(state->block_start, state->n_blocks * (m + 1)));
    SPT_TRY_TO(done, SPT_NEW_ZEROED(state->entries, nnz + AHEAD));
    SPT_TRY_TO(done, SPT_NEW(cursor, m));
    memcpy(state->row_start, a->row_offsets, (size_t)(m + 1) * sizeof *state->row_start);
    state->strips = (strip_plan){.t = spt_point_value(axes, &prepared->point, AXIS_T),
                                 .pack = spt_point_value(axes, &prepared->point, AXIS_PACK),
                                 .lanes = spt_isa_lanes(prepared->device.isa),
                                 .m = m,
                                 .k = a->n_cols,
                                 .group = 1,
                                 .row_chunk = state->n_blocks == 1 ? ROW_CHUNK : 0,
                                 .row_align = 1,
                                 .n_before = state->row_start};
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

STRIP_VERBS(panel_state, panel_run_f32_for)

const spt_family spt_family_spmm_csr_panel = {
    .name = "spmm_csr_panel",
    .summary = "CSR rows in registers over panels of B that stay in L1 (after Gale et al., SC 2020)",
    .op = SPT_SPMM,
    .device = SPT_CPU,
    .dtypes = SPT_DTYPE_BIT(SPT_F32),
    .axes = axes,
    .n_axes = N_AXES,
    .revision = 7,
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

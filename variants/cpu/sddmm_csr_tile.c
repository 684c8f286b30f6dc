/* SPDX-License-Identifier: Apache-2.0 */
/* sddmm_csr_tile: s[nz] = x[row, :] . y[column, :] in tiles of the mask. The nonzeros of a row within a block of
 * columns are a visit: the row of X is loaded into registers once, every multiply-add reads one vector of Y, which the
 * block keeps in L1 or L2, and up to as many sums as a vector has lanes are added up by one tree of shuffles. Within a
 * tile visits go by length, so that their loops end where the branch predictor expects it. A row of X that registers
 * cannot hold is read from memory, once for four nonzeros. Bound: one load per multiply-add, and some three vector
 * instructions per sum. Layout nk: both operands are transposed into the workspace first: n (m + k) against n nnz. */
#include <math.h>
#include <string.h>

#include "core/memory.h"
#include "variants/bound.h"
#include "variants/cpu/simd.h"
#include "variants/cpu/transpose.h"
#include "variants/family.h"
#include "variants/isa.h"
#include "variants/parts.h"

enum { AXIS_CB, AXIS_RB, AXIS_FETCH, N_AXES };
enum { T_MAX = 16, QUAD = 4 }; /* vectors of a row that are unrolled; sums that every ISA adds up at once */
enum { AHEAD = 2 };            /* nonzeros whose rows of Y are looked up ahead */
enum { FETCH_MAX = 4 };        /* visits whose rows of X are fetched ahead */

/* Neighbours in a row of the mask. */
typedef struct tile_visit {
    int32_t row, nz, first, count; /* nz: the first of them, as A counts; first: the same, as columns are stored */
} tile_visit;

typedef struct tile_state {
    int64_t m, k, nnz, n_visits;
    int64_t fetch;      /* how many visits ahead rows of X are fetched; 0: they are not */
    tile_visit *visits; /* n_visits + FETCH_MAX: tile by tile, the longest first, then by row; the last are empty */
    int32_t *columns;   /* nnz + AHEAD: in the order of the visits */
} tile_state;

/* Operands with the inner dimension contiguous. */
typedef struct tile_operands {
    const float *x, *y;
    int64_t ldx, ldy, n;
    float *s;
    spt_mask mask; /* of the last vector of a row */
} tile_operands;

/* Which rows of Y come next. Their addresses are computed two dot products early: an index that is loaded just before
 * the row it names would wait behind the loads of the rows before it. */
typedef struct tile_walk {
    const float *y[AHEAD];
    const int32_t *column;
} tile_walk;

SPT_INLINE const float *tile_next(tile_walk *walk, const tile_operands *operands) {
    const float *y = walk->y[0];
    walk->y[0] = walk->y[1];
    walk->y[1] = operands->y + *walk->column++ * operands->ldy;
    return y;
}

/* How many sums go together beside a held row of t vectors; 0: the row does not fit into registers. */
SPT_INLINE int tile_group(const int t) {
    int group = SPT_LANES;
    while (group >= QUAD && t + group + 4 > SPT_REGISTERS)
        group /= 2;
    return t > 0 && group >= QUAD ? group : 0;
}

/* sum[0..count) = lane by lane products of a held row of X and the next `count` rows of Y. */
SPT_INLINE void tile_dots_held(spt_vec *sum, tile_walk *walk, const tile_operands *operands, const spt_vec *x,
                               const int count, const int t, const bool is_masked) {
#pragma GCC unroll 16
    for (int i = 0; i < count; i++) {
        const float *y = tile_next(walk, operands);
        const int n_chains = t > 4 ? 2 : 1;
        spt_vec chain[2] = {vec_zero(), vec_zero()};
#pragma GCC unroll 16
        for (int v = 0; v < t; v++) {
            const spt_vec part = vec_load_part(y + v * SPT_LANES, is_masked && v == t - 1, operands->mask);
            chain[v % n_chains] = vec_fma(x[v], part, chain[v % n_chains]);
        }
        sum[i] = n_chains == 2 ? vec_add(chain[0], chain[1]) : chain[0];
    }
}

/* The same for up to four rows of Y and a row of X in memory, as long as they are. */
SPT_INLINE void tile_dots_read(spt_vec *sum, tile_walk *walk, const tile_operands *operands, const float *x,
                               const int count, const bool is_masked) {
    const float *y[QUAD];
#pragma GCC unroll 4
    for (int i = 0; i < count; i++) {
        y[i] = tile_next(walk, operands);
        sum[i] = vec_zero();
    }
    int64_t j = 0;
#pragma GCC unroll 2
    for (; j + SPT_LANES <= operands->n; j += SPT_LANES) {
        const spt_vec part = vec_load(x + j);
#pragma GCC unroll 4
        for (int i = 0; i < count; i++)
            sum[i] = vec_fma(part, vec_load(y[i] + j), sum[i]);
    }
#pragma GCC unroll 4
    for (int i = 0; is_masked && i < count; i++)
        sum[i] = vec_fma(vec_load_masked(operands->mask, x + j), vec_load_masked(operands->mask, y[i] + j), sum[i]);
}

/* s[0..count) for the next `count` nonzeros of a row: 1 to 4, 8 or 16, a constant. */
SPT_INLINE void tile_sums(float *s, tile_walk *walk, const tile_operands *operands, const float *row, const spt_vec *x,
                          const int count, const int t, const bool is_masked) {
    spt_vec sum[SPT_LANES];
    if (tile_group(t) > 0)
        tile_dots_held(sum, walk, operands, x, count, t, is_masked);
    else
        tile_dots_read(sum, walk, operands, row, count, is_masked);
    if (count == 1) {
        *s = vec_sum(sum[0]);
        return;
    }
#pragma GCC unroll 4
    for (int i = count; i < QUAD; i++)
        sum[i] = sum[count - 1];
    if (count < QUAD)
        vec_store_sums4(s, count, sum);
    else
        vec_store_sums(s, sum, count);
}

SPT_INLINE void tile_fetch(const float *row, int64_t n) {
    for (int64_t j = 0; j < n; j += 16)
        __builtin_prefetch(row + j);
}

SPT_INLINE void tile_range(const tile_state *state, const tile_operands *operands, spt_range range, const int t,
                           const bool is_masked) {
    const int group = tile_group(t);
    tile_walk walk = {.column = state->columns + state->visits[range.begin].first};
    for (int i = 0; i < AHEAD; i++)
        tile_next(&walk, operands);
    const float *next_row = operands->x + state->visits[range.begin].row * operands->ldx;
    for (const tile_visit *visit = state->visits + range.begin; visit < state->visits + range.end; visit++) {
        const float *row = next_row;
        float *s = operands->s + visit->nz;
        int left = visit->count;
        next_row = operands->x + visit[1].row * operands->ldx;
        if (state->fetch > 0)
            tile_fetch(operands->x + visit[state->fetch].row * operands->ldx, operands->n);
        spt_vec x[T_MAX];
#pragma GCC unroll 16
        for (int v = 0; group > 0 && v < t; v++)
            x[v] = vec_load_part(row + v * SPT_LANES, is_masked && v == t - 1, operands->mask);
        for (; group >= 16 && left >= 16; left -= 16, s += 16)
            tile_sums(s, &walk, operands, row, x, 16, t, is_masked);
        for (; group >= 8 && left >= 8; left -= 8, s += 8)
            tile_sums(s, &walk, operands, row, x, 8, t, is_masked);
        for (; left >= 4; left -= 4, s += 4)
            tile_sums(s, &walk, operands, row, x, 4, t, is_masked);
        if (left == 3)
            tile_sums(s, &walk, operands, row, x, 3, t, is_masked);
        else if (left == 2)
            tile_sums(s, &walk, operands, row, x, 2, t, is_masked);
        else if (left == 1)
            tile_sums(s, &walk, operands, row, x, 1, t, is_masked);
    }
}

typedef void tile_instance(const tile_state *state, const tile_operands *operands, spt_range range);

static void tile_range_long(const tile_state *state, const tile_operands *operands, spt_range range) {
    tile_range(state, operands, range, 0, false);
}
static void tile_range_long_masked(const tile_state *state, const tile_operands *operands, spt_range range) {
    tile_range(state, operands, range, 0, true);
}

/* Whole vectors, as many as a machine's registers hold. Other widths take the loop that is not unrolled: each of these
 * is kilobytes of code. */
#if SPT_REGISTERS >= 32
#define TILE_WIDTHS(X) X(1) X(2) X(4) X(8) X(16)
#else
#define TILE_WIDTHS(X) X(1) X(2) X(4) X(8)
#endif
#define TILE_DEFINE(t)                                                                                                 \
    static void tile_range_##t(const tile_state *state, const tile_operands *operands, spt_range range) {              \
        tile_range(state, operands, range, t, false);                                                                  \
    }
#define TILE_ROW(t) [t] = tile_range_##t,
TILE_WIDTHS(TILE_DEFINE)
static tile_instance *const tile_instances[T_MAX + 1] = {TILE_WIDTHS(TILE_ROW)};

/* Transpose what the visits of a range read of an operand pair into the workspace. */
static void tile_transpose(tile_operands *operands, const tile_state *state, float *workspace, spt_range range) {
    float *x = workspace, *y = x + state->m * operands->n;
    int64_t first = state->m, end = 0;
    for (int64_t i = range.begin; i < range.end; i++) {
        const int64_t row = state->visits[i].row;
        first = row < first ? row : first;
        end = row >= end ? row + 1 : end;
    }
    SPT_ISA_NAME(transpose_any_f32)
    (x + first * operands->n, operands->n, operands->x + first, operands->ldx, operands->n, end - first);
    SPT_ISA_NAME(transpose_any_f32)(y, operands->n, operands->y, operands->ldy, operands->n, state->k);
    operands->x = x;
    operands->y = y;
    operands->ldx = operands->ldy = operands->n;
}

typedef void tile_run_part(const tile_state *state, const spt_call *call, spt_layout layout, spt_range range);
extern tile_run_part SPT_ISA_NAME(tile_run_f32);
void SPT_ISA_NAME(tile_run_f32)(const tile_state *state, const spt_call *call, spt_layout layout, spt_range range) {
    tile_operands operands = {
        call->x, call->y, call->ldx, call->ldy, call->n, call->s, vec_first((int)((call->n - 1) % SPT_LANES + 1))};
    const int64_t n_vectors = (call->n + SPT_LANES - 1) / SPT_LANES;
    if (layout == SPT_NK)
        tile_transpose(&operands, state, call->workspace, range);
    const bool is_masked = call->n % SPT_LANES != 0;
    tile_instance *instance = is_masked || n_vectors > T_MAX ? NULL : tile_instances[n_vectors];
    if (instance == NULL)
        instance = is_masked ? tile_range_long_masked : tile_range_long;
    instance(state, &operands, range);
}

#if SPT_EMIT_DESCRIPTOR

SPT_ISA_TABLE(tile_run_part, tile_run_f32)

static const spt_axis_value cb_values[] = {{32, NULL}, {48, NULL}, {64, NULL}, {128, NULL}, {256, NULL}, {0, "all"}};
static const spt_axis_value rb_values[] = {{64, NULL}, {256, NULL}, {0, "all"}};
static const spt_axis_value fetch_values[] = {{0, "none"}, {FETCH_MAX, NULL}};
static const spt_axis axes[N_AXES] = {
    [AXIS_CB] = {"cb", "columns of the mask, rows of Y, in one tile", cb_values, 6},
    [AXIS_RB] = {"rb", "rows of the mask, rows of X, in one tile", rb_values, 3},
    [AXIS_FETCH] = {"fetch", "how many visits ahead the rows of X are fetched", fetch_values, 2},
};

static bool is_valid(const spt_workload *workload, const spt_device *device, const spt_point *point) {
    const int32_t cb = spt_point_value(axes, point, AXIS_CB), rb = spt_point_value(axes, point, AXIS_RB);
    (void)device;
    return (cb == 0 || cb < workload->pattern.n_cols) && (rb == 0 || rb < workload->pattern.n_rows) &&
           workload->pattern.nnz < INT32_MAX;
}

/* Adding up the lanes of one sum and storing it, and what a visit costs beside its loads; measured in L1. */
#define SUM_NS 0.8
#define VISIT_NS 3.0

static double bound_ns(const spt_workload *workload, const spt_device *device, const spt_point *point) {
    const spt_ceilings *ceilings = spt_ceilings_get(device);
    const double n = (double)workload->problem.n, nnz = (double)workload->pattern.nnz;
    const double k = (double)workload->pattern.n_cols, m = (double)workload->pattern.n_rows;
    const double cb = spt_point_value(axes, point, AXIS_CB), rb = spt_point_value(axes, point, AXIS_RB);
    const double columns = cb == 0.0 || cb > k ? k : cb, rows = rb == 0.0 || rb > m ? m : rb;
    const double places = columns > 0.0 ? m * ceil(k / columns) : 1.0; /* where a visit may be */
    const double visits = places > 0.0 ? places * (1.0 - exp(-nnz / places)) : 0.0;
    const double vectors = ceil(n / spt_isa_lanes(device->isa)), row_bytes = 4.0 * n;
    const double load_ns = (nnz + visits) * vectors / ceilings->vector_loads_per_ns;
    const double fma_ns = 2.0 * nnz * n / ceilings->fma_gflops;
    /* A row of Y returns after one visit in each 1 / density rows; a row of X in the next tile. */
    const double y_bytes = (columns + (nnz > 0.0 ? m * k / nnz : 0.0)) * row_bytes;
    const double l1_share = y_bytes > 0.0 ? (double)device->l1d_bytes / y_bytes : 1.0; /* of Y that L1 keeps */
    const double y_ns =
        spt_fill_ns(ceilings, device, nnz * row_bytes, y_bytes) * (l1_share < 1.0 ? 1.0 - l1_share : 0.0);
    const double tile_x_ns = spt_fill_ns(ceilings, device, visits * row_bytes, (rows + columns) * row_bytes);
    const double first_x_ns = spt_fill_ns(ceilings, device, m * row_bytes, (m + k) * row_bytes);
    const bool has_fetch = spt_point_value(axes, point, AXIS_FETCH) != 0; /* hides half of it at the price of a load */
    const double x_ns = has_fetch ? tile_x_ns + 0.5 * first_x_ns + visits * vectors / ceilings->vector_loads_per_ns
                                  : tile_x_ns + first_x_ns;
    const double sums_ns = nnz * SUM_NS + visits * VISIT_NS;
    return ((load_ns > fma_ns ? load_ns : fma_ns) + y_ns + x_ns + sums_ns) / workload->problem.threads;
}

static void default_point(const spt_workload *workload, const spt_device *device, spt_point *out) {
    const int n_rb = axes[AXIS_RB].n_values, n_fetch = axes[AXIS_FETCH].n_values;
    *out = (spt_point){{[AXIS_CB] = 5, [AXIS_RB] = 2, [AXIS_FETCH] = 0}};
    double best_ns = bound_ns(workload, device, out);
    for (int i = 0; i < axes[AXIS_CB].n_values * n_rb * n_fetch; i++) {
        const spt_point point = {{[AXIS_CB] = (uint16_t)(i / (n_rb * n_fetch)),
                                  [AXIS_RB] = (uint16_t)(i / n_fetch % n_rb),
                                  [AXIS_FETCH] = (uint16_t)(i % n_fetch)}};
        const double ns = bound_ns(workload, device, &point);
        if (is_valid(workload, device, &point) && ns < best_ns) {
            best_ns = ns;
            *out = point;
        }
    }
}

static void release(spt_prepared *prepared) {
    tile_state *state = prepared->state;
    if (state == NULL)
        return;
    spt_free(state->visits);
    spt_free(state->columns);
    spt_free(state);
    prepared->state = NULL;
}

/* What cutting a mask into visits needs beside the mask. */
typedef struct tile_cut {
    const spt_csr *a;
    int64_t block;   /* columns of a tile */
    int64_t *next;   /* m: where each row goes on */
    int64_t *slots;  /* block + 2: where the next visit of each length goes, the longest first */
    int32_t *counts; /* m: nonzeros of each row in the tile */
    int64_t n_columns;
} tile_cut;

/* Cut one tile: sort its visits by length, then copy their columns in that order. */
static void cut_tile(tile_state *state, tile_cut *cut, spt_range rows, int64_t column_end) {
    const spt_csr *a = cut->a;
    memset(cut->slots, 0, (size_t)(cut->block + 2) * sizeof *cut->slots);
    for (int64_t row = rows.begin; row < rows.end; row++) {
        int64_t nz = cut->next[row];
        while (nz < a->row_offsets[row + 1] && a->columns[nz] < column_end)
            nz++;
        cut->counts[row] = (int32_t)(nz - cut->next[row]);
        cut->slots[cut->block - cut->counts[row] + 1]++;
    }
    for (int64_t i = 1; i <= cut->block; i++)
        cut->slots[i] += cut->slots[i - 1];
    tile_visit *visits = state->visits + state->n_visits;
    const int64_t n_visits = cut->slots[cut->block]; /* what follows are rows without a nonzero */
    for (int64_t row = rows.begin; row < rows.end; row++) {
        const int32_t count = cut->counts[row];
        if (count > 0)
            visits[cut->slots[cut->block - count]++] = (tile_visit){(int32_t)row, (int32_t)cut->next[row], 0, count};
        cut->next[row] += count;
    }
    for (int64_t i = 0; i < n_visits; i++) {
        visits[i].first = (int32_t)cut->n_columns;
        memcpy(state->columns + cut->n_columns, a->columns + visits[i].nz,
               (size_t)visits[i].count * sizeof *state->columns);
        cut->n_columns += visits[i].count;
    }
    state->n_visits += n_visits;
}

/* The first visit at or after nonzero `target` of the order of visits. */
static int64_t visit_at(const tile_state *state, int64_t target) {
    int64_t low = 0, high = state->n_visits;
    while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        if (state->visits[middle].first < target)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static spt_status prepare(spt_prepared *prepared, const spt_csr *a) {
    const int64_t cb = spt_point_value(axes, &prepared->point, AXIS_CB), m = a->n_rows;
    const int64_t rb = spt_point_value(axes, &prepared->point, AXIS_RB), rows = rb == 0 ? m : rb;
    tile_cut cut = {.a = a, .block = cb == 0 || cb > a->n_cols ? a->n_cols : cb};
    tile_state *state;
    spt_status status = SPT_OK;
    SPT_TRY(SPT_NEW_ZEROED(state, 1));
    prepared->state = state;
    *state = (tile_state){
        .m = m, .k = a->n_cols, .nnz = spt_csr_nnz(a), .fetch = spt_point_value(axes, &prepared->point, AXIS_FETCH)};
    const int64_t places = cut.block > 0 ? m * ((a->n_cols + cut.block - 1) / cut.block) : 0;
    const int64_t n_visits = places < state->nnz ? places : state->nnz; /* at most */
    SPT_TRY_TO(done, SPT_NEW_ZEROED(state->visits, n_visits + FETCH_MAX));
    SPT_TRY_TO(done, SPT_NEW_ZEROED(state->columns, state->nnz + AHEAD));
    SPT_TRY_TO(done, SPT_NEW(cut.next, m));
    SPT_TRY_TO(done, SPT_NEW(cut.slots, cut.block + 2));
    SPT_TRY_TO(done, SPT_NEW(cut.counts, m));
    memcpy(cut.next, a->row_offsets, (size_t)m * sizeof *cut.next);
    for (int64_t row = 0; row < m; row += rows) {
        for (int64_t column = 0; column < a->n_cols; column += cut.block)
            cut_tile(state, &cut, (spt_range){row, row + rows < m ? row + rows : m}, column + cut.block);
    }
    prepared->packed_bytes =
        (size_t)(n_visits + FETCH_MAX) * sizeof *state->visits + (size_t)(state->nnz + AHEAD) * sizeof *state->columns;
done:
    spt_free(cut.next);
    spt_free(cut.slots);
    spt_free(cut.counts);
    if (status != SPT_OK)
        release(prepared);
    return status;
}

static size_t workspace(const spt_prepared *prepared, int64_t n) {
    const tile_state *state = prepared->state;
    return prepared->workload.problem.layout == SPT_NK ? (size_t)((state->m + state->k) * n) * sizeof(float) : 0;
}

static spt_status run_part(const spt_prepared *prepared, const spt_call *call, int part, int n_parts) {
    const tile_state *state = prepared->state;
    const spt_range nonzeros = spt_part_of(state->nnz, part, n_parts);
    const spt_range range = {visit_at(state, nonzeros.begin), visit_at(state, nonzeros.end)};
    if (range.begin < range.end)
        tile_run_f32_for(prepared->device.isa)(state, call, prepared->workload.problem.layout, range);
    return SPT_OK;
}

const spt_family spt_family_sddmm_csr_tile = {
    .name = "sddmm_csr_tile",
    .summary = "sampled dense-dense product in tiles of the mask, a row of X held in registers for its nonzeros there",
    .op = SPT_SDDMM,
    .device = SPT_CPU,
    .dtypes = SPT_DTYPE_BIT(SPT_F32),
    .axes = axes,
    .n_axes = N_AXES,
    .revision = 3,
    .is_valid = is_valid,
    .default_point = default_point,
    .bound_ns = bound_ns,
    .prepare = prepare,
    .workspace = workspace,
    .run_part = run_part,
    .release = release,
};

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* sddmm_csr_tile: s[nz] = x[row, :] . y[column, :] in blocks of columns, so that the rows of Y that a block reads stay
 * in L1 or L2 while the rows of the mask go by with their row of X in registers. A dot product leaves a vector of
 * partial sums; as many as a vector has lanes are added up together in one tree of shuffles, two per nonzero instead of
 * eight. Layout nk: both operands are transposed into the workspace first, which costs n (m + k) against n nnz. */
#include <string.h>

#include "core/memory.h"
#include "variants/bound.h"
#include "variants/cpu/simd.h"
#include "variants/family.h"
#include "variants/isa.h"
#include "variants/parts.h"

enum { AXIS_CB, N_AXES };
enum { T_MAX = 8 }; /* vectors of a row of X that stay in registers */

typedef struct tile_state {
    int64_t m, k, nnz, n_blocks;
    int64_t *run_start; /* (n_blocks + 1) x m: first nonzero, in CSR order, of every row in every block */
    int32_t *columns;   /* nnz */
    int64_t *row_start; /* m + 1 */
} tile_state;

/* Operands with the inner dimension contiguous. */
typedef struct tile_operands {
    const float *x, *y;
    int64_t ldx, ldy, n;
    float *s;
} tile_operands;

/* Nonzeros of one run whose dot products wait side by side. */
typedef struct tile_segment {
    int64_t nz;
    int first, count;
} tile_segment;

/* Dot products whose lanes are not summed yet, and where their sums go. */
typedef struct tile_pending {
    spt_vec parts[SPT_LANES];
    tile_segment segments[SPT_LANES];
    int count, n_segments;
} tile_pending;

SPT_INLINE void tile_flush(tile_pending *pending, float *s) {
    float sums[2 * SPT_LANES] __attribute__((aligned(64)));
    for (int i = pending->count; i < SPT_LANES; i++)
        pending->parts[i] = vec_zero();
    vec_store(sums, vec_sums(pending->parts));
    for (int i = 0; i < pending->n_segments; i++) {
        const tile_segment *segment = &pending->segments[i];
        vec_store_masked(vec_first(segment->count), s + segment->nz, vec_load(sums + segment->first));
    }
    pending->count = pending->n_segments = 0;
}

SPT_INLINE spt_vec load_part(const float *p, bool is_masked, spt_mask mask) {
    return is_masked ? vec_load_masked(mask, p) : vec_load(p);
}

/* x . y as a vector of partial sums; x has t vectors in registers, the last one perhaps partial. */
SPT_INLINE spt_vec tile_dot(const spt_vec *x, const float *y, spt_mask mask, const int t, const bool is_masked) {
    spt_vec sum = vec_zero();
#pragma GCC unroll 8
    for (int v = 0; v < t; v++)
        sum = vec_fma(x[v], load_part(y + v * SPT_LANES, is_masked && v == t - 1, mask), sum);
    return sum;
}

/* The same for longer rows: X comes from memory too, four chains hide the latency of the sums. */
SPT_INLINE spt_vec tile_dot_long(const float *x, const float *y, int64_t n) {
    const int64_t whole = n / (4 * SPT_LANES) * (4 * SPT_LANES);
    spt_vec sum[4] = {vec_zero(), vec_zero(), vec_zero(), vec_zero()};
    for (int64_t j = 0; j < whole; j += 4 * SPT_LANES) {
#pragma GCC unroll 4
        for (int v = 0; v < 4; v++)
            sum[v] = vec_fma(vec_load(x + j + v * SPT_LANES), vec_load(y + j + v * SPT_LANES), sum[v]);
    }
    for (int64_t j = whole; j < n; j += SPT_LANES) {
        const spt_mask mask = vec_first((int)(n - j < SPT_LANES ? n - j : SPT_LANES));
        sum[0] = vec_fma(vec_load_masked(mask, x + j), vec_load_masked(mask, y + j), sum[0]);
    }
    return vec_add(vec_add(sum[0], sum[1]), vec_add(sum[2], sum[3]));
}

/* The nonzeros [begin, end) of one row. t = 0: rows longer than T_MAX vectors. */
SPT_INLINE void tile_run(tile_pending *pending, const tile_state *state, const tile_operands *operands, int64_t row,
                         spt_range run, spt_mask mask, const int t, const bool is_masked) {
    const float *from = operands->x + row * operands->ldx, *y = operands->y;
    const int64_t ldy = operands->ldy, n = operands->n;
    spt_vec x[T_MAX];
#pragma GCC unroll 8
    for (int v = 0; v < t; v++)
        x[v] = load_part(from + v * SPT_LANES, is_masked && v == t - 1, mask);
    while (run.begin < run.end) {
        const int64_t room = SPT_LANES - pending->count, left = run.end - run.begin;
        const int count = (int)(left < room ? left : room), first = pending->count;
        const int32_t *columns = state->columns + run.begin;
        spt_vec *parts = pending->parts + first;
        for (int i = 0; i < count; i++)
            parts[i] = t > 0 ? tile_dot(x, y + columns[i] * ldy, mask, t, is_masked)
                             : tile_dot_long(from, y + columns[i] * ldy, n);
        pending->segments[pending->n_segments++] = (tile_segment){run.begin, first, count};
        pending->count += count;
        run.begin += count;
        if (pending->count == SPT_LANES)
            tile_flush(pending, operands->s);
    }
}

typedef void tile_instance(const tile_state *state, const tile_operands *operands, spt_range rows);

SPT_INLINE void tile_rows(const tile_state *state, const tile_operands *operands, spt_range rows, const int t,
                          const bool is_masked) {
    const spt_mask mask = vec_first((int)((operands->n - 1) % SPT_LANES + 1));
    tile_pending pending = {.count = 0};
    for (int64_t block = 0; block < state->n_blocks; block++) {
        const int64_t *start = state->run_start + block * state->m;
        for (int64_t row = rows.begin; row < rows.end; row++) {
            const spt_range run = {start[row], start[row + state->m]};
            if (run.begin < run.end)
                tile_run(&pending, state, operands, row, run, mask, t, is_masked);
        }
    }
    tile_flush(&pending, operands->s);
}

static void tile_rows_long(const tile_state *state, const tile_operands *operands, spt_range rows) {
    tile_rows(state, operands, rows, 0, false);
}

#define TILE_WIDTHS(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8)
#define TILE_DEFINE(t)                                                                                                 \
    static void tile_rows_##t(const tile_state *state, const tile_operands *operands, spt_range rows) {                \
        tile_rows(state, operands, rows, t, false);                                                                    \
    }                                                                                                                  \
    static void tile_rows_##t##_masked(const tile_state *state, const tile_operands *operands, spt_range rows) {       \
        tile_rows(state, operands, rows, t, true);                                                                     \
    }
#define TILE_ROW(t) {tile_rows_##t, tile_rows_##t##_masked},
TILE_WIDTHS(TILE_DEFINE)
static tile_instance *const tile_instances[T_MAX][2] = {TILE_WIDTHS(TILE_ROW)};

typedef void tile_run_part(const tile_state *state, const spt_call *call, spt_layout layout, spt_range rows);
extern tile_run_part SPT_ISA_NAME(tile_run_f32);
void SPT_ISA_NAME(tile_run_f32)(const tile_state *state, const spt_call *call, spt_layout layout, spt_range rows) {
    tile_operands operands = {call->x, call->y, call->ldx, call->ldy, call->n, call->s};
    const int64_t n_vectors = (call->n + SPT_LANES - 1) / SPT_LANES;
    if (layout == SPT_NK) {
        float *x = call->workspace, *y = x + state->m * call->n;
        vec_transpose_any(x + rows.begin * call->n, call->n, operands.x + rows.begin, call->ldx, call->n,
                          rows.end - rows.begin);
        vec_transpose_any(y, call->n, operands.y, call->ldy, call->n, state->k);
        operands.x = x;
        operands.y = y;
        operands.ldx = operands.ldy = call->n;
    }
    if (n_vectors > T_MAX)
        tile_rows_long(state, &operands, rows);
    else
        tile_instances[n_vectors - 1][call->n % SPT_LANES != 0](state, &operands, rows);
}

#if SPT_EMIT_DESCRIPTOR

SPT_ISA_TABLE(tile_run_part, tile_run_f32)

static const spt_axis_value cb_values[] = {{32, NULL}, {64, NULL}, {128, NULL}, {256, NULL}, {0, "all"}};
static const spt_axis axes[N_AXES] = {
    [AXIS_CB] = {"cb", "columns of the mask, rows of Y, in one block", cb_values, 5},
};

static bool is_valid(const spt_workload *workload, const spt_device *device, const spt_point *point) {
    const int32_t cb = spt_point_value(axes, point, AXIS_CB);
    (void)device;
    return cb == 0 || cb < workload->pattern.n_cols;
}

static double bound_ns(const spt_workload *workload, const spt_device *device, const spt_point *point) {
    const spt_ceilings *ceilings = spt_ceilings_get(device->isa);
    const double n = (double)workload->problem.n, nnz = (double)workload->pattern.nnz;
    const double k = (double)workload->pattern.n_cols, m = (double)workload->pattern.n_rows;
    const double cb = spt_point_value(axes, point, AXIS_CB), block = cb == 0.0 || cb > k ? k : cb;
    const double n_blocks = block > 0.0 ? (k + block - 1.0) / block : 1.0;
    const double visits = m * n_blocks < nnz ? m * n_blocks : nnz;
    const double y_ns = spt_read_ns(ceilings, device, 4.0 * nnz * n, 4.0 * block * n);
    const double x_ns = spt_read_ns(ceilings, device, 4.0 * visits * n, 4.0 * m * n);
    const double fma_ns = 2.0 * nnz * n / ceilings->fma_gflops;
    return ((y_ns > fma_ns ? y_ns : fma_ns) + x_ns) / workload->problem.threads;
}

static void default_point(const spt_workload *workload, const spt_device *device, spt_point *out) {
    *out = (spt_point){{[AXIS_CB] = 4}};
    double best_ns = bound_ns(workload, device, out);
    for (uint16_t cb = 0; cb < 4; cb++) {
        const spt_point point = {{[AXIS_CB] = cb}};
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
    spt_free(state->run_start);
    spt_free(state->columns);
    spt_free(state->row_start);
    spt_free(state);
    prepared->state = NULL;
}

/* A mask has no values that count. */
static spt_status set_values(spt_prepared *prepared, const void *values) {
    (void)prepared;
    (void)values;
    return SPT_OK;
}

static spt_status prepare(spt_prepared *prepared, const spt_csr *a) {
    const int64_t cb = spt_point_value(axes, &prepared->point, AXIS_CB), m = a->n_rows, nnz = spt_csr_nnz(a);
    const int64_t block = cb == 0 || cb > a->n_cols ? (a->n_cols > 0 ? a->n_cols : 1) : cb;
    tile_state *state;
    spt_status status = SPT_OK;
    SPT_TRY(SPT_NEW_ZEROED(state, 1));
    prepared->state = state;
    *state = (tile_state){.m = m, .k = a->n_cols, .nnz = nnz, .n_blocks = (a->n_cols + block - 1) / block};
    SPT_TRY_TO(done, SPT_NEW(state->run_start, (state->n_blocks + 1) * m));
    SPT_TRY_TO(done, SPT_NEW(state->columns, nnz));
    SPT_TRY_TO(done, SPT_NEW(state->row_start, m + 1));
    memcpy(state->row_start, a->row_offsets, (size_t)(m + 1) * sizeof *state->row_start);
    if (nnz > 0)
        memcpy(state->columns, a->columns, (size_t)nnz * sizeof *state->columns);
    for (int64_t row = 0; row < m; row++)
        state->run_start[row] = a->row_offsets[row];
    for (int64_t i = 0; i < state->n_blocks; i++) {
        const int64_t *start = state->run_start + i * m;
        for (int64_t row = 0; row < m; row++) {
            int64_t nz = start[row];
            while (nz < a->row_offsets[row + 1] && a->columns[nz] < (i + 1) * block)
                nz++;
            state->run_start[(i + 1) * m + row] = nz;
        }
    }
    prepared->packed_bytes = (size_t)((state->n_blocks + 2) * m + 1) * 8 + (size_t)nnz * 4;
done:
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
    const spt_range rows = spt_rows_of_part(state->row_start, state->m, part, n_parts);
    if (rows.begin < rows.end)
        tile_run_f32_for(prepared->device.isa)(state, call, prepared->workload.problem.layout, rows);
    return SPT_OK;
}

const spt_family spt_family_sddmm_csr_tile = {
    .name = "sddmm_csr_tile",
    .summary = "sampled dense-dense product in blocks of columns, lanes summed many dot products at a time",
    .op = SPT_SDDMM,
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

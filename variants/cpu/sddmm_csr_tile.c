/* SPDX-License-Identifier: Apache-2.0 */
/* sddmm_csr_tile: s[nz] = x[row, :] . y[column, :], four nonzeros of a row at a time: a vector of X is loaded once for
 * all four, and one tree of shuffles adds up their lanes. Nonzeros go by in blocks of columns, so that the rows of Y
 * that a block reads stay in L1 or L2. Bound: 5 loads for 4 multiply-adds, and some 13 vector instructions per four
 * sums. Layout nk: both operands are transposed into the workspace first, which costs n (m + k) against n nnz. */
#include <string.h>

#include "core/memory.h"
#include "variants/bound.h"
#include "variants/cpu/simd.h"
#include "variants/family.h"
#include "variants/isa.h"
#include "variants/parts.h"

enum { AXIS_CB, N_AXES };
enum { T_MAX = 8, QUAD = 4 }; /* vectors of a row that are unrolled; nonzeros that are computed together */

/* One to four neighbours in a row of the mask. */
typedef struct tile_quad {
    int32_t row, nz, count; /* nz: the first of them, as A counts */
    int32_t columns[QUAD];  /* the last one repeated up to four */
} tile_quad;

typedef struct tile_state {
    int64_t m, k, n_quads, n_blocks;
    tile_quad *quads; /* block by block, each row by row */
} tile_state;

/* Operands with the inner dimension contiguous. */
typedef struct tile_operands {
    const float *x, *y;
    int64_t ldx, ldy, n;
    float *s;
} tile_operands;

/* The four sums of a quad over t vectors, the last one perhaps partial; t < 0: over n elements. */
SPT_INLINE void tile_dots(spt_vec sum[QUAD], const tile_quad *quad, const tile_operands *operands, spt_mask mask,
                          const int t, const bool is_masked) {
    const float *x = operands->x + quad->row * operands->ldx, *y[QUAD];
#pragma GCC unroll 4
    for (int i = 0; i < QUAD; i++) {
        y[i] = operands->y + quad->columns[i] * operands->ldy;
        sum[i] = vec_zero();
    }
    const int n_vectors = t >= 0 ? t : (int)((operands->n + SPT_LANES - 1) / SPT_LANES);
#pragma GCC unroll 8
    for (int v = 0; v < n_vectors; v++) {
        const bool is_partial = is_masked && v == n_vectors - 1;
        const spt_vec part = vec_load_part(x + v * SPT_LANES, is_partial, mask);
#pragma GCC unroll 4
        for (int i = 0; i < QUAD; i++)
            sum[i] = vec_fma(part, vec_load_part(y[i] + v * SPT_LANES, is_partial, mask), sum[i]);
    }
}

SPT_INLINE void tile_range(const tile_state *state, const tile_operands *operands, spt_range range, const int t,
                           const bool is_masked) {
    const spt_mask mask = vec_first((int)((operands->n - 1) % SPT_LANES + 1));
    for (int64_t q = range.begin; q < range.end; q++) {
        const tile_quad *quad = &state->quads[q];
        spt_vec sum[QUAD];
        tile_dots(sum, quad, operands, mask, t, is_masked);
        vec_store_sums4(operands->s + quad->nz, quad->count, sum);
    }
}

typedef void tile_instance(const tile_state *state, const tile_operands *operands, spt_range range);

static void tile_range_long(const tile_state *state, const tile_operands *operands, spt_range range) {
    tile_range(state, operands, range, -1, false);
}
static void tile_range_long_masked(const tile_state *state, const tile_operands *operands, spt_range range) {
    tile_range(state, operands, range, -1, true);
}

#define TILE_WIDTHS(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8)
#define TILE_DEFINE(t)                                                                                                 \
    static void tile_range_##t(const tile_state *state, const tile_operands *operands, spt_range range) {              \
        tile_range(state, operands, range, t, false);                                                                  \
    }                                                                                                                  \
    static void tile_range_##t##_masked(const tile_state *state, const tile_operands *operands, spt_range range) {     \
        tile_range(state, operands, range, t, true);                                                                   \
    }
#define TILE_ROW(t) {tile_range_##t, tile_range_##t##_masked},
TILE_WIDTHS(TILE_DEFINE)
static tile_instance *const tile_instances[T_MAX + 1][2] = {
    TILE_WIDTHS(TILE_ROW){tile_range_long, tile_range_long_masked}};

typedef void tile_run_part(const tile_state *state, const spt_call *call, spt_layout layout, spt_range range);
extern tile_run_part SPT_ISA_NAME(tile_run_f32);
void SPT_ISA_NAME(tile_run_f32)(const tile_state *state, const spt_call *call, spt_layout layout, spt_range range) {
    tile_operands operands = {call->x, call->y, call->ldx, call->ldy, call->n, call->s};
    const int64_t n_vectors = (call->n + SPT_LANES - 1) / SPT_LANES;
    if (layout == SPT_NK) {
        float *x = call->workspace, *y = x + state->m * call->n;
        const bool has_rows = state->n_blocks == 1; /* then a range of quads is a range of rows */
        const int64_t first = has_rows ? state->quads[range.begin].row : 0;
        const int64_t end = has_rows ? state->quads[range.end - 1].row + 1 : state->m;
        vec_transpose_any(x + first * call->n, call->n, operands.x + first, call->ldx, call->n, end - first);
        vec_transpose_any(y, call->n, operands.y, call->ldy, call->n, state->k);
        operands.x = x;
        operands.y = y;
        operands.ldx = operands.ldy = call->n;
    }
    const int64_t width = n_vectors <= T_MAX ? n_vectors - 1 : T_MAX;
    tile_instances[width][call->n % SPT_LANES != 0](state, &operands, range);
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
    return (cb == 0 || cb < workload->pattern.n_cols) && workload->pattern.nnz < INT32_MAX;
}

/* Adding up the lanes of four sums and storing them; measured in L1. */
#define QUAD_NS 3.2

static double bound_ns(const spt_workload *workload, const spt_device *device, const spt_point *point) {
    const spt_ceilings *ceilings = spt_ceilings_get(device->isa);
    const double lanes = spt_isa_lanes(device->isa);
    const double n = (double)workload->problem.n, nnz = (double)workload->pattern.nnz;
    const double k = (double)workload->pattern.n_cols, m = (double)workload->pattern.n_rows;
    const double cb = spt_point_value(axes, point, AXIS_CB), block = cb == 0.0 || cb > k ? k : cb;
    const double n_blocks = block > 0.0 ? (k + block - 1.0) / block : 1.0;
    const double runs = m * n_blocks < nnz ? m * n_blocks : nnz;
    const double quads = (nnz + 0.5 * (QUAD - 1) * runs) / QUAD;
    const double load_ns = quads * (QUAD + 1) * n / lanes / ceilings->vector_loads_per_ns;
    const double fma_ns = 2.0 * QUAD * quads * n / ceilings->fma_gflops;
    const double y_ns = spt_fill_ns(ceilings, device, 4.0 * nnz * n, 4.0 * block * n);
    return ((load_ns > fma_ns ? load_ns : fma_ns) + y_ns + quads * QUAD_NS) / workload->problem.threads;
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
    spt_free(state->quads);
    spt_free(state);
    prepared->state = NULL;
}

/* Cut the nonzeros [begin, end) of one row into quads; with quads NULL they are only counted. */
static int64_t cut_run(tile_quad *quads, const spt_csr *a, int64_t row, int64_t begin, int64_t end) {
    for (int64_t nz = begin; quads != NULL && nz < end; nz += QUAD, quads++) {
        const int64_t count = end - nz < QUAD ? end - nz : QUAD;
        *quads = (tile_quad){.row = (int32_t)row, .nz = (int32_t)nz, .count = (int32_t)count};
        for (int64_t i = 0; i < QUAD; i++)
            quads->columns[i] = a->columns[nz + (i < count ? i : count - 1)];
    }
    return (end - begin + QUAD - 1) / QUAD;
}

/* Cut the mask into quads, block by block and row by row; next: m, where each row goes on. Returns how many they are.
 */
static int64_t cut_mask(tile_quad *quads, const tile_state *state, const spt_csr *a, int64_t block, int64_t *next) {
    int64_t n_quads = 0;
    memcpy(next, a->row_offsets, (size_t)state->m * sizeof *next);
    for (int64_t i = 0; i < state->n_blocks; i++) {
        for (int64_t row = 0; row < state->m; row++) {
            const int64_t begin = next[row];
            while (next[row] < a->row_offsets[row + 1] && a->columns[next[row]] < (i + 1) * block)
                next[row]++;
            n_quads += cut_run(quads != NULL ? quads + n_quads : NULL, a, row, begin, next[row]);
        }
    }
    return n_quads;
}

static spt_status prepare(spt_prepared *prepared, const spt_csr *a) {
    const int64_t cb = spt_point_value(axes, &prepared->point, AXIS_CB), m = a->n_rows;
    const int64_t block = cb == 0 || cb > a->n_cols ? (a->n_cols > 0 ? a->n_cols : 1) : cb;
    tile_state *state;
    int64_t *next = NULL;
    spt_status status = SPT_OK;
    SPT_TRY(SPT_NEW_ZEROED(state, 1));
    prepared->state = state;
    *state = (tile_state){.m = m, .k = a->n_cols, .n_blocks = (a->n_cols + block - 1) / block};
    SPT_TRY_TO(done, SPT_NEW(next, m));
    state->n_quads = cut_mask(NULL, state, a, block, next);
    SPT_TRY_TO(done, SPT_NEW(state->quads, state->n_quads));
    cut_mask(state->quads, state, a, block, next);
    prepared->packed_bytes = (size_t)state->n_quads * sizeof *state->quads;
done:
    spt_free(next);
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
    const spt_range range = spt_part_of(state->n_quads, part, n_parts);
    if (range.begin < range.end)
        tile_run_f32_for(prepared->device.isa)(state, call, prepared->workload.problem.layout, range);
    return SPT_OK;
}

const spt_family spt_family_sddmm_csr_tile = {
    .name = "sddmm_csr_tile",
    .summary = "sampled dense-dense product in blocks of columns, four nonzeros of a row at a time",
    .op = SPT_SDDMM,
    .device = SPT_CPU,
    .dtypes = SPT_DTYPE_BIT(SPT_F32),
    .axes = axes,
    .n_axes = N_AXES,
    .revision = 2,
    .is_valid = is_valid,
    .default_point = default_point,
    .bound_ns = bound_ns,
    .prepare = prepare,
    .workspace = workspace,
    .run_part = run_part,
    .release = release,
};

#endif

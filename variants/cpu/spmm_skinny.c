/* SPDX-License-Identifier: Apache-2.0 */
/* spmm_skinny: A streams past a few columns of B (n = 1 to 8). A vector holds as many rows of A as it has lanes; a step
 * takes one nonzero of each, looks its element of B up, and multiplies: no sum across lanes. Rows are sorted by length
 * in windows, so that a slice's rows end together; after SELL-C-sigma (Kreutzer et al., SIAM J. Sci. Comput. 36, 2014).
 *
 * Look-up: `gather` with 16-bit columns (6 bytes per nonzero), or `permute`: a step stays inside 32 columns, whose
 * elements of B are two registers, and keeps 8-bit columns (5 bytes, more padding, ten times the rate of gathers), or
 * `permute64`: four steps stay inside 64 columns (less padding and fewer loads, two permutations). */
#include <string.h>

#include "core/memory.h"
#include "variants/bound.h"
#include "variants/cpu/simd.h"
#include "variants/cpu/spmm_skinny_pack.h"
#include "variants/cpu/transpose.h"
#include "variants/family.h"
#include "variants/isa.h"
#include "variants/operation.h"
#include "variants/parts.h"

enum { N_MAX = 8, N_LONG = 4 };                    /* columns of a pass; with long tables, which stay in registers */
enum { GATHER, PERMUTE, PERMUTE_LONG, N_LOOKUPS }; /* values of the axis lookup */

/* Where the columns of B that a pass computes lie: x[j] is column j, contiguous, with a table's width readable. */
typedef struct skinny_pass {
    const float *x;
    int64_t ldx;
    int64_t j; /* the pass's first column of B and C */
    const float *bias;
    bool has_relu, is_nk;
    float *c;
    int64_t ldc;
} skinny_pass;

/* Step i of a group of SKINNY_STEPS, for one column: a lane's value times the element of x that its column names.
 * table: of a long one, the vectors of x. */
SPT_INLINE spt_vec skinny_add(const skinny_state *state, spt_vec sum, const float *x, const spt_vec *table,
                              int64_t group, const int i, const int lookup) {
    const int64_t step = group * SKINNY_STEPS + i;
    const spt_vec value = vec_load(state->values + step * SPT_LANES);
#if SPT_HAS_LOOKUP
    const uint32_t *words = state->words + group * SPT_LANES;
    if (lookup == PERMUTE_LONG)
        return vec_fma(value, vec_lookup_long(table, words, i), sum);
    if (lookup == PERMUTE)
        return vec_fma(value, vec_lookup(x + (size_t)state->table[step] * SKINNY_BASE, words, i), sum);
#else
    (void)lookup;
    (void)table;
#endif
    return vec_fma(value, vec_gather(x, state->columns + step * SPT_LANES), sum);
}

/* The sums of one slice go to its rows. */
SPT_INLINE void skinny_store(const skinny_state *state, const skinny_pass *pass, int64_t slice, const spt_vec *sum,
                             const int n) {
    float lanes[N_MAX][SPT_LANES] __attribute__((aligned(64)));
    for (int j = 0; j < n; j++)
        vec_store(lanes[j], pass->has_relu && pass->bias == NULL ? vec_relu(sum[j]) : sum[j]);
    for (int lane = 0; lane < SPT_LANES; lane++) {
        const int64_t row = state->rows[slice * SPT_LANES + lane];
        if (row < 0)
            continue;
        for (int j = 0; j < n; j++) {
            float result = lanes[j][lane];
            if (pass->bias != NULL) {
                result += pass->bias[row];
                result = pass->has_relu && result < 0.0f ? 0.0f : result;
            }
            pass->c[pass->is_nk ? (pass->j + j) * pass->ldc + row : row * pass->ldc + pass->j + j] = result;
        }
    }
}

/* With few columns the sums are kept several times: one chain of multiply-adds would wait for its own latency. */
SPT_INLINE void skinny_slices(const skinny_state *state, const skinny_pass *pass, spt_range slices, const int n,
                              const int lookup) {
    const int n_chains = n == 1 ? 4 : n <= 4 ? 2 : 1;
    for (int64_t slice = slices.begin; slice < slices.end; slice++) {
        spt_vec sum[SKINNY_STEPS][N_MAX];
#pragma GCC unroll 4
        for (int chain = 0; chain < n_chains; chain++) {
#pragma GCC unroll 8
            for (int j = 0; j < n; j++)
                sum[chain][j] = vec_zero();
        }
        for (int64_t group = state->slice_start[slice] / SKINNY_STEPS;
             group < state->slice_start[slice + 1] / SKINNY_STEPS; group++) {
            spt_vec table[N_MAX][SKINNY_TABLE_LONG / SPT_LANES];
#pragma GCC unroll 8
            for (int j = 0; j < n && lookup == PERMUTE_LONG; j++) {
#pragma GCC unroll 4
                for (int v = 0; v < SKINNY_TABLE_LONG / SPT_LANES; v++)
                    table[j][v] =
                        vec_load(pass->x + j * pass->ldx + (size_t)state->table[group] * SKINNY_BASE + v * SPT_LANES);
            }
#pragma GCC unroll 4
            for (int i = 0; i < SKINNY_STEPS; i++) {
#pragma GCC unroll 8
                for (int j = 0; j < n; j++)
                    sum[i % n_chains][j] =
                        skinny_add(state, sum[i % n_chains][j], pass->x + j * pass->ldx, table[j], group, i, lookup);
            }
        }
#pragma GCC unroll 4
        for (int chain = 1; chain < n_chains; chain++) {
#pragma GCC unroll 8
            for (int j = 0; j < n; j++)
                sum[0][j] = vec_add(sum[0][j], sum[chain][j]);
        }
        skinny_store(state, pass, slice, sum[0], n);
    }
}

typedef void skinny_instance(const skinny_state *state, const skinny_pass *pass, spt_range slices);
#define SKINNY_WIDTHS(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8)
#define SKINNY_DEFINE_AS(name, n, lookup)                                                                              \
    static void skinny_##name##_##n(const skinny_state *state, const skinny_pass *pass, spt_range slices) {            \
        skinny_slices(state, pass, slices, n, lookup);                                                                 \
    }
#define SKINNY_DEFINE(n) SKINNY_DEFINE_AS(gather, n, GATHER) SKINNY_DEFINE_AS(permute, n, PERMUTE)
#define SKINNY_GATHER(n) skinny_gather_##n,
#define SKINNY_PERMUTE(n) skinny_permute_##n,
SKINNY_WIDTHS(SKINNY_DEFINE)
SKINNY_DEFINE_AS(long, 1, PERMUTE_LONG)
SKINNY_DEFINE_AS(long, 2, PERMUTE_LONG)
SKINNY_DEFINE_AS(long, 3, PERMUTE_LONG)
SKINNY_DEFINE_AS(long, 4, PERMUTE_LONG)
static skinny_instance *const skinny_instances[N_LOOKUPS][N_MAX] = {
    {SKINNY_WIDTHS(SKINNY_GATHER)},
    {SKINNY_WIDTHS(SKINNY_PERMUTE)},
    {skinny_long_1, skinny_long_2, skinny_long_3, skinny_long_4}};

/* The lookup that A was packed for, and the columns that a pass of it has at most. */
SPT_INLINE int skinny_lookup(const skinny_state *state) {
    return state->table_width == 0 ? GATHER : state->table_width == SKINNY_TABLE_SHORT ? PERMUTE : PERMUTE_LONG;
}

/* Columns [j, j + n) of B, each contiguous, zeros behind the last element up to a whole table. */
SPT_INLINE void skinny_bring(float *x, int64_t ldx, const spt_call *call, bool is_nk, int64_t k, int64_t j, int64_t n) {
    const float *b = call->b;
    if (is_nk) {
        for (int64_t column = 0; column < n; column++)
            memcpy(x + column * ldx, b + (j + column) * call->ldb, (size_t)k * sizeof *x);
    } else if (n == 1) {
        for (int64_t row = 0; row < k; row++)
            x[row] = b[row * call->ldb + j];
    } else {
        SPT_ISA_NAME(transpose_any_f32)(x, ldx, b + j, call->ldb, k, n);
    }
    for (int64_t column = 0; column < n; column++)
        memset(x + column * ldx + k, 0, (size_t)(ldx - k) * sizeof *x);
}

typedef void skinny_run(const skinny_state *state, const spt_call *call, const spt_problem *problem, spt_range slices);
extern skinny_run SPT_ISA_NAME(skinny_run_f32);
void SPT_ISA_NAME(skinny_run_f32)(const skinny_state *state, const spt_call *call, const spt_problem *problem,
                                  spt_range slices) {
    const bool is_nk = problem->layout == SPT_NK;
    skinny_pass pass = {.x = call->workspace,
                        .ldx = skinny_ldx(state->k),
                        .bias = call->bias,
                        .has_relu = spt_epilogue_get(problem->epilogue)->activation == SPT_RELU,
                        .is_nk = is_nk,
                        .c = call->c,
                        .ldc = call->ldc};
    const int lookup = skinny_lookup(state);
    const int64_t n_max = lookup == PERMUTE_LONG ? N_LONG : N_MAX;
    for (pass.j = 0; pass.j < call->n; pass.j += n_max) {
        const int64_t n = call->n - pass.j < n_max ? call->n - pass.j : n_max;
        skinny_bring(call->workspace, pass.ldx, call, is_nk, state->k, pass.j, n);
        skinny_instances[lookup][n - 1](state, &pass, slices);
    }
}

#if SPT_EMIT_DESCRIPTOR

SPT_ISA_TABLE(skinny_run, skinny_run_f32)

enum { AXIS_LOOKUP, AXIS_WINDOW, N_AXES };
static const spt_axis_value lookup_values[] = {{GATHER, "gather"}, {PERMUTE, "permute"}, {PERMUTE_LONG, "permute64"}};
static const spt_axis_value window_values[] = {{1, NULL}, {256, NULL}, {4096, NULL}};
static const spt_axis axes[N_AXES] = {
    [AXIS_LOOKUP] = {"lookup", "how a lane finds its element of B", lookup_values, 3},
    [AXIS_WINDOW] = {"window", "rows that are sorted by length together", window_values, 3},
};

static bool is_valid(const spt_workload *workload, const spt_device *device, const spt_point *point) {
    const int32_t lookup = spt_point_value(axes, point, AXIS_LOOKUP);
    const int32_t window = spt_point_value(axes, point, AXIS_WINDOW);
    return workload->problem.n <= (lookup == PERMUTE_LONG ? N_LONG : N_MAX) && workload->pattern.n_cols <= 65536 &&
           workload->pattern.nnz < INT32_MAX / 64 && (lookup == GATHER || device->isa == SPT_ISA_AVX512) &&
           (window == 1 || window < 16 * workload->pattern.n_rows);
}

static double bound_ns(const spt_workload *workload, const spt_device *device, const spt_point *point) {
    const spt_ceilings *ceilings = spt_ceilings_get(device);
    const double nnz = (double)workload->pattern.nnz, n = (double)workload->problem.n;
    const bool permutes = spt_point_value(axes, point, AXIS_LOOKUP) != GATHER;
    const double bytes = nnz * (permutes ? 5.0 : 6.0), lookups_per_ns = permutes ? 16.0 : 4.0;
    const double a_ns = spt_read_ns(ceilings, device, bytes, bytes), work_ns = nnz * n / lookups_per_ns;
    return (a_ns > work_ns ? a_ns : work_ns) / workload->problem.threads;
}

static void default_point(const spt_workload *workload, const spt_device *device, spt_point *out) {
    const double cells = (double)workload->pattern.n_rows * (double)workload->pattern.n_cols;
    const bool is_long = workload->problem.n <= N_LONG;
    const bool is_dense_enough = (double)workload->pattern.nnz > (is_long ? 0.01 : 0.04) * cells; /* for its tables */
    const bool permutes = device->isa == SPT_ISA_AVX512 && is_dense_enough;
    *out = (spt_point){{[AXIS_LOOKUP] = !permutes ? GATHER
                                        : is_long ? PERMUTE_LONG
                                                  : PERMUTE,
                        [AXIS_WINDOW] = workload->pattern.n_rows > 16}};
}

static void release(spt_prepared *prepared) {
    spt_skinny_state_free(prepared->state);
    prepared->state = NULL;
}

static spt_status set_values(spt_prepared *prepared, const void *values) {
    spt_skinny_set_values(prepared->state, values);
    return SPT_OK;
}

static const int table_widths[N_LOOKUPS] = {0, SKINNY_TABLE_SHORT, SKINNY_TABLE_LONG};

static spt_status prepare(spt_prepared *prepared, const spt_csr *a) {
    const skinny_shape shape = {.lanes = spt_isa_lanes(prepared->device.isa),
                                .window = spt_point_value(axes, &prepared->point, AXIS_WINDOW),
                                .table_width = table_widths[spt_point_value(axes, &prepared->point, AXIS_LOOKUP)]};
    skinny_state *state;
    SPT_TRY(spt_skinny_state_new(&state, &prepared->packed_bytes, a, &shape));
    prepared->state = state;
    return set_values(prepared, a->values);
}

static size_t workspace(const spt_prepared *prepared, int64_t n) {
    const skinny_state *state = prepared->state;
    return (size_t)(skinny_ldx(state->k) * (n < N_MAX ? n : N_MAX)) * sizeof(float);
}

static spt_status run_part(const spt_prepared *prepared, const spt_call *call, int part, int n_parts) {
    const skinny_state *state = prepared->state;
    skinny_run_f32_for(prepared->device.isa)(state, call, &prepared->workload.problem,
                                             spt_rows_of_part(state->slice_start, state->n_slices, part, n_parts));
    return SPT_OK;
}

const spt_family spt_family_spmm_skinny = {
    .name = "spmm_skinny",
    .summary = "rows in lanes, one nonzero of each per step, for n up to 8 (after SELL-C-sigma, Kreutzer et al. 2014)",
    .op = SPT_SPMM,
    .device = SPT_CPU,
    .dtypes = SPT_DTYPE_BIT(SPT_F32),
    .axes = axes,
    .n_axes = N_AXES,
    .revision = 2,
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

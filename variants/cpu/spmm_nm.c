/* SPDX-License-Identifier: Apache-2.0 */
/* spmm_nm: 2:4 patterns, at most two nonzeros in every aligned group of four columns (after Mishra et al.,
 * "Accelerating Sparse Deep Neural Networks", arXiv 2104.08378, 2021). A group is two values and one byte with both
 * columns inside it, so A is 4.5 bytes per value and has no row lengths: every row is the same straight loop. A group
 * with fewer nonzeros holds zeros, which are multiplied.
 *
 *   byte of a group: bits 0-1 the first value's column, bits 2-3 the second's */
#include <string.h>

#include "core/memory.h"
#include "variants/bound.h"
#include "variants/cpu/simd.h"
#include "variants/cpu/strip.h"
#include "variants/cpu/sums.h"
#include "variants/family.h"
#include "variants/isa.h"

enum { AXIS_T, AXIS_KB, AXIS_PACK, N_AXES };
enum { N = 2, M = 4, T_MAX = 8 };

typedef struct nm_state {
    strip_plan strips;
    int64_t m, nnz, n_groups; /* groups of M columns per row */
    int64_t slice_groups;     /* of one slice of K */
    int64_t *row_start;       /* m + 1 */
    uint8_t *columns;         /* m x n_groups */
    float *values;            /* m x n_groups x N */
    int64_t *place;           /* nnz: where each value of CSR order goes */
} nm_state;

/* sum[0..t) += the groups of one row; b is the first group's first row of B. Two chains where t is small. */
SPT_INLINE void nm_groups(spt_vec *sum, const uint8_t *columns, const float *values, int64_t n_groups, const float *b,
                          int64_t ldb, const int t) {
    spt_vec other[T_MAX];
#pragma GCC unroll 8
    for (int v = 0; v < t; v++)
        other[v] = vec_zero();
    for (int64_t group = 0; group < n_groups; group++, b += M * ldb) {
        const unsigned both = columns[group];
        const float *first = b + (both & 3) * ldb, *second = b + (both >> 2) * ldb;
        const spt_vec x = vec_set1(values[N * group]), y = vec_set1(values[N * group + 1]);
#pragma GCC unroll 8
        for (int v = 0; v < t; v++) {
            sum[v] = vec_fma(x, vec_load(first + v * SPT_LANES), sum[v]);
            other[v] = vec_fma(y, vec_load(second + v * SPT_LANES), other[v]);
        }
    }
#pragma GCC unroll 8
    for (int v = 0; v < t; v++)
        sum[v] = vec_add(sum[v], other[v]);
}

SPT_INLINE void nm_rows(const nm_state *state, const strip_view *strip, spt_range rows, const int t) {
    const int64_t first = strip->slice * state->slice_groups;
    const int64_t n_groups = strip_min(state->slice_groups, state->n_groups - first);
    const bool is_last = first + n_groups == state->n_groups;
    for (int64_t row = rows.begin; row < rows.end; row++) {
        float *c = strip->c + (row - strip->first_row) * strip->ldc;
        const int64_t group = row * state->n_groups + first;
        spt_vec sum[T_MAX];
        sums_load(sum, strip, row, c, first == 0, t);
        nm_groups(sum, state->columns + group, state->values + N * group, n_groups, strip->b, strip->ldb, t);
        sums_store(sum, strip, c, is_last, t);
    }
}

typedef void nm_instance(const nm_state *state, const strip_view *strip, spt_range rows);
#define NM_WIDTHS(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8)
#define NM_DEFINE(t)                                                                                                   \
    static void nm_rows_##t(const nm_state *state, const strip_view *strip, spt_range rows) {                          \
        nm_rows(state, strip, rows, t);                                                                                \
    }
#define NM_ROW(t) nm_rows_##t,
NM_WIDTHS(NM_DEFINE)
static nm_instance *const nm_instances[T_MAX] = {NM_WIDTHS(NM_ROW)};

static void nm_strip(const void *context, const strip_view *strip, spt_range rows) {
    nm_instances[strip->n_vectors - 1](context, strip, rows);
}

typedef void nm_run(const nm_state *state, const spt_call *call, const spt_problem *problem, strip_part part);
extern nm_run SPT_ISA_NAME(nm_run_f32);
void SPT_ISA_NAME(nm_run_f32)(const nm_state *state, const spt_call *call, const spt_problem *problem,
                              strip_part part) {
    strip_run(&state->strips, state, nm_strip, call, problem, part);
}

#if SPT_EMIT_DESCRIPTOR

SPT_ISA_TABLE(nm_run, nm_run_f32)

static const spt_axis_value t_values[] = {{1, NULL}, {2, NULL}, {4, NULL}, {6, NULL}, {8, NULL}};
static const spt_axis_value kb_values[] = {{64, NULL}, {128, NULL}, {256, NULL}, {0, "all"}};
static const spt_axis_value pack_values[] = {
    {STRIP_PACK_NONE, "none"}, {STRIP_PACK_COPY, "copy"}, {STRIP_PACK_TRANSPOSE, "transpose"}};
static const spt_axis axes[N_AXES] = {
    [AXIS_T] = {"t", "vectors of C that a row keeps in registers", t_values, 5},
    [AXIS_KB] = {"kb", "columns of A, rows of B, in one slice", kb_values, 4},
    [AXIS_PACK] = {"pack", "how a strip of B is brought into contiguous memory", pack_values, 3},
};

/* Whole groups only: the last one would read behind B where k is no multiple of four. */
static bool is_valid(const spt_workload *workload, const spt_device *device, const spt_point *point) {
    const int32_t kb = spt_point_value(axes, point, AXIS_KB), t = spt_point_value(axes, point, AXIS_T);
    const int32_t pack = spt_point_value(axes, point, AXIS_PACK);
    const spt_pattern *pattern = &workload->pattern;
    const bool is_pack_legal = (workload->problem.layout == SPT_NK) == (pack == STRIP_PACK_TRANSPOSE);
    const bool is_pattern = pattern->n_cols % M == 0 && pattern->features.keep_2of4 == 1.0 && pattern->nnz > 0;
    const bool fits_registers = t <= (device->isa == SPT_ISA_AVX512 ? 8 : 6);
    const bool is_t_used =
        t == 1 || (int64_t)t * spt_isa_lanes(device->isa) < workload->problem.n + spt_isa_lanes(device->isa);
    return is_pack_legal && is_pattern && fits_registers && is_t_used && (kb == 0 || kb < pattern->n_cols);
}

static double bound_ns(const spt_workload *workload, const spt_device *device, const spt_point *point) {
    const spt_ceilings *ceilings = spt_ceilings_get(device);
    const double lanes = spt_isa_lanes(device->isa), t = spt_point_value(axes, point, AXIS_T);
    const double m = (double)workload->pattern.n_rows, k = (double)workload->pattern.n_cols;
    const double n = (double)workload->problem.n, slots = m * k / M * N;
    const double kb = spt_point_value(axes, point, AXIS_KB), block = kb == 0.0 || kb > k ? k : kb;
    const double vectors = (n + lanes - 1.0) / lanes, strips = (vectors + t - 1.0) / t;
    const bool is_packed = spt_point_value(axes, point, AXIS_PACK) != STRIP_PACK_NONE;
    const spt_rows_apart apart = spt_rows_apart_of(is_packed, workload->problem.n, lanes, t * lanes);
    const double b_vectors = slots * vectors * (1.0 + apart.splits);
    const double load_ns = (b_vectors + 1.5 * slots * strips) / ceilings->vector_loads_per_ns;
    const double fma_ns = 2.0 * slots * vectors * lanes / ceilings->fma_gflops;
    const double b_ns =
        spt_read_ns(ceilings, device, b_vectors * lanes * 4.0, block * t * lanes * 4.0 / apart.l1_share);
    const double c_ns =
        spt_fill_ns(ceilings, device, 8.0 * m * n * k / (block > 0.0 ? block : 1.0), 4.0 * m * t * lanes);
    double ns = load_ns > fma_ns ? load_ns : fma_ns;
    ns = (ns > b_ns ? ns : b_ns) + c_ns;
    if (is_packed)
        ns += spt_pack_ns(ceilings, device, 4.0 * k * n, 4.0 * k * n);
    return ns / workload->problem.threads;
}

static void default_point(const spt_workload *workload, const spt_device *device, spt_point *out) {
    const uint32_t tried[N_AXES] = {[AXIS_T] = SPT_TRY_ALL, [AXIS_KB] = SPT_TRY_ALL, [AXIS_PACK] = SPT_TRY_ALL};
    spt_family_least_bound(out, &spt_family_spmm_nm, tried, workload, device);
}

static void release(spt_prepared *prepared) {
    nm_state *state = prepared->state;
    if (state == NULL)
        return;
    spt_free(state->row_start);
    spt_free(state->columns);
    spt_free(state->values);
    spt_free(state->place);
    spt_free(state);
    prepared->state = NULL;
}

static spt_status set_values(spt_prepared *prepared, const void *values) {
    const nm_state *state = prepared->state;
    for (int64_t nz = 0; nz < state->nnz; nz++)
        state->values[state->place[nz]] = ((const float *)values)[nz];
    return SPT_OK;
}

/* Slot 0 or 1 of its group for every nonzero, and the group's byte. */
static void fill_groups(nm_state *state, const spt_csr *a) {
    for (int64_t row = 0; row < state->m; row++) {
        int64_t last_group = -1;
        int slot = 0;
        for (int64_t nz = a->row_offsets[row]; nz < a->row_offsets[row + 1]; nz++) {
            const int64_t group = row * state->n_groups + a->columns[nz] / M;
            slot = group == last_group ? slot + 1 : 0;
            last_group = group;
            state->columns[group] |= (uint8_t)(a->columns[nz] % M << (2 * slot));
            state->place[nz] = group * N + slot;
        }
    }
}

static spt_status prepare(spt_prepared *prepared, const spt_csr *a) {
    const spt_point *point = &prepared->point;
    const int64_t m = a->n_rows, nnz = spt_csr_nnz(a), kb = spt_point_value(axes, point, AXIS_KB);
    nm_state *state;
    spt_status status = SPT_OK;
    SPT_TRY(SPT_NEW_ZEROED(state, 1));
    prepared->state = state;
    *state = (nm_state){.m = m, .nnz = nnz, .n_groups = a->n_cols / M};
    state->slice_groups = kb == 0 ? state->n_groups : kb / M;
    SPT_TRY_TO(done, SPT_NEW(state->row_start, m + 1));
    SPT_TRY_TO(done, SPT_NEW_ZEROED(state->columns, m * state->n_groups));
    SPT_TRY_TO(done, SPT_NEW_ZEROED(state->values, m * state->n_groups * N));
    SPT_TRY_TO(done, SPT_NEW(state->place, nnz));
    memcpy(state->row_start, a->row_offsets, (size_t)(m + 1) * sizeof *state->row_start);
    fill_groups(state, a);
    SPT_TRY_TO(done, set_values(prepared, a->values));
    state->strips = (strip_plan){.t = spt_point_value(axes, point, AXIS_T),
                                 .pack = spt_point_value(axes, point, AXIS_PACK),
                                 .lanes = spt_isa_lanes(prepared->device.isa),
                                 .pads_tail = true,
                                 .m = m,
                                 .k = a->n_cols,
                                 .slice = kb,
                                 .group = 1,
                                 .row_align = 1,
                                 .n_before = state->row_start};
    prepared->packed_bytes = (size_t)(m * state->n_groups) * 9 + (size_t)(m + 1 + nnz) * 8;
done:
    if (status != SPT_OK)
        release(prepared);
    return status;
}

STRIP_VERBS(nm_state, nm_run_f32_for)

const spt_family spt_family_spmm_nm = {
    .name = "spmm_nm",
    .summary = "2:4 patterns, two values and one byte per group of four columns (arXiv 2104.08378)",
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

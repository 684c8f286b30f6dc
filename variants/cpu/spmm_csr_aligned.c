/* SPDX-License-Identifier: Apache-2.0 */
/* spmm_csr_aligned: where n is no multiple of a vector, most rows of B begin inside a line, and every vector read from
 * them straddles two. Here a row's nonzeros are grouped by where their rows of B begin (the phase: column mod the
 * number of phases); within a phase every load begins with its line, and the sums come out shifted by the same number
 * of lanes. One slide per phase, not per nonzero, brings them into place: the realignment that SIMD compilers make per
 * load (Eichenberger, Wu, O'Brien, PLDI 2004), moved out of the loop over nonzeros. Workload: convolutions over 14x14
 * and 7x7 images, n 196 and 49, layout kn.
 *
 * Packed A: the nonzeros ordered by (row, phase, column) as {column, value}, and where each (row, phase) begins. */
#include <string.h>

#include "core/memory.h"
#include "variants/bound.h"
#include "variants/cpu/simd.h"
#include "variants/cpu/strip.h"
#include "variants/family.h"
#include "variants/isa.h"

enum { AXIS_T, N_AXES };
enum { T_MAX = 13, PHASES_MAX = 16, TWO_CHAINS = 4 }; /* up to so many vectors, two chains of sums */

typedef struct aligned_entry {
    int32_t column;
    float value;
} aligned_entry;

typedef struct aligned_state {
    strip_plan strips;
    int n_phases;
    int64_t nnz;
    int64_t *row_start;     /* m + 1: nonzeros before each row of A, for balancing */
    int32_t *phase_start;   /* m x n_phases + 1: first entry of each (row, phase) */
    aligned_entry *entries; /* nnz */
    int32_t *place;         /* nnz: where each nonzero of the CSR order is among the entries */
} aligned_state;

/* How the rows of B of one phase lie: `shift` elements after a line's begin. Columns of the strip before and after it
 * are not read. */
typedef struct aligned_phase {
    int shift;
    spt_mask head, last, more; /* of the first vector, the last of t, and the one that some phases need after it */
} aligned_phase;

/* sum[0..n_loads) += sum over the entries of value * b[column, ...), read from line to line; sum[v] then begins `shift`
 * lanes before the strip's vector v. Few sums are kept twice: one chain would wait for its own latency. */
SPT_INLINE void aligned_run(spt_vec *sum, const strip_view *strip, const aligned_phase *phase,
                            const aligned_entry *entry, const aligned_entry *end, const int t, const int n_loads) {
    const int n_chains = n_loads <= TWO_CHAINS ? 2 : 1;
    spt_vec part[2][T_MAX + 1];
#pragma GCC unroll 16
    for (int v = 0; v < n_loads; v++)
        part[0][v] = part[1][v] = vec_zero();
    while (entry < end) {
#pragma GCC unroll 2
        for (int chain = 0; chain < n_chains && (chain == 0 || entry < end); chain++, entry++) {
            const spt_vec value = vec_set1(entry->value);
            const float *b = strip->b + (int64_t)entry->column * strip->ldb - phase->shift;
#pragma GCC unroll 16
            for (int v = 0; v < n_loads; v++) {
                const bool is_masked = v == 0 || v >= t - 1;
                const spt_mask mask = v == 0 ? phase->head : v == t ? phase->more : phase->last;
                part[chain][v] = vec_fma(value, vec_load_part(b + v * SPT_LANES, is_masked, mask), part[chain][v]);
            }
        }
    }
#pragma GCC unroll 16
    for (int v = 0; v < n_loads && n_chains == 2; v++)
        part[0][v] = vec_add(part[0][v], part[1][v]);
#pragma GCC unroll 16
    for (int v = 0; v < n_loads; v++) {
        const spt_vec next = v + 1 < n_loads ? part[0][v + 1] : vec_zero();
        sum[v] = vec_add(sum[v], vec_slide(part[0][v], next, phase->shift));
    }
}

/* c[row, 0..t) of rows of one strip; n_loads, t or t + 1, vectors hold any phase's row of B. */
SPT_INLINE void aligned_rows(const aligned_state *state, const strip_view *strip, spt_range rows,
                             const aligned_phase *phases, const int t, const int n_loads) {
    float *c = strip->c + (rows.begin - strip->first_row) * strip->ldc;
    for (int64_t row = rows.begin; row < rows.end; row++, c += strip->ldc) {
        const int32_t *start = state->phase_start + row * state->n_phases;
        spt_vec sum[T_MAX + 1];
#pragma GCC unroll 16
        for (int v = 0; v < n_loads; v++)
            sum[v] = strip->bias != NULL ? vec_set1(strip->bias[row]) : vec_zero();
#pragma GCC unroll 1
        for (int i = 0; i < state->n_phases; i++) {
            if (start[i] < start[i + 1])
                aligned_run(sum, strip, &phases[i], state->entries + start[i], state->entries + start[i + 1], t,
                            n_loads);
        }
#pragma GCC unroll 16
        for (int v = 0; v < t; v++) {
            const spt_vec result = strip->has_relu ? vec_relu(sum[v]) : sum[v];
            if (v == t - 1)
                vec_store_masked(strip->mask, c + v * SPT_LANES, result);
            else
                vec_store(c + v * SPT_LANES, result);
        }
    }
}

/* The instances: every width of a strip that fits the registers, read with and without one more load. */
typedef void aligned_instance(const aligned_state *state, const strip_view *strip, spt_range rows,
                              const aligned_phase *phases);
#if SPT_ISA == 3
#define ALIGNED_INSTANCES(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13)
#elif SPT_ISA == 2
#define ALIGNED_INSTANCES(X) X(1) X(2) X(3) X(4)
#else /* vectors of 16 bytes: only one in four straddles a line, and no point is valid */
#define ALIGNED_INSTANCES(X) X(1)
#endif
#define ALIGNED_DEFINE_ONE(name, t, n_loads)                                                                           \
    static void name(const aligned_state *state, const strip_view *strip, spt_range rows,                              \
                     const aligned_phase *phases) {                                                                    \
        aligned_rows(state, strip, rows, phases, t, n_loads);                                                          \
    }
#define ALIGNED_DEFINE(t)                                                                                              \
    ALIGNED_DEFINE_ONE(aligned_rows_##t, t, t)                                                                         \
    ALIGNED_DEFINE_ONE(aligned_rows_##t##_more, t, (t) + 1)
#define ALIGNED_ROW(t) {aligned_rows_##t, aligned_rows_##t##_more},
ALIGNED_INSTANCES(ALIGNED_DEFINE)
static aligned_instance *const aligned_instances[T_MAX][2] = {ALIGNED_INSTANCES(ALIGNED_ROW)};

/* Where each phase begins, given where B really is: a distance between its rows that the phases were not made for only
 * costs straddled lines. */
static void aligned_strip(const void *context, const strip_view *strip, spt_range rows) {
    const aligned_state *state = context;
    const bool is_foreseen = state->n_phases * strip->ldb % SPT_LANES == 0;
    aligned_phase phases[PHASES_MAX];
    int largest = 0;
    for (int i = 0; i < state->n_phases; i++) {
        const int64_t first = (int64_t)((uintptr_t)strip->b / sizeof(float) % SPT_LANES) + i * strip->ldb;
        phases[i].shift = is_foreseen ? (int)(first % SPT_LANES) : 0;
        largest = phases[i].shift > largest ? phases[i].shift : largest;
    }
    const int64_t lanes = (int64_t)strip->n_vectors * SPT_LANES;
    for (int i = 0; i < state->n_phases; i++) {
        const int64_t end = phases[i].shift + strip->width;
        phases[i].head = vec_lanes(phases[i].shift, (int)strip_min(end, SPT_LANES));
        phases[i].last = vec_first((int)strip_min(end - lanes + SPT_LANES, SPT_LANES));
        phases[i].more = vec_first((int)(end > lanes ? end - lanes : 0));
    }
    const bool has_more = largest + strip->width > lanes;
    aligned_instances[strip->n_vectors - 1][has_more](state, strip, rows, phases);
}

typedef void aligned_call(const aligned_state *state, const spt_call *call, const spt_problem *problem,
                          strip_part part);
extern aligned_call SPT_ISA_NAME(aligned_run_f32);
void SPT_ISA_NAME(aligned_run_f32)(const aligned_state *state, const spt_call *call, const spt_problem *problem,
                                   strip_part part) {
    strip_run(&state->strips, state, aligned_strip, call, problem, part);
}

#if SPT_EMIT_DESCRIPTOR

SPT_ISA_TABLE(aligned_call, aligned_run_f32)

static const spt_axis_value t_values[] = {{4, NULL}, {7, NULL}, {13, NULL}};
static const spt_axis axes[N_AXES] = {
    [AXIS_T] = {"t", "vectors of C that a row keeps in registers", t_values, 3},
};

static bool is_valid(const spt_workload *workload, const spt_device *device, const spt_point *point) {
    const int64_t n = workload->problem.n, lanes = spt_isa_lanes(device->isa);
    const int32_t t = spt_point_value(axes, point, AXIS_T);
    const bool has_phases = n > lanes && n % lanes != 0 && workload->problem.layout == SPT_KN;
    const int32_t t_max = device->isa == SPT_ISA_AVX512 ? T_MAX : device->isa == SPT_ISA_AVX2 ? 4 : 0;
    const bool is_used = t == t_values[0].value || t * lanes < n + lanes;
    return has_phases && t <= t_max && is_used && workload->pattern.nnz < INT32_MAX;
}

/* A (row, phase) costs this beside its nonzeros: its addresses, and a loop whose end is guessed wrong. */
#define VISIT_NS 7.0

static double bound_ns(const spt_workload *workload, const spt_device *device, const spt_point *point) {
    const spt_ceilings *ceilings = spt_ceilings_get(device);
    const int64_t lanes = spt_isa_lanes(device->isa);
    const double t = spt_point_value(axes, point, AXIS_T), width = (double)lanes;
    const double m = (double)workload->pattern.n_rows, k = (double)workload->pattern.n_cols;
    const double n = (double)workload->problem.n, nnz = (double)workload->pattern.nnz;
    const double strips = (n + t * width - 1.0) / (t * width), vectors = n / width + strips;
    const double visits = m * strip_phases(workload->problem.n, lanes);
    /* Loads: a row of B, one value and one column per nonzero and strip. Slides: two instructions per vector. */
    const double load_ns = nnz * (vectors + 2.0 * strips) / ceilings->vector_loads_per_ns;
    const double fma_ns = 2.0 * nnz * vectors * width / ceilings->fma_gflops;
    const double slide_ns = 2.0 * (visits < nnz ? visits : nnz) * vectors / ceilings->vector_loads_per_ns;
    const double b_ns = spt_fill_ns(ceilings, device, nnz * vectors * width * 4.0, k * n * 4.0 / strips);
    const double c_ns = spt_read_ns(ceilings, device, 4.0 * m * n, 4.0 * m * n);
    const double work_ns = load_ns > fma_ns ? load_ns : fma_ns;
    return (work_ns + slide_ns + b_ns + c_ns + (visits < nnz ? visits : nnz) * strips * VISIT_NS) /
           workload->problem.threads;
}

static void default_point(const spt_workload *workload, const spt_device *device, spt_point *out) {
    const uint32_t tried[N_AXES] = {[AXIS_T] = SPT_TRY_ALL};
    spt_family_least_bound(out, &spt_family_spmm_csr_aligned, tried, workload, device);
}

static void release(spt_prepared *prepared) {
    aligned_state *state = prepared->state;
    if (state == NULL)
        return;
    spt_free(state->row_start);
    spt_free(state->phase_start);
    spt_free(state->entries);
    spt_free(state->place);
    spt_free(state);
    prepared->state = NULL;
}

static spt_status set_values(spt_prepared *prepared, const void *values) {
    const aligned_state *state = prepared->state;
    for (int64_t i = 0; i < state->nnz; i++)
        state->entries[state->place[i]].value = ((const float *)values)[i];
    return SPT_OK;
}

/* Order each row's nonzeros by phase, keeping their order within one. */
static void fill_entries(aligned_state *state, const spt_csr *a) {
    const int64_t m = a->n_rows;
    int32_t filled = 0;
    for (int64_t row = 0; row < m; row++) {
        for (int phase = 0; phase < state->n_phases; phase++) {
            state->phase_start[row * state->n_phases + phase] = filled;
            for (int64_t i = a->row_offsets[row]; i < a->row_offsets[row + 1]; i++) {
                if (a->columns[i] % state->n_phases != phase)
                    continue;
                state->place[i] = filled;
                state->entries[filled++].column = a->columns[i];
            }
        }
    }
    state->phase_start[m * state->n_phases] = filled;
}

static spt_status prepare(spt_prepared *prepared, const spt_csr *a) {
    const int64_t nnz = spt_csr_nnz(a), m = a->n_rows;
    aligned_state *state;
    spt_status status = SPT_OK;
    SPT_TRY(SPT_NEW_ZEROED(state, 1));
    prepared->state = state;
    state->nnz = nnz;
    state->n_phases = strip_phases(prepared->workload.problem.n, spt_isa_lanes(prepared->device.isa));
    SPT_TRY_TO(failed, SPT_NEW(state->row_start, m + 1));
    SPT_TRY_TO(failed, SPT_NEW(state->phase_start, m * state->n_phases + 1));
    SPT_TRY_TO(failed, SPT_NEW(state->entries, nnz));
    SPT_TRY_TO(failed, SPT_NEW(state->place, nnz));
    memcpy(state->row_start, a->row_offsets, (size_t)(m + 1) * sizeof *state->row_start);
    state->strips = (strip_plan){.t = spt_point_value(axes, &prepared->point, AXIS_T),
                                 .pack = STRIP_PACK_NONE,
                                 .lanes = spt_isa_lanes(prepared->device.isa),
                                 .m = m,
                                 .k = a->n_cols,
                                 .group = 1,
                                 .row_align = 1,
                                 .n_before = state->row_start};
    fill_entries(state, a);
    prepared->packed_bytes = (size_t)nnz * (sizeof *state->entries + sizeof *state->place) +
                             (size_t)(m * state->n_phases + 1) * sizeof *state->phase_start +
                             (size_t)(m + 1) * sizeof *state->row_start;
    return set_values(prepared, a->values);
failed:
    release(prepared);
    return status;
}

STRIP_VERBS(aligned_state, aligned_run_f32_for)

const spt_family spt_family_spmm_csr_aligned = {
    .name = "spmm_csr_aligned",
    .summary = "CSR rows grouped by where their rows of B begin in a line, so that no load straddles two",
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

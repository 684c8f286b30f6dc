/* SPDX-License-Identifier: Apache-2.0 */
/* spmm_jit_lines: baked code (spmm_jit_x86) that reads B line by line where it lies, for n that is no multiple of a
 * vector. Rows of B whose first elements lie at the same place of a vector (the phase: column mod the number of phases)
 * make a slice of their own; the code of a slice loads whole aligned vectors, so that nothing straddles two lines and
 * nothing is packed. Sums wait in a workspace of whole lines: with each phase they move a part of a vector, so that
 * what is stored is aligned, too, and the last phase's rows go to C. What the first and the last vector of a row have
 * beyond it is read with its line, also beside B's first and last element, and summed up, but never leaves. Workload:
 * convolutions over 14x14 images, n 196, layout kn.
 *
 *   for each phase, rows of B beginning further and further left in their vectors
 *     for each slice of `kb` rows of B of that phase
 *       for each chunk of blocks of rows of C
 *         for each slot, a vector of sums    sums[chunk, slot] = or += A[chunk, slice] * B[slice, slot] */
#include <math.h>

#include "core/csr.h"
#include "variants/bound.h"
#include "variants/cpu/baked.h"
#include "variants/cpu/foreseen.h"
#include "variants/cpu/jit.h"
#include "variants/family.h"

enum { AXIS_KB, AXIS_CHUNK, AXIS_AHEAD, AXIS_ORDER, N_AXES };
/* Every phase loads and stores all sums once more: that is little beside the work of so many rows of B. */
enum { PHASES_MAX = 4, COLUMNS_MIN = 64 };

typedef struct lines_state {
    baked_matrix baked; /* of A with its columns sorted by phase, each phase filled up to whole slices */
    int n_phases;
    int phase_step;           /* from one phase to the one whose rows begin a phase's part of a vector further left */
    int64_t m, n, k;          /* planned */
    int64_t slices_per_phase; /* of at most slice_rows rows of B */
    int64_t slice_rows;
    int64_t chunk;   /* rows of C per visit, whole blocks */
    int64_t sums_ld; /* elements between rows of sums, an odd number of lines */
} lines_state;

/* Elements of the sums, whose rows begin with slot -1. */
static inline int64_t lines_sums(const lines_state *state) {
    return state->m * state->sums_ld;
}

/* Elements between the begin of a vector in memory and p. */
SPT_INLINE int64_t lines_shift(const float *p) {
    return (int64_t)((uintptr_t)p / sizeof(float) % SPT_LANES);
}

/* Where column 0 is among a row's sums while a slice is added, counted from slot 0. Each phase begins a part of a
 * vector further left, and so may need slot -1. */
SPT_INLINE int64_t lines_start(const lines_state *state, const spt_call *call, int64_t slice) {
    return lines_shift(call->b) - slice / state->slices_per_phase * (SPT_LANES / state->n_phases);
}

/* First row of B of a slice. */
SPT_INLINE const float *lines_slice_b(const lines_state *state, const spt_call *call, int64_t slice) {
    const int64_t phase = slice / state->slices_per_phase * state->phase_step % state->n_phases;
    const int64_t within = slice % state->slices_per_phase;
    return (const float *)call->b + (phase + within * state->slice_rows * state->n_phases) * call->ldb;
}

/* One chunk of rows of C with one slice of B, whose distance between rows is the planned one. */
SPT_INLINE void lines_chunk(const lines_state *state, const spt_call *call, float *sums, int64_t slice,
                            spt_range rows) {
    const int64_t start = lines_start(state, call, slice);
    const int64_t first = start < 0 ? -1 : 0, end = (start + call->n + SPT_LANES - 1) / SPT_LANES;
    const float *b = lines_slice_b(state, call, slice) - start;
    for (int64_t slot = first; slot < end; slot++) {
        const strip_view strip = {
            .b = b + slot * SPT_LANES,
            .c = sums + slot * SPT_LANES,
            .ldc = state->sums_ld,
            .next = b + (slot + 1) * SPT_LANES,
            .slice = slice,
            .place = slot - first,
            .n_places = end - first,
            .width = SPT_LANES,
            .bias = call->bias,
        };
        baked_rows(&state->baked, &strip, rows);
    }
}

/* Finished rows go to C. */
SPT_INLINE void lines_leave(const lines_state *state, const spt_call *call, const float *sums, spt_range rows) {
    const int32_t *order = state->baked.row_order;
    const int64_t start = lines_start(state, call, state->n_phases * state->slices_per_phase - 1);
    for (int64_t place = rows.begin; place < rows.end; place++) {
        const float *from = sums + place * state->sums_ld + start;
        float *to = (float *)call->c + (order != NULL ? order[place] : place) * call->ldc;
        int64_t col = 0;
        for (; col + SPT_LANES <= call->n; col += SPT_LANES)
            vec_store(to + col, vec_load(from + col));
        if (col < call->n)
            vec_store_masked(vec_first((int)(call->n - col)), to + col, vec_load(from + col));
    }
}

typedef void lines_run(const lines_state *state, const spt_call *call, spt_range rows);
extern lines_run SPT_ISA_NAME(lines_run_f32);
void SPT_ISA_NAME(lines_run_f32)(const lines_state *state, const spt_call *call, spt_range rows) {
    const int64_t n_slices = state->n_phases * state->slices_per_phase;
    float *sums = (float *)call->workspace + SPT_LANES;
    float *copied_b = (float *)call->workspace + lines_sums(state);
    int64_t done = 0;
    while (done < call->n) {
        const spt_call piece = foreseen_piece(call, done, state->n, 1, copied_b, state->k);
        done += piece.n;
        for (int64_t slice = 0; slice < n_slices; slice++) {
            for (int64_t row = rows.begin; row < rows.end; row += state->chunk) {
                const spt_range chunk = {row, strip_min(row + state->chunk, rows.end)};
                lines_chunk(state, &piece, sums, slice, chunk);
                if (slice == n_slices - 1)
                    lines_leave(state, &piece, sums, chunk);
            }
        }
    }
}

#if SPT_EMIT_DESCRIPTOR

SPT_ISA_TABLE(lines_run, lines_run_f32)

static const spt_axis_value kb_values[] = {{192, NULL}, {384, NULL}, {0, "all"}};
static const spt_axis_value chunk_values[] = {{1, NULL}, {2, NULL}, {4, NULL}, {8, NULL}, {0, "all"}};
static const spt_axis_value ahead_values[] = {{0, "none"}, {1, "next"}};
static const spt_axis_value order_values[] = {{SPT_SCHEDULE_NATURAL, "natural"}, {SPT_SCHEDULE_CLUSTERED, "clustered"}};
static const spt_axis axes[N_AXES] = {
    [AXIS_KB] = {"kb", "rows of B of one phase in one slice, at most", kb_values, 3},
    [AXIS_CHUNK] = {"chunk", "blocks whose code stays near while it runs over all vectors of columns", chunk_values, 5},
    [AXIS_AHEAD] = {"ahead",
                    "which lines of B are prefetched into L2 meanwhile: those that the next vector of columns needs",
                    ahead_values, 2},
    [AXIS_ORDER] = {"order", "which rows make a block: neighbours, or those that use the same columns", order_values,
                    2},
};

static spt_status available(const spt_device *device) {
    return jit_available("spmm_jit_lines", device);
}

static int rows_max(const spt_device *device) {
    return spt_x86_rows_max(device->isa == SPT_ISA_AVX512, 1);
}

/* Slices of each phase, and rows of B in one. */
static int64_t cut_phase(int64_t *slice_rows, int64_t k, int n_phases, int32_t kb) {
    const int64_t rows = (k + n_phases - 1) / n_phases, n_slices = kb == 0 ? 1 : (rows + kb - 1) / kb;
    *slice_rows = (rows + n_slices - 1) / n_slices;
    return n_slices;
}

static bool is_valid(const spt_workload *workload, const spt_device *device, const spt_point *point) {
    const spt_pattern *pattern = &workload->pattern;
    const int64_t n = workload->problem.n, lanes = spt_isa_lanes(device->isa), r = rows_max(device);
    const int32_t kb = spt_point_value(axes, point, AXIS_KB), chunk = spt_point_value(axes, point, AXIS_CHUNK);
    const int n_phases = strip_phases(n, lanes);
    if (workload->problem.layout != SPT_KN || n_phases == 1 || n_phases > PHASES_MAX || n <= 2 * lanes ||
        pattern->n_cols < COLUMNS_MIN)
        return false;
    const bool is_kb_distinct = kb == 0 || (int64_t)kb * n_phases < pattern->n_cols;
    const bool is_chunk_distinct = chunk == 0 || chunk * r < pattern->n_rows;
    const bool is_order_useful =
        spt_point_value(axes, point, AXIS_ORDER) == SPT_SCHEDULE_NATURAL || baked_may_cluster(workload, r);
    return is_kb_distinct && is_chunk_distinct && is_order_useful && (pattern->n_cols + n_phases) * n < INT32_MAX / 4 &&
           pattern->nnz < INT32_MAX / 64;
}

/* Loads of B and of values, multiply-adds, and sums that come and go with every slice. */
static double bound_ns(const spt_workload *workload, const spt_device *device, const spt_point *point) {
    const spt_ceilings *ceilings = spt_ceilings_get(device);
    const double lanes = spt_isa_lanes(device->isa);
    const double m = (double)workload->pattern.n_rows, k = (double)workload->pattern.n_cols;
    const double nnz = (double)workload->pattern.nnz, density = m * k > 0.0 ? nnz / (m * k) : 0.0;
    const double r = jit_rows_per_block(workload->pattern.n_rows, rows_max(device));
    const double used =
        spt_schedule_columns_used(k, density, r, (spt_schedule_order)spt_point_value(axes, point, AXIS_ORDER));
    const int n_phases = strip_phases(workload->problem.n, (int64_t)lanes);
    int64_t slice_rows;
    const double n_slices = (double)(n_phases * cut_phase(&slice_rows, workload->pattern.n_cols, n_phases,
                                                          spt_point_value(axes, point, AXIS_KB)));
    const double strips = ceil((double)workload->problem.n / lanes), n_blocks = r > 0.0 ? m / r : 0.0;
    const double fma_ns = nnz * strips * 2.0 * lanes / ceilings->fma_gflops;
    const double loads = n_blocks * used * strips + nnz * strips;
    const double chunk = spt_point_value(axes, point, AXIS_CHUNK);
    const bool is_slice_near = (double)slice_rows * lanes * 4.0 < 0.8 * (double)device->l1d_bytes;
    const double near_blocks = !is_slice_near ? 1.0 : chunk == 0.0 ? n_blocks : fmin(chunk, n_blocks);
    const double b_rows = fmin(k, n_blocks * used); /* that any block reads */
    const double b_lines = fmax(n_blocks * used / fmax(near_blocks, 1.0), b_rows) * strips * lanes * 4.0 / 64.0;
    const double c_lines = m * strips * (2.0 * n_slices - 1.0 + 3.0); /* and once to C, whose rows straddle lines */
    const double work_ns = fmax(fma_ns, loads / ceilings->vector_loads_per_ns) + b_lines * ceilings->l1_fill_ns +
                           c_lines * ceilings->c_line_ns + n_blocks * n_slices * strips * JIT_VISIT_NS;
    const double b_bytes = 4.0 * b_rows * (double)workload->problem.n, c_bytes = 4.0 * m * (double)workload->problem.n;
    return (work_ns + spt_fill_ns(ceilings, device, b_bytes + c_bytes, b_bytes + c_bytes)) / workload->problem.threads;
}

static void default_point(const spt_workload *workload, const spt_device *device, spt_point *out) {
    const uint32_t tried[N_AXES] = {
        [AXIS_KB] = SPT_TRY_ALL, [AXIS_CHUNK] = 0x10, [AXIS_AHEAD] = 0x1, [AXIS_ORDER] = 0x1};
    spt_family_least_bound(out, &spt_family_spmm_jit_lines, tried, workload, device);
}

static void release(spt_prepared *prepared) {
    lines_state *state = prepared->state;
    if (state == NULL)
        return;
    baked_fini(&state->baked);
    spt_free(state);
    prepared->state = NULL;
}

static spt_status set_values(spt_prepared *prepared, const void *values) {
    lines_state *state = prepared->state;
    baked_set_values(&state->baked, values);
    return SPT_OK;
}

/* What a column of A becomes, whose phase is number `index`: the columns of a phase one after the other, filled up to
 * whole slices. */
static int32_t sorted_column(const lines_state *state, int index, int32_t column) {
    const int64_t within = column / state->n_phases;
    return (int32_t)(index * state->slices_per_phase * state->slice_rows + within);
}

/* The pattern with its columns sorted by phase; nonzero i of it is source[i] of a. Rows stay sorted by column, as each
 * phase's nonzeros keep their order. */
static spt_status sort_columns(spt_matrix *out, int32_t *source, const lines_state *state, const spt_csr *a) {
    const int64_t n_cols = state->n_phases * state->slices_per_phase * state->slice_rows;
    int64_t filled = 0;
    SPT_TRY(spt_matrix_init(out, a->n_rows, n_cols, spt_csr_nnz(a), false));
    for (int64_t row = 0; row < a->n_rows; row++) {
        for (int index = 0; index < state->n_phases; index++) {
            for (int64_t i = a->row_offsets[row]; i < a->row_offsets[row + 1]; i++) {
                if (a->columns[i] % state->n_phases != index * state->phase_step % state->n_phases)
                    continue;
                source[filled] = (int32_t)i;
                out->columns[filled++] = sorted_column(state, index, a->columns[i]);
            }
        }
        out->row_offsets[row + 1] = filled;
    }
    return SPT_OK;
}

static spt_status bake(lines_state *state, const spt_prepared *prepared, const spt_csr *a) {
    const spt_point *point = &prepared->point;
    const int r = jit_rows_per_block(a->n_rows, rows_max(&prepared->device));
    const spt_schedule_cut cut = {.rows_per_block = r,
                                  .cols_per_slice = state->slice_rows,
                                  .row_order = (spt_schedule_order)spt_point_value(axes, point, AXIS_ORDER)};
    spt_x86_target target =
        baked_target(prepared, 1, state->n * state->n_phases * 4, spt_point_value(axes, point, AXIS_AHEAD) != 0);
    target.is_placed = true;
    target.c_stride = state->sums_ld * (int64_t)sizeof(float);
    target.is_c_certain = true;
    target.moving_slices = state->slices_per_phase;
    target.moved_bytes = spt_isa_lanes(prepared->device.isa) / state->n_phases * (int32_t)sizeof(float);
    spt_matrix sorted = {0};
    int32_t *source = NULL;
    spt_status status = SPT_OK;
    SPT_TRY_TO(done, SPT_NEW(source, spt_csr_nnz(a)));
    SPT_TRY_TO(done, sort_columns(&sorted, source, state, a));
    SPT_TRY_TO(done, baked_init(&state->baked, &sorted.view, &cut, &target));
    for (int64_t i = 0; i < state->baked.nnz; i++)
        state->baked.source[i] = source[state->baked.source[i]];
done:
    spt_matrix_fini(&sorted);
    spt_free(source);
    return status;
}

/* How rows of n columns meet vectors. */
static lines_state lines_plan(int64_t n, int lanes) {
    lines_state plan = {.n_phases = strip_phases(n, lanes), .n = n};
    while ((n * plan.phase_step + lanes / plan.n_phases) % lanes != 0)
        plan.phase_step++;
    /* slot -1, those of a row that begins at a vector's last lane, and one that sums move in from */
    const int64_t floats = (2 + (n + lanes - 1 + lanes - 1) / lanes) * lanes;
    const int64_t n_lines = (floats + SPT_LINE_FLOATS - 1) / SPT_LINE_FLOATS;
    plan.sums_ld = (n_lines | 1) * SPT_LINE_FLOATS;
    return plan;
}

static spt_status prepare(spt_prepared *prepared, const spt_csr *a) {
    const spt_point *point = &prepared->point;
    const int64_t n = prepared->workload.problem.n;
    const int32_t chunk = spt_point_value(axes, point, AXIS_CHUNK);
    lines_state *state;
    spt_status status = SPT_OK;
    SPT_TRY(SPT_NEW_ZEROED(state, 1));
    prepared->state = state;
    *state = lines_plan(n, spt_isa_lanes(prepared->device.isa));
    state->m = a->n_rows;
    state->k = a->n_cols;
    state->slices_per_phase =
        cut_phase(&state->slice_rows, a->n_cols, state->n_phases, spt_point_value(axes, point, AXIS_KB));
    SPT_TRY_TO(failed, bake(state, prepared, a));
    state->chunk = chunk == 0 ? a->n_rows : chunk * state->baked.rows_per_block;
    baked_plan_fetches(&state->baked, prepared, chunk > 0 ? chunk : state->baked.n_blocks);
    SPT_TRY_TO(failed, set_values(prepared, a->values));
    prepared->packed_bytes = baked_bytes(&state->baked, a->n_rows);
    return SPT_OK;
failed:
    release(prepared);
    return status;
}

/* Sums; and for rows of B that do not lie where they were foreseen all of it once more. */
static size_t workspace(const spt_prepared *prepared, int64_t n) {
    const lines_state *state = prepared->state;
    (void)n;
    return (size_t)(lines_sums(state) + state->k * state->n) * sizeof(float);
}

static spt_status run_part(const spt_prepared *prepared, const spt_call *call, int part, int n_parts) {
    const lines_state *state = prepared->state;
    const spt_range rows = strip_rows_of_part(state->baked.row_start, prepared->workload.pattern.n_rows,
                                              state->baked.rows_per_block, part, n_parts);
    lines_run_f32_for(prepared->device.isa)(state, call, rows);
    return SPT_OK;
}

const spt_family spt_family_spmm_jit_lines = {
    .name = "spmm_jit_lines",
    .summary = "baked x86 code that reads B by whole lines where it lies, a slice per place where its rows begin",
    .op = SPT_SPMM,
    .device = SPT_CPU,
    .dtypes = SPT_DTYPE_BIT(SPT_F32),
    .axes = axes,
    .n_axes = N_AXES,
    .revision = 2,
    .available = available,
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

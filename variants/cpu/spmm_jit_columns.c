/* SPDX-License-Identifier: Apache-2.0 */
/* spmm_jit_columns: spmm_jit_x86 on its side. Baked code keeps rows of B in registers instead of rows of C: a block of
 * columns of A loads a vector of each of its rows of B, once, and every row of C that uses one of them comes, gets its
 * multiply-adds and goes. What comes and goes are sums, a panel of m vectors that stays in L1; so B is read once, where
 * it lies, whatever its pages and wherever its rows begin in their lines. Columns that the same rows use make a block.
 * Workload: layers with few rows and many columns, 80 % sparse and more, n of a vector and more, layout kn.
 *
 *   for each group of vectors of columns of C
 *     for each block of columns of A
 *       for each vector of the group       sums[vector] += A[:, block] * B[block, vector]
 *     C[:, group] = sums */
#include <math.h>

#include "core/memory.h"
#include "variants/bound.h"
#include "variants/codegen/emit_x86_columns.h"
#include "variants/cpu/foreseen.h"
#include "variants/cpu/jit.h"
#include "variants/cpu/simd.h"
#include "variants/epilogue.h"
#include "variants/family.h"
#include "variants/isa.h"
#include "variants/parts.h"

enum { AXIS_GROUP, AXIS_AHEAD, AXIS_ORDER, N_AXES };

typedef struct columns_state {
    int64_t m, n, k; /* planned */
    int64_t nnz, n_blocks;
    int64_t group; /* vectors that a block's code runs over before the next block's */
    bool has_relu;
    spt_x86_code code;
    int64_t *block_value; /* n_blocks + 1: first value of each block */
    int32_t *source;      /* nnz: where each packed value comes from */
    float *values;        /* nnz, in the order of the code */
} columns_state;

/* First column of a vector: the last one reaches back over columns of the one before it where n is no multiple, and
 * beyond the end where there is none before it. */
SPT_INLINE int64_t columns_first(int64_t n, int64_t vector) {
    const int64_t first = vector * SPT_LANES;
    return first + SPT_LANES <= n || vector == 0 ? first : n - SPT_LANES;
}

SPT_INLINE void columns_begin(const columns_state *state, const spt_call *call, float *sums) {
    for (int64_t row = 0; row < state->m; row++)
        vec_store(sums + row * SPT_LANES, call->bias != NULL ? vec_set1(((const float *)call->bias)[row]) : vec_zero());
}

/* Sums go to C, but for columns that the vector before has brought there. */
SPT_INLINE void columns_leave(const columns_state *state, const spt_call *call, const float *sums, int64_t vector) {
    const int64_t first = columns_first(call->n, vector), last = call->n - first;
    const spt_mask mask = vec_lanes((int)(vector * SPT_LANES - first), (int)(last < SPT_LANES ? last : SPT_LANES));
    const bool is_whole = first == vector * SPT_LANES && last >= SPT_LANES;
    float *c = (float *)call->c + first;
    for (int64_t row = 0; row < state->m; row++) {
        const spt_vec sum = vec_load(sums + row * SPT_LANES), result = state->has_relu ? vec_relu(sum) : sum;
        if (is_whole)
            vec_store(c + row * call->ldc, result);
        else
            vec_store_masked(mask, c + row * call->ldc, result);
    }
}

SPT_INLINE void columns_group(const columns_state *state, const spt_call *call, float *sums, spt_range vectors) {
    const int64_t panel = state->m * SPT_LANES;
    for (int64_t v = vectors.begin; v < vectors.end; v++)
        columns_begin(state, call, sums + (v - vectors.begin) * panel);
    for (int64_t block = 0; block < state->n_blocks; block++) {
        spt_x86_columns_block *code = spt_x86_columns_at(&state->code, block);
        const float *values = state->values + state->block_value[block];
        for (int64_t v = vectors.begin; v < vectors.end; v++)
            code((const float *)call->b + columns_first(call->n, v), sums + (v - vectors.begin) * panel, values);
    }
    for (int64_t v = vectors.begin; v < vectors.end; v++)
        columns_leave(state, call, sums + (v - vectors.begin) * panel, v);
}

static inline int64_t columns_panels(const columns_state *state, int64_t lanes) {
    return state->group * state->m * lanes;
}

typedef void columns_run(const columns_state *state, const spt_call *call, int part, int n_parts);
extern columns_run SPT_ISA_NAME(columns_run_f32);
void SPT_ISA_NAME(columns_run_f32)(const columns_state *state, const spt_call *call, int part, int n_parts) {
    float *sums = call->workspace, *copied_b = sums + columns_panels(state, SPT_LANES);
    int64_t width;
    for (int64_t done = 0; done < call->n; done += width) {
        width = foreseen_width(call, done, state->n, SPT_LANES);
        const spt_range vectors = spt_part_of((width + SPT_LANES - 1) / SPT_LANES, part, n_parts);
        if (vectors.begin == vectors.end)
            continue;
        const spt_call piece = foreseen_piece(call, done, state->n, SPT_LANES, copied_b, state->k);
        for (int64_t v = vectors.begin; v < vectors.end; v += state->group) {
            const int64_t end = v + state->group < vectors.end ? v + state->group : vectors.end;
            columns_group(state, &piece, sums, (spt_range){v, end});
        }
    }
}

#if SPT_EMIT_DESCRIPTOR

SPT_ISA_TABLE(columns_run, columns_run_f32)

static const spt_axis_value group_values[] = {{1, NULL}, {2, NULL}, {4, NULL}};
static const spt_axis_value ahead_values[] = {{0, "none"}, {1, "next"}};
static const spt_axis_value order_values[] = {{SPT_SCHEDULE_NATURAL, "natural"}, {SPT_SCHEDULE_CLUSTERED, "clustered"}};
static const spt_axis axes[N_AXES] = {
    [AXIS_GROUP] = {"group", "vectors of columns that a block's code runs over before the next block", group_values, 3},
    [AXIS_AHEAD] = {"ahead", "which block's rows of B are prefetched into L1 meanwhile", ahead_values, 2},
    [AXIS_ORDER] = {"order", "which columns of A make a block: neighbours, or those that the same rows use",
                    order_values, 2},
};

static spt_status available(const spt_device *device) {
    return jit_available("spmm_jit_columns", device);
}

static int columns_max(const spt_device *device) {
    return spt_x86_columns_max(device->isa == SPT_ISA_AVX512);
}

/* Bytes of sums of a group. */
static int64_t panel_bytes(const spt_workload *workload, const spt_device *device, const spt_point *point) {
    return workload->pattern.n_rows * spt_isa_lanes(device->isa) * 4 * spt_point_value(axes, point, AXIS_GROUP);
}

/* Panels of several vectors are there for code that L1 keeps meanwhile: no use where they leave it themselves. */
static bool is_valid(const spt_workload *workload, const spt_device *device, const spt_point *point) {
    const spt_pattern *pattern = &workload->pattern;
    const int64_t n = workload->problem.n, lanes = spt_isa_lanes(device->isa);
    const int64_t l1 = device->l1d_bytes > 0 ? device->l1d_bytes : 32 << 10;
    const int64_t panels = panel_bytes(workload, device, point);
    const int32_t group = spt_point_value(axes, point, AXIS_GROUP);
    const bool has_blocks = pattern->n_cols > columns_max(device);
    const bool is_group_useful = group == 1 || (group * lanes <= n && panels <= 2 * l1);
    const bool is_ahead_useful = spt_point_value(axes, point, AXIS_AHEAD) == 0 || has_blocks;
    const bool is_order_useful =
        spt_point_value(axes, point, AXIS_ORDER) == SPT_SCHEDULE_NATURAL || (has_blocks && jit_order_matters(pattern));
    return workload->problem.layout == SPT_KN && n >= lanes && is_group_useful && is_ahead_useful && is_order_useful &&
           panels <= 8 * l1 && pattern->n_cols * n < INT32_MAX / 8 && pattern->nnz < INT32_MAX / 64;
}

/* What the mapping does, in expectation for a pattern without structure. */
typedef struct columns_work {
    double vectors, passes; /* of columns of C; groups of them */
    double n_blocks, visits;
    double b_loads; /* of one vector, twice where it straddles two lines */
    double instructions, code_bytes;
    double sum_lines; /* of one panel, in and out of the registers */
} columns_work;

static columns_work columns_work_of(const spt_workload *workload, const spt_device *device, const spt_point *point) {
    const double lanes = spt_isa_lanes(device->isa), n = (double)workload->problem.n;
    const double m = (double)workload->pattern.n_rows, nnz = (double)workload->pattern.nnz;
    const double k = fmin((double)workload->pattern.n_cols, nnz); /* a row of B that nobody reads costs nothing */
    const double density = m * k > 0.0 ? nnz / (m * k) : 0.0;
    const double columns = fmax(1.0, jit_rows_per_block((int64_t)k, columns_max(device)));
    const bool has_broadcast = device->isa != SPT_ISA_AVX512;
    columns_work work = {.vectors = ceil(n / lanes), .n_blocks = ceil(k / columns)};
    work.passes = ceil(work.vectors / spt_point_value(axes, point, AXIS_GROUP));
    work.visits =
        work.n_blocks *
        spt_schedule_columns_used(m, density, columns, (spt_schedule_order)spt_point_value(axes, point, AXIS_ORDER));
    work.b_loads = k * (1.0 + spt_rows_apart_of(false, workload->problem.n, lanes, lanes).splits);
    work.instructions = (has_broadcast ? 2.0 : 1.0) * nnz + 2.0 * work.visits + k;
    work.code_bytes = (has_broadcast ? 11.0 : 7.0) * nnz + 14.0 * work.visits + 11.0 * k + 64.0 * work.n_blocks;
    work.sum_lines = 2.0 * work.visits * lanes * 4.0 / 64.0;
    return work;
}

/* Of the way of code that flows by once per group, not hidden: from L2 and from beyond. And of B's way from beyond L2
 * where nothing asks for it in time. Measured. */
#define FLOW_SHARE 0.2
#define FAR_FLOW_SHARE 0.4
#define LATE_SHARE 0.5

/* A visit is a load, a store and its multiply-adds' loads of values; a store takes a load's place. Parts have whole
 * vectors. */
static double bound_ns(const spt_workload *workload, const spt_device *device, const spt_point *point) {
    const spt_ceilings *ceilings = spt_ceilings_get(device);
    const columns_work work = columns_work_of(workload, device, point);
    const double lanes = spt_isa_lanes(device->isa), nnz = (double)workload->pattern.nnz;
    const double m = (double)workload->pattern.n_rows, k = fmin((double)workload->pattern.n_cols, nnz);
    const double l1 = device->l1d_bytes > 0 ? (double)device->l1d_bytes : 32e3;
    const double l2 = device->l2_bytes > 0 ? (double)device->l2_bytes : 512e3;
    const double bytes = 4.0 * (m + k) * (double)workload->problem.n;
    const double bytes_ns = bytes > l2 ? spt_read_ns(ceilings, device, bytes, bytes) : 0.0;
    const double loads = nnz + 2.0 * work.visits + work.b_loads;
    double ns =
        work.vectors * fmax(fmax(nnz * 2.0 * lanes / ceilings->fma_gflops, loads / ceilings->vector_loads_per_ns),
                            work.instructions / ceilings->code_per_ns);
    ns += work.vectors * (work.n_blocks * JIT_VISIT_NS + 3.0 * m * lanes * 4.0 / 64.0 * ceilings->c_line_ns);
    if (work.code_bytes + 4.0 * nnz > l2)
        ns += FAR_FLOW_SHARE * work.passes * work.code_bytes / ceilings->code_l3_gbs;
    else if (work.code_bytes > ceilings->code_l1_bytes)
        ns += FLOW_SHARE * work.passes * work.code_bytes / ceilings->code_l2_gbs;
    if ((double)panel_bytes(workload, device, point) > 0.8 * l1)
        ns += work.vectors * work.sum_lines * ceilings->l1_fill_ns;
    if (spt_point_value(axes, point, AXIS_AHEAD) == 0)
        ns += LATE_SHARE * bytes_ns;
    return fmax(ns, bytes_ns) * ceil(work.vectors / workload->problem.threads) / work.vectors;
}

static void default_point(const spt_workload *workload, const spt_device *device, spt_point *out) {
    const uint32_t tried[N_AXES] = {[AXIS_GROUP] = SPT_TRY_ALL, [AXIS_AHEAD] = SPT_TRY_ALL, [AXIS_ORDER] = SPT_TRY_ALL};
    spt_family_least_bound(out, &spt_family_spmm_jit_columns, tried, workload, device);
}

static void release(spt_prepared *prepared) {
    columns_state *state = prepared->state;
    if (state == NULL)
        return;
    spt_x86_code_fini(&state->code);
    spt_free(state->block_value);
    spt_free(state->source);
    spt_free(state->values);
    spt_free(state);
    prepared->state = NULL;
}

static spt_status set_values(spt_prepared *prepared, const void *values) {
    columns_state *state = prepared->state;
    for (int64_t i = 0; i < state->nnz; i++)
        state->values[i] = ((const float *)values)[state->source[i]];
    return SPT_OK;
}

/* Code of a schedule of A's transpose, whose nonzero i is source[i] of A. */
static spt_status bake(columns_state *state, const spt_schedule *schedule, const int32_t *source,
                       const spt_x86_columns_target *target) {
    state->n_blocks = schedule->n_blocks;
    SPT_TRY(SPT_NEW(state->block_value, schedule->n_blocks + 1));
    for (int64_t block = 0; block <= schedule->n_blocks; block++)
        state->block_value[block] = spt_schedule_task_fma(schedule, block);
    SPT_TRY(SPT_NEW(state->source, state->nnz));
    for (int64_t i = 0; i < state->nnz; i++)
        state->source[i] = source[schedule->fma_source[i]];
    return spt_x86_columns_emit(&state->code, schedule, target);
}

/* Leave out rows without nonzeros, but for the last of a matrix that has no others: row i of the rest was kept[i]. */
static void drop_empty_rows(spt_matrix *matrix, int32_t *kept) {
    int64_t n_kept = 0;
    for (int64_t row = 0; row < matrix->view.n_rows; row++) {
        const int64_t begin = matrix->row_offsets[row], end = matrix->row_offsets[row + 1];
        if (begin == end && (n_kept > 0 || row + 1 < matrix->view.n_rows))
            continue;
        kept[n_kept++] = (int32_t)row;
        matrix->row_offsets[n_kept] = end;
    }
    matrix->view.n_rows = n_kept;
}

static spt_status schedule_and_bake(columns_state *state, const spt_prepared *prepared, const spt_csr *a) {
    spt_schedule schedule = {0};
    spt_matrix transposed = {0};
    int32_t *source = NULL, *b_row = NULL;
    spt_status status = SPT_OK;
    SPT_TRY_TO(done, SPT_NEW(source, state->nnz));
    SPT_TRY_TO(done, SPT_NEW(b_row, a->n_cols));
    SPT_TRY_TO(done, spt_matrix_transpose(&transposed, source, a));
    drop_empty_rows(&transposed, b_row);
    const spt_schedule_cut cut = {
        .rows_per_block = jit_rows_per_block(transposed.view.n_rows, columns_max(&prepared->device)),
        .row_order = (spt_schedule_order)spt_point_value(axes, &prepared->point, AXIS_ORDER),
    };
    const spt_x86_columns_target target = {
        .has_avx512 = prepared->device.isa == SPT_ISA_AVX512,
        .b_stride = state->n * (int64_t)sizeof(float),
        .b_row = b_row,
        .has_prefetch = spt_point_value(axes, &prepared->point, AXIS_AHEAD) != 0,
    };
    SPT_TRY_TO(done, spt_schedule_init(&schedule, &transposed.view, &cut));
    SPT_TRY_TO(done, bake(state, &schedule, source, &target));
done:
    spt_schedule_fini(&schedule);
    spt_matrix_fini(&transposed);
    spt_free(b_row);
    spt_free(source);
    return status;
}

static spt_status prepare(spt_prepared *prepared, const spt_csr *a) {
    columns_state *state;
    spt_status status = SPT_OK;
    SPT_TRY(SPT_NEW_ZEROED(state, 1));
    prepared->state = state;
    *state = (columns_state){
        .m = a->n_rows,
        .n = prepared->workload.problem.n,
        .k = a->n_cols,
        .nnz = spt_csr_nnz(a),
        .group = spt_point_value(axes, &prepared->point, AXIS_GROUP),
        .has_relu = spt_epilogue_get(prepared->workload.problem.epilogue)->activation == SPT_RELU,
    };
    SPT_TRY_TO(failed, schedule_and_bake(state, prepared, a));
    SPT_TRY_TO(failed, SPT_NEW(state->values, state->nnz));
    SPT_TRY_TO(failed, set_values(prepared, a->values));
    prepared->packed_bytes = state->code.pages.size_bytes +
                             (size_t)state->nnz * (sizeof *state->values + sizeof *state->source) +
                             (size_t)state->n_blocks * (sizeof *state->block_value + sizeof *state->code.entry);
    return SPT_OK;
failed:
    release(prepared);
    return status;
}

/* Sums of a group; and for rows of B that do not lie where they were foreseen all of it once more. */
static size_t workspace(const spt_prepared *prepared, int64_t n) {
    const columns_state *state = prepared->state;
    (void)n;
    return (size_t)(columns_panels(state, spt_isa_lanes(prepared->device.isa)) + state->k * state->n) * sizeof(float);
}

static spt_status run_part(const spt_prepared *prepared, const spt_call *call, int part, int n_parts) {
    columns_run_f32_for(prepared->device.isa)(prepared->state, call, part, n_parts);
    return SPT_OK;
}

const spt_family spt_family_spmm_jit_columns = {
    .name = "spmm_jit_columns",
    .summary = "baked x86 code that keeps rows of B in registers, while rows of C come and go",
    .op = SPT_SPMM,
    .device = SPT_CPU,
    .dtypes = SPT_DTYPE_BIT(SPT_F32),
    .axes = axes,
    .n_axes = N_AXES,
    .revision = 1,
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

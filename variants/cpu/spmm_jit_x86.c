/* SPDX-License-Identifier: Apache-2.0 */
/* spmm_jit_x86: the pattern as straight-line x86 code, r rows x t vectors of C in registers, one load of B for all rows
 * of the block that use it; after Wang, "SparseDNN" (arXiv 2101.07948, 2021). Ours keeps values in memory behind byte
 * displacements (7 bytes per multiply-add) and runs a block's code over a group of strips before it goes on, so that
 * code is fetched once per group and B streams from L2. Where B is packed, the first block's code loads it from where
 * it lies and stores it for the others: half as long as packing beforehand. Workload: 50 to 98 % sparse layers, n of 16
 * and more. */
#include <math.h>

#include "variants/bound.h"
#include "variants/cpu/baked.h"
#include "variants/cpu/jit.h"
#include "variants/family.h"

enum { AXIS_R, AXIS_T, AXIS_KB, AXIS_CHUNK, AXIS_GROUP, AXIS_PACK, AXIS_AHEAD, AXIS_ORDER, AXIS_TAIL, N_AXES };
enum { TAIL_MAX = 2 }; /* columns behind the last whole vector that spmm_skinny may take over */

typedef struct jit_state {
    strip_plan strips;
    baked_matrix baked;
    spt_prepared tail; /* spmm_skinny, for the columns behind the last whole vector; no family: strips hold all */
} jit_state;

typedef void jit_run(const jit_state *state, const spt_call *call, const spt_problem *problem, strip_part part);
extern jit_run SPT_ISA_NAME(jit_run_f32);
void SPT_ISA_NAME(jit_run_f32)(const jit_state *state, const spt_call *call, const spt_problem *problem,
                               strip_part part) {
    strip_run(&state->strips, &state->baked, baked_rows, call, problem, part);
}

#if SPT_EMIT_DESCRIPTOR

SPT_ISA_TABLE(jit_run, jit_run_f32)

static const spt_axis_value r_values[] = {{4, NULL},  {6, NULL},  {9, NULL}, {14, NULL},
                                          {16, NULL}, {24, NULL}, {31, NULL}};
static const spt_axis_value t_values[] = {{1, NULL}, {2, NULL}, {3, NULL}, {4, NULL}};
static const spt_axis_value kb_values[] = {{128, NULL},  {256, NULL},  {512, NULL},
                                           {1024, NULL}, {2048, NULL}, {0, "all"}};
static const spt_axis_value chunk_values[] = {{1, NULL}, {2, NULL}, {4, NULL}, {8, NULL}, {0, "all"}};
static const spt_axis_value group_values[] = {{1, NULL}, {2, NULL}, {4, NULL}, {0, "all"}};
static const spt_axis_value pack_values[] = {
    {STRIP_PACK_NONE, "none"}, {STRIP_PACK_COPY, "copy"}, {STRIP_PACK_TRANSPOSE, "transpose"}};
static const spt_axis_value ahead_values[] = {{0, "none"}, {1, "next"}};
static const spt_axis_value order_values[] = {{SPT_SCHEDULE_NATURAL, "natural"}, {SPT_SCHEDULE_CLUSTERED, "clustered"}};
static const spt_axis_value tail_values[] = {{0, "vector"}, {1, "column"}};
static const spt_axis axes[N_AXES] = {
    [AXIS_R] = {"r", "rows of C that a block keeps in registers, at most", r_values, 7},
    [AXIS_T] = {"t", "vectors of C per row of a block", t_values, 4},
    [AXIS_KB] = {"kb", "columns of A, rows of B, in one slice", kb_values, 6},
    [AXIS_CHUNK] = {"chunk", "blocks whose code stays near while it runs over a group of strips", chunk_values, 5},
    [AXIS_GROUP] = {"group", "strips that a block's code runs over before the next block", group_values, 4},
    [AXIS_PACK] = {"pack", "how a strip of B is brought into contiguous memory", pack_values, 3},
    [AXIS_AHEAD] = {"ahead", "which strip of B is prefetched into L2 meanwhile", ahead_values, 2},
    [AXIS_ORDER] = {"order", "which rows make a block: neighbours, or those that use the same columns", order_values,
                    2},
    [AXIS_TAIL] = {"tail", "how columns behind the last whole vector are computed: in one, or by spmm_skinny",
                   tail_values, 2},
};

static spt_status available(const spt_device *device) {
    return jit_available("spmm_jit_x86", device);
}

static int lanes_of(const spt_device *device) {
    return device->isa == SPT_ISA_AVX512 ? 16 : 8;
}

static int64_t tail_columns(int64_t n, const spt_device *device) {
    return n % lanes_of(device);
}

static spt_workload tail_workload(const spt_workload *workload, const spt_device *device) {
    spt_workload tail = *workload;
    tail.problem.n = tail_columns(workload->problem.n, device);
    return tail;
}

static spt_point tail_point(const spt_workload *tail, const spt_device *device) {
    spt_point point = {{0}};
    spt_family_spmm_skinny.default_point(tail, device, &point);
    return point;
}

/* Is there a tail that may cost less nonzero by nonzero than as a vector of its own? spmm_skinny multiplies zeros. */
static bool may_split_tail(const spt_workload *workload, const spt_device *device) {
    const spt_workload tail = tail_workload(workload, device);
    if (workload->problem.n < lanes_of(device) || tail.problem.n == 0 || tail.problem.n > TAIL_MAX ||
        workload->problem.layout != SPT_KN || workload->problem.may_be_nonfinite)
        return false;
    const spt_point point = tail_point(&tail, device);
    return spt_family_spmm_skinny.is_valid(&tail, device, &point);
}

/* Elements between rows of B as the code will read them. */
static int64_t code_ld(const spt_workload *workload, const spt_device *device, const spt_point *point) {
    const int64_t width = (int64_t)spt_point_value(axes, point, AXIS_T) * lanes_of(device);
    return strip_offset_ld(workload->problem.n, width, spt_point_value(axes, point, AXIS_PACK));
}

/* Elements between the rows of B from which the first block of a slice copies; 0: it does not. */
static int64_t copied_ld(const spt_workload *workload, const spt_device *device, const spt_point *point) {
    const int64_t n = workload->problem.n, width = (int64_t)spt_point_value(axes, point, AXIS_T) * lanes_of(device);
    const bool can_copy = spt_point_value(axes, point, AXIS_PACK) == STRIP_PACK_COPY && n >= width &&
                          workload->pattern.n_cols * n < INT32_MAX / 4;
    return can_copy ? n : 0;
}

/* Register files that are less than half used, and values that mean the same as `all`, are left out. */
static bool is_distinct(const spt_workload *workload, const spt_device *device, const spt_point *point) {
    const int32_t t = spt_point_value(axes, point, AXIS_T), r = spt_point_value(axes, point, AXIS_R);
    const int32_t kb = spt_point_value(axes, point, AXIS_KB), group = spt_point_value(axes, point, AXIS_GROUP);
    const int32_t chunk = spt_point_value(axes, point, AXIS_CHUNK);
    const int rows_max = spt_x86_rows_max(device->isa == SPT_ISA_AVX512, t);
    const bool is_kb_distinct = kb == 0 || (kb < workload->pattern.n_cols && kb * t >= 256 && kb * t <= 2048);
    const bool is_group_distinct = group <= 1 || (int64_t)group * t * lanes_of(device) < workload->problem.n;
    const bool is_chunk_distinct = chunk == 0 || (int64_t)chunk * r < workload->pattern.n_rows;
    const bool is_order_distinct = group != 1 || chunk == 0 || workload->problem.layout == SPT_NK;
    return r <= rows_max && 2 * r > rows_max && is_kb_distinct && is_group_distinct && is_chunk_distinct &&
           is_order_distinct;
}

static bool is_valid(const spt_workload *workload, const spt_device *device, const spt_point *point) {
    const int32_t pack = spt_point_value(axes, point, AXIS_PACK), ahead = spt_point_value(axes, point, AXIS_AHEAD);
    const bool is_pack_legal = (workload->problem.layout == SPT_NK) == (pack == STRIP_PACK_TRANSPOSE);
    const bool is_ahead_legal = pack == STRIP_PACK_NONE || ahead == 0; /* packing brings the next strip itself */
    const bool is_order_useful = spt_point_value(axes, point, AXIS_ORDER) == SPT_SCHEDULE_NATURAL ||
                                 baked_may_cluster(workload, spt_point_value(axes, point, AXIS_R));
    const bool is_tail_legal = spt_point_value(axes, point, AXIS_TAIL) == 0 || may_split_tail(workload, device);
    const int64_t b_floats = workload->pattern.n_cols * code_ld(workload, device, point);
    return is_tail_legal && is_pack_legal && is_ahead_legal && is_order_useful && b_floats < INT32_MAX / 4 &&
           workload->pattern.nnz < INT32_MAX / 64 && is_distinct(workload, device, point);
}

/* What the mapping does, in expectation for a pattern without structure. */
typedef struct jit_work {
    double vectors, strips; /* columns of C: vectors, strips of t vectors */
    double fmas, loads;     /* vector instructions over the whole product; loads include broadcasts */
    double instructions;
    double code_bytes;  /* of all tasks */
    double fills;       /* lines of B that reach L1 */
    double rows;        /* rows of a strip that do */
    double b_rows;      /* rows of B that any block reads */
    double c_lines;     /* lines of C in and out of the registers */
    double visits;      /* blocks, per slice and strip */
    double near_bytes;  /* of code that runs over a group of strips */
    double piece_bytes; /* of B that a group of strips holds */
} jit_work;

static jit_work jit_work_of(const spt_workload *workload, const spt_device *device, const spt_point *point) {
    const double lanes = lanes_of(device), t = spt_point_value(axes, point, AXIS_T);
    const double m = (double)workload->pattern.n_rows, k = (double)workload->pattern.n_cols;
    const double nnz = (double)workload->pattern.nnz, density = m * k > 0.0 ? nnz / (m * k) : 0.0;
    const double r = jit_rows_per_block(workload->pattern.n_rows, spt_point_value(axes, point, AXIS_R));
    const double kb = spt_point_value(axes, point, AXIS_KB), slice = kb == 0.0 || kb > k ? k : kb;
    const double n_blocks = r > 0.0 ? m / r : 0.0, n_slices = slice > 0.0 ? k / slice : 1.0;
    const double used =
        spt_schedule_columns_used(k, density, r, (spt_schedule_order)spt_point_value(axes, point, AXIS_ORDER));
    const double chunk = spt_point_value(axes, point, AXIS_CHUNK);
    const bool has_tail = spt_point_value(axes, point, AXIS_TAIL) != 0;
    const double columns = (double)(workload->problem.n - (has_tail ? tail_columns(workload->problem.n, device) : 0));
    jit_work work = {.vectors = ceil(columns / lanes)};
    work.strips = ceil(work.vectors / t);
    work.fmas = nnz * work.strips * t;
    const bool has_broadcast = t > 1.0 || device->isa != SPT_ISA_AVX512;
    const bool is_packed = spt_point_value(axes, point, AXIS_PACK) != STRIP_PACK_NONE;
    const spt_rows_apart apart = spt_rows_apart_of(is_packed, workload->problem.n, lanes, t * lanes);
    work.loads = n_blocks * used * work.strips * t * (1.0 + apart.splits) + nnz * work.strips;
    work.instructions = n_blocks * used * work.strips * t + nnz * work.strips + (has_broadcast ? work.fmas : 0.0);
    const double fma_bytes = device->isa == SPT_ISA_AVX512 ? (has_broadcast ? 7.0 + 6.0 * t : 7.0) : 8.0 + 5.0 * t;
    work.code_bytes = nnz * fma_bytes + n_blocks * used * t * 8.0 + n_blocks * n_slices * (r * t * 18.0 + 64.0);
    const double l1 = device->l1d_bytes > 0 ? (double)device->l1d_bytes : 32e3;
    const double strip_bytes = slice * t * lanes * 4.0, group = spt_point_value(axes, point, AXIS_GROUP);
    const double chunk_blocks = chunk == 0.0 ? n_blocks : fmin(chunk, n_blocks);
    const double near_blocks = strip_bytes < 0.8 * l1 * apart.l1_share ? chunk_blocks : 1.0;
    work.b_rows = fmin(k, n_blocks * used);
    work.rows = fmax(n_blocks * used / near_blocks, work.b_rows) * work.strips;
    work.fills = work.rows * t * lanes * 4.0 / 64.0 * (1.0 + apart.splits);
    const bool is_c_aside = workload->problem.layout == SPT_NK; /* its rows leave transposed */
    const double c_splits = spt_rows_apart_of(is_c_aside, workload->problem.n, lanes, t * lanes).splits;
    work.c_lines = m * work.strips * t * (2.0 * n_slices - 1.0) * lanes * 4.0 / 64.0 * (1.0 + c_splits);
    work.visits = n_blocks * n_slices * work.strips;
    work.near_bytes = n_blocks > 0.0 ? work.code_bytes / n_slices * chunk_blocks / n_blocks : 0.0;
    work.piece_bytes = strip_bytes * (group == 0.0 ? work.strips : fmin(group, work.strips));
    return work;
}

#define FAR_SHARE 0.2  /* of a line's way from beyond L2 that is not hidden; measured */
#define COPY_SHARE 0.5 /* of packing that the first block's multiply-adds do not hide; measured */
#define FLOW_SHARE 0.4 /* of the way from L2 of code that flows by for every strip, not hidden; measured */

/* Code is fetched once per chunk of blocks, slice and group of strips; from L1 while it runs over a group, where it
 * fits. Operands that leave L3 push it out to memory between calls. */
static double code_ns(const spt_workload *workload, const spt_device *device, const spt_ceilings *ceilings,
                      const spt_point *point, const jit_work *work) {
    const double group = spt_point_value(axes, point, AXIS_GROUP);
    const double n_groups = group == 0.0 ? 1.0 : ceil(work->strips / group);
    const double l2 = device->l2_bytes > 0 ? (double)device->l2_bytes : 512e3;
    const double far_passes = work->near_bytes < 0.6 * l2 ? n_groups : work->strips; /* all code from beyond L2 */
    const double operand_bytes =
        4.0 * (double)workload->problem.n * (double)(workload->pattern.n_rows + workload->pattern.n_cols);
    const bool is_in_memory = device->l3_bytes > 0 && operand_bytes + work->code_bytes > (double)device->l3_bytes;
    double ns = work->instructions / ceilings->code_per_ns;
    if (work->near_bytes > ceilings->code_l1_bytes)
        ns = fmax(ns, work->strips * work->code_bytes / ceilings->code_l2_gbs);
    if (work->code_bytes > 0.6 * l2)
        ns += far_passes * work->code_bytes / (is_in_memory ? ceilings->code_dram_gbs : ceilings->code_l3_gbs);
    return ns;
}

/* Code that goes round once per strip, and is not little beside L2, drives out what the strips need. */
static double code_flow_ns(const spt_device *device, const spt_ceilings *ceilings, const spt_point *point,
                           const jit_work *work) {
    const double l2 = device->l2_bytes > 0 ? (double)device->l2_bytes : 512e3;
    const double round_bytes = spt_point_value(axes, point, AXIS_GROUP) == 1 ? work->code_bytes : work->near_bytes;
    return round_bytes > 0.25 * l2 ? FLOW_SHARE * work->strips * work->code_bytes / ceilings->code_l2_gbs : 0.0;
}

static double bound_ns(const spt_workload *workload, const spt_device *device, const spt_point *point) {
    const spt_ceilings *ceilings = spt_ceilings_get(device);
    const jit_work work = jit_work_of(workload, device, point);
    const double lanes = lanes_of(device), n = (double)workload->problem.n;
    const double m = (double)workload->pattern.n_rows, k = (double)workload->pattern.n_cols;
    const double l2 = device->l2_bytes > 0 ? (double)device->l2_bytes : 512e3;
    const double fma_ns = work.fmas * 2.0 * lanes / ceilings->fma_gflops;
    const double load_ns = work.loads / ceilings->vector_loads_per_ns;
    const double b_bytes = 4.0 * work.b_rows * n, c_bytes = 4.0 * m * n, packed_bytes = 4.0 * k * n;
    const bool is_packed = spt_point_value(axes, point, AXIS_PACK) != STRIP_PACK_NONE;
    double ns = fmax(fmax(fma_ns, load_ns), code_ns(workload, device, ceilings, point, &work));
    ns += work.fills * ceilings->l1_fill_ns + work.c_lines * ceilings->c_line_ns + work.visits * JIT_VISIT_NS +
          code_flow_ns(device, ceilings, point, &work);
    if (!is_packed)
        ns += work.rows * ceilings->apart_ns;
    if (work.piece_bytes > 0.5 * l2) /* a block does not find in L2 what the last one has read */
        ns += FAR_SHARE * work.fills * 64.0 / ceilings->l3_gbs;
    if (b_bytes + c_bytes > l2) /* beyond L2 everything comes once, beside the work or after it */
        ns = fmax(ns, spt_read_ns(ceilings, device, b_bytes + 2.0 * c_bytes, b_bytes + c_bytes));
    if (is_packed)
        ns += (copied_ld(workload, device, point) != 0 ? COPY_SHARE : 1.0) *
              spt_pack_ns(ceilings, device, packed_bytes, packed_bytes + c_bytes);
    if (spt_point_value(axes, point, AXIS_TAIL) != 0) {
        const spt_workload tail = tail_workload(workload, device);
        const spt_point at = tail_point(&tail, device);
        ns += workload->problem.threads * spt_family_spmm_skinny.bound_ns(&tail, device, &at);
    }
    return ns / workload->problem.threads;
}

/* The valid point with the lowest bound, among those that differ in what the bound sees. */
static void default_point(const spt_workload *workload, const spt_device *device, spt_point *out) {
    const uint32_t tried[N_AXES] = {[AXIS_R] = SPT_TRY_ALL, [AXIS_T] = 0x3,     [AXIS_KB] = SPT_TRY_ALL,
                                    [AXIS_CHUNK] = 0x15,    [AXIS_GROUP] = 0x9, [AXIS_PACK] = SPT_TRY_ALL,
                                    [AXIS_AHEAD] = 0x1,     [AXIS_ORDER] = 0x1, [AXIS_TAIL] = SPT_TRY_ALL};
    spt_family_least_bound(out, &spt_family_spmm_jit_x86, tried, workload, device);
}

static void release(spt_prepared *prepared) {
    jit_state *state = prepared->state;
    if (state == NULL)
        return;
    baked_fini(&state->baked);
    spt_prepared_fini(&state->tail);
    spt_free(state);
    prepared->state = NULL;
}

static spt_status set_values(spt_prepared *prepared, const void *values) {
    jit_state *state = prepared->state;
    baked_set_values(&state->baked, values);
    return state->tail.family != NULL ? spt_prepared_set_values(&state->tail, values) : SPT_OK;
}

static spt_status prepare_tail(jit_state *state, const spt_prepared *prepared, const spt_csr *a) {
    if (spt_point_value(axes, &prepared->point, AXIS_TAIL) == 0)
        return SPT_OK;
    const spt_workload tail = tail_workload(&prepared->workload, &prepared->device);
    const spt_point point = tail_point(&tail, &prepared->device);
    return spt_prepared_init(&state->tail, &spt_family_spmm_skinny, &point, &tail, &prepared->device, a);
}

static spt_status prepare(spt_prepared *prepared, const spt_csr *a) {
    const spt_point *point = &prepared->point;
    const int t = spt_point_value(axes, point, AXIS_T),
              r = jit_rows_per_block(a->n_rows, spt_point_value(axes, point, AXIS_R));
    const int32_t chunk = spt_point_value(axes, point, AXIS_CHUNK);
    jit_state *state;
    spt_status status = SPT_OK;
    SPT_TRY(SPT_NEW_ZEROED(state, 1));
    prepared->state = state;
    const spt_schedule_cut cut = {.rows_per_block = r,
                                  .cols_per_slice = spt_point_value(axes, point, AXIS_KB),
                                  .row_order = (spt_schedule_order)spt_point_value(axes, point, AXIS_ORDER)};
    spt_x86_target target = baked_target(prepared, t, code_ld(&prepared->workload, &prepared->device, point) * 4,
                                         spt_point_value(axes, point, AXIS_AHEAD) != 0);
    target.copied_stride = copied_ld(&prepared->workload, &prepared->device, point) * 4;
    SPT_TRY_TO(failed, baked_init(&state->baked, a, &cut, &target));
    baked_plan_fetches(&state->baked, prepared, chunk > 0 ? chunk : state->baked.n_blocks);
    baked_set_values(&state->baked, a->values);
    SPT_TRY_TO(failed, prepare_tail(state, prepared, a));
    state->strips = (strip_plan){.t = t,
                                 .pack = spt_point_value(axes, point, AXIS_PACK),
                                 .lanes = lanes_of(&prepared->device),
                                 .pads_tail = true,
                                 .fixed_ld = target.b_stride / 4,
                                 .copied_ld = target.copied_stride / 4,
                                 .m = a->n_rows,
                                 .k = a->n_cols,
                                 .slice = spt_point_value(axes, point, AXIS_KB),
                                 .group = spt_point_value(axes, point, AXIS_GROUP),
                                 .row_chunk = r * chunk,
                                 .row_align = r,
                                 .n_before = state->baked.row_start};
    prepared->packed_bytes = baked_bytes(&state->baked, a->n_rows) + state->tail.packed_bytes;
    return SPT_OK;
failed:
    release(prepared);
    return status;
}

/* Columns of a call that its strips compute; spmm_skinny has the others. */
static int64_t strip_columns(const spt_prepared *prepared, int64_t n) {
    const jit_state *state = prepared->state;
    return state->tail.family != NULL ? n - tail_columns(n, &prepared->device) : n;
}

static size_t workspace(const spt_prepared *prepared, int64_t n) {
    const jit_state *state = prepared->state;
    const int64_t columns = strip_columns(prepared, n);
    const size_t strips = strip_workspace(&state->strips, prepared->workload.problem.layout, columns);
    const size_t tail = columns < n ? spt_family_spmm_skinny.workspace(&state->tail, n - columns) : 0;
    return strips > tail ? strips : tail;
}

static spt_status run_part(const spt_prepared *prepared, const spt_call *call, int part, int n_parts) {
    const jit_state *state = prepared->state;
    spt_call strips = *call, tail = *call;
    strips.n = strip_columns(prepared, call->n);
    tail.n = call->n - strips.n;
    tail.b = (const float *)call->b + strips.n;
    tail.c = (float *)call->c + strips.n;
    if (strips.n > 0)
        jit_run_f32_for(prepared->device.isa)(
            state, &strips, &prepared->workload.problem,
            strip_part_of(&state->strips, &prepared->device, strips.n, part, n_parts));
    return tail.n > 0 ? spt_family_spmm_skinny.run_part(&state->tail, &tail, part, n_parts) : SPT_OK;
}

const spt_family spt_family_spmm_jit_x86 = {
    .name = "spmm_jit_x86",
    .summary = "the pattern as x86 code, rows in registers share loads of B (after SparseDNN, arXiv 2101.07948)",
    .op = SPT_SPMM,
    .device = SPT_CPU,
    .dtypes = SPT_DTYPE_BIT(SPT_F32),
    .axes = axes,
    .n_axes = N_AXES,
    .revision = 7,
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

/* SPDX-License-Identifier: Apache-2.0 */
/* The host half that spmm_ptx_baked and conv3x3_ptx_baked share; see ptx_baked.h. */
#include "variants/cuda/ptx_baked.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/memory.h"
#include "core/conv.h"
#include "variants/codegen/emit_ptx.h"

enum {
    AXIS_ROWS,
    AXIS_COLUMNS,
    AXIS_THREADS,
    AXIS_GROUPS,
    AXIS_TILES,
    AXIS_AHEAD,
    AXIS_ORDER,
    AXIS_BALANCE,
    AXIS_VALUES,
    AXIS_REGION,
    AXIS_LAUNCH
};
enum { BUFFER_STREAM, BUFFER_OFFSETS, BUFFER_COLUMNS, BUFFER_VALUES };
enum { NUMBER_BLOCKS, NUMBER_SHARED, NUMBER_STRIDE };
enum { LAUNCH_ONE, LAUNCH_EACH };
enum {
    FMAS_MAX = 1 << 18, /* a text of more takes half a minute to assemble */
    LAUNCHES_MAX = 64,
    REGISTERS_MAX = 200,
    REGISTERS_OF_BLOCK_MAX = 65536, /* of a block of threads; functions do not know how many threads there are */
    GRID_Y_MAX = 65535
};

static const spt_axis_value rows_values[] = {{8, NULL}, {16, NULL}, {32, NULL}, {64, NULL}};
static const spt_axis_value columns_values[] = {{1, NULL}, {2, NULL}, {4, NULL}};
static const spt_axis_value threads_values[] = {{32, NULL}, {64, NULL}, {128, NULL}};
static const spt_axis_value groups_values[] = {{1, NULL}, {2, NULL}, {4, NULL}};
static const spt_axis_value tiles_values[] = {{1, NULL}, {2, NULL}, {4, NULL}};
static const spt_axis_value ahead_values[] = {{0, NULL}, {4, NULL}, {8, NULL}, {16, NULL}};
static const spt_axis_value order_values[] = {
    {SPT_SCHEDULE_NATURAL, "natural"}, {SPT_SCHEDULE_SORTED, "sorted"}, {SPT_SCHEDULE_CLUSTERED, "clustered"}};
static const spt_axis_value balance_values[] = {{0, "rows"}, {1, "nnz"}};
static const spt_axis_value values_values[] = {{0, "immediate"}, {1, "loaded"}};
static const spt_axis_value region_values[] = {{0, "none"}, {32, NULL}};
static const spt_axis_value launch_values[] = {{LAUNCH_ONE, "one"}, {LAUNCH_EACH, "each"}};
const spt_axis spt_ptx_baked_axes[SPT_PTX_BAKED_AXES] = {
    [AXIS_ROWS] = {"rows", "rows of a block at most; their sums stay in registers", rows_values, 4},
    [AXIS_COLUMNS] = {"columns", "columns of C of a thread", columns_values, 3},
    [AXIS_THREADS] = {"threads", "threads side by side along columns", threads_values, 3},
    [AXIS_GROUPS] = {"groups", "slices of K that groups of threads share out and add up", groups_values, 3},
    [AXIS_TILES] = {"tiles", "tiles of columns that a block of threads walks", tiles_values, 3},
    [AXIS_AHEAD] = {"ahead", "loads of B under way before the first is used", ahead_values, 4},
    [AXIS_ORDER] = {"order", "rows as they are, by length, or those together that use the same columns", order_values,
                    3},
    [AXIS_BALANCE] = {"balance", "blocks of equal rows, or of equal nonzeros", balance_values, 2},
    [AXIS_VALUES] = {"values", "weights inside of instructions, or loaded", values_values, 2},
    [AXIS_REGION] = {"region", "multiply-adds across which the assembler may move loads", region_values, 2},
    [AXIS_LAUNCH] = {"launch", "one launch for all blocks of rows, or one for each", launch_values, 2},
};

static int value_of(const spt_point *point, int axis) {
    return spt_point_value(spt_ptx_baked_axes, point, axis);
}

static int64_t tile_of(const spt_point *point) {
    return (int64_t)value_of(point, AXIS_COLUMNS) * value_of(point, AXIS_THREADS);
}

/* Columns of A in each group's slice: so many that no group is without one, or the point is not valid. */
static int64_t cols_per_group(const spt_point *point, int64_t n_cols) {
    const int groups = value_of(point, AXIS_GROUPS);
    return (n_cols + groups - 1) / groups;
}

static bool has_cols_for_all_groups(const spt_point *point, int64_t n_cols) {
    const int groups = value_of(point, AXIS_GROUPS);
    return groups == 1 || (groups - 1) * cols_per_group(point, n_cols) < n_cols;
}

static int64_t blocks_of(const spt_workload *workload, const spt_point *point) {
    return (workload->pattern.n_rows + value_of(point, AXIS_ROWS) - 1) / value_of(point, AXIS_ROWS);
}

static bool is_conv(const spt_workload *workload) {
    return workload->problem.op == SPT_CONV2D;
}

/* Rows of B and their length, both of which are in the text. */
static int64_t rows_of_b(const spt_workload *workload) {
    return is_conv(workload) ? spt_conv_of(&workload->problem, workload->pattern.n_cols).channels
                             : workload->pattern.n_cols;
}
static int64_t stride_of_b(const spt_workload *workload) {
    return is_conv(workload) ? workload->problem.height * workload->problem.width : workload->problem.n;
}

static spt_ptx_target target_of(const spt_workload *workload, const spt_point *point) {
    const spt_epilogue_row *epilogue = spt_epilogue_get(workload->problem.epilogue);
    const spt_problem *problem = &workload->problem;
    const spt_ptx_conv conv = {rows_of_b(workload), problem->height, problem->width, problem->stride};
    return (spt_ptx_target){.columns = value_of(point, AXIS_COLUMNS),
                            .threads = value_of(point, AXIS_THREADS),
                            .prefetch = value_of(point, AXIS_AHEAD),
                            .region = value_of(point, AXIS_REGION),
                            .has_tiles = value_of(point, AXIS_TILES) > 1,
                            .loads_values = value_of(point, AXIS_VALUES) != 0,
                            .is_one_launch = value_of(point, AXIS_LAUNCH) == LAUNCH_ONE,
                            .has_bias = epilogue->has_bias,
                            .has_relu = epilogue->activation == SPT_RELU,
                            .has_residual = epilogue->has_residual,
                            .b_stride = stride_of_b(workload),
                            .conv = is_conv(workload) ? conv : (spt_ptx_conv){0}};
}

bool spt_ptx_baked_is_valid(const spt_workload *workload, const spt_device *device, const spt_point *point) {
    (void)device;
    const spt_pattern *pattern = &workload->pattern;
    const int64_t n = workload->problem.n, tile = tile_of(point), groups = value_of(point, AXIS_GROUPS);
    const spt_ptx_target target = target_of(workload, point);
    const int64_t registers = spt_ptx_registers(value_of(point, AXIS_ROWS), &target);
    const int64_t shared = (groups - 1) * value_of(point, AXIS_ROWS) * tile * 4;
    const bool is_loaded = value_of(point, AXIS_VALUES) != 0, has_region = value_of(point, AXIS_REGION) != 0;
    return workload->problem.layout == SPT_KN && pattern->nnz * value_of(point, AXIS_COLUMNS) <= FMAS_MAX &&
           rows_of_b(workload) * stride_of_b(workload) * 4 < INT32_MAX &&
           blocks_of(workload, point) <= GRID_Y_MAX / 2 && registers <= REGISTERS_MAX &&
           groups * value_of(point, AXIS_THREADS) <= 512 &&
           groups * value_of(point, AXIS_THREADS) * registers <= REGISTERS_OF_BLOCK_MAX &&
           has_cols_for_all_groups(point, pattern->n_cols) && (groups == 1 || shared <= SPT_PTX_SHARED_MAX) &&
           (tile / 2 < n || tile == 32) && (value_of(point, AXIS_TILES) - 1) * tile < n && is_loaded <= has_region &&
           (value_of(point, AXIS_LAUNCH) == LAUNCH_ONE || blocks_of(workload, point) <= LAUNCHES_MAX);
}

/* One column per thread, blocks of 32 rows, groups where there would be too few blocks for the device. */
void spt_ptx_baked_default_point(const spt_workload *workload, const spt_device *device, spt_point *out) {
    *out = (spt_point){{[AXIS_ROWS] = 2, [AXIS_AHEAD] = 2}};
    out->index[AXIS_THREADS] = (uint16_t)(workload->problem.n > 32);
    out->index[AXIS_ORDER] = out->index[AXIS_BALANCE] = workload->pattern.features.row_cv > 0.3;
    const int64_t n_blocks = blocks_of(workload, out) * ((workload->problem.n + tile_of(out) - 1) / tile_of(out));
    while (out->index[AXIS_GROUPS] < 2 && (n_blocks << out->index[AXIS_GROUPS]) < device->n_sms) {
        out->index[AXIS_GROUPS]++;
        if (!spt_ptx_baked_is_valid(workload, device, out)) {
            out->index[AXIS_GROUPS]--;
            break;
        }
    }
}

/* Multiply-adds; rows of B that each block reads; the code, 20 bytes a multiply-add, once per tile. */
double spt_ptx_baked_bound_ns(const spt_workload *workload, const spt_device *device, const spt_point *point) {
    const spt_pattern *pattern = &workload->pattern;
    const double n = (double)workload->problem.n, nnz = (double)pattern->nnz, m = (double)pattern->n_rows;
    const double k = (double)pattern->n_cols, input = (double)(rows_of_b(workload) * stride_of_b(workload));
    const double used = spt_schedule_columns_used(k, pattern->features.density, value_of(point, AXIS_ROWS),
                                                  (spt_schedule_order)value_of(point, AXIS_ORDER));
    const double n_tiles = ceil(n / (double)tile_of(point)) / value_of(point, AXIS_TILES);
    const double code = 20.0 * nnz * value_of(point, AXIS_COLUMNS) * (n_tiles < 1.0 ? 1.0 : n_tiles);
    const double b_bytes = 4.0 * n * used * (double)blocks_of(workload, point), c_bytes = 4.0 * n * m;
    const double launches = value_of(point, AXIS_LAUNCH) == LAUNCH_ONE ? 1.0 : (double)blocks_of(workload, point);
    const double once = spt_cuda_bound_ns(device, 2.0 * nnz * n, false, b_bytes + c_bytes + code,
                                          4.0 * (input + n * m) + 20.0 * nnz * value_of(point, AXIS_COLUMNS));
    return once + (launches - 1.0) * spt_cuda_bound_ns(device, 0.0, false, 0.0, 0.0);
}

static spt_status make_schedule(spt_schedule *out, const spt_point *point, const spt_csr *a) {
    const spt_schedule_cut cut = {.rows_per_block = value_of(point, AXIS_ROWS),
                                  .cols_per_slice = cols_per_group(point, a->n_cols),
                                  .row_order = (spt_schedule_order)value_of(point, AXIS_ORDER),
                                  .is_balanced = value_of(point, AXIS_BALANCE) != 0};
    return spt_schedule_init(out, a, &cut);
}

/* Names of the kernels of single blocks, and last the one for other leading dimensions. */
static spt_status name_kernels(spt_cuda_source *out, int64_t n_blocks) {
    enum { NAME_BYTES = 32 };
    const size_t pointers = (size_t)(n_blocks + 1) * sizeof(char *);
    char *memory = spt_alloc(pointers + (size_t)n_blocks * NAME_BYTES, 1);
    if (memory == NULL)
        return SPT_ENOMEM;
    const char **names = (const char **)(void *)memory;
    for (int64_t block = 0; block < n_blocks; block++) {
        char *name = memory + pointers + block * NAME_BYTES;
        snprintf(name, NAME_BYTES, SPT_PTX_BLOCK "%d", (int)block);
        names[block] = name;
    }
    names[n_blocks] = SPT_PTX_ROWS;
    out->owned_kernels = memory;
    out->kernels = names;
    out->n_kernels = (int)n_blocks + 1;
    return SPT_OK;
}

void spt_ptx_baked_options(spt_cuda_source *out, int rows, const spt_ptx_target *target) {
    memcpy(out->defines[out->n_defines++], SPT_PTX_QUICK, sizeof SPT_PTX_QUICK);
    if (!target->loads_values) /* loads of values move as far up as a region lets them, and take what they need */
        snprintf(out->defines[out->n_defines++], sizeof out->defines[0], "-maxrregcount=%d",
                 spt_ptx_registers(rows, target));
}

static spt_status describe(spt_cuda_source *out, const spt_workload *workload, const spt_device *device,
                           const spt_point *point, const spt_csr *a) {
    static const char *const kernels[] = {SPT_PTX_KERNEL, SPT_PTX_ROWS};
    const spt_ptx_target target = target_of(workload, point);
    spt_schedule schedule;
    char *text = NULL;
    (void)device;
    *out = (spt_cuda_source){.language = SPT_CUDA_PTX, .kernels = kernels, .n_kernels = 2};
    if (target.is_one_launch) /* as good with less search, and sooner there (docs/GPU.md) */
        spt_ptx_baked_options(out, value_of(point, AXIS_ROWS), &target);
    SPT_TRY(make_schedule(&schedule, point, a));
    spt_status status = spt_ptx_emit(&text, &out->text_bytes, &schedule, a->values, &target);
    out->text = out->owned_text = text;
    if (status == SPT_OK && !target.is_one_launch)
        status = name_kernels(out, schedule.n_blocks);
    spt_schedule_fini(&schedule);
    return status;
}

/* A as CSR with 32-bit offsets, for the kernel that takes any leading dimension. */
static spt_status pack_rows(spt_cuda_packed *out, const spt_csr *a) {
    const int64_t nnz = spt_csr_nnz(a);
    void *offsets, *columns, *values;
    SPT_TRY(spt_cuda_packed_add(out, "offsets", (size_t)(a->n_rows + 1) * 4, &offsets));
    SPT_TRY(spt_cuda_packed_add(out, "columns", (size_t)nnz * 4, &columns));
    SPT_TRY(spt_cuda_packed_add(out, "values", (size_t)nnz * 4, &values));
    for (int64_t row = 0; row <= a->n_rows; row++)
        ((uint32_t *)offsets)[row] = (uint32_t)a->row_offsets[row];
    if (nnz > 0) {
        memcpy(columns, a->columns, (size_t)nnz * 4);
        memcpy(values, a->values, (size_t)nnz * 4);
    }
    return SPT_OK;
}

static spt_status pack(spt_cuda_packed *out, const spt_workload *workload, const spt_device *device,
                       const spt_point *point, const spt_csr *a) {
    const spt_ptx_target target = target_of(workload, point);
    spt_schedule schedule;
    void *stream;
    (void)device;
    SPT_TRY(make_schedule(&schedule, point, a));
    const size_t bytes = target.loads_values ? (size_t)spt_ptx_n_values(&schedule) * 4 : 0;
    spt_status status = spt_cuda_packed_add(out, "stream", bytes, &stream);
    if (status == SPT_OK && target.loads_values)
        spt_ptx_pack_values(stream, &schedule, a->values);
    out->numbers[NUMBER_BLOCKS] = schedule.n_blocks;
    out->numbers[NUMBER_SHARED] = spt_ptx_shared_bytes(&schedule, &target);
    out->numbers[NUMBER_STRIDE] = target.b_stride;
    spt_schedule_fini(&schedule);
    return status == SPT_OK ? pack_rows(out, a) : status;
}

static bool bakes_values(const spt_point *point) {
    return value_of(point, AXIS_VALUES) == 0;
}

static bool is_baked_call(const spt_prepared *prepared, const spt_call *call) {
    return call->ldb == spt_cuda_packed_of(prepared)->numbers[NUMBER_STRIDE];
}

static int n_launches(const spt_prepared *prepared, const spt_call *call) {
    const bool is_one = value_of(&prepared->point, AXIS_LAUNCH) == LAUNCH_ONE || !is_baked_call(prepared, call);
    return is_one ? 1 : (int)spt_cuda_packed_of(prepared)->numbers[NUMBER_BLOCKS];
}

/* From one item of a batch, which is blockIdx.z, to the next. */
static void pass_steps(spt_cuda_launch *out, const spt_call *call) {
    spt_cuda_pass_i64(out, call->step_b);
    spt_cuda_pass_i64(out, call->step_c);
    spt_cuda_pass_i64(out, call->step_residual);
}

static void launch_rows(spt_cuda_launch *out, const spt_prepared *prepared, const spt_call *call) {
    const int64_t m = prepared->workload.pattern.n_rows;
    out->kernel = value_of(&prepared->point, AXIS_LAUNCH) == LAUNCH_ONE
                      ? 1
                      : (int)spt_cuda_packed_of(prepared)->numbers[NUMBER_BLOCKS];
    out->grid[0] = (uint32_t)((call->n + SPT_PTX_ROWS_THREADS - 1) / SPT_PTX_ROWS_THREADS);
    out->grid[1] = (uint32_t)(m < GRID_Y_MAX ? m : GRID_Y_MAX);
    out->block[0] = SPT_PTX_ROWS_THREADS;
    spt_cuda_pass_operand(out, 'b');
    spt_cuda_pass_operand(out, 'c');
    spt_cuda_pass_operand(out, 'i');
    spt_cuda_pass_buffer(out, BUFFER_VALUES);
    spt_cuda_pass_buffer(out, BUFFER_OFFSETS);
    spt_cuda_pass_buffer(out, BUFFER_COLUMNS);
    spt_cuda_pass_i32(out, call->n);
    spt_cuda_pass_i32(out, call->ldb);
    spt_cuda_pass_i32(out, call->ldc);
    spt_cuda_pass_i32(out, m);
    spt_cuda_pass_operand(out, 'r');
    spt_cuda_pass_i32(out, call->ldr);
    pass_steps(out, call);
}

static spt_status launch(spt_cuda_launch *out, const spt_prepared *prepared, const spt_call *call, int index) {
    const spt_point *point = &prepared->point;
    const spt_cuda_packed *packed = spt_cuda_packed_of(prepared);
    const int64_t n_tiles = (call->n + tile_of(point) - 1) / tile_of(point), tiles = value_of(point, AXIS_TILES);
    if (call->ldb > INT32_MAX || call->ldc > INT32_MAX || call->ldr > INT32_MAX)
        return spt_fail(SPT_EUNSUPPORTED, "%s: expected leading dimensions below 2^31", prepared->family->name);
    out->block[1] = out->block[2] = 1;
    out->grid[2] = (uint32_t)(call->batch > 1 ? call->batch : 1);
    if (!is_baked_call(prepared, call)) {
        launch_rows(out, prepared, call);
        return SPT_OK;
    }
    const bool is_one = value_of(point, AXIS_LAUNCH) == LAUNCH_ONE;
    out->kernel = is_one ? 0 : index;
    out->grid[0] = (uint32_t)((n_tiles + tiles - 1) / tiles);
    out->grid[1] = is_one ? (uint32_t)packed->numbers[NUMBER_BLOCKS] : 1;
    out->block[0] = (uint32_t)value_of(point, AXIS_THREADS);
    out->block[1] = (uint32_t)value_of(point, AXIS_GROUPS);
    out->shared_bytes = (uint32_t)packed->numbers[NUMBER_SHARED];
    spt_cuda_pass_operand(out, 'b');
    spt_cuda_pass_operand(out, 'c');
    spt_cuda_pass_operand(out, 'i');
    spt_cuda_pass_buffer(out, BUFFER_STREAM);
    spt_cuda_pass_i32(out, call->n);
    spt_cuda_pass_i32(out, call->ldc);
    spt_cuda_pass_operand(out, 'r');
    spt_cuda_pass_i32(out, call->ldr);
    pass_steps(out, call);
    return SPT_OK;
}

const spt_cuda_kernel spt_ptx_baked_kernel = {.describe = describe,
                                              .pack = pack,
                                              .n_launches = n_launches,
                                              .launch = launch,
                                              .is_baked = true,
                                              .bakes_values = bakes_values};

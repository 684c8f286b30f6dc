/* SPDX-License-Identifier: Apache-2.0 */
/* PTX text of a schedule; see emit_ptx.h. Registers by name: %s sums, %b loads of B (columns of one load are
 * neighbours, loads take turns), %w values, %rb a pointer into B per column, %rc one into C, %m a column of B that
 * exists. */
#include "variants/codegen/emit_ptx.h"

#include <inttypes.h>

#include "core/memory.h"
#include "variants/codegen/emit_ptx_rows.h"
#include "variants/codegen/ptx_text.h"

enum { VALUES_PER_LOAD = 4, VALUE_LOADS_AHEAD = 2, FUNCTIONS_PER_TEXT = 4, REGISTER_STEP = 8 };

static const char header[] = ".version 6.5\n.target sm_70\n.address_size 64\n";
static const char shared_sums[] = ".extern .shared .align 16 .b8 spt_sums[];\n"; /* as large as the launch says */
static const char parameters[] = "(.param .u64 p_b, .param .u64 p_c, .param .u64 p_bias, .param .u64 p_values, "
                                 ".param .u32 p_n, .param .u32 p_ldc, .param .u64 p_residual, .param .u32 p_ldr";

typedef struct block_writer {
    ptx_text *out;
    const spt_schedule *schedule;
    const spt_ptx_target *target;
    const float *values; /* CSR order */
    int64_t block;
    int n_rows;
    int64_t tap; /* convolution: whose predicates hold; -1: none yet */
} block_writer;

int spt_ptx_registers(int rows, const spt_ptx_target *target) {
    const int per_column = rows + target->prefetch + (target->conv.channels > 0 ? 8 : 5);
    const int needed = target->columns * per_column + 28;
    return (needed + REGISTER_STEP - 1) / REGISTER_STEP * REGISTER_STEP;
}

int64_t spt_ptx_shared_bytes(const spt_schedule *schedule, const spt_ptx_target *target) {
    return (schedule->n_slices - 1) * schedule->rows_per_block * target->columns * target->threads * 4;
}

/* ---- the packed stream of values: each task begins at a multiple of a load ---- */

int64_t spt_ptx_task_value(const spt_schedule *schedule, int64_t task) {
    const int64_t with_gaps = spt_schedule_task_fma(schedule, task) + (VALUES_PER_LOAD - 1) * task;
    return with_gaps / VALUES_PER_LOAD * VALUES_PER_LOAD;
}

int64_t spt_ptx_n_values(const spt_schedule *schedule) {
    const int64_t n_tasks = schedule->n_slices * schedule->n_blocks;
    return (schedule->n_fmas + (VALUES_PER_LOAD - 1) * n_tasks) / VALUES_PER_LOAD * VALUES_PER_LOAD + VALUES_PER_LOAD;
}

void spt_ptx_pack_values(float *out, const spt_schedule *schedule, const float *values) {
    for (int64_t task = 0; task < schedule->n_slices * schedule->n_blocks; task++) {
        const int64_t first = schedule->load_start[schedule->task_start[task]];
        const int64_t end = schedule->load_start[schedule->task_start[task + 1]];
        for (int64_t fma = first; fma < end; fma++)
            out[spt_ptx_task_value(schedule, task) + fma - first] = values[schedule->fma_source[fma]];
    }
}

/* ---- one task: loads and multiply-adds ---- */

/* %v of each column: does the tap lie inside of the input? The numbers wrap around below zero. */
static void put_tap(block_writer *self, int64_t tap) {
    const spt_ptx_conv *conv = &self->target->conv;
    self->tap = tap;
    for (int j = 0; j < self->target->columns; j++)
        spt_ptx_put(self->out,
                    "add.u32 %%u, %%iy%d, %" PRIu32 ";\nsetp.lt.u32 %%v%d, %%u, %" PRId64 ";\n"
                    "add.u32 %%u, %%ix%d, %" PRIu32 ";\nsetp.lt.u32 %%q, %%u, %" PRId64 ";\n"
                    "and.pred %%v%d, %%v%d, %%q;\n",
                    j, (uint32_t)(tap / 3 - 1), j, conv->height, j, (uint32_t)(tap % 3 - 1), conv->width, j, j);
}

/* One number of each column's window; columns of A are (tap, channel), so the taps of a task rise. */
static void put_load_of_input(block_writer *self, int64_t column, int64_t slot) {
    const spt_ptx_conv *conv = &self->target->conv;
    const int64_t tap = column / conv->channels, channel = column % conv->channels;
    const int64_t place = channel * self->target->b_stride + (tap / 3 - 1) * conv->width + tap % 3 - 1;
    if (tap != self->tap)
        put_tap(self, tap);
    for (int j = 0; j < self->target->columns; j++)
        spt_ptx_put(self->out,
                    "mov.f32 %%b%" PRId64 ", 0f00000000;\n@%%v%d ld.global.nc.f32 %%b%" PRId64 ", [%%rb%d+%" PRId64
                    "];\n",
                    slot + j, j, slot + j, j, place * 4);
}

static void put_load_of_b(block_writer *self, int64_t slice, int64_t load, int64_t index) {
    const spt_ptx_target *target = self->target;
    const int64_t row = slice * self->schedule->cols_per_slice + self->schedule->load_column[load];
    const int64_t slot = index % (target->prefetch + 1) * target->columns;
    if (target->conv.channels > 0) {
        put_load_of_input(self, row, slot);
        return;
    }
    for (int j = 0; j < target->columns; j++)
        spt_ptx_put(self->out, "ld.global.nc.f32 %%b%" PRId64 ", [%%rb%d+%" PRId64 "];\n", slot + j, j,
                    row * target->b_stride * 4);
}

/* The values of multiply-adds [4 * number, 4 * number + 4) of the task. */
static void put_load_of_values(const block_writer *self, int64_t task, int64_t number, int64_t n_fmas) {
    const int64_t slot = number % (VALUE_LOADS_AHEAD + 1) * VALUES_PER_LOAD;
    if (number * VALUES_PER_LOAD < n_fmas)
        spt_ptx_put(self->out,
                    "ld.global.nc.v4.f32 {%%w%" PRId64 ", %%w%" PRId64 ", %%w%" PRId64 ", %%w%" PRId64
                    "}, [%%rv+%" PRId64 "];\n",
                    slot, slot + 1, slot + 2, slot + 3,
                    4 * (spt_ptx_task_value(self->schedule, task) + number * VALUES_PER_LOAD));
}

static void put_fma(const block_writer *self, int64_t fma, int64_t index, int64_t slot) {
    const int columns = self->target->columns, region = self->target->region;
    const int64_t sum = (int64_t)self->schedule->fma_row[fma] * columns;
    if (region > 0 && index % region == region - 1)
        spt_ptx_put(self->out, "@%%never bra DONE;\n");
    for (int j = 0; j < columns; j++) {
        spt_ptx_put(self->out, "fma.rn.f32 %%s%" PRId64 ", %%b%" PRId64 ", ", sum + j, slot + j);
        if (self->target->loads_values)
            spt_ptx_put(self->out, "%%w%" PRId64,
                        index / VALUES_PER_LOAD % (VALUE_LOADS_AHEAD + 1) * VALUES_PER_LOAD + index % VALUES_PER_LOAD);
        else
            spt_ptx_put_literal(self->out, self->values[self->schedule->fma_source[fma]]);
        spt_ptx_put(self->out, ", %%s%" PRId64 ";\n", sum + j);
    }
}

static void put_task(block_writer *self, int64_t slice) {
    const spt_schedule *schedule = self->schedule;
    const int64_t task = slice * schedule->n_blocks + self->block, ahead = self->target->prefetch;
    const int64_t first = schedule->task_start[task], n_loads = schedule->task_start[task + 1] - first;
    const int64_t first_fma = schedule->load_start[first], n_fmas = schedule->load_start[first + n_loads] - first_fma;
    self->tap = -1;
    for (int64_t i = 0; i < ahead && i < n_loads; i++)
        put_load_of_b(self, slice, first + i, i);
    for (int64_t i = 0; self->target->loads_values && i < VALUE_LOADS_AHEAD; i++)
        put_load_of_values(self, task, i, n_fmas);
    for (int64_t i = 0; i < n_loads; i++) {
        if (i + ahead < n_loads)
            put_load_of_b(self, slice, first + i + ahead, i + ahead);
        for (int64_t fma = schedule->load_start[first + i]; fma < schedule->load_start[first + i + 1]; fma++) {
            const int64_t index = fma - first_fma;
            if (self->target->loads_values && index % VALUES_PER_LOAD == 0)
                put_load_of_values(self, task, index / VALUES_PER_LOAD + VALUE_LOADS_AHEAD, n_fmas);
            put_fma(self, fma, index, i % (ahead + 1) * self->target->columns);
        }
    }
}

/* ---- one block of rows ---- */

static int n_sums(const block_writer *self) {
    return self->n_rows * self->target->columns;
}

static void put_start_of_sums(const block_writer *self, bool has_bias) {
    for (int i = 0; i < n_sums(self); i++) {
        const int row = i / self->target->columns;
        if (!has_bias)
            spt_ptx_put(self->out, "mov.f32 %%s%d, 0f00000000;\n", i);
        else if (i % self->target->columns == 0)
            spt_ptx_put(self->out, "ld.global.nc.f32 %%s%d, [%%ri+%" PRId64 "];\n", i,
                        4 * spt_schedule_row(self->schedule, self->block, row));
        else
            spt_ptx_put(self->out, "mov.f32 %%s%d, %%s%d;\n", i, row * self->target->columns);
    }
}

/* Groups beside the first hand their sums over; the first one adds them in their order. */
static void put_groups(block_writer *self) {
    const int n_groups = (int)self->schedule->n_slices;
    for (int group = 1; group < n_groups; group++)
        spt_ptx_put(self->out, "setp.eq.u32 %%q, %%g, %d;\n@%%q bra GROUP%d;\n", group, group);
    for (int group = 0; group < n_groups; group++) {
        if (group > 0)
            spt_ptx_put(self->out, "GROUP%d:\n", group);
        put_start_of_sums(self, group == 0 && self->target->has_bias);
        put_task(self, group);
        for (int i = 0; group > 0 && i < n_sums(self); i++)
            spt_ptx_put(self->out, "st.shared.f32 [%%sa+%d], %%s%d;\n",
                        ((group - 1) * n_sums(self) + i) * self->target->threads * 4, i);
        if (n_groups > 1)
            spt_ptx_put(self->out, "bra JOIN;\n");
    }
    if (n_groups == 1)
        return;
    spt_ptx_put(self->out, "JOIN:\nbar.sync 0;\nsetp.ne.u32 %%q, %%g, 0;\n@%%q bra STORED;\n");
    for (int group = 1; group < n_groups; group++) {
        for (int i = 0; i < n_sums(self); i++)
            spt_ptx_put(self->out, "ld.shared.f32 %%o, [%%sa+%d];\nadd.f32 %%s%d, %%s%d, %%o;\n",
                        ((group - 1) * n_sums(self) + i) * self->target->threads * 4, i, i);
    }
}

/* Sums of columns that exist get the residual's elements. */
static void put_residual(const block_writer *self) {
    const int columns = self->target->columns;
    spt_ptx_put(self->out, "ld.param.u64 %%rr, [p_residual];\nld.param.u32 %%ldr, [p_ldr];\n");
    if (!self->target->is_one_launch)
        spt_ptx_put_step(self->out, "rr", "residual");
    for (int i = 0; i < n_sums(self); i++)
        spt_ptx_put(self->out,
                    "mad.wide.u32 %%rx, %%c%d, 4, %%rr;\nmad.wide.u32 %%rx, %%ldr, %" PRId64 ", %%rx;\n"
                    "mov.f32 %%o, 0f00000000;\n@%%p%d ld.global.nc.f32 %%o, [%%rx];\nadd.f32 %%s%d, %%s%d, %%o;\n",
                    i % columns, 4 * spt_schedule_row(self->schedule, self->block, i / columns), i % columns, i, i);
}

static void put_stores(const block_writer *self) {
    const int columns = self->target->columns;
    for (int j = 0; j < columns; j++)
        spt_ptx_put(self->out, "setp.lt.u32 %%p%d, %%c%d, %%n;\n", j, j);
    if (self->target->has_residual)
        put_residual(self);
    for (int i = 0; self->target->has_relu && i < n_sums(self); i++)
        spt_ptx_put(self->out, "max.f32 %%s%d, %%s%d, 0f00000000;\n", i, i);
    for (int i = 0; i < n_sums(self); i++)
        spt_ptx_put(self->out, "mad.wide.u32 %%rx, %%ldc, %" PRId64 ", %%rc%d;\n@%%p%d st.global.f32 [%%rx], %%s%d;\n",
                    4 * spt_schedule_row(self->schedule, self->block, i / columns), i % columns, i % columns, i);
}

static void put_registers(const block_writer *self) {
    const int columns = self->target->columns;
    spt_ptx_put(self->out,
                ".reg .f32 %%s<%d>;\n.reg .f32 %%b<%d>;\n.reg .f32 %%w<%d>;\n.reg .f32 %%o;\n"
                ".reg .b64 %%rb<%d>;\n.reg .b64 %%rc<%d>;\n.reg .b64 %%b, %%c, %%ri, %%rv, %%rx;\n"
                ".reg .b32 %%c<%d>;\n.reg .b32 %%m<%d>;\n.reg .b32 %%n, %%ldc, %%last, %%t, %%g, %%x, %%sa;\n"
                ".reg .pred %%p<%d>;\n.reg .pred %%q;\n",
                n_sums(self), (self->target->prefetch + 1) * columns, (VALUE_LOADS_AHEAD + 1) * VALUES_PER_LOAD,
                columns, columns, columns, columns, columns);
    spt_ptx_put(self->out, "ld.param.u64 %%b, [p_b];\nld.param.u64 %%c, [p_c];\nld.param.u32 %%n, [p_n];\n"
                           "ld.param.u32 %%ldc, [p_ldc];\nmov.u32 %%t, %%tid.x;\nmov.u32 %%x, %%ctaid.x;\n"
                           "sub.u32 %%last, %%n, 1;\n");
    if (!self->target->is_one_launch) {
        spt_ptx_put_item(self->out);
        spt_ptx_put_step(self->out, "b", "b");
        spt_ptx_put_step(self->out, "c", "c");
    }
    if (self->target->region > 0)
        spt_ptx_put(self->out, ".reg .pred %%never;\nsetp.eq.u32 %%never, %%n, 0;\n");
    if (self->target->conv.channels > 0)
        spt_ptx_put(self->out, ".reg .b32 %%iy<%d>;\n.reg .b32 %%ix<%d>;\n.reg .b32 %%u;\n.reg .pred %%v<%d>;\n",
                    columns, columns, columns);
    if (self->target->has_residual)
        spt_ptx_put(self->out, ".reg .b64 %%rr;\n.reg .b32 %%ldr;\n");
    if (self->target->has_bias)
        spt_ptx_put(self->out, "ld.param.u64 %%ri, [p_bias];\n");
    if (self->target->loads_values)
        spt_ptx_put(self->out, "ld.param.u64 %%rv, [p_values];\n");
    if (self->schedule->n_slices > 1)
        spt_ptx_put(self->out, "mov.u32 %%g, %%tid.y;\nmov.u32 %%sa, spt_sums;\nmad.lo.u32 %%sa, %%t, 4, %%sa;\n");
}

/* Where the windows of output %m begin in the input: row %iy, column %ix of their middle, and %rb there. */
static void put_windows(const block_writer *self) {
    const spt_ptx_conv *conv = &self->target->conv;
    const int64_t out_width = spt_ptx_conv_out(conv->width, conv->stride);
    for (int j = 0; j < self->target->columns; j++)
        spt_ptx_put(self->out,
                    "div.u32 %%iy%d, %%m%d, %" PRId64 ";\nmad.lo.u32 %%ix%d, %%iy%d, %" PRIu32 ", %%m%d;\n"
                    "mad.lo.u32 %%iy%d, %%iy%d, %d, 0;\nmad.lo.u32 %%ix%d, %%ix%d, %d, 0;\n"
                    "mad.lo.u32 %%u, %%iy%d, %" PRId64 ", %%ix%d;\nmad.wide.u32 %%rb%d, %%u, 4, %%b;\n",
                    j, j, out_width, j, j, (uint32_t)-out_width, j, j, j, conv->stride, j, j, conv->stride, j,
                    conv->width, j, j);
}

/* The columns of this thread in tile %x, and where they are in B (the last column, where one does not exist) and C. */
static void put_columns(const block_writer *self) {
    const int columns = self->target->columns, threads = self->target->threads;
    spt_ptx_put(self->out, "mad.lo.u32 %%c0, %%x, %d, %%t;\n", columns * threads);
    for (int j = 1; j < columns; j++)
        spt_ptx_put(self->out, "add.u32 %%c%d, %%c0, %d;\n", j, j * threads);
    for (int j = 0; j < columns; j++)
        spt_ptx_put(self->out,
                    "min.u32 %%m%d, %%c%d, %%last;\nmad.wide.u32 %%rb%d, %%m%d, 4, %%b;\n"
                    "mad.wide.u32 %%rc%d, %%c%d, 4, %%c;\n",
                    j, j, j, j, j, j);
    if (self->target->conv.channels > 0)
        put_windows(self);
}

static void put_block(block_writer *self, int64_t block) {
    const spt_ptx_target *target = self->target;
    self->block = block;
    self->n_rows = spt_schedule_block_rows(self->schedule, block);
    if (!target->is_one_launch || target->region > 0 || block % FUNCTIONS_PER_TEXT == 0)
        spt_ptx_put(self->out, "%s%s", header, self->schedule->n_slices > 1 ? shared_sums : "");
    if (target->is_one_launch)
        spt_ptx_put(self->out, ".visible .func " SPT_PTX_BLOCK "%" PRId64 " %s) .noreturn\n{\n", block, parameters);
    else
        spt_ptx_put(self->out,
                    ".visible .entry " SPT_PTX_BLOCK "%" PRId64 " %s" SPT_PTX_STEPS ")\n.maxntid %d, %d, 1\n{\n", block,
                    parameters, target->threads, (int)self->schedule->n_slices);
    put_registers(self);
    if (target->has_tiles)
        spt_ptx_put(self->out, "TILE:\n");
    put_columns(self);
    put_groups(self);
    put_stores(self);
    if (self->schedule->n_slices > 1)
        spt_ptx_put(self->out, "STORED:\n");
    if (target->has_tiles && self->schedule->n_slices > 1)
        spt_ptx_put(self->out, "bar.sync 0;\n"); /* the sums are read before the next ones are written */
    if (target->has_tiles)
        spt_ptx_put(self->out,
                    "mov.u32 %%m0, %%nctaid.x;\nadd.u32 %%x, %%x, %%m0;\nmad.lo.u32 %%m0, %%x, %d, 0;\n"
                    "setp.lt.u32 %%q, %%m0, %%n;\n@%%q bra TILE;\n",
                    target->columns * target->threads);
    spt_ptx_put(self->out, "%sexit;\n}\n", target->region > 0 ? "DONE:\n" : "");
}

/* The kernel that takes every block of threads to its rows. */
static void put_table(const block_writer *self) {
    for (int64_t block = 0; block < self->schedule->n_blocks; block++)
        spt_ptx_put(self->out, ".extern .func " SPT_PTX_BLOCK "%" PRId64 " %s) .noreturn;\n", block, parameters);
    spt_ptx_put(self->out, ".global .align 8 .u64 spt_table[%" PRId64 "] = {\n", self->schedule->n_blocks);
    for (int64_t block = 0; block < self->schedule->n_blocks; block++)
        spt_ptx_put(self->out, SPT_PTX_BLOCK "%" PRId64 "%s\n", block,
                    block + 1 < self->schedule->n_blocks ? "," : "};");
    spt_ptx_put(self->out, ".visible .entry " SPT_PTX_KERNEL " %s" SPT_PTX_STEPS ")\n.maxntid %d, %d, 1\n{\n",
                parameters, self->target->threads, (int)self->schedule->n_slices);
    spt_ptx_put(self->out,
                ".reg .b64 %%b, %%c, %%bias, %%values, %%residual, %%f;\n.reg .b32 %%n, %%ldc, %%ldr, %%y;\n"
                "ld.param.u64 %%b, [p_b];\nld.param.u64 %%c, [p_c];\nld.param.u64 %%bias, [p_bias];\n"
                "ld.param.u64 %%values, [p_values];\nld.param.u32 %%n, [p_n];\nld.param.u32 %%ldc, [p_ldc];\n"
                "ld.param.u64 %%residual, [p_residual];\nld.param.u32 %%ldr, [p_ldr];\n"
                "mov.u32 %%y, %%ctaid.y;\nmov.u64 %%f, spt_table;\nmad.wide.u32 %%f, %%y, 8, %%f;\n"
                "ld.global.u64 %%f, [%%f];\n");
    spt_ptx_put_item(self->out);
    spt_ptx_put_step(self->out, "b", "b");
    spt_ptx_put_step(self->out, "c", "c");
    if (self->target->has_residual)
        spt_ptx_put_step(self->out, "residual", "residual");
    spt_ptx_put(self->out, "BLOCK: .callprototype _ (.param .u64 _, .param .u64 _, .param .u64 _, .param .u64 _, "
                           ".param .u32 _, .param .u32 _, .param .u64 _, .param .u32 _) .noreturn;\n{\n"
                           ".param .u64 a0;\n.param .u64 a1;\n.param .u64 a2;\n.param .u64 a3;\n.param .u32 a4;\n"
                           ".param .u32 a5;\n.param .u64 a6;\n.param .u32 a7;\n");
    spt_ptx_put(self->out, "st.param.u64 [a0], %%b;\nst.param.u64 [a1], %%c;\nst.param.u64 [a2], %%bias;\n"
                           "st.param.u64 [a3], %%values;\nst.param.u32 [a4], %%n;\nst.param.u32 [a5], %%ldc;\n"
                           "st.param.u64 [a6], %%residual;\nst.param.u32 [a7], %%ldr;\n"
                           "call %%f, (a0, a1, a2, a3, a4, a5, a6, a7), BLOCK;\n}\nexit;\n}\n");
}

spt_status spt_ptx_emit(char **text, size_t *text_bytes, const spt_schedule *schedule, const float *values,
                        const spt_ptx_target *target) {
    ptx_text out = {0};
    block_writer self = {.out = &out, .schedule = schedule, .target = target, .values = values};
    *text = NULL;
    *text_bytes = 0;
    const int64_t n_rows_of_b = target->conv.channels > 0 ? target->conv.channels : schedule->n_cols;
    if (n_rows_of_b * target->b_stride * 4 > INT32_MAX)
        return spt_fail(SPT_EUNSUPPORTED,
                        "expected offsets into B below 2 GiB, found %" PRId64 " x %" PRId64 " numbers", n_rows_of_b,
                        target->b_stride);
    for (int64_t block = 0; block < schedule->n_blocks; block++)
        put_block(&self, block);
    spt_ptx_put(&out, "%s", header);
    if (target->is_one_launch)
        put_table(&self);
    spt_ptx_put_rows(&out, target);
    return spt_ptx_finish(&out, text, text_bytes);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Registers: sums of row i, vector j in register i * t + j; the last ones hold B (t of them) and, where a value serves
 * several vectors or the ISA has no embedded broadcast, the value. Both streams are read through a register that moves
 * on when a displacement no longer fits a byte: 7 bytes per multiply-add and per load instead of 10. */
#include "variants/codegen/emit_x86.h"

#include <assert.h>

#include "core/memory.h"
#include "variants/codegen/x86.h"

enum {
    REG_B = X86_RDI,
    REG_C = X86_RSI,
    REG_VALUES = X86_RDX,
    REG_STRIDE = X86_RCX,
    REG_BIAS = X86_R8,
    REG_C_FIRST = X86_RAX,
    REG_C_ROW = X86_RAX,
    REG_NEXT = X86_R9,
    REG_ROWS = X86_R10,
    STACK_ROWS = 8, /* the seventh argument, behind the return address */
    VECTORS_MAX = 4 /* per strip */
};

/* Where a task leaves for the way that its rows of C take when they lie otherwise than foreseen. */
typedef struct x86_detour {
    int64_t task;
    uint8_t *from, *back; /* back: NULL where the task ends with it */
} x86_detour;

typedef struct task_writer {
    x86_writer out;
    const spt_x86_target *target;
    bool has_order;                                  /* rows of C by number, not one after the other */
    int vector_bytes, vector_bits, reg_value, reg_b; /* the first of t registers of B */
    bool is_copying;                                 /* a packing task */
    x86_cursor b, values, copy;
    x86_encoded loads[VECTORS_MAX], copies[VECTORS_MAX]; /* of a row of B, and stores to its packed place */
    x86_encoded value;                                   /* a value's broadcast, where it has a register */
    x86_encoded fmas[32]; /* each sum's multiply-add, with a value from memory where that has no register */
    int64_t next_prefetch, prefetch_step, prefetch_end; /* columns */
    x86_detour *detours;                                /* all tasks' */
    int64_t n_detours;
} task_writer;

static bool needs_value_register(bool has_avx512, int t) {
    return t > 1 || !has_avx512;
}

int spt_x86_rows_max(bool has_avx512, int t) {
    return (x86_register_count(has_avx512) - t - (needs_value_register(has_avx512, t) ? 1 : 0)) / t;
}

static x86_memory operand_at(task_writer *task, x86_cursor *cursor, int64_t place, bool is_broadcast) {
    return (x86_memory){cursor->reg, (int32_t)x86_offset_at(&task->out, cursor, place), cursor->unit_bits,
                        is_broadcast};
}

/* Store every sum of a row, or load it. */
static void emit_row_of_c(task_writer *task, x86_op op, int row, int base, int32_t offset) {
    for (int v = 0; v < task->target->t; v++)
        spt_x86_access(&task->out, op, row * task->target->t + v, 0,
                       (x86_memory){base, offset + v * task->vector_bytes, task->vector_bits, false});
}

/* The pointer to row `row` of C: by the rows' numbers, or one that goes down the rows. Gives its register. */
static int emit_row_pointer(task_writer *task, int row) {
    if (task->has_order) {
        spt_x86_load_index(&task->out, REG_C_ROW, REG_ROWS, (int8_t)(row * 4));
        spt_x86_multiply_register(&task->out, REG_C_ROW, REG_STRIDE);
        spt_x86_add_register(&task->out, REG_C_ROW, REG_C);
        return REG_C_ROW;
    }
    if (row > 0)
        spt_x86_add_register(&task->out, REG_C, REG_STRIDE);
    return REG_C;
}

/* Load every C[row][v], `offset` bytes on, or store it, wherever rows are. A pointer that goes down the rows comes back
 * where `again`. */
static void emit_any_rows_of_c(task_writer *task, x86_op op, int n_rows, int32_t offset, bool again) {
    const bool returns = again && !task->has_order;
    if (task->has_order)
        spt_x86_load_stack(&task->out, REG_ROWS, STACK_ROWS);
    if (returns)
        spt_x86_copy_register(&task->out, REG_C_FIRST, REG_C);
    for (int row = 0; row < n_rows; row++)
        emit_row_of_c(task, op, row, emit_row_pointer(task, row), offset);
    if (returns)
        spt_x86_copy_register(&task->out, REG_C, REG_C_FIRST);
}

/* The same where rows are foreseen: no pointers. */
static void emit_foreseen_rows_of_c(task_writer *task, const spt_schedule *schedule, int64_t block, x86_op op,
                                    int32_t offset) {
    const int n_rows = spt_schedule_block_rows(schedule, block);
    for (int row = 0; row < n_rows; row++) {
        const int64_t place = task->has_order ? spt_schedule_row(schedule, block, row) : row;
        emit_row_of_c(task, op, row, REG_C, offset + (int32_t)(place * task->target->c_stride));
    }
}

/* Leave for the detour unless rows of C are where they are foreseen. */
static x86_detour *emit_fork(task_writer *task, int64_t index) {
    x86_detour *detour = &task->detours[task->n_detours++];
    spt_x86_compare_immediate(&task->out, REG_STRIDE, (int32_t)task->target->c_stride);
    *detour = (x86_detour){.task = index, .from = spt_x86_jump_if_unequal(&task->out)};
    return detour;
}

/* How far before the sums' places in C a slice finds them. */
static int32_t moved_bytes(const task_writer *task, int64_t slice) {
    const bool moves = task->target->moving_slices > 0 && slice % task->target->moving_slices == 0;
    return moves ? task->target->moved_bytes : 0;
}

static void emit_loads_of_c(task_writer *task, const spt_schedule *schedule, int64_t index) {
    const int64_t block = index % schedule->n_blocks;
    const int32_t offset = moved_bytes(task, index / schedule->n_blocks);
    if (task->target->c_stride == 0) {
        emit_any_rows_of_c(task, x86_load, spt_schedule_block_rows(schedule, block), offset, true);
        return;
    }
    x86_detour *detour = task->target->is_c_certain ? NULL : emit_fork(task, index);
    emit_foreseen_rows_of_c(task, schedule, block, x86_load, offset);
    if (detour != NULL)
        detour->back = task->out.next;
}

static void emit_stores_of_c(task_writer *task, const spt_schedule *schedule, int64_t index) {
    const int64_t block = index % schedule->n_blocks;
    if (task->target->c_stride == 0) {
        emit_any_rows_of_c(task, x86_store, spt_schedule_block_rows(schedule, block), 0, false);
    } else {
        if (!task->target->is_c_certain)
            emit_fork(task, index);
        emit_foreseen_rows_of_c(task, schedule, block, x86_store, 0);
    }
    spt_x86_return(&task->out);
}

/* Behind all tasks, so that it is only fetched when it is taken. */
static void emit_detour(task_writer *task, const spt_schedule *schedule, const x86_detour *detour) {
    const int n_rows = spt_schedule_block_rows(schedule, detour->task % schedule->n_blocks);
    spt_x86_land(detour->from, task->out.next);
    if (detour->back == NULL) {
        emit_any_rows_of_c(task, x86_store, n_rows, 0, false);
        spt_x86_return(&task->out);
        return;
    }
    emit_any_rows_of_c(task, x86_load, n_rows, moved_bytes(task, detour->task / schedule->n_blocks), true);
    spt_x86_land(spt_x86_jump(&task->out), detour->back);
}

static void emit_start(task_writer *task, const spt_schedule *schedule, int64_t index) {
    const spt_x86_target *target = task->target;
    const int64_t block = index % schedule->n_blocks;
    const int t = target->t, n_rows = spt_schedule_block_rows(schedule, block);
    if (index >= schedule->n_blocks) {
        emit_loads_of_c(task, schedule, index);
        return;
    }
    for (int sum = 0; sum < n_rows * t; sum++) {
        const int64_t row = schedule->row_order != NULL ? spt_schedule_row(schedule, block, sum / t) : sum / t;
        if (target->has_bias)
            spt_x86_access(&task->out, x86_broadcast, sum, 0,
                           (x86_memory){REG_BIAS, (int32_t)(row * 4), X86_FLOAT_BITS, false});
        else
            spt_x86_registers(&task->out, x86_xor, sum, sum, sum);
    }
}

/* This task's share of the prefetches: every n_blocks-th column up to `column`. */
static void emit_prefetches(task_writer *task, int64_t column) {
    for (; task->next_prefetch <= column && task->next_prefetch < task->prefetch_end;
         task->next_prefetch += task->prefetch_step) {
        for (int v = 0; v < task->target->t; v++)
            spt_x86_prefetch_l2(&task->out, REG_NEXT,
                                (int32_t)(task->next_prefetch * task->target->b_stride + v * task->vector_bytes));
    }
}

/* A row of B that one row of A uses alone: its multiply-adds read it themselves. */
static void emit_single(task_writer *task, int64_t b_place, int sum, x86_memory value) {
    spt_x86_access(&task->out, x86_broadcast, task->reg_value, 0, value);
    for (int v = 0; v < task->target->t; v++)
        spt_x86_access(&task->out, x86_fma, sum + v, task->reg_value,
                       operand_at(task, &task->b, b_place + v * task->vector_bytes, false));
}

/* Bytes between the rows of B that a task reads. */
static int64_t b_stride_of(const task_writer *task) {
    return task->is_copying ? task->target->copied_stride : task->target->b_stride;
}

/* Load one row of B, and write it to its packed place where this task does that. */
static void emit_row_of_b(task_writer *task, int64_t column) {
    const int t = task->target->t;
    const int64_t place = column * b_stride_of(task), copied = column * task->target->b_stride;
    for (int v = 0; v < t; v++)
        x86_put_access(&task->out, task->loads[v], x86_offset_at(&task->out, &task->b, place + v * task->vector_bytes),
                       task->vector_bits);
    for (int v = 0; task->is_copying && v < t; v++)
        x86_put_access(&task->out, task->copies[v],
                       x86_offset_at(&task->out, &task->copy, copied + v * task->vector_bytes), task->vector_bits);
}

/* Encode what the inner loop consists of. */
static void encode_inner(task_writer *task) {
    const int t = task->target->t;
    const bool has_value_register = needs_value_register(task->target->has_avx512, t);
    const x86_memory b = {REG_B, 0, task->vector_bits, false}, copy = {REG_NEXT, 0, task->vector_bits, false};
    const x86_memory value = {REG_VALUES, 0, X86_FLOAT_BITS, !has_value_register};
    for (int v = 0; v < t; v++) {
        task->loads[v] = spt_x86_encode_access(&task->out, x86_load, task->reg_b + v, 0, b);
        task->copies[v] = spt_x86_encode_access(&task->out, x86_store, task->reg_b + v, 0, copy);
    }
    task->value = spt_x86_encode_access(&task->out, x86_broadcast, task->reg_value, 0, value);
    for (int sum = 0; sum < x86_register_count(task->target->has_avx512); sum++)
        task->fmas[sum] = has_value_register ? spt_x86_encode_registers(&task->out, x86_fma, sum, task->reg_value,
                                                                        task->reg_b + sum % t)
                                             : spt_x86_encode_access(&task->out, x86_fma, sum, task->reg_b, value);
}

/* One row of B and the multiply-adds that share it. */
static void emit_load(task_writer *task, const spt_schedule *schedule, int64_t load, int64_t first_fma) {
    const int t = task->target->t;
    const bool has_value_register = needs_value_register(task->target->has_avx512, t);
    const int64_t column = schedule->load_column[load];
    const int64_t begin = schedule->load_start[load], end = schedule->load_start[load + 1];
    if (has_value_register && end - begin == 1 && !task->is_copying) {
        emit_single(task, column * task->target->b_stride, schedule->fma_row[begin] * t,
                    operand_at(task, &task->values, 4 * (begin - first_fma), false));
        return;
    }
    emit_row_of_b(task, column);
    for (int64_t fma = begin; fma < end; fma++) {
        const int sum = schedule->fma_row[fma] * t;
        const int64_t offset = x86_offset_at(&task->out, &task->values, 4 * (fma - first_fma));
        if (!has_value_register) {
            x86_put_access(&task->out, task->fmas[sum], offset, X86_FLOAT_BITS);
            continue;
        }
        x86_put_access(&task->out, task->value, offset, X86_FLOAT_BITS);
        for (int v = 0; v < t; v++)
            x86_put(&task->out, task->fmas[sum + v]);
    }
}

static void emit_end(task_writer *task, const spt_schedule *schedule, int64_t index) {
    const int n_sums = spt_schedule_block_rows(schedule, index % schedule->n_blocks) * task->target->t;
    const int zero = task->reg_b;
    if (task->target->has_relu && index / schedule->n_blocks == schedule->n_slices - 1) {
        spt_x86_registers(&task->out, x86_xor, zero, zero, zero);
        for (int sum = 0; sum < n_sums; sum++)
            spt_x86_registers(&task->out, x86_max, sum, zero, sum); /* NaN stays */
    }
    emit_stores_of_c(task, schedule, index);
}

static int64_t slice_columns(const spt_schedule *schedule, int64_t slice) {
    const int64_t left = schedule->n_cols - slice * schedule->cols_per_slice;
    return left < schedule->cols_per_slice ? left : schedule->cols_per_slice;
}

/* Rows of B that the block has no use for, which a packing task copies all the same. */
static void emit_unused(task_writer *task, int64_t column, int64_t end) {
    for (; task->is_copying && column < end; column++)
        emit_row_of_b(task, column);
}

static void emit_task(task_writer *task, const spt_schedule *schedule, int64_t index) {
    const int64_t slice = index / schedule->n_blocks, window = task->out.has_evex ? task->vector_bytes : 1;
    const int64_t stride = b_stride_of(task);
    int64_t column = 0;
    task->b = (x86_cursor){REG_B, task->vector_bits, stride % window == 0 && 4 * stride <= 255 * window, 0};
    task->values = (x86_cursor){REG_VALUES, X86_FLOAT_BITS, true, 0};
    task->copy = (x86_cursor){REG_NEXT, task->vector_bits, true, 0};
    emit_start(task, schedule, index);
    task->next_prefetch = index % schedule->n_blocks;
    task->prefetch_step = schedule->n_blocks;
    task->prefetch_end = task->target->has_prefetch ? schedule->cols_per_slice : 0;
    for (int64_t load = schedule->task_start[index]; load < schedule->task_start[index + 1]; load++) {
        emit_prefetches(task, schedule->load_column[load]);
        emit_unused(task, column, schedule->load_column[load]);
        emit_load(task, schedule, load, spt_schedule_task_fma(schedule, index));
        column = schedule->load_column[load] + 1;
    }
    emit_unused(task, column, slice_columns(schedule, slice));
    emit_prefetches(task, task->prefetch_end);
    emit_end(task, schedule, index);
}

/* No task needs more than this, but for copies: values are near, and a load of B is far or follows a move. */
static size_t task_bytes_max(const spt_schedule *schedule, int64_t index, const spt_x86_target *target) {
    const int t = target->t;
    const int64_t n_loads = schedule->task_start[index + 1] - schedule->task_start[index];
    const int64_t n_fmas = spt_schedule_task_fma(schedule, index + 1) - spt_schedule_task_fma(schedule, index);
    const int64_t fma_bytes = needs_value_register(target->has_avx512, t) ? 7 + 6 * t : 7, load_bytes = 14 * t;
    const int64_t n_prefetches = (schedule->cols_per_slice / schedule->n_blocks + 1) * t;
    return (size_t)(n_prefetches * X86_INSTRUCTION_MAX + n_loads * load_bytes + n_fmas * fma_bytes + n_fmas / 32 * 7 +
                    6 * (int64_t)schedule->rows_per_block * t * X86_INSTRUCTION_MAX + 8 * X86_INSTRUCTION_MAX);
}

/* The task that a function computes: the functions of the packing tasks, block 0 of each slice, follow all others. */
static int64_t task_of(const spt_schedule *schedule, int64_t index) {
    const int64_t n_tasks = schedule->n_slices * schedule->n_blocks;
    return index < n_tasks ? index : (index - n_tasks) * schedule->n_blocks;
}

spt_status spt_x86_emit(spt_x86_code *out, const spt_schedule *schedule, const spt_x86_target *target) {
    const int t = target->t;
    const int64_t n_tasks = schedule->n_slices * schedule->n_blocks;
    const int64_t n_copying = target->copied_stride != 0 && n_tasks > 0 ? schedule->n_slices : 0;
    size_t bytes = (size_t)(n_copying > 0 ? schedule->n_cols * t * 2 * X86_INSTRUCTION_MAX : 0);
    x86_detour *detours = NULL;
    spt_status status = SPT_OK;
    task_writer task = {.out = {.has_evex = target->has_avx512},
                        .target = target,
                        .has_order = schedule->row_order != NULL && !target->is_placed,
                        .vector_bytes = target->has_avx512 ? 64 : 32,
                        .vector_bits = target->has_avx512 ? 6 : 5,
                        .reg_value = x86_register_count(target->has_avx512) - 1 - t,
                        .reg_b = x86_register_count(target->has_avx512) - t};
    *out = (spt_x86_code){0};
    for (int64_t index = 0; index < n_tasks + n_copying; index++)
        bytes += task_bytes_max(schedule, task_of(schedule, index), target);
    SPT_TRY_TO(done, SPT_NEW(detours, 2 * (n_tasks + n_copying)));
    SPT_TRY_TO(done, spt_x86_code_init(out, n_tasks + n_copying, bytes, &task.out));
    task.detours = detours;
    encode_inner(&task);
    for (int64_t index = 0; index < n_tasks + n_copying; index++) {
        spt_x86_code_enter(out, index, &task.out);
        task.is_copying = index >= n_tasks;
        emit_task(&task, schedule, task_of(schedule, index));
        assert(task.is_copying || (size_t)(task.out.next - out->pages.data - out->entry[index]) <=
                                      task_bytes_max(schedule, index, target));
    }
    spt_x86_code_enter(out, n_tasks + n_copying, &task.out);
    for (int64_t i = 0; i < task.n_detours; i++)
        emit_detour(&task, schedule, &detours[i]);
    SPT_TRY_TO(done, spt_x86_code_seal(out, &task.out));
done:
    spt_free(detours);
    if (status != SPT_OK)
        spt_x86_code_fini(out);
    return status;
}

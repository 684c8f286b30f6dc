/* SPDX-License-Identifier: Apache-2.0 */
/* Registers: sums of row i, vector j in register i * t + j; the last ones hold B (t of them) and, where a value serves
 * several vectors or the ISA has no embedded broadcast, the value. Both streams are read through a register that moves
 * on when a displacement no longer fits a byte: 7 bytes per multiply-add and per load instead of 10. */
#include "variants/codegen/emit_x86.h"

#include "core/memory.h"
#include "variants/codegen/x86.h"

enum {
    ENTRY_ALIGNMENT = 64,
    REG_B = X86_RDI,
    REG_C = X86_RSI,
    REG_VALUES = X86_RDX,
    REG_STRIDE = X86_RCX,
    REG_BIAS = X86_R8
};

/* A pointer register that walks through a stream upwards. */
typedef struct x86_cursor {
    int reg, unit;
    bool can_move;    /* moving pays: several accesses fit one window */
    int64_t position; /* what has been added to the register */
} x86_cursor;

typedef struct block_writer {
    x86_writer out;
    const spt_x86_target *target;
    int vector_bytes, reg_value, reg_b; /* the first of t registers of B */
    x86_cursor b, values;
} block_writer;

static int register_count(bool has_avx512) {
    return has_avx512 ? 32 : 16;
}

static bool needs_value_register(bool has_avx512, int t) {
    return t > 1 || !has_avx512;
}

int spt_x86_rows_max(bool has_avx512, int t) {
    return (register_count(has_avx512) - t - (needs_value_register(has_avx512, t) ? 1 : 0)) / t;
}

/* The operand at `place` of a stream; moves the cursor first when that makes this access and the next ones short. */
static x86_memory operand_at(block_writer *block, x86_cursor *cursor, int64_t place, bool is_broadcast) {
    if (cursor->can_move && !x86_is_near(&block->out, place - cursor->position, cursor->unit)) {
        const int64_t window = 128 * (block->out.has_evex ? cursor->unit : 1);
        x86_add_immediate(&block->out, cursor->reg, (int32_t)(place + window - cursor->position));
        cursor->position = place + window;
    }
    return (x86_memory){cursor->reg, (int32_t)(place - cursor->position), cursor->unit, is_broadcast};
}

static void emit_start(block_writer *block, int n_rows) {
    for (int row = 0; row < n_rows; row++) {
        for (int v = 0; v < block->target->t; v++) {
            const int sum = row * block->target->t + v;
            if (block->target->has_bias)
                x86_access(&block->out, x86_broadcast, sum, 0, (x86_memory){REG_BIAS, row * 4, 4, false});
            else
                x86_registers(&block->out, x86_xor, sum, sum, sum);
        }
    }
}

/* One row of B and the multiply-adds that share it. */
static void emit_load(block_writer *block, const spt_schedule *schedule, int64_t load, int64_t first_fma) {
    const int t = block->target->t;
    const bool has_value_register = needs_value_register(block->target->has_avx512, t);
    for (int v = 0; v < t; v++) {
        const int64_t place = schedule->load_column[load] * block->target->b_stride + v * block->vector_bytes;
        x86_access(&block->out, x86_load, block->reg_b + v, 0, operand_at(block, &block->b, place, false));
    }
    for (int64_t fma = schedule->load_start[load]; fma < schedule->load_start[load + 1]; fma++) {
        const int sum = schedule->fma_row[fma] * t;
        const x86_memory value = operand_at(block, &block->values, 4 * (fma - first_fma), !has_value_register);
        if (!has_value_register) {
            x86_access(&block->out, x86_fma, sum, block->reg_b, value);
            continue;
        }
        x86_access(&block->out, x86_broadcast, block->reg_value, 0, value);
        for (int v = 0; v < t; v++)
            x86_registers(&block->out, x86_fma, sum + v, block->reg_value, block->reg_b + v);
    }
}

static void emit_end(block_writer *block, int n_rows) {
    const int zero = block->reg_b;
    if (block->target->has_relu)
        x86_registers(&block->out, x86_xor, zero, zero, zero);
    for (int row = 0; row < n_rows; row++) {
        for (int v = 0; v < block->target->t; v++) {
            const int sum = row * block->target->t + v;
            if (block->target->has_relu)
                x86_registers(&block->out, x86_max, sum, sum, zero);
            x86_access(&block->out, x86_store, sum, 0,
                       (x86_memory){REG_C, v * block->vector_bytes, block->vector_bytes, false});
        }
        if (row + 1 < n_rows)
            x86_add_register(&block->out, REG_C, REG_STRIDE);
    }
    x86_return(&block->out);
}

static void emit_block(block_writer *block, const spt_schedule *schedule, int64_t index) {
    const int n_rows = spt_schedule_block_rows(schedule, index);
    const int64_t begin = schedule->block_start[index], end = schedule->block_start[index + 1];
    const int value_unit = 4;
    block->b = (x86_cursor){REG_B, block->vector_bytes, true, 0};
    block->b.can_move = 4 * block->target->b_stride <= 255 * (block->out.has_evex ? block->vector_bytes : 1);
    block->values = (x86_cursor){REG_VALUES, value_unit, true, 0};
    emit_start(block, n_rows);
    for (int64_t load = begin; load < end; load++)
        emit_load(block, schedule, load, schedule->load_start[begin]);
    emit_end(block, n_rows);
}

/* No block needs more than this: every instruction and every move of a cursor at its longest. */
static size_t block_bytes_max(const spt_schedule *schedule, int64_t index, int t) {
    const int64_t begin = schedule->block_start[index], end = schedule->block_start[index + 1];
    const int64_t n_fmas = schedule->load_start[end] - schedule->load_start[begin];
    const int64_t fma_bytes = t > 1 ? 10 + 7 * t : 15;
    return (size_t)((end - begin) * t * 18 + n_fmas * fma_bytes + n_fmas / 32 * 7 +
                    3 * (int64_t)schedule->rows_per_block * t * X86_INSTRUCTION_MAX + 2 * ENTRY_ALIGNMENT);
}

void spt_x86_code_fini(spt_x86_code *code) {
    spt_code_pages_free(&code->pages);
    spt_free(code->entry);
    *code = (spt_x86_code){0};
}

spt_status spt_x86_emit(spt_x86_code *out, const spt_schedule *schedule, const spt_x86_target *target) {
    const int t = target->t;
    size_t bytes = ENTRY_ALIGNMENT;
    spt_status status = SPT_OK;
    *out = (spt_x86_code){0};
    for (int64_t block = 0; block < schedule->n_blocks; block++)
        bytes += block_bytes_max(schedule, block, t);
    SPT_TRY_TO(done, SPT_NEW(out->entry, schedule->n_blocks));
    SPT_TRY_TO(done, spt_code_pages_new(&out->pages, bytes));
    block_writer block = {.out = {out->pages.data, target->has_avx512},
                          .target = target,
                          .vector_bytes = target->has_avx512 ? 64 : 32,
                          .reg_value = register_count(target->has_avx512) - 1 - t,
                          .reg_b = register_count(target->has_avx512) - t};
    for (int64_t index = 0; index < schedule->n_blocks; index++) {
        const size_t used = (size_t)(block.out.next - out->pages.data);
        const size_t aligned = (used + ENTRY_ALIGNMENT - 1) / ENTRY_ALIGNMENT * ENTRY_ALIGNMENT;
        block.out.next = out->pages.data + aligned;
        out->entry[index] = (int64_t)aligned;
        emit_block(&block, schedule, index);
    }
    SPT_TRY_TO(done, spt_code_pages_seal(&out->pages, (size_t)(block.out.next - out->pages.data)));
done:
    if (status != SPT_OK)
        spt_x86_code_fini(out);
    return status;
}

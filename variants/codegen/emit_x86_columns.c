/* SPDX-License-Identifier: Apache-2.0 */
/* Registers: row i of the block's rows of B in register i; the last one holds the sum, the one before it the value
 * where the ISA has no embedded broadcast. Sums and values are read through registers that move on when a displacement
 * no longer fits a byte, as in emit_x86.c. */
#include "variants/codegen/emit_x86_columns.h"

#include <assert.h>

#include "variants/codegen/x86.h"

enum { REG_B = X86_RDI, REG_SUMS = X86_RSI, REG_VALUES = X86_RDX };

typedef struct block_writer {
    x86_writer out;
    const spt_schedule *schedule;
    const spt_x86_columns_target *target;
    int vector_bytes, vector_bits, reg_sum, reg_value;
    x86_cursor sums, values;
    x86_encoded load, store; /* of a sum */
    x86_encoded value;       /* its broadcast, where it has a register */
    x86_encoded fmas[32];    /* each row of B's multiply-add, with a value from memory where that has no register */
} block_writer;

int spt_x86_columns_max(bool has_avx512) {
    return x86_register_count(has_avx512) - (has_avx512 ? 1 : 2);
}

/* Encode what a visit to a row of C consists of. */
static void encode_visit(block_writer *block) {
    const bool has_avx512 = block->target->has_avx512;
    const x86_memory sum = {REG_SUMS, 0, block->vector_bits, false};
    const x86_memory value = {REG_VALUES, 0, X86_FLOAT_BITS, has_avx512};
    block->load = spt_x86_encode_access(&block->out, x86_load, block->reg_sum, 0, sum);
    block->store = spt_x86_encode_access(&block->out, x86_store, block->reg_sum, 0, sum);
    if (!has_avx512)
        block->value = spt_x86_encode_access(&block->out, x86_broadcast, block->reg_value, 0, value);
    for (int row = 0; row < spt_x86_columns_max(has_avx512); row++)
        block->fmas[row] = has_avx512
                               ? spt_x86_encode_access(&block->out, x86_fma, block->reg_sum, row, value)
                               : spt_x86_encode_registers(&block->out, x86_fma, block->reg_sum, block->reg_value, row);
}

/* Bytes from row 0 of B to row number `row` of a block. */
static int32_t offset_of_b(const block_writer *block, int64_t index, int row) {
    return (int32_t)(block->target->b_row[spt_schedule_row(block->schedule, index, row)] * block->target->b_stride);
}

static void emit_rows_of_b(block_writer *block, int64_t index) {
    for (int row = 0; row < spt_schedule_block_rows(block->schedule, index); row++)
        spt_x86_access(&block->out, x86_load, row, 0,
                       (x86_memory){REG_B, offset_of_b(block, index, row), block->vector_bits, false});
}

/* Prefetch rows [begin, end) of a block: every line of theirs, where B is aligned. */
static void emit_prefetches(block_writer *block, int64_t index, int begin, int end) {
    const bool straddles = block->target->b_stride % block->vector_bytes != 0;
    for (int row = begin; row < end; row++) {
        const int32_t offset = offset_of_b(block, index, row);
        spt_x86_prefetch_once(&block->out, REG_B, offset);
        if (straddles)
            spt_x86_prefetch_once(&block->out, REG_B, offset + block->vector_bytes - 1);
    }
}

/* One row of C and the multiply-adds that it gets from a block. */
static void emit_visit(block_writer *block, int64_t load, int64_t first_fma) {
    const spt_schedule *schedule = block->schedule;
    const int64_t sum = (int64_t)schedule->load_column[load] * block->vector_bytes;
    const int64_t offset = x86_offset_at(&block->out, &block->sums, sum);
    x86_put_access(&block->out, block->load, offset, block->vector_bits);
    for (int64_t fma = schedule->load_start[load]; fma < schedule->load_start[load + 1]; fma++) {
        const int64_t value = x86_offset_at(&block->out, &block->values, 4 * (fma - first_fma));
        const x86_encoded multiply_add = block->fmas[schedule->fma_row[fma]];
        if (block->target->has_avx512) {
            x86_put_access(&block->out, multiply_add, value, X86_FLOAT_BITS);
        } else {
            x86_put_access(&block->out, block->value, value, X86_FLOAT_BITS);
            x86_put(&block->out, multiply_add);
        }
    }
    x86_put_access(&block->out, block->store, offset, block->vector_bits);
}

static void emit_block(block_writer *block, int64_t index) {
    const spt_schedule *schedule = block->schedule;
    const int64_t first = schedule->task_start[index], n_visits = schedule->task_start[index + 1] - first;
    const bool has_next = block->target->has_prefetch && index + 1 < schedule->n_blocks;
    const int n_next = has_next ? spt_schedule_block_rows(schedule, index + 1) : 0;
    int prefetched = 0;
    block->sums = (x86_cursor){REG_SUMS, block->vector_bits, true, 0};
    block->values = (x86_cursor){REG_VALUES, X86_FLOAT_BITS, true, 0};
    emit_rows_of_b(block, index);
    for (int64_t visit = 0; visit < n_visits; visit++) {
        const int due = (int)(n_next * (visit + 1) / n_visits);
        emit_prefetches(block, index + 1, prefetched, due);
        prefetched = due;
        emit_visit(block, first + visit, spt_schedule_task_fma(schedule, index));
    }
    spt_x86_return(&block->out);
}

/* No block needs more than this. Sums and values are near; the cursor of values moves once in 63 of them at most, that
 * of sums once in 255 rows of C, but before each with VEX, whose displacements reach four rows. */
static size_t block_bytes_max(const spt_schedule *schedule, int64_t index, bool has_avx512) {
    enum { NEAR = 7, FAR = 11, MOVE = 7, VEX_BROADCAST_AND_FMA = 11 };
    const int64_t n_visits = schedule->task_start[index + 1] - schedule->task_start[index];
    const int64_t n_fmas = spt_schedule_task_fma(schedule, index + 1) - spt_schedule_task_fma(schedule, index);
    const int64_t n_moves = n_fmas / 63 + (has_avx512 ? schedule->n_cols / 255 : n_visits) + 2;
    return (size_t)(2 * NEAR * n_visits + (has_avx512 ? NEAR : VEX_BROADCAST_AND_FMA) * n_fmas + MOVE * n_moves +
                    3 * FAR * schedule->rows_per_block + X86_INSTRUCTION_MAX);
}

spt_status spt_x86_columns_emit(spt_x86_code *out, const spt_schedule *transposed,
                                const spt_x86_columns_target *target) {
    const int64_t n_blocks = transposed->n_blocks;
    const int n_registers = x86_register_count(target->has_avx512);
    size_t bytes = 0;
    spt_status status = SPT_OK;
    block_writer block = {.out = {.has_evex = target->has_avx512},
                          .schedule = transposed,
                          .target = target,
                          .vector_bytes = target->has_avx512 ? 64 : 32,
                          .vector_bits = target->has_avx512 ? 6 : 5,
                          .reg_sum = n_registers - 1,
                          .reg_value = n_registers - 2};
    for (int64_t index = 0; index < n_blocks; index++)
        bytes += block_bytes_max(transposed, index, target->has_avx512);
    SPT_TRY_TO(done, spt_x86_code_init(out, n_blocks, bytes, &block.out));
    encode_visit(&block);
    for (int64_t index = 0; index < n_blocks; index++) {
        spt_x86_code_enter(out, index, &block.out);
        emit_block(&block, index);
        assert((size_t)(block.out.next - out->pages.data - out->entry[index]) <=
               block_bytes_max(transposed, index, target->has_avx512));
    }
    spt_x86_code_enter(out, n_blocks, &block.out);
    SPT_TRY_TO(done, spt_x86_code_seal(out, &block.out));
done:
    if (status != SPT_OK)
        spt_x86_code_fini(out);
    return status;
}

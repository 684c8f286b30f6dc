/* SPDX-License-Identifier: Apache-2.0 */
/* Executing PTX: every thread runs until its next barrier, one after the other; then all go on. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/simt/ptx_state.h"

typedef struct ptx_thread {
    const ptx_function *function;
    int at; /* next instruction */
    bool has_exited;
    simt_dim index;
    uint64_t *registers;
    bool *is_written;
    uint64_t params[PTX_PARAMS_MAX], locals[PTX_PARAMS_MAX];
} ptx_thread;

typedef struct machine {
    const ptx_program *program;
    simt_dim grid, block, block_index;
    unsigned char *shared;
    bool *is_shared_written;
    size_t shared_bytes;
    int capacity; /* registers of a thread */
    char *error;
} machine;

static bool fail(const machine *self, const ptx_thread *thread, const char *format, ...) {
    char text[200];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    snprintf(self->error, SIMT_ERROR_MAX, "%s, line %d, thread %u,%u of block %u,%u: %s", thread->function->name,
             thread->function->instructions[thread->at].line, thread->index.x, thread->index.y, self->block_index.x,
             self->block_index.y, text);
    return false;
}

static float as_float(uint64_t bits) {
    const uint32_t low = (uint32_t)bits;
    float value;
    memcpy(&value, &low, sizeof value);
    return value;
}

static uint64_t as_bits(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static uint64_t special(const machine *self, const ptx_thread *thread, int which) {
    switch ((ptx_special)which) {
    case PTX_TID_X:
        return thread->index.x;
    case PTX_TID_Y:
        return thread->index.y;
    case PTX_CTAID_X:
        return self->block_index.x;
    case PTX_CTAID_Y:
        return self->block_index.y;
    case PTX_CTAID_Z:
        return self->block_index.z;
    case PTX_NCTAID_X:
        return self->grid.x;
    default:
        return self->grid.y;
    }
}

/* The values of operands from `first` on. False: a register that nobody wrote. */
static bool read_values(const machine *self, ptx_thread *thread, const ptx_instruction *instruction, int first,
                        uint64_t *values) {
    for (int i = first; i < instruction->n_operands; i++) {
        const ptx_operand *operand = &instruction->operands[i];
        values[i] = operand->kind == PTX_SPECIAL  ? special(self, thread, operand->index)
                    : operand->kind == PTX_TABLE  ? (uint64_t)(uintptr_t)self->program->table
                    : operand->kind == PTX_SHARED ? 0
                                                  : (uint64_t)operand->number;
        if (operand->kind != PTX_REGISTER && operand->kind != PTX_MEMORY)
            continue;
        if (!thread->is_written[operand->index])
            return fail(self, thread, "%s reads a register that was not written", ptx_op_name(instruction->op));
        values[i] = thread->registers[operand->index] + (uint64_t)operand->number;
    }
    return true;
}

static void write_register(ptx_thread *thread, const ptx_instruction *instruction, int operand, uint64_t value) {
    thread->registers[instruction->operands[operand].index] = value;
    thread->is_written[instruction->operands[operand].index] = true;
}

/* ---- memory ---- */

static bool check_global(const machine *self, const ptx_thread *thread, uint64_t address, size_t bytes) {
    if (address % bytes != 0)
        return fail(self, thread, "an access of %zu bytes is not aligned", bytes);
    if (simt_memory_left((const void *)(uintptr_t)address) < bytes)
        return fail(self, thread, "an access of %zu bytes at %#llx is outside of memory", bytes,
                    (unsigned long long)address);
    return true;
}

static bool load_global(const machine *self, ptx_thread *thread, const ptx_instruction *instruction, uint64_t address,
                        int count) {
    uint32_t words[4];
    if (!check_global(self, thread, address, 4 * (size_t)count))
        return false;
    memcpy(words, (const void *)(uintptr_t)address, 4 * (size_t)count);
    for (int i = 0; i < count; i++)
        write_register(thread, instruction, i, words[i]);
    return true;
}

/* The table is laid out as 8 bytes per function; what is loaded from it is the number of its entry. */
static bool load_table(const machine *self, ptx_thread *thread, const ptx_instruction *instruction, uint64_t address) {
    const uint64_t index = (address - (uint64_t)(uintptr_t)self->program->table) / 8;
    if (index >= (uint64_t)self->program->n_table)
        return fail(self, thread, "entry %llu is outside of the table", (unsigned long long)index);
    write_register(thread, instruction, 0, index);
    return true;
}

static bool access_shared(const machine *self, ptx_thread *thread, const ptx_instruction *instruction, uint64_t address,
                          const uint64_t *store) {
    if (address % 4 != 0 || address + 4 > self->shared_bytes)
        return fail(self, thread, "shared memory of %zu bytes has no number at %llu", self->shared_bytes,
                    (unsigned long long)address);
    uint32_t word = store != NULL ? (uint32_t)*store : 0;
    if (store != NULL) {
        memcpy(self->shared + address, &word, sizeof word);
        self->is_shared_written[address / 4] = true;
        return true;
    }
    if (!self->is_shared_written[address / 4])
        return fail(self, thread, "shared memory at %llu was not written", (unsigned long long)address);
    memcpy(&word, self->shared + address, sizeof word);
    write_register(thread, instruction, 0, word);
    return true;
}

/* ---- instructions ---- */

static bool call(const machine *self, ptx_thread *thread, uint64_t index) {
    const ptx_function *callee = ptx_find(self->program, self->program->table[index]);
    if (callee == NULL || callee->is_entry)
        return fail(self, thread, "there is no function %s", self->program->table[index]);
    thread->function = callee;
    thread->at = -1;
    memcpy(thread->params, thread->locals, sizeof thread->params);
    memset(thread->is_written, 0, (size_t)self->capacity * sizeof *thread->is_written);
    return true;
}

static bool arithmetic(ptx_thread *thread, const ptx_instruction *instruction, const uint64_t *v) {
    const uint32_t a = (uint32_t)v[1], b = (uint32_t)v[2];
    const float x = as_float(v[1]), y = as_float(v[2]);
    uint64_t out;
    switch (instruction->op) {
    case PTX_MOV:
        out = v[1];
        break;
    case PTX_ADD_U32:
        out = a + b;
        break;
    case PTX_ADD_U64:
        out = v[1] + v[2];
        break;
    case PTX_ADD_F32:
        out = as_bits(x + y);
        break;
    case PTX_SUB_U32:
        out = (uint32_t)(a - b);
        break;
    case PTX_MIN_U32:
        out = a < b ? a : b;
        break;
    case PTX_MAX_F32:
        out = as_bits(fmaxf(x, y));
        break;
    case PTX_FMA_F32:
        out = as_bits(fmaf(x, y, as_float(v[3])));
        break;
    case PTX_MAD_LO_U32:
        out = (uint32_t)(a * b + (uint32_t)v[3]);
        break;
    case PTX_MAD_LO_U64:
        out = v[1] * v[2] + v[3];
        break;
    case PTX_MAD_WIDE_U32:
        out = (uint64_t)a * b + v[3];
        break;
    case PTX_DIV_U32:
        out = b != 0 ? a / b : UINT32_MAX;
        break;
    case PTX_SETP_LT_U32:
        out = a < b;
        break;
    case PTX_SETP_GE_U32:
        out = a >= b;
        break;
    case PTX_SETP_EQ_U32:
        out = a == b;
        break;
    case PTX_SETP_NE_U32:
        out = a != b;
        break;
    default:
        out = v[1] & v[2]; /* and.pred */
        break;
    }
    write_register(thread, instruction, 0, out);
    return true;
}

static bool execute(const machine *self, ptx_thread *thread, const ptx_instruction *instruction) {
    uint64_t v[PTX_OPERANDS_MAX] = {0};
    const ptx_op op = instruction->op;
    const int n_outputs = op == PTX_LD_GLOBAL_NC_V4_F32 ? 4
                          : op == PTX_CALL || op == PTX_ST_PARAM || op == PTX_ST_GLOBAL_F32 || op == PTX_ST_SHARED_F32
                              ? 0
                              : 1;
    if (op != PTX_LD_PARAM && !read_values(self, thread, instruction, n_outputs, v))
        return false;
    switch (op) {
    case PTX_CALL:
        return call(self, thread, v[0]);
    case PTX_LD_PARAM:
        write_register(thread, instruction, 0, thread->params[instruction->operands[1].index]);
        return true;
    case PTX_ST_PARAM:
        thread->locals[instruction->operands[0].index] = v[1];
        return true;
    case PTX_LD_GLOBAL_U64:
        return load_table(self, thread, instruction, v[1]);
    case PTX_LD_GLOBAL_NC_32:
        return load_global(self, thread, instruction, v[1], 1);
    case PTX_LD_GLOBAL_NC_V4_F32:
        return load_global(self, thread, instruction, v[4], 4);
    case PTX_ST_GLOBAL_F32:
        if (!check_global(self, thread, v[0], 4))
            return false;
        memcpy((void *)(uintptr_t)v[0], &(uint32_t){(uint32_t)v[1]}, 4);
        return true;
    case PTX_LD_SHARED_F32:
        return access_shared(self, thread, instruction, v[1], NULL);
    case PTX_ST_SHARED_F32:
        return access_shared(self, thread, instruction, v[0], &v[1]);
    default:
        return arithmetic(thread, instruction, v);
    }
}

/* Run a thread to its next barrier or its end; it stands behind the barrier then. */
static bool run_thread(const machine *self, ptx_thread *thread) {
    for (;; thread->at++) {
        if (thread->at >= thread->function->n_instructions)
            return fail(self, thread, "the function ends without exit");
        const ptx_instruction *instruction = &thread->function->instructions[thread->at];
        if (instruction->guard >= 0) {
            if (!thread->is_written[instruction->guard])
                return fail(self, thread, "a predicate that was not written guards it");
            if (thread->registers[instruction->guard] == 0)
                continue;
        }
        if (instruction->op == PTX_EXIT) {
            thread->has_exited = true;
            return true;
        }
        if (instruction->op == PTX_BAR_SYNC) {
            thread->at++;
            return true;
        }
        if (instruction->op == PTX_BRA)
            thread->at = instruction->target - 1;
        else if (!execute(self, thread, instruction))
            return false;
    }
}

static bool run_block(const machine *self, ptx_thread *threads, const ptx_function *kernel, const uint64_t *values) {
    const int n_threads = (int)(self->block.x * self->block.y);
    int n_exited = 0;
    if (self->shared_bytes > 0)
        memset(self->is_shared_written, 0, self->shared_bytes / 4 * sizeof *self->is_shared_written);
    for (int i = 0; i < n_threads; i++) {
        ptx_thread *thread = &threads[i];
        thread->function = kernel;
        thread->at = 0;
        thread->has_exited = false;
        thread->index = (simt_dim){(unsigned)i % self->block.x, (unsigned)i / self->block.x, 0};
        memcpy(thread->params, values, (size_t)kernel->n_params * sizeof *values);
        memset(thread->is_written, 0, (size_t)self->capacity * sizeof *thread->is_written);
    }
    while (n_exited == 0) {
        for (int i = 0; i < n_threads; i++) {
            if (!run_thread(self, &threads[i]))
                return false;
            n_exited += threads[i].has_exited;
        }
        if (n_exited > 0 && n_exited < n_threads)
            return fail(self, &threads[0], "%d of %d threads wait at a barrier for ever", n_threads - n_exited,
                        n_threads);
    }
    return true;
}

bool ptx_run(const ptx_program *program, const char *name, simt_dim grid, simt_dim block, size_t shared_bytes,
             const uint64_t *values, char error[SIMT_ERROR_MAX]) {
    machine self = {.program = program, .grid = grid, .block = block, .shared_bytes = shared_bytes, .error = error};
    const ptx_function *kernel = ptx_find(program, name);
    const int n_threads = (int)(block.x * block.y);
    bool is_done = true;
    if (kernel == NULL || !kernel->is_entry || n_threads < 1 || n_threads > 1024) {
        snprintf(error, SIMT_ERROR_MAX, "there is no kernel %s for %d threads", name, n_threads);
        return false;
    }
    for (int i = 0; i < program->n_functions; i++)
        self.capacity =
            program->functions[i].n_registers > self.capacity ? program->functions[i].n_registers : self.capacity;
    self.shared = calloc(shared_bytes + 1, 1);
    self.is_shared_written = calloc(shared_bytes / 4 + 1, sizeof *self.is_shared_written);
    ptx_thread *threads = calloc((size_t)n_threads, sizeof *threads);
    for (int i = 0; i < n_threads; i++) {
        threads[i].registers = calloc((size_t)self.capacity, sizeof *threads[i].registers);
        threads[i].is_written = calloc((size_t)self.capacity, sizeof *threads[i].is_written);
    }
    for (unsigned i = 0; i < grid.x * grid.y * grid.z && is_done; i++) {
        self.block_index = (simt_dim){i % grid.x, i / grid.x % grid.y, i / grid.x / grid.y};
        is_done = run_block(&self, threads, kernel, values);
    }
    for (int i = 0; i < n_threads; i++) {
        free(threads[i].registers);
        free(threads[i].is_written);
    }
    free(threads);
    free(self.shared);
    free(self.is_shared_written);
    return is_done;
}

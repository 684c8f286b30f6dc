/* SPDX-License-Identifier: Apache-2.0 */
/* Just enough of an x86-64 assembler for baked kernels: vector instructions in VEX (AVX2, 16 registers of 8 floats) and
 * EVEX (AVX-512, 32 registers of 16 floats) encoding with memory operands [base + displacement].
 * Encodings: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2, sections 2.3 and 2.7. */
#ifndef SPT_VARIANTS_CODEGEN_X86_H
#define SPT_VARIANTS_CODEGEN_X86_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* General registers by number, those that take part here. None needs a SIB byte as a base. */
enum { X86_RAX = 0, X86_RCX = 1, X86_RDX = 2, X86_RSI = 6, X86_RDI = 7, X86_R8 = 8, X86_R9 = 9, X86_R10 = 10 };

/* A vector instruction: opcode map, mandatory prefix, opcode. Operands: reg, vvvv (where it has one), rm. */
typedef struct x86_op {
    uint8_t map, prefix, opcode;
} x86_op;

static const x86_op x86_load = {1, 0, 0x10};      /* vmovups reg, [m] */
static const x86_op x86_store = {1, 0, 0x11};     /* vmovups [m], reg */
static const x86_op x86_broadcast = {2, 1, 0x18}; /* vbroadcastss reg, [m32] */
static const x86_op x86_fma = {2, 1, 0xb8};       /* vfmadd231ps reg += vvvv * rm */
static const x86_op x86_max = {1, 0, 0x5f};       /* vmaxps reg = max(vvvv, rm), rm where one is NaN */
static const x86_op x86_xor = {1, 1, 0xef};       /* vpxor(d) reg = vvvv ^ rm */

/* Where the next instruction goes. The caller has made sure that there is room: no instruction takes more than
 * X86_INSTRUCTION_MAX bytes. */
typedef struct x86_writer {
    uint8_t *next;
    bool has_evex; /* EVEX with 512-bit vectors; otherwise VEX with 256-bit ones */
} x86_writer;

enum {
    X86_INSTRUCTION_MAX = 16,
    X86_FLOAT_BITS = 2 /* log2 of bytes */
};

/* Vector registers. */
static inline int x86_register_count(bool has_evex) {
    return has_evex ? 32 : 16;
}

/* A memory operand: [base + offset]. In EVEX an offset that is a multiple of the unit and at most 127 units away takes
 * one byte; the unit is the bytes that the instruction accesses, 4 for broadcasts. */
typedef struct x86_memory {
    int base;
    int32_t offset;
    int unit_bits;     /* log2 of the unit: no division per instruction */
    bool is_broadcast; /* EVEX: the operand is one float for all lanes */
} x86_memory;

/* An instruction of at most 8 bytes, the first one lowest, encoded once and put many times. */
typedef struct x86_encoded {
    uint64_t bytes;
    int n_bytes;
} x86_encoded;

/* The same as spt_x86_registers, and as spt_x86_access with a displacement of one byte, which is 0 and the last one. */
x86_encoded spt_x86_encode_registers(const x86_writer *writer, x86_op op, int reg, int vvvv, int rm);
x86_encoded spt_x86_encode_access(const x86_writer *writer, x86_op op, int reg, int vvvv, x86_memory memory);

/* Put an encoded instruction. Writes 8 bytes: what lies behind it must not have been written yet. */
static inline void x86_put(x86_writer *writer, x86_encoded code) {
    uint8_t *next = writer->next;
    memcpy(next, &code.bytes, sizeof code.bytes);
    writer->next = next + code.n_bytes;
}

void spt_x86_registers(x86_writer *writer, x86_op op, int reg, int vvvv, int rm);
void spt_x86_access(x86_writer *writer, x86_op op, int reg, int vvvv, x86_memory memory);
void spt_x86_add_immediate(x86_writer *writer, int reg, int32_t value);
void spt_x86_add_register(x86_writer *writer, int reg, int from);
void spt_x86_copy_register(x86_writer *writer, int reg, int from);
void spt_x86_multiply_register(x86_writer *writer, int reg, int from);         /* signed */
void spt_x86_load_index(x86_writer *writer, int reg, int base, int8_t offset); /* reg = int32 [base + offset] */
void spt_x86_load_stack(x86_writer *writer, int reg, int8_t offset);           /* reg = int64 [rsp + offset] */
void spt_x86_prefetch_once(x86_writer *writer, int base, int32_t offset);      /* prefetchnta [base + offset] */
void spt_x86_prefetch_l2(x86_writer *writer, int base, int32_t offset);        /* prefetcht1 [base + offset] */
void spt_x86_return(x86_writer *writer);                                       /* vzeroupper; ret */
void spt_x86_compare_immediate(x86_writer *writer, int reg, int32_t value);    /* reg: below 8 */

/* Jumps give the place behind them, from which spt_x86_land lets them go to where the writer is by then. */
uint8_t *spt_x86_jump_if_unequal(x86_writer *writer);
uint8_t *spt_x86_jump(x86_writer *writer);
void spt_x86_land(uint8_t *behind_jump, const uint8_t *target);

/* Does this offset take one byte? */
static inline bool x86_is_near(const x86_writer *writer, int64_t offset, int unit_bits) {
    const int64_t step = writer->has_evex ? (int64_t)1 << unit_bits : 1;
    return (offset & (step - 1)) == 0 && offset >= -128 * step && offset <= 127 * step;
}

/* A pointer register that walks through a stream upwards. */
typedef struct x86_cursor {
    int reg, unit_bits;
    bool can_move;    /* moving pays: several accesses fit one window */
    int64_t position; /* what has been added to the register */
} x86_cursor;

/* The offset of `place` of a stream; moves the cursor first when that makes this access and the next ones short. */
static inline int64_t x86_offset_at(x86_writer *writer, x86_cursor *cursor, int64_t place) {
    if (cursor->can_move && !x86_is_near(writer, place - cursor->position, cursor->unit_bits)) {
        const int64_t window = 128 << (writer->has_evex ? cursor->unit_bits : 0);
        spt_x86_add_immediate(writer, cursor->reg, (int32_t)(place + window - cursor->position));
        cursor->position = place + window;
    }
    return place - cursor->position;
}

/* Put an encoded access with this offset. */
static inline void x86_put_access(x86_writer *writer, x86_encoded code, int64_t offset, int unit_bits) {
    uint8_t *last = writer->next + code.n_bytes - 1;
    const int32_t far_offset = (int32_t)offset;
    memcpy(writer->next, &code.bytes, sizeof code.bytes);
    if (x86_is_near(writer, offset, unit_bits)) {
        *last = (uint8_t)(offset >> (writer->has_evex ? unit_bits : 0));
        writer->next = last + 1;
        return;
    }
    last[-1] ^= 0xc0; /* ModRM: four bytes follow instead of one */
    memcpy(last, &far_offset, sizeof far_offset);
    writer->next = last + sizeof far_offset;
}

#endif

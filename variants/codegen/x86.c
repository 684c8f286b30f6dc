/* SPDX-License-Identifier: Apache-2.0 */
/* Encodings. Register numbers are spread over a prefix (their high bits, inverted) and the ModRM byte (their low
 * three):
 *
 *   VEX    c4 | R X B map5        | W vvvv L pp      | opcode | ModRM ...     R X B vvvv inverted
 *   EVEX   62 | R X B R' 0 map3   | W vvvv 1 pp      | z L'L b V' aaa | opcode | ModRM ...   R X B R' vvvv V' inverted
 */
#include "variants/codegen/x86.h"

#include <string.h>

static void put(x86_writer *writer, uint8_t byte) {
    *writer->next++ = byte;
}

static void put_32(x86_writer *writer, int32_t value) {
    memcpy(writer->next, &value, sizeof value);
    writer->next += sizeof value;
}

/* Bit `bit` of a register number, inverted. */
static unsigned inverted(int reg, int bit) {
    return ~((unsigned)reg >> bit) & 1u;
}

/* Prefix and opcode at p; returns what follows. `index_bit` is what X carries: bit 4 of rm for a vector register,
 * nothing for memory. Bytes go through a local pointer: through the writer every one would be followed by a reload. */
static inline uint8_t *put_prefix(uint8_t *p, bool has_evex, x86_op op, int reg, int vvvv, int rm, unsigned index_bit,
                                  bool is_broadcast) {
    const unsigned rxb = inverted(reg, 3) << 7 | index_bit << 6 | inverted(rm, 3) << 5;
    const unsigned low_vvvv = (~(unsigned)vvvv & 15u) << 3;
    if (has_evex) {
        *p++ = 0x62;
        *p++ = (uint8_t)(rxb | inverted(reg, 4) << 4 | op.map);
        *p++ = (uint8_t)(low_vvvv | 4u | op.prefix);
        *p++ = (uint8_t)(2u << 5 | (is_broadcast ? 1u : 0u) << 4 | inverted(vvvv, 4) << 3);
    } else {
        *p++ = 0xc4;
        *p++ = (uint8_t)(rxb | op.map);
        *p++ = (uint8_t)(low_vvvv | 4u | op.prefix); /* L = 1: 256 bits */
    }
    *p++ = op.opcode;
    return p;
}

void spt_x86_registers(x86_writer *writer, x86_op op, int reg, int vvvv, int rm) {
    uint8_t *p = put_prefix(writer->next, writer->has_evex, op, reg, vvvv, rm, inverted(rm, 4), false);
    *p++ = (uint8_t)(0xc0 | (reg & 7) << 3 | (rm & 7));
    writer->next = p;
}

void spt_x86_access(x86_writer *writer, x86_op op, int reg, int vvvv, x86_memory memory) {
    const bool has_evex = writer->has_evex, is_near = x86_is_near(writer, memory.offset, memory.unit_bits);
    uint8_t *p = put_prefix(writer->next, has_evex, op, reg, vvvv, memory.base, 1, memory.is_broadcast && has_evex);
    *p++ = (uint8_t)((is_near ? 0x40 : 0x80) | (reg & 7) << 3 | (memory.base & 7));
    if (is_near) {
        *p++ = (uint8_t)(has_evex ? memory.offset >> memory.unit_bits : memory.offset);
    } else {
        memcpy(p, &memory.offset, sizeof memory.offset);
        p += sizeof memory.offset;
    }
    writer->next = p;
}

/* What `scratch` has written since it began at first. */
static x86_encoded encoded(const uint8_t *first, const x86_writer *scratch) {
    x86_encoded code = {.n_bytes = (int)(scratch->next - first)};
    memcpy(&code.bytes, first, sizeof code.bytes);
    return code;
}

x86_encoded spt_x86_encode_registers(const x86_writer *writer, x86_op op, int reg, int vvvv, int rm) {
    uint8_t bytes[X86_INSTRUCTION_MAX] = {0};
    x86_writer scratch = {bytes, writer->has_evex};
    spt_x86_registers(&scratch, op, reg, vvvv, rm);
    return encoded(bytes, &scratch);
}

x86_encoded spt_x86_encode_access(const x86_writer *writer, x86_op op, int reg, int vvvv, x86_memory memory) {
    uint8_t bytes[X86_INSTRUCTION_MAX] = {0};
    x86_writer scratch = {bytes, writer->has_evex};
    memory.offset = 0;
    spt_x86_access(&scratch, op, reg, vvvv, memory);
    return encoded(bytes, &scratch);
}

void spt_x86_add_immediate(x86_writer *writer, int reg, int32_t value) {
    put(writer, (uint8_t)(0x48 | (reg >> 3)));
    put(writer, 0x81);
    put(writer, (uint8_t)(0xc0 | (reg & 7)));
    put_32(writer, value);
}

/* A 64-bit instruction between two general registers. */
static void put_general(x86_writer *writer, uint8_t opcode, int reg, int from) {
    put(writer, (uint8_t)(0x48 | (from >> 3) << 2 | (reg >> 3)));
    put(writer, opcode);
    put(writer, (uint8_t)(0xc0 | (from & 7) << 3 | (reg & 7)));
}

void spt_x86_add_register(x86_writer *writer, int reg, int from) {
    put_general(writer, 0x01, reg, from);
}

void spt_x86_copy_register(x86_writer *writer, int reg, int from) {
    put_general(writer, 0x89, reg, from);
}

void spt_x86_multiply_register(x86_writer *writer, int reg, int from) {
    put(writer, (uint8_t)(0x48 | (reg >> 3) << 2 | (from >> 3)));
    put(writer, 0x0f);
    put(writer, 0xaf);
    put(writer, (uint8_t)(0xc0 | (reg & 7) << 3 | (from & 7)));
}

void spt_x86_load_index(x86_writer *writer, int reg, int base, int8_t offset) {
    put(writer, (uint8_t)(0x48 | (reg >> 3) << 2 | (base >> 3)));
    put(writer, 0x63);
    put(writer, (uint8_t)(0x40 | (reg & 7) << 3 | (base & 7)));
    put(writer, (uint8_t)offset);
}

void spt_x86_load_stack(x86_writer *writer, int reg, int8_t offset) {
    put(writer, (uint8_t)(0x48 | (reg >> 3) << 2));
    put(writer, 0x8b);
    put(writer, (uint8_t)(0x44 | (reg & 7) << 3));
    put(writer, 0x24); /* rsp as a base takes a second byte */
    put(writer, (uint8_t)offset);
}

static void put_prefetch(x86_writer *writer, int hint, int base, int32_t offset) {
    put(writer, (uint8_t)(0x40 | (base >> 3)));
    put(writer, 0x0f);
    put(writer, 0x18);
    put(writer, (uint8_t)(0x80 | hint << 3 | (base & 7)));
    put_32(writer, offset);
}

void spt_x86_prefetch_once(x86_writer *writer, int base, int32_t offset) {
    put_prefetch(writer, 0, base, offset);
}

void spt_x86_prefetch_l2(x86_writer *writer, int base, int32_t offset) {
    put_prefetch(writer, 2, base, offset);
}

void spt_x86_return(x86_writer *writer) {
    static const uint8_t code[] = {0xc5, 0xf8, 0x77, 0xc3};
    memcpy(writer->next, code, sizeof code);
    writer->next += sizeof code;
}

void spt_x86_compare_immediate(x86_writer *writer, int reg, int32_t value) {
    put(writer, 0x48);
    put(writer, 0x81);
    put(writer, (uint8_t)(0xf8 | reg));
    put_32(writer, value);
}

uint8_t *spt_x86_jump_if_unequal(x86_writer *writer) {
    put(writer, 0x0f);
    put(writer, 0x85);
    put_32(writer, 0);
    return writer->next;
}

uint8_t *spt_x86_jump(x86_writer *writer) {
    put(writer, 0xe9);
    put_32(writer, 0);
    return writer->next;
}

void spt_x86_land(uint8_t *behind_jump, const uint8_t *target) {
    const int32_t distance = (int32_t)(target - behind_jump);
    memcpy(behind_jump - sizeof distance, &distance, sizeof distance);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* mma.m16n8 and mma.sp::ordered_metadata.m16n8 after the PTX manual ("Warp-level matrix instructions"). With e elements
 * in a register of 32 bits, g = lane / 4 and t = lane % 4:
 *   A register r, element i: row g + 8 (r % 2), column t e + i + 4 e (r / 2)       (compressed columns when sparse)
 *   B register r, element i: row t e + i + 4 e r, column g
 *   C and D element i:       row g + 8 (i / 2), column 2 t + i % 2
 * Sparse metadata: per group of four columns a nibble with two ascending 2-bit indices (tf32: per group of two columns
 * the nibble 4 or 14 for the first or second). Of types of 16 and 32 bits a lane has 16 bits for row g and above them
 * 16 bits for row g + 8, each for the next groups from where the lane before it ended; two of four lanes have all, and
 * the selector says which. Of types of 8 bits all four lanes have 32 bits for one row: those of t = 0 and 2 the lower
 * and upper half of the columns of row g, t = 1 and 3 those of row g + 8; that is how CUTLASS orders its metadata,
 * whose order for 16 bits is the one above. The lane layout of metadata is inferred from the manual's figures and is to
 * be confirmed on a chip. */
#include <math.h>
#include <string.h>

#include "tests/simt/state.h"

typedef struct type_row {
    const char *name;
    int bits;
} type_row;

static const type_row types[] = {
    [SIMT_F16] = {"f16", 16}, [SIMT_BF16] = {"bf16", 16}, [SIMT_TF32] = {"tf32", 32},
    [SIMT_S8] = {"s8", 8},    [SIMT_E4M3] = {"e4m3", 8},  [SIMT_E5M2] = {"e5m2", 8},
};

/* A float with this many exponent and mantissa bits; e4m3 has no infinities. */
static double decode_float(uint32_t bits, int n_exponent, int n_mantissa, bool has_infinity) {
    const int bias = (1 << (n_exponent - 1)) - 1;
    const uint32_t mantissa = bits & ((1u << n_mantissa) - 1);
    const int exponent = (int)(bits >> n_mantissa & ((1u << n_exponent) - 1));
    const double sign = (bits >> (n_exponent + n_mantissa) & 1) != 0 ? -1.0 : 1.0;
    if (exponent == (1 << n_exponent) - 1 && has_infinity)
        return mantissa == 0 ? sign * (double)INFINITY : (double)NAN;
    if (!has_infinity && exponent == (1 << n_exponent) - 1 && mantissa == (1u << n_mantissa) - 1)
        return (double)NAN;
    if (exponent == 0)
        return sign * ldexp(mantissa, 1 - bias - n_mantissa);
    return sign * ldexp(1.0 + ldexp(mantissa, -n_mantissa), exponent - bias);
}

static double decode(simt_type type, uint32_t bits) {
    float f;
    switch (type) {
    case SIMT_F16:
        return decode_float(bits, 5, 10, true);
    case SIMT_E5M2:
        return decode_float(bits, 5, 2, true);
    case SIMT_E4M3:
        return decode_float(bits, 4, 3, false);
    case SIMT_S8:
        return (int8_t)bits;
    case SIMT_BF16:
        bits <<= 16;
        break;
    case SIMT_TF32:
        bits &= 0xffffe000u; /* what lies below is not looked at */
        break;
    }
    memcpy(&f, &bits, sizeof f);
    return f;
}

/* Element i of a register. */
static double element(simt_type type, uint32_t word, int i) {
    const int bits = types[type].bits;
    return decode(type, bits == 32 ? word : word >> (i * bits) & ((1u << bits) - 1));
}

int simt_mma_registers(const simt_mma *mma, int *n_b) {
    *n_b = mma->is_sparse ? mma->n_a : mma->n_a / 2;
    return mma->n_a;
}

/* Columns of A that the compressed column `c` of `row` stands for. */
static int sparse_column(const simt_mma *const lanes[SIMT_WARP], int row, int c, int line) {
    const simt_mma *any = lanes[0];
    const int e = 32 / types[any->type].bits, n_compressed = 2 * e * any->n_a;
    const bool is_pair = any->type == SIMT_TF32; /* 1:2 */
    const int group = is_pair ? c : c / 2, n_groups = is_pair ? n_compressed : n_compressed / 2;
    const int n_lanes = n_groups / 4; /* per row: each has four nibbles for it */
    if (any->selector < 0 || any->selector >= 4 / n_lanes)
        simt_fail(line, "mma.sp with selector %d; 0 to %d are legal", any->selector, 4 / n_lanes - 1);
    const bool is_byte = types[any->type].bits == 8;
    const int lane = row % 8 * 4 + (is_byte ? 2 * (group / 8) + row / 8 : any->selector * n_lanes + group / 4);
    const int place = is_byte ? group % 8 : 4 * (row / 8) + group % 4;
    const uint32_t nibble = lanes[lane]->metadata >> 4 * place & 15;
    if (is_pair) {
        if (nibble != 4 && nibble != 14)
            simt_fail(line, "mma.sp with metadata nibble %u (lane %d); 4 and 14 are legal", nibble, lane);
        return 2 * group + (nibble == 14);
    }
    const int first = (int)(nibble & 3), second = (int)(nibble >> 2);
    if (first >= second)
        simt_fail(line, "mma.sp with metadata nibble %u (lane %d), whose indices do not ascend", nibble, lane);
    return 4 * group + (c % 2 == 0 ? first : second);
}

static void gather(double a[16][64], bool has[16][64], double b[64][8], const simt_mma *const lanes[SIMT_WARP],
                   int line) {
    const simt_mma *any = lanes[0];
    int n_b;
    const int n_a = simt_mma_registers(any, &n_b), e = 32 / types[any->type].bits;
    for (int lane = 0; lane < SIMT_WARP; lane++) {
        const int g = lane / 4, t = lane % 4;
        for (int i = 0; i < e; i++) {
            for (int r = 0; r < n_a; r++) {
                const int row = g + 8 * (r % 2), c = t * e + i + 4 * e * (r / 2);
                const int column = any->is_sparse ? sparse_column(lanes, row, c, line) : c;
                a[row][column] = element(any->type, lanes[lane]->a[r], i);
                has[row][column] = true;
            }
            for (int r = 0; r < n_b; r++)
                b[t * e + i + 4 * e * r][g] = element(any->type, lanes[lane]->b[r], i);
        }
    }
}

void simt_mma_all(void *const io[SIMT_WARP], int line) {
    double a[16][64] = {{0}}, b[64][8] = {{0}};
    bool has[16][64] = {{false}};
    const simt_mma *any = io[0];
    for (int lane = 1; lane < SIMT_WARP; lane++) {
        const simt_mma *other = io[lane];
        if (other->type != any->type || other->is_sparse != any->is_sparse || other->n_a != any->n_a ||
            other->selector != any->selector)
            simt_fail(line, "mma with other types, shapes or selectors in lane 0 and lane %d", lane);
    }
    gather(a, has, b, (const simt_mma *const *)io, line);
    for (int lane = 0; lane < SIMT_WARP; lane++) {
        simt_mma *mma = io[lane];
        for (int i = 0; i < 4; i++) {
            const int row = lane / 4 + 8 * (i / 2), column = lane % 4 * 2 + i % 2;
            double sum = 0.0;
            for (int k = 0; k < 64; k++)
                sum += has[row][k] ? a[row][k] * b[k][column] : 0.0;
            if (mma->type == SIMT_S8)
                mma->c_s32[i] += (int32_t)sum;
            else
                mma->c[i] = (float)((double)mma->c[i] + sum);
        }
    }
}

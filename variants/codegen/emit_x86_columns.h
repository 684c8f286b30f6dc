/* SPDX-License-Identifier: Apache-2.0 */
/* Prints the schedule of A's transpose as x86-64 code: a block of columns of A, whose rows of B stay in registers,
 * meets the rows of C that it changes, one after the other. One function per block:
 *
 *   load B[0] .. B[30] | load C[2]  fma B[4]  store C[2] | load C[3]  fma B[0]  fma B[7]  store C[3] | ...
 *
 * Values come from memory, in the order of use, so new weights need no new code. */
#ifndef SPT_VARIANTS_CODEGEN_EMIT_X86_COLUMNS_H
#define SPT_VARIANTS_CODEGEN_EMIT_X86_COLUMNS_H

#include "variants/codegen/schedule.h"
#include "variants/codegen/x86_code.h"

/* A block's function. b: row 0 of B, from the first column of the vector on; sums: a vector for each row of C, aligned
 * and without gaps; values: of the block's first multiply-add. */
typedef void spt_x86_columns_block(const float *b, float *sums, const float *values);

typedef struct spt_x86_columns_target {
    bool has_avx512;      /* 512-bit EVEX, otherwise 256-bit VEX with FMA */
    int64_t b_stride;     /* bytes between rows of B */
    const int32_t *b_row; /* the row of B that each row of the schedule stands for */
    bool has_prefetch;    /* a block prefetches the next one's rows of B into L1, past L2 */
} spt_x86_columns_target;

/* The function of a block. */
static inline spt_x86_columns_block *spt_x86_columns_at(const spt_x86_code *code, int64_t block) {
    return (spt_x86_columns_block *)spt_x86_code_at(code, block);
}

/* The most columns of A that a block may have so that their rows of B fit the registers. */
int spt_x86_columns_max(bool has_avx512);

/* transposed: the schedule of A's transpose, of one slice, with blocks of at most spt_x86_columns_max rows. Rows
 * without nonzeros may be missing in it. Errors: ENOMEM, EUNSUPPORTED (executable memory denied). Owns:
 * spt_x86_code_fini, safe on a zeroed struct. */
spt_status spt_x86_columns_emit(spt_x86_code *out, const spt_schedule *transposed,
                                const spt_x86_columns_target *target);

#endif

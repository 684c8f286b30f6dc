/* SPDX-License-Identifier: Apache-2.0 */
/* Prints a schedule as x86-64 code: one function per task, C[rows, t vectors] (+)= A[rows, slice] * B[slice, t
 * vectors]. The first slice starts from the bias or zero, the others from C; the last one ends with the activation.
 * Values come from memory, in the order of use, so new weights need no new code. */
#ifndef SPT_VARIANTS_CODEGEN_EMIT_X86_H
#define SPT_VARIANTS_CODEGEN_EMIT_X86_H

#include "variants/codegen/schedule.h"
#include "variants/codegen/x86_code.h"

/* A task's function. b: the strip's column 0 of the slice's first row of B; c: of the block's first row; values: of the
 * task's first multiply-add; c_stride: bytes between rows of C; bias: of the block's first row (unused where the
 * epilogue has none); next: the rows of B to prefetch; rows: unused. Where the schedule has an order of rows, c and
 * bias are those of row 0, and rows holds the number of each of the block's rows in C (bias alone where is_placed). A
 * packing task reads b where it lies and writes the slice's rows of the strip to next, b_stride bytes apart, for the
 * blocks after it. */
typedef void spt_x86_task(const float *b, float *c, const float *values, int64_t c_stride, const float *bias,
                          const float *next, const int32_t *rows);

typedef struct spt_x86_target {
    bool has_avx512;       /* 512-bit EVEX, otherwise 256-bit VEX with FMA */
    int t;                 /* vectors per strip, 1 to 4 */
    int64_t b_stride;      /* bytes between rows of B */
    int64_t copied_stride; /* bytes between rows of B where it lies, for packing tasks; 0: there are none */
    int64_t c_stride;  /* bytes between rows of C that the code foresees; with others it takes a longer way. 0: none */
    bool is_c_certain; /* they are never others */
    bool has_bias, has_relu;
    bool has_prefetch; /* the tasks of a slice share out prefetches of the next strip's rows of B into L2 */
    bool is_placed;    /* the block's rows of C follow its first one, though the schedule has an order */
    int64_t
        moving_slices; /* 0: no sum moves; else in every slice that is a multiple of it: sums are stored moved_bytes */
    int32_t moved_bytes; /* before where they are loaded from, so strips are visited from the left to the right */
} spt_x86_target;

/* The function of a task; those of the packing tasks, one per slice, follow all others. */
static inline spt_x86_task *spt_x86_task_at(const spt_x86_code *code, int64_t task) {
    return (spt_x86_task *)spt_x86_code_at(code, task);
}

/* The most rows that a block may have so that its sums fit the registers. */
int spt_x86_rows_max(bool has_avx512, int t);

/* Errors: ENOMEM, EUNSUPPORTED (executable memory denied). Owns: spt_x86_code_fini, safe on a zeroed struct. */
spt_status spt_x86_emit(spt_x86_code *out, const spt_schedule *schedule, const spt_x86_target *target);

#endif

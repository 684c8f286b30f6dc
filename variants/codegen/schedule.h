/* SPDX-License-Identifier: Apache-2.0 */
/* The schedule of a pattern-baked SpMM kernel, as data that an emitter prints: the rows of A in blocks whose sums stay
 * in registers; for each block the columns that it uses, ascending; for each column one load of B and the multiply-adds
 * that share it. After Wang, "SparseDNN" (arXiv 2101.07948, 2021) and "SparseRT" (arXiv 2008.11849, 2020).
 *
 *   slice 0, block 0: load B[3]  fma row 0, fma row 5 | load B[4]  fma row 2 | ...   store the block's rows
 *   slice 0, block 1: ...
 *   slice 1, block 0: sums go on where slice 0 left them
 *
 * Invariant: every nonzero of A is exactly one multiply-add; value i of the packed values belongs to multiply-add i. */
#ifndef SPT_VARIANTS_CODEGEN_SCHEDULE_H
#define SPT_VARIANTS_CODEGEN_SCHEDULE_H

#include "core/csr.h"

enum { SPT_SCHEDULE_ROWS_MAX = 255 }; /* rows of a block: fma_row is a byte */

typedef struct spt_schedule {
    int64_t n_rows, n_cols;
    int64_t n_blocks, n_slices; /* a task is one block of one slice, number slice * n_blocks + block */
    int64_t n_loads, n_fmas;
    int rows_per_block;     /* the last block may have fewer */
    int64_t cols_per_slice; /* the last slice may have fewer */
    int64_t *task_start;    /* n_slices * n_blocks + 1: first load of each task */
    int32_t *load_column;   /* n_loads: row of B, counted from the slice's first */
    int64_t *load_start;    /* n_loads + 1: first multiply-add of each load */
    uint8_t *fma_row;       /* n_fmas: row inside the block */
    int32_t *fma_source;    /* n_fmas: place of the value in CSR order */
} spt_schedule;

/* Build the schedule of a checked matrix. cols_per_slice 0: one slice. Time: linear in nonzeros, rows per slice and
 * columns per block. Errors: ENOMEM; EUNSUPPORTED from 2^31 nonzeros on. Owns: spt_schedule_fini, which is also safe on
 * a zeroed struct. */
spt_status spt_schedule_init(spt_schedule *out, const spt_csr *a, int rows_per_block, int64_t cols_per_slice);
void spt_schedule_fini(spt_schedule *schedule);

/* Rows of block `block`. */
static inline int spt_schedule_block_rows(const spt_schedule *schedule, int64_t block) {
    const int64_t left = schedule->n_rows - block * schedule->rows_per_block;
    return (int)(left < schedule->rows_per_block ? left : schedule->rows_per_block);
}

/* First multiply-add, and so first value, of a task. */
static inline int64_t spt_schedule_task_fma(const spt_schedule *schedule, int64_t task) {
    return schedule->load_start[schedule->task_start[task]];
}

#endif

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

#include <stdbool.h>

#include "core/csr.h"

enum { SPT_SCHEDULE_ROWS_MAX = 255 }; /* rows of a block: fma_row is a byte */

typedef struct spt_schedule {
    int64_t n_rows, n_cols;
    int64_t n_blocks, n_slices; /* a task is one block of one slice, number slice * n_blocks + block */
    int64_t n_loads, n_fmas;
    int rows_per_block;     /* the most that a block has */
    int64_t cols_per_slice; /* the last slice may have fewer */
    int64_t *block_first;   /* n_blocks + 1: first place in the order of rows of each block */
    int32_t *row_order;     /* n_rows: the row at each place; NULL: rows in their own order */
    int64_t *task_start;    /* n_slices * n_blocks + 1: first load of each task */
    int32_t *load_column;   /* n_loads: row of B, counted from the slice's first */
    int64_t *load_start;    /* n_loads + 1: first multiply-add of each load */
    uint8_t *fma_row;       /* n_fmas: row inside the block */
    int32_t *fma_source;    /* n_fmas: place of the value in CSR order */
} spt_schedule;

/* How the rows are dealt to blocks. */
typedef enum spt_schedule_order {
    SPT_SCHEDULE_NATURAL = 0,
    SPT_SCHEDULE_SORTED = 1,   /* longest first */
    SPT_SCHEDULE_CLUSTERED = 2 /* rows that use the same columns together */
} spt_schedule_order;
typedef struct spt_schedule_cut {
    int rows_per_block;     /* 1 to SPT_SCHEDULE_ROWS_MAX */
    int64_t cols_per_slice; /* 0: one slice */
    spt_schedule_order row_order;
    bool is_balanced; /* blocks of about equal nonzeros, of at most rows_per_block rows */
} spt_schedule_cut;

/* Build the schedule of a checked matrix. Time: linear in nonzeros, rows per slice and columns per block, and what the
 * order of rows takes. Errors: ENOMEM; EUNSUPPORTED from 2^31 nonzeros on. Owns: spt_schedule_fini, which is also safe
 * on a zeroed struct. */
spt_status spt_schedule_init(spt_schedule *out, const spt_csr *a, const spt_schedule_cut *cut);
void spt_schedule_fini(spt_schedule *schedule);

/* Of n_cols columns, those that a block of so many rows is expected to use, of scattered nonzeros. */
double spt_schedule_columns_used(double n_cols, double density, double rows, spt_schedule_order order);

/* Rows of block `block`, and its row number `index`. */
static inline int spt_schedule_block_rows(const spt_schedule *schedule, int64_t block) {
    return (int)(schedule->block_first[block + 1] - schedule->block_first[block]);
}
static inline int64_t spt_schedule_row(const spt_schedule *schedule, int64_t block, int index) {
    const int64_t place = schedule->block_first[block] + index;
    return schedule->row_order != NULL ? schedule->row_order[place] : place;
}

/* First multiply-add, and so first value, of a task. */
static inline int64_t spt_schedule_task_fma(const spt_schedule *schedule, int64_t task) {
    return schedule->load_start[schedule->task_start[task]];
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* V:N:M sparsity: of every block of V rows and M columns four columns are kept, and of those four a row keeps N (Castro
 * et al., "VENOM", SC 2023, section 3). The kept columns side by side, four per block, are an N:4 matrix:
 *
 *   block of M columns   . a . . b c . d        columns of the block: the places of a, b, c, d in the matrix
 *   compressed           a b c d                of which each row has N values and their places (core/nm.h)
 *
 * The last blocks along rows and columns may be cut short. */
#ifndef SPT_TUNER_VNM_H
#define SPT_TUNER_VNM_H

#include <stddef.h>
#include <stdint.h>

#include "core/error.h"
#include "core/nm.h"

enum { SPT_VNM_KEPT = 4 /* columns of a block */ };

typedef struct spt_vnm {
    int64_t v; /* rows of a block; 0: none of this */
    int n;     /* of the four kept columns, in a row: 1 or 2 */
    int64_t m; /* columns of a block, 4 at least */
} spt_vnm;

/* Parse "64:2:8". Errors: EINVAL. */
spt_status spt_vnm_parse(spt_vnm *out, const char *text);

int64_t spt_vnm_blocks(spt_vnm vnm, int64_t n_cols); /* along a row, the short one included */
int64_t spt_vnm_groups(spt_vnm vnm, int64_t n_rows); /* of v rows, the short one included */
static inline spt_nm spt_vnm_inner(spt_vnm vnm) {
    return (spt_nm){vnm.n, SPT_VNM_KEPT};
}

/* Say what stays, by magnitude: the four columns of the largest sums in each block, then the n largest of them in each
 * row; among equals the first ones. Errors: ENOMEM. */
spt_status spt_vnm_choose(uint8_t *mask, const double *weights, int64_t n_rows, int64_t n_cols, spt_vnm vnm);

/* Compress a row-major matrix of elements of item_bytes, where zero is all bits zero.
 * columns[groups][4 blocks] gets the kept columns, ascending, -1 behind the last one of a block that uses fewer; values
 * and metadata are those of spt_nm_compress for 4 * blocks columns.
 * Errors: ENOMEM; EWRONG naming the first block with more than four columns, or row with more than n values. */
spt_status spt_vnm_compress(void *values, uint8_t *metadata, int32_t *columns, const void *dense, size_t item_bytes,
                            int64_t n_rows, int64_t n_cols, spt_vnm vnm);
/* Write all n_rows * n_cols elements of what was compressed. Errors: ENOMEM; EWRONG for a value without a column. */
spt_status spt_vnm_decompress(void *dense, const void *values, const uint8_t *metadata, const int32_t *columns,
                              size_t item_bytes, int64_t n_rows, int64_t n_cols, spt_vnm vnm);

#endif

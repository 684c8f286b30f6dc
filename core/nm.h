/* SPDX-License-Identifier: Apache-2.0 */
/* N:M sparsity: at most `keep` nonzeros in every aligned group of `of` elements of a row (Mishra et al., "Accelerating
 * Sparse Deep Neural Networks", arXiv 2104.08378, 2021). A compressed row has `keep` elements per group and, for each,
 * its place inside the group in log2(of) bits, ascending, packed from the lowest bit up. For 2:4 a group's two places
 * make one nibble, which is the metadata of sparse tensor cores:
 *
 *   byte of two groups: | places of group 1: second, first | places of group 0: second, first |   2 bits each
 *
 * The last group of a row may be cut short. A group with fewer nonzeros is filled with zeros of its first free places.
 */
#ifndef SPT_CORE_NM_H
#define SPT_CORE_NM_H

#include <stddef.h>
#include <stdint.h>

#include "core/error.h"

#define SPT_NM_OF_MAX 16

typedef struct spt_nm {
    int keep, of; /* of is 2, 4, 8 or 16; keep from 1 to of - 1 */
} spt_nm;

/* Parse "2:4". Errors: EINVAL. */
spt_status spt_nm_parse(spt_nm *out, const char *text);

int64_t spt_nm_groups(spt_nm nm, int64_t n_cols);         /* per row, the short one included */
int64_t spt_nm_metadata_bytes(spt_nm nm, int64_t n_cols); /* per row */

/* Compress a row-major matrix of elements of item_bytes (1 to 8), where zero is all bits zero.
 * values[n_rows][groups * keep] and metadata[n_rows][metadata_bytes] are written whole.
 * Errors: EWRONG naming the first row and group with more than `keep` nonzeros. */
spt_status spt_nm_compress(void *values, uint8_t *metadata, const void *dense, size_t item_bytes, int64_t n_rows,
                           int64_t n_cols, spt_nm nm);
/* Write all n_rows * n_cols elements of what was compressed. Errors: EWRONG for a value outside of the matrix. */
spt_status spt_nm_decompress(void *dense, const void *values, const uint8_t *metadata, size_t item_bytes,
                             int64_t n_rows, int64_t n_cols, spt_nm nm);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The packing of spmm_bitmap_mma: row tiles of 16 rows, chunks of some groups of 32 columns. A chunk is a blob of whole
 * 16 bytes: 8 bitmaps of 64 bits per group, then per bitmap the number of its first value, then the values. */
#ifndef SPT_VARIANTS_CUDA_SPMM_BITMAP_MMA_PACK_H
#define SPT_VARIANTS_CUDA_SPMM_BITMAP_MMA_PACK_H

#include "core/csr.h"

enum {
    SPT_BITMAP_ROWS = 16,
    SPT_BITMAP_COLUMNS = 32,
    SPT_BITMAP_GROUPS_MAX = 4,
    SPT_BITMAP_HEAD_BYTES = 80 /* of a group: 8 bitmaps and 8 numbers of 2 bytes */
};

/* Walk the chunks of all row tiles: units[i] is where blob i begins, in units of 16 bytes, the last one the end;
 * bytes_max the bytes of the largest. Without blobs only that, with blobs their contents; values have 2 bytes. */
void spt_bitmap_pack(int32_t *units, char *blobs, int64_t *bytes_max, const spt_csr *a, int groups, int64_t n_chunks);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* A in the order of mma.sp's fragments. A tile has 16 rows and 64 bytes of dense columns, of which half are kept. With
 * e elements in a word, g = lane / 4 and t = lane % 4, a lane's 16 bytes are the kept columns e t .. e t + e - 1 of row
 * g, of row g + 8, and the same of the second half of the kept columns.
 *
 *   metadata of a group of columns is a nibble: 2:4 the two places, ascending; 1:2 (tf32) 4 or 14 for the first or
 * second 16 and 32 bits: 16 words a tile; word 2 g + t serves lanes 4 g + t and 4 g + t + 2 (which the hardware does
 * not look at): bits 4 j .. 4 j + 3 hold group 4 t + j of row g, bits 16 + 4 j that of row g + 8 8 bits:         32
 * words a tile; words 4 g + 2 h and 4 g + 2 h + 1 hold groups 8 h .. 8 h + 7 of rows g and g + 8 */
#ifndef SPT_VARIANTS_CUDA_SPMM_24_MMA_PACK_H
#define SPT_VARIANTS_CUDA_SPMM_24_MMA_PACK_H

#include "variants/cuda/kernel.h"

typedef struct spt_24_shape {
    int group, keep; /* columns of a group, and how many of them are kept: 4 and 2, or 2 and 1 */
    int tile_cols;   /* dense columns of a tile */
    int tile_words;  /* of metadata */
    int lane_values; /* elements of 16 bytes */
    int word_values; /* of 4 bytes */
} spt_24_shape;

spt_24_shape spt_24_shape_of(spt_dtype dtype);

/* Add the buffers "values" and "metadata". A group with fewer nonzeros is filled with its first free places.
 * Errors: ENOMEM, EUNSUPPORTED. */
spt_status spt_24_pack(spt_cuda_packed *out, spt_dtype dtype, const spt_csr *a);
/* The same into zeroed memory: n_tiles tiles of 16 rows one after another, of each its steps; rows behind the last one
 * are zeros. Row offsets of `a` may begin anywhere in its columns and values. Errors: ENOMEM. */
spt_status spt_24_pack_tiles(void *values, uint32_t *metadata, spt_dtype dtype, const spt_csr *a, int64_t n_tiles);

#endif

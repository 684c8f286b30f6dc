/* SPDX-License-Identifier: Apache-2.0 */
/* The packing of spmm_csr_staged: per block of rows its chunks of K, and per chunk a blob of whole 16 bytes:
 * uint16 starts[rows + 1] (in pairs), padded to 16 bytes; then the pairs of each row and one more. A pair is two values
 * and two places in the chunk of B, f32: 4 words of 4 bytes, 16-bit types: 4 of 2 bytes. */
#ifndef SPT_VARIANTS_CUDA_SPMM_CSR_STAGED_PACK_H
#define SPT_VARIANTS_CUDA_SPMM_CSR_STAGED_PACK_H

#include "variants/cuda/kernel.h"

typedef struct spt_staged_shape {
    spt_dtype dtype;
    int rows, kc;  /* of a block, of a chunk at most */
    int stride;    /* elements from one row of B to the next */
    int pairs_max; /* of a chunk; at least rows, so that a chunk of one column always fits */
    bool is_sorted;
} spt_staged_shape;

int64_t spt_staged_blob_max(const spt_staged_shape *shape); /* bytes that a blob may have */

/* Adds the buffers rows, firsts, chunks, blobs; gives the number of blocks and the bytes of the largest blob. */
spt_status spt_staged_pack(spt_cuda_packed *out, const spt_staged_shape *shape, const spt_csr *a, int64_t *n_blocks,
                           int64_t *blob_bytes);

#endif

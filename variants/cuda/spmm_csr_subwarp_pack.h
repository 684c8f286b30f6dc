/* SPDX-License-Identifier: Apache-2.0 */
/* The packing of spmm_csr_subwarp: items of 4 numbers of 32 bits (row, first place, count, pieces), a block of `rows`
 * of them after the other; columns and values by place, each item from a multiple of `unroll` on. */
#ifndef SPT_VARIANTS_CUDA_SPMM_CSR_SUBWARP_PACK_H
#define SPT_VARIANTS_CUDA_SPMM_CSR_SUBWARP_PACK_H

#include "variants/cuda/kernel.h"
#include "variants/cuda/rows.h"

typedef struct spt_subwarp_shape {
    spt_dtype dtype;
    int rows;        /* items of a block */
    int unroll;      /* places that an item is a multiple of */
    int index_bytes; /* 2 or 4 */
    spt_row_order order;
} spt_subwarp_shape;

/* Adds the buffers items, columns, values; gives the number of items, a multiple of rows. */
spt_status spt_subwarp_pack(spt_cuda_packed *out, const spt_subwarp_shape *shape, const spt_csr *a, int64_t *n_items);

#endif

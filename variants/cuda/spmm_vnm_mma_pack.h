/* SPDX-License-Identifier: Apache-2.0 */
/* A for sparse tensor cores in groups of V rows whose nonzeros stand in few columns (V:N:M; Castro et al., SC 2023).
 * The columns that a group uses get slots, ascending, and four slots, of which a row may use two, are a group of the
 * 2:4 instruction:
 *
 *   columns used   3  7  8  12 | 17 21 22  - | 30 ...        -: an empty slot, where a fifth column, or a row's third
 *   slots          0  1  2   3 |  4  5  6  7 |  8 ...           nonzero, would have come
 *
 * A slot is left empty only where it must be. What may share four slots may do so without one of its ends, so filling
 * them from the left needs as few as any order-keeping choice: never more than the blocks of M columns of a V:2:M
 * pattern, and other patterns are right, too, with more slots. */
#ifndef SPT_VARIANTS_CUDA_SPMM_VNM_MMA_PACK_H
#define SPT_VARIANTS_CUDA_SPMM_VNM_MMA_PACK_H

#include "variants/cuda/kernel.h"

enum { SPT_VNM_STEP = 32 /* slots of an instruction */ };

/* Add the buffers
 *   starts    int32 per group and one more: in steps of 32 slots
 *   columns   int32 per slot: the column of A, -1 for none
 *   values, metadata   the tiles of 16 rows of each group, of each its steps (spmm_24_mma_pack.h)
 * Types of 16 bits; v is a multiple of 16. Errors: ENOMEM, EUNSUPPORTED. */
spt_status spt_vnm_pack(spt_cuda_packed *out, spt_dtype dtype, const spt_csr *a, int v);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* A call whose operands or workspace are not on the device gets copies there for its duration. */
#ifndef SPT_VARIANTS_CUDA_STAGE_H
#define SPT_VARIANTS_CUDA_STAGE_H

#include "variants/cuda/kernel.h"

enum { SPT_CUDA_STAGED_MAX = 6 };

typedef struct spt_cuda_staged {
    void *device;
    void *host; /* where an output goes back to; NULL for an input */
    size_t bytes;
} spt_cuda_staged;

typedef struct spt_cuda_stage {
    spt_call call; /* with device pointers */
    spt_cuda_staged items[SPT_CUDA_STAGED_MAX];
    int n_items;
    void *workspace; /* NULL: the caller's is used, or none */
} spt_cuda_stage;

/* Copy what is on the host (is_host) and bring a workspace where the call has none. On failure fini is still due. */
spt_status spt_cuda_stage_init(spt_cuda_stage *out, const spt_prepared *prepared, const spt_call *call, bool is_host);
spt_status spt_cuda_stage_return(const spt_cuda_stage *stage); /* copy the outputs back */
void spt_cuda_stage_fini(spt_cuda_stage *stage);

#endif

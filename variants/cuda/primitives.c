/* SPDX-License-Identifier: Apache-2.0 */
/* The header of primitives as text: every CUDA C source begins with it. */
#include "variants/cuda/primitives_text.h"

#include "variants/cuda/kernel.h"

SPT_CUDA_TEXT(primitives);

const char *spt_cuda_primitives(size_t *n_bytes) {
    *n_bytes = (size_t)(spt_cuda_text_primitives_end - spt_cuda_text_primitives);
    return spt_cuda_text_primitives;
}

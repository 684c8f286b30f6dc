/* SPDX-License-Identifier: Apache-2.0 */
/* primitives.h as text, for those who compile kernels: NVRTC here, the emulator in the tests. */
#ifndef SPT_VARIANTS_CUDA_PRIMITIVES_TEXT_H
#define SPT_VARIANTS_CUDA_PRIMITIVES_TEXT_H

#include <stddef.h>

/* Not terminated; *n_bytes is its length. */
const char *spt_cuda_primitives(size_t *n_bytes);

#endif

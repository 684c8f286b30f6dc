/* SPDX-License-Identifier: Apache-2.0 */
/* B of layout nk for families that read it in layout kn: a first launch transposes it into the workspace, whose rows
 * are then aligned whatever the caller's are. Their kernel transpose_b calls spt_transpose of primitives.h. */
#ifndef SPT_VARIANTS_CUDA_TRANSPOSE_H
#define SPT_VARIANTS_CUDA_TRANSPOSE_H

#include "variants/cuda/kernel.h"

/* Distance of the transposed rows: multiples of 8 elements, so that vectors of 16 bytes fit any type. */
int64_t spt_transposed_ld(int64_t n);
/* spt_family.workspace and spt_cuda_kernel.n_launches of families that transpose B in layout nk, and nothing else. */
size_t spt_transposed_workspace(const spt_prepared *prepared, int64_t n);
int spt_transposed_n_launches(const spt_prepared *prepared, const spt_call *call);
/* The record of the first launch; kernel: the number of transpose_b among the source's. Errors: EUNSUPPORTED for a
 * width that does not fit the kernel's 32 bits. */
spt_status spt_launch_transpose(spt_cuda_launch *out, int kernel, const spt_prepared *prepared, const spt_call *call);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* conv3x3_ptx_baked: a 3x3 convolution with sparse weights, stride 1 or 2, as straight-line PTX; the pattern, the
 * image's size and the padding are in the text (codegen/emit_ptx.h). After Wang, "SparseRT" (PACT 2020, arXiv
 * 2008.11849), section on 3x3 convolutions; ours: a tap outside of the image is not read at all, so that nothing beside
 * the image reaches the sum. Workload: f32 layers in NCHW whose channels are height * width long; another leading
 * dimension runs a kernel that reads CSR. A layer takes seconds to assemble: never an untuned answer. */
#include "variants/cuda/ptx_baked.h"

const spt_family spt_family_conv3x3_ptx_baked = {
    .name = "conv3x3_ptx_baked",
    .summary = "CUDA: a 3x3 convolution's pattern as PTX, with true zero padding (after SparseRT, arXiv 2008.11849)",
    .op = SPT_CONV2D,
    .revision = 5,
    SPT_PTX_BAKED_VERBS,
};

/* SPDX-License-Identifier: Apache-2.0 */
/* spmm_ptx_baked: the pattern as straight-line PTX, one function per block of rows (codegen/emit_ptx.h). After Wang,
 * "SparseRT: Accelerating Unstructured Sparsity on GPUs for Deep Learning Inference" (PACT 2020, arXiv 2008.11849).
 * Workload: f32 layers in layout kn whose rows of B are n long, which is what the text knows; a call with another
 * leading dimension of B runs a kernel that reads CSR. A layer takes seconds to assemble: never an untuned answer.
 * Bound: multiply-adds, whose code every multiprocessor reads once per tile of columns. */
#include "variants/cuda/ptx_baked.h"

const spt_family spt_family_spmm_ptx_baked = {
    .name = "spmm_ptx_baked",
    .summary = "CUDA: the pattern as PTX, rows in registers share loads of B (after SparseRT, arXiv 2008.11849)",
    .op = SPT_SPMM,
    .revision = 6,
    SPT_PTX_BAKED_VERBS,
};

/* SPDX-License-Identifier: Apache-2.0 */
/* What the families of pattern-baked PTX have in common: axes, descriptions, packing and launches. A product and a
 * convolution differ in what the emitter is told (codegen/emit_ptx.h), which the workload's operation says. */
#ifndef SPT_VARIANTS_CUDA_PTX_BAKED_H
#define SPT_VARIANTS_CUDA_PTX_BAKED_H

#include "variants/codegen/emit_ptx.h"
#include "variants/cuda/kernel.h"

#define SPT_PTX_QUICK "-Xptxas=-O1" /* the assembler's option for texts of functions */

enum { SPT_PTX_BAKED_AXES = 11 };

extern const spt_axis spt_ptx_baked_axes[SPT_PTX_BAKED_AXES];
extern const spt_cuda_kernel spt_ptx_baked_kernel;
/* Options of the assembler for a text of functions: less search, and an upper limit of registers. */
void spt_ptx_baked_options(spt_cuda_source *out, int rows, const spt_ptx_target *target);
bool spt_ptx_baked_is_valid(const spt_workload *workload, const spt_device *device, const spt_point *point);
void spt_ptx_baked_default_point(const spt_workload *workload, const spt_device *device, spt_point *out);
double spt_ptx_baked_bound_ns(const spt_workload *workload, const spt_device *device, const spt_point *point);

/* The descriptor but for name, summary, op and revision. */
#define SPT_PTX_BAKED_VERBS                                                                                            \
    .takes_residual = true, .batch_max = 65535, .dtypes = SPT_DTYPE_BIT(SPT_F32), .axes = spt_ptx_baked_axes,          \
    .n_axes = SPT_PTX_BAKED_AXES, .cuda = &spt_ptx_baked_kernel, .is_valid = spt_ptx_baked_is_valid,                   \
    .default_point = spt_ptx_baked_default_point, .bound_ns = spt_ptx_baked_bound_ns, SPT_CUDA_VERBS

#endif

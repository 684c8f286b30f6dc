/* SPDX-License-Identifier: Apache-2.0 */
/* The values that CUDA families hand to an engine: sources with options, packed buffers, launch records. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/memory.h"
#include "variants/cuda/kernel.h"

void spt_cuda_source_init(spt_cuda_source *out, const char *text, size_t text_bytes, const char *const *kernels,
                          int n_kernels, const spt_workload *workload) {
    const spt_problem *problem = &workload->problem;
    const spt_epilogue_row *epilogue = spt_epilogue_get(problem->epilogue);
    *out = (spt_cuda_source){
        .language = SPT_CUDA_C, .text = text, .text_bytes = text_bytes, .kernels = kernels, .n_kernels = n_kernels};
    spt_cuda_define(out, "SPT_DTYPE", problem->dtype);
    spt_cuda_define(out, "SPT_LAYOUT_NK", problem->layout == SPT_NK);
    spt_cuda_define(out, "SPT_HAS_BIAS", epilogue->has_bias);
    spt_cuda_define(out, "SPT_RELU", epilogue->activation == SPT_RELU);
}

void spt_cuda_define(spt_cuda_source *source, const char *name, int64_t value) {
    assert(strncmp(name, "SPT_", 4) == 0 && source->n_defines < SPT_CUDA_DEFINES_MAX);
    char *out = source->defines[source->n_defines++];
    const int length = snprintf(out, sizeof source->defines[0], "-D%s=%" PRId64, name, value);
    assert(length < (int)sizeof source->defines[0]);
    (void)length;
}

void spt_cuda_source_fini(spt_cuda_source *source) {
    spt_free(source->owned_text);
    spt_free(source->owned_kernels);
    *source = (spt_cuda_source){0};
}

spt_status spt_cuda_packed_add(spt_cuda_packed *packed, const char *name, size_t bytes, void **data) {
    assert(packed->n_buffers < SPT_CUDA_BUFFERS_MAX);
    *data = spt_alloc_zeroed(bytes, 1);
    if (*data == NULL)
        return SPT_ENOMEM;
    packed->buffers[packed->n_buffers++] = (spt_cuda_buffer){name, *data, bytes};
    return SPT_OK;
}

void spt_cuda_packed_fini(spt_cuda_packed *packed) {
    for (int i = 0; i < packed->n_buffers; i++)
        spt_free(packed->buffers[i].data);
    *packed = (spt_cuda_packed){0};
}

const spt_cuda_packed *spt_cuda_packed_of(const spt_prepared *prepared) {
    return prepared->state;
}

static void pass(spt_cuda_launch *launch, spt_cuda_arg_kind kind, int index, int64_t value) {
    assert(launch->n_args < SPT_CUDA_ARGS_MAX);
    launch->args[launch->n_args++] = (spt_cuda_arg){kind, index, value};
}

void spt_cuda_pass_buffer(spt_cuda_launch *launch, int buffer) {
    pass(launch, SPT_CUDA_BUFFER, buffer, 0);
}

void spt_cuda_pass_operand(spt_cuda_launch *launch, char role) {
    pass(launch, SPT_CUDA_OPERAND, role, 0);
}

void spt_cuda_pass_workspace(spt_cuda_launch *launch, int64_t offset_bytes) {
    pass(launch, SPT_CUDA_WORKSPACE, 0, offset_bytes);
}

void spt_cuda_pass_i32(spt_cuda_launch *launch, int64_t value) {
    assert(value >= INT32_MIN && value <= INT32_MAX);
    pass(launch, SPT_CUDA_I32, 0, value);
}

void spt_cuda_pass_i64(spt_cuda_launch *launch, int64_t value) {
    pass(launch, SPT_CUDA_I64, 0, value);
}

#define LAUNCH_NS 2500.0 /* from one kernel's start to the next one's on a stream */

double spt_cuda_bound_ns(const spt_device *device, double flops, bool uses_tensor, double l2_bytes, double dram_bytes) {
    const double compute_ns = flops / (uses_tensor ? device->tensor_gflops : device->fma_gflops);
    const double l2_ns = l2_bytes / device->l2_gbs, dram_ns = dram_bytes / device->dram_gbs;
    const double memory_ns = l2_ns > dram_ns ? l2_ns : dram_ns;
    return LAUNCH_NS + (compute_ns > memory_ns ? compute_ns : memory_ns);
}

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
    spt_cuda_define(out, "SPT_HAS_RESIDUAL", epilogue->has_residual);
    spt_cuda_define(out, "SPT_RELU", epilogue->activation == SPT_RELU);
    out->n_shared_defines = out->n_defines;
}

void spt_cuda_define(spt_cuda_source *source, const char *name, int64_t value) {
    assert(strncmp(name, "SPT_", 4) == 0 && source->n_defines < SPT_CUDA_DEFINES_MAX);
    char *out = source->defines[source->n_defines++];
    const int length = snprintf(out, sizeof source->defines[0], "-D%s=%" PRId64, name, value);
    assert(length < (int)sizeof source->defines[0]);
    (void)length;
}

/* ---- modules ---- */

void spt_cuda_source_split(spt_cuda_source *source, uint32_t shared_kernels) {
    assert(source->language == SPT_CUDA_C && source->n_kernels <= 32);
    source->is_split = true;
    source->shared_kernels = shared_kernels;
}

int spt_cuda_source_n_modules(const spt_cuda_source *source) {
    return source->is_split ? source->n_kernels : 1;
}

void spt_cuda_source_module(spt_cuda_source *out, const spt_cuda_source *source, int module) {
    *out = *source;
    out->owned_text = out->owned_kernels = NULL;
    if (!source->is_split)
        return;
    if ((source->shared_kernels >> module & 1) != 0)
        out->n_defines = source->n_shared_defines;
    out->is_split = false;
    out->kernels = source->kernels + module;
    out->n_kernels = 1;
    spt_cuda_define(out, "SPT_ENTRY", module);
}

/* A call as the tuner makes it; nothing is read from its operands. */
static void natural_call(spt_call *out, const spt_workload *workload) {
    static const _Alignas(256) char aligned[256];
    const spt_pattern *pattern = &workload->pattern;
    const int64_t n = workload->problem.n;
    const bool is_nk = workload->problem.layout == SPT_NK;
    *out = (spt_call){.n = n,
                      .b = aligned,
                      .x = aligned,
                      .y = aligned,
                      .ldb = is_nk ? pattern->n_cols : n,
                      .ldx = is_nk ? pattern->n_rows : n,
                      .ldy = is_nk ? pattern->n_cols : n,
                      .c = (void *)(uintptr_t)aligned,
                      .s = (void *)(uintptr_t)aligned,
                      .ldc = is_nk ? pattern->n_rows : n};
}

uint32_t spt_cuda_modules_wanted(const spt_cuda_source *source, const spt_family *family, const spt_workload *workload,
                                 const spt_device *device, const spt_point *point) {
    const uint32_t every = source->is_split ? (uint32_t)(((uint64_t)1 << source->n_kernels) - 1) : 1;
    spt_cuda_packed nothing = {0};
    spt_prepared prepared = {
        .family = family, .point = *point, .workload = *workload, .device = *device, .state = &nothing};
    uint32_t wanted = 0;
    spt_call call;
    if (!source->is_split)
        return every;
    natural_call(&call, workload);
    const int n_launches = family->cuda->n_launches != NULL ? family->cuda->n_launches(&prepared, &call) : 1;
    for (int i = 0; i < n_launches; i++) {
        spt_cuda_launch record = {0};
        if (family->cuda->launch(&record, &prepared, &call, i) != SPT_OK)
            return every;
        wanted |= (uint32_t)1 << record.kernel;
    }
    return wanted;
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

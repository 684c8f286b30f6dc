/* SPDX-License-Identifier: Apache-2.0 */
/* Staging of host operands. Gaps between rows travel too, so that they come back as they were. */
#include "variants/cuda/stage.h"

#include "variants/cuda/device.h"
#include "variants/operation.h"

static spt_status stage_operand(spt_cuda_stage *self, const void **pointer, size_t bytes, bool is_output) {
    spt_cuda_staged *item = &self->items[self->n_items];
    *item = (spt_cuda_staged){.bytes = bytes, .host = is_output ? (void *)(uintptr_t)*pointer : NULL};
    SPT_TRY(spt_cuda_alloc(&item->device, bytes));
    self->n_items++;
    SPT_TRY(spt_cuda_upload(item->device, *pointer, bytes));
    *pointer = item->device;
    return SPT_OK;
}

static spt_status stage_operands(spt_cuda_stage *self, const spt_prepared *prepared) {
    spt_workload workload = prepared->workload;
    spt_call *call = &self->call;
    workload.problem.n = call->n;
    const size_t item = spt_dtype_bytes(workload.problem.dtype);
    const spt_operation *operation = spt_operation_get(workload.problem.op);
    const void *c = call->c, *s = call->s;
    const struct {
        char role;
        const void **pointer;
        int64_t ld;
    } places[] = {{'b', &call->b, call->ldb},
                  {'x', &call->x, call->ldx},
                  {'y', &call->y, call->ldy},
                  {'c', &c, call->ldc},
                  {'s', &s, 1}};
    for (int i = 0; i < operation->n_operands; i++) {
        const spt_operand_row *operand = &operation->operands[i];
        int64_t rows, cols;
        spt_operand_shape(&rows, &cols, operand, &workload);
        for (size_t j = 0; j < sizeof places / sizeof places[0]; j++)
            if (places[j].role == operand->role[0])
                SPT_TRY(stage_operand(self, places[j].pointer,
                                      rows > 0 ? (size_t)((rows - 1) * places[j].ld + cols) * item : 0,
                                      operand->is_output));
    }
    call->c = (void *)(uintptr_t)c;
    call->s = (void *)(uintptr_t)s;
    if (call->residual != NULL) {
        int64_t rows, cols;
        spt_operand_shape(&rows, &cols, &operation->operands[operation->n_operands - 1], &workload);
        SPT_TRY(stage_operand(self, &call->residual, (size_t)((rows - 1) * call->ldr + cols) * item, false));
    }
    if (call->bias != NULL)
        SPT_TRY(stage_operand(self, &call->bias, (size_t)workload.pattern.n_rows * item, false));
    return SPT_OK;
}

spt_status spt_cuda_stage_init(spt_cuda_stage *out, const spt_prepared *prepared, const spt_call *call, bool is_host) {
    *out = (spt_cuda_stage){.call = *call};
    const spt_family *family = prepared->family;
    const size_t workspace_bytes = family->workspace != NULL ? family->workspace(prepared, call->n) : 0;
    if (is_host)
        SPT_TRY(stage_operands(out, prepared));
    if (workspace_bytes > 0 && (is_host || call->workspace == NULL)) {
        SPT_TRY(spt_cuda_alloc(&out->workspace, workspace_bytes));
        out->call.workspace = out->workspace;
    }
    return SPT_OK;
}

spt_status spt_cuda_stage_return(const spt_cuda_stage *stage) {
    for (int i = 0; i < stage->n_items; i++)
        if (stage->items[i].host != NULL)
            SPT_TRY(spt_cuda_download(stage->items[i].host, stage->items[i].device, stage->items[i].bytes));
    return SPT_OK;
}

void spt_cuda_stage_fini(spt_cuda_stage *stage) {
    for (int i = 0; i < stage->n_items; i++)
        spt_cuda_free(stage->items[i].device);
    spt_cuda_free(stage->workspace);
    *stage = (spt_cuda_stage){0};
}

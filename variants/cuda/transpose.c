/* SPDX-License-Identifier: Apache-2.0 */
/* The launch that transposes B into the workspace. */
#include "variants/cuda/transpose.h"

#include "variants/cuda/rows.h"

enum { PAD = 8, TILE = 32, THREADS = 256, GRID_Y_MAX = 65535 };

int64_t spt_transposed_ld(int64_t n) {
    return spt_round_up(n, PAD);
}

size_t spt_transposed_workspace(const spt_prepared *prepared, int64_t n) {
    const spt_workload *workload = &prepared->workload;
    if (workload->problem.layout == SPT_KN)
        return 0;
    return (size_t)(workload->pattern.n_cols * spt_transposed_ld(n)) * spt_dtype_bytes(workload->problem.dtype);
}

int spt_transposed_n_launches(const spt_prepared *prepared, const spt_call *call) {
    (void)call;
    return prepared->workload.problem.layout == SPT_NK ? 2 : 1;
}

spt_status spt_launch_transpose(spt_cuda_launch *out, int kernel, const spt_prepared *prepared, const spt_call *call) {
    const int64_t k = prepared->workload.pattern.n_cols;
    SPT_TRY(spt_check_i32(call->n + (GRID_Y_MAX + 1) * TILE, "n"));
    out->kernel = kernel;
    out->grid[0] = (uint32_t)spt_ceil_div(k, TILE);
    out->grid[1] = (uint32_t)(call->n > GRID_Y_MAX * TILE ? GRID_Y_MAX : spt_ceil_div(call->n, TILE));
    out->grid[2] = out->block[1] = out->block[2] = 1;
    out->block[0] = THREADS;
    spt_cuda_pass_workspace(out, 0);
    spt_cuda_pass_i64(out, spt_transposed_ld(call->n));
    spt_cuda_pass_operand(out, 'b');
    spt_cuda_pass_i64(out, call->ldb);
    spt_cuda_pass_i32(out, call->n);
    spt_cuda_pass_i32(out, k);
    return SPT_OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* C = activation(C + bias + residual) in place, for libraries that multiply and no more. One thread per element; the rows of C, in
 * either layout, go over the y and z of the grid. */
#ifndef __CUDACC_RTC__
#include "variants/cuda/vendor.h"

SPT_CUDA_TEXT(vendor_epilogue);

static const char *const kernels[] = {"vendor_epilogue"};
enum { THREADS = 256, GRID_Y = 16384 };

int spt_cuda_epilogue_launches(const spt_prepared *prepared, const spt_call *call) {
    (void)call;
    return prepared->workload.problem.epilogue != SPT_EPILOGUE_NONE;
}

spt_status spt_cuda_epilogue_describe(spt_cuda_source *out, const spt_workload *workload, const spt_device *device,
                                      const spt_point *point, const spt_csr *a) {
    (void)device;
    (void)point;
    (void)a;
    *out = (spt_cuda_source){0}; /* no kernels: nothing to compile */
    if (workload->problem.epilogue != SPT_EPILOGUE_NONE)
        SPT_CUDA_SOURCE(out, vendor_epilogue, kernels, workload);
    return SPT_OK;
}

spt_status spt_cuda_epilogue_launch(spt_cuda_launch *out, const spt_prepared *prepared, const spt_call *call,
                                    int index) {
    (void)index;
    const bool is_nk = prepared->workload.problem.layout == SPT_NK;
    const int64_t m = prepared->workload.pattern.n_rows;
    const int64_t rows = is_nk ? call->n : m, cols = is_nk ? m : call->n;
    const int64_t grid_y = rows < GRID_Y ? rows : GRID_Y;
    out->grid[0] = (uint32_t)((cols + THREADS - 1) / THREADS);
    out->grid[1] = (uint32_t)grid_y;
    out->grid[2] = (uint32_t)((rows + grid_y - 1) / grid_y);
    out->block[0] = THREADS;
    out->block[1] = out->block[2] = 1;
    spt_cuda_pass_operand(out, 'c');
    spt_cuda_pass_operand(out, 'i');
    spt_cuda_pass_i64(out, rows);
    spt_cuda_pass_i64(out, cols);
    spt_cuda_pass_i64(out, call->ldc);
    spt_cuda_pass_operand(out, 'r');
    spt_cuda_pass_i64(out, call->ldr);
    return SPT_OK;
}

#else // kernel half
SPT_KERNEL SPT_BOUNDS(256, 1) vendor_epilogue(spt_element *c, const spt_element *bias, long long rows, long long cols,
                                              long long ldc, const spt_element *residual, long long ldr) {
    const long long row = (long long)blockIdx.z * gridDim.y + blockIdx.y;
    const long long col = (long long)blockIdx.x * 256 + threadIdx.x;
    if (row < rows && col < cols) {
        float sum = spt_widen(spt_ldg_coherent(c + row * ldc + col));
        if (SPT_HAS_BIAS)
            sum += spt_widen(spt_ldg(bias + (SPT_LAYOUT_NK ? col : row)));
        if (SPT_HAS_RESIDUAL)
            sum += spt_widen(spt_ldg(residual + row * ldr + col));
        if (SPT_RELU && sum < 0.0f)
            sum = 0.0f;
        spt_stg(c + row * ldc + col, spt_narrow(sum));
    }
}
#endif // __CUDACC_RTC__

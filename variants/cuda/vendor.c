/* SPDX-License-Identifier: Apache-2.0 */
/* Loading of libraries, and A as a dense matrix. */
#include "variants/cuda/vendor.h"

#include <stdlib.h>
#include <string.h>

#include "variants/cuda/library_path.h"
#include "variants/vendor/library.h"

#define DENSE_BYTES_MAX 4294967296.0

bool spt_cuda_load(const char *const *names, const spt_cuda_symbol *symbols, int n_symbols) {
    const char *wanted = getenv("SPARSETUNE_CUDA");
    if (wanted != NULL && strcmp(wanted, "kernels") == 0) /* our own kernels alone */
        return false;
    void *library = spt_cuda_library_open(names);
    for (int i = 0; i < n_symbols; i++) {
        void *symbol = spt_library_symbol(library, symbols[i].name);
        if (symbol == NULL)
            return false;
        memcpy(symbols[i].target, &symbol, sizeof symbol);
    }
    return true;
}

bool spt_cuda_dense_fits(const spt_workload *workload) {
    return (double)spt_dtype_bytes(workload->problem.dtype) * (double)workload->pattern.n_rows *
               (double)workload->pattern.n_cols <=
           DENSE_BYTES_MAX;
}

size_t spt_cuda_vendor_workspace(const spt_prepared *prepared, int64_t n) {
    (void)prepared;
    (void)n;
    return SPT_CUDA_VENDOR_WORKSPACE;
}

spt_status spt_cuda_pack_dense(spt_cuda_packed *out, const spt_workload *workload, const spt_device *device,
                               const spt_point *point, const spt_csr *a) {
    (void)device;
    (void)point;
    const size_t item = spt_dtype_bytes(workload->problem.dtype);
    void *dense;
    SPT_TRY(spt_cuda_packed_add(out, "dense", (size_t)(a->n_rows * a->n_cols) * item, &dense));
    for (int64_t row = 0; row < a->n_rows; row++)
        for (int64_t nz = a->row_offsets[row]; nz < a->row_offsets[row + 1]; nz++)
            memcpy((char *)dense + (size_t)(row * a->n_cols + a->columns[nz]) * item,
                   (const char *)a->values + (size_t)nz * item, item);
    return SPT_OK;
}

double spt_cuda_dense_bound_ns(const spt_workload *workload, const spt_device *device, const spt_point *point) {
    (void)point;
    const spt_problem *problem = &workload->problem;
    const double m = (double)workload->pattern.n_rows, k = (double)workload->pattern.n_cols, n = (double)problem->n;
    const double bytes = (double)spt_dtype_bytes(problem->dtype) * (m * k + k * n + m * n);
    return spt_cuda_bound_ns(device, 2.0 * m * k * n, problem->dtype != SPT_F32, bytes,
                             bytes > (double)device->l2_bytes ? bytes : 0.0);
}

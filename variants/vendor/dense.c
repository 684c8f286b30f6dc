/* SPDX-License-Identifier: Apache-2.0 */
/* A as a dense matrix. The zeros are written once; new values go to the same places, which are kept as CSR. */
#include "variants/vendor/dense.h"

#include "core/memory.h"
#include "variants/bound.h"

#define DENSE_BYTES_MAX 4294967296.0
/* Of a BLAS call before it computes: measured on a 64 x 64 x 5 product; less for smaller ones, of which 8 x 8 x 8 takes
 * 68 ns in all. Between the two the bound is a straight line. */
#define CALL_NS 600.0
#define CALL_LEAST_NS 40.0
#define CALL_PRODUCTS (64.0 * 64.0 * 5.0)

typedef struct dense_state {
    float *dense;      /* m x k, row-major */
    spt_matrix places; /* the pattern, without values */
} dense_state;

bool spt_dense_fits(const spt_workload *workload) {
    return 4.0 * (double)workload->pattern.n_rows * (double)workload->pattern.n_cols <= DENSE_BYTES_MAX;
}

double spt_dense_bound_ns(const spt_workload *workload, const spt_device *device, const spt_point *point) {
    (void)point;
    const spt_ceilings *ceilings = spt_ceilings_get(device);
    const double m = (double)workload->pattern.n_rows, k = (double)workload->pattern.n_cols;
    const double n = (double)workload->problem.n;
    const double size = m * k * n < CALL_PRODUCTS ? m * k * n / CALL_PRODUCTS : 1.0;
    const double call_ns = CALL_LEAST_NS + size * (CALL_NS - CALL_LEAST_NS);
    const double multiply_ns = 2.0 * m * k * n / ceilings->dense_gflops;
    const double read_ns = spt_read_ns(ceilings, device, 4.0 * (m * k + k * n + m * n), 4.0 * m * k);
    return call_ns + (multiply_ns > read_ns ? multiply_ns : read_ns) / workload->problem.threads;
}

void spt_dense_release(spt_prepared *prepared) {
    dense_state *state = prepared->state;
    if (state == NULL)
        return;
    spt_free(state->dense);
    spt_matrix_fini(&state->places);
    spt_free(state);
    prepared->state = NULL;
}

spt_status spt_dense_prepare(spt_prepared *prepared, const spt_csr *a) {
    dense_state *state;
    spt_status status = SPT_OK;
    spt_csr pattern = *a;
    pattern.values = NULL;
    SPT_TRY(SPT_NEW_ZEROED(state, 1));
    prepared->state = state;
    SPT_TRY_TO(done, SPT_NEW(state->dense, a->n_rows * a->n_cols));
    SPT_TRY_TO(done, spt_matrix_copy(&state->places, &pattern));
    spt_csr_to_dense(state->dense, a);
    prepared->packed_bytes = (size_t)(a->n_rows * a->n_cols) * sizeof *state->dense +
                             (size_t)(a->n_rows + 1) * sizeof(int64_t) + (size_t)spt_csr_nnz(a) * sizeof(int32_t);
done:
    if (status != SPT_OK)
        spt_dense_release(prepared);
    return status;
}

spt_status spt_dense_set_values(spt_prepared *prepared, const void *values) {
    const dense_state *state = prepared->state;
    const spt_csr *places = &state->places.view;
    const float *from = values;
    for (int64_t row = 0; row < places->n_rows; row++) {
        for (int64_t nz = places->row_offsets[row]; nz < places->row_offsets[row + 1]; nz++)
            state->dense[row * places->n_cols + places->columns[nz]] = from[nz];
    }
    return SPT_OK;
}

const float *spt_dense_matrix(const spt_prepared *prepared) {
    return ((const dense_state *)prepared->state)->dense;
}

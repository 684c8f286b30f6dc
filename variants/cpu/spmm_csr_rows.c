/* SPDX-License-Identifier: Apache-2.0 */
/* spmm_csr_rows: the loop that everybody writes first. Rows of A one after the other, C in memory, no tunables. It is
 * the family that always works, and the floor that the others must beat. */
#include "variants/bound.h"
#include "variants/cpu/csr_copy.h"
#include "variants/cpu/plain_row.h"
#include "variants/isa.h"
#include "variants/parts.h"

typedef void rows_run(const spt_csr *a, const spt_call *call, spt_layout layout, bool has_relu, spt_range rows);

/* c[row, 0..n) = act(bias[row] + sum over nz of a[nz] * b[column, 0..n)) */
static void run_row_kn(const spt_csr *a, const spt_call *call, bool has_relu, int64_t row) {
    const float *values = a->values;
    float *restrict c = (float *)call->c + row * call->ldc;
    plain_row_begin(c, call, row);
    for (int64_t nz = a->row_offsets[row]; nz < a->row_offsets[row + 1]; nz++) {
        const float *restrict b = (const float *)call->b + a->columns[nz] * call->ldb;
        const float value = values[nz];
        for (int64_t j = 0; j < call->n; j++)
            c[j] += value * b[j];
    }
    plain_row_end(c, call, has_relu);
}

/* c[0..n, row) the same way, with B and C stored token by token */
static void run_row_nk(const spt_csr *a, const spt_call *call, bool has_relu, int64_t row) {
    const float *values = a->values, *bias = call->bias;
    for (int64_t j = 0; j < call->n; j++) {
        const float *b = (const float *)call->b + j * call->ldb;
        float sum = bias != NULL ? bias[row] : 0.0f;
        if (call->residual != NULL)
            sum += ((const float *)call->residual)[j * call->ldr + row];
        for (int64_t nz = a->row_offsets[row]; nz < a->row_offsets[row + 1]; nz++)
            sum += values[nz] * b[a->columns[nz]];
        ((float *)call->c)[j * call->ldc + row] = has_relu && sum < 0.0f ? 0.0f : sum;
    }
}

extern rows_run SPT_ISA_NAME(rows_run_f32);
void SPT_ISA_NAME(rows_run_f32)(const spt_csr *a, const spt_call *call, spt_layout layout, bool has_relu,
                                spt_range rows) {
    for (int64_t row = rows.begin; row < rows.end; row++) {
        if (layout == SPT_KN)
            run_row_kn(a, call, has_relu, row);
        else
            run_row_nk(a, call, has_relu, row);
    }
}

#if SPT_EMIT_DESCRIPTOR

SPT_ISA_TABLE(rows_run, rows_run_f32)

static bool is_valid(const spt_workload *workload, const spt_device *device, const spt_point *point) {
    (void)workload;
    (void)device;
    (void)point;
    return true;
}

/* Every nonzero reads a row of B and reads and writes a row of C, from the level that B lives in. Layout nk gathers one
 * element at a time. */
static double bound_ns(const spt_workload *workload, const spt_device *device, const spt_point *point) {
    (void)point;
    const spt_ceilings *ceilings = spt_ceilings_get(device);
    const double n = (double)workload->problem.n, nnz = (double)workload->pattern.nnz;
    const double b_bytes = 4.0 * n * (double)workload->pattern.n_cols;
    if (workload->problem.layout == SPT_NK)
        return nnz * n / (double)workload->problem.threads;
    return (spt_read_ns(ceilings, device, 12.0 * nnz * n, b_bytes) + nnz) / (double)workload->problem.threads;
}

static spt_status run_part(const spt_prepared *prepared, const spt_call *call, int part, int n_parts) {
    const spt_csr *a = &((const spt_matrix *)prepared->state)->view;
    const spt_problem *problem = &prepared->workload.problem;
    rows_run_f32_for(prepared->device.isa)(a, call, problem->layout,
                                           spt_epilogue_get(problem->epilogue)->activation == SPT_RELU,
                                           spt_rows_of_part(a->row_offsets, a->n_rows, part, n_parts));
    return SPT_OK;
}

const spt_family spt_family_spmm_csr_rows = {
    .name = "spmm_csr_rows",
    .summary = "plain CSR, one row after the other",
    .op = SPT_SPMM,
    .device = SPT_CPU,
    .dtypes = SPT_DTYPE_BIT(SPT_F32),
    .revision = 1,
    .takes_residual = true,
    .is_valid = is_valid,
    .default_point = spt_family_first_point,
    .bound_ns = bound_ns,
    .prepare = csr_copy_prepare,
    .set_values = csr_copy_set_values,
    .run_part = run_part,
    .release = csr_copy_release,
};

#endif

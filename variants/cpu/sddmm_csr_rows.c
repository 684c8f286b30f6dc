/* SPDX-License-Identifier: Apache-2.0 */
/* sddmm_csr_rows: s[nz] = x[row, :] . y[column, :], row by row. Layout kn takes dot products of contiguous rows,
 * several columns at once so that a row of X is loaded once for them; layout nk walks the inner dimension outside and
 * adds a gathered row of Y to a chunk of results. */
#include "variants/bound.h"
#include "variants/cpu/csr_copy.h"
#include "variants/cpu/simd.h"
#include "variants/isa.h"
#include "variants/parts.h"

enum { AXIS_COLUMNS, N_AXES };
enum { COLUMNS_MAX = 8, CHUNK = 64 };

typedef void sddmm_run(const spt_csr *mask, const spt_call *call, spt_layout layout, int columns, spt_range rows);

/* s[0..count) = x . y[column[i], :] for `count` nonzeros of one row. */
SPT_INLINE void dot_columns(float *s, const float *x, const float *y, int64_t ldy, const int32_t *column, int64_t n,
                            const int count) {
    spt_vec sum[COLUMNS_MAX];
#pragma GCC unroll 8
    for (int i = 0; i < count; i++)
        sum[i] = vec_zero();
    for (int64_t j = 0; j < n; j += SPT_LANES) {
        const spt_mask lanes = vec_first((int)(n - j < SPT_LANES ? n - j : SPT_LANES));
        const spt_vec part = vec_load_masked(lanes, x + j);
#pragma GCC unroll 8
        for (int i = 0; i < count; i++)
            sum[i] = vec_fma(part, vec_load_masked(lanes, y + column[i] * ldy + j), sum[i]);
    }
#pragma GCC unroll 8
    for (int i = 0; i < count; i++)
        s[i] = vec_sum(sum[i]);
}

static void run_row_kn(const spt_csr *mask, const spt_call *call, int columns, int64_t row) {
    const float *x = (const float *)call->x + row * call->ldx, *y = call->y;
    float *s = call->s;
    int64_t nz = mask->row_offsets[row];
    const int64_t end = mask->row_offsets[row + 1];
    for (; columns >= 8 && nz + 8 <= end; nz += 8)
        dot_columns(s + nz, x, y, call->ldy, mask->columns + nz, call->n, 8);
    for (; columns >= 4 && nz + 4 <= end; nz += 4)
        dot_columns(s + nz, x, y, call->ldy, mask->columns + nz, call->n, 4);
    for (; nz < end; nz++)
        dot_columns(s + nz, x, y, call->ldy, mask->columns + nz, call->n, 1);
}

static void run_row_nk(const spt_csr *mask, const spt_call *call, int64_t row) {
    const float *x = (const float *)call->x + row;
    for (int64_t begin = mask->row_offsets[row]; begin < mask->row_offsets[row + 1]; begin += CHUNK) {
        const int64_t left = mask->row_offsets[row + 1] - begin, count = left < CHUNK ? left : CHUNK;
        const int32_t *column = mask->columns + begin;
        float sum[CHUNK] = {0.0f};
        for (int64_t j = 0; j < call->n; j++) {
            const float weight = x[j * call->ldx];
            const float *y = (const float *)call->y + j * call->ldy;
            for (int64_t i = 0; i < count; i++)
                sum[i] += weight * y[column[i]];
        }
        memcpy((float *)call->s + begin, sum, (size_t)count * sizeof *sum);
    }
}

extern sddmm_run SPT_ISA_NAME(sddmm_run_f32);
void SPT_ISA_NAME(sddmm_run_f32)(const spt_csr *mask, const spt_call *call, spt_layout layout, int columns,
                                 spt_range rows) {
    for (int64_t row = rows.begin; row < rows.end; row++) {
        if (layout == SPT_KN)
            run_row_kn(mask, call, columns, row);
        else
            run_row_nk(mask, call, row);
    }
}

#if SPT_EMIT_DESCRIPTOR

SPT_ISA_TABLE(sddmm_run, sddmm_run_f32)

static const spt_axis_value columns_values[] = {{1, NULL}, {4, NULL}, {8, NULL}};
static const spt_axis axes[N_AXES] = {
    [AXIS_COLUMNS] = {"columns", "nonzeros of a row that share each loaded vector of X", columns_values, 3},
};

static bool is_valid(const spt_workload *workload, const spt_device *device, const spt_point *point) {
    (void)device;
    return workload->problem.layout == SPT_KN ||
           spt_point_value(axes, point, AXIS_COLUMNS) == 1; /* nk has no such axis */
}

static void default_point(const spt_workload *workload, const spt_device *device, spt_point *out) {
    (void)device;
    *out = (spt_point){{[AXIS_COLUMNS] = workload->problem.layout == SPT_KN ? 1 : 0}};
}

/* Adding up the lanes of one sum by itself; measured in L1. */
#define SUM_NS 3.0

static double bound_ns(const spt_workload *workload, const spt_device *device, const spt_point *point) {
    const spt_ceilings *ceilings = spt_ceilings_get(device);
    const double n = (double)workload->problem.n, nnz = (double)workload->pattern.nnz;
    const double columns = spt_point_value(axes, point, AXIS_COLUMNS), threads = workload->problem.threads;
    if (workload->problem.layout == SPT_NK)
        return nnz * n / threads; /* about one gathered element per ns */
    const double bytes = 4.0 * nnz * n * (1.0 + 1.0 / columns);
    const double read_ns = spt_read_ns(ceilings, device, bytes, 4.0 * n * (double)workload->pattern.n_cols);
    return (read_ns + nnz * SUM_NS) / threads;
}

static spt_status run_part(const spt_prepared *prepared, const spt_call *call, int part, int n_parts) {
    const spt_csr *mask = &((const spt_matrix *)prepared->state)->view;
    sddmm_run_f32_for(prepared->device.isa)(mask, call, prepared->workload.problem.layout,
                                            spt_point_value(axes, &prepared->point, AXIS_COLUMNS),
                                            spt_rows_of_part(mask->row_offsets, mask->n_rows, part, n_parts));
    return SPT_OK;
}

const spt_family spt_family_sddmm_csr_rows = {
    .name = "sddmm_csr_rows",
    .summary = "sampled dense-dense product, one row of the mask after the other",
    .op = SPT_SDDMM,
    .device = SPT_CPU,
    .dtypes = SPT_DTYPE_BIT(SPT_F32),
    .axes = axes,
    .n_axes = N_AXES,
    .revision = 1,
    .is_valid = is_valid,
    .default_point = default_point,
    .bound_ns = bound_ns,
    .prepare = csr_copy_prepare,
    .set_values = csr_copy_set_values,
    .run_part = run_part,
    .release = csr_copy_release,
};

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* conv2d_csr_rows: a 3x3 convolution with sparse weights, the plain loop: each weight adds its multiple of a shifted
 * image to its channel of the output. Padding is not read: taps run over the places that they see. The family that
 * always works, and the floor that others must beat. */
#include "core/conv.h"
#include "variants/bound.h"
#include "variants/cpu/csr_copy.h"
#include "variants/cpu/plain_row.h"
#include "variants/isa.h"
#include "variants/parts.h"

typedef void conv_run(const spt_csr *a, const spt_call *call, const spt_conv *conv, bool has_relu, spt_range rows);

/* The outputs whose tap at `shift` (-1, 0, 1) lies inside of an extent. */
static spt_range outputs_inside(int64_t extent, int64_t out_extent, int stride, int64_t shift) {
    const int64_t last = extent - 1 - shift; /* of the middle's places */
    const int64_t end = last < 0 ? 0 : last / stride + 1;
    return (spt_range){shift < 0 ? 1 : 0, end < out_extent ? end : out_extent};
}

/* c[oy, ox] += value * x[oy * stride + dy, ox * stride + dx] */
static void add_tap(float *restrict c, const float *restrict x, float value, const spt_conv *conv, int64_t tap) {
    const int64_t dy = tap / SPT_CONV_WINDOW - 1, dx = tap % SPT_CONV_WINDOW - 1;
    const spt_range rows = outputs_inside(conv->height, conv->out_height, conv->stride, dy);
    const spt_range cols = outputs_inside(conv->width, conv->out_width, conv->stride, dx);
    for (int64_t oy = rows.begin; oy < rows.end; oy++) {
        const float *from = x + (oy * conv->stride + dy) * conv->width + dx;
        float *to = c + oy * conv->out_width;
        if (conv->stride == 1) {
            for (int64_t ox = cols.begin; ox < cols.end; ox++)
                to[ox] += value * from[ox];
        } else {
            for (int64_t ox = cols.begin; ox < cols.end; ox++)
                to[ox] += value * from[ox * 2];
        }
    }
}

extern conv_run SPT_ISA_NAME(conv_rows_f32);
void SPT_ISA_NAME(conv_rows_f32)(const spt_csr *a, const spt_call *call, const spt_conv *conv, bool has_relu,
                                 spt_range rows) {
    const float *values = a->values;
    for (int64_t row = rows.begin; row < rows.end; row++) {
        float *c = (float *)call->c + row * call->ldc;
        plain_row_begin(c, call, row);
        for (int64_t nz = a->row_offsets[row]; nz < a->row_offsets[row + 1]; nz++) {
            const int64_t tap = a->columns[nz] / conv->channels, channel = a->columns[nz] % conv->channels;
            add_tap(c, (const float *)call->b + channel * call->ldb, values[nz], conv, tap);
        }
        plain_row_end(c, call, has_relu);
    }
}

#if SPT_EMIT_DESCRIPTOR

SPT_ISA_TABLE(conv_run, conv_rows_f32)

static bool is_valid(const spt_workload *workload, const spt_device *device, const spt_point *point) {
    (void)workload;
    (void)device;
    (void)point;
    return true;
}

/* Every weight reads an image and reads and writes one, from the level that the input lives in. */
static double bound_ns(const spt_workload *workload, const spt_device *device, const spt_point *point) {
    (void)point;
    const spt_ceilings *ceilings = spt_ceilings_get(device);
    const spt_conv conv = spt_conv_of(&workload->problem, workload->pattern.n_cols);
    const double n = (double)workload->problem.n, nnz = (double)workload->pattern.nnz;
    const double input = 4.0 * (double)(conv.channels * conv.height * conv.width);
    return (spt_read_ns(ceilings, device, 12.0 * nnz * n * conv.stride, input) + nnz) /
           (double)workload->problem.threads;
}

static spt_status run_part(const spt_prepared *prepared, const spt_call *call, int part, int n_parts) {
    const spt_csr *a = &((const spt_matrix *)prepared->state)->view;
    const spt_problem *problem = &prepared->workload.problem;
    const spt_conv conv = spt_conv_of(problem, a->n_cols);
    conv_rows_f32_for(prepared->device.isa)(a, call, &conv, spt_epilogue_get(problem->epilogue)->activation == SPT_RELU,
                                            spt_rows_of_part(a->row_offsets, a->n_rows, part, n_parts));
    return SPT_OK;
}

const spt_family spt_family_conv2d_csr_rows = {
    .name = "conv2d_csr_rows",
    .summary = "3x3 convolution, plain CSR, one weight after the other",
    .op = SPT_CONV2D,
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

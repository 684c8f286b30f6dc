/* SPDX-License-Identifier: Apache-2.0 */
/* The table of operations and the shapes of their operands. */
#include "variants/operation.h"

#include "core/conv.h"
#include "variants/reference.h"

static const spt_operation operations[] = {
    [SPT_SPMM] = {SPT_SPMM,
                  2,
                  {{"b", SPT_EXTENT_K, SPT_EXTENT_N, false}, {"c", SPT_EXTENT_M, SPT_EXTENT_N, true}},
                  spt_reference_spmm},
    [SPT_SDDMM] = {SPT_SDDMM,
                   3,
                   {{"x", SPT_EXTENT_M, SPT_EXTENT_N, false},
                    {"y", SPT_EXTENT_K, SPT_EXTENT_N, false},
                    {"s", SPT_EXTENT_NNZ, SPT_EXTENT_ONE, true}},
                   spt_reference_sddmm},
    [SPT_CONV2D] = {SPT_CONV2D,
                    2,
                    {{"b", SPT_EXTENT_CHANNELS, SPT_EXTENT_IMAGE, false}, {"c", SPT_EXTENT_M, SPT_EXTENT_N, true}},
                    spt_reference_conv2d},
};

const spt_operation *spt_operation_get(spt_op op) {
    return &operations[op];
}

static int64_t extent(spt_extent kind, const spt_workload *workload) {
    switch (kind) {
    case SPT_EXTENT_M:
        return workload->pattern.n_rows;
    case SPT_EXTENT_K:
        return workload->pattern.n_cols;
    case SPT_EXTENT_N:
        return workload->problem.n;
    case SPT_EXTENT_NNZ:
        return workload->pattern.nnz;
    case SPT_EXTENT_CHANNELS:
        return spt_conv_of(&workload->problem, workload->pattern.n_cols).channels;
    case SPT_EXTENT_IMAGE:
        return workload->problem.height * workload->problem.width;
    default:
        return 1;
    }
}

void spt_operand_shape(int64_t *rows, int64_t *cols, const spt_operand_row *operand, const spt_workload *workload) {
    const bool is_vector = operand->cols == SPT_EXTENT_ONE;
    const bool is_transposed = workload->problem.layout == SPT_NK && !is_vector;
    *rows = extent(is_transposed ? operand->cols : operand->rows, workload);
    *cols = extent(is_transposed ? operand->rows : operand->cols, workload);
}

int64_t spt_operand_count(const spt_operand_row *operand, const spt_workload *workload) {
    return extent(operand->rows, workload) * extent(operand->cols, workload);
}

void spt_operand_bind(spt_args *args, const spt_operand_row *operand, void *data, int64_t ld, int64_t batch_stride) {
    const spt_input input = {data, ld, batch_stride};
    const spt_output output = {data, ld, batch_stride};
    switch (operand->role[0]) {
    case 'b':
        args->b = input;
        break;
    case 'x':
        args->x = input;
        break;
    case 'y':
        args->y = input;
        break;
    case 'c':
        args->c = output;
        break;
    default:
        args->s = output;
        break;
    }
}

double spt_workload_flops(const spt_workload *workload) {
    return 2.0 * (double)workload->pattern.nnz * (double)workload->problem.n;
}

double spt_workload_dense_flops(const spt_workload *workload) {
    return 2.0 * (double)workload->pattern.n_rows * (double)workload->pattern.n_cols * (double)workload->problem.n;
}

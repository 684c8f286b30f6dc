/* SPDX-License-Identifier: Apache-2.0 */
/* An operation is a table row: its dense operands, its size in flops, and its double-precision reference. */
#ifndef SPT_VARIANTS_OPERATION_H
#define SPT_VARIANTS_OPERATION_H

#include "core/key.h"

#define SPT_OPERANDS_MAX 3

typedef enum spt_extent {
    SPT_EXTENT_M,
    SPT_EXTENT_K,
    SPT_EXTENT_N,
    SPT_EXTENT_NNZ,
    SPT_EXTENT_ONE,
    SPT_EXTENT_CHANNELS,
    SPT_EXTENT_IMAGE
} spt_extent;

/* A dense operand: stored as rows x cols in layout kn; layout nk stores the transpose (vectors are not transposed). */
typedef struct spt_operand_row {
    const char *role; /* b c x y s: the field of spt_args */
    spt_extent rows, cols;
    bool is_output;
} spt_operand_row;

typedef struct spt_operation {
    spt_op op;
    int n_operands; /* the last one is the output */
    spt_operand_row operands[SPT_OPERANDS_MAX];
    /* Compute `value` and the legal deviation `tolerance` of each output element in double precision, both as tightly
     * packed as the output itself; operands of problem.dtype come through args. The stated bound is
     * 2 (terms + 2) eps_acc (sum |a||b| + |bias|) + eps_out |value|. */
    void (*reference)(double *value, double *tolerance, const spt_workload *workload, const spt_csr *a,
                      const spt_args *args);
} spt_operation;

const spt_operation *spt_operation_get(spt_op op);

/* Stored rows and columns of an operand, its elements, and the place of its data in args. */
void spt_operand_shape(int64_t *rows, int64_t *cols, const spt_operand_row *operand, const spt_workload *workload);
int64_t spt_operand_count(const spt_operand_row *operand, const spt_workload *workload);
void spt_operand_bind(spt_args *args, const spt_operand_row *operand, void *data, int64_t ld, int64_t batch_stride);

double spt_workload_flops(const spt_workload *workload);       /* 2 nnz n: the effective work */
double spt_workload_dense_flops(const spt_workload *workload); /* 2 m k n */

#endif

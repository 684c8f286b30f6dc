/* SPDX-License-Identifier: Apache-2.0 */
/* References in double precision, written to be read. The tolerance of an element is the usual forward bound of a sum
 * of `terms` products in any order (Higham, Accuracy and Stability of Numerical Algorithms, 2002, section 3.1):
 * 2 (terms + 2) eps_acc (sum |a||b| + |bias|) + eps_out |value|. Cost: O(nnz n), unit stride in layout kn. */
#include "variants/reference.h"

#include <math.h>
#include <string.h>

#include "core/element.h"

/* Element (row, col) of a dense operand that is stored transposed in layout nk. */
static int64_t place(spt_layout layout, int64_t row, int64_t col, int64_t ld) {
    return layout == SPT_KN ? row * ld + col : col * ld + row;
}

static int64_t leading(int64_t ld, spt_layout layout, int64_t rows, int64_t cols) {
    return ld != 0 ? ld : layout == SPT_KN ? cols : rows;
}

static double tolerance_of(const spt_workload *workload, int64_t terms, double magnitude, double value) {
    const spt_dtype dtype = workload->problem.dtype;
    return 2.0 * (double)(terms + 2) * spt_dtype_accumulator_epsilon(dtype) * magnitude +
           spt_dtype_epsilon(dtype) * fabs(value) + spt_dtype_tiny(dtype);
}

/* Element `index`; the type does not change in a loop, so the compiler takes the question out of it. */
static double element(spt_dtype dtype, const void *elements, int64_t index) {
    return dtype == SPT_F32 ? (double)((const float *)elements)[index] : spt_element_get(dtype, elements, index);
}

static double activate(double v, spt_activation activation) {
    return activation == SPT_RELU && v < 0.0 ? 0.0 : v;
}

void spt_reference_spmm(double *value, double *tolerance, const spt_workload *workload, const spt_csr *a,
                        const spt_args *args) {
    const spt_layout layout = workload->problem.layout;
    const spt_dtype dtype = workload->problem.dtype;
    const spt_epilogue_row *epilogue = spt_epilogue_get(workload->problem.epilogue);
    const int64_t n = args->n, m = a->n_rows;
    const int64_t ldb = leading(args->b.ld, layout, a->n_cols, n), ldc = leading(0, layout, m, n);
    const void *b = args->b.data;
    for (int64_t row = 0; row < m; row++) {
        const double start = epilogue->has_bias ? element(dtype, args->bias, row) : 0.0;
        for (int64_t j = 0; j < n; j++) {
            value[place(layout, row, j, ldc)] = start;
            tolerance[place(layout, row, j, ldc)] = fabs(start);
        }
        for (int64_t nz = a->row_offsets[row]; nz < a->row_offsets[row + 1]; nz++) {
            const double weight = element(dtype, a->values, nz);
            for (int64_t j = 0; j < n; j++) { /* c[row,j] += a[row,col] b[col,j] */
                const double product = weight * element(dtype, b, place(layout, a->columns[nz], j, ldb));
                value[place(layout, row, j, ldc)] += product;
                tolerance[place(layout, row, j, ldc)] += fabs(product); /* the magnitude, until the row is done */
            }
        }
        const int64_t terms = a->row_offsets[row + 1] - a->row_offsets[row];
        for (int64_t j = 0; j < n; j++) {
            const int64_t at = place(layout, row, j, ldc);
            tolerance[at] = tolerance_of(workload, terms, tolerance[at], value[at]);
            value[at] = activate(value[at], epilogue->activation);
        }
    }
}

void spt_reference_sddmm(double *value, double *tolerance, const spt_workload *workload, const spt_csr *a,
                         const spt_args *args) {
    const spt_layout layout = workload->problem.layout;
    const spt_dtype dtype = workload->problem.dtype;
    const int64_t n = args->n;
    const int64_t ldx = leading(args->x.ld, layout, a->n_rows, n), ldy = leading(args->y.ld, layout, a->n_cols, n);
    const void *x = args->x.data, *y = args->y.data;
    for (int64_t row = 0; row < a->n_rows; row++) {
        for (int64_t nz = a->row_offsets[row]; nz < a->row_offsets[row + 1]; nz++) {
            double sum = 0.0, magnitude = 0.0;
            for (int64_t j = 0; j < n; j++) { /* s[nz] = sum_j x[row,j] y[col,j] */
                const double product = element(dtype, x, place(layout, row, j, ldx)) *
                                       element(dtype, y, place(layout, a->columns[nz], j, ldy));
                sum += product;
                magnitude += fabs(product);
            }
            value[nz] = sum;
            tolerance[nz] = tolerance_of(workload, n, magnitude, sum);
        }
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
/* References in double precision, written to be read. The tolerance of an element is the usual forward bound of a sum
 * of `terms` products in any order (Higham, Accuracy and Stability of Numerical Algorithms, 2002, section 3.1):
 * 2 (terms + 2) eps_acc (sum |a||b| + |bias|) + eps_out |value|. Cost: O(nnz n), unit stride in layout kn. */
#include "variants/reference.h"

#include <math.h>
#include <string.h>

#include "core/conv.h"
#include "core/csr.h"
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
    const double eps =
        2.0 * (double)(terms + 2) * spt_dtype_accumulator_epsilon(dtype) + 2.0 * spt_dtype_operand_epsilon(dtype);
    return eps * magnitude + spt_dtype_epsilon(dtype) * fabs(value) + spt_dtype_tiny(dtype);
}

/* Element `index`; the type does not change in a loop, so the compiler takes the question out of it. */
static double element(spt_dtype dtype, const void *elements, int64_t index) {
    return dtype == SPT_F32 ? (double)((const float *)elements)[index] : spt_element_get(dtype, elements, index);
}

/* A sum as it is stored, but for rounding. */
static double finish(double v, const spt_workload *workload) {
    const spt_activation activation = spt_epilogue_get(workload->problem.epilogue)->activation;
    return spt_dtype_saturate(workload->problem.dtype, activation == SPT_RELU && v < 0.0 ? 0.0 : v);
}

/* What a sum begins with, bias and residual, and their magnitudes. */
static double start_of(double *magnitude, const spt_workload *workload, const spt_args *args, int64_t row,
                       int64_t place_of_residual) {
    const spt_epilogue_row *epilogue = spt_epilogue_get(workload->problem.epilogue);
    const spt_dtype dtype = workload->problem.dtype;
    const double bias = epilogue->has_bias ? element(dtype, args->bias, row) : 0.0;
    const double residual = epilogue->has_residual ? element(dtype, args->residual.data, place_of_residual) : 0.0;
    *magnitude = fabs(bias) + fabs(residual);
    return bias + residual;
}

void spt_reference_spmm(double *value, double *tolerance, const spt_workload *workload, const spt_csr *a,
                        const spt_args *args) {
    const spt_layout layout = workload->problem.layout;
    const spt_dtype dtype = workload->problem.dtype;
    const int64_t n = args->n, m = a->n_rows, ldr = leading(args->residual.ld, layout, m, n);
    const int64_t ldb = leading(args->b.ld, layout, a->n_cols, n), ldc = leading(0, layout, m, n);
    const void *b = args->b.data;
    for (int64_t row = 0; row < m; row++) {
        for (int64_t j = 0; j < n; j++) {
            const int64_t at = place(layout, row, j, ldc);
            value[at] = start_of(&tolerance[at], workload, args, row, place(layout, row, j, ldr));
        }
        for (int64_t nz = a->row_offsets[row]; nz < a->row_offsets[row + 1]; nz++) {
            const double weight = element(dtype, a->values, nz);
            for (int64_t j = 0; j < n; j++) { /* c[row,j] += a[row,col] b[col,j] */
                const double product = weight * element(dtype, b, place(layout, a->columns[nz], j, ldb));
                value[place(layout, row, j, ldc)] += product;
                tolerance[place(layout, row, j, ldc)] += fabs(product); /* the magnitude, until the row is done */
            }
        }
        const int64_t terms = spt_csr_row_length(a, row);
        for (int64_t j = 0; j < n; j++) {
            const int64_t at = place(layout, row, j, ldc);
            tolerance[at] = tolerance_of(workload, terms, tolerance[at], value[at]);
            value[at] = finish(value[at], workload);
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

/* out += weight * the image that the tap sees; what lies outside of the image counts as zero. */
static void add_tap(double *value, double *magnitude, double weight, spt_dtype dtype, const void *b, int64_t first,
                    const spt_conv *conv, int64_t tap) {
    for (int64_t row = 0; row < conv->out_height; row++) {
        const int64_t y = row * conv->stride + tap / SPT_CONV_WINDOW - 1;
        for (int64_t col = 0; col < conv->out_width; col++) {
            const int64_t x = col * conv->stride + tap % SPT_CONV_WINDOW - 1;
            if (y < 0 || y >= conv->height || x < 0 || x >= conv->width)
                continue;
            const double product = weight * element(dtype, b, first + y * conv->width + x);
            value[row * conv->out_width + col] += product;
            magnitude[row * conv->out_width + col] += fabs(product);
        }
    }
}

void spt_reference_conv2d(double *value, double *tolerance, const spt_workload *workload, const spt_csr *a,
                          const spt_args *args) {
    const spt_conv conv = spt_conv_of(&workload->problem, a->n_cols);
    const spt_dtype dtype = workload->problem.dtype;
    const int64_t n = conv.out_height * conv.out_width, ldr = args->residual.ld != 0 ? args->residual.ld : n;
    const int64_t ldb = args->b.ld != 0 ? args->b.ld : conv.height * conv.width;
    for (int64_t row = 0; row < a->n_rows; row++) {
        double *out = value + row * n, *magnitude = tolerance + row * n;
        for (int64_t j = 0; j < n; j++)
            out[j] = start_of(&magnitude[j], workload, args, row, row * ldr + j);
        for (int64_t nz = a->row_offsets[row]; nz < a->row_offsets[row + 1]; nz++) {
            const int64_t tap = a->columns[nz] / conv.channels, channel = a->columns[nz] % conv.channels;
            add_tap(out, magnitude, element(dtype, a->values, nz), dtype, args->b.data, channel * ldb, &conv, tap);
        }
        const int64_t terms = spt_csr_row_length(a, row);
        for (int64_t j = 0; j < n; j++) {
            magnitude[j] = tolerance_of(workload, terms, magnitude[j], out[j]);
            out[j] = finish(out[j], workload);
        }
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Sparse matrices: checks of a caller's CSR view, and a matrix that owns its arrays (f32 values). */
#ifndef SPT_CORE_CSR_H
#define SPT_CORE_CSR_H

#include <stdbool.h>
#include <stdint.h>

#include "core/error.h"

/* Largest legal rows and columns: column indices are 32-bit, and m*n and k*n must fit 63 bits with room to spare. */
#define SPT_DIM_MAX INT32_MAX

/* Check everything the library relies on: size, dimensions in [1, SPT_DIM_MAX], offsets from 0 and never falling,
 * columns in range and strictly increasing. Errors: EINVAL naming `name`, the row and the position. Cost: O(m + nnz).
 */
spt_status spt_csr_check(const spt_csr *a, const char *name);

/* Check that all f32 values are finite. Errors: EINVAL naming row and position. */
spt_status spt_csr_check_finite(const spt_csr *a, const char *name);

int64_t spt_csr_nnz(const spt_csr *a);

static inline int64_t spt_csr_row_length(const spt_csr *a, int64_t row) {
    return a->row_offsets[row + 1] - a->row_offsets[row];
}

/* Give the rows [first, end) by falling length, equals in their own order. rows: one each; counters: n_cols + 2 zeros,
 * which are zeros again afterwards. Cost: O(rows + n_cols) at most: one counting sort. */
void spt_csr_rows_by_length(int32_t *rows, const spt_csr *a, int64_t first, int64_t end, int64_t *counters);

/* The same of all rows. Errors: ENOMEM. */
spt_status spt_csr_sort_rows(int32_t *rows, const spt_csr *a);

/* Give the rows of each column among rows [first, end), counted from first and ascending: those of column c are
 * rows[starts[c]] to rows[starts[c + 1] - 1]. starts: n_cols + 1; rows: one per nonzero of these rows.
 * Cost: O(n_cols + nonzeros). */
void spt_csr_by_column(int64_t *starts, int32_t *rows, const spt_csr *a, int64_t first, int64_t end);

/* A CSR matrix that owns its arrays; `view` points into them. */
typedef struct spt_matrix {
    spt_csr view;
    int64_t *row_offsets; /* n_rows + 1 */
    int32_t *columns;     /* nnz */
    float *values;        /* nnz, or NULL when the matrix is a pattern only */
} spt_matrix;

/* Allocate for n_rows x n_cols and nnz nonzeros; arrays are uninitialised but row_offsets[0] = 0. */
spt_status spt_matrix_init(spt_matrix *out, int64_t n_rows, int64_t n_cols, int64_t nnz, bool with_values);
void spt_matrix_fini(spt_matrix *matrix); /* safe on a zeroed struct, leaves it zeroed */

/* The pattern of the transpose of a checked matrix; nonzero i of it is source[i] of a. source: one per nonzero.
 * Errors: ENOMEM; EUNSUPPORTED from 2^31 nonzeros on. Owns: spt_matrix_fini, also on failure. */
spt_status spt_matrix_transpose(spt_matrix *out, int32_t *source, const spt_csr *a);

/* Keep the nonzeros of a row-major dense matrix. */
spt_status spt_matrix_from_dense(spt_matrix *out, const float *dense, int64_t n_rows, int64_t n_cols);
spt_status spt_matrix_copy(spt_matrix *out, const spt_csr *a);
/* Write all n_rows * n_cols elements, zeros included, row-major. values == NULL counts as ones. */
void spt_csr_to_dense(float *dense, const spt_csr *a);
/* Give the matrix values from a seed, uniform in [-0.5, 0.5) and never zero. */
spt_status spt_matrix_fill_values(spt_matrix *matrix, uint64_t seed);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of a caller's CSR view, and matrices that own their arrays. All passes are O(m + nnz). */
#include "core/csr.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "core/memory.h"
#include "core/random.h"

static spt_status check_row(const spt_csr *a, const char *name, int64_t row) {
    const int64_t begin = a->row_offsets[row], end = a->row_offsets[row + 1];
    int64_t previous = -1;
    for (int64_t nz = begin; nz < end; nz++) {
        const int64_t column = a->columns[nz];
        if (column < 0 || column >= a->n_cols)
            return spt_fail(SPT_EINVAL,
                            "%s: row %" PRId64 " has column %" PRId64 " at nonzero %" PRId64
                            "; columns must lie in 0 to %" PRId64,
                            name, row, column, nz, a->n_cols - 1);
        if (column <= previous)
            return spt_fail(SPT_EINVAL,
                            "%s: row %" PRId64 " has column %" PRId64 " after column %" PRId64 " at nonzero %" PRId64
                            "; columns must strictly increase",
                            name, row, column, previous, nz);
        previous = column;
    }
    return SPT_OK;
}

spt_status spt_csr_check(const spt_csr *a, const char *name) {
    if (a == NULL || a->size < sizeof *a)
        return spt_fail(SPT_EINVAL, "%s: expected a matrix whose size field is at least %zu", name, sizeof *a);
    if (a->n_rows < 1 || a->n_rows > SPT_DIM_MAX || a->n_cols < 1 || a->n_cols > SPT_DIM_MAX)
        return spt_fail(SPT_EINVAL, "%s: expected 1 to %d rows and columns, found %" PRId64 " x %" PRId64, name,
                        SPT_DIM_MAX, a->n_rows, a->n_cols);
    if (a->row_offsets == NULL || a->row_offsets[0] != 0)
        return spt_fail(SPT_EINVAL, "%s: expected row offsets that start at 0", name);
    for (int64_t row = 0; row < a->n_rows; row++) {
        const int64_t begin = a->row_offsets[row], end = a->row_offsets[row + 1];
        if (end < begin || end - begin > a->n_cols) /* begin >= 0 here, so the difference cannot overflow */
            return spt_fail(SPT_EINVAL,
                            "%s: row %" PRId64 " runs from offset %" PRId64 " to %" PRId64
                            "; offsets may not fall, and a row has at most %" PRId64 " nonzeros",
                            name, row, begin, end, a->n_cols);
    }
    if (a->row_offsets[a->n_rows] > 0 && a->columns == NULL)
        return spt_fail(SPT_EINVAL, "%s: expected column indices for %" PRId64 " nonzeros, found none", name,
                        a->row_offsets[a->n_rows]);
    for (int64_t row = 0; row < a->n_rows; row++)
        SPT_TRY(check_row(a, name, row));
    return SPT_OK;
}

spt_status spt_csr_check_finite(const spt_csr *a, const char *name) {
    const float *values = a->values;
    if (values == NULL)
        return SPT_OK;
    for (int64_t row = 0; row < a->n_rows; row++) {
        for (int64_t nz = a->row_offsets[row]; nz < a->row_offsets[row + 1]; nz++) {
            if (!isfinite(values[nz]))
                return spt_fail(SPT_EINVAL,
                                "%s: row %" PRId64 ", column %" PRId32 " (nonzero %" PRId64
                                ") has the value %g; values must be finite",
                                name, row, a->columns[nz], nz, (double)values[nz]);
        }
    }
    return SPT_OK;
}

int64_t spt_csr_nnz(const spt_csr *a) {
    return a->row_offsets[a->n_rows];
}

void spt_csr_rows_by_length(int32_t *rows, const spt_csr *a, int64_t first, int64_t end, int64_t *counters) {
    int64_t longest = 0, shortest = INT64_MAX;
    for (int64_t row = first; row < end; row++) {
        const int64_t length = spt_csr_row_length(a, row);
        longest = length > longest ? length : longest;
        shortest = length < shortest ? length : shortest;
    }
    for (int64_t row = first; row < end; row++) /* counters[i] becomes the place of the next row i below the longest */
        counters[longest - spt_csr_row_length(a, row) + 1]++;
    for (int64_t i = 1; i <= longest - shortest; i++)
        counters[i] += counters[i - 1];
    for (int64_t row = first; row < end; row++)
        rows[counters[longest - spt_csr_row_length(a, row)]++] = (int32_t)row;
    if (first < end)
        memset(counters, 0, (size_t)(longest - shortest + 2) * sizeof *counters);
}

spt_status spt_csr_sort_rows(int32_t *rows, const spt_csr *a) {
    int64_t *counters;
    SPT_TRY(SPT_NEW_ZEROED(counters, a->n_cols + 2));
    spt_csr_rows_by_length(rows, a, 0, a->n_rows, counters);
    spt_free(counters);
    return SPT_OK;
}

void spt_csr_by_column(int64_t *starts, int32_t *rows, const spt_csr *a, int64_t first, int64_t end) {
    memset(starts, 0, ((size_t)a->n_cols + 1) * sizeof *starts);
    for (int64_t nz = a->row_offsets[first]; nz < a->row_offsets[end]; nz++)
        starts[a->columns[nz] + 1]++;
    for (int64_t column = 0; column < a->n_cols; column++)
        starts[column + 1] += starts[column];
    for (int64_t row = first; row < end; row++) /* starts[c] is the next free place of c, */
        for (int64_t nz = a->row_offsets[row]; nz < a->row_offsets[row + 1]; nz++)
            rows[starts[a->columns[nz]]++] = (int32_t)(row - first);
    memmove(starts + 1, starts, (size_t)a->n_cols * sizeof *starts); /* and in the end where the next one begins */
    starts[0] = 0;
}

spt_status spt_matrix_init(spt_matrix *out, int64_t n_rows, int64_t n_cols, int64_t nnz, bool with_values) {
    *out = (spt_matrix){0};
    spt_status status = SPT_OK;
    if (n_rows < 1 || n_rows > SPT_DIM_MAX || n_cols < 1 || n_cols > SPT_DIM_MAX || nnz < 0)
        return spt_fail(SPT_EINVAL,
                        "expected 1 to %d rows and columns, found %" PRId64 " x %" PRId64 " with %" PRId64 " nonzeros",
                        SPT_DIM_MAX, n_rows, n_cols, nnz);
    SPT_TRY_TO(done, SPT_NEW(out->row_offsets, n_rows + 1));
    SPT_TRY_TO(done, SPT_NEW(out->columns, nnz));
    if (with_values)
        SPT_TRY_TO(done, SPT_NEW(out->values, nnz));
    out->row_offsets[0] = 0;
    out->view = (spt_csr){.size = sizeof out->view,
                          .n_rows = n_rows,
                          .n_cols = n_cols,
                          .row_offsets = out->row_offsets,
                          .columns = out->columns,
                          .values = out->values};
done:
    if (status != SPT_OK)
        spt_matrix_fini(out);
    return status;
}

void spt_matrix_fini(spt_matrix *matrix) {
    spt_free(matrix->row_offsets);
    spt_free(matrix->columns);
    spt_free(matrix->values);
    *matrix = (spt_matrix){0};
}

spt_status spt_matrix_transpose(spt_matrix *out, int32_t *source, const spt_csr *a) {
    const int64_t nnz = spt_csr_nnz(a);
    int64_t *next;
    *out = (spt_matrix){0};
    if (nnz > INT32_MAX)
        return spt_fail(SPT_EUNSUPPORTED, "transpose: expected fewer than 2^31 nonzeros, found %" PRId64, nnz);
    SPT_TRY(spt_matrix_init(out, a->n_cols, a->n_rows, nnz, false));
    SPT_TRY(SPT_NEW(next, a->n_cols));
    spt_csr_by_column(out->row_offsets, out->columns, a, 0, a->n_rows);
    memcpy(next, out->row_offsets, (size_t)a->n_cols * sizeof *next);
    for (int64_t i = 0; i < nnz; i++)
        source[next[a->columns[i]]++] = (int32_t)i;
    spt_free(next);
    return SPT_OK;
}

spt_status spt_matrix_from_dense(spt_matrix *out, const float *dense, int64_t n_rows, int64_t n_cols) {
    int64_t nnz = 0;
    const bool is_legal = n_rows >= 1 && n_rows <= SPT_DIM_MAX && n_cols >= 1 && n_cols <= SPT_DIM_MAX;
    for (int64_t i = 0; is_legal && i < n_rows * n_cols; i++) /* other sizes are refused by init */
        nnz += dense[i] != 0.0f;
    SPT_TRY(spt_matrix_init(out, n_rows, n_cols, nnz, true));
    int64_t nz = 0;
    for (int64_t row = 0; row < n_rows; row++) {
        for (int64_t column = 0; column < n_cols; column++) {
            const float value = dense[row * n_cols + column];
            if (value != 0.0f) {
                out->columns[nz] = (int32_t)column;
                out->values[nz++] = value;
            }
        }
        out->row_offsets[row + 1] = nz;
    }
    return SPT_OK;
}

spt_status spt_matrix_copy(spt_matrix *out, const spt_csr *a) {
    const int64_t nnz = spt_csr_nnz(a);
    SPT_TRY(spt_matrix_init(out, a->n_rows, a->n_cols, nnz, a->values != NULL));
    memcpy(out->row_offsets, a->row_offsets, (size_t)(a->n_rows + 1) * sizeof *out->row_offsets);
    if (nnz > 0)
        memcpy(out->columns, a->columns, (size_t)nnz * sizeof *out->columns);
    if (nnz > 0 && a->values != NULL)
        memcpy(out->values, a->values, (size_t)nnz * sizeof *out->values);
    return SPT_OK;
}

void spt_csr_to_dense(float *dense, const spt_csr *a) {
    const float *values = a->values;
    memset(dense, 0, (size_t)(a->n_rows * a->n_cols) * sizeof *dense);
    for (int64_t row = 0; row < a->n_rows; row++) {
        for (int64_t nz = a->row_offsets[row]; nz < a->row_offsets[row + 1]; nz++)
            dense[row * a->n_cols + a->columns[nz]] = values != NULL ? values[nz] : 1.0f;
    }
}

spt_status spt_matrix_fill_values(spt_matrix *matrix, uint64_t seed) {
    const int64_t nnz = spt_csr_nnz(&matrix->view);
    if (matrix->values == NULL)
        SPT_TRY(SPT_NEW(matrix->values, nnz));
    matrix->view.values = matrix->values;
    spt_random random;
    spt_random_init(&random, seed);
    spt_random_fill_f32(&random, matrix->values, nnz);
    return SPT_OK;
}

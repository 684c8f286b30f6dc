/* SPDX-License-Identifier: Apache-2.0 */
/* .smtx of the Deep Learning Matrix Collection (Gale, Elsen, Hooker, arXiv 1902.09574), and .f32 values beside it. */
#include <inttypes.h>
#include <string.h>

#include "tuner/input/loaders.h"
#include "tuner/input/scanner.h"

static spt_status parse_offsets(spt_matrix *out, spt_scanner *scanner, int64_t rows, int64_t nnz) {
    for (int64_t row = 0; row <= rows; row++) {
        SPT_TRY(spt_scan_integer(&out->row_offsets[row], scanner, 0, nnz, "a row offset"));
        if (row > 0 && out->row_offsets[row] < out->row_offsets[row - 1])
            return spt_fail(SPT_EINVAL, "%s:%" PRId64 ": offset %" PRId64 " falls from %" PRId64 " to %" PRId64,
                            scanner->path, scanner->line, row, out->row_offsets[row - 1], out->row_offsets[row]);
    }
    if (out->row_offsets[rows] != nnz)
        return spt_fail(SPT_EINVAL, "%s:%" PRId64 ": expected the last row offset to be %" PRId64 ", found %" PRId64,
                        scanner->path, scanner->line, nnz, out->row_offsets[rows]);
    return SPT_OK;
}

static spt_status parse_columns(spt_matrix *out, spt_scanner *scanner, int64_t cols, int64_t nnz) {
    for (int64_t nz = 0; nz < nnz; nz++) {
        int64_t column;
        SPT_TRY(spt_scan_integer(&column, scanner, 0, cols - 1, "a column index"));
        out->columns[nz] = (int32_t)column;
    }
    return spt_scan_end(scanner);
}

spt_status spt_parse_smtx(spt_matrix *out, const char *path, const char *data, size_t size) {
    spt_scanner scanner = spt_scanner_of(path, data, size);
    const int64_t bytes = (int64_t)size; /* every number takes a byte at least, so it bounds all counts */
    int64_t rows, cols, nnz;
    *out = (spt_matrix){0};
    SPT_TRY(spt_scan_integer(&rows, &scanner, 1, SPT_DIM_MAX, "the number of rows"));
    SPT_TRY(spt_scan_integer(&cols, &scanner, 1, SPT_DIM_MAX, "the number of columns"));
    SPT_TRY(spt_scan_integer(&nnz, &scanner, 0, rows * cols, "the number of nonzeros"));
    if (rows > bytes || nnz > bytes)
        return spt_fail(SPT_EINVAL,
                        "%s:1: expected a header that fits a file of %zu bytes, found %" PRId64 " rows and %" PRId64
                        " nonzeros",
                        path, size, rows, nnz);
    SPT_TRY(spt_matrix_init(out, rows, cols, nnz, false));
    spt_status status = SPT_OK;
    SPT_TRY_TO(done, parse_offsets(out, &scanner, rows, nnz));
    SPT_TRY_TO(done, parse_columns(out, &scanner, cols, nnz));
    status = spt_csr_check(&out->view, path);
done:
    if (status != SPT_OK)
        spt_matrix_fini(out);
    return status;
}

spt_status spt_parse_f32_values(spt_matrix *matrix, const char *path, const char *data, size_t size) {
    const size_t wanted = (size_t)spt_csr_nnz(&matrix->view) * sizeof *matrix->values;
    if (size != wanted)
        return spt_fail(SPT_EINVAL, "%s: expected %zu bytes, 4 for each nonzero of its pattern, found %zu", path,
                        wanted, size);
    SPT_TRY(spt_matrix_fill_values(matrix, 0)); /* allocates; every value is replaced */
    if (size > 0)
        memcpy(matrix->values, data, size);
    return spt_csr_check_finite(&matrix->view, path);
}

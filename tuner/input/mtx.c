/* SPDX-License-Identifier: Apache-2.0 */
/* Matrix Market files (Boisvert, Pozo, Remington, "The Matrix Market Exchange Formats", NISTIR 5935, 1996). */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/memory.h"
#include "core/text.h"
#include "tuner/input/loaders.h"
#include "tuner/input/scanner.h"

#define ROWS_FREE ((int64_t)1 << 20) /* a file of fewer bytes than rows may have so many; the header buys no more */

typedef struct mtx_header {
    bool is_coordinate, has_values;
    int mirror; /* 0: general; 1: symmetric; -1: skew-symmetric */
} mtx_header;

typedef struct mtx_entry {
    int64_t row, column, line;
    float value;
} mtx_entry;

typedef struct mtx_entries {
    mtx_entry *items;
    int64_t count;
} mtx_entries;

static spt_status parse_banner(mtx_header *out, const char *path, const char *line) {
    char banner[24], object[24], format[24], field[24], symmetry[24];
    const int n_words = sscanf(line, "%23s %23s %23s %23s %23s", banner, object, format, field, symmetry);
    if (n_words != 5 || strcasecmp(banner, "%%MatrixMarket") != 0 || strcasecmp(object, "matrix") != 0)
        return spt_fail(SPT_EINVAL, "%s:1: expected '%%%%MatrixMarket matrix FORMAT FIELD SYMMETRY', found '%.60s'",
                        path, line);
    out->is_coordinate = strcasecmp(format, "coordinate") == 0;
    out->has_values = strcasecmp(field, "pattern") != 0;
    out->mirror = strcasecmp(symmetry, "symmetric") == 0 ? 1 : strcasecmp(symmetry, "skew-symmetric") == 0 ? -1 : 0;
    if (!out->is_coordinate && strcasecmp(format, "array") != 0)
        return spt_fail(SPT_EINVAL, "%s:1: expected format coordinate or array, found '%s'", path, format);
    if (out->has_values && strcasecmp(field, "real") != 0 && strcasecmp(field, "integer") != 0 &&
        strcasecmp(field, "double") != 0)
        return spt_fail(SPT_EINVAL, "%s:1: expected field real, integer or pattern, found '%s'", path, field);
    if (out->mirror == 0 && strcasecmp(symmetry, "general") != 0)
        return spt_fail(SPT_EINVAL, "%s:1: expected symmetry general, symmetric or skew-symmetric, found '%s'", path,
                        symmetry);
    if (!out->is_coordinate && (!out->has_values || out->mirror != 0))
        return spt_fail(SPT_EINVAL, "%s:1: expected an array of values without symmetry", path);
    return SPT_OK;
}

/* Skip comments and blank lines up to the size line. */
static void skip_comments(spt_scanner *scanner) {
    char line[8];
    for (;;) {
        spt_scanner ahead = *scanner;
        if (!spt_scan_line(line, sizeof line, &ahead) || (line[0] != '%' && line[strspn(line, " \t\r")] != '\0'))
            return;
        *scanner = ahead;
    }
}

static int compare_entries(const void *a, const void *b) {
    const mtx_entry *x = a, *y = b;
    if (x->row != y->row)
        return x->row < y->row ? -1 : 1;
    return (x->column > y->column) - (x->column < y->column);
}

/* One line, one entry: a line that lacks a number would otherwise take its neighbour's. */
static spt_status expect_more(spt_scanner *scanner, const char *what) {
    if (!spt_scan_is_line_end(scanner))
        return SPT_OK;
    return spt_fail(SPT_EINVAL, "%s:%" PRId64 ": expected %s, found the end of the line", scanner->path, scanner->line,
                    what);
}

static spt_status scan_entry(mtx_entries *entries, spt_scanner *scanner, const mtx_header *header, int64_t rows,
                             int64_t cols) {
    mtx_entry entry = {.value = 1.0f};
    double value = 1.0;
    SPT_TRY(spt_scan_integer(&entry.row, scanner, 1, rows, "a row"));
    entry.line = scanner->line;
    SPT_TRY(expect_more(scanner, "a column"));
    SPT_TRY(spt_scan_integer(&entry.column, scanner, 1, cols, "a column"));
    if (header->has_values) {
        SPT_TRY(expect_more(scanner, "a finite value"));
        SPT_TRY(spt_scan_real(&value, scanner, "a finite value"));
    }
    if (!spt_scan_is_line_end(scanner))
        return spt_fail(SPT_EINVAL, "%s:%" PRId64 ": expected one entry in a line, found more", scanner->path,
                        scanner->line);
    if (header->mirror == -1 && entry.row == entry.column && value != 0.0)
        return spt_fail(SPT_EINVAL, "%s:%" PRId64 ": expected no diagonal in a skew-symmetric matrix, found %g",
                        scanner->path, scanner->line, value);
    entry.value = (float)value;
    entry.row--;
    entry.column--;
    if (entry.value == 0.0f)
        return SPT_OK;
    entries->items[entries->count++] = entry;
    if (header->mirror != 0 && entry.row != entry.column)
        entries->items[entries->count++] =
            (mtx_entry){entry.column, entry.row, entry.line, (float)header->mirror * entry.value};
    return SPT_OK;
}

static spt_status build(spt_matrix *out, const char *path, mtx_entries *entries, int64_t rows, int64_t cols,
                        bool with_values) {
    qsort(entries->items, (size_t)entries->count, sizeof *entries->items, compare_entries);
    for (int64_t i = 1; i < entries->count; i++) {
        const mtx_entry *first = &entries->items[i - 1], *second = &entries->items[i];
        if (compare_entries(first, second) == 0)
            return spt_fail(SPT_EINVAL,
                            "%s:%" PRId64 ": row %" PRId64 ", column %" PRId64
                            " is there twice; the other is in line %" PRId64,
                            path, second->line, second->row + 1, second->column + 1, first->line);
    }
    SPT_TRY(spt_matrix_init(out, rows, cols, entries->count, with_values));
    int64_t nz = 0;
    for (int64_t row = 0; row < rows; row++) {
        for (; nz < entries->count && entries->items[nz].row == row; nz++) {
            out->columns[nz] = (int32_t)entries->items[nz].column;
            if (with_values)
                out->values[nz] = entries->items[nz].value;
        }
        out->row_offsets[row + 1] = nz;
    }
    return SPT_OK;
}

static spt_status parse_coordinates(spt_matrix *out, spt_scanner *scanner, const mtx_header *header, size_t size) {
    int64_t rows, cols, n_lines;
    SPT_TRY(spt_scan_integer(&rows, scanner, 1, SPT_DIM_MAX, "the number of rows"));
    SPT_TRY(spt_scan_integer(&cols, scanner, 1, SPT_DIM_MAX, "the number of columns"));
    SPT_TRY(spt_scan_integer(&n_lines, scanner, 0, (int64_t)size / 4, "a number of entries that fits the file,"));
    if (rows > ROWS_FREE && rows > (int64_t)size)
        return spt_fail(SPT_EINVAL,
                        "%s:%" PRId64 ": expected a number of rows that fits a file of %zu bytes, found %" PRId64,
                        scanner->path, scanner->line, size, rows);
    if (header->mirror != 0 && rows != cols)
        return spt_fail(SPT_EINVAL, "%s:%" PRId64 ": expected a square symmetric matrix, found %" PRId64 " x %" PRId64,
                        scanner->path, scanner->line, rows, cols);
    mtx_entries entries = {0};
    spt_status status = SPT_OK;
    SPT_TRY(SPT_NEW(entries.items, header->mirror != 0 ? 2 * n_lines : n_lines));
    for (int64_t i = 0; i < n_lines; i++)
        SPT_TRY_TO(done, scan_entry(&entries, scanner, header, rows, cols));
    SPT_TRY_TO(done, spt_scan_end(scanner));
    status = build(out, scanner->path, &entries, rows, cols, header->has_values);
done:
    spt_free(entries.items);
    return status;
}

/* A dense array, column by column. */
static spt_status parse_array(spt_matrix *out, spt_scanner *scanner, size_t size) {
    int64_t shape[2], count;
    SPT_TRY(spt_scan_integer(&shape[0], scanner, 1, SPT_DIM_MAX, "the number of rows"));
    SPT_TRY(spt_scan_integer(&shape[1], scanner, 1, SPT_DIM_MAX, "the number of columns"));
    SPT_TRY(spt_shape_count(&count, scanner->path, shape, 2, (int64_t)size));
    float *dense;
    spt_status status = SPT_OK;
    SPT_TRY(SPT_NEW(dense, count));
    for (int64_t column = 0; column < shape[1]; column++) {
        for (int64_t row = 0; row < shape[0]; row++) {
            double value;
            SPT_TRY_TO(done, spt_scan_real(&value, scanner, "a finite value"));
            dense[row * shape[1] + column] = (float)value;
        }
    }
    SPT_TRY_TO(done, spt_scan_end(scanner));
    status = spt_matrix_from_weights(out, scanner->path, dense, shape, 2);
done:
    spt_free(dense);
    return status;
}

spt_status spt_parse_mtx(spt_matrix *out, const char *path, const char *data, size_t size) {
    spt_scanner scanner = spt_scanner_of(path, data, size);
    char line[256] = "";
    mtx_header header = {0};
    *out = (spt_matrix){0};
    if (!spt_scan_line(line, sizeof line, &scanner))
        return spt_fail(SPT_EINVAL, "%s: expected a Matrix Market file, found an empty file", path);
    for (char *c = line; *c != '\0'; c++) /* white space separates words whatever it is; the rest is only quoted */
        *c = isspace((unsigned char)*c) ? ' ' : *c;
    spt_make_printable(line);
    SPT_TRY(parse_banner(&header, path, line));
    skip_comments(&scanner);
    SPT_TRY(header.is_coordinate ? parse_coordinates(out, &scanner, &header, size) : parse_array(out, &scanner, size));
    const spt_status status = spt_csr_check_finite(&out->view, path); /* 1e300 is finite until it is an f32 */
    if (status != SPT_OK)
        spt_matrix_fini(out);
    return status;
}

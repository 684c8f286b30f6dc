/* SPDX-License-Identifier: Apache-2.0 */
/* V:N:M by magnitude, and its compressed form; see vnm.h. */
#include "tuner/prune/vnm.h"

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "core/memory.h"

spt_status spt_vnm_parse(spt_vnm *out, const char *text) {
    int end = 0;
    *out = (spt_vnm){0};
    const bool is_triple =
        sscanf(text, "%6" SCNd64 ":%1d:%6" SCNd64 "%n", &out->v, &out->n, &out->m, &end) == 3 && text[end] == '\0';
    if (!is_triple || out->v < 1 || out->n < 1 || out->n > 2 || out->m < SPT_VNM_KEPT)
        return spt_fail(SPT_EINVAL,
                        "expected V:N:M with V rows, N 1 or 2 and M 4 or more columns, such as 64:2:8, found '%.40s'",
                        text);
    return SPT_OK;
}

int64_t spt_vnm_blocks(spt_vnm vnm, int64_t n_cols) {
    return (n_cols + vnm.m - 1) / vnm.m;
}

int64_t spt_vnm_groups(spt_vnm vnm, int64_t n_rows) {
    return (n_rows + vnm.v - 1) / vnm.v;
}

static int64_t smaller(int64_t a, int64_t b) {
    return a < b ? a : b;
}

/* ---- the choice ---- */

/* Indices of the `keep` largest of `count` scores, ascending; the first ones among equals. */
static int largest(int64_t *out, const double *scores, int64_t count, int keep) {
    int64_t best[SPT_VNM_KEPT]; /* descending, the earlier one first among equals */
    int n_best = 0, n_out = 0;
    for (int64_t i = 0; i < count; i++) {
        int at = n_best;
        while (at > 0 && scores[i] > scores[best[at - 1]])
            at--;
        if (at == keep)
            continue;
        n_best += n_best < keep;
        memmove(best + at + 1, best + at, (size_t)(n_best - 1 - at) * sizeof *best);
        best[at] = i;
    }
    for (int i = 0; i < n_best; i++) {
        int at = n_out++;
        for (; at > 0 && out[at - 1] > best[i]; at--)
            out[at] = out[at - 1];
        out[at] = best[i];
    }
    return n_out;
}

static void choose_block(uint8_t *mask, double *scores, const double *weights, int64_t n_cols, int64_t rows,
                         int64_t cols, int n) {
    int64_t kept[SPT_VNM_KEPT], inner[SPT_VNM_KEPT];
    memset(scores, 0, (size_t)cols * sizeof *scores);
    for (int64_t row = 0; row < rows; row++) {
        for (int64_t col = 0; col < cols; col++)
            scores[col] += fabs(weights[row * n_cols + col]);
        memset(mask + row * n_cols, 0, (size_t)cols);
    }
    const int n_kept = largest(kept, scores, cols, SPT_VNM_KEPT);
    for (int64_t row = 0; row < rows; row++) {
        double values[SPT_VNM_KEPT];
        for (int i = 0; i < n_kept; i++)
            values[i] = fabs(weights[row * n_cols + kept[i]]);
        const int n_inner = largest(inner, values, n_kept, n);
        for (int i = 0; i < n_inner; i++)
            mask[row * n_cols + kept[inner[i]]] = 1;
    }
}

spt_status spt_vnm_choose(uint8_t *mask, const double *weights, int64_t n_rows, int64_t n_cols, spt_vnm vnm) {
    double *scores;
    SPT_TRY(SPT_NEW(scores, smaller(vnm.m, n_cols)));
    for (int64_t row = 0; row < n_rows; row += vnm.v) {
        for (int64_t col = 0; col < n_cols; col += vnm.m) {
            const int64_t at = row * n_cols + col;
            choose_block(mask + at, scores, weights + at, n_cols, smaller(vnm.v, n_rows - row),
                         smaller(vnm.m, n_cols - col), vnm.n);
        }
    }
    spt_free(scores);
    return SPT_OK;
}

/* ---- the compressed form ---- */

static bool is_zero(const char *item, size_t item_bytes) {
    for (size_t i = 0; i < item_bytes; i++)
        if (item[i] != 0)
            return false;
    return true;
}

/* Does one of these rows of the column hold a value? */
static bool is_used(const char *first, size_t item_bytes, int64_t rows, int64_t n_cols) {
    for (int64_t row = 0; row < rows; row++)
        if (!is_zero(first + (size_t)(row * n_cols) * item_bytes, item_bytes))
            return true;
    return false;
}

/* The columns of every block that hold values. */
static spt_status find_columns(int32_t *columns, const char *dense, size_t item_bytes, int64_t n_rows, int64_t n_cols,
                               spt_vnm vnm) {
    const int64_t n_blocks = spt_vnm_blocks(vnm, n_cols);
    for (int64_t row = 0; row < n_rows; row += vnm.v) {
        for (int64_t block = 0; block < n_blocks; block++) {
            int32_t *of_block = columns + (row / vnm.v * n_blocks + block) * SPT_VNM_KEPT;
            int n_used = 0;
            for (int64_t col = block * vnm.m; col < smaller((block + 1) * vnm.m, n_cols); col++) {
                if (!is_used(dense + (size_t)(row * n_cols + col) * item_bytes, item_bytes,
                             smaller(vnm.v, n_rows - row), n_cols))
                    continue;
                if (n_used == SPT_VNM_KEPT)
                    return spt_fail(SPT_EWRONG,
                                    "expected at most %d columns with values in rows from %" PRId64
                                    " on, columns from %" PRId64 " on, found more",
                                    SPT_VNM_KEPT, row, block * vnm.m);
                of_block[n_used++] = (int32_t)col;
            }
            while (n_used < SPT_VNM_KEPT)
                of_block[n_used++] = -1;
        }
    }
    return SPT_OK;
}

/* The kept columns of every row side by side. */
static void gather(char *inner, const char *dense, const int32_t *columns, size_t item_bytes, int64_t n_rows,
                   int64_t n_cols, spt_vnm vnm) {
    const int64_t n_inner = spt_vnm_blocks(vnm, n_cols) * SPT_VNM_KEPT;
    for (int64_t row = 0; row < n_rows; row++) {
        for (int64_t i = 0; i < n_inner; i++) {
            const int32_t col = columns[row / vnm.v * n_inner + i];
            if (col >= 0)
                memcpy(inner + (size_t)(row * n_inner + i) * item_bytes,
                       dense + (size_t)(row * n_cols + col) * item_bytes, item_bytes);
        }
    }
}

static spt_status scatter(char *dense, const char *inner, const int32_t *columns, size_t item_bytes, int64_t n_rows,
                          int64_t n_cols, spt_vnm vnm) {
    const int64_t n_inner = spt_vnm_blocks(vnm, n_cols) * SPT_VNM_KEPT;
    memset(dense, 0, (size_t)(n_rows * n_cols) * item_bytes);
    for (int64_t row = 0; row < n_rows; row++) {
        for (int64_t i = 0; i < n_inner; i++) {
            const char *item = inner + (size_t)(row * n_inner + i) * item_bytes;
            const int32_t col = columns[row / vnm.v * n_inner + i];
            if (is_zero(item, item_bytes))
                continue;
            if (col < 0 || col >= n_cols)
                return spt_fail(SPT_EWRONG, "expected a column for each value, found %d in row %" PRId64, (int)col,
                                row);
            memcpy(dense + (size_t)(row * n_cols + col) * item_bytes, item, item_bytes);
        }
    }
    return SPT_OK;
}

spt_status spt_vnm_compress(void *values, uint8_t *metadata, int32_t *columns, const void *dense, size_t item_bytes,
                            int64_t n_rows, int64_t n_cols, spt_vnm vnm) {
    const int64_t n_inner = spt_vnm_blocks(vnm, n_cols) * SPT_VNM_KEPT;
    char *inner;
    SPT_TRY(find_columns(columns, dense, item_bytes, n_rows, n_cols, vnm));
    SPT_TRY(SPT_NEW_ZEROED(inner, n_rows * n_inner * (int64_t)item_bytes));
    gather(inner, dense, columns, item_bytes, n_rows, n_cols, vnm);
    const spt_status status = spt_nm_compress(values, metadata, inner, item_bytes, n_rows, n_inner, spt_vnm_inner(vnm));
    spt_free(inner);
    return status;
}

spt_status spt_vnm_decompress(void *dense, const void *values, const uint8_t *metadata, const int32_t *columns,
                              size_t item_bytes, int64_t n_rows, int64_t n_cols, spt_vnm vnm) {
    const int64_t n_inner = spt_vnm_blocks(vnm, n_cols) * SPT_VNM_KEPT;
    char *inner;
    SPT_TRY(SPT_NEW_ZEROED(inner, n_rows * n_inner * (int64_t)item_bytes));
    spt_status status = spt_nm_decompress(inner, values, metadata, item_bytes, n_rows, n_inner, spt_vnm_inner(vnm));
    if (status == SPT_OK)
        status = scatter(dense, inner, columns, item_bytes, n_rows, n_cols, vnm);
    spt_free(inner);
    return status;
}

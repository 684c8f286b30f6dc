/* SPDX-License-Identifier: Apache-2.0 */
/* Fingerprint and features of a pattern. Described once per plan, so a pattern of 340 k nonzeros takes a few ms and the
 * memory is one bit per column: a dense picture of the matrix is never made. */
#include "core/pattern.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "core/memory.h"
#include "core/text.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "fingerprints hash the arrays as they lie in memory");

spt_hash128 spt_pattern_fingerprint(const spt_csr *a) {
    int64_t sizes[3] = {a->n_rows, a->n_cols, spt_csr_nnz(a)};
    const spt_hash_part parts[] = {
        {sizes, sizeof sizes},
        {a->row_offsets, (size_t)(a->n_rows + 1) * sizeof *a->row_offsets},
        {a->columns, (size_t)sizes[2] * sizeof *a->columns},
    };
    return spt_hash_parts(parts, 3);
}

/* Aligned blocks of 2^log_rows x 2^log_cols that hold a nonzero. `seen` has a zero bit per block column and is handed
 * back so: each block row sets its bits, counts those that were new, and clears them again. */
static int64_t count_blocks(const spt_csr *a, int log_rows, int log_cols, uint64_t *seen) {
    int64_t n_blocks = 0;
    int64_t n_block_rows = (a->n_rows + (1 << log_rows) - 1) >> log_rows;
    for (int64_t block_row = 0; block_row < n_block_rows; block_row++) {
        int64_t row_end = (block_row + 1) << log_rows;
        int64_t begin = a->row_offsets[block_row << log_rows];
        int64_t end = a->row_offsets[row_end < a->n_rows ? row_end : a->n_rows];
        for (int64_t nz = begin; nz < end; nz++) {
            uint32_t block = (uint32_t)a->columns[nz] >> log_cols;
            uint64_t word = seen[block >> 6], bit = (uint64_t)1 << (block & 63);
            n_blocks += (word & bit) == 0;
            seen[block >> 6] = word | bit;
        }
        for (int64_t nz = begin; nz < end; nz++)
            seen[((uint32_t)a->columns[nz] >> log_cols) >> 6] = 0;
    }
    return n_blocks;
}

/* Columns with a nonzero; `seen` is left dirty. */
static int64_t count_columns(const spt_csr *a, uint64_t *seen) {
    int64_t n_used = 0, nnz = spt_csr_nnz(a);
    for (int64_t nz = 0; nz < nnz; nz++) {
        uint32_t col = (uint32_t)a->columns[nz];
        uint64_t bit = (uint64_t)1 << (col & 63);
        n_used += (seen[col >> 6] & bit) == 0;
        seen[col >> 6] |= bit;
    }
    return n_used;
}

/* What one pass over the rows tells: lengths, groups of four columns, distance from the diagonal. */
static void scan_rows(spt_features *out, const spt_csr *a) {
    double m = (double)a->n_rows, k = (double)a->n_cols, nnz = (double)spt_csr_nnz(a);
    double mean = nnz / m, squares = 0.0, distance = 0.0;
    int64_t n_empty = 0, n_kept = 0, n_groups = 0, longest = 0;
    for (int64_t row = 0; row < a->n_rows; row++) {
        int64_t begin = a->row_offsets[row], length = a->row_offsets[row + 1] - begin;
        int32_t group = -1;
        int in_group = 0;
        n_empty += length == 0;
        longest = length > longest ? length : longest;
        squares += ((double)length - mean) * ((double)length - mean);
        for (int64_t nz = begin; nz < begin + length; nz++) {
            int32_t col = a->columns[nz];
            in_group = col >> 2 == group ? in_group + 1 : 1;
            group = col >> 2;
            n_groups += in_group == 1;
            n_kept += in_group <= 2;
            distance += fabs((double)col / k - (double)row / m);
        }
    }
    out->density = nnz / (m * k);
    out->row_mean = mean;
    out->row_max = (double)longest;
    out->empty_rows = (double)n_empty / m;
    if (nnz == 0.0)
        return; /* shares of no nonzeros stay 0 */
    out->row_cv = sqrt(squares / m) / mean;
    out->keep_2of4 = (double)n_kept / nnz;
    out->fill_1x4 = nnz / (4.0 * (double)n_groups);
    out->bandwidth = distance / nnz;
}

/* Blocks that stick out over the edge count in full: that is what a blocked format would store. */
static double block_fill(const spt_csr *a, int log_rows, int log_cols, uint64_t *seen) {
    double cells = (double)count_blocks(a, log_rows, log_cols, seen) * (double)(1 << (log_rows + log_cols));
    return cells > 0.0 ? (double)spt_csr_nnz(a) / cells : 0.0;
}

static bool has_no_pair(const spt_csr *a) {
    for (int64_t row = 0; row < a->n_rows; row++)
        for (int64_t nz = a->row_offsets[row] + 1; nz < a->row_offsets[row + 1]; nz++)
            if (a->columns[nz] >> 1 == a->columns[nz - 1] >> 1)
                return false;
    return true;
}

spt_status spt_pattern_init(spt_pattern *out, const spt_csr *a) {
    uint64_t *seen;
    SPT_TRY(SPT_NEW_ZEROED(seen, (a->n_cols + 63) / 64));
    *out = (spt_pattern){
        .n_rows = a->n_rows, .n_cols = a->n_cols, .nnz = spt_csr_nnz(a), .fingerprint = spt_pattern_fingerprint(a)};
    out->is_1of2 = has_no_pair(a);
    spt_features *features = &out->features;
    scan_rows(features, a);
    features->fill_4x1 = block_fill(a, 2, 0, seen);
    features->fill_4x4 = block_fill(a, 2, 2, seen);
    features->fill_16x16 = block_fill(a, 4, 4, seen);
    features->empty_cols = 1.0 - (double)count_columns(a, seen) / (double)a->n_cols;
    spt_free(seen);
    return SPT_OK;
}

/* One row per feature: its stored name, where it lives, and the weight of its axis in the distance.
 * Counts and densities are compared by their logarithms, shares as they are. */
typedef struct feature_row {
    const char *name;
    size_t offset;
    bool is_logarithmic;
    double weight;
} feature_row;

#define FEATURE(name, is_logarithmic, weight)                                                                          \
    { #name, offsetof(spt_features, name), is_logarithmic, weight }
static const feature_row feature_rows[] = {
    FEATURE(density, true, 1.0),     FEATURE(row_mean, true, 0.5),    FEATURE(row_cv, false, 1.0),
    FEATURE(row_max, true, 0.25),    FEATURE(empty_rows, false, 1.0), FEATURE(empty_cols, false, 0.5),
    FEATURE(fill_4x1, false, 2.0),   FEATURE(fill_1x4, false, 2.0),   FEATURE(fill_4x4, false, 2.0),
    FEATURE(fill_16x16, false, 1.0), FEATURE(keep_2of4, false, 1.0),  FEATURE(bandwidth, false, 0.5),
};
enum { N_FEATURES = sizeof feature_rows / sizeof feature_rows[0] };

static double *feature_at(spt_features *features, int i) {
    return (double *)(void *)((char *)features + feature_rows[i].offset);
}

static double feature_get(const spt_features *features, int i) {
    double value;
    memcpy(&value, (const char *)features + feature_rows[i].offset, sizeof value);
    return value;
}

_Static_assert(SPT_PATTERN_AXES == N_FEATURES + 2, "rows, columns and every feature are axes");

static double finite_log(double x) {
    const double tiny = 1e-9; /* keeps the distance of an empty pattern finite */
    return log(fmax(x, tiny));
}

void spt_pattern_axes(double out[SPT_PATTERN_AXES], const spt_pattern *pattern) {
    out[0] = finite_log((double)pattern->n_rows);
    out[1] = finite_log((double)pattern->n_cols);
    for (int i = 0; i < N_FEATURES; i++) {
        const double x = feature_get(&pattern->features, i);
        out[2 + i] = sqrt(feature_rows[i].weight) * (feature_rows[i].is_logarithmic ? finite_log(x) : x);
    }
}

double spt_pattern_axes_square(const double *a, const double *b) {
    double sum = 0.0;
    for (int i = 0; i < SPT_PATTERN_AXES; i++)
        sum += (a[i] - b[i]) * (a[i] - b[i]);
    return sum;
}

double spt_pattern_distance(const spt_pattern *a, const spt_pattern *b) {
    double x[SPT_PATTERN_AXES], y[SPT_PATTERN_AXES];
    spt_pattern_axes(x, a);
    spt_pattern_axes(y, b);
    return sqrt(spt_pattern_axes_square(x, y));
}

void spt_features_text(char *out, size_t capacity, const spt_features *features) {
    spt_text text;
    spt_text_init(&text, out, capacity);
    for (int i = 0; i < N_FEATURES; i++)
        spt_text_add(&text, "%s%s=%.17g", i > 0 ? " " : "", feature_rows[i].name, feature_get(features, i));
}

spt_status spt_features_parse(spt_features *out, const char *text) {
    *out = (spt_features){0};
    int n_found = 0;
    for (int i = 0; i < N_FEATURES; i++) {
        const size_t name_length = strlen(feature_rows[i].name);
        for (const char *item = text; *item != '\0'; item += strcspn(item, " "), item += strspn(item, " ")) {
            if (strncmp(item, feature_rows[i].name, name_length) != 0 || item[name_length] != '=')
                continue;
            char number[32];
            const size_t length = strcspn(item + name_length + 1, " ");
            snprintf(number, sizeof number, "%.*s", (int)(length < sizeof number ? length : sizeof number - 1),
                     item + name_length + 1);
            SPT_TRY(spt_parse_f64(feature_at(out, i), number, 0.0, 1e18, feature_rows[i].name));
            n_found++;
            break;
        }
    }
    if (n_found != N_FEATURES)
        return spt_fail(SPT_EINVAL, "expected %d features, found %d in '%s'", (int)N_FEATURES, n_found, text);
    return SPT_OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A pattern's fingerprint and features. Workload: up to tens of millions of nonzeros, one pass per feature group,
 * memory O(m + k), never O(m k). */
#include "core/pattern.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "core/memory.h"
#include "core/text.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the fingerprint hashes the arrays in place and needs a little-endian machine"
#endif

spt_hash128 spt_pattern_fingerprint(const spt_csr *a) {
    const int64_t nnz = spt_csr_nnz(a);
    const int64_t header[3] = {a->n_rows, a->n_cols, nnz};
    XXH3_state_t *state = XXH3_createState();
    spt_hash128 fingerprint = {{0}};
    if (state == NULL) {
        spt_fail(SPT_ENOMEM, "out of memory for a hash state");
        return fingerprint;
    }
    XXH3_128bits_reset(state);
    XXH3_128bits_update(state, header, sizeof header);
    XXH3_128bits_update(state, a->row_offsets, (size_t)(a->n_rows + 1) * sizeof *a->row_offsets);
    if (nnz > 0)
        XXH3_128bits_update(state, a->columns, (size_t)nnz * sizeof *a->columns);
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(state));
    memcpy(fingerprint.bytes, canonical.digest, sizeof fingerprint.bytes);
    XXH3_freeState(state);
    return fingerprint;
}

/* Count the aligned block_rows x block_cols blocks that hold a nonzero. stamp[block column] is the last block row that
 * touched it; it has one entry per block column. */
static int64_t count_blocks(const spt_csr *a, int64_t block_rows, int64_t block_cols, int64_t *stamp) {
    int64_t n_blocks = 0;
    for (int64_t i = 0; i < (a->n_cols + block_cols - 1) / block_cols; i++)
        stamp[i] = -1;
    for (int64_t row = 0; row < a->n_rows; row++) {
        for (int64_t nz = a->row_offsets[row]; nz < a->row_offsets[row + 1]; nz++) {
            const int64_t block = a->columns[nz] / block_cols;
            n_blocks += stamp[block] != row / block_rows;
            stamp[block] = row / block_rows;
        }
    }
    return n_blocks;
}

static double block_fill(const spt_csr *a, int64_t block_rows, int64_t block_cols, int64_t *stamp) {
    const double cells = (double)(count_blocks(a, block_rows, block_cols, stamp) * block_rows * block_cols);
    return cells > 0.0 ? (double)spt_csr_nnz(a) / cells : 0.0;
}

/* Share of nonzeros that survive keeping at most 2 in each aligned group of 4 columns of a row. */
static double keep_2of4(const spt_csr *a) {
    int64_t kept = 0;
    for (int64_t row = 0; row < a->n_rows; row++) {
        int64_t group = -1;
        int in_group = 0;
        for (int64_t nz = a->row_offsets[row]; nz < a->row_offsets[row + 1]; nz++) {
            in_group = a->columns[nz] / 4 == group ? in_group + 1 : 1;
            group = a->columns[nz] / 4;
            kept += in_group <= 2;
        }
    }
    const int64_t nnz = spt_csr_nnz(a);
    return nnz > 0 ? (double)kept / (double)nnz : 0.0;
}

static void describe_rows(spt_features *features, const spt_csr *a) {
    const double m = (double)a->n_rows, mean = (double)spt_csr_nnz(a) / m;
    double squares = 0.0, longest = 0.0;
    int64_t n_empty = 0;
    for (int64_t row = 0; row < a->n_rows; row++) {
        const double length = (double)(a->row_offsets[row + 1] - a->row_offsets[row]);
        squares += (length - mean) * (length - mean);
        longest = fmax(longest, length);
        n_empty += length == 0.0;
    }
    features->density = mean / (double)a->n_cols;
    features->row_mean = mean;
    features->row_cv = mean > 0.0 ? sqrt(squares / m) / mean : 0.0;
    features->row_max = longest;
    features->empty_rows = (double)n_empty / m;
}

/* Columns without a nonzero, and the mean distance from the diagonal. */
static void describe_columns(spt_features *features, const spt_csr *a, int64_t *is_used) {
    const int64_t nnz = spt_csr_nnz(a);
    int64_t n_used = 0;
    double distance = 0.0;
    memset(is_used, 0, (size_t)a->n_cols * sizeof *is_used);
    for (int64_t row = 0; row < a->n_rows; row++) {
        const double diagonal = (double)row / (double)a->n_rows;
        for (int64_t nz = a->row_offsets[row]; nz < a->row_offsets[row + 1]; nz++) {
            n_used += is_used[a->columns[nz]] == 0;
            is_used[a->columns[nz]] = 1;
            distance += fabs((double)a->columns[nz] / (double)a->n_cols - diagonal);
        }
    }
    features->empty_cols = (double)(a->n_cols - n_used) / (double)a->n_cols;
    features->bandwidth = nnz > 0 ? distance / (double)nnz : 0.0;
}

spt_status spt_pattern_init(spt_pattern *out, const spt_csr *a) {
    int64_t *per_column;
    SPT_TRY(SPT_NEW(per_column, a->n_cols));
    *out = (spt_pattern){
        .n_rows = a->n_rows, .n_cols = a->n_cols, .nnz = spt_csr_nnz(a), .fingerprint = spt_pattern_fingerprint(a)};
    describe_rows(&out->features, a);
    describe_columns(&out->features, a, per_column);
    out->features.fill_4x1 = block_fill(a, 4, 1, per_column);
    out->features.fill_1x4 = block_fill(a, 1, 4, per_column);
    out->features.fill_4x4 = block_fill(a, 4, 4, per_column);
    out->features.fill_16x16 = block_fill(a, 16, 16, per_column);
    out->features.keep_2of4 = keep_2of4(a);
    spt_free(per_column);
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

static double log_ratio(double a, double b) {
    const double tiny = 1e-9; /* keeps the distance of an empty pattern finite */
    return log(fmax(a, tiny) / fmax(b, tiny));
}

double spt_pattern_distance(const spt_pattern *a, const spt_pattern *b) {
    const double rows = log_ratio((double)a->n_rows, (double)b->n_rows);
    const double columns = log_ratio((double)a->n_cols, (double)b->n_cols);
    double sum = rows * rows + columns * columns;
    for (int i = 0; i < N_FEATURES; i++) {
        const double x = feature_get(&a->features, i), y = feature_get(&b->features, i);
        const double difference = feature_rows[i].is_logarithmic ? log_ratio(x, y) : x - y;
        sum += feature_rows[i].weight * difference * difference;
    }
    return sqrt(sum);
}

void spt_features_text(char *out, size_t capacity, const spt_features *features) {
    spt_text text;
    spt_text_init(&text, out, capacity);
    for (int i = 0; i < N_FEATURES; i++)
        spt_text_add(&text, "%s%s=%.9g", i > 0 ? " " : "", feature_rows[i].name, feature_get(features, i));
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

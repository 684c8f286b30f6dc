/* SPDX-License-Identifier: Apache-2.0 */
/* Fingerprints and features: against a plain count over all cells, and against the published numbers of real patterns.
 */
#include "tests/unit.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "core/memory.h"
#include "core/pattern.h"
#include "core/random.h"
#include "core/text.h"
#include "tests/support.h"
#include "tuner/input/input.h"

static void expect_near(double found, double expected, double tolerance, const char *what, const char *where) {
    if (!(fabs(found - expected) <= tolerance))
        fail_msg("%s of %s: expected %.9g, found %.9g", what, where, expected, found);
}

/* ---- the definition, cell by cell ---- */

static double plain_fill(const float *dense, int64_t m, int64_t k, int64_t block_rows, int64_t block_cols) {
    int64_t n_blocks = 0, nnz = 0;
    for (int64_t top = 0; top < m; top += block_rows) {
        for (int64_t left = 0; left < k; left += block_cols) {
            int64_t inside = 0;
            for (int64_t row = top; row < top + block_rows && row < m; row++)
                for (int64_t col = left; col < left + block_cols && col < k; col++)
                    inside += dense[row * k + col] != 0.0f;
            nnz += inside;
            n_blocks += inside > 0;
        }
    }
    return nnz > 0 ? (double)nnz / (double)(n_blocks * block_rows * block_cols) : 0.0;
}

static double plain_keep(const float *dense, int64_t m, int64_t k) {
    int64_t kept = 0, nnz = 0;
    for (int64_t row = 0; row < m; row++) {
        for (int64_t left = 0; left < k; left += 4) {
            int64_t inside = 0;
            for (int64_t col = left; col < left + 4 && col < k; col++)
                inside += dense[row * k + col] != 0.0f;
            nnz += inside;
            kept += inside < 2 ? inside : 2;
        }
    }
    return nnz > 0 ? (double)kept / (double)nnz : 0.0;
}

static void plain_lines(spt_features *out, const float *dense, int64_t m, int64_t k) {
    double nnz = 0.0, squares = 0.0, distance = 0.0;
    int64_t empty_rows = 0, empty_cols = 0;
    for (int64_t row = 0; row < m; row++) {
        double length = 0.0;
        for (int64_t col = 0; col < k; col++) {
            if (dense[row * k + col] == 0.0f)
                continue;
            length += 1.0;
            distance += fabs((double)col / (double)k - (double)row / (double)m);
        }
        nnz += length;
        squares += length * length;
        empty_rows += length == 0.0;
        out->row_max = fmax(out->row_max, length);
    }
    for (int64_t col = 0; col < k; col++) {
        int64_t row = 0;
        while (row < m && dense[row * k + col] == 0.0f)
            row++;
        empty_cols += row == m;
    }
    out->density = nnz / (double)(m * k);
    out->row_mean = nnz / (double)m;
    out->row_cv =
        nnz > 0.0 ? sqrt(fmax(0.0, squares / (double)m - out->row_mean * out->row_mean)) / out->row_mean : 0.0;
    out->empty_rows = (double)empty_rows / (double)m;
    out->empty_cols = (double)empty_cols / (double)k;
    out->bandwidth = nnz > 0.0 ? distance / nnz : 0.0;
}

static void features_equal_a_count_over_all_cells(void **state) {
    (void)state;
    for (int i = 0; i < support_pattern_count(); i++) {
        const support_pattern *pattern = support_pattern_at(i);
        const int64_t m = pattern->n_rows, k = pattern->n_cols;
        spt_matrix matrix;
        spt_pattern found;
        spt_features expected = {0};
        support_pattern_build(&matrix, pattern);
        spt_free(matrix.values); /* small integers may be zero: the pattern alone counts */
        matrix.values = NULL;
        matrix.view.values = NULL;
        float *dense = spt_alloc((size_t)(m * k), sizeof *dense);
        assert_non_null(dense);
        spt_csr_to_dense(dense, &matrix.view);
        expect_ok(spt_pattern_init(&found, &matrix.view));
        plain_lines(&expected, dense, m, k);
        expected.fill_4x1 = plain_fill(dense, m, k, 4, 1);
        expected.fill_1x4 = plain_fill(dense, m, k, 1, 4);
        expected.fill_4x4 = plain_fill(dense, m, k, 4, 4);
        expected.fill_16x16 = plain_fill(dense, m, k, 16, 16);
        expected.keep_2of4 = plain_keep(dense, m, k);
        double found_values[sizeof found.features / sizeof(double)], expected_values[N_ITEMS(found_values)];
        memcpy(found_values, &found.features, sizeof found_values);
        memcpy(expected_values, &expected, sizeof expected_values);
        for (int value = 0; value < N_ITEMS(found_values); value++) {
            char what[24];
            snprintf(what, sizeof what, "feature %d", value);
            expect_near(found_values[value], expected_values[value], 1e-12 + 1e-7 * (value == 2), what, pattern->name);
        }
        assert_int_equal(found.n_rows, m);
        assert_int_equal(found.n_cols, k);
        assert_int_equal(found.nnz, spt_csr_nnz(&matrix.view));
        spt_free(dense);
        spt_matrix_fini(&matrix);
    }
}

/* ---- the fingerprint ---- */

static size_t put_bytes(uint8_t *out, size_t at, uint64_t value, int n_bytes) {
    for (int i = 0; i < n_bytes; i++)
        out[at++] = (uint8_t)(value >> 8 * i);
    return at;
}

static void the_fingerprint_is_the_hash_of_the_documented_bytes(void **state) {
    (void)state;
    for (int i = 0; i < support_pattern_count(); i++) {
        spt_matrix matrix;
        support_pattern_build(&matrix, support_pattern_at(i));
        const int64_t nnz = spt_csr_nnz(&matrix.view), m = matrix.view.n_rows;
        uint8_t *bytes = spt_alloc((size_t)(24 + 8 * (m + 1) + 4 * nnz), 1);
        assert_non_null(bytes);
        size_t at = put_bytes(bytes, 0, (uint64_t)m, 8);
        at = put_bytes(bytes, at, (uint64_t)matrix.view.n_cols, 8);
        at = put_bytes(bytes, at, (uint64_t)nnz, 8);
        for (int64_t row = 0; row <= m; row++)
            at = put_bytes(bytes, at, (uint64_t)matrix.row_offsets[row], 8);
        for (int64_t nz = 0; nz < nnz; nz++)
            at = put_bytes(bytes, at, (uint64_t)matrix.columns[nz], 4);
        assert_true(spt_hash_equal(spt_pattern_fingerprint(&matrix.view), spt_hash(bytes, at)));
        spt_free(bytes);
        spt_matrix_fini(&matrix);
    }
}

static void the_fingerprint_sees_positions_and_nothing_else(void **state) {
    (void)state;
    int64_t offsets[] = {0, 2, 3};
    int32_t columns[] = {0, 3, 1};
    const float values[] = {1, 2, 3};
    spt_csr a = {.size = sizeof a, .n_rows = 2, .n_cols = 5, .row_offsets = offsets, .columns = columns};
    const spt_hash128 first = spt_pattern_fingerprint(&a);
    a.values = values;
    assert_true(spt_hash_equal(first, spt_pattern_fingerprint(&a)));
    a.n_cols = 6;
    assert_false(spt_hash_equal(first, spt_pattern_fingerprint(&a)));
    a.n_cols = 5;
    columns[1] = 2;
    assert_false(spt_hash_equal(first, spt_pattern_fingerprint(&a)));
    columns[1] = 3;
    offsets[1] = 1;
    columns[1] = 0, columns[2] = 1; /* other rows, legal again */
    assert_false(spt_hash_equal(first, spt_pattern_fingerprint(&a)));
}

/* ---- distance and text ---- */

static void distance_is_zero_for_itself_symmetric_and_grows(void **state) {
    (void)state;
    spt_pattern patterns[64];
    const int n = support_pattern_count();
    assert_in_range(n, 2, 64);
    for (int i = 0; i < n; i++) {
        spt_matrix matrix;
        support_pattern_build(&matrix, support_pattern_at(i));
        expect_ok(spt_pattern_init(&patterns[i], &matrix.view));
        spt_matrix_fini(&matrix);
    }
    for (int i = 0; i < n; i++) {
        assert_true(spt_pattern_distance(&patterns[i], &patterns[i]) == 0.0);
        for (int j = 0; j < n; j++) {
            const double distance = spt_pattern_distance(&patterns[i], &patterns[j]);
            assert_true(isfinite(distance) && distance >= 0.0 && (i == j || distance > 0.0));
            expect_near(spt_pattern_distance(&patterns[j], &patterns[i]), distance, 1e-12, "distance", "a pair");
        }
    }
    spt_pattern near = patterns[10], far = patterns[10];
    near.n_rows *= 2;
    far.n_rows *= 8;
    assert_true(spt_pattern_distance(&patterns[10], &near) < spt_pattern_distance(&patterns[10], &far));
}

static void feature_text_round_trips(void **state) {
    (void)state;
    for (int i = 0; i < support_pattern_count(); i++) {
        spt_matrix matrix;
        spt_pattern pattern;
        spt_features back;
        char text[1024];
        support_pattern_build(&matrix, support_pattern_at(i));
        expect_ok(spt_pattern_init(&pattern, &matrix.view));
        spt_features_text(text, sizeof text, &pattern.features);
        expect_ok(spt_features_parse(&back, text));
        assert_memory_equal(&back, &pattern.features, sizeof back);
        spt_matrix_fini(&matrix);
    }
    spt_features features;
    assert_int_equal(spt_features_parse(&features, ""), SPT_EINVAL);
    assert_int_equal(spt_features_parse(&features, "density=0.1"), SPT_EINVAL);
    assert_int_equal(spt_features_parse(&features, "density=nan"), SPT_EINVAL);
    assert_int_equal(spt_features_parse(&features, "density=0.1 row_mean"), SPT_EINVAL);
}

/* ---- cost ---- */

static void a_large_pattern_is_described_quickly(void **state) {
    (void)state;
    enum { M = 33288, K = 512, PER_ROW = 10 };
    spt_matrix matrix;
    spt_pattern pattern;
    spt_random random;
    struct timespec begin, end;
    spt_random_init(&random, 1);
    expect_ok(spt_matrix_init(&matrix, M, K, (int64_t)M * PER_ROW, false));
    for (int64_t row = 0; row < M; row++) {
        for (int i = 0; i < PER_ROW; i++) /* one column of each of ten strips */
            matrix.columns[row * PER_ROW + i] = i * 51 + (int32_t)spt_random_below(&random, 51);
        matrix.row_offsets[row + 1] = (row + 1) * PER_ROW;
    }
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &begin);
    expect_ok(spt_pattern_init(&pattern, &matrix.view));
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
    const double ms = (double)(end.tv_sec - begin.tv_sec) * 1e3 + (double)(end.tv_nsec - begin.tv_nsec) * 1e-6;
    print_message("333 k nonzeros were described in %.2f ms\n", ms);
    assert_true(ms < 500.0); /* a picture of all cells, or a sort, would not hold this even under a sanitizer */
    expect_near(pattern.features.row_cv, 0.0, 0.0, "row_cv", "equal rows");
    spt_matrix_fini(&matrix);
}

/* ---- the real patterns ---- */

enum { MANIFEST_COLUMNS = 15 };

static void expect_manifest_row(char *fields[MANIFEST_COLUMNS], const char *path) {
    spt_layer_list list = {0};
    spt_input_options options = {0};
    spt_matrix matrix;
    spt_pattern pattern;
    expect_ok(spt_layers_add(&list, path, &options));
    expect_ok(spt_layer_load(&matrix, &list.items[0], &options));
    expect_ok(spt_pattern_init(&pattern, &matrix.view));
    const spt_features *f = &pattern.features;
    const double m = (double)pattern.n_rows, k = (double)pattern.n_cols;
    const struct {
        const char *name;
        int column;
        double found, tolerance; /* the manifest keeps six digits */
    } rows[] = {
        {"rows", 2, m, 0.0},
        {"cols", 3, k, 0.0},
        {"nnz", 4, (double)pattern.nnz, 0.0},
        {"sparsity", 5, 1.0 - f->density, 1e-6},
        {"row_cv", 7, f->row_cv, 5e-6},
        {"empty_rows", 8, f->empty_rows * m, 1e-6},
        {"empty_cols", 9, f->empty_cols * k, 1e-6},
        {"fill4x1", 10, f->fill_4x1, 1e-6},
        {"fill1x4", 11, f->fill_1x4, 1e-6},
        {"fill4x4", 12, f->fill_4x4, 1e-6},
        {"fill16x16", 13, f->fill_16x16, 1e-6},
        {"keep2:4", 14, f->keep_2of4, 1e-6},
    };
    for (int i = 0; i < N_ITEMS(rows); i++)
        expect_near(rows[i].found, strtod(fields[rows[i].column], NULL), rows[i].tolerance, rows[i].name, fields[0]);
    spt_matrix_fini(&matrix);
    spt_layer_list_fini(&list);
}

static void real_patterns_have_the_features_of_their_manifest(void **state) {
    (void)state;
    char path[512], line[2048];
    int n_checked = 0;
    if (!support_data_path(path, sizeof path, "patterns/manifest.csv"))
        skip();
    FILE *manifest = fopen(path, "re");
    assert_non_null(manifest);
    assert_non_null(fgets(line, sizeof line, manifest));
    assert_non_null(strstr(line, "file,kind,rows,cols,nnz,sparsity,n,row_cv,empty_rows,empty_cols,fill4x1"));
    while (fgets(line, sizeof line, manifest) != NULL) {
        char *fields[MANIFEST_COLUMNS], *rest = line, name[256];
        for (int i = 0; i < MANIFEST_COLUMNS; i++) {
            fields[i] = strsep(&rest, ",");
            assert_non_null(fields[i]);
        }
        snprintf(name, sizeof name, "patterns/%s", fields[0]);
        if (!support_data_path(path, sizeof path, name))
            continue;
        expect_manifest_row(fields, path);
        n_checked++;
    }
    fclose(manifest);
    print_message("%d patterns agree with the manifest\n", n_checked);
    assert_true(n_checked > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(features_equal_a_count_over_all_cells),
        cmocka_unit_test(the_fingerprint_is_the_hash_of_the_documented_bytes),
        cmocka_unit_test(the_fingerprint_sees_positions_and_nothing_else),
        cmocka_unit_test(distance_is_zero_for_itself_symmetric_and_grows),
        cmocka_unit_test(feature_text_round_trips),
        cmocka_unit_test(a_large_pattern_is_described_quickly),
        cmocka_unit_test(real_patterns_have_the_features_of_their_manifest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* CSR: every illegal matrix is refused with its row and position; conversions lose nothing. */
#include "tests/unit.h"

#include <math.h>

#include "core/csr.h"
#include "core/memory.h"
#include "tests/support.h"

/* 3 x 4: row 0 has columns 1 and 3, row 1 nothing, row 2 columns 0, 1 and 2. */
static int64_t offsets[4];
static int32_t columns[5];
static float values[5];

static spt_csr small(void) {
    memcpy(offsets, (const int64_t[]){0, 2, 2, 5}, sizeof offsets);
    memcpy(columns, (const int32_t[]){1, 3, 0, 1, 2}, sizeof columns);
    memcpy(values, (const float[]){1, 2, 3, 4, 5}, sizeof values);
    return (spt_csr){.size = sizeof(spt_csr),
                     .n_rows = 3,
                     .n_cols = 4,
                     .row_offsets = offsets,
                     .columns = columns,
                     .values = values};
}

static void legal_matrices_pass(void **state) {
    (void)state;
    spt_csr a = small();
    expect_ok(spt_csr_check(&a, "A"));
    expect_ok(spt_csr_check_finite(&a, "A"));
    a.values = NULL;
    expect_ok(spt_csr_check(&a, "A"));
    expect_ok(spt_csr_check_finite(&a, "A"));
    assert_int_equal(spt_csr_nnz(&a), 5);
    memset(offsets, 0, sizeof offsets);
    a.columns = NULL; /* no nonzero: nothing to point at */
    expect_ok(spt_csr_check(&a, "A"));
    assert_int_equal(spt_csr_nnz(&a), 0);
    for (int i = 0; i < support_pattern_count(); i++) {
        spt_matrix matrix;
        support_pattern_build(&matrix, support_pattern_at(i));
        expect_ok(spt_csr_check(&matrix.view, support_pattern_at(i)->name));
        spt_matrix_fini(&matrix);
    }
}

static void illegal_headers_are_refused(void **state) {
    (void)state;
    spt_csr a = small();
    expect_error(SPT_EINVAL, "A:", spt_csr_check(NULL, "A"));
    a.size = sizeof a - 1;
    expect_error(SPT_EINVAL, "size", spt_csr_check(&a, "A"));
    static const int64_t bad[] = {0, -1, INT64_MIN, (int64_t)SPT_DIM_MAX + 1, INT64_MAX};
    for (int i = 0; i < N_ITEMS(bad); i++) {
        a = small();
        a.n_rows = bad[i];
        expect_error(SPT_EINVAL, "rows", spt_csr_check(&a, "A"));
        a = small();
        a.n_cols = bad[i];
        expect_error(SPT_EINVAL, "columns", spt_csr_check(&a, "A"));
    }
    a = small();
    a.row_offsets = NULL;
    expect_error(SPT_EINVAL, "offsets", spt_csr_check(&a, "A"));
    a = small();
    a.columns = NULL;
    expect_error(SPT_EINVAL, "5 nonzeros", spt_csr_check(&a, "A"));
}

static void illegal_offsets_are_refused_with_their_row(void **state) {
    (void)state;
    static const struct {
        int index;
        int64_t value;
        const char *named;
    } rows[] = {
        {0, 1, "start at 0"}, {0, -1, "start at 0"},    {1, 3, "row 1 "},         {1, -1, "row 0 "},
        {2, 1, "row 1 "},     {2, INT64_MIN, "row 1 "}, {3, 1, "row 2 "},         {3, 7, "row 2 "},
        {1, 5, "row 0 "},     {3, INT64_MAX, "row 2 "}, {1, INT64_MAX, "row 0 "}, {1, INT64_MIN, "row 0 "},
    };
    for (int i = 0; i < N_ITEMS(rows); i++) {
        const spt_csr a = small();
        offsets[rows[i].index] = rows[i].value;
        expect_error(SPT_EINVAL, rows[i].named, spt_csr_check(&a, "weights"));
        assert_non_null(strstr(spt_last_error(), "weights"));
    }
}

static void illegal_columns_are_refused_with_row_and_position(void **state) {
    (void)state;
    static const struct {
        int nz;
        int32_t column;
        const char *sentence;
    } rows[] = {
        {1, 4, "A: row 0 has column 4 at nonzero 1"},
        {2, -1, "A: row 2 has column -1 at nonzero 2"},
        {0, INT32_MIN, "A: row 0 has column -2147483648 at nonzero 0"},
        {4, INT32_MAX, "A: row 2 has column 2147483647 at nonzero 4"},
        {1, 1, "A: row 0 has column 1 after column 1 at nonzero 1; columns must strictly increase"},
        {1, 0, "A: row 0 has column 0 after column 1 at nonzero 1; columns must strictly increase"},
        {3, 3, "A: row 2 has column 2 after column 3 at nonzero 4; columns must strictly increase"},
    };
    for (int i = 0; i < N_ITEMS(rows); i++) {
        const spt_csr a = small();
        columns[rows[i].nz] = rows[i].column;
        expect_error(SPT_EINVAL, rows[i].sentence, spt_csr_check(&a, "A"));
    }
}

static void values_that_are_not_finite_are_refused(void **state) {
    (void)state;
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    for (int i = 0; i < N_ITEMS(bad); i++) {
        const spt_csr a = small();
        values[3] = bad[i];
        expect_error(SPT_EINVAL, "row 2, column 1 (nonzero 3)", spt_csr_check_finite(&a, "A"));
    }
}

static void dense_round_trip_keeps_every_element(void **state) {
    (void)state;
    for (int i = 0; i < support_pattern_count(); i++) {
        const support_pattern *pattern = support_pattern_at(i);
        spt_matrix matrix, back, copy;
        support_pattern_build(&matrix, pattern);
        for (int64_t nz = 0; nz < spt_csr_nnz(&matrix.view); nz++)
            matrix.values[nz] = (float)(nz + 1); /* never zero */
        float *dense = spt_alloc((size_t)(pattern->n_rows * pattern->n_cols), sizeof *dense);
        assert_non_null(dense);
        memset(dense, 0x7f, (size_t)(pattern->n_rows * pattern->n_cols) * sizeof *dense);
        spt_csr_to_dense(dense, &matrix.view);
        for (int64_t cell = 0; cell < pattern->n_rows * pattern->n_cols; cell++)
            assert_int_equal(dense[cell] != 0.0f, pattern->has(cell / pattern->n_cols, cell % pattern->n_cols,
                                                               pattern->n_rows, pattern->n_cols));
        expect_ok(spt_matrix_from_dense(&back, dense, pattern->n_rows, pattern->n_cols));
        expect_ok(spt_matrix_copy(&copy, &matrix.view));
        const size_t nnz = (size_t)spt_csr_nnz(&matrix.view);
        const spt_matrix *const others[] = {&back, &copy};
        for (int other = 0; other < 2; other++) {
            expect_ok(spt_csr_check(&others[other]->view, "other"));
            assert_int_equal(spt_csr_nnz(&others[other]->view), nnz);
            assert_memory_equal(others[other]->row_offsets, matrix.row_offsets,
                                (size_t)(pattern->n_rows + 1) * sizeof *matrix.row_offsets);
            if (nnz > 0) {
                assert_memory_equal(others[other]->columns, matrix.columns, nnz * sizeof *matrix.columns);
                assert_memory_equal(others[other]->values, matrix.values, nnz * sizeof *matrix.values);
            }
        }
        spt_free(dense);
        spt_matrix_fini(&matrix);
        spt_matrix_fini(&back);
        spt_matrix_fini(&copy);
    }
}

static void a_pattern_without_values_counts_as_ones(void **state) {
    (void)state;
    spt_csr a = small();
    spt_matrix copy;
    float dense[12];
    a.values = NULL;
    spt_csr_to_dense(dense, &a);
    assert_true(dense[1] == 1.0f && dense[0] == 0.0f && dense[10] == 1.0f);
    expect_ok(spt_matrix_copy(&copy, &a));
    assert_null(copy.values);
    assert_null(copy.view.values);
    expect_ok(spt_matrix_fill_values(&copy, 9));
    assert_ptr_equal(copy.view.values, copy.values);
    for (int nz = 0; nz < 5; nz++)
        assert_true(copy.values[nz] != 0.0f && fabsf(copy.values[nz]) <= 0.5f);
    const float first = copy.values[0];
    expect_ok(spt_matrix_fill_values(&copy, 9));
    assert_true(copy.values[0] == first);
    expect_ok(spt_matrix_fill_values(&copy, 10));
    assert_true(copy.values[0] != first);
    spt_matrix_fini(&copy);
    spt_matrix_fini(&copy); /* zeroed by the first one */
}

static void absurd_sizes_are_refused_before_memory_is_asked_for(void **state) {
    (void)state;
    static const int64_t rows[][3] = {{0, 1, 0},  {1, 0, 0},         {-1, 5, 0},        {5, -1, 0},
                                      {1, 1, -1}, {INT64_MAX, 1, 0}, {1, INT64_MAX, 0}, {INT64_MIN, INT64_MIN, 0}};
    const long live = spt_memory_live();
    spt_matrix matrix;
    const float one = 1.0f;
    for (int i = 0; i < N_ITEMS(rows); i++) {
        assert_int_equal(spt_matrix_init(&matrix, rows[i][0], rows[i][1], rows[i][2], true), SPT_EINVAL);
        assert_null(matrix.row_offsets);
        if (rows[i][2] == 0)
            assert_int_equal(spt_matrix_from_dense(&matrix, &one, rows[i][0], rows[i][1]), SPT_EINVAL);
    }
    assert_int_equal(spt_matrix_init(&matrix, 1, 1, INT64_MAX, true), SPT_ENOMEM);
    assert_null(matrix.row_offsets);
    assert_int_equal(spt_memory_live(), live);
}

/* Of all rows, of some in the middle, and of none. */
static void rows_by_column_are_the_transpose(void **state) {
    (void)state;
    for (int i = 0; i < support_pattern_count(); i++) {
        spt_matrix matrix;
        int64_t *starts;
        int32_t *rows;
        support_pattern_build(&matrix, support_pattern_at(i));
        const spt_csr *a = &matrix.view;
        const int64_t m = a->n_rows, ranges[][2] = {{0, m}, {m / 3, m - m / 4}, {m, m}};
        expect_ok(SPT_NEW(starts, a->n_cols + 1));
        expect_ok(SPT_NEW(rows, spt_csr_nnz(a)));
        for (int r = 0; r < N_ITEMS(ranges); r++) {
            const int64_t first = ranges[r][0], end = ranges[r][1];
            spt_csr_by_column(starts, rows, a, first, end);
            assert_int_equal(starts[0], 0);
            assert_int_equal(starts[a->n_cols], a->row_offsets[end] - a->row_offsets[first]);
            for (int64_t row = end - 1; row >= first; row--)
                for (int64_t nz = a->row_offsets[row]; nz < a->row_offsets[row + 1]; nz++) {
                    const int64_t column = a->columns[nz];
                    int64_t at = starts[column];
                    while (at < starts[column + 1] && rows[at] != row - first)
                        at++;
                    assert_true(at < starts[column + 1]);
                    assert_true(at + 1 == starts[column + 1] || rows[at + 1] > rows[at]);
                }
        }
        spt_free(starts);
        spt_free(rows);
        spt_matrix_fini(&matrix);
    }
}

/* Every nonzero of the transpose has its source at its place in the matrix, and each source once. */
static void a_transpose_knows_its_sources(void **state) {
    (void)state;
    for (int i = 0; i < support_pattern_count(); i++) {
        spt_matrix matrix, transposed;
        int32_t *source, *row_of;
        support_pattern_build(&matrix, support_pattern_at(i));
        const spt_csr *a = &matrix.view;
        expect_ok(SPT_NEW(source, spt_csr_nnz(a)));
        expect_ok(SPT_NEW(row_of, spt_csr_nnz(a)));
        for (int64_t row = 0; row < a->n_rows; row++)
            for (int64_t nz = a->row_offsets[row]; nz < a->row_offsets[row + 1]; nz++)
                row_of[nz] = (int32_t)row;
        expect_ok(spt_matrix_transpose(&transposed, source, a));
        expect_ok(spt_csr_check(&transposed.view, "transposed"));
        assert_int_equal(transposed.view.n_rows, a->n_cols);
        assert_int_equal(transposed.view.n_cols, a->n_rows);
        assert_int_equal(spt_csr_nnz(&transposed.view), spt_csr_nnz(a));
        for (int64_t row = 0; row < a->n_cols; row++)
            for (int64_t nz = transposed.row_offsets[row]; nz < transposed.row_offsets[row + 1]; nz++) {
                assert_int_equal(a->columns[source[nz]], row);
                assert_int_equal(row_of[source[nz]], transposed.columns[nz]);
            }
        spt_free(source);
        spt_free(row_of);
        spt_matrix_fini(&transposed);
        spt_matrix_fini(&matrix);
    }
}

/* Longest first, equals as they were, and the counters as they were; of all rows as of one range of them. */
static void rows_are_sorted_by_length(void **state) {
    (void)state;
    for (int i = 0; i < support_pattern_count(); i++) {
        spt_matrix matrix;
        int64_t *counters;
        int32_t *rows, *all;
        support_pattern_build(&matrix, support_pattern_at(i));
        const spt_csr *a = &matrix.view;
        const int64_t m = a->n_rows, ranges[][2] = {{m / 3, m - m / 4}, {m, m}, {0, m}};
        expect_ok(SPT_NEW_ZEROED(counters, a->n_cols + 2));
        expect_ok(SPT_NEW(rows, m));
        expect_ok(SPT_NEW(all, m));
        for (int r = 0; r < N_ITEMS(ranges); r++) {
            const int64_t first = ranges[r][0], end = ranges[r][1];
            spt_csr_rows_by_length(rows, a, first, end, counters);
            for (int64_t at = 0; at < end - first; at++) {
                assert_in_range(rows[at], first, end - 1);
                const int64_t length = spt_csr_row_length(a, rows[at]),
                              before = at > 0 ? spt_csr_row_length(a, rows[at - 1]) : INT64_MAX;
                assert_true(before > length || (before == length && rows[at - 1] < rows[at]));
            }
            for (int64_t c = 0; c < a->n_cols + 2; c++)
                assert_int_equal(counters[c], 0);
        }
        expect_ok(spt_csr_sort_rows(all, a));
        assert_memory_equal(all, rows, (size_t)m * sizeof *all);
        spt_free(counters);
        spt_free(rows);
        spt_free(all);
        spt_matrix_fini(&matrix);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(legal_matrices_pass),
        cmocka_unit_test(illegal_headers_are_refused),
        cmocka_unit_test(illegal_offsets_are_refused_with_their_row),
        cmocka_unit_test(illegal_columns_are_refused_with_row_and_position),
        cmocka_unit_test(values_that_are_not_finite_are_refused),
        cmocka_unit_test(dense_round_trip_keeps_every_element),
        cmocka_unit_test(a_pattern_without_values_counts_as_ones),
        cmocka_unit_test(rows_by_column_are_the_transpose),
        cmocka_unit_test(a_transpose_knows_its_sources),
        cmocka_unit_test(rows_are_sorted_by_length),
        cmocka_unit_test(absurd_sizes_are_refused_before_memory_is_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

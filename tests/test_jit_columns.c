/* SPDX-License-Identifier: Apache-2.0 */
/* spmm_jit_columns beyond the generic test, whose matrices are small: a thousand rows of C, so that the cursor of sums
 * moves often, columns without nonzeros between others, and more parts than vectors. Small integers, so sums are
 * exact. */
#include "core/memory.h"
#include "tests/support.h"
#include "tests/unit.h"
#include "variants/family.h"

enum { M = 1000, K = 150, N = 40, N_PARTS = 5 };

/* A third of the columns is empty. */
static bool has_some(int64_t row, int64_t column, int64_t n_rows, int64_t n_cols) {
    (void)n_rows, (void)n_cols;
    return column % 3 != 1 && (row * 7919 + column * 104729) % 101 < 11;
}

static void check_product(const float *c, const spt_matrix *matrix, const float *b) {
    const spt_csr *a = &matrix->view;
    for (int64_t row = 0; row < M; row++)
        for (int64_t j = 0; j < N; j++) {
            double sum = 0.0;
            for (int64_t nz = a->row_offsets[row]; nz < a->row_offsets[row + 1]; nz++)
                sum += (double)matrix->values[nz] * (double)b[a->columns[nz] * N + j];
            if (sum != (double)c[row * N + j])
                fail_msg("row %ld, column %ld: expected %g, found %g", (long)row, (long)j, sum, (double)c[row * N + j]);
        }
}

static void check_point(const spt_matrix *matrix, const spt_workload *workload, const spt_device *device,
                        const spt_point *point) {
    static float b[K * N], c[M * N];
    spt_prepared prepared;
    expect_ok(spt_prepared_init(&prepared, &spt_family_spmm_jit_columns, point, workload, device, &matrix->view));
    const spt_args args = {.size = sizeof args, .n = N, .b = {.data = b}, .c = {.data = c}};
    support_fill_small(b, K * N, 7);
    for (int part = 0; part < N_PARTS; part++)
        expect_ok(spt_prepared_run_part(&prepared, &args, part, N_PARTS));
    check_product(c, matrix, b);
    spt_prepared_fini(&prepared);
}

static void many_rows_and_empty_columns_add_up(void **state) {
    const support_pattern pattern = {"a thousand rows", M, K, has_some};
    const spt_problem problem = {.size = sizeof problem, .op = SPT_SPMM, .n = N, .threads = 1};
    const spt_family *family = &spt_family_spmm_jit_columns;
    spt_matrix matrix;
    spt_workload workload;
    spt_device device;
    int n_checked = 0;
    (void)state;
    support_pattern_build(&matrix, &pattern);
    expect_ok(spt_workload_init(&workload, &problem, &matrix.view));
    expect_ok(spt_device_detect(&device));
    const spt_isa best = device.isa;
    for (bool is_one = support_isa_first(&device); is_one; is_one = support_isa_next(&device, best)) {
        spt_family_space space;
        spt_point point;
        if (spt_family_check(family, &workload, &device) != SPT_OK)
            continue;
        spt_family_space_init(&space, family, &workload, &device);
        for (int64_t ordinal = 0; spt_space_next(&space.space, &ordinal, &point); ordinal++, n_checked++)
            check_point(&matrix, &workload, &device, &point);
    }
    spt_matrix_fini(&matrix);
    if (n_checked == 0) {
        print_message("SKIP: no executable memory or no AVX2 here\n");
        skip();
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_rows_and_empty_columns_add_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* spmm_skinny beyond the generic test, which runs it at three widths it is planned for: every width that has a kernel,
 * and widths above eight, which take several passes. Small integers, so sums are exact; gaps between rows stay as they
 * were. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/memory.h"
#include "core/space.h"
#include "tests/support.h"
#include "variants/family.h"

enum { GAP = 3 };
static const int64_t widths[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 15, 16, 17, 24, 31};
enum { N_WIDTHS = sizeof widths / sizeof widths[0], WIDEST = 31 };

typedef struct product {
    spt_matrix matrix;
    float *b, *c, *bias;
} product;

static int64_t larger(int64_t x, int64_t y) {
    return x > y ? x : y;
}

static void product_init(product *p, const support_pattern *pattern) {
    support_pattern_build(&p->matrix, pattern);
    const int64_t side = larger(larger(pattern->n_rows, pattern->n_cols), WIDEST) + GAP;
    assert_int_equal(SPT_NEW(p->b, side * side), SPT_OK);
    assert_int_equal(SPT_NEW(p->c, side * side), SPT_OK);
    assert_int_equal(SPT_NEW(p->bias, pattern->n_rows), SPT_OK);
    support_fill_small(p->b, side * side, 7);
    support_fill_small(p->bias, pattern->n_rows, 8);
}

static void product_fini(product *p) {
    spt_matrix_fini(&p->matrix);
    spt_free(p->b);
    spt_free(p->c);
    spt_free(p->bias);
}

/* c[row, j] = act(bias[row] + sum of a[row, column] b[column, j]), in either layout. */
static double expected(const product *p, const spt_problem *problem, int64_t ldb, int64_t row, int64_t j) {
    const spt_csr *a = &p->matrix.view;
    double sum = problem->epilogue == SPT_EPILOGUE_NONE ? 0.0 : (double)p->bias[row];
    for (int64_t nz = a->row_offsets[row]; nz < a->row_offsets[row + 1]; nz++) {
        const int64_t column = a->columns[nz];
        sum += (double)p->matrix.values[nz] *
               (double)p->b[problem->layout == SPT_NK ? j * ldb + column : column * ldb + j];
    }
    return problem->epilogue == SPT_BIAS_RELU && sum < 0.0 ? 0.0 : sum;
}

static void check_width(product *p, const spt_prepared *prepared, int64_t n, int n_parts) {
    const spt_problem *problem = &prepared->workload.problem;
    const int64_t m = p->matrix.view.n_rows, k = p->matrix.view.n_cols;
    const bool is_nk = problem->layout == SPT_NK;
    const int64_t ldb = (is_nk ? k : n) + GAP, ldc = (is_nk ? m : n) + GAP, lines = is_nk ? n : m;
    const spt_args args = {.size = sizeof args,
                           .n = n,
                           .b = {p->b, ldb, 0},
                           .c = {p->c, ldc, 0},
                           .bias = problem->epilogue == SPT_EPILOGUE_NONE ? NULL : p->bias};
    for (int64_t i = 0; i < lines * ldc; i++)
        p->c[i] = NAN;
    for (int part = 0; part < n_parts; part++)
        assert_int_equal(spt_prepared_run_part(prepared, &args, part, n_parts), SPT_OK);
    for (int64_t row = 0; row < m; row++) {
        for (int64_t j = 0; j < n; j++) {
            const double found = (double)p->c[is_nk ? j * ldc + row : row * ldc + j];
            if (!(found == expected(p, problem, ldb, row, j)))
                fail_msg("n %ld, row %ld, column %ld: found %g", (long)n, (long)row, (long)j, found);
        }
    }
    for (int64_t line = 0; line < lines; line++) {
        for (int64_t i = is_nk ? m : n; i < ldc; i++)
            assert_true(isnan(p->c[line * ldc + i]));
    }
}

/* All points planned for eight columns, at all widths; returns how many points there are. */
static int check_points(product *p, const spt_device *device, spt_layout layout, spt_epilogue epilogue) {
    const spt_family *family = spt_family_find("spmm_skinny");
    const spt_problem problem = {
        .size = sizeof problem, .op = SPT_SPMM, .layout = layout, .epilogue = epilogue, .n = 8, .threads = 1};
    spt_workload workload;
    spt_family_space space;
    spt_point point;
    int n_points = 0;
    assert_int_equal(spt_workload_init(&workload, &problem, &p->matrix.view), SPT_OK);
    spt_family_space_init(&space, family, &workload, device);
    for (int64_t ordinal = 0; spt_space_next(&space.space, &ordinal, &point); ordinal++, n_points++) {
        spt_prepared prepared;
        assert_int_equal(spt_prepared_init(&prepared, family, &point, &workload, device, &p->matrix.view), SPT_OK);
        for (int w = 0; w < N_WIDTHS; w++)
            check_width(p, &prepared, widths[w], 1 + w % 3);
        spt_prepared_fini(&prepared);
    }
    return n_points;
}

static void every_width_is_exact_on_every_instruction_set(void **state) {
    (void)state;
    spt_device device;
    assert_int_equal(spt_device_detect(&device), SPT_OK);
    const spt_isa best = device.isa;
    int n_points = 0;
    for (int i = 0; i < support_pattern_count(); i++) {
        product p;
        product_init(&p, support_pattern_at(i));
        for (bool is_one = support_isa_first(&device); is_one; is_one = support_isa_next(&device, best)) {
            n_points += check_points(&p, &device, SPT_KN, (spt_epilogue)(i % 3));
            n_points += check_points(&p, &device, SPT_NK, (spt_epilogue)((i + 1) % 3));
        }
        product_fini(&p);
    }
    print_message("%d points checked at %d widths\n", n_points, N_WIDTHS);
    assert_true(n_points >= 2 * support_pattern_count());
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_width_is_exact_on_every_instruction_set)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

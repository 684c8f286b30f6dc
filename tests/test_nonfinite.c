/* SPDX-License-Identifier: Apache-2.0 */
/* What problem.may_be_nonfinite promises: Inf and NaN in B reach exactly the elements of C whose rows of A meet them,
 * in every family that then may run, at every valid point, on every ISA; and ReLU keeps NaN, as PyTorch's does. */
#include <math.h>

#include "core/memory.h"
#include "tests/support.h"
#include "tests/unit.h"
#include "variants/family.h"
#include "variants/operation.h"

enum { M = 50, K = 70, N_MAX = 49 };

typedef struct fixture {
    spt_device device;
    spt_matrix a;
    spt_workload workload;
    float b[K * N_MAX], c[M * N_MAX], bias[M];
    double value[M * N_MAX], tolerance[M * N_MAX];
    spt_args args;
    int n_checked;
} fixture;

static bool has_nonzero(int64_t row, int64_t column, int64_t n_rows, int64_t n_cols) {
    (void)n_rows, (void)n_cols;
    return (row * 13 + column * 7) % 4 == 0 && row % 11 != 5;
}

static void check_point(fixture *f, const spt_family *family, const spt_point *point) {
    const int64_t count = M * f->workload.problem.n;
    spt_prepared prepared;
    char text[SPT_POINT_TEXT_MAX];
    expect_ok(spt_point_text(text, family->axes, family->n_axes, point));
    expect_ok(spt_prepared_init(&prepared, family, point, &f->workload, &f->device, &f->a.view));
    expect_ok(spt_prepared_run(&prepared, &f->args));
    for (int64_t i = 0; i < count; i++) {
        const double found = (double)f->c[i], expected = f->value[i];
        const bool is_right = isnan(expected)   ? isnan(found)
                              : isinf(expected) ? found == expected
                                                : fabs(found - expected) <= f->tolerance[i];
        if (!is_right)
            fail_msg("%s %s, %s, %s, n %ld: element %ld: expected %g, found %g", family->name, text,
                     spt_isa_name(f->device.isa), spt_layout_name(f->workload.problem.layout),
                     (long)f->workload.problem.n, (long)i, expected, found);
    }
    spt_prepared_fini(&prepared);
    f->n_checked++;
}

/* B of the layout: small integers, and Inf and NaN in a few rows of B, that is columns of A. */
static void make_operands(fixture *f, spt_layout layout, int64_t n) {
    static const struct {
        int column;
        float value;
    } odd[] = {{3, NAN}, {20, INFINITY}, {41, -INFINITY}, {69, NAN}};
    support_fill_small(f->b, K * n, 7);
    for (int i = 0; i < N_ITEMS(odd); i++)
        for (int64_t j = i; j < n; j += 3)
            f->b[layout == SPT_KN ? odd[i].column * n + j : j * K + odd[i].column] = odd[i].value;
    support_fill_small(f->bias, M, 8);
    f->args = (spt_args){.size = sizeof f->args, .n = n, .b = {f->b, 0, 0}, .c = {f->c, 0, 0}, .bias = f->bias};
}

static void check_problem(fixture *f, spt_layout layout, int64_t n) {
    const spt_problem problem = {.size = sizeof problem,
                                 .op = SPT_SPMM,
                                 .layout = layout,
                                 .epilogue = SPT_BIAS_RELU,
                                 .n = n,
                                 .threads = 1,
                                 .may_be_nonfinite = 1};
    make_operands(f, layout, n);
    expect_ok(spt_workload_init(&f->workload, &problem, &f->a.view));
    spt_operation_get(SPT_SPMM)->reference(f->value, f->tolerance, &f->workload, &f->a.view, &f->args);
    for (int i = 0; i < spt_family_count(); i++) {
        const spt_family *family = spt_family_at(i);
        spt_family_space space;
        spt_point point;
        if (spt_family_check(family, &f->workload, &f->device) != SPT_OK)
            continue;
        assert_false(family->pads_zeros);
        spt_family_space_init(&space, family, &f->workload, &f->device);
        for (int64_t ordinal = 0; spt_space_next(&space.space, &ordinal, &point); ordinal++)
            check_point(f, family, &point);
    }
}

static void nan_and_inf_reach_the_elements_that_they_should(void **state) {
    (void)state;
    static const int64_t widths[] = {1, 16, N_MAX};
    const support_pattern pattern = {"nonfinite", M, K, has_nonzero};
    fixture *f = spt_alloc_zeroed(1, sizeof *f);
    assert_non_null(f);
    expect_ok(spt_device_detect(&f->device));
    const spt_isa best = f->device.isa;
    support_pattern_build(&f->a, &pattern);
    for (bool has_isa = support_isa_first(&f->device); has_isa; has_isa = support_isa_next(&f->device, best))
        for (int i = 0; i < N_ITEMS(widths); i++) {
            check_problem(f, SPT_KN, widths[i]);
            check_problem(f, SPT_NK, widths[i]);
        }
    print_message("%d variants checked\n", f->n_checked);
    assert_true(f->n_checked > 12);
    spt_matrix_fini(&f->a);
    spt_free(f);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(nan_and_inf_reach_the_elements_that_they_should)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

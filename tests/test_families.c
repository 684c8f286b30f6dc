/* SPDX-License-Identifier: Apache-2.0 */
/* Every family, every valid point, every ISA of this machine, on awkward patterns against the double reference: exact
 * on small integers, within the stated bound on random numbers; in poisoned memory between guards, whole and in parts,
 * with strides, other widths than planned, batches and new values. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/memory.h"
#include "core/random.h"
#include "tests/support.h"
#include "tuner/measure/verify.h"
#include "variants/family.h"
#include "variants/operation.h"

/* The leak checker dies in the thread-local storage of the BLAS libraries that this test opens, so here every
 * allocation is counted instead: main asks that none is left. */
__attribute__((visibility("default"), used)) const char *__asan_default_options(void);
const char *__asan_default_options(void) {
    return "detect_leaks=0";
}

/* Sanitizers make a variant several times slower. There a seeded share of the points is run for each problem; there are
 * so many problems that each point meets dozens of them all the same. SPT_TEST_SEED draws others,
 * SPT_TEST_FAMILY picks one family. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { ONE_OF = 4 };
#else
enum { ONE_OF = 1 };
#endif

static const int64_t widths[] = {1, 2, 7, 15, 16, 17, 49, 64, 212};
enum { N_WIDTHS = sizeof widths / sizeof widths[0], PADDING = 3, OFFSET = 5 };

/* One problem with its operands. Of random numbers, rows of every dense operand are PADDING longer than they need be;
 * of small integers, they are as long as they need be and inputs begin OFFSET elements behind an allocation's begin. */
typedef struct fixture {
    spt_workload workload;
    spt_device device;
    spt_matrix matrix;
    const spt_operation *operation;
    float *inputs[SPT_OPERANDS_MAX];
    int64_t rows[SPT_OPERANDS_MAX], cols[SPT_OPERANDS_MAX];
    float *bias, *residual;
    spt_guarded output;
    double *value, *tolerance;
    float *packed; /* the output without its padding */
    spt_args args;
    bool is_exact;
} fixture;

static int64_t leading(const fixture *f, int operand) {
    const bool is_vector = f->operation->operands[operand].cols == SPT_EXTENT_ONE;
    return is_vector || f->is_exact ? f->cols[operand] : f->cols[operand] + PADDING;
}

static void fill(const fixture *f, float *out, int64_t count, uint64_t seed) {
    spt_random random;
    spt_random_init(&random, seed);
    if (f->is_exact)
        support_fill_small(out, count, seed);
    else
        spt_random_fill_f32(&random, out, count);
}

static void fixture_init(fixture *f, const support_pattern *pattern, spt_problem problem, const spt_device *device,
                         bool is_exact) {
    *f = (fixture){.device = *device, .is_exact = is_exact, .operation = spt_operation_get(problem.op)};
    support_pattern_build(&f->matrix, pattern);
    support_fit_conv(&problem, &f->matrix, (int)(problem.n + pattern->n_rows));
    fill(f, f->matrix.values, spt_csr_nnz(&f->matrix.view), 3);
    assert_int_equal(spt_workload_init(&f->workload, &problem, &f->matrix.view), SPT_OK);
    f->args = (spt_args){.size = sizeof f->args, .n = problem.n};
    for (int i = 0; i < f->operation->n_operands; i++) {
        const spt_operand_row *operand = &f->operation->operands[i];
        spt_operand_shape(&f->rows[i], &f->cols[i], operand, &f->workload);
        const int64_t count = f->rows[i] * leading(f, i);
        if (operand->is_output) {
            assert_int_equal(spt_guarded_init(&f->output, (size_t)count * sizeof(float)), SPT_OK);
            spt_operand_bind(&f->args, operand, f->output.data, leading(f, i), 0);
        } else {
            const int64_t offset = f->is_exact ? OFFSET : 0;
            assert_int_equal(SPT_NEW(f->inputs[i], offset + count), SPT_OK);
            fill(f, f->inputs[i], offset + count, (uint64_t)i + 11);
            spt_operand_bind(&f->args, operand, f->inputs[i] + offset, leading(f, i), 0);
        }
    }
    assert_int_equal(SPT_NEW(f->bias, pattern->n_rows), SPT_OK);
    fill(f, f->bias, pattern->n_rows, 5);
    if (spt_epilogue_get(problem.epilogue)->has_bias)
        f->args.bias = f->bias;
    if (spt_epilogue_get(problem.epilogue)->has_residual) {
        const int last = f->operation->n_operands - 1;
        assert_int_equal(SPT_NEW(f->residual, f->rows[last] * leading(f, last)), SPT_OK);
        fill(f, f->residual, f->rows[last] * leading(f, last), 6);
        f->args.residual = (spt_input){f->residual, leading(f, last), 0};
    }
    const int64_t n_outputs = spt_operand_count(&f->operation->operands[f->operation->n_operands - 1], &f->workload);
    assert_int_equal(SPT_NEW(f->value, n_outputs), SPT_OK);
    assert_int_equal(SPT_NEW(f->tolerance, n_outputs), SPT_OK);
    assert_int_equal(SPT_NEW(f->packed, n_outputs), SPT_OK);
    f->operation->reference(f->value, f->tolerance, &f->workload, &f->matrix.view, &f->args);
}

static void fixture_fini(fixture *f) {
    spt_matrix_fini(&f->matrix);
    for (int i = 0; i < SPT_OPERANDS_MAX; i++)
        spt_free(f->inputs[i]);
    spt_free(f->bias);
    spt_free(f->residual);
    spt_free(f->value);
    spt_free(f->tolerance);
    spt_free(f->packed);
    spt_guarded_fini(&f->output);
}

/* Compare the output with the reference; its padding and its guards must be as they were. */
static void check_output(fixture *f, const char *what, const char *variant) {
    const int last = f->operation->n_operands - 1;
    const int64_t rows = f->rows[last], cols = f->cols[last], ld = leading(f, last);
    const float *data = f->output.data;
    spt_measurement measurement = {0};
    for (int64_t row = 0; row < rows; row++) {
        memcpy(f->packed + row * cols, data + row * ld, (size_t)cols * sizeof *data);
        for (int64_t pad = cols; pad < ld; pad++)
            if (!isnan(data[row * ld + pad]))
                fail_msg("%s: %s wrote into the gap after row %ld", variant, what, (long)row);
    }
    if (!spt_guarded_is_intact(&f->output))
        fail_msg("%s: %s wrote outside the output", variant, what);
    for (int64_t i = 0; f->is_exact && i < rows * cols; i++)
        f->tolerance[i] = 0.0;
    if (!spt_verify_f32(&measurement, f->packed, f->value, f->tolerance, rows, cols, f->operation->operands[last].role))
        fail_msg("%s: %s: %s", variant, what, measurement.reason);
}

static void run_whole(fixture *f, const spt_prepared *prepared, const char *variant) {
    spt_guarded workspace;
    const size_t bytes = spt_prepared_workspace(prepared, f->args.n);
    assert_int_equal(spt_guarded_init(&workspace, bytes), SPT_OK);
    spt_args args = f->args;
    args.workspace = bytes > 0 ? workspace.data : NULL;
    args.workspace_bytes = bytes;
    spt_guarded_poison(&f->output);
    if (spt_prepared_run(prepared, &args) != SPT_OK)
        fail_msg("%s: %s", variant, spt_last_error());
    if (!spt_guarded_is_intact(&workspace))
        fail_msg("%s wrote outside the workspace", variant);
    spt_guarded_fini(&workspace);
    check_output(f, "the whole run", variant);
}

static void run_parts(fixture *f, const spt_prepared *prepared, int n_parts, const char *variant) {
    spt_guarded_poison(&f->output);
    for (int part = n_parts - 1; part >= 0; part--)
        if (spt_prepared_run_part(prepared, &f->args, part, n_parts) != SPT_OK)
            fail_msg("%s: %s", variant, spt_last_error());
    check_output(f, "the run in parts", variant);
}

/* Prepare with other values and n columns planned, then set the right values and run with this width. */
static void run_replanned(fixture *f, const spt_family *family, const spt_point *point, int64_t n,
                          const char *variant) {
    spt_workload planned = f->workload;
    spt_prepared prepared;
    float *other;
    const int64_t nnz = spt_csr_nnz(&f->matrix.view);
    planned.problem.n = n;
    if (!family->is_valid(&planned, &f->device, point))
        return;
    assert_int_equal(SPT_NEW(other, nnz), SPT_OK);
    support_fill_small(other, nnz, 99);
    spt_csr a = f->matrix.view;
    a.values = other;
    assert_int_equal(spt_prepared_init(&prepared, family, point, &planned, &f->device, &a), SPT_OK);
    assert_int_equal(spt_prepared_set_values(&prepared, f->matrix.values), SPT_OK);
    run_whole(f, &prepared, variant);
    spt_prepared_fini(&prepared);
    spt_free(other);
}

/* Run with more columns than planned, in pieces of a vector and more, too, with fewer, and with rows that lie as far
 * apart as planned and are not as long. */
static void run_changed(fixture *f, const spt_family *family, const spt_point *point, const char *variant) {
    const int64_t n = f->workload.problem.n, ld = leading(f, 0);
    if (family->op == SPT_CONV2D) {
        run_replanned(f, family, point, n, variant);
        return;
    }
    run_replanned(f, family, point, n > 40 ? 5 : 200, variant);
    if (n > 40)
        run_replanned(f, family, point, 20, variant);
    if (ld != n)
        run_replanned(f, family, point, ld, variant);
}

static void check_variant(fixture *f, const spt_family *family, const spt_point *point, int n_parts) {
    char text[SPT_POINT_TEXT_MAX], variant[512];
    spt_prepared prepared;
    assert_int_equal(spt_point_text(text, family->axes, family->n_axes, point), SPT_OK);
    snprintf(variant, sizeof variant, "%s %s, %s, %s, %s, %ldx%ld, n %ld", family->name, text,
             spt_isa_name(f->device.isa), spt_layout_name(f->workload.problem.layout),
             spt_epilogue_name(f->workload.problem.epilogue), (long)f->matrix.view.n_rows, (long)f->matrix.view.n_cols,
             (long)f->workload.problem.n);
    const double bound = family->bound_ns(&f->workload, &f->device, point);
    assert_true(isfinite(bound) && bound >= 0.0);
    if (spt_prepared_init(&prepared, family, point, &f->workload, &f->device, &f->matrix.view) != SPT_OK)
        fail_msg("%s: %s", variant, spt_last_error());
    run_whole(f, &prepared, variant);
    run_parts(f, &prepared, n_parts, variant);
    spt_prepared_fini(&prepared);
    run_changed(f, family, point, variant);
}

typedef struct point_tally {
    spt_random random; /* draws the sample */
    int n_valid, n_checked;
} point_tally;

/* All valid points of one family for one problem, or a sample of them that has the first. */
static void check_family(point_tally *tally, fixture *f, const spt_family *family) {
    spt_family_space space;
    spt_point point;
    int n_points = 0;
    if (spt_family_check(family, &f->workload, &f->device) != SPT_OK)
        return;
    spt_family_space_init(&space, family, &f->workload, &f->device);
    for (int64_t ordinal = 0; spt_space_next(&space.space, &ordinal, &point); ordinal++, n_points++) {
        if (spt_random_below(&tally->random, ONE_OF) != 0 && n_points > 0)
            continue;
        check_variant(f, family, &point, 1 + n_points % 3);
        tally->n_checked++;
    }
    assert_true(n_points > 0);
    tally->n_valid += n_points;
}

/* Run all patterns with a width, an epilogue and threads that change from pattern to pattern, on the machine as it is
 * and on one whose L2 holds next to nothing: some points are for operands that leave L2. */
static void check_all(spt_op op, spt_layout layout, bool is_exact) {
    spt_device device;
    point_tally tally = {0};
    const char *seed = getenv("SPT_TEST_SEED"), *only = getenv("SPT_TEST_FAMILY");
    spt_random_init(&tally.random, seed != NULL ? strtoull(seed, NULL, 10) : 1);
    assert_int_equal(spt_device_detect(&device), SPT_OK);
    const spt_isa best = device.isa;
    const int64_t l2_bytes = device.l2_bytes;
    int turn = 0;
    for (bool is_one = support_isa_first(&device); is_one; is_one = support_isa_next(&device, best)) {
        for (int i = 0; i < support_pattern_count(); i++) {
            for (int w = 0; w < 3; w++, turn++) {
                const spt_problem problem = {.size = sizeof problem,
                                             .op = op,
                                             .layout = layout,
                                             .epilogue =
                                                 spt_op_has_epilogue(op) ? (spt_epilogue)(turn % 4) : SPT_EPILOGUE_NONE,
                                             .n = widths[(i + 4 * w) % N_WIDTHS],
                                             .threads = 1 + turn % 2};
                fixture f;
                device.l2_bytes = turn / 4 % 2 == 0 ? l2_bytes : 64;
                fixture_init(&f, support_pattern_at(i), problem, &device, is_exact);
                for (int family = 0; family < spt_family_count(); family++) {
                    if (only == NULL || strcmp(spt_family_at(family)->name, only) == 0)
                        check_family(&tally, &f, spt_family_at(family));
                }
                fixture_fini(&f);
            }
        }
    }
    print_message("%d of %d variants checked\n", tally.n_checked, tally.n_valid);
    assert_true(only != NULL ||
                tally.n_checked >= 3 * support_pattern_count()); /* no problem is left without a family */
}

static void spmm_kn_is_exact_on_small_integers(void **state) {
    (void)state;
    check_all(SPT_SPMM, SPT_KN, true);
}

static void spmm_nk_is_exact_on_small_integers(void **state) {
    (void)state;
    check_all(SPT_SPMM, SPT_NK, true);
}

static void spmm_kn_is_within_the_bound_on_random_numbers(void **state) {
    (void)state;
    check_all(SPT_SPMM, SPT_KN, false);
}

static void spmm_nk_is_within_the_bound_on_random_numbers(void **state) {
    (void)state;
    check_all(SPT_SPMM, SPT_NK, false);
}

static void sddmm_is_exact_and_within_the_bound(void **state) {
    (void)state;
    check_all(SPT_SDDMM, SPT_KN, true);
    check_all(SPT_SDDMM, SPT_NK, true);
    check_all(SPT_SDDMM, SPT_KN, false);
    check_all(SPT_SDDMM, SPT_NK, false);
}

static void conv2d_is_exact_and_within_the_bound(void **state) {
    (void)state;
    check_all(SPT_CONV2D, SPT_KN, true);
    check_all(SPT_CONV2D, SPT_KN, false);
}

static void a_batch_equals_its_items_one_by_one(void **state) {
    (void)state;
    enum { M = 17, K = 33, N = 20, ITEMS = 3 };
    static float b[ITEMS * K * N], c[ITEMS * M * N], alone[M * N];
    const spt_problem problem = {.size = sizeof problem, .op = SPT_SPMM, .n = N, .threads = 2};
    spt_device device;
    spt_workload workload;
    spt_matrix matrix;
    assert_int_equal(spt_device_detect(&device), SPT_OK);
    support_pattern_build(&matrix, support_pattern_at(10));
    assert_int_equal(spt_workload_init(&workload, &problem, &matrix.view), SPT_OK);
    support_fill_small(b, ITEMS * K * N, 1);
    for (int i = 0; i < spt_family_count(); i++) {
        const spt_family *family = spt_family_at(i);
        spt_prepared prepared;
        spt_point point = {0};
        if (spt_family_check(family, &workload, &device) != SPT_OK)
            continue;
        family->default_point(&workload, &device, &point);
        assert_int_equal(spt_prepared_init(&prepared, family, &point, &workload, &device, &matrix.view), SPT_OK);
        spt_args args = {.size = sizeof args, .batch = ITEMS, .b = {b, 0, K * N}, .c = {c, 0, M * N}};
        assert_int_equal(spt_prepared_run(&prepared, &args), SPT_OK);
        for (int item = 0; item < ITEMS; item++) {
            spt_args one = {.size = sizeof one, .b = {b + item * K * N, 0, 0}, .c = {alone, 0, 0}};
            assert_int_equal(spt_prepared_run(&prepared, &one), SPT_OK);
            assert_memory_equal(alone, c + item * M * N, sizeof alone);
        }
        spt_prepared_fini(&prepared);
    }
    spt_matrix_fini(&matrix);
}

static void wrong_arguments_are_refused_with_a_sentence(void **state) {
    (void)state;
    float b[33 * 20] = {0}, c[17 * 20];
    const spt_problem problem = {.size = sizeof problem, .op = SPT_SPMM, .epilogue = SPT_BIAS, .n = 20, .threads = 1};
    spt_device device;
    spt_workload workload;
    spt_matrix matrix;
    spt_prepared prepared;
    spt_point point = {0};
    const spt_family *family = spt_family_find("spmm_csr_panel");
    assert_int_equal(spt_device_detect(&device), SPT_OK);
    support_pattern_build(&matrix, support_pattern_at(10));
    assert_int_equal(spt_workload_init(&workload, &problem, &matrix.view), SPT_OK);
    family->default_point(&workload, &device, &point);
    assert_int_equal(spt_prepared_init(&prepared, family, &point, &workload, &device, &matrix.view), SPT_OK);
    const struct {
        spt_args args;
        const char *sentence;
    } cases[] = {
        {{.size = 4}, "size field"},
        {{.size = sizeof(spt_args), .n = -1}, "expected n"},
        {{.size = sizeof(spt_args), .c = {c, 0, 0}}, "operand b"},
        {{.size = sizeof(spt_args), .b = {b, 3, 0}, .c = {c, 0, 0}}, "leading dimension"},
        {{.size = sizeof(spt_args), .b = {b, 0, 0}}, "operand c"},
        {{.size = sizeof(spt_args), .b = {b, 0, 0}, .c = {c, 0, 0}}, "bias"},
        {{.size = sizeof(spt_args), .batch = 2, .b = {b, 0, 0}, .c = {c, 0, 0}}, "batch stride"},
        {{.size = sizeof(spt_args), .batch = 2, .b = {b, 0, INT64_MAX}, .c = {c, 0, 1}}, "that memory can have"},
        {{.size = sizeof(spt_args), .b = {b, 0, 0}, .c = {c, INT64_MAX, 0}, .bias = b},
         "operand c: expected a leading"},
        {{.size = sizeof(spt_args), .b = {b, INT64_MAX / 8, 0}, .c = {c, 0, 0}, .bias = b},
         "operand b: expected a leading"},
        {{.size = sizeof(spt_args), .batch = 1000, .b = {b, 0, INT64_MAX / 8}, .c = {c, 0, 1}},
         "operand b: expected a leading"},
        {{.size = sizeof(spt_args), .batch = INT64_MAX, .b = {b, 0, 0}, .c = {c, 0, 20}},
         "operand c: expected a leading"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(spt_prepared_run(&prepared, &cases[i].args), SPT_EINVAL);
        assert_non_null(strstr(spt_last_error(), cases[i].sentence));
    }
    assert_int_equal(spt_prepared_run_part(&prepared, &cases[5].args, 2, 2), SPT_EINVAL);
    spt_prepared_fini(&prepared);
    spt_matrix_fini(&matrix);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spmm_kn_is_exact_on_small_integers),
        cmocka_unit_test(spmm_nk_is_exact_on_small_integers),
        cmocka_unit_test(spmm_kn_is_within_the_bound_on_random_numbers),
        cmocka_unit_test(spmm_nk_is_within_the_bound_on_random_numbers),
        cmocka_unit_test(sddmm_is_exact_and_within_the_bound),
        cmocka_unit_test(conv2d_is_exact_and_within_the_bound),
        cmocka_unit_test(a_batch_equals_its_items_one_by_one),
        cmocka_unit_test(wrong_arguments_are_refused_with_a_sentence),
    };
    const int n_failed = cmocka_run_group_tests(tests, NULL, NULL);
    if (n_failed == 0 && spt_memory_live() != 0)
        print_error("%ld allocations are left\n", spt_memory_live());
    return n_failed + (spt_memory_live() != 0);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* conv2d through the library's door: the definition, written a second time, between NaN on all sides; batches,
 * residuals, new values; the key; and what is refused. */
#include <math.h>
#include <stdio.h>

#include "core/conv.h"
#include "core/key.h"
#include "core/memory.h"
#include "core/random.h"
#include "tests/support.h"
#include "tests/unit.h"
#include "tuner/input/input.h"
#include "variants/family.h"

enum { GAP = 5, ITEMS = 2 };

typedef struct layer {
    int64_t cout, cin, height, width;
    int stride;
} layer;

static const layer layers[] = {{4, 3, 5, 7, 1}, {6, 4, 8, 8, 2}, {5, 2, 7, 6, 2}, {3, 1, 1, 1, 1},
                               {3, 1, 1, 1, 2}, {7, 5, 9, 9, 1}, {2, 2, 1, 9, 2}, {9, 3, 13, 2, 1},
                               {2, 1, 2, 1, 2}, {3, 2, 2, 2, 2}, {4, 6, 3, 1, 1}, {1, 17, 14, 14, 1}};

static void make_weights(spt_matrix *out, const layer *l, uint64_t seed) {
    float *dense;
    spt_random random;
    spt_random_init(&random, seed);
    expect_ok(SPT_NEW_ZEROED(dense, l->cout * 9 * l->cin));
    for (int64_t i = 0; i < l->cout * 9 * l->cin; i++)
        dense[i] = spt_random_below(&random, 3) == 0 ? (float)spt_random_below(&random, 4) + 1.0f : 0.0f;
    expect_ok(spt_matrix_from_dense(out, dense, l->cout, 9 * l->cin));
    spt_free(dense);
}

/* One item's operands: channels lie GAP apart, gaps hold NaN. */
typedef struct planes {
    float *b, *c, *residual, *bias;
    int64_t ldb, ldc, n, b_item, c_item;
} planes;

static void fill_rows(float *out, int64_t rows, int64_t cols, int64_t ld, uint64_t seed) {
    for (int64_t row = 0; row < rows; row++) {
        support_fill_small(out + row * ld, cols, seed + (uint64_t)row);
        for (int64_t i = cols; i < ld; i++)
            out[row * ld + i] = NAN;
    }
}

static void planes_init(planes *out, const layer *l) {
    const int64_t places = l->height * l->width;
    out->n = spt_conv_extent(l->height, l->stride) * spt_conv_extent(l->width, l->stride);
    out->ldb = places + GAP;
    out->ldc = out->n + GAP;
    out->b_item = l->cin * out->ldb;
    out->c_item = l->cout * out->ldc;
    expect_ok(SPT_NEW(out->b, ITEMS * out->b_item + 2 * GAP));
    expect_ok(SPT_NEW(out->c, ITEMS * out->c_item));
    expect_ok(SPT_NEW(out->residual, ITEMS * out->c_item));
    expect_ok(SPT_NEW(out->bias, l->cout));
    for (int64_t i = 0; i < ITEMS * out->b_item + 2 * GAP; i++)
        out->b[i] = NAN;
    fill_rows(out->b + GAP, ITEMS * l->cin, places, out->ldb, 1);
    fill_rows(out->residual, ITEMS * l->cout, out->n, out->ldc, 50);
    support_fill_small(out->bias, l->cout, 99);
    for (int64_t i = 0; i < ITEMS * out->c_item; i++)
        out->c[i] = -77.0f;
}

static void planes_fini(planes *p) {
    spt_free(p->b);
    spt_free(p->c);
    spt_free(p->residual);
    spt_free(p->bias);
}

static double convolve(const layer *l, const spt_csr *a, const float *b, int64_t ldb, int64_t row, int64_t oy,
                       int64_t ox) {
    double sum = 0.0;
    for (int64_t nz = a->row_offsets[row]; nz < a->row_offsets[row + 1]; nz++) {
        const int64_t dy = a->columns[nz] / (3 * l->cin), dx = a->columns[nz] / l->cin % 3;
        const int64_t y = oy * l->stride + dy - 1, x = ox * l->stride + dx - 1;
        if (y >= 0 && y < l->height && x >= 0 && x < l->width)
            sum += (double)((const float *)a->values)[nz] * (double)b[a->columns[nz] % l->cin * ldb + y * l->width + x];
    }
    return sum;
}

static void check_output(const planes *p, const layer *l, const spt_csr *a, spt_epilogue epilogue, const char *what) {
    const spt_epilogue_row *row_of = spt_epilogue_get(epilogue);
    const int64_t out_width = spt_conv_extent(l->width, l->stride);
    for (int64_t item = 0; item < ITEMS; item++) {
        for (int64_t row = 0; row < l->cout; row++) {
            for (int64_t at = 0; at < p->ldc; at++) {
                const int64_t place = item * p->c_item + row * p->ldc + at;
                double wanted = -77.0;
                if (at < p->n) {
                    wanted = convolve(l, a, p->b + GAP + item * p->b_item, p->ldb, row, at / out_width, at % out_width);
                    wanted += row_of->has_bias ? (double)p->bias[row] : 0.0;
                    wanted += row_of->has_residual ? (double)p->residual[place] : 0.0;
                    wanted = row_of->activation == SPT_RELU && wanted < 0.0 ? 0.0 : wanted;
                }
                if (!(fabs((double)p->c[place] - wanted) <= 0.0))
                    fail_msg("%s, %ldx%ldx%ld, stride %d: item %ld, channel %ld, place %ld is %g, expected %g", what,
                             (long)l->cin, (long)l->height, (long)l->width, l->stride, (long)item, (long)row, (long)at,
                             (double)p->c[place], wanted);
            }
        }
    }
}

static spt_problem problem_of(const layer *l, spt_epilogue epilogue) {
    return (spt_problem){.size = sizeof(spt_problem),
                         .op = SPT_CONV2D,
                         .epilogue = epilogue,
                         .threads = 2,
                         .height = l->height,
                         .width = l->width,
                         .stride = l->stride};
}

static spt_args args_of(const planes *p) {
    return (spt_args){.size = sizeof(spt_args),
                      .batch = ITEMS,
                      .b = {p->b + GAP, p->ldb, p->b_item},
                      .c = {p->c, p->ldc, p->c_item},
                      .residual = {p->residual, p->ldc, p->c_item},
                      .bias = p->bias};
}

static void every_cpu_family_equals_the_definition(void **state) {
    (void)state;
    spt_device device;
    int n_run = 0;
    expect_ok(spt_device_detect(&device));
    for (int i = 0; i < N_ITEMS(layers) * 4; i++) {
        const layer *l = &layers[i / 4];
        const spt_problem problem = problem_of(l, (spt_epilogue)(i % 4));
        spt_matrix matrix;
        spt_workload workload;
        make_weights(&matrix, l, 5);
        expect_ok(spt_workload_init(&workload, &problem, &matrix.view));
        for (int f = 0; f < spt_family_count(); f++) {
            const spt_family *family = spt_family_at(f);
            spt_prepared prepared;
            spt_point point = {0};
            planes p;
            if (spt_family_check(family, &workload, &device) != SPT_OK)
                continue;
            family->default_point(&workload, &device, &point);
            planes_init(&p, l);
            const spt_args args = args_of(&p);
            expect_ok(spt_prepared_init(&prepared, family, &point, &workload, &device, &matrix.view));
            expect_ok(spt_prepared_run(&prepared, &args));
            check_output(&p, l, &matrix.view, problem.epilogue, family->name);
            spt_prepared_fini(&prepared);
            planes_fini(&p);
            n_run++;
        }
        spt_matrix_fini(&matrix);
    }
    assert_true(n_run >= 4 * N_ITEMS(layers));
}

static void plans_convolve_batches_and_take_new_weights(void **state) {
    (void)state;
    const layer *l = &layers[1];
    const spt_options options = {.size = sizeof options, .mode = SPT_MODE_OFF};
    const spt_problem problem = problem_of(l, SPT_BIAS_ADD_RELU);
    spt_context *context;
    spt_plan *plan;
    spt_matrix matrix;
    planes p;
    make_weights(&matrix, l, 5);
    planes_init(&p, l);
    spt_args args = args_of(&p);
    expect_ok(spt_open(&context, &options));
    expect_ok(spt_plan_conv2d(&plan, context, &matrix.view, &problem));
    expect_ok(spt_execute(plan, &args));
    check_output(&p, l, &matrix.view, problem.epilogue, "a plan");
    support_fill_small(matrix.values, spt_csr_nnz(&matrix.view), 8);
    expect_ok(spt_plan_set_values(plan, matrix.values));
    args.n = p.n;
    expect_ok(spt_execute(plan, &args));
    check_output(&p, l, &matrix.view, problem.epilogue, "a plan with new weights");
    args.n = p.n + 1;
    expect_error(SPT_EINVAL, "planned n", spt_execute(plan, &args));
    args.n = 0;
    args.residual.data = NULL;
    expect_error(SPT_EINVAL, "residual", spt_execute(plan, &args));
    spt_plan_free(plan);
    expect_error(SPT_EINVAL, "conv2d", spt_plan_spmm(&plan, context, &matrix.view, &problem));
    spt_close(context);
    planes_fini(&p);
    spt_matrix_fini(&matrix);
}

static void the_key_has_window_stride_and_image(void **state) {
    (void)state;
    const layer *l = &layers[2]; /* 7x6, stride 2: 4x3 */
    const spt_device device = {.key = "cpu|x|1|1|plain|1|1"};
    spt_problem problem = problem_of(l, SPT_BIAS);
    spt_workload workload, parsed;
    spt_matrix matrix;
    spt_key key, other;
    const char *device_key;
    make_weights(&matrix, l, 5);
    expect_ok(spt_workload_init(&workload, &problem, &matrix.view));
    assert_int_equal(workload.problem.n, 12);
    expect_ok(spt_key_init(&key, &workload, &device));
    assert_non_null(strstr(key.text, "v1|conv2d|f32|kn|bias|5|18|12|2|hot|3x3,s2,7x6|"));
    expect_ok(spt_key_parse(&parsed, &device_key, key.text));
    assert_int_equal(parsed.problem.height, 7);
    assert_int_equal(parsed.problem.width, 6);
    assert_int_equal(parsed.problem.stride, 2);
    problem.height = 8; /* 4x3 places as well */
    expect_ok(spt_workload_init(&workload, &problem, &matrix.view));
    expect_ok(spt_key_init(&other, &workload, &device));
    assert_false(spt_hash_equal(key.hash, other.hash));
    static const char *const bad[] = {"3x3,s2,7x7", "3x3,s1,7x6", "3x3,s2,07x6", "5x5,s2,7x6", "-", "3x3,s2,7x6 "};
    for (int i = 0; i < N_ITEMS(bad); i++) {
        char text[SPT_KEY_TEXT_MAX];
        const char *at = strstr(key.text, "3x3,s2,7x6");
        snprintf(text, sizeof text, "%.*s%s%s", (int)(at - key.text), key.text, bad[i], at + strlen("3x3,s2,7x6"));
        assert_int_equal(spt_key_parse(&parsed, &device_key, text), SPT_EINVAL);
    }
    spt_matrix_fini(&matrix);
}

static void what_is_no_convolution_is_refused(void **state) {
    (void)state;
    spt_matrix matrix;
    spt_workload workload;
    const spt_problem good = problem_of(&layers[0], SPT_EPILOGUE_NONE);
    spt_problem bad;
    make_weights(&matrix, &layers[0], 5);
    expect_ok(spt_workload_init(&workload, &good, &matrix.view));
#define REFUSED(field, value, named)                                                                                   \
    bad = good;                                                                                                        \
    bad.field = (value);                                                                                               \
    expect_error(SPT_EINVAL, named, spt_workload_init(&workload, &bad, &matrix.view))
    REFUSED(height, 0, "image");
    REFUSED(width, -1, "image");
    REFUSED(height, INT64_MAX, "image");
    REFUSED(stride, 3, "stride");
    REFUSED(stride, -1, "stride");
    REFUSED(layout, SPT_NK, "NCHW");
    REFUSED(n, 34, "35");
    REFUSED(op, SPT_SPMM, "image");
    matrix.view.n_cols++;
    expect_error(SPT_EINVAL, "multiple of 9", spt_workload_init(&workload, &good, &matrix.view));
    spt_matrix_fini(&matrix);
}

static void images_are_read_whole_or_not_at_all(void **state) {
    (void)state;
    static const char *const bad[] = {"",        "56",       "56x", "x56",  "56x56s",   "56x56s3",       "56x56s0",
                                      "56x56t2", "56x56s22", "0x5", "-1x5", "56x56 s2", "99999999999x1", "99999x99999"};
    int64_t height, width;
    int stride;
    expect_ok(spt_image_parse(&height, &width, &stride, "56x57"));
    assert_true(height == 56 && width == 57 && stride == 1);
    expect_ok(spt_image_parse(&height, &width, &stride, "7x9s2"));
    assert_true(height == 7 && width == 9 && stride == 2);
    for (int i = 0; i < N_ITEMS(bad); i++)
        expect_error(SPT_EINVAL, "image", spt_image_parse(&height, &width, &stride, bad[i]));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_cpu_family_equals_the_definition),
        cmocka_unit_test(plans_convolve_batches_and_take_new_weights),
        cmocka_unit_test(the_key_has_window_stride_and_image),
        cmocka_unit_test(what_is_no_convolution_is_refused),
        cmocka_unit_test(images_are_read_whole_or_not_at_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

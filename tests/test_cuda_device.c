/* SPDX-License-Identifier: Apache-2.0 */
/* CUDA families on the device that is here, through the driver: the default and sampled points of every family, element
 * type, layout and epilogue on awkward patterns, against the double reference: pointers of the host and of the device,
 * whole calls, strides, batches, other widths than planned, new values. Without a device everything is skipped and says
 * why. SPT_TEST_POINTS (2) are sampled per family, SPT_TEST_FAMILY picks one, SPT_TEST_SEED draws others. */
#include <stdio.h>
#include <stdlib.h>

#include "core/element.h"
#include "core/memory.h"
#include "core/random.h"
#include "tests/support.h"
#include "tests/unit.h"
#include "tuner/measure/verify.h"
#include "variants/cuda/device.h"
#include "variants/cuda/kernel.h"
#include "variants/operation.h"

enum { GAP = 3, BATCH = 2 };

static spt_device device;
static bool has_device;

static int64_t number_of(const char *name, int64_t otherwise) {
    const char *text = getenv(name);
    return text != NULL ? strtoll(text, NULL, 10) : otherwise;
}

typedef struct fixture {
    spt_workload workload;
    spt_matrix matrix;
    void *values, *other_values; /* of A, in the element type */
    const spt_operation *operation;
    void *inputs[SPT_OPERANDS_MAX];
    size_t bytes[SPT_OPERANDS_MAX]; /* of one item, gaps included */
    int64_t ld[SPT_OPERANDS_MAX], rows[SPT_OPERANDS_MAX], cols[SPT_OPERANDS_MAX];
    void *bias, *residual;
    spt_guarded output;
    double *value, *tolerance;
    char *packed;
    spt_args args;
} fixture;

static void *draw(spt_dtype dtype, int64_t count, uint64_t seed) {
    float *wide;
    spt_random random;
    void *out = spt_alloc((size_t)count + 1, spt_dtype_bytes(dtype));
    assert_non_null(out);
    assert_int_equal(SPT_NEW(wide, count), SPT_OK);
    spt_random_init(&random, seed);
    spt_random_fill_f32(&random, wide, count);
    spt_elements_from_f32(dtype, out, wide, count);
    spt_free(wide);
    return out;
}

static void fixture_init(fixture *f, const support_pattern *pattern, spt_problem problem) {
    *f = (fixture){.operation = spt_operation_get(problem.op)};
    const size_t item = spt_dtype_bytes(problem.dtype);
    support_pattern_build(&f->matrix, pattern);
    support_fit_conv(&problem, &f->matrix, (int)pattern->n_rows);
    const int64_t nnz = spt_csr_nnz(&f->matrix.view);
    f->values = draw(problem.dtype, nnz, 3);
    f->other_values = draw(problem.dtype, nnz, 4);
    expect_ok(spt_workload_init(&f->workload, &problem, &f->matrix.view));
    f->args = (spt_args){.size = sizeof f->args, .n = problem.n};
    for (int i = 0; i < f->operation->n_operands; i++) {
        const spt_operand_row *operand = &f->operation->operands[i];
        const bool is_vector = operand->cols == SPT_EXTENT_ONE;
        spt_operand_shape(&f->rows[i], &f->cols[i], operand, &f->workload);
        f->ld[i] = is_vector ? f->cols[i] : f->cols[i] + GAP;
        f->bytes[i] = (size_t)(f->rows[i] * f->ld[i]) * item;
        if (operand->is_output)
            expect_ok(spt_guarded_init(&f->output, BATCH * f->bytes[i]));
        else
            f->inputs[i] = draw(problem.dtype, f->rows[i] * f->ld[i], (uint64_t)i + 11);
        spt_operand_bind(&f->args, operand, operand->is_output ? f->output.data : f->inputs[i], f->ld[i],
                         operand->is_output ? f->rows[i] * f->ld[i] : 0);
    }
    f->bias = draw(problem.dtype, f->matrix.view.n_rows, 5);
    if (spt_epilogue_get(problem.epilogue)->has_bias)
        f->args.bias = f->bias;
    const int last = f->operation->n_operands - 1;
    if (spt_epilogue_get(problem.epilogue)->has_residual) {
        f->residual = draw(problem.dtype, f->rows[last] * f->ld[last], 6);
        f->args.residual = (spt_input){f->residual, f->ld[last], 0};
    }
    const int64_t n_outputs = spt_operand_count(&f->operation->operands[f->operation->n_operands - 1], &f->workload);
    assert_int_equal(SPT_NEW(f->value, n_outputs), SPT_OK);
    assert_int_equal(SPT_NEW(f->tolerance, n_outputs), SPT_OK);
    f->packed = spt_alloc((size_t)n_outputs + 1, item);
    assert_non_null(f->packed);
    spt_csr a = f->matrix.view;
    a.values = f->values;
    f->operation->reference(f->value, f->tolerance, &f->workload, &a, &f->args);
}

static void fixture_fini(fixture *f) {
    spt_matrix_fini(&f->matrix);
    spt_free(f->values);
    spt_free(f->other_values);
    for (int i = 0; i < SPT_OPERANDS_MAX; i++)
        spt_free(f->inputs[i]);
    spt_free(f->bias);
    spt_free(f->residual);
    spt_guarded_fini(&f->output);
    spt_free(f->value);
    spt_free(f->tolerance);
    spt_free(f->packed);
}

static bool is_poison(const char *bytes, size_t count) {
    for (size_t i = 0; i < count; i++)
        if ((unsigned char)bytes[i] != 0xff)
            return false;
    return true;
}

/* Compare one item of the output's memory with the reference; gaps must be as they were. */
static void check_item(fixture *f, int item, const char *what, const char *variant) {
    const int last = f->operation->n_operands - 1;
    const spt_dtype dtype = f->workload.problem.dtype;
    const size_t each = spt_dtype_bytes(dtype);
    const char *data = (const char *)f->output.data + (size_t)item * f->bytes[last];
    spt_measurement measurement = {0};
    for (int64_t row = 0; row < f->rows[last]; row++) {
        const char *from = data + (size_t)(row * f->ld[last]) * each;
        const size_t bytes = (size_t)f->cols[last] * each;
        memcpy(f->packed + (size_t)(row * f->cols[last]) * each, from, bytes);
        const bool is_last = row + 1 == f->rows[last];
        if (!is_last && !is_poison(from + bytes, (size_t)(f->ld[last] - f->cols[last]) * each))
            fail_msg("%s: %s wrote into the gap after row %ld", variant, what, (long)row);
    }
    if (!spt_guarded_is_intact(&f->output))
        fail_msg("%s: %s wrote outside the output", variant, what);
    if (!spt_verify(&measurement, dtype, f->packed, f->value, f->tolerance, 1.0, 0.0, f->rows[last], f->cols[last],
                    f->operation->operands[last].role))
        fail_msg("%s: %s: %s", variant, what, measurement.reason);
}

static void run_on_host(fixture *f, const spt_prepared *prepared, const char *what, const char *variant) {
    spt_args args = f->args;
    const int last = f->operation->n_operands - 1;
    args.batch = f->rows[last] > 0 ? BATCH : 1; /* an empty mask has no stride */
    spt_guarded_poison(&f->output);
    if (spt_prepared_run(prepared, &args) != SPT_OK)
        fail_msg("%s: %s: %s", variant, what, spt_last_error());
    for (int item = 0; item < args.batch; item++)
        check_item(f, item, what, variant);
}

/* The same with every pointer on the device, as applications call. */
static void run_on_device(fixture *f, const spt_prepared *prepared, const char *variant) {
    const int last = f->operation->n_operands - 1;
    void *copies[SPT_OPERANDS_MAX + 3] = {0};
    const size_t workspace_bytes = spt_prepared_workspace(prepared, f->args.n);
    spt_args args = f->args;
    spt_guarded_poison(&f->output);
    expect_ok(spt_cuda_enter(&device));
    for (int i = 0; i < f->operation->n_operands; i++) {
        expect_ok(spt_cuda_alloc(&copies[i], f->bytes[i]));
        expect_ok(spt_cuda_upload(copies[i], i == last ? f->output.data : f->inputs[i], f->bytes[i]));
        spt_operand_bind(&args, &f->operation->operands[i], copies[i], f->ld[i], 0);
    }
    expect_ok(spt_cuda_alloc(&copies[SPT_OPERANDS_MAX], (size_t)f->matrix.view.n_rows * 4));
    expect_ok(spt_cuda_upload(copies[SPT_OPERANDS_MAX], f->bias,
                              (size_t)f->matrix.view.n_rows * spt_dtype_bytes(f->workload.problem.dtype)));
    args.bias = f->args.bias != NULL ? copies[SPT_OPERANDS_MAX] : NULL;
    expect_ok(spt_cuda_alloc(&copies[SPT_OPERANDS_MAX + 1], workspace_bytes));
    args.workspace = workspace_bytes > 0 ? copies[SPT_OPERANDS_MAX + 1] : NULL;
    args.workspace_bytes = workspace_bytes;
    if (f->residual != NULL) {
        expect_ok(spt_cuda_alloc(&copies[SPT_OPERANDS_MAX + 2], f->bytes[last]));
        expect_ok(spt_cuda_upload(copies[SPT_OPERANDS_MAX + 2], f->residual, f->bytes[last]));
        args.residual.data = copies[SPT_OPERANDS_MAX + 2];
    }
    if (spt_prepared_run(prepared, &args) != SPT_OK)
        fail_msg("%s: %s", variant, spt_last_error());
    expect_ok(spt_cuda_synchronize(NULL));
    expect_ok(spt_cuda_download(f->output.data, copies[last], f->bytes[last]));
    for (int i = 0; i < SPT_OPERANDS_MAX + 3; i++)
        spt_cuda_free(copies[i]);
    spt_cuda_leave(&device);
    check_item(f, 0, "the run on device pointers", variant);
}

/* A variant that a vendor's library refuses is no mistake of ours; one of our own must be made ready. */
static void check_variant(fixture *f, const spt_family *family, const spt_point *point) {
    char text[SPT_POINT_TEXT_MAX], variant[512];
    spt_prepared prepared;
    spt_csr a = f->matrix.view;
    const spt_problem *problem = &f->workload.problem;
    assert_int_equal(spt_point_text(text, family->axes, family->n_axes, point), SPT_OK);
    snprintf(variant, sizeof variant, "%s %s, %s, %s, %s, %ldx%ld, n %ld", family->name, text,
             spt_dtype_name(problem->dtype), spt_layout_name(problem->layout), spt_epilogue_name(problem->epilogue),
             (long)a.n_rows, (long)a.n_cols, (long)problem->n);
    a.values = f->other_values;
    const spt_status status = spt_prepared_init(&prepared, family, point, &f->workload, &device, &a);
    if (status == SPT_EUNSUPPORTED && family->cuda->library_run != NULL)
        return;
    if (status != SPT_OK)
        fail_msg("%s: %s", variant, spt_last_error());
    expect_ok(spt_prepared_set_values(&prepared, f->values));
    run_on_host(f, &prepared, "the run on host pointers", variant);
    run_on_device(f, &prepared, variant);
    if (family->op != SPT_CONV2D)
        prepared.workload.problem.n = problem->n > 40 ? 5 : 200; /* as if another n had been planned */
    run_on_host(f, &prepared, "the run with another planned width", variant);
    spt_prepared_fini(&prepared);
}

static int64_t check_points(fixture *f, const spt_family *family, spt_random *random) {
    spt_family_space space;
    spt_point point = {0};
    if (spt_family_check(family, &f->workload, &device) != SPT_OK)
        return 0;
    family->default_point(&f->workload, &device, &point);
    check_variant(f, family, &point);
    spt_family_space_init(&space, family, &f->workload, &device);
    const int64_t n_points = number_of("SPT_TEST_POINTS", 2), size = spt_space_size(&space.space);
    for (int64_t i = 0; i < n_points; i++) {
        int64_t ordinal = (int64_t)spt_random_below(random, (uint64_t)size);
        if (spt_space_next(&space.space, &ordinal, &point))
            check_variant(f, family, &point);
    }
    return 1 + n_points;
}

static int64_t check_family(const spt_family *family) {
    static const int64_t widths[] = {1, 5, 8, 33, 64, 128};
    spt_random random;
    int64_t n_checked = 0;
    spt_random_init(&random, (uint64_t)number_of("SPT_TEST_SEED", 1));
    for (int dtype = SPT_F32; dtype < SPT_DTYPE_COUNT; dtype++) {
        for (int i = 0; (family->dtypes & SPT_DTYPE_BIT(dtype)) != 0 && i < support_pattern_count(); i++) {
            const spt_problem problem = {
                .size = sizeof problem,
                .op = family->op,
                .dtype = (spt_dtype)dtype,
                .layout = spt_random_below(&random, 2) == 0 ? SPT_KN : SPT_NK,
                .epilogue = spt_op_has_epilogue(family->op)
                                ? (spt_epilogue)spt_random_below(&random, family->takes_residual ? 4 : 3)
                                : SPT_EPILOGUE_NONE,
                .n = widths[spt_random_below(&random, N_ITEMS(widths))],
                .device = "cuda:0"};
            fixture f;
            fixture_init(&f, support_pattern_at(i), problem);
            n_checked += check_points(&f, family, &random);
            fixture_fini(&f);
        }
    }
    return n_checked;
}

static bool skips(void) {
    if (has_device)
        return false;
    printf("SKIP: %s\n", spt_last_error());
    skip();
    return true;
}

static void every_family_equals_the_reference(void **state) {
    (void)state;
    const char *wanted = getenv("SPT_TEST_FAMILY");
    if (skips())
        return;
    for (int i = 0; i < spt_family_count(); i++) {
        const spt_family *family = spt_family_at(i);
        if (family->device != SPT_CUDA || (wanted != NULL && strcmp(wanted, family->name) != 0))
            continue;
        if (family->available(&device) != SPT_OK) {
            printf("SKIP: %s: %s\n", family->name, spt_last_error());
            continue;
        }
        printf("%s: %ld variants on %s\n", family->name, (long)check_family(family), device.name);
    }
}

static spt_status fill_twice(void *context, void *stream) {
    SPT_TRY(spt_cuda_fill(context, 1, 4096, stream));
    return spt_cuda_fill(context, 2, 4096, stream);
}

static void the_clock_times_and_replays_short_work(void **state) {
    (void)state;
    spt_cuda_clock *clock;
    void *memory;
    double ns = -1.0;
    unsigned char found[4096] = {0};
    if (skips())
        return;
    for (int cold = 0; cold < 2; cold++) {
        expect_ok(spt_cuda_enter(&device));
        expect_ok(spt_cuda_alloc(&memory, 4096));
        expect_ok(spt_cuda_clock_new(&clock, &device, cold != 0 ? 1 << 20 : 0));
        expect_ok(spt_cuda_clock_time(&ns, clock, fill_twice, memory, 100));
        assert_true(ns > 0.0 && ns < 1e9);
        assert_true(spt_cuda_clock_replays(clock) == (cold == 0)); /* a few microseconds at most */
        expect_ok(spt_cuda_download(found, memory, sizeof found));
        assert_int_equal(found[4095], 2);
        spt_cuda_clock_free(clock);
        spt_cuda_free(memory);
        spt_cuda_leave(&device);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_family_equals_the_reference),
        cmocka_unit_test(the_clock_times_and_replays_short_work),
    };
    has_device = spt_device_find(&device, "cuda:0") == SPT_OK;
    return cmocka_run_group_tests(tests, NULL, NULL);
}

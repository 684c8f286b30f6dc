/* SPDX-License-Identifier: Apache-2.0 */
/* Every CUDA family with kernels of its own, in the emulator: the default and sampled points for every element type,
 * layout and epilogue, on awkward and shared patterns, widths, strides and alignments, against the double reference.
 * SPT_TEST_SEED draws other points, SPT_TEST_POINTS more of them, SPT_TEST_FAMILY picks one family. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/element.h"
#include "core/memory.h"
#include "core/random.h"
#include "tests/simt/engine.h"
#include "tests/support.h"
#include "tests/unit.h"

#include "tuner/input/input.h"
#include "variants/operation.h"

static const int64_t widths[] = {1, 2, 7, 8, 16, 17, 31, 32, 49, 64, 96, 129};
enum { OPERANDS = SPT_OPERANDS_MAX + 2, BIAS = SPT_OPERANDS_MAX, RESIDUAL };

/* A dense operand in the element type, `shift` elements behind an aligned address. */
typedef struct operand {
    int64_t rows, cols, ld;
    char *base, *data;
    size_t bytes; /* from data to the last element */
} operand;

typedef struct fixture {
    spt_workload workload;
    spt_device device;
    spt_matrix matrix;
    void *values; /* of A, in the element type */
    const spt_operation *operation;
    operand operands[OPERANDS];
    double *value, *tolerance;
    float *found;
    spt_call call;
    simt_range ranges[OPERANDS];
    int n_ranges;
    bool is_exact;
} fixture;

static char *new_bytes(size_t bytes, int fill) {
    char *out = spt_alloc(bytes + 64, 1);
    assert_non_null(out);
    memset(out, fill, bytes + 64);
    return out;
}

/* Random numbers, or small integers, in the element type. */
static void draw(void *out, spt_dtype dtype, int64_t count, bool is_exact, uint64_t seed) {
    spt_random random;
    float *wide;
    assert_int_equal(SPT_NEW(wide, count), SPT_OK);
    spt_random_init(&random, seed);
    if (is_exact)
        support_fill_small(wide, count, seed);
    else
        spt_random_fill_f32(&random, wide, count);
    spt_elements_from_f32(dtype, out, wide, count);
    spt_free(wide);
}

static void operand_init(operand *o, spt_dtype dtype, int64_t rows, int64_t cols, int64_t gap, int shift, bool is_exact,
                         uint64_t seed) {
    const size_t each = spt_dtype_bytes(dtype);
    *o = (operand){.rows = rows, .cols = cols, .ld = cols + gap};
    o->bytes = (size_t)((rows - 1) * o->ld + cols) * each;
    o->base = new_bytes((size_t)(rows * o->ld + shift) * each, 0xff);
    o->data = o->base + (size_t)shift * each;
    char *packed = new_bytes((size_t)(rows * cols) * each, 0);
    draw(packed, dtype, rows * cols, is_exact, seed);
    for (int64_t row = 0; row < rows; row++)
        memcpy(o->data + (size_t)(row * o->ld) * each, packed + (size_t)(row * cols) * each, (size_t)cols * each);
    spt_free(packed);
}

/* The call's operands by role, and the reference on the rounded numbers. */
static void bind(fixture *f) {
    spt_args args = {.size = sizeof args, .n = f->workload.problem.n};
    for (int i = 0; i < f->operation->n_operands; i++) {
        operand *o = &f->operands[i];
        const spt_operand_row *row = &f->operation->operands[i];
        spt_operand_bind(&args, row, o->data, o->ld, 0);
        switch (row->role[0]) {
        case 'b':
            f->call.b = o->data, f->call.ldb = o->ld;
            break;
        case 'c':
            f->call.c = o->data, f->call.ldc = o->ld;
            break;
        case 'x':
            f->call.x = o->data, f->call.ldx = o->ld;
            break;
        case 'y':
            f->call.y = o->data, f->call.ldy = o->ld;
            break;
        default:
            f->call.s = o->data;
            break;
        }
        f->ranges[i] = (simt_range){o->data, o->bytes};
    }
    args.bias = f->operands[BIAS].data;
    if (spt_epilogue_get(f->workload.problem.epilogue)->has_bias)
        f->call.bias = f->operands[BIAS].data;
    f->n_ranges = f->operation->n_operands;
    f->ranges[f->n_ranges++] = (simt_range){f->operands[BIAS].data, f->operands[BIAS].bytes};
    if (spt_epilogue_get(f->workload.problem.epilogue)->has_residual) {
        operand *o = &f->operands[RESIDUAL];
        args.residual = (spt_input){o->data, o->ld, 0};
        f->call.residual = o->data;
        f->call.ldr = o->ld;
        f->ranges[f->n_ranges++] = (simt_range){o->data, o->bytes};
    }
    spt_csr a = f->matrix.view;
    a.values = f->values;
    f->operation->reference(f->value, f->tolerance, &f->workload, &a, &args);
}

static void fixture_init(fixture *f, spt_matrix matrix, spt_problem problem, int64_t gap, int shift, bool is_exact) {
    support_fit_conv(&problem, &matrix, (int)(problem.n + gap));
    *f = (fixture){.is_exact = is_exact, .operation = spt_operation_get(problem.op), .matrix = matrix};
    const int64_t nnz = spt_csr_nnz(&f->matrix.view);
    assert_int_equal(spt_device_pretend(&f->device, "sm_90"), SPT_OK);
    f->values = new_bytes((size_t)nnz * 4, 0);
    draw(f->values, problem.dtype, nnz, is_exact, 3);
    expect_ok(spt_workload_init(&f->workload, &problem, &f->matrix.view));
    f->call.n = problem.n;
    for (int i = 0; i < f->operation->n_operands; i++) {
        int64_t rows, cols;
        spt_operand_shape(&rows, &cols, &f->operation->operands[i], &f->workload);
        rows = rows > 0 ? rows : 1;
        const bool is_vector = f->operation->operands[i].cols == SPT_EXTENT_ONE;
        operand_init(&f->operands[i], problem.dtype, is_vector ? 1 : rows, is_vector ? rows : cols, is_vector ? 0 : gap,
                     shift, is_exact, (uint64_t)i + 11);
    }
    operand_init(&f->operands[BIAS], problem.dtype, 1, f->matrix.view.n_rows, 0, shift, is_exact, 5);
    const operand *out = &f->operands[f->operation->n_operands - 1];
    if (spt_op_has_epilogue(problem.op))
        operand_init(&f->operands[RESIDUAL], problem.dtype, out->rows, out->cols, gap, shift, is_exact, 6);
    assert_int_equal(SPT_NEW(f->value, out->rows * out->cols), SPT_OK);
    assert_int_equal(SPT_NEW(f->tolerance, out->rows * out->cols), SPT_OK);
    assert_int_equal(SPT_NEW(f->found, out->rows * out->cols), SPT_OK);
    bind(f);
}

static void fixture_fini(fixture *f) {
    spt_matrix_fini(&f->matrix);
    spt_free(f->values);
    for (int i = 0; i < OPERANDS; i++) {
        spt_free(f->operands[i].base);
    }
    spt_free(f->value);
    spt_free(f->tolerance);
    spt_free(f->found);
}

/* Elements within the tolerance, gaps between rows untouched. An expected NaN may be any number. */
static void check_output(fixture *f, const char *variant) {
    const operand *out = &f->operands[f->operation->n_operands - 1];
    const spt_dtype dtype = f->workload.problem.dtype;
    const size_t each = spt_dtype_bytes(dtype);
    if (spt_csr_nnz(&f->matrix.view) == 0 && f->workload.problem.op == SPT_SDDMM)
        return;
    for (int64_t row = 0; row < out->rows; row++) {
        const char *data = out->data + (size_t)(row * out->ld) * each;
        spt_elements_to_f32(f->found + row * out->cols, dtype, data, out->cols);
        for (size_t i = (size_t)out->cols * each; row + 1 < out->rows && i < (size_t)out->ld * each; i++)
            if ((unsigned char)data[i] != 0xff)
                fail_msg("%s wrote into the gap behind row %ld", variant, (long)row);
    }
    for (int64_t i = 0; i < out->rows * out->cols; i++) {
        const double error = fabs((double)f->found[i] - f->value[i]);
        const double allowed = f->is_exact && dtype == SPT_F32 ? 0.0 : f->tolerance[i];
        if (!isnan(f->value[i]) && !(error <= allowed))
            fail_msg("%s: element (%ld, %ld): expected %g, found %g, off by %g, allowed %g", variant,
                     (long)(i / out->cols), (long)(i % out->cols), f->value[i], (double)f->found[i], error, allowed);
    }
}

static void variant_text(char out[600], const fixture *f, const spt_family *family, const spt_point *point) {
    char text[SPT_POINT_TEXT_MAX];
    const spt_problem *problem = &f->workload.problem;
    assert_int_equal(spt_point_text(text, family->axes, family->n_axes, point), SPT_OK);
    snprintf(out, 600, "%s %s, %s, %s, %s, %ldx%ld, n %ld", family->name, text, spt_dtype_name(problem->dtype),
             spt_layout_name(problem->layout), spt_epilogue_name(problem->epilogue), (long)f->matrix.view.n_rows,
             (long)f->matrix.view.n_cols, (long)f->call.n);
}

/* Families whose kernels walk over the tiles that the grid does not have along y. */
static bool walks(const spt_family *family) {
    static const char *const names[] = {"spmm_csr_subwarp", "sddmm_csr_subwarp", "spmm_csr_staged", "spmm_skinny_warp",
                                        "spmm_bitmap_mma"};
    for (int i = 0; i < N_ITEMS(names); i++)
        if (strcmp(family->name, names[i]) == 0)
            return true;
    return false;
}

/* Run a prepared point; the sentence of what stopped it is in error. */
static bool run_point(fixture *f, const spt_family *family, const spt_point *point, const spt_workload *planned,
                      simt_order order, char error[SIMT_ERROR_MAX]) {
    simt_variant v;
    spt_csr a = f->matrix.view;
    operand *out = &f->operands[f->operation->n_operands - 1];
    a.values = f->values;
    memset(out->data, 0xff, out->bytes);
    if (!simt_variant_init(&v, family, planned, &f->device, point, &a, error))
        return false;
    const bool is_ok = simt_variant_run(&v, &f->call, f->ranges, f->n_ranges, order, error);
    simt_variant_fini(&v);
    return is_ok;
}

/* Run a point, planned for planned_n; false when it is not valid for that. */
static bool check_point(fixture *f, const spt_family *family, const spt_point *point, int64_t planned_n,
                        simt_order order) {
    char variant[600], error[SIMT_ERROR_MAX] = "";
    spt_workload planned = f->workload;
    if (family->op != SPT_CONV2D)
        planned.problem.n = planned_n;
    if (!family->is_valid(&planned, &f->device, point))
        return false;
    variant_text(variant, f, family, point);
    const double bound = family->bound_ns(&planned, &f->device, point);
    assert_true(isfinite(bound) && bound >= 0.0);
    if (!run_point(f, family, point, &planned, order, error))
        fail_msg("%s: %s", variant, error);
    check_output(f, variant);
    return true;
}

/* A problem that changes with the turn. */
static spt_problem problem_at(const spt_family *family, spt_dtype dtype, spt_layout layout, spt_epilogue epilogue,
                              int64_t n) {
    return (spt_problem){.size = sizeof(spt_problem),
                         .op = family->op,
                         .dtype = dtype,
                         .layout = layout,
                         .epilogue = spt_op_has_epilogue(family->op) ? epilogue : SPT_EPILOGUE_NONE,
                         .n = n,
                         .threads = 1};
}

/* One combination of point and problem on every awkward pattern. Gives how many runs there were. */
static int check_patterns(const spt_family *family, const spt_point *point, spt_problem problem, int turn) {
    int n_runs = 0;
    for (int i = 0; i < support_pattern_count(); i++, turn++) {
        fixture f;
        spt_matrix matrix;
        support_pattern_build(&matrix, support_pattern_at(i));
        const int64_t planned_n = problem.n;
        spt_problem other = problem;
        other.n = i % 3 == 0 || family->op == SPT_CONV2D ? planned_n : widths[(turn * 5 + i) % N_ITEMS(widths)];
        fixture_init(&f, matrix, other, i % 4 == 1 ? 3 : i % 4 == 2 ? 8 : 0, i % 5 == 4, i % 2 == 0);
        simt_engine_grid_y = walks(family) && i % 3 == 1 ? 1 : 0;
        n_runs += check_point(&f, family, point, planned_n, (simt_order)(turn % SIMT_N_ORDERS));
        simt_engine_grid_y = 0;
        fixture_fini(&f);
    }
    return n_runs;
}

static int n_points(void) {
    const char *text = getenv("SPT_TEST_POINTS");
    return text != NULL ? atoi(text) : 8;
}

/* Draw a valid point of the family for a workload. */
static bool draw_point(spt_point *out, const spt_family *family, const spt_workload *workload, const spt_device *device,
                       spt_random *random) {
    for (int attempt = 0; attempt < 20000; attempt++) {
        for (int axis = 0; axis < family->n_axes; axis++)
            out->index[axis] = (uint16_t)spt_random_below(random, (uint64_t)family->axes[axis].n_values);
        if (family->is_valid(workload, device, out))
            return true;
    }
    return false;
}

/* A pattern that the family is made for. */
static int base_pattern(const spt_family *family, spt_dtype dtype) {
    return dtype == SPT_TF32                          ? 19
           : strstr(family->name, "_24_") != NULL     ? 16
           : strstr(family->name, "_vector_") != NULL ? 17
           : strstr(family->name, "_vnm_") != NULL    ? 20
                                                      : 14;
}

/* The default of every element type and layout, then sampled points of random ones. */
static void check_family(const spt_family *family, uint64_t seed) {
    spt_random random;
    int n_runs = 0, turn = 0;
    const int n_defaults = 2 * SPT_DTYPE_COUNT, n_epilogues = family->takes_residual ? 4 : 3;
    spt_random_init(&random, seed);
    for (int i = 0; i < n_defaults + n_points(); i++, turn++) {
        int pick = i < n_defaults ? i : (int)spt_random_below(&random, (uint64_t)n_defaults);
        while (i >= n_defaults && (family->dtypes & SPT_DTYPE_BIT(pick / 2)) == 0)
            pick = (pick + 2) % n_defaults;
        const spt_dtype dtype = (spt_dtype)(pick / 2);
        const bool is_narrow = strstr(family->name, "skinny") != NULL;
        const int64_t n = is_narrow        ? 1 + (int64_t)spt_random_below(&random, 8)
                          : i < n_defaults ? 64
                                           : widths[spt_random_below(&random, N_ITEMS(widths))];
        const spt_problem problem =
            problem_at(family, dtype, (spt_layout)(pick % 2), (spt_epilogue)(turn % n_epilogues), n);
        if ((family->dtypes & SPT_DTYPE_BIT(dtype)) == 0)
            continue;
        fixture f;
        spt_matrix matrix;
        spt_point point = {0};
        support_pattern_build(&matrix, support_pattern_at(base_pattern(family, dtype)));
        fixture_init(&f, matrix, problem, 0, 0, true);
        if (i < n_defaults) {
            family->default_point(&f.workload, &f.device, &point);
        } else if (!draw_point(&point, family, &f.workload, &f.device, &random)) {
            fixture_fini(&f);
            continue;
        }
        spt_problem planned = problem;
        planned.n = f.workload.problem.n;
        fixture_fini(&f);
        n_runs += check_patterns(family, &point, planned, turn);
    }
    print_message("%s: %d runs\n", family->name, n_runs);
    assert_true(n_runs > 0);
}

static bool is_wanted(const spt_family *family) {
    const char *only = getenv("SPT_TEST_FAMILY");
    return family->cuda != NULL && family->cuda->library_run == NULL &&
           (only == NULL || strcmp(only, family->name) == 0);
}

static void every_family_equals_the_reference(void **state) {
    (void)state;
    const char *seed = getenv("SPT_TEST_SEED");
    for (int i = 0; i < spt_family_count(); i++)
        if (is_wanted(spt_family_at(i)))
            check_family(spt_family_at(i), seed != NULL ? strtoull(seed, NULL, 10) : 1);
    simt_engine_close();
}

/* NaN in a row of B reaches only the rows of C that use it, unless the family says that it multiplies zeros. */
static void other_rows_stay_free_of_nan(void **state) {
    (void)state;
    for (int i = 0; i < spt_family_count(); i++) {
        const spt_family *family = spt_family_at(i);
        if (!is_wanted(family) || family->op != SPT_SPMM || family->pads_zeros ||
            (family->dtypes & SPT_DTYPE_BIT(SPT_F32)) == 0)
            continue;
        fixture f;
        spt_matrix matrix;
        spt_point point = {0};
        support_pattern_build(&matrix, support_pattern_at(11));
        fixture_init(&f, matrix, problem_at(family, SPT_F32, SPT_KN, SPT_BIAS, 64), 0, 0, true);
        for (int64_t column = 0; column < f.matrix.view.n_cols; column += 7) {
            for (int64_t j = 0; j < 64; j++)
                ((float *)f.operands[0].data)[column * 64 + j] = NAN;
        }
        bind(&f);
        family->default_point(&f.workload, &f.device, &point);
        assert_true(check_point(&f, family, &point, 64, SIMT_FORWARD));
        fixture_fini(&f);
    }
    simt_engine_close();
}

/* ---- what would be wrong without a barrier is found ---- */

static int blanked; /* which of all barriers and waits of a text */

/* Blank a barrier or wait; false when there are not so many. */
static bool blank_one(char *text, int which) {
    static const char *const tokens[] = {"__syncthreads();", "__syncwarp(SPT_FULL_MASK);",
                                         "spt_cp_async_wait(SPT_STAGES - 2);"};
    for (char *at = text; *at != '\0'; at++) {
        for (int i = 0; i < N_ITEMS(tokens); i++) {
            if (strncmp(at, tokens[i], strlen(tokens[i])) == 0 && which-- == 0) {
                memset(at, ' ', strlen(tokens[i]));
                return true;
            }
        }
    }
    return false;
}

static void blank(char *text) {
    if (!blank_one(text, blanked))
        blanked = -1;
}

/* Does any of several points and patterns stop or go wrong? Grids are one block high, so that kernels walk. */
static bool goes_wrong(const spt_family *family, int n_turns) {
    spt_random random;
    bool is_wrong = false;
    spt_random_init(&random, 5);
    for (int turn = 0; turn < n_turns && !is_wrong && blanked >= 0; turn++) {
        const bool is_narrow = strstr(family->name, "skinny") != NULL;
        const spt_dtype dtype = (family->dtypes & SPT_DTYPE_BIT(SPT_F32)) != 0 ? SPT_F32 : SPT_F16;
        const int64_t n = is_narrow ? 7 : strstr(family->name, "bitmap") != NULL ? 64 : 129;
        char error[SIMT_ERROR_MAX];
        spt_matrix matrix;
        spt_point point = {0};
        fixture f;
        const int number = family->cuda->is_unconfirmed ? base_pattern(family, dtype) : turn % 2 == 0 ? 15 : 6;
        support_pattern_build(&matrix, support_pattern_at(number));
        fixture_init(&f, matrix, problem_at(family, dtype, (spt_layout)(turn / 2 % 2), SPT_BIAS, n), 0, 0, true);
        if (turn < 4)
            family->default_point(&f.workload, &f.device, &point);
        if (turn < 4 || draw_point(&point, family, &f.workload, &f.device, &random)) {
            f.call.n = n;
            is_wrong = !run_point(&f, family, &point, &f.workload, SIMT_SHUFFLED, error);
        }
        fixture_fini(&f);
    }
    return is_wrong;
}

static void every_barrier_and_wait_is_needed_and_missed(void **state) {
    (void)state;
    int n_found = 0;
    simt_engine_edit = blank;
    simt_engine_grid_y = 1;
    for (int i = 0; i < spt_family_count(); i++) {
        const spt_family *family = spt_family_at(i);
        if (!is_wanted(family) || (!walks(family) && !family->cuda->is_unconfirmed))
            continue;
        for (int which = 0;; which++) {
            simt_engine_close();
            blanked = which;
            const bool is_wrong = goes_wrong(family, 24);
            if (blanked < 0)
                break;
            if (!is_wrong)
                fail_msg("%s works without barrier or wait %d", family->name, which);
            n_found++;
        }
    }
    simt_engine_edit = NULL;
    simt_engine_grid_y = 0;
    simt_engine_close();
    print_message("%d missing barriers and waits found\n", n_found);
    assert_true(n_found > 0 || getenv("SPT_TEST_FAMILY") != NULL);
}

/* The default of every family on a real pattern, for a few columns; f32 where the family has it. */
static void check_shared_pattern(char *path, int turn) {
    for (int i = 0; i < spt_family_count(); i++) {
        const spt_family *family = spt_family_at(i);
        spt_matrix matrix;
        fixture f;
        spt_point point = {0};
        if (!is_wanted(family))
            continue;
        const bool has_f32 = (family->dtypes & SPT_DTYPE_BIT(SPT_F32)) != 0;
        const bool has_f16 = (family->dtypes & SPT_DTYPE_BIT(SPT_F16)) != 0;
        const spt_dtype dtype = has_f16 && (turn % 3 == 2 || !has_f32) ? SPT_F16 : SPT_F32;
        expect_ok(spt_layer_load(&matrix, &(spt_layer){.source = path}, &(spt_input_options){.seed = 1}));
        fixture_init(&f, matrix, problem_at(family, dtype, (spt_layout)(turn % 2), SPT_BIAS, 8), 0, 0, false);
        family->default_point(&f.workload, &f.device, &point);
        const bool is_valid = family->is_valid(&f.workload, &f.device, &point);
        /* code for every nonzero has its limits, and tensor cores' patterns are not everywhere */
        if (is_valid || (!family->cuda->is_baked && !family->cuda->is_unconfirmed))
            assert_true(check_point(&f, family, &point, 8, (simt_order)(turn % SIMT_N_ORDERS)));
        fixture_fini(&f);
    }
}

/* Every eighth pattern of the shared folder; SPT_TEST_SHARED=all takes them all. */
static void shared_patterns_equal_the_reference(void **state) {
    (void)state;
    char path[1024], line[1024];
    const bool all = getenv("SPT_TEST_SHARED") != NULL;
    int n_patterns = 0, n_checked = 0;
    if (!support_data_path(path, sizeof path, "patterns/manifest.csv"))
        skip();
    FILE *manifest = fopen(path, "r");
    assert_non_null(manifest);
    assert_non_null(fgets(line, sizeof line, manifest)); /* the header */
    while (fgets(line, sizeof line, manifest) != NULL) {
        char file[300];
        snprintf(file, sizeof file, "patterns/%.*s", (int)strcspn(line, ","), line);
        if (!all && n_patterns++ % 8 != 0)
            continue;
        assert_true(support_data_path(path, sizeof path, file));
        check_shared_pattern(path, n_checked++);
    }
    fclose(manifest);
    simt_engine_close();
    print_message("%d shared patterns\n", n_checked);
}

static void no_allocation_is_left(void **state) {
    (void)state;
    assert_int_equal(spt_memory_live(), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_family_equals_the_reference),
        cmocka_unit_test(other_rows_stay_free_of_nan),
        cmocka_unit_test(every_barrier_and_wait_is_needed_and_missed),
        cmocka_unit_test(shared_patterns_equal_the_reference),
        cmocka_unit_test(no_allocation_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

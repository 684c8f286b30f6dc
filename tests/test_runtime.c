/* SPDX-License-Identifier: Apache-2.0 */
/* The library's door: results that equal the double-precision reference, every refusal of an argument, structs of
 * another size, memory that runs out. */
#include "tests/runtime_fixture.h"

#define M 96
#define K 80
#define N 48

static int set_up(void **state) {
    return untuned_set_up(state, M, K, 0.2, 1);
}

static spt_problem plain_problem(void) {
    return make_problem(SPT_SPMM, SPT_KN, SPT_EPILOGUE_NONE, N, 1);
}

static spt_plan *plan_for(const untuned *f, const spt_problem *problem) {
    spt_plan *plan;
    assert_ok(problem->op == SPT_SPMM ? spt_plan_spmm(&plan, f->context, &f->a.view, problem)
                                      : spt_plan_sddmm(&plan, f->context, &f->a.view, problem));
    return plan;
}

static void assert_width_right(const untuned *f, const spt_plan *plan, const spt_problem *problem, int64_t n) {
    run_case c;
    case_init(&c, &f->a.view, problem, n);
    assert_ok(spt_execute(plan, &c.args));
    assert_case_right(&c);
    case_fini(&c);
}

/* ---- results ---- */

static void every_layout_epilogue_and_width_equals_the_reference(void **state) {
    const untuned *f = *state;
    static const int64_t widths[] = {1, 2, 7, 16, 33, N, 100};
    for (int layout = SPT_KN; layout <= SPT_NK; layout++)
        for (int epilogue = SPT_EPILOGUE_NONE; epilogue <= SPT_BIAS_RELU; epilogue++) {
            const spt_problem problem = make_problem(SPT_SPMM, (spt_layout)layout, (spt_epilogue)epilogue, N, 2);
            spt_plan *plan = plan_for(f, &problem);
            for (size_t i = 0; i < sizeof widths / sizeof widths[0]; i++)
                assert_width_right(f, plan, &problem, widths[i]);
            spt_plan_free(plan);
        }
}

static void sddmm_of_a_mask_without_values_equals_the_reference(void **state) {
    untuned *f = *state;
    f->a.view.values = NULL;
    for (int layout = SPT_KN; layout <= SPT_NK; layout++) {
        const spt_problem problem = make_problem(SPT_SDDMM, (spt_layout)layout, SPT_EPILOGUE_NONE, N, 2);
        spt_plan *plan = plan_for(f, &problem);
        assert_width_right(f, plan, &problem, N);
        assert_width_right(f, plan, &problem, 5);
        spt_plan_free(plan);
    }
}

static void batch_items_are_all_computed_and_nothing_else_is_written(void **state) {
    const untuned *f = *state;
    enum { BATCH = 3, GAP = 5 };
    const spt_problem problem = make_problem(SPT_SPMM, SPT_KN, SPT_BIAS, N, 2);
    spt_plan *plan = plan_for(f, &problem);
    run_case c;
    case_init(&c, &f->a.view, &problem, N);
    const int64_t ld = N + GAP, stride = M * ld + 3;
    float *output = spt_alloc(BATCH * (size_t)stride, sizeof *output);
    for (int64_t i = 0; i < BATCH * stride; i++)
        output[i] = -77.0f;
    c.args.batch = BATCH;
    c.args.c = (spt_output){output, ld, stride}; /* b keeps batch stride 0: one B for all */
    assert_ok(spt_execute(plan, &c.args));
    for (int64_t i = 0; i < BATCH * stride; i++) {
        const int64_t row = i % stride / ld, j = i % stride % ld;
        if (row < M && j < N)
            assert_true(fabs((double)output[i] - c.value[row * N + j]) <= c.tolerance[row * N + j]);
        else
            assert_true(output[i] == -77.0f);
    }
    spt_free(output);
    case_fini(&c);
    spt_plan_free(plan);
}

static void new_values_replace_all_old_ones_or_none(void **state) {
    untuned *f = *state;
    const spt_problem problem = plain_problem();
    spt_plan *plan = plan_for(f, &problem);
    spt_choice choice = {.size = sizeof choice};
    assert_ok(spt_matrix_fill_values(&f->a, 99));
    assert_ok(spt_plan_set_values(plan, f->a.values));
    assert_width_right(f, plan, &problem, N);
    assert_ok(spt_explain(plan, &choice));
    assert_true(choice.pack_ns > 0.0);
    assert_int_equal(spt_plan_set_values(plan, NULL), SPT_EINVAL);
    assert_width_right(f, plan, &problem, N);
    float *others = spt_alloc((size_t)spt_csr_nnz(&f->a.view), sizeof *others);
    spt_random random;
    spt_random_init(&random, 1234);
    spt_random_fill_f32(&random, others, spt_csr_nnz(&f->a.view));
    spt_memory_fail_after(0);
    const spt_status status = spt_plan_set_values(plan, others);
    spt_memory_fail_after(-1);
    if (status == SPT_OK) /* it needed no memory */
        memcpy(f->a.values, others, (size_t)spt_csr_nnz(&f->a.view) * sizeof *others);
    else
        assert_int_equal(status, SPT_ENOMEM);
    assert_width_right(f, plan, &problem, N);
    spt_free(others);
    spt_plan_free(plan);
}

static void plan_outlives_the_callers_arrays(void **state) {
    untuned *f = *state;
    char device[] = "cpu";
    spt_problem problem = plain_problem();
    run_case c;
    case_init(&c, &f->a.view, &problem, N);
    problem.device = device;
    spt_plan *plan = plan_for(f, &problem);
    memset(device, 'x', sizeof device - 1);
    memset(f->a.values, 0x7f, (size_t)spt_csr_nnz(&f->a.view) * sizeof *f->a.values);
    memset(f->a.columns, 0x7f, (size_t)spt_csr_nnz(&f->a.view) * sizeof *f->a.columns);
    memset(f->a.row_offsets, 0x7f, (M + 1) * sizeof *f->a.row_offsets);
    assert_ok(spt_execute(plan, &c.args));
    assert_case_right(&c);
    case_fini(&c);
    spt_plan_free(plan);
}

static void matrices_at_the_edge_are_served(void **state) {
    untuned *f = *state;
    static const struct {
        int64_t m, k;
        double density;
    } rows[] = {{1, 1, 1.0}, {1, 1, 0.0}, {5, 1, 0.5}, {1, 300, 0.1}, {64, 64, 0.0}, {33, 17, 1.0}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        spt_matrix_fini(&f->a);
        make_matrix(&f->a, rows[i].m, rows[i].k, rows[i].density, 5);
        for (int layout = SPT_KN; layout <= SPT_NK; layout++) {
            const spt_problem problem = make_problem(SPT_SPMM, (spt_layout)layout, SPT_BIAS_RELU, 9, 2);
            spt_plan *plan = plan_for(f, &problem);
            assert_width_right(f, plan, &problem, 9);
            if (spt_csr_nnz(&f->a.view) == 0) { /* then the arrays of nonzeros may be absent */
                f->a.view.columns = NULL;
                f->a.view.values = NULL;
                spt_plan *other = plan_for(f, &problem);
                assert_width_right(f, other, &problem, 9);
                spt_plan_free(other);
            }
            spt_plan_free(plan);
        }
    }
}

static void workspace_is_checked_and_spares_every_allocation(void **state) {
    const untuned *f = *state;
    const spt_problem problem = make_problem(SPT_SPMM, SPT_NK, SPT_EPILOGUE_NONE, N, 2);
    spt_plan *plan = plan_for(f, &problem);
    run_case c;
    case_init(&c, &f->a.view, &problem, N);
    const size_t bytes = spt_plan_workspace(plan, N);
    assert_int_equal(spt_plan_workspace(plan, 0), bytes);
    c.args.workspace = spt_alloc(bytes + SPT_ALIGNMENT, 1);
    c.args.workspace_bytes = bytes;
    spt_memory_fail_after(-1);
    assert_ok(spt_execute(plan, &c.args));
    assert_int_equal(spt_memory_count(), 0);
    assert_case_right(&c);
    if (bytes > 0) {
        spt_args bad = c.args;
        bad.workspace_bytes = bytes - 1;
        assert_int_equal(spt_execute(plan, &bad), SPT_EINVAL);
        bad = c.args;
        bad.workspace = (char *)bad.workspace + 8;
        assert_int_equal(spt_execute(plan, &bad), SPT_EINVAL);
        assert_int_equal(spt_execute_part(plan, &c.args, 0, 3), SPT_EINVAL); /* more parts than planned threads */
    }
    spt_free(c.args.workspace);
    case_fini(&c);
    spt_plan_free(plan);
}

/* ---- refusals ---- */

static void illegal_matrices_are_refused_with_a_sentence(void **state) {
    const untuned *f = *state;
    static const int64_t falling[] = {0, 2, 1}, rising[] = {0, 1, 2}, one_row[] = {0, 2};
    static const int32_t unsorted[] = {1, 0}, outside[] = {0, 9}, fine[] = {0, 1};
    static const float values[] = {1.0f, 2.0f};
    const struct {
        spt_csr a;
        const char *said;
    } matrices[] = {
        {{sizeof(spt_csr), 2, 2, falling, fine, values}, "row 1"},
        {{sizeof(spt_csr), 2, 2, rising, outside, values}, "column 9"},
        {{sizeof(spt_csr), 1, 2, one_row, unsorted, values}, "strictly increase"},
        {{sizeof(spt_csr), 0, 2, rising, fine, values}, "rows and columns"},
        {{sizeof(spt_csr), 2, INT64_MAX, rising, fine, values}, "rows and columns"},
        {{sizeof(spt_csr), 2, 2, NULL, fine, values}, "row offsets"},
        {{sizeof(spt_csr), 2, 2, rising, NULL, values}, "column indices"},
        {{sizeof(spt_csr), 2, 2, rising, fine, NULL}, "values"},
        {{8, 2, 2, rising, fine, values}, "size"},
    };
    const spt_problem problem = plain_problem();
    spt_plan *plan = NULL;
    for (size_t i = 0; i < sizeof matrices / sizeof matrices[0]; i++) {
        assert_int_equal(spt_plan_spmm(&plan, f->context, &matrices[i].a, &problem), SPT_EINVAL);
        assert_null(plan);
        if (strstr(spt_last_error(), matrices[i].said) == NULL)
            fail_msg("matrix %zu: '%s' does not say '%s'", i, spt_last_error(), matrices[i].said);
    }
    assert_int_equal(spt_plan_spmm(&plan, f->context, NULL, &problem), SPT_EINVAL);
    assert_int_equal(spt_plan_spmm(&plan, f->context, &f->a.view, NULL), SPT_EINVAL);
    assert_int_equal(spt_plan_spmm(&plan, NULL, &f->a.view, &problem), SPT_EINVAL);
    assert_int_equal(spt_plan_spmm(NULL, f->context, &f->a.view, &problem), SPT_EINVAL);
}

static void illegal_problems_are_refused_with_a_sentence(void **state) {
    const untuned *f = *state;
    const spt_problem good = plain_problem();
    spt_problem bad[8];
    for (int i = 0; i < 8; i++)
        bad[i] = good;
    bad[0].n = 0;
    bad[1].n = INT64_MAX;
    bad[2].threads = -1;
    bad[3].layout = (spt_layout)7;
    bad[4].epilogue = (spt_epilogue)-1;
    bad[5].size = sizeof(size_t);
    bad[6].op = SPT_SDDMM;
    bad[7].op = (spt_op)55;
    spt_plan *plan;
    for (int i = 0; i < 8; i++) {
        assert_int_equal(spt_plan_spmm(&plan, f->context, &f->a.view, &bad[i]), SPT_EINVAL);
        assert_null(plan);
        assert_true(strlen(spt_last_error()) > 10);
    }
    spt_problem other = good;
    other.device = "cuda:15"; /* nobody has so many */
    assert_int_equal(spt_plan_spmm(&plan, f->context, &f->a.view, &other), SPT_EUNSUPPORTED);
    other = good;
    other.dtype = SPT_I8;
    assert_int_equal(spt_plan_spmm(&plan, f->context, &f->a.view, &other), SPT_EUNSUPPORTED);
}

static void illegal_args_are_refused_before_anything_is_written(void **state) {
    const untuned *f = *state;
    const spt_problem problem = make_problem(SPT_SPMM, SPT_KN, SPT_BIAS, N, 2);
    spt_plan *plan = plan_for(f, &problem);
    run_case c;
    case_init(&c, &f->a.view, &problem, N);
    spt_args bad[9];
    for (int i = 0; i < 9; i++)
        bad[i] = c.args;
    bad[0].b.data = NULL;
    bad[1].c.data = NULL;
    bad[2].bias = NULL;
    bad[3].n = -1;
    bad[4].batch = -2;
    bad[5].b.ld = N - 1;
    bad[6].c.ld = -3;
    bad[7].batch = 2; /* the output has no batch stride */
    bad[8].size = 24;
    for (int i = 0; i < 9; i++) {
        if (spt_execute(plan, &bad[i]) != SPT_EINVAL || spt_execute_part(plan, &bad[i], 0, 1) != SPT_EINVAL)
            fail_msg("args %d were not refused", i);
        assert_true(strlen(spt_last_error()) > 10);
        assert_true(isnan(case_output(&c)[0]));
    }
    assert_int_equal(spt_execute_part(plan, &c.args, 2, 2), SPT_EINVAL);
    assert_int_equal(spt_execute_part(plan, &c.args, -1, 2), SPT_EINVAL);
    assert_int_equal(spt_execute_part(plan, &c.args, 0, 0), SPT_EINVAL);
    case_fini(&c);
    spt_plan_free(plan);
}

static void null_pointers_are_refused_or_allowed_as_documented(void **state) {
    const untuned *f = *state;
    const spt_problem problem = plain_problem();
    spt_plan *plan = plan_for(f, &problem);
    spt_args args = {.size = sizeof args};
    spt_choice choice = {.size = sizeof choice};
    assert_int_equal(spt_open(NULL, NULL), SPT_EINVAL);
    assert_int_equal(spt_execute(plan, NULL), SPT_EINVAL);
    assert_int_equal(spt_execute(NULL, &args), SPT_EINVAL);
    assert_int_equal(spt_execute_part(plan, NULL, 0, 1), SPT_EINVAL);
    assert_int_equal(spt_explain(plan, NULL), SPT_EINVAL);
    assert_int_equal(spt_explain(NULL, &choice), SPT_EINVAL);
    choice.size = 16;
    assert_int_equal(spt_explain(plan, &choice), SPT_EINVAL);
    assert_int_equal(spt_plan_set_values(NULL, f->a.values), SPT_EINVAL);
    assert_int_equal(spt_plan_workspace(NULL, 4), 0);
    spt_plan_free(NULL);
    spt_close(NULL);
    spt_plan_free(plan);
}

/* ---- structs of another size ---- */

typedef struct longer_problem {
    spt_problem known;
    int64_t unknown;
} longer_problem;
typedef struct longer_args {
    spt_args known;
    int64_t unknown;
} longer_args;
typedef struct longer_choice {
    spt_choice known;
    int64_t unknown;
} longer_choice;
typedef struct longer_options {
    spt_options known;
    int64_t unknown;
} longer_options;

static void longer_structs_are_accepted_when_the_unknown_part_is_zero(void **state) {
    const untuned *f = *state;
    longer_problem problem = {.known = plain_problem()};
    longer_args args = {.unknown = 0};
    longer_choice choice = {.unknown = 5};
    longer_options options = {.known = {.size = sizeof options, .mode = SPT_MODE_OFF}};
    spt_context *context;
    spt_plan *plan;
    run_case c;
    case_init(&c, &f->a.view, &problem.known, N);
    problem.known.size = sizeof problem;
    choice.known.size = sizeof choice;
    args.known = c.args;
    args.known.size = sizeof args;
    assert_ok(spt_open(&context, &options.known));
    assert_ok(spt_plan_spmm(&plan, context, &f->a.view, &problem.known));
    assert_ok(spt_execute(plan, &args.known));
    assert_case_right(&c);
    assert_ok(spt_explain(plan, &choice.known));
    assert_int_equal(choice.known.size, sizeof choice);
    assert_int_equal(choice.unknown, 0);
    assert_true(choice.known.family[0] != '\0');
    case_fini(&c);
    spt_plan_free(plan);
    spt_close(context);
}

static void fields_of_the_future_that_are_set_are_refused(void **state) {
    const untuned *f = *state;
    longer_problem problem = {.known = plain_problem(), .unknown = 1};
    longer_args args = {.known = {.size = sizeof args}, .unknown = 1};
    longer_options options = {.known = {.size = sizeof options}, .unknown = 1};
    problem.known.size = sizeof problem;
    const spt_problem good = plain_problem();
    spt_plan *plan = plan_for(f, &good), *none;
    spt_context *context;
    assert_int_equal(spt_execute(plan, &args.known), SPT_EINVAL);
    assert_non_null(strstr(spt_last_error(), "args"));
    assert_int_equal(spt_plan_spmm(&none, f->context, &f->a.view, &problem.known), SPT_EINVAL);
    assert_int_equal(spt_open(&context, &options.known), SPT_EINVAL);
    assert_null(context);
    options.known = (spt_options){.size = 3};
    assert_int_equal(spt_open(&context, &options.known), SPT_EINVAL);
    options.known = (spt_options){.size = sizeof options.known, .mode = (spt_mode)9};
    assert_int_equal(spt_open(&context, &options.known), SPT_EINVAL);
    spt_plan_free(plan);
}

/* ---- memory ---- */

/* Open, plan, execute; the status of the first step that is refused. */
static spt_status whole_flow(const char *db, const untuned *f, const run_case *c, const spt_problem *problem) {
    const char *const databases[] = {db, NULL};
    const spt_options options = {.size = sizeof options, .databases = databases};
    spt_context *context = NULL;
    spt_plan *plan = NULL;
    spt_status status = spt_open(&context, &options);
    if (status == SPT_OK)
        status = spt_plan_spmm(&plan, context, &f->a.view, problem);
    if (status == SPT_OK)
        status = spt_execute(plan, &c->args);
    spt_plan_free(plan);
    spt_close(context);
    return status;
}

static void every_failed_allocation_is_enomem_and_leaks_nothing(void **state) {
    const untuned *f = *state;
    char folder[128], db[160];
    support_folder_make(folder, sizeof folder);
    snprintf(db, sizeof db, "%s/tune.db", folder);
    const spt_problem problem = make_problem(SPT_SPMM, SPT_NK, SPT_BIAS, N, 2);
    const record_row row = {.family = "spmm_csr_panel", .time_ns = 100.0};
    write_records(db, &f->a.view, &problem, &row, 1);
    run_case c;
    case_init(&c, &f->a.view, &problem, N);
    const long live = spt_memory_live();
    spt_memory_fail_after(-1);
    assert_ok(whole_flow(db, f, &c, &problem));
    const long n_allocations = spt_memory_count();
    assert_true(n_allocations > 5);
    for (long i = 0; i < n_allocations; i++) {
        spt_memory_fail_after(i);
        const spt_status status = whole_flow(db, f, &c, &problem);
        spt_memory_fail_after(-1);
        if (status != SPT_ENOMEM)
            fail_msg("allocation %ld of %ld: status %d, %s", i, n_allocations, (int)status, spt_last_error());
        assert_int_equal(spt_memory_live(), live);
    }
    case_fini(&c);
    support_folder_remove(folder);
}

static void versions_and_names_are_told(void **state) {
    (void)state;
    static const char *const names[] = {"exact", "near_size", "near_pattern", "near_device", "default"};
    assert_string_equal(spt_version(), SPT_VERSION_TEXT);
    for (int i = 0; i < 5; i++)
        assert_string_equal(spt_match_name((spt_match)i), names[i]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, untuned_tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(every_layout_epilogue_and_width_equals_the_reference),
        TEST(sddmm_of_a_mask_without_values_equals_the_reference),
        TEST(batch_items_are_all_computed_and_nothing_else_is_written),
        TEST(new_values_replace_all_old_ones_or_none),
        TEST(plan_outlives_the_callers_arrays),
        TEST(matrices_at_the_edge_are_served),
        TEST(workspace_is_checked_and_spares_every_allocation),
        TEST(illegal_matrices_are_refused_with_a_sentence),
        TEST(illegal_problems_are_refused_with_a_sentence),
        TEST(illegal_args_are_refused_before_anything_is_written),
        TEST(null_pointers_are_refused_or_allowed_as_documented),
        TEST(longer_structs_are_accepted_when_the_unknown_part_is_zero),
        TEST(fields_of_the_future_that_are_set_are_refused),
        TEST(every_failed_allocation_is_enomem_and_leaks_nothing),
        TEST(versions_and_names_are_told),
    };
    return cmocka_run_group_tests_name("runtime", tests, NULL, NULL);
}

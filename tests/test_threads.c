/* SPDX-License-Identifier: Apache-2.0 */
/* One plan, many threads: callers that execute it at once, callers that share one execution by parts, callers inside
 * somebody else's parallel region, plans that are made at once from one context. The thread sanitizer watches this. */
#include "tests/runtime_fixture.h"

#include <omp.h>
#include <pthread.h>

#define M 130
#define K 70
#define N 37
#define THREADS_MAX 8
#define REPEATS 10

/* One caller: its own output and workspace over the case's inputs. */
typedef struct caller {
    pthread_t thread;
    const spt_plan *plan;
    spt_args args;
    float *output;
    int part, n_parts; /* n_parts 0: whole executions */
    spt_status status;
} caller;

static const char *const families[] = {"spmm_csr_panel", "spmm_csr_rows"};

static int set_up(void **state) {
    return untuned_set_up(state, M, K, 0.15, 11);
}

static void *call(void *data) {
    caller *self = data;
    self->status = SPT_OK;
    for (int i = 0; i < REPEATS && self->status == SPT_OK; i++)
        self->status = self->n_parts > 0 ? spt_execute_part(self->plan, &self->args, self->part, self->n_parts)
                                         : spt_execute(self->plan, &self->args);
    return NULL;
}

static void start(caller *callers, int n_callers) {
    for (int i = 0; i < n_callers; i++)
        assert_int_equal(pthread_create(&callers[i].thread, NULL, call, &callers[i]), 0);
    for (int i = 0; i < n_callers; i++) {
        assert_int_equal(pthread_join(callers[i].thread, NULL), 0);
        assert_int_equal(callers[i].status, SPT_OK);
    }
}

/* Every caller executes the whole plan into its own output, with and without a workspace of its own. */
static void execute_at_once(const untuned *f, const char *family, spt_layout layout, int plan_threads) {
    const spt_problem problem = make_problem(SPT_SPMM, layout, SPT_BIAS_RELU, N, plan_threads);
    spt_context *context = open_with_family(family, &f->a.view, &problem);
    spt_plan *plan;
    run_case c;
    assert_ok(spt_plan_spmm(&plan, context, &f->a.view, &problem));
    assert_family(plan, family);
    case_init(&c, &f->a.view, &problem, N);
    const size_t bytes = spt_plan_workspace(plan, N);
    caller callers[THREADS_MAX];
    for (int i = 0; i < THREADS_MAX; i++) {
        callers[i] = (caller){.plan = plan, .args = c.args};
        callers[i].output = spt_alloc((size_t)c.output_count, sizeof(float));
        callers[i].args.c.data = callers[i].output;
        if (i % 2 == 0) {
            callers[i].args.workspace = spt_alloc(bytes, 1);
            callers[i].args.workspace_bytes = bytes;
        }
    }
    start(callers, THREADS_MAX);
    for (int i = 0; i < THREADS_MAX; i++) {
        assert_int_equal(case_first_wrong(&c, callers[i].output), -1);
        spt_free(callers[i].output);
        spt_free(callers[i].args.workspace);
    }
    case_fini(&c);
    spt_plan_free(plan);
    spt_close(context);
}

static void eight_threads_execute_one_plan_at_once(void **state) {
    for (int layout = SPT_KN; layout <= SPT_NK; layout++)
        for (int i = 0; i < 4; i++)
            execute_at_once(*state, families[i / 2], (spt_layout)layout, 1 + i % 2);
}

/* n_parts threads share one execution; the workspace is theirs together, or each call's own. */
static void share_parts(const spt_plan *plan, run_case *c, int n_parts, void *workspace, size_t bytes) {
    caller callers[THREADS_MAX];
    case_poison(c);
    c->args.workspace = workspace;
    c->args.workspace_bytes = workspace != NULL ? bytes : 0;
    for (int part = 0; part < n_parts; part++)
        callers[part] = (caller){.plan = plan, .args = c->args, .part = part, .n_parts = n_parts};
    start(callers, n_parts);
    assert_case_right(c);
}

static void parts_on_the_callers_threads_give_the_whole_result(void **state) {
    const untuned *f = *state;
    static const int part_counts[] = {1, 2, 3, 8};
    for (int i = 0; i < 4; i++) {
        const spt_layout layout = i % 2 == 0 ? SPT_KN : SPT_NK;
        const spt_problem problem = make_problem(SPT_SPMM, layout, SPT_BIAS, N, THREADS_MAX);
        spt_context *context = open_with_family(families[i / 2], &f->a.view, &problem);
        spt_plan *plan;
        run_case c;
        assert_ok(spt_plan_spmm(&plan, context, &f->a.view, &problem));
        assert_family(plan, families[i / 2]);
        case_init(&c, &f->a.view, &problem, N);
        const size_t bytes = spt_plan_workspace(plan, N);
        void *workspace = spt_alloc(bytes, 1);
        for (int j = 0; j < 4; j++) {
            share_parts(plan, &c, part_counts[j], workspace, bytes);
            share_parts(plan, &c, part_counts[j], NULL, 0);
        }
        spt_free(workspace);
        case_fini(&c);
        spt_plan_free(plan);
        spt_close(context);
    }
}

static void sddmm_parts_on_the_callers_threads_give_the_whole_result(void **state) {
    const untuned *f = *state;
    const spt_problem problem = make_problem(SPT_SDDMM, SPT_NK, SPT_EPILOGUE_NONE, N, 3);
    spt_plan *plan;
    run_case c;
    caller callers[3];
    assert_ok(spt_plan_sddmm(&plan, f->context, &f->a.view, &problem));
    case_init(&c, &f->a.view, &problem, N);
    for (int part = 0; part < 3; part++)
        callers[part] = (caller){.plan = plan, .args = c.args, .part = part, .n_parts = 3};
    start(callers, 3);
    assert_case_right(&c);
    case_fini(&c);
    spt_plan_free(plan);
}

/* A family that tells how many threads it was given; its product is A = 0. */
static _Atomic int widest_team;

static bool counter_is_valid(const spt_workload *workload, const spt_device *device, const spt_point *point) {
    (void)workload, (void)device, (void)point;
    return true;
}
static void counter_default(const spt_workload *workload, const spt_device *device, spt_point *out) {
    (void)workload, (void)device;
    *out = (spt_point){0};
}
static double counter_bound(const spt_workload *workload, const spt_device *device, const spt_point *point) {
    (void)workload, (void)device, (void)point;
    return 1e-9; /* always the default */
}
static spt_status counter_prepare(spt_prepared *prepared, const spt_csr *a) {
    (void)a;
    prepared->state = NULL;
    return SPT_OK;
}
static spt_status counter_set_values(spt_prepared *prepared, const void *values) {
    (void)prepared, (void)values;
    return SPT_OK;
}
static spt_status counter_run(const spt_prepared *prepared, const spt_call *call_, int part, int n_parts) {
    (void)prepared, (void)call_, (void)part;
    int seen = widest_team;
    while (n_parts > seen &&
           !__atomic_compare_exchange_n((int *)&widest_team, &seen, n_parts, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
        ;
    return SPT_OK;
}
static void counter_release(spt_prepared *prepared) {
    (void)prepared;
}
static const spt_family counter_family = {
    .name = "spmm_test_counter",
    .summary = "counts parts",
    .op = SPT_SPMM,
    .dtypes = SPT_DTYPE_BIT(SPT_F32),
    .revision = 1,
    .is_valid = counter_is_valid,
    .default_point = counter_default,
    .bound_ns = counter_bound,
    .prepare = counter_prepare,
    .set_values = counter_set_values,
    .run_part = counter_run,
    .release = counter_release,
};

static void somebody_elses_parallel_region_gets_one_thread(void **state) {
    const untuned *f = *state;
    if (omp_get_thread_limit() < 2) {
        print_message("SKIP: OMP_THREAD_LIMIT=1 leaves no parallel region to be inside of\n");
        skip();
    }
    static const spt_family *const planted[] = {&counter_family};
    spt_registry_plant(planted, 1);
    const spt_problem problem = make_problem(SPT_SPMM, SPT_KN, SPT_EPILOGUE_NONE, N, 4);
    spt_plan *plan;
    run_case c;
    assert_ok(spt_plan_spmm(&plan, f->context, &f->a.view, &problem));
    case_init(&c, &f->a.view, &problem, N);
    widest_team = 0;
    assert_ok(spt_execute(plan, &c.args));
    assert_int_equal(widest_team, 4);
    widest_team = 0;
    _Atomic int n_failed = 0;
#pragma omp parallel num_threads(2)
    n_failed += spt_execute(plan, &c.args) != SPT_OK;
    assert_int_equal(n_failed, 0);
    assert_int_equal(widest_team, 1);
    case_fini(&c);
    spt_plan_free(plan);
    spt_registry_plant(NULL, 0);
}

static void executions_inside_a_parallel_region_are_right(void **state) {
    const untuned *f = *state;
    const spt_problem problem = make_problem(SPT_SPMM, SPT_NK, SPT_BIAS, N, 4);
    spt_plan *plan;
    run_case c;
    spt_context *context = open_with_family("spmm_csr_panel", &f->a.view, &problem);
    assert_ok(spt_plan_spmm(&plan, context, &f->a.view, &problem));
    case_init(&c, &f->a.view, &problem, N);
    float *outputs = spt_alloc(2 * (size_t)c.output_count, sizeof *outputs);
    spt_status status[2] = {SPT_OK, SPT_OK};
#pragma omp parallel for num_threads(2)
    for (int i = 0; i < 2; i++) {
        spt_args args = c.args;
        args.c.data = outputs + i * c.output_count;
        status[i] = spt_execute(plan, &args);
    }
    for (int i = 0; i < 2; i++) {
        assert_int_equal(status[i], SPT_OK);
        assert_int_equal(case_first_wrong(&c, outputs + i * c.output_count), -1);
    }
    spt_free(outputs);
    case_fini(&c);
    spt_plan_free(plan);
    spt_close(context);
}

typedef struct planner {
    pthread_t thread;
    const untuned *f;
    spt_status status;
} planner;

static void *make_and_free(void *data) {
    planner *self = data;
    for (int64_t n = 1; n <= 5 && self->status == SPT_OK; n++) {
        const spt_problem problem = make_problem(SPT_SPMM, SPT_KN, SPT_EPILOGUE_NONE, n, 1);
        spt_plan *plan = NULL;
        self->status = spt_plan_spmm(&plan, self->f->context, &self->f->a.view, &problem);
        spt_plan_free(plan);
    }
    return NULL;
}

static void eight_threads_plan_from_one_context_at_once(void **state) {
    planner planners[THREADS_MAX];
    for (int i = 0; i < THREADS_MAX; i++) {
        planners[i] = (planner){.f = *state};
        assert_int_equal(pthread_create(&planners[i].thread, NULL, make_and_free, &planners[i]), 0);
    }
    for (int i = 0; i < THREADS_MAX; i++) {
        assert_int_equal(pthread_join(planners[i].thread, NULL), 0);
        assert_int_equal(planners[i].status, SPT_OK);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, untuned_tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(eight_threads_execute_one_plan_at_once),
        TEST(parts_on_the_callers_threads_give_the_whole_result),
        TEST(sddmm_parts_on_the_callers_threads_give_the_whole_result),
        TEST(somebody_elses_parallel_region_gets_one_thread),
        TEST(executions_inside_a_parallel_region_are_right),
        TEST(eight_threads_plan_from_one_context_at_once),
    };
    return cmocka_run_group_tests_name("threads", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The meter against families that misbehave: each is recorded with its reason, and the next measurement is right. This
 * binary is its own worker: it plants the bad families before it becomes one. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/memory.h"
#include "tests/support.h"
#include "tuner/measure/floor.h"
#include "tuner/measure/meter.h"
#include "tuner/rivals/rivals.h"
#include "variants/bound.h"
#include "variants/family.h"

enum { SLEEP_NS = 2000000, TIMEOUT_S = 2 };

static bool is_valid(const spt_workload *workload, const spt_device *device, const spt_point *point) {
    (void)workload, (void)device, (void)point;
    return true;
}

static void default_point(const spt_workload *workload, const spt_device *device, spt_point *out) {
    (void)workload, (void)device;
    *out = (spt_point){0};
}

static double bound_ns(const spt_workload *workload, const spt_device *device, const spt_point *point) {
    (void)workload, (void)device, (void)point;
    return 1e12; /* never the default */
}

/* Every planted family is the plain one with something added. */
static const spt_family *plain(void) {
    return spt_family_find("spmm_csr_rows");
}

static spt_status prepare(spt_prepared *prepared, const spt_csr *a) {
    return plain()->prepare(prepared, a);
}

static spt_status prepare_refused(spt_prepared *prepared, const spt_csr *a) {
    (void)prepared, (void)a;
    return spt_fail(SPT_ECOMPILE, "expected code, found a syntax error");
}

static spt_status set_values(spt_prepared *prepared, const void *values) {
    return plain()->set_values(prepared, values);
}

static float *neighbour_end; /* of the round that runs */

static void release(spt_prepared *prepared) {
    neighbour_end = NULL;
    plain()->release(prepared);
}

static spt_status run_good(const spt_prepared *prepared, const spt_call *call, int part, int n_parts) {
    return plain()->run_part(prepared, call, part, n_parts);
}

static spt_status run_crash(const spt_prepared *prepared, const spt_call *call, int part, int n_parts) {
    (void)prepared, (void)call, (void)part, (void)n_parts;
    signal(SIGSEGV, SIG_DFL); /* sanitizers would report it first */
    raise(SIGSEGV);
    return SPT_OK;
}

static spt_status run_hang(const spt_prepared *prepared, const spt_call *call, int part, int n_parts) {
    (void)prepared, (void)call, (void)part, (void)n_parts;
    for (bool for_ever = true; for_ever;)
        pause();
    return SPT_OK;
}

static spt_status run_exit(const spt_prepared *prepared, const spt_call *call, int part, int n_parts) {
    (void)prepared, (void)call, (void)part, (void)n_parts;
    _exit(0);
}

static spt_status run_refused(const spt_prepared *prepared, const spt_call *call, int part, int n_parts) {
    (void)prepared, (void)call, (void)part, (void)n_parts;
    return spt_fail(SPT_EINVAL, "expected something else");
}

/* Right but for one element of the last part. */
static spt_status run_wrong(const spt_prepared *prepared, const spt_call *call, int part, int n_parts) {
    SPT_TRY(run_good(prepared, call, part, n_parts));
    if (part == n_parts - 1)
        ((float *)call->c)[(prepared->workload.pattern.n_rows - 1) * call->ldc + call->n - 1] += 1.0f;
    return SPT_OK;
}

static spt_status run_nan(const spt_prepared *prepared, const spt_call *call, int part, int n_parts) {
    SPT_TRY(run_good(prepared, call, part, n_parts));
    ((float *)call->c)[0] = NAN;
    return SPT_OK;
}

static spt_status run_beyond(const spt_prepared *prepared, const spt_call *call, int part, int n_parts) {
    SPT_TRY(run_good(prepared, call, part, n_parts));
    volatile float *end = (float *)call->c + prepared->workload.pattern.n_rows * call->ldc;
    *end = 0.0f;
    return SPT_OK;
}

static spt_status run_over_input(const spt_prepared *prepared, const spt_call *call, int part, int n_parts) {
    SPT_TRY(run_good(prepared, call, part, n_parts));
    signal(SIGSEGV, SIG_DFL);
    *(volatile float *)(uintptr_t)call->b = 0.0f;
    return SPT_OK;
}

static spt_status run_slowly(const spt_prepared *prepared, const spt_call *call, int part, int n_parts) {
    if (part == 0)
        nanosleep(&(struct timespec){.tv_nsec = SLEEP_NS}, NULL);
    return run_good(prepared, call, part, n_parts);
}

/* Fast and wrong: computes nothing at all. */
static spt_status run_nothing(const spt_prepared *prepared, const spt_call *call, int part, int n_parts) {
    (void)prepared, (void)call, (void)part, (void)n_parts;
    return SPT_OK;
}

/* Right whenever somebody looks, and otherwise done at once: computes only where the output was poisoned. */
static spt_status run_when_watched(const spt_prepared *prepared, const spt_call *call, int part, int n_parts) {
    const float *c = call->c;
    const int64_t last = (prepared->workload.pattern.n_rows - 1) * call->ldc + call->n - 1;
    return isnan(c[0]) || isnan(c[last]) ? run_good(prepared, call, part, n_parts) : SPT_OK;
}

static spt_status run_hang_in_tenth(const spt_prepared *prepared, const spt_call *call, int part, int n_parts) {
    static atomic_int n_runs;
    if (part == 0 && atomic_fetch_add(&n_runs, 1) == 9)
        return run_hang(prepared, call, part, n_parts);
    return run_good(prepared, call, part, n_parts);
}

/* Right, and writes beside the output of the variant that ran before it. */
static spt_status run_neighbour(const spt_prepared *prepared, const spt_call *call, int part, int n_parts) {
    neighbour_end = (float *)call->c + prepared->workload.pattern.n_rows * call->ldc;
    return run_good(prepared, call, part, n_parts);
}

static spt_status run_vandal(const spt_prepared *prepared, const spt_call *call, int part, int n_parts) {
    if (neighbour_end != NULL && part == 0)
        *(volatile float *)neighbour_end = 0.0f;
    return run_good(prepared, call, part, n_parts);
}

#define PLANT(title, prepare_function, run_function)                                                                   \
    {                                                                                                                  \
        .name = title, .summary = "planted", .op = SPT_SPMM, .device = SPT_CPU, .dtypes = SPT_DTYPE_BIT(SPT_F32),      \
        .revision = 1, .is_valid = is_valid, .default_point = default_point, .bound_ns = bound_ns,                     \
        .prepare = prepare_function, .set_values = set_values, .run_part = run_function, .release = release            \
    }

static const spt_family planted[] = {
    PLANT("planted_good", prepare, run_good),
    PLANT("planted_crash", prepare, run_crash),
    PLANT("planted_hang", prepare, run_hang),
    PLANT("planted_exit", prepare, run_exit),
    PLANT("planted_refused", prepare, run_refused),
    PLANT("planted_wrong", prepare, run_wrong),
    PLANT("planted_nan", prepare, run_nan),
    PLANT("planted_beyond", prepare, run_beyond),
    PLANT("planted_input", prepare, run_over_input),
    PLANT("planted_compile", prepare_refused, run_good),
    PLANT("planted_slow", prepare, run_slowly),
    PLANT("planted_nothing", prepare, run_nothing),
    PLANT("planted_lazy", prepare, run_when_watched),
    PLANT("planted_tenth", prepare, run_hang_in_tenth),
    PLANT("planted_neighbour", prepare, run_neighbour),
    PLANT("planted_vandal", prepare, run_vandal),
};
enum { N_PLANTED = sizeof planted / sizeof planted[0] };
static const spt_family *planted_pointers[N_PLANTED];

typedef struct fixture {
    spt_meter *meter;
    spt_matrix matrix;
    spt_workload workload;
} fixture;

static void open_meter(fixture *f, double timeout_s) {
    spt_measure_policy policy = spt_measure_policy_default();
    policy.timeout_s = timeout_s;
    policy.max_runs = 20;
    assert_int_equal(spt_meter_open(&f->meter, NULL, &policy), SPT_OK);
}

static int setup(void **state) {
    fixture *f;
    assert_int_equal(SPT_NEW_ZEROED(f, 1), SPT_OK);
    const spt_problem problem = {.size = sizeof problem, .op = SPT_SPMM, .n = 33, .threads = 2};
    support_pattern_build(&f->matrix, support_pattern_at(11));
    assert_int_equal(spt_workload_init(&f->workload, &problem, &f->matrix.view), SPT_OK);
    open_meter(f, TIMEOUT_S);
    assert_int_equal(spt_meter_load(f->meter, &f->workload, &f->matrix.view, 1), SPT_OK);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    fixture *f = *state;
    spt_meter_close(f->meter);
    spt_matrix_fini(&f->matrix);
    spt_free(f);
    return 0;
}

static void expect_good(fixture *f) {
    spt_measurement measured;
    assert_int_equal(spt_meter_measure(f->meter, "planted_good", "-", INFINITY, &measured), SPT_OK);
    assert_int_equal(measured.status, SPT_TRIAL_CORRECT);
    assert_true(measured.time_ns_median > 0.0 && measured.n_samples >= 3);
    assert_true(measured.ci_ns_low <= measured.time_ns_median && measured.time_ns_median <= measured.ci_ns_high);
}

static void each_bad_family_is_recorded_and_the_next_one_is_measured(void **state) {
    fixture *f = *state;
    static const struct {
        const char *family;
        spt_trial_status status;
        const char *reason;
    } cases[] = {
        {"planted_crash", SPT_TRIAL_RUNTIME, "signal 11"},
        {"planted_hang", SPT_TRIAL_TIMEOUT, "no answer within 2 s"},
        {"planted_tenth", SPT_TRIAL_TIMEOUT, "no answer within 2 s"},
        {"planted_nothing", SPT_TRIAL_CORRECTNESS, "c[0,0] is"},
        {"planted_exit", SPT_TRIAL_RUNTIME, "exited with code 0"},
        {"planted_refused", SPT_TRIAL_RUNTIME, "refused"},
        {"planted_wrong", SPT_TRIAL_CORRECTNESS, "c[39,32] is"},
        {"planted_nan", SPT_TRIAL_CORRECTNESS, "c[0,0] is nan"},
        {"planted_beyond", SPT_TRIAL_CORRECTNESS, "outside the output"},
        {"planted_input", SPT_TRIAL_RUNTIME, "signal 11"},
        {"planted_compile", SPT_TRIAL_COMPILE, "syntax error"},
        {"planted_unknown", SPT_TRIAL_CONSTRAINTS, "no family planted_unknown"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        spt_measurement measured;
        assert_int_equal(spt_meter_measure(f->meter, cases[i].family, "-", INFINITY, &measured), SPT_OK);
        if (measured.status != cases[i].status || strstr(measured.reason, cases[i].reason) == NULL)
            fail_msg("%s: found %s, %s", cases[i].family, spt_trial_status_name(measured.status), measured.reason);
        expect_good(f);
    }
}

static void a_slow_family_is_timed_and_dropped_against_a_faster_one(void **state) {
    fixture *f = *state;
    spt_measurement measured;
    assert_int_equal(spt_meter_measure(f->meter, "planted_slow", "-", INFINITY, &measured), SPT_OK);
    assert_int_equal(measured.status, SPT_TRIAL_CORRECT);
    assert_true(measured.time_ns_median >= SLEEP_NS && measured.time_ns_median < 10.0 * SLEEP_NS * support_slower());
    assert_int_equal(spt_meter_measure(f->meter, "planted_slow", "-", 1e6, &measured), SPT_OK);
    assert_int_equal(measured.status, SPT_TRIAL_DROPPED);
}

static spt_variant_id variant_of(const char *family) {
    spt_variant_id variant = {.point = "-"};
    snprintf(variant.family, sizeof variant.family, "%s", family);
    return variant;
}

static void a_round_goes_on_without_the_variants_that_break_it(void **state) {
    fixture *f = *state;
    const spt_variant_id variants[] = {variant_of("planted_good"), variant_of("planted_crash"),
                                       variant_of("planted_slow"), variant_of("planted_wrong"),
                                       variant_of("planted_hang")};
    spt_measurement measured[5];
    f->workload.problem.threads = 2;
    assert_int_equal(spt_meter_round(f->meter, variants, 5, measured), SPT_OK);
    assert_int_equal(measured[0].status, SPT_TRIAL_CORRECT);
    assert_int_equal(measured[1].status, SPT_TRIAL_RUNTIME);
    assert_int_equal(measured[2].status, SPT_TRIAL_CORRECT);
    assert_int_equal(measured[3].status, SPT_TRIAL_CORRECTNESS);
    assert_int_equal(measured[4].status, SPT_TRIAL_TIMEOUT);
    assert_true(measured[0].time_ns_median < measured[2].time_ns_median);
}

/* A product that takes long enough for its floor to be above what calling nothing takes. */
static void a_right_result_in_an_impossible_time_is_refused(void **state) {
    fixture *f = *state;
    spt_measurement measured;
    spt_workload large = f->workload;
    large.problem.n = 20000;
    large.problem.threads = 1;
    spt_meter_close(f->meter); /* nothing hangs here, and what is large is slow to verify on a busy machine */
    open_meter(f, 10 * TIMEOUT_S * support_slower());
    assert_int_equal(spt_meter_load(f->meter, &large, &f->matrix.view, 1), SPT_OK);
    assert_int_equal(spt_meter_measure(f->meter, "planted_lazy", "-", INFINITY, &measured), SPT_OK);
    assert_int_equal(measured.status, SPT_TRIAL_RUNTIME);
    assert_non_null(strstr(measured.reason, "an impossible time"));
    expect_good(f);
    const spt_variant_id variants[] = {variant_of("planted_lazy"), variant_of("planted_good")};
    spt_measurement round[2];
    assert_int_equal(spt_meter_round(f->meter, variants, 2, round), SPT_OK);
    assert_int_equal(round[0].status, SPT_TRIAL_RUNTIME);
    assert_non_null(strstr(round[0].reason, "an impossible time"));
    assert_int_equal(round[1].status, SPT_TRIAL_CORRECT);
}

/* Matrix tiles multiply f32 faster than vectors do, so what they take is possible. */
static void the_floor_is_below_what_matrix_tiles_reach(void **state) {
    (void)state;
    spt_device device;
    spt_peak peak;
    assert_int_equal(spt_device_detect(&device), SPT_OK);
    if (!spt_device_may_use_tiles(&device)) {
        print_message("SKIP: no matrix tiles here\n");
        skip();
    }
    spt_workload dense = {.problem = {.op = SPT_SPMM, .dtype = SPT_F32, .n = 1024, .threads = 1},
                          .pattern = {.n_rows = 1024, .n_cols = 1024, .nnz = 1024 * 1024}};
    assert_int_equal(spt_peak_measure(&peak, &device), SPT_OK);
    const double tiles_ns = 2.0 * SPT_TILE_PRODUCTS * 1024.0 * 1024.0 * 1024.0 / spt_ceilings_get(&device)->tile_gflops;
    assert_true(spt_floor_ns(&dense, &peak, 1.0) < tiles_ns);
}

static bool is_about(double found, double expected) {
    return fabs(found - expected) < 1e-6 * expected;
}

/* What computes in a narrower type may be faster than f32 can be, and no more than that type. */
static void the_floor_knows_the_type_that_a_variant_computes_in(void **state) {
    (void)state;
    const spt_workload dense = {.problem = {.op = SPT_SPMM, .dtype = SPT_F32, .n = 1024, .threads = 1},
                                .pattern = {.n_rows = 1024, .n_cols = 1024, .nnz = 1024 * 1024}};
    spt_peak peak = {.fma_gflops = 200.0, .l1_gbs = 400.0};
    const double f32_ns = spt_floor_ns(&dense, &peak, 1.0);
    assert_true(is_about(f32_ns, 2.0 * 1024.0 * 1024.0 * 1024.0 / 200.0 / SPT_FLOOR_MARGIN));
    assert_true(is_about(spt_floor_ns(&dense, &peak, 2.0), f32_ns / 2.0));
    assert_true(is_about(spt_floor_ns(&dense, &peak, 4.0), f32_ns / 4.0));
    peak.tile_gflops = 2400.0; /* of bf16: six products for one of f32, twice as many of int8 */
    assert_true(is_about(spt_floor_ns(&dense, &peak, 1.0), f32_ns * 200.0 / 400.0));
    assert_true(is_about(spt_floor_ns(&dense, &peak, 2.0), f32_ns * 200.0 / 2400.0));
    assert_true(is_about(spt_floor_ns(&dense, &peak, 4.0), f32_ns * 200.0 / 4800.0));
}

static void advice_in_narrower_types_says_so(void **state) {
    const spt_family *family = &spt_family_rival_plugin;
    const struct {
        const char *point;
        double fma_scale;
    } rows[] = {{"lib=libxsmm", 1.0}, {"lib=eigen", 1.0}, {"lib=onednn_bf16", 2.0}, {"lib=onednn_int8", 4.0}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        spt_point point;
        assert_int_equal(spt_point_parse(&point, family->axes, family->n_axes, rows[i].point), SPT_OK);
        assert_true(family->fma_scale(&point) == rows[i].fma_scale);
    }
}

/* Whichever of the two comes first (rounds draw their order), the one that writes into the other's memory is the one
 * that is blamed. */
static void who_corrupts_a_neighbour_is_found_in_the_round(void **state) {
    fixture *f = *state;
    const spt_variant_id variants[] = {variant_of("planted_vandal"), variant_of("planted_neighbour"),
                                       variant_of("planted_good"), variant_of("planted_vandal")};
    for (int i = 0; i < 12; i++) {
        const int first = i % 2;
        spt_measurement measured[3];
        assert_int_equal(spt_meter_round(f->meter, variants + first, 3, measured), SPT_OK);
        const spt_measurement *vandal = &measured[first == 0 ? 0 : 2], *neighbour = &measured[first == 0 ? 1 : 0];
        assert_int_equal(vandal->status, SPT_TRIAL_CORRECTNESS);
        assert_non_null(strstr(vandal->reason, "neighbour planted_neighbour"));
        assert_int_equal(neighbour->status, SPT_TRIAL_CORRECT);
    }
}

static spt_meter *meter_to_interrupt;

static void interrupt_now(int number) {
    (void)number;
    spt_meter_interrupt(meter_to_interrupt);
}

static void an_interrupt_ends_a_hanging_request_at_once(void **state) {
    fixture *f = *state;
    spt_measurement measured;
    meter_to_interrupt = f->meter;
    signal(SIGALRM, interrupt_now);
    expect_good(f);
    ualarm(200000, 0);
    assert_int_equal(spt_meter_measure(f->meter, "planted_hang", "-", INFINITY, &measured), SPT_ENOTFOUND);
}

/* Is any process of this group's worker kind left whose parent was `parent`? */
static bool is_alive(pid_t pid) {
    return kill(pid, 0) == 0;
}

static void no_worker_outlives_a_killed_parent(void **state) {
    fixture *f = *state;
    (void)f;
    int ends[2];
    if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) { /* orphans come to us, so that they can be counted */
        print_message("SKIP: this process cannot become a subreaper of orphans (%s)\n", strerror(errno));
        skip();
    }
    assert_int_equal(pipe(ends), 0);
    const pid_t parent = fork();
    assert_true(parent >= 0);
    if (parent == 0) {
        spt_measurement measured;
        if (write(ends[1], "x", 1) == 1)
            spt_meter_measure(f->meter, "planted_hang", "-", INFINITY, &measured);
        _exit(0);
    }
    char byte;
    assert_int_equal(read(ends[0], &byte, 1), 1);
    nanosleep(&(struct timespec){.tv_nsec = 300000000}, NULL);
    kill(parent, SIGKILL);
    assert_int_equal(waitpid(parent, NULL, 0), parent);
    int n_orphans = 0;
    for (int waited = 0; waited < 100; waited++) { /* the orphaned worker must end by itself */
        const pid_t ended = waitpid(-1, NULL, WNOHANG);
        n_orphans += ended > 0;
        if (ended < 0 || n_orphans > 0)
            break;
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    }
    assert_int_equal(n_orphans, 1);
    assert_false(is_alive(parent));
    prctl(PR_SET_CHILD_SUBREAPER, 0);
    close(ends[0]);
    close(ends[1]);
}

/* Under an emulator the kernel may refuse to execute what the emulator runs: then no worker can exist. An emulated
 * child without shared memory can tell it by its exit code alone. */
static bool can_start_itself(void) {
    char name[] = "worker", verb[] = SPT_WORKER_VERB; /* without a socket a worker ends at once */
    char *const arguments[] = {name, verb, NULL};
    pid_t child;
    int how = 0;
    const int error = posix_spawn(&child, "/proc/self/exe", NULL, NULL, arguments, environ);
    if (error == 0)
        waitpid(child, &how, 0);
    return error != ENOEXEC && !(WIFEXITED(how) && WEXITSTATUS(how) == 127);
}

int main(int argc, char **argv) {
    for (int i = 0; i < N_PLANTED; i++)
        planted_pointers[i] = &planted[i];
    spt_registry_plant(planted_pointers, N_PLANTED);
    if (argc > 1 && strcmp(argv[1], SPT_WORKER_VERB) == 0)
        return spt_worker_main(argc, argv);
    if (!can_start_itself()) {
        puts("SKIP: the kernel does not execute programs of this architecture, so there are no workers");
        return 77;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_bad_family_is_recorded_and_the_next_one_is_measured, setup, teardown),
        cmocka_unit_test_setup_teardown(a_slow_family_is_timed_and_dropped_against_a_faster_one, setup, teardown),
        cmocka_unit_test_setup_teardown(a_round_goes_on_without_the_variants_that_break_it, setup, teardown),
        cmocka_unit_test_setup_teardown(a_right_result_in_an_impossible_time_is_refused, setup, teardown),
        cmocka_unit_test(the_floor_is_below_what_matrix_tiles_reach),
        cmocka_unit_test(the_floor_knows_the_type_that_a_variant_computes_in),
        cmocka_unit_test(advice_in_narrower_types_says_so),
        cmocka_unit_test_setup_teardown(who_corrupts_a_neighbour_is_found_in_the_round, setup, teardown),
        cmocka_unit_test_setup_teardown(an_interrupt_ends_a_hanging_request_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(no_worker_outlives_a_killed_parent, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* NVRTC takes the default points of every CUDA family for two architectures and thirty sampled points for one of them
 * in turn; no default spills registers. No GPU is needed. SPT_TEST_SEED draws other points, SPT_TEST_POINTS more. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/conv.h"
#include "core/random.h"
#include "core/statistics.h"
#include "tests/support.h"
#include "tests/unit.h"
#include "variants/cuda/binary.h"

enum { JOBS_MAX = 4000, WORKERS_MAX = 16 };

/* A variant to compile, and what came of it. */
typedef struct job {
    const spt_family *family;
    spt_workload workload;
    spt_device device;
    spt_point point;
    bool is_default;
} job;

typedef struct outcome {
    int job, registers;
    spt_status status;
    long spill_bytes;
    double compile_ms;
    char sentence[400];
} outcome;

static job jobs[JOBS_MAX];
static int n_jobs;

static spt_workload make_workload(const spt_family *family, spt_dtype dtype, spt_layout layout, spt_epilogue epilogue,
                                  int64_t n) {
    spt_workload out = {.problem = {.size = sizeof(spt_problem),
                                    .op = family->op,
                                    .dtype = dtype,
                                    .layout = layout,
                                    .epilogue = spt_op_has_epilogue(family->op) ? epilogue : SPT_EPILOGUE_NONE,
                                    .n = n,
                                    .threads = 1},
                        .pattern = {.n_rows = 512, .n_cols = 512, .nnz = 26214, .is_1of2 = true}};
    spt_conv_assume(&out.problem);
    out.pattern.features = (spt_features){
        .density = 0.1, .row_mean = 51.2, .row_cv = 0.13, .row_max = 75.0, .keep_2of4 = 1.0, .fill_4x1 = 1.0};
    return out;
}

static bool draw(spt_point *out, const spt_family *family, const job *j, spt_random *random) {
    for (int attempt = 0; attempt < 20000; attempt++) {
        for (int axis = 0; axis < family->n_axes; axis++)
            out->index[axis] = (uint16_t)spt_random_below(random, (uint64_t)family->axes[axis].n_values);
        if (family->is_valid(&j->workload, &j->device, out))
            return true;
    }
    return false;
}

static void add_job(const spt_family *family, const char *arch, int kind, int64_t n, bool is_default,
                    spt_random *random) {
    job *j = &jobs[n_jobs];
    const spt_dtype dtype = (spt_dtype)(kind / 2);
    if ((family->dtypes & SPT_DTYPE_BIT(dtype)) == 0 || n_jobs == JOBS_MAX)
        return;
    *j = (job){.family = family, .is_default = is_default};
    j->workload = make_workload(family, dtype, (spt_layout)(kind % 2),
                                (spt_epilogue)(family->takes_residual ? kind % 4 : kind % 3), n);
    assert_int_equal(spt_device_pretend(&j->device, arch), SPT_OK);
    if (is_default)
        family->default_point(&j->workload, &j->device, &j->point);
    else if (!draw(&j->point, family, j, random))
        return;
    n_jobs += family->is_valid(&j->workload, &j->device, &j->point);
}

static void add_jobs(const spt_family *family) {
    const char *seed = getenv("SPT_TEST_SEED"), *points = getenv("SPT_TEST_POINTS");
    const int64_t n = strstr(family->name, "skinny") != NULL ? 4 : strstr(family->name, "bitmap") != NULL ? 32 : 128;
    spt_random random;
    spt_random_init(&random, seed != NULL ? strtoull(seed, NULL, 10) : 1);
    for (int kind = 0; kind < 2 * SPT_DTYPE_COUNT; kind++) {
        add_job(family, "sm_80", kind, n, true, &random);
        add_job(family, "sm_90", kind, n, true, &random);
    }
    for (int i = 0, most = points != NULL ? atoi(points) : 30, before = n_jobs; i < 10 * most && n_jobs < before + most;
         i++)
        add_job(family, i % 2 == 0 ? "sm_90" : "sm_80", (int)spt_random_below(&random, 2 * SPT_DTYPE_COUNT), n, false,
                &random);
}

static outcome compile(int number) {
    const job *j = &jobs[number];
    outcome out = {.job = number};
    spt_cuda_source source = {0};
    spt_cuda_binary binary = {0}, rest = {0};
    out.status = j->family->cuda->describe(&source, &j->workload, &j->device, &j->point, NULL);
    const uint32_t wanted = spt_cuda_modules_wanted(&source, j->family, &j->workload, &j->device, &j->point);
    if (out.status == SPT_OK)
        out.status = spt_cuda_binary_make(&binary, &source, wanted, j->device.isa_set);
    if (out.status == SPT_OK && j->is_default)
        out.status = spt_cuda_binary_make(&rest, &source, ~wanted, j->device.isa_set);
    if (out.status != SPT_OK)
        snprintf(out.sentence, sizeof out.sentence, "%s", spt_last_error());
    out.registers = binary.registers;
    out.spill_bytes = (long)(binary.spill_bytes + rest.spill_bytes);
    out.compile_ms = binary.compile_ms;
    spt_cuda_source_fini(&source);
    return out;
}

/* Each worker has every n-th job; outcomes, which are smaller than a pipe's atom, come through one pipe. Only the
 * parent keeps its reading end, so that no worker waits in a full pipe once the parent has read enough. */
static void run_workers(int n_workers, const int ends[2]) {
    for (int w = 0; w < n_workers; w++) {
        if (fork() != 0)
            continue;
        close(ends[0]);
        for (int i = w; i < n_jobs; i += n_workers) {
            const outcome out = compile(i);
            if (write(ends[1], &out, sizeof out) != (ssize_t)sizeof out)
                break;
        }
        _exit(0);
    }
}

static void check_outcome(const outcome *out) {
    const job *j = &jobs[out->job];
    char text[SPT_POINT_TEXT_MAX];
    assert_int_equal(spt_point_text(text, j->family->axes, j->family->n_axes, &j->point), SPT_OK);
    if (out->status != SPT_OK)
        fail_msg("%s %s, %s, %s, %s: %s", j->family->name, text, spt_dtype_name(j->workload.problem.dtype),
                 spt_layout_name(j->workload.problem.layout), j->device.name, out->sentence);
    if (j->is_default && out->spill_bytes != 0)
        fail_msg("%s %s, %s, %s, %s: the default spills %ld bytes", j->family->name, text,
                 spt_dtype_name(j->workload.problem.dtype), spt_layout_name(j->workload.problem.layout), j->device.name,
                 out->spill_bytes);
}

static void defaults_and_sampled_points_compile(void **state) {
    (void)state;
    static double times[JOBS_MAX];
    int ends[2], n_done = 0, n_spilling = 0;
    outcome out;
    const long n_online = sysconf(_SC_NPROCESSORS_ONLN);
    const int n_workers = n_online < 1 ? 1 : n_online > WORKERS_MAX ? WORKERS_MAX : (int)n_online;
    setenv("SPARSETUNE_CACHE", "off", 1);
    for (int i = 0; i < spt_family_count(); i++) {
        const spt_family *family = spt_family_at(i);
        if (family->cuda != NULL && family->cuda->library_run == NULL && !family->cuda->is_baked)
            add_jobs(family);
    }
    assert_int_equal(pipe(ends), 0);
    run_workers(n_workers, ends);
    close(ends[1]);
    while (read(ends[0], &out, sizeof out) == (ssize_t)sizeof out) {
        if (out.status == SPT_EUNSUPPORTED) {
            print_message("SKIP: %s\n", out.sentence);
            close(ends[0]);
            while (wait(NULL) > 0)
                continue;
            skip();
        }
        check_outcome(&out);
        times[n_done++] = out.compile_ms;
        n_spilling += out.spill_bytes != 0;
    }
    close(ends[0]);
    while (wait(NULL) > 0)
        continue;
    assert_int_equal(n_done, n_jobs);
    print_message("%d variants compile; median %.0f ms; %d sampled ones spill\n", n_done, spt_median(times, n_done),
                  n_spilling);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(defaults_and_sampled_points_compile)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

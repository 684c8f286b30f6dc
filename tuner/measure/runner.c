/* SPDX-License-Identifier: Apache-2.0 */
/* Preparing, verifying and running one variant inside the worker. */
#include "tuner/measure/runner.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "core/memory.h"
#include "tuner/measure/chill.h"
#include "tuner/measure/pages.h"

#define COLD_BYTES_MAX ((size_t)1 << 30) /* memory that the copies of cold mode may take */
enum { COLD_SETS_MAX = 8 };

static void fail_trial(spt_measurement *measurement, spt_trial_status status) {
    measurement->status = status;
    snprintf(measurement->reason, sizeof measurement->reason, "%s", spt_last_error());
}

/* The trial status of a variant that could not be prepared. */
static spt_trial_status prepare_failure(spt_status status) {
    switch (status) {
    case SPT_EINVAL:
    case SPT_EUNSUPPORTED:
        return SPT_TRIAL_CONSTRAINTS;
    case SPT_ECOMPILE:
        return SPT_TRIAL_COMPILE;
    default:
        return SPT_TRIAL_RUNTIME;
    }
}

static const spt_operand_row *output_of(const spt_operation *operation) {
    return &operation->operands[operation->n_operands - 1];
}

static size_t set_bytes(const spt_operation *operation, const spt_workload *workload, size_t packed_bytes) {
    int64_t items = 0;
    for (int i = 0; i < operation->n_operands; i++)
        items += spt_operand_count(&operation->operands[i], workload);
    return packed_bytes + (size_t)items * spt_dtype_bytes(workload->problem.dtype);
}

/* How many sets of operands: one for hot caches; for cold ones a few, so that they need not be chilled for each run. */
static int count_sets(const spt_operation *operation, const spt_arena *arena, const spt_device *device,
                      size_t packed_bytes) {
    if (arena->workload.problem.cache == SPT_HOT || device->kind == SPT_CUDA)
        return 1;
    const size_t sets = COLD_BYTES_MAX / set_bytes(operation, &arena->workload, packed_bytes);
    return sets < 1 ? 1 : sets > COLD_SETS_MAX ? COLD_SETS_MAX : (int)sets;
}

/* Give a set its own copies of the inputs (but for the first set) and its own guarded output. */
static spt_status bind_host(spt_runner_set *set, const spt_operation *operation, const spt_arena *arena,
                            bool copy_inputs) {
    const size_t item = spt_dtype_bytes(arena->workload.problem.dtype);
    for (int i = 0; copy_inputs && i < operation->n_operands - 1; i++) {
        const size_t bytes = (size_t)spt_operand_count(&operation->operands[i], &arena->workload) * item;
        set->inputs[i] = spt_pages_new(bytes);
        if (set->inputs[i] == NULL)
            return spt_fail(SPT_ENOMEM, "expected %zu bytes for a copy of %s, found no memory", bytes,
                            operation->operands[i].role);
        set->input_bytes[i] = bytes;
        memcpy(set->inputs[i], (const char *)arena + arena->operand_at[i], bytes);
        spt_operand_bind(&set->args, &operation->operands[i], set->inputs[i], 0, 0);
    }
    const int64_t n_outputs = spt_operand_count(output_of(operation), &arena->workload);
    SPT_TRY(spt_guarded_init(&set->output, (size_t)n_outputs * item));
    spt_operand_bind(&set->args, output_of(operation), set->output.data, 0, 0);
    return SPT_OK;
}

static spt_status copy_to_device(void **out, const void *from, size_t bytes) {
    SPT_TRY(spt_cuda_alloc(out, bytes));
    return spt_cuda_upload(*out, from, bytes);
}

/* The set's operands in the device's memory: inputs copied, output between guards. */
static spt_status bind_device(spt_runner_set *set, const spt_operation *operation, const spt_arena *arena) {
    const size_t item = spt_dtype_bytes(arena->workload.problem.dtype);
    for (int i = 0; i < operation->n_operands - 1; i++) {
        const size_t bytes = (size_t)spt_operand_count(&operation->operands[i], &arena->workload) * item;
        SPT_TRY(copy_to_device(&set->inputs[i], (const char *)arena + arena->operand_at[i], bytes));
        spt_operand_bind(&set->args, &operation->operands[i], set->inputs[i], 0, 0);
    }
    if (set->args.bias != NULL) {
        SPT_TRY(copy_to_device(&set->device_bias, set->args.bias, (size_t)arena->workload.pattern.n_rows * item));
        set->args.bias = set->device_bias;
    }
    const size_t bytes = (size_t)spt_operand_count(output_of(operation), &arena->workload) * item;
    if (set->args.residual.data != NULL) {
        SPT_TRY(copy_to_device(&set->device_residual, set->args.residual.data, bytes));
        set->args.residual.data = set->device_residual;
    }
    SPT_TRY(spt_guarded_init(&set->output, bytes));
    SPT_TRY(spt_cuda_alloc(&set->device_output, spt_guarded_bytes(&set->output)));
    spt_operand_bind(&set->args, output_of(operation), spt_guarded_twin(&set->output, set->device_output), 0, 0);
    return SPT_OK;
}

static spt_status bind_operands(spt_runner *runner, spt_runner_set *set, const spt_operation *operation,
                                bool copy_inputs) {
    spt_csr a;
    spt_arena_view(&a, &set->args, runner->arena);
    if (runner->device->kind == SPT_CUDA)
        return bind_device(set, operation, runner->arena);
    return bind_host(set, operation, runner->arena, copy_inputs);
}

static spt_status bind_workspace(spt_runner *runner) {
    const spt_arena *arena = runner->arena;
    const size_t bytes = spt_prepared_workspace(&runner->sets[0].prepared, arena->workload.problem.n);
    if (bytes == 0)
        return SPT_OK;
    SPT_TRY(spt_guarded_init(&runner->workspace, bytes));
    void *workspace = runner->workspace.data;
    if (runner->device->kind == SPT_CUDA) {
        SPT_TRY(spt_cuda_alloc(&runner->device_workspace, spt_guarded_bytes(&runner->workspace)));
        workspace = spt_guarded_twin(&runner->workspace, runner->device_workspace);
    }
    for (int i = 0; i < runner->n_sets; i++) {
        runner->sets[i].args.workspace = workspace;
        runner->sets[i].args.workspace_bytes = bytes;
    }
    return SPT_OK;
}

/* Prepare the first set, which tells how large the others are; then the rest. */
static spt_status prepare_sets(spt_runner *runner, const spt_family *family, const spt_point *point,
                               const spt_device *device, const spt_csr *a) {
    const spt_arena *arena = runner->arena;
    spt_prepared first;
    SPT_TRY(spt_prepared_init(&first, family, point, &arena->workload, device, a));
    const spt_operation *operation = spt_operation_get(arena->workload.problem.op);
    const int n_sets = count_sets(operation, arena, device, first.packed_bytes);
    spt_status status = SPT_NEW_ZEROED(runner->sets, n_sets);
    if (status != SPT_OK) {
        spt_prepared_fini(&first);
        return status;
    }
    runner->n_sets = n_sets;
    runner->sets[0].prepared = first;
    for (int i = 0; i < n_sets; i++) {
        if (i > 0)
            SPT_TRY(spt_prepared_init(&runner->sets[i].prepared, family, point, &arena->workload, device, a));
        SPT_TRY(bind_operands(runner, &runner->sets[i], operation, i > 0));
    }
    if (device->kind == SPT_CUDA)
        SPT_TRY(spt_cuda_clock_new(&runner->clock, device,
                                   arena->workload.problem.cache == SPT_COLD ? 2 * (size_t)device->l2_bytes : 0));
    return bind_workspace(runner);
}

spt_status spt_runner_init(spt_runner *out, spt_measurement *measurement, const spt_request_variant *variant,
                           const spt_device *device, const spt_arena *arena) {
    *out = (spt_runner){.arena = arena, .device = device};
    *measurement = (spt_measurement){.status = SPT_TRIAL_CORRECT};
    const spt_family *family = spt_family_find(variant->family);
    spt_point point;
    if (family == NULL) {
        measurement->status = SPT_TRIAL_CONSTRAINTS;
        snprintf(measurement->reason, sizeof measurement->reason, "there is no family %s", variant->family);
        return SPT_OK;
    }
    if (spt_point_parse(&point, family->axes, family->n_axes, variant->point) != SPT_OK) {
        fail_trial(measurement, SPT_TRIAL_CONSTRAINTS);
        return SPT_OK;
    }
    spt_csr a;
    spt_args args;
    spt_arena_view(&a, &args, arena);
    const spt_status status = prepare_sets(out, family, &point, device, &a);
    if (status != SPT_OK) {
        fail_trial(measurement, prepare_failure(status));
        spt_runner_fini(out);
        return SPT_OK;
    }
    const spt_prepared *prepared = &out->sets[0].prepared;
    measurement->packed_bytes = (int64_t)prepared->packed_bytes;
    measurement->pack_ns = prepared->pack_ns;
    measurement->compile_ns = prepared->compile_ns;
    measurement->workspace_bytes = (int64_t)out->workspace.size_bytes;
    return SPT_OK;
}

void spt_runner_fini(spt_runner *runner) {
    for (int i = 0; i < runner->n_sets; i++) {
        spt_prepared_fini(&runner->sets[i].prepared);
        spt_guarded_fini(&runner->sets[i].output);
        spt_cuda_free(runner->sets[i].device_output);
        spt_cuda_free(runner->sets[i].device_bias);
        spt_cuda_free(runner->sets[i].device_residual);
        for (int j = 0; j < SPT_OPERANDS_MAX; j++)
            if (runner->device->kind == SPT_CUDA)
                spt_cuda_free(runner->sets[i].inputs[j]);
            else
                spt_pages_free(runner->sets[i].inputs[j], runner->sets[i].input_bytes[j]);
    }
    spt_free(runner->sets);
    spt_cuda_free(runner->device_workspace);
    spt_cuda_clock_free(runner->clock);
    spt_guarded_fini(&runner->workspace);
    *runner = (spt_runner){0};
}

/* All parts of a split that the caller's threads might use, last part first. */
static spt_status run_backwards(const spt_runner_set *set) {
    spt_args args = set->args;
    args.workspace = NULL; /* more parts than threads: each brings its own */
    args.workspace_bytes = 0;
    const int n_parts = set->prepared.workload.problem.threads + 1;
    for (int part = n_parts - 1; part >= 0; part--)
        SPT_TRY(spt_prepared_run_part(&set->prepared, &args, part, n_parts));
    return SPT_OK;
}

static double largest(const float *values, int64_t count) {
    float found = 0.0f;
    for (int64_t i = 0; i < count; i++)
        found = fmaxf(found, fabsf(values[i]));
    return (double)found;
}

/* How far a result may be off because its variant rounds inputs: |a b - a' b'| <= (2 e + e^2) max|a| max|b| for each of
 * the products of the longest row. */
static double slack_of(const spt_runner *runner) {
    const spt_prepared *prepared = &runner->sets[0].prepared;
    const double e = prepared->family->input_error != NULL ? prepared->family->input_error(&prepared->point) : 0.0;
    const spt_workload *workload = &runner->arena->workload;
    const spt_operation *operation = spt_operation_get(workload->problem.op);
    spt_csr a;
    spt_args args;
    if (e == 0.0)
        return 0.0;
    spt_arena_view(&a, &args, runner->arena);
    double products = largest(a.values, spt_csr_nnz(&a));
    for (int i = 0; i < operation->n_operands - 1; i++)
        products *= largest((const float *)(const void *)((const char *)runner->arena + runner->arena->operand_at[i]),
                            spt_operand_count(&operation->operands[i], workload));
    return workload->pattern.features.row_max * products * (2.0 * e + e * e);
}

bool spt_runner_is_intact(const spt_runner *runner) {
    return runner->n_sets == 0 || (spt_guarded_is_intact(&runner->sets[0].output) &&
                                   (runner->workspace.data == NULL || spt_guarded_is_intact(&runner->workspace)));
}

static bool check_output(spt_runner *runner, spt_measurement *measurement) {
    const spt_arena *arena = runner->arena;
    const spt_operation *operation = spt_operation_get(arena->workload.problem.op);
    const spt_operand_row *output = output_of(operation);
    const spt_guarded *memory = &runner->sets[0].output;
    if (!spt_runner_is_intact(runner)) {
        measurement->status = SPT_TRIAL_CORRECTNESS;
        snprintf(measurement->reason, sizeof measurement->reason, "bytes outside the %s were overwritten",
                 spt_guarded_is_intact(memory) ? "workspace" : "output");
        return false;
    }
    int64_t rows, cols;
    spt_operand_shape(&rows, &cols, output, &arena->workload);
    const char *base = (const char *)arena;
    const double scale = runner->sets[0].prepared.family->tolerance_scale;
    return spt_verify(measurement, arena->workload.problem.dtype, memory->data,
                      (const double *)(const void *)(base + arena->value_at),
                      (const double *)(const void *)(base + arena->tolerance_at), scale > 0.0 ? scale : 1.0,
                      slack_of(runner), rows, cols, output->role);
}

/* Poison the output and the workspace, on the device too. */
static spt_status poison(spt_runner *runner) {
    spt_runner_set *set = &runner->sets[0];
    spt_guarded_poison(&set->output);
    if (runner->workspace.data != NULL)
        spt_guarded_poison(&runner->workspace);
    if (set->device_output != NULL)
        SPT_TRY(spt_cuda_upload(set->device_output, set->output.base, spt_guarded_bytes(&set->output)));
    if (runner->device_workspace != NULL)
        SPT_TRY(
            spt_cuda_upload(runner->device_workspace, runner->workspace.base, spt_guarded_bytes(&runner->workspace)));
    return SPT_OK;
}

/* Wait for the device and bring its output and workspace back. */
static spt_status fetch(spt_runner *runner) {
    spt_runner_set *set = &runner->sets[0];
    if (set->device_output == NULL)
        return SPT_OK;
    SPT_TRY(spt_cuda_synchronize(NULL));
    SPT_TRY(spt_cuda_download(set->output.base, set->device_output, spt_guarded_bytes(&set->output)));
    if (runner->device_workspace != NULL)
        SPT_TRY(
            spt_cuda_download(runner->workspace.base, runner->device_workspace, spt_guarded_bytes(&runner->workspace)));
    return SPT_OK;
}

bool spt_runner_verify(spt_runner *runner, spt_measurement *measurement) {
    spt_runner_set *set = &runner->sets[0];
    if (poison(runner) != SPT_OK || spt_prepared_run(&set->prepared, &set->args) != SPT_OK || fetch(runner) != SPT_OK) {
        fail_trial(measurement, SPT_TRIAL_RUNTIME);
        return false;
    }
    if (!check_output(runner, measurement))
        return false;
    if (poison(runner) != SPT_OK || run_backwards(set) != SPT_OK || fetch(runner) != SPT_OK) {
        fail_trial(measurement, SPT_TRIAL_RUNTIME);
        return false;
    }
    return check_output(runner, measurement);
}

static spt_status run_next_set(void *context) {
    spt_runner *runner = context;
    const spt_runner_set *set = &runner->sets[runner->next_set];
    runner->next_set = runner->next_set + 1 < runner->n_sets ? runner->next_set + 1 : 0;
    runner->n_cold--;
    return spt_prepared_run(&set->prepared, &set->args);
}

static spt_status enqueue(void *context, void *stream) {
    spt_runner *runner = context;
    spt_args args = runner->sets[0].args;
    args.stream = stream;
    return spt_prepared_run(&runner->sets[0].prepared, &args);
}

static spt_status time_on_device(double *ns, void *context, int64_t calls) {
    spt_runner *runner = context;
    return spt_cuda_clock_time(ns, runner->clock, enqueue, runner, (long)calls);
}

static spt_status run_on_device(void *context) {
    double ns;
    return time_on_device(&ns, context, 1);
}

/* Chill once all sets have run since the last time. */
static spt_status chill(void *context) {
    spt_runner *runner = context;
    const spt_prepared *prepared = &runner->sets[0].prepared;
    if (runner->n_cold > 0)
        return SPT_OK;
    SPT_TRY(spt_chill(&prepared->device, prepared->workload.problem.threads));
    runner->n_cold = runner->n_sets;
    return SPT_OK;
}

/* How often any thread of this process has been taken off its CPU. */
static int64_t interruptions(void *context) {
    struct rusage usage;
    (void)context;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? usage.ru_nivcsw : 0;
}

spt_sampler spt_runner_sampler(spt_runner *runner) {
    const bool is_cold = runner->arena->workload.problem.cache == SPT_COLD;
    if (runner->clock != NULL)
        return (spt_sampler){.now_ns = spt_clock_now_ns,
                             .run = run_on_device,
                             .time = time_on_device,
                             .context = runner,
                             .one_call_per_sample = is_cold};
    return (spt_sampler){.now_ns = spt_clock_now_ns,
                         .run = run_next_set,
                         .context = runner,
                         .one_call_per_sample = is_cold,
                         .before_sample = is_cold ? chill : NULL,
                         .interruptions = interruptions};
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Variants made ready, and the two drivers that execute them: OpenMP, and one part on the caller's thread.
 * Invariant: a part sees only its own workspace and writes only its own output, so parts need no order and no barrier.
 */
#include <inttypes.h>
#include <omp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "core/memory.h"
#include "variants/family.h"
#include "variants/operation.h"

/* OpenMP run-times do not survive fork: the child's team threads are gone and its first parallel region waits for them
 * for ever. A child of a process that had loaded the library therefore executes on one thread. */
static atomic_bool is_forked_child;
static pthread_once_t fork_handler_once = PTHREAD_ONCE_INIT;

static void note_fork(void) {
    atomic_store(&is_forked_child, true);
}

static void install_fork_handler(void) {
    pthread_atfork(NULL, NULL, note_fork);
}

static double now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

spt_status spt_prepared_init(spt_prepared *out, const spt_family *family, const spt_point *point,
                             const spt_workload *workload, const spt_device *device, const spt_csr *a) {
    *out = (spt_prepared){0};
    SPT_TRY(spt_family_check(family, workload, device));
    if (!family->is_valid(workload, device, point)) {
        char text[SPT_POINT_TEXT_MAX];
        SPT_TRY(spt_point_text(text, family->axes, family->n_axes, point));
        return spt_fail(SPT_EINVAL, "%s: point %s is not valid for this problem on this device", family->name, text);
    }
    if (a->values == NULL && workload->problem.op != SPT_SDDMM)
        return spt_fail(SPT_EINVAL, "A: expected values, found none");
    pthread_once(&fork_handler_once, install_fork_handler);
    out->family = family;
    out->point = *point;
    out->workload = *workload;
    SPT_TRY(spt_device_name(&out->workload.problem.device, workload->problem.device)); /* the caller's may not last */
    out->device = *device;
    const double start = now_ns();
    const spt_status status = family->prepare(out, a);
    if (status != SPT_OK) {
        *out = (spt_prepared){0};
        return status;
    }
    out->pack_ns = now_ns() - start - out->compiling_ns;
    return SPT_OK;
}

spt_status spt_prepared_complete(spt_prepared *prepared) {
    return prepared->family->complete != NULL ? prepared->family->complete(prepared) : SPT_OK;
}

spt_status spt_prepared_set_values(spt_prepared *prepared, const void *values) {
    if (values == NULL)
        return spt_fail(SPT_EINVAL, "expected %" PRId64 " values, found a null pointer",
                        prepared->workload.pattern.nnz);
    const double start = now_ns();
    if (prepared->family->set_values != NULL)
        SPT_TRY(prepared->family->set_values(prepared, values));
    prepared->pack_ns = now_ns() - start;
    return SPT_OK;
}

void spt_prepared_fini(spt_prepared *prepared) {
    if (prepared->family != NULL)
        prepared->family->release(prepared);
    *prepared = (spt_prepared){0};
}

/* Bytes of workspace of one part, a multiple of the alignment. */
static size_t part_workspace(const spt_prepared *prepared, int64_t n) {
    const size_t bytes = prepared->family->workspace != NULL ? prepared->family->workspace(prepared, n) : 0;
    return (bytes + SPT_ALIGNMENT - 1) / SPT_ALIGNMENT * SPT_ALIGNMENT;
}

static int planned_parts(const spt_prepared *prepared) {
    return prepared->family->owns_threads ? 1 : prepared->workload.problem.threads;
}

size_t spt_prepared_workspace(const spt_prepared *prepared, int64_t n) {
    return part_workspace(prepared, n) * (size_t)planned_parts(prepared);
}

/* The caller's args with every default resolved: the call of item 0, and the strides to the next item. */
typedef struct resolved_call {
    spt_call call;
    int64_t batch;
    int64_t stride_x, stride_y, stride_s; /* bytes; those of the others are in the call */
    size_t part_workspace_bytes;
} resolved_call;

/* Does the distance from an operand's first element to its last row of its last item fit? `ld` counts even where there
 * is one row: kernels add it to pointers. */
static bool is_addressable(int64_t rows, int64_t ld, int64_t batch, int64_t stride_bytes, int64_t item_bytes) {
    int64_t row_bytes, rows_bytes, items_bytes, all;
    return !__builtin_mul_overflow(ld, item_bytes, &row_bytes) &&
           !__builtin_mul_overflow(row_bytes, rows, &rows_bytes) &&
           !__builtin_mul_overflow(stride_bytes, batch, &items_bytes) &&
           !__builtin_add_overflow(rows_bytes, items_bytes, &all);
}

static spt_status resolve_operand(const void **data, int64_t *ld, int64_t *stride_bytes, const spt_operand_row *operand,
                                  const spt_input *given, const spt_workload *workload, int64_t batch) {
    int64_t rows, cols;
    spt_operand_shape(&rows, &cols, operand, workload);
    const bool is_vector = operand->cols == SPT_EXTENT_ONE;
    *ld = given->ld != 0 && !is_vector ? given->ld : cols;
    *data = given->data;
    if (__builtin_mul_overflow(given->batch_stride, (int64_t)spt_dtype_bytes(workload->problem.dtype), stride_bytes))
        return spt_fail(SPT_EINVAL, "operand %s: expected a batch stride that memory can have, found %" PRId64,
                        operand->role, given->batch_stride);
    if (given->data == NULL && rows > 0)
        return spt_fail(SPT_EINVAL, "operand %s: expected %" PRId64 " x %" PRId64 " elements, found a null pointer",
                        operand->role, rows, cols);
    if (*ld < cols)
        return spt_fail(SPT_EINVAL, "operand %s: expected a leading dimension of at least %" PRId64 ", found %" PRId64,
                        operand->role, cols, *ld);
    if (!is_addressable(rows, *ld, batch, *stride_bytes, (int64_t)spt_dtype_bytes(workload->problem.dtype)))
        return spt_fail(
            SPT_EINVAL,
            "operand %s: expected a leading dimension and a batch stride that memory can have, found %" PRId64
            " and %" PRId64 " for %" PRId64 " rows and %" PRId64 " items",
            operand->role, *ld, given->batch_stride, rows, batch);
    if (operand->is_output && batch > 1 && given->batch_stride == 0)
        return spt_fail(SPT_EINVAL, "operand %s: expected a batch stride for %" PRId64 " items, found 0", operand->role,
                        batch);
    return SPT_OK;
}

static spt_input as_input(const spt_output *output) {
    return (spt_input){output->data, output->ld, output->batch_stride};
}

static spt_status resolve_operands(resolved_call *out, const spt_workload *workload, const spt_args *args) {
    const spt_operation *operation = spt_operation_get(workload->problem.op);
    const spt_input c = as_input(&args->c), s = as_input(&args->s);
    spt_call *call = &out->call;
    const void *c_data = NULL, *s_data = NULL;
    int64_t lds;
    for (int i = 0; i < operation->n_operands; i++) {
        const spt_operand_row *operand = &operation->operands[i];
        spt_status status;
        switch (operand->role[0]) {
        case 'b':
            status = resolve_operand(&call->b, &call->ldb, &call->step_b, operand, &args->b, workload, out->batch);
            break;
        case 'x':
            status = resolve_operand(&call->x, &call->ldx, &out->stride_x, operand, &args->x, workload, out->batch);
            break;
        case 'y':
            status = resolve_operand(&call->y, &call->ldy, &out->stride_y, operand, &args->y, workload, out->batch);
            break;
        case 'c':
            status = resolve_operand(&c_data, &call->ldc, &call->step_c, operand, &c, workload, out->batch);
            break;
        default:
            status = resolve_operand(&s_data, &lds, &out->stride_s, operand, &s, workload, out->batch);
            break;
        }
        SPT_TRY(status);
    }
    call->c = args->c.data;
    call->s = args->s.data;
    return SPT_OK;
}

static spt_status resolve(resolved_call *out, const spt_prepared *prepared, const spt_args *args) {
    if (args == NULL || args->size < sizeof *args)
        return spt_fail(SPT_EINVAL, "expected args whose size field is at least %zu", sizeof *args);
    if (args->n < 0 || args->n > SPT_DIM_MAX || args->batch < 0)
        return spt_fail(SPT_EINVAL,
                        "expected n from 1 to %d and a batch of 0 or more, found n %" PRId64 ", batch %" PRId64,
                        SPT_DIM_MAX, args->n, args->batch);
    spt_workload workload = prepared->workload;
    if (args->n > 0)
        workload.problem.n = args->n;
    if (workload.problem.op == SPT_CONV2D && workload.problem.n != prepared->workload.problem.n)
        return spt_fail(SPT_EINVAL, "conv2d: expected the planned n %" PRId64 " or 0, found %" PRId64,
                        prepared->workload.problem.n, workload.problem.n);
    *out = (resolved_call){.batch = args->batch > 0 ? args->batch : 1};
    out->call.n = workload.problem.n;
    out->call.stream = args->stream;
    SPT_TRY(resolve_operands(out, &workload, args));
    if (spt_epilogue_get(workload.problem.epilogue)->has_bias) {
        if (args->bias == NULL)
            return spt_fail(SPT_EINVAL, "epilogue %s: expected %" PRId64 " bias values, found a null pointer",
                            spt_epilogue_name(workload.problem.epilogue), workload.pattern.n_rows);
        out->call.bias = args->bias;
    }
    if (spt_epilogue_get(workload.problem.epilogue)->has_residual) {
        const spt_operation *operation = spt_operation_get(workload.problem.op);
        spt_operand_row residual = operation->operands[operation->n_operands - 1];
        residual.role = "residual";
        residual.is_output = false;
        SPT_TRY(resolve_operand(&out->call.residual, &out->call.ldr, &out->call.step_residual, &residual,
                                &args->residual, &workload, out->batch));
    }
    out->part_workspace_bytes = part_workspace(prepared, out->call.n);
    return SPT_OK;
}

/* An operand of the batch's next item. NULL, which other operations' operands are, stays NULL. */
static void *next_item(const void *operand, int64_t stride_bytes) {
    return (void *)(uintptr_t)(operand != NULL ? (const char *)operand + stride_bytes : NULL);
}

/* Run one part of every item of the batch, as many items at once as the family takes. */
static spt_status run_items(const spt_prepared *prepared, const resolved_call *resolved, void *workspace, int part,
                            int n_parts) {
    const int64_t most = prepared->family->batch_max > 1 ? prepared->family->batch_max : 1;
    spt_call call = resolved->call;
    call.workspace = workspace;
    for (int64_t item = 0; item < resolved->batch; item += call.batch) {
        call.batch = resolved->batch - item < most ? resolved->batch - item : most;
        if (call.n > 0)
            SPT_TRY(prepared->family->run_part(prepared, &call, part, n_parts));
        spt_call_advance(&call, call.batch);
        call.x = next_item(call.x, resolved->stride_x);
        call.y = next_item(call.y, resolved->stride_y);
        call.s = next_item(call.s, resolved->stride_s);
    }
    return SPT_OK;
}

/* The caller's workspace when there is one, otherwise a temporary one of the same size; *temporary is the caller's to
 * free. NULL when none is needed. */
static spt_status take_workspace(char **workspace, void **temporary, const spt_args *args, size_t bytes,
                                 bool is_device) {
    *workspace = NULL;
    *temporary = NULL;
    if (bytes == 0)
        return SPT_OK;
    if (args->workspace == NULL && is_device) /* host memory would be of no use: the engine brings its own */
        return SPT_OK;
    if (args->workspace == NULL) {
        *temporary = spt_alloc(bytes, 1);
        *workspace = *temporary;
        return *temporary != NULL ? SPT_OK : SPT_ENOMEM;
    }
    if (args->workspace_bytes < bytes || (uintptr_t)args->workspace % SPT_ALIGNMENT != 0)
        return spt_fail(SPT_EINVAL, "expected a workspace of %zu bytes aligned to %d, found %zu bytes at %p", bytes,
                        SPT_ALIGNMENT, args->workspace_bytes, args->workspace);
    *workspace = args->workspace;
    return SPT_OK;
}

static spt_status run_parallel(const spt_prepared *prepared, const resolved_call *resolved, char *workspace,
                               int n_parts) {
    atomic_int result = SPT_OK;
#pragma omp parallel num_threads(n_parts)
    {
        for (int part = omp_get_thread_num(); part < n_parts; part += omp_get_num_threads()) {
            char *slice = workspace != NULL ? workspace + (size_t)part * resolved->part_workspace_bytes : NULL;
            const spt_status status = run_items(prepared, resolved, slice, part, n_parts);
            if (status != SPT_OK)
                atomic_store(&result, status);
        }
    }
    if (atomic_load(&result) != SPT_OK)
        return spt_fail((spt_status)atomic_load(&result), "%s: a part of the execution was refused",
                        prepared->family->name);
    return SPT_OK;
}

spt_status spt_prepared_run(const spt_prepared *prepared, const spt_args *args) {
    resolved_call resolved;
    SPT_TRY(resolve(&resolved, prepared, args));
    const bool is_serial = omp_in_parallel() || atomic_load(&is_forked_child);
    const int n_parts = is_serial ? 1 : planned_parts(prepared);
    char *workspace;
    void *temporary;
    SPT_TRY(take_workspace(&workspace, &temporary, args, resolved.part_workspace_bytes * (size_t)n_parts,
                           prepared->device.kind != SPT_CPU));
    const spt_status status = n_parts == 1 ? run_items(prepared, &resolved, workspace, 0, 1)
                                           : run_parallel(prepared, &resolved, workspace, n_parts);
    spt_free(temporary);
    return status;
}

spt_status spt_prepared_run_part(const spt_prepared *prepared, const spt_args *args, int part, int n_parts) {
    resolved_call resolved;
    SPT_TRY(resolve(&resolved, prepared, args));
    if (n_parts < 1 || part < 0 || part >= n_parts)
        return spt_fail(SPT_EINVAL, "expected a part from 0 to n_parts - 1, found part %d of %d", part, n_parts);
    if (prepared->family->owns_threads) { /* one part does it all */
        if (part != 0)
            return SPT_OK;
        n_parts = 1;
    }
    const size_t bytes = resolved.part_workspace_bytes;
    const bool has_workspace = bytes > 0 && args->workspace != NULL;
    if (has_workspace && n_parts > planned_parts(prepared))
        return spt_fail(SPT_EINVAL, "expected at most %d parts with a caller's workspace, found %d",
                        planned_parts(prepared), n_parts);
    char *workspace;
    void *temporary;
    SPT_TRY(take_workspace(&workspace, &temporary, args, has_workspace ? bytes * (size_t)n_parts : bytes,
                           prepared->device.kind != SPT_CPU));
    if (has_workspace)
        workspace += (size_t)part * bytes;
    const spt_status status = run_items(prepared, &resolved, workspace, part, n_parts);
    spt_free(temporary);
    return status;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The driver's engine: kernels are loaded (code_cuda.c) and buffers uploaded once per plan; an execution is one launch
 * record after another on the caller's stream. Operands that the driver does not know are the host's: they are copied,
 * which is for examples and tests. */
#include <string.h>

#include "core/memory.h"
#include "variants/cuda/code.h"
#include "variants/cuda/device.h"
#include "variants/cuda/stage.h"

#define SHARED_BYTES_FREE 49152u /* a kernel must ask for more than this beforehand */

typedef struct cuda_state {
    spt_cuda_packed packed; /* first: spt_cuda_packed_of; without data after the upload */
    spt_matrix places;      /* the pattern, for new values */
    spt_cuda_code code;
    void *buffers[SPT_CUDA_BUFFERS_MAX]; /* on the device */
    void *library;                       /* of a vendor's family */
} cuda_state;

void *spt_cuda_buffer_at(const spt_prepared *prepared, int buffer) {
    return ((const cuda_state *)prepared->state)->buffers[buffer];
}

void **spt_cuda_library_state(const spt_prepared *prepared) {
    return &((cuda_state *)prepared->state)->library;
}

spt_status spt_cuda_available(const spt_device *device) {
    const spt_cuda_driver *driver;
    if (device->driver_version == 0)
        return spt_fail(SPT_EUNSUPPORTED, "no CUDA device here is %s", device->name);
    return spt_cuda_driver_get(&driver);
}

/* ---- making one ready ---- */

/* Upload the buffers of a packing, into memory that is made for them or, after new values, there already. */
static spt_status upload(cuda_state *state, spt_cuda_packed *packed) {
    for (int i = 0; i < packed->n_buffers; i++) {
        spt_cuda_buffer *buffer = &packed->buffers[i];
        if (state->buffers[i] == NULL)
            SPT_TRY(spt_cuda_alloc(&state->buffers[i], buffer->bytes));
        SPT_TRY(spt_cuda_upload(state->buffers[i], buffer->data, buffer->bytes));
    }
    return SPT_OK;
}

static void drop_data(spt_cuda_packed *packed) {
    for (int i = 0; i < packed->n_buffers; i++) {
        spt_free(packed->buffers[i].data);
        packed->buffers[i].data = NULL;
    }
}

static spt_status make_ready(spt_prepared *prepared, const spt_csr *a) {
    const spt_cuda_kernel *cuda = prepared->family->cuda;
    cuda_state *state = prepared->state;
    spt_csr pattern = *a;
    pattern.values = NULL;
    SPT_TRY(spt_matrix_copy(&state->places, &pattern));
    if (cuda->describe != NULL)
        SPT_TRY(spt_cuda_code_init(&state->code, prepared, a));
    SPT_TRY(cuda->pack(&state->packed, &prepared->workload, &prepared->device, &prepared->point, a));
    SPT_TRY(upload(state, &state->packed));
    for (int i = 0; i < state->packed.n_buffers; i++)
        prepared->packed_bytes += state->packed.buffers[i].bytes;
    drop_data(&state->packed);
    return cuda->library_open != NULL ? cuda->library_open(prepared) : SPT_OK;
}

static void release_state(spt_prepared *prepared) {
    cuda_state *state = prepared->state;
    if (state->library != NULL && prepared->family->cuda->library_close != NULL)
        prepared->family->cuda->library_close(prepared);
    spt_cuda_code_fini(&state->code);
    for (int i = 0; i < SPT_CUDA_BUFFERS_MAX; i++)
        spt_cuda_free(state->buffers[i]);
}

void spt_cuda_release(spt_prepared *prepared) {
    cuda_state *state = prepared->state;
    if (state == NULL)
        return;
    if (spt_cuda_enter(&prepared->device) == SPT_OK) {
        release_state(prepared);
        spt_cuda_leave(&prepared->device);
    }
    spt_cuda_packed_fini(&state->packed);
    spt_matrix_fini(&state->places);
    spt_free(state);
    prepared->state = NULL;
}

spt_status spt_cuda_prepare(spt_prepared *prepared, const spt_csr *a) {
    cuda_state *state;
    SPT_TRY(spt_cuda_enter(&prepared->device));
    spt_status status = SPT_NEW_ZEROED(state, 1);
    prepared->state = state;
    if (status == SPT_OK)
        status = make_ready(prepared, a);
    spt_cuda_leave(&prepared->device);
    if (status != SPT_OK)
        spt_cuda_release(prepared);
    return status;
}

/* ---- new values ---- */

static spt_status replace_values(spt_prepared *prepared, const void *values) {
    const spt_cuda_kernel *cuda = prepared->family->cuda;
    cuda_state *state = prepared->state;
    spt_cuda_packed packed = {0};
    spt_csr a = state->places.view;
    a.values = values;
    spt_status status = cuda->pack(&packed, &prepared->workload, &prepared->device, &prepared->point, &a);
    for (int i = 0; i < packed.n_buffers && status == SPT_OK; i++)
        if (packed.buffers[i].bytes != state->packed.buffers[i].bytes)
            status = spt_fail(SPT_EINVAL, "%s: buffer %s changed its size with the values", prepared->family->name,
                              packed.buffers[i].name);
    if (status == SPT_OK && cuda->bakes_values != NULL && cuda->bakes_values(&prepared->point))
        status = spt_cuda_code_replace(&state->code, prepared, &a);
    if (status == SPT_OK)
        status = upload(state, &packed);
    spt_cuda_packed_fini(&packed);
    if (status == SPT_OK && cuda->library_refresh != NULL)
        status = cuda->library_refresh(prepared);
    return status;
}

spt_status spt_cuda_complete(spt_prepared *prepared) {
    cuda_state *state = prepared->state;
    SPT_TRY(spt_cuda_enter(&prepared->device));
    const spt_status status = spt_cuda_code_complete(&state->code, prepared);
    spt_cuda_leave(&prepared->device);
    return status;
}

spt_status spt_cuda_set_values(spt_prepared *prepared, const void *values) {
    SPT_TRY(spt_cuda_enter(&prepared->device));
    const spt_status status = replace_values(prepared, values);
    spt_cuda_leave(&prepared->device);
    return status;
}

/* ---- execution ---- */

/* A kernel's parameters: pointers and numbers in memory that lives until the launch returns. */
typedef union parameter {
    const void *pointer;
    int i32;
    long long i64;
} parameter;

static const void *operand_of(const spt_call *call, int role) {
    switch (role) {
    case 'b':
        return call->b;
    case 'c':
        return call->c;
    case 'x':
        return call->x;
    case 'y':
        return call->y;
    case 's':
        return call->s;
    case 'r':
        return call->residual;
    default:
        return call->bias;
    }
}

static parameter parameter_of(const cuda_state *state, const spt_call *call, const spt_cuda_arg *arg) {
    switch (arg->kind) {
    case SPT_CUDA_BUFFER:
        return (parameter){.pointer = (const char *)state->buffers[arg->index] + arg->value};
    case SPT_CUDA_OPERAND:
        return (parameter){.pointer = operand_of(call, arg->index)};
    case SPT_CUDA_WORKSPACE:
        return (parameter){.pointer = (const char *)call->workspace + arg->value};
    case SPT_CUDA_I32:
        return (parameter){.i32 = (int)arg->value};
    default:
        return (parameter){.i64 = arg->value};
    }
}

static spt_status launch(const spt_cuda_driver *driver, const spt_prepared *prepared, const spt_call *call,
                         const spt_cuda_launch *record) {
    cuda_state *state = prepared->state;
    parameter parameters[SPT_CUDA_ARGS_MAX];
    void *places[SPT_CUDA_ARGS_MAX];
    const uint32_t *grid = record->grid, *block = record->block;
    CUfunction function;
    if (grid[0] == 0 || grid[1] == 0 || grid[2] == 0)
        return SPT_OK;
    SPT_TRY(spt_cuda_code_function(&function, &state->code, prepared, record->kernel));
    for (int i = 0; i < record->n_args; i++) {
        parameters[i] = parameter_of(state, call, &record->args[i]);
        places[i] = &parameters[i];
    }
    if (record->shared_bytes > SHARED_BYTES_FREE)
        SPT_TRY(spt_cuda_check(driver,
                               driver->cuFuncSetAttribute(function, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
                                                          (int)record->shared_bytes),
                               "shared memory"));
    return spt_cuda_check(driver,
                          driver->cuLaunchKernel(function, grid[0], grid[1], grid[2], block[0], block[1], block[2],
                                                 record->shared_bytes, call->stream, places, NULL),
                          "a launch");
}

static spt_status run_on_device(const spt_prepared *prepared, const spt_call *call) {
    const spt_cuda_kernel *cuda = prepared->family->cuda;
    const spt_cuda_driver *driver;
    if (cuda->library_run != NULL)
        SPT_TRY(cuda->library_run(prepared, call));
    if (cuda->launch == NULL)
        return SPT_OK;
    SPT_TRY(spt_cuda_driver_get(&driver));
    const int n_launches = cuda->n_launches != NULL ? cuda->n_launches(prepared, call) : 1;
    for (int i = 0; i < n_launches; i++) {
        spt_cuda_launch record = {0};
        SPT_TRY(cuda->launch(&record, prepared, call, i));
        SPT_TRY(launch(driver, prepared, call, &record));
    }
    return SPT_OK;
}

/* Give the call what it lacks on the device, run it, and bring back what was lent. */
static spt_status run_staged(const spt_prepared *prepared, const spt_call *call, bool is_host) {
    spt_cuda_stage stage;
    spt_status status = spt_cuda_stage_init(&stage, prepared, call, is_host);
    if (status == SPT_OK)
        status = run_on_device(prepared, &stage.call);
    if (status == SPT_OK)
        status = spt_cuda_synchronize(call->stream);
    if (status == SPT_OK)
        status = spt_cuda_stage_return(&stage);
    spt_cuda_stage_fini(&stage);
    return status;
}

/* Item by item, so that no more than one is on the device. */
static spt_status stage_items(const spt_prepared *prepared, const spt_call *call, bool is_host) {
    spt_call one = *call;
    one.batch = 1;
    for (int64_t item = 0; item == 0 || item < call->batch; item++) {
        SPT_TRY(run_staged(prepared, &one, is_host));
        spt_call_advance(&one, 1);
    }
    return SPT_OK;
}

spt_status spt_cuda_run_part(const spt_prepared *prepared, const spt_call *call, int part, int n_parts) {
    const spt_family *family = prepared->family;
    (void)part;
    (void)n_parts;
    SPT_TRY(spt_cuda_enter(&prepared->device));
    const void *output = call->c != NULL ? call->c : call->s;
    const bool is_host = output != NULL && !spt_cuda_knows_pointer(output);
    const bool lacks_workspace =
        call->workspace == NULL && family->workspace != NULL && family->workspace(prepared, call->n) > 0;
    const spt_status status =
        is_host || lacks_workspace ? stage_items(prepared, call, is_host) : run_on_device(prepared, call);
    spt_cuda_leave(&prepared->device);
    return status;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A libcuda.so.1 without a GPU: the functions that this project uses, with kernels run by the emulator in host memory.
 * Work is done when it is enqueued; captures are recorded and done when their graph is launched. A kernel that the
 * emulator stops breaks the context for good, as on a GPU. Times are the emulator's and say nothing about any chip. */
#include <cuda.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/fake/image.h"
#include "tests/simt/object.h"
#include "tests/simt/ptx.h"

#define EXPORT __attribute__((visibility("default")))

enum { GAP_BYTES = 8192, MODULES_MAX = 4096, NODES_MAX = 4096 };

struct CUmod_st {
    simt_object object;   /* of CUDA C */
    ptx_program *program; /* of PTX; NULL: none */
    char *text;           /* of PTX */
    struct CUfunc_st *functions;
};

struct CUfunc_st {
    struct CUfunc_st *next;
    simt_object *object;        /* NULL: */
    const ptx_program *program; /* of PTX */
    char name[128];
    void (*kernel)(void);
    int n_params, bytes[SIMT_PARAMS_MAX];
};

/* One piece of work: a launch, or a fill when function is NULL. */
typedef struct node {
    CUfunction function;
    uint64_t values[SIMT_PARAMS_MAX];
    simt_dim grid, block;
    size_t shared_bytes;
    void *to;
    unsigned char byte;
    size_t bytes;
} node;

struct CUgraph_st {
    node *nodes;
    int n_nodes;
};

struct CUstream_st {
    struct CUgraph_st *capture; /* NULL: not capturing */
};

struct CUevent_st {
    double ms;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char broken[SIMT_ERROR_MAX]; /* "": whole */
static int context_object;

static CUresult state(void) {
    return broken[0] != '\0' ? CUDA_ERROR_ILLEGAL_ADDRESS : CUDA_SUCCESS;
}

/* ---- devices ---- */

EXPORT CUresult cuInit(unsigned int flags) {
    (void)flags;
    return CUDA_SUCCESS;
}

EXPORT CUresult cuDriverGetVersion(int *version) {
    *version = 1;
    return CUDA_SUCCESS;
}

EXPORT CUresult cuGetErrorString(CUresult error, const char **text) {
    *text = error == CUDA_ERROR_ILLEGAL_ADDRESS ? broken
            : error == CUDA_SUCCESS             ? "no error"
            : error == CUDA_ERROR_OUT_OF_MEMORY ? "out of memory"
            : error == CUDA_ERROR_INVALID_IMAGE ? "this code is not the emulator's"
                                                : "refused by the emulator";
    return CUDA_SUCCESS;
}

EXPORT CUresult cuDeviceGet(CUdevice *device, int ordinal) {
    *device = ordinal;
    return ordinal == 0 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
}

EXPORT CUresult cuDeviceGetCount(int *count) {
    *count = 1;
    return CUDA_SUCCESS;
}

EXPORT CUresult cuDeviceGetName(char *name, int length, CUdevice device) {
    (void)device;
    snprintf(name, (size_t)length, "SIMT emulator, no GPU");
    return CUDA_SUCCESS;
}

EXPORT CUresult cuDeviceTotalMem(size_t *bytes, CUdevice device) {
    (void)device;
    *bytes = (size_t)1 << 30;
    return CUDA_SUCCESS;
}

EXPORT CUresult cuDeviceGetAttribute(int *value, CUdevice_attribute attribute, CUdevice device) {
    (void)device;
    switch (attribute) {
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR:
        *value = 9;
        break;
    case CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT:
        *value = 2;
        break;
    case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN:
        *value = 232448;
        break;
    case CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE:
        *value = 1 << 20;
        break;
    default:
        *value = 0;
        break;
    }
    return CUDA_SUCCESS;
}

/* ---- contexts: there is one, and it is always current ---- */

EXPORT CUresult cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice device) {
    (void)device;
    *context = (CUcontext)(void *)&context_object;
    return CUDA_SUCCESS;
}
EXPORT CUresult cuDevicePrimaryCtxRelease(CUdevice device) {
    (void)device;
    return CUDA_SUCCESS;
}
EXPORT CUresult cuCtxPushCurrent(CUcontext context) {
    (void)context;
    return CUDA_SUCCESS;
}
EXPORT CUresult cuCtxPopCurrent(CUcontext *context) {
    *context = (CUcontext)(void *)&context_object;
    return CUDA_SUCCESS;
}
EXPORT CUresult cuCtxGetCurrent(CUcontext *context) {
    *context = (CUcontext)(void *)&context_object;
    return CUDA_SUCCESS;
}
EXPORT CUresult cuCtxSynchronize(void) {
    return state();
}

/* ---- memory: gaps between allocations belong to nobody ---- */

static void *pointer_of(CUdeviceptr address) {
    return (void *)(uintptr_t)address;
}

EXPORT CUresult cuMemAlloc(CUdeviceptr *out, size_t bytes) {
    char *base = NULL;
    if (state() != CUDA_SUCCESS)
        return state();
    if (posix_memalign((void **)&base, 4096, bytes + GAP_BYTES) != 0)
        return CUDA_ERROR_OUT_OF_MEMORY;
    memset(base, 0xcd, bytes + GAP_BYTES);
    pthread_mutex_lock(&lock);
    simt_memory_add(base, bytes);
    pthread_mutex_unlock(&lock);
    *out = (CUdeviceptr)(uintptr_t)base;
    return CUDA_SUCCESS;
}

EXPORT CUresult cuMemFree(CUdeviceptr address) {
    pthread_mutex_lock(&lock);
    simt_memory_remove(pointer_of(address));
    pthread_mutex_unlock(&lock);
    free(pointer_of(address));
    return state();
}

/* Does [address, address + bytes) lie in one allocation? */
static bool is_inside(const void *address, size_t bytes) {
    pthread_mutex_lock(&lock);
    const bool inside = simt_memory_left(address) >= bytes;
    pthread_mutex_unlock(&lock);
    return inside;
}

EXPORT CUresult cuMemcpyHtoD(CUdeviceptr to, const void *from, size_t bytes) {
    if (!is_inside(pointer_of(to), bytes))
        return CUDA_ERROR_INVALID_VALUE;
    if (state() == CUDA_SUCCESS)
        memcpy(pointer_of(to), from, bytes);
    return state();
}

EXPORT CUresult cuMemcpyDtoH(void *to, CUdeviceptr from, size_t bytes) {
    if (!is_inside(pointer_of(from), bytes))
        return CUDA_ERROR_INVALID_VALUE;
    if (state() == CUDA_SUCCESS)
        memcpy(to, pointer_of(from), bytes);
    return state();
}

EXPORT CUresult cuPointerGetAttribute(void *data, CUpointer_attribute attribute, CUdeviceptr address) {
    if (attribute != CU_POINTER_ATTRIBUTE_MEMORY_TYPE || !is_inside(pointer_of(address), 1))
        return CUDA_ERROR_INVALID_VALUE;
    *(unsigned *)data = CU_MEMORYTYPE_DEVICE;
    return CUDA_SUCCESS;
}

/* ---- code ---- */

static CUresult load_ptx(CUmodule *out, const char *text, size_t bytes) {
    char error[SIMT_ERROR_MAX];
    CUmodule module = calloc(1, sizeof *module);
    module->text = strndup(text, bytes);
    module->program = ptx_parse(text, bytes, error);
    if (module->program == NULL) {
        free(module->text);
        free(module);
        return CUDA_ERROR_INVALID_PTX;
    }
    *out = module;
    return CUDA_SUCCESS;
}

/* The widths of `.entry name (.param .u64 a, .param .u32 b)`. False: there is no such entry. */
static bool read_ptx_parameters(CUfunction function, const char *text, const char *name) {
    const size_t length = strlen(name);
    for (const char *at = text; (at = strstr(at, ".entry ")) != NULL;) {
        at += strlen(".entry ");
        if (strncmp(at, name, length) != 0 || (at[length] != ' ' && at[length] != '('))
            continue;
        const char *end = strchr(at, ')');
        while ((at = strstr(at, ".param .")) != NULL && at < end && function->n_params < SIMT_PARAMS_MAX) {
            at += strlen(".param .");
            function->bytes[function->n_params++] = strncmp(at + 1, "64", 2) == 0 ? 8 : 4;
        }
        return true;
    }
    return false;
}

EXPORT CUresult cuModuleLoadData(CUmodule *out, const void *image) {
    const fake_image *head = image;
    char path[64];
    *out = NULL;
    if (state() != CUDA_SUCCESS)
        return state();
    if (memcmp(head->magic, FAKE_IMAGE_MAGIC, sizeof head->magic) != 0)
        return CUDA_ERROR_INVALID_IMAGE;
    const char *code = (const char *)image + sizeof *head;
    if (head->code_bytes == 0)
        return load_ptx(out, code, head->text_bytes);
    snprintf(path, sizeof path, "/tmp/sparsetune-emulated-XXXXXX");
    const int file = mkstemp(path);
    if (file < 0 || write(file, code, head->code_bytes) != (ssize_t)head->code_bytes)
        return CUDA_ERROR_OUT_OF_MEMORY;
    close(file);
    CUmodule module = calloc(1, sizeof *module);
    simt_object_open(&module->object, path, code + head->code_bytes, head->text_bytes);
    unlink(path);
    *out = module;
    return CUDA_SUCCESS;
}

EXPORT CUresult cuModuleUnload(CUmodule module) {
    for (CUfunction function = module->functions, next; function != NULL; function = next) {
        next = function->next;
        free(function);
    }
    if (module->program != NULL)
        ptx_free(module->program);
    else
        simt_object_close(&module->object);
    free(module->text);
    free(module);
    return state();
}

EXPORT CUresult cuModuleGetFunction(CUfunction *out, CUmodule module, const char *name) {
    CUfunction function = calloc(1, sizeof *function);
    *out = NULL;
    function->program = module->program;
    if (module->program != NULL
            ? !read_ptx_parameters(function, module->text, name)
            : !simt_object_kernel(&function->kernel, &function->n_params, function->bytes, &module->object, name)) {
        free(function);
        return CUDA_ERROR_NOT_FOUND;
    }
    snprintf(function->name, sizeof function->name, "%s", name);
    function->object = module->program == NULL ? &module->object : NULL;
    function->next = module->functions;
    module->functions = function;
    *out = function;
    return CUDA_SUCCESS;
}

EXPORT CUresult cuFuncSetAttribute(CUfunction function, CUfunction_attribute attribute, int value) {
    (void)function, (void)attribute;
    return value <= 232448 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

/* ---- work ---- */

static CUresult do_node(const node *work) {
    if (state() != CUDA_SUCCESS)
        return state();
    if (work->function == NULL) {
        memset(work->to, work->byte, work->bytes);
        return CUDA_SUCCESS;
    }
    char error[SIMT_ERROR_MAX];
    if (work->function->program != NULL) {
        pthread_mutex_lock(&lock);
        if (!ptx_run(work->function->program, work->function->name, work->grid, work->block, work->shared_bytes,
                     work->values, error))
            snprintf(broken, sizeof broken, "%s", error);
        pthread_mutex_unlock(&lock);
        return state();
    }
    const simt_launch launch = {.name = work->function->name,
                                .kernel = work->function->kernel,
                                .calls = work->function->object->calls,
                                .values = work->values,
                                .grid = work->grid,
                                .block = work->block,
                                .shared_bytes = work->shared_bytes,
                                .order = SIMT_FORWARD};
    pthread_mutex_lock(&lock);
    if (!simt_run(&launch, error))
        snprintf(broken, sizeof broken, "%s", error);
    pthread_mutex_unlock(&lock);
    return state();
}

static CUresult enqueue(CUstream stream, const node *work) {
    struct CUgraph_st *capture = stream != NULL ? stream->capture : NULL;
    if (capture == NULL)
        return do_node(work);
    if (capture->n_nodes == NODES_MAX)
        return CUDA_ERROR_OUT_OF_MEMORY;
    capture->nodes[capture->n_nodes++] = *work;
    return CUDA_SUCCESS;
}

EXPORT CUresult cuMemsetD8Async(CUdeviceptr to, unsigned char byte, size_t bytes, CUstream stream) {
    if (!is_inside(pointer_of(to), bytes))
        return CUDA_ERROR_INVALID_VALUE;
    return enqueue(stream, &(node){.to = pointer_of(to), .byte = byte, .bytes = bytes});
}

EXPORT CUresult cuLaunchKernel(CUfunction function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,
                               unsigned block_y, unsigned block_z, unsigned shared_bytes, CUstream stream,
                               void **parameters, void **extra) {
    node work = {.function = function,
                 .grid = {grid_x, grid_y, grid_z},
                 .block = {block_x, block_y, block_z},
                 .shared_bytes = shared_bytes};
    if (extra != NULL || grid_x == 0 || grid_y == 0 || grid_z == 0 || grid_y > 65535 || grid_z > 65535 ||
        (size_t)block_x * block_y * block_z > 1024 || block_x == 0 || block_y == 0 || block_z == 0)
        return CUDA_ERROR_INVALID_VALUE;
    for (int i = 0; i < function->n_params; i++) /* narrow ones are ints: the sign must follow */
        work.values[i] = function->bytes[i] == 8 ? *(const uint64_t *)parameters[i]
                                                 : (uint64_t)(int64_t) * (const int32_t *)parameters[i];
    return enqueue(stream, &work);
}

/* ---- streams, graphs, events ---- */

EXPORT CUresult cuStreamCreate(CUstream *out, unsigned flags) {
    (void)flags;
    *out = calloc(1, sizeof **out);
    return state();
}
EXPORT CUresult cuStreamDestroy(CUstream stream) {
    free(stream);
    return CUDA_SUCCESS;
}
EXPORT CUresult cuStreamSynchronize(CUstream stream) {
    (void)stream;
    return state();
}

EXPORT CUresult cuStreamBeginCapture(CUstream stream, CUstreamCaptureMode mode) {
    (void)mode;
    stream->capture = calloc(1, sizeof *stream->capture);
    stream->capture->nodes = calloc(NODES_MAX, sizeof(node));
    return CUDA_SUCCESS;
}
EXPORT CUresult cuStreamEndCapture(CUstream stream, CUgraph *out) {
    *out = stream->capture;
    stream->capture = NULL;
    return CUDA_SUCCESS;
}
EXPORT CUresult cuGraphInstantiateWithFlags(CUgraphExec *out, CUgraph graph, unsigned long long flags) {
    (void)flags;
    struct CUgraph_st *copy = calloc(1, sizeof *copy);
    copy->nodes = calloc(NODES_MAX, sizeof(node));
    memcpy(copy->nodes, graph->nodes, (size_t)graph->n_nodes * sizeof(node));
    copy->n_nodes = graph->n_nodes;
    *out = (CUgraphExec)(void *)copy;
    return CUDA_SUCCESS;
}
EXPORT CUresult cuGraphLaunch(CUgraphExec exec, CUstream stream) {
    const struct CUgraph_st *graph = (const struct CUgraph_st *)(const void *)exec;
    (void)stream;
    for (int i = 0; i < graph->n_nodes && state() == CUDA_SUCCESS; i++)
        do_node(&graph->nodes[i]);
    return state();
}
EXPORT CUresult cuGraphDestroy(CUgraph graph) {
    free(graph->nodes);
    free(graph);
    return CUDA_SUCCESS;
}
EXPORT CUresult cuGraphExecDestroy(CUgraphExec exec) {
    return cuGraphDestroy((CUgraph)(void *)exec);
}

EXPORT CUresult cuEventCreate(CUevent *out, unsigned flags) {
    (void)flags;
    *out = calloc(1, sizeof **out);
    return state();
}
EXPORT CUresult cuEventDestroy(CUevent event) {
    free(event);
    return CUDA_SUCCESS;
}
EXPORT CUresult cuEventRecord(CUevent event, CUstream stream) {
    struct timespec now;
    (void)stream;
    clock_gettime(CLOCK_MONOTONIC, &now);
    event->ms = (double)now.tv_sec * 1e3 + (double)now.tv_nsec * 1e-6;
    return state();
}
EXPORT CUresult cuEventSynchronize(CUevent event) {
    (void)event;
    return state();
}
EXPORT CUresult cuEventElapsedTime(float *ms, CUevent begin, CUevent end) {
    *ms = (float)(end->ms - begin->ms);
    return state();
}

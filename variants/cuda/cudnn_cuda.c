/* SPDX-License-Identifier: Apache-2.0 */
/* Dense 3x3 convolutions through cuDNN, in f32 without TF32. Images keep their leading dimension as the stride from
 * channel to channel. What the planned call needs is described once; a call with other leading dimensions is described
 * for itself, by the same algorithm where the planned workspace is enough, and otherwise by implicit GEMM. */
#include <pthread.h>
#include <stdio.h>

#include "core/conv.h"
#include "core/memory.h"
#include "variants/cuda/cudnn_abi.h"
#include "variants/cuda/device.h"
#include "variants/cuda/vendor.h"

static struct {
    cudnn_version *version;
    cudnn_words *words;
    cudnn_create *create, *tensor_create, *filter_create, *convolution_create;
    cudnn_destroy *destroy, *tensor_destroy, *filter_destroy, *convolution_destroy;
    cudnn_set_stream *set_stream;
    cudnn_set_tensor *set_tensor;
    cudnn_set_filter *set_filter;
    cudnn_set_convolution *set_convolution;
    cudnn_set_math *set_math;
    cudnn_get_workspace *get_workspace;
    cudnn_forward *forward;
} dnn;
static bool is_loaded;
static char version_text[48];
static pthread_once_t dnn_once = PTHREAD_ONCE_INIT;

static void open_library(void) {
    static const char *const names[] = {"libcudnn.so.9", "libcudnn.so.8", "libcudnn.so", NULL};
    const spt_cuda_symbol symbols[] = {
        {"cudnnGetVersion", &dnn.version},
        {"cudnnGetErrorString", &dnn.words},
        {"cudnnCreate", &dnn.create},
        {"cudnnDestroy", &dnn.destroy},
        {"cudnnSetStream", &dnn.set_stream},
        {"cudnnCreateTensorDescriptor", &dnn.tensor_create},
        {"cudnnDestroyTensorDescriptor", &dnn.tensor_destroy},
        {"cudnnSetTensor4dDescriptorEx", &dnn.set_tensor},
        {"cudnnCreateFilterDescriptor", &dnn.filter_create},
        {"cudnnDestroyFilterDescriptor", &dnn.filter_destroy},
        {"cudnnSetFilter4dDescriptor", &dnn.set_filter},
        {"cudnnCreateConvolutionDescriptor", &dnn.convolution_create},
        {"cudnnDestroyConvolutionDescriptor", &dnn.convolution_destroy},
        {"cudnnSetConvolution2dDescriptor", &dnn.set_convolution},
        {"cudnnSetConvolutionMathType", &dnn.set_math},
        {"cudnnGetConvolutionForwardWorkspaceSize", &dnn.get_workspace},
        {"cudnnConvolutionForward", &dnn.forward},
    };
    is_loaded = spt_cuda_load(names, symbols, (int)(sizeof symbols / sizeof symbols[0]));
    if (is_loaded)
        snprintf(version_text, sizeof version_text, "cuDNN %zu", dnn.version());
}

spt_status spt_cudnn_available(const spt_device *device) {
    SPT_TRY(spt_cuda_available(device));
    pthread_once(&dnn_once, open_library);
    return is_loaded ? SPT_OK : spt_fail(SPT_EUNSUPPORTED, "cuDNN was not found");
}

const char *spt_cudnn_version(void) {
    pthread_once(&dnn_once, open_library);
    return version_text;
}

static spt_status check(int status, const char *what) {
    if (status == CUDNN_OK)
        return SPT_OK;
    const bool is_refused =
        status == CUDNN_8_NOT_SUPPORTED || (status >= CUDNN_9_NOT_SUPPORTED && status < CUDNN_9_NOT_SUPPORTED_END);
    return spt_fail(is_refused ? SPT_EUNSUPPORTED : SPT_EIO, "cuDNN: %s: %s", what, dnn.words(status));
}

/* One convolution as cuDNN wants it. */
typedef struct convolution {
    cudnn_object *input, *output;
    int64_t ldb, ldc;
    int algorithm;
    size_t workspace_bytes;
} convolution;

typedef struct dnn_state {
    cudnn_object *handle, *filter, *window;
    convolution planned;
    pthread_mutex_t turn; /* the handle has one stream at a time */
} dnn_state;

static void convolution_fini(convolution *self) {
    if (self->input != NULL)
        dnn.tensor_destroy(self->input);
    if (self->output != NULL)
        dnn.tensor_destroy(self->output);
    *self = (convolution){0};
}

static spt_status describe_tensor(cudnn_object **out, int64_t channels, int64_t height, int64_t width, int64_t ld) {
    if (ld > INT32_MAX / (channels > 0 ? channels : 1))
        return spt_fail(SPT_EUNSUPPORTED, "cuDNN: expected images of at most 2^31 elements");
    SPT_TRY(check(dnn.tensor_create(out), "a tensor"));
    return check(dnn.set_tensor(*out, CUDNN_FLOAT, 1, (int)channels, (int)height, (int)width, (int)(channels * ld),
                                (int)ld, (int)width, 1),
                 "a tensor");
}

/* Fill in what ldb, ldc and algorithm leave open. */
static spt_status convolution_init(convolution *self, const dnn_state *state, const spt_workload *workload) {
    const spt_conv conv = spt_conv_of(&workload->problem, workload->pattern.n_cols);
    SPT_TRY(describe_tensor(&self->input, conv.channels, conv.height, conv.width, self->ldb));
    SPT_TRY(describe_tensor(&self->output, workload->pattern.n_rows, conv.out_height, conv.out_width, self->ldc));
    return check(dnn.get_workspace(state->handle, self->input, state->filter, state->window, self->output,
                                   self->algorithm, &self->workspace_bytes),
                 "this algorithm");
}

spt_status spt_cudnn_open(spt_prepared *prepared, int algorithm) {
    const spt_workload *workload = &prepared->workload;
    const spt_problem *problem = &workload->problem;
    const spt_conv conv = spt_conv_of(problem, workload->pattern.n_cols);
    dnn_state *state;
    SPT_TRY(SPT_NEW_ZEROED(state, 1));
    *spt_cuda_library_state(prepared) = state;
    pthread_mutex_init(&state->turn, NULL);
    state->planned = (convolution){.ldb = problem->height * problem->width, .ldc = problem->n, .algorithm = algorithm};
    SPT_TRY(check(dnn.create(&state->handle), "no handle"));
    SPT_TRY(check(dnn.filter_create(&state->filter), "a filter"));
    SPT_TRY(check(dnn.set_filter(state->filter, CUDNN_FLOAT, CUDNN_NCHW, (int)workload->pattern.n_rows,
                                 (int)conv.channels, SPT_CONV_WINDOW, SPT_CONV_WINDOW),
                  "a filter"));
    SPT_TRY(check(dnn.convolution_create(&state->window), "a window"));
    SPT_TRY(check(
        dnn.set_convolution(state->window, 1, 1, conv.stride, conv.stride, 1, 1, CUDNN_CROSS_CORRELATE, CUDNN_FLOAT),
        "a window"));
    SPT_TRY(check(dnn.set_math(state->window, CUDNN_FMA), "f32 without TF32"));
    SPT_TRY(convolution_init(&state->planned, state, workload));
    if (state->planned.workspace_bytes > SPT_CUDNN_WORKSPACE_MAX)
        return spt_fail(SPT_EUNSUPPORTED,
                        "cuDNN: expected an algorithm with a workspace of at most %zu bytes, found %zu",
                        SPT_CUDNN_WORKSPACE_MAX, state->planned.workspace_bytes);
    return SPT_OK;
}

size_t spt_cudnn_workspace(const spt_prepared *prepared) {
    const dnn_state *state = *spt_cuda_library_state(prepared);
    return state->planned.workspace_bytes;
}

static spt_status convolve(dnn_state *state, const convolution *self, const spt_prepared *prepared,
                           const spt_call *call) {
    const float one = 1.0f, zero = 0.0f;
    pthread_mutex_lock(&state->turn);
    int status = dnn.set_stream(state->handle, call->stream);
    if (status == CUDNN_OK)
        status = dnn.forward(state->handle, &one, self->input, call->b, state->filter, spt_cuda_buffer_at(prepared, 0),
                             state->window, self->algorithm, call->workspace, self->workspace_bytes, &zero,
                             self->output, call->c);
    pthread_mutex_unlock(&state->turn);
    return check(status, "the convolution");
}

static spt_status run_other(dnn_state *state, const spt_prepared *prepared, const spt_call *call, int algorithm) {
    convolution other = {.ldb = call->ldb, .ldc = call->ldc, .algorithm = algorithm};
    spt_status status = convolution_init(&other, state, &prepared->workload);
    if (status == SPT_OK && other.workspace_bytes > state->planned.workspace_bytes)
        status = spt_fail(SPT_EUNSUPPORTED, "cuDNN: expected a workspace of at most %zu bytes, found %zu",
                          state->planned.workspace_bytes, other.workspace_bytes);
    if (status == SPT_OK)
        status = convolve(state, &other, prepared, call);
    convolution_fini(&other);
    return status;
}

spt_status spt_cudnn_run(const spt_prepared *prepared, const spt_call *call) {
    dnn_state *state = *spt_cuda_library_state(prepared);
    const convolution *planned = &state->planned;
    if (planned->ldb == call->ldb && planned->ldc == call->ldc)
        return convolve(state, planned, prepared, call);
    const spt_status status = run_other(state, prepared, call, planned->algorithm);
    return status == SPT_EUNSUPPORTED ? run_other(state, prepared, call, CUDNN_IMPLICIT_GEMM) : status;
}

void spt_cudnn_close(spt_prepared *prepared) {
    dnn_state *state = *spt_cuda_library_state(prepared);
    convolution_fini(&state->planned);
    if (state->window != NULL)
        dnn.convolution_destroy(state->window);
    if (state->filter != NULL)
        dnn.filter_destroy(state->filter);
    if (state->handle != NULL)
        dnn.destroy(state->handle);
    pthread_mutex_destroy(&state->turn);
    spt_free(state);
    *spt_cuda_library_state(prepared) = NULL;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A libcudnn.so without NVIDIA: convolutions by their definition, in host memory, from what descriptors say. Algorithms
 * but the first one want a workspace and touch it; winograd takes stride 1 only and fft none, so that refusals are met,
 * and images with gaps between channels are for the first algorithm alone. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

enum { OK = 0, BAD_PARAM = 2000, NOT_SUPPORTED = 3000, N_NUMBERS = 9, WORKSPACE = 4096, FFT = 4, WINOGRAD = 6 };

typedef struct fake_object {
    int numbers[N_NUMBERS]; /* in the order of the setter's parameters */
    int math;
} fake_object;

EXPORT size_t cudnnGetVersion(void);
EXPORT const char *cudnnGetErrorString(int status);
EXPORT int cudnnSetStream(fake_object *handle, void *stream);
EXPORT int cudnnSetTensor4dDescriptorEx(fake_object *tensor, int type, int n, int c, int h, int w, int n_stride,
                                        int c_stride, int h_stride, int w_stride);
EXPORT int cudnnSetFilter4dDescriptor(fake_object *filter, int type, int format, int k, int c, int h, int w);
EXPORT int cudnnSetConvolution2dDescriptor(fake_object *convolution, int pad_h, int pad_w, int stride_h, int stride_w,
                                           int dilation_h, int dilation_w, int mode, int compute_type);
EXPORT int cudnnSetConvolutionMathType(fake_object *convolution, int math);
EXPORT int cudnnGetConvolutionForwardWorkspaceSize(fake_object *handle, const fake_object *x, const fake_object *w,
                                                   const fake_object *convolution, const fake_object *y, int algorithm,
                                                   size_t *bytes);
EXPORT int cudnnConvolutionForward(fake_object *handle, const void *alpha, const fake_object *x, const void *x_data,
                                   const fake_object *w, const void *w_data, const fake_object *convolution,
                                   int algorithm, void *workspace, size_t workspace_bytes, const void *beta,
                                   const fake_object *y, void *y_data);

#define OBJECT(create, destroy)                                                                                        \
    EXPORT int create(fake_object **out);                                                                              \
    EXPORT int destroy(fake_object *object);                                                                           \
    int create(fake_object **out) {                                                                                    \
        *out = calloc(1, sizeof **out);                                                                                \
        return *out != NULL ? OK : BAD_PARAM;                                                                          \
    }                                                                                                                  \
    int destroy(fake_object *object) {                                                                                 \
        free(object);                                                                                                  \
        return OK;                                                                                                     \
    }
OBJECT(cudnnCreate, cudnnDestroy)
OBJECT(cudnnCreateTensorDescriptor, cudnnDestroyTensorDescriptor)
OBJECT(cudnnCreateFilterDescriptor, cudnnDestroyFilterDescriptor)
OBJECT(cudnnCreateConvolutionDescriptor, cudnnDestroyConvolutionDescriptor)

size_t cudnnGetVersion(void) {
    return 1;
}

const char *cudnnGetErrorString(int status) {
    return status == NOT_SUPPORTED ? "not supported by the stand-in" : "a bad parameter";
}

int cudnnSetStream(fake_object *handle, void *stream) {
    (void)stream;
    return handle != NULL ? OK : BAD_PARAM;
}

static int set(fake_object *object, const int *numbers, size_t bytes) {
    if (object == NULL)
        return BAD_PARAM;
    memcpy(object->numbers, numbers, bytes);
    return OK;
}

int cudnnSetTensor4dDescriptorEx(fake_object *tensor, int type, int n, int c, int h, int w, int n_stride, int c_stride,
                                 int h_stride, int w_stride) {
    const int numbers[] = {type, n, c, h, w, n_stride, c_stride, h_stride, w_stride};
    return type == 0 && n == 1 && w_stride == 1 ? set(tensor, numbers, sizeof numbers) : BAD_PARAM;
}

int cudnnSetFilter4dDescriptor(fake_object *filter, int type, int format, int k, int c, int h, int w) {
    const int numbers[] = {type, format, k, c, h, w};
    return type == 0 && format == 0 ? set(filter, numbers, sizeof numbers) : BAD_PARAM;
}

int cudnnSetConvolution2dDescriptor(fake_object *convolution, int pad_h, int pad_w, int stride_h, int stride_w,
                                    int dilation_h, int dilation_w, int mode, int compute_type) {
    const int numbers[] = {pad_h, pad_w, stride_h, stride_w, dilation_h, dilation_w, mode, compute_type};
    return dilation_h == 1 && dilation_w == 1 && mode == 1 ? set(convolution, numbers, sizeof numbers) : BAD_PARAM;
}

int cudnnSetConvolutionMathType(fake_object *convolution, int math) {
    convolution->math = math;
    return math == 3 ? OK : BAD_PARAM;
}

/* Do the shapes belong together? */
static int check(const fake_object *x, const fake_object *w, const fake_object *convolution, const fake_object *y,
                 int algorithm) {
    const int *in = x->numbers, *out = y->numbers, *filter = w->numbers, *window = convolution->numbers;
    if (convolution->math != 3 || in[2] != filter[3] || out[2] != filter[2] ||
        out[3] != (in[3] + 2 * window[0] - filter[4]) / window[2] + 1 ||
        out[4] != (in[4] + 2 * window[1] - filter[5]) / window[3] + 1)
        return BAD_PARAM;
    const int has_gaps = in[6] != in[3] * in[4] || out[6] != out[3] * out[4];
    if (algorithm == FFT || (algorithm == WINOGRAD && window[2] != 1) || (algorithm != 0 && has_gaps))
        return NOT_SUPPORTED;
    return OK;
}

int cudnnGetConvolutionForwardWorkspaceSize(fake_object *handle, const fake_object *x, const fake_object *w,
                                            const fake_object *convolution, const fake_object *y, int algorithm,
                                            size_t *bytes) {
    *bytes = algorithm == 0 ? 0 : WORKSPACE;
    return handle != NULL ? check(x, w, convolution, y, algorithm) : BAD_PARAM;
}

static float pixel(const float *x, const int *in, const int *filter, const int *window, const float *w, int oy,
                   int ox) {
    double sum = 0.0;
    for (int c = 0; c < filter[3]; c++) {
        for (int tap = 0; tap < filter[4] * filter[5]; tap++) {
            const int iy = oy * window[2] + tap / filter[5] - window[0];
            const int ix = ox * window[3] + tap % filter[5] - window[1];
            if (iy >= 0 && iy < in[3] && ix >= 0 && ix < in[4])
                sum += (double)w[c * filter[4] * filter[5] + tap] *
                       (double)x[(int64_t)c * in[6] + (int64_t)iy * in[7] + ix];
        }
    }
    return (float)sum;
}

int cudnnConvolutionForward(fake_object *handle, const void *alpha, const fake_object *x, const void *x_data,
                            const fake_object *w, const void *w_data, const fake_object *convolution, int algorithm,
                            void *workspace, size_t workspace_bytes, const void *beta, const fake_object *y,
                            void *y_data) {
    const int *out = y->numbers, *filter = w->numbers;
    const int status = check(x, w, convolution, y, algorithm);
    if (status != OK)
        return status;
    if (handle == NULL || *(const float *)alpha != 1.0f || *(const float *)beta != 0.0f ||
        (algorithm != 0 && (workspace == NULL || workspace_bytes < WORKSPACE)))
        return BAD_PARAM;
    if (algorithm != 0)
        memset(workspace, 0x5a, WORKSPACE);
    for (int k = 0; k < out[2]; k++) {
        const float *weights = (const float *)w_data + (int64_t)k * filter[3] * filter[4] * filter[5];
        float *image = (float *)y_data + (int64_t)k * out[6];
        for (int at = 0; at < out[3] * out[4]; at++)
            image[(int64_t)(at / out[4]) * out[7] + at % out[4]] =
                pixel(x_data, x->numbers, filter, convolution->numbers, weights, at / out[4], at % out[4]);
    }
    return OK;
}

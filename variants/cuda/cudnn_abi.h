/* SPDX-License-Identifier: Apache-2.0 */
/* The part of cuDNN's binary interface that is used, because its headers are no part of the CUDA toolkit. Descriptors
 * are opaque pointers, enumerations are ints. The functions and numbers are those of versions 8 and 9. */
#ifndef SPT_VARIANTS_CUDA_CUDNN_ABI_H
#define SPT_VARIANTS_CUDA_CUDNN_ABI_H

#include <stddef.h>

enum { CUDNN_OK = 0, CUDNN_8_NOT_SUPPORTED = 9, CUDNN_9_NOT_SUPPORTED = 3000, CUDNN_9_NOT_SUPPORTED_END = 4000 };
enum { CUDNN_FLOAT = 0, CUDNN_NCHW = 0 };
enum { CUDNN_CROSS_CORRELATE = 1 };
enum { CUDNN_FMA = 3 /* multiply-adds of the type itself: no TF32 */ };
enum { CUDNN_IMPLICIT_GEMM = 0 };

typedef struct cudnn_object cudnn_object; /* a handle or a descriptor of any kind */

typedef size_t cudnn_version(void);
typedef const char *cudnn_words(int status);
typedef int cudnn_create(cudnn_object **out);
typedef int cudnn_destroy(cudnn_object *object);
typedef int cudnn_set_stream(cudnn_object *handle, void *stream);
typedef int cudnn_set_tensor(cudnn_object *tensor, int type, int n, int c, int h, int w, int n_stride, int c_stride,
                             int h_stride, int w_stride);
typedef int cudnn_set_filter(cudnn_object *filter, int type, int format, int k, int c, int h, int w);
typedef int cudnn_set_convolution(cudnn_object *convolution, int pad_h, int pad_w, int stride_h, int stride_w,
                                  int dilation_h, int dilation_w, int mode, int compute_type);
typedef int cudnn_set_math(cudnn_object *convolution, int math);
typedef int cudnn_get_workspace(cudnn_object *handle, const cudnn_object *x, const cudnn_object *w,
                                const cudnn_object *convolution, const cudnn_object *y, int algorithm, size_t *bytes);
typedef int cudnn_forward(cudnn_object *handle, const void *alpha, const cudnn_object *x, const void *x_data,
                          const cudnn_object *w, const void *w_data, const cudnn_object *convolution, int algorithm,
                          void *workspace, size_t workspace_bytes, const void *beta, const cudnn_object *y,
                          void *y_data);

#endif

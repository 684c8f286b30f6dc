/* SPDX-License-Identifier: Apache-2.0 */
/* The CUDA driver, opened at run time: a table of its functions. Absence is an ordinary answer. Only files whose name
 * ends in _cuda.c include this: it needs the toolkit's headers. */
#ifndef SPT_CORE_CUDA_DRIVER_H
#define SPT_CORE_CUDA_DRIVER_H

#include <cuda.h>

#include "core/error.h"

#define SPT_CUDA_DRIVER_FUNCTIONS(X)                                                                                   \
    X(cuInit)                                                                                                          \
    X(cuDriverGetVersion)                                                                                              \
    X(cuGetErrorString)                                                                                                \
    X(cuDeviceGet)                                                                                                     \
    X(cuDeviceGetCount)                                                                                                \
    X(cuDeviceGetName)                                                                                                 \
    X(cuDeviceGetAttribute)                                                                                            \
    X(cuDeviceTotalMem)                                                                                                \
    X(cuDevicePrimaryCtxRetain)                                                                                        \
    X(cuDevicePrimaryCtxRelease)                                                                                       \
    X(cuCtxPushCurrent)                                                                                                \
    X(cuCtxPopCurrent)                                                                                                 \
    X(cuCtxGetCurrent)                                                                                                 \
    X(cuCtxSynchronize)                                                                                                \
    X(cuMemAlloc)                                                                                                      \
    X(cuMemFree)                                                                                                       \
    X(cuMemcpyHtoD)                                                                                                    \
    X(cuMemcpyDtoH)                                                                                                    \
    X(cuMemsetD8Async)                                                                                                 \
    X(cuPointerGetAttribute)                                                                                           \
    X(cuModuleLoadData)                                                                                                \
    X(cuModuleUnload)                                                                                                  \
    X(cuModuleGetFunction)                                                                                             \
    X(cuFuncSetAttribute)                                                                                              \
    X(cuLaunchKernel)                                                                                                  \
    X(cuStreamCreate)                                                                                                  \
    X(cuStreamDestroy)                                                                                                 \
    X(cuStreamSynchronize)                                                                                             \
    X(cuStreamBeginCapture)                                                                                            \
    X(cuStreamEndCapture)                                                                                              \
    X(cuGraphInstantiateWithFlags)                                                                                     \
    X(cuGraphLaunch)                                                                                                   \
    X(cuGraphExecDestroy)                                                                                              \
    X(cuGraphDestroy)                                                                                                  \
    X(cuEventCreate)                                                                                                   \
    X(cuEventDestroy)                                                                                                  \
    X(cuEventRecord)                                                                                                   \
    X(cuEventSynchronize)                                                                                              \
    X(cuEventElapsedTime)

typedef struct spt_cuda_driver {
#define SPT_CUDA_FIELD(name) __typeof__(name) *name; /* cuda.h renames some: both name and field follow it */
    SPT_CUDA_DRIVER_FUNCTIONS(SPT_CUDA_FIELD)
#undef SPT_CUDA_FIELD
} spt_cuda_driver;

/* Open the driver and initialise it, once. Errors: EUNSUPPORTED (no driver, no device, a driver that is too old), with
 * the same sentence every time. Threads: safe. */
spt_status spt_cuda_driver_get(const spt_cuda_driver **out);

/* SPT_OK, or the driver's words for a result: EUNSUPPORTED for no device, ENOMEM for memory, EIO for the rest. */
spt_status spt_cuda_check(const spt_cuda_driver *driver, CUresult result, const char *what);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Stands in for the files that call NVIDIA's libraries in a build without the CUDA toolkit's headers. */
#include "variants/cuda/vendor.h"

#define ABSENT(stem)                                                                                                   \
    spt_status spt_##stem##_available(const spt_device *device) {                                                      \
        return spt_cuda_available(device);                                                                             \
    }                                                                                                                  \
    const char *spt_##stem##_version(void) {                                                                           \
        return "";                                                                                                     \
    }                                                                                                                  \
    spt_status spt_##stem##_run(const spt_prepared *prepared, const spt_call *call) {                                  \
        (void)call;                                                                                                    \
        return spt_cuda_available(&prepared->device);                                                                  \
    }                                                                                                                  \
    void spt_##stem##_close(spt_prepared *prepared) {                                                                  \
        (void)prepared;                                                                                                \
    }
ABSENT(cublaslt)
ABSENT(cusparse)
ABSENT(cusparselt)
ABSENT(cudnn)

spt_status spt_cudnn_open(spt_prepared *prepared, int algorithm) {
    (void)algorithm;
    return spt_cuda_available(&prepared->device);
}

size_t spt_cudnn_workspace(const spt_prepared *prepared) {
    (void)prepared;
    return 0;
}

spt_status spt_cublaslt_open(spt_prepared *prepared, int rank, bool uses_tf32) {
    (void)rank, (void)uses_tf32;
    return spt_cuda_available(&prepared->device);
}

spt_status spt_cusparse_open(spt_prepared *prepared, spt_cusparse_algorithm algorithm, bool preprocess) {
    (void)algorithm, (void)preprocess;
    return spt_cuda_available(&prepared->device);
}

spt_status spt_cusparselt_open(spt_prepared *prepared, int algorithm, int split, bool two_kernels) {
    (void)algorithm, (void)split, (void)two_kernels;
    return spt_cuda_available(&prepared->device);
}

spt_status spt_cublaslt_once(const spt_prepared *prepared, const spt_call *call) {
    (void)call;
    return spt_cuda_available(&prepared->device);
}

spt_status spt_cusparselt_refresh(spt_prepared *prepared) {
    return spt_cuda_available(&prepared->device);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Stands in for launch_cuda.c in a build without the CUDA toolkit's headers: there is no device. */
#include "variants/cuda/kernel.h"

spt_status spt_cuda_available(const spt_device *device) {
    (void)device;
    return spt_fail(SPT_EUNSUPPORTED,
                    "this build has no CUDA support, because the CUDA toolkit's headers were not found "
                    "when it was made");
}

spt_status spt_cuda_prepare(spt_prepared *prepared, const spt_csr *a) {
    (void)a;
    return spt_cuda_available(&prepared->device);
}

spt_status spt_cuda_complete(spt_prepared *prepared) {
    return spt_cuda_available(&prepared->device);
}

spt_status spt_cuda_set_values(spt_prepared *prepared, const void *values) {
    (void)values;
    return spt_cuda_available(&prepared->device);
}

spt_status spt_cuda_run_part(const spt_prepared *prepared, const spt_call *call, int part, int n_parts) {
    (void)call;
    (void)part;
    (void)n_parts;
    return spt_cuda_available(&prepared->device);
}

void spt_cuda_release(spt_prepared *prepared) {
    prepared->state = NULL;
}

void *spt_cuda_buffer_at(const spt_prepared *prepared, int buffer) {
    (void)prepared, (void)buffer;
    return NULL;
}

void **spt_cuda_library_state(const spt_prepared *prepared) {
    (void)prepared;
    return NULL;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Stands in for device_cuda.c and clock_cuda.c in a build without the CUDA toolkit's headers: nobody gets a device, so
 * nobody comes past the first function. */
#include "variants/cuda/device.h"

static spt_status absent(void) {
    return spt_fail(SPT_EUNSUPPORTED, "this build has no CUDA support");
}

spt_status spt_cuda_enter(const spt_device *device) {
    (void)device;
    return absent();
}

void spt_cuda_leave(const spt_device *device) {
    (void)device;
}

spt_status spt_cuda_alloc(void **out, size_t bytes) {
    (void)bytes;
    *out = NULL;
    return absent();
}

void spt_cuda_free(void *pointer) {
    (void)pointer;
}

spt_status spt_cuda_upload(void *to, const void *from, size_t bytes) {
    (void)to, (void)from, (void)bytes;
    return absent();
}

spt_status spt_cuda_download(void *to, const void *from, size_t bytes) {
    (void)to, (void)from, (void)bytes;
    return absent();
}

spt_status spt_cuda_fill(void *to, int byte, size_t bytes, void *stream) {
    (void)to, (void)byte, (void)bytes, (void)stream;
    return absent();
}

spt_status spt_cuda_synchronize(void *stream) {
    (void)stream;
    return absent();
}

bool spt_cuda_knows_pointer(const void *pointer) {
    (void)pointer;
    return false;
}

spt_status spt_cuda_clock_new(spt_cuda_clock **out, const spt_device *device, size_t cold_bytes) {
    (void)device, (void)cold_bytes;
    *out = NULL;
    return absent();
}

void spt_cuda_clock_free(spt_cuda_clock *clock) {
    (void)clock;
}

spt_status spt_cuda_clock_time(double *ns, spt_cuda_clock *clock, spt_cuda_work *work, void *context, long calls) {
    (void)ns, (void)clock, (void)work, (void)context, (void)calls;
    return absent();
}

bool spt_cuda_clock_replays(const spt_cuda_clock *clock) {
    (void)clock;
    return false;
}

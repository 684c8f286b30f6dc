/* SPDX-License-Identifier: Apache-2.0 */
/* Contexts and memory through the driver. The primary context is the one that CUDA's runtime library uses, so pointers
 * of an application built on it are valid here. */
#include "variants/cuda/device.h"

#include <pthread.h>
#include <stdint.h>

#include "core/cuda_driver.h"

enum { DEVICES_MAX = 64 };

static CUcontext contexts[DEVICES_MAX]; /* retained; NULL: not yet */
static pthread_mutex_t contexts_lock = PTHREAD_MUTEX_INITIALIZER;

static CUdeviceptr address(const void *pointer) {
    return (CUdeviceptr)(uintptr_t)pointer;
}

static spt_status retain(CUcontext *out, const spt_cuda_driver *driver, const spt_device *device) {
    CUdevice handle;
    spt_status status = SPT_OK;
    if (device->ordinal < 0 || device->ordinal >= DEVICES_MAX)
        return spt_fail(SPT_EUNSUPPORTED, "expected CUDA devices 0 to %d, found %d", DEVICES_MAX - 1, device->ordinal);
    pthread_mutex_lock(&contexts_lock);
    CUcontext *context = &contexts[device->ordinal];
    if (*context == NULL) {
        status = spt_cuda_check(driver, driver->cuDeviceGet(&handle, device->ordinal), "the device");
        if (status == SPT_OK)
            status = spt_cuda_check(driver, driver->cuDevicePrimaryCtxRetain(context, handle), "the device's context");
        if (status != SPT_OK)
            *context = NULL;
    }
    *out = *context;
    pthread_mutex_unlock(&contexts_lock);
    return status;
}

spt_status spt_cuda_enter(const spt_device *device) {
    const spt_cuda_driver *driver;
    CUcontext context = NULL;
    SPT_TRY(spt_cuda_driver_get(&driver));
    SPT_TRY(retain(&context, driver, device));
    return spt_cuda_check(driver, driver->cuCtxPushCurrent(context), "the device's context");
}

void spt_cuda_leave(const spt_device *device) {
    const spt_cuda_driver *driver;
    CUcontext context;
    (void)device;
    if (spt_cuda_driver_get(&driver) == SPT_OK)
        driver->cuCtxPopCurrent(&context);
}

spt_status spt_cuda_alloc(void **out, size_t bytes) {
    const spt_cuda_driver *driver;
    CUdeviceptr pointer = 0;
    *out = NULL;
    SPT_TRY(spt_cuda_driver_get(&driver));
    SPT_TRY(spt_cuda_check(driver, driver->cuMemAlloc(&pointer, bytes > 0 ? bytes : 1), "device memory"));
    *out = (void *)(uintptr_t)pointer;
    return SPT_OK;
}

void spt_cuda_free(void *pointer) {
    const spt_cuda_driver *driver;
    if (pointer != NULL && spt_cuda_driver_get(&driver) == SPT_OK)
        driver->cuMemFree(address(pointer));
}

spt_status spt_cuda_upload(void *to, const void *from, size_t bytes) {
    const spt_cuda_driver *driver;
    SPT_TRY(spt_cuda_driver_get(&driver));
    if (bytes == 0)
        return SPT_OK;
    SPT_TRY(spt_cuda_check(driver, driver->cuMemcpyHtoD(address(to), from, bytes), "a copy to the device"));
    /* from pageable memory the last transfer may still be under way, in order with the default stream alone */
    return spt_cuda_check(driver, driver->cuStreamSynchronize(NULL), "a copy to the device");
}

spt_status spt_cuda_download(void *to, const void *from, size_t bytes) {
    const spt_cuda_driver *driver;
    SPT_TRY(spt_cuda_driver_get(&driver));
    if (bytes == 0)
        return SPT_OK;
    return spt_cuda_check(driver, driver->cuMemcpyDtoH(to, address(from), bytes), "a copy from the device");
}

spt_status spt_cuda_fill(void *to, int byte, size_t bytes, void *stream) {
    const spt_cuda_driver *driver;
    SPT_TRY(spt_cuda_driver_get(&driver));
    if (bytes == 0)
        return SPT_OK;
    return spt_cuda_check(driver, driver->cuMemsetD8Async(address(to), (unsigned char)byte, bytes, stream),
                          "filling device memory");
}

spt_status spt_cuda_synchronize(void *stream) {
    const spt_cuda_driver *driver;
    SPT_TRY(spt_cuda_driver_get(&driver));
    return spt_cuda_check(driver, driver->cuStreamSynchronize(stream), "the work on a stream");
}

bool spt_cuda_knows_pointer(const void *pointer) {
    const spt_cuda_driver *driver;
    unsigned type = 0;
    return spt_cuda_driver_get(&driver) == SPT_OK &&
           driver->cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, address(pointer)) == CUDA_SUCCESS &&
           type != 0;
}

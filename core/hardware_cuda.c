/* SPDX-License-Identifier: Apache-2.0 */
/* A CUDA device as the driver describes it. Key: cuda|name|compute capability|SM count|memory GiB; the driver's version
 * is a soft field. */
#include <inttypes.h>
#include <stdio.h>

#include "core/cuda_driver.h"
#include "core/hardware_arch.h"

typedef struct attribute_row {
    CUdevice_attribute attribute;
    int *out;
} attribute_row;

static spt_status read_attributes(const spt_cuda_driver *driver, CUdevice device, const attribute_row *rows,
                                  int n_rows) {
    for (int i = 0; i < n_rows; i++)
        SPT_TRY(spt_cuda_check(driver, driver->cuDeviceGetAttribute(rows[i].out, rows[i].attribute, device),
                               "a device attribute"));
    return SPT_OK;
}

spt_status spt_device_detect_cuda(spt_device *out, int ordinal) {
    const spt_cuda_driver *driver;
    CUdevice device;
    int count = 0, major = 0, minor = 0, clock_khz = 0, memory_khz = 0, bus_bits = 0, l2_bytes = 0;
    size_t memory = 0;
    *out = (spt_device){.kind = SPT_CUDA, .vendor = "NVIDIA", .ordinal = ordinal};
    SPT_TRY(spt_cuda_driver_get(&driver));
    SPT_TRY(spt_cuda_check(driver, driver->cuDeviceGetCount(&count), "the number of devices"));
    if (ordinal >= count)
        return spt_fail(SPT_EUNSUPPORTED, "no CUDA device %d: this machine has %d", ordinal, count);
    SPT_TRY(spt_cuda_check(driver, driver->cuDeviceGet(&device, ordinal), "the device"));
    SPT_TRY(spt_cuda_check(driver, driver->cuDeviceGetName(out->name, (int)sizeof out->name, device), "its name"));
    SPT_TRY(spt_cuda_check(driver, driver->cuDeviceTotalMem(&memory, device), "its memory"));
    SPT_TRY(spt_cuda_check(driver, driver->cuDriverGetVersion(&out->driver_version), "the driver's version"));
    const attribute_row rows[] = {
        {CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, &major},
        {CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, &minor},
        {CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, &out->n_sms},
        {CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN, &out->shared_bytes_max},
        {CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE, &l2_bytes},
        {CU_DEVICE_ATTRIBUTE_CLOCK_RATE, &clock_khz},
        {CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE, &memory_khz},
        {CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH, &bus_bits},
    };
    SPT_TRY(read_attributes(driver, device, rows, (int)(sizeof rows / sizeof rows[0])));
    out->compute_capability = 10 * major + minor;
    out->family = major;
    out->model = minor;
    out->n_cores = out->n_sms;
    snprintf(out->os, sizeof out->os, "driver %d.%d", out->driver_version / 1000, out->driver_version % 1000 / 10);
    out->l2_bytes = l2_bytes;
    out->memory_bytes = (int64_t)memory;
    const spt_cuda_arch *arch = spt_cuda_arch_find(out->compute_capability);
    const double memory_gbs = 2.0 * memory_khz * 1e3 * bus_bits / 8.0 * 1e-9; /* double data rate */
    spt_device_set_speed(out, clock_khz > 0 ? clock_khz * 1e-3 : arch->mhz,
                         memory_gbs > 1.0 ? memory_gbs : arch->memory_gbs);
    for (char *c = out->name; *c != '\0'; c++) {
        if (*c == '|')
            *c = '_'; /* the key's separator */
    }
    snprintf(out->isa_set, sizeof out->isa_set, "sm_%d", out->compute_capability);
    snprintf(out->key, sizeof out->key, "cuda|%.90s|%d.%d|%d|%" PRId64, out->name, major, minor, out->n_sms,
             (out->memory_bytes + (1 << 29)) >> 30);
    return SPT_OK;
}

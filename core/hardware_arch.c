/* SPDX-License-Identifier: Apache-2.0 */
/* What is known of CUDA architectures without a chip: limits from the CUDA C++ Programming Guide's table of compute
 * capabilities, and a typical chip's size and speed for bounds. A chip that is here overrides all but the limits. */
#include "core/hardware_arch.h"

#include <stdio.h>
#include <string.h>

#include "core/text.h"

static const spt_cuda_arch archs[] = {
    /* name, capability, shared KiB of a block, f32 lanes and f16 tensor flops of an SM and clock; then a typical chip:
     * SMs, MHz, memory GB/s, L2 MiB */
    {"sm_75", 75, 64, 64, 1024, 40, 1590, 320, 4},                                                           /* T4 */
    {"sm_80", 80, 163, 64, 2048, 108, 1410, 1555, 40},                                                       /* A100 */
    {"sm_86", 86, 99, 128, 1024, 84, 1740, 768, 6},                                                          /* A40 */
    {"sm_87", 87, 163, 128, 1024, 16, 1300, 205, 4},                                                         /* Orin */
    {"sm_88", 88, 99, 128, 1024, 84, 1740, 768, 6},        {"sm_89", 89, 99, 128, 1024, 142, 2520, 864, 96}, /* L40 */
    {"sm_90", 90, 227, 128, 4096, 132, 1830, 3350, 50},                                                      /* H100 */
    {"sm_100", 100, 227, 128, 8192, 148, 1850, 8000, 126},                                                   /* B200 */
    {"sm_103", 103, 227, 128, 8192, 148, 1850, 8000, 126},                                                   /* B300 */
    {"sm_110", 110, 227, 128, 8192, 20, 1570, 273, 32},                                                      /* Thor */
    {"sm_120", 120, 99, 128, 1024, 170, 2400, 1792, 96}, /* RTX 5090 */
    {"sm_121", 121, 99, 128, 1024, 48, 2400, 273, 24},   /* GB10 */
};
enum { N_ARCHS = sizeof archs / sizeof archs[0] };

const spt_cuda_arch *spt_cuda_arch_find(int compute_capability) {
    const spt_cuda_arch *below = &archs[0];
    for (int i = 0; i < N_ARCHS; i++) {
        if (archs[i].compute_capability <= compute_capability)
            below = &archs[i];
    }
    return below;
}

const char *spt_device_arch(int index) {
    return index >= 0 && index < N_ARCHS ? archs[index].name : NULL;
}

#define L2_BYTES_PER_CLOCK 32.0 /* of an SM, when all SMs read */

void spt_device_set_speed(spt_device *device, double mhz, double memory_gbs) {
    const spt_cuda_arch *arch = spt_cuda_arch_find(device->compute_capability);
    const double sm_ghz = (double)device->n_sms * mhz * 1e-3;
    device->fma_gflops = 2.0 * arch->f32_lanes * sm_ghz;
    device->tensor_gflops = arch->tensor_flops * sm_ghz;
    device->l2_gbs = L2_BYTES_PER_CLOCK * sm_ghz;
    device->dram_gbs = memory_gbs;
}

void spt_device_complete(spt_device *device) {
    if (device->kind != SPT_CUDA || device->compute_capability > 0)
        return;
    const spt_cuda_arch *arch = spt_cuda_arch_find(10 * device->family + device->model);
    device->compute_capability = 10 * device->family + device->model;
    device->n_sms = device->n_cores > 0 ? device->n_cores : arch->n_sms;
    device->shared_bytes_max = arch->shared_kib * 1024;
    spt_device_set_speed(device, arch->mhz, arch->memory_gbs);
}

spt_status spt_device_pretend(spt_device *out, const char *name) {
    char known[160];
    spt_text list;
    spt_text_init(&list, known, sizeof known);
    for (int i = 0; i < N_ARCHS; i++) {
        const spt_cuda_arch *arch = &archs[i];
        spt_text_add(&list, "%s%s", i > 0 ? ", " : "", arch->name);
        if (strcmp(arch->name, name) != 0)
            continue;
        *out = (spt_device){.kind = SPT_CUDA,
                            .vendor = "NVIDIA",
                            .compute_capability = arch->compute_capability,
                            .n_sms = arch->n_sms,
                            .shared_bytes_max = arch->shared_kib * 1024,
                            .l2_bytes = (int64_t)arch->l2_mib << 20};
        spt_copy_text(out->name, sizeof out->name, name);
        spt_copy_text(out->isa_set, sizeof out->isa_set, name);
        snprintf(out->key, sizeof out->key, "cuda|%s|%d.%d|0|0", name, arch->compute_capability / 10,
                 arch->compute_capability % 10);
        spt_device_set_speed(out, arch->mhz, arch->memory_gbs);
        return SPT_OK;
    }
    return spt_fail(SPT_EINVAL, "expected an architecture of %s, found '%.40s'", known, name);
}

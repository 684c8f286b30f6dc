/* SPDX-License-Identifier: Apache-2.0 */
/* The table of CUDA architectures, and what a chip's fields follow from it. */
#ifndef SPT_CORE_HARDWARE_ARCH_H
#define SPT_CORE_HARDWARE_ARCH_H

#include "core/hardware.h"

typedef struct spt_cuda_arch {
    const char *name; /* sm_90 */
    int compute_capability;
    int shared_kib;                     /* dynamic shared memory that a block may ask for */
    int f32_lanes, tensor_flops;        /* of an SM and clock; tensor: f16 with f32 sums */
    int n_sms, mhz, memory_gbs, l2_mib; /* of a typical chip */
} spt_cuda_arch;

/* The architecture of a capability, or the nearest one below it. */
const spt_cuda_arch *spt_cuda_arch_find(int compute_capability);

/* Set the nominal ceilings from compute_capability, n_sms and the clocks. */
void spt_device_set_speed(spt_device *device, double mhz, double memory_gbs);

/* Detect CUDA device `ordinal`. Errors: EUNSUPPORTED with one sentence. Threads: safe. Opens the driver. */
spt_status spt_device_detect_cuda(spt_device *out, int ordinal);

#endif

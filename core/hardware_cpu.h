/* SPDX-License-Identifier: Apache-2.0 */
/* What core/hardware.c needs from an architecture: one file hardware_<arch>.c each. */
#ifndef SPT_CORE_HARDWARE_CPU_H
#define SPT_CORE_HARDWARE_CPU_H

#include <stdbool.h>
#include <stdint.h>

#include "core/hardware.h"

/* A usable instruction-set extension that matters to kernels. */
typedef struct spt_isa_feature {
    const char *name;
    spt_isa level; /* the lowest kernel build that may use it */
} spt_isa_feature;

#define SPT_ISA_FEATURES_MAX 32

/* The table of this architecture, in the fixed order of isa_set, ended by a NULL name. */
extern const spt_isa_feature spt_isa_features[];

/* Bit i: the CPU and the operating system both support feature i of the table. */
uint32_t spt_isa_features_usable(void);

/* The best kernel build that this set of features allows. */
spt_isa spt_isa_best(uint32_t features);

/* Does the operating system let this process use matrix tiles? */
bool spt_cpu_may_use_tiles(void);

/* Fill vendor, family, model, stepping, name and the cache sizes; fields that are unknown stay as they are. */
void spt_cpu_identify(spt_device *device);

/* --- hardware_linux.c; root: "", or a folder that stands for the file system's root --- */

/* Fill the cache sizes that are still 0. */
void spt_caches_from_sysfs(spt_device *device, const char *root);

/* Threads that the quotas of the process's cgroup and all above it allow (v2 cpu.max, v1 cfs quota), rounded up;
 * INT_MAX without one. */
int spt_cgroup_threads(const char *root);

#endif

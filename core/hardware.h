/* SPDX-License-Identifier: Apache-2.0 */
/* Hardware identity: what device this is, what it can run, how many threads this process may use.
 * The key holds only what decides which kernel wins (vendor, family, model, usable ISA set, L1d, L2); everything else
 * is a soft field beside it. SPARSETUNE_ISA=plain|avx2|avx512|neon lowers the usable set and so gives another key. */
#ifndef SPT_CORE_HARDWARE_H
#define SPT_CORE_HARDWARE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/types.h"

/* The kernel builds of this architecture, worst first. x86-64 has plain, avx2, avx512; aarch64 has plain, neon. */
typedef enum spt_isa { SPT_ISA_PLAIN = 0, SPT_ISA_NEON = 1, SPT_ISA_AVX2 = 2, SPT_ISA_AVX512 = 3 } spt_isa;
#define SPT_ISA_COUNT 4

typedef struct spt_device {
    spt_device_kind kind;
    char key[256];     /* cpu|vendor|family|model|isa set|L1d bytes|L2 bytes */
    spt_isa isa;       /* the best kernel build that may be used */
    char isa_set[160]; /* usable features that matter, joined by '+', fixed order; "plain" when none */
    char vendor[32];
    int family, model;
    int64_t l1d_bytes, l2_bytes; /* per core */
    /* soft fields */
    char name[96];
    int stepping;
    int64_t l3_bytes; /* 0 when unknown */
    int n_cores;      /* usable by this process */
    char os[96];
    /* CUDA devices: key cuda|name|compute capability|SM count|memory GiB; l2_bytes is the device's */
    int ordinal;            /* N of cuda:N */
    int compute_capability; /* 90 is 9.0 */
    int n_sms;
    int shared_bytes_max; /* dynamic shared memory that a block may ask for */
    int64_t memory_bytes;
    int driver_version;                                 /* soft; 13000 is 13.0; 0: pretended */
    double fma_gflops, tensor_gflops, l2_gbs, dram_gbs; /* nominal; for bounds */
} spt_device;

/* Detect the CPU. Errors: EINVAL for a SPARSETUNE_ISA that is unknown or that this CPU lacks. Threads: safe; no cache.
 */
spt_status spt_device_detect(spt_device *out);

/* Detect a device by name: "cpu", or "cuda:N" ("cuda" is the first one). Errors: EINVAL for another name; EUNSUPPORTED
 * where there is no such device, which is an ordinary answer. */
spt_status spt_device_find(spt_device *out, const char *name);

/* The lasting text of a device's name: "cpu" (also for NULL), "cuda:0" (also for "cuda"). Does not look whether there
 * is one. Errors: EINVAL. */
spt_status spt_device_name(const char **out, const char *name);

/* Stand in for a chip that is not here, so that spaces can be listed and kernels compiled: "sm_90". The key's name is
 * that text. Errors: EINVAL with the known architectures. */
spt_status spt_device_pretend(spt_device *out, const char *arch);
/* Give a CUDA device that a database describes the fields that it does not keep: limits and a typical speed. Other
 * devices stay as they are. */
void spt_device_complete(spt_device *device);
/* The known architectures in ascending order, NULL past the end. */
const char *spt_device_arch(int index);

/* May this process use matrix tiles for bf16 (AMX) on this CPU? Asks Linux for them the first time: from then on stacks
 * for signals need 8 KiB more. Threads: safe. */
bool spt_device_may_use_tiles(const spt_device *device);

const char *spt_isa_name(spt_isa isa);
int spt_isa_lanes(spt_isa isa); /* f32 elements in a vector of that kernel build */
spt_status spt_isa_parse(spt_isa *out, const char *name);
/* Threads that this process may use: affinity mask and cgroup quota, at least 1. */
int spt_hardware_threads(void);

#endif

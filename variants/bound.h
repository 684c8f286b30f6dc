/* SPDX-License-Identifier: Apache-2.0 */
/* Ceilings of one core per ISA, measured once and kept as a table: what a mapping cannot exceed. */
#ifndef SPT_VARIANTS_BOUND_H
#define SPT_VARIANTS_BOUND_H

#include <stdint.h>

#include "core/hardware.h"

typedef struct spt_ceilings {
    double fma_gflops;                       /* multiply-adds from registers, f32 */
    double l1_gbs, l2_gbs, l3_gbs, dram_gbs; /* read bandwidth per level */
    double vector_loads_per_ns;              /* full-width loads from L1 */
    double dense_gflops;                     /* what a good dense sgemm reaches */
} spt_ceilings;

const spt_ceilings *spt_ceilings_get(spt_isa isa);

/* ns to read `bytes` once from the level that a working set of `resident_bytes` lives in. */
double spt_read_ns(const spt_ceilings *ceilings, const spt_device *device, double bytes, double resident_bytes);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Ceilings of one core per ISA: what a mapping cannot exceed. A table that was measured once ranks mappings everywhere;
 * a program that wants to know how near the bound its own kernels are measures them in the same run. */
#ifndef SPT_VARIANTS_BOUND_H
#define SPT_VARIANTS_BOUND_H

#include <stdbool.h>
#include <stdint.h>

#include "core/error.h"
#include "core/hardware.h"

typedef struct spt_ceilings {
    double fma_gflops;                       /* multiply-adds from registers, f32 */
    double l1_gbs, l2_gbs, l3_gbs, dram_gbs; /* read bandwidth per level */
    double vector_loads_per_ns;              /* full-width loads from L1 */
    double l1_fill_ns;                       /* what a line that comes from L2 takes from loads and multiply-adds */
    double gathers_per_ns;                   /* elements, from a table in L1 */
    double tile_gflops;                      /* bf16 on matrix tiles; 0: none */
    double dense_gflops;                     /* what a good dense sgemm reaches */
} spt_ceilings;

/* Products of bf16 that one of f32 takes on matrix tiles. */
#define SPT_TILE_PRODUCTS 6.0

/* Bytes of the working sets that stand for the levels; 0 beyond l1: only multiply-adds and L1 are measured. */
typedef struct spt_ceiling_sizes {
    int64_t l1, l2, l3, dram;
    bool has_tiles;
} spt_ceiling_sizes;

/* The ceilings in use: the table's row, or what spt_ceilings_use has set. */
const spt_ceilings *spt_ceilings_get(spt_isa isa);
/* Measure this core now, in about a second; dense_gflops stays the table's. Errors: ENOMEM. */
spt_status spt_ceilings_measure(spt_ceilings *out, const spt_device *device);
/* Measure multiply-adds and L1 alone, in a few milliseconds; the rest stays the table's. Errors: ENOMEM. */
spt_status spt_ceilings_measure_peak(spt_ceilings *out, const spt_device *device);
/* Let bounds of this process use these. Threads: call it before others ask for bounds. */
void spt_ceilings_use(spt_isa isa, const spt_ceilings *ceilings);

/* ns to read `bytes` once from the level that a working set of `resident_bytes` lives in. */
double spt_read_ns(const spt_ceilings *ceilings, const spt_device *device, double bytes, double resident_bytes);
/* ns that bringing `bytes` into L1 adds to compute-bound work when they live in a working set of `resident_bytes`: none
 * in L1, the fill's share from L2, all of the transfer from beyond. */
double spt_fill_ns(const spt_ceilings *ceilings, const spt_device *device, double bytes, double resident_bytes);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Ceilings of one core: what a mapping cannot exceed. A table of microarchitectures, measured once, ranks mappings; a
 * program that wants to know how near the bound its own kernels are measures them in the same run. */
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
    double apart_ns;                         /* what more the first line of a row takes that no line precedes */
    double c_line_ns;                        /* a line of C that a visit of a row loads or stores */
    double code_per_ns;                      /* instructions of code without loops while it comes from near */
    double code_l1_bytes;                    /* how much of it stays near */
    double code_l2_gbs, code_l3_gbs;         /* bytes of it that arrive from L2 and from L3 */
    double code_dram_gbs;                    /* and from memory, where nothing fetches ahead */
} spt_ceilings;

/* Products of bf16 that one of f32 takes on matrix tiles. */
#define SPT_TILE_PRODUCTS 6.0

/* Bytes of the working sets that stand for the levels; 0 beyond l1: only multiply-adds and L1 are measured. */
typedef struct spt_ceiling_sizes {
    int64_t l1, l2, l3, dram;
    bool has_tiles;
} spt_ceiling_sizes;

/* The ceilings in use: the row of the table for this CPU and its instruction set, the generic row of a CPU that the
 * table does not know, or what spt_ceilings_use has set. Threads: safe. */
const spt_ceilings *spt_ceilings_get(const spt_device *device);
/* Measure this core now, in about a second; dense_gflops and what is said of code stay the table's. Errors: ENOMEM. */
spt_status spt_ceilings_measure(spt_ceilings *out, const spt_device *device);
/* Measure multiply-adds and L1 alone, in a few milliseconds; the rest stays the table's. Errors: ENOMEM. */
spt_status spt_ceilings_measure_peak(spt_ceilings *out, const spt_device *device);
/* Let bounds of this process for this instruction set use these, NULL: the table again. Threads: call it while no other
 * asks for bounds. */
void spt_ceilings_use(spt_isa isa, const spt_ceilings *ceilings);

/* ns to read `bytes` once from the level that a working set of `resident_bytes` lives in. */
double spt_read_ns(const spt_ceilings *ceilings, const spt_device *device, double bytes, double resident_bytes);
/* ns that bringing `bytes` into L1 adds to compute-bound work when they live in a working set of `resident_bytes`: none
 * in L1, the fill's share from L2, all of the transfer from beyond. */
double spt_fill_ns(const spt_ceilings *ceilings, const spt_device *device, double bytes, double resident_bytes);
/* ns to copy `bytes` of B, which lie in a working set of `resident_bytes`, to a strip in L2: a line that is stored is
 * fetched and written back. */
double spt_pack_ns(const spt_ceilings *ceilings, const spt_device *device, double bytes, double resident_bytes);

/* What rows of B cost where they are read as they lie, n floats apart. */
typedef struct spt_rows_apart {
    double splits;   /* share of vector loads that touch two lines, because rows begin anywhere in a line */
    double l1_share; /* of L1 that a strip can use, because rows that lie a power of two apart meet in few sets */
} spt_rows_apart;
/* For vectors of `lanes` floats and strips of `width` floats; is_packed: no such cost. */
spt_rows_apart spt_rows_apart_of(bool is_packed, int64_t n, double lanes, double width);

#endif

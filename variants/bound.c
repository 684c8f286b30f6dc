/* SPDX-License-Identifier: Apache-2.0 */
/* Ceilings per microarchitecture and ISA, after BLIS's configurations: a table per core, and a registry that says which
 * CPUs have that core. To add one, run `sparsetune device --ceilings` a few times on a quiet machine with each ISA
 * forced in turn (SPARSETUNE_ISA) and take the usual values; docs/MEASURING.md says the rest. dense_gflops is what the
 * fastest of OpenBLAS and oneDNN reached there, whatever our own ISA. */
#include "variants/bound.h"

#include <stddef.h>
#include <string.h>

/* The last columns come from trials of baked code, not from the microbenchmark: the first line of a row that no line
 * precedes, a line of C; code: instructions per ns, bytes that stay near, GB/s from L2, L3 and memory. */

/* One core of a virtual Sapphire Rapids, 2 GHz nominal, neighbours in its L3; 1,159 trials, no code in memory. */
#define RAPIDS_TRIALS 0.05, 0.21, 5.2, 30e3, 27.0, 28.0, 1.2
static const spt_ceilings sapphire_rapids[SPT_ISA_COUNT] = {
    /*                   fma    l1     l2     l3    dram  loads fill gathers tiles  dense */
    [SPT_ISA_PLAIN] = {46.0, 94.0, 85.0, 31.0, 14.0, 5.9, 0.20, 3.9, 0.0, 130.0, RAPIDS_TRIALS},
    [SPT_ISA_AVX2] = {95.0, 150.0, 104.0, 31.0, 15.0, 4.7, 0.20, 4.6, 0.0, 130.0, RAPIDS_TRIALS},
    [SPT_ISA_AVX512] = {158.0, 250.0, 109.0, 28.0, 15.0, 4.5, 0.21, 4.5, 2000.0, 130.0, RAPIDS_TRIALS},
};

/* One core of a virtual Zen 5 (EPYC, 2.6 GHz nominal, 3.8 GHz then); 3,161 trials, all with AVX-512. The
 * microbenchmark's lines from L2 come wholly beside multiply-adds, in order and one a cycle (fill 0); those of trials,
 * which skip rows, take 0.1 ns. Code alone arrives from L2 at 50 GB/s; 65 is what trials say, some of it being in the
 * op cache. */
#define ZEN5_TRIALS 0.10, 0.40, 14.0, 30e3, 65.0, 24.0, 1.2
static const spt_ceilings zen5[SPT_ISA_COUNT] = {
    /*                   fma    l1     l2     l3    dram  loads fill gathers tiles  dense */
    [SPT_ISA_PLAIN] = {30.0, 120.0, 120.0, 113.0, 40.0, 7.5, 0.10, 5.9, 0.0, 222.0, ZEN5_TRIALS},
    [SPT_ISA_AVX2] = {120.0, 240.0, 234.0, 116.0, 51.0, 7.5, 0.10, 2.3, 0.0, 222.0, ZEN5_TRIALS},
    [SPT_ISA_AVX512] = {240.0, 475.0, 235.0, 115.0, 55.0, 7.4, 0.10, 3.0, 0.0, 222.0, ZEN5_TRIALS},
};

/* Scaled from Sapphire Rapids by vector width; measured nowhere. */
static const spt_ceilings generic_arm[SPT_ISA_COUNT] = {
    [SPT_ISA_NEON] = {36.0, 80.0, 50.0, 18.0, 10.0, 5.0, 0.20, 1.0, 0.0, 30.0, RAPIDS_TRIALS},
};

/* Who has which core. The first row counts that names the CPU and has its ISA; vendor NULL is any CPU. An x86 CPU that
 * nobody measured borrows Sapphire Rapids': its caches are slow for what it computes, as a shared server's are. */
static const struct {
    const char *vendor;
    int family, first_model, last_model;
    const spt_ceilings *rows;
} cores[] = {
    {"GenuineIntel", 6, 143, 143, sapphire_rapids},
    {"GenuineIntel", 6, 207, 207, sapphire_rapids}, /* Emerald Rapids */
    {"AuthenticAMD", 26, 0, 31, zen5},  /* Turin; client parts from 32 on have data paths of half the width */
    {"AuthenticAMD", 26, 64, 79, zen5}, /* Granite Ridge, whose paths are whole */
    {NULL, 0, 0, 0, sapphire_rapids},
    {NULL, 0, 0, 0, generic_arm},
};

static struct {
    bool is_set;
    spt_ceilings ceilings;
} used[SPT_ISA_COUNT];

const spt_ceilings *spt_ceilings_get(const spt_device *device) {
    size_t i = 0;
    if (used[device->isa].is_set)
        return &used[device->isa].ceilings;
    while (cores[i].rows[device->isa].fma_gflops == 0.0 ||
           (cores[i].vendor != NULL &&
            (strcmp(cores[i].vendor, device->vendor) != 0 || cores[i].family != device->family ||
             device->model < cores[i].first_model || device->model > cores[i].last_model)))
        i++; /* the generic rows have every ISA */
    return &cores[i].rows[device->isa];
}

void spt_ceilings_use(spt_isa isa, const spt_ceilings *measured) {
    used[isa].is_set = measured != NULL;
    if (measured != NULL)
        used[isa].ceilings = *measured;
}

double spt_read_ns(const spt_ceilings *row, const spt_device *device, double bytes, double resident_bytes) {
    const double l1 = device->l1d_bytes > 0 ? (double)device->l1d_bytes : 32e3;
    const double l2 = device->l2_bytes > 0 ? (double)device->l2_bytes : 512e3;
    const double l3 = device->l3_bytes > 0 ? (double)device->l3_bytes : 8e6;
    if (resident_bytes <= l1)
        return bytes / row->l1_gbs;
    if (resident_bytes <= l2)
        return bytes / row->l2_gbs;
    return bytes / (resident_bytes <= l3 ? row->l3_gbs : row->dram_gbs);
}

double spt_fill_ns(const spt_ceilings *row, const spt_device *device, double bytes, double resident_bytes) {
    const double l1 = device->l1d_bytes > 0 ? (double)device->l1d_bytes : 32e3;
    const double l2 = device->l2_bytes > 0 ? (double)device->l2_bytes : 512e3;
    if (resident_bytes <= l1)
        return 0.0;
    if (resident_bytes <= l2)
        return bytes / 64.0 * row->l1_fill_ns;
    return spt_read_ns(row, device, bytes, resident_bytes);
}

double spt_pack_ns(const spt_ceilings *row, const spt_device *device, double bytes, double resident_bytes) {
    return spt_read_ns(row, device, bytes, resident_bytes) + 2.0 * bytes / row->l2_gbs;
}

static int64_t common_divisor(int64_t a, int64_t b) {
    while (b != 0) {
        const int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

spt_rows_apart spt_rows_apart_of(bool is_packed, int64_t n, double lanes, double width) {
    enum { LINE = 16, LINES_PER_WAY = 64 }; /* floats; 4 KiB, as wherever pages index L1 */
    if (is_packed)
        return (spt_rows_apart){.splits = 0.0, .l1_share = 1.0};
    const double phase = (double)common_divisor(n, LINE);                       /* rows begin at multiples of it */
    const double sets = (double)common_divisor(n, LINE * LINES_PER_WAY) / LINE; /* from row to row */
    return (spt_rows_apart){.splits = phase < lanes ? lanes / LINE * (1.0 - phase / lanes) : 0.0,
                            .l1_share = sets * LINE > width ? width / (sets * LINE) : 1.0};
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Ceilings per ISA, measured on one core of a virtual Sapphire Rapids (2 GHz nominal) with each ISA forced in turn; the
 * neon row is scaled from them by vector width and was measured nowhere. dense_gflops is what the fastest of OpenBLAS
 * and oneDNN reached there, whatever our own ISA. */
#include "variants/bound.h"

static spt_ceilings ceilings[SPT_ISA_COUNT] = {
    /*                   fma    l1     l2     l3    dram  loads fill gathers tiles  dense */
    [SPT_ISA_PLAIN] = {46.0, 94.0, 85.0, 31.0, 14.0, 5.9, 0.20, 3.9, 0.0, 130.0},
    [SPT_ISA_NEON] = {36.0, 80.0, 50.0, 18.0, 10.0, 5.0, 0.20, 1.0, 0.0, 30.0},
    [SPT_ISA_AVX2] = {95.0, 150.0, 104.0, 31.0, 15.0, 4.7, 0.20, 4.6, 0.0, 130.0},
    [SPT_ISA_AVX512] = {158.0, 250.0, 109.0, 28.0, 15.0, 4.5, 0.21, 4.5, 2000.0, 130.0},
};

const spt_ceilings *spt_ceilings_get(spt_isa isa) {
    return &ceilings[isa];
}

void spt_ceilings_use(spt_isa isa, const spt_ceilings *measured) {
    ceilings[isa] = *measured;
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

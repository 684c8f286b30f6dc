/* SPDX-License-Identifier: Apache-2.0 */
/* Ceilings per ISA. The avx512 row was measured on one Sapphire Rapids core (2 GHz nominal); the others follow from it
 * by vector width and ports: avx2 and neon have half or a quarter of the lanes, plain is SSE2 without fused
 * multiply-add. They rank mappings; they predict nobody's machine. NEEDSWORK: measure them where the library runs. */
#include "variants/bound.h"

static const spt_ceilings ceilings[SPT_ISA_COUNT] = {
    /*                   fma    l1     l2     l3    dram  loads/ns dense */
    [SPT_ISA_PLAIN] = {18.0, 80.0, 60.0, 18.0, 10.0, 5.0, 110.0},
    [SPT_ISA_NEON] = {36.0, 80.0, 50.0, 18.0, 10.0, 5.0, 30.0},
    [SPT_ISA_AVX2] = {80.0, 150.0, 90.0, 19.0, 10.0, 5.0, 110.0},
    [SPT_ISA_AVX512] = {148.0, 260.0, 110.0, 20.0, 10.0, 4.1, 115.0},
};

const spt_ceilings *spt_ceilings_get(spt_isa isa) {
    return &ceilings[isa];
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

/* SPDX-License-Identifier: Apache-2.0 */
/* Impossible times; see floor.h. */
#include "tuner/measure/floor.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/conv.h"
#include "variants/bound.h"

/* Vendor libraries use the widest vectors that the machine has, whatever our own instruction set is held to. */
static const double widest_over[SPT_ISA_COUNT] = {
    [SPT_ISA_PLAIN] = 4.0, [SPT_ISA_NEON] = 4.0, [SPT_ISA_AVX2] = 2.0, [SPT_ISA_AVX512] = 1.0};

spt_status spt_peak_measure(spt_peak *out, const spt_device *device) {
    spt_ceilings now;
    *out = (spt_peak){0};
    SPT_TRY(spt_ceilings_measure_peak(&now, device));
    out->fma_gflops = now.fma_gflops * widest_over[device->isa];
    out->l1_gbs = now.l1_gbs * widest_over[device->isa];
    for (int isa = 0; isa < SPT_ISA_COUNT; isa++) {
        spt_device narrower = *device;
        narrower.isa = (spt_isa)isa;
        const spt_ceilings *row = spt_ceilings_get(&narrower);
        out->fma_gflops = fmax(out->fma_gflops, row->fma_gflops);
        out->l1_gbs = fmax(out->l1_gbs, row->l1_gbs);
        if (spt_device_may_use_tiles(device))
            out->tile_gflops = fmax(out->tile_gflops, fmax(row->tile_gflops, now.tile_gflops));
    }
    return SPT_OK;
}

/* The share of multiply-adds that no border takes away. */
static double inner_share(const spt_problem *problem) {
    if (problem->op != SPT_CONV2D)
        return 1.0;
    const spt_conv conv = spt_conv_of(problem, SPT_CONV_TAPS);
    const double rows = fmax((double)conv.out_height - 2.0, 0.0), cols = fmax((double)conv.out_width - 2.0, 0.0);
    return rows * cols / ((double)conv.out_height * (double)conv.out_width);
}

/* Vectors, or matrix tiles: those need several products of bf16 for one of f32, and do two of int8 for one of bf16. */
static double multiply_gflops(const spt_peak *peak, double fma_scale) {
    const double tile_scale = fma_scale > 1.0 ? fma_scale / 2.0 : 1.0 / SPT_TILE_PRODUCTS;
    return fmax(peak->fma_gflops * fma_scale, peak->tile_gflops * tile_scale);
}

double spt_floor_ns(const spt_workload *workload, const spt_peak *peak, double fma_scale) {
    const spt_problem *problem = &workload->problem;
    const spt_pattern *pattern = &workload->pattern;
    if (problem->device != NULL && strcmp(problem->device, "cpu") != 0)
        return 0.0;
    const double nnz = (double)pattern->nnz, n = (double)problem->n, item = (double)spt_dtype_bytes(problem->dtype);
    const double outputs = spt_op_has_epilogue(problem->op) ? (double)pattern->n_rows * n : nnz;
    const double fma_ns = 2.0 * nnz * n * inner_share(problem) / multiply_gflops(peak, fma_scale);
    const double byte_ns = (nnz + outputs) * item / (peak->l1_gbs * fma_scale); /* narrower by as much */
    return fmax(fma_ns, byte_ns) / (problem->threads * SPT_FLOOR_MARGIN);
}

void spt_floor_check(spt_measurement *measurement, double floor_ns) {
    const double reported_ns = measurement->time_ns_median;
    if (!spt_trial_is_timed(measurement->status) || reported_ns >= floor_ns)
        return;
    *measurement = (spt_measurement){.status = SPT_TRIAL_RUNTIME};
    snprintf(measurement->reason, sizeof measurement->reason,
             "an impossible time, %.3g ns: at %g times this machine's peak the multiply-adds and bytes of this problem "
             "take %.3g ns",
             reported_ns, SPT_FLOOR_MARGIN, floor_ns);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The hard floor of a time: what no kernel can beat on this machine, whatever a variant reports. Families' bound_ns are
 * expectations of a mapping, and good kernels reach them; the floor only counts multiply-adds and bytes that every
 * kernel has, at the peak of the machine, with a margin. */
#ifndef SPT_TUNER_FLOOR_H
#define SPT_TUNER_FLOOR_H

#include "core/key.h"
#include "core/trial.h"

#define SPT_FLOOR_MARGIN 1.5 /* the peak may be this much higher than it was measured */

/* What one core can do at most: the greater of the table of ceilings and what the microbenchmark measures now. */
typedef struct spt_peak {
    double fma_gflops, l1_gbs; /* f32 in vectors; reads */
    double tile_gflops;        /* bf16 on matrix tiles; 0: none */
} spt_peak;

/* Takes a few milliseconds. Errors: ENOMEM. */
spt_status spt_peak_measure(spt_peak *out, const spt_device *device);

/* ns below which a time of this problem is impossible for a variant whose multiply-adds are so many times as fast as
 * those of f32 (fma_scale of its family; 1: f32 itself); 0 on devices other than CPUs. */
double spt_floor_ns(const spt_workload *workload, const spt_peak *peak, double fma_scale);

/* A correct or dropped trial below the floor becomes a failed one that says so. */
void spt_floor_check(spt_measurement *measurement, double floor_ns);

#endif

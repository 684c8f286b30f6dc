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
    double fma_gflops, l1_gbs;
} spt_peak;

/* Takes a few milliseconds. Errors: ENOMEM. */
spt_status spt_peak_measure(spt_peak *out, const spt_device *device);

/* ns below which a time of this problem is impossible; 0 on devices other than CPUs. */
double spt_floor_ns(const spt_workload *workload, const spt_peak *peak);

/* A correct or dropped trial below the floor becomes a failed one that says so. */
void spt_floor_check(spt_measurement *measurement, double floor_ns);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Sparse kernels of others, as families that only `bench` and its workers know: so they are verified and timed like our
 * own, and never chosen, tuned or stored. A rival that is not installed is an ordinary answer. */
#ifndef SPT_TUNER_RIVALS_H
#define SPT_TUNER_RIVALS_H

#include "variants/family.h"

/* Make the rivals findable in this process. */
void spt_rivals_plant(void);

/* A rival is never the untuned answer. */
double spt_rival_bound_ns(const spt_workload *workload, const spt_device *device, const spt_point *point);
/* A rival keeps its values. Errors: EUNSUPPORTED. */
spt_status spt_rival_set_values(spt_prepared *prepared, const void *values);

extern const spt_family spt_family_rival_cublas_tf32;
extern const spt_family spt_family_rival_mkl_sparse;
extern const spt_family spt_family_rival_plugin;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The rivals that are planted, and what all of them share. */
#include "tuner/rivals/rivals.h"

#include <math.h>

static const spt_family *const rivals[] = {&spt_family_rival_mkl_sparse, &spt_family_rival_plugin,
                                           &spt_family_rival_cublas_tf32};

void spt_rivals_plant(void) {
    spt_registry_plant(rivals, (int)(sizeof rivals / sizeof rivals[0]));
}

double spt_rival_bound_ns(const spt_workload *workload, const spt_device *device, const spt_point *point) {
    (void)workload;
    (void)device;
    (void)point;
    return INFINITY;
}

spt_status spt_rival_set_values(spt_prepared *prepared, const void *values) {
    (void)values;
    return spt_fail(SPT_EUNSUPPORTED, "%s: a rival keeps its values", prepared->family->name);
}

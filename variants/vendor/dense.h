/* SPDX-License-Identifier: Apache-2.0 */
/* What the dense families share: A as a dense row-major m x k copy, its limits and its bound. */
#ifndef SPT_VARIANTS_DENSE_H
#define SPT_VARIANTS_DENSE_H

#include "variants/family.h"

/* May A be held dense (at most 4 GiB)? */
bool spt_dense_fits(const spt_workload *workload);
double spt_dense_bound_ns(const spt_workload *workload, const spt_device *device, const spt_point *point);

/* prepare, set_values and release of a dense family; the dense copy is spt_dense_matrix(prepared). */
spt_status spt_dense_prepare(spt_prepared *prepared, const spt_csr *a);
spt_status spt_dense_set_values(spt_prepared *prepared, const void *values);
void spt_dense_release(spt_prepared *prepared);
const float *spt_dense_matrix(const spt_prepared *prepared);

#endif

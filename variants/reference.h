/* SPDX-License-Identifier: Apache-2.0 */
/* Double-precision references, one per operation; see spt_operation.reference for the contract. */
#ifndef SPT_VARIANTS_REFERENCE_H
#define SPT_VARIANTS_REFERENCE_H

#include "core/key.h"

void spt_reference_spmm(double *value, double *tolerance, const spt_workload *workload, const spt_csr *a,
                        const spt_args *args);
void spt_reference_sddmm(double *value, double *tolerance, const spt_workload *workload, const spt_csr *a,
                         const spt_args *args);
void spt_reference_conv2d(double *value, double *tolerance, const spt_workload *workload, const spt_csr *a,
                          const spt_args *args);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The CBLAS libraries that dense families may call: an axis, opened at run time. A library brings its own threads; its
 * settings are not touched. */
#ifndef SPT_VARIANTS_BLAS_H
#define SPT_VARIANTS_BLAS_H

#include "variants/family.h"

enum { SPT_BLAS_ROW_MAJOR = 101, SPT_BLAS_NO_TRANS = 111, SPT_BLAS_TRANS = 112 }; /* of the CBLAS interface */

typedef void spt_sgemm(int order, int trans_a, int trans_b, int m, int n, int k, float alpha, const float *a, int lda,
                       const float *b, int ldb, float beta, float *c, int ldc);

/* The one axis of such a family: lib=openblas|mkl|blis. */
extern const spt_axis spt_blas_axes[1];

/* sgemm of the point's library; NULL: it is not there. Threads: any. */
spt_sgemm *spt_blas_sgemm(const spt_point *point);
/* The version text with the core type behind it, where the library tells one. */
const char *spt_blas_version(const spt_point *point);
/* Is there any? Errors: EUNSUPPORTED. */
spt_status spt_blas_available(const spt_device *device);
/* The first library that is there. */
void spt_blas_default_point(const spt_workload *workload, const spt_device *device, spt_point *out);

#endif

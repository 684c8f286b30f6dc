/* SPDX-License-Identifier: Apache-2.0 */
/* A row of C kept in memory, for the families that are plain loops. */
#ifndef SPT_VARIANTS_PLAIN_ROW_H
#define SPT_VARIANTS_PLAIN_ROW_H

#include "variants/family.h"

/* c[0..n) = what the row begins with: its bias and its residual, where there are any */
static inline void plain_row_begin(float *restrict c, const spt_call *call, int64_t row) {
    const float bias = call->bias != NULL ? ((const float *)call->bias)[row] : 0.0f;
    const float *residual = call->residual != NULL ? (const float *)call->residual + row * call->ldr : NULL;
    for (int64_t j = 0; j < call->n; j++)
        c[j] = bias + (residual != NULL ? residual[j] : 0.0f);
}

static inline void plain_row_end(float *restrict c, const spt_call *call, bool has_relu) {
    for (int64_t j = 0; has_relu && j < call->n; j++)
        c[j] = c[j] < 0.0f ? 0.0f : c[j]; /* NaN stays */
}

#endif

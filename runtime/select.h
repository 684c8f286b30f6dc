/* SPDX-License-Identifier: Apache-2.0 */
/* Selection: from a problem to a variant and the sentence that says why. Exact, then near size, then the model's
 * default; every record is checked by itself, and what does not hold here and now is passed over. */
#ifndef SPT_RUNTIME_SELECT_H
#define SPT_RUNTIME_SELECT_H

#include <stdbool.h>

#include "runtime/context.h"
#include "variants/family.h"

/* A record whose n is farther than this factor from the asked n says nothing about it. */
#define SPT_NEAR_SIZE_MAX 16.0

typedef struct spt_selection {
    const spt_family *family;
    spt_point point;
    spt_match match;
    double time_ns_expected; /* median when tuned (near size: scaled by n), the model's bound otherwise */
    double speedup_over_dense, speedup_over_default; /* as measured for n_tuned, 0 where unknown */
    int64_t n_tuned;                                 /* 0 for a default */
    bool stale;                                      /* a soft field differs */
    char reason[256];
} spt_selection;

/* Errors: EUNSUPPORTED when no family serves the workload; EINVAL (key too long). */
spt_status spt_select(spt_selection *out, const spt_context *context, const spt_workload *workload);

/* The model's default, with `why` in front of the reason. Errors: EUNSUPPORTED. */
spt_status spt_select_default(spt_selection *out, const spt_context *context, const spt_workload *workload,
                              const char *why);

#endif

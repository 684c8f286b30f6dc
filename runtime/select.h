/* SPDX-License-Identifier: Apache-2.0 */
/* Selection: from a problem to a variant and the sentence that says why. Exact, near size, near pattern, near device,
 * then the defaults; every record is checked by itself, and what does not hold here and now is passed over. */
#ifndef SPT_RUNTIME_SELECT_H
#define SPT_RUNTIME_SELECT_H

#include <stdbool.h>

#include "runtime/context.h"
#include "variants/family.h"

/* A record whose n is farther than this factor from the asked n says nothing about it. */
#define SPT_NEAR_SIZE_MAX 16.0

/* Shares of the speed of this problem's own winner that a choice is expected to lose: in proportion to the distance of
 * a neighbour, and for a default. Measured by leaving each of 61 patterns out; docs/results has the page. */
#define SPT_LOSS_PER_DISTANCE 0.03
#define SPT_LOSS_MAX 0.3
#define SPT_LOSS_OF_DEFAULT 0.22

/* A set of families, by their index in the registry. */
typedef uint64_t spt_families;
#define SPT_FAMILIES_MAX 64

typedef struct spt_selection {
    const spt_family *family;
    spt_point point;
    spt_match match;
    const char *level;       /* as spt_choice.level; static text */
    double time_ns_expected; /* median when tuned (a neighbour's: scaled), the model's bound otherwise */
    double speedup_over_dense, speedup_over_default; /* as measured for n_tuned, 0 where unknown */
    double distance;                                 /* of the neighbour, 0 for an exact answer or a default */
    double loss_expected;
    int64_t n_tuned; /* 0 for a default */
    bool stale;      /* a soft field differs */
    char neighbour[320];
    char reason[256];
} spt_selection;

/* Errors: EUNSUPPORTED when no family serves the workload; EINVAL (key too long). Takes no lock, allocates nothing and
 * makes no system call. */
spt_status spt_select(spt_selection *out, const spt_context *context, const spt_workload *workload);

/* The model's default of the families that are not excluded, with `why` in front of the reason. Errors: EUNSUPPORTED
 * when there is none. */
spt_status spt_select_default(spt_selection *out, const spt_context *context, const spt_workload *workload,
                              const char *why, spt_families excluded);
spt_families spt_families_of(const spt_family *family);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* A trial: one measured or failed variant. The status names are those of the T4 exchange format, plus `dropped`. */
#ifndef SPT_CORE_TRIAL_H
#define SPT_CORE_TRIAL_H

#include <stdbool.h>
#include <stdint.h>

#include "core/error.h"

typedef enum spt_trial_status {
    SPT_TRIAL_CORRECT = 0,
    SPT_TRIAL_COMPILE,     /* code generation or packing was refused */
    SPT_TRIAL_RUNTIME,     /* the worker crashed, or the kernel returned an error */
    SPT_TRIAL_TIMEOUT,     /* the worker did not answer in time and was killed */
    SPT_TRIAL_CORRECTNESS, /* the output differs from the reference, or bytes outside it were written */
    SPT_TRIAL_CONSTRAINTS, /* the point is not valid for the problem */
    SPT_TRIAL_DROPPED      /* correct, and taken out of the race early because it was slow */
} spt_trial_status;
#define SPT_TRIAL_STATUS_COUNT 7

/* Did it run to the right result, so that its time says something? A dropped one's says so roughly. */
static inline bool spt_trial_is_timed(spt_trial_status status) {
    return status == SPT_TRIAL_CORRECT || status == SPT_TRIAL_DROPPED;
}

typedef enum spt_phase { SPT_PHASE_SEARCH = 0, SPT_PHASE_FINAL = 1 } spt_phase;

/* What one measurement found. Times are of one execution, without packing. */
typedef struct spt_measurement {
    spt_trial_status status;
    int n_samples; /* samples behind the median, 0 when nothing was timed */
    double time_ns_median;
    double mad_ns;                /* median absolute deviation */
    double ci_ns_low, ci_ns_high; /* 95 % interval of the median */
    double max_error;             /* largest |error| over its bound, 0 to 1 for a correct result */
    int64_t workspace_bytes;
    int64_t packed_bytes;
    double pack_ns;
    double compile_ns; /* that its code took to compile, now or when it came into a cache; 0: nothing, or not known */
    char reason[200];  /* one sentence for every status but correct; may be empty then */
} spt_measurement;

const char *spt_trial_status_name(spt_trial_status status);
spt_status spt_trial_status_parse(spt_trial_status *out, const char *name);
const char *spt_phase_name(spt_phase phase); /* search, final */
spt_status spt_phase_parse(spt_phase *out, const char *name);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Buckets of a range of widths: neighbouring widths that one plan serves. A pure function. */
#ifndef SPT_TUNER_BUCKETS_H
#define SPT_TUNER_BUCKETS_H

#include "core/error.h"

#define SPT_BUCKET_COST 0.05 /* log cost, in sum over its widths, that a bucket more must save */

typedef struct spt_bucket {
    int first, last; /* widths that it serves, both included */
    int candidate;   /* who serves them */
    double regret;   /* log cost over the best of each width, in sum */
} spt_bucket;

/* Cut n_widths neighbouring widths into buckets, each with the candidate of least total regret, so that regrets and
 * SPT_BUCKET_COST per bucket are least in sum. costs[width * n_candidates + candidate] > 0, INFINITY where a candidate
 * cannot serve a width; every width needs a finite one. buckets holds n_widths. Errors: ENOMEM. */
spt_status spt_buckets_cut(spt_bucket *buckets, int *n_buckets, const double *costs, int n_widths, int n_candidates);

#endif

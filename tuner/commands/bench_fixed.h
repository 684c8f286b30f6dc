/* SPDX-License-Identifier: Apache-2.0 */
/* Fixed variants as contenders: one family and point for all layers, which is what one does without a tuner. */
#ifndef SPT_TUNER_BENCH_FIXED_H
#define SPT_TUNER_BENCH_FIXED_H

#include "variants/family.h"

enum { SPT_BENCH_FIXED_MAX = 12 };

typedef struct spt_bench_fixed {
    char names[SPT_BENCH_FIXED_MAX][128]; /* "family point", the contender's name */
    const spt_family *families[SPT_BENCH_FIXED_MAX];
    spt_point points[SPT_BENCH_FIXED_MAX];
    int count;
} spt_bench_fixed;

/* Read "FAMILY:POINT;FAMILY:POINT"; NULL: none. Errors: EINVAL (a usage error). */
spt_status spt_bench_fixed_parse(spt_bench_fixed *out, const char *list);

#endif

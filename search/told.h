/* SPDX-License-Identifier: Apache-2.0 */
/* What a strategy has been told: points with their log costs, found by point. A few to a few thousand.
 * A failed point has no cost; it counts as the median of the correct ones plus one standard deviation, both in log
 * space, so that it warns the model without drowning the rest. A dropped point has one: that of the samples before it
 * was dropped. In a run most points are dropped, and a search that is not told how slow they were is blind. */
#ifndef SPT_SEARCH_TOLD_H
#define SPT_SEARCH_TOLD_H

#include <stdbool.h>

#include "core/space.h"
#include "core/trial.h"

typedef struct spt_told_item {
    spt_point point;
    double log_cost; /* of a trial that ran correctly, dropped or not */
    bool is_correct;
} spt_told_item;

typedef struct spt_told {
    spt_told_item *items; /* in the order they were told */
    int64_t count, capacity;
    int64_t *slots; /* open addressing: index + 1, 0 is free; n_slots is 0 or a power of two */
    int64_t n_slots;
    int64_t best;        /* index of the lowest correct cost, -1 before the first */
    double failure;      /* log cost that failed points count as; computed when asked for */
    double median;       /* of the log costs of the correct ones, ... */
    double spread;       /* ... and their deviation as the median of the absolute ones says it; both as `failure` */
    int64_t n_correct;   /* of the items */
    int64_t failure_for; /* n_correct when `failure` was computed */
} spt_told;

void spt_told_init(spt_told *out);
/* Remember a trial; a point told again keeps its better result. Errors: ENOMEM (nothing is remembered). */
spt_status spt_told_add(spt_told *told, const spt_point *point, double cost, spt_trial_status status);
const spt_told_item *spt_told_find(const spt_told *told, const spt_point *point); /* NULL: never told */
/* The log cost an item counts as: its own, or the failures'. */
double spt_told_value(spt_told *told, const spt_told_item *item);
/* Median and robust deviation of the correct log costs: no cost, however high, moves them by much. */
void spt_told_spread(double *median, double *spread, spt_told *told);
void spt_told_fini(spt_told *told);

#endif

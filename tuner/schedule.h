/* SPDX-License-Identifier: Apache-2.0 */
/* The schedule of a run whose time is limited: which problem gets the next slice of evaluations. Pure functions. */
#ifndef SPT_TUNER_SCHEDULE_H
#define SPT_TUNER_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

#include "tuner/measure/meter.h"

/* Where one problem stands. A zeroed struct is one that had no slice yet. */
typedef struct spt_task {
    int64_t evaluations; /* so far */
    double seconds;      /* that they took in this run, loading included */
    int64_t measured;    /* evaluations of this run */
    double gain;    /* log cost that the next evaluation is expected to gain; INFINITY: too early; below 0: unknown */
    double final_s; /* estimate of what its final rounds will take */
    bool is_over;   /* nothing is left to evaluate */
} spt_task;

/* Evaluations of the next slice of a problem that has had so many. */
int64_t spt_schedule_slice(int64_t evaluations);

/* The task of the next slice: first everyone's first, then the one that is expected to gain most per second, and every
 * fourth time the one with the fewest evaluations, because gains are guesses. turn counts the slices so far. -1: none.
 */
int64_t spt_schedule_next(const spt_task *tasks, int64_t n_tasks, int64_t turn);

/* Estimate the seconds of the final rounds of a problem whose best variant takes best_ns. */
double spt_schedule_final_s(const spt_measure_policy *policy, double best_ns, double pack_ns);

#endif

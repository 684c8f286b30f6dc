/* SPDX-License-Identifier: Apache-2.0 */
/* Replaying a search on a recorded space, and scoring it by the published method of Willemsen, Schoonhoven, Filipovic,
 * Torring, van Nieuwpoort and van Werkhoven, "A methodology for comparing optimization algorithms for auto-tuning",
 * FGCS 159, 2024 (software: AutoTuningAssociation/autotuning_methodology). docs/SEARCH.md states every choice.
 * Pure functions of space, strategy and seeds: no clock. */
#ifndef SPT_TUNER_REPLAY_H
#define SPT_TUNER_REPLAY_H

#include "search/search.h"
#include "tuner/input/recorded.h"
#include "tuner/replay_team.h"

/* What is true of a space before anybody searches it. */
typedef struct spt_replay_yardstick {
    double *sorted_ns; /* the correct times, fastest first */
    int64_t n_sorted;
    double optimum_ns, median_ns;
    double trial_s;                   /* mean time of an evaluation as the method counts it; 1 where none is recorded */
    int64_t start_trials, end_trials; /* random search's evaluations to 1 % and 95 % of the way to the optimum */
    double start_s, end_s;            /* the same as time: where scoring begins and ends */
    bool has_spent;                   /* false: nothing recorded, every evaluation counts 1 s */
} spt_replay_yardstick;

/* Owns: spt_replay_yardstick_fini. Errors: ENOMEM. */
spt_status spt_replay_yardstick_init(spt_replay_yardstick *out, const spt_recorded *recorded);
void spt_replay_yardstick_fini(spt_replay_yardstick *yardstick);
/* The value that the method expects of random search after n evaluations. */
double spt_replay_random_ns(const spt_replay_yardstick *yardstick, int64_t n_trials);

/* One recorded space to be searched, family by family where it has an axis of that name. The struct must stay where it
 * is. */
typedef struct spt_replay_subject {
    spt_recorded recorded;
    spt_recorded_part *parts;
    int n_parts;
    spt_replay_yardstick yardstick;
} spt_replay_subject;

/* Load a space. use_bounds: searches may know the expectations that the file holds beside the times.
 * Errors: those of spt_recorded_load. Owns: spt_replay_subject_fini. */
spt_status spt_replay_subject_init(spt_replay_subject *out, const char *path, bool use_bounds);
void spt_replay_subject_fini(spt_replay_subject *subject);

/* One evaluation of a run. */
typedef struct spt_replay_step {
    const spt_recorded_trial *trial;
    double until_s; /* when it is done, from the start of the run */
    double best_ns; /* the fastest correct time up to here; INFINITY before the first */
} spt_replay_step;

/* The runs of one strategy on one space with seeds seed, seed + 1, ... */
typedef struct spt_replay_runs {
    spt_replay_step **steps; /* per run */
    int64_t *n_steps;
    int n_runs;
    double own_s; /* what the strategy itself took, all runs together */
    int64_t n_asks;
} spt_replay_runs;

/* Run until `budget` evaluations; 0: until scoring ends, and at least 200 evaluations. Owns: spt_replay_runs_fini. */
spt_status spt_replay_run(spt_replay_runs *out, const spt_replay_subject *subject, const spt_strategy *strategy,
                          int n_runs, uint64_t seed, int64_t budget);
void spt_replay_runs_fini(spt_replay_runs *runs);

/* The method's score: the mean over equal steps of time of (value - random's) / (optimum - random's), where the value
 * is the one at the mean rank of the runs' best. */
double spt_replay_score(const spt_replay_runs *runs, const spt_replay_yardstick *yardstick);
/* The median over runs of the evaluations after which the best is within 95 % of the optimum's speed; 0: half of the
 * runs never get there. */
double spt_replay_evals_to_95(const spt_replay_runs *runs, const spt_replay_yardstick *yardstick);
/* The mean over runs of optimum / best after n evaluations; 0 for a run without a correct one. */
double spt_replay_fraction_at(const spt_replay_runs *runs, const spt_replay_yardstick *yardstick, int64_t n_trials);

#endif

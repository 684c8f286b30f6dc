/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of one run of `tune` share: its options and results (tune_run.c), its problems (tune_tasks.c). */
#ifndef SPT_TUNER_TUNE_STATE_H
#define SPT_TUNER_TUNE_STATE_H

#include "tuner/drive.h"
#include "tuner/progress.h"
#include "tuner/report.h"
#include "tuner/schedule.h"
#include "tuner/shard.h"
#include "tuner/stale.h"
#include "tuner/tune_run.h"

#define SPT_WARNINGS_MAX 16

/* One problem of the run: a layer at one of its widths. */
typedef struct spt_tune_problem {
    int64_t layer;
    int width; /* its place in --n, or 0 */
    int64_t n;
    bool is_over;    /* broken, or not stale: nothing more is done with it */
    bool has_finals; /* already, because nothing was left to search */
    bool is_reported;
    bool is_recorded; /* this run has trials of it in the database, ... */
    int64_t measured; /* ... and these are sums over all visits: trials, final rounds, time */
    int rounds;
    double seconds;
    bool is_held; /* its row waits until the range that it belongs to has its plans */
    spt_drive_result held;
} spt_tune_problem;

typedef struct spt_tune_state {
    const spt_tune_options *options;
    spt_layer_list layers;
    spt_stale_list stale; /* problems of the database instead of layers of files; it owns `layers` then */
    spt_stored stored;
    spt_device device;
    spt_drive drive;
    spt_seed_table seeds;
    spt_meter *meter;
    spt_progress progress;
    spt_model_totals totals[SPT_WIDTHS_MAX]; /* one per place in --n */
    spt_shard shard;
    spt_tune_problem *problems; /* of this share */
    spt_task *tasks;            /* one per problem, for the schedule of --time */
    int64_t n_problems;
    spt_matrix matrix;                                     /* of the layer that was loaded last */
    int64_t loaded_layer;                                  /* -1: none */
    bool is_kept;                                          /* the loaded layer's positions are in the database */
    int64_t n_printed, n_done, n_broken, n_without_winner; /* problems; broken: layers */
    const char *warned[SPT_WARNINGS_MAX];                  /* sentences that were said */
    int n_warned;
    bool is_complete; /* every problem had its turn */
    bool is_lost;     /* no database: no layer can be tuned */
} spt_tune_state;

/* Open the run's database for writing. */
spt_status spt_tune_open_database(spt_tune_state *run);

/* List the problems of this share. Errors: usage, ENOMEM. */
spt_status spt_tune_list_problems(spt_tune_state *run);
/* Tune them all: one after the other, or by the schedule where time is limited. Errors: what ends the whole run. */
spt_status spt_tune_problems(spt_tune_state *run);
void spt_tune_problems_fini(spt_tune_state *run);

/* Add what a visit did to what this run did. */
void spt_tune_count_visit(spt_tune_problem *problem, const spt_drive_result *result);

/* A problem of the database, or one that the layer and the command line make. */
spt_problem spt_tune_problem_of(const spt_tune_state *run, const spt_tune_problem *at);
/* All n_widths widths of a layer, from problem `first` on, are tuned and its matrix is loaded: choose plans that serve
 * several of them. */
spt_status spt_tune_range(spt_tune_state *run, int64_t first, int n_widths);

/* After the first signal: measure again, for a little while. The second one kills. */
void spt_tune_resume(spt_tune_state *run);

/* A finished problem: say its warnings, print its row, add it to the totals. */
spt_status spt_tune_report(spt_tune_state *run, const spt_tune_problem *problem, const spt_drive_result *result);
void spt_tune_say_warnings(spt_tune_state *run);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* One run of `sparsetune tune`: all layers, one meter, one session, one clock. */
#ifndef SPT_TUNER_TUNE_RUN_H
#define SPT_TUNER_TUNE_RUN_H

#include "tuner/input/input.h"
#include "tuner/options.h"

typedef struct spt_tune_options {
    spt_problem_options problem;
    spt_input_options input;
    const char *suite;    /* NULL: the patterns */
    const char *misses;   /* a file of misses that an application recorded; NULL: none */
    const char *families; /* comma-separated, NULL: all */
    const char *strategy;
    int64_t budget;            /* trials per problem */
    double time_s;             /* of the whole run; 0: no limit */
    int64_t uses;              /* 0: packing is free */
    bool without_seeds;        /* do not begin with winners of near problems */
    bool without_bounds;       /* search without the families' models */
    const char *shard;         /* "I/N": this share of the problems; NULL: all */
    const char *spool;         /* a folder for a database of one's own; NULL: the database of `problem` */
    bool stale;                /* only problems whose winner went stale; without patterns all of the database's */
    const char *stored_folder; /* pattern files for those; NULL: positions that the database keeps */
    bool with_patterns;        /* keep the positions of the nonzeros in the database */
    char **patterns;
    int n_patterns;
} spt_tune_options;

/* Tune and print. *exit_code: 1 when a layer was broken, had no correct variant, or a signal ended the run early.
 * Errors: what stops the whole run (usage, database, no worker), or the one sentence when nothing could be tuned. */
spt_status spt_tune_run(const spt_tune_options *options, int *exit_code);

#endif

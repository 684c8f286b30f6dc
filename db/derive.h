/* SPDX-License-Identifier: Apache-2.0 */
/* How winners follow from trials: a pure function of them. The same trials give the same ranking in every file, in
 * whatever order they lie there and whatever ids they have. docs/DATABASE.md states the rules. */
#ifndef SPT_DB_DERIVE_H
#define SPT_DB_DERIVE_H

#include "db/db.h"

/* One trial of the problem, with what matters of its variant and session. The texts are the caller's. */
typedef struct spt_run {
    const char *family, *point, *library;
    const char *uuid;         /* of the session */
    int64_t variant, session; /* ids of this file: equal or not, but in no order that means anything */
    int64_t round, started_unix_s;
    int64_t revision, bytes; /* bytes: packed and workspace */
    bool is_dense, is_default, is_final;
    spt_trial_status status;
    double time_ns, pack_ns; /* as measured */
    double uses;             /* executions that a packing must pay for, by the session's policy; 0: packing is free */
    double cost_ns;          /* set here: the time with its share of packing */
    double ratio;            /* set here: to what its round did to all variants; NaN without a default beside it */
    int64_t column;          /* set here: the round's number among those with a default */
    bool is_calm;            /* set here: by how its round compares with the others of the session */
    double default_ns;       /* set here: that default's cost */
    int64_t default_variant; /* set here: that default */
    double round_ns;         /* set here: what the default tells of the round, on one scale for all sessions */
    int64_t session_rounds;  /* set here: rounds with a default that its session has */
} spt_run;

/* Room for a run's texts. */
typedef struct spt_run_texts {
    char family[64];
    char point[SPT_POINT_TEXT_MAX];
    char library[96];
    char uuid[SPT_UUID_TEXT_SIZE];
} spt_run_texts;

/* A variant's standing. */
typedef struct spt_candidate {
    const spt_run *newest; /* its newest run, in the array that was given */
    bool is_final;         /* judged by finals: scores are ratios, the default's is 1; by costs in ns otherwise */
    int n_rounds;
    bool is_thin; /* finals: in every session it has less than half of the rounds */
    double score, score_low, score_high;
    double time_ns, ci_ns;
    double speedup_over_default, speedup_over_dense; /* 0 where unknown */
} spt_candidate;

/* Rank the variants of one problem, best first; `out` has room for n_runs, and `runs` is reordered. Errors: ENOMEM. */
spt_status spt_derive(spt_candidate *out, int64_t *count, spt_run *runs, int64_t n_runs);

/* The same before anything is ranked or left out for having too few rounds: in the order of names. */
spt_status spt_derive_standings(spt_candidate *out, int64_t *count, spt_run *runs, int64_t n_runs);

/* Derive the winners of one key and replace its rows; inside a transaction of the caller's. */
spt_status spt_derive_key(spt_db *db, const spt_hash128 *key);
/* The same from all runs of the key, which are reordered. */
spt_status spt_derive_runs(spt_db *db, const spt_hash128 *key, spt_run *runs, int64_t n_runs);

/* Order of sessions, for sorting: the newest first; a session's runs come together, also where none has a uuid. */
int spt_run_newest_first(const spt_run *x, const spt_run *y);

/* The number after "uses=" in a policy; 0 where there is none. */
double spt_policy_uses(const char *policy);

#endif

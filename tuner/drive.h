/* SPDX-License-Identifier: Apache-2.0 */
/* The drive loop: one problem from its matrix to its winner.
 * known trials -> candidate families -> allocator asks -> meter measures (or the database already knows) -> every
 * result is committed at once -> finals -> winners. Invariant: a second identical run asks the same and measures
 * nothing. */
#ifndef SPT_TUNER_DRIVE_H
#define SPT_TUNER_DRIVE_H

#include <signal.h>

#include "db/db.h"
#include "search/search.h"
#include "tuner/measure/meter.h"
#include "tuner/seeds.h"
#include "variants/family.h"

/* What the loop needs of a meter; spt_drive_meter_real wraps the real one, tests bring scripted ones. */
typedef struct spt_drive_meter {
    void *self;
    spt_status (*load)(void *self, const spt_workload *workload, const spt_csr *a, uint64_t seed);
    spt_status (*measure)(void *self, const char *family, const char *point, double best_ns, spt_measurement *out);
    /* The untuned answer again, in a few samples: how fast is the machine now? NULL: the search takes times as they
     * are. */
    spt_status (*reference)(void *self, const spt_variant_id *variant, spt_measurement *out);
    spt_status (*round)(void *self, const spt_variant_id *variants, int n_variants, spt_measurement *out);
    /* Are other processes busy? NULL: not known. */
    bool (*has_others)(void *self);
} spt_drive_meter;

spt_drive_meter spt_drive_meter_real(spt_meter *meter);

/* Where one problem stands. Strings live as long as the callback runs. */
typedef struct spt_drive_progress {
    int64_t done, budget;
    int64_t failed;
    double best_ns;                       /* 0 before the first correct trial */
    double dense_ns;                      /* the best dense trial so far; 0 before */
    const char *best_family, *best_point; /* "" before */
    int round, n_rounds;                  /* n_rounds 0: still searching */
} spt_drive_progress;

/* One run of the tuner. Everything but session_added is set by the caller; session.uuid stays empty until the first new
 * measurement, which adds the session to the database. */
typedef struct spt_drive {
    spt_drive_meter meter;
    spt_db *db;
    const spt_device *device;
    spt_session session; /* seed, budget, strategy and policy text are those of this struct's other fields; its start is
                            now where it is 0 */
    bool session_added;
    const spt_strategy *strategy;
    const char
        *families; /* comma-separated names to search, NULL: all; the default and dense ones stay as yardsticks */
    bool only_this_build;         /* trials of other compilers or other versions of a library do not count as known */
    spt_seed_table *seeds;        /* winners of near problems are tried first, and new winners are added; NULL: none */
    const spt_variant_id *extras; /* measure these and nothing else, where they are valid; NULL: search */
    int n_extras;
    bool without_finals;   /* only search: the winner is what the search says so far */
    bool quick_finals;     /* one round of the best few where there is no final yet */
    double patience_s;     /* left for waiting until a disturbed machine is calm again, before final rounds */
    double finals_until_s; /* on now_s's clock: no rounds beyond the heats are begun after that; 0: no limit */
    bool without_bounds;   /* the search does not know what families' models expect */
    uint64_t seed;
    int64_t budget; /* trials per problem, known ones included */
    spt_measure_policy policy;
    double (*now_s)(void);                                            /* a monotonic clock */
    const volatile sig_atomic_t *stop;                                /* nonzero: end with what is known */
    void (*progress)(void *user, const spt_drive_progress *progress); /* NULL: silent */
    void *progress_user;
} spt_drive;

typedef struct spt_drive_result {
    spt_workload workload;
    spt_key key;
    bool has_winner;
    spt_winner winner;
    int64_t packed_bytes; /* of the winner */
    double pack_ns, compile_ns;
    double sparse_over_dense; /* speedup of the best sparse variant of the finals; 0 where unknown */
    int64_t evaluations;      /* budgeted asks */
    int64_t measured;         /* those of them that were not known before */
    int64_t failed;           /* compile, runtime, timeout, correctness */
    int64_t dropped;
    int rounds_measured;
    int64_t recorded; /* trials of any kind that this call added to the database */
    double gain;      /* what the next point is expected to gain, in log cost; INFINITY before the starts are over, -1
                         unknown */
    bool interrupted;
    double seconds;
} spt_drive_result;

/* Tune one problem. `a` is checked here. search_until_s: on drive->now_s's clock, INFINITY for no limit; the default,
 * the dense yardsticks and the finals are measured whatever the time.
 * Errors: EINVAL, EUNSUPPORTED (no family serves it), ENOMEM: this problem only; EIO: database or worker, so the run.
 */
spt_status spt_drive_problem(spt_drive_result *out, spt_drive *drive, const spt_csr *a, const spt_problem *problem,
                             double search_until_s);

/* The winner of result->key as the database has it now, with what is said of it in the result. */
spt_status spt_drive_find_winner(spt_drive_result *result, spt_db *db);

/* Is a family named in a comma-separated list? NULL names all. */
bool spt_drive_names_family(const char *families, const char *family);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Databases made of random records: identities from one small world, so that two databases share some of them, contents
 * from each database's own seed, so that they disagree about some of what they share. */
#ifndef SPT_TESTS_RANDOM_DB_H
#define SPT_TESTS_RANDOM_DB_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/random.h"
#include "core/text.h"
#include "db/put.h"

typedef struct random_world {
    int n_devices, n_patterns, n_problems, n_sessions, n_variants, n_rounds;
} random_world;

static inline int64_t random_pick(spt_random *random, int64_t n) {
    return (int64_t)spt_random_below(random, (uint64_t)n);
}

static inline void random_db_require(spt_status status) {
    if (status == SPT_OK)
        return;
    fprintf(stderr, "random_db: %s\n", spt_last_error());
    abort();
}

static inline void random_device(spt_device *out, int which, spt_random *random) {
    *out = (spt_device){.kind = SPT_CPU,
                        .isa = which % 2 ? SPT_ISA_AVX2 : SPT_ISA_AVX512,
                        .isa_set = "avx2+fma",
                        .vendor = "Maker",
                        .family = 6,
                        .model = which,
                        .l1d_bytes = 32768,
                        .l2_bytes = 1 << 20,
                        .name = "A chip",
                        .n_cores = 1 + (int)random_pick(random, 64)};
    if (random_pick(random, 3) > 0)
        snprintf(out->os, sizeof out->os, "Linux %d", (int)random_pick(random, 3));
    snprintf(out->key, sizeof out->key, "cpu|Maker|6|%d|avx2+fma|32768|1048576", which);
}

static inline void random_pattern(spt_item_pattern *out, int which, spt_random *random) {
    spt_features features = {.density = 0.1, .row_mean = 6.4, .bandwidth = 0.01 * (double)random_pick(random, 3)};
    *out = (spt_item_pattern){.n_rows = 64, .n_cols = 64, .nnz = 400 + which};
    out->fingerprint = spt_hash(&which, sizeof which);
    spt_features_text(out->features, sizeof out->features, &features);
}

static inline void random_problem(spt_item_problem *out, int which, const random_world *world) {
    char text[SPT_KEY_TEXT_MAX], fingerprint[SPT_HASH_TEXT_SIZE];
    const int pattern = which % world->n_patterns, device = which / 7 % world->n_devices;
    spt_hash_text(fingerprint, spt_hash(&pattern, sizeof pattern));
    snprintf(text, sizeof text, "v1|spmm|f32|%s|none|64|64|%d|1|hot|-|%s|cpu|Maker|6|%d|avx2+fma|32768|1048576",
             which % 2 ? "kn" : "nk", 1 + which, fingerprint, device);
    random_db_require(spt_item_problem_parse(out, text));
}

static inline void random_session(spt_session *out, int which, spt_random *random) {
    *out = (spt_session){.tool_version = "0.1", .strategy = "sweep", .budget = 100, .started_unix_s = 1000 + which};
    snprintf(out->uuid, sizeof out->uuid, "00000000-0000-4000-8000-%012d", which);
    if (random_pick(random, 3) > 0)
        snprintf(out->host, sizeof out->host, "host-%d", which % 5);
    snprintf(out->compiler, sizeof out->compiler, "cc %d", which % 3);
    snprintf(out->policy, sizeof out->policy, "v1 uses=%d", (int)random_pick(random, 2) * 100);
    out->seed = (uint64_t)which << 60; /* the upper bits, too */
}

static inline void random_variant(spt_variant_id *out, int which) {
    *out = (spt_variant_id){.revision = 1 + which / 7 % 2, .is_dense = which % 9 == 0};
    snprintf(out->family, sizeof out->family, "family_%d", which % 5);
    snprintf(out->point, sizeof out->point, "t=%d", which);
    if (which % 9 == 0)
        snprintf(out->library, sizeof out->library, "blas 0.%d", which % 3);
}

static inline spt_trial random_trial(spt_random *random, const random_world *world) {
    spt_trial trial = {.phase = (spt_phase)random_pick(random, 2)};
    spt_measurement *m = &trial.measurement;
    *m = (spt_measurement){.status = SPT_TRIAL_CORRECT,
                           .n_samples = 10,
                           .time_ns_median = 1000.0 / (double)(1 + random_pick(random, 7)),
                           .mad_ns = 0.1,
                           .ci_ns_low = 1.0 / 3.0,
                           .ci_ns_high = 2.0 / 3.0,
                           .packed_bytes = 4096};
    trial.round = trial.phase == SPT_PHASE_FINAL ? (int)random_pick(random, world->n_rounds) : 0;
    trial.variant.is_default = random_pick(random, 4) == 0;
    m->compile_ns = trial.variant.is_default ? 1e8 / 3.0 : 0.0;
    if (random_pick(random, 8) == 0) {
        m->status = (spt_trial_status)(1 + random_pick(random, SPT_TRIAL_STATUS_COUNT - 1));
        m->time_ns_median = (double)NAN;
        m->max_error = (double)INFINITY;
        if (random_pick(random, 2) == 0)
            snprintf(m->reason, sizeof m->reason, "it said \"%d\"", (int)random_pick(random, 2));
    }
    return trial;
}

/* Put n_trials random trials (some of one identity), and what they refer to, in one transaction. */
static inline void random_db_fill(spt_db *db, const random_world *world, uint64_t seed, int64_t n_trials) {
    spt_random random;
    int64_t id, variant_id, session_id;
    int last = -1;
    spt_random_init(&random, seed);
    random_db_require(spt_db_begin(db));
    for (int64_t i = 0; i < n_trials; i++) {
        spt_device device;
        spt_item_pattern pattern;
        spt_item_problem problem;
        spt_session session;
        spt_variant_id variant;
        /* runs of one problem, as a tuner leaves them */
        const int which = i % 16 == 0 || last < 0 ? (int)random_pick(&random, world->n_problems) : last;
        random_problem(&problem, which, world);
        if (which != last) {
            random_device(&device, which / 7 % world->n_devices, &random);
            random_pattern(&pattern, which % world->n_patterns, &random);
            random_db_require(spt_put_device(&id, db, &device));
            random_db_require(spt_put_pattern(db, &pattern));
            random_db_require(spt_put_problem(db, &problem, id));
            random_session(&session, (int)random_pick(&random, world->n_sessions), &random);
            random_db_require(spt_put_session(&session_id, db, &session));
        }
        last = which;
        random_variant(&variant, (int)random_pick(&random, world->n_variants));
        random_db_require(spt_put_variant(&variant_id, db, &variant, ""));
        const spt_trial trial = random_trial(&random, world);
        random_db_require(
            spt_put_trial(db, &problem.key.hash, session_id, variant_id, &trial, 1000000 + random_pick(&random, 3)));
    }
    random_db_require(spt_db_end(db, SPT_OK));
}

#endif

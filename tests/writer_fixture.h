/* SPDX-License-Identifier: Apache-2.0 */
/* One problem, and what writers commit about it: what tests of interrupted writers share. */
#ifndef SPT_TESTS_WRITER_FIXTURE_H
#define SPT_TESTS_WRITER_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>

#include "tests/random_db.h"
#include "tests/support.h"
#include "tests/unit.h"

enum { ROUND_VARIANTS = 3 };

static char folder[256], path[300];
static spt_device device;
static spt_workload workload;
static spt_key key;
static const spt_subject subject = {&key, &workload, &device};

static inline void writer_fixture_init(void) {
    spt_matrix matrix;
    const spt_problem problem = {.size = sizeof problem, .n = 64, .threads = 1};
    support_folder_make(folder, sizeof folder);
    snprintf(path, sizeof path, "%s/t.db", folder);
    support_pattern_build(&matrix, support_pattern_at(11));
    expect_ok(spt_device_detect(&device));
    expect_ok(spt_workload_init(&workload, &problem, &matrix.view));
    expect_ok(spt_key_init(&key, &workload, &device));
    spt_matrix_fini(&matrix);
}

static inline void writer_fixture_fini(void) {
    support_folder_remove(folder);
}

static inline spt_session writer_session(void) {
    spt_session session = {.host = "h", .tool_version = "1", .compiler = "cc", .strategy = "s", .policy = "v1 uses=0"};
    spt_uuid_new(session.uuid);
    return session;
}

/* Commit a final round of three variants, or one search trial. */
static inline spt_status writer_commit(spt_db *db, const spt_session *session, spt_phase phase, int round) {
    spt_trial trials[ROUND_VARIANTS];
    const int n_trials = phase == SPT_PHASE_FINAL ? ROUND_VARIANTS : 1;
    for (int i = 0; i < n_trials; i++) {
        trials[i] = (spt_trial){.phase = phase, .round = round};
        random_variant(&trials[i].variant, 1 + i);
        trials[i].variant.is_default = i == 0;
        trials[i].measurement =
            (spt_measurement){.status = SPT_TRIAL_CORRECT, .n_samples = 5, .time_ns_median = 100.0 + round + i};
    }
    return spt_db_trials_add(db, session, &subject, trials, n_trials);
}

/* A number that the environment may set. */
static inline long writer_setting(const char *name, long otherwise) {
    const char *given = getenv(name);
    return given != NULL ? atol(given) : otherwise;
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Writing sessions and trials as the tuner makes them: each call is one short transaction. */
#include <string.h>
#include <time.h>

#include "core/text.h"
#include "db/put.h"

static int64_t unix_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

spt_status spt_db_session_start(int64_t *unix_s, spt_db *db) {
    sqlite3_stmt *statement;
    int64_t latest = 0;
    SPT_TRY(spt_db_prepare(&statement, db, "SELECT coalesce(max(started_unix_s), 0) FROM session"));
    SPT_TRY(spt_db_one_integer(&latest, db, statement));
    *unix_s = (int64_t)time(NULL);
    if (*unix_s <= latest)
        *unix_s = latest < INT64_MAX ? latest + 1 : latest;
    return SPT_OK;
}

spt_status spt_db_session_add(spt_db *db, const spt_session *session) {
    int64_t id;
    SPT_TRY(spt_db_begin(db));
    return spt_db_end(db, spt_put_session(&id, db, session));
}

static spt_status put_subject(spt_db *db, const spt_subject *subject) {
    const spt_problem *problem = &subject->workload->problem;
    const spt_pattern *pattern = &subject->workload->pattern;
    spt_item_pattern pattern_item = {
        .fingerprint = pattern->fingerprint, .n_rows = pattern->n_rows, .n_cols = pattern->n_cols, .nnz = pattern->nnz};
    const spt_item_problem problem_item = {.key = *subject->key,
                                           .op = problem->op,
                                           .dtype = problem->dtype,
                                           .layout = problem->layout,
                                           .epilogue = problem->epilogue,
                                           .cache = problem->cache,
                                           .m = pattern->n_rows,
                                           .k = pattern->n_cols,
                                           .n = problem->n,
                                           .threads = problem->threads,
                                           .fingerprint = pattern->fingerprint};
    int64_t device;
    spt_features_text(pattern_item.features, sizeof pattern_item.features, &pattern->features);
    SPT_TRY(spt_put_device(&device, db, subject->device));
    SPT_TRY(spt_put_pattern(db, &pattern_item));
    return spt_put_problem(db, &problem_item, device);
}

/* What a library or the system said may hold anything; the record keeps plain characters. */
static void make_plain(char *text) {
    for (char *c = text; *c != '\0'; c++) {
        if (*c < ' ' || *c > '~')
            *c = '?';
    }
}

/* NEEDSWORK: source_hash stays '' until the build can tell one per family. */
static spt_status put_trials(spt_db *db, const spt_session *session, const spt_subject *subject,
                             const spt_trial *trials, int n_trials) {
    int64_t session_id, variant;
    SPT_TRY(put_subject(db, subject));
    spt_status status = spt_find_session(&session_id, db, session->uuid);
    if (status == SPT_ENOTFOUND) /* nothing referred to it yet, so another process took it out */
        status = spt_put_session(&session_id, db, session);
    SPT_TRY(status);
    for (int i = 0; i < n_trials; i++) {
        spt_trial trial = trials[i];
        make_plain(trial.measurement.reason);
        make_plain(trial.variant.library);
        SPT_TRY(spt_put_variant(&variant, db, &trial.variant, ""));
        SPT_TRY(spt_put_trial(db, &subject->key->hash, session_id, variant, &trial, unix_us()));
    }
    return SPT_OK;
}

spt_status spt_db_trials_add(spt_db *db, const spt_session *session, const spt_subject *subject,
                             const spt_trial *trials, int n_trials) {
    SPT_TRY(spt_db_begin(db));
    return spt_db_end(db, put_trials(db, session, subject, trials, n_trials));
}

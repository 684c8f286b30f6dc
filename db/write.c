/* SPDX-License-Identifier: Apache-2.0 */
/* Writing sessions and trials. Records are upserts by identity: of two with one identity the greater content hash
 * stays, whatever the order in which they come. */
#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <time.h>

#include "core/text.h"
#include "db/handle.h"

static void bind_real(sqlite3_stmt *statement, int index, double value) {
    if (isnan(value))
        sqlite3_bind_null(statement, index);
    else
        sqlite3_bind_double(statement, index, value);
}

static int64_t unix_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static spt_status add_toolchain(int64_t *id, spt_db *db, const spt_session *session) {
    sqlite3_stmt *statement;
    SPT_TRY(spt_db_prepare(&statement, db,
                           "INSERT INTO toolchain (tool_version, compiler) VALUES (?1, ?2) "
                           "ON CONFLICT DO NOTHING"));
    spt_bind_text(statement, 1, session->tool_version);
    spt_bind_text(statement, 2, session->compiler);
    SPT_TRY(spt_db_run(db, statement));
    SPT_TRY(spt_db_prepare(&statement, db, "SELECT id FROM toolchain WHERE tool_version = ?1 AND compiler = ?2"));
    spt_bind_text(statement, 1, session->tool_version);
    spt_bind_text(statement, 2, session->compiler);
    return spt_db_one_integer(id, db, statement);
}

static spt_status put_session(spt_db *db, const spt_session *session) {
    char content[SPT_POLICY_MAX + 512];
    spt_text text;
    spt_text_init(&text, content, sizeof content);
    spt_text_add(&text, "%s|%s|%s|%s|%s|%" PRIu64 "|%" PRId64 "|%s|%" PRId64, session->uuid, session->host,
                 session->tool_version, session->compiler, session->strategy, session->seed, session->budget,
                 session->policy, session->started_unix_s);
    const spt_hash128 hash = spt_hash(content, text.length);
    int64_t toolchain;
    SPT_TRY(add_toolchain(&toolchain, db, session));
    sqlite3_stmt *statement;
    SPT_TRY(spt_db_prepare(&statement, db,
                           "INSERT INTO session (uuid, host, toolchain, strategy, seed, budget, policy, started_unix_s,"
                           " content) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT (uuid) DO UPDATE SET "
                           "host = excluded.host, toolchain = excluded.toolchain, strategy = excluded.strategy, "
                           "seed = excluded.seed, budget = excluded.budget, policy = excluded.policy, "
                           "started_unix_s = excluded.started_unix_s, content = excluded.content "
                           "WHERE excluded.content > content"));
    spt_bind_text(statement, 1, session->uuid);
    spt_bind_text(statement, 2, session->host);
    sqlite3_bind_int64(statement, 3, toolchain);
    spt_bind_text(statement, 4, session->strategy);
    sqlite3_bind_int64(statement, 5, (int64_t)session->seed);
    sqlite3_bind_int64(statement, 6, session->budget);
    spt_bind_text(statement, 7, session->policy);
    sqlite3_bind_int64(statement, 8, session->started_unix_s);
    spt_bind_hash(statement, 9, &hash);
    return spt_db_run(db, statement);
}

spt_status spt_db_session_add(spt_db *db, const spt_session *session) {
    SPT_TRY(spt_db_begin(db));
    return spt_db_end(db, put_session(db, session));
}

static spt_status put_device(int64_t *id, spt_db *db, const spt_device *device) {
    char content[1024];
    spt_text text;
    spt_text_init(&text, content, sizeof content);
    spt_text_add(&text, "%s|%s|%d|%" PRId64 "|%d|%s", device->key, device->name, device->stepping, device->l3_bytes,
                 device->n_cores, device->os);
    const spt_hash128 hash = spt_hash(content, text.length);
    sqlite3_stmt *statement;
    SPT_TRY(spt_db_prepare(&statement, db,
                           "INSERT INTO device (key, kind, isa, isa_set, vendor, family, model, l1d_bytes, l2_bytes,"
                           " name, stepping, l3_bytes, n_cores, os, content) "
                           "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15) "
                           "ON CONFLICT (key) DO UPDATE SET name = excluded.name, stepping = excluded.stepping, "
                           "l3_bytes = excluded.l3_bytes, n_cores = excluded.n_cores, os = excluded.os, "
                           "content = excluded.content WHERE excluded.content > content"));
    const int64_t numbers[] = {device->family,   device->model,    device->l1d_bytes, device->l2_bytes,
                               device->stepping, device->l3_bytes, device->n_cores};
    const int places[] = {6, 7, 8, 9, 11, 12, 13};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
        sqlite3_bind_int64(statement, places[i], numbers[i]);
    spt_bind_text(statement, 1, device->key);
    spt_bind_text(statement, 2, spt_device_kind_name(device->kind));
    spt_bind_text(statement, 3, spt_isa_name(device->isa));
    spt_bind_text(statement, 4, device->isa_set);
    spt_bind_text(statement, 5, device->vendor);
    spt_bind_text(statement, 10, device->name);
    spt_bind_text(statement, 14, device->os);
    spt_bind_hash(statement, 15, &hash);
    SPT_TRY(spt_db_run(db, statement));
    SPT_TRY(spt_db_prepare(&statement, db, "SELECT id FROM device WHERE key = ?1"));
    spt_bind_text(statement, 1, device->key);
    return spt_db_one_integer(id, db, statement);
}

static spt_status put_pattern(spt_db *db, const spt_pattern *pattern) {
    char features[512];
    spt_features_text(features, sizeof features, &pattern->features);
    const spt_hash128 hash = spt_hash(features, strlen(features));
    sqlite3_stmt *statement;
    SPT_TRY(
        spt_db_prepare(&statement, db,
                       "INSERT INTO pattern (fingerprint, n_rows, n_cols, nnz, features, content) "
                       "VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (fingerprint) DO UPDATE SET "
                       "features = excluded.features, content = excluded.content WHERE excluded.content > content"));
    spt_bind_hash(statement, 1, &pattern->fingerprint);
    sqlite3_bind_int64(statement, 2, pattern->n_rows);
    sqlite3_bind_int64(statement, 3, pattern->n_cols);
    sqlite3_bind_int64(statement, 4, pattern->nnz);
    spt_bind_text(statement, 5, features);
    spt_bind_hash(statement, 6, &hash);
    return spt_db_run(db, statement);
}

static spt_status put_problem(spt_db *db, const spt_subject *subject) {
    const spt_problem *problem = &subject->workload->problem;
    const spt_pattern *pattern = &subject->workload->pattern;
    int64_t device;
    sqlite3_stmt *statement;
    SPT_TRY(put_device(&device, db, subject->device));
    SPT_TRY(put_pattern(db, pattern));
    SPT_TRY(spt_db_prepare(&statement, db,
                           "INSERT INTO problem (key, text, device, fingerprint, op, dtype, layout, epilogue, m, k, n,"
                           " threads, cache) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13) "
                           "ON CONFLICT DO NOTHING"));
    spt_bind_hash(statement, 1, &subject->key->hash);
    spt_bind_text(statement, 2, subject->key->text);
    sqlite3_bind_int64(statement, 3, device);
    spt_bind_hash(statement, 4, &pattern->fingerprint);
    spt_bind_text(statement, 5, spt_op_name(problem->op));
    spt_bind_text(statement, 6, spt_dtype_name(problem->dtype));
    spt_bind_text(statement, 7, spt_layout_name(problem->layout));
    spt_bind_text(statement, 8, spt_epilogue_name(problem->epilogue));
    sqlite3_bind_int64(statement, 9, pattern->n_rows);
    sqlite3_bind_int64(statement, 10, pattern->n_cols);
    sqlite3_bind_int64(statement, 11, problem->n);
    sqlite3_bind_int64(statement, 12, problem->threads);
    spt_bind_text(statement, 13, spt_cache_name(problem->cache));
    return spt_db_run(db, statement);
}

/* NEEDSWORK: source_hash stays '' until the build can tell one per family. */
static spt_status put_variant(int64_t *id, spt_db *db, const spt_variant_id *variant) {
    static const char *const statements[] = {
        "INSERT INTO variant (family, revision, point, source_hash, library, is_dense) VALUES (?1, ?2, ?3, '', ?4, ?5) "
        "ON CONFLICT DO NOTHING",
        "SELECT id FROM variant WHERE family = ?1 AND revision = ?2 AND point = ?3 AND source_hash = '' "
        "AND library = ?4",
    };
    for (int i = 0; i < 2; i++) {
        sqlite3_stmt *statement;
        SPT_TRY(spt_db_prepare(&statement, db, statements[i]));
        spt_bind_text(statement, 1, variant->family);
        sqlite3_bind_int64(statement, 2, variant->revision);
        spt_bind_text(statement, 3, variant->point);
        spt_bind_text(statement, 4, variant->library);
        if (i == 0)
            sqlite3_bind_int64(statement, 5, variant->is_dense);
        SPT_TRY(i == 0 ? spt_db_run(db, statement) : spt_db_one_integer(id, db, statement));
    }
    return SPT_OK;
}

static spt_hash128 trial_content(const spt_trial *trial) {
    const spt_measurement *measurement = &trial->measurement;
    char content[1024];
    spt_text text;
    spt_text_init(&text, content, sizeof content);
    spt_text_add(&text, "%d|%s|%d|%.17g|%.17g|%.17g|%.17g|%.17g|%" PRId64 "|%" PRId64 "|%.17g|%s",
                 trial->variant.is_default, spt_trial_status_name(measurement->status), measurement->n_samples,
                 measurement->time_ns_median, measurement->mad_ns, measurement->ci_ns_low, measurement->ci_ns_high,
                 measurement->max_error, measurement->workspace_bytes, measurement->packed_bytes, measurement->pack_ns,
                 measurement->reason);
    return spt_hash(content, text.length);
}

static spt_status put_trial(spt_db *db, int64_t session, const spt_key *key, const spt_trial *trial) {
    const spt_measurement *measurement = &trial->measurement;
    const spt_hash128 hash = trial_content(trial);
    int64_t variant;
    sqlite3_stmt *statement;
    SPT_TRY(put_variant(&variant, db, &trial->variant));
    SPT_TRY(spt_db_prepare(
        &statement, db,
        "INSERT INTO trial (key, session, variant, phase, round, is_default, status, n_samples, time_ns_median, mad_ns,"
        " ci_ns_low, ci_ns_high, max_error, workspace_bytes, packed_bytes, pack_ns, reason, recorded_unix_us, content) "
        "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19) "
        "ON CONFLICT (key, session, variant, phase, round) DO UPDATE SET is_default = excluded.is_default, "
        "status = excluded.status, n_samples = excluded.n_samples, time_ns_median = excluded.time_ns_median, "
        "mad_ns = excluded.mad_ns, ci_ns_low = excluded.ci_ns_low, ci_ns_high = excluded.ci_ns_high, "
        "max_error = excluded.max_error, workspace_bytes = excluded.workspace_bytes, "
        "packed_bytes = excluded.packed_bytes, pack_ns = excluded.pack_ns, reason = excluded.reason, "
        "recorded_unix_us = excluded.recorded_unix_us, content = excluded.content WHERE excluded.content > content"));
    spt_bind_hash(statement, 1, &key->hash);
    sqlite3_bind_int64(statement, 2, session);
    sqlite3_bind_int64(statement, 3, variant);
    spt_bind_text(statement, 4, spt_phase_name(trial->phase));
    sqlite3_bind_int64(statement, 5, trial->round);
    sqlite3_bind_int64(statement, 6, trial->variant.is_default);
    spt_bind_text(statement, 7, spt_trial_status_name(measurement->status));
    sqlite3_bind_int64(statement, 8, measurement->n_samples);
    bind_real(statement, 9, measurement->time_ns_median);
    bind_real(statement, 10, measurement->mad_ns);
    bind_real(statement, 11, measurement->ci_ns_low);
    bind_real(statement, 12, measurement->ci_ns_high);
    bind_real(statement, 13, measurement->max_error);
    sqlite3_bind_int64(statement, 14, measurement->workspace_bytes);
    sqlite3_bind_int64(statement, 15, measurement->packed_bytes);
    bind_real(statement, 16, measurement->pack_ns);
    spt_bind_text(statement, 17, measurement->reason);
    sqlite3_bind_int64(statement, 18, unix_us());
    spt_bind_hash(statement, 19, &hash);
    return spt_db_run(db, statement);
}

static spt_status put_trials(spt_db *db, const spt_session *session, const spt_subject *subject,
                             const spt_trial *trials, int n_trials) {
    int64_t session_id;
    sqlite3_stmt *statement;
    SPT_TRY(put_problem(db, subject));
    SPT_TRY(spt_db_prepare(&statement, db, "SELECT id FROM session WHERE uuid = ?1"));
    spt_bind_text(statement, 1, session->uuid);
    SPT_TRY(spt_db_one_integer(&session_id, db, statement));
    for (int i = 0; i < n_trials; i++)
        SPT_TRY(put_trial(db, session_id, subject->key, &trials[i]));
    return SPT_OK;
}

spt_status spt_db_trials_add(spt_db *db, const spt_session *session, const spt_subject *subject,
                             const spt_trial *trials, int n_trials) {
    SPT_TRY(spt_db_begin(db));
    return spt_db_end(db, put_trials(db, session, subject, trials, n_trials));
}

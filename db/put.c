/* SPDX-License-Identifier: Apache-2.0 */
/* Upserts of records; see put.h. Row values compare from left to right, so "says more, then greater hash" is one
 * comparison. */
#include "db/put.h"

#include <string.h>

static const char find_device_sql[] = "SELECT id FROM device WHERE key = ?1";
static const char find_session_sql[] = "SELECT id FROM session WHERE uuid = ?1";
static const char has_pattern_sql[] = "SELECT 1 FROM pattern WHERE fingerprint = ?1";
static const char has_problem_sql[] = "SELECT 1 FROM problem WHERE key = ?1";

static spt_status find_by_text(int64_t *id, spt_db *db, const char *sql, const char *text) {
    sqlite3_stmt *statement;
    SPT_TRY(spt_db_cached(&statement, db, sql));
    spt_bind_text(statement, 1, text);
    return spt_db_one_integer(id, db, statement);
}

static spt_status find_by_hash(spt_db *db, const char *sql, const spt_hash128 *hash) {
    sqlite3_stmt *statement;
    int64_t one;
    SPT_TRY(spt_db_cached(&statement, db, sql));
    spt_bind_hash(statement, 1, hash);
    return spt_db_one_integer(&one, db, statement);
}

spt_status spt_find_device(int64_t *id, spt_db *db, const char *key) {
    return find_by_text(id, db, find_device_sql, key);
}

spt_status spt_find_session(int64_t *id, spt_db *db, const char *uuid) {
    return find_by_text(id, db, find_session_sql, uuid);
}

spt_status spt_has_pattern(spt_db *db, const spt_hash128 *fingerprint) {
    return find_by_hash(db, has_pattern_sql, fingerprint);
}

spt_status spt_has_problem(spt_db *db, const spt_hash128 *key) {
    return find_by_hash(db, has_problem_sql, key);
}

static const char put_device_sql[] =
    "INSERT INTO device (key, kind, isa, isa_set, vendor, family, model, l1d_bytes, l2_bytes, name, stepping, l3_bytes,"
    " n_cores, os, content) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15) "
    "ON CONFLICT (key) DO UPDATE SET isa = excluded.isa, name = excluded.name, stepping = excluded.stepping,"
    " l3_bytes = excluded.l3_bytes, n_cores = excluded.n_cores, os = excluded.os, content = excluded.content "
    "WHERE (excluded.os <> '', excluded.content) > (os <> '', content)";

spt_status spt_put_device(int64_t *id, spt_db *db, const spt_device *device) {
    const spt_hash128 content = spt_device_content(device);
    const int64_t numbers[] = {device->family,   device->model,    device->l1d_bytes, device->l2_bytes,
                               device->stepping, device->l3_bytes, device->n_cores};
    const int places[] = {6, 7, 8, 9, 11, 12, 13};
    sqlite3_stmt *statement;
    SPT_TRY(spt_db_cached(&statement, db, put_device_sql));
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
        sqlite3_bind_int64(statement, places[i], numbers[i]);
    spt_bind_text(statement, 1, device->key);
    spt_bind_text(statement, 2, spt_device_kind_name(device->kind));
    spt_bind_text(statement, 3, spt_isa_name(device->isa));
    spt_bind_text(statement, 4, device->isa_set);
    spt_bind_text(statement, 5, device->vendor);
    spt_bind_text(statement, 10, device->name);
    spt_bind_text(statement, 14, device->os);
    spt_bind_hash(statement, 15, &content);
    SPT_TRY(spt_db_run(db, statement));
    return spt_find_device(id, db, device->key);
}

static const char put_pattern_sql[] =
    "INSERT INTO pattern (fingerprint, n_rows, n_cols, nnz, features, content) VALUES (?1, ?2, ?3, ?4, ?5, ?6) "
    "ON CONFLICT (fingerprint) DO UPDATE SET n_rows = excluded.n_rows, n_cols = excluded.n_cols, nnz = excluded.nnz,"
    " features = excluded.features, content = excluded.content WHERE excluded.content > content";
static const char put_positions_sql[] =
    "UPDATE pattern SET positions = ?2 WHERE fingerprint = ?1 AND (positions IS NULL OR ?2 > positions)";

spt_status spt_put_pattern(spt_db *db, const spt_item_pattern *pattern) {
    const spt_hash128 content = spt_pattern_content(pattern);
    sqlite3_stmt *statement;
    SPT_TRY(spt_db_cached(&statement, db, put_pattern_sql));
    spt_bind_hash(statement, 1, &pattern->fingerprint);
    sqlite3_bind_int64(statement, 2, pattern->n_rows);
    sqlite3_bind_int64(statement, 3, pattern->n_cols);
    sqlite3_bind_int64(statement, 4, pattern->nnz);
    spt_bind_text(statement, 5, pattern->features);
    spt_bind_hash(statement, 6, &content);
    SPT_TRY(spt_db_run(db, statement));
    if (pattern->positions == NULL)
        return SPT_OK;
    SPT_TRY(spt_db_cached(&statement, db, put_positions_sql));
    spt_bind_hash(statement, 1, &pattern->fingerprint);
    sqlite3_bind_blob64(statement, 2, pattern->positions, pattern->positions_bytes, SQLITE_STATIC);
    return spt_db_run(db, statement);
}

static const char put_problem_sql[] =
    "INSERT INTO problem (key, text, device, fingerprint, op, dtype, layout, epilogue, m, k, n, threads, cache) "
    "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13) ON CONFLICT DO NOTHING";

spt_status spt_put_problem(spt_db *db, const spt_item_problem *problem, int64_t device) {
    sqlite3_stmt *statement;
    SPT_TRY(spt_db_cached(&statement, db, put_problem_sql));
    spt_bind_hash(statement, 1, &problem->key.hash);
    spt_bind_text(statement, 2, problem->key.text);
    sqlite3_bind_int64(statement, 3, device);
    spt_bind_hash(statement, 4, &problem->fingerprint);
    spt_bind_text(statement, 5, spt_op_name(problem->op));
    spt_bind_text(statement, 6, spt_dtype_name(problem->dtype));
    spt_bind_text(statement, 7, spt_layout_name(problem->layout));
    spt_bind_text(statement, 8, spt_epilogue_name(problem->epilogue));
    sqlite3_bind_int64(statement, 9, problem->m);
    sqlite3_bind_int64(statement, 10, problem->k);
    sqlite3_bind_int64(statement, 11, problem->n);
    sqlite3_bind_int64(statement, 12, problem->threads);
    spt_bind_text(statement, 13, spt_cache_name(problem->cache));
    return spt_db_run(db, statement);
}

static const char put_toolchain_sql[] =
    "INSERT INTO toolchain (tool_version, compiler) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
static const char find_toolchain_sql[] = "SELECT id FROM toolchain WHERE tool_version = ?1 AND compiler = ?2";

static spt_status put_toolchain(int64_t *id, spt_db *db, const spt_session *session) {
    sqlite3_stmt *statement;
    SPT_TRY(spt_db_cached(&statement, db, put_toolchain_sql));
    spt_bind_text(statement, 1, session->tool_version);
    spt_bind_text(statement, 2, session->compiler);
    SPT_TRY(spt_db_run(db, statement));
    SPT_TRY(spt_db_cached(&statement, db, find_toolchain_sql));
    spt_bind_text(statement, 1, session->tool_version);
    spt_bind_text(statement, 2, session->compiler);
    return spt_db_one_integer(id, db, statement);
}

static const char put_session_sql[] =
    "INSERT INTO session (uuid, host, toolchain, strategy, seed, budget, policy, started_unix_s, content) "
    "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT (uuid) DO UPDATE SET host = excluded.host,"
    " toolchain = excluded.toolchain, strategy = excluded.strategy, seed = excluded.seed, budget = excluded.budget,"
    " policy = excluded.policy, started_unix_s = excluded.started_unix_s, content = excluded.content "
    "WHERE (excluded.host <> '', excluded.content) > (host <> '', content)";

spt_status spt_put_session(int64_t *id, spt_db *db, const spt_session *session) {
    const spt_hash128 content = spt_session_content(session);
    int64_t toolchain, known_id;
    sqlite3_stmt *statement;
    const bool is_known = spt_find_session(&known_id, db, session->uuid) == SPT_OK;
    SPT_TRY(put_toolchain(&toolchain, db, session));
    SPT_TRY(spt_db_cached(&statement, db, put_session_sql));
    spt_bind_text(statement, 1, session->uuid);
    spt_bind_text(statement, 2, session->host);
    sqlite3_bind_int64(statement, 3, toolchain);
    spt_bind_text(statement, 4, session->strategy);
    sqlite3_bind_int64(statement, 5, (int64_t)session->seed);
    sqlite3_bind_int64(statement, 6, session->budget);
    spt_bind_text(statement, 7, session->policy);
    sqlite3_bind_int64(statement, 8, session->started_unix_s);
    spt_bind_hash(statement, 9, &content);
    SPT_TRY(spt_db_run(db, statement));
    db->has_replaced_session |= is_known && sqlite3_changes(db->handle) > 0;
    return spt_find_session(id, db, session->uuid);
}

static const char put_variant_sql[] =
    "INSERT INTO variant (family, revision, point, source_hash, library, is_dense) VALUES (?1, ?2, ?3, ?4, ?5, ?6) "
    "ON CONFLICT DO UPDATE SET is_dense = 1 WHERE excluded.is_dense > is_dense";
static const char find_variant_sql[] = "SELECT id FROM variant WHERE family = ?1 AND revision = ?2 AND point = ?3 "
                                       "AND source_hash = ?4 AND library = ?5";

spt_status spt_put_variant(int64_t *id, spt_db *db, const spt_variant_id *variant, const char *source_hash) {
    const char *const statements[] = {put_variant_sql, find_variant_sql};
    for (int i = 0; i < 2; i++) {
        sqlite3_stmt *statement;
        SPT_TRY(spt_db_cached(&statement, db, statements[i]));
        spt_bind_text(statement, 1, variant->family);
        sqlite3_bind_int64(statement, 2, variant->revision);
        spt_bind_text(statement, 3, variant->point);
        spt_bind_text(statement, 4, source_hash);
        spt_bind_text(statement, 5, variant->library);
        if (i == 0)
            sqlite3_bind_int64(statement, 6, variant->is_dense);
        SPT_TRY(i == 0 ? spt_db_run(db, statement) : spt_db_one_integer(id, db, statement));
    }
    return SPT_OK;
}

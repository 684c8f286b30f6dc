/* SPDX-License-Identifier: Apache-2.0 */
/* Reading for the tuner: the trials of a key, its winners, and what is in a file. */
#include <math.h>

#include "core/memory.h"
#include "core/text.h"
#include "db/handle.h"
#include "db/reader_row.h"

#define TRIALS_SQL(compile_ns)                                                                                         \
    "SELECT v.family, v.revision, v.point, v.is_dense, t.is_default, v.library, t.phase, t.round, t.status, "          \
    "t.n_samples,"                                                                                                     \
    " t.time_ns_median, t.mad_ns, t.ci_ns_low, t.ci_ns_high, t.max_error, t.workspace_bytes, t.packed_bytes,"          \
    " t.pack_ns, t.reason, " compile_ns " FROM trial t JOIN variant v ON v.id = t.variant JOIN session s"              \
    " ON s.id = t.session JOIN toolchain c ON c.id = s.toolchain "                                                     \
    "WHERE t.key = ?1 AND (?2 IS NULL OR s.policy = ?2) AND (?3 IS NULL OR c.compiler = ?3) ORDER BY "                 \
    "t.recorded_unix_us, s.uuid, t.round, t.variant"
static const char *const trials_sql[] = {TRIALS_SQL("0.0"), TRIALS_SQL("t.compile_ns")};

/* A NaN is stored as NULL. */
static double take_real(sqlite3_stmt *row, int column) {
    return sqlite3_column_type(row, column) == SQLITE_NULL ? NAN : sqlite3_column_double(row, column);
}

static bool take_trial(spt_trial *out, sqlite3_stmt *row) {
    spt_measurement *measurement = &out->measurement;
    char phase[16], status[16];
    int64_t revision, is_dense, is_default, round, n_samples;
    if (!spt_row_text(out->variant.family, sizeof out->variant.family, row, 0) ||
        !spt_row_integer(&revision, row, 1, 0, INT32_MAX) ||
        !spt_row_text(out->variant.point, sizeof out->variant.point, row, 2) ||
        !spt_row_integer(&is_dense, row, 3, 0, 1) || !spt_row_integer(&is_default, row, 4, 0, 1) ||
        !spt_row_text(out->variant.library, sizeof out->variant.library, row, 5) ||
        !spt_row_text(phase, sizeof phase, row, 6) || spt_phase_parse(&out->phase, phase) != SPT_OK ||
        !spt_row_integer(&round, row, 7, 0, INT32_MAX) || !spt_row_text(status, sizeof status, row, 8) ||
        spt_trial_status_parse(&measurement->status, status) != SPT_OK ||
        !spt_row_integer(&n_samples, row, 9, 0, INT32_MAX))
        return false;
    out->variant.revision = (int)revision;
    out->variant.is_dense = is_dense != 0;
    out->variant.is_default = is_default != 0;
    out->round = (int)round;
    measurement->n_samples = (int)n_samples;
    double *const reals[] = {&measurement->time_ns_median, &measurement->mad_ns, &measurement->ci_ns_low,
                             &measurement->ci_ns_high, &measurement->max_error};
    for (int i = 0; i < 5; i++)
        *reals[i] = take_real(row, 10 + i);
    measurement->workspace_bytes = sqlite3_column_int64(row, 15);
    measurement->packed_bytes = sqlite3_column_int64(row, 16);
    measurement->pack_ns = take_real(row, 17);
    measurement->compile_ns = take_real(row, 19);
    return spt_row_text(measurement->reason, sizeof measurement->reason, row, 18);
}

static spt_status collect_trials(spt_trial_list *out, spt_db *db, sqlite3_stmt *statement) {
    int64_t capacity = 0;
    int rc;
    while ((rc = sqlite3_step(statement)) == SQLITE_ROW) {
        spt_trial trial = {0};
        if (!take_trial(&trial, statement))
            continue;
        void *items = out->items;
        SPT_TRY(spt_grow(&items, &capacity, out->count, sizeof *out->items));
        out->items = items;
        out->items[out->count++] = trial;
    }
    return rc == SQLITE_DONE ? SPT_OK : spt_sqlite_fail(db->handle, rc, db->path);
}

spt_status spt_db_trials_read(spt_trial_list *out, spt_db *db, const spt_key *key, const char *policy) {
    return spt_db_trials_read_built(out, db, key, policy, NULL);
}

spt_status spt_db_trials_read_built(spt_trial_list *out, spt_db *db, const spt_key *key, const char *policy,
                                    const char *compiler) {
    sqlite3_stmt *statement;
    *out = (spt_trial_list){0};
    SPT_TRY(spt_db_prepare(&statement, db, trials_sql[db->has_compile_times]));
    spt_bind_hash(statement, 1, &key->hash);
    if (policy != NULL)
        spt_bind_text(statement, 2, policy);
    if (compiler != NULL)
        spt_bind_text(statement, 3, compiler);
    const spt_status status = collect_trials(out, db, statement);
    sqlite3_finalize(statement);
    if (status != SPT_OK)
        spt_trial_list_fini(out);
    return status;
}

/* As spt_run_newest_first orders them. */
static const char newest_sql[] = "SELECT policy FROM session WHERE id IN (SELECT session FROM trial WHERE key = ?1) "
                                 "ORDER BY started_unix_s DESC, uuid DESC, id LIMIT 1";

spt_status spt_db_policy_newest(char out[SPT_POLICY_MAX], spt_db *db, const spt_key *key) {
    sqlite3_stmt *statement;
    SPT_TRY(spt_db_prepare(&statement, db, newest_sql));
    spt_bind_hash(statement, 1, &key->hash);
    const int rc = sqlite3_step(statement);
    spt_status status = SPT_ENOTFOUND;
    if (rc == SQLITE_ROW)
        status = spt_row_text(out, SPT_POLICY_MAX, statement, 0) ? SPT_OK : SPT_ENOTFOUND;
    else if (rc != SQLITE_DONE)
        status = spt_sqlite_fail(db->handle, rc, db->path);
    sqlite3_finalize(statement);
    return status;
}

void spt_trial_list_fini(spt_trial_list *list) {
    spt_free(list->items);
    *list = (spt_trial_list){0};
}

spt_status spt_db_winners_find(spt_winner_list *out, spt_db *db, const spt_key *key) {
    sqlite3_stmt *statement;
    SPT_TRY(spt_db_prepare(&statement, db, SPT_WINNERS_OF_KEY));
    spt_bind_hash(statement, 1, &key->hash);
    const spt_status status = spt_winners_collect_all(out, statement, db->handle, db->path);
    sqlite3_finalize(statement);
    return status;
}

typedef struct count_row {
    const char *sql;
    int64_t *out;
} count_row;

static spt_status check_integrity(char *out, size_t capacity, spt_db *db) {
    sqlite3_stmt *statement;
    SPT_TRY(spt_db_prepare(&statement, db, "PRAGMA integrity_check(1)"));
    const int rc = sqlite3_step(statement);
    const unsigned char *text = rc == SQLITE_ROW ? sqlite3_column_text(statement, 0) : NULL;
    spt_copy_text(out, capacity, text != NULL ? (const char *)text : sqlite3_errmsg(db->handle));
    sqlite3_finalize(statement);
    return SPT_OK;
}

spt_status spt_db_info_read(spt_db_info *out, spt_db *db) {
    const count_row counts[] = {
        {"SELECT count(*) FROM device", &out->devices},
        {"SELECT count(*) FROM pattern", &out->patterns},
        {"SELECT count(*) FROM problem", &out->problems},
        {"SELECT count(*) FROM trial", &out->trials},
        {"SELECT count(*) FROM winner WHERE rank = 0", &out->winners},
        {"SELECT count(*) FROM session", &out->sessions},
    };
    *out = (spt_db_info){0};
    SPT_TRY(
        spt_sqlite_version(&out->schema_version, db->handle, db->path, SPT_DB_SCHEMA_OLDEST, SPT_DB_SCHEMA_VERSION));
    SPT_TRY(check_integrity(out->integrity, sizeof out->integrity, db));
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        sqlite3_stmt *statement;
        SPT_TRY(spt_db_prepare(&statement, db, counts[i].sql));
        SPT_TRY(spt_db_one_integer(counts[i].out, db, statement));
    }
    return SPT_OK;
}

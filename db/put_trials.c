/* SPDX-License-Identifier: Apache-2.0 */
/* Trials of one problem, put into their tree by one statement. It reads them through a virtual table of this
 * connection, which costs half of binding and stepping each of them. */
#include <math.h>
#include <stddef.h>

#include "core/memory.h"
#include "db/put.h"

/* The columns in the order of the tree; the first five are its key. `columns` says where each comes from. */
#define COLUMNS                                                                                                        \
    "key, session, variant, phase, round, is_default, status, n_samples, time_ns_median, mad_ns, ci_ns_low,"           \
    " ci_ns_high, max_error, workspace_bytes, packed_bytes, pack_ns, reason, recorded_unix_us, content, compile_ns"

static const char declare_sql[] = "CREATE TABLE given_trial (" COLUMNS ")";
static const char create_sql[] = "CREATE VIRTUAL TABLE temp.given_trial USING spt_given_trial";
/* Row values compare from left to right, so "says more, then greater hash, then later" is one comparison. A row that is
 * refused ends the statement without undoing it, which saves a journal: callers roll back. */
static const char put_sql[] =
    "INSERT OR FAIL INTO main.trial (" COLUMNS ") SELECT " COLUMNS " FROM temp.given_trial WHERE true "
    "ON CONFLICT (key, session, variant, phase, round) DO UPDATE SET is_default = excluded.is_default,"
    " status = excluded.status, n_samples = excluded.n_samples, time_ns_median = excluded.time_ns_median,"
    " mad_ns = excluded.mad_ns, ci_ns_low = excluded.ci_ns_low, ci_ns_high = excluded.ci_ns_high,"
    " max_error = excluded.max_error, workspace_bytes = excluded.workspace_bytes,"
    " packed_bytes = excluded.packed_bytes, pack_ns = excluded.pack_ns, reason = excluded.reason,"
    " recorded_unix_us = excluded.recorded_unix_us, content = excluded.content, compile_ns = excluded.compile_ns "
    "WHERE (excluded.reason <> '', excluded.content, excluded.recorded_unix_us) >"
    " (reason <> '', content, recorded_unix_us)";

/* ---- the virtual table: the rows that db->given names, from the first to the last ---- */

typedef struct given_cursor {
    sqlite3_vtab_cursor base;
    const spt_trial_batch *batch;
    int64_t at;
} given_cursor;

/* One scan runs at a time, so its cursor is part of the table: a trial that was measured is not lost for want of one.
 */
typedef struct given_table {
    sqlite3_vtab base;
    const spt_db *db;
    given_cursor cursor;
    bool is_scanned;
} given_table;

static int connect_table(sqlite3 *handle, void *user, int n_arguments, const char *const *arguments, sqlite3_vtab **out,
                         char **error) {
    given_table *table;
    (void)n_arguments, (void)arguments, (void)error;
    if (SPT_NEW_ZEROED(table, 1) != SPT_OK)
        return SQLITE_NOMEM;
    table->db = user;
    *out = &table->base;
    return sqlite3_declare_vtab(handle, declare_sql);
}

static int disconnect_table(sqlite3_vtab *table) {
    spt_free(table);
    return SQLITE_OK;
}

static int plan_scan(sqlite3_vtab *table, sqlite3_index_info *info) {
    (void)table;
    info->estimatedCost = 1.0;
    return SQLITE_OK;
}

static int open_cursor(sqlite3_vtab *base, sqlite3_vtab_cursor **out) {
    given_table *table = (given_table *)base;
    if (table->is_scanned)
        return SQLITE_MISUSE;
    table->is_scanned = true;
    *out = &table->cursor.base;
    return SQLITE_OK;
}

static int close_cursor(sqlite3_vtab_cursor *cursor) {
    ((given_table *)cursor->pVtab)->is_scanned = false;
    return SQLITE_OK;
}

static void skip_stored(given_cursor *cursor) {
    while (cursor->at < cursor->batch->count && cursor->batch->rows[cursor->at].is_stored)
        cursor->at++;
}

static int rewind_cursor(sqlite3_vtab_cursor *base, int plan, const char *plan_text, int n_values,
                         sqlite3_value **values) {
    static const spt_trial_batch nothing = {0};
    given_cursor *cursor = (given_cursor *)base;
    const given_table *table = (const given_table *)base->pVtab;
    (void)plan, (void)plan_text, (void)n_values, (void)values;
    cursor->batch = table->db->given != NULL ? table->db->given : &nothing;
    cursor->at = 0;
    skip_stored(cursor);
    return SQLITE_OK;
}

static int next_row(sqlite3_vtab_cursor *base) {
    given_cursor *cursor = (given_cursor *)base;
    cursor->at++;
    skip_stored(cursor);
    return SQLITE_OK;
}

static int is_at_end(sqlite3_vtab_cursor *base) {
    const given_cursor *cursor = (const given_cursor *)base;
    return cursor->at >= cursor->batch->count;
}

static void give_hash(sqlite3_context *out, const spt_hash128 *hash) {
    sqlite3_result_blob(out, hash->bytes, sizeof hash->bytes, SQLITE_STATIC);
}

static void give_text(sqlite3_context *out, const char *text) {
    sqlite3_result_text(out, text, -1, SQLITE_STATIC);
}

/* A NaN becomes NULL. */
static void give_real(sqlite3_context *out, double value) {
    if (isnan(value))
        sqlite3_result_null(out);
    else
        sqlite3_result_double(out, value);
}

typedef enum column_kind { KEY, HASH, TEXT, PHASE, STATUS, TRUTH, NUMBER, LARGE_NUMBER, REAL } column_kind;

/* Where in a row a column comes from. */
typedef struct column {
    column_kind kind;
    size_t offset;
} column;

#define AT(field) offsetof(spt_trial_row, field)
static const column columns[] = {
    {KEY, 0},
    {LARGE_NUMBER, AT(session)},
    {LARGE_NUMBER, AT(variant)},
    {PHASE, AT(phase)},
    {NUMBER, AT(round)},
    {TRUTH, AT(is_default)},
    {STATUS, AT(measurement.status)},
    {NUMBER, AT(measurement.n_samples)},
    {REAL, AT(measurement.time_ns_median)},
    {REAL, AT(measurement.mad_ns)},
    {REAL, AT(measurement.ci_ns_low)},
    {REAL, AT(measurement.ci_ns_high)},
    {REAL, AT(measurement.max_error)},
    {LARGE_NUMBER, AT(measurement.workspace_bytes)},
    {LARGE_NUMBER, AT(measurement.packed_bytes)},
    {REAL, AT(measurement.pack_ns)},
    {TEXT, AT(measurement.reason)},
    {LARGE_NUMBER, AT(recorded_unix_us)},
    {HASH, AT(content)},
    {REAL, AT(measurement.compile_ns)},
};

static int give_column(sqlite3_vtab_cursor *base, sqlite3_context *out, int index) {
    const given_cursor *cursor = (const given_cursor *)base;
    const void *field = (const char *)&cursor->batch->rows[cursor->at] + columns[index].offset;
    switch (columns[index].kind) {
    case KEY:
        give_hash(out, &cursor->batch->key);
        break;
    case HASH:
        give_hash(out, field);
        break;
    case TEXT:
        give_text(out, field);
        break;
    case PHASE:
        give_text(out, spt_phase_name(*(const spt_phase *)field));
        break;
    case STATUS:
        give_text(out, spt_trial_status_name(*(const spt_trial_status *)field));
        break;
    case TRUTH:
        sqlite3_result_int(out, *(const bool *)field);
        break;
    case NUMBER:
        sqlite3_result_int(out, *(const int *)field);
        break;
    case LARGE_NUMBER:
        sqlite3_result_int64(out, *(const int64_t *)field);
        break;
    case REAL:
        give_real(out, *(const double *)field);
        break;
    }
    return SQLITE_OK;
}

static int give_rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *out) {
    *out = ((const given_cursor *)base)->at;
    return SQLITE_OK;
}

static const sqlite3_module module = {
    .xCreate = connect_table,
    .xConnect = connect_table,
    .xBestIndex = plan_scan,
    .xDisconnect = disconnect_table,
    .xDestroy = disconnect_table,
    .xOpen = open_cursor,
    .xClose = close_cursor,
    .xFilter = rewind_cursor,
    .xNext = next_row,
    .xEof = is_at_end,
    .xColumn = give_column,
    .xRowid = give_rowid,
};

spt_status spt_put_trials_prepare(spt_db *db) {
    const int rc = sqlite3_create_module(db->handle, "spt_given_trial", &module, db);
    return rc == SQLITE_OK ? spt_db_exec(db, create_sql) : spt_sqlite_fail(db->handle, rc, db->path);
}

/* ---- putting ---- */

spt_status spt_put_trials(int64_t *n_changed, spt_db *db, const spt_trial_batch *batch) {
    sqlite3_stmt *statement;
    const int64_t before = sqlite3_total_changes(db->handle);
    SPT_TRY(spt_db_cached(&statement, db, put_sql));
    db->given = batch;
    const spt_status status = spt_db_run(db, statement);
    db->given = NULL;
    *n_changed = sqlite3_total_changes(db->handle) - before;
    return status;
}

void spt_trial_row_init(spt_trial_row *out, int64_t session, int64_t variant, const spt_trial *trial,
                        int64_t recorded_unix_us) {
    *out = (spt_trial_row){.session = session,
                           .variant = variant,
                           .recorded_unix_us = recorded_unix_us,
                           .phase = trial->phase,
                           .round = trial->round,
                           .is_default = trial->variant.is_default,
                           .measurement = trial->measurement,
                           .content = spt_trial_content(trial)};
}

spt_status spt_put_trial(spt_db *db, const spt_hash128 *key, int64_t session, int64_t variant, const spt_trial *trial,
                         int64_t recorded_unix_us) {
    spt_trial_row row;
    int64_t n_changed;
    spt_trial_row_init(&row, session, variant, trial, recorded_unix_us);
    return spt_put_trials(&n_changed, db, &(spt_trial_batch){.key = *key, .rows = &row, .count = 1});
}

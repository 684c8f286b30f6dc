/* SPDX-License-Identifier: Apache-2.0 */
/* One query and one function that takes a row per kind; see scan.h. */
#include "db/scan.h"

#include <math.h>
#include <string.h>

#include "db/positions.h"
#include "db/reader_row.h"

/* A NaN is stored as NULL. */
static double take_real(sqlite3_stmt *row, int column) {
    sqlite3_value *value = sqlite3_column_value(row, column);
    return sqlite3_value_type(value) == SQLITE_NULL ? NAN : sqlite3_value_double(value);
}

static bool take_int(int *out, sqlite3_stmt *row, int column) {
    int64_t value;
    const bool is_legal = spt_row_integer(&value, row, column, INT32_MIN, INT32_MAX);
    *out = (int)value;
    return is_legal;
}

static bool take_count(int64_t *out, sqlite3_stmt *row, int column) {
    return spt_row_integer(out, row, column, 0, INT64_MAX);
}

static bool take_device(spt_item *item, sqlite3_stmt *row) {
    spt_device *out = &item->as.device;
    char kind[16], isa[16];
    if (!spt_row_text(out->key, sizeof out->key, row, 0) || !spt_row_text(kind, sizeof kind, row, 1) ||
        !spt_row_text(isa, sizeof isa, row, 2) || !spt_row_text(out->isa_set, sizeof out->isa_set, row, 3) ||
        !spt_row_text(out->vendor, sizeof out->vendor, row, 4) || !take_int(&out->family, row, 5) ||
        !take_int(&out->model, row, 6) || !take_count(&out->l1d_bytes, row, 7) || !take_count(&out->l2_bytes, row, 8) ||
        !spt_row_text(out->name, sizeof out->name, row, 9) || !take_int(&out->stepping, row, 10) ||
        !take_count(&out->l3_bytes, row, 11) || !take_int(&out->n_cores, row, 12) ||
        !spt_row_text(out->os, sizeof out->os, row, 13))
        return false;
    return spt_device_kind_parse(&out->kind, kind) == SPT_OK && spt_isa_parse(&out->isa, isa) == SPT_OK;
}

static bool take_pattern(spt_item *item, sqlite3_stmt *row) {
    spt_item_pattern *out = &item->as.pattern;
    if (!spt_row_hash(&out->fingerprint, row, 0) || !take_count(&out->n_rows, row, 1) ||
        !take_count(&out->n_cols, row, 2) || !take_count(&out->nnz, row, 3) ||
        !spt_row_text(out->features, sizeof out->features, row, 4))
        return false;
    const void *positions = sqlite3_column_type(row, 5) == SQLITE_BLOB ? sqlite3_column_blob(row, 5) : NULL;
    const size_t size = positions != NULL ? (size_t)sqlite3_column_bytes(row, 5) : 0;
    if (positions != NULL && spt_positions_check(positions, size, &out->fingerprint) == SPT_OK) {
        out->positions = positions; /* others are nobody's and stay behind */
        out->positions_bytes = size;
    }
    return true;
}

/* The text says everything; a row whose key is not the hash of its text is nobody's. */
static bool take_problem(spt_item *item, sqlite3_stmt *row) {
    char text[SPT_KEY_TEXT_MAX];
    spt_hash128 key;
    return spt_row_hash(&key, row, 0) && spt_row_text(text, sizeof text, row, 1) &&
           spt_item_problem_parse(&item->as.problem, text) == SPT_OK && spt_hash_equal(key, item->as.problem.key.hash);
}

static bool take_session(spt_item *item, sqlite3_stmt *row) {
    spt_session *out = &item->as.session;
    int64_t seed;
    if (!spt_row_text(out->uuid, sizeof out->uuid, row, 0) || !spt_row_text(out->host, sizeof out->host, row, 1) ||
        !spt_row_text(out->tool_version, sizeof out->tool_version, row, 2) ||
        !spt_row_text(out->compiler, sizeof out->compiler, row, 3) ||
        !spt_row_text(out->strategy, sizeof out->strategy, row, 4) ||
        !spt_row_integer(&seed, row, 5, INT64_MIN, INT64_MAX) || !take_count(&out->budget, row, 6) ||
        !spt_row_text(out->policy, sizeof out->policy, row, 7) || !take_count(&out->started_unix_s, row, 8))
        return false;
    out->seed = (uint64_t)seed;
    return true;
}

bool spt_scan_trial_columns(spt_trial *out, int64_t *recorded_unix_us, sqlite3_stmt *row, int first) {
    spt_measurement *m = &out->measurement;
    char phase[16], status[16];
    int64_t is_default;
    if (!spt_row_text(phase, sizeof phase, row, first) || spt_phase_parse(&out->phase, phase) != SPT_OK ||
        !take_int(&out->round, row, first + 1) || !spt_row_integer(&is_default, row, first + 2, 0, 1) ||
        !spt_row_text(status, sizeof status, row, first + 3) || spt_trial_status_parse(&m->status, status) != SPT_OK ||
        !take_int(&m->n_samples, row, first + 4))
        return false;
    double *const reals[] = {&m->time_ns_median, &m->mad_ns, &m->ci_ns_low, &m->ci_ns_high, &m->max_error};
    for (int i = 0; i < 5; i++)
        *reals[i] = take_real(row, first + 5 + i);
    out->variant.is_default = is_default != 0;
    m->pack_ns = take_real(row, first + 12);
    m->compile_ns = take_real(row, first + 15);
    return take_count(&m->workspace_bytes, row, first + 10) && take_count(&m->packed_bytes, row, first + 11) &&
           spt_row_text(m->reason, sizeof m->reason, row, first + 13) && take_count(recorded_unix_us, row, first + 14);
}

static bool take_trial(spt_item *item, sqlite3_stmt *row) {
    spt_item_trial *out = &item->as.trial;
    spt_variant_id *variant = &out->trial.variant;
    int64_t is_dense;
    if (!spt_row_hash(&out->key, row, 0) || !spt_row_text(out->session, sizeof out->session, row, 1) ||
        !spt_row_text(variant->family, sizeof variant->family, row, 2) || !take_int(&variant->revision, row, 3) ||
        !spt_row_text(variant->point, sizeof variant->point, row, 4) ||
        !spt_row_text(out->source_hash, sizeof out->source_hash, row, 5) ||
        !spt_row_text(variant->library, sizeof variant->library, row, 6) || !spt_row_integer(&is_dense, row, 7, 0, 1))
        return false;
    variant->is_dense = is_dense != 0;
    return spt_scan_trial_columns(&out->trial, &out->recorded_unix_us, row, 8);
}

typedef struct kind_row {
    const char *sql; /* NULL: of trials, which have two */
    bool (*take)(spt_item *item, sqlite3_stmt *row);
} kind_row;

static const kind_row kinds[SPT_ITEM_KIND_COUNT] = {
    {"SELECT key, kind, isa, isa_set, vendor, family, model, l1d_bytes, l2_bytes, name, stepping, l3_bytes, n_cores, os"
     " FROM device ORDER BY key",
     take_device},
    {"SELECT fingerprint, n_rows, n_cols, nnz, features, NULL FROM pattern ORDER BY fingerprint", take_pattern},
    {"SELECT key, text FROM problem ORDER BY text", take_problem},
    {"SELECT s.uuid, s.host, c.tool_version, c.compiler, s.strategy, s.seed, s.budget, s.policy, s.started_unix_s"
     " FROM session s CROSS JOIN toolchain c ON c.id = s.toolchain ORDER BY s.uuid",
     take_session},
    {NULL, take_trial},
};

static const char *const trials_sql[] = SPT_TRIAL_STATEMENTS(
    "SELECT t.key, s.uuid, v.family, v.revision, v.point, v.source_hash, v.library, v.is_dense, ",
    " FROM trial t CROSS JOIN session s ON s.id = t.session CROSS JOIN variant v ON v.id = t.variant ORDER BY t.key,"
    " s.uuid, v.family, v.revision, v.point, v.source_hash, v.library, t.phase, t.round");

static const char positions_sql[] =
    "SELECT fingerprint, n_rows, n_cols, nnz, features, positions FROM pattern ORDER BY fingerprint";

spt_status spt_scan_open(spt_scan *out, spt_db *db, spt_item_kind kind, bool with_positions) {
    *out = (spt_scan){.db = db, .item = {.kind = kind}};
    const char *sql = kind == SPT_ITEM_TRIAL                       ? trials_sql[db->has_compile_times]
                      : kind == SPT_ITEM_PATTERN && with_positions ? positions_sql
                                                                   : kinds[kind].sql;
    return spt_db_prepare(&out->statement, db, sql);
}

spt_status spt_scan_next(spt_scan *scan) {
    int rc;
    while ((rc = sqlite3_step(scan->statement)) == SQLITE_ROW) {
        const spt_item_kind kind = scan->item.kind;
        scan->item = (spt_item){.kind = kind};
        if (kinds[kind].take(&scan->item, scan->statement) && spt_item_check(&scan->item) == SPT_OK)
            return SPT_OK;
        scan->n_skipped++;
    }
    return rc == SQLITE_DONE ? SPT_ENOTFOUND : spt_sqlite_fail(scan->db->handle, rc, scan->db->path);
}

void spt_scan_close(spt_scan *scan) {
    sqlite3_finalize(scan->statement);
    scan->statement = NULL;
}

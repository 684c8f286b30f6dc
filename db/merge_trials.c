/* SPDX-License-Identifier: Apache-2.0 */
/* See merge_trials.h. Of a trial that several files have the better one is put (item.h says which). Workload: millions
 * of trials, some tens to thousands for each problem. */
#include "db/merge_trials.h"

#include <stdlib.h>
#include <string.h>

#include "core/memory.h"
#include "db/derive.h"
#include "db/put.h"
#include "db/reader_row.h"
#include "db/scan.h"

/* What all runs of one variant, or of one session, have in common. */
typedef struct common {
    spt_run run;
    spt_run_texts texts;
} common;

typedef struct common_list {
    common *items;
    int64_t count, capacity;
    spt_id_map places; /* from ids of the file that is merged into */
} common_list;

typedef struct union_of_trials {
    spt_db *to;
    spt_merge_source *sources;
    int n_sources;
    spt_merge_result *result;
    common_list variants, sessions;
    spt_trial_row *rows; /* of one problem */
    spt_run *runs;
    int64_t n_rows, rows_capacity, runs_capacity;
} union_of_trials;

/* ---- what runs have in common ---- */

static const char variants_sql[] = "SELECT id, revision, is_dense, family, point, library FROM variant ORDER BY id";
static const char sessions_sql[] = "SELECT id, started_unix_s, policy, uuid FROM session ORDER BY id";

typedef bool take_function(common *out, sqlite3_stmt *row);

static bool take_variant(common *out, sqlite3_stmt *row) {
    spt_run_texts *texts = &out->texts;
    out->run.variant = sqlite3_column_int64(row, 0);
    out->run.revision = sqlite3_column_int64(row, 1);
    out->run.is_dense = sqlite3_column_int64(row, 2) != 0;
    return spt_row_text(texts->family, sizeof texts->family, row, 3) &&
           spt_row_text(texts->point, sizeof texts->point, row, 4) &&
           spt_row_text(texts->library, sizeof texts->library, row, 5);
}

static bool take_session(common *out, sqlite3_stmt *row) {
    char policy[SPT_POLICY_MAX];
    out->run.session = sqlite3_column_int64(row, 0);
    out->run.started_unix_s = sqlite3_column_int64(row, 1);
    if (!spt_row_text(policy, sizeof policy, row, 2) || !spt_row_text(out->texts.uuid, sizeof out->texts.uuid, row, 3))
        return false;
    out->run.uses = spt_policy_uses(policy);
    return true;
}

static spt_status add_common(common_list *list, sqlite3_stmt *row, take_function *take) {
    void *items = list->items;
    SPT_TRY(spt_grow(&items, &list->capacity, list->count, sizeof *list->items));
    list->items = items;
    common *item = &list->items[list->count];
    *item = (common){0};
    return take(item, row) ? spt_id_map_add(&list->places, sqlite3_column_int64(row, 0), list->count++) : SPT_OK;
}

static spt_status read_common(common_list *out, spt_db *db, const char *sql, take_function *take) {
    sqlite3_stmt *statement;
    spt_status status = SPT_OK;
    int rc = SQLITE_DONE;
    SPT_TRY(spt_db_prepare(&statement, db, sql));
    while (status == SPT_OK && (rc = sqlite3_step(statement)) == SQLITE_ROW)
        status = add_common(out, statement, take);
    if (status == SPT_OK && rc != SQLITE_DONE)
        status = spt_sqlite_fail(db->handle, rc, db->path);
    sqlite3_finalize(statement);
    return status;
}

static const common *find_common(const common_list *list, int64_t id) {
    int64_t place;
    return spt_id_map_find(&place, &list->places, id) ? &list->items[place] : NULL;
}

static void common_list_fini(common_list *list) {
    spt_id_map_fini(&list->places);
    spt_free(list->items);
}

/* ---- the rows of a source, in the order of keys ---- */

static const char *const source_sql[] =
    SPT_TRIAL_STATEMENTS("SELECT t.key, t.session, t.variant, ", " FROM trial t ORDER BY t.key");

/* Step to the next row that has a key. */
static spt_status step(spt_merge_source *source, spt_merge_result *result) {
    int rc;
    while ((rc = sqlite3_step(source->trials)) == SQLITE_ROW) {
        const bool is_first = !source->has_row;
        const spt_hash128 last = source->key;
        if (!spt_row_hash(&source->key, source->trials, 0)) {
            source->key = last;
            result->n_skipped++;
            continue;
        }
        if (!is_first && spt_hash_compare(source->key, last) < 0)
            return spt_fail(SPT_EINVAL, "expected trials in the order of their keys, found others: database %s",
                            source->db->path);
        source->has_row = true;
        return SPT_OK;
    }
    source->has_row = false;
    return rc == SQLITE_DONE ? SPT_OK : spt_sqlite_fail(source->db->handle, rc, source->db->path);
}

/* The smallest key at which a source stands. False at the end of all. */
static bool next_key(spt_hash128 *out, const union_of_trials *self) {
    bool is_found = false;
    for (int i = 0; i < self->n_sources; i++) {
        const spt_merge_source *source = &self->sources[i];
        if (source->has_row && (!is_found || spt_hash_compare(source->key, *out) < 0)) {
            *out = source->key;
            is_found = true;
        }
    }
    return is_found;
}

/* ---- one problem ---- */

static const char stored_sql[] =
    "SELECT t.session, t.variant, " SPT_TRIAL_COLUMNS("t.compile_ns") " FROM trial t WHERE t.key = ?1";

/* Take session, variant and the rest from column `first` on; with maps ids are translated.
 * Errors: ENOTFOUND for a row that is not legal. */
static spt_status add_row(union_of_trials *self, const spt_merge_source *source, sqlite3_stmt *statement, int first) {
    int64_t session = sqlite3_column_int64(statement, first), variant = sqlite3_column_int64(statement, first + 1);
    int64_t recorded_unix_us;
    spt_trial trial = {0};
    void *rows = self->rows;
    if (source != NULL && (!spt_id_map_find(&session, &source->sessions, session) ||
                           !spt_id_map_find(&variant, &source->variants, variant)))
        return SPT_ENOTFOUND;
    if (!spt_scan_trial_columns(&trial, &recorded_unix_us, statement, first + 2) ||
        spt_trial_check(&trial, recorded_unix_us) != SPT_OK)
        return SPT_ENOTFOUND;
    SPT_TRY(spt_grow(&rows, &self->rows_capacity, self->n_rows, sizeof *self->rows));
    self->rows = rows;
    spt_trial_row *row = &self->rows[self->n_rows++];
    spt_trial_row_init(row, session, variant, &trial, recorded_unix_us);
    row->is_stored = source == NULL;
    return SPT_OK;
}

static spt_status add_stored(union_of_trials *self, const spt_hash128 *key) {
    sqlite3_stmt *statement;
    spt_status status = SPT_OK;
    int rc = SQLITE_DONE;
    SPT_TRY(spt_db_cached(&statement, self->to, stored_sql));
    spt_bind_hash(statement, 1, key);
    while (status == SPT_OK && (rc = sqlite3_step(statement)) == SQLITE_ROW) {
        status = add_row(self, NULL, statement, 0);
        status = status == SPT_ENOTFOUND ? SPT_OK : status;
    }
    if (status == SPT_OK && rc != SQLITE_DONE)
        status = spt_sqlite_fail(self->to->handle, rc, self->to->path);
    spt_db_done(self->to, statement);
    return status;
}

/* Without a problem of this key its trials are nobody's. */
static spt_status add_source(union_of_trials *self, spt_merge_source *source, const spt_hash128 *key,
                             bool has_problem) {
    while (source->has_row && spt_hash_equal(source->key, *key)) {
        const spt_status status = has_problem ? add_row(self, source, source->trials, 1) : SPT_ENOTFOUND;
        if (status != SPT_OK && status != SPT_ENOTFOUND)
            return status;
        self->result->n_skipped += status == SPT_ENOTFOUND;
        self->result->n_trials += status == SPT_OK;
        SPT_TRY(step(source, self->result));
    }
    return SPT_OK;
}

static int compare_integers(int64_t a, int64_t b) {
    return (a > b) - (a < b);
}

/* In the tree's order; its phases are names, and `final` comes before `search`. */
static int by_identity(const spt_trial_row *x, const spt_trial_row *y) {
    int order = compare_integers(x->session, y->session);
    order = order != 0 ? order : compare_integers(x->variant, y->variant);
    order = order != 0 ? order : (int)y->phase - (int)x->phase;
    return order != 0 ? order : compare_integers(x->round, y->round);
}

/* Of one identity: the one that says more, else the greater content, else the later, else what is there already. */
static int better_first(const spt_trial_row *x, const spt_trial_row *y) {
    int order = (y->measurement.reason[0] != '\0') - (x->measurement.reason[0] != '\0');
    order = order != 0 ? order : spt_hash_compare(y->content, x->content);
    order = order != 0 ? order : compare_integers(y->recorded_unix_us, x->recorded_unix_us);
    return order != 0 ? order : y->is_stored - x->is_stored;
}

static int by_identity_better_first(const void *a, const void *b) {
    const int order = by_identity(a, b);
    return order != 0 ? order : better_first(a, b);
}

static void keep_best(union_of_trials *self) {
    int64_t n_kept = 0;
    if (self->n_rows > 0)
        qsort(self->rows, (size_t)self->n_rows, sizeof *self->rows, by_identity_better_first);
    for (int64_t i = 0; i < self->n_rows; i++) {
        if (n_kept > 0 && by_identity(&self->rows[n_kept - 1], &self->rows[i]) == 0)
            continue;
        if (n_kept < i)
            self->rows[n_kept] = self->rows[i];
        n_kept++;
    }
    self->n_rows = n_kept;
}

/* False for a row whose variant or session is not legal. */
static bool make_run(spt_run *out, const union_of_trials *self, const spt_trial_row *row) {
    const common *variant = find_common(&self->variants, row->variant);
    const common *session = find_common(&self->sessions, row->session);
    if (variant == NULL || session == NULL)
        return false;
    *out = (spt_run){.family = variant->texts.family,
                     .point = variant->texts.point,
                     .library = variant->texts.library,
                     .uuid = session->texts.uuid,
                     .variant = row->variant,
                     .session = row->session,
                     .round = row->round,
                     .started_unix_s = session->run.started_unix_s,
                     .revision = variant->run.revision,
                     .bytes = row->measurement.workspace_bytes + row->measurement.packed_bytes,
                     .is_dense = variant->run.is_dense,
                     .is_default = row->is_default,
                     .is_final = row->phase == SPT_PHASE_FINAL,
                     .status = row->measurement.status,
                     .time_ns = row->measurement.time_ns_median,
                     .pack_ns = row->measurement.pack_ns,
                     .uses = session->run.uses};
    return true;
}

static spt_status derive(union_of_trials *self, const spt_hash128 *key) {
    int64_t n_runs = 0;
    if (self->runs_capacity < self->n_rows) {
        spt_free(self->runs);
        self->runs_capacity = 0;
        SPT_TRY(SPT_NEW(self->runs, self->rows_capacity));
        self->runs_capacity = self->rows_capacity;
    }
    for (int64_t i = 0; i < self->n_rows; i++)
        n_runs += make_run(&self->runs[n_runs], self, &self->rows[i]);
    return spt_derive_runs(self->to, key, self->runs, n_runs);
}

static spt_status merge_problem(union_of_trials *self, const spt_hash128 *key) {
    const spt_status found = spt_has_problem(self->to, key);
    int64_t n_changed;
    if (found != SPT_OK && found != SPT_ENOTFOUND)
        return found;
    self->n_rows = 0;
    if (found == SPT_OK)
        SPT_TRY(add_stored(self, key));
    for (int i = 0; i < self->n_sources; i++)
        SPT_TRY(add_source(self, &self->sources[i], key, found == SPT_OK));
    if (found != SPT_OK)
        return SPT_OK;
    keep_best(self);
    SPT_TRY(spt_put_trials(&n_changed, self->to,
                           &(spt_trial_batch){.key = *key, .rows = self->rows, .count = self->n_rows}));
    self->result->n_trials_new += n_changed;
    return derive(self, key);
}

/* ---- all problems ---- */

static spt_status merge_all(union_of_trials *self) {
    spt_hash128 key;
    SPT_TRY(read_common(&self->variants, self->to, variants_sql, take_variant));
    SPT_TRY(read_common(&self->sessions, self->to, sessions_sql, take_session));
    for (int i = 0; i < self->n_sources; i++) {
        SPT_TRY(spt_db_prepare(&self->sources[i].trials, self->sources[i].db,
                               source_sql[self->sources[i].db->has_compile_times]));
        SPT_TRY(step(&self->sources[i], self->result));
    }
    while (next_key(&key, self))
        SPT_TRY(merge_problem(self, &key));
    return SPT_OK;
}

spt_status spt_merge_trials(spt_merge_result *result, spt_db *to, spt_merge_source *sources, int n_sources) {
    union_of_trials self = {.to = to, .sources = sources, .n_sources = n_sources, .result = result};
    const spt_status status = merge_all(&self);
    for (int i = 0; i < n_sources; i++) {
        sqlite3_finalize(sources[i].trials);
        sources[i].trials = NULL;
    }
    common_list_fini(&self.variants);
    common_list_fini(&self.sessions);
    spt_free(self.rows);
    spt_free(self.runs);
    return status;
}

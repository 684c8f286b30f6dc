/* SPDX-License-Identifier: Apache-2.0 */
/* The table of winners: read a problem's trials, derive, replace its rows. One short transaction per problem. */
#include <math.h>
#include <string.h>

#include "core/memory.h"
#include "db/derive.h"
#include "db/handle.h"
#include "db/reader_row.h"

enum { RANKS_MAX = 8 };

/* Runs and their texts, which they name once all have been read. */
typedef struct run_list {
    spt_run *items;
    spt_run_texts *texts;
    int64_t count, capacity, texts_capacity;
} run_list;

static const char runs_sql[] =
    "SELECT t.variant, t.session, t.round, s.started_unix_s, v.revision, t.workspace_bytes + t.packed_bytes,"
    " v.is_dense, t.is_default, t.phase, t.status, t.time_ns_median, t.pack_ns, s.policy, v.family, v.point,"
    " v.library, s.uuid FROM trial t CROSS JOIN variant v ON v.id = t.variant "
    "CROSS JOIN session s ON s.id = t.session WHERE t.key = ?1";

/* False where a column is not what the schema promises, or a time is one that cannot be. */
static bool take_run(spt_run *out, spt_run_texts *texts, sqlite3_stmt *row) {
    char phase_name[16], status_name[16], policy[SPT_POLICY_MAX];
    spt_phase phase;
    int64_t *const numbers[] = {&out->variant,        &out->session,  &out->round,
                                &out->started_unix_s, &out->revision, &out->bytes};
    for (int i = 0; i < 6; i++)
        *numbers[i] = sqlite3_column_int64(row, i);
    if (!spt_row_text(phase_name, sizeof phase_name, row, 8) || spt_phase_parse(&phase, phase_name) != SPT_OK ||
        !spt_row_text(status_name, sizeof status_name, row, 9) ||
        spt_trial_status_parse(&out->status, status_name) != SPT_OK || !spt_row_text(policy, sizeof policy, row, 12) ||
        !spt_row_text(texts->family, sizeof texts->family, row, 13) ||
        !spt_row_text(texts->point, sizeof texts->point, row, 14) ||
        !spt_row_text(texts->library, sizeof texts->library, row, 15) ||
        !spt_row_text(texts->uuid, sizeof texts->uuid, row, 16))
        return false;
    out->is_dense = sqlite3_column_int64(row, 6) != 0;
    out->is_default = sqlite3_column_int64(row, 7) != 0;
    out->is_final = phase == SPT_PHASE_FINAL;
    out->time_ns = sqlite3_column_double(row, 10);
    out->pack_ns = sqlite3_column_double(row, 11);
    out->uses = spt_policy_uses(policy);
    return out->status != SPT_TRIAL_CORRECT ||
           (spt_is_time(out->time_ns) && isfinite(out->pack_ns) && out->pack_ns >= 0.0);
}

static spt_status make_room(run_list *runs) {
    void *items = runs->items, *texts = runs->texts;
    SPT_TRY(spt_grow(&items, &runs->capacity, runs->count, sizeof *runs->items));
    runs->items = items;
    SPT_TRY(spt_grow(&texts, &runs->texts_capacity, runs->count, sizeof *runs->texts));
    runs->texts = texts;
    return SPT_OK;
}

static void name_texts(run_list *runs) {
    for (int64_t i = 0; i < runs->count; i++) {
        const spt_run_texts *texts = &runs->texts[i];
        runs->items[i].family = texts->family;
        runs->items[i].point = texts->point;
        runs->items[i].library = texts->library;
        runs->items[i].uuid = texts->uuid;
    }
}

static spt_status read_runs(run_list *out, spt_db *db, const spt_hash128 *key) {
    sqlite3_stmt *statement;
    spt_status status = SPT_OK;
    int rc = SQLITE_DONE;
    SPT_TRY(spt_db_cached(&statement, db, runs_sql));
    spt_bind_hash(statement, 1, key);
    while (status == SPT_OK && (rc = sqlite3_step(statement)) == SQLITE_ROW) {
        status = make_room(out);
        if (status != SPT_OK)
            break;
        out->items[out->count] = (spt_run){0};
        out->count += take_run(&out->items[out->count], &out->texts[out->count], statement);
    }
    name_texts(out);
    if (status == SPT_OK && rc != SQLITE_DONE)
        status = spt_sqlite_fail(db->handle, rc, db->path);
    spt_db_done(db, statement);
    return status;
}

static const char delete_sql[] = "DELETE FROM winner WHERE key = ?1";
static const char delete_served_sql[] =
    "DELETE FROM served WHERE device = (SELECT device FROM problem WHERE key = ?1) AND key = ?1";
/* As the migration that made the table fills it. */
static const char serve_sql[] =
    "INSERT INTO served SELECT p.device, p.key, w.rank, CASE w.rank WHEN 0 THEN p.text ELSE '' END, v.family,"
    " v.revision, v.point, w.time_ns_median, w.speedup_over_default, w.speedup_over_dense, t.compiler, v.library"
    " FROM winner w CROSS JOIN problem p ON p.key = w.key CROSS JOIN variant v ON v.id = w.variant"
    " CROSS JOIN session s ON s.id = w.session CROSS JOIN toolchain t ON t.id = s.toolchain WHERE w.key = ?1";
static const char insert_sql[] =
    "INSERT INTO winner (key, rank, variant, session, n_rounds, time_ns_median, ci_ns, speedup_over_default,"
    " speedup_over_dense) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
static const char pin_sql[] = "SELECT family, point FROM pin WHERE key = ?1";

static spt_status run_for_key(spt_db *db, const char *sql, const spt_hash128 *key) {
    sqlite3_stmt *statement;
    SPT_TRY(spt_db_cached(&statement, db, sql));
    spt_bind_hash(statement, 1, key);
    return spt_db_run(db, statement);
}

static spt_status write_winners(spt_db *db, const spt_hash128 *key, const spt_candidate *candidates, int64_t count) {
    sqlite3_stmt *statement;
    SPT_TRY(run_for_key(db, delete_sql, key));
    SPT_TRY(run_for_key(db, delete_served_sql, key));
    for (int64_t i = 0; i < count && i < RANKS_MAX; i++) {
        const spt_candidate *c = &candidates[i];
        SPT_TRY(spt_db_cached(&statement, db, insert_sql));
        spt_bind_hash(statement, 1, key);
        sqlite3_bind_int64(statement, 2, i);
        sqlite3_bind_int64(statement, 3, c->newest->variant);
        sqlite3_bind_int64(statement, 4, c->newest->session);
        sqlite3_bind_int64(statement, 5, c->n_rounds);
        sqlite3_bind_double(statement, 6, c->time_ns);
        sqlite3_bind_double(statement, 7, c->ci_ns);
        sqlite3_bind_double(statement, 8, c->speedup_over_default);
        sqlite3_bind_double(statement, 9, c->speedup_over_dense);
        SPT_TRY(spt_db_run(db, statement));
    }
    return run_for_key(db, serve_sql, key);
}

/* A variant that was pinned by hand goes first; one without a standing (older revision, wrong result) stays out. */
static spt_status put_pinned_first(spt_candidate *candidates, int64_t count, spt_db *db, const spt_hash128 *key) {
    char family[64], point[SPT_POINT_TEXT_MAX];
    sqlite3_stmt *statement;
    SPT_TRY(spt_db_cached(&statement, db, pin_sql));
    spt_bind_hash(statement, 1, key);
    const int rc = sqlite3_step(statement);
    const bool is_pinned = rc == SQLITE_ROW && spt_row_text(family, sizeof family, statement, 0) &&
                           spt_row_text(point, sizeof point, statement, 1);
    const spt_status status =
        rc == SQLITE_ROW || rc == SQLITE_DONE ? SPT_OK : spt_sqlite_fail(db->handle, rc, db->path);
    spt_db_done(db, statement);
    for (int64_t i = 0; is_pinned && i < count; i++) {
        const spt_candidate pinned = candidates[i];
        if (strcmp(pinned.newest->family, family) != 0 || strcmp(pinned.newest->point, point) != 0)
            continue;
        memmove(candidates + 1, candidates, (size_t)i * sizeof *candidates);
        candidates[0] = pinned;
        break;
    }
    return status;
}

spt_status spt_derive_runs(spt_db *db, const spt_hash128 *key, spt_run *runs, int64_t n_runs) {
    spt_candidate *candidates;
    int64_t count = 0;
    spt_status status = SPT_OK;
    SPT_TRY(SPT_NEW(candidates, n_runs));
    SPT_TRY_TO(done, spt_derive(candidates, &count, runs, n_runs));
    SPT_TRY_TO(done, put_pinned_first(candidates, count, db, key));
    status = write_winners(db, key, candidates, count);
done:
    spt_free(candidates);
    return status;
}

spt_status spt_derive_key(spt_db *db, const spt_hash128 *key) {
    run_list runs = {0};
    spt_status status = read_runs(&runs, db, key);
    if (status == SPT_OK)
        status = spt_derive_runs(db, key, runs.items, runs.count);
    spt_free(runs.items);
    spt_free(runs.texts);
    return status;
}

static spt_status score(double *scores, int *winner, run_list *runs, const spt_variant_id *variants, int n_variants) {
    spt_candidate *candidates;
    int64_t count = 0;
    SPT_TRY(SPT_NEW(candidates, runs->count + 1));
    const spt_status status = spt_derive(candidates, &count, runs->items, runs->count);
    for (int i = 0; i < n_variants; i++) {
        scores[i] = INFINITY;
        for (int64_t j = 0; j < count && !isfinite(scores[i]); j++)
            if (strcmp(candidates[j].newest->family, variants[i].family) == 0 &&
                strcmp(candidates[j].newest->point, variants[i].point) == 0) {
                scores[i] = candidates[j].score;
                *winner = j == 0 ? i : *winner;
            }
    }
    spt_free(candidates);
    return status;
}

spt_status spt_db_scores(double *scores, int *winner, spt_db *db, const spt_key *key, const spt_variant_id *variants,
                         int n_variants) {
    run_list runs = {0};
    *winner = -1;
    spt_status status = read_runs(&runs, db, &key->hash);
    if (status == SPT_OK)
        status = score(scores, winner, &runs, variants, n_variants);
    spt_free(runs.items);
    spt_free(runs.texts);
    return status;
}

static spt_status rebuild_key(spt_db *db, const spt_hash128 *key) {
    SPT_TRY(spt_db_begin(db));
    return spt_db_end(db, spt_derive_key(db, key));
}

/* The first key after `key`, or ENOTFOUND at the end; *has_key is false at the start. */
static spt_status next_key(spt_hash128 *key, bool *has_key, spt_db *db) {
    sqlite3_stmt *statement;
    SPT_TRY(spt_db_prepare(&statement, db,
                           "SELECT key FROM problem WHERE key > ?1 AND length(key) = 16 ORDER BY key LIMIT 1"));
    if (*has_key)
        spt_bind_hash(statement, 1, key);
    else
        sqlite3_bind_zeroblob(statement, 1, 0);
    spt_hash128 found = {0};
    const int rc = sqlite3_step(statement);
    spt_status status = SPT_ENOTFOUND;
    if (rc == SQLITE_ROW && spt_row_hash(&found, statement, 0)) {
        status = SPT_OK;
    } else if (rc != SQLITE_ROW && rc != SQLITE_DONE) {
        status = spt_sqlite_fail(db->handle, rc, db->path);
    }
    sqlite3_finalize(statement);
    if (status == SPT_OK && *has_key && spt_hash_compare(found, *key) <= 0)
        return spt_fail(SPT_EINVAL, "expected problems in the order of their keys, found others: database %s",
                        db->path);
    *key = status == SPT_OK ? found : *key;
    *has_key = true;
    return status;
}

spt_status spt_db_winners_rebuild(spt_db *db, const spt_key *key) {
    if (key != NULL)
        return rebuild_key(db, &key->hash);
    spt_hash128 each = {0};
    bool has_key = false;
    spt_status status;
    while ((status = next_key(&each, &has_key, db)) == SPT_OK)
        SPT_TRY(rebuild_key(db, &each));
    return status == SPT_ENOTFOUND ? SPT_OK : status;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Taking out what cannot be used any more; see upkeep.h. All in one transaction, the room is given back after it. */
#include "db/derive.h"
#include "db/handle.h"
#include "db/keys.h"
#include "db/reader_row.h"
#include "db/upkeep.h"

/* Variants have no index of their trials: their ids are listed first, so that all trials are searched once. */
#define OBSOLETE " WHERE variant IN (SELECT id FROM temp.obsolete)"
static const char list_sql[] = "CREATE TEMP TABLE obsolete (id INTEGER PRIMARY KEY)";
static const char unlist_sql[] = "DROP TABLE temp.obsolete";
static const char add_sql[] = "INSERT INTO temp.obsolete (id) VALUES (?1)";
static const char variants_sql[] = "SELECT id, family, revision FROM variant ORDER BY id";
static const char keys_sql[] = "SELECT DISTINCT key FROM trial" OBSOLETE;

typedef struct gc {
    spt_db *db;
    spt_gc_keeps *keeps;
    void *user;
    spt_key_set keys; /* whose trials changed */
    spt_gc_result *result;
} gc;

static spt_status remember_keys(gc *self) {
    sqlite3_stmt *statement;
    spt_status status = SPT_OK;
    int rc = SQLITE_DONE;
    SPT_TRY(spt_db_prepare(&statement, self->db, keys_sql));
    while (status == SPT_OK && (rc = sqlite3_step(statement)) == SQLITE_ROW) {
        spt_hash128 key;
        if (spt_row_hash(&key, statement, 0))
            status = spt_key_set_add(&self->keys, &key);
    }
    if (status == SPT_OK && rc != SQLITE_DONE)
        status = spt_sqlite_fail(self->db->handle, rc, self->db->path);
    sqlite3_finalize(statement);
    return status;
}

/* Run a statement that deletes, and count. */
static spt_status take_out(int64_t *count, gc *self, const char *sql) {
    sqlite3_stmt *statement;
    SPT_TRY(spt_db_prepare(&statement, self->db, sql));
    SPT_TRY(spt_db_run(self->db, statement));
    *count += sqlite3_changes64(self->db->handle);
    return SPT_OK;
}

static spt_status list_variant(gc *self, int64_t variant) {
    sqlite3_stmt *statement;
    SPT_TRY(spt_db_cached(&statement, self->db, add_sql));
    sqlite3_bind_int64(statement, 1, variant);
    return spt_db_run(self->db, statement);
}

static spt_status list_obsolete(gc *self) {
    sqlite3_stmt *statement;
    spt_status status = SPT_OK;
    int rc = SQLITE_DONE;
    SPT_TRY(spt_db_prepare(&statement, self->db, variants_sql));
    while (status == SPT_OK && (rc = sqlite3_step(statement)) == SQLITE_ROW) {
        char family[64];
        int64_t revision;
        if (spt_row_text(family, sizeof family, statement, 1) &&
            spt_row_integer(&revision, statement, 2, 0, INT32_MAX) && !self->keeps(self->user, family, (int)revision))
            status = list_variant(self, sqlite3_column_int64(statement, 0));
    }
    if (status == SPT_OK && rc != SQLITE_DONE)
        status = spt_sqlite_fail(self->db->handle, rc, self->db->path);
    sqlite3_finalize(statement);
    return status;
}

static spt_status take_out_obsolete(gc *self) {
    int64_t ignored = 0;
    SPT_TRY(spt_db_exec(self->db, list_sql));
    SPT_TRY(list_obsolete(self));
    SPT_TRY(remember_keys(self));
    SPT_TRY(take_out(&ignored, self, "DELETE FROM winner" OBSOLETE));
    SPT_TRY(take_out(&self->result->n_trials, self, "DELETE FROM trial" OBSOLETE));
    return spt_db_exec(self->db, unlist_sql);
}

typedef struct orphan_row {
    const char *sql;
    int64_t *count;
} orphan_row;

/* From those that refer to those that are referred to. */
static spt_status take_out_orphans(gc *self) {
    int64_t ignored = 0;
    spt_gc_result *result = self->result;
    const orphan_row rows[] = {
        {"DELETE FROM pin WHERE key NOT IN (SELECT key FROM trial)", &ignored},
        {"DELETE FROM winner WHERE key NOT IN (SELECT key FROM trial)", &ignored},
        {"DELETE FROM served WHERE key NOT IN (SELECT key FROM trial)", &ignored},
        {"DELETE FROM problem WHERE key NOT IN (SELECT key FROM trial)", &result->n_problems},
        {"DELETE FROM variant WHERE id NOT IN (SELECT variant FROM trial)", &result->n_variants},
        {"DELETE FROM session WHERE id NOT IN (SELECT session FROM trial)", &result->n_sessions},
        {"DELETE FROM toolchain WHERE id NOT IN (SELECT toolchain FROM session)", &ignored},
        {"DELETE FROM pattern WHERE fingerprint NOT IN (SELECT fingerprint FROM problem)", &result->n_patterns},
        {"DELETE FROM device WHERE id NOT IN (SELECT device FROM problem)", &result->n_devices},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        SPT_TRY(take_out(rows[i].count, self, rows[i].sql));
    return SPT_OK;
}

static spt_status run(gc *self) {
    SPT_TRY(take_out_obsolete(self));
    SPT_TRY(spt_key_set_derive(&self->keys, self->db));
    return take_out_orphans(self);
}

spt_status spt_db_gc(spt_gc_result *out, spt_db *db, spt_gc_keeps *keeps, void *user, bool dry_run) {
    gc self = {.db = db, .keeps = keeps, .user = user, .result = out};
    *out = (spt_gc_result){0};
    SPT_TRY(spt_db_exec(db, "PRAGMA foreign_keys = OFF")); /* it would search whole tables for each row that goes */
    spt_status status = spt_db_begin(db);
    if (status == SPT_OK)
        status = run(&self);
    spt_key_set_fini(&self.keys);
    if (status == SPT_OK && dry_run)
        status = spt_db_exec(db, "ROLLBACK");
    else
        status = spt_db_end(db, status);
    sqlite3_exec(db->handle, "PRAGMA foreign_keys = ON", NULL, NULL, NULL);
    return status == SPT_OK && !dry_run ? spt_db_vacuum(db) : status;
}

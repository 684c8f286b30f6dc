/* SPDX-License-Identifier: Apache-2.0 */
/* The union of databases. Ids of a source are translated once per session and variant, so that a trial costs one read
 * and one upsert. Workload: a few files of up to some million trials. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/memory.h"
#include "db/exchange.h"
#include "db/keys.h"
#include "db/put.h"
#include "db/reader_row.h"
#include "db/scan.h"

/* Ids of a source and what they are here, ascending in `from`. */
typedef struct id_map {
    struct {
        int64_t from, to;
    } * items;
    int64_t count, capacity;
} id_map;

typedef struct merge {
    spt_db *to, *from;
    id_map sessions, variants;
    spt_key_set keys;
    spt_merge_result *result;
} merge;

static spt_status map_add(id_map *map, int64_t from, int64_t to) {
    if (map->count == map->capacity) {
        const int64_t larger = map->capacity > 0 ? 2 * map->capacity : 256;
        void *items = spt_realloc(map->items, (size_t)map->count, (size_t)larger, sizeof *map->items);
        if (items == NULL)
            return SPT_ENOMEM;
        map->items = items;
        map->capacity = larger;
    }
    map->items[map->count].from = from;
    map->items[map->count++].to = to;
    return SPT_OK;
}

/* False for an id that the source does not have, or that was not legal. */
static bool map_find(int64_t *to, const id_map *map, int64_t from) {
    int64_t low = 0, high = map->count;
    while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        if (map->items[middle].from < from)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == map->count || map->items[low].from != from)
        return false;
    *to = map->items[low].to;
    return true;
}

/* ---- devices, patterns, problems, sessions: few, through items ---- */

/* Errors: ENOTFOUND when it refers to a record that the source does not have. */
static spt_status put_item(spt_db *to, const spt_item *item) {
    int64_t id;
    switch (item->kind) {
    case SPT_ITEM_DEVICE:
        return spt_put_device(&id, to, &item->as.device);
    case SPT_ITEM_PATTERN:
        return spt_put_pattern(to, &item->as.pattern);
    case SPT_ITEM_PROBLEM:
        SPT_TRY(spt_find_device(&id, to, item->as.problem.device_key));
        SPT_TRY(spt_has_pattern(to, &item->as.problem.fingerprint));
        return spt_put_problem(to, &item->as.problem, id);
    case SPT_ITEM_SESSION:
        return spt_put_session(&id, to, &item->as.session);
    default:
        return SPT_OK;
    }
}

static spt_status merge_kind(merge *self, spt_item_kind kind) {
    spt_scan scan;
    spt_status status;
    SPT_TRY(spt_scan_open(&scan, self->from, kind, true));
    while ((status = spt_scan_next(&scan)) == SPT_OK) {
        status = put_item(self->to, &scan.item);
        if (status == SPT_ENOTFOUND || status == SPT_EINVAL)
            scan.n_skipped++;
        else if (status != SPT_OK)
            break;
    }
    self->result->n_skipped += scan.n_skipped;
    spt_scan_close(&scan);
    return status == SPT_ENOTFOUND ? SPT_OK : status;
}

/* ---- ids ---- */

static spt_status map_session(int64_t *to, merge *self, sqlite3_stmt *row) {
    char uuid[SPT_UUID_TEXT_SIZE];
    if (!spt_row_text(uuid, sizeof uuid, row, 1))
        return SPT_ENOTFOUND;
    return spt_find_session(to, self->to, uuid);
}

static spt_status map_variant(int64_t *to, merge *self, sqlite3_stmt *row) {
    spt_variant_id variant = {0};
    char source_hash[SPT_SOURCE_HASH_MAX];
    int64_t revision, is_dense;
    if (!spt_row_text(variant.family, sizeof variant.family, row, 1) ||
        !spt_row_integer(&revision, row, 2, 0, INT32_MAX) ||
        !spt_row_text(variant.point, sizeof variant.point, row, 3) ||
        !spt_row_text(source_hash, sizeof source_hash, row, 4) ||
        !spt_row_text(variant.library, sizeof variant.library, row, 5) || !spt_row_integer(&is_dense, row, 6, 0, 1))
        return SPT_ENOTFOUND;
    variant.revision = (int)revision;
    variant.is_dense = is_dense != 0;
    if (spt_variant_check(&variant, source_hash) != SPT_OK)
        return SPT_ENOTFOUND;
    return spt_put_variant(to, self->to, &variant, source_hash);
}

typedef spt_status map_function(int64_t *to, merge *self, sqlite3_stmt *row);

static spt_status map_ids(id_map *map, merge *self, const char *sql, map_function *translate) {
    sqlite3_stmt *statement;
    spt_status status = SPT_OK;
    int rc = SQLITE_DONE;
    SPT_TRY(spt_db_prepare(&statement, self->from, sql));
    while (status == SPT_OK && (rc = sqlite3_step(statement)) == SQLITE_ROW) {
        const int64_t from = sqlite3_column_int64(statement, 0);
        int64_t to;
        const bool is_rising = map->count == 0 || map->items[map->count - 1].from < from;
        status = is_rising ? translate(&to, self, statement) : SPT_ENOTFOUND;
        if (status == SPT_OK)
            status = map_add(map, from, to);
        else if (status == SPT_ENOTFOUND) { /* its trials will be counted as skipped */
            status = SPT_OK;
        }
    }
    if (status == SPT_OK && rc != SQLITE_DONE)
        status = spt_sqlite_fail(self->from->handle, rc, self->from->path);
    sqlite3_finalize(statement);
    return status;
}

/* ---- trials ---- */

static const char *const trials_sql[] = SPT_TRIAL_STATEMENTS("SELECT t.key, t.session, t.variant, ", " FROM trial t");

/* Errors: ENOTFOUND for a row that is not legal. */
static spt_status merge_trial(merge *self, sqlite3_stmt *row) {
    spt_hash128 key;
    spt_trial trial = {0};
    int64_t session, variant, recorded_unix_us;
    if (!spt_row_hash(&key, row, 0) || !map_find(&session, &self->sessions, sqlite3_column_int64(row, 1)) ||
        !map_find(&variant, &self->variants, sqlite3_column_int64(row, 2)) ||
        !spt_scan_trial_columns(&trial, &recorded_unix_us, row, 3) ||
        spt_trial_check(&trial, recorded_unix_us) != SPT_OK)
        return SPT_ENOTFOUND;
    if (self->keys.count == 0 || !spt_hash_equal(self->keys.items[self->keys.count - 1], key)) {
        SPT_TRY(spt_has_problem(self->to, &key));
        SPT_TRY(spt_key_set_add(&self->keys, &key));
    }
    return spt_put_trial(self->to, &key, session, variant, &trial, recorded_unix_us);
}

static spt_status merge_trials(merge *self) {
    sqlite3_stmt *statement;
    spt_status status = SPT_OK;
    int rc = SQLITE_DONE;
    const int64_t before = sqlite3_total_changes(self->to->handle);
    SPT_TRY(spt_db_prepare(&statement, self->from, trials_sql[self->from->has_compile_times]));
    while (status == SPT_OK && (rc = sqlite3_step(statement)) == SQLITE_ROW) {
        status = merge_trial(self, statement);
        self->result->n_trials += status == SPT_OK;
        if (status == SPT_ENOTFOUND) {
            self->result->n_skipped++;
            status = SPT_OK;
        }
    }
    if (status == SPT_OK && rc != SQLITE_DONE)
        status = spt_sqlite_fail(self->from->handle, rc, self->from->path);
    sqlite3_finalize(statement);
    self->result->n_trials_new += sqlite3_total_changes(self->to->handle) - before;
    return status;
}

/* ---- a source, all sources ---- */

static spt_status merge_source(merge *self, const char *path) {
    spt_status status = SPT_OK;
    SPT_TRY(spt_db_open(&self->from, path, SPT_DB_READ));
    SPT_TRY_TO(done, spt_db_exec(self->from, "BEGIN")); /* all of one moment; ends when it is closed */
    for (int kind = SPT_ITEM_DEVICE; kind < SPT_ITEM_TRIAL; kind++)
        SPT_TRY_TO(done, merge_kind(self, (spt_item_kind)kind));
    SPT_TRY_TO(done, map_ids(&self->sessions, self, "SELECT id, uuid FROM session ORDER BY id", map_session));
    SPT_TRY_TO(done, map_ids(&self->variants, self,
                             "SELECT id, family, revision, point, source_hash, library, is_dense FROM variant "
                             "ORDER BY id",
                             map_variant));
    status = merge_trials(self);
done:
    spt_db_close(self->from);
    self->from = NULL;
    spt_free(self->sessions.items);
    spt_free(self->variants.items);
    self->sessions = self->variants = (id_map){0};
    return status;
}

static spt_status merge_sources(merge *self, const char *const *sources, int n_sources) {
    for (int i = 0; i < n_sources; i++)
        SPT_TRY(merge_source(self, sources[i]));
    return spt_key_set_derive(&self->keys, self->to);
}

spt_status spt_db_merge(spt_merge_result *out, spt_db *db, const char *const *sources, int n_sources) {
    merge self = {.to = db, .result = out};
    *out = (spt_merge_result){0};
    /* References hold by construction; looking each of them up again would cost as much as the upserts. */
    SPT_TRY(spt_db_exec(db, "PRAGMA foreign_keys = OFF"));
    spt_status status = spt_db_begin(db);
    if (status == SPT_OK)
        status = spt_db_end(db, merge_sources(&self, sources, n_sources));
    spt_key_set_fini(&self.keys);
    sqlite3_exec(db->handle, "PRAGMA foreign_keys = ON", NULL, NULL, NULL);
    return status;
}

/* ---- into files ---- */

/* Nobody sees this file before it is whole, so nothing but the end of it must reach the disk in order. */
static spt_status merge_unseen(spt_merge_result *out, const char *path, const char *const *sources, int n_sources) {
    spt_db *db;
    SPT_TRY(spt_db_open(&db, path, SPT_DB_WRITE));
    spt_status status = spt_db_exec(db, "PRAGMA journal_mode = DELETE; PRAGMA journal_mode = MEMORY;"
                                        "PRAGMA synchronous = OFF; PRAGMA cache_size = -262144");
    if (status == SPT_OK)
        status = spt_db_merge(out, db, sources, n_sources);
    spt_db_close(db);
    return status;
}

static spt_status fail_os(const char *path) {
    return spt_fail(SPT_EIO, "%s: cannot be written: %s", path, strerror(errno));
}

/* Bring the file to the disk, then to its name, unless a file has that name by now. */
static spt_status give_name(const char *temporary_path, const char *path) {
    const int fd = open(temporary_path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fail_os(path);
    const bool is_synced = fsync(fd) == 0;
    close(fd);
    if (!is_synced)
        return fail_os(path);
    if (renameat2(AT_FDCWD, temporary_path, AT_FDCWD, path, RENAME_NOREPLACE) == 0)
        return SPT_OK;
    if (errno != EINVAL && errno != ENOSYS) /* file systems without this kind of renaming */
        return fail_os(path);
    return rename(temporary_path, path) == 0 ? SPT_OK : fail_os(path);
}

static spt_status merge_new(spt_merge_result *out, const char *path, const char *const *sources, int n_sources) {
    char *temporary_path, uuid[SPT_UUID_TEXT_SIZE];
    const size_t capacity = strlen(path) + 48;
    SPT_TRY(spt_db_expect_no_log(path));
    SPT_TRY(SPT_NEW(temporary_path, capacity));
    spt_uuid_new(uuid); /* another host may have this process's number */
    snprintf(temporary_path, capacity, "%s.%s.tmp", path, uuid);
    spt_status status = merge_unseen(out, temporary_path, sources, n_sources);
    if (status == SPT_OK)
        status = give_name(temporary_path, path);
    if (status != SPT_OK)
        unlink(temporary_path);
    spt_free(temporary_path);
    return status;
}

spt_status spt_db_merge_files(spt_merge_result *out, const char *path, const char *const *sources, int n_sources) {
    spt_db *db;
    if (access(path, F_OK) != 0)
        return merge_new(out, path, sources, n_sources);
    SPT_TRY(spt_db_open(&db, path, SPT_DB_WRITE));
    const spt_status status = spt_db_merge(out, db, sources, n_sources);
    spt_db_close(db);
    return status;
}

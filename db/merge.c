/* SPDX-License-Identifier: Apache-2.0 */
/* The union of databases: few devices, patterns, problems and sessions, record by record; then many trials. Ids of a
 * source are translated once per session and variant. Workload: a few files of up to some million trials. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/memory.h"
#include "db/exchange.h"
#include "db/keys.h"
#include "db/merge_trials.h"
#include "db/put.h"
#include "db/reader_row.h"
#include "db/scan.h"

/* Sources that are open at once; more are merged in groups. */
enum { SOURCES_AT_ONCE = 16 };

typedef struct merge {
    spt_db *to;
    spt_merge_result *result;
    spt_merge_source sources[SOURCES_AT_ONCE];
    int n_sources;
} merge;

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

static spt_status merge_kind(merge *self, spt_db *from, spt_item_kind kind) {
    spt_scan scan;
    spt_status status;
    SPT_TRY(spt_scan_open(&scan, from, kind, true));
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

static spt_status map_ids(spt_id_map *map, merge *self, spt_db *from, const char *sql, map_function *translate) {
    sqlite3_stmt *statement;
    spt_status status = SPT_OK;
    int rc = SQLITE_DONE;
    SPT_TRY(spt_db_prepare(&statement, from, sql));
    while (status == SPT_OK && (rc = sqlite3_step(statement)) == SQLITE_ROW) {
        int64_t to;
        status = translate(&to, self, statement);
        if (status == SPT_OK)
            status = spt_id_map_add(map, sqlite3_column_int64(statement, 0), to);
        status = status == SPT_ENOTFOUND ? SPT_OK : status; /* its trials will be counted as skipped */
    }
    if (status == SPT_OK && rc != SQLITE_DONE)
        status = spt_sqlite_fail(from->handle, rc, from->path);
    sqlite3_finalize(statement);
    return status;
}

/* ---- a group of sources, all sources ---- */

static spt_status open_source(merge *self, const char *path) {
    spt_merge_source *source = &self->sources[self->n_sources];
    *source = (spt_merge_source){0};
    SPT_TRY(spt_db_open(&source->db, path, SPT_DB_READ));
    self->n_sources++;
    SPT_TRY(spt_db_exec(source->db, "BEGIN")); /* all of one moment; ends when it is closed */
    for (int kind = SPT_ITEM_DEVICE; kind < SPT_ITEM_TRIAL; kind++)
        SPT_TRY(merge_kind(self, source->db, (spt_item_kind)kind));
    SPT_TRY(map_ids(&source->sessions, self, source->db, "SELECT id, uuid FROM session ORDER BY id", map_session));
    return map_ids(&source->variants, self, source->db,
                   "SELECT id, family, revision, point, source_hash, library, is_dense FROM variant ORDER BY id",
                   map_variant);
}

static void close_sources(merge *self) {
    for (int i = 0; i < self->n_sources; i++) {
        spt_id_map_fini(&self->sources[i].sessions);
        spt_id_map_fini(&self->sources[i].variants);
        spt_db_close(self->sources[i].db);
    }
    self->n_sources = 0;
}

static spt_status has_problems(bool *out, spt_db *db) {
    sqlite3_stmt *statement;
    int64_t any;
    SPT_TRY(spt_db_prepare(&statement, db, "SELECT EXISTS (SELECT 1 FROM problem)"));
    SPT_TRY(spt_db_one_integer(&any, db, statement));
    *out = any != 0;
    return SPT_OK;
}

/* A session that is replaced changes winners of problems that no source of the group need have. */
static spt_status merge_group(merge *self, const char *const *paths, int n_paths) {
    bool has_others = true;
    SPT_TRY(has_problems(&has_others, self->to));
    for (int i = 0; i < n_paths; i++)
        SPT_TRY(open_source(self, paths[i]));
    if (!has_others)
        self->to->has_replaced_session = false;
    return spt_merge_trials(self->result, self->to, self->sources, self->n_sources);
}

static spt_status merge_sources(merge *self, const char *const *paths, int n_paths) {
    spt_key_set none = {0};
    spt_status status = SPT_OK;
    for (int i = 0; status == SPT_OK && i < n_paths; i += SOURCES_AT_ONCE) {
        status = merge_group(self, paths + i, n_paths - i < SOURCES_AT_ONCE ? n_paths - i : SOURCES_AT_ONCE);
        close_sources(self);
    }
    if (status == SPT_OK)
        status = spt_key_set_derive(&none, self->to);
    spt_key_set_fini(&none);
    return status;
}

spt_status spt_db_merge(spt_merge_result *out, spt_db *db, const char *const *sources, int n_sources) {
    merge self = {.to = db, .result = out};
    *out = (spt_merge_result){0};
    /* References hold by construction; looking each of them up again would cost as much as the upserts. */
    SPT_TRY(spt_db_exec(db, "PRAGMA foreign_keys = OFF"));
    spt_status status = spt_db_begin(db);
    if (status == SPT_OK)
        status = spt_db_end(db, merge_sources(&self, sources, n_sources));
    sqlite3_exec(db->handle, "PRAGMA foreign_keys = ON", NULL, NULL, NULL);
    return status;
}

/* ---- into files ---- */

/* Nobody sees this file before it is whole, so nothing but the end of it must reach the disk in order. The schema's
 * checks are of lengths of hashes, which have one length here. */
static spt_status merge_unseen(spt_merge_result *out, const char *path, const char *const *sources, int n_sources) {
    spt_db *db;
    SPT_TRY(spt_db_open(&db, path, SPT_DB_WRITE));
    spt_status status = spt_db_exec(db, "PRAGMA journal_mode = DELETE; PRAGMA journal_mode = MEMORY;"
                                        "PRAGMA synchronous = OFF; PRAGMA cache_size = -262144;"
                                        "PRAGMA ignore_check_constraints = ON");
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

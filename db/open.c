/* SPDX-License-Identifier: Apache-2.0 */
/* Opening for the tuner: create, migrate, choose the journal. Nothing is written to a file that is not ours. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "core/memory.h"
#include "db/handle.h"
#include "db/migrate.h"

enum { BUSY_MS = 10000, RETRY_MS = 20 };

/* File systems whose shared memory or locks a write-ahead log cannot rely on (Linux include/uapi/linux/magic.h). */
static const long network_magics[] = {
    0x6969,     /* NFS */
    0x517b,     /* SMB */
    0xff534d42, /* CIFS */
    0xfe534d42, /* SMB2 */
    0x0bd00bd0, /* Lustre */
    0x47504653, /* GPFS */
    0x65735546, /* FUSE */
    0x00c36400, /* Ceph */
    0x01021997, /* 9P */
    0x5346414f, /* AFS */
};

static bool is_on_network(const char *path) {
    struct statfs info;
    if (statfs(path, &info) != 0)
        return false;
    for (size_t i = 0; i < sizeof network_magics / sizeof network_magics[0]; i++) {
        if ((uint32_t)info.f_type == (uint32_t)network_magics[i])
            return true;
    }
    return false;
}

spt_status spt_db_exec(spt_db *db, const char *sql) {
    const int rc = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK ? SPT_OK : spt_sqlite_fail(db->handle, rc, db->path);
}

spt_status spt_db_prepare(sqlite3_stmt **out, spt_db *db, const char *sql) {
    return spt_sqlite_prepare(out, db->handle, db->path, sql);
}

spt_status spt_db_cached(sqlite3_stmt **out, spt_db *db, const char *sql) {
    for (int i = 0; i < db->n_cached; i++) {
        if (db->cached[i].sql == sql) {
            *out = db->cached[i].statement;
            return SPT_OK;
        }
    }
    SPT_TRY(spt_db_prepare(out, db, sql));
    if (db->n_cached < SPT_DB_CACHED_MAX) {
        db->cached[db->n_cached].sql = sql;
        db->cached[db->n_cached++].statement = *out;
    }
    return SPT_OK;
}

void spt_db_done(spt_db *db, sqlite3_stmt *statement) {
    for (int i = 0; i < db->n_cached; i++) {
        if (db->cached[i].statement == statement) {
            sqlite3_reset(statement);
            sqlite3_clear_bindings(statement);
            return;
        }
    }
    sqlite3_finalize(statement);
}

void spt_bind_text(sqlite3_stmt *statement, int index, const char *text) {
    sqlite3_bind_text(statement, index, text, -1, SQLITE_STATIC);
}

void spt_bind_hash(sqlite3_stmt *statement, int index, const spt_hash128 *hash) {
    sqlite3_bind_blob(statement, index, hash->bytes, sizeof hash->bytes, SQLITE_STATIC);
}

spt_status spt_db_run(spt_db *db, sqlite3_stmt *statement) {
    const int rc = sqlite3_step(statement);
    const spt_status status = rc == SQLITE_DONE ? SPT_OK : spt_sqlite_fail(db->handle, rc, db->path);
    spt_db_done(db, statement);
    return status;
}

spt_status spt_db_one_integer(int64_t *out, spt_db *db, sqlite3_stmt *statement) {
    const int rc = sqlite3_step(statement);
    spt_status status = SPT_OK;
    if (rc == SQLITE_ROW)
        *out = sqlite3_column_int64(statement, 0);
    else if (rc == SQLITE_DONE)
        status = spt_fail(SPT_ENOTFOUND, "expected a record, found none: database %s", db->path);
    else
        status = spt_sqlite_fail(db->handle, rc, db->path);
    spt_db_done(db, statement);
    return status;
}

/* What is written to a file that was deleted or renamed meanwhile is lost, and its log would be played back into the
 * next file of that name: what is committed goes into the file, wherever that is, and the log is emptied. */
static spt_status expect_in_place(spt_db *db) {
    int has_moved = 0;
    if (sqlite3_file_control(db->handle, "main", SQLITE_FCNTL_HAS_MOVED, &has_moved) != SQLITE_OK || has_moved == 0)
        return SPT_OK;
    sqlite3_wal_checkpoint_v2(db->handle, "main", SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    return spt_fail(
        SPT_EIO, "expected the database that was opened, found it deleted, renamed or replaced: database %s", db->path);
}

spt_status spt_db_begin(spt_db *db) {
    SPT_TRY(expect_in_place(db));
    return spt_db_exec(db, "BEGIN IMMEDIATE");
}

spt_status spt_db_end(spt_db *db, spt_status status) {
    if (status == SPT_OK)
        status = spt_db_exec(db, "COMMIT");
    if (status != SPT_OK && sqlite3_get_autocommit(db->handle) == 0)
        sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL);
    return status;
}

/* The log comes after the schema: the file's first bytes then carry the application id. Two processes that open a new
 * database at once both ask for the log, which SQLite refuses without waiting. */
static spt_status choose_journal(spt_db *db, bool has_log) {
    const char *sql = has_log ? "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL"
                              : "PRAGMA journal_mode = DELETE; PRAGMA synchronous = FULL";
    int rc = SQLITE_BUSY;
    for (int waited_ms = 0; (rc & 0xff) == SQLITE_BUSY && waited_ms < BUSY_MS; waited_ms += RETRY_MS) {
        if (waited_ms > 0)
            sqlite3_sleep(RETRY_MS);
        rc = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);
    }
    return rc == SQLITE_OK ? SPT_OK : spt_sqlite_fail(db->handle, rc, db->path);
}

spt_status spt_db_write_alone(spt_db *db) {
    return choose_journal(db, false);
}

/* Take away the empty file that an attempt to create a database left, unless another process is about to fill it. */
static void remove_if_empty(const spt_db *db) {
    struct stat info;
    const bool is_busy = db->handle != NULL && (sqlite3_errcode(db->handle) & 0xff) == SQLITE_BUSY;
    if (!is_busy && stat(db->path, &info) == 0 && info.st_size == 0)
        unlink(db->path);
}

static spt_status open_for_writing(spt_db *db) {
    const bool is_in_memory = strcmp(db->path, ":memory:") == 0;
    struct stat info;
    char *name = NULL;
    bool is_empty;
    spt_status status = SPT_OK;
    const bool is_new = !is_in_memory && stat(db->path, &info) != 0 && errno == ENOENT;
    db->is_created = is_new;
    if (!is_in_memory && !is_new) {
        SPT_TRY(spt_sqlite_check_file(&is_empty, db->path));
        if ((info.st_mode & 0222) == 0) /* published: readers take it for immutable, so not even root writes it */
            return spt_fail(SPT_EIO, "expected a database that can be written, found a read-only one: database %s",
                            db->path);
    }
    SPT_TRY_TO(done, spt_sqlite_plain_name(&name, db->path));
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    const int rc = sqlite3_open_v2(name, &db->handle, flags, NULL);
    if (rc != SQLITE_OK) {
        status = spt_sqlite_fail(db->handle, rc, db->path);
        goto done;
    }
    SPT_TRY_TO(done, spt_sqlite_harden(db->handle, db->path, BUSY_MS));
    int n_migrations;
    const spt_migration *migrations = spt_db_migrations(&n_migrations);
    SPT_TRY_TO(done, spt_db_migrate(db->handle, db->path, migrations, n_migrations));
    db->has_compile_times = true;
    if (sqlite3_db_readonly(db->handle, "main") == 1) {
        status =
            spt_fail(SPT_EIO, "expected a database that can be written, found a read-only one: database %s", db->path);
        goto done;
    }
    SPT_TRY_TO(done, choose_journal(db, !is_in_memory && !is_on_network(db->path)));
    SPT_TRY_TO(done, spt_db_checksum_forget(db));
    SPT_TRY_TO(done, spt_put_trials_prepare(db));
    status = spt_db_exec(db, "PRAGMA foreign_keys = ON");
done:
    if (status != SPT_OK && is_new)
        remove_if_empty(db);
    spt_free(name);
    return status;
}

static spt_status open_for_reading(spt_db *db) {
    int version;
    SPT_TRY(spt_sqlite_open_read(&db->handle, db->path, BUSY_MS));
    SPT_TRY(spt_sqlite_version(&version, db->handle, db->path, SPT_DB_SCHEMA_OLDEST, SPT_DB_SCHEMA_VERSION));
    db->has_compile_times = version >= SPT_DB_SCHEMA_COMPILED;
    return db->mode == SPT_DB_READ ? spt_db_checksum_expect(db) : SPT_OK;
}

spt_status spt_db_open(spt_db **out, const char *path, spt_db_mode mode) {
    spt_db *db;
    if (path[0] == '\0')
        return spt_fail(SPT_EINVAL, "expected the path of a database, found an empty one");
    SPT_TRY(SPT_NEW_ZEROED(db, 1));
    db->mode = mode;
    spt_status status = SPT_ENOMEM;
    db->path = spt_strdup(path);
    if (db->path != NULL)
        status = mode == SPT_DB_WRITE ? open_for_writing(db) : open_for_reading(db);
    if (status != SPT_OK) {
        spt_db_close(db);
        return status;
    }
    *out = db;
    return SPT_OK;
}

spt_status spt_db_expect_no_log(const char *path) {
    static const char *const suffixes[] = {"-wal", "-journal"};
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++)
        if (spt_sqlite_has_beside(path, suffixes[i]))
            return spt_fail(SPT_EINVAL, "expected no log of another database beside %s, found %s%s: delete it first",
                            path, path, suffixes[i]);
    return SPT_OK;
}

static spt_status copy_all(spt_db *to, spt_db *from) {
    sqlite3_backup *backup = sqlite3_backup_init(to->handle, "main", from->handle, "main");
    if (backup == NULL)
        return spt_sqlite_fail(to->handle, sqlite3_errcode(to->handle), from->path);
    sqlite3_backup_step(backup, -1);
    const int rc = sqlite3_backup_finish(backup);
    return rc == SQLITE_OK ? SPT_OK : spt_sqlite_fail(to->handle, rc, from->path);
}

spt_status spt_db_open_copy(spt_db **out, const char *path) {
    spt_db *from = NULL, *to = NULL;
    int n_migrations;
    const spt_migration *migrations = spt_db_migrations(&n_migrations);
    spt_status status = SPT_OK;
    SPT_TRY_TO(done, spt_db_open(&to, ":memory:", SPT_DB_WRITE));
    if (access(path, F_OK) == 0) {
        SPT_TRY_TO(done, spt_db_open(&from, path, SPT_DB_READ));
        SPT_TRY_TO(done, copy_all(to, from));
        SPT_TRY_TO(done, spt_db_migrate(to->handle, path, migrations, n_migrations));
    }
    *out = to;
    to = NULL;
done:
    spt_db_close(from);
    spt_db_close(to);
    return status;
}

void spt_db_close(spt_db *db) {
    if (db == NULL)
        return;
    for (int i = 0; i < db->n_cached; i++)
        sqlite3_finalize(db->cached[i].statement);
    sqlite3_close(db->handle);
    spt_free(db->path);
    spt_free(db);
}

static bool is_blank(spt_db *db) {
    static const char sql[] = "SELECT EXISTS (SELECT 1 FROM device) OR EXISTS (SELECT 1 FROM pattern)"
                              " OR EXISTS (SELECT 1 FROM session) OR EXISTS (SELECT 1 FROM variant)";
    sqlite3_stmt *statement;
    int64_t has_record;
    return spt_db_prepare(&statement, db, sql) == SPT_OK && spt_db_one_integer(&has_record, db, statement) == SPT_OK &&
           has_record == 0;
}

void spt_db_close_unused(spt_db *db) {
    if (db != NULL && db->is_created && is_blank(db)) {
        sqlite3_busy_timeout(db->handle, 0);
        /* the log goes only when nobody else has the file open, and the lock then stays to the end */
        static const char alone_sql[] =
            "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = DELETE; BEGIN EXCLUSIVE";
        if (sqlite3_exec(db->handle, alone_sql, NULL, NULL, NULL) == SQLITE_OK && is_blank(db))
            unlink(db->path);
    }
    spt_db_close(db);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Opening files that may be foreign, damaged or hostile. Invariant: a file that is not ours is never written, locked
 * or recovered; only its first 100 bytes are read. */
#include "db/reader_sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/memory.h"
#include "db/reader.h"

#define HEADER_BYTES 100
#define APPLICATION_ID_OFFSET 68

typedef struct failure_row {
    int rc; /* primary result code */
    spt_status status;
    const char *expected;
    const char *found;
} failure_row;

static const failure_row failures[] = {
    {SQLITE_NOTADB, SPT_EINVAL, "a sparsetune database", "a file that is not SQLite"},
    {SQLITE_CORRUPT, SPT_EINVAL, "a whole database", "a damaged or truncated one"},
    {SQLITE_FULL, SPT_EIO, "room for the result", "a full disk"},
    {SQLITE_READONLY, SPT_EIO, "a database that can be written", "a read-only one"},
    {SQLITE_CANTOPEN, SPT_EIO, "a file that can be opened", "one that cannot"},
    {SQLITE_BUSY, SPT_EIO, "a free database", "one that another process keeps locked"},
    {SQLITE_LOCKED, SPT_EIO, "a free database", "one that is locked"},
    {SQLITE_PROTOCOL, SPT_EIO, "a free database", "one whose locks did not settle"},
    {SQLITE_IOERR, SPT_EIO, "a database that can be read and written", "an input/output error"},
    {SQLITE_PERM, SPT_EIO, "permission for the database", "none"},
    {SQLITE_NOMEM, SPT_ENOMEM, "memory for SQLite", "none left"},
    {SQLITE_TOOBIG, SPT_EINVAL, "records of at most 16 MiB", "a larger one"},
    {SQLITE_AUTH, SPT_EINVAL, "plain tables", "views, functions or triggers in their place"},
    {SQLITE_INTERRUPT, SPT_EINVAL, "a database that can be searched by its indices", "one that cannot"},
    {SQLITE_CONSTRAINT, SPT_EINVAL, "a record that the schema allows", "one that it refuses"},
    {SQLITE_ERROR, SPT_EINVAL, "the tables of a sparsetune database", "others"},
};

spt_status spt_sqlite_fail(sqlite3 *handle, int rc, const char *path) {
    const char *detail = handle != NULL ? sqlite3_errmsg(handle) : sqlite3_errstr(rc);
    for (size_t i = 0; i < sizeof failures / sizeof failures[0]; ++i)
        if (failures[i].rc == (rc & 0xff))
            return spt_fail(failures[i].status, "expected %s, found %s (%s): database %s", failures[i].expected,
                            failures[i].found, detail, path);
    return spt_fail(SPT_EIO, "expected SQLite to answer, found result %d (%s): database %s", rc, detail, path);
}

bool spt_sqlite_has_beside(const char *path, const char *suffix) {
    struct stat info;
    char *name = sqlite3_mprintf("%s%s", path, suffix);
    bool found = name != NULL && stat(name, &info) == 0 && info.st_size > 0;
    sqlite3_free(name);
    return found;
}

/* A published file: nobody may write it, and nothing waits beside it to be written. */
static bool is_immutable(const char *path) {
    struct stat info;
    return stat(path, &info) == 0 && (info.st_mode & 0222) == 0 && !spt_sqlite_has_beside(path, "-wal") &&
           !spt_sqlite_has_beside(path, "-journal");
}

/* A file of ours carries its application id from its first committed byte on; before that its first page is missing or
 * empty, and its journal lies beside it. */
static spt_status check_header(const unsigned char *header, ssize_t n_read, const char *path) {
    static const char magic[16] = "SQLite format 3", nothing[16];
    const bool has_first_page = n_read >= HEADER_BYTES && memcmp(header, nothing, sizeof nothing) != 0;
    if (!has_first_page && spt_sqlite_has_beside(path, "-journal"))
        return SPT_OK;
    if (n_read < HEADER_BYTES || memcmp(header, magic, sizeof magic) != 0)
        return spt_fail(SPT_EINVAL, "expected a sparsetune database, found a file that is not SQLite: %s", path);
    const unsigned char *id = header + APPLICATION_ID_OFFSET;
    uint32_t application_id = (uint32_t)id[0] << 24 | (uint32_t)id[1] << 16 | (uint32_t)id[2] << 8 | id[3];
    if (application_id != SPT_DB_APPLICATION_ID)
        return spt_fail(SPT_EINVAL,
                        "expected a sparsetune database (application id %08x), found another application's (%08x): %s",
                        SPT_DB_APPLICATION_ID, application_id, path);
    return SPT_OK;
}

spt_status spt_sqlite_check_file(bool *is_empty, const char *path) {
    struct stat info;
    if (stat(path, &info) != 0)
        return spt_fail(SPT_EIO, "expected a database, found none (%s): %s", strerror(errno), path);
    if (!S_ISREG(info.st_mode))
        return spt_fail(SPT_EINVAL, "expected a database file, found %s: %s",
                        S_ISDIR(info.st_mode) ? "a folder" : "a special file", path);
    *is_empty = info.st_size == 0;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return spt_fail(SPT_EIO, "expected a database that can be read, found one that cannot (%s): %s",
                        strerror(errno), path);
    unsigned char header[HEADER_BYTES];
    ssize_t n_read = pread(file, header, sizeof header, 0);
    int read_errno = errno;
    close(file);
    if (n_read < 0)
        return spt_fail(SPT_EIO, "expected a database that can be read, found one that cannot (%s): %s",
                        strerror(read_errno), path);
    return *is_empty || n_read == 0 ? SPT_OK : check_header(header, n_read, path);
}

typedef struct limit_row {
    int id;
    int value;
} limit_row;

static const limit_row limits[] = {
    {SQLITE_LIMIT_LENGTH, 16 << 20},    {SQLITE_LIMIT_SQL_LENGTH, 1 << 16}, {SQLITE_LIMIT_COLUMN, 64},
    {SQLITE_LIMIT_EXPR_DEPTH, 64},      {SQLITE_LIMIT_COMPOUND_SELECT, 4},  {SQLITE_LIMIT_VDBE_OP, 25000},
    {SQLITE_LIMIT_FUNCTION_ARG, 8},     {SQLITE_LIMIT_ATTACHED, 0},         {SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 64},
    {SQLITE_LIMIT_VARIABLE_NUMBER, 64}, {SQLITE_LIMIT_TRIGGER_DEPTH, 1},    {SQLITE_LIMIT_WORKER_THREADS, 0},
};

typedef struct config_row {
    int id;
    int value;
} config_row;

static const config_row configs[] = {
    {SQLITE_DBCONFIG_DEFENSIVE, 1},
    {SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0},
    {SQLITE_DBCONFIG_ENABLE_TRIGGER, 0},
    {SQLITE_DBCONFIG_ENABLE_VIEW, 0},
    {SQLITE_DBCONFIG_DQS_DDL, 0},
    {SQLITE_DBCONFIG_DQS_DML, 0},
    {SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0},
};

spt_status spt_sqlite_harden(sqlite3 *handle, const char *path, int busy_ms) {
    sqlite3_busy_timeout(handle, busy_ms);
    for (size_t i = 0; i < sizeof configs / sizeof configs[0]; ++i)
        sqlite3_db_config(handle, configs[i].id, configs[i].value, NULL);
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; ++i)
        sqlite3_limit(handle, limits[i].id, limits[i].value);
    sqlite3_drop_modules(handle, NULL); /* no virtual tables */
    int rc = sqlite3_exec(handle, "PRAGMA cell_size_check = ON; PRAGMA mmap_size = 0; PRAGMA temp_store = MEMORY", NULL,
                          NULL, NULL);
    return rc == SQLITE_OK ? SPT_OK : spt_sqlite_fail(handle, rc, path);
}

/* What a connection that only reads may do. A function in a hostile schema is refused when a statement is made. */
static int authorize(void *user, int action, const char *first, const char *second, const char *base,
                     const char *trigger) {
    static const char *const pragmas[] = {"application_id", "user_version", "integrity_check"};
    static const char *const functions[] = {"count", "length"};
    (void)user, (void)base, (void)trigger;
    if (action == SQLITE_SELECT || action == SQLITE_READ || action == SQLITE_TRANSACTION)
        return SQLITE_OK;
    for (size_t i = 0; action == SQLITE_PRAGMA && i < sizeof pragmas / sizeof pragmas[0]; ++i)
        if (sqlite3_stricmp(first, pragmas[i]) == 0)
            return SQLITE_OK;
    for (size_t i = 0; action == SQLITE_FUNCTION && i < sizeof functions / sizeof functions[0]; ++i)
        if (sqlite3_stricmp(second, functions[i]) == 0)
            return SQLITE_OK;
    return SQLITE_DENY;
}

spt_status spt_sqlite_plain_name(char **out, const char *path) {
    bool is_like_uri = strncmp(path, "file:", 5) == 0;
    size_t size = strlen(path) + 3;
    SPT_TRY(SPT_NEW(*out, size));
    sqlite3_snprintf((int)size, *out, "%s%s", is_like_uri ? "./" : "", path);
    return SPT_OK;
}

/* file:PATH?immutable=1 with every byte outside the plain ones escaped. */
static spt_status immutable_name(char **out, const char *path) {
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/";
    static const char digits[] = "0123456789ABCDEF";
    size_t size = 3 * strlen(path) + 32;
    SPT_TRY(SPT_NEW(*out, size));
    char *end = stpcpy(*out, path[0] == '/' ? "file://" : "file:");
    for (const char *p = path; *p != '\0'; ++p) {
        if (strchr(plain, *p) != NULL) {
            *end++ = *p;
            continue;
        }
        *end++ = '%';
        *end++ = digits[(unsigned char)*p >> 4];
        *end++ = digits[(unsigned char)*p & 15];
    }
    stpcpy(end, "?immutable=1");
    return SPT_OK;
}

/* The first read takes SQLite through locks, journal and log: only after it is a database known to be readable. */
static int open_and_touch(sqlite3 **out, const char *name, int flags, int busy_ms) {
    int rc =
        sqlite3_open_v2(name, out, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE | flags, NULL);
    if (rc != SQLITE_OK)
        return rc;
    sqlite3_busy_timeout(*out, busy_ms);
    return sqlite3_exec(*out, "PRAGMA application_id", NULL, NULL, NULL);
}

/* A full disk takes no index of the log; where the log is empty, the file alone is the database. */
static bool has_no_room_for_index(int rc, const char *path) {
    const bool is_index = rc == SQLITE_IOERR_SHMOPEN || rc == SQLITE_IOERR_SHMSIZE || rc == SQLITE_IOERR_SHMMAP;
    return is_index && !spt_sqlite_has_beside(path, "-wal");
}

spt_status spt_sqlite_open_read(sqlite3 **out, const char *path, int busy_ms) {
    sqlite3 *handle = NULL;
    char *plain = NULL, *immutable = NULL;
    bool is_empty = false;
    spt_status status = SPT_OK;
    SPT_TRY_TO(done, spt_sqlite_check_file(&is_empty, path));
    if (is_empty) {
        status = spt_fail(SPT_EINVAL, "expected a sparsetune database, found an empty file: %s", path);
        goto done;
    }
    SPT_TRY_TO(done, spt_sqlite_plain_name(&plain, path));
    int rc = is_immutable(path) ? SQLITE_READONLY : open_and_touch(&handle, plain, 0, busy_ms);
    if ((rc & 0xff) == SQLITE_CANTOPEN || (rc & 0xff) == SQLITE_READONLY || has_no_room_for_index(rc, path)) {
        sqlite3_close(handle);
        handle = NULL;
        SPT_TRY_TO(done, immutable_name(&immutable, path));
        rc = open_and_touch(&handle, immutable, SQLITE_OPEN_URI, busy_ms);
    }
    if (rc != SQLITE_OK) {
        status = spt_sqlite_fail(handle, rc, path);
        goto done;
    }
    SPT_TRY_TO(done, spt_sqlite_harden(handle, path, busy_ms));
    sqlite3_set_authorizer(handle, authorize, NULL);
    *out = handle;
    handle = NULL;
done:
    sqlite3_close(handle);
    spt_free(plain);
    spt_free(immutable);
    return status;
}

spt_status spt_sqlite_prepare(sqlite3_stmt **out, sqlite3 *handle, const char *path, const char *sql) {
    int rc = sqlite3_prepare_v2(handle, sql, -1, out, NULL);
    return rc == SQLITE_OK ? SPT_OK : spt_sqlite_fail(handle, rc, path);
}

static spt_status read_integer(int64_t *out, sqlite3 *handle, const char *path, const char *sql) {
    sqlite3_stmt *statement = NULL;
    SPT_TRY(spt_sqlite_prepare(&statement, handle, path, sql));
    int rc = sqlite3_step(statement);
    *out = rc == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
    spt_status status = rc == SQLITE_ROW || rc == SQLITE_DONE ? SPT_OK : spt_sqlite_fail(handle, rc, path);
    sqlite3_finalize(statement);
    return status;
}

typedef struct identity {
    int64_t application_id, version, n_objects;
} identity;

/* All of one moment: another process may be creating the tables. */
static spt_status read_identity(identity *out, sqlite3 *handle, const char *path) {
    const bool has_begun = sqlite3_get_autocommit(handle) != 0;
    spt_status status = SPT_OK;
    if (has_begun && sqlite3_exec(handle, "BEGIN", NULL, NULL, NULL) != SQLITE_OK)
        return spt_sqlite_fail(handle, sqlite3_errcode(handle), path);
    SPT_TRY_TO(done, read_integer(&out->application_id, handle, path, "PRAGMA application_id"));
    SPT_TRY_TO(done, read_integer(&out->version, handle, path, "PRAGMA user_version"));
    status = read_integer(&out->n_objects, handle, path, "SELECT count(*) FROM sqlite_schema");
done:
    if (has_begun)
        sqlite3_exec(handle, "ROLLBACK", NULL, NULL, NULL);
    return status;
}

spt_status spt_sqlite_version(int *out, sqlite3 *handle, const char *path, int oldest, int newest) {
    identity found = {0};
    SPT_TRY(read_identity(&found, handle, path));
    const int64_t application_id = found.application_id, version = found.version;
    const bool is_blank = application_id == 0 && version == 0 && found.n_objects == 0;
    if (application_id != SPT_DB_APPLICATION_ID && !(oldest == 0 && is_blank))
        return spt_fail(SPT_EINVAL,
                        "expected a sparsetune database (application id %08x), found another application's (%08x): %s",
                        SPT_DB_APPLICATION_ID, (unsigned)application_id, path);
    if (version > newest)
        return spt_fail(SPT_EINVAL,
                        "expected schema version %d or older, found %d, written by a newer sparsetune: database %s",
                        newest, (int)version, path);
    if (version < 0 || (version == 0 && !is_blank))
        return spt_fail(SPT_EINVAL, "expected a schema version from 1 on, found %d: database %s", (int)version, path);
    if (version < oldest)
        return spt_fail(
            SPT_EINVAL,
            "expected schema version %d to %d, found %d, which any command that writes upgrades: database %s", oldest,
            newest, (int)version, path);
    *out = (int)version;
    return SPT_OK;
}

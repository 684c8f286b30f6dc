/* SPDX-License-Identifier: Apache-2.0 */
/* A file to hand out; see upkeep.h. Its checksum is XXH3-128 of the whole file with zeros where the checksum stands:
 * the text lies once in the table of facts, right behind its name. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/memory.h"
#include "core/text.h"
#include "db/exchange.h"
#include "db/handle.h"
#include "db/keys.h"
#include "db/migrate.h"
#include "db/reader_row.h"
#include "db/upkeep.h"

#define ZEROS "00000000000000000000000000000000"
#define LABEL "checksum"
#define FILE_BYTES_MAX ((size_t)8 << 30)

static const char pins_sql[] = "SELECT key, family, point, note, pinned_unix_s FROM pin";
static const char put_pin_sql[] = "INSERT INTO pin (key, family, point, note, pinned_unix_s) SELECT ?1, ?2, ?3, ?4, ?5"
                                  " WHERE EXISTS (SELECT 1 FROM problem WHERE key = ?1)";
static const char put_checksum_sql[] = "INSERT OR REPLACE INTO meta (name, value) VALUES ('" LABEL "', '" ZEROS "')";
static const char checksum_sql[] = "SELECT value FROM meta WHERE name = '" LABEL "'";

spt_status spt_db_vacuum(spt_db *db) {
    sqlite3_limit(db->handle, SQLITE_LIMIT_ATTACHED, 1); /* vacuuming attaches a file of its own */
    const spt_status status = spt_db_exec(db, "VACUUM");
    sqlite3_limit(db->handle, SQLITE_LIMIT_ATTACHED, 0);
    return status;
}

/* ---- pins: not part of a merge, but of a copy ---- */

static spt_status copy_pin(spt_key_set *keys, spt_db *to, sqlite3_stmt *row) {
    char texts[3][SPT_POINT_TEXT_MAX];
    spt_hash128 key;
    sqlite3_stmt *statement;
    if (!spt_row_hash(&key, row, 0))
        return SPT_OK;
    for (int i = 0; i < 3; i++)
        if (!spt_row_text(texts[i], sizeof texts[i], row, 1 + i) || !spt_text_is_plain(texts[i]))
            return SPT_OK;
    SPT_TRY(spt_db_cached(&statement, to, put_pin_sql));
    spt_bind_hash(statement, 1, &key);
    for (int i = 0; i < 3; i++)
        spt_bind_text(statement, 2 + i, texts[i]);
    sqlite3_bind_int64(statement, 5, sqlite3_column_int64(row, 4));
    SPT_TRY(spt_db_run(to, statement));
    return spt_key_set_add(keys, &key);
}

static spt_status copy_pins_from(spt_key_set *keys, spt_db *to, spt_db *from) {
    sqlite3_stmt *statement;
    spt_status status = SPT_OK;
    int rc = SQLITE_DONE, version;
    SPT_TRY(spt_sqlite_version(&version, from->handle, from->path, SPT_DB_SCHEMA_OLDEST, SPT_DB_SCHEMA_VERSION));
    if (version < SPT_DB_SCHEMA_PINS)
        return SPT_OK;
    SPT_TRY(spt_db_prepare(&statement, from, pins_sql));
    while (status == SPT_OK && (rc = sqlite3_step(statement)) == SQLITE_ROW)
        status = copy_pin(keys, to, statement);
    if (status == SPT_OK && rc != SQLITE_DONE)
        status = spt_sqlite_fail(from->handle, rc, from->path);
    sqlite3_finalize(statement);
    return status;
}

static spt_status copy_pins(spt_db *to, const char *source) {
    spt_key_set keys = {0};
    spt_db *from;
    SPT_TRY(spt_db_open(&from, source, SPT_DB_READ));
    spt_status status = spt_db_begin(to);
    if (status == SPT_OK) {
        status = copy_pins_from(&keys, to, from);
        if (status == SPT_OK)
            status = spt_key_set_derive(&keys, to);
        status = spt_db_end(to, status);
    }
    spt_key_set_fini(&keys);
    spt_db_close(from);
    return status;
}

/* ---- the checksum ---- */

/* Where the checksum's digits lie in the file: behind the label. NULL: nowhere, or not once. */
static char *find_digits(char *data, size_t size, const char *digits) {
    char wanted[sizeof LABEL + SPT_HASH_TEXT_SIZE];
    snprintf(wanted, sizeof wanted, "%s%s", LABEL, digits);
    const size_t length = strlen(wanted);
    char *found = memmem(data, size, wanted, length);
    if (found == NULL || memmem(found + 1, size - (size_t)(found + 1 - data), wanted, length) != NULL)
        return NULL;
    return found + sizeof LABEL - 1;
}

static spt_status write_digits(const char *path, const char *digits, size_t offset) {
    const int fd = open(path, O_WRONLY | O_CLOEXEC);
    const bool is_written = fd >= 0 &&
                            pwrite(fd, digits, SPT_HASH_TEXT_SIZE - 1, (off_t)offset) == SPT_HASH_TEXT_SIZE - 1 &&
                            fsync(fd) == 0;
    if (fd >= 0)
        close(fd);
    return is_written ? SPT_OK : spt_fail(SPT_EIO, "%s: cannot be written: %s", path, strerror(errno));
}

static spt_status stamp(const char *path) {
    char *data, digits[SPT_HASH_TEXT_SIZE];
    size_t size;
    SPT_TRY(spt_file_read(&data, &size, path, FILE_BYTES_MAX));
    const char *place = find_digits(data, size, ZEROS);
    spt_status status =
        place != NULL ? SPT_OK
                      : spt_fail(SPT_EWRONG, "expected one place for the checksum, found another number: %s", path);
    if (status == SPT_OK) {
        spt_hash_text(digits, spt_hash(data, size));
        status = write_digits(path, digits, (size_t)(place - data));
    }
    spt_free(data);
    return status;
}

/* The stored digits; "" where the file has none. */
static spt_status read_digits(char digits[SPT_HASH_TEXT_SIZE], spt_db *db) {
    sqlite3_stmt *statement;
    digits[0] = '\0';
    SPT_TRY(spt_db_prepare(&statement, db, checksum_sql));
    if (sqlite3_step(statement) != SQLITE_ROW || !spt_row_text(digits, SPT_HASH_TEXT_SIZE, statement, 0))
        digits[0] = '\0';
    sqlite3_finalize(statement);
    return SPT_OK;
}

static spt_status verify(spt_checksum *out, spt_db *db) {
    char *data, digits[SPT_HASH_TEXT_SIZE], found[SPT_HASH_TEXT_SIZE];
    size_t size;
    *out = SPT_CHECKSUM_NONE;
    SPT_TRY(read_digits(digits, db));
    if (digits[0] == '\0')
        return SPT_OK;
    SPT_TRY(spt_file_read(&data, &size, db->path, FILE_BYTES_MAX));
    *out = SPT_CHECKSUM_WRONG;
    char *place = find_digits(data, size, digits);
    if (place != NULL) {
        memset(place, '0', SPT_HASH_TEXT_SIZE - 1);
        spt_hash_text(found, spt_hash(data, size));
        if (strcmp(found, digits) == 0)
            *out = SPT_CHECKSUM_OK;
    }
    spt_free(data);
    return SPT_OK;
}

spt_status spt_db_checksum_verify(spt_checksum *out, const char *path) {
    spt_db *db;
    *out = SPT_CHECKSUM_NONE;
    SPT_TRY(spt_db_open(&db, path, SPT_DB_INSPECT));
    const spt_status status = verify(out, db);
    spt_db_close(db);
    return status;
}

spt_status spt_db_checksum_expect(spt_db *db) {
    spt_checksum checksum;
    SPT_TRY(verify(&checksum, db));
    if (checksum != SPT_CHECKSUM_WRONG)
        return SPT_OK;
    return spt_fail(SPT_EINVAL,
                    "expected the bytes that this database was published with, found others: get it again: database %s",
                    db->path);
}

spt_status spt_db_checksum_forget(spt_db *db) {
    char digits[SPT_HASH_TEXT_SIZE];
    SPT_TRY(read_digits(digits, db));
    return digits[0] != '\0' ? spt_db_exec(db, "DELETE FROM meta WHERE name = '" LABEL "'") : SPT_OK;
}

const char *spt_checksum_name(spt_checksum checksum) {
    static const char *const names[] = {"none", "ok", "wrong"};
    return names[checksum];
}

/* ---- publishing ---- */

bool spt_db_is_database(const char *path) {
    bool is_empty;
    return spt_sqlite_check_file(&is_empty, path) == SPT_OK && !is_empty;
}

static spt_status finish(spt_db *db, const char *source) {
    SPT_TRY(copy_pins(db, source));
    SPT_TRY(spt_db_exec(db, put_checksum_sql));
    SPT_TRY(spt_db_exec(db, "PRAGMA journal_mode = DELETE"));
    return spt_db_vacuum(db);
}

static spt_status build(const char *temporary_path, const char *source) {
    spt_merge_result ignored;
    spt_db *db;
    SPT_TRY(spt_db_merge_files(&ignored, temporary_path, &source, 1));
    SPT_TRY(spt_db_open(&db, temporary_path, SPT_DB_WRITE));
    const spt_status status = finish(db, source);
    spt_db_close(db);
    return status == SPT_OK ? stamp(temporary_path) : status;
}

/* A database that somebody tunes into has trials of its own, and perhaps a writer that would not notice. */
static spt_status expect_replaceable(const char *path) {
    struct stat info;
    spt_checksum checksum;
    const bool exists = stat(path, &info) == 0;
    if (exists && !S_ISREG(info.st_mode))
        return spt_fail(SPT_EINVAL, "%s: expected a regular file or none, found a special one", path);
    if (exists && (info.st_mode & 0222) != 0 && spt_db_is_database(path) &&
        (spt_db_checksum_verify(&checksum, path) != SPT_OK || checksum == SPT_CHECKSUM_NONE))
        return spt_fail(SPT_EINVAL,
                        "%s: expected a published file or none, found a database that is written to: give another name",
                        path);
    return spt_db_expect_no_log(path);
}

spt_status spt_db_publish(const char *path, const char *source) {
    char *temporary_path, uuid[SPT_UUID_TEXT_SIZE];
    const size_t capacity = strlen(path) + 48;
    SPT_TRY(expect_replaceable(path));
    SPT_TRY(SPT_NEW(temporary_path, capacity));
    spt_uuid_new(uuid);
    snprintf(temporary_path, capacity, "%s.%s.new", path, uuid);
    spt_status status = build(temporary_path, source);
    if (status == SPT_OK && (chmod(temporary_path, 0444) != 0 || rename(temporary_path, path) != 0))
        status = spt_fail(SPT_EIO, "%s: cannot be written: %s", path, strerror(errno));
    if (status != SPT_OK)
        unlink(temporary_path);
    spt_free(temporary_path);
    return status;
}

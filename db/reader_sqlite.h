/* SPDX-License-Identifier: Apache-2.0 */
/* What reader and writer share about SQLite: one sentence per failure, opening files that may be foreign, damaged or
 * hostile, and a configuration in which a file can be wrong but not dangerous. */
#ifndef SPT_DB_READER_SQLITE_H
#define SPT_DB_READER_SQLITE_H

#include <sqlite3.h>
#include <stdbool.h>

#include "core/error.h"

/* Record what a result code means for the database at path and return the status that stands for it. */
spt_status spt_sqlite_fail(sqlite3 *handle, int rc, const char *path);

/* Look at a file before SQLite does, without changing it. *is_empty: zero bytes.
 * Errors: EIO (missing, unreadable), EINVAL (not a regular file, not SQLite, another application's database). */
spt_status spt_sqlite_check_file(bool *is_empty, const char *path);

/* Settings for a connection to a file that nobody vouches for: no views, triggers, extensions, schema functions. */
spt_status spt_sqlite_harden(sqlite3 *handle, const char *path, int busy_ms);

/* Does a file of this name and suffix (-wal, -journal) lie there that holds something? */
bool spt_sqlite_has_beside(const char *path, const char *suffix);

/* Open an existing database read-only; immutable where its folder or disk lets no log be made. Owns: sqlite3_close.
 * Only reading, counting and integrity checks are authorised. Errors: as spt_sqlite_check_file. */
spt_status spt_sqlite_open_read(sqlite3 **out, const char *path, int busy_ms);

/* Read user_version of a database of ours. Versions from oldest to newest are accepted; 0: tables that are not there
 * yet. Errors: EINVAL (not ours, newer, older where that is not accepted). */
spt_status spt_sqlite_version(int *out, sqlite3 *handle, const char *path, int oldest, int newest);

spt_status spt_sqlite_prepare(sqlite3_stmt **out, sqlite3 *handle, const char *path, const char *sql);

/* The name to hand to SQLite: never one that it reads as a URI. Owns: spt_free. */
spt_status spt_sqlite_plain_name(char **out, const char *path);

#endif

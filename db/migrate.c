/* SPDX-License-Identifier: Apache-2.0 */
/* Migrations: an empty file and every older version become the newest one, or stay exactly as they were.
 * Invariant: application_id, user_version and tables change in one transaction, so no reader sees half a schema. */
#include "db/migrate.h"

#include <stdio.h>

#include "db/reader.h"
#include "db/reader_sqlite.h"

/* A winner that a person fixed. Like winners pins belong to a file: neither exports nor merges carry them. */
static const char pins_sql[] = "CREATE TABLE pin ("
                               " key BLOB NOT NULL PRIMARY KEY REFERENCES problem,"
                               " family TEXT NOT NULL,"
                               " point TEXT NOT NULL,"
                               " note TEXT NOT NULL,"
                               " pinned_unix_s INTEGER NOT NULL"
                               ") STRICT, WITHOUT ROWID";

/* Derived like winners, and by the same function: a winner with all that its problem, variant and session say, in the
 * order in which a library reads it. The problem's text stands in the row of rank 0. */
static const char served_sql[] =
    "CREATE TABLE served ("
    " device INTEGER NOT NULL REFERENCES device,"
    " key BLOB NOT NULL REFERENCES problem,"
    " rank INTEGER NOT NULL,"
    " problem TEXT NOT NULL,"
    " family TEXT NOT NULL,"
    " revision INTEGER NOT NULL,"
    " point TEXT NOT NULL,"
    " time_ns_median REAL NOT NULL,"
    " speedup_over_default REAL NOT NULL,"
    " speedup_over_dense REAL NOT NULL,"
    " compiler TEXT NOT NULL,"
    " library TEXT NOT NULL,"
    " PRIMARY KEY (device, key, rank)"
    ") STRICT, WITHOUT ROWID;"
    "INSERT INTO served SELECT p.device, p.key, w.rank, CASE w.rank WHEN 0 THEN p.text ELSE '' END, v.family,"
    " v.revision, v.point, w.time_ns_median, w.speedup_over_default, w.speedup_over_dense, t.compiler, v.library"
    " FROM winner w CROSS JOIN problem p ON p.key = w.key CROSS JOIN variant v ON v.id = w.variant"
    " CROSS JOIN session s ON s.id = w.session CROSS JOIN toolchain t ON t.id = s.toolchain";

/* Of older trials it is not known. */
static const char compiled_sql[] = "ALTER TABLE trial ADD COLUMN compile_ns REAL NOT NULL DEFAULT 0.0";

static const spt_migration migrations_of_release[] = {
    {spt_schema_sql, "create all tables"},
    {pins_sql, "add pins"},
    {served_sql, "lay out for libraries what winners say"},
    {compiled_sql, "add the time that compiling took"},
};
_Static_assert(sizeof migrations_of_release / sizeof migrations_of_release[0] == SPT_DB_SCHEMA_VERSION,
               "one row per schema version");

const spt_migration *spt_db_migrations(int *count) {
    *count = SPT_DB_SCHEMA_VERSION;
    return migrations_of_release;
}

static spt_status run(sqlite3 *handle, const char *path, const char *sql) {
    int rc = sqlite3_exec(handle, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK ? SPT_OK : spt_sqlite_fail(handle, rc, path);
}

/* PRAGMA takes no bound values: the text is made of two integers of ours. */
static spt_status set_header(sqlite3 *handle, const char *path, int version) {
    char sql[128];
    snprintf(sql, sizeof sql, "PRAGMA application_id = %d; PRAGMA user_version = %d", SPT_DB_APPLICATION_ID, version);
    return run(handle, path, sql);
}

static spt_status run_steps(sqlite3 *handle, const char *path, const spt_migration *migrations, int n_migrations) {
    int version = 0;
    SPT_TRY(spt_sqlite_version(&version, handle, path, 0, n_migrations));
    if (version == n_migrations)
        return SPT_OK;
    for (int i = version; i < n_migrations; ++i) {
        int rc = sqlite3_exec(handle, migrations[i].sql, NULL, NULL, NULL);
        if (rc == SQLITE_ERROR || rc == SQLITE_CONSTRAINT)
            return spt_fail(SPT_EINVAL, "expected schema version %d to allow the step \"%s\", found %s: database %s", i,
                            migrations[i].summary, sqlite3_errmsg(handle), path);
        if (rc != SQLITE_OK)
            return spt_sqlite_fail(handle, rc, path);
    }
    return set_header(handle, path, n_migrations);
}

spt_status spt_db_migrate(sqlite3 *handle, const char *path, const spt_migration *migrations, int n_migrations) {
    int version = 0;
    SPT_TRY(spt_sqlite_version(&version, handle, path, 0, n_migrations));
    if (version == n_migrations)
        return SPT_OK;
    SPT_TRY(run(handle, path, "BEGIN IMMEDIATE"));
    spt_status status = run_steps(handle, path, migrations, n_migrations);
    if (status == SPT_OK)
        status = run(handle, path, "COMMIT");
    if (status != SPT_OK && sqlite3_get_autocommit(handle) == 0)
        sqlite3_exec(handle, "ROLLBACK", NULL, NULL, NULL);
    return status;
}

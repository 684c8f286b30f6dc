/* SPDX-License-Identifier: Apache-2.0 */
/* Migrations: forward only, one table row per version, each step in the same transaction as its new user_version. */
#ifndef SPT_DB_MIGRATE_H
#define SPT_DB_MIGRATE_H

#include <sqlite3.h>

#include "core/error.h"

/* Row i brings version i to version i + 1. A row that was ever released is never changed again. */
typedef struct spt_migration {
    const char *sql;     /* statements, run as they stand */
    const char *summary; /* what it does, for the sentence when it does not work */
} spt_migration;

#define SPT_DB_SCHEMA_PINS 2     /* the first version with the table of pins */
#define SPT_DB_SCHEMA_COMPILED 4 /* the first version whose trials say how long their code took to compile */

extern const char spt_schema_sql[] __attribute__((visibility("hidden"))); /* schema.sql */

/* Bring a database from its user_version to n_migrations, all steps in one transaction, and mark it as ours.
 * Another process may migrate at the same time: the version is read again under the write lock.
 * Errors: EINVAL (newer than the table), EIO; the database is then as it was. */
spt_status spt_db_migrate(sqlite3 *handle, const char *path, const spt_migration *migrations, int n_migrations);

/* The migrations of this release; *count equals SPT_DB_SCHEMA_VERSION. */
const spt_migration *spt_db_migrations(int *count);

#endif

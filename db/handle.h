/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the writing half share: the open database, statements with bound values, the content hash. */
#ifndef SPT_DB_HANDLE_H
#define SPT_DB_HANDLE_H

#include <sqlite3.h>

#include "db/db.h"
#include "db/reader_sqlite.h"

enum { SPT_DB_CACHED_MAX = 32 };

struct spt_db {
    sqlite3 *handle;
    char *path;
    spt_db_mode mode;
    bool is_created;           /* by this connection */
    bool has_replaced_session; /* a policy may have changed, so winners of any key may */
    bool has_compile_times;    /* a schema whose trials have compile_ns: chooses among two texts of a statement */
    const struct spt_trial_batch *given; /* what the virtual table of put_trials.c shows now */
    int n_cached;
    struct {
        const char *sql; /* known by its address */
        sqlite3_stmt *statement;
    } cached[SPT_DB_CACHED_MAX]; /* statements that are prepared once per connection */
};

/* Run statements without values. */
spt_status spt_db_exec(spt_db *db, const char *sql);

/* Prepare; values are then bound by position from 1 on. Owns: spt_db_run or spt_db_done. */
spt_status spt_db_prepare(sqlite3_stmt **out, spt_db *db, const char *sql);
void spt_bind_text(sqlite3_stmt *statement, int index, const char *text); /* the text must outlive the statement */
void spt_bind_hash(sqlite3_stmt *statement, int index, const spt_hash128 *hash);

/* The same for statements that come often: `sql` is a static array, and the connection keeps what was prepared. */
spt_status spt_db_cached(sqlite3_stmt **out, spt_db *db, const char *sql);
/* Be done with a statement: one that is kept is reset, another one finalized. NULL is allowed. */
void spt_db_done(spt_db *db, sqlite3_stmt *statement);

/* Step a statement that returns nothing and be done with it. */
spt_status spt_db_run(spt_db *db, sqlite3_stmt *statement);

/* Step a statement for one integer and be done with it. Errors: ENOTFOUND when there is no row. */
spt_status spt_db_one_integer(int64_t *out, spt_db *db, sqlite3_stmt *statement);

/* Begin, and commit or roll back by the status so far, which is returned unless the commit itself does not work. */
spt_status spt_db_begin(spt_db *db);
spt_status spt_db_end(spt_db *db, spt_status status);

/* Of a published file: its bytes must be those that were published (EINVAL), and a copy that is written to is none any
 * more. Files without a checksum pass. */
spt_status spt_db_checksum_expect(spt_db *db);
spt_status spt_db_checksum_forget(spt_db *db);

/* A log or a journal that lies beside a name would be played back into the next file of that name. Errors: EINVAL. */
spt_status spt_db_expect_no_log(const char *path);

/* Once per connection that writes, outside of a transaction: what putting trials needs. */
spt_status spt_put_trials_prepare(spt_db *db);

/* Give free room back and lay the file out anew; outside of a transaction. */
spt_status spt_db_vacuum(spt_db *db);

#endif

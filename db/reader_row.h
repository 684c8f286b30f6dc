/* SPDX-License-Identifier: Apache-2.0 */
/* Columns of a result row, checked: false where the type, the size or the range is not what the schema promises. */
#ifndef SPT_DB_READER_ROW_H
#define SPT_DB_READER_ROW_H

#include <sqlite3.h>
#include <stdbool.h>

#include "db/reader.h"

bool spt_row_hash(spt_hash128 *out, sqlite3_stmt *row, int column);
bool spt_row_text(char *out, size_t capacity, sqlite3_stmt *row, int column); /* false when it does not fit */
bool spt_row_integer(int64_t *out, sqlite3_stmt *row, int column, int64_t min, int64_t max);
bool spt_row_magnitude(double *out, sqlite3_stmt *row, int column); /* finite, from zero on */
/* A time that a call can take, in ns: from one on, which is a few cycles, to some decades. */
bool spt_is_time(double ns);
bool spt_row_time(double *out, sqlite3_stmt *row, int column);
/* Text that names something or is shown to people: plain characters only, so that it can be printed anywhere. */
bool spt_row_name(char *out, size_t capacity, sqlite3_stmt *row, int column);

#define SPT_RANK_MAX 1000

/* A row that begins with SPT_WINNER_COLUMNS; false where any of them is not legal. */
bool spt_winner_take(spt_winner *out, sqlite3_stmt *row);

/* The winners' query up to its tables, and the tables that hang on winner w and problem p. */
#define SPT_WINNER_COLUMNS                                                                                             \
    "SELECT p.key, p.op, p.dtype, p.layout, p.epilogue, p.cache, p.m, p.k, p.n, a.nnz, p.threads, p.fingerprint,"      \
    " w.rank, v.family, v.revision, v.point, w.time_ns_median, w.ci_ns, w.speedup_over_default,"                       \
    " w.speedup_over_dense, v.is_dense, t.compiler, v.library, s.host "
#define SPT_WINNER_JOINS                                                                                               \
    " CROSS JOIN variant v ON v.id = w.variant CROSS JOIN session s ON s.id = w.session"                               \
    " CROSS JOIN toolchain t ON t.id = s.toolchain CROSS JOIN pattern a ON a.fingerprint = p.fingerprint "

/* All winners of device ?1, and the winners of key ?1: each table is searched by one index, in this order. */
#define SPT_WINNERS_OF_DEVICE                                                                                          \
    SPT_WINNER_COLUMNS                                                                                                 \
    "FROM device d CROSS JOIN problem p ON p.device = d.id CROSS JOIN winner w ON w.key = p.key" SPT_WINNER_JOINS      \
    "WHERE d.key = ?1"
#define SPT_WINNERS_OF_KEY                                                                                             \
    SPT_WINNER_COLUMNS "FROM winner w CROSS JOIN problem p ON p.key = w.key" SPT_WINNER_JOINS "WHERE w.key = ?1"

/* Takes a winner out of a row; false where the row is not legal. */
typedef bool spt_winner_function(spt_winner *out, sqlite3_stmt *row, void *user);

/* Step a statement to its end; sort by key, then rank. Owns: spt_winner_list_fini. */
spt_status spt_winners_collect(spt_winner_list *out, sqlite3_stmt *statement, sqlite3 *handle, const char *path,
                               spt_winner_function *take, void *user);
/* The same for a statement whose columns are SPT_WINNER_COLUMNS. */
spt_status spt_winners_collect_all(spt_winner_list *out, sqlite3_stmt *statement, sqlite3 *handle, const char *path);

#endif

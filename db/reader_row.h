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

/* Step a statement whose columns are those of the winners' query to its end. Owns: spt_winner_list_fini. */
spt_status spt_winners_collect(spt_winner_list *out, sqlite3_stmt *statement, sqlite3 *handle, const char *path);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Checked columns. STRICT tables promise the types, but a hostile file need not have been made by SQLite. */
#include "db/reader_row.h"

#include <math.h>
#include <string.h>

/* Statements belong to connections of one thread, so a value may be looked at without SQLite's protection of it: one
 * call per column of those that cost. */
bool spt_row_hash(spt_hash128 *out, sqlite3_stmt *row, int column) {
    sqlite3_value *value = sqlite3_column_value(row, column);
    if (sqlite3_value_type(value) != SQLITE_BLOB || sqlite3_value_bytes(value) != sizeof out->bytes)
        return false;
    memcpy(out->bytes, sqlite3_value_blob(value), sizeof out->bytes);
    return true;
}

bool spt_row_text(char *out, size_t capacity, sqlite3_stmt *row, int column) {
    sqlite3_value *value = sqlite3_column_value(row, column);
    if (sqlite3_value_type(value) != SQLITE_TEXT)
        return false;
    const unsigned char *text = sqlite3_value_text(value);
    const size_t size = (size_t)sqlite3_value_bytes(value);
    if (text == NULL || size >= capacity || memchr(text, '\0', size) != NULL)
        return false;
    memcpy(out, text, size);
    out[size] = '\0';
    return true;
}

bool spt_row_integer(int64_t *out, sqlite3_stmt *row, int column, int64_t min, int64_t max) {
    sqlite3_value *value = sqlite3_column_value(row, column);
    *out = sqlite3_value_int64(value);
    return sqlite3_value_type(value) == SQLITE_INTEGER && *out >= min && *out <= max;
}

bool spt_row_name(char *out, size_t capacity, sqlite3_stmt *row, int column) {
    if (!spt_row_text(out, capacity, row, column))
        return false;
    for (const char *c = out; *c != '\0'; c++) {
        if (*c < ' ' || *c > '~')
            return false;
    }
    return true;
}

bool spt_row_magnitude(double *out, sqlite3_stmt *row, int column) {
    *out = sqlite3_column_double(row, column);
    return isfinite(*out) && *out >= 0.0;
}

bool spt_is_time(double ns) {
    return ns >= 1.0 && ns <= 1e18;
}

bool spt_row_time(double *out, sqlite3_stmt *row, int column) {
    *out = sqlite3_column_double(row, column);
    return spt_is_time(*out);
}

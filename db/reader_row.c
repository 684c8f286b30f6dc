/* SPDX-License-Identifier: Apache-2.0 */
/* Checked columns. STRICT tables promise the types, but a hostile file need not have been made by SQLite. */
#include "db/reader_row.h"

#include <math.h>
#include <string.h>

bool spt_row_hash(spt_hash128 *out, sqlite3_stmt *row, int column) {
    if (sqlite3_column_type(row, column) != SQLITE_BLOB || sqlite3_column_bytes(row, column) != sizeof out->bytes)
        return false;
    memcpy(out->bytes, sqlite3_column_blob(row, column), sizeof out->bytes);
    return true;
}

bool spt_row_text(char *out, size_t capacity, sqlite3_stmt *row, int column) {
    if (sqlite3_column_type(row, column) != SQLITE_TEXT)
        return false;
    const unsigned char *text = sqlite3_column_text(row, column);
    const size_t size = (size_t)sqlite3_column_bytes(row, column);
    if (text == NULL || size >= capacity || memchr(text, '\0', size) != NULL)
        return false;
    memcpy(out, text, size);
    out[size] = '\0';
    return true;
}

bool spt_row_integer(int64_t *out, sqlite3_stmt *row, int column, int64_t min, int64_t max) {
    *out = sqlite3_column_int64(row, column);
    return sqlite3_column_type(row, column) == SQLITE_INTEGER && *out >= min && *out <= max;
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
    return ns >= 1e-6 && ns <= 1e18;
}

bool spt_row_time(double *out, sqlite3_stmt *row, int column) {
    *out = sqlite3_column_double(row, column);
    return spt_is_time(*out);
}

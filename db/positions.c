/* SPDX-License-Identifier: Apache-2.0 */
/* Positions as compressed bytes; see positions.h. A hostile blob can neither make the decoder allocate more than the
 * limit nor give a matrix that is not one. */
#include "db/positions.h"

#include <inttypes.h>
#include <string.h>
#include <zlib.h>

#include "core/csr.h"
#include "core/memory.h"
#include "core/pattern.h"
#include "db/handle.h"

#define FORMAT_VERSION 1
#define BLOB_BYTES_MAX ((size_t)15 << 20)
#define RAW_BYTES_MAX ((size_t)256 << 20)
enum { VARINT_BYTES_MAX = 10, LEVEL = 9 };

/* ---- numbers of seven bits a byte, the lowest first, the highest bit says that more follow ---- */

static uint8_t *put_number(uint8_t *end, uint64_t value) {
    for (; value >= 128; value >>= 7)
        *end++ = (uint8_t)(value | 128);
    *end++ = (uint8_t)value;
    return end;
}

typedef struct byte_reader {
    const uint8_t *at, *end;
} byte_reader;

static spt_status take_number(int64_t *out, byte_reader *reader, int64_t max, const char *what) {
    uint64_t value = 0;
    *out = 0;
    for (int shift = 0; shift < 63 && reader->at < reader->end; shift += 7) {
        const uint8_t byte = *reader->at++;
        value |= (uint64_t)(byte & 127) << shift;
        if (byte >= 128)
            continue;
        *out = (int64_t)value;
        return *out <= max
                   ? SPT_OK
                   : spt_fail(SPT_EINVAL, "expected %s of at most %" PRId64 " in stored positions, found %" PRId64,
                              what, max, *out);
    }
    return spt_fail(SPT_EINVAL, "expected %s in stored positions, found their end", what);
}

/* ---- to bytes ---- */

static size_t raw_bytes(const spt_csr *a, uint8_t *raw) {
    uint8_t *end = raw;
    end = put_number(end, (uint64_t)a->n_rows);
    end = put_number(end, (uint64_t)a->n_cols);
    end = put_number(end, (uint64_t)spt_csr_nnz(a));
    for (int64_t row = 0; row < a->n_rows; row++) {
        int64_t next = 0;
        end = put_number(end, (uint64_t)spt_csr_row_length(a, row));
        for (int64_t nz = a->row_offsets[row]; nz < a->row_offsets[row + 1]; nz++) {
            end = put_number(end, (uint64_t)(a->columns[nz] - next)); /* columns rise strictly */
            next = (int64_t)a->columns[nz] + 1;
        }
    }
    return (size_t)(end - raw);
}

/* Version and length, then what zlib makes of the numbers. */
static spt_status deflate_raw(void **out, size_t *out_bytes, const uint8_t *raw, size_t size) {
    uLongf deflated_bytes = compressBound((uLong)size);
    uint8_t *bytes;
    SPT_TRY(SPT_NEW(bytes, 1 + VARINT_BYTES_MAX + deflated_bytes));
    bytes[0] = FORMAT_VERSION;
    uint8_t *body = put_number(bytes + 1, size);
    if (compress2(body, &deflated_bytes, raw, (uLong)size, LEVEL) != Z_OK) {
        spt_free(bytes);
        return spt_fail(SPT_ENOMEM, "expected memory for compressing positions, found none");
    }
    *out = bytes;
    *out_bytes = (size_t)(body - bytes) + deflated_bytes;
    return SPT_OK;
}

spt_status spt_positions_encode(void **out, size_t *out_bytes, const spt_csr *a) {
    uint8_t *raw;
    const size_t n_numbers = 3 + (size_t)a->n_rows + (size_t)spt_csr_nnz(a);
    *out = NULL;
    if (n_numbers > RAW_BYTES_MAX / 5) /* a number below 2^31 takes five bytes at most */
        return spt_fail(SPT_EUNSUPPORTED, "expected a pattern of fewer nonzeros to keep its positions, found %" PRId64,
                        spt_csr_nnz(a));
    SPT_TRY(SPT_NEW(raw, n_numbers * 5 + VARINT_BYTES_MAX));
    spt_status status = deflate_raw(out, out_bytes, raw, raw_bytes(a, raw));
    spt_free(raw);
    if (status == SPT_OK && *out_bytes > BLOB_BYTES_MAX) {
        spt_free(*out);
        *out = NULL;
        status =
            spt_fail(SPT_EUNSUPPORTED, "expected positions that fit %zu bytes, found %zu", BLOB_BYTES_MAX, *out_bytes);
    }
    return status;
}

/* ---- from bytes ---- */

static spt_status take_rows(spt_matrix *out, byte_reader *reader, int64_t nnz) {
    int64_t nz = 0;
    for (int64_t row = 0; row < out->view.n_rows; row++) {
        int64_t length = 0, column = 0, next = 0;
        SPT_TRY(take_number(&length, reader, nnz - nz, "a row's length"));
        for (const int64_t end = nz + length; nz < end; nz++) {
            SPT_TRY(take_number(&column, reader, out->view.n_cols - 1 - next, "a column"));
            column += next;
            out->columns[nz] = (int32_t)column;
            next = column + 1;
        }
        out->row_offsets[row + 1] = nz;
    }
    if (nz != nnz || reader->at != reader->end)
        return spt_fail(SPT_EINVAL, "expected %" PRId64 " stored positions, found %s", nnz,
                        nz != nnz ? "fewer" : "more bytes behind them");
    return spt_csr_check(&out->view, "stored positions");
}

static spt_status take_matrix(spt_matrix *out, const uint8_t *raw, size_t size) {
    byte_reader reader = {raw, raw + size};
    int64_t n_rows = 0, n_cols = 0, nnz = 0;
    *out = (spt_matrix){0};
    SPT_TRY(take_number(&n_rows, &reader, SPT_DIM_MAX, "rows"));
    SPT_TRY(take_number(&n_cols, &reader, SPT_DIM_MAX, "columns"));
    SPT_TRY(take_number(&nnz, &reader, (int64_t)size, "nonzeros"));
    if (n_rows < 1 || n_cols < 1 || n_rows > (int64_t)size)
        return spt_fail(SPT_EINVAL, "expected stored positions of a matrix, found %" PRId64 " x %" PRId64, n_rows,
                        n_cols);
    SPT_TRY(spt_matrix_init(out, n_rows, n_cols, nnz, false));
    const spt_status status = take_rows(out, &reader, nnz);
    if (status != SPT_OK)
        spt_matrix_fini(out);
    return status;
}

spt_status spt_positions_decode(spt_matrix *out, const void *data, size_t size) {
    byte_reader reader = {data, (const uint8_t *)data + size};
    int64_t raw_size = 0;
    uint8_t *raw;
    if (size < 1 || *reader.at++ != FORMAT_VERSION)
        return spt_fail(SPT_EINVAL, "expected stored positions of version %d, found others", FORMAT_VERSION);
    SPT_TRY(take_number(&raw_size, &reader, (int64_t)RAW_BYTES_MAX, "a size"));
    SPT_TRY(SPT_NEW(raw, raw_size));
    uLongf found = (uLongf)raw_size;
    const int rc = uncompress(raw, &found, reader.at, (uLong)(reader.end - reader.at));
    const spt_status status = rc == Z_OK && found == (uLongf)raw_size
                                  ? take_matrix(out, raw, found)
                                  : spt_fail(SPT_EINVAL, "expected whole stored positions, found damaged ones");
    spt_free(raw);
    return status;
}

/* ---- in a database ---- */

static const char add_sql[] =
    "UPDATE pattern SET positions = ?2 WHERE fingerprint = ?1 AND (positions IS NULL OR ?2 > positions)";
static const char read_sql[] = "SELECT positions FROM pattern WHERE fingerprint = ?1 AND positions IS NOT NULL";

spt_status spt_db_positions_add(spt_db *db, const spt_hash128 *fingerprint, const spt_csr *a) {
    void *data;
    size_t size;
    sqlite3_stmt *statement;
    SPT_TRY(spt_positions_encode(&data, &size, a));
    spt_status status = spt_db_prepare(&statement, db, add_sql);
    if (status == SPT_OK) {
        spt_bind_hash(statement, 1, fingerprint);
        sqlite3_bind_blob64(statement, 2, data, size, SQLITE_STATIC);
        status = spt_db_run(db, statement);
    }
    spt_free(data);
    return status;
}

static spt_status decode_checked(spt_matrix *out, const void *data, size_t size, const spt_hash128 *fingerprint) {
    SPT_TRY(spt_positions_decode(out, data, size));
    if (spt_hash_equal(spt_pattern_fingerprint(&out->view), *fingerprint))
        return SPT_OK;
    spt_matrix_fini(out);
    return spt_fail(SPT_EINVAL, "expected the stored positions to have the pattern's fingerprint, found another");
}

spt_status spt_positions_check(const void *data, size_t size, const spt_hash128 *fingerprint) {
    spt_matrix matrix = {0};
    SPT_TRY(decode_checked(&matrix, data, size, fingerprint));
    spt_matrix_fini(&matrix);
    return SPT_OK;
}

spt_status spt_db_positions_read(spt_matrix *out, spt_db *db, const spt_hash128 *fingerprint) {
    sqlite3_stmt *statement;
    spt_status status;
    SPT_TRY(spt_db_prepare(&statement, db, read_sql));
    spt_bind_hash(statement, 1, fingerprint);
    const int rc = sqlite3_step(statement);
    if (rc == SQLITE_ROW && sqlite3_column_type(statement, 0) == SQLITE_BLOB)
        status = decode_checked(out, sqlite3_column_blob(statement, 0), (size_t)sqlite3_column_bytes(statement, 0),
                                fingerprint);
    else if (rc == SQLITE_DONE || rc == SQLITE_ROW)
        status = spt_fail(SPT_ENOTFOUND, "expected the pattern's positions in the database, found none: %s", db->path);
    else
        status = spt_sqlite_fail(db->handle, rc, db->path);
    sqlite3_finalize(statement);
    return status;
}

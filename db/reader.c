/* SPDX-License-Identifier: Apache-2.0 */
/* All winners of one device in one pass, for a table that answers lookups without SQLite. A row that is not legal (a
 * wrong type, an unknown name, a number out of range) is skipped by itself. */
#include "db/reader.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/memory.h"
#include "core/text.h"
#include "db/reader_row.h"
#include "db/reader_sqlite.h"

/* A file without its indices, or with costly expressions in its schema, would be searched for ever: the time is looked
 * at after so many steps of SQLite's machine. */
enum { BUSY_MS = 2000, SEARCH_SECONDS = 4, STEPS_PER_LOOK = 100 };

/* Text that names something or is shown to people: plain characters only, so that it can be printed anywhere. */
static bool take_name(char *out, size_t capacity, sqlite3_stmt *row, int column) {
    if (!spt_row_text(out, capacity, row, column))
        return false;
    for (const char *c = out; *c != '\0'; c++) {
        if (*c < ' ' || *c > '~')
            return false;
    }
    return true;
}

static bool take_magnitude(double *out, sqlite3_stmt *row, int column) {
    *out = sqlite3_column_double(row, column);
    return isfinite(*out) && *out >= 0.0;
}

bool spt_winner_take(spt_winner *out, sqlite3_stmt *row) {
    int64_t threads, rank, revision, is_dense;
    char name[32];
    return spt_row_hash(&out->key, row, 0) && take_name(name, sizeof name, row, 1) &&
           spt_op_parse(&out->op, name) == SPT_OK && take_name(name, sizeof name, row, 2) &&
           spt_dtype_parse(&out->dtype, name) == SPT_OK && take_name(name, sizeof name, row, 3) &&
           spt_layout_parse(&out->layout, name) == SPT_OK && take_name(name, sizeof name, row, 4) &&
           spt_epilogue_parse(&out->epilogue, name) == SPT_OK && take_name(name, sizeof name, row, 5) &&
           spt_cache_parse(&out->cache, name) == SPT_OK && spt_row_integer(&out->m, row, 6, 1, INT32_MAX) &&
           spt_row_integer(&out->k, row, 7, 1, INT32_MAX) && spt_row_integer(&out->n, row, 8, 1, INT32_MAX) &&
           spt_row_integer(&out->nnz, row, 9, 0, INT64_MAX) && spt_row_integer(&threads, row, 10, 1, 4096) &&
           spt_row_hash(&out->fingerprint, row, 11) && spt_row_integer(&rank, row, 12, 0, 1000) &&
           take_name(out->family, sizeof out->family, row, 13) && spt_row_integer(&revision, row, 14, 0, INT32_MAX) &&
           take_name(out->point, sizeof out->point, row, 15) && take_magnitude(&out->time_ns_median, row, 16) &&
           out->time_ns_median > 0.0 && take_magnitude(&out->ci_ns, row, 17) &&
           take_magnitude(&out->speedup_over_default, row, 18) && take_magnitude(&out->speedup_over_dense, row, 19) &&
           spt_row_integer(&is_dense, row, 20, 0, 1) && take_name(out->compiler, sizeof out->compiler, row, 21) &&
           take_name(out->library, sizeof out->library, row, 22) && take_name(out->host, sizeof out->host, row, 23) &&
           (out->threads = (int)threads, out->rank = (int)rank, out->revision = (int)revision,
            out->is_dense = (int)is_dense, true);
}

static spt_status append(spt_winner_list *list, int64_t *capacity, const spt_winner *winner) {
    if (list->count == *capacity) {
        const int64_t larger = *capacity > 0 ? 2 * *capacity : 64;
        spt_winner *items = spt_realloc(list->items, (size_t)*capacity, (size_t)larger, sizeof *list->items);
        if (items == NULL)
            return SPT_ENOMEM;
        list->items = items;
        *capacity = larger;
    }
    list->items[list->count++] = *winner;
    return SPT_OK;
}

static int by_key_and_rank(const void *a, const void *b) {
    const spt_winner *x = a, *y = b;
    const int order = spt_hash_compare(x->key, y->key);
    return order != 0 ? order : (x->rank > y->rank) - (x->rank < y->rank);
}

spt_status spt_winners_collect(spt_winner_list *out, sqlite3_stmt *statement, sqlite3 *handle, const char *path) {
    int64_t capacity = 0;
    int rc;
    *out = (spt_winner_list){0};
    while ((rc = sqlite3_step(statement)) == SQLITE_ROW) {
        spt_winner winner = {0};
        if (!spt_winner_take(&winner, statement))
            continue;
        if (append(out, &capacity, &winner) != SPT_OK) {
            spt_winner_list_fini(out);
            return SPT_ENOMEM;
        }
    }
    if (rc != SQLITE_DONE) {
        spt_winner_list_fini(out);
        return spt_sqlite_fail(handle, rc, path);
    }
    if (out->count > 0) /* by the indices they come in order already, but a hostile file may have others */
        qsort(out->items, (size_t)out->count, sizeof *out->items, by_key_and_rank);
    return SPT_OK;
}

static time_t monotonic_s(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

static int is_too_late(void *deadline_s) {
    return monotonic_s() > *(const time_t *)deadline_s;
}

spt_status spt_db_read_winners(spt_winner_list *out, const char *path, const char *device_key) {
    sqlite3 *handle = NULL;
    sqlite3_stmt *statement = NULL;
    spt_status status = SPT_OK;
    int version;
    time_t deadline_s = monotonic_s() + SEARCH_SECONDS;
    *out = (spt_winner_list){0};
    SPT_TRY_TO(done, spt_sqlite_open_read(&handle, path, BUSY_MS));
    SPT_TRY_TO(done, spt_sqlite_version(&version, handle, path, SPT_DB_SCHEMA_OLDEST, SPT_DB_SCHEMA_VERSION));
    SPT_TRY_TO(done, spt_sqlite_prepare(&statement, handle, path, SPT_WINNERS_OF_DEVICE));
    sqlite3_progress_handler(handle, STEPS_PER_LOOK, is_too_late, &deadline_s);
    sqlite3_bind_text(statement, 1, device_key, -1, SQLITE_STATIC);
    status = spt_winners_collect(out, statement, handle, path);
done:
    sqlite3_finalize(statement);
    sqlite3_close(handle);
    return status;
}

void spt_winner_list_fini(spt_winner_list *list) {
    spt_free(list->items);
    *list = (spt_winner_list){0};
}

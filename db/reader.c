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
#include "db/reader_served.h"
#include "db/reader_sqlite.h"

/* A file without its indices, or with costly expressions in its schema, would be searched for ever: the time is looked
 * at after so many steps of SQLite's machine. */
enum { BUSY_MS = 2000, SEARCH_SECONDS = 4, STEPS_PER_LOOK = 100 };

bool spt_winner_take(spt_winner *out, sqlite3_stmt *row) {
    int64_t threads, rank, revision, is_dense;
    char name[32];
    return spt_row_hash(&out->key, row, 0) && spt_row_name(name, sizeof name, row, 1) &&
           spt_op_parse(&out->op, name) == SPT_OK && spt_row_name(name, sizeof name, row, 2) &&
           spt_dtype_parse(&out->dtype, name) == SPT_OK && spt_row_name(name, sizeof name, row, 3) &&
           spt_layout_parse(&out->layout, name) == SPT_OK && spt_row_name(name, sizeof name, row, 4) &&
           spt_epilogue_parse(&out->epilogue, name) == SPT_OK && spt_row_name(name, sizeof name, row, 5) &&
           spt_cache_parse(&out->cache, name) == SPT_OK && spt_row_integer(&out->m, row, 6, 1, INT32_MAX) &&
           spt_row_integer(&out->k, row, 7, 1, INT32_MAX) && spt_row_integer(&out->n, row, 8, 1, INT32_MAX) &&
           spt_row_integer(&out->nnz, row, 9, 0, INT64_MAX) && spt_row_integer(&threads, row, 10, 1, 4096) &&
           spt_row_hash(&out->fingerprint, row, 11) && spt_row_integer(&rank, row, 12, 0, SPT_RANK_MAX) &&
           spt_row_name(out->family, sizeof out->family, row, 13) &&
           spt_row_integer(&revision, row, 14, 0, INT32_MAX) && spt_row_name(out->point, sizeof out->point, row, 15) &&
           spt_row_time(&out->time_ns_median, row, 16) && spt_row_magnitude(&out->ci_ns, row, 17) &&
           spt_row_magnitude(&out->speedup_over_default, row, 18) &&
           spt_row_magnitude(&out->speedup_over_dense, row, 19) && spt_row_integer(&is_dense, row, 20, 0, 1) &&
           spt_row_name(out->compiler, sizeof out->compiler, row, 21) &&
           spt_row_name(out->library, sizeof out->library, row, 22) &&
           spt_row_name(out->host, sizeof out->host, row, 23) &&
           (out->threads = (int)threads, out->rank = (int)rank, out->revision = (int)revision,
            out->is_dense = (int)is_dense, true);
}

/* Room for one more; zeroed. Errors: ENOMEM. */
static spt_status make_room(spt_winner_list *list, int64_t *capacity) {
    void *items = list->items;
    SPT_TRY(spt_grow(&items, capacity, list->count, sizeof *list->items));
    list->items = items;
    list->items[list->count] = (spt_winner){0};
    return SPT_OK;
}

static int by_key_and_rank(const void *a, const void *b) {
    const spt_winner *x = a, *y = b;
    const int order = spt_hash_compare(x->key, y->key);
    return order != 0 ? order : (x->rank > y->rank) - (x->rank < y->rank);
}

/* By the indices they come in order already, but a hostile file may have others. */
static void sort_winners(spt_winner_list *list) {
    for (int64_t i = 1; i < list->count; i++) {
        if (by_key_and_rank(&list->items[i - 1], &list->items[i]) <= 0)
            continue;
        qsort(list->items, (size_t)list->count, sizeof *list->items, by_key_and_rank);
        return;
    }
}

spt_status spt_winners_collect(spt_winner_list *out, sqlite3_stmt *statement, sqlite3 *handle, const char *path,
                               spt_winner_function *take, void *user) {
    int64_t capacity = 0;
    int rc;
    *out = (spt_winner_list){0};
    while ((rc = sqlite3_step(statement)) == SQLITE_ROW) {
        if (make_room(out, &capacity) != SPT_OK) {
            spt_winner_list_fini(out);
            return SPT_ENOMEM;
        }
        out->count += take(&out->items[out->count], statement, user);
    }
    if (rc != SQLITE_DONE) {
        spt_winner_list_fini(out);
        return spt_sqlite_fail(handle, rc, path);
    }
    sort_winners(out);
    return SPT_OK;
}

static bool take_all_columns(spt_winner *out, sqlite3_stmt *row, void *user) {
    (void)user;
    return spt_winner_take(out, row);
}

spt_status spt_winners_collect_all(spt_winner_list *out, sqlite3_stmt *statement, sqlite3 *handle, const char *path) {
    return spt_winners_collect(out, statement, handle, path, take_all_columns, NULL);
}

static time_t monotonic_s(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

static int is_too_late(void *deadline_s) {
    return monotonic_s() > *(const time_t *)deadline_s;
}

/* ---- one connection: opened for a limited time, and closed ---- */

typedef struct connection {
    sqlite3 *handle;
    const char *path;
    int version;
    time_t deadline_s;
} connection;

static spt_status connect_to(connection *out, const char *path) {
    *out = (connection){.path = path, .deadline_s = monotonic_s() + SEARCH_SECONDS};
    SPT_TRY(spt_sqlite_open_read(&out->handle, path, BUSY_MS));
    SPT_TRY(spt_sqlite_version(&out->version, out->handle, path, SPT_DB_SCHEMA_OLDEST, SPT_DB_SCHEMA_VERSION));
    sqlite3_progress_handler(out->handle, STEPS_PER_LOOK, is_too_late, &out->deadline_s);
    return SPT_OK;
}

static spt_status prepare_for_device(sqlite3_stmt **out, const connection *self, const char *sql, const char *key) {
    SPT_TRY(spt_sqlite_prepare(out, self->handle, self->path, sql));
    sqlite3_bind_text(*out, 1, key, -1, SQLITE_STATIC);
    return SPT_OK;
}

spt_status spt_db_read_winners(spt_winner_list *out, const char *path, const char *device_key) {
    connection self;
    sqlite3_stmt *statement = NULL;
    spt_status status;
    *out = (spt_winner_list){0};
    SPT_TRY_TO(done, connect_to(&self, path));
    SPT_TRY_TO(done, prepare_for_device(&statement, &self, SPT_WINNERS_OF_DEVICE, device_key));
    status = spt_winners_collect_all(out, statement, self.handle, path);
done:
    sqlite3_finalize(statement);
    sqlite3_close(self.handle);
    return status;
}

/* ---- patterns of winners ---- */

#define PATTERN_BY_FINGERPRINT "SELECT fingerprint, n_rows, n_cols, nnz, features FROM pattern WHERE fingerprint = ?1"

static bool take_pattern(spt_pattern *out, sqlite3_stmt *row) {
    char features[1024];
    return spt_row_hash(&out->fingerprint, row, 0) && spt_row_integer(&out->n_rows, row, 1, 1, INT32_MAX) &&
           spt_row_integer(&out->n_cols, row, 2, 1, INT32_MAX) && spt_row_integer(&out->nnz, row, 3, 0, INT64_MAX) &&
           spt_row_name(features, sizeof features, row, 4) && spt_features_parse(&out->features, features) == SPT_OK;
}

static int by_hash(const void *a, const void *b) {
    return spt_hash_compare(*(const spt_hash128 *)a, *(const spt_hash128 *)b);
}

/* The fingerprints of these winners in order, each once. Owns: spt_free. */
static spt_status list_fingerprints(spt_hash128 **out, int64_t *count, const spt_winner_list *winners) {
    int64_t n_kept = 0;
    SPT_TRY(SPT_NEW(*out, winners->count));
    for (int64_t i = 0; i < winners->count; i++)
        if (i == 0 || !spt_hash_equal(winners->items[i].fingerprint, winners->items[i - 1].fingerprint))
            (*out)[n_kept++] = winners->items[i].fingerprint;
    if (n_kept > 1)
        qsort(*out, (size_t)n_kept, sizeof **out, by_hash);
    *count = 0;
    for (int64_t i = 0; i < n_kept; i++)
        if (i == 0 || !spt_hash_equal((*out)[i], (*out)[*count - 1]))
            (*out)[(*count)++] = (*out)[i];
    return SPT_OK;
}

/* One that is not there, or not legal, is left out. */
static spt_status read_pattern(spt_pattern_list *out, const connection *self, sqlite3_stmt *statement,
                               const spt_hash128 *fingerprint) {
    sqlite3_reset(statement);
    sqlite3_bind_blob(statement, 1, fingerprint->bytes, sizeof fingerprint->bytes, SQLITE_STATIC);
    const int rc = sqlite3_step(statement);
    spt_pattern *pattern = &out->items[out->count];
    *pattern = (spt_pattern){0};
    if (rc == SQLITE_ROW)
        out->count += take_pattern(pattern, statement) && spt_hash_equal(pattern->fingerprint, *fingerprint);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? SPT_OK : spt_sqlite_fail(self->handle, rc, self->path);
}

static spt_status read_patterns(spt_pattern_list *out, const connection *self, const spt_winner_list *winners) {
    sqlite3_stmt *statement = NULL;
    spt_hash128 *fingerprints = NULL;
    int64_t count = 0;
    spt_status status = SPT_OK;
    SPT_TRY_TO(done, list_fingerprints(&fingerprints, &count, winners));
    SPT_TRY_TO(done, SPT_NEW(out->items, count));
    SPT_TRY_TO(done, spt_sqlite_prepare(&statement, self->handle, self->path, PATTERN_BY_FINGERPRINT));
    for (int64_t i = 0; i < count; i++)
        SPT_TRY_TO(done, read_pattern(out, self, statement, &fingerprints[i]));
done:
    sqlite3_finalize(statement);
    spt_free(fingerprints);
    return status;
}

/* ---- the device itself, and the one most like it ---- */

static double doublings_apart(int64_t a, int64_t b) {
    return a > 0 && b > 0 ? fabs(log2((double)a / (double)b)) : 1.0;
}

/* A row of devices: how far it is from ours; negative where it is ours, or no neighbour at all. */
static double device_distance(char *key, size_t capacity, sqlite3_stmt *row, const spt_device *device) {
    char isa[32], vendor[32];
    int64_t family, model, l1d, l2;
    if (!spt_row_name(key, capacity, row, 0) || !spt_row_name(isa, sizeof isa, row, 1) ||
        !spt_row_name(vendor, sizeof vendor, row, 2) || !spt_row_integer(&family, row, 3, 0, INT32_MAX) ||
        !spt_row_integer(&model, row, 4, 0, INT32_MAX) || !spt_row_integer(&l1d, row, 5, 0, INT64_MAX) ||
        !spt_row_integer(&l2, row, 6, 0, INT64_MAX))
        return -1.0;
    if (strcmp(key, device->key) == 0 || strcmp(isa, spt_isa_name(device->isa)) != 0)
        return -1.0;
    return 4.0 * (strcmp(vendor, device->vendor) != 0) + 2.0 * (family != device->family) +
           1.0 * (model != device->model) + doublings_apart(l1d, device->l1d_bytes) +
           doublings_apart(l2, device->l2_bytes);
}

/* Of equally similar devices the smaller key, so that the answer is the same in every file. */
static spt_status find_near_device(char *out, size_t capacity, const connection *self, const spt_device *device) {
    sqlite3_stmt *statement = NULL;
    double best = INFINITY;
    int rc;
    out[0] = '\0';
    SPT_TRY(spt_sqlite_prepare(&statement, self->handle, self->path,
                               "SELECT key, isa, vendor, family, model, l1d_bytes, l2_bytes FROM device"
                               " WHERE kind = 'cpu'"));
    while ((rc = sqlite3_step(statement)) == SQLITE_ROW) {
        char key[256];
        const double distance = device_distance(key, sizeof key, statement, device);
        if (distance < 0.0 || distance > best || (distance == best && strcmp(key, out) > 0))
            continue;
        best = distance;
        spt_copy_text(out, capacity, key);
    }
    const spt_status status = rc == SQLITE_DONE ? SPT_OK : spt_sqlite_fail(self->handle, rc, self->path);
    sqlite3_finalize(statement);
    return status;
}

/* Two ways to the same records: the table made for it, and for older versions the tables that it is derived from. */
static spt_status read_winners(spt_winner_list *out, const connection *self, const char *device_key,
                               bool only_the_best) {
    static const char *const sql[2][2] = {{SPT_WINNERS_OF_DEVICE, SPT_WINNERS_OF_DEVICE " AND w.rank = 0"},
                                          {SPT_SERVED_OF_DEVICE, SPT_SERVED_OF_DEVICE " AND w.rank = 0"}};
    const bool is_served = self->version >= SPT_DB_SCHEMA_SERVED;
    sqlite3_stmt *statement = NULL;
    SPT_TRY(prepare_for_device(&statement, self, sql[is_served][only_the_best], device_key));
    const spt_status status = is_served ? spt_served_collect(out, statement, self->handle, self->path, device_key)
                                        : spt_winners_collect_all(out, statement, self->handle, self->path);
    sqlite3_finalize(statement);
    return status;
}

static spt_status read_records(spt_device_records *out, const connection *self, bool only_the_best) {
    SPT_TRY(read_winners(&out->winners, self, out->device_key, only_the_best));
    return out->winners.count > 0 ? read_patterns(&out->patterns, self, &out->winners) : SPT_OK;
}

spt_status spt_db_read_device(spt_device_records *own, spt_device_records *near, const char *path,
                              const spt_device *device) {
    connection self;
    spt_status status;
    *own = (spt_device_records){0};
    *near = (spt_device_records){0};
    spt_copy_text(own->device_key, sizeof own->device_key, device->key);
    SPT_TRY_TO(done, connect_to(&self, path));
    SPT_TRY_TO(done, read_records(own, &self, false));
    if (own->winners.count >= SPT_RECORDS_ENOUGH)
        goto done;
    SPT_TRY_TO(done, find_near_device(near->device_key, sizeof near->device_key, &self, device));
    if (near->device_key[0] != '\0')
        SPT_TRY_TO(done, read_records(near, &self, true));
done:
    sqlite3_close(self.handle);
    if (status != SPT_OK) {
        spt_device_records_fini(own);
        spt_device_records_fini(near);
    }
    return status;
}

void spt_device_records_fini(spt_device_records *records) {
    spt_winner_list_fini(&records->winners);
    spt_free(records->patterns.items);
    *records = (spt_device_records){0};
}

void spt_winner_list_fini(spt_winner_list *list) {
    spt_free(list->items);
    *list = (spt_winner_list){0};
}

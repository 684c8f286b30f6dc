/* SPDX-License-Identifier: Apache-2.0 */
/* A list of keys that is sorted once, when it is used; see keys.h. */
#include "db/keys.h"

#include <stdlib.h>

#include "core/memory.h"
#include "db/derive.h"
#include "db/handle.h"
#include "db/reader_row.h"

spt_status spt_key_set_add(spt_key_set *set, const spt_hash128 *key) {
    if (set->count > 0 && spt_hash_equal(set->items[set->count - 1], *key))
        return SPT_OK;
    void *items = set->items;
    SPT_TRY(spt_grow(&items, &set->capacity, set->count, sizeof *set->items));
    set->items = items;
    set->items[set->count++] = *key;
    return SPT_OK;
}

static int by_hash(const void *a, const void *b) {
    return spt_hash_compare(*(const spt_hash128 *)a, *(const spt_hash128 *)b);
}

static spt_status add_all(spt_key_set *set, spt_db *db) {
    sqlite3_stmt *statement;
    spt_status status = SPT_OK;
    int rc = SQLITE_DONE;
    SPT_TRY(spt_db_prepare(&statement, db, "SELECT key FROM problem"));
    while (status == SPT_OK && (rc = sqlite3_step(statement)) == SQLITE_ROW) {
        spt_hash128 key;
        if (spt_row_hash(&key, statement, 0))
            status = spt_key_set_add(set, &key);
    }
    if (status == SPT_OK && rc != SQLITE_DONE)
        status = spt_sqlite_fail(db->handle, rc, db->path);
    sqlite3_finalize(statement);
    return status;
}

spt_status spt_key_set_derive(spt_key_set *set, spt_db *db) {
    if (db->has_replaced_session)
        SPT_TRY(add_all(set, db));
    db->has_replaced_session = false;
    if (set->count > 0)
        qsort(set->items, (size_t)set->count, sizeof *set->items, by_hash);
    for (int64_t i = 0; i < set->count; i++) {
        if (i == 0 || !spt_hash_equal(set->items[i], set->items[i - 1]))
            SPT_TRY(spt_derive_key(db, &set->items[i]));
    }
    return SPT_OK;
}

void spt_key_set_fini(spt_key_set *set) {
    spt_free(set->items);
    *set = (spt_key_set){0};
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A list of keys that is sorted once, when it is used; see keys.h. */
#include "db/keys.h"

#include <stdlib.h>

#include "core/memory.h"
#include "db/derive.h"

spt_status spt_key_set_add(spt_key_set *set, const spt_hash128 *key) {
    if (set->count > 0 && spt_hash_equal(set->items[set->count - 1], *key))
        return SPT_OK;
    if (set->count == set->capacity) {
        const int64_t larger = set->capacity > 0 ? 2 * set->capacity : 64;
        spt_hash128 *items = spt_realloc(set->items, (size_t)set->count, (size_t)larger, sizeof *items);
        if (items == NULL)
            return SPT_ENOMEM;
        set->items = items;
        set->capacity = larger;
    }
    set->items[set->count++] = *key;
    return SPT_OK;
}

static int by_hash(const void *a, const void *b) {
    return spt_hash_compare(*(const spt_hash128 *)a, *(const spt_hash128 *)b);
}

spt_status spt_key_set_derive(spt_key_set *set, spt_db *db) {
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

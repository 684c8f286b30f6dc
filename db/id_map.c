/* SPDX-License-Identifier: Apache-2.0 */
/* A sorted array of pairs; see id_map.h. */
#include "db/id_map.h"

#include "core/memory.h"

spt_status spt_id_map_add(spt_id_map *map, int64_t from, int64_t to) {
    void *items = map->items;
    if (map->count > 0 && map->items[map->count - 1].from >= from)
        return spt_fail(SPT_ENOTFOUND, "expected rising ids, found others");
    SPT_TRY(spt_grow(&items, &map->capacity, map->count, sizeof *map->items));
    map->items = items;
    map->items[map->count].from = from;
    map->items[map->count++].to = to;
    return SPT_OK;
}

/* The first place whose id is not below `from`. */
static int64_t search(const spt_id_map *map, int64_t from) {
    int64_t low = 0, high = map->count;
    while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        if (map->items[middle].from < from)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool spt_id_map_find(int64_t *to, const spt_id_map *map, int64_t from) {
    if (map->count == 0 || from < map->items[0].from || from > map->items[map->count - 1].from)
        return false;
    const uint64_t guess = (uint64_t)from - (uint64_t)map->items[0].from;
    const bool is_guessed = guess < (uint64_t)map->count && map->items[guess].from == from;
    const int64_t at = is_guessed ? (int64_t)guess : search(map, from);
    *to = map->items[at].to;
    return map->items[at].from == from;
}

void spt_id_map_fini(spt_id_map *map) {
    spt_free(map->items);
    *map = (spt_id_map){0};
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Points seen; see seen.h. */
#include "search/seen.h"

#include "core/memory.h"

#define FIRST_CAPACITY 64

/* FNV-1a over the indices with a final mix (splitmix64), since the low bits choose the slot. */
uint64_t spt_point_hash(const spt_point *point) {
    uint64_t hash = 14695981039346656037u;
    for (int axis = 0; axis < SPT_AXES_MAX; axis++)
        hash = (hash ^ point->index[axis]) * 1099511628211u;
    hash = (hash ^ (hash >> 30)) * 0xbf58476d1ce4e5b9u;
    hash = (hash ^ (hash >> 27)) * 0x94d049bb133111ebu;
    return hash ^ (hash >> 31);
}

/* The slot that holds the point, or the free one where it belongs. */
static size_t slot_of(const spt_seen *set, const spt_point *point) {
    size_t slot = (size_t)spt_point_hash(point) & (set->capacity - 1);
    while (set->used[slot] && !spt_point_equal(&set->slots[slot], point))
        slot = (slot + 1) & (set->capacity - 1);
    return slot;
}

static spt_status grow(spt_seen *set) {
    spt_status status = SPT_OK;
    spt_seen larger = {.capacity = set->capacity == 0 ? FIRST_CAPACITY : set->capacity * 2};
    SPT_TRY_TO(done, SPT_NEW(larger.slots, larger.capacity));
    SPT_TRY_TO(done, SPT_NEW_ZEROED(larger.used, larger.capacity));
    for (size_t i = 0; i < set->capacity; i++)
        if (set->used[i]) {
            size_t slot = slot_of(&larger, &set->slots[i]);
            larger.slots[slot] = set->slots[i];
            larger.used[slot] = true;
            larger.count++;
        }
    spt_seen smaller = *set;
    *set = larger;
    larger = smaller;
done:
    spt_seen_fini(&larger);
    return status;
}

bool spt_seen_has(const spt_seen *set, const spt_point *point) {
    return set->capacity > 0 && set->used[slot_of(set, point)];
}

spt_status spt_seen_add(spt_seen *set, const spt_point *point, bool *added) {
    *added = !spt_seen_has(set, point);
    if (!*added)
        return SPT_OK;
    if (3 * (set->count + 1) > 2 * set->capacity)
        SPT_TRY(grow(set));
    size_t slot = slot_of(set, point);
    set->slots[slot] = *point;
    set->used[slot] = true;
    set->count++;
    return SPT_OK;
}

void spt_seen_fini(spt_seen *set) {
    spt_free(set->slots);
    spt_free(set->used);
    *set = (spt_seen){0};
}

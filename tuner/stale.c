/* SPDX-License-Identifier: Apache-2.0 */
/* Finding what went stale; see stale.h. */
#include "tuner/stale.h"

#include <string.h>

#include "core/memory.h"
#include "tuner/judge.h"

static spt_judge judge_for(const spt_device *device) {
    return (spt_judge){.here = *device, .devices = (spt_device *)device, .n_devices = 1};
}

spt_status spt_stale_check(bool *is_stale, spt_db *db, const spt_problem *problem, const spt_csr *a,
                           const spt_device *device) {
    char reason[SPT_VERDICT_REASON_MAX];
    spt_workload workload;
    spt_key key;
    spt_winner_list winners;
    spt_listing listing = {.has_winner = true};
    const spt_judge judge = judge_for(device);
    *is_stale = false;
    SPT_TRY(spt_workload_init(&workload, problem, a));
    SPT_TRY(spt_key_init(&key, &workload, device));
    SPT_TRY(spt_item_problem_parse(&listing.problem, key.text));
    SPT_TRY(spt_db_winners_find(&winners, db, &key));
    if (winners.count > 0) {
        listing.winner = winners.items[0];
        listing.nnz = workload.pattern.nnz;
        spt_features_text(listing.features, sizeof listing.features, &workload.pattern.features);
        *is_stale = spt_judge_winner(reason, &judge, &listing) != SPT_VERDICT_USED;
    }
    spt_winner_list_fini(&winners);
    return SPT_OK;
}

/* ---- the list ---- */

typedef struct stale_room {
    int64_t capacity;
} stale_room;

static spt_status make_room(spt_stale_list *list, stale_room *room) {
    const int64_t count = list->layers.count, larger = room->capacity > 0 ? 2 * room->capacity : 32;
    if (count < room->capacity)
        return SPT_OK;
    spt_layer *layers = spt_realloc(list->layers.items, (size_t)count, (size_t)larger, sizeof *layers);
    if (layers == NULL)
        return SPT_ENOMEM;
    list->layers.items = layers;
    spt_problem *problems = spt_realloc(list->problems, (size_t)count, (size_t)larger, sizeof *problems);
    if (problems == NULL)
        return SPT_ENOMEM;
    list->problems = problems;
    spt_hash128 *fingerprints = spt_realloc(list->fingerprints, (size_t)count, (size_t)larger, sizeof *fingerprints);
    if (fingerprints == NULL)
        return SPT_ENOMEM;
    list->fingerprints = fingerprints;
    room->capacity = larger;
    return SPT_OK;
}

static spt_status add_problem(spt_stale_list *list, stale_room *room, const spt_listing *listing) {
    char name[SPT_HASH_TEXT_SIZE];
    spt_hash_text(name, listing->problem.fingerprint);
    name[12] = '\0';
    SPT_TRY(make_room(list, room));
    spt_layer layer = {.n = listing->problem.n, .count = 1};
    layer.name = spt_strdup(name);
    if (layer.name == NULL)
        return SPT_ENOMEM;
    list->problems[list->layers.count] = spt_listing_workload(listing).problem;
    list->fingerprints[list->layers.count] = listing->problem.fingerprint;
    list->layers.items[list->layers.count++] = layer;
    return SPT_OK;
}

spt_status spt_stale_list_init(spt_stale_list *out, spt_db *db, const spt_device *device) {
    char reason[SPT_VERDICT_REASON_MAX];
    const spt_judge judge = judge_for(device);
    stale_room room = {0};
    spt_list list;
    spt_status status;
    *out = (spt_stale_list){0};
    SPT_TRY(spt_list_open(&list, db, false));
    while ((status = spt_list_next(&list)) == SPT_OK) {
        const spt_listing *item = &list.item;
        if (item->has_winner && strcmp(item->problem.device_key, device->key) == 0 &&
            spt_judge_winner(reason, &judge, item) != SPT_VERDICT_USED)
            SPT_TRY_TO(done, add_problem(out, &room, item));
    }
    status = status == SPT_ENOTFOUND ? SPT_OK : status;
done:
    spt_list_close(&list);
    if (status != SPT_OK)
        spt_stale_list_fini(out);
    return status;
}

void spt_stale_list_fini(spt_stale_list *list) {
    spt_layer_list_fini(&list->layers);
    spt_free(list->problems);
    spt_free(list->fingerprints);
    *list = (spt_stale_list){0};
}

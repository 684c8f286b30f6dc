/* SPDX-License-Identifier: Apache-2.0 */
/* Choosing seeds; see seeds.h. The distance is the runtime's (runtime/neighbour.c): Euclidean over the axes of
 * patterns, log n and log threads. A winner is carried over by its family's model: it is expected to miss its bound
 * here by the factor by which it missed it there. */
#include "tuner/seeds.h"

#include <math.h>
#include <string.h>

#include "core/memory.h"
#include "core/text.h"
#include "db/list.h"
#include "tuner/judge.h"
#include "variants/family.h"

#define N_NEAREST 12 /* winners looked at; different ones of them become seeds */
#define LOG_COST_PER_DISTANCE 0.4
#define OTHER_DEVICE 1.0 /* distance between devices of one architecture */
#define OTHER_LAYOUT 1.0
#define OTHER_EPILOGUE 0.1

/* ---- the table ---- */

static spt_status make_room(spt_seed_table *table) {
    void *items = table->items;
    SPT_TRY(spt_grow(&items, &table->capacity, table->count, sizeof *table->items));
    table->items = items;
    return SPT_OK;
}

static void fill(spt_known_winner *out, const spt_workload *workload, const spt_hash128 *key, const char *device_key,
                 const spt_winner *winner) {
    *out = (spt_known_winner){.workload = *workload, .key = *key, .time_ns = winner->time_ns_median};
    spt_copy_text(out->device_key, sizeof out->device_key, device_key);
    spt_copy_text(out->family, sizeof out->family, winner->family);
    spt_copy_text(out->point, sizeof out->point, winner->point);
}

spt_status spt_seed_table_init(spt_seed_table *out, spt_db *db) {
    spt_list list;
    spt_status status;
    *out = (spt_seed_table){0};
    SPT_TRY(spt_list_open(&list, db, false));
    while ((status = spt_list_next(&list)) == SPT_OK) {
        const spt_listing *item = &list.item;
        if (!item->has_winner)
            continue;
        SPT_TRY_TO(done, make_room(out));
        const spt_workload workload = spt_listing_workload(item);
        fill(&out->items[out->count++], &workload, &item->problem.key.hash, item->problem.device_key, &item->winner);
    }
    status = status == SPT_ENOTFOUND ? SPT_OK : status;
done:
    spt_list_close(&list);
    if (status != SPT_OK)
        spt_seed_table_fini(out);
    return status;
}

spt_status spt_seed_table_add(spt_seed_table *table, const spt_subject *subject, const spt_winner *winner) {
    int64_t at = 0;
    while (at < table->count && !spt_hash_equal(table->items[at].key, subject->key->hash))
        at++;
    if (at == table->count) {
        SPT_TRY(make_room(table));
        table->count++;
    }
    fill(&table->items[at], subject->workload, &subject->key->hash, subject->device->key, winner);
    return SPT_OK;
}

void spt_seed_table_fini(spt_seed_table *table) {
    spt_free(table->items);
    *table = (spt_seed_table){0};
}

/* ---- the choice ---- */

/* Field `index` of a device's key, counted from 0; its length in *length. */
static const char *key_field(const char *key, int index, size_t *length) {
    while (index-- > 0) {
        key += strcspn(key, "|");
        key += *key == '|';
    }
    *length = strcspn(key, "|");
    return key;
}

/* Distance between devices: 0 for this one, infinite for another architecture (kind or usable instruction set). */
static double device_distance(const char *a, const char *b) {
    static const int fields[] = {0, 4}; /* kind, ISA set */
    if (strcmp(a, b) == 0)
        return 0.0;
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        size_t a_length, b_length;
        const char *a_field = key_field(a, fields[i], &a_length), *b_field = key_field(b, fields[i], &b_length);
        if (a_length != b_length || memcmp(a_field, b_field, a_length) != 0)
            return INFINITY;
    }
    return OTHER_DEVICE;
}

static double square(double x) {
    return x * x;
}

static double distance_to(const spt_known_winner *winner, const spt_subject *subject) {
    const spt_problem *there = &winner->workload.problem, *here = &subject->workload->problem;
    if (there->op != here->op || there->dtype != here->dtype || spt_hash_equal(winner->key, subject->key->hash))
        return INFINITY;
    return sqrt(square(spt_pattern_distance(&winner->workload.pattern, &subject->workload->pattern)) +
                square(log((double)there->n / (double)here->n)) +
                square(log((double)there->threads / (double)here->threads)) +
                square(OTHER_LAYOUT * (there->layout != here->layout || there->cache != here->cache)) +
                square(OTHER_EPILOGUE * (there->epilogue != here->epilogue)) +
                square(device_distance(winner->device_key, subject->device->key)));
}

/* What the winner promises here; infinite where it cannot run. */
static double cost_here(const spt_known_winner *winner, const spt_subject *subject, double distance) {
    const spt_family *family = spt_family_find(winner->family);
    spt_point point;
    if (family == NULL || spt_family_check(family, subject->workload, subject->device) != SPT_OK ||
        spt_point_parse(&point, family->axes, family->n_axes, winner->point) != SPT_OK ||
        !family->is_valid(subject->workload, subject->device, &point))
        return INFINITY;
    const double here = family->bound_ns(subject->workload, subject->device, &point);
    const double there = family->bound_ns(&winner->workload, subject->device, &point);
    return log(winner->time_ns * here / there) + LOG_COST_PER_DISTANCE * distance;
}

typedef struct near_winner {
    const spt_known_winner *winner;
    double distance;
} near_winner;

static int find_nearest(near_winner nearest[N_NEAREST], const spt_seed_table *table, const spt_subject *subject) {
    int count = 0;
    for (int64_t i = 0; i < table->count; i++) {
        const near_winner candidate = {&table->items[i], distance_to(&table->items[i], subject)};
        if (!isfinite(candidate.distance))
            continue;
        int place = count < N_NEAREST ? count++ : N_NEAREST;
        if (place == N_NEAREST && candidate.distance >= nearest[--place].distance)
            continue;
        for (; place > 0 && nearest[place - 1].distance > candidate.distance; place--)
            nearest[place] = nearest[place - 1];
        nearest[place] = candidate;
    }
    return count;
}

static bool is_same_variant(const spt_known_winner *a, const spt_known_winner *b) {
    return strcmp(a->point, b->point) == 0 && strcmp(a->family, b->family) == 0;
}

int spt_seeds_find(spt_seed out[SPT_SEEDS_MAX], const spt_seed_table *table, const spt_subject *subject) {
    near_winner nearest[N_NEAREST];
    const int n_nearest = find_nearest(nearest, table, subject);
    int count = 0;
    for (int i = 0; i < n_nearest; i++) {
        const spt_known_winner *winner = nearest[i].winner;
        const spt_seed seed = {winner, cost_here(winner, subject, nearest[i].distance)};
        int same = 0;
        while (same < count && !is_same_variant(out[same].winner, winner))
            same++;
        if (!isfinite(seed.cost) || (same < count && out[same].cost <= seed.cost))
            continue;
        int place = same < count ? same : count < SPT_SEEDS_MAX ? count++ : SPT_SEEDS_MAX;
        if (place == SPT_SEEDS_MAX && seed.cost >= out[--place].cost)
            continue;
        for (; place > 0 && out[place - 1].cost > seed.cost; place--)
            out[place] = out[place - 1];
        out[place] = seed;
    }
    return count;
}

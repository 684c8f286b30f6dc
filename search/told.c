/* SPDX-License-Identifier: Apache-2.0 */
/* What a strategy has been told; see told.h. */
#include "search/told.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"
#include "core/statistics.h"
#include "search/exact.h"
#include "search/seen.h"

#define FIRST_SLOTS 64
#define DEVIATION_PER_MAD 1.4826 /* of a normal distribution */

void spt_told_init(spt_told *out) {
    *out = (spt_told){.best = -1, .failure_for = -1};
}

void spt_told_fini(spt_told *told) {
    spt_free(told->items);
    spt_free(told->slots);
    spt_told_init(told);
}

/* The slot that holds the point's index, or the free one where it belongs. */
static int64_t slot_of(const spt_told *told, const int64_t *slots, int64_t n_slots, const spt_point *point) {
    int64_t slot = (int64_t)(spt_point_hash(point) & (uint64_t)(n_slots - 1));
    while (slots[slot] != 0 && !spt_point_equal(&told->items[slots[slot] - 1].point, point))
        slot = (slot + 1) & (n_slots - 1);
    return slot;
}

static spt_status make_room(spt_told *told) {
    void *items = told->items;
    SPT_TRY(spt_grow(&items, &told->capacity, told->count, sizeof *told->items));
    told->items = items;
    if (2 * (told->count + 1) <= told->n_slots)
        return SPT_OK;
    int64_t n_slots = told->n_slots == 0 ? FIRST_SLOTS : 2 * told->n_slots, *slots = NULL;
    SPT_TRY(SPT_NEW_ZEROED(slots, n_slots));
    for (int64_t i = 0; i < told->count; i++)
        slots[slot_of(told, slots, n_slots, &told->items[i].point)] = i + 1;
    spt_free(told->slots);
    told->slots = slots;
    told->n_slots = n_slots;
    return SPT_OK;
}

/* Without memory for the median the last value stands. */
static void update_failure(spt_told *told) {
    double *costs = NULL, sum = 0.0, squares = 0.0;
    int64_t n = 0;
    if (told->n_correct == 0 || told->failure_for == told->n_correct || SPT_NEW(costs, told->n_correct) != SPT_OK)
        return;
    for (int64_t i = 0; i < told->count; i++)
        if (told->items[i].is_correct) {
            costs[n++] = told->items[i].log_cost;
            sum += told->items[i].log_cost;
        }
    const double mean = sum / (double)n;
    for (int64_t i = 0; i < n; i++)
        squares += (costs[i] - mean) * (costs[i] - mean);
    told->median = spt_median(costs, (int)n);
    told->failure = told->median + sqrt(squares / (double)n);
    for (int64_t i = 0; i < n; i++)
        costs[i] = fabs(costs[i] - told->median);
    told->spread = DEVIATION_PER_MAD * spt_median(costs, (int)n);
    told->failure_for = told->n_correct;
    spt_free(costs);
}

spt_status spt_told_add(spt_told *told, const spt_point *point, double cost, spt_trial_status status) {
    const bool is_correct = spt_trial_is_timed(status) && cost > 0.0 && isfinite(cost);
    const double log_cost = is_correct ? spt_exact_log(cost) : 0.0;
    SPT_TRY(make_room(told));
    int64_t slot = slot_of(told, told->slots, told->n_slots, point), index = told->slots[slot] - 1;
    if (index < 0) {
        index = told->count++;
        told->slots[slot] = index + 1;
        told->items[index] = (spt_told_item){.point = *point};
    }
    spt_told_item *item = &told->items[index];
    if (is_correct && (!item->is_correct || log_cost < item->log_cost)) {
        told->n_correct += !item->is_correct;
        item->is_correct = true;
        item->log_cost = log_cost;
        if (told->best < 0 || log_cost < told->items[told->best].log_cost)
            told->best = index;
    }
    return SPT_OK;
}

const spt_told_item *spt_told_find(const spt_told *told, const spt_point *point) {
    if (told->n_slots == 0)
        return NULL;
    int64_t index = told->slots[slot_of(told, told->slots, told->n_slots, point)] - 1;
    return index >= 0 ? &told->items[index] : NULL;
}

double spt_told_value(spt_told *told, const spt_told_item *item) {
    if (!item->is_correct)
        update_failure(told);
    return item->is_correct ? item->log_cost : told->failure;
}

void spt_told_spread(double *median, double *spread, spt_told *told) {
    update_failure(told);
    *median = told->median;
    *spread = told->spread;
}

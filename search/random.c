/* SPDX-License-Identifier: Apache-2.0 */
/* Random: every valid point once, in uniformly random order. The yardstick for every other strategy.
 * Points are drawn and rejected while that is cheap; once the rejected draws have cost about as much as walking the
 * whole space, the points that are left are listed and shuffled (Fisher and Yates), so the order stays uniform. A space
 * that knows which prefixes are possible is walked by them, so a million valid points among 10^15 are listed in a
 * moment. */
#include "core/memory.h"
#include "search/strategy.h"

#define FREE_REJECTIONS 64
#define ENUMERABLE_MAX ((int64_t)1 << 32) /* walking more ordinals than this takes minutes */
#define REJECTIONS_MAX ((int64_t)1 << 22)
#define REJECTIONS_PRUNED 4096 /* with can_begin, listing is cheap, whatever the product's size */

void spt_random_order_init(spt_random_order *out, const spt_space *space, uint64_t seed) {
    *out = (spt_random_order){.space = space};
    spt_random_init(&out->random, seed);
}

void spt_random_order_fini(spt_random_order *order) {
    spt_free(order->remaining);
    spt_seen_fini(&order->drawn);
}

static void shuffle(spt_random *random, int64_t *items, int64_t count) {
    for (int64_t i = count - 1; i > 0; i--) {
        int64_t j = (int64_t)spt_random_below(random, (uint64_t)i + 1);
        int64_t item = items[i];
        items[i] = items[j];
        items[j] = item;
    }
}

static spt_status list_remaining(spt_random_order *order) {
    int64_t capacity = 0;
    spt_point point;
    for (bool more = spt_space_first(order->space, &point); more; more = spt_space_following(order->space, &point)) {
        if (spt_seen_has(&order->drawn, &point))
            continue;
        void *remaining = order->remaining;
        SPT_TRY(spt_grow(&remaining, &capacity, order->n_remaining, sizeof *order->remaining));
        order->remaining = remaining;
        order->remaining[order->n_remaining++] = spt_space_ordinal(order->space, &point);
    }
    if (order->remaining == NULL)
        SPT_TRY(SPT_NEW(order->remaining, 1));
    shuffle(&order->random, order->remaining, order->n_remaining);
    return SPT_OK;
}

/* Draw one index per axis: uniform over all points, valid or not. */
static void draw(spt_random_order *order, spt_point *out) {
    *out = (spt_point){0};
    for (int axis = 0; axis < order->space->n_axes; axis++)
        out->index[axis] = (uint16_t)spt_random_below(&order->random, (uint64_t)order->space->axes[axis].n_values);
}

spt_status spt_random_order_next(spt_random_order *order, spt_point *out) {
    int64_t size = spt_space_size(order->space);
    const bool is_pruned = order->space->can_begin != NULL && size < INT64_MAX;
    int64_t patience = size > ENUMERABLE_MAX ? REJECTIONS_MAX : FREE_REJECTIONS + size / 4;
    if (is_pruned && patience > REJECTIONS_PRUNED)
        patience = REJECTIONS_PRUNED;
    while (order->remaining == NULL && order->rejected < patience) {
        bool added = false;
        draw(order, out);
        if (spt_space_is_valid(order->space, out))
            SPT_TRY(spt_seen_add(&order->drawn, out, &added));
        if (added)
            return SPT_OK;
        order->rejected++;
    }
    if (order->remaining == NULL && (is_pruned || size <= ENUMERABLE_MAX))
        SPT_TRY(list_remaining(order));
    if (order->n_remaining == 0)
        return spt_fail(SPT_ENOTFOUND, "every valid point was proposed");
    spt_space_point(order->space, order->remaining[--order->n_remaining], out);
    return SPT_OK;
}

static spt_status init(void **state, const spt_space *space, uint64_t seed) {
    spt_random_order *self = NULL;
    SPT_TRY(SPT_NEW(self, 1));
    spt_random_order_init(self, space, seed);
    *state = self;
    return SPT_OK;
}

static spt_status ask(void *state, spt_point *out) {
    return spt_random_order_next(state, out);
}

static void tell(void *state, const spt_point *point, double cost, spt_trial_status status) {
    (void)state, (void)point, (void)cost, (void)status;
}

static void fini(void *state) {
    spt_random_order_fini(state);
    spt_free(state);
}

const spt_strategy spt_strategy_random = {
    .name = "random",
    .summary = "every valid point once, in uniformly random order",
    .init = init,
    .ask = ask,
    .tell = tell,
    .fini = fini,
};

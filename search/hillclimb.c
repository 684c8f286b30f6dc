/* SPDX-License-Identifier: Apache-2.0 */
/* Hill climbing with restarts, first improvement: the neighbours of a point are tried in random order and the first one
 * that is faster becomes the point. A hilltop is followed by a climb from the best point known, when that has not been
 * climbed yet, and otherwise from a random one. */
#include "core/memory.h"
#include "search/moves.h"
#include "search/strategy.h"
#include "search/told.h"

typedef struct climber {
    const spt_space *space;
    spt_told told;
    spt_random_order restarts;
    spt_random random;
    bool is_climbing;
    spt_point at;        /* the point whose neighbours are tried */
    double at_value;     /* its log cost */
    int64_t climbed;     /* the best point that a climb began from, as an index of `told`; -1 none */
    int *moves, n_moves; /* in the order of this climb */
    int next_move;
} climber;

static spt_status init(void **state, const spt_space *space, uint64_t seed) {
    climber *self = NULL;
    SPT_TRY(SPT_NEW_ZEROED(self, 1));
    self->space = space;
    self->climbed = -1;
    self->n_moves = spt_moves_count(space, SPT_REACH_FAR);
    spt_told_init(&self->told);
    spt_random_init(&self->random, seed);
    spt_random_order_init(&self->restarts, space, seed + 1);
    spt_status status = SPT_NEW(self->moves, self->n_moves);
    if (status != SPT_OK)
        spt_free(self);
    else
        *state = self;
    return status;
}

static void climb_from(climber *self, const spt_told_item *item) {
    self->is_climbing = true;
    self->at = item->point;
    self->at_value = item->log_cost;
    self->next_move = 0;
    spt_random_shuffle(&self->random, self->moves, self->n_moves);
}

/* The next neighbour that nobody has told; a known one that is faster is climbed to on the way. */
static bool next_neighbour(climber *self, spt_point *out) {
    while (self->next_move < self->n_moves) {
        if (!spt_moves_apply(self->space, &self->at, SPT_REACH_FAR, self->moves[self->next_move++], out))
            continue;
        const spt_told_item *known = spt_told_find(&self->told, out);
        if (known == NULL)
            return true;
        if (known->is_correct && known->log_cost < self->at_value)
            climb_from(self, known);
    }
    self->is_climbing = false;
    return false;
}

static spt_status ask(void *state, spt_point *out) {
    climber *self = state;
    if (!self->is_climbing && self->told.best != self->climbed) {
        self->climbed = self->told.best;
        climb_from(self, &self->told.items[self->told.best]);
    }
    if (self->is_climbing && next_neighbour(self, out))
        return SPT_OK;
    return spt_random_order_next(&self->restarts, out);
}

/* A faster point is the next to climb from, wherever it came from; during no climb any correct point begins one. */
static void tell(void *state, const spt_point *point, double cost, spt_trial_status status) {
    climber *self = state;
    if (spt_told_add(&self->told, point, cost, status) != SPT_OK)
        return;
    const spt_told_item *item = spt_told_find(&self->told, point);
    if (item->is_correct && (!self->is_climbing || item->log_cost < self->at_value))
        climb_from(self, item);
}

static void fini(void *state) {
    climber *self = state;
    spt_random_order_fini(&self->restarts);
    spt_told_fini(&self->told);
    spt_free(self->moves);
    spt_free(self);
}

const spt_strategy spt_strategy_hillclimb = {
    .name = "hillclimb",
    .summary = "first improvement among the neighbours, with random restarts",
    .init = init,
    .ask = ask,
    .tell = tell,
    .fini = fini,
};

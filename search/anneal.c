/* SPDX-License-Identifier: Apache-2.0 */
/* Simulated annealing (Kirkpatrick, Gelatt and Vecchi, Science 220, 1983) on log cost: a random neighbour is accepted
 * when it is faster, and otherwise with probability exp(-loss / temperature). The temperature falls by a constant
 * factor per evaluation; when it is low a new round begins at the best point known. Neighbours that were told already
 * are walked through without asking, so that a round goes on where it is crowded. */
#include "core/memory.h"
#include "search/exact.h"
#include "search/moves.h"
#include "search/strategy.h"
#include "search/told.h"

#define HOT 0.5      /* log cost: a loss of 65 % is accepted once in e */
#define COLD 0.005   /* 0.5 % */
#define COOLING 0.95 /* per evaluation: 90 evaluations a round */
#define WALK_MAX 64  /* known neighbours walked through before a random point is asked */

typedef struct annealer {
    const spt_space *space;
    spt_told told;
    spt_random_order restarts;
    spt_random random;
    bool is_walking;
    spt_point at;
    double at_value; /* log cost that it counts as */
    double temperature;
    int n_moves;
} annealer;

static spt_status init(void **state, const spt_space *space, uint64_t seed) {
    annealer *self = NULL;
    SPT_TRY(SPT_NEW_ZEROED(self, 1));
    self->space = space;
    self->temperature = HOT;
    self->n_moves = spt_moves_count(space, SPT_REACH_NEAR);
    spt_told_init(&self->told);
    spt_random_init(&self->random, seed);
    spt_random_order_init(&self->restarts, space, seed + 1);
    *state = self;
    return SPT_OK;
}

static void consider(annealer *self, const spt_told_item *item) {
    const double value = spt_told_value(&self->told, item), loss = value - self->at_value;
    const bool accept =
        !self->is_walking || loss <= 0.0 || spt_random_unit(&self->random) < spt_exact_exp(-loss / self->temperature);
    if (!accept)
        return;
    self->is_walking = true;
    self->at = item->point;
    self->at_value = value;
}

static void cool(annealer *self) {
    self->temperature *= COOLING;
    if (self->temperature > COLD)
        return;
    self->temperature = HOT;
    if (self->told.best >= 0) {
        self->at = self->told.items[self->told.best].point;
        self->at_value = self->told.items[self->told.best].log_cost;
    }
}

static spt_status ask(void *state, spt_point *out) {
    annealer *self = state;
    for (int i = 0; self->is_walking && self->n_moves > 0 && i < WALK_MAX; i++) {
        int move = (int)spt_random_below(&self->random, (uint64_t)self->n_moves);
        if (!spt_moves_apply(self->space, &self->at, SPT_REACH_NEAR, move, out))
            continue;
        const spt_told_item *known = spt_told_find(&self->told, out);
        if (known == NULL)
            return SPT_OK;
        consider(self, known);
    }
    self->is_walking = false; /* the next point told is where the walk goes on */
    return spt_random_order_next(&self->restarts, out);
}

static void tell(void *state, const spt_point *point, double cost, spt_trial_status status) {
    annealer *self = state;
    if (spt_told_add(&self->told, point, cost, status) != SPT_OK)
        return;
    consider(self, spt_told_find(&self->told, point));
    cool(self);
}

static void fini(void *state) {
    annealer *self = state;
    spt_random_order_fini(&self->restarts);
    spt_told_fini(&self->told);
    spt_free(self);
}

const spt_strategy spt_strategy_anneal = {
    .name = "anneal",
    .summary = "simulated annealing on log cost, in rounds from the best point",
    .init = init,
    .ask = ask,
    .tell = tell,
    .fini = fini,
};

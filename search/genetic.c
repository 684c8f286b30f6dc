/* SPDX-License-Identifier: Apache-2.0 */
/* Genetic search (Holland 1975), steady state: the population is the best N_PARENTS points told so far; each ask breeds
 * one child of two parents drawn by rank, by uniform crossover and mutation. Children outside of the space are repaired
 * to a valid point nearby rather than thrown away, which is what lets crossover work under constraints. */
#include "core/memory.h"
#include "search/moves.h"
#include "search/strategy.h"
#include "search/told.h"

#define N_PARENTS 20
#define N_TRIES 40    /* children bred before a random point is asked instead */
#define FAR_SHARE 0.5 /* of mutations that draw any value of the axis; the others step to a near one */

typedef struct breeder {
    const spt_space *space;
    spt_told told;
    spt_random_order strangers;
    spt_random random;
    spt_point parents[N_PARENTS]; /* fastest first */
    double values[N_PARENTS];
    int n_parents;
} breeder;

static spt_status init(void **state, const spt_space *space, uint64_t seed) {
    breeder *self = NULL;
    SPT_TRY(SPT_NEW_ZEROED(self, 1));
    self->space = space;
    spt_told_init(&self->told);
    spt_random_init(&self->random, seed);
    spt_random_order_init(&self->strangers, space, seed + 1);
    *state = self;
    return SPT_OK;
}

/* Rank selection: the smaller of two uniform draws. */
static int draw_parent(breeder *self) {
    int a = (int)spt_random_below(&self->random, (uint64_t)self->n_parents);
    int b = (int)spt_random_below(&self->random, (uint64_t)self->n_parents);
    return a < b ? a : b;
}

static void mutate(breeder *self, spt_point *child, int axis) {
    const int n_values = self->space->axes[axis].n_values, index = child->index[axis];
    if (n_values == 1)
        return;
    bool far = spt_axis_is_named(&self->space->axes[axis]) || spt_random_unit(&self->random) < FAR_SHARE;
    int moved = index + (spt_random_below(&self->random, 2) == 0 ? 1 : -1);
    if (far || moved < 0 || moved >= n_values)
        moved = (index + 1 + (int)spt_random_below(&self->random, (uint64_t)n_values - 1)) % n_values;
    child->index[axis] = (uint16_t)moved;
}

/* Each axis from either parent; then one axis mutates for sure when the parents gave nothing new, and each with
 * probability 1 / axes. */
static void breed(breeder *self, spt_point *out) {
    const spt_point *mother = &self->parents[draw_parent(self)], *father = &self->parents[draw_parent(self)];
    const int n_axes = self->space->n_axes;
    *out = *mother;
    for (int axis = 0; axis < n_axes; axis++)
        if (spt_random_below(&self->random, 2) == 0)
            out->index[axis] = father->index[axis];
    for (int axis = 0; axis < n_axes; axis++)
        if (spt_random_below(&self->random, (uint64_t)n_axes) == 0)
            mutate(self, out, axis);
    if (spt_point_equal(out, mother) || spt_point_equal(out, father))
        mutate(self, out, (int)spt_random_below(&self->random, (uint64_t)n_axes));
}

static spt_status ask(void *state, spt_point *out) {
    breeder *self = state;
    for (int i = 0; self->n_parents == N_PARENTS && self->space->n_axes > 0 && i < N_TRIES; i++) {
        breed(self, out);
        if (spt_moves_repair(self->space, &self->random, out) && spt_told_find(&self->told, out) == NULL)
            return SPT_OK;
    }
    return spt_random_order_next(&self->strangers, out);
}

/* A correct point takes its rank among the parents; the last of a full population goes. */
static void tell(void *state, const spt_point *point, double cost, spt_trial_status status) {
    breeder *self = state;
    if (spt_told_find(&self->told, point) != NULL || spt_told_add(&self->told, point, cost, status) != SPT_OK)
        return;
    const spt_told_item *item = spt_told_find(&self->told, point);
    if (!item->is_correct)
        return;
    int rank = self->n_parents;
    while (rank > 0 && item->log_cost < self->values[rank - 1])
        rank--;
    if (rank == N_PARENTS)
        return;
    if (self->n_parents < N_PARENTS)
        self->n_parents++;
    for (int i = self->n_parents - 1; i > rank; i--) {
        self->parents[i] = self->parents[i - 1];
        self->values[i] = self->values[i - 1];
    }
    self->parents[rank] = *point;
    self->values[rank] = item->log_cost;
}

static void fini(void *state) {
    breeder *self = state;
    spt_random_order_fini(&self->strangers);
    spt_told_fini(&self->told);
    spt_free(self);
}

const spt_strategy spt_strategy_genetic = {
    .name = "genetic",
    .summary = "steady-state genetic search with repair of invalid children",
    .init = init,
    .ask = ask,
    .tell = tell,
    .fini = fini,
};

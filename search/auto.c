/* SPDX-License-Identifier: Apache-2.0 */
/* Auto, the default: a random start, then best-first hill climbing with random restarts.
 * Each ask takes the fastest told point that still has a neighbour to offer (one axis moved by one value, or a named
 * axis set to any other name), so a better point becomes the source of the next asks at once and an exhausted hilltop
 * hands over to the next best. Points slower than CLIMB_RATIO times the best are not climbed from; every
 * EXPLORE_EVERYth ask, and every ask without a hill, is a random point. For a few hundred asks: an ask looks at all
 * points told. */
#include <math.h>

#include "core/memory.h"
#include "search/strategy.h"

#define N_START 6
#define EXPLORE_EVERY 5
#define CLIMB_RATIO 1.5

/* A correct point and how many of its moves were proposed. */
typedef struct hill {
    spt_point point;
    double cost;
    int n_proposed;
    int first_move; /* moves are proposed in cyclic order from here, so that no axis is always first */
} hill;

typedef struct climber {
    const spt_space *space;
    spt_random_order restarts;
    spt_random random;
    hill *hills;
    int64_t n_hills, capacity;
    int64_t n_asked;
    int n_moves; /* per point, whether or not they stay in the space */
    double best;
} climber;

/* ---- moves ---- */

static bool is_named(const spt_axis *axis) {
    return axis->values[0].name != NULL;
}

static int moves_of(const spt_axis *axis) {
    return is_named(axis) ? axis->n_values - 1 : 2;
}

/* Move `move` of a point, or false when it leaves the space. */
static bool apply_move(const spt_space *space, const spt_point *from, int move, spt_point *out) {
    int axis = 0;
    for (; move >= moves_of(&space->axes[axis]); axis++)
        move -= moves_of(&space->axes[axis]);
    int index = from->index[axis];
    int moved =
        is_named(&space->axes[axis]) ? (index + 1 + move) % space->axes[axis].n_values : index + (move == 0 ? 1 : -1);
    if (moved < 0 || moved >= space->axes[axis].n_values)
        return false;
    *out = *from;
    out->index[axis] = (uint16_t)moved;
    return spt_space_is_valid(space, out);
}

static hill *best_open_hill(climber *self) {
    hill *best = NULL;
    for (int64_t i = 0; i < self->n_hills; i++) {
        hill *at = &self->hills[i];
        if (at->n_proposed < self->n_moves && at->cost <= CLIMB_RATIO * self->best &&
            (best == NULL || at->cost < best->cost))
            best = at;
    }
    return best;
}

static bool climb(climber *self, spt_point *out) {
    for (hill *from = best_open_hill(self); from != NULL; from = best_open_hill(self))
        while (from->n_proposed < self->n_moves) {
            int move = (from->first_move + from->n_proposed++) % self->n_moves;
            if (apply_move(self->space, &from->point, move, out))
                return true;
        }
    return false;
}

/* ---- the strategy ---- */

static spt_status init(void **state, const spt_space *space, uint64_t seed) {
    climber *self = NULL;
    SPT_TRY(SPT_NEW_ZEROED(self, 1));
    self->space = space;
    self->best = INFINITY;
    for (int axis = 0; axis < space->n_axes; axis++)
        self->n_moves += moves_of(&space->axes[axis]);
    spt_random_order_init(&self->restarts, space, seed);
    spt_random_init(&self->random, seed + 1);
    *state = self;
    return SPT_OK;
}

static spt_status ask(void *state, spt_point *out) {
    climber *self = state;
    self->n_asked++;
    bool explore = self->n_asked <= N_START || self->n_asked % EXPLORE_EVERY == 0;
    if (!explore && climb(self, out))
        return SPT_OK;
    spt_status status = spt_random_order_next(&self->restarts, out);
    return status == SPT_ENOTFOUND && climb(self, out) ? SPT_OK : status;
}

/* A point that cannot be remembered for want of memory is not climbed from, which costs speed and nothing else. */
static void tell(void *state, const spt_point *point, double cost, spt_trial_status status) {
    climber *self = state;
    if (status != SPT_TRIAL_CORRECT && status != SPT_TRIAL_DROPPED)
        return;
    if (self->n_hills == self->capacity) {
        int64_t larger = self->capacity == 0 ? 64 : 2 * self->capacity;
        hill *moved = spt_realloc(self->hills, (size_t)self->capacity, (size_t)larger, sizeof *moved);
        if (moved == NULL)
            return;
        self->hills = moved;
        self->capacity = larger;
    }
    int first = self->n_moves > 0 ? (int)spt_random_below(&self->random, (uint64_t)self->n_moves) : 0;
    self->hills[self->n_hills++] = (hill){.point = *point, .cost = cost, .first_move = first};
    if (status == SPT_TRIAL_CORRECT && cost < self->best)
        self->best = cost;
}

static void fini(void *state) {
    climber *self = state;
    spt_random_order_fini(&self->restarts);
    spt_free(self->hills);
    spt_free(self);
}

const spt_strategy spt_strategy_auto = {
    .name = "auto",
    .summary = "random start, then best-first hill climbing with random restarts",
    .init = init,
    .ask = ask,
    .tell = tell,
    .fini = fini,
};

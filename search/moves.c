/* SPDX-License-Identifier: Apache-2.0 */
/* Neighbours of a point; see moves.h. */
#include "search/moves.h"

bool spt_axis_is_named(const spt_axis *axis) {
    return axis->values[0].name != NULL;
}

static int moves_of(const spt_axis *axis, spt_reach reach) {
    return reach == SPT_REACH_FAR || spt_axis_is_named(axis) ? axis->n_values - 1 : 2;
}

int spt_moves_count(const spt_space *space, spt_reach reach) {
    int n = 0;
    for (int axis = 0; axis < space->n_axes; axis++)
        n += moves_of(&space->axes[axis], reach);
    return n;
}

bool spt_moves_apply(const spt_space *space, const spt_point *from, spt_reach reach, int move, spt_point *out) {
    int axis = 0;
    for (; move >= moves_of(&space->axes[axis], reach); axis++)
        move -= moves_of(&space->axes[axis], reach);
    const int n_values = space->axes[axis].n_values, index = from->index[axis];
    const bool any = reach == SPT_REACH_FAR || spt_axis_is_named(&space->axes[axis]);
    const int moved = any ? (index + 1 + move) % n_values : index + (move == 0 ? 1 : -1);
    if (moved < 0 || moved >= n_values)
        return false;
    *out = *from;
    out->index[axis] = (uint16_t)moved;
    return spt_space_is_valid(space, out);
}

/* Value `step` of an axis by distance from `index`: 0 is index itself, then one up, one down, two up, ...; -1: none. */
static int nearest(int n_values, int index, int step) {
    const int distance = (step + 1) / 2, moved = step % 2 == 1 ? index + distance : index - distance;
    return moved >= 0 && moved < n_values ? moved : -1;
}

/* Change one axis to the nearest value that makes the point valid. */
static bool repair_axis(const spt_space *space, spt_point *point, int axis) {
    const int n_values = space->axes[axis].n_values, index = point->index[axis];
    for (int step = 1; step < 2 * n_values; step++) {
        const int moved = nearest(n_values, index, step);
        if (moved < 0)
            continue;
        point->index[axis] = (uint16_t)moved;
        if (spt_space_is_valid(space, point))
            return true;
    }
    point->index[axis] = (uint16_t)index;
    return false;
}

/* One axis of a pair steps through its values; the other is repaired for each. */
static bool repair_pair(const spt_space *space, spt_point *point, int first, int second) {
    const int n_values = space->axes[first].n_values, index = point->index[first];
    for (int step = 1; step < 2 * n_values; step++) {
        const int moved = nearest(n_values, index, step);
        if (moved < 0)
            continue;
        point->index[first] = (uint16_t)moved;
        if (repair_axis(space, point, second))
            return true;
    }
    point->index[first] = (uint16_t)index;
    return false;
}

bool spt_moves_repair(const spt_space *space, spt_random *random, spt_point *point) {
    int order[SPT_AXES_MAX];
    if (spt_space_is_valid(space, point))
        return true;
    spt_random_shuffle(random, order, space->n_axes);
    for (int i = 0; i < space->n_axes; i++)
        if (repair_axis(space, point, order[i]))
            return true;
    for (int i = 0; i < space->n_axes; i++)
        for (int j = 0; j < space->n_axes; j++)
            if (i != j && space->axes[order[i]].n_values <= 64 && repair_pair(space, point, order[i], order[j]))
                return true;
    return false;
}

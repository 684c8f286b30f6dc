/* SPDX-License-Identifier: Apache-2.0 */
/* Neighbours of a point: one axis moved. On a numeric axis near moves are one step up or down and far moves any other
 * value; on a named axis, which has no order, every other name is near. A move has a number, so that a strategy can
 * count through them. */
#ifndef SPT_SEARCH_MOVES_H
#define SPT_SEARCH_MOVES_H

#include "core/random.h"
#include "core/space.h"

typedef enum spt_reach { SPT_REACH_NEAR, SPT_REACH_FAR } spt_reach;

bool spt_axis_is_named(const spt_axis *axis);
/* Moves of every point of the space, whether or not they stay in it. */
int spt_moves_count(const spt_space *space, spt_reach reach);
/* Apply a move, 0 <= move < count; false when it leads out of the space or to an invalid point. */
bool spt_moves_apply(const spt_space *space, const spt_point *from, spt_reach reach, int move, spt_point *out);
/* Make an invalid point valid by changing as few axes as it takes and as little as it takes: axes in random order,
 * nearest values first; false when no single axis and no pair of axes helps. */
bool spt_moves_repair(const spt_space *space, spt_random *random, spt_point *point);

#endif

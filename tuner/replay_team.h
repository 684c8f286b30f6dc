/* SPDX-License-Identifier: Apache-2.0 */
/* A search of a recorded space as `tune` would do it: one search per family, turns by the allocator, defaults first.
 * A space without families is one search. */
#ifndef SPT_TUNER_REPLAY_TEAM_H
#define SPT_TUNER_REPLAY_TEAM_H

#include "search/search.h"
#include "tuner/input/recorded.h"

#define SPT_FAMILY_AXIS "family"

typedef struct spt_replay_team {
    const spt_recorded *whole;
    const spt_recorded_part *parts;
    spt_search **searches; /* per part */
    int *part_of;          /* per arm of the allocator */
    int n_parts;
    spt_allocator *allocator;
} spt_replay_team;

/* Errors: ENOMEM. Owns: spt_replay_team_fini. budget 0: no limit. */
spt_status spt_replay_team_init(spt_replay_team *out, const spt_recorded *whole, const spt_recorded_part *parts,
                                int n_parts, const spt_strategy *strategy, uint64_t seed, int64_t budget);
/* Ask, look the trial up in the whole space, and tell. Errors: ENOTFOUND when nothing is left to ask. */
spt_status spt_replay_team_step(spt_replay_team *team, const spt_recorded_trial **trial);
void spt_replay_team_fini(spt_replay_team *team);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* One search per family of a recorded space; see replay_team.h. */
#include "tuner/replay_team.h"

#include <math.h>

#include "core/hash.h"
#include "core/memory.h"

/* The bound of a part's untuned point; infinite where the file does not say. */
static double default_bound_ns(const spt_recorded *part) {
    for (int64_t i = 0; i < part->n_trials; i++)
        if (part->trials[i].is_default && part->trials[i].bound_ns > 0.0)
            return part->trials[i].bound_ns;
    return INFINITY;
}

static spt_status add_search(spt_replay_team *team, int part, const spt_strategy *strategy, uint64_t seed) {
    const spt_recorded *recorded = &team->parts[part].recorded;
    int arm = 0;
    SPT_TRY(spt_search_new(&team->searches[part], strategy, &recorded->space, seed));
    for (int64_t i = 0; i < recorded->n_trials; i++)
        if (recorded->trials[i].is_default)
            SPT_TRY(spt_search_seed(team->searches[part], &recorded->trials[i].point));
    SPT_TRY(spt_allocator_add(team->allocator, team->searches[part], &arm));
    team->part_of[arm] = part;
    return SPT_OK;
}

/* Arms in rising order of their defaults' bounds: the untuned answer has the first turn. */
spt_status spt_replay_team_init(spt_replay_team *out, const spt_recorded *whole, const spt_recorded_part *parts,
                                int n_parts, const spt_strategy *strategy, uint64_t seed, int64_t budget) {
    spt_status status = SPT_OK;
    *out = (spt_replay_team){.whole = whole, .parts = parts, .n_parts = n_parts};
    SPT_TRY_TO(failed, SPT_NEW_ZEROED(out->searches, n_parts));
    SPT_TRY_TO(failed, SPT_NEW_ZEROED(out->part_of, n_parts));
    SPT_TRY_TO(failed, spt_allocator_new(&out->allocator, budget > 0 ? budget : INT64_MAX));
    for (int added = 0; added < n_parts; added++) {
        int next = -1;
        for (int i = 0; i < n_parts; i++)
            if (out->searches[i] == NULL &&
                (next < 0 || default_bound_ns(&parts[i].recorded) < default_bound_ns(&parts[next].recorded)))
                next = i;
        SPT_TRY_TO(failed, add_search(out, next, strategy, seed + 7919 * (uint64_t)next));
    }
    return SPT_OK;
failed:
    spt_replay_team_fini(out);
    return status;
}

spt_status spt_replay_team_step(spt_replay_team *team, const spt_recorded_trial **trial) {
    spt_point point;
    int arm = 0;
    SPT_TRY(spt_allocator_ask(team->allocator, &arm, &point));
    const spt_recorded_part *part = &team->parts[team->part_of[arm]];
    *trial = spt_recorded_find(&part->recorded, &point);
    spt_allocator_tell(team->allocator, arm, &point, (*trial)->time_ns, (*trial)->status);
    *trial = &team->whole->trials[part->origins[*trial - part->recorded.trials]];
    return SPT_OK;
}

void spt_replay_team_fini(spt_replay_team *team) {
    spt_allocator_free(team->allocator);
    for (int i = 0; team->searches != NULL && i < team->n_parts; i++)
        spt_search_free(team->searches[i]);
    spt_free(team->searches);
    spt_free(team->part_of);
    *team = (spt_replay_team){0};
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The drive loop's finals: the best few, the untuned answer, the best dense and the best sparse variant run interleaved
 * in rounds, so that what is compared was measured in the same minute. Rounds that the database has count as run. */
#include <stdlib.h>
#include <string.h>

#include "core/text.h"
#include "tuner/drive_scores.h"

#define CONTENDER_OVER 1.2 /* the best few always contend; what is slower than this times the best has no chance */

/* A search trial that could go to the finals. */
typedef struct contender {
    spt_variant_id variant;
    double cost;
    bool correct; /* measured to the end, not dropped early */
} contender;

/* Can this variant still run here, as the code stands now? */
static bool is_runnable(const spt_drive_state *state, const spt_variant_id *variant) {
    const spt_family *family = spt_family_find(variant->family);
    if (family == NULL || family->revision != variant->revision)
        return false;
    const spt_workload *workload = state->subject.workload;
    const spt_device *device = state->subject.device;
    spt_point point;
    spt_family_space space;
    if (spt_family_check(family, workload, device) != SPT_OK ||
        spt_point_parse(&point, family->axes, family->n_axes, variant->point) != SPT_OK)
        return false;
    spt_family_space_init(&space, family, workload, device);
    return spt_space_is_valid(&space.space, &point);
}

/* The search trial with the lowest cost that `wanted` accepts and the set does not have; ties by name. */
static bool best_contender(contender *out, const spt_drive_state *state, const spt_finalists *set,
                           bool (*wanted)(const contender *)) {
    bool found = false;
    for (int64_t i = 0; i < state->known.count; i++) {
        const spt_trial *trial = &state->known.items[i];
        spt_trial_status status = trial->measurement.status;
        if (trial->phase != SPT_PHASE_SEARCH || !spt_trial_is_timed(status))
            continue;
        contender at = {.cost = spt_drive_cost(state, &trial->measurement), .correct = status == SPT_TRIAL_CORRECT};
        if (found && (at.cost > out->cost ||
                      (at.cost == out->cost && spt_drive_compare_variants(&trial->variant, &out->variant) >= 0)))
            continue;
        if (spt_finalists_have(set, &trial->variant) || !is_runnable(state, &trial->variant))
            continue;
        spt_drive_identify(&at.variant, state, spt_family_find(trial->variant.family), trial->variant.point);
        if (!wanted(&at))
            continue;
        *out = at;
        found = true;
    }
    return found;
}

static bool wants_correct(const contender *at) {
    return at->correct;
}

/* These stay even where the race dropped them: the winner is compared with the untuned answer and the best dense one,
 * and a dense winner with the best sparse one. */
static bool wants_default(const contender *at) {
    return at->variant.is_default;
}

static bool wants_dense(const contender *at) {
    return at->variant.is_dense;
}

static bool wants_sparse(const contender *at) {
    return !at->variant.is_dense;
}

/* The best few of the search, a few more of those that the noise of a search could have put behind them, and the
 * yardsticks. */
static void choose_contenders(spt_finalists *set, const spt_drive_state *state) {
    static bool (*const yardsticks[])(const contender *) = {wants_default, wants_dense, wants_sparse};
    const spt_measure_policy *policy = &state->drive->policy;
    const spt_finalists nobody = {.count = 0};
    contender next;
    double best = 0.0;
    set->count = 0;
    for (size_t i = 0; i < sizeof yardsticks / sizeof yardsticks[0]; i++)
        if (best_contender(&next, state, &nobody, yardsticks[i]))
            spt_finalists_add(set, &next.variant, true);
    const int n_max = policy->contenders < SPT_ROUND_MAX ? policy->contenders : SPT_ROUND_MAX;
    spt_finalists chosen = {.count = 0};
    while (chosen.count < n_max && best_contender(&next, state, &chosen, wants_correct)) {
        best = chosen.count == 0 ? next.cost : best;
        if (chosen.count >= policy->finalists && next.cost > CONTENDER_OVER * best)
            break;
        spt_finalists_add(&chosen, &next.variant, false);
    }
    for (int i = 0; i < chosen.count; i++)
        spt_finalists_add(set, &chosen.items[i], false);
}

/* What stands as a winner from another build runs again beside what this build found: otherwise its old times would go
 * on to win, and the problem would stay stale. */
static spt_status add_standing(spt_finalists *set, const spt_drive_state *state) {
    spt_winner_list winners;
    SPT_TRY(spt_db_winners_find(&winners, state->drive->db, &state->result->key));
    for (int64_t i = 0; i < winners.count && set->count < SPT_ROUND_MAX; i++) {
        const spt_winner *winner = &winners.items[i];
        spt_variant_id variant = {.revision = winner->revision};
        spt_copy_text(variant.family, sizeof variant.family, winner->family);
        spt_copy_text(variant.point, sizeof variant.point, winner->point);
        if (spt_finalists_have(set, &variant) || !is_runnable(state, &variant))
            continue;
        spt_drive_identify(&variant, state, spt_family_find(winner->family), winner->point);
        spt_finalists_add(set, &variant, true);
    }
    spt_winner_list_fini(&winners);
    return SPT_OK;
}

/* SPT_ENOTFOUND when the run was stopped meanwhile: half a round is no round. */
static spt_status run_round(spt_drive_state *state, const spt_finalists *set, int round) {
    spt_drive_meter *meter = &state->drive->meter;
    spt_measurement measurements[SPT_ROUND_MAX] = {0};
    spt_trial trials[SPT_ROUND_MAX];
    SPT_TRY(spt_drive_load(state));
    SPT_TRY(meter->round(meter->self, set->items, set->count, measurements));
    if (spt_drive_stopped(state))
        return SPT_ENOTFOUND;
    for (int i = 0; i < set->count; i++)
        trials[i] = (spt_trial){
            .variant = set->items[i], .phase = SPT_PHASE_FINAL, .round = round, .measurement = measurements[i]};
    SPT_TRY(spt_drive_record(state, trials, set->count));
    state->result->rounds_measured++;
    return SPT_OK;
}

/* Run rounds of the set until so many are known. */
static spt_status run_rounds(spt_drive_state *state, const spt_finalists *set, int n_wanted) {
    int next_round = 1;
    for (int done = spt_finalists_count_rounds(state, set, &next_round); done < n_wanted && !spt_drive_stopped(state);
         done++) {
        spt_drive_report(state, done, n_wanted);
        SPT_TRY(run_round(state, set, next_round++));
    }
    return SPT_OK;
}

/* Heats of all contenders, rounds of the best of them, and more rounds while it is open who is the fastest. What is
 * done follows from what is known alone, so that a run that was stopped goes on where it was. */
static spt_status run_finals(spt_drive_state *state, spt_finalists *set) {
    const spt_measure_policy *policy = &state->drive->policy;
    bool is_open = false;
    int next_round;
    SPT_TRY(run_rounds(state, set, policy->heats < policy->final_rounds ? policy->heats : policy->final_rounds));
    if (spt_drive_stopped(state))
        return SPT_OK;
    SPT_TRY(spt_finalists_cut(set, state, policy->finalists));
    SPT_TRY(run_rounds(state, set, policy->final_rounds));
    for (int n = policy->final_rounds + 1; n <= policy->final_rounds_max && !spt_drive_stopped(state); n++) {
        is_open = false;
        if (spt_finalists_count_rounds(state, set, &next_round) < n)
            SPT_TRY(spt_finalists_are_open(&is_open, set, state));
        if (is_open)
            SPT_TRY(run_rounds(state, set, n));
    }
    return SPT_OK;
}

spt_status spt_drive_finals(spt_drive_state *state) {
    spt_finalists set;
    choose_contenders(&set, state);
    if (state->drive->only_this_build && set.count > 0)
        SPT_TRY(add_standing(&set, state));
    if (set.count == 0)
        return SPT_OK;
    const spt_status status = run_finals(state, &set);
    return status == SPT_ENOTFOUND && spt_drive_stopped(state) ? SPT_OK : status;
}

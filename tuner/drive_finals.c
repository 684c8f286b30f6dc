/* SPDX-License-Identifier: Apache-2.0 */
/* The drive loop's finals: the best few, the untuned answer, the best dense and the best sparse variant run interleaved
 * in rounds, so that what is compared was measured in the same minute. Rounds that the database has count as run. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "core/text.h"
#include "tuner/drive_state.h"

#define FINALISTS_MAX 32
#define ROUND_MAX 1000000 /* a database may say anything; counting goes on from below this */

/* A search trial that could go to the finals. */
typedef struct contender {
    spt_variant_id variant;
    double cost;
    bool correct; /* measured to the end, not dropped early */
} contender;

typedef struct finalists {
    spt_variant_id items[FINALISTS_MAX]; /* sorted by family and point */
    int count;
} finalists;

static int compare_variants(const spt_variant_id *a, const spt_variant_id *b) {
    int order = strcmp(a->family, b->family);
    return order != 0 ? order : strcmp(a->point, b->point);
}

static int compare_by_variant(const void *a, const void *b) {
    return compare_variants(a, b);
}

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

static bool has_variant(const finalists *set, const spt_variant_id *variant) {
    for (int i = 0; i < set->count; i++)
        if (compare_variants(&set->items[i], variant) == 0)
            return true;
    return false;
}

/* The search trial with the lowest cost that `wanted` accepts and the set does not have; ties by name. */
static bool best_contender(contender *out, const spt_drive_state *state, const finalists *set,
                           bool (*wanted)(const contender *)) {
    bool found = false;
    for (int64_t i = 0; i < state->known.count; i++) {
        const spt_trial *trial = &state->known.items[i];
        spt_trial_status status = trial->measurement.status;
        if (trial->phase != SPT_PHASE_SEARCH || (status != SPT_TRIAL_CORRECT && status != SPT_TRIAL_DROPPED))
            continue;
        contender at = {.cost = spt_drive_cost(state, &trial->measurement), .correct = status == SPT_TRIAL_CORRECT};
        if (found &&
            (at.cost > out->cost || (at.cost == out->cost && compare_variants(&trial->variant, &out->variant) >= 0)))
            continue;
        if (has_variant(set, &trial->variant) || !is_runnable(state, &trial->variant))
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

static void choose_finalists(finalists *set, const spt_drive_state *state) {
    static bool (*const yardsticks[])(const contender *) = {wants_default, wants_dense, wants_sparse};
    const int n_yardsticks = (int)(sizeof yardsticks / sizeof yardsticks[0]);
    const finalists nobody = {.count = 0};
    contender next;
    int n_best = state->drive->policy.finalists;
    if (n_best > FINALISTS_MAX - n_yardsticks)
        n_best = FINALISTS_MAX - n_yardsticks;
    set->count = 0;
    while (set->count < n_best && best_contender(&next, state, set, wants_correct))
        set->items[set->count++] = next.variant;
    for (int i = 0; i < n_yardsticks; i++)
        if (best_contender(&next, state, &nobody, yardsticks[i]) && !has_variant(set, &next.variant))
            set->items[set->count++] = next.variant;
    qsort(set->items, (size_t)set->count, sizeof set->items[0], compare_by_variant);
}

/* What stands as a winner from another build runs again beside what this build found: otherwise its old times would go
 * on to win, and the problem would stay stale. */
static spt_status add_standing(finalists *set, const spt_drive_state *state) {
    spt_winner_list winners;
    SPT_TRY(spt_db_winners_find(&winners, state->drive->db, &state->result->key));
    for (int64_t i = 0; i < winners.count && set->count < FINALISTS_MAX; i++) {
        const spt_winner *winner = &winners.items[i];
        spt_variant_id variant = {.revision = winner->revision};
        spt_copy_text(variant.family, sizeof variant.family, winner->family);
        spt_copy_text(variant.point, sizeof variant.point, winner->point);
        if (has_variant(set, &variant) || !is_runnable(state, &variant))
            continue;
        spt_drive_identify(&set->items[set->count++], state, spt_family_find(winner->family), winner->point);
    }
    spt_winner_list_fini(&winners);
    qsort(set->items, (size_t)set->count, sizeof set->items[0], compare_by_variant);
    return SPT_OK;
}

/* How often this variant was measured in final rounds of this number (sessions of other hosts have numbers of their
 * own). */
static int count_in_round(const spt_drive_state *state, const spt_variant_id *variant, int round) {
    int count = 0;
    for (int64_t i = 0; i < state->known.count; i++) {
        const spt_trial *trial = &state->known.items[i];
        count += trial->phase == SPT_PHASE_FINAL && trial->round == round &&
                 trial->variant.revision == variant->revision && compare_variants(&trial->variant, variant) == 0;
    }
    return count;
}

/* Does a trial before known[index] have the same final round? */
static bool was_counted(const spt_drive_state *state, int64_t index) {
    for (int64_t i = 0; i < index; i++)
        if (state->known.items[i].phase == SPT_PHASE_FINAL &&
            state->known.items[i].round == state->known.items[index].round)
            return true;
    return false;
}

/* Known rounds that hold the whole set, and the lowest number above all known rounds. Each round has the untuned answer
 * in it, so one that holds more variants than the set says as much about the set. */
static int count_rounds(const spt_drive_state *state, const finalists *set, int *next_round) {
    int n_rounds = 0;
    *next_round = 1;
    for (int64_t i = 0; i < state->known.count; i++) {
        const spt_trial *trial = &state->known.items[i];
        if (trial->phase != SPT_PHASE_FINAL || was_counted(state, i))
            continue;
        int whole = INT_MAX;
        for (int f = 0; f < set->count && whole > 0; f++) {
            int count = count_in_round(state, &set->items[f], trial->round);
            whole = count < whole ? count : whole;
        }
        n_rounds += whole;
        if (trial->round >= *next_round && trial->round < ROUND_MAX)
            *next_round = trial->round + 1;
    }
    return n_rounds;
}

/* SPT_ENOTFOUND when the run was stopped meanwhile: half a round is no round. */
static spt_status run_round(spt_drive_state *state, const finalists *set, int round) {
    spt_drive_meter *meter = &state->drive->meter;
    spt_measurement measurements[FINALISTS_MAX] = {0};
    spt_trial trials[FINALISTS_MAX];
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

spt_status spt_drive_finals(spt_drive_state *state) {
    finalists set;
    int next_round = 1;
    int n_wanted = state->drive->policy.final_rounds;
    choose_finalists(&set, state);
    if (state->drive->only_this_build && set.count > 0)
        SPT_TRY(add_standing(&set, state));
    if (set.count == 0)
        return SPT_OK;
    for (int done = count_rounds(state, &set, &next_round); done < n_wanted && !spt_drive_stopped(state); done++) {
        spt_drive_report(state, done, n_wanted);
        spt_status status = run_round(state, &set, next_round++);
        if (status == SPT_ENOTFOUND && spt_drive_stopped(state))
            return SPT_OK;
        if (status != SPT_OK)
            return status;
    }
    return SPT_OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The drive loop's finals: the best few, the untuned answer, the best dense and the best sparse variant run interleaved
 * in rounds, so that what is compared was measured in the same minute. Rounds that the database has count as run. */
#include <math.h>
#include <string.h>

#include "core/memory.h"
#include "core/text.h"
#include "tuner/drive_scores.h"

#define N_YARDSTICKS 3
#define N_QUICK 6          /* variants of a hurried round */
#define CONTENDER_OVER 1.2 /* the best few always contend; slower ones than this times the best have no chance ... */
#define NEIGHBOUR_OVER 1.5 /* ... but for those one step away from the best, ... */
#define HOPEFUL_OVER 1.05  /* who is slower by more than this in half of all rounds leaves the others alone */
#define FAMILY_OVER 2.0    /* ... and a family's best, because a machine's bad minutes do not hit all families alike */

/* A search trial that could go to the finals. */
typedef struct contender {
    spt_variant_id variant;
    double cost;
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

/* Do two points differ in no more than one axis? Both texts name the axes in the same order. */
static bool are_neighbours(const spt_variant_id *a, const spt_variant_id *b) {
    const char *x = a->point, *y = b->point;
    int n_different = 0;
    if (strcmp(a->family, b->family) != 0)
        return false;
    while (*x != '\0' && *y != '\0') {
        const size_t n_x = strcspn(x, ","), n_y = strcspn(y, ",");
        n_different += n_x != n_y || memcmp(x, y, n_x) != 0;
        x += n_x + (x[n_x] == ',');
        y += n_y + (y[n_y] == ',');
    }
    return n_different <= 1;
}

/* Who may contend: of those that cost at most `cost_max` the ones that `wanted` accepts beside `other`. */
typedef struct contest {
    double cost_max;
    bool (*wanted)(const spt_variant_id *variant, const void *other);
    const void *other;
} contest;

static bool wants_any(const spt_variant_id *variant, const void *unused) {
    (void)variant, (void)unused;
    return true;
}

static bool wants_default(const spt_variant_id *variant, const void *unused) {
    (void)unused;
    return variant->is_default;
}

static bool wants_dense(const spt_variant_id *variant, const void *unused) {
    (void)unused;
    return variant->is_dense;
}

static bool wants_sparse(const spt_variant_id *variant, const void *unused) {
    (void)unused;
    return !variant->is_dense;
}

/* A family that has nobody in the set. */
static bool wants_new_family(const spt_variant_id *variant, const void *set) {
    const spt_finalists *others = set;
    for (int i = 0; i < others->count; i++)
        if (strcmp(variant->family, others->items[i].family) == 0)
            return false;
    return !variant->is_dense;
}

static bool wants_neighbour(const spt_variant_id *variant, const void *leader) {
    return are_neighbours(variant, leader);
}

/* The search trial with the lowest cost that the contest takes and the set does not have; ties by name. Dropped ones
 * count, too: a race may drop a variant for a bad minute of the machine. */
static bool best_contender(contender *out, const spt_drive_state *state, const double *costs, const spt_finalists *set,
                           const contest *rule) {
    bool found = false;
    for (int64_t i = 0; i < state->known.count; i++) {
        const spt_trial *trial = &state->known.items[i];
        if (trial->phase != SPT_PHASE_SEARCH || !spt_trial_is_timed(trial->measurement.status) ||
            costs[i] > rule->cost_max)
            continue;
        contender at = {.cost = costs[i]};
        if (found && (at.cost > out->cost ||
                      (at.cost == out->cost && spt_drive_compare_variants(&trial->variant, &out->variant) >= 0)))
            continue;
        if (spt_finalists_have(set, &trial->variant) || !is_runnable(state, &trial->variant))
            continue;
        spt_drive_identify(&at.variant, state, spt_family_find(trial->variant.family), trial->variant.point);
        if (!rule->wanted(&at.variant, rule->other))
            continue;
        *out = at;
        found = true;
    }
    return found;
}

/* Add the best ones of a contest until the set has n_max. */
static void add_best(spt_finalists *set, const spt_drive_state *state, const double *costs, const contest *rule,
                     int n_max) {
    contender next;
    while (set->count < n_max && best_contender(&next, state, costs, set, rule))
        spt_finalists_add(set, &next.variant, false);
}

/* These stay even where the race dropped them: the winner is compared with the untuned answer and the best dense one,
 * and a dense winner with the best sparse one. */
static void add_yardsticks(spt_finalists *set, const spt_drive_state *state, const double *costs) {
    static bool (*const yardsticks[])(const spt_variant_id *, const void *) = {wants_default, wants_dense,
                                                                               wants_sparse};
    const spt_finalists nobody = {.count = 0};
    contender next;
    for (size_t i = 0; i < sizeof yardsticks / sizeof yardsticks[0]; i++)
        if (best_contender(&next, state, costs, &nobody, &(contest){.cost_max = INFINITY, .wanted = yardsticks[i]}))
            spt_finalists_add(set, &next.variant, true);
}

/* The best few of the search, and those that the noise of a search could have put behind them: what is not much slower,
 * each family's best, and the leader's neighbours. Then the yardsticks. */
static void choose_by_costs(spt_finalists *set, const spt_drive_state *state, const double *costs) {
    const spt_measure_policy *policy = &state->drive->policy;
    const int n_chosen = SPT_ROUND_MAX - N_YARDSTICKS;
    const int n_few = policy->contenders < n_chosen ? policy->contenders : n_chosen;
    spt_finalists chosen = {.count = 0};
    contender leader;
    set->count = 0;
    add_yardsticks(set, state, costs);
    if (!best_contender(&leader, state, costs, &chosen, &(contest){.cost_max = INFINITY, .wanted = wants_any}))
        return;
    const double best = leader.cost;
    add_best(&chosen, state, costs, &(contest){.cost_max = INFINITY, .wanted = wants_any}, policy->finalists);
    add_best(&chosen, state, costs, &(contest){.cost_max = CONTENDER_OVER * best, .wanted = wants_any}, n_few);
    add_best(&chosen, state, costs,
             &(contest){.cost_max = FAMILY_OVER * best, .wanted = wants_new_family, .other = &chosen}, n_chosen);
    add_best(&chosen, state, costs,
             &(contest){.cost_max = NEIGHBOUR_OVER * best, .wanted = wants_neighbour, .other = &leader.variant},
             n_chosen);
    for (int i = 0; i < chosen.count; i++)
        spt_finalists_add(set, &chosen.items[i], false);
}

/* Of a hurried run: the yardsticks and the best few. */
static void choose_few(spt_finalists *set, const spt_drive_state *state, const double *costs) {
    set->count = 0;
    add_yardsticks(set, state, costs);
    add_best(set, state, costs, &(contest){.cost_max = INFINITY, .wanted = wants_any}, N_QUICK);
}

static spt_status choose_contenders(spt_finalists *set, const spt_drive_state *state) {
    double *costs;
    SPT_TRY(SPT_NEW(costs, state->known.count + 1));
    for (int64_t i = 0; i < state->known.count; i++)
        costs[i] = spt_drive_trial_cost(state, i);
    if (state->drive->quick_finals)
        choose_few(set, state, costs);
    else
        choose_by_costs(set, state, costs);
    spt_free(costs);
    return SPT_OK;
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
    for (bool is_disturbed = true; is_disturbed;) {
        const double start_s = state->drive->now_s();
        SPT_TRY(meter->round(meter->self, set->items, set->count, measurements));
        if (spt_drive_stopped(state))
            return SPT_ENOTFOUND;
        is_disturbed = state->drive->patience_s > 0.0 && !state->drive->quick_finals && spt_drive_has_others(state);
        if (is_disturbed) { /* it is void, like a sample that was interrupted */
            state->drive->patience_s -= state->drive->now_s() - start_s;
            SPT_TRY(spt_drive_wait_for_calm(state));
        }
    }
    for (int i = 0; i < set->count; i++)
        trials[i] = (spt_trial){
            .variant = set->items[i], .phase = SPT_PHASE_FINAL, .round = round, .measurement = measurements[i]};
    SPT_TRY(spt_drive_record(state, trials, set->count));
    state->result->rounds_measured++;
    return SPT_OK;
}

bool spt_finalists_are_late(const spt_drive_state *state) {
    const spt_drive *drive = state->drive;
    return drive->finals_until_s > 0.0 && drive->now_s() >= drive->finals_until_s;
}

spt_status spt_finalists_run(spt_drive_state *state, const spt_finalists *set, int n_wanted) {
    int next_round = 1;
    for (int done = spt_finalists_count_rounds(state, set, &next_round); done < n_wanted && !spt_drive_stopped(state);
         done++) {
        spt_drive_report(state, done, n_wanted);
        if (!spt_finalists_are_late(state) && !state->drive->quick_finals)
            SPT_TRY(spt_drive_wait_for_calm(state));
        SPT_TRY(run_round(state, set, next_round++));
    }
    return SPT_OK;
}

static bool has_finals(const spt_drive_state *state) {
    for (int64_t i = 0; i < state->known.count; i++)
        if (state->known.items[i].phase == SPT_PHASE_FINAL)
            return true;
    return false;
}

/* More rounds while it is open who is the fastest; from the second half on of those alone who still can be. */
static spt_status settle(spt_drive_state *state, spt_finalists *set) {
    const spt_measure_policy *policy = &state->drive->policy;
    const int n_least = policy->climbs > 0 ? 2 * policy->final_rounds : policy->final_rounds; /* tops are alike */
    bool is_open = false;
    int next_round;
    for (int n = 1; n <= policy->final_rounds_max && !spt_drive_stopped(state) && !spt_finalists_are_late(state); n++) {
        is_open = n <= n_least;
        if (!is_open && spt_finalists_count_rounds(state, set, &next_round) < n)
            SPT_TRY(spt_finalists_are_open(&is_open, set, state));
        if (is_open)
            SPT_TRY(spt_finalists_run(state, set, n));
        if (n == policy->final_rounds_max / 2 && spt_finalists_count_rounds(state, set, &next_round) >= n)
            SPT_TRY(spt_finalists_cut(set, state, n, policy->finalists, HOPEFUL_OVER));
    }
    return SPT_OK;
}

/* Heats of all contenders, rounds of the best of them, climbs from there, and rounds until it is settled who is the
 * fastest. What is done follows from what is known alone, so that a run that was stopped goes on where it was. */
static spt_status run_finals(spt_drive_state *state, spt_finalists *set) {
    const spt_measure_policy *policy = &state->drive->policy;
    const int n_heats = policy->heats < policy->final_rounds ? policy->heats : policy->final_rounds;
    SPT_TRY(spt_finalists_run(state, set, n_heats));
    if (spt_drive_stopped(state))
        return SPT_OK;
    SPT_TRY(spt_finalists_cut(set, state, n_heats, policy->finalists, INFINITY));
    for (int n = n_heats + 1; n <= policy->final_rounds && !spt_finalists_are_late(state); n++)
        SPT_TRY(spt_finalists_run(state, set, n));
    if (!spt_drive_stopped(state))
        SPT_TRY(spt_finalists_climb(set, state));
    return settle(state, set);
}

spt_status spt_drive_finals(spt_drive_state *state) {
    spt_finalists set;
    if (state->drive->quick_finals && has_finals(state))
        return SPT_OK;
    SPT_TRY(choose_contenders(&set, state));
    if (state->drive->only_this_build && set.count > 0)
        SPT_TRY(add_standing(&set, state));
    if (set.count == 0)
        return SPT_OK;
    const spt_status status = state->drive->quick_finals ? spt_finalists_run(state, &set, 1) : run_finals(state, &set);
    return status == SPT_ENOTFOUND && spt_drive_stopped(state) ? SPT_OK : status;
}

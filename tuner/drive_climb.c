/* SPDX-License-Identifier: Apache-2.0 */
/* Climbing in finals. Trials are single times of single places in memory and put the leaders in some order, so a search
 * ends beside the top of a hill as often as on it. Here those beside the leader, one axis away, run in rounds with it,
 * tried by the search or not, until nobody beats the leader. The best on another hill climbs, too. Workload: one to
 * three steps of at most two rounds' room of challengers each. */
#include <math.h>
#include <string.h>

#include "core/memory.h"
#include "tuner/drive_scores.h"

#define HILL_AXES 3         /* who differs from the leader in so many axes, or in the family, is on another hill, ... */
#define HILL_OVER 1.1       /* ... where being slower by this is no reason not to climb */
#define CONTENDER_OVER 1.2  /* who was slower than this times the best trial challenges nobody, ... */
#define TRIED_OVER 1.3      /* who was slower than this times the leader in trials does not challenge it */
#define CHALLENGE_OVER 1.05 /* who was slower than this in heats gives up */
#define SLOPE 0.5           /* bounds rank better than they predict (docs/SEARCH.md) */
#define N_TOPS 2
#define N_BATCHES 3 /* rounds' room of challengers in a step */
#define N_KEPT 4    /* of those that the challengers meet */

typedef struct challenger {
    spt_variant_id variant;
    double guess; /* its cost, by its trial or by what the model expects */
} challenger;

typedef struct climb {
    spt_drive_state *state;
    spt_finalists tops;  /* the leader and the best of another hill */
    spt_finalists stays; /* the yardsticks; the default alone goes along */
    challenger *items;   /* of this step, the likeliest first */
    int count, capacity;
    double best_cost;     /* of the search's trials */
    spt_variant_id *seen; /* of all steps */
    int64_t n_seen, seen_capacity;
} climb;

static const spt_drive_arm *arm_of(const spt_drive_state *state, const spt_variant_id *variant) {
    for (int i = 0; i < state->n_arms; i++)
        if (strcmp(state->arms[i].family->name, variant->family) == 0)
            return &state->arms[i];
    return NULL;
}

static bool parse_point(spt_point *out, const spt_drive_arm *arm, const spt_variant_id *variant) {
    return arm != NULL && spt_point_parse(out, arm->family->axes, arm->family->n_axes, variant->point) == SPT_OK;
}

static bool is_far(const spt_drive_state *state, const spt_variant_id *a, const spt_variant_id *b) {
    const spt_drive_arm *arm = arm_of(state, a);
    spt_point x, y;
    int n_different = 0;
    if (strcmp(a->family, b->family) != 0 || !parse_point(&x, arm, a) || !parse_point(&y, arm, b))
        return true;
    for (int axis = 0; axis < arm->family->n_axes; axis++)
        n_different += x.index[axis] != y.index[axis];
    return n_different >= HILL_AXES;
}

/* The best of the set, and the best of those that are far from it. */
static spt_status find_tops(spt_finalists *out, const spt_drive_state *state, const spt_finalists *set, int n_rounds) {
    double scores[SPT_ROUND_MAX];
    out->count = 0;
    SPT_TRY(spt_finalists_score(scores, set, state, n_rounds));
    double limit = INFINITY;
    for (int top = 0; top < N_TOPS; top++) {
        int best = -1;
        for (int i = 0; i < set->count; i++) {
            bool fits = !set->items[i].is_dense && scores[i] < limit && (best < 0 || scores[i] < scores[best]);
            for (int j = 0; j < out->count && fits; j++)
                fits = is_far(state, &set->items[i], &out->items[j]);
            if (fits)
                best = i;
        }
        if (best < 0)
            break;
        limit = fmin(limit, HILL_OVER * scores[best]);
        spt_finalists_add(out, &set->items[best], false);
    }
    return SPT_OK;
}

/* ---- challengers ---- */

/* The cost of the latest search trial; 0: never tried; INFINITY: tried in vain. */
static double tried_cost(const spt_drive_state *state, const spt_variant_id *variant) {
    for (int64_t i = state->known.count - 1; i >= 0; i--) {
        const spt_trial *trial = &state->known.items[i];
        if (trial->phase == SPT_PHASE_SEARCH && trial->variant.revision == variant->revision &&
            spt_drive_compare_variants(&trial->variant, variant) == 0)
            return spt_trial_is_timed(trial->measurement.status) ? spt_drive_trial_cost(state, i) : INFINITY;
    }
    return 0.0;
}

static bool is_seen(const climb *self, const spt_variant_id *variant) {
    for (int64_t i = 0; i < self->n_seen; i++)
        if (spt_drive_compare_variants(&self->seen[i], variant) == 0)
            return true;
    return false;
}

static spt_status see(climb *self, const spt_variant_id *variant) {
    void *items = self->seen;
    SPT_TRY(spt_grow(&items, &self->seen_capacity, self->n_seen, sizeof *self->seen));
    self->seen = items;
    self->seen[self->n_seen++] = *variant;
    return SPT_OK;
}

/* In the order of guesses, of equal ones by name; the last goes where there is no room. */
static void insert(climb *self, const challenger *item) {
    int at = self->count;
    for (int i = 0; i < self->count; i++)
        if (spt_drive_compare_variants(&self->items[i].variant, &item->variant) == 0)
            return;
    while (at > 0 && (item->guess < self->items[at - 1].guess ||
                      (item->guess == self->items[at - 1].guess &&
                       spt_drive_compare_variants(&item->variant, &self->items[at - 1].variant) < 0))) {
        if (at < self->capacity)
            self->items[at] = self->items[at - 1];
        at--;
    }
    if (at < self->capacity)
        self->items[at] = *item;
    self->count += self->count < self->capacity;
}

static spt_status challenge_by(climb *self, const spt_drive_arm *arm, const spt_point *from, const spt_point *point) {
    const spt_drive_state *state = self->state;
    const spt_space *space = &arm->space.space;
    const double best_cost = self->best_cost;
    char text[SPT_POINT_TEXT_MAX];
    challenger item;
    if (!spt_space_is_valid(space, point))
        return SPT_OK;
    SPT_TRY(spt_point_text(text, arm->family->axes, arm->family->n_axes, point));
    spt_drive_identify(&item.variant, state, arm->family, text);
    item.guess = tried_cost(state, &item.variant) / best_cost;
    if (is_seen(self, &item.variant) || item.guess > TRIED_OVER)
        return SPT_OK;
    if (item.guess == 0.0)
        item.guess = space->expect != NULL
                         ? pow(space->expect(space->context, point) / space->expect(space->context, from), SLOPE)
                         : 1.0;
    insert(self, &item);
    return SPT_OK;
}

/* Trials that are nearly as good as the best, which no heat has seen yet. */
static spt_status challenge_by_trials(climb *self) {
    const spt_drive_state *state = self->state;
    for (int64_t i = 0; i < state->known.count; i++) {
        const spt_trial *trial = &state->known.items[i];
        const spt_drive_arm *arm = arm_of(state, &trial->variant);
        challenger item;
        spt_point point;
        if (trial->phase != SPT_PHASE_SEARCH || trial->variant.is_dense ||
            !spt_trial_is_timed(trial->measurement.status) || arm == NULL ||
            trial->variant.revision != arm->family->revision ||
            !spt_drive_names_family(state->drive->families, trial->variant.family) ||
            !parse_point(&point, arm, &trial->variant) || !spt_space_is_valid(&arm->space.space, &point))
            continue;
        spt_drive_identify(&item.variant, state, arm->family, trial->variant.point);
        item.guess = tried_cost(state, &item.variant) / self->best_cost;
        if (item.guess <= CONTENDER_OVER && !is_seen(self, &item.variant))
            insert(self, &item);
    }
    return SPT_OK;
}

/* All points one axis away from a top, as far as the search may try them. */
static spt_status challenge(climb *self, const spt_variant_id *top) {
    const spt_drive_arm *arm = arm_of(self->state, top);
    spt_point from;
    if (!spt_drive_names_family(self->state->drive->families, top->family) || !parse_point(&from, arm, top))
        return SPT_OK;
    for (int axis = 0; axis < arm->family->n_axes; axis++)
        for (int value = 0; value < arm->family->axes[axis].n_values; value++) {
            spt_point point = from;
            point.index[axis] = (uint16_t)value;
            if (value != from.index[axis])
                SPT_TRY(challenge_by(self, arm, &from, &point));
        }
    return SPT_OK;
}

/* ---- a step ---- */

/* The tops' neighbours run with them in heats, as many at a time as a round holds; who is about as good as the best of
 * its heats is added to `out`. */
static spt_status run_heats(climb *self, spt_finalists *out) {
    const spt_measure_policy *policy = &self->state->drive->policy;
    const int n_heats = policy->heats;
    for (int at = 0; at < self->count && !spt_finalists_are_late(self->state);) {
        spt_finalists heat = self->stays;
        for (int i = 0; i < self->tops.count; i++)
            spt_finalists_add(&heat, &self->tops.items[i], false);
        while (at < self->count && heat.count < SPT_ROUND_MAX)
            spt_finalists_add(&heat, &self->items[at++].variant, false);
        SPT_TRY(spt_finalists_run(self->state, &heat, n_heats));
        if (spt_drive_stopped(self->state))
            return SPT_ENOTFOUND;
        SPT_TRY(spt_finalists_cut(&heat, self->state, n_heats, policy->finalists, CHALLENGE_OVER));
        for (int i = 0; i < heat.count; i++)
            spt_finalists_add(out, &heat.items[i], false);
    }
    return SPT_OK;
}

/* One step: true where somebody new leads a hill. `set` has the default, no other yardstick. */
static spt_status step(climb *self, spt_finalists *set, int *n_rounds, bool *is_higher) {
    spt_drive_state *state = self->state;
    const spt_measure_policy *policy = &state->drive->policy;
    spt_finalists better = {.count = 0}, next = *set;
    *is_higher = false;
    self->count = 0;
    SPT_TRY(find_tops(&self->tops, state, set, *n_rounds));
    for (int i = 0; i < set->count; i++)
        SPT_TRY(see(self, &set->items[i]));
    SPT_TRY(challenge_by_trials(self));
    for (int i = 0; i < self->tops.count; i++)
        SPT_TRY(challenge(self, &self->tops.items[i]));
    for (int i = 0; i < self->count; i++)
        SPT_TRY(see(self, &self->items[i].variant));
    SPT_TRY(run_heats(self, &better));
    SPT_TRY(spt_finalists_cut(&next, state, *n_rounds, N_KEPT, INFINITY));
    for (int i = 0; i < self->tops.count; i++)
        spt_finalists_add(&next, &self->tops.items[i], false);
    const int n_old = next.count;
    for (int i = 0; i < better.count; i++)
        spt_finalists_add(&next, &better.items[i], false);
    if (next.count == n_old || spt_finalists_are_late(state))
        return SPT_OK;
    SPT_TRY(spt_finalists_run(state, &next, policy->final_rounds));
    if (spt_drive_stopped(state))
        return SPT_ENOTFOUND;
    spt_finalists tops;
    *n_rounds = policy->final_rounds;
    SPT_TRY(find_tops(&tops, state, &next, *n_rounds));
    for (int i = 0; i < tops.count; i++)
        *is_higher |= !spt_finalists_have(set, &tops.items[i]);
    *set = next;
    return SPT_OK;
}

static spt_status climb_on(climb *self, spt_finalists *set) {
    const spt_measure_policy *policy = &self->state->drive->policy;
    int n_rounds = policy->final_rounds;
    bool is_higher = true;
    self->best_cost = INFINITY;
    for (int64_t i = 0; i < self->state->known.count; i++) {
        const spt_trial *trial = &self->state->known.items[i];
        if (trial->phase == SPT_PHASE_SEARCH && spt_trial_is_timed(trial->measurement.status))
            self->best_cost = fmin(self->best_cost, spt_drive_trial_cost(self->state, i));
    }
    self->capacity = N_BATCHES * (SPT_ROUND_MAX - N_TOPS - 1);
    SPT_TRY(SPT_NEW(self->items, self->capacity));
    for (int i = 0; i < policy->climbs && is_higher && !spt_finalists_are_late(self->state); i++)
        SPT_TRY(step(self, set, &n_rounds, &is_higher));
    return spt_finalists_cut(set, self->state, n_rounds, policy->finalists, INFINITY);
}

spt_status spt_finalists_climb(spt_finalists *set, spt_drive_state *state) {
    climb self = {.state = state};
    spt_finalists climbers = {.count = 0};
    if (state->drive->extras != NULL || state->drive->policy.climbs == 0)
        return SPT_OK;
    for (int i = 0; i < set->count; i++) {
        const bool is_default = spt_drive_compare_variants(&set->items[i], &state->fallback) == 0;
        if (is_default)
            spt_finalists_add(&self.stays, &set->items[i], true);
        if (is_default || !set->items[i].is_dense)
            spt_finalists_add(&climbers, &set->items[i], is_default);
    }
    const spt_status status = climb_on(&self, &climbers);
    for (int i = 0; i < set->count && status == SPT_OK; i++)
        if (set->stays[i])
            spt_finalists_add(&climbers, &set->items[i], true);
    if (status == SPT_OK)
        *set = climbers;
    spt_free(self.items);
    spt_free(self.seen);
    return status;
}

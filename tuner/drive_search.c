/* SPDX-License-Identifier: Apache-2.0 */
/* The drive loop's search half: candidate families, first points, what is known already, and the loop of asking,
 * measuring and telling. */
#include <math.h>
#include <string.h>

#include "tuner/drive_state.h"

#define DENSE_POINTS_MAX 16

/* ---- candidates ---- */

/* A family outside the caller's list is asked for its yardsticks alone. */
static spt_status no_ask(void *state, spt_point *out) {
    (void)state, (void)out;
    return SPT_ENOTFOUND;
}
static spt_status no_init(void **state, const spt_space *space, uint64_t seed) {
    (void)space, (void)seed;
    *state = NULL;
    return SPT_OK;
}
static void no_tell(void *state, const spt_point *point, double cost, spt_trial_status status) {
    (void)state, (void)point, (void)cost, (void)status;
}
static double no_gain(void *state, double rival) {
    (void)state, (void)rival;
    return 0.0;
}
static const spt_strategy seeds_alone = {
    .name = "seeds", .init = no_init, .ask = no_ask, .gain = no_gain, .tell = no_tell};

/* Each family searches with its own stream of random numbers, so that adding a family does not change the others. */
static uint64_t seed_of(const spt_family *family, uint64_t seed) {
    spt_hash128 hash = spt_hash(family->name, strlen(family->name));
    uint64_t bits = 0;
    memcpy(&bits, hash.bytes, sizeof bits);
    return bits ^ seed;
}

static spt_status add_arm(spt_drive_state *state, const spt_family *family, spt_allocator *allocator) {
    const spt_drive *drive = state->drive;
    spt_drive_arm *arm = &state->arms[state->n_arms];
    bool named = spt_drive_names_family(drive->families, family->name);
    int index = 0;
    arm->family = family;
    spt_family_space_init(&arm->space, family, state->subject.workload, state->subject.device);
    if (drive->without_bounds)
        arm->space.space.expect = NULL;
    SPT_TRY(spt_search_new(&arm->search, named ? drive->strategy : &seeds_alone, &arm->space.space,
                           seed_of(family, drive->seed)));
    state->n_arms++;
    spt_point point;
    family->default_point(state->subject.workload, state->subject.device, &point);
    SPT_TRY(spt_search_seed(arm->search, &point));
    return spt_allocator_add(allocator, arm->search, &index);
}

/* Arms in the order of their first turns: the untuned answer's family, the dense ones, the others that are named. */
static spt_status add_arms(spt_drive_state *state, spt_allocator *allocator) {
    enum { FALLBACK, DENSE, NAMED, N_PASSES };
    for (int pass = FALLBACK; pass < N_PASSES; pass++)
        for (int i = 0; i < spt_family_count(); i++) {
            const spt_family *family = spt_family_at(i);
            bool is_fallback = strcmp(family->name, state->fallback.family) == 0;
            bool named = spt_drive_names_family(state->drive->families, family->name);
            int own_pass = is_fallback ? FALLBACK : family->is_dense ? DENSE : named ? NAMED : N_PASSES;
            if (own_pass == pass && spt_family_check(family, state->subject.workload, state->subject.device) == SPT_OK)
                SPT_TRY(add_arm(state, family, allocator));
        }
    return SPT_OK;
}

/* ---- first points: the untuned answer, winners of near problems, every dense point ---- */

static int arm_of(const spt_drive_state *state, const char *family) {
    int index = state->n_arms - 1;
    while (index >= 0 && strcmp(state->arms[index].family->name, family) != 0)
        index--;
    return index;
}

static spt_status queue_seeds(const spt_drive_state *state, spt_allocator *allocator) {
    spt_seed seeds[SPT_SEEDS_MAX];
    if (state->drive->seeds == NULL)
        return SPT_OK;
    const int n_seeds = spt_seeds_find(seeds, state->drive->seeds, &state->subject);
    for (int i = 0; i < n_seeds; i++) {
        const int index = arm_of(state, seeds[i].winner->family);
        const spt_family *family = index >= 0 ? state->arms[index].family : NULL;
        spt_point point;
        if (family != NULL && spt_drive_names_family(state->drive->families, family->name) &&
            spt_point_parse(&point, family->axes, family->n_axes, seeds[i].winner->point) == SPT_OK)
            SPT_TRY(spt_allocator_queue(allocator, index, &point));
    }
    return SPT_OK;
}

static spt_status queue_dense(const spt_drive_state *state, spt_allocator *allocator) {
    for (int i = 0; i < state->n_arms; i++) {
        const spt_drive_arm *arm = &state->arms[i];
        int n_points = 0;
        spt_point point;
        for (int64_t at = 0;
             arm->family->is_dense && n_points < DENSE_POINTS_MAX && spt_space_next(&arm->space.space, &at, &point);
             at++, n_points++)
            SPT_TRY(spt_allocator_queue(allocator, i, &point));
    }
    return SPT_OK;
}

static spt_status queue_extras(const spt_drive_state *state, spt_allocator *allocator) {
    for (int i = 0; i < state->drive->n_extras; i++) {
        const spt_variant_id *extra = &state->drive->extras[i];
        const int index = arm_of(state, extra->family);
        const spt_family *family = index >= 0 ? state->arms[index].family : NULL;
        spt_point point;
        if (family != NULL && spt_point_parse(&point, family->axes, family->n_axes, extra->point) == SPT_OK)
            SPT_TRY(spt_allocator_queue(allocator, index, &point));
    }
    return SPT_OK;
}

static spt_status queue_first(const spt_drive_state *state, spt_allocator *allocator) {
    if (state->drive->extras != NULL)
        return queue_extras(state, allocator);
    SPT_TRY(spt_allocator_queue(allocator, arm_of(state, state->fallback.family), &state->fallback_point));
    SPT_TRY(queue_seeds(state, allocator));
    return queue_dense(state, allocator);
}

/* ---- the loop ---- */

/* Measure and commit. SPT_ENOTFOUND when the run was stopped meanwhile: what a dying worker says is not a result. */
static spt_status measure_new(spt_drive_state *state, const spt_variant_id *variant, spt_measurement *out) {
    spt_drive_meter *meter = &state->drive->meter;
    SPT_TRY(spt_drive_load(state));
    if (!variant->is_default)
        SPT_TRY(spt_drive_keep_pace(state));
    SPT_TRY(meter->measure(meter->self, variant->family, variant->point, state->best_cost * state->pace, out));
    if (spt_drive_stopped(state) && !spt_trial_is_timed(out->status))
        return SPT_ENOTFOUND;
    if (!variant->is_default)
        SPT_TRY(spt_drive_doubt_pace(state, out));
    const spt_trial trial = {.variant = *variant,
                             .phase = SPT_PHASE_SEARCH,
                             .round = variant->is_default ? 0 : state->reference_round,
                             .measurement = *out};
    SPT_TRY(spt_drive_record(state, &trial, 1));
    state->result->measured++;
    return SPT_OK;
}

static void count_result(spt_drive_state *state, const spt_variant_id *variant, const spt_measurement *measurement,
                         double cost) {
    spt_drive_result *result = state->result;
    result->evaluations++;
    switch (measurement->status) {
    case SPT_TRIAL_CORRECT:
        if (cost < state->best_cost) {
            state->best_cost = cost;
            state->best = *variant;
        }
        break;
    case SPT_TRIAL_DROPPED:
        result->dropped++;
        break;
    case SPT_TRIAL_CONSTRAINTS:
        return;
    default:
        result->failed++;
        return;
    }
    if (variant->is_dense)
        state->dense_cost = fmin(state->dense_cost, cost);
}

/* Is this a point that an arm outside the caller's list is asked for? */
static bool is_yardstick(const spt_drive_state *state, int index, const spt_point *point) {
    const spt_family *family = state->arms[index].family;
    spt_point untuned;
    family->default_point(state->subject.workload, state->subject.device, &untuned);
    return family->is_dense || spt_point_equal(point, &untuned) || spt_point_equal(point, &state->fallback_point);
}

/* Take over what earlier runs have told: it counts as evaluated and teaches the searches. Of a variant the latest
 * trial counts. */
static spt_status adopt_known(spt_drive_state *state, spt_allocator *allocator) {
    for (int64_t i = state->known.count - 1; i >= 0; i--) {
        const spt_trial *trial = &state->known.items[i];
        const int index = arm_of(state, trial->variant.family);
        spt_variant_id variant;
        spt_point point;
        bool is_new;
        if (trial->phase != SPT_PHASE_SEARCH || index < 0)
            continue;
        const spt_family *family = state->arms[index].family;
        if (trial->variant.revision != family->revision ||
            spt_point_parse(&point, family->axes, family->n_axes, trial->variant.point) != SPT_OK)
            continue;
        spt_drive_identify(&variant, state, family, trial->variant.point);
        if (state->drive->only_this_build && strcmp(trial->variant.library, variant.library) != 0)
            continue;
        if (!spt_drive_names_family(state->drive->families, family->name) && !is_yardstick(state, index, &point))
            continue;
        const double cost = spt_drive_trial_cost(state, i);
        SPT_TRY(spt_allocator_adopt(allocator, index, &point, cost, trial->measurement.status, &is_new));
        if (is_new)
            count_result(state, &variant, &trial->measurement, cost);
    }
    return SPT_OK;
}

static spt_status ask_and_tell(spt_drive_state *state, spt_allocator *allocator, double until_s) {
    int index = 0;
    spt_point point;
    char text[SPT_POINT_TEXT_MAX];
    spt_variant_id variant;
    spt_measurement measurement;
    if (!spt_allocator_is_queued(allocator) && (state->drive->extras != NULL || state->drive->now_s() >= until_s))
        return SPT_ENOTFOUND; /* first points are measured whatever the time */
    SPT_TRY(spt_allocator_ask(allocator, &index, &point));
    const spt_family *family = state->arms[index].family;
    SPT_TRY(spt_point_text(text, family->axes, family->n_axes, &point));
    spt_drive_identify(&variant, state, family, text);
    SPT_TRY(measure_new(state, &variant, &measurement));
    const double cost = spt_drive_trial_cost(state, state->known.count - 1);
    count_result(state, &variant, &measurement, cost);
    spt_allocator_tell(allocator, index, &point, cost, measurement.status);
    return SPT_OK;
}

spt_status spt_drive_search(spt_drive_state *state, double until_s) {
    spt_allocator *allocator = NULL;
    spt_status status = SPT_OK;
    SPT_TRY_TO(done, spt_allocator_new(&allocator, state->drive->extras == NULL ? state->drive->budget : INT64_MAX));
    SPT_TRY_TO(done, add_arms(state, allocator));
    SPT_TRY_TO(done, adopt_known(state, allocator));
    SPT_TRY_TO(done, queue_first(state, allocator));
    while (status == SPT_OK && !spt_drive_stopped(state)) {
        status = ask_and_tell(state, allocator, until_s);
        if (status == SPT_OK)
            spt_drive_report(state, 0, 0);
    }
    if (status == SPT_OK || status == SPT_ENOTFOUND) /* asking for it may replace a failure's sentence */
        state->result->gain = spt_allocator_gain(allocator);
done:
    spt_allocator_free(allocator);
    return status == SPT_ENOTFOUND ? SPT_OK : status;
}

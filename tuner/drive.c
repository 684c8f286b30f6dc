/* SPDX-License-Identifier: Apache-2.0 */
/* The drive loop's search half; see drive.h. */
#include "tuner/drive.h"

#include <math.h>
#include <string.h>
#include <time.h>

#include "core/memory.h"
#include "core/text.h"
#include "tuner/drive_state.h"

#define DENSE_SEEDS_MAX 16

/* ---- the real meter ---- */

static spt_status real_load(void *self, const spt_workload *workload, const spt_csr *a, uint64_t seed) {
    return spt_meter_load(self, workload, a, seed);
}

static spt_status real_measure(void *self, const char *family, const char *point, double best_ns,
                               spt_measurement *out) {
    return spt_meter_measure(self, family, point, best_ns, out);
}

static spt_status real_round(void *self, const spt_variant_id *variants, int n_variants, spt_measurement *out) {
    return spt_meter_round(self, variants, n_variants, out);
}

spt_drive_meter spt_drive_meter_real(spt_meter *meter) {
    return (spt_drive_meter){.self = meter, .load = real_load, .measure = real_measure, .round = real_round};
}

/* ---- shared with the finals ---- */

bool spt_drive_names_family(const char *families, const char *family) {
    if (families == NULL)
        return true;
    size_t length = strlen(family);
    for (const char *at = families; *at != '\0';) {
        size_t item = strcspn(at, ",");
        if (item == length && memcmp(at, family, length) == 0)
            return true;
        at += item + (at[item] == ',');
    }
    return false;
}

double spt_drive_cost(const spt_drive_state *state, const spt_measurement *measurement) {
    int64_t uses = state->drive->policy.uses;
    return measurement->time_ns_median + (uses > 0 ? measurement->pack_ns / (double)uses : 0.0);
}

void spt_drive_identify(spt_variant_id *out, const spt_drive_state *state, const spt_family *family,
                        const char *point_text) {
    *out = (spt_variant_id){.revision = family->revision, .is_dense = family->is_dense};
    spt_copy_text(out->family, sizeof out->family, family->name);
    spt_copy_text(out->point, sizeof out->point, point_text);
    spt_point point;
    if (family->library_version != NULL && spt_point_parse(&point, family->axes, family->n_axes, point_text) == SPT_OK)
        spt_copy_text(out->library, sizeof out->library, family->library_version(&point));
    out->is_default =
        strcmp(out->family, state->fallback.family) == 0 && strcmp(out->point, state->fallback.point) == 0;
}

bool spt_drive_stopped(const spt_drive_state *state) {
    return state->drive->stop != NULL && *state->drive->stop != 0;
}

spt_status spt_drive_load(spt_drive_state *state) {
    if (state->loaded)
        return SPT_OK;
    spt_drive_meter *meter = &state->drive->meter;
    SPT_TRY(meter->load(meter->self, state->subject.workload, state->a, state->drive->seed));
    state->loaded = true;
    return SPT_OK;
}

static spt_status ensure_session(spt_drive *drive) {
    if (drive->session_added)
        return SPT_OK;
    spt_uuid_new(drive->session.uuid);
    spt_db_host_id(drive->session.host);
    if (drive->session.started_unix_s == 0)
        drive->session.started_unix_s = (int64_t)time(NULL);
    SPT_TRY(spt_db_session_add(drive->db, &drive->session));
    drive->session_added = true;
    return SPT_OK;
}

spt_status spt_drive_record(spt_drive_state *state, const spt_trial *trials, int n_trials) {
    SPT_TRY(ensure_session(state->drive));
    SPT_TRY(spt_db_trials_add(state->drive->db, &state->drive->session, &state->subject, trials, n_trials));
    int64_t needed = state->known.count + n_trials;
    if (needed > state->known_capacity) {
        int64_t larger = 2 * needed;
        spt_trial *moved = spt_realloc(state->known.items, (size_t)state->known.count, (size_t)larger, sizeof *moved);
        if (moved == NULL)
            return SPT_ENOMEM;
        state->known.items = moved;
        state->known_capacity = larger;
    }
    memcpy(state->known.items + state->known.count, trials, (size_t)n_trials * sizeof *trials);
    state->known.count = needed;
    return SPT_OK;
}

void spt_drive_report(const spt_drive_state *state, int round, int n_rounds) {
    const spt_drive *drive = state->drive;
    if (drive->progress == NULL)
        return;
    drive->progress(drive->progress_user, &(spt_drive_progress){
                                              .done = state->result->evaluations,
                                              .budget = drive->budget,
                                              .failed = state->result->failed,
                                              .best_ns = isfinite(state->best_cost) ? state->best_cost : 0.0,
                                              .dense_ns = isfinite(state->dense_cost) ? state->dense_cost : 0.0,
                                              .best_family = state->best.family,
                                              .best_point = state->best.point,
                                              .round = round,
                                              .n_rounds = n_rounds,
                                          });
}

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
static const spt_strategy seeds_alone = {.name = "seeds", .init = no_init, .ask = no_ask, .tell = no_tell};

/* Each family searches with its own stream of random numbers, so that adding a family does not change the others. */
static uint64_t seed_of(const spt_family *family, uint64_t seed) {
    spt_hash128 hash = spt_hash(family->name, strlen(family->name));
    uint64_t bits = 0;
    memcpy(&bits, hash.bytes, sizeof bits);
    return bits ^ seed;
}

/* Seeds, first things first: the untuned answer, every dense point, the family's own default. */
static spt_status seed_arm(const spt_drive_state *state, spt_drive_arm *arm) {
    const spt_family *family = arm->family;
    if (strcmp(family->name, state->fallback.family) == 0)
        SPT_TRY(spt_search_seed(arm->search, &state->fallback_point));
    spt_point point;
    int n_seeds = 0;
    if (family->is_dense)
        for (int64_t at = 0; n_seeds < DENSE_SEEDS_MAX && spt_space_next(&arm->space.space, &at, &point);
             at++, n_seeds++)
            SPT_TRY(spt_search_seed(arm->search, &point));
    family->default_point(state->subject.workload, state->subject.device, &point);
    return spt_search_seed(arm->search, &point);
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
    SPT_TRY(seed_arm(state, arm));
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

/* ---- the loop ---- */

static const spt_measurement *find_known(const spt_drive_state *state, const spt_variant_id *variant) {
    for (int64_t i = state->known.count - 1; i >= 0; i--) {
        const spt_trial *trial = &state->known.items[i];
        if (trial->phase == SPT_PHASE_SEARCH && trial->variant.revision == variant->revision &&
            strcmp(trial->variant.point, variant->point) == 0 && strcmp(trial->variant.family, variant->family) == 0 &&
            (!state->drive->only_this_build || strcmp(trial->variant.library, variant->library) == 0))
            return &trial->measurement;
    }
    return NULL;
}

/* Measure and commit. SPT_ENOTFOUND when the run was stopped meanwhile: what a dying worker says is not a result. */
static spt_status measure_new(spt_drive_state *state, const spt_variant_id *variant, spt_measurement *out) {
    spt_drive_meter *meter = &state->drive->meter;
    SPT_TRY(spt_drive_load(state));
    SPT_TRY(meter->measure(meter->self, variant->family, variant->point, state->best_cost, out));
    if (spt_drive_stopped(state) && out->status != SPT_TRIAL_CORRECT && out->status != SPT_TRIAL_DROPPED)
        return SPT_ENOTFOUND;
    spt_trial trial = {.variant = *variant, .phase = SPT_PHASE_SEARCH, .measurement = *out};
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

/* Turns that time may not take away: one for each arm that is a yardstick. */
static int64_t turns_due(const spt_drive_state *state) {
    int64_t due = 1;
    for (int i = 1; i < state->n_arms; i++)
        due += state->arms[i].family->is_dense;
    return due;
}

static spt_status search(spt_drive_state *state, double until_s) {
    spt_allocator *allocator = NULL;
    spt_status status = SPT_OK;
    SPT_TRY_TO(done, spt_allocator_new(&allocator, state->drive->budget));
    SPT_TRY_TO(done, add_arms(state, allocator));
    while (!spt_drive_stopped(state)) {
        int index = 0;
        spt_point point;
        char text[SPT_POINT_TEXT_MAX];
        spt_variant_id variant;
        SPT_TRY_TO(done, spt_allocator_ask(allocator, &index, &point));
        const spt_family *family = state->arms[index].family;
        SPT_TRY_TO(done, spt_point_text(text, family->axes, family->n_axes, &point));
        spt_drive_identify(&variant, state, family, text);

        spt_measurement measurement;
        const spt_measurement *known = find_known(state, &variant);
        if (known != NULL)
            measurement = *known;
        else if (state->result->evaluations >= turns_due(state) && state->drive->now_s() >= until_s)
            break;
        else
            SPT_TRY_TO(done, measure_new(state, &variant, &measurement));
        double cost = spt_drive_cost(state, &measurement);
        count_result(state, &variant, &measurement, cost);
        spt_allocator_tell(allocator, index, &point, cost, measurement.status);
        spt_drive_report(state, 0, 0);
    }
done:
    spt_allocator_free(allocator);
    return status == SPT_ENOTFOUND ? SPT_OK : status;
}

/* ---- the answer ---- */

static void describe_winner(spt_drive_state *state, const spt_winner_list *winners) {
    spt_drive_result *result = state->result;
    result->has_winner = winners->count > 0;
    if (!result->has_winner)
        return;
    result->winner = winners->items[0];
    for (int64_t i = state->known.count - 1; i >= 0; i--) {
        const spt_trial *trial = &state->known.items[i];
        if (strcmp(trial->variant.family, result->winner.family) == 0 &&
            strcmp(trial->variant.point, result->winner.point) == 0) {
            result->packed_bytes = trial->measurement.packed_bytes;
            result->pack_ns = trial->measurement.pack_ns;
            break;
        }
    }
    for (int64_t i = 0; i < winners->count; i++)
        if (!winners->items[i].is_dense) {
            result->sparse_over_dense = winners->items[i].speedup_over_dense;
            break;
        }
}

/* Rebuilt even when nothing was measured: an earlier run may have been killed between its last round and here. */
static spt_status find_winner(spt_drive_state *state) {
    spt_winner_list winners = {0};
    spt_status status = SPT_OK;
    SPT_TRY_TO(done, spt_db_winners_rebuild(state->drive->db, state->subject.key));
    SPT_TRY_TO(done, spt_db_winners_find(&winners, state->drive->db, state->subject.key));
    describe_winner(state, &winners);
done:
    spt_winner_list_fini(&winners);
    return status;
}

static spt_status describe_problem(spt_drive_state *state, const spt_problem *problem) {
    spt_drive_result *result = state->result;
    const spt_device *device = state->drive->device;
    const spt_family *family = NULL;
    char text[SPT_POINT_TEXT_MAX];
    SPT_TRY(spt_workload_init(&result->workload, problem, state->a));
    SPT_TRY(spt_key_init(&result->key, &result->workload, device));
    state->subject = (spt_subject){.key = &result->key, .workload = &result->workload, .device = device};
    SPT_TRY(spt_default_variant(&family, &state->fallback_point, &result->workload, device));
    SPT_TRY(spt_point_text(text, family->axes, family->n_axes, &state->fallback_point));
    spt_copy_text(state->fallback.family, sizeof state->fallback.family, family->name);
    spt_copy_text(state->fallback.point, sizeof state->fallback.point, text);
    spt_drive_identify(&state->fallback, state, family, text);
    SPT_TRY(spt_db_trials_read_built(&state->known, state->drive->db, &result->key, state->drive->session.policy,
                                     state->drive->only_this_build ? state->drive->session.compiler : NULL));
    state->known_capacity = state->known.count;
    return SPT_NEW_ZEROED(state->arms, spt_family_count());
}

spt_status spt_drive_problem(spt_drive_result *out, spt_drive *drive, const spt_csr *a, const spt_problem *problem,
                             double search_until_s) {
    spt_status status = SPT_OK;
    double start_s = drive->now_s();
    spt_drive_state state = {.drive = drive, .result = out, .a = a, .best_cost = INFINITY, .dense_cost = INFINITY};
    *out = (spt_drive_result){0};
    SPT_TRY_TO(done, describe_problem(&state, problem));
    SPT_TRY_TO(done, search(&state, search_until_s));
    if (!spt_drive_stopped(&state))
        SPT_TRY_TO(done, spt_drive_finals(&state));
    SPT_TRY_TO(done, find_winner(&state));
    out->interrupted = spt_drive_stopped(&state);
done:
    for (int i = 0; i < state.n_arms; i++)
        spt_search_free(state.arms[i].search);
    spt_free(state.arms);
    spt_trial_list_fini(&state.known);
    out->seconds = drive->now_s() - start_s;
    return status;
}

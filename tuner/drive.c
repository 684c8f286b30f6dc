/* SPDX-License-Identifier: Apache-2.0 */
/* The drive loop: what its halves share, and the answer; see drive.h. */
#include "tuner/drive.h"

#include <math.h>
#include <string.h>

#include "core/memory.h"
#include "core/text.h"
#include "db/derive.h"
#include "tuner/drive_state.h"

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

static spt_status real_reference(void *self, const spt_variant_id *variant, spt_measurement *out) {
    return spt_meter_round(self, variant, 1, out);
}

static bool real_has_others(void *self) {
    return spt_meter_has_others(self);
}

spt_drive_meter spt_drive_meter_real(spt_meter *meter) {
    return (spt_drive_meter){.self = meter,
                             .load = real_load,
                             .measure = real_measure,
                             .reference = real_reference,
                             .round = real_round,
                             .has_others = real_has_others};
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
        SPT_TRY(spt_db_session_start(&drive->session.started_unix_s, drive->db));
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
    state->result->recorded += n_trials;
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

/* ---- the answer ---- */

/* What the winner's latest trial tells of its packing. */
static void describe_packing(spt_drive_result *result, const spt_trial_list *trials) {
    for (int64_t i = trials->count - 1; i >= 0; i--) {
        const spt_trial *trial = &trials->items[i];
        if (strcmp(trial->variant.family, result->winner.family) == 0 &&
            strcmp(trial->variant.point, result->winner.point) == 0 &&
            trial->variant.revision == result->winner.revision) {
            result->packed_bytes = trial->measurement.packed_bytes;
            result->pack_ns = trial->measurement.pack_ns;
            result->compile_ns = trial->measurement.compile_ns;
            return;
        }
    }
}

/* Trials of any policy make winners. */
static spt_status describe_winner(spt_drive_result *result, spt_db *db, const spt_winner_list *winners) {
    spt_trial_list trials;
    result->has_winner = winners->count > 0;
    if (!result->has_winner)
        return SPT_OK;
    result->winner = winners->items[0];
    result->sparse_over_dense = 0.0;
    for (int64_t i = winners->count - 1; i >= 0; i--)
        if (!winners->items[i].is_dense)
            result->sparse_over_dense = winners->items[i].speedup_over_dense;
    SPT_TRY(spt_db_trials_read(&trials, db, &result->key, NULL));
    describe_packing(result, &trials);
    spt_trial_list_fini(&trials);
    return SPT_OK;
}

/* Rebuilt even when nothing was measured: an earlier run may have been killed between its last round and here. */
spt_status spt_drive_find_winner(spt_drive_result *result, spt_db *db) {
    spt_winner_list winners = {0};
    spt_status status = SPT_OK;
    SPT_TRY_TO(done, spt_db_winners_rebuild(db, &result->key));
    SPT_TRY_TO(done, spt_db_winners_find(&winners, db, &result->key));
    SPT_TRY_TO(done, describe_winner(result, db, &winners));
done:
    spt_winner_list_fini(&winners);
    return status;
}

/* How many uses a packing must pay for is what the newest session says, so that any file derives the same winners from
 * the same trials. Where all was known that is an older run, which may have asked for something else: then one more
 * time of the untuned answer makes this session the newest. */
static spt_status declare_uses(spt_drive_state *state) {
    spt_drive *drive = state->drive;
    char newest[SPT_POLICY_MAX];
    spt_trial trial = {.variant = state->fallback, .phase = SPT_PHASE_SEARCH};
    const spt_status found = spt_db_policy_newest(newest, drive->db, &state->result->key);
    if (found == SPT_ENOTFOUND ||
        (found == SPT_OK && spt_policy_uses(newest) == spt_policy_uses(drive->session.policy)))
        return SPT_OK;
    SPT_TRY(found);
    SPT_TRY(spt_drive_load(state));
    const spt_status status = drive->meter.round(drive->meter.self, &trial.variant, 1, &trial.measurement);
    if (spt_drive_stopped(state))
        return SPT_OK;
    SPT_TRY(status);
    trial.round = spt_drive_next_round(state);
    return spt_drive_record(state, &trial, 1);
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
    spt_drive_state state = {.drive = drive,
                             .result = out,
                             .a = a,
                             .best_cost = INFINITY,
                             .dense_cost = INFINITY,
                             .pace = 1.0,
                             .confirmed_pace = 1.0};
    *out = (spt_drive_result){0};
    SPT_TRY_TO(done, describe_problem(&state, problem));
    SPT_TRY_TO(done, spt_drive_search(&state, search_until_s));
    if (!spt_drive_stopped(&state) && !drive->without_finals)
        SPT_TRY_TO(done, spt_drive_finals(&state));
    if (!spt_drive_stopped(&state))
        SPT_TRY_TO(done, declare_uses(&state));
    SPT_TRY_TO(done, spt_drive_find_winner(out, drive->db));
    if (drive->seeds != NULL && out->has_winner)
        SPT_TRY_TO(done, spt_seed_table_add(drive->seeds, &state.subject, &out->winner));
    out->interrupted = spt_drive_stopped(&state);
done:
    for (int i = 0; i < state.n_arms; i++)
        spt_search_free(state.arms[i].search);
    spt_free(state.arms);
    spt_trial_list_fini(&state.known);
    out->seconds = drive->now_s() - start_s;
    return status;
}

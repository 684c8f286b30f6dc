/* SPDX-License-Identifier: Apache-2.0 */
/* The machine's pace. A search takes minutes, and a machine that others use is not the same in all of them: what is
 * measured while memory is slow looks slow, and a good variant of a bad minute would be given up. So the untuned answer
 * is measured again every now and then. Each of these reference trials has a round number of its own, the search trials
 * after it bear that number, and their times are divided by how much slower than the first the reference was. */
#include <math.h>
#include <string.h>

#include "tuner/drive_state.h"

#define EVERY_S 0.3 /* between two references, ... */
#define SHARE 5.0   /* ... and this many times what the last one took */
/* A reference within this factor of the first is as fast. One variant says little about the others: of 2940 trials
 * beside a noisy process those whose reference was 1.1 to 1.3 times as slow were slower by 0 to 2 %, and times that
 * were divided by it were twice as far from the true ones. */
#define STEADY 1.3
#define AGREES 0.5     /* part of a reference's log pace that the best variant must show */
#define CALM 1.15      /* a machine is calm when the untuned answer takes at most this times its fastest */
#define PATIENCE_S 2.5 /* to wait for that before one round */

static bool is_reference(const spt_drive_state *state, const spt_trial *trial) {
    return trial->phase == SPT_PHASE_SEARCH && trial->round > 0 && trial->measurement.status == SPT_TRIAL_CORRECT &&
           trial->variant.revision == state->fallback.revision &&
           strcmp(trial->variant.family, state->fallback.family) == 0 &&
           strcmp(trial->variant.point, state->fallback.point) == 0;
}

/* Nearly the least of its samples: a single disturbed one must not make what follows look fast. */
static double reference_ns(const spt_measurement *measurement) {
    return measurement->ci_ns_low > 0.0 ? measurement->ci_ns_low : measurement->time_ns_median;
}

/* The reference of known[index]: the nearest of its round, because sessions of other hosts have numbers of their own.
 */
static const spt_trial *reference_of(const spt_drive_state *state, int64_t index) {
    const spt_trial *items = state->known.items;
    const int round = items[index].round;
    if (items[index].phase != SPT_PHASE_SEARCH || round == 0)
        return NULL;
    for (int64_t apart = 0; apart < state->known.count; apart++)
        for (int side = -1; side <= 1; side += 2) {
            const int64_t at = index + side * apart;
            if (at >= 0 && at < state->known.count && items[at].round == round && is_reference(state, &items[at]))
                return &items[at];
        }
    return NULL;
}

static bool is_steady(double pace) {
    return pace < STEADY && pace > 1.0 / STEADY;
}

static double pace_of(const spt_drive_state *state, const spt_trial *reference) {
    int64_t first = 0;
    while (!is_reference(state, &state->known.items[first]))
        first++;
    const double pace = reference_ns(&reference->measurement) / reference_ns(&state->known.items[first].measurement);
    return is_steady(pace) ? 1.0 : pace;
}

double spt_drive_trial_cost(const spt_drive_state *state, int64_t index) {
    const spt_trial *reference = reference_of(state, index);
    spt_measurement paced = state->known.items[index].measurement;
    if (reference != NULL)
        paced.time_ns_median /= pace_of(state, reference);
    return spt_drive_cost(state, &paced);
}

int spt_drive_next_round(const spt_drive_state *state) {
    int next = 1;
    for (int64_t i = 0; i < state->known.count; i++)
        if (state->known.items[i].round >= next && state->known.items[i].round < SPT_DRIVE_ROUND_MAX)
            next = state->known.items[i].round + 1;
    return next;
}

/* The untuned answer's fastest time so far, of references and final rounds; INFINITY before any. */
static double calm_ns(const spt_drive_state *state) {
    double least = INFINITY;
    for (int64_t i = 0; i < state->known.count; i++) {
        const spt_trial *trial = &state->known.items[i];
        if (is_reference(state, trial) || (trial->phase == SPT_PHASE_FINAL && trial->variant.is_default &&
                                           trial->measurement.status == SPT_TRIAL_CORRECT))
            least = fmin(least, trial->measurement.time_ns_median);
    }
    return least;
}

static bool are_others_busy(const spt_drive_state *state) {
    const spt_drive_meter *meter = &state->drive->meter;
    return meter->has_others != NULL && meter->has_others(meter->self);
}

bool spt_drive_has_others(spt_drive_state *state) {
    const bool has_others = are_others_busy(state);
    state->others_stay &= has_others;
    return has_others && !state->others_stay;
}

spt_status spt_drive_wait_for_calm(spt_drive_state *state) {
    spt_drive *drive = state->drive;
    const double start_s = drive->now_s(), calm = calm_ns(state), patience_s = fmin(PATIENCE_S, drive->patience_s);
    double now_s = start_s;
    spt_measurement measurement = {0};
    bool has_others = spt_drive_has_others(state);
    if (drive->meter.reference == NULL || (!isfinite(calm) && !has_others))
        return SPT_OK;
    while (now_s - start_s < patience_s && !spt_drive_stopped(state)) {
        SPT_TRY(spt_drive_load(state));
        SPT_TRY(drive->meter.reference(drive->meter.self, &state->fallback, &measurement));
        now_s = drive->now_s();
        has_others = spt_drive_has_others(state);
        if (measurement.status != SPT_TRIAL_CORRECT || (!has_others && measurement.time_ns_median <= CALM * calm))
            break;
    }
    state->others_stay |= has_others && now_s > start_s;
    drive->patience_s -= now_s - start_s;
    return SPT_OK;
}

/* The untuned answer's time now; while it is slow, wait: what slows it down may slow others down more, or not at all.
 * Where waiting was in vain the machine is no other, and the search goes on. */
static spt_status measure_when_calm(spt_drive_state *state, spt_measurement *out) {
    spt_drive_meter *meter = &state->drive->meter;
    const double calm = CALM * calm_ns(state);
    SPT_TRY(spt_drive_load(state));
    SPT_TRY(meter->reference(meter->self, &state->fallback, out));
    if (state->waits_in_vain || state->drive->patience_s <= 0.0 || out->status != SPT_TRIAL_CORRECT ||
        out->time_ns_median <= calm)
        return SPT_OK;
    SPT_TRY(spt_drive_wait_for_calm(state));
    SPT_TRY(meter->reference(meter->self, &state->fallback, out));
    state->waits_in_vain = out->time_ns_median > calm;
    return SPT_OK;
}

/* The search's best correct trial of another variant than the untuned answer; -1: none. */
static int64_t find_witness(const spt_drive_state *state) {
    int64_t best = -1;
    double best_cost = INFINITY;
    for (int64_t i = 0; i < state->known.count; i++) {
        const spt_trial *trial = &state->known.items[i];
        if (trial->phase != SPT_PHASE_SEARCH || trial->measurement.status != SPT_TRIAL_CORRECT ||
            (strcmp(trial->variant.family, state->fallback.family) == 0 &&
             strcmp(trial->variant.point, state->fallback.point) == 0))
            continue;
        const double cost = spt_drive_trial_cost(state, i);
        if (cost < best_cost) {
            best_cost = cost;
            best = i;
        }
    }
    return best;
}

static void forget_pace(spt_drive_state *state) {
    state->pace = 1.0;
    state->reference_round = 0;
}

/* A machine that is slower is slower for all. What slows the untuned answer down and hardly the best variant is no pace
 * of the machine, and what follows is taken as it is measured. Without a witness the reference is believed, and so it
 * is about as long as it says what was confirmed. */
static spt_status hear_witness(spt_drive_state *state) {
    spt_drive_meter *meter = &state->drive->meter;
    const int64_t index = find_witness(state);
    spt_measurement now = {0};
    if (are_others_busy(state)) { /* it is their work that slows things down, everything by a share of its own */
        forget_pace(state);
        return SPT_OK;
    }
    if (is_steady(state->pace / state->confirmed_pace) || index < 0)
        return SPT_OK;
    const spt_trial witness = state->known.items[index];
    const spt_trial *reference = reference_of(state, index);
    SPT_TRY(meter->reference(meter->self, &witness.variant, &now));
    if (now.status != SPT_TRIAL_CORRECT)
        return SPT_OK;
    const double pace =
        reference_ns(&now) / reference_ns(&witness.measurement) * (reference != NULL ? pace_of(state, reference) : 1.0);
    if (state->pace == 1.0 || log(pace) / log(state->pace) >= AGREES) {
        state->confirmed_pace = state->pace;
    } else {
        forget_pace(state);
    }
    return SPT_OK;
}

static spt_status measure_reference(spt_drive_state *state) {
    spt_measurement measurement = {0};
    const double start_s = state->drive->now_s(), patience_s = state->drive->patience_s;
    SPT_TRY(measure_when_calm(state, &measurement));
    if (spt_drive_stopped(state))
        return SPT_ENOTFOUND;
    if (measurement.status != SPT_TRIAL_CORRECT) {
        state->next_reference_s = INFINITY;
        state->reference_round = 0;
        state->pace = 1.0;
        return SPT_OK;
    }
    const spt_trial trial = {.variant = state->fallback,
                             .phase = SPT_PHASE_SEARCH,
                             .round = spt_drive_next_round(state),
                             .measurement = measurement};
    SPT_TRY(spt_drive_record(state, &trial, 1));
    state->reference_round = trial.round;
    state->pace = pace_of(state, &state->known.items[state->known.count - 1]);
    SPT_TRY(hear_witness(state));
    const double end_s = state->drive->now_s(), waited_s = patience_s - state->drive->patience_s;
    state->next_reference_s = end_s + fmax(EVERY_S, SHARE * (end_s - start_s - waited_s));
    return SPT_OK;
}

spt_status spt_drive_keep_pace(spt_drive_state *state) {
    const spt_drive *drive = state->drive;
    if (drive->meter.reference == NULL)
        return SPT_OK;
    if (drive->patience_s > 0.0 && spt_drive_has_others(state))
        SPT_TRY(spt_drive_wait_for_calm(state));
    if (state->pace != 1.0 && are_others_busy(state))
        forget_pace(state);
    return drive->now_s() >= state->next_reference_s ? measure_reference(state) : SPT_OK;
}

spt_status spt_drive_doubt_pace(spt_drive_state *state, const spt_measurement *measurement) {
    const double before = state->pace;
    const int round = state->reference_round;
    spt_measurement paced = *measurement;
    paced.time_ns_median /= before;
    if (before <= 1.0 || !spt_trial_is_timed(measurement->status) || spt_drive_cost(state, &paced) >= state->best_cost)
        return SPT_OK;
    SPT_TRY(measure_reference(state));
    if (state->pace > before) {
        state->pace = before;
        state->reference_round = round;
    }
    return SPT_OK;
}

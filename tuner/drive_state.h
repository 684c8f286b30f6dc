/* SPDX-License-Identifier: Apache-2.0 */
/* What the search half and the finals half of the drive loop share about the problem in hand. */
#ifndef SPT_TUNER_DRIVE_STATE_H
#define SPT_TUNER_DRIVE_STATE_H

#include "tuner/drive.h"

/* A family at work. */
typedef struct spt_drive_arm {
    const spt_family *family;
    spt_family_space space;
    spt_search *search;
} spt_drive_arm;

typedef struct spt_drive_state {
    spt_drive *drive;
    spt_drive_result *result;
    const spt_csr *a;
    spt_subject subject;
    spt_variant_id fallback; /* the untuned answer */
    spt_point fallback_point;
    spt_trial_list known; /* all trials of this key and policy, oldest first; new ones are appended */
    int64_t known_capacity;
    spt_drive_arm *arms;
    int n_arms;
    bool loaded; /* the meter holds this matrix */
    double best_cost, dense_cost;
    int reference_round;   /* what search trials are numbered with: the latest reference's round, 0 before the first */
    double pace;           /* how much slower than at the first reference everything is */
    double confirmed_pace; /* the latest one that another variant showed, too */
    double next_reference_s; /* on the drive's clock */
    bool waits_in_vain;      /* a search waited for a calm machine, and it was none */
    bool others_stay;        /* a wait for others to end was in vain, and they have not ended since */
    spt_variant_id best;
} spt_drive_state;

/* What a measurement costs per execution: its time, and its packing spread over policy.uses. */
double spt_drive_cost(const spt_drive_state *state, const spt_measurement *measurement);
/* The same of a known trial, at the pace that the machine had at the first reference. */
double spt_drive_trial_cost(const spt_drive_state *state, int64_t index);
#define SPT_DRIVE_ROUND_MAX 1000000 /* a database may say anything; counting goes on from below this */
/* A round number that no known trial has. */
int spt_drive_next_round(const spt_drive_state *state);
/* Measure the untuned answer again when it is time to. ENOTFOUND when the run was stopped meanwhile. */
spt_status spt_drive_keep_pace(spt_drive_state *state);
/* Before a trial is recorded: where only a slow machine makes it the best, let another reference confirm that, and
 * believe the faster one. */
spt_status spt_drive_doubt_pace(spt_drive_state *state, const spt_measurement *measurement);
/* Are other processes busy that it makes sense to wait for? */
bool spt_drive_has_others(spt_drive_state *state);
/* Before a final round: wait a little, of the drive's patience, while the machine is slower than it was in its best
 * minute or other processes
 * are busy. What some processes do to a machine favours some variants. */
spt_status spt_drive_wait_for_calm(spt_drive_state *state);
void spt_drive_identify(spt_variant_id *out, const spt_drive_state *state, const spt_family *family,
                        const char *point_text);
/* Load the matrix before the first measurement; a problem that is known already never gets here. */
spt_status spt_drive_load(spt_drive_state *state);
/* Commit trials in one transaction (adding the session before the first) and append them to `known`. */
spt_status spt_drive_record(spt_drive_state *state, const spt_trial *trials, int n_trials);
bool spt_drive_stopped(const spt_drive_state *state);
void spt_drive_report(const spt_drive_state *state, int round, int n_rounds);

/* Search until the budget or the time is spent. */
spt_status spt_drive_search(spt_drive_state *state, double until_s);
/* Run the final rounds that the database does not have yet. */
spt_status spt_drive_finals(spt_drive_state *state);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* What final rounds say while they are run: which rounds are there, and how variants did in them, by the rules that the
 * database will judge by (db/derive.h). */
#ifndef SPT_TUNER_DRIVE_SCORES_H
#define SPT_TUNER_DRIVE_SCORES_H

#include "tuner/drive_state.h"

typedef struct spt_finalists {
    spt_variant_id items[SPT_ROUND_MAX]; /* sorted by family and point */
    bool stays[SPT_ROUND_MAX];           /* whatever its score: a yardstick, or a winner of another build */
    int count;
} spt_finalists;

int spt_drive_compare_variants(const spt_variant_id *a, const spt_variant_id *b);
bool spt_finalists_have(const spt_finalists *set, const spt_variant_id *variant);
/* Add a variant in its place by name; nothing happens when there is no room or it is there. */
void spt_finalists_add(spt_finalists *set, const spt_variant_id *variant, bool stays);

/* Known rounds that hold the whole set, and the lowest number above all known rounds. */
int spt_finalists_count_rounds(const spt_drive_state *state, const spt_finalists *set, int *next_round);
/* Scores by the first n_rounds rounds that hold the whole set, INFINITY where they say nothing: what comes later does
 * not change what was decided then, so that a run that was stopped decides the same again. Errors: ENOMEM. */
spt_status spt_finalists_score(double scores[SPT_ROUND_MAX], const spt_finalists *set, const spt_drive_state *state,
                               int n_rounds);
/* Leave the `n_best` best of the set by those scores, of them what is at most `over` times the best, and those that
 * stay. Errors: ENOMEM. */
spt_status spt_finalists_cut(spt_finalists *set, const spt_drive_state *state, int n_rounds, int n_best, double over);
/* Could another one be faster than the leader by more than a tie? The intervals of their scores say so; or has the
 * leader or one that stays too few rounds yet to count? Errors: ENOMEM. */
spt_status spt_finalists_are_open(bool *out, const spt_finalists *set, const spt_drive_state *state);

/* Run rounds of the set until so many are known. ENOTFOUND when the run was stopped meanwhile. */
spt_status spt_finalists_run(spt_drive_state *state, const spt_finalists *set, int n_wanted);
/* Is the time for finals over? */
bool spt_finalists_are_late(const spt_drive_state *state);
/* Climb from the best of the set, by finals: their neighbours run beside them, and who is better takes a place in the
 * set. ENOTFOUND when the run was stopped meanwhile. */
spt_status spt_finalists_climb(spt_finalists *set, spt_drive_state *state);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* What final rounds say while they are run; see drive_scores.h. */
#include "tuner/drive_scores.h"

#include <limits.h>
#include <math.h>
#include <string.h>

#define ROUND_MAX 1000000 /* a database may say anything; counting goes on from below this */
#define TIE 1.02          /* who could be faster by no more than this is not looked for */
#define RIVAL 1.1         /* slower ones than this times the leader are no rivals, however wide their intervals */

int spt_drive_compare_variants(const spt_variant_id *a, const spt_variant_id *b) {
    int order = strcmp(a->family, b->family);
    return order != 0 ? order : strcmp(a->point, b->point);
}

bool spt_finalists_have(const spt_finalists *set, const spt_variant_id *variant) {
    for (int i = 0; i < set->count; i++)
        if (spt_drive_compare_variants(&set->items[i], variant) == 0)
            return true;
    return false;
}

void spt_finalists_add(spt_finalists *set, const spt_variant_id *variant, bool stays) {
    int at = set->count;
    if (set->count == SPT_ROUND_MAX || spt_finalists_have(set, variant))
        return;
    for (; at > 0 && spt_drive_compare_variants(variant, &set->items[at - 1]) < 0; at--) {
        set->items[at] = set->items[at - 1];
        set->stays[at] = set->stays[at - 1];
    }
    set->items[at] = *variant;
    set->stays[at] = stays;
    set->count++;
}

/* ---- rounds ---- */

static bool is_of(const spt_trial *trial, const spt_variant_id *variant) {
    return trial->phase == SPT_PHASE_FINAL && trial->variant.revision == variant->revision &&
           spt_drive_compare_variants(&trial->variant, variant) == 0;
}

/* How often this variant was measured in final rounds of this number (sessions of other hosts have numbers of their
 * own). */
static int count_in_round(const spt_drive_state *state, const spt_variant_id *variant, int round) {
    int count = 0;
    for (int64_t i = 0; i < state->known.count; i++)
        count += state->known.items[i].round == round && is_of(&state->known.items[i], variant);
    return count;
}

/* How often the whole set was measured in rounds of this number. */
static int count_whole(const spt_drive_state *state, const spt_finalists *set, int round) {
    int whole = INT_MAX;
    for (int i = 0; i < set->count && whole > 0; i++) {
        const int count = count_in_round(state, &set->items[i], round);
        whole = count < whole ? count : whole;
    }
    return whole;
}

/* Does a trial before known[index] have the same final round? */
static bool was_counted(const spt_drive_state *state, int64_t index) {
    for (int64_t i = 0; i < index; i++)
        if (state->known.items[i].phase == SPT_PHASE_FINAL &&
            state->known.items[i].round == state->known.items[index].round)
            return true;
    return false;
}

/* Each round has the untuned answer in it, so one that holds more variants than the set says as much about the set. */
int spt_finalists_count_rounds(const spt_drive_state *state, const spt_finalists *set, int *next_round) {
    int n_rounds = 0;
    *next_round = 1;
    for (int64_t i = 0; i < state->known.count; i++) {
        const spt_trial *trial = &state->known.items[i];
        if (trial->phase != SPT_PHASE_FINAL || was_counted(state, i))
            continue;
        n_rounds += count_whole(state, set, trial->round);
        if (trial->round >= *next_round && trial->round < ROUND_MAX)
            *next_round = trial->round + 1;
    }
    return n_rounds;
}

/* ---- scores ---- */

/* Cost of the untuned answer in the round of known[index]: the nearest trial that has it; 1 where none is correct. */
static double default_cost(const spt_drive_state *state, int64_t index) {
    const int64_t count = state->known.count;
    for (int64_t apart = 0; apart < count; apart++)
        for (int side = -1; side <= 1; side += 2) {
            const int64_t at = index + side * apart;
            if (at < 0 || at >= count || state->known.items[at].round != state->known.items[index].round ||
                !is_of(&state->known.items[at], &state->fallback))
                continue;
            const spt_measurement *measurement = &state->known.items[at].measurement;
            return measurement->status == SPT_TRIAL_CORRECT ? spt_drive_cost(state, measurement) : 1.0;
        }
    return 1.0;
}

/* Sum up a variant's latest rounds, of those that hold all of `whole` (NULL: every one). False where there is no
 * correct one. */
static bool sum_up(spt_summary *out, const spt_drive_state *state, const spt_variant_id *variant,
                   const spt_finalists *whole) {
    double scores[SPT_SCORED_ROUNDS_MAX], scratch[SPT_SCORED_ROUNDS_MAX];
    int n = 0;
    for (int64_t i = state->known.count - 1; i >= 0 && n < SPT_SCORED_ROUNDS_MAX; i--) {
        const spt_trial *trial = &state->known.items[i];
        if (is_of(trial, variant) && trial->measurement.status == SPT_TRIAL_CORRECT &&
            (whole == NULL || count_whole(state, whole, trial->round) > 0))
            scores[n++] = spt_drive_cost(state, &trial->measurement) / default_cost(state, i);
    }
    if (n > 0)
        spt_summarize(out, scores, scratch, n);
    return n > 0;
}

void spt_finalists_cut(spt_finalists *set, const spt_drive_state *state, int n_best) {
    double scores[SPT_ROUND_MAX] = {0};
    const spt_finalists all = *set;
    spt_summary summary;
    for (int i = 0; i < all.count; i++)
        scores[i] = sum_up(&summary, state, &all.items[i], &all) ? summary.median : INFINITY;
    set->count = 0;
    for (int i = 0; i < all.count; i++) {
        int rank = 0; /* of equal ones the first by name is ahead */
        for (int j = 0; j < all.count; j++)
            rank += scores[j] < scores[i] || (scores[j] == scores[i] && j < i);
        if (all.stays[i] || rank < n_best)
            spt_finalists_add(set, &all.items[i], all.stays[i]);
    }
}

bool spt_finalists_are_open(const spt_finalists *set, const spt_drive_state *state) {
    spt_summary summaries[SPT_ROUND_MAX];
    int leader = -1;
    for (int i = 0; i < set->count; i++) {
        if (!sum_up(&summaries[i], state, &set->items[i], NULL))
            summaries[i] = (spt_summary){.median = INFINITY, .ci_low = INFINITY};
        else if (leader < 0 || summaries[i].median < summaries[leader].median)
            leader = i;
    }
    for (int i = 0; leader >= 0 && i < set->count; i++)
        if (i != leader && TIE * summaries[i].ci_low < summaries[leader].ci_high &&
            summaries[i].median < RIVAL * summaries[leader].median)
            return true;
    return false;
}

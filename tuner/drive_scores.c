/* SPDX-License-Identifier: Apache-2.0 */
/* What final rounds say while they are run; see drive_scores.h. */
#include "tuner/drive_scores.h"

#include <limits.h>
#include <math.h>
#include <string.h>

#include "core/memory.h"
#include "db/derive.h"

#define CALM 1.2  /* a heat is calm where the untuned answer takes at most this times its calmest */
#define TIE 1.01  /* who could be faster by no more than this is not looked for */
#define RIVAL 1.1 /* slower ones than this times the leader are no rivals, however wide their intervals */

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

/* The number of the n-th round that holds the whole set; INT_MAX where there are fewer. */
static int last_of_first(const spt_drive_state *state, const spt_finalists *set, int n_rounds) {
    int n = 0;
    for (int64_t i = 0; i < state->known.count; i++) {
        const spt_trial *trial = &state->known.items[i];
        if (trial->phase != SPT_PHASE_FINAL || was_counted(state, i))
            continue;
        n += count_whole(state, set, trial->round);
        if (n >= n_rounds)
            return trial->round;
    }
    return INT_MAX;
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
        if (trial->round >= *next_round && trial->round < SPT_DRIVE_ROUND_MAX)
            *next_round = trial->round + 1;
    }
    return n_rounds;
}

/* ---- scores ---- */

/* What the database would say of the finals that are known (db/derive.h). */
typedef struct standings {
    spt_run *runs;
    spt_candidate *items;
    int64_t count;
} standings;

static void standings_fini(standings *self) {
    spt_free(self->runs);
    spt_free(self->items);
}

/* Trials of one round lie together; another number begins another round, and so does a variant that is there again
 * (sessions of other hosts have numbers of their own). */
static bool begins_round(const spt_run *runs, int64_t n_runs, const spt_run *next) {
    if (n_runs == 0 || runs[n_runs - 1].round != next->round)
        return true;
    for (int64_t i = n_runs - 1; i >= 0 && runs[i].session == runs[n_runs - 1].session; i--)
        if (runs[i].variant == next->variant)
            return true;
    return false;
}

static int64_t first_of(const spt_drive_state *state, int64_t index) {
    const spt_trial *items = state->known.items;
    int64_t first = 0;
    while (spt_drive_compare_variants(&items[first].variant, &items[index].variant) != 0 ||
           items[first].variant.revision != items[index].variant.revision)
        first++;
    return first;
}

/* Time of the untuned answer in the final round of known[index]: the nearest trial that has it; 0 where none is right.
 */
static double default_ns(const spt_drive_state *state, int64_t index) {
    const spt_trial *items = state->known.items;
    for (int64_t apart = 0; apart < state->known.count; apart++)
        for (int side = -1; side <= 1; side += 2) {
            const int64_t at = index + side * apart;
            if (at >= 0 && at < state->known.count && items[at].round == items[index].round &&
                is_of(&items[at], &state->fallback))
                return items[at].measurement.status == SPT_TRIAL_CORRECT ? items[at].measurement.time_ns_median : 0.0;
        }
    return 0.0;
}

/* The same in the calmest of the rounds up to `last` that hold all of `whole`; INFINITY where it is in none. */
static double calmest_ns(const spt_drive_state *state, const spt_finalists *whole, int last) {
    double least = INFINITY;
    for (int64_t i = 0; i < state->known.count; i++) {
        const spt_trial *trial = &state->known.items[i];
        if (is_of(trial, &state->fallback) && trial->measurement.status == SPT_TRIAL_CORRECT && trial->round <= last &&
            count_whole(state, whole, trial->round) > 0)
            least = fmin(least, trial->measurement.time_ns_median);
    }
    return least;
}

/* By the first n_rounds rounds that hold all of `whole`, those of them that were calm (NULL: by every one). Heats are
 * few: one calm one says more than two in which something else had the caches. */
static spt_status standings_init(standings *out, const spt_drive_state *state, const spt_finalists *whole,
                                 int n_rounds) {
    const spt_drive *drive = state->drive;
    const int last = whole != NULL ? last_of_first(state, whole, n_rounds) : INT_MAX;
    const double slow_ns = whole != NULL ? CALM * calmest_ns(state, whole, last) : INFINITY;
    int64_t n_runs = 0;
    *out = (standings){0};
    SPT_TRY(SPT_NEW_ZEROED(out->runs, state->known.count + 1));
    SPT_TRY(SPT_NEW_ZEROED(out->items, state->known.count + 1));
    for (int64_t i = 0; i < state->known.count; i++) {
        const spt_trial *trial = &state->known.items[i];
        if (trial->phase != SPT_PHASE_FINAL || trial->round > last ||
            (whole != NULL && (count_whole(state, whole, trial->round) == 0 || default_ns(state, i) > slow_ns)))
            continue;
        spt_run *run = &out->runs[n_runs];
        *run = (spt_run){.family = trial->variant.family,
                         .point = trial->variant.point,
                         .library = "",
                         .uuid = "",
                         .variant = first_of(state, i),
                         .round = trial->round,
                         .revision = trial->variant.revision,
                         .is_dense = trial->variant.is_dense,
                         .is_default = is_of(trial, &state->fallback),
                         .is_final = true,
                         .status = trial->measurement.status,
                         .time_ns = trial->measurement.time_ns_median,
                         .pack_ns = trial->measurement.pack_ns,
                         .uses = (double)drive->policy.uses};
        run->session = n_runs > 0 ? run[-1].session : 0;
        run->session += begins_round(out->runs, n_runs, run);
        n_runs++;
    }
    return spt_derive_standings(out->items, &out->count, out->runs, n_runs);
}

/* NULL: no round says anything about it. */
static const spt_candidate *standing_of(const standings *self, const spt_variant_id *variant) {
    for (int64_t i = 0; i < self->count; i++) {
        const spt_run *run = self->items[i].newest;
        if (run->revision == variant->revision && strcmp(run->family, variant->family) == 0 &&
            strcmp(run->point, variant->point) == 0)
            return &self->items[i];
    }
    return NULL;
}

spt_status spt_finalists_score(double scores[SPT_ROUND_MAX], const spt_finalists *set, const spt_drive_state *state,
                               int n_rounds) {
    standings known;
    spt_status status = SPT_OK;
    SPT_TRY_TO(done, standings_init(&known, state, set, n_rounds));
    for (int i = 0; i < set->count; i++) {
        const spt_candidate *standing = standing_of(&known, &set->items[i]);
        scores[i] = standing != NULL ? standing->score : INFINITY;
    }
done:
    standings_fini(&known);
    return status;
}

spt_status spt_finalists_cut(spt_finalists *set, const spt_drive_state *state, int n_rounds, int n_best, double over) {
    double scores[SPT_ROUND_MAX] = {0}, best = INFINITY;
    const spt_finalists all = *set;
    SPT_TRY(spt_finalists_score(scores, &all, state, n_rounds));
    for (int i = 0; i < all.count; i++)
        best = fmin(best, scores[i]);
    set->count = 0;
    for (int i = 0; i < all.count; i++) {
        int rank = 0; /* of equal ones the first by name is ahead */
        for (int j = 0; j < all.count; j++)
            rank += scores[j] < scores[i] || (scores[j] == scores[i] && j < i);
        if (all.stays[i] || (rank < n_best && scores[i] <= over * best))
            spt_finalists_add(set, &all.items[i], all.stays[i]);
    }
    return SPT_OK;
}

spt_status spt_finalists_are_open(bool *out, const spt_finalists *set, const spt_drive_state *state) {
    const spt_candidate *leader = NULL;
    standings known;
    spt_status status = SPT_OK;
    *out = false;
    SPT_TRY_TO(done, standings_init(&known, state, NULL, 0));
    for (int i = 0; i < set->count; i++) {
        const spt_candidate *at = standing_of(&known, &set->items[i]);
        if (at != NULL && (leader == NULL || at->score < leader->score))
            leader = at;
        *out |= at != NULL && set->stays[i] && at->is_thin;
    }
    *out |= leader != NULL && leader->is_thin;
    for (int i = 0; leader != NULL && i < set->count; i++) {
        const spt_candidate *at = standing_of(&known, &set->items[i]);
        *out |=
            at != NULL && at != leader && TIE * at->score_low < leader->score_high && at->score < RIVAL * leader->score;
    }
done:
    standings_fini(&known);
    return status;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Ranges of widths (`--n 1:512`): when every width of a layer is tuned, the winners of all are measured at all, the
 * range is cut into buckets by total regret, and each bucket's plan is pinned at its widths, so that one plan serves
 * them all. Only a plan with a standing at a width can serve it: what was not in enough of its final rounds there, for
 * want of time or of a chance, cannot. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/memory.h"
#include "core/text.h"
#include "db/upkeep.h"
#include "tuner/buckets.h"
#include "tuner/tune_state.h"

enum { RANKS = 2, CANDIDATES_MAX = RANKS * SPT_WIDTHS_MAX };

typedef struct range {
    spt_tune_state *run;
    int64_t first; /* problem of the first width */
    int n_widths;
    spt_variant_id candidates[CANDIDATES_MAX];
    int n_candidates;
    spt_key keys[SPT_WIDTHS_MAX];
    double *costs;           /* n_widths x n_candidates */
    int own[SPT_WIDTHS_MAX]; /* the candidate that wins at a width; -1: none of them */
} range;

static int find_candidate(const range *self, const char *family, const char *point) {
    int i = self->n_candidates - 1;
    while (i >= 0 && (strcmp(self->candidates[i].family, family) != 0 || strcmp(self->candidates[i].point, point) != 0))
        i--;
    return i;
}

static spt_status take_winners(range *self, int width) {
    spt_workload workload;
    spt_winner_list winners = {0};
    const spt_problem problem = spt_tune_problem_of(self->run, &self->run->problems[self->first + width]);
    SPT_TRY(spt_workload_init(&workload, &problem, &self->run->matrix.view));
    SPT_TRY(spt_key_init(&self->keys[width], &workload, &self->run->device));
    SPT_TRY(spt_db_winners_find(&winners, self->run->drive.db, &self->keys[width]));
    for (int64_t i = 0; i < winners.count && i < RANKS; i++) {
        const spt_winner *winner = &winners.items[i];
        if (find_candidate(self, winner->family, winner->point) >= 0)
            continue;
        spt_variant_id *out = &self->candidates[self->n_candidates++];
        *out = (spt_variant_id){.revision = winner->revision};
        spt_copy_text(out->family, sizeof out->family, winner->family);
        spt_copy_text(out->point, sizeof out->point, winner->point);
    }
    spt_winner_list_fini(&winners);
    return SPT_OK;
}

/* Measure every candidate at a width; what is known is not measured again. Costs are what the final rounds say. */
static spt_status measure_width(range *self, int width) {
    spt_drive *drive = &self->run->drive;
    spt_tune_problem *at = &self->run->problems[self->first + width];
    spt_drive_result result;
    const spt_problem problem = spt_tune_problem_of(self->run, at);
    drive->extras = self->candidates;
    drive->n_extras = self->n_candidates;
    const spt_status status = spt_drive_problem(&result, drive, &self->run->matrix.view, &problem, INFINITY);
    drive->extras = NULL;
    drive->n_extras = 0;
    spt_tune_count_visit(at, &result);
    SPT_TRY(status);
    at->held = result;
    return spt_db_scores(self->costs + (ptrdiff_t)width * self->n_candidates, &self->own[width], drive->db,
                         &self->keys[width], self->candidates, self->n_candidates);
}

/* Has every width a candidate that can serve it? */
static bool can_serve_all(const range *self) {
    for (int width = 0; width < self->n_widths; width++) {
        double least = INFINITY;
        for (int i = 0; i < self->n_candidates; i++)
            least = fmin(least, self->costs[width * self->n_candidates + i]);
        if (!isfinite(least))
            return false;
    }
    return self->n_candidates > 0;
}

static spt_status use_bucket(range *self, const spt_bucket *bucket) {
    const bool is_single = bucket->first == bucket->last; /* its own winner, which may have won by a tie */
    const int own = is_single ? self->own[bucket->first] : -1;
    const spt_variant_id *chosen = &self->candidates[own >= 0 ? own : bucket->candidate];
    const int n = bucket->last - bucket->first + 1;
    const long long low =
        bucket->first == 0 ? 1 : (long long)self->run->problems[self->first + bucket->first - 1].n + 1;
    char line[512], note[128];
    snprintf(note, sizeof note, "one plan for n from %lld to %lld", low,
             (long long)self->run->problems[self->first + bucket->last].n);
    snprintf(line, sizeof line, "%s, %s: %s %s, %.1f %% slower than the best of each width in the mean",
             self->run->layers.items[self->run->problems[self->first].layer].name, note, chosen->family, chosen->point,
             100.0 * (exp(bucket->regret / n) - 1.0));
    for (int width = bucket->first; width <= bucket->last; width++)
        SPT_TRY(spt_db_pin(self->run->drive.db, &self->keys[width].hash, chosen->family, chosen->point, note));
    spt_say("%s", line);
    return SPT_OK;
}

spt_status spt_tune_range(spt_tune_state *run, int64_t first, int n_widths) {
    range *self = NULL;
    spt_bucket buckets[SPT_WIDTHS_MAX];
    int n_buckets = 0;
    spt_status status = SPT_OK;
    SPT_TRY(SPT_NEW_ZEROED(self, 1));
    *self = (range){.run = run, .first = first, .n_widths = n_widths};
    for (int width = 0; width < n_widths; width++)
        SPT_TRY_TO(done, take_winners(self, width));
    SPT_TRY_TO(done, SPT_NEW(self->costs, n_widths * (self->n_candidates + 1)));
    for (int i = 0; i < n_widths * self->n_candidates; i++)
        self->costs[i] = INFINITY;
    for (int width = 0; width < n_widths && self->n_candidates > 0; width++) {
        SPT_TRY_TO(done, measure_width(self, width));
        if (run->drive.stop != NULL && *run->drive.stop != 0)
            goto done; /* half of the costs choose nothing */
    }
    if (can_serve_all(self))
        SPT_TRY_TO(done, spt_buckets_cut(buckets, &n_buckets, self->costs, n_widths, self->n_candidates));
    for (int i = 0; i < n_buckets; i++)
        SPT_TRY_TO(done, use_bucket(self, &buckets[i]));
done:
    spt_free(self->costs);
    spt_free(self);
    return status;
}

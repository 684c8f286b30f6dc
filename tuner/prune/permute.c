/* SPDX-License-Identifier: Apache-2.0 */
/* The search for an order of channels: greedy swaps inside windows of channels, then escapes; see prune.h. */
#include <string.h>
#include <time.h>

#include "core/memory.h"
#include "core/random.h"
#include "tuner/prune/prune.h"
#include "tuner/prune/swaps.h"

enum {
    KICKS_MAX = 3,     /* random swaps of an escape */
    ESCAPES_MAX = 400, /* per window without others; so a search that is quick ends by itself */
    WINDOW_ROUNDS = 8, /* passes over a matrix of several windows, each with other neighbours */
};

typedef struct search {
    const double *weights;
    int64_t n_rows, n_cols;
    spt_nm nm;
    double scale; /* of weights, see swaps.h */
    spt_random random;
    double deadline;
    int32_t *order, *window; /* window: SPT_SWAPS_MAX scratch */
    spt_permute_report *report;
} search;

static double now_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static bool is_over(search *self) {
    if (now_seconds() < self->deadline)
        return false;
    self->report->ended_by_time = true;
    return true;
}

/* The groups that an escape changed, each once. */
typedef struct touched {
    int groups[SPT_SWAPS_MAX / 2];
    int count;
} touched;

static void touch(touched *set, int group) {
    for (int i = 0; i < set->count; i++)
        if (set->groups[i] == group)
            return;
    set->groups[set->count++] = group;
}

/* Swap while a swap gains; returns the number of swaps. */
static int64_t climb(search *self, spt_swaps *swaps, touched *set) {
    int64_t n_swaps = 0;
    int i, j;
    while (!is_over(self) && spt_swaps_best(swaps, &i, &j)) {
        const int groups[2] = {spt_swaps_group(swaps, i), spt_swaps_group(swaps, j)};
        spt_swaps_exchange(swaps, i, j);
        spt_swaps_refresh(swaps, groups, 2);
        touch(set, groups[0]);
        touch(set, groups[1]);
        n_swaps++;
    }
    return n_swaps;
}

/* A few random swaps, and up again; taken back where that ends lower. */
static void escape(search *self, spt_swaps *swaps, int32_t *saved) {
    const double before = spt_swaps_total(swaps);
    const int n_kicks = 1 + (int)spt_random_below(&self->random, KICKS_MAX);
    touched set = {.count = 0};
    memcpy(saved, swaps->member, (size_t)swaps->n * sizeof *saved);
    for (int kick = 0; kick < n_kicks; kick++) {
        const int i = (int)spt_random_below(&self->random, (uint64_t)swaps->n);
        const int j = (int)spt_random_below(&self->random, (uint64_t)swaps->n);
        if (spt_swaps_group(swaps, i) == spt_swaps_group(swaps, j))
            continue;
        touch(&set, spt_swaps_group(swaps, i));
        touch(&set, spt_swaps_group(swaps, j));
        spt_swaps_exchange(swaps, i, j);
    }
    spt_swaps_refresh(swaps, set.groups, set.count);
    const int64_t n_swaps = climb(self, swaps, &set);
    self->report->n_escapes++;
    if (spt_swaps_total(swaps) > before) {
        self->report->n_swaps += n_swaps + n_kicks;
        return;
    }
    memcpy(swaps->member, saved, (size_t)swaps->n * sizeof *saved);
    for (int slot = 0; slot < swaps->n; slot++)
        swaps->slot[saved[slot]] = slot;
    spt_swaps_refresh(swaps, set.groups, set.count);
}

/* Make the gains of all swaps; false when the time ends first. */
static bool make_gains(search *self, spt_swaps *swaps) {
    enum { GROUPS_AT_ONCE = 4 };
    for (int first = 0; first < swaps->n_groups; first += GROUPS_AT_ONCE) {
        int groups[GROUPS_AT_ONCE], count = 0;
        for (; count < GROUPS_AT_ONCE && first + count < swaps->n_groups; count++)
            groups[count] = first + count;
        if (is_over(self))
            return false;
        spt_swaps_refresh(swaps, groups, count);
    }
    return true;
}

/* Improve the order of the channels in self->window[0..n); *greedy_gain grows by what the greedy search gained. */
static spt_status search_window(search *self, int n, bool has_escapes, double *greedy_gain, double *gain) {
    spt_swaps swaps;
    int32_t *saved = NULL, *channels = NULL;
    spt_status status = SPT_OK;
    SPT_TRY(spt_swaps_init(&swaps, self->weights, self->scale, self->n_rows, self->n_cols, self->window, n, self->nm));
    SPT_TRY_TO(done, SPT_NEW(saved, n));
    SPT_TRY_TO(done, SPT_NEW(channels, n));
    if (!make_gains(self, &swaps))
        goto done;
    const double before = spt_swaps_total(&swaps);
    touched set = {.count = 0};
    self->report->n_swaps += climb(self, &swaps, &set);
    *greedy_gain += (spt_swaps_total(&swaps) - before) / swaps.scale;
    for (int i = 0; has_escapes && i < ESCAPES_MAX && !is_over(self); i++)
        escape(self, &swaps, saved);
    *gain += (spt_swaps_total(&swaps) - before) / swaps.scale;
    memcpy(channels, self->window, (size_t)n * sizeof *channels);
    for (int slot = 0; slot < n; slot++)
        self->window[slot] = channels[swaps.member[slot]];
done:
    spt_free(saved);
    spt_free(channels);
    spt_swaps_fini(&swaps);
    return status;
}

/* One pass over all groups in windows; the first pass takes neighbours, later ones strangers. */
static spt_status search_pass(search *self, int32_t *groups, int64_t n_groups, bool has_escapes, double *greedy_gain,
                              double *gain) {
    const int of = self->nm.of, groups_per_window = SPT_SWAPS_MAX / of;
    for (int64_t first = 0; first < n_groups && !is_over(self); first += groups_per_window) {
        const int64_t left = n_groups - first;
        const int n_here = (int)(left < groups_per_window ? left : groups_per_window);
        for (int i = 0; i < n_here * of; i++)
            self->window[i] = self->order[groups[first + i / of] * of + i % of];
        SPT_TRY(search_window(self, n_here * of, has_escapes, greedy_gain, gain));
        for (int i = 0; i < n_here * of; i++)
            self->order[groups[first + i / of] * of + i % of] = self->window[i];
    }
    return SPT_OK;
}

static void shuffle(search *self, int32_t *groups, int64_t n_groups) {
    for (int64_t i = n_groups - 1; i > 0; i--) {
        const int64_t j = (int64_t)spt_random_below(&self->random, (uint64_t)i + 1);
        const int32_t group = groups[i];
        groups[i] = groups[j];
        groups[j] = group;
    }
}

/* What the rule keeps of a matrix as it stands. */
static spt_status kept_magnitude(double *out, const search *self) {
    const spt_prune_rule rule = {.nm = self->nm};
    uint8_t *mask;
    SPT_TRY(SPT_NEW(mask, self->n_cols));
    *out = 0.0;
    for (int64_t row = 0; row < self->n_rows; row++) {
        const double *weights = self->weights + row * self->n_cols;
        (void)spt_prune_choose(mask, weights, 1, self->n_cols, &rule); /* N:M allocates nothing */
        *out += spt_prune_magnitude(weights, mask, self->n_cols);
    }
    spt_free(mask);
    return SPT_OK;
}

spt_status spt_permute_search(int32_t *order, spt_permute_report *report, const double *weights, int64_t n_rows,
                              int64_t n_cols, spt_nm nm, uint64_t seed, double seconds) {
    const double start = now_seconds();
    const int64_t n_groups = n_cols / nm.of; /* a short last group stays */
    const bool has_windows = n_groups * nm.of > SPT_SWAPS_MAX;
    search self = {.weights = weights,
                   .n_rows = n_rows,
                   .n_cols = n_cols,
                   .nm = nm,
                   .scale = spt_swaps_scale(weights, n_rows * n_cols),
                   .deadline = start + seconds,
                   .order = order,
                   .report = report};
    int32_t *groups = NULL;
    double greedy_gain = 0.0, gain = 0.0;
    spt_status status = SPT_OK;
    *report = (spt_permute_report){0};
    spt_random_init(&self.random, seed);
    for (int64_t i = 0; i < n_cols; i++)
        order[i] = (int32_t)i;
    SPT_TRY_TO(done, kept_magnitude(&report->magnitude_before, &self));
    SPT_TRY_TO(done, SPT_NEW(self.window, SPT_SWAPS_MAX));
    SPT_TRY_TO(done, SPT_NEW(groups, n_groups));
    for (int64_t i = 0; i < n_groups; i++)
        groups[i] = (int32_t)i;
    if (n_groups > 1)
        SPT_TRY_TO(done, search_pass(&self, groups, n_groups, !has_windows, &greedy_gain, &gain));
    for (int round = 1; has_windows && round < WINDOW_ROUNDS && !is_over(&self); round++) {
        shuffle(&self, groups, n_groups);
        double ignored = 0.0;
        SPT_TRY_TO(done, search_pass(&self, groups, n_groups, false, &ignored, &gain));
    }
    report->magnitude_greedy = report->magnitude_before + greedy_gain;
    report->magnitude_after = report->magnitude_before + gain;
    report->seconds = now_seconds() - start;
done:
    spt_free(self.window);
    spt_free(groups);
    return status;
}

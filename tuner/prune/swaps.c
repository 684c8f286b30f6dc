/* SPDX-License-Identifier: Apache-2.0 */
/* Gains of channel swaps; see swaps.h. */
#include "tuner/prune/swaps.h"

#include <math.h>
#include <string.h>

#include "core/memory.h"

enum { LANES = 8, TILE = 4 };

void spt_swaps_fini(spt_swaps *swaps) {
    spt_free(swaps->panels);
    spt_free(swaps->thresholds);
    spt_free(swaps->member);
    spt_free(swaps->slot);
    spt_free(swaps->score);
    spt_free(swaps->base);
    spt_free(swaps->with);
    spt_free(swaps->other);
    spt_free(swaps->best_gain);
    spt_free(swaps->best);
    *swaps = (spt_swaps){0};
}

/* |W|[0, channel]; rows follow at a distance of LANES. */
static const float *column_of(const spt_swaps *swaps, int channel) {
    return swaps->panels + channel / LANES * swaps->n_rows * LANES + channel % LANES;
}

/* Keep the n_kept largest of a descending list and x. */
static void insert(float *largest, int n_kept, float x) {
    for (int i = 0; i < n_kept; i++) {
        const float here = largest[i], larger = x > here ? x : here;
        x = x > here ? here : x;
        largest[i] = larger;
    }
}

static double score_of_group(const spt_swaps *swaps, const int32_t *members) {
    const int keep = swaps->nm.keep;
    double score = 0.0;
    for (int64_t row = 0; row < swaps->n_rows; row++) {
        float largest[SPT_NM_OF_MAX] = {0};
        for (int i = 0; i < swaps->nm.of; i++)
            insert(largest, keep, column_of(swaps, members[i])[row * LANES]);
        for (int i = 0; i < keep; i++)
            score += (double)largest[i];
    }
    return score;
}

/* T of one channel into a column of the thresholds, and its base. */
static void set_thresholds(spt_swaps *swaps, int channel, int column) {
    const int group = spt_swaps_group(swaps, channel), keep = swaps->nm.keep;
    const int32_t *members = swaps->member + group * swaps->nm.of;
    double sure = 0.0;
    for (int64_t row = 0; row < swaps->n_rows; row++) {
        float largest[SPT_NM_OF_MAX] = {0};
        for (int i = 0; i < swaps->nm.of; i++) {
            if (members[i] != channel)
                insert(largest, keep, column_of(swaps, members[i])[row * LANES]);
        }
        for (int i = 0; i < keep - 1; i++)
            sure += (double)largest[i];
        swaps->thresholds[row * TILE + column] = largest[keep - 1];
    }
    swaps->base[channel] = (float)(sure - swaps->score[group]);
}

/* sums[i][j] = sum over rows of max(thresholds[row][i], panel[row][j]) */
static void multiply_tile(float sums[TILE][LANES], const float *restrict thresholds, const float *restrict panel,
                          int64_t n_rows) {
    float sum[TILE][LANES] = {0};
    for (int64_t row = 0; row < n_rows; row++) {
#pragma GCC unroll 4
        for (int i = 0; i < TILE; i++) {
            const float threshold = thresholds[row * TILE + i];
#pragma omp simd
            for (int j = 0; j < LANES; j++) {
                const float weight = panel[row * LANES + j];
                sum[i][j] += threshold > weight ? threshold : weight;
            }
        }
    }
    memcpy(sums, sum, sizeof sum);
}

/* The rows of the product of up to four channels, whose thresholds are set. */
static void multiply(spt_swaps *swaps, const int32_t *channels, int n_channels) {
    const int n = swaps->n;
    for (int first = 0; first < n; first += LANES) {
        float sums[TILE][LANES];
        multiply_tile(sums, swaps->thresholds, swaps->panels + first * swaps->n_rows, swaps->n_rows);
        for (int i = 0; i < n_channels; i++) {
            for (int j = first; j < n && j < first + LANES; j++) {
                const bool is_inside = spt_swaps_group(swaps, channels[i]) == spt_swaps_group(swaps, j);
                const float sum = is_inside ? -INFINITY : sums[i][j - first];
                swaps->with[channels[i] * n + j] = sum;
                swaps->other[j * n + channels[i]] = sum;
            }
        }
    }
}

static void consider(spt_swaps *swaps, int i, int j) {
    const int at = i * swaps->n + j;
    const float gain = swaps->base[i] + swaps->base[j] + swaps->with[at] + swaps->other[at];
    if (gain > swaps->best_gain[i]) {
        swaps->best_gain[i] = gain;
        swaps->best[i] = j;
    }
}

static void scan(spt_swaps *swaps, int i) {
    const float *with = swaps->with + i * swaps->n, *other = swaps->other + i * swaps->n;
    float best = -INFINITY;
    int at = 0;
    for (int j = 0; j < swaps->n; j++) {
        const float gain = swaps->base[j] + with[j] + other[j];
        at = gain > best ? j : at;
        best = gain > best ? gain : best;
    }
    swaps->best_gain[i] = best + swaps->base[i];
    swaps->best[i] = at;
}

void spt_swaps_refresh(spt_swaps *swaps, const int *groups, int n_groups) {
    const int of = swaps->nm.of;
    for (int g = 0; g < n_groups; g++)
        swaps->score[groups[g]] = score_of_group(swaps, swaps->member + groups[g] * of);
    for (int first = 0; first < n_groups * of; first += TILE) {
        int32_t channels[TILE];
        int count = 0;
        for (; count < TILE && first + count < n_groups * of; count++) {
            channels[count] = swaps->member[groups[(first + count) / of] * of + (first + count) % of];
            set_thresholds(swaps, channels[count], count);
        }
        multiply(swaps, channels, count);
    }
    for (int i = 0; i < swaps->n; i++) {
        bool is_stale = false;
        for (int g = 0; g < n_groups && !is_stale; g++)
            is_stale = groups[g] == spt_swaps_group(swaps, i) || groups[g] == spt_swaps_group(swaps, swaps->best[i]);
        if (is_stale) {
            scan(swaps, i);
            continue;
        }
        for (int at = 0; at < n_groups * of; at++)
            consider(swaps, i, swaps->member[groups[at / of] * of + at % of]);
    }
}

void spt_swaps_exchange(spt_swaps *swaps, int i, int j) {
    const int32_t slot_i = swaps->slot[i], slot_j = swaps->slot[j];
    swaps->member[slot_i] = j;
    swaps->member[slot_j] = i;
    swaps->slot[i] = slot_j;
    swaps->slot[j] = slot_i;
}

/* What a swap gains, summed in double precision: the product's single precision only ranks. */
static double exact_gain(spt_swaps *swaps, int i, int j) {
    const int group_i = spt_swaps_group(swaps, i), group_j = spt_swaps_group(swaps, j), of = swaps->nm.of;
    spt_swaps_exchange(swaps, i, j);
    const double after =
        score_of_group(swaps, swaps->member + group_i * of) + score_of_group(swaps, swaps->member + group_j * of);
    spt_swaps_exchange(swaps, i, j);
    return after - swaps->score[group_i] - swaps->score[group_j];
}

bool spt_swaps_best(spt_swaps *swaps, int *i, int *j) {
    for (;;) {
        int at = 0;
        for (int channel = 1; channel < swaps->n; channel++)
            at = swaps->best_gain[channel] > swaps->best_gain[at] ? channel : at;
        *i = at;
        *j = swaps->best[at];
        if (!(swaps->best_gain[at] > 0.0f))
            return false;
        const double floor = 1e-9 * swaps->score[spt_swaps_group(swaps, at)];
        if (exact_gain(swaps, *i, *j) > floor)
            return true;
        swaps->with[*i * swaps->n + *j] = swaps->other[*j * swaps->n + *i] = -INFINITY; /* until a group changes */
        scan(swaps, *i);
        scan(swaps, *j);
    }
}

double spt_swaps_total(const spt_swaps *swaps) {
    double total = 0.0;
    for (int group = 0; group < swaps->n_groups; group++)
        total += swaps->score[group];
    return total;
}

double spt_swaps_scale(const double *weights, int64_t count) {
    double largest = 0.0;
    int exponent = 0;
    for (int64_t i = 0; i < count; i++)
        largest = fmax(largest, fabs(weights[i]));
    frexp(largest, &exponent);
    return ldexp(1.0, exponent > -1000 ? -exponent : 1000);
}

static void fill_panels(spt_swaps *swaps, const double *weights, int64_t n_cols, const int32_t *channels) {
    for (int i = 0; i < swaps->n; i++)
        swaps->member[i] = swaps->slot[i] = i;
    for (int64_t row = 0; row < swaps->n_rows; row++) {
        float *panel = swaps->panels + row * LANES;
        for (int i = 0; i < swaps->n; i++)
            panel[i / LANES * swaps->n_rows * LANES + i % LANES] =
                (float)fabs(swaps->scale * weights[row * n_cols + channels[i]]);
    }
}

spt_status spt_swaps_init(spt_swaps *out, const double *weights, double scale, int64_t n_rows, int64_t n_cols,
                          const int32_t *channels, int n, spt_nm nm) {
    spt_status status = SPT_OK;
    *out = (spt_swaps){.nm = nm, .n_rows = n_rows, .n = n, .n_groups = n / nm.of, .scale = scale};
    SPT_TRY_TO(done, SPT_NEW_ZEROED(out->panels, (n + LANES - 1) / LANES * LANES * n_rows));
    SPT_TRY_TO(done, SPT_NEW_ZEROED(out->thresholds, n_rows * TILE));
    SPT_TRY_TO(done, SPT_NEW(out->member, n));
    SPT_TRY_TO(done, SPT_NEW(out->slot, n));
    SPT_TRY_TO(done, SPT_NEW_ZEROED(out->score, out->n_groups));
    SPT_TRY_TO(done, SPT_NEW_ZEROED(out->base, n));
    SPT_TRY_TO(done, SPT_NEW_ZEROED(out->with, n * n));
    SPT_TRY_TO(done, SPT_NEW_ZEROED(out->other, n * n));
    SPT_TRY_TO(done, SPT_NEW_ZEROED(out->best_gain, n));
    SPT_TRY_TO(done, SPT_NEW_ZEROED(out->best, n));
    fill_panels(out, weights, n_cols, channels);
done:
    if (status != SPT_OK)
        spt_swaps_fini(out);
    return status;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Cutting a range of widths into buckets, by dynamic programming over where the last bucket begins; see buckets.h. */
#include "tuner/buckets.h"

#include <math.h>

#include "core/memory.h"

/* The candidate of least total regret over widths first to last. */
static spt_bucket serve(const double *regrets, int first, int last, int n_candidates) {
    spt_bucket best = {.first = first, .last = last, .candidate = -1, .regret = INFINITY};
    for (int candidate = 0; candidate < n_candidates; candidate++) {
        double sum = 0.0;
        for (int width = first; width <= last; width++)
            sum += regrets[width * n_candidates + candidate];
        if (sum < best.regret) {
            best.candidate = candidate;
            best.regret = sum;
        }
    }
    return best;
}

static void find_regrets(double *regrets, const double *costs, int n_widths, int n_candidates) {
    for (int width = 0; width < n_widths; width++) {
        const double *row = costs + (ptrdiff_t)width * n_candidates;
        double best = INFINITY;
        for (int candidate = 0; candidate < n_candidates; candidate++)
            best = fmin(best, row[candidate]);
        for (int candidate = 0; candidate < n_candidates; candidate++)
            regrets[width * n_candidates + candidate] = log(row[candidate] / best);
    }
}

spt_status spt_buckets_cut(spt_bucket *buckets, int *n_buckets, const double *costs, int n_widths, int n_candidates) {
    double *regrets = NULL, *least = NULL; /* least[w]: of all cuts of the widths before w */
    spt_bucket *last = NULL;               /* last[w]: the bucket that ends such a cut */
    spt_status status = SPT_OK;
    *n_buckets = 0;
    SPT_TRY_TO(done, SPT_NEW(regrets, (size_t)n_widths * (size_t)n_candidates));
    SPT_TRY_TO(done, SPT_NEW(least, n_widths + 1));
    SPT_TRY_TO(done, SPT_NEW(last, n_widths + 1));
    find_regrets(regrets, costs, n_widths, n_candidates);
    least[0] = 0.0;
    for (int end = 1; end <= n_widths; end++) {
        least[end] = INFINITY;
        for (int first = 0; first < end; first++) {
            const spt_bucket bucket = serve(regrets, first, end - 1, n_candidates);
            const double sum = least[first] + bucket.regret + SPT_BUCKET_COST;
            if (bucket.candidate >= 0 && sum < least[end]) {
                least[end] = sum;
                last[end] = bucket;
            }
        }
    }
    for (int end = n_widths; end > 0; end = last[end].first)
        (*n_buckets)++;
    for (int end = n_widths, i = *n_buckets - 1; end > 0; end = last[end].first)
        buckets[i--] = last[end];
done:
    spt_free(regrets);
    spt_free(least);
    spt_free(last);
    return status;
}

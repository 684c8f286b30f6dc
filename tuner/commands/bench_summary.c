/* SPDX-License-Identifier: Apache-2.0 */
/* Layers and times in two growing arrays; every figure is one pass over them. */
#include "tuner/commands/bench_summary.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/memory.h"
#include "core/text.h"

#define RIVAL_MARGIN 1.03 /* a rival that is faster by more has won the layer */

/* Bands of sparsity; a layer belongs to the first whose end is above it. */
static const struct {
    double end;
    const char *name;
} bands[] = {{0.45, "below 45 %"}, {0.75, "45-75 %"}, {0.85, "75-85 %"},
             {0.92, "85-92 %"},    {0.96, "92-96 %"}, {1.01, "96-100 %"}};
enum { N_BANDS = sizeof bands / sizeof bands[0] };

static spt_status grow(void **items, int64_t *capacity, int64_t count, size_t item_bytes) {
    if (count < *capacity)
        return SPT_OK;
    const int64_t larger = *capacity == 0 ? 64 : *capacity * 2;
    void *moved = spt_realloc(*items, (size_t)*capacity, (size_t)larger, item_bytes);
    if (moved == NULL)
        return SPT_ENOMEM;
    *items = moved;
    *capacity = larger;
    return SPT_OK;
}

spt_status spt_bench_summary_layer(spt_bench_summary *summary, const spt_bench_layer *layer) {
    void *items = summary->layers;
    SPT_TRY(grow(&items, &summary->layer_capacity, summary->n_layers, sizeof *layer));
    summary->layers = items;
    summary->layers[summary->n_layers++] = *layer;
    return SPT_OK;
}

spt_status spt_bench_summary_time(spt_bench_summary *summary, const char *contender, double ns, double bound_ns) {
    void *items = summary->times;
    SPT_TRY(grow(&items, &summary->time_capacity, summary->n_times, sizeof *summary->times));
    summary->times = items;
    spt_bench_time *time = &summary->times[summary->n_times++];
    *time = (spt_bench_time){.layer = summary->n_layers - 1, .ns = ns, .bound_ns = bound_ns};
    spt_copy_text(time->contender, sizeof time->contender, contender);
    return SPT_OK;
}

void spt_bench_summary_fini(spt_bench_summary *summary) {
    spt_free(summary->layers);
    spt_free(summary->times);
    *summary = (spt_bench_summary){0};
}

static const spt_bench_time *find(const spt_bench_summary *summary, int64_t layer, const char *contender) {
    for (int64_t i = 0; i < summary->n_times; i++) {
        if (summary->times[i].layer == layer && strcmp(summary->times[i].contender, contender) == 0)
            return &summary->times[i];
    }
    return NULL;
}

double spt_bench_summary_find(const spt_bench_summary *summary, int64_t layer, const char *contender) {
    const spt_bench_time *time = find(summary, layer, contender);
    return time != NULL ? time->ns : 0.0;
}

/* A geometric mean that grows. */
typedef struct log_mean {
    double sum;
    int64_t count;
} log_mean;

static void log_mean_add(log_mean *mean, double ratio) {
    if (ratio > 0.0 && isfinite(ratio)) {
        mean->sum += log(ratio);
        mean->count++;
    }
}

static double log_mean_of(const log_mean *mean) {
    return mean->count > 0 ? exp(mean->sum / (double)mean->count) : 0.0;
}

static int band_of(double sparsity) {
    int band = 0;
    while (band + 1 < N_BANDS && sparsity >= bands[band].end)
        band++;
    return band;
}

static void print_bands(const spt_bench_summary *summary) {
    log_mean means[N_BANDS + 1] = {{0}};
    for (int64_t i = 0; i < summary->n_layers; i++) {
        const double ratio = summary->layers[i].dense_ns / spt_bench_summary_find(summary, i, "tuned");
        log_mean_add(&means[band_of(summary->layers[i].sparsity)], ratio);
        log_mean_add(&means[N_BANDS], ratio);
    }
    printf("\ntuned over the fastest dense, geometric mean\n");
    for (int band = 0; band <= N_BANDS; band++) {
        if (means[band].count > 0)
            printf("  %-12s %4" PRId64 " layers %8.2f\n", band < N_BANDS ? bands[band].name : "all", means[band].count,
                   log_mean_of(&means[band]));
    }
}

static bool is_own(const char *contender) {
    return strcmp(contender, "tuned") == 0 || strcmp(contender, "default") == 0;
}

/* Layers on which a rival is faster than the tuned winner by more than the margin. */
static void print_losses(const spt_bench_summary *summary) {
    int64_t n_losses = 0;
    for (int64_t i = 0; i < summary->n_times; i++) {
        const spt_bench_time *time = &summary->times[i];
        const double tuned = spt_bench_summary_find(summary, time->layer, "tuned");
        if (is_own(time->contender) || tuned <= time->ns * RIVAL_MARGIN)
            continue;
        printf("%s  %s: %s is faster than the winner by %.2fx\n", n_losses == 0 ? "\n" : "",
               summary->layers[time->layer].name, time->contender, tuned / time->ns);
        n_losses++;
    }
    printf("\nrivals faster than the winner by more than 3 %%: %" PRId64 " of %" PRId64 " layers' races\n", n_losses,
           summary->n_times - 2 * summary->n_layers);
}

static void print_rivals(const spt_bench_summary *summary) {
    printf("\nwinner over each contender, geometric mean\n");
    for (int64_t i = 0; i < summary->n_times; i++) {
        const char *contender = summary->times[i].contender;
        bool is_seen = strcmp(contender, "tuned") == 0;
        for (int64_t earlier = 0; earlier < i && !is_seen; earlier++)
            is_seen = strcmp(summary->times[earlier].contender, contender) == 0;
        if (is_seen)
            continue;
        log_mean mean = {0};
        for (int64_t layer = 0; layer < summary->n_layers; layer++) {
            const double tuned = spt_bench_summary_find(summary, layer, "tuned");
            if (tuned > 0.0)
                log_mean_add(&mean, spt_bench_summary_find(summary, layer, contender) / tuned);
        }
        printf("  %-15s %4" PRId64 " layers %8.2f\n", contender, mean.count, log_mean_of(&mean));
    }
}

static void print_bound(const spt_bench_summary *summary) {
    log_mean share = {0};
    for (int64_t layer = 0; layer < summary->n_layers; layer++) {
        const spt_bench_time *tuned = find(summary, layer, "tuned");
        if (tuned != NULL)
            log_mean_add(&share, tuned->bound_ns / tuned->ns);
    }
    printf("\nwinners' share of their bound: %.0f %% (geometric mean of %" PRId64 " layers)\n",
           100.0 * log_mean_of(&share), share.count);
}

void spt_bench_summary_print(const spt_bench_summary *summary) {
    if (summary->n_layers < 2)
        return;
    print_bands(summary);
    print_rivals(summary);
    print_losses(summary);
    print_bound(summary);
}

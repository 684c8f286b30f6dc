/* SPDX-License-Identifier: Apache-2.0 */
/* Layers and times in two growing arrays; every figure is one pass over them. */
#include "tuner/commands/bench_summary.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/memory.h"
#include "core/text.h"
#include "tuner/commands/bench_rivals.h"

#define RIVAL_MARGIN 1.03 /* a rival that is faster by more has won the layer */

/* Bands of sparsity; a layer belongs to the first whose end is above it. */
static const struct {
    double end;
    const char *name;
} bands[] = {{0.45, "below 45 %"}, {0.75, "45-75 %"}, {0.85, "75-85 %"},
             {0.92, "85-92 %"},    {0.96, "92-96 %"}, {1.01, "96-100 %"}};
enum { N_BANDS = sizeof bands / sizeof bands[0] };

spt_status spt_bench_summary_layer(spt_bench_summary *summary, const spt_bench_layer *layer) {
    void *items = summary->layers;
    SPT_TRY(spt_grow(&items, &summary->layer_capacity, summary->n_layers, sizeof *layer));
    summary->layers = items;
    summary->layers[summary->n_layers++] = *layer;
    return SPT_OK;
}

spt_status spt_bench_summary_time(spt_bench_summary *summary, const spt_bench_time *time) {
    void *items = summary->times;
    SPT_TRY(spt_grow(&items, &summary->time_capacity, summary->n_times, sizeof *summary->times));
    summary->times = items;
    summary->times[summary->n_times] = *time;
    summary->times[summary->n_times++].layer = summary->n_layers - 1;
    return SPT_OK;
}

void spt_bench_summary_fini(spt_bench_summary *summary) {
    spt_free(summary->layers);
    spt_free(summary->times);
    *summary = (spt_bench_summary){0};
}

const spt_bench_time *spt_bench_summary_find(const spt_bench_summary *summary, int64_t layer, const char *contender) {
    for (int64_t i = 0; i < summary->n_times; i++) {
        if (summary->times[i].layer == layer && strcmp(summary->times[i].contender, contender) == 0)
            return &summary->times[i];
    }
    return NULL;
}

static double time_of(const spt_bench_summary *summary, int64_t layer, const char *contender) {
    const spt_bench_time *time = spt_bench_summary_find(summary, layer, contender);
    return time != NULL ? time->ns : 0.0;
}

bool spt_bench_summary_is_first(const spt_bench_summary *summary, int64_t time) {
    for (int64_t earlier = 0; earlier < time; earlier++) {
        if (strcmp(summary->times[earlier].contender, summary->times[time].contender) == 0)
            return false;
    }
    return true;
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

/* Beside each mean, the one that the winners would reach if each ran at its bound, which says what is left in them. */
static void print_bands(const spt_bench_summary *summary, FILE *out) {
    log_mean means[N_BANDS + 1] = {{0}}, bounds[N_BANDS + 1] = {{0}};
    for (int64_t i = 0; i < summary->n_layers; i++) {
        const spt_bench_time *tuned = spt_bench_summary_find(summary, i, "tuned");
        const int own[] = {band_of(summary->layers[i].sparsity), N_BANDS};
        for (int band = 0; tuned != NULL && band < 2; band++) {
            log_mean_add(&means[own[band]], summary->layers[i].dense_ns / tuned->ns);
            log_mean_add(&bounds[own[band]], summary->layers[i].dense_ns / tuned->bound_ns);
        }
    }
    fprintf(out, "tuned over the fastest dense, geometric mean         at the winners' bounds\n");
    for (int band = 0; band <= N_BANDS; band++) {
        if (means[band].count > 0)
            fprintf(out, "  %-12s %4" PRId64 " layers %8.2f %36.2f\n", band < N_BANDS ? bands[band].name : "all",
                    means[band].count, log_mean_of(&means[band]), log_mean_of(&bounds[band]));
    }
}

/* Neither ours (a fixed variant's name is "family point") nor advice. */
static bool is_rival(const char *contender) {
    return strchr(contender, ' ') == NULL && strcmp(contender, "tuned") != 0 && strcmp(contender, "default") != 0 &&
           !spt_bench_is_advice(contender);
}

/* The rival with the shortest time on a layer, NULL when none ran. */
static const spt_bench_time *fastest_rival(const spt_bench_summary *summary, int64_t layer) {
    const spt_bench_time *best = NULL;
    for (int64_t i = 0; i < summary->n_times; i++) {
        const spt_bench_time *time = &summary->times[i];
        if (time->layer == layer && is_rival(time->contender) && (best == NULL || time->ns < best->ns))
            best = time;
    }
    return best;
}

/* Layers on which a rival is faster than the tuned winner by more than the margin, with the fastest one's name. */
static void print_losses(const spt_bench_summary *summary, FILE *out) {
    int64_t n_losses = 0, n_raced = 0;
    for (int64_t layer = 0; layer < summary->n_layers; layer++) {
        const spt_bench_time *rival = fastest_rival(summary, layer);
        const double tuned = time_of(summary, layer, "tuned");
        if (rival == NULL || tuned == 0.0)
            continue;
        n_raced++;
        if (tuned <= rival->ns * RIVAL_MARGIN)
            continue;
        fprintf(out, "%s  %s, n %" PRId64 ": %s is faster than the winner by %.2fx\n", n_losses == 0 ? "\n" : "",
                summary->layers[layer].name, summary->layers[layer].n, rival->contender, tuned / rival->ns);
        n_losses++;
    }
    fprintf(out, "\na rival is faster than the winner by more than 3 %% on %" PRId64 " of %" PRId64 " layers\n",
            n_losses, n_raced);
}

/* The winner's speed over each contender of one kind, under a headline. */
static void print_contenders(const spt_bench_summary *summary, bool is_advice, const char *headline, FILE *out) {
    for (int64_t i = 0; i < summary->n_times; i++) {
        const char *contender = summary->times[i].contender;
        if (strcmp(contender, "tuned") == 0 || spt_bench_is_advice(contender) != is_advice ||
            !spt_bench_summary_is_first(summary, i))
            continue;
        log_mean mean = {0};
        for (int64_t layer = 0; layer < summary->n_layers; layer++) {
            const double tuned = time_of(summary, layer, "tuned");
            if (tuned > 0.0)
                log_mean_add(&mean, time_of(summary, layer, contender) / tuned);
        }
        if (mean.count > 0) {
            fprintf(out, "%s  %-18s %4" PRId64 " layers %8.2f\n", headline, contender, mean.count, log_mean_of(&mean));
            headline = "";
        }
    }
}

/* Share of the bound, and packing. */
static void print_winners(const spt_bench_summary *summary, FILE *out) {
    log_mean share = {0}, packing = {0};
    double pack_ns_max = 0.0;
    for (int64_t layer = 0; layer < summary->n_layers; layer++) {
        const spt_bench_time *tuned = spt_bench_summary_find(summary, layer, "tuned");
        if (tuned == NULL)
            continue;
        log_mean_add(&share, tuned->bound_ns / tuned->ns);
        log_mean_add(&packing, tuned->pack_ns);
        pack_ns_max = fmax(pack_ns_max, tuned->pack_ns);
    }
    fprintf(out, "\nwinners' share of their bound: %.0f %% (geometric mean of %" PRId64 " layers)\n",
            100.0 * log_mean_of(&share), share.count);
    fprintf(out, "packing of winners: %.2f ms in geometric mean, %.2f ms at most\n", log_mean_of(&packing) / 1e6,
            pack_ns_max / 1e6);
}

void spt_bench_summary_print(const spt_bench_summary *summary, FILE *out) {
    int64_t n_tuned = 0;
    for (int64_t layer = 0; layer < summary->n_layers; layer++)
        n_tuned += spt_bench_summary_find(summary, layer, "tuned") != NULL;
    if (n_tuned < summary->n_layers)
        fprintf(out, "tuned is missing on %" PRId64 " of %" PRId64 " layers\n", summary->n_layers - n_tuned,
                summary->n_layers);
    if (n_tuned == 0)
        return;
    print_bands(summary, out);
    print_contenders(summary, false, "\nwinner over each contender, geometric mean\n", out);
    print_losses(summary, out);
    print_winners(summary, out);
    print_contenders(summary, true,
                     "\nadvice: the f32 winner over dense products in narrower types; other results, so in no figure "
                     "above\n",
                     out);
}

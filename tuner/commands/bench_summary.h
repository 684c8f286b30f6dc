/* SPDX-License-Identifier: Apache-2.0 */
/* What the layers of a bench say together: means over dense by band of sparsity, layers that a rival wins, the worth of
 * tuning, the winners' share of their bound; as text and as one plot. */
#ifndef SPT_TUNER_BENCH_SUMMARY_H
#define SPT_TUNER_BENCH_SUMMARY_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "core/error.h"
#include "core/space.h"
#include "core/hardware.h"
#include "core/types.h"

typedef struct spt_bench_layer {
    char name[160];
    int64_t m, k, n;
    double sparsity; /* share of zeros */
    double dense_ns; /* the fastest dense contender; 0: none ran */
} spt_bench_layer;

#define SPT_BENCH_VARIANT_MAX (64 + SPT_POINT_TEXT_MAX)

/* One contender on one layer. */
typedef struct spt_bench_time {
    int64_t layer;
    char contender[128];
    char variant[SPT_BENCH_VARIANT_MAX]; /* family and point */
    double ns, bound_ns;                 /* bound_ns 0: none */
    double pack_ns;
} spt_bench_time;

typedef struct spt_bench_summary {
    spt_bench_layer *layers;
    spt_bench_time *times;
    int64_t n_layers, n_times, layer_capacity, time_capacity;
} spt_bench_summary;

/* Begin a layer; its contenders follow. Errors: ENOMEM. Owns: spt_bench_summary_fini, safe on a zeroed struct. */
spt_status spt_bench_summary_layer(spt_bench_summary *summary, const spt_bench_layer *layer);
/* Add a contender to the layer that was begun last; time->layer is set here. Errors: ENOMEM. */
spt_status spt_bench_summary_time(spt_bench_summary *summary, const spt_bench_time *time);
void spt_bench_summary_fini(spt_bench_summary *summary);

/* The layer's time of a contender, NULL when it did not run. */
const spt_bench_time *spt_bench_summary_find(const spt_bench_summary *summary, int64_t layer, const char *contender);
/* Is this time the first of its contender? For walks over contenders in order of appearance. */
bool spt_bench_summary_is_first(const spt_bench_summary *summary, int64_t time);

void spt_bench_summary_print(const spt_bench_summary *summary, FILE *out);
/* Write the plot as SVG: speed over dense (logarithmic) against sparsity, a dot per layer, a colour per contender. */
void spt_bench_plot(const spt_bench_summary *summary, FILE *out);

/* What a page says beside the figures. */
typedef struct spt_bench_page_head {
    const spt_device *device;
    const char *command;   /* how to run it again */
    const char *libraries; /* lines "contender: version" */
} spt_bench_page_head;

/* Write a page of Markdown: machine, libraries, command, summary, a row per layer. */
void spt_bench_page(const spt_bench_summary *summary, const spt_bench_page_head *head, FILE *out);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The plot of a bench as SVG: x is the share of zeros stretched towards 1 (-log of the density), y the speed over
 * dense, both logarithmic. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tuner/commands/bench_rivals.h"
#include "tuner/commands/bench_summary.h"

enum { WIDTH = 900, HEIGHT = 560, LEFT = 70, RIGHT = 170, TOP = 30, BOTTOM = 60, N_CONTENDERS_MAX = 10 };

static const char *const colours[N_CONTENDERS_MAX] = {"#d62728", "#ff9896", "#1f77b4", "#17becf", "#2ca02c",
                                                      "#9467bd", "#8c564b", "#7f7f7f", "#bcbd22", "#e377c2"};
static const double sparsity_ticks[] = {0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995};
static const double speed_ticks[] = {0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0};

static double x_of(double sparsity) {
    const double density = fmin(fmax(1.0 - sparsity, 0.003), 0.6);
    return LEFT + (WIDTH - LEFT - RIGHT) * (log(0.6) - log(density)) / (log(0.6) - log(0.003));
}

static double y_of(double speed) {
    const double bounded = fmin(fmax(speed, 0.05), 100.0);
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (log(bounded) - log(0.05)) / (log(100.0) - log(0.05));
}

static void write_axes(FILE *out) {
    fprintf(out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" font-family=\"sans-serif\" "
            "font-size=\"12\">\n<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
            WIDTH, HEIGHT);
    for (size_t i = 0; i < sizeof sparsity_ticks / sizeof sparsity_ticks[0]; i++)
        fprintf(out,
                "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\" stroke=\"#eee\"/><text x=\"%.1f\" y=\"%d\" "
                "text-anchor=\"middle\">%g %%</text>\n",
                x_of(sparsity_ticks[i]), x_of(sparsity_ticks[i]), TOP, HEIGHT - BOTTOM, x_of(sparsity_ticks[i]),
                HEIGHT - BOTTOM + 18, 100.0 * sparsity_ticks[i]);
    for (size_t i = 0; i < sizeof speed_ticks / sizeof speed_ticks[0]; i++)
        fprintf(out,
                "<line x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"%s\"/><text x=\"%d\" y=\"%.1f\" "
                "text-anchor=\"end\">%gx</text>\n",
                LEFT, WIDTH - RIGHT, y_of(speed_ticks[i]), y_of(speed_ticks[i]),
                speed_ticks[i] == 1.0 ? "#000" : "#eee", LEFT - 6, y_of(speed_ticks[i]) + 4, speed_ticks[i]);
    fprintf(out, "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">zeros</text>\n", (LEFT + WIDTH - RIGHT) / 2,
            HEIGHT - BOTTOM + 42);
    fprintf(out,
            "<text x=\"18\" y=\"%d\" transform=\"rotate(-90 18 %d)\" text-anchor=\"middle\">speed over dense"
            "</text>\n",
            HEIGHT / 2, HEIGHT / 2);
}

/* A contender's number in order of appearance; the last one takes all that are too many. */
static int number_of(const char **slots, int *n_names, const char *name) {
    for (int i = 0; i < *n_names; i++) {
        if (strcmp(slots[i], name) == 0)
            return i;
    }
    if (*n_names < N_CONTENDERS_MAX)
        slots[(*n_names)++] = name;
    return *n_names - 1;
}

static void write_dots(FILE *out, const spt_bench_summary *summary) {
    const char *names[N_CONTENDERS_MAX];
    int n_names = 0;
    for (int64_t i = 0; i < summary->n_times; i++) {
        const spt_bench_time *time = &summary->times[i];
        const spt_bench_layer *layer = &summary->layers[time->layer];
        if (spt_bench_is_advice(time->contender))
            continue;
        const int number = number_of(names, &n_names, time->contender);
        if (layer->dense_ns > 0.0)
            fprintf(out, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3.2\" fill=\"%s\" fill-opacity=\"0.75\"/>\n",
                    x_of(layer->sparsity), y_of(layer->dense_ns / time->ns), colours[number]);
    }
    for (int i = 0; i < n_names; i++)
        fprintf(out, "<circle cx=\"%d\" cy=\"%d\" r=\"4\" fill=\"%s\"/><text x=\"%d\" y=\"%d\">%s</text>\n",
                WIDTH - RIGHT + 20, TOP + 14 + 20 * i, colours[i], WIDTH - RIGHT + 32, TOP + 18 + 20 * i, names[i]);
}

void spt_bench_plot(const spt_bench_summary *summary, FILE *out) {
    write_axes(out);
    write_dots(out, summary);
    fputs("</svg>\n", out);
}

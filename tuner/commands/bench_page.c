/* SPDX-License-Identifier: Apache-2.0 */
/* The page of a bench as Markdown: what ran where, the summary, and one row per layer; columns of rivals hold their
 * time over the winner's. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "sparsetune.h"
#include "tuner/commands/bench_summary.h"

static void write_head(FILE *out, const spt_bench_summary *summary, const spt_bench_page_head *head) {
    const spt_device *device = head->device;
    const time_t now = time(NULL);
    struct tm date;
    char day[16] = "";
    if (gmtime_r(&now, &date) != NULL)
        strftime(day, sizeof day, "%Y-%m-%d", &date);
    fprintf(out, "# Race of %" PRId64 " layers\n\n%s, sparsetune %s, %s, %s kernels, usable cores: %d, %s\n`%s`\n\n",
            summary->n_layers, day, SPT_VERSION_TEXT, device->name, spt_isa_name(device->isa), device->n_cores,
            device->os, device->key);
    fprintf(out, "    %s\n\n%s\n```\n", head->command, head->libraries);
    spt_bench_summary_print(summary, out);
    fprintf(out, "```\n\n");
}

/* The columns of rivals, in order of appearance: their names (layer < 0), or their times over the winner's. */
static void write_rivals(FILE *out, const spt_bench_summary *summary, int64_t layer) {
    const spt_bench_time *tuned = layer >= 0 ? spt_bench_summary_find(summary, layer, "tuned") : NULL;
    for (int64_t i = 0; i < summary->n_times; i++) {
        const char *contender = summary->times[i].contender;
        if (strcmp(contender, "tuned") == 0 || !spt_bench_summary_is_first(summary, i))
            continue;
        const spt_bench_time *time = layer >= 0 ? spt_bench_summary_find(summary, layer, contender) : NULL;
        if (layer < 0)
            fprintf(out, " %s |", contender);
        else if (time != NULL && tuned != NULL)
            fprintf(out, " %.2f |", time->ns / tuned->ns);
        else
            fprintf(out, " - |");
    }
    fprintf(out, "\n");
}

static void write_table(FILE *out, const spt_bench_summary *summary) {
    fprintf(out, "Columns of contenders hold their time over the winner's: above 1 the winner is faster; advice_* are "
                 "products in narrower types.\n\n"
                 "| layer | m | k | n | zeros | winner | us | x dense | of bound | packing, ms |");
    write_rivals(out, summary, -1);
    fprintf(out, "|---|---|---|---|---|---|---|---|---|---|");
    for (int64_t i = 0; i < summary->n_times; i++) {
        if (strcmp(summary->times[i].contender, "tuned") != 0 && spt_bench_summary_is_first(summary, i))
            fprintf(out, "---|");
    }
    fprintf(out, "\n");
    for (int64_t i = 0; i < summary->n_layers; i++) {
        const spt_bench_layer *layer = &summary->layers[i];
        const spt_bench_time *tuned = spt_bench_summary_find(summary, i, "tuned");
        fprintf(out, "| %s | %" PRId64 " | %" PRId64 " | %" PRId64 " | %.1f %% |", layer->name, layer->m, layer->k,
                layer->n, 100.0 * layer->sparsity);
        if (tuned != NULL)
            fprintf(out, " %s | %.1f | %.2f | %.0f %% | %.2f |", tuned->variant, tuned->ns / 1e3,
                    layer->dense_ns / tuned->ns, 100.0 * tuned->bound_ns / tuned->ns, tuned->pack_ns / 1e6);
        else
            fprintf(out, " not tuned | - | - | - | - |");
        write_rivals(out, summary, i);
    }
}

void spt_bench_page(const spt_bench_summary *summary, const spt_bench_page_head *head, FILE *out) {
    write_head(out, summary, head);
    write_table(out, summary);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What plans cost beside packing, in a process that has just started: all layers of some suites, each with several
 * patterns of its own, are planned through the public interface alone.
 * usage: plans DB SEEDS SUITE... (DB was tuned with `tune --suite SUITE --seed S` for S from 1 to SEEDS) */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "sparsetune.h"
#include "tuner/input/input.h"

typedef struct totals {
    int64_t n_plans, n_exact;
    double plan_ns, pack_ns;
} totals;

static double now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static spt_status plan_layer(totals *sums, spt_context *context, const spt_layer *layer, const spt_csr *a) {
    const spt_problem problem = {
        .size = sizeof problem, .layout = layer->layout, .epilogue = layer->epilogue, .n = layer->n, .threads = 1};
    spt_choice choice = {.size = sizeof choice};
    spt_plan *plan;
    const double start = now_ns();
    SPT_TRY(spt_plan_spmm(&plan, context, a, &problem));
    sums->plan_ns += now_ns() - start;
    const spt_status status = spt_explain(plan, &choice);
    sums->pack_ns += choice.pack_ns;
    sums->n_exact += choice.match == SPT_MATCH_EXACT;
    sums->n_plans++;
    spt_plan_free(plan);
    return status;
}

static spt_status plan_suite(totals *sums, spt_context *context, const char *path, uint64_t seed) {
    const spt_input_options options = {.seed = seed};
    spt_layer_list layers = {0};
    spt_status status = spt_layers_add_suite(&layers, path, &options);
    for (int64_t i = 0; i < layers.count && status == SPT_OK; i++) {
        spt_matrix matrix;
        status = spt_layer_load(&matrix, &layers.items[i], &options);
        if (status != SPT_OK)
            break;
        status = plan_layer(sums, context, &layers.items[i], &matrix.view);
        spt_matrix_fini(&matrix);
    }
    spt_layer_list_fini(&layers);
    return status;
}

int main(int argc, char **argv) {
    spt_context *context;
    totals sums = {0};
    spt_status status = SPT_OK;
    if (argc < 4) {
        fprintf(stderr, "usage: plans DB SEEDS SUITE...\n");
        return 2;
    }
    const char *const databases[] = {argv[1], NULL};
    const spt_options options = {.size = sizeof options, .databases = databases};
    const double start = now_ns();
    status = spt_open(&context, &options);
    const double open_ns = now_ns() - start;
    if (status == SPT_OK) {
        const uint64_t n_seeds = strtoull(argv[2], NULL, 10);
        for (uint64_t seed = 1; seed <= n_seeds && status == SPT_OK; seed++)
            for (int i = 3; i < argc && status == SPT_OK; i++)
                status = plan_suite(&sums, context, argv[i], seed);
        spt_close(context);
    }
    if (status != SPT_OK) {
        fprintf(stderr, "%s\n", spt_last_error());
        return 3;
    }
    printf("spt_open %.2f ms; %" PRId64 " plans (%" PRId64 " tuned exactly) %.1f ms, of that packing %.1f ms: %.2fx\n",
           open_ns / 1e6, sums.n_plans, sums.n_exact, sums.plan_ns / 1e6, sums.pack_ns / 1e6,
           (open_ns + sums.plan_ns) / sums.pack_ns);
    return 0;
}

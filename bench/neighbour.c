/* SPDX-License-Identifier: Apache-2.0 */
/* How good is a neighbour's answer? Each tuned pattern is left out of the table in turn and asked for; what the chain
 * gives races the pattern's own winner and the untuned default, in rounds.
 * usage: neighbour DB PATTERN... (patterns that DB was tuned for) */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/memory.h"
#include "core/statistics.h"
#include "runtime/select.h"
#include "tuner/input/input.h"
#include "tuner/measure/meter.h"

enum { ROUNDS = 15, OWN = 0, CHAIN = 1, DEFAULT = 2, RACERS = 3 };
#define SAMPLE_NS 1e5

typedef struct racer {
    spt_prepared prepared;
    int repeats;
    double times[ROUNDS], median;
} racer;

typedef struct totals {
    double log_chain, log_default;
    int n, n_slower;
    double worst; /* the chain's time over the default's */
} totals;

static double now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* After another racer has run, a working set beyond L2 needs several runs to come to rest. */
static void warm(const racer *r, const spt_args *args) {
    const spt_measure_policy policy = spt_measure_policy_default();
    const double start = now_ns();
    for (int i = 0; i < policy.warm_runs && (i == 0 || now_ns() - start < policy.warm_ns_max); i++)
        spt_prepared_run(&r->prepared, args);
}

static double time_racer(const racer *r, const spt_args *args) {
    warm(r, args);
    const double start = now_ns();
    for (int i = 0; i < r->repeats; i++)
        spt_prepared_run(&r->prepared, args);
    return (now_ns() - start) / r->repeats;
}

/* Medians of interleaved rounds. */
static spt_status race(racer *racers, const spt_csr *a, int64_t n) {
    float *b = NULL, *c = NULL;
    void *workspace = NULL;
    size_t bytes = 0;
    spt_status status = SPT_OK;
    for (int i = 0; i < RACERS; i++) {
        const size_t own = spt_prepared_workspace(&racers[i].prepared, n);
        bytes = own > bytes ? own : bytes;
    }
    SPT_TRY_TO(done, SPT_NEW(b, a->n_cols * n));
    SPT_TRY_TO(done, SPT_NEW(c, a->n_rows * n));
    workspace = spt_alloc(bytes + 64, 1);
    SPT_TRY_TO(done, workspace != NULL ? SPT_OK : SPT_ENOMEM);
    for (int64_t i = 0; i < a->n_cols * n; i++)
        b[i] = (float)(i % 17) - 8.0f;
    const spt_args args = {
        .size = sizeof args, .n = n, .b = {b, 0, 0}, .c = {c, 0, 0}, .workspace = workspace, .workspace_bytes = bytes};
    for (int i = 0; i < RACERS; i++) {
        racers[i].repeats = 1;
        racers[i].repeats = (int)(SAMPLE_NS / time_racer(&racers[i], &args)) + 1;
    }
    for (int round = 0; round < ROUNDS; round++)
        for (int i = 0; i < RACERS; i++)
            racers[i].times[round] = time_racer(&racers[i], &args);
    for (int i = 0; i < RACERS; i++) {
        double scratch[ROUNDS];
        spt_summary summary;
        spt_summarize(&summary, racers[i].times, scratch, ROUNDS);
        racers[i].median = summary.median;
    }
done:
    spt_free(b);
    spt_free(c);
    spt_free(workspace);
    return status;
}

/* A context that knows all records but those of one pattern. */
static spt_status open_without(spt_context *out, const spt_device_records *all, const spt_device *device,
                               spt_hash128 left_out) {
    spt_device_records others = *all;
    spt_status status = SPT_OK;
    *out = (spt_context){.device = *device, .mode = SPT_MODE_FALLBACK};
    SPT_TRY(SPT_NEW(others.winners.items, all->winners.count));
    others.winners.count = 0;
    for (int64_t i = 0; i < all->winners.count; i++)
        if (!spt_hash_equal(all->winners.items[i].fingerprint, left_out))
            others.winners.items[others.winners.count++] = all->winners.items[i];
    SPT_TRY_TO(done, spt_table_init(&out->table, &others, 1));
    status = spt_memo_init(&out->memo);
done:
    spt_free(others.winners.items);
    return status;
}

static spt_status ready(racer *out, const spt_selection *selection, const spt_workload *workload,
                        const spt_device *device, const spt_csr *a) {
    return spt_prepared_init(&out->prepared, selection->family, &selection->point, workload, device, a);
}

static spt_status leave_out(totals *sums, const char *name, const spt_csr *a, const spt_winner *winner,
                            const spt_device_records *all, const spt_device *device) {
    const spt_problem problem = {.size = sizeof problem,
                                 .layout = winner->layout,
                                 .n = winner->n,
                                 .threads = winner->threads,
                                 .cache = winner->cache};
    spt_context context = {0};
    spt_workload workload;
    spt_selection chain = {0}, own = {0}, untuned = {0};
    racer *racers = NULL;
    spt_status status = SPT_OK;
    SPT_TRY_TO(done, SPT_NEW_ZEROED(racers, RACERS));
    SPT_TRY_TO(done, spt_workload_init(&workload, &problem, a));
    SPT_TRY_TO(done, open_without(&context, all, device, winner->fingerprint));
    SPT_TRY_TO(done, spt_select(&chain, &context, &workload));
    SPT_TRY_TO(done, spt_select_default(&untuned, &context, &workload, "", 0));
    own.family = spt_family_find(winner->family);
    SPT_TRY_TO(done, own.family != NULL ? SPT_OK : spt_fail(SPT_EINVAL, "no family %s", winner->family));
    SPT_TRY_TO(done, spt_point_parse(&own.point, own.family->axes, own.family->n_axes, winner->point));
    SPT_TRY_TO(done, ready(&racers[OWN], &own, &workload, device, a));
    SPT_TRY_TO(done, ready(&racers[CHAIN], &chain, &workload, device, a));
    SPT_TRY_TO(done, ready(&racers[DEFAULT], &untuned, &workload, device, a));
    SPT_TRY_TO(done, race(racers, a, winner->n));
    const double of_own = racers[OWN].median / racers[CHAIN].median;
    const bool is_default =
        chain.family == untuned.family && memcmp(&chain.point, &untuned.point, sizeof chain.point) == 0;
    const double over_default = is_default ? 1.0 : racers[CHAIN].median / racers[DEFAULT].median;
    printf("%-34s %6" PRId64 "  %-16s %5.2f %8.1f %8.1f %8.1f %7.3f %7.3f %7.3f\n", name, winner->n, chain.level,
           chain.distance, racers[OWN].median / 1e3, racers[CHAIN].median / 1e3, racers[DEFAULT].median / 1e3, of_own,
           over_default, chain.time_ns_expected / racers[CHAIN].median);
    sums->log_chain += log(of_own);
    sums->log_default += log(racers[OWN].median / racers[DEFAULT].median);
    sums->n++;
    sums->n_slower += over_default > 1.02;
    sums->worst = fmax(sums->worst, over_default);
done:
    for (int i = 0; i < RACERS && racers != NULL; i++)
        spt_prepared_fini(&racers[i].prepared);
    spt_free(racers);
    spt_table_fini(&context.table);
    spt_memo_fini(&context.memo);
    return status;
}

static spt_status leave_file_out(totals *sums, const char *path, const spt_device_records *all,
                                 const spt_device *device) {
    const spt_input_options options = {.min_sparsity = 0.0};
    spt_layer_list layers = {0};
    spt_matrix matrix = {0};
    spt_status status = SPT_OK;
    SPT_TRY_TO(done, spt_layers_add(&layers, path, &options));
    SPT_TRY_TO(done, spt_layer_load(&matrix, &layers.items[0], &options));
    const spt_hash128 fingerprint = spt_pattern_fingerprint(&matrix.view);
    for (int64_t i = 0; i < all->winners.count; i++)
        if (all->winners.items[i].rank == 0 && spt_hash_equal(all->winners.items[i].fingerprint, fingerprint))
            SPT_TRY_TO(done, leave_out(sums, layers.items[0].name, &matrix.view, &all->winners.items[i], all, device));
done:
    spt_matrix_fini(&matrix);
    spt_layer_list_fini(&layers);
    return status;
}

int main(int argc, char **argv) {
    spt_device device;
    spt_device_records own, near;
    totals sums = {0};
    if (argc < 3) {
        fprintf(stderr, "usage: neighbour DB PATTERN...\n");
        return 2;
    }
    if (spt_device_detect(&device) != SPT_OK || spt_db_read_device(&own, &near, argv[1], &device) != SPT_OK) {
        fprintf(stderr, "%s\n", spt_last_error());
        return 3;
    }
    printf("%-34s %6s  %-16s %5s %8s %8s %8s %7s %7s %7s\n", "pattern left out", "n", "level", "dist", "own us",
           "chain us", "untuned", "of own", "/default", "exp/real");
    for (int i = 2; i < argc; i++)
        if (leave_file_out(&sums, argv[i], &own, &device) != SPT_OK)
            fprintf(stderr, "%s: %s\n", argv[i], spt_last_error());
    if (sums.n > 0)
        printf(
            "%d problems: the chain reaches %.1f %% of the own winner's speed (geometric mean), the default %.1f %%; "
            "more than 2 %% slower than the default on %d, at worst %.2fx\n",
            sums.n, 100.0 * exp(sums.log_chain / sums.n), 100.0 * exp(sums.log_default / sums.n), sums.n_slower,
            sums.worst);
    spt_device_records_fini(&own);
    spt_device_records_fini(&near);
    return sums.n > 0 ? 0 : 1;
}

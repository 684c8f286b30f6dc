/* SPDX-License-Identifier: Apache-2.0 */
/* What a second thread is worth: in rounds of one run, one product on one thread, the same on two threads, and two
 * independent copies at once on one thread each, which is what the machine allows.
 * usage: scaling [--db FILE] PATTERN N [PATTERN N ...] */
#include <inttypes.h>
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/memory.h"
#include "core/statistics.h"
#include "sparsetune.h"
#include "tuner/input/input.h"
#include "tuner/measure/meter.h"

#define TIMED_NS 1e6

enum { ROUNDS = 21 };

/* How often a product runs until caches are at rest behind the other two, and then, timed. */
typedef struct run_counts {
    int warm, timed;
} run_counts;

typedef struct product {
    spt_plan *plan;
    float *b, *c;
    void *workspace;
    spt_args args;
} product;

static double now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static spt_status product_init(product *out, spt_context *context, const spt_csr *a, int64_t n, int threads) {
    const spt_problem problem = {.size = sizeof problem, .n = n, .threads = threads};
    *out = (product){0};
    SPT_TRY(spt_plan_spmm(&out->plan, context, a, &problem));
    const size_t bytes = spt_plan_workspace(out->plan, n) * (size_t)threads;
    SPT_TRY(SPT_NEW_ZEROED(out->b, a->n_cols * n));
    SPT_TRY(SPT_NEW_ZEROED(out->c, a->n_rows * n));
    out->workspace = spt_alloc_zeroed(bytes + 64, 1);
    for (int64_t i = 0; i < a->n_cols * n; i++)
        out->b[i] = (float)(i % 17) - 8.0f;
    out->args = (spt_args){.size = sizeof out->args, .n = n, .b = {out->b, 0, 0}, .c = {out->c, 0, 0}};
    out->args.workspace = out->workspace;
    out->args.workspace_bytes = bytes;
    return out->workspace != NULL ? SPT_OK : SPT_ENOMEM;
}

static void product_fini(product *p) {
    spt_plan_free(p->plan);
    spt_free(p->b);
    spt_free(p->c);
    spt_free(p->workspace);
}

/* ns of one product, of some in a row. */
static double time_one(const product *p, run_counts counts) {
    for (int i = 0; i < counts.warm; i++)
        spt_execute(p->plan, &p->args);
    const double start = now_ns();
    for (int i = 0; i < counts.timed; i++)
        spt_execute(p->plan, &p->args);
    return (now_ns() - start) / counts.timed;
}

/* ns of one product while another thread does the same with its own operands. */
static double time_copies(const product *first, const product *second, run_counts counts) {
    double ns[2] = {0.0, 0.0};
#pragma omp parallel num_threads(2)
    {
        const int own = omp_get_thread_num() & 1;
        const product *p = own == 0 ? first : second;
        for (int i = 0; i < counts.warm; i++)
            spt_execute_part(p->plan, &p->args, 0, 1);
#pragma omp barrier
        const double start = now_ns();
        for (int i = 0; i < counts.timed; i++)
            spt_execute_part(p->plan, &p->args, 0, 1);
        ns[own] = (now_ns() - start) / counts.timed;
    }
    return ns[0] > ns[1] ? ns[0] : ns[1];
}

static spt_status race(spt_context *context, const char *path, int64_t n, double *log_sum, int *n_large) {
    const spt_input_options options = {.min_sparsity = 0.0};
    double one[ROUNDS], two[ROUNDS], copies[ROUNDS], scratch[ROUNDS];
    spt_summary summary[3];
    spt_layer_list layers = {0};
    spt_matrix matrix = {0};
    product single = {0}, twin = {0}, both = {0};
    spt_status status = SPT_OK;
    SPT_TRY_TO(done, spt_layers_add(&layers, path, &options));
    SPT_TRY_TO(done, spt_layer_load(&matrix, &layers.items[0], &options));
    SPT_TRY_TO(done, product_init(&single, context, &matrix.view, n, 1));
    SPT_TRY_TO(done, product_init(&twin, context, &matrix.view, n, 1));
    SPT_TRY_TO(done, product_init(&both, context, &matrix.view, n, 2));
    const double once_ns = time_one(&single, (run_counts){3, 3});
    const run_counts counts = {(int)(spt_measure_policy_default().warm_ns_max / once_ns) + 4,
                               (int)(TIMED_NS / once_ns) + 4};
    for (int round = 0; round < ROUNDS; round++) {
        one[round] = time_one(&single, counts);
        two[round] = time_one(&both, counts);
        copies[round] = time_copies(&single, &twin, counts);
    }
    spt_summarize(&summary[0], one, scratch, ROUNDS);
    spt_summarize(&summary[1], two, scratch, ROUNDS);
    spt_summarize(&summary[2], copies, scratch, ROUNDS);
    const double mflop = 2e-6 * (double)spt_csr_nnz(&matrix.view) * (double)n;
    const double share = summary[2].median / (2.0 * summary[1].median);
    printf("%-34s %6" PRId64 " %8.1f %10.1f %10.1f %10.1f %8.2f %8.0f %%\n", layers.items[0].name, n, mflop,
           summary[0].median / 1e3, summary[1].median / 1e3, summary[2].median / 1e3,
           summary[0].median / summary[1].median, 100.0 * share);
    if (mflop >= 20.0) {
        *log_sum += log(share);
        (*n_large)++;
    }
done:
    product_fini(&single);
    product_fini(&twin);
    product_fini(&both);
    spt_matrix_fini(&matrix);
    spt_layer_list_fini(&layers);
    return status;
}

int main(int argc, char **argv) {
    const char *databases[] = {NULL, NULL};
    double log_sum = 0.0;
    int n_large = 0, first = 1;
    if (argc > 2 && strcmp(argv[1], "--db") == 0) {
        databases[0] = argv[2];
        first = 3;
    }
    const spt_options options = {.size = sizeof options, .databases = databases[0] != NULL ? databases : NULL};
    spt_context *context;
    if (first + 1 >= argc || (argc - first) % 2 != 0) {
        fprintf(stderr, "usage: scaling [--db FILE] PATTERN N [PATTERN N ...]\n");
        return 2;
    }
    if (spt_open(&context, &options) != SPT_OK) {
        fprintf(stderr, "%s\n", spt_last_error());
        return 3;
    }
    printf("%-34s %6s %8s %10s %10s %10s %8s %10s\n", "pattern", "n", "MFLOP", "one us", "two us", "copies us",
           "two/one", "of copies");
    for (int i = first; i + 1 < argc; i += 2) {
        if (race(context, argv[i], strtoll(argv[i + 1], NULL, 10), &log_sum, &n_large) != SPT_OK) {
            fprintf(stderr, "%s: %s\n", argv[i], spt_last_error());
            return 3;
        }
    }
    if (n_large > 0)
        printf("share of what two copies reach, %d layers of 20 MFLOP and more: %.0f %%\n", n_large,
               100.0 * exp(log_sum / n_large));
    spt_close(context);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* `sparsetune bench`: what the runtime would choose, the untuned default and every rival that is found, interleaved in
 * rounds of one run; then what the layers say together. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/file.h"
#include "core/memory.h"
#include "core/statistics.h"
#include "core/text.h"
#include "tuner/command.h"
#include "tuner/commands/bench_fixed.h"
#include "tuner/commands/bench_rivals.h"
#include "tuner/commands/bench_summary.h"
#include "tuner/measure/meter.h"
#include "tuner/options.h"
#include "tuner/plan_of.h"
#include "tuner/report.h"
#include "tuner/rivals/rivals.h"
#include "variants/bound.h"
#include "variants/family.h"
#include "variants/operation.h"

static const char usage[] =
    "usage: sparsetune bench PATTERN... | --suite FILE.json [--against A,B] [problem options]\n\n"
    "Measures the tuned winner, the untuned default and every rival that is found, interleaved in rounds of one run.\n"
    "Rivals: dense_openblas, dense_mkl, dense_blis, dense_onednn, mkl_sparse, libxsmm, eigen, csr (a plain loop)\n"
    "On a GPU: dense_cublas, cusparse_default, cusparse_csr1 to csr3, cusparse_coo1 to coo4, cusparselt,\n"
    "dense_cudnn_ALGORITHM for conv2d\n"
    "Beside the race, as advice that enters no ratio: dense products in bf16 and int8, on a GPU in TF32 (advice)\n\n"
    "options:\n"
    "  --suite FILE.json   layers of a model with their widths\n"
    "  --against A,B       only these rivals, or parts of their names: dense,mkl (all that are found)\n"
    "  --fixed LIST        one family and point for all layers, too: FAMILY:POINT;FAMILY:POINT\n"
    "  --plot FILE.svg     speed over dense against sparsity, a dot per layer and contender\n"
    "  --page FILE.md      all of it as one page: machine, libraries, means, a row per layer\n"
    "  --ceilings          measure this core's ceilings first and take bounds from them, not from the table\n"
    "  --seed S            of the random operands (0)\n"
    "  --min-sparsity S    skip tensors of a model with a smaller share of zeros (0.3)\n\n" SPT_PROBLEM_OPTIONS_USAGE
    "\nexit codes: 0 ok, 1 nothing was tuned for a pattern, 2 usage, 3 failure\n";

enum { CONTENDERS_MAX = SPT_BENCH_RIVALS_MAX + SPT_BENCH_FIXED_MAX + 2, ROUNDS = 11 };

typedef struct bench_options {
    spt_problem_options problem;
    spt_input_options input;
    const char *against, *suite, *plot, *page;
    bool has_ceilings;
    spt_bench_fixed fixed;
    char command[4096]; /* the command line as it was given */
} bench_options;

/* One line of the result. */
typedef struct contender {
    const char *name;
    spt_variant_id variant;
    double rounds_ns[ROUNDS];
    int n_rounds;
    double bound_ns; /* of the family's mapping; 0: none */
    double pack_ns;  /* the shortest of the rounds */
    int64_t packed_bytes;
    spt_summary summary;
    char failure[200];
} contender;

typedef struct bench {
    const bench_options *options;
    const spt_layer *layer;
    spt_workload workload;
    spt_device device;
    spt_ceilings ceilings; /* what bounds are computed from: the table's, or measured at the start */
    contender contenders[CONTENDERS_MAX];
    int n_contenders;
    bool is_tuned;
    bool is_missing_told[SPT_BENCH_RIVALS_MAX]; /* one sentence per run, not per layer */
    spt_bench_summary summary;
    spt_file_writer plot, page; /* where they are wanted */
} bench;

static void add_contender(bench *self, const char *name, const char *family, const char *point) {
    contender *added = &self->contenders[self->n_contenders++];
    *added = (contender){.name = name};
    spt_copy_text(added->variant.family, sizeof added->variant.family, family);
    spt_copy_text(added->variant.point, sizeof added->variant.point, point);
}

/* What the library would run, asked like any application asks. */
static spt_status add_tuned(bench *self, const spt_csr *a, const char *db_path) {
    const char *databases[] = {db_path, NULL};
    const spt_options options = {.size = sizeof options, .databases = databases};
    spt_context *context = NULL;
    spt_plan *plan = NULL;
    spt_choice choice = {.size = sizeof choice};
    spt_status status = SPT_OK;
    SPT_TRY_TO(done, spt_open(&context, &options));
    SPT_TRY_TO(done, spt_plan_of(&plan, context, a, &self->workload.problem));
    SPT_TRY_TO(done, spt_explain(plan, &choice));
    self->is_tuned =
        choice.match == SPT_MATCH_EXACT || choice.match == SPT_MATCH_NEAR_SIZE; /* not a neighbour's answer */
    if (self->is_tuned)
        add_contender(self, "tuned", choice.family, choice.point);
    else
        fprintf(stderr, "%s: tuned: missing for n %" PRId64 "; `sparsetune tune` with the same options would find it\n",
                self->layer->name, self->workload.problem.n);
done:
    spt_plan_free(plan);
    spt_close(context);
    return status;
}

static spt_status add_default(bench *self) {
    const spt_family *family;
    spt_point point;
    char text[SPT_POINT_TEXT_MAX];
    SPT_TRY(spt_default_variant(&family, &point, &self->workload, &self->device));
    SPT_TRY(spt_point_text(text, family->axes, family->n_axes, &point));
    add_contender(self, "default", family->name, text);
    return SPT_OK;
}

/* Every rival that is wanted and can take this problem, or all such advice; the others are named. */
static void add_rivals(bench *self, bool is_advice) {
    for (int i = 0; i < spt_bench_n_rivals; i++) {
        const spt_bench_rival *rival = &spt_bench_rivals[i];
        if (spt_bench_is_advice(rival->contender) != is_advice ||
            !spt_bench_wants(self->options->against, rival->contender) ||
            self->workload.problem.op != spt_family_find(rival->family)->op ||
            self->device.kind != spt_family_find(rival->family)->device)
            continue;
        const char *absence = spt_bench_rival_absence(rival, &self->workload, &self->device);
        if (absence == NULL)
            add_contender(self, rival->contender, rival->family, rival->point);
        else if (!self->is_missing_told[i])
            fprintf(stderr, "%s: %s\n", rival->contender, absence);
        self->is_missing_told[i] |= absence != NULL;
    }
}

/* The fixed variants that are valid here. */
static void add_fixed(bench *self) {
    const spt_bench_fixed *fixed = &self->options->fixed;
    for (int i = 0; i < fixed->count; i++) {
        const spt_family *family = fixed->families[i];
        char text[SPT_POINT_TEXT_MAX];
        if (spt_family_check(family, &self->workload, &self->device) == SPT_OK &&
            family->is_valid(&self->workload, &self->device, &fixed->points[i]) &&
            spt_point_text(text, family->axes, family->n_axes, &fixed->points[i]) == SPT_OK)
            add_contender(self, fixed->names[i], family->name, text);
    }
}

/* Race the contenders from `first` on. */
static spt_status run_rounds(bench *self, spt_meter *meter, int first) {
    spt_variant_id variants[CONTENDERS_MAX];
    spt_measurement measured[CONTENDERS_MAX];
    double scratch[ROUNDS];
    const int count = self->n_contenders - first;
    contender *contenders = self->contenders + first;
    for (int i = 0; i < count; i++)
        variants[i] = contenders[i].variant;
    for (int round = 0; round < ROUNDS && count > 0; round++) {
        SPT_TRY(spt_meter_round(meter, variants, count, measured));
        for (int i = 0; i < count; i++) {
            contender *c = &contenders[i];
            if (measured[i].status == SPT_TRIAL_CORRECT) {
                c->pack_ns = c->n_rounds == 0 ? measured[i].pack_ns : fmin(c->pack_ns, measured[i].pack_ns);
                c->packed_bytes = measured[i].packed_bytes;
                c->rounds_ns[c->n_rounds++] = measured[i].time_ns_median;
            } else {
                spt_copy_text(c->failure, sizeof c->failure, measured[i].reason);
            }
        }
    }
    for (int i = 0; i < count; i++) {
        contender *c = &contenders[i];
        if (c->n_rounds > 0)
            spt_summarize(&c->summary, c->rounds_ns, scratch, c->n_rounds);
        else
            fprintf(stderr, "%s: %s: %s\n", self->layer->name, c->name, c->failure);
    }
    return SPT_OK;
}

/* The fastest dense time; 0 where there is none. */
static double dense_ns(const bench *self) {
    double best = 0.0;
    for (int i = 0; i < self->n_contenders; i++) {
        const contender *c = &self->contenders[i];
        if (strncmp(c->name, "dense_", 6) == 0 && c->n_rounds > 0 && (best == 0.0 || c->summary.median < best))
            best = c->summary.median;
    }
    return best;
}

static double sparsity_of(const bench *self) {
    const spt_pattern *pattern = &self->workload.pattern;
    const double cells = (double)pattern->n_rows * (double)pattern->n_cols;
    return cells > 0.0 ? 1.0 - (double)pattern->nnz / cells : 0.0;
}

/* The bound of a contender's mapping, 0 for a rival that has none. The ceilings of this run hold for that only: the
 * untuned default is what the library would choose from its table. */
static double bound_of(const bench *self, const contender *c) {
    const spt_family *family = spt_family_find(c->variant.family);
    spt_point point;
    if (spt_point_parse(&point, family->axes, family->n_axes, c->variant.point) != SPT_OK)
        return 0.0;
    spt_ceilings_use(self->device.isa, &self->ceilings);
    const double bound_ns = family->bound_ns(&self->workload, &self->device, &point);
    spt_ceilings_use(self->device.isa, NULL);
    return isfinite(bound_ns) ? bound_ns : 0.0;
}

/* Advice has no speed over dense: it is no answer in this element type. */
static double speed_over_dense(const contender *c, double dense) {
    return spt_bench_is_advice(c->name) ? 0.0 : dense / c->summary.median;
}

static spt_status print_json(const bench *self, const contender *c, double gflops, double dense) {
    const double ns = c->summary.median, ci_ns = 0.5 * (c->summary.ci_high - c->summary.ci_low);
    const spt_problem *problem = &self->workload.problem;
    const spt_pattern *pattern = &self->workload.pattern;
    return spt_json_print(json_pack(
        "{so ss ss sI sI sI sf sI ss ss si ss ss ss sf sf sf sf sf sf sf sI}", "pattern",
        spt_json_name(self->layer->name), "op", spt_op_name(problem->op), "dtype", spt_dtype_name(problem->dtype), "m",
        (json_int_t)pattern->n_rows, "k", (json_int_t)pattern->n_cols, "nnz", (json_int_t)pattern->nnz, "sparsity",
        sparsity_of(self), "n", (json_int_t)problem->n, "layout", spt_layout_name(problem->layout), "cache",
        spt_cache_name(problem->cache), "threads", problem->threads, "contender", c->name, "family", c->variant.family,
        "point", c->variant.point, "time_ns_median", ns, "ci_ns", ci_ns, "gflops", gflops, "speedup_over_dense",
        speed_over_dense(c, dense), "bound_ns", c->bound_ns, "bound_share", c->bound_ns / ns, "pack_ns", c->pack_ns,
        "packed_bytes", (json_int_t)c->packed_bytes));
}

static void variant_text(char out[SPT_BENCH_VARIANT_MAX], const contender *c) {
    snprintf(out, SPT_BENCH_VARIANT_MAX, "%.62s %s", c->variant.family, c->variant.point);
}

static spt_status print_contender(const bench *self, const contender *c, double dense) {
    const double ns = c->summary.median, gflops = spt_workload_flops(&self->workload) / ns;
    char variant[SPT_BENCH_VARIANT_MAX], speed[32];
    if (self->options->problem.json)
        return print_json(self, c, gflops, dense);
    variant_text(variant, c);
    snprintf(speed, sizeof speed, "%.2f", speed_over_dense(c, dense));
    printf("%-28s %6" PRId64 "  %-18s %-78s %10.1f us %8.1f %8s\n", self->layer->name, self->workload.problem.n,
           c->name, variant, ns / 1e3, gflops, speed_over_dense(c, dense) > 0.0 ? speed : "-");
    return SPT_OK;
}

/* What the layers' summary needs of one problem. */
static spt_status add_to_summary(bench *self, double dense) {
    const spt_pattern *pattern = &self->workload.pattern;
    spt_bench_layer layer = {.m = pattern->n_rows,
                             .k = pattern->n_cols,
                             .n = self->workload.problem.n,
                             .sparsity = sparsity_of(self),
                             .dense_ns = dense};
    spt_copy_text(layer.name, sizeof layer.name, self->layer->name);
    SPT_TRY(spt_bench_summary_layer(&self->summary, &layer));
    for (int i = 0; i < self->n_contenders; i++) {
        const contender *c = &self->contenders[i];
        spt_bench_time time = {.ns = c->summary.median, .bound_ns = c->bound_ns, .pack_ns = c->pack_ns};
        spt_copy_text(time.contender, sizeof time.contender, c->name);
        variant_text(time.variant, c);
        if (c->n_rounds > 0)
            SPT_TRY(spt_bench_summary_time(&self->summary, &time));
    }
    return SPT_OK;
}

static spt_status bench_problem(bench *self, spt_meter *meter, const spt_csr *a, const char *db_path) {
    self->n_contenders = 0;
    SPT_TRY(add_tuned(self, a, db_path));
    SPT_TRY(add_default(self));
    add_rivals(self, false);
    add_fixed(self);
    SPT_TRY(spt_meter_load(meter, &self->workload, a, self->options->input.seed));
    SPT_TRY(run_rounds(self, meter, 0));
    const int n_raced = self->n_contenders;
    add_rivals(self, true); /* after the race, so as not to disturb it */
    SPT_TRY(run_rounds(self, meter, n_raced));
    const double dense = dense_ns(self);
    for (int i = 0; i < self->n_contenders; i++) {
        self->contenders[i].bound_ns = bound_of(self, &self->contenders[i]);
        if (self->contenders[i].n_rounds > 0)
            SPT_TRY(print_contender(self, &self->contenders[i], dense));
    }
    return add_to_summary(self, dense);
}

static spt_status bench_layer(bench *self, spt_meter *meter, const char *db_path, int *exit_code) {
    const int64_t *widths;
    int n_widths;
    spt_matrix matrix;
    SPT_TRY(spt_options_widths(&widths, &n_widths, &self->options->problem, self->layer));
    SPT_TRY(spt_layer_load(&matrix, self->layer, &self->options->input));
    spt_status status = spt_options_check_layer(&self->options->problem, self->layer, &matrix.view);
    for (int i = 0; i < n_widths && status == SPT_OK; i++) {
        const spt_problem problem = spt_options_problem(&self->options->problem, self->layer, widths[i]);
        status = spt_workload_init(&self->workload, &problem, &matrix.view);
        if (status == SPT_OK)
            status = bench_problem(self, meter, &matrix.view, db_path);
        if (!self->is_tuned)
            *exit_code = SPT_EXIT_NEGATIVE;
    }
    spt_matrix_fini(&matrix);
    return status;
}

/* The files are opened before anything is measured: a folder that is missing must not cost a race. */
static spt_status open_files(bench *self) {
    if (self->options->plot != NULL)
        SPT_TRY(spt_file_writer_open(&self->plot, self->options->plot));
    if (self->options->page != NULL)
        SPT_TRY(spt_file_writer_open(&self->page, self->options->page));
    return SPT_OK;
}

static void write_page(const bench *self) {
    char libraries[2048];
    spt_text text;
    spt_text_init(&text, libraries, sizeof libraries);
    spt_bench_list_libraries(&text, self->options->against, &self->workload, &self->device);
    const spt_bench_page_head head = {&self->device, self->options->command, libraries};
    spt_bench_page(&self->summary, &head, self->page.stream);
}

static spt_status write_files(bench *self) {
    if (self->options->plot != NULL) {
        spt_bench_plot(&self->summary, self->plot.stream);
        SPT_TRY(spt_file_writer_commit(&self->plot));
    }
    if (self->options->page != NULL) {
        write_page(self);
        SPT_TRY(spt_file_writer_commit(&self->page));
    }
    return SPT_OK;
}

static void fini(bench *self) {
    if (self == NULL)
        return;
    spt_file_writer_discard(&self->plot);
    spt_file_writer_discard(&self->page);
    spt_bench_summary_fini(&self->summary);
    spt_free(self);
}

static spt_status run(int argc, char **argv, int *exit_code) {
    bench_options options = {.input = {.min_sparsity = 0.3}};
    spt_layer_list layers = {0};
    spt_meter *meter = NULL;
    bench *self = NULL;
    const char *fixed = NULL;
    char db_path[4096] = "";
    int n_patterns;
    spt_status status = SPT_OK;
    const spt_option rows[] = {
        {"--against", SPT_OPTION_TEXT, &options.against},
        {"--suite", SPT_OPTION_TEXT, &options.suite},
        {"--fixed", SPT_OPTION_TEXT, &fixed},
        {"--plot", SPT_OPTION_TEXT, &options.plot},
        {"--page", SPT_OPTION_TEXT, &options.page},
        {"--ceilings", SPT_OPTION_FLAG, &options.has_ceilings},
        {"--seed", SPT_OPTION_SEED, &options.input.seed},
        {"--min-sparsity", SPT_OPTION_SHARE, &options.input.min_sparsity},
    };
    spt_text command;
    spt_text_init(&command, options.command, sizeof options.command);
    spt_text_add(&command, "sparsetune");
    for (int i = 0; i < argc; i++)
        spt_text_add(&command, " %s", argv[i]);
    SPT_TRY(spt_options_parse(&n_patterns, argc, argv, rows, (int)(sizeof rows / sizeof rows[0]), &options.problem));
    if (n_patterns == 0 && options.suite == NULL)
        return spt_usage_fail("expected a PATTERN or --suite FILE.json, found neither");
    SPT_TRY(spt_bench_check_wanted(options.against));
    SPT_TRY(spt_bench_fixed_parse(&options.fixed, fixed));
    spt_rivals_plant();
    spt_measure_policy policy = spt_measure_policy_default();
    SPT_TRY_TO(done, spt_options_db_path(db_path, sizeof db_path, &options.problem));
    SPT_TRY_TO(done, SPT_NEW_ZEROED(self, 1));
    self->options = &options;
    SPT_TRY_TO(done, open_files(self));
    SPT_TRY_TO(done, spt_device_find(&self->device, self->options->problem.device));
    spt_measure_policy_adapt(&policy, &self->device);
    SPT_TRY_TO(done, spt_meter_open(&meter, NULL, &policy));
    self->ceilings = *spt_ceilings_get(&self->device);
    if (options.has_ceilings)
        SPT_TRY_TO(done, spt_ceilings_measure(&self->ceilings, &self->device));
    for (int i = 1; i <= n_patterns; i++)
        SPT_TRY_TO(done, spt_options_pattern(&layers, argv[i], &options.input));
    if (options.suite != NULL)
        SPT_TRY_TO(done, spt_layers_add_suite(&layers, options.suite, &options.input));
    if (!options.problem.json)
        printf("%-28s %6s  %-18s %-78s %13s %8s %8s\n", "layer", "n", "contender", "variant", "time", "GFLOP/s",
               "x dense");
    for (int64_t i = 0; i < layers.count; i++) {
        self->layer = &layers.items[i];
        SPT_TRY_TO(done, bench_layer(self, meter, db_path, exit_code));
    }
    if (!options.problem.json)
        spt_bench_summary_print(&self->summary, stdout);
    SPT_TRY_TO(done, write_files(self));
done:
    fini(self);
    spt_meter_close(meter);
    spt_layer_list_fini(&layers);
    return status;
}

const spt_command spt_command_bench = {
    .name = "bench",
    .summary = "race the tuned winner against the default and the dense rivals",
    .usage = usage,
    .run = run,
};

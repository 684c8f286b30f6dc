/* SPDX-License-Identifier: Apache-2.0 */
/* `sparsetune show`: what the library would run for a pattern, how it knows, and why. Asked through the public header,
 * like any client; the plan is made ready, so a variant that cannot be made ready is not shown. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>

#include "core/text.h"
#include "sparsetune.h"
#include "tuner/command.h"
#include "tuner/options.h"
#include "tuner/plan_of.h"
#include "tuner/progress.h"
#include "tuner/report.h"

static const char usage[] =
    "usage: sparsetune show PATTERN... [options]\n\n"
    "Says which kernel the library would run for each pattern, at which level it found it (exact, near_size,\n"
    "near_pattern, near_device or default), the expected time and the reason. Nothing is measured.\n"
    "PATTERN: .smtx, .mtx, .npy, .safetensors, or a generator such as uniform:512x256@0.9\n\n"
    "options:\n"
    "  --suite FILE.json   layers of a model with their widths\n"
    "  --seed S            of generated patterns (0)\n"
    "  --min-sparsity S    skip tensors of a model with a smaller share of zeros (0.3)\n"
    "  --db FILE           look here alone (otherwise: SPARSETUNE_DB, ./.sparsetune.db, the user's and the site's\n"
    "                      data folders; the first that knows the problem answers)\n\n" SPT_PROBLEM_OPTIONS_USAGE
    "\nexit codes: 0 tuned results apply to every problem, 1 some have the default only, 2 usage, 3 failure\n";

enum { NOTICES_MAX = 8 };

/* One run of the command. */
typedef struct show {
    spt_problem_options problem;
    spt_input_options input;
    spt_layer_list layers;
    spt_context *context;
    int64_t n_shown, n_defaults;
    char notices[NOTICES_MAX][512]; /* of the library, until there is an answer that they explain */
    int n_notices;
} show;

static void hold_notice(void *user, const char *message) {
    show *self = user;
    if (self->n_notices < NOTICES_MAX)
        spt_copy_text(self->notices[self->n_notices++], sizeof self->notices[0], message);
}

static void say_notices(show *self) {
    for (int i = 0; i < self->n_notices; i++)
        spt_say("%s", self->notices[i]);
    self->n_notices = 0;
}

static double gflops_of(const spt_csr *a, int64_t n, double time_ns) {
    return time_ns > 0.0 ? 2.0 * (double)spt_csr_nnz(a) * (double)n / time_ns : 0.0;
}

static spt_status print_json(const spt_layer *layer, const spt_csr *a, const spt_problem *problem,
                             const spt_choice *choice) {
    char fingerprint[SPT_HASH_TEXT_SIZE];
    spt_hash_text(fingerprint, spt_pattern_fingerprint(a));
    return spt_json_print(json_pack(
        "{s:o, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:s, s:s, s:s, s:f, s:f, s:f, s:f, s:I, s:s, s:b, s:I, s:f, "
        "s:s, s:s,"
        " s:f, s:f, s:f, s:s}",
        "pattern", spt_json_name(layer->name), "op", spt_op_name(problem->op), "dtype", spt_dtype_name(problem->dtype),
        "layout", spt_layout_name(problem->layout), "epilogue", spt_epilogue_name(problem->epilogue), "m",
        (json_int_t)a->n_rows, "k", (json_int_t)a->n_cols, "nnz", (json_int_t)spt_csr_nnz(a), "n",
        (json_int_t)problem->n, "match", spt_match_name(choice->match), "family", choice->family, "point",
        choice->point, "time_ns_median", choice->time_ns_expected, "gflops",
        gflops_of(a, problem->n, choice->time_ns_expected), "speedup_over_dense", choice->speedup_over_dense,
        "speedup_over_default", choice->speedup_over_default, "n_tuned", (json_int_t)choice->n_tuned, "reason",
        choice->reason, "stale", choice->stale, "packed_bytes", (json_int_t)choice->packed_bytes, "pack_ns",
        choice->pack_ns, "level", choice->level, "neighbour", choice->neighbour, "neighbour_distance",
        choice->neighbour_distance, "loss_expected", choice->loss_expected, "compile_ns", choice->compile_ns,
        "fingerprint", fingerprint));
}

static void expectation_text(char *out, size_t capacity, const spt_csr *a, int64_t n, const spt_choice *choice) {
    char time[SPT_TIME_TEXT_SIZE];
    spt_time_text(time, choice->time_ns_expected);
    if (choice->time_ns_expected > 0.0)
        snprintf(out, capacity, "%s, %.1f GFLOP/s%s", time, gflops_of(a, n, choice->time_ns_expected),
                 choice->match == SPT_MATCH_DEFAULT ? " (the model's bound, not measured)" : "");
    else
        snprintf(out, capacity, "not known (the model counts nonzeros, and there are none)");
}

static void print_text(const spt_layer *layer, const spt_csr *a, const spt_problem *problem, const spt_choice *choice) {
    char expected[128], speedup[32] = "not measured";
    expectation_text(expected, sizeof expected, a, problem->n, choice);
    if (choice->speedup_over_dense > 0.0)
        snprintf(speedup, sizeof speedup, "%.2f", choice->speedup_over_dense);
    printf("%s  n=%" PRId64 "\n  runs         %s %s\n  match        %s%s\n  expected     %s\n"
           "  over dense   %s\n  why          %s\n%s%s%s",
           layer->name, problem->n, choice->family, choice->point, spt_match_name(choice->match),
           choice->stale ? " (stale)" : "", expected, speedup, choice->reason,
           choice->neighbour[0] != '\0' ? "  neighbour    " : "", choice->neighbour,
           choice->neighbour[0] != '\0' ? "\n" : "");
}

static spt_status show_width(show *self, const spt_layer *layer, const spt_csr *a, int64_t n) {
    const spt_problem problem = spt_options_problem(&self->problem, layer, n);
    spt_plan *plan = NULL;
    spt_choice choice = {.size = sizeof choice};
    SPT_TRY(spt_plan_of(&plan, self->context, a, &problem));
    spt_status status = spt_explain(plan, &choice);
    spt_plan_free(plan);
    if (status != SPT_OK)
        return status;
    say_notices(self);
    self->n_shown++;
    self->n_defaults += choice.match == SPT_MATCH_DEFAULT;
    if (self->problem.json)
        return print_json(layer, a, &problem, &choice);
    print_text(layer, a, &problem, &choice);
    return SPT_OK;
}

static spt_status show_layer(show *self, const spt_layer *layer) {
    const int64_t *widths = NULL;
    int n_widths = 0;
    spt_matrix matrix = {0};
    SPT_TRY(spt_options_widths(&widths, &n_widths, &self->problem, layer));
    spt_status status = spt_layer_load(&matrix, layer, &self->input);
    if (status == SPT_OK)
        status = spt_options_check_layer(&self->problem, layer, &matrix.view);
    for (int i = 0; i < n_widths && status == SPT_OK; i++)
        status = show_width(self, layer, &matrix.view, widths[i]);
    spt_matrix_fini(&matrix);
    return status;
}

static spt_status show_layers(show *self, char **patterns, int n_patterns, const char *suite) {
    if (suite != NULL)
        SPT_TRY(spt_layers_add_suite(&self->layers, suite, &self->input));
    for (int i = 0; i < n_patterns; i++)
        SPT_TRY(spt_options_pattern(&self->layers, patterns[i], &self->input));
    for (int64_t i = 0; i < self->layers.count; i++) { /* usage errors before the first answer */
        const int64_t *widths = NULL;
        int n_widths = 0;
        SPT_TRY(spt_options_widths(&widths, &n_widths, &self->problem, &self->layers.items[i]));
    }
    const char *const databases[] = {self->problem.db_path, NULL};
    const spt_options options = {.size = sizeof options,
                                 .databases = self->problem.db_path != NULL ? databases : NULL,
                                 .log = hold_notice,
                                 .log_user = self};
    SPT_TRY(spt_open(&self->context, &options));
    for (int64_t i = 0; i < self->layers.count; i++)
        SPT_TRY(show_layer(self, &self->layers.items[i]));
    return SPT_OK;
}

static spt_status run(int argc, char **argv, int *exit_code) {
    show self = {.input = {.min_sparsity = 0.3}};
    const char *suite = NULL;
    int n_patterns = 0;
    const spt_option rows[] = {{"--suite", SPT_OPTION_TEXT, &suite},
                               {"--seed", SPT_OPTION_SEED, &self.input.seed},
                               {"--min-sparsity", SPT_OPTION_SHARE, &self.input.min_sparsity}};
    SPT_TRY(spt_options_parse(&n_patterns, argc, argv, rows, (int)(sizeof rows / sizeof rows[0]), &self.problem));
    if (n_patterns == 0 && suite == NULL)
        return spt_usage_fail("expected a PATTERN or --suite FILE.json, found neither");
    const spt_status status = show_layers(&self, argv + 1, n_patterns, suite);
    spt_close(self.context);
    spt_layer_list_fini(&self.layers);
    if (self.n_defaults > 0 || self.n_shown == 0)
        *exit_code = SPT_EXIT_NEGATIVE;
    return status;
}

const spt_command spt_command_show = {
    .name = "show",
    .summary = "say what the library would run for a pattern, and why",
    .usage = usage,
    .run = run,
};

/* SPDX-License-Identifier: Apache-2.0 */
/* `sparsetune db layers`: the databases that the library asks, in its order; with a pattern, which one answers and why.
 * The answers come from the library itself, asked through its public header with one layer at a time. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "db/reader_layers.h"
#include "db/upkeep.h"
#include "sparsetune.h"
#include "tuner/commands/db_verbs.h"
#include "tuner/plan_of.h"

typedef struct layers {
    spt_problem_options problem;
    spt_input_options input;
    spt_layer_paths paths;
    spt_device device;
    char host[SPT_UUID_TEXT_SIZE];
    bool has_answer; /* an exact one was printed */
} layers;

/* ---- what lies at a path ---- */

typedef struct layer_state {
    const char *state;         /* missing, unreadable, damaged, ok */
    char sentence[512];        /* why it cannot be read, or what is wrong with it */
    int64_t n_winners, n_here; /* for this device; of them, measured on this host */
} layer_state;

static spt_status look(layer_state *out, const layers *self, const char *path) {
    spt_winner_list winners;
    spt_checksum checksum;
    *out = (layer_state){.state = "missing"};
    if (access(path, F_OK) != 0)
        return SPT_OK;
    const spt_status status = spt_db_read_winners(&winners, path, self->device.key);
    if (status == SPT_ENOMEM)
        return status;
    out->state = status == SPT_OK ? "ok" : "unreadable";
    if (status != SPT_OK) {
        snprintf(out->sentence, sizeof out->sentence, "%s", spt_last_error());
        return SPT_OK;
    }
    if (spt_db_checksum_verify(&checksum, path) == SPT_OK && checksum == SPT_CHECKSUM_WRONG) {
        out->state = "damaged";
        snprintf(out->sentence, sizeof out->sentence,
                 "not the bytes that were published; the library reads it, and passes over what is not legal");
    }
    for (int64_t i = 0; i < winners.count; i++) {
        out->n_winners += winners.items[i].rank == 0;
        out->n_here += winners.items[i].rank == 0 && strcmp(winners.items[i].host, self->host) == 0;
    }
    spt_winner_list_fini(&winners);
    return SPT_OK;
}

static spt_status print_layer(const layers *self, int index) {
    const char *path = self->paths.items[index].path;
    layer_state found;
    SPT_TRY(look(&found, self, path));
    if (self->problem.json)
        return spt_json_print(json_pack("{si so ss sI sI so}", "layer", index, "path", spt_json_name(path), "state",
                                        found.state, "winners", (json_int_t)found.n_winners, "winners_of_this_host",
                                        (json_int_t)found.n_here, "reason", spt_json_name(found.sentence)));
    printf("%d  %-10s %s", index + 1, found.state, path);
    if (strcmp(found.state, "ok") == 0 || strcmp(found.state, "damaged") == 0)
        printf("  (%" PRId64 " winners for this device, %" PRId64 " of them measured on this host)", found.n_winners,
               found.n_here);
    printf("%s%s\n", found.sentence[0] != '\0' ? "\n   " : "", found.sentence);
    return SPT_OK;
}

/* ---- what it answers ---- */

static spt_status ask(spt_choice *out, const spt_csr *a, const spt_problem *problem, const char *const *databases) {
    const spt_options options = {.size = sizeof options, .databases = databases};
    spt_context *context = NULL;
    spt_plan *plan = NULL;
    *out = (spt_choice){.size = sizeof *out};
    spt_status status = spt_open(&context, &options);
    if (status == SPT_OK)
        status = spt_plan_of(&plan, context, a, problem);
    if (status == SPT_OK)
        status = spt_explain(plan, out);
    spt_plan_free(plan);
    spt_close(context);
    return status;
}

static spt_status print_answer(layers *self, int index, const char *name, const spt_csr *a,
                               const spt_problem *problem) {
    const char *path = self->paths.items[index].path;
    const char *const databases[] = {path, NULL};
    spt_choice choice;
    if (access(path, F_OK) != 0)
        return SPT_OK;
    SPT_TRY(ask(&choice, a, problem, databases));
    const bool is_exact = choice.match == SPT_MATCH_EXACT;
    const bool answers = is_exact && !self->has_answer;
    self->has_answer |= is_exact;
    if (self->problem.json)
        return spt_json_print(json_pack("{so sI si so ss ss ss ss sb}", "pattern", spt_json_name(name), "n",
                                        (json_int_t)problem->n, "layer", index, "path", spt_json_name(path), "match",
                                        spt_match_name(choice.match), "family", choice.family, "point", choice.point,
                                        "reason", choice.reason, "answers", (int)answers));
    printf("  %d %-12s %s %s: %s%s\n", index + 1, spt_match_name(choice.match), choice.family, choice.point,
           choice.reason, answers ? "  <- answers" : "");
    return SPT_OK;
}

static spt_status ask_layers(layers *self, const spt_layer *layer, const spt_csr *a, int64_t n) {
    const spt_problem problem = spt_options_problem(&self->problem, layer, n);
    self->has_answer = false;
    if (!self->problem.json)
        printf("\n%s  n=%" PRId64 "\n", layer->name, n);
    for (int i = 0; i < self->paths.count; i++)
        SPT_TRY(print_answer(self, i, layer->name, a, &problem));
    if (self->has_answer || self->problem.json)
        return SPT_OK;
    spt_choice choice;
    const char *const databases[] = {self->problem.db_path, NULL};
    SPT_TRY(ask(&choice, a, &problem, self->problem.db_path != NULL ? databases : NULL));
    printf("  no layer knows it; all together: %s %s %s: %s\n", spt_match_name(choice.match), choice.family,
           choice.point, choice.reason);
    return SPT_OK;
}

static spt_status ask_about(layers *self, const char *pattern) {
    spt_layer_list list = {0};
    spt_matrix matrix = {0};
    spt_status status = spt_layers_add(&list, pattern, &self->input);
    for (int64_t i = 0; i < list.count && status == SPT_OK; i++) {
        const int64_t *widths;
        int n_widths = 0;
        status = spt_options_widths(&widths, &n_widths, &self->problem, &list.items[i]);
        if (status == SPT_OK)
            status = spt_layer_load(&matrix, &list.items[i], &self->input);
        for (int j = 0; j < n_widths && status == SPT_OK; j++)
            status = ask_layers(self, &list.items[i], &matrix.view, widths[j]);
        spt_matrix_fini(&matrix);
    }
    spt_layer_list_fini(&list);
    return status;
}

static spt_status print_all(layers *self, char **patterns, int n_patterns) {
    const char *const databases[] = {self->problem.db_path, NULL};
    SPT_TRY(spt_device_detect(&self->device));
    spt_db_host_id(self->host);
    SPT_TRY(spt_layer_paths_init(&self->paths, self->problem.db_path != NULL ? databases : NULL));
    for (int i = 0; i < self->paths.count; i++)
        SPT_TRY(print_layer(self, i));
    for (int i = 0; i < n_patterns; i++)
        SPT_TRY(ask_about(self, patterns[i]));
    return SPT_OK;
}

spt_status spt_db_verb_layers(int argc, char **argv, int *exit_code) {
    layers self = {.input = {.min_sparsity = 0.3}};
    const spt_option rows[] = {{"--seed", SPT_OPTION_SEED, &self.input.seed}};
    int n_arguments;
    (void)exit_code;
    SPT_TRY(spt_options_parse(&n_arguments, argc, argv, rows, SPT_N_ROWS(rows), &self.problem));
    const spt_status status = print_all(&self, argv + 1, n_arguments);
    spt_layer_paths_fini(&self.paths);
    return status;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* `sparsetune replay`: strategies on recorded spaces, scored by the published method. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "core/file.h"
#include "core/memory.h"
#include "tuner/command.h"
#include "tuner/options.h"
#include "tuner/replay.h"
#include "tuner/report.h"

static const char usage[] =
    "usage: sparsetune replay SPACE... [options]\n\n"
    "Runs search strategies on recorded spaces (Kernel Tuner cache files or T4 result files, plain or .gz), where "
    "every\n"
    "point has been measured by somebody, and scores them by the method of Willemsen et al. (FGCS 2024): 0 is what\n"
    "random search is expected to reach in the same time, 1 is the optimum from the start, negative is worse than\n"
    "random. docs/SEARCH.md says what is counted how. Nothing is measured or stored. A space with a parameter "
    "`family`\n"
    "is searched as `tune` does it: one search per family, turns by what each can still gain.\n\n"
    "options:\n"
    "  --strategy S[,S...] strategies to run (all)\n"
    "  --budget N          evaluations per run (until scoring ends, and at least 200)\n"
    "  --repeat R          runs per strategy and space, each with its own seed (25)\n"
    "  --seed S            seed of the first run (0)\n"
    "  --trace FILE        also write every evaluation of every run as CSV\n"
    "  --no-bounds         search without the models' expectations that a file may hold (member `bound`)\n"
    "  --json              one JSON object per strategy and space on standard output\n"
    "\nexit codes: 0 ok, 2 usage, 3 failure\n";

typedef struct replay_options {
    const char *strategies; /* NULL: all */
    const char *trace_path; /* NULL: none */
    int64_t budget, n_runs;
    uint64_t seed;
    bool no_bounds, json;
} replay_options;

/* One space at work. */
typedef struct replayed {
    spt_replay_subject subject;
    double score_random; /* of our own random search under the same harness */
} replayed;

static const int64_t counts[] = {25, 50, 100, 200};

/* ---- what is printed ---- */

static void print_header(void) {
    printf("%-26s %-10s %7s %7s %8s %7s %7s %7s %7s %9s\n", "space", "strategy", "score", "random", "to 95 %", "at 25",
           "at 50", "at 100", "at 200", "us/ask");
}

static spt_status print_figures(const replayed *self, const spt_strategy *strategy, const spt_replay_runs *runs,
                                const replay_options *options) {
    const spt_recorded *recorded = &self->subject.recorded;
    const spt_replay_yardstick *y = &self->subject.yardstick;
    double fractions[4], score = spt_replay_score(runs, y), evals = spt_replay_evals_to_95(runs, y);
    double ask_us = runs->n_asks > 0 ? runs->own_s * 1e6 / (double)runs->n_asks : 0.0;
    for (int i = 0; i < 4; i++)
        fractions[i] = spt_replay_fraction_at(runs, y, counts[i]);
    if (options->json)
        return spt_json_print(json_pack(
            "{s:o, s:s, s:i, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:I, s:I, s:I, s:I, s:f}", "space",
            spt_json_name(recorded->name), "strategy", strategy->name, "repeats", runs->n_runs, "score", score,
            "score_random", self->score_random, "evals_to_95_median", evals, "fraction_at_25", fractions[0],
            "fraction_at_50", fractions[1], "fraction_at_100", fractions[2], "fraction_at_200", fractions[3], "points",
            (json_int_t)recorded->n_trials, "points_correct", (json_int_t)recorded->n_correct, "evals_start",
            (json_int_t)y->start_trials, "evals_end", (json_int_t)y->end_trials, "ask_us_mean", ask_us));
    char to_95[32] = "-";
    if (evals > 0.0)
        snprintf(to_95, sizeof to_95, "%.1f", evals);
    printf("%-26.26s %-10s %7.3f %7.3f %8s %7.3f %7.3f %7.3f %7.3f %9.1f\n", recorded->name, strategy->name, score,
           self->score_random, to_95, fractions[0], fractions[1], fractions[2], fractions[3], ask_us);
    fflush(stdout);
    return SPT_OK;
}

static spt_status write_trace(FILE *stream, const spt_recorded *recorded, const spt_strategy *strategy,
                              const spt_replay_runs *runs) {
    for (int run = 0; run < runs->n_runs; run++)
        for (int64_t i = 0; i < runs->n_steps[run]; i++) {
            const spt_replay_step *step = &runs->steps[run][i];
            char text[SPT_POINT_TEXT_MAX];
            SPT_TRY(spt_point_text(text, recorded->axes, recorded->n_axes, &step->trial->point));
            fprintf(stream, "%s,%s,%d,%" PRId64 ",%s,%.9g,%.12g,\"%s\"\n", recorded->name, strategy->name, run, i + 1,
                    spt_trial_status_name(step->trial->status), step->trial->time_ns, step->until_s, text);
        }
    return SPT_OK;
}

/* ---- the runs ---- */

static spt_status replay_strategy(const replayed *self, const spt_strategy *strategy, const replay_options *options,
                                  FILE *trace) {
    spt_replay_runs runs;
    spt_status status = SPT_OK;
    SPT_TRY(spt_replay_run(&runs, &self->subject, strategy, (int)options->n_runs, options->seed, options->budget));
    SPT_TRY_TO(done, print_figures(self, strategy, &runs, options));
    if (trace != NULL)
        SPT_TRY_TO(done, write_trace(trace, &self->subject.recorded, strategy, &runs));
done:
    spt_replay_runs_fini(&runs);
    return status;
}

static bool names(const char *list, const char *name) {
    size_t length = strlen(name);
    for (const char *at = list; at != NULL && *at != '\0'; at += strcspn(at, ","), at += *at == ',')
        if (strcspn(at, ",") == length && memcmp(at, name, length) == 0)
            return true;
    return list == NULL;
}

static spt_status replay_space(const char *path, const replay_options *options, FILE *trace) {
    replayed self = {0};
    spt_replay_runs random;
    spt_status status = SPT_OK;
    SPT_TRY(spt_replay_subject_init(&self.subject, path, !options->no_bounds));
    SPT_TRY_TO(done, spt_replay_run(&random, &self.subject, spt_strategy_find("random"), (int)options->n_runs,
                                    options->seed, options->budget));
    self.score_random = spt_replay_score(&random, &self.subject.yardstick);
    spt_replay_runs_fini(&random);
    for (int i = 0; i < spt_strategy_count(); i++)
        if (names(options->strategies, spt_strategy_at(i)->name))
            SPT_TRY_TO(done, replay_strategy(&self, spt_strategy_at(i), options, trace));
done:
    spt_replay_subject_fini(&self.subject);
    return status;
}

static spt_status check_strategies(const char *list) {
    for (const char *at = list; at != NULL && *at != '\0';) {
        char name[64];
        int length = (int)strcspn(at, ",");
        snprintf(name, sizeof name, "%.*s", length, at);
        SPT_TRY(spt_options_strategy(name));
        at += length + (at[length] == ',');
    }
    return SPT_OK;
}

static spt_status run(int argc, char **argv, int *exit_code) {
    (void)exit_code;
    replay_options options = {.n_runs = 25};
    const spt_option rows[] = {{"--strategy", SPT_OPTION_TEXT, &options.strategies},
                               {"--budget", SPT_OPTION_COUNT, &options.budget},
                               {"--repeat", SPT_OPTION_COUNT, &options.n_runs},
                               {"--seed", SPT_OPTION_SEED, &options.seed},
                               {"--trace", SPT_OPTION_TEXT, &options.trace_path},
                               {"--no-bounds", SPT_OPTION_FLAG, &options.no_bounds},
                               {"--json", SPT_OPTION_FLAG, &options.json}};
    int n_paths = 0;
    spt_file_writer writer = {0};
    spt_status status = SPT_OK;
    SPT_TRY(spt_options_parse(&n_paths, argc, argv, rows, (int)(sizeof rows / sizeof rows[0]), NULL));
    SPT_TRY(check_strategies(options.strategies));
    if (n_paths == 0)
        return spt_usage_fail("expected at least one recorded space");
    if (options.n_runs > 100000)
        return spt_usage_fail("expected --repeat from 1 to 100000, found %" PRId64, options.n_runs);
    if (options.trace_path != NULL) {
        SPT_TRY(spt_file_writer_open(&writer, options.trace_path));
        fputs("space,strategy,run,evaluation,status,time_ns,until_s,point\n", writer.stream);
    }
    if (!options.json)
        print_header();
    for (int i = 1; i <= n_paths; i++)
        SPT_TRY_TO(done, replay_space(argv[i], &options, writer.stream));
    if (options.trace_path != NULL)
        SPT_TRY_TO(done, spt_file_writer_commit(&writer));
done:
    spt_file_writer_discard(&writer);
    return status;
}

const spt_command spt_command_replay = {
    .name = "replay",
    .summary = "score search strategies on recorded tuning spaces",
    .usage = usage,
    .run = run,
};

/* SPDX-License-Identifier: Apache-2.0 */
/* `sparsetune tune`: search the variants of each layer and keep the winners. */
#include "tuner/command.h"
#include "tuner/tune_run.h"

static const char usage[] =
    "usage: sparsetune tune PATTERN... | --suite FILE.json | --from MISSES.jsonl | --stale [options]\n\n"
    "Searches the kernels that can run each pattern, verifies and measures them, and keeps every result in the\n"
    "database. Running it again goes on where it stopped; what is known is not measured twice.\n"
    "PATTERN: .smtx, .mtx, .npy, .safetensors, or a generator such as uniform:512x256@0.9\n\n"
    "options:\n"
    "  --suite FILE.json   layers of a model with their widths and counts\n"
    "  --from MISSES.jsonl problems that an application recorded with SPARSETUNE_RECORD=MISSES.jsonl\n"
    "  --families A,B      search only these; the untuned and the dense answers stay as yardsticks\n"
    "  --strategy S        auto, bayes, genetic, hillclimb, anneal, random or sweep (auto)\n"
    "  --budget TRIALS     per problem, known trials included (200; with --time no limit)\n"
    "  --time T            of the whole run, final rounds included (90s, 15m, 2h; without a unit in seconds); trials "
    "go\n"
    "                      where most can be gained; every problem has its first trials and heats, whatever the time\n"
    "  --seed S            of the search and of the random operands (0)\n"
    "  --uses N            executions that a packing must pay for (packing is free)\n"
    "  --no-seeds          do not begin with the winners of near problems that the database has\n"
    "  --no-bounds         search without what the families' models expect of each point\n"
    "  --with-patterns     keep the positions of the nonzeros, so that others can measure again (db verify)\n"
    "  --shard I/N         the I-th of N shares of the problems, I from 1\n"
    "  --db-spool DIR      write a database of this process's own into DIR, for `db merge` (instead of --db)\n"
    "  --stale             only what went stale since it was tuned (another compiler, revision or library); without a\n"
    "                      PATTERN all of the database, with kept positions or the files of --patterns DIR\n"
    "  --min-sparsity S    skip tensors of a model with a smaller share of zeros (0.3)\n\n" SPT_PROBLEM_OPTIONS_USAGE
    "\nexit codes: 0 every problem has its winner, 1 some do not (or a signal came), 2 usage, 3 failure\n";

#define BUDGET 200
#define BUDGET_TIMED 1000000 /* time is the limit */

static spt_status run(int argc, char **argv, int *exit_code) {
    spt_tune_options options = {.strategy = "auto", .input = {.min_sparsity = 0.3}};
    const spt_option rows[] = {
        {"--suite", SPT_OPTION_TEXT, &options.suite},
        {"--families", SPT_OPTION_TEXT, &options.families},
        {"--strategy", SPT_OPTION_TEXT, &options.strategy},
        {"--budget", SPT_OPTION_COUNT, &options.budget},
        {"--time", SPT_OPTION_DURATION, &options.time_s},
        {"--seed", SPT_OPTION_SEED, &options.input.seed},
        {"--uses", SPT_OPTION_COUNT, &options.uses},
        {"--no-seeds", SPT_OPTION_FLAG, &options.without_seeds},
        {"--no-bounds", SPT_OPTION_FLAG, &options.without_bounds},
        {"--min-sparsity", SPT_OPTION_SHARE, &options.input.min_sparsity},
        {"--with-patterns", SPT_OPTION_FLAG, &options.with_patterns},
        {"--from", SPT_OPTION_TEXT, &options.misses},
        {"--shard", SPT_OPTION_TEXT, &options.shard},
        {"--db-spool", SPT_OPTION_TEXT, &options.spool},
        {"--stale", SPT_OPTION_FLAG, &options.stale},
        {"--patterns", SPT_OPTION_TEXT, &options.stored_folder},
    };
    SPT_TRY(spt_options_parse(&options.n_patterns, argc, argv, rows, (int)(sizeof rows / sizeof rows[0]),
                              &options.problem));
    SPT_TRY(spt_options_strategy(options.strategy));
    options.patterns = argv + 1;
    if (options.budget == 0)
        options.budget = options.time_s > 0.0 ? BUDGET_TIMED : BUDGET;
    if (options.stored_folder != NULL && !options.stale)
        return spt_usage_fail("expected --stale beside --patterns, found none");
    if (options.stale && options.spool != NULL)
        return spt_usage_fail("expected --db beside --stale, found --db-spool: what is stale stands in a database");
    if (options.misses != NULL && (options.stale || options.problem.n_widths > 0))
        return spt_usage_fail("expected --from alone, found %s beside it: the misses say what was asked for",
                              options.stale ? "--stale" : "--n");
    if (options.n_patterns == 0 && options.suite == NULL && options.misses == NULL && !options.stale)
        return spt_usage_fail("expected a PATTERN or --suite FILE.json, found neither");
    if (options.spool != NULL && options.problem.db_path != NULL)
        return spt_usage_fail("expected --db or --db-spool, found both");
    return spt_tune_run(&options, exit_code);
}

const spt_command spt_command_tune = {
    .name = "tune",
    .summary = "search, verify and measure kernels for patterns, and remember the fastest",
    .usage = usage,
    .run = run,
};

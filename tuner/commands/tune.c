/* SPDX-License-Identifier: Apache-2.0 */
/* `sparsetune tune`: search the variants of each layer and keep the winners. */
#include "tuner/command.h"
#include "tuner/options.h"

static const char usage[] = "usage: sparsetune tune PATTERN... | --suite FILE.json [options]\n\n"
                            "Searches the kernels that can run each pattern, measures them verified, and keeps the "
                            "winners in the database.\n\n" SPT_PROBLEM_OPTIONS_USAGE;

static spt_status run(int argc, char **argv, int *exit_code) {
    (void)exit_code;
    int n_patterns = 0;
    spt_problem_options problem;
    SPT_TRY(spt_options_parse(&n_patterns, argc, argv, NULL, 0, &problem));
    return spt_fail(SPT_EUNSUPPORTED, "tune is being written");
}

const spt_command spt_command_tune = {
    .name = "tune", .summary = "search, measure and remember the fastest kernels", .usage = usage, .run = run};

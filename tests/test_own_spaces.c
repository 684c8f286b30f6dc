/* SPDX-License-Identifier: Apache-2.0 */
/* `auto` on our own spaces, recorded whole (docs/results/spaces): 40 evaluations of each of ten problems, families
 * sharing them as in `tune`, with many seeds. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/memory.h"
#include "tests/unit.h"
#include "tuner/replay.h"

#define FOLDER "docs/results/spaces"
#define POOR 0.92
enum { N_SPACES = 10, N_RUNS = 30, BUDGET = 40, SEED = 0 };

/* What all runs of all spaces reached, as shares of the optimum's speed. */
typedef struct outcome {
    double mean, least;
    int n_poor; /* runs below POOR */
} outcome;

/* The runs on one space, added to the outcome of all. */
static void replay(outcome *all, const char *path, bool use_bounds, bool print) {
    spt_replay_subject subject;
    spt_replay_runs runs;
    expect_ok(spt_replay_subject_init(&subject, path, use_bounds));
    expect_ok(spt_replay_run(&runs, &subject, spt_strategy_find("auto"), N_RUNS, SEED, BUDGET));
    double mean = 0.0, least = 1.0;
    for (int run = 0; run < N_RUNS; run++) {
        assert_true(runs.n_steps[run] == BUDGET);
        const double share = subject.yardstick.optimum_ns / runs.steps[run][BUDGET - 1].best_ns;
        mean += share / N_RUNS;
        least = share < least ? share : least;
        all->n_poor += share < POOR;
    }
    if (print)
        printf("%-24s %.3f of the optimum after %d evaluations, at least %.3f\n", subject.recorded.name, mean, BUDGET,
               least);
    all->mean += mean / N_SPACES;
    all->least = least < all->least ? least : all->least;
    spt_replay_runs_fini(&runs);
    spt_replay_subject_fini(&subject);
}

static int is_space(const struct dirent *entry) {
    return strstr(entry->d_name, ".json.gz") != NULL;
}

static outcome replay_all(bool use_bounds, bool print) {
    struct dirent **entries;
    outcome all = {.least = 1.0};
    const int count = scandir(FOLDER, &entries, is_space, alphasort);
    assert_int_equal(count, N_SPACES);
    for (int i = 0; i < count; i++) {
        char path[512];
        snprintf(path, sizeof path, FOLDER "/%s", entries[i]->d_name);
        replay(&all, path, use_bounds, print);
        free(entries[i]);
    }
    free(entries);
    return all;
}

static void forty_evaluations_come_near_the_optimum(void **state) {
    (void)state;
    const outcome all = replay_all(true, true);
    printf("mean %.3f, least %.3f, %d of %d runs below %.2f\n", all.mean, all.least, all.n_poor, N_SPACES * N_RUNS,
           POOR);
    assert_true(all.mean >= 0.97);
    assert_int_equal(all.n_poor, 0);
}

/* The models' expectations are worth something, and without them the search still works. */
static void expectations_help(void **state) {
    (void)state;
    const outcome with = replay_all(true, false), without = replay_all(false, false);
    printf("with the models' expectations %.3f, without %.3f\n", with.mean, without.mean);
    assert_true(with.mean > without.mean);
    assert_true(without.mean >= 0.92);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forty_evaluations_come_near_the_optimum),
        cmocka_unit_test(expectations_help),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

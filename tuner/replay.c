/* SPDX-License-Identifier: Apache-2.0 */
/* Replaying and scoring; see replay.h. */
#include "tuner/replay.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/memory.h"
#include "core/statistics.h"

#define START_SHARE 0.01 /* of the way from the median to the optimum: where scoring begins ... */
#define END_SHARE 0.95   /* ... and ends */
#define N_TIMES 1000     /* equal steps of time */
#define TRIALS_MIN 200   /* the last of the fractions that are reported */

/* ---- the yardstick ---- */

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Evaluations in which random search is expected to come `share` of the way from the median to the optimum: with the
 * first i of n values, slowest first, still above that level, i / (n + 1 - i). */
static int64_t trials_to(const spt_replay_yardstick *y, double share) {
    double level = y->optimum_ns + (y->median_ns - y->optimum_ns) * (1.0 - share);
    int64_t i = 0;
    while (y->sorted_ns[y->n_sorted - 1 - i] > level)
        i++;
    return (int64_t)ceil((double)i / (double)(y->n_sorted + 1 - i));
}

/* The method's mean time of an evaluation: that of a correct one, plus that of a failed one by its share. */
static void count_time(spt_replay_yardstick *out, const spt_recorded *recorded) {
    double correct_s = 0.0, failed_s = 0.0;
    int64_t n_failed = recorded->n_trials - recorded->n_correct;
    for (int64_t i = 0; i < recorded->n_trials; i++)
        *(recorded->trials[i].status == SPT_TRIAL_CORRECT ? &correct_s : &failed_s) += recorded->trials[i].spent_s;
    out->has_spent = correct_s > 0.0;
    out->trial_s = 1.0;
    if (out->has_spent)
        out->trial_s = correct_s / (double)recorded->n_correct + failed_s / (double)recorded->n_trials;
    else if (n_failed > 0)
        out->trial_s += (double)n_failed / (double)recorded->n_trials;
}

spt_status spt_replay_yardstick_init(spt_replay_yardstick *out, const spt_recorded *recorded) {
    *out = (spt_replay_yardstick){0};
    SPT_TRY(SPT_NEW(out->sorted_ns, recorded->n_correct));
    for (int64_t i = 0; i < recorded->n_trials; i++)
        if (recorded->trials[i].status == SPT_TRIAL_CORRECT)
            out->sorted_ns[out->n_sorted++] = recorded->trials[i].time_ns;
    qsort(out->sorted_ns, (size_t)out->n_sorted, sizeof *out->sorted_ns, compare_doubles);
    out->optimum_ns = out->sorted_ns[0];
    out->median_ns = 0.5 * (out->sorted_ns[(out->n_sorted - 1) / 2] + out->sorted_ns[out->n_sorted / 2]);
    count_time(out, recorded);
    out->start_trials = trials_to(out, START_SHARE);
    out->end_trials = trials_to(out, END_SHARE);
    out->start_s = (double)out->start_trials * out->trial_s;
    out->end_s = (double)out->end_trials * out->trial_s;
    return SPT_OK;
}

void spt_replay_yardstick_fini(spt_replay_yardstick *yardstick) {
    spt_free(yardstick->sorted_ns);
    *yardstick = (spt_replay_yardstick){0};
}

/* The expected rank of the best of m draws from n without replacement is m (n + 1) / (m + 1), slowest first. */
double spt_replay_random_ns(const spt_replay_yardstick *yardstick, int64_t n_trials) {
    double m = (double)n_trials, n = (double)yardstick->n_sorted;
    int64_t rank = (int64_t)rint(m * (n + 1.0) / (m + 1.0));
    if (rank > yardstick->n_sorted - 1)
        rank = yardstick->n_sorted - 1;
    return yardstick->sorted_ns[yardstick->n_sorted - 1 - rank];
}

/* ---- subjects ---- */

spt_status spt_replay_subject_init(spt_replay_subject *out, const char *path, bool use_bounds) {
    spt_status status = SPT_OK;
    *out = (spt_replay_subject){0};
    SPT_TRY(spt_recorded_load(&out->recorded, path));
    SPT_TRY_TO(failed, spt_replay_yardstick_init(&out->yardstick, &out->recorded));
    SPT_TRY_TO(failed, spt_recorded_split(&out->parts, &out->n_parts, &out->recorded, SPT_FAMILY_AXIS));
    for (int i = 0; !use_bounds && i < out->n_parts; i++)
        out->parts[i].recorded.space.expect = NULL;
    return SPT_OK;
failed:
    spt_replay_subject_fini(out);
    return status;
}

void spt_replay_subject_fini(spt_replay_subject *subject) {
    spt_recorded_parts_free(subject->parts, subject->n_parts);
    spt_replay_yardstick_fini(&subject->yardstick);
    spt_recorded_fini(&subject->recorded);
    *subject = (spt_replay_subject){0};
}

/* ---- runs ---- */

static double seconds_of_cpu(void) {
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static spt_status add_step(spt_replay_runs *runs, int run, int64_t *capacity, const spt_recorded_trial *trial,
                           double spent_s) {
    int64_t n = runs->n_steps[run];
    void *steps = runs->steps[run];
    SPT_TRY(spt_grow(&steps, capacity, n, sizeof **runs->steps));
    runs->steps[run] = steps;
    const spt_replay_step *before = n > 0 ? &runs->steps[run][n - 1] : NULL;
    double best_ns = before != NULL ? before->best_ns : INFINITY;
    runs->steps[run][n] = (spt_replay_step){
        .trial = trial,
        .until_s = (before != NULL ? before->until_s : 0.0) + spent_s,
        .best_ns = trial->status == SPT_TRIAL_CORRECT ? fmin(best_ns, trial->time_ns) : best_ns,
    };
    runs->n_steps[run]++;
    return SPT_OK;
}

static bool is_done(const spt_replay_runs *runs, int run, const spt_replay_yardstick *yardstick, int64_t budget) {
    int64_t n = runs->n_steps[run];
    if (budget > 0)
        return n >= budget;
    return n >= TRIALS_MIN && runs->steps[run][n - 1].until_s >= yardstick->end_s;
}

static spt_status run_once(spt_replay_runs *runs, int run, const spt_replay_subject *subject,
                           const spt_strategy *strategy, uint64_t seed, int64_t budget) {
    const spt_replay_yardstick *yardstick = &subject->yardstick;
    spt_replay_team team;
    const spt_recorded_trial *trial;
    int64_t capacity = 0;
    spt_status status = SPT_OK;
    const double start_s = seconds_of_cpu();
    SPT_TRY(spt_replay_team_init(&team, &subject->recorded, subject->parts, subject->n_parts, strategy, seed, budget));
    while (!is_done(runs, run, yardstick, budget)) {
        SPT_TRY_TO(done, spt_replay_team_step(&team, &trial));
        SPT_TRY_TO(done, add_step(runs, run, &capacity, trial, yardstick->has_spent ? trial->spent_s : 1.0));
        runs->n_asks++;
    }
done:
    spt_replay_team_fini(&team);
    runs->own_s += seconds_of_cpu() - start_s;
    return status == SPT_ENOTFOUND ? SPT_OK : status; /* the space is exhausted: the best stays */
}

spt_status spt_replay_run(spt_replay_runs *out, const spt_replay_subject *subject, const spt_strategy *strategy,
                          int n_runs, uint64_t seed, int64_t budget) {
    spt_status status = SPT_OK;
    *out = (spt_replay_runs){.n_runs = n_runs};
    SPT_TRY_TO(failed, SPT_NEW_ZEROED(out->steps, n_runs));
    SPT_TRY_TO(failed, SPT_NEW_ZEROED(out->n_steps, n_runs));
    for (int run = 0; run < n_runs; run++)
        SPT_TRY_TO(failed, run_once(out, run, subject, strategy, seed + (uint64_t)run, budget));
    return SPT_OK;
failed:
    spt_replay_runs_fini(out);
    return status;
}

void spt_replay_runs_fini(spt_replay_runs *runs) {
    for (int run = 0; runs->steps != NULL && run < runs->n_runs; run++)
        spt_free(runs->steps[run]);
    spt_free(runs->steps);
    spt_free(runs->n_steps);
    *runs = (spt_replay_runs){0};
}

/* ---- figures ---- */

/* How many correct times are faster than this one: 0 for the optimum. */
static int64_t rank_of(const spt_replay_yardstick *y, double ns) {
    int64_t low = 0, high = y->n_sorted;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (y->sorted_ns[middle] < ns)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The value at the mean rank of the runs' best at one time. Runs without a correct evaluation yet are left out; where
 * there are none at all, the slowest value stands. at[run] only ever moves forward. */
static double value_at(const spt_replay_runs *runs, const spt_replay_yardstick *y, double time_s, int64_t *at) {
    double sum = 0.0;
    int n_ranked = 0;
    for (int run = 0; run < runs->n_runs; run++) {
        while (at[run] < runs->n_steps[run] && runs->steps[run][at[run]].until_s <= time_s)
            at[run]++;
        if (at[run] == 0 || !isfinite(runs->steps[run][at[run] - 1].best_ns))
            continue;
        sum += (double)rank_of(y, runs->steps[run][at[run] - 1].best_ns);
        n_ranked++;
    }
    return y->sorted_ns[n_ranked > 0 ? (int64_t)rint(sum / n_ranked) : y->n_sorted - 1];
}

double spt_replay_score(const spt_replay_runs *runs, const spt_replay_yardstick *yardstick) {
    int64_t *at = NULL;
    double sum = 0.0;
    int n = 0;
    if (SPT_NEW_ZEROED(at, runs->n_runs) != SPT_OK)
        return 0.0;
    for (int i = 0; i < N_TIMES; i++) {
        double time_s = yardstick->start_s + (yardstick->end_s - yardstick->start_s) * i / (N_TIMES - 1);
        int64_t n_trials = (int64_t)rint(fmax(time_s / yardstick->trial_s, 1.0));
        double random_ns = spt_replay_random_ns(yardstick, n_trials);
        double value_ns = value_at(runs, yardstick, time_s, at);
        if (random_ns <= yardstick->optimum_ns)
            continue; /* random search is at the optimum: nothing to gain */
        sum += (value_ns - random_ns) / (yardstick->optimum_ns - random_ns);
        n++;
    }
    spt_free(at);
    return n > 0 ? sum / n : 0.0;
}

double spt_replay_evals_to_95(const spt_replay_runs *runs, const spt_replay_yardstick *yardstick) {
    double *counts = NULL, median;
    if (SPT_NEW(counts, runs->n_runs) != SPT_OK)
        return 0.0;
    for (int run = 0; run < runs->n_runs; run++) {
        int64_t i = 0;
        while (i < runs->n_steps[run] && runs->steps[run][i].best_ns > yardstick->optimum_ns / 0.95)
            i++;
        counts[run] = i < runs->n_steps[run] ? (double)(i + 1) : INFINITY;
    }
    median = spt_median(counts, runs->n_runs);
    spt_free(counts);
    return isfinite(median) ? median : 0.0;
}

double spt_replay_fraction_at(const spt_replay_runs *runs, const spt_replay_yardstick *yardstick, int64_t n_trials) {
    double sum = 0.0;
    for (int run = 0; run < runs->n_runs; run++) {
        int64_t n = runs->n_steps[run] < n_trials ? runs->n_steps[run] : n_trials;
        sum += n > 0 ? yardstick->optimum_ns / runs->steps[run][n - 1].best_ns : 0.0;
    }
    return sum / runs->n_runs;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The schedule of a run whose time is limited; see schedule.h. */
#include "tuner/schedule.h"

#include <math.h>

#define SLICE_FIRST 24 /* the untuned answer, dense ones, seeds, and a turn of every family */
#define SLICE_MIN 16
#define SLICE_SHARE 4     /* later slices are this part of what was evaluated */
#define ROTATION 4        /* every so many slices go to the least evaluated */
#define YARDSTICKS 4      /* finalists beside the best few, and the default by itself before a round */
#define HOPEFUL 3         /* more in the heats: families' best, neighbours */
#define FINALIST_OVER 1.3 /* how much slower than the best a finalist is */
#define VERIFY_RUNS 4     /* per variant and round, with their comparison */
#define ROUND_NS 2e6      /* per variant and round: preparing, poisoning, talking */

int64_t spt_schedule_slice(int64_t evaluations) {
    if (evaluations == 0)
        return SLICE_FIRST;
    return evaluations / SLICE_SHARE > SLICE_MIN ? evaluations / SLICE_SHARE : SLICE_MIN;
}

/* Log cost per second; what cannot say has the same chance as one that gains a little. */
static double rate_of(const spt_task *task) {
    const double unknown = 1e-3;
    const double each_s = task->measured > 0 ? task->seconds / (double)task->measured : 1e-3;
    return (task->gain < 0.0 ? unknown : task->gain) / fmax(each_s, 1e-6);
}

int64_t spt_schedule_next(const spt_task *tasks, int64_t n_tasks, int64_t turn) {
    int64_t least = -1, best = -1;
    for (int64_t i = 0; i < n_tasks; i++) {
        if (tasks[i].is_over)
            continue;
        if (least < 0 || tasks[i].evaluations < tasks[least].evaluations)
            least = i;
        if (best < 0 || rate_of(&tasks[i]) > rate_of(&tasks[best]))
            best = i;
    }
    const bool is_first = least >= 0 && tasks[least].evaluations == 0;
    return is_first || turn % ROTATION == ROTATION - 1 ? least : best;
}

double spt_schedule_final_s(const spt_measure_policy *policy, double best_ns, double pack_ns) {
    const double run_ns = FINALIST_OVER * best_ns;
    const double warm_ns = fmin(policy->warm_runs * run_ns, fmax(policy->warm_ns_max, run_ns));
    const double sample_ns = fmax(run_ns, policy->sample_ns_min);
    const double round_ns = warm_ns + policy->final_samples * sample_ns + VERIFY_RUNS * run_ns + pack_ns + ROUND_NS;
    const int heats = policy->heats < policy->final_rounds ? policy->heats : policy->final_rounds;
    return 1e-9 * round_ns *
           (heats * (policy->contenders + YARDSTICKS + HOPEFUL) +
            (policy->final_rounds - heats) * (policy->finalists + YARDSTICKS));
}

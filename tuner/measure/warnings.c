/* SPDX-License-Identifier: Apache-2.0 */
/* The cases, their limits and their remedies. */
#include "tuner/measure/warnings.h"

#include "core/hardware.h"

typedef enum warning_case { FREQUENCY_DRIFT, OTHER_LOAD, MIGRATION, TOO_FEW_CORES, COARSE_TIMER, N_CASES } warning_case;

static const char frequency_drift[] =
    "the CPU's speed changed by more than 5 % between measurements; set the frequency "
    "governor to performance or let the machine rest, and tune again";
static const char other_load[] = "other processes took the CPU away during measurements; stop them or use taskset on "
                                 "idle cores";
static const char migration[] = "measurements were moved from core to core; give them cores of their own, as with "
                                "taskset -c 0 for one thread";
static const char too_few_cores[] =
    "more threads are asked for than this process may use; lower --threads or widen its "
    "CPU set";
static const char coarse_timer[] = "the clock's steps are longer than 1 us; choose the clock source tsc if the machine "
                                   "has one";
static const char *const sentences[N_CASES] = {
    [FREQUENCY_DRIFT] = frequency_drift, [OTHER_LOAD] = other_load,     [MIGRATION] = migration,
    [TOO_FEW_CORES] = too_few_cores,     [COARSE_TIMER] = coarse_timer,
};

#define DRIFT_MAX 1.05
#define SWITCHES_PER_S_MAX 100.0
#define MOVES_MAX 0.1   /* share of the requests ... */
#define REQUESTS_MIN 20 /* ... once there were so many */
#define TIMER_STEP_NS_MAX 1000.0

void spt_warnings_check_threads(spt_warnings *warnings, int threads) {
    if (threads > spt_hardware_threads())
        warnings->seen |= 1u << TOO_FEW_CORES;
}

void spt_warnings_check_reply(spt_warnings *warnings, const spt_reply *reply) {
    const double first = warnings->first_calibration_ns, now = reply->calibration_ns;
    if (first <= 0.0)
        warnings->first_calibration_ns = now;
    else if (now > first * DRIFT_MAX || now < first / DRIFT_MAX)
        warnings->seen |= 1u << FREQUENCY_DRIFT;
    if (reply->request_s > 0.05 && (double)reply->involuntary_switches > SWITCHES_PER_S_MAX * reply->request_s)
        warnings->seen |= 1u << OTHER_LOAD;
    warnings->n_requests++;
    warnings->n_moves += reply->was_moved;
    if (warnings->n_requests >= REQUESTS_MIN && (double)warnings->n_moves > MOVES_MAX * (double)warnings->n_requests)
        warnings->seen |= 1u << MIGRATION;
    if (reply->clock_resolution_ns > TIMER_STEP_NS_MAX)
        warnings->seen |= 1u << COARSE_TIMER;
}

const char *spt_warnings_get(const spt_warnings *warnings, int index) {
    for (int i = 0; i < N_CASES; i++) {
        if ((warnings->seen >> i & 1) != 0 && index-- == 0)
            return sentences[i];
    }
    return NULL;
}

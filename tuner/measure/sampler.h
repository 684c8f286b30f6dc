/* SPDX-License-Identifier: Apache-2.0 */
/* Sampling: how many runs a variant gets, and when it is taken out of the race. The clock and the run are function
 * pointers, so that the rules are tested on scripted clocks. */
#ifndef SPT_TUNER_SAMPLER_H
#define SPT_TUNER_SAMPLER_H

#include <stdbool.h>

#include "tuner/measure/meter.h"
#include "core/statistics.h"

#define SPT_SAMPLES_MAX 1024

typedef struct spt_sampler {
    double (*now_ns)(void *context);
    spt_status (*run)(void *context); /* one execution */
    /* ns per execution over `calls` of them, by a device's own clock; NULL: now_ns around run. */
    spt_status (*time)(double *ns, void *context, int64_t calls);
    void *context;
    bool one_call_per_sample;                   /* cold caches: batching calls would warm them */
    spt_status (*before_sample)(void *context); /* not timed; NULL: nothing */
    int64_t (*interruptions)(void *context);    /* how often others have taken the CPU so far; NULL: not known */
} spt_sampler;

/* Monotonic wall-clock time in ns; the context is not used. */
double spt_clock_now_ns(void *context);
/* The smallest step of that clock that was seen, in ns. */
double spt_clock_resolution_ns(void);

/* Let caches and clocks settle: run as often as the policy says. After other variants have run, a working set beyond L2
 * takes dozens of runs to come to rest (docs/MEASURING.md). An interruption near the end is followed by two more runs.
 * One run in cold mode, which wakes the threads. */
spt_status spt_sampler_warm(const spt_sampler *sampler, const spt_measure_policy *policy);

/* Give how many calls make a sample of at least sample_ns_min, from one untimed and one timed run. */
spt_status spt_sampler_calibrate(int64_t *calls, const spt_sampler *sampler, double sample_ns_min);

/* Time one sample of `calls` runs: ns per run. */
spt_status spt_sampler_time(double *ns, const spt_sampler *sampler, int64_t calls);

/* Time one sample that nobody interrupted: others are void and taken again, after a run or two that bring the caches
 * back, until *void_ns_left has gone on that; then any sample counts. */
spt_status spt_sampler_time_calm(double *ns, const spt_sampler *sampler, int64_t calls, double *void_ns_left);

/* Sample by the policy: probe, race, then until the interval is narrow. Sets status (correct or dropped), n_samples and
 * the times of `out`. Errors: those of run. */
spt_status spt_sampler_measure(spt_measurement *out, const spt_sampler *sampler, const spt_measure_policy *policy,
                               double best_ns);

/* Copy a summary into the times of a measurement. */
void spt_measurement_set_times(spt_measurement *out, const spt_summary *summary);

#endif

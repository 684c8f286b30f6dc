/* SPDX-License-Identifier: Apache-2.0 */
/* The race of one variant against the best time so far. */
#include "tuner/measure/sampler.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define RESTORING_RUNS 2      /* what brings the caches back after somebody else had the CPU ... */
#define RESTORING_NS_MAX 20e6 /* ... or as many as this gives time for */
#define PROBE_SHARE 5         /* the part of warming that comes before the probe */

double spt_clock_now_ns(void *context) {
    (void)context;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

double spt_clock_resolution_ns(void) {
    double smallest = INFINITY;
    for (int i = 0; i < 100; i++) {
        const double start = spt_clock_now_ns(NULL);
        double step;
        do {
            step = spt_clock_now_ns(NULL) - start;
        } while (step <= 0.0);
        smallest = fmin(smallest, step);
    }
    return smallest;
}

spt_status spt_sampler_time(double *ns, const spt_sampler *sampler, int64_t calls) {
    if (sampler->time != NULL)
        return sampler->time(ns, sampler->context, calls);
    if (sampler->before_sample != NULL)
        SPT_TRY(sampler->before_sample(sampler->context));
    const double start = sampler->now_ns(sampler->context);
    for (int64_t i = 0; i < calls; i++)
        SPT_TRY(sampler->run(sampler->context));
    *ns = (sampler->now_ns(sampler->context) - start) / (double)calls;
    return SPT_OK;
}

static int64_t interruptions(const spt_sampler *sampler) {
    return sampler->interruptions != NULL ? sampler->interruptions(sampler->context) : 0;
}

/* Run until RESTORING_RUNS in a row were not interrupted. Where runs are about as long as what the CPU is given in one
 * piece that never happens: end after a while. */
static spt_status restore(const spt_sampler *sampler) {
    const double start = sampler->now_ns(sampler->context);
    int64_t seen = interruptions(sampler);
    for (int calm = 0; calm < RESTORING_RUNS && sampler->now_ns(sampler->context) - start < RESTORING_NS_MAX;) {
        SPT_TRY(sampler->run(sampler->context));
        const int64_t now = interruptions(sampler);
        calm = now == seen ? calm + 1 : 0;
        seen = now;
    }
    return SPT_OK;
}

/* Run n_runs times, or as often as ns_max gives time for, and on until the caches are ours; once in cold mode. */
static spt_status warm(const spt_sampler *sampler, int64_t n_runs, double ns_max) {
    if (sampler->one_call_per_sample)
        return sampler->run(sampler->context);
    const double start = sampler->now_ns(sampler->context);
    int calm = 0; /* runs since the last interruption */
    for (int64_t i = 0; i < n_runs; i++) {
        const int64_t before = interruptions(sampler);
        SPT_TRY(sampler->run(sampler->context));
        calm = interruptions(sampler) == before ? calm + 1 : 0;
        if (sampler->now_ns(sampler->context) - start >= ns_max) {
            calm = calm == i + 1 ? RESTORING_RUNS : calm; /* long runs, all of them calm */
            break;
        }
    }
    return calm >= RESTORING_RUNS ? SPT_OK : restore(sampler);
}

spt_status spt_sampler_warm(const spt_sampler *sampler, const spt_measure_policy *policy) {
    return warm(sampler, policy->warm_runs, policy->warm_ns_max);
}

spt_status spt_sampler_time_calm(double *ns, const spt_sampler *sampler, int64_t calls, double *void_ns_left) {
    for (;;) {
        const int64_t before = interruptions(sampler);
        const double start = sampler->now_ns(sampler->context);
        SPT_TRY(spt_sampler_time(ns, sampler, calls));
        if (*void_ns_left <= 0.0 || interruptions(sampler) == before)
            return SPT_OK;
        if (!sampler->one_call_per_sample)
            SPT_TRY(restore(sampler));
        *void_ns_left -= sampler->now_ns(sampler->context) - start;
    }
}

spt_status spt_sampler_calibrate(int64_t *calls, const spt_sampler *sampler, double sample_ns_min) {
    double ns;
    SPT_TRY(sampler->run(sampler->context)); /* the first run pays for page faults and lazy set-up */
    *calls = 1;
    if (sampler->one_call_per_sample)
        return SPT_OK;
    for (;;) {
        SPT_TRY(spt_sampler_time(&ns, sampler, *calls));
        if (ns * (double)*calls >= sample_ns_min || *calls >= 1 << 20)
            return SPT_OK;
        const double wanted = ns > 0.0 ? ceil(1.1 * sample_ns_min / ns) : 2.0 * (double)*calls;
        *calls = (int64_t)fmin(fmax(wanted, (double)*calls + 1.0), 8.0 * (double)*calls);
    }
}

void spt_measurement_set_times(spt_measurement *out, const spt_summary *summary) {
    out->n_samples = summary->n;
    out->time_ns_median = summary->median;
    out->mad_ns = summary->mad;
    out->ci_ns_low = summary->ci_low;
    out->ci_ns_high = summary->ci_high;
}

typedef struct samples {
    double values[SPT_SAMPLES_MAX]; /* sorted by each summary */
    double scratch[SPT_SAMPLES_MAX];
    int count;
    double void_ns_left; /* for taking interrupted samples again */
    spt_summary summary;
} samples;

static spt_status take_samples(samples *s, const spt_sampler *sampler, int64_t calls, int until) {
    while (s->count < until && s->count < SPT_SAMPLES_MAX) {
        SPT_TRY(spt_sampler_time_calm(&s->values[s->count], sampler, calls, &s->void_ns_left));
        s->count++;
    }
    spt_summarize(&s->summary, s->values, s->scratch, s->count);
    return SPT_OK;
}

static void drop(spt_measurement *out, const samples *s, double best_ns) {
    spt_measurement_set_times(out, &s->summary);
    out->status = SPT_TRIAL_DROPPED;
    snprintf(out->reason, sizeof out->reason, "%.2fx the best time after %d samples", s->summary.median / best_ns,
             s->count);
}

/* A few samples after little warming say who is hopeless; the limit is wide, because caches have not come to rest. The
 * others are warmed as they should be, and sampled anew. */
static spt_status probe(bool *is_dropped, samples *s, const spt_sampler *sampler, int64_t calls,
                        const spt_measure_policy *policy, double best_ns) {
    const int64_t first_runs = policy->warm_runs / PROBE_SHARE, probe_runs = policy->probe_runs * calls;
    const double first_ns = policy->warm_ns_max / PROBE_SHARE;
    SPT_TRY(warm(sampler, first_runs, first_ns));
    SPT_TRY(take_samples(s, sampler, calls, policy->probe_runs));
    *is_dropped = s->summary.ci_low > policy->probe_drop * best_ns;
    const int64_t n_left = policy->warm_runs - first_runs - probe_runs;
    const double ns_left = policy->warm_ns_max - first_ns - (double)probe_runs * s->summary.median;
    if (*is_dropped || sampler->one_call_per_sample || n_left <= 0 || ns_left <= 0.0)
        return SPT_OK;
    s->count = 0;
    return warm(sampler, n_left, ns_left);
}

spt_status spt_sampler_measure(spt_measurement *out, const spt_sampler *sampler, const spt_measure_policy *policy,
                               double best_ns) {
    samples s = {.void_ns_left = policy->void_ns_max};
    bool is_dropped;
    int64_t calls;
    SPT_TRY(spt_sampler_calibrate(&calls, sampler, policy->sample_ns_min));
    const double start = sampler->now_ns(sampler->context);
    SPT_TRY(probe(&is_dropped, &s, sampler, calls, policy, best_ns));
    if (is_dropped) {
        drop(out, &s, best_ns);
        return SPT_OK;
    }
    SPT_TRY(take_samples(&s, sampler, calls, policy->race_runs));
    if (s.summary.ci_low > policy->race_drop * best_ns) {
        drop(out, &s, best_ns);
        return SPT_OK;
    }
    while (s.count < policy->max_runs && s.count < SPT_SAMPLES_MAX) {
        const double half_width = 0.5 * (s.summary.ci_high - s.summary.ci_low);
        if (half_width <= policy->ci_target * s.summary.median ||
            sampler->now_ns(sampler->context) - start > policy->trial_ns_max)
            break;
        SPT_TRY(take_samples(&s, sampler, calls, s.count + 2));
    }
    spt_measurement_set_times(out, &s.summary);
    out->status = SPT_TRIAL_CORRECT;
    return SPT_OK;
}

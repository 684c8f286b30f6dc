/* SPDX-License-Identifier: Apache-2.0 */
/* Statistics on known samples, and the rules of sampling on scripted clocks: no real time passes here. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/random.h"
#include "core/statistics.h"
#include "tuner/measure/sampler.h"
#include "tuner/measure/warnings.h"

static void the_median_and_its_interval_are_those_of_the_samples(void **state) {
    (void)state;
    static const struct {
        int n;
        double samples[8];
        double median, mad, low, high;
    } cases[] = {
        {1, {5}, 5, 0, 5, 5},
        {2, {1, 3}, 2, 1, 1, 3},
        {7, {1, 9, 1, 9, 1, 9, 1}, 1, 0, 1, 9}, /* bimodal */
        {5, {3, 3, 3, 3, 3}, 3, 0, 3, 3},
        {5, {1, 2, 3, 4, 1e9}, 3, 1, 1, 1e9}, /* an outlier moves nothing but the interval */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        double samples[8], scratch[8];
        spt_summary summary;
        memcpy(samples, cases[i].samples, sizeof samples);
        spt_summarize(&summary, samples, scratch, cases[i].n);
        assert_true(summary.median == cases[i].median && summary.mad == cases[i].mad);
        assert_true(summary.ci_low == cases[i].low && summary.ci_high == cases[i].high);
    }
}

static void the_middle_half_of_two_kinds_lies_between_them(void **state) {
    static const struct {
        int n;
        double samples[12];
        double middle;
    } cases[] = {
        {1, {7}, 7},
        {2, {1, 3}, 2},
        {3, {9, 1, 2}, 2},
        {5, {1, 1, 1, 9, 9}, 1},
        {6, {5, 5, 5, 5, 5, 5}, 5},
        {8, {1, 1, 1, 1, 3, 3, 3, 3}, 2},
        {8, {1, 1, 1, 1, 1, 3, 3, 3}, 1.5},
        {12, {1, 2, 3, 4, 5, 6, 7, 8, 9, 1000, 1000, 1000}, 6.5},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        double samples[12], low, high;
        memcpy(samples, cases[i].samples, sizeof samples);
        assert_true(fabs(spt_midmean(&low, &high, samples, cases[i].n) - cases[i].middle) < 1e-12);
        assert_true(low <= cases[i].middle && cases[i].middle <= high);
        assert_true(cases[i].n < 6 || (low == high) == (samples[0] == samples[cases[i].n - 1]));
    }
}

static void the_interval_covers_the_median_of_a_heavy_tail(void **state) {
    (void)state;
    double samples[51], scratch[51];
    spt_summary summary;
    spt_random random;
    int n_covered = 0;
    spt_random_init(&random, 1);
    for (int repeat = 0; repeat < 1000; repeat++) { /* 1 / u has no mean; its median is 2 */
        for (int i = 0; i < 51; i++)
            samples[i] = 1.0 / (1.0 - spt_random_unit(&random));
        spt_summarize(&summary, samples, scratch, 51);
        n_covered += summary.ci_low <= 2.0 && 2.0 <= summary.ci_high;
    }
    assert_in_range(n_covered, 930, 1000);
}

/* A clock that moves only when the variant runs. */
typedef struct script {
    double now_ns;
    double (*run_ns)(int64_t run); /* duration of the n-th run */
    int64_t n_runs, n_chills;
    double slice_ns, away_ns; /* after so long others have the CPU for this long; 0: never */
    double until_ns;          /* of this slice */
    int64_t n_interruptions;
} script;

static double script_now(void *context) {
    return ((script *)context)->now_ns;
}

static spt_status script_run(void *context) {
    script *self = context;
    self->now_ns += self->run_ns(self->n_runs++);
    return SPT_OK;
}

/* A run that is still at work at the end of its slice waits for the next one; the runs after that find cold caches. */
static spt_status script_run_shared(void *context) {
    script *self = context;
    double left_ns = self->run_ns(self->n_runs++);
    if (self->until_ns > 0.0 && self->until_ns - self->now_ns > self->slice_ns - 2.0 * left_ns)
        left_ns *= 1.3;
    while (self->now_ns + left_ns > self->until_ns) {
        left_ns -= fmax(self->until_ns - self->now_ns, 0.0);
        self->now_ns = fmax(self->until_ns, self->now_ns) + self->away_ns;
        self->until_ns = self->now_ns + self->slice_ns;
        self->n_interruptions++;
    }
    self->now_ns += left_ns;
    return SPT_OK;
}

static int64_t script_interruptions(void *context) {
    return ((script *)context)->n_interruptions;
}

static spt_status script_refuse(void *context) {
    script *self = context;
    return ++self->n_runs > 8 ? spt_fail(SPT_EINVAL, "no more") : (self->now_ns += 1e5, SPT_OK);
}

static double steady(int64_t run) {
    return run == 0 ? 1e9 : 1000.0; /* the first run pays for page faults */
}
static double bimodal(int64_t run) {
    return run % 2 == 0 ? 1e5 : 2e5;
}
static double drifting(int64_t run) {
    return 1e5 * (1.0 + 0.05 * (double)run);
}
static double quantised(int64_t run) {
    return run % 3 == 0 ? 2e5 : 1e5;
}
static double settling(int64_t run) {
    return run < 30 ? 1.9e5 : 1e5; /* caches that come to rest after thirty runs */
}
static double long_runs(int64_t run) {
    (void)run;
    return 3e8;
}

static spt_measurement measure(double (*run_ns)(int64_t), double best_ns, int64_t *n_runs) {
    script self = {.run_ns = run_ns};
    const spt_sampler sampler = {.now_ns = script_now, .run = script_run, .context = &self};
    const spt_measure_policy policy = spt_measure_policy_default();
    spt_measurement measured = {0};
    assert_int_equal(spt_sampler_measure(&measured, &sampler, &policy, best_ns), SPT_OK);
    *n_runs = self.n_runs;
    return measured;
}

static void a_steady_variant_is_batched_and_done_after_the_race(void **state) {
    (void)state;
    int64_t n_runs;
    const spt_measurement measured = measure(steady, INFINITY, &n_runs);
    assert_int_equal(measured.status, SPT_TRIAL_CORRECT);
    assert_int_equal(measured.n_samples, 10);
    assert_true(fabs(measured.time_ns_median - 1000.0) < 1e-3); /* the slow first run is not in it */
    assert_true(n_runs >= 10 * 50);                             /* samples of 50 us hold 50 runs of 1 us */
}

static void slow_variants_leave_the_race_early(void **state) {
    (void)state;
    int64_t n_runs;
    const struct {
        double best_ns;
        int n_samples;
    } cases[] = {{450.0, 3}, {800.0, 10}};
    for (int i = 0; i < 2; i++) {
        const spt_measurement measured = measure(steady, cases[i].best_ns, &n_runs);
        assert_int_equal(measured.status, SPT_TRIAL_DROPPED);
        assert_int_equal(measured.n_samples, cases[i].n_samples);
        assert_non_null(strstr(measured.reason, "the best time"));
    }
}

static void unsteady_variants_are_sampled_to_the_cap_and_tell_their_interval(void **state) {
    (void)state;
    int64_t n_runs;
    double (*const scripts[])(int64_t) = {bimodal, drifting};
    for (int i = 0; i < 2; i++) {
        const spt_measurement measured = measure(scripts[i], INFINITY, &n_runs);
        assert_int_equal(measured.n_samples, spt_measure_policy_default().max_runs);
        assert_true(measured.ci_ns_low < measured.ci_ns_high);
        assert_true(measured.ci_ns_low <= measured.time_ns_median && measured.time_ns_median <= measured.ci_ns_high);
    }
    const spt_measurement measured = measure(quantised, INFINITY, &n_runs);
    assert_true(measured.time_ns_median == 1e5);
}

/* A clock that shows whole microseconds only. */
static double coarse_now(void *context) {
    return 1000.0 * floor(((script *)context)->now_ns / 1000.0);
}

static double short_runs(int64_t run) {
    (void)run;
    return 317.0;
}

static void a_coarse_clock_is_outlasted_by_batches(void **state) {
    (void)state;
    script self = {.run_ns = short_runs};
    const spt_sampler sampler = {.now_ns = coarse_now, .run = script_run, .context = &self};
    const spt_measure_policy policy = spt_measure_policy_default();
    spt_measurement measured = {0};
    assert_int_equal(spt_sampler_measure(&measured, &sampler, &policy, INFINITY), SPT_OK);
    assert_int_equal(measured.status, SPT_TRIAL_CORRECT);
    assert_true(fabs(measured.time_ns_median / 317.0 - 1.0) < 0.03);
}

/* One run in eight is preempted, for up to a hundred times as long: the median and its interval hardly notice. */
static double heavy_tailed(int64_t run) {
    return run % 8 == 5 ? 1e5 * (double)(2 + run * 7 % 97) : 1e5 * (1.0 + 0.002 * (double)(run % 3));
}

static void a_heavy_tail_does_not_move_the_median(void **state) {
    (void)state;
    int64_t n_runs;
    const spt_measurement measured = measure(heavy_tailed, INFINITY, &n_runs);
    assert_int_equal(measured.status, SPT_TRIAL_CORRECT);
    assert_true(measured.time_ns_median >= 1e5 && measured.time_ns_median < 1.005e5);
    assert_true(measured.ci_ns_high < 1.01e5);
}

/* What each condition says, once, and that it says what to do. */
static void conditions_are_warned_of_with_their_remedies(void **state) {
    (void)state;
    const spt_reply calm = {.calibration_ns = 1e5, .clock_resolution_ns = 30.0, .request_s = 0.1};
    spt_warnings warnings = {0};
    for (int i = 0; i < 100; i++) {
        spt_reply reply = calm;
        reply.was_moved = i == 50; /* once in a hundred happens */
        spt_warnings_check_reply(&warnings, &reply);
    }
    assert_null(spt_warnings_get(&warnings, 0));
    spt_reply cases[4] = {calm, calm, calm, calm};
    static const char *const remedies[] = {"governor", "stop them", "taskset -c 0", "tsc"};
    cases[0].calibration_ns = 1.1e5;
    cases[1].involuntary_switches = 50;
    cases[2].was_moved = true;
    cases[3].clock_resolution_ns = 4e6;
    for (int i = 0; i < 4; i++) {
        spt_warnings own = {.first_calibration_ns = 1e5};
        for (int repeat = 0; repeat < 30; repeat++)
            spt_warnings_check_reply(&own, &cases[i]);
        assert_non_null(spt_warnings_get(&own, 0));
        assert_non_null(strstr(spt_warnings_get(&own, 0), remedies[i]));
        assert_null(spt_warnings_get(&own, 1));
    }
}

static double third_of_a_millisecond(int64_t run) {
    (void)run;
    return 3e5;
}

static spt_measurement measure_shared(script *self, double best_ns) {
    const spt_sampler sampler = {
        .now_ns = script_now, .run = script_run_shared, .context = self, .interruptions = script_interruptions};
    const spt_measure_policy policy = spt_measure_policy_default();
    spt_measurement measured = {0};
    assert_int_equal(spt_sampler_measure(&measured, &sampler, &policy, best_ns), SPT_OK);
    return measured;
}

/* Another process has the CPU every other 4 ms: no sample has that in it, nor what it does to the caches. */
static void interrupted_samples_are_taken_again(void **state) {
    (void)state;
    script self = {.run_ns = third_of_a_millisecond, .slice_ns = 4e6, .away_ns = 4e6};
    const spt_measurement measured = measure_shared(&self, 3e5);
    assert_int_equal(measured.status, SPT_TRIAL_CORRECT);
    assert_true(self.n_interruptions > 0);
    assert_true(fabs(measured.time_ns_median - 3e5) < 1.0 && measured.ci_ns_high < 3.001e5);
}

/* Where no run can be had in one piece, sampling ends nevertheless, and the times are those that were seen. */
static void what_is_always_interrupted_is_measured_as_it_is(void **state) {
    (void)state;
    script self = {.run_ns = long_runs, .slice_ns = 4e6, .away_ns = 4e6};
    const spt_measurement measured = measure_shared(&self, INFINITY);
    assert_int_equal(measured.status, SPT_TRIAL_CORRECT);
    assert_true(measured.time_ns_median > 5e8);
    assert_true(self.n_runs < 25);
}

/* A trial of which some samples were fast is not dropped for the others. */
static double half_disturbed(int64_t run) {
    return run % 2 == 0 ? 1e5 : 9e5;
}

static void a_doubtful_trial_is_not_dropped(void **state) {
    (void)state;
    int64_t n_runs;
    const spt_measurement measured = measure(half_disturbed, 1e5, &n_runs);
    assert_int_equal(measured.status, SPT_TRIAL_CORRECT);
    assert_int_equal(measured.n_samples, spt_measure_policy_default().max_runs);
}

static void a_long_variant_stops_once_it_took_its_time(void **state) {
    (void)state;
    int64_t n_runs;
    const spt_measurement measured = measure(long_runs, INFINITY, &n_runs);
    assert_int_equal(measured.n_samples, 10);
    assert_true(n_runs <= 13); /* first, calibrating and warming run, then ten samples */
}

static void an_error_of_the_variant_comes_through(void **state) {
    (void)state;
    script self = {0};
    const spt_sampler sampler = {.now_ns = script_now, .run = script_refuse, .context = &self};
    const spt_measure_policy policy = spt_measure_policy_default();
    spt_measurement measured = {0};
    assert_int_equal(spt_sampler_measure(&measured, &sampler, &policy, INFINITY), SPT_EINVAL);
}

static void cold_samples_are_single_calls(void **state) {
    (void)state;
    script self = {.run_ns = steady};
    const spt_sampler sampler = {
        .now_ns = script_now, .run = script_run, .context = &self, .one_call_per_sample = true};
    int64_t calls;
    assert_int_equal(spt_sampler_calibrate(&calls, &sampler, 1e9), SPT_OK);
    assert_int_equal(calls, 1);
}

static spt_status script_chill(void *context) {
    script *self = context;
    self->now_ns += 1e8;
    self->n_chills++;
    return SPT_OK;
}

static void what_comes_before_a_sample_is_not_in_its_time(void **state) {
    (void)state;
    script self = {.run_ns = steady};
    const spt_sampler sampler = {.now_ns = script_now,
                                 .run = script_run,
                                 .context = &self,
                                 .one_call_per_sample = true,
                                 .before_sample = script_chill};
    const spt_measure_policy policy = spt_measure_policy_default();
    spt_measurement measured = {0};
    assert_int_equal(spt_sampler_measure(&measured, &sampler, &policy, INFINITY), SPT_OK);
    assert_int_equal(self.n_chills, measured.n_samples);
    assert_true(measured.n_samples >= policy.probe_runs && measured.time_ns_median < 1e8);
}

/* Nor does the probe drop what is slow until then. */
static void samples_begin_when_caches_have_come_to_rest(void **state) {
    (void)state;
    int64_t n_runs;
    const spt_measurement measured = measure(settling, 1e5, &n_runs);
    assert_int_equal(measured.status, SPT_TRIAL_CORRECT);
    assert_true(measured.time_ns_median == 1e5 && measured.mad_ns == 0.0);
}

static void warming_ends_after_its_time(void **state) {
    (void)state;
    script self = {.run_ns = long_runs};
    const spt_measure_policy policy = spt_measure_policy_default();
    spt_sampler sampler = {.now_ns = script_now, .run = script_run, .context = &self};
    assert_int_equal(spt_sampler_warm(&sampler, &policy), SPT_OK);
    assert_int_equal(self.n_runs, 1);
    self = (script){.run_ns = bimodal};
    sampler.one_call_per_sample = true;
    assert_int_equal(spt_sampler_warm(&sampler, &policy), SPT_OK);
    assert_int_equal(self.n_runs, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_median_and_its_interval_are_those_of_the_samples),
        cmocka_unit_test(the_middle_half_of_two_kinds_lies_between_them),
        cmocka_unit_test(the_interval_covers_the_median_of_a_heavy_tail),
        cmocka_unit_test(a_steady_variant_is_batched_and_done_after_the_race),
        cmocka_unit_test(slow_variants_leave_the_race_early),
        cmocka_unit_test(unsteady_variants_are_sampled_to_the_cap_and_tell_their_interval),
        cmocka_unit_test(a_coarse_clock_is_outlasted_by_batches),
        cmocka_unit_test(a_heavy_tail_does_not_move_the_median),
        cmocka_unit_test(conditions_are_warned_of_with_their_remedies),
        cmocka_unit_test(interrupted_samples_are_taken_again),
        cmocka_unit_test(what_is_always_interrupted_is_measured_as_it_is),
        cmocka_unit_test(a_doubtful_trial_is_not_dropped),
        cmocka_unit_test(a_long_variant_stops_once_it_took_its_time),
        cmocka_unit_test(an_error_of_the_variant_comes_through),
        cmocka_unit_test(cold_samples_are_single_calls),
        cmocka_unit_test(what_comes_before_a_sample_is_not_in_its_time),
        cmocka_unit_test(samples_begin_when_caches_have_come_to_rest),
        cmocka_unit_test(warming_ends_after_its_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

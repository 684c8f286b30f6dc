/* SPDX-License-Identifier: Apache-2.0 */
/* Recorded spaces: what a file says becomes axes, points and statuses; what is wrong is refused with file and line. */
#include <stdio.h>

#include "core/memory.h"
#include "tests/unit.h"
#include "tuner/input/recorded.h"

static const char cache[] =
    "{\"tune_params_keys\": [\"block\", \"pack\", \"same\"], \"cache\": {\n"
    "\"64,b,1\": {\"block\": 64, \"pack\": \"b\", \"same\": 1, \"time\": 2.5, \"compile_time\": 500},\n"
    "\"8,a,1\": {\"block\": 8, \"pack\": \"a\", \"same\": 1, \"time\": 1.5, \"compile_time\": 250},\n"
    "\"8,b,1\": {\"block\": 8, \"pack\": \"b\", \"same\": 1, \"time\": \"CompilationFailedConfig\"},\n"
    "\"16,b,1\": {\"block\": 16, \"pack\": \"b\", \"same\": 1, \"time\": 1e20, \"times\": [NaN]}}}";

static spt_status parse(spt_recorded *out, const char *text) {
    char data[2048];
    snprintf(data, sizeof data, "%s", text);
    return spt_recorded_parse(out, "some/made.json.gz", data, strlen(data));
}

static void a_cache_becomes_a_space(void **state) {
    (void)state;
    spt_recorded recorded;
    expect_ok(parse(&recorded, cache));
    assert_string_equal(recorded.name, "made");
    assert_int_equal(recorded.n_axes, 2); /* the axis with one value is left out */
    assert_int_equal(recorded.axes[0].n_values, 3);
    static const int32_t blocks[] = {8, 16, 64};
    for (int i = 0; i < 3; i++)
        assert_int_equal(recorded.axes[0].values[i].value, blocks[i]);
    assert_string_equal(recorded.axes[1].values[0].name, "b"); /* names in the order of appearance */
    assert_int_equal(recorded.n_trials, 4);
    assert_int_equal(recorded.n_correct, 2);
    assert_int_equal(spt_space_count_valid(&recorded.space), 4);
    static const struct {
        const char *point;
        spt_trial_status status;
        double time_ns, spent_s;
    } rows[] = {{"block=64,pack=b", SPT_TRIAL_CORRECT, 2.5e6, 0.5},
                {"block=8,pack=a", SPT_TRIAL_CORRECT, 1.5e6, 0.25},
                {"block=8,pack=b", SPT_TRIAL_COMPILE, 0.0, 0.0},
                {"block=16,pack=b", SPT_TRIAL_RUNTIME, 0.0, 0.0}};
    for (int i = 0; i < N_ITEMS(rows); i++) {
        spt_point point;
        expect_ok(spt_point_parse(&point, recorded.axes, recorded.n_axes, rows[i].point));
        const spt_recorded_trial *trial = spt_recorded_find(&recorded, &point);
        assert_non_null(trial);
        assert_int_equal(trial->status, rows[i].status);
        assert_true(trial->time_ns == rows[i].time_ns && trial->spent_s == rows[i].spent_s);
    }
    spt_point absent;
    expect_ok(spt_point_parse(&absent, recorded.axes, recorded.n_axes, "block=16,pack=a"));
    assert_null(spt_recorded_find(&recorded, &absent));
    assert_false(spt_space_is_valid(&recorded.space, &absent));
    spt_recorded_fini(&recorded);
}

/* What our own recorder writes: families with axes of their own, "-" where one has no such axis. */
static const char families[] =
    "{\"tune_params_keys\": [\"family\", \"kb\", \"t\"], \"cache\": {\n"
    "\"1\": {\"family\": \"near\", \"kb\": \"all\", \"t\": 4, \"time\": 3, \"bound\": 2.5, \"is_default\": 1},\n"
    "\"2\": {\"family\": \"near\", \"kb\": 128, \"t\": 2, \"time\": 2, \"bound\": 1, \"is_default\": 0},\n"
    "\"3\": {\"family\": \"far\", \"kb\": \"-\", \"t\": \"-\", \"time\": 9, \"bound\": 8, \"is_default\": 1},\n"
    "\"4\": {\"family\": \"near\", \"kb\": 64, \"t\": 2, \"time\": 4, \"bound\": 2, \"is_default\": 0}}}";

static void a_space_of_families_falls_into_its_parts(void **state) {
    (void)state;
    spt_recorded recorded;
    spt_recorded_part *parts;
    int n_parts;
    spt_point point;
    expect_ok(parse(&recorded, families));
    assert_true(recorded.has_bounds);
    assert_null(recorded.axes[1].values[0].name); /* 64, 128, all, -: numbers in rising order, then names */
    assert_int_equal(recorded.axes[1].values[1].value, 128);
    assert_string_equal(recorded.axes[1].values[2].name, "all");
    expect_ok(spt_recorded_split(&parts, &n_parts, &recorded, "family"));
    assert_int_equal(n_parts, 2);
    const spt_recorded *near = &parts[0].recorded, *far = &parts[1].recorded;
    assert_string_equal(near->name, "near");
    assert_int_equal(near->n_axes, 2);
    assert_int_equal(near->axes[0].n_values, 3); /* without the other family's "-" */
    assert_int_equal(near->n_trials, 3);
    assert_int_equal(far->n_axes, 0);
    assert_int_equal(far->n_trials, 1);
    expect_ok(spt_point_parse(&point, near->axes, near->n_axes, "kb=all,t=4"));
    const spt_recorded_trial *trial = spt_recorded_find(near, &point);
    assert_non_null(trial);
    assert_true(trial->is_default && trial->time_ns == 3e6);
    assert_true(near->space.expect(near->space.context, &point) == 2.5e6);
    assert_true(recorded.trials[parts[0].origins[trial - near->trials]].time_ns == 3e6);
    for (int i = 0; i < n_parts; i++)
        for (int64_t j = 0; j < parts[i].recorded.n_trials; j++)
            assert_true(spt_recorded_find(&parts[i].recorded, &parts[i].recorded.trials[j].point) ==
                        &parts[i].recorded.trials[j]);
    spt_recorded_parts_free(parts, n_parts);
    expect_ok(spt_recorded_split(&parts, &n_parts, &recorded, "nobody"));
    assert_int_equal(n_parts, 1);
    assert_int_equal(parts[0].recorded.n_trials, 4);
    assert_int_equal(parts[0].recorded.n_axes, 3);
    spt_recorded_parts_free(parts, n_parts);
    spt_recorded_fini(&recorded);
    assert_int_equal(spt_memory_live(), 0);
}

static void what_is_wrong_is_refused(void **state) {
    (void)state;
    static const struct {
        const char *text, *sentence;
    } rows[] = {
        {"", "made.json.gz:1: expected a Kernel Tuner cache or a T4 file"},
        {"[1]", "made.json.gz:1: expected a Kernel Tuner cache or a T4 file"},
        {"{}", "at least one entry"},
        {"{\"cache\": {}}", "tune_params_keys"},
        {"{\"tune_params_keys\": [1]}", "names of parameters"},
        {"{\"tune_params_keys\": [\"a\"], \"cache\": {\n\"1\": 5}}", "made.json.gz:2: expected an object"},
        {"{\"tune_params_keys\": [\"a\"], \"cache\": {\n\"1\": {\"time\": 1}}}", "entry 1: expected a value of a"},
        {"{\"tune_params_keys\": [\"a\"], \"cache\": {\"1\": {\"a\": 1, \"time\": \"x\"}}}",
         "at least one correct point"},
        {"{\"tune_params_keys\": [\"a\"], \"cache\": {\"1\": {\"a\": 1, \"time\": 1}, \"2\": {\"a\": 1, \"time\": 2}}}",
         "one twice"},
        {"{\"results\": [{\"invalidity\": \"correct\"}]}", "configuration"},
        {"{\"results\": [{\"configuration\": {\"a\": 1}, \"invalidity\": \"odd\"}]}", "odd"},
        {"{\"x\": {\"y\": ", "expected JSON"},
    };
    for (int i = 0; i < N_ITEMS(rows); i++) {
        spt_recorded recorded;
        expect_error(SPT_EINVAL, rows[i].sentence, parse(&recorded, rows[i].text));
        assert_int_equal(spt_memory_live(), 0);
    }
}

static void every_failed_allocation_is_an_answer(void **state) {
    (void)state;
    for (long n = 0;; n++) {
        spt_recorded recorded;
        spt_recorded_part *parts;
        int n_parts;
        spt_memory_fail_after(n);
        spt_status status = parse(&recorded, families);
        if (status == SPT_OK && (status = spt_recorded_split(&parts, &n_parts, &recorded, "family")) != SPT_OK)
            spt_recorded_fini(&recorded);
        spt_memory_fail_after(-1);
        if (status == SPT_OK) {
            assert_true(n > 20);
            spt_recorded_parts_free(parts, n_parts);
            spt_recorded_fini(&recorded);
            assert_int_equal(spt_memory_live(), 0);
            return;
        }
        assert_int_equal(status, SPT_ENOMEM);
        assert_int_equal(spt_memory_live(), 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cache_becomes_a_space),
        cmocka_unit_test(a_space_of_families_falls_into_its_parts),
        cmocka_unit_test(what_is_wrong_is_refused),
        cmocka_unit_test(every_failed_allocation_is_an_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

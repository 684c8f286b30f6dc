/* SPDX-License-Identifier: Apache-2.0 */
/* Recorded spaces: what a file says becomes axes, points and statuses; what is wrong is refused with file and line. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <zlib.h>

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

#define ENTRY_WITH(member) "{\"tune_params_keys\": [\"a\"], \"cache\": {\n\"1\": {\"a\": 1, " member "}"
#define ONE_ENTRY ENTRY_WITH("\"time\": 1")

static void an_open_cache_and_unknown_times_are_read(void **state) {
    (void)state;
    static const char *const texts[] = {ONE_ENTRY, ONE_ENTRY ",", ONE_ENTRY ",\n", ONE_ENTRY "\n}\n}\n",
                                        ENTRY_WITH("\"time\": 1, \"compile_time\": NaN") "}}"};
    for (int i = 0; i < N_ITEMS(texts); i++) {
        spt_recorded recorded;
        expect_ok(parse(&recorded, texts[i]));
        assert_int_equal(recorded.n_correct, 1);
        assert_true(recorded.trials[0].spent_s == 0.0);
        spt_recorded_fini(&recorded);
    }
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
        {ONE_ENTRY "}} trailing", "made.json.gz:2: expected the end of the file"},
        {ONE_ENTRY "}}\n" ONE_ENTRY "}}", "made.json.gz:3: expected the end of the file"},
        {ONE_ENTRY "}", "made.json.gz:2: expected JSON"}, /* closed, but not to the end */
        {ONE_ENTRY ",\n\"2\": {\"a\": 2, \"time\"", "expected JSON"},
        {ONE_ENTRY "\"2\": {\"a\": 2, \"time\": 2}}}", "made.json.gz:2: expected a comma"},
        {"{\"results\": [{\"configuration\": {\"a\": 1}, \"invalidity\": \"constraints\"}]", "expected JSON"},
        {ENTRY_WITH("\"compile_time\": -1e9") "}}",
         "entry 1: expected 0 or more milliseconds of compile_time, found -1e+09"},
        {ENTRY_WITH("\"time\": -2") "}}", "entry 1: expected 0 or more milliseconds of time, found -2"},
        {"{\"results\": [{\"configuration\": {\"a\": 1}, \"invalidity\": \"runtime\", \"times\": {\"runtimes\": "
         "[-3]}}]}",
         "milliseconds of runtimes, found -3"},
    };
    for (int i = 0; i < N_ITEMS(rows); i++) {
        spt_recorded recorded;
        expect_error(SPT_EINVAL, rows[i].sentence, parse(&recorded, rows[i].text));
        assert_int_equal(spt_memory_live(), 0);
    }
}

/* ---- files ---- */

/* gzip into out; the packed size. */
static size_t pack(unsigned char *out, size_t capacity, const char *text) {
    z_stream stream = {.next_in = (Bytef *)(uintptr_t)text, .avail_in = (uInt)strlen(text)};
    assert_int_equal(deflateInit2(&stream, 9, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    stream.next_out = out;
    stream.avail_out = (uInt)capacity;
    assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
    deflateEnd(&stream);
    return (size_t)stream.total_out;
}

static spt_status load(spt_recorded *out, const void *data, size_t size) {
    char path[] = "/tmp/sparsetune-recorded-XXXXXX";
    const int file = mkstemp(path);
    assert_true(file >= 0 && write(file, data, size) == (ssize_t)size && close(file) == 0);
    const spt_status status = spt_recorded_load(out, path);
    unlink(path);
    if (status == SPT_EINVAL && strstr(spt_last_error(), path) == NULL)
        fail_msg("no file in '%s'", spt_last_error());
    return status;
}

static void a_damaged_gzip_file_is_refused(void **state) {
    (void)state;
    static const char *const texts[] = {cache, ONE_ENTRY ",\n"}; /* closed, and open, which a cut must not look like */
    unsigned char packed[4096];
    spt_recorded recorded;
    for (int i = 0; i < N_ITEMS(texts); i++) {
        const size_t size = pack(packed, sizeof packed - 64, texts[i]);
        for (size_t cut = 1; cut + 2 <= size; cut++)
            expect_error(SPT_EINVAL, "expected a whole gzip stream", load(&recorded, packed, size - cut));
        memcpy(packed + size, "garbage", 7);
        expect_error(SPT_EINVAL, "found 7 more bytes", load(&recorded, packed, size + 7));
        expect_ok(load(&recorded, packed, size));
        spt_recorded_fini(&recorded);
        packed[size - 6] ^= 1; /* the checksum */
        expect_error(SPT_EINVAL, "found damage at byte", load(&recorded, packed, size));
        assert_int_equal(spt_memory_live(), 0);
    }
}

static void a_file_may_be_plain_or_several_streams(void **state) {
    (void)state;
    unsigned char packed[4096];
    spt_recorded recorded;
    expect_ok(load(&recorded, cache, strlen(cache)));
    spt_recorded_fini(&recorded);
    size_t size = pack(packed, sizeof packed / 2, ONE_ENTRY);
    size += pack(packed + size, sizeof packed / 2, ",\n\"2\": {\"a\": 2, \"time\": 2}}}");
    expect_ok(load(&recorded, packed, size));
    assert_int_equal(recorded.n_trials, 2);
    spt_recorded_fini(&recorded);
    expect_error(SPT_EINVAL, ":1: expected a Kernel Tuner cache", load(&recorded, "", 0));
    expect_error(SPT_EIO, "/nowhere/space.json", spt_recorded_load(&recorded, "/nowhere/space.json"));
    expect_error(SPT_EIO, "/tmp", spt_recorded_load(&recorded, "/tmp"));
    assert_int_equal(spt_memory_live(), 0);
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
        cmocka_unit_test(an_open_cache_and_unknown_times_are_read),
        cmocka_unit_test(a_damaged_gzip_file_is_refused),
        cmocka_unit_test(a_file_may_be_plain_or_several_streams),
        cmocka_unit_test(every_failed_allocation_is_an_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The values that everybody shares: memory, hashes, random numbers, text, CSR, space, keys, hardware, files. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/file.h"
#include "core/key.h"
#include "core/memory.h"
#include "core/random.h"
#include "core/space.h"
#include "core/statistics.h"
#include "core/text.h"
#include "core/trial.h"
#include "tests/support.h"

static void assert_sentence(const char *fragment) {
    if (strstr(spt_last_error(), fragment) == NULL)
        fail_msg("expected a sentence with '%s', found '%s'", fragment, spt_last_error());
}

static void sizes_that_overflow_are_refused(void **state) {
    (void)state;
    assert_null(spt_alloc(SIZE_MAX / 2, 3));
    assert_null(spt_alloc((size_t)-8, 1));
    assert_sentence("does not fit");
    void *p = spt_alloc(3, 5);
    assert_int_equal((uintptr_t)p % SPT_ALIGNMENT, 0);
    spt_free(p);
}

static void the_nth_allocation_fails_when_asked(void **state) {
    (void)state;
    const long live = spt_memory_live();
    for (long n = 0; n < 4; n++) {
        spt_matrix matrix;
        spt_memory_fail_after(n);
        const spt_status status = spt_matrix_init(&matrix, 5, 6, 7, true);
        spt_memory_fail_after(-1);
        assert_int_equal(status, n < 3 ? SPT_ENOMEM : SPT_OK);
        spt_matrix_fini(&matrix);
        assert_int_equal(spt_memory_live(), live);
    }
}

static void random_numbers_are_those_of_the_published_generator(void **state) {
    (void)state;
    /* splitmix64 of seed 0 fills the state; first outputs of xoshiro256** from it. */
    static const uint64_t expected[] = {11091344671253066420u, 13793997310169335082u, 1900383378846508768u};
    spt_random random;
    spt_random_init(&random, 0);
    for (int i = 0; i < 3; i++)
        assert_true(spt_random_next(&random) == expected[i]);
    for (int i = 0; i < 1000; i++)
        assert_true(spt_random_below(&random, 7) < 7);
}

static void numbers_are_parsed_whole_or_refused(void **state) {
    (void)state;
    static const char *const bad[] = {"", " 1", "1 ", "1x", "0x10", "99999999999999999999", "11", "-1", "+3", "nan"};
    int64_t integer;
    double real;
    assert_int_equal(spt_parse_i64(&integer, "10", 0, 10, "n"), SPT_OK);
    assert_int_equal(integer, 10);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(spt_parse_i64(&integer, bad[i], 0, 10, "n"), SPT_EINVAL);
    assert_int_equal(spt_parse_f64(&real, "0.25", 0, 1, "s"), SPT_OK);
    assert_int_equal(spt_parse_f64(&real, "nan", 0, 1, "s"), SPT_EINVAL);
    assert_int_equal(spt_parse_f64(&real, "1.5", 0, 1, "s"), SPT_EINVAL);
}

static void a_csr_that_is_not_legal_is_refused_with_row_and_position(void **state) {
    (void)state;
    const int64_t good[] = {0, 2, 3}, falling[] = {0, 2, 1}, late[] = {1, 2, 3}, long_row[] = {0, 5, 5};
    const int32_t columns[] = {0, 3, 1}, twice[] = {3, 3, 1}, unsorted[] = {3, 0, 1}, beyond[] = {0, 4, 1};
    const int32_t negative[] = {-1, 3, 1};
    const struct {
        spt_csr a;
        const char *sentence;
    } cases[] = {
        {{4, 2, 4, good, columns, NULL}, "size field"},
        {{sizeof(spt_csr), 0, 4, good, columns, NULL}, "found 0 x 4"},
        {{sizeof(spt_csr), 2, -4, good, columns, NULL}, "found 2 x -4"},
        {{sizeof(spt_csr), 2, (int64_t)1 << 40, good, columns, NULL}, "rows and columns"},
        {{sizeof(spt_csr), 2, 4, late, columns, NULL}, "start at 0"},
        {{sizeof(spt_csr), 2, 4, falling, columns, NULL}, "row 1 runs from offset 2 to 1"},
        {{sizeof(spt_csr), 2, 4, long_row, columns, NULL}, "row 0 runs from offset 0 to 5"},
        {{sizeof(spt_csr), 2, 4, good, twice, NULL}, "row 0 has column 3 after column 3 at nonzero 1"},
        {{sizeof(spt_csr), 2, 4, good, unsorted, NULL}, "row 0 has column 0 after column 3"},
        {{sizeof(spt_csr), 2, 4, good, beyond, NULL}, "row 0 has column 4 at nonzero 1"},
        {{sizeof(spt_csr), 2, 4, good, negative, NULL}, "column -1"},
        {{sizeof(spt_csr), 2, 4, good, NULL, NULL}, "found none"},
    };
    const spt_csr legal = {sizeof legal, 2, 4, good, columns, NULL};
    assert_int_equal(spt_csr_check(&legal, "A"), SPT_OK);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(spt_csr_check(&cases[i].a, "A"), SPT_EINVAL);
        assert_sentence(cases[i].sentence);
    }
    const float values[] = {1.0f, NAN, 2.0f};
    const spt_csr with_nan = {sizeof with_nan, 2, 4, good, columns, values};
    assert_int_equal(spt_csr_check_finite(&with_nan, "A"), SPT_EINVAL);
    assert_sentence("row 0, column 3 (nonzero 1)");
}

static const spt_axis_value numbers[] = {{1, NULL}, {4, NULL}, {16, NULL}};
static const spt_axis_value words[] = {{0, "none"}, {1, "copy"}};
static const spt_axis axes[] = {{"t", "", numbers, 3}, {"pack", "", words, 2}, {"kb", "", numbers, 3}};

static bool is_even(const void *context, const spt_point *point) {
    (void)context;
    return (point->index[0] + point->index[2]) % 2 == 0;
}

static void point_text_round_trips_for_every_index(void **state) {
    (void)state;
    const spt_space space = {axes, 3, NULL, NULL};
    spt_point point, parsed;
    int64_t count = 0;
    for (int64_t ordinal = 0; spt_space_next(&space, &ordinal, &point); ordinal++, count++) {
        char text[SPT_POINT_TEXT_MAX];
        assert_int_equal(spt_point_text(text, axes, 3, &point), SPT_OK);
        assert_int_equal(spt_point_parse(&parsed, axes, 3, text), SPT_OK);
        assert_true(spt_point_equal(&point, &parsed));
        assert_int_equal(spt_space_ordinal(&space, &parsed), ordinal);
    }
    assert_int_equal(count, 18);
    const spt_space even = {axes, 3, is_even, NULL};
    assert_int_equal(spt_space_count_valid(&even), 10);
    assert_int_equal(spt_point_parse(&parsed, axes, 0, "-"), SPT_OK);
}

static void a_point_text_that_is_not_legal_names_the_axis(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"t=1,pack=none", "axis kb is missing"},        {"t=1,t=4,pack=none,kb=1", "expected axis t once"},
        {"t=2,pack=none,kb=1", "axis t has no value"},  {"t=1,pack=no,kb=1", "axis pack has no value as in 'pack=no'"},
        {"x=1,pack=none,kb=1", "there is no axis 'x'"}, {"t,pack=none,kb=1", "axis=value"},
        {"t=1,pack=none,kb=1,", "expected axis=value"}, {"", "expected axis=value"},
    };
    spt_point point;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(spt_point_parse(&point, axes, 3, cases[i][0]), SPT_EINVAL);
        assert_sentence(cases[i][1]);
    }
}

static void every_field_of_a_problem_changes_its_key(void **state) {
    (void)state;
    spt_device device;
    spt_matrix matrix;
    spt_workload base, other;
    spt_key key, changed, again;
    const spt_problem problem = {.size = sizeof problem, .n = 64, .threads = 2};
    assert_int_equal(spt_device_detect(&device), SPT_OK);
    support_pattern_build(&matrix, support_pattern_at(11));
    assert_int_equal(spt_workload_init(&base, &problem, &matrix.view), SPT_OK);
    assert_int_equal(spt_key_init(&key, &base, &device), SPT_OK);
    assert_int_equal(spt_key_init(&again, &base, &device), SPT_OK);
    assert_true(spt_hash_equal(key.hash, again.hash));
    assert_string_equal(key.text, again.text);
    for (int field = 0; field < 8; field++) {
        spt_device here = device;
        other = base;
        switch (field) {
        case 0:
            other.problem.n++;
            break;
        case 1:
            other.problem.threads++;
            break;
        case 2:
            other.problem.layout = SPT_NK;
            break;
        case 3:
            other.problem.epilogue = SPT_BIAS;
            break;
        case 4:
            other.problem.cache = SPT_COLD;
            break;
        case 5:
            other.pattern.fingerprint.bytes[15] ^= 1;
            break;
        case 6:
            other.problem.dtype = SPT_F16;
            break;
        default:
            here.key[0] = 'x';
            break;
        }
        assert_int_equal(spt_key_init(&changed, &other, &here), SPT_OK);
        assert_false(spt_hash_equal(key.hash, changed.hash));
    }
    matrix.columns[0] ^= 1; /* one position moves */
    assert_false(spt_hash_equal(base.pattern.fingerprint, spt_pattern_fingerprint(&matrix.view)));
    spt_matrix_fini(&matrix);
}

static void a_forced_isa_changes_the_device_key(void **state) {
    (void)state;
    spt_device device, lowered;
    const char *given = getenv("SPARSETUNE_ISA");
    char saved[32] = "";
    if (given != NULL)
        spt_copy_text(saved, sizeof saved, given);
    unsetenv("SPARSETUNE_ISA");
    assert_int_equal(spt_device_detect(&device), SPT_OK);
    setenv("SPARSETUNE_ISA", "plain", 1);
    assert_int_equal(spt_device_detect(&lowered), SPT_OK);
    assert_int_equal(lowered.isa, SPT_ISA_PLAIN);
    assert_true((device.isa == SPT_ISA_PLAIN) == (strcmp(device.key, lowered.key) == 0));
    setenv("SPARSETUNE_ISA", "fast", 1);
    assert_int_equal(spt_device_detect(&lowered), SPT_EINVAL);
    assert_sentence("expected plain");
    if (saved[0] != '\0')
        setenv("SPARSETUNE_ISA", saved, 1);
    else
        unsetenv("SPARSETUNE_ISA");
    assert_true(spt_hardware_threads() >= 1);
}

static void features_text_round_trips(void **state) {
    (void)state;
    for (int i = 0; i < support_pattern_count(); i++) {
        spt_matrix matrix;
        spt_pattern pattern;
        spt_features parsed;
        char text[512], again[512];
        support_pattern_build(&matrix, support_pattern_at(i));
        assert_int_equal(spt_pattern_init(&pattern, &matrix.view), SPT_OK);
        spt_features_text(text, sizeof text, &pattern.features);
        assert_int_equal(spt_features_parse(&parsed, text), SPT_OK);
        spt_features_text(again, sizeof again, &parsed);
        assert_string_equal(text, again);
        assert_true(spt_pattern_distance(&pattern, &pattern) == 0.0);
        spt_matrix_fini(&matrix);
    }
}

static void a_file_appears_whole_or_not_at_all(void **state) {
    (void)state;
    char folder[256], path[300];
    char *data;
    size_t size;
    spt_file_writer writer;
    support_folder_make(folder, sizeof folder);
    snprintf(path, sizeof path, "%s/file", folder);
    assert_int_equal(spt_file_writer_open(&writer, path), SPT_OK);
    fputs("half", writer.stream);
    assert_int_equal(access(path, F_OK), -1);
    spt_file_writer_discard(&writer);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(spt_file_writer_open(&writer, path), SPT_OK);
    fputs("whole", writer.stream);
    assert_int_equal(spt_file_writer_commit(&writer), SPT_OK);
    assert_int_equal(spt_file_read(&data, &size, path, 100), SPT_OK);
    assert_int_equal(size, 5);
    assert_string_equal(data, "whole");
    spt_free(data);
    assert_int_equal(spt_file_read(&data, &size, path, 4), SPT_EINVAL);
    assert_int_equal(spt_file_read(&data, &size, folder, 100), SPT_EINVAL);
    assert_sentence("found a directory");
    assert_int_equal(spt_file_read(&data, &size, "/nowhere/at/all", 100), SPT_EIO);
    if (access("/dev/full", W_OK) == 0) { /* a full disk, as far as a test can have one */
        assert_int_equal(spt_file_writer_open(&writer, path), SPT_OK);
        fclose(writer.stream);
        writer.stream = fopen("/dev/full", "w");
        fputs("lost", writer.stream);
        assert_int_equal(spt_file_writer_commit(&writer), SPT_EIO);
        assert_int_equal(spt_file_read(&data, &size, path, 100), SPT_OK);
        assert_string_equal(data, "whole");
        spt_free(data);
    }
    support_folder_remove(folder);
}

static void names_of_statuses_round_trip(void **state) {
    (void)state;
    for (int i = 0; i < SPT_TRIAL_STATUS_COUNT; i++) {
        spt_trial_status status;
        assert_int_equal(spt_trial_status_parse(&status, spt_trial_status_name((spt_trial_status)i)), SPT_OK);
        assert_int_equal(status, i);
    }
    spt_layout layout;
    assert_int_equal(spt_layout_parse(&layout, "kn "), SPT_EINVAL);
    assert_sentence("expected one of kn, nk, found 'kn '");
}

static void the_median_and_its_interval_are_those_of_the_samples(void **state) {
    (void)state;
    double samples[200], scratch[200];
    spt_summary summary;
    spt_random random;
    int n_covered = 0;
    double bimodal[] = {1, 9, 1, 9, 1, 9, 1};
    spt_summarize(&summary, bimodal, scratch, 7);
    assert_true(summary.median == 1.0 && summary.ci_low == 1.0 && summary.ci_high == 9.0);
    double one[] = {5};
    spt_summarize(&summary, one, scratch, 1);
    assert_true(summary.median == 5.0 && summary.ci_low == 5.0 && summary.ci_high == 5.0 && summary.mad == 0.0);
    spt_random_init(&random, 1);
    for (int repeat = 0; repeat < 1000; repeat++) { /* heavy-tailed: 1 / u has no mean, its median is 2 */
        for (int i = 0; i < 51; i++)
            samples[i] = 1.0 / (1.0 - spt_random_unit(&random));
        spt_summarize(&summary, samples, scratch, 51);
        n_covered += summary.ci_low <= 2.0 && 2.0 <= summary.ci_high;
    }
    assert_in_range(n_covered, 930, 1000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_that_overflow_are_refused),
        cmocka_unit_test(the_nth_allocation_fails_when_asked),
        cmocka_unit_test(random_numbers_are_those_of_the_published_generator),
        cmocka_unit_test(numbers_are_parsed_whole_or_refused),
        cmocka_unit_test(a_csr_that_is_not_legal_is_refused_with_row_and_position),
        cmocka_unit_test(point_text_round_trips_for_every_index),
        cmocka_unit_test(a_point_text_that_is_not_legal_names_the_axis),
        cmocka_unit_test(every_field_of_a_problem_changes_its_key),
        cmocka_unit_test(a_forced_isa_changes_the_device_key),
        cmocka_unit_test(features_text_round_trips),
        cmocka_unit_test(a_file_appears_whole_or_not_at_all),
        cmocka_unit_test(names_of_statuses_round_trip),
        cmocka_unit_test(the_median_and_its_interval_are_those_of_the_samples),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

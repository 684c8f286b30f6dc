/* SPDX-License-Identifier: Apache-2.0 */
/* Problems and keys: what is refused, the exact text, and that every field that should matter does. */
#include "tests/unit.h"

#include <stdio.h>

#include "core/key.h"
#include "tests/support.h"

static const spt_problem good = {.size = sizeof(spt_problem),
                                 .op = SPT_SPMM,
                                 .dtype = SPT_F32,
                                 .layout = SPT_KN,
                                 .epilogue = SPT_EPILOGUE_NONE,
                                 .n = 64,
                                 .threads = 2,
                                 .cache = SPT_HOT};

static void defaults_are_resolved(void **state) {
    (void)state;
    spt_problem problem = good, out;
    problem.threads = 0;
    problem.may_be_nonfinite = 17;
    expect_ok(spt_problem_check(&out, &problem));
    assert_int_equal(out.threads, spt_hardware_threads());
    assert_string_equal(out.device, "cpu");
    assert_int_equal(out.may_be_nonfinite, 1);
    assert_int_equal(out.size, sizeof out);
    const char device[] = {'c', 'p', 'u', '\0'};
    problem.device = device;
    problem.size = sizeof problem + 64; /* a caller of a later version */
    expect_ok(spt_problem_check(&out, &problem));
    assert_ptr_not_equal(out.device, device); /* it outlives the caller's text */
    assert_int_equal(out.size, sizeof out);
    for (int dtype = SPT_F32; dtype < SPT_DTYPE_COUNT; dtype++) { /* which ones are served is for the families to say */
        problem.dtype = (spt_dtype)dtype;
        expect_ok(spt_problem_check(&out, &problem));
    }
}

/* One change of a good problem and what is said about it. */
typedef struct bad_problem {
    spt_problem problem;
    spt_status status;
    const char *named;
} bad_problem;

#define WITH(field, value) ((spt_problem){.size = sizeof(spt_problem), .n = 64, .threads = 2, .field = (value)})

static void illegal_problems_are_refused(void **state) {
    (void)state;
    static const char *const cuda = "cuda:x";
    const bad_problem rows[] = {
        {{.size = 0, .n = 1}, SPT_EINVAL, "size"},
        {{.size = sizeof(spt_problem) - 1, .n = 1}, SPT_EINVAL, "size"},
        {{.size = sizeof(spt_problem), .n = 0}, SPT_EINVAL, "n"},
        {{.size = sizeof(spt_problem), .n = -1}, SPT_EINVAL, "-1"},
        {{.size = sizeof(spt_problem), .n = INT64_MAX}, SPT_EINVAL, "9223372036854775807"},
        {{.size = sizeof(spt_problem), .n = 1, .threads = -1}, SPT_EINVAL, "threads"},
        {{.size = sizeof(spt_problem), .n = 1, .threads = 4097}, SPT_EINVAL, "4097"},
        {WITH(op, (spt_op)3), SPT_EINVAL, "3"},
        {WITH(op, (spt_op)-1), SPT_EINVAL, "-1"},
        {WITH(dtype, (spt_dtype)7), SPT_EINVAL, "7"},
        {WITH(layout, (spt_layout)2), SPT_EINVAL, "2"},
        {WITH(epilogue, (spt_epilogue)4), SPT_EINVAL, "4"},
        {WITH(epilogue, (spt_epilogue)-7), SPT_EINVAL, "-7"},
        {WITH(cache, (spt_cache)2), SPT_EINVAL, "2"},
        {WITH(device, "gpu"), SPT_EINVAL, "gpu"},
        {WITH(device, ""), SPT_EINVAL, "cpu"},
        {WITH(device, "cuda:16"), SPT_EINVAL, "cuda:16"},
        {WITH(device, cuda), SPT_EINVAL, "cuda:x"},
        {{.size = sizeof(spt_problem), .n = 1, .op = SPT_SDDMM, .epilogue = SPT_BIAS}, SPT_EINVAL, "sddmm"},
    };
    spt_problem out;
    expect_error(SPT_EINVAL, "problem", spt_problem_check(&out, NULL));
    for (int i = 0; i < N_ITEMS(rows); i++)
        expect_error(rows[i].status, rows[i].named, spt_problem_check(&out, &rows[i].problem));
}

static void a_workload_checks_its_matrix(void **state) {
    (void)state;
    spt_workload workload;
    spt_problem problem = good;
    const int64_t offsets[] = {0, 2};
    const int32_t columns[] = {1, 1};
    const spt_csr a = {.size = sizeof a, .n_rows = 1, .n_cols = 2, .row_offsets = offsets, .columns = columns};
    expect_error(SPT_EINVAL, "A: row 0", spt_workload_init(&workload, &problem, &a));
    problem.op = SPT_SDDMM;
    expect_error(SPT_EINVAL, "mask: row 0", spt_workload_init(&workload, &problem, &a));
    expect_error(SPT_EINVAL, "mask", spt_workload_init(&workload, &problem, NULL));
}

/* ---- the key ---- */

static spt_device make_device(void) {
    return (spt_device){.key = "cpu|GenuineIntel|6|143|avx2+fma+f16c|49152|2097152"};
}

static void make_workload(spt_workload *out, const spt_problem *problem, int pattern) {
    spt_matrix matrix;
    support_pattern_build(&matrix, support_pattern_at(pattern));
    expect_ok(spt_workload_init(out, problem, &matrix.view));
    spt_matrix_fini(&matrix);
}

static void the_text_is_exactly_the_documented_one(void **state) {
    (void)state;
    spt_workload workload;
    spt_key key;
    char expected[SPT_KEY_TEXT_MAX], fingerprint[SPT_HASH_TEXT_SIZE];
    spt_problem problem = good;
    const spt_device device = make_device();
    problem.epilogue = SPT_BIAS_RELU;
    problem.layout = SPT_NK;
    problem.cache = SPT_COLD;
    make_workload(&workload, &problem, 10); /* 17 x 33 */
    spt_hash_text(fingerprint, workload.pattern.fingerprint);
    snprintf(expected, sizeof expected, "v1|spmm|f32|nk|bias_relu|17|33|64|2|cold|-|%s|%s", fingerprint, device.key);
    expect_ok(spt_key_init(&key, &workload, &device));
    assert_string_equal(key.text, expected);
    assert_true(spt_hash_equal(key.hash, spt_hash(expected, strlen(expected))));
}

/* Writer and reader describe the same problem from their own copies, so their keys must be equal. */
static void equal_problems_have_equal_keys(void **state) {
    (void)state;
    const spt_device device = make_device();
    for (int i = 0; i < support_pattern_count(); i++) {
        spt_workload writer, reader;
        spt_key written, read;
        spt_problem problem = good;
        memset(&writer, 0xaa, sizeof writer);
        memset(&reader, 0x55, sizeof reader);
        memset(&written, 0xaa, sizeof written);
        memset(&read, 0x55, sizeof read);
        make_workload(&writer, &problem, i);
        problem.device = "cpu";
        problem.may_be_nonfinite = 1; /* a policy of which families may serve, not part of the key */
        make_workload(&reader, &problem, i);
        expect_ok(spt_key_init(&written, &writer, &device));
        expect_ok(spt_key_init(&read, &reader, &device));
        assert_string_equal(written.text, read.text);
        assert_true(spt_hash_equal(written.hash, read.hash));
    }
}

static void each_field_changes_the_key(void **state) {
    (void)state;
    spt_problem problems[9];
    for (int i = 0; i < N_ITEMS(problems); i++)
        problems[i] = good;
    problems[1].op = SPT_SDDMM;
    problems[2].dtype = SPT_BF16;
    problems[3].layout = SPT_NK;
    problems[4].epilogue = SPT_BIAS;
    problems[5].n = 65;
    problems[6].threads = 1;
    problems[7].cache = SPT_COLD;
    spt_device device = make_device();
    spt_hash128 hashes[16];
    int n_hashes = 0;
    for (int i = 0; i < N_ITEMS(problems); i++) {
        spt_workload workload;
        spt_key key;
        make_workload(&workload, &problems[i], i == 8 ? 11 : 10); /* the last one: another pattern */
        expect_ok(spt_key_init(&key, &workload, &device));
        hashes[n_hashes++] = key.hash;
    }
    spt_workload workload;
    spt_key key;
    make_workload(&workload, &good, 10);
    snprintf(device.key, sizeof device.key, "cpu|AuthenticAMD|25|17|avx2+fma+f16c|32768|1048576");
    expect_ok(spt_key_init(&key, &workload, &device));
    hashes[n_hashes++] = key.hash;
    for (int i = 0; i < n_hashes; i++)
        for (int j = 0; j < i; j++)
            assert_false(spt_hash_equal(hashes[i], hashes[j]));
}

static void the_longest_device_key_fits(void **state) {
    (void)state;
    spt_workload workload;
    spt_key key;
    spt_device device = {0};
    spt_problem problem = good;
    problem.op = SPT_SPMM, problem.epilogue = SPT_BIAS_RELU, problem.n = SPT_DIM_MAX, problem.threads = 4096;
    memset(device.key, 'k', sizeof device.key - 1);
    make_workload(&workload, &problem, 10);
    expect_ok(spt_key_init(&key, &workload, &device));
    assert_non_null(strstr(key.text, device.key));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_resolved),          cmocka_unit_test(illegal_problems_are_refused),
        cmocka_unit_test(a_workload_checks_its_matrix),   cmocka_unit_test(the_text_is_exactly_the_documented_one),
        cmocka_unit_test(equal_problems_have_equal_keys), cmocka_unit_test(each_field_changes_the_key),
        cmocka_unit_test(the_longest_device_key_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

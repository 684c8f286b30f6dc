/* SPDX-License-Identifier: Apache-2.0 */
/* Text, numbers, and hashes as text. */
#include "tests/unit.h"

#include <locale.h>
#include <math.h>

#include "core/hash.h"
#include "core/text.h"

static void nothing_is_written_past_the_end(void **state) {
    (void)state;
    for (size_t capacity = 1; capacity < 12; capacity++) {
        char data[16];
        spt_text text;
        memset(data, '#', sizeof data);
        spt_text_init(&text, data, capacity);
        spt_text_add(&text, "%s", "abc");
        spt_text_add(&text, "%d", 4567);
        assert_int_equal(text.overflow, capacity < 8);
        assert_int_equal(text.length, capacity < 8 ? capacity - 1 : 7);
        assert_int_equal(strlen(data), text.length);
        assert_memory_equal(data, "abc4567", text.length);
        for (size_t i = capacity; i < sizeof data; i++)
            assert_int_equal(data[i], '#');
    }
}

static void a_copied_text_is_cut_and_terminated(void **state) {
    (void)state;
    char out[5] = "####";
    spt_copy_text(out, sizeof out, "ab");
    assert_string_equal(out, "ab");
    spt_copy_text(out, sizeof out, "abcdefgh");
    assert_string_equal(out, "abcd");
    spt_copy_text(out, 1, "abc");
    assert_string_equal(out, "");
    spt_copy_text(NULL, 0, "abc");
}

static void whole_numbers_are_read_strictly(void **state) {
    (void)state;
    static const struct {
        const char *text;
        bool is_legal;
        int64_t value;
    } rows[] = {
        {"0", true, 0},
        {"-7", true, -7},
        {"007", true, 7},
        {"9223372036854775807", true, INT64_MAX},
        {"-9223372036854775808", true, INT64_MIN},
        {"9223372036854775808", false, 0},
        {"99999999999999999999999", false, 0},
        {"", false, 0},
        {"-", false, 0},
        {"--1", false, 0},
        {"+1", false, 0},
        {" 1", false, 0},
        {"1 ", false, 0},
        {"1.0", false, 0},
        {"1e3", false, 0},
        {"0x10", false, 0},
        {"1-2", false, 0},
        {"ten", false, 0},
    };
    for (int i = 0; i < N_ITEMS(rows); i++) {
        int64_t value = -12345;
        const spt_status status = spt_parse_i64(&value, rows[i].text, INT64_MIN, INT64_MAX, "n");
        if ((status == SPT_OK) != rows[i].is_legal || value != (rows[i].is_legal ? rows[i].value : -12345))
            fail_msg("'%s': %s, %lld", rows[i].text, spt_status_name(status), (long long)value);
    }
    int64_t value = 0;
    expect_ok(spt_parse_i64(&value, "8", 1, 8, "threads"));
    expect_error(SPT_EINVAL, "threads", spt_parse_i64(&value, "9", 1, 8, "threads"));
    expect_error(SPT_EINVAL, "1 to 8", spt_parse_i64(&value, "0", 1, 8, "threads"));
    assert_int_equal(value, 8);
}

static void real_numbers_are_read_strictly(void **state) {
    (void)state;
    static const struct {
        const char *text;
        bool is_legal;
        double value;
    } rows[] = {
        {"0.5", true, 0.5},    {".5", true, 0.5},         {"-1e-3", true, -1e-3}, {"5.", true, 5.0},
        {"1e400", false, 0.0}, {"-1e400", false, 0.0},    {"nan", false, 0.0},    {"-nan", false, 0.0},
        {"inf", false, 0.0},   {"-infinity", false, 0.0}, {"0x1p3", false, 0.0},  {"", false, 0.0},
        {"1,5", false, 0.0},   {" 1", false, 0.0},        {"1 ", false, 0.0},     {"+1", false, 0.0},
        {"1e", false, 0.0},    {"1.2.3", false, 0.0},     {"-", false, 0.0},      {".", false, 0.0},
    };
    for (int i = 0; i < N_ITEMS(rows); i++) {
        double value = -12345.0;
        const spt_status status = spt_parse_f64(&value, rows[i].text, -INFINITY, INFINITY, "x");
        if ((status == SPT_OK) != rows[i].is_legal || value != (rows[i].is_legal ? rows[i].value : -12345.0))
            fail_msg("'%s': %s, %g", rows[i].text, spt_status_name(status), value);
    }
    double value = 0.0;
    expect_error(SPT_EINVAL, "sparsity", spt_parse_f64(&value, "1.5", 0.0, 1.0, "sparsity"));
    expect_error(SPT_EINVAL, "sparsity", spt_parse_f64(&value, "-0.5", 0.0, 1.0, "sparsity"));
}

/* Stored numbers must not depend on the application's locale. Without a comma locale installed only its absence is
 * seen, so the test says so. */
static void a_comma_locale_changes_nothing(void **state) {
    (void)state;
    static const char *const names[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "de_DE.utf8",
                                        "fr_FR.utf8",  "de_DE",       "nl_NL.UTF-8"};
    int i = 0;
    while (i < N_ITEMS(names) && setlocale(LC_ALL, names[i]) == NULL)
        i++;
    if (i == N_ITEMS(names)) {
        print_message("SKIP: no locale with a decimal comma is installed\n");
        skip();
    }
    char data[16];
    double value = 0.0;
    spt_text text;
    spt_text_init(&text, data, sizeof data);
    spt_text_add(&text, "%g", 0.5);
    const spt_status status = spt_parse_f64(&value, "0.25", 0.0, 1.0, "x");
    setlocale(LC_ALL, "C");
    assert_string_equal(data, "0.5");
    assert_int_equal(status, SPT_OK);
    assert_true(value == 0.25);
}

static void hashes_are_the_published_ones(void **state) {
    (void)state;
    char text[SPT_HASH_TEXT_SIZE];
    spt_hash_text(text, spt_hash("", 0)); /* XXH3-128 of nothing, seed 0, in canonical byte order */
    assert_string_equal(text, "99aa06d3014798d86001c324468d497f");
    uint8_t bytes[3000];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 7);
    for (size_t size = 0; size < sizeof bytes; size += 37) { /* parts give the hash of the whole, however it is cut */
        const spt_hash_part parts[] = {{bytes, size / 3}, {NULL, 0}, {bytes + size / 3, size - size / 3}};
        assert_true(spt_hash_equal(spt_hash_parts(parts, 3), spt_hash(bytes, size)));
    }
}

static void hash_text_round_trips_and_bad_text_is_refused(void **state) {
    (void)state;
    for (int i = 0; i < 50; i++) {
        char text[SPT_HASH_TEXT_SIZE];
        spt_hash128 back;
        const spt_hash128 hash = spt_hash(&i, sizeof i);
        spt_hash_text(text, hash);
        expect_ok(spt_hash_parse(&back, text));
        assert_true(spt_hash_equal(hash, back));
        assert_int_equal(spt_hash_compare(hash, back), 0);
    }
    spt_hash128 hash = spt_hash("x", 1);
    const spt_hash128 before = hash;
    static const char *const bad[] = {"",
                                      "99aa",
                                      "99aa06d3014798d86001c324468d497",
                                      "99aa06d3014798d86001c324468d497f0",
                                      "99aa06d3014798d86001c324468d497g",
                                      " 9aa06d3014798d86001c324468d497f"};
    for (int i = 0; i < N_ITEMS(bad); i++)
        expect_error(SPT_EINVAL, "32 hex digits", spt_hash_parse(&hash, bad[i]));
    assert_true(spt_hash_equal(hash, before));
    expect_ok(spt_hash_parse(&hash, "99AA06D3014798D86001C324468D497F"));
    assert_true(spt_hash_equal(hash, spt_hash("", 0)));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_written_past_the_end),
        cmocka_unit_test(a_copied_text_is_cut_and_terminated),
        cmocka_unit_test(whole_numbers_are_read_strictly),
        cmocka_unit_test(real_numbers_are_read_strictly),
        cmocka_unit_test(a_comma_locale_changes_nothing),
        cmocka_unit_test(hashes_are_the_published_ones),
        cmocka_unit_test(hash_text_round_trips_and_bad_text_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Errors: the deepest sentence survives, per thread, in one line. */
#include "tests/unit.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

static spt_status deepest(int value) {
    return spt_fail(SPT_EWRONG, "expected 1, found %d", value);
}

static spt_status forwards_with_try(void) {
    SPT_TRY(SPT_OK);
    SPT_TRY(deepest(2));
    return SPT_OK;
}

static spt_status forwards_to_a_label(int *n_cleanups) {
    spt_status status = SPT_OK;
    SPT_TRY_TO(done, SPT_OK);
    SPT_TRY_TO(done, deepest(3));
    *n_cleanups = 100;
done:
    *n_cleanups += 1;
    return status;
}

static void the_deepest_sentence_survives_forwarding(void **state) {
    (void)state;
    int n_cleanups = 0;
    assert_int_equal(forwards_with_try(), SPT_EWRONG);
    assert_string_equal(spt_last_error(), "expected 1, found 2");
    assert_int_equal(forwards_to_a_label(&n_cleanups), SPT_EWRONG);
    assert_string_equal(spt_last_error(), "expected 1, found 3");
    assert_int_equal(n_cleanups, 1);
}

static void the_place_names_file_and_line(void **state) {
    (void)state;
    (void)deepest(1);
    const int line = __LINE__ + 1;
    (void)spt_fail(SPT_EIO, "here");
    char expected[64];
    snprintf(expected, sizeof expected, "test_error.c:%d", line);
    assert_non_null(strstr(spt_last_error_place(), expected));
    spt_error_clear();
    assert_string_equal(spt_last_error(), "");
    assert_string_equal(spt_last_error_place(), "");
}

static void a_sentence_may_quote_the_last_one(void **state) {
    (void)state;
    (void)spt_fail(SPT_EINVAL, "inner");
    (void)spt_fail(SPT_EIO, "outer after '%s'", spt_last_error());
    assert_string_equal(spt_last_error(), "outer after 'inner'");
}

static void a_long_sentence_is_cut_and_stays_one_line(void **state) {
    (void)state;
    char text[5000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    text[5] = '\n';
    text[6] = '\r';
    text[7] = '\x1b';
    (void)spt_fail(SPT_EINVAL, "%s", text);
    assert_in_range(strlen(spt_last_error()), 100, sizeof text - 2);
    assert_null(strpbrk(spt_last_error(), "\n\r\x1b"));
}

static void *fail_elsewhere(void *before) {
    memcpy(before, spt_last_error(), 1);
    (void)spt_fail(SPT_EIO, "another thread's");
    return NULL;
}

static void every_thread_has_its_own_sentence(void **state) {
    (void)state;
    pthread_t thread;
    char first_byte = 'x';
    (void)spt_fail(SPT_EINVAL, "mine");
    assert_int_equal(pthread_create(&thread, NULL, fail_elsewhere, &first_byte), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_string_equal(spt_last_error(), "mine");
    assert_int_equal(first_byte, '\0');
}

static void every_status_has_a_name(void **state) {
    (void)state;
    static const struct {
        spt_status status;
        const char *name;
    } rows[] = {{SPT_OK, "OK"},
                {SPT_EINVAL, "EINVAL"},
                {SPT_ENOMEM, "ENOMEM"},
                {SPT_ENOTFOUND, "ENOTFOUND"},
                {SPT_EUNSUPPORTED, "EUNSUPPORTED"},
                {SPT_EWRONG, "EWRONG"},
                {SPT_ECOMPILE, "ECOMPILE"},
                {SPT_ETIMEOUT, "ETIMEOUT"},
                {SPT_EIO, "EIO"}};
    for (int i = 0; i < N_ITEMS(rows); i++)
        assert_string_equal(spt_status_name(rows[i].status), rows[i].name);
    assert_non_null(spt_status_name((spt_status)-99));
    assert_non_null(spt_status_name((spt_status)1));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_deepest_sentence_survives_forwarding),
        cmocka_unit_test(the_place_names_file_and_line),
        cmocka_unit_test(a_sentence_may_quote_the_last_one),
        cmocka_unit_test(a_long_sentence_is_cut_and_stays_one_line),
        cmocka_unit_test(every_thread_has_its_own_sentence),
        cmocka_unit_test(every_status_has_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

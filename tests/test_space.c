/* SPDX-License-Identifier: Apache-2.0 */
/* The parameter space: text, ordinals, enumeration. */
#include "tests/unit.h"

#include <time.h>

#include "core/space.h"

static const spt_axis_value tiles[] = {{1, NULL}, {2, NULL}, {4, NULL}, {8, NULL}};
static const spt_axis_value packs[] = {{0, "none"}, {1, "copy"}, {2, "transpose"}};
static const spt_axis_value signs[] = {{-5, NULL}, {0, NULL}};
static const spt_axis axes[] = {{"t", "vectors", tiles, 4}, {"pack", "packing", packs, 3}, {"s", "sign", signs, 2}};
enum { N_AXES = 3, SIZE = 24 };

static bool is_even_sum(const void *context, const spt_point *point) {
    (void)context;
    return (point->index[0] + point->index[1] + point->index[2]) % 2 == 0;
}

static bool is_never(const void *context, const spt_point *point) {
    (void)point;
    ++*(int64_t *)(uintptr_t)context;
    return false;
}

static const spt_space plain_space = {.axes = axes, .n_axes = N_AXES};

static void point_text_round_trips_for_every_index(void **state) {
    (void)state;
    assert_int_equal(spt_space_size(&plain_space), SIZE);
    for (int64_t ordinal = 0; ordinal < SIZE; ordinal++) {
        char text[SPT_POINT_TEXT_MAX], again[SPT_POINT_TEXT_MAX];
        spt_point point, back;
        spt_space_point(&plain_space, ordinal, &point);
        assert_int_equal(spt_space_ordinal(&plain_space, &point), ordinal);
        expect_ok(spt_point_text(text, axes, N_AXES, &point));
        expect_ok(spt_point_parse(&back, axes, N_AXES, text));
        assert_true(spt_point_equal(&point, &back));
        expect_ok(spt_point_text(again, axes, N_AXES, &back));
        assert_string_equal(text, again);
    }
}

static void text_names_values_in_the_order_of_the_axes(void **state) {
    (void)state;
    char text[SPT_POINT_TEXT_MAX];
    spt_point point = {0};
    expect_ok(spt_point_set(axes, &point, 0, 8));
    expect_ok(spt_point_set(axes, &point, 1, 2));
    expect_ok(spt_point_set(axes, &point, 2, -5));
    expect_ok(spt_point_text(text, axes, N_AXES, &point));
    assert_string_equal(text, "t=8,pack=transpose,s=-5");
    assert_int_equal(spt_point_value(axes, &point, 0), 8);
    assert_int_equal(spt_point_value(axes, &point, 2), -5);
    expect_error(SPT_ENOTFOUND, "t", spt_point_set(axes, &point, 0, 3));
    spt_point other;
    expect_ok(spt_point_parse(&other, axes, N_AXES, "s=-5,t=8,pack=transpose"));
    assert_true(spt_point_equal(&point, &other));
    other.index[0] = 0;
    assert_false(spt_point_equal(&point, &other));
}

static void bad_text_is_refused_by_name(void **state) {
    (void)state;
    static const struct {
        const char *text, *named;
    } rows[] = {
        {"", ""},
        {"-", "-"},
        {"t=8", "pack"},
        {"t=8,pack=none", "s"},
        {"t=8,pack=none,s=0,t=8", "t"},
        {"t=8,pack=none,s=0,u=1", "u"},
        {"t=3,pack=none,s=0", "t"},
        {"t=08,pack=none,s=0", "t=08"},
        {"t=8,pack=nONE,s=0", "pack"},
        {"t=8,pack=0,s=0", "pack"},
        {"t=8,pack=none,s=0,", ""},
        {",t=8,pack=none,s=0", ""},
        {"t=8,,pack=none,s=0", ""},
        {"t=8 ,pack=none,s=0", "t"},
        {"t,pack=none,s=0", "t"},
        {"t=,pack=none,s=0", "t"},
        {"=8,pack=none,s=0", "axis"},
        {"T=8,pack=none,s=0", "T"},
    };
    const spt_point before = {.index = {1, 2, 1}};
    for (int i = 0; i < N_ITEMS(rows); i++) {
        spt_point point = before;
        expect_error(SPT_EINVAL, rows[i].named, spt_point_parse(&point, axes, N_AXES, rows[i].text));
        assert_true(spt_point_equal(&point, &before));
    }
    char flood[20000];
    memset(flood, 't', sizeof flood - 1);
    flood[sizeof flood - 1] = '\0';
    spt_point point;
    expect_error(SPT_EINVAL, "tttt", spt_point_parse(&point, axes, N_AXES, flood));
}

static void a_space_without_axes_has_one_point(void **state) {
    (void)state;
    const spt_space space = {0};
    spt_point point = {.index = {7}};
    char text[SPT_POINT_TEXT_MAX];
    int64_t ordinal = 0;
    assert_int_equal(spt_space_size(&space), 1);
    assert_int_equal(spt_space_count_valid(&space), 1);
    assert_true(spt_space_next(&space, &ordinal, &point));
    ordinal++;
    assert_false(spt_space_next(&space, &ordinal, &point));
    expect_ok(spt_point_text(text, NULL, 0, &point));
    assert_string_equal(text, "-");
    expect_ok(spt_point_parse(&point, NULL, 0, "-"));
    expect_error(SPT_EINVAL, "'-'", spt_point_parse(&point, NULL, 0, ""));
    expect_error(SPT_EINVAL, "'-'", spt_point_parse(&point, NULL, 0, "t=1"));
}

static void enumeration_visits_each_valid_point_once_in_order(void **state) {
    (void)state;
    const spt_space space = {.axes = axes, .n_axes = N_AXES, .is_valid = is_even_sum};
    int64_t ordinal = 0, n_visited = 0;
    spt_point point, expected;
    for (; spt_space_next(&space, &ordinal, &point); ordinal++) {
        spt_space_point(&space, ordinal, &expected);
        assert_true(spt_point_equal(&point, &expected));
        assert_true(is_even_sum(NULL, &point));
        n_visited++;
    }
    assert_int_equal(n_visited, SIZE / 2);
    assert_int_equal(spt_space_count_valid(&space), SIZE / 2);
    ordinal = -1;
    assert_false(spt_space_next(&space, &ordinal, &point));
    ordinal = SIZE;
    assert_false(spt_space_next(&space, &ordinal, &point));
}

static void a_point_outside_its_axes_is_not_valid(void **state) {
    (void)state;
    const spt_point inside = {.index = {3, 2, 1}}, outside = {.index = {3, 3, 1}};
    assert_true(spt_space_is_valid(&plain_space, &inside));
    assert_false(spt_space_is_valid(&plain_space, &outside));
}

static void the_size_saturates(void **state) {
    (void)state;
    spt_axis many[SPT_AXES_MAX];
    static spt_axis_value values[1000];
    for (int i = 0; i < SPT_AXES_MAX; i++)
        many[i] = (spt_axis){"a", "", values, 1000};
    const spt_space space = {.axes = many, .n_axes = SPT_AXES_MAX};
    assert_true(spt_space_size(&space) == INT64_MAX);
}

static void text_that_does_not_fit_is_refused(void **state) {
    (void)state;
    spt_axis many[SPT_AXES_MAX];
    const spt_axis_value value = {1234567890, NULL};
    const spt_point point = {0};
    char text[SPT_POINT_TEXT_MAX];
    for (int i = 0; i < SPT_AXES_MAX; i++)
        many[i] = (spt_axis){"a_long_name_of_an_axis", "", &value, 1};
    assert_int_equal(spt_point_text(text, many, SPT_AXES_MAX, &point), SPT_EINVAL);
    expect_ok(spt_point_text(text, many, 3, &point));
}

static void millions_of_points_are_walked_in_a_moment(void **state) {
    (void)state;
    static spt_axis_value values[20];
    spt_axis many[5];
    int64_t n_asked = 0, ordinal = 0;
    for (int i = 0; i < 20; i++)
        values[i].value = i;
    for (int i = 0; i < 5; i++)
        many[i] = (spt_axis){"a", "", values, 20};
    const spt_space space = {.axes = many, .n_axes = 5, .is_valid = is_never, .context = &n_asked};
    spt_point point;
    struct timespec begin, end;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &begin);
    assert_false(spt_space_next(&space, &ordinal, &point));
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
    assert_int_equal(n_asked, 3200000);
    assert_true(end.tv_sec - begin.tv_sec < 5); /* 20 ms here; a bound that only a wrong algorithm exceeds */
}

/* Indices that never fall: of 8^16 points 8 + 15 over 15 = 245157 are valid. The context counts the questions. */
static bool never_falls(const void *context, const spt_point *prefix, int n_fixed) {
    ++*(int64_t *)(uintptr_t)context;
    return n_fixed < 2 || prefix->index[n_fixed - 1] >= prefix->index[n_fixed - 2];
}

static bool is_rising(const void *context, const spt_point *point) {
    for (int axis = 1; axis < 16; axis++)
        if (point->index[axis] < point->index[axis - 1])
            return false;
    return never_falls(context, point, 1);
}

static void impossible_prefixes_are_skipped_with_all_that_begins_so(void **state) {
    (void)state;
    static const spt_axis_value eight[8];
    spt_axis many[16];
    int64_t n_asked = 0, n_visited = 0;
    for (int i = 0; i < 16; i++)
        many[i] = (spt_axis){"a", "", eight, 8};
    const spt_space space = {
        .axes = many, .n_axes = 16, .is_valid = is_rising, .can_begin = never_falls, .context = &n_asked};
    spt_point point, before = {0};
    for (bool more = spt_space_first(&space, &point); more; more = spt_space_following(&space, &point)) {
        assert_true(n_visited == 0 || spt_space_ordinal(&space, &point) > spt_space_ordinal(&space, &before));
        before = point;
        n_visited++;
    }
    assert_int_equal(n_visited, 245157);
    assert_int_equal(spt_space_count_valid(&space), 245157);
    assert_true(n_asked < 40 * 245157); /* the product has 2.8e14 points */
    int64_t ordinal = spt_space_ordinal(&space, &before) - 1;
    assert_true(spt_space_next(&space, &ordinal, &point));
    assert_true(spt_point_equal(&point, &before));
}

/* A predicate of prefixes changes how the valid points are found, never which. */
static bool may_begin(const void *context, const spt_point *prefix, int n_fixed) {
    (void)context;
    return n_fixed < 2 || (prefix->index[0] + prefix->index[1]) % 2 == 0;
}
static bool is_wanted(const void *context, const spt_point *point) {
    return may_begin(context, point, 2) && point->index[2] == 1;
}

static void pruning_changes_no_answer(void **state) {
    (void)state;
    const spt_space filtered = {.axes = axes, .n_axes = N_AXES, .is_valid = is_wanted};
    const spt_space pruned = {.axes = axes, .n_axes = N_AXES, .is_valid = is_wanted, .can_begin = may_begin};
    for (int64_t from = 0; from < SIZE; from++) {
        int64_t a = from, b = from;
        spt_point point, other;
        const bool found = spt_space_next(&filtered, &a, &point);
        assert_int_equal(spt_space_next(&pruned, &b, &other), found);
        assert_true(!found || (a == b && spt_point_equal(&point, &other)));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(impossible_prefixes_are_skipped_with_all_that_begins_so),
        cmocka_unit_test(pruning_changes_no_answer),
        cmocka_unit_test(point_text_round_trips_for_every_index),
        cmocka_unit_test(text_names_values_in_the_order_of_the_axes),
        cmocka_unit_test(bad_text_is_refused_by_name),
        cmocka_unit_test(a_space_without_axes_has_one_point),
        cmocka_unit_test(enumeration_visits_each_valid_point_once_in_order),
        cmocka_unit_test(a_point_outside_its_axes_is_not_valid),
        cmocka_unit_test(the_size_saturates),
        cmocka_unit_test(text_that_does_not_fit_is_refused),
        cmocka_unit_test(millions_of_points_are_walked_in_a_moment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

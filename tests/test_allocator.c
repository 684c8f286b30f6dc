/* SPDX-License-Identifier: Apache-2.0 */
/* The allocator: the budget holds, everyone starts, the near get more than the far, and nobody gets nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/memory.h"
#include "search/search.h"

static spt_axis_value hundred[100];
static const spt_axis large_axis[] = {{"i", "", hundred, 100}};
static const spt_axis huge_axes[] = {{"i", "", hundred, 100}, {"j", "", hundred, 100}};
static const spt_axis small_axis[] = {{"i", "", hundred, 3}};
static const spt_space large = {.axes = large_axis, .n_axes = 1};
static const spt_space huge = {.axes = huge_axes, .n_axes = 2};
static const spt_space small = {.axes = small_axis, .n_axes = 1};

typedef struct arm_row {
    const spt_space *space;
    double cost; /* what the first trial of this arm costs; 0: every trial fails */
    double gain; /* by how much each later trial costs less */
} arm_row;

#define N_ARMS_MAX 4

static int set_up(void **state) {
    (void)state;
    for (int i = 0; i < 100; i++)
        hundred[i].value = i;
    return 0;
}

/* Spend the budget and give the arm of each turn; returns the number of turns. */
static int spend(int *turns, const arm_row *rows, int n_rows, int64_t budget) {
    spt_search *searches[N_ARMS_MAX] = {NULL};
    spt_allocator *allocator = NULL;
    int n = 0, index = 0;
    spt_point point;
    assert_int_equal(spt_allocator_new(&allocator, budget), SPT_OK);
    for (int i = 0; i < n_rows; i++) {
        assert_int_equal(spt_search_new(&searches[i], spt_strategy_find("sweep"), rows[i].space, 0), SPT_OK);
        assert_int_equal(spt_allocator_add(allocator, searches[i], &index), SPT_OK);
        assert_int_equal(index, i);
    }
    for (spt_status status; (status = spt_allocator_ask(allocator, &index, &point)) != SPT_ENOTFOUND; n++) {
        assert_int_equal(status, SPT_OK);
        assert_true(n < 400);
        turns[n] = index;
        spt_trial_status trial = rows[index].cost > 0.0 ? SPT_TRIAL_CORRECT : SPT_TRIAL_COMPILE;
        spt_allocator_tell(allocator, index, &point, rows[index].cost - rows[index].gain * point.index[0], trial);
        assert_int_equal(spt_allocator_left(allocator), budget - n - 1);
    }
    spt_allocator_free(allocator);
    for (int i = 0; i < n_rows; i++)
        spt_search_free(searches[i]);
    return n;
}

static int count_of(const int *turns, int n_turns, int arm) {
    int count = 0;
    for (int i = 0; i < n_turns; i++)
        count += turns[i] == arm;
    return count;
}

static void the_budget_is_spent_and_never_exceeded(void **state) {
    (void)state;
    const arm_row rows[] = {{&large, 10.0, 0.0}, {&large, 12.0, 0.0}, {&large, 30.0, 0.0}};
    const int64_t budgets[] = {0, 1, 2, 3, 7, 50, 250};
    for (size_t i = 0; i < sizeof budgets / sizeof budgets[0]; i++) {
        int turns[400];
        assert_int_equal(spend(turns, rows, 3, budgets[i]), budgets[i]);
    }
}

static void everyone_starts_in_rotation(void **state) {
    (void)state;
    int turns[400];
    const arm_row rows[] = {{&large, 10.0, 0.0}, {&large, 0.0, 0.0}, {&large, 99.0, 0.0}};
    spend(turns, rows, 3, 12);
    for (int i = 0; i < 12; i++)
        assert_int_equal(turns[i], i % 3);
}

static void the_near_get_more_than_the_far_and_nobody_nothing(void **state) {
    (void)state;
    int turns[400];
    const arm_row rows[] = {{&large, 10.0, 0.0}, {&large, 15.0, 0.0}, {&large, 1000.0, 0.0}, {&large, 0.0, 0.0}};
    int n = spend(turns, rows, 4, 100);
    int near = count_of(turns, n, 0), middle = count_of(turns, n, 1);
    int far = count_of(turns, n, 2), failing = count_of(turns, n, 3);
    assert_true(near > 2 * middle);
    assert_true(middle > far);
    assert_true(far > 4 && far < 12);
    assert_true(failing > 4 && failing < 12);
}

/* Equally near, but one improves with every turn: it gets more, and the other is not forgotten. */
static void the_improving_get_more_than_the_idle(void **state) {
    (void)state;
    int turns[400];
    const arm_row rows[] = {{&large, 10.0, 0.0}, {&large, 10.5, 0.005}};
    int n = spend(turns, rows, 2, 90);
    int idle = count_of(turns, n, 0), improving = count_of(turns, n, 1);
    assert_true(2 * improving > 3 * idle);
    assert_true(idle > 10);
}

static void a_large_space_gets_a_longer_start(void **state) {
    (void)state;
    int turns[400];
    const arm_row rows[] = {{&large, 10.0, 0.0}, {&huge, 40.0, 0.0}};
    int n = spend(turns, rows, 2, 96);
    const int longer = count_of(turns, n, 1);
    const arm_row equal_sizes[] = {{&large, 10.0, 0.0}, {&large, 40.0, 0.0}};
    n = spend(turns, equal_sizes, 2, 96);
    assert_true(longer >= count_of(turns, n, 1) + 4);
}

static void an_exhausted_search_gives_its_turns_to_the_others(void **state) {
    (void)state;
    int turns[400];
    const arm_row rows[] = {{&small, 10.0, 0.0}, {&large, 50.0, 0.0}};
    int n = spend(turns, rows, 2, 60);
    assert_int_equal(n, 60);
    assert_int_equal(count_of(turns, n, 0), 3);
    n = spend(turns, rows, 2, 300);
    assert_int_equal(n, 103);
}

static void no_search_means_no_turn(void **state) {
    (void)state;
    int turns[400];
    assert_int_equal(spend(turns, NULL, 0, 10), 0);
}

static void equal_costs_give_equal_turns(void **state) {
    (void)state;
    int first[400], second[400];
    const arm_row rows[] = {{&large, 10.0, 0.0}, {&large, 13.0, 0.0}, {&large, 29.0, 0.0}};
    int n = spend(first, rows, 3, 90);
    assert_int_equal(spend(second, rows, 3, 90), n);
    assert_memory_equal(first, second, (size_t)n * sizeof first[0]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_budget_is_spent_and_never_exceeded),
        cmocka_unit_test(everyone_starts_in_rotation),
        cmocka_unit_test(the_near_get_more_than_the_far_and_nobody_nothing),
        cmocka_unit_test(the_improving_get_more_than_the_idle),
        cmocka_unit_test(a_large_space_gets_a_longer_start),
        cmocka_unit_test(an_exhausted_search_gives_its_turns_to_the_others),
        cmocka_unit_test(no_search_means_no_turn),
        cmocka_unit_test(equal_costs_give_equal_turns),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Buckets of widths by total regret, and the schedule of a run whose time is limited. */
#include <math.h>

#include "core/memory.h"
#include "tests/unit.h"
#include "tuner/buckets.h"
#include "tuner/schedule.h"

static void one_that_is_hardly_worse_everywhere_serves_all(void **state) {
    (void)state;
    const double costs[] = {1.00, 1.01, 1.5, /* width 0: three candidates */
                            1.40, 1.00, 1.2, 2.00, 1.01, 1.0};
    spt_bucket buckets[3];
    int n_buckets;
    expect_ok(spt_buckets_cut(buckets, &n_buckets, costs, 3, 3));
    assert_int_equal(n_buckets, 1);
    assert_int_equal(buckets[0].first, 0);
    assert_int_equal(buckets[0].last, 2);
    assert_int_equal(buckets[0].candidate, 1);
    assert_true(fabs(buckets[0].regret - 2.0 * log(1.01)) < 1e-12);
}

static void a_range_is_cut_where_one_plan_costs_too_much(void **state) {
    (void)state;
    const double costs[] = {1.0, 9.0, 1.0, 5.0, 2.0, 2.2, 8.0, 4.0, INFINITY, 7.0};
    spt_bucket buckets[5];
    int n_buckets;
    expect_ok(spt_buckets_cut(buckets, &n_buckets, costs, 5, 2));
    assert_int_equal(n_buckets, 2);
    assert_int_equal(buckets[0].last, 2);
    assert_int_equal(buckets[0].candidate, 0);
    assert_int_equal(buckets[1].first, 3);
    assert_int_equal(buckets[1].last, 4);
    assert_int_equal(buckets[1].candidate, 1);
}

/* No cut of all 2^(n-1), with any candidates, costs less than the one that is found. */
static void no_other_cut_costs_less(void **state) {
    (void)state;
    enum { WIDTHS = 7, CANDIDATES = 3 };
    double costs[WIDTHS * CANDIDATES];
    for (int i = 0; i < WIDTHS * CANDIDATES; i++)
        costs[i] = 1.0 + (i * 7 + i * i * 3) % 11 * 0.07;
    spt_bucket buckets[WIDTHS];
    int n_buckets;
    expect_ok(spt_buckets_cut(buckets, &n_buckets, costs, WIDTHS, CANDIDATES));
    double found = 0.0, least = INFINITY;
    for (int i = 0; i < n_buckets; i++)
        found += buckets[i].regret + SPT_BUCKET_COST;
    for (int cuts = 0; cuts < 1 << (WIDTHS - 1); cuts++) {
        double sum = 0.0;
        for (int first = 0, last = 0; first < WIDTHS; first = last + 1) {
            for (last = first; last < WIDTHS - 1 && (cuts >> last & 1) == 0;)
                last++;
            double best = INFINITY;
            for (int c = 0; c < CANDIDATES; c++) {
                double regret = 0.0;
                for (int w = first; w <= last; w++) {
                    const double *row = costs + (ptrdiff_t)w * CANDIDATES;
                    regret += log(row[c] / fmin(row[0], fmin(row[1], row[2])));
                }
                best = fmin(best, regret);
            }
            sum += best + SPT_BUCKET_COST;
        }
        least = fmin(least, sum);
    }
    assert_true(fabs(found - least) < 1e-12);
    assert_int_equal(buckets[0].first, 0);
    assert_int_equal(buckets[n_buckets - 1].last, WIDTHS - 1);
    assert_int_equal(spt_memory_live(), 0);
}

static void everyone_has_a_slice_before_anyone_has_two(void **state) {
    (void)state;
    spt_task tasks[3] = {{.evaluations = 16, .gain = 9.0, .measured = 16, .seconds = 1.0}};
    assert_int_equal(spt_schedule_next(tasks, 3, 1), 1);
    tasks[1] = tasks[0];
    assert_int_equal(spt_schedule_next(tasks, 3, 2), 2);
}

static void slices_go_where_a_second_gains_most(void **state) {
    (void)state;
    spt_task tasks[] = {{.evaluations = 16, .gain = 0.02, .measured = 16, .seconds = 1.6},
                        {.evaluations = 32, .gain = 0.03, .measured = 32, .seconds = 6.4},
                        {.evaluations = 64, .gain = 0.02, .measured = 64, .seconds = 1.6},
                        {.evaluations = 20, .gain = 9.0, .measured = 20, .seconds = 1.0, .is_over = true}};
    assert_int_equal(spt_schedule_next(tasks, 4, 0), 2); /* 0.2, 0.15 and 0.8 per second */
    assert_int_equal(spt_schedule_next(tasks, 4, 3), 0); /* every fourth slice: the fewest evaluations */
    tasks[2].gain = 0.0;
    assert_int_equal(spt_schedule_next(tasks, 4, 0), 0);
    tasks[0].is_over = tasks[1].is_over = tasks[2].is_over = true;
    assert_int_equal(spt_schedule_next(tasks, 4, 0), -1);
}

static void slices_grow_and_finals_are_foreseen(void **state) {
    (void)state;
    assert_true(spt_schedule_slice(0) > 0);
    assert_true(spt_schedule_slice(1000) > spt_schedule_slice(16));
    const spt_measure_policy policy = spt_measure_policy_default();
    const double fast = spt_schedule_final_s(&policy, 1e4, 1e5), slow = spt_schedule_final_s(&policy, 1e7, 1e5);
    assert_true(fast > 0.05 && fast < 1.0);
    assert_true(slow > 5.0 * fast);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_that_is_hardly_worse_everywhere_serves_all),
        cmocka_unit_test(a_range_is_cut_where_one_plan_costs_too_much),
        cmocka_unit_test(no_other_cut_costs_less),
        cmocka_unit_test(everyone_has_a_slice_before_anyone_has_two),
        cmocka_unit_test(slices_go_where_a_second_gains_most),
        cmocka_unit_test(slices_grow_and_finals_are_foreseen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Random numbers: the published sequences, and the ranges that callers rely on. */
#include "tests/unit.h"

#include <math.h>
#include <stdbool.h>

#include "core/random.h"

static void the_sequence_is_the_published_one(void **state) {
    (void)state;
    /* the outputs that implementations of xoshiro256** publish for the state 1 2 3 4 */
    static const uint64_t expected[] = {11520u,
                                        0u,
                                        1509978240u,
                                        1215971899390074240u,
                                        1216172134540287360u,
                                        607988272756665600u,
                                        16172922978634559625u,
                                        8476171486693032832u,
                                        10595114339597558777u,
                                        2904607092377533576u};
    spt_random random = {.state = {1, 2, 3, 4}};
    for (int i = 0; i < N_ITEMS(expected); i++)
        assert_true(spt_random_next(&random) == expected[i]);
}

static void seeds_go_through_splitmix64(void **state) {
    (void)state;
    static const uint64_t expected[] = {6457827717110365317u, 3203168211198807973u, 9817491932198370423u,
                                        4593380528125082431u};
    spt_random random;
    spt_random_init(&random, 1234567);
    for (int i = 0; i < 4; i++)
        assert_true(random.state[i] == expected[i]);
    spt_random_init(&random, 0);
    assert_true((random.state[0] | random.state[1] | random.state[2] | random.state[3]) != 0);
}

static void numbers_below_a_bound_reach_all_of_it_evenly(void **state) {
    (void)state;
    static const uint64_t bounds[] = {1, 2, 3, 7, 10, 64};
    spt_random random;
    spt_random_init(&random, 5);
    for (int i = 0; i < N_ITEMS(bounds); i++) {
        int counts[64] = {0};
        const int n_draws = 20000;
        for (int draw = 0; draw < n_draws; draw++) {
            const uint64_t value = spt_random_below(&random, bounds[i]);
            assert_true(value < bounds[i]);
            counts[value]++;
        }
        const double mean = n_draws / (double)bounds[i];
        for (uint64_t value = 0; value < bounds[i]; value++) /* six standard deviations */
            assert_true(fabs(counts[value] - mean) <= 6.0 * sqrt(mean) + 1.0);
    }
    for (int draw = 0; draw < 1000; draw++) /* half of all draws would be biased without rejection */
        assert_true(spt_random_below(&random, (UINT64_C(1) << 63) + 1) <= UINT64_C(1) << 63);
}

static void units_and_normals_have_their_moments(void **state) {
    (void)state;
    enum { N = 200000 };
    double sum = 0.0, normal_sum = 0.0, normal_squares = 0.0;
    spt_random random;
    spt_random_init(&random, 11);
    for (int i = 0; i < N; i++) {
        const double unit = spt_random_unit(&random), normal = spt_random_normal(&random);
        assert_true(unit >= 0.0 && unit < 1.0);
        assert_true(isfinite(normal));
        sum += unit;
        normal_sum += normal;
        normal_squares += normal * normal;
    }
    assert_true(fabs(sum / N - 0.5) < 0.005);
    assert_true(fabs(normal_sum / N) < 0.015);
    assert_true(fabs(normal_squares / N - 1.0) < 0.02);
}

static void filled_values_are_never_zero_and_stay_in_range(void **state) {
    (void)state;
    enum { N = 100000 };
    static float values[N], again[N];
    spt_random random;
    spt_random_init(&random, 3);
    spt_random_fill_f32(&random, values, N);
    spt_random_init(&random, 3);
    spt_random_fill_f32(&random, again, N);
    assert_memory_equal(values, again, sizeof values);
    bool has_low = false, has_high = false;
    for (int i = 0; i < N; i++) {
        assert_true(values[i] >= -0.5f && values[i] < 0.5f && values[i] != 0.0f);
        has_low = has_low || values[i] < -0.49f;
        has_high = has_high || values[i] > 0.49f;
    }
    assert_true(has_low && has_high);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_sequence_is_the_published_one),
        cmocka_unit_test(seeds_go_through_splitmix64),
        cmocka_unit_test(numbers_below_a_bound_reach_all_of_it_evenly),
        cmocka_unit_test(units_and_normals_have_their_moments),
        cmocka_unit_test(filled_values_are_never_zero_and_stay_in_range),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

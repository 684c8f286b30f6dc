/* SPDX-License-Identifier: Apache-2.0 */
/* Strategies on synthetic surfaces: coverage, repeatability, uniformity, and better than random on a smooth hill. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/memory.h"
#include "core/random.h"
#include "search/search.h"

static const spt_axis_value eight[] = {{1, NULL}, {2, NULL}, {3, NULL}, {4, NULL},
                                       {5, NULL}, {6, NULL}, {7, NULL}, {8, NULL}};
static const spt_axis_value names[] = {{0, "none"}, {1, "copy"}, {2, "transpose"}};
static const spt_axis axes[] = {{"t", "", eight, 8}, {"kb", "", eight, 8}, {"pack", "", names, 3}};
#define N_ALL (8 * 8 * 3)

/* About two thirds of the points are legal. */
static bool is_legal(const void *context, const spt_point *point) {
    (void)context;
    return (point->index[0] + 2 * point->index[1] + point->index[2]) % 3 != 0;
}

static bool is_lonely(const void *context, const spt_point *point) {
    (void)context;
    return point->index[0] == 7 && point->index[1] == 0 && point->index[2] == 2;
}

static const spt_space whole = {.axes = axes, .n_axes = 3};
static const spt_space holed = {.axes = axes, .n_axes = 3, .is_valid = is_legal};
static const spt_space lonely = {.axes = axes, .n_axes = 3, .is_valid = is_lonely};
static const spt_space flat = {.axes = axes, .n_axes = 0};

/* One smooth hill with its foot at t=6, kb=3 and pack=copy. */
static double hill_cost(const spt_point *point) {
    double t = (double)point->index[0] - 5.0, kb = (double)point->index[1] - 2.0;
    return 100.0 * (1.0 + 0.1 * t * t + 0.05 * kb * kb + (point->index[2] != 1 ? 0.5 : 0.0));
}

static spt_search *open_search(const char *strategy, const spt_space *space, uint64_t seed) {
    spt_search *search = NULL;
    assert_non_null(spt_strategy_find(strategy));
    assert_int_equal(spt_search_new(&search, spt_strategy_find(strategy), space, seed), SPT_OK);
    return search;
}

/* Ask until the end or the limit, telling the hill's cost; every 7th trial fails, every 5th is dropped. */
static int64_t run_search(spt_search *search, int64_t limit, int64_t *ordinals, const spt_space *space) {
    int64_t n = 0;
    spt_point point;
    for (; n < limit && spt_search_ask(search, &point) == SPT_OK; n++) {
        spt_trial_status status = n % 7 == 6 ? SPT_TRIAL_RUNTIME : n % 5 == 4 ? SPT_TRIAL_DROPPED : SPT_TRIAL_CORRECT;
        assert_true(spt_space_is_valid(space, &point));
        if (ordinals != NULL)
            ordinals[n] = spt_space_ordinal(space, &point);
        spt_search_tell(search, &point, hill_cost(&point), status);
    }
    return n;
}

static void every_strategy_asks_each_valid_point_exactly_once(void **state) {
    (void)state;
    const spt_space *spaces[] = {&whole, &holed, &lonely, &flat};
    for (int s = 0; s < spt_strategy_count(); s++)
        for (size_t i = 0; i < sizeof spaces / sizeof spaces[0]; i++)
            for (uint64_t seed = 0; seed < 2; seed++) {
                int64_t ordinals[N_ALL + 1];
                bool seen[N_ALL] = {false};
                spt_search *search = open_search(spt_strategy_at(s)->name, spaces[i], seed);
                int64_t n = run_search(search, N_ALL + 1, ordinals, spaces[i]);
                assert_int_equal(n, spt_space_count_valid(spaces[i]));
                assert_int_equal(spt_search_asked(search), n);
                for (int64_t j = 0; j < n; j++) {
                    assert_false(seen[ordinals[j]]);
                    seen[ordinals[j]] = true;
                }
                spt_search_free(search);
            }
}

static void same_seed_gives_same_asks(void **state) {
    (void)state;
    for (int s = 0; s < spt_strategy_count(); s++) {
        int64_t first[60], second[60];
        spt_search *search = open_search(spt_strategy_at(s)->name, &holed, 42);
        assert_int_equal(run_search(search, 60, first, &holed), 60);
        spt_search_free(search);
        search = open_search(spt_strategy_at(s)->name, &holed, 42);
        assert_int_equal(run_search(search, 60, second, &holed), 60);
        spt_search_free(search);
        assert_memory_equal(first, second, sizeof first);
    }
}

static void another_seed_gives_other_random_asks(void **state) {
    (void)state;
    int64_t first[30], second[30];
    spt_search *search = open_search("random", &holed, 1);
    run_search(search, 30, first, &holed);
    spt_search_free(search);
    search = open_search("random", &holed, 2);
    run_search(search, 30, second, &holed);
    spt_search_free(search);
    assert_memory_not_equal(first, second, sizeof first);
}

static void sweep_goes_in_order(void **state) {
    (void)state;
    int64_t ordinals[N_ALL];
    spt_search *search = open_search("sweep", &holed, 0);
    int64_t n = run_search(search, N_ALL, ordinals, &holed);
    for (int64_t i = 1; i < n; i++)
        assert_true(ordinals[i] > ordinals[i - 1]);
    spt_search_free(search);
}

/* Chi-square of which point comes at one position over many seeds: 0 is the first draw, the last ones come from the
 * shuffled remainder. Mean = degrees of freedom, deviation = sqrt(2 df); 5 deviations. */
static void random_is_uniform_at_every_position(void **state) {
    (void)state;
    enum { N_SEEDS = 6000 };
    int64_t n_valid = spt_space_count_valid(&holed);
    const int64_t positions[] = {0, n_valid / 2, n_valid - 1};
    int counts[3][N_ALL] = {{0}};
    for (uint64_t seed = 0; seed < N_SEEDS; seed++) {
        int64_t ordinals[N_ALL];
        spt_search *search = open_search("random", &holed, seed);
        assert_int_equal(run_search(search, N_ALL, ordinals, &holed), n_valid);
        for (int p = 0; p < 3; p++)
            counts[p][ordinals[positions[p]]]++;
        spt_search_free(search);
    }
    for (int p = 0; p < 3; p++) {
        double expected = (double)N_SEEDS / (double)n_valid, chi_square = 0.0;
        spt_point point;
        for (int64_t at = 0; spt_space_next(&holed, &at, &point); at++)
            chi_square += (counts[p][at] - expected) * (counts[p][at] - expected) / expected;
        double freedom = (double)n_valid - 1.0;
        assert_true(fabs(chi_square - freedom) < 5.0 * sqrt(2.0 * freedom));
    }
}

static void seeds_come_first_and_invalid_ones_are_ignored(void **state) {
    (void)state;
    for (int s = 0; s < spt_strategy_count(); s++) {
        spt_search *search = open_search(spt_strategy_at(s)->name, &holed, 3);
        spt_point invalid = {{0, 0, 0}}, first = {{4, 4, 2}}, second = {{1, 0, 0}}, asked;
        assert_false(spt_space_is_valid(&holed, &invalid));
        assert_int_equal(spt_search_seed(search, &invalid), SPT_OK);
        assert_int_equal(spt_search_seed(search, &first), SPT_OK);
        assert_int_equal(spt_search_seed(search, &first), SPT_OK);
        assert_int_equal(spt_search_seed(search, &second), SPT_OK);
        assert_int_equal(spt_search_ask(search, &asked), SPT_OK);
        assert_true(spt_point_equal(&asked, &first));
        assert_int_equal(spt_search_ask(search, &asked), SPT_OK);
        assert_true(spt_point_equal(&asked, &second));
        assert_int_equal(run_search(search, N_ALL, NULL, &holed), spt_space_count_valid(&holed) - 2);
        spt_search_free(search);
    }
}

static void best_counts_what_ran_correctly(void **state) {
    (void)state;
    spt_search *search = open_search("sweep", &whole, 0);
    spt_point point;
    assert_true(isinf(spt_search_best(search)));
    static const struct {
        double cost;
        spt_trial_status status;
        double best;
    } cases[] = {
        {5.0, SPT_TRIAL_RUNTIME, INFINITY}, {11.0, SPT_TRIAL_DROPPED, 11.0}, {9.0, SPT_TRIAL_CORRECT, 9.0},
        {1.0, SPT_TRIAL_CORRECTNESS, 9.0},  {7.0, SPT_TRIAL_CORRECT, 7.0},   {0.0, SPT_TRIAL_TIMEOUT, 7.0},
        {8.0, SPT_TRIAL_CORRECT, 7.0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(spt_search_ask(search, &point), SPT_OK);
        spt_search_tell(search, &point, cases[i].cost, cases[i].status);
        assert_true(spt_search_best(search) == cases[i].best);
    }
    spt_search_free(search);
}

/* What is dropped early was timed, if roughly: it teaches like any other slow point. */
static void dropped_points_teach_their_times(void **state) {
    (void)state;
    for (int s = 0; s < spt_strategy_count(); s++) {
        spt_search *plain = open_search(spt_strategy_at(s)->name, &whole, 3);
        spt_search *racing = open_search(spt_strategy_at(s)->name, &whole, 3);
        for (int i = 0; i < 60; i++) {
            spt_point point, same;
            assert_int_equal(spt_search_ask(plain, &point), SPT_OK);
            assert_int_equal(spt_search_ask(racing, &same), SPT_OK);
            assert_true(spt_point_equal(&point, &same));
            const double cost = hill_cost(&point);
            const bool is_slow = cost > 1.15 * spt_search_best(racing);
            spt_search_tell(plain, &point, cost, SPT_TRIAL_CORRECT);
            spt_search_tell(racing, &point, cost, is_slow ? SPT_TRIAL_DROPPED : SPT_TRIAL_CORRECT);
        }
        spt_search_free(plain);
        spt_search_free(racing);
    }
}

#define N_HILLS 20

/* Mean over seeds of the best cost within 40 asks of a space. */
static double mean_best(const char *strategy, const spt_space *space) {
    double sum = 0.0;
    for (uint64_t seed = 0; seed < N_HILLS; seed++) {
        spt_search *search = open_search(strategy, space, seed);
        spt_point point;
        for (int i = 0; i < 40 && spt_search_ask(search, &point) == SPT_OK; i++)
            spt_search_tell(search, &point, hill_cost(&point), SPT_TRIAL_CORRECT);
        sum += spt_search_best(search);
        spt_search_free(search);
    }
    return sum / N_HILLS;
}

static void searching_beats_drawing_on_a_hill(void **state) {
    (void)state;
    const double random = mean_best("random", &whole); /* the optimum is 100 */
    for (int i = 0; i < spt_strategy_count(); i++) {
        const char *name = spt_strategy_at(i)->name;
        if (strcmp(name, "random") != 0 && strcmp(name, "sweep") != 0 && mean_best(name, &whole) > random - 0.5)
            fail_msg("%s: expected less than random's %g, found %g", name, random, mean_best(name, &whole));
    }
    assert_true(mean_best("auto", &whole) < 100.5);
    assert_true(mean_best("bayes", &whole) < 100.5);
}

/* Half of the axes fail: what is taught of failures must not hide the hill, nor must a cost that is out of all measure.
 */
static void failures_do_not_hide_the_hill(void **state) {
    (void)state;
    enum { N_HOLED = 60 }; /* a run ends at 100 or at 125: the mean of ten is luck */
    for (int s = 0; s < spt_strategy_count(); s++) {
        double sum = 0.0;
        for (uint64_t seed = 0; seed < N_HOLED; seed++) {
            spt_search *search = open_search(spt_strategy_at(s)->name, &whole, seed);
            spt_point point;
            for (int i = 0; i < 60 && spt_search_ask(search, &point) == SPT_OK; i++) {
                const bool fails = point.index[0] % 2 == 0;
                spt_search_tell(search, &point,
                                fails                 ? NAN
                                : point.index[1] == 7 ? 1e30
                                                      : hill_cost(&point),
                                fails ? SPT_TRIAL_RUNTIME : SPT_TRIAL_CORRECT);
            }
            sum += spt_search_best(search) / N_HOLED;
            spt_search_free(search);
        }
        const bool is_blind =
            strcmp(spt_strategy_at(s)->name, "sweep") == 0 || strcmp(spt_strategy_at(s)->name, "random") == 0;
        if (!is_blind && sum > 117.0)
            fail_msg("%s: expected at most 117, found %g", spt_strategy_at(s)->name, sum);
        if (strcmp(spt_strategy_at(s)->name, "auto") ==
            0) /* the climber helps where the model is wrong: always there */
            assert_true(sum < 100.5);
    }
}

/* 2^40 points of which one in four is valid: nothing may walk the whole space. */
static bool is_quarter(const void *context, const spt_point *point) {
    (void)context;
    return point->index[0] % 4 == 0;
}

static void a_huge_space_is_sampled_not_walked(void **state) {
    (void)state;
    static spt_axis_value many[1024];
    for (int i = 0; i < 1024; i++)
        many[i].value = i;
    const spt_axis wide[] = {
        {"a", "", many, 1024}, {"b", "", many, 1024}, {"c", "", many, 1024}, {"d", "", many, 1024}};
    const spt_space huge = {.axes = wide, .n_axes = 4, .is_valid = is_quarter};
    for (int s = 0; s < spt_strategy_count(); s++) {
        spt_search *search = open_search(spt_strategy_at(s)->name, &huge, 9);
        assert_int_equal(run_search(search, 200, NULL, &huge), 200);
        spt_search_free(search);
    }
}

/* A million valid points among 10^12, found by their prefixes: of 12 digits the last six repeat the first six. */
static bool repeats(const void *context, const spt_point *prefix, int n_fixed) {
    (void)context;
    for (int i = 6; i < n_fixed; i++)
        if (prefix->index[i] != prefix->index[i - 6])
            return false;
    return true;
}
static bool is_repetition(const void *context, const spt_point *point) {
    return repeats(context, point, 12);
}

static void a_million_valid_points_are_sampled_uniformly(void **state) {
    (void)state;
    static const spt_axis_value ten[10];
    enum { N_DRAWS = 4000 };
    int counts[6][10] = {{0}};
    spt_axis digits[12];
    for (int i = 0; i < 12; i++)
        digits[i] = (spt_axis){"digit", "", ten, 10};
    const spt_space space = {.axes = digits, .n_axes = 12, .is_valid = is_repetition, .can_begin = repeats};
    spt_search *search = open_search("random", &space, 4);
    for (int i = 0; i < N_DRAWS; i++) {
        spt_point point;
        assert_int_equal(spt_search_ask(search, &point), SPT_OK);
        assert_true(spt_space_is_valid(&space, &point));
        for (int axis = 0; axis < 6; axis++)
            counts[axis][point.index[axis]]++;
    }
    spt_search_free(search);
    for (int axis = 0; axis < 6; axis++) {
        double chi_square = 0.0;
        for (int i = 0; i < 10; i++)
            chi_square += pow(counts[axis][i] - N_DRAWS / 10.0, 2.0) / (N_DRAWS / 10.0);
        assert_true(chi_square < 9.0 + 5.0 * sqrt(18.0));
    }
}

/* Allocation failures end in ENOMEM, never in a crash, a leak or a point asked twice. */
static void every_failed_allocation_is_an_answer(void **state) {
    (void)state;
    for (int s = 0; s < spt_strategy_count(); s++)
        for (long n = 0; n < 30; n++) {
            long live = spt_memory_live();
            bool seen[N_ALL] = {false};
            spt_search *search = NULL;
            spt_memory_fail_after(n);
            if (spt_search_new(&search, spt_strategy_at(s), &holed, 1) == SPT_OK) {
                spt_point point;
                spt_status status = SPT_OK;
                while (status == SPT_OK || status == SPT_ENOMEM) {
                    status = spt_search_ask(search, &point);
                    if (status != SPT_OK)
                        continue;
                    assert_false(seen[spt_space_ordinal(&holed, &point)]);
                    seen[spt_space_ordinal(&holed, &point)] = true;
                    spt_search_tell(search, &point, hill_cost(&point), SPT_TRIAL_CORRECT);
                }
                assert_int_equal(status, SPT_ENOTFOUND);
                spt_search_free(search);
            }
            spt_memory_fail_after(-1);
            assert_int_equal(spt_memory_live(), live);
        }
}

static void strategies_are_found_by_name(void **state) {
    (void)state;
    for (int i = 0; i < spt_strategy_count(); i++)
        assert_ptr_equal(spt_strategy_find(spt_strategy_at(i)->name), spt_strategy_at(i));
    assert_null(spt_strategy_find("no such"));
    assert_null(spt_strategy_at(-1));
    assert_null(spt_strategy_at(spt_strategy_count()));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_strategy_asks_each_valid_point_exactly_once),
        cmocka_unit_test(same_seed_gives_same_asks),
        cmocka_unit_test(another_seed_gives_other_random_asks),
        cmocka_unit_test(sweep_goes_in_order),
        cmocka_unit_test(random_is_uniform_at_every_position),
        cmocka_unit_test(seeds_come_first_and_invalid_ones_are_ignored),
        cmocka_unit_test(best_counts_what_ran_correctly),
        cmocka_unit_test(dropped_points_teach_their_times),
        cmocka_unit_test(searching_beats_drawing_on_a_hill),
        cmocka_unit_test(failures_do_not_hide_the_hill),
        cmocka_unit_test(a_huge_space_is_sampled_not_walked),
        cmocka_unit_test(a_million_valid_points_are_sampled_uniformly),
        cmocka_unit_test(every_failed_allocation_is_an_answer),
        cmocka_unit_test(strategies_are_found_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

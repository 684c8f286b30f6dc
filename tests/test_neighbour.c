/* SPDX-License-Identifier: Apache-2.0 */
/* When a neighbour's winner is trusted: only when it is expected to beat the untuned answer, and something near says
 * how the untuned answer fares. Tables are planted; times follow from the model's bounds. */
#include "tests/runtime_fixture.h"

#include "runtime/neighbour.h"
#include "tests/unit.h"

enum { N = 64, WINNERS_MAX = 4 };

typedef struct fixture {
    spt_context context;
    spt_winner winners[WINNERS_MAX];
    spt_pattern patterns[WINNERS_MAX];
    int64_t n_winners;
} fixture;

static fixture f;

static int setup(void **state) {
    (void)state;
    f = (fixture){0};
    expect_ok(spt_device_detect(&f.context.device));
    f.context.mode = SPT_MODE_FALLBACK;
    return 0;
}

static spt_workload workload_of_density(double density, uint64_t seed) {
    const spt_problem problem = make_problem(SPT_SPMM, SPT_KN, SPT_EPILOGUE_NONE, N, 1);
    spt_matrix matrix;
    spt_workload workload;
    make_matrix(&matrix, 256, 256, density, seed);
    expect_ok(spt_workload_init(&workload, &problem, &matrix.view));
    spt_matrix_fini(&matrix);
    return workload;
}

static const spt_family *default_of(spt_point *point, double *bound_ns, const spt_workload *workload) {
    const spt_family *family;
    expect_ok(spt_default_variant(&family, point, workload, &f.context.device));
    *bound_ns = family->bound_ns(workload, &f.context.device, point);
    return family;
}

/* A problem whose winner is this family's default point, at `excess` times its bound. */
static void plant(const spt_workload *workload, const spt_family *family, double excess, double over_default) {
    spt_winner *winner = &f.winners[f.n_winners];
    spt_point point = {0};
    spt_key key;
    expect_ok(spt_key_init(&key, workload, &f.context.device));
    family->default_point(workload, &f.context.device, &point);
    *winner = (spt_winner){.key = key.hash,
                           .m = workload->pattern.n_rows,
                           .k = workload->pattern.n_cols,
                           .n = N,
                           .threads = 1,
                           .fingerprint = workload->pattern.fingerprint,
                           .revision = family->revision,
                           .time_ns_median = excess * family->bound_ns(workload, &f.context.device, &point),
                           .speedup_over_default = over_default};
    spt_copy_text(winner->family, sizeof winner->family, family->name);
    expect_ok(spt_point_text(winner->point, family->axes, family->n_axes, &point));
    f.patterns[f.n_winners++] = workload->pattern;
}

static spt_answer ask(spt_lookup *lookup, const spt_workload *workload) {
    spt_device_records records = {.winners = {f.winners, f.n_winners}, .patterns = {f.patterns, f.n_winners}};
    spt_answer answer;
    spt_copy_text(records.device_key, sizeof records.device_key, f.context.device.key);
    expect_ok(spt_table_init(&f.context.table, &records, 1));
    *lookup = (spt_lookup){.context = &f.context, .workload = workload};
    spt_neighbour_find(&answer, lookup, &f.context.table);
    return answer;
}

static void forget(void) {
    spt_table_fini(&f.context.table);
    f.n_winners = 0;
}

/* Not the untuned answer's family. */
static const spt_family *other_family(const spt_family *family) {
    const spt_family *panel = spt_family_find("spmm_csr_panel");
    return family != panel ? panel : spt_family_find("spmm_csr_bins");
}

static void a_winner_is_trusted_by_what_it_gained_over_the_default_there(void **state) {
    (void)state;
    spt_point point;
    spt_lookup lookup;
    double bound_ns;
    const spt_workload here = workload_of_density(0.1, 1), there = workload_of_density(0.1, 2);
    const spt_family *family = default_of(&point, &bound_ns, &here);
    plant(&there, other_family(family), 1.0, 1.5);
    assert_non_null(ask(&lookup, &here).record);
    forget();
    plant(&there, other_family(family), 1.0, 0.8); /* it lost to the default there */
    assert_null(ask(&lookup, &here).record);
    assert_non_null(strstr(lookup.skipped, "slower than the default"));
    forget();
    plant(&there, other_family(family), 1.0, 0.0); /* nobody measured the default */
    assert_non_null(ask(&lookup, &here).record);
    forget();
}

/* Whole blocks of 8 rows have the same columns: a pattern for kernels of blocks. */
static spt_workload workload_of_blocks(double density, uint64_t seed) {
    const spt_problem problem = make_problem(SPT_SPMM, SPT_KN, SPT_EPILOGUE_NONE, N, 1);
    enum { ROWS = 256, COLS = 256, BLOCK = 8 };
    static float dense[ROWS * COLS];
    spt_matrix matrix;
    spt_workload workload;
    spt_random random;
    spt_random_init(&random, seed);
    for (int row = 0; row < ROWS; row += BLOCK)
        for (int col = 0; col < COLS; col++) {
            const float value = spt_random_unit(&random) < density ? 1.0f : 0.0f;
            for (int i = 0; i < BLOCK; i++)
                dense[(row + i) * COLS + col] = value;
        }
    expect_ok(spt_matrix_from_dense(&matrix, dense, ROWS, COLS));
    expect_ok(spt_workload_init(&workload, &problem, &matrix.view));
    spt_matrix_fini(&matrix);
    return workload;
}

/* Two patterns whose untuned answers are of different families. */
static bool find_border(spt_workload *here, spt_workload *there) {
    spt_point point;
    double bound_ns;
    for (double density = 0.4; density > 0.02; density *= 0.8) {
        *here = workload_of_blocks(density, 1);
        *there = workload_of_density(density, 2);
        if (default_of(&point, &bound_ns, here) != default_of(&point, &bound_ns, there))
            return true;
    }
    return false;
}

static void another_family_default_there_says_nothing_about_the_default_here(void **state) {
    (void)state;
    spt_workload here, there, third;
    spt_point point;
    spt_lookup lookup;
    double bound_ns;
    if (!find_border(&here, &there)) {
        print_message("SKIP: one family is the untuned answer with blocks and without them here\n");
        skip();
    }
    const spt_family *family = default_of(&point, &bound_ns, &here);
    const spt_family *winner = other_family(family);
    plant(&there, winner, 1.0, 3.0);
    assert_null(ask(&lookup, &here).record); /* three times the speed of something else */
    assert_non_null(strstr(lookup.skipped, "nothing near"));
    spt_table_fini(&f.context.table);
    spt_point third_point;
    double third_bound_ns;
    third = workload_of_blocks(here.pattern.features.density, 9);
    assert_ptr_equal(default_of(&third_point, &third_bound_ns, &third), family);
    third.problem.n = 8 * N; /* farther than the candidates */
    const int64_t n_near = f.n_winners;
    for (int is_fast = 0; is_fast < 2; is_fast++) { /* tuned, the default's family misses its bound by much or little */
        f.n_winners = n_near;
        spt_workload second = workload_of_density(there.pattern.features.density, 5);
        plant(&second, winner, 1.0, 3.0);
        plant(&third, family, is_fast == 1 ? 1e-3 : 1e3, 1.0);
        f.winners[f.n_winners - 1].n = third.problem.n;
        assert_int_equal(ask(&lookup, &here).record != NULL, is_fast == 0);
        spt_table_fini(&f.context.table);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_winner_is_trusted_by_what_it_gained_over_the_default_there, setup),
        cmocka_unit_test_setup(another_family_default_there_says_nothing_about_the_default_here, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

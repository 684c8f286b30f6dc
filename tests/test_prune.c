/* SPDX-License-Identifier: Apache-2.0 */
/* Pruning: what stays, N:M compression, the search for an order of channels, layers and the files they are written to.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/memory.h"
#include "core/nm.h"
#include "core/random.h"
#include "tests/support.h"
#include "tests/unit.h"
#include "tuner/prune/layer.h"
#include "tuner/prune/swaps.h"
#include "tuner/prune/weights_file.h"

static void fill(float *out, int64_t count, uint64_t seed) {
    spt_random random;
    spt_random_init(&random, seed);
    for (int64_t i = 0; i < count; i++)
        out[i] = (float)spt_random_normal(&random);
}

/* Choice and search look at double precision. Owns: spt_free. */
static double *widen(const float *weights, int64_t count) {
    double *out;
    expect_ok(SPT_NEW(out, count));
    for (int64_t i = 0; i < count; i++)
        out[i] = (double)weights[i];
    return out;
}

static spt_status choose(uint8_t *mask, const float *weights, int64_t n_rows, int64_t n_cols,
                         const spt_prune_rule *rule) {
    double *exact = widen(weights, n_rows * n_cols);
    const spt_status status = spt_prune_choose(mask, exact, n_rows, n_cols, rule);
    spt_free(exact);
    return status;
}

static double magnitude(const float *weights, const uint8_t *mask, int64_t count) {
    double *exact = widen(weights, count);
    const double out = spt_prune_magnitude(exact, mask, count);
    spt_free(exact);
    return out;
}

static spt_status search_order(int32_t *order, spt_permute_report *report, const float *weights, int64_t n_rows,
                               int64_t n_cols, spt_nm nm, uint64_t seed, double seconds) {
    double *exact = widen(weights, n_rows * n_cols);
    const spt_status status = spt_permute_search(order, report, exact, n_rows, n_cols, nm, seed, seconds);
    spt_free(exact);
    return status;
}

/* ---- rules ---- */

static void rules_are_parsed_and_mistakes_named(void **state) {
    spt_prune_rule rule;
    (void)state;
    expect_ok(spt_prune_parse_nm(&rule, "2:4"));
    assert_true(rule.nm.keep == 2 && rule.nm.of == 4);
    expect_ok(spt_prune_parse_block(&rule, "32x16@0.5"));
    assert_true(rule.rows == 32 && rule.cols == 16 && rule.sparsity > 0.49 && rule.nm.of == 0);
    expect_ok(spt_prune_parse_vector(&rule, "8@1"));
    assert_true(rule.rows == 8 && rule.cols == 1);
    static const char *const nm[] = {"", "2", "2:", "4:4", "0:4", "2:5", "2:32", "-1:4", "2:4x", "99999999999:4"};
    for (int i = 0; i < N_ITEMS(nm); i++)
        expect_error(SPT_EINVAL, "expected N:M", spt_prune_parse_nm(&rule, nm[i]));
    static const char *const block[] = {"", "4@0.5", "0x4@0.5", "4x0@0.5", "4x4", "4x4@", "-4x4@0.5", "4x4@1.5"};
    for (int i = 0; i < N_ITEMS(block); i++)
        expect_error(SPT_EINVAL, "expected", spt_prune_parse_block(&rule, block[i]));
    static const char *const vector[] = {"", "8", "0@0.5", "8@2", "8@nan", "x@0.5"};
    for (int i = 0; i < N_ITEMS(vector); i++)
        expect_error(SPT_EINVAL, "expected", spt_prune_parse_vector(&rule, vector[i]));
    expect_error(SPT_EINVAL, "expected", spt_prune_parse_unstructured(&rule, "90%"));
}

static int64_t count_kept(const uint8_t *mask, int64_t count) {
    int64_t kept = 0;
    for (int64_t i = 0; i < count; i++)
        kept += mask[i];
    return kept;
}

/* Everything that goes is at most what stays, and exactly the share goes; equals and zeros included. */
static void the_least_magnitudes_go_and_exactly_the_share(void **state) {
    enum { ROWS = 37, COLS = 53, COUNT = ROWS * COLS };
    static const double shares[] = {0.0, 0.001, 0.3, 0.5, 0.9, 1.0};
    static float weights[COUNT];
    static uint8_t mask[COUNT];
    (void)state;
    for (int equal = 0; equal < 2; equal++) {
        fill(weights, COUNT, 7);
        for (int i = 0; i < COUNT; i++)
            weights[i] = equal ? rintf(weights[i]) : weights[i];
        for (int s = 0; s < N_ITEMS(shares); s++) {
            const spt_prune_rule rule = {.rows = 1, .cols = 1, .sparsity = shares[s]};
            expect_ok(choose(mask, weights, ROWS, COLS, &rule));
            assert_int_equal(COUNT - count_kept(mask, COUNT), llround(shares[s] * COUNT));
            float largest_gone = 0.0f, least_kept = INFINITY;
            for (int i = 0; i < COUNT; i++) {
                if (mask[i])
                    least_kept = fminf(least_kept, fabsf(weights[i]));
                else
                    largest_gone = fmaxf(largest_gone, fabsf(weights[i]));
            }
            assert_true(largest_gone <= least_kept);
        }
    }
}

static void blocks_go_whole_at_the_edges_too(void **state) {
    enum { ROWS = 10, COLS = 11, R = 4, C = 3 };
    float weights[ROWS * COLS];
    uint8_t mask[ROWS * COLS];
    const spt_prune_rule rule = {.rows = R, .cols = C, .sparsity = 0.5}; /* 3 x 4 blocks */
    int n_blocks = 0;
    (void)state;
    fill(weights, ROWS * COLS, 3);
    for (int col = 9; col < COLS; col++)
        weights[9 * COLS + col] = 50.0f; /* the least block, of two rows and two columns, has a large mean */
    expect_ok(choose(mask, weights, ROWS, COLS, &rule));
    for (int row = 0; row < ROWS; row += R) {
        for (int col = 0; col < COLS; col += C) {
            for (int i = row; i < ROWS && i < row + R; i++)
                for (int j = col; j < COLS && j < col + C; j++)
                    assert_int_equal(mask[i * COLS + j], mask[row * COLS + col]);
            n_blocks += mask[row * COLS + col];
        }
    }
    assert_int_equal(n_blocks, 6);
    assert_int_equal(mask[9 * COLS + 10], 1);
}

static void a_group_keeps_its_largest(void **state) {
    static const float weights[] = {1, -4, 3, 0, 2, 2, 2, 2, 0, 0, 0, 0, 9, -8, 7};
    static const uint8_t expected[] = {0, 1, 1, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1, 0};
    uint8_t mask[N_ITEMS(weights)];
    const spt_prune_rule rule = {.nm = {2, 4}};
    (void)state;
    expect_ok(choose(mask, weights, 1, N_ITEMS(weights), &rule));
    assert_memory_equal(mask, expected, sizeof expected);
}

/* Numbers that are equal as f32, or no f32 at all. */
static void f64_weights_are_told_apart(void **state) {
    static const double near[4] = {1.0, 1.0 + 1e-12, 1.0 - 1e-12, -1.0 - 2e-12};
    static const uint8_t nm_wanted[4] = {0, 1, 0, 1}, alone_wanted[4] = {1, 1, 0, 1};
    static const double small[4] = {1e-60, 3e-60, -2e-60, 0.0}, large[4] = {1e100, 3e100, -2e100, 0.0};
    static const uint8_t third[4] = {0, 1, 1, 0};
    const spt_prune_rule nm = {.nm = {2, 4}}, alone = {.rows = 1, .cols = 1, .sparsity = 0.25};
    uint8_t mask[4];
    (void)state;
    expect_ok(spt_prune_choose(mask, near, 1, 4, &nm));
    assert_memory_equal(mask, nm_wanted, 4);
    expect_ok(spt_prune_choose(mask, near, 1, 4, &alone));
    assert_memory_equal(mask, alone_wanted, 4);
    expect_ok(spt_prune_choose(mask, small, 1, 4, &nm));
    assert_memory_equal(mask, third, 4);
    expect_ok(spt_prune_choose(mask, large, 1, 4, &nm));
    assert_memory_equal(mask, third, 4);
}

/* ---- compression ---- */

static void metadata_of_2_of_4_is_the_nibble_of_tensor_cores(void **state) {
    static const uint8_t legal[] = {4, 8, 12, 9, 13, 14}; /* two ascending places, the first one in the low bits */
    static const int pairs[6][2] = {{0, 1}, {0, 2}, {0, 3}, {1, 2}, {1, 3}, {2, 3}};
    (void)state;
    for (int i = 0; i < 6; i++) {
        float dense[8] = {0}, values[4], back[8];
        uint8_t metadata[1];
        dense[pairs[i][0]] = 1.0f;
        dense[pairs[i][1]] = 2.0f;
        dense[4 + pairs[5 - i][0]] = 3.0f;
        dense[4 + pairs[5 - i][1]] = 4.0f;
        expect_ok(spt_nm_compress(values, metadata, dense, sizeof *dense, 1, 8, (spt_nm){2, 4}));
        assert_int_equal(metadata[0], legal[i] | legal[5 - i] << 4);
        for (int v = 0; v < 4; v++)
            assert_true(values[v] > (float)v + 0.5f && values[v] < (float)v + 1.5f);
        expect_ok(spt_nm_decompress(back, values, metadata, sizeof *dense, 1, 8, (spt_nm){2, 4}));
        assert_memory_equal(back, dense, sizeof dense);
    }
}

/* Every N:M, element size and cut-off group comes back; groups with too few nonzeros still have ascending places. */
static void compressed_matrices_come_back(void **state) {
    enum { ROWS = 9, COLS_MAX = 37 };
    static const spt_nm rules[] = {{1, 2}, {1, 4}, {2, 4}, {3, 4}, {2, 8}, {4, 8}, {5, 16}, {15, 16}};
    static const size_t sizes[] = {1, 2, 4, 8};
    (void)state;
    for (int r = 0; r < N_ITEMS(rules); r++) {
        for (int s = 0; s < N_ITEMS(sizes); s++) {
            for (int64_t cols = 1; cols <= COLS_MAX; cols += 6) {
                float weights[ROWS * COLS_MAX];
                uint8_t mask[ROWS * COLS_MAX], metadata[ROWS * 64];
                char dense[ROWS * COLS_MAX * 8] = {0}, back[ROWS * COLS_MAX * 8], values[ROWS * 64 * 8];
                const spt_prune_rule rule = {.nm = rules[r]};
                const size_t size = sizes[s];
                fill(weights, ROWS * cols, (uint64_t)cols);
                expect_ok(choose(mask, weights, ROWS, cols, &rule));
                for (int64_t i = 0; i < ROWS * cols; i++)
                    memset(dense + i * (int64_t)size, mask[i] && i % 5 != 0 ? (int)(i % 100) + 1 : 0, size);
                expect_ok(spt_nm_compress(values, metadata, dense, size, ROWS, cols, rules[r]));
                expect_ok(spt_nm_decompress(back, values, metadata, size, ROWS, cols, rules[r]));
                assert_memory_equal(back, dense, (size_t)(ROWS * cols) * size);
            }
        }
    }
}

static void too_many_nonzeros_are_named(void **state) {
    static const float dense[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 1};
    float values[8];
    uint8_t metadata[4];
    (void)state;
    expect_error(SPT_EWRONG, "found 3 in row 1, group 1",
                 spt_nm_compress(values, metadata, dense, sizeof *dense, 2, 8, (spt_nm){2, 4}));
    const uint8_t outside[1] = {0x44 | 0xe0}; /* group 1 of 6 columns holds columns 4 and 5 only */
    const float four[4] = {1, 1, 1, 1};
    float back[6];
    expect_error(SPT_EWRONG, "expected a column below 6",
                 spt_nm_decompress(back, four, outside, sizeof *four, 1, 6, (spt_nm){2, 4}));
}

/* ---- the order of channels ---- */

/* What one group keeps, straight from the definition. */
static double kept_of_group(const float *weights, int64_t rows, int64_t cols, const int32_t *members, spt_nm nm) {
    double sum = 0.0;
    for (int64_t row = 0; row < rows; row++) {
        float group[SPT_NM_OF_MAX];
        uint8_t mask[SPT_NM_OF_MAX];
        const spt_prune_rule rule = {.nm = nm};
        for (int i = 0; i < nm.of; i++)
            group[i] = weights[row * cols + members[i]];
        assert_int_equal(choose(mask, group, 1, nm.of, &rule), SPT_OK);
        sum += magnitude(group, mask, nm.of);
    }
    return sum;
}

/* The plain greedy search: try every swap of two channels, make the best one, until none gains. */
static double greedy_by_trying(const float *weights, int64_t rows, int cols, spt_nm nm) {
    int32_t order[256];
    double total = 0.0;
    for (int i = 0; i < cols; i++)
        order[i] = i;
    for (;;) {
        double best = 1e-6;
        int best_i = -1, best_j = -1;
        for (int i = 0; i < cols; i++) {
            for (int j = (i / nm.of + 1) * nm.of; j < cols; j++) {
                int32_t *one = order + i / nm.of * nm.of, *two = order + j / nm.of * nm.of;
                const double before =
                    kept_of_group(weights, rows, cols, one, nm) + kept_of_group(weights, rows, cols, two, nm);
                const int32_t old = order[i];
                order[i] = order[j];
                order[j] = old;
                const double gain =
                    kept_of_group(weights, rows, cols, one, nm) + kept_of_group(weights, rows, cols, two, nm) - before;
                order[j] = order[i];
                order[i] = old;
                if (gain > best) {
                    best = gain;
                    best_i = i;
                    best_j = j;
                }
            }
        }
        if (best_i < 0)
            break;
        const int32_t old = order[best_i];
        order[best_i] = order[best_j];
        order[best_j] = old;
    }
    for (int i = 0; i < cols; i += nm.of)
        total += kept_of_group(weights, rows, cols, order + i, nm);
    return total;
}

static void check_order(const int32_t *order, int64_t cols) {
    uint8_t seen[4096] = {0};
    for (int64_t i = 0; i < cols; i++) {
        assert_true(order[i] >= 0 && order[i] < cols && !seen[order[i]]);
        seen[order[i]] = 1;
    }
}

static double kept_in_order(const float *weights, int64_t rows, int64_t cols, const int32_t *order, spt_nm nm) {
    double sum = 0.0;
    for (int64_t i = 0; i + nm.of <= cols; i += nm.of)
        sum += kept_of_group(weights, rows, cols, order + i, nm);
    return sum;
}

static void an_order_keeps_at_least_what_greedy_swaps_keep(void **state) {
    static const struct {
        int64_t rows;
        int cols;
        spt_nm nm;
    } cases[] = {{24, 32, {2, 4}}, {5, 40, {2, 4}}, {24, 24, {1, 2}},
                 {16, 32, {2, 8}}, {1, 16, {2, 4}}, {24, 48, {1, 4}}};
    (void)state;
    for (int i = 0; i < N_ITEMS(cases); i++) {
        float weights[24 * 48];
        int32_t order[48];
        spt_permute_report report;
        const int64_t rows = cases[i].rows, cols = cases[i].cols;
        fill(weights, rows * cols, 11 + (uint64_t)i);
        expect_ok(search_order(order, &report, weights, rows, cols, cases[i].nm, 1, 60.0));
        check_order(order, cols);
        const double kept = kept_in_order(weights, rows, cols, order, cases[i].nm);
        const double greedy = greedy_by_trying(weights, rows, cases[i].cols, cases[i].nm);
        if (kept < greedy - 1e-6 || report.magnitude_after < report.magnitude_greedy ||
            report.magnitude_greedy < report.magnitude_before)
            fail_msg("case %d: kept %.9g, greedy %.9g by trying; reported %.9g, %.9g, %.9g", i, kept, greedy,
                     report.magnitude_before, report.magnitude_greedy, report.magnitude_after);
        assert_true(fabs(kept - report.magnitude_after) < 1e-6 * kept);
        if (i == 0) /* elsewhere swaps of equal gain lead to other optima */
            assert_true(fabs(greedy - report.magnitude_greedy) < 1e-6 * greedy);
        assert_false(report.ended_by_time);
    }
}

static void a_search_is_repeatable_and_leaves_a_short_group_alone(void **state) {
    enum { ROWS = 8, COLS = 30 };
    float weights[ROWS * COLS];
    int32_t first[COLS], second[COLS];
    spt_permute_report report;
    (void)state;
    fill(weights, ROWS * COLS, 5);
    expect_ok(search_order(first, &report, weights, ROWS, COLS, (spt_nm){2, 4}, 9, 60.0));
    expect_ok(search_order(second, &report, weights, ROWS, COLS, (spt_nm){2, 4}, 9, 60.0));
    assert_memory_equal(first, second, sizeof first);
    assert_true(first[28] == 28 && first[29] == 29);
    expect_ok(search_order(first, &report, weights, ROWS, 3, (spt_nm){2, 4}, 9, 60.0));
    assert_true(first[0] == 0 && first[2] == 2);
    memset(weights, 0, sizeof weights);
    expect_ok(search_order(first, &report, weights, ROWS, COLS, (spt_nm){2, 4}, 9, 60.0));
    assert_true(report.magnitude_after <= 0.0);
}

static void wide_layers_are_searched_in_windows_and_time_ends_a_search(void **state) {
    enum { ROWS = 4, COLS = 2 * SPT_SWAPS_MAX + 12 };
    float *weights;
    int32_t *order;
    spt_permute_report report;
    (void)state;
    expect_ok(SPT_NEW(weights, ROWS * COLS));
    expect_ok(SPT_NEW(order, COLS));
    fill(weights, ROWS * COLS, 5);
    expect_ok(search_order(order, &report, weights, ROWS, COLS, (spt_nm){2, 4}, 0, support_slower()));
    check_order(order, COLS);
    assert_true(report.magnitude_greedy > report.magnitude_before);
    assert_true(fabs(kept_in_order(weights, ROWS, COLS, order, (spt_nm){2, 4}) - report.magnitude_after) <
                1e-6 * report.magnitude_after);
    expect_ok(search_order(order, &report, weights, ROWS, COLS, (spt_nm){2, 4}, 0, 0.0));
    assert_true(report.ended_by_time && report.n_swaps == 0);
    check_order(order, COLS);
    spt_free(weights);
    spt_free(order);
}

/* Gains are made in pieces, so that even a short limit holds; and numbers may be of any size. */
static void a_tall_layer_ends_in_time_and_sizes_do_not_matter(void **state) {
    enum { ROWS = 20000, COLS = 256, SMALL = 24 * 32 };
    const double limit = 0.1;
    float *weights;
    double scaled[SMALL];
    int32_t order[COLS], other[COLS];
    spt_permute_report report, second;
    (void)state;
    expect_ok(SPT_NEW(weights, ROWS * COLS));
    fill(weights, ROWS * COLS, 5);
    expect_ok(search_order(order, &report, weights, ROWS, COLS, (spt_nm){2, 4}, 0, limit));
    check_order(order, COLS);
    assert_true(report.ended_by_time);
    if (report.seconds > limit + 0.5 * support_slower())
        fail_msg("a limit of %.1f s was overrun: %.2f s", limit, report.seconds);
    expect_ok(search_order(order, &report, weights, 24, 32, (spt_nm){2, 4}, 1, 60.0));
    for (int power = -200; power <= 200; power += 400) {
        for (int i = 0; i < SMALL; i++)
            scaled[i] = ldexp((double)weights[i], power);
        expect_ok(spt_permute_search(other, &second, scaled, 24, 32, (spt_nm){2, 4}, 1, 60.0));
        assert_memory_equal(other, order, 32 * sizeof *order);
        assert_true(fabs(ldexp(second.magnitude_after, -power) - report.magnitude_after) <
                    1e-9 * report.magnitude_after);
    }
    spt_free(weights);
}

/* ---- layers and files ---- */

static void make_weights(spt_weights *out, const int64_t *shape, int n_dims, uint64_t seed) {
    expect_ok(spt_weights_init(out, "F32", shape, n_dims));
    fill(out->raw, out->count, seed);
    expect_ok(spt_weights_widen(out));
}

/* A convolution's groups run along input channels, and its order holds for all taps. */
static void a_convolution_is_pruned_along_its_channels(void **state) {
    enum { COUT = 3, CIN = 8, TAPS = 6 };
    const int64_t shape[4] = {COUT, CIN, 2, 3};
    const spt_prune_options options = {.rule.nm = {2, 4}, .has_permute = true, .seconds = 60.0};
    spt_weights weights;
    spt_pruned_layer layer;
    (void)state;
    make_weights(&weights, shape, 4, 2);
    expect_ok(spt_prune_layer(&layer, &weights, "w", &options));
    check_order(layer.order, CIN);
    assert_true(layer.magnitude_kept >= layer.magnitude_kept_unpermuted && layer.magnitude > layer.magnitude_kept);
    const float *pruned = layer.raw, *from = weights.data;
    for (int o = 0; o < COUT; o++) {
        for (int tap = 0; tap < TAPS; tap++) {
            for (int group = 0; group < CIN; group += 4) {
                int n_kept = 0;
                for (int c = group; c < group + 4; c++) {
                    const float value = pruned[(o * CIN + c) * TAPS + tap];
                    const float old = from[(o * CIN + layer.order[c]) * TAPS + tap];
                    n_kept += value < 0.0f || value > 0.0f;
                    assert_true((value <= 0.0f && value >= 0.0f) || memcmp(&value, &old, sizeof old) == 0);
                }
                assert_int_equal(n_kept, 2);
            }
        }
    }
    spt_pruned_layer_fini(&layer);
    spt_weights_fini(&weights);
    const int64_t odd[4] = {2, 6, 1, 3}; /* groups of four run across taps: there is nothing to order */
    make_weights(&weights, odd, 4, 2);
    expect_ok(spt_prune_layer(&layer, &weights, "w", &options));
    assert_true(layer.is_order_fixed);
    for (int i = 0; i < 6; i++)
        assert_int_equal(layer.order[i], i);
    assert_true(layer.magnitude_kept <= layer.magnitude_kept_unpermuted &&
                layer.magnitude_kept >= layer.magnitude_kept_unpermuted);
    spt_pruned_layer_fini(&layer);
    spt_weights_fini(&weights);
    assert_int_equal(spt_memory_live(), 0);
}

static void bad_numbers_are_refused_and_failing_memory_leaks_nothing(void **state) {
    const int64_t shape[2] = {5, 13};
    const spt_prune_options options = {.rule.nm = {2, 4}, .has_permute = true, .seconds = 60.0};
    spt_weights weights;
    spt_pruned_layer layer;
    spt_status status = SPT_ENOMEM;
    (void)state;
    make_weights(&weights, shape, 2, 2);
    float *raw = weights.raw;
    raw[17] = NAN;
    expect_error(SPT_EINVAL, "w: element 17 is nan", spt_prune_layer(&layer, &weights, "w", &options));
    raw[17] = 1.0f;
    const long live = spt_memory_live();
    for (long n = 0; status != SPT_OK && n < 100; n++) {
        spt_memory_fail_after(n);
        status = spt_prune_layer(&layer, &weights, "w", &options);
        spt_memory_fail_after(-1);
        assert_true(status == SPT_OK || status == SPT_ENOMEM);
        spt_pruned_layer_fini(&layer);
        assert_int_equal(spt_memory_live(), live);
    }
    assert_int_equal(status, SPT_OK);
    spt_weights_fini(&weights);
}

static void written_arrays_are_read_again(void **state) {
    char folder[256], path[300];
    const int64_t shape[2] = {3, 4}, vector[1] = {3};
    spt_weights weights, back;
    spt_file_writer file;
    char *data;
    size_t size;
    (void)state;
    support_folder_make(folder, sizeof folder);
    snprintf(path, sizeof path, "%s/w.npy", folder);
    make_weights(&weights, shape, 2, 2);
    expect_ok(spt_npy_write(&file, path, "F32", shape, 2, weights.raw, (size_t)weights.count * 4));
    expect_ok(spt_file_writer_commit(&file));
    expect_ok(spt_file_read(&data, &size, path, 4096));
    assert_int_equal((size - (size_t)weights.count * 4) % 64, 0);
    expect_ok(spt_npy_read(&back, path, data, size));
    assert_int_equal(back.count, weights.count);
    assert_memory_equal(back.raw, weights.raw, (size_t)weights.count * 4);
    spt_weights_fini(&back);
    spt_free(data);
    expect_ok(spt_npy_write(&file, path, "I32", vector, 1, weights.raw, 12));
    expect_ok(spt_file_writer_commit(&file));
    expect_ok(spt_file_read(&data, &size, path, 4096));
    assert_non_null(strstr(data + 10, "'shape': (3,), }"));
    spt_free(data);
    expect_error(SPT_EUNSUPPORTED, "write .safetensors", spt_npy_write(&file, path, "BF16", shape, 2, weights.raw, 24));
    spt_weights_fini(&weights);
    support_folder_remove(folder);
    assert_int_equal(spt_memory_live(), 0);
}

/* The last of three files cannot be replaced: a folder has come into its place. */
static void files_are_placed_together_or_not_at_all(void **state) {
    enum { N = 3 };
    char folder[256], paths[N][300], extra[300], *data;
    spt_file_writer files[N] = {{0}}, *const list[N] = {&files[0], &files[1], &files[2]};
    size_t size;
    (void)state;
    support_folder_make(folder, sizeof folder);
    for (int i = 0; i < N; i++)
        snprintf(paths[i], sizeof paths[i], "%s/%d", folder, i);
    snprintf(extra, sizeof extra, "%s/stale", folder);
    for (int wrong = 1; wrong >= 0; wrong--) {
        expect_ok(spt_npy_write(&files[0], extra, "I32", (const int64_t[]){1}, 1, "old.", 4));
        expect_ok(spt_file_writer_commit(&files[0]));
        expect_ok(spt_npy_write(&files[0], paths[0], "I32", (const int64_t[]){1}, 1, wrong ? "old." : "bad.", 4));
        expect_ok(spt_file_writer_commit(&files[0]));
        for (int i = 0; i < N; i++)
            expect_ok(spt_npy_write(&files[i], paths[i], "I32", (const int64_t[]){1}, 1, "new.", 4));
        if (wrong) {
            assert_int_equal(mkdir(paths[2], 0700), 0);
            expect_error(SPT_EIO, "/2: cannot be replaced", spt_files_place(list, N, extra));
            assert_int_equal(access(paths[1], F_OK), -1);
            assert_int_equal(access(extra, F_OK), 0);
            support_folder_remove(paths[2]);
        } else {
            expect_ok(spt_files_place(list, N, extra));
            assert_int_equal(access(paths[2], F_OK), 0);
            assert_int_equal(access(extra, F_OK), -1);
        }
        expect_ok(spt_file_read(&data, &size, paths[0], 4096));
        assert_memory_equal(data + size - 4, wrong ? "old." : "new.", 4);
        spt_free(data);
    }
    support_folder_remove(folder);
    assert_int_equal(spt_memory_live(), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rules_are_parsed_and_mistakes_named),
        cmocka_unit_test(the_least_magnitudes_go_and_exactly_the_share),
        cmocka_unit_test(blocks_go_whole_at_the_edges_too),
        cmocka_unit_test(a_group_keeps_its_largest),
        cmocka_unit_test(f64_weights_are_told_apart),
        cmocka_unit_test(metadata_of_2_of_4_is_the_nibble_of_tensor_cores),
        cmocka_unit_test(compressed_matrices_come_back),
        cmocka_unit_test(too_many_nonzeros_are_named),
        cmocka_unit_test(an_order_keeps_at_least_what_greedy_swaps_keep),
        cmocka_unit_test(a_search_is_repeatable_and_leaves_a_short_group_alone),
        cmocka_unit_test(wide_layers_are_searched_in_windows_and_time_ends_a_search),
        cmocka_unit_test(a_tall_layer_ends_in_time_and_sizes_do_not_matter),
        cmocka_unit_test(a_convolution_is_pruned_along_its_channels),
        cmocka_unit_test(bad_numbers_are_refused_and_failing_memory_leaks_nothing),
        cmocka_unit_test(written_arrays_are_read_again),
        cmocka_unit_test(files_are_placed_together_or_not_at_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* V:N:M: what pruning keeps, its compressed form, and how spmm_vnm_mma packs it: slots are as few as they can be, and
 * the fragments say what the matrix says. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/memory.h"
#include "core/random.h"
#include "tests/support.h"
#include "tests/unit.h"
#include "tuner/prune/layer.h"
#include "tuner/prune/vnm.h"
#include "variants/cuda/kernel.h"
#include "variants/cuda/spmm_vnm_mma_pack.h"

enum { ROWS = 71, COLS = 109, COUNT = ROWS * COLS };

static const spt_vnm rules[] = {{64, 2, 8},    {32, 2, 10}, {16, 1, 16}, {7, 2, 4},
                                {200, 2, 200}, {1, 2, 5},   {128, 2, 40}};

static void fill(float *out, int64_t count, uint64_t seed) {
    spt_random random;
    spt_random_init(&random, seed);
    for (int64_t i = 0; i < count; i++)
        out[i] = (float)spt_random_normal(&random);
}

/* The choice is made in double precision. */
static spt_status choose(uint8_t *mask, const float *weights, int64_t n_rows, int64_t n_cols,
                         const spt_prune_rule *rule) {
    double *exact;
    SPT_TRY(SPT_NEW(exact, n_rows * n_cols));
    for (int64_t i = 0; i < n_rows * n_cols; i++)
        exact[i] = (double)weights[i];
    const spt_status status = spt_prune_choose(mask, exact, n_rows, n_cols, rule);
    spt_free(exact);
    return status;
}

static void rules_are_parsed_and_mistakes_named(void **state) {
    static const char *const wrong[] = {"",       "2:4",     "64:2",   "0:2:8",   "64:3:8", "64:0:8",
                                        "64:2:3", "64:2:8x", "-1:2:8", "64:2:-8", "64::8",  "6400000000:2:8"};
    spt_prune_rule rule;
    (void)state;
    expect_ok(spt_prune_parse_vnm(&rule, "64:2:10"));
    assert_true(rule.vnm.v == 64 && rule.vnm.n == 2 && rule.vnm.m == 10 && rule.nm.of == 0);
    for (int i = 0; i < N_ITEMS(wrong); i++)
        expect_error(SPT_EINVAL, "expected V:N:M", spt_prune_parse_vnm(&rule, wrong[i]));
}

/* The sum of |w| of a column of a block. */
static double column_sum(const float *weights, int64_t col, int64_t first, int64_t end) {
    double sum = 0.0;
    for (int64_t row = first; row < end; row++)
        sum += fabs((double)weights[row * COLS + col]);
    return sum;
}

/* In every block at most four columns stay, no other has a larger sum; of them each row keeps its n largest. */
static void check_block(const uint8_t *mask, const float *weights, spt_vnm vnm, int64_t first, int64_t col0) {
    const int64_t end = first + vnm.v < ROWS ? first + vnm.v : ROWS,
                  col_end = col0 + vnm.m < COLS ? col0 + vnm.m : COLS;
    const int64_t width = col_end - col0, n_kept = width < 4 ? width : 4, n = vnm.n < width ? vnm.n : width;
    int64_t n_larger_or_equal = 0;
    double least = INFINITY;
    bool is_used[256] = {false};
    for (int64_t row = first; row < end; row++) {
        int64_t n_row = 0;
        for (int64_t col = col0; col < col_end; col++) {
            n_row += mask[row * COLS + col];
            is_used[col - col0] |= mask[row * COLS + col] != 0;
        }
        assert_int_equal(n_row, n);
    }
    for (int64_t col = col0; col < col_end; col++)
        if (is_used[col - col0])
            least = fmin(least, column_sum(weights, col, first, end));
    for (int64_t col = col0; col < col_end; col++)
        n_larger_or_equal += column_sum(weights, col, first, end) >= least;
    assert_true(n_larger_or_equal <= n_kept);
    for (int64_t row = first; row < end; row++)
        for (int64_t col = col0; col < col_end; col++)
            for (int64_t other = col0; mask[row * COLS + col] && other < col_end; other++)
                if (is_used[other - col0] && !mask[row * COLS + other])
                    assert_true(fabsf(weights[row * COLS + other]) <= fabsf(weights[row * COLS + col]));
}

static void blocks_keep_their_largest_columns_and_rows_the_largest_of_those(void **state) {
    static float weights[COUNT];
    static uint8_t mask[COUNT];
    (void)state;
    for (int r = 0; r < N_ITEMS(rules); r++) {
        const spt_prune_rule rule = {.vnm = rules[r]};
        fill(weights, COUNT, (uint64_t)r);
        memset(mask, 7, sizeof mask);
        expect_ok(choose(mask, weights, ROWS, COLS, &rule));
        for (int64_t row = 0; row < ROWS; row += rules[r].v)
            for (int64_t col = 0; col < COLS; col += rules[r].m)
                check_block(mask, weights, rules[r], row, col);
    }
}

/* Few values, so that many columns and places are equal: the first ones stay. */
static void among_equals_the_first_ones_stay(void **state) {
    static const double weights[2][10] = {{1, -1, 2, 1, 1, -1, 0, 2, 0, 0}, {1, 1, 2, -1, 1, 1, 0, -2, 0, 0}};
    static const uint8_t expected[2][10] = {{0, 0, 1, 0, 0, 0, 0, 1, 1, 1}, {0, 0, 1, 0, 0, 0, 0, 1, 1, 1}};
    static const uint8_t one[2][10] = {{0, 0, 1, 0, 0, 0, 0, 0, 1, 0}, {0, 0, 1, 0, 0, 0, 0, 0, 1, 0}};
    uint8_t mask[2][10];
    (void)state;
    expect_ok(spt_vnm_choose(mask[0], weights[0], 2, 10, (spt_vnm){2, 2, 8}));
    assert_memory_equal(mask, expected, sizeof mask);
    expect_ok(spt_vnm_choose(mask[0], weights[0], 2, 10, (spt_vnm){2, 1, 8}));
    assert_memory_equal(mask, one, sizeof mask);
    static const double flat[6] = {3, 3, 3, 3, 3, 3};
    static const uint8_t first[6] = {1, 1, 0, 0, 0, 0};
    expect_ok(spt_vnm_choose(mask[0], flat, 1, 6, (spt_vnm){1, 2, 6}));
    assert_memory_equal(mask, first, sizeof first);
}

/* The choice is linear in M: at a million columns a quadratic one would take an hour. */
static void a_block_may_have_any_number_of_columns(void **state) {
    enum { WIDE = 1000000 };
    const spt_prune_rule rule = {.vnm = {1, 2, 999999}};
    float *weights;
    uint8_t *mask;
    (void)state;
    expect_ok(SPT_NEW(weights, WIDE));
    expect_ok(SPT_NEW(mask, WIDE));
    for (int i = 0; i < WIDE; i++)
        weights[i] = (float)i;
    expect_ok(choose(mask, weights, 1, WIDE, &rule));
    for (int i = 0; i < WIDE; i++)
        assert_int_equal(mask[i], i >= WIDE - 3);
    spt_free(weights);
    spt_free(mask);
}

/* ---- the compressed form ---- */

static void what_is_compressed_comes_back(void **state) {
    static float weights[COUNT], back[COUNT];
    static uint8_t mask[COUNT];
    (void)state;
    for (int r = 0; r < N_ITEMS(rules); r++) {
        const spt_prune_rule rule = {.vnm = rules[r]};
        const spt_prune_compressed form = spt_prune_compressed_of(&rule, ROWS, COLS);
        float *values;
        uint8_t *metadata;
        int32_t *columns;
        fill(weights, COUNT, (uint64_t)r + 20);
        for (int i = 0; i < COUNT; i += 3)
            weights[i] = 0.0f;
        expect_ok(choose(mask, weights, ROWS, COLS, &rule));
        for (int i = 0; i < COUNT; i++)
            weights[i] = mask[i] ? weights[i] : 0.0f;
        expect_ok(SPT_NEW(values, ROWS * form.values_per_row));
        expect_ok(SPT_NEW(metadata, ROWS * form.metadata_per_row));
        expect_ok(SPT_NEW(columns, form.column_groups * form.group_columns));
        expect_ok(spt_vnm_compress(values, metadata, columns, weights, sizeof *weights, ROWS, COLS, rules[r]));
        memset(back, 0xff, sizeof back);
        expect_ok(spt_vnm_decompress(back, values, metadata, columns, sizeof *weights, ROWS, COLS, rules[r]));
        assert_memory_equal(back, weights, sizeof back);
        for (int64_t i = 0; i < form.column_groups * form.group_columns; i++)
            columns[i] = COLS;
        expect_error(SPT_EWRONG, "expected a column for each value",
                     spt_vnm_decompress(back, values, metadata, columns, sizeof *weights, ROWS, COLS, rules[r]));
        spt_free(values);
        spt_free(metadata);
        spt_free(columns);
    }
}

static void what_does_not_fit_is_named(void **state) {
    float dense[2][8] = {{1, 2, 0, 0, 0, 0, 0, 0}, {0, 0, 3, 4, 0, 0, 0, 0}}, values[8];
    uint8_t metadata[8];
    int32_t columns[8];
    const spt_vnm vnm = {2, 2, 8};
    (void)state;
    expect_ok(spt_vnm_compress(values, metadata, columns, dense, sizeof(float), 2, 8, vnm));
    dense[1][2] = 0.0f;
    dense[0][2] = 5.0f;
    expect_error(SPT_EWRONG, "at most 2 nonzeros of 4",
                 spt_vnm_compress(values, metadata, columns, dense, sizeof(float), 2, 8, vnm));
    dense[0][2] = 0.0f;
    dense[1][2] = 3.0f;
    dense[0][7] = 5.0f;
    expect_error(SPT_EWRONG, "at most 4 columns with values",
                 spt_vnm_compress(values, metadata, columns, dense, sizeof(float), 2, 8, vnm));
}

/* ---- packing for tensor cores ---- */

/* May columns [first, last] of those that rows [row, end) use share four slots? */
static bool may_share(const spt_csr *a, const int32_t *used, int64_t first, int64_t last, int64_t row, int64_t end) {
    for (; row < end; row++) {
        int n = 0;
        for (int64_t nz = a->row_offsets[row]; nz < a->row_offsets[row + 1]; nz++)
            for (int64_t i = first; i <= last; i++)
                n += a->columns[nz] == used[i];
        if (n > 2)
            return false;
    }
    return last - first < 4;
}

/* The fewest groups of four slots for the columns in their order, by trying every cut. */
static int64_t fewest(const spt_csr *a, int64_t row, int64_t end) {
    int32_t used[512];
    int64_t n_used = 0, least[513] = {0};
    for (int32_t column = 0; column < a->n_cols; column++) {
        bool is_used = false;
        for (int64_t nz = a->row_offsets[row]; nz < a->row_offsets[end]; nz++)
            is_used |= a->columns[nz] == column;
        if (is_used)
            used[n_used++] = column;
    }
    for (int64_t i = 0; i < n_used; i++) {
        least[i + 1] = INT64_MAX;
        for (int64_t first = i > 3 ? i - 3 : 0; first <= i; first++)
            if (may_share(a, used, first, i, row, end) && least[first] + 1 < least[i + 1])
                least[i + 1] = least[first] + 1;
    }
    return least[n_used];
}

/* Take apart what was packed: every value of every tile stands where its metadata and columns say, and is in A. */
static void check_fragments(const spt_cuda_packed *packed, const spt_csr *a, int v) {
    const int32_t *starts = packed->buffers[0].data, *columns = packed->buffers[1].data;
    const uint16_t *values = packed->buffers[2].data;
    const uint32_t *metadata = packed->buffers[3].data;
    int64_t n_found = 0, n_tiles = 0;
    for (int64_t group = 0; group * v < a->n_rows; group++) {
        for (int64_t tile = 0; tile < v / 16; tile++) {
            for (int64_t step = starts[group]; step < starts[group + 1]; step++, n_tiles++) {
                for (int at = 0; at < 256; at++) { /* 16 rows of 16 kept columns */
                    const int lane = at / 8, r = at % 8 / 2, g = lane / 4, t = lane % 4;
                    const int in_tile = g + 8 * (r % 2), kept = 2 * t + at % 2 + 8 * (r / 2), quad = kept / 2;
                    const uint32_t word = metadata[16 * n_tiles + 2 * g + quad / 4] >> 16 * (in_tile / 8);
                    const uint32_t nibble = word >> 4 * (quad % 4) & 15;
                    const int slot = 4 * quad + (int)(kept % 2 == 0 ? nibble & 3 : nibble >> 2);
                    const int64_t row = group * v + tile * 16 + in_tile;
                    const int32_t column = columns[32 * step + slot];
                    if (values[256 * n_tiles + at] == 0)
                        continue;
                    assert_true(row < a->n_rows && column >= 0);
                    int64_t nz = a->row_offsets[row];
                    while (nz < a->row_offsets[row + 1] && a->columns[nz] != column)
                        nz++;
                    assert_true(nz < a->row_offsets[row + 1]);
                    assert_int_equal(values[256 * n_tiles + at], ((const uint16_t *)a->values)[nz]);
                    n_found++;
                }
            }
        }
    }
    assert_int_equal(n_found, spt_csr_nnz(a));
}

static int64_t quads_of(const spt_cuda_packed *packed, int64_t group) {
    const int32_t *starts = packed->buffers[0].data, *columns = packed->buffers[1].data;
    for (int64_t slot = 32 * starts[group + 1] - 1; slot >= 32 * starts[group]; slot--)
        if (columns[slot] >= 0)
            return (slot - 32 * starts[group]) / 4 + 1;
    return 0;
}

static void check_packing(const spt_csr *pattern, int v, int64_t most_quads) {
    spt_cuda_packed packed = {0};
    uint16_t *values;
    spt_csr a = *pattern;
    expect_ok(SPT_NEW(values, spt_csr_nnz(&a) + 1));
    for (int64_t nz = 0; nz < spt_csr_nnz(&a); nz++)
        values[nz] = (uint16_t)(nz % 65535 + 1);
    a.values = values;
    expect_ok(spt_vnm_pack(&packed, SPT_F16, &a, v));
    check_fragments(&packed, &a, v);
    for (int64_t group = 0; group * v < a.n_rows; group++) {
        const int64_t end = (group + 1) * v < a.n_rows ? (group + 1) * v : a.n_rows;
        assert_int_equal(quads_of(&packed, group), fewest(&a, group * v, end));
        assert_true(most_quads == 0 || quads_of(&packed, group) <= most_quads);
    }
    spt_cuda_packed_fini(&packed);
    spt_free(values);
}

static void slots_are_as_few_as_can_be_and_fragments_hold_the_matrix(void **state) {
    static float weights[COUNT];
    static uint8_t mask[COUNT];
    (void)state;
    for (int i = 0; i < support_pattern_count(); i++) {
        spt_matrix matrix;
        support_pattern_build(&matrix, support_pattern_at(i));
        for (int v = 32; matrix.view.n_cols <= 300 && v <= 128; v *= 2)
            check_packing(&matrix.view, v, 0);
        spt_matrix_fini(&matrix);
    }
    for (int r = 0; r < N_ITEMS(rules); r++) {
        const spt_prune_rule rule = {.vnm = rules[r]};
        spt_matrix matrix;
        fill(weights, COUNT, (uint64_t)r + 40);
        expect_ok(choose(mask, weights, ROWS, COLS, &rule));
        for (int i = 0; i < COUNT; i++) /* some columns of some blocks are empty, so that blocks need not stay whole */
            weights[i] = mask[i] && i % 7 != 0 ? weights[i] : 0.0f;
        expect_ok(spt_matrix_from_dense(&matrix, weights, ROWS, COLS));
        for (int v = 32; v <= 128; v *= 2)
            check_packing(&matrix.view, v, rules[r].v % v == 0 ? spt_vnm_blocks(rules[r], COLS) : 0);
        spt_matrix_fini(&matrix);
    }
}

static void failing_memory_leaks_nothing(void **state) {
    spt_matrix matrix;
    spt_status status = SPT_ENOMEM;
    (void)state;
    support_pattern_build(&matrix, support_pattern_at(20));
    const long live = spt_memory_live();
    for (long n = 0; status != SPT_OK && n < 100; n++) {
        spt_cuda_packed packed = {0};
        spt_memory_fail_after(n);
        status = spt_vnm_pack(&packed, SPT_F16, &matrix.view, 32);
        spt_memory_fail_after(-1);
        spt_cuda_packed_fini(&packed);
        assert_true((status == SPT_OK || status == SPT_ENOMEM) && spt_memory_live() == live);
    }
    expect_ok(status);
    spt_matrix_fini(&matrix);
    assert_int_equal(spt_memory_live(), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rules_are_parsed_and_mistakes_named),
        cmocka_unit_test(blocks_keep_their_largest_columns_and_rows_the_largest_of_those),
        cmocka_unit_test(among_equals_the_first_ones_stay),
        cmocka_unit_test(a_block_may_have_any_number_of_columns),
        cmocka_unit_test(what_is_compressed_comes_back),
        cmocka_unit_test(what_does_not_fit_is_named),
        cmocka_unit_test(slots_are_as_few_as_can_be_and_fragments_hold_the_matrix),
        cmocka_unit_test(failing_memory_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The table of ceilings: who finds which row, and what replaces a row for a while. */
#include "tests/unit.h"

#include <stdio.h>

#include "variants/bound.h"
#include "variants/family.h"

static spt_device cpu(const char *vendor, int family, int model, spt_isa isa) {
    spt_device device = {.kind = SPT_CPU, .family = family, .model = model, .isa = isa};
    snprintf(device.vendor, sizeof device.vendor, "%s", vendor);
    return device;
}

static const spt_ceilings *row_of(const char *vendor, int family, int model, spt_isa isa) {
    const spt_device device = cpu(vendor, family, model, isa);
    return spt_ceilings_get(&device);
}

static void a_known_cpu_finds_its_row_for_each_isa(void **state) {
    (void)state;
    static const spt_isa isas[] = {SPT_ISA_PLAIN, SPT_ISA_AVX2, SPT_ISA_AVX512};
    for (int i = 0; i < N_ITEMS(isas); i++) {
        const spt_ceilings *rapids = row_of("GenuineIntel", 6, 143, isas[i]);
        const spt_ceilings *turin = row_of("AuthenticAMD", 26, 2, isas[i]);
        assert_ptr_not_equal(rapids, turin);
        assert_ptr_equal(row_of("GenuineIntel", 6, 207, isas[i]), rapids);
        assert_ptr_equal(row_of("AuthenticAMD", 26, 17, isas[i]), turin);
        assert_ptr_equal(row_of("AuthenticAMD", 26, 68, isas[i]), turin);
        assert_true(turin->l2_gbs > rapids->l2_gbs);
    }
    assert_true(row_of("GenuineIntel", 6, 143, SPT_ISA_AVX512)->tile_gflops > 0.0);
    assert_true(row_of("AuthenticAMD", 26, 2, SPT_ISA_AVX512)->tile_gflops == 0.0);
}

static void an_unknown_cpu_finds_the_generic_row_of_its_isa(void **state) {
    (void)state;
    for (int isa = 0; isa < SPT_ISA_COUNT; isa++) {
        const spt_ceilings *generic = row_of("Nobody", 1, 1, (spt_isa)isa);
        assert_true(generic->fma_gflops > 0.0 && generic->dense_gflops > 0.0 && generic->code_per_ns > 0.0);
        assert_true(generic->l1_gbs > 0.0 && generic->l2_gbs > 0.0 && generic->l3_gbs > 0.0 && generic->dram_gbs > 0.0);
        assert_true(generic->vector_loads_per_ns > 0.0 && generic->gathers_per_ns > 0.0);
        assert_true(generic->code_l1_bytes > 0.0 && generic->code_l2_gbs > 0.0 && generic->code_l3_gbs > 0.0);
        assert_ptr_equal(row_of("", 0, 0, (spt_isa)isa), generic);
        assert_ptr_equal(row_of("AuthenticAMD", 25, 2, (spt_isa)isa), generic);
        assert_ptr_equal(row_of("AuthenticAMD", 26, 36, (spt_isa)isa), generic); /* paths of half the width */
        assert_ptr_equal(row_of("GenuineIntel", 26, 2, (spt_isa)isa), generic);
    }
}

static void measured_ceilings_count_for_their_isa_until_they_are_taken_back(void **state) {
    (void)state;
    const spt_device wide = cpu("AuthenticAMD", 26, 2, SPT_ISA_AVX512),
                     narrow = cpu("AuthenticAMD", 26, 2, SPT_ISA_AVX2);
    const spt_ceilings *const wide_row = spt_ceilings_get(&wide), *const narrow_row = spt_ceilings_get(&narrow);
    spt_ceilings measured = *wide_row;
    measured.fma_gflops = 1.0;
    spt_ceilings_use(SPT_ISA_AVX512, &measured);
    measured.fma_gflops = 2.0; /* they were copied */
    assert_true(spt_ceilings_get(&wide)->fma_gflops == 1.0);
    assert_ptr_equal(spt_ceilings_get(&narrow), narrow_row);
    spt_ceilings_use(SPT_ISA_AVX512, NULL);
    assert_ptr_equal(spt_ceilings_get(&wide), wide_row);
}

/* The bound of a family's default point on a Zen 5 core for m x k with nonzeros in the first `nnz` places of row 0. */
static double bound_of(const char *name, int64_t m, int64_t k, int64_t nnz, int64_t n) {
    enum { M_MAX = 64, NNZ_MAX = 8 };
    static const int32_t columns[NNZ_MAX] = {0, 1, 2, 3, 4, 5, 6, 7};
    int64_t row_offsets[M_MAX + 1] = {0};
    for (int64_t row = 1; row <= m; row++)
        row_offsets[row] = nnz;
    const spt_csr a = {.size = sizeof a, .n_rows = m, .n_cols = k, .row_offsets = row_offsets, .columns = columns};
    const spt_problem problem = {.size = sizeof problem, .op = SPT_SPMM, .n = n, .threads = 1};
    const spt_family *family = spt_family_find(name);
    spt_device device = cpu("AuthenticAMD", 26, 2, SPT_ISA_AVX512);
    spt_workload workload;
    spt_point point = {0};
    device.l1d_bytes = 48 << 10;
    device.l2_bytes = 1 << 20;
    device.l3_bytes = 32 << 20;
    expect_ok(spt_workload_init(&workload, &problem, &a));
    family->default_point(&workload, &device, &point);
    return family->bound_ns(&workload, &device, &point);
}

static void bounds_of_tiny_and_empty_problems_stay_below_what_they_take(void **state) {
    (void)state;
    assert_true(bound_of("spmm_dense_blas", 8, 8, 0, 8) < 68.0); /* measured */
    assert_true(bound_of("spmm_dense_blas", 64, 64, 0, 5) >= 600.0);
    static const char *const sparse[] = {"spmm_csr_bins", "spmm_csr_panel", "spmm_csr_rows", "spmm_csr_tile",
                                         "spmm_jit_x86"};
    for (int i = 0; i < N_ITEMS(sparse); i++)
        if (bound_of(sparse[i], 8, 8, 0, 8) >= 68.0)
            fail_msg("%s: %g ns", sparse[i], bound_of(sparse[i], 8, 8, 0, 8));
}

static void rows_of_b_that_nobody_reads_cost_nothing(void **state) {
    (void)state;
    static const char *const families[] = {"spmm_jit_x86", "spmm_jit_lines", "spmm_jit_columns"};
    for (int i = 0; i < N_ITEMS(families); i++)
        for (int64_t nnz = 0; nnz <= 8; nnz += 8) {
            const double few = bound_of(families[i], 48, 512, nnz, 196),
                         many = bound_of(families[i], 48, 65536, nnz, 196);
            if (many > 2.0 * few)
                fail_msg("%s, %d nonzeros: %g ns for 512 rows of B, %g for 65536", families[i], (int)nnz, few, many);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_known_cpu_finds_its_row_for_each_isa),
        cmocka_unit_test(an_unknown_cpu_finds_the_generic_row_of_its_isa),
        cmocka_unit_test(measured_ceilings_count_for_their_isa_until_they_are_taken_back),
        cmocka_unit_test(bounds_of_tiny_and_empty_problems_stay_below_what_they_take),
        cmocka_unit_test(rows_of_b_that_nobody_reads_cost_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Which kernels of a text are compiled, and with which options: what a call needs and no more. */
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"
#include "tests/support.h"
#include "tests/unit.h"
#include "tuner/commands/compile_cover.h"
#include "tuner/commands/compile_wanted.h"
#include "variants/cuda/binary.h"

static spt_device device;

static spt_workload make_workload(const spt_family *family, spt_dtype dtype, spt_layout layout, int64_t n) {
    spt_workload out = {
        .problem =
            {.size = sizeof(spt_problem), .op = family->op, .dtype = dtype, .layout = layout, .n = n, .threads = 1},
        .pattern = {.n_rows = 512, .n_cols = 512, .nnz = 26214}};
    out.pattern.features = (spt_features){
        .density = 0.1, .row_mean = 51.2, .row_cv = 0.13, .row_max = 75.0, .keep_2of4 = 1.0, .fill_4x1 = 1.0};
    return out;
}

/* The default point's modules for a problem; 0 where the family does not serve it. */
static uint32_t wanted_of(spt_cuda_source *source, const spt_family *family, spt_dtype dtype, spt_layout layout,
                          int64_t n) {
    const spt_workload workload = make_workload(family, dtype, layout, n);
    spt_point point;
    family->default_point(&workload, &device, &point);
    if ((family->dtypes & SPT_DTYPE_BIT(dtype)) == 0 || !family->is_valid(&workload, &device, &point))
        return 0;
    expect_ok(family->cuda->describe(source, &workload, &device, &point, NULL));
    return spt_cuda_modules_wanted(source, family, &workload, &device, &point);
}

static void a_call_needs_one_module_at_least_and_no_unknown_one(void **state) {
    static const int64_t widths[] = {3, 4, 31, 32, 127, 128};
    (void)state;
    int n_checked = 0;
    for (int i = 0; i < spt_family_count(); i++) {
        const spt_family *family = spt_family_at(i);
        if (family->cuda == NULL || family->cuda->describe == NULL || family->cuda->library_run != NULL ||
            family->cuda->is_baked)
            continue;
        for (int kind = 0; kind < 36; kind++) {
            spt_cuda_source source = {0}, module;
            const uint32_t wanted =
                wanted_of(&source, family, (spt_dtype)(kind % 3), (spt_layout)(kind / 3 % 2), widths[kind / 6]);
            if (source.n_kernels == 0)
                continue;
            const int n_modules = spt_cuda_source_n_modules(&source);
            assert_true(wanted != 0 && wanted >> n_modules == 0);
            for (int m = 0; m < n_modules; m++) {
                spt_cuda_source_module(&module, &source, m);
                assert_int_equal(module.n_kernels, source.is_split ? 1 : source.n_kernels);
                assert_string_equal(module.kernels[0], source.kernels[m]);
            }
            n_checked++;
            spt_cuda_source_fini(&source);
        }
    }
    assert_true(n_checked > 100);
}

static void a_width_that_vectors_do_not_divide_needs_the_other_kernel(void **state) {
    (void)state;
    static const char *const names[] = {"spmm_csr_subwarp", "sddmm_csr_subwarp", "spmm_csr_staged"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const spt_family *family = spt_family_find(names[i]);
        spt_cuda_source source;
        assert_int_equal(wanted_of(&source, family, SPT_F32, SPT_KN, 128), 1);
        assert_int_equal(wanted_of(&source, family, SPT_F32, SPT_KN, 127), 2);
    }
}

static void points_share_the_kernel_that_transposes(void **state) {
    (void)state;
    static const char *const names[] = {"spmm_csr_subwarp", "sddmm_csr_subwarp"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const spt_family *family = spt_family_find(names[i]);
        spt_cuda_source sources[2], modules[2];
        for (int n = 0; n < 2; n++) /* other widths have other defaults */
            assert_int_equal(wanted_of(&sources[n], family, SPT_F32, SPT_NK, n == 0 ? 16 : 128), 3);
        for (int m = 0; m < 2; m++) {
            for (int n = 0; n < 2; n++)
                spt_cuda_source_module(&modules[n], &sources[n], m);
            assert_int_equal(spt_hash_equal(spt_cuda_cache_key(&modules[0], "sm_90", "x"),
                                            spt_cuda_cache_key(&modules[1], "sm_90", "x")),
                             m == 1);
        }
    }
}

/* Every item is valid for what it was dealt, no two are the same text, and all families and types are among them. */
static void a_cover_has_every_text_once(void **state) {
    (void)state;
    spt_cover_item *items;
    int64_t n_items = 0, n_points = 0;
    unsigned seen[3][2][3] = {{{0}}};
    const spt_family *families[] = {spt_family_find("spmm_csr_staged")};
    expect_ok(spt_cover_list(&items, &n_items, &n_points, &device, families, 1));
    assert_true(n_items > 500 && n_points > n_items);
    for (int64_t i = 0; i < n_items; i++) {
        const spt_problem *problem = &items[i].workload.problem;
        assert_true(items[i].family->is_valid(&items[i].workload, &device, &items[i].point));
        assert_true(i == 0 || memcmp(&items[i - 1].key, &items[i].key, sizeof items[i].key) < 0);
        seen[problem->dtype][problem->layout][problem->epilogue]++;
    }
    for (int i = 0; i < 18; i++)
        assert_true(seen[i / 6][i / 3 % 2][i % 3] > 0);
    spt_free(items);
}

static spt_problem_options no_options(void) {
    return (spt_problem_options){.device = "cpu"};
}

/* `compile` without names leaves nothing out where the chip has the types. */
static void every_family_has_a_point_of_a_usual_problem(void **state) {
    (void)state;
    const spt_problem_options options = no_options();
    spt_compile_problems problems;
    int n_families = 0;
    expect_ok(spt_compile_problems_init(&problems, &options, NULL, false));
    for (int i = 0; i < spt_family_count(); i++) {
        const spt_family *family = spt_family_at(i);
        if (family->cuda == NULL || family->cuda->describe == NULL)
            continue;
        n_families++;
        for (int dtype = SPT_F32; dtype < SPT_DTYPE_COUNT; dtype++) {
            spt_workload workload;
            const spt_csr *a;
            spt_point point;
            if ((family->dtypes & SPT_DTYPE_BIT(dtype)) == 0)
                continue;
            if (!spt_compile_problem(&workload, &a, &problems, family, (spt_dtype)dtype, &device, 0))
                fail_msg("%s has no point in %s", family->name, spt_dtype_name((spt_dtype)dtype));
            family->default_point(&workload, &device, &point);
            assert_true(family->is_valid(&workload, &device, &point));
            assert_int_equal(a->n_rows, 512);
        }
    }
    assert_true(n_families >= 15);
    spt_compile_problems_fini(&problems);
}

/* A reason for a family, and "" where it has a point in every type. */
static void why_not(char out[512], const char *name, const spt_problem_options *options, const char *pattern,
                    const char *arch) {
    const spt_family *family = spt_family_find(name);
    spt_compile_problems problems;
    spt_device old;
    uint32_t without = 0;
    expect_ok(spt_device_pretend(&old, arch));
    expect_ok(spt_compile_problems_init(&problems, options, pattern, false));
    for (int dtype = SPT_F32; dtype < SPT_DTYPE_COUNT; dtype++) {
        spt_workload workload;
        const spt_csr *a;
        if ((family->dtypes & SPT_DTYPE_BIT(dtype)) != 0 &&
            !spt_compile_problem(&workload, &a, &problems, family, (spt_dtype)dtype, &old, 0))
            without |= SPT_DTYPE_BIT(dtype);
    }
    out[0] = '\0';
    if (without != 0)
        spt_compile_why_not(out, 512, &problems, family, without, &old);
    spt_compile_problems_fini(&problems);
}

static void what_is_left_out_has_a_reason(void **state) {
    (void)state;
    char reason[512];
    spt_problem_options options = no_options();
    why_not(reason, "spmm_24_mma", &options, NULL, "sm_80");
    assert_string_equal(reason, "spmm_24_mma has no point with a kernel in e4m3, e5m2 on sm_80, but on sm_89");
    why_not(reason, "spmm_csr_subwarp", &options, NULL, "sm_75");
    assert_string_equal(reason, "spmm_csr_subwarp has no point with a kernel in bf16 on sm_75, but on sm_80");
    why_not(reason, "spmm_vector_mma", &options, "uniform:64x64@0.9", "sm_90");
    assert_string_equal(reason,
                        "spmm_vector_mma has no point with a kernel for uniform:64x64@0.9 in bf16, f16 on sm_90");
    why_not(reason, "spmm_skinny_warp", &options, "uniform:64x64@0.9", "sm_90");
    assert_string_equal(reason, ""); /* the width is still open */
    options.n_widths = 1;
    options.widths[0] = 9;
    why_not(reason, "spmm_skinny_warp", &options, NULL, "sm_90");
    assert_string_equal(reason, "spmm_skinny_warp has no point with a kernel for any usual pattern with n 9 in f32, "
                                "bf16, f16 on sm_90");
    spt_compile_why_not(reason, sizeof reason, &(spt_compile_problems){.options = &options},
                        spt_family_find("spmm_24_mma"), SPT_DTYPE_BIT(SPT_F32), &device);
    assert_string_equal(reason, "spmm_24_mma has no f32");
}

static void what_is_wanted_is_listed_once(void **state) {
    (void)state;
    spt_problem_options options = no_options();
    spt_compile_wanted wanted;
    char *names[] = {(char *)(uintptr_t) "sddmm_csr_subwarp", (char *)(uintptr_t) "spmm_24_mma",
                     (char *)(uintptr_t) "spmm_24_mma"};
    expect_ok(spt_compile_wanted_init(&wanted, &options, "sm_90,sm_80,sm_90", names, 3));
    assert_int_equal(wanted.n_archs, 2);
    assert_string_equal(wanted.archs[0], "sm_90");
    assert_string_equal(wanted.archs[1], "sm_80");
    assert_int_equal(wanted.n_families, 2);
    options.has_op = true;
    options.op = SPT_SDDMM;
    expect_ok(spt_compile_wanted_init(&wanted, &options, "all", NULL, 0));
    assert_true(wanted.n_archs > 8 && wanted.n_families == 1);
    expect_error(SPT_EINVAL, "expected families of --op sddmm, found spmm_24_mma, which is of spmm",
                 spt_compile_wanted_init(&wanted, &options, "sm_90", names, 3));
    expect_error(SPT_EINVAL, "found 'sm_1'", spt_compile_wanted_init(&wanted, &options, "sm_90,sm_1", NULL, 0));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_needs_one_module_at_least_and_no_unknown_one),
        cmocka_unit_test(a_width_that_vectors_do_not_divide_needs_the_other_kernel),
        cmocka_unit_test(points_share_the_kernel_that_transposes),
        cmocka_unit_test(a_cover_has_every_text_once),
        cmocka_unit_test(every_family_has_a_point_of_a_usual_problem),
        cmocka_unit_test(what_is_left_out_has_a_reason),
        cmocka_unit_test(what_is_wanted_is_listed_once),
    };
    if (spt_device_pretend(&device, "sm_90") != SPT_OK)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}

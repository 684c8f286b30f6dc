/* SPDX-License-Identifier: Apache-2.0 */
/* Pattern-baked PTX: the text executed by an interpreter equals the product, on awkward patterns and the shared ones;
 * it assembles; and the interpreter sees what it must not let pass. */
#include <glob.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/memory.h"
#include "core/random.h"
#include "core/text.h"
#include "tests/simt/ptx.h"
#include "tests/support.h"
#include "tests/unit.h"
#include "tuner/input/input.h"
#include "variants/codegen/emit_ptx.h"
#include "variants/cuda/jitlink.h"
#include "variants/cuda/ptx_baked.h"

/* One way to bake a pattern, and a width to run it with. */
typedef struct baking {
    int rows, groups;
    spt_schedule_order order;
    bool is_balanced;
    spt_ptx_target target;
    int64_t n, n_baked;
    int tiles; /* that one block of threads walks */
} baking;

typedef struct product {
    const spt_csr *a;
    int64_t n, ldb, ldc;
    float *b, *c, *bias, *residual; /* the residual is stored like C */
    double *expected;
} product;

static void *claim(size_t bytes) {
    void *memory = spt_alloc(bytes, 1);
    assert_non_null(memory);
    simt_memory_add(memory, bytes);
    return memory;
}

static void drop(void *memory) {
    simt_memory_remove(memory);
    spt_free(memory);
}

/* Small integers: every sum is exact. Columns of B behind n are NaN, which must not get into C. */
static void product_init(product *out, const spt_csr *a, const baking *way, int64_t ldb) {
    const float *values = a->values;
    *out = (product){.a = a, .n = way->n, .ldb = ldb, .ldc = way->n + 3};
    out->b = claim((size_t)(a->n_cols * ldb) * 4);
    out->c = claim((size_t)(a->n_rows * out->ldc) * 4);
    out->bias = claim((size_t)a->n_rows * 4);
    out->residual = claim((size_t)(a->n_rows * out->ldc) * 4);
    support_fill_small(out->residual, a->n_rows * out->ldc, 6);
    expect_ok(SPT_NEW(out->expected, a->n_rows * way->n));
    support_fill_small(out->b, a->n_cols * ldb, 1);
    support_fill_small(out->bias, a->n_rows, 2);
    for (int64_t k = 0; k < a->n_cols; k++)
        for (int64_t j = way->n; j < ldb; j++)
            out->b[k * ldb + j] = NAN;
    for (int64_t i = 0; i < a->n_rows * out->ldc; i++)
        out->c[i] = -77.0f;
    for (int64_t row = 0; row < a->n_rows; row++) {
        double *expected = out->expected + row * way->n;
        for (int64_t j = 0; j < way->n; j++)
            expected[j] = way->target.has_bias ? (double)out->bias[row] : 0.0;
        for (int64_t nz = a->row_offsets[row]; nz < a->row_offsets[row + 1]; nz++)
            for (int64_t j = 0; j < way->n; j++)
                expected[j] += (double)values[nz] * (double)out->b[a->columns[nz] * ldb + j];
        for (int64_t j = 0; j < way->n && way->target.has_residual; j++)
            expected[j] += (double)out->residual[row * out->ldc + j];
        for (int64_t j = 0; j < way->n && way->target.has_relu; j++)
            expected[j] = expected[j] > 0.0 ? expected[j] : 0.0;
    }
}

static void product_check_and_fini(product *self, const char *name, bool is_exact) {
    for (int64_t row = 0; row < self->a->n_rows; row++) {
        const double terms = (double)(self->a->row_offsets[row + 1] - self->a->row_offsets[row] + 2);
        for (int64_t j = 0; j < self->ldc; j++) {
            const double found = (double)self->c[row * self->ldc + j];
            const double wanted = j < self->n ? self->expected[row * self->n + j] : -77.0;
            if (!(fabs(found - wanted) <= (is_exact ? 0.0 : terms * 4e-6 * (1.0 + terms))))
                fail_msg("%s: C[%ld, %ld] is %g, expected %g", name, (long)row, (long)j, found, wanted);
        }
    }
    drop(self->b);
    drop(self->c);
    drop(self->bias);
    drop(self->residual);
    spt_free(self->expected);
}

static void emit(char **text, size_t *bytes, spt_schedule *schedule, const spt_csr *a, baking *way) {
    const spt_schedule_cut cut = {way->rows, (a->n_cols + way->groups - 1) / way->groups, way->order, way->is_balanced};
    way->target.b_stride = way->n_baked;
    expect_ok(spt_schedule_init(schedule, a, &cut));
    expect_ok(spt_ptx_emit(text, bytes, schedule, a->values, &way->target));
}

/* The arguments of a baked kernel, and all its launches. */
static void run_baked(const ptx_program *program, const spt_schedule *schedule, const baking *way, product *data) {
    const spt_ptx_target *target = &way->target;
    const unsigned n_tiles =
        (unsigned)((data->n + target->columns * target->threads - 1) / (target->columns * target->threads));
    const unsigned grid_x = target->has_tiles ? (n_tiles + (unsigned)way->tiles - 1) / (unsigned)way->tiles : n_tiles;
    const size_t shared = (size_t)spt_ptx_shared_bytes(schedule, target);
    float *values = claim((size_t)spt_ptx_n_values(schedule) * 4);
    char error[SIMT_ERROR_MAX];
    spt_ptx_pack_values(values, schedule, data->a->values);
    const uint64_t arguments[] = {(uintptr_t)data->b,
                                  (uintptr_t)data->c,
                                  (uintptr_t)data->bias,
                                  (uintptr_t)values,
                                  (uint64_t)data->n,
                                  (uint64_t)data->ldc,
                                  (uintptr_t)data->residual,
                                  (uint64_t)data->ldc,
                                  0,
                                  0,
                                  0};
    const simt_dim block = {(unsigned)target->threads, (unsigned)schedule->n_slices, 1};
    for (int64_t i = 0; i < (target->is_one_launch ? 1 : schedule->n_blocks); i++) {
        char kernel[64];
        snprintf(kernel, sizeof kernel, target->is_one_launch ? "%s" : "%s%ld",
                 target->is_one_launch ? SPT_PTX_KERNEL : SPT_PTX_BLOCK, (long)i);
        const simt_dim grid = {grid_x, target->is_one_launch ? (unsigned)schedule->n_blocks : 1, 1};
        if (!ptx_run(program, kernel, grid, block, shared, arguments, error))
            fail_msg("%s", error);
    }
    drop(values);
}

static void check_way(const char *name, const spt_csr *a, baking way, bool is_exact) {
    char *text, error[SIMT_ERROR_MAX];
    size_t bytes;
    spt_schedule schedule;
    product data;
    emit(&text, &bytes, &schedule, a, &way);
    ptx_program *program = ptx_parse(text, bytes, error);
    if (program == NULL)
        fail_msg("%s: %s", name, error);
    if (ptx_count(program, "fma.rn.f32") != spt_csr_nnz(a) * way.target.columns + 1)
        fail_msg("%s: %ld multiply-adds", name, (long)ptx_count(program, "fma.rn.f32"));
    product_init(&data, a, &way, way.n_baked);
    run_baked(program, &schedule, &way, &data);
    product_check_and_fini(&data, name, is_exact);
    ptx_free(program);
    spt_schedule_fini(&schedule);
    spt_free(text);
}

static const baking ways[] = {
    {4,
     1,
     SPT_SCHEDULE_NATURAL,
     false,
     {1, 32, 0, 0, false, false, true, false, false, false, 0, {0, 0, 0, 0}},
     5,
     5,
     1},
    {7, 1, SPT_SCHEDULE_SORTED, false, {2, 32, 3, 8, false, true, true, true, false, true, 0, {0, 0, 0, 0}}, 67, 70, 1},
    {3,
     2,
     SPT_SCHEDULE_CLUSTERED,
     true,
     {1, 32, 2, 0, true, false, true, true, true, false, 0, {0, 0, 0, 0}},
     97,
     97,
     2},
    {31,
     4,
     SPT_SCHEDULE_NATURAL,
     true,
     {3, 32, 16, 32, true, true, true, true, true, true, 0, {0, 0, 0, 0}},
     200,
     201,
     3},
    {8,
     1,
     SPT_SCHEDULE_NATURAL,
     true,
     {4, 64, 1, 1, false, false, false, false, true, false, 0, {0, 0, 0, 0}},
     33,
     40,
     1},
    {255,
     3,
     SPT_SCHEDULE_SORTED,
     false,
     {1, 64, 4, 32, true, true, false, true, false, false, 0, {0, 0, 0, 0}},
     1,
     1,
     1},
};

static void executed_text_equals_the_product_on_awkward_patterns(void **state) {
    (void)state;
    for (int i = 0; i < support_pattern_count(); i++) {
        spt_matrix matrix;
        support_pattern_build(&matrix, support_pattern_at(i));
        for (int w = 0; w < N_ITEMS(ways); w++)
            check_way(support_pattern_at(i)->name, &matrix.view, ways[w], true);
        spt_matrix_fini(&matrix);
    }
}

/* Any leading dimension: a thread walks rows of CSR. */
static void the_kernel_for_other_strides_equals_the_product(void **state) {
    (void)state;
    for (int i = 0; i < support_pattern_count(); i++) {
        spt_matrix matrix;
        spt_schedule schedule;
        char *text, error[SIMT_ERROR_MAX];
        size_t bytes;
        product data;
        baking way = ways[2 + i % 2]; /* with a residual and without */
        support_pattern_build(&matrix, support_pattern_at(i));
        const spt_csr *a = &matrix.view;
        emit(&text, &bytes, &schedule, a, &way);
        ptx_program *program = ptx_parse(text, bytes, error);
        assert_non_null(program);
        way.n = 130;
        product_init(&data, a, &way, 137);
        uint32_t *offsets = claim((size_t)(a->n_rows + 1) * 4), *columns = claim((size_t)spt_csr_nnz(a) * 4 + 4);
        float *values = claim((size_t)spt_csr_nnz(a) * 4 + 4);
        for (int64_t row = 0; row <= a->n_rows; row++)
            offsets[row] = (uint32_t)a->row_offsets[row];
        for (int64_t nz = 0; nz < spt_csr_nnz(a); nz++) {
            columns[nz] = (uint32_t)a->columns[nz];
            values[nz] = matrix.values[nz];
        }
        const uint64_t arguments[] = {(uintptr_t)data.b,
                                      (uintptr_t)data.c,
                                      (uintptr_t)data.bias,
                                      (uintptr_t)values,
                                      (uintptr_t)offsets,
                                      (uintptr_t)columns,
                                      (uint64_t)data.n,
                                      (uint64_t)data.ldb,
                                      (uint64_t)data.ldc,
                                      (uint64_t)a->n_rows,
                                      (uintptr_t)data.residual,
                                      (uint64_t)data.ldc,
                                      0,
                                      0,
                                      0};
        if (!ptx_run(program, SPT_PTX_ROWS, (simt_dim){2, a->n_rows > 3 ? 3 : 1, 1},
                     (simt_dim){SPT_PTX_ROWS_THREADS, 1, 1}, 0, arguments, error))
            fail_msg("%s", error);
        product_check_and_fini(&data, support_pattern_at(i)->name, true);
        drop(offsets);
        drop(columns);
        drop(values);
        ptx_free(program);
        spt_schedule_fini(&schedule);
        spt_free(text);
        spt_matrix_fini(&matrix);
    }
}

/* Every shared layer, with its own values where it has some, in the way of its number. */
static void executed_text_equals_the_product_on_the_shared_layers(void **state) {
    char path[1024];
    spt_layer_list list = {0};
    const spt_input_options options = {.min_sparsity = 0.0, .seed = 3};
    glob_t files;
    int n_run = 0;
    (void)state;
    if (!support_data_path(path, sizeof path, "patterns"))
        skip();
    strncat(path, "/*.smtx", sizeof path - strlen(path) - 1);
    assert_int_equal(glob(path, 0, NULL, &files), 0);
    for (size_t i = 0; i < files.gl_pathc; i++)
        expect_ok(spt_layers_add(&list, files.gl_pathv[i], &options));
    globfree(&files);
    for (int64_t i = 0; i < list.count; i++) {
        spt_matrix matrix;
        baking way = ways[i % N_ITEMS(ways)];
        expect_ok(spt_layer_load(&matrix, &list.items[i], &options));
        way.n = way.n_baked = 9;
        way.rows = way.rows < 8 ? 16 : way.rows;
        if (spt_csr_nnz(&matrix.view) > 1 << 18) { /* shorter text */
            way.target.columns = 1;
            way.rows = 64;
        }
        check_way(list.items[i].name, &matrix.view, way, false);
        n_run++;
        spt_matrix_fini(&matrix);
    }
    spt_layer_list_fini(&list);
    print_message("%d layers\n", n_run);
    assert_true(n_run >= 61);
}

/* ---- convolutions ---- */

typedef struct layer3x3 {
    int64_t cout, cin, height, width;
    int stride;
} layer3x3;

static const layer3x3 layers3x3[] = {{4, 3, 5, 7, 1}, {6, 4, 8, 8, 2},   {5, 2, 7, 6, 2}, {3, 1, 1, 1, 1},
                                     {3, 1, 1, 1, 2}, {7, 5, 14, 14, 1}, {2, 2, 1, 9, 2}, {9, 3, 13, 2, 1}};

/* A third of the weights, small integers, columns ordered (kh, kw, cin). */
static void make_weights(spt_matrix *out, const layer3x3 *layer) {
    float *dense;
    spt_random random;
    spt_random_init(&random, 5);
    expect_ok(SPT_NEW_ZEROED(dense, layer->cout * 9 * layer->cin));
    for (int64_t i = 0; i < layer->cout * 9 * layer->cin; i++)
        dense[i] = spt_random_below(&random, 3) == 0 ? (float)spt_random_below(&random, 4) + 1.0f : 0.0f;
    expect_ok(spt_matrix_from_dense(out, dense, layer->cout, 9 * layer->cin));
    spt_free(dense);
}

/* The definition: a tap outside of the input counts as zero. */
static double convolve(const layer3x3 *layer, const spt_csr *a, const float *x, int64_t row, int64_t oy, int64_t ox) {
    const float *values = a->values;
    double sum = 0.0;
    for (int64_t nz = a->row_offsets[row]; nz < a->row_offsets[row + 1]; nz++) {
        const int64_t tap = a->columns[nz] / layer->cin, channel = a->columns[nz] % layer->cin;
        const int64_t y = oy * layer->stride + tap / 3 - 1, at = ox * layer->stride + tap % 3 - 1;
        if (y >= 0 && y < layer->height && at >= 0 && at < layer->width)
            sum += (double)values[nz] * (double)x[(channel * layer->height + y) * layer->width + at];
    }
    return sum;
}

/* NaN stands before and behind the input, and nothing else is memory: what padding reads or multiplies would show. */
static void check_convolution(const layer3x3 *layer, baking way) {
    enum { MARGIN = 64 };
    spt_matrix matrix;
    spt_schedule schedule;
    product data;
    char *text, error[SIMT_ERROR_MAX];
    size_t bytes;
    const int64_t plane = layer->height * layer->width;
    const int64_t out_height = spt_ptx_conv_out(layer->height, layer->stride);
    const int64_t out_width = spt_ptx_conv_out(layer->width, layer->stride);
    make_weights(&matrix, layer);
    way.n = out_height * out_width;
    way.n_baked = plane;
    way.target.conv = (spt_ptx_conv){layer->cin, layer->height, layer->width, layer->stride};
    emit(&text, &bytes, &schedule, &matrix.view, &way);
    ptx_program *program = ptx_parse(text, bytes, error);
    if (program == NULL)
        fail_msg("%s", error);
    data = (product){.a = &matrix.view, .n = way.n, .ldb = plane, .ldc = way.n + 3};
    float *memory = claim((size_t)(layer->cin * plane + 2 * MARGIN) * 4);
    for (int64_t i = 0; i < layer->cin * plane + 2 * MARGIN; i++)
        memory[i] = NAN;
    data.b = memory + MARGIN;
    support_fill_small(data.b, layer->cin * plane, 1);
    data.c = claim((size_t)(layer->cout * data.ldc) * 4);
    data.bias = claim((size_t)layer->cout * 4);
    support_fill_small(data.bias, layer->cout, 2);
    data.residual = claim((size_t)(layer->cout * data.ldc) * 4);
    support_fill_small(data.residual, layer->cout * data.ldc, 6);
    run_baked(program, &schedule, &way, &data);
    for (int64_t row = 0; row < layer->cout; row++) {
        for (int64_t at = 0; at < way.n; at++) {
            double wanted = convolve(layer, &matrix.view, data.b, row, at / out_width, at % out_width);
            wanted += way.target.has_bias ? (double)data.bias[row] : 0.0;
            wanted += way.target.has_residual ? (double)data.residual[row * data.ldc + at] : 0.0;
            wanted = way.target.has_relu && wanted < 0.0 ? 0.0 : wanted;
            if (!(fabs((double)data.c[row * data.ldc + at] - wanted) <= 0.0))
                fail_msg("%ldx%ldx%ld, stride %d: channel %ld, place %ld is %g, expected %g", (long)layer->cin,
                         (long)layer->height, (long)layer->width, layer->stride, (long)row, (long)at,
                         (double)data.c[row * data.ldc + at], wanted);
        }
    }
    drop(memory);
    drop(data.c);
    drop(data.bias);
    drop(data.residual);
    ptx_free(program);
    spt_schedule_fini(&schedule);
    spt_matrix_fini(&matrix);
    spt_free(text);
}

static void convolutions_pad_with_true_zeros(void **state) {
    (void)state;
    for (int i = 0; i < N_ITEMS(layers3x3); i++)
        for (int w = 0; w < N_ITEMS(ways); w++)
            check_convolution(&layers3x3[i], ways[w]);
}

static void every_way_assembles(void **state) {
    static const char *const archs[] = {"sm_80", "sm_90"};
    spt_matrix matrix, weights;
    (void)state;
    if (spt_jitlink_version()[0] == '\0') {
        print_message("SKIP: libnvJitLink was not found\n");
        skip();
    }
    support_pattern_build(&matrix, support_pattern_at(0));
    make_weights(&weights, &(layer3x3){16, 3, 14, 14, 1});
    for (int w = 0; w < N_ITEMS(ways); w++) {
        for (int arch = 0; arch < N_ITEMS(archs); arch++) {
            baking way = ways[w];
            spt_schedule schedule;
            spt_cuda_binary binary = {0};
            char *text;
            size_t bytes;
            if (w % 2 == arch) { /* half of them as convolutions */
                way.target.conv = (spt_ptx_conv){3, 14, 14, 1 + w % 3 / 2};
                way.n_baked = 14 * 14;
            }
            emit(&text, &bytes, &schedule, way.target.conv.channels > 0 ? &weights.view : &matrix.view, &way);
            spt_cuda_source source = {.language = SPT_CUDA_PTX, .text = text, .text_bytes = bytes};
            if (way.target.is_one_launch) /* as the families do */
                spt_ptx_baked_options(&source, way.rows, &way.target);
            expect_ok(spt_jitlink_compile(&binary, &source, archs[arch]));
            assert_true(binary.bytes > 1000 && binary.registers > 0);
            assert_int_equal(binary.spill_bytes, 0);
            spt_cuda_binary_fini(&binary);
            spt_schedule_fini(&schedule);
            spt_free(text);
        }
    }
    spt_matrix_fini(&matrix);
    spt_matrix_fini(&weights);
    spt_cuda_binary binary = {0};
    const spt_cuda_source bad = {.language = SPT_CUDA_PTX, .text = ".version 6.5\nnonsense", .text_bytes = 21};
    expect_error(SPT_ECOMPILE, "nvJitLink", spt_jitlink_compile(&binary, &bad, "sm_90"));
    expect_error(SPT_ECOMPILE, "sm_1", spt_jitlink_compile(&binary, &bad, "sm_1"));
}

static void offsets_that_do_not_fit_are_refused_and_failing_memory_leaks_nothing(void **state) {
    spt_matrix matrix;
    spt_schedule schedule;
    char *text;
    size_t bytes;
    spt_status status = SPT_ENOMEM;
    (void)state;
    support_pattern_build(&matrix, support_pattern_at(0));
    expect_ok(spt_schedule_init(&schedule, &matrix.view, &(spt_schedule_cut){.rows_per_block = 4}));
    spt_ptx_target target = ways[0].target;
    target.b_stride = INT32_MAX;
    expect_error(SPT_EUNSUPPORTED, "2 GiB", spt_ptx_emit(&text, &bytes, &schedule, matrix.values, &target));
    target.b_stride = 8;
    const long live = spt_memory_live();
    for (long n = 0; status != SPT_OK && n < 100; n++) {
        spt_memory_fail_after(n);
        status = spt_ptx_emit(&text, &bytes, &schedule, matrix.values, &target);
        spt_memory_fail_after(-1);
        assert_true(status == SPT_OK || (status == SPT_ENOMEM && spt_memory_live() == live));
    }
    expect_ok(status);
    spt_free(text);
    spt_schedule_fini(&schedule);
    spt_matrix_fini(&matrix);
}

/* ---- the interpreter itself ---- */

#define KERNEL(body)                                                                                                   \
    ".version 6.5\n.target sm_70\n.address_size 64\n.visible .entry spt_baked (.param .u64 p_b)\n{\n"                  \
    ".reg .b64 %x;\n.reg .b32 %t<3>;\n.reg .f32 %s<6>;\n.reg .pred %p;\nld.param.u64 %x, [p_b];\n"                     \
    "mov.u32 %t0, %tid.x;\n" body "}\n"

static void the_interpreter_refuses_what_a_gpu_would_not_define(void **state) {
    static const struct {
        const char *text, *sentence;
    } rows[] = {
        {KERNEL("ld.global.nc.f32 %s0, [%x+16];\nexit;\n"), "outside of memory"},
        {KERNEL("ld.global.nc.f32 %s0, [%x+-4];\nexit;\n"), "outside of memory"},
        {KERNEL("ld.global.nc.f32 %s0, [%x+2];\nexit;\n"), "not aligned"},
        {KERNEL("ld.global.nc.v4.f32 {%s0, %s1, %s2, %s3}, [%x+4];\nexit;\n"), "not aligned"},
        {KERNEL("add.f32 %s0, %s1, %s2;\nexit;\n"), "not written"},
        {KERNEL("@%p bra END;\nEND:\nexit;\n"), "not written"},
        {KERNEL("mov.u32 %t1, 40;\nst.shared.f32 [%t1+0], %t0;\nexit;\n"), "shared memory of 8 bytes"},
        {KERNEL("mov.u32 %t1, 4;\nld.shared.f32 %s0, [%t1+0];\nexit;\n"), "was not written"},
        {KERNEL("setp.eq.u32 %p, %t0, 0;\n@%p bra END;\nbar.sync 0;\nEND:\nexit;\n"), "wait at a barrier"},
        {KERNEL("mov.u32 %t1, 1;\n"), "without exit"},
    };
    static const struct {
        const char *text, *sentence;
    } broken[] = {
        {KERNEL("frobnicate.u32 %t0, %t1;\n"), "unknown instruction"},
        {KERNEL("mov.u32 %y, 1;\n"), "unknown register"},
        {KERNEL("bra NOWHERE;\nexit;\n"), "label NOWHERE is missing"},
        {KERNEL("mov.u32 %t0, 12x;\n"), "expected a number"},
        {KERNEL(".reg .b32 %t0;\n"), "declared twice"},
        {".version 6.5\n.section x", "unknown directive"},
    };
    char error[SIMT_ERROR_MAX];
    float *memory = claim(16);
    const uint64_t arguments[] = {(uintptr_t)memory};
    (void)state;
    for (int i = 0; i < N_ITEMS(rows); i++) {
        ptx_program *program = ptx_parse(rows[i].text, strlen(rows[i].text), error);
        if (program == NULL)
            fail_msg("%s", error);
        if (ptx_run(program, "spt_baked", (simt_dim){1, 1, 1}, (simt_dim){2, 1, 1}, 8, arguments, error))
            fail_msg("row %d: expected '%s', found none", i, rows[i].sentence);
        if (strstr(error, rows[i].sentence) == NULL)
            fail_msg("row %d: expected '%s', found '%s'", i, rows[i].sentence, error);
        ptx_free(program);
    }
    for (int i = 0; i < N_ITEMS(broken); i++) {
        assert_null(ptx_parse(broken[i].text, strlen(broken[i].text), error));
        if (strstr(error, broken[i].sentence) == NULL)
            fail_msg("text %d: expected '%s', found '%s'", i, broken[i].sentence, error);
    }
    drop(memory);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(executed_text_equals_the_product_on_awkward_patterns),
        cmocka_unit_test(the_kernel_for_other_strides_equals_the_product),
        cmocka_unit_test(executed_text_equals_the_product_on_the_shared_layers),
        cmocka_unit_test(convolutions_pad_with_true_zeros),
        cmocka_unit_test(every_way_assembles),
        cmocka_unit_test(offsets_that_do_not_fit_are_refused_and_failing_memory_leaks_nothing),
        cmocka_unit_test(the_interpreter_refuses_what_a_gpu_would_not_define),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

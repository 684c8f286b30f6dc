/* SPDX-License-Identifier: Apache-2.0 */
/* Batches: families that take several items at once get them at once, and pattern-baked kernels do all items of a batch
 * in one launch, with the same bits as one launch per item. */
#include <stdio.h>
#include <stdlib.h>

#include "core/conv.h"
#include "core/memory.h"
#include "tests/simt/engine.h"
#include "tests/support.h"
#include "tests/unit.h"

enum { ITEMS = 5 };

/* ---- the driver deals items to families ---- */

enum { CALLS_MAX = 16 };
static spt_call seen[CALLS_MAX];
static int n_seen;

static bool any_is_valid(const spt_workload *workload, const spt_device *device, const spt_point *point) {
    (void)workload, (void)device, (void)point;
    return true;
}

static void any_default(const spt_workload *workload, const spt_device *device, spt_point *out) {
    (void)workload, (void)device;
    *out = (spt_point){0};
}

static spt_status prepare_nothing(spt_prepared *prepared, const spt_csr *a) {
    (void)prepared, (void)a;
    return SPT_OK;
}

static spt_status note_call(const spt_prepared *prepared, const spt_call *call, int part, int n_parts) {
    (void)prepared, (void)part, (void)n_parts;
    assert_true(n_seen < CALLS_MAX);
    seen[n_seen++] = *call;
    return SPT_OK;
}

static void release_nothing(spt_prepared *prepared) {
    (void)prepared;
}

/* Items of a batch of seven, by three, and one by one; a B of step 0 stays where it is. */
static void items_come_in_calls_of_at_most_batch_max(void **state) {
    static const int64_t limits[] = {0, 1, 3, 7, 100};
    static float b[64], c[7 * 64], r[7 * 64];
    spt_matrix matrix;
    spt_device device;
    spt_workload workload;
    const spt_problem problem = {
        .size = sizeof problem, .op = SPT_SPMM, .epilogue = SPT_BIAS_ADD_RELU, .n = 1, .threads = 1};
    (void)state;
    support_pattern_build(&matrix, support_pattern_at(8)); /* 45 x 45 */
    expect_ok(spt_device_detect(&device));
    expect_ok(spt_workload_init(&workload, &problem, &matrix.view));
    for (int i = 0; i < N_ITEMS(limits); i++) {
        const spt_family family = {.name = "noting",
                                   .op = SPT_SPMM,
                                   .dtypes = SPT_DTYPE_BIT(SPT_F32),
                                   .takes_residual = true,
                                   .batch_max = limits[i],
                                   .is_valid = any_is_valid,
                                   .default_point = any_default,
                                   .prepare = prepare_nothing,
                                   .run_part = note_call,
                                   .release = release_nothing};
        spt_prepared prepared;
        const spt_args args = {
            .size = sizeof args, .batch = 7, .b = {b, 0, 0}, .c = {c, 0, 64}, .residual = {r, 0, 64}, .bias = b};
        const int64_t most = limits[i] > 1 ? limits[i] : 1;
        int64_t item = 0;
        n_seen = 0;
        expect_ok(spt_prepared_init(&prepared, &family, &(spt_point){0}, &workload, &device, &matrix.view));
        expect_ok(spt_prepared_run(&prepared, &args));
        for (int call = 0; call < n_seen; call++) {
            assert_true(seen[call].batch >= 1 && seen[call].batch <= most);
            assert_true(seen[call].b == b && seen[call].c == c + 64 * item && seen[call].residual == r + 64 * item);
            assert_true(seen[call].step_b == 0 && seen[call].step_c == 256 && seen[call].step_residual == 256);
            item += seen[call].batch;
        }
        assert_int_equal(item, 7);
        assert_int_equal(n_seen, (7 + most - 1) / most);
        spt_prepared_fini(&prepared);
    }
    spt_matrix_fini(&matrix);
}

/* ---- one launch for all items ---- */

typedef struct batch {
    spt_workload workload;
    spt_device device;
    spt_matrix matrix;
    int64_t b_rows, b_cols, ldb, m, ldc;
    float *b, *c, *wanted, *bias, *residual;
    spt_call call;
    simt_range ranges[4];
} batch;

static float *new_floats(int64_t count, uint64_t seed) {
    float *out;
    expect_ok(SPT_NEW(out, count));
    support_fill_small(out, count, seed);
    return out;
}

/* `gap` elements between rows of B, as of a call that the text was not made for. */
static void batch_init(batch *self, spt_op op, int pattern, int64_t gap) {
    spt_problem problem = {.size = sizeof problem,
                           .op = op,
                           .layout = SPT_KN,
                           .epilogue = SPT_BIAS_ADD_RELU,
                           .n = 36,
                           .threads = 1,
                           .device = "cuda:0"};
    *self = (batch){0};
    support_pattern_build(&self->matrix, support_pattern_at(pattern));
    support_fit_conv(&problem, &self->matrix, 0);
    expect_ok(spt_device_pretend(&self->device, "sm_90"));
    expect_ok(spt_workload_init(&self->workload, &problem, &self->matrix.view));
    const bool is_conv = op == SPT_CONV2D;
    self->m = self->matrix.view.n_rows;
    self->b_rows = is_conv ? spt_conv_of(&problem, self->matrix.view.n_cols).channels : self->matrix.view.n_cols;
    self->b_cols = is_conv ? problem.height * problem.width : problem.n;
    self->ldb = self->b_cols + gap;
    self->ldc = problem.n + 3;
    self->b = new_floats(ITEMS * self->b_rows * self->ldb, 1);
    self->c = new_floats(ITEMS * self->m * self->ldc, 2);
    self->wanted = new_floats(ITEMS * self->m * self->ldc, 2);
    self->residual = new_floats(ITEMS * self->m * self->ldc, 3);
    self->bias = new_floats(self->m, 4);
    self->call = (spt_call){.n = problem.n,
                            .b = self->b,
                            .ldb = self->ldb,
                            .c = self->c,
                            .ldc = self->ldc,
                            .bias = self->bias,
                            .residual = self->residual,
                            .ldr = self->ldc,
                            .batch = ITEMS,
                            .step_b = 4 * self->b_rows * self->ldb,
                            .step_c = 4 * self->m * self->ldc,
                            .step_residual = 4 * self->m * self->ldc};
    self->ranges[0] = (simt_range){self->b, (size_t)(ITEMS * self->b_rows * self->ldb) * 4};
    self->ranges[1] = (simt_range){NULL, (size_t)(ITEMS * self->m * self->ldc) * 4}; /* C or what is wanted */
    self->ranges[2] = (simt_range){self->residual, (size_t)(ITEMS * self->m * self->ldc) * 4};
    self->ranges[3] = (simt_range){self->bias, (size_t)self->m * 4};
}

static void batch_fini(batch *self) {
    spt_matrix_fini(&self->matrix);
    spt_free(self->b);
    spt_free(self->c);
    spt_free(self->wanted);
    spt_free(self->residual);
    spt_free(self->bias);
}

static void run(batch *self, const simt_variant *variant, spt_call call) {
    char error[SIMT_ERROR_MAX];
    if (!simt_variant_run(variant, &call, self->ranges, 4, SIMT_FORWARD, error))
        fail_msg("%s", error);
}

static void check_batch(const char *name, const char *text, int pattern, int64_t gap, bool is_shared_b) {
    const spt_family *family = spt_family_find(name);
    batch self;
    spt_point point;
    simt_variant variant;
    char error[SIMT_ERROR_MAX];
    batch_init(&self, family->op, pattern, gap);
    if (is_shared_b)
        self.call.step_b = self.call.step_residual = 0;
    expect_ok(spt_point_parse(&point, family->axes, family->n_axes, text));
    assert_true(family->is_valid(&self.workload, &self.device, &point));
    if (!simt_variant_init(&variant, family, &self.workload, &self.device, &point, &self.matrix.view, error))
        fail_msg("%s", error);
    spt_call one = self.call;
    one.batch = 1;
    one.c = self.wanted;
    self.ranges[1].base = self.wanted;
    for (int item = 0; item < ITEMS; item++) {
        run(&self, &variant, one);
        spt_call_advance(&one, 1);
    }
    self.ranges[1].base = self.c;
    run(&self, &variant, self.call);
    assert_memory_equal(self.c, self.wanted, self.ranges[1].bytes);
    assert_true(is_shared_b || memcmp(self.c, self.c + self.m * self.ldc, (size_t)(self.m * self.ldc) * 4) != 0);
    spt_prepared prepared = variant.prepared;
    prepared.state = &variant.packed;
    const bool is_one = strstr(text, "launch=one") != NULL || gap > 0;
    const int n_launches = family->cuda->n_launches(&prepared, &self.call);
    assert_true(is_one ? n_launches == 1 : n_launches > 1 && n_launches < ITEMS * 20);
    for (int i = 0; i < n_launches; i++) {
        spt_cuda_launch launch = {0};
        expect_ok(family->cuda->launch(&launch, &prepared, &self.call, i));
        assert_int_equal(launch.grid[2], ITEMS);
    }
    simt_variant_fini(&variant);
    batch_fini(&self);
}

static void one_launch_does_all_items_with_the_same_bits(void **state) {
    static const char *const points[] = {
        "rows=8,columns=1,threads=32,groups=1,tiles=1,ahead=4,order=natural,balance=rows,values=immediate,region=none,"
        "launch=one",
        "rows=16,columns=1,threads=32,groups=2,tiles=2,ahead=0,order=sorted,balance=nnz,values=loaded,region=32,"
        "launch=one",
        "rows=8,columns=1,threads=32,groups=1,tiles=1,ahead=4,order=natural,balance=rows,values=immediate,region=none,"
        "launch=each",
    };
    static const int patterns[] = {9, 4}; /* band of 40 x 64; rows that are empty */
    (void)state;
    for (int i = 0; i < N_ITEMS(points); i++) {
        for (int shared = 0; shared < 2; shared++) {
            for (int gap = 0; gap < 8; gap += 7)
                check_batch("spmm_ptx_baked", points[i], patterns[i % 2], gap, shared != 0);
            check_batch("conv3x3_ptx_baked", points[i], 14, 0, shared != 0); /* 48 x 96: fitted to 9 taps */
            check_batch("conv3x3_ptx_baked", points[i], 14, 5, shared != 0);
        }
    }
    assert_int_equal(spt_memory_live(), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(items_come_in_calls_of_at_most_batch_max),
        cmocka_unit_test(one_launch_does_all_items_with_the_same_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Baked kernels: the schedule against the double reference by interpretation, the encodings byte by byte, code pages
 * that are never writable and executable at once, and a system that denies them. */
#include <glob.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/memory.h"
#include "tests/support.h"
#include "tuner/input/input.h"
#include "tuner/input/loaders.h"
#include "variants/codegen/cluster.h"
#include "variants/codegen/code_pages.h"
#include "variants/codegen/schedule.h"
#include "variants/codegen/x86.h"
#include "variants/family.h"

/* Execute a schedule as its definition says: C = A * B with one column of B. */
static void interpret(double *c, const spt_schedule *schedule, const float *values, const double *b) {
    for (int64_t task = 0; task < schedule->n_slices * schedule->n_blocks; task++) {
        const int64_t block = task % schedule->n_blocks;
        const int64_t first_column = task / schedule->n_blocks * schedule->cols_per_slice;
        for (int64_t load = schedule->task_start[task]; load < schedule->task_start[task + 1]; load++) {
            const double loaded = b[first_column + schedule->load_column[load]];
            for (int64_t fma = schedule->load_start[load]; fma < schedule->load_start[load + 1]; fma++)
                c[spt_schedule_row(schedule, block, schedule->fma_row[fma])] +=
                    values[schedule->fma_source[fma]] * loaded;
        }
    }
}

/* B and the awkward patterns' values are small integers, whose sums are exact; others may differ by their order. */
static void check_schedule(const char *name, const spt_csr *a, const spt_schedule_cut *cut, bool is_exact) {
    const float *values = a->values;
    spt_schedule schedule;
    double *b, *c, *expected;
    assert_int_equal(spt_schedule_init(&schedule, a, cut), SPT_OK);
    assert_int_equal(schedule.n_fmas, spt_csr_nnz(a));
    assert_int_equal(SPT_NEW_ZEROED(b, a->n_cols), SPT_OK);
    assert_int_equal(SPT_NEW_ZEROED(c, a->n_rows), SPT_OK);
    assert_int_equal(SPT_NEW_ZEROED(expected, a->n_rows), SPT_OK);
    for (int64_t i = 0; i < a->n_cols; i++)
        b[i] = (double)(i % 7 - 3);
    for (int64_t row = 0; row < a->n_rows; row++) {
        for (int64_t nz = a->row_offsets[row]; nz < a->row_offsets[row + 1]; nz++)
            expected[row] += (double)values[nz] * b[a->columns[nz]];
    }
    interpret(c, &schedule, values, b);
    for (int64_t row = 0; row < a->n_rows; row++)
        if (!(fabs(c[row] - expected[row]) <= (is_exact ? 0.0 : 1e-12 * (1.0 + fabs(expected[row])))))
            fail_msg("%s, %d rows, %ld columns: row %ld is %g, expected %g", name, cut->rows_per_block,
                     (long)cut->cols_per_slice, (long)row, c[row], expected[row]);
    spt_free(b);
    spt_free(c);
    spt_free(expected);
    spt_schedule_fini(&schedule);
}

static void an_interpreted_schedule_equals_the_product(void **unused) {
    (void)unused;
    static const int rows[] = {1, 4, 31};
    static const int64_t cols[] = {0, 1, 5, 64};
    for (int i = 0; i < support_pattern_count(); i++) {
        spt_matrix matrix;
        support_pattern_build(&matrix, support_pattern_at(i));
        for (int r = 0; r < 3; r++) {
            for (int c = 0; c < 4; c++) {
                for (int way = 0; way < 6; way++) {
                    const spt_schedule_cut cut = {rows[r], cols[c], (spt_schedule_order)(way % 3), way / 3 > 0};
                    check_schedule(support_pattern_at(i)->name, &matrix.view, &cut, true);
                }
            }
        }
        spt_matrix_fini(&matrix);
    }
}

/* The layers of pruned networks, with their own values where they have some, in two ways each. */
static void an_interpreted_schedule_equals_the_product_on_the_shared_layers(void **unused) {
    static const spt_schedule_cut cuts[] = {
        {32, 0, SPT_SCHEDULE_NATURAL, false},   {8, 64, SPT_SCHEDULE_SORTED, true},
        {24, 0, SPT_SCHEDULE_SORTED, false},    {31, 256, SPT_SCHEDULE_CLUSTERED, true},
        {31, 0, SPT_SCHEDULE_CLUSTERED, false}, {64, 17, SPT_SCHEDULE_NATURAL, true}};
    enum { N_CUTS = sizeof cuts / sizeof cuts[0] };
    const spt_input_options options = {.min_sparsity = 0.0, .seed = 3};
    spt_layer_list list = {0};
    char path[1024];
    glob_t files;
    (void)unused;
    if (!support_data_path(path, sizeof path, "patterns"))
        skip();
    strncat(path, "/*.smtx", sizeof path - strlen(path) - 1);
    assert_int_equal(glob(path, 0, NULL, &files), 0);
    for (size_t i = 0; i < files.gl_pathc; i++)
        assert_int_equal(spt_layers_add(&list, files.gl_pathv[i], &options), SPT_OK);
    globfree(&files);
    for (int64_t i = 0; i < list.count; i++) {
        spt_matrix matrix;
        assert_int_equal(spt_layer_load(&matrix, &list.items[i], &options), SPT_OK);
        check_schedule(list.items[i].name, &matrix.view, &cuts[i % N_CUTS], false);
        check_schedule(list.items[i].name, &matrix.view, &cuts[(i + 2) % N_CUTS], false);
        spt_matrix_fini(&matrix);
    }
    print_message("%ld layers\n", (long)list.count);
    assert_true(list.count >= 61);
    spt_layer_list_fini(&list);
}

/* Loads of a schedule: rows of B that its blocks bring in. */
static int64_t count_loads(const spt_csr *a, spt_schedule_order order) {
    const spt_schedule_cut cut = {.rows_per_block = 31, .row_order = order};
    spt_schedule schedule;
    assert_int_equal(spt_schedule_init(&schedule, a, &cut), SPT_OK);
    const int64_t n_loads = schedule.n_loads;
    spt_schedule_fini(&schedule);
    return n_loads;
}

/* Rows of two kinds that take turns end up in blocks of one kind each; rows without structure still save some loads. */
static void clustered_rows_use_fewer_columns(void **unused) {
    enum { ROWS = 248, COLS = 512, LENGTH = 64 };
    static int64_t offsets[ROWS + 1];
    static int32_t columns[ROWS * LENGTH];
    spt_matrix matrix;
    (void)unused;
    for (int row = 0; row < ROWS; row++) {
        offsets[row + 1] = (row + 1) * LENGTH;
        for (int i = 0; i < LENGTH; i++)
            columns[row * LENGTH + i] = i + row % 8 * LENGTH;
    }
    const spt_csr striped = {.n_rows = ROWS, .n_cols = COLS, .row_offsets = offsets, .columns = columns};
    assert_int_equal(count_loads(&striped, SPT_SCHEDULE_NATURAL), ROWS / 31 * COLS);
    assert_int_equal(count_loads(&striped, SPT_SCHEDULE_CLUSTERED), ROWS / 31 * LENGTH);
    assert_int_equal(spt_generate(&matrix, "uniform:4096x512@0.98", 1), SPT_OK);
    assert_true(10 * count_loads(&matrix.view, SPT_SCHEDULE_CLUSTERED) <
                8 * count_loads(&matrix.view, SPT_SCHEDULE_NATURAL));
    spt_matrix_fini(&matrix);
}

static void clustering_takes_every_row_once(void **unused) {
    static const char *const specs[] = {"uniform:5000x300@0.98", "uniform:3000x64@0.5", "uniform:2049x7@0.99"};
    static const int rows_per_block[] = {1, 31, 500, 2048};
    static int32_t order[5000];
    (void)unused;
    for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
        spt_matrix matrix;
        assert_int_equal(spt_generate(&matrix, specs[i], 1), SPT_OK);
        for (size_t j = 0; j < sizeof rows_per_block / sizeof *rows_per_block; j++) {
            bool is_there[5000] = {false};
            assert_int_equal(spt_rows_cluster(order, &matrix.view, rows_per_block[j]), SPT_OK);
            for (int64_t place = 0; place < matrix.view.n_rows; place++) {
                assert_in_range(order[place], 0, matrix.view.n_rows - 1);
                assert_false(is_there[order[place]]);
                is_there[order[place]] = true;
            }
        }
        spt_matrix_fini(&matrix);
    }
}

/* Expected bytes are those of the GNU assembler, but for prefetches, which always take the long form. */
static void instructions_have_the_bytes_of_an_assembler(void **unused) {
    (void)unused;
    uint8_t code[256] = {0};
    static const uint8_t expected[] = {
        0x62, 0xf2, 0x05, 0x50, 0xb8, 0x42, 0x01,          /* vfmadd231ps zmm0, zmm31, [rdx+4]{1to16} */
        0x62, 0x61, 0x7c, 0x48, 0x10, 0x7f, 0xff,          /* vmovups zmm31, [rdi-64] */
        0x62, 0xf1, 0x7c, 0x48, 0x11, 0xae, 0x04, 0, 0, 0, /* vmovups [rsi+4], zmm5 */
        0x62, 0x02, 0x15, 0x40, 0xb8, 0xf7,                /* vfmadd231ps zmm30, zmm29, zmm31 */
        0xc4, 0xe2, 0x7d, 0x18, 0x4a, 0x08,                /* vbroadcastss ymm1, [rdx+8] */
        0xc4, 0x42, 0x05, 0xb8, 0xc6,                      /* vfmadd231ps ymm8, ymm15, ymm14 */
        0x48, 0x81, 0xc7, 0x00, 0x20, 0,    0,             /* add rdi, 8192 */
        0x48, 0x01, 0xce, 0x48, 0x89, 0xf0,                /* add rsi, rcx; mov rax, rsi */
        0x48, 0x0f, 0xaf, 0xc1,                            /* imul rax, rcx */
        0x49, 0x63, 0x42, 0x7c,                            /* movsxd rax, dword ptr [r10+124] */
        0x4c, 0x8b, 0x54, 0x24, 0x08,                      /* mov r10, [rsp+8] */
        0x41, 0x0f, 0x18, 0x91, 0x40, 0,    0,    0,       /* prefetcht1 [r9+64] */
        0x40, 0x0f, 0x18, 0x87, 0x40, 0,    0,    0,       /* prefetchnta [rdi+64] */
        0x48, 0x81, 0xf9, 0x00, 0x04, 0,    0,             /* cmp rcx, 1024 */
        0x0f, 0x85, 0x09, 0,    0,    0,                   /* jne behind what follows */
        0xc5, 0xf8, 0x77, 0xc3,                            /* vzeroupper; ret */
        0xe9, 0xf7, 0xff, 0xff, 0xff,                      /* jmp to it */
    };
    x86_writer writer = {code, true};
    spt_x86_access(&writer, x86_fma, 0, 31, (x86_memory){X86_RDX, 4, 2, true});
    spt_x86_access(&writer, x86_load, 31, 0, (x86_memory){X86_RDI, -64, 6, false});
    spt_x86_access(&writer, x86_store, 5, 0, (x86_memory){X86_RSI, 4, 6, false});
    spt_x86_registers(&writer, x86_fma, 30, 29, 31);
    writer.has_evex = false;
    spt_x86_access(&writer, x86_broadcast, 1, 0, (x86_memory){X86_RDX, 8, 2, false});
    spt_x86_registers(&writer, x86_fma, 8, 15, 14);
    spt_x86_add_immediate(&writer, X86_RDI, 8192);
    spt_x86_add_register(&writer, X86_RSI, X86_RCX);
    spt_x86_copy_register(&writer, X86_RAX, X86_RSI);
    spt_x86_multiply_register(&writer, X86_RAX, X86_RCX);
    spt_x86_load_index(&writer, X86_RAX, X86_R10, 124);
    spt_x86_load_stack(&writer, X86_R10, 8);
    spt_x86_prefetch_l2(&writer, X86_R9, 64);
    spt_x86_prefetch_once(&writer, X86_RDI, 64);
    spt_x86_compare_immediate(&writer, X86_RCX, 1024);
    uint8_t *const forwards = spt_x86_jump_if_unequal(&writer);
    spt_x86_return(&writer);
    spt_x86_land(spt_x86_jump(&writer), forwards);
    spt_x86_land(forwards, writer.next);
    assert_int_equal(writer.next - code, sizeof expected);
    assert_memory_equal(code, expected, sizeof expected);
}

/* Lines of /proc/self/maps that are writable and executable. */
static int count_writable_code(void) {
    char line[512];
    int count = 0;
    FILE *maps = fopen("/proc/self/maps", "r");
    assert_non_null(maps);
    while (fgets(line, sizeof line, maps) != NULL)
        count += strstr(line, " rwx") != NULL;
    fclose(maps);
    return count;
}

/* An access to [register + offset] written at once and one encoded before, for every vector register. */
static void check_encoded(bool has_evex, int base, int unit_bits, int64_t offset) {
    uint8_t once[2 * X86_INSTRUCTION_MAX] = {0}, twice[2 * X86_INSTRUCTION_MAX] = {0};
    const x86_memory memory = {base, (int32_t)offset, unit_bits, unit_bits == 2};
    for (int reg = 0; reg < (has_evex ? 32 : 16); reg++) {
        x86_writer direct = {once, has_evex}, encoded = {twice, has_evex};
        spt_x86_access(&direct, x86_fma, reg, 15, memory);
        spt_x86_registers(&direct, x86_fma, reg, 14, 15);
        x86_put_access(&encoded, spt_x86_encode_access(&encoded, x86_fma, reg, 15, memory), offset, unit_bits);
        x86_put(&encoded, spt_x86_encode_registers(&encoded, x86_fma, reg, 14, 15));
        assert_int_equal(encoded.next - twice, direct.next - once);
        assert_memory_equal(twice, once, (size_t)(direct.next - once));
    }
}

static void encoded_instructions_are_those_written_at_once(void **unused) {
    static const int64_t offsets[] = {0, 4, -4, 64, 127, 128, -128, -132, 508, 512, -512, 8128, 8192, 1 << 20};
    (void)unused;
    for (size_t i = 0; i < sizeof offsets / sizeof *offsets; i++) {
        for (int has_evex = 0; has_evex <= 1; has_evex++) {
            check_encoded(has_evex, X86_RDX, 2, offsets[i]);
            check_encoded(has_evex, X86_R9, has_evex ? 6 : 5, offsets[i]);
        }
    }
}

static void code_pages_are_never_writable_and_executable(void **unused) {
    (void)unused;
    spt_code_pages pages;
    if (spt_code_pages_available() != SPT_OK) {
        print_message("SKIP: %s\n", spt_last_error());
        skip();
    }
    const int before = count_writable_code();
    assert_int_equal(spt_code_pages_new(&pages, 3 * 65536), SPT_OK);
    assert_int_equal(count_writable_code(), before);
    assert_int_equal(spt_code_pages_seal(&pages, 100), SPT_OK);
    assert_int_equal(count_writable_code(), before);
    assert_true(pages.size_bytes < 65536 + 1);
    spt_code_pages_free(&pages);
    spt_code_pages_free(&pages);
}

/* Large code lies at a multiple of 2 MiB, where huge pages can hold it, and what a last huge page would hardly hold is
 * given back. */
static void large_code_is_laid_out_for_huge_pages(void **unused) {
    (void)unused;
    const size_t huge = 2 << 20;
    const struct {
        size_t asked, used, kept;
    } cases[] = {{300 << 10, 280 << 10, huge}, {3 * huge, 2 * huge + 5000, 2 * huge + 8192}, {huge, 4096, 4096}};
    spt_code_pages pages;
    if (spt_code_pages_available() != SPT_OK) {
        print_message("SKIP: %s\n", spt_last_error());
        skip();
    }
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(spt_code_pages_new(&pages, cases[i].asked), SPT_OK);
        assert_int_equal((uintptr_t)pages.data % huge, 0);
        memset(pages.data, 0xc3, cases[i].asked);
        assert_int_equal(spt_code_pages_seal(&pages, cases[i].used), SPT_OK);
        if (sysconf(_SC_PAGESIZE) == 4096)
            assert_int_equal(pages.size_bytes, cases[i].kept);
        assert_int_equal(pages.data[cases[i].used - 1], 0xc3);
        spt_code_pages_free(&pages);
    }
}

static void denied_code_pages_leave_the_other_families(void **unused) {
    (void)unused;
    spt_matrix matrix;
    spt_workload workload;
    spt_device device;
    const spt_family *family = spt_family_find("spmm_jit_x86"), *chosen;
    spt_point point = {0};
    support_pattern_build(&matrix, support_pattern_at(0));
    const spt_problem problem = {.size = sizeof problem, .n = 33, .threads = 1, .device = "cpu"};
    assert_non_null(family);
    assert_int_equal(spt_workload_init(&workload, &problem, &matrix.view), SPT_OK);
    assert_int_equal(spt_device_detect(&device), SPT_OK);
    spt_code_pages_deny(true);
    assert_int_equal(spt_family_check(family, &workload, &device), SPT_EUNSUPPORTED);
    assert_int_equal(spt_default_variant(&chosen, &point, &workload, &device), SPT_OK);
    assert_ptr_not_equal(chosen, family);
    spt_code_pages_deny(false);
    spt_matrix_fini(&matrix);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_interpreted_schedule_equals_the_product),
        cmocka_unit_test(clustered_rows_use_fewer_columns),
        cmocka_unit_test(clustering_takes_every_row_once),
        cmocka_unit_test(an_interpreted_schedule_equals_the_product_on_the_shared_layers),
        cmocka_unit_test(instructions_have_the_bytes_of_an_assembler),
        cmocka_unit_test(encoded_instructions_are_those_written_at_once),
        cmocka_unit_test(code_pages_are_never_writable_and_executable),
        cmocka_unit_test(large_code_is_laid_out_for_huge_pages),
        cmocka_unit_test(denied_code_pages_leave_the_other_families),
    };
    return cmocka_run_group_tests_name("codegen", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The SIMT emulator itself: right kernels give right results in every order of threads, every planted bug of
 * tests/simt/planted.cu is found with its sentence, and matrix instructions follow the layouts of the PTX manual. */
#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/element.h"
#include "core/random.h"
#include "tests/simt/object.h"
#include "tests/support.h"
#include "tests/unit.h"
#include "variants/cuda/primitives_text.h"

enum { N_DATA = 256, DYNAMIC_BYTES = 128 };

static simt_object planted;
static char folder[256];

/* Operands of a kernel, each a known range of its own with unknown memory on both sides. */
typedef struct operands {
    char before[64];
    float in[N_DATA];
    char between[64];
    float out[2 * N_DATA];
    char after[64];
} operands;

static operands data;

static char *read_text(const char *path, size_t *n_bytes) {
    size_t n_primitives;
    const char *primitives = spt_cuda_primitives(&n_primitives);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    char *text = calloc(1, 1 << 20);
    assert_non_null(text);
    memcpy(text, primitives, n_primitives);
    strcpy(text + n_primitives, "#line 1\n");
    n_primitives += strlen("#line 1\n");
    *n_bytes = n_primitives + fread(text + n_primitives, 1, (1 << 19), file);
    fclose(file);
    return text;
}

static int compile_planted(void **state) {
    (void)state;
    char path[300], log[4000] = "";
    size_t n_bytes;
    char *text = read_text("tests/simt/planted.cu", &n_bytes);
    support_folder_make(folder, sizeof folder);
    snprintf(path, sizeof path, "%s/planted.so", folder);
    if (!simt_object_compile(path, text, n_bytes, (const char *const[]){"-DSPT_DTYPE=0"}, 1, log, sizeof log))
        fail_msg("%s", log);
    simt_object_open(&planted, path, text, n_bytes);
    free(text);
    return 0;
}

static int remove_planted(void **state) {
    (void)state;
    simt_object_close(&planted);
    support_folder_remove(folder);
    return 0;
}

/* Run a kernel of planted.cu on up to four pointers or numbers. */
static bool run(const char *name, unsigned grid, unsigned block, simt_order order, const uint64_t v[4],
                char error[SIMT_ERROR_MAX]) {
    uint64_t values[SIMT_PARAMS_MAX] = {v[0], v[1], v[2], v[3]};
    simt_launch launch = {.name = name,
                          .calls = planted.calls,
                          .values = values,
                          .grid = {grid, 1, 1},
                          .block = {block, 1, 1},
                          .shared_bytes = DYNAMIC_BYTES,
                          .order = order,
                          .seed = 5};
    void *symbol = dlsym(planted.handle, name);
    assert_non_null(symbol);
    memcpy(&launch.kernel, &symbol, sizeof symbol);
    return simt_run(&launch, error);
}

static bool run_on_data(const char *name, unsigned grid, unsigned block, simt_order order, uint64_t third,
                        char error[SIMT_ERROR_MAX]) {
    for (int i = 0; i < N_DATA; i++)
        data.in[i] = (float)i;
    memset(data.out, 0, sizeof data.out);
    simt_memory_add(data.in, sizeof data.in);
    simt_memory_add(data.out, sizeof data.out);
    const bool is_ok =
        run(name, grid, block, order,
            (const uint64_t[4]){(uint64_t)(uintptr_t)data.in, (uint64_t)(uintptr_t)data.out, third}, error);
    simt_memory_remove(data.in);
    simt_memory_remove(data.out);
    return is_ok;
}

static float reversed_at(int i) {
    return (float)(i / 128 * 128 + 127 - i % 128);
}
static float summed_at(int i) {
    (void)i;
    return 31.0f * 16.0f;
}
static float scanned_at(int i) {
    const int first = i / 16 * 16;
    return (float)((first + i) * (i - first + 1)) / 2.0f;
}
static float voted_at(int i) {
    return 16.0f + 100.0f + 4960000.0f + (float)(31 - i);
}
static float swapped_at(int i) {
    return (float)(i ^ 1);
}
static float copied_at(int i) {
    const int from = i / 128 * 128 + 127 - i % 128;
    return from == 126 || from == 127 ? 0.0f : (float)from;
}
static float counted_at(int i) {
    return i == 0 ? 992.0f : 1024.0f;
}

static void right_kernels_give_right_results_in_every_order(void **state) {
    (void)state;
    const struct {
        const char *name;
        unsigned grid, block;
        int n_results;
        float (*expected)(int i);
    } cases[] = {
        {"reverse_block", 2, 128, 256, reversed_at},  {"sum_warp", 1, 32, 32, summed_at},
        {"scan_halves", 1, 32, 32, scanned_at},       {"votes", 1, 32, 32, voted_at},
        {"order_by_syncwarp", 1, 64, 64, swapped_at}, {"copy_async", 1, 32, 256, copied_at},
        {"count_atomically", 1, 64, 2, counted_at},
    };
    for (int i = 0; i < N_ITEMS(cases); i++) {
        for (int order = 0; order < SIMT_N_ORDERS; order++) {
            char error[SIMT_ERROR_MAX] = "";
            if (!run_on_data(cases[i].name, cases[i].grid, cases[i].block, (simt_order)order, 128, error))
                fail_msg("%s", error);
            for (int j = 0; j < cases[i].n_results; j++) {
                if (data.out[j] != cases[i].expected(j))
                    fail_msg("%s, order %d: result %d is %g, expected %g", cases[i].name, order, j, (double)data.out[j],
                             (double)cases[i].expected(j));
            }
        }
    }
}

static void every_planted_bug_is_found_in_every_order(void **state) {
    (void)state;
    const struct {
        const char *name;
        unsigned grid, block;
        const char *sentence, *other; /* which of the two comes first depends on the order */
    } cases[] = {
        {"missing_barrier", 1, 128, "race: ", "nobody has written"},
        {"missing_second_barrier", 1, 64, "race: ", NULL},
        {"syncwarp_is_no_barrier", 1, 64, "without a barrier between", "nobody has written"},
        {"shuffle_is_no_barrier", 1, 32, "race: ", "nobody has written"},
        {"two_writers", 1, 64, "race: overwrites shared memory", NULL},
        {"two_blocks_write", 2, 64, "of another block", NULL},
        {"global_race", 1, 32, "race: ", "race: "},
        {"divergent_barrier", 1, 64, "waits at __syncthreads", NULL},
        {"two_barriers", 1, 64, "divergent barrier", NULL},
        {"divergent_shuffle", 1, 32, "that has returned", "divergent"},
        {"other_masks", 1, 32, "divergent", NULL},
        {"mask_without_itself", 1, 32, "does not name the lane itself", NULL},
        {"reads_beyond_the_mask", 1, 32, "does not name", NULL},
        {"absent_lanes", 1, 40, "names the absent lane", NULL},
        {"returned_lanes", 1, 32, "returned", NULL},
        {"shared_overrun", 1, 32, "shared array tile of 128 bytes", NULL},
        {"dynamic_overrun", 1, 32, "shared array (dynamic) of 128 bytes", NULL},
        {"global_overrun", 1, 32, "at offset 1024 of an allocation of 1024 bytes", NULL},
        {"write_overrun", 1, 32, "of global memory", NULL},
        {"misaligned", 1, 32, "not aligned to 16", NULL},
        {"uninitialised", 1, 32, "nobody has written", NULL},
        {"missing_async_wait", 1, 32, "has not delivered", NULL},
        {"async_wait_too_lax", 1, 32, "has not delivered", NULL},
        {"async_without_barrier", 1, 32, "race: ", "nobody has written"},
        {"async_overwrites_readers", 1, 32, "race: ", NULL},
        {"bad_metadata", 1, 32, "do not ascend", NULL},
        {"bad_metadata_s8", 1, 32, "do not ascend", NULL},
        {"bad_metadata_e4m3", 1, 32, "do not ascend", NULL},
        {"bad_metadata_tf32", 1, 32, "4 and 14 are legal", NULL},
    };
    for (int i = 0; i < N_ITEMS(cases); i++) {
        for (int order = 0; order < SIMT_N_ORDERS; order++) {
            char error[SIMT_ERROR_MAX] = "";
            if (run_on_data(cases[i].name, cases[i].grid, cases[i].block, (simt_order)order, 0x4444444f, error))
                fail_msg("%s, order %d: the bug was not found", cases[i].name, order);
            if (strstr(error, cases[i].sentence) == NULL &&
                (cases[i].other == NULL || strstr(error, cases[i].other) == NULL))
                fail_msg("order %d: expected '%s', found: %s", order, cases[i].sentence, error);
        }
    }
}

static void launches_beyond_the_limits_are_refused(void **state) {
    (void)state;
    char error[SIMT_ERROR_MAX] = "";
    assert_false(run_on_data("sum_warp", 1, 1025, SIMT_FORWARD, 0, error));
    assert_non_null(strstr(error, "1 to 1024 threads"));
    assert_false(run_on_data("sum_warp", 0, 32, SIMT_FORWARD, 0, error));
    assert_non_null(strstr(error, "a grid within the limits"));
}

/* ---- matrices, by formulas of their own: fragments are made from matrices by the figures of the manual ---- */

typedef struct matrix_case {
    const char *kernel;
    int bits;   /* of an element */
    bool is_sp; /* tf32: 1 of 2, others 2 of 4 */
} matrix_case;

/* A small integer as an element of that many bits: s8, f16 or tf32. */
static uint32_t encode(int bits, const char *kernel, int value) {
    static const uint32_t e4m3[] = {0, 0x38, 0x40, 0x44}, e5m2[] = {0, 0x3c, 0x40, 0x42}; /* of 0 to 3 */
    const float f = (float)value;
    const bool is_bf16 = strstr(kernel, "bf16") != NULL;
    uint32_t word;
    memcpy(&word, &f, 4);
    if (strstr(kernel, "e4m3") != NULL || strstr(kernel, "e5m2") != NULL)
        return (value < 0 ? 0x80u : 0u) | (strstr(kernel, "e4m3") != NULL ? e4m3 : e5m2)[abs(value)];
    if (bits == 8)
        return (uint32_t)(value & 0xff);
    if (bits == 32)
        return word;
    if (is_bf16)
        return word >> 16;
    return value == 0 ? 0 : (word >> 16 & 0x8000) | ((word >> 13 & 0x3ffff) - (112 << 10));
}

static void put(uint32_t *words, int lane, int r, int i, int bits, uint32_t element) {
    words[4 * lane + r] |= element << (i * bits);
}

/* Metadata of a row's group: 8-bit types have whole words of a row, in the order row g, g + 8, g, g + 8. */
static void put_nibble(uint32_t *metadata, int row, int group, int bits, uint32_t nibble) {
    const int quad = row % 8 * 4, is_lower = row / 8;
    if (bits == 8)
        metadata[quad + is_lower + (group < 8 ? 0 : 2)] |= nibble << 4 * (group & 7);
    else
        metadata[quad + (group < 4 ? 0 : 1)] |= nibble << (16 * is_lower + 4 * (group & 3));
}

/* One multiplication of random small matrices; sparse ones keep 2 of 4 (tf32: 1 of 2) random columns. */
static void check_matrix(const matrix_case *c, uint64_t seed) {
    static uint32_t words[3][160]; /* with gaps */
    static float out[160];
    uint32_t *const a_words = words[0], *const b_words = words[1], *const metadata = words[2];
    const int e = 32 / c->bits, n_kept = 8 * e, k = c->is_sp ? 2 * n_kept : n_kept;
    const bool is_pair = c->bits == 32, is_integer = strstr(c->kernel, "s8") != NULL;
    int a[16][128] = {{0}}, b[128][8], first = 0, second = 0;
    spt_random random;
    spt_random_init(&random, seed);
    memset(words, 0, sizeof words);
    for (int row = 0; row < 16; row++) {
        for (int kept = 0; kept < n_kept; kept++) {
            int column = kept;
            if (c->is_sp && is_pair) {
                first = (int)spt_random_below(&random, 2);
                column = 2 * kept + first;
            } else if (c->is_sp && kept % 2 == 0) {
                first = (int)spt_random_below(&random, 3);
                second = first + 1 + (int)spt_random_below(&random, (uint64_t)(3 - first));
                column = 2 * kept + first;
            } else if (c->is_sp) {
                column = 2 * (kept - 1) + second;
            }
            const int group = is_pair ? kept : kept / 2;
            const uint32_t nibble = is_pair ? (first != 0 ? 14u : 4u) : (uint32_t)(first | second << 2);
            if (c->is_sp && (is_pair || kept % 2 == 0))
                put_nibble(metadata, row, group, c->bits, nibble);
            a[row][column] = (int)spt_random_below(&random, 7) - 3;
            /* registers 0 and 1 hold rows 0-7 and 8-15 of the first half of the columns, 2 and 3 of the second */
            const int half = kept / (n_kept / 2), in_half = kept % (n_kept / 2);
            put(a_words, row % 8 * 4 + in_half / e, row / 8 + 2 * half, in_half % e, c->bits,
                encode(c->bits, c->kernel, a[row][column]));
        }
    }
    const int n_b = c->is_sp ? 4 : 2;
    for (int row = 0; row < k; row++) {
        for (int column = 0; column < 8; column++) {
            b[row][column] = (int)spt_random_below(&random, 7) - 3;
            const int quarter = row / (k / n_b), in_quarter = row % (k / n_b);
            put(b_words, column * 4 + in_quarter / e, quarter, in_quarter % e, c->bits,
                encode(c->bits, c->kernel, b[row][column]));
        }
    }
    uint64_t v[4] = {(uint64_t)(uintptr_t)a_words, (uint64_t)(uintptr_t)b_words, (uint64_t)(uintptr_t)out};
    if (c->is_sp)
        v[2] = (uint64_t)(uintptr_t)metadata, v[3] = (uint64_t)(uintptr_t)out;
    char error[SIMT_ERROR_MAX] = "";
    void *const ranges[] = {a_words, b_words, metadata, out};
    for (int i = 0; i < 4; i++)
        simt_memory_add(ranges[i], 512);
    if (!run(c->kernel, 1, 32, SIMT_SHUFFLED, v, error))
        fail_msg("%s", error);
    for (int i = 0; i < 4; i++)
        simt_memory_remove(ranges[i]);
    for (int row = 0; row < 16; row++) {
        for (int column = 0; column < 8; column++) {
            int expected = 1, integer;
            for (int i = 0; i < k; i++)
                expected += a[row][i] * b[i][column];
            const float *found = &out[4 * (row % 8 * 4 + column / 2) + 2 * (row / 8) + column % 2];
            memcpy(&integer, found, 4);
            if (is_integer ? integer != expected : *found != (float)expected)
                fail_msg("%s: element (%d, %d), expected %d, found %g (%d)", c->kernel, row, column, expected,
                         (double)*found, integer);
        }
    }
}

static void matrix_instructions_multiply_as_the_manual_lays_them_out(void **state) {
    (void)state;
    const matrix_case cases[] = {
        {"multiply_f16", 16, false}, {"multiply_bf16", 16, false},  {"multiply_tf32", 32, false},
        {"multiply_s8", 8, false},   {"multiply_sp_f16", 16, true}, {"multiply_sp_tf32", 32, true},
        {"multiply_sp_s8", 8, true}, {"multiply_sp_e4m3", 8, true}, {"multiply_sp_e5m2", 8, true},
    };
    for (int i = 0; i < N_ITEMS(cases); i++)
        for (uint64_t seed = 1; seed <= 20; seed++)
            check_matrix(&cases[i], seed);
}

static void ldmatrix_gives_each_lane_two_elements_of_each_matrix(void **state) {
    (void)state;
    static uint32_t in[128], out[256];
    const uint16_t *found = (const uint16_t *)out;
    char error[SIMT_ERROR_MAX] = "";
    for (uint32_t i = 0; i < 128; i++)
        in[i] = 2 * i | (2 * i + 1) << 16; /* element j of row r is 8 r + j */
    simt_memory_add(in, sizeof in);
    simt_memory_add(out, sizeof out);
    if (!run("load_matrices", 1, 32, SIMT_REVERSED,
             (const uint64_t[4]){(uint64_t)(uintptr_t)in, (uint64_t)(uintptr_t)out}, error))
        fail_msg("%s", error);
    simt_memory_remove(in);
    simt_memory_remove(out);
    for (int lane = 0; lane < 32; lane++) {
        for (int matrix = 0; matrix < 4; matrix++) {
            for (int i = 0; i < 2; i++) {
                assert_int_equal(found[16 * lane + 2 * matrix + i], 64 * matrix + 8 * (lane / 4) + 2 * (lane % 4) + i);
                assert_int_equal(found[16 * lane + 8 + 2 * matrix + i],
                                 64 * matrix + 8 * (2 * (lane % 4) + i) + lane / 4);
            }
        }
    }
}

static void halves_convert_to_floats_and_back(void **state) {
    (void)state;
    static float wide[65536];
    static uint16_t narrow[65536];
    char error[SIMT_ERROR_MAX] = "";
    simt_memory_add(wide, sizeof wide);
    simt_memory_add(narrow, sizeof narrow);
    if (!run("convert_f16", 256, 256, SIMT_FORWARD,
             (const uint64_t[4]){(uint64_t)(uintptr_t)wide, (uint64_t)(uintptr_t)narrow}, error))
        fail_msg("%s", error);
    simt_memory_remove(wide);
    simt_memory_remove(narrow);
    for (int i = 0; i < 65536; i++) {
        if (isnan(wide[i]))
            assert_true((i & 0x7c00) == 0x7c00 && (i & 0x3ff) != 0);
        else
            assert_int_equal(narrow[i], i);
    }
    assert_true(wide[0x3c00] == 1.0f && wide[1] == 0x1p-24f && wide[0x7bff] == 65504.0f && isinf(wide[0xfc00]));
}

/* The library's and the kernels' 8-bit floats are written twice: every code, and floats between and beyond them. */
static void float8s_convert_alike_on_both_sides(void **state) {
    (void)state;
    enum { COUNT = 4096 };
    static float in[COUNT], wide[2 * COUNT];
    static uint8_t narrow[2 * COUNT];
    static const spt_dtype types[] = {SPT_E4M3, SPT_E5M2};
    char error[SIMT_ERROR_MAX] = "";
    spt_random random;
    spt_random_init(&random, 3);
    for (int i = 0; i < COUNT; i++) {
        const uint8_t code = (uint8_t)i;
        const double v = spt_element_get(types[i / 256 % 2], &code, 0);
        in[i] = i < 512 ? (float)v : ldexpf((float)spt_random_unit(&random) * 2.0f - 1.0f, i % 40 - 22);
    }
    in[512] = 0x1p-10f, in[513] = 464.0f, in[514] = 1e9f, in[515] = -INFINITY, in[516] = 1.0625f, in[517] = 1.1875f;
    simt_memory_add(in, sizeof in);
    simt_memory_add(wide, sizeof wide);
    simt_memory_add(narrow, sizeof narrow);
    const uint64_t v[4] = {(uint64_t)(uintptr_t)in, (uint64_t)(uintptr_t)wide, (uint64_t)(uintptr_t)narrow};
    if (!run("convert_float8", COUNT / 256, 256, SIMT_FORWARD, v, error))
        fail_msg("%s", error);
    simt_memory_remove(in);
    simt_memory_remove(wide);
    simt_memory_remove(narrow);
    for (int i = 0; i < 2 * COUNT; i++) {
        uint8_t code;
        spt_elements_from_f32(types[i % 2], &code, &in[i / 2], 1);
        const double back = spt_element_get(types[i % 2], &code, 0);
        if (isnan(in[i / 2])) {
            assert_true(isnan(back) && isnan(wide[i]));
            continue;
        }
        assert_int_equal(narrow[i], code);
        assert_true((double)wide[i] == back);
        if (i / 2 < 512 && i / 512 == i % 2 && !isinf(in[i / 2])) /* a code of this type */
            assert_int_equal(code, (i / 2) & 255);
    }
    assert_true(wide[2 * 514] == 448.0f && wide[2 * 514 + 1] == 57344.0f && wide[2 * 515] == -448.0f);
    assert_true(wide[2 * 512] == 0.0f && wide[2 * 516] == 1.0f && wide[2 * 517] == 1.25f); /* ties to even */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(right_kernels_give_right_results_in_every_order),
        cmocka_unit_test(every_planted_bug_is_found_in_every_order),
        cmocka_unit_test(launches_beyond_the_limits_are_refused),
        cmocka_unit_test(matrix_instructions_multiply_as_the_manual_lays_them_out),
        cmocka_unit_test(ldmatrix_gives_each_lane_two_elements_of_each_matrix),
        cmocka_unit_test(halves_convert_to_floats_and_back),
        cmocka_unit_test(float8s_convert_alike_on_both_sides),
    };
    return cmocka_run_group_tests(tests, compile_planted, remove_planted);
}

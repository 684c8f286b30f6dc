/* SPDX-License-Identifier: Apache-2.0 */
/* C's way out in layout nk: whatever the chunks, the places of lines and the widths, every element of a part arrives,
 * and nothing else is touched. */
#include "tests/unit.h"

#include <string.h>

#include "tests/support.h"
#include "variants/cpu/transpose.h"

SPT_ISA_TABLE(transpose_leave, transpose_leave_f32)

enum { ROWS = 150, WIDTH_MAX = 33, LD = 48, LDC_MAX = 163, OFFSET_MAX = 5 };

typedef struct leave_case {
    int64_t ldc, offset; /* of C, in elements behind a line's begin */
    int64_t begin, end;  /* rows of the part */
    int64_t chunk, width;
    bool is_far;
} leave_case;

static float rows_of_c[ROWS * LD];
static float columns_of_c[OFFSET_MAX + WIDTH_MAX * LDC_MAX] __attribute__((aligned(64)));

static float element(int64_t row, int64_t column) {
    return (float)(row * WIDTH_MAX + column + 1);
}

/* Hand over the rows chunk by chunk, as a walk does. */
static void leave(transpose_leave *out_of, const leave_case *c) {
    int64_t waits_from = c->begin;
    for (int64_t row = c->begin; row < c->end; row += c->chunk) {
        const int64_t end = row + c->chunk < c->end ? row + c->chunk : c->end;
        const transpose_out out = {.c = columns_of_c + c->offset,
                                   .ldc = c->ldc,
                                   .rows = rows_of_c + waits_from * LD,
                                   .ld = LD,
                                   .begin = waits_from,
                                   .end = end,
                                   .width = c->width,
                                   .is_first = waits_from == c->begin,
                                   .is_last = end == c->end,
                                   .is_far = c->is_far};
        const int64_t kept = out_of(&out);
        assert_in_range(kept, 0, end == c->end ? 0 : SPT_LINE_FLOATS - 1);
        assert_true(kept <= end - waits_from);
        waits_from = end - kept;
    }
}

static void check_columns(const leave_case *c) {
    for (int64_t i = 0; i < (int64_t)(sizeof columns_of_c / sizeof *columns_of_c); i++) {
        const int64_t at = i - c->offset, column = at < 0 ? -1 : at / c->ldc, row = at < 0 ? -1 : at % c->ldc;
        const bool is_written = column >= 0 && column < c->width && row >= c->begin && row < c->end;
        const float expected = is_written ? element(row, column) : 0.0F;
        if (columns_of_c[i] != expected)
            fail_msg("ldc %ld, offset %ld, rows %ld to %ld by %ld, width %ld%s: row %ld of column %ld is %g",
                     (long)c->ldc, (long)c->offset, (long)c->begin, (long)c->end, (long)c->chunk, (long)c->width,
                     c->is_far ? ", far" : "", (long)row, (long)column, (double)columns_of_c[i]);
    }
}

static void rows_leave_whole_for_any_chunk_and_alignment(void **state) {
    static const int64_t leading[] = {160, 152, 155, 163}, offsets[] = {0, OFFSET_MAX}, begins[] = {0, 16, 37};
    static const int64_t ends[] = {ROWS, 144, 41}, chunks[] = {3, 16, 31, 64, 150}, widths[] = {1, 7, 16, WIDTH_MAX};
    spt_device device;
    (void)state;
    assert_int_equal(spt_device_detect(&device), SPT_OK);
    const spt_isa best = device.isa;
    for (int64_t row = 0; row < ROWS; row++)
        for (int64_t column = 0; column < WIDTH_MAX; column++)
            rows_of_c[row * LD + column] = element(row, column);
    for (bool is_one = support_isa_first(&device); is_one; is_one = support_isa_next(&device, best)) {
        for (int i = 0; i < 4 * 2 * 3 * 3 * 5 * 4 * 2; i++) {
            const leave_case c = {.ldc = leading[i % 4],
                                  .offset = offsets[i / 4 % 2],
                                  .begin = begins[i / 8 % 3],
                                  .end = ends[i / 24 % 3],
                                  .chunk = chunks[i / 72 % 5],
                                  .width = widths[i / 360 % 4],
                                  .is_far = i / 1440 == 1};
            memset(columns_of_c, 0, sizeof columns_of_c);
            leave(transpose_leave_f32_for(device.isa), &c);
            check_columns(&c);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_leave_whole_for_any_chunk_and_alignment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

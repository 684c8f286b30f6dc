/* SPDX-License-Identifier: Apache-2.0 */
/* .npy files: versions, element types, orders, convolution weights; half-precision numbers. */
#include <math.h>

#include "tests/input_fixture.h"

typedef struct npy {
    char bytes[1024];
    size_t size;
} npy;

/* Build a file from a header without its padding, and elements. */
static void build(npy *out, int version, const char *header, const void *data, size_t size) {
    const size_t begin = version == 1 ? 10 : 12, length = strlen(header);
    const size_t padded = (begin + length + 1 + 63) / 64 * 64 - begin;
    memset(out, ' ', sizeof *out);
    memcpy(out->bytes, "\x93NUMPY", 6);
    out->bytes[6] = (char)version;
    out->bytes[7] = 0;
    for (size_t i = 0; i < begin - 8; i++)
        out->bytes[8 + i] = (char)(padded >> 8 * i & 255);
    memcpy(out->bytes + begin, header, length);
    out->bytes[begin + padded - 1] = '\n';
    memcpy(out->bytes + begin + padded, data, size);
    out->size = begin + padded + size;
    out->bytes[out->size] = '\0';
}

#define HEADER(type, order, shape) "{'descr': '" type "', 'fortran_order': " order ", 'shape': " shape ", }"

static const float singles[] = {1, 0, 0, 2, 0, 3};
static const double doubles[] = {1, 0, 0, 2, 0, 3};
static const uint16_t halves[] = {0x3c00, 0, 0x8000, 0x4000, 0, 0x4200};

static void versions_types_and_orders_give_the_same_matrix(void **state) {
    static const float rows_first[] = {1, 0, 0, 2, 0, 3}, columns_first[] = {1, 0, 0, 0, 2, 3};
    const struct {
        int version;
        const char *header;
        const void *data;
        size_t size;
        const float *dense;
    } rows[] = {
        {1, HEADER("<f4", "False", "(2, 3)"), singles, sizeof singles, rows_first},
        {2, HEADER("<f4", "False", "(2, 3)"), singles, sizeof singles, rows_first},
        {3, HEADER("<f4", "False", "(2, 3)"), singles, sizeof singles, rows_first},
        {1, HEADER("<f8", "False", "(2, 3)"), doubles, sizeof doubles, rows_first},
        {1, HEADER("<f2", "False", "(2, 3)"), halves, sizeof halves, rows_first},
        {1, HEADER("<f4", "True", "(2, 3)"), singles, sizeof singles, columns_first},
        {1, "{'shape':(2,3),'fortran_order':False,'descr':'<f4'}", singles, sizeof singles, rows_first},
    };
    (void)state;
    for (int i = 0; i < N_ITEMS(rows); i++) {
        npy file;
        build(&file, rows[i].version, rows[i].header, rows[i].data, rows[i].size);
        expect_parsed(spt_parse_npy, file.bytes, file.size, 2, 3, rows[i].dense);
    }
}

/* [cout, cin, kh, kw] becomes [cout, kh * kw * cin] with the channel as the fastest index. */
static void convolution_weights_are_flattened_by_tap_then_channel(void **state) {
    enum { COUT = 2, CIN = 3, KH = 2, KW = 2 };
    float weights[COUT][CIN][KH][KW], fortran[COUT * CIN * KH * KW], expected[COUT * KH * KW * CIN];
    npy file;
    (void)state;
    for (int o = 0; o < COUT; o++)
        for (int c = 0; c < CIN; c++)
            for (int h = 0; h < KH; h++)
                for (int w = 0; w < KW; w++) {
                    const float value = (float)(o * 1000 + c * 100 + h * 10 + w);
                    weights[o][c][h][w] = value;
                    fortran[o + COUT * (c + CIN * (h + KH * w))] = value;
                    expected[((o * KH + h) * KW + w) * CIN + c] = value;
                }
    build(&file, 1, HEADER("<f4", "False", "(2, 3, 2, 2)"), weights, sizeof weights);
    expect_parsed(spt_parse_npy, file.bytes, file.size, COUT, KH * KW * CIN, expected);
    build(&file, 1, HEADER("<f4", "True", "(2, 3, 2, 2)"), fortran, sizeof fortran);
    expect_parsed(spt_parse_npy, file.bytes, file.size, COUT, KH * KW * CIN, expected);
}

static void bad_headers_and_values_are_refused(void **state) {
    static const struct {
        const char *header, *sentence;
        size_t size;
    } rows[] = {
        {HEADER(">f4", "False", "(2, 3)"), "expected element type <f2, <f4 or <f8, found '>f4'", 24},
        {HEADER("\033[2J", "False", "(2, 3)"), "expected element type <f2, <f4 or <f8, found '?[2J'", 24},
        {HEADER("<i4", "False", "(2, 3)"), "expected element type <f2, <f4 or <f8, found '<i4'", 24},
        {HEADER("|O", "False", "(2, 3)"), "expected element type <f2, <f4 or <f8, found '|O'", 24},
        {"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2, 3)}", "expected a plain element type", 24},
        {HEADER("<f4", "Maybe", "(2, 3)"), "expected fortran_order True or False", 24},
        {"{'descr': '<f4', 'shape': (2, 3)}", "expected the keys descr, fortran_order and shape", 24},
        {"", "expected the keys descr, fortran_order and shape", 24},
        {HEADER("<f4", "False", "2, 3"), "expected a shape in parentheses", 24},
        {HEADER("<f4", "False", "(2, x)"), "expected a shape of 2 or 4 extents", 24},
        {HEADER("<f4", "False", "(2, 3"), "expected a shape of 2 or 4 extents", 24},
        {HEADER("<f4", "False", "(6,)"), "expected 2 or 4 dimensions, found 1", 24},
        {HEADER("<f4", "False", "()"), "expected 2 or 4 dimensions, found 0", 4},
        {HEADER("<f4", "False", "(1, 2, 3)"), "expected 2 or 4 dimensions, found 3", 24},
        {HEADER("<f4", "False", "(1, 1, 1, 2, 3)"), "expected a shape of 2 or 4 extents", 24},
        {HEADER("<f4", "False", "(2, -3)"), "found extent -3 in dimension 1", 24},
        {HEADER("<f4", "False", "(0, 3)"), "found extent 0 in dimension 0", 0},
        {HEADER("<f4", "False", "(99999999999999999999, 3)"), "found extent 9223372036854775807 in dimension 0", 24},
        {HEADER("<f4", "False", "(2147483647, 2147483647)"), "elements of its shape, found bytes for at most 6", 24},
        {HEADER("<f4", "False", "(2147483647, 2147483647, 2147483647, 4)"), "found extent 2147483647 in dimension 2",
         24},
        {HEADER("<f4", "False", "(2, 4)"), "expected the 8 elements of its shape, found bytes for at most 6", 24},
        {HEADER("<f4", "False", "(2, 2)"), "expected 16 bytes of elements, found 24", 24},
        {HEADER("<f4", "False", "(2, 3)"), "expected 24 bytes of elements, found 25", 25},
    };
    const float infinite[] = {1, -INFINITY}, not_a_number[] = {0, NAN};
    const double too_large[] = {1, 1e300};
    static const bad_input beginnings[] = {
        {"empty", "", 0, "expected a .npy file, found an empty file"},
        {"magic alone", "\x93NUMPY\x01\x00", 8, "expected a .npy file of version 1 to 3"},
        {"version 4", "\x93NUMPY\x04\x00\x01\x00\x00\x00\x00", 13, "expected a .npy file of version 1 to 3"},
        {"long header", "\x93NUMPY\x02\x00\xff\xff\xff\xff{", 13, "expected a header of at most 65536 bytes"},
        {"header beyond the file", "\x93NUMPY\x01\x00\x80\x00{}", 12, "within the file, found 128"},
    };
    char zeros[64] = {0};
    (void)state;
    expect_refused(spt_parse_npy, beginnings, N_ITEMS(beginnings));
    for (int i = 0; i < N_ITEMS(rows); i++) {
        npy file;
        build(&file, 1, rows[i].header, zeros, rows[i].size);
        const bad_input input = {rows[i].header, file.bytes, file.size, rows[i].sentence};
        expect_refused(spt_parse_npy, &input, 1);
    }
    const struct {
        const char *header, *sentence;
        const void *data;
        size_t size;
    } values[] = {
        {HEADER("<f4", "False", "(1, 2)"), "element 1 is -inf", infinite, sizeof infinite},
        {HEADER("<f4", "False", "(1, 2)"), "element 1 is nan", not_a_number, sizeof not_a_number},
        {HEADER("<f8", "False", "(1, 2)"), "element 1 is inf", too_large, sizeof too_large},
    };
    for (int i = 0; i < N_ITEMS(values); i++) {
        npy file;
        build(&file, 1, values[i].header, values[i].data, values[i].size);
        const bad_input input = {values[i].header, file.bytes, file.size, values[i].sentence};
        expect_refused(spt_parse_npy, &input, 1);
    }
}

static void halves_convert_exactly(void **state) {
    static const struct {
        uint16_t bits;
        float value;
    } f16[] = {{0x0000, 0.0f},     {0x3c00, 1.0f},     {0xc000, -2.0f},       {0x7bff, 65504.0f},
               {0x0400, 0x1p-14f}, {0x0001, 0x1p-24f}, {0x83ff, -0x3ffp-24f}, {0x3555, 0x1.554p-2f}},
      bf16[] = {{0x0000, 0.0f}, {0x3f80, 1.0f}, {0xc000, -2.0f}, {0x7f7f, 0x1.fep127f}, {0x0001, 0x1p-133f}};
    (void)state;
    for (int i = 0; i < N_ITEMS(f16); i++)
        assert_true(!(spt_f32_of_f16(f16[i].bits) < f16[i].value) && !(spt_f32_of_f16(f16[i].bits) > f16[i].value));
    for (int i = 0; i < N_ITEMS(bf16); i++)
        assert_true(!(spt_f32_of_bf16(bf16[i].bits) < bf16[i].value) &&
                    !(spt_f32_of_bf16(bf16[i].bits) > bf16[i].value));
    assert_true(isinf(spt_f32_of_f16(0x7c00)) && isnan(spt_f32_of_f16(0x7c01)));
    assert_true(isinf(spt_f32_of_bf16(0x7f80)) && isnan(spt_f32_of_bf16(0x7f81)));
    assert_true(signbit(spt_f32_of_f16(0x8000)) && signbit(spt_f32_of_f16(0xfc00)));
}

static void a_failing_allocation_is_reported_and_leaks_nothing(void **state) {
    npy file;
    (void)state;
    build(&file, 1, HEADER("<f4", "False", "(1, 2, 3, 1)"), singles, sizeof singles);
    expect_survives_failing_allocations(spt_parse_npy, file.bytes, file.size);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(versions_types_and_orders_give_the_same_matrix),
        cmocka_unit_test(convolution_weights_are_flattened_by_tap_then_channel),
        cmocka_unit_test(bad_headers_and_values_are_refused),
        cmocka_unit_test(halves_convert_exactly),
        cmocka_unit_test(a_failing_allocation_is_reported_and_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* .safetensors: which tensors become layers, their values, and headers that lie. */
#include <math.h>
#include <unistd.h>

#include "tests/input_fixture.h"

#define HEADER_IS_ITS_OWN UINT64_MAX

typedef struct fixture {
    char folder[256], path[300];
} fixture;

static int make_folder(void **state) {
    static fixture at;
    support_folder_make(at.folder, sizeof at.folder);
    snprintf(at.path, sizeof at.path, "%s/model.safetensors", at.folder);
    *state = &at;
    return 0;
}

static int remove_folder(void **state) {
    const fixture *at = *state;
    support_folder_remove(at->folder);
    return 0;
}

/* Write a file; length: what the first eight bytes say. */
static void write_model(const fixture *at, const char *header, uint64_t length, const void *data, size_t size) {
    char bytes[4096];
    const size_t header_size = strlen(header);
    if (length == HEADER_IS_ITS_OWN)
        length = header_size;
    for (int i = 0; i < 8; i++)
        bytes[i] = (char)(length >> 8 * i & 255);
    memcpy(bytes + 8, header, header_size);
    if (size > 0)
        memcpy(bytes + 8 + header_size, data, size);
    write_bytes(at->path, bytes, 8 + header_size + size);
}

static spt_status list_model(spt_layer_list *list, const fixture *at, double min_sparsity) {
    const spt_input_options options = {.min_sparsity = min_sparsity, .seed = 1};
    *list = (spt_layer_list){0};
    return spt_layers_add(list, at->path, &options);
}

/* a: F16, half zeros; b: BF16, all zeros but one; c, d, e: no weights; f: F32 convolution; g: F32 without zeros */
static const char model_header[] = "{\"__metadata__\":{\"format\":\"pt\"},"
                                   "\"a.weight\":{\"dtype\":\"F16\",\"shape\":[2,3],\"data_offsets\":[0,12]},"
                                   "\"b.weight\":{\"dtype\":\"BF16\",\"shape\":[2,2],\"data_offsets\":[12,20]},"
                                   "\"c.index\":{\"dtype\":\"I64\",\"shape\":[1,2],\"data_offsets\":[20,36]},"
                                   "\"d.bias\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[36,52]},"
                                   "\"e.scale\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[52,56]},"
                                   "\"f.weight\":{\"dtype\":\"F32\",\"shape\":[1,2,1,2],\"data_offsets\":[56,72]},"
                                   "\"g.weight\":{\"dtype\":\"F32\",\"shape\":[1,2],\"data_offsets\":[72,80]}}";

static void fill_model(unsigned char data[80]) {
    static const uint16_t a[] = {0x3c00, 0, 0, 0x4000, 0, 0x4200}, b[] = {0, 0, 0xc000, 0};
    static const float f[] = {1, 2, 0, 4}, g[] = {5, 6};
    memset(data, 0, 80);
    memcpy(data, a, sizeof a);
    memcpy(data + 12, b, sizeof b);
    memcpy(data + 56, f, sizeof f);
    memcpy(data + 72, g, sizeof g);
}

static void sparse_weights_become_layers_with_their_values(void **state) {
    static const struct {
        const char *name;
        int64_t rows, cols;
        float dense[6];
    } expected[] = {
        {"a.weight", 2, 3, {1, 0, 0, 2, 0, 3}},
        {"b.weight", 2, 2, {0, 0, -2, 0}},
        {"f.weight", 1, 4, {1, 0, 2, 4}}, /* [cin][kw] to [kw][cin] */
        {"g.weight", 1, 2, {5, 6}},
    };
    unsigned char data[80];
    spt_layer_list list;
    fill_model(data);
    write_model(*state, model_header, HEADER_IS_ITS_OWN, data, sizeof data);
    assert_int_equal(list_model(&list, *state, 0.0), SPT_OK);
    assert_int_equal(list.count, N_ITEMS(expected));
    for (int i = 0; i < N_ITEMS(expected); i++) {
        spt_matrix matrix;
        assert_string_equal(list.items[i].name, expected[i].name);
        assert_int_equal(list.items[i].count, 1);
        assert_int_equal(list.items[i].n, 0);
        assert_int_equal(spt_layer_load(&matrix, &list.items[i], &(spt_input_options){.seed = 1}), SPT_OK);
        expect_dense(&matrix, expected[i].rows, expected[i].cols, expected[i].dense);
        spt_matrix_fini(&matrix);
    }
    spt_layer_list_fini(&list);
    assert_int_equal(spt_memory_live(), 0);
}

static void weights_below_the_wanted_sparsity_are_skipped(void **state) {
    static const struct {
        double min_sparsity;
        int64_t count;
        const char *first;
    } rows[] = {{0.0, 4, "a.weight"}, {0.25, 3, "a.weight"}, {0.3, 2, "a.weight"}, {0.51, 1, "b.weight"}, {1.0, 0, ""}};
    unsigned char data[80];
    fill_model(data);
    write_model(*state, model_header, HEADER_IS_ITS_OWN, data, sizeof data);
    for (int i = 0; i < N_ITEMS(rows); i++) {
        spt_layer_list list;
        assert_int_equal(list_model(&list, *state, rows[i].min_sparsity), SPT_OK);
        assert_int_equal(list.count, rows[i].count);
        if (list.count > 0)
            assert_string_equal(list.items[0].name, rows[i].first);
        spt_layer_list_fini(&list);
    }
}

/* A model may have tensors without elements; they are no weights, and the others count. */
static void empty_tensors_are_passed_over(void **state) {
    static const char header[] = "{\"none\":{\"dtype\":\"F32\",\"shape\":[0,8],\"data_offsets\":[0,0]},"
                                 "\"w\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[0,16]}}";
    static const float data[] = {1, 0, 0, 2};
    spt_layer_list list;
    write_model(*state, header, HEADER_IS_ITS_OWN, data, sizeof data);
    assert_int_equal(list_model(&list, *state, 0.0), SPT_OK);
    assert_int_equal(list.count, 1);
    assert_string_equal(list.items[0].name, "w");
    spt_layer_list_fini(&list);
}

#define ONE(dtype, shape, offsets) "{\"w\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" offsets "}}"

static void headers_that_lie_are_refused(void **state) {
    static const struct {
        const char *header;
        uint64_t length;
        const char *sentence;
    } rows[] = {
        {ONE("F32", "[2,3]", "[0,24]"), UINT64_C(1) << 63,
         "expected a header length within the file, found 9223372036854"},
        {ONE("F32", "[2,3]", "[0,24]"), 0, "expected a header length within the file, found 0"},
        {ONE("F32", "[2,3]", "[0,24]"), 100, "expected a header length within the file, found 100 of"},
        {"{\"w\": ", HEADER_IS_ITS_OWN, "expected a JSON object as header, found: "},
        {"{\"w\": \033[2J", HEADER_IS_ITS_OWN, "near '?'"},
        {"[1, 2]", HEADER_IS_ITS_OWN, "expected a JSON object as header, found: another JSON value"},
        {"{\"w\":1,\"w\":2}", HEADER_IS_ITS_OWN, "duplicate object key"},
        {"{\"w\":1}", HEADER_IS_ITS_OWN, "tensor w: expected two integers as data_offsets"},
        {"{\"w\":{\"data_offsets\":[0,24]}}", HEADER_IS_ITS_OWN, "tensor w: expected dtype and shape"},
        {ONE("F32", "6", "[0,24]"), HEADER_IS_ITS_OWN, "tensor w: expected dtype and shape"},
        {ONE("F32", "[2,3]", "[0]"), HEADER_IS_ITS_OWN, "tensor w: expected two integers as data_offsets"},
        {ONE("F32", "[2,3]", "[0.5,24]"), HEADER_IS_ITS_OWN, "tensor w: expected two integers as data_offsets"},
        {ONE("F32", "[2,3]", "[8,32]"), HEADER_IS_ITS_OWN,
         "tensor w: expected data as far as its data_offsets 8 to 32, found a file with 24 bytes of data"},
        {ONE("F32", "[2,3]", "[-8,16]"), HEADER_IS_ITS_OWN, "expected ascending data_offsets, found -8"},
        {ONE("F32", "[2,3]", "[24,0]"), HEADER_IS_ITS_OWN, "expected ascending data_offsets, found 24 to 0"},
        {ONE("F32", "[2,2]", "[0,24]"), HEADER_IS_ITS_OWN,
         "tensor w: expected 16 bytes for its shape, found data_offsets 0"},
        {ONE("F16", "[2,3]", "[0,24]"), HEADER_IS_ITS_OWN,
         "tensor w: expected 12 bytes for its shape, found data_offsets 0"},
        {ONE("F32", "[2,4]", "[0,24]"), HEADER_IS_ITS_OWN,
         "tensor w: expected 32 bytes for its shape, found data_offsets 0"},
        {ONE("F32", "[0,3]", "[0,24]"), HEADER_IS_ITS_OWN, "tensor w: expected a shape of extents from 1"},
        {ONE("F32", "[-2,-3]", "[0,24]"), HEADER_IS_ITS_OWN, "tensor w: expected a shape of extents from 1"},
        {ONE("F32", "[2.0,3]", "[0,24]"), HEADER_IS_ITS_OWN, "tensor w: expected a shape of extents from 1"},
        {ONE("F32", "[4611686018427387904,4]", "[0,24]"), HEADER_IS_ITS_OWN, "found extent 4611686018427387904"},
        {"{\"a\\nb\":{\"dtype\":\"F32\",\"shape\":[1,1],\"data_offsets\":[0,4]}}", HEADER_IS_ITS_OWN,
         "expected printable tensor names, found the byte 0x0a"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[0,16]},"
         "\"b\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[8,24]}}",
         HEADER_IS_ITS_OWN, "expected tensors that share no bytes, found that a and b do"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[0,16]},"
         "\"b\":{\"dtype\":\"I8\",\"shape\":[4],\"data_offsets\":[15,19]}}",
         HEADER_IS_ITS_OWN, "expected tensors that share no bytes, found that a and b do"},
    };
    static const float data[] = {1, 0, 0, 2, 0, 3};
    for (int i = 0; i < N_ITEMS(rows); i++) {
        spt_layer_list list;
        write_model(*state, rows[i].header, rows[i].length, data, sizeof data);
        if (list_model(&list, *state, 0.0) != SPT_EINVAL)
            fail_msg("%s: expected EINVAL", rows[i].header);
        expect_sentence(rows[i].sentence, rows[i].header);
        expect_sentence("model.safetensors: ", rows[i].header);
        spt_layer_list_fini(&list);
        assert_int_equal(spt_memory_live(), 0);
    }
}

static void a_file_without_a_header_is_named_as_what_it_is(void **state) {
    const fixture *at = *state;
    spt_layer_list list;
    write_bytes(at->path, "", 0);
    assert_int_equal(list_model(&list, at, 0.0), SPT_EINVAL);
    expect_sentence("model.safetensors: expected a .safetensors file, found an empty file", "empty");
    write_bytes(at->path, "1234567", 7);
    assert_int_equal(list_model(&list, at, 0.0), SPT_EINVAL);
    expect_sentence("expected the 8 bytes of a header length, found 7 bytes in all", "short");
}

static void a_model_with_nan_is_refused_when_it_is_listed(void **state) {
    const float data[] = {0, NAN, 0, INFINITY};
    spt_layer_list list;
    write_model(*state, ONE("F32", "[2,2]", "[0,16]"), HEADER_IS_ITS_OWN, data, sizeof data);
    assert_int_equal(list_model(&list, *state, 0.0), SPT_EINVAL);
    expect_sentence("model.safetensors: tensor w: 2 of 4 values are NaN or Inf", "nan");
    spt_layer_list_fini(&list);
    assert_int_equal(list_model(&list, *state, 0.9), SPT_OK); /* too dense to matter */
    assert_int_equal(list.count, 0);
    spt_layer_list_fini(&list);
}

static void a_file_that_shrank_after_listing_is_refused(void **state) {
    static const float data[] = {1, 0, 0, 2, 0, 3};
    const fixture *at = *state;
    spt_layer_list list;
    spt_matrix matrix;
    write_model(at, ONE("F32", "[2,3]", "[0,24]"), HEADER_IS_ITS_OWN, data, sizeof data);
    assert_int_equal(list_model(&list, at, 0.0), SPT_OK);
    assert_int_equal(truncate(at->path, 60), 0);
    assert_int_equal(spt_layer_load(&matrix, &list.items[0], &(spt_input_options){.seed = 1}), SPT_EINVAL);
    expect_sentence("model.safetensors: ", "shrank");
    assert_int_equal(unlink(at->path), 0);
    assert_int_equal(spt_layer_load(&matrix, &list.items[0], &(spt_input_options){.seed = 1}), SPT_EIO);
    expect_sentence("model.safetensors: cannot be opened: No such file", "removed");
    write_model(at, ONE("F32", "[2,3]", "[0,24]"), HEADER_IS_ITS_OWN, data, sizeof data);
    spt_layer_list_fini(&list);
    write_bytes(at->path, "\x01\x02", 2);
    assert_int_equal(list_model(&list, at, 0.0), SPT_EINVAL);
    expect_sentence("model.safetensors: expected the 8 bytes of a header length, found 2 bytes", "short");
    spt_layer_list_fini(&list);
    assert_int_equal(spt_memory_live(), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(sparse_weights_become_layers_with_their_values, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(weights_below_the_wanted_sparsity_are_skipped, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(empty_tensors_are_passed_over, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(headers_that_lie_are_refused, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(a_file_without_a_header_is_named_as_what_it_is, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(a_model_with_nan_is_refused_when_it_is_listed, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(a_file_that_shrank_after_listing_is_refused, make_folder, remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Suites: what each field does, where paths lead, and which mistakes are named how. */
#include <sys/stat.h>

#include "tests/input_fixture.h"
#include "tuner/input/models.h"

typedef struct fixture {
    char folder[256], suite[300];
} fixture;

static int make_folder(void **state) {
    static fixture at;
    support_folder_make(at.folder, sizeof at.folder);
    snprintf(at.suite, sizeof at.suite, "%s/suite.json", at.folder);
    *state = &at;
    return 0;
}

static int remove_folder(void **state) {
    const fixture *at = *state;
    support_folder_remove(at->folder);
    return 0;
}

static const spt_input_options options = {.min_sparsity = 0.0, .seed = 1};

static spt_status read_suite(spt_layer_list *list, const fixture *at, const char *text) {
    *list = (spt_layer_list){0};
    write_bytes(at->suite, text, strlen(text));
    return spt_layers_add_suite(list, at->suite, &options);
}

static void every_field_reaches_its_layer(void **state) {
    spt_layer_list list;
    assert_int_equal(
        read_suite(&list, *state,
                   "{\"name\": \"two\", \"layers\": [\n"
                   "{\"pattern\": \"uniform:8x4@0.5\", \"n\": 784, \"op\": \"sddmm\", \"layout\": \"nk\",\n"
                   " \"epilogue\": \"bias_relu\", \"count\": 3, \"name\": \"first\"},\n"
                   "{\"pattern\": \"nm:4x8@2:4:seed=7\"}]}"),
        SPT_OK);
    assert_string_equal(list.title, "two");
    assert_int_equal(list.count, 2);
    const spt_layer *full = &list.items[0], *bare = &list.items[1];
    assert_string_equal(full->name, "first");
    assert_string_equal(full->source, "uniform:8x4@0.5");
    assert_int_equal(full->n, 784);
    assert_int_equal(full->count, 3);
    assert_true(full->has_op && full->has_layout && full->has_epilogue);
    assert_int_equal(full->op, SPT_SDDMM);
    assert_int_equal(full->layout, SPT_NK);
    assert_int_equal(full->epilogue, SPT_BIAS_RELU);
    assert_string_equal(bare->name, "nm:4x8@2:4:seed=7");
    assert_int_equal(bare->n, 0);
    assert_int_equal(bare->count, 1);
    assert_false(bare->has_op || bare->has_layout || bare->has_epilogue);
    spt_layer_list_fini(&list);
    assert_int_equal(spt_memory_live(), 0);
}

static void paths_are_relative_to_the_suite(void **state) {
    static const char pattern[] = "1, 2, 1\n0 1\n1\n";
    const fixture *at = *state;
    char path[400], text[800];
    spt_layer_list list;
    spt_matrix matrix;
    snprintf(path, sizeof path, "%s/deep", at->folder);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof path, "%s/deep/a.smtx", at->folder);
    write_bytes(path, pattern, sizeof pattern - 1);
    snprintf(text, sizeof text, "{\"layers\": [{\"pattern\": \"deep/a.smtx\"}, {\"pattern\": \"%s\"}]}", path);
    assert_int_equal(read_suite(&list, at, text), SPT_OK);
    assert_int_equal(list.count, 2);
    assert_string_equal(list.title, at->suite); /* without a name */
    for (int i = 0; i < 2; i++) {
        assert_string_equal(list.items[i].name, "a.smtx");
        assert_int_equal(spt_layer_load(&matrix, &list.items[i], &options), SPT_OK);
        assert_int_equal(spt_csr_nnz(&matrix.view), 1);
        spt_matrix_fini(&matrix);
    }
    spt_layer_list_fini(&list);
}

static void mistakes_are_named_with_layer_or_line(void **state) {
    static const struct {
        const char *text, *sentence;
    } rows[] = {
        {"", "suite.json:1: expected JSON, found: "},
        {"{\"name\": \"s\",\n \"layers\": [}", "suite.json:2: expected JSON, found: "},
        {"{\"layers\": []} x", "suite.json:1: expected JSON, found: end of file expected"},
        {"{\"layers\": [], \"layers\": []}", "duplicate object key"},
        {"[]", "suite.json: expected an object with an array 'layers' of one layer or more"},
        {"{\"layers\": []}", "suite.json: expected an object with an array 'layers' of one layer or more"},
        {"{\"layers\": {}}", "suite.json: expected an object with an array 'layers' of one layer or more"},
        {"{\"title\": 1, \"layers\": [1]}", "suite.json: expected the fields name and layers, found 'title'"},
        {"{\"name\": 1, \"layers\": [{\"pattern\": \"nm:4x8@2:4\"}]}", "suite.json: expected a text for field 'name'"},
        {"{\"layers\": [1]}", "suite.json: layer 1: expected an object with a text 'pattern'"},
        {"{\"layers\": [{\"n\": 1}]}", "suite.json: layer 1: expected an object with a text 'pattern'"},
        {"{\"layers\": [{\"pattern\": \"nm:4x8@2:4\"}, {\"pattern\": 7}]}",
         "suite.json: layer 2: expected an object with a text 'pattern'"},
        {"{\"layers\": [{\"pattern\": \"nm:4x8@2:4\", \"m\": \"1\"}]}",
         "suite.json: layer 1: expected the fields pattern, name, n, op, layout, epilogue, image and count, found 'm'"},
        {"{\"layers\": [{\"pattern\": \"nm:4x8@2:4\", \"width\": 1}]}",
         "suite.json: layer 1: expected the fields pattern, name, n, op, layout, epilogue, image and count, found "
         "'width'"},
        {"{\"layers\": [{\"pattern\": \"nm:4x8@2:4\", \"n\": 0}]}", "suite.json: layer 1: expected n from 1 to"},
        {"{\"layers\": [{\"pattern\": \"nm:4x8@2:4\", \"n\": -1}]}", "suite.json: layer 1: expected n from 1 to"},
        {"{\"layers\": [{\"pattern\": \"nm:4x8@2:4\", \"n\": 1.5}]}", "suite.json: layer 1: expected n from 1 to"},
        {"{\"layers\": [{\"pattern\": \"nm:4x8@2:4\", \"n\": \"1\"}]}", "suite.json: layer 1: expected n from 1 to"},
        {"{\"layers\": [{\"pattern\": \"nm:4x8@2:4\", \"n\": 4294967296}]}", "suite.json: layer 1: expected n from 1"},
        {"{\"layers\": [{\"pattern\": \"nm:4x8@2:4\", \"count\": 0}]}", "suite.json: layer 1: expected count from 1"},
        {"{\"layers\": [{\"pattern\": \"nm:4x8@2:4\", \"op\": \"gemm\"}]}", "suite.json: layer 1: "},
        {"{\"layers\": [{\"pattern\": \"nm:4x8@2:4\", \"op\": \"gemm\"}]}", "'gemm'"},
        {"{\"layers\": [{\"pattern\": \"nm:4x8@2:4\", \"layout\": \"kn \"}]}", "'kn '"},
        {"{\"layers\": [{\"pattern\": \"nm:4x8@2:4\", \"epilogue\": 3}]}", "expected a text for field 'epilogue'"},
        {"{\"layers\": [{\"pattern\": \"nm:4x8@2:4\", \"name\": 3}]}", "expected a text for field 'name'"},
        {"{\"layers\": [{\"pattern\": \"a.txt\"}]}", "/a.txt: expected a file that ends in .smtx"},
        {"{\"layers\": [{\"pattern\": \"nm:4x8@4:2\"}]}", "suite.json: layer 1: nm:4x8@4:2: "},
        {"{\"layers\": [{\"pattern\": \"none.smtx\"}]}", "none.smtx: cannot be opened"},
    };
    for (int i = 0; i < N_ITEMS(rows); i++) {
        spt_layer_list list;
        spt_status status = read_suite(&list, *state, rows[i].text);
        if (status != SPT_EINVAL && status != SPT_EIO)
            fail_msg("%s: expected to be refused", rows[i].text);
        expect_sentence(rows[i].sentence, rows[i].text);
        spt_layer_list_fini(&list);
        assert_int_equal(spt_memory_live(), 0);
    }
}

static void the_suites_of_this_project_load_and_have_generators_alone(void **state) {
    static const struct {
        const char *path;
        int64_t count;
    } rows[] = {{"configs/resnet50.json", 21},    {"configs/resnet50_conv3x3.json", 7},
                {"configs/mobilenetv1.json", 10}, {"configs/transformer_base.json", 3},
                {"configs/bert_base.json", 4},    {"configs/demo.json", 8}};
    (void)state;
    for (int i = 0; i < N_ITEMS(rows); i++) {
        spt_layer_list list = {0};
        if (spt_layers_add_suite(&list, rows[i].path, &options) != SPT_OK)
            fail_msg("%s", spt_last_error());
        assert_non_null(list.title);
        assert_int_equal(list.count, rows[i].count);
        for (int64_t layer = 0; layer < list.count; layer++) {
            spt_matrix matrix;
            assert_true(spt_is_generator(list.items[layer].source));
            assert_true(list.items[layer].n >= 1 && list.items[layer].has_layout && list.items[layer].has_epilogue);
            assert_int_equal(spt_layer_load(&matrix, &list.items[layer], &options), SPT_OK);
            spt_matrix_fini(&matrix);
        }
        spt_layer_list_fini(&list);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_field_reaches_its_layer, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(paths_are_relative_to_the_suite, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(mistakes_are_named_with_layer_or_line, make_folder, remove_folder),
        cmocka_unit_test(the_suites_of_this_project_load_and_have_generators_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Generators: exact counts, distributions, seeds, specs that are refused; and `sparsetune generate`, whose files load.
 */
#include <math.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/input_fixture.h"
#include "tuner/command.h"
#include "tuner/input/models.h"

extern const spt_command spt_command_generate;

static void generate(spt_matrix *out, const char *spec, uint64_t seed) {
    if (spt_generate(out, spec, seed) != SPT_OK)
        fail_msg("%s", spt_last_error());
    assert_int_equal(spt_csr_check(&out->view, spec), SPT_OK);
}

static void every_spec_has_exactly_its_nonzeros(void **state) {
    static const struct {
        const char *spec;
        int64_t rows, cols, nnz;
    } rows[] = {
        {"uniform:512x256@0.9", 512, 256, 13107},
        {"uniform:1x1@0", 1, 1, 1},
        {"uniform:1x1@1", 1, 1, 0},
        {"uniform:3x1@0.5", 3, 1, 2},
        {"uniform:7x11@0", 7, 11, 77},
        {"uniform:1000x2048@0.9:seed=3", 1000, 2048, 204800},
        {"skew:512x256@0.9", 512, 256, 13107},
        {"skew:64x32@0.05", 64, 32, 1946},
        {"skew:5x3@0", 5, 3, 15},
        {"skew:5x3@1", 5, 3, 0},
        {"skew:33288x512@0.98", 33288, 512, 340869},
        {"nm:16x64@2:4", 16, 64, 512},
        {"nm:4x9@1:3", 4, 9, 12},
        {"nm:4x8@8:8", 4, 8, 32},
        {"block:64x32@4x1@0.75", 64, 32, 512},
        {"block:64x64@32x32@0.75", 64, 64, 1024},
        {"block:6x6@1x1@0.5", 6, 6, 18},
    };
    (void)state;
    for (int i = 0; i < N_ITEMS(rows); i++) {
        spt_matrix matrix;
        generate(&matrix, rows[i].spec, 5);
        assert_int_equal(matrix.view.n_rows, rows[i].rows);
        assert_int_equal(matrix.view.n_cols, rows[i].cols);
        if (spt_csr_nnz(&matrix.view) != rows[i].nnz)
            fail_msg("%s: expected %d nonzeros, found %d", rows[i].spec, (int)rows[i].nnz,
                     (int)spt_csr_nnz(&matrix.view));
        spt_matrix_fini(&matrix);
    }
    assert_int_equal(spt_memory_live(), 0);
}

/* 2000 patterns of 4 x 4 with 8 nonzeros: every cell is used 1000 times, give or take 5 deviations of sqrt(2000) / 2.
 */
static void uniform_patterns_use_every_cell_equally(void **state) {
    int used[16] = {0};
    (void)state;
    for (uint64_t seed = 0; seed < 2000; seed++) {
        float dense[16];
        spt_matrix matrix;
        generate(&matrix, "uniform:4x4@0.5", seed);
        spt_csr_to_dense(dense, &matrix.view);
        for (int cell = 0; cell < 16; cell++)
            used[cell] += dense[cell] > 0.0f;
        spt_matrix_fini(&matrix);
    }
    for (int cell = 0; cell < 16; cell++)
        assert_in_range(used[cell], 1000 - 112, 1000 + 112);
}

/* Standard deviation of the row lengths over their mean. */
static double row_variation(const spt_matrix *matrix) {
    double sum = 0.0, squares = 0.0;
    const double m = (double)matrix->view.n_rows;
    for (int64_t row = 0; row < matrix->view.n_rows; row++) {
        const double length = (double)(matrix->row_offsets[row + 1] - matrix->row_offsets[row]);
        sum += length;
        squares += length * length;
    }
    return sqrt(squares / m - sum / m * (sum / m)) / (sum / m);
}

static void skew_patterns_vary_as_pruned_layers_do(void **state) {
    spt_matrix skew, uniform;
    (void)state;
    generate(&skew, "skew:2048x512@0.9", 1);
    generate(&uniform, "uniform:2048x512@0.9", 1);
    assert_true(row_variation(&skew) > 0.3 && row_variation(&skew) < 0.6);
    assert_true(row_variation(&uniform) < 0.2);
    spt_matrix_fini(&skew);
    spt_matrix_fini(&uniform);
}

static void structured_patterns_have_their_structure(void **state) {
    spt_matrix nm, block;
    float dense[16 * 16];
    (void)state;
    generate(&nm, "nm:8x16@2:4", 1);
    spt_csr_to_dense(dense, &nm.view);
    for (int group = 0; group < 8 * 16 / 4; group++) {
        int n_kept = 0;
        for (int i = 0; i < 4; i++)
            n_kept += dense[group * 4 + i] > 0.0f;
        assert_int_equal(n_kept, 2);
    }
    spt_matrix_fini(&nm);
    generate(&block, "block:16x16@4x2@0.75", 1);
    spt_csr_to_dense(dense, &block.view);
    for (int cell = 0; cell < 16 * 16; cell++) { /* every cell is what the first cell of its block is */
        const int row = cell / 16, column = cell % 16;
        assert_int_equal(dense[cell] > 0.0f, dense[row / 4 * 4 * 16 + column / 2 * 2] > 0.0f);
    }
    spt_matrix_fini(&block);
}

static bool is_equal(const spt_matrix *a, const spt_matrix *b) {
    const int64_t nnz = spt_csr_nnz(&a->view);
    return spt_csr_nnz(&b->view) == nnz && memcmp(a->columns, b->columns, (size_t)nnz * sizeof *a->columns) == 0;
}

static void a_seed_makes_a_pattern_and_a_spec_s_own_seed_is_stronger(void **state) {
    static const char *const specs[][2] = {
        {"uniform:64x64@0.9", "uniform:64x64@0.9:seed=7"},
        {"skew:64x64@0.9", "skew:64x64@0.9:seed=7"},
        {"nm:64x64@2:4", "nm:64x64@2:4:seed=7"},
        {"block:64x64@4x1@0.9", "block:64x64@4x1@0.9:seed=7"},
    };
    (void)state;
    for (int i = 0; i < N_ITEMS(specs); i++) {
        spt_matrix seven, eight, own;
        generate(&seven, specs[i][0], 7);
        generate(&eight, specs[i][0], 8);
        generate(&own, specs[i][1], 8);
        assert_true(is_equal(&seven, &own));
        assert_false(is_equal(&seven, &eight));
        spt_matrix_fini(&seven);
        spt_matrix_fini(&eight);
        spt_matrix_fini(&own);
    }
}

static void bad_specs_are_refused_with_their_form(void **state) {
    static const struct {
        const char *spec, *sentence;
    } rows[] = {
        {"uniform:", "; the form is uniform:MxK@S"},
        {"uniform:512", "uniform:512: rows: expected a number and then 'x'"},
        {"uniform:512x256", "columns: expected a number and then '@'"},
        {"uniform:512x256@", "found ''"},
        {"uniform:0x256@0.5", "rows: expected a number from 1 to 2147483647, found '0'"},
        {"uniform:-1x256@0.5", "rows: expected a number from 1 to 2147483647, found '-1'"},
        {"uniform:4xfour@0.5", "found 'four'"},
        {"uniform:4x4@1.5", "sparsity: expected a number from 0 to 1, found '1.5'"},
        {"uniform:4x4@-0.5", "sparsity: expected a number from 0 to 1, found '-0.5'"},
        {"uniform:4x4@nan", "found 'nan'"},
        {"uniform:4x4@0.5x", "found '0.5x'"},
        {"uniform:4x4@90%", "found '90%'"},
        {"uniform:4x4@0.5:seed=x", "found 'x'"},
        {"uniform:4x4@0.5:seed=-1", "seed: expected a number from 0 to"},
        {"uniform:2147483647x2147483647@0.9", "expected at most 17179869184 cells"},
        {"uniform:99999999999999999999x1@0.9", "rows: expected a number from 1 to 2147483647"},
        {"nm:4x8@2", "N: expected a number and then ':'; the form is nm:MxK@N:M"},
        {"nm:4x8@4:2", "expected N at most M and columns divisible by M"},
        {"nm:4x9@2:4", "expected N at most M and columns divisible by M"},
        {"nm:4x8@0:4", "N: expected a number from 1 to"},
        {"block:64x64@4@0.5", "rows of a block: expected a number and then 'x'"},
        {"block:64x64@5x1@0.5", "expected a shape that is divisible by the block"},
        {"block:64x64@4x1", "columns of a block: expected a number and then '@'"},
    };
    (void)state;
    for (int i = 0; i < N_ITEMS(rows); i++) {
        spt_matrix matrix;
        assert_true(spt_is_generator(rows[i].spec));
        assert_int_equal(spt_generate(&matrix, rows[i].spec, 1), SPT_EINVAL);
        expect_sentence(rows[i].sentence, rows[i].spec);
        assert_int_equal(spt_generator_check(rows[i].spec), SPT_EINVAL);
        expect_sentence(rows[i].spec, rows[i].spec);
    }
    assert_false(spt_is_generator("uniform.smtx"));
    assert_false(spt_is_generator("folder/uniform:4x4@0.5"));
    assert_int_equal(spt_memory_live(), 0);
}

static spt_status parse_spec_text(spt_matrix *out, const char *path, const char *data, size_t size) {
    (void)path;
    (void)size;
    return spt_generate(out, data, 1);
}

static void a_failing_allocation_is_reported_and_leaks_nothing(void **state) {
    static const char *const specs[] = {"uniform:8x8@0.5", "skew:8x8@0.5", "nm:8x8@2:4", "block:8x8@2x2@0.5"};
    (void)state;
    for (int i = 0; i < N_ITEMS(specs); i++)
        expect_survives_failing_allocations(parse_spec_text, specs[i], strlen(specs[i]));
}

/* ---- the command ---- */

typedef struct fixture {
    char folder[256], path[300];
} fixture;

static int make_folder(void **state) {
    static fixture at;
    support_folder_make(at.folder, sizeof at.folder);
    *state = &at;
    return 0;
}

static int remove_folder(void **state) {
    const fixture *at = *state;
    support_folder_remove(at->folder);
    return 0;
}

static char *in_folder(fixture *at, const char *name) {
    snprintf(at->path, sizeof at->path, "%s/%s", at->folder, name);
    return at->path;
}

/* Run `sparsetune generate` on up to 7 words that end with NULL. */
static spt_status command(char *const *words) {
    char *argv[10] = {(char[]){"generate"}};
    int argc = 1, exit_code = 0;
    for (; words[argc - 1] != NULL; argc++)
        argv[argc] = words[argc - 1];
    spt_status status = spt_command_generate.run(argc, argv, &exit_code);
    fflush(stdout);
    return status;
}

#define WORDS(...) ((char *[]){__VA_ARGS__, NULL})
#define TEXT(literal) ((char[]){literal})

static void a_written_pattern_is_the_generated_one(void **state) {
    static const char *const specs[] = {"uniform:64x32@0.9", "uniform:3x5@1", "skew:64x32@0.7", "nm:8x16@2:4"};
    fixture *at = *state;
    for (int i = 0; i < N_ITEMS(specs); i++) {
        spt_matrix written, generated;
        char spec[64];
        snprintf(spec, sizeof spec, "%s", specs[i]);
        char *path = in_folder(at, "a.smtx");
        assert_int_equal(command(WORDS(spec, TEXT("--seed"), TEXT("3"), TEXT("-o"), path)), SPT_OK);
        assert_int_equal(load_argument(&written, path, 1), SPT_OK);
        generate(&generated, specs[i], 3);
        assert_int_equal(written.view.n_rows, generated.view.n_rows);
        assert_int_equal(written.view.n_cols, generated.view.n_cols);
        assert_memory_equal(written.row_offsets, generated.row_offsets,
                            (size_t)(generated.view.n_rows + 1) * sizeof *generated.row_offsets);
        assert_true(is_equal(&written, &generated));
        spt_matrix_fini(&written);
        spt_matrix_fini(&generated);
    }
    assert_int_equal(command(WORDS(TEXT("--uniform"), TEXT("8x8@0.5"), TEXT("--json"), TEXT("-o"), at->path)), SPT_OK);
}

static void what_cannot_be_written_leaves_nothing_behind(void **state) {
    fixture *at = *state;
    spt_matrix matrix;
    char *path = in_folder(at, "a.npy");
    assert_int_equal(command(WORDS(TEXT("uniform:4x4@0.5"), TEXT("-o"), path)), SPT_EINVAL);
    expect_sentence("expected -o with a name that ends in .smtx", "suffix");
    assert_int_not_equal(access(path, F_OK), 0);
    path = in_folder(at, "none/a.smtx");
    assert_int_equal(command(WORDS(TEXT("uniform:4x4@0.5"), TEXT("-o"), path)), SPT_EIO);
    expect_sentence("none/a.smtx: cannot be created: No such file", "missing folder");
    path = in_folder(at, "a.f32");
    write_bytes(path, "1234", 4);
    path = in_folder(at, "a.smtx");
    assert_int_equal(command(WORDS(TEXT("uniform:4x4@0.5"), TEXT("-o"), path)), SPT_EINVAL);
    expect_sentence("/a.f32 would be read as the values of the new pattern", "values beside");
    assert_int_not_equal(access(path, F_OK), 0);
    path = in_folder(at, "b.smtx");
    assert_int_equal(command(WORDS(TEXT("uniform:4x4@0.5"), TEXT("-o"), path)), SPT_OK);
    assert_int_equal(command(WORDS(TEXT("uniform:4x4@2"), TEXT("-o"), path)), SPT_EINVAL);
    assert_int_equal(load_argument(&matrix, path, 1), SPT_OK); /* the old file is whole */
    spt_matrix_fini(&matrix);
    assert_int_equal(command(WORDS(TEXT("--model"), TEXT("vgg"), TEXT("-o"), path)), SPT_EINVAL);
    expect_sentence("--model: expected resnet50, mobilenetv1, transformer_base or bert_base, found 'vgg'", "model");
    assert_int_equal(command(WORDS(TEXT("--model"), TEXT("bert_base"), TEXT("-o"), path)), SPT_EINVAL);
    expect_sentence("b.smtx: expected a folder", "file as folder");
}

static void a_model_is_written_as_files_and_a_suite_that_loads(void **state) {
    fixture *at = *state;
    const spt_model *model = spt_model_find("mobilenetv1");
    const spt_input_options options = {.min_sparsity = 0.0, .seed = 1};
    spt_layer_list list = {0};
    char suite[400];
    char *path = in_folder(at, "model");
    assert_non_null(model);
    assert_int_equal(command(WORDS(TEXT("--model"), TEXT("mobilenetv1"), TEXT("--json"), TEXT("-o"), path)), SPT_OK);
    snprintf(suite, sizeof suite, "%s/suite.json", path);
    if (spt_layers_add_suite(&list, suite, &options) != SPT_OK)
        fail_msg("%s", spt_last_error());
    assert_string_equal(list.title, model->title);
    assert_int_equal(list.count, model->n_layers);
    for (int i = 0; i < model->n_layers; i++) {
        const spt_model_layer *row = &model->layers[i];
        spt_matrix matrix;
        assert_int_equal(spt_layer_load(&matrix, &list.items[i], &options), SPT_OK);
        assert_int_equal(matrix.view.n_rows, row->m);
        assert_int_equal(matrix.view.n_cols, row->k);
        assert_int_equal(spt_csr_nnz(&matrix.view), llround((1.0 - row->sparsity) * row->m * row->k));
        assert_int_equal(list.items[i].n, row->n);
        assert_int_equal(list.items[i].count, row->count);
        spt_matrix_fini(&matrix);
    }
    spt_layer_list_fini(&list);
}

static size_t read_text(char *out, size_t capacity, const char *path) {
    FILE *stream = fopen(path, "rb");
    if (stream == NULL)
        fail_msg("%s: cannot be opened; tests run in the root of the repository", path);
    const size_t size = fread(out, 1, capacity - 1, stream);
    fclose(stream);
    out[size] = '\0';
    return size;
}

static void the_suites_in_configs_are_the_tables(void **state) {
    static const char *const models[] = {"resnet50", "mobilenetv1", "transformer_base", "bert_base"};
    static char written[65536], kept[65536];
    fixture *at = *state;
    for (int i = 0; i < N_ITEMS(models); i++) {
        char name[32], config[64];
        char *path = in_folder(at, "suite.json");
        snprintf(name, sizeof name, "%s", models[i]);
        snprintf(config, sizeof config, "configs/%s.json", models[i]);
        assert_int_equal(command(WORDS(TEXT("--model"), name, TEXT("-o"), path)), SPT_OK);
        assert_true(read_text(written, sizeof written, path) > 0);
        read_text(kept, sizeof kept, config);
        assert_string_equal(written, kept);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_spec_has_exactly_its_nonzeros),
        cmocka_unit_test(uniform_patterns_use_every_cell_equally),
        cmocka_unit_test(skew_patterns_vary_as_pruned_layers_do),
        cmocka_unit_test(structured_patterns_have_their_structure),
        cmocka_unit_test(a_seed_makes_a_pattern_and_a_spec_s_own_seed_is_stronger),
        cmocka_unit_test(bad_specs_are_refused_with_their_form),
        cmocka_unit_test(a_failing_allocation_is_reported_and_leaks_nothing),
        cmocka_unit_test_setup_teardown(a_written_pattern_is_the_generated_one, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(what_cannot_be_written_leaves_nothing_behind, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(a_model_is_written_as_files_and_a_suite_that_loads, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(the_suites_in_configs_are_the_tables, make_folder, remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

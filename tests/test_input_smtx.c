/* SPDX-License-Identifier: Apache-2.0 */
/* .smtx files and the .f32 values beside them, from tables and from the data folder. */
#include <math.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/input_fixture.h"

static const char good[] = "3, 4, 5\n0 2 2 5\n0 3 0 1 2\n";
static const float good_dense[] = {1, 0, 0, 1, 0, 0, 0, 0, 1, 1, 1, 0};

static void numbers_may_stand_on_any_lines(void **state) {
    static const char *const texts[] = {
        good,
        "3, 4, 5\r\n0 2 2 5\r\n0 3 0 1 2\r\n",
        "3 4 5 0 2 2 5 0 3 0 1 2",
        "\n 3,4,5\n0\n2\n2\n5\n0\t3 0\n1 2\n\n",
    };
    (void)state;
    for (int i = 0; i < N_ITEMS(texts); i++)
        expect_parsed(spt_parse_smtx, texts[i], strlen(texts[i]), 3, 4, good_dense);
}

static void empty_rows_one_column_and_no_nonzeros_are_matrices(void **state) {
    static const float one_column[] = {1, 0, 1}, nothing[4] = {0}, empty_rows[] = {0, 0, 0, 0, 0, 1, 0, 0};
    static const char one_column_text[] = "3, 1, 2\n0 1 1 2\n0 0", nothing_text[] = "2, 2, 0\n0 0 0\n\n",
                      empty_rows_text[] = "4, 2, 1\n0 0 0 1 1\n1\n";
    (void)state;
    expect_parsed(spt_parse_smtx, one_column_text, sizeof one_column_text - 1, 3, 1, one_column);
    expect_parsed(spt_parse_smtx, nothing_text, sizeof nothing_text - 1, 2, 2, nothing);
    expect_parsed(spt_parse_smtx, empty_rows_text, sizeof empty_rows_text - 1, 4, 2, empty_rows);
}

static void bad_text_is_refused_with_its_line(void **state) {
    static const bad_input inputs[] = {
        {"empty", "", 0, "file:1: expected the number of rows, found the end of the file"},
        {"letters", "a, 4, 5\n", 0, "file:1: expected the number of rows, found 'a,'"},
        {"bytes", "\x01\x02", 0, "file:1: expected the number of rows, found the byte 0x01"},
        {"nul", "3\0 4", 4, "file:1: expected the number of rows"},
        {"no rows", "0, 4, 0\n0\n", 0, "file:1: expected the number of rows from 1 to 2147483647, found 0"},
        {"negative", "-3, 4, 5\n", 0, "file:1: expected the number of rows from 1 to 2147483647, found -3"},
        {"negative nonzeros", "3, 4, -5\n", 0, "the number of nonzeros from 0 to 12, found -5"},
        {"too many nonzeros", "3, 4, 13\n", 0, "the number of nonzeros from 0 to 12, found 13"},
        {"fraction", "3.5, 4, 5\n", 0, "file:1: expected the number of rows, found '3.5,'"},
        {"overflow", "3, 99999999999999999999, 5\n", 0, "the number of columns from 1 to 2147483647, found 9999"},
        {"absurd", "2147483647, 2147483647, 4611686014132420609\n0", 0,
         "expected a header that fits a file of 45 bytes"},
        {"no offsets", "3, 4, 5\n", 0, "file:2: expected a row offset, found the end of the file"},
        {"falling offsets", "3, 4, 5\n0 3 2 5\n0 1 2 1 2\n", 0, "file:2: offset 2 falls from 3 to 2"},
        {"late offsets", "3, 4, 5\n1 2 2 5\n0 3 0 1 2\n", 0, "row offsets that start at 0"},
        {"offset beyond", "3, 4, 5\n0 2 6 5\n", 0, "file:2: expected a row offset from 0 to 5, found 6"},
        {"last offset", "3, 4, 5\n0 2 2 4\n0 3 0 1 2\n", 0, "file:2: expected the last row offset to be 5, found 4"},
        {"truncated", "3, 4, 5\n0 2 2 5\n0 3 0", 0, "file:3: expected a column index, found the end of the file"},
        {"column beyond", "1, 4, 2\n0 2\n3 4\n", 0, "file:3: expected a column index from 0 to 3, found 4"},
        {"negative column", "1, 4, 2\n0 2\n-1 3\n", 0, "file:3: expected a column index from 0 to 3, found -1"},
        {"unsorted", "1, 4, 2\n0 2\n3 1\n", 0, "row 0 has column 1 after column 3 at nonzero 1"},
        {"twice", "2, 4, 3\n0 1 3\n0 3 3\n", 0, "row 1 has column 3 after column 3 at nonzero 2"},
        {"long row", "1, 2, 3\n0 3\n0 1 1\n", 0, "the number of nonzeros from 0 to 2, found 3"},
        {"trailing", "1, 4, 1\n0 1\n3 9\n", 0, "file:3: expected the end of the file, found '9'"},
        {"glued", "1, 4, 1\n0 1\n3x\n", 0, "file:3: expected a column index, found '3x'"},
    };
    (void)state;
    expect_refused(spt_parse_smtx, inputs, N_ITEMS(inputs));
}

static void a_failing_allocation_is_reported_and_leaks_nothing(void **state) {
    (void)state;
    expect_survives_failing_allocations(spt_parse_smtx, good, sizeof good - 1);
}

/* ---- values beside, and what may stand where a file is expected ---- */

typedef struct folder {
    char root[256], smtx[300], f32[300];
} folder;

static void make_folder(folder *out) {
    support_folder_make(out->root, sizeof out->root);
    snprintf(out->smtx, sizeof out->smtx, "%s/a.smtx", out->root);
    snprintf(out->f32, sizeof out->f32, "%s/a.f32", out->root);
    write_bytes(out->smtx, good, sizeof good - 1);
}

static void values_come_from_the_file_beside_or_from_the_seed(void **state) {
    static const float values[] = {1.5f, -2.0f, 3.0f, 0.0f, 5.0f};
    folder at;
    spt_matrix drawn, again, other, read;
    (void)state;
    make_folder(&at);
    assert_int_equal(load_argument(&drawn, at.smtx, 1), SPT_OK);
    assert_int_equal(load_argument(&again, at.smtx, 1), SPT_OK);
    assert_int_equal(load_argument(&other, at.smtx, 2), SPT_OK);
    assert_memory_equal(drawn.values, again.values, sizeof values);
    assert_memory_not_equal(drawn.values, other.values, sizeof values);
    write_bytes(at.f32, values, sizeof values);
    assert_int_equal(load_argument(&read, at.smtx, 1), SPT_OK);
    assert_memory_equal(read.values, values, sizeof values);
    spt_matrix_fini(&drawn);
    spt_matrix_fini(&again);
    spt_matrix_fini(&other);
    spt_matrix_fini(&read);
    support_folder_remove(at.root);
}

static void bad_values_beside_are_refused_with_their_file(void **state) {
    static const float too_few[] = {1, 2, 3, 4}, too_many[] = {1, 2, 3, 4, 5, 6};
    const float not_a_number[] = {1, 2, NAN, 4, 5}, infinite[] = {1, 2, 3, 4, -INFINITY};
    const struct {
        const void *data;
        size_t size;
        const char *sentence;
    } rows[] = {
        {too_few, sizeof too_few, "/a.f32: expected 20 bytes, 4 for each nonzero of its pattern, found 16"},
        {too_many, sizeof too_many, "/a.f32: expected 20 bytes, 4 for each nonzero of its pattern, found 24"},
        {too_many, 19, "/a.f32: expected 20 bytes"},
        {too_many, 0, "/a.f32: expected 20 bytes"},
        {not_a_number, sizeof not_a_number, "/a.f32: row 2, column 0 (nonzero 2) has the value nan"},
        {infinite, sizeof infinite, "/a.f32: row 2, column 2 (nonzero 4) has the value -inf"},
    };
    folder at;
    spt_matrix matrix;
    (void)state;
    make_folder(&at);
    for (int i = 0; i < N_ITEMS(rows); i++) {
        write_bytes(at.f32, rows[i].data, rows[i].size);
        assert_int_equal(load_argument(&matrix, at.smtx, 1), SPT_EINVAL);
        expect_sentence(rows[i].sentence, "values");
        assert_int_equal(spt_memory_live(), 0);
    }
    assert_int_equal(unlink(at.f32), 0);
    assert_int_equal(mkdir(at.f32, 0700), 0);
    assert_int_equal(load_argument(&matrix, at.smtx, 1), SPT_EINVAL);
    expect_sentence("/a.f32: expected a regular file, found a directory", "folder beside");
    support_folder_remove(at.root);
}

static void what_is_no_pattern_file_is_refused_with_one_sentence(void **state) {
    folder at;
    char path[320];
    spt_matrix matrix;
    (void)state;
    make_folder(&at);
    snprintf(path, sizeof path, "%s/missing.smtx", at.root);
    assert_int_equal(load_argument(&matrix, path, 1), SPT_EIO);
    expect_sentence("missing.smtx: cannot be opened: No such file", "missing");
    snprintf(path, sizeof path, "%s/folder.smtx", at.root);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(load_argument(&matrix, path, 1), SPT_EINVAL);
    expect_sentence("folder.smtx: expected a regular file, found a directory", "folder");
    snprintf(path, sizeof path, "%s/pipe.smtx", at.root);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(load_argument(&matrix, path, 1), SPT_EINVAL);
    expect_sentence("pipe.smtx: expected a regular file", "pipe");
    snprintf(path, sizeof path, "%s/packed.smtx", at.root);
    write_bytes(path, "\x1f\x8b\x08\x00", 4);
    assert_int_equal(load_argument(&matrix, path, 1), SPT_EINVAL);
    expect_sentence("packed.smtx: expected .smtx, found gzip: unpack it first", "gzip");
    assert_int_equal(load_argument(&matrix, "weights.txt", 1), SPT_EINVAL);
    expect_sentence("weights.txt: expected a file that ends in .smtx, .mtx, .npy or .safetensors", "suffix");
    assert_int_equal(load_argument(&matrix, ".smtx", 1), SPT_EINVAL);
    assert_int_equal(spt_memory_live(), 0);
    support_folder_remove(at.root);
}

/* ---- the data folder ---- */

/* file,kind,rows,cols,nnz,... */
static void every_real_pattern_is_what_its_manifest_says(void **state) {
    char path[4096], line[4096];
    int n_files = 0;
    (void)state;
    if (!support_data_path(path, sizeof path, "patterns/manifest.csv"))
        skip();
    FILE *manifest = fopen(path, "r");
    assert_non_null(manifest);
    assert_non_null(fgets(line, sizeof line, manifest)); /* the header */
    while (fgets(line, sizeof line, manifest) != NULL) {
        char file[256], relative[300];
        long rows, cols, nnz;
        spt_matrix matrix;
        assert_int_equal(sscanf(line, "%255[^,],%*[^,],%ld,%ld,%ld", file, &rows, &cols, &nnz), 4);
        snprintf(relative, sizeof relative, "patterns/%s", file);
        assert_true(support_data_path(path, sizeof path, relative));
        if (load_argument(&matrix, path, 1) != SPT_OK)
            fail_msg("%s", spt_last_error());
        assert_int_equal(matrix.view.n_rows, rows);
        assert_int_equal(matrix.view.n_cols, cols);
        assert_int_equal(spt_csr_nnz(&matrix.view), nnz);
        assert_int_equal(spt_csr_check_finite(&matrix.view, file), SPT_OK);
        spt_matrix_fini(&matrix);
        n_files++;
    }
    fclose(manifest);
    assert_true(n_files > 0);
    assert_int_equal(spt_memory_live(), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_may_stand_on_any_lines),
        cmocka_unit_test(empty_rows_one_column_and_no_nonzeros_are_matrices),
        cmocka_unit_test(bad_text_is_refused_with_its_line),
        cmocka_unit_test(a_failing_allocation_is_reported_and_leaks_nothing),
        cmocka_unit_test(values_come_from_the_file_beside_or_from_the_seed),
        cmocka_unit_test(bad_values_beside_are_refused_with_their_file),
        cmocka_unit_test(what_is_no_pattern_file_is_refused_with_one_sentence),
        cmocka_unit_test(every_real_pattern_is_what_its_manifest_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

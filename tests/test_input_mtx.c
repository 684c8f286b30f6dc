/* SPDX-License-Identifier: Apache-2.0 */
/* Matrix Market files: formats, fields, symmetries, and everything that is refused. */
#include "tests/input_fixture.h"

#define BANNER "%%MatrixMarket matrix "

static const char good[] = BANNER "coordinate real general\n% words\n\n3 4 4\n3 1 1.5\n1 2 -2e-3\n1 1 +7\n2 4 .5\n";

static void every_legal_kind_gives_its_matrix(void **state) {
    static const struct {
        const char *text;
        int rows, cols;
        float dense[12];
    } rows[] = {
        {good, 3, 4, {7, -2e-3f, 0, 0, 0, 0, 0, .5f, 1.5f, 0, 0, 0}},
        {"%%matrixmarket MATRIX Coordinate INTEGER General\r\n2 2 2\r\n2 2 5\r\n1 1 -3\r\n", 2, 2, {-3, 0, 0, 5}},
        {BANNER "coordinate pattern general\n2 3 2\n2 3\n1 1\n", 2, 3, {1, 0, 0, 0, 0, 1}},
        {BANNER "coordinate real symmetric\n3 3 3\n1 1 1\n2 1 2\n3 2 3\n", 3, 3, {1, 2, 0, 2, 0, 3, 0, 3, 0}},
        {BANNER "coordinate real skew-symmetric\n3 3 2\n2 1 2\n3 1 -4\n", 3, 3, {0, -2, 4, 2, 0, 0, -4, 0, 0}},
        {BANNER "coordinate real general\n2 2 2\n1 1 0\n2 2 1\n", 2, 2, {0, 0, 0, 1}}, /* a written zero is a zero */
        {BANNER "coordinate real general\n2 2 0\n", 2, 2, {0}},
        {BANNER "array real general\n% by columns\n2 3\n1\n0\n0\n2\n3\n0\n", 2, 3, {1, 0, 3, 0, 2, 0}},
    };
    (void)state;
    for (int i = 0; i < N_ITEMS(rows); i++)
        expect_parsed(spt_parse_mtx, rows[i].text, strlen(rows[i].text), rows[i].rows, rows[i].cols, rows[i].dense);
}

static void bad_text_is_refused_with_its_line(void **state) {
    static const bad_input inputs[] = {
        {"empty", "", 0, "file: expected a Matrix Market file, found an empty file"},
        {"another file", "3, 4, 5\n", 0, "file:1: expected '%%MatrixMarket"},
        {"terminal codes", "\033[2J\x9b\tx\n", 0, "SYMMETRY', found '?[2J? x'"},
        {"codes in a word", BANNER "\033]0;x\a real general\n", 0, "format coordinate or array, found '?]0;x?'"},
        {"vector", "%%MatrixMarket vector coordinate real general\n", 0, "file:1: expected '%%MatrixMarket matrix"},
        {"format", BANNER "dense real general\n", 0, "file:1: expected format coordinate or array, found 'dense'"},
        {"complex", BANNER "coordinate complex general\n", 0,
         "expected field real, integer or pattern, found 'complex'"},
        {"hermitian", BANNER "coordinate real hermitian\n", 0, "symmetric or skew-symmetric, found 'hermitian'"},
        {"array of pattern", BANNER "array pattern general\n2 2\n", 0, "expected an array of values without symmetry"},
        {"no sizes", BANNER "coordinate real general\n", 0, "file:2: expected the number of rows, found the end"},
        {"no rows", BANNER "coordinate real general\n0 2 0\n", 0, "expected the number of rows from 1 to"},
        {"negative", BANNER "coordinate real general\n2 -2 1\n", 0, "expected the number of columns from 1 to"},
        {"absurd rows", BANNER "coordinate pattern general\n2147483647 3 1\n1 1\n", 0,
         "file:2: expected a number of rows that fits a file of 68 bytes, found 2147483647"},
        {"absurd entries", BANNER "coordinate pattern general\n3 3 9000000000\n1 1\n", 0,
         "file:2: expected a number of entries that fits the file, from 0 to 17, found 9000000000"},
        {"truncated", BANNER "coordinate real general\n2 2 2\n1 1 5\n", 0, "file:4: expected a row, found the end"},
        {"row beyond", BANNER "coordinate real general\n2 2 1\n3 1 1\n", 0,
         "file:3: expected a row from 1 to 2, found 3"},
        {"from zero", BANNER "coordinate real general\n2 2 1\n0 1 1\n", 0,
         "file:3: expected a row from 1 to 2, found 0"},
        {"column beyond", BANNER "coordinate real general\n2 2 1\n1 3 1\n", 0, "file:3: expected a column from 1 to 2"},
        {"nan", BANNER "coordinate real general\n2 2 1\n1 1 nan\n", 0, "file:3: expected a finite value, found 'nan'"},
        {"inf", BANNER "coordinate real general\n2 2 1\n1 1 -inf\n", 0,
         "file:3: expected a finite value, found '-inf'"},
        {"hexadecimal", BANNER "coordinate real general\n2 2 1\n1 1 0x10\n", 0, "a finite value, found '0x10'"},
        {"too large for f32", BANNER "coordinate real general\n2 2 1\n2 1 1e300\n", 0, "has the value inf"},
        {"value on the next line", BANNER "coordinate real general\n2 2 2\n1 1\n2 2 5\n", 0,
         "file:3: expected a finite value, found the end of the line"},
        {"value of a pattern", BANNER "coordinate pattern general\n2 2 1\n1 1 5\n", 0,
         "file:3: expected one entry in a line"},
        {"twice", BANNER "coordinate real general\n2 2 3\n1 1 1\n2 2 1\n1 1 2\n", 0, "row 1, column 1 is there twice"},
        {"both triangles", BANNER "coordinate real symmetric\n2 2 2\n2 1 1\n1 2 1\n", 0, "is there twice"},
        {"skew diagonal", BANNER "coordinate real skew-symmetric\n2 2 1\n2 2 1\n", 0, "file:3: expected no diagonal"},
        {"not square", BANNER "coordinate real symmetric\n2 3 1\n1 1 1\n", 0,
         "file:2: expected a square symmetric matrix"},
        {"trailing", BANNER "coordinate real general\n2 2 1\n1 1 1\n2 2 2\n", 0,
         "file:4: expected the end of the file"},
        {"absurd array", BANNER "array real general\n2147483647 2147483647\n1\n", 0,
         "elements of its shape, found bytes for at most"},
        {"short array", BANNER "array real general\n2 2\n1\n2\n3\n", 0,
         "file:6: expected a finite value, found the end"},
        {"long array", BANNER "array real general\n1 2\n1\n2\n3\n", 0,
         "file:5: expected the end of the file, found '3'"},
        {"nan array", BANNER "array real general\n1 2\n1\nnan\n", 0, "file:4: expected a finite value, found 'nan'"},
    };
    (void)state;
    expect_refused(spt_parse_mtx, inputs, N_ITEMS(inputs));
}

static void a_failing_allocation_is_reported_and_leaks_nothing(void **state) {
    static const char array[] = BANNER "array real general\n2 2\n1\n0\n0\n2\n";
    (void)state;
    expect_survives_failing_allocations(spt_parse_mtx, good, sizeof good - 1);
    expect_survives_failing_allocations(spt_parse_mtx, array, sizeof array - 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_legal_kind_gives_its_matrix),
        cmocka_unit_test(bad_text_is_refused_with_its_line),
        cmocka_unit_test(a_failing_allocation_is_reported_and_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

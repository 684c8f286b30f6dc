/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of loaders share: parse text, compare a matrix, expect a sentence, fail every allocation once. */
#ifndef SPT_TESTS_INPUT_FIXTURE_H
#define SPT_TESTS_INPUT_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/memory.h"
#include "tests/support.h"
#include "tuner/input/loaders.h"

typedef spt_status (*input_parser)(spt_matrix *out, const char *path, const char *data, size_t size);

/* Bytes that must be refused, and what the sentence says of them. */
typedef struct bad_input {
    const char *name, *text;
    size_t size; /* 0: strlen(text) */
    const char *sentence;
} bad_input;

#define N_ITEMS(array) ((int)(sizeof(array) / sizeof((array)[0])))

static inline void expect_sentence(const char *fragment, const char *name) {
    if (strstr(spt_last_error(), fragment) == NULL)
        fail_msg("%s: expected a sentence with '%s', found '%s'", name, fragment, spt_last_error());
}

static inline void expect_refused(input_parser parse, const bad_input *inputs, int n_inputs) {
    for (int i = 0; i < n_inputs; i++) {
        spt_matrix matrix;
        const size_t size = inputs[i].size != 0 ? inputs[i].size : strlen(inputs[i].text);
        if (parse(&matrix, "file", inputs[i].text, size) != SPT_EINVAL)
            fail_msg("%s: expected EINVAL", inputs[i].name);
        expect_sentence(inputs[i].sentence, inputs[i].name);
        spt_matrix_fini(&matrix);
    }
    assert_int_equal(spt_memory_live(), 0);
}

/* Compare with a dense picture, row-major. values == NULL: only where the nonzeros are. */
static inline void expect_dense(const spt_matrix *matrix, int64_t rows, int64_t cols, const float *dense) {
    float found[256];
    assert_int_equal(matrix->view.n_rows, rows);
    assert_int_equal(matrix->view.n_cols, cols);
    assert_true(rows * cols <= N_ITEMS(found));
    spt_csr_to_dense(found, &matrix->view);
    for (int64_t i = 0; i < rows * cols; i++) {
        if (found[i] < dense[i] || found[i] > dense[i])
            fail_msg("element %d: expected %g, found %g", (int)i, (double)dense[i], (double)found[i]);
    }
}

static inline void expect_parsed(input_parser parse, const char *text, size_t size, int64_t rows, int64_t cols,
                                 const float *dense) {
    spt_matrix matrix;
    if (parse(&matrix, "file", text, size) != SPT_OK)
        fail_msg("%s", spt_last_error());
    assert_int_equal(spt_csr_check(&matrix.view, "result"), SPT_OK);
    expect_dense(&matrix, rows, cols, dense);
    spt_matrix_fini(&matrix);
}

/* With its n-th allocation failing, for every n, a parser says ENOMEM and leaves nothing behind. */
static inline void expect_survives_failing_allocations(input_parser parse, const char *data, size_t size) {
    spt_status status = SPT_ENOMEM;
    long n = 0;
    for (; status != SPT_OK && n < 1000; n++) {
        spt_matrix matrix;
        spt_memory_fail_after(n);
        status = parse(&matrix, "file", data, size);
        spt_memory_fail_after(-1);
        if (status != SPT_OK)
            assert_int_equal(status, SPT_ENOMEM);
        spt_matrix_fini(&matrix);
        assert_int_equal(spt_memory_live(), 0);
    }
    assert_int_equal(status, SPT_OK);
    assert_true(n > 1);
}

static inline void write_bytes(const char *path, const void *data, size_t size) {
    FILE *stream = fopen(path, "wb");
    assert_non_null(stream);
    assert_int_equal(fwrite(data, 1, size, stream), size);
    assert_int_equal(fclose(stream), 0);
}

/* Load one pattern argument, which must give exactly one layer. */
static inline spt_status load_argument(spt_matrix *out, const char *argument, uint64_t seed) {
    const spt_input_options options = {.min_sparsity = 0.0, .seed = seed};
    spt_layer_list list = {0};
    *out = (spt_matrix){0};
    spt_status status = spt_layers_add(&list, argument, &options);
    if (status == SPT_OK) {
        assert_int_equal(list.count, 1);
        status = spt_layer_load(out, &list.items[0], &options);
    }
    spt_layer_list_fini(&list);
    return status;
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The summary, the plot and the page of a bench, on times that are made up: no clock, no rival. */
#include <stdio.h>
#include <stdlib.h>

#include "core/text.h"
#include "tests/unit.h"
#include "tuner/commands/bench_summary.h"

static void add_layer(spt_bench_summary *summary, const char *name, double sparsity, double dense_ns) {
    spt_bench_layer layer = {.m = 64, .k = 32, .n = 16, .sparsity = sparsity, .dense_ns = dense_ns};
    spt_copy_text(layer.name, sizeof layer.name, name);
    expect_ok(spt_bench_summary_layer(summary, &layer));
}

static void add_time(spt_bench_summary *summary, const char *contender, double ns) {
    spt_bench_time time = {.ns = ns, .bound_ns = 0.5 * ns, .pack_ns = 2e6, .variant = "family point"};
    spt_copy_text(time.contender, sizeof time.contender, contender);
    expect_ok(spt_bench_summary_time(summary, &time));
}

/* Two layers at 90 % with 2x and 8x over dense, one at 50 % that a rival wins by 2x, one that is not tuned. */
static void fill(spt_bench_summary *summary) {
    add_layer(summary, "first", 0.9, 200.0);
    add_time(summary, "tuned", 100.0);
    add_time(summary, "default", 150.0);
    add_time(summary, "dense_openblas", 200.0);
    add_time(summary, "advice_onednn_int8", 20.0); /* never mixed in, however fast */
    add_layer(summary, "second", 0.9, 800.0);
    add_time(summary, "tuned", 100.0);
    add_time(summary, "dense_openblas", 800.0);
    add_time(summary, "csr", 98.0); /* within the margin */
    add_layer(summary, "lost", 0.5, 300.0);
    add_time(summary, "tuned", 300.0);
    add_time(summary, "dense_openblas", 300.0);
    add_time(summary, "mkl_sparse", 200.0);
    add_time(summary, "csr", 150.0);
    add_layer(summary, "untuned", 0.9, 300.0);
    add_time(summary, "default", 10.0);
    add_time(summary, "dense_openblas", 300.0);
}

static char *printed(const spt_bench_summary *summary) {
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    assert_non_null(stream);
    spt_bench_summary_print(summary, stream);
    assert_int_equal(fclose(stream), 0);
    return text;
}

static void expect_text(const char *text, const char *part) {
    if (strstr(text, part) == NULL)
        fail_msg("expected '%s' in:\n%s", part, text);
}

static int count(const char *text, const char *part) {
    const size_t length = strlen(part);
    int n = 0;
    for (size_t at = 0; text[at] != '\0'; at++)
        n += strncmp(text + at, part, length) == 0;
    return n;
}

static void means_are_geometric_and_by_band(void **state) {
    (void)state;
    spt_bench_summary summary = {0};
    fill(&summary);
    char *text = printed(&summary);
    expect_text(text, "85-92 %         2 layers     4.00"); /* sqrt(2 * 8) */
    expect_text(text, "45-75 %         1 layers     1.00");
    expect_text(text, "all             3 layers     2.52"); /* (2 * 8 * 1)^(1/3) */
    expect_text(text, "default               1 layers     1.50");
    expect_text(text, "share of their bound: 50 %");
    expect_text(text,
                "narrower types; other results, so in no figure above\n  advice_onednn_int8    1 layers     0.20");
    expect_text(text, "2.00 ms at most");
    free(text);
    spt_bench_summary_fini(&summary);
}

static void a_lost_layer_counts_once_and_names_its_fastest_rival(void **state) {
    (void)state;
    spt_bench_summary summary = {0};
    fill(&summary);
    char *text = printed(&summary);
    expect_text(text, "lost, n 16: csr is faster than the winner by 2.00x");
    expect_text(text, "on 1 of 3 layers");
    assert_int_equal(count(text, "is faster than the winner by"), 2); /* the layer's line and the count's */
    free(text);
    spt_bench_summary_fini(&summary);
}

static void an_untuned_layer_is_missing_and_enters_no_mean(void **state) {
    (void)state;
    spt_bench_summary summary = {0};
    fill(&summary);
    char *text = printed(&summary);
    expect_text(text, "tuned is missing on 1 of 4 layers");
    free(text);
    spt_bench_summary_fini(&summary);
}

static void an_empty_summary_prints_nothing(void **state) {
    (void)state;
    const spt_bench_summary summary = {0};
    char *text = printed(&summary);
    assert_string_equal(text, "");
    free(text);
}

typedef void writer(const spt_bench_summary *summary, FILE *out);

static void write_page(const spt_bench_summary *summary, FILE *out) {
    const spt_device device = {.key = "cpu|key", .name = "a chip", .isa = SPT_ISA_PLAIN, .n_cores = 3, .os = "an os"};
    const spt_bench_page_head head = {&device, "sparsetune bench x", "- dense_openblas: OpenBLAS 1\n"};
    spt_bench_page(summary, &head, out);
}

/* What a writer writes. */
static char *written(writer *write) {
    char *text = NULL;
    size_t size = 0;
    spt_bench_summary summary = {0};
    fill(&summary);
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    write(&summary, out);
    assert_int_equal(fclose(out), 0);
    spt_bench_summary_fini(&summary);
    return text;
}

static void the_plot_has_a_dot_per_time_and_an_entry_per_contender(void **state) {
    (void)state;
    char *text = written(spt_bench_plot);
    expect_text(text, "<svg ");
    expect_text(text, "</svg>");
    assert_int_equal(count(text, "r=\"3.2\""), 12);
    assert_int_equal(count(text, "r=\"4\""), 5);
    free(text);
}

static void the_page_has_machine_command_libraries_and_a_row_per_layer(void **state) {
    (void)state;
    char *text = written(write_page);
    expect_text(text, "a chip, plain kernels, usable cores: 3, an os");
    expect_text(text, "    sparsetune bench x\n");
    expect_text(text, "- dense_openblas: OpenBLAS 1\n");
    expect_text(text, "| default | dense_openblas | advice_onednn_int8 | csr | mkl_sparse |\n");
    expect_text(
        text,
        "| first | 64 | 32 | 16 | 90.0 % | family point | 0.1 | 2.00 | 50 % | 2.00 | 1.50 | 2.00 | 0.20 | - | - |\n");
    expect_text(text, "| untuned | 64 | 32 | 16 | 90.0 % | not tuned | - | - | - | - | - | - | - | - | - |\n");
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(means_are_geometric_and_by_band),
        cmocka_unit_test(a_lost_layer_counts_once_and_names_its_fastest_rival),
        cmocka_unit_test(an_untuned_layer_is_missing_and_enters_no_mean),
        cmocka_unit_test(an_empty_summary_prints_nothing),
        cmocka_unit_test(the_plot_has_a_dot_per_time_and_an_entry_per_contender),
        cmocka_unit_test(the_page_has_machine_command_libraries_and_a_row_per_layer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

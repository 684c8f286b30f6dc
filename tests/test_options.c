/* SPDX-License-Identifier: Apache-2.0 */
/* Options of the command line: tables of words in, values or one sentence out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tuner/options.h"

typedef struct own_options {
    bool all;
    const char *suite;
    int64_t budget;
    uint64_t seed;
    double time_s, share;
} own_options;

#define WORDS_MAX 16

/* Parse up to 15 words after the command's name; words ends with NULL. argv is a copy, as the parser reorders it. */
static spt_status parse(char **argv, int *n_arguments, own_options *own, spt_problem_options *problem,
                        const char *const *words) {
    const spt_option rows[] = {
        {"--all", SPT_OPTION_FLAG, &own->all},         {"--suite", SPT_OPTION_TEXT, &own->suite},
        {"--budget", SPT_OPTION_COUNT, &own->budget},  {"--seed", SPT_OPTION_SEED, &own->seed},
        {"--time", SPT_OPTION_DURATION, &own->time_s}, {"--share", SPT_OPTION_SHARE, &own->share},
        {"--shard", SPT_OPTION_LATER, NULL},
    };
    int argc = 1;
    argv[0] = "cmd";
    for (; words[argc - 1] != NULL; argc++)
        argv[argc] = (char *)(uintptr_t)words[argc - 1];
    argv[argc] = NULL;
    *own = (own_options){.budget = 100};
    return spt_options_parse(n_arguments, argc, argv, rows, (int)(sizeof rows / sizeof rows[0]), problem);
}

static void options_stand_before_between_and_after_arguments(void **state) {
    (void)state;
    static const char *const orders[][WORDS_MAX] = {
        {"--budget", "7", "--json", "a", "b", NULL},
        {"a", "--budget=7", "b", "--json", NULL},
        {"a", "b", "--json", "--budget", "7", NULL},
        {"--json", "--budget=7", "--", "a", "b", NULL},
    };
    for (size_t i = 0; i < sizeof orders / sizeof orders[0]; i++) {
        char *argv[WORDS_MAX + 1];
        int n = 0;
        own_options own;
        spt_problem_options problem;
        assert_int_equal(parse(argv, &n, &own, &problem, orders[i]), SPT_OK);
        assert_int_equal(n, 2);
        assert_string_equal(argv[1], "a");
        assert_string_equal(argv[2], "b");
        assert_int_equal(own.budget, 7);
        assert_true(problem.json);
    }
}

static void problem_options_have_their_defaults(void **state) {
    (void)state;
    static const char *const words[] = {"x.smtx", NULL};
    char *argv[WORDS_MAX + 1];
    int n = 0;
    own_options own;
    spt_problem_options problem;
    assert_int_equal(parse(argv, &n, &own, &problem, words), SPT_OK);
    assert_int_equal(problem.op, SPT_SPMM);
    assert_int_equal(problem.dtype, SPT_F32);
    assert_int_equal(problem.layout, SPT_KN);
    assert_int_equal(problem.epilogue, SPT_EPILOGUE_NONE);
    assert_int_equal(problem.cache, SPT_HOT);
    assert_int_equal(problem.threads, 0);
    assert_int_equal(problem.n_widths, 0);
    assert_string_equal(problem.device, "cpu");
    assert_null(problem.db_path);
    assert_false(problem.json);
}

static void every_problem_option_is_understood(void **state) {
    (void)state;
    static const char *const words[] = {
        "--op=spmm",   "--dtype=f32",   "--layout=nk", "--epilogue=bias_relu", "--cache=cold",
        "--threads=3", "--n=128,7,128", "--db=x.db",   "--device=cpu",         "--json",
        NULL};
    char *argv[WORDS_MAX + 1];
    int n = 0;
    own_options own;
    spt_problem_options problem;
    assert_int_equal(parse(argv, &n, &own, &problem, words), SPT_OK);
    assert_true(problem.has_op);
    assert_int_equal(problem.op, SPT_SPMM);
    assert_int_equal(problem.dtype, SPT_F32);
    assert_int_equal(problem.layout, SPT_NK);
    assert_int_equal(problem.epilogue, SPT_BIAS_RELU);
    assert_int_equal(problem.cache, SPT_COLD);
    assert_int_equal(problem.threads, 3);
    assert_int_equal(problem.n_widths, 2);
    assert_int_equal(problem.widths[0], 128);
    assert_int_equal(problem.widths[1], 7);
    assert_false(problem.is_range);
    assert_string_equal(problem.db_path, "x.db");
}

static void an_operation_without_epilogues_takes_none(void **state) {
    (void)state;
    static const char *const words[] = {"--op=sddmm", "--epilogue=none", NULL};
    char *argv[WORDS_MAX + 1];
    int n = 0;
    own_options own;
    spt_problem_options problem;
    assert_int_equal(parse(argv, &n, &own, &problem, words), SPT_OK);
    assert_int_equal(problem.op, SPT_SDDMM);
    assert_int_equal(problem.epilogue, SPT_EPILOGUE_NONE);
}

static void times_have_units(void **state) {
    (void)state;
    static const struct {
        const char *text;
        double seconds;
    } cases[] = {{"90", 90.0}, {"90s", 90.0}, {"15m", 900.0}, {"2h", 7200.0}, {"0.5m", 30.0}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *words[] = {"--time", cases[i].text, NULL};
        char *argv[WORDS_MAX + 1];
        int n = 0;
        own_options own;
        spt_problem_options problem;
        assert_int_equal(parse(argv, &n, &own, &problem, words), SPT_OK);
        assert_true(own.time_s == cases[i].seconds);
    }
}

/* Each mistake gives a sentence that names the culprit. */
static void mistakes_are_named(void **state) {
    (void)state;
    static const struct {
        const char *words[3];
        spt_status status;
        const char *names;
    } cases[] = {
        {{"--frobnicate", NULL}, SPT_EINVAL, "--frobnicate"},
        {{"--budget", NULL}, SPT_EINVAL, "--budget"},
        {{"--budget", "0", NULL}, SPT_EINVAL, "--budget"},
        {{"--budget", "1x", NULL}, SPT_EINVAL, "--budget"},
        {{"--budget=99999999999999999999", NULL}, SPT_EINVAL, "--budget"},
        {{"--seed", "-1", NULL}, SPT_EINVAL, "--seed"},
        {{"--time", "soon", NULL}, SPT_EINVAL, "soon"},
        {{"--time", "m", NULL}, SPT_EINVAL, "'m'"},
        {{"--time", "-3s", NULL}, SPT_EINVAL, "-3s"},
        {{"--time", "0s", NULL}, SPT_EINVAL, "0s"},
        {{"--time=0", NULL}, SPT_EINVAL, "above zero"},
        {{"--share", "1.5", NULL}, SPT_EINVAL, "--share"},
        {{"--share", "nan", NULL}, SPT_EINVAL, "--share"},
        {{"--all=yes", NULL}, SPT_EINVAL, "--all"},
        {{"--json=1", NULL}, SPT_EINVAL, "--json"},
        {{"--suite=", NULL}, SPT_EINVAL, "--suite"},
        {{"--shard", "1/2", NULL}, SPT_EINVAL, "not in this version"},
        {{"--n", "0", NULL}, SPT_EINVAL, "--n"},
        {{"--n", "12,", NULL}, SPT_EINVAL, "--n"},
        {{"--n", "8:2", NULL}, SPT_EINVAL, "the end of --n"},
        {{"--n", "0:8", NULL}, SPT_EINVAL, "--n"},
        {{"--n", "4:", NULL}, SPT_EINVAL, "the end of --n"},
        {{"--n=99999999999", NULL}, SPT_EINVAL, "--n"},
        {{"--op=sddmm", "--epilogue=bias", NULL}, SPT_EINVAL, "expected --epilogue none with --op sddmm, found bias"},
        {{"--op", "conv1d", NULL}, SPT_EINVAL, "conv1d"},
        {{"--image", "56", NULL}, SPT_EINVAL, "56"},
        {{"--image=56x56s2", NULL}, SPT_EINVAL, "--op conv2d"},
        {{"--dtype", "f64", NULL}, SPT_EINVAL, "f64"},
        {{"--layout", "nn", NULL}, SPT_EINVAL, "nn"},
        {{"--epilogue", "gelu", NULL}, SPT_EINVAL, "gelu"},
        {{"--cache", "warm", NULL}, SPT_EINVAL, "warm"},
        {{"--threads", "0", NULL}, SPT_EINVAL, "--threads"},
        {{"--device", "tpu", NULL}, SPT_EINVAL, "tpu"},
        {{"--device", "cuda:x", NULL}, SPT_EINVAL, "cuda:x"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *argv[WORDS_MAX + 1];
        int n = 0;
        own_options own;
        spt_problem_options problem;
        assert_int_equal(parse(argv, &n, &own, &problem, cases[i].words), cases[i].status);
        if (strstr(spt_last_error(), cases[i].names) == NULL)
            fail_msg("case %zu: '%s' does not name '%s'", i, spt_last_error(), cases[i].names);
    }
}

static void a_width_comes_from_the_line_or_the_layer(void **state) {
    (void)state;
    spt_problem_options options = {.device = "cpu"};
    spt_layer layer = {.name = "conv1", .n = 49};
    const int64_t *widths = NULL;
    int n_widths = 0;
    assert_int_equal(spt_options_widths(&widths, &n_widths, &options, &layer), SPT_OK);
    assert_int_equal(n_widths, 1);
    assert_int_equal(widths[0], 49);
    options.n_widths = 2;
    options.widths[0] = 3;
    options.widths[1] = 5;
    assert_int_equal(spt_options_widths(&widths, &n_widths, &options, &layer), SPT_OK);
    assert_int_equal(n_widths, 2);
    assert_int_equal(widths[1], 5);
    options.n_widths = 0;
    layer.n = 0;
    assert_int_equal(spt_options_widths(&widths, &n_widths, &options, &layer), SPT_EINVAL);
    assert_non_null(strstr(spt_last_error(), "conv1"));
}

static void the_command_line_is_stronger_than_the_suite(void **state) {
    (void)state;
    spt_problem_options options = {.device = "cpu", .layout = SPT_KN};
    const spt_layer layer = {
        .name = "fc", .n = 1, .has_layout = true, .layout = SPT_NK, .has_epilogue = true, .epilogue = SPT_BIAS};
    spt_problem problem = spt_options_problem(&options, &layer, 64);
    assert_int_equal(problem.layout, SPT_NK);
    assert_int_equal(problem.epilogue, SPT_BIAS);
    assert_int_equal(problem.n, 64);
    options.has_layout = options.has_epilogue = true;
    problem = spt_options_problem(&options, &layer, 64);
    assert_int_equal(problem.layout, SPT_KN);
    assert_int_equal(problem.epilogue, SPT_EPILOGUE_NONE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_stand_before_between_and_after_arguments),
        cmocka_unit_test(problem_options_have_their_defaults),
        cmocka_unit_test(every_problem_option_is_understood),
        cmocka_unit_test(an_operation_without_epilogues_takes_none),
        cmocka_unit_test(times_have_units),
        cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(a_width_comes_from_the_line_or_the_layer),
        cmocka_unit_test(the_command_line_is_stronger_than_the_suite),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

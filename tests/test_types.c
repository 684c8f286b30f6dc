/* SPDX-License-Identifier: Apache-2.0 */
/* Names of enumerations, statuses and phases: stored for ever, so spelled out here once more. */
#include "tests/unit.h"

#include "core/trial.h"
#include "core/types.h"

typedef const char *(*name_fn)(int value);
typedef spt_status (*parse_fn)(int *out, const char *name);

#define ADAPTERS(type, stem)                                                                                           \
    static const char *stem##_name(int value) {                                                                        \
        return spt_##stem##_name((type)value);                                                                         \
    }                                                                                                                  \
    static spt_status stem##_parse(int *out, const char *name) {                                                       \
        type parsed = (type)*out;                                                                                      \
        const spt_status status = spt_##stem##_parse(&parsed, name);                                                   \
        *out = (int)parsed;                                                                                            \
        return status;                                                                                                 \
    }
ADAPTERS(spt_op, op)
ADAPTERS(spt_dtype, dtype)
ADAPTERS(spt_layout, layout)
ADAPTERS(spt_epilogue, epilogue)
ADAPTERS(spt_cache, cache)
ADAPTERS(spt_match, match)
ADAPTERS(spt_trial_status, trial_status)
ADAPTERS(spt_phase, phase)

static const struct {
    name_fn name;
    parse_fn parse;
    const char *names[8];
} tables[] = {
    {op_name, op_parse, {"spmm", "sddmm", "conv2d"}},
    {dtype_name, dtype_parse, {"f32", "bf16", "f16", "i8", "e4m3", "e5m2", "tf32"}},
    {layout_name, layout_parse, {"kn", "nk"}},
    {epilogue_name, epilogue_parse, {"none", "bias", "bias_relu", "bias_add_relu"}},
    {cache_name, cache_parse, {"hot", "cold"}},
    {match_name, match_parse, {"exact", "near_size", "near_pattern", "near_device", "default"}},
    {trial_status_name,
     trial_status_parse,
     {"correct", "compile", "runtime", "timeout", "correctness", "constraints", "dropped"}},
    {phase_name, phase_parse, {"search", "final"}},
};

static void every_name_is_stored_as_written_here_and_parses_back(void **state) {
    (void)state;
    for (int i = 0; i < N_ITEMS(tables); i++) {
        int value = 0;
        for (; tables[i].names[value] != NULL; value++) {
            int parsed = -1;
            assert_string_equal(tables[i].name(value), tables[i].names[value]);
            expect_ok(tables[i].parse(&parsed, tables[i].names[value]));
            assert_int_equal(parsed, value);
        }
        int kept = 0;
        assert_int_equal(tables[i].parse(&kept, tables[i].name(value)), SPT_EINVAL); /* past the end has no name */
        assert_int_equal(tables[i].parse(&kept, tables[i].name(-1)), SPT_EINVAL);
        assert_int_equal(tables[i].parse(&kept, ""), SPT_EINVAL);
        assert_int_equal(tables[i].parse(&kept, "SPMM"), SPT_EINVAL);
        assert_int_equal(kept, 0);
    }
}

static void a_refusal_lists_the_legal_names(void **state) {
    (void)state;
    spt_epilogue epilogue = SPT_BIAS;
    spt_layout layout = SPT_NK;
    expect_error(SPT_EINVAL, "none, bias, bias_relu", spt_epilogue_parse(&epilogue, "gelu"));
    expect_error(SPT_EINVAL, "gelu", spt_epilogue_parse(&epilogue, "gelu"));
    expect_error(SPT_EINVAL, "kn, nk", spt_layout_parse(&layout, "nchw"));
    assert_int_equal(epilogue, SPT_BIAS);
    assert_int_equal(layout, SPT_NK);
}

static void element_types_have_their_size_and_rounding(void **state) {
    (void)state;
    static const struct {
        spt_dtype dtype;
        size_t size_bytes;
        int significant_bits; /* 0: exact */
    } rows[] = {{SPT_F32, 4, 24}, {SPT_BF16, 2, 8}, {SPT_F16, 2, 11}, {SPT_I8, 1, 0},
                {SPT_E4M3, 1, 4}, {SPT_E5M2, 1, 3}, {SPT_TF32, 4, 24}};
    for (int i = 0; i < N_ITEMS(rows); i++) {
        double epsilon = rows[i].significant_bits > 0 ? 1.0 : 0.0;
        for (int bit = 0; bit < rows[i].significant_bits; bit++)
            epsilon /= 2.0;
        assert_int_equal(spt_dtype_bytes(rows[i].dtype), rows[i].size_bytes);
        assert_true(spt_dtype_epsilon(rows[i].dtype) == epsilon);
        const bool is_float8 = rows[i].dtype == SPT_E4M3 || rows[i].dtype == SPT_E5M2;
        assert_true(spt_dtype_accumulator_epsilon(rows[i].dtype) == (epsilon == 0.0 ? 0.0
                                                                     : is_float8    ? 0x1p-13
                                                                                    : 0x1p-24));
    }
}

static void epilogue_rows_say_what_they_do(void **state) {
    (void)state;
    static const struct {
        spt_epilogue epilogue;
        bool has_bias, has_residual;
        spt_activation activation;
    } rows[] = {{SPT_EPILOGUE_NONE, false, false, SPT_IDENTITY},
                {SPT_BIAS, true, false, SPT_IDENTITY},
                {SPT_BIAS_RELU, true, false, SPT_RELU},
                {SPT_BIAS_ADD_RELU, true, true, SPT_RELU}};
    for (int i = 0; i < N_ITEMS(rows); i++) {
        const spt_epilogue_row *row = spt_epilogue_get(rows[i].epilogue);
        assert_string_equal(row->name, spt_epilogue_name(rows[i].epilogue));
        assert_int_equal(row->has_bias, rows[i].has_bias);
        assert_int_equal(row->has_residual, rows[i].has_residual);
        assert_int_equal(row->activation, rows[i].activation);
    }
    assert_string_equal(spt_device_kind_name(SPT_CPU), "cpu");
    assert_string_equal(spt_device_kind_name(SPT_CUDA), "cuda");
    assert_string_equal(spt_version(), SPT_VERSION_TEXT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_name_is_stored_as_written_here_and_parses_back),
        cmocka_unit_test(a_refusal_lists_the_legal_names),
        cmocka_unit_test(element_types_have_their_size_and_rounding),
        cmocka_unit_test(epilogue_rows_say_what_they_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

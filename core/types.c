/* SPDX-License-Identifier: Apache-2.0 */
/* Names of the enumerations: each is a table indexed by the enumerator, read and parsed by the same two functions. */
#include "core/types.h"

#include <string.h>

#include "core/text.h"

typedef struct name_table {
    const char *what;
    const char *const *names;
    int count;
} name_table;

#define NAME_TABLE(identifier, text, ...)                                                                              \
    static const char *const identifier##_names[] = {__VA_ARGS__};                                                     \
    static const name_table identifier = {text, identifier##_names,                                                    \
                                          (int)(sizeof identifier##_names / sizeof identifier##_names[0])}

NAME_TABLE(ops, "operation", [SPT_SPMM] = "spmm", [SPT_SDDMM] = "sddmm", [SPT_CONV2D] = "conv2d");
NAME_TABLE(dtypes, "element type", [SPT_F32] = "f32", [SPT_BF16] = "bf16", [SPT_F16] = "f16", [SPT_I8] = "i8",
           [SPT_E4M3] = "e4m3", [SPT_E5M2] = "e5m2", [SPT_TF32] = "tf32");
NAME_TABLE(layouts, "layout", [SPT_KN] = "kn", [SPT_NK] = "nk");
NAME_TABLE(epilogues, "epilogue", [SPT_EPILOGUE_NONE] = "none", [SPT_BIAS] = "bias", [SPT_BIAS_RELU] = "bias_relu",
           [SPT_BIAS_ADD_RELU] = "bias_add_relu");
NAME_TABLE(caches, "cache", [SPT_HOT] = "hot", [SPT_COLD] = "cold");
NAME_TABLE(device_kinds, "device kind", [SPT_CPU] = "cpu", [SPT_CUDA] = "cuda");
NAME_TABLE(matches, "match", [SPT_MATCH_EXACT] = "exact", [SPT_MATCH_NEAR_SIZE] = "near_size",
           [SPT_MATCH_NEAR_PATTERN] = "near_pattern", [SPT_MATCH_NEAR_DEVICE] = "near_device",
           [SPT_MATCH_DEFAULT] = "default");

static const spt_epilogue_row epilogue_rows[] = {
    [SPT_EPILOGUE_NONE] = {"none", false, false, SPT_IDENTITY},
    [SPT_BIAS] = {"bias", true, false, SPT_IDENTITY},
    [SPT_BIAS_RELU] = {"bias_relu", true, false, SPT_RELU},
    [SPT_BIAS_ADD_RELU] = {"bias_add_relu", true, true, SPT_RELU},
};

typedef struct dtype_row {
    size_t bytes;
    double epsilon;             /* of a stored result */
    double accumulator_epsilon; /* of the sum behind it */
    double tiny;                /* rounding of a subnormal result */
    double operand_epsilon;     /* of an operand as products see it */
    double low, high;           /* where results saturate; both 0: they do not */
} dtype_row;

static const dtype_row dtype_rows[] = {
    [SPT_F32] = {4, 0x1p-24, 0x1p-24, 0.0, 0.0, 0.0, 0.0},
    [SPT_BF16] = {2, 0x1p-8, 0x1p-24, 0.0, 0.0, 0.0, 0.0},
    [SPT_F16] = {2, 0x1p-11, 0x1p-24, 0x1p-25, 0.0, 0.0, 0.0},
    [SPT_I8] = {1, 0.0, 0.0, 0.0, 0.0, -128.0, 127.0}, /* with an i32 sum */
    /* tensor cores of sm_89 and sm_90 keep some fourteen bits of a sum of 8-bit products */
    [SPT_E4M3] = {1, 0x1p-4, 0x1p-13, 0x1p-10, 0.0, -448.0, 448.0},
    [SPT_E5M2] = {1, 0x1p-3, 0x1p-13, 0x1p-17, 0.0, -57344.0, 57344.0},
    [SPT_TF32] = {4, 0x1p-24, 0x1p-24, 0.0, 0x1p-10, 0.0, 0.0}, /* cut, not rounded */
};

static const char *name_of(const name_table *table, int index) {
    return index >= 0 && index < table->count ? table->names[index] : "unknown";
}

static spt_status parse_name(int *out, const name_table *table, const char *name) {
    char legal[160];
    spt_text list;
    spt_text_init(&list, legal, sizeof legal);
    for (int i = 0; i < table->count; i++) {
        if (strcmp(name, table->names[i]) == 0) {
            *out = i;
            return SPT_OK;
        }
        spt_text_add(&list, "%s%s", i > 0 ? ", " : "", table->names[i]);
    }
    return spt_fail(SPT_EINVAL, "%s: expected one of %s, found '%s'", table->what, legal, name);
}

#define NAMED(type, stem, table)                                                                                       \
    const char *spt_##stem##_name(type value) {                                                                        \
        return name_of(&table, (int)value);                                                                            \
    }
#define PARSED(type, stem, table)                                                                                      \
    spt_status spt_##stem##_parse(type *out, const char *name) {                                                       \
        int index = 0;                                                                                                 \
        SPT_TRY(parse_name(&index, &table, name));                                                                     \
        *out = (type)index;                                                                                            \
        return SPT_OK;                                                                                                 \
    }

NAMED(spt_op, op, ops)
NAMED(spt_dtype, dtype, dtypes)
NAMED(spt_layout, layout, layouts)
NAMED(spt_epilogue, epilogue, epilogues)
NAMED(spt_cache, cache, caches)
NAMED(spt_device_kind, device_kind, device_kinds)
NAMED(spt_match, match, matches)
PARSED(spt_op, op, ops)
PARSED(spt_dtype, dtype, dtypes)
PARSED(spt_layout, layout, layouts)
PARSED(spt_epilogue, epilogue, epilogues)
PARSED(spt_cache, cache, caches)
PARSED(spt_device_kind, device_kind, device_kinds)
PARSED(spt_match, match, matches)

bool spt_op_has_epilogue(spt_op op) {
    return op != SPT_SDDMM;
}

size_t spt_dtype_bytes(spt_dtype dtype) {
    return dtype_rows[dtype].bytes;
}

double spt_dtype_epsilon(spt_dtype dtype) {
    return dtype_rows[dtype].epsilon;
}

double spt_dtype_tiny(spt_dtype dtype) {
    return dtype_rows[dtype].tiny;
}

double spt_dtype_accumulator_epsilon(spt_dtype dtype) {
    return dtype_rows[dtype].accumulator_epsilon;
}

double spt_dtype_operand_epsilon(spt_dtype dtype) {
    return dtype_rows[dtype].operand_epsilon;
}

double spt_dtype_saturate(spt_dtype dtype, double v) {
    const dtype_row *row = &dtype_rows[dtype];
    if (row->low == row->high)
        return v;
    return v < row->low ? row->low : v > row->high ? row->high : v;
}

const spt_epilogue_row *spt_epilogue_get(spt_epilogue epilogue) {
    return &epilogue_rows[epilogue];
}

const char *spt_version(void) {
    return SPT_VERSION_TEXT;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The one function that makes a key, and the checks of what goes into it. */
#include "core/key.h"

#include <inttypes.h>
#include <string.h>

#include "core/conv.h"
#include "core/text.h"

#define THREADS_MAX 4096

spt_status spt_problem_check(spt_problem *out, const spt_problem *problem) {
    if (problem == NULL || problem->size < sizeof *problem)
        return spt_fail(SPT_EINVAL, "expected a problem whose size field is at least %zu", sizeof *problem);
    if ((unsigned)problem->op > SPT_CONV2D || (unsigned)problem->dtype >= SPT_DTYPE_COUNT ||
        (unsigned)problem->layout > SPT_NK || (unsigned)problem->epilogue > SPT_BIAS_ADD_RELU ||
        (unsigned)problem->cache > SPT_COLD)
        return spt_fail(SPT_EINVAL,
                        "expected known enumerators in the problem, found op %d, dtype %d, layout %d, epilogue %d, "
                        "cache %d",
                        (int)problem->op, (int)problem->dtype, (int)problem->layout, (int)problem->epilogue,
                        (int)problem->cache);
    if (!spt_op_has_epilogue(problem->op) && problem->epilogue != SPT_EPILOGUE_NONE)
        return spt_fail(SPT_EINVAL, "%s takes no epilogue, found %s", spt_op_name(problem->op),
                        spt_epilogue_name(problem->epilogue));
    int64_t n = problem->n;
    SPT_TRY(spt_conv_check(&n, problem));
    if (n < 1 || n > SPT_DIM_MAX)
        return spt_fail(SPT_EINVAL, "expected n from 1 to %d, found %" PRId64, SPT_DIM_MAX, n);
    if (problem->threads < 0 || problem->threads > THREADS_MAX)
        return spt_fail(SPT_EINVAL, "expected 0 to %d threads, found %d", THREADS_MAX, problem->threads);
    const char *device;
    SPT_TRY(spt_device_name(&device, problem->device));
    *out = *problem;
    out->size = sizeof *out;
    out->n = n;
    out->stride = problem->op == SPT_CONV2D && problem->stride == 0 ? 1 : problem->stride;
    out->device = device;
    out->may_be_nonfinite = problem->may_be_nonfinite != 0;
    if (strcmp(device, "cpu") != 0)
        out->threads = 1; /* the host's threads do not matter to another device */
    if (out->threads == 0) {
        const int available = spt_hardware_threads();
        out->threads = available < THREADS_MAX ? available : THREADS_MAX;
    }
    return SPT_OK;
}

spt_status spt_workload_init(spt_workload *out, const spt_problem *problem, const spt_csr *a) {
    SPT_TRY(spt_problem_check(&out->problem, problem));
    SPT_TRY(spt_csr_check(a, problem->op == SPT_SDDMM ? "mask" : "A"));
    if (problem->op == SPT_CONV2D && a->n_cols % SPT_CONV_TAPS != 0)
        return spt_fail(SPT_EINVAL, "A: expected columns for 3x3 windows, a multiple of %d, found %" PRId64,
                        SPT_CONV_TAPS, a->n_cols);
    return spt_pattern_init(&out->pattern, a);
}

spt_status spt_key_init(spt_key *out, const spt_workload *workload, const spt_device *device) {
    const spt_problem *problem = &workload->problem;
    const spt_pattern *pattern = &workload->pattern;
    char fingerprint[SPT_HASH_TEXT_SIZE], parameters[SPT_CONV_TEXT_SIZE];
    spt_conv_text(parameters, problem);
    spt_hash_text(fingerprint, pattern->fingerprint);
    spt_text text;
    spt_text_init(&text, out->text, sizeof out->text);
    spt_text_add(&text, "v1|%s|%s|%s|%s", spt_op_name(problem->op), spt_dtype_name(problem->dtype),
                 spt_layout_name(problem->layout), spt_epilogue_name(problem->epilogue));
    spt_text_add(&text, "|%" PRId64 "|%" PRId64 "|%" PRId64 "|%d|%s", pattern->n_rows, pattern->n_cols, problem->n,
                 problem->threads, spt_cache_name(problem->cache));
    spt_text_add(&text, "|%s|%s|%s", parameters, fingerprint, device->key);
    if (text.overflow)
        return spt_fail(SPT_EINVAL, "expected a key of at most %d characters, found device key '%s'",
                        SPT_KEY_TEXT_MAX - 1, device->key);
    out->hash = spt_hash(out->text, text.length);
    return SPT_OK;
}

/* ---- and back, field by field ---- */

enum {
    FIELD_VERSION,
    FIELD_OP,
    FIELD_DTYPE,
    FIELD_LAYOUT,
    FIELD_EPILOGUE,
    FIELD_M,
    FIELD_K,
    FIELD_N,
    FIELD_THREADS,
    FIELD_CACHE,
    FIELD_PARAMETERS,
    FIELD_FINGERPRINT,
    FIELD_DEVICE,
    N_FIELDS
};

/* Cut a copy of the text at its first twelve bars; the device's key, which has bars of its own, is the rest. */
static spt_status split_key(char *fields[N_FIELDS], char *copy) {
    for (int i = 0; i < N_FIELDS; i++) {
        fields[i] = copy;
        if (i == FIELD_DEVICE)
            return SPT_OK;
        char *bar = strchr(copy, '|');
        if (bar == NULL)
            return spt_fail(SPT_EINVAL, "expected a key of %d fields, found %d", N_FIELDS, i + 1);
        *bar = '\0';
        copy = bar + 1;
    }
    return SPT_OK;
}

static spt_status parse_fields(spt_workload *out, char *const fields[N_FIELDS]) {
    spt_problem *problem = &out->problem;
    spt_pattern *pattern = &out->pattern;
    int64_t threads;
    if (strcmp(fields[FIELD_VERSION], "v1") != 0)
        return spt_fail(SPT_EINVAL, "expected a key of version v1, found '%.20s'", fields[FIELD_VERSION]);
    SPT_TRY(spt_op_parse(&problem->op, fields[FIELD_OP]));
    SPT_TRY(spt_dtype_parse(&problem->dtype, fields[FIELD_DTYPE]));
    SPT_TRY(spt_layout_parse(&problem->layout, fields[FIELD_LAYOUT]));
    SPT_TRY(spt_epilogue_parse(&problem->epilogue, fields[FIELD_EPILOGUE]));
    SPT_TRY(spt_parse_i64(&pattern->n_rows, fields[FIELD_M], 1, SPT_DIM_MAX, "m"));
    SPT_TRY(spt_parse_i64(&pattern->n_cols, fields[FIELD_K], 1, SPT_DIM_MAX, "k"));
    SPT_TRY(spt_parse_i64(&problem->n, fields[FIELD_N], 1, SPT_DIM_MAX, "n"));
    SPT_TRY(spt_parse_i64(&threads, fields[FIELD_THREADS], 1, THREADS_MAX, "threads"));
    problem->threads = (int)threads;
    SPT_TRY(spt_cache_parse(&problem->cache, fields[FIELD_CACHE]));
    SPT_TRY(spt_conv_parse(problem, fields[FIELD_PARAMETERS]));
    return spt_hash_parse(&pattern->fingerprint, fields[FIELD_FINGERPRINT]);
}

spt_status spt_key_parse(spt_workload *out, const char **device_key, const char *text) {
    char copy[SPT_KEY_TEXT_MAX], *fields[N_FIELDS];
    const size_t length = strlen(text);
    if (length >= sizeof copy)
        return spt_fail(SPT_EINVAL, "expected a key of at most %d characters, found %zu", SPT_KEY_TEXT_MAX - 1, length);
    memcpy(copy, text, length + 1);
    SPT_TRY(split_key(fields, copy));
    *out = (spt_workload){.problem = {.size = sizeof out->problem, .device = "cpu"}};
    SPT_TRY(parse_fields(out, fields));
    *device_key = text + (fields[FIELD_DEVICE] - copy);
    return SPT_OK;
}

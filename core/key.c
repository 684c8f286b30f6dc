/* SPDX-License-Identifier: Apache-2.0 */
/* The one function that makes a key, and the checks of what goes into it. */
#include "core/key.h"

#include <inttypes.h>
#include <string.h>

#include "core/text.h"

#define THREADS_MAX 4096

spt_status spt_problem_check(spt_problem *out, const spt_problem *problem) {
    if (problem == NULL || problem->size < sizeof *problem)
        return spt_fail(SPT_EINVAL, "expected a problem whose size field is at least %zu", sizeof *problem);
    if ((unsigned)problem->op > SPT_SDDMM || (unsigned)problem->dtype > SPT_I8 || (unsigned)problem->layout > SPT_NK ||
        (unsigned)problem->epilogue > SPT_BIAS_RELU || (unsigned)problem->cache > SPT_COLD)
        return spt_fail(SPT_EINVAL,
                        "expected known enumerators in the problem, found op %d, dtype %d, layout %d, epilogue %d, "
                        "cache %d",
                        (int)problem->op, (int)problem->dtype, (int)problem->layout, (int)problem->epilogue,
                        (int)problem->cache);
    if (problem->op != SPT_SPMM && problem->epilogue != SPT_EPILOGUE_NONE)
        return spt_fail(SPT_EINVAL, "%s takes no epilogue, found %s", spt_op_name(problem->op),
                        spt_epilogue_name(problem->epilogue));
    if (problem->n < 1 || problem->n > SPT_DIM_MAX)
        return spt_fail(SPT_EINVAL, "expected n from 1 to %d, found %" PRId64, SPT_DIM_MAX, problem->n);
    if (problem->threads < 0 || problem->threads > THREADS_MAX)
        return spt_fail(SPT_EINVAL, "expected 0 to %d threads, found %d", THREADS_MAX, problem->threads);
    const char *device;
    SPT_TRY(spt_device_name(&device, problem->device));
    *out = *problem;
    out->size = sizeof *out;
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
    return spt_pattern_init(&out->pattern, a);
}

spt_status spt_key_init(spt_key *out, const spt_workload *workload, const spt_device *device) {
    const spt_problem *problem = &workload->problem;
    const spt_pattern *pattern = &workload->pattern;
    char fingerprint[SPT_HASH_TEXT_SIZE];
    spt_hash_text(fingerprint, pattern->fingerprint);
    spt_text text;
    spt_text_init(&text, out->text, sizeof out->text);
    spt_text_add(&text, "v1|%s|%s|%s|%s", spt_op_name(problem->op), spt_dtype_name(problem->dtype),
                 spt_layout_name(problem->layout), spt_epilogue_name(problem->epilogue));
    spt_text_add(&text, "|%" PRId64 "|%" PRId64 "|%" PRId64 "|%d|%s", pattern->n_rows, pattern->n_cols, problem->n,
                 problem->threads, spt_cache_name(problem->cache));
    spt_text_add(&text, "|-|%s|%s", fingerprint, device->key); /* "-": no operation has parameters of its own yet */
    if (text.overflow)
        return spt_fail(SPT_EINVAL, "expected a key of at most %d characters, found device key '%s'",
                        SPT_KEY_TEXT_MAX - 1, device->key);
    out->hash = spt_hash(out->text, text.length);
    return SPT_OK;
}

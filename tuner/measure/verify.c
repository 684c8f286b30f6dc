/* SPDX-License-Identifier: Apache-2.0 */
/* Guarded memory and the comparison with the reference. Workload: up to a hundred million elements, one pass. */
#include "tuner/measure/verify.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/element.h"
#include "core/error.h"
#include "tuner/measure/pages.h"

enum { GUARD_BYTES = 4096, GUARD_FILL = 0xa5, POISON_FILL = 0xff }; /* 0xffffffff is a NaN */

spt_status spt_guarded_init(spt_guarded *out, size_t size_bytes) {
    *out = (spt_guarded){0};
    out->base = spt_pages_new(size_bytes + 2 * GUARD_BYTES);
    if (out->base == NULL)
        return spt_fail(SPT_ENOMEM, "expected %zu bytes for a guarded output, found no memory", size_bytes);
    out->data = (char *)out->base + GUARD_BYTES;
    out->size_bytes = size_bytes;
    spt_guarded_poison(out);
    return SPT_OK;
}

void spt_guarded_fini(spt_guarded *guarded) {
    spt_pages_free(guarded->base, spt_guarded_bytes(guarded));
    *guarded = (spt_guarded){0};
}

void spt_guarded_poison(spt_guarded *guarded) {
    memset(guarded->base, GUARD_FILL, GUARD_BYTES);
    memset(guarded->data, POISON_FILL, guarded->size_bytes);
    memset((char *)guarded->data + guarded->size_bytes, GUARD_FILL, GUARD_BYTES);
}

size_t spt_guarded_bytes(const spt_guarded *guarded) {
    return guarded->size_bytes + 2 * GUARD_BYTES;
}

void *spt_guarded_twin(const spt_guarded *guarded, void *base) {
    return (char *)base + ((const char *)guarded->data - (const char *)guarded->base);
}

static bool is_guard(const unsigned char *zone) {
    for (size_t i = 0; i < GUARD_BYTES; i++) {
        if (zone[i] != GUARD_FILL)
            return false;
    }
    return true;
}

bool spt_guarded_is_intact(const spt_guarded *guarded) {
    const unsigned char *end = (const unsigned char *)guarded->data + guarded->size_bytes;
    return is_guard(guarded->base) && is_guard(end);
}

bool spt_verify(spt_measurement *out, spt_dtype dtype, const void *result, const double *value, const double *tolerance,
                double scale, double slack, int64_t n_rows, int64_t n_cols, const char *role) {
    for (int64_t i = 0; i < n_rows * n_cols; i++) {
        const double found = spt_element_get(dtype, result, i), error = fabs(found - value[i]);
        const double allowed = scale * tolerance[i] + slack;
        if (error <= allowed) { /* false for NaN */
            if (allowed > 0.0)
                out->max_error = fmax(out->max_error, error / allowed);
            continue;
        }
        out->status = SPT_TRIAL_CORRECTNESS;
        snprintf(out->reason, sizeof out->reason, "%s[%" PRId64 ",%" PRId64 "] is %.9g, expected %.9g within %.2g",
                 role, i / n_cols, i % n_cols, found, value[i], allowed);
        return false;
    }
    return true;
}

bool spt_verify_f32(spt_measurement *out, const float *result, const double *value, const double *tolerance,
                    int64_t n_rows, int64_t n_cols, const char *role) {
    return spt_verify(out, SPT_F32, result, value, tolerance, 1.0, 0.0, n_rows, n_cols, role);
}

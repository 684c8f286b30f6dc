/* SPDX-License-Identifier: Apache-2.0 */
/* Dense weights as patterns: shapes, half-precision numbers, the order of convolution weights. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "core/memory.h"
#include "tuner/input/loaders.h"

float spt_f32_of_bf16(uint16_t bits) {
    const uint32_t wide = (uint32_t)bits << 16;
    float value;
    memcpy(&value, &wide, sizeof value);
    return value;
}

float spt_f32_of_f16(uint16_t bits) {
    const int exponent = bits >> 10 & 31, fraction = bits & 1023;
    const float sign = (bits & 0x8000) != 0 ? -1.0f : 1.0f;
    if (exponent == 31)
        return fraction != 0 ? NAN : sign * INFINITY;
    if (exponent == 0)
        return sign * ldexpf((float)fraction, -24);
    return sign * ldexpf((float)(fraction + 1024), exponent - 25);
}

spt_status spt_shape_count(int64_t *out, const char *path, const int64_t *shape, int n_dims, int64_t max) {
    *out = 1;
    for (int i = 0; i < n_dims; i++) {
        if (shape[i] < 1 || shape[i] > SPT_DIM_MAX || __builtin_mul_overflow(*out, shape[i], out))
            return spt_fail(SPT_EINVAL,
                            "%s: expected a shape of extents from 1 to %d and fewer than 2^63 elements, found extent "
                            "%" PRId64 " in dimension %d",
                            path, SPT_DIM_MAX, shape[i], i);
    }
    if (*out > max)
        return spt_fail(SPT_EINVAL,
                        "%s: expected the %" PRId64 " elements of its shape, found bytes for at most %" PRId64, path,
                        *out, max);
    return SPT_OK;
}

/* [cout, cin, kh, kw] to [cout, kh * kw * cin]. */
static void reorder_convolution(float *out, const float *in, const int64_t *shape) {
    const int64_t cin = shape[1], taps = shape[2] * shape[3];
    for (int64_t row = 0; row < shape[0]; row++) {
        for (int64_t tap = 0; tap < taps; tap++) {
            for (int64_t channel = 0; channel < cin; channel++)
                out[(row * taps + tap) * cin + channel] = in[(row * cin + channel) * taps + tap];
        }
    }
}

spt_status spt_matrix_from_weights(spt_matrix *out, const char *path, const float *data, const int64_t *shape,
                                   int n_dims) {
    int64_t count, n_cols = 1;
    SPT_TRY(spt_shape_count(&count, path, shape, n_dims, INT64_MAX / 8));
    for (int64_t i = 0; i < count; i++) {
        if (!isfinite(data[i]))
            return spt_fail(SPT_EINVAL, "%s: element %" PRId64 " is %g; values must be finite", path, i,
                            (double)data[i]);
    }
    for (int i = 1; i < n_dims; i++)
        n_cols *= shape[i];
    if (n_cols > SPT_DIM_MAX)
        return spt_fail(SPT_EINVAL, "%s: expected at most %d columns, found %" PRId64, path, SPT_DIM_MAX, n_cols);
    if (n_dims == 2)
        return spt_matrix_from_dense(out, data, shape[0], n_cols);
    float *reordered;
    SPT_TRY(SPT_NEW(reordered, count));
    reorder_convolution(reordered, data, shape);
    const spt_status status = spt_matrix_from_dense(out, reordered, shape[0], n_cols);
    spt_free(reordered);
    return status;
}

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

static const struct {
    const char *dtype;
    int item_bytes;
} dtypes[] = {{"F16", 2}, {"BF16", 2}, {"F32", 4}, {"F64", 8}};
enum { N_DTYPES = sizeof dtypes / sizeof dtypes[0] };

int spt_weights_item_bytes(const char *dtype) {
    for (int i = 0; i < N_DTYPES; i++)
        if (strcmp(dtypes[i].dtype, dtype) == 0)
            return dtypes[i].item_bytes;
    return 0;
}

spt_status spt_weights_init(spt_weights *out, const char *dtype, const int64_t *shape, int n_dims) {
    *out = (spt_weights){.item_bytes = spt_weights_item_bytes(dtype), .count = 1, .n_dims = n_dims};
    for (int i = 0; i < N_DTYPES; i++)
        out->dtype = strcmp(dtypes[i].dtype, dtype) == 0 ? dtypes[i].dtype : out->dtype;
    for (int i = 0; i < n_dims; i++) {
        out->shape[i] = shape[i];
        out->count *= shape[i];
    }
    out->raw = spt_alloc((size_t)out->count, (size_t)out->item_bytes);
    return out->raw != NULL ? SPT_OK : SPT_ENOMEM;
}

void spt_weights_fini(spt_weights *weights) {
    spt_free(weights->raw);
    spt_free(weights->data);
    *weights = (spt_weights){0};
}

double spt_weights_element(const spt_weights *weights, int64_t index) {
    const char *at = (const char *)weights->raw + index * weights->item_bytes;
    uint16_t half;
    float single;
    double twice;
    switch (weights->item_bytes) {
    case 2:
        memcpy(&half, at, sizeof half);
        return (double)(weights->dtype[0] == 'B' ? spt_f32_of_bf16(half) : spt_f32_of_f16(half));
    case 4:
        memcpy(&single, at, sizeof single);
        return (double)single;
    default:
        memcpy(&twice, at, sizeof twice);
        return twice;
    }
}

spt_status spt_weights_widen(spt_weights *weights) {
    if (SPT_NEW(weights->data, weights->count) != SPT_OK) {
        spt_weights_fini(weights);
        return SPT_ENOMEM;
    }
    for (int64_t i = 0; i < weights->count; i++)
        weights->data[i] = (float)spt_weights_element(weights, i);
    return SPT_OK;
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

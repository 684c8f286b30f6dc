/* SPDX-License-Identifier: Apache-2.0 */
/* Conversions in integer arithmetic, the same on every machine. Layouts (sign, exponent, fraction):
 * f32 1|8|23, bf16 1|8|7, f16 1|5|10, e4m3 1|4|3, e5m2 1|5|2. */
#include "core/element.h"

#include <math.h>
#include <string.h>

static uint32_t bits_of(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static float float_of(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Drop `shift` low bits, rounding to nearest, ties to even. */
static uint32_t round_off(uint32_t bits, int shift) {
    const uint32_t kept = bits >> shift, rest = bits & ((1u << shift) - 1), half = 1u << (shift - 1);
    return kept + (rest > half || (rest == half && (kept & 1) != 0));
}

uint16_t spt_bf16_from_f32(float value) {
    const uint32_t bits = bits_of(value);
    if (isnan(value))
        return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)round_off(bits, 16);
}

float spt_bf16_to_f32(uint16_t bits) {
    return float_of((uint32_t)bits << 16);
}

uint16_t spt_f16_from_f32(float value) {
    const uint32_t bits = bits_of(value), sign = bits >> 16 & 0x8000;
    const int exponent = (int)(bits >> 23 & 255) - 127;
    const uint32_t fraction = bits & 0x7fffff;
    if (isnan(value))
        return (uint16_t)(sign | 0x7e00);
    if (exponent > 15)
        return (uint16_t)(sign | 0x7c00);
    if (exponent < -25)
        return (uint16_t)sign;
    if (exponent < -14) /* a subnormal: the implicit one moves into the fraction */
        return (uint16_t)(sign | round_off(fraction | 0x800000, -exponent - 1));
    return (uint16_t)(sign | (round_off((uint32_t)(exponent + 15) << 23 | fraction, 13))); /* may carry to infinity */
}

float spt_f16_to_f32(uint16_t bits) {
    const uint32_t sign = (uint32_t)(bits & 0x8000) << 16, exponent = bits >> 10 & 31, fraction = bits & 0x3ff;
    if (exponent == 31)
        return float_of(sign | 0x7f800000 | fraction << 13);
    if (exponent == 0) { /* fraction times 2^-24 */
        const float magnitude = (float)fraction * 0x1p-24f;
        return sign != 0 ? -magnitude : magnitude;
    }
    return float_of(sign | (exponent + 112) << 23 | fraction << 13);
}

/* ---- 8-bit floats: 1|4|3 without infinities, 1|5|2 ---- */

typedef struct float8 {
    int fraction_bits, exponent_min; /* of normal numbers */
    uint32_t largest, nan;           /* codes of positive numbers */
} float8;

static const float8 e4m3 = {3, -6, 0x7e, 0x7f}, e5m2 = {2, -14, 0x7b, 0x7f};

/* Nearest, ties to even; what is too large becomes the largest. */
static uint8_t float8_from_f32(const float8 *type, float value) {
    const uint32_t sign = bits_of(value) >> 24 & 0x80;
    const float magnitude = fabsf(value);
    if (isnan(value))
        return (uint8_t)(sign | type->nan);
    if (isinf(value))
        return (uint8_t)(sign | type->largest);
    int exponent = type->exponent_min;
    if (magnitude >= ldexpf(1.0f, type->exponent_min))
        exponent = ilogbf(magnitude);
    const uint32_t steps = (uint32_t)rintf(ldexpf(magnitude, type->fraction_bits - exponent));
    const uint32_t code = ((uint32_t)(exponent - type->exponent_min) << type->fraction_bits) + steps;
    return (uint8_t)(sign | (code < type->largest ? code : type->largest));
}

static float float8_to_f32(const float8 *type, uint8_t bits) {
    const uint32_t code = bits & 0x7f, fraction = code & ((1u << type->fraction_bits) - 1);
    const int field = (int)(code >> type->fraction_bits);
    const float sign = (bits & 0x80) != 0 ? -1.0f : 1.0f;
    if (code > type->largest)
        return type == &e5m2 && fraction == 0 ? sign * INFINITY : NAN;
    if (field == 0)
        return sign * ldexpf((float)fraction, type->exponent_min - type->fraction_bits);
    return sign *
           ldexpf((float)(fraction | 1u << type->fraction_bits), field - 1 + type->exponent_min - type->fraction_bits);
}

static float load(spt_dtype dtype, const void *elements, int64_t index) {
    switch (dtype) {
    case SPT_F32:
    case SPT_TF32:
        return ((const float *)elements)[index];
    case SPT_E4M3:
        return float8_to_f32(&e4m3, ((const uint8_t *)elements)[index]);
    case SPT_E5M2:
        return float8_to_f32(&e5m2, ((const uint8_t *)elements)[index]);
    case SPT_BF16:
        return spt_bf16_to_f32(((const uint16_t *)elements)[index]);
    case SPT_F16:
        return spt_f16_to_f32(((const uint16_t *)elements)[index]);
    default:
        return (float)((const int8_t *)elements)[index];
    }
}

static void store(spt_dtype dtype, void *elements, int64_t index, float value) {
    switch (dtype) {
    case SPT_F32:
    case SPT_TF32:
        ((float *)elements)[index] = value;
        break;
    case SPT_E4M3:
        ((uint8_t *)elements)[index] = float8_from_f32(&e4m3, value);
        break;
    case SPT_E5M2:
        ((uint8_t *)elements)[index] = float8_from_f32(&e5m2, value);
        break;
    case SPT_BF16:
        ((uint16_t *)elements)[index] = spt_bf16_from_f32(value);
        break;
    case SPT_F16:
        ((uint16_t *)elements)[index] = spt_f16_from_f32(value);
        break;
    default:
        ((int8_t *)elements)[index] = (int8_t)fmaxf(-128.0f, fminf(127.0f, rintf(value)));
        break;
    }
}

double spt_element_get(spt_dtype dtype, const void *elements, int64_t index) {
    return (double)load(dtype, elements, index);
}

void spt_elements_from_f32(spt_dtype dtype, void *out, const float *in, int64_t count) {
    if (dtype == SPT_F32) {
        memcpy(out, in, (size_t)count * sizeof *in);
        return;
    }
    for (int64_t i = 0; i < count; i++)
        store(dtype, out, i, in[i]);
}

void spt_elements_to_f32(float *out, spt_dtype dtype, const void *in, int64_t count) {
    for (int64_t i = 0; i < count; i++)
        out[i] = load(dtype, in, i);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Elements of every type as numbers: conversions that round to nearest even, one element or an array at a time. */
#ifndef SPT_CORE_ELEMENT_H
#define SPT_CORE_ELEMENT_H

#include <stdint.h>

#include "core/types.h"

uint16_t spt_f16_from_f32(float value); /* beyond the largest: infinity; NaN stays NaN */
float spt_f16_to_f32(uint16_t bits);
uint16_t spt_bf16_from_f32(float value);
float spt_bf16_to_f32(uint16_t bits);

/* Element `index` of an array of the type, exactly. i8 is an integer from -128 to 127. */
double spt_element_get(spt_dtype dtype, const void *elements, int64_t index);
/* Convert arrays. i8, e4m3 and e5m2 are rounded and saturated; tf32 stays f32. */
void spt_elements_from_f32(spt_dtype dtype, void *out, const float *in, int64_t count);
void spt_elements_to_f32(float *out, spt_dtype dtype, const void *in, int64_t count);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The parameter space: named axes, points, points as text, enumeration of the valid points.
 * It is the value that lets variants and search talk without meeting. In memory a point holds one index per axis;
 * what is stored is always the text, `t=4,kb=128,pack=none`, by name in the order of the axes ("-" without axes). */
#ifndef SPT_CORE_SPACE_H
#define SPT_CORE_SPACE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/error.h"

#define SPT_AXES_MAX 24
#define SPT_POINT_TEXT_MAX 256

typedef struct spt_axis_value {
    int32_t value;
    const char *name; /* NULL: the number itself is the text */
} spt_axis_value;

typedef struct spt_axis {
    const char *name;
    const char *summary; /* one line for people */
    const spt_axis_value *values;
    int n_values; /* 1 to 65535 */
} spt_axis;

typedef struct spt_point {
    uint16_t index[SPT_AXES_MAX]; /* index of the value on each axis; unused entries are 0 */
} spt_point;

typedef bool (*spt_point_predicate)(const void *context, const spt_point *point);

/* May a valid point begin with the first n_fixed indices of `prefix`? A false answer must be sure; true may be a guess.
 */
typedef bool (*spt_prefix_predicate)(const void *context, const spt_point *prefix, int n_fixed);

typedef struct spt_space {
    const spt_axis *axes;
    int n_axes;                     /* 0 to SPT_AXES_MAX; a space without axes has one point */
    spt_point_predicate is_valid;   /* NULL: every point is valid */
    spt_prefix_predicate can_begin; /* NULL: not known; lets enumeration skip what no valid point begins with */
    double (*expect)(const void *context, const spt_point *point); /* what a model expects a valid point to cost, in any
                                                                      unit, finite and > 0; NULL: no model */
    const void *context;                                           /* handed to all three */
} spt_space;

int32_t spt_point_value(const spt_axis *axes, const spt_point *point, int axis);
/* Set an axis by value. Errors: ENOTFOUND when the axis has no such value. */
spt_status spt_point_set(const spt_axis *axes, spt_point *point, int axis, int32_t value);
bool spt_point_equal(const spt_point *a, const spt_point *b);

/* Errors: EINVAL when the text does not fit (axes too many or names too long: a programmer's mistake). */
spt_status spt_point_text(char out[SPT_POINT_TEXT_MAX], const spt_axis *axes, int n_axes, const spt_point *point);
/* Parse text: every axis exactly once, in any order. Errors: EINVAL naming the axis or value. Validity not checked. */
spt_status spt_point_parse(spt_point *out, const spt_axis *axes, int n_axes, const char *text);

/* Product of the axes' sizes, saturating at INT64_MAX; validity not considered. */
int64_t spt_space_size(const spt_space *space);
/* Mixed-radix ordinal of a point in memory (never stored) and back. Requires spt_space_size below INT64_MAX. */
int64_t spt_space_ordinal(const spt_space *space, const spt_point *point);
void spt_space_point(const spt_space *space, int64_t ordinal, spt_point *out);
bool spt_space_is_valid(const spt_space *space, const spt_point *point);
/* Walk the valid points in order without building a list: a point is completed axis by axis, and a prefix that
 * can_begin refuses is skipped with all that begins so. false at the end. */
bool spt_space_first(const spt_space *space, spt_point *out);
bool spt_space_following(const spt_space *space, spt_point *point);
/* Step to the first valid point with ordinal >= *ordinal and set *ordinal to it; false at the end. */
bool spt_space_next(const spt_space *space, int64_t *ordinal, spt_point *out);
int64_t spt_space_count_valid(const spt_space *space);

#endif

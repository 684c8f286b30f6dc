/* SPDX-License-Identifier: Apache-2.0 */
/* Points as text and as ordinals. The ordinal is mixed-radix with the last axis fastest. */
#include "core/space.h"

#include <stdio.h>
#include <string.h>

#include "core/text.h"

int32_t spt_point_value(const spt_axis *axes, const spt_point *point, int axis) {
    return axes[axis].values[point->index[axis]].value;
}

spt_status spt_point_set(const spt_axis *axes, spt_point *point, int axis, int32_t value) {
    for (int i = 0; i < axes[axis].n_values; i++) {
        if (axes[axis].values[i].value == value) {
            point->index[axis] = (uint16_t)i;
            return SPT_OK;
        }
    }
    return spt_fail(SPT_ENOTFOUND, "axis %s has no value %d", axes[axis].name, value);
}

bool spt_point_equal(const spt_point *a, const spt_point *b) {
    return memcmp(a->index, b->index, sizeof a->index) == 0;
}

/* The text of a value: its name, or its number written into `number`. */
static const char *value_text(char number[16], const spt_axis_value *value) {
    if (value->name != NULL)
        return value->name;
    snprintf(number, 16, "%d", value->value);
    return number;
}

spt_status spt_point_text(char out[SPT_POINT_TEXT_MAX], const spt_axis *axes, int n_axes, const spt_point *point) {
    spt_text text;
    char number[16];
    spt_text_init(&text, out, SPT_POINT_TEXT_MAX);
    if (n_axes == 0)
        spt_text_add(&text, "-");
    for (int axis = 0; axis < n_axes && axis < SPT_AXES_MAX; axis++)
        spt_text_add(&text, "%s%s=%s", axis > 0 ? "," : "", axes[axis].name,
                     value_text(number, &axes[axis].values[point->index[axis]]));
    if (text.overflow || n_axes > SPT_AXES_MAX)
        return spt_fail(SPT_EINVAL, "expected a point of at most %d axes and %d characters, found %d axes: %.80s...",
                        SPT_AXES_MAX, SPT_POINT_TEXT_MAX - 1, n_axes, out);
    return SPT_OK;
}

static bool is_text(const char *expected, const char *text, size_t length) {
    return strlen(expected) == length && memcmp(expected, text, length) == 0;
}

static int find_axis(const spt_axis *axes, int n_axes, const char *name, size_t length) {
    for (int axis = 0; axis < n_axes; axis++) {
        if (is_text(axes[axis].name, name, length))
            return axis;
    }
    return -1;
}

static int find_value(const spt_axis *axis, const char *value, size_t length) {
    char number[16];
    for (int i = 0; i < axis->n_values; i++) {
        if (is_text(value_text(number, &axis->values[i]), value, length))
            return i;
    }
    return -1;
}

/* Parse one `name=value` of `length` characters. */
static spt_status parse_item(spt_point *point, bool *is_set, const spt_axis *axes, int n_axes, const char *item,
                             size_t length) {
    int shown = length < 80 ? (int)length : 80;
    const char *equals = memchr(item, '=', length);
    if (equals == NULL)
        return spt_fail(SPT_EINVAL, "point: expected axis=value, found '%.*s'", shown, item);
    size_t name_length = (size_t)(equals - item);
    int axis = find_axis(axes, n_axes, item, name_length);
    if (axis < 0)
        return spt_fail(SPT_EINVAL, "point: there is no axis '%.*s'", name_length < 80 ? (int)name_length : 80, item);
    if (is_set[axis])
        return spt_fail(SPT_EINVAL, "point: expected axis %s once, found it twice", axes[axis].name);
    int index = find_value(&axes[axis], equals + 1, length - name_length - 1);
    if (index < 0)
        return spt_fail(SPT_EINVAL, "point: axis %s has no value as in '%.*s'", axes[axis].name, shown, item);
    point->index[axis] = (uint16_t)index;
    is_set[axis] = true;
    return SPT_OK;
}

spt_status spt_point_parse(spt_point *out, const spt_axis *axes, int n_axes, const char *text) {
    spt_point point = {0};
    bool is_set[SPT_AXES_MAX] = {false};
    if (n_axes > SPT_AXES_MAX)
        return spt_fail(SPT_EINVAL, "point: expected at most %d axes, found %d", SPT_AXES_MAX, n_axes);
    if (n_axes == 0 && strcmp(text, "-") != 0)
        return spt_fail(SPT_EINVAL, "point: expected '-' for a family without axes, found '%.80s'", text);
    for (const char *item = text; n_axes > 0;) {
        size_t length = strcspn(item, ",");
        SPT_TRY(parse_item(&point, is_set, axes, n_axes, item, length));
        if (item[length] == 0)
            break;
        item += length + 1;
    }
    for (int axis = 0; axis < n_axes; axis++) {
        if (!is_set[axis])
            return spt_fail(SPT_EINVAL, "point: axis %s is missing in '%.80s'", axes[axis].name, text);
    }
    *out = point;
    return SPT_OK;
}

int64_t spt_space_size(const spt_space *space) {
    int64_t size = 1;
    for (int axis = 0; axis < space->n_axes; axis++) {
        if (__builtin_mul_overflow(size, (int64_t)space->axes[axis].n_values, &size))
            return INT64_MAX;
    }
    return size;
}

int64_t spt_space_ordinal(const spt_space *space, const spt_point *point) {
    int64_t ordinal = 0;
    for (int axis = 0; axis < space->n_axes; axis++)
        ordinal = ordinal * space->axes[axis].n_values + point->index[axis];
    return ordinal;
}

void spt_space_point(const spt_space *space, int64_t ordinal, spt_point *out) {
    *out = (spt_point){0};
    for (int axis = space->n_axes - 1; axis >= 0; axis--) {
        out->index[axis] = (uint16_t)(ordinal % space->axes[axis].n_values);
        ordinal /= space->axes[axis].n_values;
    }
}

bool spt_space_is_valid(const spt_space *space, const spt_point *point) {
    for (int axis = 0; axis < space->n_axes; axis++) {
        if (point->index[axis] >= space->axes[axis].n_values)
            return false;
    }
    return space->is_valid == NULL || space->is_valid(space->context, point);
}

/* Add one at `axis`, carrying to the left; later axes become 0. Returns the axis that grew, -1 after the last point. */
static int step(const spt_space *space, spt_point *point, int axis) {
    for (int later = axis + 1; later < space->n_axes; later++)
        point->index[later] = 0;
    for (; axis >= 0; axis--) {
        if (++point->index[axis] < space->axes[axis].n_values)
            return axis;
        point->index[axis] = 0;
    }
    return -1;
}

/* Move to the first valid point that is not before *point; its first n_known axes are known to be a possible prefix.
 * Every prefix is asked about once, so the work is that of the tree of possible prefixes, not of the product. */
static bool settle(const spt_space *space, spt_point *point, int n_known) {
    for (int n_fixed = n_known + 1; n_fixed < space->n_axes; n_fixed++) {
        if (space->can_begin == NULL || space->can_begin(space->context, point, n_fixed))
            continue;
        int grown = step(space, point, n_fixed - 1);
        if (grown < 0)
            return false;
        n_fixed = grown; /* the loop asks about the prefix that ends with the axis that grew */
    }
    return true;
}

/* Settle and step until the whole point is valid. */
static bool search_from(const spt_space *space, spt_point *point, int n_known) {
    while (settle(space, point, n_known)) {
        if (spt_space_is_valid(space, point))
            return true;
        n_known = step(space, point, space->n_axes - 1);
        if (n_known < 0)
            return false;
    }
    return false;
}

bool spt_space_first(const spt_space *space, spt_point *out) {
    *out = (spt_point){0};
    return search_from(space, out, 0);
}

bool spt_space_following(const spt_space *space, spt_point *point) {
    int grown = step(space, point, space->n_axes - 1);
    return grown >= 0 && search_from(space, point, grown);
}

bool spt_space_next(const spt_space *space, int64_t *ordinal, spt_point *out) {
    if (*ordinal < 0 || *ordinal >= spt_space_size(space))
        return false;
    spt_point point;
    spt_space_point(space, *ordinal, &point);
    if (!search_from(space, &point, 0))
        return false;
    *ordinal = spt_space_ordinal(space, &point);
    *out = point;
    return true;
}

int64_t spt_space_count_valid(const spt_space *space) {
    int64_t n_valid = 0;
    spt_point point;
    for (bool more = spt_space_first(space, &point); more; more = spt_space_following(space, &point))
        n_valid++;
    return n_valid;
}

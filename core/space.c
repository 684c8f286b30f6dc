/* SPDX-License-Identifier: Apache-2.0 */
/* Points of a space: values, text, mixed-radix ordinals, enumeration of the valid ones. The last axis varies fastest.
 */
#include "core/space.h"

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

static void value_text(char *out, size_t capacity, const spt_axis_value *value) {
    spt_text text;
    spt_text_init(&text, out, capacity);
    if (value->name != NULL)
        spt_text_add(&text, "%s", value->name);
    else
        spt_text_add(&text, "%d", value->value);
}

spt_status spt_point_text(char out[SPT_POINT_TEXT_MAX], const spt_axis *axes, int n_axes, const spt_point *point) {
    spt_text text;
    spt_text_init(&text, out, SPT_POINT_TEXT_MAX);
    if (n_axes == 0)
        spt_text_add(&text, "-");
    for (int axis = 0; axis < n_axes; axis++) {
        char value[SPT_POINT_TEXT_MAX];
        value_text(value, sizeof value, &axes[axis].values[point->index[axis]]);
        spt_text_add(&text, "%s%s=%s", axis > 0 ? "," : "", axes[axis].name, value);
    }
    if (text.overflow)
        return spt_fail(SPT_EINVAL, "expected a point of at most %d characters, found '%s...'", SPT_POINT_TEXT_MAX - 1,
                        out);
    return SPT_OK;
}

/* Does `text` of `length` characters equal `name`? */
static bool is_text(const char *text, size_t length, const char *name) {
    return strlen(name) == length && memcmp(text, name, length) == 0;
}

static spt_status parse_value(uint16_t *out, const spt_axis *axis, const char *text, size_t length) {
    for (int i = 0; i < axis->n_values; i++) {
        char value[SPT_POINT_TEXT_MAX];
        value_text(value, sizeof value, &axis->values[i]);
        if (is_text(text, length, value)) {
            *out = (uint16_t)i;
            return SPT_OK;
        }
    }
    return spt_fail(SPT_EINVAL, "axis %s has no value '%.*s'", axis->name, (int)length, text);
}

spt_status spt_point_parse(spt_point *out, const spt_axis *axes, int n_axes, const char *text) {
    *out = (spt_point){0};
    bool is_given[SPT_AXES_MAX] = {false};
    const char *cursor = text;
    if (n_axes == 0 && strcmp(text, "-") == 0)
        return SPT_OK;
    while (*cursor != '\0') {
        const size_t item_length = strcspn(cursor, ","), name_length = strcspn(cursor, "=,");
        int axis = 0;
        while (axis < n_axes && !is_text(cursor, name_length, axes[axis].name))
            axis++;
        if (axis == n_axes || name_length == item_length)
            return spt_fail(SPT_EINVAL, "expected axis=value with a known axis in '%s', found '%.*s'", text,
                            (int)item_length, cursor);
        if (is_given[axis])
            return spt_fail(SPT_EINVAL, "axis %s is given twice in '%s'", axes[axis].name, text);
        is_given[axis] = true;
        SPT_TRY(parse_value(&out->index[axis], &axes[axis], cursor + name_length + 1, item_length - name_length - 1));
        cursor += item_length;
        if (*cursor == ',' && *++cursor == '\0')
            return spt_fail(SPT_EINVAL, "expected axis=value after the last comma of '%s'", text);
    }
    for (int axis = 0; axis < n_axes; axis++) {
        if (!is_given[axis])
            return spt_fail(SPT_EINVAL, "axis %s is missing in '%s'", axes[axis].name, text);
    }
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
    return space->is_valid == NULL || space->is_valid(space->context, point);
}

bool spt_space_next(const spt_space *space, int64_t *ordinal, spt_point *out) {
    const int64_t size = spt_space_size(space);
    for (int64_t i = *ordinal; i < size; i++) {
        spt_space_point(space, i, out);
        if (spt_space_is_valid(space, out)) {
            *ordinal = i;
            return true;
        }
    }
    return false;
}

int64_t spt_space_count_valid(const spt_space *space) {
    int64_t count = 0;
    spt_point point;
    for (int64_t ordinal = 0; spt_space_next(space, &ordinal, &point); ordinal++)
        count++;
    return count;
}

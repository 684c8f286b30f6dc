/* SPDX-License-Identifier: Apache-2.0 */
/* A recorded space as a space: axes, sorted trials, and the predicates that look points and prefixes up in them. */
#include "tuner/input/recorded.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"
#include "tuner/input/recorded_table.h"
#include "tuner/input/whole.h"

/* ---- predicates: binary search in the sorted trials ---- */

static int compare_prefix(const spt_point *a, const spt_point *b, int n) {
    for (int axis = 0; axis < n; axis++)
        if (a->index[axis] != b->index[axis])
            return a->index[axis] < b->index[axis] ? -1 : 1;
    return 0;
}

/* The first trial that does not come before a point's first n indices; n_trials when there is none. */
static int64_t lower_bound(const spt_recorded *recorded, const spt_point *point, int n) {
    int64_t low = 0, high = recorded->n_trials;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (compare_prefix(&recorded->trials[middle].point, point, n) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static const spt_recorded_trial *find_prefix(const spt_recorded *recorded, const spt_point *point, int n) {
    int64_t at = lower_bound(recorded, point, n);
    bool found = at < recorded->n_trials && compare_prefix(&recorded->trials[at].point, point, n) == 0;
    return found ? &recorded->trials[at] : NULL;
}

const spt_recorded_trial *spt_recorded_find(const spt_recorded *recorded, const spt_point *point) {
    return find_prefix(recorded, point, recorded->n_axes);
}

static bool is_recorded(const void *context, const spt_point *point) {
    return spt_recorded_find(context, point) != NULL;
}

static bool can_begin(const void *context, const spt_point *prefix, int n_fixed) {
    return find_prefix(context, prefix, n_fixed) != NULL;
}

/* ---- from the table ---- */

/* Numbers in rising order, then names in order of appearance. */
static int compare_values(const void *a, const void *b, void *column_) {
    const spt_recorded_column *column = column_;
    const int i = *(const uint16_t *)a, j = *(const uint16_t *)b;
    const spt_recorded_value *x = &column->values[i], *y = &column->values[j];
    if (x->is_number != y->is_number)
        return x->is_number ? -1 : 1;
    return x->is_number ? (x->number > y->number) - (x->number < y->number) : i - j;
}

/* Has the column an order: whole numbers, perhaps with names at their end, and nothing else? */
static bool is_ordered(const spt_recorded_column *column) {
    int n_numbers = 0;
    for (int i = 0; i < column->n_values; i++) {
        if (!column->values[i].is_number && !column->values[i].is_name)
            return false;
        n_numbers += column->values[i].is_number;
    }
    return n_numbers > 0;
}

/* Make an axis of a column; new_index[old index] is the index on the axis. */
static spt_status make_axis(spt_axis *axis, uint16_t *new_index, const spt_recorded_column *column) {
    uint16_t *order = NULL;
    spt_axis_value *values = NULL;
    const bool ordered = is_ordered(column);
    *axis = (spt_axis){.summary = "recorded", .n_values = column->n_values};
    SPT_TRY(SPT_NEW(order, column->n_values));
    for (int i = 0; i < column->n_values; i++)
        order[i] = (uint16_t)i;
    if (ordered)
        qsort_r(order, (size_t)column->n_values, sizeof *order, compare_values, (void *)(uintptr_t)column);
    axis->name = spt_strdup(column->name);
    spt_status status = axis->name != NULL ? SPT_NEW_ZEROED(values, column->n_values) : SPT_ENOMEM;
    axis->values = values;
    for (int i = 0; status == SPT_OK && i < column->n_values; i++) {
        const spt_recorded_value *value = &column->values[order[i]];
        const bool is_number = ordered && value->is_number;
        new_index[order[i]] = (uint16_t)i;
        values[i].value = is_number ? value->number : INT32_MIN + i; /* no number of a file is that small */
        if (!is_number && (values[i].name = spt_strdup(value->text)) == NULL)
            status = SPT_ENOMEM;
    }
    spt_free(order);
    return status;
}

/* Make the axis of a column and write its index into every trial. */
static spt_status add_axis(spt_recorded *out, const spt_recorded_table *table, int c) {
    const spt_recorded_column *column = &table->columns[c];
    uint16_t *new_index = NULL;
    if (out->n_axes == SPT_AXES_MAX)
        return spt_fail(SPT_EINVAL, "%s: expected at most %d parameters with more than one value, found more",
                        table->path, SPT_AXES_MAX);
    SPT_TRY(SPT_NEW(new_index, column->n_values));
    int axis = out->n_axes++;
    spt_status status = make_axis(&out->axes[axis], new_index, column);
    for (int64_t i = 0; status == SPT_OK && i < table->n_rows; i++)
        out->trials[i].point.index[axis] = new_index[table->rows[i].value[c]];
    spt_free(new_index);
    return status;
}

static int compare_trials(const void *a, const void *b) {
    return compare_prefix(&((const spt_recorded_trial *)a)->point, &((const spt_recorded_trial *)b)->point,
                          SPT_AXES_MAX);
}

static double expect(const void *context, const spt_point *point) {
    return spt_recorded_find(context, point)->bound_ns;
}

/* What follows from the axes and the sorted trials. */
static void prepare(spt_recorded *out) {
    out->n_correct = 0;
    out->has_bounds = true;
    for (int64_t i = 0; i < out->n_trials; i++) {
        out->n_correct += out->trials[i].status == SPT_TRIAL_CORRECT;
        out->has_bounds = out->has_bounds && out->trials[i].bound_ns > 0.0;
    }
    out->space = (spt_space){.axes = out->axes,
                             .n_axes = out->n_axes,
                             .is_valid = is_recorded,
                             .can_begin = can_begin,
                             .expect = out->has_bounds ? expect : NULL,
                             .context = out};
}

static spt_status from_table(spt_recorded *out, const spt_recorded_table *table) {
    SPT_TRY(SPT_NEW_ZEROED(out->axes, SPT_AXES_MAX));
    SPT_TRY(SPT_NEW_ZEROED(out->trials, table->n_rows));
    out->n_trials = table->n_rows;
    for (int64_t i = 0; i < table->n_rows; i++) {
        const spt_recorded_row *row = &table->rows[i];
        out->trials[i] = (spt_recorded_trial){.status = row->status,
                                              .time_ns = row->time_ns,
                                              .spent_s = row->spent_s,
                                              .bound_ns = row->bound_ns,
                                              .is_default = row->is_default};
    }
    for (int c = 0; c < table->n_columns; c++)
        if (table->columns[c].n_values > 1)
            SPT_TRY(add_axis(out, table, c));
    qsort(out->trials, (size_t)out->n_trials, sizeof *out->trials, compare_trials);
    for (int64_t i = 1; i < out->n_trials; i++)
        if (compare_trials(&out->trials[i - 1], &out->trials[i]) == 0)
            return spt_fail(SPT_EINVAL, "%s: expected each point once, found one twice", table->path);
    prepare(out);
    if (out->n_correct == 0)
        return spt_fail(SPT_EINVAL, "%s: expected at least one correct point, found none of %" PRId64, table->path,
                        out->n_trials);
    return SPT_OK;
}

/* The file's name without folder and from the first known suffix on. */
static spt_status name_of(char **out, const char *path) {
    static const char *const suffixes[] = {".gz", ".json", ".T4"};
    const char *slash = strrchr(path, '/');
    char *name = spt_strdup(slash != NULL ? slash + 1 : path);
    if (name == NULL)
        return SPT_ENOMEM;
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        size_t length = strlen(name), suffix = strlen(suffixes[i]);
        if (length > suffix && strcmp(name + length - suffix, suffixes[i]) == 0)
            name[length - suffix] = '\0';
    }
    *out = name;
    return SPT_OK;
}

spt_status spt_recorded_parse(spt_recorded *out, const char *path, char *data, size_t size) {
    spt_status status = SPT_OK;
    spt_recorded_table table = {.path = path};
    *out = (spt_recorded){0};
    SPT_TRY_TO(done, name_of(&out->name, path));
    SPT_TRY_TO(done, spt_recorded_read(&table, data, size));
    SPT_TRY_TO(done, from_table(out, &table));
done:
    spt_recorded_table_fini(&table);
    if (status != SPT_OK)
        spt_recorded_fini(out);
    return status;
}

spt_status spt_recorded_load(spt_recorded *out, const char *path) {
    char *data = NULL;
    size_t size = 0;
    *out = (spt_recorded){0};
    SPT_TRY(spt_whole_read(&data, &size, path));
    spt_status status = spt_recorded_parse(out, path, data, size);
    spt_free(data);
    return status;
}

void spt_recorded_fini(spt_recorded *recorded) {
    for (int axis = 0; axis < recorded->n_axes; axis++) {
        const spt_axis *at = &recorded->axes[axis];
        for (int i = 0; at->values != NULL && i < at->n_values; i++)
            spt_free((void *)(uintptr_t)at->values[i].name);
        spt_free((void *)(uintptr_t)at->values);
        spt_free((void *)(uintptr_t)at->name);
    }
    spt_free(recorded->axes);
    spt_free(recorded->trials);
    spt_free(recorded->name);
    *recorded = (spt_recorded){0};
}

/* ---- parts ---- */

/* Which values of an axis does the part have? used[value], and how many. */
static int mark_used(bool *used, const spt_recorded *whole, const spt_recorded_part *part, int axis) {
    const int n_values = whole->axes[axis].n_values;
    int n_used = 0;
    memset(used, 0, (size_t)n_values * sizeof *used);
    for (int64_t i = 0; i < part->recorded.n_trials; i++)
        used[whole->trials[part->origins[i]].point.index[axis]] = true;
    for (int value = 0; value < n_values; value++)
        n_used += used[value];
    return n_used;
}

/* Copy the used values of an axis, and move the part's trials to their new indices. */
static spt_status narrow_axis(spt_recorded_part *part, const spt_recorded *whole, int axis, const bool *used,
                              int n_used) {
    spt_recorded *out = &part->recorded;
    const spt_axis *from = &whole->axes[axis];
    spt_axis *to = &out->axes[out->n_axes];
    spt_axis_value *values = NULL;
    uint16_t *moved = NULL;
    spt_status status = SPT_OK;
    *to = (spt_axis){.summary = from->summary, .n_values = n_used, .name = spt_strdup(from->name)};
    if (to->name == NULL)
        return SPT_ENOMEM;
    out->n_axes++;
    SPT_TRY(SPT_NEW_ZEROED(values, n_used));
    to->values = values;
    SPT_TRY(SPT_NEW(moved, from->n_values));
    for (int value = 0, at = 0; value < from->n_values; value++) {
        if (!used[value])
            continue;
        const char *name = from->values[value].name;
        values[at].value = from->values[value].value;
        if (name != NULL && (values[at].name = spt_strdup(name)) == NULL)
            SPT_TRY_TO(done, SPT_ENOMEM);
        moved[value] = (uint16_t)at++;
    }
    for (int64_t i = 0; i < out->n_trials; i++)
        out->trials[i].point.index[out->n_axes - 1] = moved[whole->trials[part->origins[i]].point.index[axis]];
done:
    spt_free(moved);
    return status;
}

/* The trials whose index on the axis is `value`; axis -1: all. Their order stays sorted without that axis. */
static spt_status take_part(spt_recorded_part *part, const spt_recorded *whole, int axis, int value) {
    spt_recorded *out = &part->recorded;
    const spt_axis_value *named = axis >= 0 ? &whole->axes[axis].values[value] : NULL;
    bool *used = NULL;
    spt_status status = SPT_OK;
    out->name = spt_strdup(named == NULL ? whole->name : named->name != NULL ? named->name : "number");
    SPT_TRY_TO(done, out->name != NULL ? SPT_OK : SPT_ENOMEM);
    SPT_TRY_TO(done, SPT_NEW(part->origins, whole->n_trials));
    SPT_TRY_TO(done, SPT_NEW(out->trials, whole->n_trials));
    SPT_TRY_TO(done, SPT_NEW_ZEROED(out->axes, SPT_AXES_MAX));
    SPT_TRY_TO(done, SPT_NEW(used, UINT16_MAX + 1));
    for (int64_t i = 0; i < whole->n_trials; i++)
        if (axis < 0 || whole->trials[i].point.index[axis] == value) {
            out->trials[out->n_trials] = whole->trials[i];
            out->trials[out->n_trials].point = (spt_point){0};
            part->origins[out->n_trials++] = i;
        }
    for (int other = 0; other < whole->n_axes; other++) {
        const int n_used = other != axis ? mark_used(used, whole, part, other) : 0;
        if (n_used > 1)
            SPT_TRY_TO(done, narrow_axis(part, whole, other, used, n_used));
    }
    prepare(out);
done:
    spt_free(used);
    return status;
}

spt_status spt_recorded_split(spt_recorded_part **parts, int *n_parts, const spt_recorded *whole, const char *axis) {
    int split = axis != NULL ? whole->n_axes - 1 : -1;
    while (split >= 0 && strcmp(whole->axes[split].name, axis) != 0)
        split--;
    *n_parts = split >= 0 ? whole->axes[split].n_values : 1;
    spt_status status = SPT_NEW_ZEROED(*parts, *n_parts);
    for (int i = 0; status == SPT_OK && i < *n_parts; i++)
        status = take_part(&(*parts)[i], whole, split, i);
    if (status != SPT_OK)
        spt_recorded_parts_free(*parts, *n_parts);
    return status;
}

void spt_recorded_parts_free(spt_recorded_part *parts, int n_parts) {
    for (int i = 0; parts != NULL && i < n_parts; i++) {
        spt_recorded_fini(&parts[i].recorded);
        spt_free(parts[i].origins);
    }
    spt_free(parts);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A recorded space as a space: axes, sorted trials, and the predicates that look points and prefixes up in them. */
#include "tuner/input/recorded.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "core/memory.h"
#include "tuner/input/recorded_table.h"

#define FILE_BYTES_MAX ((size_t)4 << 30)
#define CHUNK_BYTES ((size_t)1 << 20)

/* ---- the file ---- */

/* Read a file, unpacking .gz; (*out)[*size] is 0. */
static spt_status read_all(char **out, size_t *size, const char *path) {
    spt_status status = SPT_OK;
    char *data = NULL;
    size_t length = 0, capacity = 0;
    gzFile stream = gzopen(path, "rb");
    if (stream == NULL)
        return spt_fail(SPT_EIO, "%s: expected a readable file, found none", path);
    for (int n_read = 1; n_read > 0; length += (size_t)n_read) {
        if (capacity - length < CHUNK_BYTES + 1) {
            size_t larger = capacity == 0 ? 4 * CHUNK_BYTES : 2 * capacity;
            char *moved = larger <= FILE_BYTES_MAX ? spt_realloc(data, capacity, larger, 1) : NULL;
            SPT_TRY_TO(done, moved != NULL ? SPT_OK : spt_fail(SPT_ENOMEM, "%s: too large", path));
            data = moved;
            capacity = larger;
        }
        n_read = gzread(stream, data + length, (unsigned)CHUNK_BYTES);
        if (n_read < 0) {
            int code;
            SPT_TRY_TO(done, spt_fail(SPT_EIO, "%s: expected a whole file, found: %s", path, gzerror(stream, &code)));
        }
    }
    data[length] = '\0';
    *out = data;
    *size = length;
    data = NULL;
done:
    gzclose(stream);
    spt_free(data);
    return status;
}

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

static int compare_values(const void *a, const void *b, void *column_) {
    const spt_recorded_column *column = column_;
    int32_t x = column->values[*(const uint16_t *)a].number, y = column->values[*(const uint16_t *)b].number;
    return (x > y) - (x < y);
}

/* Make an axis of a column; new_index[old index] is the index on the axis. */
static spt_status make_axis(spt_axis *axis, uint16_t *new_index, const spt_recorded_column *column) {
    uint16_t *order = NULL;
    spt_axis_value *values = NULL;
    bool is_numeric = true;
    for (int i = 0; i < column->n_values; i++)
        is_numeric = is_numeric && column->values[i].is_number;
    *axis = (spt_axis){.summary = "recorded", .n_values = column->n_values};
    SPT_TRY(SPT_NEW(order, column->n_values));
    for (int i = 0; i < column->n_values; i++)
        order[i] = (uint16_t)i;
    if (is_numeric)
        qsort_r(order, (size_t)column->n_values, sizeof *order, compare_values, (void *)(uintptr_t)column);
    axis->name = spt_strdup(column->name);
    spt_status status = axis->name != NULL ? SPT_NEW_ZEROED(values, column->n_values) : SPT_ENOMEM;
    axis->values = values;
    for (int i = 0; status == SPT_OK && i < column->n_values; i++) {
        const spt_recorded_value *value = &column->values[order[i]];
        new_index[order[i]] = (uint16_t)i;
        values[i].value = is_numeric ? value->number : i;
        if (!is_numeric && (values[i].name = spt_strdup(value->text)) == NULL)
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

static spt_status from_table(spt_recorded *out, const spt_recorded_table *table) {
    SPT_TRY(SPT_NEW_ZEROED(out->axes, SPT_AXES_MAX));
    SPT_TRY(SPT_NEW_ZEROED(out->trials, table->n_rows));
    out->n_trials = table->n_rows;
    for (int64_t i = 0; i < table->n_rows; i++) {
        const spt_recorded_row *row = &table->rows[i];
        out->trials[i] = (spt_recorded_trial){.status = row->status, .time_ns = row->time_ns, .spent_s = row->spent_s};
        out->n_correct += row->status == SPT_TRIAL_CORRECT;
    }
    for (int c = 0; c < table->n_columns; c++)
        if (table->columns[c].n_values > 1)
            SPT_TRY(add_axis(out, table, c));
    qsort(out->trials, (size_t)out->n_trials, sizeof *out->trials, compare_trials);
    for (int64_t i = 1; i < out->n_trials; i++)
        if (compare_trials(&out->trials[i - 1], &out->trials[i]) == 0)
            return spt_fail(SPT_EINVAL, "%s: expected each point once, found one twice", table->path);
    if (out->n_correct == 0)
        return spt_fail(SPT_EINVAL, "%s: expected at least one correct point, found none of %" PRId64, table->path,
                        out->n_trials);
    out->space = (spt_space){
        .axes = out->axes, .n_axes = out->n_axes, .is_valid = is_recorded, .can_begin = can_begin, .context = out};
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
    SPT_TRY(read_all(&data, &size, path));
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

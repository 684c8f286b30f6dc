/* SPDX-License-Identifier: Apache-2.0 */
/* Rows and columns of a recorded space; see recorded_table.h. */
#include "tuner/input/recorded_table.h"

#include <string.h>

#include "core/memory.h"

#define VALUES_MAX 65535

spt_status spt_recorded_table_column(spt_recorded_table *table, const char *name) {
    if (table->n_columns == SPT_COLUMNS_MAX)
        return spt_fail(SPT_EINVAL, "%s: expected at most %d parameters, found more", table->path, SPT_COLUMNS_MAX);
    char *copy = spt_strdup(name);
    if (copy == NULL)
        return SPT_ENOMEM;
    table->columns[table->n_columns++] = (spt_recorded_column){.name = copy};
    return SPT_OK;
}

static spt_status add_value(spt_recorded_table *table, spt_recorded_column *column, const char *text,
                            const json_t *value) {
    int64_t capacity = column->capacity;
    void *items = column->values;
    if (column->n_values == VALUES_MAX)
        return spt_fail(SPT_EINVAL, "%s: expected at most %d values of %s, found more", table->path, VALUES_MAX,
                        column->name);
    SPT_TRY(spt_grow(&items, &capacity, column->n_values, sizeof *column->values));
    column->values = items;
    column->capacity = (int)capacity;
    char *copy = spt_strdup(text);
    if (copy == NULL)
        return SPT_ENOMEM;
    json_int_t number = json_integer_value(value);
    bool is_number = json_is_integer(value) && number >= INT32_MIN && number <= INT32_MAX;
    column->values[column->n_values++] = (spt_recorded_value){.text = copy,
                                                              .number = is_number ? (int32_t)number : 0,
                                                              .is_number = is_number,
                                                              .is_name = json_is_string(value)};
    return SPT_OK;
}

/* The index of a value in its column; a new one is added. Values in a row's neighbourhood repeat, so the scan starts
 * with the value of the row before. */
static spt_status index_of(uint16_t *out, spt_recorded_table *table, int c, const json_t *value) {
    spt_recorded_column *column = &table->columns[c];
    int first = table->n_rows > 0 ? table->rows[table->n_rows - 1].value[c] : 0;
    char text[128];
    if (json_is_string(value) && json_string_length(value) < sizeof text)
        memcpy(text, json_string_value(value), json_string_length(value) + 1);
    else
        text[json_dumpb(value, text, sizeof text - 1, JSON_ENCODE_ANY | JSON_REAL_PRECISION(9)) % sizeof text] = '\0';
    for (int i = 0; i < column->n_values; i++) {
        int at = (first + i) % column->n_values;
        if (strcmp(column->values[at].text, text) == 0) {
            *out = (uint16_t)at;
            return SPT_OK;
        }
    }
    *out = (uint16_t)column->n_values;
    return add_value(table, column, text, value);
}

spt_status spt_recorded_table_row(spt_recorded_table *table, const json_t *values, const spt_recorded_row *result) {
    spt_recorded_row row = *result;
    void *items = table->rows;
    for (int c = 0; c < table->n_columns; c++) {
        const json_t *value = json_object_get(values, table->columns[c].name);
        if (value == NULL || json_is_object(value) || json_is_array(value))
            return spt_fail(SPT_EINVAL, "%s: entry %lld: expected a value of %s", table->path,
                            (long long)table->n_rows + 1, table->columns[c].name);
        SPT_TRY(index_of(&row.value[c], table, c, value));
    }
    SPT_TRY(spt_grow(&items, &table->capacity, table->n_rows, sizeof *table->rows));
    table->rows = items;
    table->rows[table->n_rows++] = row;
    return SPT_OK;
}

void spt_recorded_table_fini(spt_recorded_table *table) {
    for (int c = 0; c < table->n_columns; c++) {
        for (int i = 0; i < table->columns[c].n_values; i++)
            spt_free(table->columns[c].values[i].text);
        spt_free(table->columns[c].values);
        spt_free(table->columns[c].name);
    }
    spt_free(table->rows);
    *table = (spt_recorded_table){0};
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A recorded space while it is read: rows of values by column, in whatever order the file has them. */
#ifndef SPT_TUNER_RECORDED_TABLE_H
#define SPT_TUNER_RECORDED_TABLE_H

#include <jansson.h>

#include "tuner/input/recorded.h"

#define SPT_COLUMNS_MAX 64

/* One distinct value: a whole number, or a text. */
typedef struct spt_recorded_value {
    char *text;              /* always there */
    int32_t number;          /* when is_number */
    bool is_number, is_name; /* is_name: a text in quotes */
} spt_recorded_value;

typedef struct spt_recorded_column {
    char *name;
    spt_recorded_value *values;
    int n_values, capacity;
} spt_recorded_column;

typedef struct spt_recorded_row {
    uint16_t value[SPT_COLUMNS_MAX]; /* index into the column's values */
    spt_trial_status status;
    double time_ns, spent_s, bound_ns;
    bool is_default;
} spt_recorded_row;

typedef struct spt_recorded_table {
    const char *path; /* for sentences */
    spt_recorded_column columns[SPT_COLUMNS_MAX];
    int n_columns;
    spt_recorded_row *rows;
    int64_t n_rows, capacity;
} spt_recorded_table;

spt_status spt_recorded_table_column(spt_recorded_table *table, const char *name);
/* Add a row; `values` is an object that has every column (other members are ignored), `result` has all but the values.
 * Errors: EINVAL, ENOMEM. */
spt_status spt_recorded_table_row(spt_recorded_table *table, const json_t *values, const spt_recorded_row *result);
void spt_recorded_table_fini(spt_recorded_table *table);

/* Fill the table from a file's text, which may be a cache that was never closed. Errors: EINVAL with the line. */
spt_status spt_recorded_read(spt_recorded_table *table, char *data, size_t size);

#endif

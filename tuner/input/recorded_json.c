/* SPDX-License-Identifier: Apache-2.0 */
/* The two JSON forms of recorded spaces, read one entry at a time so that memory follows the entries, not the file:
 * Kernel Tuner's cache  {..., "tune_params_keys": [...], ..., "cache": {"16,1": {"block": 16, ..., "time": 1.2}, ...}}
 * T4 results            {..., "results": [{"configuration": {...}, "invalidity": "correct", "measurements": [...]}]}
 * Kernel Tuner closes a cache only when tuning ends, and Python writes NaN: both are read. Whatever else ends early, or
 * goes on behind its end, is damaged. */
#include <ctype.h>
#include <string.h>

#include "tuner/input/recorded_table.h"

#define MS_NS 1e6
#define FAILED_MS 1e19  /* Kernel Tuner's older caches write 1e20 for a failed point */
#define UNKNOWN_MS -1.0 /* what a NaN is read as */

typedef struct json_cursor {
    const char *path, *data, *at, *end;
    bool is_left_open; /* the text ended inside a cache, behind a whole entry */
} json_cursor;

static long line_of(const json_cursor *cursor) {
    long line = 1;
    for (const char *at = cursor->data; at < cursor->at; at++)
        line += *at == '\n';
    return line;
}

static spt_status expected(const json_cursor *cursor, const char *what) {
    return spt_fail(SPT_EINVAL, "%s:%ld: expected %s", cursor->path, line_of(cursor), what);
}

static void skip_space(json_cursor *cursor) {
    while (cursor->at < cursor->end && isspace((unsigned char)*cursor->at))
        cursor->at++;
}

/* Take one character if it is next. */
static bool take(json_cursor *cursor, char wanted) {
    skip_space(cursor);
    if (cursor->at == cursor->end || *cursor->at != wanted)
        return false;
    cursor->at++;
    return true;
}

/* After an item: a comma, or what closes the list, or the end of the text, which the next item would miss. */
static spt_status end_item(json_cursor *cursor, char close) {
    if (take(cursor, ',') || cursor->at == cursor->end || *cursor->at == close)
        return SPT_OK;
    return expected(cursor, "a comma between items");
}

static spt_status take_value(json_t **out, json_cursor *cursor) {
    json_error_t error;
    skip_space(cursor);
    *out = json_loadb(cursor->at, (size_t)(cursor->end - cursor->at), JSON_DECODE_ANY | JSON_DISABLE_EOF_CHECK, &error);
    if (*out == NULL)
        return spt_fail(SPT_EINVAL, "%s:%ld: expected JSON, found: %s", cursor->path, line_of(cursor) + error.line - 1,
                        error.text);
    cursor->at += error.position;
    return SPT_OK;
}

static spt_status take_key(json_t **out, json_cursor *cursor) {
    SPT_TRY(take_value(out, cursor));
    if (json_is_string(*out) && take(cursor, ':'))
        return SPT_OK;
    json_decref(*out);
    *out = NULL;
    return expected(cursor, "a name in quotes and a colon");
}

/* NaN and Infinity, which JSON does not have, become UNKNOWN_MS, which no time is. */
static void replace_words(char *data, size_t size) {
    static const char *const words[] = {"NaN", "-Infinity", "Infinity"};
    bool quoted = false;
    for (size_t i = 0; i < size; i++) {
        if (data[i] == '"')
            quoted = !quoted;
        else if (quoted && data[i] == '\\')
            i++;
        for (size_t w = 0; !quoted && i < size && w < sizeof words / sizeof words[0]; w++) {
            size_t length = strlen(words[w]);
            if (size - i >= length && memcmp(data + i, words[w], length) == 0) {
                memset(data + i, ' ', length);
                memcpy(data + i, "-1", 2);
            }
        }
    }
}

/* ---- Kernel Tuner ---- */

/* A number of milliseconds of the next entry; 0: unknown. */
static spt_status take_ms(double *out, const spt_recorded_table *table, const char *name, const json_t *value) {
    const double ms = json_number_value(value);
    *out = ms > 0.0 ? ms : 0.0;
    if (ms < 0.0 && ms != UNKNOWN_MS)
        return spt_fail(SPT_EINVAL, "%s: entry %lld: expected 0 or more milliseconds of %s, found %g", table->path,
                        (long long)table->n_rows + 1, name, ms);
    return SPT_OK;
}

static spt_status sum_of(double *out, const spt_recorded_table *table, const json_t *object, const char *const *names,
                         int n_names) {
    *out = 0.0;
    for (int i = 0; i < n_names; i++) {
        double part = 0.0;
        SPT_TRY(take_ms(&part, table, names[i], json_object_get(object, names[i])));
        *out += part;
    }
    return SPT_OK;
}

static spt_trial_status status_of_error(const char *name) {
    if (strstr(name, "Compil") != NULL)
        return SPT_TRIAL_COMPILE;
    return strstr(name, "Invalid") != NULL ? SPT_TRIAL_CONSTRAINTS : SPT_TRIAL_RUNTIME;
}

static spt_status add_cached(spt_recorded_table *table, const json_t *entry) {
    static const char *const times[] = {"compile_time", "verification_time", "benchmark_time", "strategy_time",
                                        "framework_time"};
    const json_t *time = json_object_get(entry, "time");
    double ms = 0.0, bound_ms = 0.0, spent_ms = 0.0;
    SPT_TRY(take_ms(&ms, table, "time", time));
    SPT_TRY(take_ms(&bound_ms, table, "bound", json_object_get(entry, "bound")));
    SPT_TRY(sum_of(&spent_ms, table, entry, times, 5));
    spt_trial_status status = json_is_string(time)         ? status_of_error(json_string_value(time))
                              : ms > 0.0 && ms < FAILED_MS ? SPT_TRIAL_CORRECT
                                                           : SPT_TRIAL_RUNTIME;
    const spt_recorded_row row = {.status = status,
                                  .time_ns = status == SPT_TRIAL_CORRECT ? ms * MS_NS : 0.0,
                                  .spent_s = spent_ms * 1e-3,
                                  .bound_ns = bound_ms < FAILED_MS ? bound_ms * MS_NS : 0.0,
                                  .is_default = json_integer_value(json_object_get(entry, "is_default")) == 1};
    return spt_recorded_table_row(table, entry, &row);
}

static spt_status read_cache(spt_recorded_table *table, json_cursor *cursor) {
    if (table->n_columns == 0)
        return expected(cursor, "tune_params_keys before the cache");
    if (!take(cursor, '{'))
        return expected(cursor, "an object of entries");
    while (!take(cursor, '}')) {
        json_t *key = NULL, *entry = NULL;
        skip_space(cursor);
        if ((cursor->is_left_open = cursor->at == cursor->end))
            return SPT_OK;
        SPT_TRY(take_key(&key, cursor));
        json_decref(key);
        SPT_TRY(take_value(&entry, cursor));
        spt_status status = json_is_object(entry) ? add_cached(table, entry) : expected(cursor, "an object");
        json_decref(entry);
        SPT_TRY(status);
        SPT_TRY(end_item(cursor, '}'));
    }
    return SPT_OK;
}

static spt_status read_columns(spt_recorded_table *table, json_cursor *cursor) {
    json_t *names = NULL, *name;
    size_t i;
    spt_status status = SPT_OK;
    SPT_TRY(take_value(&names, cursor));
    json_array_foreach(names, i, name) {
        SPT_TRY_TO(done, json_is_string(name) ? spt_recorded_table_column(table, json_string_value(name))
                                              : expected(cursor, "names of parameters"));
    }
done:
    json_decref(names);
    return status;
}

/* ---- T4 ---- */

/* The measurement called "time". */
static const json_t *measured(const json_t *measurements) {
    const json_t *item;
    size_t i;
    json_array_foreach(measurements, i, item) {
        const char *name = json_string_value(json_object_get(item, "name"));
        if (name != NULL && strcmp(name, "time") == 0)
            return json_object_get(item, "value");
    }
    return NULL;
}

static spt_status add_spent(double *out, const spt_recorded_table *table, const json_t *times) {
    static const char *const parts[] = {"compilation", "framework", "search_algorithm", "validation"};
    const json_t *runtimes = json_object_get(times, "runtimes"), *item;
    size_t i;
    SPT_TRY(sum_of(out, table, times, parts, 4));
    json_array_foreach(runtimes, i, item) {
        double part = 0.0;
        SPT_TRY(take_ms(&part, table, "runtimes", item));
        *out += part;
    }
    return SPT_OK;
}

static spt_status add_result(spt_recorded_table *table, const json_cursor *cursor, const json_t *result) {
    json_t *configuration = json_object_get(result, "configuration"), *value;
    const char *name = json_string_value(json_object_get(result, "invalidity")), *key;
    if (!json_is_object(configuration) || name == NULL)
        return expected(cursor, "a result with configuration and invalidity");
    if (table->n_columns == 0)
        json_object_foreach(configuration, key, value) {
            SPT_TRY(spt_recorded_table_column(table, key));
        }
    spt_trial_status status;
    SPT_TRY(spt_trial_status_parse(&status, name));
    double ms = 0.0, spent_ms = 0.0;
    SPT_TRY(take_ms(&ms, table, "time", measured(json_object_get(result, "measurements"))));
    SPT_TRY(add_spent(&spent_ms, table, json_object_get(result, "times")));
    if (status == SPT_TRIAL_CORRECT && !(ms > 0.0 && ms < FAILED_MS))
        status = SPT_TRIAL_RUNTIME;
    const spt_recorded_row row = {
        .status = status, .time_ns = status == SPT_TRIAL_CORRECT ? ms * MS_NS : 0.0, .spent_s = spent_ms * 1e-3};
    return spt_recorded_table_row(table, configuration, &row);
}

static spt_status read_results(spt_recorded_table *table, json_cursor *cursor) {
    if (!take(cursor, '['))
        return expected(cursor, "a list of results");
    while (!take(cursor, ']')) {
        json_t *result = NULL;
        SPT_TRY(take_value(&result, cursor));
        spt_status status = add_result(table, cursor, result);
        json_decref(result);
        SPT_TRY(status);
        SPT_TRY(end_item(cursor, ']'));
    }
    return SPT_OK;
}

/* ---- the members that matter ---- */

static spt_status skip_value(spt_recorded_table *table, json_cursor *cursor) {
    (void)table;
    json_t *value = NULL;
    SPT_TRY(take_value(&value, cursor));
    json_decref(value);
    return SPT_OK;
}

static const struct {
    const char *name;
    spt_status (*read)(spt_recorded_table *table, json_cursor *cursor);
} members[] = {
    {"tune_params_keys", read_columns}, {"cache", read_cache}, {"results", read_results}, {NULL, skip_value}};

spt_status spt_recorded_read(spt_recorded_table *table, char *data, size_t size) {
    json_cursor cursor = {.path = table->path, .data = data, .at = data, .end = data + size};
    replace_words(data, size);
    if (!take(&cursor, '{'))
        return expected(&cursor, "a Kernel Tuner cache or a T4 file, which begin with {");
    while (!cursor.is_left_open && !take(&cursor, '}')) {
        json_t *key = NULL;
        int i = 0;
        SPT_TRY(take_key(&key, &cursor));
        while (members[i].name != NULL && strcmp(members[i].name, json_string_value(key)) != 0)
            i++;
        json_decref(key);
        SPT_TRY(members[i].read(table, &cursor));
        SPT_TRY(end_item(&cursor, '}'));
    }
    skip_space(&cursor);
    if (cursor.at != cursor.end)
        return expected(&cursor, "the end of the file behind the last }");
    if (table->n_rows == 0)
        return spt_fail(SPT_EINVAL, "%s: expected a cache or results with at least one entry, found none", table->path);
    return SPT_OK;
}

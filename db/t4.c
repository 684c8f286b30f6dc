/* SPDX-License-Identifier: Apache-2.0 */
/* Results in T4, the AutoTuning Association's exchange format of tuning results. Times are in milliseconds there.
 * A trial that was dropped early was correct and has a time; the form has no name for it but "correct". */
#include "db/t4.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <time.h>

#include "core/memory.h"
#include "core/text.h"
#include "db/handle.h"
#include "db/json.h"
#include "db/reader_row.h"

enum { COLUMNS_MAX = 64 };
#define NS_PER_MS 1e6

#define TRIALS_SQL(compile_ns)                                                                                         \
    "SELECT v.family, v.revision, v.point, t.status, t.time_ns_median, t.pack_ns + " compile_ns                        \
    ", t.recorded_unix_us, t.n_samples"                                                                                \
    " FROM trial t CROSS JOIN variant v ON v.id = t.variant WHERE t.key = ?1 AND t.phase = 'search'"                   \
    " AND (?2 IS NULL OR v.family = ?2) ORDER BY v.family, v.revision DESC, v.point, t.recorded_unix_us DESC"
static const char *const trials_sql[] = {TRIALS_SQL("0.0"), TRIALS_SQL("t.compile_ns")};

/* One result to be. */
typedef struct result_row {
    char family[64], point[SPT_POINT_TEXT_MAX];
    int64_t revision, recorded_unix_us, n_samples;
    spt_trial_status status;
    double time_ns, pack_ns; /* packing and compiling */
} result_row;

typedef struct document {
    result_row *rows;
    int64_t n_rows, capacity;
    char columns[COLUMNS_MAX][32];
    int n_columns;
    bool has_family; /* one column tells the family */
} document;

/* ---- axes of a point: "t=4,kb=all" ---- */

typedef struct axis_text {
    char name[32], value[32];
} axis_text;

/* The next axis behind *at, which moves on; false at the end. */
static bool next_axis(axis_text *out, const char **at) {
    const size_t name_length = strcspn(*at, "=,");
    if (name_length == 0 || (*at)[name_length] != '=')
        return false;
    const char *value = *at + name_length + 1;
    const size_t value_length = strcspn(value, ",");
    spt_copy_text(out->name, name_length < sizeof out->name ? name_length + 1 : sizeof out->name, *at);
    spt_copy_text(out->value, value_length < sizeof out->value ? value_length + 1 : sizeof out->value, value);
    *at = value + value_length + (value[value_length] == ',');
    return true;
}

static void add_columns(document *self, const char *point) {
    axis_text axis;
    while (next_axis(&axis, &point)) {
        int i = 0;
        while (i < self->n_columns && strcmp(self->columns[i], axis.name) != 0)
            i++;
        if (i == self->n_columns && self->n_columns < COLUMNS_MAX)
            spt_copy_text(self->columns[self->n_columns++], sizeof self->columns[0], axis.name);
    }
}

/* ---- rows ---- */

static bool take_row(result_row *out, sqlite3_stmt *row) {
    char status[16];
    if (!spt_row_text(out->family, sizeof out->family, row, 0) ||
        !spt_row_integer(&out->revision, row, 1, 0, INT32_MAX) ||
        !spt_row_text(out->point, sizeof out->point, row, 2) || !spt_row_text(status, sizeof status, row, 3) ||
        spt_trial_status_parse(&out->status, status) != SPT_OK)
        return false;
    out->time_ns = sqlite3_column_double(row, 4);
    out->pack_ns = sqlite3_column_double(row, 5);
    return spt_row_integer(&out->recorded_unix_us, row, 6, 0, INT64_MAX) &&
           spt_row_integer(&out->n_samples, row, 7, 0, INT32_MAX);
}

/* An older revision, or an older trial of the variant before? */
static bool is_superseded(const document *self, const result_row *row) {
    const result_row *last = self->n_rows > 0 ? &self->rows[self->n_rows - 1] : NULL;
    if (last == NULL || strcmp(last->family, row->family) != 0)
        return false;
    return row->revision < last->revision || strcmp(last->point, row->point) == 0;
}

static spt_status add_row(document *self, const result_row *row) {
    void *rows = self->rows;
    if (is_superseded(self, row))
        return SPT_OK;
    SPT_TRY(spt_grow(&rows, &self->capacity, self->n_rows, sizeof *self->rows));
    self->rows = rows;
    self->rows[self->n_rows++] = *row;
    add_columns(self, row->point);
    return SPT_OK;
}

static spt_status read_rows(document *self, spt_db *db, const spt_hash128 *key, const char *family) {
    sqlite3_stmt *statement;
    spt_status status = SPT_OK;
    int rc = SQLITE_DONE;
    SPT_TRY(spt_db_prepare(&statement, db, trials_sql[db->has_compile_times]));
    spt_bind_hash(statement, 1, key);
    if (family != NULL)
        spt_bind_text(statement, 2, family);
    while (status == SPT_OK && (rc = sqlite3_step(statement)) == SQLITE_ROW) {
        result_row row;
        if (take_row(&row, statement))
            status = add_row(self, &row);
    }
    if (status == SPT_OK && rc != SQLITE_DONE)
        status = spt_sqlite_fail(db->handle, rc, db->path);
    sqlite3_finalize(statement);
    return status;
}

/* ---- JSON; what jansson cannot allocate becomes NULL, and the document is NULL in the end ---- */

static json_t *value_of(const char *text) {
    int64_t number;
    return spt_parse_i64(&number, text, INT32_MIN, INT32_MAX, "value") == SPT_OK ? json_integer(number)
                                                                                 : json_string(text);
}

static json_t *configuration_of(const document *self, const result_row *row) {
    json_t *json = json_object();
    if (self->has_family)
        json_object_set_new(json, "family", json_string(row->family));
    for (int i = 0; i < self->n_columns; i++)
        json_object_set_new(json, self->columns[i], json_string("-"));
    axis_text axis;
    for (const char *at = row->point; next_axis(&axis, &at);)
        json_object_set_new(json, axis.name, value_of(axis.value));
    return json;
}

static void timestamp_text(char out[64], int64_t unix_us) {
    const time_t seconds = (time_t)(unix_us / 1000000);
    struct tm parts;
    char date[32];
    if (gmtime_r(&seconds, &parts) == NULL || strftime(date, sizeof date, "%Y-%m-%d %H:%M:%S", &parts) == 0)
        spt_copy_text(date, sizeof date, "1970-01-01 00:00:00");
    snprintf(out, 64, "%s.%06d+00:00", date, (int)(unix_us % 1000000));
}

static json_t *result_of(const document *self, const result_row *row) {
    const bool has_time = row->n_samples > 0 && isfinite(row->time_ns) && row->time_ns > 0.0;
    const bool is_correct = spt_trial_is_timed(row->status) && has_time;
    const spt_trial_status status = is_correct                         ? SPT_TRIAL_CORRECT
                                    : row->status == SPT_TRIAL_DROPPED ? SPT_TRIAL_RUNTIME
                                                                       : row->status;
    const double pack_ms = isfinite(row->pack_ns) && row->pack_ns > 0.0 ? row->pack_ns / NS_PER_MS : 0.0;
    char timestamp[64];
    timestamp_text(timestamp, row->recorded_unix_us);
    json_t *time = is_correct ? json_real(row->time_ns / NS_PER_MS) : json_string(spt_trial_status_name(status));
    json_t *runtimes = json_array();
    if (is_correct)
        json_array_append(runtimes, time);
    return json_pack("{s:s, s:o, s:{s:f, s:f, s:f, s:f, s:o}, s:s, s:i, s:[{s:s, s:o, s:s}], s:[s]}", "timestamp",
                     timestamp, "configuration", configuration_of(self, row), "times", "compilation", pack_ms,
                     "framework", 0.0, "search_algorithm", 0.0, "validation", 0.0, "runtimes", runtimes, "invalidity",
                     spt_trial_status_name(status), "correctness", (int)is_correct, "measurements", "name", "time",
                     "value", time, "unit", "", "objectives", "time");
}

static spt_status write_document(const document *self, spt_line_writer *writer) {
    json_t *results = json_array();
    for (int64_t i = 0; i < self->n_rows; i++)
        json_array_append_new(results, result_of(self, &self->rows[i]));
    const size_t n_results = json_array_size(results);
    json_t *json = json_pack("{s:{s:s}, s:o, s:s}", "metadata", "timeunit", "miliseconds" /* as in the form */,
                             "results", results, "schema_version", "1.0.0");
    char *text = NULL;
    size_t size;
    spt_status status = json != NULL && n_results == (size_t)self->n_rows
                            ? spt_json_text(&text, &size, json, JSON_INDENT(1) | JSON_REAL_PRECISION(12))
                            : spt_fail(SPT_ENOMEM, "expected memory for the results, found none");
    if (status == SPT_OK)
        status = spt_line_write(writer, text, size);
    json_decref(json);
    spt_free(text);
    return status;
}

spt_status spt_db_export_t4(int64_t *n_results, spt_db *db, spt_line_writer *writer, const spt_hash128 *key,
                            const char *family) {
    document self = {.has_family = family == NULL};
    spt_status status = read_rows(&self, db, key, family);
    *n_results = self.n_rows;
    if (status == SPT_OK && self.n_rows == 0)
        status = spt_fail(SPT_ENOTFOUND, "expected search trials of this problem%s%s, found none: database %s",
                          family != NULL ? " and of " : "", family != NULL ? family : "", db->path);
    if (status == SPT_OK)
        status = write_document(&self, writer);
    spt_free(self.rows);
    return status;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Records as JSON, by tables of fields; see json.h. jansson parses and prints. */
#include "db/json.h"

#include <inttypes.h>
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "core/memory.h"
#include "core/text.h"
#include "db/base64.h"
#include "db/positions.h"

/* How a field lies in memory. Reals that are not finite are left out (NaN) or texts ("inf"). */
typedef enum field_type { TEXT, INT64, INT, REAL, BOOL, HASH, NAME } field_type;

/* A name of an enumeration. Enumerators are ints in memory. */
typedef struct name_type {
    const char *(*name)(int value);
    spt_status (*parse)(int *out, const char *name);
} name_type;

#define NAME_TYPE(noun)                                                                                                \
    static const char *noun##_name(int value) {                                                                        \
        return spt_##noun##_name((spt_##noun)value);                                                                   \
    }                                                                                                                  \
    static spt_status noun##_parse(int *out, const char *name) {                                                       \
        spt_##noun value;                                                                                              \
        SPT_TRY(spt_##noun##_parse(&value, name));                                                                     \
        *out = (int)value;                                                                                             \
        return SPT_OK;                                                                                                 \
    }                                                                                                                  \
    static const name_type noun##_type = {noun##_name, noun##_parse};

NAME_TYPE(device_kind)
NAME_TYPE(isa)
NAME_TYPE(phase)
NAME_TYPE(trial_status)

typedef struct field {
    const char *name;
    field_type type;
    size_t offset, size;
    bool is_optional; /* left out where it says nothing: "", false, 0.0 */
    const name_type *names;
} field;

#define FIELD(type, name, member)                                                                                      \
    { name, type, offsetof(spt_item, as.member), sizeof(((spt_item *)0)->as.member), false, NULL }
#define OPTIONAL(type, name, member)                                                                                   \
    { name, type, offsetof(spt_item, as.member), sizeof(((spt_item *)0)->as.member), true, NULL }
#define NAMED(noun, name, member)                                                                                      \
    { name, NAME, offsetof(spt_item, as.member), sizeof(int), false, &noun##_type }
#define END                                                                                                            \
    { NULL, TEXT, 0, 0, false, NULL }
_Static_assert(sizeof(spt_phase) == sizeof(int) && sizeof(spt_isa) == sizeof(int), "enumerations are ints");

static const field device_fields[] = {FIELD(TEXT, "key", device.key),
                                      NAMED(device_kind, "kind", device.kind),
                                      NAMED(isa, "isa", device.isa),
                                      FIELD(TEXT, "isa_set", device.isa_set),
                                      FIELD(TEXT, "vendor", device.vendor),
                                      FIELD(INT, "family", device.family),
                                      FIELD(INT, "model", device.model),
                                      FIELD(INT64, "l1d_bytes", device.l1d_bytes),
                                      FIELD(INT64, "l2_bytes", device.l2_bytes),
                                      FIELD(TEXT, "name", device.name),
                                      FIELD(INT, "stepping", device.stepping),
                                      FIELD(INT64, "l3_bytes", device.l3_bytes),
                                      FIELD(INT, "n_cores", device.n_cores),
                                      OPTIONAL(TEXT, "os", device.os),
                                      END};
static const field pattern_fields[] = {FIELD(HASH, "fingerprint", pattern.fingerprint),
                                       FIELD(INT64, "m", pattern.n_rows),
                                       FIELD(INT64, "k", pattern.n_cols),
                                       FIELD(INT64, "nnz", pattern.nnz),
                                       FIELD(TEXT, "features", pattern.features),
                                       END};
static const field problem_fields[] = {FIELD(HASH, "key", problem.key.hash), FIELD(TEXT, "text", problem.key.text),
                                       END};
static const field session_fields[] = {FIELD(TEXT, "uuid", session.uuid),
                                       OPTIONAL(TEXT, "host", session.host),
                                       FIELD(TEXT, "tool_version", session.tool_version),
                                       FIELD(TEXT, "compiler", session.compiler),
                                       FIELD(TEXT, "strategy", session.strategy),
                                       FIELD(INT64, "seed", session.seed),
                                       FIELD(INT64, "budget", session.budget),
                                       FIELD(TEXT, "policy", session.policy),
                                       FIELD(INT64, "started_unix_s", session.started_unix_s),
                                       END};
static const field trial_fields[] = {FIELD(HASH, "key", trial.key),
                                     FIELD(TEXT, "session", trial.session),
                                     FIELD(TEXT, "family", trial.trial.variant.family),
                                     FIELD(INT, "revision", trial.trial.variant.revision),
                                     FIELD(TEXT, "point", trial.trial.variant.point),
                                     OPTIONAL(TEXT, "source_hash", trial.source_hash),
                                     OPTIONAL(TEXT, "library", trial.trial.variant.library),
                                     OPTIONAL(BOOL, "is_dense", trial.trial.variant.is_dense),
                                     OPTIONAL(BOOL, "is_default", trial.trial.variant.is_default),
                                     NAMED(phase, "phase", trial.trial.phase),
                                     FIELD(INT, "round", trial.trial.round),
                                     NAMED(trial_status, "status", trial.trial.measurement.status),
                                     FIELD(INT, "n_samples", trial.trial.measurement.n_samples),
                                     FIELD(REAL, "time_ns_median", trial.trial.measurement.time_ns_median),
                                     FIELD(REAL, "mad_ns", trial.trial.measurement.mad_ns),
                                     FIELD(REAL, "ci_ns_low", trial.trial.measurement.ci_ns_low),
                                     FIELD(REAL, "ci_ns_high", trial.trial.measurement.ci_ns_high),
                                     FIELD(REAL, "max_error", trial.trial.measurement.max_error),
                                     FIELD(INT64, "workspace_bytes", trial.trial.measurement.workspace_bytes),
                                     FIELD(INT64, "packed_bytes", trial.trial.measurement.packed_bytes),
                                     FIELD(REAL, "pack_ns", trial.trial.measurement.pack_ns),
                                     OPTIONAL(REAL, "compile_ns", trial.trial.measurement.compile_ns),
                                     OPTIONAL(TEXT, "reason", trial.trial.measurement.reason),
                                     FIELD(INT64, "recorded_unix_us", trial.recorded_unix_us),
                                     END};
static const field *const fields_of[SPT_ITEM_KIND_COUNT] = {device_fields, pattern_fields, problem_fields,
                                                            session_fields, trial_fields};

const char *spt_exchange_header(void) {
    return "{\"record\":\"sparsetune\",\"version\":1}";
}

/* ---- to JSON ---- */

/* NULL: nothing to say, or no memory; *is_absent tells which. */
static json_t *real_to_json(bool *is_absent, double value) {
    *is_absent = isnan(value);
    if (*is_absent)
        return NULL;
    return isinf(value) ? json_string(value > 0.0 ? "inf" : "-inf") : json_real(value);
}

static json_t *field_to_json(bool *is_absent, const field *row, const void *at) {
    char text[SPT_HASH_TEXT_SIZE];
    *is_absent = false;
    switch (row->type) {
    case TEXT:
        *is_absent = row->is_optional && *(const char *)at == '\0';
        return *is_absent ? NULL : json_string(at);
    case INT64:
        return json_integer(*(const int64_t *)at);
    case INT:
        return json_integer(*(const int *)at);
    case REAL:
        *is_absent = row->is_optional && *(const double *)at == 0.0;
        return *is_absent ? NULL : real_to_json(is_absent, *(const double *)at);
    case BOOL:
        *is_absent = row->is_optional && !*(const bool *)at;
        return *is_absent ? NULL : json_boolean(*(const bool *)at);
    case HASH:
        spt_hash_text(text, *(const spt_hash128 *)at);
        return json_string(text);
    case NAME:
        return json_string(row->names->name(*(const int *)at));
    }
    return NULL;
}

static spt_status add_positions(json_t *json, const spt_item *item) {
    char *text;
    if (item->kind != SPT_ITEM_PATTERN || item->as.pattern.positions == NULL)
        return SPT_OK;
    SPT_TRY(spt_base64_encode(&text, item->as.pattern.positions, item->as.pattern.positions_bytes));
    const int failed = json_object_set_new(json, "positions", json_string(text));
    spt_free(text);
    return failed ? spt_fail(SPT_ENOMEM, "expected memory for a line of JSON, found none") : SPT_OK;
}

static spt_status fill_json(json_t *json, const spt_item *item) {
    bool failed = json_object_set_new(json, "record", json_string(spt_item_kind_name(item->kind))) != 0;
    for (const field *row = fields_of[item->kind]; row->name != NULL; row++) {
        bool is_absent;
        json_t *value = field_to_json(&is_absent, row, (const char *)item + row->offset);
        if (!is_absent)
            failed |= json_object_set_new(json, row->name, value) != 0;
    }
    if (failed)
        return spt_fail(SPT_ENOMEM, "expected memory for a line of JSON, found none");
    return add_positions(json, item);
}

spt_status spt_json_text(char **out, size_t *size, const json_t *json, size_t flags) {
    *size = json_dumpb(json, NULL, 0, flags);
    SPT_TRY(SPT_NEW(*out, *size + 1));
    json_dumpb(json, *out, *size, flags);
    (*out)[*size] = '\0';
    return SPT_OK;
}

spt_status spt_item_to_json(char **out, size_t *size, const spt_item *item) {
    json_t *json = json_object();
    spt_status status = json != NULL ? SPT_OK : spt_fail(SPT_ENOMEM, "expected memory for a line of JSON, found none");
    SPT_TRY_TO(done, status);
    SPT_TRY_TO(done, fill_json(json, item));
    status = spt_json_text(out, size, json, JSON_COMPACT | JSON_REAL_PRECISION(17));
done:
    json_decref(json);
    return status;
}

/* ---- from JSON ---- */

static spt_status expected(const field *row, const char *what) {
    return spt_fail(SPT_EINVAL, "expected %s in \"%s\", found something else", what, row->name);
}

static spt_status take_text(char *out, const field *row, const json_t *value) {
    const char *text = json_string_value(value);
    if (text == NULL)
        return expected(row, "a text");
    if (strlen(text) >= row->size)
        return spt_fail(SPT_EINVAL, "expected at most %zu characters in \"%s\", found %zu", row->size - 1, row->name,
                        strlen(text));
    spt_copy_text(out, row->size, text);
    return SPT_OK;
}

static spt_status take_real(double *out, const field *row, const json_t *value) {
    const char *text = json_string_value(value);
    if (json_is_number(value))
        *out = json_number_value(value);
    else if (text != NULL && (strcmp(text, "inf") == 0 || strcmp(text, "-inf") == 0))
        *out = text[0] == '-' ? -(double)INFINITY : (double)INFINITY;
    else
        return expected(row, "a number");
    return SPT_OK;
}

static spt_status take_int(int *out, const field *row, const json_t *value) {
    const json_int_t number = json_integer_value(value);
    if (!json_is_integer(value) || number < INT32_MIN || number > INT32_MAX)
        return expected(row, "a whole number of 32 bits");
    *out = (int)number;
    return SPT_OK;
}

static spt_status take_field(void *at, const field *row, const json_t *value) {
    const char *text = json_string_value(value);
    switch (row->type) {
    case TEXT:
        return take_text(at, row, value);
    case INT64:
        if (!json_is_integer(value))
            return expected(row, "a whole number");
        *(int64_t *)at = json_integer_value(value);
        return SPT_OK;
    case INT:
        return take_int(at, row, value);
    case REAL:
        return take_real(at, row, value);
    case BOOL:
        if (!json_is_boolean(value))
            return expected(row, "true or false");
        *(bool *)at = json_is_true(value);
        return SPT_OK;
    case HASH:
        return text != NULL ? spt_hash_parse(at, text) : expected(row, "32 hex digits");
    case NAME:
        return text != NULL ? row->names->parse(at, text) : expected(row, "a name");
    }
    return SPT_OK;
}

static spt_status take_fields(spt_item *out, const json_t *json) {
    for (const field *row = fields_of[out->kind]; row->name != NULL; row++) {
        void *at = (char *)out + row->offset;
        const json_t *value = json_object_get(json, row->name);
        if (value != NULL)
            SPT_TRY(take_field(at, row, value));
        else if (row->type == REAL)
            *(double *)at = row->is_optional ? 0.0 : (double)NAN;
        else if (!row->is_optional)
            return spt_fail(SPT_EINVAL, "expected the field \"%s\", found none", row->name);
    }
    return SPT_OK;
}

/* The key is the hash of the text, whatever the line says. */
static spt_status complete_problem(spt_item_problem *problem) {
    const spt_hash128 given = problem->key.hash;
    char text[SPT_KEY_TEXT_MAX];
    spt_copy_text(text, sizeof text, problem->key.text);
    SPT_TRY(spt_item_problem_parse(problem, text));
    if (!spt_hash_equal(given, problem->key.hash))
        return spt_fail(SPT_EINVAL, "expected the key to be the hash of its text, found another");
    return SPT_OK;
}

static spt_status take_positions(spt_item_pattern *pattern, void **blob, const json_t *json) {
    const json_t *value = json_object_get(json, "positions");
    if (value == NULL)
        return SPT_OK;
    if (!json_is_string(value))
        return spt_fail(SPT_EINVAL, "expected base64 text in \"positions\", found something else");
    SPT_TRY(spt_base64_decode(blob, &pattern->positions_bytes, json_string_value(value), json_string_length(value)));
    pattern->positions = *blob;
    return spt_positions_check(*blob, pattern->positions_bytes, &pattern->fingerprint);
}

static spt_status take_header(const json_t *json) {
    const json_int_t version = json_integer_value(json_object_get(json, "version"));
    if (version != SPT_EXCHANGE_VERSION)
        return spt_fail(SPT_EUNSUPPORTED, "expected an export of version %d, found %" PRId64, SPT_EXCHANGE_VERSION,
                        (int64_t)version);
    return SPT_OK;
}

static spt_status take_item(spt_item *out, bool *is_header, void **blob, const json_t *json) {
    const char *record = json_string_value(json_object_get(json, "record"));
    if (record == NULL)
        return spt_fail(SPT_EINVAL, "expected an object with the text \"record\", found none");
    *is_header = strcmp(record, "sparsetune") == 0;
    if (*is_header)
        return take_header(json);
    SPT_TRY(spt_item_kind_parse(&out->kind, record));
    SPT_TRY(take_fields(out, json));
    if (out->kind == SPT_ITEM_PROBLEM)
        return complete_problem(&out->as.problem);
    if (out->kind == SPT_ITEM_PATTERN)
        SPT_TRY(take_positions(&out->as.pattern, blob, json));
    return spt_item_check(out);
}

spt_status spt_item_from_json(spt_item *out, bool *is_header, void **blob, const char *line, size_t size) {
    json_error_t error;
    *out = (spt_item){0};
    *blob = NULL;
    *is_header = false;
    json_t *json = json_loadb(line, size, JSON_REJECT_DUPLICATES, &error);
    if (json == NULL)
        return spt_fail(SPT_EINVAL, "expected an object of JSON, found a mistake at column %d (%.120s)", error.column,
                        error.text);
    const spt_status status = take_item(out, is_header, blob, json);
    json_decref(json);
    if (status != SPT_OK) {
        spt_free(*blob);
        *blob = NULL;
    }
    return status;
}

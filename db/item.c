/* SPDX-License-Identifier: Apache-2.0 */
/* Records by themselves: what is legal, and their content's hash; see item.h. */
#include "db/item.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "core/text.h"
#include "db/reader_row.h"

enum { CONTENT_BYTES_MAX = 2048 };

static const char *const kind_names[SPT_ITEM_KIND_COUNT] = {"device", "pattern", "problem", "session", "trial"};

const char *spt_item_kind_name(spt_item_kind kind) {
    return kind_names[kind];
}

spt_status spt_item_kind_parse(spt_item_kind *out, const char *name) {
    for (int i = 0; i < SPT_ITEM_KIND_COUNT; i++) {
        if (strcmp(kind_names[i], name) == 0) {
            *out = (spt_item_kind)i;
            return SPT_OK;
        }
    }
    return spt_fail(SPT_EINVAL, "expected a device, pattern, problem, session or trial, found '%.40s'", name);
}

bool spt_text_is_plain(const char *text) {
    for (const char *c = text; *c != '\0'; c++) {
        if (*c < ' ' || *c > '~')
            return false;
    }
    return true;
}

/* ---- checks ---- */

typedef struct text_rule {
    const char *name, *text;
    bool may_be_empty;
} text_rule;

static spt_status check_texts(const text_rule *rules, int n_rules) {
    for (int i = 0; i < n_rules; i++) {
        if (!spt_text_is_plain(rules[i].text))
            return spt_fail(SPT_EINVAL, "expected plain characters in %s, found others", rules[i].name);
        if (!rules[i].may_be_empty && rules[i].text[0] == '\0')
            return spt_fail(SPT_EINVAL, "expected a text in %s, found an empty one", rules[i].name);
    }
    return SPT_OK;
}

typedef struct number_rule {
    const char *name;
    int64_t value, min, max;
} number_rule;

static spt_status check_numbers(const number_rule *rules, int n_rules) {
    for (int i = 0; i < n_rules; i++) {
        if (rules[i].value < rules[i].min || rules[i].value > rules[i].max)
            return spt_fail(SPT_EINVAL, "expected %s from %" PRId64 " to %" PRId64 ", found %" PRId64, rules[i].name,
                            rules[i].min, rules[i].max, rules[i].value);
    }
    return SPT_OK;
}

#define CHECK_TEXTS(rules) check_texts((rules), (int)(sizeof(rules) / sizeof(rules)[0]))
#define CHECK_NUMBERS(rules) check_numbers((rules), (int)(sizeof(rules) / sizeof(rules)[0]))

static spt_status check_device(const spt_device *device) {
    const text_rule texts[] = {{"key", device->key, false},
                               {"isa_set", device->isa_set, true},
                               {"vendor", device->vendor, true},
                               {"name", device->name, true},
                               {"os", device->os, true}};
    const number_rule numbers[] = {
        {"family", device->family, INT32_MIN, INT32_MAX}, {"model", device->model, INT32_MIN, INT32_MAX},
        {"l1d_bytes", device->l1d_bytes, 0, INT64_MAX},   {"l2_bytes", device->l2_bytes, 0, INT64_MAX},
        {"l3_bytes", device->l3_bytes, 0, INT64_MAX},     {"stepping", device->stepping, INT32_MIN, INT32_MAX},
        {"n_cores", device->n_cores, 0, INT32_MAX}};
    char key[sizeof device->key];
    spt_text text;
    SPT_TRY(CHECK_TEXTS(texts));
    SPT_TRY(CHECK_NUMBERS(numbers));
    if (device->kind != SPT_CPU)
        return SPT_OK;
    spt_text_init(&text, key, sizeof key);
    spt_text_add(&text, "cpu|%s|%d|%d|%s|%" PRId64 "|%" PRId64, device->vendor, device->family, device->model,
                 device->isa_set, device->l1d_bytes, device->l2_bytes);
    if (strcmp(key, device->key) != 0)
        return spt_fail(SPT_EINVAL, "expected the device's key to be made of its fields, %s, found %s", key,
                        device->key);
    return SPT_OK;
}

static spt_status check_pattern(const spt_item_pattern *pattern) {
    spt_features features;
    const number_rule numbers[] = {{"rows", pattern->n_rows, 1, SPT_DIM_MAX},
                                   {"columns", pattern->n_cols, 1, SPT_DIM_MAX},
                                   {"nnz", pattern->nnz, 0, INT64_MAX}};
    SPT_TRY(CHECK_NUMBERS(numbers));
    if (pattern->nnz > pattern->n_rows * pattern->n_cols)
        return spt_fail(SPT_EINVAL, "expected at most rows * columns nonzeros, found %" PRId64, pattern->nnz);
    if (!spt_text_is_plain(pattern->features))
        return spt_fail(SPT_EINVAL, "expected plain characters in features, found others");
    return spt_features_parse(&features, pattern->features);
}

static spt_status check_session(const spt_session *session) {
    const text_rule texts[] = {{"uuid", session->uuid, false},
                               {"host", session->host, true},
                               {"tool_version", session->tool_version, true},
                               {"compiler", session->compiler, true},
                               {"strategy", session->strategy, true},
                               {"policy", session->policy, true}};
    const number_rule numbers[] = {{"budget", session->budget, 0, INT64_MAX},
                                   {"started_unix_s", session->started_unix_s, 0, INT64_MAX}};
    SPT_TRY(CHECK_TEXTS(texts));
    return CHECK_NUMBERS(numbers);
}

spt_status spt_variant_check(const spt_variant_id *variant, const char *source_hash) {
    const text_rule texts[] = {{"family", variant->family, false},
                               {"point", variant->point, false},
                               {"library", variant->library, true},
                               {"source_hash", source_hash, true}};
    const number_rule numbers[] = {{"revision", variant->revision, 0, INT32_MAX}};
    SPT_TRY(CHECK_TEXTS(texts));
    return CHECK_NUMBERS(numbers);
}

spt_status spt_trial_check(const spt_trial *trial, int64_t recorded_unix_us) {
    const spt_measurement *m = &trial->measurement;
    const number_rule numbers[] = {{"round", trial->round, 0, INT32_MAX},
                                   {"n_samples", m->n_samples, 0, INT32_MAX},
                                   {"workspace_bytes", m->workspace_bytes, 0, INT64_MAX / 4},
                                   {"packed_bytes", m->packed_bytes, 0, INT64_MAX / 4},
                                   {"recorded_unix_us", recorded_unix_us, 0, INT64_MAX}};
    SPT_TRY(CHECK_NUMBERS(numbers));
    if (!spt_text_is_plain(m->reason))
        return spt_fail(SPT_EINVAL, "expected plain characters in reason, found others");
    if (m->status == SPT_TRIAL_CORRECT && !spt_is_time(m->time_ns_median))
        return spt_fail(SPT_EINVAL, "expected a finite time above zero, 1 to 1e18 ns, for a correct trial, found %g",
                        m->time_ns_median);
    if (m->status == SPT_TRIAL_CORRECT && !(isfinite(m->pack_ns) && m->pack_ns >= 0.0))
        return spt_fail(SPT_EINVAL, "expected a finite packing time from zero on for a correct trial, found %g",
                        m->pack_ns);
    if (!(isfinite(m->compile_ns) && m->compile_ns >= 0.0))
        return spt_fail(SPT_EINVAL, "expected a finite time of compiling from zero on, found %g", m->compile_ns);
    return SPT_OK;
}

static spt_status check_trial(const spt_item_trial *item) {
    const text_rule texts[] = {{"session", item->session, false}};
    SPT_TRY(CHECK_TEXTS(texts));
    SPT_TRY(spt_variant_check(&item->trial.variant, item->source_hash));
    return spt_trial_check(&item->trial, item->recorded_unix_us);
}

spt_status spt_item_check(const spt_item *item) {
    switch (item->kind) {
    case SPT_ITEM_DEVICE:
        return check_device(&item->as.device);
    case SPT_ITEM_PATTERN:
        return check_pattern(&item->as.pattern);
    case SPT_ITEM_PROBLEM:
        return SPT_OK; /* what was parsed is legal */
    case SPT_ITEM_SESSION:
        return check_session(&item->as.session);
    case SPT_ITEM_TRIAL:
        return check_trial(&item->as.trial);
    }
    return spt_fail(SPT_EINVAL, "expected a record of a known kind");
}

/* ---- the key's text ---- */

spt_status spt_item_problem_parse(spt_item_problem *out, const char *text) {
    spt_workload workload;
    const char *device_key;
    if (!spt_text_is_plain(text))
        return spt_fail(SPT_EINVAL, "expected plain characters in a key, found others");
    SPT_TRY(spt_key_parse(&workload, &device_key, text));
    if (strlen(device_key) >= sizeof out->device_key || device_key[0] == '\0')
        return spt_fail(SPT_EINVAL, "expected a device in the key, found '%.60s'", device_key);
    const spt_problem *problem = &workload.problem;
    const spt_pattern *pattern = &workload.pattern;
    out->op = problem->op;
    out->dtype = problem->dtype;
    out->layout = problem->layout;
    out->epilogue = problem->epilogue;
    out->cache = problem->cache;
    out->m = pattern->n_rows;
    out->k = pattern->n_cols;
    out->n = problem->n;
    out->threads = problem->threads;
    out->fingerprint = pattern->fingerprint;
    const size_t length = strlen(text);
    spt_copy_text(out->device_key, sizeof out->device_key, device_key);
    memcpy(out->key.text, text, length + 1);
    out->key.hash = spt_hash(text, length);
    return SPT_OK;
}

/* ---- content: fields one after the other, numbers as 64 bits little-endian, texts with their terminator ---- */

typedef struct content {
    uint8_t bytes[CONTENT_BYTES_MAX];
    size_t size;
} content;

static void add_integer(content *out, int64_t value) {
    for (int i = 0; i < 8; i++)
        out->bytes[out->size++] = (uint8_t)((uint64_t)value >> (8 * i));
}

/* Every NaN is one NaN, and the two zeros are one zero. */
static void add_real(content *out, double value) {
    const double canonical = value + 0.0;
    int64_t bits = INT64_C(0x7ff8000000000000);
    if (!isnan(value))
        memcpy(&bits, &canonical, sizeof bits);
    add_integer(out, bits);
}

static void add_text(content *out, const char *text) {
    const size_t size = strlen(text) + 1;
    memcpy(out->bytes + out->size, text, size);
    out->size += size;
}

static spt_hash128 finish(const content *all) {
    return spt_hash(all->bytes, all->size);
}

spt_hash128 spt_device_content(const spt_device *device) {
    content all = {.size = 0};
    add_text(&all, device->name);
    add_integer(&all, device->stepping);
    add_integer(&all, device->l3_bytes);
    add_integer(&all, device->n_cores);
    add_text(&all, spt_isa_name(device->isa));
    add_text(&all, device->os);
    return finish(&all);
}

spt_hash128 spt_pattern_content(const spt_item_pattern *pattern) {
    content all = {.size = 0};
    add_integer(&all, pattern->n_rows);
    add_integer(&all, pattern->n_cols);
    add_integer(&all, pattern->nnz);
    add_text(&all, pattern->features);
    return finish(&all);
}

spt_hash128 spt_session_content(const spt_session *session) {
    content all = {.size = 0};
    add_text(&all, session->host);
    add_text(&all, session->tool_version);
    add_text(&all, session->compiler);
    add_text(&all, session->strategy);
    add_integer(&all, (int64_t)session->seed);
    add_integer(&all, session->budget);
    add_text(&all, session->policy);
    add_integer(&all, session->started_unix_s);
    return finish(&all);
}

spt_hash128 spt_trial_content(const spt_trial *trial) {
    const spt_measurement *m = &trial->measurement;
    const double reals[] = {m->time_ns_median, m->mad_ns, m->ci_ns_low, m->ci_ns_high, m->pack_ns, m->max_error};
    content all = {.size = 0};
    add_integer(&all, trial->variant.is_default);
    add_text(&all, spt_trial_status_name(m->status));
    add_integer(&all, m->n_samples);
    for (size_t i = 0; i < sizeof reals / sizeof reals[0]; i++)
        add_real(&all, reals[i]);
    add_integer(&all, m->workspace_bytes);
    add_integer(&all, m->packed_bytes);
    add_text(&all, m->reason);
    if (m->compile_ns > 0.0) /* where it says nothing a trial is what it was before there was such a field */
        add_real(&all, m->compile_ns);
    return finish(&all);
}

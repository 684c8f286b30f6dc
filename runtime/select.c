/* SPDX-License-Identifier: Apache-2.0 */
/* Selection; see select.h. No lock, no file; the few microseconds of a lookup are the check of the point. */
#include "runtime/select.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/text.h"

/* What this library was built by: the soft field that tuned records carry. */
static const char built_by[] = __VERSION__;

/* One lookup in progress. */
typedef struct lookup {
    const spt_context *context;
    const spt_workload *workload;
    char skipped[128]; /* why the best record that was passed over does not hold; "" when none was */
} lookup;

/* ---- one record ---- */

static void note_skip(lookup *self, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Only the first one is kept: it is the record that would have won. */
static void note_skip(lookup *self, const char *format, ...) {
    if (self->skipped[0] != '\0')
        return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(self->skipped, sizeof self->skipped, format, arguments);
    va_end(arguments);
}

/* May this record be used for this workload by this library here? */
static bool take_record(spt_selection *out, lookup *self, const spt_record *record) {
    const spt_family *family = spt_family_find(record->family);
    if (family == NULL) {
        note_skip(self, "record of %s skipped: this library has no such family", record->family);
        return false;
    }
    if (family->revision != record->revision) {
        note_skip(self, "record of %s revision %d skipped: this library has revision %d", record->family,
                  record->revision, family->revision);
        return false;
    }
    if (spt_point_parse(&out->point, family->axes, family->n_axes, record->point) != SPT_OK ||
        spt_family_check(family, self->workload, &self->context->device) != SPT_OK) {
        note_skip(self, "record skipped: %s", spt_last_error());
        return false;
    }
    if (!family->is_valid(self->workload, &self->context->device, &out->point)) {
        note_skip(self, "record of %s skipped: point %s is not valid here", record->family, record->point);
        return false;
    }
    out->family = family;
    out->time_ns_expected = record->time_ns_median;
    out->speedup_over_dense = record->speedup_over_dense;
    out->speedup_over_default = record->speedup_over_default;
    out->n_tuned = record->n;
    return true;
}

/* ---- the sentence ---- */

static void add_dense_reason(spt_text *text, const spt_selection *selection, const spt_workload *workload) {
    if (selection->family->is_dense)
        spt_text_add(text, "; dense wins at %.0f %% zeros and n=%" PRId64,
                     100.0 * (1.0 - workload->pattern.features.density), workload->problem.n);
}

static void add_staleness(spt_text *text, spt_selection *selection, const spt_record *record) {
    const char *library = spt_family_library(selection->family, &selection->point);
    const char *field = strcmp(record->compiler, built_by) != 0 ? "compiler"
                        : strcmp(record->library, library) != 0 ? "vendor library"
                                                                : NULL;
    selection->stale = field != NULL;
    if (field != NULL)
        spt_text_add(text, "; stale: measured with another %s", field);
}

static void add_skipped(spt_text *text, const lookup *self) {
    if (self->skipped[0] != '\0')
        spt_text_add(text, "; %s", self->skipped);
}

/* ---- the levels ---- */

static bool select_exact(spt_selection *out, lookup *self, const spt_key *key) {
    const spt_record_span span = spt_table_find_key(&self->context->table, key->hash);
    for (int64_t i = 0; i < span.count; i++) {
        if (!take_record(out, self, &span.items[i]))
            continue;
        spt_text text;
        spt_text_init(&text, out->reason, sizeof out->reason);
        out->match = SPT_MATCH_EXACT;
        spt_text_add(&text, "tuned here for exactly this problem");
        if (i > 0)
            spt_text_add(&text, ", number %" PRId64 " of its results", i + 1);
        add_dense_reason(&text, out, self->workload);
        add_staleness(&text, out, &span.items[i]);
        add_skipped(&text, self);
        return true;
    }
    return false;
}

static double size_distance(const spt_record *record, const spt_problem *problem) {
    return fabs(log2((double)record->n / (double)problem->n)) +
           fabs(log2((double)record->threads / (double)problem->threads));
}

/* Another size of the same problem, near enough that its winner beats a guess: kernels for n = 1 and n = 128 have
 * nothing in common. */
static bool is_near(const spt_record *record, const spt_problem *problem) {
    const bool is_same = record->n == problem->n && record->threads == problem->threads;
    const double ratio = (double)record->n / (double)problem->n;
    return !is_same && ratio <= SPT_NEAR_SIZE_MAX && ratio >= 1.0 / SPT_NEAR_SIZE_MAX;
}

static bool is_new_size(const spt_record *record, const spt_record_span *span) {
    return record == span->items || !spt_hash_equal(record[-1].key, record->key);
}

/* The size that comes after `last` (NULL: the first), nearest first and never the asked one; NULL at the end. Sizes are
 * few: a scan per step. */
static const spt_record *next_size(const spt_record_span *span, const spt_problem *problem, const spt_record *last) {
    const spt_record *best = NULL;
    const double last_distance = last != NULL ? size_distance(last, problem) : -1.0;
    for (const spt_record *record = span->items; record < span->items + span->count; record++) {
        const double distance = size_distance(record, problem);
        const bool is_behind = distance > last_distance || (last != NULL && distance == last_distance && record > last);
        if (is_new_size(record, span) && is_near(record, problem) && is_behind &&
            (best == NULL || distance < size_distance(best, problem)))
            best = record;
    }
    return best;
}

static void explain_near_size(spt_selection *out, const lookup *self, const spt_record *record, int64_t n_sizes) {
    const spt_problem *problem = &self->workload->problem;
    spt_text text;
    spt_text_init(&text, out->reason, sizeof out->reason);
    const bool is_other_team = record->threads != problem->threads;
    spt_text_add(&text, "tuned for n=%" PRId64, record->n);
    if (is_other_team)
        spt_text_add(&text, ", threads=%d", record->threads);
    if (n_sizes > 1)
        spt_text_add(&text, ", the nearest of %" PRId64, n_sizes);
    spt_text_add(&text, "; n=%" PRId64, problem->n);
    if (is_other_team)
        spt_text_add(&text, ", threads=%d", problem->threads);
    spt_text_add(&text, " asked");
    add_staleness(&text, out, record);
    add_skipped(&text, self);
}

static bool select_near_size(spt_selection *out, lookup *self) {
    const spt_problem *problem = &self->workload->problem;
    const spt_record_span span = spt_table_find_pattern(&self->context->table, spt_pattern_key(self->workload));
    int64_t n_sizes = 0;
    for (int64_t i = 0; i < span.count; i++)
        n_sizes += is_new_size(&span.items[i], &span) && is_near(&span.items[i], problem);
    for (const spt_record *size = NULL; (size = next_size(&span, problem, size)) != NULL;) {
        const spt_record *record = size;
        do {
            if (take_record(out, self, record)) {
                out->match = SPT_MATCH_NEAR_SIZE;
                out->time_ns_expected *= (double)problem->n / (double)record->n;
                explain_near_size(out, self, record, n_sizes);
                return true;
            }
            record++;
        } while (record < span.items + span.count && !is_new_size(record, &span));
    }
    if (span.count > 0 && n_sizes == 0 && self->skipped[0] == '\0')
        note_skip(self, "tuned only for sizes such as n=%" PRId64 ", too far from n=%" PRId64, span.items[0].n,
                  problem->n);
    return false;
}

spt_status spt_select_default(spt_selection *out, const spt_context *context, const spt_workload *workload,
                              const char *why) {
    *out = (spt_selection){.match = SPT_MATCH_DEFAULT};
    SPT_TRY(spt_default_variant(&out->family, &out->point, workload, &context->device));
    out->time_ns_expected = out->family->bound_ns(workload, &context->device, &out->point);
    snprintf(out->reason, sizeof out->reason, "%.200s: default by the model's bound", why);
    return SPT_OK;
}

spt_status spt_select(spt_selection *out, const spt_context *context, const spt_workload *workload) {
    if (context->mode == SPT_MODE_OFF)
        return spt_select_default(out, context, workload, "tuned results are switched off");
    spt_key key;
    SPT_TRY(spt_key_init(&key, workload, &context->device));
    lookup self = {.context = context, .workload = workload};
    *out = (spt_selection){0};
    if (select_exact(out, &self, &key))
        return SPT_OK;
    if (context->mode == SPT_MODE_FALLBACK && select_near_size(out, &self))
        return SPT_OK;
    if (self.skipped[0] != '\0')
        return spt_select_default(out, context, workload, self.skipped);
    return spt_select_default(out, context, workload,
                              context->mode == SPT_MODE_EXACT ? "nothing tuned for exactly this problem"
                                                              : "nothing tuned for this pattern");
}

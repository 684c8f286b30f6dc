/* SPDX-License-Identifier: Apache-2.0 */
/* The fallback chain; see select.h. No lock, no file; the few microseconds of a lookup are the check of the point. A
 * search of neighbours takes longer, so its answer is kept, above all when it is that there is none. */
#include "runtime/select.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/text.h"
#include "runtime/memo.h"
#include "runtime/neighbour.h"
#include "runtime/record.h"

/* ---- the sentence ---- */

static void add_dense_reason(spt_text *text, const spt_selection *selection, const spt_workload *workload) {
    if (selection->family->is_dense)
        spt_text_add(text, "; dense wins at %.0f %% zeros and n=%" PRId64,
                     100.0 * (1.0 - workload->pattern.features.density), workload->problem.n);
}

static double loss_at(double distance) {
    return fmin(SPT_LOSS_PER_DISTANCE * distance, SPT_LOSS_MAX);
}

/* What was tuned, where it is not what was asked. */
static void describe(spt_selection *out, const spt_record *record) {
    char fingerprint[SPT_HASH_TEXT_SIZE] = "unknown";
    spt_text text;
    spt_text_init(&text, out->neighbour, sizeof out->neighbour);
    if (record->of != NULL) {
        const spt_pattern *pattern = &record->of->pattern;
        spt_hash_text(fingerprint, pattern->fingerprint);
        spt_text_add(&text, "m=%" PRId64 " k=%" PRId64 " nnz=%" PRId64 " ", pattern->n_rows, pattern->n_cols,
                     pattern->nnz);
    }
    spt_text_add(&text, "n=%" PRId64 " threads=%d pattern=%s", record->n, record->threads, fingerprint);
}

/* ---- exact ---- */

static bool select_exact(spt_selection *out, spt_lookup *self, const spt_key *key) {
    const spt_record_span span = spt_table_find_key(&self->context->table, key->hash);
    for (int64_t i = 0; i < span.count; i++) {
        if (!spt_record_take(out, self, &span.items[i]))
            continue;
        spt_text text;
        spt_text_init(&text, out->reason, sizeof out->reason);
        out->match = SPT_MATCH_EXACT;
        out->level = "exact";
        spt_text_add(&text, "tuned here for exactly this problem");
        if (i > 0)
            spt_text_add(&text, ", number %" PRId64 " of its results", i + 1);
        add_dense_reason(&text, out, self->workload);
        spt_record_say_staleness(&text, out, &span.items[i]);
        spt_lookup_say_skipped(&text, self);
        return true;
    }
    return false;
}

/* ---- near size: the same pattern in the same problem with another n or thread count ---- */

static double size_distance(const spt_record *record, const spt_problem *problem) {
    return fabs(log2((double)record->n / (double)problem->n)) +
           fabs(log2((double)record->threads / (double)problem->threads));
}

/* Near enough that its winner beats a guess: kernels for n = 1 and n = 128 have nothing in common. */
static bool is_near(const spt_record *record, const spt_problem *problem) {
    const double ratio = (double)record->n / (double)problem->n;
    return ratio <= SPT_NEAR_SIZE_MAX && ratio >= 1.0 / SPT_NEAR_SIZE_MAX;
}

/* The size that comes after `last` (NULL: the first), nearest first; NULL at the end. Sizes are few: a scan per step.
 */
static const spt_record *next_size(const spt_record_span *span, const spt_problem *problem, const spt_record *last) {
    const spt_record *best = NULL;
    const double last_distance = last != NULL ? size_distance(last, problem) : -1.0;
    for (const spt_record *record = span->items; record < span->items + span->count; record++) {
        const double distance = size_distance(record, problem);
        const bool is_behind = distance > last_distance || (last != NULL && distance == last_distance && record > last);
        if (spt_record_is_first(record, span->items) && is_near(record, problem) && is_behind &&
            (best == NULL || distance < size_distance(best, problem)))
            best = record;
    }
    return best;
}

/* Take the best record that holds here of the nearest size that has one. On this device an equal size was asked before:
 * it is an exact answer that did not hold. */
static const spt_record *take_nearest_size(spt_selection *out, spt_lookup *self, const spt_record_span *span,
                                           bool is_equal_taken) {
    const spt_problem *problem = &self->workload->problem;
    for (const spt_record *size = NULL; (size = next_size(span, problem, size)) != NULL;) {
        const spt_record *record = size;
        if (!is_equal_taken && size_distance(size, problem) == 0.0)
            continue;
        do {
            if (spt_record_take(out, self, record)) {
                out->time_ns_expected *= (double)problem->n / (double)record->n;
                out->distance = size_distance(record, problem) * log(2.0);
                out->loss_expected = loss_at(out->distance);
                describe(out, record);
                return record;
            }
            record++;
        } while (record < span->items + span->count && !spt_record_is_first(record, span->items));
    }
    return NULL;
}

static int64_t count_sizes(const spt_record_span *span, const spt_problem *problem) {
    int64_t count = 0;
    for (int64_t i = 0; i < span->count; i++)
        count += spt_record_is_first(&span->items[i], span->items) && is_near(&span->items[i], problem) &&
                 size_distance(&span->items[i], problem) > 0.0;
    return count;
}

static void explain_near_size(spt_selection *out, const spt_lookup *self, const spt_record *record, int64_t n_sizes) {
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
    spt_record_say_staleness(&text, out, record);
    spt_lookup_say_skipped(&text, self);
}

static bool select_near_size(spt_selection *out, spt_lookup *self) {
    const spt_problem *problem = &self->workload->problem;
    const spt_record_span span = spt_table_find_pattern(&self->context->table, spt_pattern_key(self->workload));
    const int64_t n_sizes = count_sizes(&span, problem);
    const spt_record *record = take_nearest_size(out, self, &span, false);
    if (record != NULL) {
        out->match = SPT_MATCH_NEAR_SIZE;
        out->level = "near_size";
        explain_near_size(out, self, record, n_sizes);
        return true;
    }
    if (span.count > 0 && n_sizes == 0 && self->skipped[0] == '\0')
        spt_lookup_note(self, "tuned only for sizes such as n=%" PRId64 ", too far from n=%" PRId64, span.items[0].n,
                        problem->n);
    return false;
}

/* ---- neighbours: the nearest pattern here, the same or the nearest pattern on the device most like this one ---- */

/* The key of a question in the memo: what the problem's key leaves out counts here. */
static spt_hash128 memo_key(const spt_key *key, const spt_workload *workload, bool is_other_device) {
    spt_hash128 hash = key->hash;
    hash.bytes[15] ^= (uint8_t)((workload->problem.may_be_nonfinite != 0) << 1 | is_other_device);
    return hash;
}

/* Other sizes of this pattern with this epilogue answered before: as a neighbour it has another one. */
static void explain_neighbour(spt_selection *out, const spt_lookup *self, const spt_record *record,
                              bool is_other_device) {
    const char *where = is_other_device ? "on a similar device" : "here";
    spt_text text;
    spt_text_init(&text, out->reason, sizeof out->reason);
    if (spt_hash_equal(record->of->pattern.fingerprint, self->workload->pattern.fingerprint))
        spt_text_add(&text, "this pattern, tuned %s for n=%" PRId64 " with epilogue %s", where, record->n,
                     spt_epilogue_name(record->epilogue));
    else
        spt_text_add(&text, "the most promising of the nearest patterns tuned %s", where);
    spt_text_add(&text, ", at distance %.2f, expected to lose %.0f %%", out->distance, 100.0 * out->loss_expected);
    spt_record_say_staleness(&text, out, record);
    spt_lookup_say_skipped(&text, self);
}

static bool select_neighbour(spt_selection *out, spt_lookup *self, const spt_key *key, const spt_table *table) {
    const spt_context *context = self->context;
    const bool is_other_device = table != &context->table;
    const spt_hash128 question = memo_key(key, self->workload, is_other_device);
    spt_answer answer;
    if (table->n_records == 0)
        return false;
    if (!spt_memo_find(&answer, &context->memo, question)) {
        spt_neighbour_find(&answer, self, table);
        spt_memo_keep(&context->memo, question, &answer);
    }
    if (answer.record == NULL || !spt_record_take(out, self, answer.record))
        return false;
    out->match = is_other_device ? SPT_MATCH_NEAR_DEVICE : SPT_MATCH_NEAR_PATTERN;
    out->level = is_other_device ? "near_device" : "near_pattern";
    out->time_ns_expected = answer.time_ns_expected;
    out->distance = answer.distance;
    out->loss_expected = loss_at(answer.distance);
    describe(out, answer.record);
    explain_neighbour(out, self, answer.record, is_other_device);
    return true;
}

static bool select_near_device(spt_selection *out, spt_lookup *self, const spt_key *key) {
    const spt_table *table = &self->context->near_table;
    const spt_record_span span = spt_table_find_pattern(table, spt_pattern_key(self->workload));
    const spt_record *record = take_nearest_size(out, self, &span, true);
    if (record == NULL && !select_neighbour(out, self, key, table))
        return false;
    spt_text text;
    spt_text_init(&text, out->neighbour + strlen(out->neighbour), sizeof out->neighbour - strlen(out->neighbour));
    spt_text_add(&text, " device=%s", self->context->near_device_key);
    if (record == NULL)
        return true;
    out->match = SPT_MATCH_NEAR_DEVICE;
    out->level = "near_device";
    spt_text_init(&text, out->reason, sizeof out->reason);
    spt_text_add(&text, "tuned for n=%" PRId64 " on a similar device: %.100s", record->n,
                 self->context->near_device_key);
    spt_record_say_staleness(&text, out, record);
    spt_lookup_say_skipped(&text, self);
    return true;
}

/* ---- the chain ---- */

spt_status spt_select(spt_selection *out, const spt_context *context, const spt_workload *workload) {
    if (context->mode == SPT_MODE_OFF)
        return spt_select_default(out, context, workload, "tuned results are switched off", 0);
    spt_key key;
    SPT_TRY(spt_key_init(&key, workload, &context->device));
    spt_lookup self = {.context = context, .workload = workload};
    *out = (spt_selection){0};
    if (select_exact(out, &self, &key))
        return SPT_OK;
    if (context->mode == SPT_MODE_FALLBACK &&
        (select_near_size(out, &self) || select_neighbour(out, &self, &key, &context->table) ||
         select_near_device(out, &self, &key)))
        return SPT_OK;
    if (self.skipped[0] != '\0')
        return spt_select_default(out, context, workload, self.skipped, 0);
    return spt_select_default(out, context, workload,
                              context->mode == SPT_MODE_EXACT ? "nothing tuned for exactly this problem"
                                                              : "nothing tuned for this pattern or one like it",
                              0);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Lines into a database. Each line is judged by itself and by what it refers to, which must stand before it or in the
 * database already. Lines are committed in batches with a pause behind each, so that tuners that write into the same
 * database need not wait for the end; an import is a union, so a batch alone is a legal database too. */
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "core/memory.h"
#include "db/exchange.h"
#include "db/json.h"
#include "db/keys.h"
#include "db/put.h"

/* Some milliseconds of work, and the rest in which others may write. */
enum { BATCH_LINES = 256, PAUSE_NS = 1000000 };

typedef struct import {
    spt_db *db;
    const spt_import_options *options;
    spt_import_result *result;
    bool is_batched;
    int64_t n_in_batch;
    spt_key_set keys; /* whose winners this transaction must derive */
} import;

/* A missing reference refuses a line with a sentence of its own. */
static spt_status refer(spt_status found, const char *what, const char *name) {
    if (found != SPT_ENOTFOUND)
        return found;
    return spt_fail(SPT_EINVAL, "expected a line before this one with %s %s, found none", what, name);
}

static spt_status put_problem(import *self, const spt_item_problem *problem) {
    char fingerprint[SPT_HASH_TEXT_SIZE];
    int64_t device;
    spt_hash_text(fingerprint, problem->fingerprint);
    SPT_TRY(refer(spt_find_device(&device, self->db, problem->device_key), "the device", problem->device_key));
    SPT_TRY(refer(spt_has_pattern(self->db, &problem->fingerprint), "the pattern", fingerprint));
    return spt_put_problem(self->db, problem, device);
}

static spt_status put_trial(import *self, const spt_item_trial *item) {
    char key[SPT_HASH_TEXT_SIZE];
    int64_t session, variant;
    spt_hash_text(key, item->key);
    SPT_TRY(refer(spt_has_problem(self->db, &item->key), "the problem", key));
    SPT_TRY(refer(spt_find_session(&session, self->db, item->session), "the session", item->session));
    SPT_TRY(spt_put_variant(&variant, self->db, &item->trial.variant, item->source_hash));
    const int64_t before = sqlite3_total_changes(self->db->handle);
    SPT_TRY(spt_put_trial(self->db, &item->key, session, variant, &item->trial, item->recorded_unix_us));
    self->result->n_trials_new += sqlite3_total_changes(self->db->handle) - before;
    return spt_key_set_add(&self->keys, &item->key);
}

static spt_status put_item(import *self, const spt_item *item) {
    int64_t id;
    switch (item->kind) {
    case SPT_ITEM_DEVICE:
        return spt_put_device(&id, self->db, &item->as.device);
    case SPT_ITEM_PATTERN:
        return spt_put_pattern(self->db, &item->as.pattern);
    case SPT_ITEM_PROBLEM:
        return put_problem(self, &item->as.problem);
    case SPT_ITEM_SESSION:
        return spt_put_session(&id, self->db, &item->as.session);
    case SPT_ITEM_TRIAL:
        return put_trial(self, &item->as.trial);
    }
    return SPT_OK;
}

static spt_status take_line(import *self, const char *line, size_t size) {
    spt_item item;
    bool is_header;
    void *blob;
    SPT_TRY(spt_item_from_json(&item, &is_header, &blob, line, size));
    spt_status status = SPT_OK;
    if (!is_header) {
        status = put_item(self, &item);
        self->result->n_records += status == SPT_OK;
    }
    spt_free(blob);
    return status;
}

static void refuse(import *self, int64_t line) {
    self->result->n_refused++;
    if (self->options->refused != NULL)
        self->options->refused(self->options->user, line, spt_last_error());
}

/* ---- transactions ---- */

static bool is_in_memory(const spt_db *db) {
    return strcmp(db->path, ":memory:") == 0;
}

/* Derive, commit, let others write, begin again. */
static spt_status next_batch(import *self) {
    const struct timespec pause = {.tv_nsec = PAUSE_NS};
    const spt_status status = spt_key_set_derive(&self->keys, self->db);
    spt_key_set_fini(&self->keys);
    self->n_in_batch = 0;
    SPT_TRY(spt_db_end(self->db, status));
    if (!is_in_memory(self->db))
        nanosleep(&pause, NULL);
    return spt_db_begin(self->db);
}

static spt_status take_lines(import *self, spt_line_reader *reader) {
    for (;;) {
        spt_status status = spt_line_reader_next(reader);
        if (status == SPT_ENOTFOUND)
            return SPT_OK;
        if (status == SPT_EIO) { /* cut off: what came before stays */
            refuse(self, reader->number);
            return SPT_OK;
        }
        if (status == SPT_OK && reader->size > 0)
            status = take_line(self, reader->line, reader->size);
        if (status == SPT_EINVAL)
            refuse(self, reader->number);
        else if (status != SPT_OK)
            return status;
        if (self->is_batched && reader->size > 0 && ++self->n_in_batch >= BATCH_LINES)
            SPT_TRY(next_batch(self));
    }
}

static spt_status import_lines(import *self, spt_line_reader *reader) {
    spt_import_result *out = self->result;
    *out = (spt_import_result){0};
    SPT_TRY(spt_db_begin(self->db));
    spt_status status = take_lines(self, reader);
    const bool refuses_all = status == SPT_OK && !self->is_batched && self->options->strict && out->n_refused > 0;
    if (status == SPT_OK && !refuses_all)
        status = spt_key_set_derive(&self->keys, self->db);
    spt_key_set_fini(&self->keys);
    if (refuses_all)
        return spt_db_end(self->db, SPT_EINVAL) == SPT_EINVAL ? SPT_OK : SPT_EIO; /* rolled back */
    out->is_kept = status == SPT_OK;
    return spt_db_end(self->db, status);
}

/* Try all lines on a copy, so that the database itself is locked by nobody meanwhile. */
static spt_status try_on_copy(spt_import_result *out, const spt_db *db, spt_line_reader *reader,
                              const spt_import_options *options) {
import self = {.options = options, .result = out };
    SPT_TRY(spt_db_open_copy(&self.db, db->path));
    const spt_status status = import_lines(&self, reader);
    spt_db_close(self.db);
    return status;
}

spt_status spt_db_import(spt_import_result *out, spt_db *db, spt_line_reader *reader,
                         const spt_import_options *options) {
import self = {.db = db, .options = options, .result = out, .is_batched = !options->strict };
    if (options->strict && !is_in_memory(db) && spt_line_reader_rewind(reader) == SPT_OK) {
        SPT_TRY(try_on_copy(out, db, reader, options));
        if (!out->is_kept)
            return SPT_OK;
        SPT_TRY(spt_line_reader_rewind(reader));
        self.is_batched = true;
    }
    return import_lines(&self, reader);
}

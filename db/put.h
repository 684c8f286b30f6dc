/* SPDX-License-Identifier: Apache-2.0 */
/* Putting records into a database, each an upsert by identity: of two with one identity the better one stays (item.h),
 * whatever the order in which they come. All inside a transaction of the caller's. Statements are prepared once per
 * connection. */
#ifndef SPT_DB_PUT_H
#define SPT_DB_PUT_H

#include "db/handle.h"
#include "db/item.h"

/* *id: the record's id in this file. */
spt_status spt_put_device(int64_t *id, spt_db *db, const spt_device *device);
spt_status spt_put_pattern(spt_db *db, const spt_item_pattern *pattern);
spt_status spt_put_problem(spt_db *db, const spt_item_problem *problem, int64_t device);
spt_status spt_put_session(int64_t *id, spt_db *db, const spt_session *session);
spt_status spt_put_variant(int64_t *id, spt_db *db, const spt_variant_id *variant, const char *source_hash);
/* Of the trial's variant only is_default is looked at. */
spt_status spt_put_trial(spt_db *db, const spt_hash128 *key, int64_t session, int64_t variant, const spt_trial *trial,
                         int64_t recorded_unix_us);

/* A trial as it lies in a file, with that file's ids. */
typedef struct spt_trial_row {
    int64_t session, variant, recorded_unix_us;
    spt_phase phase;
    int round;
    bool is_default;
    bool is_stored; /* the file has it already, so it is not put again */
    spt_measurement measurement;
    spt_hash128 content;
} spt_trial_row;

/* Trials of one problem; in the order of session, variant and phase (by name) they are put fastest. */
typedef struct spt_trial_batch {
    spt_hash128 key;
    const spt_trial_row *rows;
    int64_t count;
} spt_trial_batch;

void spt_trial_row_init(spt_trial_row *out, int64_t session, int64_t variant, const spt_trial *trial,
                        int64_t recorded_unix_us);
/* *n_changed: trials that were not known, or replaced what was. */
spt_status spt_put_trials(int64_t *n_changed, spt_db *db, const spt_trial_batch *batch);

/* The id of a record that must be there. Errors: ENOTFOUND. */
spt_status spt_find_device(int64_t *id, spt_db *db, const char *key);
spt_status spt_find_session(int64_t *id, spt_db *db, const char *uuid);
spt_status spt_has_pattern(spt_db *db, const spt_hash128 *fingerprint);
spt_status spt_has_problem(spt_db *db, const spt_hash128 *key);

#endif

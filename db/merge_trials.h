/* SPDX-License-Identifier: Apache-2.0 */
/* The union of the trials of several files: a problem at a time, in the order of keys, so that every tree is read and
 * written once, from left to right, and winners are derived from what is in memory. Inside a transaction of the
 * caller's. */
#ifndef SPT_DB_MERGE_TRIALS_H
#define SPT_DB_MERGE_TRIALS_H

#include "db/exchange.h"
#include "db/handle.h"
#include "db/id_map.h"

/* A file that is merged, and what its sessions and variants are in the file that it is merged into. */
typedef struct spt_merge_source {
    spt_db *db;
    spt_id_map sessions, variants;
    sqlite3_stmt *trials; /* here and below: of merge_trials.c alone */
    spt_hash128 key;      /* of the row where `trials` stands */
    bool has_row;
} spt_merge_source;

/* Put the trials of all sources, and derive the winners of every problem that has one. *result is added to.
 * Errors: EINVAL (a damaged database), EIO, ENOMEM. */
spt_status spt_merge_trials(spt_merge_result *result, spt_db *to, spt_merge_source *sources, int n_sources);

#endif

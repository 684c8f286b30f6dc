/* SPDX-License-Identifier: Apache-2.0 */
/* Reading all records of one kind, sorted by identity, each checked: the file may come from a stranger. */
#ifndef SPT_DB_SCAN_H
#define SPT_DB_SCAN_H

#include "db/handle.h"
#include "db/item.h"

typedef struct spt_scan {
    spt_db *db;
    sqlite3_stmt *statement;
    spt_item item;     /* what spt_scan_next found; pattern positions live until the next call */
    int64_t n_skipped; /* rows that are not legal */
} spt_scan;

/* Start. positions: read the patterns' positions, too. Owns: spt_scan_close. */
spt_status spt_scan_open(spt_scan *out, spt_db *db, spt_item_kind kind, bool with_positions);
/* Step to the next legal record. Errors: ENOTFOUND at the end. */
spt_status spt_scan_next(spt_scan *scan);
void spt_scan_close(spt_scan *scan);

/* What a trial's columns say, from column `first` on: phase, round, is_default, status, n_samples, five reals,
 * workspace and packed bytes, pack_ns, reason, recorded_unix_us, compile_ns. False where a column is not legal. */
bool spt_scan_trial_columns(spt_trial *out, int64_t *recorded_unix_us, sqlite3_stmt *row, int first);
#define SPT_TRIAL_COLUMNS(compile_ns)                                                                                  \
    "t.phase, t.round, t.is_default, t.status, t.n_samples, t.time_ns_median, t.mad_ns, t.ci_ns_low, t.ci_ns_high,"    \
    " t.max_error, t.workspace_bytes, t.packed_bytes, t.pack_ns, t.reason, t.recorded_unix_us, " compile_ns
/* Two texts of a statement with those columns: [false] for a schema without compile_ns, see spt_db. */
#define SPT_TRIAL_STATEMENTS(before, after)                                                                            \
    { before SPT_TRIAL_COLUMNS("0.0") after, before SPT_TRIAL_COLUMNS("t.compile_ns") after }

#endif

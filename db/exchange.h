/* SPDX-License-Identifier: Apache-2.0 */
/* Databases out and in: JSON Lines, merging, comparing, publishing. A merge is a set union of records by identity
 * (item.h says which of two stays), so it is idempotent, commutative and associative; winners are derived again. */
#ifndef SPT_DB_EXCHANGE_H
#define SPT_DB_EXCHANGE_H

#include "db/db.h"
#include "db/item.h"
#include "db/lines.h"

typedef struct spt_export_options {
    bool anonymous;      /* without hosts, systems and reasons */
    bool with_positions; /* with the patterns' positions, where they are kept */
} spt_export_options;

typedef struct spt_export_result {
    int64_t n_records;
    int64_t n_skipped; /* rows that are not legal: not in the export */
} spt_export_result;

/* Write all records, sorted; equal databases give equal bytes. Errors: EIO, EINVAL (a damaged database), ENOMEM. */
spt_status spt_db_export(spt_export_result *out, spt_db *db, spt_line_writer *writer,
                         const spt_export_options *options);
/* Take away what an anonymous export does not tell. */
void spt_item_anonymize(spt_item *item);

typedef struct spt_import_options {
    bool strict;                                                     /* one refused line refuses all */
    void (*refused)(void *user, int64_t line, const char *sentence); /* NULL: silent */
    void *user;
} spt_import_options;

typedef struct spt_import_result {
    int64_t n_records, n_refused;
    int64_t n_trials_new; /* trials that were not known, or replaced what was */
    bool is_kept;         /* false: strict, and something was refused */
} spt_import_result;

/* Read lines into a database in short transactions, each with the winners of the keys that came. Refused lines cost
 * themselves, and what refers to them. strict: all lines are tried on a copy in memory first, and nothing is kept when
 * one is refused; lines that cannot be read twice (a pipe) are then taken in one transaction. Errors: EIO, ENOMEM,
 * EUNSUPPORTED (an export of a newer version): batches that were committed stay, and importing again completes them. */
spt_status spt_db_import(spt_import_result *out, spt_db *db, spt_line_reader *reader,
                         const spt_import_options *options);

typedef struct spt_merge_result {
    int64_t n_trials;     /* read from the sources */
    int64_t n_trials_new; /* of them, not known or better than what was */
    int64_t n_skipped;    /* rows that are not legal */
} spt_merge_result;

/* Add all records of the databases at `sources` to db, in one transaction, and derive winners of the keys that came.
 * Errors: EIO, EINVAL, ENOMEM: db is then as it was. */
spt_status spt_db_merge(spt_merge_result *out, spt_db *db, const char *const *sources, int n_sources);

/* The same into a file. A new one is made beside its place and appears whole or not at all; one that exists takes part
 * in the union. */
spt_status spt_db_merge_files(spt_merge_result *out, const char *path, const char *const *sources, int n_sources);

#endif

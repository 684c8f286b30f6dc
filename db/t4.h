/* SPDX-License-Identifier: Apache-2.0 */
/* The search trials of one problem in the T4 form, in which autotuners exchange results. */
#ifndef SPT_DB_T4_H
#define SPT_DB_T4_H

#include "db/db.h"
#include "db/lines.h"

/* Write one document: one result per variant, its newest search trial, families' highest revisions only. The columns of
 * a configuration are the axes of all families, "-" where a family has none of that name, after one column "family";
 * with a family given its own axes alone. Errors: ENOTFOUND (no search trial), EIO, ENOMEM. */
spt_status spt_db_export_t4(int64_t *n_results, spt_db *db, spt_line_writer *writer, const spt_hash128 *key,
                            const char *family);

#endif

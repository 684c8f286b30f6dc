/* SPDX-License-Identifier: Apache-2.0 */
/* The table `served`: all that a library reads of a device when it opens a database, as one range of one tree.
 * Databases of older versions do not have it; the same is then gathered from the tables that it is derived from. */
#ifndef SPT_DB_READER_SERVED_H
#define SPT_DB_READER_SERVED_H

#include <sqlite3.h>

#include "db/reader.h"

#define SPT_DB_SCHEMA_SERVED 3 /* the first version with this table */

/* The problem's text stands in the row of rank 0 and serves the ranks behind it. */
#define SPT_SERVED_OF_DEVICE                                                                                           \
    "SELECT w.key, w.rank, w.problem, w.family, w.revision, w.point, w.time_ns_median, w.speedup_over_default,"        \
    " w.speedup_over_dense, w.compiler, w.library FROM device d CROSS JOIN served w ON w.device = d.id WHERE d.key = " \
    "?1"

/* Step a statement that begins like SPT_SERVED_OF_DEVICE to its end; keep what is legal and whose problem's text gives
 * its key on this device. Winners come without nnz, ci_ns, is_dense and host. Owns: spt_winner_list_fini. */
spt_status spt_served_collect(spt_winner_list *out, sqlite3_stmt *statement, sqlite3 *handle, const char *path,
                              const char *device_key);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Looking after a database: winners fixed by hand, records that nothing can use taken out, a copy to be handed out. */
#ifndef SPT_DB_UPKEEP_H
#define SPT_DB_UPKEEP_H

#include "db/db.h"

/* Fix the winner of a key by hand: that variant goes first as long as its family's newest revision has a correct trial
 * of it. Errors: ENOTFOUND (unknown key, or a variant without a correct trial there). */
spt_status spt_db_pin(spt_db *db, const spt_hash128 *key, const char *family, const char *point, const char *note);
/* Take a pin away. Errors: ENOTFOUND. */
spt_status spt_db_unpin(spt_db *db, const spt_hash128 *key);
/* Is this the beginning of a key? Errors: EINVAL (not 1 to 32 hex digits). */
spt_status spt_db_check_key(const char *prefix);
/* The one key that begins with these hex digits. Errors: ENOTFOUND, EINVAL (several, or no hex digits). */
spt_status spt_db_find_key(spt_hash128 *out, spt_db *db, const char *prefix);

typedef struct spt_gc_result {
    int64_t n_trials, n_variants, n_problems, n_patterns, n_sessions, n_devices; /* taken out */
} spt_gc_result;

/* May a trial of this family and revision still be of use? */
typedef bool spt_gc_keeps(void *user, const char *family, int revision);

/* Take out the trials of variants that are not kept, then everything that no trial refers to; derive winners again and
 * give the room back. dry_run: count and leave everything as it is. */
spt_status spt_db_gc(spt_gc_result *out, spt_db *db, spt_gc_keeps *keeps, void *user, bool dry_run);

/* Write a copy of the database at `source` that is made to be read by many: its rows checked, its winners derived
 * again, without a log, compact, with a checksum of the whole file in it, and read-only, so that it is opened as
 * immutable. Replaces `path` in one step, but no database that is written to. Errors: EIO, EINVAL, ENOMEM. */
spt_status spt_db_publish(const char *path, const char *source);

/* Is the file at this path a sparsetune database, of whatever version? */
bool spt_db_is_database(const char *path);

typedef enum spt_checksum { SPT_CHECKSUM_NONE = 0, SPT_CHECKSUM_OK, SPT_CHECKSUM_WRONG } spt_checksum;
/* Does a published file still have the bytes that it was published with? NONE: not a published file. */
spt_status spt_db_checksum_verify(spt_checksum *out, const char *path);
const char *spt_checksum_name(spt_checksum checksum); /* none, ok, wrong */

#endif

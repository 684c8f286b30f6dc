/* SPDX-License-Identifier: Apache-2.0 */
/* Winners fixed by hand; see upkeep.h. A pin moves a variant to the front when winners are derived. */
#include <string.h>
#include <time.h>

#include "db/derive.h"
#include "db/handle.h"
#include "db/item.h"
#include "db/reader_row.h"
#include "db/upkeep.h"

static const char find_sql[] = "SELECT key FROM problem WHERE key >= ?1 ORDER BY key LIMIT 2";
static const char put_sql[] = "INSERT OR REPLACE INTO pin (key, family, point, note, pinned_unix_s) "
                              "VALUES (?1, ?2, ?3, ?4, ?5)";
static const char take_sql[] = "DELETE FROM pin WHERE key = ?1";
static const char first_sql[] = "SELECT v.family, v.point FROM winner w CROSS JOIN variant v ON v.id = w.variant "
                                "WHERE w.key = ?1 AND w.rank = 0";

/* The hex digits of the prefix, the rest zero. */
static spt_status lowest_key(spt_hash128 *out, const char *prefix) {
    char text[SPT_HASH_TEXT_SIZE] = "00000000000000000000000000000000";
    const size_t length = strlen(prefix);
    if (length == 0 || length >= sizeof text || strspn(prefix, "0123456789abcdefABCDEF") != length)
        return spt_fail(SPT_EINVAL, "expected 1 to 32 hex digits of a key, found '%.40s'", prefix);
    memcpy(text, prefix, length);
    return spt_hash_parse(out, text);
}

spt_status spt_db_check_key(const char *prefix) {
    spt_hash128 ignored;
    return lowest_key(&ignored, prefix);
}

spt_status spt_db_find_key(spt_hash128 *out, spt_db *db, const char *prefix) {
    char text[SPT_HASH_TEXT_SIZE];
    spt_hash128 lowest, found;
    sqlite3_stmt *statement;
    int n_found = 0, rc;
    SPT_TRY(lowest_key(&lowest, prefix));
    SPT_TRY(spt_db_prepare(&statement, db, find_sql));
    spt_bind_hash(statement, 1, &lowest);
    while ((rc = sqlite3_step(statement)) == SQLITE_ROW) {
        if (!spt_row_hash(&found, statement, 0))
            continue;
        spt_hash_text(text, found);
        if (strncasecmp(text, prefix, strlen(prefix)) != 0)
            continue;
        *out = found;
        n_found++;
    }
    const spt_status status = rc == SQLITE_DONE ? SPT_OK : spt_sqlite_fail(db->handle, rc, db->path);
    sqlite3_finalize(statement);
    SPT_TRY(status);
    if (n_found == 1)
        return SPT_OK;
    if (n_found == 0)
        return spt_fail(SPT_ENOTFOUND, "expected a problem whose key begins with %s, found none: database %s", prefix,
                        db->path);
    return spt_fail(SPT_EINVAL, "expected one problem whose key begins with %s, found several: database %s", prefix,
                    db->path);
}

/* After the winners were derived the pinned variant must be the first, or it has no standing. */
static spt_status expect_first(spt_db *db, const spt_hash128 *key, const char *family, const char *point) {
    char found_family[64] = "", found_point[SPT_POINT_TEXT_MAX] = "";
    sqlite3_stmt *statement;
    SPT_TRY(spt_db_prepare(&statement, db, first_sql));
    spt_bind_hash(statement, 1, key);
    const bool has_row = sqlite3_step(statement) == SQLITE_ROW &&
                         spt_row_text(found_family, sizeof found_family, statement, 0) &&
                         spt_row_text(found_point, sizeof found_point, statement, 1);
    sqlite3_finalize(statement);
    if (has_row && strcmp(found_family, family) == 0 && strcmp(found_point, point) == 0)
        return SPT_OK;
    return spt_fail(SPT_ENOTFOUND,
                    "expected %s %s to have correct measurements for this problem, found none that count: tune it "
                    "with --families first",
                    family, point);
}

static spt_status pin(spt_db *db, const spt_hash128 *key, const char *family, const char *point, const char *note) {
    sqlite3_stmt *statement;
    SPT_TRY(spt_db_prepare(&statement, db, put_sql));
    spt_bind_hash(statement, 1, key);
    spt_bind_text(statement, 2, family);
    spt_bind_text(statement, 3, point);
    spt_bind_text(statement, 4, note);
    sqlite3_bind_int64(statement, 5, (int64_t)time(NULL));
    SPT_TRY(spt_db_run(db, statement));
    SPT_TRY(spt_derive_key(db, key));
    return expect_first(db, key, family, point);
}

spt_status spt_db_pin(spt_db *db, const spt_hash128 *key, const char *family, const char *point, const char *note) {
    if (!spt_text_is_plain(family) || !spt_text_is_plain(point) || !spt_text_is_plain(note))
        return spt_fail(SPT_EINVAL, "expected plain characters in a pin, found others");
    if (strlen(note) >= SPT_POINT_TEXT_MAX) /* what a published copy takes along */
        return spt_fail(SPT_EINVAL, "expected a note of at most %d characters, found %zu", SPT_POINT_TEXT_MAX - 1,
                        strlen(note));
    SPT_TRY(spt_db_begin(db));
    return spt_db_end(db, pin(db, key, family, point, note));
}

static spt_status unpin(spt_db *db, const spt_hash128 *key) {
    sqlite3_stmt *statement;
    SPT_TRY(spt_db_prepare(&statement, db, take_sql));
    spt_bind_hash(statement, 1, key);
    SPT_TRY(spt_db_run(db, statement));
    if (sqlite3_changes(db->handle) == 0)
        return spt_fail(SPT_ENOTFOUND, "expected a pin of this problem, found none: database %s", db->path);
    return spt_derive_key(db, key);
}

spt_status spt_db_unpin(spt_db *db, const spt_hash128 *key) {
    SPT_TRY(spt_db_begin(db));
    return spt_db_end(db, unpin(db, key));
}

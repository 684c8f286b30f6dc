/* SPDX-License-Identifier: Apache-2.0 */
/* One pass over the problems; of each its winners, its number of trials and its pin, by index; see list.h. */
#include "db/list.h"

#include <string.h>

#include "core/text.h"
#include "db/handle.h"
#include "db/migrate.h"
#include "db/reader_row.h"

static const char problems_sql[] = "SELECT p.key, p.text, a.nnz, a.features FROM problem p CROSS JOIN pattern a"
                                   " ON a.fingerprint = p.fingerprint ORDER BY p.text";
static const char winners_sql[] =
    SPT_WINNER_COLUMNS ", w.n_rounds, s.uuid, s.started_unix_s FROM winner w CROSS JOIN problem p"
                       " ON p.key = w.key" SPT_WINNER_JOINS "WHERE w.key = ?1 ORDER BY w.rank";
static const char trials_sql[] = "SELECT count(*) FROM trial WHERE key = ?1";
static const char pins_sql[] = "SELECT family, point FROM pin WHERE key = ?1";
static const char compiled_sql[] = "SELECT t.compile_ns FROM trial t CROSS JOIN variant v ON v.id = t.variant"
                                   " WHERE t.key = ?1 AND v.family = ?2 AND v.revision = ?3 AND v.point = ?4"
                                   " ORDER BY t.compile_ns DESC LIMIT 1";

enum { WINNER_COLUMNS = 24 };

spt_status spt_list_open(spt_list *out, spt_db *db, bool all_ranks) {
    int version;
    spt_status status = SPT_OK;
    *out = (spt_list){.db = db, .all_ranks = all_ranks};
    SPT_TRY(spt_sqlite_version(&version, db->handle, db->path, SPT_DB_SCHEMA_OLDEST, SPT_DB_SCHEMA_VERSION));
    SPT_TRY_TO(done, spt_db_prepare(&out->problems, db, problems_sql));
    SPT_TRY_TO(done, spt_db_prepare(&out->winners, db, winners_sql));
    SPT_TRY_TO(done, spt_db_prepare(&out->trials, db, trials_sql));
    if (version >= SPT_DB_SCHEMA_PINS)
        SPT_TRY_TO(done, spt_db_prepare(&out->pins, db, pins_sql));
    if (db->has_compile_times)
        SPT_TRY_TO(done, spt_db_prepare(&out->compiled, db, compiled_sql));
done:
    if (status != SPT_OK)
        spt_list_close(out);
    return status;
}

static void ask_about_key(sqlite3_stmt *statement, const spt_hash128 *key) {
    sqlite3_reset(statement);
    spt_bind_hash(statement, 1, key);
}

static spt_status fail(const spt_list *list, int rc) {
    return spt_sqlite_fail(list->db->handle, rc, list->db->path);
}

/* Is the winner the variant that was pinned? */
static spt_status look_for_pin(spt_list *list) {
    char family[64], point[SPT_POINT_TEXT_MAX];
    spt_listing *item = &list->item;
    item->is_pinned = false;
    if (list->pins == NULL || !item->has_winner)
        return SPT_OK;
    ask_about_key(list->pins, &item->problem.key.hash);
    const int rc = sqlite3_step(list->pins);
    if (rc == SQLITE_ROW && spt_row_text(family, sizeof family, list->pins, 0) &&
        spt_row_text(point, sizeof point, list->pins, 1))
        item->is_pinned = strcmp(family, item->winner.family) == 0 && strcmp(point, item->winner.point) == 0;
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? SPT_OK : fail(list, rc);
}

static spt_status look_for_compile_time(spt_list *list) {
    spt_listing *item = &list->item;
    item->compile_ns = 0.0;
    if (list->compiled == NULL)
        return SPT_OK;
    ask_about_key(list->compiled, &item->problem.key.hash);
    spt_bind_text(list->compiled, 2, item->winner.family);
    sqlite3_bind_int(list->compiled, 3, item->winner.revision);
    spt_bind_text(list->compiled, 4, item->winner.point);
    const int rc = sqlite3_step(list->compiled);
    if (rc == SQLITE_ROW)
        item->compile_ns = sqlite3_column_double(list->compiled, 0);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? SPT_OK : fail(list, rc);
}

static bool take_winner(spt_listing *item, sqlite3_stmt *row) {
    int64_t n_rounds;
    if (!spt_winner_take(&item->winner, row) || !spt_row_integer(&n_rounds, row, WINNER_COLUMNS, 0, INT32_MAX) ||
        !spt_row_text(item->session, sizeof item->session, row, WINNER_COLUMNS + 1) ||
        !spt_row_integer(&item->started_unix_s, row, WINNER_COLUMNS + 2, 0, INT64_MAX))
        return false;
    item->n_rounds = (int)n_rounds;
    return item->has_winner = true;
}

/* The problem's next legal winner. Errors: ENOTFOUND. */
static spt_status next_winner(spt_list *list) {
    int rc;
    list->item.has_winner = false;
    while ((rc = sqlite3_step(list->winners)) == SQLITE_ROW) {
        if (take_winner(&list->item, list->winners)) {
            SPT_TRY(look_for_compile_time(list));
            return look_for_pin(list);
        }
        list->n_skipped++;
    }
    return rc == SQLITE_DONE ? SPT_ENOTFOUND : fail(list, rc);
}

static bool take_problem(spt_listing *item, sqlite3_stmt *row) {
    char text[SPT_KEY_TEXT_MAX];
    spt_hash128 key;
    spt_features features;
    return spt_row_hash(&key, row, 0) && spt_row_text(text, sizeof text, row, 1) &&
           spt_item_problem_parse(&item->problem, text) == SPT_OK && spt_hash_equal(key, item->problem.key.hash) &&
           spt_row_integer(&item->nnz, row, 2, 0, INT64_MAX) &&
           spt_row_text(item->features, sizeof item->features, row, 3) && spt_text_is_plain(item->features) &&
           spt_features_parse(&features, item->features) == SPT_OK;
}

static spt_status next_problem(spt_list *list) {
    int rc;
    while ((rc = sqlite3_step(list->problems)) == SQLITE_ROW) {
        list->item = (spt_listing){0};
        if (!take_problem(&list->item, list->problems)) {
            list->n_skipped++;
            continue;
        }
        ask_about_key(list->trials, &list->item.problem.key.hash);
        rc = sqlite3_step(list->trials);
        if (rc != SQLITE_ROW)
            return fail(list, rc);
        list->item.n_trials = sqlite3_column_int64(list->trials, 0);
        ask_about_key(list->winners, &list->item.problem.key.hash);
        list->has_row = true;
        return SPT_OK;
    }
    return rc == SQLITE_DONE ? SPT_ENOTFOUND : fail(list, rc);
}

spt_status spt_list_next(spt_list *list) {
    if (list->has_row && list->all_ranks) {
        const spt_status status = next_winner(list);
        if (status != SPT_ENOTFOUND)
            return status;
    }
    SPT_TRY(next_problem(list));
    const spt_status status = next_winner(list);
    return status == SPT_ENOTFOUND ? SPT_OK : status;
}

void spt_list_close(spt_list *list) {
    sqlite3_finalize(list->problems);
    sqlite3_finalize(list->winners);
    sqlite3_finalize(list->trials);
    sqlite3_finalize(list->pins);
    sqlite3_finalize(list->compiled);
    *list = (spt_list){0};
}

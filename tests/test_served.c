/* SPDX-License-Identifier: Apache-2.0 */
/* What a library reads when it is opened: the table `served` says what the tables say that it is derived from, in every
 * schema and after every change; forged rows of it are passed over one by one. */
#include <stdio.h>
#include <unistd.h>

#include "core/text.h"
#include "db/reader_row.h"
#include "db/reader_served.h"
#include "db/upkeep.h"
#include "tests/random_db.h"
#include "tests/support.h"
#include "tests/unit.h"

#define DEVICE_KEY "cpu|Maker|6|0|avx2+fma|32768|1048576" /* the first device of the random world */

static const random_world small = {3, 5, 12, 4, 14, 3};
static char folder[256], path[300];

static int setup(void **state) {
    (void)state;
    support_folder_make(folder, sizeof folder);
    snprintf(path, sizeof path, "%s/t.db", folder);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    support_folder_remove(folder);
    return 0;
}

static spt_db *make(uint64_t seed, int64_t n_trials) {
    spt_db *db;
    expect_ok(spt_db_open(&db, path, SPT_DB_WRITE));
    random_db_fill(db, &small, seed, n_trials);
    expect_ok(spt_db_winners_rebuild(db, NULL));
    return db;
}

static void run_sql(const char *sql) {
    sqlite3 *handle;
    assert_int_equal(sqlite3_open(path, &handle), SQLITE_OK);
    if (sqlite3_exec(handle, sql, NULL, NULL, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(handle));
    sqlite3_close(handle);
}

static spt_device_records read_served(void) {
    spt_device device = {.isa = SPT_ISA_AVX2};
    spt_device_records own, near;
    spt_copy_text(device.key, sizeof device.key, DEVICE_KEY);
    expect_ok(spt_db_read_device(&own, &near, path, &device));
    spt_device_records_fini(&near);
    return own;
}

/* Winner by winner what the tables behind it say. */
static void expect_same(const spt_device_records *served) {
    spt_winner_list winners;
    expect_ok(spt_db_read_winners(&winners, path, DEVICE_KEY));
    assert_true(winners.count > 0);
    assert_int_equal(served->winners.count, winners.count);
    for (int64_t i = 0; i < winners.count; i++) {
        const spt_winner *a = &served->winners.items[i], *b = &winners.items[i];
        assert_memory_equal(a->key.bytes, b->key.bytes, sizeof a->key.bytes);
        assert_memory_equal(a->fingerprint.bytes, b->fingerprint.bytes, sizeof a->fingerprint.bytes);
        const int64_t numbers[][2] = {
            {a->rank, b->rank},     {a->revision, b->revision}, {a->m, b->m},        {a->k, b->k},
            {a->n, b->n},           {a->threads, b->threads},   {a->op, b->op},      {a->dtype, b->dtype},
            {a->layout, b->layout}, {a->epilogue, b->epilogue}, {a->cache, b->cache}};
        for (size_t j = 0; j < sizeof numbers / sizeof numbers[0]; j++)
            assert_int_equal(numbers[j][0], numbers[j][1]);
        assert_string_equal(a->family, b->family);
        assert_string_equal(a->point, b->point);
        assert_string_equal(a->compiler, b->compiler);
        assert_string_equal(a->library, b->library);
        assert_true(a->time_ns_median == b->time_ns_median);
        assert_true(a->speedup_over_default == b->speedup_over_default);
        assert_true(a->speedup_over_dense == b->speedup_over_dense);
    }
    spt_winner_list_fini(&winners);
}

static void expect_served_as_derived(void) {
    spt_device_records served = read_served();
    expect_same(&served);
    spt_device_records_fini(&served);
}

static bool keeps_newest(void *user, const char *family, int revision) {
    (void)user;
    return family[strlen(family) - 1] != '1' && revision >= 0;
}

static void what_is_served_follows_every_change(void **state) {
    (void)state;
    spt_db *db = make(1, 400);
    spt_gc_result result;
    expect_served_as_derived();
    const spt_device_records served = read_served();
    const spt_winner *second = NULL;
    for (int64_t i = 0; i < served.winners.count && second == NULL; i++)
        second = served.winners.items[i].rank == 1 ? &served.winners.items[i] : NULL;
    assert_non_null(second);
    expect_ok(spt_db_pin(db, &second->key, second->family, second->point, "by hand"));
    expect_served_as_derived();
    spt_device_records pinned = read_served();
    for (int64_t i = 0; i < pinned.winners.count; i++)
        if (pinned.winners.items[i].rank == 0 && spt_hash_equal(pinned.winners.items[i].key, second->key))
            assert_string_equal(pinned.winners.items[i].point, second->point);
    spt_device_records_fini(&pinned);
    expect_ok(spt_db_unpin(db, &second->key));
    expect_ok(spt_db_gc(&result, db, keeps_newest, NULL, false));
    expect_served_as_derived();
    random_db_fill(db, &small, 2, 300);
    expect_ok(spt_db_winners_rebuild(db, NULL));
    expect_served_as_derived();
    spt_db_close(db);
    spt_device_records left = served;
    spt_device_records_fini(&left);
}

/* A file of an older version is read by the tables that it has, and upgrading fills the new one. */
static void older_schemas_serve_the_same(void **state) {
    (void)state;
    spt_db *db;
    spt_db_close(make(3, 400));
    spt_device_records newest = read_served();
    run_sql("DROP TABLE served; ALTER TABLE trial DROP COLUMN compile_ns; PRAGMA user_version = 2");
    expect_served_as_derived();
    expect_same(&newest);
    expect_ok(spt_db_open(&db, path, SPT_DB_WRITE));
    spt_db_close(db);
    expect_served_as_derived();
    expect_same(&newest);
    spt_device_records_fini(&newest);
}

typedef struct forgery {
    const char *sql;
    bool takes_all; /* else only rows of rank 0 or 1 go */
} forgery;

static void forged_rows_are_passed_over(void **state) {
    (void)state;
    static const forgery rows[] = {
        {"UPDATE served SET problem = replace(problem, '|hot|', '|cold|')", true},
        {"UPDATE served SET problem = problem || 'x' WHERE rank = 0", true},
        {"UPDATE served SET problem = '' WHERE rank = 0", true},
        {"UPDATE served SET problem = CAST(x'00' AS TEXT) WHERE rank = 0", true},
        {"DELETE FROM served WHERE device = (SELECT id FROM device WHERE key = '" DEVICE_KEY "'); "
         "UPDATE served SET device = (SELECT id FROM device WHERE key = '" DEVICE_KEY "')",
         true},
        {"UPDATE served SET key = randomblob(16)", true},
        {"UPDATE served SET key = CAST(hex(key) AS BLOB)", true},
        {"UPDATE served SET family = char(7) WHERE rank = 1", false},
        {"UPDATE served SET point = printf('%.*c', 400, 'x') WHERE rank = 1", false},
        {"UPDATE served SET time_ns_median = -1.0 WHERE rank = 1", false},
        {"UPDATE served SET time_ns_median = 9e999 WHERE rank = 1", false},
        {"UPDATE served SET revision = -1 WHERE rank = 1", false},
        {"UPDATE served SET rank = 100000 WHERE rank = 1", false},
        {"UPDATE served SET speedup_over_dense = -1.0 WHERE rank = 0", false},
    };
    spt_db_close(make(4, 400));
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        spt_db *db;
        run_sql(rows[i].sql);
        spt_device_records left = read_served();
        expect_ok(spt_db_open(&db, path, SPT_DB_WRITE)); /* derived data: rebuilding heals it */
        expect_ok(spt_db_winners_rebuild(db, NULL));
        spt_db_close(db);
        spt_device_records healed = read_served();
        if (rows[i].takes_all ? left.winners.count != 0
                              : left.winners.count == 0 || left.winners.count >= healed.winners.count)
            fail_msg("%s: %d of %d are left", rows[i].sql, (int)left.winners.count, (int)healed.winners.count);
        spt_device_records_fini(&left);
        spt_device_records_fini(&healed);
    }
}

/* Opening is one range of one tree, and each pattern one search of one index. */
static void a_device_is_one_range(void **state) {
    (void)state;
    sqlite3 *handle;
    sqlite3_stmt *statement;
    int n_steps = 0;
    spt_db_close(make(5, 50));
    assert_int_equal(sqlite3_open(path, &handle), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(handle, "EXPLAIN QUERY PLAN " SPT_SERVED_OF_DEVICE, -1, &statement, NULL),
                     SQLITE_OK);
    for (; sqlite3_step(statement) == SQLITE_ROW; n_steps++) {
        const char *step = (const char *)sqlite3_column_text(statement, 3);
        assert_non_null(strstr(step, n_steps == 0 ? "SEARCH d USING COVERING INDEX sqlite_autoindex_device_1 (key=?)"
                                                  : "SEARCH w USING PRIMARY KEY (device=?)"));
    }
    assert_int_equal(n_steps, 2);
    sqlite3_finalize(statement);
    sqlite3_close(handle);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(what_is_served_follows_every_change),
        TEST(older_schemas_serve_the_same),
        TEST(forged_rows_are_passed_over),
        TEST(a_device_is_one_range),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Looking after databases: pins, taking out, publishing, older schemas, comparing. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "db/compare.h"
#include "db/exchange.h"
#include "db/handle.h"
#include "db/list.h"
#include "db/migrate.h"
#include "db/upkeep.h"
#include "tests/random_db.h"
#include "tests/support.h"
#include "tests/unit.h"

static const random_world small = {3, 5, 12, 4, 14, 3};
static char folder[256], path[300], other_path[300];

static int setup(void **state) {
    (void)state;
    support_folder_make(folder, sizeof folder);
    snprintf(path, sizeof path, "%s/t.db", folder);
    snprintf(other_path, sizeof other_path, "%s/other.db", folder);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    support_folder_remove(folder);
    return 0;
}

static spt_db *make(const char *at, uint64_t seed, int64_t n_trials) {
    spt_db *db;
    expect_ok(spt_db_open(&db, at, SPT_DB_WRITE));
    random_db_fill(db, &small, seed, n_trials);
    expect_ok(spt_db_winners_rebuild(db, NULL));
    return db;
}

static spt_listing first_with(spt_db *db, int rank, int64_t *count) {
    spt_list list;
    spt_listing found = {0};
    *count = 0;
    expect_ok(spt_list_open(&list, db, true));
    while (spt_list_next(&list) == SPT_OK) {
        if (list.item.has_winner && list.item.winner.rank == rank && (*count)++ == 0)
            found = list.item;
    }
    assert_int_equal(list.n_skipped, 0);
    spt_list_close(&list);
    return found;
}

static void a_list_has_every_problem_once_or_once_per_rank(void **state) {
    (void)state;
    spt_db *db = make(path, 1, 400);
    spt_db_info info;
    spt_list list;
    int64_t n_problems = 0, n_trials = 0;
    expect_ok(spt_db_info_read(&info, db));
    expect_ok(spt_list_open(&list, db, false));
    for (; spt_list_next(&list) == SPT_OK; n_problems++) {
        n_trials += list.item.n_trials;
        assert_true(!list.item.has_winner || list.item.winner.rank == 0);
    }
    spt_list_close(&list);
    assert_int_equal(n_problems, info.problems);
    assert_int_equal(n_trials, info.trials);
    spt_db_close(db);
}

static void a_pin_goes_first_until_it_is_taken_away(void **state) {
    (void)state;
    int64_t count;
    spt_db *db = make(path, 2, 400);
    const spt_listing second = first_with(db, 1, &count);
    assert_true(count > 0);
    const spt_hash128 key = second.problem.key.hash;
    spt_winner_list winners;
    expect_ok(spt_db_pin(db, &key, second.winner.family, second.winner.point, "because"));
    expect_ok(spt_db_winners_rebuild(db, NULL)); /* it stays */
    expect_ok(spt_db_winners_find(&winners, db, &second.problem.key));
    assert_string_equal(winners.items[0].point, second.winner.point);
    expect_error(SPT_ENOTFOUND, "none that count", spt_db_pin(db, &key, "family_0", "t=none", ""));
    spt_variant_id asked[3] = {{.family = "family_0", .point = "t=none"}};
    double scores[3];
    int winner;
    for (int i = 1; i < 3; i++) {
        spt_copy_text(asked[i].family, sizeof asked[i].family, winners.items[2 - i].family);
        spt_copy_text(asked[i].point, sizeof asked[i].point, winners.items[2 - i].point);
    }
    expect_ok(spt_db_scores(scores, &winner, db, &second.problem.key, asked, 3));
    assert_true(isinf(scores[0])); /* who cannot be pinned has no score */
    assert_true(isfinite(scores[1]) && isfinite(scores[2]));
    assert_int_equal(winner, 1); /* behind the pinned one */
    spt_winner_list_fini(&winners);
    expect_ok(spt_db_winners_find(&winners, db, &second.problem.key));
    assert_string_equal(winners.items[0].point, second.winner.point); /* a pin that is refused changes nothing */
    spt_winner_list_fini(&winners);
    expect_ok(spt_db_unpin(db, &key));
    expect_ok(spt_db_winners_find(&winners, db, &second.problem.key));
    assert_string_not_equal(winners.items[0].point, second.winner.point);
    spt_winner_list_fini(&winners);
    expect_error(SPT_ENOTFOUND, "a pin", spt_db_unpin(db, &key));
    char note[SPT_POINT_TEXT_MAX + 1] = "";
    memset(note, 'x', sizeof note - 1); /* more than a published copy takes along */
    expect_error(SPT_EINVAL, "a note of at most",
                 spt_db_pin(db, &key, second.winner.family, second.winner.point, note));
    spt_db_close(db);
}

static void a_key_is_found_by_its_first_digits(void **state) {
    (void)state;
    int64_t count;
    spt_db *db = make(path, 3, 400);
    const spt_hash128 key = first_with(db, 0, &count).problem.key.hash;
    spt_hash128 found;
    char text[SPT_HASH_TEXT_SIZE];
    spt_hash_text(text, key);
    expect_ok(spt_db_find_key(&found, db, text));
    assert_true(spt_hash_equal(found, key));
    text[12] = '\0';
    expect_ok(spt_db_find_key(&found, db, text));
    assert_true(spt_hash_equal(found, key));
    expect_error(SPT_EINVAL, "hex digits", spt_db_find_key(&found, db, ""));
    expect_error(SPT_EINVAL, "hex digits", spt_db_find_key(&found, db, "xyz"));
    expect_error(SPT_ENOTFOUND, "found none", spt_db_find_key(&found, db, "ffffffffffffffffffffffffffffffff"));
    spt_db_close(db);
}

/* ---- gc ---- */

static bool keeps_second_revisions(void *user, const char *family, int revision) {
    (void)user;
    return strcmp(family, "family_1") != 0 && revision >= 2;
}

static bool keeps_all(void *user, const char *family, int revision) {
    (void)user, (void)family, (void)revision;
    return true;
}

static bool keeps_none(void *user, const char *family, int revision) {
    (void)user, (void)family, (void)revision;
    return false;
}

static void gc_takes_out_what_is_not_kept_and_what_nothing_refers_to(void **state) {
    (void)state;
    spt_gc_result result, again;
    spt_db_info before, after;
    spt_db *db = make(path, 4, 400);
    expect_ok(spt_db_info_read(&before, db));
    expect_ok(spt_db_gc(&result, db, keeps_all, NULL, false));
    assert_int_equal(result.n_trials, 0);
    expect_ok(spt_db_gc(&result, db, keeps_second_revisions, NULL, true));
    expect_ok(spt_db_info_read(&after, db));
    assert_int_equal(after.trials, before.trials); /* a dry run */
    assert_true(result.n_trials > 0 && result.n_trials < before.trials);
    expect_ok(spt_db_gc(&again, db, keeps_second_revisions, NULL, false));
    assert_memory_equal(&again, &result, sizeof result);
    expect_ok(spt_db_info_read(&after, db));
    assert_int_equal(after.trials, before.trials - result.n_trials);
    assert_string_equal(after.integrity, "ok");
    expect_ok(spt_db_gc(&result, db, keeps_none, NULL, false));
    expect_ok(spt_db_info_read(&after, db));
    assert_int_equal(after.trials + after.problems + after.patterns + after.devices + after.sessions, 0);
    assert_int_equal(after.winners, 0);
    spt_db_close(db);
}

static int has_enough(void *n_looks) {
    return ++*(int *)n_looks > 2000;
}

static void gc_searches_the_trials_once_however_many_variants_go(void **state) {
    (void)state;
    int n_looks = 0;
    spt_gc_result result;
    spt_db *db = make(path, 5, 100);
    expect_ok(spt_db_exec(
        db, "WITH RECURSIVE c (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 1000) INSERT INTO variant"
            " (family, revision, point, source_hash, library, is_dense) SELECT 'family_1', 1, 'old=' || i, '', '', 0"
            " FROM c;"
            "WITH RECURSIVE c (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 20) INSERT INTO trial SELECT"
            " t.key, t.session, v.id, t.phase, c.i, t.is_default, t.status, t.n_samples, t.time_ns_median, t.mad_ns,"
            " t.ci_ns_low, t.ci_ns_high, t.max_error, t.workspace_bytes, t.packed_bytes, t.pack_ns, t.reason,"
            " t.recorded_unix_us, t.content, 0.0 FROM (SELECT * FROM trial LIMIT 1) t, variant v, c"
            " WHERE v.point LIKE 'old=%'"));
    sqlite3_progress_handler(db->handle, 10000, has_enough, &n_looks); /* after so many steps of a statement */
    expect_ok(spt_db_gc(&result, db, keeps_second_revisions, NULL, false));
    assert_true(result.n_trials > 20000);
    spt_db_close(db);
}

/* ---- publish ---- */

static void a_published_file_is_immutable_checked_and_the_same(void **state) {
    (void)state;
    int64_t count;
    spt_db *db = make(path, 5, 400), *published;
    const spt_listing second = first_with(db, 1, &count);
    expect_ok(spt_db_pin(db, &second.problem.key.hash, second.winner.family, second.winner.point, ""));
    spt_db_close(db);
    for (int i = 0; i < 2; i++) /* the second one replaces the first */
        expect_ok(spt_db_publish(other_path, path));
    struct stat info;
    char beside[320];
    assert_int_equal(stat(other_path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0444);
    expect_ok(spt_db_open(&published, other_path, SPT_DB_READ));
    const spt_listing first = first_with(published, 0, &count);
    assert_true(count > 0 && first.has_winner);
    static const char *const suffixes[] = {"-wal", "-shm", "-journal"};
    for (int i = 0; i < N_ITEMS(suffixes); i++) { /* while it is open, too */
        snprintf(beside, sizeof beside, "%s%s", other_path, suffixes[i]);
        assert_int_equal(access(beside, F_OK), -1);
    }
    spt_winner_list winners;
    expect_ok(spt_db_winners_find(&winners, published, &second.problem.key)); /* pins are in a copy */
    assert_string_equal(winners.items[0].point, second.winner.point);
    spt_winner_list_fini(&winners);
    expect_ok(spt_db_open(&db, path, SPT_DB_READ));
    for (int kind = 0; kind < SPT_ITEM_KIND_COUNT; kind++) {
        spt_comparison found;
        expect_ok(spt_db_compare(&found, db, published, (spt_item_kind)kind));
        assert_int_equal(found.n_only_first + found.n_only_second + found.n_differ, 0);
        assert_true(found.n_equal > 0);
    }
    spt_db_close(db);
    spt_db_close(published);
    expect_error(SPT_EIO, "read-only", spt_db_open(&db, other_path, SPT_DB_WRITE)); /* root, too */
}

static void a_changed_byte_of_a_published_file_shows(void **state) {
    (void)state;
    spt_db *db;
    spt_checksum checksum;
    struct stat info;
    char byte;
    spt_db_close(make(path, 6, 100));
    expect_ok(spt_db_checksum_verify(&checksum, path));
    assert_int_equal(checksum, SPT_CHECKSUM_NONE);
    expect_ok(spt_db_publish(other_path, path));
    expect_ok(spt_db_checksum_verify(&checksum, other_path));
    assert_int_equal(checksum, SPT_CHECKSUM_OK);
    assert_int_equal(chmod(other_path, 0600), 0);
    assert_int_equal(stat(other_path, &info), 0);
    const int file = open(other_path, O_RDWR);
    for (off_t at = info.st_size - 1; at > info.st_size / 2; at -= info.st_size / 7) {
        assert_int_equal(pread(file, &byte, 1, at), 1);
        byte = (char)(byte ^ 4);
        assert_int_equal(pwrite(file, &byte, 1, at), 1);
        const spt_status status = spt_db_checksum_verify(&checksum, other_path);
        assert_true(status == SPT_EINVAL || checksum == SPT_CHECKSUM_WRONG); /* damaged, or only different */
        assert_int_equal(spt_db_open(&db, other_path, SPT_DB_READ), SPT_EINVAL);
        const char *const sources[] = {other_path};
        spt_merge_result ignored;
        expect_ok(spt_db_open(&db, path, SPT_DB_WRITE));
        assert_int_equal(spt_db_merge(&ignored, db, sources, 1), SPT_EINVAL); /* nothing of it travels on */
        spt_db_close(db);
        byte = (char)(byte ^ 4);
        assert_int_equal(pwrite(file, &byte, 1, at), 1);
    }
    close(file);
    expect_ok(spt_db_checksum_verify(&checksum, other_path));
    assert_int_equal(checksum, SPT_CHECKSUM_OK);
    expect_ok(spt_db_open(&db, other_path, SPT_DB_WRITE)); /* a copy that is tuned into is published no more */
    expect_ok(spt_db_winners_rebuild(db, NULL));
    spt_db_close(db);
    expect_ok(spt_db_checksum_verify(&checksum, other_path));
    assert_int_equal(checksum, SPT_CHECKSUM_NONE);
    expect_ok(spt_db_open(&db, other_path, SPT_DB_READ));
    spt_db_close(db);
}

static void write_beside(const char *suffix) {
    char beside[320];
    snprintf(beside, sizeof beside, "%s%s", other_path, suffix);
    FILE *stream = fopen(beside, "w");
    assert_non_null(stream);
    fputs("of a database that was here before", stream);
    fclose(stream);
}

static void publishing_replaces_no_database_that_is_written_to(void **state) {
    (void)state;
    spt_db *db;
    spt_db_info info;
    spt_db_close(make(path, 6, 100));
    expect_error(SPT_EINVAL, "written to", spt_db_publish(path, path));
    spt_db_close(make(other_path, 7, 100));
    expect_error(SPT_EINVAL, "written to", spt_db_publish(other_path, path));
    expect_ok(spt_db_open(&db, other_path, SPT_DB_WRITE));
    expect_ok(spt_db_info_read(&info, db));
    assert_true(info.trials > 0);
    spt_db_close(db);
    unlink(other_path);
    expect_ok(spt_db_publish(other_path, path));
    assert_int_equal(chmod(other_path, 0644), 0); /* as a download leaves it */
    expect_ok(spt_db_publish(other_path, path));
    expect_ok(spt_db_publish(other_path, other_path));
}

static void no_new_file_gets_the_log_of_another_one(void **state) {
    (void)state;
    static const char *const suffixes[] = {"-wal", "-journal"};
    const char *const sources[] = {path};
    char beside[320];
    spt_merge_result ignored;
    spt_db_close(make(path, 6, 100));
    for (int i = 0; i < N_ITEMS(suffixes); i++) {
        write_beside(suffixes[i]);
        expect_error(SPT_EINVAL, "delete it first", spt_db_publish(other_path, path));
        expect_error(SPT_EINVAL, "delete it first", spt_db_merge_files(&ignored, other_path, sources, 1));
        assert_int_equal(access(other_path, F_OK), -1);
        snprintf(beside, sizeof beside, "%s%s", other_path, suffixes[i]);
        assert_int_equal(unlink(beside), 0);
    }
    expect_ok(spt_db_merge_files(&ignored, other_path, sources, 1));
}

/* ---- schemas ---- */

#define TRIAL_COLUMNS_1                                                                                                \
    "key, session, variant, phase, round, is_default, status, n_samples, time_ns_median, mad_ns, ci_ns_low,"           \
    " ci_ns_high, max_error, workspace_bytes, packed_bytes, pack_ns, reason, recorded_unix_us, content"

/* A database as an older version made it. */
static void make_version(int version) {
    int n_migrations;
    sqlite3 *handle;
    const spt_migration *migrations = spt_db_migrations(&n_migrations);
    spt_db *newest = make(other_path, 7, 200);
    expect_ok(spt_db_exec(newest, "UPDATE trial SET compile_ns = 0.0")); /* which older versions did not know */
    spt_db_close(newest);
    assert_int_equal(sqlite3_open(path, &handle), SQLITE_OK);
    expect_ok(spt_db_migrate(handle, path, migrations, version));
    char sql[1400];
    snprintf(sql, sizeof sql,
             "ATTACH '%s' AS n; INSERT INTO device SELECT * FROM n.device; INSERT INTO toolchain SELECT * FROM "
             "n.toolchain; INSERT INTO pattern SELECT * FROM n.pattern; INSERT INTO problem SELECT * FROM n.problem; "
             "INSERT INTO variant SELECT * FROM n.variant; INSERT INTO session SELECT * FROM n.session; INSERT INTO "
             "trial SELECT " TRIAL_COLUMNS_1 " FROM n.trial; INSERT INTO winner SELECT * FROM n.winner",
             other_path);
    assert_int_equal(sqlite3_exec(handle, sql, NULL, NULL, NULL), SQLITE_OK);
    if (version == 3)
        assert_int_equal(sqlite3_exec(handle, "INSERT INTO served SELECT * FROM n.served", NULL, NULL, NULL),
                         SQLITE_OK);
    sqlite3_close(handle);
}

static void expect_read_and_upgraded(int version) {
    spt_db *db, *newest;
    spt_db_info info;
    spt_winner_list old, upgraded;
    int64_t count;
    const char *device = "cpu|Maker|6|0|avx2+fma|32768|1048576";
    make_version(version);
    expect_ok(spt_db_read_winners(&old, path, device));
    assert_true(old.count > 0);
    expect_ok(spt_db_open(&db, path, SPT_DB_READ));
    expect_ok(spt_db_info_read(&info, db));
    assert_int_equal(info.schema_version, version);
    first_with(db, 0, &count);
    assert_true(count > 0);
    expect_ok(spt_db_open(&newest, other_path, SPT_DB_READ));
    spt_comparison found;
    expect_ok(spt_db_compare(&found, db, newest, SPT_ITEM_TRIAL));
    assert_true(found.n_equal > 0 && found.n_only_first + found.n_only_second + found.n_differ == 0);
    spt_db_close(newest);
    spt_db_close(db);
    expect_ok(spt_db_open_copy(&db, path)); /* a copy is upgraded, the file is not */
    expect_ok(spt_db_info_read(&info, db));
    assert_int_equal(info.schema_version, SPT_DB_SCHEMA_VERSION);
    spt_db_close(db);
    expect_ok(spt_db_open(&db, path, SPT_DB_WRITE));
    expect_ok(spt_db_winners_rebuild(db, NULL));
    expect_ok(spt_db_info_read(&info, db));
    assert_int_equal(info.schema_version, SPT_DB_SCHEMA_VERSION);
    assert_string_equal(info.integrity, "ok");
    spt_db_close(db);
    expect_ok(spt_db_read_winners(&upgraded, path, device));
    assert_int_equal(upgraded.count, old.count);
    for (int64_t i = 0; i < old.count; i++)
        assert_string_equal(upgraded.items[i].point, old.items[i].point);
    spt_winner_list_fini(&old);
    spt_winner_list_fini(&upgraded);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(unlink(other_path), 0);
}

static void older_versions_are_read_as_they_lie_and_upgraded_by_writing(void **state) {
    (void)state;
    for (int version = 1; version < SPT_DB_SCHEMA_VERSION; version++)
        expect_read_and_upgraded(version);
}

static void a_list_says_how_long_a_winner_took_to_compile(void **state) {
    (void)state;
    spt_list list;
    int n_compiled = 0, n_not = 0;
    spt_db *db = make(path, 1, 400);
    expect_ok(spt_list_open(&list, db, true));
    while (spt_list_next(&list) == SPT_OK) {
        assert_true(list.item.compile_ns == 0.0 || list.item.compile_ns == 1e8 / 3.0);
        n_compiled += list.item.has_winner && list.item.compile_ns > 0.0;
        n_not += list.item.has_winner && list.item.compile_ns == 0.0;
    }
    spt_list_close(&list);
    assert_true(n_compiled > 0 && n_not > 0);
    spt_db_close(db);
}

/* ---- comparing ---- */

static void comparing_counts_what_each_has_alone(void **state) {
    (void)state;
    spt_db *a = make(path, 8, 300), *b = make(other_path, 9, 300);
    spt_comparison there, back;
    spt_db_info info;
    for (int kind = 0; kind < SPT_ITEM_KIND_COUNT; kind++) {
        expect_ok(spt_db_compare(&there, a, b, (spt_item_kind)kind));
        expect_ok(spt_db_compare(&back, b, a, (spt_item_kind)kind));
        assert_int_equal(there.n_equal, back.n_equal);
        assert_int_equal(there.n_differ, back.n_differ);
        assert_int_equal(there.n_only_first, back.n_only_second);
        assert_int_equal(there.n_only_second, back.n_only_first);
    }
    expect_ok(spt_db_info_read(&info, a));
    assert_int_equal(there.n_equal + there.n_differ + there.n_only_first, info.trials);
    expect_ok(spt_db_compare(&there, a, a, SPT_ITEM_TRIAL));
    assert_int_equal(there.n_equal, info.trials);
    spt_db_close(a);
    spt_db_close(b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_list_has_every_problem_once_or_once_per_rank, setup, teardown),
        cmocka_unit_test_setup_teardown(a_list_says_how_long_a_winner_took_to_compile, setup, teardown),
        cmocka_unit_test_setup_teardown(a_pin_goes_first_until_it_is_taken_away, setup, teardown),
        cmocka_unit_test_setup_teardown(a_key_is_found_by_its_first_digits, setup, teardown),
        cmocka_unit_test_setup_teardown(gc_takes_out_what_is_not_kept_and_what_nothing_refers_to, setup, teardown),
        cmocka_unit_test_setup_teardown(gc_searches_the_trials_once_however_many_variants_go, setup, teardown),
        cmocka_unit_test_setup_teardown(a_published_file_is_immutable_checked_and_the_same, setup, teardown),
        cmocka_unit_test_setup_teardown(a_changed_byte_of_a_published_file_shows, setup, teardown),
        cmocka_unit_test_setup_teardown(publishing_replaces_no_database_that_is_written_to, setup, teardown),
        cmocka_unit_test_setup_teardown(no_new_file_gets_the_log_of_another_one, setup, teardown),
        cmocka_unit_test_setup_teardown(older_versions_are_read_as_they_lie_and_upgraded_by_writing, setup, teardown),
        cmocka_unit_test_setup_teardown(comparing_counts_what_each_has_alone, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

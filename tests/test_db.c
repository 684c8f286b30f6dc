/* SPDX-License-Identifier: Apache-2.0 */
/* The database: what is refused, what is kept, how winners derive, what a killed writer loses. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "core/random.h"
#include "db/db.h"
#include "db/handle.h"
#include "db/migrate.h"
#include "db/reader_row.h"
#include "tests/support.h"

typedef struct fixture {
    char folder[256], path[300];
    spt_device device;
    spt_workload workload;
    spt_key key;
    spt_session session;
    spt_subject subject;
} fixture;

static int setup(void **state) {
    static fixture f;
    spt_matrix matrix;
    f = (fixture){0};
    const spt_problem problem = {.size = sizeof problem, .n = 64, .threads = 2};
    support_folder_make(f.folder, sizeof f.folder);
    snprintf(f.path, sizeof f.path, "%s/t.db", f.folder);
    support_pattern_build(&matrix, support_pattern_at(11));
    assert_int_equal(spt_device_detect(&f.device), SPT_OK);
    assert_int_equal(spt_workload_init(&f.workload, &problem, &matrix.view), SPT_OK);
    assert_int_equal(spt_key_init(&f.key, &f.workload, &f.device), SPT_OK);
    spt_matrix_fini(&matrix);
    f.session = (spt_session){.host = "host",
                              .tool_version = "1",
                              .compiler = "cc",
                              .strategy = "sweep",
                              .policy = "v1 uses=0",
                              .started_unix_s = 1000};
    spt_uuid_new(f.session.uuid);
    f.subject = (spt_subject){&f.key, &f.workload, &f.device};
    *state = &f;
    return 0;
}

static int teardown(void **state) {
    support_folder_remove(((fixture *)*state)->folder);
    return 0;
}

static spt_trial trial_of(const char *family, spt_phase phase, int round, double ns) {
    spt_trial trial = {.phase = phase,
                       .round = round,
                       .measurement = {.status = SPT_TRIAL_CORRECT, .n_samples = 5, .time_ns_median = ns}};
    snprintf(trial.variant.family, sizeof trial.variant.family, "%s", family);
    snprintf(trial.variant.point, sizeof trial.variant.point, "-");
    trial.variant.revision = 1;
    trial.variant.is_dense = strncmp(family, "dense", 5) == 0;
    trial.variant.is_default = strcmp(family, "default") == 0;
    return trial;
}

static spt_db *open_with_session(fixture *f) {
    spt_db *db;
    assert_int_equal(spt_db_open(&db, f->path, SPT_DB_WRITE), SPT_OK);
    assert_int_equal(spt_db_session_add(db, &f->session), SPT_OK);
    return db;
}

static void add(spt_db *db, fixture *f, const spt_trial *trials, int count) {
    assert_int_equal(spt_db_trials_add(db, &f->session, &f->subject, trials, count), SPT_OK);
}

static void write_file(const char *path, const char *text, size_t size) {
    FILE *stream = fopen(path, "w");
    assert_non_null(stream);
    assert_int_equal(fwrite(text, 1, size, stream), size);
    fclose(stream);
}

static void make_foreign(const char *path, const char *sql) {
    sqlite3 *handle;
    assert_int_equal(sqlite3_open(path, &handle), SQLITE_OK);
    assert_int_equal(sqlite3_exec(handle, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(handle);
}

static void expect_refused(const char *path, spt_status status, const char *sentence) {
    spt_db *db = NULL;
    spt_winner_list winners;
    for (int mode = SPT_DB_READ; mode <= SPT_DB_WRITE; mode++) {
        const spt_status found = spt_db_open(&db, path, (spt_db_mode)mode);
        if (found != status || strstr(spt_last_error(), sentence) == NULL || strstr(spt_last_error(), path) == NULL)
            fail_msg("mode %d of %s: status %d, '%s'", mode, path, found, spt_last_error());
    }
    assert_int_equal(spt_db_read_winners(&winners, path, "key"), status);
}

static void files_that_are_not_ours_are_refused_and_stay_as_they_were(void **state) {
    fixture *f = *state;
    char text[16] = "not a database\n", after[16] = "";
    write_file(f->path, text, sizeof text);
    expect_refused(f->path, SPT_EINVAL, "not SQLite");
    FILE *stream = fopen(f->path, "r");
    assert_int_equal(fread(after, 1, sizeof after, stream), sizeof text);
    fclose(stream);
    assert_memory_equal(text, after, sizeof text);
    unlink(f->path);
    make_foreign(f->path, "PRAGMA application_id = 7; CREATE TABLE t (x)");
    expect_refused(f->path, SPT_EINVAL, "another application's");
    unlink(f->path);
    expect_refused(f->folder, SPT_EINVAL, "found a folder");
    spt_db_close(open_with_session(f));
    make_foreign(f->path, "PRAGMA user_version = 99");
    expect_refused(f->path, SPT_EINVAL, "newer sparsetune");
}

static void a_truncated_database_is_refused(void **state) {
    fixture *f = *state;
    spt_db *db;
    spt_db_close(open_with_session(f));
    assert_int_equal(truncate(f->path, 3000), 0);
    const spt_status status = spt_db_open(&db, f->path, SPT_DB_WRITE);
    assert_int_equal(status, SPT_EINVAL);
    assert_non_null(strstr(spt_last_error(), f->path));
}

static void an_empty_file_becomes_ours_only_when_written(void **state) {
    fixture *f = *state;
    spt_db *db;
    spt_db_info info;
    write_file(f->path, "", 0);
    assert_int_equal(spt_db_open(&db, f->path, SPT_DB_READ), SPT_EINVAL);
    spt_db_close(open_with_session(f));
    assert_int_equal(spt_db_open(&db, f->path, SPT_DB_READ), SPT_OK);
    assert_int_equal(spt_db_info_read(&info, db), SPT_OK);
    assert_int_equal(info.schema_version, SPT_DB_SCHEMA_VERSION);
    assert_int_equal(info.sessions, 1);
    assert_string_equal(info.integrity, "ok");
    spt_db_close(db);
}

static void a_missing_file_is_not_made_by_reading(void **state) {
    fixture *f = *state;
    spt_db *db;
    assert_int_equal(spt_db_open(&db, f->path, SPT_DB_READ), SPT_EIO);
    assert_int_equal(access(f->path, F_OK), -1);
}

static void each_migration_runs_once_and_a_broken_one_changes_nothing(void **state) {
    fixture *f = *state;
    static const spt_migration steps[] = {
        {"CREATE TABLE a (x)", "make a"}, {"CREATE TABLE b (x)", "make b"}, {"CREATE TABLE c (x); nonsense", "make c"}};
    sqlite3 *handle;
    assert_int_equal(sqlite3_open(f->path, &handle), SQLITE_OK);
    assert_int_equal(spt_db_migrate(handle, f->path, steps, 1), SPT_OK);
    assert_int_equal(spt_db_migrate(handle, f->path, steps, 2), SPT_OK);
    assert_int_equal(spt_db_migrate(handle, f->path, steps, 2), SPT_OK);
    assert_int_equal(spt_db_migrate(handle, f->path, steps, 3), SPT_EINVAL);
    int version;
    assert_int_equal(spt_sqlite_version(&version, handle, f->path, 2, 2), SPT_OK);
    assert_int_equal(version, 2);
    assert_int_equal(sqlite3_exec(handle, "SELECT * FROM c", NULL, NULL, NULL), SQLITE_ERROR);
    sqlite3_close(handle);
}

static void trials_come_back_as_they_were_and_by_policy(void **state) {
    fixture *f = *state;
    spt_db *db = open_with_session(f);
    spt_trial trial = trial_of("a", SPT_PHASE_SEARCH, 0, 123.5);
    trial.measurement = (spt_measurement){SPT_TRIAL_DROPPED, 9, 123.5, 1.5, 120.0, 130.0, 0.25, 7, 8, 9.5, 4e6, "slow"};
    add(db, f, &trial, 1);
    spt_trial_list list;
    assert_int_equal(spt_db_trials_read(&list, db, &f->key, f->session.policy), SPT_OK);
    assert_int_equal(list.count, 1);
    assert_string_equal(list.items[0].variant.family, "a");
    assert_memory_equal(&list.items[0].measurement.time_ns_median, &trial.measurement.time_ns_median,
                        5 * sizeof(double));
    assert_int_equal(list.items[0].measurement.status, SPT_TRIAL_DROPPED);
    assert_string_equal(list.items[0].measurement.reason, "slow");
    assert_true(list.items[0].measurement.compile_ns == 4e6);
    spt_trial_list_fini(&list);
    assert_int_equal(spt_db_trials_read(&list, db, &f->key, "another policy"), SPT_OK);
    assert_int_equal(list.count, 0);
    spt_trial_list_fini(&list);
    spt_db_close(db);
}

static double time_in(spt_db *db, fixture *f) {
    spt_trial_list list;
    assert_int_equal(spt_db_trials_read(&list, db, &f->key, NULL), SPT_OK);
    assert_int_equal(list.count, 1);
    const double ns = list.items[0].measurement.time_ns_median;
    spt_trial_list_fini(&list);
    return ns;
}

static void of_one_identity_the_same_content_stays_whatever_the_order(void **state) {
    fixture *f = *state;
    const spt_trial first = trial_of("a", SPT_PHASE_SEARCH, 0, 100), second = trial_of("a", SPT_PHASE_SEARCH, 0, 200);
    spt_db *db = open_with_session(f);
    add(db, f, &first, 1);
    add(db, f, &second, 1);
    const double one_way = time_in(db, f);
    spt_db_close(db);
    unlink(f->path);
    db = open_with_session(f);
    add(db, f, &second, 1);
    add(db, f, &first, 1);
    assert_true(time_in(db, f) == one_way);
    spt_db_close(db);
}

static void expect_winner(spt_db *db, fixture *f, const char *family, double over_default, double over_dense) {
    spt_winner_list list;
    assert_int_equal(spt_db_winners_rebuild(db, &f->key), SPT_OK);
    assert_int_equal(spt_db_winners_find(&list, db, &f->key), SPT_OK);
    assert_true(list.count > 0);
    assert_string_equal(list.items[0].family, family);
    assert_true(fabs(list.items[0].speedup_over_default - over_default) < 1e-9);
    assert_true(fabs(list.items[0].speedup_over_dense - over_dense) < 1e-9);
    spt_winner_list_fini(&list);
}

static void finals_decide_by_the_ratio_to_the_default_of_their_own_round(void **state) {
    fixture *f = *state;
    spt_db *db = open_with_session(f);
    const spt_trial fast_in_search = trial_of("unlucky", SPT_PHASE_SEARCH, 0, 1);
    add(db, f, &fast_in_search, 1);
    for (int round = 0; round < 5; round++) {
        const double drift = 1.0 + round; /* the machine slows down from round to round */
        spt_trial trials[] = {
            trial_of("default", SPT_PHASE_FINAL, round, 100 * drift), trial_of("a", SPT_PHASE_FINAL, round, 50 * drift),
            trial_of("dense", SPT_PHASE_FINAL, round, 200 * drift), trial_of("broken", SPT_PHASE_FINAL, round, 10)};
        if (round == 3)
            trials[3].measurement.status = SPT_TRIAL_CORRECTNESS;
        add(db, f, trials, 4);
    }
    expect_winner(db, f, "a", 2.0, 4.0);
    spt_db_close(db);
}

static void among_equals_the_one_with_less_memory_wins(void **state) {
    fixture *f = *state;
    spt_db *db = open_with_session(f);
    for (int round = 0; round < 5; round++) {
        spt_trial trials[] = {trial_of("default", SPT_PHASE_FINAL, round, 100),
                              trial_of("large", SPT_PHASE_FINAL, round, 49.9),
                              trial_of("small", SPT_PHASE_FINAL, round, round == 0 ? 49.0 : 50.2)};
        trials[1].measurement.packed_bytes = 1000;
        trials[2].measurement.packed_bytes = 10;
        add(db, f, trials, 3);
    }
    spt_winner_list list;
    assert_int_equal(spt_db_winners_rebuild(db, NULL), SPT_OK);
    assert_int_equal(spt_db_winners_find(&list, db, &f->key), SPT_OK);
    assert_string_equal(list.items[0].family, "small");
    spt_winner_list_fini(&list);
    spt_db_close(db);
}

static void search_trials_serve_where_there_are_no_finals(void **state) {
    fixture *f = *state;
    spt_db *db = open_with_session(f);
    spt_trial trials[] = {trial_of("a", SPT_PHASE_SEARCH, 0, 80), trial_of("b", SPT_PHASE_SEARCH, 0, 60),
                          trial_of("c", SPT_PHASE_SEARCH, 0, 10)};
    trials[2].measurement.status = SPT_TRIAL_DROPPED;
    add(db, f, trials, 3);
    expect_winner(db, f, "b", 0.0, 0.0);
    spt_db_close(db);
    spt_winner_list list;
    assert_int_equal(spt_db_read_winners(&list, f->path, f->device.key), SPT_OK);
    assert_int_equal(list.count, 2);
    assert_string_equal(list.items[0].family, "b");
    assert_true(spt_hash_equal(list.items[0].key, f->key.hash));
    assert_int_equal(list.items[0].n, 64);
    spt_winner_list_fini(&list);
    assert_int_equal(spt_db_read_winners(&list, f->path, "another device"), SPT_OK);
    assert_int_equal(list.count, 0);
    spt_winner_list_fini(&list);
}

static void rows_that_are_not_legal_are_skipped_by_the_reader(void **state) {
    fixture *f = *state;
    spt_db *db = open_with_session(f);
    const spt_trial trials[] = {trial_of("a", SPT_PHASE_SEARCH, 0, 80), trial_of("b", SPT_PHASE_SEARCH, 0, 60)};
    spt_winner_list list;
    add(db, f, trials, 2);
    assert_int_equal(spt_db_winners_rebuild(db, NULL), SPT_OK);
    spt_db_close(db);
    make_foreign(f->path, "UPDATE variant SET point = printf('%.*c', 400, 'x') WHERE family = 'b'");
    assert_int_equal(spt_db_read_winners(&list, f->path, f->device.key), SPT_OK);
    assert_int_equal(list.count, 1);
    assert_string_equal(list.items[0].family, "a");
    spt_winner_list_fini(&list);
    make_foreign(f->path, "UPDATE problem SET layout = 'diagonal'");
    assert_int_equal(spt_db_read_winners(&list, f->path, f->device.key), SPT_OK);
    assert_int_equal(list.count, 0);
    spt_winner_list_fini(&list);
}

static void times_that_cannot_be_never_win(void **state) {
    fixture *f = *state;
    spt_db *db = open_with_session(f);
    const double times[] = {0.0, -1.0, INFINITY, -INFINITY, NAN};
    spt_trial trials[6];
    for (int i = 0; i < 5; i++) {
        trials[i] = trial_of("a", SPT_PHASE_SEARCH, 0, times[i]);
        snprintf(trials[i].variant.point, sizeof trials[i].variant.point, "i=%d", i);
    }
    trials[5] = trial_of("b", SPT_PHASE_SEARCH, 0, 1.0);
    trials[5].measurement.pack_ns = -1e9;
    add(db, f, trials, 6);
    spt_winner_list list;
    assert_int_equal(spt_db_winners_rebuild(db, NULL), SPT_OK);
    assert_int_equal(spt_db_winners_find(&list, db, &f->key), SPT_OK);
    assert_int_equal(list.count, 0);
    spt_trial_list all;
    assert_int_equal(spt_db_trials_read(&all, db, &f->key, NULL), SPT_OK);
    assert_int_equal(all.count, 6); /* the trials stay, whatever they say */
    assert_true(isnan(all.items[4].measurement.time_ns_median));
    spt_trial_list_fini(&all);
    spt_db_close(db);
}

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void reading_one_key_of_a_large_database_is_fast(void **state) {
    fixture *f = *state;
    spt_db *db = open_with_session(f);
    spt_trial trial = trial_of("a", SPT_PHASE_SEARCH, 0, 80);
    spt_trial_list list;
    add(db, f, &trial, 1);
    spt_db_close(db);
    make_foreign(f->path, "WITH RECURSIVE c (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 100000) "
                          "INSERT INTO trial SELECT CASE WHEN i % 250 = 0 THEN key ELSE randomblob(16) END, session,"
                          " variant, phase, i, is_default, status, n_samples, time_ns_median, mad_ns, ci_ns_low,"
                          " ci_ns_high, max_error, workspace_bytes, packed_bytes, pack_ns, reason, i, content, 0.0 "
                          "FROM trial CROSS JOIN c");
    assert_int_equal(spt_db_open(&db, f->path, SPT_DB_READ), SPT_OK);
    const double begin = seconds();
    assert_int_equal(spt_db_trials_read(&list, db, &f->key, f->session.policy), SPT_OK);
    assert_true(seconds() - begin < 1.0); /* a few ms; far more would be a scan */
    assert_int_equal(list.count, 401);
    for (int64_t i = 1; i < list.count - 1; i++)
        assert_true(list.items[i].round > list.items[i - 1].round); /* oldest first */
    spt_trial_list_fini(&list);
    spt_db_close(db);
}

/* Every step of a statement's plan searches by an index, the first one like this; nothing is scanned or sorted. */
static void expect_searches(sqlite3 *handle, const char *sql, const char *first) {
    sqlite3_stmt *statement;
    int n_steps = 0;
    assert_int_equal(sqlite3_prepare_v2(handle, sql, -1, &statement, NULL), SQLITE_OK);
    for (; sqlite3_step(statement) == SQLITE_ROW; n_steps++) {
        const char *step = (const char *)sqlite3_column_text(statement, 3);
        if (strstr(step, n_steps == 0 ? first : "SEARCH") == NULL)
            fail_msg("%s: step %d is '%s'", sql, n_steps, step);
    }
    assert_true(n_steps > 0);
    sqlite3_finalize(statement);
}

static void one_lookup_is_one_search_of_one_index(void **state) {
    fixture *f = *state;
    sqlite3 *handle;
    spt_db_close(open_with_session(f));
    assert_int_equal(sqlite3_open(f->path, &handle), SQLITE_OK);
    expect_searches(handle, "EXPLAIN QUERY PLAN " SPT_WINNERS_OF_KEY, "SEARCH w USING PRIMARY KEY (key=?)");
    expect_searches(handle, "EXPLAIN QUERY PLAN " SPT_WINNERS_OF_DEVICE,
                    "SEARCH d USING COVERING INDEX sqlite_autoindex_device_1 (key=?)");
    expect_searches(handle, "EXPLAIN QUERY PLAN SELECT * FROM trial WHERE key = ?1",
                    "SEARCH trial USING PRIMARY KEY (key=?)");
    sqlite3_close(handle);
}

/* Write trials for ever, and say each one that is committed. */
static void write_for_ever(fixture *f, int said, const char *family) {
    spt_db *db;
    if (spt_db_open(&db, f->path, SPT_DB_WRITE) != SPT_OK)
        _exit(1);
    for (int i = 0;; i++) {
        spt_trial trial = trial_of(family, SPT_PHASE_SEARCH, 0, 100);
        snprintf(trial.variant.point, sizeof trial.variant.point, "i=%d", i);
        if (spt_db_trials_add(db, &f->session, &f->subject, &trial, 1) != SPT_OK || write(said, "x", 1) != 1)
            _exit(1);
    }
}

static int64_t count_trials(fixture *f) {
    spt_db *db;
    spt_db_info info;
    assert_int_equal(spt_db_open(&db, f->path, SPT_DB_READ), SPT_OK);
    assert_int_equal(spt_db_info_read(&info, db), SPT_OK);
    assert_string_equal(info.integrity, "ok");
    spt_db_close(db);
    return info.trials;
}

static void killed_writers_lose_nothing_that_they_committed(void **state) {
    fixture *f = *state;
    spt_random random;
    int64_t n_said = 0;
    spt_random_init(&random, 3);
    spt_db_close(open_with_session(f));
    for (int kills = 0; kills < 20; kills++) {
        int ends[2][2];
        pid_t writers[2];
        char family[2][32], byte;
        for (int i = 0; i < 2; i++) { /* two at a time, into one file */
            assert_int_equal(pipe(ends[i]), 0);
            snprintf(family[i], sizeof family[i], "writer_%d_%d", kills, i);
            writers[i] = fork();
            if (writers[i] == 0)
                write_for_ever(f, ends[i][1], family[i]);
            close(ends[i][1]);
        }
        usleep((useconds_t)(support_slower() * (double)(5000 + spt_random_below(&random, 30000))));
        for (int i = 0; i < 2; i++) {
            kill(writers[i], SIGKILL);
            waitpid(writers[i], NULL, 0);
            while (read(ends[i][0], &byte, 1) == 1)
                n_said++;
            close(ends[i][0]);
        }
        const int64_t n_found = count_trials(f);
        assert_true(n_found >= n_said && n_found <= n_said + 2 * (kills + 1));
    }
    assert_true(n_said > 20);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(files_that_are_not_ours_are_refused_and_stay_as_they_were),
        TEST(a_truncated_database_is_refused),
        TEST(an_empty_file_becomes_ours_only_when_written),
        TEST(a_missing_file_is_not_made_by_reading),
        TEST(each_migration_runs_once_and_a_broken_one_changes_nothing),
        TEST(trials_come_back_as_they_were_and_by_policy),
        TEST(of_one_identity_the_same_content_stays_whatever_the_order),
        TEST(finals_decide_by_the_ratio_to_the_default_of_their_own_round),
        TEST(among_equals_the_one_with_less_memory_wins),
        TEST(search_trials_serve_where_there_are_no_finals),
        TEST(rows_that_are_not_legal_are_skipped_by_the_reader),
        TEST(times_that_cannot_be_never_win),
        TEST(reading_one_key_of_a_large_database_is_fast),
        TEST(one_lookup_is_one_search_of_one_index),
        TEST(killed_writers_lose_nothing_that_they_committed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The database's file among others: several processes, folders and disks that refuse, names that mislead, and files
 * made to harm whoever reads them. Forked children open what they need themselves: SQLite does not survive a fork. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "db/db.h"
#include "db/reader_sqlite.h"
#include "tests/support.h"

#define NOBODY 65534

static char folder[256], path[300];

static int setup(void **state) {
    (void)state;
    support_folder_make(folder, sizeof folder);
    snprintf(path, sizeof path, "%s/t.db", folder);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    chmod(folder, 0700);
    support_folder_remove(folder);
    return 0;
}

static void make_database(void) {
    spt_db *db;
    assert_int_equal(spt_db_open(&db, path, SPT_DB_WRITE), SPT_OK);
    spt_db_close(db);
}

static void run_sql(const char *sql) {
    sqlite3 *handle;
    char *message = NULL;
    assert_int_equal(sqlite3_open(path, &handle), SQLITE_OK);
    if (sqlite3_exec(handle, sql, NULL, NULL, &message) != SQLITE_OK)
        fail_msg("%s: %s", sql, message);
    sqlite3_close(handle);
}

/* Run `body` in a child process; what it returns is the child's exit code. */
static int in_child(int (*body)(void)) {
    int status = 0;
    fflush(NULL);
    pid_t child = fork();
    if (child == 0)
        _exit(body());
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

/* 0 when opening gives this status and, unless it is OK, a sentence with this part in it. */
static int try_open(spt_db_mode mode, spt_status expected, const char *part) {
    spt_db *db = NULL;
    const spt_status found = spt_db_open(&db, path, mode);
    const bool is_told = expected == SPT_OK || strstr(spt_last_error(), part) != NULL;
    if (found != expected || !is_told)
        fprintf(stderr, "expected %d and '%s', found %d and '%s'\n", expected, part, found, spt_last_error());
    spt_db_close(db);
    return found == expected && is_told ? 0 : 1;
}

static void processes_that_create_one_database_at_once_all_succeed(void **state) {
    (void)state;
    for (int round = 0; round < 20; round++) {
        int n_failed = 0, status;
        snprintf(path, sizeof path, "%s/%d.db", folder, round);
        for (int i = 0; i < 6; i++) {
            if (fork() == 0)
                _exit(try_open(SPT_DB_WRITE, SPT_OK, "") | try_open(SPT_DB_READ, SPT_OK, ""));
        }
        while (wait(&status) > 0)
            n_failed += status != 0;
        assert_int_equal(n_failed, 0);
    }
}

static int read_when_told(int told) {
    spt_winner_list winners;
    char byte;
    return read(told, &byte, 1) == 1 && spt_db_read_winners(&winners, path, "key") == SPT_OK ? 0 : 1;
}

static void a_reader_waits_for_a_short_lock(void **state) {
    (void)state;
    int status = 1, ends[2];
    make_database();
    assert_int_equal(pipe(ends), 0);
    pid_t reader = fork(); /* before this process opens the file: locks of SQLite do not survive a fork */
    if (reader == 0)
        _exit(read_when_told(ends[0]));
    sqlite3 *handle;
    assert_int_equal(sqlite3_open(path, &handle), SQLITE_OK);
    assert_int_equal(sqlite3_exec(handle, "PRAGMA journal_mode = DELETE; BEGIN EXCLUSIVE", NULL, NULL, NULL),
                     SQLITE_OK);
    assert_int_equal(write(ends[1], "x", 1), 1);
    usleep(500000);
    sqlite3_close(handle);
    close(ends[0]);
    close(ends[1]);
    waitpid(reader, &status, 0);
    assert_int_equal(status, 0);
}

static int open_with_8_kilobytes(void) {
    const struct rlimit limit = {8192, 8192};
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &limit);
    return try_open(SPT_DB_WRITE, SPT_EIO, path);
}

static void a_full_disk_leaves_no_file(void **state) {
    (void)state;
    assert_int_equal(in_child(open_with_8_kilobytes), 0);
    assert_int_equal(access(path, F_OK), -1);
}

static int fill_the_disk(void) {
    spt_db *db;
    spt_session session = {.policy = "p"};
    const struct rlimit limit = {400000, 400000};
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &limit);
    if (spt_db_open(&db, path, SPT_DB_WRITE) != SPT_OK)
        return 200;
    for (int i = 0; i < 100000; i++) {
        spt_uuid_new(session.uuid);
        if (spt_db_session_add(db, &session) != SPT_OK)
            return strstr(spt_last_error(), path) != NULL && i > 10 ? 0 : 201;
    }
    return 202;
}

static int read_without_room(void) {
    const struct rlimit nothing = {0, 0};
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &nothing);
    return try_open(SPT_DB_READ, SPT_OK, "");
}

static void a_full_disk_is_read(void **state) {
    (void)state;
    make_database();
    assert_int_equal(in_child(read_without_room), 0);
}

static long checksum_of(const char *name) {
    char whole[320];
    long sum = 0;
    int c;
    snprintf(whole, sizeof whole, "%s%s", path, name);
    FILE *stream = fopen(whole, "r");
    if (stream == NULL)
        return -1;
    while ((c = fgetc(stream)) != EOF)
        sum = (sum * 31 + c) % 1000003;
    fclose(stream);
    return sum;
}

/* Another application that was killed while it wrote: its journal is its own to play back. */
static int leave_foreign_journal(void) {
    sqlite3 *handle;
    if (sqlite3_open(path, &handle) != SQLITE_OK)
        return 200;
    return sqlite3_exec(handle,
                        "CREATE TABLE x (a); PRAGMA cache_size = 1; PRAGMA cache_spill = 1;"
                        "WITH RECURSIVE c (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 200)"
                        " INSERT INTO x SELECT randomblob(500) FROM c;"
                        "BEGIN; UPDATE x SET a = randomblob(500)",
                        NULL, NULL, NULL) == SQLITE_OK
               ? 0
               : 201;
}

static void another_applications_journal_is_left_alone(void **state) {
    (void)state;
    assert_int_equal(in_child(leave_foreign_journal), 0);
    const long file = checksum_of(""), journal = checksum_of("-journal");
    assert_true(journal > 0);
    assert_int_equal(try_open(SPT_DB_WRITE, SPT_EINVAL, "another application's"), 0);
    assert_int_equal(try_open(SPT_DB_READ, SPT_EINVAL, "another application's"), 0);
    assert_int_equal(checksum_of(""), file);
    assert_int_equal(checksum_of("-journal"), journal);
}

static void a_disk_that_fills_up_keeps_what_was_committed(void **state) {
    (void)state;
    spt_db *db;
    spt_db_info info;
    assert_int_equal(in_child(fill_the_disk), 0);
    assert_int_equal(spt_db_open(&db, path, SPT_DB_READ), SPT_OK);
    assert_int_equal(spt_db_info_read(&info, db), SPT_OK);
    assert_string_equal(info.integrity, "ok");
    assert_true(info.sessions > 10);
    spt_db_close(db);
}

static void a_file_that_goes_away_is_not_written_to(void **state) {
    (void)state;
    char elsewhere[320];
    snprintf(elsewhere, sizeof elsewhere, "%s.old", path);
    for (int is_deleted = 0; is_deleted < 2; is_deleted++) {
        spt_db *db;
        spt_session session = {.policy = "p"};
        spt_uuid_new(session.uuid);
        assert_int_equal(spt_db_open(&db, path, SPT_DB_WRITE), SPT_OK);
        assert_int_equal(spt_db_session_add(db, &session), SPT_OK);
        assert_int_equal(is_deleted ? unlink(path) : rename(path, elsewhere), 0);
        assert_int_equal(spt_db_session_add(db, &session), SPT_EIO);
        assert_non_null(strstr(spt_last_error(), "deleted, renamed or replaced"));
        assert_false(spt_sqlite_has_beside(path, "-wal"));
        if (!is_deleted) { /* put back, it is the same again */
            assert_int_equal(rename(elsewhere, path), 0);
            assert_int_equal(spt_db_session_add(db, &session), SPT_OK);
        }
        spt_db_close(db);
    }
}

static int become_nobody(void) {
    return geteuid() != 0 || setresuid(NOBODY, NOBODY, NOBODY) == 0 ? 0 : 1;
}

/* Permissions bind nobody who is root; a user namespace with root alone has no other user to become. */
static void need_another_user(void) {
    if (in_child(become_nobody) != 0) {
        print_message("SKIP: root cannot become another user here, so permissions forbid nothing\n");
        skip();
    }
}

static int read_only_folder(void) {
    spt_winner_list winners;
    if (become_nobody() != 0)
        return 200;
    return (spt_db_read_winners(&winners, path, "key") != SPT_OK) | try_open(SPT_DB_READ, SPT_OK, "") |
           try_open(SPT_DB_WRITE, SPT_EIO, path);
}

static int new_file_in_read_only_folder(void) {
    snprintf(path, sizeof path, "%s/new.db", folder);
    return become_nobody() != 0 ? 200 : try_open(SPT_DB_WRITE, SPT_EIO, path);
}

static int read_only_file(void) {
    return become_nobody() != 0 ? 200 : try_open(SPT_DB_READ, SPT_OK, "") | try_open(SPT_DB_WRITE, SPT_EIO, path);
}

static int unreadable_file(void) {
    return become_nobody() != 0 ? 200 : try_open(SPT_DB_READ, SPT_EIO, path) | try_open(SPT_DB_WRITE, SPT_EIO, path);
}

static void a_read_only_folder_can_be_read_and_not_written(void **state) {
    (void)state;
    need_another_user();
    make_database();
    assert_int_equal(chmod(path, 0444) | chmod(folder, 0555), 0);
    assert_int_equal(in_child(read_only_folder), 0);
    assert_int_equal(in_child(new_file_in_read_only_folder), 0);
}

static void a_read_only_file_can_be_read_and_not_written(void **state) {
    (void)state;
    need_another_user();
    make_database();
    assert_int_equal(chmod(path, 0444) | chmod(folder, 0777), 0);
    assert_int_equal(in_child(read_only_file), 0);
    assert_int_equal(chmod(path, 0000), 0);
    assert_int_equal(in_child(unreadable_file), 0);
}

static void names_that_mislead_sqlite_are_plain_files(void **state) {
    (void)state;
    static const char *const names[] = {"file:x?mode=memory", "a b%20?#.db", "ü.db"};
    spt_winner_list winners;
    char before[4096];
    assert_non_null(getcwd(before, sizeof before));
    assert_int_equal(chdir(folder), 0);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(path, sizeof path, "%s", names[i]);
        make_database();
        assert_int_equal(access(names[i], R_OK), 0);
        assert_int_equal(spt_db_read_winners(&winners, names[i], "key"), SPT_OK);
        spt_winner_list_fini(&winners);
    }
    assert_int_equal(chdir(before), 0);
    path[0] = '\0';
    assert_int_equal(try_open(SPT_DB_WRITE, SPT_EINVAL, "empty"), 0);
    assert_int_equal(try_open(SPT_DB_READ, SPT_EINVAL, "empty"), 0);
}

/* Each makes a database of ours harmful or wrong; reading its winners must end soon, with these numbers of rows. */
typedef struct hostile_row {
    const char *what;
    const char *sql;
    spt_status status;
} hostile_row;

static const hostile_row hostiles[] = {
    {"a view that never ends",
     "DROP TABLE winner; CREATE VIEW winner AS WITH RECURSIVE c (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c) "
     "SELECT i AS key, i AS rank, i AS variant, i AS session FROM c",
     SPT_EINVAL},
    {"a virtual table", "DROP TABLE winner; CREATE VIRTUAL TABLE winner USING fts5 (key, rank2, variant, session)",
     SPT_EINVAL},
    {"a function in a table",
     "DROP TABLE winner; CREATE TABLE winner (key, rank, variant AS (length(hex(zeroblob(400000000)))), session,"
     " time_ns_median, ci_ns, speedup_over_default, speedup_over_dense);"
     "PRAGMA foreign_keys = OFF; INSERT INTO device VALUES (1, 'key', '', '', '', '', 0, 0, 0, 0, '', 0, 0, 0, '',"
     " zeroblob(16)); INSERT INTO winner (key) VALUES (zeroblob(16));"
     "INSERT INTO problem VALUES (zeroblob(16), '', 1, zeroblob(16), '', '', '', '', 1, 1, 1, 1, '')",
     SPT_EINVAL},
    {"a table that is missing", "DROP TABLE winner", SPT_EINVAL},
    {"other columns", "DROP TABLE winner; CREATE TABLE winner (x)", SPT_EINVAL},
    {"no index at all",
     "PRAGMA foreign_keys = OFF;"
     "DROP TABLE winner; DROP TABLE problem; DROP TABLE device; DROP TABLE variant; DROP TABLE session;"
     "CREATE TABLE winner (key, rank, variant, session, time_ns_median, ci_ns, speedup_over_default,"
     " speedup_over_dense);"
     "CREATE TABLE device (id, key); CREATE TABLE problem (key, device, op, dtype, layout, epilogue, cache, m, k, n,"
     " threads, fingerprint);"
     "CREATE TABLE variant (id, family, revision, point, is_dense, library);"
     "CREATE TABLE session (id, host, toolchain);"
     "WITH RECURSIVE c (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 3000) "
     "INSERT INTO device SELECT 1, 'key' FROM c;"
     "INSERT INTO problem (key, device) SELECT 1, 1 FROM device;"
     "INSERT INTO winner (key, variant, session) SELECT 1, 1, 1 FROM device;"
     "INSERT INTO variant (id) SELECT 1 FROM device; INSERT INTO session (id, toolchain) SELECT 1, 1 FROM device",
     SPT_EINVAL},
};

static void databases_made_to_harm_are_refused_in_time(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof hostiles / sizeof hostiles[0]; i++) {
        spt_winner_list winners;
        make_database();
        run_sql(hostiles[i].sql);
        alarm(60);
        const spt_status status = spt_db_read_winners(&winners, path, "key");
        alarm(0);
        if (status != hostiles[i].status)
            fail_msg("%s: expected %d, found %d", hostiles[i].what, hostiles[i].status, status);
        unlink(path);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(processes_that_create_one_database_at_once_all_succeed),
        TEST(a_reader_waits_for_a_short_lock),
        TEST(a_full_disk_leaves_no_file),
        TEST(a_full_disk_is_read),
        TEST(another_applications_journal_is_left_alone),
        TEST(a_disk_that_fills_up_keeps_what_was_committed),
        TEST(a_file_that_goes_away_is_not_written_to),
        TEST(a_read_only_folder_can_be_read_and_not_written),
        TEST(a_read_only_file_can_be_read_and_not_written),
        TEST(names_that_mislead_sqlite_are_plain_files),
        TEST(databases_made_to_harm_are_refused_in_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

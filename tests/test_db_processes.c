/* SPDX-License-Identifier: Apache-2.0 */
/* Many processes write one database while some of them are killed at random. What any of them saw committed is there at
 * the end, and the file is sound. SPT_PROCESSES (8) and SPT_PROCESS_SECONDS (3) make it longer: 64 and 60 is the goal.
 */
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "db/upkeep.h"
#include "tests/writer_fixture.h"

enum { LIVES_MAX = 20000, KILL_EVERY_US = 15000 };

/* One writer from its fork to its death, in memory that all processes share. */
typedef struct writer_life {
    char uuid[SPT_UUID_TEXT_SIZE];
    _Atomic int n_committed; /* rounds 0 .. n_committed - 1 were answered with OK */
    _Atomic int n_refused;
    char sentence[200]; /* of the last refusal */
} writer_life;

static writer_life *lives;

static int setup(void **state) {
    (void)state;
    writer_fixture_init();
    lives = mmap(NULL, LIVES_MAX * sizeof *lives, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(lives != MAP_FAILED);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    munmap(lives, LIVES_MAX * sizeof *lives);
    writer_fixture_fini();
    return 0;
}

static double now_s(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* ---- a writer ---- */

static void note_refusal(writer_life *life) {
    snprintf(life->sentence, sizeof life->sentence, "%.199s", spt_last_error());
    atomic_fetch_add(&life->n_refused, 1);
}

/* Commit rounds for ever, a moment of measuring between them. */
static _Noreturn void write_for_ever(writer_life *life) {
    spt_session session = writer_session();
    spt_db *db;
    memcpy(session.uuid, life->uuid, sizeof session.uuid);
    if (spt_db_open(&db, path, SPT_DB_WRITE) != SPT_OK || spt_db_session_add(db, &session) != SPT_OK) {
        note_refusal(life);
        _exit(1);
    }
    for (int round = 0;; round++) {
        if (writer_commit(db, &session, SPT_PHASE_FINAL, round) == SPT_OK)
            atomic_store(&life->n_committed, round + 1);
        else
            note_refusal(life);
        usleep(2000);
    }
}

static pid_t start_writer(int *n_lives) {
    writer_life *life = &lives[(*n_lives)++];
    assert_true(*n_lives < LIVES_MAX);
    spt_uuid_new(life->uuid);
    fflush(NULL);
    const pid_t process = fork();
    if (process == 0)
        write_for_ever(life);
    assert_true(process > 0);
    return process;
}

static void kill_writer(pid_t process) {
    kill(process, SIGKILL);
    waitpid(process, NULL, 0);
}

/* Keep n_processes writers alive and kill one of them every few milliseconds. Returns how many were killed. */
static long run_writers(int *n_lives, int n_processes, double seconds, long kill_every_us) {
    spt_random random;
    long n_kills = 0;
    pid_t *processes = calloc((size_t)n_processes, sizeof *processes);
    assert_non_null(processes);
    spt_random_init(&random, 64);
    for (int i = 0; i < n_processes; i++)
        processes[i] = start_writer(n_lives);
    for (const double end = now_s() + seconds; now_s() < end && *n_lives < LIVES_MAX - 1; n_kills++) {
        usleep((useconds_t)spt_random_below(&random, (uint64_t)(2 * kill_every_us)));
        const size_t victim = (size_t)spt_random_below(&random, (uint64_t)n_processes);
        kill_writer(processes[victim]);
        processes[victim] = start_writer(n_lives);
    }
    for (int i = 0; i < n_processes; i++)
        kill_writer(processes[i]);
    free(processes);
    return n_kills;
}

/* ---- afterwards ---- */

/* Rounds of a session that are whole, and those that are not. */
static void count_rounds(long *n_whole, long *n_torn, sqlite3 *handle, const char *uuid) {
    sqlite3_stmt *statement;
    assert_int_equal(sqlite3_prepare_v2(handle,
                                        "SELECT count(*) FROM trial WHERE session = (SELECT id FROM session WHERE "
                                        "uuid = ?1) AND key = ?2 GROUP BY round",
                                        -1, &statement, NULL),
                     SQLITE_OK);
    sqlite3_bind_text(statement, 1, uuid, -1, SQLITE_STATIC);
    sqlite3_bind_blob(statement, 2, key.hash.bytes, sizeof key.hash.bytes, SQLITE_STATIC);
    *n_whole = *n_torn = 0;
    while (sqlite3_step(statement) == SQLITE_ROW) {
        if (sqlite3_column_int(statement, 0) == ROUND_VARIANTS)
            ++*n_whole;
        else
            ++*n_torn;
    }
    sqlite3_finalize(statement);
}

static void nothing_that_was_committed_is_lost_when_writers_are_killed(void **state) {
    const int n_processes = (int)writer_setting("SPT_PROCESSES", 8);
    const long slower = writer_setting("SPT_SLOWER", 1);
    const double seconds = (double)(writer_setting("SPT_PROCESS_SECONDS", 3) * slower);
    long n_committed = 0, n_found = 0, n_lost = 0, n_torn_all = 0, n_refused = 0;
    int n_lives = 0;
    spt_db *db;
    spt_db_info info;
    sqlite3 *handle;
    (void)state;
    const long n_kills = run_writers(&n_lives, n_processes, seconds, KILL_EVERY_US * slower);
    expect_ok(spt_db_open(&db, path, SPT_DB_WRITE));
    expect_ok(spt_db_winners_rebuild(db, &key));
    expect_ok(spt_db_info_read(&info, db));
    spt_db_close(db);
    assert_int_equal(sqlite3_open_v2(path, &handle, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    for (int i = 0; i < n_lives; i++) {
        long n_whole, n_torn;
        count_rounds(&n_whole, &n_torn, handle, lives[i].uuid);
        n_committed += lives[i].n_committed;
        n_found += n_whole;
        n_torn_all += n_torn;
        n_lost += n_whole < lives[i].n_committed ? lives[i].n_committed - n_whole : 0;
        n_refused += lives[i].n_refused;
        if (lives[i].n_refused > 0)
            print_message("a writer was refused: %s\n", lives[i].sentence);
    }
    sqlite3_close(handle);
    print_message("%d processes, %.0f s, %ld kills: %ld rounds committed, %ld found, %ld lost, %ld torn, %ld refused, "
                  "integrity %s\n",
                  n_processes, seconds, n_kills, n_committed, n_found, n_lost, n_torn_all, n_refused, info.integrity);
    assert_string_equal(info.integrity, "ok");
    assert_int_equal(n_lost, 0);
    assert_int_equal(n_torn_all, 0);
    assert_int_equal(n_refused, 0);
    assert_true(n_kills > 10 && n_committed > n_kills);
}

static bool keeps_all(void *user, const char *family, int revision) {
    (void)user, (void)family, (void)revision;
    return true;
}

static void a_session_that_gc_took_out_before_its_first_trial_is_there_again(void **state) {
    (void)state;
    spt_db *db;
    spt_gc_result result;
    spt_db_info info;
    const spt_session session = writer_session();
    expect_ok(spt_db_open(&db, path, SPT_DB_WRITE));
    expect_ok(spt_db_session_add(db, &session));
    expect_ok(spt_db_gc(&result, db, keeps_all, NULL, false));
    assert_int_equal(result.n_sessions, 1);
    expect_ok(writer_commit(db, &session, SPT_PHASE_FINAL, 0));
    expect_ok(spt_db_info_read(&info, db));
    assert_int_equal(info.sessions, 1);
    assert_int_equal(info.trials, ROUND_VARIANTS);
    spt_db_close(db);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_session_that_gc_took_out_before_its_first_trial_is_there_again, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(nothing_that_was_committed_is_lost_when_writers_are_killed, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Every write goes wrong once: an input/output error, a full disk, a kill, a kill in the middle of a write. What was
 * committed is there afterwards, rounds are whole or absent, the file is sound and goes on being used.
 * SPT_INJECTIONS sets how many (2000). */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/faulty_vfs.h"
#include "tests/writer_fixture.h"

enum { STEPS = 6, TRIALS_MAX = 4096 };

/* What one life of a writer committed: trials by round number, of search (one variant) and final (three). */
static struct {
    int round;
    spt_phase phase;
} committed[TRIALS_MAX];
static int n_committed, next_round;
static long n_steps_failed;
static spt_session session;

static int setup(void **state) {
    (void)state;
    if (access("/dev/shm", W_OK) == 0)
        setenv("TMPDIR", "/dev/shm", 0);
    writer_fixture_init();
    faulty_install();
    return 0;
}

static int teardown(void **state) {
    (void)state;
    faulty_set(FAULTY_NONE, 0);
    writer_fixture_fini();
    return 0;
}

static void begin_history(void) {
    static const char *const suffixes[] = {"", "-wal", "-shm", "-journal"};
    char name[320];
    for (int i = 0; i < N_ITEMS(suffixes); i++) {
        snprintf(name, sizeof name, "%s%s", path, suffixes[i]);
        unlink(name);
    }
    n_committed = 0;
    next_round = 0;
    session = writer_session();
}

/* Add a search trial, or a final round of three. OK means committed. */
static spt_status add_step(spt_db *db, spt_phase phase) {
    const int round = next_round++;
    const spt_status status = writer_commit(db, &session, phase, round);
    if (status == SPT_OK) {
        assert_true(n_committed < TRIALS_MAX);
        committed[n_committed].round = round;
        committed[n_committed++].phase = phase;
    }
    n_steps_failed += status != SPT_OK;
    return status;
}

/* One life of a writer; whatever fails, it goes on, as a tuner with other problems to do would. */
static void live(unsigned seed) {
    spt_db *db;
    if (spt_db_open(&db, path, SPT_DB_WRITE) != SPT_OK)
        return;
    if (seed % 2 == 1) /* the log is moved into the file all the time */
        (void)spt_db_exec(db, "PRAGMA wal_autocheckpoint = 2");
    (void)spt_db_session_add(db, &session);
    for (int i = 0; i < STEPS; i++) {
        (void)add_step(db, (seed >> i & 1) != 0 ? SPT_PHASE_FINAL : SPT_PHASE_SEARCH);
        if (i == STEPS / 2)
            (void)spt_db_winners_rebuild(db, &key);
    }
    spt_db_close(db);
}

/* How many trials of this round are there? */
static int count_round(const spt_trial_list *list, int round, spt_phase phase) {
    int count = 0;
    for (int64_t i = 0; i < list->count; i++) {
        const spt_trial *trial = &list->items[i];
        if (trial->round != round)
            continue;
        assert_int_equal(trial->phase, phase);
        assert_true(trial->measurement.time_ns_median >= 100.0 + round);
        count++;
    }
    return count;
}

/* After the fault: sound, nothing that was committed is lost, and it can be written again. */
static void expect_whole(const char *what, long at) {
    spt_db *db;
    spt_db_info info;
    spt_trial_list list;
    faulty_set(FAULTY_NONE, 0);
    if (spt_db_open(&db, path, SPT_DB_WRITE) != SPT_OK)
        fail_msg("%s at call %ld: the database does not open: %s", what, at, spt_last_error());
    expect_ok(spt_db_info_read(&info, db));
    if (strcmp(info.integrity, "ok") != 0)
        fail_msg("%s at call %ld: %s", what, at, info.integrity);
    expect_ok(spt_db_trials_read(&list, db, &key, NULL));
    for (int i = 0; i < n_committed; i++) {
        const int expected = committed[i].phase == SPT_PHASE_FINAL ? ROUND_VARIANTS : 1;
        const int found = count_round(&list, committed[i].round, committed[i].phase);
        if (found != expected)
            fail_msg("%s at call %ld: %d of %d trials of committed round %d are there", what, at, found, expected,
                     committed[i].round);
    }
    for (int round = 0; round < next_round; round++) { /* none is torn */
        int found = 0;
        for (int64_t i = 0; i < list.count; i++)
            found += list.items[i].round == round && list.items[i].phase == SPT_PHASE_FINAL;
        if (found != 0 && found != ROUND_VARIANTS)
            fail_msg("%s at call %ld: round %d has %d trials", what, at, round, found);
    }
    spt_trial_list_fini(&list);
    expect_ok(spt_db_session_add(db, &session));
    expect_ok(add_step(db, SPT_PHASE_SEARCH));
    spt_db_close(db);
}

static void committed_trials_survive_every_fault_at_every_write(void **state) {
    static const char *const names[FAULTY_FAULT_COUNT] = {"", "I/O error", "full disk", "kill", "kill in a write"};
    const long wanted = writer_setting("SPT_INJECTIONS", 2000);
    long n_done = 0, n_committed_all = 0;
    (void)state;
    for (unsigned seed = 0; n_done < wanted; seed++) {
        begin_history();
        faulty_set(FAULTY_NONE, 0);
        live(seed); /* how many calls there are */
        const long n_calls = faulty.n_calls;
        assert_true(n_calls > 20);
        for (int fault = FAULTY_IO_ERROR; fault <= FAULTY_TORN; fault++) {
            begin_history(); /* the file is new in a fault's first life and older in the others */
            for (long at = 0; at < n_calls && n_done < wanted; at++, n_done++) {
                if (at % 16 == 0)
                    begin_history();
                faulty_set((faulty_fault)fault, at);
                live(seed);
                n_committed_all += n_committed;
                expect_whole(names[fault], at);
            }
        }
    }
    assert_true(n_steps_failed > n_done / 4); /* the faults hit */
    print_message("%ld injections, %ld steps failed, committed steps were looked for %ld times, 0 lost\n", n_done,
                  n_steps_failed, n_committed_all);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(committed_trials_survive_every_fault_at_every_write, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Climbing in finals, and what the drive loop makes of other processes. */
#include "tests/drive_fixture.h"

#define N_FEW 8 /* evaluations, of 46 points */

static spt_drive new_climber(spt_db *db, int64_t budget) {
    spt_drive drive = new_drive(db, budget);
    drive.policy.climbs = spt_measure_policy_default().climbs;
    spt_measure_policy_text(drive.session.policy, &drive.policy);
    return drive;
}

static spt_drive_result climb(spt_db *db, uint64_t seed) {
    spt_drive drive = new_climber(db, N_FEW);
    drive.seed = seed;
    forget_known(&drive, (int64_t)seed);
    return tune(&drive);
}

/* Whatever few points a search happened to try. */
static void seeds_climb_to_the_same_top(void **state) {
    (void)state;
    int n_missed = 0;
    for (uint64_t seed = 0; seed < 20; seed++) {
        spt_db *db = NULL;
        assert_int_equal(spt_db_open(&db, ":memory:", SPT_DB_WRITE), SPT_OK);
        const spt_drive_result result = climb(db, seed);
        assert_int_equal(result.evaluations, N_FEW); /* who climbs is no evaluation */
        assert_string_equal(result.winner.family, "test_near");
        assert_string_equal(result.winner.point, "r=3,t=4");
        const int n_rounds = play.n_rounds;
        assert_int_equal(climb(db, seed).rounds_measured, 0);
        spt_db_close(db);
        assert_int_equal(play.n_rounds, n_rounds);
        spt_db *other = NULL;
        assert_int_equal(spt_db_open(&other, ":memory:", SPT_DB_WRITE), SPT_OK);
        spt_drive still = new_drive(other, N_FEW);
        still.seed = seed;
        n_missed += strcmp(tune(&still).winner.point, "r=3,t=4") != 0;
        spt_db_close(other);
    }
    assert_true(n_missed > 5); /* as they do without climbing */
}

/* Stopped in any of its rounds, it goes on where it was and asks for the same rounds. */
static void stopped_climbs_go_on(void **state) {
    play.erratic = 0.1; /* it is open for long */
    const spt_drive_result whole = climb(*state, 3);
    const int n_whole = play.n_rounds;
    assert_true(n_whole > spt_measure_policy_default().final_rounds_max);
    for (int at = 1; at <= n_whole; at += 3) {
        spt_db *db = NULL;
        assert_int_equal(spt_db_open(&db, ":memory:", SPT_DB_WRITE), SPT_OK);
        play.n_rounds = 0;
        play.stop_in_round = at;
        assert_true(climb(db, 3).interrupted);
        stop = 0;
        play.stop_in_round = 0;
        const spt_drive_result rest = climb(db, 3);
        assert_int_equal(rest.measured, 0);
        assert_int_equal(rest.rounds_measured, n_whole - at + 1);
        assert_string_equal(rest.winner.point, whole.winner.point);
        assert_int_equal(climb(db, 3).rounds_measured, 0);
        spt_db_close(db);
    }
}

static bool was_in_finals(spt_db *db, const spt_drive *drive, const spt_drive_result *result, const char *family) {
    spt_trial_list trials;
    bool was_in = false;
    assert_int_equal(spt_db_trials_read_built(&trials, db, &result->key, drive->session.policy, NULL), SPT_OK);
    for (int64_t i = 0; i < trials.count; i++)
        was_in |= trials.items[i].phase == SPT_PHASE_FINAL && !trials.items[i].variant.is_default &&
                  strcmp(trials.items[i].variant.family, family) == 0;
    spt_trial_list_fini(&trials);
    return was_in;
}

static void climbs_keep_to_the_families_that_are_wanted(void **state) {
    spt_drive drive = new_climber(*state, N_FEW);
    drive.families = "test_far";
    const spt_drive_result result = tune(&drive);
    assert_true(was_in_finals(*state, &drive, &result, "test_far"));
    assert_false(was_in_finals(*state, &drive, &result, "test_near"));
}

static void a_neighbour_that_fails_wins_nothing(void **state) {
    play.failing = "test_near r=3,t=4";
    play.failure = SPT_TRIAL_CORRECTNESS;
    for (uint64_t seed = 0; seed < 5; seed++)
        assert_string_not_equal(climb(*state, seed).winner.point, "r=3,t=4");
}

static void climbs_end_with_the_time(void **state) {
    spt_drive drive = new_climber(*state, N_FEW);
    drive.finals_until_s = 1e-3;
    clock_s = 1.0;
    assert_int_equal(tune(&drive).rounds_measured, drive.policy.heats);
}

/* ---- other processes ---- */

static double busy_from_s, busy_until_s;

static bool play_others(void *self) {
    (void)self;
    return clock_s >= busy_from_s && clock_s < busy_until_s;
}

static char best_seen[SPT_POINT_TEXT_MAX];

static void see_best(void *user, const spt_drive_progress *progress) {
    (void)user;
    spt_copy_text(best_seen, sizeof best_seen, progress->best_point);
}

/* The untuned answer alone is three times as slow for a while. The best variant says that the machine is not. */
static void what_slows_the_default_alone_changes_no_order(void **state) {
    for (int i = 0; i < 3; i++) {
        spt_drive drive = new_drive(*state, 1000);
        forget_known(&drive, i);
        drive.without_finals = true;
        drive.meter.reference = play_reference;
        drive.progress = see_best;
        play = (script){.dense_ns = 100e3, .default_slow_until_s = i == 0 ? 0.0 : i == 1 ? 10.0 : 1e9};
        clock_s = 0.0;
        tune(&drive);
        assert_string_equal(best_seen, "r=3,t=4");
    }
}

static void searches_wait_for_other_processes(void **state) {
    static const double patience[] = {0.0, 60.0, 60.0};
    double spent_s[3];
    for (int i = 0; i < 3; i++) {
        spt_drive drive = new_drive(*state, 20);
        forget_known(&drive, i);
        drive.meter.reference = play_reference;
        drive.meter.has_others = play_others;
        drive.patience_s = patience[i];
        busy_from_s = 5.0;
        busy_until_s = i == 2 ? 1e9 : 6.2;
        clock_s = 0.0;
        assert_int_equal(tune(&drive).measured, 20);
        spent_s[i] = patience[i] - drive.patience_s;
    }
    assert_true(spent_s[0] < 1e-9);
    assert_true(spent_s[1] > 0.5 && spent_s[1] < 2.0); /* until they end */
    assert_true(spent_s[2] > 2.4 && spent_s[2] < 3.5); /* once in vain is enough */
}

/* A round beside them is void. */
static void rounds_beside_other_processes_are_taken_again(void **state) {
    spt_drive drive = new_drive(*state, 10);
    drive.meter.reference = play_reference;
    drive.meter.has_others = play_others;
    drive.patience_s = 60.0;
    play.round_s = 0.5;
    busy_from_s = 12.4;
    busy_until_s = 14.2;
    const spt_drive_result result = tune(&drive);
    assert_true(clock_s > busy_until_s);
    assert_int_equal(result.rounds_measured, drive.policy.final_rounds);
    assert_true(play.n_rounds > drive.policy.final_rounds);
    assert_true(drive.patience_s < 60.0 && drive.patience_s > 57.0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        CLAIM(seeds_climb_to_the_same_top),
        CLAIM(stopped_climbs_go_on),
        CLAIM(climbs_keep_to_the_families_that_are_wanted),
        CLAIM(a_neighbour_that_fails_wins_nothing),
        CLAIM(climbs_end_with_the_time),
        CLAIM(what_slows_the_default_alone_changes_no_order),
        CLAIM(searches_wait_for_other_processes),
        CLAIM(rounds_beside_other_processes_are_taken_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

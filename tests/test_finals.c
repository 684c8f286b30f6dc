/* SPDX-License-Identifier: Apache-2.0 */
/* The drive loop's finals, and the machine's pace while it searches. */
#include "tests/drive_fixture.h"

static char best_seen[SPT_POINT_TEXT_MAX]; /* what the search thinks is the best */

static void see_best(void *user, const spt_drive_progress *progress) {
    (void)user;
    spt_copy_text(best_seen, sizeof best_seen, progress->best_point);
}

/* Dense packs nothing, so a tie would be its, were it not half a per cent slower than the untuned answer. */
static void a_tie_is_never_won_by_what_is_slower_than_the_default(void **state) {
    play.dense_ns = 1.005 * 1.29 * 50e3;
    play.noise = 0.004;
    spt_drive_result result = tune_anew(*state, 2);
    assert_string_equal(result.winner.family, "test_near");
    assert_true(result.winner.speedup_over_default >= 1.0);
}

static void dropped_yardsticks_still_race_in_the_finals(void **state) {
    play.dense_ns = 1000e3;
    spt_drive_result result = tune_anew(*state, 1000);
    assert_true(fabs(result.winner.speedup_over_dense - 20.0) < 0.1);
}

static void stopped_finals_go_on_with_the_missing_rounds(void **state) {
    int n_rounds = spt_measure_policy_default().final_rounds;
    assert_true(n_rounds >= 2);
    play.stop_in_round = 2;
    spt_drive_result first = tune_anew(*state, 20);
    assert_true(first.interrupted);
    assert_true(first.has_winner);
    assert_int_equal(first.rounds_measured, 1);
    stop = 0;
    play.stop_in_round = 0;
    spt_drive_result second = tune_anew(*state, 20);
    assert_int_equal(second.measured, 0);
    assert_int_equal(second.rounds_measured, n_rounds - 1);
    assert_int_equal(tune_anew(*state, 20).rounds_measured, 0);
}

/* Noise beside the best variant's trial puts it behind six others; the heats put that right. */
static void heats_give_an_unlucky_trial_another_chance(void **state) {
    play.bad_luck = 1.12;
    spt_drive_result result = tune_anew(*state, 1000);
    assert_string_equal(result.winner.point, "r=3,t=4");
    assert_int_equal(play.n_rounds, spt_measure_policy_default().final_rounds);
    const int n_rounds = play.n_rounds;
    assert_int_equal(tune_anew(*state, 1000).measured, 0);
    assert_int_equal(play.n_rounds, n_rounds);
}

/* What is far slower in the search gets no heat. */
static void heats_are_not_for_the_hopeless(void **state) {
    play.bad_luck = 1.6;
    assert_string_not_equal(tune_anew(*state, 1000).winner.point, "r=3,t=4");
}

/* All trials of test_far fell into a good minute and look faster than test_near's best, which still contends. */
static void every_familys_best_contends(void **state) {
    play.far_luck = 0.4; /* 100 us look like 40 */
    const spt_drive_result result = tune_anew(*state, 1000);
    assert_string_equal(result.winner.family, "test_near");
    assert_string_equal(result.winner.point, "r=3,t=4");
}

/* What is measured late looks slow, unless the untuned answer is measured again beside it. */
static void a_machine_that_slows_down_changes_no_order(void **state) {
    for (int with_reference = 0; with_reference < 2; with_reference++) {
        spt_drive drive = new_drive(*state, 1000);
        forget_known(&drive, with_reference);
        drive.without_finals = true;
        drive.meter.reference = with_reference ? play_reference : NULL;
        play = (script){.dense_ns = 100e3, .slowing = 0.2};
        clock_s = 0.0;
        drive.progress = see_best;
        tune(&drive);
        assert_int_equal(strcmp(best_seen, "r=3,t=4") == 0, with_reference);
        const int n_references = play.n_references;
        assert_int_equal(n_references > 10, with_reference);
        assert_int_equal(tune(&drive).measured, 0); /* known trials are told at the same pace, and need no reference */
        assert_int_equal(play.n_references, n_references);
    }
}

/* Every fourth reference is hit by something that hits nothing else: what comes after it is no better for that. */
static void a_disturbed_reference_makes_no_best(void **state) {
    spt_drive drive = new_drive(*state, 1000);
    drive.meter.reference = play_reference;
    drive.without_finals = true;
    drive.progress = see_best;
    play.reference_luck = 3.0;
    tune(&drive);
    assert_true(play.n_references > 4);
    assert_string_equal(best_seen, "r=3,t=4");
}

static void a_steady_machine_keeps_times_as_they_are(void **state) {
    spt_drive drive = new_drive(*state, 1000);
    drive.meter.reference = play_reference;
    play.erratic = 0.0;
    play.slowing = 0.0005; /* 3 % in all */
    drive.without_finals = true;
    const spt_drive_result result = tune(&drive);
    assert_true(play.n_references > 0);
    assert_int_equal(result.measured, 2 * N_VALID + 2); /* references are no evaluations */
    assert_true(result.winner.time_ns_median > 50e3 && result.winner.time_ns_median < 52e3);
}

/* Before the rounds the machine is twice as slow for two seconds: patience waits for it, and does not go on for ever.
 */
static void finals_wait_for_a_calm_machine(void **state) {
    static const double patience[] = {0.0, 1.5, 60.0};
    for (int i = 0; i < 3; i++) {
        spt_drive drive = new_drive(*state, 10);
        forget_known(&drive, i);
        drive.meter.reference = play_reference;
        drive.patience_s = patience[i];
        play = (script){.dense_ns = 100e3, .slow_from_s = 10.0, .slow_until_s = 12.0};
        clock_s = 0.0;
        tune(&drive);
        assert_int_equal(play.n_rounds, drive.policy.final_rounds);
        assert_true(patience[i] < 1.0 || play.first_round_s >= (i == 1 ? 11.5 : 12.0));
        assert_true(play.first_round_s < 12.2);
        assert_true(drive.patience_s <= patience[i] && drive.patience_s > -0.2);
    }
}

/* The same in the middle of a search: what is measured afterwards is measured in a calm machine, however long that is;
 * where it never gets calm one wait is enough. */
static void searches_wait_for_a_calm_machine(void **state) {
    int n_references[3];
    for (int i = 0; i < 3; i++) {
        spt_drive drive = new_drive(*state, 20);
        forget_known(&drive, i);
        drive.meter.reference = play_reference;
        drive.without_finals = true;
        drive.patience_s = i == 0 ? 0.0 : 60.0;
        play = (script){.dense_ns = 100e3, .slow_from_s = 5.0, .slow_until_s = i < 2 ? 7.0 : 1e9};
        clock_s = 0.0;
        assert_int_equal(tune(&drive).measured, 20);
        n_references[i] = play.n_references;
        assert_true(i == 0 || drive.patience_s > (i == 1 ? 57.5 : 57.0));
    }
    assert_true(n_references[1] >= n_references[0] + 10 && n_references[2] >= n_references[0] + 10);
    assert_true(n_references[2] <= n_references[1] + 10);
}

/* Two of three heats met something that hits the best variant most. */
static void one_calm_heat_says_more_than_two_disturbed_ones(void **state) {
    play.disturbed_rounds = 2;
    play.bad_luck = 1.12; /* so that it is not the best of the search, which stays */
    assert_string_equal(tune_anew(*state, 1000).winner.point, "r=3,t=4");
    assert_int_equal(tune_anew(*state, 1000).rounds_measured, 0);
}

static void open_finals_get_more_rounds(void **state) {
    const spt_measure_policy policy = spt_measure_policy_default();
    play.erratic = 0.1;
    tune_anew(*state, 20);
    assert_true(play.n_rounds > policy.final_rounds && play.n_rounds <= policy.final_rounds_max);
    assert_int_equal(tune_anew(*state, 20).rounds_measured, 0);
}

static void spent_time_stops_the_search_but_not_yardsticks_and_finals(void **state) {
    spt_drive_result result;
    spt_drive drive = new_drive(*state, 100);
    spt_problem problem = sddmm(16);
    assert_int_equal(spt_drive_problem(&result, &drive, &matrix, &problem, 0.0), SPT_OK);
    assert_int_equal(result.measured, 3);
    assert_int_equal(play.n_rounds, drive.policy.final_rounds);
    assert_true(result.winner.speedup_over_dense > 0.0);
    assert_int_equal(spt_drive_problem(&result, &drive, &matrix, &problem, clock_s + 8.5), SPT_OK);
    assert_int_equal(result.measured, 9);
}

/* The old winner is not among the few points that the new build tries, but it must race all the same. */
static void a_winner_of_another_build_runs_again_before_it_stays(void **state) {
    spt_db *db = *state;
    spt_winner_list winners;
    spt_drive old = new_drive(db, 1000), fresh = new_drive(db, 3);
    spt_copy_text(old.session.compiler, sizeof old.session.compiler, "old compiler");
    spt_copy_text(fresh.session.compiler, sizeof fresh.session.compiler, "new compiler");
    old.session.started_unix_s = 1000;
    fresh.session.started_unix_s = 2000;
    fresh.only_this_build = true;
    assert_string_equal(tune(&old).winner.point, "r=3,t=4");
    const spt_drive_result result = tune(&fresh);
    assert_int_equal(result.measured, 3);
    assert_string_equal(result.winner.point, "r=3,t=4");
    assert_int_equal(spt_db_winners_find(&winners, db, &result.key), SPT_OK);
    assert_string_equal(winners.items[0].compiler, "new compiler");
    spt_winner_list_fini(&winners);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        CLAIM(a_tie_is_never_won_by_what_is_slower_than_the_default),
        CLAIM(dropped_yardsticks_still_race_in_the_finals),
        CLAIM(stopped_finals_go_on_with_the_missing_rounds),
        CLAIM(heats_give_an_unlucky_trial_another_chance),
        CLAIM(heats_are_not_for_the_hopeless),
        CLAIM(every_familys_best_contends),
        CLAIM(a_machine_that_slows_down_changes_no_order),
        CLAIM(a_disturbed_reference_makes_no_best),
        CLAIM(a_steady_machine_keeps_times_as_they_are),
        CLAIM(finals_wait_for_a_calm_machine),
        CLAIM(searches_wait_for_a_calm_machine),
        CLAIM(one_calm_heat_says_more_than_two_disturbed_ones),
        CLAIM(open_finals_get_more_rounds),
        CLAIM(spent_time_stops_the_search_but_not_yardsticks_and_finals),
        CLAIM(a_winner_of_another_build_runs_again_before_it_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

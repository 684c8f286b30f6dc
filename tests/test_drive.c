/* SPDX-License-Identifier: Apache-2.0 */
/* The drive loop from a matrix to its winner. */
#include "tests/drive_fixture.h"
#include "tests/faulty_vfs.h"

/* ---- claims ---- */

static void the_best_variant_wins_and_the_budget_is_kept(void **state) {
    spt_drive_result result = tune_anew(*state, 30);
    assert_true(result.has_winner);
    assert_int_equal(result.evaluations, 30);
    assert_int_equal(result.measured, 30);
    assert_int_equal(play.n_measured, 30);
    assert_int_equal(play.n_rounds, spt_measure_policy_default().final_rounds);
    assert_int_equal(result.failed, 0);
    assert_string_equal(result.winner.family, "test_near");
    assert_true(result.winner.speedup_over_dense > 1.0);
    assert_true(result.winner.speedup_over_default >= 1.0);
    assert_false(result.interrupted);
}

static void an_exhausted_space_ends_before_the_budget(void **state) {
    spt_drive_result result = tune_anew(*state, 1000);
    assert_int_equal(result.evaluations, 2 * N_VALID + 2);
    assert_string_equal(result.winner.point, "r=3,t=4");
    assert_true(fabs(result.winner.speedup_over_default - 1.29) < 0.01);
    assert_true(fabs(result.winner.speedup_over_dense - 2.0) < 0.01);
    assert_int_equal(result.packed_bytes, 3000);
}

static void a_second_identical_run_measures_nothing(void **state) {
    spt_drive_result first = tune_anew(*state, 25);
    int n_measured = play.n_measured, n_rounds = play.n_rounds, n_loads = play.n_loads;
    spt_drive drive = new_drive(*state, 25);
    spt_drive_result second = tune(&drive);
    assert_int_equal(play.n_measured, n_measured);
    assert_int_equal(play.n_rounds, n_rounds);
    assert_int_equal(play.n_loads, n_loads);
    assert_int_equal(second.measured, 0);
    assert_int_equal(second.rounds_measured, 0);
    assert_int_equal(second.evaluations, first.evaluations);
    assert_int_equal(second.dropped, first.dropped);
    assert_string_equal(second.winner.family, first.winner.family);
    assert_string_equal(second.winner.point, first.winner.point);
    assert_string_equal(drive.session.uuid, "");
    assert_int_equal(count_sessions(*state), 1);
}

static void nothing_is_measured_twice(void **state) {
    tune_anew(*state, 20);
    tune_anew(*state, 35);
    assert_int_equal(play.n_measured, 35);
    for (int i = 0; i < play.n_measured; i++)
        for (int j = 0; j < i; j++)
            assert_string_not_equal(play.measured[i], play.measured[j]);
    assert_int_equal(count_sessions(*state), 2);
}

static void the_untuned_answer_and_every_dense_point_come_first(void **state) {
    tune_anew(*state, 4);
    assert_string_equal(play.measured[0], "test_near r=1,t=1");
    assert_string_equal(play.measured[1], "test_dense lib=first");
    assert_string_equal(play.measured[2], "test_dense lib=second");
    assert_string_equal(play.measured[3], "test_far r=1,t=1");
}

/* The winner of a near problem is tried right after the untuned answer; a problem's own winner is no seed. */
static void winners_of_near_problems_are_tried_first(void **state) {
    spt_seed_table seeds;
    spt_drive_result result;
    spt_problem wider = sddmm(24);
    assert_int_equal(spt_seed_table_init(&seeds, *state), SPT_OK);
    assert_int_equal(seeds.count, 0);
    spt_drive drive = new_drive(*state, 1000);
    drive.seeds = &seeds;
    assert_string_equal(tune(&drive).winner.point, "r=3,t=4");
    assert_int_equal(seeds.count, 1);
    assert_int_equal(tune(&drive).measured, 0);
    assert_int_equal(seeds.count, 1);
    drive.budget = 4;
    play.n_measured = 0;
    assert_int_equal(spt_drive_problem(&result, &drive, &matrix, &wider, INFINITY), SPT_OK);
    assert_string_equal(play.measured[0], "test_near r=1,t=1");
    assert_string_equal(play.measured[1], "test_near r=3,t=4");
    assert_string_equal(play.measured[2], "test_dense lib=first");
    assert_string_equal(result.winner.point, "r=3,t=4");
    spt_seed_table_fini(&seeds);

    assert_int_equal(spt_seed_table_init(&seeds, *state), SPT_OK); /* the same from the file */
    assert_int_equal(seeds.count, 2);
    assert_string_equal(seeds.items[0].point, "r=3,t=4");
    spt_seed_table_fini(&seeds);
}

/* Winners of other devices are seeds where these run the same instruction set, and nowhere else. */
static void seeds_come_from_devices_of_one_architecture(void **state) {
    static const struct {
        const char *key;
        int n_seeds;
    } rows[] = {{"cpu|test|1|1|plain|32768|1048576", 1},
                {"cpu|other|6|7|plain|49152|2097152", 1},
                {"cpu|test|1|1|avx2|32768|1048576", 0},
                {"cuda|test|1|1|plain|0|0", 0}};
    spt_seed_table seeds;
    spt_workload workload;
    spt_key key;
    spt_seed found[SPT_SEEDS_MAX];
    spt_problem wider = sddmm(24);
    tune_anew(*state, 1000);
    assert_int_equal(spt_seed_table_init(&seeds, *state), SPT_OK);
    for (int i = 0; i < (int)(sizeof rows / sizeof rows[0]); i++) {
        spt_copy_text(device.key, sizeof device.key, rows[i].key);
        assert_int_equal(spt_workload_init(&workload, &wider, &matrix), SPT_OK);
        assert_int_equal(spt_key_init(&key, &workload, &device), SPT_OK);
        const spt_subject subject = {.key = &key, .workload = &workload, .device = &device};
        assert_int_equal(spt_seeds_find(found, &seeds, &subject), rows[i].n_seeds);
    }
    spt_seed_table_fini(&seeds);
}

static void families_outside_the_list_are_yardsticks_alone(void **state) {
    spt_drive drive = new_drive(*state, 1000);
    drive.families = "test_far";
    spt_drive_result result = tune(&drive);
    assert_int_equal(result.evaluations, N_VALID + 2 + 1);
    assert_string_equal(result.winner.family, "test_near");
    assert_string_equal(result.winner.point, "r=1,t=1");
}

static void failures_are_data(void **state) {
    static const spt_trial_status statuses[] = {SPT_TRIAL_COMPILE, SPT_TRIAL_RUNTIME, SPT_TRIAL_TIMEOUT,
                                                SPT_TRIAL_CORRECTNESS};
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        spt_drive drive = new_drive(*state, 1000);
        forget_known(&drive, (int64_t)i);
        play = (script){.dense_ns = 100e3, .failing = "test_near r=3,t=4", .failure = statuses[i]};
        spt_drive_result result = tune(&drive);
        assert_int_equal(result.failed, 1);
        assert_int_equal(result.evaluations, 2 * N_VALID + 2);
        assert_string_equal(result.winner.family, "test_near");
        assert_string_not_equal(result.winner.point, "r=3,t=4");

        spt_trial_list trials = {0};
        int n_found = 0;
        assert_int_equal(spt_db_trials_read(&trials, *state, &result.key, drive.session.policy), SPT_OK);
        for (int64_t t = 0; t < trials.count; t++)
            if (trials.items[t].measurement.status == statuses[i]) {
                assert_string_equal(trials.items[t].measurement.reason, "as planted");
                n_found++;
            }
        assert_int_equal(n_found, 1);
        spt_trial_list_fini(&trials);
    }
}

static void where_everything_fails_there_is_no_winner(void **state) {
    play.failing = "";
    play.failure = SPT_TRIAL_CORRECTNESS;
    spt_drive_result result = tune_anew(*state, 10);
    assert_false(result.has_winner);
    assert_int_equal(result.failed, 10);
    assert_int_equal(play.n_rounds, 0);
}

static void a_dense_winner_says_how_far_sparse_is_behind(void **state) {
    play.dense_ns = 25e3;
    spt_drive_result result = tune_anew(*state, 1000);
    assert_true(result.winner.is_dense);
    assert_string_equal(result.winner.family, "test_dense");
    assert_string_equal(result.winner.point, "lib=first");
    assert_true(fabs(result.sparse_over_dense - 0.5) < 0.01);
    assert_true(result.dropped > 0);
}

static void a_stopped_search_keeps_what_it_has_and_goes_on(void **state) {
    play.stop_at_measure = 12;
    spt_drive_result first = tune_anew(*state, 30);
    assert_true(first.interrupted);
    assert_int_equal(first.measured, 11);
    assert_int_equal(play.n_rounds, 0);
    assert_true(first.has_winner);
    stop = 0;
    play.stop_at_measure = 0;
    spt_drive_result second = tune_anew(*state, 30);
    assert_false(second.interrupted);
    assert_int_equal(second.measured, 19);
    assert_int_equal(second.evaluations, 30);
    assert_int_equal(play.n_measured, 30);
}

static void packing_counts_when_uses_are_few(void **state) {
    spt_drive drive = new_drive(*state, 1000);
    drive.policy.uses = 1;
    spt_measure_policy_text(drive.session.policy, &drive.policy);
    spt_drive_result result = tune(&drive);
    assert_int_equal(result.evaluations, 2 * N_VALID + 2);
    assert_string_equal(result.winner.family, "test_dense"); /* which packs nothing */
}

static spt_drive_result tune_for_uses(spt_drive *drive, spt_db *db, int64_t budget, int64_t uses) {
    *drive = new_drive(db, budget);
    drive->policy.uses = uses;
    spt_measure_policy_text(drive->session.policy, &drive->policy);
    return tune(drive);
}

/* All within a second, by clocks; known after its first run, each. */
static void the_uses_that_were_asked_last_decide(void **state) {
    static const struct {
        int64_t uses;
        const char *winner;
        int64_t recorded; /* -1: a search and its rounds */
    } runs[] = {{1, "test_dense", -1}, {0, "test_near", -1}, {1, "test_dense", 1}, {1, "test_dense", 0},
                {0, "test_near", 1},   {1, "test_dense", 1}, {0, "test_near", 1},  {0, "test_near", 0}};
    spt_drive drive;
    for (int i = 0; i < (int)(sizeof runs / sizeof runs[0]); i++) {
        spt_winner_list stored;
        const spt_drive_result result = tune_for_uses(&drive, *state, 1000, runs[i].uses);
        assert_string_equal(result.winner.family, runs[i].winner);
        assert_int_equal(result.packed_bytes, strcmp(runs[i].winner, "test_near") == 0 ? 3000 : 0);
        assert_int_equal(result.measured, i < 2 ? 2 * N_VALID + 2 : 0);
        assert_int_equal(runs[i].recorded >= 0 ? result.recorded : -1, runs[i].recorded);
        assert_int_equal(drive.session.uuid[0] != '\0', runs[i].recorded != 0);
        assert_int_equal(spt_db_winners_rebuild(*state, NULL), SPT_OK);
        assert_int_equal(spt_db_winners_find(&stored, *state, &result.key), SPT_OK);
        assert_string_equal(stored.items[0].family, runs[i].winner);
        spt_winner_list_fini(&stored);
    }
    assert_int_equal(count_sessions(*state), 6);
    assert_int_equal(play.n_measured, 2 * (2 * N_VALID + 2));
}

static void a_winner_that_another_policy_measured_has_its_packing(void **state) {
    spt_drive drive;
    assert_string_equal(tune_for_uses(&drive, *state, 1000, 1000000).winner.point, "r=3,t=4");
    const spt_drive_result result = tune_for_uses(&drive, *state, 4, 0);
    assert_int_equal(result.evaluations, 4);
    assert_string_equal(result.winner.point, "r=3,t=4"); /* which is not among the four */
    assert_int_equal(result.packed_bytes, 3000);
    assert_true(result.pack_ns == 3e6);
}

static void another_policy_measures_again(void **state) {
    tune_anew(*state, 10);
    spt_drive drive = new_drive(*state, 10);
    drive.policy.max_runs++;
    spt_measure_policy_text(drive.session.policy, &drive.policy);
    assert_int_equal(tune(&drive).measured, 10);
}

static void another_width_is_another_problem(void **state) {
    spt_drive drive = new_drive(*state, 10);
    spt_drive_result result;
    spt_problem wide = sddmm(32);
    tune(&drive);
    assert_int_equal(spt_drive_problem(&result, &drive, &matrix, &wide, INFINITY), SPT_OK);
    assert_int_equal(result.measured, 10);
    assert_int_equal(play.n_loads, 2);
    assert_int_equal(count_sessions(*state), 1);
}

static void a_meter_without_worker_ends_the_problem(void **state) {
    play.status = SPT_EIO;
    spt_drive drive = new_drive(*state, 10);
    spt_drive_result result;
    spt_problem problem = sddmm(16);
    assert_int_equal(spt_drive_problem(&result, &drive, &matrix, &problem, INFINITY), SPT_EIO);
    assert_int_equal(count_sessions(*state), 0);
}

static void an_unsorted_matrix_is_refused(void **state) {
    static const int32_t unsorted[] = {3, 0, 1, 0, 2};
    const spt_csr bad = {sizeof(spt_csr), 3, 4, offsets, unsorted, values};
    spt_drive drive = new_drive(*state, 10);
    spt_drive_result result;
    spt_problem problem = sddmm(16);
    assert_int_equal(spt_drive_problem(&result, &drive, &bad, &problem, INFINITY), SPT_EINVAL);
}

static void every_strategy_finds_the_optimum_of_the_whole_space(void **state) {
    for (int i = 0; i < spt_strategy_count(); i++) {
        spt_drive drive = new_drive(*state, 1000);
        drive.strategy = spt_strategy_at(i);
        assert_string_equal(tune(&drive).winner.point, "r=3,t=4");
    }
    assert_int_equal(play.n_measured, 2 * N_VALID + 2);
}

static void results_survive_in_a_file(void **state) {
    (void)state;
    char path[] = "/tmp/sparsetune-test-drive-XXXXXX";
    char side[64];
    int descriptor = mkstemp(path);
    assert_true(descriptor >= 0);
    close(descriptor);
    unlink(path);
    for (int run = 0; run < 2; run++) {
        spt_db *db = NULL;
        assert_int_equal(spt_db_open(&db, path, SPT_DB_WRITE), SPT_OK);
        spt_drive_result result = tune_anew(db, 15);
        assert_int_equal(result.measured, run == 0 ? 15 : 0);
        assert_true(result.has_winner);
        spt_db_close(db);
    }
    unlink(path);
    snprintf(side, sizeof side, "%s-wal", path);
    unlink(side);
    snprintf(side, sizeof side, "%s-shm", path);
    unlink(side);
}

static void remove_database(const char *path) {
    static const char *const suffixes[] = {"", "-wal", "-shm", "-journal"};
    char name[96];
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        snprintf(name, sizeof name, "%s%s", path, suffixes[i]);
        unlink(name);
    }
}

/* Whatever comes after the failure, its sentence names the file and what is wrong with it. */
static void a_database_that_cannot_be_written_is_named(void **state) {
    static const struct {
        faulty_fault fault;
        const char *says;
    } faults[] = {{FAULTY_FULL, "a full disk"}, {FAULTY_IO_ERROR, "an input/output error"}};
    char path[] = "/tmp/sparsetune-test-drive-XXXXXX";
    const int descriptor = mkstemp(path);
    (void)state;
    assert_true(descriptor >= 0);
    close(descriptor);
    faulty_install();
    for (int i = 0; i < 2; i++) {
        int n_failures = 0;
        for (long at = 0; at < 120; at += 7) {
            const char *families[] = {"test_far", NULL}; /* few points, and plenty */
            for (int j = 0; j < 2; j++) {
                spt_drive_result result;
                const spt_problem problem = sddmm(16);
                spt_db *db = NULL;
                remove_database(path);
                faulty_set(FAULTY_NONE, 0);
                assert_int_equal(spt_db_open(&db, path, SPT_DB_WRITE), SPT_OK);
                spt_drive drive = new_drive(db, 1000);
                drive.families = families[j];
                drive.strategy = spt_strategy_find("auto");
                faulty_set(faults[i].fault, at);
                const spt_status status = spt_drive_problem(&result, &drive, &matrix, &problem, INFINITY);
                faulty_set(FAULTY_NONE, 0);
                spt_db_close(db);
                n_failures += status != SPT_OK;
                if (status != SPT_OK && (status != SPT_EIO || strstr(spt_last_error(), path) == NULL ||
                                         strstr(spt_last_error(), faults[i].says) == NULL))
                    fail_msg("%s at %ld: %s", faults[i].says, at, spt_last_error());
            }
        }
        assert_true(n_failures > 10);
    }
    sqlite3_vfs_unregister(&faulty_vfs);
    sqlite3_vfs_register(faulty_real, 1);
    remove_database(path);
}

static void every_failed_allocation_is_an_answer(void **state) {
    spt_problem problem = sddmm(16);
    int n_refused = 0;
    for (long n = 0; n < 200; n++) {
        long live = spt_memory_live();
        spt_drive drive = new_drive(*state, 12);
        spt_drive_result result;
        spt_memory_fail_after(n);
        spt_status status = spt_drive_problem(&result, &drive, &matrix, &problem, INFINITY);
        spt_memory_fail_after(-1);
        assert_int_equal(spt_memory_live(), live);
        assert_true(status == SPT_OK || status == SPT_ENOMEM);
        n_refused += status != SPT_OK;
    }
    assert_true(n_refused > 5);
    assert_true(tune_anew(*state, 12).has_winner);
    assert_int_equal(play.n_measured, 12);
}

static void lists_of_families_match_whole_names(void **state) {
    (void)state;
    assert_true(spt_drive_names_family(NULL, "a"));
    assert_true(spt_drive_names_family("a,bc", "a"));
    assert_true(spt_drive_names_family("a,bc", "bc"));
    assert_false(spt_drive_names_family("a,bc", "b"));
    assert_false(spt_drive_names_family("abc", "bc"));
    assert_false(spt_drive_names_family("", "a"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        CLAIM(the_best_variant_wins_and_the_budget_is_kept),
        CLAIM(an_exhausted_space_ends_before_the_budget),
        CLAIM(a_second_identical_run_measures_nothing),
        CLAIM(nothing_is_measured_twice),
        CLAIM(the_untuned_answer_and_every_dense_point_come_first),
        CLAIM(winners_of_near_problems_are_tried_first),
        CLAIM(seeds_come_from_devices_of_one_architecture),
        CLAIM(families_outside_the_list_are_yardsticks_alone),
        CLAIM(failures_are_data),
        CLAIM(where_everything_fails_there_is_no_winner),
        CLAIM(a_dense_winner_says_how_far_sparse_is_behind),
        CLAIM(a_stopped_search_keeps_what_it_has_and_goes_on),
        CLAIM(packing_counts_when_uses_are_few),
        CLAIM(the_uses_that_were_asked_last_decide),
        CLAIM(a_winner_that_another_policy_measured_has_its_packing),
        CLAIM(another_policy_measures_again),
        CLAIM(another_width_is_another_problem),
        CLAIM(a_meter_without_worker_ends_the_problem),
        CLAIM(an_unsorted_matrix_is_refused),
        CLAIM(every_strategy_finds_the_optimum_of_the_whole_space),
        CLAIM(results_survive_in_a_file),
        CLAIM(a_database_that_cannot_be_written_is_named),
        CLAIM(every_failed_allocation_is_an_answer),
        CLAIM(lists_of_families_match_whole_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

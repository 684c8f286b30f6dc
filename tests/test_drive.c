/* SPDX-License-Identifier: Apache-2.0 */
/* The drive loop with planted families, a scripted meter and a scripted clock: nothing here takes real time. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/memory.h"
#include "core/text.h"
#include "tuner/drive.h"

/* ---- planted families: two sparse ones and a dense one, which never run, of an element type that no real one has ----
 */

static const spt_axis_value sizes[] = {{1, NULL}, {2, NULL}, {3, NULL}, {4, NULL}, {5, NULL}};
static const spt_axis_value libraries[] = {{0, "first"}, {1, "second"}};
static const spt_axis tile_axes[] = {{"r", "", sizes, 5}, {"t", "", sizes, 5}};
static const spt_axis dense_axes[] = {{"lib", "", libraries, 2}};

static bool is_valid(const spt_workload *workload, const spt_device *device, const spt_point *point) {
    (void)workload, (void)device;
    return point->index[0] + point->index[1] < 7;
}

static void default_point(const spt_workload *workload, const spt_device *device, spt_point *out) {
    (void)workload, (void)device;
    *out = (spt_point){0};
}

static double low_bound_ns(const spt_workload *workload, const spt_device *device, const spt_point *point) {
    (void)workload, (void)device, (void)point;
    return 1e-6;
}

static double high_bound_ns(const spt_workload *workload, const spt_device *device, const spt_point *point) {
    (void)workload, (void)device, (void)point;
    return 1e6;
}

static spt_status never_prepare(spt_prepared *prepared, const spt_csr *a) {
    (void)prepared, (void)a;
    return spt_fail(SPT_EUNSUPPORTED, "a planted family never runs");
}

static spt_status never_set(spt_prepared *prepared, const void *values) {
    (void)prepared, (void)values;
    return SPT_EUNSUPPORTED;
}

static spt_status never_run(const spt_prepared *prepared, const spt_call *call, int part, int n_parts) {
    (void)prepared, (void)call, (void)part, (void)n_parts;
    return SPT_EUNSUPPORTED;
}

static void release(spt_prepared *prepared) {
    (void)prepared;
}

#define PLANTED                                                                                                        \
    .op = SPT_SDDMM, .device = SPT_CPU, .dtypes = SPT_DTYPE_BIT(SPT_F16), .revision = 1, .is_valid = is_valid,         \
    .default_point = default_point, .prepare = never_prepare, .set_values = never_set, .run_part = never_run,          \
    .release = release

static const spt_family near_family = {PLANTED,           .name = "test_near", .summary = "near",
                                       .axes = tile_axes, .n_axes = 2,         .bound_ns = low_bound_ns};
static const spt_family far_family = {PLANTED,           .name = "test_far", .summary = "far",
                                      .axes = tile_axes, .n_axes = 2,        .bound_ns = high_bound_ns};
static const spt_family dense_family = {PLANTED,     .name = "test_dense",      .summary = "dense", .axes = dense_axes,
                                        .n_axes = 1, .bound_ns = high_bound_ns, .is_dense = true};
static const spt_family *const planted[] = {&near_family, &far_family, &dense_family};

/* ---- the scripted meter ---- */

#define CALLS_MAX 1000

typedef struct script {
    int n_loads, n_measured, n_rounds;
    char measured[CALLS_MAX][128];      /* "family point" of each measurement, in order */
    int stop_at_measure, stop_in_round; /* the call, counted from 1, in which a signal comes; 0: none */
    const char *failing;                /* a variant that ends with `failure`; NULL: none; "" all */
    spt_trial_status failure;
    double dense_ns;
    double noise;    /* of the finals, as a share: up in one round, down in the next */
    double erratic;  /* of the finals, too: any share up to this, another one in each round and place */
    double bad_luck; /* a search's time of the best variant, as a multiple; 0: as it is */
    double far_luck; /* a search's times of test_far, as a multiple; 0: as they are */
    double slowing;  /* the machine gets slower by this share a second */
    double slow_from_s, slow_until_s; /* it is twice as slow between them */
    double first_round_s;             /* when the finals began */
    double reference_luck;            /* a time of every fourth reference, as a multiple; 0: as they are */
    int n_references;
    spt_status status; /* what every call returns */
} script;

static script play;
static volatile sig_atomic_t stop;
static double clock_s;

static double now_s(void) {
    return clock_s;
}

/* test_near has its best, 50 us, at r=3,t=4; test_far is twice as slow; packing costs more the larger r is. */
static void perform(spt_measurement *out, const char *family, const char *point) {
    int r = 0, t = 0;
    char name[400];
    snprintf(name, sizeof name, "%s %s", family, point);
    *out = (spt_measurement){.status = SPT_TRIAL_CORRECT, .n_samples = 20, .max_error = 0.1};
    if (play.failing != NULL && (*play.failing == '\0' || strcmp(play.failing, name) == 0)) {
        out->status = play.failure;
        out->n_samples = 0;
        spt_copy_text(out->reason, sizeof out->reason, "as planted");
        return;
    }
    double time_ns = play.dense_ns * (strcmp(point, "lib=second") == 0 ? 1.1 : 1.0);
    if (sscanf(point, "r=%d,t=%d", &r, &t) == 2)
        time_ns = 50e3 * (1.0 + 0.1 * abs(r - 3) + 0.03 * abs(t - 4)) * (strcmp(family, "test_far") == 0 ? 2.0 : 1.0);
    time_ns *= 1.0 + play.slowing * clock_s;
    time_ns *= clock_s >= play.slow_from_s && clock_s < play.slow_until_s ? 2.0 : 1.0;
    out->time_ns_median = time_ns;
    out->mad_ns = 1e-4 * time_ns;
    out->ci_ns_low = 0.999 * time_ns;
    out->ci_ns_high = 1.001 * time_ns;
    out->pack_ns = 1e6 * r;
    out->packed_bytes = 1000 * (int64_t)r;
}

static spt_status play_load(void *self, const spt_workload *workload, const spt_csr *a, uint64_t seed) {
    (void)self, (void)workload, (void)a, (void)seed;
    play.n_loads++;
    return play.status;
}

static spt_status play_measure(void *self, const char *family, const char *point, double best_ns,
                               spt_measurement *out) {
    (void)self;
    assert_true(play.n_loads > 0);
    assert_true(play.n_measured < CALLS_MAX);
    if (play.stop_at_measure == play.n_measured + 1) {
        stop = 1;
        return SPT_ENOTFOUND;
    }
    snprintf(play.measured[play.n_measured++], 128, "%s %s", family, point);
    perform(out, family, point);
    clock_s += 1.0;
    if (play.bad_luck > 0.0 && strcmp(family, "test_near") == 0 && strcmp(point, "r=3,t=4") == 0)
        out->time_ns_median *= play.bad_luck;
    if (play.far_luck > 0.0 && strcmp(family, "test_far") == 0)
        out->time_ns_median *= play.far_luck;
    if (out->status == SPT_TRIAL_CORRECT && out->time_ns_median > 1.5 * best_ns)
        out->status = SPT_TRIAL_DROPPED;
    return play.status;
}

static spt_status play_reference(void *self, const spt_variant_id *variant, spt_measurement *out) {
    (void)self;
    assert_true(play.n_loads > 0);
    perform(out, variant->family, variant->point);
    if (++play.n_references % 4 == 0 && play.reference_luck > 0.0) {
        out->time_ns_median *= play.reference_luck;
        out->ci_ns_low *= play.reference_luck;
    }
    clock_s += 0.1;
    return play.status;
}

static double erratic_share(int round, int place) {
    const uint32_t bits = ((uint32_t)round * 40503u + (uint32_t)place * 10007u + 1u) * 2654435761u;
    return (double)(bits >> 16) / 32768.0 - 1.0;
}

static spt_status play_round(void *self, const spt_variant_id *variants, int n_variants, spt_measurement *out) {
    (void)self;
    assert_true(play.n_loads > 0);
    if (play.stop_in_round == play.n_rounds + 1) {
        stop = 1;
        return SPT_ENOTFOUND;
    }
    if (play.n_rounds++ == 0)
        play.first_round_s = clock_s;
    for (int i = 0; i < n_variants; i++) {
        perform(&out[i], variants[i].family, variants[i].point);
        out[i].time_ns_median *= 1.0 + ((play.n_rounds + i) % 2 != 0 ? play.noise : -play.noise);
        out[i].time_ns_median *= 1.0 + play.erratic * erratic_share(play.n_rounds, i);
    }
    return play.status;
}

/* ---- one problem ---- */

static const int64_t offsets[] = {0, 2, 3, 5};
static const int32_t columns[] = {0, 3, 1, 0, 2};
static const float values[] = {1, 2, 3, 4, 5};
static const spt_csr matrix = {sizeof(spt_csr), 3, 4, offsets, columns, values};
static spt_device device;

static spt_problem sddmm(int64_t n) {
    return (spt_problem){.size = sizeof(spt_problem), .op = SPT_SDDMM, .dtype = SPT_F16, .n = n, .threads = 1};
}

static spt_drive new_drive(spt_db *db, int64_t budget) {
    spt_drive drive = {.db = db,
                       .device = &device,
                       .strategy = spt_strategy_find("random"),
                       .families = "test_near,test_far,test_dense",
                       .seed = 7,
                       .budget = budget,
                       .policy = spt_measure_policy_default(),
                       .now_s = now_s,
                       .stop = &stop};
    drive.meter = (spt_drive_meter){.load = play_load, .measure = play_measure, .round = play_round};
    drive.session.seed = drive.seed;
    drive.session.budget = budget;
    spt_copy_text(drive.session.strategy, sizeof drive.session.strategy, drive.strategy->name);
    spt_measure_policy_text(drive.session.policy, &drive.policy);
    return drive;
}

static spt_drive_result tune(spt_drive *drive) {
    spt_drive_result result;
    spt_problem problem = sddmm(16);
    spt_status status = spt_drive_problem(&result, drive, &matrix, &problem, INFINITY);
    if (status != SPT_OK)
        fail_msg("%s", spt_last_error());
    return result;
}

static spt_drive_result tune_anew(spt_db *db, int64_t budget) {
    spt_drive drive = new_drive(db, budget);
    return tune(&drive);
}

static int64_t count_sessions(spt_db *db) {
    spt_db_info info;
    assert_int_equal(spt_db_info_read(&info, db), SPT_OK);
    return info.sessions;
}

static int set_up(void **state) {
    spt_db *db = NULL;
    play = (script){.dense_ns = 100e3};
    stop = 0;
    clock_s = 0.0;
    device = (spt_device){.kind = SPT_CPU, .isa = SPT_ISA_PLAIN, .l1d_bytes = 32768, .l2_bytes = 1048576, .n_cores = 1};
    spt_copy_text(device.key, sizeof device.key, "cpu|test|1|1|plain|32768|1048576");
    spt_copy_text(device.isa_set, sizeof device.isa_set, "plain");
    spt_copy_text(device.name, sizeof device.name, "test");
    spt_copy_text(device.vendor, sizeof device.vendor, "test");
    spt_registry_plant(planted, 3);
    if (spt_db_open(&db, ":memory:", SPT_DB_WRITE) != SPT_OK)
        return -1;
    *state = db;
    return 0;
}

static int tear_down(void **state) {
    spt_db_close(*state);
    return 0;
}

#define N_VALID 22 /* of 25 points of a tile family, r + t < 7 counted from 0 */

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
        drive.policy.uses = (int64_t)1000000000000 + (int64_t)i; /* another policy, so nothing is known */
        spt_measure_policy_text(drive.session.policy, &drive.policy);
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

static char best_seen[SPT_POINT_TEXT_MAX]; /* what the search thinks is the best */

static void see_best(void *user, const spt_drive_progress *progress) {
    (void)user;
    spt_copy_text(best_seen, sizeof best_seen, progress->best_point);
}

/* What is measured late looks slow, unless the untuned answer is measured again beside it. */
static void a_machine_that_slows_down_changes_no_order(void **state) {
    for (int with_reference = 0; with_reference < 2; with_reference++) {
        spt_drive drive = new_drive(*state, 1000);
        drive.policy.uses = (int64_t)1000000000000 + with_reference; /* another policy, so nothing is known */
        spt_measure_policy_text(drive.session.policy, &drive.policy);
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
        drive.policy.uses = (int64_t)1000000000000 + i;
        spt_measure_policy_text(drive.session.policy, &drive.policy);
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

static void open_finals_get_more_rounds(void **state) {
    const spt_measure_policy policy = spt_measure_policy_default();
    play.erratic = 0.08;
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

static void packing_counts_when_uses_are_few(void **state) {
    spt_drive drive = new_drive(*state, 1000);
    drive.policy.uses = 1;
    spt_measure_policy_text(drive.session.policy, &drive.policy);
    spt_drive_result result = tune(&drive);
    assert_int_equal(result.evaluations, 2 * N_VALID + 2);
    assert_string_equal(result.winner.family, "test_dense"); /* which packs nothing */
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

#define CLAIM(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

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
        CLAIM(a_tie_is_never_won_by_what_is_slower_than_the_default),
        CLAIM(dropped_yardsticks_still_race_in_the_finals),
        CLAIM(a_stopped_search_keeps_what_it_has_and_goes_on),
        CLAIM(stopped_finals_go_on_with_the_missing_rounds),
        CLAIM(heats_give_an_unlucky_trial_another_chance),
        CLAIM(heats_are_not_for_the_hopeless),
        CLAIM(every_familys_best_contends),
        CLAIM(a_machine_that_slows_down_changes_no_order),
        CLAIM(a_disturbed_reference_makes_no_best),
        CLAIM(a_steady_machine_keeps_times_as_they_are),
        CLAIM(finals_wait_for_a_calm_machine),
        CLAIM(open_finals_get_more_rounds),
        CLAIM(spent_time_stops_the_search_but_not_yardsticks_and_finals),
        CLAIM(packing_counts_when_uses_are_few),
        CLAIM(another_policy_measures_again),
        CLAIM(another_width_is_another_problem),
        CLAIM(a_meter_without_worker_ends_the_problem),
        CLAIM(an_unsorted_matrix_is_refused),
        CLAIM(every_strategy_finds_the_optimum_of_the_whole_space),
        CLAIM(results_survive_in_a_file),
        CLAIM(every_failed_allocation_is_an_answer),
        CLAIM(lists_of_families_match_whole_names),
        CLAIM(a_winner_of_another_build_runs_again_before_it_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What tests of the drive loop share: planted families, a scripted meter and a scripted clock. Nothing takes real time.
 */
#ifndef SPT_TESTS_DRIVE_FIXTURE_H
#define SPT_TESTS_DRIVE_FIXTURE_H

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

static inline bool is_valid(const spt_workload *workload, const spt_device *device, const spt_point *point) {
    (void)workload, (void)device;
    return point->index[0] + point->index[1] < 7;
}

static inline void default_point(const spt_workload *workload, const spt_device *device, spt_point *out) {
    (void)workload, (void)device;
    *out = (spt_point){0};
}

static inline double low_bound_ns(const spt_workload *workload, const spt_device *device, const spt_point *point) {
    (void)workload, (void)device, (void)point;
    return 1e-6;
}

static inline double high_bound_ns(const spt_workload *workload, const spt_device *device, const spt_point *point) {
    (void)workload, (void)device, (void)point;
    return 1e6;
}

static inline spt_status never_prepare(spt_prepared *prepared, const spt_csr *a) {
    (void)prepared, (void)a;
    return spt_fail(SPT_EUNSUPPORTED, "a planted family never runs");
}

static inline spt_status never_set(spt_prepared *prepared, const void *values) {
    (void)prepared, (void)values;
    return SPT_EUNSUPPORTED;
}

static inline spt_status never_run(const spt_prepared *prepared, const spt_call *call, int part, int n_parts) {
    (void)prepared, (void)call, (void)part, (void)n_parts;
    return SPT_EUNSUPPORTED;
}

static inline void release(spt_prepared *prepared) {
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
    double default_slow_until_s;      /* it is three times as slow alone */
    double round_s;                   /* what a round takes */
    int disturbed_rounds;             /* in the first ones the default is 1.6 and the best variant 2 times as slow */
    double first_round_s;             /* when the finals began */
    double reference_luck;            /* a time of every fourth reference, as a multiple; 0: as they are */
    int n_references;
    spt_status status; /* what every call returns */
} script;

static script play;
static volatile sig_atomic_t stop;
static double clock_s;

static inline double now_s(void) {
    return clock_s;
}

/* test_near has its best, 50 us, at r=3,t=4; test_far is twice as slow; packing costs more the larger r is. */
static inline void perform(spt_measurement *out, const char *family, const char *point) {
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
    time_ns *= clock_s < play.default_slow_until_s && strcmp(name, "test_near r=1,t=1") == 0 ? 3.0 : 1.0;
    out->time_ns_median = time_ns;
    out->mad_ns = 1e-4 * time_ns;
    out->ci_ns_low = 0.999 * time_ns;
    out->ci_ns_high = 1.001 * time_ns;
    out->pack_ns = 1e6 * r;
    out->packed_bytes = 1000 * (int64_t)r;
}

static inline spt_status play_load(void *self, const spt_workload *workload, const spt_csr *a, uint64_t seed) {
    (void)self, (void)workload, (void)a, (void)seed;
    play.n_loads++;
    return play.status;
}

static inline spt_status play_measure(void *self, const char *family, const char *point, double best_ns,
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

static inline spt_status play_reference(void *self, const spt_variant_id *variant, spt_measurement *out) {
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

static inline double erratic_share(int round, int place) {
    const uint32_t bits = ((uint32_t)round * 40503u + (uint32_t)place * 10007u + 1u) * 2654435761u;
    return (double)(bits >> 16) / 32768.0 - 1.0;
}

static inline spt_status play_round(void *self, const spt_variant_id *variants, int n_variants, spt_measurement *out) {
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
        if (play.n_rounds <= play.disturbed_rounds && strcmp(variants[i].family, "test_near") == 0)
            out[i].time_ns_median *= variants[i].is_default                      ? 1.6
                                     : strcmp(variants[i].point, "r=3,t=4") == 0 ? 2.0
                                                                                 : 1.0;
        out[i].time_ns_median *= 1.0 + play.erratic * erratic_share(play.n_rounds, i);
    }
    clock_s += play.round_s;
    return play.status;
}

/* ---- one problem ---- */

static const int64_t offsets[] = {0, 2, 3, 5};
static const int32_t columns[] = {0, 3, 1, 0, 2};
static const float values[] = {1, 2, 3, 4, 5};
static const spt_csr matrix = {sizeof(spt_csr), 3, 4, offsets, columns, values};
static spt_device device;

static inline spt_problem sddmm(int64_t n) {
    return (spt_problem){.size = sizeof(spt_problem), .op = SPT_SDDMM, .dtype = SPT_F16, .n = n, .threads = 1};
}

static inline spt_drive new_drive(spt_db *db, int64_t budget) {
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
    drive.policy.climbs = 0; /* rounds are counted; test_climb.c is about these */
    drive.session.seed = drive.seed;
    drive.session.budget = budget;
    spt_copy_text(drive.session.strategy, sizeof drive.session.strategy, drive.strategy->name);
    spt_measure_policy_text(drive.session.policy, &drive.policy);
    return drive;
}

/* Another policy for every number, so that nothing is known. */
static inline void forget_known(spt_drive *drive, int64_t number) {
    drive->policy.uses = 1000000000000 + number;
    spt_measure_policy_text(drive->session.policy, &drive->policy);
}

static inline spt_drive_result tune(spt_drive *drive) {
    spt_drive_result result;
    spt_problem problem = sddmm(16);
    spt_status status = spt_drive_problem(&result, drive, &matrix, &problem, INFINITY);
    if (status != SPT_OK)
        fail_msg("%s", spt_last_error());
    return result;
}

static inline spt_drive_result tune_anew(spt_db *db, int64_t budget) {
    spt_drive drive = new_drive(db, budget);
    return tune(&drive);
}

static inline int64_t count_sessions(spt_db *db) {
    spt_db_info info;
    assert_int_equal(spt_db_info_read(&info, db), SPT_OK);
    return info.sessions;
}

static inline int set_up(void **state) {
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

static inline int tear_down(void **state) {
    spt_db_close(*state);
    return 0;
}

#define N_VALID 22 /* of 25 points of a tile family, r + t < 7 counted from 0 */

#define CLAIM(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Deriving winners from made-up trials: no database, no clock. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/random.h"
#include "db/derive.h"

enum { RUNS_MAX = 256 };

static spt_run runs[RUNS_MAX];
static spt_candidate ranking[RUNS_MAX];
static int64_t n_runs, n_ranked;

static int setup(void **state) {
    (void)state;
    memset(runs, 0, sizeof runs);
    n_runs = n_ranked = 0;
    return 0;
}

/* A variant's id is its name's first letter. "default" is the default, "Dense" is dense. Sessions are 1 to 9. */
static spt_run *add(const char *family, bool is_final, int session, int round, double time_ns) {
    static char uuids[10][16];
    assert_true(n_runs < RUNS_MAX && (size_t)session < sizeof uuids / sizeof uuids[0]);
    snprintf(uuids[session], sizeof uuids[session], "session-%d", session);
    spt_run *run = &runs[n_runs++];
    *run = (spt_run){.family = family,
                     .point = "-",
                     .library = "",
                     .uuid = uuids[session],
                     .variant = family[0],
                     .session = session,
                     .started_unix_s = 1000 + session,
                     .round = round,
                     .revision = 1,
                     .is_final = is_final,
                     .is_default = strcmp(family, "default") == 0,
                     .is_dense = strcmp(family, "Dense") == 0,
                     .time_ns = time_ns};
    return run;
}

/* `count` final rounds of a session, the machine slowing down from round to round. */
static void add_finals(const char *family, int session, int count, double time_ns) {
    for (int round = 0; round < count; round++)
        add(family, true, session, round, time_ns * (1.0 + round));
}

static void derive(void) {
    assert_int_equal(spt_derive(ranking, &n_ranked, runs, n_runs), SPT_OK);
}

static void expect_ranking(const char *families) {
    char found[256] = "";
    derive();
    for (int64_t i = 0; i < n_ranked; i++) {
        strncat(found, i > 0 ? " " : "", sizeof found - strlen(found) - 1);
        strncat(found, ranking[i].newest->family, sizeof found - strlen(found) - 1);
    }
    assert_string_equal(found, families);
}

static void expect_near(double found, double expected) {
    if (!(fabs(found - expected) <= 1e-9 * fabs(expected)))
        fail_msg("expected %g, found %g", expected, found);
}

static void no_trials_give_no_winners(void **state) {
    (void)state;
    expect_ranking("");
}

static void rounds_of_all_sessions_are_pooled_by_their_ratios(void **state) {
    (void)state;
    add_finals("default", 1, 3, 100.0);
    add_finals("a", 1, 3, 50.0);
    add_finals("b", 1, 3, 40.0);
    add_finals("default", 2, 5, 1000.0); /* a session on a slower clock */
    add_finals("a", 2, 5, 500.0);
    add_finals("b", 2, 5, 600.0); /* ratios 0.4 three times, 0.6 five times */
    expect_ranking("a b default");
    expect_near(ranking[0].speedup_over_default, 2.0);
    expect_near(ranking[1].speedup_over_default, 1.0 / 0.6);
    assert_int_equal(ranking[0].n_rounds, 8);
}

/* In every round the default is hit, by another amount, and a and b once each: the default's luck is not theirs. */
static void a_disturbed_default_changes_nobody_elses_score(void **state) {
    (void)state;
    static const double disturbed[] = {1.0, 1.9, 1.3, 2.5, 1.6};
    for (int round = 0; round < 5; round++) {
        const double pace = 1.0 + round;
        add("default", true, 1, round, 100.0 * pace * disturbed[round]);
        add("a", true, 1, round, 50.0 * pace * (round == 1 ? 1.5 : 1.0));
        add("b", true, 1, round, 50.5 * pace * (round == 3 ? 1.5 : 1.0))->bytes = 10;
        add("c", true, 1, round, 70.0 * pace);
        add("e", true, 1, round, 80.0 * pace);
    }
    expect_ranking("a b c e default");
    expect_near(ranking[1].score / ranking[0].score, 1.01);
    expect_near(ranking[2].score / ranking[0].score, 1.4);
    expect_near(ranking[0].speedup_over_default, 2.6); /* the median of what it showed in the calmer rounds: 130 */
    expect_near(ranking[2].score_high, ranking[2].score_low);
}

/* Something slows the machine down in most rounds, and "code" more than "loop". */
static void calm_rounds_say_more_than_disturbed_ones(void **state) {
    (void)state;
    for (int round = 0; round < 8; round++) {
        const bool is_disturbed = round % 2 == 1 || round == 0;
        add("default", true, 1, round, is_disturbed ? 180.0 : 100.0);
        add("code", true, 1, round, is_disturbed ? 110.0 : 50.0);
        add("loop", true, 1, round, is_disturbed ? 100.0 : 60.0);
    }
    expect_ranking("code loop default");
    expect_near(ranking[0].time_ns, 50.0);
    expect_near(ranking[0].speedup_over_default, 2.0);
    assert_int_equal(ranking[0].n_rounds, 8);
}

static void neither_order_nor_ids_of_the_trials_matter(void **state) {
    (void)state;
    spt_random random;
    spt_random_init(&random, 5);
    for (int shuffle = 0; shuffle < 50; shuffle++) {
        setup(NULL);
        for (int session = 1; session <= 2; session++) {
            add_finals("default", session, 4, 100.0);
            add_finals("a", session, 4, 50.0 + session);
            add_finals("b", session, 4, 50.0 - session);
            add_finals("Dense", session, 4, 70.0);
        }
        for (int64_t i = n_runs - 1; i > 0; i--) {
            const int64_t j = (int64_t)spt_random_below(&random, (uint64_t)i + 1);
            const spt_run kept = runs[i];
            runs[i] = runs[j];
            runs[j] = kept;
        }
        for (int64_t i = 0; i < n_runs; i++) { /* the ids that another file might have given */
            runs[i].variant = (runs[i].variant * 37 + shuffle * 11) % 257;
            runs[i].session = shuffle % 2 == 0 ? runs[i].session : 9 - runs[i].session;
        }
        expect_ranking("b a Dense default");
        expect_near(ranking[0].speedup_over_dense, 70.0 / 48.5);
        assert_string_equal(ranking[0].newest->uuid, "session-2");
    }
}

static void finals_without_a_default_leave_the_word_to_search(void **state) {
    (void)state;
    for (int round = 0; round < 3; round++) {
        add("default", true, 1, round, 100.0)->status = SPT_TRIAL_TIMEOUT;
        add("a", true, 1, round, 10.0);
    }
    add("a", false, 1, 0, 30.0);
    add("b", false, 1, 0, 20.0);
    add("default", false, 1, 0, 5.0); /* it failed in finals */
    expect_ranking("b a");
    expect_near(ranking[0].time_ns, 20.0);
    assert_true(ranking[0].speedup_over_default == 0.0 && ranking[0].speedup_over_dense == 0.0);
}

static void a_default_that_failed_once_still_measures_its_other_rounds(void **state) {
    (void)state;
    add_finals("default", 1, 5, 100.0);
    runs[2].status = SPT_TRIAL_TIMEOUT;
    add_finals("a", 1, 5, 80.0);
    expect_ranking("a");
    expect_near(ranking[0].speedup_over_default, 1.25);
    assert_int_equal(ranking[0].n_rounds, 4);
}

/* A new version has another default, and most of what its finals measured is new as well: only "Dense" and, in heats,
 * "a" tell the sessions' scales apart. */
static void sessions_of_different_defaults_meet_on_one_scale(void **state) {
    (void)state;
    for (int order = 0; order < 2; order++) {
        const int older = order == 0 ? 1 : 2, newer = 3 - older;
        setup(NULL);
        add_finals("default", older, 14, 90.0);
        add_finals("a", older, 14, 60.0);
        add_finals("Dense", older, 14, 100.0);
        add_finals("Dense", newer, 11, 1000.0); /* on a slower clock */
        add_finals("a", newer, 3, 600.0);
        add_finals("new", newer, 11, 480.0);
        add_finals("other", newer, 11, 500.0);
        add_finals("third", newer, 11, 510.0);
        for (int64_t i = 0; i < n_runs; i++)
            if (runs[i].family[0] == 'n')
                runs[i].is_default = true;
        expect_ranking("new other third a default Dense");
        expect_near(ranking[0].speedup_over_dense, 100.0 / 48.0);
        expect_near(ranking[0].speedup_over_default, order == 0 ? 1.0 : 90.0 / 48.0);
    }
}

/* A kernel that came with a new version, and is the default now, need not be measured as often as the old ones were. */
static void half_the_rounds_of_one_session_are_enough(void **state) {
    (void)state;
    add_finals("default", 1, 14, 100.0);
    add_finals("a", 1, 14, 50.0);
    add_finals("a", 2, 3, 500.0); /* on a slower clock, the old default not among them */
    add_finals("new", 2, 3, 400.0);
    for (int i = 0; i < n_runs; i++)
        if (runs[i].session == 2 && strcmp(runs[i].family, "new") == 0)
            runs[i].is_default = true;
    expect_ranking("new a default");
}

static void a_variant_needs_three_rounds_and_half_of_a_session(void **state) {
    (void)state;
    add_finals("default", 1, 10, 100.0);
    add_finals("a", 1, 5, 50.0);
    add_finals("b", 1, 4, 10.0); /* less than half of ten */
    expect_ranking("a default");
    setup(NULL);
    add_finals("default", 1, 4, 100.0);
    add_finals("a", 1, 3, 50.0);
    add_finals("b", 1, 2, 10.0); /* less than three */
    expect_ranking("a default");
    setup(NULL);
    add_finals("default", 1, 2, 100.0); /* nothing has three: what there is decides */
    add_finals("a", 1, 2, 50.0);
    expect_ranking("a default");
}

/* A tuner that climbs has long sessions, and yardsticks are in its first and its last rounds. */
static void sixteen_rounds_are_enough_however_long_a_session_is(void **state) {
    (void)state;
    add_finals("default", 1, 60, 100.0);
    add_finals("a", 1, 60, 50.0);
    add_finals("Dense", 1, 16, 400.0);
    add_finals("b", 1, 15, 10.0);
    expect_ranking("a default Dense");
    expect_near(ranking[0].speedup_over_dense, 8.0);
}

typedef struct fault_row {
    spt_trial_status status;
    bool is_final;
    bool is_out; /* is the variant, correct in all finals otherwise, ruled out by it? */
} fault_row;

static void a_failure_in_finals_or_a_wrong_result_rules_a_variant_out(void **state) {
    (void)state;
    static const fault_row faults[] = {
        {SPT_TRIAL_CORRECTNESS, true, true}, {SPT_TRIAL_RUNTIME, true, true},   {SPT_TRIAL_TIMEOUT, true, true},
        {SPT_TRIAL_COMPILE, true, true},     {SPT_TRIAL_DROPPED, true, true},   {SPT_TRIAL_CORRECTNESS, false, true},
        {SPT_TRIAL_RUNTIME, false, false},   {SPT_TRIAL_TIMEOUT, false, false}, {SPT_TRIAL_DROPPED, false, false},
        {SPT_TRIAL_CORRECT, false, false},
    };
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        setup(NULL);
        add_finals("default", 1, 5, 100.0);
        add_finals("a", 1, 5, 50.0);
        add("a", faults[i].is_final, 2, 7, 1.0)->status = faults[i].status;
        expect_ranking(faults[i].is_out ? "default" : "a default");
    }
}

static void only_the_highest_revision_of_a_family_counts(void **state) {
    (void)state;
    add_finals("default", 1, 3, 100.0);
    add_finals("a", 1, 3, 10.0);
    add("a", false, 2, 0, 500.0)->revision = 2;
    runs[n_runs - 1].variant = 'A';
    add_finals("b", 1, 3, 60.0);
    expect_ranking("b default");
    setup(NULL);
    add("a", false, 1, 0, 10.0);
    add("a", false, 1, 1, 30.0)->revision = 2;
    runs[n_runs - 1].variant = 'A';
    add("b", false, 1, 0, 20.0);
    expect_ranking("b a");
    assert_int_equal(ranking[1].newest->revision, 2);
}

typedef struct uses_row {
    double earlier, latest;
    const char *winner;
} uses_row;

static void the_newest_session_says_how_often_a_packing_is_used(void **state) {
    (void)state;
    static const uses_row rows[] = {
        {0, 0, "packed"}, {1, 0, "packed"}, {0, 1, "loose"}, {1000, 10, "loose"}, {1, 1000, "packed"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        setup(NULL);
        for (int session = 1; session <= 2; session++) {
            add_finals("default", session, 3, 100.0);
            add_finals("loose", session, 3, 80.0);
            add_finals("packed", session, 3, 50.0);
        }
        for (int64_t j = 0; j < n_runs; j++) {
            runs[j].uses = runs[j].session == 1 ? rows[i].earlier : rows[i].latest;
            runs[j].pack_ns = strcmp(runs[j].family, "packed") == 0 ? 5000.0 : 0.0;
        }
        derive();
        assert_string_equal(ranking[0].newest->family, rows[i].winner);
    }
    expect_near(ranking[0].time_ns,
                75.0); /* the time itself stays what was measured in the calmer rounds: 50, 100 twice */
}

typedef struct policy_row {
    const char *policy;
    double uses;
} policy_row;

static void uses_are_read_from_any_policy_text(void **state) {
    (void)state;
    static const policy_row rows[] = {{"", 0},         {"v1 uses=0", 0}, {"v1 uses=12 x", 12}, {"uses=-3", 0},
                                      {"uses=nan", 0}, {"uses=inf", 0},  {"uses=", 0},         {"uses=1e3", 1000}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_true(spt_policy_uses(rows[i].policy) == rows[i].uses);
}

/* Times of `small` against `large` (49.9 in each of five rounds) that tie or do not; the default takes 100. */
typedef struct tie_row {
    double small[5];
    double default_ns;
    const char *winner;
} tie_row;

static void a_tie_saves_memory_but_never_time_of_the_default(void **state) {
    (void)state;
    static const tie_row rows[] = {
        {{49.0, 50.2, 50.2, 50.2, 50.2}, 100.0, "small"}, /* 0.6 % slower, intervals overlap */
        {{50.1, 50.2, 50.2, 50.2, 50.3}, 100.0, "large"}, /* 0.6 % slower, always */
        {{49.0, 60.0, 60.0, 60.0, 60.0}, 100.0, "large"}, /* once faster, 20 % slower */
        {{49.0, 50.2, 50.2, 50.2, 50.2}, 50.0, "large"},  /* slower than the default */
        {{49.9, 49.9, 49.9, 49.9, 49.9}, 100.0, "small"}, /* equal */
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        setup(NULL);
        for (int round = 0; round < 5; round++) {
            add("default", true, 1, round, rows[i].default_ns)->bytes = 5000;
            add("large", true, 1, round, 49.9)->bytes = 1000;
            add("small", true, 1, round, rows[i].small[round])->bytes = 10;
        }
        derive();
        if (strcmp(ranking[0].newest->family, rows[i].winner) != 0)
            fail_msg("row %zu: expected %s, found %s", i, rows[i].winner, ranking[0].newest->family);
    }
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(no_trials_give_no_winners),
        TEST(rounds_of_all_sessions_are_pooled_by_their_ratios),
        TEST(a_disturbed_default_changes_nobody_elses_score),
        TEST(calm_rounds_say_more_than_disturbed_ones),
        TEST(neither_order_nor_ids_of_the_trials_matter),
        TEST(finals_without_a_default_leave_the_word_to_search),
        TEST(a_default_that_failed_once_still_measures_its_other_rounds),
        TEST(sessions_of_different_defaults_meet_on_one_scale),
        TEST(half_the_rounds_of_one_session_are_enough),
        TEST(a_variant_needs_three_rounds_and_half_of_a_session),
        TEST(sixteen_rounds_are_enough_however_long_a_session_is),
        TEST(a_failure_in_finals_or_a_wrong_result_rules_a_variant_out),
        TEST(only_the_highest_revision_of_a_family_counts),
        TEST(the_newest_session_says_how_often_a_packing_is_used),
        TEST(uses_are_read_from_any_policy_text),
        TEST(a_tie_saves_memory_but_never_time_of_the_default),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Exporting and merging as properties of random databases.
 * SPT_MERGE_TRIALS=1000000 times the merge of two databases of so many trials. */
#include <time.h>

#include "db/base64.h"
#include "db/positions.h"
#include "tests/exchange_fixture.h"

static void merging_is_idempotent_commutative_and_associative(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 8; seed++) {
        const int64_t n_trials = 1 + (int64_t)seed * (int64_t)seed * 8;
        make("a", &small, 3 * seed, n_trials);
        make("b", &small, 3 * seed + 1, n_trials);
        make("c", &small, 3 * seed + 2, n_trials);
        merge("aa", "a", "a");
        expect_equal("a", "aa");
        merge("ab", "a", "b");
        merge("ba", "b", "a");
        expect_equal("ab", "ba");
        merge("bc", "b", "c");
        merge("ab_c", "ab", "c");
        merge("a_bc", "a", "bc");
        expect_equal("ab_c", "a_bc");
        merge("a", "bc", NULL); /* into a file that exists */
        expect_equal("ab_c", "a");
        export_to("b", "b.jsonl", &(spt_export_options){0});
        import_from("c", "b.jsonl", &(spt_import_options){.strict = true});
        expect_equal("bc", "c");
        remove_all();
    }
}

static void an_import_of_an_export_is_the_same_database(void **state) {
    (void)state;
    for (uint64_t seed = 100; seed < 106; seed++) {
        make("a", &small, seed, 40 * (int64_t)(seed - 99));
        make("b", &small, seed + 50, 200);
        const spt_export_result out = export_to("a", "a.jsonl.gz", &(spt_export_options){0});
        const spt_import_result in = import_from("copy", "a.jsonl.gz", &(spt_import_options){.strict = true});
        assert_int_equal(out.n_skipped, 0);
        assert_int_equal(in.n_records, out.n_records);
        assert_int_equal(in.n_refused, 0);
        expect_equal("a", "copy");
        assert_int_equal(import_from("copy", "a.jsonl.gz", &(spt_import_options){0}).n_trials_new, 0);
        import_from("b", "a.jsonl.gz", &(spt_import_options){0}); /* importing is merging */
        merge("ab", "copy", "b");
        expect_equal("ab", "b");
        remove_all();
    }
}

static void an_anonymous_export_tells_less_and_never_displaces_the_original(void **state) {
    (void)state;
    char *data;
    size_t size;
    make("a", &small, 7, 300);
    make("original", &small, 7, 300);
    export_to("a", "anonymous.jsonl", &(spt_export_options){.anonymous = true});
    expect_ok(spt_file_read(&data, &size, in_folder("anonymous.jsonl"), (size_t)1 << 30));
    assert_null(strstr(data, "host"));
    assert_null(strstr(data, "Linux"));
    assert_null(strstr(data, "it said"));
    assert_non_null(strstr(data, "\"trial\""));
    spt_free(data);
    import_from("a", "anonymous.jsonl", &(spt_import_options){.strict = true});
    expect_equal("a", "original");
    import_from("stranger", "anonymous.jsonl", &(spt_import_options){.strict = true});
    merge("both", "stranger", "original");
    expect_equal("both", "original");
}

static void expect_same_file(const char *one, const char *other) {
    char *data[2];
    size_t size;
    expect_ok(spt_file_read(&data[0], &size, in_folder(one), (size_t)1 << 30));
    expect_ok(spt_file_read(&data[1], &size, in_folder(other), (size_t)1 << 30));
    assert_string_equal(data[0], data[1]);
    spt_free(data[0]);
    spt_free(data[1]);
}

static void positions_round_trip_and_damaged_ones_are_refused(void **state) {
    (void)state;
    for (int i = 0; i < support_pattern_count(); i++) {
        spt_matrix matrix, back;
        void *data;
        size_t size;
        support_pattern_build(&matrix, support_pattern_at(i));
        const spt_hash128 fingerprint = spt_pattern_fingerprint(&matrix.view);
        expect_ok(spt_positions_encode(&data, &size, &matrix.view));
        expect_ok(spt_positions_check(data, size, &fingerprint));
        for (size_t at = 0; at < size; at++) { /* every byte counts; what is decoded all the same is a matrix */
            ((uint8_t *)data)[at] ^= 0x11;
            if (spt_positions_decode(&back, data, size) == SPT_OK)
                spt_matrix_fini(&back);
            assert_true(spt_positions_check(data, size, &fingerprint) != SPT_OK || at > 0);
            ((uint8_t *)data)[at] ^= 0x11;
            expect_error(SPT_EINVAL, "positions", spt_positions_decode(&back, data, at));
        }
        spt_free(data);
        spt_matrix_fini(&matrix);
    }
}

static void positions_travel_on_request(void **state) {
    (void)state;
    spt_matrix matrix, back;
    spt_pattern described;
    spt_item_pattern pattern;
    spt_db *db;
    char *data;
    size_t size;
    support_pattern_build(&matrix, support_pattern_at(11));
    expect_ok(spt_pattern_init(&described, &matrix.view));
    make("a", &small, 1, 50);
    expect_ok(spt_db_open(&db, in_folder("a"), SPT_DB_WRITE));
    pattern = (spt_item_pattern){.fingerprint = described.fingerprint,
                                 .n_rows = described.n_rows,
                                 .n_cols = described.n_cols,
                                 .nnz = described.nnz};
    spt_features_text(pattern.features, sizeof pattern.features, &described.features);
    expect_ok(spt_put_pattern(db, &pattern));
    expect_error(SPT_ENOTFOUND, "positions", spt_db_positions_read(&back, db, &described.fingerprint));
    expect_ok(spt_db_positions_add(db, &described.fingerprint, &matrix.view));
    spt_db_close(db);
    export_to("a", "without.jsonl", &(spt_export_options){0});
    export_to("a", "with.jsonl", &(spt_export_options){.with_positions = true});
    expect_ok(spt_file_read(&data, &size, in_folder("without.jsonl"), (size_t)1 << 30));
    assert_null(strstr(data, "positions"));
    spt_free(data);
    import_from("b", "with.jsonl", &(spt_import_options){.strict = true});
    export_to("b", "again.jsonl", &(spt_export_options){.with_positions = true});
    expect_same_file("with.jsonl", "again.jsonl");
    merge("c", "b", "a"); /* a merge keeps them */
    export_to("c", "again.jsonl", &(spt_export_options){.with_positions = true});
    expect_same_file("with.jsonl", "again.jsonl");
    expect_ok(spt_db_open(&db, in_folder("c"), SPT_DB_READ));
    expect_ok(spt_db_positions_read(&back, db, &described.fingerprint));
    assert_int_equal(spt_csr_nnz(&back.view), described.nnz);
    assert_memory_equal(back.columns, matrix.columns, (size_t)described.nnz * sizeof *back.columns);
    spt_matrix_fini(&back);
    spt_matrix_fini(&matrix);
    spt_db_close(db);
    n_refused = 0; /* positions of another pattern are refused */
    change_line("with.jsonl", "bad.jsonl", "\"positions\":\"A", "\"positions\":\"B");
    import_from("d", "bad.jsonl", &(spt_import_options){.refused = note_refused});
    assert_int_equal(n_refused, 1);
    assert_non_null(strstr(refused_sentence, "stored positions"));
}

static void a_merge_that_fails_leaves_nothing_behind(void **state) {
    (void)state;
    spt_merge_result result;
    make("a", &small, 15, 50);
    make("same", &small, 15, 50);
    const char *const sources[] = {in_folder("a"), in_folder("missing")};
    expect_error(SPT_EIO, "missing", spt_db_merge_files(&result, in_folder("new"), sources, 2));
    assert_int_equal(access(in_folder("new"), F_OK), -1);
    make("b", &small, 16, 50);
    const char *const more[] = {in_folder("b"), in_folder("missing")};
    expect_error(SPT_EIO, "missing", spt_db_merge_files(&result, in_folder("a"), more, 2));
    expect_equal("a", "same");
}

/* More files than are open at once; their sessions displace each other's. */
static void many_files_merge_like_one_after_the_other(void **state) {
    (void)state;
    enum { FILES = 37 };
    char names[FILES][16], paths[FILES][300];
    const char *sources[FILES];
    spt_merge_result result;
    for (int i = 0; i < FILES; i++) {
        snprintf(names[i], sizeof names[i], "file%d", i);
        make(names[i], &small, 500 + (uint64_t)i, 60);
        snprintf(paths[i], sizeof paths[i], "%s", in_folder(names[i]));
        sources[FILES - 1 - i] = paths[i];
        merge("one_by_one", names[i], NULL);
    }
    expect_ok(spt_db_merge_files(&result, in_folder("together"), sources, FILES));
    assert_int_equal(result.n_skipped, 0);
    expect_equal("one_by_one", "together");
    expect_ok(spt_db_merge_files(&result, in_folder("together"), sources, FILES));
    assert_int_equal(result.n_trials_new, 0);
    expect_equal("one_by_one", "together");
}

static void base64_round_trips(void **state) {
    (void)state;
    uint8_t bytes[64];
    for (size_t size = 0; size <= sizeof bytes; size++) {
        char *text;
        void *back;
        size_t back_size;
        for (size_t i = 0; i < size; i++)
            bytes[i] = (uint8_t)(i * 37 + size);
        expect_ok(spt_base64_encode(&text, bytes, size));
        expect_ok(spt_base64_decode(&back, &back_size, text, strlen(text)));
        assert_int_equal(back_size, size);
        assert_memory_equal(back, bytes, size);
        spt_free(text);
        spt_free(back);
    }
    static const char *const wrong[] = {"A", "AA", "AAA", "A===", "AA=A", "AB==", "AAB=", "AA A", "\xff\xff\xff\xff"};
    for (int i = 0; i < N_ITEMS(wrong); i++) {
        void *back;
        size_t size;
        expect_error(SPT_EINVAL, "base64", spt_base64_decode(&back, &size, wrong[i], strlen(wrong[i])));
    }
}

static double now_s(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* Of this process; on a busy machine it says more than the clock. */
static double cpu_s(void) {
    return (double)clock() / CLOCKS_PER_SEC;
}

static void large_databases_merge_in_both_orders(void **state) {
    (void)state;
    static const random_world large = {3, 500, 20000, 50, 400, 5};
    const char *given = getenv("SPT_MERGE_TRIALS");
    const int64_t n_trials = given != NULL ? atoll(given) : 20000;
    make("a", &large, 1, n_trials);
    make("b", &large, 2, n_trials);
    double start = now_s(), cpu_start = cpu_s();
    const spt_merge_result result = merge("ab", "a", "b");
    print_message("merge: two databases with %lld trials in all, %lld kept: %.2f s, %.2f s of CPU\n",
                  (long long)result.n_trials, (long long)result.n_trials_new, now_s() - start, cpu_s() - cpu_start);
    start = now_s();
    merge("ba", "b", "a");
    print_message("merge: the other order %.2f s\n", now_s() - start);
    expect_equal("ab", "ba");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(merging_is_idempotent_commutative_and_associative, setup, teardown),
        cmocka_unit_test_setup_teardown(an_import_of_an_export_is_the_same_database, setup, teardown),
        cmocka_unit_test_setup_teardown(an_anonymous_export_tells_less_and_never_displaces_the_original, setup,
                                        teardown),
        cmocka_unit_test(positions_round_trip_and_damaged_ones_are_refused),
        cmocka_unit_test_setup_teardown(positions_travel_on_request, setup, teardown),
        cmocka_unit_test_setup_teardown(a_merge_that_fails_leaves_nothing_behind, setup, teardown),
        cmocka_unit_test_setup_teardown(many_files_merge_like_one_after_the_other, setup, teardown),
        cmocka_unit_test_setup_teardown(base64_round_trips, setup, teardown),
        cmocka_unit_test_setup_teardown(large_databases_merge_in_both_orders, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

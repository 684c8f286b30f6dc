/* SPDX-License-Identifier: Apache-2.0 */
/* Which variant the library chooses and why, and what a database costs that is broken, foreign or gone. */
#include "tests/runtime_fixture.h"

#include <dirent.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <time.h>

#include "runtime/table.h"

#define M 96
#define K 80
#define N 48

typedef struct fixture {
    spt_matrix a;
    char folder[128];
    char db[160];
    log_book book;
} fixture;

static int set_up(void **state) {
    fixture *f = spt_alloc_zeroed(1, sizeof *f);
    make_matrix(&f->a, M, K, 0.2, 1);
    support_folder_make(f->folder, sizeof f->folder);
    snprintf(f->db, sizeof f->db, "%s/tune.db", f->folder);
    *state = f;
    return 0;
}

static int tear_down(void **state) {
    fixture *f = *state;
    support_folder_remove(f->folder);
    spt_matrix_fini(&f->a);
    spt_free(f);
    return 0;
}

static spt_problem plain_problem(void) {
    return make_problem(SPT_SPMM, SPT_KN, SPT_EPILOGUE_NONE, N, 1);
}

/* Plan in a context with the fixture's database, execute, compare, and tell the choice. */
static spt_choice choose(fixture *f, spt_mode mode, const spt_problem *problem) {
    spt_context *context = open_with(f->db, mode, &f->book);
    const spt_choice choice = explain_right(context, &f->a.view, problem);
    spt_close(context);
    return choice;
}

static void write_one(fixture *f, const spt_problem *problem, record_row row) {
    write_records(f->db, &f->a.view, problem, &row, 1);
}

/* ---- levels ---- */

static void tuned_record_of_the_problem_is_chosen(void **state) {
    fixture *f = *state;
    const spt_problem problem = plain_problem();
    const record_row rows[] = {{.family = "spmm_csr_rows", .time_ns = 1000.0},
                               {.family = "spmm_csr_panel", .time_ns = 2000.0}};
    write_records(f->db, &f->a.view, &problem, rows, 2);
    const spt_choice choice = choose(f, SPT_MODE_FALLBACK, &problem);
    assert_string_equal(choice.family, "spmm_csr_rows");
    assert_int_equal(choice.match, SPT_MATCH_EXACT);
    assert_true(choice.time_ns_expected == 1000.0);
    assert_int_equal(choice.n_tuned, N);
    assert_int_equal(choice.stale, 0);
    assert_string_equal(choice.reason, "tuned here for exactly this problem");
    assert_int_equal(f->book.count, 0);
}

static void nearest_size_serves_another_width(void **state) {
    fixture *f = *state;
    static const int64_t widths[] = {8, 64, 4096};
    static const char *const families[] = {"spmm_csr_panel", "spmm_csr_rows", "spmm_csr_panel"};
    for (int i = 0; i < 3; i++) {
        const spt_problem problem = make_problem(SPT_SPMM, SPT_KN, SPT_EPILOGUE_NONE, widths[i], 1);
        write_one(f, &problem, (record_row){.family = families[i], .time_ns = 6400.0});
    }
    const spt_problem problem = plain_problem();
    const spt_choice choice = choose(f, SPT_MODE_FALLBACK, &problem);
    assert_string_equal(choice.family, "spmm_csr_rows");
    assert_int_equal(choice.match, SPT_MATCH_NEAR_SIZE);
    assert_int_equal(choice.n_tuned, 64);
    assert_true(fabs(choice.time_ns_expected - 6400.0 * N / 64.0) < 1e-6);
    assert_string_equal(choice.reason, "tuned for n=64, the nearest of 2; n=48 asked");
    assert_int_equal(choose(f, SPT_MODE_EXACT, &problem).match, SPT_MATCH_DEFAULT);
}

static void far_sizes_are_no_neighbours(void **state) {
    fixture *f = *state;
    spt_problem problem = make_problem(SPT_SPMM, SPT_KN, SPT_EPILOGUE_NONE, 1, 1);
    write_one(f, &problem, (record_row){.family = "spmm_csr_rows", .time_ns = 6400.0});
    problem.n = 16;
    assert_int_equal(choose(f, SPT_MODE_FALLBACK, &problem).match, SPT_MATCH_NEAR_SIZE);
    problem.n = 17;
    const spt_choice choice = choose(f, SPT_MODE_FALLBACK, &problem);
    assert_int_equal(choice.match, SPT_MATCH_DEFAULT);
    assert_string_equal(choice.reason,
                        "tuned only for sizes such as n=1, too far from n=17: default by the model's bound");
}

static void next_nearest_size_serves_when_the_nearest_does_not_hold(void **state) {
    fixture *f = *state;
    static const int64_t widths[] = {32, 64, 8};
    static const int revisions[] = {77, 77, 0};
    for (int i = 0; i < 3; i++) {
        const spt_problem problem = make_problem(SPT_SPMM, SPT_KN, SPT_EPILOGUE_NONE, widths[i], 1);
        write_one(f, &problem, (record_row){.family = "spmm_csr_rows", .revision = revisions[i], .time_ns = 100.0});
    }
    const spt_problem problem = plain_problem();
    const spt_choice choice = choose(f, SPT_MODE_FALLBACK, &problem);
    assert_int_equal(choice.match, SPT_MATCH_NEAR_SIZE);
    assert_int_equal(choice.n_tuned, 8);
    assert_non_null(strstr(choice.reason, "revision 77 skipped"));
}

static void nearest_size_serves_another_thread_count(void **state) {
    fixture *f = *state;
    spt_problem problem = plain_problem();
    write_one(f, &problem, (record_row){.family = "spmm_csr_rows", .time_ns = 500.0});
    problem.threads = 2;
    const spt_choice choice = choose(f, SPT_MODE_FALLBACK, &problem);
    assert_int_equal(choice.match, SPT_MATCH_NEAR_SIZE);
    assert_string_equal(choice.family, "spmm_csr_rows");
    assert_string_equal(choice.reason, "tuned for n=48, threads=1; n=48, threads=2 asked");
}

static void other_layouts_and_far_patterns_are_no_neighbours(void **state) {
    fixture *f = *state;
    spt_problem problem = plain_problem();
    write_one(f, &problem, (record_row){.family = "spmm_csr_rows", .time_ns = 500.0});
    problem.layout = SPT_NK;
    assert_int_equal(choose(f, SPT_MODE_FALLBACK, &problem).match, SPT_MATCH_DEFAULT);
    problem = plain_problem();
    spt_matrix_fini(&f->a);
    make_matrix(&f->a, 8 * M, 3, 0.9, 2);
    const spt_choice choice = choose(f, SPT_MODE_FALLBACK, &problem);
    assert_int_equal(choice.match, SPT_MATCH_DEFAULT);
    assert_int_equal(choice.n_tuned, 0);
    assert_string_equal(choice.reason, "nothing tuned for this pattern or one like it: default by the model's bound");
}

static void mode_off_ignores_tuned_results(void **state) {
    fixture *f = *state;
    const spt_problem problem = plain_problem();
    write_one(f, &problem, (record_row){.family = "spmm_csr_rows", .time_ns = 500.0});
    const spt_choice choice = choose(f, SPT_MODE_OFF, &problem);
    assert_int_equal(choice.match, SPT_MATCH_DEFAULT);
    assert_string_equal(choice.reason, "tuned results are switched off: default by the model's bound");
    assert_int_equal(choose(f, SPT_MODE_EXACT, &problem).match, SPT_MATCH_EXACT);
}

/* ---- records, each checked by itself ---- */

static void records_that_do_not_hold_are_passed_over(void **state) {
    fixture *f = *state;
    static const struct {
        record_row bad;
        const char *said;
    } rows[] = {
        {{.family = "spmm_csr_panel", .revision = 77, .time_ns = 1.0},
         "record of spmm_csr_panel revision 77 skipped: this library has revision "},
        {{.family = "spmm_of_the_future", .time_ns = 1.0},
         "record of spmm_of_the_future skipped: this library has no such family"},
        {{.family = "spmm_csr_panel", .point = "t=5000,kb=1", .time_ns = 1.0}, "record skipped: "},
        {{.family = "spmm_csr_panel", .point = "rubbish", .time_ns = 1.0}, "record skipped: "},
        {{.family = "sddmm_csr_rows", .time_ns = 1.0}, "record skipped: sddmm_csr_rows computes sddmm"},
    };
    const spt_problem problem = plain_problem();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        unlink(f->db);
        write_one(f, &problem, rows[i].bad);
        spt_choice choice = choose(f, SPT_MODE_FALLBACK, &problem);
        assert_int_equal(choice.match, SPT_MATCH_DEFAULT);
        if (strstr(choice.reason, rows[i].said) == NULL)
            fail_msg("row %zu: the reason is '%s'", i, choice.reason);
        write_one(f, &problem, (record_row){.family = "spmm_csr_rows", .time_ns = 500.0});
        choice = choose(f, SPT_MODE_FALLBACK, &problem);
        assert_int_equal(choice.match, SPT_MATCH_EXACT);
        assert_string_equal(choice.family, "spmm_csr_rows");
        assert_non_null(strstr(choice.reason, rows[i].said));
    }
}

static void padding_families_are_not_used_when_operands_may_be_nonfinite(void **state) {
    fixture *f = *state;
    spt_problem problem = plain_problem();
    if (spt_family_find("spmm_dense_blas")->available(NULL) != SPT_OK) {
        print_message("SKIP: %s\n", spt_last_error());
        skip();
    }
    write_one(f, &problem, (record_row){.family = "spmm_dense_blas", .time_ns = 9.0});
    spt_choice choice = choose(f, SPT_MODE_FALLBACK, &problem);
    assert_string_equal(choice.family, "spmm_dense_blas");
    assert_non_null(strstr(choice.reason, "; dense wins at "));
    problem.may_be_nonfinite = 1;
    choice = choose(f, SPT_MODE_FALLBACK, &problem);
    assert_int_equal(choice.match, SPT_MATCH_DEFAULT);
    assert_false(spt_family_find(choice.family)->pads_zeros);
    assert_non_null(strstr(choice.reason, "Inf or NaN"));
}

static void soft_differences_are_used_and_flagged_stale(void **state) {
    fixture *f = *state;
    const spt_problem problem = plain_problem();
    static const record_row rows[] = {
        {.family = "spmm_csr_rows", .time_ns = 500.0, .compiler = "another compiler"},
        {.family = "spmm_csr_rows", .time_ns = 500.0, .library = "another library"},
    };
    static const char *const said[] = {"stale: measured with another compiler",
                                       "stale: measured with another vendor library"};
    for (int i = 0; i < 2; i++) {
        unlink(f->db);
        write_one(f, &problem, rows[i]);
        const spt_choice choice = choose(f, SPT_MODE_FALLBACK, &problem);
        assert_int_equal(choice.match, SPT_MATCH_EXACT);
        assert_int_equal(choice.stale, 1);
        assert_non_null(strstr(choice.reason, said[i]));
    }
}

/* ---- the table ---- */

static spt_winner make_winner(const spt_workload *workload, const spt_device *device) {
    spt_key key;
    assert_ok(spt_key_init(&key, workload, device));
    const spt_problem *problem = &workload->problem;
    spt_winner winner = {.key = key.hash,
                         .layout = problem->layout,
                         .m = workload->pattern.n_rows,
                         .k = workload->pattern.n_cols,
                         .n = problem->n,
                         .nnz = workload->pattern.nnz,
                         .threads = problem->threads,
                         .fingerprint = workload->pattern.fingerprint,
                         .time_ns_median = (double)problem->n};
    snprintf(winner.family, sizeof winner.family, "family_%d", (int)problem->n);
    return winner;
}

static void table_finds_every_key_and_no_other(void **state) {
    enum { WIDTHS = 700 };
    fixture *f = *state;
    spt_device device;
    spt_workload workload;
    spt_problem problem = plain_problem();
    assert_ok(spt_device_detect(&device));
    assert_ok(spt_workload_init(&workload, &problem, &f->a.view));
    spt_winner_list list = {spt_alloc(WIDTHS, sizeof *list.items), WIDTHS};
    for (int i = 0; i < WIDTHS; i++) {
        workload.problem.n = i + 1;
        list.items[i] = make_winner(&workload, &device);
    }
    list.items[9].n = 4; /* forged: this is not the n of its key */
    spt_device_records records = {.winners = list};
    spt_copy_text(records.device_key, sizeof records.device_key, device.key);
    spt_table table;
    assert_ok(spt_table_init(&table, &records, 1));
    for (int i = 0; i < WIDTHS; i++) {
        const spt_record_span span = spt_table_find_key(&table, list.items[i].key);
        assert_int_equal(span.count, i == 9 ? 0 : 1);
        if (i != 9)
            assert_string_equal(span.items[0].family, list.items[i].family);
    }
    assert_int_equal(spt_table_find_pattern(&table, spt_pattern_key(&workload)).count, WIDTHS - 1);
    workload.problem.layout = SPT_NK;
    assert_int_equal(spt_table_find_pattern(&table, spt_pattern_key(&workload)).count, 0);
    spt_table_fini(&table);
    assert_int_equal(spt_table_find_key(&table, list.items[0].key).count, 0);
    spt_free(list.items);
}

/* ---- layers ---- */

static void earlier_databases_answer_first(void **state) {
    fixture *f = *state;
    char second[sizeof f->db + 2];
    snprintf(second, sizeof second, "%s2", f->db);
    const spt_problem problem = plain_problem();
    write_one(f, &problem, (record_row){.family = "spmm_csr_panel", .time_ns = 900.0});
    write_records(second, &f->a.view, &problem, &(record_row){.family = "spmm_csr_rows", .time_ns = 100.0}, 1);
    for (int order = 0; order < 2; order++) {
        const char *const databases[] = {order == 0 ? f->db : second, order == 0 ? second : f->db, NULL};
        const spt_options options = {.size = sizeof options, .databases = databases};
        spt_context *context;
        assert_ok(spt_open(&context, &options));
        assert_string_equal(explain_right(context, &f->a.view, &problem).family,
                            order == 0 ? "spmm_csr_panel" : "spmm_csr_rows");
        spt_close(context);
    }
}

static void default_layers_start_with_the_environments_database(void **state) {
    fixture *f = *state;
    const spt_problem problem = plain_problem();
    write_one(f, &problem, (record_row){.family = "spmm_csr_rows", .time_ns = 100.0});
    assert_int_equal(setenv("SPARSETUNE_DB", f->db, 1), 0);
    spt_context *context;
    assert_ok(spt_open(&context, NULL));
    assert_int_equal(unsetenv("SPARSETUNE_DB"), 0);
    assert_int_equal(explain_right(context, &f->a.view, &problem).match, SPT_MATCH_EXACT);
    spt_close(context);
}

static void users_data_folder_is_a_default_layer(void **state) {
    fixture *f = *state;
    char path[192], folder[160];
    snprintf(folder, sizeof folder, "%s/sparsetune", f->folder);
    snprintf(path, sizeof path, "%s/tune.db", folder);
    assert_int_equal(mkdir(folder, 0700), 0);
    const spt_problem problem = plain_problem();
    write_records(path, &f->a.view, &problem, &(record_row){.family = "spmm_csr_rows", .time_ns = 100.0}, 1);
    assert_int_equal(setenv("XDG_DATA_HOME", f->folder, 1), 0);
    unsetenv("SPARSETUNE_DB");
    spt_context *context;
    assert_ok(spt_open(&context, NULL));
    unsetenv("XDG_DATA_HOME");
    assert_int_equal(explain_right(context, &f->a.view, &problem).match, SPT_MATCH_EXACT);
    spt_close(context);
}

/* ---- databases that are none ---- */

static void write_text(const char *path, const char *text) {
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void make_garbage(const char *path) {
    write_text(path, "this is not a database, however long one looks at it\n");
}

static void make_truncated(const char *path) {
    write_text(path, "SQLite format 3");
}

static void make_folder(const char *path) {
    assert_int_equal(mkdir(path, 0700), 0);
}

static void make_nothing(const char *path) {
    (void)path;
}

static void change_with_sql(const char *path, const char *sql) {
    sqlite3 *handle;
    assert_int_equal(sqlite3_open(path, &handle), SQLITE_OK);
    assert_int_equal(sqlite3_exec(handle, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(handle);
}

static void make_newer(const char *path) {
    spt_db *db;
    assert_ok(spt_db_open(&db, path, SPT_DB_WRITE));
    spt_db_close(db);
    change_with_sql(path, "PRAGMA user_version = 9999");
}

static void make_foreign(const char *path) {
    change_with_sql(path, "CREATE TABLE recipe (title TEXT)");
}

static void make_unreadable(const char *path) {
    make_garbage(path);
    assert_int_equal(chmod(path, 0), 0);
}

static void make_fifo(const char *path) {
    assert_int_equal(mkfifo(path, 0600), 0);
}

static void bad_databases_cost_one_message_each(void **state) {
    fixture *f = *state;
    static void (*const makers[])(const char *path) = {make_garbage, make_truncated, make_folder,     make_nothing,
                                                       make_newer,   make_foreign,   make_unreadable, make_fifo};
    const spt_problem problem = plain_problem();
    for (size_t i = 0; i < sizeof makers / sizeof makers[0]; i++) {
        makers[i](f->db);
        f->book = (log_book){0};
        assert_int_equal(choose(f, SPT_MODE_FALLBACK, &problem).match, SPT_MATCH_DEFAULT);
        if (f->book.count != 1 || strstr(f->book.last, f->db) == NULL || strchr(f->book.last, '\n') != NULL)
            fail_msg("maker %zu: %d messages, the last: %s", i, f->book.count, f->book.last);
        if (unlink(f->db) != 0)
            rmdir(f->db);
    }
}

/* Another process holds the whole file: the reader waits a while, then does without. */
static void locked_database_costs_one_message_and_a_short_wait(void **state) {
    fixture *f = *state;
    sqlite3 *holder;
    const spt_problem problem = plain_problem();
    write_one(f, &problem, (record_row){.family = "spmm_csr_rows", .time_ns = 100.0});
    assert_int_equal(sqlite3_open(f->db, &holder), SQLITE_OK);
    assert_int_equal(sqlite3_exec(holder, "PRAGMA journal_mode = DELETE; BEGIN EXCLUSIVE", NULL, NULL, NULL),
                     SQLITE_OK);
    const time_t start = time(NULL);
    assert_int_equal(choose(f, SPT_MODE_FALLBACK, &problem).match, SPT_MATCH_DEFAULT);
    assert_true(time(NULL) - start <= 10);
    assert_int_equal(f->book.count, 1);
    assert_non_null(strstr(f->book.last, "keeps locked"));
    sqlite3_close(holder);
    assert_int_equal(choose(f, SPT_MODE_FALLBACK, &problem).match, SPT_MATCH_EXACT);
}

static void good_layer_behind_a_bad_one_still_answers(void **state) {
    fixture *f = *state;
    char bad[sizeof f->db + 4];
    snprintf(bad, sizeof bad, "%s.bad", f->db);
    make_garbage(bad);
    const spt_problem problem = plain_problem();
    write_one(f, &problem, (record_row){.family = "spmm_csr_rows", .time_ns = 100.0});
    const char *const databases[] = {bad, f->db, bad, NULL};
    const spt_options options = {
        .size = sizeof options, .databases = databases, .log = log_to_book, .log_user = &f->book};
    spt_context *context;
    assert_ok(spt_open(&context, &options));
    assert_int_equal(f->book.count, 1);
    assert_int_equal(explain_right(context, &f->a.view, &problem).match, SPT_MATCH_EXACT);
    spt_close(context);
}

static int count_descriptors(void) {
    int count = 0;
    DIR *folder = opendir("/proc/self/fd");
    assert_non_null(folder);
    while (readdir(folder) != NULL)
        count++;
    closedir(folder);
    return count;
}

static void nothing_stays_open_and_the_file_may_go(void **state) {
    fixture *f = *state;
    const spt_problem problem = plain_problem();
    write_one(f, &problem, (record_row){.family = "spmm_csr_rows", .time_ns = 100.0});
    const int before = count_descriptors();
    spt_context *context = open_with(f->db, SPT_MODE_FALLBACK, &f->book);
    assert_int_equal(count_descriptors(), before);
    support_folder_remove(f->folder);
    assert_int_equal(access(f->db, F_OK), -1);
    assert_int_equal(explain_right(context, &f->a.view, &problem).match, SPT_MATCH_EXACT);
    assert_int_equal(count_descriptors(), before);
    spt_close(context);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(tuned_record_of_the_problem_is_chosen),
        TEST(nearest_size_serves_another_width),
        TEST(far_sizes_are_no_neighbours),
        TEST(next_nearest_size_serves_when_the_nearest_does_not_hold),
        TEST(nearest_size_serves_another_thread_count),
        TEST(other_layouts_and_far_patterns_are_no_neighbours),
        TEST(mode_off_ignores_tuned_results),
        TEST(records_that_do_not_hold_are_passed_over),
        TEST(padding_families_are_not_used_when_operands_may_be_nonfinite),
        TEST(soft_differences_are_used_and_flagged_stale),
        TEST(table_finds_every_key_and_no_other),
        TEST(earlier_databases_answer_first),
        TEST(default_layers_start_with_the_environments_database),
        TEST(users_data_folder_is_a_default_layer),
        TEST(bad_databases_cost_one_message_each),
        TEST(locked_database_costs_one_message_and_a_short_wait),
        TEST(good_layer_behind_a_bad_one_still_answers),
        TEST(nothing_stays_open_and_the_file_may_go),
    };
    return cmocka_run_group_tests_name("select", tests, NULL, NULL);
}

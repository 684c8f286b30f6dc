/* SPDX-License-Identifier: Apache-2.0 */
/* Recording what was not found, and reading it back as layers to tune. */
#include "tests/runtime_fixture.h"

#include <pthread.h>
#include <sys/stat.h>

#include "tuner/input/input.h"

#define M 96
#define K 80
#define N 48

typedef struct fixture {
    spt_matrix a;
    char folder[128];
    char db[160], record[160];
    log_book book;
} fixture;

static int set_up(void **state) {
    fixture *f = spt_alloc_zeroed(1, sizeof *f);
    make_matrix(&f->a, M, K, 0.2, 1);
    support_folder_make(f->folder, sizeof f->folder);
    snprintf(f->db, sizeof f->db, "%s/tune.db", f->folder);
    snprintf(f->record, sizeof f->record, "%s/misses.jsonl", f->folder);
    setenv("SPARSETUNE_RECORD", f->record, 1);
    *state = f;
    return 0;
}

static int tear_down(void **state) {
    fixture *f = *state;
    unsetenv("SPARSETUNE_RECORD");
    support_folder_remove(f->folder);
    spt_matrix_fini(&f->a);
    spt_free(f);
    return 0;
}

static void plan(spt_context *context, const spt_csr *a, const spt_problem *problem) {
    spt_plan *made;
    assert_ok(spt_plan_spmm(&made, context, a, problem));
    spt_plan_free(made);
}

static int count_lines(const char *path) {
    FILE *file = fopen(path, "r");
    int count = 0;
    if (file == NULL)
        return 0;
    for (int c; (c = fgetc(file)) != EOF;)
        count += c == '\n';
    fclose(file);
    return count;
}

static void misses_are_recorded_once_and_read_back_as_layers(void **state) {
    fixture *f = *state;
    const spt_input_options input = {.seed = 1};
    spt_layer_list layers = {0};
    spt_matrix matrix;
    spt_context *context = open_with(NULL, SPT_MODE_FALLBACK, &f->book);
    spt_problem problem = make_problem(SPT_SPMM, SPT_NK, SPT_BIAS, N, 3);
    plan(context, &f->a.view, &problem);
    plan(context, &f->a.view, &problem);
    problem.n = 7;
    problem.cache = SPT_COLD;
    plan(context, &f->a.view, &problem);
    spt_close(context);
    context = open_with(NULL, SPT_MODE_FALLBACK, &f->book); /* another process, as it were */
    plan(context, &f->a.view, &problem);
    spt_close(context);
    assert_int_equal(count_lines(f->record), 3);
    assert_ok(spt_layers_add_misses(&layers, f->record, NULL, NULL));
    assert_int_equal(layers.count, 2);
    assert_int_equal(layers.items[0].n, N);
    assert_int_equal(layers.items[1].n, 7);
    assert_int_equal(layers.items[1].cache, SPT_COLD);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(layers.items[i].threads, 3);
        assert_int_equal(layers.items[i].layout, SPT_NK);
        assert_int_equal(layers.items[i].epilogue, SPT_BIAS);
        assert_ok(spt_layer_load(&matrix, &layers.items[i], &input));
        assert_true(spt_hash_equal(spt_pattern_fingerprint(&matrix.view), spt_pattern_fingerprint(&f->a.view)));
        spt_matrix_fini(&matrix);
    }
    assert_int_equal(f->book.count, 0);
    spt_layer_list_fini(&layers);
}

static void exact_answers_are_not_recorded_and_neighbours_are(void **state) {
    fixture *f = *state;
    spt_problem problem = make_problem(SPT_SPMM, SPT_KN, SPT_EPILOGUE_NONE, N, 1);
    write_records(f->db, &f->a.view, &problem, &(record_row){.family = "spmm_csr_rows", .time_ns = 100.0}, 1);
    spt_context *context = open_with(f->db, SPT_MODE_FALLBACK, &f->book);
    plan(context, &f->a.view, &problem);
    assert_int_equal(count_lines(f->record), 0);
    problem.n = 2 * N;
    plan(context, &f->a.view, &problem);
    assert_int_equal(count_lines(f->record), 1);
    spt_close(context);
    context = open_with(NULL, SPT_MODE_OFF, &f->book); /* who switches tuning off, misses nothing */
    plan(context, &f->a.view, &problem);
    spt_close(context);
    assert_int_equal(count_lines(f->record), 1);
}

static void record_that_cannot_be_written_costs_one_message(void **state) {
    fixture *f = *state;
    spt_problem problem = make_problem(SPT_SPMM, SPT_KN, SPT_EPILOGUE_NONE, N, 1);
    setenv("SPARSETUNE_RECORD", "/nowhere/misses.jsonl", 1);
    spt_context *context = open_with(NULL, SPT_MODE_FALLBACK, &f->book);
    for (int i = 0; i < 3; i++) {
        problem.n = N + i;
        plan(context, &f->a.view, &problem);
    }
    assert_int_equal(f->book.count, 1);
    assert_non_null(strstr(f->book.last, "misses are not recorded: /nowhere/misses.jsonl.d"));
    spt_close(context);
}

static void *plan_many(void *user) {
    spt_context *context = ((void **)user)[0];
    fixture *f = ((void **)user)[1];
    for (int i = 0; i < 20; i++) {
        spt_plan *made = NULL;
        const spt_problem problem = make_problem(SPT_SPMM, SPT_KN, SPT_EPILOGUE_NONE, 1 + i, 1);
        if (spt_plan_spmm(&made, context, &f->a.view, &problem) != SPT_OK)
            return f;
        spt_plan_free(made);
    }
    return NULL;
}

static void threads_share_a_record_without_mixing_lines(void **state) {
    enum { THREADS = 4 };
    fixture *f = *state;
    pthread_t threads[THREADS];
    spt_layer_list layers = {0};
    spt_context *context = open_with(NULL, SPT_MODE_FALLBACK, &f->book);
    void *user[2] = {context, f};
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, plan_many, user), 0);
    for (int i = 0; i < THREADS; i++) {
        void *failed;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    spt_close(context);
    assert_ok(spt_layers_add_misses(&layers, f->record, NULL, NULL));
    assert_int_equal(layers.count, 20);
    spt_layer_list_fini(&layers);
}

static void illegal_lines_are_refused_with_their_place(void **state) {
    fixture *f = *state;
    static const char *const lines[] = {
        "rubbish",
        "{}",
        "{\"fingerprint\":\"../../../../../../etc/passwd\"}",
        "{\"fingerprint\":\"00112233445566778899aabbccddeeff\",\"op\":\"spmm\"}",
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        spt_layer_list layers = {0};
        FILE *file = fopen(f->record, "w");
        assert_non_null(file);
        fprintf(file, "\n%s\n", lines[i]);
        fclose(file);
        assert_true(spt_layers_add_misses(&layers, f->record, NULL, NULL) < 0);
        assert_non_null(strstr(spt_last_error(), "misses.jsonl:2: expected "));
        spt_layer_list_fini(&layers);
    }
}

static void count_one(void *user) {
    ++*(int *)user;
}

static void a_line_that_a_full_disk_cut_costs_itself(void **state) {
    fixture *f = *state;
    char line[512], whole[300];
    int n_refused = 0;
    spt_layer_list layers = {0};
    spt_context *context = open_with(NULL, SPT_MODE_FALLBACK, &f->book);
    void *user[2] = {context, f};
    assert_null(plan_many(user));
    spt_close(context);
    FILE *file = fopen(f->record, "r+");
    assert_non_null(file);
    assert_non_null(fgets(line, sizeof line, file));
    fseek(file, 0, SEEK_END);
    fprintf(file, "%.40s%s%.60s", line, line, line); /* cut, then another writer's, then cut again */
    fclose(file);
    snprintf(whole, sizeof whole, "%s", f->record);
    assert_ok(spt_layers_add_misses(&layers, whole, count_one, &n_refused));
    assert_int_equal(layers.count, 20);
    assert_int_equal(n_refused, 2);
    spt_layer_list_fini(&layers);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(misses_are_recorded_once_and_read_back_as_layers), TEST(exact_answers_are_not_recorded_and_neighbours_are),
        TEST(record_that_cannot_be_written_costs_one_message),  TEST(threads_share_a_record_without_mixing_lines),
        TEST(a_line_that_a_full_disk_cut_costs_itself),         TEST(illegal_lines_are_refused_with_their_place),
    };
    return cmocka_run_group_tests_name("capture", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Every allocation fails once: whatever is under way answers ENOMEM with a sentence, leaks nothing, and works the next
 * time. The library's door is tested so in test_runtime.c, strategies in test_search.c, the drive loop in test_drive.c.
 */
#include "tests/runtime_fixture.h"

#include <dirent.h>

#include "core/file.h"
#include "tuner/input/input.h"

/* Something that allocates, cleans up after itself, and says how it went. */
typedef spt_status (*scenario_fn)(void *context);

/* Run once undisturbed, then once per allocation with that one failing. Returns the number of allocations. */
static long fail_each_allocation(const char *name, scenario_fn scenario, void *context) {
    const long live = spt_memory_live();
    spt_memory_fail_after(-1);
    const spt_status undisturbed = scenario(context);
    const long n_allocations = spt_memory_count();
    assert_int_equal(spt_memory_live(), live);
    for (long n = 0; n < n_allocations; n++) {
        spt_error_clear();
        spt_memory_fail_after(n);
        const spt_status status = scenario(context);
        spt_memory_fail_after(-1);
        if (status != SPT_ENOMEM || spt_last_error()[0] == '\0')
            fail_msg("%s, allocation %ld of %ld: expected ENOMEM, found %s: %s", name, n, n_allocations,
                     spt_status_name(status), spt_last_error());
        if (spt_memory_live() != live)
            fail_msg("%s, allocation %ld of %ld: %ld are still live", name, n, n_allocations, spt_memory_live() - live);
    }
    assert_int_equal(scenario(context), undisturbed);
    return n_allocations;
}

/* ---- core ---- */

static spt_status make_matrices(void *context) {
    const float dense[] = {1, 0, 2, 0, 0, 3};
    spt_matrix first = {0}, second = {0}, third = {0};
    spt_status status;
    (void)context;
    SPT_TRY_TO(done, spt_matrix_from_dense(&first, dense, 2, 3));
    SPT_TRY_TO(done, spt_matrix_copy(&second, &first.view));
    SPT_TRY_TO(done, spt_matrix_init(&third, 1, 4, 1, false));
    third.columns[0] = 0, third.row_offsets[1] = 1;
    SPT_TRY_TO(done, spt_matrix_fill_values(&third, 1));
done:
    spt_matrix_fini(&first);
    spt_matrix_fini(&second);
    spt_matrix_fini(&third);
    return status;
}

static spt_status describe(void *matrix) {
    const spt_problem problem = make_problem(SPT_SPMM, SPT_KN, SPT_BIAS, 8, 1);
    spt_workload workload;
    return spt_workload_init(&workload, &problem, &((const spt_matrix *)matrix)->view);
}

static spt_status write_and_read(void *path) {
    spt_file_writer writer = {0};
    char *data = NULL;
    size_t size;
    spt_status status;
    SPT_TRY_TO(done, spt_file_writer_open(&writer, path));
    fputs("text", writer.stream);
    SPT_TRY_TO(done, spt_file_writer_commit(&writer));
    SPT_TRY_TO(done, spt_file_read(&data, &size, path, 100));
done:
    spt_file_writer_discard(&writer);
    spt_free(data);
    return status;
}

static void core_constructors_survive(void **state) {
    (void)state;
    char folder[128], path[160];
    spt_matrix matrix;
    support_pattern_build(&matrix, support_pattern_at(10));
    support_folder_make(folder, sizeof folder);
    snprintf(path, sizeof path, "%s/file", folder);
    assert_int_equal(fail_each_allocation("matrices", make_matrices, NULL), 9);
    assert_true(fail_each_allocation("workload", describe, &matrix) >= 1);
    assert_true(fail_each_allocation("file", write_and_read, path) >= 3);
    support_folder_remove(folder);
    spt_matrix_fini(&matrix);
}

/* ---- families ---- */

typedef struct family_case {
    const spt_family *family;
    spt_device device;
    const spt_matrix *matrix;
    run_case run;
    spt_point point;
} family_case;

static spt_status prepare_and_run(void *context) {
    family_case *c = context;
    spt_prepared prepared = {0};
    spt_status status;
    SPT_TRY_TO(done,
               spt_prepared_init(&prepared, c->family, &c->point, &c->run.workload, &c->device, &c->matrix->view));
    SPT_TRY_TO(done, spt_prepared_set_values(&prepared, c->matrix->values));
    case_poison(&c->run);
    SPT_TRY_TO(done, spt_prepared_run(&prepared, &c->run.args));
    assert_case_right(&c->run);
done:
    spt_prepared_fini(&prepared);
    return status;
}

static void every_family_survives_preparing_and_running(void **state) {
    (void)state;
    family_case c;
    spt_matrix matrix;
    int n_run = 0;
    make_matrix(&matrix, 30, 40, 0.3, 3);
    assert_ok(spt_device_detect(&c.device));
    c.matrix = &matrix;
    for (int i = 0; i < spt_family_count(); i++) {
        c.family = spt_family_at(i);
        for (int layout = SPT_KN; layout <= SPT_NK; layout++) {
            const spt_epilogue epilogue = spt_op_has_epilogue(c.family->op) ? SPT_BIAS_RELU : SPT_EPILOGUE_NONE;
            spt_matrix fitted = matrix;
            spt_problem problem = make_problem(c.family->op, (spt_layout)layout, epilogue, 33, 2);
            support_fit_conv(&problem, &fitted, i);
            c.matrix = &fitted;
            case_init(&c.run, &fitted.view, &problem, 33);
            if (spt_family_check(c.family, &c.run.workload, &c.device) == SPT_OK) {
                c.family->default_point(&c.run.workload, &c.device, &c.point);
                fail_each_allocation(c.family->name, prepare_and_run, &c);
                n_run++;
            }
            case_fini(&c.run);
        }
    }
    assert_true(n_run >= 4);
    spt_matrix_fini(&matrix);
}

/* ---- input ---- */

typedef struct input_case {
    const char *argument;
    bool is_suite;
} input_case;

static spt_status load_all(void *context) {
    const input_case *c = context;
    const spt_input_options options = {.seed = 1};
    spt_layer_list list = {0};
    spt_status status;
    SPT_TRY_TO(done, c->is_suite ? spt_layers_add_suite(&list, c->argument, &options)
                                 : spt_layers_add(&list, c->argument, &options));
    for (int64_t i = 0; i < list.count; i++) {
        spt_matrix matrix = {0};
        status = spt_layer_load(&matrix, &list.items[i], &options);
        spt_matrix_fini(&matrix);
        if (status != SPT_OK)
            break;
    }
done:
    spt_layer_list_fini(&list);
    return status;
}

/* Bring one file of the fuzz corpus, whose name has no extension, to where its loader is chosen. */
static void fail_loading(const char *corpus_file, const char *copy, bool is_suite) {
    char *data;
    size_t size;
    spt_file_writer writer;
    assert_ok(spt_file_read(&data, &size, corpus_file, 1 << 20));
    assert_ok(spt_file_writer_open(&writer, copy));
    assert_int_equal(fwrite(data, 1, size, writer.stream), size);
    assert_ok(spt_file_writer_commit(&writer));
    spt_free(data);
    input_case c = {copy, is_suite};
    fail_each_allocation(corpus_file, load_all, &c);
}

static void every_loader_survives_every_file_of_its_corpus(void **state) {
    (void)state;
    static const char *const kinds[] = {"smtx", "mtx", "npy", "safetensors", "suite"};
    char folder[128];
    int n_files = 0;
    support_folder_make(folder, sizeof folder);
    for (int i = 0; i < (int)(sizeof kinds / sizeof kinds[0]); i++) {
        char corpus[128], path[512], copy[256];
        snprintf(corpus, sizeof corpus, "tests/fuzz/corpus/fuzz_%s", kinds[i]);
        const bool is_suite = strcmp(kinds[i], "suite") == 0;
        snprintf(copy, sizeof copy, "%s/input.%s", folder, is_suite ? "json" : kinds[i]);
        DIR *stream = opendir(corpus);
        if (stream == NULL)
            fail_msg("%s is not there: this test runs in the root of the repository", corpus);
        for (struct dirent *entry; (entry = readdir(stream)) != NULL;) {
            if (entry->d_name[0] == '.')
                continue;
            snprintf(path, sizeof path, "%s/%s", corpus, entry->d_name);
            fail_loading(path, copy, is_suite);
            n_files++;
        }
        closedir(stream);
    }
    support_folder_remove(folder);
    assert_true(n_files >= 40);
}

static void generators_survive(void **state) {
    (void)state;
    input_case c = {"uniform:40x30@0.8", false};
    assert_true(fail_each_allocation(c.argument, load_all, &c) > 3);
}

/* ---- the database ---- */

typedef struct db_case {
    const char *path;
    spt_key key;
    spt_device device;
} db_case;

static spt_status read_database(void *context) {
    const db_case *c = context;
    spt_db *db = NULL;
    spt_trial_list trials = {0};
    spt_winner_list by_key = {0}, by_device = {0};
    spt_status status;
    SPT_TRY_TO(done, spt_db_read_winners(&by_device, c->path, c->device.key));
    SPT_TRY_TO(done, spt_db_open(&db, c->path, SPT_DB_WRITE));
    SPT_TRY_TO(done, spt_db_trials_read(&trials, db, &c->key, NULL));
    SPT_TRY_TO(done, spt_db_winners_rebuild(db, NULL));
    SPT_TRY_TO(done, spt_db_winners_find(&by_key, db, &c->key));
    if (by_device.count != 2 || trials.count != 2 || by_key.count != 2)
        fail_msg("read %lld winners of the device, %lld trials, %lld winners of the key", (long long)by_device.count,
                 (long long)trials.count, (long long)by_key.count);
done:
    spt_trial_list_fini(&trials);
    spt_winner_list_fini(&by_key);
    spt_winner_list_fini(&by_device);
    spt_db_close(db);
    return status;
}

static void the_database_survives_reading_and_deriving(void **state) {
    (void)state;
    char folder[128], path[160];
    spt_matrix matrix;
    spt_workload workload;
    db_case c = {.path = path};
    const spt_problem problem = make_problem(SPT_SPMM, SPT_KN, SPT_EPILOGUE_NONE, 16, 1);
    const record_row rows[] = {{.family = "spmm_csr_panel", .time_ns = 100.0},
                               {.family = "spmm_csr_rows", .time_ns = 300.0}};
    make_matrix(&matrix, 20, 30, 0.2, 1);
    support_folder_make(folder, sizeof folder);
    snprintf(path, sizeof path, "%s/tune.db", folder);
    write_records(path, &matrix.view, &problem, rows, 2);
    assert_ok(spt_device_detect(&c.device));
    assert_ok(spt_workload_init(&workload, &problem, &matrix.view));
    assert_ok(spt_key_init(&c.key, &workload, &c.device));
    assert_true(fail_each_allocation("database", read_database, &c) > 3);
    support_folder_remove(folder);
    spt_matrix_fini(&matrix);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(core_constructors_survive),
        cmocka_unit_test(every_family_survives_preparing_and_running),
        cmocka_unit_test(every_loader_survives_every_file_of_its_corpus),
        cmocka_unit_test(generators_survive),
        cmocka_unit_test(the_database_survives_reading_and_deriving),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

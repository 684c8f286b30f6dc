/* SPDX-License-Identifier: Apache-2.0 */
/* What an import refuses, what it keeps, and that others may write meanwhile. */
#include <signal.h>
#include <sys/wait.h>

#include "core/random.h"
#include "db/json.h"
#include "tests/exchange_fixture.h"

/* ---- what is refused ---- */

static void each_bad_line_is_refused_by_itself_with_its_number(void **state) {
    (void)state;
    static const struct {
        const char *from, *to, *sentence;
        bool is_alone; /* nothing refers to the line */
    } rows[] = {
        {"\"phase\":\"final\"", "\"phase\":\"finale\"", "expected a phase", true},
        {"\"phase\":\"final\"", "\"phase\":7", "\"phase\"", true},
        {"\"round\":0", "\"round\":-1", "expected round from 0", true},
        {"\"round\":0", "\"round\":99999999999", "32 bits", true},
        {"\"round\":0", "\"round\":0.5", "32 bits", true},
        {"\"round\":0", "\"round\":[[[[[[[[", "expected an object of JSON", true},
        {"\"round\":0", "\"round\":0,\"round\":1", "duplicate", true},
        {"\"status\":\"correct\"", "\"status\":\"fine\"", "expected a trial status", true},
        {"\"time_ns_median\":1000.0", "\"time_ns_median\":-1.0", "above zero", true},
        {"\"time_ns_median\":1000.0", "\"time_ns_median\":\"inf\"", "above zero", true},
        {"\"time_ns_median\":1000.0", "\"time_ns_median\":1e999", "expected an object of JSON", true},
        {"\"time_ns_median\":1000.0,", "", "above zero", true},
        {"\"time_ns_median\":1000.0", "\"time_ns_median\":1e-320", "above zero", true},
        {"\"time_ns_median\":1000.0", "\"time_ns_median\":1e300", "above zero", true},
        {"\"time_ns_median\":1000.0", "\"time_ns_median\":0.001", "1 to 1e18 ns", true}, /* faster than any call */
        {"\"time_ns_median\":1000.0", "\"time_ns_median\":0.99", "found 0.99", true},
        {"\"packed_bytes\":4096", "\"packed_bytes\":\"4096\"", "whole number", true},
        {"\"packed_bytes\":4096", "\"packed_bytes\":9223372036854775807", "packed_bytes", true},
        {"\"family\":\"family_", "\"family\":\"\\u0007_", "plain characters in family", true},
        {"\"family\":\"family_", "\"family\":\"\\u0000_", "NUL", true},
        {"\"point\":\"t=", "\"point_\":\"t=", "expected the field \"point\"", true},
        {"{\"record\":\"trial\",\"key\":\"", "{\"record\":\"trial\",\"key\":\"x", "32 hex digits", true},
        {"{\"record\":\"trial\"", "{\"record\":\"winner\"", "expected a device, pattern", true},
        {"{\"record\":\"trial\"", "[\"record\",\"trial\"", "expected an object of JSON", true},
        {"{\"record\":\"trial\"", "\xff\xfe{\"record\":\"trial\"", "expected an object of JSON", true},
        {"\"session\":\"0", "\"session\":\"1", "expected a line before this one with the session", true},
        {"\"vendor\":\"Maker\"", "\"vendor\":\"Faker\"", "made of its fields", false},
        {"\"features\":\"density", "\"features\":\"intensity", "features", false},
        {"\"text\":\"v1|", "\"text\":\"v2|", "version v1", false},
        {"|hot|", "|warm|", "cache", false},
        {"\"text\":\"v1|spmm|f32|", "\"text\":\"v1|spmm|f32|kn|", "expected", false},
        {"\"nnz\":4", "\"nnz\":-4", "expected nnz", false},
        {"\"budget\":100", "\"budget\":-100", "expected budget", false},
    };
    make("a", &small, 11, 300);
    const spt_export_result out = export_to("a", "a.jsonl", &(spt_export_options){0});
    for (int i = 0; i < N_ITEMS(rows); i++) {
        change_line("a.jsonl", "bad.jsonl", rows[i].from, rows[i].to);
        n_refused = 0;
        unlink(in_folder("b"));
        spt_import_result in = import_from("b", "bad.jsonl", &(spt_import_options){.refused = note_refused});
        if (n_refused == 0 || in.n_refused != n_refused)
            fail_msg("'%s' is not refused", rows[i].to);
        if (rows[i].is_alone && (n_refused != 1 || strstr(refused_sentence, rows[i].sentence) == NULL))
            fail_msg("'%s': %d refused, '%s'", rows[i].to, n_refused, refused_sentence);
        assert_true(refused_line > 1);
        assert_int_equal(in.n_records + in.n_refused, out.n_records);
        assert_true(in.is_kept);
        unlink(in_folder("b"));
        in = import_from("b", "bad.jsonl", &(spt_import_options){.strict = true});
        assert_false(in.is_kept);
        export_to("b", "b.jsonl", &(spt_export_options){0});
        struct stat info;
        assert_int_equal(stat(in_folder("b.jsonl"), &info), 0);
        assert_int_equal(info.st_size, strlen(spt_exchange_header()) + 1); /* nothing was kept */
    }
}

static void a_file_that_is_cut_off_keeps_what_came_before(void **state) {
    (void)state;
    struct stat info;
    make("a", &small, 12, 400);
    const spt_export_result out = export_to("a", "a.jsonl.gz", &(spt_export_options){0});
    assert_int_equal(stat(in_folder("a.jsonl.gz"), &info), 0);
    assert_int_equal(truncate(in_folder("a.jsonl.gz"), info.st_size * 3 / 4), 0);
    n_refused = 0;
    const spt_import_result in = import_from("b", "a.jsonl.gz", &(spt_import_options){.refused = note_refused});
    assert_int_equal(n_refused, 1);
    assert_non_null(strstr(refused_sentence, "cut-off"));
    assert_true(in.n_records > 0 && in.n_records < out.n_records);
    assert_int_equal(refused_line, in.n_records + 2); /* the header, and the line in which it ends */
}

static void a_line_that_is_too_long_costs_itself(void **state) {
    (void)state;
    make("a", &small, 13, 50);
    const spt_export_result out = export_to("a", "a.jsonl", &(spt_export_options){0});
    FILE *stream = fopen(in_folder("a.jsonl"), "r+");
    assert_non_null(stream);
    fseek(stream, 0, SEEK_END);
    for (int i = 0; i < 40 << 20; i++)
        fputc(' ', stream);
    fputs("\n{\n", stream);
    fclose(stream);
    n_refused = 0;
    const spt_import_result in = import_from("b", "a.jsonl", &(spt_import_options){.refused = note_refused});
    assert_int_equal(in.n_records, out.n_records);
    assert_int_equal(n_refused, 2);
    assert_int_equal(refused_line, out.n_records + 3);
}

static void an_export_of_a_newer_version_is_refused_whole(void **state) {
    (void)state;
    spt_db *db;
    spt_line_reader reader;
    spt_import_result result;
    make("a", &small, 14, 50);
    export_to("a", "a.jsonl", &(spt_export_options){0});
    change_line("a.jsonl", "new.jsonl", "\"version\":1", "\"version\":2");
    expect_ok(spt_db_open(&db, in_folder("b"), SPT_DB_WRITE));
    expect_ok(spt_line_reader_open(&reader, in_folder("new.jsonl")));
    expect_error(SPT_EUNSUPPORTED, "version 1",
                 spt_db_import(&result, db, &reader, &(spt_import_options){.refused = note_refused}));
    spt_line_reader_close(&reader);
    spt_db_close(db);
}

/* ---- transactions ---- */

static int64_t count_trials(const char *name) {
    spt_db *db;
    spt_db_info info;
    expect_ok(spt_db_open(&db, in_folder(name), SPT_DB_READ));
    expect_ok(spt_db_info_read(&info, db));
    assert_string_equal(info.integrity, "ok");
    spt_db_close(db);
    return info.trials;
}

/* Who else has it open may be about to write. */
static void an_empty_database_goes_unless_it_is_open_or_was_there(void **state) {
    (void)state;
    static const char *const suffixes[] = {"", "-wal", "-shm", "-journal"};
    char path[400];
    spt_db *db, *other;
    expect_ok(spt_db_open(&db, in_folder("new"), SPT_DB_WRITE));
    spt_db_close_unused(db);
    for (int i = 0; i < N_ITEMS(suffixes); i++) {
        snprintf(path, sizeof path, "%s%s", in_folder("new"), suffixes[i]);
        assert_int_equal(access(path, F_OK), -1);
    }
    expect_ok(spt_db_open(&db, in_folder("new"), SPT_DB_WRITE));
    expect_ok(spt_db_open(&other, in_folder("new"), SPT_DB_WRITE));
    spt_db_close_unused(db); /* another one has it open */
    random_db_fill(other, &small, 1, 10);
    spt_db_close_unused(other); /* which did not create it */
    assert_true(count_trials("new") > 0);
    expect_ok(spt_db_open(&db, in_folder("kept"), SPT_DB_WRITE));
    random_db_fill(db, &small, 1, 10);
    spt_db_close_unused(db);
    assert_true(count_trials("kept") > 0);
    spt_db_close_unused(NULL);
}

static int64_t n_trials_seen;

static void note_what_is_committed(void *user, int64_t line, const char *sentence) {
    (void)user, (void)line, (void)sentence;
    n_trials_seen = count_trials("b");
}

static void append_bad_line(const char *lines) {
    FILE *stream = fopen(in_folder(lines), "a");
    assert_non_null(stream);
    fputs("{\n", stream);
    fclose(stream);
}

/* At its last line, nearly all of an import is committed: nobody waits for its end. A strict one shows nothing yet. */
static void an_import_commits_as_it_goes(void **state) {
    (void)state;
    make("a", &small, 21, 3000);
    export_to("a", "a.jsonl", &(spt_export_options){0});
    append_bad_line("a.jsonl");
    const int64_t n_trials = count_trials("a");
    assert_true(n_trials > 1000);
    import_from("b", "a.jsonl", &(spt_import_options){.refused = note_what_is_committed});
    assert_true(n_trials_seen > n_trials - 300);
    assert_true(n_trials_seen < n_trials);
    expect_equal("a", "b");
    unlink(in_folder("b"));
    n_trials_seen = -1;
    import_from("b", "a.jsonl", &(spt_import_options){.strict = true, .refused = note_what_is_committed});
    assert_int_equal(n_trials_seen, 0);
    assert_int_equal(count_trials("b"), 0);
}

/* Lines that cannot be read twice: strict still keeps all or nothing. */
static void strict_imports_from_a_pipe_keep_all_or_nothing(void **state) {
    (void)state;
    make("a", &small, 22, 600);
    for (int is_bad = 0; is_bad < 2; is_bad++) {
        export_to("a", "a.jsonl", &(spt_export_options){0});
        if (is_bad == 1)
            append_bad_line("a.jsonl");
        assert_int_equal(mkfifo(in_folder("pipe"), 0600), 0);
        const pid_t writer = fork();
        if (writer == 0) {
            char command[1024];
            snprintf(command, sizeof command, "cat '%s' > '%s'", in_folder("a.jsonl"), in_folder("pipe"));
            execl("/bin/sh", "sh", "-c", command, (char *)NULL);
            _exit(127);
        }
        unlink(in_folder("b"));
        const spt_import_result in = import_from("b", "pipe", &(spt_import_options){.strict = true});
        waitpid(writer, NULL, 0);
        unlink(in_folder("pipe"));
        assert_int_equal(in.is_kept, is_bad == 0);
        assert_int_equal(count_trials("b"), is_bad == 0 ? count_trials("a") : 0);
    }
}

/* Whatever a kill leaves is a legal part of the union: importing again completes it. */
static void a_killed_import_loses_nothing_and_is_completed_by_the_next(void **state) {
    (void)state;
    spt_random random;
    spt_random_init(&random, 4);
    make("own", &small, 23, 300);
    make("a", &small, 24, 3000);
    export_to("a", "a.jsonl", &(spt_export_options){0});
    merge("all", "own", "a");
    merge("b", "own", NULL);
    int64_t n_before = count_trials("b");
    for (int kills = 0; kills < 10; kills++) {
        const pid_t child = fork();
        if (child == 0) {
            import_from("b", "a.jsonl", &(spt_import_options){.strict = kills % 2 == 1});
            _exit(0);
        }
        usleep((useconds_t)(support_slower() * (double)(2000 + spt_random_below(&random, 60000))));
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        const int64_t n_now = count_trials("b");
        assert_true(n_now >= n_before);
        n_before = n_now;
    }
    import_from("b", "a.jsonl", &(spt_import_options){0});
    expect_equal("all", "b");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_bad_line_is_refused_by_itself_with_its_number, setup, teardown),
        cmocka_unit_test_setup_teardown(a_file_that_is_cut_off_keeps_what_came_before, setup, teardown),
        cmocka_unit_test_setup_teardown(a_line_that_is_too_long_costs_itself, setup, teardown),
        cmocka_unit_test_setup_teardown(an_export_of_a_newer_version_is_refused_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(an_empty_database_goes_unless_it_is_open_or_was_there, setup, teardown),
        cmocka_unit_test_setup_teardown(an_import_commits_as_it_goes, setup, teardown),
        cmocka_unit_test_setup_teardown(strict_imports_from_a_pipe_keep_all_or_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(a_killed_import_loses_nothing_and_is_completed_by_the_next, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

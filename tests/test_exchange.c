/* SPDX-License-Identifier: Apache-2.0 */
/* Exporting, importing and merging as properties of random databases, and what an import refuses.
 * SPT_MERGE_TRIALS=1000000 times the merge of two databases of so many trials. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/file.h"
#include "core/memory.h"
#include "db/base64.h"
#include "db/exchange.h"
#include "db/json.h"
#include "db/positions.h"
#include "tests/random_db.h"
#include "tests/support.h"
#include "tests/unit.h"

static const random_world small = {3, 5, 12, 4, 14, 3};
static char folder[256];

static int setup(void **state) {
    (void)state;
    support_folder_make(folder, sizeof folder);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    support_folder_remove(folder);
    return 0;
}

static const char *in_folder(const char *name) {
    static char paths[8][400];
    static int turn;
    char *path = paths[turn++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static void make(const char *name, const random_world *world, uint64_t seed, int64_t n_trials) {
    spt_db *db;
    expect_ok(spt_db_open(&db, in_folder(name), SPT_DB_WRITE));
    random_db_fill(db, world, seed, n_trials);
    expect_ok(spt_db_winners_rebuild(db, NULL));
    spt_db_close(db);
}

/* Export a database to a file of lines. */
static spt_export_result export_to(const char *name, const char *lines, const spt_export_options *options) {
    spt_db *db;
    spt_line_writer writer;
    spt_export_result result;
    expect_ok(spt_db_open(&db, in_folder(name), SPT_DB_READ));
    expect_ok(spt_line_writer_open(&writer, in_folder(lines), NULL));
    expect_ok(spt_db_export(&result, db, &writer, options));
    expect_ok(spt_line_writer_commit(&writer));
    spt_db_close(db);
    return result;
}

static spt_import_result import_from(const char *name, const char *lines, const spt_import_options *options) {
    spt_db *db;
    spt_line_reader reader;
    spt_import_result result;
    expect_ok(spt_db_open(&db, in_folder(name), SPT_DB_WRITE));
    expect_ok(spt_line_reader_open(&reader, in_folder(lines)));
    expect_ok(spt_db_import(&result, db, &reader, options));
    spt_line_reader_close(&reader);
    spt_db_close(db);
    return result;
}

/* All records, then all winners by name: what two databases must agree about. Owns: spt_free. */
static char *text_of(const char *name) {
    static const char winners_sql[] =
        "SELECT hex(w.key), w.rank, v.family, v.revision, v.point, v.library, s.uuid, w.n_rounds, w.time_ns_median,"
        " w.ci_ns, w.speedup_over_default, w.speedup_over_dense FROM winner w JOIN variant v ON v.id = w.variant"
        " JOIN session s ON s.id = w.session ORDER BY w.key, w.rank";
    char *data;
    size_t size;
    sqlite3 *handle;
    sqlite3_stmt *statement;
    export_to(name, "text", &(spt_export_options){0});
    FILE *stream = fopen(in_folder("text"), "a");
    assert_non_null(stream);
    assert_int_equal(sqlite3_open(in_folder(name), &handle), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(handle, winners_sql, -1, &statement, NULL), SQLITE_OK);
    while (sqlite3_step(statement) == SQLITE_ROW) {
        for (int i = 0; i < 12; i++)
            fprintf(stream, "%s|", (const char *)sqlite3_column_text(statement, i));
        fputc('\n', stream);
    }
    sqlite3_finalize(statement);
    sqlite3_close(handle);
    fclose(stream);
    expect_ok(spt_file_read(&data, &size, in_folder("text"), (size_t)1 << 30));
    return data;
}

static void expect_equal(const char *one, const char *other) {
    char *a = text_of(one), *b = text_of(other);
    if (strcmp(a, b) != 0) {
        const char *x = a, *y = b;
        while (*x == *y && *x != '\0')
            x++, y++;
        fail_msg("%s and %s differ: '%.200s' and '%.200s'", one, other, x - (x - a < 80 ? x - a : 80),
                 y - (y - b < 80 ? y - b : 80));
    }
    spt_free(a);
    spt_free(b);
}

static spt_merge_result merge(const char *to, const char *one, const char *other) {
    spt_merge_result result;
    const char *const sources[] = {in_folder(one), other != NULL ? in_folder(other) : ""};
    expect_ok(spt_db_merge_files(&result, in_folder(to), sources, other != NULL ? 2 : 1));
    assert_int_equal(result.n_skipped, 0);
    return result;
}

static void remove_all(void) {
    support_folder_remove(folder);
    assert_int_equal(mkdir(folder, 0700), 0);
}

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

static const char *refused_sentence;
static int64_t refused_line;
static int n_refused;

static void note_refused(void *user, int64_t line, const char *sentence) {
    static char copy[512];
    (void)user;
    spt_copy_text(copy, sizeof copy, sentence);
    refused_sentence = copy;
    refused_line = line;
    n_refused++;
}

/* An export's lines with one of them changed: `from` becomes `to` in the first line that has it. */
static void change_line(const char *lines, const char *changed, const char *from, const char *to) {
    char *data;
    size_t size;
    expect_ok(spt_file_read(&data, &size, in_folder(lines), (size_t)1 << 30));
    char *at = strstr(data, from);
    if (at == NULL)
        fail_msg("no '%s' in %s", from, lines);
    FILE *stream = fopen(in_folder(changed), "w");
    assert_non_null(stream);
    fprintf(stream, "%.*s%s%s", (int)(at - data), data, to, at + strlen(from));
    fclose(stream);
    spt_free(data);
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
        cmocka_unit_test_setup_teardown(each_bad_line_is_refused_by_itself_with_its_number, setup, teardown),
        cmocka_unit_test_setup_teardown(a_file_that_is_cut_off_keeps_what_came_before, setup, teardown),
        cmocka_unit_test_setup_teardown(a_line_that_is_too_long_costs_itself, setup, teardown),
        cmocka_unit_test_setup_teardown(an_export_of_a_newer_version_is_refused_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(a_merge_that_fails_leaves_nothing_behind, setup, teardown),
        cmocka_unit_test_setup_teardown(base64_round_trips, setup, teardown),
        cmocka_unit_test_setup_teardown(large_databases_merge_in_both_orders, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What tests of exports, imports and merges share: random databases and their lines in a folder of their own. */
#ifndef SPT_TESTS_EXCHANGE_FIXTURE_H
#define SPT_TESTS_EXCHANGE_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/file.h"
#include "core/memory.h"
#include "db/exchange.h"
#include "tests/random_db.h"
#include "tests/support.h"
#include "tests/unit.h"

static const random_world small = {3, 5, 12, 4, 14, 3};
static char folder[256];

static inline int setup(void **state) {
    (void)state;
    support_folder_make(folder, sizeof folder);
    return 0;
}

static inline int teardown(void **state) {
    (void)state;
    support_folder_remove(folder);
    return 0;
}

static inline const char *in_folder(const char *name) {
    static char paths[8][400];
    static int turn;
    char *path = paths[turn++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static inline void make(const char *name, const random_world *world, uint64_t seed, int64_t n_trials) {
    spt_db *db;
    expect_ok(spt_db_open(&db, in_folder(name), SPT_DB_WRITE));
    random_db_fill(db, world, seed, n_trials);
    expect_ok(spt_db_winners_rebuild(db, NULL));
    spt_db_close(db);
}

/* Export a database to a file of lines. */
static inline spt_export_result export_to(const char *name, const char *lines, const spt_export_options *options) {
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

static inline spt_import_result import_from(const char *name, const char *lines, const spt_import_options *options) {
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
static inline char *text_of(const char *name) {
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

static inline void expect_equal(const char *one, const char *other) {
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

static inline spt_merge_result merge(const char *to, const char *one, const char *other) {
    spt_merge_result result;
    const char *const sources[] = {in_folder(one), other != NULL ? in_folder(other) : ""};
    expect_ok(spt_db_merge_files(&result, in_folder(to), sources, other != NULL ? 2 : 1));
    assert_int_equal(result.n_skipped, 0);
    return result;
}

static inline void remove_all(void) {
    support_folder_remove(folder);
    assert_int_equal(mkdir(folder, 0700), 0);
}

/* ---- refused lines ---- */

static const char *refused_sentence;
static int64_t refused_line;
static int n_refused;

static inline void note_refused(void *user, int64_t line, const char *sentence) {
    static char copy[512];
    (void)user;
    spt_copy_text(copy, sizeof copy, sentence);
    refused_sentence = copy;
    refused_line = line;
    n_refused++;
}

/* An export's lines with one of them changed: `from` becomes `to` in the first line that has it. */
static inline void change_line(const char *lines, const char *changed, const char *from, const char *to) {
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

#endif

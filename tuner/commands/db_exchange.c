/* SPDX-License-Identifier: Apache-2.0 */
/* `sparsetune db export`, `import` and `merge`: what leaves a database and what comes into one. */
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

#include "db/exchange.h"
#include "db/t4.h"
#include "db/upkeep.h"
#include "tuner/commands/db_verbs.h"

enum { SENTENCES_MAX = 20 }; /* of refused lines; more are counted */

/* ---- export ---- */

/* What to export beside the options: one problem in another form, where `key` is given. */
typedef struct export_form {
    const char *key, *family;
} export_form;

static spt_status write_t4(spt_export_result *out, spt_db *db, spt_line_writer *writer, const export_form *form) {
    spt_hash128 key;
    *out = (spt_export_result){0};
    SPT_TRY(spt_db_find_key(&key, db, form->key));
    return spt_db_export_t4(&out->n_records, db, writer, &key, form->family);
}

static spt_status write_export(spt_export_result *out, spt_db *db, const char *to, const spt_export_options *options,
                               const export_form *form) {
    spt_line_writer writer;
    SPT_TRY(spt_line_writer_open(&writer, to, stdout));
    spt_status status = form->key != NULL ? write_t4(out, db, &writer, form) : spt_db_export(out, db, &writer, options);
    if (status == SPT_OK)
        status = spt_line_writer_commit(&writer);
    spt_line_writer_discard(&writer);
    return status;
}

spt_status spt_db_verb_export(int argc, char **argv, int *exit_code) {
    const char *given = NULL, *to = NULL;
    spt_export_options options = {0};
    export_form form = {0};
    bool json = false;
    const spt_option rows[] = {{"--db", SPT_OPTION_TEXT, &given},
                               {"-o", SPT_OPTION_TEXT, &to},
                               {"--anonymous", SPT_OPTION_FLAG, &options.anonymous},
                               {"--with-patterns", SPT_OPTION_FLAG, &options.with_positions},
                               {"--t4", SPT_OPTION_TEXT, &form.key},
                               {"--family", SPT_OPTION_TEXT, &form.family},
                               {"--json", SPT_OPTION_FLAG, &json}};
    char path[SPT_DB_PATH_MAX];
    spt_db *db;
    spt_export_result result;
    int n_arguments;
    SPT_TRY(spt_options_parse(&n_arguments, argc, argv, rows, SPT_N_ROWS(rows), NULL));
    SPT_TRY(spt_db_verb_arguments(n_arguments, 0, 0, "no argument but options"));
    if (form.family != NULL && form.key == NULL)
        return spt_usage_fail("expected --t4 KEY beside --family, found none");
    if (form.key != NULL)
        SPT_TRY(spt_db_verb_key(form.key));
    if (to != NULL && spt_db_is_database(to))
        return spt_fail(SPT_EINVAL, "expected a file for the export, found a database, which would be lost: %s", to);
    SPT_TRY(spt_db_verb_open(&db, path, given, SPT_DB_READ));
    const spt_status status = write_export(&result, db, to, &options, &form);
    spt_db_close(db);
    SPT_TRY(status);
    if (result.n_skipped > 0) {
        spt_say("%s: %" PRId64 " rows are not legal and were left out", path, result.n_skipped);
        *exit_code = SPT_EXIT_NEGATIVE;
    }
    if (to == NULL)
        return SPT_OK;
    if (json)
        return spt_json_print(json_pack("{so so sI sI}", "path", spt_json_name(path), "output", spt_json_name(to),
                                        "records", (json_int_t)result.n_records, "skipped",
                                        (json_int_t)result.n_skipped));
    spt_say("%" PRId64 " records of %s are in %s", result.n_records, path, to);
    return SPT_OK;
}

/* ---- import ---- */

typedef struct import_file {
    const char *name;
    int64_t n_said;
} import_file;

static void say_refused(void *user, int64_t line, const char *sentence) {
    import_file *file = user;
    if (file->n_said++ < SENTENCES_MAX)
        spt_say("%s:%" PRId64 ": refused: %s", file->name, line, sentence);
}

typedef struct import_options {
    const char *given; /* --db */
    bool strict, json, dry_run;
} import_options;

/* A file that cannot be read leaves no database behind: it is opened first, and once, for it may be a pipe. */
static spt_status import_lines(spt_import_result *result, spt_db **db, import_file *file,
                               const import_options *import) {
    const spt_import_options options = {.strict = import->strict, .refused = say_refused, .user = file};
    char path[SPT_DB_PATH_MAX];
    spt_line_reader reader;
    spt_status status = SPT_OK;
    SPT_TRY(spt_line_reader_open(&reader, file->name));
    if (*db == NULL)
        status = spt_db_verb_open(db, path, import->given, SPT_DB_WRITE);
    if (status == SPT_OK)
        status = spt_db_import(result, *db, &reader, &options);
    spt_line_reader_close(&reader);
    return status;
}

static spt_status import_one(spt_db **db, const char *name, const import_options *import, int *exit_code) {
    spt_import_result result;
    import_file file = {.name = name};
    const bool dry_run = import->dry_run;
    SPT_TRY(import_lines(&result, db, &file, import));
    if (file.n_said > SENTENCES_MAX)
        spt_say("%s: %" PRId64 " more lines were refused", name, file.n_said - SENTENCES_MAX);
    if (result.n_refused > 0)
        *exit_code = SPT_EXIT_NEGATIVE;
    if (import->json)
        return spt_json_print(json_pack("{so sI sI sI sb sb}", "file", spt_json_name(name), "records",
                                        (json_int_t)result.n_records, "refused", (json_int_t)result.n_refused,
                                        "trials_new", (json_int_t)result.n_trials_new, "kept",
                                        (int)(result.is_kept && !dry_run), "dry_run", (int)dry_run));
    printf("%s: %" PRId64 " records, %" PRId64 " new trials, %" PRId64 " lines refused%s\n", name, result.n_records,
           result.n_trials_new, result.n_refused,
           !result.is_kept ? "; nothing was kept"
           : dry_run       ? "; nothing was changed (--dry-run)"
                           : "");
    return SPT_OK;
}

spt_status spt_db_verb_import(int argc, char **argv, int *exit_code) {
    import_options import = {0};
    const spt_option rows[] = {{"--db", SPT_OPTION_TEXT, &import.given},
                               {"--strict", SPT_OPTION_FLAG, &import.strict},
                               {"--dry-run", SPT_OPTION_FLAG, &import.dry_run},
                               {"--json", SPT_OPTION_FLAG, &import.json}};
    char path[SPT_DB_PATH_MAX];
    spt_db *db = NULL;
    int n_arguments;
    spt_status status = SPT_OK;
    SPT_TRY(spt_options_parse(&n_arguments, argc, argv, rows, SPT_N_ROWS(rows), NULL));
    SPT_TRY(spt_db_verb_arguments(n_arguments, 1, argc, "the files to import"));
    SPT_TRY(spt_db_verb_path(path, import.given));
    if (import.dry_run)
        SPT_TRY(spt_db_open_copy(&db, path));
    for (int i = 1; i <= n_arguments && status == SPT_OK; i++)
        status = import_one(&db, argv[i], &import, exit_code);
    spt_db_close_unused(db);
    return status;
}

/* ---- merge ---- */

spt_status spt_db_verb_merge(int argc, char **argv, int *exit_code) {
    const char *to = NULL;
    bool json = false;
    const spt_option rows[] = {{"-o", SPT_OPTION_TEXT, &to}, {"--json", SPT_OPTION_FLAG, &json}};
    int n_arguments;
    spt_merge_result result;
    SPT_TRY(spt_options_parse(&n_arguments, argc, argv, rows, SPT_N_ROWS(rows), NULL));
    SPT_TRY(spt_db_verb_arguments(n_arguments, 1, argc, "the databases to merge"));
    if (to == NULL)
        return spt_usage_fail("expected -o FILE, the database that gets the union, found none");
    SPT_TRY(spt_db_merge_files(&result, to, (const char *const *)(argv + 1), n_arguments));
    if (result.n_skipped > 0) {
        spt_say("%" PRId64 " rows are not legal and were left out", result.n_skipped);
        *exit_code = SPT_EXIT_NEGATIVE;
    }
    if (json)
        return spt_json_print(json_pack("{so si sI sI sI}", "output", spt_json_name(to), "sources", n_arguments,
                                        "trials", (json_int_t)result.n_trials, "trials_new",
                                        (json_int_t)result.n_trials_new, "skipped", (json_int_t)result.n_skipped));
    printf("%s: %" PRId64 " trials of %d databases, %" PRId64 " of them new\n", to, result.n_trials, n_arguments,
           result.n_trials_new);
    return SPT_OK;
}

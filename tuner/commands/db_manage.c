/* SPDX-License-Identifier: Apache-2.0 */
/* `sparsetune db publish`, `pin` and `gc`: what is done to a database. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "db/list.h"
#include "db/upkeep.h"
#include "tuner/commands/db_verbs.h"
#include "variants/family.h"

/* ---- publish ---- */

spt_status spt_db_verb_publish(int argc, char **argv, int *exit_code) {
    const char *given = NULL, *to = NULL;
    bool json = false;
    const spt_option rows[] = {
        {"--db", SPT_OPTION_TEXT, &given}, {"-o", SPT_OPTION_TEXT, &to}, {"--json", SPT_OPTION_FLAG, &json}};
    char path[SPT_DB_PATH_MAX];
    spt_checksum checksum;
    int n_arguments;
    SPT_TRY(spt_options_parse(&n_arguments, argc, argv, rows, SPT_N_ROWS(rows), NULL));
    SPT_TRY(spt_db_verb_arguments(n_arguments, 0, 0, "no argument but options"));
    if (to == NULL)
        return spt_usage_fail("expected -o FILE, the file to publish, found none");
    SPT_TRY(spt_db_verb_path(path, given));
    SPT_TRY(spt_db_publish(to, path));
    SPT_TRY(spt_db_checksum_verify(&checksum, to));
    if (checksum != SPT_CHECKSUM_OK)
        *exit_code = SPT_EXIT_NEGATIVE;
    if (json)
        return spt_json_print(json_pack("{so so ss}", "path", spt_json_name(path), "output", spt_json_name(to),
                                        "checksum", spt_checksum_name(checksum)));
    printf("%s is published as %s, read-only, checksum %s\n", path, to, spt_checksum_name(checksum));
    return SPT_OK;
}

/* ---- pin ---- */

static spt_status print_pins(spt_db *db, bool json) {
    spt_list list;
    spt_status status;
    char key[SPT_HASH_TEXT_SIZE];
    SPT_TRY(spt_list_open(&list, db, false));
    while ((status = spt_list_next(&list)) == SPT_OK) {
        if (!list.item.is_pinned)
            continue;
        spt_hash_text(key, list.item.problem.key.hash);
        if (!json) {
            printf("%s  %s %s\n", key, list.item.winner.family, list.item.winner.point);
            continue;
        }
        status = spt_json_print(json_pack("{ss ss ss ss}", "key", key, "problem", list.item.problem.key.text, "family",
                                          list.item.winner.family, "point", list.item.winner.point));
        if (status != SPT_OK)
            break;
    }
    spt_list_close(&list);
    return status == SPT_ENOTFOUND ? SPT_OK : status;
}

static spt_status change_pin(spt_db *db, char **arguments, int n_arguments, const char *note, bool json) {
    spt_hash128 key;
    char text[SPT_HASH_TEXT_SIZE];
    const bool is_pin = n_arguments > 1;
    const char *point = n_arguments > 2 ? arguments[2] : "-";
    SPT_TRY(spt_db_find_key(&key, db, arguments[0]));
    spt_hash_text(text, key);
    if (is_pin && spt_family_find(arguments[1]) == NULL)
        return spt_usage_fail("unknown family '%s'; `sparsetune space` lists them", arguments[1]);
    SPT_TRY(is_pin ? spt_db_pin(db, &key, arguments[1], point, note) : spt_db_unpin(db, &key));
    if (json)
        return spt_json_print(json_pack("{ss sb ss ss}", "key", text, "pinned", (int)is_pin, "family",
                                        is_pin ? arguments[1] : "", "point", is_pin ? point : ""));
    if (is_pin)
        printf("%s is pinned to %s %s\n", text, arguments[1], point);
    else
        printf("%s is not pinned any more\n", text);
    return SPT_OK;
}

spt_status spt_db_verb_pin(int argc, char **argv, int *exit_code) {
    const char *given = NULL, *note = "";
    bool remove = false, json = false;
    const spt_option rows[] = {{"--db", SPT_OPTION_TEXT, &given},
                               {"--note", SPT_OPTION_TEXT, &note},
                               {"--remove", SPT_OPTION_FLAG, &remove},
                               {"--json", SPT_OPTION_FLAG, &json}};
    char path[SPT_DB_PATH_MAX];
    spt_db *db;
    int n_arguments;
    (void)exit_code;
    SPT_TRY(spt_options_parse(&n_arguments, argc, argv, rows, SPT_N_ROWS(rows), NULL));
    if (remove)
        SPT_TRY(spt_db_verb_arguments(n_arguments, 1, 1, "the KEY whose pin goes"));
    else if (n_arguments > 0)
        SPT_TRY(spt_db_verb_arguments(n_arguments, 2, 3, "KEY FAMILY [POINT]"));
    if (n_arguments > 0)
        SPT_TRY(spt_db_verb_key(argv[1]));
    SPT_TRY(spt_db_verb_open(&db, path, given, SPT_DB_READ)); /* a missing file is not made */
    spt_db_close(db);
    SPT_TRY(spt_db_verb_open(&db, path, given, n_arguments > 0 ? SPT_DB_WRITE : SPT_DB_READ));
    const spt_status status =
        n_arguments > 0 ? change_pin(db, argv + 1, n_arguments, note, json) : print_pins(db, json);
    spt_db_close(db);
    return status;
}

/* ---- gc ---- */

/* Revisions before this program's are of no use to it, nor to any later one. */
static bool keeps(void *user, const char *family, int revision) {
    const spt_family *known = spt_family_find(family);
    (void)user;
    return known == NULL || revision >= known->revision;
}

spt_status spt_db_verb_gc(int argc, char **argv, int *exit_code) {
    const char *given = NULL;
    bool dry_run = false, json = false;
    const spt_option rows[] = {{"--db", SPT_OPTION_TEXT, &given},
                               {"--dry-run", SPT_OPTION_FLAG, &dry_run},
                               {"--json", SPT_OPTION_FLAG, &json}};
    char path[SPT_DB_PATH_MAX];
    spt_db *db;
    spt_gc_result result;
    int n_arguments;
    (void)exit_code;
    SPT_TRY(spt_options_parse(&n_arguments, argc, argv, rows, SPT_N_ROWS(rows), NULL));
    SPT_TRY(spt_db_verb_arguments(n_arguments, 0, 0, "no argument but options"));
    SPT_TRY(spt_db_verb_open(&db, path, given, SPT_DB_READ)); /* a missing file is not made */
    spt_db_close(db);
    SPT_TRY(dry_run ? spt_db_open_copy(&db, path) : spt_db_verb_open(&db, path, given, SPT_DB_WRITE));
    const spt_status status = spt_db_gc(&result, db, keeps, NULL, dry_run);
    spt_db_close(db);
    SPT_TRY(status);
    if (json)
        return spt_json_print(json_pack("{so sb sI sI sI sI sI sI}", "path", spt_json_name(path), "dry_run",
                                        (int)dry_run, "trials", (json_int_t)result.n_trials, "variants",
                                        (json_int_t)result.n_variants, "problems", (json_int_t)result.n_problems,
                                        "patterns", (json_int_t)result.n_patterns, "sessions",
                                        (json_int_t)result.n_sessions, "devices", (json_int_t)result.n_devices));
    printf("%s: %" PRId64 " trials of older revisions, and what nothing refers to: %" PRId64 " variants, %" PRId64
           " problems, %" PRId64 " patterns, %" PRId64 " sessions, %" PRId64 " devices%s\n",
           path, result.n_trials, result.n_variants, result.n_problems, result.n_patterns, result.n_sessions,
           result.n_devices, dry_run ? "; nothing was changed (--dry-run)" : " were taken out");
    return SPT_OK;
}
